"""Pairs of units into the cells of a heatmap."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.binning import factor_of
from hifive_dask._kernels.jit import jit

__all__ = [
    "TRANS",
    "BinnedUnits",
    "Side",
    "add_to_cells",
    "impossible_pairs",
    "pair_cells",
    "pair_sums_of_cells",
]

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


class BinnedUnits(NamedTuple):
    """Consecutive units of one chromosome in consecutive bins of a heatmap.

    Parameters
    ----------
    number
        Number of the first bin.
    edge
        int64 (bins + 1): units of bin b are ``edge[b]`` to ``edge[b + 1]``.
    mid
        int32 (n): midpoints in bp, not decreasing.
    weight
        float64 (n).
    feature_bins
        int32 (n, features, 2): `indices` of `pair_factors`.
    """

    number: int
    edge: NDArray[np.int64]
    mid: NDArray[np.int32]
    weight: NDArray[np.float64]
    feature_bins: NDArray[np.int32]


@jit
def _cell(low, r, high, c, factors, thresholds, slope, intercept):
    """Sum over the pairs of bin r of `low` with bin c of `high`, which is the same or follows."""
    same = low.number + r == high.number + c
    total = 0.0
    for i in range(low.edge[r], low.edge[r + 1]):
        if low.weight[i] == 0.0:
            continue
        k = 0
        start = high.edge[c] + (i - low.edge[r] + 1 if same else 0)
        for j in range(start, high.edge[c + 1]):
            if high.weight[j] == 0.0:
                continue
            distance = high.mid[j] - low.mid[i]
            while k < len(thresholds) and distance > thresholds[k]:
                k += 1
            if intercept[k] == -np.inf:
                continue
            law = intercept[k]
            if slope[k] != 0.0:
                law += slope[k] * np.log(float(max(1, distance)))
            value = low.weight[i] * high.weight[j] * np.exp(law)
            total += value * factor_of(low.feature_bins[i], high.feature_bins[j], factors)
    return total


@jit
def _pair_cells(one, two, factors, thresholds, slope, intercept, cells):
    ahead = two.number - one.number
    for r in range(cells.shape[0]):
        for c in range(cells.shape[1]):
            mirrored = ahead + c
            if 0 <= mirrored < r and 0 <= r - ahead < cells.shape[1]:
                cells[r, c] = cells[mirrored, r - ahead]
            elif mirrored >= r:
                cells[r, c] = _cell(one, r, two, c, factors, thresholds, slope, intercept)
            else:
                cells[r, c] = _cell(two, c, one, r, factors, thresholds, slope, intercept)


def pair_cells(
    one: BinnedUnits,
    two: BinnedUnits,
    factors: NDArray[np.float32],
    thresholds: NDArray[np.int64],
    slope: NDArray[np.float64],
    intercept: NDArray[np.float64],
    cells: NDArray[np.float64],
) -> None:
    """Sum what is expected of every pair of units into the cells of a heatmap.

    That is the product of weights, of corrections of feature bins, and of ``exp(intercept)
    d^slope``.

    Parameters
    ----------
    one, two
        Rows and columns, on one chromosome.
    factors
        float32: `corrections` of `pair_factors`.
    thresholds
        int64 (K): segment k holds distances up to threshold k, bp.
    slope, intercept
        float64 (K + 1): of every segment of distance; minus infinity leaves it out.
    cells
        float64 (rows, columns), set in place. A pair inside one bin is added once.
    """
    _pair_cells(one, two, factors, thresholds, slope, intercept, cells)


@jit
def _pair_sums_of_cells(one, two, rows, cols, factors, thresholds, slope, intercept, cells):
    for k in range(len(rows)):
        cells[k] = _cell(one, rows[k], two, cols[k], factors, thresholds, slope, intercept)


def pair_sums_of_cells(
    one: BinnedUnits,
    two: BinnedUnits,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    factors: NDArray[np.float32],
    thresholds: NDArray[np.int64],
    slope: NDArray[np.float64],
    intercept: NDArray[np.float64],
) -> NDArray[np.float64]:
    """As `pair_cells`, for chosen cells: float64 sums of bins ``rows[k]`` and ``cols[k]``.

    No bin of `rows` comes after its bin of `cols`, unless distances do not matter.
    """
    cells = np.zeros(len(rows))
    _pair_sums_of_cells(one, two, rows, cols, factors, thresholds, slope, intercept, cells)
    return cells
