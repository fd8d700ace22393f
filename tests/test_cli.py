"""The command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest
import xarray as xr
import zarr
from matplotlib.figure import Figure

from hifive_dask import Fend, HiC, HiCData, testing
from hifive_dask.cli import main, query
from hifive_dask.cli._pictures import draw_project
from hifive_dask.errors import InputWarning
from tests.commands import run

COMMANDS = (
    "demo", "run", "fends", "pairs", "combine", "project", "normalize", "diagnose", "query", "plot",
    "heatmap", "mrh", "model", "stats", "info", "simulate",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _coarse_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hifive_dask.cli._pictures.DPI", 20)
    monkeypatch.setattr("hifive_dask.report.write.draw", lambda *_: [])


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
    arguments = ["fends", "--sites", str(files.sites), "-o", str(tmp_path / "x.other")]
    result = subprocess.run(
        [sys.executable, "-m", "hifive_dask", *arguments], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_errors__are_one_message_and_exit_1_with_a_traceback_only_if_verbose(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty.zarr").mkdir()
    arguments = ("pairs", tmp_path / "empty.zarr", __file__, "-o", tmp_path / "pairs.zarr")
    result = run(*arguments, code=1)
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "not a Zarr store" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in run("--verbose", *arguments, code=1).stderr
    assert [path.name for path in tmp_path.iterdir()] == ["empty.zarr"]


@pytest.mark.parametrize("command", ["simulate", "fends", "run", "demo", "info"])
@pytest.mark.parametrize(
    "options",
    [
        ("--scheduler", "cloud"),
        ("--scheduler", "./missing.json"),
        ("--scheduler", "sync", "--workers", 2),
        ("--memory", "4GB"),
    ],
)
def test_scheduler__is_checked_before_any_command_starts(
    options: tuple[object, ...], command: str
) -> None:
    result = run(*options, command, code=2)
    assert "Usage: hifive-dask" in result.stderr or "Usage: main" in result.stderr
    assert "scheduler" in result.stderr or "'sync' is one thread" in result.stderr


@pytest.mark.parametrize(
    ("command", "maker"),
    [
        (("pairs", "none.zarr", __file__, "-o", "x.zarr"), "fends"),
        (("project", "none.zarr", "-o", "x.zarr"), "pairs"),
        (("normalize", "express", "none.zarr"), "project"),
        (("query", "none.zarr", "chr1"), "project"),
        (("plot", "none.zarr", "-o", "x.png"), "project"),
    ],
)
def test_stores__that_are_missing_are_refused_with_the_command_that_makes_them(
    command: tuple[object, ...], maker: str
) -> None:
    error = run(*command, code=2).stderr
    assert f"none.zarr does not exist; `hifive-dask {maker}` makes it" in error
    assert "HiC(" not in error


@pytest.mark.parametrize(
    "command",
    [
        ("fends", "--sites", "{sites}", "-o", "{out}.zarr"),
        ("project", "{stores}/pairs.zarr", "-o", "{out}.zarr"),
        ("normalize", "kr", "{stores}/project.zarr", "-o", "{out}.zarr"),
        ("heatmap", "{stores}/project.zarr", "--binsize", "50000", "-o", "{out}.npz"),
        ("plot", "{stores}/project.zarr", "chr1", "-o", "{out}.png"),
    ],
)
def test_results__that_cannot_be_written_are_refused_before_the_work(
    stores: Path, files: testing.ToyFiles, tmp_path: Path, command: tuple[str, ...]
) -> None:
    names = {"stores": stores, "sites": files.sites, "out": tmp_path / "none" / "x"}
    error = run(*(each.format(**names) for each in command), code=1).stderr
    assert error.startswith("error: ")
    assert error.endswith("none does not exist; make it first\n")


def test_outputs__that_are_inputs_are_refused_before_work(
    stores: Path, files: testing.ToyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in (Fend, HiCData, HiC):
        monkeypatch.setattr(kind, "__init__", lambda *_, **__: pytest.fail("work was done"))
    fends, pairs, project = (stores / f"{name}.zarr" for name in ("fends", "pairs", "project"))
    for command in (
        ("fends", "--sites", files.sites, "-o", files.sites),
        ("pairs", fends, files.raw, "-o", fends),
        ("pairs", fends, files.raw, "-o", files.raw),
        ("project", pairs, "-o", pairs),
        ("query", project, "chr1", "-o", project),
        ("query", project, "chr1", "-o", stores / "." / "project.zarr"),
    ):
        assert "is an input of this command" in run(*command, code=2).stderr
    inside = ("report", project, "-o", project / "report.html")
    assert "is inside of an input; write to a file elsewhere" in run(*inside, code=2).stderr


def test_outputs__replace_only_stores_of_their_kind(
    stores: Path, files: testing.ToyFiles, tmp_path: Path
) -> None:
    fends, pairs, project = (stores / f"{name}.zarr" for name in ("fends", "pairs", "project"))
    query = ("query", project, "chr1", "--binsize", 50_000, "-o")
    before = {path: path.read_bytes() for path in stores.rglob("*") if path.is_file()}
    for command, held in (
        (("fends", "--sites", files.sites, "-o", pairs), "'pairs'"),
        (("pairs", fends, files.raw, "-o", project), "'project'"),
        (("project", pairs, "-o", fends), "'fends'"),
        (("normalize", "express", project, "-o", pairs), "'pairs'"),
        ((*query, fends), "'fends'"),
    ):
        assert f"holds {held} and would be replaced" in run(*command, code=1).stderr
    assert {path: path.read_bytes() for path in stores.rglob("*") if path.is_file()} == before
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "notes").touch()
    assert "nothing that is known" in run(*query, tmp_path / "mine.zarr", code=1).stderr
    assert (tmp_path / "mine.zarr" / "notes").exists()
    run(*query, tmp_path / "map.zarr")
    run(*query[:4], 100_000, "-o", tmp_path / "map.zarr")
    attributes = xr.open_zarr(tmp_path / "map.zarr", consolidated=False).attrs
    assert (attributes["type"], attributes["binsize"]) == ("heatmap", 100_000)


def test_sigterm__removes_temporary_files(
    stores: Path, files: testing.ToyFiles, tmp_path: Path
) -> None:
    program = """if True:
        import os, signal
        from hifive_dask.cli import main
        from hifive_dask.reads import pipeline

        def stop(*_, **__):
            print(*os.listdir("."), flush=True)
            os.kill(os.getpid(), signal.SIGTERM)

        pipeline._shuffle = stop  # called when there is a directory for temporary files
        main()
    """
    arguments = ("pairs", stores / "fends.zarr", files.raw, "-o", "pairs.zarr")
    result = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 143
    assert ".reads-" in result.stdout
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_sigterm__has_its_handler_back_after_a_command(stores: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    run("info", stores / "fends.zarr")
    assert signal.getsignal(signal.SIGTERM) is before


def test_interrupt__says_so_and_exits_130(
    files: testing.ToyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(Fend, "load_fends", interrupt)
    try:
        result = run("fends", "--sites", files.sites, "-o", tmp_path / "fends.zarr", code=130)
        signal.raise_signal(signal.SIGINT)  # a second one would disturb the cleaning up
    finally:
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, before if signum == signal.SIGINT else signal.SIG_DFL)
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
    assert "load files of one format at a time" in mixed.stderr


def test_pairs__options_reach_the_class(files: testing.ToyFiles, tmp_path: Path) -> None:
    fends = tmp_path / "fends.fends"
    run("fends", "--sites", files.sites, "-o", fends)
    out = tmp_path / "pairs.hcd"
    options = ("--maxinsert", "none", "--dedup", "none", "--base", 0, "--format", "raw")
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


def test_query__text_has_whole_numbers_in_full() -> None:
    observed = np.array([[257_000_000_001, 9_007_199_254_740_993], [0, 3]])
    axes = ((k, {"chromosome": ["a", "b"], "start": [0, 0], "stop": [9, 9]}) for k in (1, 2))
    coords = {f"{n}{k}": (f"bin{k}", values) for k, axis in axes for n, values in axis.items()}
    cells = {"observed": observed, "expected": observed / 3e6, "enrichment": observed * 0 + 3e6}
    maps = xr.Dataset({name: (("bin1", "bin2"), v) for name, v in cells.items()}, coords)
    lines = "".join(query._text(maps, upper=True)).splitlines()
    assert [line.split("\t")[6:] for line in lines[1:]] == [
        ["257000000001", "85666.7", "3000000"],
        ["9007199254740993", "3.0024e+09", "3000000"],
        ["3", "1e-06", "3000000"],
    ]


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


@pytest.mark.parametrize("regions", [("chr1", "all"), ("all", "chr1"), ("all", "all")])
def test_query__of_all_takes_no_second_region(stores: Path, regions: tuple[str, str]) -> None:
    assert "stands alone" in run("query", stores / "project.zarr", *regions, code=2).stderr


def test_project__says_how_few_distance_bins_it_takes(stores: Path, tmp_path: Path) -> None:
    options = ("--numbins", 2, "-o", tmp_path / "project.zarr")
    assert "x>=3" in run("project", stores / "pairs.zarr", *options, code=2).stderr
    assert "the longest distance" in run("project", "--help").output


@pytest.mark.parametrize("region", [(), ("chr1",), ("chr1:0-200k", "chr2")])
def test_plot__draws_regions(stores: Path, tmp_path: Path, region: tuple[str, ...]) -> None:
    out = tmp_path / "map.png"
    result = run("plot", stores / "project.zarr", *region, "--binsize", 20_000, "-o", out)
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "bins of 20,000 bp" in result.output


@pytest.mark.parametrize(
    ("options", "title"),
    [
        (("--datatype", "fend"), "chr1, corrected reads, 20 kb bins"),
        (("--datatype", "fend", "--variable", "observed"), "chr1, observed reads, 20 kb bins"),
        ((), "chr1, observed over expected, 20 kb bins"),
        (("--title", "own"), "own"),
    ],
)
def test_plot__says_what_it_draws(
    stores: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    title: str,
) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(
        "hifive_dask.plot.save", lambda figure, *_, **__: drawn.append(title_of(figure))
    )
    arguments = ("plot", stores / "project.zarr", "chr1", "--binsize", 20_000)
    result = run(*arguments, *options, "-o", tmp_path / "map.png")
    assert drawn == [title]
    if "own" not in options:
        assert f"{title.split(', ')[1]} of chr1, bins of 20,000 bp" in result.output


def title_of(figure: Figure) -> str:
    return figure.axes[0].get_title("left")


def test_pictures_of_run__say_what_they_show(
    stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: dict[str, str] = {}
    monkeypatch.setattr(
        "hifive_dask.plot.save",
        lambda figure, path, **_: titles.update({Path(path).name: title_of(figure)}),
    )
    hic = HiC(stores / "project.zarr", "r", silent=True)
    captions = draw_project(hic, tmp_path, ["chr2"], 20_000)
    monkeypatch.setattr("hifive_dask.heatmap.sizes.MOST_DRAWN", 2)
    assert captions.keys() - draw_project(hic, tmp_path, ["chr2"], 20_000) == {
        "genome_corrected.png"
    }
    assert titles.keys() == captions.keys()
    assert titles["genome_corrected.png"] == "whole genome, corrected reads, 10 kb bins"
    assert titles["chr2_observed.png"] == "chr2, observed reads, 20 kb bins"
    assert titles["chr2_enrichment.png"] == "chr2, observed over expected, 20 kb bins"
    assert [name for name, title in titles.items() if not title] == ["reads.png"]
    assert not any("unit" in text for text in (*titles.values(), *captions.values()))


def test_plot__triangle_and_colours(
    stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "map.svg"
    arguments = ("plot", stores / "project.zarr", "chr1", "--binsize", 20_000, "--triangle")
    run(*arguments, "--maxdistance", 200_000, "--title", "near", "--vmax", 2, "-o", out)
    assert out.exists()
    with monkeypatch.context() as patch:
        patch.setattr("hifive_dask.cli.plot.open_map", lambda *_: 1 / 0)
        result = run(*arguments, "--cmap", "reddish", "-o", out, code=1)
        assert "no colour map 'reddish'" in result.stderr
        result = run(*arguments, "--vmin", 3, "--vmax", 2, "-o", out, code=1)
        assert "vmin must be below vmax" in result.stderr
        result = run(*arguments, "-o", tmp_path / "none" / "map.png", code=1)
        assert "does not exist; make it first" in result.stderr
        (tmp_path / "folder.png").mkdir()
        result = run(*arguments, "-o", tmp_path / "folder.png", code=1)
        assert "is a directory" in result.stderr
    trans = ("plot", stores / "project.zarr", "chr1", "chr2", "--triangle", "-o", out)
    assert "map of one region with itself" in run(*trans, code=1).stderr


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


def test_info__as_json_has_the_keys_that_are_documented(stores: Path) -> None:
    text = (Path(__file__).parents[1] / "docs" / "statistics.md").read_text()
    facts = {
        kind: json.loads(run("info", stores / f"{kind}.zarr", "--json").stdout)
        for kind in ("fends", "pairs", "project")
    }
    for kind, found in facts.items():
        assert found["type"] == kind
        assert [key for key in found if f"`{key}`" not in text] == []
        assert found["history"][0]["call"] == "Fend.load_fends"
    names = [chromosome["name"] for chromosome in facts["fends"]["chromosomes"]]
    assert names == ["chr1", "chr2", "chr3"]
    assert facts["fends"]["fends"] == sum(c["fends"] for c in facts["fends"]["chromosomes"])
    data = HiCData(stores / "pairs.zarr")
    assert facts["pairs"]["statistics"] == data.stats
    assert facts["pairs"]["distance_classes"] == {"short": 20_000, **data.distance_classes()}
    assert facts["pairs"]["partition"]["token"] == facts["fends"]["token"]
    assert facts["project"]["pairs"]["statistics"] == data.stats
    assert facts["project"]["normalization"] == "express"
    short = json.loads(run("info", stores / "pairs.zarr", "--json", "--short", 5).stdout)
    assert short["distance_classes"]["cis_short_reads"] == 0


def test_stats__shows_reads_of_stores_and_draws_them(stores: Path, tmp_path: Path) -> None:
    shutil.copytree(stores, tmp_path / "other")
    one, two = stores / "pairs.zarr", tmp_path / "other" / "pairs.zarr"
    alone = run("stats", one, "--short", 5000).output
    assert "cis below 5 kb" in alone
    assert "of valid" in alone
    out = tmp_path / "reads.png"
    both = run("stats", one, two, "-o", out).output
    # The names alone are the same.
    common = os.path.commonpath([one, two])
    for path in (one, two):
        assert f"\n{path.relative_to(common)}\n" in f"\n{both}"
    assert "was given more than once" in run("stats", one, two, one, code=2).stderr
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "suffix" in run("stats", one, "-o", tmp_path / "reads.gif", code=2).stderr
    assert "hifive-dask pairs" in run("stats", tmp_path / "none.zarr", code=2).stderr


def test_info__says_what_is_wrong(stores: Path, tmp_path: Path) -> None:
    assert "does not exist" in run("info", tmp_path / "none.zarr", code=2).stderr
    (tmp_path / "empty.zarr").mkdir()
    assert "nothing that is known" in run("info", tmp_path / "empty.zarr", code=1).stderr
    (tmp_path / "broken.hcd").write_text("not HDF5")
    assert "cannot be read as HDF5" in run("info", tmp_path / "broken.hcd", code=1).stderr
    run("query", stores / "project.zarr", "chr1", "-o", tmp_path / "map.zarr")
    for name in ("fends", "pairs", "project"):
        copy = shutil.copytree(stores / f"{name}.zarr", tmp_path / f"{name}.zarr")
        zarr.open_group(copy, mode="r+").attrs["complete"] = False
        assert "not written to the end" in run("info", copy, code=1).stderr
        zarr.open_group(copy, mode="r+").attrs["version"] = 99
        assert "layout version 99 is newer" in run("info", copy, code=1).stderr
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
        steps = ("fends", "pairs", "project", "pictures", "report")
        found = [line.split(": ", 1) for line in lines if line.split(": ")[0] in steps]
        return {name: state for name, state in found if state in ("done", "already done")}

    new, old = "done", "already done"
    options = ("--minsize", 2000, "--minchange", 0.01)
    all_new = dict.fromkeys(("fends", "pairs", "project", "pictures", "report"), new)
    assert states(*options) == all_new
    stores = ("fends.zarr", "pairs.zarr", "project.zarr")
    for name in (*stores, "summary.md", "report.html", "report.json", "run.json"):
        assert (out / name).exists()
    assert len(list((out / "pictures").glob("*.png"))) >= 5
    assert set(states(*options).values()) == {old}
    changed = states("--minsize", 2000, "--minchange", 0.02)
    assert changed == {**all_new, "fends": old, "pairs": old}
    region = (*options[:2], "--minchange", 0.02, "--region", "chr2:0-100k")
    assert states(*region) == {**dict.fromkeys(all_new, old), "pictures": new, "report": new}
    (out / "report.html").unlink()
    assert states(*region) == {**dict.fromkeys(all_new, old), "report": new}
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


def test_run__names_the_genome_as_it_is_now(files: testing.ToyFiles, tmp_path: Path) -> None:
    base = ("run", "--sites", files.sites, "--reads", files.raw, "--minsize", 2000)
    options = ("--minchange", 0.05, "--out", tmp_path / "out", "--genome")
    numbers = tmp_path / "out" / "report.json"
    run(*base, *options, "first1")
    assert json.loads(numbers.read_text())["project"]["genome"] == "first1"
    output = run(*base, *options, "other2").output
    assert json.loads(numbers.read_text())["project"]["genome"] == "other2"
    # No border of a fend moved, so all that was counted and learned holds.
    assert "project: already done" in output
    assert "pictures: done" in output


def test_run__goes_on_after_a_step_that_failed(
    files: testing.ToyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = ("run", "--sites", files.sites, "--reads", files.raw, "--minsize", 2000)
    options = ("--minchange", 0.05, "--out", tmp_path / "out")
    with monkeypatch.context() as patch:

        def interrupt(*_: object, **__: object) -> None:
            raise SystemExit(130)

        patch.setattr(HiC, "find_probability_fend_corrections", interrupt)
        run(*base, *options, code=130)
    assert set(json.loads((tmp_path / "out" / "run.json").read_text())["steps"]) == {
        "fends",
        "pairs",
    }
    output = run(*base, *options).output
    assert "pairs: already done" in output
    assert "project: done" in output


def test_run__leaves_the_pictures_of_its_regions_and_those_of_the_user(
    files: testing.ToyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    base = ("run", "--sites", files.sites, "--reads", files.raw, "--minsize", 2000, "--out", out)
    options = (*base, "--minchange", 0.05, "--region")

    def pictures() -> set[str]:
        return {path.name for path in (out / "pictures").iterdir()}

    run(*options, "chr1")
    first = pictures()
    assert {"genome_corrected.png", "chr1_observed.png", "chr1_enrichment.png"} < first
    (out / "pictures" / "mine.png").touch()
    summary = (out / "summary.md").read_text()
    with monkeypatch.context() as patch:
        # A run that fails while it draws changes no picture.
        patch.setattr("hifive_dask.plot.trace", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(*options, "chr2")
    assert pictures() == {*first, "mine.png"}
    assert (out / "summary.md").read_text() == summary
    run(*options, "chr2", "--restart")
    second = {name.replace("chr1", "chr2") for name in first}
    assert pictures() == {*second, "mine.png"}
    assert "chr1_" not in (out / "summary.md").read_text()
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("region", ["chrZ:1-2000", "chr1:900M-901M", "chr1:1000"])
def test_run__checks_regions_before_it_counts(
    files: testing.ToyFiles, tmp_path: Path, region: str
) -> None:
    base = ("run", "--sites", files.sites, "--reads", files.raw, "--out", tmp_path / "out")
    result = run(*base, "--region", "all", "--region", region, code=1)
    assert f"--region {region}: " in result.stderr
    assert "fends: done" in result.stdout
    assert not (tmp_path / "out" / "pairs.zarr").exists()


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
    assert f"Report:   {out / 'report.html'} (16 good, " in output
    assert list((out / "pictures").glob("*.png"))
    again = run("demo", "--preset", "toy", "--out", out).output
    assert "simulation: already done" in again
    assert "pictures: already done" in again


# mrh


def test_mrh__is_written_and_read(stores: Path, tmp_path: Path) -> None:
    path = tmp_path / "map.mrh"
    sizes = ("--maxbinsize", 40_000, "--minbinsize", 10_000)
    done = run("mrh", "write", stores / "project.zarr", *sizes, "--chrom", "chr1", "-o", path)
    assert "scores" in done.stdout
    whole = run("mrh", "read", path).stdout.splitlines()
    assert [line.split("\t")[0] for line in whole] == ["chrom1", "1"]
    text = run("mrh", "read", path, "chr1").stdout
    assert text.startswith("chr1\tstart1\tend1\tchr2\tstart2\tend2\tscore\n1\t")
    run("mrh", "read", path, "chr1", "-o", tmp_path / "map.txt")
    assert (tmp_path / "map.txt").read_text() == text
    large = run("mrh", "read", path, "chr1:0-100k", "--minbinsize", 40_000).stdout.splitlines()
    ends = [list(map(int, line.split("\t")[1:3])) for line in large[1:]]
    assert {stop - start for start, stop in ends} == {40_000}


def test_mrh__is_drawn(stores: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "map.mrh", tmp_path / "map.png"
    sizes = ("--maxbinsize", 80_000, "--minbinsize", 10_000)
    run("mrh", "write", stores / "project.zarr", *sizes, "-o", path)
    assert "squares of 10,000 bp and larger" in run("mrh", "plot", path, "chr1", "-o", out).output
    result = run("mrh", "plot", path, "chr1", "2", "--minbinsize", 40_000, "-o", out)
    assert "squares of 40,000 bp" in result.output
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "unknown chromosome 'chr9'" in run("mrh", "plot", path, "chr9", "-o", out, code=1).stderr


def test_mrh__of_options_that_do_not_fit_is_an_error(stores: Path, tmp_path: Path) -> None:
    project, path = stores / "project.zarr", tmp_path / "map.mrh"
    wrong = ("--maxbinsize", 30_000, "--minbinsize", 10_000, "-o", path)
    assert "power of two" in run("mrh", "write", project, *wrong, code=1).stderr
    assert "is an input" in run("mrh", "write", project, "-o", project, code=2).stderr
    small = ("--no-trans", "--maxbinsize", 40_000, "--keep-names", "--chrom", "chr2", "-o", path)
    run("mrh", "write", project, *small)
    assert "unknown chromosome 'chr1'" in run("mrh", "read", path, "chr1", code=1).stderr
    assert "is an input" in run("mrh", "read", path, "chr2", "-o", path, code=2).stderr
    assert run("-q", "mrh", "read", path, "2").stdout.splitlines()[1].startswith("chr2\t")


# heatmap


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("x.hch", (), "format hdf5, datatype enrichment, "),
        ("x.mcool", (), "format mcool, datatype fend, "),
        ("x.npz", ("--dynamic", "--no-trans", "--datatype", "raw"), "format npz, datatype raw, "),
        ("x", ("--format", "txt", "--chrom", "chr2"), "format txt, datatype enrichment."),
    ],
)
def test_heatmap__writes_what_the_class_does(
    stores: Path, tmp_path: Path, name: str, options: tuple[str, ...], said: str
) -> None:
    project, out = stores / "project.zarr", tmp_path / name
    done = run("heatmap", project, "-o", out, "--binsize", 50_000, *options)
    assert f"{out}: {said}" in done.stdout
    assert len(list(tmp_path.iterdir())) == (3 if name == "x" else 1)
    if name == "x.npz":
        HiC(project, silent=True).write_heatmap(
            tmp_path / "y.npz", 50_000, includetrans=False, datatype="raw",
            dynamically_binned=True, minobservations=20, expansion_binsize=10_000,
        )  # fmt: skip
        assert out.read_bytes() == (tmp_path / "y.npz").read_bytes()


def test_heatmap__of_options_that_do_not_fit_is_an_error(stores: Path, tmp_path: Path) -> None:
    project, out = stores / "project.zarr", tmp_path / "x.mcool"
    command = ("heatmap", project, "-o")
    assert "is an input" in run(*command, project, "--binsize", 1, code=2).stderr
    assert "'kb' is not a number of bp" in run(*command, out, "--binsize", "10,kb", code=2).stderr
    assert "10kb or 10000" in run(*command, out, "--binsize", "10,000", code=2).stderr
    wrong = ("--binsize", 1000, "--searchdistance", 5)
    assert "--searchdistance goes with --dynamic" in run(*command, out, *wrong, code=2).stderr
    wrong = ("--binsize", 1000, "--datatype", "distance")
    assert "cannot hold datatype 'distance'" in run(*command, out, *wrong, code=1).stderr
    assert "suffix '.doc'" in run(*command, tmp_path / "x.doc", "--binsize", 9, code=1).stderr
    assert not list(tmp_path.iterdir())
    run(*command, out, "--binsize", "20000,50000")


# model


def test_model__is_written_and_drawn(stores: Path, tmp_path: Path) -> None:
    command = ("model", stores / "project.zarr", "chr1", "--binsize", 20_000, "-o")
    done = run(*command, tmp_path / "x.tsv")
    lines = (tmp_path / "x.tsv").read_text().splitlines()
    assert f"x.tsv: {len(lines) - 1} bins." in done.stdout
    assert lines[0].split("\t") == ["chromosome", "mid", "x", "y", "z"]
    found = HiC(stores / "project.zarr", silent=True).learn_fend_3D_model("chr1", binsize=20_000)
    values = np.array([line.split("\t")[1:] for line in lines[1:]], dtype=float)
    np.testing.assert_allclose(values, found[:, [3, 0, 1, 2]], rtol=1e-5, atol=1e-6)
    run(*command, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    assert "must be one of .tsv" in run(*command, tmp_path / "x.doc", code=2).stderr
    assert "is an input" in run(*command, stores / "project.zarr", code=2).stderr
