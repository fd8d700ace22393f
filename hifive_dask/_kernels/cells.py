"""What a columnar parser of tab-separated text misreads: comments, and hexadecimal numbers."""

from __future__ import annotations

import numpy as np

from hifive_dask._kernels.jit import jit

__all__ = ["COMMENTS", "HEXADECIMAL", "find_oddities"]

COMMENTS, HEXADECIMAL = 1, 2

_TAB, _LINE, _BLANK, _HASH, _ZERO, _X = 9, 10, 32, 35, 48, 120
_LOWER = 32  # the bit of lower case


@jit
def _count(text):
    """Lines that begin with ``#``, and cells that begin with ``0x``, after the first byte."""
    comments, numbers = 0, 0
    for k in range(len(text) - 2):
        one, two, three = text[k], text[k + 1], text[k + 2]
        comments += (one == _LINE) & (two == _HASH)
        begins = (one == _TAB) | (one == _LINE) | (one == _BLANK)
        numbers += begins & (two == _ZERO) & ((three | _LOWER) == _X)
    return comments, numbers


def find_oddities(text: bytes) -> int:
    """Tell what is in whole lines of a table beside decimal numbers and names.

    Returns
    -------
    The sum of `COMMENTS`, if lines begin with ``#``, and `HEXADECIMAL`, if cells begin with ``0x``,
    after blanks or not.
    """
    comments, numbers = _count(np.frombuffer(text, dtype=np.uint8))
    comments += text.startswith(b"#") or text.endswith(b"\n#")
    numbers += text[:2] in (b"0x", b"0X")
    return COMMENTS * bool(comments) + HEXADECIMAL * bool(numbers)
