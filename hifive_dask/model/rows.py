"""Which rows a task owns: whole chromosomes, small ones together, large ones in spans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask._graph.spans import group_rows, split_rows
from hifive_dask._store.pairs import CHUNK, Columns, PairRows, PairStore
from hifive_dask.genome.partition import Units

__all__ = [
    "SPAN",
    "Piece",
    "RowRanges",
    "cis_groups",
    "cis_pieces",
    "divide_rows",
    "group_span",
    "join_ranges",
    "longest_distance",
    "piece_groups",
    "pieces_of",
    "rows_by_kind",
]

SPAN = 1 << 22  # rows per task
MOST_TASKS = 1 << 10  # of one step: a scheduler does about as many in a second
STEP = 1 << 20  # rows read at a time: with what is made of them 40 MB, also where workers are small
GROUP = 1 << 19  # chromosomes with fewer rows share a task until they have this many

RowRanges = list[tuple[int, int]]
"""Ranges of rows, in order, apart from each other."""


def cis_groups(store: PairStore, chroms: Sequence[int]) -> list[list[int]]:
    """Group chromosomes, in order, into tasks of about `GROUP` cis rows or one chromosome."""
    sizes = [hi - lo for lo, hi in (store.block_rows(chrom, chrom) for chrom in chroms)]
    return group_rows(chroms, sizes, GROUP)


def group_span(units: Units, group: Sequence[int]) -> slice:
    """The units from the first to the last chromosome of a group."""
    return slice(units.span(group[0]).start, units.span(group[-1]).stop)


class Piece(NamedTuple):
    """Consecutive rows of one block, or of several."""

    rows: PairRows
    cis: bool | None  # None if there are rows of both kinds


def join_ranges(start: NDArray[np.int64], stop: NDArray[np.int64]) -> RowRanges:
    """Join ranges between which no whole chunk lies: a read decodes whole chunks anyway.

    Examples
    --------
    >>> import numpy as np
    >>> from hifive_dask.model.rows import join_ranges
    >>> join_ranges(np.array([0, 300_000, 900_000]), np.array([10, 300_500, 900_001]))
    [(0, 300500), (900000, 900001)]
    """
    if not len(start):
        return []
    order = np.argsort(start, kind="stable")
    start, stop = start[order], np.maximum.accumulate(stop[order])
    apart = start[1:] // CHUNK - (stop[:-1] - 1) // CHUNK > 1
    starts, stops = start[np.r_[True, apart]], stop[np.r_[apart, True]]
    return list(zip(starts.tolist(), stops.tolist(), strict=True))


def divide_rows(ranges: RowRanges) -> list[RowRanges]:
    """Cut ranges into steps of at most `STEP` rows, and put these into groups for tasks.

    A group has `SPAN` rows, or as many more as it takes to have no more than `MOST_TASKS` groups.
    """
    rows = max(SPAN, -(-sum(hi - lo for lo, hi in ranges) // MOST_TASKS))
    spans = [(span.lo, span.hi) for each in ranges for span in split_rows(each, min(STEP, rows))]
    return group_rows(spans, [hi - lo for lo, hi in spans], rows)


def piece_groups(store: PairStore, blocks: Sequence[tuple[int, int]]) -> list[list[Piece]]:
    """Readers of some blocks, in order, in groups for tasks; see `divide_rows`.

    Small blocks are read together, with what lies between them.
    """
    rows = np.array([store.block_rows(*pair) for pair in blocks], dtype=np.int64).reshape(-1, 2)
    start, stop = rows[rows[:, 0] < rows[:, 1]].T
    groups = divide_rows(join_ranges(start, stop))
    return [[_piece(store, lo, hi) for lo, hi in group] for group in groups]


def _piece(store: PairStore, lo: int, hi: int) -> Piece:
    first = np.searchsorted(store.block_offset, lo, "right") - 1
    last = np.searchsorted(store.block_offset, hi, "left")
    cis = store.block_chrom1[first:last] == store.block_chrom2[first:last]
    return Piece(store.rows_of(lo, hi), None if cis.any() and not cis.all() else bool(cis[0]))


def pieces_of(store: PairStore, blocks: Sequence[tuple[int, int]]) -> list[Piece]:
    """Readers of some blocks, in order; see `piece_groups`."""
    return [piece for group in piece_groups(store, blocks) for piece in group]


def cis_pieces(store: PairStore, chroms: Sequence[int]) -> list[Piece]:
    """Readers of the cis rows of some chromosomes, in order."""
    return pieces_of(store, [(chrom, chrom) for chrom in chroms])


def rows_by_kind(piece: Piece, units: Units, usereads: str) -> Iterator[tuple[bool, Columns]]:
    """Rows of the wanted kinds, and whether they are cis.

    Rows of chromosomes that nobody asked for can be among them. They are sorted by their first unit
    if they are cis; trans rows are sorted inside each block.
    """
    first, second, count = piece.rows()
    same = units.chromosome[first] == units.chromosome[second] if piece.cis is None else None
    for cis in (True, False):
        if usereads not in ("all", "cis" if cis else "trans"):
            continue
        if same is not None:
            mask = same if cis else ~same
            yield cis, (first[mask], second[mask], count[mask])
        elif piece.cis == cis:
            yield cis, (first, second, count)


def _longest(pieces: Sequence[Piece], units: Units) -> int:
    longest = -1
    for piece in pieces:
        for _, (first, second, _) in rows_by_kind(piece, units, "cis"):
            longest = max(longest, int(np.max(units.mid[second] - units.mid[first], initial=-1)))
    return longest


def longest_distance(units: Units, store: PairStore, *, silent: bool = False) -> int:
    """Longest distance of any stored cis pair, in bp; -1 without cis pairs."""
    shared, task = dask.delayed(units), dask.delayed(_longest, pure=True)
    tasks = [
        task(cis_pieces(store, group), shared)
        for group in cis_groups(store, range(len(units.chromosomes)))
    ]
    return max(run(tasks, title="measuring distances", silent=silent), default=-1)
