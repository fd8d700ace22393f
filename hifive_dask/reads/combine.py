"""Replicates: pair stores of one partition added up into a new one.

::

    rows of every store --merge--> rows of the sum, one file per range --> shards of the store

All stores are sorted alike, so a **range** of that order is a range of rows in each of them. One
task owns one range: it reads the rows of one store after the other, merges them, and writes the
result. Where ranges end is taken from the zone maps. Memory per worker thread is one range of the
sum and one of an input, whatever the size and the number of the stores.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask._kernels.pair_rows import Overflow, merge_rows
from hifive_dask._store.atomic import save_array
from hifive_dask._store.pairs import CHUNK, PairRows, PairStore, tile_file
from hifive_dask._store.places import Location
from hifive_dask.errors import InputError, StoreError
from hifive_dask.genome.partition import Partition, Units
from hifive_dask.provenance import History
from hifive_dask.reads.count import INSERT_EDGES
from hifive_dask.reads.gather import Counted, no_ends, write_counted
from hifive_dask.reads.pipeline import spill_beside
from hifive_dask.schema import MARKED, STATISTICS

__all__ = ["combine_stores", "explain_difference", "join_histories", "join_maxinsert"]

_CHUNKS = 16  # inner chunks of the inputs per range: 50 MB of rows

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class _Order:
    """The sort order of pair stores, as one integer per (chromosome 1, chromosome 2, first unit).

    Parameters
    ----------
    chromosome
        int32 (N): of every unit.
    chromosomes
        Their number.
    """

    chromosome: NDArray[np.int32]
    chromosomes: int

    def place(self, block: Any, first: Any) -> Any:
        """Place of pairs; `block` is ``chrom1 * C + chrom2``, int64."""
        return block * len(self.chromosome) + first

    def block(self, first: Any, second: Any) -> Any:
        """Block of pairs, int64."""
        chromosome = self.chromosome
        return chromosome[first].astype(np.int64) * self.chromosomes + chromosome[second]

    def chunk_places(self, store: PairStore) -> Int64:
        """int64: place of the first row of every inner chunk."""
        block = np.searchsorted(store.block_offset, np.arange(0, len(store), CHUNK), "right") - 1
        chrom1, chrom2 = (
            c[block].astype(np.int64) for c in (store.block_chrom1, store.block_chrom2)
        )
        places: Int64 = self.place(chrom1 * self.chromosomes + chrom2, store.tile_first_fend1)
        return places

    def find(self, rows: NDArray[np.int32], place: int) -> int:
        """Number of rows before a place, by bisection."""
        lo, hi = 0, rows.shape[1]
        while lo < hi:
            middle = (lo + hi) // 2
            first, second = rows[0, middle], rows[1, middle]
            if self.place(self.block(first, second), first) < place:
                lo = middle + 1
            else:
                hi = middle
        return lo


class _Range(NamedTuple):
    """Pairs of a piece of the order, and the rows of every store that hold them, and others."""

    lo: int
    hi: int
    readers: list[PairRows]


class _Blocks(NamedTuple):
    """int64: blocks of the rows of a range, ascending, and their rows and reads."""

    block: Int64
    rows: Int64
    reads: Int64


def _plan(stores: Sequence[PairStore], order: _Order) -> list[_Range]:
    """Cut the order where chunks of the stores begin."""
    starts = [order.chunk_places(store) for store in stores]
    inner = np.unique(np.sort(np.concatenate(starts))[_CHUNKS::_CHUNKS])
    last = order.place(order.chromosomes**2, 0)
    edges = [0, *inner.tolist(), last]
    ranges = []
    for lo, hi in itertools.pairwise(edges):
        readers = []
        for store, places in zip(stores, starts, strict=True):
            # A place lies in the chunk before the first one that begins at it or behind it.
            chunk_lo = max(int(np.searchsorted(places, lo, "left")) - 1, 0)
            chunk_hi = int(np.searchsorted(places, hi, "left"))
            row_lo, row_hi = chunk_lo * CHUNK, min(chunk_hi * CHUNK, len(store))
            if row_lo < row_hi:
                readers.append(store.rows_of(row_lo, row_hi))
        ranges.append(_Range(lo, hi, readers))
    return ranges


def _merge(number: int, part: _Range, order: _Order, directory: str) -> _Blocks:
    """Add up the pairs of one range, write them, and return their numbers."""
    merged = np.zeros((3, 0), dtype=np.int32)
    for reader in part.readers:
        rows = np.stack(reader())
        rows = rows[:, order.find(rows, part.lo) : order.find(rows, part.hi)]
        both = merge_rows(order.chromosome, merged, rows)
        if isinstance(both, Overflow):
            raise InputError(
                f"the pair of fends or bins {both.first} and {both.second} has {both.reads:,} "
                "reads in all "
                f"stores together, more than {np.iinfo(np.int32).max:,}, the most that a store can "
                "hold"
            )
        merged = both
    save_array(tile_file(directory, number), merged)
    block = order.block(merged[0], merged[1])
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    if not len(starts):
        return _Blocks(block, block, block)
    reads = np.add.reduceat(merged[2], starts, dtype=np.int64)
    return _Blocks(block[starts], np.diff(starts, append=len(block)), reads)


def combine_stores(
    target: Location,
    partition: Partition,
    stores: Sequence[PairStore],
    *,
    history: History,
    call: tuple[str, Mapping[str, Any]],
    attributes: Mapping[str, Any],
    silent: bool = False,
) -> dict[str, int]:
    """Add up pair stores of one partition into a new Zarr pair store at `target`.

    Parameters
    ----------
    target
        Path of the store; it must not exist (callers write beside and rename).
    partition
        That of all stores.
    stores
        What to add up; their order does not change the pairs, to the byte.
    history, call, attributes
        Recorded in the store; `call` is the name and arguments of the user's call.
    silent
        No progress bar.

    Returns
    -------
    The read statistics.

    Raises
    ------
    InputError
        If the reads of a pair exceed the most that a store can hold, or there is no pair at all.
    StoreError
        If the rows of histograms differ, or a store is damaged.
    """
    insert, ends = _add_inserts(stores), _add_ends(stores)
    if not any(len(store) for store in stores):
        raise InputError("none of the stores holds a pair; there is nothing to combine")
    units = partition.units
    order = _Order(units.chromosome, len(units.chromosomes))
    with spill_beside(target) as spill:
        shared, task = dask.delayed(order), dask.delayed(_merge, pure=False)
        parts = enumerate(_plan(stores, order))
        tasks = [task(number, part, shared, spill.tiles) for number, part in parts]
        done = run(tasks, title="combining pairs", silent=silent)
        blocks = _join_blocks(done)
        stats = _add_statistics(stores, partition, blocks)
        tiles = [(number, int(part.rows.sum())) for number, part in enumerate(done)]
        ranges = list(zip(blocks.block.tolist(), blocks.rows.tolist(), strict=True))
        history.add(call[0], call[1], results=stats)
        write_counted(
            target,
            Counted(stats, insert, ends, tiles, ranges),
            order.chromosomes,
            spill.tiles,
            history,
            attributes,
            silent,
        )
    return stats


def _join_blocks(parts: Sequence[_Blocks]) -> _Blocks:
    """Add up blocks that lie in several ranges."""
    block, rows, reads = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    return _Blocks(block[starts], np.add.reduceat(rows, starts), np.add.reduceat(reads, starts))


def _add_statistics(
    stores: Sequence[PairStore], partition: Partition, blocks: _Blocks
) -> dict[str, int]:
    """Sums of all statistics; what the pairs themselves tell is counted in them."""
    stats: Counter[str] = Counter(dict.fromkeys((*STATISTICS, *MARKED), 0))
    for store in stores:
        stats.update(store.stats)
    chromosomes = len(partition.chromosomes)
    cis = blocks.block // chromosomes == blocks.block % chromosomes
    for kind, chosen in (("cis", cis), ("trans", ~cis)):
        # Files that lack statistics have reads all the same.
        reads = int(blocks.reads[chosen].sum())
        stats["total_reads"] += reads - stats[f"valid_{kind}_reads"]
        stats[f"valid_{kind}_reads"] = reads
        if partition.fends is None or partition.bins is None:
            stats[f"valid_{kind}_pairs"] = int(blocks.rows[chosen].sum())
    return dict(stats)


def _add_inserts(stores: Sequence[PairStore]) -> Int64:
    """Sum of insert-size histograms; those with fewer rows, or none, lack the last ones."""
    total = np.zeros((len(INSERT_EDGES) + 1, 2), dtype=np.int64)
    total[1:, 1] = INSERT_EDGES
    for number, store in enumerate(stores, 1):
        count, edge = store.insert_distribution.T
        rows = len(count)
        if rows > len(total) or (edge != total[:rows, 1]).any():
            raise StoreError(
                f"store {number} of {len(stores)}, in the order given: the insert-size histogram "
                f"has {rows} rows that begin at {edge[:3].tolist()}... bp, expected the first of "
                f"{len(total)} that begin at {total[:3, 1].tolist()}... bp; make the store again "
                "from its reads"
            )
        total[:rows, 0] += count
    return total


def _add_ends(stores: Sequence[PairStore]) -> Int64:
    """Sum of the histograms of 5' ends of those stores that have one."""
    total = no_ends()
    known = [store.end_distribution for store in stores if len(store.end_distribution)]
    for ends in known:
        if not np.array_equal(ends[:, 2], total[:, 2]):
            raise StoreError(
                f"the histogram of 5' ends of a store has {len(ends)} rows from {ends[0, 2]} bp, "
                f"expected {len(total)} from {total[0, 2]} bp; make the store again from its reads"
            )
        total[:, :2] += ends[:, :2]
    return total if known else total[:0]


