"""Counted pairs to pair stores: the pipeline of counts, and mat files."""

from __future__ import annotations

import gzip
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import HifiveDaskError, InputError, InputWarning, ParameterError
from hifive_dask.genome.partition import Partition
from hifive_dask.provenance import History
from hifive_dask.reads.export import write_mat
from hifive_dask.reads.mat import MatCounts
from hifive_dask.reads.pipeline import load_counts
from hifive_dask.reads.source import CountSource, UnitCounts

from .worlds import G1, G2, bin_partition, fend_partition, files_of, units

Triple = tuple[int, int, int]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


@dataclass(frozen=True)
class ListJob:
    rows: tuple[Triple, ...]
    unknown: int = 0
    outside: int = 0

    def __call__(self) -> UnitCounts:
        first, second, reads = np.array(self.rows, dtype=np.int64).reshape(-1, 3).T
        return UnitCounts(first, second, reads, self.unknown, self.outside)


@dataclass(frozen=True)
class ListCounts:
    """A source of pairs in memory."""

    jobs: Sequence[ListJob]
    in_fends: bool
    rows: int = 1

    def prepare(self, spill: str, silent: bool) -> Sequence[ListJob]:
        assert Path(spill).is_dir()
        return self.jobs

    def name(self) -> str:
        return "counts in memory"

    def explain(self, partition: Partition, stats: Mapping[str, int]) -> HifiveDaskError:
        return InputError(f"nothing of {stats['total_reads']}")


def load(
    target: Path, partition: Partition, source: CountSource, tiles: int | None = None
) -> PairStore:
    load_counts(
        target, partition, source, history=History(), call=("test", {}), attributes={},
        silent=True, tiles=tiles,
    )  # fmt: skip
    return PairStore.open(target)


def triples(store: PairStore) -> list[Triple]:
    """All rows in the order of the store."""
    return [tuple(map(int, row)) for row in zip(*store.rows_of(0, len(store))(), strict=True)]  # type: ignore[misc]


def nonzero(store: PairStore) -> dict[str, int]:
    return {name: n for name, n in store.stats.items() if n}


def add_up(
    partition: Partition, rows: Sequence[Triple], *, in_fends: bool
) -> tuple[dict[tuple[int, int], int], Counter[str]]:
    """Plain oracle of `load_counts`."""
    of = partition.fends if in_fends else partition.bins
    assert of is not None
    sums: Counter[tuple[int, int]] = Counter()
    for a, b, n in rows:
        sums[min(a, b), max(a, b)] += n
    stats: Counter[str] = Counter(total_reads=sums.total())
    result: Counter[tuple[int, int]] = Counter()
    for (a, b), n in sums.items():
        cis = of.chromosome[a] == of.chromosome[b]
        if cis and in_fends and a // 2 == b // 2:
            stats["same_fragment"] += n
        elif cis and in_fends and abs(a // 2 - b // 2) == 1 and a % 2 != b % 2:
            stats["failed_cut"] += n
        else:
            stats[f"valid_{'cis' if cis else 'trans'}_reads"] += n
            stats[f"valid_{'cis' if cis else 'trans'}_pairs"] += 1
            if in_fends and partition.bins is not None:
                a, b = int(partition.fend_bin[a]), int(partition.fend_bin[b])
            result[a, b] += n
    return dict(result), stats


ARBITRARY = Partition(
    None,
    units(
        {"a": [(0, 10), (10, 500), (700, 720)], "b": [(5, 6)], "c": [(0, 1), (1, 9)]}, fends=False
    ),
    0,
)
WORLDS: dict[str, tuple[Partition, bool]] = {
    "fends": (fend_partition(G2), True),
    "fends counted in bins": (fend_partition(G2, 700), True),
    "bins made from fends": (fend_partition(G2, 700), False),
    "uniform bins": (bin_partition({"chr1": 4000, "chr2": 2000, "chr3": 3000}, 300), False),
    "arbitrary bins": (ARBITRARY, False),
}


@given(
    world=st.sampled_from(sorted(WORLDS)),
    numbers=st.lists(
        st.tuples(st.integers(0, 29), st.integers(0, 29), st.integers(1, 2**31 - 1) | st.just(1)),
        min_size=1,
        max_size=60,
    ),
    jobs=st.integers(1, 5),
    tiles=st.integers(1, 9),
    lost=st.tuples(st.integers(0, 2**40), st.integers(0, 3)),
)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_counts__equal_oracle_for_any_partition_of_the_work(
    tmp_path_factory: pytest.TempPathFactory,
    world: str,
    numbers: list[Triple],
    jobs: int,
    tiles: int,
    lost: tuple[int, int],
) -> None:
    partition, in_fends = WORLDS[world]
    of = partition.fends if in_fends else partition.bins
    assert of is not None
    rows = [(a % len(of), b % len(of), n) for a, b, n in numbers]
    pieces = [ListJob(tuple(rows[k::jobs])) for k in range(jobs)]
    source = ListCounts([*pieces, ListJob((), *lost)], in_fends)
    expected, stats = add_up(partition, rows, in_fends=in_fends)
    target = tmp_path_factory.mktemp("counts") / "d.zarr"
    if not expected:
        with pytest.raises(InputError, match="nothing of"):
            load(target, partition, source, tiles)
        return
    if max(expected.values()) >= 2**31:
        with pytest.raises(InputError, match=r"more than 2,147,483,647"):
            load(target, partition, source, tiles)
        return
    valid = stats["valid_cis_reads"] + stats["valid_trans_reads"]
    if valid < 0.01 * (stats["total_reads"] + sum(lost)):
        with pytest.raises(InputError, match="expected most of them, and at least 1 %"):
            load(target, partition, source, tiles)
        return
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", InputWarning
        )  # of reads that are lost; tests/test_sites.py looks
        store = load(target, partition, source, tiles)
    assert {(a, b): n for a, b, n in triples(store)} == expected
    owner = partition.units.chromosome
    order = [(owner[a], owner[b], a, b) for a, b, _ in triples(store)]
    assert order == sorted(set(order))
    stats += Counter(total_reads=sum(lost), chr_not_in_fends=lost[0], out_of_bounds=lost[1])
    assert nonzero(store) == {name: n for name, n in stats.items() if n}
    assert list(target.parent.iterdir()) == [target]


