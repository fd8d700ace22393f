"""Text of a matrix row to its cells above 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["parse_row"]

_TAB, _ZERO = 9, 48
_TOO_LARGE = 2**31


@jit
def _parse_row(text, column, value):
    found, width, digits, number = 0, 0, 0, 0
    for at in range(len(text) + 1):
        byte = text[at] if at < len(text) else _TAB
        if _ZERO <= byte < _ZERO + 10:
            number = 10 * number + (byte - _ZERO)
            digits += 1
            if number >= _TOO_LARGE:
                return found, -1
            continue
        if byte != _TAB or digits == 0:
            return found, -1
        if number > 0:
            column[found], value[found] = width, number
            found += 1
        width, digits, number = width + 1, 0, 0
    return found, width


def parse_row(text: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Parse whole numbers separated by single tabs.

    Parameters
    ----------
    text
        uint8: one line, without its end.

    Returns
    -------
    column, value
        int64: the cells above 0.
    width
        Number of cells; -1 if the line holds anything else, or a number of 2**31 or more.
    """
    column, value = np.empty((2, len(text) // 2 + 1), dtype=np.int64)
    found, width = _parse_row(text, column, value)
    return column[:found], value[:found], width
