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
def _add_to_cells(first, second, value, one, two, limit, cells):
    start1, bin1, place1 = one.first, one.bins, one.place
    start2, bin2, place2 = two.first, two.bins, two.place
    for k in range(len(first)):
        i1, j1 = first[k] - start1, second[k] - start1
        i2, j2 = first[k] - start2, second[k] - start2
        row_i = bin1[i1] if 0 <= i1 < len(bin1) else -1
        row_j = bin1[j1] if 0 <= j1 < len(bin1) else -1
        col_i = bin2[i2] if 0 <= i2 < len(bin2) else -1
        col_j = bin2[j2] if 0 <= j2 < len(bin2) else -1
        upper, lower = row_i >= 0 and col_j >= 0, row_j >= 0 and col_i >= 0
        if limit < TRANS and (upper or lower):
            distance = place2[j2] - place1[i1] if upper else place1[j1] - place2[i2]
            if limit < distance < TRANS:
                continue
        if upper:
            cells[row_i, col_j] += value[k]
        # The mirrored cell, unless it is the same one.
        if lower and not (row_i == row_j and col_i == col_j):
            cells[row_j, col_i] += value[k]


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
        Pairs of global units, the lower one first, and what to add.
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
