"""Reads to pair stores: the numbers of the specification, and properties of the pipeline."""

from __future__ import annotations

import gzip
import io
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import InputError, ParameterError
from hifive_dask.genome.partition import Partition
from hifive_dask.provenance import History
from hifive_dask.reads.detect import detect_format
from hifive_dask.reads.fragments import FragmentEdges
from hifive_dask.reads.lines import TextReads
from hifive_dask.reads.pipeline import load_reads
from hifive_dask.schema import MARKED, STATISTICS

from .worlds import (
    G1,
    G2,
    Read,
    bin_partition,
    count_reads,
    fend_partition,
    files_of,
    lines,
    parse,
    units,
    write_reads,
)

CONSERVED = (*STATISTICS[1:9], *MARKED[:3])


@pytest.fixture(autouse=True)
def _threads() -> object:
    with dask.config.set(scheduler="sync"):
        yield


def load(
    directory: Path,
    partition: Partition,
    files: Sequence[Sequence[Read] | Path],
    maxinsert: int | None,
    *,
    dedup: str = "library",
    base: int = 1,
    format: str = "raw",
    block_bytes: int = 1 << 20,
    tiles: int | None = None,
    edges: FragmentEdges | None = None,
) -> PairStore:
    paths = [
        item
        if isinstance(item, Path)
        else write_reads(directory / f"reads{len(list(directory.iterdir()))}.raw", item)
        for item in files
    ]
    target = directory / f"pairs{len(list(directory.iterdir()))}.zarr"
    load_reads(
        target,
        partition,
        TextReads(
            paths,
            format,  # type: ignore[arg-type]
            base=base,
            edges=edges,
            block_bytes=block_bytes,
        ),
        maxinsert=maxinsert,
        dedup=dedup,  # type: ignore[arg-type]
        history=History(),
        call=("test", {}),
        attributes={},
        silent=True,
        tiles=tiles,
    )
    return PairStore.open(target)


def pairs(store: PairStore, *, cis: bool) -> list[tuple[int, int, int]]:
    rows = [
        tuple(map(int, row))
        for (a, b), (lo, hi) in store.blocks.items()
        for row in zip(*store.rows_of(lo, hi)(), strict=True)
        if (a == b) == cis
    ]
    return sorted(rows)  # type: ignore[return-value]


def nonzero(store: PairStore) -> dict[str, int]:
    return {name: n for name, n in store.stats.items() if n}


def histogram(store: PairStore) -> dict[int, int]:
    edges = store.insert_distribution
    return {int(edge): int(n) for n, edge in edges if n}


MATE = "chr2 1400 +"


@pytest.mark.parametrize(
    ("end", "fend"),
    [
        ("chr1 999 +", None), ("chr1 1000 -", None), ("chr1 1001 +", 1), ("chr1 1001 -", 0),
        ("chr1 1999 +", 1), ("chr1 2000 +", 1), ("chr1 2000 -", 0), ("chr1 2001 +", 3),
        ("chr1 2001 -", 2), ("chr1 4000 +", 5), ("chr1 4000 -", 4), ("chr1 4001 +", None),
    ],
)  # fmt: skip
def test_t13_assignment_of_ends(tmp_path: Path, end: str, fend: int | None) -> None:
    reads = parse(f"{end} / {MATE}, chr1 1900 + / chr1 3900 +")
    store = load(tmp_path, fend_partition(G1), [reads], 100000)
    assert pairs(store, cis=False) == ([] if fend is None else [(fend, 7, 1)])
    assert store.stats["out_of_bounds"] == (fend is None)


def test_t14_insert_size_limit_is_inclusive(tmp_path: Path) -> None:
    reads = parse(f"chr1 1900 + / {MATE}, chr1 1999 + / chr1 3999 +")
    store = load(tmp_path, fend_partition(G1), [reads], 200)
    assert pairs(store, cis=False) == [(1, 7, 1)]
    assert store.insert_distribution[31].tolist() == [1, 200]
    store = load(tmp_path, fend_partition(G1), [reads], 199)
    assert store.stats["insert_size"] == 1
    assert pairs(store, cis=False) == []
    assert store.insert_distribution[31].tolist() == [1, 200]


