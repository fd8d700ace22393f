"""Pairs of units into the cells of a heatmap."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["add_to_cells", "impossible_pairs"]

Value = TypeVar("Value", np.int64, np.float64)


@jit
def _add_to_cells(first, second, value, start1, bin1, start2, bin2, cells):
    for k in range(len(first)):
        i1, j1 = first[k] - start1, second[k] - start1
        i2, j2 = first[k] - start2, second[k] - start2
        row_i = bin1[i1] if 0 <= i1 < len(bin1) else -1
        row_j = bin1[j1] if 0 <= j1 < len(bin1) else -1
        col_i = bin2[i2] if 0 <= i2 < len(bin2) else -1
        col_j = bin2[j2] if 0 <= j2 < len(bin2) else -1
        if row_i >= 0 and col_j >= 0:
            cells[row_i, col_j] += value[k]
        # The mirrored cell, unless it is the same one.
        if row_j >= 0 and col_i >= 0 and not (row_i == row_j and col_i == col_j):
            cells[row_j, col_i] += value[k]


def add_to_cells(
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    value: NDArray[np.generic],
    start1: int,
    bin1: NDArray[np.int32],
    start2: int,
    bin2: NDArray[np.int32],
    cells: NDArray[Value],
) -> None:
    """Add values of pairs to the cells they lie in, seen from both sides.

    Parameters
    ----------
    first, second, value
        Pairs of global units and what to add.
    start1, bin1, start2, bin2
        For both axes: first unit, and row or column (int32) of it and the following units.
    cells
        (rows, columns), changed in place. A pair inside one bin is added once.
    """
    _add_to_cells(first, second, value, start1, bin1, start2, bin2, cells)


def impossible_pairs(
    valid: NDArray[np.int32], lo: int, hi: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of valid fends among ``lo`` to ``hi`` of a chromosome that cannot be observed.

    That is (f, f + 1), and (f, f + 3) for even f.
    """
    unit = np.arange(lo, hi)
    near = unit[: max(0, hi - lo - 1)]
    near = near[(valid[near] > 0) & (valid[near + 1] > 0)]
    even = unit[: max(0, hi - lo - 3)]
    even = even[(even % 2 == 0) & (valid[even] > 0) & (valid[even + 3] > 0)]
    return np.concatenate([near, even]), np.concatenate([near + 1, even + 3])
