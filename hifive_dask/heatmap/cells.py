"""The cells of a part of a heatmap: observed reads, and what is expected of all possible pairs.

A part has a segment of bins on each axis; its values do not depend on how the axes were cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from hifive_dask._kernels.binning import pair_factors
from hifive_dask._kernels.grid_sums import GridUnits, grid_sums
from hifive_dask._kernels.heatmap import (
    TRANS,
    BinnedUnits,
    Side,
    add_to_cells,
    impossible_pairs,
    pair_cells,
)
from hifive_dask._kernels.pair_sums import power_sums_of_cells
from hifive_dask._kernels.pair_trees import build_trees
from hifive_dask._store.pairs import PairRows
from hifive_dask.heatmap.axes import Segment, Stretch, join_segments

__all__ = [
    "ROUNDING",
    "Datatype",
    "Expectation",
    "binned_units",
    "expected_cells",
    "observed_cells",
]

Datatype = Literal["raw", "fend", "distance", "enrichment", "expected"]
Float64 = NDArray[np.float64]

# What is left of a cell when all that is in it was subtracted is rounding, relative to that.
ROUNDING = 1e-8
_BLOCK = 1 << 22  # factors at a time


@dataclass(frozen=True)
class Expectation:
    """What is expected of a possible pair.

    That is the product of the weights of its units, of the corrections of their feature bins, and
    in cis of a power of distance.

    Parameters
    ----------
    corrected
        Whether the weight of a unit is its correction, else 1.
    factors
        float32, corrections of a binning model; None without one.
    fends
        Whether the rule of impossible pairs holds.
    by_distance
        Whether the distance of a cis pair matters.
    thresholds
        int64 (K): segments of distance, bp.
    slope, intercept
        float64 (K + 1): power law per segment, of ln(reads) against ln(bp); an intercept of minus
        infinity beyond the largest distance that counts.
    means
        float64 (chromosomes): ln of a factor of all cis pairs.
    """

    corrected: bool
    factors: NDArray[np.float32] | None
    fends: bool
    by_distance: bool
    thresholds: NDArray[np.int64]
    slope: Float64
    intercept: Float64
    means: Float64

    def intercept_of(self, chrom: int) -> Float64:
        """float64 (K + 1): intercepts of the power law of a chromosome."""
        intercept: Float64 = self.intercept + self.means[chrom]
        return intercept

    def at(self, distance: NDArray[np.integer], chrom: NDArray[np.integer]) -> Float64:
        """Value of the power law at distances in bp."""
        k = np.searchsorted(self.thresholds, distance, "left")
        logs = np.log(np.maximum(1, distance))
        value: Float64 = np.exp(self.slope[k] * logs + self.intercept[k] + self.means[chrom])
        return value

    def products(
        self, units: Stretch, first: NDArray[np.int64], second: NDArray[np.int64]
    ) -> Float64:
        """Product of the weights of pairs, and of the factors of their feature bins."""
        weight = units.weight(self.corrected)
        product: Float64 = weight[first] * weight[second]
        if self.factors is not None:
            assert units.feature_bins is not None
            product *= pair_factors(first, second, units.feature_bins, self.factors)
        return product

    def of_pairs(
        self, units: Stretch, first: NDArray[np.int64], second: NDArray[np.int64]
    ) -> Float64:
        """What is expected of cis pairs, ``first < second``."""
        distance = units.mid[second] - units.mid[first]
        return self.products(units, first, second) * self.at(distance, units.chrom[first])


# Observed


def observed_cells(
    rows: Iterable[PairRows], one: Segment, two: Sequence[Segment], maxdistance: int
) -> NDArray[np.int64]:
    """int64 (bins, bins): reads of the pairs of units in use.

    Parameters
    ----------
    rows
        Each row once; rows of no cell do not matter.
    one, two
        Rows and columns; columns as consecutive segments.
    maxdistance
        bp: largest distance of a cis pair; 0 for all.
    """
    columns = join_segments(two)
    cells = np.zeros((len(one), len(columns)), dtype=np.int64)
    sides = _side(one), _side(columns)
    for read in rows:
        add_to_cells(*read(), *sides, cells, limit=maxdistance or TRANS)
    return cells


def _side(segment: Segment) -> Side:
    units = segment.units
    bins = np.where(units.valid, segment.bin_of, np.int32(-1))
    return Side(units.first, bins, units.chrom * np.int64(4 * TRANS) + units.mid)


# Expected


def expected_cells(
    one: Segment, two: Segment, expectation: Expectation, means: csr_array | None = None
) -> NDArray[np.float32]:
    """float32 (bins, bins): sum over the possible pairs of each cell.

    Parameters
    ----------
    one, two
        Rows and columns.
    expectation
        What is expected of a pair.
    means
        Factor of a trans pair by both chromosomes, by default 1.

    Notes
    -----
    Of n units in c bins with k combinations of feature bins this takes O(n + c^2) operations, with
    a distance dependence O(n log n + c^2), with a binning model O(k^2 c + c n), with both O(n^2).
    """
    cells = _weight_sums(one, two, expectation)
    if means is not None:
        cells *= _dense(means, one.chrom, two.chrom)
    if expectation.by_distance:
        sums = _distance_sums if expectation.factors is None else _pair_sums
        for chrom in np.intersect1d(one.chrom, two.chrom).tolist():
            rows, columns = one.span(chrom), two.span(chrom)
            cells[rows, columns] = sums(
                one.part(rows.start, rows.stop),
                two.part(columns.start, columns.stop),
                expectation,
                chrom,
            )
    _correct_diagonal(cells, one, two, expectation)
    if expectation.fends:
        _remove_impossible(cells, one, two, expectation)
    return cells.astype(np.float32)


def _weight_sums(one: Segment, two: Segment, expectation: Expectation) -> Float64:
    """float64 (bins, bins): sums over all ordered pairs, whatever their distance."""
    weights = [each.units.weight(expectation.corrected) for each in (one, two)]
    if expectation.factors is None:
        return np.outer(one.sums(weights[0]), two.sums(weights[1]))
    if expectation.by_distance and len({*one.chrom[[0, -1]], *two.chrom[[0, -1]]}) == 1:
        return np.zeros((len(one), len(two)))
    (rows, kinds), (columns, kinds2) = map(_kind_sums, (one, two), weights)
    both = np.concatenate([kinds, kinds2])
    factored = np.empty((len(kinds), len(two)))
    second = np.arange(len(kinds), len(both))
    step = max(1, _BLOCK // max(1, len(second)))
    for lo in range(0, len(kinds), step):
        first = np.arange(lo, min(lo + step, len(kinds)))
        factors = pair_factors(
            np.repeat(first, len(second)),
            np.tile(second, len(first)),
            both,
            expectation.factors,
        )
        factored[first] = (columns @ factors.reshape(len(first), -1).T).T
    cells: Float64 = rows @ factored
    if one is two or one.number == two.number:  # the order of the sum must not be seen
        size = min(cells.shape)
        square = np.triu(cells[:size, :size])
        cells[:size, :size] = square + np.triu(square, 1).T
    return cells


def _kind_sums(segment: Segment, weight: Float64) -> tuple[csr_array, NDArray[np.int32]]:
    """Weights by bin and combination of feature bins, and feature bins of the combinations."""
    bins = segment.units.feature_bins
    assert bins is not None
    used = np.flatnonzero(weight)
    flat = bins[used].reshape(len(used), 2 * bins.shape[1])
    kinds, kind = np.unique(flat, axis=0, return_inverse=True)
    shape = len(segment), len(kinds)
    sums = coo_array((weight[used], (segment.bin_of[used], kind.ravel())), shape=shape).tocsr()
    return csr_array(sums), kinds.reshape(len(kinds), *bins.shape[1:])


def _pair_sums(one: Segment, two: Segment, expectation: Expectation, chrom: int) -> Float64:
    """As `_distance_sums`, pair by pair: a binning model has factors of pairs."""
    cells = np.zeros((len(one), len(two)))
    assert expectation.factors is not None
    pair_cells(
        binned_units(one, expectation.corrected),
        binned_units(two, expectation.corrected),
        expectation.factors,
        expectation.thresholds,
        expectation.slope,
        expectation.intercept_of(chrom),
        cells,
    )
    return cells


def binned_units(segment: Segment, corrected: bool) -> BinnedUnits:
    """The units of a segment by bin, for sums over pairs with factors."""
    units = segment.units
    assert units.feature_bins is not None
    edge = segment.edge - units.first
    return BinnedUnits(segment.number, edge, units.mid, units.weight(corrected), units.feature_bins)


def _dense(means: csr_array, rows: NDArray[np.int32], columns: NDArray[np.int32]) -> Float64:
    part = means[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].toarray()
    dense: Float64 = part[np.ix_(rows - rows[0], columns - columns[0])]
    return dense


def _distance_sums(one: Segment, two: Segment, expectation: Expectation, chrom: int) -> Float64:
    """float64 (bins, bins): sums over all pairs of two segments of one chromosome."""
    low, high = sorted((one, two), key=lambda segment: segment.number)
    rest = high.part(min(len(high), max(0, low.number + len(low) - high.number)), len(high))
    weight = np.concatenate([s.units.weight(expectation.corrected) for s in (low, rest)])
    mid = np.concatenate([low.units.mid, rest.units.mid]).astype(np.int64)
    used = weight != 0
    size = np.concatenate([np.diff(low.edge), np.diff(rest.edge)])
    edge = np.r_[0, np.cumsum(used)][np.r_[0, np.cumsum(size)]].astype(np.int64)
    number = np.concatenate([low.numbers, rest.numbers])
    rows, cols = (np.searchsorted(number, each.numbers) for each in (one, two))
    law = expectation.thresholds, expectation.slope, expectation.intercept_of(chrom)
    cells, known = np.zeros((len(one), len(two))), np.zeros((len(one), len(two)), dtype=bool)
    mid, weight, width = mid[used], weight[used], low.binsize
    if width and width == high.binsize:
        start = np.concatenate([low.start, rest.start])
        units = GridUnits(mid, weight, edge, start, number, width)
        cells, known = grid_sums(units, rows, cols, *law)
    if not known.all():
        i, j = np.nonzero(~known)
        trees = build_trees(mid, weight, edge)
        cells[i, j] = power_sums_of_cells(trees, rows[i], cols[j], *law)
    return cells


def _correct_diagonal(cells: Float64, one: Segment, two: Segment, expectation: Expectation) -> None:
    """Bring the cells of a bin with itself from all ordered pairs to each pair once."""
    rows = np.flatnonzero(np.isin(one.numbers, two.numbers))
    columns = rows + one.number - two.number
    unit = np.arange(len(one.units))
    squares = one.sums(expectation.products(one.units, unit, unit))[rows]
    if not expectation.by_distance:  # power sums hold each pair once already
        others = (cells[rows, columns] - squares) / 2
        others[others < ROUNDING * squares] = 0
        cells[rows, columns] = others
    if not expectation.fends:  # a bin of the genome with itself is a pair, at distance 0
        distance = np.zeros(len(rows), dtype=np.int64)
        cells[rows, columns] += squares * expectation.at(distance, one.chrom[rows])


def _remove_impossible(
    cells: Float64, one: Segment, two: Segment, expectation: Expectation
) -> None:
    """Subtract the pairs that cannot be observed; both units lie in or between the segments."""
    lo = max(one.units.first, two.units.first) - 3
    hi = min(one.units.stop, two.units.stop) + 3
    if lo >= hi:
        return
    near = _gather((one.units, two.units), lo, hi)
    first, second = impossible_pairs(lo, near.chrom, near.valid)
    value = expectation.of_pairs(near, first, second)
    removed = np.zeros_like(cells)
    add_to_cells(first + lo, second + lo, value, _side(one), _side(two), removed)
    cells -= removed
    cells[cells < ROUNDING * removed] = 0


def _gather(stretches: Sequence[Stretch], lo: int, hi: int) -> Stretch:
    """Units ``lo`` to ``hi``; those of no stretch are not in use."""
    bins = stretches[0].feature_bins
    found = Stretch(
        lo,
        np.full(hi - lo, -1, dtype=np.int32),
        np.zeros(hi - lo, dtype=np.int32),
        np.zeros(hi - lo, dtype=bool),
        None if stretches[0].correction is None else np.zeros(hi - lo, dtype=np.float32),
        None if bins is None else np.zeros((hi - lo, *bins.shape[1:]), dtype=np.int32),
    )
    for stretch in stretches:
        first, stop = max(lo, stretch.first), min(hi, stretch.stop)
        if first >= stop:
            continue
        for name in ("chrom", "mid", "valid", "correction", "feature_bins"):
            values: Any = getattr(found.part(first, stop), name)
            if values is not None:
                values[:] = getattr(stretch.part(first, stop), name)
    return found
