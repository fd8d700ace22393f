"""Multi-resolution heatmaps: which cells have enough reads, level by level, and their scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any

import dask
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from hifive_dask._graph.reduce import tree_reduce
from hifive_dask._graph.run import hold, run
from hifive_dask._graph.spans import group_rows
from hifive_dask._kernels.mrh import (
    CellSums,
    Pyramid,
    add_cells,
    cell_numbers,
    cells_of_numbers,
    coarsen,
    merge_cells,
)
from hifive_dask._store.pairs import PairRows
from hifive_dask.errors import ParameterError, unknown
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.axes import Segment, Stretch
from hifive_dask.heatmap.cells import Expectation
from hifive_dask.heatmap.chosen_cells import expected_of_cells
from hifive_dask.heatmap.mrh_file import (
    PairArrays,
    PathLike,
    Scale,
    check_size,
    pair_chromosomes,
    write_mrh,
)
from hifive_dask.heatmap.recipe import Recipe
from hifive_dask.heatmap.rows import RowFinder
from hifive_dask.heatmap.sizes import check_binsize
from hifive_dask.model.trans_means import pairs_are_few

__all__ = ["check_mrh_datatype", "multiresolution_heatmap", "pair_arrays"]

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Sizes = tuple[int, int]

_TOGETHER = 1 << 22  # possible cells of small chromosomes that are computed together
_DATATYPES = ("raw", "fend", "distance", "enrichment")


@dataclass(frozen=True)
class Levels:
    """Bins of one chromosome at all levels.

    Parameters
    ----------
    units
        All units of the chromosome.
    start
        Where the first bin begins, bp.
    number, size
        Bins of the coarsest level, and their size in bp.
    depth
        The last level.
    """

    units: Stretch
    start: int
    number: int
    size: int
    depth: int

    def segment(self, level: int) -> Segment:
        """The bins of a level, and the units in them; kept, since all pairs need them."""
        if level not in self._segments:
            self._segments[level] = self._cut(level)
        return self._segments[level]

    @cached_property
    def _segments(self) -> dict[int, Segment]:
        return {}

    def _cut(self, level: int) -> Segment:
        size, number = self.size >> level, self.number << level
        border = self.start + size * np.arange(number + 1, dtype=np.int64)
        edge = self.units.first + np.searchsorted(self.units.mid, border, "left").astype(np.int64)
        chrom = np.full(number, self.units.chrom[0], dtype=np.int32)
        inside = self.units.part(int(edge[0]), int(edge[-1]))
        return Segment(0, chrom, border[:-1], border[1:], edge, inside)

    def finest(self, unit: NDArray[np.integer]) -> Int64:
        """int64: bins of the last level of some units, -1 for those that are not in use."""
        own = unit.astype(np.int64) - self.units.first
        inside = (own >= 0) & (own < len(self.units))
        inside[inside] = self.units.valid[own[inside]]
        place = np.full(len(own), -1, dtype=np.int64)
        distance = self.units.mid[own[inside]].astype(np.int64) - self.start
        place[inside] = distance // (self.size >> self.depth)
        return place


# What the whole genome needs


def multiresolution_heatmap(
    path: PathLike,
    recipe: Recipe,
    *,
    cis_sizes: Sizes,
    trans_sizes: Sizes | None,
    minobservations: int,
    chroms: Sequence[str] | None = None,
    reference_names: bool = True,
    silent: bool = False,
) -> None:
    """Write a multi-resolution heatmap of some chromosomes.

    Parameters
    ----------
    path
        The file to make or replace.
    recipe
        What cells hold; see `check_mrh_datatype`.
    cis_sizes, trans_sizes
        Largest and smallest bins in bp, a power of two apart, of maps of one chromosome and of two;
        without `trans_sizes` there are no maps of two.
    minobservations
        Reads that a cell must have to be stored.
    chroms
        Names, in the order of the file; all by default.
    reference_names
        Leave out ``chr`` at the beginning of names.
    silent
        No progress bar.

    Raises
    ------
    ParameterError
        For sizes or names that are not possible, or if the file became too large.
    StoreError
        If the file cannot be written.
    """
    units = recipe.units
    if minobservations < 1:
        raise ParameterError(f"minobservations is {minobservations}, expected 1 or more reads")
    _check_sizes(*cis_sizes)
    if trans_sizes is not None:
        _check_sizes(*trans_sizes, prefix="trans_")
    for prefix, sizes in (("", cis_sizes), ("trans_", trans_sizes or cis_sizes)):
        check_binsize(units, sizes[1], f"{prefix}minbinsize")
    chosen = units.choose(chroms)
    if trans_sizes is not None and not pairs_are_few(len(chosen)):
        raise ParameterError(
            f"{len(chosen):,} chromosomes have {len(chosen) * (len(chosen) - 1) // 2:,} pairs, and "
            "the file a map of each; use includetrans=False, or choose some by chroms"
        )
    names = _file_names([units.chromosomes[c] for c in chosen], reference_names)

    in_use, genome = recipe.valid > 0, recipe.genome
    expectation = recipe.expectation(recipe.datatype)
    cis = _scale(units, in_use, chosen, *cis_sizes)
    trans = None if trans_sizes is None else _scale(units, in_use, chosen, *trans_sizes)
    axes = {
        between: [_levels(units, genome, scale, k, c) for k, c in enumerate(chosen) if scale]
        for between, scale in ((False, cis), (True, trans))
    }
    pairs = pair_chromosomes(len(chosen), trans is not None)
    check_size(path, sum(10 * _pyramid(axes, *pair).size for pair in pairs))

    means = None
    if trans is not None and expectation.by_distance:
        whole = slice(0, len(units))
        (means,) = hold([recipe.trans_means(whole, whole)], title="trans means", silent=silent)
    builder = _Builder(RowFinder(recipe.store), axes, expectation, means, minobservations)
    arrays = builder.arrays(pairs, silent=silent)
    write_mrh(path, names, cis, trans, minobservations, arrays)


def check_mrh_datatype(datatype: str) -> None:
    """Raise if there are no multi-resolution heatmaps of a datatype."""
    if datatype not in _DATATYPES:
        raise ParameterError(unknown("datatype", datatype, _DATATYPES))


def _check_sizes(largest: int, smallest: int, prefix: str = "") -> None:
    if smallest < 1 or largest < 1:
        raise ParameterError(
            f"{prefix}maxbinsize is {largest}, {prefix}minbinsize {smallest}, expected bp above 0"
        )
    below = smallest
    while 2 * below <= largest:
        below *= 2
    if below != largest:
        cure = f"{below:,} or {2 * below:,}" if below <= largest else f"{below:,}"
        raise ParameterError(
            f"{prefix}maxbinsize {largest:,} is not {prefix}minbinsize {smallest:,} times a power "
            f"of two; use {cure}"
        )
    if largest >= 1 << 31:
        raise ParameterError(f"{prefix}maxbinsize {largest:,} does not fit in 32 bits")


def _file_names(names: Sequence[str], reference_names: bool) -> list[str]:
    if not reference_names:
        return list(names)
    short = [name.removeprefix("chr") or name for name in names]
    if len(set(short)) < len(short):
        raise ParameterError(
            "without 'chr' two chromosomes have the same name; use reference_names=False"
        )
    return short


def _scale(
    units: Units, in_use: NDArray[np.bool_], chosen: Sequence[int], largest: int, smallest: int
) -> Scale:
    """Bins about the middle of the units in use of every chromosome."""
    bins, start = [], []
    for chrom in chosen:
        span = units.span(chrom)
        used = span.start + np.flatnonzero(in_use[span])
        if not len(used):
            bins.append(0)
            start.append(0)
            continue
        low, high = int(units.start[used[0]]), int(units.stop[used[-1]])
        bins.append(-(-(high - low) // largest))
        start.append((low + high) // 2 - round(bins[-1] * largest / 2))  # half to even
    return Scale(largest, smallest, np.array(bins, dtype=np.int64), np.array(start, dtype=np.int64))


def _levels(units: Units, genome: Stretch, scale: Scale, k: int, chrom: int) -> Levels:
    span = units.span(chrom)
    stretch = genome.part(span.start, span.stop)
    return Levels(stretch, int(scale.start[k]), int(scale.bins[k]), scale.maxbinsize, scale.depth)


Axes = dict[bool, list[Levels]]
"""Bins of all chromosomes, by whether they are of maps of two."""


def _pyramid(axes: Axes, one: int, two: int) -> Pyramid:
    rows, columns = axes[one != two][one], axes[one != two][two]
    return Pyramid(rows.number, columns.number, rows.depth, one == two)


class _Builder:
    """Makes the graph of every pair of chromosomes; bins of a chromosome are in it once."""

    def __init__(
        self,
        finder: RowFinder,
        axes: Axes,
        expectation: Expectation,
        means: Any,
        minobservations: int,
    ) -> None:
        self._finder, self._axes, self._means = finder, axes, means
        self._minobservations = minobservations
        self._expectation = dask.delayed(expectation, traverse=False)
        self._shared = {
            trans: [dask.delayed(bins, traverse=False) for bins in axes[trans]] for trans in axes
        }

    def arrays(self, pairs: Sequence[tuple[int, int]], *, silent: bool) -> Iterator[PairArrays]:
        """Arrays of the pairs in order, computed for some first chromosomes at a time."""
        rows = [list(group) for _, group in groupby(pairs, key=itemgetter(0))]
        cells = [sum(_pyramid(self._axes, *pair).size for pair in row) for row in rows]
        for batch in group_rows(rows, cells, _TOGETHER):
            tasks = [self._task(*pair) for row in batch for pair in row]
            yield from run(tasks, title="multi-resolution heatmap", silent=silent)

    def _task(self, one: int, two: int) -> Any:
        trans = one != two
        rows, columns = self._axes[trans][one], self._axes[trans][two]
        pyramid = _pyramid(self._axes, one, two)
        shared = self._shared[trans][one], self._shared[trans][two]
        count = dask.delayed(_finest_cells, pure=True)
        found = self._finder.between(rows.units, columns.units) if pyramid.size else []
        parts = [count(group, *shared, pyramid) for group in self._finder.readers(found) or [[]]]
        return dask.delayed(pair_arrays, pure=True)(
            tree_reduce(parts, merge_cells),
            *shared,
            pyramid,
            self._expectation,
            self._means if trans else None,
            self._minobservations,
        )


# What one pair of chromosomes needs


def _finest_cells(rows: Iterable[PairRows], one: Levels, two: Levels, pyramid: Pyramid) -> CellSums:
    """Reads of the cells of the last level that some rows of the store fall into."""
    turned = one.units.first > two.units.first  # rows have the lower unit first
    low, high = (two, one) if turned else (one, two)
    parts = []
    for read in rows:
        first, second, count = read()
        place, place2 = low.finest(first), high.finest(second)
        used = (place >= 0) & (place2 >= 0)
        row, column = (place2, place) if turned else (place, place2)
        parts.append(add_cells(cell_numbers(row[used], column[used], pyramid), count[used]))
    return merge_cells(parts)


def pair_arrays(
    cells: CellSums,
    one: Levels,
    two: Levels,
    pyramid: Pyramid,
    expectation: Expectation,
    means: csr_array | None,
    minobservations: int,
) -> PairArrays:
    """Scores of the cells with enough reads of all levels, in the order of a file.

    Parameters
    ----------
    cells
        Reads of the last level.
    one, two, pyramid
        Bins of both chromosomes.
    expectation
        What is expected of a pair of units.
    means
        Factor of a trans pair by both chromosomes, by default 1.
    minobservations
        Reads that a cell must have. A cell of which nothing is expected is not stored either.
    """
    if not pyramid.size:  # a chromosome without units in use
        return PairArrays(np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(0, np.int16))
    levels = [cells]
    for _ in range(pyramid.depth):
        levels.append(coarsen(levels[-1]))
    factor = 1.0 if means is None else float(means[one.units.chrom[0], two.units.chrom[0]])

    def scored(level: int, cells: CellSums) -> tuple[Int64, Float32]:
        """Numbers and scores of the cells that have enough reads."""
        wanted = cells.count >= minobservations
        number, count = cells.number[wanted], cells.count[wanted]
        segment = one.segment(level)
        other = segment if pyramid.triangle else two.segment(level)
        places = cells_of_numbers(number, level, pyramid)
        expected = factor * expected_of_cells(segment, other, *places, expectation)
        good = (expected > 0) & np.isfinite(expected)
        return number[good], np.log2(count[good] / expected[good]).astype(np.float32)

    kept, score = scored(0, levels[-1])
    data, index, shape = [np.full(pyramid.size, np.nan, dtype=np.float32)], [], []
    data[0][kept] = score
    stored = np.arange(pyramid.size)  # every cell of level 0 has a place
    begin = 0
    for level, cells in enumerate(levels[-2::-1], 1):
        number, score = scored(level, cells)
        below = np.isin(number >> 2, kept)  # but for rounding, all are
        kept = number[below]
        begin += len(stored)
        quarters = _children(stored, kept, begin)
        index.append(quarters[0])
        shape.append(quarters[1])
        data.append(score[below])
        stored = kept
    if not pyramid.depth:  # the only level has entries all the same
        index.append(np.full(pyramid.size, -1, dtype=np.int32))
        shape.append(np.zeros(pyramid.size, dtype=np.int16))
    return PairArrays(np.concatenate(data), np.concatenate(index), np.concatenate(shape))


def _children(
    stored: Int64, children: Int64, begin: int
) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """For the cells of a level, the first stored quarter and which quarters are stored.

    Parameters
    ----------
    stored, children
        Increasing numbers of the cells of the level and of the next.
    begin
        Position of the first of the children.
    """
    index = np.full(len(stored), -1, dtype=np.int32)
    shape = np.zeros(len(stored), dtype=np.int16)
    if len(children):
        parent, first = np.unique(children >> 2, return_index=True)
        place = np.searchsorted(stored, parent)
        index[place] = begin + first
        bits = np.int16(1) << (children & 3).astype(np.int16)
        shape[place] = np.bitwise_or.reduceat(bits, first)
    return index, shape
