"""The command line: every normalization, its options, and what it says."""

from __future__ import annotations

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
    "probability": ("probability", ("--model", "poisson"), "probability"),
    "binning": ("binning", (*BINS, "--pseudocounts", 1), "binning"),
    "binning-express": ("binning-express", BINS, "binning-express"),
    "binning-probability": ("binning-probability", BINS, "binning-probability"),
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_normalize__learns_saves_and_says_so(prepared: Path, tmp_path: Path, case: str) -> None:
    method, options, normalization = CASES[case]
    out, before = prepared / "out.zarr", HiC(prepared / "project.zarr")
    result = run("normalize", method, prepared / "project.zarr", *options, "-o", out)
    assert result.output.splitlines()[-2].startswith(f"{normalization}: converged after ")
    hic = HiC(out)
    assert hic.normalization == normalization
    assert hic.trace is not None
    assert (hic.binning_corrections is None) == (not normalization.startswith("binning"))
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
        (("probability", "--learningstep", "2"), 1, "learningstep is 2"),
        (("express", "--max-iterations", "5"), 1, "iterations is 100"),
    ],
)
def test_errors__leave_the_project_as_it_was(
    prepared: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    project = prepared / "project.zarr"
    method, *options = arguments
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*")}
    result = run("normalize", method, project, *options, code=code)
    assert message in result.stderr
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
        assert "express: not converged after 2 iterations" in result.stdout
        assert HiC(out).normalization == "express"
