"""Read pairs to keys, keys to filtered fend pairs, sorted pairs to counts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit
from hifive_dask._kernels.pair_rule import is_possible

__all__ = [
    "COUNTERS",
    "Assigned",
    "EndTables",
    "TileTables",
    "assign_pairs",
    "block_dtype",
    "count_runs",
    "encode_pairs",
    "encode_units",
    "possible_rows",
    "sum_runs",
    "tile_of",
]

COUNTERS = (
    "pcr_duplicates",
    "out_of_bounds",
    "insert_size",
    "same_fragment",
    "failed_cut",
    "valid_cis_reads",
    "valid_trans_reads",
)
_DUPLICATE, _OUT, _INSERT, _SAME, _FAILED, _CIS, _TRANS = range(7)


class TileTables(NamedTuple):
    """How the sort order of the store is cut into tiles; see `hifive_dask.reads.tiles`."""

    cell_bits: int
    cell_offset: NDArray[np.int64]
    cell_last: NDArray[np.int64]
    cell_start: NDArray[np.float64]
    length: NDArray[np.float64]
    length_before: NDArray[np.float64]
    cis_before: NDArray[np.float64]
    trans_before: NDArray[np.float64]
    tiles_per_weight: float


class EndTables(NamedTuple):
    """The intervals that read ends are looked up in.

    Parameters
    ----------
    start, stop
        int64: fragments or bins; 1-based position p lies in one if ``start < p <= stop``.
    offset
        int64 (C + 1): first fragment or bin of each chromosome, then their number.
    fends
        True for fragments, whose ends are the units; False for bins.
    """

    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    offset: NDArray[np.int64]
    fends: bool


class Assigned(NamedTuple):
    """What became of the reads of some groups.

    Parameters
    ----------
    codes
        uint64: ``unit1 << 32 | unit2`` of every kept read, by group, unsorted.
    ends
        int64 (G): number of codes up to the end of each group.
    counters
        int64, in the order of `COUNTERS`, reads.
    histogram
        int64: distinct pairs per insert size, before the filter on it.
    cuts
        int64 (2, 2 * limit + 1): 5' ends of the same pairs, on the plus and on the minus strand, by
        their place relative to the nearest cut, -limit to limit bp; see `hifive_dask.reads.sites`.
    """

    codes: NDArray[np.uint64]
    ends: NDArray[np.int64]
    counters: NDArray[np.int64]
    histogram: NDArray[np.int64]
    cuts: NDArray[np.int64]


@jit
def tile_of(tables, c1, c2, p1):
    """Tile of a pair of chromosomes c1 <= c2 whose first end is at p1; for kernels."""
    first, last = tables.cell_offset[c1], tables.cell_offset[c1 + 1] - 1
    cell = min(first + (p1 >> tables.cell_bits), last)
    # A cell begins behind the last position of the unit that straddles its nominal start.
    while cell > first and p1 <= tables.cell_last[cell - 1]:
        cell -= 1
    weight = tables.cis_before[c1] + tables.trans_before[c1]
    if c1 == c2:
        weight += tables.cell_start[cell]
    else:
        weight += tables.length[c1]
        between = tables.length_before[c2] - tables.length_before[c1 + 1]
        share = tables.trans_before[c1 + 1] - tables.trans_before[c1]
        rest = tables.length_before[-1] - tables.length_before[c1 + 1]
        if rest > 0:
            within = tables.length[c2] * (tables.cell_start[cell] / tables.length[c1])
            weight += share * (between + within) / rest
    return int(weight * tables.tiles_per_weight)


@jit
def _encode_pairs(
    tables, chromosomes, chrom1, pos1, minus1, chrom2, pos2, minus2, tile, block, key
):
    for k in range(len(chrom1)):
        c1, c2 = chrom1[k], chrom2[k]
        x1 = (np.uint64(pos1[k]) << np.uint64(1)) | np.uint64(minus1[k])
        x2 = (np.uint64(pos2[k]) << np.uint64(1)) | np.uint64(minus2[k])
        if c1 > c2 or (c1 == c2 and x1 > x2):
            c1, c2 = c2, c1
            x1, x2 = x2, x1
        key[k] = (x1 << np.uint64(32)) | x2
        block[k] = np.int64(c1) * chromosomes + c2
        tile[k] = tile_of(tables, c1, c2, np.int64(x1 >> np.uint64(1)))


def block_dtype(chromosomes: int) -> type[np.signedinteger]:
    """Smallest dtype that holds ``chrom1 * C + chrom2``."""
    return np.int32 if chromosomes < 46341 else np.int64


def encode_pairs(
    tables: TileTables,
    chrom1: NDArray[np.int32],
    pos1: NDArray[np.int64],
    minus1: NDArray[np.uint8],
    chrom2: NDArray[np.int32],
    pos2: NDArray[np.int64],
    minus2: NDArray[np.uint8],
) -> tuple[NDArray[np.int32], NDArray[np.signedinteger], NDArray[np.uint64]]:
    """Order the two ends of every pair and pack them into one key.

    The end on the lower chromosome comes first, on one chromosome the lower position, at equal
    positions plus before minus.

    Returns
    -------
    tile
        int32: tile of the pair.
    block
        ``chrom1 * C + chrom2``, of `block_dtype`.
    key
        uint64: ``(pos1 << 1 | minus1) << 32 | pos2 << 1 | minus2``. Equal keys in a block are PCR
        duplicates.
    """
    n, chromosomes = len(chrom1), len(tables.length)
    tile = np.empty(n, dtype=np.int32)
    block = np.empty(n, dtype=block_dtype(chromosomes))
    key = np.empty(n, dtype=np.uint64)
    _encode_pairs(tables, chromosomes, chrom1, pos1, minus1, chrom2, pos2, minus2, tile, block, key)
    return tile, block, key


@jit
def _encode_units(tables, chromosome, position, unit1, unit2, tile, block, key):
    chromosomes = len(tables.length)
    for k in range(len(unit1)):
        i, j = min(unit1[k], unit2[k]), max(unit1[k], unit2[k])
        c1, c2 = chromosome[i], chromosome[j]
        key[k] = (np.uint64(i) << np.uint64(32)) | np.uint64(j)
        block[k] = np.int64(c1) * chromosomes + c2
        tile[k] = tile_of(tables, c1, c2, position[i])


def encode_units(
    tables: TileTables,
    chromosome: NDArray[np.int32],
    position: NDArray[np.int64],
    unit1: NDArray[np.int64],
    unit2: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.signedinteger], NDArray[np.uint64]]:
    """Order the two units of every pair and pack them into one key.

    Parameters
    ----------
    chromosome
        int32 (N): chromosome of every unit.
    position
        int64 (N): 1-based position that decides the tile of every unit, the same for both fends of
        a fragment.
    unit1, unit2
        int64: global indices.

    Returns
    -------
    tile
        int32: tile of the pair.
    block
        ``chrom1 * C + chrom2``, of `block_dtype`.
    key
        uint64: ``unit1 << 32 | unit2``, the lower unit first.
    """
    n = len(unit1)
    tile = np.empty(n, dtype=np.int32)
    block = np.empty(n, dtype=block_dtype(len(tables.length)))
    key = np.empty(n, dtype=np.uint64)
    _encode_units(tables, chromosome, position, unit1, unit2, tile, block, key)
    return tile, block, key


@jit
def _find_interval(tables, chrom, p, guess):
    """Interval k with start[k] < p <= stop[k] of the chromosome, or -1; `guess` is tried first."""
    lo, hi = tables.offset[chrom], tables.offset[chrom + 1]
    if lo <= guess < hi and tables.start[guess] < p <= tables.stop[guess]:
        return guess
    first = lo
    while lo < hi:
        middle = (lo + hi) // 2
        if tables.start[middle] < p:
            lo = middle + 1
        else:
            hi = middle
    k = lo - 1
    if k < first or p > tables.stop[k]:
        return -1
    return k


@jit
def _count_end(tables, k, p, minus, cuts):
    """Count a 5' end of fragment `k` by its place relative to the nearer border of it."""
    limit = (cuts.shape[1] - 1) // 2
    place = p - 1 + minus  # the border behind the read: 0 of the border of a fragment it begins at
    behind, before = place - tables.start[k], tables.stop[k] - place
    offset = behind if behind <= before else -before
    if -limit <= offset <= limit:
        cuts[minus, offset + limit] += 1


