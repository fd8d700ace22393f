"""Files of alignments (BAM, SAM, CRAM) as a source of read pairs."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from itertools import islice

import dask

from hifive_dask._graph.run import run
from hifive_dask.errors import InputError, InputWarning, ParameterError, warn
from hifive_dask.genome.partition import Partition
from hifive_dask.reads.alignments import (
    AlignmentFile,
    Mate,
    Spilled,
    endings_of,
    names_in,
    read_files,
)
from hifive_dask.reads.diagnose import check_lengths, explain_nothing_counted, no_common_chromosome
from hifive_dask.reads.mates import Matched, PairJob, match_files
from hifive_dask.reads.text import check_files

__all__ = ["BamReads", "group_files"]

PathLike = str | os.PathLike[str]

_SPAN_BYTES = 1 << 25  # inflated BAM per task: about 0.2 million alignments
_NAMES = 1000  # of each of two files of mates, whose endings are compared
_MANY = 0.1  # part of the alignments without mate that is worth a warning
_DROPPED = ("qc_failed", "unmapped", "below_min_mapq")

_log = logging.getLogger(__name__)


class BamReads:
    """Read pairs of alignments with the same name, in files sorted in any way.

    Of every read the primary alignment counts, if it is mapped and passed quality control. Its
    position is that of the base at the 5' end of the aligned part: the first aligned base on the
    plus strand, the last on the minus strand. Clipped bases do not count.

    Parameters
    ----------
    groups
        Each is one file that holds both mates, or two files with one mate each; ``-`` is standard
        input.
    partition
        The genome.
    min_mapq
        Least mapping quality of both ends.
    marks
        Whether pairs with an end that is flagged as a duplicate are left out.
    span_bytes
        Inflated BAM per task. The result does not depend on it.

    Raises
    ------
    ParameterError
        For no file, more than two in a group, or a `min_mapq` outside 0 to 255.
    InputError
        For a file that is given twice.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[PathLike]],
        partition: Partition,
        *,
        min_mapq: int = 0,
        marks: bool = True,
        span_bytes: int = _SPAN_BYTES,
    ) -> None:
        if not 0 <= min_mapq <= 255:
            raise ParameterError(f"min_mapq is {min_mapq}, expected 0 to 255")
        for group in groups:
            if len(group) not in (1, 2):
                raise ParameterError(
                    f"{len(group)} files stand together, expected one with both mates, or two with "
                    "one mate each"
                )
        check_files([path for group in groups for path in group])
        self._groups, self._partition = groups, partition
        self._files: list[list[AlignmentFile]] = []
        self._min_mapq, self._marks, self._span_bytes = min_mapq, marks, span_bytes
        self.reads = 0
        self.found: dict[str, int] = {}

    @property
    def _all(self) -> list[AlignmentFile]:
        return [file for group in self._files for file in group]

    def prepare(self, spill: str, silent: bool) -> Sequence[PairJob]:
        """Read all alignments, and join those with the same name.

        Raises
        ------
        InputError
            If a file is missing, truncated, not a file of alignments, or of another genome.
        """
        self._files = [[AlignmentFile.open(path, spill) for path in g] for g in self._groups]
        chromosomes = self._partition.chromosomes
        for file in self._all:
            if not set(file.references) & set(chromosomes):
                raise no_common_chromosome(file.name, file.references, self._partition)
            lengths = dict(zip(file.references, file.lengths.tolist(), strict=True))
            check_lengths(file.name, lengths, self._partition)
        task = dask.delayed(AlignmentFile.blocked, pure=False)
        blocked = run(
            [task(file, spill, k) for k, file in enumerate(self._all)],
            title="unpacking",
            silent=silent,
        )
        opened = iter(blocked)
        mates = [_mates(list(islice(opened, len(group)))) for group in self._files]
        spilled = iter(
            read_files(
                blocked,
                [mate for group in mates for mate in group],
                chromosomes,
                min_mapq=self._min_mapq,
                span_bytes=self._span_bytes,
                spill=spill,
                silent=silent,
            )
        )
        read = [list(islice(spilled, len(group))) for group in self._files]
        for files, group in zip(self._files, read, strict=True):
            _check_mates(files, group)
        matched = []
        for number, (files, group) in enumerate(zip(self._files, read, strict=True)):
            found = match_files(
                group, len(chromosomes), number, marks=self._marks, spill=spill, silent=silent
            )
            if not found.pairs:
                raise _explain_no_pair(files, group)
            matched.append(found)
        self.reads = sum(group.pairs for group in matched)
        self.found = _count(read, matched)
        self._report()
        return [job for group in matched for job in group.jobs]

    def _report(self) -> None:
        """Say what was left out; warn if it looks wrong."""
        found = self.found
        _log.info("%s", _listed(found))
        # A mate that was dropped explains a single alignment; the rest have none in the files.
        lost = found["without_mate"] - sum(found[name] for name in _DROPPED)
        if lost > _MANY * found["alignments"]:
            _warn(
                f"at least {lost:,} of {found['alignments']:,} alignments have no mate in the "
                "files and were left out; were the files filtered before, or do some not belong "
                "together?"
            )
        if found["repeated_names"]:
            _warn(
                f"{found['repeated_names']:,} alignments were left out because their read names "
                "are repeated: more than two primary alignments of one name, or two of one mate; "
                "were lanes with equal names joined to one file?"
            )

    def name(self) -> str:
        """Of the first file, for messages."""
        return self._files[0][0].name

    def names(self) -> set[str]:
        """Names of the headers, once prepared."""
        return {name for file in self._all for name in file.references}

    def explain(self, partition: Partition, stats: Mapping[str, int]) -> InputError:
        """Return the error for a load that kept no read pair."""
        file = self._files[0][0]
        if stats["chr_not_in_fends"] == stats["total_reads"]:
            return no_common_chromosome(file.name, file.references, partition)
        return explain_nothing_counted(file.name, stats)


