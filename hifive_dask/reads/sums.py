"""Counted pairs of a tile: added up, cleaned of impossible ones, counted in bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hifive_dask._kernels.reads import possible_rows, sum_runs
from hifive_dask._store.atomic import save_array
from hifive_dask._store.pairs import tile_file
from hifive_dask.errors import InputError
from hifive_dask.reads.count import PARTIAL_META, UNKNOWN_BLOCK, Report, runs_of
from hifive_dask.reads.source import MOST_READS

__all__ = ["PairCounter"]

_LOST = ("chr_not_in_fends", "out_of_bounds")  # by the keys of `UNKNOWN_BLOCK`


@dataclass(frozen=True)
class PairCounter:
    """Adds up the pairs of one shuffled partition, tile by tile.

    Parameters
    ----------
    chromosomes
        Their number C; a block is ``chrom1 * C + chrom2``.
    in_fends
        Whether units are fends, of which some pairs cannot be.
    fend_bin
        int32: bin of every fend, if pairs of fends are to be counted in bins.
    directory
        Where the rows of every tile go, as int32 (3, rows).
    """

    __name__: ClassVar[str] = "add_tiles"  # of its tasks on the dashboard

    chromosomes: int
    in_fends: bool
    fend_bin: NDArray[np.int32] | None
    directory: str

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        report: Report = []
        if len(frame):
            frame = frame.sort_values(["tile", "block"], kind="stable")
            for lo, hi in runs_of(frame["tile"].to_numpy()):
                report += self._count_tile(frame.iloc[lo:hi])
        return pd.DataFrame(report, columns=list(PARTIAL_META)).astype(PARTIAL_META.dtypes)

    def _count_tile(self, frame: pd.DataFrame) -> Report:
        """Add up one tile, write its rows, and return its numbers."""
        tile = int(frame["tile"].iloc[0])
        blocks, keys = frame["block"].to_numpy(), frame["key"].to_numpy()
        counts = frame["count"].to_numpy()
        report: Report = []
        columns = []
        for lo, hi in runs_of(blocks):
            block = int(blocks[lo])
            if block == UNKNOWN_BLOCK:
                lost = zip(keys[lo:hi], counts[lo:hi], strict=True)
                report += [(_LOST[int(key)], 0, 0, int(n)) for key, n in lost]
                continue
            rows = self._clean(sum_runs(keys[lo:hi], counts[lo:hi]), block, report)
            if self.fend_bin is not None:
                first, second = (self.fend_bin[unit].astype(np.uint64) for unit in rows[:2])
                rows = sum_runs((first << np.uint64(32)) | second, rows[2])
            if len(rows[0]):
                report.append(("rows", tile, block, len(rows[0])))
                columns.append(_narrow(*rows))
        joined = np.concatenate(columns, axis=1) if columns else np.zeros((3, 0), dtype=np.int32)
        save_array(tile_file(self.directory, tile), joined)
        return report

    def _clean(
        self,
        rows: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]],
        block: int,
        report: Report,
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
        """Rows that can be; reports the reads of all."""
        cis = block // self.chromosomes == block % self.chromosomes
        if cis and self.in_fends:
            first, second, count = rows
            kept = possible_rows(first, second)
            same = first // 2 == second // 2
            report.append(("same_fragment", 0, 0, int(count[same].sum())))
            report.append(("failed_cut", 0, 0, int(count[~kept & ~same].sum())))
            rows = first[kept], second[kept], count[kept]
        kind = "cis" if cis else "trans"
        report.append((f"valid_{kind}_reads", 0, 0, int(rows[2].sum())))
        report.append((f"valid_{kind}_pairs", 0, 0, len(rows[0])))
        return rows


def _narrow(
    first: NDArray[np.int32], second: NDArray[np.int32], count: NDArray[np.int64]
) -> NDArray[np.int32]:
    if count.max() > MOST_READS:
        k = int(count.argmax())
        raise InputError(
            f"the pair of fends or bins {first[k]} and {second[k]} has {count[k]:,} reads, "
            "more than "
            f"{MOST_READS:,}, the most that a store can hold"
        )
    return np.stack([first, second, count.astype(np.int32)])
