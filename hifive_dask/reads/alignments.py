"""Files of alignments: opened through htslib, read in parallel spans of BGZF blocks.

Where records begin inside a span is guessed, and checked: the span before must end exactly there,
else the span is read again from where that one ended. So the result never depends on a guess.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask._kernels.alignments import (
    BUCKETS,
    DAMAGED,
    MORE,
    SEEN,
    Alignments,
    find_record,
    read_records,
    sort_by_bucket,
)
from hifive_dask._store.atomic import replacing_file
from hifive_dask.errors import HifiveDaskError, InputError, ParameterError
from hifive_dask.reads.bgzf import Span, bgzf_blocks, cut_bgzf, truncated
from hifive_dask.reads.text import TextFile, open_text

__all__ = [
    "AlignmentFile",
    "Mate",
    "Spilled",
    "endings_of",
    "names_in",
    "read_buckets",
    "read_files",
]

_SIGNS = ("/", ".", "_", "-")  # before the number of a mate
_NEEDED = b"required_fields=0x3f"  # name, flag, chromosome, position, mapq, CIGAR: of CRAM


@dataclass(frozen=True)
class AlignmentFile:
    """A file of alignments and its header.

    Parameters
    ----------
    file
        Its bytes.
    in_blocks
        Whether they are BAM in BGZF blocks.
    references
        Names of the header.
    lengths
        int64: bp of each.
    block, skip
        Where the records begin: compressed offset of a block, and bytes in it.
    """

    file: TextFile
    in_blocks: bool
    references: tuple[str, ...]
    lengths: NDArray[np.int64]
    block: int = 0
    skip: int = 0

    @property
    def name(self) -> str:
        """The file the user gave."""
        return self.file.name

    @classmethod
    def open(cls, path: str | os.PathLike[str], spill: str) -> AlignmentFile:
        """Read the header; standard input is first copied into the directory `spill`.

        Raises
        ------
        InputError
            If the file is missing, empty, truncated, or neither BAM, SAM nor CRAM.
        ParameterError
            If pysam is not installed.
        """
        pysam, file = _pysam(), open_text(path, spill)
        with _explained(file.name), pysam.AlignmentFile(file.path, check_sq=False) as handle:
            found = cls(
                file,
                file.codec == "bgzf" and handle.is_bam,
                tuple(handle.references),
                np.array(handle.lengths, dtype=np.int64),
            )
            if found.in_blocks:
                found = replace(found, block=handle.tell() >> 16, skip=handle.tell() & 0xFFFF)
        if not found.references:
            raise InputError(
                "is not a file of alignments with chromosomes in its header",
                path=file.name,
                cure="give BAM, SAM with its header, or CRAM, as mappers write them",
            )
        return found

    def blocked(self, directory: str, number: int) -> AlignmentFile:
        """Return the file as BAM in blocks: SAM and CRAM are copied into `directory`."""
        if self.in_blocks:
            return self
        pysam, target = _pysam(), str(Path(directory) / f"alignments-{number}.bam")
        with (
            _explained(self.name),
            replacing_file(target) as beside,
            self.file.opened(),
            pysam.AlignmentFile(self.file.path, format_options=[_NEEDED]) as source,
            pysam.AlignmentFile(str(beside), "wbu", template=source) as copy,
        ):
            for record in _records(source, self.name):
                copy.write(record)
        copied = AlignmentFile.open(target, directory)
        return replace(copied, file=replace(copied.file, name=self.name))


def _pysam() -> ModuleType:
    try:
        import pysam
    except ModuleNotFoundError as error:
        raise ParameterError(
            "BAM files are read through pysam, which is not installed\n"
            "  install it with the package: pip install 'hifive-dask[bam]'"
        ) from error
    module: ModuleType = pysam
    return module


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn errors of htslib into ours; it writes to stderr besides, which is kept quiet."""
    pysam = _pysam()
    former = pysam.set_verbosity(0)
    try:
        yield
    except HifiveDaskError:
        raise
    except (OSError, ValueError) as error:
        if "truncated" in str(error):
            raise truncated(name) from error
        raise InputError(
            f"cannot be read as BAM, SAM or CRAM: {error}",
            path=name,
            cure="is it a file of alignments, whole, and with its header?",
        ) from error
    finally:
        pysam.set_verbosity(former)


