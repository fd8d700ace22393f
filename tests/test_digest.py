"""Partitions from a genome sequence: FASTA, enzymes, cuts, features, errors."""

from __future__ import annotations

import gzip
import itertools
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from Bio.bgzf import BgzfWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask import testing
from hifive_dask._kernels.sequence import find_sites, gc_fractions
from hifive_dask.errors import InputError, InputWarning, ParameterError
from hifive_dask.genome import fasta
from hifive_dask.genome.enzymes import COMMON, Enzyme, Pattern, cut_sites, parse_enzymes
from hifive_dask.genome.fasta import read_fasta
from tests.commands import run

IUPAC = {
    "A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT",
    "M": "AC", "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip
#      0         1         2
#      0123456789012345678901234567
TOY = "AAGATCCCCCGATCTTTTTTTTgatcAA"
fixed = settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write(folder: Path, text: str, name: str = "toy.fa") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def letters(text: str) -> np.ndarray[Any, Any]:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def records(path: Path) -> list[tuple[str, str]]:
    return [(name, sequence.tobytes().decode()) for name, sequence in read_fasta(path)]


def digested(
    path: Path, enzyme: str = "^GATC", binned: int | None = None, **options: Any
) -> hd.Fend:
    fend = hd.Fend(path.parent / "g.zarr", "w", binned, silent=True)
    fend.digest(path, enzyme, **options)
    return fend


# FASTA


@pytest.mark.parametrize("block", [1, 2, 7, 1 << 24])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_fasta__names_and_sequences_whatever_the_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, ending: str
) -> None:
    monkeypatch.setattr(fasta, "_BLOCK", block)
    text = "\n>chr1 first word>only\nACG\nTnn\n\n>empty\n>2\tx\nrykm\nG"
    path = tmp_path / "g.fa"
    path.write_bytes(text.replace("\n", ending).encode())
    assert records(path) == [("chr1", "ACGTnn"), ("empty", ""), ("2", "rykmG")]


def test_fasta__may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    assert records(write(tmp_path, "\ufeff>chr1\nACGT")) == [("chr1", "ACGT")]


@fixed
@given(
    st.lists(st.text("ACGTNacgtnRyWs", max_size=90), min_size=1, max_size=4),
    st.integers(1, 40),
    st.integers(1, 60),
)
def test_fasta__independent_of_lines_and_blocks(
    tmp_path: Path, sequences: list[str], width: int, block: int
) -> None:
    sequences = [*sequences, "A"]
    text = "".join(
        f">s{k} text\n" + "".join(f"{s[i : i + width]}\n" for i in range(0, len(s), width))
        for k, s in enumerate(sequences)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fasta, "_BLOCK", block)
        found = records(write(tmp_path, text))
    assert found == [(f"s{k}", s) for k, s in enumerate(sequences)]


def test_fasta__packed_files_are_read_and_their_bytes_counted(tmp_path: Path) -> None:
    plain = write(tmp_path, f">chr1\n{TOY}\n>chr2\n{TOY * 9}\n")
    with gzip.open(tmp_path / "g.fa.gz", "wb") as file:
        file.write(plain.read_bytes())
    with BgzfWriter(str(tmp_path / "g.fa.bgz")) as writer:
        writer.write(plain.read_bytes())
    for path in (tmp_path / "g.fa.gz", tmp_path / "g.fa.bgz", plain):
        assert records(path) == [("chr1", TOY), ("chr2", TOY * 9)]
        steps: list[int] = []
        assert len(list(read_fasta(path, steps.append))) == 2
        assert sum(steps) == path.stat().st_size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"toy\.fa: is empty"),
        ("\n\n", r"toy\.fa: is empty"),
        (">a\n>b\n", r"toy\.fa: holds no bases"),
        (
            "\nchr1\t5\t9\n",
            r"toy\.fa:2: expected a header that starts with '>', not 'chr1\\t5\\t9'",
        ),
        (">a\nACGT\nACGE\n", r"toy\.fa:3: 'E' is no base.*\n  .*not of proteins"),
        (">a\nACGT\n>b\nAC-GT\n", r"toy\.fa:4: '-' is no base"),
        (">a\nAC>GT\n", r"toy\.fa:2: '>' is no base"),
        (">a\nA\n>b\nA\n>a x\nA\n", r"toy\.fa:5: the name 'a' was given to the sequence of line 1"),
        (">a\nA\n>\nA\n", r"toy\.fa:3: the header has no name"),
        ("> a\nA\n", r"toy\.fa:1: the header has no name"),
    ],
)
@pytest.mark.parametrize("block", [1, 3, 1 << 24])
def test_fasta__faults_are_named_with_their_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str, block: int
) -> None:
    monkeypatch.setattr(fasta, "_BLOCK", block)
    if block < 10:
        message = re.sub(r"not 'chr1.*'$", "not 'c", message)
    with pytest.raises(InputError, match=message):
        records(write(tmp_path, text))


