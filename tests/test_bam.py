"""BAM to pair stores: coordinates, mates, order, damage; the golden results and real data."""

from __future__ import annotations

import array
import gzip
import logging
import random
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import dask
import numpy as np
import pysam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hifive_dask import Fend, HiCData
from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import InputError, InputWarning, ParameterError
from hifive_dask.genome.partition import Partition
from hifive_dask.provenance import History
from hifive_dask.reads.alignments import endings_of
from hifive_dask.reads.bam import BamReads, group_files
from hifive_dask.reads.pipeline import load_reads
from hifive_dask.reads.source import ReadEnds
from hifive_dask.simulate import PRESETS, write_genome, write_reads
from hifive_dask.testing import toy_genome
from tests import commands

from .test_reads import bgzip, histogram, nonzero, pairs
from .worlds import G1, Read, count_reads, fend_partition, files_of, parse

LENGTHS = {"chr1": 5000, "chr2": 3000, "chrUn": 10_000}


class Record(NamedTuple):
    """One alignment; `position` is its leftmost base, counted from 0."""

    name: str
    flag: int
    chrom: str
    position: int
    cigar: str = "50M"
    mapq: int = 60


def write(path: Path, records: Iterable[Record], lengths: dict[str, int] = LENGTHS) -> Path:
    """Write BAM, SAM or CRAM, as the suffix says."""
    mode = {".bam": "wb", ".sam": "w", ".cram": "wc"}[path.suffix]
    header = pysam.AlignmentHeader.from_references(list(lengths), list(lengths.values()))
    options = [b"no_ref=1"] if mode == "wc" else None
    with pysam.AlignmentFile(str(path), mode, header=header, format_options=options) as file:
        for record in records:
            row = pysam.AlignedSegment(header)
            row.query_name, row.flag = record.name, record.flag
            row.reference_name, row.reference_start = record.chrom, record.position
            row.mapping_quality = record.mapq
            row.cigarstring = record.cigar
            bases = row.infer_query_length() or 20
            row.query_sequence = "ACGT" * (bases // 4) + "A" * (bases % 4)
            row.query_qualities = [30] * bases
            file.write(row)
    return path


def alignments(reads: Sequence[Read], mate: int, length: int = 20) -> list[Record]:
    """Alignments of first (1) or second (2) ends, named by their number."""
    records = []
    for number, read in enumerate(reads):
        chrom, position, strand = read[3 * mate - 3 : 3 * mate]
        left = position - length if strand == "-" else position - 1
        flag = 1 | (64 if mate == 1 else 128) | (16 if strand == "-" else 0)
        records.append(Record(f"read{number}", flag, chrom, left, f"{length}M"))
    return records


def mates(reads: Sequence[Read]) -> list[Record]:
    """Both alignments of every read, next to each other."""
    both = zip(alignments(reads, 1), alignments(reads, 2), strict=True)
    return [record for pair in both for record in pair]


def load(
    directory: Path,
    groups: Sequence[Sequence[Path]],
    partition: Partition | None = None,
    maxinsert: int | None = None,
    *,
    min_mapq: int = 0,
    dedup: str = "library",
    span_bytes: int = 1 << 20,
) -> PairStore:
    partition = partition or fend_partition(G1)
    target = directory / f"pairs{len(list(directory.iterdir()))}.zarr"
    load_reads(
        target,
        partition,
        BamReads(groups, partition, min_mapq=min_mapq, span_bytes=span_bytes),
        maxinsert=maxinsert,
        dedup=dedup,  # type: ignore[arg-type]
        history=History(),
        call=("test", {}),
        attributes={},
        silent=True,
    )
    return PairStore.open(target)


def found(store: PairStore) -> dict[str, int]:
    results = store.history.records[-1]["results"]
    names = list(results)[list(results).index("alignments") :]
    return {name: results[name] for name in names if results[name]}


Ends = list[tuple[tuple[int, int, int], tuple[int, int, int]]]


def read_ends(
    directory: Path, groups: Sequence[Sequence[Path]], partition: Partition, **options: int
) -> tuple[Ends, int]:
    """All read pairs, sorted, and the number of those on unknown chromosomes."""
    spill = directory / f"spill{len(list(directory.iterdir()))}"
    spill.mkdir()
    jobs = BamReads(groups, partition, **options).prepare(str(spill), True)  # type: ignore[arg-type]
    names = {name: k for k, name in enumerate(partition.chromosomes)}
    found = [job(names) for job in jobs]
    rows = [row for ends in found for row in zip(*map(np.ndarray.tolist, ends[:6]), strict=True)]
    assert all(isinstance(ends, ReadEnds) for ends in found)
    return sorted((row[:3], row[3:]) for row in rows), sum(
        ends.left_out["chr_not_in_fends"] for ends in found
    )


@pytest.fixture(autouse=True)
def _sync() -> object:
    with dask.config.set(scheduler="sync"):
        yield


# Coordinates


def test_t34_ends_are_the_aligned_bases_at_the_5_prime_end(tmp_path: Path) -> None:
    first = [("a", 0, 1900), ("b", 16, 2100), ("c", 16, 2950), ("d", 16, 2951), ("e", 0, 2000)]
    second = {"a": (0, 2900), "b": (16, 3100)}
    one = [Record(name, flag, "chr1", place) for name, flag, place in first]
    two = [
        Record(name, second[name][0], "chr1", second[name][1])
        if name in second
        else Record(name, 0, "chr2", 1399)
        for name, _, _ in first
    ]
    files = [write(tmp_path / "1.bam", one), write(tmp_path / "2.bam", two)]
    store = load(tmp_path, [files], maxinsert=100_000)
    assert pairs(store, cis=True) == [(1, 3, 1), (2, 4, 1)]
    # Mate chr2 1400 + is fend 7, 100 bp from its cut site.
    assert pairs(store, cis=False) == [(2, 7, 1), (3, 7, 1), (4, 7, 1)]
    # Sums of distances: a 99 + 99, b 150 + 150, c 1000 + 100, d 1 + 100, e 999 + 100.
    assert histogram(store) == {191: 1, 299: 1, 1097: 2, 99: 1}


OPERATIONS = st.lists(
    st.tuples(st.integers(1, 60), st.sampled_from("MIDNS=XHP")), min_size=1, max_size=9
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(OPERATIONS, st.booleans()), min_size=1, max_size=20))
def test_coordinates__equal_those_of_pysam_for_any_cigar(
    tmp_path_factory: pytest.TempPathFactory, reads: list[tuple[list[tuple[int, str]], bool]]
) -> None:
    directory = tmp_path_factory.mktemp("cigar")
    records = []
    for number, (operations, minus) in enumerate(reads):
        cigar = "".join(f"{n}{code}" for n, code in [*operations, (1, "M")])
        records += [
            Record(f"r{number}", 65 + 16 * minus, "chr1", 100 + 7 * number, cigar),
            Record(f"r{number}", 129, "chr2", 500, "1M"),
        ]
    path = write(directory / "a.bam", records)
    expected = []
    with pysam.AlignmentFile(str(path)) as file:
        for row in file:
            if row.reference_name == "chr1":
                place = row.reference_end if row.is_reverse else row.reference_start + 1
                expected.append(((0, place, int(row.is_reverse)), (1, 501, 0)))
    assert read_ends(directory, [[path]], fend_partition(G1)) == (sorted(expected), 0)


