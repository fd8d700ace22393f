"""How many pairs there are of every class: by the feature bins of both units, and by distance.

A class tensor has, for every feature with B bins, an axis of its B (B + 1) / 2 pairs of bins (upper
triangle, row after row), and at the end an axis of distance bins. Here it is flat but for that.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["PairWindow", "add_pairs", "fold_classes", "window_classes"]

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


class PairWindow(NamedTuple):
    """Distances of cis pairs that count, and where their bins end.

    Parameters
    ----------
    low, high
        bp, both inclusive.
    thresholds
        int64 (K): bin k holds distances up to threshold k, the last bin those above.
    trans
        Distance bin of trans pairs.
    """

    low: int
    high: int
    thresholds: Int64
    trans: int


@jit
def _class_of(one, two, num_bins):
    """Index in the flat tensor, without distance, of the bins of two units."""
    index = 0
    for h in range(len(num_bins)):
        low, high = min(one[h], two[h]), max(one[h], two[h])
        size = num_bins[h]
        index = index * (size * (size + 1) // 2) + low * (size - 1) - low * (low - 1) // 2 + high
    return index


@jit
def _add_pairs(first, second, valid, mid, cis, window, bins, num_bins, tensor):
    thresholds = window.thresholds
    for row in range(len(first)):
        i, j = first[row], second[row]
        if valid[i] == 0 or valid[j] == 0:
            continue
        k = window.trans
        if cis:
            distance = mid[j] - mid[i]
            if distance < window.low or distance > window.high:
                continue
            k = np.searchsorted(thresholds, distance)
        tensor[_class_of(bins[i], bins[j], num_bins), k] += 1


def add_pairs(
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    valid: Int32,
    mid: Int32,
    cis: bool,
    window: PairWindow,
    bins: Int32,
    num_bins: Int32,
    tensor: Int64,
) -> None:
    """Count pairs of valid units into their classes.

    Parameters
    ----------
    first, second
        Integer (pairs): units, the first not beyond the second.
    valid, mid
        int32 (units): units in use, and midpoints in bp.
    cis
        Whether the pairs have a distance.
    window
        Which distances count.
    bins
        int32 (units, features): feature bins.
    num_bins
        int32 (features).
    tensor
        int64 (classes of bins, distance bins), changed in place.
    """
    _add_pairs(first, second, valid, mid, cis, window, bins, num_bins, tensor)


@jit
def _window_classes(mid, kind, low, high, start, count):
    stop, kinds = start + count.shape[0], count.shape[1]
    inside = np.zeros(kinds, dtype=np.int64)
    near, far = 0, 0
    for i in range(len(mid)):
        while far < len(mid) and mid[far] - mid[i] <= high:
            inside[kind[far]] += 1
            far += 1
        while near < far and (near <= i or mid[near] - mid[i] < low):
            inside[kind[near]] -= 1
            near += 1
        if near == far or kind[i] < start or kind[i] >= stop:
            continue
        row = count[kind[i] - start]
        if far - near < kinds // 8:
            for j in range(near, far):
                row[kind[j]] += 1
        else:
            for k in range(kinds):
                row[k] += inside[k]


def window_classes(mid: Int32, kind: Int32, low: int, high: int, start: int, count: Int64) -> None:
    """Count pairs i < j of one chromosome with ``low <= d <= high`` by the kinds of both units.

    A window moves along the chromosome and knows how many units of every kind it holds: the work
    is O(units times kinds), or less where the window holds few units.

    Parameters
    ----------
    mid, kind
        int32 (units): midpoints in bp, not decreasing; kinds.
    low, high
        bp, ``low <= high``.
    start
        Kind of i in the first row of `count`; pairs of other kinds of i are left out.
    count
        int64 (kinds of i, kinds), changed in place.
    """
    _window_classes(mid, kind, low, high, start, count)


@jit
def _fold_classes(count, start, bins, num_bins, tensor, distance_bin):
    for a in range(count.shape[0]):
        for b in range(count.shape[1]):
            if count[a, b] != 0:
                index = _class_of(bins[start + a], bins[b], num_bins)
                tensor[index, distance_bin] += count[a, b]


def fold_classes(
    count: Int64, start: int, bins: Int32, num_bins: Int32, tensor: Int64, distance_bin: int
) -> None:
    """Add counts by the kinds of both units to a class tensor.

    Parameters
    ----------
    count
        int64 (kinds of one unit, kinds of the other).
    start
        Kind of the first row.
    bins
        int32 (kinds, features): feature bins of every kind.
    num_bins
        int32 (features).
    tensor
        int64 (classes of bins, distance bins), changed in place.
    distance_bin
        Where to.
    """
    _fold_classes(count, start, bins, num_bins, tensor, distance_bin)
