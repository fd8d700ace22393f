"""Partners and reads of every unit, and reads of chromosomes, whether in use or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.reduce import tree_reduce
from hifive_dask._graph.run import run
from hifive_dask._store.pairs import PairStore
from hifive_dask.genome.partition import Units
from hifive_dask.model.rows import Piece, piece_groups, rows_by_kind
from hifive_dask.model.stretches import Stretches, add_stretches, extent

__all__ = ["Marginals", "chromosome_reads", "count_marginals"]

Int64 = NDArray[np.int64]


class Marginals(NamedTuple):
    """int64 (N) each: partners are distinct; a read counts at both of its ends."""

    cis_partners: Int64
    cis_reads: Int64
    trans_partners: Int64
    trans_reads: Int64


_COLUMNS = len(Marginals._fields)


def count_marginals(
    units: Units,
    store: PairStore,
    *,
    valid: NDArray[np.int32] | None = None,
    silent: bool = False,
) -> Marginals:
    """Count partners and reads of every unit, in one pass over all pairs.

    Parameters
    ----------
    units, store
        The genome and its pairs.
    valid
        int32 (N): pairs of two units in use count; None for all.
    silent
        No progress.
    """
    task = dask.delayed(_count, pure=True)
    shared, use = dask.delayed(units), None if valid is None else dask.delayed(valid > 0)
    parts = [task(pieces, shared, use) for pieces in piece_groups(store, list(store.blocks))]
    if not parts:
        return Marginals(*np.zeros((_COLUMNS, len(units)), dtype=np.int64))
    (total,) = run([tree_reduce(parts, add_stretches)], title="counting reads", silent=silent)
    table = total.whole(_COLUMNS * len(units)).astype(np.int64).reshape(-1, _COLUMNS)
    return Marginals(*np.ascontiguousarray(table.T))


def _count(pieces: Sequence[Piece], units: Units, use: NDArray[np.bool_] | None) -> Stretches:
    """Sums of some rows: stretches of the table that has a row for every unit, as one line."""
    parts = []
    for piece in pieces:
        for cis, (first, second, count) in rows_by_kind(piece, units, "all"):
            if use is not None:
                kept = use[first] & use[second]
                first, second, count = first[kept], second[kept], count[kept]
            if not len(first):
                continue
            new = first != second  # a bin that meets itself has one partner, and both ends
            for ends, partner in ((first, np.ones(len(first))), (second, new)):
                parts.append(_sums(ends, partner, count, 0 if cis else 2))
    return add_stretches(parts)


def _sums(
    ends: NDArray[np.int32], partner: NDArray[np.generic], count: NDArray[np.int32], column: int
) -> Stretches:
    span = extent(ends)
    whole = slice(_COLUMNS * span.start, _COLUMNS * span.stop)
    sums = Stretches.zeros([whole], np.int64)
    table = sums.at(whole).reshape(-1, _COLUMNS)
    place, size = ends - np.int32(span.start), span.stop - span.start
    for k, weight in enumerate((partner, count)):
        table[:, column + k] = np.bincount(place, weight, size)
    return sums


def chromosome_reads(
    units: Units,
    store: PairStore,
    chroms: Sequence[int],
    usereads: str,
    *,
    silent: bool = False,
) -> Int64:
    """int64 (C): reads of some chromosomes, 0 for all others; a trans read counts for both.

    Parameters
    ----------
    units, store
        The genome and its pairs.
    chroms
        Indices of the chromosomes.
    usereads
        ``"cis"``, ``"trans"`` or ``"all"``.
    silent
        No progress.
    """
    wanted = np.zeros(len(units.chromosomes), dtype=np.int64)
    wanted[list(chroms)] = 1
    kinds = {"cis": (True,), "trans": (False,), "all": (True, False)}[usereads]
    blocks = [(a, b) for a, b in store.blocks if (a == b) in kinds and wanted[[a, b]].any()]
    task, shared = dask.delayed(_reads_by_chromosome, pure=True), dask.delayed(units)
    parts = [task(pieces, shared, usereads) for pieces in piece_groups(store, blocks)]
    if not parts:
        return 0 * wanted
    (total,) = run([tree_reduce(parts, _add)], title="counting reads", silent=silent)
    found: Int64 = total * wanted
    return found


def _reads_by_chromosome(pieces: Sequence[Piece], units: Units, usereads: str) -> Int64:
    reads = np.zeros(len(units.chromosomes), dtype=np.int64)
    for piece in pieces:
        for cis, (first, second, count) in rows_by_kind(piece, units, usereads):
            for ends in (first,) if cis else (first, second):
                sums = np.bincount(units.chromosome[ends], count, len(reads))
                reads += sums.astype(np.int64)
    return reads


def _add(parts: list[Int64]) -> Int64:
    total: Int64 = np.sum(parts, axis=0)
    return total
