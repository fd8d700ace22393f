"""Stores of heatmaps as lazy labelled arrays, and regions of them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from hifive_dask._store.heatmaps import CHUNK, Layer, Level, StoredLevel, StoredMaps
from hifive_dask._store.places import Location
from hifive_dask.errors import ParameterError, RegionError, StoreError
from hifive_dask.heatmap.axes import coordinates, evened
from hifive_dask.heatmap.labels import describe
from hifive_dask.heatmap.ratios import is_lazy, ratio
from hifive_dask.regions import Region, parse_region

__all__ = ["RegionLike", "open_level", "open_store", "select_region"]

RegionLike = str | Region | tuple[Any, ...] | None

_PIECE = 4 * CHUNK  # bins per Dask chunk and axis of a selected region, about
_KEPT = ("type", "datatype", "maxdistance", "resolutions", "source", "pairs_token", "uuid")


class _Cells(BackendArray):
    """A layer of a stored level, read when it is indexed; both halves of the map.

    Parameters
    ----------
    stored
        Reads the level.
    layer
        Its layer; None for the ratio of both.
    """

    def __init__(self, stored: StoredLevel, layer: Layer | None) -> None:
        self.stored, self.layer = stored, layer
        self.shape = (stored.bins, stored.bins)
        self.dtype = np.dtype(np.float32) if layer is None else stored.dtypes[layer]

    def __getitem__(self, key: Any) -> Any:
        outer = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(key, self.shape, outer, self._outer)

    def _outer(self, key: tuple[Any, Any]) -> NDArray[Any]:
        if all(isinstance(k, slice) and k.step in (None, 1) for k in key):
            rows, columns = (slice(*k.indices(self.stored.bins)[:2]) for k in key)
            if rows.start < rows.stop and columns.start < columns.stop:
                return self._read(rows, columns)
        bins = [np.asarray(np.arange(self.stored.bins)[k]) for k in key]
        own = [np.unique(each, return_inverse=True) for each in bins]
        cells = np.empty([len(wanted) for wanted, _ in own], self.dtype)
        for i, down in _runs(own[0][0]):
            for j, across in _runs(own[1][0]):
                spans = (slice(int(each[0]), int(each[-1]) + 1) for each in (down, across))
                near = self._read(*spans)
                cells[i, j] = near[np.ix_(down - down[0], across - across[0])]
        found: NDArray[Any] = cells[np.ix_(*(place.ravel() for _, place in own))]
        return found.reshape([n for each in bins for n in each.shape])

    def _read(self, rows: slice, columns: slice) -> NDArray[Any]:
        if self.layer is not None:
            return self.stored.read(self.layer, rows, columns)
        layers: tuple[Layer, Layer] = ("observed", "expected")
        return ratio(*(self.stored.read(layer, rows, columns) for layer in layers))


def _runs(wanted: NDArray[np.int64]) -> list[tuple[slice, NDArray[np.int64]]]:
    """Cut sorted bins, where those between would be read for nothing and so that a square of them
    fits in memory whatever lies between; places and bins."""
    far = np.diff(wanted) > CHUNK
    edges = [0, *(np.flatnonzero(far | (np.diff(wanted // _PIECE) > 0)) + 1).tolist(), len(wanted)]
    places = [slice(lo, hi) for lo, hi in pairwise(edges) if lo < hi]
    return [(place, wanted[place]) for place in places]


def open_store(path: Location) -> xr.DataTree:
    """Open a store of heatmaps; see `hifive_dask.open_heatmaps`."""
    maps = StoredMaps.open(path)
    nodes = {f"/{level.name}": _node(maps, level) for level in maps.levels}
    attributes = {name: maps.attributes[name] for name in _KEPT}
    attributes["genome_name"] = maps.attributes.get("genome_name", "")
    attributes |= {"chromosomes": list(maps.chromosomes), "history": maps.attributes["history"]}
    if maps.lengths is not None:
        attributes["chromosome_lengths"] = maps.lengths.tolist()
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=attributes), **nodes})


def _node(maps: StoredMaps, level: Level) -> xr.Dataset:
    stored, dims = maps.reader(level), ("bin1", "bin2")

    def lazy(layer: Layer | None) -> xr.Variable:
        cells = indexing.LazilyIndexedArray(_Cells(stored, layer))
        return xr.Variable(dims, cells, describe(layer or "enrichment", datatype))

    datatype = str(maps.attributes["datatype"])
    names = np.array(maps.chromosomes)[level.chrom]
    return xr.Dataset(
        {
            "observed": lazy("observed"),
            "expected": lazy("expected"),
            "enrichment": lazy(None),
        },
        coords={
            name: value
            for axis in (1, 2)
            for name, value in coordinates(
                axis, names, level.start, level.stop, positions=False
            ).items()
        },
        attrs={
            "region": "genome",
            "region2": "",
            "binsize": level.binsize,
            "datatype": datatype,
            "maxdistance": maps.attributes["maxdistance"],
            "genome_name": maps.attributes.get("genome_name", ""),
            "source": PurePosixPath(str(maps.attributes["source"])).name,
            "trans": level.trans,
        },
    )


def select_region(
    maps: xr.Dataset, region: RegionLike = None, region2: RegionLike = None
) -> xr.Dataset:
    """Select the map of a region, or of two, from a larger map.

    Parameters
    ----------
    maps
        A level of a store, or another Dataset with bins on dims bin1 and bin2.
    region
        None for all that is there. All bins that overlap it.
    region2
        Second axis; by default the same region.

    Returns
    -------
    xarray.Dataset
        The same variables. Those of a store are lazy; a window of a few hundred bins is one chunk.

    Raises
    ------
    ParameterError
        If there is only a `region2`, or the Dataset is no map.
    RegionError
        If a region is unknown or has no bins.
    StoreError
        If it needs cells of two chromosomes and the level has none.
    """
    _check_map(maps)
    if region is None and region2 is not None:
        raise ParameterError("region2 needs a region; leave both out for the whole genome")
    one = _place(maps, 1, region)
    two = _place(maps, 2, region if region2 is None else region2)
    chosen = maps.isel(bin1=one[1], bin2=two[1])
    if not maps.attrs.get("trans", True) and not _same(one[0], two[0]):
        raise StoreError(
            f"the level of {maps.attrs['binsize']:,} bp has no cells of two chromosomes, as "
            f"{one[0]} by {two[0]} needs; take a level with the attribute trans=True, or write the "
            "store with them"
        )
    for axis, (place, _) in enumerate((one, two), 1):
        if place is not None:
            start = chosen[f"start{axis}"]
            name = {**start.attrs, "long_name": f"position on {place.chromosome}"}
            chosen = chosen.assign_coords({f"bin{axis}": (f"bin{axis}", start.values, name)})
    if region is None:
        own = {name: maps.attrs.get(name, "") for name in ("region", "region2")}
    else:
        own = {"region": str(one[0]), "region2": "" if region2 is None else str(two[0])}
    if "observed" in maps and is_lazy(maps):
        chosen = chosen.assign(_chunked(chosen))
    else:
        chosen = chosen.assign(_evened(chosen))
    return chosen.assign_attrs(own)


def _chunked(chosen: xr.Dataset) -> dict[str, xr.Variable]:
    """The layers of a part of a store, in chunks."""
    chunks = {dim: _pieces(chosen.sizes[dim]) for dim in ("bin1", "bin2")}
    layers = {name: chosen[name].variable.chunk(chunks) for name in ("observed", "expected")}
    both = da.map_blocks(ratio, *(each.data for each in layers.values()), dtype=np.float32)
    layers["enrichment"] = xr.Variable(("bin1", "bin2"), both, chosen["enrichment"].attrs)
    return layers


def _evened(chosen: xr.Dataset) -> dict[Any, Any]:
    """What is lazy of a part of a map: what it was cut out of has left chunks of any size."""
    lazy = {name: each for name, each in chosen.variables.items() if each.chunks is not None}
    return {name: each.copy(deep=False, data=evened(each.data)) for name, each in lazy.items()}


def _check_map(maps: xr.Dataset) -> None:
    needed = [f"{name}{axis}" for axis in (1, 2) for name in ("chromosome", "start", "stop")]
    missing = [name for name in needed if name not in maps.coords]
    if missing:
        raise ParameterError(
            f"the dataset has no coordinate {missing[0]}, so it is no map; take what HiC.heatmap "
            "returned, or open a store with open_heatmaps"
        )


def _same(one: Region | None, two: Region | None) -> bool:
    """Whether the axes have a chromosome in common."""
    return one is None or two is None or one.chromosome == two.chromosome


def open_level(maps: xr.DataTree, binsize: int | None = None) -> xr.Dataset:
    """The level of a bin size.

    Raises
    ------
    ParameterError
        If the bin size is not stored, or not given where there are several.
    """
    if "resolutions" in maps.attrs:
        sizes = [int(size) for size in maps.attrs["resolutions"]]
        if binsize is None and len(sizes) == 1:
            binsize = sizes[0]
        if binsize not in sizes:
            held = "no binsize was given" if binsize is None else f"binsize={binsize} is not stored"
            raise ParameterError(f"{held}; stored are {', '.join(map(str, sizes))}")
        return maps[f"r{sizes[sizes.index(binsize)]}"].to_dataset()  # of 1e4, too
    if "binsize" not in maps.attrs:
        raise ParameterError(
            "this node holds no map; take a node below it, or open a store with open_heatmaps"
        )
    own = int(maps.attrs["binsize"])
    if binsize not in (None, own):
        raise ParameterError(f"binsize={binsize} is not that of this level, {own}")
    return maps.to_dataset()


def _place(level: xr.Dataset, axis: int, region: RegionLike) -> tuple[Region | None, slice]:
    """The bins that overlap a region."""
    names = level[f"chromosome{axis}"].values
    if region is None:
        return None, slice(0, len(names))
    if not len(names):
        raise RegionError(f"the map has no bins on bin{axis}; take a part of it that has some")
    first = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    known = names[first].tolist()
    place = parse_region(region, known)
    k = known.index(place.chromosome)
    lo, hi = int(first[k]), int(np.r_[first, len(names)][k + 1])
    start, stop = (level[f"{edge}{axis}"].values[lo:hi] for edge in ("start", "stop"))
    begin = lo + int(np.searchsorted(stop, place.start or 0, "right"))
    end = hi if place.stop is None else lo + int(np.searchsorted(start, place.stop, "left"))
    if begin >= end:
        raise RegionError(
            f"region {place} has no bins; {place.chromosome!r} has bins from {start[0]:,} to "
            f"{stop[-1]:,}"
        )
    return place, slice(begin, end)


def _pieces(bins: int) -> tuple[int, ...]:
    """Equal chunks of whole stored ones, larger ones of many bins; the last may be shorter."""
    count = max(1, round(bins / min(4 * _PIECE, max(_PIECE, bins // 32))))
    size = -(-bins // (count * CHUNK)) * CHUNK
    full, rest = divmod(bins, size)
    return (size,) * full + (rest,) * (rest > 0)