def _records(handle: Any, name: str) -> Iterator[Any]:
    """Yield the alignments; the error for one that cannot be read says which, and its line."""
    number = 0
    try:
        for record in handle:
            yield record
            number += 1
    except OSError as error:
        lines = str(handle.header).count("\n") + number + 1
        raise InputError(
            f"alignment {number + 1:,} is damaged, or cut off at the end of the file",
            path=name,
            line=lines if handle.format == "SAM" else None,
            cure="was the file copied or written to its end? Fetch or make it again",
        ) from error


def names_in(file: AlignmentFile, count: int) -> list[str]:
    """Return the names of the first primary alignments that are mapped, for messages."""
    found = []
    with _explained(file.name), _pysam().AlignmentFile(file.file.path, check_sq=False) as handle:
        for record in _records(handle, file.name):
            if not record.flag & 0x904:
                found.append(str(record.query_name))
            if len(found) == count:
                break
    return found


class Mate(NamedTuple):
    """What the alignments of a file are.

    Parameters
    ----------
    number
        1 or 2: all are first or second mates; 0: it holds both.
    ending
        Two letters at the end of names, such as ``.1``, which mean that; or none.
    """

    number: int = 0
    ending: bytes = b""


def endings_of(one: Collection[str], two: Collection[str]) -> tuple[bytes, bytes]:
    """What names of first and of second mates end in, if that tells the mates apart.

    All names of one file must end in the same digit after the same sign, and those of the other in
    another digit: ``x/1`` and ``x/3``, ``x.1`` and ``x.2``. The numbers that archives give to reads
    differ from read to read, and are part of the names.
    """
    found = [{name[-2:] for name in names} for names in (one, two)]
    if all(len(ends) == 1 for ends in found):
        first, second = (ends.pop() for ends in found)
        if (
            first != second
            and first[:1] == second[:1]
            and first[:1] in _SIGNS
            and f"{first[1:]}{second[1:]}".isdecimal()
        ):
            return first.encode(), second.encode()
    return b"", b""


class Spilled(NamedTuple):
    """The usable alignments of one file in files of their own, sorted by buckets of their names.

    Parameters
    ----------
    paths
        uint64: offsets of the buckets, hashes of names, words.
    usable
        Number of alignments in them.
    seen
        Counts of all alignments, by the names of `SEEN`.
    """

    paths: list[str]
    usable: int
    seen: dict[str, int]


class _Piece(NamedTuple):
    """What a span gave: where its first record began, how far its last one reached beyond it."""

    first: int
    over: int
    usable: int
    seen: NDArray[np.int64]
    fault: InputError | None


