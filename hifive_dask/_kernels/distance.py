"""Pairs per segment of distance, and what is expected at a distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit
from hifive_dask._kernels.pair_rule import is_possible

__all__ = ["expected", "impossible_sums", "observed_sums"]

Sums = tuple[NDArray[np.int64], NDArray[np.float64]]


@jit
def _impossible_sums(mid, valid, thresholds, count, logs):
    for i in range(len(mid)):
        if valid[i] == 0:
            continue
        for j in range(i + 1, min(len(mid), i + 4)):
            if valid[j] != 0 and not is_possible(i, j, True):
                distance = mid[j] - mid[i]
                k = np.searchsorted(thresholds, distance)
                count[k] += 1
                logs[k] += np.log(float(max(1, distance)))


def impossible_sums(
    mid: NDArray[np.int32], valid: NDArray[np.int32], thresholds: NDArray[np.int64]
) -> Sums:
    """Pairs of valid fends of one chromosome that cannot be observed, by distance.

    Parameters
    ----------
    mid, valid
        int32 (n): midpoints in bp, and fends in use. The first must be a left fend.
    thresholds
        int64 (K), bp: segment k holds distances up to threshold k.

    Returns
    -------
    count
        int64 (K + 1).
    logs
        float64 (K + 1): sum of ln(max(1, d)).
    """
    count = np.zeros(len(thresholds) + 1, dtype=np.int64)
    logs = np.zeros(len(thresholds) + 1)
    _impossible_sums(mid, valid, thresholds, count, logs)
    return count, logs


@jit
def _observed_sums(first, second, reads, mid, thresholds, rows, signal, logs):
    k = 0
    for row in range(len(first)):
        distance = mid[second[row]] - mid[first[row]]
        while k > 0 and distance <= thresholds[k - 1]:
            k -= 1
        while k < len(thresholds) and distance > thresholds[k]:
            k += 1
        rows[k] += 1
        signal[k] += reads[row]
        logs[k] += reads[row] * np.log(float(max(1, distance)))


def observed_sums(
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    reads: NDArray[np.float64],
    mid: NDArray[np.int32],
    thresholds: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Rows of cis pairs, their reads, and reads times ln(distance), by distance.

    Parameters
    ----------
    first, second
        int32: the rows; sorted ones are quicker.
    reads
        float64.
    mid
        int32: midpoints in bp.
    thresholds
        int64 (K), bp: class k holds distances above threshold k - 1, up to k.

    Returns
    -------
    rows
        int64 (K + 1).
    signal
        float64 (K + 1): sum of reads.
    logs
        float64 (K + 1): sum of reads times ln(max(1, d)).
    """
    rows = np.zeros(len(thresholds) + 1, dtype=np.int64)
    signal, logs = np.zeros((2, len(thresholds) + 1))
    _observed_sums(first, second, reads, mid, thresholds, rows, signal, logs)
    return rows, signal, logs


def expected(
    distance: NDArray[np.integer], parameters: NDArray[np.float32], mean: float = 0.0
) -> NDArray[np.float64]:
    """Reads expected of a pair at a distance.

    Parameters
    ----------
    distance
        bp.
    parameters
        float32 (segments, 3): upper cutoff in ln(bp), the last infinite; slope; intercept.
    mean
        Of the chromosome, natural log.

    Returns
    -------
    float64, ``exp(slope ln(max(1, d)) + intercept + mean)``.

    Examples
    --------
    >>> import numpy as np
    >>> from hifive_dask._kernels.distance import expected
    >>> expected(np.array([0, 1, 100]), np.array([[np.inf, -1, 0]], dtype=np.float32))
    array([1.  , 1.  , 0.01])
    """
    length = np.log(np.maximum(1, distance).astype(np.float64))
    cutoff, slope, intercept = parameters.astype(np.float64).T
    k = np.searchsorted(cutoff, length)
    result: NDArray[np.float64] = np.exp(slope[k] * length + intercept[k] + mean)
    return result
