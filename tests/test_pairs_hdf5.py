"""Data files of HiFive as pair stores: read in pieces, written, checked, compared by token."""

from __future__ import annotations

import os
import pickle
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import dask
import h5py
import numpy as np
import pytest
from dask.base import tokenize
from hypothesis import given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask._kernels.pair_table import count_units, digest_rows, group_rows
from hifive_dask._store import pairs_hdf5
from hifive_dask._store.pairs import CHUNK, PairStore
from hifive_dask._store.pairs_hdf5 import open_hcd, write_hcd
from hifive_dask.errors import LinkError, StoreError
from hifive_dask.reads.verify import verify_pairs

from .hdf5_files import differences

OFFSET = np.array([0, 6, 6, 10, 13])  # four chromosomes, the second without units
Rows = list[tuple[int, int, int]]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def chromosome(unit: int) -> int:
    return int(np.searchsorted(OFFSET, unit, "right")) - 1


def is_cis(row: tuple[int, int, int]) -> bool:
    return chromosome(row[0]) == chromosome(row[1])


def write_plain(path: Path, rows: Rows, *, by_block: bool = False, **storage: Any) -> Path:
    """A data file as HiFive writes it, or with trans rows block by block as for fends in bins."""
    with h5py.File(path, "w") as file:
        for name, cis in (("cis", True), ("trans", False)):
            kept = sorted(row for row in rows if is_cis(row) == cis)
            if by_block:
                kept.sort(key=lambda row: (chromosome(row[0]), chromosome(row[1]), row))
            if kept:
                size = {"maxshape": (None, 3)} if storage else {}
                values = np.array(kept, np.int32)
                file.create_dataset(f"{name}_data", data=values, **size, **storage)
                file[f"{name}_indices"] = np.arange(99)  # never to be trusted
        file["stats"] = np.array([(b"total_reads", 7)], dtype=[("name", "S17"), ("count", "<i4")])
        file.attrs["fendfilename"] = "./g.fends"
    return path


def oracle(rows: Rows) -> Rows:
    """The rows in the order of a store."""
    return sorted(rows, key=lambda row: (chromosome(row[0]), chromosome(row[1]), row))


def memory(rows: Rows) -> PairStore:
    columns = np.array(rows, dtype=np.int32).reshape(-1, 3).T
    return PairStore.from_memory(
        (columns[0], columns[1], columns[2]),
        OFFSET,
        stats={"total_reads": 7},
        insert_distribution=np.zeros((0, 2), dtype=np.int64),
        token="",
    )


def listed(store: PairStore, lo: int, hi: int) -> Rows:
    reader = store.rows_of(lo, hi)
    columns = reader()
    assert [column.dtype for column in columns] == [np.int32] * 3
    assert len(reader) == len(columns[0]) == hi - lo
    return [(int(a), int(b), int(n)) for a, b, n in zip(*columns, strict=True)]


pairs = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda p: (min(p), max(p)))
tables = st.dictionaries(pairs, st.integers(0, 9), max_size=60).map(
    lambda table: [(a, b, n) for (a, b), n in table.items()]
)
storages = st.sampled_from(
    [{}, {"chunks": (3, 3)}, {"chunks": (5, 3), "compression": "gzip"}, {"chunks": (4, 1)}]
)


@given(tables, storages, st.booleans(), st.sampled_from([1, 4, 7, 100]), st.data())
@settings(max_examples=60, deadline=None)
def test_open__gives_the_rows_in_order_whatever_the_storage(
    tmp_path_factory: pytest.TempPathFactory,
    rows: Rows,
    storage: dict[str, Any],
    by_block: bool,
    piece: int,
    data: st.DataObject,
) -> None:
    path = write_plain(tmp_path_factory.mktemp("hcd") / "d.hcd", rows, by_block=by_block, **storage)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs_hdf5, "CHUNK", piece)
        store = open_hcd(path, OFFSET)
    expected, whole = oracle(rows), memory(rows)
    assert listed(store, 0, len(store)) == expected
    assert store.blocks == whole.blocks
    lo = data.draw(st.integers(0, len(rows)))
    hi = data.draw(st.integers(lo, len(rows)))
    assert listed(store, lo, hi) == expected[lo:hi]
    low, high = data.draw(st.integers(0, 13)), data.draw(st.integers(0, 13))
    for block, (start, stop) in store.blocks.items():
        lo, hi = store.find_rows(*block, low, high)
        assert start <= lo <= hi <= stop
        wanted = [k for k in range(start, stop) if low <= expected[k][0] < high]
        assert all(lo <= k < hi for k in wanted)
    assert verify_pairs(store, OFFSET, silent=True) == store.token


