"""Observed partners of every unit, and the k-core."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["coverage", "k_core", "select_pairs"]

Int32 = NDArray[np.int32]


@jit
def _select_pairs(first, second, count, valid, mid, low, high, cis, keep_first, keep_second, keep):
    rows = 0
    for k in range(len(first)):
        i, j = first[k], second[k]
        if valid[i] == 0 or valid[j] == 0:
            continue
        if cis:
            distance = mid[j] - mid[i]
            if distance < low or (high > 0 and distance >= high):
                continue
        keep_first[rows] = i
        keep_second[rows] = j
        keep[rows] = count[k]
        rows += 1
    return rows


def select_pairs(
    first: Int32,
    second: Int32,
    count: Int32,
    valid: Int32,
    mid: Int32,
    *,
    mindistance: int,
    maxdistance: int,
    cis: bool,
) -> tuple[Int32, Int32, Int32]:
    """Rows of valid units with ``mindistance <= d < maxdistance``; 0 is no upper limit.

    Parameters
    ----------
    first, second, count
        int32: the rows; units are indices of `valid` and `mid`.
    valid, mid
        int32: units in use, and midpoints in bp.
    cis
        Whether the rows have a distance at all.
    """
    kept = np.empty_like(first), np.empty_like(second), np.empty_like(count)
    rows = _select_pairs(first, second, count, valid, mid, mindistance, maxdistance, cis, *kept)
    return kept[0][:rows], kept[1][:rows], kept[2][:rows]


@jit
def _coverage(first, second, valid, count):
    for k in range(len(first)):
        i, j = first[k], second[k]
        if valid[i] != 0 and valid[j] != 0:
            count[i] += 1
            if i != j:
                count[j] += 1


def coverage(first: Int32, second: Int32, valid: Int32) -> NDArray[np.int64]:
    """int64: rows of each unit whose both units are valid; a diagonal row counts once."""
    count = np.zeros(len(valid), dtype=np.int64)
    _coverage(first, second, valid, count)
    return count


@jit
def _k_core(first, second, valid, least, count):
    rows = 0
    for k in range(len(first)):
        i, j = first[k], second[k]
        if valid[i] != 0 and valid[j] != 0:
            first[rows], second[rows] = i, j
            rows += 1
            count[i] += 1
            if i != j:
                count[j] += 1
    largest = 0
    removed = False
    for i in range(len(valid)):
        largest = max(largest, count[i])
        if valid[i] != 0 and count[i] < least:
            valid[i] = 0
            removed = True
    # The k-core does not depend on the order of removals: units go as soon as they fall short.
    while removed:
        removed = False
        kept = 0
        for k in range(rows):
            i, j = first[k], second[k]
            if valid[i] != 0 and valid[j] != 0:
                first[kept], second[kept] = i, j
                kept += 1
                continue
            count[i] -= 1
            if i != j:
                count[j] -= 1
            for unit in (i, j):
                if valid[unit] != 0 and count[unit] < least:
                    valid[unit] = 0
                    removed = True
        rows = kept
    return largest


def k_core(first: Int32, second: Int32, valid: Int32, least: int) -> tuple[Int32, int]:
    """Largest subset of `valid` in which every unit keeps `least` rows, and the largest coverage.

    `first` and `second` are used as working space.
    """
    valid = valid.copy()
    largest = _k_core(first, second, valid, least, np.zeros(len(valid), dtype=np.int64))
    return valid, int(largest)