# Order and packing


READS = st.lists(
    st.tuples(
        st.sampled_from(list(LENGTHS)), st.integers(30, 2900), st.sampled_from("+-"),
        st.sampled_from(list(LENGTHS)), st.integers(30, 2900), st.sampled_from("+-"),
    ),
    min_size=1,
    max_size=60,
)  # fmt: skip


def expected_ends(reads: Sequence[Read]) -> tuple[Ends, int]:
    names = list(G1)
    known = [read for read in reads if read[0] in names and read[3] in names]
    ends = [
        (
            (names.index(a), p, int(s == "-")),
            (names.index(b), q, int(t == "-")),
        )
        for a, p, s, b, q, t in known
    ]
    return sorted(ends), len(reads) - len(known)


def reblock(path: Path, size: int) -> Path:
    """The same BAM in blocks of another size, which do not end where records do."""
    with gzip.open(path) as file:
        return blocks(path.with_suffix(f".{size}.bam"), file.read(), size)


def first_record(content: bytes) -> int:
    """Where the records begin in an inflated BAM file."""
    at = 8 + int.from_bytes(content[4:8], "little")
    count, at = int.from_bytes(content[at : at + 4], "little"), at + 4
    for _ in range(count):
        at += 8 + int.from_bytes(content[at : at + 4], "little")
    return at


def blocks(path: Path, content: bytes, size: int) -> Path:
    """BGZF in blocks of this size, with the mark of the end that BAM needs."""
    end = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
    path.write_bytes(bgzip(path, content, size).read_bytes()[: -len(end)] + end)
    return path


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(READS, st.randoms(use_true_random=False), st.sampled_from([40, 137, 1000]))
def test_pairs__do_not_depend_on_order_files_blocks_or_spans(
    tmp_path_factory: pytest.TempPathFactory, reads: list[Read], dice: random.Random, block: int
) -> None:
    directory = tmp_path_factory.mktemp("order")
    partition = fend_partition(G1)
    expected = expected_ends(reads)
    one, two, both = alignments(reads, 1), alignments(reads, 2), mates(reads)
    for records in (one, two, both):
        dice.shuffle(records)
    grouped = write(directory / "grouped.bam", mates(reads))
    mixed = write(directory / "mixed.bam", both)
    files = [write(directory / "1.bam", one), write(directory / "2.bam", two)]
    small = reblock(mixed, block)
    for group, span in (
        ([grouped], 1 << 20), (files, 1 << 20), ([mixed], 1 << 20), ([small], 1), ([small], 700),
        ([reblock(grouped, block)], 300),
    ):  # fmt: skip
        assert read_ends(directory, [group], partition, span_bytes=span) == expected