def join_histories(histories: Sequence[History], partition: History) -> History:
    """Histories one after the other, that of their partition only once."""
    first, *rest = (history.records for history in histories)
    head = partition.records
    records = list(first)
    for own in rest:
        records += own[len(head) :] if own[: len(head)] == head else own
    return History(records)


def join_maxinsert(values: Sequence[Any]) -> int | list[int | None] | None:
    """What all have in common, else a list of all that there are, None for no filter last."""
    flat = {v for value in values for v in (value if isinstance(value, list) else [value])}
    found = sorted(flat, key=lambda v: (v is None, v or 0))
    return found[0] if len(found) == 1 else found


def explain_difference(first: Partition, second: Partition) -> str:
    """Say in what two partitions differ."""
    if first.kind != second.kind:
        return f"one is of kind {first.kind!r}, the other {second.kind!r}"
    if first.chromosomes != second.chromosomes:
        return _differing_chromosomes(first.chromosomes, second.chromosomes)
    for name, a, b in (("fend", first.fends, second.fends), ("bin", first.bins, second.bins)):
        if a is not None and b is not None:
            found = _differing_units(name, a, b)
            if found:
                return found
    return "their arrays differ"


def _differing_chromosomes(first: Sequence[str], second: Sequence[str]) -> str:
    if set(first) == set(second):
        return "the chromosomes stand in another order"
    only = [sorted(set(a) - set(b)) for a, b in ((first, second), (second, first))]
    lists = [", ".join(names[:5]) + (", ..." if len(names) > 5 else "") for names in only]
    words = (
        f"the {w} has {n}" for w, n in zip(("first alone", "second alone"), lists, strict=True)
    )
    return "; ".join(text for text, names in zip(words, only, strict=True) if names)


def _differing_units(name: str, a: Units, b: Units) -> str:
    counts = np.flatnonzero(np.diff(a.offset) != np.diff(b.offset))
    if len(counts):
        c = int(counts[0])
        numbers = [int(np.diff(units.offset)[c]) for units in (a, b)]
        return (
            f"{a.chromosomes[c]} has {numbers[0]:,} {name}s in one and {numbers[1]:,} in the other"
        )
    borders = np.flatnonzero((a.start != b.start) | (a.stop != b.stop))
    if not len(borders):
        return ""
    k = int(borders[0])
    where = [f"{units.start[k]:,}-{units.stop[k]:,}" for units in (a, b)]
    chromosome = a.chromosomes[int(a.chromosome[k])]
    return f"{name} {k} on {chromosome} is {where[0]} in one and {where[1]} in the other"
