"""HiCPipe tables of fends."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import InputError
from hifive_dask.genome.build import fends_from_fragments
from hifive_dask.genome.partition import Units
from hifive_dask.genome.table import INT32_MAX, Columns, Rows, TextTable

__all__ = ["read_fend_table"]

_NAMES = ("fend", "chr", "coord")
_LENGTH = 5  # column of the fragment length
_FIRST_FEATURE = 6


def read_fend_table(path: str | os.PathLike[str]) -> Units:
    """Read a HiCPipe fend table.

    A header line names the columns ``fend``, ``chr`` and ``coord``. The sixth column is the length
    of the fragment in bp, further columns are features, one number per cell. Fends are numbered
    from 1, the left fend of a fragment before the right one; ``coord`` is the first base of the
    fragment on its left fend, and the last one on its right fend, counted from 0. Lines may come in
    any order: chromosomes and fends are taken in the order of the numbers.

    Parameters
    ----------
    path
        The file; plain, gzip or bgzip.

    Raises
    ------
    InputError
        If the header is missing, a line is malformed, the numbers do not run from 1 without gap or
        repeat, a chromosome is not in one stretch, or the two fends of a fragment disagree.
    """
    table = TextTable(path, coordinates=(0,))
    header = table.header
    missing = [name for name in _NAMES if name not in (header or [])]
    if header is None or missing or len(header) <= _LENGTH:
        raise InputError(
            "the first line is not a header with the columns fend, chr and coord, and the fragment "
            f"length in column {_LENGTH + 1}"
            + (f"; not found: {', '.join(missing)}" if header and missing else ""),
            path=path,
            cure="Columns are separated by tabs; cut sites as BED need no header.",
        )
    number, chromosome, coord = (header.index(name) for name in _NAMES)
    columns = {"fend": number, "coord": coord, "fragment length": _LENGTH}
    features = table.feature_columns(_FIRST_FEATURE)
    rows = table.read(Columns(chromosome, columns, features))
    order = _order(table, rows)
    position, length = rows.numbers["coord"][order], rows.numbers["fragment length"][order]
    code = rows.chromosome[order]
    left, right = slice(0, None, 2), slice(1, None, 2)
    start, stop = position[left], position[right] + 1

    def refuse(wrong: NDArray[np.bool_], message: str) -> None:
        if wrong.any():
            raise table.error(int(order[2 * int(wrong.argmax()) + 1]), message)

    refuse(code[left] != code[right], "the chromosome differs from that of the left fend")
    refuse(
        (length[left] != length[right]) | (start + length[left] != stop),
        "coord or length does not fit the left fend of the fragment (coord + length of the left "
        "must be coord + 1 of the right)",
    )
    refuse((start < 0) | (start >= stop), "the fragment is empty or starts below 0")
    refuse(stop > INT32_MAX, f"the fragment ends above {INT32_MAX}, the largest coordinate")
    same = code[left][1:] == code[left][:-1]
    refuse(np.r_[False, same & (start[1:] < stop[:-1])], "the fragment overlaps the one before it")
    names = list(dict.fromkeys(code.tolist()))
    place = np.empty(len(rows.names), dtype=np.int64)
    place[names] = np.arange(len(names))
    return fends_from_fragments(
        [rows.names[k] for k in names],
        place[code[left]],
        start,
        stop,
        {name: values[order].reshape(-1, 2) for name, values in rows.features.items()},
    )


def _order(table: TextTable, rows: Rows) -> NDArray[np.int64]:
    """Lines in the order of the fend numbers, if these run from 1 to their count."""
    number = rows.numbers["fend"]
    order = np.argsort(number, kind="stable")
    wrong = np.flatnonzero(number[order] != np.arange(1, len(order) + 1))
    if len(wrong):
        k = int(wrong[0])
        raise table.error(
            int(order[k]),
            f"fend number {number[order[k]]} where {k + 1} is due; fends are numbered from 1 "
            "without gap or repeat",
        )
    if len(order) % 2:
        raise table.error(int(order[-1]), "the last fend has no right half; their count is odd")
    code = rows.chromosome[order]
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]])
    _, first = np.unique(code[starts], return_index=True)
    again = np.setdiff1d(np.arange(len(starts)), first)
    if len(again):
        raise table.error(
            int(order[starts[again[0]]]),
            "the fends of this chromosome are not numbered in one stretch",
        )
    return order.astype(np.int64)
