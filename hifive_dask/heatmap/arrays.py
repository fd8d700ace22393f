"""Heatmaps as the arrays of the documented calls: observed and expected on the last axis."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import dask
import dask.array as da
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from hifive_dask._graph.run import hold, progress, run
from hifive_dask.errors import ParameterError, unknown
from hifive_dask.heatmap.axes import Segment
from hifive_dask.heatmap.bins import Bins, Request, find_bins, joint_segments
from hifive_dask.heatmap.chunks import Axis
from hifive_dask.heatmap.dynamic import Growth, grown_layers
from hifive_dask.heatmap.limits import MEMORY_LIMIT, check_size
from hifive_dask.heatmap.proportional import proportional_cells
from hifive_dask.heatmap.recipe import Recipe
from hifive_dask.heatmap.sizes import check_binsize

__all__ = [
    "ArrayType",
    "cis_array",
    "trans_array",
    "unfold",
]

ArrayType = Literal["compact", "upper", "full"]
Float32 = NDArray[np.float32]
Layer = Any  # float array (bins, bins), or a lazy one

_CELL_BYTES = 8  # two float32
_TOGETHER = 1 << 25  # cells in strips at a time
_TABLE_BYTES = 48  # float64 sums, tables, and the cells they are made of


def _check_memory(size: int, limit: int, cure: str) -> None:
    lazy = "use HiC.heatmap, which computes what is asked for"
    check_size("the array", size, limit, "memory_limit", f"{cure}, {lazy}")


def _compact_width(bins: Bins, maxdistance: int) -> int:
    """Number of bins behind a bin that can be nearer than `maxdistance`; 0 for no limit."""
    if not maxdistance:
        return len(bins) - 1
    near = np.searchsorted(bins.start, bins.stop - 1 + maxdistance, "left")
    return int(max(0, (near - 1 - np.arange(len(bins))).max()))


def _cis_cells(
    layers: tuple[Layer, Layer],
    arraytype: ArrayType,
    width: int,
    diagonal: bool,
    *,
    memory_limit: int = MEMORY_LIMIT,
    silent: bool = False,
) -> Float32:
    """float32 (..., 2): the cells of a symmetric map.

    Parameters
    ----------
    layers
        Observed and expected, lazy or not.
    arraytype
        ``"compact"`` (bins, width + diagonal, 2): column k holds bin i with bin i + k + 1, or i + k
        with the diagonal. ``"upper"`` (pairs of bins, 2): row by row. ``"full"`` (bins, bins, 2).
    width
        Bins behind a bin that a compact array reaches.
    diagonal
        Whether cells of a bin with itself are in it; 0 in a full array if not.
    """
    size = layers[0].shape[0]
    shape: tuple[int, ...] = {
        "compact": (size, width + diagonal),
        "upper": (size * (size - 1 + 2 * diagonal) // 2,),
        "full": (size, size),
    }[arraytype]
    _check_memory(
        math.prod(shape) * _CELL_BYTES,
        memory_limit,
        "choose a larger binsize, a part of the chromosome (start, stop), or a compact array with "
        "a maxdistance",
    )
    array = np.empty((*shape, 2), dtype=np.float32)
    done = 0
    for lo, strip in _strips(
        layers,
        lambda lo, hi: slice(lo, min(size, hi + width) if arraytype == "compact" else size),
        lambda strip: _shape_cells(strip, arraytype, width, diagonal),
        silent,
    ):
        if arraytype == "full":  # what is below the diagonal is not computed again
            hi = lo + len(strip)
            array[lo:hi, lo:] = strip
            array[hi:, lo:hi] = np.swapaxes(strip[:, hi - lo :], 0, 1)
        else:
            array[done : done + len(strip)] = strip
            done += len(strip)
    return array


def _shape_cells(strip: Float32, arraytype: ArrayType, width: int, diagonal: bool) -> Float32:
    """Bring some rows of a symmetric map into the form of an array type.

    Parameters
    ----------
    strip
        (rows, columns, 2): from the diagonal on.
    arraytype, width, diagonal
        As in `_cis_cells`.
    """
    rows, columns = strip.shape[:2]
    if arraytype == "full":
        if not diagonal:
            strip[np.arange(rows), np.arange(rows)] = 0
        return strip
    if arraytype == "upper":
        return np.concatenate([strip[i, i + 1 - diagonal :] for i in range(rows)])
    place = np.arange(rows)[:, None] + np.arange(width + diagonal) + (1 - diagonal)
    compact: Float32 = strip[np.arange(rows)[:, None], np.minimum(place, columns - 1)]
    compact[place >= columns] = 0
    return compact


def _trans_cells(
    layers: tuple[Layer, Layer], *, memory_limit: int = MEMORY_LIMIT, silent: bool = False
) -> Float32:
    """float32 (rows, columns, 2): all cells of a map."""
    rows, columns = layers[0].shape
    _check_trans(rows, columns, memory_limit)
    array = np.empty((rows, columns, 2), dtype=np.float32)
    for lo, strip in _strips(layers, lambda lo, hi: slice(0, columns), lambda strip: strip, silent):
        array[lo : lo + len(strip)] = strip
    return array


def _check_trans(rows: int, columns: int, limit: int) -> None:
    _check_memory(
        rows * columns * _CELL_BYTES,
        limit,
        "choose a larger binsize or parts of the chromosomes (start1, stop1, start2, stop2)",
    )


def _strips(
    layers: tuple[Layer, Layer],
    reach: Callable[[int, int], slice],
    form: Callable[[Float32], Float32],
    silent: bool,
) -> Iterator[tuple[int, Float32]]:
    """Yield the first row and the cells of strips of rows, of the columns that are needed.

    Some strips at a time are in memory; what they share is computed for each time anew.
    """
    seen, expected = (da.asarray(layer) for layer in layers)
    chunks = [layer.to_delayed() for layer in (seen, expected)]
    task = dask.delayed(_strip, pure=False)
    down, across = (np.r_[0, np.cumsum(sizes)].tolist() for sizes in seen.chunks)
    together = max(1, _TOGETHER // max(1, seen.shape[1] * int(np.diff(down).max(initial=1))))
    with progress("heatmap", len(down) - 1, silent=silent) as advance:
        for start in range(0, len(down) - 1, together):
            strips = []
            for row in range(start, min(start + together, len(down) - 1)):
                columns = reach(down[row], down[row + 1])
                first, last = (
                    bisect_right(across, columns.start) - 1,
                    bisect_left(across, columns.stop),
                )
                own = slice(columns.start - across[first], columns.stop - across[first])
                strips.append(task(*(grid[row, first:last].tolist() for grid in chunks), own, form))
            yield from zip(down[start:], run(strips, silent=True), strict=False)
            advance(len(strips))


def _strip(
    seen: Sequence[NDArray[Any]],
    expected: Sequence[NDArray[Any]],
    columns: slice,
    form: Callable[[Float32], Float32],
) -> Float32:
    """Some columns of chunks that lie side by side, in the form that is wanted."""
    width = sum(chunk.shape[1] for chunk in seen)
    cells = np.empty((len(seen[0]), width, 2), dtype=np.float32)
    for k, layer in enumerate((seen, expected)):
        np.concatenate(layer, axis=1, out=cells[..., k], casting="unsafe")
    return form(cells[:, columns])


def _rectangle_cells(
    recipe: Recipe, one: Bins, two: Bins, *, memory_limit: int = MEMORY_LIMIT, silent: bool = False
) -> Float32:
    """float32 (rows, columns, 2): two regions of one chromosome, that may overlap.

    A cell has the pairs of a unit of its row and another of its column. A pair whose units both
    lie in both is there twice, once from either side.
    """
    rows, columns = joint_segments(recipe.genome, one, two)
    axis = Axis(rows), Axis(columns)
    cells = _trans_cells(recipe.layers(*axis), memory_limit=memory_limit, silent=silent)
    same = np.flatnonzero(np.isin(rows.numbers, columns.numbers))
    cells[same, same + rows.number - columns.number] *= 2
    left, right = _members(one, rows), _members(two, columns)
    sums = [left @ cells[..., k].astype(np.float64) @ right.T for k in (0, 1)]
    return np.stack(sums, axis=-1).astype(np.float32)


def _members(bins: Bins, small: Segment) -> csr_array:
    """(bins, small bins): 1 where a small bin is a part of a bin."""
    lo, hi = (np.searchsorted(small.edge, units) for units in (bins.first, bins.last))
    size = hi - lo
    column = np.repeat(lo - np.r_[0, np.cumsum(size)[:-1]], size) + np.arange(size.sum())
    return csr_array(
        (np.ones(len(column)), column, np.r_[0, np.cumsum(size)]), shape=(len(bins), len(small))
    )


def cis_array(
    recipe: Recipe,
    request: Request,
    arraytype: ArrayType,
    *,
    diagonal: bool = False,
    proportional: bool = False,
    growth: Growth | None = None,
    memory_limit: int = MEMORY_LIMIT,
    silent: bool = False,
) -> tuple[Float32, Bins, bool]:
    """Make the array of a part of a chromosome.

    Parameters
    ----------
    recipe, request
        What cells hold, and the bins.
    arraytype, diagonal
        As in `_cis_cells`. The diagonal is always there in genomes of bins, and never in dynamic
        bins of fends.
    proportional
        Whether fends are shared by the bins they touch; not for dynamic bins.
    growth
        How dynamic bins grow; None for those that do not.

    Returns
    -------
    The array, its bins, and whether the diagonal is there.
    """
    if arraytype not in get_args(ArrayType):
        raise ParameterError(unknown("arraytype", arraytype, get_args(ArrayType)))
    bins = _bins(recipe, request)
    width = _compact_width(bins, recipe.maxdistance)
    diagonal = not recipe.units.fends or (diagonal and growth is None)
    options: dict[str, Any] = {"memory_limit": memory_limit, "silent": silent}
    layers: tuple[Layer, Layer]
    if growth is not None:
        axis = Axis(bins.segment(recipe.genome))
        small = _growth_units(recipe, request, growth)
        grown = grown_layers(
            recipe,
            growth,
            recipe.layers(axis, axis),
            (axis, axis),
            (small, small),
            ready=True,
            silent=silent,
        )
        layers = grown.seen, grown.expected
    elif proportional:
        _check_memory(_TABLE_BYTES * len(bins) ** 2, memory_limit, "choose a larger binsize")
        seen, expected = proportional_cells(recipe, bins, diagonal, silent=silent)
        layers = _mirror(seen), _mirror(expected)
    else:
        layers = _own_layers(recipe, bins)
    return _cis_cells(layers, arraytype, width, diagonal, **options), bins, diagonal


def _bins(recipe: Recipe, request: Request) -> Bins:
    if request.binbounds is None:
        check_binsize(recipe.units, request.binsize)
    return find_bins(recipe.units, recipe.valid, request)


def _own_layers(recipe: Recipe, bins: Bins) -> tuple[Layer, Layer]:
    axis = Axis(bins.segment(recipe.genome))
    return recipe.layers(axis, axis)


def trans_array(
    recipe: Recipe,
    one: Request,
    two: Request,
    *,
    growth: Growth | None = None,
    memory_limit: int = MEMORY_LIMIT,
    silent: bool = False,
) -> tuple[Float32, Bins, Bins]:
    """Make the array of two parts of one or two chromosomes.

    Parameters
    ----------
    recipe, one, two
        What cells hold, and the bins of both axes.
    growth
        How dynamic bins grow; None for those that do not.

    Returns
    -------
    The array, and the bins of both axes.
    """
    options: dict[str, Any] = {"memory_limit": memory_limit, "silent": silent}
    requests = (one, two)
    if len(set(recipe.units.select([one.chrom, two.chrom]))) == 1:
        requests = _from_used(recipe, one), _from_used(recipe, two)
    bins = [_bins(recipe, each) for each in requests]
    if growth is None:
        return _between(recipe, bins[0], bins[1], **options), bins[0], bins[1]
    rows = Axis(bins[0].segment(recipe.genome))
    columns = Axis(bins[1].segment(recipe.genome, len(bins[0])))
    layers: tuple[Layer, Layer]
    if bins[0].chrom == bins[1].chrom:
        cells = _rectangle_cells(recipe, bins[0], bins[1], **options)
        chunks = tuple(tuple(map(len, axis.pieces)) for axis in (rows, columns))
        layers = (da.from_array(cells[..., 0], chunks), da.from_array(cells[..., 1], chunks))
    else:
        layers = recipe.layers(rows, columns)
    small = [_growth_units(recipe, each, growth) for each in requests]
    grown = grown_layers(
        recipe,
        growth,
        layers,
        (rows, columns),
        (small[0], small[1]),
        ready=True,
        silent=silent,
    )
    cells = _trans_cells((grown.seen, grown.expected), **options)
    return cells, bins[0], bins[1]


def _growth_units(recipe: Recipe, request: Request, growth: Growth) -> Segment:
    """What the bins of a request grow by."""
    small = find_bins(recipe.units, recipe.valid, request.grown(growth.expansion_binsize))
    return small.segment(recipe.genome)


def _from_used(recipe: Recipe, request: Request) -> Request:
    """By default from the first to the last unit in use."""
    span = recipe.units.span(recipe.units.select([request.chrom])[0])
    used = span.start + np.flatnonzero(recipe.valid[span] > 0)
    if not len(used):
        return request
    first, last = request.startfend, request.stopfend
    return replace(
        request,
        startfend=int(used[0]) if first is None else first,
        stopfend=int(used[-1]) + 1 if last is None else last,
    )


def _between(recipe: Recipe, one: Bins, two: Bins, **options: Any) -> Float32:
    if one.chrom == two.chrom:
        return _rectangle_cells(recipe, one, two, **options)
    _check_trans(len(one), len(two), options["memory_limit"])
    rows = one.segment(recipe.genome)
    columns = two.segment(recipe.genome, len(one))
    means = recipe.means(rows, columns)
    if means is not None:  # all strips need them
        (means,) = hold([means], title="trans means", silent=options["silent"])
    return _trans_cells(recipe.layers(Axis(rows), Axis(columns), means), **options)


def unfold(array: Float32, size: int, arraytype: ArrayType, diagonal: bool) -> Float32:
    """float32 (bins, bins, 2): the symmetric map of an array; what it does not hold is 0."""
    if arraytype == "full":
        return array
    full = np.zeros((size, size, 2), dtype=np.float32)
    if arraytype == "upper":
        full[np.triu_indices(size, 1 - diagonal)] = array
    else:
        for i, row in enumerate(array):
            first = i + 1 - diagonal
            full[i, first : first + len(row)] = row[: size - first]
    return _mirror(full)


def _mirror(cells: NDArray[Any]) -> NDArray[Any]:
    """Fill what is below the diagonal of a map from above, in place."""
    above = np.triu(np.ones(cells.shape[:2], dtype=bool), 1)
    np.swapaxes(cells, 0, 1)[above] = cells[above]
    return cells
