"""The grammar of text files: two parsers and an oracle agree; other formats; files that change."""

from __future__ import annotations

import gzip
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import dask
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hifive_dask import Fend, HiCData
from hifive_dask._kernels.cells import COMMENTS, HEXADECIMAL, find_oddities
from hifive_dask.errors import InputError
from hifive_dask.genome.bed import read_bed_fends
from hifive_dask.genome.cells import finite, is_number, whole
from hifive_dask.genome.fasta import read_fasta
from hifive_dask.genome.lengths import read_lengths
from hifive_dask.genome.table import Columns, TextTable
from hifive_dask.reads.alignments import AlignmentFile
from hifive_dask.reads.bam import BamReads
from hifive_dask.reads.cool import CoolCounts
from hifive_dask.reads.detect import detect_format
from hifive_dask.reads.fragments import FragmentEdges
from hifive_dask.reads.layout import Format, Layout, find_layout
from hifive_dask.reads.lines import TextReads
from hifive_dask.reads.mat import MatCounts
from hifive_dask.reads.matrices import MatrixCounts
from hifive_dask.reads.parse import _parse_columns, _parse_lines, parse_block
from hifive_dask.reads.source import ReadEnds
from hifive_dask.reads.text import inflate, open_text

from .test_bam import Record
from .test_bam import write as write_bam
from .test_reads import bgzip
from .worlds import G1, bin_partition, fend_partition

MARK = "\ufeff"
CHROMOSOMES = {"chr1": 0, "chr2": 1}
EDGES = FragmentEdges.of(fend_partition(G1))

Line = tuple[int, int, int, int, int, int] | str  # a read, or the statistic it is counted in


@pytest.fixture(autouse=True)
def _sync() -> object:
    with dask.config.set(scheduler="sync"):
        yield


# The oracle. It knows no blocks and no columns of numbers, and shares nothing with the package.


class Fault(Exception):
    """What is wrong with a line."""


def decimal(cell: str, lowest: int, highest: int) -> int:
    digits = cell.strip(" ").removeprefix("-")
    if not digits or set(digits) - set("0123456789"):
        raise Fault(f"{cell!r} is not a whole number")
    value = int(digits) * (-1 if cell.strip(" ").startswith("-") else 1)
    if not lowest <= value <= highest:
        raise Fault(f"{value} lies outside")
    return value


def lines_of(content: bytes) -> list[tuple[int, str]]:
    text = content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    lines = [(n, line.removeprefix(MARK)) for n, line in enumerate(text.split("\n"), 1)]
    return [(n, line) for n, line in lines if line.strip(" \t\v\f")]


def judge(cells: dict[str, str], base: int, *, marks: bool, fragments: bool) -> Line:
    types = cells.get("pair_type", "") if marks else ""
    ends = [cells["chrom1"], cells["chrom2"]]
    if set(types.upper()) <= set("WNXMUR") and len(types) == 2:
        for letter, fate in (
            ("W", "walk_reads"),
            ("N", "unmapped_reads"),
            ("X", "unmapped_reads"),
            ("M", "multimapped_reads"),
        ):
            if letter in types.upper():
                return fate
    if types == "!" or (marks and "!" in ends):
        return "unmapped_reads"
    if not set(ends) <= set(CHROMOSOMES):
        return "chr_not_in_fends"
    if types in ("DD", "dd"):
        return "marked_duplicates"
    read: list[int] = []
    for k in "12":
        chrom = cells["chrom" + k]
        place = decimal(cells["pos" + k], base, 2**31 - 3 + base) + 1 - base
        if cells["strand" + k] not in ("+", "-", "0", "16"):
            raise Fault("strand")
        if fragments:
            edges = [0, *G1[chrom], 2**31 - 2]
            number = decimal(cells["rfrag" + k], 0, len(edges) - 2)
            place = min(max(place, edges[number] + 1), edges[number + 1])
        read += [CHROMOSOMES[chrom], place, int(cells["strand" + k] in ("-", "16"))]
    return read[0], read[1], read[2], read[3], read[4], read[5]


