"""The command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner, Result

from hifive_dask import Fend, HiC, HiCData, testing
from hifive_dask.cli import main
from hifive_dask.errors import InputWarning

COMMANDS = (
    "demo", "run", "fends", "pairs", "project", "normalize", "query", "plot", "info", "simulate",
)  # fmt: skip


def run(*arguments: object, code: int = 0) -> Result:
    """Run a command and check how it ends."""
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(autouse=True)
def _coarse_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hifive_dask.cli._pictures._DPI", 20)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> testing.ToyFiles:
    return testing.toy_files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def stores(files: testing.ToyFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Partition, pairs and normalized project, made by the commands."""
    folder = tmp_path_factory.mktemp("stores")
    run("fends", "--sites", files.sites, "--genome", "toy", "-o", folder / "fends.zarr")
    run("pairs", folder / "fends.zarr", files.raw, "-o", folder / "pairs.zarr")
    run("project", folder / "pairs.zarr", "--minsize", 2000, "-o", folder / "project.zarr")
    run("normalize", "express", folder / "project.zarr")
    return folder


# The group


def test_help__names_every_command_and_each_has_its_own() -> None:
    text = run("--help").output
    for name in COMMANDS:
        assert f"\n  {name} " in text
        assert "Usage:" in run(name, "--help").output
    assert run("--version").output.startswith("hifive-dask, version ")


def test_help__of_the_group_agrees_with_that_of_the_commands() -> None:
    with click.Context(main) as ctx:
        for name in COMMANDS:
            command = main.get_command(ctx, name)
            assert command is not None
            assert command.name == name
            assert command.help


def test_command__runs_as_a_program(files: testing.ToyFiles, tmp_path: Path) -> None:
    program = "from hifive_dask.cli import main; main()"
    arguments = ["fends", "--sites", str(files.sites), "-o", str(tmp_path / "x.other")]
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_errors__are_one_message_and_exit_1_with_a_traceback_only_if_verbose(
    tmp_path: Path,
) -> None:
    arguments = ("pairs", tmp_path / "none.zarr", __file__, "-o", tmp_path / "pairs.zarr")
    result = run(*arguments, code=1)
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "no such store" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in run("--verbose", *arguments, code=1).stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheduler", ["cloud", "./missing.json"])
def test_errors__of_the_scheduler_are_reported(
    files: testing.ToyFiles, tmp_path: Path, scheduler: str
) -> None:
    out = tmp_path / "pairs.zarr"
    result = run("--scheduler", scheduler, "pairs", "fends.zarr", files.raw, "-o", out, code=1)
    assert "scheduler" in result.stderr


def test_interrupt__says_so_and_exits_130(
    files: testing.ToyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Fend, "load_fends", interrupt)
    result = run("fends", "--sites", files.sites, "-o", tmp_path / "fends.zarr", code=130)
    assert result.stderr.startswith("interrupted; nothing was written")
    assert list(tmp_path.iterdir()) == []


def test_warnings__are_one_line_each(tmp_path: Path) -> None:
    sites = tmp_path / "sites.bed"
    sites.write_text("".join(f"chr1\t{c}\t{c + 6}\n" for c in (100, 900, 900, 1700)))
    result = run("fends", "--sites", sites, "-o", tmp_path / "fends.zarr")
    assert result.stderr.startswith("warning: ")
    assert InputWarning.__name__ not in result.stderr


def test_quiet__says_nothing(files: testing.ToyFiles, tmp_path: Path) -> None:
    out = tmp_path / "fends.zarr"
    assert run("-q", "fends", "--sites", files.sites, "-o", out).output == ""
    assert run("-q", "pairs", out, files.raw, "-o", tmp_path / "pairs.zarr").output == ""


# fends, pairs, project, normalize


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (lambda f: ("--sites", f.sites), "fends"),
        (lambda f: ("--sites", f.sites, "--binned", 20_000), "fends in bins"),
        (lambda f: ("--chrom-sizes", f.lengths, "--binned", 20_000), "uniform bins"),
    ],
)
def test_fends__makes_every_kind(
    files: testing.ToyFiles,
    tmp_path: Path,
    options: Callable[[testing.ToyFiles], tuple[object, ...]],
    kind: str,
) -> None:
    result = run("fends", *options(files), "-o", tmp_path / "fends.zarr")
    assert Fend(tmp_path / "fends.zarr").partition.kind == kind
    assert kind in result.output


