"""Which rows a task owns: whole chromosomes, small ones together, large ones in spans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import dask
import numpy as np

from hifive_dask._graph.run import run
from hifive_dask._graph.spans import split_rows
from hifive_dask._store.pairs import CHUNK, Columns, PairRows, PairStore
from hifive_dask.genome.partition import Units

__all__ = [
    "SPAN",
    "Piece",
    "cis_groups",
    "cis_pieces",
    "group_span",
    "longest_distance",
    "piece_groups",
    "pieces_of",
    "rows_by_kind",
    "spans_of",
]

SPAN = 1 << 22  # rows per reading step
GROUP = 1 << 19  # chromosomes with fewer rows share a task until they have this many


def cis_groups(store: PairStore, chroms: Sequence[int]) -> list[list[int]]:
    """Group chromosomes, in order, into tasks of about `GROUP` cis rows or one chromosome."""
    groups: list[list[int]] = []
    filled = 0
    for chrom in chroms:
        lo, hi = store.block_rows(chrom, chrom)
        if not groups or filled + hi - lo > GROUP:
            groups.append([])
            filled = 0
        groups[-1].append(chrom)
        filled += hi - lo
    return groups


def group_span(units: Units, group: Sequence[int]) -> slice:
    """The units from the first to the last chromosome of a group."""
    return slice(units.span(group[0]).start, units.span(group[-1]).stop)


def spans_of(store: PairStore, chrom1: int, chrom2: int) -> list[PairRows]:
    """Readers of the rows of one pair of chromosomes, at most `SPAN` each."""
    return [
        store.rows_of(span.lo, span.hi)
        for span in split_rows(store.block_rows(chrom1, chrom2), SPAN)
    ]


class Piece(NamedTuple):
    """Consecutive rows of one block, or of several small ones."""

    rows: PairRows
    cis: bool | None  # None if there may be rows of both kinds


def pieces_of(store: PairStore, blocks: Sequence[tuple[int, int]]) -> list[Piece]:
    """Readers of some blocks, in order.

    Each read decodes whole chunks, so small blocks are read together, with what lies between them.
    """
    runs: list[tuple[int, int, bool | None]] = []
    for a, b in blocks:
        lo, hi = store.block_rows(a, b)
        if lo == hi:
            continue
        cis: bool | None = a == b
        if runs and hi - runs[-1][0] <= CHUNK:
            start, end, before = runs.pop()
            runs.append((start, hi, cis if cis == before and lo == end else None))
        else:
            runs.append((lo, hi, cis))
    return [
        Piece(store.rows_of(span.lo, span.hi), cis)
        for lo, hi, cis in runs
        for span in split_rows((lo, hi), SPAN)
    ]


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


def piece_groups(store: PairStore, blocks: Sequence[tuple[int, int]]) -> list[list[Piece]]:
    """Readers of some blocks, in order, in groups of about `SPAN` rows."""
    groups: list[list[Piece]] = []
    filled = SPAN
    for piece in pieces_of(store, blocks):
        if filled + len(piece.rows) > SPAN:
            groups.append([])
            filled = 0
        groups[-1].append(piece)
        filled += len(piece.rows)
    return groups


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
