"""What is expected of chosen cells of a map of one chromosome or of two.

`hifive_dask.heatmap.cells` fills whole squares; here the cost grows with the number of cells asked
for, so that bins can be small.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.heatmap import BinnedUnits, impossible_pairs, pair_sums_of_cells
from hifive_dask._kernels.pair_sums import power_sums_of_cells
from hifive_dask._kernels.pair_trees import build_trees
from hifive_dask.heatmap.axes import Segment
from hifive_dask.heatmap.cells import ROUNDING, Expectation, binned_units

__all__ = ["expected_of_cells"]

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


def expected_of_cells(
    one: Segment, two: Segment, rows: Int64, columns: Int64, expectation: Expectation
) -> Float64:
    """float64 (cells): sum over the possible pairs of each cell.

    Parameters
    ----------
    one, two
        Bins of a chromosome: the same object for a map of one, where ``rows <= columns``.
    rows, columns
        int64 (cells): bins.
    expectation
        What is expected of a pair; of two chromosomes, without a distance dependence.
    """
    if not len(rows):
        return np.zeros(0)
    cis = one is two
    if cis and expectation.by_distance:
        cells = _distance_sums(one, rows, columns, expectation)
    else:
        cells = _weight_sums(one, two, rows, columns, expectation)
    if cis:
        _correct_diagonal(cells, one, rows, columns, expectation)
    if cis and expectation.fends:
        _remove_impossible(cells, one, rows, columns, expectation)
    return cells


def _weight_sums(
    one: Segment, two: Segment, rows: Int64, columns: Int64, expectation: Expectation
) -> Float64:
    """Sums over all ordered pairs, whatever their distance."""
    if expectation.factors is None:
        sums = [each.sums(each.units.weight(expectation.corrected)) for each in (one, two)]
        product: Float64 = sums[0][rows] * sums[1][columns]
        return product
    # Bins that are all different: a bin with itself then holds both orders.
    kinds = _kinds(one, 0, expectation), _kinds(two, len(one), expectation)
    none = np.zeros(0, dtype=np.int64)
    return pair_sums_of_cells(
        *kinds, rows, columns, expectation.factors, none, np.zeros(1), np.zeros(1)
    )


def _kinds(segment: Segment, number: int, expectation: Expectation) -> BinnedUnits:
    """Units of a bin that have the same feature bins, as one."""
    weight, bins = segment.units.weight(expectation.corrected), segment.units.feature_bins
    assert bins is not None
    used = np.flatnonzero(weight)
    flat = bins[used].reshape(len(used), 2 * bins.shape[1])
    _, first, kind = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    width = max(1, len(first))
    place, own = np.unique(
        segment.bin_of[used].astype(np.int64) * width + kind.ravel(), return_inverse=True
    )
    return BinnedUnits(
        number,
        np.searchsorted(place, width * np.arange(len(segment) + 1, dtype=np.int64)),
        np.zeros(len(place), dtype=np.int32),
        np.bincount(own, weight[used], len(place)).astype(np.float64),
        bins[used[first[place % width]]],
    )


def _distance_sums(
    segment: Segment, rows: Int64, columns: Int64, expectation: Expectation
) -> Float64:
    """Sums over each pair of two units once."""
    chrom = int(segment.chrom[0])
    law = expectation.thresholds, expectation.slope, expectation.intercept_of(chrom)
    if expectation.factors is not None:
        binned = binned_units(segment, expectation.corrected)
        return pair_sums_of_cells(binned, binned, rows, columns, expectation.factors, *law)
    units = segment.units
    weight = units.weight(expectation.corrected)
    used = weight != 0
    edge = np.r_[0, np.cumsum(used)][segment.edge - units.first]
    trees = build_trees(units.mid[used], weight[used], edge)
    return power_sums_of_cells(trees, rows, columns, *law)


def _correct_diagonal(
    cells: Float64, segment: Segment, rows: Int64, columns: Int64, expectation: Expectation
) -> None:
    """Bring the cells of a bin with itself to each pair once."""
    diagonal = np.flatnonzero(rows == columns)
    unit = np.arange(len(segment.units))
    squares = segment.sums(expectation.products(segment.units, unit, unit))[rows[diagonal]]
    if not expectation.by_distance:  # sums over distances hold each pair once already
        cells[diagonal] = (cells[diagonal] - squares) / 2
    if not expectation.fends:  # a bin of the genome with itself is a pair, at distance 0
        distance = np.zeros(len(diagonal), dtype=np.int64)
        chrom = np.full(len(diagonal), segment.chrom[0])
        cells[diagonal] += squares * expectation.at(distance, chrom)


def _remove_impossible(
    cells: Float64, segment: Segment, rows: Int64, columns: Int64, expectation: Expectation
) -> None:
    """Subtract the pairs that cannot be observed."""
    units, width = segment.units, len(segment)
    first, second = impossible_pairs(units.first, units.chrom, units.valid)
    value = expectation.of_pairs(units, first, second)
    wanted = rows * width + columns
    order = np.argsort(wanted)
    place = segment.bin_of[first].astype(np.int64) * width + segment.bin_of[second]
    found = np.searchsorted(wanted, place, sorter=order)
    inside = found < len(wanted)
    inside[inside] = wanted[order[found[inside]]] == place[inside]
    removed = np.bincount(order[found[inside]], value[inside], len(cells))
    cells -= removed
    cells[cells < ROUNDING * removed] = 0