def oracle(
    content: bytes, names: Sequence[str], base: int, *, marks: bool, fragments: bool
) -> tuple[list[Line], list[int]]:
    """What becomes of every read pair, and the lines that are wrong."""
    rows: list[Line] = []
    faulty = []
    used = {name for name in names if name[:-1] in ("chrom", "pos", "strand")}
    used |= {"rfrag1", "rfrag2"} if fragments else set()
    for number, line in lines_of(content):
        if line.startswith("#"):
            if marks and line.startswith("#columns:"):
                others = line.removeprefix("#columns:").split()
                if {k: n for k, n in enumerate(names) if n in used | {"pair_type"}} != {
                    k: n for k, n in enumerate(others) if n in used | {"pair_type"}
                }:
                    faulty.append(number)
            continue
        cells = dict(zip(names, line.split("\t"), strict=False))
        try:
            rows.append(judge(cells, base, marks=marks, fragments=fragments))
        except (Fault, KeyError):
            faulty.append(number)
    return rows, faulty


RAW = ["chrom1", "pos1", "strand1", "chrom2", "pos2", "strand2"]
PAIRS = ["readID", "chrom1", "pos1", "chrom2", "pos2", "strand1", "strand2"]
TYPED = ["pos1", "chrom1", "chrom2", "strand1", "strand2", "pos2", "pair_type"]
CUT = [*PAIRS, "rfrag1", "rfrag2"]

USUAL = {
    "chrom": ["chr1", "chr2"],
    "pos": ["1", "900", "2990", "3500"],
    "strand": ["+", "-", "0", "16"],
    "rfrag": ["0", "1", "2"],
    "pair_type": ["UU", "UR", "DD"],
    "readID": [".", "r1"],
}
ODD = {
    "chrom": ["chrUn", "!", "", " chr1", "chr1 ", "CHR1", "#chr1", "0x1", "\u0661", "chr\ufffd"],
    "pos": [
        "0", "-5", "-0", "007", " 12", "12 ", "  3  ", "0xBAE", "0XF", " 0x1", "2_990", "+3", "",
        "1e3", "1.5", "\u0663", "3\v", "12\u00a0", "99999999999", "9" * 30, "2147483645",
        "2147483646", "2147483647", "x", "chr1", "- 1", "0x", "NaN",
    ],
    "strand": ["*", "", "+ ", "16 ", "1", "#"],
    "rfrag": ["3", "4", "5", "-1", "0x1", "1_0", "", "9" * 30],
    "pair_type": ["NN", "MU", "WW", "XX", "dd", "nm", "", "!", "??", "D"],
    "readID": ["#", "0xBAE", "a#b", "", "\ufeff", "\u00e9"],
}  # fmt: skip


def kind(name: str) -> str:
    return name if name in USUAL else name[:-1]


def cell(name: str) -> st.SearchStrategy[str]:
    usual = st.sampled_from(USUAL[kind(name)])
    return st.one_of(usual, usual, usual, usual, usual, st.sampled_from(ODD[kind(name)]))


def a_line(names: Sequence[str]) -> st.SearchStrategy[str]:
    cells = st.tuples(*map(cell, names)).map("\t".join)
    return st.one_of(
        cells, cells, cells, cells,
        cells.map(lambda line: "#" + line),
        cells.map(lambda line: MARK + line),
        cells.map(lambda line: line + "\textra"),
        cells.map(lambda line: line.rpartition("\t")[0]),
        st.sampled_from(["", " ", "\t", "\t" * (len(names) - 1), "#", "# a", "\v", " #"]),
        st.permutations(names).map(lambda row: "#columns: " + " ".join(row)),
        st.just("#columns: " + " ".join(names)),
    )  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, Format, list[str], bool]:
    """Bytes of a file, its format, the names of its columns, and whether fragments decide."""
    format, names = draw(
        st.sampled_from([("raw", RAW), ("pairs", PAIRS), ("pairs", TYPED), ("pairs", CUT)])
    )
    usual = [USUAL[kind(name)][0] for name in names]
    head = ["#columns: " + " ".join(names)] if names is not PAIRS and format == "pairs" else []
    lines = draw(st.lists(a_line(names), max_size=12))
    ends = [
        draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"])) if draw(st.booleans()) else "\n"
        for _ in lines
    ]
    text = "".join(line + "\n" for line in (*head, "\t".join(usual)))
    text += "".join(line + end for line, end in zip(lines, ends, strict=True))
    mark = MARK if draw(st.booleans()) else ""
    return (mark + text).encode(), format, names, names is CUT and draw(st.booleans())  # type: ignore[return-value]