@given(tables, st.sampled_from([1, 3, 100]))
@settings(max_examples=40, deadline=None)
def test_write__gives_the_layout_of_hifive(
    tmp_path_factory: pytest.TempPathFactory, rows: Rows, shard: int
) -> None:
    path = tmp_path_factory.mktemp("hcd") / "d.hcd"
    steps: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs_hdf5, "SHARD", shard)
        write_hcd(path, memory(rows), OFFSET, {"fendfilename": "./g.fends"}, steps.append)
    assert sum(steps) == 2 * len(rows)
    with h5py.File(path) as file:
        for name, cis in (("cis", True), ("trans", False)):
            kept = sorted(row for row in rows if is_cis(row) == cis)
            if not kept:
                assert not [key for key in file if key.startswith(name)]
                continue
            assert file[f"{name}_data"][...].tolist() == [list(row) for row in kept]
            firsts = [row[0] for row in kept]
            index = [sum(first < unit for first in firsts) for unit in range(14)]
            assert file[f"{name}_indices"][...].tolist() == index
            degree = [sum((a == u) + (b == u) for a, b, _ in kept) for u in range(13)]
            counts = [degree.count(t) for t in range(max(degree) + 1)]
            assert file[f"{name}_interaction_distribution"][...].tolist() == counts
            assert file[f"{name}_data"].chunks is None
    assert open_hcd(path, OFFSET).blocks == memory(rows).blocks


@given(tables)
def test_kernels__agree_with_plain_sums(rows: Rows) -> None:
    first, second, count = np.array(rows, dtype=np.int32).reshape(-1, 3).T.copy()
    mask = 2**64 - 1

    def mix(x: int) -> int:
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ x >> 27) * 0x94D049BB133111EB & mask
        return x ^ x >> 31

    lanes = [mix((mix(a << 32 | b) + n) & mask) for a, b, n in rows]
    second_lane = [mix(x ^ 0x9E3779B97F4A7C15) for x in lanes]
    assert digest_rows(first, second, count).tolist() == [
        sum(lanes) & mask,
        sum(second_lane) & mask,
    ]
    of = np.repeat(np.arange(4, dtype=np.int32), np.diff(OFFSET))
    counts = np.zeros((2, 2, 13), dtype=np.int64)
    count_units(first, second, of, counts)
    for trans in (0, 1):
        kept = [row for row in rows if is_cis(row) != bool(trans)]
        for k in (0, 1):
            assert counts[trans, k].tolist() == [sum(r[k] == u for r in kept) for u in range(13)]
    order = np.lexsort((second, first))
    wrong, (held, found, _, _) = group_rows(first[order], second[order], of, 4)
    assert wrong == -1
    seen = Counter(chromosome(b) for _, b, _ in rows)
    assert list(zip(held.tolist(), found.tolist(), strict=True)) == sorted(seen.items())
    if len(rows) > 1:
        twice = np.r_[order, order[-1]]
        assert group_rows(first[twice], second[twice], of, 4)[0] == len(rows)


ROWS: Rows = [(0, 3, 2), (1, 3, 1), (6, 9, 4), (0, 6, 1), (0, 11, 1), (1, 7, 1), (7, 12, 1)]


def test_large_file__is_read_in_pieces_and_never_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units, size = 2000, 2000 * 2001 // 2
    first, second = np.triu_indices(units)
    rows = np.stack([first, second, np.ones(size, dtype=np.int64)], axis=1).astype(np.int32)
    with h5py.File(tmp_path / "d.hcd", "w") as file:
        file["cis_data"] = rows
        file.attrs["fendfilename"] = "./g.fends"
    seen: list[int] = []
    read = h5py.Dataset.__getitem__

    def recorded(dataset: h5py.Dataset, key: Any) -> Any:
        found = read(dataset, key)
        seen.append(len(found))
        return found

    open_hcd(write_plain(tmp_path / "small.hcd", ROWS), OFFSET)  # compiled kernels stay in memory
    monkeypatch.setattr(h5py.Dataset, "__getitem__", recorded)
    tracemalloc.start()
    store = open_hcd(tmp_path / "d.hcd", np.array([0, units]))
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(store) == sum(seen) == size
    assert max(seen) == CHUNK
    assert held < 100_000
    assert peak < rows.nbytes
    seen.clear()
    lo = size - CHUNK - 10
    columns = store.rows_of(lo, lo + 20)()
    assert [column.tolist() for column in columns] == rows[lo : lo + 20].T.tolist()
    assert len(seen) <= 2
    assert max(seen) <= CHUNK


