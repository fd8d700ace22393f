"""The command line: what `--dry-run` says, against what is then done."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from dask.callbacks import Callback

from hifive_dask import testing
from hifive_dask.cli import main
from tests.commands import run_in_one_thread


def run(*arguments: object) -> str:
    """Run a command in one thread and return what it says."""
    return run_in_one_thread(*arguments).stdout


class Tasks(Callback):  # type: ignore[misc]
    """Counts tasks by their function, if it is one of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def _posttask(self, key: Any, result: Any, dsk: Any, state: Any, worker: Any) -> None:
        function = getattr(dsk[key], "func", None)
        while hasattr(function, "func"):
            function = function.func
        name = getattr(function, "__name__", "") or type(function).__name__
        self.seen[name] += 1


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> testing.ToyFiles:
    return testing.toy_files(tmp_path_factory.mktemp("plan"))


@pytest.fixture(scope="module")
def stores(files: testing.ToyFiles) -> Path:
    """A directory with a partition, pairs and a normalized project."""
    folder = files.directory
    run("fends", "--sites", files.sites, "-o", folder / "fends.zarr")
    run("pairs", folder / "fends.zarr", files.raw, "-o", folder / "pairs.zarr")
    run("project", folder / "pairs.zarr", "--minsize", "2kb", "-o", folder / "project.zarr")
    run("normalize", "express", folder / "project.zarr", "--minchange", "0.01")
    return folder


def size_of(path: Path) -> int:
    """Bytes of all files of a store, or of those that begin with a name."""
    found = [path] if path.is_dir() else path.parent.glob(f"{path.name}*")
    every = [file for each in found for file in (each.rglob("*") if each.is_dir() else [each])]
    return sum(file.stat().st_size for file in every if file.is_file())


# What is done, the file that is made, the tasks that count, and the least part of the estimates
# that real sizes may be.
CASES: dict[str, tuple[tuple[str, ...], str, tuple[str, ...], float]] = {
    "pairs": (("pairs", "fends.zarr", "reads.raw"), "x.zarr",
              ("read_pairs", "collect", "write_shard"), 0.4),
    "combine": (("combine", "pairs.zarr", "pairs.zarr"), "x.zarr", ("_merge", "write_shard"), 0.4),
    "project": (("project", "pairs.zarr", "--minsize", "2kb"), "x.zarr",
                ("_span_cores", "_observed"), 0.4),
    "express": (("normalize", "express", "project.zarr"), "x.zarr", ("_build_part",), 0.5),
    "express, all": (("normalize", "express", "project.zarr", "--usereads", "all",
                      "--minchange", "0.01"), "x.zarr", ("_build_spans",), 0.5),
    "poisson": (("normalize", "poisson", "project.zarr"), "x.zarr", ("_observe_pieces",), 0.5),
    "poisson, corrections": (("normalize", "poisson", "project.zarr", "--no-refit-distance"),
                             "x.zarr", ("_fit_group",), 0.5),
    "binomial": (("normalize", "binomial", "project.zarr"), "x.zarr", ("_fit_group",), 0.5),
    "zarr": (("heatmap", "project.zarr", "--binsize", "1kb,5kb"), "x.zarr", ("_make_shard",), 0.2),
    "zarr, small": (("heatmap", "project.zarr", "--binsize", "10kb,20kb,100kb"), "x.zarr",
                    ("_make_shard",), 0.5),
    "zarr, cis": (("heatmap", "project.zarr", "--binsize", "2kb", "--no-trans"), "x.zarr",
                  ("_make_shard",), 0.2),
    "hdf5": (("heatmap", "project.zarr", "--binsize", "5kb"), "x.hch", (), 0.8),
    "npz": (("heatmap", "project.zarr", "--binsize", "5kb", "--no-trans"), "x.npz", (), 0.7),
    "txt": (("heatmap", "project.zarr", "--binsize", "5kb", "--format", "txt"), "x", (), 0.8),
    "cool": (("heatmap", "project.zarr", "--binsize", "5kb"), "x.cool", ("_strip",), 0.3),
    "mrh": (("mrh", "write", "project.zarr"), "x.mrh", ("pair_arrays",), 0.15),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CASES))
