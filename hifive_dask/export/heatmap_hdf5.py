"""Files of heatmaps as labelled lazy arrays; those of HiFive (.hch) are read and written here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import dask
import dask.array as da
import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask._store.hdf5 import open_hdf5, plain, text_array
from hifive_dask._store.kinds import replacing_store
from hifive_dask._store.places import Location, local
from hifive_dask.errors import ParameterError, StoreError
from hifive_dask.genome.table import INT32_MAX
from hifive_dask.heatmap.axes import coordinates
from hifive_dask.heatmap.labels import describe
from hifive_dask.heatmap.maps import Map, MapSet, upper_cells
from hifive_dask.heatmap.opened import open_store
from hifive_dask.heatmap.ratios import ratio
from hifive_dask.public import answering

__all__ = ["datasets", "enrichment", "open_heatmaps", "write_hdf5", "write_heatmaps"]


_KIND = "hic_heatmap"
_DATASETS = {"observed": ("counts", np.int32), "expected": ("expected", np.float32)}


@answering
def open_heatmaps(path: Location) -> xr.DataTree:
    """Open a store of heatmaps, or the heatmaps of a HiFive heatmap file.

    Parameters
    ----------
    path
        ``.zarr``, a path or URL, what `HiC.write_heatmap` or `import_heatmaps` wrote; or HDF5,
        what HiFive wrote: ``.hch``, ``.hdf5`` or ``.h5``.

    Returns
    -------
    xarray.DataTree
        Nodes hold ``observed`` (int32, reads), ``expected`` and ``enrichment`` (float32; their
        ratio, NaN where nothing is expected) on dims bin1 and bin2, with coordinates chromosome,
        start, stop and mid of both, and are read when asked for.

        Of a ``.zarr`` store there is a node per bin size, such as ``"r10000"``: the map of the
        genome, symmetric. ``hic.region`` of the tree finds regions in it. Node attributes are those
        of `HiC.heatmap` and ``trans``: whether there are cells of two chromosomes, which else are
        -1 in ``observed`` and NaN in the others. Root attributes are ``resolutions`` (bp),
        ``chromosomes``, ``chromosome_lengths`` (bp, if known), ``datatype``, ``maxdistance``,
        ``history``, ``source``, ``pairs_token`` and ``uuid``. With datatype "expected",
        ``observed`` is float32.

        Of a HiFive file there is a node per map: ``"chr1"`` for a chromosome, ``"chr1_by_chr2"``
        for two. Maps within a chromosome are symmetric; their diagonal is 0 if the root attribute
        ``diagonal`` is False. Root attributes are ``resolution`` (bp), ``diagonal``, ``history``
        and ``chromosomes``.

    Raises
    ------
    StoreError
        If it is missing, holds something else, or is incomplete.
    """
    if PurePosixPath(str(path)).suffix == ".zarr":
        return open_store(path)
    where = os.path.abspath(local(path))
    if os.path.isdir(where):
        raise StoreError(
            f"{where}: is a directory, expected a heatmap file, or a store called .zarr"
        )
    with open_hdf5(where) as file:
        attributes = {name: plain(value) for name, value in file.attrs.items()}
        if str(attributes.get("format", "")).startswith("HDF5::"):
            raise StoreError(
                f"{where}: holds a cooler; make a store of it with import_heatmaps, or open it "
                "with the package cooler"
            )
        if attributes.get("filetype", _KIND) != _KIND or "chromosomes" not in file:
            raise StoreError(
                f"{where}: holds {attributes.get('filetype')!r}, expected {_KIND!r} (a heatmap "
                "file of HiFive)"
            )
        if "resolution" not in attributes:
            raise StoreError(f"{where}: lacks the attribute 'resolution'; make it again")
        names = text_array(file["chromosomes"][...]).tolist()
        shapes = _map_shapes(file, where)
        bins = {
            name: file[f"{name}.positions"][...] for name in names if f"{name}.positions" in file
        }
    diagonal = bool(attributes.get("diagonal", False))
    size = int(attributes["resolution"])
    nodes = {
        name: node.assign_attrs(binsize=size, source=os.path.basename(where))
        for name, node in _nodes(where, names, bins, shapes, diagonal).items()
    }
    root = xr.Dataset(
        attrs={
            "resolution": size,
            "diagonal": diagonal,
            "history": str(attributes.get("history", "")),
            "chromosomes": names,
        }
    )
    return xr.DataTree.from_dict({"/": root, **nodes})


def _map_shapes(file: h5py.File, where: str) -> dict[str, tuple[int, ...]]:
    """Shapes of the datasets of every map, which are equal."""
    shapes = {}
    for key in file:
        name = key.removesuffix(".counts")
        if name != key:
            shapes[name] = file[key].shape
            other = file.get(f"{name}.expected")
            if other is None or other.shape != shapes[name]:
                held = "is missing" if other is None else f"has the shape {other.shape}"
                raise StoreError(
                    f"{where}: {name}.expected {held}, expected {shapes[name]}, that of "
                    f"{key}; make it again"
                )
    return shapes


def _nodes(
    where: str,
    names: list[str],
    bins: Mapping[str, NDArray[np.int32]],
    shapes: Mapping[str, tuple[int, ...]],
    diagonal: bool,
) -> dict[str, xr.Dataset]:
    """All maps, whose shapes are those of their bins."""
    nodes: dict[str, xr.Dataset] = {}
    for k, one in enumerate(names):
        if one in shapes:
            size = len(bins.get(one, ()))
            cells = len(upper_cells(size, diagonal)[0])
            if shapes[one] != (cells,):
                raise StoreError(
                    f"{where}: {one}.counts has the shape {shapes[one]}, expected {(cells,)}, the "
                    f"upper triangle of {size:,} bins (the rows of {one}.positions), "
                    f"diagonal={diagonal}"
                )
            nodes[one] = _node(where, one, (one, one), bins, (size, size), diagonal)
        for two in names[k + 1 :]:
            pair = f"{one}_by_{two}"
            if pair in shapes:
                sizes = tuple(
                    len(bins[name]) if name in bins else size
                    for name, size in zip((one, two), shapes[pair], strict=True)
                )
                if shapes[pair] != sizes:
                    raise StoreError(
                        f"{where}: {pair}.counts has the shape {shapes[pair]}, expected {sizes}, "
                        "the rows of the positions of both"
                    )
                nodes[pair] = _node(where, pair, (one, two), bins, shapes[pair], None)
    return nodes


def _node(
    where: str,
    name: str,
    chromosomes: tuple[str, str],
    bins: Mapping[str, NDArray[np.int32]],
    shape: tuple[int, ...],
    diagonal: bool | None,
) -> xr.Dataset:
    read = dask.delayed(_read, pure=True)
    seen, expected = (
        da.from_delayed(read(where, f"{name}.{dataset}", shape, diagonal), shape, dtype)
        for dataset, dtype in _DATASETS.values()
    )
    both = da.map_blocks(ratio, seen, expected, dtype=np.float32)
    cells = {"observed": seen, "expected": expected, "enrichment": both}
    return xr.Dataset(
        {name: (("bin1", "bin2"), data, describe(name)) for name, data in cells.items()},
        coords={
            key: value
            for number, chromosome in enumerate(chromosomes, 1)
            for key, value in _coords(number, chromosome, bins, shape[number - 1]).items()
        },
        attrs={
            "region": chromosomes[0],
            "region2": "" if diagonal is not None else chromosomes[1],
        },
    )


def _coords(
    number: int, chromosome: str, bins: Mapping[str, NDArray[np.int32]], size: int
) -> dict[str, Any]:
    names = np.full(size, chromosome)
    if chromosome in bins:
        start, stop = bins[chromosome].astype(np.int64).T
        return coordinates(number, names, start, stop, positions=True)
    # HiFive leaves out the bins of chromosomes whose maps have less than two.
    known = coordinates(number, names, *np.zeros((2, size), np.int64), positions=False)
    return {name: known[name] for name in (f"bin{number}", f"chromosome{number}")}


def _read(where: str, name: str, shape: tuple[int, int], diagonal: bool | None) -> NDArray[Any]:
    """One dataset as a matrix; with `diagonal` given it is an upper triangle."""
    with open_hdf5(where) as file:
        values: NDArray[Any] = file[name][...]
    if diagonal is None:
        return values
    matrix = np.zeros(shape, dtype=values.dtype)
    cells = upper_cells(shape[0], diagonal)
    matrix[cells] = values
    matrix[cells[::-1]] = values
    return matrix


@answering
def write_heatmaps(tree: xr.DataTree, path: Location, *, silent: bool = False) -> None:
    """Write heatmaps as a HiFive heatmap file, one map at a time.

    Parameters
    ----------
    tree
        As `open_heatmaps` gives it: nodes by chromosome or pair of chromosomes, root attributes
        ``resolution``, ``diagonal`` and ``chromosomes``. Enrichment is computed from observed and
        expected, and is 0 where nothing is expected.
    path
        The file to make or replace.
    silent
        No progress bar.

    Raises
    ------
    ParameterError
        If observed reads do not fit in 32 bits, or a chromosome has ``/`` in its name.
    StoreError
        If it cannot be written; what was there before is then untouched.
    """
    names = tuple(str(name) for name in tree.attrs["chromosomes"])
    nodes = {name: node.to_dataset() for name, node in tree.children.items()}
    diagonal = bool(tree.attrs["diagonal"])
    bins = {
        name: np.stack([node["start1"].values, node["stop1"].values], axis=1)
        for name, node in nodes.items()
        if name in names
    }
    maps = MapSet(
        names,
        bins,
        int(tree.attrs["resolution"]),
        diagonal,
        str(tree.attrs.get("history", "")),
        (_map_of(str(name), node, diagonal, silent) for name, node in nodes.items()),
    )
    write_hdf5(path, maps)


def _map_of(name: str, node: xr.Dataset, diagonal: bool, silent: bool) -> Map:
    chroms = [str(node[f"chromosome{k}"].values[0]) for k in (1, 2)]
    lazy = [node[variable].data for variable in _DATASETS]
    seen, expected = map(np.asarray, run(lazy, title=name, silent=silent))
    if chroms[0] == chroms[1]:
        cells = upper_cells(len(seen), diagonal)
        seen, expected = seen[cells], expected[cells]
    return Map((chroms[0], chroms[1]), seen, expected)


def write_hdf5(path: Location, maps: MapSet) -> None:
    """Write maps as a HiFive heatmap file; errors as those of `write_heatmaps`."""
    for name in maps.chromosomes:
        if "/" in name or name == ".":
            raise ParameterError(
                f"the chromosome {name!r} cannot be the name of a dataset of HDF5; write another "
                "format, such as npz or zarr"
            )
    with replacing_store(local(path), "heatmap") as beside, h5py.File(beside, "w") as file:
        for name, values in datasets(maps):
            file[name] = values
        file.attrs["resolution"] = np.int64(maps.resolution)
        file.attrs["diagonal"] = np.bool_(maps.diagonal)
        file.attrs["history"] = maps.history
        file.attrs["filetype"] = _KIND


def datasets(maps: MapSet) -> Iterator[tuple[str, NDArray[Any]]]:
    """Names and arrays of a heatmap file, one map after the other.

    Raises
    ------
    ParameterError
        If observed reads do not fit in 32 bits.
    """
    yield "chromosomes", np.array([name.encode() for name in maps.chromosomes], dtype=np.bytes_)
    for name, bins in maps.bins.items():
        # The last bin can end beyond the largest position, rounded up.
        yield f"{name}.positions", bins.clip(max=INT32_MAX).astype(np.int32)
    for each in maps.maps:
        most = each.observed.max(initial=0)
        if most > np.iinfo(np.int32).max:
            raise ParameterError(
                f"{each.name}: {most:,} reads in one bin do not fit in the 32 bits of this format; "
                "use a smaller bin size, or a Zarr store"
            )
        counts, expected = each.observed.astype(np.int32), each.expected.astype(np.float32)
        yield f"{each.name}.counts", counts
        yield f"{each.name}.expected", expected
        yield f"{each.name}.enrichment", enrichment(counts, expected)


def enrichment(counts: NDArray[Any], expected: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32: observed over expected, 0 where nothing is expected."""
    ratio = np.zeros(expected.shape, dtype=np.float32)
    np.divide(counts, expected, out=ratio, where=expected > 0, casting="same_kind")
    return ratio
