"""What files themselves say of read pairs: pair types of pairtools, duplicates flagged in BAM."""

from __future__ import annotations

import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path

import dask
import h5py
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask._store import zarr_store
from hifive_dask.cli import main
from hifive_dask.errors import InputError
from hifive_dask.schema import MARKED, PAIRS, STATISTICS

from .test_bam import Record, write
from .test_reads import CONSERVED
from .worlds import Read, count_reads, fend_partition

CUTS = {"chr1": [0, 1000, 2000, 3000, 4000], "chr2": [0, 500, 1500, 2500]}
GOOD = ("chr1", 1900, "+", "chr1", 2900, "+")
FAR = ("chr1", 100, "-", "chr2", 600, "-")
NOWHERE = ("!", 0, "-", "chr1", 1900, "+")


@pytest.fixture(autouse=True)
def _sync() -> object:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture(scope="module")
def fends(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fends")
    rows = [f"{name}\t{a}\t{b}\n" for name, cuts in CUTS.items() for a, b in pairwise(cuts)]
    (folder / "fragments.bed").write_text("".join(rows))
    fend = hd.Fend(folder / "g.zarr", "w", silent=True)
    fend.load_fends(folder / "fragments.bed", content="fragments")
    fend.save()
    return folder / "g.zarr"


def pairs_file(path: Path, reads: list[tuple[Read, str]], *, typed: bool = True) -> Path:
    """A .pairs file of reads and their types; the name of a read is its number."""
    columns = "readID chrom1 pos1 chrom2 pos2 strand1 strand2" + " pair_type mapq1" * typed
    lines = ["## pairs format v1.0", f"#columns: {columns}"]
    for number, ((c1, p1, s1, c2, p2, s2), kind) in enumerate(reads):
        lines.append(
            "\t".join(map(str, (number, c1, p1, c2, p2, s1, s2, kind, 60)[: 7 + 2 * typed]))
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def load(fends: Path, path: Path, **options: object) -> hd.HiCData:
    data = hd.HiCData(path.with_suffix(".zarr"), "w", silent=True)
    data.load_data_from_pairs(fends, path, 500, **options)  # type: ignore[arg-type]
    return data


def lost(data: hd.HiCData) -> dict[str, int]:
    return {name: n for name, n in data.stats.items() if n and not name.startswith("valid")}


FATES = [
    *((kind, "unmapped_reads") for kind in ("NN", "NM", "NU", "NR", "UN", "MN", "nU", "XX", "!")),
    *((kind, "multimapped_reads") for kind in ("MM", "MU", "MR", "UM", "RM", "mu")),
    *((kind, "walk_reads") for kind in ("WW", "ww")),
    *((kind, "") for kind in ("UU", "UR", "RU", "uu", "LL", "", "Normal", ".")),
]


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize(("kind", "fate"), FATES)
def test_pair_types__decide_the_class(
    tmp_path: Path, fends: Path, kind: str, fate: str, ragged: bool
) -> None:
    path = pairs_file(tmp_path / "r.pairs", [(GOOD, "UU"), (FAR, kind)])
    if ragged:  # read line by line
        path.write_text(path.read_text() + "9\tchr1\t1900\tchr1\t2901\t+\t+\tUU\t9\tmore\n")
    data = load(fends, path)
    assert lost(data) == {"total_reads": 2 + ragged} | ({fate: 1} if fate else {})
    assert data.stats["valid_trans_reads"] == (not fate)


def test_marked_duplicates__are_duplicates(tmp_path: Path, fends: Path) -> None:
    reads = [(GOOD, "UU"), (GOOD, "UU"), (GOOD, "DD"), (FAR, "DD"), (NOWHERE, "DD")]
    reads.append((("chrM", 5, "+", "chr1", 1900, "+"), "DD"))
    data = load(fends, pairs_file(tmp_path / "r.pairs", reads))
    assert lost(data) == {
        "total_reads": 6, "unmapped_reads": 1, "chr_not_in_fends": 1, "pcr_duplicates": 3,
        "marked_duplicates": 2,
    }  # fmt: skip
    assert data.cis_data.tolist() == [[3, 5, 1]]
    kept = load(fends, pairs_file(tmp_path / "n.pairs", reads), dedup="none")
    assert lost(kept) == lost(data)
    assert (kept.stats["valid_cis_reads"], kept.stats["valid_trans_reads"]) == (2, 0)


def test_chromosome__that_is_nowhere_needs_no_type(tmp_path: Path, fends: Path) -> None:
    reads = [(GOOD, ""), (NOWHERE, ""), (("!", 0, "-", "!", 0, "-"), "")]
    reads.append((("chrM", 5, "+", "chr1", 1900, "+"), ""))
    data = load(fends, pairs_file(tmp_path / "r.pairs", reads, typed=False))
    assert lost(data) == {"total_reads": 4, "unmapped_reads": 2, "chr_not_in_fends": 1}


def test_ignored_marks__leave_positions_to_decide(tmp_path: Path, fends: Path) -> None:
    reads = [(GOOD, "UU"), (GOOD, "WW"), (FAR, "DD"), (NOWHERE, "NU")]
    data = load(fends, pairs_file(tmp_path / "r.pairs", reads), ignore_marks=True)
    assert lost(data) == {"total_reads": 4, "chr_not_in_fends": 1, "pcr_duplicates": 1}
    assert data.stats["valid_trans_reads"] == 1
    assert data.records.records[-1]["parameters"]["ignore_marks"] is True


def test_file__without_a_pair_that_counts_is_explained(tmp_path: Path, fends: Path) -> None:
    path = pairs_file(tmp_path / "r.pairs", [(NOWHERE, "NU"), (FAR, "DD"), (GOOD, "DD")])
    with pytest.raises(InputError, match="are these the duplicates"):
        load(fends, path)
    unknown = ("I", 5, "+", "II", 1900, "+")
    path = pairs_file(tmp_path / "u.pairs", [(NOWHERE, "NU"), (unknown, "UU")])
    with pytest.raises(InputError, match="no chromosome of the reads is in the partition"):
        load(fends, path)


END = st.tuples(st.sampled_from(["chr1", "chr2", "chrM", "!"]), st.integers(1, 2500))
PAIR = st.tuples(END, st.sampled_from("+-"), END, st.sampled_from("+-"))
TYPES = st.sampled_from(["UU", "UR", "RU", "DD", "NN", "NM", "NU", "MM", "MR", "WW", "XX", "FF"])


@given(
    reads=st.lists(st.tuples(PAIR, TYPES), max_size=25),
    dedup=st.sampled_from(["library", "file", "none"]),
    ignore=st.booleans(),
)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_classes__add_up(
    tmp_path_factory: pytest.TempPathFactory,
    fends: Path,
    reads: list[tuple[tuple[tuple[str, int], str, tuple[str, int], str], str]],
    dedup: str,
    ignore: bool,
) -> None:
    typed: list[tuple[Read, str]] = [(GOOD, "UU")]
    typed += [((*one, s1, *two, s2), kind) for (one, s1, two, s2), kind in reads]
    left, marks = [], Counter[str]()
    for read, kind in typed:
        nowhere = "!" in (read[0], read[3])
        if ignore or (kind in ("UU", "UR", "RU", "FF") and not nowhere):
            left.append(read)
        elif kind == "WW":
            marks["walk_reads"] += 1
        elif "M" in kind and "N" not in kind:
            marks["multimapped_reads"] += 1
        elif kind == "DD" and not nowhere:
            marks["chr_not_in_fends" if "chrM" in read else "marked_duplicates"] += 1
        else:
            marks["unmapped_reads"] += 1
    _, stats, _ = count_reads(fend_partition(CUTS), [left], 500, dedup=dedup)
    stats += marks + Counter(total_reads=marks.total(), pcr_duplicates=marks["marked_duplicates"])
    path = pairs_file(tmp_path_factory.mktemp("reads") / "r.pairs", typed)
    data = load(fends, path, dedup=dedup, ignore_marks=ignore)
    assert {name: n for name, n in data.stats.items() if n} == {k: n for k, n in stats.items() if n}
    kept = data.stats["pcr_duplicates"] - data.stats["marked_duplicates"]
    total = sum(data.stats[name] for name in CONSERVED) - kept * (dedup == "none")
    assert data.stats["total_reads"] == total == len(typed)
    table = data.stats_table()["reads"]
    assert all(table[name] == data.stats[name] for name in MARKED)


def test_flagged_duplicates__of_bam_are_duplicates(tmp_path: Path, fends: Path) -> None:
    pytest.importorskip("pysam")
    records = []
    for name, first, second in (("a", 0, 0), ("b", 1024, 1024), ("c", 0, 1024), ("d", 1024, 4)):
        records.append(Record(name, 65 | first, "chr1", 1899))
        records.append(Record(name, 129 | second, "chr1", 2899 + len(records)))
    path = write(tmp_path / "r.bam", records)
    data = hd.HiCData(tmp_path / "d.zarr", "w", silent=True)
    data.load_data_from_bam(fends, str(path), 2000)
    assert lost(data) == {"total_reads": 3, "pcr_duplicates": 2, "marked_duplicates": 2}
    assert data.stats["valid_cis_reads"] == 1
    data.load_data_from_bam(fends, str(path), 2000, ignore_marks=True)
    assert lost(data) == {"total_reads": 3}
    assert data.stats["valid_cis_reads"] == 3


def test_statistics__of_marks_follow_those_of_hifive(tmp_path: Path, fends: Path) -> None:
    reads = [(GOOD, "UU"), (FAR, "WW"), (FAR, "DD")]
    data = load(fends, pairs_file(tmp_path / "r.pairs", reads))
    assert list(data.stats) == [*STATISTICS, *MARKED]
    data.save(tmp_path / "d.hcd")
    with h5py.File(tmp_path / "d.hcd") as file:
        names = [name.decode() for name in file["stats"]["name"]]
    assert names == [*sorted(STATISTICS), "walk_reads", "marked_duplicates"]
    again = hd.HiCData(tmp_path / "d.hcd", silent=True)
    assert again.token == data.token
    assert again.stats == data.stats
    plain = load(fends, pairs_file(tmp_path / "p.pairs", [(GOOD, "UU")]))
    plain.save(tmp_path / "p.hcd")
    with h5py.File(tmp_path / "p.hcd") as file:
        assert [name.decode() for name in file["stats"]["name"]] == sorted(STATISTICS)


def test_store__from_before_the_marks_opens(tmp_path: Path, fends: Path) -> None:
    data = load(fends, pairs_file(tmp_path / "r.pairs", [(GOOD, "UU"), (FAR, "UU")]))
    shutil.copytree(data.file, tmp_path / "old.zarr")
    with zarr_store.changing(tmp_path / "old.zarr") as group:
        for name, values in (
            ("stat_name", list(STATISTICS)),
            ("stat_count", [data.stats[statistic] for statistic in STATISTICS]),
        ):
            del group[name]
            zarr_store.write_array(group, PAIRS, name, values)
    old = hd.HiCData(tmp_path / "old.zarr", silent=True)
    assert old.stats == data.stats
    assert old.verify() == old.token == data.token
    both = hd.HiCData(tmp_path / "both.zarr", "w", silent=True)
    with pytest.warns(UserWarning, match="same pairs"):
        both.combine([old.file, data.file])
    assert both.stats == {name: 2 * n for name, n in data.stats.items()} | {
        "valid_cis_pairs": 1, "valid_trans_pairs": 1,
    }  # fmt: skip


def test_command__ignores_marks_where_there_can_be_some(tmp_path: Path, fends: Path) -> None:
    reads = pairs_file(tmp_path / "r.pairs", [(GOOD, "UU"), (FAR, "WW")])
    command = ["pairs", str(fends), str(reads), "-o", str(tmp_path / "d.zarr")]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert "walk reads" in result.output
    assert "unmapped reads" not in result.output
    result = CliRunner().invoke(main, [*command[:-1], str(tmp_path / "e.zarr"), "--ignore-marks"])
    assert result.exit_code == 0, result.output
    assert "walk reads" not in result.output
    (tmp_path / "r.raw").write_text("\t".join(map(str, GOOD)) + "\n")
    command[2] = str(tmp_path / "r.raw")
    result = CliRunner().invoke(main, [*command, "--ignore-marks"])
    assert result.exit_code == 2
    assert "--ignore-marks is for pairs, bam, but the format is raw" in result.output


def test_golden_yeast__unmapped_reads_of_pairtools_have_classes(
    tmp_path: Path, shared: Path
) -> None:
    fend = hd.Fend(tmp_path / "g.zarr", "w", binned=10_000, silent=True)
    fend.load_bins(shared / "data/genome_sacCer3/sacCer3.chrom.sizes")
    fend.save()
    source = shared / "data/yeast_belton2015_MATalpha_bam/MATalpha_R1.pairtools_mapq30.pairs.gz"
    data = hd.HiCData(tmp_path / "d.zarr", "w", silent=True)
    data.load_data_from_pairs(fend.file, source, None)
    assert data.stats["total_reads"] == 20_000
    assert data.stats["unmapped_reads"] == 8687 + 268 + 2268  # NN, NM, NU
    assert data.stats["multimapped_reads"] == 473 + 438  # MM, MU
    assert data.stats["chr_not_in_fends"] == 0
