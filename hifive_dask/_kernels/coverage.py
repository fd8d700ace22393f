"""Observed partners of every unit, the k-core, and core numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["coverage", "k_core", "lower_cores", "select_pairs"]

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
    rows = len(first)
    removed = False
    for i in range(len(valid)):
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
                first[k], second[k] = first[kept], second[kept]
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
    return rows


def k_core(
    first: Int32, second: Int32, valid: Int32, least: int, count: NDArray[np.int64]
) -> tuple[Int32, int]:
    """Largest subset of `valid` in which every unit keeps `least` rows, and the number of its rows.

    Parameters
    ----------
    first, second
        int32: rows of valid units. Those of the core are moved to the front.
    valid
        int32: units to begin with.
    least
        Rows that a unit needs.
    count
        int64: `coverage` of these rows; used as working space.
    """
    valid = valid.copy()
    return valid, int(_k_core(first, second, valid, least, count))


@jit
def _lower_cores(first, second, core, most, inside, degree, start, near, stack):
    for k in range(len(first)):
        i, j = first[k], second[k]
        if inside[i]:
            degree[i] += 1
        if inside[j] and i != j:
            degree[j] += 1
    for i in range(len(core)):
        start[i + 1] = start[i] + degree[i]
    for k in range(len(first)):
        i, j = first[k], second[k]
        if inside[i]:
            near[start[i]] = j
            start[i] += 1
        if inside[j] and i != j:
            near[start[j]] = i
            start[j] += 1
    # `start` is now where the partners of each unit end.
    for least in range(1, most + 1):
        waiting = 0
        for i in range(len(core)):
            if inside[i] and degree[i] < least:
                inside[i] = False
                stack[waiting] = i
                waiting += 1
        while waiting > 0:
            waiting -= 1
            unit = stack[waiting]
            core[unit] = least - 1
            for k in range(start[unit - 1] if unit > 0 else 0, start[unit]):
                i = near[k]
                if inside[i]:
                    degree[i] -= 1
                    if degree[i] < least:
                        inside[i] = False
                        stack[waiting] = i
                        waiting += 1


def lower_cores(first: Int32, second: Int32, core: Int32, most: int) -> None:
    """Find the core numbers of all units outside of a core, in one pass over their rows.

    The core number of a unit is the largest k whose k-core holds it. Batagelj and Zaversnik, *An
    O(m) algorithm for cores decomposition of networks*, arXiv cs/0310049 (2003).

    Parameters
    ----------
    first, second
        int32: all rows with a unit outside of the core.
    core
        int32: `most` for units of the core; the core numbers of all others are put into it.
    most
        Rows that each unit of the core keeps.
    """
    inside = core < most
    partners = int(inside[first].sum() + (inside[second] & (first != second)).sum())
    degree, start = np.zeros(len(core), np.int64), np.zeros(len(core) + 1, np.int64)
    near, stack = np.empty(partners, np.int32), np.empty(len(core), np.int32)
    _lower_cores(first, second, core, most, inside, degree, start, near, stack)
