"""Tiles: consecutive pieces of the sort order of the pair store, about equally full.

A tile is what one task sorts and counts. The order (chromosome1, chromosome2, position1) is mapped
to a growing weight, the expected share of reads if cis and trans reads were each spread evenly, and
the weight is cut at whole numbers. Nothing depends on the data but the size of the input, and no
table is as large as the number of pairs of chromosomes, so that assemblies of many thousand contigs
work too. A unit (fragment or bin) is never cut.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.reads import EndTables, TileTables
from hifive_dask.genome.partition import Partition

__all__ = ["end_tables", "tile_tables"]

_CELLS = 1 << 16  # granularity of tile borders over the genome


def end_tables(partition: Partition) -> EndTables:
    """Intervals (start, stop] in 1-based positions that read ends are looked up in."""
    fends = partition.fends
    if fends is not None:
        # Fragment k owns fends 2k and 2k + 1: 1-based p lies in it if start < p <= stop.
        start, stop, offset = fends.start[0::2], fends.stop[1::2], fends.offset // 2
    else:
        bins = partition.units
        start, stop, offset = bins.start, bins.stop, bins.offset
    return EndTables(
        start.astype(np.int64), stop.astype(np.int64), offset.astype(np.int64), fends is not None
    )


def _borders(
    partition: Partition, tables: EndTables
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Last positions to the left of a border between units, and their offsets per chromosome."""
    if partition.fends is None or partition.bins is None:
        return tables.start, tables.offset
    # A border must separate bins too, and bins are assigned by fend midpoints.
    left, right = partition.fend_bin[0::2], partition.fend_bin[1::2]
    keep = np.ones(len(left), dtype=bool)
    keep[1:] = left[1:] != right[:-1]
    return tables.start[keep], np.r_[0, np.cumsum(keep)][tables.offset]


def tile_tables(partition: Partition, tables: EndTables, tiles: int) -> TileTables:
    """Plan about `tiles` tiles for cis and as many for trans reads."""
    offset = tables.offset
    length = np.ones(len(offset) - 1)
    filled = np.diff(offset) > 0
    length[filled] = tables.stop[offset[1:][filled] - 1]
    bits = max(0, int(np.ceil(np.log2(max(1.0, length.sum() / _CELLS)))))
    cells = np.maximum(1, np.ceil(length / 2**bits)).astype(np.int64)
    cell_offset = np.r_[0, np.cumsum(cells)]
    border, border_offset = _borders(partition, tables)
    last = np.empty(cell_offset[-1], dtype=np.int64)
    start = np.empty(cell_offset[-1], dtype=np.float64)
    for c, (lo, hi) in enumerate(itertools.pairwise(cell_offset)):
        nominal = np.arange(1, hi - lo + 1) * 2**bits
        own = border[border_offset[c] : border_offset[c + 1]]
        found = np.searchsorted(own, nominal, "left")
        last[lo:hi] = np.r_[own, 2**40][found]
        start[lo:hi] = np.arange(hi - lo) * 2.0**bits
    before = np.r_[0.0, np.cumsum(length)]
    total = before[-1]
    # Trans reads of chromosome c with later ones: share of c x later in all such products.
    product = length * (total - before[1:])
    trans = product / product.sum() * total if product.sum() > 0 else product
    return TileTables(
        bits,
        cell_offset,
        last,
        start,
        length,
        before,
        before,
        np.r_[0.0, np.cumsum(trans)],
        tiles / total,
    )
