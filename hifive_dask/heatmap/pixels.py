"""Reads in bins of the whole genome, only where there are any: strip by strip, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import progress, run
from hifive_dask._graph.spans import group_rows
from hifive_dask._kernels.mrh import CellSums, add_cells, merge_cells
from hifive_dask._store.pairs import PairRows
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.recipe import Recipe
from hifive_dask.heatmap.rows import RowFinder
from hifive_dask.model.rows import SPAN

__all__ = ["GenomeBins", "bin_sums", "genome_bins", "pixel_strips"]

Int64 = NDArray[np.int64]

_STRIP = SPAN // 2  # rows of the store that a strip is made of
_TOGETHER = 4  # strips in memory


@dataclass(frozen=True)
class GenomeBins:
    """Bins of equal size from the beginning of every chromosome, the last one cut at its end.

    Parameters
    ----------
    names
        Chromosomes whose length is known, or that have units, in the order of the genome.
    offset
        int64 (chromosomes + 1): first bin of each, then their number.
    start, stop
        int64 (bins): bp.
    first
        int64 (units + 1): bin of every unit of the genome, in use or not, then the number of bins.
        It never decreases; units of other chromosomes have the bin that follows.
    bin_of
        int64 (units): the same, but -1 for units that are not in use, or of other chromosomes.
    """

    names: tuple[str, ...]
    offset: Int64
    start: Int64
    stop: Int64
    first: Int64
    bin_of: Int64

    def __len__(self) -> int:
        return len(self.start)

    @property
    def chromosome(self) -> Int64:
        """int64 (bins): index into `names`."""
        return np.repeat(np.arange(len(self.names)), np.diff(self.offset))


def genome_bins(
    units: Units,
    usable: NDArray[np.bool_],
    binsize: int,
    chosen: Sequence[int],
    lengths: Int64 | None = None,
) -> GenomeBins:
    """Cut chosen chromosomes, in the order of the genome.

    They have their `lengths`, or else end with their last unit.
    """
    ends = units.ends(lengths)
    chroms = [c for c in chosen if ends[c] > 0]
    length = ends[chroms]
    number = -(-length // binsize)
    offset = np.r_[0, np.cumsum(number)]
    start = binsize * (np.arange(offset[-1]) - np.repeat(offset[:-1], number))
    # Middles of bins that were rounded up can lie beyond the end; after the last there is none.
    following = np.searchsorted(chroms, units.chromosome)
    chosen_units = np.isin(units.chromosome, chroms)
    own = np.minimum(units.mid.astype(np.int64) // binsize, np.r_[number, 1][following] - 1)
    first = np.r_[offset[following] + np.where(chosen_units, own, 0), offset[-1]]
    bin_of = np.where(chosen_units & usable, first[:-1], -1)
    stop = np.minimum(start + binsize, np.repeat(length, number))
    names = tuple(units.chromosomes[c] for c in chroms)
    return GenomeBins(names, offset, start, stop, first, bin_of)


def bin_sums(bins: GenomeBins, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 (bins): sum of the weights of the units in use in every bin."""
    used = bins.bin_of >= 0
    sums: NDArray[np.float64] = np.bincount(bins.bin_of[used], weight[used], len(bins)).astype(
        np.float64
    )
    return sums


def pixel_strips(
    recipe: Recipe, bins: GenomeBins, *, includetrans: bool = True, silent: bool = False
) -> Iterator[tuple[Int64, Int64, Int64]]:
    """Yield rows, columns and reads of all cells that have any, row by row.

    Parameters
    ----------
    recipe
        The pairs.
    bins
        Rows and columns; a pair lies on or above the diagonal.
    includetrans
        Also pairs between chromosomes.
    silent
        No progress bar.
    """
    finder, genome = RowFinder(recipe.store), recipe.genome
    shared = dask.delayed((bins.bin_of, bins.offset), traverse=False)
    task = dask.delayed(_strip, pure=False)
    tasks = []
    for lo, hi in _cut(recipe, bins):
        rows = finder.beginning(genome.part(lo, hi), genome)
        tasks.append(task(finder.readers(rows), shared, lo, hi, includetrans))
    with progress(f"{len(bins):,} bins", len(tasks), silent=silent) as advance:
        for k in range(0, len(tasks), _TOGETHER):
            strips = run(tasks[k : k + _TOGETHER], silent=True)
            for cells in strips:
                row, column = np.divmod(cells.number, len(bins))
                yield row, column, cells.count
            advance(len(strips))


def _cut(recipe: Recipe, bins: GenomeBins) -> list[tuple[int, int]]:
    """Ranges of units with about `_STRIP` rows, between bins; small chromosomes together."""
    units, store = recipe.units, recipe.store
    rows = np.bincount(
        store.block_chrom1, np.diff(store.block_offset), minlength=len(units.chromosomes)
    )
    chroms = [units.index[name] for name in bins.names]
    ranges = []
    for group in group_rows(chroms, rows[chroms].astype(int).tolist(), _STRIP):
        lo, hi = units.span(group[0]).start, units.span(group[-1]).stop
        pieces = -(-int(rows[group].sum()) // _STRIP) if len(group) == 1 else 1
        middle = bins.first[lo + (hi - lo) * np.arange(1, pieces) // pieces]
        edges = [lo, *np.unique(np.searchsorted(bins.first[:-1], middle)).tolist(), hi]
        ranges += [(a, b) for a, b in pairwise(edges) if a < b]
    return ranges


def _strip(
    groups: Sequence[Sequence[PairRows]],
    shared: tuple[Int64, Int64],
    lo: int,
    hi: int,
    includetrans: bool,
) -> CellSums:
    """Cells of the pairs whose lower unit is one of `lo` to `hi`."""
    bin_of, offset = shared
    parts = []
    for read in (read for group in groups for read in group):
        first, second, count = read()
        row, column = bin_of[first], bin_of[second]
        used = (row >= 0) & (column >= 0) & (first >= lo) & (first < hi)
        if not includetrans:
            used &= np.searchsorted(offset, row, "right") == np.searchsorted(
                offset, column, "right"
            )
        number = row[used] * offset[-1] + column[used]
        parts.append(add_cells(number, count[used]))
    return merge_cells(parts)
