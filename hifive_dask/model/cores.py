"""Core numbers: how many partners each unit keeps among units that keep as many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.reduce import tree_reduce
from hifive_dask._graph.run import hold, run
from hifive_dask._kernels.coverage import coverage, k_core, lower_cores, select_pairs
from hifive_dask._store.pairs import PairStore
from hifive_dask.genome.partition import Units
from hifive_dask.model.rows import (
    Piece,
    cis_groups,
    cis_pieces,
    group_span,
    piece_groups,
    rows_by_kind,
)
from hifive_dask.model.stretches import Stretches, add_stretches, extent

__all__ = ["IN_MEMORY", "Asked", "find_cores"]

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Pairs = tuple[Int32, Int32]

IN_MEMORY = 1 << 26  # rows that a task keeps, 8 bytes each; it reads more of them in every round


@dataclass(frozen=True)
class Asked:
    """Which core is looked for.

    Parameters
    ----------
    most
        Rows that a unit of the core needs, at least 1.
    mindistance, maxdistance
        bp: cis rows with ``mindistance <= d < maxdistance`` count; 0 is no upper limit.
    usereads
        Which rows count.
    lower
        Whether the core numbers of all other units are wanted, too.
    """

    most: int
    mindistance: int
    maxdistance: int
    usereads: str
    lower: bool


def find_cores(
    units: Units, valid: Int32, store: PairStore, asked: Asked, *, silent: bool = False
) -> tuple[Int32, int]:
    """Find the units of a core, and the core numbers of others.

    Parameters
    ----------
    units, store
        The genome and its pairs.
    valid
        int32 (N): 1 for units that may have partners.
    asked
        The core.
    silent
        No progress.

    Returns
    -------
    int32 (N), the core numbers: the largest k whose k-core holds the unit, but not more than
    `asked.most`; if lower ones are not wanted, 1 stands for all that have a row. And the most rows
    that any unit has among `valid`.
    """
    if asked.usereads == "cis":
        return _cis(units, valid, store, asked, silent)
    return _genome(units, valid, store, asked, silent)


def _selected(pieces: Sequence[Piece], units: Units, valid: Int32, asked: Asked) -> Iterator[Pairs]:
    """Rows of the wanted kind, of valid units, in the window."""
    low, high = asked.mindistance, asked.maxdistance
    for piece in pieces:
        for cis, columns in rows_by_kind(piece, units, asked.usereads):
            first, second, _ = select_pairs(
                *columns, valid, units.mid, mindistance=low, maxdistance=high, cis=cis
            )
            yield first, second


# Chromosomes do not touch each other in cis: one task each, small ones together.


def _cis(
    units: Units, valid: Int32, store: PairStore, asked: Asked, silent: bool
) -> tuple[Int32, int]:
    shared, current = dask.delayed(units), dask.delayed(valid)
    task = dask.delayed(_span_cores, pure=True)
    groups = cis_groups(store, range(len(units.chromosomes)))
    spans = [group_span(units, group) for group in groups]
    tasks = [
        task(span, cis_pieces(store, group), shared, current, asked)
        for span, group in zip(spans, groups, strict=True)
    ]
    result, largest = np.zeros_like(valid), 0
    for span, (core, most) in zip(spans, run(tasks, title="filtering", silent=silent), strict=True):
        result[span] = core
        largest = max(largest, most)
    return result, largest


def _span_cores(
    span: slice, pieces: Sequence[Piece], units: Units, valid: Int32, asked: Asked
) -> tuple[Int32, int]:
    """Core numbers of consecutive chromosomes by their cis rows, and the largest coverage."""
    valid, start = valid.copy(), np.int32(span.start)
    own = valid[span]  # a view: what is read follows it

    def read() -> Iterator[Pairs]:
        for first, second in _selected(pieces, units, valid, asked):
            yield first - start, second - start

    before, at_first = own.copy(), None
    outside: Pairs | None = None
    rows = sum(len(piece.rows) for piece in pieces)
    while rows > IN_MEMORY:
        count, rows = np.zeros(len(own), dtype=np.int64), 0
        for pair in read():
            count += coverage(*pair, own)
            rows += len(pair[0])
        at_first = count if at_first is None else at_first
        short = (own > 0) & (count < asked.most)
        if not short.any():
            break
        own[short] = 0
    else:
        first, second = _joined(read(), rows)
        count = coverage(first, second, own)
        own[:], in_core = k_core(first, second, own, asked.most, count.copy())
        if at_first is None:  # all rows are in memory
            at_first, outside = count, (first[in_core:], second[in_core:])
    core = np.where(own > 0, asked.most, at_first > 0).astype(np.int32)
    if asked.lower and (before > own).any():
        if outside is None:
            own[:] = before
            outside = _touching(read(), core < asked.most)
        lower_cores(*outside, core, asked.most)
    return core, int(at_first.max(initial=0))


def _joined(parts: Iterator[Pairs], most: int) -> Pairs:
    """All rows, of which there are not more than `most`."""
    first, second = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
    rows = 0
    for pair in parts:
        end = rows + len(pair[0])
        first[rows:end], second[rows:end] = pair
        rows = end
    return first[:rows], second[:rows]


def _touching(parts: Iterator[Pairs], which: NDArray[np.bool_]) -> Pairs:
    """Rows of some units; outside of a core they are few, fewer than its rows a unit."""
    none = np.zeros(0, dtype=np.int32)
    found = [(none, none)]
    for first, second in parts:
        wanted = which[first] | which[second]
        found.append((first[wanted], second[wanted]))
    first, second = (np.concatenate(ends) for ends in zip(*found, strict=True))
    return first, second


# Trans rows join all chromosomes: rounds of counting, until nothing is removed.


def _select(pieces: Sequence[Piece], units: Units, valid: Int32, asked: Asked) -> Pairs:
    """Rows of all pieces in one array per column: every round counts them with one pass."""
    none = np.zeros(0, dtype=np.int32)  # what lies between blocks can be of another kind
    parts = [(none, none), *_selected(pieces, units, valid, asked)]
    first, second = (np.concatenate(ends) for ends in zip(*parts, strict=True))
    return first, second


def _count(rows: Pairs, valid: Int32) -> Stretches:
    """Rows of every unit whose both units are valid."""
    spans = [extent(units) for units in rows if len(units)]
    count, whole = Stretches.zeros(spans, np.int64), coverage(*rows, valid)
    for span, own in zip(count.spans(), count.values, strict=True):
        own[:] = whole[span]
    return count


def _genome(
    units: Units, valid: Int32, store: PairStore, asked: Asked, silent: bool
) -> tuple[Int32, int]:
    shared, current = dask.delayed(units), dask.delayed(valid)
    select = dask.delayed(_select, pure=True)
    blocks = [(a, b) for a, b in store.blocks if asked.usereads == "all" or a != b]
    held = hold(
        [select(pieces, shared, current, asked) for pieces in piece_groups(store, blocks)],
        title="reading pairs",
        silent=silent,
    )
    count = dask.delayed(_count, pure=True)
    core, inside, largest = np.zeros_like(valid), valid > 0, -1
    level = 0 if asked.lower else asked.most - 1
    while held and inside.any():
        current = dask.delayed(inside.astype(np.int32))
        (found,) = run(
            [tree_reduce([count(rows, current) for rows in held], add_stretches)], silent=silent
        )
        covered = found.whole(len(valid))
        if largest < 0:
            largest, core = int(covered.max(initial=0)), (covered > 0).astype(np.int32)
        least = min(int(covered[inside].min()), asked.most)  # all inside keep as many
        core[inside] = np.maximum(core[inside], least)
        level = max(level, least)
        if level == asked.most:
            break
        inside &= covered > level
    return core, max(largest, 0)
