"""The bins that the documented calls ask for: of one chromosome, by position, fend or bounds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hifive_dask.errors import ParameterError, RegionError
from hifive_dask.genome.partition import Units
from hifive_dask.genome.table import INT32_MAX
from hifive_dask.heatmap.axes import Segment, Stretch

__all__ = ["Bins", "Request", "find_bins", "joint_segments"]

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Request:
    """A part of a chromosome, and how to cut it.

    Parameters
    ----------
    chrom
        Name of the chromosome.
    start, stop
        bp. Bins begin exactly at `start`; `stop` is rounded up to whole bins, and 0 means none.
    startfend, stopfend
        First unit, and one past the last, in the numbers of the genome; each is used only without
        the position. Units outside are left out, even of the first and the last bin.
    binsize
        bp; 0 for one bin per unit.
    binbounds
        (bins, 2): start and stop of every bin, in place of all of these.
    skipfiltered
        Whether units that are not in use get no bin; only with one bin per unit.
    """

    chrom: str | bytes
    start: int | None = None
    stop: int | None = None
    startfend: int | None = None
    stopfend: int | None = None
    binsize: int = 0
    binbounds: ArrayLike | None = None
    skipfiltered: bool = False

    def grown(self, binsize: int) -> Request:
        """The same part in bins of another size, or in units: what dynamic bins grow by."""
        if self.binbounds is None:
            return replace(self, binsize=binsize, skipfiltered=False)
        bounds = _check_bounds(self.binbounds)
        return Request(self.chrom, int(bounds[0, 0]), int(bounds[-1, 1]), binsize=binsize)


@dataclass(frozen=True)
class Bins:
    """Bins of one chromosome, in order; there may be gaps between them.

    Parameters
    ----------
    chrom
        Index of the chromosome.
    start, stop
        int64 (bins): bp.
    first, last
        int64 (bins): units of bin b are ``first[b]`` to ``last[b]``.
    lo, hi
        Units of the region, those in gaps too.
    mapping
        int32 (bins, 4): start, stop, and the units of the region between them by midpoint, the
        first and one past the last.
    """

    chrom: int
    start: Int64
    stop: Int64
    first: Int64
    last: Int64
    lo: int
    hi: int
    mapping: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.start)

    def segment(self, genome: Stretch, number: int = 0) -> Segment:
        """A segment of these bins; units in gaps are not in use there."""
        edge = np.r_[self.first, self.hi]
        units = genome.part(int(edge[0]), self.hi)
        inside = np.arange(units.first, units.stop) < np.repeat(self.last, np.diff(edge))
        chrom = np.full(len(self), self.chrom, dtype=np.int32)
        units = replace(units, valid=units.valid & inside)
        return Segment(number, chrom, self.start, self.stop, edge, units, self._binsize)

    @property
    def _binsize(self) -> int:
        """Size of all bins, if they are the same and one begins where the last one stops."""
        size = int(self.stop[0] - self.start[0])
        grid = self.start[0] + size * np.arange(len(self) + 1)
        even = np.array_equal(self.start, grid[:-1]) and np.array_equal(self.stop, grid[1:])
        return size if even else 0


def find_bins(units: Units, valid: NDArray[np.int32], request: Request) -> Bins:
    """Find the bins of a request; `valid` is the filter of all units.

    Raises
    ------
    ParameterError
        If a unit does not lie on the chromosome, or bounds are not those of sorted bins.
    RegionError
        If the region holds no unit, or no unit that gets a bin.
    """
    if request.binsize < 0:
        raise ParameterError(
            f"binsize is {request.binsize}, expected bp, or 0: one bin per {units.unit}"
        )
    (chrom,) = units.select([request.chrom])
    span = units.span(chrom)
    mid = units.mid[span].astype(np.int64)
    if not len(mid):
        raise RegionError(f"chromosome {units.chromosomes[chrom]!r} has no {units.unit}s")
    bounds = None if request.binbounds is None else _check_bounds(request.binbounds)
    start, stop, lo, hi = _find_region(mid, span, request, bounds, units.unit)
    if lo >= hi:
        raise RegionError(
            f"{units.chromosomes[chrom]}:{start:,}-{stop:,} holds no {units.unit}; the "
            f"chromosome has {units.unit}s with midpoints from {mid[0]:,} to {mid[-1]:,}"
        )
    binsize = request.binsize
    if bounds is None and not binsize:
        first = np.arange(lo, hi)
        if request.skipfiltered:
            first = first[valid[lo:hi] > 0]
            if not len(first):
                raise RegionError(
                    f"{units.chromosomes[chrom]}:{start:,}-{stop:,} has no {units.unit} in "
                    "use, and skipfiltered leaves out all others"
                )
        bounds = np.stack([units.start[first], units.stop[first]], axis=1).astype(np.int64)
        found = np.stack([first, first + 1], axis=1)
    elif bounds is None:
        border = start + binsize * np.arange((stop - start) // binsize + 1)
        bounds = np.stack([border[:-1], border[1:]], axis=1)
    inside = lo + np.searchsorted(mid[lo - span.start : hi - span.start], bounds, "left")
    if request.binbounds is not None or binsize:
        found = inside
    # The last bin can end beyond the largest position, rounded up.
    mapping = np.concatenate([bounds.clip(max=INT32_MAX), inside], axis=1).astype(np.int32)
    return Bins(chrom, bounds[:, 0], bounds[:, 1], found[:, 0], found[:, 1], lo, hi, mapping)


def _find_region(
    mid: Int64, span: slice, request: Request, bounds: Int64 | None, kind: str
) -> tuple[int, int, int, int]:
    """Start and stop, in bp and in units."""

    def find(position: int) -> int:
        return int(span.start + np.searchsorted(mid, position, "left"))

    if bounds is not None:
        start, stop = int(bounds[0, 0]), int(bounds[-1, 1])
        return start, stop, find(start), find(stop)
    for name in ("startfend", "stopfend"):
        unit = getattr(request, name)
        if unit is not None and not span.start <= unit <= span.stop - (name == "startfend"):
            raise ParameterError(
                f"{name} is {unit}, but the chromosome has the {kind}s {span.start} to "
                f"{span.stop - 1}; they are counted through the whole genome"
            )
    binsize = request.binsize
    if request.start is None:
        lo = span.start if request.startfend is None else int(request.startfend)
        start = int(mid[lo - span.start])
        start = start // binsize * binsize if binsize else start
    else:
        start = int(request.start)
        if request.stop and request.stop <= start:
            raise RegionError(
                f"start is {start:,} and stop {request.stop:,}; stop must be above start"
            )
        lo = find(start)
    if request.stop:
        stop = _round_up(int(request.stop), start, binsize)
        return start, stop, lo, find(stop)
    hi = span.stop if request.stopfend is None else int(request.stopfend)
    stop = int(mid[max(0, hi - span.start - 1)]) + 1
    return start, _round_up(stop, start, binsize), lo, hi


def _round_up(stop: int, start: int, binsize: int) -> int:
    if not binsize:
        return stop
    bins: int = -((start - stop) // binsize)
    return start + bins * binsize


def _check_bounds(binbounds: ArrayLike) -> Int64:
    bounds = np.asarray(binbounds)
    if bounds.ndim != 2 or bounds.shape[1] != 2 or not len(bounds):
        raise ParameterError(
            f"bin bounds have the shape {bounds.shape}, expected (bins, 2): start and stop"
        )
    bounds = bounds.astype(np.int64)
    if (bounds[:, 0] >= bounds[:, 1]).any() or (bounds[1:, 0] < bounds[:-1, 1]).any():
        raise ParameterError("bin bounds must be sorted, not overlap, and start below their stop")
    return bounds


def joint_segments(genome: Stretch, one: Bins, two: Bins) -> tuple[Segment, Segment]:
    """Segments of bins so small that those of two regions of a chromosome are made of them."""
    edge = np.unique(np.concatenate([one.first, one.last, two.first, two.last]))
    units = genome.part(int(edge[0]), int(edge[-1]))
    chrom = np.full(len(edge) - 1, one.chrom, dtype=np.int32)
    place = units.mid[edge[:-1] - edge[0]].astype(np.int64)
    whole = Segment(0, chrom, place, place + 1, edge, units)

    def part(bins: Bins) -> Segment:
        lo, hi = np.searchsorted(edge, [bins.first[0], bins.last[-1]])
        return whole.part(int(lo), int(hi))

    return part(one), part(two)
