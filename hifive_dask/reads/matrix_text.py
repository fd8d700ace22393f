"""Matrices as text, one file for each pair of chromosomes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.read_matrix import parse_row
from hifive_dask.errors import InputError
from hifive_dask.genome.cells import finite, is_number
from hifive_dask.genome.files import BYTE_ORDER_MARK
from hifive_dask.reads.matrix_axis import Axis, place
from hifive_dask.reads.source import MOST_READS, UnitCounts
from hifive_dask.reads.text import TextFile, open_text, plain_copy

__all__ = ["TextMatrix", "TextRows", "scan"]

_LABEL = re.compile(r"(.+):(\d+)-(\d+)")


@dataclass(frozen=True)
class TextRows:
    """Some rows of a matrix; a task calls it.

    Parameters
    ----------
    file
        Plain text.
    lo, hi
        Bytes of the rows.
    line
        1-based number of the first line.
    row
        Number of the first row, from 0.
    rows, columns
        int32: global bin of every one of these rows, and of every column; -1 for none.
    labels
        Whether rows begin with a label.
    cis
        Whether only cells on and above the diagonal count.
    """

    file: TextFile
    lo: int
    hi: int
    line: int
    row: int
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    labels: bool
    cis: bool

    def __call__(self) -> UnitCounts:
        with self.file.opened() as handle:
            handle.seek(self.lo)
            text = handle.read(self.hi - self.lo)
        none = np.zeros(0, dtype=np.int64)
        row, column, reads = [none], [none], [none]
        number = 0
        for line, content in enumerate(text.split(b"\n"), self.line):
            content = content.removeprefix(BYTE_ORDER_MARK)
            if not content.strip() or content.startswith(b"#"):
                continue
            cells = content.partition(b"\t")[2] if self.labels else content
            found, values = self._parse(cells.rstrip(b"\r\t"), line)
            if self.cis:
                upper = found >= self.row + number
                found, values = found[upper], values[upper]
            row.append(np.full(len(found), number, dtype=np.int64))
            column.append(found)
            reads.append(values)
            number += 1
        cells_of = (np.concatenate(parts) for parts in (row, column, reads))
        return place(self.rows, self.columns, *cells_of)

    def _parse(self, text: bytes, line: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        column, reads, width = parse_row(np.frombuffer(text, dtype=np.uint8))
        if width < 0:
            try:
                values = np.array([_count(cell) for cell in text.decode().split("\t")])
            except ValueError as error:
                raise InputError(
                    str(error),
                    path=self.file.name,
                    line=line,
                    cure="counts are whole numbers; load observed reads, not corrected ones",
                ) from None
            column, width = np.flatnonzero(values), len(values)
            reads = values[column]
        if width != len(self.columns):
            raise InputError(
                f"the row has {width} numbers, expected {len(self.columns)} as in the first row",
                path=self.file.name,
                line=line,
                cure="cells are separated by single tabs; was the file written to the end?",
            )
        return column, reads


def _count(cell: str) -> int:
    value = finite(cell)
    if not value.is_integer() or not 0 <= value <= MOST_READS:
        raise ValueError(f"{cell} is not a whole number from 0 to {MOST_READS}")
    return int(value)


@dataclass(frozen=True)
class TextMatrix:
    """What a scan of a file finds.

    Parameters
    ----------
    jobs
        Its rows.
    shape
        Numbers of rows and columns.
    labelled
        Whether they have labels.
    """

    jobs: list[TextRows]
    shape: tuple[int, int]
    labelled: bool


def scan(
    path: str, rows: Axis, columns: Axis, spill: str, number: int, block_bytes: int
) -> TextMatrix:
    """Find rows, columns and labels of a file, and cut it into jobs.

    Parameters
    ----------
    path
        Plain, gzip or bgzip; of compressed text a plain copy is made.
    rows, columns
        Bins of the chromosome of the rows, and of that of the columns; for cis the same.
    spill
        Directory of the copy.
    number
        Of the file, for the name of the copy.
    block_bytes
        Text per job, about.

    Raises
    ------
    InputError
        If the file is missing or empty, has a faulty label, or has no place in the bins.
    """
    file = plain_copy(open_text(path, spill), f"{spill}/matrix-{number}")
    header, spans = None, _Spans(block_bytes)
    labels: list[str] = []
    width = 0
    for line, offset, text in _lines(file):
        first, _, rest = text.partition("\t")
        labelled = not is_number(first)
        if spans.rows == 0 and header is None and labelled:
            if "\t" not in text:
                raise InputError(
                    f"the first line has no tab; it begins with {first[:40]!r}",
                    path=file.name,
                    line=line,
                    cure="cells are separated by single tabs",
                )
            header = rest.split("\t")
            continue
        if labelled != (header is not None):
            raise InputError(
                f"the row begins with {first[:40]!r}, "
                + ("expected a label as in other rows" if header else "expected a number"),
                path=file.name,
                line=line,
                cure="either all rows and columns have labels, or none",
            )
        if spans.rows == 0:
            width = (rest if labelled else text).count("\t") + 1
        if labelled:
            labels.append(first)
        spans.add(offset, line)
    row_bins, column_bins = _bins_of(file, header, labels, (spans.rows, width), rows, columns)
    cis = rows.name == columns.name
    jobs = [
        TextRows(
            file, lo, hi, line, first, row_bins[first:last], column_bins, header is not None, cis
        )
        for lo, hi, line, first, last in spans.cut(file)
    ]
    return TextMatrix(jobs, (spans.rows, width), header is not None)


def _bins_of(
    file: TextFile,
    header: list[str] | None,
    labels: list[str],
    shape: tuple[int, int],
    rows: Axis,
    columns: Axis,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Bins of rows and columns, by labels or by number."""
    if shape[0] == 0:
        raise InputError("holds no rows", path=file.name)
    if header is None:
        for size, axis, kind in zip(shape, (rows, columns), ("rows", "columns"), strict=True):
            if size < len(axis):
                raise InputError(
                    f"has {size} {kind}, but {axis.name} has {len(axis)} bins",
                    path=file.name,
                    cure="use the bins that the matrix was made with, or labels chr:start-stop",
                )
        return rows.numbered(shape[0]), columns.numbered(shape[1])
    if rows.name == columns.name and labels != header:
        both = zip(labels, header, strict=False)
        k = next((k for k, (a, b) in enumerate(both) if a != b), min(len(labels), len(header)))
        seen = [names[k] if k < len(names) else "missing" for names in (labels, header)]
        raise InputError(
            f"labels of rows and columns differ: label {k + 1} is {seen[0]!r} for the rows and "
            f"{seen[1]!r} for the columns",
            path=file.name,
            cure="a matrix of one chromosome has the same rows as columns",
        )
    return _labelled(file, labels, rows), _labelled(file, header, columns)


