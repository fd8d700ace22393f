"""Matrix balancing on stored pairs: weights, sparse rows, iterations, steps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["SparseRows", "distance_weights", "iterate", "lowest", "multiply", "sparse_rows"]


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


@jit
def _slopes(target, v, z, w, p, q, a, b):
    """First and second derivatives by a and b; the second ones at least those in ln x."""
    ga, gb, haa, hab, hbb, flat = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(len(v)):
        y = 1.0 + a * z[i] + b * p[i]
        total = v[i] + a * w[i] + b * q[i]
        g = total - target[i] / y
        ga += z[i] * g
        gb += p[i] * g
        c = max(y * total, target[i]) / (y * y)
        flat += c * z[i] * z[i]
        haa += z[i] * w[i] + c * z[i] * z[i]
        hab += z[i] * q[i] + c * z[i] * p[i]
        hbb += p[i] * q[i] + c * p[i] * p[i]
    return ga, gb, max(haa, 1e-14 * flat), hab, hbb


@jit
def _room(z, p, a, b, step_a, step_b):
    """Share of a step, at most 1, that leaves all factors between a tenth and ten."""
    room = 1.0
    for i in range(len(z)):
        y = 1.0 + a * z[i] + b * p[i]
        change = step_a * z[i] + step_b * p[i]
        end = 0.1 if change < 0.0 else 10.0
        if (y + change - end) * change > 0.0:
            room = min(room, (end - y) / change)
    return room


@jit
def _lowest(target, v, z, w, p, q):
    a, b, first = 0.0, 0.0, 0.0
    ga, gb, haa, hab, hbb = _slopes(target, v, z, w, p, q, a, b)
    for turn in range(8):
        det = haa * hbb - hab * hab
        if det > 1e-12 * haa * hbb:
            step_a, step_b = (hab * gb - hbb * ga) / det, (hab * ga - haa * gb) / det
        else:
            step_a, step_b = -ga / haa, 0.0
        slope = ga * step_a + gb * step_b
        if turn == 0:
            first = slope
        if not slope < 0.0 or (turn > 0 and slope >= 1e-3 * first):
            break
        room = size = _room(z, p, a, b, step_a, step_b)
        for _ in range(12):
            ga, gb, haa, hab, hbb = _slopes(
                target, v, z, w, p, q, a + size * step_a, b + size * step_b
            )
            if ga * step_a + gb * step_b <= -0.5 * slope:  # not far beyond the lowest point
                break
            size /= 2.0
        a, b = a + size * step_a, b + size * step_b
        if room < 1.0:
            break
    return a, b


def lowest(
    target: NDArray[np.float64],
    v: NDArray[np.float64],
    z: NDArray[np.float64],
    w: NDArray[np.float64],
    p: NDArray[np.float64],
    q: NDArray[np.float64],
) -> tuple[float, float]:
    """Find a and b for which f(x') is lowest, x' = x (1 + a z + b p), by Newton's method.

    f is ``1/2 sum_ij w_ij x_i x_j - sum_i t_i ln x_i``. No factor is below a tenth or above ten.

    Parameters
    ----------
    target
        float64 (n): t.
    v, w, q
        float64 (n): x W x, x W (x z), x W (x p).
    z, p
        float64 (n): two directions, relative to x; p may be 0.
    """
    a, b = _lowest(target, v, z, w, p, q)
    return float(a), float(b)
