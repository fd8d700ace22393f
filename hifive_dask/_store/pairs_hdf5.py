"""The pair store as a HiFive data file (.hcd): opened in one pass, then read in pieces; written.

The file holds all cis rows, then all trans rows sorted by the two units, so that the trans blocks
of one chromosome interleave. Opening reads the file once, a piece at a time, and notes which rows
of which block each piece holds: the segments. The index arrays of the file are not used: those of
fends in bins are wrong (`cis_indices` too long, `trans_indices` not of these rows).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.pair_table import count_units, digest_rows, group_rows
from hifive_dask._store.hdf5 import open_hdf5, plain
from hifive_dask._store.pairs import (
    CHUNK,
    SHARD,
    Columns,
    PairRows,
    PairStore,
    complete_stats,
    pairs_token,
    shard_rows,
)
from hifive_dask.errors import StoreError
from hifive_dask.provenance import History
from hifive_dask.schema import MARKED

__all__ = [
    "fends_link",
    "hcd_attributes",
    "open_hcd",
    "partner_distribution",
    "unit_index",
    "write_hcd",
]

Array = NDArray[Any]

# Attribute that names the files, by the call that read them; HiFive has none for others.
_FILE_LIST_OF = {
    "HiCData.load_data_from_raw": "raw_filelist",
    "HiCData.load_data_from_pairs": "raw_filelist",
    "HiCData.load_data_from_bam": "bam_filelist",
    "HiCData.load_data_from_mat": "matfile",
}
_OTHER_FILES = "filelist"
_FILE_LISTS = (*dict.fromkeys(_FILE_LIST_OF.values()), _OTHER_FILES)
_USED = {"filetype", "history", "fendfilename", "binned", "re", "maxinsert"}

_STATS = np.dtype([("name", "S17"), ("count", np.int32)])
_NO_INSERTS = np.zeros((0, 2), dtype=np.int64)

# Rows of one block in one piece of the file.
_SEGMENT = np.dtype(
    [
        ("trans", np.bool_),
        ("lo", np.int64),  # rows of the piece in the dataset
        ("hi", np.int64),
        ("second_lo", np.int32),  # units of the second chromosome: what tells the block's rows
        ("second_hi", np.int32),
        ("chrom1", np.int32),
        ("chrom2", np.int32),
        ("rows", np.int64),
        ("first_key", np.int64),  # first << 32 | second, in the first and the last row
        ("last_key", np.int64),
        ("start", np.int64),  # where they begin in the store
    ]
)


# Opening


def fends_link(path: str | os.PathLike[str]) -> str:
    """The link to the partition.

    Raises
    ------
    StoreError
        If the file is missing, not HDF5, or not a data file.
    """
    with open_hdf5(path) as file:
        if "fendfilename" not in file.attrs or "datafilename" in file.attrs:
            raise StoreError(
                f"{os.fspath(path)}: has no attribute 'fendfilename', or is a project: not a "
                "HiFive data file (.hcd)"
            )
        return str(plain(file.attrs["fendfilename"]))


def open_hcd(
    path: str | os.PathLike[str], unit_offset: NDArray[np.int64], *, fends_token: str = ""
) -> PairStore:
    """Open a data file of HiFive or of this package; its rows are read when they are asked for.

    Parameters
    ----------
    path
        The file.
    unit_offset
        int64 (C + 1): first unit of each chromosome, then their number.
    fends_token
        Token of the partition.

    Raises
    ------
    StoreError
        If it is missing, not HDF5, or holds rows that are not of these units, not sorted, repeated,
        or in the wrong dataset.
    """
    where = os.path.abspath(path)
    state = _state(where) if os.path.exists(where) else (0, 0)
    with open_hdf5(where) as file:
        attributes = {name: plain(value) for name, value in file.attrs.items()}
        stats = file["stats"][...] if "stats" in file else np.zeros(0, dtype=_STATS)
        insert = file["insert_distribution"][...] if "insert_distribution" in file else _NO_INSERTS
        _check_tables(where, stats, insert)
        sums = np.zeros(2, dtype=np.uint64)
        parts = [
            part
            for name in ("cis_data", "trans_data")
            if name in file
            for part in _scan(file[name], f"{where}: {name}", unit_offset, sums)
        ]
    segments = _in_order(parts, where)
    starts = np.flatnonzero(np.diff(_block_of(segments), prepend=-1))
    rows = int(segments["rows"].sum())
    content: dict[str, Any] = {
        "block_chrom1": segments["chrom1"][starts].copy(),
        "block_chrom2": segments["chrom2"][starts].copy(),
        "block_offset": np.r_[segments["start"][starts], rows].astype(np.int64),
        "stats": complete_stats({plain(name): int(count) for name, count in stats.tolist()}),
        "insert_distribution": insert.astype(np.int64),
    }
    return PairStore(
        **content,
        tile_row=segments["start"].copy(),
        tile_first_fend1=(segments["first_key"] >> 32).astype(np.int32),
        token=pairs_token(**content, sums=sums),
        rows_of=_HcdSlices(where, state, segments),
        attributes=_attributes(attributes, fends_token),
        history=History.from_text(str(attributes.get("history", ""))),
    )


def _check_tables(where: str, stats: Array, insert: Array) -> None:
    """Check the shapes of the statistics and of the insert-size histogram."""
    if stats.ndim != 1 or stats.dtype.names != _STATS.names:
        raise StoreError(
            f"{where}: stats: is {stats.dtype} {stats.shape}, expected records of name and count; "
            "make the file again from its reads"
        )
    if insert.ndim != 2 or insert.shape[1] != 2 or insert.dtype.kind not in "iu":
        raise StoreError(
            f"{where}: insert_distribution: is {insert.dtype} {insert.shape}, expected integers "
            "(rows, 2); make the file again from its reads"
        )


def _attributes(found: Mapping[str, Any], fends_token: str) -> dict[str, Any]:
    lists = [str(found[name]) for name in _FILE_LISTS if found.get(name)]
    return {
        "fends": found["fendfilename"],
        "fends_token": fends_token,
        "maxinsert": found.get("maxinsert"),
        "sources": [Path(name).name for text in lists for name in text.split(",")],
        "hifive": {name: value for name, value in found.items() if name not in _USED},
    }


def _state(path: str) -> tuple[int, int]:
    """What changes when a file is replaced or written to."""
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def _pieces(dataset: h5py.Dataset) -> Iterator[tuple[int, int]]:
    """Row ranges of about `CHUNK` rows that do not cut the chunks of a chunked dataset."""
    unit = dataset.chunks[0] if dataset.chunks else 1
    step = unit * max(1, CHUNK // unit)
    for lo in range(0, len(dataset), step):
        yield lo, min(len(dataset), lo + step)


def _scan(
    dataset: h5py.Dataset, where: str, unit_offset: NDArray[np.int64], sums: NDArray[np.uint64]
) -> Iterator[Array]:
    """Yield the segments of one dataset, checked; add its rows to the sums."""
    units, chromosomes = int(unit_offset[-1]), len(unit_offset) - 1
    chromosome = np.repeat(np.arange(chromosomes, dtype=np.int32), np.diff(unit_offset))
    if dataset.ndim != 2 or dataset.shape[1] != 3 or dataset.dtype.kind not in "iu":
        raise StoreError(
            f"{where}: is {dataset.dtype} {dataset.shape}, expected integers (rows, 3)"
        )
    for lo, hi in _pieces(dataset):
        rows = dataset[lo:hi]
        if rows.min() < 0 or rows.max() > np.iinfo(np.int32).max:
            raise StoreError(f"{where}: the rows {lo:,} to {hi:,} are not all in 0 to 2**31 - 1")
        first, second, count = (np.ascontiguousarray(c, dtype=np.int32) for c in rows.T)
        largest = max(first.max(), second.max())
        if largest >= units:
            raise StoreError(
                f"{where}: holds fend or bin {largest:,}, but the partition has {units:,}; it "
                "is another than the one that these pairs were counted on"
            )
        sums += digest_rows(first, second, count)
        # Runs of one first chromosome: mostly the whole piece.
        edges = np.flatnonzero(np.diff(chromosome[first])) + 1
        for a, b in itertools.pairwise([0, *edges.tolist(), len(first)]):
            wrong, groups = group_rows(first[a:b], second[a:b], chromosome, chromosomes)
            if wrong >= 0:
                raise _unsorted(where, lo + a + wrong)
            segments = _segments(int(chromosome[first[a]]), groups, unit_offset)
            trans = where.endswith("trans_data")
            below = segments["chrom2"] <= segments["chrom1"]
            same = segments["chrom2"] == segments["chrom1"]
            if (below if trans else ~same).any() or (first[a:b] > second[a:b]).any():
                kind = "trans" if trans else "cis"
                raise StoreError(
                    f"{where}: the rows {lo + a:,} to {lo + b:,} are not all {kind} pairs with the "
                    "lower unit first; make the file again from its reads"
                )
            segments["trans"], segments["lo"], segments["hi"] = trans, lo + a, lo + b
            yield segments


def _segments(
    chrom1: int, groups: list[NDArray[np.int64]], unit_offset: NDArray[np.int64]
) -> Array:
    """Segments of rows of one first chromosome, grouped by the second."""
    chrom2, rows, first_key, last_key = groups
    segments = np.zeros(len(chrom2), dtype=_SEGMENT)
    segments["chrom1"], segments["chrom2"], segments["rows"] = chrom1, chrom2, rows
    segments["second_lo"], segments["second_hi"] = unit_offset[chrom2], unit_offset[chrom2 + 1]
    segments["first_key"], segments["last_key"] = first_key, last_key
    return segments


def _unsorted(where: str, row: int) -> StoreError:
    return StoreError(
        f"{where}: row {row:,} does not come after the row before it of the same chromosomes: rows "
        "are unsorted or repeated; make the file again from its reads"
    )


def _block_of(segments: Array) -> NDArray[np.int64]:
    blocks: NDArray[np.int64] = (segments["chrom1"].astype(np.int64) << 32) | segments["chrom2"]
    return blocks


def _in_order(parts: list[Array], where: str) -> Array:
    """All segments in the order of the store."""
    segments = np.concatenate([np.zeros(0, dtype=_SEGMENT), *parts])
    segments = segments[np.argsort(_block_of(segments), kind="stable")]
    same = np.diff(_block_of(segments)) == 0
    wrong = np.flatnonzero(same & (segments["first_key"][1:] <= segments["last_key"][:-1]))
    if len(wrong):
        segment = segments[wrong[0] + 1]
        raise _unsorted(
            f"{where}: {'trans' if segment['trans'] else 'cis'}_data", int(segment["lo"])
        )
    segments["start"] = np.r_[0, np.cumsum(segments["rows"])][:-1]
    return segments


# Reading rows


@dataclass(frozen=True)
class _HcdSlices:
    path: str
    state: tuple[int, int]
    segments: Array

    def __call__(self, lo: int, hi: int) -> PairRows:
        starts = self.segments["start"]
        first, last = np.searchsorted(starts, lo, "right") - 1, np.searchsorted(starts, hi, "left")
        held = self.segments[max(0, int(first)) : int(last)] if lo < hi else self.segments[:0]
        return HcdRows(self.path, self.state, lo, hi, held.copy())


@dataclass(frozen=True)
class HcdRows:
    """Rows `lo` to `hi` of a data file; reads them when called.

    The file is opened for the call and closed: that takes less than a millisecond, leaves nothing
    open that could go stale, and nothing that cannot be sent to a worker. HDF5 lets one thread of a
    process read at a time.
    """

    path: str
    state: tuple[int, int]
    lo: int
    hi: int
    segments: Array

    def __len__(self) -> int:
        return self.hi - self.lo

    def __call__(self) -> Columns:
        size = len(self)
        columns = (np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int32))
        if not size:
            return columns
        with open_hdf5(self.path) as file:
            if _state(self.path) != self.state:
                raise StoreError(
                    f"{self.path}: was replaced or written to while it was open; open it anew, and "
                    "what was made from it"
                )
            # Segments of one piece are read together.
            pieces: dict[tuple[bool, int, int], list[Any]] = {}
            for segment in self.segments:
                trans, lo, hi = segment[["trans", "lo", "hi"]].tolist()
                pieces.setdefault((trans, lo, hi), []).append(segment)
            for (trans, lo, hi), segments in pieces.items():
                rows = file["trans_data" if trans else "cis_data"][lo:hi]
                for segment in segments:
                    self._take(rows, segment, columns)
        return columns

    def _take(self, rows: Array, segment: Any, columns: Columns) -> None:
        if segment["rows"] != len(rows):
            second = rows[:, 1]
            rows = rows[(second >= segment["second_lo"]) & (second < segment["second_hi"])]
        start = int(segment["start"])
        skip, stop = max(0, self.lo - start), min(len(rows), self.hi - start)
        for k, column in enumerate(columns):
            column[start + skip - self.lo : start + stop - self.lo] = rows[skip:stop, k]


# Writing


def hcd_attributes(
    store: PairStore, link: str, files: Sequence[str], *, binned: bool, re: bool
) -> dict[str, Any]:
    """Root attributes of a data file; those that HiFive wrote and that have no use here too.

    `link` is the partition and `files` what was read, as seen from the file; if these are not
    known, it has the names that the store has.
    """
    found = store.attributes
    attributes: dict[str, Any] = {
        "filetype": "hic_data",
        "history": store.history.text,
        "fendfilename": link,
        "binned": np.bool_(binned),
        "re": np.bool_(re),
    }
    limit = found.get("maxinsert")
    if limit is not None and not isinstance(limit, list):  # of replicates with different ones
        attributes["maxinsert"] = np.int64(limit)
    if files or found.get("sources"):
        attributes[_file_list(store.history)] = ",".join(files or found["sources"])
    if found.get("hifive"):
        attributes = {name: each for name, each in attributes.items() if name not in _FILE_LISTS}
        attributes |= found["hifive"]
    return attributes


def _file_list(history: History) -> str:
    calls = [str(record.get("call")) for record in history.records]
    made = [call for call in calls if call.startswith("HiCData.")]
    return _FILE_LIST_OF.get(made[-1], _OTHER_FILES) if made else _OTHER_FILES


def unit_index(first: NDArray[np.int32], units: int) -> NDArray[np.int64]:
    """int64 (units + 1): rows of unit u are ``index[u]`` to ``index[u + 1]``; rows are sorted."""
    return _index(np.bincount(first, minlength=units))


def _index(as_first: NDArray[np.int64]) -> NDArray[np.int64]:
    index: NDArray[np.int64] = np.r_[0, np.cumsum(as_first)].astype(np.int64)
    return index


def partner_distribution(rows: NDArray[np.int32], units: int) -> NDArray[np.int64]:
    """Number of units by their number of rows; a diagonal row counts twice for its unit."""
    degree = np.bincount(rows[:, 0], minlength=units) + np.bincount(rows[:, 1], minlength=units)
    counts: NDArray[np.int64] = np.bincount(degree).astype(np.int64)
    return counts


def write_hcd(
    path: Path,
    store: PairStore,
    unit_offset: NDArray[np.int64],
    attributes: Mapping[str, Any],
    advance: Callable[[int], None],
) -> None:
    """Write a data file in HiFive's layout, in bounded memory.

    Parameters
    ----------
    path
        The file to make.
    store
        The pairs.
    unit_offset
        int64 (C + 1): first unit of each chromosome, then their number.
    attributes
        Root attributes.
    advance
        Is told the number of rows after each step; every row is read twice.
    """
    chromosome = np.repeat(np.arange(len(unit_offset) - 1, dtype=np.int32), np.diff(unit_offset))
    counts = np.zeros((2, 2, int(unit_offset[-1])), dtype=np.int64)
    for lo, hi in shard_rows(len(store)):
        count_units(*store.rows_of(lo, hi)()[:2], chromosome, counts)
        advance(hi - lo)
    with h5py.File(path, "w") as file:
        for name, (as_first, as_second) in zip(("cis", "trans"), counts, strict=True):
            index = _index(as_first)
            if index[-1]:
                _write_rows(file, name, store, unit_offset, index, advance)
                file[f"{name}_indices"] = index
                degree = as_first + as_second
                file[f"{name}_interaction_distribution"] = np.bincount(degree).astype(np.int64)
        if len(store.insert_distribution):
            file["insert_distribution"] = _narrow(store.insert_distribution)
        names = sorted(set(store.stats).difference(MARKED))
        names += [name for name in MARKED if store.stats.get(name)]
        counts = _narrow(np.array([store.stats[name] for name in names], dtype=np.int64))
        width = max([17, *map(len, names)])
        table = np.empty(len(names), dtype=[("name", f"S{width}"), ("count", counts.dtype)])
        table["name"], table["count"] = names, counts
        file["stats"] = table
        for name, value in attributes.items():
            file.attrs[name] = value


def _write_rows(
    file: h5py.File,
    name: str,
    store: PairStore,
    unit_offset: NDArray[np.int64],
    index: NDArray[np.int64],
    advance: Callable[[int], None],
) -> None:
    """Write the cis or trans rows, which `index` has counted."""
    data = file.create_dataset(f"{name}_data", shape=(int(index[-1]), 3), dtype="<i4")
    for blocks, lo, hi in store.groups(SHARD):
        chrom1, chrom2 = store.block_chrom1[blocks], store.block_chrom2[blocks]
        kind = (chrom1 == chrom2) == (name == "cis")
        start, stop = unit_offset[[chrom1[0], chrom1[-1] + 1]].tolist()
        for a, b in _unit_ranges(index, start, stop):
            if hi - lo <= SHARD:
                rows = np.stack(store.rows_of(lo, hi)(), axis=1)
                rows = rows[
                    np.repeat(kind, np.diff(store.block_offset[blocks.start : blocks.stop + 1]))
                ]
            else:
                rows = _rows_of_units(store, int(chrom1[0]), chrom2[kind].tolist(), a, b)
            # Blocks come in the order of the second unit: a stable sort by the first is enough.
            data[index[a] : index[b]] = rows[np.argsort(rows[:, 0], kind="stable")]
            advance(len(rows))


def _unit_ranges(index: NDArray[np.int64], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Ranges of units of a chromosome with at most `SHARD` rows each, or one unit."""
    while start < stop:
        most = int(np.searchsorted(index, index[start] + SHARD, "right")) - 1
        end = min(stop, max(start + 1, most))
        if index[end] > index[start]:
            yield start, end
        start = end


def _rows_of_units(
    store: PairStore, chrom1: int, seconds: list[int], a: int, b: int
) -> NDArray[np.int32]:
    """int32 (rows, 3): rows whose first unit is in ``a`` to ``b``, one block after the other."""
    spans: list[tuple[int, int]] = []
    for chrom2 in seconds:
        lo, hi = store.find_rows(chrom1, chrom2, a, b)
        if spans and spans[-1][1] == lo:
            lo = spans.pop()[0]  # whole blocks lie side by side: one read for all
        spans.append((lo, hi))
    rows = np.concatenate([np.stack(store.rows_of(lo, hi)(), axis=1) for lo, hi in spans])
    return rows[(rows[:, 0] >= a) & (rows[:, 0] < b)]


def _narrow(values: NDArray[np.int64]) -> NDArray[Any]:
    """int32 as HiFive has it, unless a count does not fit."""
    fits = values.size == 0 or values.max() <= np.iinfo(np.int32).max
    return values.astype(np.int32) if fits else values
