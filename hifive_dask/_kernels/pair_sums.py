"""Sums over all pairs of many positions, without visiting every pair; see `pair_trees`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit
from hifive_dask._kernels.pair_trees import (
    LEAF,
    STACK,
    TERMS,
    PairTrees,
    enough_terms,
    power_series,
    push,
    reach_of,
    segments_between,
    split,
)

__all__ = [
    "PowerLaw",
    "leaf_powers",
    "log_sums",
    "power_law",
    "power_sums_of_cells",
    "series_sum",
]

_LARGE = 1e150  # of a product: times LEAF int32 distances it does not overflow


def _log_series() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Derivatives of ln(1 + v) at 0, and the reach of their series."""
    derivative = np.zeros(TERMS)
    derivative[1] = 1.0
    for m in range(2, TERMS):
        derivative[m] = -(m - 1) * derivative[m - 1]
    terms = np.maximum(1, np.arange(TERMS + 1))
    return derivative, reach_of(lambda r: r**terms / (terms * (1 - r)))[None, None]


class PowerLaw(NamedTuple):
    """exp(intercept) d^slope per segment, with the series of (1 + v)^slope."""

    slope: NDArray[np.float64]
    intercept: NDArray[np.float64]
    coefficient: NDArray[np.float64]
    derivative: NDArray[np.float64]
    reach: NDArray[np.float64]


def power_law(slope: NDArray[np.float64], intercept: NDArray[np.float64]) -> PowerLaw:
    s = np.where(np.isneginf(intercept), 0.0, slope)
    # Chromosomes differ in their intercepts only, and share the series.
    coefficient, derivative, reach = power_series(s.astype(np.float64).tobytes())
    return PowerLaw(s, intercept, coefficient, derivative, reach[None])


@jit
def series_sum(moment, a, b, step_a, step_b, derivative, terms, one, two):
    """Sum of w_i w_j f((x_j - x_i) / D) by the series of f about 1."""
    power_a, power_b = 1.0, 1.0
    total = 0.0
    for m in range(terms):
        one[m] = moment[a, m] * power_a
        two[m] = moment[b, m] * power_b
        power_a *= step_a
        power_b *= step_b
        term = 0.0
        for k in range(m + 1):
            term += one[k] * two[m - k]
        total += derivative[m] * term
    return total


@jit
def _leaf_logs(mid, a_lo, a_hi, b_lo, b_hi, low, high, thresholds, partner, count, logs):
    for i in range(a_lo, a_hi):
        partner[i - a_lo] = max(i + 1, b_lo)
    for k in range(low, high + 1):
        product = 1.0
        for i in range(a_lo, a_hi):
            start = j = partner[i - a_lo]
            limit = mid[i] + thresholds[k] if k < len(thresholds) else mid[b_hi - 1]
            row = 1.0
            while j < b_hi and mid[j] <= limit:
                row *= max(1, mid[j] - mid[i])
                j += 1
            partner[i - a_lo] = j
            count[k] += j - start
            product *= row
            if product > _LARGE:  # a logarithm costs more than many products
                logs[k] += np.log(product)
                product = 1.0
        logs[k] += np.log(product)


@jit
def _log_sums(trees, row_lo, row_hi, thresholds, derivative, reach, count, logs):
    mid, root, first, stop = trees.mid, trees.root, trees.first, trees.stop
    left, right, centre, half = trees.left, trees.right, trees.centre, trees.half
    moment = trees.moment
    stack = np.empty((STACK, 4), dtype=np.int64)
    partner = np.empty(LEAF, dtype=np.int64)
    one, two = np.empty(TERMS), np.empty(TERMS)
    for row in range(row_lo, row_hi):
        for other in range(row, len(root)):
            if root[row] < 0 or root[other] < 0:
                continue
            depth = push(stack, 0, root[row], root[other], 0, len(thresholds))
            while depth > 0:
                depth -= 1
                a, b = stack[depth, 0], stack[depth, 1]
                low, high = stack[depth, 2], stack[depth, 3]
                a_lo, a_hi, b_lo, b_hi = first[a], stop[a], first[b], stop[b]
                low, high = segments_between(thresholds, mid, a_lo, a_hi, b_lo, b_hi, low, high)
                distance = centre[b] - centre[a]
                terms = TERMS + 1
                if low == high:
                    terms = enough_terms(reach, 0, 0, half[a] + half[b], distance)
                if terms <= TERMS:
                    pairs = (a_hi - a_lo) * (b_hi - b_lo)
                    step_a, step_b = -half[a] / distance, half[b] / distance
                    rest = series_sum(moment, a, b, step_a, step_b, derivative, terms, one, two)
                    count[low] += pairs
                    logs[low] += pairs * np.log(distance) + rest
                elif left[a] < 0 and left[b] < 0:
                    _leaf_logs(
                        mid, a_lo, a_hi, b_lo, b_hi, low, high, thresholds, partner, count, logs
                    )
                else:
                    depth = split(left, right, half, a, b, low, high, stack, depth)


