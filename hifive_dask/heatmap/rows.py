"""Which rows of the pair store a part of a heatmap needs, whatever the number of chromosomes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hifive_dask._store.pairs import CHUNK, PairRows, PairStore
from hifive_dask.heatmap.axes import Stretch
from hifive_dask.model.rows import RowRanges, divide_rows, join_ranges

__all__ = ["RowFinder"]


@dataclass(frozen=True)
class RowFinder:
    """Finds rows of a pair store: as few as its blocks and its zone map allow."""

    store: PairStore

    def between(self, one: Stretch, two: Stretch, *, trans: bool = False) -> RowRanges:
        """Rows that can hold a pair of a unit of `one` and a unit of `two`; all or `trans` only."""
        found = [self._lower_in(one, two, trans)]
        if one.first != two.first or len(one) != len(two):
            found.append(self._lower_in(two, one, trans))
        return join_ranges(*np.concatenate(found, axis=1))

    def beginning(self, one: Stretch, two: Stretch) -> RowRanges:
        """Rows that can hold a pair whose lower unit is in `one`, and the other one in `two`."""
        return join_ranges(*self._lower_in(one, two, False))

    def readers(self, rows: RowRanges) -> list[list[PairRows]]:
        """Readers of all these rows, each list of about `SPAN` rows: what one task reads."""
        return [[self.store.rows_of(*span) for span in group] for group in divide_rows(rows)]

    @cached_property
    def _keys(self) -> NDArray[np.int64]:
        """int64 (blocks): both chromosomes in one sorted number."""
        return self._key(self.store.block_chrom1, self.store.block_chrom2)

    @staticmethod
    def _key(chrom1: NDArray[np.int32], chrom2: NDArray[np.int32]) -> NDArray[np.int64]:
        return chrom1.astype(np.int64) << 32 | chrom2

    def _lower_in(self, one: Stretch, two: Stretch, trans: bool) -> NDArray[np.int64]:
        """int64 (2, ranges): of rows with the first unit in `one` and the second in `two`."""
        lo, hi = one.first, min(one.stop, two.stop)
        if lo >= hi or not len(two):
            return np.zeros((2, 0), dtype=np.int64)
        chrom = np.arange(one.chrom[0], one.chrom[hi - lo - 1] + 1)
        first, last = (np.full_like(chrom, two.chrom[k]) for k in (0, -1))
        begin = np.searchsorted(self._keys, self._key(chrom, first), "left")
        end = np.searchsorted(self._keys, self._key(chrom, last), "right")
        blocks = np.concatenate([np.arange(a, b) for a, b in zip(begin, end, strict=True)])
        if trans:
            blocks = blocks[self.store.block_chrom1[blocks] != self.store.block_chrom2[blocks]]
        rows = np.stack([self.store.block_offset[blocks], self.store.block_offset[blocks + 1]])
        # The zone map tells more of the few blocks that lie in more than one chunk.
        for k in np.flatnonzero(rows[0] // CHUNK != (rows[1] - 1) // CHUNK):
            block = blocks[k]
            pair = int(self.store.block_chrom1[block]), int(self.store.block_chrom2[block])
            rows[:, k] = self.store.find_rows(*pair, lo, hi)
        return rows[:, rows[0] < rows[1]]
