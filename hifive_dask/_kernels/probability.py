"""Likelihood of reads: the parts that are summed pair by pair."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.fast_products import Law, Terms, loss, mean_at
from hifive_dask._kernels.jit import jit
from hifive_dask._kernels.pair_rule import is_possible
from hifive_dask._kernels.pair_trees import segment_of

__all__ = [
    "STIFF",
    "Couplings",
    "Factors",
    "impossible_pairs",
    "listed_couplings",
    "listed_terms",
    "near_couplings",
    "no_factors",
    "pair_means",
    "plain_terms",
]

Int32 = NDArray[np.int32]
Float64 = NDArray[np.float64]
Factors = tuple[Int32, NDArray[np.float32]]  # fend_indices and corrections of a binning model

_PARTNERS = 200  # later units whose coupling with a unit is looked at
STIFF = 0.02  # coupling of a pair, relative to the curvature of its units, that counts


def no_factors(units: int) -> Factors:
    """Those of units without a binning model."""
    return np.zeros((units, 0, 2), dtype=np.int32), np.zeros(0, dtype=np.float32)


class Couplings(NamedTuple):
    """Second derivatives of the cost by the natural logs of two weights, where they are large.

    Parameters
    ----------
    first, second
        int32: units.
    value
        float64.
    """

    first: Int32
    second: Int32
    value: Float64


@jit
def _factor(i, j, indices, corrections):
    product = 1.0
    for h in range(indices.shape[1]):
        low, high = (i, j) if indices[i, h, 0] <= indices[j, h, 0] else (j, i)
        product *= corrections[indices[low, h, 1] + indices[high, h, 0]]
    return product


@jit
def _pair_means(first, second, mid, law, indices, corrections, mean):
    for row in range(len(first)):
        i, j = first[row], second[row]
        distance = mid[j] - mid[i]
        k = segment_of(law.thresholds, distance, 0, len(law.thresholds))
        mean[row] = mean_at(law.near, law.slope, law.intercept, k, distance) * _factor(
            i, j, indices, corrections
        )


def pair_means(
    first: Int32, second: Int32, mid: NDArray[np.int64], law: Law, factors: Factors
) -> Float64:
    """float64: what is expected of pairs of units, before their corrections.

    Parameters
    ----------
    first, second
        int32: units.
    mid
        int64 (n): midpoints in bp.
    law
        Of distance.
    factors
        Of a binning model, for the same units: feature bins int32 (n, features, 2), corrections.
    """
    mean = np.empty(len(first))
    _pair_means(first, second, mid, law, *factors, mean)
    return mean


@jit
def _impossible_pairs(unit, pairs):
    rows = 0
    for i in range(len(unit)):
        for j in range(i + 1, min(len(unit), i + 4)):
            if unit[j] - unit[i] < 4 and not is_possible(unit[i], unit[j], True):
                pairs[0, rows], pairs[1, rows] = i, j
                rows += 1
    return rows


def impossible_pairs(unit: NDArray[np.int64]) -> tuple[Int32, Int32]:
    """Pairs among some fends of one chromosome that cannot be observed.

    Parameters
    ----------
    unit
        int64 (n), increasing: numbers of the fends; 0 is a left fend.

    Returns
    -------
    first, second
        int32: places in `unit`.
    """
    pairs = np.empty((2, 3 * len(unit)), dtype=np.int32)
    rows = _impossible_pairs(unit, pairs)
    return pairs[0, :rows].copy(), pairs[1, :rows].copy()


@jit
def _listed_terms(first, second, mean, weight, edge, gradient, curvature, clipped):
    cost = 0.0
    for row in range(len(first)):
        i, j = first[row], second[row]
        value, slope, bend, beyond = loss((mean[row] * weight[i]) * weight[j], edge)
        cost += value
        if beyond:
            clipped[i] += 1
            clipped[j] += 1
        gradient[i] += slope
        gradient[j] += slope
        curvature[i] += bend
        curvature[j] += bend
    return cost


def listed_terms(first: Int32, second: Int32, mean: Float64, weight: Float64, edge: float) -> Terms:
    """Sum the losses of the pairs of a list.

    Parameters
    ----------
    first, second
        int32: units; a unit with itself is one pair, whose loss has twice the derivative.
    mean
        float64: of `pair_means`.
    weight
        float64 (n).
    edge
        Loss -ln(1 - q), continued from q = edge, see `Terms`; 0: loss q.
    """
    gradient, curvature = np.zeros((2, len(weight)))
    clipped = np.zeros(len(weight), dtype=np.int64)
    cost = _listed_terms(first, second, mean, weight, edge, gradient, curvature, clipped)
    return Terms(cost, gradient, curvature, clipped)


@jit
def _plain_terms(
    mid, unit, fends, law, indices, corrections, lo, hi, weight, edge, gradient, curvature, clipped
):
    cost = 0.0
    last = len(law.thresholds)
    for i in range(lo, hi):
        k = 0
        row, row_bend = 0.0, 0.0
        for j in range(i + 1, len(mid)):
            distance = mid[j] - mid[i]
            while k < last and distance > law.thresholds[k]:
                k += 1
            if law.intercept[k] == -np.inf:
                if k == last:
                    break
                continue
            if unit[j] - unit[i] < 4 and not is_possible(unit[i], unit[j], fends):
                continue
            mean = mean_at(law.near, law.slope, law.intercept, k, distance) * _factor(
                i, j, indices, corrections
            )
            value, slope, bend, beyond = loss((mean * weight[i]) * weight[j], edge)
            cost += value
            if beyond:
                clipped[i] += 1
                clipped[j] += 1
            row += slope
            row_bend += bend
            gradient[j] += slope
            curvature[j] += bend
        gradient[i] += row
        curvature[i] += row_bend
    return cost


def plain_terms(
    mid: NDArray[np.int64],
    unit: NDArray[np.int64],
    law: Law,
    factors: Factors,
    rows: tuple[int, int],
    weight: Float64,
    *,
    fends: bool,
    edge: float,
) -> Terms:
    """Sum the losses of all possible pairs i < j, one by one.

    Parameters
    ----------
    mid, unit
        int64 (n): midpoints in bp, and numbers in the chromosome, both increasing.
    law, factors
        See `pair_means`.
    rows
        Range of i.
    weight
        float64 (n).
    fends
        Whether the rule of impossible pairs holds.
    edge
        Loss -ln(1 - q), continued from q = edge, see `Terms`; 0: loss q.
    """
    gradient, curvature = np.zeros((2, len(weight)))
    clipped = np.zeros(len(weight), dtype=np.int64)
    cost = _plain_terms(
        mid, unit, fends, law, *factors, *rows, weight, edge, gradient, curvature, clipped
    )
    return Terms(cost, gradient, curvature, clipped)


@jit
def _listed_couplings(first, second, mean, weight, scale, edge, value):
    for row in range(len(first)):
        i, j = first[row], second[row]
        if 0 < j - i <= _PARTNERS:
            _, _, bend, _ = loss((mean[row] * weight[i]) * weight[j], edge)
            if bend > STIFF * np.sqrt(scale[i] * scale[j]):
                value[row] = bend


def listed_couplings(
    first: Int32, second: Int32, mean: Float64, weight: Float64, scale: Float64, edge: float
) -> Couplings:
    """Those of `near_couplings`, of the pairs of a list; for the parameters see `listed_terms`."""
    value = np.zeros(len(first))
    _listed_couplings(first, second, mean, weight, scale, edge, value)
    large = value > 0
    return Couplings(first[large], second[large], value[large])


@jit
def _least(bend, edge):
    """Smallest q whose second derivative is `bend`, infinite if none has."""
    if edge == 0.0:
        return bend
    if bend > edge / (1.0 - edge) ** 2:
        return np.inf
    return (2.0 * bend + 1.0 - np.sqrt(4.0 * bend + 1.0)) / (2.0 * bend)


@jit
def _near_couplings(
    mid, unit, fends, law, most, indices, corrections, lo, hi,
    weight, scale, highest, lowest, edge, pair, value,
):  # fmt: skip
    thresholds, near, slope, intercept = law.thresholds, law.near, law.slope, law.intercept
    last, rows = len(thresholds), 0
    for i in range(lo, hi):
        block = i // _PARTNERS
        least = _least(STIFF * np.sqrt(scale[i] * lowest[block]), edge)
        k = 0
        for j in range(i + 1, min(len(mid), i + 1 + _PARTNERS)):
            distance = mid[j] - mid[i]
            while k < last and distance > thresholds[k]:
                k += 1
            if most[k] * weight[i] * highest[block] < least:  # and so are all further pairs
                break
            q = mean_at(near, slope, intercept, k, distance) * _factor(i, j, indices, corrections)
            q = (q * weight[i]) * weight[j]
            if q < least or (unit[j] - unit[i] < 4 and not is_possible(unit[i], unit[j], fends)):
                continue
            _, _, bend, _ = loss(q, edge)
            if bend > STIFF * np.sqrt(scale[i] * scale[j]):
                if rows < len(value):
                    pair[0, rows], pair[1, rows], value[rows] = i, j, bend
                rows += 1
    return rows


def near_couplings(
    mid: NDArray[np.int64],
    unit: NDArray[np.int64],
    law: Law,
    factors: Factors,
    rows: tuple[int, int],
    weight: Float64,
    scale: Float64,
    *,
    fends: bool,
    edge: float,
) -> Couplings:
    """Couplings of possible pairs i < j above `STIFF` times sqrt(scale_i scale_j), j - i <= 200.

    Parameters
    ----------
    mid, unit, law, factors, rows, weight, fends, edge
        See `plain_terms`.
    scale
        float64 (n): second derivatives of the cost by the natural log of each weight, or more.
    """
    indices, corrections = factors
    most = np.maximum.accumulate(law.top[::-1])[::-1]  # of a segment and all later ones
    most = most * corrections.max(initial=0.0) ** indices.shape[1]
    blocks = np.arange(0, len(mid), _PARTNERS)  # partners of a unit are in its block or the next
    highest = np.maximum.reduceat(weight, blocks)
    highest = np.maximum(highest, np.r_[highest[1:], 0.0])
    lowest = np.minimum.reduceat(scale, blocks)
    lowest = np.minimum(lowest, np.r_[lowest[1:], np.inf])
    size = 4 * (rows[1] - rows[0])
    while True:
        pair, value = np.empty((2, size), dtype=np.int32), np.empty(size)
        found = _near_couplings(
            mid, unit, fends, law, most, *factors, *rows,
            weight, scale, highest, lowest, edge, pair, value,
        )  # fmt: skip
        if found <= size:
            return Couplings(pair[0, :found].copy(), pair[1, :found].copy(), value[:found].copy())
        size = found