def test_guess__of_a_record_inside_another_is_found_out(tmp_path: Path) -> None:
    reads = parse("chr1 1900 + / chr1 2900 +, chr1 1100 - / chr2 600 -, chr1 1950 + / chr2 700 -")
    inner = write(tmp_path / "inner.bam", mates(reads * 40))
    with gzip.open(inner) as file:
        content = file.read()
    header = pysam.AlignmentFile(str(inner)).header
    outer = pysam.AlignedSegment(header)
    outer.query_name, outer.flag, outer.reference_id, outer.reference_start = "outer", 65, 0, 1200
    outer.cigarstring, outer.query_sequence = "4M", "ACGT"
    outer.set_tag("XB", array.array("B", content[first_record(content) :]))
    other = pysam.AlignedSegment(header)
    other.query_name, other.flag, other.reference_id, other.reference_start = "outer", 129, 0, 3200
    other.cigarstring = "4M"
    path = tmp_path / "outer.bam"
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        file.write(outer)
        file.write(other)
    expected = ([((0, 1201, 0), (0, 3201, 0))], 0)
    for span in (1, 400, 1 << 20):
        small = reblock(path, 100)
        assert read_ends(tmp_path, [[small]], fend_partition(G1), span_bytes=span) == expected


@pytest.mark.parametrize("suffix", [".sam", ".cram"])
def test_formats__of_htslib_are_all_read(tmp_path: Path, suffix: str) -> None:
    reads = parse("chr1 1900 + / chr1 2900 +, chr1 1100 - / chr2 600 -")
    path = write(tmp_path / f"reads{suffix}", mates(reads))
    assert read_ends(tmp_path, [[path]], fend_partition(G1)) == expected_ends(reads)


def test_store__has_the_same_bytes_on_every_scheduler(
    tmp_path: Path, on_every_scheduler: Any
) -> None:
    rng = np.random.default_rng(5)
    reads = [
        (f"chr{a}", int(p), "+-"[s], f"chr{b}", int(q), "+-"[t])
        for a, b, p, q, s, t in rng.integers(
            [1, 1, 501, 501, 0, 0], [3, 3, 2500, 2500, 2, 2], (300, 6)
        )
    ]
    path = reblock(write(tmp_path / "reads.bam", mates(reads)), 900)

    def store(scheduler: str) -> dict[str, bytes]:
        directory = tmp_path / scheduler
        directory.mkdir()
        load(directory, [[path]], span_bytes=4000)
        return files_of(next(directory.glob("*.zarr")))

    one, threads, processes = on_every_scheduler(store)
    assert one == threads == processes


# What is a read pair


PAIR = [Record("good", 65, "chr1", 1899), Record("good", 129, "chr1", 2899)]


@pytest.mark.parametrize(
    ("flag", "mapq", "kind"),
    [
        (256, 60, "secondary_or_supplementary"), (2048, 60, "secondary_or_supplementary"),
        (512, 60, "qc_failed"), (4, 60, "unmapped"), (0, 9, "below_min_mapq"),
    ],
)  # fmt: skip
def test_alignment__that_is_not_usable_is_left_out_and_counted(
    tmp_path: Path, flag: int, mapq: int, kind: str
) -> None:
    good = [record._replace(name=f"good{k}") for k in range(10) for record in PAIR]
    bad = [
        Record("bad", 65 | flag, "chr1", 1899, mapq=mapq),
        Record("bad", 129, "chr2", 600, mapq=10),
    ]
    store = load(tmp_path, [[write(tmp_path / "a.bam", [*good, *bad])]], min_mapq=10)
    assert nonzero(store)["total_reads"] == 10
    assert found(store) == {"alignments": 22, kind: 1, "without_mate": 1, "in_pairs": 20}


def test_supplementary_alignments__leave_the_pair_of_primary_ones(tmp_path: Path) -> None:
    records = [*PAIR, Record("good", 129 | 2048, "chr2", 700), Record("good", 65 | 256, "chr2", 9)]
    store = load(tmp_path, [[write(tmp_path / "a.bam", records)]])
    assert pairs(store, cis=True) == [(1, 3, 1)]
    assert found(store) == {"alignments": 4, "secondary_or_supplementary": 2, "in_pairs": 2}


def test_alignment_without_position_or_cigar__is_not_mapped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.sam", PAIR)
    with path.open("a") as file:
        file.write("x\t65\tchr1\t1900\t60\t*\t*\t0\t0\t*\t*\n")
        file.write("x\t129\tchr1\t2900\t60\t10M\t*\t0\t0\t*\t*\n")
    store = load(tmp_path, [[path]])
    assert found(store) == {"alignments": 4, "unmapped": 1, "without_mate": 1, "in_pairs": 2}


