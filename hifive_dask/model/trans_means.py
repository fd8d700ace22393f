"""Levels of pairs of units on two different chromosomes: means of reads over what is expected.

The documented level of two chromosomes is the mean of n / (c_i c_j) over their possible pairs. The
calibrated one is the sum of n over that of c_i c_j, so that as many reads are expected of all pairs
as were seen; pairs of which little is expected do not weigh more there than others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import dask
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, triu

from hifive_dask._graph.run import run
from hifive_dask._kernels.binning import pair_factors
from hifive_dask._store.pairs import PairRows, PairStore
from hifive_dask.errors import ParameterError
from hifive_dask.genome.partition import Units
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.rows import piece_groups

__all__ = [
    "WeightedUnits",
    "fit_trans_means",
    "lazy_trans_means",
    "pairs_are_few",
    "possible_trans",
]

Float64 = NDArray[np.float64]

_BLOCK = 1 << 22  # factors at a time
_MOST_PAIRS = 1 << 24  # of chromosomes, 134 MB of means: up to 5,793 chromosomes


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
    feature_bins
        int32 (n, features, 2) of a binning model; None without one.
    """

    first: int
    chrom: NDArray[np.int32]
    weight: Float64
    feature_bins: NDArray[np.int32] | None = None


class _Sums(NamedTuple):
    """Of pairs of chromosomes that were seen; a pair can come more than once.

    Parameters
    ----------
    chrom1, chrom2
        int32.
    total
        float64: sum of reads, or of reads over product of weights.
    """

    chrom1: NDArray[np.int32]
    chrom2: NDArray[np.int32]
    total: Float64


def lazy_trans_means(
    readers: Sequence[Sequence[PairRows]],
    one: WeightedUnits,
    two: WeightedUnits,
    calibrated: bool = False,
    factors: NDArray[np.float32] | None = None,
) -> Any:
    """Lazy level of the pairs of units of two chromosomes.

    Parameters
    ----------
    readers
        Of consecutive rows, each list for one task; rows of other pairs do not matter.
    one, two
        Units of whole chromosomes, the same or apart.
    calibrated
        Reads over the sum of products of weights, in place of the mean per possible pair of reads
        over the product of weights.
    factors
        float32, corrections of a binning model for the feature bins of the units: part of the
        products if `calibrated`, not used otherwise.

    Returns
    -------
    Lazy csr_array (chromosomes, chromosomes), symmetric, 0 where nothing was seen.
    """
    first = dask.delayed(one, traverse=False)
    second = first if two is one else dask.delayed(two, traverse=False)
    task = dask.delayed(_sums, pure=True)
    parts = [task(group, first, second, calibrated) for group in readers or [[]]]
    return dask.delayed(_means, pure=True)(parts, first, second, calibrated, factors)


def pairs_are_few(chromosomes: int) -> bool:
    """Whether there may be something for every two chromosomes: up to 5,793 of them."""
    return chromosomes * (chromosomes - 1) // 2 <= _MOST_PAIRS


def fit_trans_means(
    units: Units,
    weight: Float64,
    store: PairStore,
    *,
    calibrated: bool = False,
    binning: BinningModel | None = None,
    silent: bool = False,
) -> Float64:
    """float64 (C (C - 1) / 2): levels of the pairs of chromosomes (0, 1), (0, 2), ...

    Parameters
    ----------
    units, store
        The genome and its pairs.
    weight
        float64 (N): 1 or its correction, 0 for units not in use.
    calibrated
        As in `lazy_trans_means`.
    binning
        Model whose factors are part of the products of weights, if `calibrated`.
    silent
        No progress.

    Raises
    ------
    ParameterError
        If there are too many pairs of chromosomes, see `pairs_are_few`.

    Examples
    --------
    >>> import hifive_dask as hd
    >>> from hifive_dask.model.trans_means import fit_trans_means
    >>> from hifive_dask.testing import toy_project
    >>> hic = hd.HiC(toy_project(), silent=True)
    >>> weight = hic.filter.astype(float)
    >>> fit_trans_means(hic.units, weight, hic.data.store, calibrated=True, silent=True).shape
    (3,)
    """
    size = len(units.chromosomes)
    if not pairs_are_few(size):
        raise ParameterError(
            f"{size:,} chromosomes have {size * (size - 1) // 2:,} pairs, and trans_means a value "
            f"for each, expected at most {_MOST_PAIRS:,}; make the partition without small "
            "chromosomes. Maps find the means that they need themselves"
        )
    bins = None if binning is None else binning.fend_indices
    whole = WeightedUnits(0, units.chromosome, weight, bins)
    factors = None if binning is None else binning.corrections
    groups = piece_groups(store, [(a, b) for a, b in store.blocks if a != b])
    readers = [[piece.rows for piece in group] for group in groups]
    lazy = lazy_trans_means(readers, whole, whole, calibrated, factors)
    (found,) = run([lazy], title="trans means", silent=silent)
    upper = triu(found, 1).tocoo()
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


