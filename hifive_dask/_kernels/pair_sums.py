"""Sums over all pairs of many positions, without visiting every pair.

Positions are cut into consecutive groups, each with a binary tree whose nodes know the moments of
their positions. Two nodes whose distances all lie in one segment are summed at once by the Taylor
series about the distance D of their centres, in v = (d - D) / D. With t terms and ``abs(v) <= r``
the remainder of one pair is at most

- ln(1 + v): ``r^t / (t (1 - r))``,
- (1 + v)^s: ``abs(C(s, t)) r^t / (1 - q r)``, where ``q = max(1, abs(t - s) / (t + 1))`` bounds the
  ratio of consecutive coefficients,

and the sum takes the fewest terms that keep this below `TOLERANCE`: for ln absolutely, for a power
relative to the smallest (1 + v)^s. Nodes for which `TERMS` do not suffice, or across a threshold,
are split; leaves are summed pair by pair.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["PairTrees", "build_trees", "log_sums", "power_sums"]

LEAF = 10  # positions of a leaf
TERMS = 8
TOLERANCE = 5e-10
_WIDEST = 0.5  # of any series
_STACK = 512
_LARGE = 1e200  # of a product: times LEAF int32 distances it does not overflow


class PairTrees(NamedTuple):
    """Trees over groups of positions.

    Parameters
    ----------
    mid
        int64 (n): positions in bp, not decreasing.
    weight
        float64 (n).
    root
        int64 (groups): root node, -1 for an empty group.
    first, stop
        int64 (nodes): range of positions.
    left, right
        int64 (nodes): children, -1 for leaves.
    centre, half
        float64 (nodes): middle and half of the range, bp.
    moment
        float64 (nodes, TERMS): sum of w ((x - centre) / half)^m / m!.
    """

    mid: NDArray[np.int64]
    weight: NDArray[np.float64]
    root: NDArray[np.int64]
    first: NDArray[np.int64]
    stop: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    centre: NDArray[np.float64]
    half: NDArray[np.float64]
    moment: NDArray[np.float64]


@jit
def _build_trees(mid, weight, edges, root, first, stop, left, right, centre, half, moment):
    nodes = 0
    stack = np.empty(_STACK, dtype=np.int64)
    for group in range(len(root)):
        root[group] = -1
        if edges[group] == edges[group + 1]:
            continue
        root[group] = nodes
        first[nodes], stop[nodes] = edges[group], edges[group + 1]
        stack[0] = nodes
        depth = 1
        nodes += 1
        while depth > 0:
            depth -= 1
            node = stack[depth]
            lo, hi = first[node], stop[node]
            centre[node] = 0.5 * (mid[lo] + mid[hi - 1])
            half[node] = 0.5 * (mid[hi - 1] - mid[lo])
            scale = 1.0 / half[node] if half[node] > 0 else 0.0
            for i in range(lo, hi):
                offset = (mid[i] - centre[node]) * scale
                term = weight[i]
                for m in range(TERMS):
                    moment[node, m] += term
                    term *= offset / (m + 1)
            left[node] = right[node] = -1
            if hi - lo > LEAF:
                middle = (lo + hi) // 2
                left[node], right[node] = nodes, nodes + 1
                first[nodes], stop[nodes] = lo, middle
                first[nodes + 1], stop[nodes + 1] = middle, hi
                stack[depth], stack[depth + 1] = nodes, nodes + 1
                depth += 2
                nodes += 2
    return nodes


def build_trees(
    mid: NDArray[np.integer], weight: NDArray[np.float64], edges: NDArray[np.int64]
) -> PairTrees:
    """Build one tree for every group of positions ``edges[g]`` to ``edges[g + 1]``.

    Parameters
    ----------
    mid
        Integer (n): positions in bp, not decreasing; distances below 2^31.
    weight
        float64 (n).
    edges
        int64 (groups + 1), from 0 to n, not decreasing.
    """
    n, groups = len(mid), len(edges) - 1
    size = 4 * n // LEAF + 2 * groups + 2
    position = mid.astype(np.int64)
    weight = np.ascontiguousarray(weight, dtype=np.float64)
    root = np.empty(groups, dtype=np.int64)
    first, stop, left, right = (np.empty(size, dtype=np.int64) for _ in range(4))
    centre, half, moment = np.empty(size), np.empty(size), np.zeros((size, TERMS))
    nodes = _build_trees(
        position, weight, edges, root, first, stop, left, right, centre, half, moment
    )
    used = slice(0, nodes)
    return PairTrees(
        position, weight, root, first[used].copy(), stop[used].copy(), left[used].copy(),
        right[used].copy(), centre[used].copy(), half[used].copy(), moment[used].copy(),
    )  # fmt: skip


def _reach(error: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Largest r for every number of terms, the last axis of `error`, which grows with r."""
    low = np.zeros_like(error(np.zeros(TERMS + 1)))
    high = np.full_like(low, _WIDEST)
    for _ in range(20):
        middle = 0.5 * (low + high)
        good = error(middle) <= TOLERANCE
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    return low


