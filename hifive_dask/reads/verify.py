"""Reading all pairs of a store once more, to see that they are what the store says."""

from __future__ import annotations

from typing import NamedTuple

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask._kernels.pair_table import digest_rows
from hifive_dask._store.pairs import PairRows, PairStore, pairs_token, shard_rows
from hifive_dask.errors import StoreError

__all__ = ["verify_pairs"]


class _Seen(NamedTuple):
    sums: NDArray[np.uint64]
    first: tuple[int, int, int]  # chromosomes, and key, of the first and the last row
    last: tuple[int, int, int]
    ordered: bool


def _look(
    rows: PairRows, unit_offset: NDArray[np.int64], blocks: list[tuple[int, int, int]]
) -> _Seen:
    """Digest of rows, and whether they are sorted and lie in the blocks, (chrom1, chrom2, rows)."""
    first, second, count = rows()
    key = (first.astype(np.int64) << 32) | second
    ordered, lo = bool((first <= second).all()), 0
    for *block, size in blocks:
        part = slice(lo, lo + size)
        ordered &= bool((key[part][1:] > key[part][:-1]).all())
        for chrom, units in zip(block, (first[part], second[part]), strict=True):
            start, stop = unit_offset[chrom : chrom + 2]
            ordered &= bool(start <= units.min() and units.max() < stop)
        lo += size
    ends = [(block[0], block[1], int(key[k])) for k, block in ((0, blocks[0]), (-1, blocks[-1]))]
    return _Seen(digest_rows(first, second, count), ends[0], ends[1], ordered)


def verify_pairs(store: PairStore, unit_offset: NDArray[np.int64], *, silent: bool = False) -> str:
    """Read all rows; check their order and their blocks; return the token of what was read.

    Raises
    ------
    StoreError
        If rows cannot be read, are not sorted, repeated, or not in the block they should be in.
    """
    task, shared = dask.delayed(_look, pure=True), dask.delayed(unit_offset)
    spans = shard_rows(len(store))
    jobs = [task(store.rows_of(lo, hi), shared, _blocks_within(store, lo, hi)) for lo, hi in spans]
    seen = run(jobs, title="verifying pairs", silent=silent)
    for (lo, hi), part, former in zip(spans, seen, [None, *seen], strict=False):
        if not part.ordered or (former is not None and former.last >= part.first):
            raise StoreError(
                f"the rows {lo:,} to {hi:,} of the pairs are not in order; the store is damaged, "
                "make it again"
            )
    return pairs_token(
        block_chrom1=store.block_chrom1,
        block_chrom2=store.block_chrom2,
        block_offset=store.block_offset,
        stats=store.stats,
        insert_distribution=store.insert_distribution,
        sums=np.array([part.sums for part in seen]).reshape(-1, 2).sum(axis=0, dtype=np.uint64),
    )


def _blocks_within(store: PairStore, lo: int, hi: int) -> list[tuple[int, int, int]]:
    """Chromosomes, and number of rows between `lo` and `hi`, of the blocks that have some."""
    edges = store.block_offset
    found = range(int(np.searchsorted(edges, lo, "right")) - 1, int(np.searchsorted(edges, hi)))
    return [
        (
            int(store.block_chrom1[k]),
            int(store.block_chrom2[k]),
            int(min(hi, edges[k + 1]) - max(lo, edges[k])),
        )
        for k in found
    ]