@jit
def _assign_pairs(
    tables,
    keys,
    group,
    chrom1,
    chrom2,
    maxinsert,
    keep,
    edges,
    histogram,
    cuts,
    counters,
    codes,
    ends,
):
    low = np.uint64(0xFFFFFFFF)
    written = 0
    for g in range(len(chrom1)):
        c1, c2 = chrom1[g], chrom2[g]
        near1, near2 = np.int64(-1), np.int64(-1)
        k = group[g]
        while k < group[g + 1]:
            key = keys[k]
            times = np.int64(1)
            while k + times < group[g + 1] and keys[k + times] == key:
                times += 1
            k += times
            counters[_DUPLICATE] += times - 1
            weight = times if keep else np.int64(1)
            x1, x2 = np.int64(key >> np.uint64(32)), np.int64(key & low)
            p1, minus1 = x1 >> 1, x1 & 1
            p2, minus2 = x2 >> 1, x2 & 1
            i = _find_interval(tables, c1, p1, near1)
            j = _find_interval(tables, c2, p2, near2)
            if i >= 0:
                near1 = i
            if j >= 0:
                near2 = j
            if i < 0 or j < 0:
                counters[_OUT] += weight
                continue
            if tables.fends:
                insert = (p1 - tables.start[i]) if minus1 else (tables.stop[i] - p1)
                insert += (p2 - tables.start[j]) if minus2 else (tables.stop[j] - p2)
                histogram[np.searchsorted(edges, insert, side="right")] += 1
                _count_end(tables, i, p1, minus1, cuts)
                _count_end(tables, j, p2, minus2, cuts)
                if maxinsert >= 0 and insert > maxinsert:
                    counters[_INSERT] += weight
                    continue
                a, b = 2 * i + 1 - minus1, 2 * j + 1 - minus2
                if c1 == c2:
                    if i == j:
                        counters[_SAME] += weight
                        continue
                    if not is_possible(a, b, True):
                        counters[_FAILED] += weight
                        continue
            else:
                a, b = i, j
                if c1 == c2 and maxinsert >= 0 and minus1 != minus2 and p2 - p1 <= maxinsert:
                    counters[_INSERT] += weight
                    continue
            counters[_CIS if c1 == c2 else _TRANS] += weight
            code = (np.uint64(a) << np.uint64(32)) | np.uint64(b)
            for _ in range(weight):
                codes[written] = code
                written += 1
        ends[g] = written
    return written


