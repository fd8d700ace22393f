"""Matrices as arrays of an HDF5 or npz file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hifive_dask._store.array_files import ArrayFile
from hifive_dask.errors import InputError
from hifive_dask.genome.files import Snapshot
from hifive_dask.reads.matrix_axis import Axis, place
from hifive_dask.reads.source import MOST_READS, UnitCounts

__all__ = ["ArrayLayout", "ArrayRows", "cut", "find_array"]

_CELLS = 1 << 22  # per task


@dataclass(frozen=True)
class ArrayLayout:
    """How an array holds a matrix.

    Parameters
    ----------
    name
        Of the array.
    cells, length
        Numbers of its cells, and of entries along its first dimension.
    shape
        Rows and columns of the matrix.
    rows, columns
        int32: global bin of every row and every column; -1 for none.
    triangle
        For a flat upper triangle: the distance of its first diagonal from the main one, 0 or 1.
        None for a whole matrix.
    cis
        Whether only cells on and above the diagonal count.
    positions
        Whether the file says where rows and columns lie.
    """

    name: str
    cells: int
    length: int
    shape: tuple[int, int]
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    triangle: int | None
    cis: bool
    positions: bool


@dataclass(frozen=True)
class ArrayRows:
    """Entries of an array along its first dimension; a task calls it."""

    file: ArrayFile
    state: Snapshot
    layout: ArrayLayout
    lo: int
    hi: int

    def __call__(self) -> UnitCounts:
        layout = self.layout
        with self.state.kept(self.file.path, self.file.path):
            values = self.file.read(layout.name, self.lo, self.hi)
        reads = self._counts(values)
        where = np.nonzero(reads)
        if layout.triangle is None:
            row, column = where
            row = row + self.lo
        else:
            row, column = _unfold(where[0] + self.lo, layout.shape[0], layout.triangle)
        counts = reads[where]
        if layout.cis:
            upper = column >= row
            row, column, counts = row[upper], column[upper], counts[upper]
        return place(layout.rows, layout.columns, row, column, counts)

    def _counts(self, values: NDArray[Any]) -> NDArray[np.int64]:
        if values.dtype.kind not in "buif":
            raise InputError(
                f"the array {self.layout.name!r} holds {values.dtype}, expected numbers",
                path=self.file.path,
                cure="load observed reads",
            )
        good = (values >= 0) & (values <= MOST_READS)
        if values.dtype.kind == "f":
            good &= values == np.floor(values)
        if not good.all():
            raise InputError(
                f"the array {self.layout.name!r} holds {values[~good][0]}, expected whole numbers "
                f"from 0 to {MOST_READS}",
                path=self.file.path,
                cure="load observed reads, not corrected ones",
            )
        return values.astype(np.int64)


def _unfold(
    flat: NDArray[np.int64], size: int, diagonal: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of cells of a flat upper triangle."""
    row = np.arange(size, dtype=np.int64)
    start = row * (size - diagonal) - row * (row - 1) // 2
    found = np.searchsorted(start, flat, "right") - 1
    return found, flat - start[found] + found + diagonal


def cut(file: ArrayFile, state: Snapshot, layout: ArrayLayout) -> Iterator[ArrayRows]:
    """Cut an array into jobs, of a file that was in this state before it was looked at."""
    step = layout.length
    if file.format == "hdf5":
        step = max(1, _CELLS * layout.length // max(1, layout.cells))
    for lo in range(0, layout.length, max(1, step)):
        yield ArrayRows(file, state, layout, lo, min(layout.length, lo + step))


def find_array(
    file: ArrayFile,
    shapes: dict[str, tuple[int, ...]],
    name: str,
    rows: Axis,
    columns: Axis,
) -> ArrayLayout:
    """Find out how an array holds the matrix of two chromosomes, or of one.

    Positions are the arrays ``X.positions`` or ``chrX.positions`` of chromosome X, (N, 2): start
    and stop of every row. Without, row i is bin i. A flat array is the upper triangle, row after
    row, of a cis matrix; whether with the diagonal is told by its length if there are positions,
    else by the attribute ``diagonal`` of an HDF5 file; in npz files it has the diagonal.

    Raises
    ------
    InputError
        If the shape is not that of a matrix of the chromosomes.
    """
    shape, cis = shapes[name], rows.name == columns.name
    positions = [_positions(file, shapes, axis) for axis in (rows, columns)]
    sizes = [None if found is None else len(found) for found in positions]
    triangle = None
    if len(shape) == 1 and cis:
        size, triangle = _solve(shape[0], sizes[0], _has_diagonal(file))
        matrix = (size, size)
    elif len(shape) == 2 and (not cis or shape[0] == shape[1]):
        matrix = (shape[0], shape[1])
    else:
        matrix = (-1, -1)
    for size, wanted, axis in zip(matrix, sizes, (rows, columns), strict=True):
        if size < 0 or (wanted is not None and size != wanted):
            kind = "square or flat upper triangle" if cis else "two-dimensional"
            given = "" if wanted is None else f" for {wanted} positions on {axis.name}"
            raise InputError(
                f"the array {name!r} has shape {shape}, expected {kind}{given}",
                path=file.path,
                cure="rows and columns are the bins of a chromosome each; of one chromosome, the "
                "same",
            )
        if wanted is None and size < len(axis):
            raise InputError(
                f"the array {name!r} has {size} rows or columns, but {axis.name} has {len(axis)} "
                "bins",
                path=file.path,
                cure="use the bins that the matrix was made with, or add positions",
            )
    bins = [
        axis.numbered(size) if found is None else axis.at(found.sum(axis=1) // 2)
        for size, found, axis in zip(matrix, positions, (rows, columns), strict=True)
    ]
    return ArrayLayout(
        name, math.prod(shape), shape[0], matrix, bins[0], bins[1], triangle, cis,
        None not in sizes,
    )  # fmt: skip


def _positions(
    file: ArrayFile, shapes: dict[str, tuple[int, ...]], axis: Axis
) -> NDArray[np.int64] | None:
    for name in (f"{axis.name}.positions", f"chr{axis.name}.positions"):
        if name in shapes:
            if len(shapes[name]) != 2 or shapes[name][1] != 2:
                raise InputError(
                    f"the array {name!r} has shape {shapes[name]}, expected (N, 2): start and stop",
                    path=file.path,
                )
            return file.read(name, 0, shapes[name][0]).astype(np.int64)
    return None


def _has_diagonal(file: ArrayFile) -> bool:
    return True if file.format == "npz" else bool(file.attribute("diagonal"))


def _solve(length: int, size: int | None, diagonal: bool) -> tuple[int, int | None]:
    """Size of a flat triangle, and the distance of its first diagonal; size -1 if there is none."""
    for first in (0, 1) if size is not None else (0 if diagonal else 1,):
        # length = n (n + 1) / 2 with the diagonal, n (n - 1) / 2 without
        found = (math.isqrt(8 * length + 1) - 1) // 2 + first
        if found * (found + 1 - 2 * first) // 2 == length and size in (None, found):
            return found, first
    return -1, None
