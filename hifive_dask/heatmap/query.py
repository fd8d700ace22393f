"""Lazy heatmaps: xarray Datasets whose chunks are filled when they are asked for."""

from __future__ import annotations

from typing import Any, get_args

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import ParameterError, StateError
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.axes import Axis, Segment, make_axis, make_segment
from hifive_dask.heatmap.cells import Datatype
from hifive_dask.heatmap.chunks import ChunkBuilder
from hifive_dask.heatmap.subset import take_chromosomes
from hifive_dask.regions import Region, parse_region

__all__ = ["Datatype", "heatmap"]

RegionLike = str | Region | tuple[Any, ...] | None
Float32 = NDArray[np.float32]


def heatmap(
    units: Units,
    store: PairStore,
    valid: NDArray[np.int32],
    *,
    region: RegionLike,
    region2: RegionLike = None,
    binsize: int,
    datatype: Datatype = "enrichment",
    corrections: Float32 | None = None,
    distance: Float32 | None = None,
    chromosome_means: Float32 | None = None,
    maxdistance: int = 0,
    chunk_bins: int | None = None,
) -> xr.Dataset:
    """Build a lazy heatmap of observed and expected reads.

    Parameters
    ----------
    units, store, valid
        The genome, its pairs, and the filter (int32).
    region, region2
        Both axes; `region2` None for the same, `region` None for the whole genome.
    binsize
        bp, or 0 for one bin per unit.
    datatype
        What is expected of a possible pair: ``"raw"`` 1, ``"fend"`` the product of the corrections,
        ``"distance"`` the distance dependence, in trans the mean of the two chromosomes,
        ``"enrichment"`` the product of both. ``"expected"`` expects as the last, or as "distance"
        without corrections, and holds the number of possible pairs in place of observed reads.
    corrections
        float32 (N), for "fend" and "enrichment".
    distance, chromosome_means
        float32 (segments, 3) and (C), for "distance", "enrichment" and "expected".
    maxdistance
        bp: largest distance of a cis pair, inclusive; 0 for all.
    chunk_bins
        Bins per chunk and axis; by default an eighth of the axis, 64 to 512. The values do not
        depend on it.

    Returns
    -------
    xarray.Dataset
        ``observed`` int64 (float32 for "expected"), ``expected`` and ``enrichment`` float32, the
        ratio, NaN where nothing is expected; dims (bin1, bin2).

    Raises
    ------
    ParameterError
        For an unknown datatype, negative sizes, or regions whose bins are not of one grid.
    RegionError
        If a region is unknown or holds no unit.
    StateError
        If `datatype` needs corrections or the distance dependence, and they are missing.
    """
    _validate(datatype, corrections, distance, maxdistance)
    one = None if region is None else parse_region(region, units.chromosomes)
    two = None if region2 is None else parse_region(region2, units.chromosomes)
    part = take_chromosomes(
        units, store, valid, corrections, chromosome_means, _chromosomes(units, one, two)
    )
    units = part.units
    segments = _segments(units, one, binsize)
    same = two is None
    segments2 = segments if same else _segments(units, two, binsize)
    axis = make_axis(segments, chunk_bins or _chunk_bins(segments))
    axis2 = axis if same else make_axis(segments2, chunk_bins or _chunk_bins(segments2))
    grids = _grids(units, segments, segments2, binsize)
    builder = ChunkBuilder(part, datatype, distance, maxdistance, grids)
    seen, expected = builder.fill(axis, axis2, symmetric=same)
    ratio = da.where(expected > 0, seen / da.where(expected > 0, expected, 1), np.float32(np.nan))
    dims = ("bin1", "bin2")
    return xr.Dataset(
        {
            "observed": (dims, seen, {"units": "1" if datatype == "expected" else "reads"}),
            "expected": (dims, expected, {"units": "reads"}),
            "enrichment": (dims, ratio.astype(np.float32), {"units": "1"}),
        },
        coords={**_coords(units, axis, 1), **_coords(units, axis2, 2)},
        attrs={
            "region": "genome" if one is None else str(one),
            "region2": "" if two is None else str(two),
            "binsize": binsize,
            "datatype": datatype,
            "maxdistance": maxdistance,
        },
    )


def _chunk_bins(segments: list[Segment]) -> int:
    return min(512, max(64, sum(map(len, segments)) // 8))


def _validate(
    datatype: str, corrections: Float32 | None, distance: Float32 | None, maxdistance: int
) -> None:
    if datatype not in get_args(Datatype):
        known = ", ".join(map(repr, get_args(Datatype)))
        raise ParameterError(f"unknown datatype {datatype!r}; known are {known}")
    if maxdistance < 0:
        raise ParameterError(f"maxdistance is {maxdistance}, expected bp, or 0 for no limit")
    if datatype in ("fend", "enrichment") and corrections is None:
        raise StateError(
            f"datatype {datatype!r} needs corrections; call find_express_fend_corrections first, "
            "or ask for datatype 'raw' or 'distance'"
        )
    if datatype in ("distance", "enrichment", "expected") and distance is None:
        raise StateError(
            f"datatype {datatype!r} needs the distance dependence; call find_distance_parameters "
            "first, or ask for datatype 'raw' or 'fend'"
        )


def _chromosomes(units: Units, one: Region | None, two: Region | None) -> list[int]:
    """Indices of the chromosomes on either axis; without a region all that have units."""
    if one is None:
        return np.flatnonzero(np.diff(units.offset) > 0).tolist()
    return sorted({units.index[region.chromosome] for region in (one, two) if region is not None})


def _segments(units: Units, region: Region | None, binsize: int) -> list[Segment]:
    regions = [Region(name) for name in units.chromosomes] if region is None else [region]
    return [make_segment(units, each, binsize) for each in regions]


def _grids(
    units: Units, segments: list[Segment], segments2: list[Segment], binsize: int
) -> dict[int, Segment]:
    """For every chromosome the bins of which both axes are parts."""
    if segments is segments2:
        return {segment.chrom: segment for segment in segments}
    if len(segments) > 1:
        raise ParameterError("region2 needs a region; leave both out for the whole genome")
    one, two = segments[0], segments2[0]
    if one.chrom != two.chrom:
        return {}
    apart = int(one.start[0] - two.start[0])
    if binsize and apart % binsize:
        raise ParameterError(
            f"the two regions start {abs(apart):,} bp apart, which is not a multiple of the bin "
            f"size {binsize:,}; move the start of region2 by {apart % binsize:,} bp"
        )
    low = min(int(one.start[0]), int(two.start[0]))
    high = max(int(one.stop[-1]), int(two.stop[-1]))
    return {
        one.chrom: make_segment(units, Region(units.chromosomes[one.chrom], low, high), binsize)
    }


def _coords(units: Units, axis: Axis, number: int) -> dict[str, Any]:
    start, stop, chrom = axis.joined("start"), axis.joined("stop"), axis.chrom
    single = len(set(chrom.tolist())) == 1
    dim = f"bin{number}"
    return {
        dim: (dim, start if single else np.arange(len(start))),
        f"chromosome{number}": (dim, np.array(units.chromosomes)[chrom]),
        f"start{number}": (dim, start, {"units": "bp"}),
        f"stop{number}": (dim, stop, {"units": "bp"}),
        f"mid{number}": (dim, (start + stop) // 2, {"units": "bp"}),
    }
