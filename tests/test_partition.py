"""Readers and builders of partitions: statements T1-T12, faulty files, golden arrays."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hifive_dask import Fend
from hifive_dask.errors import InputError, InputWarning, ParameterError
from hifive_dask.genome.bed import read_bed_bins, read_bed_fends
from hifive_dask.genome.build import bins_from_fends, bins_from_lengths, fends_from_cuts
from hifive_dask.genome.fend_table import read_fend_table
from hifive_dask.genome.lengths import read_lengths
from hifive_dask.genome.order import natural_order
from hifive_dask.genome.partition import Partition, Units

G1 = {"chr1": [1000, 2000, 3000, 4000], "chr2": [500, 1500, 2500]}
G2 = {**G1, "chr3": [100, 1100, 2100]}
TABLE = (
    "fend\tfrag\tchr\tcoord\tvalid\tlen\tgc\n"
    "1\t1\tchr1\t3002506\t1\t3372\t0.4\n"
    "2\t1\tchr1\t3005877\t0\t3372\t0.5\n"
    "3\t2\tchr1\t3005878\t1\t389\t0.6\n"
    "4\t2\tchr1\t3006266\t1\t389\t0.7\n"
)
fixed = settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def site_lines(cuts: dict[str, list[int]]) -> list[str]:
    """BED lines of six-base sites around cuts."""
    return [f"{c}\t{x - 3}\t{x + 3}\tRE\t0\t+" for c, xs in cuts.items() for x in xs]


def write(folder: Path, text: str | Sequence[str], name: str = "in.bed") -> Path:
    """Write a text, or lines."""
    path = folder / name
    path.write_text(text if isinstance(text, str) else "\n".join(text) + "\n")
    return path


def rows(units: Units) -> list[tuple[str, int, int, int]]:
    """Chromosome, start, stop, mid of all units."""
    names = [units.chromosomes[k] for k in units.chromosome]
    return list(
        zip(names, units.start.tolist(), units.stop.tolist(), units.mid.tolist(), strict=True)
    )


def spans(units: Units) -> list[tuple[int, int, int]]:
    """Start, stop, mid of all units."""
    return [row[1:] for row in rows(units)]


def same_units(a: Units, b: Units) -> bool:
    """Whether all arrays are equal."""
    pairs = [(a.offset, b.offset), (a.start, b.start), (a.stop, b.stop), (a.mid, b.mid)]
    pairs += [(a.features[name], b.features[name]) for name in a.features]
    return a.chromosomes == b.chromosomes and all(np.array_equal(x, y) for x, y in pairs)


# Fends from BED


def test_fends__g1_by_hand(tmp_path: Path) -> None:
    """T1."""
    bed = read_bed_fends(write(tmp_path, site_lines(G1)))
    assert bed.content == "sites"
    assert bed.mean_length == 6.0
    units = bed.units
    assert units.chromosomes == ("chr1", "chr2")
    assert rows(units) == [
        ("chr1", 1000, 1500, 1250),
        ("chr1", 1500, 2000, 1750),
        ("chr1", 2000, 2500, 2250),
        ("chr1", 2500, 3000, 2750),
        ("chr1", 3000, 3500, 3250),
        ("chr1", 3500, 4000, 3750),
        ("chr2", 500, 1000, 750),
        ("chr2", 1000, 1500, 1250),
        ("chr2", 1500, 2000, 1750),
        ("chr2", 2000, 2500, 2250),
    ]
    assert units.offset.tolist() == [0, 6, 10]
    assert {a.dtype for a in (units.chromosome, units.start, units.stop, units.mid)} == {
        np.dtype("int32")
    }


@fixed
@given(order=st.permutations(range(14)), feature=st.lists(st.integers(0, 9), min_size=28))
def test_fends__independent_of_line_order(
    tmp_path: Path, order: list[int], feature: list[int]
) -> None:
    """T2, with repeated sites whose features differ."""
    lines = site_lines({"chrX": [50, 90], "10": [9, 40], "chr2": [9, 40], "chr10": [9, 40]})
    lines += site_lines({"chr1": [70, 80, 90, 90, 90, 100]})
    lines = [f"{x}\t{a},{b}" for x, a, b in zip(lines, feature[::2], feature[1::2], strict=False)]
    head = "c\ts\te\tn\ts\ts\tgc"
    found = []
    for order_of_lines in (range(14), order):
        path = write(tmp_path, [head, *(lines[k] for k in order_of_lines)])
        with pytest.warns(InputWarning, match=r"2 line\(s\) repeat a cut site"):
            found.append(read_bed_fends(path).units)
    sorted_units, units = found
    assert units.chromosomes == ("10", "chr1", "chr10", "chr2", "chrX")
    assert same_units(units, sorted_units)


def test_bed__mean_length_ten_is_fragments(tmp_path: Path) -> None:
    """T3."""
    bed = read_bed_fends(write(tmp_path, "chr1\t100\t110\nchr1\t300\t310\n"))
    assert bed.content == "fragments"
    assert spans(bed.units) == [(100, 105, 102), (105, 110, 107), (300, 305, 302), (305, 310, 307)]
    bed = read_bed_fends(write(tmp_path, "chr1\t100\t109\nchr1\t300\t310\n"))
    assert bed.content == "sites"
    assert spans(bed.units) == [(104, 204, 154), (204, 305, 254)]


def test_bed__said_content_beats_mean_length(tmp_path: Path) -> None:
    path = write(tmp_path, "chr1\t100\t160\nchr1\t300\t310\n")
    assert read_bed_fends(path, "sites").content == "sites"
    assert read_bed_fends(path, "fragments").content == "fragments"
    with pytest.raises(ParameterError, match="content is 'cuts', expected 'sites'"):
        read_bed_fends(path, "cuts")  # type: ignore[arg-type]


def test_features__taken_from_the_side_of_the_fend(tmp_path: Path) -> None:
    """T4."""
    head = "chr\tstart\tstop\tname\tscore\tstrand\tgc\tmap\n"
    text = "chr1\t100\t106\t.\t.\t.\t0.1,0.2\t0.9,0.8\nchr1\t300\t306\t.\t.\t.\t0.3,0.4\t0.7,0.6\n"
    units = read_bed_fends(write(tmp_path, head + text)).units
    assert spans(units) == [(103, 203, 153), (203, 303, 253)]
    assert units.features["gc"].tolist() == np.float32([0.2, 0.3]).tolist()
    assert units.features["map"].tolist() == np.float32([0.8, 0.7]).tolist()
    text = "chr1\t100\t301\t.\t.\t.\t0.1,0.2\nchr1\t301\t500\t.\t.\t.\t0.3,0.4\n"
    for mark in ("", "#"):  # a header may be written as a comment
        path = write(tmp_path, mark + head.replace("\tmap", "") + text)
        units = read_bed_fends(path).units
        assert spans(units) == [(100, 200, 150), (200, 301, 250), (301, 400, 350), (400, 500, 450)]
        assert units.features["gc"].dtype == np.float32
        assert units.features["gc"].tolist() == np.float32([0.1, 0.2, 0.3, 0.4]).tolist()
    assert read_bed_fends(write(tmp_path, text)).units.features == {}


def test_fends__single_cut_keeps_the_chromosome(tmp_path: Path) -> None:
    """T10."""
    for cuts, offset in (
        ({"chr1": [103, 303], "chr2": [103]}, [0, 2, 2]),
        ({"chr1": [103, 303], "chr2": [103], "chr3": [5, 9]}, [0, 2, 2, 4]),
    ):
        with pytest.warns(InputWarning, match=r"1 chromosome\(s\) .* have no fends: chr2$"):
            units = read_bed_fends(write(tmp_path, site_lines(cuts))).units
        assert units.offset.tolist() == offset
        bins = bins_from_fends(units, 50)
        assert bins.offset[1] == bins.offset[2]


def test_fends__repeated_site_changes_nothing(tmp_path: Path) -> None:
    """T11."""
    want = read_bed_fends(write(tmp_path, site_lines({"chr1": [103, 203]}))).units
    with pytest.warns(InputWarning, match=r"1 line\(s\) repeat a cut site"):
        units = read_bed_fends(write(tmp_path, site_lines({"chr1": [103, 103, 203]}))).units
    assert same_units(units, want)
    fragments = "chr1\t0\t100\nchr1\t0\t100\nchr1\t100\t200\n"
    with pytest.warns(InputWarning, match=r"1 line\(s\) repeat a fragment"):
        assert len(read_bed_fends(write(tmp_path, fragments)).units) == 4


def test_fends__large_coordinates_do_not_wrap(tmp_path: Path) -> None:
    """T12."""
    lines = "chr1\t1200000000\t1200000006\nchr1\t1300000000\t1300000006\n"
    units = read_bed_fends(write(tmp_path, lines)).units
    assert spans(units) == [
        (1200000003, 1250000003, 1225000003),
        (1250000003, 1300000003, 1275000003),
    ]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [False, True])
def test_bed__comments_blank_lines_line_ends_and_gzip_do_not_matter(
    tmp_path: Path, packed: bool, end: str, last: bool
) -> None:
    lines = site_lines(G1)
    odd = ["browser position chr1", "track name=x", "# made by hand", "", "chrom\tstart\tend"]
    odd += [lines[0], "# a\t5\t9\t.\t.\t.", "   ", *lines[1:4], "track\t7\t9\t.\t.\t.", *lines[4:]]
    text = ("\ufeff" + end.join(odd) + (end if last else "")).encode()
    path = tmp_path / "in.bed"
    half = len(text) // 2
    path.write_bytes(gzip.compress(text[:half]) + gzip.compress(text[half:]) if packed else text)
    want = read_bed_fends(write(tmp_path, lines, "plain.bed")).units
    assert same_units(read_bed_fends(path).units, want)


def test_bed__lines_of_unequal_width_are_read(tmp_path: Path) -> None:
    lines = site_lines(G1)
    lines[2] = "\t".join(lines[2].split("\t")[:3])
    want = read_bed_fends(write(tmp_path, site_lines(G1))).units
    assert same_units(read_bed_fends(write(tmp_path, lines)).units, want)


BED = "".join(f"{name}\t{start}\t{start + 4}\n" for name in ("chr2", "chr10", "chrX", "chr1")
              for start in (100, 900, 1900))  # fmt: skip


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("bytes", ["chr1", "chr10", "chr2", "chrX"]),
        ("input", ["chr2", "chr10", "chrX", "chr1"]),
        ("natural", ["chr1", "chr2", "chr10", "chrX"]),
        ("auto", ["chr2", "chr10", "chrX", "chr1"]),
        (None, ["chr1", "chr10", "chr2", "chrX"]),
    ],
)
def test_order__of_chromosomes(tmp_path: Path, order: Any, names: list[str]) -> None:
    path = write(tmp_path, BED)
    fend = Fend(tmp_path / "g.zarr", "w", silent=True)
    fend.load_fends(path, order=order)
    assert fend.chromosomes.tolist() == names
    assert f"order={order!r}" in fend.history or order is None
    bins = Fend(tmp_path / "b.zarr", "w", silent=True)
    bins.load_bins(path, order=order)
    assert bins.chromosomes.tolist() == names
    # Lines of one chromosome in two places: the order of the input is by chance.
    fend.load_fends(write(tmp_path, BED + "chr2\t5000\t5004\n"), order=order)
    natural = ["chr1", "chr2", "chr10", "chrX"]
    assert fend.chromosomes.tolist() == (natural if order == "auto" else names)
    assert fend.units.offset[-1] == 18


def test_order__of_lengths_and_of_what_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "g.len").write_text("chrM\t100\nchr10\t200\nchr9\t150\n")
    fend = Fend(tmp_path / "g.zarr", "w", binned=50, silent=True)
    for order, names in ((None, ["chrM", "chr10", "chr9"]), ("natural", ["chr9", "chr10", "chrM"])):
        fend.load_bins(tmp_path / "g.len", order=order)  # type: ignore[arg-type]
        assert fend.chromosomes.tolist() == names
    assert np.diff(fend.units.offset).tolist() == [3, 4, 2]
    (tmp_path / "g.fend").write_text("")
    with pytest.raises(ParameterError, match="order is 'input', but chromosomes of a fend table"):
        fend.load_fends(tmp_path / "g.fend", order="input")
    with pytest.raises(ParameterError, match="order is 'input', but chromosomes of a cooler are"):
        fend.load_bins(tmp_path / "g.cool", order="input")
    with pytest.raises(ParameterError, match=r"unknown order 'naturl'.*Did you mean 'natural'"):
        fend.load_bins(tmp_path / "g.len", order="naturl")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "names",
    [
        ["chr1", "chr2", "chr10", "chrX", "chrY", "chrM", "chr1_random", "chr2_random", "chrUn_9"],
        ["1", "2", "11", "X", "MT", "GL000008.2", "GL000009.1"],
        ["chr2L", "chr2R", "chr3L", "chr4", "chrX", "chrY", "chrM"],
        ["chrI", "chrII", "chrIV", "chrIX", "chrX", "chrXIV", "chrXVI", "chrM"],
        ["Chr1", "Chr2", "ChrC", "ChrM"],
        ["scaffold_2", "scaffold_10"],
    ],
)
def test_order__natural(names: list[str]) -> None:
    assert natural_order(sorted(names)) == names
    assert natural_order(names[::-1])[0] == names[0]


HEAD = "c\ts\te\tn\ts\ts\tgc\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t5\t9\nchr1\tx\t30\n", r":2: start is 'x', expected a whole number"),
        ("chr1\t1O0\t106\nchr1\t5\t9\n", r":1: start is '1O0'"),
        ("chr1\t5\t9\nc\ts\te\nchr1\t7\t9\n", r":2: start is 's'"),
        ("#x\n\nchr1\t5\t9\nchr1\t7\t1e3\n", r":4: stop is '1e3'"),
        ("chr1\t5\t9\nchr1\t7\t0x10\n", r":2: stop is '0x10'"),
        ("chr1\t5\t9\n\nchr1\t7\n", r":3: 2 tab-separated column\(s\), expected at least 3"),
        ("chr1 5 9\nchr1 7 9\n", r":1: 1 tab-separated(.|\n)*separated by tabs, not blanks"),
        ("chr1\t5\t9\n\t7\t9\n", r":2: the chromosome name is empty"),
        ("chr1\t5\t9\nchr1\t9\t9\n", r":2: the start is not below the stop: 'chr1 9 9'"),
        ("#\nchr1\t5\t9\n\nchr1\t12\t9\n", r":4: the start is not below"),
        ("chr1\t-5\t9\nchr1\t10\t19\n", r":1: the start is negative"),
        ("chr1\t5\t9\nchr1\t10\t2147483648\n", r":2: the stop is above 2147483647"),
        ("chr1\t5\t9\nchr1\t10\t99999999999999999999\n", r":2: stop is 9+, the largest coord"),
        ("chr1\t5\t9\nchr2\t5\t9\n", r"no chromosome has two cut sites"),
        ("chr1\t0\t50\nchr2\t5\t9\nchr1\t49\t90\n", r":3: the fragment overlaps chr1:0-50"),
        (HEAD + "chr1\t5\t9\t.\t.\t.\t1\n", r":2: feature 'gc' is '1', expected two numbers"),
        (HEAD + "chr1\t5\t9\t.\t.\t.\t1,nan\n", r":2: feature 'gc' is '1,nan'"),
        (HEAD + "chr1\t5\t9\t.\t.\t.\t1,2\nchr1\t15\t19\t.\t.\t.\n", r":3: 6 tab-separated.*gc"),
        (HEAD.replace("gc", "mid") + "chr1\t5\t9\n", r"column 7 is named 'mid'; feature names"),
        ("# only comments\n\n", r"holds no data lines"),
        ("", r"is empty"),
    ],
)
def test_bed__faulty_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_bed_fends(write(tmp_path, text))


def test_readers__refuse_what_is_no_text_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file\n  Check the path"):
        read_bed_fends(tmp_path / "none.bed")
    with pytest.raises(InputError, match=r"is a directory"):
        read_lengths(tmp_path)
    path = tmp_path / "cut.bed.gz"
    path.write_bytes(gzip.compress(b"chr1\t5\t9\n" * 1000)[:-9])
    with pytest.raises(InputError, match=r"damaged gzip data"):
        read_bed_fends(path)
    path.write_bytes(b"chr1\t5\t9\n\xff\xfe\t1\t2\n")
    with pytest.raises(InputError, match=r":2: is not UTF-8 text"):
        read_bed_fends(path)


# Fend tables, lengths, bins


def test_fend_table__by_hand(tmp_path: Path) -> None:
    """T5; blank lines and order do not matter."""
    lines = TABLE.splitlines()
    for text in (TABLE, [lines[0], lines[4], "", lines[2], lines[1], lines[3], ""]):
        units = read_fend_table(write(tmp_path, text))
        assert spans(units) == [
            (3002506, 3004192, 3003349),
            (3004192, 3005878, 3005035),
            (3005878, 3006072, 3005975),
            (3006072, 3006267, 3006169),
        ]
        assert units.features["gc"].tolist() == np.float32([0.4, 0.5, 0.6, 0.7]).tolist()


def test_fend_table__chromosomes_in_order_of_the_numbers(tmp_path: Path) -> None:
    lines = ["fend\tfrag\tchr\tcoord\tvalid\tlen", "3\t2\ta\t5\t1\t4", "4\t2\ta\t8\t1\t4"]
    lines += ["1\t1\tz\t10\t1\t6", "2\t1\tz\t15\t1\t6"]
    units = read_fend_table(write(tmp_path, lines))
    assert rows(units)[::2] == [("z", 10, 13, 11), ("a", 5, 7, 6)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (TABLE.splitlines()[0] + "\n", "", r"first line is not a header"),
        ("coord", "position", r"not a header .*; not found: coord"),
        ("\n3\t2", "\n0\t2", r":4: fend number 0 where 1 is due"),
        ("\n4\t2", "\n3\t2", r":5: fend number 3 where 4 is due"),
        ("\n4\t2", "\n6\t2", r":5: fend number 6 where 4 is due"),
        ("4\t2\tchr1\t3006266\t1\t389\t0.7\n", "", r":4: the last fend has no right half"),
        ("3005877", "3005879", r":3: coord or length does not fit the left fend"),
        ("4\t2\tchr1", "4\t2\tchr2", r":5: the chromosome differs from that of the left fend"),
        ("3005878\t1\t389", "3005877\t1\t390", r":5: coord or length"),
        ("3372\t0.5", "x\t0.5", r":3: fragment length is 'x', expected a whole number"),
        ("\t0.6", "\t0.6,0.7", r":4: feature 'gc' is '0.6,0.7', expected one number"),
    ],
)
def test_fend_table__faulty_line_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TABLE
    with pytest.raises(InputError, match=message):
        read_fend_table(write(tmp_path, TABLE.replace(old, new)))


def test_fend_table__refuses_overlaps_and_split_chromosomes(tmp_path: Path) -> None:
    head = "fend\tfrag\tchr\tcoord\tvalid\tlen\n"

    def table(*fragments: tuple[str, int, int]) -> str:
        lines = []
        for k, (name, start, stop) in enumerate(fragments):
            for n, coord in ((2 * k + 1, start), (2 * k + 2, stop - 1)):
                lines.append(f"{n}\t{k + 1}\t{name}\t{coord}\t1\t{stop - start}\n")
        return head + "".join(lines)

    assert len(read_fend_table(write(tmp_path, table(("a", 0, 9), ("b", 0, 9))))) == 4
    with pytest.raises(InputError, match=r":5: the fragment overlaps the one before it"):
        read_fend_table(write(tmp_path, table(("a", 0, 9), ("a", 8, 19))))
    with pytest.raises(InputError, match=r":6: .* not numbered in one stretch"):
        read_fend_table(write(tmp_path, table(("a", 0, 9), ("b", 0, 9), ("a", 9, 12))))
    with pytest.raises(InputError, match=r":3: the fragment is empty or starts below 0"):
        read_fend_table(write(tmp_path, table(("a", -1, 9))))


def test_lengths__uniform_bins_by_hand(tmp_path: Path) -> None:
    """T6."""
    path = write(tmp_path, "chr10\t100\n\nchr2\t99\nchr1\t101")
    bins = bins_from_lengths(*read_lengths(path), 50)
    assert bins.chromosomes == ("chr10", "chr2", "chr1")
    assert bins.offset.tolist() == [0, 2, 4, 7]
    assert spans(bins)[-1] == (100, 150, 125)
    assert bins_from_lengths(["a"], np.array([10]), 5).mid.tolist() == [2, 7]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t5\nchr2\t9\nchr1\t5\n", r":3: the chromosome has a line already: 'chr1 5'"),
        ("chr1\t5\nchr2\t-9\n", r":2: the length is negative"),
        ("chr1\t3000000000\n", r":1: the length is above 2147483647"),
        ("chr1\t1,000\n", r":1: length is '1,000', expected a whole number"),
        ("chrom\tlength\nchr1\n", r":2: 1 tab-separated column"),
        ("chr1\t0\n", r"all chromosomes have length 0"),
    ],
)
def test_lengths__faulty_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_lengths(write(tmp_path, text))


def test_lengths__length_zero_gives_no_bins(tmp_path: Path) -> None:
    with pytest.warns(InputWarning, match=r"1 chromosome\(s\) of length 0 have no bins: chr2"):
        names, length = read_lengths(write(tmp_path, "name\tlength\nchr1\t60\nchr2\t0\n"))
    assert bins_from_lengths(names, length, 50).offset.tolist() == [0, 2, 2]


def test_bins__refuse_to_leave_int32() -> None:
    with pytest.raises(ParameterError, match="bins of 2000000000 bp: 2 bins that reach to"):
        bins_from_lengths(["a"], np.array([2_100_000_000]), 2_000_000_000)


def test_arbitrary_bins__by_hand(tmp_path: Path) -> None:
    """T7."""
    text = "chr2\t0\t50\t.\t.\t.\t3\nchr1\t100\t175\t.\t.\t.\t2\nchr1\t0\t100\t.\t.\t.\t1\n"
    bins = read_bed_bins(write(tmp_path, HEAD + text))
    assert rows(bins) == [("chr1", 0, 100, 50), ("chr1", 100, 175, 137), ("chr2", 0, 50, 25)]
    assert bins.offset.tolist() == [0, 2, 3]
    assert bins.features["gc"].tolist() == [1, 2, 3]
    with pytest.raises(InputError, match=r":2: the bin overlaps chr1:0-100"):
        read_bed_bins(write(tmp_path, "chr1\t0\t100\nchr1\t50\t150\n"))


# Fends in bins


def test_fends_in_bins__g2_by_hand(tmp_path: Path) -> None:
    """T8."""
    fends = read_bed_fends(write(tmp_path, site_lines(G2))).units
    bins = bins_from_fends(fends, 1000)
    assert rows(bins) == [
        ("chr1", 1000, 2000, 1500),
        ("chr1", 2000, 3000, 2500),
        ("chr1", 3000, 4000, 3500),
        ("chr2", 0, 1000, 500),
        ("chr2", 1000, 2000, 1500),
        ("chr2", 2000, 3000, 2500),
        ("chr3", 0, 1000, 500),
        ("chr3", 1000, 2000, 1500),
    ]
    assert bins.offset.tolist() == [0, 3, 6, 8]
    assert bins.num_fends is not None
    assert bins.num_fends.tolist() == [2, 2, 2, 1, 2, 1, 2, 2]


def test_fends_in_bins__midpoint_on_a_border(tmp_path: Path) -> None:
    """T9."""
    fends = read_bed_fends(write(tmp_path, "chr1\t0\t300\nchr1\t300\t500\n")).units
    assert fends.mid.tolist() == [75, 225, 350, 450]
    bins = bins_from_fends(fends, 90)
    assert (bins.start[0], bins.stop[-1], len(bins)) == (0, 540, 6)
    assert bins.num_fends is not None
    assert bins.num_fends.tolist() == [1, 0, 1, 1, 0, 1]


@st.composite
def genomes(draw: st.DrawFn) -> Units:
    """Fends of up to four chromosomes, some of them empty."""
    chromosome, cuts = [], []
    for k in range(draw(st.integers(1, 4))):
        here = draw(st.sets(st.integers(0, 600), min_size=2 if k == 0 else 0, max_size=12))
        cuts += sorted(here)
        chromosome += [k] * len(here)
    names = [f"c{k}" for k in range(k + 1)]
    values = draw(st.lists(st.floats(-9, 9, width=32), min_size=2, max_size=40))
    feature = np.resize(np.array(values), (len(cuts), 2))
    return fends_from_cuts(names, np.array(chromosome), np.array(cuts), {"gc": feature})


@fixed
@given(fends=genomes(), binsize=st.integers(1, 400))
def test_fends_in_bins__equal_plain_counting(fends: Units, binsize: int) -> None:
    """The rule of the bins, fend by fend."""
    want = []
    for k in range(len(fends.chromosomes)):
        mids = fends.mid[fends.span(k)].tolist()
        values = fends.features["gc"][fends.span(k)].tolist()
        if not mids:
            continue
        first = (mids[0] // binsize) * binsize
        for start in range(first, (mids[-1] // binsize + 1) * binsize, binsize):
            inside = [v for m, v in zip(mids, values, strict=True) if 0 <= m - start < binsize]
            mean = np.float32(sum(inside) / max(1, len(inside)))
            want.append((k, start, start + binsize, start + binsize // 2, len(inside), mean))
    bins = bins_from_fends(fends, binsize)
    assert bins.num_fends is not None
    seen = zip(bins.chromosome, bins.start, bins.stop, bins.mid, bins.num_fends, strict=True)
    assert [row[:5] for row in want] == [tuple(map(int, row)) for row in seen]
    np.testing.assert_allclose(bins.features["gc"], [row[5] for row in want], rtol=1e-6, atol=1e-6)
    member = Partition(fends, bins, binsize).fend_bin
    assert (bins.start[member] <= fends.mid).all()
    assert (fends.mid < bins.stop[member]).all()
    assert (bins.chromosome[member] == fends.chromosome).all()


# Golden


def results(name: str, units: Units) -> dict[str, np.ndarray]:
    """Arrays by the names of the golden manifest."""
    found: dict[str, np.ndarray] = {
        "chr": units.chromosome,
        "start": units.start,
        "stop": units.stop,
        "mid": units.mid,
        "chr_indices" if units.fends else "bin_indices": units.offset,
        "chromosomes": np.array(units.chromosomes),
        **units.features,
    }
    if units.num_fends is not None:
        found["num_fends"] = units.num_fends
    return {f"partition/{name}.{key}": value for key, value in found.items()}


@pytest.mark.golden
def test_partition__equals_golden_simulation(shared: Path, compare: ModuleType) -> None:
    folder = shared / "golden/sim-small"
    fends = read_bed_fends(folder / "inputs/sites.bed").units
    uniform = bins_from_lengths(*read_lengths(folder / "inputs/chrom.len"), 50_000)
    found = {
        **results("fends", fends),
        **results("rebinned", bins_from_fends(fends, 20_000)),
        **results("uniform", uniform),
        **results("fends_from_table", read_fend_table(folder / "inputs/fends.fend")),
    }
    case = compare.load_case(folder)
    assert compare.compare(case, found, "partition/", require_all=True)
    assert set(found) <= set(case)


@pytest.mark.golden
def test_partition__equals_golden_yeast(shared: Path, compare: ModuleType) -> None:
    path = shared / "data/genome_sacCer3/sacCer3.DpnII_HinfI.cuts.bed"
    units = read_bed_fends(path).units
    sums = np.bincount(units.chromosome, weights=units.mid).astype(np.int64)
    found = {
        "partition/chr_indices": units.offset,
        "partition/chromosomes": np.array(units.chromosomes),
        "partition/mid_sum_per_chromosome": sums,
    }
    case = compare.load_case(shared / "golden/yeast")
    assert compare.compare(case, found, "partition/", require_all=True)


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "binned"),
    [("test.fends", 0), ("test_binned.fends", 40_000), ("test_bin.fends", 10_000)],
)
def test_partition__equals_hifive_files(shared: Path, name: str, binned: int) -> None:
    folder = shared / "golden/hifive-tests"
    fends = read_bed_fends(folder / "test_fend.bed").units
    with h5py.File(folder / name) as file:
        assert fends.offset.tolist() == file["chr_indices"][...].tolist()
        for field in ("start", "stop", "mid"):
            assert np.array_equal(getattr(fends, field), file["fends"][field])
        if binned:
            bins = bins_from_fends(fends, binned)
            assert bins.offset.tolist() == file["bin_indices"][...].tolist()
            for field in ("start", "stop", "mid", "num_fends"):
                assert np.array_equal(getattr(bins, field), file["bins"][field])