def read(
    path: Path,
    format: Format,
    base: int,
    block_bytes: int,
    fragments: bool,
    parse: Callable[..., ReadEnds | None] = parse_block,
) -> list[Line]:
    file = open_text(path, "")
    layout = find_layout(file, format, fragments=fragments, marks=format == "pairs")
    rows: list[Line] = []
    for block in file.blocks(block_bytes):
        ends = parse(block, layout, CHROMOSOMES, base, EDGES if fragments else None)
        assert ends is not None
        rows += list(zip(*map(np.ndarray.tolist, ends[:6]), strict=True))
        rows += [name for name, n in ends.left_out.items() for _ in range(n)]
    return rows


def by_lines(
    block: object, layout: Layout, chromosomes: object, base: int, edges: object
) -> ReadEnds:
    """The tolerant parser alone."""
    return _parse_lines(block, block.read(), layout, chromosomes, base, edges)  # type: ignore[attr-defined, arg-type]


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(files(), st.sampled_from([0, 1]), st.sampled_from([1, 7, 60, 1 << 20]))
def test_reads__are_those_of_the_oracle_in_any_text(
    tmp_path_factory: pytest.TempPathFactory,
    file: tuple[bytes, Format, list[str], bool],
    base: int,
    block_bytes: int,
) -> None:
    content, format, names, fragments = file
    path = tmp_path_factory.mktemp("text") / "reads"
    path.write_bytes(content)
    rows, faulty = oracle(content, names, base, marks=format == "pairs", fragments=fragments)
    if not faulty:
        for parse in (parse_block, by_lines):
            got = read(path, format, base, block_bytes, fragments, parse)
            assert Counter(got) == Counter(rows)
            assert [row for row in got if isinstance(row, tuple)] == [
                row for row in rows if isinstance(row, tuple)
            ]
        return
    with pytest.raises(InputError, match=r"nothing was loaded") as caught:
        read(path, format, base, block_bytes, fragments)
    line = int(re.search(r"reads:(\d+): ", str(caught.value))[1])  # type: ignore[index]
    if not re.search(rb"\r(?!\n)", content):  # blocks count line feeds
        assert line in faulty
        assert line == faulty[0] or "#columns:" in str(caught.value)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(*map(cell, RAW)).map("\t".join), min_size=1, max_size=4))
@example(["chr1\t0xBAE\t+\tchr2\t5\t-"])
@example(["#chr1\t5\t+\tchr2\t5\t-"])
def test_parsers__what_the_columnar_one_takes_the_other_takes_too(lines: list[str]) -> None:
    text = "".join(line + "\n" for line in lines).encode()
    layout = Layout(*range(6), width=6)
    if find_oddities(text):
        return
    try:
        fast = _parse_columns(text, layout, CHROMOSOMES, 1, None)
    except ValueError:
        return
    if fast is None:
        return
    slow = _parse_lines(None, text, layout, CHROMOSOMES, 1, None)  # type: ignore[arg-type]
    assert [list(column) for column in fast[:6]] == [list(column) for column in slow[:6]]
    assert Counter(fast.left_out) == Counter(slow.left_out)


def tables(names: Sequence[str], first: str) -> st.SearchStrategy[bytes]:
    """Bytes of a table, whose first line is right."""
    return st.tuples(
        st.sampled_from(["", MARK]),
        st.lists(st.tuples(a_line(names), st.sampled_from(["\n", "\n", "\r\n"])), max_size=12),
    ).map(lambda t: (t[0] + first + "\n" + "".join(map("".join, t[1]))).encode())


