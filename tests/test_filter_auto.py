"""The filter that chooses by itself, and what is said of a filter that leaves little."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hifive_dask import Fend, HiC, HiCData, write_report
from hifive_dask.errors import HifiveDaskWarning, ParameterError
from hifive_dask.genome.partition import Units
from hifive_dask.model import cores
from hifive_dask.model import rows as rows_module
from hifive_dask.model.filter_result import COMMAND, PYTHON, FilterResult, suggest_binsize
from hifive_dask.model.filtering import filter_units, find_filter
from hifive_dask.model.marginals import chromosome_reads
from tests.commands import run_in_one_thread as run
from tests.reference_model import Array, in_use, random_world, store_of, units_of

WINDOW = {"mindistance": 0, "maxdistance": 0}


@pytest.fixture(autouse=True)
def _sync() -> object:
    with dask.config.set(scheduler="sync"):
        yield


def auto(units: Units, rows: Array, **options: object) -> tuple[list[int], FilterResult]:
    arguments = {"mininteractions": "auto", "usereads": "cis", "silent": True, **WINDOW, **options}
    ones = np.ones(len(units), dtype=np.int32)
    kept, found = find_filter(units, ones, store_of(rows, units), **arguments)  # type: ignore[arg-type]
    return kept.tolist(), found


# The rule, against a plain oracle


def plain_kept(
    units: Units, rows: Array, needs: Sequence[int], window: tuple[int, int], usereads: str
) -> list[int]:
    """Drop units until all have as many partners as they need."""
    kept = [1] * len(units)
    while True:
        count = [0] * len(units)
        for i, j, _ in rows.tolist():
            if kept[i] and kept[j] and in_use(units, i, j, window, usereads):
                for unit in {i, j}:
                    count[unit] += 1
        after = [int(v and c >= n) for v, c, n in zip(kept, count, needs, strict=True)]
        if after == kept:
            return kept
        kept = after


def plain_auto(
    units: Units, rows: Array, window: tuple[int, int], usereads: str
) -> tuple[int, dict[int, list[int]]]:
    """The number that is chosen, and what every number keeps."""
    ones = plain_kept(units, rows, [1] * len(units), window, usereads)
    sizes = np.bincount(units.chromosome, ones)[units.chromosome].tolist()
    kept = {}
    for least in range(1, 11):
        most = [max(1, size // 2 - units.fends) if usereads == "cis" else 10 for size in sizes]
        needs = [min(least, own) for own in most]
        kept[least] = plain_kept(units, rows, needs, window, usereads)
    half = sum(kept[1]) / 2  # with one row
    return next((k for k in range(10, 3, -1) if sum(kept[k]) >= half), 3), kept


@given(
    seed=st.integers(0, 10**6),
    density=st.sampled_from([0.05, 0.15, 0.3, 0.5, 0.8]),
    window=st.sampled_from([(0, 0), (1500, 30_000)]),
    usereads=st.sampled_from(["cis", "trans", "all"]),
    fends=st.booleans(),
    limit=st.sampled_from([0, 50, 1 << 26]),
)
@settings(max_examples=12, deadline=None)
def test_auto__is_the_rule_however_rows_are_read(
    seed: int, density: float, window: tuple[int, int], usereads: str, fends: bool, limit: int
) -> None:
    units, rows = random_world(seed, fends=fends, density=density, sizes=[22, 6, 12, 2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cores, "IN_MEMORY", limit)
        patch.setattr(rows_module, "SPAN", 31)
        patch.setattr(rows_module, "GROUP", 40)
        kept, found = auto(
            units, rows, usereads=usereads, mindistance=window[0], maxdistance=window[1]
        )
    chosen, plain = plain_auto(units, rows, window, usereads)
    assert found.mininteractions == chosen
    assert kept == plain[chosen]
    assert found.keeps == tuple((least, sum(units)) for least, units in plain.items())
    assert (found.with_reads, found.kept, found.of) == (sum(plain[1]), sum(kept), len(units))


def test_auto__goes_down_until_half_of_the_units_with_reads_are_kept() -> None:
    # Every unit has the next four on both sides as partners: the 8-core, but for the ends.
    units = units_of([100], np.arange(100, dtype=np.int32) * 1000, fends=False)
    band = np.array([(i, i + d, 1) for i in range(60) for d in range(1, 5) if i + d < 60])
    kept, found = auto(units, band)
    assert (found.mininteractions, found.with_reads, sum(kept)) == (4, 60, 60)
    # Half is enough, and units without reads do not count.
    clique = np.array([(i, j, 1) for i in range(30) for j in range(i + 1, 30)])
    pairs = np.array([(i, i + 1, 1) for i in range(40, 70, 2)])
    kept, found = auto(units, np.concatenate([clique, pairs]))
    assert (found.mininteractions, found.with_reads, sum(kept)) == (10, 60, 30)
    kept, found = auto(units, np.concatenate([clique, pairs, [(80, 81, 1)]]))
    assert (found.mininteractions, sum(kept)) == (3, 30)


def small_chromosome() -> tuple[Units, Array]:
    """Fifty bins and nine, each of which has 500 reads with every other one."""
    units = units_of([50, 9], np.arange(59, dtype=np.int32) * 10_000, fends=False)
    rows = [
        (i, j, 500) for lo, hi in ((0, 50), (50, 59)) for i in range(lo, hi) for j in range(i, hi)
    ]
    return units, np.array(rows)


def test_small_chromosome__stays_by_auto_and_is_named_if_a_number_drops_it() -> None:
    units, rows = small_chromosome()
    kept, found = auto(units, rows)
    assert (sum(kept), found.mininteractions, found.warnings(PYTHON)) == (59, 10, [])
    ones, store = np.ones(59, dtype=np.int32), store_of(rows, units)
    match = (
        r"little or nothing is left of some .* bins with cis reads: c1 0 of 9 \(22,500 reads\); "
        "mininteractions='auto' asks small chromosomes for fewer partners$"
    )
    with pytest.warns(HifiveDaskWarning, match=match):
        by_hand = filter_units(units, ones, store, mininteractions=10, usereads="cis", **WINDOW)
    assert by_hand.tolist() == [1] * 50 + [0] * 9
    assert filter_units(units, ones, store, mininteractions=9, usereads="cis", **WINDOW).all()


def test_chromosome__of_which_little_can_be_mapped_stays_by_auto() -> None:
    units = units_of([50, 40], np.arange(90, dtype=np.int32) * 10_000, fends=False)
    cliques = [
        (i, j, 5) for lo, hi in ((0, 50), (50, 58)) for i in range(lo, hi) for j in range(i, hi)
    ]
    kept, found = auto(units, np.array(cliques))
    assert (sum(kept[:50]), sum(kept[50:]), found.mininteractions) == (50, 8, 10)
    assert not found.warnings(COMMAND)


def test_fends__of_two_fragments_stay_by_the_partners_that_they_can_have() -> None:
    units = units_of([60, 4], np.arange(64, dtype=np.int32) * 1000, fends=True)
    clique = [(i, j, 5) for i in range(60) for j in range(i + 4, 60)]
    kept, found = auto(units, np.array([*clique, (60, 62, 9), (61, 63, 9)]))
    assert (sum(kept), found.mininteractions) == (64, 10)


def test_chromosome__that_auto_drops_is_named_with_the_number_that_keeps_half_of_it() -> None:
    units = units_of([50, 40], np.arange(90, dtype=np.int32) * 10_000, fends=False)
    clique = [(i, j, 5) for i in range(50) for j in range(i, 50)]
    band = [(i, i + d, 1) for i in range(50, 90) for d in range(1, 4) if i + d < 90]
    kept, found = auto(units, np.array(clique + band))
    assert (sum(kept[50:]), found.mininteractions) == (0, 10)
    (text,) = found.warnings(COMMAND)
    assert text.endswith("c1 0 of 40 (114 reads); --mininteractions 3 would keep half of c1")
    fewer, _ = auto(units, np.array(clique + band), mininteractions=3)
    assert sum(fewer[50:]) >= 20


def test_chromosome_reads__count_a_trans_read_for_both() -> None:
    units = units_of([2, 2, 2], np.arange(6, dtype=np.int32) * 1000, fends=False)
    rows = np.array([(0, 0, 1), (0, 1, 2), (0, 2, 4), (2, 3, 8), (3, 5, 16)])
    store = store_of(rows, units)
    for usereads, chroms, reads in (
        ("cis", [0, 1, 2], [3, 8, 0]),
        ("trans", [0, 1], [4, 20, 0]),
        ("all", [2, 0], [7, 0, 16]),
        ("cis", [], [0, 0, 0]),
    ):
        assert chromosome_reads(units, store, chroms, usereads).tolist() == reads


# What is said


def result(**values: object) -> FilterResult:
    known = {
        "units": "fends", "usereads": "cis", "auto": False, "mininteractions": 10, "of": 100,
        "before": 100, "with_reads": 100, "kept": 10, "largest": 26, **values,
    }  # fmt: skip
    return FilterResult(**known)  # type: ignore[arg-type]


def test_words__are_those_of_the_place() -> None:
    few = result(binsize=20_000)
    (text,) = few.warnings(PYTHON)
    assert "mininteractions=10 leaves only 10 of 100 fends with cis reads in use (10.0 %)" in text
    assert "count in bins, Fend(..., binned=20000); or give a lower number, or" in text
    assert "mininteractions='auto', which chooses one" in text
    (text,) = few.warnings(COMMAND)
    assert "--mininteractions 10 leaves only" in text
    assert "count in bins, --binned 20kb; or give a lower number, or --mininteractions auto" in text
    (text,) = result(kept=0).warnings(COMMAND)
    assert "no fend is left: --mininteractions 10 keeps a fend only if 10 partners of it" in text
    assert "are kept as well (the 10-core of the pairs)" in text
    assert "the most partners that any fend has, kept or not, is 26" in text


def test_auto__below_half_proposes_bins_and_lower_numbers() -> None:
    found = result(
        auto=True, mininteractions=3, kept=30, keeps=((1, 100), (2, 60), (3, 30)), binsize=500,
        units="bins",
    )  # fmt: skip
    (text,) = found.warnings(COMMAND)
    assert "--mininteractions auto goes down to 3, which leaves only 30 of 100 bins" in text
    assert "count in larger bins, --binned 500; or give a lower number by hand: " in text
    assert "--mininteractions 2 (keeps 60.0 %) or --mininteractions 1 (keeps 100.0 %)" in text
    assert not result(kept=50).warnings(COMMAND)
    assert not result(kept=20).warnings(PYTHON, enough=0.2)


def test_bin_size__gives_50_read_ends_to_a_bin_and_is_none_for_hardly_any_read() -> None:
    units = units_of([1000], np.arange(1000, dtype=np.int32) * 1000 + 100, fends=True)
    assert units.lengths.sum() == 999_200
    assert suggest_binsize(units, 25_000) == 1000
    assert suggest_binsize(units, 20_000) == 2000
    assert suggest_binsize(units, 10**9) == 500  # not below two of what there is
    assert suggest_binsize(units, 5) is None
    assert suggest_binsize(units, 0) is None


# The class, its files, and the report


@pytest.fixture(scope="module")
def nine_bins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair store of 50 and 9 bins."""
    folder = tmp_path_factory.mktemp("nine")
    (folder / "chrom.sizes").write_text("chr1\t500000\nchrM\t90000\n")
    fend = Fend(folder / "fends.zarr", "w", binned=10_000, silent=True)
    fend.load_bins(folder / "chrom.sizes", format="len")
    fend.save()
    rng = np.random.default_rng(1)
    with open(folder / "reads.raw", "w") as file:
        for name, bins, reads in (("chr1", 50, 30_000), ("chrM", 9, 2000)):
            for i, j in np.sort(rng.integers(0, bins * 10_000, (reads, 2)), axis=1):
                file.write(f"{name}\t{i + 1}\t+\t{name}\t{j + 1}\t+\n")
    data = HiCData(folder / "pairs.zarr", "w", silent=True)
    data.load_data_from_raw(fend.file, folder / "reads.raw", 500)
    data.save()
    return folder / "pairs.zarr"


