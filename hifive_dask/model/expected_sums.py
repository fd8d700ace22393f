"""Expected reads of every unit, and of every distance bin, in nearly linear time.

With weights w, and a power law f per segment of distance, these are ``s_i = sum_j f(d_ij) w_j``
over the possible partners of unit i, and ``e_k``, the sum of ``f(d_ij) w_i w_j`` over the possible
pairs of distance bin k. Evenly spaced bins are summed by Fourier transforms, which is exact, other
positions by a mesh, and few positions one by one. With a mesh the error of `s` is about 2e-6 of it
where slopes change by 0.1 from segment to segment, and in proportion to that. Pairs next to the
border of two distance bins can count in either: 3e-4 of the reads of a bin for 60,000 positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from hifive_dask._kernels.mesh import POINTS, add_listed, add_near, add_plain, gather, spread
from hifive_dask._kernels.probability import impossible_pairs

__all__ = [
    "UNLIMITED",
    "DistanceBins",
    "ExpectedSums",
    "PowerLaw",
    "Sums",
    "expected_sums",
    "special_pairs",
    "sums_of_chromosomes",
]

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

UNLIMITED = 2**62  # bp: the end of a window that has none

_FEW = 1024  # positions of a chromosome whose pairs are visited one by one
_NEAR = 64  # mean number of partners on each side that are visited one by one
_LONGEST = 2**20  # bp: of distances that are
_FINE = 256  # points of the mesh up to the farthest of them
_SPARSE = 16  # points of the grid for every bin: else a mesh is smaller
_ASIDE = 4  # positions that need not lie on the grid


class PowerLaw(NamedTuple):
    """exp(intercept) max(1, d)^slope per segment of distance: float64 (segments).

    Parameters
    ----------
    slope, intercept
        Natural log of reads against natural log of bp.
    """

    slope: Float64
    intercept: Float64

    def at(self, distance: Int64, thresholds: Int64) -> Float64:
        """float64: values at distances in bp; segment k ends at threshold k."""
        k = np.searchsorted(thresholds, distance)
        value: Float64 = np.exp(self.slope[k] * np.log(np.maximum(1, distance)) + self.intercept[k])
        return value


class DistanceBins(NamedTuple):
    """How distances are divided, in bp; class k is above threshold k - 1, up to threshold k.

    Parameters
    ----------
    thresholds
        int64 (bins - 1), increasing: bins in which pairs are counted.
    segments
        int64 (segments - 1), increasing: segments of the power law.
    window
        Pairs with ``window[0] <= d < window[1]`` count.
    """

    thresholds: Int64
    segments: Int64
    window: tuple[int, int]

    @classmethod
    def one(cls, segments: Int64) -> DistanceBins:
        """All pairs together."""
        return cls(np.zeros(0, dtype=np.int64), segments, (0, UNLIMITED))

    def __len__(self) -> int:
        return len(self.thresholds) + 1


class Sums(NamedTuple):
    """Of one chromosome, or of several.

    Parameters
    ----------
    partners
        float64 (n): sum over the possible partners of each unit of f(d) times their weight; a bin
        is its own partner twice.
    by_distance
        float64 (bins): sum over possible pairs of f(d) times both weights, a bin with itself once.
    """

    partners: Float64
    by_distance: Float64

    @classmethod
    def joined(cls, found: Sequence[Sums]) -> Sums:
        """Those of chromosomes that follow each other."""
        return cls(
            np.concatenate([one.partners for one in found]),
            np.sum([one.by_distance for one in found], axis=0),
        )


class ExpectedSums(Protocol):
    """Pairs within chromosomes, prepared for sums with any weights and power law."""

    def __call__(self, weight: Float64, law: PowerLaw) -> Sums:
        """Sum over all possible pairs."""


def expected_sums(mid: Int64, unit: Int64, bins: DistanceBins, *, fends: bool) -> ExpectedSums:
    """Prepare the sums over the possible pairs of some units of one chromosome.

    Parameters
    ----------
    mid, unit
        int64 (n): midpoints in bp, not decreasing; numbers in the chromosome, increasing.
    bins
        Where pairs are counted, and which.
    fends
        Whether the rule of impossible pairs holds; else units pair with themselves, too.
    """
    if len(mid) <= _FEW:
        return _visited([(mid, unit)], bins, fends)
    place = mid - mid[0]
    listed = special_pairs(unit, fends)
    step, aside = _grid(place)
    if not step:
        return _Whole(_Mesh(place, bins), _Listed.of(place, bins, *listed))
    # Pairs of the few positions beside the grid are listed.
    own = np.flatnonzero(aside)
    first = np.repeat(own, len(place))
    second = np.tile(np.arange(len(place)), len(own))
    once = ~aside[second] | (first < second)
    sign = np.ones(int(once.sum()))
    columns = zip(listed, (first[once], second[once], sign), strict=True)
    first, second, sign = (np.concatenate(pair) for pair in columns)
    return _Whole(
        _Grid.of(place[~aside] // step, np.flatnonzero(~aside), step, bins),
        _Listed.of(place, bins, first, second, sign),
    )


def sums_of_chromosomes(
    chromosomes: Sequence[tuple[Int64, Int64]], bins: DistanceBins, *, fends: bool
) -> ExpectedSums:
    """Prepare the sums of several chromosomes, whose units follow each other.

    Parameters
    ----------
    chromosomes
        `mid` and `unit` of each, as in `expected_sums`. Small ones are summed together, since a
        genome can have a hundred thousand of them.
    bins, fends
        As in `expected_sums`.
    """
    parts, sizes = [], []
    for few, neighbours in groupby(chromosomes, key=lambda each: len(each[0]) <= _FEW):
        group = list(neighbours)
        own = [len(mid) for mid, _ in group]
        if few:
            parts.append(_visited(group, bins, fends))
            sizes.append(sum(own))
        else:
            parts += [expected_sums(mid, unit, bins, fends=fends) for mid, unit in group]
            sizes += own
    return _Several(parts, np.cumsum([0, *sizes]))


def _visited(
    chromosomes: Sequence[tuple[Int64, Int64]], bins: DistanceBins, fends: bool
) -> ExpectedSums:
    """Small chromosomes, whose pairs are visited one by one."""
    place = np.concatenate([mid - mid[0] for mid, _ in chromosomes])
    # Numbered on, so that no two of different chromosomes are neighbours.
    last = np.array([unit[-1] for _, unit in chromosomes[:-1]], dtype=np.int64)
    begin = np.r_[0, np.cumsum(last // 2 * 2 + 4)]
    unit = np.concatenate(
        [unit + first for (_, unit), first in zip(chromosomes, begin, strict=True)]
    )
    ends = np.cumsum([0, *(len(mid) for mid, _ in chromosomes)])
    listed = _Listed.of(place, bins, *special_pairs(unit, fends))
    return _Whole(_Plain(place, ends, bins), listed)


def special_pairs(unit: Int64, fends: bool) -> tuple[Int64, Int64, Float64]:
    """Pairs i < j that do not count, with -1, and bins with themselves, with 1."""
    if not fends:
        itself = np.arange(len(unit))
        return itself, itself, np.ones(len(unit))
    first, second = (column.astype(np.int64) for column in impossible_pairs(unit))
    return first, second, -np.ones(len(first))


def _grid(place: Int64) -> tuple[int, NDArray[np.bool_]]:
    """Step of the grid on which nearly all positions lie, 0 if there is none; and the others."""
    gaps, count = np.unique(np.diff(place), return_counts=True)
    step = int(gaps[np.argmax(count)])
    if step < 1 or place[-1] // step >= _SPARSE * len(place):
        return 0, np.ones(len(place), dtype=bool)
    aside = place % step != 0
    return (step if aside.sum() <= _ASIDE else 0), aside


@dataclass(frozen=True)
class _Several:
    """Chromosomes, or groups of small ones, that follow each other."""

    parts: Sequence[ExpectedSums]
    ends: NDArray[np.intp]

    def __call__(self, weight: Float64, law: PowerLaw) -> Sums:
        ranges = pairwise(self.ends)
        return Sums.joined(
            [part(weight[lo:hi], law) for part, (lo, hi) in zip(self.parts, ranges, strict=True)]
        )


@dataclass(frozen=True)
class _Whole:
    """Pairs that are summed together, and those of a list."""

    dense: ExpectedSums
    listed: _Listed

    def __call__(self, weight: Float64, law: PowerLaw) -> Sums:
        sums = self.dense(weight, law)
        self.listed.add(weight, law, sums)
        return sums


@dataclass(frozen=True)
class _Distances:
    """Distances at which laws with the same thresholds are asked for again and again."""

    segment: NDArray[np.intp]
    length: Float64  # natural log of bp
    bins: NDArray[np.intp]
    inside: NDArray[np.bool_]

    @classmethod
    def of(cls, distance: NDArray[np.integer], bins: DistanceBins) -> _Distances:
        return cls(
            np.searchsorted(bins.segments, distance),
            np.log(np.maximum(1, distance).astype(np.float64)),
            np.searchsorted(bins.thresholds, distance),
            (distance >= bins.window[0]) & (distance < bins.window[1]),
        )

    def values(self, law: PowerLaw) -> Float64:
        """The law, inside and outside of the window."""
        return np.exp(law.slope[self.segment] * self.length + law.intercept[self.segment])

    def inner(self, law: PowerLaw) -> Float64:
        """The law inside the window, else 0."""
        return np.where(self.inside, self.values(law), 0.0)


@dataclass(frozen=True)
class _Listed:
    """Pairs of a list, which count once, or -1 times."""

    first: Int64
    second: Int64
    sign: Float64
    distances: _Distances

    @classmethod
    def of(
        cls, place: Int64, bins: DistanceBins, first: Int64, second: Int64, sign: Float64
    ) -> _Listed:
        distances = _Distances.of(np.abs(place[second] - place[first]), bins)
        return cls(first, second, sign, distances)

    def add(self, weight: Float64, law: PowerLaw, sums: Sums) -> None:
        value = self.sign * self.distances.inner(law)
        add_listed(self.first, self.second, value, self.distances.bins, weight, *sums)


@dataclass(frozen=True)
class _Plain:
    """Few positions on each chromosome."""

    place: Int64
    ends: NDArray[np.intp]
    bins: DistanceBins

    def __call__(self, weight: Float64, law: PowerLaw) -> Sums:
        own, (low, high) = self.bins, self.bins.window
        thresholds = np.unique(np.r_[own.segments, own.thresholds, low - 1, high - 1])
        each = _Distances.of(np.r_[thresholds, thresholds[-1] + 1], own)
        intercept = np.where(each.inside, law.intercept[each.segment], -np.inf)
        slope = np.where(each.inside, law.slope[each.segment], 0.0)
        sums = Sums(np.zeros(len(weight)), np.zeros(len(own)))
        add_plain(self.place, self.ends, weight, thresholds, slope, intercept, each.bins, *sums)
        return sums


@dataclass(frozen=True)
class _Grid:
    """Evenly spaced positions, of which some may be missing."""

    point: Int64
    index: Int64  # among all positions
    distances: _Distances  # of 0, 1, 2, ... steps
    number: int  # of distance bins

    @classmethod
    def of(cls, point: Int64, index: Int64, step: int, bins: DistanceBins) -> _Grid:
        distances = _Distances.of(np.arange(int(point[-1]) + 1) * step, bins)
        distances.inside[0] = False  # bins with themselves are listed
        return cls(point, index, distances, len(bins))

    def __call__(self, weight: Float64, law: PowerLaw) -> Sums:
        kernel = self.distances.inner(law)
        density = np.zeros(len(kernel))
        density[self.point] = weight[self.index]
        convolved, pairs = _convolve(density, kernel)
        sums = Sums(np.zeros(len(weight)), np.zeros(self.number))
        sums.partners[self.index] = convolved[self.point]
        sums.by_distance[:] = np.bincount(self.distances.bins, pairs * kernel, self.number)
        return sums


class _Tail(NamedTuple):
    """Consecutive distances whose pairs are visited: the law less its smooth part."""

    low: int
    distances: _Distances
    fade: Float64  # of the smooth part

    @classmethod
    def of(cls, low: int, high: int, bins: DistanceBins, mesh: _Mesh) -> _Tail:
        distance = np.arange(low, max(low, min(high, int(mesh.place[-1]) + 1)))
        return cls(low, _Distances.of(distance, bins), mesh.fade(distance, bins))

    def add(self, place: Int64, weight: Float64, law: PowerLaw, sums: Sums) -> None:
        if not len(self.fade):
            return
        exact, smooth = self.distances.inner(law), self.distances.values(law) * self.fade
        pairs = add_near(place, weight, self.low, exact - smooth, sums.partners)
        bins = self.distances.bins
        sums.by_distance[:] += np.bincount(bins, pairs * exact, len(sums.by_distance))


class _Mesh:
    """Any positions.

    The law is taken apart: a part that is smooth on the scale of the mesh, and what is left of
    pairs that are near, or just beyond the window.
    """

    def __init__(self, place: Int64, bins: DistanceBins) -> None:
        low, high = bins.window
        near = min(_LONGEST, int(_NEAR * place[-1] / len(place)))
        self.place, self.step = place, max(1, near // _FINE)
        self.width = max(near, POINTS * self.step)  # bp, over which the smooth part rises
        self.reach = max(self.width, low)  # bp: from here on all is smooth
        self.points = int(place[-1]) // self.step + POINTS
        self.far = _Distances.of(np.arange(self.points) * self.step, bins)
        self.far_fade = self.fade(np.arange(self.points) * self.step, bins)
        begin = 0 if low < self.width else self.reach - self.width
        self.tails = [_Tail.of(begin, self.reach, bins, self)]
        if high > self.reach:
            self.tails.append(_Tail.of(high, high + self.width, bins, self))
        ends = np.clip(np.r_[0, bins.thresholds, high], self.reach - 1, max(high, self.reach) - 1)
        self.ends = (ends + 0.5) / self.step

    def fade(self, distance: Int64, bins: DistanceBins) -> Float64:
        """The smooth part of the law, relative to it."""
        high = bins.window[1]
        if high <= self.reach:  # all pairs are visited
            return np.zeros(len(distance))
        rise = _fade((distance - (self.reach - self.width)) / self.width)
        return rise * _fade((high + self.width - distance) / self.width)

    def __call__(self, weight: Float64, law: PowerLaw) -> Sums:
        sums = Sums(np.zeros(len(weight)), np.zeros(len(self.ends) - 1))
        self._add_far(weight, law, sums)
        for tail in self.tails:
            tail.add(self.place, weight, law, sums)
        return sums

    def _add_far(self, weight: Float64, law: PowerLaw, sums: Sums) -> None:
        values = self.far.values(law)
        kernel = values * self.far_fade
        density = spread(self.place, self.step, weight, self.points)
        mesh, pairs = _convolve(density, kernel)
        gather(self.place, self.step, weight, mesh, kernel, sums.partners)
        # Pairs of two points stand for distances half a step more or less.
        running = np.r_[0.0, np.cumsum(pairs[1:] * values[1:])]
        at = np.interp(self.ends, np.arange(self.points) + 0.5, running)
        sums.by_distance[:] += np.diff(at)


def _fade(x: Float64) -> Float64:
    """Rise from 0 at 0 to 1 at 1, with three derivatives that are 0 at both ends."""
    x = np.clip(x, 0.0, 1.0)
    return x**4 * (35 - x * (84 - x * (70 - 20 * x)))


def _convolve(density: Float64, kernel: Float64) -> tuple[Float64, Float64]:
    """Sum over all points of the kernel of distance times their density.

    And the sum of the products of two densities, by the number of steps between them.
    """
    points = len(density)
    size = next_fast_len(2 * points, real=True)
    even = np.zeros(size)
    even[:points] = kernel
    even[:-points:-1] = kernel[1:]
    spectrum = rfft(density, size)
    convolved = irfft(spectrum * rfft(even).real, size)[:points]
    return convolved, irfft(spectrum.real**2 + spectrum.imag**2, size)[:points]
