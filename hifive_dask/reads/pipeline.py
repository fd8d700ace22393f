"""Files of reads to a pair store: parse, shuffle by genome tile, count, write.

::

    blocks of text --from_map--> read pairs (tile, block, key) --shuffle--> tiles --> counted rows
    counted rows --> shards of the store

The shuffle is the engine's own: through disk without a client, peer to peer with one. Memory per
worker thread: one block of text with its columns, or one tile of reads; it does not grow with the
number of reads. Temporary files lie beside the store: 16 bytes per read, and 12 per counted pair.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask._kernels.reads import TileTables, block_dtype, encode_pairs
from hifive_dask._store.pairs import (
    Piece,
    create_pairs,
    finish_pairs,
    pairs_token,
    shard_rows,
    write_shard,
)
from hifive_dask.errors import ParameterError
from hifive_dask.genome.partition import Partition
from hifive_dask.provenance import History
from hifive_dask.reads.count import INSERT_EDGES, PARTIAL_META, UNKNOWN_BLOCK, Dedup, TileCounter
from hifive_dask.reads.diagnose import explain_nothing_loaded
from hifive_dask.reads.layout import Format, Layout, find_layout
from hifive_dask.reads.parse import parse_block
from hifive_dask.reads.text import BLOCK_BYTES, TextBlock, TextFile, codec_of, unpack
from hifive_dask.reads.tiles import end_tables, tile_tables

__all__ = ["STATISTICS", "load_reads"]

STATISTICS = (
    "total_reads",
    "chr_not_in_fends",
    "pcr_duplicates",
    "out_of_bounds",
    "insert_size",
    "same_fragment",
    "failed_cut",
    "valid_cis_reads",
    "valid_trans_reads",
    "valid_cis_pairs",
    "valid_trans_pairs",
)
_TILE_TEXT = 48 << 20  # text per tile: about a million read pairs


@dataclass(frozen=True)
class _Reader:
    """Parses a block of text into the rows that are shuffled."""

    chromosomes: Mapping[str, int]
    tiles: TileTables
    base: int
    by_file: bool

    def __call__(self, job: tuple[TextBlock, Layout, int]) -> pd.DataFrame:
        block, layout, number = job
        ends = parse_block(block, layout, self.chromosomes, self.base)
        tile, owner, key = encode_pairs(self.tiles, *ends[:6])
        unknown = [ends.unknown] if ends.unknown else []
        columns = {
            "tile": np.r_[tile, np.zeros(len(unknown), dtype=np.int32)],
            "block": np.r_[owner, np.full(len(unknown), UNKNOWN_BLOCK, dtype=owner.dtype)],
            "key": np.r_[key, np.array(unknown, dtype=np.uint64)],
        }
        if self.by_file:
            columns["file"] = np.full(len(columns["key"]), number, dtype=np.int16)
            columns["file"][len(key) :] = 0
        return pd.DataFrame(columns, copy=False)

    @property
    def meta(self) -> pd.DataFrame:
        dtypes: dict[str, Any] = {
            "tile": np.int32,
            "block": block_dtype(len(self.chromosomes)),
            "key": np.uint64,
        }
        if self.by_file:
            dtypes["file"] = np.int16
        return pd.DataFrame({name: pd.Series([], dtype=t) for name, t in dtypes.items()})


@dataclass(frozen=True)
class _Counted:
    """What the tiles reported, added up."""

    stats: dict[str, int]
    insert: NDArray[np.int64]
    tiles: list[tuple[int, int]]  # (tile, rows), tiles in order
    blocks: list[tuple[int, int]]  # (block, rows), blocks in order

    @classmethod
    def gather(cls, report: pd.DataFrame, *, duplicates_lost: bool) -> _Counted:
        totals: Counter[str] = Counter()
        insert = np.zeros((len(INSERT_EDGES) + 1, 2), dtype=np.int64)
        insert[1:, 1] = INSERT_EDGES
        tiles: Counter[int] = Counter()
        blocks: Counter[int] = Counter()
        for kind, a, b, value in report.itertuples(index=False):
            if kind == "insert":
                insert[a, 0] += value
            elif kind == "rows":
                tiles[a] += value
                blocks[b] += value
            else:
                totals[kind] += value
        stats = {name: int(totals[name]) for name in STATISTICS}
        stats["total_reads"] = sum(stats[name] for name in STATISTICS[1:9])
        if not duplicates_lost:
            stats["total_reads"] -= stats["pcr_duplicates"]
        return cls(stats, insert, sorted(tiles.items()), sorted(blocks.items()))


def load_reads(
    target: str | os.PathLike[str],
    partition: Partition,
    files: Sequence[str | os.PathLike[str]],
    *,
    format: Format,
    maxinsert: int | None,
    base: int,
    dedup: Dedup,
    history: History,
    call: tuple[str, Mapping[str, Any]],
    attributes: Mapping[str, Any],
    silent: bool = False,
    block_bytes: int = BLOCK_BYTES,
    tiles: int | None = None,
) -> dict[str, int]:
    """Count the read pairs of text files into a new Zarr pair store at `target`.

    Parameters
    ----------
    target
        Path of the store; it must not exist (callers write beside and rename).
    partition
        The genome.
    files
        Raw text or .pairs, plain, gzip or bgzip.
    format
        Of all files.
    maxinsert
        bp; None for no filter.
    base
        Of the first base of a chromosome in the files, 0 or 1.
    dedup
        What reads with equal ends count once in: the library (all files), each file, or none.
    history, call, attributes
        Recorded in the store; `call` is the name and arguments of the user's call.
    silent
        No progress bar.
    block_bytes
        Text per parsing task. The result does not depend on it.
    tiles
        Number of tiles, by default from the size of the files. The result does not depend on it.

    Returns
    -------
    The read statistics.

    Raises
    ------
    InputError
        For a missing, damaged or faulty file, or if no read pair was accepted.
    """
    _validate(files, maxinsert, base, dedup)
    for path in files:
        codec_of(path)
    layouts = [find_layout(path, format) for path in files]
    directory = Path(target).absolute().parent
    with tempfile.TemporaryDirectory(prefix=".reads-", dir=directory) as spill:
        texts = _unpack(files, spill, silent)
        counted = _count(
            texts, layouts, partition, maxinsert, base, dedup, spill, silent, block_bytes, tiles
        )
        if not counted.tiles:
            raise explain_nothing_loaded(files, layouts, partition, counted.stats)
        name, parameters = call
        history.add(name, parameters, results=counted.stats)
        _write(
            Path(target), counted, len(partition.chromosomes), spill, history, attributes, silent
        )
    return counted.stats


def _validate(files: Sequence[Any], maxinsert: int | None, base: int, dedup: str) -> None:
    if not files:
        raise ParameterError("no files of reads were given")
    if maxinsert is not None and maxinsert < 0:
        raise ParameterError(f"maxinsert is {maxinsert}, expected bp >= 0, or None for no filter")
    if base not in (0, 1):
        raise ParameterError(f"base is {base!r}, expected 0 or 1: the number of a first base")
    if dedup not in ("library", "file", "none"):
        raise ParameterError(f"dedup is {dedup!r}, expected 'library', 'file' or 'none'")


def _unpack(files: Sequence[Any], spill: str, silent: bool) -> list[TextFile]:
    task = dask.delayed(unpack, pure=False)
    return run(
        [task(os.fspath(path), spill, k) for k, path in enumerate(files)],
        title="unpacking",
        silent=silent,
    )


def _count(
    texts: Sequence[TextFile],
    layouts: Sequence[Layout],
    partition: Partition,
    maxinsert: int | None,
    base: int,
    dedup: Dedup,
    spill: str,
    silent: bool,
    block_bytes: int,
    tiles: int | None,
) -> _Counted:
    """Parse, shuffle and count; the counted rows wait in files of `spill`."""
    if tiles is None:
        tiles = max(1, sum(text.text_bytes() for text in texts) // _TILE_TEXT)
    ends = end_tables(partition)
    index = {name: k for k, name in enumerate(partition.chromosomes)}
    reader = _Reader(index, tile_tables(partition, ends, tiles), base, dedup != "library")
    jobs = [
        (block, layout, number)
        for number, (text, layout) in enumerate(zip(texts, layouts, strict=True))
        for block in text.blocks(block_bytes)
    ]
    in_bins = partition.fends is not None and partition.bins is not None
    counter = TileCounter(
        ends, len(index), maxinsert, dedup, partition.fend_bin if in_bins else None, spill
    )
    with dask.config.set({"temporary_directory": spill}):
        reads = dd.from_map(reader, jobs, meta=reader.meta)
        # Tiles are hashed to partitions: four times as many keep two from meeting in one.
        shuffled = reads.shuffle("tile", npartitions=4 * tiles)
        report = shuffled.map_partitions(counter, meta=PARTIAL_META)
        (result,) = run([report], title="counting reads", silent=silent)
    return _Counted.gather(result, duplicates_lost=dedup != "none")


def _write(
    target: Path,
    counted: _Counted,
    chromosomes: int,
    spill: str,
    history: History,
    attributes: Mapping[str, Any],
    silent: bool,
) -> None:
    """Join the counted rows of the tiles, which are in order, into the store."""
    edges = np.r_[0, np.cumsum([rows for _, rows in counted.tiles])]
    pieces = [
        Piece(str(Path(spill) / f"tile-{tile}.npy"), int(lo), int(hi))
        for (tile, _), lo, hi in zip(counted.tiles, edges[:-1], edges[1:], strict=True)
    ]
    create_pairs(target, int(edges[-1]))
    task = dask.delayed(write_shard, pure=False)
    results = run(
        [
            task(str(target), lo, hi, [p for p in pieces if p.lo < hi and lo < p.hi])
            for lo, hi in shard_rows(int(edges[-1]))
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
        token=pairs_token(**content, sums=sums),
        history=history,
        attributes=attributes,
    )
