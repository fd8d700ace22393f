"""Observed pairs per segment of distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["observed_sums"]


@jit
def _observed_sums(first, second, count, valid, mid, thresholds, correction, rows, signal):
    k = 0
    for row in range(len(first)):
        i, j = first[row], second[row]
        if valid[i] == 0 or valid[j] == 0:
            continue
        distance = mid[j] - mid[i]
        while k > 0 and distance <= thresholds[k - 1]:
            k -= 1
        while k < len(thresholds) and distance > thresholds[k]:
            k += 1
        rows[k] += 1
        if len(correction) > 0:
            signal[k] += count[row] / np.float64(correction[i] * correction[j])
        else:
            signal[k] += count[row]


def observed_sums(
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    count: NDArray[np.int32],
    valid: NDArray[np.int32],
    mid: NDArray[np.int32],
    thresholds: NDArray[np.int64],
    corrections: NDArray[np.float32] | None,
) -> NDArray[np.float64]:
    """Rows and reads of valid cis pairs, by distance.

    Parameters
    ----------
    first, second, count
        int32: the rows, sorted.
    valid, mid
        int32: units in use, and midpoints in bp.
    thresholds
        int64 (K), bp: segment k holds distances up to threshold k.
    corrections
        float32: reads are divided by those of both units; or None.

    Returns
    -------
    float64 (2, K + 1): number of rows, and sum of reads.
    """
    rows = np.zeros(len(thresholds) + 1, dtype=np.int64)
    signal = np.zeros(len(thresholds) + 1)
    given = np.zeros(0, dtype=np.float32) if corrections is None else corrections
    _observed_sums(first, second, count, valid, mid, thresholds, given, rows, signal)
    return np.stack([rows.astype(np.float64), signal])
