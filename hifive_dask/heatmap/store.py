"""Writing the map of a genome at some bin sizes: which shards, from what, by whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import dask
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from hifive_dask._graph.run import run
from hifive_dask._store.heatmaps import (
    CHUNK,
    SHARD,
    Level,
    StoredLevel,
    count_cells,
    create_heatmaps,
    finish_heatmaps,
    write_cells,
)
from hifive_dask._store.links import relative_link
from hifive_dask._store.places import Location, Place
from hifive_dask._store.unfinished import Unfinished
from hifive_dask.errors import ParameterError, StoreError
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.axes import Segment, genome_segment
from hifive_dask.heatmap.cells import Expectation, expected_cells, observed_cells
from hifive_dask.heatmap.limits import bytes_text, check_size
from hifive_dask.heatmap.recipe import Recipe
from hifive_dask.heatmap.rows import RowFinder
from hifive_dask.heatmap.sums import SummedCells, bins_of_bins
from hifive_dask.provenance import History, content_token
from hifive_dask.schema import HEATMAPS

__all__ = [
    "MOST_BYTES",
    "Cells",
    "Maps",
    "check_maps",
    "check_sizes",
    "has_trans",
    "write_maps",
    "write_store",
]

Cells = Callable[[slice, slice], Mapping[str, NDArray[Any]]]
"""Makes both layers of some rows and columns."""

MOST_BYTES = 10**11  # of cells before compression


@dataclass(frozen=True)
class Maps:
    """What a store shall hold.

    Parameters
    ----------
    token
        Digest of all that cells depend on.
    chromosomes
        Names.
    levels
        By ascending bin size.
    cells
        Gives what makes the cells of a level; asked only if some are not there yet.
    observed
        Dtype of observed.
    lengths
        int64 (chromosomes): bp; None if not known.
    """

    token: str
    chromosomes: Sequence[str]
    levels: Sequence[Level]
    cells: Callable[[Level, Place], Cells]
    observed: Literal["int32", "float32"] = "int32"
    lengths: NDArray[np.int64] | None = None


def write_store(
    path: Location,
    recipe: Recipe,
    binsizes: Sequence[int],
    *,
    chroms: str | bytes | Sequence[str | bytes] | None = None,
    includetrans: bool = True,
    trans_minbinsize: int | None = None,
    most_bytes: int = MOST_BYTES,
    source: Location | None = None,
    genome_name: str = "",
    history: History | None = None,
    silent: bool = False,
) -> None:
    """Write the map of a genome at some bin sizes into a store.

    Levels whose bins are made of whole bins of a finer level are summed from it. A call that was
    interrupted goes on where it was when it is made again; the store is there when it is complete.

    Parameters
    ----------
    path
        The store to make or replace; ``.zarr``.
    recipe
        What cells hold.
    binsizes
        bp.
    chroms
        Names of chromosomes; stored in genome order; None for all.
    includetrans
        Also cells of two chromosomes,
    trans_minbinsize
        of bins of this size, in bp, and larger ones.
    most_bytes
        Largest size of all cells before compression, 8 bytes each.
    source
        The project, to be linked.
    genome_name
        What the genome is called.
    history
        What led here; by default only this call.
    silent
        No progress bar.

    Raises
    ------
    ParameterError
        For sizes or names that are not possible, for too many cells, or if reads of a cell do not
        fit in 32 bits.
    StoreError
        If the store cannot be written, or something else is there.
    """
    sizes = check_sizes(binsizes)
    ends = recipe.units.ends(recipe.lengths)
    chosen = [chrom for chrom in recipe.units.select(chroms) if ends[chrom] > 0]
    lengths = None if recipe.lengths is None else ends[chosen]
    trans = [has_trans(size, includetrans, trans_minbinsize) for size in sizes]
    cells_of = {
        size: count_cells(_count_bins(recipe.units, chosen, size), each)
        for size, each in zip(sizes, trans, strict=True)
    }
    check_maps(path, cells_of, most_bytes)  # before there are so many bins
    genome = [genome_segment(recipe.units, recipe.genome, chosen, size) for size in sizes]
    levels = [
        Level(size, each, *_bins(segment, chosen, lengths))
        for segment, size, each in zip(genome, sizes, trans, strict=True)
    ]
    if history is None:
        history = History()
        parameters = {
            "binsizes": sizes,
            "datatype": recipe.datatype,
            "maxdistance": recipe.maxdistance,
            "includetrans": includetrans,
            "trans_minbinsize": trans_minbinsize,
        }
        history.add("write_store", parameters)
    token = _token(recipe, levels, chosen)

    def cells(level: Level, store: Place) -> Cells:
        finer = _finer(level, levels)
        if finer is None:
            return _computed(recipe, level, genome[sizes.index(level.binsize)], silent)
        reader = StoredLevel(str(store), token, finer.name, finer.trans, len(finer))
        return SummedCells(reader, bins_of_bins(finer, level))

    write_maps(
        path,
        Maps(
            token,
            [recipe.units.chromosomes[chrom] for chrom in chosen],
            levels,
            cells,
            "float32" if recipe.datatype == "expected" else "int32",
            lengths,
        ),
        history=history,
        attributes={
            "datatype": recipe.datatype,
            "maxdistance": recipe.maxdistance,
            "genome_name": genome_name,
            "source": "" if source is None else relative_link(source, path),
            "pairs_token": recipe.store.token,
        },
        silent=silent,
    )


def check_sizes(binsizes: Sequence[int]) -> list[int]:
    """Bin sizes in ascending order.

    Raises
    ------
    ParameterError
        If there are none, or one is no number of bp or comes twice.
    """
    sizes = sorted(int(size) for size in np.atleast_1d(np.asarray(binsizes, dtype=np.int64)))
    if not sizes or sizes[0] < 1 or len(set(sizes)) < len(sizes):
        raise ParameterError(f"binsizes is {binsizes!r}, expected different sizes in bp, above 0")
    return sizes


def has_trans(binsize: int, includetrans: bool, trans_minbinsize: int | None) -> bool:
    """Whether a level has cells of two chromosomes."""
    return includetrans and (trans_minbinsize is None or binsize >= trans_minbinsize)


def _count_bins(units: Units, chosen: Sequence[int], binsize: int) -> list[int]:
    """Numbers of bins that `genome_segment` gives chromosomes."""
    mids = [units.mid[units.span(chrom)] for chrom in chosen]
    return [int(mid[-1]) // binsize - int(mid[0]) // binsize + 1 for mid in mids if len(mid)]


def _bins(
    segment: Segment, chosen: Sequence[int], lengths: NDArray[np.int64] | None
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """Chromosome, start and stop of bins, which end with their chromosome if that is known."""
    chrom = np.searchsorted(chosen, segment.chrom).astype(np.int32)
    stop = segment.stop if lengths is None else np.minimum(segment.stop, lengths[chrom])
    return chrom, segment.start, stop


def _finer(level: Level, levels: Sequence[Level]) -> Level | None:
    """The level with the largest bins of which those of `level` are made, if there is one."""
    found = [
        each
        for each in levels
        if each.binsize < level.binsize
        and level.binsize % each.binsize == 0
        and (each.trans or not level.trans)
    ]
    return found[-1] if found else None


def _token(recipe: Recipe, levels: Sequence[Level], chosen: Sequence[int]) -> str:
    units, binning = recipe.units, recipe.binning
    arrays: list[Any] = [recipe.corrections, recipe.distance, recipe.chromosome_means]
    if binning is not None:
        arrays += [binning.corrections, binning.fend_indices]
    parts: list[Any] = ["" if array is None else array for array in arrays]
    layout: list[Any] = [HEATMAPS.version, CHUNK, SHARD]
    layout += [recipe.datatype, recipe.maxdistance, units.fends]
    layout += ["calibrated"] if recipe.calibrated else []
    return content_token(
        repr([*layout, [(level.binsize, level.trans) for level in levels], list(chosen)]),
        "\0".join(units.chromosomes),
        *(units.offset, units.start, units.stop, units.mid, recipe.valid),
        recipe.store.token,
        *parts,
        *([] if recipe.lengths is None else [recipe.lengths]),
    )


# Cells


@dataclass(frozen=True)
class _ComputedCells:
    """Cells as `Recipe.layers` has them.

    Parameters
    ----------
    finder
        Rows of the pair store.
    bins
        All bins.
    possible
        What stands in place of observed reads, or None.
    expected, means
        What is expected, and means of pairs of chromosomes, or None for 1.
    maxdistance
        bp; 0 for all.
    """

    finder: RowFinder
    bins: Segment
    possible: Expectation | None
    expected: Expectation
    means: csr_array | None
    maxdistance: int

    def __call__(self, rows: slice, columns: slice) -> Mapping[str, NDArray[Any]]:
        one = self.bins.part(rows.start, rows.stop)
        two = one if rows == columns else self.bins.part(columns.start, columns.stop)
        observed: NDArray[Any]
        if self.possible is None:
            groups = self.finder.readers(self.finder.between(one.units, two.units))
            readers = (read for group in groups for read in group)
            observed = observed_cells(readers, one, [two], self.maxdistance)
        else:
            observed = expected_cells(one, two, self.possible)
        return {
            "observed": observed,
            "expected": expected_cells(one, two, self.expected, self.means),
        }


def _computed(recipe: Recipe, level: Level, bins: Segment, silent: bool) -> _ComputedCells:
    possible, expected = recipe.expects
    means = recipe.means(bins, bins) if level.trans else None
    if means is not None:
        (means,) = run([means], title="trans means", silent=silent)
    return _ComputedCells(
        RowFinder(recipe.store),
        bins,
        None if possible is None else recipe.expectation(possible),
        recipe.expectation(expected),
        means,
        recipe.maxdistance,
    )


# Shards


def write_maps(
    path: Location,
    maps: Maps,
    *,
    history: History,
    attributes: Mapping[str, Any],
    silent: bool,
) -> None:
    """Write a store: level by level, one task per shard, which it computes and writes.

    Raises
    ------
    StoreError
        If the store cannot be written, or something else is there.
    """
    unfinished = Unfinished(path, HEATMAPS.type, maps.token)

    def create(store: Place) -> None:
        create_heatmaps(
            store,
            token=maps.token,
            chromosomes=maps.chromosomes,
            levels=maps.levels,
            lengths=maps.lengths,
            observed=maps.observed,
        )

    unfinished.begin(create)
    done = unfinished.done()
    shared = dask.delayed(unfinished, traverse=False)
    task = dask.delayed(_make_shard, pure=False)
    for level in maps.levels:
        left = [place for place in level.shards() if _step(level, *place) not in done]
        if left:
            own = dask.delayed(level, traverse=False)
            cells = dask.delayed(maps.cells(level, unfinished.store), traverse=False)
            title = f"maps of {level.binsize:,} bp"
            run([task(shared, own, cells, *place) for place in left], title=title, silent=silent)
    sizes = [level.binsize for level in maps.levels]
    attributes = {"resolutions": sizes, **attributes}
    finish_heatmaps(unfinished.store, token=maps.token, history=history, attributes=attributes)
    unfinished.finish()


def _make_shard(
    unfinished: Unfinished, level: Level, cells: Cells, rows: slice, columns: slice
) -> None:
    write_cells(unfinished.store, level, rows, columns, **cells(rows, columns))
    unfinished.mark(_step(level, rows, columns))


def _step(level: Level, rows: slice, columns: slice) -> str:
    return f"{level.name}.{rows.start}.{columns.start}"


def check_maps(path: Location, cells: Mapping[int, int], most_bytes: int) -> None:
    """Check the name of a store and the numbers of its cells by bin size.

    Raises
    ------
    ParameterError
        If there are too many cells.
    StoreError
        If the name is not that of a store.
    """
    if PurePosixPath(str(path)).suffix != ".zarr":
        raise StoreError(f"{path}: a store of heatmaps must be called .zarr")
    sizes = {binsize: 8 * number for binsize, number in cells.items()}
    worst = max(sizes, key=lambda size: sizes[size])
    check_size(
        f"the store, {bytes_text(sizes[worst])} of it at {worst:,} bp and before compression,",
        sum(sizes.values()),
        most_bytes,
        "most_bytes",
        "use larger bins, leave out pairs of chromosomes (includetrans=False, or trans_minbinsize "
        "for small bins)",
    )
