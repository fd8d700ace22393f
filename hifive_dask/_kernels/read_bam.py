"""Read pairs to records of BAM."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit
from hifive_dask._kernels.simulate import ReadColumns, next_bits

__all__ = ["bam_records"]

_BASES = 50  # of a read
_DIGITS = 10  # of its name
_MAPQ = 60
_LONGEST = 36 + _DIGITS + 2 + 2 * 4 + _BASES // 2 + _BASES
_MATCH, _CLIP = 0, 4  # operations of CIGAR strings
_QUALITIES = np.array([2, 20, 30, 37, 37, 37, 37, 37], dtype=np.uint8)


@jit
def _put(out, at, value, size):
    for k in range(size):
        out[at + k] = (value >> (8 * k)) & 255
    return at + size


@jit
def _bin(start, stop):
    """Smallest bin of the index of BAM files that holds an interval."""
    last = stop - 1
    offset = 4681
    for shift in (14, 17, 20, 23, 26):
        if start >> shift == last >> shift:
            return offset + (start >> shift)
        offset = (offset - 1) >> 3
    return 0


@jit
def _aligned(position, minus, length):
    """0-based start of an alignment and its number of bases, cut off at the chromosome's ends."""
    if minus:
        bases = min(_BASES, position)
        return position - bases, bases
    return position - 1, max(1, min(_BASES, length - position + 1))


@jit
def _put_alignment(out, at, name, flag, chrom, start, bases, minus, next_chrom, next_start, state):
    begin = at
    clipped = _BASES - bases
    at = _put(out, at + 4, chrom, 4)
    at = _put(out, at, start, 4)
    at = _put(out, at, _DIGITS + 2, 1)
    at = _put(out, at, _MAPQ, 1)
    at = _put(out, at, _bin(start, start + bases), 2)
    at = _put(out, at, 2 if clipped else 1, 2)
    at = _put(out, at, flag, 2)
    at = _put(out, at, _BASES, 4)
    at = _put(out, at, next_chrom, 4)
    at = _put(out, at, next_start, 4)
    at = _put(out, at, 0, 4)
    out[at] = 114
    for k in range(_DIGITS, 0, -1):
        out[at + k] = 48 + name % 10
        name //= 10
    out[at + _DIGITS + 1] = 0
    at += _DIGITS + 2
    if clipped and minus:
        at = _put(out, at, clipped << 4 | _CLIP, 4)
    at = _put(out, at, bases << 4 | _MATCH, 4)
    if clipped and not minus:
        at = _put(out, at, clipped << 4 | _CLIP, 4)
    for k in range(_BASES // 2):
        bits = np.int64(next_bits(state) >> np.uint64(32))
        out[at + k] = 1 << (4 + (bits & 3)) | 1 << (bits >> 2 & 3)
        out[at + _BASES // 2 + 2 * k] = _QUALITIES[bits >> 4 & 7]
        out[at + _BASES // 2 + 2 * k + 1] = _QUALITIES[bits >> 7 & 7]
    at += _BASES // 2 + _BASES
    _put(out, begin, at - begin - 4, 4)
    return at


@jit
def _bam_records(columns, lengths, number, state, out):
    at = 0
    for k in range(len(columns.chrom1)):
        c1, c2 = np.int64(columns.chrom1[k]), np.int64(columns.chrom2[k])
        m1, m2 = np.int64(columns.minus1[k]), np.int64(columns.minus2[k])
        s1, b1 = _aligned(np.int64(columns.pos1[k]), m1, lengths[c1])
        s2, b2 = _aligned(np.int64(columns.pos2[k]), m2, lengths[c2])
        flag1, flag2 = 0x41 | m1 << 4 | m2 << 5, 0x81 | m2 << 4 | m1 << 5
        at = _put_alignment(out, at, number + k, flag1, c1, s1, b1, m1, c2, s2, state)
        at = _put_alignment(out, at, number + k, flag2, c2, s2, b2, m2, c1, s1, state)
    return at


def bam_records(
    columns: ReadColumns, lengths: NDArray[np.int64], number: int, seed: int
) -> NDArray[np.uint8]:
    """Bytes of two records a pair, first and second mate, named ``r`` and ten digits.

    Parameters
    ----------
    columns
        The read pairs.
    lengths
        int64: bp of every chromosome; reads are clipped at their ends.
    number
        Name of the first pair.
    seed
        Of the bases and qualities, which mean nothing.
    """
    out = np.empty(2 * _LONGEST * len(columns.chrom1), dtype=np.uint8)
    state = np.array([seed & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64)
    return out[: _bam_records(columns, lengths, number, state, out)]