@pytest.mark.parametrize(
    ("records", "unknown"),
    [
        ([Record("a", 65, "chrUn", 9), Record("a", 129, "chr1", 9)], 1),
        ([Record("a", 65, "chr1", 9), Record("a", 129, "chrUn", 9)], 1),
        ([Record("a", 65, "chrUn", 9), Record("a", 129, "chrUn", 9)], 1),
        ([Record("a", 65, "chrUn", 9), Record("a", 133, "chrUn", 9)], 1),
        ([Record("a", 65, "chr1", 9), Record("a", 133, "chr1", 9)], 0),
        ([Record("a", 69, "chr1", 9), Record("a", 129, "chrUn", 9)], 0),
    ],
)
def test_t35_ends_on_unknown_chromosomes(
    tmp_path: Path, records: list[Record], unknown: int
) -> None:
    every = [*PAIR, *records]
    one = write(tmp_path / "1.bam", [r for r in every if r.flag & 64])
    two = write(tmp_path / "2.bam", [r for r in every if r.flag & 128])
    for group in ([write(tmp_path / "a.bam", every)], [one, two]):
        store = load(tmp_path, [group])
        expected = {"chr_not_in_fends": unknown} if unknown else {}
        assert nonzero(store) == {
            "total_reads": 1 + unknown, "valid_cis_reads": 1, "valid_cis_pairs": 1, **expected
        }  # fmt: skip


def test_names__with_suffixes_of_mates_pair(tmp_path: Path) -> None:
    one = [Record("r:7/1", 0, "chr1", 1899), Record("s/1", 0, "chr1", 1949)]
    two = [Record("s/2", 0, "chr1", 2949), Record("r:7/2", 0, "chr1", 2899)]
    files = [write(tmp_path / "1.bam", one), write(tmp_path / "2.bam", two)]
    expected = ([((0, 1900, 0), (0, 2900, 0)), ((0, 1950, 0), (0, 2950, 0))], 0)
    assert read_ends(tmp_path, [files], fend_partition(G1)) == expected
    joined = write(tmp_path / "a.bam", [*one, *two])
    assert read_ends(tmp_path, [[joined]], fend_partition(G1)) == expected


@pytest.mark.parametrize(
    ("one", "two"), [("/1", "/3"), (".1", ".2"), ("_1", "_2"), ("/2", "/1"), ("", "")]
)
@pytest.mark.parametrize("kind", ["bam", "sam"])
def test_names__of_files_of_mates_may_end_in_what_tells_the_files_apart(
    tmp_path: Path, one: str, two: str, kind: str
) -> None:
    # Archives number reads from 1, so that the names of two reads may differ in the last digit.
    reads = [(f"SRR1.{k}", 1000 + k) for k in range(1, 31)]
    files = [
        write(
            tmp_path / f"{mate}.{kind}",
            [Record(name + ending, 0, "chr1", place + mate * 1000) for name, place in reads],
        )
        for mate, ending in enumerate((one, two))
    ]
    expected = [((0, place + 1, 0), (0, place + 1001, 0)) for _, place in reads]
    assert read_ends(tmp_path, [files], fend_partition(G1)) == (expected, 0)


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        (["a.1", "b.1"], ["a.2"], (b".1", b".2")),
        (["a/1"], ["a/3"], (b"/1", b"/3")),
        (["a.1", "b.2"], ["a.2", "b.2"], (b"", b"")),  # numbers of reads
        (["a.1"], ["a.1"], (b"", b"")),  # the same name
        (["a.1"], ["a_2"], (b"", b"")),
        (["a:1"], ["a:2"], (b"", b"")),  # a place on a flow cell
        (["a.x"], ["a.y"], (b"", b"")),
        (["1"], ["2"], (b"", b"")),
        ([], ["a.2"], (b"", b"")),
    ],
)
def test_endings__are_those_of_mates_if_all_names_of_a_file_have_one(
    one: list[str], two: list[str], expected: tuple[bytes, bytes]
) -> None:
    assert endings_of(one, two) == expected


def test_repeated_names__are_left_out_with_a_warning(tmp_path: Path) -> None:
    same = [Record("x", 65, "chr1", 1899), Record("x", 65, "chr1", 2899)]
    three = [Record("y", flag, "chr1", 1899) for flag in (65, 129, 129)]
    path = write(tmp_path / "a.bam", [*PAIR, *same, *three])
    with pytest.warns(InputWarning, match="5 alignments were left out because their read names"):
        store = load(tmp_path, [[path]])
    assert found(store) == {"alignments": 7, "repeated_names": 5, "in_pairs": 2}


def test_missing_mates__are_warned_of(tmp_path: Path) -> None:
    one = [PAIR[0], Record("x", 65, "chr1", 1899)]
    files = [write(tmp_path / "1.bam", one), write(tmp_path / "2.bam", PAIR[1:])]
    with pytest.warns(InputWarning, match="at least 1 of 3 alignments have no mate"):
        store = load(tmp_path, [files])
    assert found(store) == {"alignments": 3, "without_mate": 1, "in_pairs": 2}


def test_log__says_what_became_of_the_alignments(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "hifive_dask"):
        load(tmp_path, [[write(tmp_path / "a.bam", PAIR)]])
    assert "alignments 2, secondary or supplementary 0, qc failed 0" in caplog.text


