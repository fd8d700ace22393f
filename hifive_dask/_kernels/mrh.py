"""Numbers of the cells of a pyramid of bins, in the order in which a file has them at every level.

Level 0 has the largest bins, and every next one bins of half the size. The number of a cell is that
of its cell at level 0, row by row, and then two bits per level: lower or upper half of the rows,
lower or upper half of the columns. So the number of the parent is that of the cell without its last
two bits, and sorting the cells of the last level sorts all levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = [
    "CellSums",
    "Pyramid",
    "add_cells",
    "cell_numbers",
    "cells_of_numbers",
    "coarsen",
    "merge_cells",
]

Int64 = NDArray[np.int64]


class Pyramid(NamedTuple):
    """Bins of a pair of chromosomes at all levels.

    Parameters
    ----------
    rows, columns
        Bins of level 0.
    depth
        The last level.
    triangle
        Whether only cells on and above the diagonal exist, as in a map of one chromosome.
    """

    rows: int
    columns: int
    depth: int
    triangle: bool

    @property
    def first(self) -> Int64:
        """int64 (rows): number of the first cell of every row of level 0."""
        row = np.arange(self.rows, dtype=np.int64)
        return row * self.columns - (row * (row - 1) // 2 if self.triangle else 0)

    @property
    def size(self) -> int:
        """Cells of level 0."""
        return self.rows * (self.rows + 1) // 2 if self.triangle else self.rows * self.columns


@dataclass(frozen=True)
class CellSums:
    """Reads of the cells of one level: increasing numbers (int64), and sums (int64)."""

    number: Int64
    count: Int64


@jit
def _cell_numbers(row, column, first, depth, triangle, number):
    for k in range(len(row)):
        i, j = row[k] >> depth, column[k] >> depth
        value = first[i] + (j - i if triangle else j)
        for level in range(depth - 1, -1, -1):
            value = 4 * value + 2 * ((row[k] >> level) & 1) + ((column[k] >> level) & 1)
        number[k] = value


def cell_numbers(row: Int64, column: Int64, pyramid: Pyramid) -> Int64:
    """Numbers of cells of the last level.

    Parameters
    ----------
    row, column
        int64: bins of the last level; in a triangle ``row <= column``.
    pyramid
        All bins.
    """
    number = np.empty(len(row), dtype=np.int64)
    _cell_numbers(row, column, pyramid.first, pyramid.depth, pyramid.triangle, number)
    return number


@jit
def _cells_of_numbers(number, first, level, triangle, row, column):
    for k in range(len(number)):
        top = number[k] >> (2 * level)
        i = np.searchsorted(first, top, "right") - 1
        j = top - first[i] + (i if triangle else 0)
        for bit in range(2 * (level - 1), -1, -2):
            half = number[k] >> bit
            i = 2 * i + ((half >> 1) & 1)
            j = 2 * j + (half & 1)
        row[k], column[k] = i, j


def cells_of_numbers(number: Int64, level: int, pyramid: Pyramid) -> tuple[Int64, Int64]:
    """int64: rows and columns of cells of a level."""
    row, column = np.empty((2, len(number)), dtype=np.int64)
    _cells_of_numbers(number, pyramid.first, level, pyramid.triangle, row, column)
    return row, column


def add_cells(number: Int64, count: NDArray[np.integer]) -> CellSums:
    """Sum what has the same number.

    Parameters
    ----------
    number
        int64, in any order.
    count
        Integer: reads.
    """
    order = np.argsort(number, kind="stable")
    return _sums_of_sorted(number[order], count[order].astype(np.int64))


def merge_cells(parts: Sequence[CellSums]) -> CellSums:
    """Sums of all parts; of none there are none."""
    nothing = np.zeros(0, dtype=np.int64)
    return add_cells(
        np.concatenate([nothing, *(part.number for part in parts)]),
        np.concatenate([nothing, *(part.count for part in parts)]),
    )


def coarsen(cells: CellSums) -> CellSums:
    """Cells of the level before: each is the sum of its quarters."""
    return _sums_of_sorted(cells.number >> 2, cells.count)


def _sums_of_sorted(number: Int64, count: Int64) -> CellSums:
    if not len(number):
        return CellSums(number, count)
    start = np.flatnonzero(np.r_[True, np.diff(number) != 0])
    return CellSums(number[start], np.add.reduceat(count, start))
