"""The reads of a tile: sorted, de-duplicated, assigned, filtered, counted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hifive_dask._kernels.reads import COUNTERS, EndTables, assign_pairs, count_runs
from hifive_dask._store.atomic import save_array
from hifive_dask._store.pairs import tile_file
from hifive_dask.schema import MARKED

__all__ = [
    "END_LIMIT",
    "INSERT_EDGES",
    "PARTIAL_META",
    "UNKNOWN_BLOCK",
    "Dedup",
    "Grouped",
    "Report",
    "TileCounter",
    "as_frame",
    "lost_key",
    "runs_of",
    "tiles_of",
]

Dedup = Literal["library", "file", "none"]
Report = list[tuple[str, int, int, int]]  # rows of `PARTIAL_META`
Int64 = NDArray[np.int64]

INSERT_EDGES: NDArray[np.int64] = np.round(np.exp(3.8 + 0.05 * np.arange(181))).astype(np.int64)
END_LIMIT = 300  # bp: largest distance from a cut of the histogram of 5' ends
# Rows of this block carry numbers of reads that lie on no chromosome, or no unit, or are marked.
UNKNOWN_BLOCK = -1
_LOST = ("chr_not_in_fends", *MARKED)
_FILE_BITS = 15  # of the number of a file, below a block
_LOST_SHIFT = 48  # of the place in `_LOST` in the key, above the number of reads

# What a tile reports, one number a row. `kind`: the statistic's name, "insert" (a = histogram row),
# "end" (a = histogram row, b = strand), or "rows" (a = tile, b = block). The counted pairs
# themselves wait in a file.
PARTIAL_META = pd.DataFrame(
    {
        "kind": pd.Series([], dtype=object),
        "a": pd.Series([], dtype=np.int64),
        "b": pd.Series([], dtype=np.int64),
        "value": pd.Series([], dtype=np.int64),
    }
)


class Grouped(NamedTuple):
    """Read pairs of a tile, sorted inside groups: a block, or the reads of a file in a block.

    Parameters
    ----------
    keys
        uint64.
    group
        int64 (G + 1): row ranges inside which equal keys are duplicates.
    label
        int64 (G): block of every group, above that of its file if each has its own duplicates
    """

    keys: NDArray[np.uint64]
    group: Int64
    label: Int64


@dataclass(frozen=True)
class TileCounter:
    """Counts the pairs of one shuffled partition, tile by tile.

    Parameters
    ----------
    tables
        Intervals of the genome.
    chromosomes
        Their number C; a block is ``chrom1 * C + chrom2``.
    maxinsert
        bp, or None.
    dedup
        Over what reads with equal ends count once.
    fend_bin
        int32: bin of every fend, if pairs are to be counted in bins though filtered on fends.
    directory
        Where the counted rows of every tile go, as int32 (3, rows).
    """

    __name__: ClassVar[str] = "count_tiles"  # of its tasks on the dashboard

    tables: EndTables
    chromosomes: int
    maxinsert: int | None
    dedup: Dedup
    fend_bin: NDArray[np.int32] | None
    directory: str

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        report: Report = []
        for tile, part in tiles_of(frame):
            grouped, lost = self.group(part)
            report += [*lost, *self.count(tile, grouped)]
        return as_frame(report)

    def group(self, frame: pd.DataFrame) -> tuple[Grouped, Report]:
        """Sort the reads of a tile inside groups; report apart those that were left out."""
        keys = frame["key"].to_numpy()
        label = frame["block"].to_numpy()
        if "file" in frame:
            label = label.astype(np.int64) << _FILE_BITS | frame["file"].to_numpy()
        if label.min() != label.max():
            order = np.argsort(label, kind="stable")
            keys, label = keys[order], label[order]
        else:
            keys = keys.copy()
        group = np.array([0, *(hi for _, hi in runs_of(label))], dtype=np.int64)
        for lo, hi in itertools.pairwise(group):
            keys[lo:hi].sort()
        label = label[group[:-1]].astype(np.int64)
        lost: Report = []
        if label[0] < 0:
            lost = [_read_lost(int(key)) for key in keys[: group[1]]]
            keys, group, label = keys[group[1] :], group[1:] - group[1], label[1:]
        return Grouped(keys, group, label), lost

    def chromosomes_of(self, label: NDArray[np.int64]) -> tuple[Int64, Int64]:
        """Chromosomes of groups."""
        block = self._block_of(label)
        return block // self.chromosomes, block % self.chromosomes

    def _block_of(self, label: NDArray[np.int64]) -> Int64:
        return label if self.dedup == "library" else label >> _FILE_BITS

    def count(self, tile: int, grouped: Grouped) -> Report:
        """Count one tile, write its rows, and return its numbers."""
        found = assign_pairs(
            self.tables,
            grouped.keys,
            grouped.group,
            *self.chromosomes_of(grouped.label),
            maxinsert=self.maxinsert,
            keep_duplicates=self.dedup == "none",
            edges=INSERT_EDGES,
            limit=END_LIMIT,
        )
        rows, numbers = self._count_blocks(found.codes, found.ends, self._block_of(grouped.label))
        save_array(tile_file(self.directory, tile), rows)
        counters = zip(COUNTERS, found.counters.tolist(), strict=True)
        report: Report = [(name, 0, 0, n) for name, n in counters if n]
        inserts = np.flatnonzero(found.histogram)
        report += [("insert", int(row), 0, int(found.histogram[row])) for row in inserts]
        for strand, row in np.argwhere(found.cuts).tolist():
            report.append(("end", row, strand, int(found.cuts[strand, row])))
        return report + [(kind, tile, block, n) for kind, block, n in numbers]

    def _count_blocks(
        self, codes: NDArray[np.uint64], ends: NDArray[np.int64], owner: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], list[tuple[str, int, int]]]:
        """Count equal pairs of units; rows are in the order of the blocks."""
        runs = np.array(list(runs_of(owner)), dtype=np.int64).reshape(-1, 2)
        blocks, edges = owner[runs[:, 0]], np.r_[0, ends[runs[:, 1] - 1]]
        rows, number = _count_parts(codes, edges)
        kinds = np.where(
            blocks // self.chromosomes == blocks % self.chromosomes,
            "valid_cis_pairs",
            "valid_trans_pairs",
        )
        numbers = list(zip(kinds.tolist(), blocks.tolist(), number.tolist(), strict=True))
        if self.fend_bin is not None:
            first, second = (self.fend_bin[unit].astype(np.uint64) for unit in rows[:2])
            binned = np.repeat((first << np.uint64(32)) | second, rows[2])
            rows, number = _count_parts(binned, edges)
        held = zip(blocks[number > 0].tolist(), number[number > 0].tolist(), strict=True)
        return rows, numbers + [("rows", block, n) for block, n in held]


def _count_parts(
    codes: NDArray[np.uint64], edges: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Sort codes between edges, in place, and count equal ones: rows, and their number in each.

    There can be as many parts as reads; parts have no code in common.
    """
    for lo, hi in itertools.pairwise(edges.tolist()):
        if hi - lo > 1:
            codes[lo:hi].sort()
    rows = np.stack(count_runs(codes))
    ends = np.cumsum(rows[2], dtype=np.int64)
    return rows, np.diff(np.searchsorted(ends, edges, "right"))


def tiles_of(frame: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield the tiles of a shuffled partition, in order, and their rows."""
    if len(frame):
        tiles = frame["tile"].to_numpy()
        if tiles.min() != tiles.max():
            order = np.argsort(tiles, kind="stable")
            frame, tiles = frame.iloc[order], tiles[order]
        for lo, hi in runs_of(tiles):
            yield int(tiles[lo]), frame.iloc[lo:hi]


def as_frame(report: Report) -> pd.DataFrame:
    """A report as a partition of `PARTIAL_META`."""
    return pd.DataFrame(report, columns=list(PARTIAL_META)).astype(PARTIAL_META.dtypes)


def lost_key(name: str, reads: int) -> int:
    """Key of a row that carries the number of reads of a statistic that were left out."""
    return _LOST.index(name) << _LOST_SHIFT | reads


def _read_lost(key: int) -> tuple[str, int, int, int]:
    return _LOST[key >> _LOST_SHIFT], 0, 0, key & (1 << _LOST_SHIFT) - 1


def runs_of(values: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Yield the half-open ranges of equal consecutive values."""
    if len(values):
        edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
        yield from itertools.pairwise(edges)