@pytest.mark.parametrize(("dedup", "kept"), [("library", 1), ("file", 2), ("none", 3)])
def test_names__are_joined_within_a_group_of_files(tmp_path: Path, dedup: str, kept: int) -> None:
    one = write(tmp_path / "1.bam", [*PAIR, *(r._replace(name="again") for r in PAIR)])
    two = [write(tmp_path / "2.bam", PAIR[:1]), write(tmp_path / "3.bam", PAIR[1:])]
    store = load(tmp_path, [[one], two], dedup=dedup)
    assert store.stats["total_reads"] == 3
    assert store.stats["valid_cis_reads"] == kept


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(READS)
def test_statistics__equal_those_of_the_plain_oracle(
    tmp_path_factory: pytest.TempPathFactory, reads: list[Read]
) -> None:
    directory = tmp_path_factory.mktemp("oracle")
    reads = [*parse("chr1 1900 + / chr1 3900 +"), *reads]
    expected, stats, _ = count_reads(fend_partition(G1), [reads], 900)
    store = load(directory, [[write(directory / "a.bam", mates(reads))]], maxinsert=900)
    rows = pairs(store, cis=True) + pairs(store, cis=False)
    assert {(a, b): n for a, b, n in rows} == expected
    assert nonzero(store) == {name: n for name, n in stats.items() if n}


# Lists of files


def test_filelist__is_a_pair_a_file_or_a_list_of_these() -> None:
    assert group_files("a") == [["a"]]
    assert group_files(["a"]) == [["a"]]
    assert group_files(["a", "b"]) == [["a", "b"]]
    assert group_files([["a", "b"], "c", ["d"]]) == [["a", "b"], ["c"], ["d"]]
    with pytest.raises(ParameterError, match="holds 3 names; a flat list is one pair"):
        group_files(["a", "b", "c"])


def test_groups__of_a_wrong_number_of_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bam", PAIR)
    partition = fend_partition(G1)
    with pytest.raises(ParameterError, match="3 files stand together, expected one with both"):
        BamReads([[path] * 3], partition)
    with pytest.raises(ParameterError, match="no files of reads"):
        BamReads([], partition)
    with pytest.raises(ParameterError, match="min_mapq is -1, expected 0 to 255"):
        BamReads([[path]], partition, min_mapq=-1)
    for groups in ([[path, path]], [[path], [path]]):
        with pytest.raises(InputError, match="is given twice"):
            BamReads(groups, partition)


# Errors


def test_mates__that_stand_wrongly_are_named(tmp_path: Path) -> None:
    both = write(tmp_path / "both.bam", PAIR)
    one, two = (write(tmp_path / f"{k}.bam", PAIR[k : k + 1]) for k in (0, 1))
    again = write(tmp_path / "again.bam", PAIR[:1])
    for group, message in (
        ([one], r"0\.bam: holds first mates only, expected both(?s:.*)--mates"),
        ([two], r"1\.bam: holds second mates only(?s:.*)file of the first mates"),
        ([both, two], r"both\.bam: is given as one of a pair of files, but holds both"),
        ([one, again], r"0\.bam: holds first mates, as does the other(?s:.*)again\.bam"),
    ):
        with pytest.raises(InputError, match=message):
            load(tmp_path, [group])
    assert not list(tmp_path.glob("*.zarr"))
    store = load(tmp_path, [[two, one]])
    assert pairs(store, cis=True) == [(1, 3, 1)]


def test_mates__that_never_meet_are_shown(tmp_path: Path) -> None:
    one = write(tmp_path / "1.bam", [Record("x1", 0, "chr1", 9), Record("x2", 0, "chr1", 9)])
    two = write(tmp_path / "2.bam", [Record("y1", 0, "chr1", 9)])
    message = r"same read name; 1\.bam names x1, x2; 2\.bam names y1\n  both mates need the same"
    with pytest.raises(InputError, match=message):
        load(tmp_path, [[one, two]])
    with pytest.raises(InputError, match=r"names x1, x2\n.*--mates"):
        load(tmp_path, [[one]])
    unmapped = write(tmp_path / "3.bam", [Record("x1", 4, "chr1", 9)])
    with pytest.raises(InputError, match=r"3\.bam: holds no usable alignment .*unmapped 1"):
        load(tmp_path, [[one, unmapped]])


def test_chromosomes__of_another_genome_are_listed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bam", [Record("a", 65, "1", 9)], {"1": 500, "2": 500})
    message = r"name 1, 2; the partition holds chr1, chr2\n  the names differ only by the prefix"
    with pytest.raises(InputError, match=message):
        load(tmp_path, [[path]])
    records = [Record("a", 65, "chrUn", 9), Record("a", 129, "chrUn", 9)]
    path = write(tmp_path / "b.bam", records)
    with pytest.raises(InputError, match="no chromosome of the reads is in the partition"):
        load(tmp_path, [[path]])


