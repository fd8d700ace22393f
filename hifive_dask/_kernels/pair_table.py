"""Passes over the table of pairs: its digest, its blocks, how often each unit occurs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["count_units", "digest_rows", "group_rows"]

Int32 = NDArray[np.int32]

_ONE = np.uint64(0xBF58476D1CE4E5B9)
_TWO = np.uint64(0x94D049BB133111EB)
_SECOND_LANE = np.uint64(0x9E3779B97F4A7C15)
_30, _27, _31, _32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)


@jit
def _mix(x):
    x = (x ^ (x >> _30)) * _ONE
    x = (x ^ (x >> _27)) * _TWO
    return x ^ (x >> _31)


@jit
def _digest_rows(first, second, count, sums):
    for k in range(len(first)):
        key = (np.uint64(first[k]) << _32) | np.uint64(second[k])
        row = _mix(_mix(key) + np.uint64(count[k]))
        sums[0] += row
        sums[1] += _mix(row ^ _SECOND_LANE)


def digest_rows(first: Int32, second: Int32, count: Int32) -> NDArray[np.uint64]:
    """uint64 (2): sums over the rows of two scrambled 64-bit values of each, modulo 2**64.

    Sums of parts add up to that of the whole, in any order. The scrambler is the finalizer of
    SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    """
    sums = np.zeros(2, dtype=np.uint64)
    _digest_rows(first, second, count, sums)
    return sums


@jit
def _group_rows(first, second, group, rows, first_key, last_key):
    for k in range(len(first)):
        key = (np.int64(first[k]) << 32) | np.int64(second[k])
        c = group[k]
        if rows[c] == 0:
            first_key[c] = key
        elif key <= last_key[c]:
            return k
        last_key[c] = key
        rows[c] += 1
    return -1


def group_rows(
    first: Int32, second: Int32, chromosome: Int32, chromosomes: int
) -> tuple[int, list[NDArray[np.int64]]]:
    """Group rows by the chromosome of the second unit.

    Parameters
    ----------
    first, second
        int32: the units of each row.
    chromosome
        int32: the chromosome of every unit.
    chromosomes
        Their number.

    Returns
    -------
    The first row that does not come after the one before it in its group, or -1; and
    int64, of the chromosomes that have rows: which, how many rows, the first and the last key,
    ``first << 32 | second``.
    """
    group = chromosome[second].astype(np.int64)
    if len(group) < chromosomes:  # a few rows must not cost as much as there are chromosomes
        held, group = np.unique(group, return_inverse=True)
    else:
        held = np.arange(chromosomes)
    rows, first_key, last_key = (np.zeros(len(held), dtype=np.int64) for _ in range(3))
    wrong = _group_rows(first, second, group, rows, first_key, last_key)
    some = rows > 0
    return wrong, [values[some] for values in (held, rows, first_key, last_key)]


@jit
def _count_units(first, second, chromosome, counts):
    for k in range(len(first)):
        i, j = first[k], second[k]
        trans = np.int64(chromosome[i] != chromosome[j])
        counts[trans, 0, i] += 1
        counts[trans, 1, j] += 1


def count_units(first: Int32, second: Int32, chromosome: Int32, counts: NDArray[np.int64]) -> None:
    """Add to int64 (2, 2, units) how often each unit is first, and second, in cis and trans rows.

    `chromosome` is int32, of every unit.
    """
    _count_units(first, second, chromosome, counts)
