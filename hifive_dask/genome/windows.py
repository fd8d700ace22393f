"""The bases that the features of a unit are taken from, and means of tracks over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import InputError, InputWarning, warn
from hifive_dask.genome.partition import Units
from hifive_dask.genome.table import name_list

__all__ = ["Track", "bin_windows", "fend_windows", "track_means"]

Int64 = NDArray[np.int64]
_BLOCK = 1 << 20  # bases of a track in memory


class Track(Protocol):
    """Numbers along the genome, 0-based."""

    @property
    def path(self) -> str:
        """The file, for messages."""

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Chromosomes with values."""

    def read(self, chromosome: str, start: int, stop: int) -> NDArray[np.float64]:
        """Values of the bases ``start ... stop - 1``; 0 where the track has none."""


def fend_windows(start: Int64, stop: Int64, window: int) -> tuple[Int64, Int64]:
    """Up to `window` bases of a fragment inward from either cut; all of a shorter fragment.

    What is sequenced are the bases next to the cut.

    Parameters
    ----------
    start, stop
        int64 (F): fragments.

    Returns
    -------
    Starts and stops, int64 (F, 2): of the left and of the right fend.
    """
    first = np.column_stack((start, np.maximum(stop - window, start)))
    return first, np.column_stack((np.minimum(start + window, stop), stop))


def bin_windows(start: Int64, stop: Int64, window: int) -> tuple[Int64, Int64]:
    """`window` bases at either end of a bin; all of a bin that is not longer than two windows.

    Parameters
    ----------
    start, stop
        int64 (B): bins.

    Returns
    -------
    Starts and stops, int64 (B, 2); the second window is empty where the first is the whole bin.
    """
    whole = stop - start <= 2 * window
    first = np.column_stack((start, np.where(whole, stop, stop - window)))
    return first, np.column_stack((np.where(whole, stop, start + window), stop))


def track_means(
    track: Track, units: Units, window: int, advance: Callable[[int], None] = lambda _: None
) -> NDArray[np.float64]:
    """Mean of a track over the windows of every unit.

    Bases without a value count as 0, also those beyond the end of the track.

    Parameters
    ----------
    track
        The values.
    units
        Fends (see `fend_windows`) or bins (see `bin_windows`).
    window
        In bp.
    advance
        Called with 1 after every chromosome.

    Returns
    -------
    float64 (N).

    Warns
    -----
    InputWarning
        If the track lacks chromosomes, with their number; their units get 0.

    Raises
    ------
    InputError
        If the track has none of the chromosomes, or all means are 0.
    """
    used = [
        name
        for name, n in zip(units.chromosomes, np.diff(units.offset), strict=True)
        if n and name in track.chromosomes
    ]
    if not used:
        raise InputError(
            f"has none of the chromosomes of the partition, {name_list(units.chromosomes)}; its "
            f"own are {name_list(track.chromosomes)}",
            path=track.path,
            cure="Is it of the same genome, with the same names?",
        )
    start, stop = units.start.astype(np.int64), units.stop.astype(np.int64)
    if units.fends:
        lo, hi = (a.reshape(-1, 1) for a in fend_windows(start[::2], stop[1::2], window))
    else:
        lo, hi = bin_windows(start, stop, window)
    sums = np.zeros(lo.shape)
    for name in units.chromosomes:
        span = units.span(units.index[name])
        if name in used:
            sums[span] = _sums(track, name, lo[span].ravel(), hi[span].ravel()).reshape(
                -1, lo.shape[1]
            )
        advance(1)
    means: NDArray[np.float64] = sums.sum(axis=1) / (hi - lo).sum(axis=1)
    if not means.any():
        raise InputError(
            f"is 0 at all {units.unit}s",
            path=track.path,
            cure="Is it the right file, and the right name?",
        )
    missing = [
        name
        for name, n in zip(units.chromosomes, np.diff(units.offset), strict=True)
        if n and name not in used
    ]
    if missing:
        warn(
            f"{track.path}: has no values for {len(missing)} chromosome(s), whose "
            f"{units.unit}s get 0: " + name_list(missing),
            InputWarning,
        )
    return means


def _sums(track: Track, chromosome: str, start: Int64, stop: Int64) -> NDArray[np.float64]:
    """Sums over windows, of which neither starts nor stops decrease."""
    sums = np.zeros(len(start))
    for origin in range(int(start[0]), int(stop[-1]), _BLOCK):
        end = min(origin + _BLOCK, int(stop[-1]))
        part = slice(np.searchsorted(stop, origin, "right"), np.searchsorted(start, end, "left"))
        lo, hi = (np.clip(edge[part], origin, end) - origin for edge in (start, stop))
        inside = np.flatnonzero(lo < hi)
        if not len(inside):
            continue
        # One more value, since reduceat takes no index at the end.
        values = np.append(track.read(chromosome, origin, end), 0.0)
        pairs = np.column_stack((lo[inside], hi[inside])).ravel()
        sums[inside + part.start] += np.add.reduceat(values, pairs)[::2]
    return sums
