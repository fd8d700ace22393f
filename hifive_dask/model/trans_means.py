"""Mean reads per possible pair of units on two different chromosomes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import dask
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, triu

from hifive_dask._graph.run import run
from hifive_dask._store.pairs import PairRows, PairStore
from hifive_dask.genome.partition import Units
from hifive_dask.model.rows import piece_groups

__all__ = ["WeightedUnits", "fit_trans_means", "lazy_trans_means", "possible_trans"]

Float64 = NDArray[np.float64]


class WeightedUnits(NamedTuple):
    """Consecutive units.

    Parameters
    ----------
    first
        The first unit.
    chrom
        int32 (n): chromosome.
    weight
        float64 (n): 1 or its correction, 0 for units not in use.
    """

    first: int
    chrom: NDArray[np.int32]
    weight: Float64


class _Sums(NamedTuple):
    """Of pairs of chromosomes that were seen; a pair can come more than once.

    Parameters
    ----------
    chrom1, chrom2
        int32.
    total
        float64: sum of reads over product of weights.
    """

    chrom1: NDArray[np.int32]
    chrom2: NDArray[np.int32]
    total: Float64


def lazy_trans_means(
    readers: Sequence[Sequence[PairRows]], one: WeightedUnits, two: WeightedUnits
) -> Any:
    """Lazy mean per possible pair of units of two chromosomes.

    Parameters
    ----------
    readers
        Of consecutive rows, each list for one task; rows of other pairs do not matter.
    one, two
        Units of whole chromosomes, the same or apart.

    Returns
    -------
    Lazy csr_array (chromosomes, chromosomes), symmetric, 0 where nothing was seen.
    """
    first = dask.delayed(one, traverse=False)
    second = first if two is one else dask.delayed(two, traverse=False)
    task = dask.delayed(_sums, pure=True)
    parts = [task(group, first, second) for group in readers or [[]]]
    return dask.delayed(_means, pure=True)(parts, first, second)


def fit_trans_means(
    units: Units, weight: Float64, store: PairStore, *, silent: bool = False
) -> Float64:
    """float64 (C (C - 1) / 2): means of the pairs of chromosomes (0, 1), (0, 2), ...

    Parameters
    ----------
    units, store
        The genome and its pairs.
    weight
        float64 (N): 1 or its correction, 0 for units not in use.
    silent
        No progress.
    """
    whole = WeightedUnits(0, units.chromosome, weight)
    groups = piece_groups(store, [(a, b) for a, b in store.blocks if a != b])
    readers = [[piece.rows for piece in group] for group in groups]
    (found,) = run([lazy_trans_means(readers, whole, whole)], title="trans means", silent=silent)
    upper = triu(found, 1).tocoo()
    size = len(units.chromosomes)
    a, b = upper.row.astype(np.int64), upper.col.astype(np.int64)
    means = np.zeros(size * (size - 1) // 2)
    means[a * (size - 1) - a * (a + 1) // 2 - 1 + b] = upper.data
    return means


def possible_trans(units: Units, usable: NDArray[np.bool_]) -> Float64:
    """float64 (C (C - 1) / 2): possible pairs of units in use, in the order of the means."""
    size = len(units.chromosomes)
    count = np.bincount(units.chromosome, usable, minlength=size).astype(np.float64)
    a, b = np.triu_indices(size, 1)
    possible: Float64 = count[a] * count[b]
    return possible


def _sums(rows: Iterable[PairRows], one: WeightedUnits, two: WeightedUnits) -> _Sums:
    low, high = sorted((one, two), key=lambda units: units.first)
    found = []
    for read in rows:
        first, second, count = read()
        i, j = first.astype(np.int64) - low.first, second.astype(np.int64) - high.first
        inside = (i >= 0) & (i < len(low.chrom)) & (j >= 0) & (j < len(high.chrom))
        i, j, count = i[inside], j[inside], count[inside]
        product = low.weight[i] * high.weight[j]
        chrom1, chrom2 = low.chrom[i], high.chrom[j]
        used = (product > 0) & (count > 0) & (chrom1 != chrom2)
        if not used.any():
            continue
        chrom1, chrom2 = chrom1[used], chrom2[used]
        border = np.r_[True, (np.diff(chrom1) != 0) | (np.diff(chrom2) != 0)]
        sums = np.add.reduceat(count[used] / product[used], np.flatnonzero(border))
        found.append(_Sums(chrom1[border], chrom2[border], sums))
    none = _Sums(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32), np.zeros(0))
    return _Sums(*(np.concatenate(parts) for parts in zip(none, *found, strict=True)))


def _means(parts: Sequence[_Sums], one: WeightedUnits, two: WeightedUnits) -> csr_array:
    chrom1, chrom2, sums = (np.concatenate([part[k] for part in parts]) for k in range(3))
    size = 1 + max(int(one.chrom[-1]), int(two.chrom[-1]))
    total = coo_array((sums, (chrom1, chrom2)), shape=(size, size)).tocsr().tocoo()
    units = np.maximum(
        *(np.bincount(each.chrom, each.weight > 0, minlength=size) for each in (one, two))
    )
    mean = total.data / np.maximum(1, units[total.row] * units[total.col])
    upper = coo_array((mean, (total.row, total.col)), shape=(size, size)).tocsr()
    return csr_array(upper + upper.T)
