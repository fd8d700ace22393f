"""Read pairs to bytes of text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit
from hifive_dask._kernels.simulate import ReadColumns

__all__ = ["pairs_text", "raw_text"]


@jit
def _put_name(out, at, names, offset, c):
    for k in range(offset[c], offset[c + 1]):
        out[at] = names[k]
        at += 1
    out[at] = 9
    return at + 1


@jit
def _put_number(out, at, value):
    digits = 1
    rest = value // 10
    while rest:
        digits += 1
        rest //= 10
    for k in range(at + digits - 1, at - 1, -1):
        out[k] = 48 + value % 10
        value //= 10
    out[at + digits] = 9
    return at + digits + 1


@jit
def _put_strand(out, at, minus, after):
    out[at] = 45 if minus else 43
    out[at + 1] = after
    return at + 2


@jit
def _raw_text(columns, names, offset, out):
    at = 0
    for k in range(len(columns.chrom1)):
        at = _put_name(out, at, names, offset, columns.chrom1[k])
        at = _put_number(out, at, columns.pos1[k])
        at = _put_strand(out, at, columns.minus1[k], 9)
        at = _put_name(out, at, names, offset, columns.chrom2[k])
        at = _put_number(out, at, columns.pos2[k])
        at = _put_strand(out, at, columns.minus2[k], 10)
    return at


@jit
def _pairs_text(columns, names, offset, out):
    at = 0
    for k in range(len(columns.chrom1)):
        c1, c2 = columns.chrom1[k], columns.chrom2[k]
        p1, p2 = columns.pos1[k], columns.pos2[k]
        m1, m2 = columns.minus1[k], columns.minus2[k]
        if c1 > c2 or (c1 == c2 and p1 > p2):
            c1, c2, p1, p2, m1, m2 = c2, c1, p2, p1, m2, m1
        out[at], out[at + 1] = 46, 9
        at = _put_name(out, at + 2, names, offset, c1)
        at = _put_number(out, at, p1)
        at = _put_name(out, at, names, offset, c2)
        at = _put_number(out, at, p2)
        at = _put_strand(out, at, m1, 9)
        at = _put_strand(out, at, m2, 10)
    return at


def _text(kernel, columns: ReadColumns, names: list[str]) -> NDArray[np.uint8]:
    encoded = [name.encode() for name in names]
    letters = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    offset = np.cumsum([0, *map(len, encoded)]).astype(np.int64)
    # At most two names, two numbers of ten digits, two strands, a dot, and their separators.
    width = 2 * max(map(len, encoded)) + 2 * 10 + 3 + 7
    out = np.empty(len(columns.chrom1) * width, dtype=np.uint8)
    return out[: kernel(columns, letters, offset, out)]


def raw_text(columns: ReadColumns, names: list[str]) -> NDArray[np.uint8]:
    """Bytes of lines ``chrom1 pos1 strand1 chrom2 pos2 strand2``."""
    return _text(_raw_text, columns, names)


def pairs_text(columns: ReadColumns, names: list[str]) -> NDArray[np.uint8]:
    """Bytes of lines ``. chrom1 pos1 chrom2 pos2 strand1 strand2``, the lower end first."""
    return _text(_pairs_text, columns, names)
