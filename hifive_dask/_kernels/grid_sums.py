"""Sums over all pairs of the units of two bins, where bins are of one size: a series for each.

The middles of bins s apart are at a distance of s widths, so that one series for every s serves all
of its cells; see `pair_trees` for the series and its error. Only cells near the diagonal, and those
whose distances lie in two segments, are left to trees.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit
from hifive_dask._kernels.pair_sums import power_law
from hifive_dask._kernels.pair_trees import TERMS

__all__ = ["GridUnits", "grid_sums"]


class GridUnits(NamedTuple):
    """Units by bin.

    Parameters
    ----------
    mid
        int64 (n): positions in bp, not decreasing.
    weight
        float64 (n).
    edge
        int64 (bins + 1): units of bin b are ``edge[b]`` to ``edge[b + 1]``. They lie inside of it;
        of a bin where some do not, no cell is known.
    start
        int64 (bins): bp.
    number
        int64 (bins): increasing; a bin starts as many widths after another as its number is higher.
    width
        bp, of every bin.
    """

    mid: NDArray[np.int64]
    weight: NDArray[np.float64]
    edge: NDArray[np.int64]
    start: NDArray[np.int64]
    number: NDArray[np.int64]
    width: int


def grid_sums(
    units: GridUnits,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    thresholds: NDArray[np.int64],
    slope: NDArray[np.float64],
    intercept: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Sum of w_f w_g exp(intercept_k) d^slope_k over the pairs of two bins, if a series does.

    Parameters
    ----------
    units
        The bins.
    rows, cols
        int64: bins, in any order.
    thresholds, slope, intercept
        As for `pair_sums.power_sums_of_cells`.

    Returns
    -------
    cells
        float64 (len(rows), len(cols)), 0 where it is not known. Relative error below 1e-9 for
        weights that are not negative.
    known
        bool (len(rows), len(cols)).
    """
    bins = np.repeat(np.arange(len(units.start)), np.diff(units.edge))
    offset = (units.mid - units.start[bins]) / units.width - 0.5
    moment = np.zeros((len(units.start), TERMS))
    _add_moments(offset, units.weight, bins, moment)
    turned = moment * (-1.0) ** np.arange(TERMS)
    apart = np.abs(np.subtract.outer(units.number[rows], units.number[cols]))
    least, most = int(apart.min()), int(apart.max())
    terms, series = _series(np.arange(least, most + 1), units.width, thresholds, slope, intercept)
    cells = np.zeros(apart.shape)
    _add_series(moment, turned, rows, cols, apart - least, terms, series, cells)
    outside = np.bincount(bins, (offset < -0.5) | (offset >= 0.5), len(moment)) > 0
    known = (terms[apart - least] > 0) & ~outside[rows, None] & ~outside[cols]
    cells[~known] = 0
    return cells, known


def _series(
    apart: NDArray[np.int64],
    width: int,
    thresholds: NDArray[np.int64],
    slope: NDArray[np.float64],
    intercept: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Number of terms for bins so many widths apart, 0 if no series suffices, and its factors."""
    law = power_law(slope, intercept)
    segment = np.searchsorted(thresholds, (apart - 1) * width + 1, "left")
    alone = segment == np.searchsorted(thresholds, (apart + 1) * width - 1, "left")
    step = 1.0 / np.maximum(1, apart)
    enough = step[:, None] <= law.reach[0, segment, 1:]
    terms = np.where(alone & (apart > 1) & enough.any(axis=1), enough.argmax(axis=1) + 1, 0)
    with np.errstate(over="ignore"):  # only where the terms do not suffice
        logarithm = np.log(np.maximum(1, apart) * float(width))
        lead = np.exp(law.slope[segment] * logarithm + law.intercept[segment])
    factors = law.derivative[segment] * step[:, None] ** np.arange(TERMS)
    return terms, np.where(terms > 0, lead, 0.0)[:, None] * factors


@jit
def _add_moments(offset, weight, bins, moment):
    for k in range(len(offset)):
        term = weight[k]
        for m in range(moment.shape[1]):
            moment[bins[k], m] += term
            term *= offset[k] / (m + 1)


@jit
def _add_series(moment, turned, rows, cols, apart, terms, series, cells):
    for i in range(len(rows)):
        for j in range(len(cols)):
            low, high = min(rows[i], cols[j]), max(rows[i], cols[j])
            s = apart[i, j]
            total = 0.0
            for m in range(terms[s]):
                term = 0.0
                for k in range(m + 1):
                    term += turned[low, k] * moment[high, m - k]
                total += series[s, m] * term
            cells[i, j] = total
