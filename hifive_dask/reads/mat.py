"""Counted fend pairs of HiCPipe's ``mat`` files as a source."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from hifive_dask._kernels.cells import HEXADECIMAL, find_oddities
from hifive_dask.errors import InputError, InputWarning, ParameterError, warn
from hifive_dask.genome.cells import is_number, whole
from hifive_dask.genome.partition import Partition
from hifive_dask.reads.diagnose import explain_nothing_counted
from hifive_dask.reads.layout import expect_format, format_of
from hifive_dask.reads.source import MOST_READS, UnitCounts
from hifive_dask.reads.text import (
    BLOCK_BYTES,
    TextBlock,
    TextFile,
    open_text,
    read_head,
    unpack_all,
)

__all__ = ["MatCounts", "check_numbering"]

_LINE = 14  # bytes of text per pair, about
_HEAD = 100  # lines to find the header in


@dataclass(frozen=True)
class _Job:
    block: TextBlock
    header: bytes | None
    width: int
    base: int
    units: int
    kind: str

    def __call__(self) -> UnitCounts:
        text = self.block.read()
        top, lines = self._skip(text)
        columns = self._parse(text[top:])
        if columns is None:
            columns = self._parse_lines(text[top:], lines)
        first, second, reads = columns
        counted = reads > 0
        if not counted.all():
            first, second, reads = first[counted], second[counted], reads[counted]
        return UnitCounts(first - self.base, second - self.base, reads)

    def _skipped(self, line: bytes) -> bool:
        return not line.strip() or line.startswith(b"#") or line.rstrip(b"\r") == self.header

    def _skip(self, text: bytes) -> tuple[int, int]:
        """Bytes and lines before the first pair."""
        start = lines = 0
        while start < len(text):
            end = text.find(b"\n", start) + 1 or len(text)
            if not self._skipped(text[start:end].rstrip(b"\n")):
                break
            start, lines = end, lines + 1
        return start, lines

    def _parse(self, text: bytes) -> tuple[NDArray[np.int64], ...] | None:
        """Parse at full speed; None if a line is not as it should be, or not of a pair."""
        if not text or find_oddities(text) & HEXADECIMAL:
            return None
        names = [str(k) for k in range(self.width)]
        try:
            table = pacsv.read_csv(
                pa.BufferReader(text),
                read_options=pacsv.ReadOptions(
                    use_threads=False, block_size=min(len(text) + 1, 2**31 - 1), column_names=names
                ),
                parse_options=pacsv.ParseOptions(delimiter="\t", quote_char=False),
                convert_options=pacsv.ConvertOptions(
                    include_columns=names[:3],
                    column_types=dict.fromkeys(names[:3], pa.int64()),
                    null_values=[],
                ),
            )
        except pa.ArrowInvalid:
            return None
        first, second, reads = (table[name].to_numpy() for name in names[:3])
        last = self.base + self.units - 1
        if len(reads) and (
            min(first.min(), second.min()) < self.base
            or max(first.max(), second.max()) > last
            or reads.min() < 0
            or reads.max() > MOST_READS
        ):
            return None
        return first, second, reads

    def _parse_lines(self, text: bytes, skipped: int) -> tuple[NDArray[np.int64], ...]:
        """Parse line by line: for headers, comments, ragged lines, and to name a faulty one."""
        rows: list[tuple[int, int, int]] = []
        for number, raw in enumerate(text.split(b"\n"), skipped):
            if self._skipped(raw):
                continue
            line = raw.rstrip(b"\r")
            try:
                rows.append(self._parse_line(line.decode("utf-8", "replace").split("\t")))
            except ValueError as error:
                problem, _, cure = str(error).partition("\n")
                raise InputError(
                    f"{problem}; the line is {line[:80].decode('utf-8', 'replace')!r}",
                    path=self.block.file.name,
                    line=self.block.first_line() + number,
                    cure=cure or "correct or remove the line; nothing was loaded",
                ) from None
        columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
        return columns[0], columns[1], columns[2]

    def _parse_line(self, cells: list[str]) -> tuple[int, int, int]:
        """The three numbers of a line; a `ValueError` tells what is wrong, and the cure."""
        if len(cells) < 3:
            raise ValueError(
                f"has {len(cells)} tab-separated column(s), expected {self.kind}1, {self.kind}2, "
                "count"
            )
        one, two, reads = map(whole, cells[:3])
        for number in (one, two):
            self._check(number)
        if not 0 <= reads <= MOST_READS:
            raise ValueError(f"the count {reads} lies outside 0 to {MOST_READS}")
        return one, two, reads

    def _check(self, number: int) -> None:
        first, last = self.base, self.base + self.units - 1
        if first <= number <= last:
            return
        cure = f"is the file of another partition? This one has {self.units} {self.kind}s"
        if number == last + 1 and self.base == 0:
            cure = f"if its {self.kind}s are numbered from 1, as HiCPipe does, give basefend=1"
        elif number == 0 and self.base == 1:
            cure = f"if its {self.kind}s are numbered from 0, as HiFive does, give basefend=0"
        raise ValueError(
            f"{self.kind} {number} lies outside {first} to {last} (basefend={self.base})\n{cure}"
        )


class MatCounts:
    """Pairs of numbered fends, with their reads.

    The numbers are those of bins if the partition has no fends, or if a header says ``bin1``.
    Lines are ``fend1 fend2 count``, separated by tabs; further columns, blank lines, ``#`` lines
    and a header are ignored. The two numbers may be in any order, and repeated pairs add up.

    Parameters
    ----------
    path
        Plain, gzip or bgzip; ``-`` is standard input.
    partition
        The genome.
    basefend
        Number of the first fend in the file, 0 or 1.
    block_bytes
        Text per parsing task. The result does not depend on it.

    Raises
    ------
    ParameterError
        For another `basefend`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        partition: Partition,
        basefend: SupportsIndex = 0,
        *,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        try:
            self._base = operator.index(basefend)
        except TypeError:
            self._base = -1
        if self._base not in (0, 1) or isinstance(basefend, bool):
            raise ParameterError(
                f"basefend is {basefend!r}, expected 0 or 1: the number of the first fend"
            )
        self._partition = partition
        self._path, self._block_bytes = path, block_bytes
        self.in_fends = partition.fends is not None
        self.rows = 0

    def prepare(self, spill: str, silent: bool) -> Sequence[_Job]:
        """Find the header; unpack a gzip file; cut it into blocks of whole lines.

        Raises
        ------
        InputError
            For a missing or empty file, one without pairs, or one of bins for a partition without.
        """
        file = open_text(self._path, spill)
        header, width = _header(file)
        (text,) = unpack_all([file], spill, silent)
        self._file = text
        self.rows = text.text_bytes() // _LINE
        if header is not None and header.startswith(b"bin"):
            self.in_fends = False
        units = self._partition.fends if self.in_fends else self._partition.bins
        if units is None:
            raise InputError(
                "the header names bins, but the partition has fends only",
                path=file.name,
                cure="use the partition that the pairs were counted in",
            )
        kind = "fend" if self.in_fends else "bin"
        return [
            _Job(block, header, width, self._base, len(units), kind)
            for block in text.blocks(self._block_bytes)
        ]

    def name(self) -> str:
        """Of the file, for messages; known once prepared."""
        return self._file.name

    def explain(self, partition: Partition, stats: Mapping[str, int]) -> InputError:
        """Return the error for a load that kept no pair."""
        return explain_nothing_counted(self._file.name, stats)


