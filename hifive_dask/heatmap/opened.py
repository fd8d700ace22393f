"""Stores of heatmaps as lazy labelled arrays, and regions of them."""

from __future__ import annotations

from itertools import pairwise
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
from hifive_dask.heatmap.axes import coordinates
from hifive_dask.regions import Region, parse_region

__all__ = ["RegionLike", "open_store", "select_region"]

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
        return _ratio(*(self.stored.read(layer, rows, columns) for layer in layers))


def _runs(wanted: NDArray[np.int64]) -> list[tuple[slice, NDArray[np.int64]]]:
    """Cut sorted bins, where those between would be read for nothing and so that a square of them
    fits in memory whatever lies between; places and bins."""
    far = np.diff(wanted) > CHUNK
    edges = [0, *(np.flatnonzero(far | (np.diff(wanted // _PIECE) > 0)) + 1).tolist(), len(wanted)]
    places = [slice(lo, hi) for lo, hi in pairwise(edges) if lo < hi]
    return [(place, wanted[place]) for place in places]


def _ratio(observed: NDArray[Any], expected: NDArray[np.float32]) -> NDArray[np.float32]:
    """Enrichment: NaN where nothing is expected, or not stored."""
    ratio = np.full(observed.shape, np.nan)
    np.divide(observed, expected, out=ratio, where=expected > 0)
    return ratio.astype(np.float32)


def open_store(path: Location) -> xr.DataTree:
    """Open a store of heatmaps; see `hifive_dask.open_heatmaps`."""
    maps = StoredMaps.open(path)
    nodes = {f"/{level.name}": _node(maps, level) for level in maps.levels}
    attributes = {name: maps.attributes[name] for name in _KEPT}
    attributes |= {"chromosomes": list(maps.chromosomes), "history": maps.attributes["history"]}
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=attributes), **nodes})


def _node(maps: StoredMaps, level: Level) -> xr.Dataset:
    stored, dims = maps.reader(level), ("bin1", "bin2")

    def lazy(layer: Layer | None, units: str) -> xr.Variable:
        cells = indexing.LazilyIndexedArray(_Cells(stored, layer))
        return xr.Variable(dims, cells, {"units": units})

    possible = maps.attributes["datatype"] == "expected"
    names = np.array(maps.chromosomes)[level.chrom]
    index = np.arange(len(level))
    return xr.Dataset(
        {
            "observed": lazy("observed", "1" if possible else "reads"),
            "expected": lazy("expected", "reads"),
            "enrichment": lazy(None, "1"),
        },
        coords={
            name: value
            for axis in (1, 2)
            for name, value in coordinates(axis, index, names, level.start, level.stop).items()
        },
        attrs={
            "region": "genome",
            "region2": "",
            "binsize": level.binsize,
            "datatype": maps.attributes["datatype"],
            "maxdistance": maps.attributes["maxdistance"],
            "trans": level.trans,
        },
    )


def select_region(
    maps: xr.DataTree | xr.Dataset,
    region: RegionLike = None,
    region2: RegionLike = None,
    *,
    binsize: int | None = None,
) -> xr.Dataset:
    """Select the map of a region, or of two, from stored heatmaps.

    Parameters
    ----------
    maps
        What `hifive_dask.open_heatmaps` returned for a ``.zarr`` store, or one level of it.
    region
        ``"chr2:10,000,000-20,000,000"``, ``"chr2:10M-20M"``, ``"chr2"``, or (name, start, stop) in
        bp; None for the whole genome. All stored bins that overlap it.
    region2
        Second axis; by default the same region.
    binsize
        bp, one of those stored; not needed if there is one level.

    Returns
    -------
    xarray.Dataset
        As `HiC.heatmap` returns it: ``observed``, ``expected`` and ``enrichment`` on dims bin1 and
        bin2, which are the starts of bins in bp if an axis is on one chromosome. Lazy; a window of
        a few hundred bins is one chunk.

    Raises
    ------
    ParameterError
        If the bin size is not stored, or not given where there are several.
    RegionError
        If a region is unknown or has no bins.
    StoreError
        If it needs cells of two chromosomes and the level has none.

    Examples
    --------
    >>> import hifive_dask as hd
    >>> from hifive_dask.testing import toy_project
    >>> project = toy_project()
    >>> hic = hd.HiC(project, silent=True)
    >>> hic.write_heatmap(project.with_name("maps.zarr"), [10_000, 50_000], datatype="raw")
    >>> maps = hd.open_heatmaps(project.with_name("maps.zarr"))
    >>> hd.select_region(maps, "chr1:100k-200k", binsize=10_000)["bin1"].values[:3].tolist()
    [100000, 110000, 120000]
    """
    if not isinstance(maps, xr.DataTree | xr.Dataset):
        raise ParameterError(
            f"maps is a {type(maps).__name__}, expected what open_heatmaps returns for a store"
        )
    level = _level_of(maps, binsize)
    if region is None and region2 is not None:
        raise ParameterError("region2 needs a region; leave both out for the whole genome")
    one = _place(level, 1, region)
    two = _place(level, 2, region if region2 is None else region2)
    chosen = level.isel(bin1=one[1], bin2=two[1])
    if not level.attrs["trans"] and not _same(one[0], two[0]):
        raise StoreError(
            f"the level of {level.attrs['binsize']:,} bp has no cells of two chromosomes, as "
            f"{one[0]} by {two[0]} needs; take a level with the attribute trans=True, or write the "
            "store with them"
        )
    for axis, (name, _) in enumerate((one, two), 1):
        if name is not None:
            chosen = chosen.assign_coords({f"bin{axis}": chosen[f"start{axis}"].values})
    chunks = {"bin1": _pieces(one[1]), "bin2": _pieces(two[1])}
    layers = {name: chosen[name].variable.chunk(chunks) for name in ("observed", "expected")}
    ratio = da.map_blocks(_ratio, *(each.data for each in layers.values()), dtype=np.float32)
    layers["enrichment"] = xr.Variable(("bin1", "bin2"), ratio, chosen["enrichment"].attrs)
    return chosen.assign(layers).assign_attrs(
        region="genome" if one[0] is None else str(one[0]),
        region2="" if region2 is None else str(two[0]),
    )


def _same(one: Region | None, two: Region | None) -> bool:
    """Whether the axes have a chromosome in common."""
    return one is None or two is None or one.chromosome == two.chromosome


def _level_of(maps: xr.DataTree | xr.Dataset, binsize: int | None) -> xr.Dataset:
    if "resolutions" in maps.attrs and isinstance(maps, xr.DataTree):
        sizes = [int(size) for size in maps.attrs["resolutions"]]
        if binsize is None and len(sizes) == 1:
            binsize = sizes[0]
        if binsize not in sizes:
            held = "no binsize was given" if binsize is None else f"binsize={binsize} is not stored"
            raise ParameterError(f"{held}; stored are {', '.join(map(str, sizes))}")
        return maps[f"r{sizes[sizes.index(binsize)]}"].to_dataset()  # of 1e4, too
    level = maps.to_dataset() if isinstance(maps, xr.DataTree) else maps
    if "binsize" not in level.attrs or "trans" not in level.attrs:
        raise ParameterError(
            "these are no heatmaps of a .zarr store, nor one of their levels; open them with "
            "open_heatmaps, or ask HiC.heatmap for a region"
        )
    own = int(level.attrs["binsize"])
    if binsize not in (None, own):
        raise ParameterError(f"binsize={binsize} is not that of this level, {own}")
    return level


def _place(level: xr.Dataset, axis: int, region: RegionLike) -> tuple[Region | None, slice]:
    """The bins that overlap a region."""
    names = level[f"chromosome{axis}"].values
    if region is None:
        return None, slice(0, len(names))
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


def _pieces(bins: slice) -> tuple[int, ...]:
    """Chunks of a stretch of bins, larger ones of many bins, cut where stored chunks are."""
    number = bins.stop - bins.start
    count = max(1, round(number / min(4 * _PIECE, max(_PIECE, number // 32))))
    inner = np.linspace(bins.start, bins.stop, count + 1)[1:-1] // CHUNK * CHUNK
    return tuple(np.diff([bins.start, *inner.astype(int).tolist(), bins.stop]).tolist())