def _sums(
    rows: Iterable[PairRows], one: WeightedUnits, two: WeightedUnits, calibrated: bool
) -> _Sums:
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
        value = count[used].astype(np.float64) if calibrated else count[used] / product[used]
        sums = np.add.reduceat(value, np.flatnonzero(border))
        found.append(_Sums(chrom1[border], chrom2[border], sums))
    none = _Sums(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32), np.zeros(0))
    return _Sums(*(np.concatenate(parts) for parts in zip(none, *found, strict=True)))


def _means(
    parts: Sequence[_Sums],
    one: WeightedUnits,
    two: WeightedUnits,
    calibrated: bool,
    factors: NDArray[np.float32] | None,
) -> csr_array:
    chrom1, chrom2, sums = (np.concatenate([part[k] for part in parts]) for k in range(3))
    size = 1 + max(int(one.chrom[-1]), int(two.chrom[-1]))
    total = coo_array((sums, (chrom1, chrom2)), shape=(size, size)).tocsr().tocoo()
    if calibrated and factors is not None:
        over = _factored_sums(one, two, total.row, total.col, factors)
    else:
        of = np.maximum(*(_weight_sums(each, size, calibrated) for each in (one, two)))
        over = of[total.row] * of[total.col]
    mean = np.divide(total.data, over, out=np.zeros(len(over)), where=over > 0)
    upper = coo_array((mean, (total.row, total.col)), shape=(size, size)).tocsr()
    return csr_array(upper + upper.T)


def _weight_sums(units: WeightedUnits, size: int, calibrated: bool) -> Float64:
    """float64 (chromosomes): weights, or number, of the units in use of each."""
    weight = units.weight if calibrated else units.weight > 0
    sums: Float64 = np.bincount(units.chrom, weight, minlength=size).astype(np.float64)
    return sums


def _factored_sums(
    one: WeightedUnits,
    two: WeightedUnits,
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
    factors: NDArray[np.float32],
) -> Float64:
    """float64 (pairs of chromosomes): sum of products of weights and factors of feature bins.

    Units of a chromosome that have the same feature bins are taken together.
    """
    ends = [each.first + np.arange(len(each.chrom)) for each in (one, two)]
    _, own = np.unique(np.concatenate(ends), return_index=True)  # one and two can be the same
    chrom, weight = (np.r_[one[k], two[k]][own] for k in (1, 2))
    assert one.feature_bins is not None
    assert two.feature_bins is not None
    flat = np.concatenate([one.feature_bins, two.feature_bins])[own].reshape(len(own), -1)
    kinds, kind = np.unique(flat, axis=0, return_inverse=True)
    shape = 1 + int(chrom.max(initial=0)), len(kinds)
    of = coo_array((weight, (chrom, kind.ravel())), shape=shape).tocsr()
    bins = kinds.reshape(len(kinds), -1, 2)
    step = max(1, _BLOCK // max(1, len(kinds)))
    sums = np.zeros(len(rows))
    everything = np.arange(len(kinds))
    for lo in range(0, len(kinds), step):
        first = np.arange(lo, min(lo + step, len(kinds)))
        both = np.repeat(first, len(kinds)), np.tile(everything, len(first))
        table = pair_factors(*both, bins, factors).reshape(len(first), -1)
        own = of[:, first]
        for begin in range(0, len(rows), step):
            some = slice(begin, begin + step)
            product = own[rows[some]] @ table
            sums[some] += (of[columns[some]].multiply(product)).sum(axis=1)
    return sums
