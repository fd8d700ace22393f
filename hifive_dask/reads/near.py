"""Duplicates within a few bp, which lie on both sides of a border between tiles too.

::

    sorted keys of a tile --> sets of duplicates --> the first of each, in a file
                                                 --> those near a border, in another
    files of all borders  --> sets over borders  --> those that are no longer the first
    file of a tile, without these --> counted rows, as of tiles without mismatch

Reads of two tiles can only be joined through reads near the border between them, so the sets of
these are all that has to be known of other tiles. Besides what a load holds anyway, that takes 8
bytes per read pair in temporary files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import dask
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask._kernels.duplicates import near_border, near_sets
from hifive_dask._kernels.reads import TileTables
from hifive_dask._store.atomic import save_array
from hifive_dask._store.places import load_array
from hifive_dask.reads.count import Grouped, Report, TileCounter, as_frame, tiles_of

__all__ = ["NearSifter", "count_sifted"]

_SIFTED = "sifted"  # kind of the row of a report that names a tile

# Reads near borders: tile, group, key, and the key of the first one of their set in their tile.
_BORDER = np.dtype([("tile", np.int64), ("label", np.int64), ("key", "u8"), ("first", "u8")])


@dataclass(frozen=True)
class NearSifter:
    """Finds the duplicates within the tiles of one shuffled partition.

    Parameters
    ----------
    counter
        Counts a tile.
    order
        How the sort order is cut into tiles.
    mismatch
        bp.
    """

    __name__: ClassVar[str] = "sift_tiles"  # of its tasks on the dashboard

    counter: TileCounter
    order: TileTables
    mismatch: int

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        report: Report = []
        for tile, part in tiles_of(frame):
            grouped, lost = self.counter.group(part)
            report += [*lost, *self._sift(tile, grouped)]
        return as_frame(report)

    def _sift(self, tile: int, grouped: Grouped) -> Report:
        """Write the first of every set, and the reads near borders; report duplicates."""
        total = len(grouped.keys)
        distinct = _distinct(grouped)
        keys, group, label = distinct.keys, distinct.group, distinct.label
        sets = near_sets(keys, group, self.mismatch)
        first = sets == np.arange(len(keys))
        chrom1, chrom2 = self.counter.chromosomes_of(label)
        near = near_border(self.order, keys, group, chrom1, chrom2, tile, self.mismatch)
        border = np.empty(int(near.sum()), dtype=_BORDER)
        border["tile"], border["label"] = tile, np.repeat(label, np.diff(group))[near]
        border["key"], border["first"] = keys[near], keys[sets[near]]
        directory = self.counter.directory
        save_array(_border_file(directory, tile), border)
        kept = _select(distinct, first)
        _write(directory, tile, kept)
        report: Report = [("pcr_duplicates", 0, 0, total - len(kept.keys))]
        return [*report, (_SIFTED, tile, 0, len(border))]

    def count(self, tile: int, dropped: NDArray[np.void]) -> Report:
        """Count a tile from its file, without those of its reads that sets over borders drop."""
        kept = _read(self.counter.directory, tile)
        own = dropped[dropped["tile"] == tile]
        if len(own):
            stays = np.ones(len(kept.keys), dtype=bool)
            for label, first in zip(own["label"], own["first"], strict=True):
                g = int(np.searchsorted(kept.label, label))
                lo, hi = kept.group[g : g + 2]
                stays[lo + np.searchsorted(kept.keys[lo:hi], first)] = False
            kept = _select(kept, stays)
        return [("pcr_duplicates", 0, 0, len(own)), *self.counter.count(tile, kept)]


def count_sifted(sifter: NearSifter, report: pd.DataFrame, silent: bool) -> pd.DataFrame:
    """Join the sets of tiles over their borders, and count all tiles; returns the whole report.

    Parameters
    ----------
    sifter
        That made the report.
    report
        Of all partitions.
    silent
        No progress bar.
    """
    named = report["kind"] == _SIFTED
    found = report[named].sort_values("a")
    with_border = found.loc[found["value"] > 0, "a"].tolist()
    paths = [_border_file(sifter.counter.directory, tile) for tile in with_border]
    dropped = dask.delayed(_join_borders, pure=False)(paths, sifter.mismatch)
    task = dask.delayed(sifter.count, pure=False)
    counted = run([task(tile, dropped) for tile in found["a"].tolist()],
                  title="counting reads", silent=silent)  # fmt: skip
    return pd.concat([report[~named], *map(as_frame, counted)], ignore_index=True)


def _join_borders(paths: Sequence[str], mismatch: int) -> NDArray[np.void]:
    """Find sets over borders; returns the first reads of tiles that are not the first of all."""
    reads = np.concatenate([load_array(path) for path in paths] or [np.empty(0, dtype=_BORDER)])
    reads = reads[np.lexsort((reads["key"], reads["label"]))]
    starts = np.flatnonzero(np.r_[True, np.diff(reads["label"]) != 0][: len(reads)])
    group = np.r_[starts, len(reads)].astype(np.int64)
    # The reads of a set in a tile are one set here, too; the first of them stands for it.
    order = np.lexsort((reads["first"], reads["label"], reads["tile"]))
    fresh = np.ones(len(reads), dtype=bool)
    fresh[1:] = np.logical_or.reduce(
        [np.diff(reads[name][order]) != 0 for name in ("tile", "label", "first")]
    )
    of_tiles = order[fresh]
    parent = np.empty(len(reads), dtype=np.int64)
    parent[order] = of_tiles[np.cumsum(fresh) - 1]
    sets = near_sets(reads["key"].copy(), group, mismatch, parent)
    # The first of all is the lowest of the first ones, which need not be near a border.
    lowest = np.full(len(reads), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(lowest, sets, reads["first"])
    later = reads["first"][of_tiles] != lowest[sets[of_tiles]]
    dropped: NDArray[np.void] = reads[of_tiles[later]]
    return dropped


def _distinct(grouped: Grouped) -> Grouped:
    """Every key of a group once."""
    keys = grouped.keys
    fresh = np.ones(len(keys), dtype=bool)
    fresh[1:] = keys[1:] != keys[:-1]
    starts = grouped.group[:-1]
    fresh[starts[starts < len(keys)]] = True
    return _select(grouped, fresh)


def _select(grouped: Grouped, chosen: NDArray[np.bool_]) -> Grouped:
    group = np.r_[0, np.cumsum(chosen)][grouped.group].astype(np.int64)
    return Grouped(grouped.keys[chosen], group, grouped.label)


# Files of a tile


def _border_file(directory: str, tile: int) -> str:
    return f"{directory}/border-{tile}.npy"


def _write(directory: str, tile: int, grouped: Grouped) -> None:
    parts = ([len(grouped.label)], grouped.group, grouped.label)
    head = np.concatenate(parts).astype(np.int64).view(np.uint64)
    save_array(f"{directory}/sifted-{tile}.npy", np.concatenate([head, grouped.keys]))


def _read(directory: str, tile: int) -> Grouped:
    data = load_array(f"{directory}/sifted-{tile}.npy")
    groups = int(data[0])
    group, label, keys = np.split(data[1:], [groups + 1, 2 * groups + 1])
    return Grouped(keys, group.astype(np.int64), label.astype(np.int64))