def test_counts__above_int32_name_the_pair(tmp_path: Path) -> None:
    rows = ((0, 4, 2**31 - 1), (4, 0, 1))
    source = ListCounts([ListJob(rows)], in_fends=True)
    with pytest.raises(InputError, match=r"bins 0 and 4 has 2,147,483,648 reads, more than"):
        load(tmp_path / "d.zarr", fend_partition(G1), source)
    largest = ListCounts([ListJob(rows[:1])], in_fends=True)
    assert triples(load(tmp_path / "d.zarr", fend_partition(G1), largest)) == [(0, 4, 2**31 - 1)]


def test_counts__same_bytes_on_every_scheduler(tmp_path: Path, on_every_scheduler: Any) -> None:
    rng = np.random.default_rng(3)
    partition, in_fends = WORLDS["fends counted in bins"]
    rows = rng.integers([0, 0, 1], [14, 14, 9], (300, 3)).tolist()
    jobs = [ListJob(tuple(map(tuple, rows[k::4])), k) for k in range(4)]

    def store(scheduler: str) -> dict[str, bytes]:
        target = tmp_path / f"{scheduler}.zarr"
        load(target, partition, ListCounts(jobs, in_fends), 5)
        return files_of(target)

    one, threads, processes = on_every_scheduler(store)
    assert one == threads == processes


# mat files


def mat(rows: Sequence[Sequence[object]]) -> str:
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


def load_mat(
    directory: Path,
    text: str | bytes,
    partition: Partition | None = None,
    basefend: int = 0,
    block_bytes: int = 1 << 20,
) -> PairStore:
    path = directory / "x.mat"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    partition = partition or fend_partition(G1)
    source = MatCounts(path, partition, basefend, block_bytes=block_bytes)
    return load(directory / f"d{len(list(directory.iterdir()))}.zarr", partition, source)


T28 = [(0, 4, 2), (4, 0, 5), (1, 7, 3), (7, 1, 1), (5, 0, 1)]


def test_t28_repeated_pairs_add_up(tmp_path: Path) -> None:
    store = load_mat(tmp_path, mat(T28))
    assert triples(store) == [(0, 4, 7), (0, 5, 1), (1, 7, 4)]
    assert nonzero(store) == {
        "total_reads": 12, "valid_cis_reads": 8, "valid_trans_reads": 4, "valid_cis_pairs": 2,
        "valid_trans_pairs": 1,
    }  # fmt: skip


