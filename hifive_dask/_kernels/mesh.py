"""Sums over all pairs of positions of one chromosome, by distance, with the help of a mesh.

A smooth function of distance is summed on a mesh of evenly spaced points by Fourier transforms: the
weights are spread over the four nearest points by cubic interpolation, and the sums are read off in
the same way (particle-mesh Ewald summation, Essmann et al., J. Chem. Phys. 103, 8577, 1995). Pairs
at whose distances the function is not smooth are visited one by one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["POINTS", "add_listed", "add_near", "add_plain", "gather", "spread"]

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

POINTS = 4  # of the mesh for each position


@jit
def _cubic(x):
    """Lagrange weights of the points -1, 0, 1, 2 for a position between the points 0 and 1."""
    return (
        -x * (x - 1.0) * (x - 2.0) / 6.0,
        (x + 1.0) * (x - 1.0) * (x - 2.0) / 2.0,
        -(x + 1.0) * x * (x - 2.0) / 2.0,
        (x + 1.0) * x * (x - 1.0) / 6.0,
    )


@jit
def _spread(place, step, weight, density):
    for i in range(len(place)):
        point = place[i] // step
        a, b, c, d = _cubic((place[i] - point * step) / step)
        density[point] += a * weight[i]
        density[point + 1] += b * weight[i]
        density[point + 2] += c * weight[i]
        density[point + 3] += d * weight[i]


def spread(place: Int64, step: int, weight: Float64, points: int) -> Float64:
    """float64 (points): weights on a mesh whose point 1 lies at position 0.

    Parameters
    ----------
    place
        int64 (n): positions in bp, from 0.
    step
        bp between two points of the mesh.
    weight
        float64 (n).
    points
        Of the mesh, at least 4 + the largest position // step.
    """
    density = np.zeros(points)
    _spread(place, step, weight, density)
    return density


@jit
def _gather(place, step, weight, mesh, kernel, sums):
    for i in range(len(place)):
        point = place[i] // step
        a, b, c, d = _cubic((place[i] - point * step) / step)
        own = (
            (a * a + b * b + c * c + d * d) * kernel[0]
            + 2.0 * (a * b + b * c + c * d) * kernel[1]
            + 2.0 * (a * c + b * d) * kernel[2]
            + 2.0 * a * d * kernel[3]
        )
        sums[i] += (
            a * mesh[point] + b * mesh[point + 1] + c * mesh[point + 2] + d * mesh[point + 3]
        ) - own * weight[i]


def gather(
    place: Int64, step: int, weight: Float64, mesh: Float64, kernel: Float64, sums: Float64
) -> None:
    """Add to `sums` the values of a mesh at positions, without what a position gives to itself.

    Parameters
    ----------
    place, step, weight
        As in `spread`.
    mesh
        float64 (points): convolution of the spread weights with the kernel.
    kernel
        float64 (4 or more): at the distances 0, `step`, 2 `step`, ...
    sums
        float64 (n).
    """
    _gather(place, step, weight, mesh, kernel, sums)


@jit
def _add_near(place, weight, low, table, sums, by_distance):
    n = len(place)
    begin = 0
    for i in range(n):
        begin = max(begin, i + 1)
        while begin < n and place[begin] - place[i] < low:
            begin += 1
        own, total = weight[i], 0.0
        for j in range(begin, n):
            k = place[j] - place[i] - low
            if k >= len(table):
                break
            total += table[k] * weight[j]
            sums[j] += table[k] * own
            by_distance[k] += own * weight[j]
        sums[i] += total


def add_near(place: Int64, weight: Float64, low: int, table: Float64, sums: Float64) -> Float64:
    """Add to `sums` what pairs at some distances give to each other, visiting every one.

    Parameters
    ----------
    place
        int64 (n), bp, not decreasing.
    weight
        float64 (n).
    low
        bp: the least distance.
    table
        float64 (distances): values at the distances ``low, low + 1, ...``.
    sums
        float64 (n): for every position, values times weights of the partners.

    Returns
    -------
    float64 (distances): sum of the products of both weights of all pairs at each distance.
    """
    by_distance = np.zeros(len(table))
    _add_near(place, weight, low, table, sums, by_distance)
    return by_distance


@jit
def _add_plain(place, ends, weight, thresholds, slope, intercept, bins, sums, totals):
    last = len(thresholds)
    for chromosome in range(len(ends) - 1):
        stop = ends[chromosome + 1]
        for i in range(ends[chromosome], stop):
            k = 0
            total = 0.0
            for j in range(i + 1, stop):
                distance = place[j] - place[i]
                while k < last and distance > thresholds[k]:
                    k += 1
                value = np.exp(slope[k] * np.log(float(max(1, distance))) + intercept[k])
                total += value * weight[j]
                sums[j] += value * weight[i]
                totals[bins[k]] += value * weight[i] * weight[j]
            sums[i] += total


def add_plain(
    place: Int64,
    ends: Int64,
    weight: Float64,
    thresholds: Int64,
    slope: Float64,
    intercept: Float64,
    bins: Int64,
    sums: Float64,
    totals: Float64,
) -> None:
    """Add what all pairs i < j of each chromosome give to each other, visiting every one.

    Parameters
    ----------
    place
        int64 (n), bp, not decreasing within a chromosome.
    ends
        int64 (C + 1): ranges of positions of each chromosome.
    weight
        float64 (n).
    thresholds
        int64 (K), not decreasing, bp: segment k holds distances above threshold k - 1, up to k.
    slope, intercept
        float64 (K + 1): value exp(intercept) max(1, d)^slope; an intercept of minus infinity is 0.
    bins
        int64 (K + 1): where the pairs of each segment are counted in `totals`.
    sums
        float64 (n): for every position, values times weights of the partners.
    totals
        float64: per bin, values times both weights.
    """
    _add_plain(place, ends, weight, thresholds, slope, intercept, bins, sums, totals)


@jit
def _add_listed(first, second, value, bins, weight, sums, totals):
    for row in range(len(first)):
        i, j = first[row], second[row]
        sums[i] += value[row] * weight[j]
        sums[j] += value[row] * weight[i]
        totals[bins[row]] += value[row] * weight[i] * weight[j]


def add_listed(
    first: Int64,
    second: Int64,
    value: Float64,
    bins: Int64,
    weight: Float64,
    sums: Float64,
    totals: Float64,
) -> None:
    """Add what the pairs of a list give to each other; one with itself is given twice.

    Parameters
    ----------
    first, second
        int64 (pairs): positions.
    value
        float64 (pairs).
    bins
        int64 (pairs): where they are counted in `totals`, once.
    weight, sums
        float64 (n), as in `add_plain`.
    totals
        float64: per bin, values times both weights.
    """
    _add_listed(first, second, value, bins, weight, sums, totals)
