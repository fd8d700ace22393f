"""Read pairs to a pair store: read, shuffle by genome tile, count, write.

::

    jobs of a source --from_map--> read pairs (tile, block, key) --shuffle--> tiles --> counted rows
    counted rows --> shards of the store

The shuffle is the engine's own: through disk without a client, peer to peer with one. Memory per
worker thread: one block of text with its columns, or one tile of reads; it does not grow with the
number of reads. Temporary files lie beside the store: 16 bytes per read, and 12 per counted pair;
if it is at a URL, only the latter do, and the former are local.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask._kernels.reads import (
    TileTables,
    block_dtype,
    encode_pairs,
    encode_units,
)
from hifive_dask._store.atomic import temporary_beside
from hifive_dask._store.places import Location, absolute, is_remote, place
from hifive_dask.errors import ParameterError
from hifive_dask.genome.partition import Partition
from hifive_dask.provenance import History
from hifive_dask.reads.count import PARTIAL_META, UNKNOWN_BLOCK, Dedup, TileCounter, lost_key
from hifive_dask.reads.diagnose import check_fit
from hifive_dask.reads.gather import Counted, write_counted
from hifive_dask.reads.near import NearSifter, count_sifted
from hifive_dask.reads.source import CountJob, CountSource, ReadJob, ReadSource
from hifive_dask.reads.sums import PairCounter
from hifive_dask.reads.tiles import end_tables, tile_tables

__all__ = ["load_counts", "load_reads", "spill_beside"]

_TILE_READS = 1 << 20  # read pairs per tile, about


@dataclass(frozen=True)
class _Reader:
    """Turns a job into the rows that are shuffled."""

    __name__: ClassVar[str] = "read_pairs"  # of its tasks on the dashboard

    chromosomes: Mapping[str, int]
    tiles: TileTables
    by_file: bool

    def __call__(self, job: ReadJob) -> pd.DataFrame:
        ends = job(self.chromosomes)
        tile, owner, key = encode_pairs(self.tiles, *ends[:6])
        lost = [lost_key(name, reads) for name, reads in ends.left_out.items() if reads]
        columns = {
            "tile": np.r_[tile, np.zeros(len(lost), dtype=np.int32)],
            "block": np.r_[owner, np.full(len(lost), UNKNOWN_BLOCK, dtype=owner.dtype)],
            "key": np.r_[key, np.array(lost, dtype=np.uint64)],
        }
        if self.by_file:
            columns["file"] = np.full(len(columns["key"]), job.number, dtype=np.int16)
            columns["file"][len(key) :] = 0
        return pd.DataFrame(columns, copy=False)

    @property
    def meta(self) -> pd.DataFrame:
        extra = {"file": np.int16} if self.by_file else {}
        return _meta(len(self.chromosomes), extra)


@dataclass(frozen=True)
class _CountReader:
    """Turns a job of counted pairs into the rows that are shuffled."""

    __name__: ClassVar[str] = "read_counts"  # of its tasks on the dashboard

    tiles: TileTables
    chromosome: NDArray[np.int32]
    position: NDArray[np.int64]

    def __call__(self, job: CountJob) -> pd.DataFrame:
        pairs = job()
        tile, block, key = encode_units(self.tiles, self.chromosome, self.position, *pairs[:2])
        lost = [(k, n) for k, n in enumerate((pairs.unknown, pairs.outside)) if n]
        columns = {
            "tile": np.r_[tile, np.zeros(len(lost), dtype=np.int32)],
            "block": np.r_[block, np.full(len(lost), UNKNOWN_BLOCK, dtype=block.dtype)],
            "key": np.r_[key, np.array([k for k, _ in lost], dtype=np.uint64)],
            "count": np.r_[pairs.reads, np.array([n for _, n in lost], dtype=np.int64)],
        }
        return pd.DataFrame(columns, copy=False)

    @property
    def meta(self) -> pd.DataFrame:
        return _meta(len(self.tiles.length), {"count": np.int64})


def _meta(chromosomes: int, extra: Mapping[str, Any]) -> pd.DataFrame:
    dtypes = {"tile": np.int32, "block": block_dtype(chromosomes), "key": np.uint64, **extra}
    return pd.DataFrame({name: pd.Series([], dtype=t) for name, t in dtypes.items()})


def load_reads(
    target: Location,
    partition: Partition,
    source: ReadSource,
    *,
    maxinsert: int | None,
    dedup: Dedup,
    mismatch: int = 0,
    history: History,
    call: tuple[str, Mapping[str, Any]],
    attributes: Mapping[str, Any],
    silent: bool = False,
    tiles: int | None = None,
) -> dict[str, int]:
    """Count read pairs into a new Zarr pair store at `target`.

    Parameters
    ----------
    target
        Path of the store; it must not exist (callers write beside and rename).
    partition
        The genome.
    source
        The files.
    maxinsert
        bp; None for no filter.
    dedup
        What reads with equal ends count once in: the library (all files), each file, or none.
    mismatch
        bp by which both ends of duplicates may differ.
    history, call, attributes
        Recorded in the store; `call` is the name and arguments of the user's call.
    silent
        No progress bar.
    tiles
        Number of tiles, by default from the size of the files. The result does not depend on it.

    Returns
    -------
    The read statistics.

    Raises
    ------
    InputError
        For a missing, damaged or faulty file, or if under 1 % of the read pairs were accepted.

    Warns
    -----
    InputWarning
        If many reads are on unknown chromosomes, nearly all are rejected for one reason, or the cut
        sites seem to be wrong.
    """
    if maxinsert is not None and maxinsert < 0:
        raise ParameterError(f"maxinsert is {maxinsert}, expected bp >= 0, or None for no filter")
    if dedup not in ("library", "file", "none"):
        raise ParameterError(f"dedup is {dedup!r}, expected 'library', 'file' or 'none'")
    _check_mismatch(mismatch, dedup)
    chromosomes = {name: k for k, name in enumerate(partition.chromosomes)}
    with spill_beside(target) as spill:
        jobs = source.prepare(spill.files, silent)
        ends = end_tables(partition)
        order = tile_tables(partition, ends, tiles or max(1, source.reads // _TILE_READS))
        reader = _Reader(chromosomes, order, dedup != "library")
        bins = _fend_bins(partition, in_fends=partition.fends is not None)
        counter = TileCounter(ends, len(chromosomes), maxinsert, dedup, bins, spill.tiles)
        if mismatch:
            sifter = NearSifter(counter, order, mismatch)
            sifted = _shuffle(reader, jobs, sifter, order, "sorting reads", silent)
            report = count_sifted(sifter, sifted, silent)
        else:
            report = _shuffle(reader, jobs, counter, order, "counting reads", silent)
        counted = Counted.gather(report, duplicates_lost=dedup != "none")
        if not counted.tiles:
            raise source.explain(partition, counted.stats)
        names = source.names() if counted.stats["chr_not_in_fends"] else ()
        check_fit(source.name(), partition, counted.stats, counted.ends, names)
        history.add(call[0], call[1], results={**counted.stats, **source.found})
        write_counted(target, counted, len(chromosomes), spill.tiles, history, attributes, silent)
    return counted.stats


def load_counts(
    target: Location,
    partition: Partition,
    source: CountSource,
    *,
    history: History,
    call: tuple[str, Mapping[str, Any]],
    attributes: Mapping[str, Any],
    silent: bool = False,
    tiles: int | None = None,
) -> dict[str, int]:
    """Add up counted pairs into a new Zarr pair store at `target`.

    Pairs of fends that cannot be are removed, as those of reads are; pairs of fends of a partition
    with bins are then counted in bins. Parameters, result and errors are those of `load_reads`, and
    a pair with more reads than a store can hold is an `InputError`; all reads are those of the
    counts.
    """
    with spill_beside(target) as spill:
        jobs = source.prepare(spill.files, silent)
        units = partition.fends if source.in_fends else partition.bins
        assert units is not None  # sources check the partition
        order = tile_tables(
            partition, end_tables(partition), tiles or max(1, source.rows // _TILE_READS)
        )
        position = units.start.astype(np.int64) + 1
        if source.in_fends:
            position = np.repeat(position[0::2], 2)
        bins = _fend_bins(partition, in_fends=source.in_fends)
        counter = PairCounter(len(units.chromosomes), source.in_fends, bins, spill.tiles)
        reader = _CountReader(order, units.chromosome, position)
        report = _shuffle(reader, jobs, counter, order, "adding counts", silent)
        counted = Counted.gather(report, duplicates_lost=True)
        if not counted.tiles:
            raise source.explain(partition, counted.stats)
        check_fit(source.name(), partition, counted.stats, counted.ends)
        history.add(call[0], call[1], results=counted.stats)
        write_counted(
            target, counted, len(units.chromosomes), spill.tiles, history, attributes, silent
        )
    return counted.stats


def _check_mismatch(mismatch: int, dedup: Dedup) -> None:
    if mismatch < 0:
        raise ParameterError(f"dedup_mismatch is {mismatch}, expected bp >= 0")
    if mismatch and dedup == "none":
        raise ParameterError(
            f"dedup_mismatch is {mismatch}, but with dedup='none' no duplicates are removed; leave "
            "one of them out"
        )


class Spill(NamedTuple):
    """Where temporary files of a load are.

    Parameters
    ----------
    files
        Directory for those of sources, and of the engine's shuffle.
    tiles
        Directory, or URL, for the rows of tiles, which any worker may read.
    """

    files: str
    tiles: str


@contextmanager
def spill_beside(target: Location) -> Iterator[Spill]:
    """Directories for temporary files beside a store.

    Those of sources and of the shuffle are files: if the store is at a URL, they are where Dask has
    its temporary files, or else the system.
    """
    where = place(absolute(target))
    beside = where.parent if isinstance(where, Path) else dask.config.get("temporary-directory")
    if beside is not None and is_remote(where):
        os.makedirs(beside, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(
            prefix=".reads-", dir=beside, ignore_cleanup_errors=True
        ) as files,
        dask.config.set({"temporary_directory": files}),
        temporary_beside(where, ".reads-") if is_remote(where) else nullcontext(files) as tiles,
    ):
        # Workers of a command that is stopped are at work until their session ends, after this.
        atexit.register(shutil.rmtree, files, ignore_errors=True)
        yield Spill(files, str(tiles))


def _fend_bins(partition: Partition, *, in_fends: bool) -> NDArray[np.int32] | None:
    """Bin of every fend, if what is read in fends shall be counted in bins."""
    return partition.fend_bin if in_fends and partition.bins is not None else None


def _shuffle(
    reader: _Reader | _CountReader,
    jobs: Sequence[Any],
    counter: Callable[[pd.DataFrame], pd.DataFrame],
    order: TileTables,
    title: str,
    silent: bool,
) -> pd.DataFrame:
    """Read, shuffle by tile, count; return the reports of all tiles."""
    if "distributed" in sys.modules:
        from hifive_dask._graph.workers import import_first

        import_first("dask.dataframe")
    rows = dd.from_map(reader, list(jobs), meta=reader.meta)
    # Tiles are hashed to partitions: four times as many keep two from meeting in one.
    planned = max(1, round(order.tiles_per_weight * order.length_before[-1]))
    shuffled = rows.shuffle("tile", npartitions=4 * planned)
    report: pd.DataFrame
    (report,) = run(
        [shuffled.map_partitions(counter, meta=PARTIAL_META)], title=title, silent=silent
    )
    return report
