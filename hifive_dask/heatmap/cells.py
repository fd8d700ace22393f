"""Tasks that fill one chunk of a heatmap: observed reads, and what is expected of all pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.coverage import select_pairs
from hifive_dask._kernels.heatmap import add_to_cells, impossible_pairs
from hifive_dask._kernels.pair_sums import PairTrees, build_trees, power_sums
from hifive_dask._store.pairs import Columns, PairRows
from hifive_dask.heatmap.axes import Segment

__all__ = [
    "Datatype",
    "Expectation",
    "cis_expected",
    "make_trees",
    "observed",
    "read_rows",
    "trans_expected",
    "trans_mean",
]

Datatype = Literal["raw", "fend", "distance", "enrichment", "expected"]
Float64 = NDArray[np.float64]

# What is left of a cell when all of its pairs were subtracted is rounding, relative to them.
_ROUNDING = 1e-8


@dataclass(frozen=True)
class Expectation:
    """What is expected of a possible pair: product of weights, times a power of its distance.

    Parameters
    ----------
    mid
        int32 (N): midpoints, bp.
    valid
        int32 (N): units in use.
    weight
        float64 (N): 0 for units not in use.
    fends
        Whether the rule of impossible pairs holds.
    thresholds
        int64 (K): segments of distance, bp.
    slope, scale
        float64 (K + 1): power law per segment, of ln(reads) against ln(bp); a scale of 0 beyond the
        largest distance that counts.
    """

    mid: NDArray[np.int32]
    valid: NDArray[np.int32]
    weight: Float64
    fends: bool
    thresholds: NDArray[np.int64]
    slope: Float64
    scale: Float64

    def at(self, distance: NDArray[np.integer]) -> Float64:
        """Value of the power law at distances in bp."""
        k = np.searchsorted(self.thresholds, distance, "left")
        value: Float64 = self.scale[k] * np.maximum(1, distance) ** self.slope[k]
        return value


def read_rows(
    jobs: Sequence[tuple[PairRows, int, int]],
    valid: NDArray[np.int32],
    mid: NDArray[np.int32],
    maxdistance: int,
    cis: bool,
) -> Columns:
    """Rows of valid units, up to a distance (inclusive; 0 for all).

    Each job is rows to be read, and the range in which their first unit must lie.
    """
    limit = maxdistance + 1 if maxdistance else 0
    parts = []
    for reader, lo, hi in jobs:
        rows = reader()
        begin, end = np.searchsorted(rows[0], [lo, hi])
        first, second, count = (column[begin:end] for column in rows)
        parts.append(
            select_pairs(
                first, second, count, valid, mid, mindistance=0, maxdistance=limit, cis=cis
            )
        )
    none = np.zeros(0, dtype=np.int32)
    first, second, count = (np.concatenate([none, *(p[k] for p in parts)]) for k in range(3))
    return first, second, count


def observed(rows: Sequence[Columns], one: Segment, two: Segment) -> NDArray[np.int64]:
    """int64 (bins, bins): reads of the cells of two segments."""
    cells = np.zeros((len(one), len(two)), dtype=np.int64)
    for first, second, count in rows:
        add_to_cells(
            first, second, count, one.units[0], one.bin_of, two.units[0], two.bin_of, cells
        )
    return cells


def make_trees(expectation: Expectation, grid: Segment) -> PairTrees:
    """Trees over the valid units of every bin of a grid."""
    lo, hi = grid.units
    used = expectation.weight[lo:hi] != 0
    edges = np.r_[0, np.cumsum(used)][grid.edge - lo].astype(np.int64)
    return build_trees(expectation.mid[lo:hi][used], expectation.weight[lo:hi][used], edges)


def _bin_sums(values: Float64, segment: Segment) -> Float64:
    own = values[slice(*segment.units)]
    sums: Float64 = np.bincount(segment.bin_of, own, minlength=len(segment)).astype(np.float64)
    return sums


def cis_expected(
    expectation: Expectation,
    trees: PairTrees | None,
    one: Segment,
    two: Segment,
    offsets: tuple[int, int],
) -> NDArray[np.float32]:
    """float32 (bins, bins): sum over the possible pairs of each cell, on one chromosome.

    Parameters
    ----------
    trees
        Of the grid, if the distance matters.
    one, two
        Rows and columns: bins of one grid.
    offsets
        Their first bins in the grid.
    """
    weight = expectation.weight
    rows = np.arange(len(one), dtype=np.int64) + offsets[0]
    columns = np.arange(len(two), dtype=np.int64) + offsets[1]
    squares_1 = _bin_sums(weight**2, one)
    same = rows[:, None] == columns[None, :]
    diagonal = np.broadcast_to(squares_1[:, None], same.shape)[same]
    if trees is None:
        scale = float(expectation.scale[0])
        cells = scale * np.outer(_bin_sums(weight, one), _bin_sums(weight, two))
        cells[same] = (cells[same] - scale * diagonal) / 2
    else:
        cells = power_sums(
            trees, rows, columns, expectation.thresholds, expectation.slope, expectation.scale
        )
    if expectation.fends:
        _remove_impossible(cells, expectation, one, two)
    else:
        # A bin with itself, at distance 0, counts half.
        cells[same] += diagonal * expectation.at(np.zeros(1, dtype=np.int64))[0] / 2
    return cells.astype(np.float32)


def _remove_impossible(
    cells: Float64, expectation: Expectation, one: Segment, two: Segment
) -> None:
    """Subtract the pairs that cannot be observed; both units lie in or between the segments."""
    lo = max(0, max(one.units[0], two.units[0]) - 3)
    hi = min(len(expectation.valid), min(one.units[1], two.units[1]) + 3)
    if lo >= hi:
        return
    first, second = impossible_pairs(expectation.valid, lo, hi)
    value = expectation.weight[first] * expectation.weight[second]
    value *= expectation.at(expectation.mid[second] - expectation.mid[first])
    removed = np.zeros_like(cells)
    add_to_cells(first, second, value, one.units[0], one.bin_of, two.units[0], two.bin_of, removed)
    cells -= removed
    cells[cells < _ROUNDING * removed] = 0


def trans_expected(
    expectation: Expectation, mean: float, one: Segment, two: Segment
) -> NDArray[np.float32]:
    """float32 (bins, bins): mean times the product of the sums of weights."""
    sums = [_bin_sums(expectation.weight, segment) for segment in (one, two)]
    return (mean * np.outer(*sums)).astype(np.float32)


def trans_mean(rows: Sequence[Columns], weight: Float64, possible: float) -> float:
    """Reads over product of weights, summed over observed trans pairs, per possible pair."""
    total = 0.0
    for first, second, count in rows:
        used = count > 0
        total += float(np.sum(count[used] / (weight[first] * weight[second])[used]))
    return total / max(1.0, possible)
