"""Rows of pair stores: merged with others, or told apart by distance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["Overflow", "distance_classes", "merge_rows"]

Int32 = NDArray[np.int32]
_MOST = np.iinfo(np.int32).max


class Overflow(NamedTuple):
    """A pair with more reads than int32 holds."""

    first: int
    second: int
    reads: int


@jit
def _before(chromosome, a1, a2, b1, b2):
    """Whether pair (a1, a2) stands before (b1, b2): by (chromosome1, chromosome2, unit1, unit2)."""
    if a1 == b1:
        return a2 < b2
    if chromosome[a1] != chromosome[b1]:
        return a1 < b1
    if chromosome[a2] != chromosome[b2]:
        return a2 < b2
    return a1 < b1


@jit
def _merge_rows(chromosome, a, b, out):
    left, right = a.shape[1], b.shape[1]
    i, j, rows = 0, 0, 0
    while i < left or j < right:
        if j == right:
            order = -1
        elif i == left:
            order = 1
        elif a[0, i] == b[0, j] and a[1, i] == b[1, j]:
            order = 0
        elif _before(chromosome, a[0, i], a[1, i], b[0, j], b[1, j]):
            order = -1
        else:
            order = 1
        total = np.int64(0)
        if order <= 0:
            out[0, rows], out[1, rows] = a[0, i], a[1, i]
            total += a[2, i]
            i += 1
        if order >= 0:
            out[0, rows], out[1, rows] = b[0, j], b[1, j]
            total += b[2, j]
            j += 1
        if total > _MOST:
            return rows, total
        out[2, rows] = total
        rows += 1
    return rows, np.int64(0)


def merge_rows(chromosome: Int32, a: Int32, b: Int32) -> Int32 | Overflow:
    """Merge rows of two stores; counts of equal pairs are added.

    Parameters
    ----------
    chromosome
        int32 (N): chromosome of every unit.
    a, b
        int32 (3, rows): first unit, second unit, reads; in the order of a pair store, no pair
        repeated.

    Returns
    -------
    The same of both together, or the first pair whose reads do not fit.
    """
    out = np.empty((3, a.shape[1] + b.shape[1]), dtype=np.int32)
    rows, beyond = _merge_rows(chromosome, a, b, out)
    if beyond:
        return Overflow(int(out[0, rows]), int(out[1, rows]), int(beyond))
    return out[:, :rows]


@jit
def _distance_classes(chromosome, mid, first, second, count, short, reads):
    for k in range(len(first)):
        i, j = first[k], second[k]
        if chromosome[i] != chromosome[j]:
            reads[2] += count[k]
        elif mid[j] - mid[i] < short:
            reads[0] += count[k]
        else:
            reads[1] += count[k]


def distance_classes(
    chromosome: Int32, mid: Int32, first: Int32, second: Int32, count: Int32, short: int
) -> NDArray[np.int64]:
    """int64 (3): reads of cis pairs closer than `short` bp, of other cis pairs, of trans pairs.

    Parameters
    ----------
    chromosome, mid
        int32 (N): chromosome and midpoint in bp of every unit.
    first, second, count
        int32: the pairs, ``first <= second``.
    short
        bp.
    """
    reads = np.zeros(3, dtype=np.int64)
    _distance_classes(chromosome, mid, first, second, count, short, reads)
    return reads
