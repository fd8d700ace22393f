"""What the tiles of a load report, added up; and their counted rows, joined into a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dask
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask._store.pairs import (
    RowFile,
    create_pairs,
    finish_pairs,
    pairs_token,
    shard_rows,
    tile_file,
    write_shard,
)
from hifive_dask._store.places import Location
from hifive_dask.provenance import History
from hifive_dask.reads.count import END_LIMIT, INSERT_EDGES
from hifive_dask.schema import MARKED, STATISTICS

__all__ = ["Counted", "no_ends", "write_counted"]

_FATES = (*STATISTICS[1:9], *MARKED[:3])  # what all reads are the sum of


@dataclass(frozen=True)
class Counted:
    """The sum of what tiles report.

    Parameters
    ----------
    stats
        Reads, or pairs, by name of the statistic.
    insert
        int64 (182, 2): distinct read pairs, lower edge in bp.
    ends
        int64 (601, 3): 5' ends on the plus and on the minus strand, place relative to the nearest
        cut in bp; without rows if there are none.
    tiles
        (tile, rows), tiles in order.
    blocks
        (block, rows), blocks in order.
    """

    stats: dict[str, int]
    insert: NDArray[np.int64]
    ends: NDArray[np.int64]
    tiles: list[tuple[int, int]]
    blocks: list[tuple[int, int]]

    @classmethod
    def gather(cls, report: pd.DataFrame, *, duplicates_lost: bool) -> Counted:
        """Add up reports; `duplicates_lost` says whether those found are part of all reads.

        Reports tell those found and those marked apart; of the statistics, the former hold both.
        """
        totals: Counter[str] = Counter()
        insert = np.zeros((len(INSERT_EDGES) + 1, 2), dtype=np.int64)
        insert[1:, 1] = INSERT_EDGES
        ends = no_ends()
        tiles: Counter[int] = Counter()
        blocks: Counter[int] = Counter()
        sums = report.groupby(["kind", "a", "b"], as_index=False)["value"].sum()
        for kind, a, b, value in zip(*(sums[column].tolist() for column in sums), strict=True):
            if kind == "insert":
                insert[a, 0] += value
            elif kind == "end":
                ends[a, b] += value
            elif kind == "rows":
                tiles[a] += value
                blocks[b] += value
            else:
                totals[kind] += value
        found, marked = totals["pcr_duplicates"], totals["marked_duplicates"]
        totals["pcr_duplicates"] += marked
        stats = {name: int(totals[name]) for name in (*STATISTICS, *MARKED)}
        stats["total_reads"] = sum(stats[name] for name in _FATES)
        if not duplicates_lost:
            stats["total_reads"] -= int(found)
        if not ends[:, :2].any():
            ends = ends[:0]
        return cls(stats, insert, ends, sorted(tiles.items()), sorted(blocks.items()))


def no_ends() -> NDArray[np.int64]:
    """int64 (601, 3): histogram of 5' ends without any."""
    ends = np.zeros((2 * END_LIMIT + 1, 3), dtype=np.int64)
    ends[:, 2] = np.arange(-END_LIMIT, END_LIMIT + 1)
    return ends


def write_counted(
    target: Location,
    counted: Counted,
    chromosomes: int,
    spill: str,
    history: History,
    attributes: Mapping[str, Any],
    silent: bool,
) -> None:
    """Join the counted rows of the tiles, which wait in files of `spill`, into a new store.

    Parameters
    ----------
    target
        Path of the store; it must not exist.
    counted
        Sum of the reports.
    chromosomes
        Their number C; a block is ``chrom1 * C + chrom2``.
    spill
        Directory of the files of tiles, a path or URL.
    history, attributes
        Recorded in the store.
    silent
        No progress bar.
    """
    files = _files(counted.tiles, spill)
    rows = files[-1].hi if files else 0
    create_pairs(target, rows)
    task = dask.delayed(write_shard, pure=False)
    results = run(
        [
            task(str(target), lo, hi, [f for f in files if f.lo < hi and lo < f.hi])
            for lo, hi in shard_rows(rows)
        ],
        title="writing pairs",
        silent=silent,
    )
    block = np.array([block for block, _ in counted.blocks], dtype=np.int64)
    offset = np.r_[0, np.cumsum([rows for _, rows in counted.blocks])].astype(np.int64)
    content: dict[str, Any] = {
        "block_chrom1": block // chromosomes,
        "block_chrom2": block % chromosomes,
        "block_offset": offset,
        "stats": counted.stats,
        "insert_distribution": counted.insert,
    }
    sums = np.stack([digest for _, digest in results]).sum(axis=0, dtype=np.uint64)
    finish_pairs(
        target,
        **content,
        zone_map=np.concatenate([zone for zone, _ in results]),
        end_distribution=counted.ends,
        token=pairs_token(**content, sums=sums),
        history=history,
        attributes=attributes,
    )


def _files(tiles: Sequence[tuple[int, int]], spill: str) -> list[RowFile]:
    """Where the rows of every tile go in the store; tiles are in order."""
    edges = np.r_[0, np.cumsum([rows for _, rows in tiles])]
    return [
        RowFile(tile_file(spill, tile), int(lo), int(hi))
        for (tile, _), lo, hi in zip(tiles, edges[:-1], edges[1:], strict=True)
    ]