@pytest.mark.parametrize(
    ("end", "bases"),
    [
        ("chr1 1900 +", range(1900, 2001)), ("chr1 2000 +", range(2000, 2001)),
        ("chr1 2100 -", range(2001, 2101)), ("chr1 2001 -", range(2001, 2002)),
    ],
)  # fmt: skip
def test_insert_size__is_the_length_of_the_molecule_less_one_for_each_plus_end(
    tmp_path: Path, end: str, bases: range
) -> None:
    # The cut at 2000 is behind base 2000, counted from 1; that of the mate at 1500 behind 1500.
    for mate, rest in (("chr2 1400 +", range(1400, 1501)), ("chr2 1700 -", range(1501, 1701))):
        molecule = len(bases) + len(rest)
        insert = molecule - f"{end} {mate}".count("+")
        reads = parse(f"{end} / {mate}")
        assert load(tmp_path, fend_partition(G1), [reads], insert).stats["insert_size"] == 0
        with pytest.raises(InputError, match="insert_size 1"):
            load(tmp_path, fend_partition(G1), [reads], insert - 1)


def test_t15_orientations(tmp_path: Path) -> None:
    reads = parse(
        "chr1 1100 - / chr1 1900 +, chr1 1100 + / chr1 1900 -, chr1 1100 + / chr1 1900 +,"
        "chr1 1100 - / chr1 2900 +, chr1 1900 + / chr1 2100 -, chr1 1900 + / chr1 2900 +,"
        "chr1 1100 - / chr1 2100 -, chr1 1100 - / chr1 3900 +, chr1 1900 + / chr1 3100 -"
    )
    store = load(tmp_path, fend_partition(G1), [reads], 100000)
    assert pairs(store, cis=True) == [(0, 2, 1), (0, 5, 1), (1, 3, 1), (1, 4, 1)]
    assert nonzero(store) == {
        "total_reads": 9, "same_fragment": 3, "failed_cut": 2, "valid_cis_reads": 4,
        "valid_cis_pairs": 4,
    }  # fmt: skip


def test_t16_duplicates(tmp_path: Path) -> None:
    reads = parse(
        "chr1 1900 + / chr1 2900 +, chr1 2900 + / chr1 1900 +, chr1 1900 + / chr1 2901 +,"
        "chr2 2400 + / chr1 1100 -"
    )
    store = load(tmp_path, fend_partition(G1), [reads], 500)
    assert pairs(store, cis=True) == [(1, 3, 2)]
    assert pairs(store, cis=False) == [(0, 9, 1)]
    assert (store.stats["pcr_duplicates"], store.stats["total_reads"]) == (1, 4)
    assert histogram(store) == {191: 1, 200: 2}


T17 = [
    parse(
        "chr1 1900 + / chr1 2900 +, chr1 1900 + / chr1 2900 +, chr1 2900 + / chr1 1900 +,"
        "chr1 1900 + / chr1 2900 -"
    ),
    parse("chr1 1900 + / chr1 2900 +"),
]


@pytest.mark.parametrize(
    ("dedup", "reads", "duplicates", "row31"),
    [("file", 2, 2, 2), ("library", 1, 3, 1), ("none", 4, 2, 2)],
)
def test_t17_t18_duplicates_of_several_files(
    tmp_path: Path, dedup: str, reads: int, duplicates: int, row31: int
) -> None:
    store = load(tmp_path, fend_partition(G1), T17, 5000, dedup=dedup)
    assert pairs(store, cis=True) == [(1, 3, reads)]
    assert store.stats["pcr_duplicates"] == duplicates
    assert store.stats["failed_cut"] == 1
    assert store.stats["total_reads"] == 5
    assert histogram(store) == {200: row31, 992: 1}