def assign_pairs(
    tables: EndTables,
    keys: NDArray[np.uint64],
    group: NDArray[np.int64],
    chrom1: NDArray[np.int64],
    chrom2: NDArray[np.int64],
    *,
    maxinsert: int | None,
    keep_duplicates: bool,
    edges: NDArray[np.int64],
    limit: int,
) -> Assigned:
    """Remove duplicates, assign read ends to units, apply the read filters in their order.

    Parameters
    ----------
    tables
        The units.
    keys
        uint64, sorted inside every group.
    group
        int64 (G + 1): row ranges inside which equal keys are duplicates.
    chrom1, chrom2
        int64 (G): chromosomes of every group.
    maxinsert
        bp, or None for no filter. Fends: largest accepted sum of the distances of both ends to
        their cut sites. Bins: pairs on opposite strands closer than or at it are dropped.
    keep_duplicates
        Count every read of a key, not only the first.
    edges
        int64: lower edges of the rows 1, 2, ... of the insert-size histogram.
    limit
        bp: largest distance from a cut of the histogram of 5' ends.
    """
    codes = np.empty(len(keys), dtype=np.uint64)
    ends = np.zeros(len(chrom1), dtype=np.int64)
    counters = np.zeros(len(COUNTERS), dtype=np.int64)
    histogram = np.zeros(len(edges) + 1, dtype=np.int64)
    cuts = np.zeros((2, 2 * limit + 1), dtype=np.int64)
    largest = -1 if maxinsert is None else maxinsert
    written = _assign_pairs(
        tables, keys, group, chrom1, chrom2, largest, keep_duplicates, edges, histogram, cuts,
        counters, codes, ends,
    )  # fmt: skip
    return Assigned(codes[:written], ends, counters, histogram, cuts)


@jit
def _count_runs(codes, first, second, count):
    rows, k = 0, 0
    while k < len(codes):
        run = k + 1
        while run < len(codes) and codes[run] == codes[k]:
            run += 1
        first[rows] = codes[k] >> np.uint64(32)
        second[rows] = codes[k] & np.uint64(0xFFFFFFFF)
        count[rows] = run - k
        rows += 1
        k = run
    return rows


def count_runs(
    codes: NDArray[np.uint64],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Turn sorted codes ``unit1 << 32 | unit2`` into rows (unit1, unit2, times seen)."""
    first, second, count = (np.empty(len(codes), dtype=np.int32) for _ in range(3))
    rows = _count_runs(codes, first, second, count)
    return first[:rows], second[:rows], count[:rows]


@jit
def _sum_runs(codes, count, order, first, second, total):
    rows, k = 0, 0
    while k < len(codes):
        code = codes[order[k]]
        first[rows] = code >> np.uint64(32)
        second[rows] = code & np.uint64(0xFFFFFFFF)
        total[rows] = 0
        while k < len(codes) and codes[order[k]] == code:
            total[rows] += count[order[k]]
            k += 1
        rows += 1
    return rows


def sum_runs(
    codes: NDArray[np.uint64], count: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """Sum the counts of equal codes ``unit1 << 32 | unit2``; rows (unit1, unit2, sum), sorted."""
    first, second = (np.empty(len(codes), dtype=np.int32) for _ in range(2))
    total = np.empty(len(codes), dtype=np.int64)
    order = np.argsort(codes, kind="stable")
    rows = _sum_runs(codes, count, order, first, second, total)
    return first[:rows], second[:rows], total[:rows]


@jit
def _possible_rows(first, second, possible):
    for k in range(len(first)):
        possible[k] = is_possible(first[k], second[k], True)


def possible_rows(first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.bool_]:
    """bool: whether pairs of fends of one chromosome, the lower first, can be observed."""
    possible = np.empty(len(first), dtype=np.bool_)
    _possible_rows(first, second, possible)
    return possible
