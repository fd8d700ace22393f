"""Trees over positions, and the series by which two distant nodes are summed at once.

Positions are cut into consecutive groups, each with a binary tree whose nodes know the moments of
their positions. Two nodes whose distances all lie in one segment are summed by the Taylor series
about the distance D of their centres, in v = (d - D) / D. With t terms and ``abs(v) <= r`` the
remainder of one pair is at most

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

__all__ = [
    "LEAF",
    "STACK",
    "TERMS",
    "TOLERANCE",
    "PairTrees",
    "build_trees",
    "enough_terms",
    "power_series",
    "push",
    "reach_of",
    "segment_of",
    "segments_between",
    "split",
]

LEAF = 16  # positions of a leaf
TERMS = 8
TOLERANCE = 5e-10
STACK = 512  # pairs of nodes that wait, at most
_WIDEST = 0.5  # of any series


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
    stack = np.empty(STACK, dtype=np.int64)
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


def reach_of(
    error: Callable[[NDArray[np.float64]], NDArray[np.float64]], tolerance: float = TOLERANCE
) -> NDArray[np.float64]:
    """Largest r for every number of terms, the last axis of `error`, which grows with r."""
    low = np.zeros_like(error(np.zeros(TERMS + 1)))
    high = np.full_like(low, _WIDEST)
    for _ in range(20):
        middle = 0.5 * (low + high)
        good = error(middle) <= tolerance
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    return low


@lru_cache(maxsize=32)
def power_series(slopes: bytes, tolerance: float = TOLERANCE) -> tuple[NDArray[np.float64], ...]:
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

    return coefficient[:, :TERMS].copy(), derivative[:, :TERMS].copy(), reach_of(error, tolerance)


@jit
def enough_terms(reach, t, k, half, distance):
    """Number of terms that suffice for two nodes, more than `TERMS` if none does.

    `reach` is that of `reach_of`, by power t and segment k of a law.
    """
    if distance <= 0:
        return TERMS + 1
    r = half / distance
    terms = 1
    while terms <= TERMS and r > reach[t, k, terms]:
        terms += 1
    return terms


@jit
def segment_of(thresholds, distance, low, high):
    """Number of thresholds below a distance, known to be from `low` to `high`."""
    while low < high:
        middle = (low + high) // 2
        if thresholds[middle] < distance:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def segments_between(thresholds, mid, a_lo, a_hi, b_lo, b_hi, low, high):
    """Segments of the shortest and the longest distance of two nodes, among `low` to `high`."""
    low = segment_of(thresholds, max(0, mid[b_lo] - mid[a_hi - 1]), low, high)
    return low, segment_of(thresholds, mid[b_hi - 1] - mid[a_lo], low, high)


@jit
def push(stack, depth, a, b, low, high):
    stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3] = a, b, low, high
    return depth + 1


@jit
def split(left, right, half, a, b, low, high, stack, depth):
    """Push the pairs of a node and the halves of the wider one that has halves."""
    if a == b:
        depth = push(stack, depth, left[a], left[a], low, high)
        depth = push(stack, depth, left[a], right[a], low, high)
        return push(stack, depth, right[a], right[a], low, high)
    if left[b] < 0 or (left[a] >= 0 and half[a] >= half[b]):
        depth = push(stack, depth, left[a], b, low, high)
        return push(stack, depth, right[a], b, low, high)
    depth = push(stack, depth, a, left[b], low, high)
    return push(stack, depth, a, right[b], low, high)
