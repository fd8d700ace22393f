"""The order of chromosomes in a partition."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError, unknown

__all__ = ["Order", "check_order", "natural_order", "order_names", "place_lines"]

Order = Literal["auto", "input", "natural", "bytes"]

_ROMAN = re.compile(r"(?=[IVX])X{0,3}(IX|IV|V?I{0,3})")
_VALUES = {"I": 1, "V": 5, "X": 10}
_ORGANELLES = ("M", "MT", "MITO", "PT", "C")


def check_order(order: str | None) -> None:
    """Raise a `ParameterError` for an order that there is not."""
    if order is not None and order not in get_args(Order):
        raise ParameterError(unknown("order", order, get_args(Order)))


def order_names(names: Sequence[str], order: Order, *, blocks: bool = True) -> list[str]:
    """Names in an order.

    Parameters
    ----------
    names
        In the order in which they come first in a file.
    order
        ``"input"``: as given. ``"natural"``: chr1, chr2, chr10, chrX, chrM, others. ``"bytes"``: by
        the bytes of the names, chr1, chr10, chr2. ``"auto"``: as given if `blocks`, else natural.
    blocks
        Whether the lines of every chromosome are together in the file.

    Examples
    --------
    >>> from hifive_dask.genome.order import order_names
    >>> order_names(["chrM", "chr10", "chrX", "chr2"], "natural")
    ['chr2', 'chr10', 'chrX', 'chrM']
    """
    if order == "input" or (order == "auto" and blocks):
        return list(names)
    return sorted(names) if order == "bytes" else natural_order(names)


def place_lines(
    names: Sequence[str], chromosome: NDArray[np.int64], order: Order
) -> tuple[list[str], NDArray[np.int64]]:
    """Names in an order, and the place in it of the chromosome of every line of a file.

    Parameters
    ----------
    names
        In the order in which they come first.
    chromosome
        int64 (N): index into `names`.
    """
    runs = 1 + int(np.count_nonzero(np.diff(chromosome)))
    ordered = order_names(names, order, blocks=runs == len(names))
    place = {name: k for k, name in enumerate(ordered)}
    return ordered, np.array([place[name] for name in names], dtype=np.int64)[chromosome]


def natural_order(names: Sequence[str]) -> list[str]:
    """Names as people list them: numbers by their value, X and Y, mitochondria, all others.

    Numbers are Arabic, also with an arm (2L, 2R), or Roman, if all of a genome are, that is, if
    there is a chromosome II.

    Examples
    --------
    >>> from hifive_dask.genome.order import natural_order
    >>> natural_order(["chrX", "chrIX", "chrII", "chrM", "chrI"])
    ['chrI', 'chrII', 'chrIX', 'chrX', 'chrM']
    """
    cores = {_core(name) for name in names}
    number = _roman if "II" in cores else _arabic
    return sorted(names, key=lambda name: _key(name, number))


def _core(name: str) -> str:
    return re.sub(r"^chr(omosome)?_?(?=.)", "", name, flags=re.IGNORECASE)


def _key(
    name: str, number: Callable[[str], tuple[int, str] | None]
) -> tuple[int, int, str, list[tuple[int, int, str]], str]:
    core = _core(name)
    found = number(core)
    if found is not None:
        return 0, *found, [], name
    if core.upper() in _ORGANELLES:
        return 2, 0, "", [], name
    if len(core) == 1:
        return 1, 0, core, [], name
    pieces = [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in re.split(r"(\d+)", core)]
    return 3, 0, "", pieces, name


def _arabic(core: str) -> tuple[int, str] | None:
    match = re.fullmatch(r"([0-9]+)([A-Za-z]?)", core)
    return None if match is None else (int(match[1]), match[2])


def _roman(core: str) -> tuple[int, str] | None:
    if not _ROMAN.fullmatch(core):
        return None
    digits = [_VALUES[letter] for letter in core]
    following = [*digits[1:], 0]
    return sum(-a if a < b else a for a, b in zip(digits, following, strict=True)), ""