def test_reader__travels_and_has_one_name(tmp_path: Path) -> None:
    store = open_hcd(write_plain(tmp_path / "d.hcd", ROWS), OFFSET)
    reader = store.rows_of(1, 6)
    again = pickle.loads(pickle.dumps(reader))
    assert [c.tolist() for c in again()] == [c.tolist() for c in reader()]
    assert tokenize(reader) == tokenize(store.rows_of(1, 6)) == tokenize(again)
    assert tokenize(reader) != tokenize(store.rows_of(1, 5))


def test_token__follows_the_content_alone(tmp_path: Path) -> None:
    token = open_hcd(write_plain(tmp_path / "a.hcd", ROWS), OFFSET).token
    other = write_plain(tmp_path / "b.hcd", ROWS[::-1], by_block=True, chunks=(2, 3))
    assert open_hcd(other, OFFSET).token == token
    for k in range(3):
        rows = list(ROWS)
        changed = list(rows[2])
        changed[k] = (7, 8, 5)[k]
        rows[2] = (changed[0], changed[1], changed[2])
        assert open_hcd(write_plain(tmp_path / "c.hcd", rows), OFFSET).token != token
    assert open_hcd(write_plain(tmp_path / "c.hcd", ROWS[1:]), OFFSET).token != token


def test_replaced_file__is_noticed(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "d.hcd", ROWS)
    store = open_hcd(path, OFFSET)
    assert len(listed(store, 0, 3)) == 3
    write_plain(tmp_path / "e.hcd", [(a, b, n + 1) for a, b, n in ROWS])
    os.replace(tmp_path / "e.hcd", path)
    os.utime(path, ns=(0, 0))
    with pytest.raises(StoreError, match="was replaced or written to while it was open"):
        listed(store, 0, 3)
    path.unlink()
    with pytest.raises(StoreError, match="no such file"):
        listed(store, 0, 3)


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("cis_data", [[1, 3, 1], [0, 3, 1]], "cis_data: row 1 does not come after the row before"),
        ("cis_data", [[0, 3, 1], [0, 3, 1]], "unsorted or repeated"),
        ("cis_data", [[6, 7, 1], [0, 3, 1], [6, 7, 1]], "row 2 does not come after"),
        ("trans_data", [[0, 7, 1], [0, 11, 1], [0, 6, 1]], "trans_data: row 2 does not come"),
        ("cis_data", [[3, 1, 1]], "not all cis pairs with the lower unit first"),
        ("cis_data", [[0, 3, 1], [0, 6, 1]], "not all cis pairs"),
        ("trans_data", [[0, 3, 1]], "not all trans pairs"),
        ("trans_data", [[6, 3, 1]], "not all trans pairs"),
        ("cis_data", [[0, 13, 1]], "holds fend or bin 13, but the partition has 13"),
        ("cis_data", [[0, 1, 2**31]], r"not all in 0 to 2\*\*31 - 1"),
        ("cis_data", [[0, -1, 1]], r"not all in 0 to 2\*\*31 - 1"),
        ("cis_data", [[0.5, 1, 1]], r"is float64 \(1, 3\), expected integers"),
        ("cis_data", [[0, 1]], r"is int64 \(1, 2\), expected integers"),
    ],
)
def test_bad_rows__are_named(tmp_path: Path, name: str, rows: Any, message: str) -> None:
    with h5py.File(tmp_path / "d.hcd", "w") as file:
        file[name] = np.array(rows)
        file.attrs["fendfilename"] = "./g.fends"
    with pytest.raises(StoreError, match=message):
        open_hcd(tmp_path / "d.hcd", OFFSET)


def test_disorder_between_pieces__is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs_hdf5, "CHUNK", 1)
    with h5py.File(tmp_path / "d.hcd", "w") as file:
        file["cis_data"] = np.array([[1, 3, 1], [0, 3, 1]])
        file.attrs["fendfilename"] = "./g.fends"
    with pytest.raises(StoreError, match="cis_data: row 1 does not come after"):
        open_hcd(tmp_path / "d.hcd", OFFSET)


def test_verify__finds_swapped_rows_and_other_counts(tmp_path: Path) -> None:
    store = memory(ROWS)
    token = verify_pairs(store, OFFSET, silent=True)
    assert token == open_hcd(write_plain(tmp_path / "d.hcd", ROWS), OFFSET).token
    first, second, count = store.rows_of(0, len(store))()
    count[0] += 1
    assert verify_pairs(store, OFFSET, silent=True) != token
    for column in (first, second):
        column[[0, 1]] = column[[1, 0]]
    with pytest.raises(StoreError, match="not in order; the store is damaged"):
        verify_pairs(store, OFFSET, silent=True)


