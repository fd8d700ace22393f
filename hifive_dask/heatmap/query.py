"""Lazy heatmaps: xarray Datasets whose chunks are filled when they are asked for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.axes import (
    Segment,
    Stretch,
    align,
    coordinates,
    genome_segment,
    make_segment,
)
from hifive_dask.heatmap.cells import Datatype
from hifive_dask.heatmap.chunks import Axis
from hifive_dask.heatmap.dynamic import Growth, grown_layers
from hifive_dask.heatmap.labels import describe
from hifive_dask.heatmap.ratios import ratio
from hifive_dask.heatmap.recipe import Recipe
from hifive_dask.heatmap.sizes import check_binsize
from hifive_dask.regions import Region, parse_region, whole_bp

__all__ = ["Datatype", "heatmap"]

RegionLike = str | Region | tuple[Any, ...] | None
Float32 = NDArray[np.float32]

_MOST_CELLS = 1 << 40  # more chunks than a graph can hold


def heatmap(
    recipe: Recipe,
    *,
    region: RegionLike,
    region2: RegionLike = None,
    binsize: int | str,
    growth: Growth | None = None,
    chunk_bins: int | None = None,
) -> xr.Dataset:
    """Build a lazy heatmap of observed and expected reads.

    Parameters
    ----------
    recipe
        What cells hold.
    region, region2
        Both axes; `region2` None for the same, `region` None for the whole genome. A stop beyond
        the last unit of a chromosome means its end, rounded up to whole bins.
    binsize
        bp, or 0 for one bin per unit.
    growth
        How dynamic bins grow over their regions; None for bins that do not.
    chunk_bins
        Bins per chunk and axis; by default up to 512, 1024 on long axes, fewer if there are many
        units. The values do not depend on it.

    Returns
    -------
    xarray.Dataset
        ``observed`` int64 (float32 for "expected"), ``expected`` and ``enrichment`` float32, the
        ratio, NaN where nothing is expected; dims (bin1, bin2). Of dynamic bins also ``radius``,
        int32: bp from the middle of a bin to the farthest unit that it took in, 0 for none.

    Raises
    ------
    ParameterError
        For sizes that are not possible, too many bins, regions whose bins are not of one grid, or
        dynamic bins of a whole genome or of regions that overlap.
    RegionError
        If a region is unknown or holds no unit.
    StateError
        If `datatype` needs corrections or the distance dependence, and they are missing.
    """
    binsize = whole_bp(binsize, "binsize")
    units, genome = recipe.units, recipe.genome
    check_binsize(units, binsize)
    one = None if region is None else parse_region(region, units.chromosomes)
    two = None if region2 is None else parse_region(region2, units.chromosomes)
    other = None if two == one else two
    rows = _segment(units, genome, one and _on_grid(units, one, other, binsize), binsize)
    columns = rows
    if other is not None:
        columns = _second(units, genome, one, _on_grid(units, other, one, binsize), rows, binsize)
    if len(rows) * len(columns) > _MOST_CELLS:
        raise ParameterError(
            f"a map of {len(rows):,} by {len(columns):,} bins has too many chunks, expected up to "
            f"{_MOST_CELLS:,} cells; choose a larger binsize or smaller regions"
        )
    axis = Axis(rows, chunk_bins)
    axes = axis, axis if columns is rows else Axis(columns, chunk_bins)
    seen, expected = recipe.layers(*axes)
    dims = ("bin1", "bin2")
    variables: dict[str, Any] = {}
    if growth is not None:
        small = _growth_units(recipe, one, two, axes, growth)
        seen, expected, radius = grown_layers(recipe, growth, (seen, expected), axes, small)
        variables["radius"] = (dims, radius, describe("radius"))
    both = da.map_blocks(ratio, seen, expected, dtype=np.float32)
    cells = {"observed": seen, "expected": expected, "enrichment": both}
    return xr.Dataset(
        {
            **{name: (dims, data, describe(name, recipe.datatype)) for name, data in cells.items()},
            **variables,
        },
        coords={**_coords(units, rows, 1), **_coords(units, columns, 2)},
        attrs={
            "region": "genome" if one is None else str(one),
            "region2": "" if two is None else str(two),
            "binsize": binsize,
            "datatype": recipe.datatype,
            "maxdistance": recipe.maxdistance,
            **({} if growth is None else {k: int(v) for k, v in asdict(growth).items()}),
        },
    )


def _growth_units(
    recipe: Recipe,
    one: Region | None,
    two: Region | None,
    axes: tuple[Axis, Axis],
    growth: Growth,
) -> tuple[Segment, Segment]:
    """What the bins of both regions grow by."""
    if one is None:
        raise ParameterError(
            "dynamic bins grow within a region: name a chromosome or a part of one, as in "
            "region='chr1'"
        )
    size = growth.expansion_binsize
    rows = make_segment(recipe.units, recipe.genome, one, size)
    if axes[0] is axes[1]:
        return rows, rows
    assert two is not None
    columns = make_segment(recipe.units, recipe.genome, two, size)
    if max(rows.units.first, columns.units.first) < min(rows.units.stop, columns.units.stop):
        raise ParameterError(
            f"dynamic bins of {one} and {two}: the regions overlap, so that pairs would count "
            "twice; ask for one region that holds both and select from it"
        )
    return rows, columns


def _on_grid(units: Units, own: Region, other: Region | None, binsize: int) -> Region:
    """A region that leaves its start open, begun so that its bins are those of the other one."""
    if other is None or own.start is not None or other.start is None:
        return own
    span = units.span(units.index[own.chromosome])
    if own.chromosome != other.chromosome or binsize <= 0 or span.start == span.stop:
        return own
    first = int(units.mid[span.start])
    return own._replace(start=first - (first - other.start) % binsize)


def _segment(units: Units, genome: Stretch, region: Region | None, binsize: int) -> Segment:
    """Bins of a region, or of all chromosomes that have units."""
    if region is not None:
        return make_segment(units, genome, region, binsize)
    return genome_segment(units, genome, range(len(units.chromosomes)), binsize)


def _second(
    units: Units,
    genome: Stretch,
    region: Region | None,
    region2: Region,
    bins: Segment,
    binsize: int,
) -> Segment:
    """Bins of the second axis."""
    if region is None:
        raise ParameterError("region2 needs a region; leave both out for the whole genome")
    return align(bins, make_segment(units, genome, region2, binsize), binsize)


def _coords(units: Units, bins: Segment, axis: int) -> dict[str, Any]:
    single = bins.chrom[0] == bins.chrom[-1]
    shown, which = np.unique(bins.chrom, return_inverse=True)
    names = np.array([units.chromosomes[c] for c in shown])[which]
    start = np.maximum(bins.start, 0)  # bins that follow another region may begin before it
    return coordinates(axis, names, start, bins.stop, positions=bool(single))