def test_t28_impossible_pairs_are_removed(tmp_path: Path) -> None:
    rows = [
        (0, 0, 1), (0, 1, 2), (1, 0, 3), (0, 3, 4), (1, 2, 5), (0, 2, 6), (1, 3, 7), (5, 5, 8),
        (4, 5, 9), (2, 5, 10), (3, 4, 11),
    ]  # fmt: skip
    store = load_mat(tmp_path, mat(rows))
    assert triples(store) == [(0, 2, 6), (1, 3, 7)]
    assert (store.stats["same_fragment"], store.stats["failed_cut"]) == (23, 30)
    assert store.stats["total_reads"] == 66


@pytest.mark.parametrize("block_bytes", [5, 1 << 20])
@pytest.mark.parametrize(
    "text",
    [
        "1\t5\t2\n",
        "fend1\tfend2\tcount\n1\t5\t2\n",
        "\n# of an experiment\nfend1\tfend2\tcount\n\n1\t5\t1\n  \n5\t1\t1\n\n",
        "fend1\tfend2\tcount\n1\t5\t1\nfend1\tfend2\tcount\n1\t5\t1\n",
        "1\t5\t2\tmore\n2\t3\t0\n",
        "a\tb\tc\td\r\n1\t5\t1\tx\r\n1\t5\t1\r\n",
        "1\t5\t1\n5\t1\t1",
    ],
)
def test_t29_headers_and_blank_lines_are_skipped(
    tmp_path: Path, text: str, block_bytes: int
) -> None:
    store = load_mat(tmp_path, text, basefend=1, block_bytes=block_bytes)
    assert triples(store) == [(0, 4, 2)]
    packed = load_mat(tmp_path, gzip.compress(text.encode()), basefend=1, block_bytes=block_bytes)
    assert packed.token == store.token


def test_mat__numbers_are_those_of_bins_without_fends(tmp_path: Path) -> None:
    bins = bin_partition({"chr1": 100, "chr2": 60}, 50)
    store = load_mat(tmp_path, mat([(0, 0, 1), (1, 0, 2), (3, 1, 4), (0, 1, 1)]), bins)
    assert triples(store) == [(0, 0, 1), (0, 1, 3), (1, 3, 4)]
    with pytest.raises(InputError, match=r"x\.mat:1: bin 4 lies outside 0 to 3"):
        load_mat(tmp_path, mat([(0, 4, 1)]), bins)


