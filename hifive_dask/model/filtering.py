"""The fend filter: units with enough observed partners among themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.reduce import tree_reduce
from hifive_dask._graph.run import hold, run
from hifive_dask._kernels.coverage import coverage, k_core, select_pairs
from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import HifiveDaskWarning, ParameterError, warn
from hifive_dask.genome.partition import Units
from hifive_dask.model.checks import check_length, whole_number
from hifive_dask.model.rows import (
    Piece,
    cis_groups,
    cis_pieces,
    group_span,
    piece_groups,
    rows_by_kind,
)
from hifive_dask.model.stretches import Stretches, add_stretches, extent

__all__ = ["UseReads", "check_window", "filter_units"]

UseReads = Literal["cis", "trans", "all"]
Int32 = NDArray[np.int32]
Pairs = tuple[Int32, Int32]

IN_MEMORY = 1 << 26  # rows that a task keeps, 8 bytes each; it reads more of them in every round


def check_window(mindistance: int, maxdistance: int | None, usereads: str) -> tuple[int, int]:
    """Return both distances as int, 0 for no upper limit.

    Raises
    ------
    ParameterError
        For distances or kinds of reads that make no sense.
    """
    mindistance = whole_number("mindistance", mindistance)
    maxdistance = whole_number("maxdistance", 0 if maxdistance is None else maxdistance)
    if mindistance < 0 or maxdistance < 0:
        raise ParameterError(
            f"mindistance {mindistance} and maxdistance {maxdistance} must not be negative"
        )
    if 0 < maxdistance <= mindistance:
        raise ParameterError(
            f"maxdistance {maxdistance} must be above mindistance {mindistance}, or 0 for no limit"
        )
    if usereads not in get_args(UseReads):
        raise ParameterError(f"usereads is {usereads!r}, expected 'cis', 'trans' or 'all'")
    return mindistance, maxdistance


def filter_units(
    units: Units,
    valid: Int32,
    store: PairStore,
    *,
    mininteractions: int,
    mindistance: int,
    maxdistance: int | None,
    usereads: UseReads,
    silent: bool = False,
) -> Int32:
    """Return the k-core of `valid`: the largest set whose units keep enough partners inside it.

    Parameters
    ----------
    units, store
        The genome and its pairs.
    valid
        int32 (N): current filter.
    mininteractions
        Rows that a unit needs; 0 or less keeps the filter.
    mindistance, maxdistance
        bp: cis rows with ``mindistance <= d < maxdistance`` count; 0 or None is no upper limit.
    usereads
        Which rows count.
    silent
        No progress.

    Returns
    -------
    int32 (N), 1 for units that stay.

    Raises
    ------
    ParameterError
        For numbers that are not whole or out of range, or a filter of the wrong length.

    Warns
    -----
    HifiveDaskWarning
        If no unit stays; the message tells the largest number of partners.
    """
    window = check_window(mindistance, maxdistance, usereads)
    mininteractions = whole_number("mininteractions", mininteractions)
    check_length("the filter", valid, units)
    valid = (np.asarray(valid) > 0).astype(np.int32)
    if mininteractions <= 0:
        return valid
    if not valid.any():
        warn(
            f"no {'fend' if units.fends else 'bin'} was in use before; see reset_filter",
            HifiveDaskWarning,
        )
        return valid
    peel = _peel_cis if usereads == "cis" else _peel_genome
    result, largest = peel(units, valid, store, mininteractions, window, usereads, silent)
    if not result.any():
        warn(
            f"no {'fend' if units.fends else 'bin'} is left: none keeps {mininteractions} partners "
            f"({usereads} reads); the most that any has is {largest}. Use a lower mininteractions",
            HifiveDaskWarning,
        )
    return result


def _selected(
    pieces: Sequence[Piece], units: Units, valid: Int32, window: tuple[int, int], usereads: str
) -> Iterator[Pairs]:
    """Rows of the wanted kind, of valid units, in the window."""
    low, high = window
    for piece in pieces:
        for cis, columns in rows_by_kind(piece, units, usereads):
            first, second, _ = select_pairs(
                *columns, valid, units.mid, mindistance=low, maxdistance=high, cis=cis
            )
            yield first, second


def _peel_span(
    span: slice,
    pieces: Sequence[Piece],
    units: Units,
    valid: Int32,
    least: int,
    window: tuple[int, int],
) -> tuple[Int32, int]:
    """k-core of consecutive chromosomes by their cis rows, and the largest coverage at first."""
    valid, start = valid.copy(), np.int32(span.start)
    own, largest = valid[span], -1
    rows = sum(len(piece.rows) for piece in pieces)
    while rows > IN_MEMORY:
        count, rows = np.zeros(len(own), dtype=np.int64), 0
        for first, second in _selected(pieces, units, valid, window, "cis"):
            count += coverage(first - start, second - start, own)
            rows += len(first)
        largest = int(count.max(initial=0)) if largest < 0 else largest
        short = (own > 0) & (count < least)
        if not short.any():
            return own.copy(), largest
        own[short] = 0
    kept, rows = np.empty((2, rows), dtype=np.int32), 0
    for pair in _selected(pieces, units, valid, window, "cis"):
        end = rows + len(pair[0])
        np.subtract(pair, start, out=kept[:, rows:end])
        rows = end
    core, most = k_core(kept[0, :rows], kept[1, :rows], own, least)
    return core, most if largest < 0 else largest


def _peel_cis(
    units: Units,
    valid: Int32,
    store: PairStore,
    least: int,
    window: tuple[int, int],
    usereads: str,
    silent: bool,
) -> tuple[Int32, int]:
    """Chromosomes do not touch each other: one task each, small ones together."""
    shared, current = dask.delayed(units), dask.delayed(valid)
    task = dask.delayed(_peel_span, pure=True)
    groups = cis_groups(store, range(len(units.chromosomes)))
    spans = [group_span(units, group) for group in groups]
    tasks = [
        task(span, cis_pieces(store, group), shared, current, least, window)
        for span, group in zip(spans, groups, strict=True)
    ]
    result, largest = valid.copy(), 0
    for span, (kept, most) in zip(spans, run(tasks, title="filtering", silent=silent), strict=True):
        result[span] = kept
        largest = max(largest, most)
    return result, largest


def _select(
    pieces: Sequence[Piece], units: Units, valid: Int32, window: tuple[int, int], usereads: str
) -> Pairs:
    """Rows of all pieces in one array per column: every round counts them with one pass."""
    none = np.zeros(0, dtype=np.int32)  # what lies between blocks can be of another kind
    parts = [(none, none), *_selected(pieces, units, valid, window, usereads)]
    first, second = (np.concatenate(ends) for ends in zip(*parts, strict=True))
    return first, second


def _count(rows: Pairs, valid: Int32) -> Stretches:
    """Rows of every unit whose both units are valid."""
    spans = [extent(units) for units in rows if len(units)]
    count, whole = Stretches.zeros(spans, np.int64), coverage(*rows, valid)
    for span, own in zip(count.spans(), count.values, strict=True):
        own[:] = whole[span]
    return count


def _peel_genome(
    units: Units,
    valid: Int32,
    store: PairStore,
    least: int,
    window: tuple[int, int],
    usereads: str,
    silent: bool,
) -> tuple[Int32, int]:
    """Trans rows join all chromosomes: rounds of counting, until nothing is removed."""
    shared, current = dask.delayed(units), dask.delayed(valid)
    select = dask.delayed(_select, pure=True)
    blocks = [(a, b) for a, b in store.blocks if usereads == "all" or a != b]
    held = hold(
        [
            select(pieces, shared, current, window, usereads)
            for pieces in piece_groups(store, blocks)
        ],
        title="reading pairs",
        silent=silent,
    )
    count = dask.delayed(_count, pure=True)
    largest = -1
    while held:
        current = dask.delayed(valid)
        parts = [count(rows, current) for rows in held]
        (found,) = run([tree_reduce(parts, add_stretches)], silent=silent)
        covered = found.whole(len(valid))
        largest = int(covered.max(initial=0)) if largest < 0 else largest
        kept = ((valid > 0) & (covered >= least)).astype(np.int32)
        if kept.sum() == valid.sum():
            break
        valid = kept
    else:
        valid = np.zeros_like(valid)
    return valid, max(largest, 0)