def _log_series() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Derivatives of ln(1 + v) at 0, and the reach of their series."""
    derivative = np.zeros(TERMS)
    derivative[1] = 1.0
    for m in range(2, TERMS):
        derivative[m] = -(m - 1) * derivative[m - 1]
    terms = np.maximum(1, np.arange(TERMS + 1))
    return derivative, _reach(lambda r: r**terms / (terms * (1 - r)))


class _PowerLaw(NamedTuple):
    """exp(intercept) d^slope per segment, with the series of (1 + v)^slope."""

    slope: NDArray[np.float64]
    intercept: NDArray[np.float64]
    coefficient: NDArray[np.float64]
    derivative: NDArray[np.float64]
    reach: NDArray[np.float64]


@lru_cache(maxsize=32)
def _power_series(slopes: bytes) -> tuple[NDArray[np.float64], ...]:
    """Coefficients and derivatives of (1 + v)^slope for float64 slopes, and the reach."""
    s = np.frombuffer(slopes)[:, None]
    terms = np.arange(TERMS + 1.0)
    derivative, coefficient = np.ones((2, len(s), TERMS + 1))
    for m in range(TERMS):
        derivative[:, m + 1] = derivative[:, m] * (s[:, 0] - m)
        coefficient[:, m + 1] = coefficient[:, m] * (s[:, 0] - m) / (m + 1)
    ratio = np.maximum(1, np.abs(terms - s) / (terms + 1))

    def error(r: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(all="ignore"):  # what is not finite is not below the tolerance
            smallest = np.minimum((1 - r) ** s, (1 + r) ** s)
            bound = np.abs(coefficient) * r**terms / (1 - ratio * r) / smallest
        return np.where(ratio * r < 1, bound, np.inf)

    return coefficient[:, :TERMS].copy(), derivative[:, :TERMS].copy(), _reach(error)


def _power_law(slope: NDArray[np.float64], scale: NDArray[np.float64]) -> _PowerLaw:
    used = np.asarray(scale) > 0
    s = np.where(used, slope, 0.0)
    # Steep slopes at long distances overflow without logarithms.
    intercept = np.full(len(s), -np.inf)
    np.log(scale, out=intercept, where=used)
    # Chromosomes differ in scale only, and share the series.
    return _PowerLaw(s, intercept, *_power_series(s.astype(np.float64).tobytes()))


@jit
def _terms(reach, half, distance):
    """Number of terms that suffice for two nodes, more than `TERMS` if none does."""
    if distance <= 0:
        return TERMS + 1
    r = half / distance
    terms = 1
    while terms <= TERMS and r > reach[terms]:
        terms += 1
    return terms


@jit
def _series(moment, a, b, step_a, step_b, derivative, terms, one, two):
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
def _segment(thresholds, distance, low, high):
    """Number of thresholds below a distance, known to be from `low` to `high`."""
    while low < high:
        middle = (low + high) // 2
        if thresholds[middle] < distance:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def _push(stack, depth, a, b, low, high):
    stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3] = a, b, low, high
    return depth + 1


@jit
def _split(left, right, half, a, b, low, high, stack, depth):
    """Push the pairs of a node and the halves of the wider one that has halves."""
    if a == b:
        depth = _push(stack, depth, left[a], left[a], low, high)
        depth = _push(stack, depth, left[a], right[a], low, high)
        return _push(stack, depth, right[a], right[a], low, high)
    if left[b] < 0 or (left[a] >= 0 and half[a] >= half[b]):
        depth = _push(stack, depth, left[a], b, low, high)
        return _push(stack, depth, right[a], b, low, high)
    depth = _push(stack, depth, a, left[b], low, high)
    return _push(stack, depth, a, right[b], low, high)


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
    stack = np.empty((_STACK, 4), dtype=np.int64)
    partner = np.empty(LEAF, dtype=np.int64)
    one, two = np.empty(TERMS), np.empty(TERMS)
    for row in range(row_lo, row_hi):
        for other in range(row, len(root)):
            if root[row] < 0 or root[other] < 0:
                continue
            depth = _push(stack, 0, root[row], root[other], 0, len(thresholds))
            while depth > 0:
                depth -= 1
                a, b = stack[depth, 0], stack[depth, 1]
                low, high = stack[depth, 2], stack[depth, 3]
                a_lo, a_hi, b_lo, b_hi = first[a], stop[a], first[b], stop[b]
                low = _segment(thresholds, max(0, mid[b_lo] - mid[a_hi - 1]), low, high)
                high = _segment(thresholds, mid[b_hi - 1] - mid[a_lo], low, high)
                distance = centre[b] - centre[a]
                terms = TERMS + 1
                if low == high:
                    terms = _terms(reach, half[a] + half[b], distance)
                if terms <= TERMS:
                    pairs = (a_hi - a_lo) * (b_hi - b_lo)
                    step_a, step_b = -half[a] / distance, half[b] / distance
                    rest = _series(moment, a, b, step_a, step_b, derivative, terms, one, two)
                    count[low] += pairs
                    logs[low] += pairs * np.log(distance) + rest
                elif left[a] < 0 and left[b] < 0:
                    _leaf_logs(
                        mid, a_lo, a_hi, b_lo, b_hi, low, high, thresholds, partner, count, logs
                    )
                else:
                    depth = _split(left, right, half, a, b, low, high, stack, depth)


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
def _leaf_powers(
    mid, weight, a_lo, a_hi, b_lo, b_hi, low, high, thresholds,
    slope, intercept, coefficient, reach, half, centre, partner,
):  # fmt: skip
    for i in range(a_lo, a_hi):
        partner[i - a_lo] = max(i + 1, b_lo)
    total = 0.0
    for k in range(low, high + 1):
        terms = _terms(reach[k], half, centre)
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
    stack = np.empty((_STACK, 4), dtype=np.int64)
    partner = np.empty(LEAF, dtype=np.int64)
    one, two = np.empty(TERMS), np.empty(TERMS)
    for r in range(len(rows)):
        for c in range(len(cols)):
            a, b = root[min(rows[r], cols[c])], root[max(rows[r], cols[c])]
            if a < 0 or b < 0:
                continue
            total = 0.0
            depth = _push(stack, 0, a, b, 0, len(thresholds))
            while depth > 0:
                depth -= 1
                a, b = stack[depth, 0], stack[depth, 1]
                low, high = stack[depth, 2], stack[depth, 3]
                a_lo, a_hi, b_lo, b_hi = first[a], stop[a], first[b], stop[b]
                low = _segment(thresholds, max(0, mid[b_lo] - mid[a_hi - 1]), low, high)
                high = _segment(thresholds, mid[b_hi - 1] - mid[a_lo], low, high)
                distance, wide = centre[b] - centre[a], half[a] + half[b]
                terms = TERMS + 1
                if low == high:
                    if intercept[low] == -np.inf:
                        continue
                    terms = _terms(reach[low], wide, distance)
                if terms <= TERMS:
                    lead = np.exp(slope[low] * np.log(distance) + intercept[low])
                    step_a, step_b = -half[a] / distance, half[b] / distance
                    total += lead * _series(
                        moment, a, b, step_a, step_b, derivative[low], terms, one, two
                    )
                elif left[a] < 0 and left[b] < 0:
                    total += _leaf_powers(
                        mid, weight, a_lo, a_hi, b_lo, b_hi, low, high, thresholds,
                        slope, intercept, coefficient, reach, wide, distance, partner,
                    )  # fmt: skip
                else:
                    depth = _split(left, right, half, a, b, low, high, stack, depth)
            cells[r, c] = total


def power_sums(
    trees: PairTrees,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    thresholds: NDArray[np.int64],
    slope: NDArray[np.float64],
    scale: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sum of w_f w_g scale_k max(1, d)^slope_k over the pairs of two groups, for many groups.

    Parameters
    ----------
    trees
        The groups.
    rows, cols
        int64: numbers of groups, in any order.
    thresholds
        int64 (K), not decreasing, bp: segment k holds distances above threshold k - 1, up to k.
    slope, scale
        float64 (K + 1): a power law per segment; scales are not negative, 0 leaves a segment out.

    Returns
    -------
    float64 (len(rows), len(cols)). A cell of a group with itself holds each pair of two positions
    once. Relative error below 1e-9, whatever the slope, for weights that are not negative.
    """
    cells = np.zeros((len(rows), len(cols)))
    _power_sums(trees, rows, cols, thresholds, _power_law(slope, scale), cells)
    return cells
