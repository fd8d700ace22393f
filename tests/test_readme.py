"""The README says what is so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hifive_dask.cli import main

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text()


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which all `hifive-dask` lines of the README were run, in order."""
    path = tmp_path_factory.mktemp("readme")
    lines = [line for text in snippets("bash") for line in text.splitlines()]
    before = Path.cwd()
    os.chdir(path)
    try:
        for line in lines:
            words = line.split(" > ")[0].split()
            if words and words[0] == "hifive-dask":
                result = CliRunner().invoke(main, words[1:], catch_exceptions=False)
                assert result.exit_code == 0, f"{line}\n{result.output}"
    finally:
        os.chdir(before)
    return path


def test_commands__make_what_the_text_says(folder: Path) -> None:
    for name in ("fends.zarr", "pairs.zarr", "project.zarr", "chr1.png"):
        assert (folder / name).exists()
    for name in (
        "fends.zarr",
        "pairs.zarr",
        "project.zarr",
        "pictures",
        "summary.md",
        "report.html",
    ):
        assert (folder / "results" / name).exists()


def test_python__runs_as_it_stands(folder: Path) -> None:
    for code in snippets("python"):
        result = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stderr
        assert 0 < float(result.stdout) < 10


def test_make__has_the_targets_that_the_text_names() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test"):
        assert f"make {target}" in TEXT
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


def test_links__lead_to_files() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", TEXT)
    # The picture is made from the demo; all others are pages.
    missing = [link for link in links if link.endswith(".md") and not (ROOT / link).exists()]
    assert links
    assert missing == []


def test_ci__is_executable_and_runs_the_targets() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text()
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
    assert "make test" in text