@pytest.mark.parametrize(
    ("lines", "basefend", "message"),
    [
        ("0\tx\t1", 0, r"x\.mat:3: 'x' is not a whole number; the line is '0\\tx\\t1'"),
        ("0\t4\t2.0", 0, r"x\.mat:3: '2\.0' is not a whole number"),
        ("0\t0x4\t2", 0, r"x\.mat:3: '0x4' is not a whole number"),
        ("0\t1_0\t2", 0, r"x\.mat:3: '1_0' is not a whole number"),
        ("zero\t4\t2", 0, r"x\.mat:3: 'zero' is not a whole number"),
        ("0\t4\t-2", 0, r"x\.mat:3: the count -2 lies outside 0 to 2147483647"),
        ("0\t4\t2147483648", 0, r"x\.mat:3: the count 2147483648 lies outside"),
        ("0\t4", 0, r"x\.mat:3: has 2 tab-separated column\(s\), expected fend1, fend2, count"),
        ("0 4 1", 0, r"x\.mat:3: has 1 tab-separated column\(s\)"),
        ("-1\t4\t2", 0, r"x\.mat:3: fend -1 lies outside 0 to 9 \(basefend=0\)"),
        ("1\t12\t2", 0, r"x\.mat:3: fend 12 lies .*\s+is the file of another partition\?"),
        ("1\t10\t2", 0, r"x\.mat:3: fend 10 lies .*\s+if its fends are numbered from 1.*=1"),
        ("0\t5\t2", 1, r"x\.mat:3: fend 0 lies .*\s+if its fends are numbered from 0.*basefend=0"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("block_bytes", [9, 1 << 20])
def test_mat__faulty_line_is_named(
    tmp_path: Path, lines: str, basefend: int, message: str, block_bytes: int
) -> None:
    text = f"fend1\tfend2\tcount\n1\t5\t1\n{lines}\n1\t5\t1\n"
    with pytest.raises(InputError, match=message):
        load_mat(tmp_path, text, basefend=basefend, block_bytes=block_bytes)
    assert [path.name for path in tmp_path.iterdir()] == ["x.mat"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n", "holds no pairs"),
        ("fend1\tfend2\tcount\n", "only a header"),
        ("0\t4\t0\n", "holds no reads"),
        ("0\t1\t3\n", r"no read pair was accepted \(total_reads 3, same_fragment 3\)"),
        ("bin1\tbin2\tcount\n0\t4\t1\n", "names bins, but the partition has fends only"),
    ],
)
def test_mat__without_pairs_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_mat(tmp_path, text)


@pytest.mark.parametrize("basefend", [500, -1, 0.5, True, None])
def test_mat__basefend_is_checked(tmp_path: Path, basefend: Any) -> None:
    with pytest.raises(ParameterError, match=re.escape(f"basefend is {basefend!r}")):
        MatCounts(tmp_path / "x.mat", fend_partition(G1), basefend)


# Export


@given(
    world=st.sampled_from(["fends", "fends counted in bins", "uniform bins"]),
    numbers=st.lists(st.tuples(*[st.integers(0, 29)] * 2, st.integers(1, 9)), min_size=1),
    rows=st.integers(1, 40),
)
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_t41_export__can_be_loaded_again_and_is_sorted(
    tmp_path_factory: pytest.TempPathFactory, world: str, numbers: list[Triple], rows: int
) -> None:
    partition, in_fends = WORLDS[world]
    of = partition.fends if in_fends else partition.bins
    assert of is not None
    job = ListJob((*((a % len(of), b % len(of), n) for a, b, n in numbers), (0, 6, 1)))
    directory = tmp_path_factory.mktemp("export")
    store = load(directory / "d.zarr", partition, ListCounts([job], in_fends))
    write_mat(directory / "x.mat", store, partition.units, silent=True, rows=rows)
    header, *lines = (directory / "x.mat").read_text().splitlines()
    assert header == ("bin1\tbin2\tcount" if partition.bins is not None else "fend1\tfend2\tcount")
    assert [tuple(map(int, line.split("\t"))) for line in lines] == sorted(triples(store))
    again = load(directory / "e.zarr", partition, MatCounts(directory / "x.mat", partition))
    assert triples(again) == triples(store)


def test_export__replaces_only_when_complete(tmp_path: Path) -> None:
    fend = hd.Fend(tmp_path / "g.zarr", "w", silent=True)
    (tmp_path / "s.bed").write_text("".join(f"a\t{k}\t{k + 6}\n" for k in (1000, 2000, 3000)))
    fend.load_fends(tmp_path / "s.bed")
    fend.save()
    (tmp_path / "x.mat").write_text("0\t2\t3\n")
    data = hd.HiCData(tmp_path / "d.hcd", "w", silent=True)
    data.load_data_from_mat(fend.file, tmp_path / "x.mat")
    data.save()
    hd.HiCData(tmp_path / "d.hcd", silent=True).export_to_mat(tmp_path / "x.mat")
    assert (tmp_path / "x.mat").read_text() == "fend1\tfend2\tcount\n0\t2\t3\n"
    with pytest.raises(HifiveDaskError, match="does not exist; make it first"):
        data.export_to_mat(tmp_path / "none" / "x.mat")
    assert "load_data_from_mat(fendfilename='g.zarr', filelist=['x.mat'], basefend=0)" in (
        data.history
    )


# Reference results


@pytest.mark.golden
@pytest.mark.parametrize(
    ("fends", "source", "basefend", "reference"),
    [
        ("test.fends", "test.mat", 0, "test_import_mat.hcd"),
        ("test_binned.fends", "test.mat", 0, "test_import_bin_mat.hcd"),
        ("test.fends", "test_full.mat", 1, "test.hcd"),
        ("test_bin.fends", "test_full.mat", 1, "test_bin.hcd"),
    ],
)
def test_golden_hifive__mat_import(
    tmp_path: Path, shared: Path, fends: str, source: str, basefend: int, reference: str
) -> None:
    folder = shared / "golden/hifive-tests"
    data = hd.HiCData(tmp_path / "d.zarr", "w", silent=True)
    data.load_data_from_mat(folder / fends, folder / source, basefend)
    with h5py.File(folder / reference) as theirs:
        bins = theirs["cis_indices"].shape != data.cis_indices.shape
        for name in ("cis_data", "trans_data", "cis_indices", "trans_indices"):
            wanted = theirs[name][...]
            if name.endswith("indices") and bins:  # theirs have the length of the fends
                wanted = wanted[: len(data.units) + 1]
            np.testing.assert_array_equal(data[name], wanted)
        stats = {name.decode(): int(n) for name, n in theirs["stats"][...]}
        assert {name: data.stats[name] for name in stats} == stats
