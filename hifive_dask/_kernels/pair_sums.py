"""Sums over all pairs of many positions, without visiting every pair.

Positions are cut into consecutive groups, each with a binary tree whose nodes know the moments of
their positions. Two nodes whose distances all lie in one segment are summed at once by the Taylor
series about the distance D of their centres, in u/D with u the offset of a pair from D: terms up to
order 9, only where ``abs(u)/D <= r`` with r = `REACH`. The remainder of one pair is below
``abs(C(s, 10)) r**10 / (1 - r)`` of its value for a power s, and ``r**10 / 10 / (1 - r)`` for ln;
with r = 0.1 that is about 1e-10 for -1 <= s <= 0 and 7e-9 for s = -3. Nodes across a threshold or
too wide are split; leaves are summed pair by pair.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["PairTrees", "build_trees", "log_sums", "power_sums"]

LEAF = 16  # positions of a leaf; products of this many distances must not overflow float64
REACH = 0.1
TERMS = 10
_STACK = 512


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
        float64 (nodes, 10): sum of w ((x - centre) / half)^m / m!.
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
        Integer (n): positions in bp, not decreasing.
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


@jit
def _series(trees, a, b, derivative):
    """Sum of w_i w_j f((x_j - x_i) / D) by the series of f about 1; `derivative` holds m! a_m."""
    distance = trees.centre[b] - trees.centre[a]
    step_a, step_b = -trees.half[a] / distance, trees.half[b] / distance
    one = np.empty(TERMS)
    two = np.empty(TERMS)
    power_a, power_b = 1.0, 1.0
    for m in range(TERMS):
        one[m] = trees.moment[a, m] * power_a
        two[m] = trees.moment[b, m] * power_b
        power_a *= step_a
        power_b *= step_b
    total = 0.0
    for m in range(TERMS):
        term = 0.0
        for k in range(m + 1):
            term += one[k] * two[m - k]
        total += derivative[m] * term
    return total


@jit
def _segment(thresholds, distance):
    """Number of thresholds below a distance."""
    lo, hi = 0, len(thresholds)
    while lo < hi:
        middle = (lo + hi) // 2
        if thresholds[middle] < distance:
            lo = middle + 1
        else:
            hi = middle
    return lo


@jit
def _direct_logs(mid, a_lo, a_hi, b_lo, b_hi, same, thresholds, count, logs):
    last = len(thresholds)
    for i in range(a_lo, a_hi):
        j = i + 1 if same else b_lo
        if j >= b_hi:
            continue
        k = _segment(thresholds, mid[j] - mid[i])
        while j < b_hi:
            product, start = 1.0, j
            limit = mid[i] + thresholds[k] if k < last else mid[b_hi - 1]
            while j < b_hi and mid[j] <= limit:
                product *= max(1, mid[j] - mid[i])
                j += 1
            if j > start:
                count[k] += j - start
                logs[k] += np.log(product)
            k += 1


@jit
def _split(trees, a, b, stack, depth):
    """Push the pairs of a node and the halves of the wider one that has halves."""
    if trees.left[b] < 0 or (trees.left[a] >= 0 and trees.half[a] >= trees.half[b]):
        stack[depth, 0], stack[depth, 1] = trees.left[a], b
        stack[depth + 1, 0], stack[depth + 1, 1] = trees.right[a], b
    else:
        stack[depth, 0], stack[depth, 1] = a, trees.left[b]
        stack[depth + 1, 0], stack[depth + 1, 1] = a, trees.right[b]
    return depth + 2


@jit
def _split_self(trees, a, stack, depth):
    left, right = trees.left[a], trees.right[a]
    stack[depth, 0], stack[depth, 1] = left, left
    stack[depth + 1, 0], stack[depth + 1, 1] = left, right
    stack[depth + 2, 0], stack[depth + 2, 1] = right, right
    return depth + 3


@jit
def _log_sums(trees, row_lo, row_hi, thresholds, derivative, count, logs):
    mid = trees.mid
    stack = np.empty((_STACK, 2), dtype=np.int64)
    for row in range(row_lo, row_hi):
        for other in range(row, len(trees.root)):
            if trees.root[row] < 0 or trees.root[other] < 0:
                continue
            stack[0, 0], stack[0, 1] = trees.root[row], trees.root[other]
            depth = 1
            while depth > 0:
                depth -= 1
                a, b = stack[depth, 0], stack[depth, 1]
                a_lo, a_hi, b_lo, b_hi = (
                    trees.first[a],
                    trees.stop[a],
                    trees.first[b],
                    trees.stop[b],
                )
                if a == b:
                    if trees.left[a] < 0:
                        _direct_logs(mid, a_lo, a_hi, b_lo, b_hi, True, thresholds, count, logs)
                    else:
                        depth = _split_self(trees, a, stack, depth)
                    continue
                wide = trees.half[a] + trees.half[b]
                distance = trees.centre[b] - trees.centre[a]
                if wide <= REACH * distance:
                    k = _segment(thresholds, mid[b_lo] - mid[a_hi - 1])
                    if k == _segment(thresholds, mid[b_hi - 1] - mid[a_lo]):
                        pairs = (a_hi - a_lo) * (b_hi - b_lo)
                        count[k] += pairs
                        logs[k] += pairs * np.log(distance) + _series(trees, a, b, derivative)
                        continue
                if trees.left[a] < 0 and trees.left[b] < 0:
                    _direct_logs(mid, a_lo, a_hi, b_lo, b_hi, False, thresholds, count, logs)
                else:
                    depth = _split(trees, a, b, stack, depth)


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
        int64 (K), increasing, bp: segment k holds distances above threshold k - 1, up to k.

    Returns
    -------
    count
        int64 (K + 1), exact.
    logs
        float64 (K + 1), natural log; distances below 1 count as 1. Relative error below 1e-9.
    """
    count = np.zeros(len(thresholds) + 1, dtype=np.int64)
    logs = np.zeros(len(thresholds) + 1)
    # m! times the coefficients of ln(1 + u): 0, 1, -1, 2, -6, ...
    derivative = np.zeros(TERMS)
    value = 1.0
    for m in range(1, TERMS):
        derivative[m] = value
        value *= -m
    _log_sums(trees, row_lo, row_hi, thresholds, derivative, count, logs)
    return count, logs