def test_t19_unknown_chromosomes_are_counted(tmp_path: Path) -> None:
    reads = parse("chrM 5 + / chr1 1900 -, chr1 1900 + / chr1 2900 +")
    store = load(tmp_path, fend_partition(G1), [reads], 500)
    assert pairs(store, cis=True) == [(1, 3, 1)]
    assert (store.stats["chr_not_in_fends"], store.stats["total_reads"]) == (1, 2)


T22 = parse(
    "chr1 1100 - / chr2 600 -, chr1 1100 - / chr3 200 -, chr1 3900 + / chr2 600 -,"
    "chr1 3900 + / chr3 200 -, chr2 600 - / chr3 200 -, chr1 1900 + / chr1 3900 +,"
    "chr1 1100 - / chr1 2100 -"
)


def test_t22_three_chromosomes(tmp_path: Path) -> None:
    store = load(tmp_path, fend_partition(G2), [T22], 500)
    assert pairs(store, cis=True) == [(0, 2, 1), (1, 5, 1)]
    assert pairs(store, cis=False) == [(0, 6, 1), (0, 10, 1), (5, 6, 1), (5, 10, 1), (6, 10, 1)]


def test_t23_fends_in_bins(tmp_path: Path) -> None:
    store = load(tmp_path, fend_partition(G2, 1000), [T22], 500)
    assert pairs(store, cis=True) == [(0, 1, 1), (0, 2, 1)]
    assert pairs(store, cis=False) == [(0, 3, 1), (0, 6, 1), (2, 3, 1), (2, 6, 1), (3, 6, 1)]


BINS = bin_partition({"chr1": 100, "chr2": 60}, 50)


def test_t24_t27_uniform_bins(tmp_path: Path) -> None:
    reads = parse(
        "chr1 0 + / chr1 49 +, chr1 50 + / chr1 99 -, chr1 100 + / chr1 10 +,"
        "chr2 10 + / chr1 60 -, chr2 59 + / chr2 99 +"
    )
    store = load(tmp_path, BINS, [reads], 30, base=0)
    assert pairs(store, cis=True) == [(0, 0, 1), (1, 1, 1), (3, 3, 1)]
    assert pairs(store, cis=False) == [(1, 2, 1)]
    assert (store.stats["out_of_bounds"], store.stats["total_reads"]) == (1, 5)
    assert histogram(store) == {}
    higher = [(c1, p1 + 1, s1, c2, p2 + 1, s2) for c1, p1, s1, c2, p2, s2 in reads]
    assert pairs(load(tmp_path, BINS, [higher], 30), cis=True) == pairs(store, cis=True)


def test_t26_gaps_between_bins_are_out_of_bounds(tmp_path: Path) -> None:
    bins = Partition(None, units({"chr1": [(0, 100), (200, 300)]}, fends=False), 0)
    reads = parse("chr1 0 + / chr1 99 +, chr1 100 + / chr1 0 +, chr1 199 + / chr1 0 +,"
                  "chr1 200 + / chr1 299 -, chr1 300 - / chr1 0 +")  # fmt: skip
    store = load(tmp_path, bins, [reads], 30, base=0)
    assert pairs(store, cis=True) == [(0, 0, 1), (1, 1, 1)]
    assert (store.stats["out_of_bounds"], store.stats["total_reads"]) == (3, 5)


def test_t25_insert_filter_of_bins(tmp_path: Path) -> None:
    reads = parse(
        "chr1 10 + / chr1 40 -, chr1 10 + / chr1 41 -, chr1 11 - / chr1 40 +,"
        "chr1 11 + / chr1 40 +, chr1 12 - / chr1 40 -, chr2 10 + / chr1 12 -"
    )
    store = load(tmp_path, BINS, [reads], 30, base=0)
    assert (pairs(store, cis=True), pairs(store, cis=False)) == ([(0, 0, 3)], [(0, 2, 1)])
    assert (store.stats["insert_size"], store.stats["total_reads"]) == (2, 6)
    store = load(tmp_path, BINS, [reads[:3]], None, base=0)
    assert (pairs(store, cis=True), store.stats["insert_size"]) == ([(0, 0, 3)], 0)