def project(pairs: Path, out: Path) -> HiC:
    hic = HiC(out, "w", silent=True)
    hic.load_data(pairs)
    return hic


def test_filter_fends__chooses_records_and_keeps_what_it_found(
    nine_bins: Path, tmp_path: Path
) -> None:
    hic = project(nine_bins, tmp_path / "project.zarr")
    hic.filter_fends("auto")
    assert hic.filter.tolist() == [1] * 59
    assert hic.options["mininteractions"] == 10
    record = hic.records.last("HiC.filter_fends")
    assert record is not None
    assert record["parameters"]["mininteractions"] == "auto"
    hic.save()
    found = FilterResult.last_of(HiC(hic.file, silent=True).records)
    assert found == FilterResult.last_of(hic.records)
    assert found is not None
    assert (found.auto, found.mininteractions, found.kept, found.with_reads) == (True, 10, 59, 59)
    assert dict(found.keeps) == dict.fromkeys(range(1, 11), 59)
    hic.reset_filter()
    assert FilterResult.last_of(hic.records) is None
    with pytest.raises(ParameterError, match="mininteractions is 'most'"):
        hic.filter_fends("most")  # type: ignore[arg-type]


def test_filter_fends__names_what_it_drops_and_so_does_the_report(
    nine_bins: Path, tmp_path: Path
) -> None:
    hic = project(nine_bins, tmp_path / "project.zarr")
    with pytest.warns(HifiveDaskWarning, match=r"chrM 0 of 9 \(\d,\d{3} reads\)"):
        hic.filter_fends()
    numbers = write_report(hic)
    (left,) = numbers["filter"]["hardly_left"]
    reads = int(
        next(r["cis_reads"] for r in numbers["filter"]["chromosomes"] if r["name"] == "chrM")
    )
    assert left == {"name": "chrM", "kept": 0, "with_reads": 9, "reads": reads, "chromosomes": 1}
    (check,) = [each for each in numbers["checks"] if each["key"] == "hardly_left"]
    assert (check["verdict"], check["value"]) == ("check", 1)
    assert f"chrM 0 of 9 ({reads:,} reads)" in check["reason"]