def test_chromosome__that_is_too_short_is_warned_of(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bam", PAIR, {"chr1": 3400, "chr2": 2100})
    with pytest.warns(InputWarning, match=r"chr1 has 3,400 bp there(?s:.*)same genome"):
        read_ends(tmp_path, [[path]], fend_partition(G1))
    short = {"chr1": [1000], "chr2": [500, 1500, 2500]}
    read_ends(tmp_path, [[path]], fend_partition(short))


def test_reads__that_are_all_filtered_are_explained(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bam", PAIR)
    with pytest.raises(InputError, match=r"no read pair was accepted .*insert_size 1(?s:.*)maxins"):
        load(tmp_path, [[path]], maxinsert=10)


def _cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def _without_end(data: bytes) -> bytes:
    return data[:-28]


def _wrong_byte(data: bytes) -> bytes:
    return data[:-60] + bytes([data[-60] ^ 255]) + data[-59:]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cut, "ends in the middle of its data"),
        (_without_end, "ends in the middle of its data"),
        (_wrong_byte, "damaged bgzip data"),
        (lambda data: b"", "is empty"),
        (lambda data: b"BAM" + data, "cannot be read as BAM, SAM or CRAM"),
        (lambda data: b"chr1\t1\t+\tchr1\t9\t-\n", "BAM, SAM or CRAM|chromosomes in its header"),
    ],
)
def test_damaged_file__is_named(
    tmp_path: Path, damage: object, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    reads = [
        ("chr1", int(p), "+", "chr2", int(q), "-") for p, q in rng.integers(101, 2000, (3000, 2))
    ]
    path = write(tmp_path / "a.bam", mates(reads))
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path, [[path]])
    assert str(caught.value).startswith(str(path))
    assert not list(tmp_path.glob("*.zarr"))
    assert capfd.readouterr().err == ""


def test_damaged_records__are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bam", PAIR)
    with gzip.open(path) as file:
        content = file.read()
    start = first_record(content)
    for place, message in ((start + 4, "damaged BAM record"), (start + 3, "middle of its data")):
        bad = bytearray(content)
        bad[place : place + 1] = b"\x70"
        broken = blocks(tmp_path / "broken.bam", bytes(bad), 100)
        with pytest.raises(InputError, match=message):
            load(tmp_path, [[broken]])


def test_damaged_sam__names_the_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.sam", PAIR)
    *lines, last = path.read_text().splitlines(keepends=True)
    for bad in (last[:-30], last.replace("60", "x", 1)):
        path.write_text("".join(lines) + bad)
        with pytest.raises(InputError, match=rf"a\.sam:{len(lines) + 1}: alignment 2 is damaged"):
            load(tmp_path, [[path]])
    assert capfd.readouterr().err == ""


def test_no_alignments__is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.bam: holds no alignments, only a header"):
        load(tmp_path, [[write(tmp_path / "a.bam", [])]])
    path = write(tmp_path / "b.bam", PAIR)
    with pytest.raises(InputError, match=r"no usable alignment \(alignments 2, below min mapq 2\)"):
        read_ends(tmp_path, [[path]], fend_partition(G1), min_mapq=200)


def test_missing_file__is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "1.bam", PAIR[:1])
    with pytest.raises(InputError, match=r"2\.bam: no such file"):
        load(tmp_path, [[path, tmp_path / "2.bam"]])


def test_missing_pysam__names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.bam", PAIR)
    monkeypatch.setitem(sys.modules, "pysam", None)
    with pytest.raises(ParameterError, match=r"pip install 'hifive-dask\[bam\]'"):
        read_ends(tmp_path, [[path]], fend_partition(G1))


# Golden results and real data


@pytest.fixture(scope="module")
def hifive(shared: Path) -> Path:
    return shared / "golden/hifive-tests"


def rows_of(data: HiCData) -> list[list[list[int]]]:
    return [data.cis_data.tolist(), data.trans_data.tolist()]


@pytest.mark.golden
@pytest.mark.parametrize(
    ("fends", "reference", "binned"),
    [
        ("test.fends", "test_import_bam.hcd", False),
        ("test_binned.fends", "test_import_bin_bam.hcd", True),
    ],
)
def test_t37_bam_of_hifive_gives_its_pairs(
    tmp_path: Path, hifive: Path, fends: str, reference: str, binned: bool
) -> None:
    data = HiCData(tmp_path / "pairs.zarr", "w", silent=True)
    files = [hifive / "test_hic_1.bam", hifive / "test_hic_2.bam"]
    data.load_data_from_bam(hifive / fends, files, 500)
    text = HiCData(tmp_path / "text.zarr", "w", silent=True)
    text.load_data_from_raw(hifive / fends, hifive / "test.raw", 500)
    assert rows_of(data) == rows_of(text)
    import h5py

    with h5py.File(hifive / reference) as file:
        assert rows_of(data) == [file["cis_data"][...].tolist(), file["trans_data"][...].tolist()]
    if binned:
        assert (data.stats["valid_cis_pairs"], data.stats["valid_trans_pairs"]) == (7, 3)
    assert data.stats["total_reads"] == 15


