"""What cells of text files mean: one grammar, whichever parser reads them.

Whole numbers are decimal digits, with a minus sign at most. Other numbers have a point and an
exponent besides. Both may have blanks around. Neither ``1_000`` nor ``0x10`` nor digits of other
scripts, which Python and columnar parsers take for numbers, are any.
"""

from __future__ import annotations

import math
import re

__all__ = ["finite", "is_number", "whole"]

_WHOLE = re.compile(r" *-?[0-9]+ *")
_NUMBER = re.compile(r" *[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)? *")
_WORDS = re.compile(r" *[+-]?(nan|inf|infinity) *", re.IGNORECASE)


def whole(cell: str) -> int:
    """The whole number in a cell.

    Raises
    ------
    ValueError
        If it holds anything else.
    """
    if not _WHOLE.fullmatch(cell):
        raise ValueError(f"{cell[:40]!r} is not a whole number")
    return int(cell)


def finite(cell: str) -> float:
    """The finite number in a cell.

    Raises
    ------
    ValueError
        If it holds anything else.
    """
    value = float(cell) if _NUMBER.fullmatch(cell) else math.nan
    if not math.isfinite(value):
        raise ValueError(f"{cell[:40]!r} is not a number")
    return value


def is_number(cell: str) -> bool:
    """Whether a cell of a table is a number (of any size, or none as nan), not a label."""
    return bool(_NUMBER.fullmatch(cell) or _WORDS.fullmatch(cell))
