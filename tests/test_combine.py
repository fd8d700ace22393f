"""Replicates are added up: numbers of the specification, properties, files, errors."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask._kernels.pair_rows import Overflow, distance_classes, merge_rows
from hifive_dask._store import pairs as pair_module
from hifive_dask._store.pairs import PairStore
from hifive_dask.cli import main
from hifive_dask.errors import (
    HifiveDaskError,
    InputError,
    InputWarning,
    LinkError,
    ParameterError,
    StoreError,
)
from hifive_dask.genome.partition import Partition
from hifive_dask.provenance import History
from hifive_dask.reads import combine as combine_module
from hifive_dask.reads.combine import (
    combine_stores,
    explain_difference,
    join_histories,
    join_maxinsert,
)

from .worlds import G1, G2, Read, bin_partition, fend_partition, files_of, parse, write_reads

Row = tuple[int, int, int]
Store = hd.HiCData
NO_INSERTS = np.zeros((0, 2), dtype=np.int64)
T22 = parse(
    "chr1 1100 - / chr2 600 -, chr1 1100 - / chr3 200 -, chr1 3900 + / chr2 600 -,"
    "chr1 3900 + / chr3 200 -, chr2 600 - / chr3 200 -, chr1 1900 + / chr1 3900 +,"
    "chr1 1100 - / chr1 2100 -"
)


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


@contextmanager
def small_chunks(rows: int, per_range: int) -> Iterator[None]:
    """Inner chunks of few rows, and few of them per task."""
    old = pair_module.CHUNK, combine_module.CHUNK, combine_module._CHUNKS
    pair_module.CHUNK = combine_module.CHUNK = rows
    combine_module._CHUNKS = per_range
    try:
        yield
    finally:
        pair_module.CHUNK, combine_module.CHUNK, combine_module._CHUNKS = old


def make_fends(path: Path, cuts: dict[str, list[int]], binned: int | None = None) -> Path:
    bed = path.with_suffix(".bed")
    bed.write_text("".join(f"{c}\t{x - 3}\t{x + 3}\n" for c, sites in cuts.items() for x in sites))
    fend = hd.Fend(path, "w", binned=binned, silent=True)
    fend.load_fends(bed)
    fend.save()
    return path


def make_bins(path: Path, size: int = 500) -> Path:
    lengths = path.with_suffix(".len")
    lengths.write_text("chr1\t4100\nchr2\t2600\nchr3\t2200\n")
    fend = hd.Fend(path, "w", binned=size, silent=True)
    fend.load_bins(lengths, format="len")
    fend.save()
    return path


def load(
    path: Path,
    fends: Path,
    reads: Sequence[Read] | list[list[Read]],
    maxinsert: int | None = 5000,
    dedup: Any = "library",
) -> Store:
    files = reads if reads and isinstance(reads[0], list) else [reads]
    paths = [
        write_reads(path.with_suffix(f".{k}.raw"), own)  # type: ignore[arg-type]
        for k, own in enumerate(files)
    ]
    data = hd.HiCData(path, "w", silent=True)
    data.load_data_from_raw(fends, paths, maxinsert, dedup=dedup)
    data.save()
    return data


def combined(path: Path, *inputs: Store) -> Store:
    data = hd.HiCData(path, "w", silent=True)
    data.combine([item.file for item in inputs])
    data.save()
    return hd.HiCData(path, silent=True)


# Numbers of the specification


@pytest.mark.parametrize("suffixes", [("zarr", "zarr", "zarr"), ("hcd", "zarr", "hcd")])
def test_t42_example(tmp_path: Path, suffixes: tuple[str, str, str]) -> None:
    fends = make_fends(tmp_path / "g.zarr", G1)
    one, two, out = (tmp_path / f"{n}.{s}" for n, s in zip("abc", suffixes, strict=True))
    first = load(
        one,
        fends,
        parse("chr1 1100 - / chr1 3100 -, chr1 1900 + / chr1 2900 +, chr1 1900 + / chr2 1400 +"),
    )
    second = load(
        two,
        fends,
        parse(
            "chr1 1900 + / chr1 2901 +, chr1 1900 + / chr1 3900 +, chr2 600 - / chr2 1600 -,"
            "chr1 1100 - / chr2 600 -"
        ),
    )
    assert second.cis_data.tolist() == [[1, 3, 1], [1, 5, 1], [6, 8, 1]]
    both = combined(out, first, second)
    assert both.cis_data.tolist() == [[0, 4, 1], [1, 3, 2], [1, 5, 1], [6, 8, 1]]
    assert both.cis_indices.tolist() == [0, 1, 3, 3, 3, 3, 3, 4, 4, 4, 4]
    assert both.trans_data.tolist() == [[0, 6, 1], [1, 7, 1]]
    assert both.trans_indices.tolist() == [0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    assert both.stats["total_reads"] == 7
    assert both.stats["valid_cis_reads"] == 5
    assert both.stats["valid_cis_pairs"] == 4
    assert both.stats["valid_trans_pairs"] == 2
    inserts = first.insert_distribution[:, 0] + second.insert_distribution[:, 0]
    assert both.insert_distribution[:, 0].tolist() == inserts.tolist()


@pytest.mark.parametrize("kind", ["fends", "fends in bins", "bins", "no trans"])
def test_t42_with_itself_doubles_every_count(tmp_path: Path, kind: str) -> None:
    fends = tmp_path / "g.zarr"
    if kind == "bins":
        make_bins(fends)
    else:
        make_fends(fends, G2, 1000 if kind == "fends in bins" else None)
    data = load(tmp_path / "a.zarr", fends, T22[-2:] if kind == "no trans" else T22, 500)
    with pytest.warns(InputWarning, match="hold the same pairs, which now count twice"):
        both = combined(tmp_path / "b.zarr", data, data)
    for name in ("cis_data", "trans_data"):
        assert both[name].tolist() == [[a, b, 2 * n] for a, b, n in data[name].tolist()]
    if kind == "fends in bins":
        trans = [[0, 3, 2], [0, 6, 2], [2, 3, 2], [2, 6, 2], [3, 6, 2]]
        assert both.trans_data.tolist() == trans
        assert both.stats == {name: 2 * n for name, n in data.stats.items()}
    else:
        reads = [name for name in data.stats if not name.endswith("_pairs")]
        assert all(both.stats[name] == 2 * data.stats[name] for name in reads)
        assert both.stats["valid_cis_pairs"] == data.stats["valid_cis_pairs"]


OTHER_CUT = {"chr1": [1000, 2000, 3100, 4000], "chr2": [500, 1500, 2500]}
OTHER_NAME = {"chr1": G1["chr1"], "chrX": G1["chr2"]}
ONE_MORE = {"chr1": G1["chr1"], "chr2": [500, 1500, 2500, 3500]}


@pytest.mark.parametrize(
    ("cuts", "binned", "difference"),
    [
        (OTHER_CUT, None, "fend 2 on chr1 is 2,000-2,500 in one and 2,000-2,550 in the other"),
        (OTHER_NAME, None, "the first alone has chr2; the second alone has chrX"),
        (ONE_MORE, None, "chr2 has 4 fends in one and 6 in the other"),
        (G2, None, "the second alone has chr3"),
        (G1, 1000, "one is of kind 'fends', the other 'fends in bins'"),
    ],
)
def test_t43_different_partitions_are_refused(
    tmp_path: Path, cuts: dict[str, list[int]], binned: int | None, difference: str
) -> None:
    reads = parse("chr1 1100 - / chr1 3100 -")
    one = load(tmp_path / "a.zarr", make_fends(tmp_path / "g.zarr", G1), reads)
    two = load(tmp_path / "b.zarr", make_fends(tmp_path / "h.zarr", cuts, binned), reads)
    out = hd.HiCData(tmp_path / "c.zarr", "w", silent=True)
    with pytest.raises(LinkError, match="have different partitions: ") as caught:
        out.combine([one.file, two.file])
    text = str(caught.value)
    for part in (one.file, two.file, one.fends.file, two.fends.token, one.fends.token):
        assert part in text
    assert difference in text
    assert not (tmp_path / "c.zarr").exists()


# Properties

FENDS = fend_partition(G2)
OFFSET = FENDS.units.offset
ROWS = st.dictionaries(
    st.tuples(st.integers(0, int(OFFSET[-1]) - 1), st.integers(0, int(OFFSET[-1]) - 1)).map(
        lambda pair: (min(pair), max(pair))
    ),
    st.integers(1, 9),
    max_size=40,
)


def in_memory(rows: dict[tuple[int, int], int], partition: Partition = FENDS) -> PairStore:
    columns = np.array([(a, b, n) for (a, b), n in rows.items()], dtype=np.int32).reshape(-1, 3).T
    return PairStore.from_memory(
        (columns[0], columns[1], columns[2]),
        partition.units.offset,
        stats={},
        insert_distribution=NO_INSERTS,
        token="",
    )


def add(target: Path, *stores: PairStore, partition: Partition = FENDS) -> PairStore:
    combine_stores(
        target,
        partition,
        stores,
        history=History(),
        call=("test", {}),
        attributes={},
        silent=True,
    )
    return PairStore.open(target)


def rows_of(store: PairStore) -> dict[tuple[int, int], int]:
    first, second, count = store.rows_of(0, len(store))()
    return dict(zip(zip(first.tolist(), second.tolist(), strict=True), count.tolist(), strict=True))


@given(
    replicates=st.lists(ROWS, min_size=2, max_size=5),
    chunk=st.integers(1, 7),
    per_range=st.integers(1, 5),
)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_combine__equals_sums_for_any_cut_and_order(
    tmp_path_factory: pytest.TempPathFactory,
    replicates: list[dict[tuple[int, int], int]],
    chunk: int,
    per_range: int,
) -> None:
    folder = tmp_path_factory.mktemp("combine")
    expected: Counter[tuple[int, int]] = Counter()
    for rows in replicates:
        expected.update(rows)
    with small_chunks(chunk, per_range):
        stores = [in_memory(rows) for rows in replicates]
        if not expected:
            with pytest.raises(InputError, match="none of the stores holds a pair"):
                add(folder / "none.zarr", *stores)
            return
        there = add(folder / "a.zarr", *stores)
        add(folder / "b.zarr", *stores[::-1])
    assert rows_of(there) == dict(expected)
    keys = [(*FENDS.units.chromosome[list(pair)].tolist(), *pair) for pair in rows_of(there)]
    assert keys == sorted(keys)
    assert files_of(folder / "a.zarr") == files_of(folder / "b.zarr")
    assert there.stats["valid_cis_pairs"] + there.stats["valid_trans_pairs"] == len(expected)
    assert there.stats["total_reads"] == expected.total()
    whole = add(folder / "c.zarr", *map(in_memory, replicates))
    assert whole.token == there.token  # not a matter of how the work is cut


@given(replicates=st.tuples(ROWS, ROWS, ROWS).filter(all))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_combine__is_associative(
    tmp_path_factory: pytest.TempPathFactory,
    replicates: tuple[dict[tuple[int, int], int], ...],
) -> None:
    folder = tmp_path_factory.mktemp("combine")
    a, b, c = map(in_memory, replicates)
    left = add(folder / "l.zarr", add(folder / "ab.zarr", a, b), c)
    right = add(folder / "r.zarr", a, add(folder / "bc.zarr", b, c))
    assert left.token == right.token == add(folder / "all.zarr", a, b, c).token


CIS_OR_TRANS = st.tuples(
    st.sampled_from(["chr1", "chr2", "chr3"]),
    st.integers(80, 4050),
    st.sampled_from("+-"),
    st.sampled_from(["chr1", "chr2", "chr3", "chrM"]),
    st.integers(80, 4050),
    st.sampled_from("+-"),
)
GOOD = parse("chr1 1100 - / chr1 3100 -")
BUILDERS = {
    "fends": lambda path: make_fends(path, G2),
    "fends in bins": lambda path: make_fends(path, G2, 700),
    "bins": make_bins,
}


@pytest.mark.parametrize("kind", sorted(BUILDERS))
@given(files=st.lists(st.lists(CIS_OR_TRANS, max_size=30), min_size=2, max_size=3))
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_combine__of_parts_equals_loading_all_at_once(
    tmp_path_factory: pytest.TempPathFactory, kind: str, files: list[list[Read]]
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    fends = BUILDERS[kind](folder / "g.zarr")
    files = [reads + GOOD for reads in files]  # else there may be nothing to load
    parts = [load(folder / f"{k}.zarr", fends, reads, 900) for k, reads in enumerate(files)]
    whole = load(folder / "whole.zarr", fends, files, 900, "file")
    partition = hd.Fend(fends).partition
    added = add(folder / "sum.zarr", *(part.store for part in parts), partition=partition)
    if kind == "fends in bins":  # pairs of fends that parts share cannot be told any more
        assert added.stats["valid_cis_pairs"] >= whole.stats["valid_cis_pairs"]
        assert rows_of(added) == rows_of(whole.store)
        pairs = ("valid_cis_pairs", "valid_trans_pairs")
        for name in set(added.stats) - set(pairs):
            assert added.stats[name] == whole.stats[name]
        assert (added.insert_distribution == whole.insert_distribution).all()
    else:
        assert added.token == whole.token


def test_combine__same_bytes_on_every_scheduler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_every_scheduler: Any
) -> None:
    # Several ranges without small chunks, which processes of a cluster would not know of.
    partition = bin_partition({"chr1": 900_000, "chr2": 300_000}, 1000)
    n = len(partition.units)
    first, second = np.triu_indices(n)
    rng = np.random.default_rng(4)
    stores = []
    for name in "ab":
        kept = rng.random(len(first)) < 0.8
        columns = first[kept], second[kept], rng.integers(1, 9, int(kept.sum()))
        stores.append(
            PairStore.from_memory(
                columns,  # type: ignore[arg-type]
                partition.units.offset,
                stats={},
                insert_distribution=NO_INSERTS,
                token=name,
            )
        )
    monkeypatch.setattr(combine_module, "_CHUNKS", 1)
    order = combine_module._Order(partition.units.chromosome, 2)
    assert len(combine_module._plan(stores, order)) > 3

    def store(scheduler: str) -> dict[str, bytes]:
        target = tmp_path / f"{scheduler}.zarr"
        add(target, *stores, partition=partition)
        return files_of(target)

    one, threads, processes = on_every_scheduler(store)
    assert one == threads == processes
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cluster.zarr", "sync.zarr", "threads.zarr",
    ]  # fmt: skip


def test_plan__cuts_ranges_that_are_bounded_and_cover_every_row() -> None:
    with small_chunks(4, 3):
        stores = [in_memory(dict.fromkeys(itertools.combinations(range(14), 2), k)) for k in (1, 2)]
        order = combine_module._Order(FENDS.units.chromosome, 3)
        ranges = combine_module._plan(stores, order)
    assert len(ranges) > 5
    assert ranges[0].lo == 0
    assert all(a.hi == b.lo for a, b in itertools.pairwise(ranges))
    assert max(sum(map(len, part.readers)) for part in ranges) <= 4 * (3 + 2 * len(stores))


# Kernels


@given(a=ROWS, b=ROWS)
@settings(max_examples=60, deadline=None)
def test_merge_rows__equal_sorted_sums(
    a: dict[tuple[int, int], int], b: dict[tuple[int, int], int]
) -> None:
    chromosome = FENDS.units.chromosome
    first, second = (np.stack(in_memory(rows).rows_of(0, len(rows))()) for rows in (a, b))
    merged = merge_rows(chromosome, first, second)
    assert not isinstance(merged, Overflow)
    expected = Counter(a)
    expected.update(b)
    order = sorted(expected, key=lambda p: (chromosome[p[0]], chromosome[p[1]], p))
    assert merged.T.tolist() == [[i, j, expected[i, j]] for i, j in order]


def test_merge_rows__find_reads_that_do_not_fit() -> None:
    a, b = (np.array([[0, 1], [4, 5], [1, n]], dtype=np.int32) for n in (2**31 - 1, 1))
    assert merge_rows(FENDS.units.chromosome, a, b) == Overflow(1, 5, 2**31)


@given(rows=ROWS, short=st.integers(0, 4000))
@settings(max_examples=60, deadline=None)
def test_distance_classes__equal_a_plain_count(
    rows: dict[tuple[int, int], int], short: int
) -> None:
    units = FENDS.units
    expected = [0, 0, 0]
    for (a, b), n in rows.items():
        cis = units.chromosome[a] == units.chromosome[b]
        near = units.mid[b] - units.mid[a] < short
        expected[2 if not cis else 0 if near else 1] += n
    columns = in_memory(rows).rows_of(0, len(rows))()
    assert distance_classes(units.chromosome, units.mid, *columns, short).tolist() == expected


# What is recorded


def test_record__has_the_sources_and_histories_of_all(tmp_path: Path) -> None:
    fends = make_fends(tmp_path / "g.zarr", G2)
    one = load(tmp_path / "a.zarr", fends, T22, 500)
    two = load(tmp_path / "b.hcd", fends, T22[1:], 5000)
    both = combined(tmp_path / "c.zarr", one, two)
    assert both.store.attributes["sources"] == ["a.0.raw", "b.0.raw"]
    assert both.store.attributes["maxinsert"] == [500, 5000]
    assert both.maxinsert is None
    calls = [record.get("call") for record in both.records.records]
    assert calls.count("HiCData.load_data_from_raw") == 1  # the other is text
    assert both.history.count("load_data_from_raw") == 2
    assert both.records.records[-1]["parameters"] == {"filelist": ["a.zarr", "b.hcd"]}
    three = load(tmp_path / "d.zarr", fends, T22[:1], 500)
    all_three = combined(tmp_path / "e.zarr", both, three)
    assert all_three.store.attributes["maxinsert"] == [500, 5000]
    assert all_three.history.count("Fend.load_fends") == 2  # once, and in the text of b
    assert combined(tmp_path / "f.zarr", one, three).maxinsert == 500
    all_three.save(tmp_path / "g.hcd")
    assert hd.HiCData(tmp_path / "g.hcd").maxinsert is None


def test_record__joins_histories_and_limits() -> None:
    base, a, b = (History([{"text": name}]) for name in ("base\n", "a\n", "b\n"))
    joined = join_histories([base + a, base + b, b], base)
    assert joined.text == "base\na\nb\nb\n"
    assert join_maxinsert([500, 500]) == 500
    assert join_maxinsert([None, None]) is None
    assert join_maxinsert([None, 500, [100, 500]]) == [100, 500, None]


def test_files_without_statistics__have_their_reads(tmp_path: Path) -> None:
    store = in_memory({(0, 4): 3, (0, 7): 2})
    stats = add(tmp_path / "a.zarr", store, in_memory({(0, 4): 1})).stats
    assert (stats["total_reads"], stats["valid_cis_reads"], stats["valid_trans_reads"]) == (6, 4, 2)
    assert stats["failed_cut"] == 0


@pytest.mark.golden
def test_golden_hifive__files_of_bam_and_raw_reads_combine(tmp_path: Path, shared: Path) -> None:
    folder = shared / "golden/hifive-tests"
    names = ("test_import_bam.hcd", "test_import_raw.hcd", "test_import_mat.hcd")
    for name in ("test.fends", *names):
        shutil.copy(folder / name, tmp_path / name)
    inputs = [hd.HiCData(tmp_path / name, silent=True) for name in names]
    assert [len(data.insert_distribution) for data in inputs] == [92, 182, 0]
    both = combined(tmp_path / "both.zarr", *inputs)
    assert both.insert_distribution.shape == (182, 2)
    expected = inputs[1].insert_distribution[:, 0].copy()
    expected[:92] += inputs[0].insert_distribution[:, 0]
    assert both.insert_distribution[:, 0].tolist() == expected.tolist()
    for name in ("cis_data", "trans_data"):
        pairs: Counter[tuple[int, int]] = Counter()
        for data in inputs:
            for a, b, n in data[name].tolist():
                pairs[a, b] += n
        assert {(a, b): n for a, b, n in both[name].tolist()} == dict(pairs)
    assert both.stats["total_reads"] == sum(data.stats["total_reads"] for data in inputs)


# Errors


def test_errors__are_raised_before_work_and_leave_what_was_there(tmp_path: Path) -> None:
    fends = make_fends(tmp_path / "g.zarr", G2)
    one, two = (load(tmp_path / f"{n}.zarr", fends, T22[k:]) for k, n in enumerate("ab"))
    before = files_of(tmp_path)

    def attempt(error: type[HifiveDaskError], message: str, target: str, *names: str) -> None:
        data = hd.HiCData(tmp_path / target, "w", silent=True)
        with pytest.raises(error, match=message):
            data.combine([tmp_path / name for name in names])
        assert files_of(tmp_path) == before

    attempt(ParameterError, "1 stores were given, expected at least two", "c.zarr", "a.zarr")
    attempt(ParameterError, "b.zarr is one of the stores to combine", "b.zarr", "a.zarr", "b.zarr")
    attempt(StoreError, "no such store", "c.zarr", "a.zarr", "none.zarr")
    attempt(StoreError, "holds 'fends' and would be replaced", "g.zarr", "a.zarr", "b.zarr")
    link = tmp_path / "link.zarr"
    link.symlink_to(tmp_path / "a.zarr")
    before = files_of(tmp_path)
    attempt(ParameterError, "one of the stores to combine", "link.zarr", "a.zarr", "b.zarr")
    shutil.rmtree(tmp_path / "b.zarr" / "count" / "c")
    before = files_of(tmp_path)
    attempt(StoreError, "the store is damaged", "c.zarr", "a.zarr", "b.zarr")
    assert one.token != two.token


def test_duplicates__found_in_different_ways_are_a_warning(tmp_path: Path) -> None:
    fends = make_fends(tmp_path / "g.zarr", G1)
    reads = write_reads(tmp_path / "reads.raw", parse("chr1 1900 + / chr1 3900 +"))
    others = write_reads(tmp_path / "others.raw", parse("chr1 1900 + / chr1 3100 -"))
    for name, path, mismatch in (("a", reads, 0), ("b", others, 3)):
        data = hd.HiCData(tmp_path / f"{name}.zarr", "w", silent=True)
        data.load_data_from_raw(fends, path, 500, dedup_mismatch=mismatch)
        data.save()
    both = hd.HiCData(tmp_path / "both.zarr", "w", silent=True)
    match = r"dedup_mismatch=0 \(.*a.zarr\), dedup_mismatch=3 \(.*b.zarr\); count all alike"
    with pytest.warns(InputWarning, match=match):
        both.combine([tmp_path / "a.zarr", tmp_path / "b.zarr"])


def test_overflow__is_an_error_that_names_the_pair(tmp_path: Path) -> None:
    stores = [in_memory({(0, 4): 2**31 - 2}), in_memory({(0, 4): 1}), in_memory({(0, 4): 1})]
    add(tmp_path / "a.zarr", *stores[:2])
    with pytest.raises(InputError, match="bins 0 and 4 has 2,147,483,648 reads"):
        add(tmp_path / "b.zarr", *stores)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_histograms__with_other_rows_are_refused(tmp_path: Path) -> None:
    odd = PairStore.from_memory(
        (np.array([0]), np.array([4]), np.array([1])),  # type: ignore[arg-type]
        OFFSET,
        stats={},
        insert_distribution=np.array([[1, 0], [2, 10]]),
        token="",
    )
    with pytest.raises(StoreError, match=r"store 2 of 2, .*: the insert-size histogram has 2 rows"):
        add(tmp_path / "a.zarr", in_memory({(0, 4): 1}), odd)


def test_difference__of_order_and_bins_is_explained() -> None:
    turned = fend_partition({"chr2": G1["chr2"], "chr1": G1["chr1"]})
    assert "another order" in explain_difference(fend_partition(G1), turned)
    bins = [bin_partition({"chr1": 1000}, size) for size in (100, 50)]
    assert "chr1 has 10 bins in one and 20" in explain_difference(*bins)


# The command


def test_command__combines_and_says_what_it_did(tmp_path: Path) -> None:
    fends = make_fends(tmp_path / "g.zarr", G2)
    one, two = (load(tmp_path / f"{n}.zarr", fends, T22[k:], 500) for k, n in enumerate("ab"))
    out = tmp_path / "c.zarr"
    run = CliRunner().invoke
    result = run(main, ["combine", one.file, two.file, "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert "Read pairs of 2 stores" in result.output
    assert "valid cis reads" in result.output
    assert "c.zarr is complete." in result.output
    assert hd.HiCData(out).stats["total_reads"] == 13
    for arguments, message in (
        ([one.file, "-o", str(out)], "at least two"),
        ([one.file, two.file, "-o", one.file], "is an input of this command"),
    ):
        failed = run(main, ["combine", *arguments])
        assert failed.exit_code == 2
        assert message in failed.stderr