@pytest.mark.golden
def test_bam_of_the_simulated_experiment__equals_its_text(tmp_path: Path, shared: Path) -> None:
    inputs = shared / "golden/sim-small/inputs"
    fend = Fend(tmp_path / "fends.zarr", "w", silent=True)
    fend.load_fends(inputs / "sites.bed")
    fend.save()
    text = HiCData(tmp_path / "text.zarr", "w", silent=True)
    text.load_data_from_raw(fend.file, inputs / "reads_b.raw", 500)
    data = HiCData(tmp_path / "bam.zarr", "w", silent=True)
    data.load_data_from_bam(fend.file, [inputs / "reads_b_1.bam", inputs / "reads_b_2.bam"], 500)
    assert data.stats == text.stats
    assert rows_of(data) == rows_of(text)
    assert data.insert_distribution.tolist() == text.insert_distribution.tolist()


@pytest.fixture(scope="module")
def yeast(shared: Path) -> Path:
    return shared / "data/yeast_belton2015_MATalpha_bam"


@pytest.fixture(scope="module")
def yeast_fends(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Fend:
    fend = Fend(tmp_path_factory.mktemp("yeast") / "fends.zarr", "w", silent=True)
    fend.load_fends(shared / "data/genome_sacCer3/sacCer3.HindIII.cuts.bed")
    fend.save()
    return fend


def test_yeast__mates_in_one_file_or_in_two_are_the_same(
    tmp_path: Path, yeast: Path, yeast_fends: Fend
) -> None:
    stores = []
    for name, files in (
        ("one", ["MATalpha_R1.bam"]),
        ("two", ["MATalpha_R1.mate1.bam", "MATalpha_R1.mate2.bam"]),
    ):
        data = HiCData(tmp_path / f"{name}.zarr", "w", silent=True)
        data.load_data_from_bam(yeast_fends.file, [yeast / file for file in files], 500)
        stores.append(data)
    one, two = stores
    assert one.stats == two.stats
    assert rows_of(one) == rows_of(two)
    assert one.records.records[-1]["results"] == two.records.records[-1]["results"]
    results = one.records.records[-1]["results"]
    assert (results["alignments"], results["unmapped"]) == (40_000, 19_910)


def test_yeast__pairs_are_those_of_pairtools(
    tmp_path: Path, yeast: Path, yeast_fends: Fend
) -> None:
    """No read is chimeric here, so ``UU`` of pairtools and our definition agree in every pair."""
    partition = yeast_fends.partition
    names = list(partition.chromosomes)
    expected, unknown = [], 0
    with gzip.open(yeast / "MATalpha_R1.pairtools_mapq30.pairs.gz", "rt") as file:
        for line in file:
            cells = line.split()
            if line.startswith("#") or cells[7] != "UU":
                continue
            if not {cells[1], cells[3]} <= set(names):
                unknown += 1
                continue
            ends = [
                (names.index(cells[k]), int(cells[k + 1]), int(cells[s] == "-"))
                for k, s in ((1, 5), (3, 6))
            ]
            expected.append(tuple(sorted(ends)))
    ends, ours_unknown = read_ends(tmp_path, [[yeast / "MATalpha_R1.bam"]], partition, min_mapq=30)
    assert sorted(tuple(sorted(pair)) for pair in ends) == sorted(expected)
    assert len(expected) + unknown == 7866
    assert ours_unknown >= unknown  # and lone first mates on unknown chromosomes


# Simulated reads and the command line


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy experiment as text, as BAM with both mates, and as two files of mates."""
    folder = tmp_path_factory.mktemp("toy")
    genome = PRESETS["toy"].genome(1)
    write_genome(folder, genome)
    for suffix in ("raw", "bam"):
        write_reads(folder / f"reads.{suffix}", genome, 5_000, seed=1, silent=True)
    with pysam.AlignmentFile(str(folder / "reads.bam")) as source:
        parts = [
            pysam.AlignmentFile(str(folder / f"reads_{k}.bam"), "wb", template=source)
            for k in (1, 2)
        ]
        for record in source:
            parts[record.is_read2].write(record)
        for part in parts:
            part.close()
    fend = Fend(folder / "fends.zarr", "w", silent=True)
    fend.load_fends(folder / "sites.bed")
    fend.save()
    return folder


def test_simulated_bam__is_valid_and_holds_the_reads_of_the_text(toy: Path) -> None:
    text = [line.split("\t") for line in (toy / "reads.raw").read_text().splitlines()]
    with pysam.AlignmentFile(str(toy / "reads.bam")) as file:
        records = list(file)
    for line, first, second in zip(text, records[::2], records[1::2], strict=True):
        assert first.query_name == second.query_name
        assert (first.is_read1, second.is_read2) == (True, True)
        for cells, row, mate in ((line[:3], first, second), (line[3:], second, first)):
            place = row.reference_end if row.is_reverse else row.reference_start + 1
            assert cells == [row.reference_name, str(place), "-" if row.is_reverse else "+"]
            assert row.infer_query_length() == 50
            assert (row.next_reference_id, row.next_reference_start, row.mate_is_reverse) == (
                mate.reference_id, mate.reference_start, mate.is_reverse,
            )  # fmt: skip


def test_simulated_bam__can_be_sorted_and_indexed(toy: Path, tmp_path: Path) -> None:
    target = str(tmp_path / "sorted.bam")
    pysam.sort("-o", target, str(toy / "reads.bam"))
    pysam.index(target)
    with pysam.AlignmentFile(target) as file, pysam.AlignmentFile(str(toy / "reads.bam")) as all_:
        wanted = Counter(
            row.query_name
            for row in all_
            if row.reference_name == "chr2" and row.reference_start < 125_000
            and (row.reference_end or 0) > 100_000
        )  # fmt: skip
        assert Counter(row.query_name for row in file.fetch("chr2", 100_000, 125_000)) == wanted


def run(*arguments: object, code: int = 0) -> str:
    return commands.run(*arguments, code=code).output


def test_pairs_command__takes_bam_in_every_way(toy: Path, tmp_path: Path) -> None:
    ways: dict[str, list[object]] = {
        "raw": [toy / "reads.raw"],
        "bam": [toy / "reads.bam"],
        "mates": ["--mates", toy / "reads_1.bam", toy / "reads_2.bam"],
        "named": ["--format", "bam", toy / "reads.bam", "--min-mapq", 60],
    }
    stores = {}
    for name, files in ways.items():
        text = run("pairs", toy / "fends.zarr", *files, "-o", tmp_path / f"{name}.zarr")
        assert ("in pairs 10,000" in text) == (name != "raw")
        stores[name] = HiCData(tmp_path / f"{name}.zarr")
    for name in list(ways)[1:]:
        assert stores[name].stats == stores["raw"].stats
        assert rows_of(stores[name]) == rows_of(stores["raw"])
    run(
        "pairs", toy / "fends.zarr", "--mates", toy / "reads_1.bam", toy / "reads_2.bam",
        toy / "reads.bam", "-o", tmp_path / "twice.zarr",
    )  # fmt: skip
    twice = HiCData(tmp_path / "twice.zarr")
    assert twice.stats["total_reads"] == 10_000
    assert rows_of(twice) == rows_of(stores["raw"])


def test_pairs_command__explains_files_given_wrongly(toy: Path, tmp_path: Path) -> None:
    fends, out = toy / "fends.zarr", ("-o", tmp_path / "out.zarr")
    text, both = toy / "reads.raw", toy / "reads.bam"
    halves = (toy / "reads_1.bam", toy / "reads_2.bam")
    for arguments, code, message in (
        ([], 2, "no files of reads were given"),
        (halves, 1, "holds first mates only, expected both mates"),
        (["--mates", *halves, text], 2, "reads.raw is raw"),
        ([text, both], 2, "load files of one format at a time"),
        ([text, "--min-mapq", 3], 2, "--min-mapq is for bam"),
        ([both, "--base", 0], 2, "--base is for raw, pairs"),
        ([both, "--format", "raw"], 1, "holds alignments, expected text"),
        ([text, "--format", "bam"], 1, "BAM, SAM or CRAM"),
        (["--mates", both, halves[1]], 1, "give every such file alone"),
    ):
        assert message in run("pairs", fends, *arguments, *out, code=code)
        assert not (tmp_path / "out.zarr").exists()


def test_run_command__takes_mates(toy: Path, tmp_path: Path, no_drawing: None) -> None:
    sites = ("--sites", toy / "sites.bed", "--minsize", 2000, "--out", tmp_path / "out")
    assert "give files of reads" in run("run", *sites, code=2)
    halves = ("--mates", toy / "reads_1.bam", toy / "reads_2.bam")
    run("run", *sites, *halves, "--mininteractions", 2)
    assert "reads from reads_1.bam, reads_2.bam" in (tmp_path / "out/summary.md").read_text()
    assert HiCData(tmp_path / "out/pairs.zarr").stats["total_reads"] == 5_000


def test_simulate_command__writes_bam(tmp_path: Path) -> None:
    run("simulate", "--preset", "toy", "--pairs", 50, "--format", "bam", "--out", tmp_path)
    with pysam.AlignmentFile(str(tmp_path / "reads.bam")) as file:
        assert sum(1 for _ in file) == 100


def test_hdf5__takes_bam_too(tmp_path: Path) -> None:
    fend = Fend(tmp_path / "toy.fends.zarr", "w", silent=True)
    fend.load_fends(toy_genome(tmp_path / "sites.bed"))
    fend.save()
    path = write(tmp_path / "a.bam", PAIR)
    data = HiCData(tmp_path / "toy.hcd", "w", silent=True)
    data.load_data_from_bam(fend.file, path, None, min_mapq=1)
    data.save()
    assert HiCData(data.file).cis_data.tolist() == [[1, 3, 1]]
    assert "load_data_from_bam(fendfilename='toy.fends.zarr', filelist=['a.bam']" in data.history
