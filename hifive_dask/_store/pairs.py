"""The pair store: sorted columns of counted pairs, as Zarr or in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.pair_table import digest_rows
from hifive_dask._store import zarr_store
from hifive_dask._store.places import Location, absolute, explained, load_array
from hifive_dask.errors import StoreError
from hifive_dask.provenance import History, content_token
from hifive_dask.schema import MARKED, PAIRS

__all__ = [
    "CHUNK",
    "SHARD",
    "Columns",
    "PairRows",
    "PairStore",
    "RowFile",
    "Rows",
    "complete_stats",
    "create_pairs",
    "finish_pairs",
    "pairs_token",
    "rewrite_attributes",
    "shard_rows",
    "tile_file",
    "write_pairs",
    "write_shard",
]

CHUNK = 1 << 18  # rows per inner chunk, the unit of reading
SHARD = 1 << 22  # rows per shard, the unit of writing: one file per column
COLUMNS = ("fend1", "fend2", "count")
_MISSING = -1  # what Zarr reads where a shard is missing

Columns = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]


class PairRows(Protocol):
    """Consecutive rows of a pair store. Picklable; a task calls it to get the columns."""

    def __call__(self) -> Columns: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Rows:
    """Rows `lo` to `hi` of a Zarr pair store; reads them when called."""

    path: str
    token: str
    lo: int
    hi: int

    def __len__(self) -> int:
        return self.hi - self.lo

    def __call__(self) -> Columns:
        try:
            with explained(self.path, passing=(RuntimeError, ValueError)):  # of codecs
                columns = zarr_store.stored_arrays(self.path, self.token, COLUMNS)
                first, second, count = (np.asarray(c[self.lo : self.hi]) for c in columns)
        except (OSError, RuntimeError, ValueError) as error:  # what storage and codecs raise
            if isinstance(error, StoreError):
                raise
            raise StoreError(
                f"{self.path}: the rows {self.lo:,} to {self.hi:,} cannot be read ({error}); the "
                "store is damaged, make it again"
            ) from error
        if any(column.min(initial=0) < 0 for column in (first, second, count)):
            raise StoreError(
                f"{self.path}: some of the rows {self.lo:,} to {self.hi:,} are missing; the store "
                "is damaged, make it again"
            )
        return first, second, count


@dataclass(frozen=True)
class _MemoryRows:
    columns: Columns

    def __len__(self) -> int:
        return len(self.columns[0])

    def __call__(self) -> Columns:
        return self.columns


def _no_ends() -> NDArray[np.int64]:
    return np.zeros((0, 3), dtype=np.int64)


@dataclass(frozen=True)
class PairStore:
    """An open pair store.

    Parameters
    ----------
    block_chrom1, block_chrom2
        int32 (B): the chromosomes of each block, ``chrom1 <= chrom2``; only blocks with rows,
        sorted by (chrom1, chrom2).
    block_offset
        int64 (B + 1): first row of each block, then the number of rows.
    tile_row
        int64 (T): the rows where tiles begin. Zarr: every `CHUNK` rows.
    tile_first_fend1
        int32 (T): zone map: fend1 in these rows.
    stats
        Read statistics by name.
    insert_distribution
        int64 (182, 2): distinct read pairs, lower edge in bp.
    end_distribution
        int64 (601, 3): 5' ends on the plus and on the minus strand, place relative to the nearest
        cut in bp; without rows where they are not known. No part of the token.
    token
        Digest of the content.
    rows_of
        Gives the picklable reader of rows ``lo`` to ``hi``.
    """

    block_chrom1: NDArray[np.int32]
    block_chrom2: NDArray[np.int32]
    block_offset: NDArray[np.int64]
    tile_row: NDArray[np.int64]
    tile_first_fend1: NDArray[np.int32]
    stats: Mapping[str, int]
    insert_distribution: NDArray[np.int64]
    token: str
    rows_of: Callable[[int, int], PairRows]
    end_distribution: NDArray[np.int64] = field(default_factory=_no_ends)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    history: History = field(default_factory=History)

    def __len__(self) -> int:
        return int(self.block_offset[-1])

    def __repr__(self) -> str:
        blocks = len(self.block_chrom1)
        return f"<PairStore: {len(self):,} pairs in {blocks:,} pairs of chromosomes>"

    @cached_property
    def blocks(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Row range of every stored pair of chromosomes."""
        return {
            (int(a), int(b)): (int(lo), int(hi))
            for a, b, lo, hi in zip(
                self.block_chrom1,
                self.block_chrom2,
                self.block_offset[:-1],
                self.block_offset[1:],
                strict=True,
            )
        }

    def block_rows(self, chrom1: int, chrom2: int) -> tuple[int, int]:
        """Row range of one pair of chromosomes (``chrom1 <= chrom2``); empty if not stored."""
        return self.blocks.get((chrom1, chrom2), (0, 0))

    def groups(self, rows: int) -> Iterator[tuple[slice, int, int]]:
        """Yield blocks of some first chromosomes, and the range of their rows.

        A group has at most `rows` rows, or one first chromosome: reading by chromosome would decode
        the same chunk for each of many small ones.
        """
        edges = np.flatnonzero(np.diff(self.block_chrom1, prepend=-1))
        edges = np.append(edges, len(self.block_chrom1))
        offset, k = self.block_offset[edges], 0
        while k < len(edges) - 1:
            most = int(np.searchsorted(offset, offset[k] + rows, "right")) - 1
            end = max(k + 1, most)
            yield slice(int(edges[k]), int(edges[end])), int(offset[k]), int(offset[end])
            k = end

    def find_rows(self, chrom1: int, chrom2: int, fend_lo: int, fend_hi: int) -> tuple[int, int]:
        """Smallest row range known from the zone map to hold ``fend_lo <= fend1 < fend_hi``.

        It can hold other rows of the block too; reading decides.
        """
        lo, hi = self.block_rows(chrom1, chrom2)
        if lo == hi or fend_lo >= fend_hi:
            return lo, lo
        # Tiles that begin inside the block: those before the first that reaches fend_lo, and those
        # from the first that begins at fend_hi, are left out.
        inside = slice(*np.searchsorted(self.tile_row, [lo + 1, hi]))
        edges = [lo, *self.tile_row[inside].tolist(), hi]
        skip, stop = np.searchsorted(self.tile_first_fend1[inside], [fend_lo, fend_hi])
        return edges[skip], edges[stop + 1]

    @classmethod
    def open(cls, path: Location) -> PairStore:
        """Open a Zarr pair store.

        Raises
        ------
        StoreError
            If it is missing, incomplete or something else.
        """
        where = absolute(path)
        group = zarr_store.open_verified(where, PAIRS, apart=COLUMNS)

        def column(name: str) -> NDArray[Any]:
            return np.asarray(zarr_store.array_of(group, name)[...])

        token = str(group.attrs["uuid"])
        return cls(
            block_chrom1=column("block_chrom1"),
            block_chrom2=column("block_chrom2"),
            block_offset=column("block_offset"),
            tile_row=CHUNK * np.arange(len(column("tile_first_fend1")), dtype=np.int64),
            tile_first_fend1=column("tile_first_fend1"),
            stats=complete_stats(
                dict(
                    zip(map(str, column("stat_name")), map(int, column("stat_count")), strict=True)
                )
            ),
            insert_distribution=np.stack(
                [column("insert_size_count"), column("insert_size_edge")], axis=1
            ),
            end_distribution=_read_ends(group),
            token=token,
            rows_of=_ZarrRows(where, token),
            attributes=dict(group.attrs),
            history=zarr_store.history_of(group),
        )

    @classmethod
    def from_memory(
        cls,
        columns: Columns,
        unit_offset: NDArray[np.int64],
        *,
        stats: Mapping[str, int],
        insert_distribution: NDArray[np.int64],
        end_distribution: NDArray[np.int64] | None = None,
        token: str,
        attributes: Mapping[str, Any] | None = None,
        history: History | None = None,
    ) -> PairStore:
        """Make a store of pairs in memory, in any order; ``unit_offset`` is `Units.offset`."""
        first, second, count = (np.asarray(c, dtype=np.int32) for c in columns)
        chrom1 = np.searchsorted(unit_offset, first, "right") - 1
        chrom2 = np.searchsorted(unit_offset, second, "right") - 1
        order = np.lexsort((second, first, chrom2, chrom1))
        first, second, count = first[order], second[order], count[order]
        block = (chrom1 * len(unit_offset) + chrom2)[order]
        starts = np.flatnonzero(np.r_[True, np.diff(block) != 0]) if len(block) else np.arange(0)
        return cls(
            block_chrom1=(block[starts] // len(unit_offset)).astype(np.int32),
            block_chrom2=(block[starts] % len(unit_offset)).astype(np.int32),
            block_offset=np.r_[starts, len(block)].astype(np.int64),
            tile_row=np.arange(0, len(first), CHUNK, dtype=np.int64),
            tile_first_fend1=first[::CHUNK].copy(),
            stats=dict(stats),
            insert_distribution=insert_distribution,
            token=token,
            rows_of=_MemorySlices((first, second, count)),
            end_distribution=_no_ends() if end_distribution is None else end_distribution,
            attributes=dict(attributes or {}),
            history=history or History(),
        )


def _read_ends(group: Any) -> NDArray[np.int64]:
    """The histogram of 5' ends, without rows where a store has none."""
    if "end_count" not in group:
        return _no_ends()
    count, place = (
        np.asarray(zarr_store.array_of(group, name)[...]) for name in ("end_count", "end_place")
    )
    return np.stack([*count, place], axis=1)


@dataclass(frozen=True)
class _ZarrRows:
    path: str
    token: str

    def __call__(self, lo: int, hi: int) -> PairRows:
        return Rows(self.path, self.token, lo, hi)


@dataclass(frozen=True)
class _MemorySlices:
    columns: Columns

    def __call__(self, lo: int, hi: int) -> PairRows:
        first, second, count = self.columns
        return _MemoryRows((first[lo:hi], second[lo:hi], count[lo:hi]))


@dataclass(frozen=True)
class RowFile:
    """Rows that wait in a file, int32 (3, rows), and where they go in the store."""

    path: str
    lo: int
    hi: int


def tile_file(directory: str, tile: int) -> str:
    """Name of the file of the rows of a tile in a directory, a path or URL."""
    return f"{directory}/tile-{tile}.npy"


def complete_stats(stats: Mapping[str, int]) -> dict[str, int]:
    """Read statistics with those that older stores, and files of HiFive, lack."""
    return {**stats, **{name: stats.get(name, 0) for name in MARKED}} if stats else {}


def create_pairs(path: Location, rows: int) -> None:
    """Make an incomplete store with room for `rows` pairs."""
    chunks = max(1, min(SHARD // CHUNK, -(-rows // CHUNK)))
    with zarr_store.creating(path, PAIRS) as group:
        for name in COLUMNS:
            variable = PAIRS[name]
            group.create_array(
                name,
                shape=(rows,),
                dtype=variable.dtype,
                chunks=(CHUNK,),
                shards=(CHUNK * chunks,),
                compressors=zarr_store.CODEC,
                fill_value=_MISSING,
                dimension_names=variable.dims,
                attributes={"units": variable.units, "description": variable.description},
            )


def shard_rows(rows: int) -> list[tuple[int, int]]:
    """Row ranges of the shards: what one writer owns."""
    return [(lo, min(rows, lo + SHARD)) for lo in range(0, rows, SHARD)]


def write_shard(
    path: str, lo: int, hi: int, files: list[RowFile]
) -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
    """Write the rows `lo` to `hi` out of the files that hold them.

    Returns
    -------
    The zone map of these rows, and their `digest_rows`.
    """
    rows = np.empty((3, hi - lo), dtype=np.int32)
    for file in files:
        first, last = max(lo, file.lo), min(hi, file.hi)
        held = load_array(file.path)
        rows[:, first - lo : last - lo] = held[:, first - file.lo : last - file.lo]
    _write_rows(path, lo, hi, (rows[0], rows[1], rows[2]))
    return rows[0, ::CHUNK].copy(), digest_rows(*rows)


def _write_rows(path: Location, lo: int, hi: int, columns: Columns) -> None:
    with explained(path, "written"):
        group = zarr_store.open_group(path, "r+")
        for name, column in zip(COLUMNS, columns, strict=True):
            zarr_store.array_of(group, name)[lo:hi] = column


def pairs_token(
    *,
    block_chrom1: NDArray[Any],
    block_chrom2: NDArray[Any],
    block_offset: NDArray[np.int64],
    stats: Mapping[str, int],
    insert_distribution: NDArray[np.int64],
    sums: NDArray[np.uint64],
) -> str:
    """Token of pairs, the same in Zarr and HDF5: digest of blocks, statistics and row sums.

    `sums` is `digest_rows` over all rows. They are added up over any parts in any order, so that
    the token takes one pass, in parallel or in the order of the file.
    """
    blocks = np.stack([block_chrom1, block_chrom2, np.diff(block_offset)]).astype(np.int64)
    names = sorted(name for name in stats if stats[name] or name not in MARKED)
    counts = np.array([stats[name] for name in names], dtype=np.int64)
    return content_token(blocks, ",".join(names), counts, insert_distribution.astype("<i8"), sums)


def finish_pairs(
    path: Location,
    *,
    block_chrom1: NDArray[Any],
    block_chrom2: NDArray[Any],
    block_offset: NDArray[np.int64],
    zone_map: NDArray[np.int32],
    stats: Mapping[str, int],
    insert_distribution: NDArray[np.int64],
    end_distribution: NDArray[np.int64],
    token: str,
    history: History,
    attributes: Mapping[str, Any],
) -> None:
    """Write the small variables and declare the store complete."""
    small: dict[str, Any] = {
        "block_chrom1": block_chrom1,
        "block_chrom2": block_chrom2,
        "block_offset": block_offset,
        "tile_first_fend1": zone_map,
        "stat_name": list(stats),
        "stat_count": list(stats.values()),
        "insert_size_count": insert_distribution[:, 0],
        "insert_size_edge": insert_distribution[:, 1],
    }
    if len(end_distribution):
        small |= {"end_count": end_distribution[:, :2].T, "end_place": end_distribution[:, 2]}
    with zarr_store.changing(path) as group:
        for name, values in small.items():
            zarr_store.write_array(group, PAIRS, name, values)
        zarr_store.complete(group, token=token, history=history, **attributes)


def rewrite_attributes(store: PairStore, link: str, fends_token: str) -> dict[str, Any]:
    """Attributes of a copy that links to the partition from another place."""
    kept = {name: store.attributes.get(name) for name in ("maxinsert", "sources", "hifive")}
    return {**kept, "fends": link, "fends_token": fends_token}


def write_pairs(
    path: Location,
    store: PairStore,
    attributes: Mapping[str, Any],
    advance: Callable[[int], None] = lambda rows: None,
) -> None:
    """Write a copy of a store, shard by shard; `advance` is told the rows of each."""
    create_pairs(path, len(store))
    zone_map = [np.zeros(0, dtype=np.int32)]
    for lo, hi in shard_rows(len(store)):
        columns = store.rows_of(lo, hi)()
        _write_rows(path, lo, hi, columns)
        zone_map.append(columns[0][::CHUNK].copy())
        advance(hi - lo)
    finish_pairs(
        path,
        block_chrom1=store.block_chrom1,
        block_chrom2=store.block_chrom2,
        block_offset=store.block_offset,
        zone_map=np.concatenate(zone_map),
        stats=store.stats,
        insert_distribution=store.insert_distribution,
        end_distribution=store.end_distribution,
        token=store.token,
        history=store.history,
        attributes=attributes,
    )
