"""The bins of a heatmap axis, and what is known of the units in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError, RegionError
from hifive_dask.genome.partition import Units
from hifive_dask.regions import Region

__all__ = [
    "Segment",
    "Stretch",
    "align",
    "coordinates",
    "cut",
    "cut_region",
    "evened",
    "genome_segment",
    "join_segments",
    "make_segment",
]

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Stretch:
    """Consecutive units.

    Parameters
    ----------
    first
        The first unit.
    chrom, mid
        int32 (n): chromosome, and midpoint in bp.
    valid
        bool (n): units in use.
    correction
        float32 (n), or None if nothing is corrected.
    feature_bins
        int32 (n, features, 2), ``fend_indices`` of a binning model; None without one.
    """

    first: int
    chrom: NDArray[np.int32]
    mid: NDArray[np.int32]
    valid: NDArray[np.bool_]
    correction: NDArray[np.float32] | None
    feature_bins: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.mid)

    @property
    def stop(self) -> int:
        """One past the last unit."""
        return self.first + len(self)

    def part(self, lo: int, hi: int) -> Stretch:
        """Units ``lo`` to ``hi``."""
        own = slice(lo - self.first, hi - self.first)
        correction = None if self.correction is None else self.correction[own]
        bins = None if self.feature_bins is None else self.feature_bins[own]
        return Stretch(lo, self.chrom[own], self.mid[own], self.valid[own], correction, bins)

    def weight(self, corrected: bool) -> NDArray[np.float64]:
        """float64: 1 or its correction for every unit, 0 for those not in use."""
        weight = self.valid.astype(np.float64)
        if corrected and self.correction is not None:
            weight *= self.correction
        return weight


@dataclass(frozen=True)
class Segment:
    """Consecutive bins, of one or several chromosomes.

    Parameters
    ----------
    number
        Number of the first bin; bins of two axes are the same if they have the same number.
    chrom
        int32 (bins): index of the chromosome, not decreasing.
    start, stop
        int64 (bins): bp.
    edge
        int64 (bins + 1): units of bin b are ``edge[b]`` to ``edge[b + 1]``, by midpoint.
    units
        All of these units.
    binsize
        bp of every bin, all of them on one grid; 0 if they are not.
    """

    number: int
    chrom: NDArray[np.int32]
    start: Int64
    stop: Int64
    edge: Int64
    units: Stretch
    binsize: int = 0

    def __len__(self) -> int:
        return len(self.start)

    def part(self, lo: int, hi: int) -> Segment:
        """Bins ``lo`` to ``hi``."""
        edge = self.edge[lo : hi + 1]
        units = self.units.part(int(edge[0]), int(edge[-1]))
        bins = slice(lo, hi)
        return replace(
            self,
            number=self.number + lo,
            chrom=self.chrom[bins],
            start=self.start[bins],
            stop=self.stop[bins],
            edge=edge,
            units=units,
        )

    def span(self, chrom: int) -> slice:
        """The bins of one chromosome."""
        lo, hi = np.searchsorted(self.chrom, np.array([chrom, chrom + 1], dtype=np.int32))
        return slice(int(lo), int(hi))

    @property
    def numbers(self) -> NDArray[np.int64]:
        """int64: numbers of all bins."""
        return self.number + np.arange(len(self))

    @cached_property
    def bin_of(self) -> NDArray[np.int32]:
        """int32: bin of every unit of the segment."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.edge))

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 (bins): sum over the units of every bin."""
        sums: NDArray[np.float64] = np.bincount(self.bin_of, values, len(self)).astype(np.float64)
        return sums


def join_segments(segments: Sequence[Segment]) -> Segment:
    """Join segments, each of which begins with the unit and the bin after the one before."""
    if len(segments) == 1:
        return segments[0]
    stretches = [segment.units for segment in segments]
    corrections = [s.correction for s in stretches if s.correction is not None]
    bins = [s.feature_bins for s in stretches if s.feature_bins is not None]
    units = Stretch(
        stretches[0].first,
        np.concatenate([s.chrom for s in stretches]),
        np.concatenate([s.mid for s in stretches]),
        np.concatenate([s.valid for s in stretches]),
        np.concatenate(corrections) if corrections else None,
        np.concatenate(bins) if bins else None,
    )
    return Segment(
        segments[0].number,
        np.concatenate([s.chrom for s in segments]),
        np.concatenate([s.start for s in segments]),
        np.concatenate([s.stop for s in segments]),
        np.concatenate([segments[0].edge[:1], *(s.edge[1:] for s in segments)]),
        units,
    )


def cut_region(units: Units, region: Region, binsize: int) -> tuple[Int64, Int64, Int64]:
    """Cut a region into bins: from its start, up to the first bin border at or above its stop.

    Without a start, bins begin at the multiple of `binsize` below the first midpoint; without a
    stop they reach beyond the last. A stop beyond the last unit of the chromosome means its end. A
    `binsize` of 0 makes every unit a bin.

    Returns
    -------
    start, stop, edge
        As in `Segment`.

    Raises
    ------
    RegionError
        If no unit has its midpoint in the region.
    """
    if binsize < 0:
        raise ParameterError(
            f"binsize is {binsize}, expected bp, or 0 for one bin per {units.unit}"
        )
    span = units.span(units.index[region.chromosome])
    mid = units.mid[span].astype(np.int64)
    if not len(mid):
        raise RegionError(f"chromosome {region.chromosome!r} has no {units.unit}s")
    start = region.start
    if start is None:
        start = int(mid[0]) // binsize * binsize if binsize else int(mid[0])
    end = int(units.stop[span.stop - 1])
    stop = int(mid[-1]) + 1 if region.stop is None else min(region.stop, end)
    if binsize:
        borders = start + binsize * np.arange(max(0, -(-(stop - start) // binsize)) + 1)
        edge = span.start + np.searchsorted(mid, borders, "left")
        lower, upper = borders[:-1], borders[1:]
    else:
        lo, hi = (span.start + int(np.searchsorted(mid, x, "left")) for x in (start, stop))
        edge = np.arange(lo, hi + 1)
        lower, upper = (a[lo:hi].astype(np.int64) for a in (units.start, units.stop))
    if len(edge) < 2 or edge[0] == edge[-1]:
        raise RegionError(
            f"region {region} holds no {units.unit}; {region.chromosome!r} has {units.unit}s with "
            f"midpoints from {mid[0]:,} to {mid[-1]:,}"
        )
    return lower, upper, edge.astype(np.int64)


def make_segment(units: Units, genome: Stretch, region: Region, binsize: int) -> Segment:
    """Bins of a region, as `cut_region` cuts it; `genome` holds all units."""
    start, stop, edge = cut_region(units, region, binsize)
    chrom = np.full(len(start), units.index[region.chromosome], dtype=np.int32)
    inside = genome.part(int(edge[0]), int(edge[-1]))
    return Segment(0, chrom, start, stop, edge, inside, binsize)


def genome_segment(units: Units, genome: Stretch, chroms: Sequence[int], binsize: int) -> Segment:
    """Bins of whole chromosomes, in genome order; those without units have none.

    Units of other chromosomes between them are not in use.

    Raises
    ------
    RegionError
        If none of them has units.
    """
    chosen = [chrom for chrom in chroms if units.offset[chrom] < units.offset[chrom + 1]]
    if not chosen:
        raise RegionError(f"none of the chromosomes has {units.unit}s; there is nothing to map")
    parts = [cut_region(units, Region(units.chromosomes[chrom]), binsize) for chrom in chosen]
    start, stop = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    chrom = np.repeat(np.array(chosen, dtype=np.int32), [len(part[0]) for part in parts])
    edge = np.concatenate([*(part[2][:-1] for part in parts), parts[-1][2][-1:]])
    own = np.zeros(len(units.chromosomes), dtype=bool)
    own[chosen] = True
    used = replace(genome, valid=genome.valid & own[genome.chrom])
    inside = used.part(int(edge[0]), int(edge[-1]))
    return Segment(0, chrom, start, stop, edge, inside, binsize)


def align(one: Segment, two: Segment, binsize: int) -> Segment:
    """Number the bins of a second region so that those which both share have the same number.

    Raises
    ------
    ParameterError
        If the bins of two regions of one chromosome are not of one grid.
    """
    if one.chrom[0] != two.chrom[0]:
        return replace(two, number=one.number + len(one))
    if not binsize:
        return replace(two, number=one.number + int(two.edge[0] - one.edge[0]))
    apart = int(two.start[0] - one.start[0])
    if apart % binsize:
        raise ParameterError(
            f"the two regions start {abs(apart):,} bp apart, which is not a multiple of the bin "
            f"size {binsize:,}; move the start of region2 by {-apart % binsize:,} bp"
        )
    return replace(two, number=one.number + apart // binsize)


def coordinates(
    axis: int, names: NDArray[np.str_], start: Int64, stop: Int64, *, positions: bool
) -> dict[str, Any]:
    """Coordinates of the bins of axis 1 or 2 of a Dataset, by their name.

    The index are `positions`, the starts of bins of one chromosome, or else numbers of bins.
    """
    dim = f"bin{axis}"

    def described(values: NDArray[Any], name: str, units: str = "bp") -> Any:
        return dim, values, {"long_name": name, "units": units}

    return {
        dim: described(start, f"position on {names[0]}")
        if positions
        else described(np.arange(len(names)), "bin", "1"),
        f"chromosome{axis}": described(names, "chromosome", "1"),
        f"start{axis}": described(start, "start of the bin"),
        f"stop{axis}": described(stop, "end of the bin"),
        f"mid{axis}": described((start + stop) // 2, "middle of the bin"),
    }


def cut(segment: Segment, most: int) -> list[Segment]:
    """Cut into equal parts of at most so many bins; the last may be shorter."""
    parts = -(-len(segment) // most)
    size = -(-len(segment) // parts)
    return [segment.part(lo, min(lo + size, len(segment))) for lo in range(0, len(segment), size)]


def evened(cells: Any) -> Any:
    """Make the chunks of a Dask array as large as the largest along an axis, the last shorter.

    Arrays in Zarr have such chunks only, and xarray writes no others.
    """
    chunks = cells.chunks
    if all(len({*own[:-1]}) < 2 and own[-1] <= own[0] for own in chunks):
        return cells
    return cells.rechunk(tuple(max(own) for own in chunks))
