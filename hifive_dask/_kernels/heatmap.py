"""Pairs of units into the cells of a heatmap."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["TRANS", "Side", "add_to_cells", "impossible_pairs"]

TRANS = 1 << 31  # above every distance in bp, below any difference of places in trans
Value = TypeVar("Value", np.int64, np.float64)


class Side(NamedTuple):
    """One axis of a heatmap.

    Parameters
    ----------
    first
        Its first unit.
    bins
        int32: row or column of this and the following units, -1 for units not in use.
    place
        int64: midpoint in bp plus 4 `TRANS` for every chromosome before.
    """

    first: int
    bins: NDArray[np.int32]
    place: NDArray[np.int64]


@jit
def _cell(i, j, one, two, limit):
    """Row and column of unit i on the first axis and j on the second; -1, -1 if there is none."""
    i, j = i - one.first, j - two.first
    if i < 0 or j < 0 or i >= len(one.bins) or j >= len(two.bins):
        return -1, -1
    row, column = one.bins[i], two.bins[j]
    if row < 0 or column < 0 or limit < abs(two.place[j] - one.place[i]) < TRANS:
        return -1, -1
    return row, column


@jit
def _add_to_cells(first, second, value, one, two, limit, cells):
    for k in range(len(first)):
        row, column = _cell(first[k], second[k], one, two, limit)
        if row >= 0:
            cells[row, column] += value[k]
        # The mirrored cell, unless it is the same one.
        other, across = _cell(second[k], first[k], one, two, limit)
        if other >= 0 and not (row == other and column == across):
            cells[other, across] += value[k]


def add_to_cells(
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    value: NDArray[np.generic],
    one: Side,
    two: Side,
    cells: NDArray[Value],
    *,
    limit: int = TRANS,
) -> None:
    """Add values of pairs to the cells they lie in, seen from both sides.

    Parameters
    ----------
    first, second, value
        Pairs of global units and what to add.
    one, two
        Rows and columns.
    cells
        (rows, columns), changed in place. A pair inside one bin is added once.
    limit
        bp: largest distance of a cis pair.
    """
    _add_to_cells(first, second, value, one, two, limit, cells)


def impossible_pairs(
    first: int, chrom: NDArray[np.int32], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of valid fends among consecutive ones that cannot be observed.

    That is (f, f + 1), and (f, f + 3) for even f, on one chromosome.

    Parameters
    ----------
    first
        The first fend.
    chrom, valid
        Chromosome of this and the following fends, and whether they are in use.

    Returns
    -------
    int64: both fends, counted from `first`.
    """
    pairs = []
    for step in (1, 3):
        near = np.arange(max(0, len(valid) - step))
        far = near + step
        possible = valid[near] & valid[far] & (chrom[near] == chrom[far])
        if step == 3:
            possible &= (near + first) % 2 == 0
        pairs.append((near[possible], far[possible]))
    return np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])
