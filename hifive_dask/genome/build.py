"""Units from cuts, fragments, fends and lengths: pure arithmetic, in 64 bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError
from hifive_dask.genome.partition import Units

__all__ = [
    "bins_from_fends",
    "bins_from_intervals",
    "bins_from_lengths",
    "fends_from_cuts",
    "fends_from_fragments",
]

Int64 = NDArray[np.int64]
Features = Mapping[str, NDArray[np.float64]]

_INT32_MAX = np.iinfo(np.int32).max


def offsets(chromosome: Int64, chromosomes: int) -> Int64:
    """int64 (C + 1): first entry of each chromosome in a sorted list, then its length."""
    return np.searchsorted(chromosome, np.arange(chromosomes + 1)).astype(np.int64)


def fends_from_cuts(
    chromosomes: Sequence[str], chromosome: Int64, cut: Int64, features: Features
) -> Units:
    """Make two fends of every stretch between consecutive cuts of a chromosome.

    Parameters
    ----------
    chromosomes
        Names, C of them.
    chromosome, cut
        int64 (N), sorted by both; cuts in bp, unique within a chromosome.
    features
        float64 (N, 2): values upstream and downstream of each cut. The left fend of a fragment
        takes the downstream value of its first cut, the right fend the upstream value of its
        second.
    """
    left = np.flatnonzero(chromosome[1:] == chromosome[:-1])
    sides = {
        name: np.column_stack((values[left, 1], values[left + 1, 0]))
        for name, values in features.items()
    }
    return fends_from_fragments(chromosomes, chromosome[left], cut[left], cut[left + 1], sides)


def fends_from_fragments(
    chromosomes: Sequence[str], chromosome: Int64, start: Int64, stop: Int64, features: Features
) -> Units:
    """Halve fragments at ``(start + stop) // 2``.

    Parameters
    ----------
    chromosomes
        Names, C of them.
    chromosome, start, stop
        int64 (N), sorted, without overlaps.
    features
        float64 (N, 2): values of the left and of the right fend.
    """
    half = (start + stop) // 2
    return _units(
        chromosomes,
        2 * offsets(chromosome, len(chromosomes)),
        np.column_stack((start, half)).ravel(),
        np.column_stack((half, stop)).ravel(),
        fends=True,
        features={name: values.ravel() for name, values in features.items()},
    )


def bins_from_intervals(
    chromosomes: Sequence[str], chromosome: Int64, start: Int64, stop: Int64, features: Features
) -> Units:
    """Take intervals as they are, as bins; features are float64 (N, 1)."""
    return _units(
        chromosomes,
        offsets(chromosome, len(chromosomes)),
        start,
        stop,
        features={name: values.ravel() for name, values in features.items()},
    )


def bins_from_lengths(chromosomes: Sequence[str], length: Int64, binsize: int) -> Units:
    """Cut every chromosome of `length` bp into ``(length - 1) // binsize + 1`` equal bins.

    The last bin of a chromosome may reach beyond its end.

    Raises
    ------
    ParameterError
        If there would be more bins, or larger coordinates, than int32 can hold.

    Examples
    --------
    >>> import numpy as np
    >>> from hifive_dask.genome.build import bins_from_lengths
    >>> bins_from_lengths(["chr1"], np.array([101]), 50).mid
    array([ 25,  75, 125], dtype=int32)
    """
    return _equal_bins(chromosomes, np.zeros_like(length), (length - 1) // binsize + 1, binsize)


def bins_from_fends(fends: Units, binsize: int) -> Units:
    """Bins of equal size that hold the fends, on a grid that starts at coordinate 0.

    A fend lies in the bin of its midpoint m. The bins of a chromosome reach from
    ``(m_first // binsize) * binsize`` to ``(m_last // binsize + 1) * binsize``; a chromosome
    without fends has none. A feature of a bin is the mean over its fends, 0 without fends.

    Raises
    ------
    ParameterError
        If there would be more bins, or larger coordinates, than int32 can hold.
    """
    mid = fends.mid.astype(np.int64)
    used = np.diff(fends.offset) > 0
    first, last = np.zeros((2, len(used)), dtype=np.int64)
    first[used] = mid[fends.offset[:-1][used]] // binsize
    last[used] = mid[fends.offset[1:][used] - 1] // binsize
    bins = _equal_bins(
        fends.chromosomes, first * binsize, np.where(used, last - first + 1, 0), binsize
    )
    member = bins.offset[fends.chromosome] + mid // binsize - first[fends.chromosome]
    count = np.bincount(member, minlength=len(bins))
    means = {
        name: np.bincount(member, weights=values, minlength=len(bins)) / np.maximum(count, 1)
        for name, values in fends.features.items()
    }
    return Units(
        bins.chromosomes,
        bins.offset,
        bins.start,
        bins.stop,
        bins.mid,
        fends=False,
        features={name: values.astype(np.float32) for name, values in means.items()},
        num_fends=count.astype(np.int32),
    )


def _equal_bins(chromosomes: Sequence[str], origin: Int64, count: Int64, binsize: int) -> Units:
    offset = np.concatenate(([0], np.cumsum(count))).astype(np.int64)
    end = int((origin + count * binsize).max(initial=0))
    if offset[-1] > _INT32_MAX or end > _INT32_MAX:
        raise ParameterError(
            f"bins of {binsize} bp: {offset[-1]} bins that reach to {end} bp; both must not exceed "
            f"{_INT32_MAX}; choose another bin size"
        )
    start = np.repeat(origin - offset[:-1] * binsize, count)
    start += np.arange(offset[-1], dtype=np.int64) * binsize
    return _units(chromosomes, offset, start, start + binsize)


def _units(
    chromosomes: Sequence[str],
    offset: Int64,
    start: Int64,
    stop: Int64,
    *,
    fends: bool = False,
    features: Features | None = None,
) -> Units:
    return Units(
        tuple(chromosomes),
        offset,
        start.astype(np.int32),
        stop.astype(np.int32),
        ((start + stop) // 2).astype(np.int32),
        fends=fends,
        features={name: values.astype(np.float32) for name, values in (features or {}).items()},
    )
