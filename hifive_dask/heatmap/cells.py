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

from hifive_dask._kernels.heatmap import TRANS, Side, add_to_cells, impossible_pairs
from hifive_dask._kernels.pair_sums import power_sums
from hifive_dask._kernels.pair_trees import build_trees
from hifive_dask._store.pairs import PairRows
from hifive_dask.heatmap.axes import Segment, Stretch, join_segments

__all__ = [
    "Datatype",
    "Expectation",
    "TransSums",
    "expected_cells",
    "observed_cells",
    "trans_means",
    "trans_sums",
]

Datatype = Literal["raw", "fend", "distance", "enrichment", "expected"]
Float64 = NDArray[np.float64]
TransSums = tuple[NDArray[np.int32], NDArray[np.int32], Float64]

# What is left of a cell when all of its pairs were subtracted is rounding, relative to them.
_ROUNDING = 1e-8


@dataclass(frozen=True)
class Expectation:
    """What is expected of a possible pair: product of weights; in cis times a power of distance.

    Parameters
    ----------
    corrected
        Whether the weight of a unit is its correction, else 1.
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
    fends: bool
    by_distance: bool
    thresholds: NDArray[np.int64]
    slope: Float64
    intercept: Float64
    means: Float64

    def scale(self, chrom: int) -> Float64:
        """float64 (K + 1): factor of the power law of a chromosome."""
        scale: Float64 = np.exp(self.intercept + self.means[chrom])
        return scale

    def at(self, distance: NDArray[np.integer], chrom: NDArray[np.integer]) -> Float64:
        """Value of the power law at distances in bp."""
        k = np.searchsorted(self.thresholds, distance, "left")
        scale = np.exp(self.intercept[k] + self.means[chrom])
        value: Float64 = scale * np.maximum(1, distance) ** self.slope[k]
        return value


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
    """
    sums = [each.sums(each.units.weight(expectation.corrected)) for each in (one, two)]
    cells = np.outer(*sums)
    if means is not None:
        cells *= _dense(means, one.chrom, two.chrom)
    if expectation.by_distance:
        for chrom in np.intersect1d(one.chrom, two.chrom).tolist():
            rows, columns = one.span(chrom), two.span(chrom)
            cells[rows, columns] = _distance_sums(
                one.part(rows.start, rows.stop),
                two.part(columns.start, columns.stop),
                expectation,
                chrom,
            )
    _correct_diagonal(cells, one, two, expectation)
    if expectation.fends:
        _remove_impossible(cells, one, two, expectation)
    return cells.astype(np.float32)


def _dense(means: csr_array, rows: NDArray[np.int32], columns: NDArray[np.int32]) -> Float64:
    part = means[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].toarray()
    dense: Float64 = part[np.ix_(rows - rows[0], columns - columns[0])]
    return dense


def _distance_sums(one: Segment, two: Segment, expectation: Expectation, chrom: int) -> Float64:
    """float64 (bins, bins): sums over all pairs of two segments of one chromosome."""
    low, high = sorted((one, two), key=lambda segment: segment.number)
    rest = high.part(min(len(high), max(0, low.number + len(low) - high.number)), len(high))
    weight = np.concatenate([s.units.weight(expectation.corrected) for s in (low, rest)])
    mid = np.concatenate([low.units.mid, rest.units.mid])
    used = weight != 0
    size = np.concatenate([np.diff(low.edge), np.diff(rest.edge)])
    edge = np.r_[0, np.cumsum(used)][np.r_[0, np.cumsum(size)]].astype(np.int64)
    trees = build_trees(mid[used], weight[used], edge)
    numbers = np.concatenate([low.numbers, rest.numbers])
    return power_sums(
        trees,
        np.searchsorted(numbers, one.numbers),
        np.searchsorted(numbers, two.numbers),
        expectation.thresholds,
        expectation.slope,
        expectation.scale(chrom),
    )