def log_sums(
    trees: PairTrees, row_lo: int, row_hi: int, thresholds: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Number of pairs, and sum of ln(distance), per segment of distance.

    Parameters
    ----------
    trees
        With weights 1.
    row_lo, row_hi
        Groups of the first position of a pair; the second lies in the same or any later group.
    thresholds
        int64 (K), not decreasing, bp: segment k holds distances above threshold k - 1, up to k.

    Returns
    -------
    count
        int64 (K + 1), exact.
    logs
        float64 (K + 1), natural log; distances below 1 count as 1. Relative error below 1e-9.
    """
    count = np.zeros(len(thresholds) + 1, dtype=np.int64)
    logs = np.zeros(len(thresholds) + 1)
    _log_sums(trees, row_lo, row_hi, thresholds, *_log_series(), count, logs)
    return count, logs


@jit
def leaf_powers(
    mid, weight, a_lo, a_hi, b_lo, b_hi, low, high, thresholds,
    slope, intercept, coefficient, reach, half, centre, partner,
):  # fmt: skip
    for i in range(a_lo, a_hi):
        partner[i - a_lo] = max(i + 1, b_lo)
    total = 0.0
    for k in range(low, high + 1):
        terms = enough_terms(reach, 0, k, half, centre)
        lead = np.exp(slope[k] * np.log(centre) + intercept[k]) if terms <= TERMS else 1.0
        part = 0.0
        for i in range(a_lo, a_hi):
            j = partner[i - a_lo]
            limit = mid[i] + thresholds[k] if k < len(thresholds) else mid[b_hi - 1]
            row = 0.0
            while j < b_hi and mid[j] <= limit:
                distance = float(max(1, mid[j] - mid[i]))
                if terms <= TERMS:  # the same series, much quicker than a power
                    v = (distance - centre) / centre
                    value = coefficient[k, terms - 1]
                    for m in range(terms - 2, -1, -1):
                        value = value * v + coefficient[k, m]
                else:
                    value = np.exp(slope[k] * np.log(distance) + intercept[k])
                row += weight[j] * value
                j += 1
            partner[i - a_lo] = j
            part += weight[i] * row
        total += part * lead
    return total


@jit
def _power_sums(trees, rows, cols, thresholds, law, cells):
    mid, weight, root, first, stop = trees.mid, trees.weight, trees.root, trees.first, trees.stop
    left, right, centre, half = trees.left, trees.right, trees.centre, trees.half
    moment = trees.moment
    slope, intercept, coefficient = law.slope, law.intercept, law.coefficient
    derivative, reach = law.derivative, law.reach
    stack = np.empty((STACK, 4), dtype=np.int64)
    partner = np.empty(LEAF, dtype=np.int64)
    one, two = np.empty(TERMS), np.empty(TERMS)
    for k in range(len(rows)):
        a, b = root[min(rows[k], cols[k])], root[max(rows[k], cols[k])]
        if a < 0 or b < 0:
            continue
        total = 0.0
        depth = push(stack, 0, a, b, 0, len(thresholds))
        while depth > 0:
            depth -= 1
            a, b = stack[depth, 0], stack[depth, 1]
            low, high = stack[depth, 2], stack[depth, 3]
            a_lo, a_hi, b_lo, b_hi = first[a], stop[a], first[b], stop[b]
            low, high = segments_between(thresholds, mid, a_lo, a_hi, b_lo, b_hi, low, high)
            distance, wide = centre[b] - centre[a], half[a] + half[b]
            terms = TERMS + 1
            if low == high:
                if intercept[low] == -np.inf:
                    continue
                terms = enough_terms(reach, 0, low, wide, distance)
            if terms <= TERMS:
                lead = np.exp(slope[low] * np.log(distance) + intercept[low])
                step_a, step_b = -half[a] / distance, half[b] / distance
                total += lead * series_sum(
                    moment, a, b, step_a, step_b, derivative[low], terms, one, two
                )
            elif left[a] < 0 and left[b] < 0:
                total += leaf_powers(
                    mid, weight, a_lo, a_hi, b_lo, b_hi, low, high, thresholds,
                    slope, intercept, coefficient, reach, wide, distance, partner,
                )  # fmt: skip
            else:
                depth = split(left, right, half, a, b, low, high, stack, depth)
        cells[k] = total


def power_sums_of_cells(
    trees: PairTrees,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    thresholds: NDArray[np.int64],
    slope: NDArray[np.float64],
    intercept: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sum of w_f w_g exp(intercept_k) max(1, d)^slope_k over the pairs of two groups.

    Parameters
    ----------
    trees
        The groups.
    rows, cols
        int64 (cells): numbers of both groups, in any order.
    thresholds
        int64 (K), not decreasing, bp: segment k holds distances above threshold k - 1, up to k.
    slope, intercept
        float64 (K + 1): a power law per segment. Intercepts are natural logarithms, since factors
        of steep slopes at long distances overflow; minus infinity leaves a segment out.

    Returns
    -------
    float64 (cells). A cell of a group with itself holds each pair of two positions once. Relative
    error below 1e-9, whatever the slope, for weights that are not negative.
    """
    cells = np.zeros(len(rows))
    _power_sums(trees, rows, cols, thresholds, power_law(slope, intercept), cells)
    return cells
