"""Read pairs that are the same within a few bp: sets of keys that neighbours of neighbours join."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit
from hifive_dask._kernels.reads import TileTables, tile_of

__all__ = ["near_border", "near_sets"]


@jit
def _first_of(parent, k):
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@jit
def _join(parent, a, b):
    one, two = _first_of(parent, a), _first_of(parent, b)
    if one != two:
        parent[max(one, two)] = min(one, two)


@jit
def _second(keys, k):
    return np.int64(keys[k] & np.uint64(0xFFFFFFFF))


@jit
def _run_end(keys, k, stop):
    """End of the keys with the first end of key k."""
    first = keys[k] >> np.uint64(32)
    while k < stop and keys[k] >> np.uint64(32) == first:
        k += 1
    return k


@jit
def _join_runs(keys, lo, hi, other, end, reach, parent):
    """Join the keys of two runs whose second ends are near each other, on one strand."""
    for k in range(lo, hi):
        own = _second(keys, k)
        while other < end and _second(keys, other) + reach < own:
            other += 1
        j = other
        while j < end and _second(keys, j) <= own + reach:
            if (_second(keys, j) ^ own) & 1 == 0:
                _join(parent, k, j)
            j += 1


@jit
def _near_sets(keys, group, reach, parent):
    for g in range(len(group) - 1):
        lo, stop = group[g], group[g + 1]
        while lo < stop:
            hi = _run_end(keys, lo, stop)
            first = np.int64(keys[lo] >> np.uint64(32))
            other = lo
            while other < stop:
                distance = np.int64(keys[other] >> np.uint64(32)) - first
                if distance > reach:
                    break
                end = _run_end(keys, other, stop)
                if distance & 1 == 0:
                    _join_runs(keys, lo, hi, other, end, reach, parent)
                other = end
            lo = hi
    for k in range(len(keys)):
        parent[k] = _first_of(parent, k)


def near_sets(
    keys: NDArray[np.uint64],
    group: NDArray[np.int64],
    mismatch: int,
    parent: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Join read pairs whose ends both lie at most `mismatch` bp apart, on the same strands.

    Neighbours of neighbours are joined too, as `pairtools dedup` does (1.1.2, but with its backend
    ``cython``). Time grows with the number of keys, not with that of their pairs.

    Parameters
    ----------
    keys
        uint64: packed pairs as `encode_pairs` makes them, sorted and distinct in every group.
    group
        int64 (G + 1): row ranges inside which keys are joined.
    mismatch
        bp.
    parent
        int64: for every key an earlier one, or itself, that it is joined with before.

    Returns
    -------
    int64: the place of the first key of the set of every key.
    """
    if parent is None:
        parent = np.arange(len(keys), dtype=np.int64)
    # Positions are above a strand bit, so twice the distance is that of packed ends.
    _near_sets(keys, group, 2 * mismatch, parent)
    return parent


@jit
def _near_border(tables, keys, group, chrom1, chrom2, tile, mismatch, near):
    for g in range(len(chrom1)):
        c1, c2, lo, hi = chrom1[g], chrom2[g], group[g], group[g + 1]
        while lo < hi:
            position = np.int64(keys[lo] >> np.uint64(33))
            if tile_of(tables, c1, c2, max(position - mismatch, 1)) == tile:
                break
            near[lo] = True
            lo += 1
        while hi > lo:
            position = np.int64(keys[hi - 1] >> np.uint64(33))
            if tile_of(tables, c1, c2, position + mismatch) == tile:
                break
            near[hi - 1] = True
            hi -= 1


def near_border(
    tables: TileTables,
    keys: NDArray[np.uint64],
    group: NDArray[np.int64],
    chrom1: NDArray[np.int64],
    chrom2: NDArray[np.int64],
    tile: int,
    mismatch: int,
) -> NDArray[np.bool_]:
    """Whether a read pair within `mismatch` bp of each could be in another tile.

    Parameters
    ----------
    tables
        How the order is cut into tiles.
    keys, group
        As in `near_sets`, of one tile.
    chrom1, chrom2
        int64 (G): chromosomes of every group.
    tile
        The tile.
    mismatch
        bp.
    """
    near = np.zeros(len(keys), dtype=np.bool_)
    _near_border(tables, keys, group, chrom1, chrom2, tile, mismatch, near)
    return near