READ = st.tuples(
    st.sampled_from(["chr1", "chr2", "chr3", "chrM"]),
    st.integers(90, 4100),
    st.sampled_from("+-"),
    st.sampled_from(["chr1", "chr2", "chr3"]),
    st.integers(90, 4100),
    st.sampled_from("+-"),
)
PARTITIONS = {
    "fends": fend_partition(G2),
    "fends in bins": fend_partition(G2, 700),
    "bins": bin_partition({"chr1": 4000, "chr2": 2000, "chr3": 3000}, 300),
}


@given(
    kind=st.sampled_from(sorted(PARTITIONS)),
    files=st.lists(st.lists(READ, min_size=1, max_size=30), min_size=1, max_size=3),
    repeats=st.integers(1, 2),
    dedup=st.sampled_from(["library", "file", "none"]),
    maxinsert=st.sampled_from([None, 300, 2000]),
    block_bytes=st.integers(20, 400),
    tiles=st.integers(1, 9),
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_t20_t45_pairs_equal_oracle_for_any_partition_of_the_work(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    files: list[list[Read]],
    repeats: int,
    dedup: str,
    maxinsert: int | None,
    block_bytes: int,
    tiles: int,
) -> None:
    partition = PARTITIONS[kind]
    files = [reads * repeats for reads in files]
    expected, stats, inserts = count_reads(partition, files, maxinsert, dedup=dedup)
    directory = tmp_path_factory.mktemp("reads")
    options = {"dedup": dedup, "block_bytes": block_bytes, "tiles": tiles}
    if not expected:
        with pytest.raises(InputError):
            load(directory, partition, files, maxinsert, **options)  # type: ignore[arg-type]
        assert not list(directory.glob("*.zarr/.*"))
        return
    store = load(directory, partition, files, maxinsert, **options)  # type: ignore[arg-type]
    counted = pairs(store, cis=True) + pairs(store, cis=False)
    assert {(a, b): n for a, b, n in counted} == expected
    assert len(counted) == len(expected) == len(store)
    assert nonzero(store) == {name: n for name, n in stats.items() if n}
    lost = 0 if dedup != "none" else store.stats["pcr_duplicates"]
    assert store.stats["total_reads"] == sum(store.stats[k] for k in CONSERVED) - lost
    assert store.insert_distribution[:, 0].sum() == inserts.total()
    for (a, b), (lo, hi) in store.blocks.items():
        first, second, _ = store.rows_of(lo, hi)()
        code = first.astype(np.int64) << 32 | second
        assert np.all(np.diff(code) > 0)
        owner = partition.units.chromosome
        assert set(owner[first]) == {a}
        assert set(owner[second]) == {b}


def bgzip(path: Path, text: bytes, size: int = 64) -> Path:
    """Write blocked gzip with blocks of `size` bytes of text."""
    with path.open("wb") as handle:
        for piece in [*(text[k : k + size] for k in range(0, len(text), size)), b""]:
            engine = zlib.compressobj(6, zlib.DEFLATED, -15)
            packed = engine.compress(piece) + engine.flush()
            head = b"\x1f\x8b\x08\x04" + bytes(6) + struct.pack("<H", 6) + b"BC\x02\x00"
            handle.write(head + struct.pack("<H", len(packed) + 25) + packed)
            handle.write(struct.pack("<II", zlib.crc32(piece), len(piece)))
    return path


HEADER = "## pairs format v1.0\n#chromsize: chr1 5000\n#columns: {}\n"


def pairs_text(reads: Sequence[Read], columns: str) -> bytes:
    names = columns.split()
    rows = []
    for c1, p1, s1, c2, p2, s2 in reads:
        cells = {"readID": "r", "chrom1": c1, "pos1": p1, "strand1": s1, "pair_type": "UU"}
        cells |= {"chrom2": c2, "pos2": p2, "strand2": s2, "chr1": c1, "chr2": c2}
        rows.append("\t".join(str(cells[name]) for name in names))
    return (HEADER.format(columns) + "\n".join(rows) + "\n").encode()


@pytest.mark.parametrize("packing", ["plain", "gzip", "two members", "bgzip", "crlf", "no newline"])
@pytest.mark.parametrize(
    "columns",
    [
        "readID chrom1 pos1 chrom2 pos2 strand1 strand2",
        "readID chr1 pos1 chr2 pos2 strand1 strand2 pair_type",
        "strand2 pos2 chrom2 chrom1 pair_type strand1 pos1",
    ],
)
def test_pairs_files__columns_and_packing_do_not_matter(
    tmp_path: Path, packing: str, columns: str
) -> None:
    text = pairs_text(T22, columns)
    path = tmp_path / "reads.pairs"
    if packing == "plain":
        path.write_bytes(text)
    elif packing == "gzip":
        path.write_bytes(gzip.compress(text))
    elif packing == "two members":
        path.write_bytes(gzip.compress(text[:100]) + gzip.compress(text[100:]))
    elif packing == "crlf":
        path.write_bytes(text.replace(b"\n", b"\r\n"))
    elif packing == "no newline":
        path.write_bytes(text[:-1])
    else:
        bgzip(path, text)
    store = load(tmp_path, fend_partition(G2), [path], 500, format="pairs", block_bytes=100)
    raw = load(tmp_path, fend_partition(G2), [T22], 500)
    assert store.token == raw.token
    assert store.stats == raw.stats


def test_flags_of_sam__are_strands(tmp_path: Path) -> None:
    path = tmp_path / "flags.raw"
    text = lines(T22).replace("\t-", "\t16").replace("\t+", "\t0")
    path.write_text(text)
    raw = load(tmp_path, fend_partition(G2), [T22], 500)
    assert load(tmp_path, fend_partition(G2), [path], 500).token == raw.token


# Fragment numbers; G2 has cuts 1000, 2000, ... on chr1, so that fragment 0 of the partition is 1.


def numbered(rows: Sequence[str], columns: str = "rfrag1 rfrag2") -> bytes:
    names = f"readID chrom1 pos1 chrom2 pos2 strand1 strand2 {columns}"
    body = "".join("\t".join(["r", *row.split()]) + "\n" for row in rows)
    return (HEADER.format(names) + body).encode()


@pytest.mark.parametrize(
    ("row", "pair"),
    [
        ("chr1 1900 chr2 1400 + + 1 1", (1, 7, 1)),
        ("chr1 2003 chr2 1400 + + 1 1", (1, 7, 1)),
        ("chr1 1998 chr2 1400 - + 2 1", (2, 7, 1)),
        ("chr1 900 chr2 1400 - + 1 1", (0, 7, 1)),
        ("chr1 4005 chr2 1400 + + 3 1", (5, 7, 1)),
        ("chr1 1900 chr2 1400 + + 0 1", None),
        ("chr1 3900 chr2 1400 + + 4 1", None),
    ],
)
@pytest.mark.parametrize("ragged", [False, True])
def test_fragments__by_index_move_positions(
    tmp_path: Path, row: str, pair: tuple[int, int, int] | None, ragged: bool
) -> None:
    rows = [row, "chr1 1900 chr1 3900 + + 1 3", "chrM 5 chr1 3900 + + -1 3"]
    text = numbered(rows) + (b"r\tchrM\t5\tchr1\n" if ragged else b"")
    path = tmp_path / "x.pairs"
    path.write_bytes(text)
    edges = FragmentEdges.of(fend_partition(G2))
    store = load(tmp_path, fend_partition(G2), [path], 5000, format="pairs", edges=edges)
    assert pairs(store, cis=True) == [(1, 5, 1)]
    assert pairs(store, cis=False) == ([] if pair is None else [pair])
    assert store.stats["out_of_bounds"] == (pair is None)


def test_fragments__of_a_genome_cut_from_its_start_count_from_0() -> None:
    edges = FragmentEdges.of(fend_partition({"a": [0, 100, 250], "b": [], "c": [40, 90]}))
    zero = np.zeros(5, dtype=np.int32)
    number = np.arange(-1, 4)
    assert edges.known(zero, number).tolist() == [False, True, True, True, False]
    position = np.full(5, 120, dtype=np.int64)
    assert edges.move(zero, position, number)[1:4].tolist() == [100, 120, 251]
    assert edges.known(zero + 1, number).all()
    assert edges.move(zero + 1, position, number).tolist() == position.tolist()
    assert edges.move(zero + 2, position, number)[1:4].tolist() == [40, 90, 120]


def test_fragments__behind_an_empty_column_are_found(tmp_path: Path) -> None:
    rows = ["chr1 2003 chr2 1400 + + 1 1"]
    text = numbered(rows, "frag1 frag2").replace(b"+\t1\t1", b"+\t\t1\t1")
    path = tmp_path / "x.pairs"
    path.write_bytes(text)
    edges = FragmentEdges.of(fend_partition(G2))
    store = load(tmp_path, fend_partition(G2), [path], 5000, format="pairs", edges=edges)
    assert pairs(store, cis=False) == [(1, 7, 1)]
    store = load(tmp_path, fend_partition(G2), [path], 5000, format="pairs")
    assert pairs(store, cis=False) == [(3, 7, 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            numbered(["chr1 1900 chr2 1400 + + 1 9"]),
            r":4: there is no fragment 9 on the chromosome",
        ),
        (numbered(["chr1 1900 chr2 1400 + + x 1"]), r":4: the fragment number 'x' is not a whole"),
        (numbered(["chr1 1900 chr2 1400 + + 1 1"], "a b"), "has no fragment numbers, columns rfra"),
    ],
)
def test_fragments__faults_are_named(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "x.pairs"
    path.write_bytes(text)
    edges = FragmentEdges.of(fend_partition(G2))
    with pytest.raises(InputError, match=message):
        load(tmp_path, fend_partition(G2), [path], 500, format="pairs", edges=edges)


def test_fragments__need_fends() -> None:
    with pytest.raises(ParameterError, match="needs a partition of fends"):
        FragmentEdges.of(BINS)


# Standard input


class _Piped:
    """Standard input that holds some bytes."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


@pytest.mark.parametrize("packing", ["plain", "gzip", "bgzip"])
def test_standard_input__is_read_like_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packing: str
) -> None:
    text = pairs_text(T22, "readID chrom1 pos1 chrom2 pos2 strand1 strand2")
    if packing == "gzip":
        text = gzip.compress(text)
    elif packing == "bgzip":
        text = bgzip(tmp_path / "x.gz", text).read_bytes()
    monkeypatch.setattr("sys.stdin", _Piped(text))
    store = load(tmp_path, fend_partition(G2), [Path("-")], 500, format="pairs")
    assert store.token == load(tmp_path, fend_partition(G2), [T22], 500).token
    assert not list(tmp_path.glob(".reads-*"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "^standard input: is empty"),
        (b"chr1\t1900\t+\tchr1\tx\t+\n", "^standard input:1: the position 'x'"),
        (
            gzip.compress(b"chr1\t1900\t+\tchr1\tx\t+\n" * 90, mtime=0)[:-9],
            "^standard input.*ends in the mid",
        ),
    ],
    ids=["empty", "bad position", "truncated"],
)
def test_standard_input__is_named_in_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    monkeypatch.setattr("sys.stdin", _Piped(content))
    with pytest.raises(InputError, match=message):
        load(tmp_path, fend_partition(G2), [Path("-")], 500)
    assert list(tmp_path.iterdir()) == []


def test_standard_input__that_is_closed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="standard input: is closed, expected reads"):
        load(tmp_path, fend_partition(G2), [Path("-")], 500)


@contextmanager
def pipe(content: bytes) -> Iterator[Path]:
    """Path of a pipe that holds some bytes, as the shell's ``<(...)``."""
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    try:
        yield Path(f"/dev/fd/{reader}")
    finally:
        os.close(reader)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="the system has no /dev/fd")
