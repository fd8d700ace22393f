"""Lazy heatmaps: xarray Datasets whose chunks are filled when they are asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import ParameterError, StateError
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.axes import Segment, Stretch, align, join_segments, make_segment
from hifive_dask.heatmap.cells import Datatype, Expectation
from hifive_dask.heatmap.chunks import Axis, expected_array, observed_array, trans_means_of
from hifive_dask.heatmap.rows import RowFinder
from hifive_dask.model.distance import log_thresholds
from hifive_dask.model.factors import BinningModel
from hifive_dask.regions import Region, parse_region

__all__ = ["Datatype", "check_datatype", "heatmap", "make_expectation"]

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
    binning: BinningModel | None = None,
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
        Both axes; `region2` None for the same, `region` None for the whole genome. A stop beyond
        the last unit of a chromosome means its end, rounded up to whole bins.
    binsize
        bp, or 0 for one bin per unit.
    datatype
        What is expected of a possible pair: ``"raw"`` 1, ``"fend"`` the product of all corrections,
        ``"distance"`` the distance dependence, in trans the mean of the two chromosomes,
        ``"enrichment"`` the product of both. ``"expected"`` expects as the last, or as "distance"
        without corrections, and holds the number of possible pairs in place of observed reads.
    corrections
        float32 (N), for "fend" and "enrichment". For these and "expected" units whose correction
        is 0 are left out, of observed reads too.
    binning
        Corrections of pairs of feature bins, alone or besides `corrections`. With a distance
        dependence every pair of a cis chunk is then visited.
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
    uncorrected = corrections is None and binning is None
    check_datatype(datatype, uncorrected, distance)
    if maxdistance < 0:
        raise ParameterError(f"maxdistance is {maxdistance}, expected bp, or 0 for no limit")
    one = None if region is None else parse_region(region, units.chromosomes)
    two = None if region2 is None else parse_region(region2, units.chromosomes)
    usable = valid > 0
    corrected = usable if corrections is None else usable & (corrections > 0)
    if datatype not in ("raw", "distance"):
        usable = corrected
    bins = None if binning is None else binning.fend_indices
    genome = Stretch(0, units.chromosome, units.mid, usable, corrections, bins)
    rows = _segment(units, genome, one, binsize)
    columns = rows if two is None else _second(units, genome, one, two, rows, binsize)
    axis = Axis(rows, chunk_bins or _chunk_bins(rows))
    axis2 = axis if two is None else Axis(columns, chunk_bins or _chunk_bins(columns))
    finder = RowFinder(store)

    def expected_of(datatype: Datatype) -> da.Array:
        expectation = make_expectation(
            units, datatype, binning, distance, chromosome_means, maxdistance
        )
        means = None
        if datatype in ("distance", "enrichment") and rows.chrom[0] != columns.chrom[-1]:
            known = replace(genome, valid=corrected)
            means = trans_means_of(
                finder, *(_whole(units, known, each) for each in (rows, columns))
            )
        return expected_array(expectation, means, axis, axis2)

    if datatype == "expected":
        # Possible pairs are not whole numbers: a bin with itself counts half.
        seen = expected_of("raw")
        expected = expected_of("distance" if uncorrected else "enrichment")
    else:
        seen = observed_array(finder, axis, axis2, maxdistance)
        expected = expected_of(datatype)
    ratio = da.where(expected > 0, seen / da.where(expected > 0, expected, 1), np.float32(np.nan))
    dims = ("bin1", "bin2")
    return xr.Dataset(
        {
            "observed": (dims, seen, {"units": "1" if datatype == "expected" else "reads"}),
            "expected": (dims, expected, {"units": "reads"}),
            "enrichment": (dims, ratio.astype(np.float32), {"units": "1"}),
        },
        coords={**_coords(units, rows, 1), **_coords(units, columns, 2)},
        attrs={
            "region": "genome" if one is None else str(one),
            "region2": "" if two is None else str(two),
            "binsize": binsize,
            "datatype": datatype,
            "maxdistance": maxdistance,
        },
    )


def _chunk_bins(bins: Segment) -> int:
    return min(512, max(64, len(bins) // 8))


def check_datatype(datatype: str, uncorrected: bool, distance: Float32 | None) -> None:
    """Raise if a datatype is unknown, or needs what was not learned yet."""
    if datatype not in get_args(Datatype):
        known = ", ".join(map(repr, get_args(Datatype)))
        raise ParameterError(f"unknown datatype {datatype!r}; known are {known}")
    if datatype in ("fend", "enrichment") and uncorrected:
        raise StateError(
            f"datatype {datatype!r} needs corrections; call find_express_fend_corrections first, "
            "or ask for datatype 'raw' or 'distance'"
        )
    if datatype in ("distance", "enrichment", "expected") and distance is None:
        raise StateError(
            f"datatype {datatype!r} needs the distance dependence; call find_distance_parameters "
            "first, or ask for datatype 'raw' or 'fend'"
        )


def _segment(units: Units, genome: Stretch, region: Region | None, binsize: int) -> Segment:
    """Bins of a region, or of all chromosomes that have units."""
    if region is not None:
        return make_segment(units, genome, region, binsize)
    regions = [Region(units.chromosomes[c]) for c in np.flatnonzero(np.diff(units.offset))]
    return join_segments([make_segment(units, genome, each, binsize) for each in regions])


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


def _whole(units: Units, genome: Stretch, bins: Segment) -> Stretch:
    """All units of the chromosomes of an axis."""
    first, last = (units.span(int(bins.chrom[k])) for k in (0, -1))
    return genome.part(first.start, last.stop)


def make_expectation(
    units: Units,
    datatype: Datatype,
    binning: BinningModel | None,
    distance: Float32 | None,
    chromosome_means: Float32 | None,
    maxdistance: int,
) -> Expectation:
    """What is expected of a pair; distances beyond `maxdistance` count for nothing."""
    thresholds = np.zeros(0, dtype=np.int64)
    slope, intercept = np.zeros(1), np.zeros(1)
    means = np.zeros(len(units.chromosomes))
    by_distance = datatype in ("distance", "enrichment")
    if by_distance:
        assert distance is not None
        cutoff, slope, intercept = distance.astype(np.float64).T
        thresholds = log_thresholds(cutoff[:-1])
        if chromosome_means is not None:
            means = chromosome_means.astype(np.float64)
    if maxdistance:
        n = int((thresholds < maxdistance).sum())
        thresholds = np.r_[thresholds[:n], maxdistance]
        slope, intercept = np.r_[slope[: n + 1], 0.0], np.r_[intercept[: n + 1], -np.inf]
    corrected = datatype in ("fend", "enrichment")
    return Expectation(
        corrected,
        binning.corrections if binning is not None and corrected else None,
        units.fends,
        by_distance or maxdistance > 0,
        thresholds,
        slope,
        intercept,
        means,
    )


def _coords(units: Units, bins: Segment, number: int) -> dict[str, Any]:
    single = bins.chrom[0] == bins.chrom[-1]
    dim = f"bin{number}"
    shown, which = np.unique(bins.chrom, return_inverse=True)
    names = np.array([units.chromosomes[c] for c in shown])
    return {
        dim: (dim, bins.start if single else np.arange(len(bins))),
        f"chromosome{number}": (dim, names[which]),
        f"start{number}": (dim, bins.start, {"units": "bp"}),
        f"stop{number}": (dim, bins.stop, {"units": "bp"}),
        f"mid{number}": (dim, (bins.start + bins.stop) // 2, {"units": "bp"}),
    }