def _mates(files: Sequence[AlignmentFile]) -> list[Mate]:
    """What the files of a group hold."""
    if len(files) == 1:
        return [Mate()]
    one, two = endings_of(*(names_in(file, _NAMES) for file in files))
    return [Mate(1, one), Mate(2, two)]


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in counts.items())


def _warn(message: str) -> None:
    warn(message, InputWarning)


def _count(read: Sequence[Sequence[Spilled]], matched: Sequence[Matched]) -> dict[str, int]:
    """Add up what became of all alignments; all numbers but the first add up to it."""
    seen = [file.seen for group in read for file in group]
    names = ("alignments", "secondary_or_supplementary", *_DROPPED)
    return {
        **{name: sum(counts[name] for counts in seen) for name in names},
        "without_mate": sum(group.single for group in matched),
        "repeated_names": sum(group.repeated for group in matched),
        "in_pairs": sum(2 * group.pairs for group in matched),
    }


def _check_mates(files: Sequence[AlignmentFile], read: Sequence[Spilled]) -> None:
    """Compare what the flags say of mates with how the files were given."""
    holds = [{mate for mate in ("first", "second") if file.seen[f"{mate}_mates"]} for file in read]
    names = [file.name for file in files]
    if len(files) == 1:
        if len(holds[0]) == 1:
            (mate,) = holds[0]
            other = "second" if mate == "first" else "first"
            raise InputError(
                f"holds {mate} mates only, expected both mates",
                path=names[0],
                cure=f"give it together with the file of the {other} mates, as a pair "
                "(`--mates` of the command line)",
            )
        return
    for name, mates in zip(names, holds, strict=True):
        if len(mates) == 2:
            raise InputError(
                "is given as one of a pair of files, but holds both mates",
                path=name,
                cure="give every such file alone, not as one of a pair",
            )
    if holds[0] and holds[0] == holds[1]:
        (mate,) = holds[0]
        raise InputError(
            f"holds {mate} mates, as does the other file of the pair, {names[1]}",
            path=names[0],
            cure="give one file of first and one of second mates, of the same reads",
        )


def _explain_no_pair(files: Sequence[AlignmentFile], read: Sequence[Spilled]) -> InputError:
    """Return the error for a group of files without any pair of usable alignments."""
    for file, spilled in zip(files, read, strict=True):
        if not spilled.seen["alignments"]:
            return InputError("holds no alignments, only a header", path=file.name)
        if not spilled.usable:
            names = ("alignments", "secondary_or_supplementary", *_DROPPED)
            counts = {name: spilled.seen[name] for name in names if spilled.seen[name]}
            return InputError(
                f"holds no usable alignment ({_listed(counts)})",
                path=file.name,
                cure="reads must be mapped, and min_mapq not above what the mapper gives",
            )
    examples = "; ".join(
        f"{os.path.basename(file.name)} names {', '.join(names_in(file, 3))}" for file in files
    )
    cure = "both mates need the same name, up to a last /1 or /2, or what tells two files apart"
    if len(files) == 1:
        cure += "; mates in two files are given as a pair (`--mates` of the command line)"
    return InputError(
        f"no two usable alignments have the same read name; {examples}",
        path=files[0].name,
        cure=cure,
    )


def group_files(
    filelist: PathLike | Sequence[PathLike | Sequence[PathLike]],
) -> list[list[PathLike]]:
    """Read a list of files as users write it.

    Parameters
    ----------
    filelist
        A name, or a list of one, is a file with both mates; a list of two names is a pair of files.
        Several are a list of such pairs and names, with at least one pair or list among them.

    Raises
    ------
    ParameterError
        For a flat list of more than two names.

    Examples
    --------
    >>> from hifive_dask.reads.bam import group_files
    >>> group_files(["a_1.bam", "a_2.bam"])
    [['a_1.bam', 'a_2.bam']]
    >>> group_files([["a_1.bam", "a_2.bam"], "b.bam"])
    [['a_1.bam', 'a_2.bam'], ['b.bam']]
    """
    if isinstance(filelist, str | os.PathLike):
        return [[filelist]]
    items = list(filelist)
    flat = [item for item in items if isinstance(item, str | os.PathLike)]
    if items and len(flat) == len(items):
        if len(flat) > 2:
            raise ParameterError(
                f"filelist holds {len(flat)} names; a flat list is one pair of files: write "
                "[[first, second], ...] for pairs of files, [[one], [two], ...] for files that "
                "hold both mates"
            )
        return [flat]
    return [[item] if isinstance(item, str | os.PathLike) else list(item) for item in items]