@dataclass(frozen=True)
class _Reader:
    """Reads spans of one file."""

    file: AlignmentFile
    chromosome: NDArray[np.int32]
    mate: Mate
    min_mapq: int

    def __call__(self, span: Span, first: int | None, target: str) -> _Piece:
        """Read the records that begin in a span, the first one `first` bytes from its beginning."""
        name = self.file.name
        seen = np.zeros(len(SEEN), dtype=np.int64)
        with self.file.file.opened() as handle:
            handle.seek(span.lo)
            body = b"".join(bgzf_blocks(handle, span.hi, name))
            following = bgzf_blocks(handle, None, name)
            text, stop = np.frombuffer(body, dtype=np.uint8), len(body)
            if first is None:
                first = find_record(text, self.file.lengths)
                if first < 0:
                    return _Piece(-1, -1, 0, seen, None)
            at, status, parts = first, MORE, []
            while status == MORE:
                at, status, part = read_records(
                    text, at, stop, self.chromosome,
                    mate=self.mate.number, ending=self.mate.ending, min_mapq=self.min_mapq,
                    seen=seen,
                )  # fmt: skip
                parts.append(part)
                if status == MORE:
                    more = next(following, None)
                    if more is None:
                        return _Piece(first, -1, 0, seen, truncated(name))
                    rest = text[at:].tobytes() + more
                    text, at, stop = np.frombuffer(rest, dtype=np.uint8), 0, stop - at
        if status == DAMAGED:
            return _Piece(first, -1, 0, seen, InputError("holds a damaged BAM record", path=name))
        alignments = Alignments(*map(np.concatenate, zip(*parts, strict=True)))
        offset, alignments = sort_by_bucket(alignments)
        with replacing_file(target) as beside:
            np.concatenate([offset.view(np.uint64), *alignments]).tofile(beside)
        return _Piece(first, at - stop, len(alignments.name), seen, None)


def read_files(
    files: Sequence[AlignmentFile],
    mates: Sequence[Mate],
    chromosomes: Sequence[str],
    *,
    min_mapq: int,
    span_bytes: int,
    spill: str,
    silent: bool,
) -> list[Spilled]:
    """Read all alignments of all files into files in `spill`.

    Parameters
    ----------
    files
        BAM in blocks.
    mates
        Of each file.
    chromosomes
        Names; words hold their indices, or their number for all others.
    min_mapq
        Least mapping quality.
    span_bytes
        Inflated bytes read at once. The result does not depend on it.
    spill, silent
        Directory; no progress bar.

    Raises
    ------
    InputError
        For a damaged or truncated file.
    """
    index = {name: k for k, name in enumerate(chromosomes)}
    plan = []
    for number, (file, mate) in enumerate(zip(files, mates, strict=True)):
        table = [index.get(name, len(index)) for name in file.references]
        reader = _Reader(file, np.array(table, dtype=np.int32), mate, min_mapq)
        task = dask.delayed(reader, pure=False)
        with file.file.opened():
            spans = cut_bgzf(file.file.path, file.name, span_bytes, file.block)
        plan.append(
            [
                _Step(task, span, file.skip if k == 0 else None, f"{spill}/file-{number}-{k}")
                for k, span in enumerate(spans)
            ]
        )
    pieces = iter(
        run(
            [step.task(step.span, step.first, step.target) for steps in plan for step in steps],
            title="reading alignments",
            silent=silent,
        )
    )
    return [_verify(steps, list(itertools.islice(pieces, len(steps)))) for steps in plan]


class _Step(NamedTuple):
    """One span to read."""

    task: Any
    span: Span
    first: int | None
    target: str


def _verify(steps: Sequence[_Step], pieces: list[_Piece]) -> Spilled:
    """Check that every span of a file began where the one before ended; read it again if not."""
    start = steps[0].first if steps else 0
    for k, (task, span, _, target) in enumerate(steps):
        if pieces[k].first != start:
            (pieces[k],) = run([task(span, start, target)], silent=True)
        if (fault := pieces[k].fault) is not None:
            raise fault
        start = pieces[k].over
    seen = np.sum([piece.seen for piece in pieces], axis=0)
    return Spilled(
        [step.target for step in steps],
        sum(piece.usable for piece in pieces),
        {name: int(n) for name, n in zip(SEEN, seen, strict=True)},
    )


def read_buckets(path: str, lo: int, hi: int) -> Alignments:
    """Return the alignments of buckets `lo` to before `hi` of a file."""
    data = np.memmap(path, dtype=np.uint64, mode="r")
    offset = data[: BUCKETS + 1].astype(np.int64)
    columns = data[BUCKETS + 1 :].reshape(2, -1)
    return Alignments(*columns[:, offset[lo] : offset[hi]])