def test_fends__makes_bins_of_a_bed_file(tmp_path: Path) -> None:
    (tmp_path / "bins.bed").write_text("chr1\t0\t500\nchr1\t500\t2000\n")
    run("fends", "--bins", tmp_path / "bins.bed", "-o", tmp_path / "bins.zarr")
    fend = Fend(tmp_path / "bins.zarr")
    assert (fend.binned, len(fend.units)) == (0, 2)


def test_fends__wants_one_input_that_fits(files: testing.ToyFiles, tmp_path: Path) -> None:
    out = ("-o", tmp_path / "fends.zarr")
    both = ("--sites", files.sites, "--fragments", files.sites)
    assert "exactly one" in run("fends", *out, code=2).stderr
    assert "exactly one" in run("fends", *both, *out, code=2).stderr
    assert "--binned" in run("fends", "--chrom-sizes", files.lengths, *out, code=2).stderr
    bins = ("--bins", files.sites, "--binned", 5)
    assert "leave --binned out" in run("fends", *bins, *out, code=2).stderr


def test_pairs__finds_the_format_and_counts_as_the_class_does(
    files: testing.ToyFiles, stores: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pairs.zarr"
    result = run("pairs", stores / "fends.zarr", files.pairs, "-o", out)
    data = HiCData(stores / "pairs.zarr")
    assert f"{data.stats['valid_cis_reads']:,}" in result.output
    assert HiCData(out).token == data.token
    mixed = run("pairs", stores / "fends.zarr", files.raw, files.pairs, "-o", out, code=2)
    assert "load one kind" in mixed.stderr


def test_pairs__options_reach_the_class(files: testing.ToyFiles, tmp_path: Path) -> None:
    fends = tmp_path / "fends.fends"
    run("fends", "--sites", files.sites, "-o", fends)
    out = tmp_path / "pairs.hcd"
    options = ("--maxinsert", -1, "--dedup", "none", "--base", 0, "--format", "raw")
    run("--scheduler", "sync", "pairs", fends, files.raw, *options, "-o", out)
    data = HiCData(out)
    assert data.stats["insert_size"] == 0
    assert data.maxinsert is None


def test_project_and_normalize__learn_what_the_class_does(stores: Path, tmp_path: Path) -> None:
    expected = HiC(tmp_path / "project.zarr", "w", silent=True)
    expected.load_data(stores / "pairs.zarr")
    expected.filter_fends()
    expected.find_distance_parameters(minsize=2000)
    expected.find_express_fend_corrections()
    found = HiC(stores / "project.zarr")
    assert found.normalization == "express"
    np.testing.assert_array_equal(found.filter, expected.filter)
    np.testing.assert_array_equal(found.distance_parameters, expected.distance_parameters)
    np.testing.assert_array_equal(found.corrections, expected.corrections)


def test_normalize__with_out_leaves_the_project(stores: Path) -> None:
    run("project", stores / "pairs.zarr", "--minsize", 2000, "-o", stores / "plain.zarr")
    other = stores / "other.zarr"
    result = run("normalize", "express", stores / "plain.zarr", "--minchange", 0.01, "-o", other)
    assert "converged after" in result.output
    assert HiC(stores / "plain.zarr").normalization == "none"
    assert HiC(other).normalization == "express"


# query, plot, info


def test_query__text_has_the_cells_with_reads(stores: Path) -> None:
    text = run("query", stores / "project.zarr", "chr1:50k-350k", "--binsize", 20_000).stdout
    lines = [line.split("\t") for line in text.splitlines()]
    assert lines[0][:3] == ["chrom1", "start1", "stop1"]
    hic = HiC(stores / "project.zarr", silent=True)
    dataset = hic.heatmap("chr1:50k-350k", binsize=20_000).compute()
    observed = np.triu(dataset.observed.values)
    assert len(lines) - 1 == np.count_nonzero(observed)
    assert sum(float(line[6]) for line in lines[1:]) == observed.sum()
    row, column = (int(k[0]) for k in np.nonzero(observed))
    first = lines[1]
    assert first[:3] == [
        "chr1",
        str(dataset.start1.values[row]),
        str(dataset.stop1.values[row]),
    ]
    assert float(first[8]) == pytest.approx(float(dataset.enrichment[row, column]), rel=1e-5)


def test_query__in_bands_is_the_same_text(stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("query", stores / "project.zarr", "chr1", "chr2", "--binsize", 25_000)
    whole = run(*arguments).stdout
    monkeypatch.setattr("hifive_dask.cli.query._BAND", 1)
    assert run(*arguments).stdout == whole
    assert whole.count("\n") > 5


def test_query__writes_files_of_every_kind(stores: Path, tmp_path: Path) -> None:
    arguments = ("query", stores / "project.zarr", "chr2", "--binsize", 25_000, "-o")
    names = ("map.tsv", "map.tsv.gz", "map.npz", "map.zarr")
    for name in names:
        run(*arguments, tmp_path / name)
    expected = HiC(stores / "project.zarr", silent=True).heatmap("chr2", binsize=25_000).compute()
    text = np.genfromtxt(tmp_path / "map.tsv", names=True, dtype=None, encoding="utf8")
    packed = np.genfromtxt(tmp_path / "map.tsv.gz", names=True, dtype=None, encoding="utf8")
    np.testing.assert_array_equal(text, packed)
    assert text["observed"].sum() == np.triu(expected.observed.values).sum()
    with np.load(tmp_path / "map.npz") as arrays:
        np.testing.assert_array_equal(arrays["observed"], expected.observed.values)
        np.testing.assert_array_equal(arrays["start1"], expected.start1.values)
    opened = xr.open_zarr(tmp_path / "map.zarr", consolidated=False)
    np.testing.assert_allclose(opened.enrichment.values, expected.enrichment.values)
    assert "suffix" in run(*arguments, tmp_path / "map.xls", code=2).stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_query__names_the_chromosomes_that_there_are(stores: Path) -> None:
    result = run("query", stores / "project.zarr", "chrZ", code=1)
    assert "known are: chr1, chr2, chr3" in result.stderr


@pytest.mark.parametrize("region", [(), ("chr1",), ("chr1:0-200k", "chr2")])
def test_plot__draws_regions(stores: Path, tmp_path: Path, region: tuple[str, ...]) -> None:
    out = tmp_path / "map.png"
    result = run("plot", stores / "project.zarr", *region, "--binsize", 20_000, "-o", out)
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "bins of 20,000 bp" in result.output


def test_plot__suffix_decides_the_format(stores: Path, tmp_path: Path) -> None:
    arguments = ("plot", stores / "project.zarr", "chr3", "--variable", "observed", "-o")
    run(*arguments, tmp_path / "map.svg")
    assert "<svg" in (tmp_path / "map.svg").read_text()
    assert "suffix" in run(*arguments, tmp_path / "map.gif", code=2).stderr


def test_info__tells_every_kind_of_store(stores: Path, tmp_path: Path) -> None:
    fends = run("info", stores / "fends.zarr").output
    assert "Partition" in fends
    assert "gc, mappability" in fends
    assert "Fend.load_fends" in fends
    pairs = run("info", stores / "pairs.zarr").output
    assert "valid cis reads" in pairs
    assert "HiCData.load_data_from_raw" in pairs
    project = run("info", stores / "project.zarr").output
    assert "express" in project
    assert "HiC.find_express_fend_corrections" in project
    HiC(stores / "project.zarr").save(tmp_path / "project.hcp")
    assert "express" in run("info", tmp_path / "project.hcp").output


def test_info__says_what_is_wrong(stores: Path, tmp_path: Path) -> None:
    assert "no such store" in run("info", tmp_path / "none.zarr", code=1).stderr
    (tmp_path / "empty.zarr").mkdir()
    assert "no partition" in run("info", tmp_path / "empty.zarr", code=1).stderr
    shutil.copytree(stores / "pairs.zarr", tmp_path / "lost" / "pairs.zarr")
    assert "points to" in run("info", tmp_path / "lost" / "pairs.zarr", code=1).stderr


# simulate, run, demo


def test_simulate__gives_equal_bytes_for_equal_seeds(tmp_path: Path) -> None:
    for name, scheduler in (("a", "sync"), ("b", "threads")):
        options = ("--preset", "toy", "--seed", 3, "--pairs", 5_000, "--format", "pairs.gz")
        run("--scheduler", scheduler, "simulate", *options, "--out", tmp_path / name)
    for file in ("sites.bed", "chrom.sizes", "reads.pairs.gz"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_run__does_again_only_what_changed(files: testing.ToyFiles, tmp_path: Path) -> None:
    out = tmp_path / "out"
    base = ("run", "--sites", files.sites, "--reads", files.raw, "--out", out)

    def states(*options: object) -> dict[str, str]:
        lines = run(*base, *options).output.splitlines()
        steps = ("fends", "pairs", "project", "pictures")
        found = [line.split(": ", 1) for line in lines if line.split(": ")[0] in steps]
        return {name: state for name, state in found if state in ("done", "already done")}

    new, old = "done", "already done"
    options = ("--minsize", 2000, "--minchange", 0.01)
    all_new = {"fends": new, "pairs": new, "project": new, "pictures": new}
    assert states(*options) == all_new
    for name in ("fends.zarr", "pairs.zarr", "project.zarr", "summary.md", "run.json"):
        assert (out / name).exists()
    assert len(list((out / "pictures").glob("*.png"))) >= 5
    assert set(states(*options).values()) == {old}
    changed = states("--minsize", 2000, "--minchange", 0.02)
    assert changed == {"fends": old, "pairs": old, "project": new, "pictures": new}
    region = (*options[:2], "--minchange", 0.02, "--region", "chr2:0-100k")
    assert states(*region) == {**dict.fromkeys(all_new, old), "pictures": new}
    # A store that was damaged, or an input that was touched, counts as not done.
    shutil.rmtree(out / "pairs.zarr")
    assert states(*region) == {**dict.fromkeys(all_new, old), "pairs": new}
    (out / "run.json").write_text("{")
    assert states(*region) == all_new
    assert states(*region, "--restart") == all_new


def test_run__notices_a_new_input(files: testing.ToyFiles, tmp_path: Path) -> None:
    reads = shutil.copy(files.raw, tmp_path / "reads.raw")
    base = ("run", "--sites", files.sites, "--reads", reads, "--minsize", 2000)
    options = ("--minchange", 0.05, "--out", tmp_path / "out")
    run(*base, *options)
    os.utime(reads, ns=(1, 1))
    output = run(*base, *options).output
    assert "fends: already done" in output
    assert "pairs: done" in output
    # The same pairs came out, so nothing that follows changes.
    assert "project: already done" in output


def test_run__goes_on_after_a_step_that_failed(
    files: testing.ToyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = ("run", "--sites", files.sites, "--reads", files.raw, "--minsize", 2000)
    options = ("--minchange", 0.05, "--out", tmp_path / "out")
    with monkeypatch.context() as patch:

        def interrupt(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(HiC, "find_express_fend_corrections", interrupt)
        run(*base, *options, code=130)
    assert set(json.loads((tmp_path / "out" / "run.json").read_text())["steps"]) == {
        "fends",
        "pairs",
    }
    output = run(*base, *options).output
    assert "pairs: already done" in output
    assert "project: done" in output


def test_run__works_in_bins(files: testing.ToyFiles, tmp_path: Path) -> None:
    out = tmp_path / "out"
    genome = ("--chrom-sizes", files.lengths, "--binned", 10_000)
    options = ("--minsize", 10_000, "--minchange", 0.01, "--out", out)
    run("run", *genome, "--reads", files.pairs, *options)
    assert HiC(out / "project.zarr").binned == 10_000


def test_demo__says_where_the_pictures_are(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    output = run("demo", "--preset", "toy", "--out", out).output
    assert f"Pictures: {out / 'pictures'}" in output
    assert list((out / "pictures").glob("*.png"))
    again = run("demo", "--preset", "toy", "--out", out).output
    assert "simulation: already done" in again
    assert "pictures: already done" in again