# Commands


def test_project__says_what_it_chose_and_what_others_would_keep(
    nine_bins: Path, tmp_path: Path
) -> None:
    out = tmp_path / "project.zarr"
    told = run("project", nine_bins, "--minsize", "20kb", "--numbins", 10, "-o", out)
    assert "--mininteractions auto chose 10: 59 of 59 bins with cis reads are in use" in told.stdout
    assert [line.split()[0] for line in told.stdout.splitlines()[2:10]] == [*"3456789", "10"]
    assert not told.stderr
    facts = json.loads(run("info", out, "--json").stdout)
    assert facts["filter"]["mininteractions"] == 10
    options = ("--minsize", "20kb", "--numbins", 10, "--mininteractions", 10)
    by_hand = run("project", nine_bins, *options, "-o", out)
    assert "59 of" not in by_hand.stdout
    for stderr in (by_hand.stderr, run("info", out).stderr):
        assert "warning: little or nothing is left of some chromosomes" in stderr
        assert "chrM 0 of 9" in stderr
    empty = run("project", nine_bins, "--mininteractions", 60, "-o", out, code=1)
    assert "no bin is left: --mininteractions 60 keeps a bin only if 60 partners" in empty.stderr
    assert "filter_fends" not in empty.stderr
    wrong = run("project", nine_bins, "--mininteractions", "most", "-o", out, code=2)
    assert "'most' is not a valid" in wrong.stderr