def test_pipes__are_read_like_files(tmp_path: Path) -> None:
    one, two = (lines(reads).encode() for reads in (T22[:5], T22[5:]))
    with pipe(one) as first, pipe(gzip.compress(two)) as second:
        with pytest.raises(ParameterError, match="of standard input and of pipes must be given"):
            detect_format(first)
        store = load(tmp_path, fend_partition(G2), [first, second], 500)
    assert store.token == load(tmp_path, fend_partition(G2), [T22], 500).token


GOOD = lines(parse("chr1 1900 + / chr1 3900 +") * 5)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr1\t1900\t+\tchr1\t39x0\t+", r"r\.raw:6: the position '39x0' is not a whole number"),
        ("chr1\t1900.5\t+\tchr1\t3900\t+", r"r\.raw:6: the position '1900.5' is not a whole"),
        ("chr1\t1900\t+\tchr1\t3900\t*", r"r\.raw:6: the strand '\*' is neither '\+' nor '-'"),
        ("chr1\t0\t+\tchr1\t3900\t+", r"r\.raw:6: the position 0 lies outside 1 .*base=0"),
        ("chr1\t99999999999\t+\tchr1\t3900\t+", r"r\.raw:6: the position 99999999999 lies"),
        ("chr1\t1900\t+", r"r\.raw:6: has 3 tab-separated columns, expected at least 6"),
        ("chr1 1900 + chr1 3900 +", r"r\.raw:6: has 1 tab-separated columns"),
    ],
)
@pytest.mark.parametrize("block_bytes", [40, 1 << 20])
def test_bad_line__is_named(tmp_path: Path, line: str, message: str, block_bytes: int) -> None:
    path = tmp_path / "r.raw"
    path.write_text(GOOD + line + "\n" + GOOD)
    with pytest.raises(InputError, match=message):
        load(tmp_path, fend_partition(G1), [path], 500, block_bytes=block_bytes)
    assert [p.name for p in tmp_path.iterdir()] == ["r.raw"]


