"""The distance function as values at knots, one in each distance bin, that can be moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask.model.distance import log_thresholds
from hifive_dask.model.expected_sums import PowerLaw

__all__ = ["Knots", "find_knots", "fine_bins"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


class Knots(NamedTuple):
    """Straight lines between points of ln(reads per pair) against ln(distance).

    Parameters
    ----------
    length
        float64 (knots): natural log of bp, increasing.
    value
        float64 (knots): natural log of reads.
    moving
        bool (knots): those that are fitted.
    apart
        Whether the first knot stands for distance 0 alone, and no line leads to it.
    bins
        int64 (moving knots - 1): thresholds in bp of the distance bins that belong to these.
    possible
        float64 (knots): possible pairs of the distance bin that each knot was placed in.
    own_bin
        int64 (knots): number of that distance bin; on a genome of bins, bins with themselves, and
        the other pairs of the first bin, have the same.
    """

    length: Float64
    value: Float64
    moving: NDArray[np.bool_]
    apart: bool
    bins: Int64
    possible: Float64
    own_bin: Int64

    @property
    def cutoffs(self) -> Float32:
        """float32 (segments): upper ends, natural log of bp; the last is infinite."""
        inner = self.length[1 + self.apart : -1]
        zero = [0.0] if self.apart else []
        cutoffs: Float32 = np.r_[zero, inner, np.inf].astype(np.float32)
        return cutoffs

    @property
    def segments(self) -> Int64:
        """int64 (segments - 1): thresholds in bp."""
        return log_thresholds(self.cutoffs[:-1])

    def law(self) -> PowerLaw:
        """The lines."""
        x, y = self.length[self.apart :], self.value[self.apart :]
        slope = np.diff(y) / np.diff(x)
        intercept = y[1:] - slope * x[1:]
        if self.apart:
            return PowerLaw(np.r_[0.0, slope], np.r_[self.value[0], intercept])
        return PowerLaw(slope, intercept)

    def table(self) -> Float32:
        """float32 (segments, 3): upper cutoff, slope, intercept, as in `distance_parameters`."""
        return np.stack([self.cutoffs, *self.law()], axis=1).astype(np.float32)

    def signal(self, bins: int) -> Float64:
        """float64 (distance bins): what the knots say of the reads of all possible pairs."""
        reads = self.possible * np.exp(self.value)
        return np.bincount(self.own_bin, reads, bins).astype(np.float64)

    def moved(self, step: Float64) -> Knots:
        """Add to the values of the moving knots."""
        value = self.value.copy()
        value[self.moving] += step
        return self._replace(value=value)


def fine_bins(edges: Float32, *, fends: bool) -> Int64:
    """int64: thresholds in bp of the distance bins; bins with themselves are one of their own.

    Parameters
    ----------
    edges
        float32 (distance bins): upper edges, natural log of bp.
    fends
        False for a genome of bins.

    Examples
    --------
    >>> import numpy as np
    >>> from hifive_dask.model.knots import fine_bins
    >>> fine_bins(np.log(np.array([200, 3000, 90000])).astype(np.float32), fends=False)
    array([   0,  200, 3000])
    """
    inner = log_thresholds(edges)[:-1]
    return inner if fends else np.unique(np.r_[0, inner])


def find_knots(
    sums: Mapping[str, NDArray[np.generic]],
    parameters: Float32,
    reads: Float64,
    window: tuple[int, int],
    *,
    itself: int,
) -> Knots:
    """Place a knot in every distance bin with reads, on the present distance function.

    Bins without reads join the one before, or the first one with reads; outside of the window all
    that the function has are kept, and do not move.

    Parameters
    ----------
    sums
        ``possible``, ``signal``, ``mean_log_distance`` and ``edges`` of the distance bins, as
        `fit_distance` found them.
    parameters
        float32 (segments, 3): the distance function.
    reads
        float64: reads in the window of every bin of `fine_bins`.
    window
        bp: ``window[0] <= d < window[1]``.
    itself
        Number of bins that pair with themselves; 0 for fends.
    """
    possible, signal = (np.asarray(sums[name], dtype=np.float64) for name in ("possible", "signal"))
    length = np.nan_to_num(np.asarray(sums["mean_log_distance"], dtype=np.float64))
    thresholds = fine_bins(np.asarray(sums["edges"]), fends=itself == 0)
    if itself:
        rest = max(0.0, possible[0] - itself)
        first = length[0] * possible[0] / rest if rest else 0.0
        length = np.r_[0.0, first, length[1:]]
        possible, signal = np.r_[itself, rest, possible[1:]], np.r_[signal[0], signal]
    lower, upper = np.r_[0, thresholds + 1], np.r_[thresholds, np.iinfo(np.int64).max]
    outside = (upper < window[0]) | (lower >= window[1])
    moving = (possible > 0) & (reads > 0)
    kept = np.flatnonzero(moving | (outside & (possible > 0) & (signal > 0)))
    line = np.searchsorted(parameters[:, 0].astype(np.float64), length[kept])
    slope, intercept = parameters[:, 1:].astype(np.float64).T
    bins = thresholds[np.flatnonzero(moving)[1:] - 1]
    apart = bool(itself) and bool(len(kept)) and int(kept[0]) == 0
    value = slope[line] * length[kept] + intercept[line]
    own = np.maximum(0, kept - 1) if itself else kept
    return Knots(length[kept], value, moving[kept], apart, bins, possible[kept], own)
