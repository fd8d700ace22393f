"""Dynamic binning: bins with few reads grow over smaller units until they have enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import dask
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from hifive_dask._graph.run import hold
from hifive_dask._kernels.dynamic import Growing, Order, PairBlocks, block_pairs, find_windows
from hifive_dask._kernels.window_sums import WindowSums, grow_by_sums, window_sums
from hifive_dask._store.pairs import PairRows
from hifive_dask.errors import ParameterError
from hifive_dask.heatmap.axes import Segment
from hifive_dask.heatmap.chunks import Axis, Grid, assemble
from hifive_dask.heatmap.recipe import Recipe
from hifive_dask.heatmap.rows import RowFinder
from hifive_dask.heatmap.windows import lazy_window_sums
from hifive_dask.regions import whole_bp

__all__ = ["Growth", "Layers", "grown_layers"]

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

_BLOCKS = 4096  # per axis at most: tables of sums over blocks take 8 bytes of each two
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Growth:
    """How bins grow.

    Parameters
    ----------
    minobservations
        Reads that a bin needs.
    searchdistance
        bp: units at this distance from the middle of a bin, or farther, are not taken; 0 for none.
    expansion_binsize
        bp: size of the units that bins grow by; 0 for fends.
    removefailed
        Whether bins that cannot have enough become 0.
    in_turn
        Whether sides at the same distance grow one after the other, rows first, lower positions
        first, within chromosomes too; between chromosomes they always do.
    """

    minobservations: int
    searchdistance: int = 0
    expansion_binsize: int = 0
    removefailed: bool = False
    in_turn: bool = False

    @classmethod
    def of(
        cls,
        minobservations: int,
        searchdistance: int | str,
        expansion_binsize: int | str,
        removefailed: bool,
    ) -> Growth:
        """Growth with sizes as they are given by users."""
        distance = whole_bp(searchdistance, "searchdistance")
        size = whole_bp(expansion_binsize, "expansion_binsize")
        return cls(minobservations, distance, size, removefailed)

    def __post_init__(self) -> None:
        for name in ("minobservations", "searchdistance", "expansion_binsize"):
            if getattr(self, name) < 0:
                raise ParameterError(f"{name} is {getattr(self, name)}, expected 0 or more")


class Layers(NamedTuple):
    """Lazy (bins, bins): reads, what is expected, and int32 bp that a window reaches."""

    seen: Any
    expected: Any
    radius: Any


@dataclass(frozen=True)
class _Plan:
    """What all chunks share: axes, order and limit of growth, and the chromosomes.

    `whole` tells that bins without growth are made of whole units, all of them: not of small bins,
    nor of units beyond the end of the region, which belong to a last bin that is rounded up.
    """

    growth: Growth
    one: Growing
    two: Growing
    order: Order
    limit: int
    cis: bool
    whole: bool
    chroms: tuple[int, int]


def grown_layers(
    recipe: Recipe,
    growth: Growth,
    layers: tuple[Any, Any],
    axes: tuple[Axis, Axis],
    units: tuple[Segment, Segment],
    *,
    ready: bool = False,
    silent: bool = False,
) -> Layers:
    """Let the cells of a map grow, lazily.

    Every chunk is a task of its own. All share the pairs of both regions, sorted into blocks, and
    with a distance dependence a table of sums over the blocks; memory is some 40 bytes per pair
    and up to 400 MB for tables, whatever the number of units.

    Parameters
    ----------
    recipe
        What cells hold.
    growth
        How.
    layers
        Observed and expected of the bins, in chunks of the axes.
    axes
        Rows and columns, each of one chromosome; the same object for a symmetric map.
    units
        What bins grow by on both axes: consecutive small bins, or units, without gaps.
    ready
        Compute what all chunks share at once and keep it, for chunks that are computed some at a
        time.
    silent
        No progress bar.

    Notes
    -----
    In a symmetric map the cells on and above the diagonal grow over pairs of different units (the
    same ones too in a genome of bins), and sides at the same distance at once. Otherwise sides
    grow one after the other.
    """
    plan = _plan(growth, axes, units)
    shared = dask.delayed(plan, traverse=False)
    rows, columns = units
    full: Any = recipe.datatype
    source: Any
    if recipe.datatype == "expected":
        full = "distance" if recipe.uncorrected else "enrichment"
        source = lazy_window_sums(recipe, "raw", units, (plan.one, plan.two), plan.cis)
    else:
        sides = [dask.delayed(each, traverse=False) for each in units]
        finder = RowFinder(recipe.store)
        read = dask.delayed(_read_pairs, pure=True)
        parts = [
            read(readers, *sides, recipe.maxdistance, plan.cis, recipe.units.fends)
            for readers in finder.readers(finder.between(rows.units, columns.units))
        ]
        source = dask.delayed(_join_pairs, pure=True)(parts, shared)
    sums = lazy_window_sums(recipe, full, units, (plan.one, plan.two), plan.cis)
    means = recipe.means(rows, columns)
    if ready:
        common = [source, sums] if means is None else [source, sums, means]
        source, sums, *means_held = hold(common, title="dynamic bins", silent=silent)
        means = means_held[0] if means_held else None
    return _grow_chunks(layers, axes, shared, source, sums, means)


def _grow_chunks(
    layers: tuple[Any, Any], axes: tuple[Axis, Axis], plan: Any, source: Any, sums: Any, means: Any
) -> Layers:
    one, two = axes
    seen, expected = (layer.to_delayed() for layer in layers)
    task = dask.delayed(_grow_chunk, pure=True, nout=3)
    grids: list[Grid] = [[[None] * len(two) for _ in one.pieces] for _ in Layers._fields]
    for r, piece in enumerate(one.pieces):
        for c in range(r if one is two else 0, len(two)):
            first = piece.number - one.bins.number, two.pieces[c].number - two.bins.number
            cells = task(seen[r, c], expected[r, c], first, plan, source, sums, means)
            for grid, layer in zip(grids, cells, strict=True):
                grid[r][c] = layer
    dtypes = layers[0].dtype, np.float32, np.int32
    return Layers(
        *(assemble(grid, one, two, dtype) for grid, dtype in zip(grids, dtypes, strict=True))
    )


def _plan(growth: Growth, axes: tuple[Axis, Axis], units: tuple[Segment, Segment]) -> _Plan:
    cis = axes[0] is axes[1]
    places = [(each.start + each.stop) // 2 for each in units]
    extent = max(int(place[-1] - place[0]) for place in places)
    shift = max(0, (extent // min(_BLOCKS, max(map(len, places)))).bit_length())
    one, two = (_growing(axis.bins, place, shift) for axis, place in zip(axes, places, strict=True))
    farthest = max(
        int(np.abs(each.units[[0, -1], :1] - each.bins[:, 0]).max()) for each in (one, two)
    )
    limit = min(growth.searchdistance or farthest + 1, farthest + 1)
    ties = 1 + max(int(each.units[:, 2].max()) for each in (one, two))
    chroms = int(units[0].chrom[0]), int(units[1].chrom[0])
    whole = not growth.expansion_binsize and all(
        small.edge[0] <= axis.bins.edge[0] and small.edge[-1] >= axis.bins.edge[-1]
        for axis, small in zip(axes, units, strict=True)
    )
    order = Order(1 if cis and not growth.in_turn else 4, ties)
    return _Plan(growth, one, two, order, max(1, limit), cis, whole, chroms)


def _growing(bins: Segment, place: Int64, shift: int) -> Growing:
    first, last = (np.searchsorted(place, border, "left") for border in (bins.start, bins.stop))
    lowest, highest = (np.searchsorted(place, place, side) for side in ("left", "right"))
    own = np.arange(len(place))
    origin = int(place[0])
    blocks = (int(place[-1] - origin) >> shift) + 1
    border = np.searchsorted(place, origin + (np.arange(blocks + 1) << shift), "left")
    middle = (bins.start + bins.stop) // 2
    return Growing(
        np.stack([place, highest - 1 - own, own - lowest], axis=1),
        np.stack([middle, bins.start, bins.stop, first, last], axis=1),
        border,
        origin,
        shift,
    )


# Tasks


def _read_pairs(
    rows: Sequence[PairRows], one: Segment, two: Segment, maxdistance: int, cis: bool, fends: bool
) -> Int32:
    """int32 (3, pairs): unit of the row, of the column, and reads.

    A pair is there once for each cell of units that it lies in, but in cis only with the lower unit
    in the row, and without cells of one unit, unless units are those of a genome of bins.
    """
    found = [np.zeros((3, 0), dtype=np.int32)]
    for read in rows:
        first, second, reads = read()
        for turned in (False,) if cis else (False, True):
            low, high = (two, one) if turned else (one, two)
            a, b = _unit_of(low, first), _unit_of(high, second)
            kept = (a >= 0) & (b >= 0) & (reads > 0)
            if cis and fends:
                kept &= a != b
            if maxdistance and one.chrom[0] == two.chrom[0]:
                used = np.flatnonzero(kept)
                apart = high.units.mid[second[used] - high.units.first].astype(np.int64)
                apart -= low.units.mid[first[used] - low.units.first]
                kept[used] = apart <= maxdistance
            pair = (b, a) if turned else (a, b)
            found.append(np.stack([each[kept] for each in (*pair, reads)]).astype(np.int32))
    return np.concatenate(found, axis=1)


def _unit_of(segment: Segment, unit: Int32) -> Int32:
    """int32: bin of units in use, -1 for others."""
    place = unit - segment.units.first
    inside = (place >= 0) & (place < len(segment.units))
    place[~inside] = 0
    used = np.where(segment.units.valid, segment.bin_of, np.int32(-1))
    found: Int32 = np.where(inside, used[place], np.int32(-1))
    return found


def _join_pairs(parts: Sequence[Int32], plan: _Plan) -> PairBlocks:
    pairs = np.concatenate([np.zeros((3, 0), dtype=np.int32), *parts], axis=1)
    return block_pairs(pairs, plan.one, plan.two)


def _grow_chunk(
    seen: NDArray[Any],
    expected: NDArray[np.float32],
    first: tuple[int, int],
    plan: _Plan,
    source: PairBlocks | WindowSums,
    sums: WindowSums,
    means: csr_array | None,
) -> tuple[NDArray[Any], NDArray[np.float32], Int32]:
    """Grow the cells of a chunk; `first` are the bins of its first cell."""
    found = seen.copy(), expected.copy(), np.zeros(seen.shape, dtype=np.int32)
    lacking = seen < plan.growth.minobservations
    symmetric = plan.cis and first[0] == first[1]
    if symmetric:
        lacking = np.triu(lacking)
    cells = np.nonzero(lacking)
    bins = cells[0] + first[0], cells[1] + first[1]
    mean = 1.0 if means is None else float(means[plan.chroms])
    for layer, values in zip(
        found,
        _grow_cells(seen[cells], expected[cells], bins, plan, source, sums, mean),
        strict=True,
    ):
        layer[cells] = values
        if symmetric:
            below = np.tril_indices(len(layer), -1)
            layer[below] = layer.T[below]
    return found


def _grow_cells(
    seen: NDArray[Any],
    expected: NDArray[np.float32],
    bins: tuple[Int64, Int64],
    plan: _Plan,
    source: PairBlocks | WindowSums,
    sums: WindowSums,
    mean: float,
) -> tuple[NDArray[Any], NDArray[Any], Int64]:
    """Reads, expected, and radius of chosen cells, all of which have too few reads."""
    growth = plan.growth
    start, before = seen, expected.astype(np.float64)
    if not plan.whole:
        own = _own_windows(plan, bins)
        start, before = _reads_of(source, own, plan, bins), window_sums(sums, own) * mean
    windows, total = _find(source, plan, bins, growth.minobservations - seen + start, plan.limit)
    reads = seen + (total - start)
    radius = windows[:, 4]
    after = window_sums(sums, windows) * mean
    gained = np.where((radius > 0) & (after - before > _ROUNDING * after), after - before, 0.0)
    value = expected + gained
    if plan.whole:
        value = np.where(radius > 0, after, value)
    failed = reads < growth.minobservations
    if growth.removefailed:
        reads, value = np.where(failed, 0, reads), np.where(failed, 0.0, value)
        radius = np.where(failed, 0, radius)
    return reads, value, radius


def _own_windows(plan: _Plan, bins: tuple[Int64, Int64]) -> Int64:
    return np.hstack([plan.one.bins[bins[0], 3:], plan.two.bins[bins[1], 3:]])


def _reads_of(
    source: PairBlocks | WindowSums, windows: Int64, plan: _Plan, bins: tuple[Int64, Int64]
) -> NDArray[Any]:
    """Reads of the windows of bins that do not grow."""
    if isinstance(source, WindowSums):
        return window_sums(source, windows)
    never = np.full(len(windows), np.iinfo(np.int64).max)
    return _find(source, plan, bins, never, 1)[1]


def _find(
    source: PairBlocks | WindowSums,
    plan: _Plan,
    bins: tuple[Int64, Int64],
    target: NDArray[Any],
    limit: int,
) -> tuple[Int64, NDArray[Any]]:
    axes = plan.one, plan.two
    if isinstance(source, WindowSums):
        # Halves of pairs are whole numbers but for rounding.
        return grow_by_sums(source, *axes, *bins, target - 1e-6, limit, plan.order)
    return find_windows(source, *axes, *bins, target.astype(np.int64), limit, plan.order)
