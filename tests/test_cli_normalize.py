"""The command line: every normalization, its options, and what it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hifive_dask import HiC, testing
from tests.commands import run_in_one_thread as run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a filtered project."""
    folder = tmp_path_factory.mktemp("normalize")
    files = testing.toy_files(folder)
    run("fends", "--sites", files.sites, "-o", folder / "fends.zarr")
    run("pairs", folder / "fends.zarr", files.raw, "-o", folder / "pairs.zarr")
    options = ("--minsize", 2000, "--numbins", 20, "--mininteractions", 5)
    run("project", folder / "pairs.zarr", *options, "-o", folder / "project.zarr")
    return folder


BINS = ("--features", "len,distance", "--num-bins", "3,5", "--types", "even,fixed-const")
CASES = {
    "express": ("express", (), "express"),
    "express accelerated": ("express", ("--accelerate",), "express"),
    "express of trans reads": ("express", ("--usereads", "trans"), "express"),
    "express with all options": (
        "express",
        ("--keep-distance", "--binary", "--chrom", "chr1", "--maxdistance", 200_000),
        "express",
    ),
    "kr": ("kr", (), "express"),
    "poisson": ("poisson", (), "probability"),
    "poisson with all options": (
        "poisson",
        ("--chrom", "chr1", "--maxdistance", 200_000, "--no-precalculate", "--minchange", 0.001),
        "probability",
    ),
    "poisson of corrections alone": (
        "poisson",
        ("--no-refit-distance", "--learningstep", 0.4, "--no-calibrate"),
        "probability",
    ),
    "binomial": ("binomial", ("--usereads", "cis"), "probability"),
    "binning": ("binning", (*BINS, "--pseudocounts", 1), "binning"),
    "binning-express": ("binning-express", BINS, "binning-express"),
    "binning-poisson": ("binning-poisson", BINS, "binning-probability"),
    "binning-binomial": ("binning-binomial", BINS, "binning-probability"),
}
NAMES = {
    "express": "Express",
    "express accelerated": "Express, accelerated",
    "kr": "Knight-Ruiz",
    "poisson": "joint Poisson",
    "poisson of corrections alone": "Poisson",
    "binomial": "Binomial",
    "binning": "Binning",
    "binning-express": "Binning, then Express",
    "binning-poisson": "Binning, then Poisson",
    "binning-binomial": "Binning, then Binomial",
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_normalize__learns_saves_and_says_so(prepared: Path, tmp_path: Path, case: str) -> None:
    method, options, normalization = CASES[case]
    out, before = prepared / "out.zarr", HiC(prepared / "project.zarr")
    result = run("normalize", method, prepared / "project.zarr", *options, "-o", out)
    hic = HiC(out)
    assert hic.normalization == normalization
    assert hic.method == NAMES.get(case, NAMES[method])
    assert result.output.splitlines()[-2].startswith(f"{hic.method}: converged after ")
    assert hic.trace is not None
    assert (hic.binning_corrections is None) == (not normalization.startswith("binning"))
    assert hic.calibrated == ("--no-calibrate" not in options)
    if normalization != "binning":
        assert hic.corrections is not None
        assert np.isfinite(hic.corrections).all()
    assert HiC(prepared / "project.zarr").history == before.history
    left = {path.name for path in prepared.iterdir() if "checkpoint" in path.name}
    assert not left
    told = run("info", out).output.split()
    assert normalization in told
    assert told[told.index("converged") + 1] == "yes"
    assert int(told[told.index("iterations") + 1].replace(",", "")) == hic.iterations
    shutil.rmtree(out)


@pytest.mark.parametrize("method", ["express", "kr", "binning", "binomial"])
def test_normalize__calibrates_levels_unless_it_shall_not(
    prepared: Path, tmp_path: Path, method: str
) -> None:
    options = BINS if method == "binning" else ("--minchange", 0.001)
    found = {}
    for name, more in (("on", ()), ("off", ("--no-calibrate",))):
        out = tmp_path / f"{name}.zarr"
        result = run("normalize", method, prepared / "project.zarr", *options, *more, "-o", out)
        found[name] = hic = HiC(out)
        assert hic.calibrated == (name == "on")
        assert hic.observed_reads is not None
        assert hic.expected_reads is not None
        if name == "on":
            np.testing.assert_allclose(hic.expected_reads, hic.observed_reads, rtol=1e-5)
            assert "observed over expected reads are" not in result.stderr
    if method != "binning":
        np.testing.assert_array_equal(found["on"].corrections, found["off"].corrections)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("binning", "--num-bins", "3,x"), 2, "'3,x' is no list of whole numbers, such as 20,20"),
        (
            ("binning", "--features", "len,oops", "--num-bins", "3,3", "--types", "even,even"),
            1,
            "oops",
        ),
        (("express", "--chrom", "chr9"), 1, "chr9"),
        (("poisson", "--no-refit-distance", "--learningstep", "2"), 1, "learningstep is 2"),
        (("poisson", "--learningstep", "0.4"), 2, "--learningstep goes with --no-refit-distance"),
        (("poisson", "--no-calibrate"), 2, "--no-calibrate goes with --no-refit-distance"),
        (
            ("binomial", "--no-refit-distance"),
            2,
            "binomial has no --no-refit-distance, an option of poisson; leave it out",
        ),
        (("express", "--max-iterations", "5"), 1, "iterations is 100"),
        (("poisson", "--usereads", "all"), 2, "poisson learns from cis reads, and expects of"),
        (
            ("poisson", "--iterations", "5"),
            2,
            "poisson has no --iterations, an option of express and binning-express; it goes on "
            "until it has converged, at most --max-iterations times",
        ),
        (
            ("kr", "--num-bins", "5"),
            2,
            "kr has no --num-bins, an option of binning, binning-express, binning-poisson and "
            "binning-binomial; leave it out, or choose such a method",
        ),
        (("binning", "--max-iterations", "5"), 2, "binning-binomial; give --sweeps"),
        (("probability",), 2, "there is no command 'probability'"),
    ],
)
def test_errors__leave_the_project_as_it_was(
    prepared: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    project = prepared / "project.zarr"
    method, *options = arguments
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*")}
    result = run("normalize", method, project, *options, code=code)
    assert message in " ".join(result.stderr.split())
    assert {path: path.stat().st_mtime_ns for path in project.rglob("*")} == before


@pytest.mark.parametrize(
    ("method", "policy", "outcome"),
    [
        ("express", None, "warn"),
        ("express", "error", "error"),
        ("kr", None, "error"),
        ("kr", "warn", "warn"),
        ("kr", "ignore", "ignore"),
    ],
)
def test_nonconvergence__is_a_warning_an_error_or_nothing(
    prepared: Path, tmp_path: Path, method: str, policy: str | None, outcome: str
) -> None:
    short = ["--max-iterations", 2, *(["--iterations", 2] if method == "express" else [])]
    if policy is not None:
        short += ["--on-nonconvergence", policy]
    out, failed = tmp_path / "short.zarr", outcome == "error"
    project = prepared / "project.zarr"
    result = run("normalize", method, project, *short, "-o", out, code=int(failed))
    assert ("not converged after 2 iterations" in result.stderr) == (outcome != "ignore")
    assert out.exists() != failed
    assert not list(tmp_path.glob("*checkpoint*"))
    if not failed:
        name = {"express": "Express", "kr": "Knight-Ruiz"}[method]
        assert f"{name}: not converged after 2 iterations" in result.stdout
        assert HiC(out).normalization == "express"


# The same methods in `run`


def test_run__of_another_method_does_again_what_follows_from_it(
    prepared: Path, tmp_path: Path, no_drawing: None
) -> None:
    base = ("run", "--sites", prepared / "sites.bed", "--reads", prepared / "reads.raw")
    options = (*base, "--minsize", 2000, "--mininteractions", 5, "-o", tmp_path)

    def states(*more: object) -> tuple[dict[str, str], str]:
        found = json.loads(run(*options, *more, "--json").stdout)
        return found["steps"], found["project"]["method"]

    new, old = "done", "already done"
    learned = {"project": new, "pictures": new, "report": new}
    assert states() == ({"fends": new, "pairs": new, **learned}, "joint Poisson")
    kept = {"fends": old, "pairs": old}
    again = {**kept, **dict.fromkeys(learned, old)}
    assert states("--method", "poisson") == (again, "joint Poisson")
    accelerated = ("--method", "express", "--accelerate", "--minchange", 0.01)
    assert states(*accelerated) == ({**kept, **learned}, "Express, accelerated")
    plan = json.loads(run(*options, "--method", "binning", *BINS, "--dry-run", "--json").stdout)
    steps = {step["name"]: step for step in plan["steps"]}
    assert [name for name, step in steps.items() if step["done"]] == ["fends", "pairs"]
    assert steps["project"]["rounds"] == 10
    assert states("--method", "binning", *BINS) == ({**kept, **learned}, "Binning")
    assert HiC(tmp_path / "project.zarr").model_parameters is not None
    told = run(*options, "--method", "binning", *BINS).stdout
    assert "fends in use; Binning: converged after " in told
    assert "; observed over expected 1.000 (1.000 to 1.000 by chromosome)." in told
    assert "Binning: converged after " in (tmp_path / "summary.md").read_text()
    assert not list(tmp_path.glob("*checkpoint*"))


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (
            ("--accelerate",),
            2,
            "poisson has no --accelerate, an option of express and binning-express; leave it out, "
            "or choose such a method",
        ),
        (("--method", "kr", "--iterations", 5), 2, "kr has no --iterations"),
        (("--method", "binning", "--minchange", 1), 2, "give --learning-threshold"),
        (("--usereads", "trans"), 2, "learn from trans reads by express, kr, ice or binning"),
        (("--method", "binning", "--num-bins", 9), 2, "--num-bins has 1, --types has 3; give one"),
        (
            ("--method", "binning-poisson", "--features", "gd,len,distance"),
            1,
            "--features has an unknown feature 'gd'; known are: len, distance, gc, mappability",
        ),
        (("--binned", "10kb", "--method", "binning"), 1, "and this genome is in bins"),
    ],
)
def test_run__refuses_options_of_other_methods_before_it_counts(
    prepared: Path, tmp_path: Path, options: tuple[object, ...], code: int, message: str
) -> None:
    base = ("run", "--sites", prepared / "sites.bed", "--reads", prepared / "reads.raw")
    result = run(*base, *options, "-o", tmp_path / "out", code=code)
    assert message in " ".join(result.stderr.split())
    assert (tmp_path / "out").exists() == (code == 1)
    assert not (tmp_path / "out" / "pairs.zarr").exists()
