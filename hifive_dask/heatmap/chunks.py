"""The graph of a heatmap: its chunks are squares of bins, whatever chromosomes these belong to."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import dask
import dask.array as da
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.reduce import tree_reduce
from hifive_dask.heatmap.axes import Segment, Stretch, cut
from hifive_dask.heatmap.cells import Expectation, expected_cells, observed_cells
from hifive_dask.heatmap.rows import RowFinder
from hifive_dask.model.rows import SPAN, RowRanges
from hifive_dask.model.trans_means import WeightedUnits, lazy_trans_means

__all__ = ["Axis", "Grid", "assemble", "expected_array", "observed_array", "trans_means_of"]

_BINS, _MORE_BINS = 512, 1024  # of a chunk along an axis, at most; the second for axes
_LONG = 4096  # of more bins than this: tasks, and what it takes to plan them, grow with the square
_UNITS, _PIECES = 1 << 16, 8  # an axis of more units has more pieces, up to so many, to share work
_TOGETHER = 8  # chunks side by side that can be counted in one pass over the rows

Grid = list[list[Any]]


class Axis:
    """Segments that become the rows or columns of chunks, each once in the graph.

    By default a chunk has up to 512 bins, 1024 on a long axis; fewer if there are many units.
    """

    def __init__(self, bins: Segment, chunk_bins: int | None = None) -> None:
        self.bins = bins
        if chunk_bins is None:
            pieces = min(_PIECES, -(-len(bins.units) // _UNITS))
            most = _BINS if len(bins) <= _LONG else _MORE_BINS
            chunk_bins = min(most, -(-len(bins) // pieces))
        self.pieces = cut(bins, chunk_bins)
        self.tasks = [dask.delayed(piece, traverse=False) for piece in self.pieces]

    def __len__(self) -> int:
        return len(self.pieces)


def observed_array(finder: RowFinder, one: Axis, two: Axis, maxdistance: int) -> da.Array:
    """int64 (bins, bins): reads. Symmetric if both axes are the same."""
    grid: Grid = [[None] * len(two) for _ in one.pieces]
    for r, piece in enumerate(one.pieces):
        for group, rows in _groups(finder, piece, two, r if one is two else 0):
            columns = two.tasks[group.start : group.stop]
            count = dask.delayed(observed_cells, pure=True)
            parts = [
                count(readers, one.tasks[r], columns, maxdistance)
                for readers in finder.readers(rows) or [[]]
            ]
            cells = tree_reduce(parts, _add)
            first = 0
            for c in group:
                last = first + len(two.pieces[c])
                grid[r][c] = cells if len(group) == 1 else _columns(cells, first, last)
                first = last
    return assemble(grid, one, two, np.int64)


def expected_array(expectation: Expectation, means: Any, one: Axis, two: Axis) -> da.Array:
    """float32 (bins, bins): reads expected of all possible pairs.

    Parameters
    ----------
    expectation
        Of a pair.
    means
        Lazy means of pairs of chromosomes, or None for 1.
    one, two
        Rows and columns.
    """
    shared = dask.delayed(expectation, traverse=False)
    task = dask.delayed(expected_cells, pure=True)
    grid: Grid = [[None] * len(two) for _ in one.pieces]
    for r, piece in enumerate(one.pieces):
        for c in range(r if one is two else 0, len(two)):
            trans = len({*piece.chrom[[0, -1]], *two.pieces[c].chrom[[0, -1]]}) > 1
            grid[r][c] = task(one.tasks[r], two.tasks[c], shared, means if trans else None)
    return assemble(grid, one, two, np.float32)


def trans_means_of(
    finder: RowFinder,
    one: Stretch,
    two: Stretch,
    calibrated: bool,
    factors: NDArray[np.float32] | None,
) -> Any:
    """Lazy means of whole chromosomes: one pass over the rows between them."""
    rows = finder.between(one, two, trans=True)
    first = _weighted(one)
    second = first if one.first == two.first else _weighted(two)
    return lazy_trans_means(finder.readers(rows), first, second, calibrated, factors)


def _weighted(stretch: Stretch) -> WeightedUnits:
    weight = stretch.weight(corrected=True)
    return WeightedUnits(stretch.first, stretch.chrom, weight, stretch.feature_bins)


def _groups(
    finder: RowFinder, piece: Segment, columns: Axis, first: int
) -> Sequence[tuple[range, RowRanges]]:
    """Neighbouring chunks that need the same rows, or few rows, and these rows."""
    groups: list[tuple[range, RowRanges]] = []
    for c in range(first, len(columns)):
        if groups:
            before, rows = groups[-1]
            together = range(before.start, c + 1)
            joined = _rows(finder, piece, columns, together)
            if len(together) <= _TOGETHER and _size(joined) <= max(SPAN, _size(rows)):
                groups[-1] = together, joined
                continue
        alone = range(c, c + 1)
        groups.append((alone, _rows(finder, piece, columns, alone)))
    return groups


def _rows(finder: RowFinder, piece: Segment, columns: Axis, group: range) -> RowRanges:
    first, last = (columns.pieces[c].units for c in (group[0], group[-1]))
    return finder.between(piece.units, columns.bins.units.part(first.first, last.stop))


def _size(rows: RowRanges) -> int:
    return sum(hi - lo for lo, hi in rows)


def _add(parts: list[Any]) -> Any:
    return sum(parts[1:], parts[0])


def _columns(cells: Any, first: int, last: int) -> Any:
    take = dask.delayed(operator.getitem, pure=True)
    return take(cells, (slice(None), slice(first, last)))


def assemble(grid: Grid, one: Axis, two: Axis, dtype: Any) -> da.Array:
    """One array; what is missing below the diagonal is the transpose of what is above."""
    turn = dask.delayed(np.transpose, pure=True)
    return da.block(
        [
            [
                da.from_delayed(
                    turn(grid[c][r]) if task is None else task,
                    (len(piece), len(two.pieces[c])),
                    dtype=dtype,
                )
                for c, task in enumerate(grid[r])
            ]
            for r, piece in enumerate(one.pieces)
        ]
    )