def test_ragged_lines__are_read(tmp_path: Path) -> None:
    path = tmp_path / "r.raw"
    path.write_text("\n\nchr1\t1900\t+\tchr1\t3900\t+\textra\n" + GOOD + "chrM\t5\t+\tchr1\n\n")
    store = load(tmp_path, fend_partition(G1), [path], 500)
    assert store.stats["total_reads"] == 7


@pytest.mark.parametrize("kind", ["gzip", "bgzip", "bgzip without end"])
def test_truncated_compression__is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "r.raw.gz"
    text = (GOOD * 50).encode()
    if kind == "gzip":
        path.write_bytes(gzip.compress(text)[:-20])
    else:
        whole = bgzip(path, text).read_bytes()
        path.write_bytes(whole[: -28 if "end" in kind else len(whole) // 2 + 5])
    with pytest.raises(InputError, match=r"r\.raw\.gz.*ends in the middle"):
        load(tmp_path, fend_partition(G1), [path], 500)
    assert [p.name for p in tmp_path.iterdir()] == ["r.raw.gz"]


@pytest.mark.parametrize(
    ("content", "format", "message"),
    [
        (None, "raw", "no such file"),
        ("", "raw", "is empty"),
        (pairs_text(T22, "readID chrom1 pos1 chrom2 pos2 strand1 strand2").decode(), "raw",
         "is in .pairs format"),
        (HEADER.format("readID chrom1 pos1 chrom2 pos2"), "pairs", r":3: .*it lacks strand1"),
        ("#Columns: readID chr1 pos1 chr2 pos2\n", "pairs", r":1: .*it lacks strand1"),
        ("\n \n", "raw", "holds no reads$"),
        ("HIC\0\x08\0", "raw", r"is a \.hic file of Juicer, expected reads\s+.*hictk convert"),
        ("PK\3\4", "raw", r"is a zip archive, expected reads\s+unpack it with `unzip`"),
        ("a\0b", "raw", r"is not text; it begins with 'a.*\s+check the format"),
        ("\n#x\n\nchr1 1900 + chr1 3900 +\n", "raw", r":4: a line has 1 tab-separated columns"),
        (HEADER.format("readID chrom1 pos1 chrom2 pos2 strand1 strand2"), "pairs", "no reads"),
        ("chr1 1900 + chr1 3900 +\n", "raw", r":1: a line has 1 tab-separated columns"),
        ("0 chr1 1900 1 16 chr1 3900 3 60\n", "raw", r"\s+Juicer's merged_nodups can be piped in"),
        (lines(parse("1 1900 + / 1 3900 +")), "raw",
         r"name 1; the partition holds chr1, chr2\s+the names differ only by the prefix"),
        (lines(parse("II 1900 + / II 3900 +")), "raw", r"name II; .*\s+use .* same genome"),
        ("r1\tchr1\t1900\tchr1\t3900\t+\t+\n", "raw",
         r"column 2, but columns 1 and 4 were read: wrong column order"),
        ("chr1\t1900\t1906\t.\t1\t+\n", "raw",
         r"name \., chr1; .*\s+only one of columns 1 and 4 holds known names"),
        (lines(parse("chr1 90000 + / chr1 80000 +")), "raw", "positions of another genome"),
    ],
)  # fmt: skip
def test_unusable_file__error_names_the_cause(
    tmp_path: Path, content: str | None, format: str, message: str
) -> None:
    path = tmp_path / "reads"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        load(tmp_path, fend_partition(G1), [path], 500, format=format)
    assert [p.name for p in tmp_path.iterdir()] == (["reads"] if content is not None else [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maxinsert": -1}, "maxinsert is -1"),
        ({"base": 2}, "base is 2"),
        ({"dedup": "all"}, "dedup is 'all'"),
        ({"files": []}, "no files"),
    ],
)
def test_options__are_checked(tmp_path: Path, options: dict[str, object], message: str) -> None:
    arguments = {"files": [T22], "maxinsert": 500, **options}
    with pytest.raises(ParameterError, match=message):
        load(tmp_path, fend_partition(G2), **arguments)  # type: ignore[arg-type]


def test_files__given_twice_are_refused(tmp_path: Path) -> None:
    path, link = tmp_path / "r.raw", tmp_path / "link.raw"
    path.write_text(GOOD)
    link.symlink_to(path)
    for files, message in (
        ([path, link], r"link\.raw: is given twice\s+give it once, or reads count twice"),
        (["-", "-"], r"^standard input: is given twice\s+it can be read only once"),
    ):
        with pytest.raises(InputError, match=message):
            TextReads(files, "raw")


@pytest.mark.filterwarnings("ignore:.*do not gather:hifive_dask.errors.InputWarning")
def test_thousand_contigs__tables_stay_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    partition = fend_partition({f"c{k}": [100, 900, 1700, 2500] for k in range(1000)})
    reads = [
        (f"c{a}", int(p), "+", f"c{b}", int(q), "-")
        for a, b, p, q in rng.integers([0, 0, 101, 101], [1000, 1000, 2400, 2400], (3000, 4))
    ]
    expected, stats, _ = count_reads(partition, [reads], None)
    store = load(tmp_path, partition, [reads], None, tiles=20)
    rows = pairs(store, cis=True) + pairs(store, cis=False)
    assert {(a, b): n for a, b, n in rows} == expected
    assert nonzero(store) == {name: n for name, n in stats.items() if n}


def test_pairs__same_bytes_on_every_scheduler(tmp_path: Path, on_every_scheduler: Any) -> None:
    rng = np.random.default_rng(7)
    reads = [
        (f"chr{a}", int(p), "+-"[s], f"chr{b}", int(q), "+-"[t])
        for a, b, p, q, s, t in rng.integers(
            [1, 1, 501, 501, 0, 0], [3, 3, 2500, 2500, 2, 2], (400, 6)
        )
    ]

    def store(scheduler: str) -> dict[str, bytes]:
        directory = tmp_path / scheduler
        directory.mkdir()
        load(directory, fend_partition(G2), [reads], None, block_bytes=900, tiles=5)
        return files_of(next(directory.glob("*.zarr")))

    one, threads, processes = on_every_scheduler(store)
    assert one == threads == processes