def check_numbering(name: str, basefend: SupportsIndex, stats: Mapping[str, int]) -> None:
    """Warn if the numbers of fends seem to begin with the other number.

    Programs that write such files filter reads before: none is left within a fragment, or in the
    pairs of neighbouring fragments that are taken for a failed cut. With all numbers shifted by one
    there is still none within a fragment, but other pairs stand where a cut would have failed.
    """
    if stats["same_fragment"] or not stats["failed_cut"]:
        return
    other = 1 - operator.index(basefend)
    warn(
        f"{name}: {stats['failed_cut']:,} reads failed the cut, but none lies within a fragment, "
        f"as in a filtered file with wrong numbers; is its first fend number {other}? Then load it "
        f"with basefend={other}",
        InputWarning,
    )


def _header(file: TextFile) -> tuple[bytes | None, int]:
    """The header line, if there is one, and the number of columns."""
    head = read_head(file, _HEAD)
    expect_format(file.name, format_of(*head), "mat", "text: fend1 fend2 count")
    lines = [line for line in head[1] if line.strip() and line[0] != "#"]
    if not lines:
        raise InputError("holds no pairs", path=file.name)
    first = lines[0].split("\t")
    named = len(first) >= 3 and not any(is_number(cell) for cell in first[:3])
    if named and len(lines) == 1:
        raise InputError("holds no pairs, only a header", path=file.name)
    width = len(lines[1 if named else 0].split("\t"))
    return lines[0].encode() if named else None, max(3, width)
