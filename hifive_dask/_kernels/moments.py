"""Moments of any interval of sorted positions: a tree of them, and their sum about any middle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit
from hifive_dask._kernels.pair_trees import LEAF, TERMS

__all__ = ["build_moments", "interval_moments"]

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_INVERSE = 1.0 / np.arange(1, TERMS + 2)


@jit
def _add_units(mid, weight, lo, hi, centre, scale, terms, moment):
    for i in range(lo, hi):
        offset = (mid[i] - centre) * scale
        term = weight[i]
        for m in range(terms):
            moment[m] += term
            term *= offset * _INVERSE[m]


@jit
def _add_node(tree, node, centre, scale, terms, power, moment):
    """Add a node, seen from another centre."""
    offset, ratio = (tree[node, 0] - centre) * scale, tree[node, 1] * scale
    power[0] = 1.0
    for m in range(1, terms):
        power[m] = power[m - 1] * offset * _INVERSE[m - 1]
    shrunk = 1.0
    for s in range(terms):
        own = tree[node, 2 + s] * shrunk
        for m in range(s, terms):
            moment[m] += own * power[m - s]
        shrunk *= ratio


@jit
def interval_moments(tree, mid, weight, lo, hi, terms, power, moment):
    """Moments of the units of an interval about its middle, relative to half of its length."""
    centre, half = 0.5 * (mid[hi - 1] + mid[lo]), 0.5 * (mid[hi - 1] - mid[lo])
    scale = 1.0 / half if half > 0 else 0.0
    moment[:terms] = 0.0
    left, right = -(-lo // LEAF), hi // LEAF
    if left >= right:
        _add_units(mid, weight, lo, hi, centre, scale, terms, moment)
        return
    _add_units(mid, weight, lo, left * LEAF, centre, scale, terms, moment)
    _add_units(mid, weight, right * LEAF, hi, centre, scale, terms, moment)
    left, right = left + len(tree) // 2, right + len(tree) // 2
    while left < right:
        if left & 1:
            _add_node(tree, left, centre, scale, terms, power, moment)
            left += 1
        if right & 1:
            right -= 1
            _add_node(tree, right, centre, scale, terms, power, moment)
        left >>= 1
        right >>= 1


@jit
def _build_moments(mid, weight, tree):
    size = LEAF
    first = len(tree) // 2
    while first > 0:
        for k in range(first):
            lo, hi = k * size, min((k + 1) * size, len(mid))
            if lo >= hi:
                break
            node = tree[first + k]
            node[0], node[1] = 0.5 * (mid[hi - 1] + mid[lo]), 0.5 * (mid[hi - 1] - mid[lo])
            scale = 1.0 / node[1] if node[1] > 0 else 0.0
            _add_units(mid, weight, lo, hi, node[0], scale, TERMS, node[2:])
        first //= 2
        size *= 2


def build_moments(mid: Int64, weight: Float64) -> Float64:
    """Build a tree of moments over units; their positions do not decrease.

    Returns
    -------
    float64 (nodes, 2 + TERMS): middle and half of the range of a node in bp, and the sums of
    w ((x - middle) / half)^m / m!. The second half of the nodes are leaves of `LEAF` units, node k
    has the units of nodes 2 k and 2 k + 1, and node 1 has all.
    """
    leaves = 1
    while leaves * LEAF < len(mid):
        leaves *= 2
    tree = np.zeros((2 * leaves, 2 + TERMS))
    _build_moments(mid, weight, tree)
    return tree
