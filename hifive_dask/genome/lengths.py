"""Lengths of chromosomes: files of them, headers of .pairs files, and what they fit."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import InputError, InputWarning, warn
from hifive_dask.genome.files import unpacked
from hifive_dask.genome.order import Order, order_names
from hifive_dask.genome.partition import Units
from hifive_dask.genome.table import INT32_MAX, Columns, TextTable, name_list

__all__ = ["header_lengths", "pairs_lengths", "read_lengths", "with_lengths"]

PathLike = str | os.PathLike[str]
Int64 = NDArray[np.int64]

_MARK = "#chromsize:"


def read_lengths(path: PathLike) -> tuple[tuple[str, ...], Int64]:
    """Read chromosome names and lengths, in file order.

    Columns are name and length in bp; further ones are ignored.

    Parameters
    ----------
    path
        The file; plain, gzip or bgzip.

    Returns
    -------
    The names, and their lengths as int64.

    Raises
    ------
    InputError
        If a line is malformed, a name is repeated, a length is negative or above int32, or
         all are 0.
    """
    table = TextTable(path, coordinates=(1,))
    rows = table.read(Columns(0, {"length": 1}, {}))
    length = rows.numbers["length"]
    for wrong, message in (
        (length < 0, "the length is negative"),
        (length > INT32_MAX, f"the length is above {INT32_MAX}, the largest coordinate"),
        (rows.chromosome != np.arange(len(rows)), "the chromosome has a line already"),
    ):
        if wrong.any():
            raise table.error(int(wrong.argmax()), message)
    if not length.any():
        raise InputError("all chromosomes have length 0", path=path, cure="Give lengths in bp.")
    empty = [name for name, n in zip(rows.names, length, strict=True) if n == 0]
    if empty:
        warn(
            f"{os.fspath(path)}: {len(empty)} chromosome(s) of length 0 have no bins: "
            + name_list(empty),
            InputWarning,
        )
    return rows.names, length


def header_lengths(lines: Iterable[str]) -> dict[str, int]:
    """Lengths in bp by name, of the ``#chromsize:`` lines of a header; others are passed over.

    Examples
    --------
    >>> from hifive_dask.genome.lengths import header_lengths
    >>> header_lengths(["## pairs format v1.0", "#chromsize: chr1 248956422"])
    {'chr1': 248956422}
    """
    found: dict[str, int] = {}
    for line in lines:
        words = line.split()
        if len(words) == 3 and words[0] == _MARK and words[2].isdecimal():
            found.setdefault(words[1], int(words[2]))
    return {name: length for name, length in found.items() if length <= INT32_MAX}


def pairs_lengths(path: PathLike) -> dict[str, int]:
    """Lengths in bp by name, as the header of a .pairs file has them; empty for other files."""
    header = []
    with unpacked(path) as (text, _):
        for line in text:
            if not line.startswith((b"#", b"\xef\xbb\xbf#")):
                break
            header.append(line.decode("utf-8", "replace"))
    return header_lengths(header)


def with_lengths(units: Units, path: PathLike, order: Order) -> tuple[Units, Int64]:
    """Place units on all chromosomes of a file of lengths, in its order if that is ``"input"``.

    Parameters
    ----------
    units
        Of some of these chromosomes. Those that the file lacks follow.
    path
        Names and lengths, or .pairs with ``#chromsize:`` lines; plain, gzip or bgzip.
    order
        Of the chromosomes, as in `order_names`.

    Returns
    -------
    The units, and the lengths as int64, 0 where the file has none.

    Raises
    ------
    InputError
        If the file is malformed, has none of the chromosomes, or a unit lies beyond the end of one.

    Warns
    -----
    InputWarning
        If the file lacks chromosomes of the units.
    """
    known = pairs_lengths(path)
    if not known:
        names, length = read_lengths(path)
        known = dict(zip(names, length.tolist(), strict=True))
    lacking = [name for name in units.chromosomes if name not in known]
    if len(lacking) == len(units.chromosomes):
        raise InputError(
            f"has none of the chromosomes {name_list(lacking)}; it has {name_list([*known])}",
            path=path,
            cure="Use lengths of the same genome, with the same names.",
        )
    if lacking:
        warn(
            f"{os.fspath(path)}: has no length of {len(lacking)} chromosome(s), which are taken to "
            f"end with their last {units.unit}: {name_list(lacking)}",
            InputWarning,
        )
    placed = units.placed_on(order_names([*known, *lacking], order))
    lengths = np.array([known.get(name, 0) for name in placed.chromosomes], dtype=np.int64)
    _check_inside(placed, lengths, path)
    return placed, lengths


def _check_inside(units: Units, lengths: Int64, path: PathLike) -> None:
    """Bins may end beyond their chromosome, rounded up, but not begin there."""
    spans = [units.span(c) for c in range(len(lengths))]
    edges = units.stop.astype(np.int64) if units.fends else units.start.astype(np.int64) + 1
    last = np.array([edges[span].max(initial=0) for span in spans])
    beyond = np.flatnonzero((lengths > 0) & (last > lengths))
    if len(beyond):
        c = int(beyond[0])
        what = "end" if units.fends else "begin"
        raise InputError(
            f"{units.chromosomes[c]} has the length {lengths[c]:,}, but {units.unit}s {what} at "
            f"{last[c]:,}",
            path=path,
            cure="Are both of the same assembly? --chrom-sizes (lengths) gives other lengths.",
        )
