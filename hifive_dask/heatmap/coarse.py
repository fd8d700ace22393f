"""Maps made of maps: wider bins, and reads by distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError
from hifive_dask.heatmap.axes import coordinates, evened
from hifive_dask.heatmap.labels import describe
from hifive_dask.heatmap.ratios import layers, ratio
from hifive_dask.regions import whole_bp

__all__ = ["by_distance", "coarsen"]

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class _Axis:
    """Bins of an axis: their chromosomes by number, and where they are in bp."""

    chrom: Int64
    start: Int64
    stop: Int64

    def __len__(self) -> int:
        return len(self.chrom)


def coarsen(dataset: xr.Dataset, binsize: int | str) -> xr.Dataset:
    """Join bins into wider ones: sums of observed and expected reads, and their ratio, lazy.

    Bins of whole chromosomes begin at multiples of the new size, those of a region where it begins;
    none has parts of two chromosomes. A pair of units counts once, as in every map. Outer bins of a
    part that was cut out with ``isel`` are named as whole ones, though they hold what is left.

    Parameters
    ----------
    dataset
        A map with bins of one size.
    binsize
        bp, a multiple of that size.

    Raises
    ------
    ParameterError
        If it is none, or the cells of the map cannot be added up.
    """
    old, size = _binsize(dataset), whole_bp(binsize, "binsize")
    if size < old or size % old:
        raise ParameterError(
            f"binsize is {size:,}, expected a multiple of that of the map, {old:,}"
        )
    names, axes = _axes(dataset)
    whole = _whole(dataset, names)
    origin = np.zeros(len(names), np.int64)
    if not whole:
        for axis in reversed(axes):  # bins of the first axis decide
            first = np.flatnonzero(np.r_[True, axis.chrom[1:] != axis.chrom[:-1]])
            origin[axis.chrom[first]] = axis.start[first]
    blocks = [(axis.start - origin[axis.chrom]) // size for axis in axes]
    groups = [
        np.r_[0, np.flatnonzero((np.diff(block) != 0) | (np.diff(axis.chrom) != 0)) + 1, len(axis)]
        for axis, block in zip(axes, blocks, strict=True)
    ]
    cells = [evened(_summed(each.data, axes, blocks, groups)) for each in _layers(dataset)]
    coords: dict[str, Any] = {}
    for number, (axis, group) in enumerate(zip(axes, groups, strict=True), 1):
        start, stop = _borders(axis, group, old, size, whole)
        shown = np.array(names)[axis.chrom[group[:-1]]]
        positions = dataset[f"bin{number}"].attrs.get("units") == "bp"
        coords |= coordinates(number, shown, start, stop, positions=positions)
    both = da.map_blocks(ratio, *cells, dtype=np.float32)
    datatype = str(dataset.attrs.get("datatype", "enrichment"))
    data = dict(zip(("observed", "expected", "enrichment"), (*cells, both), strict=True))
    dims = ("bin1", "bin2")
    return xr.Dataset(
        {name: (dims, values, describe(name, datatype)) for name, values in data.items()},
        coords,
        dataset.attrs | {"binsize": size},
    )


def _binsize(dataset: xr.Dataset) -> int:
    size = int(dataset.attrs.get("binsize", 0))
    if "radius" in dataset or "observed" not in dataset:
        what = "dynamic bins share reads" if "radius" in dataset else "it holds no reads"
        raise ParameterError(f"cells of this map cannot be added up: {what}; ask for another map")
    if size <= 0:
        raise ParameterError("the map has bins of single fends; ask for one with a binsize")
    shape = dict(dataset["observed"].sizes)
    if set(shape) != {"bin1", "bin2"} or not all(shape.values()):
        raise ParameterError(f"the map has sizes {shape}, expected bins on both of bin1 and bin2")
    return size


def _layers(dataset: xr.Dataset) -> list[xr.DataArray]:
    """Observed and expected, rows first: users may have turned the map."""
    return [layer.transpose("bin1", "bin2") for layer in layers(dataset)]


def _axes(dataset: xr.Dataset) -> tuple[list[str], list[_Axis]]:
    """Names of chromosomes, and both axes."""
    shown = [dataset[f"chromosome{k}"].values.astype(str) for k in (1, 2)]
    names, number = np.unique(np.concatenate(shown), return_inverse=True)
    chroms = np.split(number.astype(np.int64), [len(shown[0])])
    places = [[dataset[f"{edge}{k}"].values for edge in ("start", "stop")] for k in (1, 2)]
    axes = [_Axis(chrom, *place) for chrom, place in zip(chroms, places, strict=True)]
    for k, axis in enumerate(axes, 1):
        same = axis.chrom[1:] == axis.chrom[:-1]
        if (np.diff(axis.start)[same] <= 0).any():
            raise ParameterError(f"bins of bin{k} are out of order; sort the map by start")
    return names.tolist(), axes


def _whole(dataset: xr.Dataset, names: list[str]) -> bool:
    """Whether the map is of whole chromosomes, whose bins begin at multiples of their size."""
    asked = {str(dataset.attrs.get(name, "")) for name in ("region", "region2")}
    return asked <= {"genome", "", *names}


def _borders(axis: _Axis, group: Int64, old: int, size: int, whole: bool) -> tuple[Int64, Int64]:
    start, stop = axis.start[group[:-1]], axis.stop[group[1:] - 1]
    if whole:
        start = start // size * size
        full = stop - axis.start[group[1:] - 1] == old  # else the chromosome ends there
        stop = np.where(full, start + size, stop)
    return start, stop


def _summed(cells: Any, axes: list[_Axis], blocks: list[Int64], groups: list[Int64]) -> da.Array:
    """Sums over the cells of wider ones, in chunks of whole ones."""
    lazy = da.asarray(cells)
    edges = []
    for k, (group, axis) in enumerate(zip(groups, axes, strict=True)):
        old = np.cumsum([0, *lazy.chunks[k]])
        place = np.searchsorted(group, old, "right") - 1
        edges.append(np.unique(np.r_[group[place], len(axis)]))
    lazy = lazy.rechunk(tuple(tuple(np.diff(edge).tolist()) for edge in edges))
    counts = tuple(
        tuple(np.diff(np.searchsorted(group, edge)).tolist())
        for group, edge in zip(groups, edges, strict=True)
    )
    whole = lazy.dtype.kind in "iu"
    return _by_blocks(_add_up, lazy, axes, blocks, counts, np.int64 if whole else np.float32)


def _by_blocks(
    function: Any,
    cells: da.Array,
    axes: list[_Axis],
    blocks: list[Int64],
    counts: tuple[tuple[int, ...], ...],
    dtype: Any,
    **options: Any,
) -> da.Array:
    """Call a function with every chunk and what is known of its bins, which are columns."""
    known = []
    for axis, other, block in zip(axes, axes[::-1], blocks, strict=True):
        keys = [each.chrom << 40 | each.start for each in (axis, other)]
        known.append(np.stack([axis.chrom, axis.start, np.isin(keys[0], keys[1]), block], axis=1))
    found: da.Array = da.blockwise(
        function,
        "ij",
        cells,
        "ij",
        da.from_array(known[0], (cells.chunks[0], -1)),
        "ik",
        da.from_array(known[1], (cells.chunks[1], -1)),
        "jk",
        adjust_chunks={"i": counts[0], "j": counts[1]},
        concatenate=True,
        meta=np.zeros((0, 0), dtype),
        **options,
    )
    return found


def _twice(rows: Int64, columns: Int64) -> NDArray[np.bool_]:
    """Cells below the diagonal whose mirrored cell is in the map, too."""
    one, two = rows.T[:, :, None], columns.T[:, None, :]
    below = (one[0] == two[0]) & (one[1] > two[1])
    mirrored: NDArray[np.bool_] = below & (one[2] > 0) & (two[2] > 0)
    return mirrored


def _add_up(cells: NDArray[Any], rows: Int64, columns: Int64) -> NDArray[Any]:
    """Sum the cells of every two wider bins; of mirrored cells in one of them only one counts."""
    whole = cells.dtype.kind in "iu"
    twice = _twice(rows, columns) & (rows[:, 3, None] == columns[:, 3])
    sums = np.where(twice, 0, cells.astype(np.int64 if whole else np.float64))
    for axis, known in enumerate((rows, columns)):
        new = (np.diff(known[:, [0, 3]], axis=0) != 0).any(axis=1)
        sums = np.add.reduceat(sums, np.r_[0, np.flatnonzero(new) + 1], axis=axis)
    # Those that are not stored are -1.
    return np.maximum(sums, -1) if whole else sums.astype(np.float32)


def by_distance(dataset: xr.Dataset) -> xr.Dataset:
    """Sum observed and expected reads within chromosomes by the distance of their bins, lazy.

    Raises
    ------
    ParameterError
        If no two bins are of one chromosome, or the cells of the map cannot be added up.
    """
    size = _binsize(dataset)
    _, axes = _axes(dataset)
    shared = np.intersect1d(axes[0].chrom, axes[1].chrom)
    if not len(shared):
        raise ParameterError("the map is of two chromosomes, which have no distance")
    number = 1 + max(
        int(np.abs(np.subtract.outer(_ends(axes[0], c), _ends(axes[1], c))).max()) // size
        for c in shared
    )
    data: dict[str, Any] = {}
    for name, layer in zip(("observed", "expected"), _layers(dataset), strict=True):
        cells = da.asarray(layer.data)
        ones = tuple((1,) * len(chunks) for chunks in cells.chunks)
        plain = [axis.start for axis in axes]
        wide = (ones[0], tuple(number for _ in ones[1]))
        whole = np.int64 if cells.dtype.kind in "iu" else np.float64
        parts = _by_blocks(_at_distance, cells, axes, plain, wide, whole, size=size, number=number)
        sums = parts.reshape(len(ones[0]), len(ones[1]), number).sum(axis=(0, 1))
        data[name] = ("distance", sums, layer.attrs)
    both = da.map_blocks(ratio, data["observed"][1], data["expected"][1], dtype=np.float32)
    data["enrichment"] = ("distance", both, dataset["enrichment"].attrs)
    attributes = {"long_name": "distance of bins", "units": "bp"}
    index = ("distance", size * np.arange(number), attributes)
    return xr.Dataset(data, {"distance": index}, dataset.attrs)


def _ends(axis: _Axis, chrom: int) -> Int64:
    own: Int64 = axis.start[axis.chrom == chrom][[0, -1]]
    return own


def _at_distance(
    cells: NDArray[Any], rows: Int64, columns: Int64, size: int, number: int
) -> NDArray[Any]:
    use = (rows[:, 0, None] == columns[:, 0]) & ~_twice(rows, columns)
    apart = np.abs(rows[:, 1, None] - columns[:, 1])[use] // size
    sums = np.bincount(apart, cells[use], number)
    return sums[None].astype(np.int64 if cells.dtype.kind in "iu" else np.float64)