@jit
def _direct_powers(trees, a_lo, a_hi, b_lo, b_hi, same, thresholds, slope, scale):
    mid, weight = trees.mid, trees.weight
    total = 0.0
    for i in range(a_lo, a_hi):
        j = i + 1 if same else b_lo
        if j >= b_hi:
            continue
        k = _segment(thresholds, mid[j] - mid[i])
        row = 0.0
        while j < b_hi:
            distance = mid[j] - mid[i]
            while k < len(thresholds) and distance > thresholds[k]:
                k += 1
            if scale[k] != 0:
                row += weight[j] * scale[k] * np.exp(slope[k] * np.log(float(max(1, distance))))
            j += 1
        total += weight[i] * row
    return total


@jit
def _power_sum(trees, root_a, root_b, thresholds, slope, scale, derivative, stack):
    mid = trees.mid
    total = 0.0
    stack[0, 0], stack[0, 1] = root_a, root_b
    depth = 1
    while depth > 0:
        depth -= 1
        a, b = stack[depth, 0], stack[depth, 1]
        a_lo, a_hi, b_lo, b_hi = trees.first[a], trees.stop[a], trees.first[b], trees.stop[b]
        if a == b:
            if trees.left[a] < 0:
                total += _direct_powers(
                    trees, a_lo, a_hi, b_lo, b_hi, True, thresholds, slope, scale
                )
            else:
                depth = _split_self(trees, a, stack, depth)
            continue
        nearest = mid[b_lo] - mid[a_hi - 1]
        k = _segment(thresholds, nearest)
        one_segment = k == _segment(thresholds, mid[b_hi - 1] - mid[a_lo])
        if one_segment and scale[k] == 0:
            continue
        distance = trees.centre[b] - trees.centre[a]
        if one_segment and nearest > 0 and trees.half[a] + trees.half[b] <= REACH * distance:
            value = _series(trees, a, b, derivative[k])
            total += value * scale[k] * np.exp(slope[k] * np.log(distance))
        elif trees.left[a] < 0 and trees.left[b] < 0:
            total += _direct_powers(trees, a_lo, a_hi, b_lo, b_hi, False, thresholds, slope, scale)
        else:
            depth = _split(trees, a, b, stack, depth)
    return total


@jit
def _power_sums(trees, rows, cols, thresholds, slope, scale, derivative, cells):
    stack = np.empty((_STACK, 2), dtype=np.int64)
    for r in range(len(rows)):
        for c in range(len(cols)):
            a, b = trees.root[min(rows[r], cols[c])], trees.root[max(rows[r], cols[c])]
            if a >= 0 and b >= 0:
                cells[r, c] = _power_sum(trees, a, b, thresholds, slope, scale, derivative, stack)


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
        int64 (K), increasing, bp: segment k holds distances above threshold k - 1, up to k.
    slope, scale
        float64 (K + 1): a power law per segment; a scale of 0 leaves a segment out.

    Returns
    -------
    float64 (len(rows), len(cols)). A cell of a group with itself holds each pair of two positions
    once. Relative error below 1e-9 for slopes from -1.5 to 0, below 1e-8 for slopes from -3 to 1.
    """
    # m! times the coefficients of (1 + u)^s: 1, s, s (s - 1), ...
    derivative = np.ones((len(slope), TERMS))
    for m in range(1, TERMS):
        derivative[:, m] = derivative[:, m - 1] * (slope - (m - 1))
    cells = np.zeros((len(rows), len(cols)))
    _power_sums(trees, rows, cols, thresholds, slope, scale, derivative, cells)
    return cells
