"""Maps that commands ask a project, or a store of heatmaps, for."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from hifive_dask.cli._stores import HEATMAPS
from hifive_dask.errors import RegionError

if TYPE_CHECKING:
    import xarray as xr

    from hifive_dask import HiC
    from hifive_dask._store.places import Place
    from hifive_dask.genome.partition import Units
    from hifive_dask.heatmap.query import Datatype

__all__ = ["Map", "best_datatype", "check_regions", "open_map", "query_map"]

_BINS = 400  # most bins along a map whose bin size was not given


@dataclass(frozen=True)
class Map:
    """A lazy map and how it was asked for."""

    dataset: xr.Dataset
    binsize: int
    datatype: str
    title: str


def open_map(store: Place, region: str, region2: str | None, options: dict[str, Any]) -> Map:
    """Open a project, or a store of heatmaps, and ask it for a map.

    `options` are those of `map_options`.
    """
    from hifive_dask import HiC
    from hifive_dask._store.kinds import kind_of

    if kind_of(store) == HEATMAPS:
        return _stored_map(store, region, region2, options)
    return query_map(HiC(store, silent=True), region, region2, options)


def _stored_map(path: Place, region: str, region2: str | None, options: dict[str, Any]) -> Map:
    """The map of a store; its finest one of up to `_BINS` bins if no bin size was given."""
    from hifive_dask import open_heatmaps
    from hifive_dask.heatmap.opened import open_level, select_region

    tree = open_heatmaps(path)
    for name in ("datatype", "maxdistance"):
        if options[name] and options[name] != tree.attrs[name]:
            raise click.UsageError(
                f"{path.name} was written with {name} {tree.attrs[name]}; leave --{name} out, or "
                "ask a project"
            )
    whole = _is_whole(region, region2, tree.attrs["chromosomes"])
    sizes = [options["binsize"]]
    if options["binsize"] is None:
        sizes = tree.attrs["resolutions"]
        trans = [size for size in sizes if tree[f"r{size}"].attrs["trans"]]
        sizes = trans if trans and (whole or region2 is not None) else sizes
    for binsize in sizes:
        dataset = select_region(open_level(tree, binsize), None if whole else region, region2)
        if max(dataset.sizes.values()) <= _BINS:
            break
    return Map(dataset, int(binsize), tree.attrs["datatype"], _title(region, region2, whole))


def query_map(hic: HiC, region: str, region2: str | None, options: dict[str, Any]) -> Map:
    """Ask a project for a map; region ``all`` is the whole genome."""
    from hifive_dask.heatmap.sizes import choose_binsize

    units = hic.units
    whole = _is_whole(region, region2, units.index)
    binsize = options["binsize"]
    if binsize is None:
        stats = hic.data.stats
        binsize = choose_binsize(
            units,
            None if whole else region,
            _BINS,
            region2=region2,
            cis_reads=int(stats["valid_cis_reads"]),
            trans_reads=int(stats["valid_trans_reads"]),
        )
    datatype: Datatype = options["datatype"] or best_datatype(hic)
    dataset = hic.heatmap(
        None if whole else region,
        region2,
        binsize=binsize,
        datatype=datatype,
        maxdistance=options.get("maxdistance", 0),
    )
    return Map(dataset, binsize, datatype, _title(region, region2, whole))


def _title(region: str, region2: str | None, whole: bool) -> str:
    return "whole genome" if whole else region + (f" / {region2}" if region2 else "")


def check_regions(units: Units, regions: Iterable[str], binsize: int | None) -> None:
    """Raise an error if there is no map of a region, or none of this bin size; compute nothing."""
    from hifive_dask.heatmap.axes import cut_region
    from hifive_dask.heatmap.sizes import check_binsize, choose_binsize
    from hifive_dask.regions import parse_region

    if binsize is not None:
        check_binsize(units, binsize, "--binsize")
    for region in regions:
        if _is_whole(region, None, units.index):
            continue
        try:
            place = parse_region(region, units.chromosomes)
            cut_region(units, place, binsize or choose_binsize(units, region, _BINS))
        except RegionError as error:
            raise RegionError(f"--region {region}: {error}") from error


def _is_whole(region: str, region2: str | None, names: Container[str]) -> bool:
    """Whether a map of the whole genome is meant, unless a chromosome is called ``all``."""
    whole = [each == "all" and each not in names for each in (region, region2)]
    if any(whole) and region2 is not None:
        raise click.UsageError(
            "'all' is the whole genome and stands alone, without a second region"
        )
    return whole[0]


def best_datatype(hic: HiC) -> Datatype:
    from hifive_dask.heatmap.sizes import best_datatype

    return best_datatype(
        distance=hic.distance_parameters is not None, corrections=hic.normalization != "none"
    )
