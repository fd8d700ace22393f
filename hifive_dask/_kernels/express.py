"""Matrix balancing on stored pairs: weights, sparse rows, iterations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["SparseRows", "distance_weights", "iterate", "multiply", "sparse_rows"]


class SparseRows(NamedTuple):
    """Upper part of a symmetric sparse matrix, by rows.

    Parameters
    ----------
    start
        int64 (n + 1): entries of row i are ``start[i]`` to ``start[i + 1]``.
    column
        int32: columns.
    weight
        float32: values.
    """

    start: NDArray[np.int64]
    column: NDArray[np.int32]
    weight: NDArray[np.float32]


@jit
def _distance_weights(first, second, mid, cutoff, slope, intercept, weight):
    k = 0
    for row in range(len(first)):
        length = np.log(float(max(1, mid[second[row]] - mid[first[row]])))
        if k > 0 and length <= cutoff[k - 1]:
            k = 0
        while length > cutoff[k]:
            k += 1
        weight[row] /= np.exp(slope[k] * length + intercept[k])


def distance_weights(
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    weight: NDArray[np.float64],
    mid: NDArray[np.int32],
    parameters: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Divide weights by the reads expected at the distance of their units.

    Parameters
    ----------
    parameters
        float32 (segments, 3): upper cutoff in ln(bp), slope, intercept.
    """
    weight = weight.copy()
    cutoff, slope, intercept = parameters.astype(np.float64).T
    _distance_weights(first, second, mid, cutoff, slope, intercept, weight)
    return weight


def sparse_rows(
    first: NDArray[np.int32], second: NDArray[np.int32], weight: NDArray[np.float64], rows: int
) -> SparseRows:
    """Rows of a matrix from entries sorted by `first`, which counts from 0 to `rows`."""
    start = np.zeros(rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(first, minlength=rows), out=start[1:])
    return SparseRows(start, second.astype(np.int32), weight.astype(np.float32))


@jit
def _multiply(start, column, weight, row_factor, column_factor, row_sum, column_sum):
    for i in range(len(start) - 1):
        factor = row_factor[i]
        total = 0.0
        for k in range(start[i], start[i + 1]):
            j = column[k]
            w = np.float64(weight[k])
            total += w * column_factor[j]
            column_sum[j] += w * factor
        row_sum[i] += total


def multiply(
    matrix: SparseRows,
    row_factor: NDArray[np.float64],
    column_factor: NDArray[np.float64],
    row_sum: NDArray[np.float64],
    column_sum: NDArray[np.float64],
) -> None:
    """Add W f to the row sums and the transposed product to the column sums.

    With equal factors and equal sums this multiplies by the symmetric matrix; entries on the
    diagonal count twice.
    """
    _multiply(*matrix, row_factor, column_factor, row_sum, column_sum)


@jit
def _iterate(start, column, weight, possible, used, correction, steps, trace):
    n = len(correction)
    inverse = np.empty(n)
    total = np.empty(n)
    for t in range(steps):
        for i in range(n):
            inverse[i] = 1.0 / correction[i]
            total[i] = 0.0
        _multiply(start, column, weight, inverse, inverse, total, total)
        cost, change, least, most = 0.0, 0.0, np.inf, 0.0
        for i in range(n):
            if used[i]:
                ratio = inverse[i] * total[i] / possible[i]
                root = np.sqrt(ratio)
                cost += (ratio - 1.0) ** 2
                change = max(change, abs(root - 1.0))
                correction[i] *= root
                least = min(least, correction[i])
                most = max(most, correction[i])
        trace[t, 0] = cost
        trace[t, 1] = change
        if not most < 1e150 * least:  # growing beyond all bounds; no reason to go on to infinity
            trace[t:] = np.inf
            break
        trace[t, 2] = most / least


def iterate(
    matrix: SparseRows,
    possible: NDArray[np.int64],
    used: NDArray[np.bool_],
    correction: NDArray[np.float64],
    steps: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Balance a symmetric matrix for some steps.

    Parameters
    ----------
    matrix
        Entries w_ij of the upper triangle.
    possible
        int64 (n): possible partners.
    used
        bool (n): units to change; the others have no entries.
    correction
        float64 (n), positive.
    steps
        Number of simultaneous updates c_i *= sqrt(q_i), q_i = sum_j w_ij / (c_i c_j) / possible_i.

    Returns
    -------
    correction
        float64 (n).
    trace
        float64 (steps, 3): sum of (q_i - 1)^2 and largest abs(sqrt(q_i) - 1) before each update,
        ratio of the largest and the smallest correction after it; infinite where it would overflow.
    """
    correction = correction.copy()
    trace = np.empty((steps, 3))
    _iterate(*matrix, possible, used, correction, steps, trace)
    return correction, trace