def _labelled(file: TextFile, labels: list[str], axis: Axis) -> NDArray[np.int32]:
    """Bins that the middles of labelled intervals lie in."""
    middle = np.empty(len(labels), dtype=np.int64)
    for k, label in enumerate(labels):
        match = _LABEL.fullmatch(label.rpartition("|")[2].strip())
        if match is None:
            raise InputError(
                f"the label {label[:60]!r} does not end in chromosome:start-stop",
                path=file.name,
                cure="leave labels out if row i is bin i",
            )
        name, start, stop = match[1], int(match[2]), int(match[3])
        if name.removeprefix("chr") != axis.name.removeprefix("chr"):
            raise InputError(
                f"the label {label[:60]!r} is of {name}, expected {axis.name}",
                path=file.name,
                cure="the name of the file says what is in it: X, or A_by_B with the rows of A",
            )
        middle[k] = (start + stop) // 2
    return axis.at(middle)


class _Spans:
    """Rows of a file, cut where enough text has come together."""

    def __init__(self, block_bytes: int) -> None:
        self.rows = 0
        self._size = block_bytes
        self._starts: list[tuple[int, int, int]] = []  # offset, line, row

    def add(self, offset: int, line: int) -> None:
        if not self._starts or offset - self._starts[-1][0] >= self._size:
            self._starts.append((offset, line, self.rows))
        self.rows += 1

    def cut(self, file: TextFile) -> Iterator[tuple[int, int, int, int, int]]:
        ends = [*((offset, row) for offset, _, row in self._starts[1:])]
        ends.append((file.text_bytes(), self.rows))
        for (lo, line, first), (hi, last) in zip(self._starts, ends, strict=True):
            yield lo, hi, line, first, last


def _lines(file: TextFile) -> Iterator[tuple[int, int, str]]:
    """Number, offset and text of the lines that are neither blank nor comments."""
    offset = 0
    with file.opened() as handle:
        for number, line in enumerate(handle, 1):
            content = line.removeprefix(BYTE_ORDER_MARK)
            if content.strip() and not content.startswith(b"#"):
                yield number, offset, content.decode("utf-8", "replace").rstrip("\r\n\t")
            offset += len(line)