BED = ["chrom1", "pos1", "pos2"]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@example(b"chr1\t1\t2")
@given(tables(BED, "chr1\t1\t2"))
def test_tables__are_those_of_the_oracle(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("table") / "t.bed"
    path.write_bytes(content)
    rows, faulty = [], []
    for number, line in lines_of(content):
        cells = [cell.strip() for cell in line.split("\t")]
        if line.split()[0].startswith("#"):
            continue
        try:
            if len(cells) < 3 or not cells[0]:
                raise Fault
            rows.append(
                (cells[0], *(decimal(cell, -(2**31 - 1), 2**31 - 1) for cell in cells[1:3]))
            )
        except Fault:
            faulty.append(number)
    table = TextTable(path, coordinates=(1, 2))
    columns = Columns(0, {"start": 1, "stop": 2}, {})
    if faulty:
        with pytest.raises(InputError, match=rf"t\.bed:{faulty[0]}: "):
            table.read(columns)
        return
    got = table.read(columns)
    names = [got.names[k] for k in got.chromosome.tolist()]
    assert list(zip(names, *(v.tolist() for v in got.numbers.values()), strict=True)) == rows


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables(["rfrag1", "rfrag2", "pos1"], "0\t1\t2"), st.sampled_from([1, 20, 1 << 20]))
def test_mat__is_that_of_the_oracle(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, block_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("mat") / "m.mat"
    path.write_bytes(content)
    rows, faulty = [], []
    for number, line in lines_of(content):
        if line.startswith("#"):
            continue
        try:
            one, two, reads = [*line.split("\t"), "", ""][:3]
            limits = ((0, 3), (0, 3), (0, 2**31 - 1))
            cells = zip((one, two, reads), limits, strict=True)
            rows.append(tuple(decimal(cell, *limit) for cell, limit in cells))
        except Fault:
            faulty.append(number)
    partition = bin_partition({"chr1": 400}, 100)
    jobs = MatCounts(path, partition, block_bytes=block_bytes).prepare("", True)
    if faulty:
        with pytest.raises(InputError, match=rf"m\.mat:{faulty[0]}: "):
            [job() for job in jobs]
        return
    got = [row for job in jobs for row in zip(*(c.tolist() for c in job()[:3]), strict=True)]
    assert got == [row for row in rows if row[2]]


@settings(max_examples=200)
@given(st.lists(st.sampled_from([b"#", b"\n", b"\t", b" ", b"0", b"x", b"X", b"a"])).map(b"".join))
def test_oddities__are_comments_and_hexadecimal_cells(text: bytes) -> None:
    found = find_oddities(text)
    lines = text.split(b"\n")
    assert bool(found & COMMENTS) == any(line.startswith(b"#") for line in lines)
    cells = re.search(rb"(?:\A|[\n\t ])0[xX]", text)
    assert bool(found & HEXADECIMAL) == bool(cells)


@pytest.mark.parametrize("cell", ["12", "-12", "007", " 5 ", "0"])
def test_whole_numbers__are_decimal(cell: str) -> None:
    assert whole(cell) == finite(cell) == int(cell)
    assert is_number(cell)


@pytest.mark.parametrize("cell", ["", " ", "2_990", "0xBAE", "+ 1", "\u0663", "1\n", "--1", "1-"])
def test_whole_numbers__are_nothing_else(cell: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        whole(cell)
    with pytest.raises(ValueError, match="is not a number"):
        finite(cell)
    assert not is_number(cell)


def test_numbers__have_points_and_exponents() -> None:
    assert [finite(cell) for cell in ("1.5", "-.5", "2.", "1e3", "+1E-2")] == [
        1.5,
        -0.5,
        2,
        1e3,
        0.01,
    ]
    for word in ("nan", "-inf", "Infinity", "1e999"):
        assert is_number(word)
        with pytest.raises(ValueError, match="is not a number"):
            finite(word)


# Column names inside


JOINED = "#columns: readID chrom1 pos1 chrom2 pos2 strand1 strand2 pair_type\n"
PAIR = "r\tchr1\t1900\tchr1\t3900\t+\t+\tUU\n"
OTHER = "#columns: readID chrom1 chrom2 pos1 pos2 strand1 strand2 pair_type\n"
SWAPPED = "r\tchr1\tchr1\t1900\t3900\t+\t+\tUU\n"


def jobs_of(path: Path, block_bytes: int = 1 << 20) -> list[Callable[[dict[str, int]], ReadEnds]]:
    return list(TextReads([path], "pairs", block_bytes=block_bytes).prepare(str(path.parent), True))


@pytest.mark.parametrize("block_bytes", [30, 1 << 20])
def test_columns__named_anew_in_another_order_are_refused_with_both_lines(
    tmp_path: Path, block_bytes: int
) -> None:
    path = tmp_path / "cat.pairs"
    path.write_text("## pairs format v1.0\n" + JOINED + PAIR * 9 + OTHER + SWAPPED * 9)
    message = (
        r"cat\.pairs:12: the #columns: line names readID chrom1 chrom2 pos1 .*; line 2 names "
        r"readID chrom1 pos1 chrom2 .*\n.*nothing was loaded"
    )
    with pytest.raises(InputError, match=message):
        [job(CHROMOSOMES) for job in jobs_of(path, block_bytes)]
    # Without a first line of names, columns are the standard ones.
    path.write_text("## pairs format v1.0\n" + PAIR.replace("\tUU", "") * 3 + OTHER + SWAPPED)
    with pytest.raises(InputError, match=r":5: the #columns: line names .* without such a line"):
        [job(CHROMOSOMES) for job in jobs_of(path, block_bytes)]


@pytest.mark.parametrize("block_bytes", [30, 1 << 20])
def test_columns__named_anew_in_the_same_places_are_read(tmp_path: Path, block_bytes: int) -> None:
    path = tmp_path / "cat.pairs"
    again = JOINED.replace("chrom", "chr").replace("pair_type", "pair_type mapq1")
    path.write_text(JOINED + PAIR * 3 + "## pairs format v1.0\n#sorted: none\n" + again + PAIR * 4)
    ends = [job(CHROMOSOMES) for job in jobs_of(path, block_bytes)]
    assert sum(len(each.pos1) for each in ends) == 7
    assert not any(each.left_out for each in ends)


def test_pair_types__count_where_only_some_lines_have_them(tmp_path: Path) -> None:
    path = tmp_path / "ragged.pairs"
    path.write_text(JOINED + PAIR.replace("\tUU", "") + PAIR.replace("UU", "NN"))
    (job,) = jobs_of(path)
    ends = job(CHROMOSOMES)
    assert len(ends.pos1) == 1
    assert {name: n for name, n in ends.left_out.items() if n} == {"unmapped_reads": 1}


# Byte order marks, line ends, packing


SITES = "".join(f"chr1\t{at}\t{at + 4}\n" for at in range(1000, 5000, 1000))
READS = "chr1\t1900\t+\tchr1\t3900\t+\n" * 3
MATRIX = "5\t1\n1\t0\n"


def dress(text: str, how: str) -> bytes:
    return {
        "mark": (MARK + text).encode(),
        "marks inside": "".join(MARK + line for line in text.splitlines(keepends=True)).encode(),
        "crlf": text.replace("\n", "\r\n").encode(),
        "comments": "".join("# a\n" + line for line in text.splitlines(keepends=True)).encode(),
        "blank lines": "".join(line + " \n\n" for line in text.splitlines(keepends=True)).encode(),
    }[how]


DRESSES = ["mark", "marks inside", "crlf", "comments", "blank lines"]


@pytest.mark.parametrize("how", DRESSES)
def test_text__means_the_same_in_every_dress(tmp_path: Path, how: str) -> None:
    def dressed(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_bytes(dress(text, how))
        return path

    partition = bin_partition({"chr1": 200, "chr2": 100}, 100)
    spill = str(tmp_path)
    fends = read_bed_fends(dressed("s.bed", SITES)).units
    assert fends.chromosomes == ("chr1",)
    assert len(fends) == 6
    names, lengths = read_lengths(dressed("c.sizes", "chr1\t200\nchr2\t100\n"))
    assert (names, lengths.tolist()) == (("chr1", "chr2"), [200, 100])
    (job,) = TextReads([dressed("r.raw", READS)], "raw").prepare(spill, True)
    assert job(CHROMOSOMES).pos1.tolist() == [1900] * 3
    (counts,) = MatCounts(dressed("m.mat", "0\t1\t5\n1\t1\t2\n"), partition).prepare(spill, True)
    assert counts().reads.tolist() == [5, 2]
    dressed("m.chr1.txt", MATRIX)
    cells = MatrixCounts(tmp_path / "m.*.txt", partition, "txt").prepare(spill, True)
    assert [each().reads.tolist() for each in cells] == [[5, 1]]


@pytest.mark.parametrize("how", ["mark", "crlf"])
def test_fasta__means_the_same_in_every_dress(tmp_path: Path, how: str) -> None:
    path = tmp_path / "g.fa"
    path.write_bytes(dress(">chr1 a\nACGT\nAC\n>chr2\nGG\n", how))
    found = {name: bases.tobytes() for name, bases in read_fasta(path)}
    assert found == {"chr1": b"ACGTAC", "chr2": b"GG"}


@pytest.mark.parametrize(
    ("value", "problem"),
    [("0xBAE", "'0xBAE'"), ("2_990", "'2_990'"), ("+5", r"'\+5'"), ("\u0663", "'\u0663'")],
)
def test_numbers__are_decimal_in_every_file(tmp_path: Path, value: str, problem: str) -> None:
    partition = bin_partition({"chr1": 200}, 100)
    for name, text in {
        "s.bed": f"{SITES}chr1\t{value}\t9999\n",
        "c.sizes": f"chr1\t200\nchr2\t{value}\n",
        "r.raw": f"{READS}chr1\t{value}\t+\tchr1\t3900\t+\n",
        "m.mat": f"0\t1\t1\n0\t1\t{value}\n",
        "m.chr1.txt": f"1\t2\n1\t{value}\n",
    }.items():
        (tmp_path / name).write_text(text)
    spill = str(tmp_path)
    match = rf":\d: .*{problem}"
    with pytest.raises(InputError, match=match):
        read_bed_fends(tmp_path / "s.bed")
    with pytest.raises(InputError, match=match):
        read_lengths(tmp_path / "c.sizes")
    with pytest.raises(InputError, match=match):
        [job(CHROMOSOMES) for job in TextReads([tmp_path / "r.raw"], "raw").prepare(spill, True)]
    with pytest.raises(InputError, match=match):
        [job() for job in MatCounts(tmp_path / "m.mat", partition).prepare(spill, True)]
    if value == "+5":
        return  # cells of matrices may be +5e0 as well
    with pytest.raises(InputError, match=match):
        [job() for job in MatrixCounts(tmp_path / "m.*.txt", partition, "txt").prepare(spill, True)]


@pytest.mark.parametrize("system", [0, 3, 255])
def test_bgzip__may_be_of_any_operating_system(tmp_path: Path, system: int) -> None:
    for name, text in (("s.bed.gz", SITES), ("r.raw.gz", READS)):
        content = bgzip(tmp_path / name, text.encode()).read_bytes()
        parts = content.split(b"\x1f\x8b\x08\x04")[1:]
        heads = (b"\x1f\x8b\x08\x04" + part[:5] + bytes([system]) + part[6:] for part in parts)
        (tmp_path / name).write_bytes(b"".join(heads))
    assert len(read_bed_fends(tmp_path / "s.bed.gz").units) == 6
    jobs = TextReads([tmp_path / "r.raw.gz"], "raw").prepare(str(tmp_path), True)
    assert sum(len(job(CHROMOSOMES).pos1) for job in jobs) == 3


def test_bgzip__joined_with_gzip_is_named(tmp_path: Path) -> None:
    path, other = tmp_path / "r.raw.gz", gzip.compress(READS.encode())
    packed = bgzip(path, READS.encode()).read_bytes()
    for content in (packed + other, packed + other + packed):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"r\.raw\.gz: has gzip data behind .*\n  pack it"):
            TextReads([path], "raw").prepare(str(tmp_path), True)
    path.write_bytes(other + packed)  # of which gzip makes one text
    (job,) = TextReads([path], "raw").prepare(str(tmp_path), True)
    assert len(job(CHROMOSOMES).pos1) == 6


# Files that are no text


HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(40)


FORMATS = [
    ("a.hic", b"HIC\0\x08\0\0\0", r"is a \.hic file of Juicer, expected .*\n.*hictk convert"),
    ("a.cool.gz", gzip.compress(HDF5, mtime=0),
     r"is an HDF5 file, as coolers are, packed with gzip, expected .*\n  unpack it"),
    ("a.pairs.bz2", b"BZh91AY&SY", r"is packed with bzip2, expected .*\n.*bunzip2"),
    ("a.pairs.xz", b"\xfd7zXZ\0", r"is packed with xz, expected"),
    ("a.pairs.zst", b"\x28\xb5\x2f\xfd\0", r"is packed with zstd, expected"),
    ("a.zip", b"PK\3\4", r"is a zip archive, expected"),
    ("a.txt", READS.encode("utf-16"), r"is text in UTF-16, expected .*\n.*iconv -f UTF-16"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "problem"), FORMATS, ids=[row[0] for row in FORMATS])
def test_other_formats__are_named_for_what_they_are(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    match = rf"{re.escape(name)}: {problem}"
    with pytest.raises(InputError, match=match):
        detect_format(path)
    with pytest.raises(InputError, match=match):
        read_bed_fends(path)
    with pytest.raises(InputError, match=match):
        BamReads([[path]], fend_partition(G1)).prepare(str(tmp_path), True)
    with pytest.raises(InputError, match=match):
        CoolCounts(path, bin_partition({"chr1": 200}, 100)).prepare(str(tmp_path), True)


# Files that change while they are read


def shrink(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(path.read_bytes()[-60:])


def write_again(path: Path) -> None:
    path.write_bytes(path.read_bytes())
    before = path.stat().st_mtime_ns
    os.utime(path, ns=(before, before + 2_000_000))


CHANGES = {
    shrink: r"was changed while it was read: it had [\d,]+ bytes first, [\d,]+ later\n  read it",
    grow: r"was changed while it was read: it had [\d,]+ bytes first, [\d,]+ later\n  read it",
    write_again: r"was changed while it was read: it has [\d,]+ bytes as before, but another "
    r"time of writing\n  read it again .*`cp -p`",
    Path.unlink: r"cannot be found any more: .*\n  leave the file in its place",
}


@pytest.mark.parametrize("change", list(CHANGES), ids=lambda change: change.__name__)
@pytest.mark.parametrize("kind", ["plain", "bgzip", "mat", "matrix", "arrays"])
def test_changes__between_blocks_are_found(
    tmp_path: Path, kind: str, change: Callable[[Path], None]
) -> None:
    partition = bin_partition({"chr1": 2000}, 100)
    names = {"mat": "m.mat", "matrix": "m.chr1.txt", "arrays": "m.npz"}
    path = tmp_path / names.get(kind, "r.raw")
    spill = str(tmp_path)
    jobs: Sequence[Callable[[], object]]
    if kind in ("plain", "bgzip"):
        path.write_text(READS * 50)
        if kind == "bgzip":
            bgzip(path, (READS * 50).encode(), 300)
        jobs = [
            lambda job=job: job(CHROMOSOMES)  # type: ignore[misc]
            for job in TextReads([path], "raw", block_bytes=900).prepare(spill, True)
        ]
    elif kind == "mat":
        path.write_text("0\t1\t5\n1\t2\t3\n" * 99)
        jobs = list(MatCounts(path, partition, block_bytes=500).prepare(spill, True))
    elif kind == "arrays":
        np.savez(path, **dict.fromkeys(("chr1", "chr1_by_chr2", "chr2"), np.ones((20, 20), int)))
        partition = bin_partition({"chr1": 2000, "chr2": 2000}, 100)
        jobs = list(MatrixCounts(path, partition).prepare(spill, True))
    else:
        path.write_text(("1\t" * 19 + "1\n") * 20)
        template = tmp_path / "m.*.txt"
        jobs = list(MatrixCounts(template, partition, "txt", block_bytes=300).prepare(spill, True))
    assert len(jobs) > 2
    for job in jobs[:-1]:
        job()
    change(path)
    with pytest.raises(InputError, match=rf"{path.name}: {CHANGES[change]}"):
        jobs[-1]()


def test_changes__of_coolers_are_found(tmp_path: Path) -> None:
    cooler = pytest.importorskip("cooler")
    path = tmp_path / "m.cool"
    frame = pd.DataFrame(
        {"chrom": "chr1", "start": range(0, 500, 100), "end": range(100, 600, 100)}
    )
    pixels = pd.DataFrame({"bin1_id": range(5), "bin2_id": 4, "count": 2})
    cooler.create_cooler(str(path), frame, pixels)
    jobs = CoolCounts(path, bin_partition({"chr1": 500}, 100), pixels=2).prepare("", True)
    assert [job().reads.sum() for job in jobs] == [4, 4, 2]
    write_again(path)
    with pytest.raises(InputError, match=r"m\.cool.*: was changed while it was read"):
        jobs[-1]()


@pytest.mark.parametrize("change", [grow, write_again])
def test_changes__of_what_is_read_in_one_piece_are_found(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    packed, plain = tmp_path / "r.gz", tmp_path / "g.fa"
    packed.write_bytes(gzip.compress(os.urandom(1 << 21)))
    pieces = open_text(packed, "")
    text = inflate(pieces)
    next(text)
    change(packed)
    with pytest.raises(InputError, match=r"r\.gz: was changed while it was read"):
        list(text)
    plain.write_text(">chr1\nACGT\n>chr2\n" + "ACGT" * 20 + "\n")
    records = read_fasta(plain)
    next(records)
    change(plain)
    with pytest.raises(InputError, match=r"g\.fa: was changed while it was read"):
        list(records)


@pytest.mark.parametrize("kind", ["bam", "sam"])
def test_changes__of_alignments_are_found(tmp_path: Path, kind: str) -> None:
    records = [Record(f"r{k}", flag, "chr1", 1500 + k) for k in range(50) for flag in (65, 129)]
    path = write_bam(tmp_path / f"a.{kind}", records)
    source = BamReads([[path]], fend_partition(G1))
    unpack = AlignmentFile.blocked

    def blocked(file: AlignmentFile, directory: str, number: int) -> AlignmentFile:
        write_again(path)
        return unpack(file, directory, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AlignmentFile, "blocked", blocked)
        with pytest.raises(InputError, match=rf"a\.{kind}: was changed while it was read"):
            source.prepare(str(tmp_path), True)


def test_changes__leave_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fends, reads = tmp_path / "f.zarr", tmp_path / "r.raw"
    (tmp_path / "s.bed").write_text(SITES)
    fend = Fend(fends, "w", silent=True)
    fend.load_fends(tmp_path / "s.bed")
    fend.save()
    reads.write_text(READS * 10)
    data = HiCData(tmp_path / "p.zarr", "w", silent=True)
    data.load_data_from_raw(fends, reads, 500)
    before = data.stats["total_reads"]

    def later(self: TextReads, spill: str, silent: bool) -> Sequence[object]:
        jobs = prepare(self, spill, silent)
        grow(reads)
        return jobs

    prepare = TextReads.prepare
    monkeypatch.setattr(TextReads, "prepare", later)
    with pytest.raises(InputError, match="was changed while it was read"):
        data.load_data_from_raw(fends, reads, 500)
    assert HiCData(tmp_path / "p.zarr").stats["total_reads"] == before == 30