def test_run__stops_if_auto_leaves_under_a_fifth_and_obeys_a_number(tmp_path: Path) -> None:
    toy = tmp_path / "toy"
    run("simulate", "--preset", "toy", "--pairs", 600, "-o", toy)
    options = ("--sites", toy / "sites.bed", "--reads", toy / "reads.raw", "--minsize", "5kb")
    out = tmp_path / "results"
    stopped = run("run", *options, "-o", out, code=1)
    assert "error: --mininteractions auto goes down to 3, which leaves only" in stopped.stderr
    assert "count in bins, --binned " in stopped.stderr
    assert "give a lower number by hand: --mininteractions 2 (keeps " in stopped.stderr
    assert not (out / "project.zarr").exists()
    told = run("project", out / "pairs.zarr", "--minsize", "5kb", "-o", tmp_path / "project.zarr",
               "--mininteractions", 2, "--numbins", 5)  # fmt: skip
    assert "fends with cis reads are in use" in told.stdout


# Real data


@pytest.mark.parametrize(
    ("name", "dropped"),
    [
        # Reads lie in 15 of the bins of chrY, and none of these has seven partners.
        ("fly_dm6_4DNFIZ1ZVXC8/4DNFIZ1ZVXC8_bin100kb.cool", ["chrY"]),
        ("yeast_w303_g1_2kb/scer_w303_g1_2kb_SRR8769554.cool", []),
    ],
)
def test_coolers__keep_nearly_all(
    shared: Path, tmp_path: Path, name: str, dropped: list[str]
) -> None:
    cooler = shared / "data" / name
    fend = Fend(tmp_path / "fends.zarr", "w", silent=True)
    fend.load_bins(cooler, format="cool")
    fend.save()
    data = HiCData(tmp_path / "pairs.zarr", "w", silent=True)
    data.load_data_from_cool(fend.file, cooler)
    ones = np.ones(len(data.units), dtype=np.int32)
    _, found = find_filter(
        data.units, ones, data.store, mininteractions="auto", usereads="cis", **WINDOW
    )
    assert found.mininteractions == 10
    assert found.share > 0.95
    assert [left.name for left in found.left] == dropped