def _correct_diagonal(cells: Float64, one: Segment, two: Segment, expectation: Expectation) -> None:
    """Bring the cells of a bin with itself from all ordered pairs to each pair once."""
    rows = np.flatnonzero(np.isin(one.numbers, two.numbers))
    columns = rows + one.number - two.number
    squares = one.sums(one.units.weight(expectation.corrected) ** 2)[rows]
    if not expectation.by_distance:  # power sums hold each pair once already
        cells[rows, columns] = (cells[rows, columns] - squares) / 2
    if not expectation.fends:  # a bin of the genome with itself, at distance 0, counts half
        distance = np.zeros(len(rows), dtype=np.int64)
        cells[rows, columns] += squares * expectation.at(distance, one.chrom[rows]) / 2


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
    weight = near.weight(expectation.corrected)
    value = weight[first] * weight[second]
    value *= expectation.at(near.mid[second] - near.mid[first], near.chrom[first])
    removed = np.zeros_like(cells)
    add_to_cells(first + lo, second + lo, value, _side(one), _side(two), removed)
    cells -= removed
    cells[cells < _ROUNDING * removed] = 0


def _gather(stretches: Sequence[Stretch], lo: int, hi: int) -> Stretch:
    """Units ``lo`` to ``hi``; those of no stretch are not in use."""
    found = Stretch(
        lo,
        np.full(hi - lo, -1, dtype=np.int32),
        np.zeros(hi - lo, dtype=np.int32),
        np.zeros(hi - lo, dtype=bool),
        None if stretches[0].correction is None else np.zeros(hi - lo, dtype=np.float32),
    )
    for stretch in stretches:
        first, stop = max(lo, stretch.first), min(hi, stretch.stop)
        if first >= stop:
            continue
        for name in ("chrom", "mid", "valid", "correction"):
            values: Any = getattr(found.part(first, stop), name)
            if values is not None:
                values[:] = getattr(stretch.part(first, stop), name)
    return found


# Trans means


def trans_sums(rows: Iterable[PairRows], one: Stretch, two: Stretch) -> TransSums:
    """Reads over product of weights, summed per pair of chromosomes.

    Parameters
    ----------
    rows
        Consecutive rows; those of other pairs do not matter.
    one, two
        Units of whole chromosomes, the same or apart.

    Returns
    -------
    int32, int32, float64: both chromosomes, and the sum, of pairs of chromosomes that were seen. A
    pair can come more than once.
    """
    low, high = sorted((one, two), key=lambda stretch: stretch.first)
    weight = low.weight(True), high.weight(True)
    found = []
    for read in rows:
        first, second, count = read()
        inside = (first >= low.first) & (first < low.stop)
        inside &= (second >= high.first) & (second < high.stop)
        i, j = first[inside] - low.first, second[inside] - high.first
        product = weight[0][i] * weight[1][j]
        chrom1, chrom2 = low.chrom[i], high.chrom[j]
        used = (product > 0) & (count[inside] > 0) & (chrom1 != chrom2)
        if not used.any():
            continue
        chrom1, chrom2 = chrom1[used], chrom2[used]
        border = np.r_[True, (np.diff(chrom1) != 0) | (np.diff(chrom2) != 0)]
        sums = np.add.reduceat(count[inside][used] / product[used], np.flatnonzero(border))
        found.append((chrom1[border], chrom2[border], sums))
    none = np.zeros(0, dtype=np.int32)
    chrom1, chrom2 = (np.concatenate([none, *(f[k] for f in found)]) for k in (0, 1))
    return chrom1, chrom2, np.concatenate([np.zeros(0), *(f[2] for f in found)])


def trans_means(parts: Sequence[TransSums], one: Stretch, two: Stretch) -> csr_array:
    """Mean per possible pair of units of two chromosomes: symmetric, 0 where nothing was seen."""
    chrom1, chrom2, sums = (np.concatenate([part[k] for part in parts]) for k in range(3))
    size = 1 + max(int(one.chrom[-1]), int(two.chrom[-1]))
    total = coo_array((sums, (chrom1, chrom2)), shape=(size, size)).tocsr().tocoo()
    units = np.maximum(
        *(np.bincount(each.chrom, each.weight(True) > 0, minlength=size) for each in (one, two))
    )
    mean = total.data / np.maximum(1, units[total.row] * units[total.col])
    upper = coo_array((mean, (total.row, total.col)), shape=(size, size)).tocsr()
    return csr_array(upper + upper.T)