def test_plan__holds(
    case: str, stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small worlds have few tasks, so tasks are made small.
    monkeypatch.setattr("hifive_dask.model.rows.GROUP", 1000)
    for module in ("cli._plan.MAP_SHARD", "_store.heatmaps.SHARD"):
        monkeypatch.setattr(f"hifive_dask.{module}", 256)
    words, name, functions, least = CASES[case]
    pytest.importorskip("cooler") if name == "x.cool" else None
    command = [stores / word if (stores / word).exists() else word for word in words]
    before = {path: path.stat().st_mtime_ns for path in stores.rglob("*")}
    (step,) = json.loads(run(*command, "-o", tmp_path / name, "--dry-run", "--json"))["steps"]
    assert {path: path.stat().st_mtime_ns for path in stores.rglob("*")} == before
    assert list(tmp_path.iterdir()) == []
    with Tasks() as tasks:
        run(*command, "-o", tmp_path / name)
    if functions:
        assert sum(tasks.seen[function] for function in functions) == step["tasks"]
    assert least * step["size"] <= size_of(tmp_path / name) <= step["size"]
    assert step["memory"] > 0


@pytest.mark.parametrize("name", ["x.zarr", "x.hch"])
def test_memory__is_what_a_task_holds(stores: Path, tmp_path: Path, name: str) -> None:
    command = ("heatmap", stores / "project.zarr", "--binsize", "1kb", "-o", tmp_path / name)
    (step,) = json.loads(run(*command, "--dry-run", "--json"))["steps"]
    run(*command)
    tracemalloc.start()
    try:
        run(*command)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    python = 4_000_000  # objects of the interpreter
    assert 0.4 * step["memory"] <= peak <= step["memory"] + python


def test_run__plans_what_is_not_done_yet(
    files: testing.ToyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hifive_dask.cli._pictures.DPI", 20)
    out = tmp_path / "results"
    base = ("run", "--sites", files.sites, "--reads", files.raw, "--minsize", "2kb", "-o", out)
    options = ("--minchange", "0.05")

    def plan(*more: object) -> dict[str, dict[str, Any]]:
        steps = json.loads(run(*base, *more, "--dry-run", "--json"))["steps"]
        return {step["name"]: step for step in steps}

    first = plan(*options)
    assert list(first) == ["fends", "pairs", "project", "pictures", "report"]
    assert not any(step["done"] for step in first.values())
    assert not out.exists()
    text = run(*base, *options, "--dry-run")
    assert "to do" in text
    assert " done " not in text
    run(*base, *options)
    for name in first:
        path = {"pictures": out / name, "report": out / "report.html"}.get(name)
        least = 0.3 if path is None else 0.01  # coarse here
        path = path or out / f"{name}.zarr"
        assert least * first[name]["size"] <= size_of(path) <= first[name]["size"]
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert all(step["done"] for step in plan(*options).values())
    changed = plan("--minchange", "0.04")
    assert [name for name, step in changed.items() if step["done"]] == ["fends", "pairs"]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_plan__of_many_tasks_and_other_genomes(files: testing.ToyFiles, tmp_path: Path) -> None:
    fasta = tmp_path / "genome.fa"
    fasta.write_text(">chr1\n" + "ACGTTGCAAGCTGATC" * 5000 + "\n")
    reads = ("--reads", files.pairs, "--minsize", "2kb", "-o", tmp_path / "x")
    for genome, units in (
        (("--fasta", fasta, "--enzyme", "HindIII"), 2 * 80_000 / 4**6),
        (("--chrom-sizes", files.lengths, "--binned", "20kb"), 41),
    ):
        steps = json.loads(run("run", *genome, *reads, "--dry-run", "--json"))["steps"]
        assert steps[0]["size"] == pytest.approx(20_000 + 12 * units, abs=50)
        assert steps[1]["size"] > steps[0]["size"]


@pytest.mark.parametrize("packed", [False, True])
def test_plan__of_packed_and_commented_genomes(
    files: testing.ToyFiles, tmp_path: Path, packed: bool
) -> None:
    lengths, sites = tmp_path / "sizes.gz", tmp_path / "sites.gz"
    for path, source in ((lengths, files.lengths), (sites, files.sites)):
        text = f"# of the toy\n{source.read_text()}".encode()
        path.write_bytes(gzip.compress(text) if packed else text)
    reads = ("--reads", files.pairs, "--minsize", "2kb", "-o", tmp_path / "x")
    for genome, units in (
        (("--chrom-sizes", lengths, "--binned", "20kb"), 41),
        (("--sites", sites), 420),
    ):
        step = json.loads(run("run", *genome, *reads, "--dry-run", "--json"))["steps"][0]
        assert 20_000 + 12 * 0.9 * units <= step["size"] <= 20_000 + 12 * 3 * units


def test_plan__refuses_what_fends_refuses(files: testing.ToyFiles, tmp_path: Path) -> None:
    (tmp_path / "sizes").write_text("chr1\n")
    genome = ("--chrom-sizes", tmp_path / "sizes", "--binned", "20kb")
    words = ("run", *genome, "--reads", files.pairs, "-o", tmp_path / "x", "--dry-run")
    result = CliRunner().invoke(main, [*map(str, words)])
    assert result.exit_code == 1
    assert "sizes:1: " in result.stderr


def test_plan__warns_that_it_leaves_out_standard_input(stores: Path, tmp_path: Path) -> None:
    command = ("pairs", stores / "fends.zarr", "-", "--format", "raw", "-o", tmp_path / "x.zarr")
    result = CliRunner().invoke(main, [*map(str, command), "--dry-run", "--json"], input="")
    assert result.exit_code == 0
    assert "the plan leaves them out" in result.stderr
    assert json.loads(result.stdout)["steps"][0]["temporary"] == 0
