"""The report: its numbers, its verdicts, its page."""

from __future__ import annotations

import base64
import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest

import hifive_dask as hd
from hifive_dask import testing
from hifive_dask.errors import ParameterError, RegionError, StoreError
from hifive_dask.model.marginals import count_marginals
from hifive_dask.plot.vector import to_svg
from hifive_dask.report.checks import judge
from hifive_dask.report.coverage import filter_numbers, map_resolution
from hifive_dask.report.learned import convergence_numbers
from hifive_dask.report.measure import measure
from hifive_dask.report.pictures import plan_maps
from hifive_dask.report.reads import library_size, random_trans
from tests.commands import run_in_one_thread as run

from .worlds import bin_partition, learned_toy

Numbers = dict[str, Any]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a normalized project, its report, and its numbers."""
    folder = tmp_path_factory.mktemp("toy")
    with dask.config.set(scheduler="sync"):
        hic = learned_toy(folder, 5)
        hic.save()
        hd.write_report(
            hic,
            folder / "report.html",
            json=folder / "report.json",
            regions=["chr2", "chr1:0-100k"],
        )
    return folder


@pytest.fixture
def numbers(toy: Path) -> Numbers:
    found: Numbers = json.loads((toy / "report.json").read_text())
    return found


@pytest.fixture
def hic(toy: Path) -> hd.HiC:
    return hd.HiC(toy / "project.zarr", silent=True)


def tiny_project(folder: Path) -> hd.HiC:
    """Five fragments and nine read pairs that can be checked by hand."""
    fend = hd.Fend(folder / "fends.zarr", "w", silent=True)
    fend.load_fends(testing.toy_genome(folder / "sites.bed"), genome_name="tiny")
    fend.save()
    data = hd.HiCData(folder / "pairs.zarr", "w", silent=True)
    data.load_data_from_raw(fend.file, testing.toy_reads(folder / "reads.raw"), 500)
    hic = hd.HiC(folder / "project.zarr", "w", silent=True)
    hic.load_data(data.file)
    hic.save()
    return hic


# Numbers


def test_numbers__of_nine_reads(tmp_path: Path) -> None:
    found = hd.write_report(tiny_project(tmp_path))
    reads = {row["class"]: row["reads"] for row in found["reads"]["classes"]}
    assert reads == {
        "total_reads": 9, "unmapped_reads": 0, "multimapped_reads": 0, "walk_reads": 0,
        "chr_not_in_fends": 1, "pcr_duplicates": 1, "marked_duplicates": 0, "out_of_bounds": 1,
        "insert_size": 1, "same_fragment": 1, "failed_cut": 1, "valid_reads": 3,
        "valid_cis_reads": 2, "cis_short_reads": 2, "cis_long_reads": 0, "valid_trans_reads": 1,
    }  # fmt: skip
    assert found["reads"]["known"]
    assert not found["reads"]["duplicates_kept"]
    assert found["reads"]["duplicates"] == 1 / 8  # of those on known chromosomes
    assert found["reads"]["random_trans"] == pytest.approx(1 - (3**2 + 2**2) / 5**2)
    project = found["project"]
    assert (project["genome"], project["units"], project["number_of_units"]) == (
        "tiny",
        "fends",
        10,
    )
    assert (project["length"], project["median_fragment"], project["pairs"]) == (6500, 1000, 3)
    # Insert sizes of the six distinct reads within the fragments of a chromosome.
    assert sum(found["inserts"]["pairs"]) == 6
    rows = found["filter"]["chromosomes"]
    seen = [(r["name"], r["units"], r["in_use"], r["cis_reads"], r["trans_reads"]) for r in rows]
    assert seen == [("chr1", 6, 6, 2, 1), ("chr2", 4, 4, 0, 1)]
    assert found["filter"]["reads"]["50%"] == 0.5  # reads of the fends: 0 2 0 1 1 1 1 0 0 0
    assert found["convergence"] is None


def test_filter__says_why_units_are_not_in_use(tmp_path: Path) -> None:
    hic = tiny_project(tmp_path)
    # Fend 1 has the partners 3 and 4, each of which has one only.
    with pytest.warns(hd.errors.HifiveDaskWarning, match="no fend is left"):
        hic.filter_fends(mininteractions=2)
    found = hd.write_report(hic)["filter"]
    assert found["reasons"] == {"without_reads": 5, "few_partners": 4, "other": 1}
    assert found["in_use"] == 0
    assert [row["other"] for row in found["chromosomes"]] == [1, 0]
    assert [row["observed"] for row in found["chromosomes"]] == [0, 0]
    assert (found["with_reads"], found["partners"]) == (3, None)
    left = hd.write_report(hic)["left_out"]
    assert (left["reads"], left["cis_reads"], left["trans_reads"]) == (3, 2, 1)
    assert (left["of_valid"], left["of_cis"], left["cis_share"]) == (1, 1, pytest.approx(2 / 3))
    assert (left["cis_share_in_use"], left["slopes"]) == (None, [])
    assert left["chromosomes"] == ["chr1"]


def test_duplicates__that_were_kept_are_no_class_of_their_own(tmp_path: Path) -> None:
    hic = tiny_project(tmp_path)
    data = hd.HiCData(tmp_path / "all.zarr", "w", silent=True)
    data.load_data_from_raw(hic.fends.file, tmp_path / "reads.raw", 500, dedup="none")
    hic.load_data(data.file)
    found = hd.write_report(hic, tmp_path / "report.html")["reads"]
    assert found["duplicates_kept"]
    assert found["duplicates"] == 1 / 8
    assert "All read pairs: 9<" in (tmp_path / "report.html").read_text()


def test_marginals__equal_a_plain_count(hic: hd.HiC) -> None:
    count = np.zeros((4, len(hic.units)), dtype=int)
    for column, rows in ((0, hic.data.cis_data), (2, hic.data.trans_data)):
        for i, j, n in rows.tolist():
            for unit in (i, j):
                count[column, unit] += 1
                count[column + 1, unit] += n
    assert (count == np.stack(count_marginals(hic.units, hic.data.store, silent=True))).all()


def test_marginals__count_a_bin_that_meets_itself_once(tmp_path: Path) -> None:
    files = testing.toy_files(tmp_path)
    fend = hd.Fend(tmp_path / "bins.zarr", "w", binned=100_000, silent=True)
    fend.load_bins(files.lengths, format="len")
    fend.save()
    data = hd.HiCData(tmp_path / "pairs.zarr", "w", silent=True)
    data.load_data_from_pairs(fend.file, files.pairs, 500)
    found = count_marginals(data.units, data.store, silent=True)
    # Every bin has seen itself and all others.
    assert found.cis_partners.tolist() == [4] * 4 + [3] * 3 + [2] * 2
    assert found.trans_partners.tolist() == [5] * 4 + [6] * 3 + [7] * 2
    assert found.cis_reads.sum() == 2 * data.stats["valid_cis_reads"]


@pytest.mark.parametrize("seen", [100, 1000, 5000])
def test_library_size__is_found_from_duplicates(seen: int) -> None:
    distinct = round(1000 * (1 - math.exp(-seen / 1000)))
    assert library_size(seen, seen - distinct) == pytest.approx(1000, rel=0.05)


def test_library_size__needs_duplicates_and_others() -> None:
    assert library_size(100, 0) is None
    assert library_size(100, 100) is None
    assert library_size(0, 0) is None


def test_random_trans__of_equal_chromosomes() -> None:
    units = bin_partition({f"chr{k}": 1000 for k in range(4)}, 100).units
    assert random_trans(units) == pytest.approx(0.75)


def test_map_resolution__is_the_finest_with_reads_enough() -> None:
    units = bin_partition({"chr1": 10_000, "chr2": 5_000}, 100).units
    reads = np.full(len(units), 150)
    assert map_resolution(units, reads) == 1000  # 10 bins have 1500 reads
    assert map_resolution(units, reads + 50) == 500
    assert map_resolution(units, 0 * reads) is None
    reads[: len(reads) // 2] = 0
    assert map_resolution(units, reads) == 10_000


def test_json__has_the_documented_keys(numbers: Numbers) -> None:
    assert set(numbers) == {
        "type", "format", "version", "project", "reads", "inserts", "cut_sites", "decay", "filter",
        "left_out", "convergence", "corrections", "provenance", "checks", "maps",
    }  # fmt: skip
    keys = {name: set(part) for name, part in numbers.items() if isinstance(part, dict)}
    assert keys == {
        "project": {
            "file", "name", "genome", "enzyme", "kind", "binned", "units", "fends",
            "median_fragment", "number_of_units", "chromosomes", "length", "pairs",
            "normalization",
        },
        "reads": {
            "short", "known", "duplicates_kept", "duplicates", "library_size", "random_trans",
            "classes",
        },
        "inserts": {"maxinsert", "share_up_to", "median_row", "edges", "pairs"},
        "cut_sites": {
            "ends", "plus", "minus", "dangling", "shift", "facing", "enzyme", "plus_ends",
            "minus_ends", "place",
        },
        "decay": {"learned", "parameters", "distance", "signal", "slopes"},
        "filter": {
            "units", "in_use", "with_reads", "mininteractions", "mindistance", "maxdistance",
            "usereads", "reasons", "partners", "reads", "resolution", "hardly_left",
            "chromosomes",
        },
        "left_out": {
            "reads", "of_valid", "cis_reads", "trans_reads", "of_cis", "cis_share",
            "cis_share_in_use", "slopes", "chromosomes",
        },
        "convergence": {
            "method", "usereads", "balances", "converged", "iterations", "limit", "last_change",
            "cost", "change", "stalled", "joint",
        },
        "corrections": {"units", "correction", "before", "after", "features"},
        "provenance": {"stores", "sources", "versions", "history"},
    }  # fmt: skip
    for check in numbers["checks"]:
        assert set(check) == {
            "key", "section", "title", "text", "value", "verdict", "reason", "limits", "basis",
        }  # fmt: skip
        assert check["verdict"] in ("good", "check", "poor", "none")
    assert [check["key"] for check in numbers["checks"]] == [
        "in_use", "left_out", "expected", "converged", "duplicates",
        "chr_not_in_fends",
        "out_of_bounds", "insert_size", "same_fragment", "failed_cut", "cut_sites",
        "enzyme", "long_cis", "long_cis_of_far", "trans", "slope", "resolution",
        "balance", "features",
    ]  # fmt: skip
    assert [each["region"] for each in numbers["maps"]] == [None, "chr2", "chr1:0-100,000"]
    for each in numbers["maps"]:
        assert set(each) == {"region", "binsize", "datatype", "bins", "observed", "expected"}


def test_numbers__are_those_of_the_project(hic: hd.HiC, numbers: Numbers) -> None:
    assert hic.trace is not None
    assert numbers["convergence"]["iterations"] == len(hic.trace)
    assert numbers["convergence"]["last_change"] == hic.trace[-1, 1]
    assert numbers["filter"]["in_use"] == hic.filter.sum()
    after, before = numbers["corrections"]["after"], numbers["corrections"]["before"]
    assert after["95%"] / after["5%"] < before["95%"] / before["5%"]
    assert set(numbers["corrections"]["features"]) == {"length", "gc", "mappability"}
    assert numbers["provenance"]["history"] == hic.records.records
    tokens = [store["token"] for store in numbers["provenance"]["stores"]]
    assert tokens[:2] == [hic.fends.token, hic.data.token]
    first = numbers["decay"]["signal"][0]
    sums = hic.distance_sums
    assert first == sums["signal"][0] / sums["possible"][0]


def test_numbers__are_the_same_on_every_scheduler(hic: hd.HiC, on_every_scheduler: Any) -> None:
    def write(name: str) -> str:
        return json.dumps(measure(hic, 20_000).numbers)

    assert len(set(on_every_scheduler(write))) == 1


# Verdicts


def verdicts(numbers: Numbers) -> dict[str, str]:
    return {check["key"]: check["verdict"] for check in judge(numbers)}


def with_reads(numbers: Numbers, **reads: int) -> Numbers:
    """The same with other reads of some classes, all of 1000."""
    rows = []
    for row in numbers["reads"]["classes"]:
        count = reads.get(row["class"], row["reads"])
        rows.append({**row, "reads": count, "of_all": count / 1000})
    return {**numbers, "reads": {**numbers["reads"], "classes": rows}}


@pytest.mark.parametrize(
    ("name", "good", "check", "poor"),
    [
        ("same_fragment", 100, 300, 301),
        ("failed_cut", 99, 200, 500),
        ("insert_size", 150, 151, 900),
        ("out_of_bounds", 10, 50, 101),
    ],
)
def test_verdicts__of_rejected_reads(
    numbers: Numbers, name: str, good: int, check: int, poor: int
) -> None:
    seen = [verdicts(with_reads(numbers, **{name: count}))[name] for count in (good, check, poor)]
    assert seen == ["good", "check", "poor"]


def test_verdicts__of_unknown_chromosomes_are_never_poor(numbers: Numbers) -> None:
    assert verdicts(with_reads(numbers, chr_not_in_fends=999))["chr_not_in_fends"] == "check"


@pytest.mark.parametrize(
    ("long", "trans", "expected"),
    [(500, 200, ("good", "good")), (200, 200, ("check", "good")), (100, 800, ("poor", "poor"))],
)
def test_verdicts__on_mammals_are_those_of_pairsqc(
    numbers: Numbers, long: int, trans: int, expected: tuple[str, str]
) -> None:
    changed = with_reads(numbers, valid_reads=1000, cis_long_reads=long, valid_trans_reads=trans)
    assert verdicts(changed)["long_cis"] == "none"  # of a small genome
    changed["project"] = {**numbers["project"], "length": 3_000_000_000}
    found = verdicts(changed)
    assert (found["long_cis"], found["long_cis_of_far"]) == expected
    bases = {check["key"]: check["basis"] for check in judge(changed)}
    assert "pairsqc" in bases["long_cis"]


def test_verdicts__compare_trans_reads_with_chance(numbers: Numbers) -> None:
    def verdict(trans: int, chance: float) -> str:
        changed = with_reads(numbers, valid_reads=1000, valid_trans_reads=trans)
        changed["reads"]["random_trans"] = chance
        return verdicts(changed)["trans"]

    assert [verdict(trans, 0.8) for trans in (100, 400, 500, 700)] == [
        "good", "good", "check", "poor",
    ]  # fmt: skip
    assert verdict(100, 0.0) == "none"
    assert verdict(0, 0.8) == "none"


def test_verdicts__of_cis_reads_alone_are_not_those_of_a_perfect_library(numbers: Numbers) -> None:
    changed = with_reads(numbers, valid_reads=1000, cis_long_reads=500, valid_trans_reads=0)
    changed["project"] = {**numbers["project"], "length": 3_000_000_000}
    for chance, reason in ((0.8, "may hold cis reads alone"), (0.0, "one chromosome has")):
        changed["reads"]["random_trans"] = chance
        found = {check["key"]: check for check in judge(changed)}
        assert "long_cis_of_far" not in found
        assert reason in found["trans"]["reason"]


def test_verdicts__of_bins_without_fragments_know_no_cuts(numbers: Numbers) -> None:
    bins = {**numbers, "project": {**numbers["project"], "fends": None, "units": "bins"}}
    titles = {check["key"]: check["title"] for check in judge(bins)}
    assert not {"same_fragment", "failed_cut"} & set(titles)
    assert titles["insert_size"] == "Close, on opposite strands"
    assert titles["out_of_bounds"] == "Outside of all bins"


def test_verdicts__of_a_filter_that_was_reset(hic: hd.HiC) -> None:
    hic.reset_filter()
    counted = count_marginals(hic.units, hic.data.store, silent=True)
    found = filter_numbers(hic, counted, counted, None)
    assert (found["mininteractions"], found["mindistance"]) == (None, None)
    hic.filter_fends(mininteractions=0)
    found = filter_numbers(hic, counted, counted, None)
    assert found["mininteractions"] == 0


def test_verdicts__on_what_was_learned(numbers: Numbers) -> None:
    def found(part: str, **values: Any) -> dict[str, str]:
        return verdicts({**numbers, part: {**numbers[part], **values}})

    assert found("convergence", converged=False)["converged"] == "poor"
    assert found("convergence", converged=None)["converged"] == "none"
    assert verdicts({**numbers, "convergence": None})["converged"] == "check"
    assert found("filter", in_use=40, with_reads=100)["in_use"] == "check"
    assert found("filter", in_use=10, with_reads=100)["in_use"] == "poor"
    assert found("filter", in_use=100, units=100, mininteractions=None)["in_use"] == "check"
    assert found("left_out", of_valid=0.5)["left_out"] == "check"
    assert verdicts({**numbers, "left_out": None})["left_out"] == "none"
    for slope, verdict in ((-1.0, "good"), (-0.3, "check"), (0.0, "poor")):
        slopes = [{"from": 10_000, "to": 316_228, "slope": slope}]
        assert found("decay", slopes=slopes)["slope"] == verdict
    assert verdicts({**numbers, "decay": None})["slope"] == "none"
    wide = {"5%": 0.5, "95%": 1.5}
    other = {**numbers["convergence"], "balances": False}
    assert found("corrections", after=wide)["balance"] == "check"
    assert verdicts({**numbers, "convergence": other})["balance"] == "none"
    assert found("reads", duplicates=0.6)["duplicates"] == "poor"
    assert found("reads", duplicates_kept=True)["duplicates"] == "check"
    assert "losses" in found("reads", known=False)


@pytest.mark.parametrize(
    ("expected", "verdict", "text"),
    [
        ((5000, 990, 90), "good", "1.00 to 1.01"),
        ((5000, 800, 90), "check", "1.00 to 1.25"),
        ((5000, 3000, 90), "poor", "0.33 to 1.00"),
        ((500, 1000, 90), "poor", "1.00 to 10.00"),
        ((5000, None, 90), "good", "1.00"),  # nothing is known of one
        ((None, None, None), "none", "not known"),
    ],
)
def test_verdicts__look_at_the_level_of_every_chromosome(
    numbers: Numbers, expected: tuple[float | None, ...], verdict: str, text: str
) -> None:
    rows = [
        {**row, "cis_reads": reads, "observed": reads, "expected": wanted}
        for row, reads, wanted in zip(
            numbers["filter"]["chromosomes"], (5000, 1000, 999), expected, strict=True
        )
    ]
    found = judge({**numbers, "filter": {**numbers["filter"], "chromosomes": rows}})
    check = next(each for each in found if each["key"] == "expected")
    assert "have hardly any in use" not in check["reason"]
    assert (check["verdict"], check["text"]) == (verdict, text)
    if verdict in ("check", "poor"):
        assert "1 of 2 are off by more than 10 %" in check["reason"]
        assert "normalize again by hifive-dask normalize poisson" in check["reason"]


def test_verdicts__know_chromosomes_that_are_in_no_map(numbers: Numbers) -> None:
    found = numbers["filter"]["chromosomes"]
    rows = [{**row, "cis_reads": 5000, "observed": 5000, "expected": 5000} for row in found]
    for gone, verdict in ((1, "check"), (2, "poor")):
        rows[-gone] |= {"observed": 0, "expected": 0.0}
        checks = judge({**numbers, "filter": {**numbers["filter"], "chromosomes": rows}})
        check = next(each for each in checks if each["key"] == "expected")
        assert (check["verdict"], check["text"]) == (verdict, "1.00")
        assert f"{gone} others with as many reads have hardly any in use" in check["reason"]


def test_corrections__of_the_poisson_fit_leave_no_unit_off(tmp_path: Path) -> None:
    hic = hd.HiC(testing.toy_project(tmp_path), silent=True)
    distant(hic)
    hic.find_probability_fend_corrections(model="poisson", minchange=1e-6)
    found = hd.write_report(hic)
    after, before = found["corrections"]["after"], found["corrections"]["before"]
    assert after["95%"] / after["5%"] < 1.001 < before["95%"] / before["5%"]
    assert {row["name"]: round(row["observed"] / row["expected"], 3)
            for row in found["filter"]["chromosomes"]} == dict.fromkeys(
                ("chr1", "chr2", "chr3"), 1.0)  # fmt: skip


def test_verdicts__are_never_good_where_the_map_is_empty(numbers: Numbers) -> None:
    empty = {**numbers["filter"], "in_use": 19, "with_reads": 100}
    found = {check["key"]: check for check in judge({**numbers, "filter": empty})}
    assert "good" not in {check["verdict"] for check in found.values()}
    assert found["in_use"]["verdict"] == "poor"
    assert found["trans"]["reason"].startswith("no verdict while hardly any fends are in use; of")
    assert "good" in {check["verdict"] for check in judge(numbers)}


def test_chromosomes__have_what_maps_show_and_expect(hic: hd.HiC, numbers: Numbers) -> None:
    for row in numbers["filter"]["chromosomes"]:
        found = hic.heatmap(row["name"], binsize=1_000_000).compute()
        assert row["observed"] == found.observed.sum()
        assert row["expected"] == pytest.approx(float(found.expected.sum()), rel=1e-5)
    left, rows = numbers["left_out"], numbers["filter"]["chromosomes"]
    assert left["cis_reads"] == sum(row["cis_reads"] - row["observed"] for row in rows)
    assert left["cis_reads"] + left["trans_reads"] == left["reads"]


def test_left_out__has_the_decay_of_reads_in_no_map(tmp_path: Path) -> None:
    hic = hd.HiC(testing.toy_project(tmp_path), silent=True)
    slopes = []
    for half in (0, 1):  # every other fragment; pairs of both kinds are left out, too
        hic.filter[:] = (np.arange(len(hic.units)) // 2) % 2 == half
        found = hd.write_report(hic)["left_out"]
        assert 0.6 < found["of_valid"] < 0.9
        assert found["chromosomes"] == ["chr1", "chr2", "chr3"]
        (slope,) = found["slopes"]
        slopes.append(slope["slope"])
    assert slopes == pytest.approx([-1.2, -1.2], abs=0.3)
    hic.reset_filter()
    assert hd.write_report(hic)["left_out"] is None


# The page


class Page(HTMLParser):
    """Elements of a page; raises where they are not nested."""

    VOID = ("meta", "link", "br", "hr", "img", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), tag
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open, f"<{tag}/> is no HTML"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, name: str) -> list[str]:
        """All values of an attribute."""
        return [str(each[name]) for _, each in self.elements if name in each]


@pytest.fixture
def page(toy: Path) -> Page:
    return Page((toy / "report.html").read_text())


def test_page__is_balanced_and_every_link_has_its_goal(page: Page) -> None:
    ids = page.values("id")
    assert len(set(ids)) == len(ids)
    goals = [link[1:] for link in page.values("href") if link.startswith("#")]
    styles = " ".join([*page.values("style"), *page.values("clip-path"), *page.values("fill")])
    goals += re.findall(r"url\(#([^)]*)\)", styles)
    assert set(goals) <= set(ids)
    assert len(goals) > 50


def test_page__needs_nothing_from_elsewhere(toy: Path, page: Page) -> None:
    text = (toy / "report.html").read_text()
    links = [*page.values("href"), *page.values("src"), *page.values("data")]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "http" not in text
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    names = {name for name, _ in page.elements}
    assert not names & {"script", "iframe", "object", "embed", "base", "form"}
    assert "xlink" not in text


def test_page__has_all_pictures(page: Page) -> None:
    names = {each.removeprefix("picture-") for each in page.values("id") if "picture-" in each}
    maps = {f"map-{k}-{what}" for k in range(3) for what in ("observed", "enrichment")}
    assert names == {
        "inserts", "sites", "decay", "partners", "coverage", "marginals", "corrections", "trace",
        "chromosomes", "bias-0", "bias-1", "bias-2", "bias-3", *maps,
    }  # fmt: skip
    images = [each for tag, each in page.elements if tag == "image"]
    assert len(images) >= len(maps)
    for each in images:
        data = str(each["href"]).removeprefix("data:image/png;base64,")
        assert base64.b64decode(data).startswith(b"\x89PNG")
    plots = [each for tag, each in page.elements if tag == "svg"]
    assert len(plots) == len(names)
    assert all(each["role"] == "img" and each["aria-label"] for each in plots)


def test_page__tells_the_numbers(page: Page, numbers: Numbers) -> None:
    text = " ".join(" ".join(page.text).split())
    for row in numbers["reads"]["classes"]:
        assert f"{row['reads']:,}" in text
    for check in numbers["checks"]:
        assert check["title"] in text
        assert check["text"] in text
    for store in numbers["provenance"]["stores"]:
        assert store["token"] in text
    assert "HiC.find_express_fend_corrections(iterations=100" in text


def test_page__keeps_names_as_text(toy: Path, tmp_path: Path, no_drawing: None) -> None:
    out = tmp_path / "report.html"
    hd.write_report(toy / "project.zarr", out, title="<b>A & B</b>", silent=True)
    assert "<h1>&lt;b&gt;A &amp; B&lt;/b&gt;</h1>" in out.read_text()
    Page(out.read_text())


# Beyond 1000 not even a map with a bin for each would be drawn.
@pytest.mark.parametrize("number", [400, 1100])
def test_page__of_many_chromosomes_has_the_longest_and_no_map_of_all(
    tmp_path: Path, no_drawing: None, number: int
) -> None:
    longest = number - 1
    lengths = tmp_path / "sizes"
    lengths.write_text(
        "".join(f"c{k}\t{40_000 if k == longest else 30_000}\n" for k in range(number))
    )
    fend = hd.Fend(tmp_path / "bins.zarr", "w", binned=10_000, silent=True)
    fend.load_bins(lengths, format="len")
    fend.save()
    reads = "".join(f"c{k}\t{p}\t+\tc{k}\t25000\t-\n" for k in range(number) for p in (500, 15_000))
    (tmp_path / "reads.raw").write_text(reads)
    data = hd.HiCData(tmp_path / "pairs.zarr", "w", silent=True)
    data.load_data_from_raw(fend.file, tmp_path / "reads.raw", None)
    hic = hd.HiC(tmp_path / "project.zarr", "w", silent=True)
    hic.load_data(data.file)
    found = hd.write_report(hic, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert len(found["filter"]["chromosomes"]) == number
    assert f"{number - 39:,} others" in text
    assert text.count('<td class="name">c') == 39
    assert [each["region"] for each in found["maps"]] == [f"c{longest}"]
    assert f"{number:,} chromosomes, too many for one" in " ".join(text.split())


# All kinds of projects


def filtered(hic: hd.HiC) -> None:
    hic.filter_fends(mininteractions=5)


def distant(hic: hd.HiC) -> None:
    filtered(hic)
    hic.find_distance_parameters(numbins=20, minsize=2000)


def binned(hic: hd.HiC) -> None:
    filtered(hic)
    hic.find_binning_fend_corrections(
        num_bins=(3, 10), parameters=("even", "even-const"), model=("len", "distance")
    )


def probable(hic: hd.HiC) -> None:
    distant(hic)
    hic.find_probability_fend_corrections(max_iterations=3, on_nonconvergence="ignore")


def balanced(hic: hd.HiC) -> None:
    filtered(hic)
    hic.find_express_fend_corrections(kr=True, remove_distance=False)


def without_units(hic: hd.HiC) -> None:
    hic.filter[:] = 0


@pytest.mark.parametrize(
    ("learn", "method", "datatypes"),
    [
        (lambda hic: None, None, ("raw", "raw")),
        (filtered, None, ("raw", "raw")),
        (distant, None, ("raw", "distance")),
        (binned, "Binning", ("fend", "fend")),
        (probable, "Binomial", ("fend", "enrichment")),
        (balanced, "Knight-Ruiz", ("fend", "fend")),
        (without_units, None, ("raw", "raw")),
    ],
    ids=["loaded", "filtered", "distance", "binning", "probability", "knight-ruiz", "no units"],
)
def test_report__of_every_kind_of_project(
    tmp_path: Path,
    no_drawing: None,
    learn: Callable[[hd.HiC], None],
    method: str | None,
    datatypes: tuple[str, str],
) -> None:
    hic = hd.HiC(testing.toy_project(tmp_path), silent=True)
    learn(hic)
    found = hd.write_report(hic, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text())
    convergence = found["convergence"]
    assert (None if convergence is None else convergence["method"]) == method
    assert tuple(each["datatype"] for each in found["maps"]) == datatypes
    if learn is probable:
        assert verdicts(found)["converged"] == "poor"
        assert (convergence["iterations"], len(convergence["change"])) == (3, 4)
        assert (hic.converged, hic.iterations) == (False, 3)
    if learn in (binned, probable, balanced):
        assert (verdicts(found)["balance"] == "none") == (learn is not balanced)
    if learn is without_units:
        assert (found["decay"], found["corrections"]) == (None, None)
    elif learn in (filtered, binned, balanced):
        assert not found["decay"]["learned"]
    pictures = [each for each in page.values("id") if each.startswith("picture-")]
    assert ("picture-trace" in pictures) == (method is not None)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("options", "balances"),
    [
        ({}, True),
        ({"usereads": "all"}, True),
        ({"usereads": "trans"}, False),
        ({"maxdistance": 300_000}, False),
        ({"mindistance": 5000}, False),
        ({"binary": True, "remove_distance": False}, False),
        ({"chroms": ["chr1"]}, False),
        ({"chroms": ["chr1", "chr2", "chr3"]}, True),
    ],
    ids=str,
)
def test_convergence__knows_what_was_to_be_balanced(
    tmp_path: Path, options: dict[str, Any], balances: bool
) -> None:
    hic = hd.HiC(testing.toy_project(tmp_path), silent=True)
    distant(hic)
    hic.find_express_fend_corrections(
        max_iterations=2, iterations=2, on_nonconvergence="ignore", **options
    )
    found = convergence_numbers(hic)
    assert found is not None
    assert found["balances"] == balances


def test_report__of_files_of_hifive(toy: Path, tmp_path: Path, no_drawing: None) -> None:
    hd.export_project(toy / "project.zarr", tmp_path, silent=True)
    found = hd.write_report(tmp_path / "project.hcp", tmp_path / "report.html", silent=True)
    Page((tmp_path / "report.html").read_text())
    assert found["project"]["normalization"] == "express"
    assert found["reads"]["known"]
    assert found["convergence"]["method"] == "Express"


def test_report__of_counted_pairs_in_bins(tmp_path: Path, no_drawing: None) -> None:
    files = testing.toy_files(tmp_path)
    fend = hd.Fend(tmp_path / "bins.zarr", "w", binned=10_000, silent=True)
    fend.load_bins(files.lengths, format="len")
    fend.save()
    data = hd.HiCData(tmp_path / "pairs.zarr", "w", silent=True)
    data.load_data_from_pairs(fend.file, files.pairs, None)
    data.export_to_mat(tmp_path / "counts.mat")
    data.load_data_from_mat(fend.file, tmp_path / "counts.mat")
    hic = hd.HiC(tmp_path / "project.zarr", "w", silent=True)
    hic.load_data(data.file)
    found = hd.write_report(hic, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert not found["reads"]["known"]
    assert found["inserts"] is None
    assert found["project"]["units"] == "bins"
    assert "came counted and filtered" in text
    assert "has no histogram of insert sizes" in text
    assert "80 bins of 10 kb" in text


def test_report__of_replicates_with_several_limits(tmp_path: Path, no_drawing: None) -> None:
    hic = hd.HiC(testing.toy_project(tmp_path), silent=True)
    other = hd.HiCData(tmp_path / "other.zarr", "w", silent=True)
    other.load_data_from_raw(hic.fends.file, tmp_path / "reads.raw", 300)
    both = hd.HiCData(tmp_path / "both.zarr", "w", silent=True)
    both.combine([hic.data.file, other.file])
    hic.load_data(both.file)
    found = hd.write_report(hic, tmp_path / "report.html")
    assert found["inserts"]["maxinsert"] == [300, 500]
    assert found["inserts"]["share_up_to"] is None
    assert "300 bp and 500 bp" in (tmp_path / "report.html").read_text()


def test_report__of_stores_at_urls(toy: Path, tmp_path: Path, no_drawing: None) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    for name in ("fends.zarr", "pairs.zarr", "project.zarr"):
        memory.put(str(toy / name), f"/reports/{name}", recursive=True)
    try:
        found = hd.write_report(
            "memory://reports/project.zarr", tmp_path / "report.html", silent=True
        )
        assert found["project"]["file"] == "memory://reports/project.zarr"
        with pytest.raises(StoreError, match=r"only stores called \.zarr can be at a URL"):
            hd.write_report("memory://reports/project.zarr", "memory://reports/report.html")
    finally:
        memory.rm("/reports", recursive=True)


def test_maps__that_are_too_large_or_not_there_are_refused(hic: hd.HiC, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    with pytest.raises(ParameterError, match=r"a map of chr1 has [\d,]+ bins of 100 bp, expected"):
        hd.write_report(hic, out, regions="chr1", binsize=100)
    with pytest.raises(RegionError, match="region chrZ: unknown chromosome 'chrZ'; known are"):
        hd.write_report(hic, out, regions=["chr1", "chrZ"])
    assert not out.exists()
    sizes = [each.dataset.sizes["bin1"] for each in plan_maps(hic, None, None)]
    assert max(sizes) <= 410


def test_files__are_replaced_whole_or_not_at_all(
    hic: hd.HiC, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ParameterError, match=r"expected the name of a file that ends with \.html"):
        hd.write_report(hic, tmp_path / "report.pdf")
    with pytest.raises(ParameterError, match=r"that ends with \.json"):
        hd.write_report(hic, json=tmp_path / "numbers.txt")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(ParameterError, match=r"folder\.html: expected the name of a file"):
        hd.write_report(hic, tmp_path / "folder.html")
    with pytest.raises(StoreError, match="does not exist; make it first"):
        hd.write_report(hic, tmp_path / "none" / "report.html")
    out = tmp_path / "report.html"
    out.write_text("before")
    monkeypatch.setattr("hifive_dask.report.write.render", lambda *_: 1 / 0)
    monkeypatch.setattr("hifive_dask.report.write.draw", lambda *_: [])
    with pytest.raises(ZeroDivisionError):
        hd.write_report(hic, out)
    assert out.read_text() == "before"
    assert {each.name for each in tmp_path.iterdir()} == {"folder.html", "report.html"}


# Pictures


def test_coverage__has_every_unit_once() -> None:
    from hifive_dask import plot

    partners, valid = np.r_[np.zeros(7), np.arange(1, 90), 5000].astype(int), np.ones(97)
    valid[:20] = 0
    heights = [patch.get_data() for patch in plot.coverage(partners, valid, 10).axes[0].patches]
    units = [((values - base) * np.diff(np.log2(edges))).sum() for values, edges, base in heights]
    assert units == pytest.approx([77, 20])
    with pytest.raises(ParameterError, match=r"have shapes \(2,\) and \(3,\), expected the same"):
        plot.coverage([1, 2], [1, 1, 1])


def test_svg__has_ids_of_its_own_and_equal_text_for_equal_figures() -> None:
    from hifive_dask import plot

    def draw(name: str) -> str:
        return to_svg(plot.insert_sizes([[5, 0], [9, 50], [2, 90]], 60), name, label='a "b" & c')

    assert draw("one") == draw("one")
    ids = [set(re.findall(r'id="([^"]*)"', draw(name))) for name in ("one", "two")]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert 'aria-label="a &quot;b&quot; &amp; c"' in draw("one")
    assert "var(--plot-ink, #22262b)" in draw("one")
    assert "<text" in draw("one")
    Page(draw("one"))


# The command


def test_command__writes_the_page_and_tells_the_verdicts(
    toy: Path, tmp_path: Path, no_drawing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = run("report", toy / "project.zarr", "--region", "chr2").stdout
    assert (tmp_path / "report.html").exists()
    assert "PCR duplicates" in output
    assert output.index("Fends in use") < output.index("Observed over expected")
    assert output.index("Observed over expected") < output.index("PCR duplicates")
    # Express makes means of ratios equal, not what maps show.
    assert "report.html: 13 good, 1 to look at, 2 poor, 3 without a verdict." in output
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_command__gives_numbers_as_json(toy: Path, tmp_path: Path, no_drawing: None) -> None:
    options = (toy / "project.zarr", "--region", "chr2", "--region", "chr1:0-100k")
    printed = json.loads(run("report", *options, "--json").stdout)
    assert printed == json.loads((toy / "report.json").read_text())
    page = tmp_path / "page.html"
    assert json.loads(run("report", *options, "-o", page, "--json").stdout) == printed
    assert page.exists()
    assert run("-q", "report", *options, "-o", page).output == ""


def test_command__refuses_what_makes_no_page(toy: Path, tmp_path: Path) -> None:
    project = toy / "project.zarr"
    assert "ends with .html" in run("report", project, "-o", tmp_path / "a.png", code=1).stderr
    message = run("report", tmp_path / "none.zarr", code=2).stderr
    assert "does not exist; `hifive-dask project` makes it" in message
    assert "unknown chromosome" in run("report", project, "--region", "chrZ", code=1).stderr
    assert "is a URL" in run("report", project, "-o", "s3://bucket/report.html", code=2).stderr


# In a browser


@pytest.fixture(scope="module")
def chromium() -> Callable[..., Any]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next((found for name in names if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium is installed to render the page with")

    def show(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--enable-logging=stderr", f"--user-data-dir={page.parent / 'profile'}", *options,
                page.as_uri(),
            ],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip

    return show


@pytest.mark.parametrize("width", [1280, 500], ids=["wide", "narrow"])
def test_browser__shows_the_page_without_errors(
    toy: Path, tmp_path: Path, chromium: Callable[..., Any], width: int
) -> None:
    look = (
        "<script>const d = document, e = d.documentElement;"
        "e.dataset.over = e.scrollWidth - e.clientWidth;"
        "e.dataset.plots = [...d.querySelectorAll('svg.plot')]"
        ".filter(s => s.getBoundingClientRect().height > 100).length;</script>"
    )
    page = tmp_path / "page.html"
    page.write_text((toy / "report.html").read_text().replace("</body>", f"{look}</body>"))
    seen = chromium(page, f"--window-size={width},900", "--dump-dom")
    assert "CONSOLE" not in seen.stderr
    assert 'data-over="0"' in seen.stdout
    assert 'data-plots="18"' in seen.stdout
