"""The bins of a heatmap axis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError, RegionError
from hifive_dask.genome.partition import Units
from hifive_dask.regions import Region

__all__ = ["Axis", "Segment", "make_axis", "make_segment"]


@dataclass(frozen=True)
class Segment:
    """Consecutive bins of one chromosome.

    Parameters
    ----------
    chrom
        Index of the chromosome.
    start, stop
        int64 (bins): bp.
    edge
        int64 (bins + 1): units of bin b are ``edge[b]`` to ``edge[b + 1]``, by midpoint.
    """

    chrom: int
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    edge: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)

    def part(self, lo: int, hi: int) -> Segment:
        """Bins ``lo`` to ``hi``."""
        return Segment(self.chrom, self.start[lo:hi], self.stop[lo:hi], self.edge[lo : hi + 1])

    @property
    def units(self) -> tuple[int, int]:
        """First unit, and one past the last."""
        return int(self.edge[0]), int(self.edge[-1])

    @cached_property
    def bin_of(self) -> NDArray[np.int32]:
        """int32: bin of every unit of the segment."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.edge))


@dataclass(frozen=True)
class Axis:
    """One or several chromosomes, cut into pieces that become chunks."""

    pieces: tuple[Segment, ...]

    @property
    def chunks(self) -> tuple[int, ...]:
        """Number of bins of every piece."""
        return tuple(len(piece) for piece in self.pieces)

    def joined(self, name: str) -> NDArray[np.int64]:
        """``start`` or ``stop`` of all bins."""
        return np.concatenate([getattr(piece, name) for piece in self.pieces])

    @property
    def chrom(self) -> NDArray[np.int64]:
        """Chromosome index of all bins."""
        return np.repeat([piece.chrom for piece in self.pieces], self.chunks)


def make_segment(units: Units, region: Region, binsize: int) -> Segment:
    """Cut a region into bins: from its start, up to the first bin border at or above its stop.

    Without a start, bins begin at the multiple of `binsize` below the first midpoint; without a
    stop they reach beyond the last. A `binsize` of 0 makes every unit a bin.

    Raises
    ------
    RegionError
        If no unit has its midpoint in the region.
    """
    if binsize < 0:
        raise ParameterError(f"binsize is {binsize}, expected bp, or 0 for one bin per unit")
    chrom = units.index[region.chromosome]
    span = units.span(chrom)
    mid = units.mid[span].astype(np.int64)
    if not len(mid):
        raise RegionError(f"chromosome {region.chromosome!r} has no units")
    start = region.start
    if start is None:
        start = int(mid[0]) // binsize * binsize if binsize else int(mid[0])
    stop = int(mid[-1]) + 1 if region.stop is None else region.stop
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
            f"region {region} holds no unit; {region.chromosome!r} has units with midpoints from "
            f"{mid[0]:,} to {mid[-1]:,}"
        )
    return Segment(chrom, lower, upper, edge.astype(np.int64))


def make_axis(segments: list[Segment], bins_per_chunk: int) -> Axis:
    """Cut segments into chunks of at most so many bins."""
    pieces = []
    for segment in segments:
        n = -(-len(segment) // bins_per_chunk)
        borders = [len(segment) * k // n for k in range(n + 1)]
        pieces += [segment.part(lo, hi) for lo, hi in pairwise(borders)]
    return Axis(tuple(pieces))
