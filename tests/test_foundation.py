"""Regions, errors, provenance, schema, stores and graph helpers."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import dask
import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from hifive_dask import schema
from hifive_dask._graph.reduce import tree_reduce
from hifive_dask._graph.run import run
from hifive_dask._graph.spans import group_rows, split_rows
from hifive_dask._store import pairs, zarr_store
from hifive_dask._store.atomic import replacing, replacing_file
from hifive_dask._store.kinds import check_replaceable, kind_of
from hifive_dask._store.links import check_token, relative_link, resolve_link
from hifive_dask.errors import InputError, LinkError, RegionError, StoreError
from hifive_dask.provenance import History, content_token
from hifive_dask.regions import Region, find_chromosome, parse_region

from .test_heatmap import T1

NAMES = ["chr1", "chr2", "HLA:01", "chr3|a"]


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("chr2", Region("chr2")),
        ("chr2:10,000,000-20,000,000", Region("chr2", 10_000_000, 20_000_000)),
        ("chr2:10M-20.5Mb", Region("chr2", 10_000_000, 20_500_000)),
        ("chr2:5kb-", Region("chr2", 5000, None)),
        ("chr2:-7k", Region("chr2", None, 7000)),
        ("HLA:01", Region("HLA:01")),
        ("HLA:01:0-10", Region("HLA:01", 0, 10)),
        (("chr1", 5, 10), Region("chr1", 5, 10)),
        ((b"chr1", None, 10), Region("chr1", None, 10)),
        (["chr1"], Region("chr1")),
    ],
)
def test_regions__parse(text: object, region: Region) -> None:
    assert parse_region(text, NAMES) == region  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr9", "unknown chromosome 'chr9'; known are: chr1, chr2"),
        ("chr1:5-3", "is empty: stop 3 is not above start 5"),
        ("chr1:5", "has no stop"),
        ("chr1:a-b", "region 'chr1:a-b': 'a' is not a number of bp"),
        ("chr1:0.5-8", "not a whole number"),
        (("chr1", -1, 5), "starts below 0"),
        ((), "is neither text"),
    ],
)
def test_regions__errors_say_why(text: object, message: str) -> None:
    with pytest.raises(RegionError, match=message):
        parse_region(text, NAMES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("1", ["chr1", "1"], "1"),
        ("1", ["chr1", "chr2"], "chr1"),
        ("chr1", ["1", "2"], "1"),
        ("chr", ["1", ""], None),
        ("X", ["chr1"], None),
    ],
)
def test_find_chromosome__with_and_without_chr(
    name: str, known: list[str], found: str | None
) -> None:
    assert find_chromosome(name, known) == found


def test_regions__are_of_the_chromosome_that_is_known() -> None:
    assert parse_region("1:5kb-", NAMES) == Region("chr1", 5000, None)
    assert T1.select([b"chrA", "B"]) == [0, 1]
    assert T1.select(np.array(["B"])) == [1]  # type: ignore[arg-type]
    assert T1.select(np.array([], dtype=str)) == [0, 1]  # type: ignore[arg-type]


def test_region__prints_as_it_is_written() -> None:
    assert str(Region("chr1", 1000, 2_000_000)) == "chr1:1,000-2,000,000"
    assert str(Region("chr1")) == "chr1"


def test_input_error__survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(InputError("bad", path="f.txt", line=3, cure="mend it")))
    assert str(error) == "f.txt:3: bad\n  mend it"


def test_content_token__tells_order_type_and_shape() -> None:
    values = [
        content_token(part)
        for part in (
            np.arange(4),
            np.arange(4)[::-1],
            np.arange(4, dtype=np.int32),
            np.arange(4).reshape(2, 2),
            "0123",
        )
    ]
    assert len(set(values)) == len(values)
    assert content_token(np.arange(4)) == values[0]


def test_history__is_text_and_record() -> None:
    history = History.from_text("Fend.load() - Success")
    history.add("HiC.f", {"a": 1, "b": [np.int64(2)]}, results={"n": np.float64(3)})
    assert history.text == "Fend.load() - Success\nHiC.f(a=1, b=[2]) - Success\n"
    again = History(json.loads(json.dumps(history.records)))  # attributes of stores are JSON
    assert again.text == history.text
    last = again.last("HiC.f")
    assert last is not None
    assert last["results"] == {"n": 3.0}


def test_schema__patterns_match_user_names() -> None:
    assert schema.FENDS["fend_gc"].dtype == "float32"
    assert schema.PROJECT["corrections/express/values"].dims == ("fend",)
    with pytest.raises(KeyError, match="not a variable of pairs"):
        schema.PAIRS["fend3"]


@given(
    sizes=st.lists(st.integers(0, 50), min_size=1, max_size=8),
    rows=st.integers(1, 20),
)
def test_spans__cover_every_row_once_inside_blocks(sizes: list[int], rows: int) -> None:
    offset = np.r_[0, np.cumsum(sizes)]
    spans = split_rows(offset.tolist(), rows)
    covered = [k for span in spans for k in range(span.lo, span.hi)]
    assert covered == list(range(offset[-1]))
    for span in spans:
        assert offset[span.block] <= span.lo < span.hi <= offset[span.block + 1]
        assert span.hi - span.lo <= rows


@given(sizes=st.lists(st.integers(1, 20), max_size=12), rows=st.integers(1, 25))
def test_groups__keep_order_and_are_as_large_as_they_may_be(sizes: list[int], rows: int) -> None:
    groups = group_rows(range(len(sizes)), sizes, rows)
    assert [k for group in groups for k in group] == list(range(len(sizes)))
    filled = [sum(sizes[k] for k in group) for group in groups]
    assert all(n <= rows or len(group) == 1 for n, group in zip(filled, groups, strict=True))
    assert all(n + sizes[group[0]] > rows for n, group in zip(filled, groups[1:], strict=False))


@given(st.lists(st.text(max_size=2), min_size=1, max_size=40), st.integers(2, 9))
@settings(max_examples=20, deadline=None)
def test_tree_reduce__keeps_order(parts: list[str], arity: int) -> None:
    root = tree_reduce([dask.delayed(part) for part in parts], "".join, arity=arity)
    with dask.config.set(scheduler="sync"):
        assert run([root], silent=True) == ["".join(parts)]


def test_replacing__leaves_the_old_store_when_writing_fails(tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"
    target.mkdir()
    (target / "old").touch()

    def fail() -> None:
        with replacing(target) as beside:
            beside.mkdir()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [p.name for p in tmp_path.rglob("*")] == ["a.zarr", "old"]
    with replacing(target) as beside:
        beside.mkdir()
        (beside / "new").touch()
    assert [p.name for p in tmp_path.rglob("*")] == ["a.zarr", "new"]


@pytest.mark.parametrize("fails", [1, 2])
def test_replacing__keeps_one_of_both_when_interrupted_between_the_renames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    target = tmp_path / "a.zarr"
    target.mkdir()
    (target / "old").touch()
    rename, calls = os.rename, 0

    def interrupted(source: Path, goal: Path) -> None:
        nonlocal calls
        calls += 1
        rename(source, goal)
        if calls == fails:
            raise KeyboardInterrupt

    def replace() -> None:
        with replacing(target) as beside:
            beside.mkdir()
            (beside / "new").touch()
            monkeypatch.setattr(os, "rename", interrupted)

    with pytest.raises(KeyboardInterrupt):
        replace()
    monkeypatch.undo()
    assert [p.name for p in tmp_path.rglob("*")] == ["a.zarr", "old" if fails == 1 else "new"]


def test_replacing__writes_where_a_link_points_to(tmp_path: Path) -> None:
    real = tmp_path / "disk" / "real.zarr"
    real.mkdir(parents=True)
    link = tmp_path / "a.zarr"
    link.symlink_to(real)
    with replacing(link) as beside:
        beside.mkdir()
        (beside / "new").touch()
    assert link.is_symlink()
    assert [p.name for p in real.iterdir()] == ["new"]


def test_kinds__only_the_same_kind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    check_replaceable(path, "pairs")
    path.mkdir()
    check_replaceable(path, "pairs")  # an empty directory
    (path / "notes").touch()
    with pytest.raises(StoreError, match="holds nothing that is known here and would be replaced"):
        check_replaceable(path, "pairs")
    with zarr_store.creating(tmp_path / "b.zarr", schema.FENDS):
        pass
    check_replaceable(tmp_path / "b.zarr", "fends")
    with pytest.raises(StoreError, match="holds 'fends' and would be replaced by 'pairs'"):
        check_replaceable(tmp_path / "b.zarr", "pairs")


@pytest.mark.parametrize(
    ("attributes", "table", "kind"),
    [
        ({"filetype": "hic_project"}, "filter", "project"),
        ({"filetype": "fivec_data"}, "cis_data", "fivec_data"),
        ({"datafilename": "x", "fendfilename": "y"}, "filter", "project"),
        ({"fendfilename": "y"}, "cis_data", "pairs"),
        ({}, "fends", "fends"),
        ({}, "bins", "fends"),
        ({"format": "HDF5::Cooler"}, "bins/start", None),
        ({}, "mine", None),
    ],
)
def test_kinds__of_hdf5_files_old_and_new(
    tmp_path: Path, attributes: dict[str, str], table: str, kind: str | None
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs.update(attributes)
        file[table] = [1]
    assert kind_of(tmp_path / "a.h5") == kind


def test_kinds__files_of_others_and_damaged_ones_are_not_replaced(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "mine.h5", "w") as file:
        file["mine"] = [1]
    with pytest.raises(StoreError, match=r"mine\.h5: holds nothing that is known here and would"):
        check_replaceable(tmp_path / "mine.h5", "fends")
    whole = (tmp_path / "mine.h5").read_bytes()
    (tmp_path / "part.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match=r"part\.h5: cannot be read as HDF5 \(.*truncated file"):
        check_replaceable(tmp_path / "part.h5", "fends")


def test_replacing__needs_a_writable_directory(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="does not exist; make it first"),
        replacing(tmp_path / "no" / "a.zarr"),
    ):
        pass
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    if os.access(closed, os.W_OK):  # the superuser may write everywhere
        return
    with pytest.raises(StoreError, match="cannot be written"), replacing(closed / "a.zarr"):
        pass


def test_replacing_file__never_replaces_a_directory(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "mine.txt").write_text("mine")
    with (
        pytest.raises(StoreError, match="results is a directory; remove it, or write to another"),
        replacing_file(tmp_path / "results") as beside,
    ):
        beside.write_text("table")
    assert (tmp_path / "results" / "mine.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_open_verified__refuses_what_is_not_a_whole_store(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    with pytest.raises(StoreError, match="no such store"):
        zarr_store.open_verified(path, schema.FENDS)
    path.mkdir()
    with pytest.raises(StoreError, match="not a Zarr store"):
        zarr_store.open_verified(path, schema.FENDS)
    path.rmdir()
    with zarr_store.creating(path, schema.PAIRS) as group:
        pass
    with pytest.raises(StoreError, match="holds 'pairs', expected 'fends'"):
        zarr_store.open_verified(path, schema.FENDS)
    with pytest.raises(StoreError, match="was not written to the end"):
        zarr_store.open_verified(path, schema.PAIRS)
    zarr_store.complete(group, token="", history=History())
    with pytest.raises(StoreError, match="lacks the variable 'fend1'"):
        zarr_store.open_verified(path, schema.PAIRS)
    zarr.open_group(path, mode="r+").attrs["version"] = 99
    with pytest.raises(StoreError, match="version 99 is newer"):
        zarr_store.open_verified(path, schema.PAIRS)


def test_suffix__decides_the_format() -> None:
    assert zarr_store.is_hdf5("a.hcd")
    assert not zarr_store.is_hdf5("a.zarr")
    with pytest.raises(StoreError, match=r"must be \.zarr or one of"):
        zarr_store.is_hdf5("a.txt")


def test_links__follow_relative_paths(tmp_path: Path) -> None:
    holder = tmp_path / "a" / "b" / "x.zarr"
    holder.parent.mkdir(parents=True)
    (tmp_path / "g.zarr").touch()
    (holder.parent / "h.zarr").touch()
    assert relative_link(holder.parent / "h.zarr", holder) == "./h.zarr"
    link = relative_link(tmp_path / "g.zarr", holder)
    assert link == "../../g.zarr"
    assert resolve_link(link, holder) == tmp_path / "g.zarr"
    with pytest.raises(LinkError, match=r"does not exist; move the two"):
        resolve_link("./k.zarr", holder)
    with pytest.raises(LinkError, match="another version"):
        check_token("a", "b", "g.zarr", "x.zarr")


@given(data=st.data(), n=st.integers(1, 60), chunk=st.sampled_from([1, 4, 7]))
@settings(max_examples=60, deadline=None)
def test_zone_map__finds_all_rows_of_a_fend_range(data: st.DataObject, n: int, chunk: int) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    first, second = np.sort(rng.integers(0, 30, (n, 2)), axis=1).T
    offset = np.array([0, 10, 20, 30])
    old = pairs.CHUNK
    pairs.CHUNK = chunk
    try:
        store = pairs.PairStore.from_memory(
            (first, second, np.ones(n)),
            offset,
            stats={},
            insert_distribution=np.zeros((0, 2), dtype=np.int64),
            token="",
        )
        lo_fend = data.draw(st.integers(0, 29))
        hi_fend = data.draw(st.integers(0, 30))
        for (a, b), (start, stop) in store.blocks.items():
            lo, hi = store.find_rows(a, b, lo_fend, hi_fend)
            assert start <= lo <= hi <= stop
            fend1 = store.rows_of(start, stop)()[0]
            wanted = start + np.flatnonzero((fend1 >= lo_fend) & (fend1 < hi_fend))
            assert all(lo <= k < hi for k in wanted)
    finally:
        pairs.CHUNK = old