@pytest.fixture
def toy(tmp_path: Path) -> hd.HiCData:
    """Reads counted into a data file, and saved."""
    from hifive_dask.testing import toy_genome, toy_reads

    fend = hd.Fend(tmp_path / "g.fends", "w", silent=True)
    fend.load_fends(toy_genome(tmp_path / "sites.bed"))
    fend.save()
    data = hd.HiCData(tmp_path / "d.hcd", "w", silent=True)
    data.load_data_from_raw(fend.file, toy_reads(tmp_path / "r.raw"), 500)
    data.save()
    return data


def test_saved_data__has_one_token_in_every_format(toy: hd.HiCData, tmp_path: Path) -> None:
    toy.save(tmp_path / "z.zarr")
    zarr = hd.HiCData(tmp_path / "z.zarr", silent=True)
    direct = hd.HiCData(tmp_path / "y.zarr", "w", silent=True)
    direct.load_data_from_raw(tmp_path / "g.fends", tmp_path / "r.raw", 500)
    zarr.save(tmp_path / "e.hcd")
    again = hd.HiCData(tmp_path / "e.hcd", silent=True)
    assert toy.token == zarr.token == zarr.verify() == direct.token == again.token
    assert differences(tmp_path / "d.hcd", tmp_path / "e.hcd") == []
    assert again.stats == toy.stats


def test_save__in_place_leaves_an_open_store(toy: hd.HiCData, tmp_path: Path) -> None:
    before = toy.cis_data.tolist()
    opened = hd.HiCData(toy.file, silent=True)
    opened.save()
    assert opened.cis_data.tolist() == before
    assert opened.verify() == toy.token


def test_save__links_to_a_copy_of_the_partition_only(toy: hd.HiCData, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    toy.fends.save(other / "h.zarr")
    toy.save(other / "d.zarr", fendfilename=other / "h.zarr")
    assert hd.HiCData(other / "d.zarr", silent=True).fends.file == str(other / "h.zarr")
    binned = hd.Fend(tmp_path / "b.fends", "w", binned=1000, silent=True)
    binned.load_fends(tmp_path / "sites.bed")
    binned.save()
    with pytest.raises(LinkError, match="another version"):
        toy.save(other / "d.zarr", fendfilename=binned.file)


def test_other_files__are_refused(toy: hd.HiCData, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has no attribute 'fendfilename', or is a project"):
        hd.HiCData(tmp_path / "g.fends")
    (tmp_path / "t.hcd").write_bytes(Path(toy.file).read_bytes()[:3000])
    with pytest.raises(StoreError, match="cannot be read as HDF5"):
        hd.HiCData(tmp_path / "t.hcd")
    (tmp_path / "g.fends").rename(tmp_path / "k.fends")
    with pytest.raises(LinkError, match=r"d\.hcd: points to \./g\.fends, but .*g\.fends does not"):
        hd.HiCData(toy.file)


@pytest.mark.parametrize("rows", [1, 3, 4, 100])
def test_groups__hold_all_rows_of_first_chromosomes(tmp_path: Path, rows: int) -> None:
    store = open_hcd(write_plain(tmp_path / "a.hcd", ROWS), OFFSET, fends_token="t")
    groups = list(store.groups(rows))
    assert [lo for _, lo, _ in groups] == [0, *(hi for _, _, hi in groups[:-1])]
    assert groups[-1][2] == len(store) == len(ROWS)
    for blocks, lo, hi in groups:
        held = np.unique(store.block_chrom1[blocks])
        assert store.block_offset[[blocks.start, blocks.stop]].tolist() == [lo, hi]
        assert hi - lo <= rows or len(held) == 1
    firsts = [set(store.block_chrom1[blocks].tolist()) for blocks, _, _ in groups]
    assert sum(map(len, firsts)) == len(set().union(*firsts))
    assert len(groups) == {1: 2, 3: 2, 4: 2, 100: 1}[rows]


@pytest.mark.parametrize("shard", [1, 4, 100])
def test_file__has_the_same_rows_whatever_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shard: int
) -> None:
    store = open_hcd(write_plain(tmp_path / "a.hcd", ROWS), OFFSET, fends_token="t")
    monkeypatch.setattr(pairs_hdf5, "SHARD", shard)
    write_hcd(tmp_path / "b.hcd", store, OFFSET, {}, lambda rows: None)
    with h5py.File(tmp_path / "b.hcd") as file:
        for name, cis in (("cis_data", True), ("trans_data", False)):
            expected = sorted(row for row in ROWS if is_cis(row) == cis)
            assert [tuple(row) for row in file[name][...].tolist()] == expected