def test_fasta__faulty_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"no\.fa: no such file"):
        records(tmp_path / "no.fa")
    with pytest.raises(InputError, match="is a directory"):
        records(tmp_path)
    (tmp_path / "g.fa").write_bytes(b">\xff\nACGT\n")
    with pytest.raises(InputError, match=r"g\.fa:1: the name is not UTF-8"):
        records(tmp_path / "g.fa")
    monkeypatch.setattr(fasta, "INT32_MAX", 3)
    with pytest.raises(InputError, match=r"toy\.fa:1: 'a' is longer than 3 bp"):
        records(write(tmp_path, ">a\nACGT\n"))


def test_fasta__truncated_files_are_noticed(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    text = b">a\n" + np.frombuffer(b"ACGT", np.uint8)[random.integers(0, 4, 200_000)].tobytes()
    whole = gzip.compress(text)
    path = tmp_path / "g.fa.gz"
    for packed in (whole[: len(whole) // 2], whole[:-3], whole[:30] + b"\0\0\0" + whole[33:]):
        path.write_bytes(packed)
        with pytest.raises(InputError, match=r"g\.fa\.gz: damaged gzip data.*\n  Copy"):
            records(path)
    with BgzfWriter(str(path)) as writer:
        writer.write(text)
    # Without its last block, a bgzip file is still a sequence of whole gzip streams.
    path.write_bytes(path.read_bytes()[:-28])
    with pytest.raises(InputError, match="the block that ends every bgzip file is missing"):
        records(path)


# Sites


@fixed
@given(st.text("ACGTacgtNnRyG", max_size=200), st.text("".join(IUPAC), min_size=1, max_size=7))
def test_find_sites__equals_regular_expression(sequence: str, site: str) -> None:
    pattern = "".join(f"[{IUPAC[code]}]" for code in site)
    expected = [m.start() for m in re.finditer(f"(?={pattern})", sequence.upper())]
    assert find_sites(letters(sequence), site).tolist() == expected


def test_find_sites__overlapping_dense_and_long() -> None:
    assert find_sites(letters("A" * 1000), "AAa").tolist() == list(range(998))
    assert find_sites(letters("TTAA" * 20), "TTAA" * 16).tolist() == [0, 4, 8, 12, 16]
    assert find_sites(letters("GA"), "GAT").tolist() == []
    assert find_sites(letters(""), "GAT").tolist() == []


@fixed
@given(st.text("ACGTacgtNnRSw", min_size=1, max_size=60), st.data())
def test_gc__equals_counting(sequence: str, data: st.DataObject) -> None:
    place = st.integers(0, len(sequence))
    windows = data.draw(st.lists(st.tuples(place, place).map(sorted), max_size=5))
    start, stop = np.array(windows, dtype=np.int64).reshape(-1, 2).T
    expected = []
    for lo, hi in windows:
        known = [base for base in sequence[lo:hi].upper() if base in "ACGTSW"]
        expected.append(sum(base in "GCS" for base in known) / max(1, len(known)))
    assert gc_fractions(letters(sequence), start.copy(), stop.copy()).tolist() == expected


# Enzymes


def test_enzymes__by_name_site_and_preset() -> None:
    dpnii, hinfi = Pattern("GATC", (0,)), Pattern("GANTC", (1,))
    both = (Enzyme("DpnII", (dpnii,)), Enzyme("HinfI", (hinfi,)))
    assert parse_enzymes("DpnII") == both[:1]
    for given_ in ("DpnII,HinfI", ["DpnII", "HinfI"], "dpnii, HINFI", ["DpnII,HinfI", "DpnII"]):
        assert parse_enzymes(given_) == both
    arima = (Enzyme("^GATC", (dpnii,)), Enzyme("G^ANTC", (hinfi,)))
    assert parse_enzymes("Arima") == parse_enzymes("^gatc,g^antc") == arima
    assert [e.name for e in parse_enzymes("arima-high-coverage")] == [
        "^GATC", "G^ANTC", "C^TNAG", "T^TAA",
    ]  # fmt: skip
    assert parse_enzymes("CATG^")[0].patterns == parse_enzymes("NlaIII")[0].patterns


@pytest.mark.parametrize(
    ("enzyme", "message"),
    [
        ("DpnIII", "enzyme 'DpnIII' is unknown; did you mean DpnII"),
        ("Hind3", "enzyme 'Hind3' is unknown; did you mean HindIII\\? Sites need a caret"),
        ("dpn2", "did you mean DpnII\\?"),
        ("arime", "did you mean arima"),
        ("xxxxxxxx", "enzyme 'xxxxxxxx' is unknown\\. Sites need a caret"),
        ("GATC", "Sites need a caret where they are cut, such as '\\^GATC'"),
        ("", "enzyme is '', expected names or sites"),
        ("DpnII,", "enzyme is 'DpnII,', expected names or sites"),
        ([], "enzyme is \\[\\], expected names or sites"),
        ("^", "site '\\^': expected up to 64 IUPAC codes"),
        ("^NNN", "site '\\^NNN': expected"),
        ("GA^TC^", "site 'GA\\^TC\\^': expected"),
        ("^GAXC", "site '\\^GAXC': expected"),
        ("^" + "AT" * 33, "expected up to 64"),
        ("C^CGC", "site 'C\\^CGC' reads 'GCGG' on the other strand.*give the name of the enzyme"),
        ("AbaCIII", "it is not known where AbaCIII cuts, which recognises CTATCAV"),
    ],
)
def test_enzymes__that_cannot_be_used(enzyme: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        parse_enzymes(enzyme)


def test_enzymes__without_biopython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "Bio.Restriction.Restriction_Dictionary", None)
    assert len(parse_enzymes("arima")) == 2
    assert [e.name for e in parse_enzymes("dpnii,HinfI")] == ["DpnII", "HinfI"]
    with pytest.raises(ParameterError, match=r"none of the 20 common ones; did you mean HindIII\?"):
        parse_enzymes("Hind3")
    with pytest.raises(ParameterError, match=r"pip install 'hifive-dask\[digest\]', or give the s"):
        parse_enzymes("AciI")


@pytest.mark.parametrize("name", COMMON)
def test_enzymes__that_are_common_are_those_of_biopython(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from Bio import Restriction

    known = parse_enzymes(name)
    assert Restriction.__dict__[name].site == known[0].patterns[0].site
    monkeypatch.setattr("hifive_dask.genome.enzymes.COMMON", {})
    assert parse_enzymes(name) == known


@pytest.mark.parametrize(
    "name",
    [
        "DpnII", "HinfI", "HindIII", "EcoRI", "NlaIII", "BglI", "MseI", "DdeI",  # palindromes
        "AciI", "BssSI", "Bpu10I",  # read differently on the other strand
        "FokI", "MnlI", "BsrI", "MboII", "AarI",  # cut outside of the site
        "BcgI", "AlfI", "BaeI", "BplI",  # cut on both sides
    ],
)  # fmt: skip
def test_cuts__equal_those_of_biopython(name: str) -> None:
    from Bio import Restriction
    from Bio.Seq import Seq

    random = np.random.default_rng(7)
    length = 400_000
    sequence = np.frombuffer(b"ACGT", np.uint8)[random.integers(0, 4, length)]
    expected = getattr(Restriction, name).search(Seq(sequence.tobytes()), linear=True)
    inside = sorted({cut - 1 for cut in expected if 0 < cut - 1 < length})
    assert len(inside) > 10
    assert cut_sites(sequence, parse_enzymes(name)[0]).tolist() == inside


# Partition


def test_digest__orders_sequences(tmp_path: Path) -> None:
    text = "".join(f">{name}\n{'A' * k}{TOY}\n" for k, name in enumerate(("chr10", "chrM", "chr2")))
    fend = digested(write(tmp_path, text))
    assert fend.chromosomes.tolist() == ["chr10", "chrM", "chr2"]
    starts = fend.fends["start"].reshape(3, -1)  # type: ignore[index]
    gc = fend.fends["gc"].reshape(3, -1)  # type: ignore[index]
    fend = digested(write(tmp_path, text), order="natural", chroms=["chr*"])
    assert fend.chromosomes.tolist() == ["chr2", "chr10", "chrM"]
    assert (fend.fends["start"].reshape(3, -1) == starts[[2, 0, 1]]).all()  # type: ignore[index]
    assert (fend.fends["gc"].reshape(3, -1) == gc[[2, 0, 1]]).all()  # type: ignore[index]
    assert "order='natural'" in fend.history


def test_digest__toy_by_hand(tmp_path: Path) -> None:
    fend = digested(write(tmp_path, f">chr1\n{TOY}\n"), window=6)
    assert fend.fends is not None
    # Cuts 2, 10, 22; the last site is in lower case.
    assert fend.fends[["start", "stop", "mid"]].tolist() == [
        (2, 6, 4), (6, 10, 8), (10, 16, 13), (16, 22, 19),
    ]  # fmt: skip
    assert fend.fends["length"].tolist() == [8, 8, 12, 12]
    # GATCCC, TCCCCC, GATCTT, TTTTTT
    assert fend.fends["gc"].tolist() == np.float32([4 / 6, 5 / 6, 2 / 6, 0]).tolist()
    assert fend.partition.windows == {"gc": 6}
    # Never beyond the fragment: GATCCCCC, and GATCTTTTTTTT.
    fend = digested(write(tmp_path, f">chr1\n{TOY}\n"))
    assert fend.fends is not None
    assert fend.fends["gc"].tolist() == np.float32([6 / 8, 6 / 8, 2 / 12, 2 / 12]).tolist()


def test_digest__cuts_at_the_ends_and_of_two_enzymes(tmp_path: Path) -> None:
    # GATC at base 0 would cut nothing off; GATC and GAATTC share no cut, GATC twice counts once.
    path = write(tmp_path, ">c\nGATCAAGATCAATTAATTGATC\n")
    fend = digested(path, "^GATC,T^TAA,GATC^", features=())
    assert fend.fends is not None
    assert sorted({*fend.fends["start"][::2], *fend.fends["stop"][1::2]}) == [4, 6, 10, 13, 18]
    assert fend.fends.dtype.names == ("chr", "start", "stop", "mid")
    results = fend.records.records[0]["results"]
    assert results == {"sites": {"^GATC": 2, "T^TAA": 1, "GATC^": 2}, "sequences_left_out": 0}


def test_digest__order_of_the_file_and_chromosomes_without_fends(tmp_path: Path) -> None:
    two = "AGATCAAGATCA"
    text = f">b\n{two}\n>none\nAAAA\n>a\n{two}\n>one\nAGATCA\n>empty\n"
    with pytest.warns(InputWarning, match=r"3 sequence\(s\) with fewer than two .*: none, one, em"):
        fend = digested(write(tmp_path, text), binned=5)
    assert fend.chromosomes.tolist() == ["b", "none", "a", "one", "empty"]
    assert fend.chr_indices is not None
    assert fend.chr_indices.tolist() == [0, 2, 2, 4, 4, 4]
    assert fend.bin_indices is not None
    assert fend.bin_indices.tolist() == [0, 2, 2, 4, 4, 4]


def test_digest__leaves_out_sequences(tmp_path: Path) -> None:
    two = "AGATCAAGATCA"
    names = ("chr1", "chr10", "chrX", "chr1_alt", "chrUn_1")
    path = write(tmp_path, "".join(f">{n}\n{two}{'A' * k}\n" for k, n in enumerate(names)))
    for chroms, expected in (
        ("chr10", ["chr10"]),
        (["chrX", "chr1"], ["chr1", "chrX"]),
        (["chr?", "chr??"], ["chr1", "chr10", "chrX"]),
        ([], list(names)),
    ):
        assert digested(path, chroms=chroms).chromosomes.tolist() == expected
    fend = digested(path, minlength=14, chroms="chr*")
    assert fend.chromosomes.tolist() == ["chrX", "chr1_alt", "chrUn_1"]
    assert fend.records.records[0]["results"]["sequences_left_out"] == 2
    with pytest.raises(
        ParameterError, match="no sequence is named 'chr2', 'y'; its names are chr1"
    ):
        digested(path, chroms=["chr2", "chr1", "y"])
    with pytest.raises(ParameterError, match="no sequence is left with minlength=99"):
        digested(path, minlength=99)


def test_digest__shows_progress_unless_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hifive_dask._graph.run._interactive", lambda: True)
    monkeypatch.setattr("hifive_dask._graph.run._SHOW_AFTER", -1.0)
    path = write(tmp_path, f">chr1\n{TOY}\n")
    digested(path)
    assert capsys.readouterr().err == ""
    hd.Fend(tmp_path / "g.zarr", "w").digest(path, "^GATC")
    assert re.search(r"Digesting .* 100%", capsys.readouterr().err)


@pytest.mark.parametrize("name", ["g.zarr", "g.fends"])
@pytest.mark.parametrize("binned", [None, 6])
def test_digest__saved_and_opened(tmp_path: Path, name: str, binned: int | None) -> None:
    fend = hd.Fend(tmp_path / name, "w", binned, silent=True)
    fend.digest(write(tmp_path, f">chr1\n{TOY}\n"), ["dpnii", "^GATC"], "toy", window=6)
    fend.save()
    again = hd.Fend(tmp_path / name)
    for part in ("fends", "bins"):
        one, other = fend[part], again[part]
        if one is None:
            assert other is None
        else:
            assert one.dtype == other.dtype
            assert one.tolist() == other.tolist()
    assert (again.genome_name, again.re_name) == ("toy", "DpnII,^GATC")
    assert again.partition.windows == {"gc": 6}
    assert again.token == fend.token
    extra = "" if binned is None else f", binned={binned}"
    assert again.history == (
        "Fend.digest(filename='toy.fa', enzyme=['dpnii', '^GATC'], genome_name='toy', chroms=[], "
        f"minlength=0, features=['length', 'gc'], window=6{extra}) - Success\n"
    )


def test_digest__mappability_is_the_mean_over_the_window(tmp_path: Path) -> None:
    path = write(tmp_path, f">chr1\n{TOY}\n")
    track = write(tmp_path, "chr1\t0\t5\t1\nchr1\t18\t22\t0.25\n", "map.bedgraph")
    mapped = {"mappability": track, "mappability_window": 6}
    fend = digested(path, features=["length"], **mapped)
    assert fend.fends is not None
    assert fend.fends.dtype.names == ("chr", "start", "stop", "mid", "length", "mappability")
    assert fend.fends["mappability"].tolist() == np.float32([3 / 6, 1 / 6, 0, 1 / 6]).tolist()
    assert fend.fends["mappability"].dtype == np.float32
    assert fend.partition.windows == {"mappability": 6}
    assert "window=200, mappability='map.bedgraph', mappability_window=6" in fend.history
    # Bins hold the mean over their fends, as of all features made with the partition.
    bins = digested(path, binned=10, **mapped).bins
    assert bins is not None
    assert bins["num_fends"].tolist() == [2, 2]
    assert bins["mappability"].tolist() == np.float32([2 / 6, 0.5 / 6]).tolist()


def test_digest__refuses_what_it_cannot_do(tmp_path: Path) -> None:
    path = write(tmp_path, f">chr1\n{TOY}\n")
    with pytest.raises(ParameterError, match="features hold 'len', expected 'length' and 'gc'"):
        digested(path, features=["gc", "len"])
    for window in (0, -1, 1.5, True):
        with pytest.raises(ParameterError, match=r"window is .*, expected a whole number"):
            digested(path, window=window)
        with pytest.raises(ParameterError, match=r"^mappability_window is .*, expected a whole"):
            digested(path, mappability_window=window)
    with pytest.raises(ParameterError, match="cannot tell the format of a track by the suffix"):
        digested(path, mappability=path)
    with pytest.raises(ParameterError, match="binned is 0, bins of arbitrary size"):
        digested(path, binned=0)
    with pytest.raises(InputError, match=r"toy\.fa: T\^TAA cuts nowhere in 1 sequence"):
        digested(path, "^GATC,T^TAA")
    with pytest.raises(InputError, match="no sequence has two cut sites"):
        digested(write(tmp_path, ">a\nAGATCA\n>b\nAGATCA\n"))


@fixed
@given(st.lists(st.text("GATCgaN", max_size=120), min_size=1, max_size=4), st.integers(1, 30))
def test_digest__equals_plain_search(tmp_path: Path, sequences: list[str], window: int) -> None:
    sequences = [*sequences, "AGATCGAATCAGATCG"]
    path = write(tmp_path, "".join(f">s{k}\n{s}\n" for k, s in enumerate(sequences)))
    expected = []
    for k, text in enumerate(sequences):
        upper = text.upper()
        cuts = {m.start() for m in re.finditer("(?=GATC)", upper)}
        cuts |= {m.start() + 1 for m in re.finditer("(?=GA[ACGT]TC)", upper)}
        ends = sorted(cut for cut in cuts if 0 < cut < len(text))
        for a, b in itertools.pairwise(ends):
            h = (a + b) // 2
            for lo, hi, piece in (
                (a, h, upper[a : min(b, a + window)]),
                (h, b, upper[max(a, b - window) : b]),
            ):
                known = len(piece) - piece.count("N")
                gc = (piece.count("G") + piece.count("C")) / known if known else 0
                expected.append((k, lo, hi, (lo + hi) // 2, b - a, np.float32(gc)))
    fend = hd.Fend(tmp_path / "g.zarr", "w", silent=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hifive_dask.genome.digest.warn", lambda *_, **__: None)
        fend.digest(path, "arima", window=window)
    assert fend.fends is not None
    assert fend.fends.tolist() == expected


@pytest.mark.golden
@pytest.mark.parametrize(
    ("enzyme", "name"),
    [
        ("DpnII", "DpnII"),
        ("DpnII,HinfI", "DpnII_HinfI"),
        ("arima", "DpnII_HinfI"),
        ("HindIII", "HindIII"),
        ("EcoRI", "EcoRI"),
    ],
)
def test_digest__yeast_equals_its_cut_sites(
    shared: Path, tmp_path: Path, enzyme: str, name: str
) -> None:
    folder = shared / "data/genome_sacCer3"
    fend = digested(Path(shutil.copy(folder / "sacCer3.fa.gz", tmp_path)), enzyme)
    bed = hd.Fend(tmp_path / "bed.zarr", "w", silent=True)
    bed.load_fends(folder / f"sacCer3.{name}.cuts.bed")
    assert set(fend.chromosomes) == set(bed.chromosomes)
    assert fend.fends is not None
    assert bed.fends is not None
    for chromosome in fend.chromosomes:
        one, other = (f.partition.units.span(f.chr2int[chromosome]) for f in (fend, bed))
        for field in ("start", "stop", "mid"):
            assert np.array_equal(fend.fends[field][one], bed.fends[field][other])
    sites = [line.split("\t")[3] for line in bed_lines(folder / f"sacCer3.{name}.cuts.bed")]
    counts = list(fend.records.records[0]["results"]["sites"].values())
    assert counts == [sum(e in s.split("+") for s in sites) for e in name.split("_")]


def bed_lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


# Command line


def test_command__makes_the_partition_and_says_what_was_cut(tmp_path: Path) -> None:
    path = write(tmp_path, f">chr1\n{TOY}\n>chr2\n{TOY}\n>x\nA\n")
    track = write(tmp_path, "chr1\t0\t5\t1\n", "map.bg")
    store = tmp_path / "f.zarr"
    arguments = ("fends", "--fasta", path, "--enzyme", "^GATC", "-o", store)
    result = run(*arguments, "--chrom", "chr?", "--minlength", 10, "--window", 6)
    for line in ("sites of ^GATC 6", "fends 8", "median fragment, bp 10", "features length, gc"):
        assert line in " ".join(result.stdout.split())
    fend = hd.Fend(store)
    assert fend.chromosomes.tolist() == ["chr1", "chr2"]
    assert "chroms=['chr?'], minlength=10, features=['length', 'gc'], window=6" in fend.history
    result = run(
        *(*arguments, "--chrom", "chr1", "--features", "none", "--binned", 9),
        *("--mappability", track, "--mappability-window", 5),
    )
    fend = hd.Fend(store)
    assert fend.partition.kind == "fends in bins"
    assert list(fend.units.features) == ["mappability"]
    assert fend.partition.windows == {"mappability": 5}
    assert run("-q", *arguments, "--chrom", "chr1").output == ""
    run(*arguments[:-1], path, code=2)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--fasta", "toy.fa"), 2, "--fasta needs what cuts: --enzyme NAME"),
        (
            ("--fasta", "toy.fa", "--enzyme", "^GATC", "--mappability-window", "9"),
            2,
            "--mappability-window goes with --mappability only",
        ),
        (("--sites", "toy.fa", "--window", 9), 2, "--window goes with --fasta only"),
        (("--sites", "toy.fa", "--chrom", "a"), 2, "--chrom goes with --fasta only"),
        (("--fasta", "toy.fa", "--sites", "toy.fa"), 2, "give exactly one of"),
        (("--fasta", "toy.fa", "--enzyme", "DpnIII"), 1, "did you mean DpnII"),
        (("--fasta", "toy.fa", "--enzyme", "T^TAA"), 1, "T^TAA cuts nowhere"),
        (("--fasta", "toy.fa", "--enzyme", "^GATC", "--features", "x"), 1, "features hold 'x'"),
        (("--fasta", "bad.fa", "--enzyme", "^GATC"), 1, "bad.fa:3: 'E' is no base"),
        (("--fasta", "cut.fa.gz", "--enzyme", "^GATC"), 1, "damaged gzip data"),
    ],
)
def test_command__leaves_no_store_when_it_fails(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[object, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, f">chr1\n{TOY}\n")
    write(tmp_path, f">chr1\n{TOY}\nMEEP\n", "bad.fa")
    (tmp_path / "cut.fa.gz").write_bytes(gzip.compress(TOY.encode())[:-9])
    assert message in run("fends", *options, "-o", "f.zarr", code=code).stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.fa", "cut.fa.gz", "toy.fa"]


def test_run__goes_from_a_sequence_to_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hifive_dask.cli._pictures.DPI", 20)
    monkeypatch.setattr("hifive_dask.report.write.draw", lambda *_: [])
    toy = testing.toy_files(tmp_path)
    sequences: dict[str, bytearray] = {}
    for line in bed_lines(toy.sites)[1:]:
        chromosome, start, stop = line.split("\t")[:3]
        sequence, cut = sequences.setdefault(chromosome, bytearray()), (int(start) + int(stop)) // 2
        sequence += b"A" * (cut - len(sequence)) + b"GATC"
    genome = tmp_path / "toy.fa"
    genome.write_text("".join(f">{n}\n{s.decode()}AA\n" for n, s in sequences.items()))
    arguments = ("run", "--fasta", genome, "--enzyme", "^GATC", "--reads", toy.raw)
    options = ("--minsize", 2000, "--out", tmp_path / "out")
    assert "fends: done" in run(*arguments, *options).stdout
    bed = hd.Fend(tmp_path / "bed.zarr", "w", silent=True)
    bed.load_fends(toy.sites)
    assert hd.Fend(tmp_path / "out/fends.zarr").token == bed.token
    assert "fends: already done" in run(*arguments, *options).stdout
    result = run(*arguments, *options, "--window", 50)
    assert "fends: done" in result.stdout
    assert "pairs: already done" in result.stdout
