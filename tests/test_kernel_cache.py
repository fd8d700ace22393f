"""Where compiled kernels are kept if neither the package nor the home directory can be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
PACKAGE = Path(__file__).resolve().parents[1] / "hifive_dask"
KERNEL = """
from hifive_dask._kernels.jit import jit

@jit
def twice(x):
    return 2 * x

@jit
def thrice(x):
    return 3 * x

assert (twice(4), thrice(4)) == (8, 12)
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run Python on a copy of the package that numba cannot write to, not even as root."""
    copy = tmp_path / "copy"
    shutil.copytree(PACKAGE, copy / "hifive_dask", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "hifive_dask" / "_kernels" / "__pycache__").touch()  # a file, where a directory goes
    script = copy / "script.py"
    script.write_text(KERNEL)
    (copy / "__pycache__").touch()
    (tmp_path / "tmp").mkdir()

    def run(*arguments: object, **variables: object) -> subprocess.CompletedProcess[str]:
        given = {"HOME": "/dev/null", "TMPDIR": tmp_path / "tmp", "PYTHONPATH": copy, **variables}
        keep = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH") if key in os.environ}
        return subprocess.run(
            [sys.executable, *map(str, arguments or (script,))],
            env=keep | {key: str(value) for key, value in given.items()},
            capture_output=True,
            text=True,
            cwd=copy,
        )

    return run


def kept(folder: Path) -> list[str]:
    """Functions whose machine code lies in a directory."""
    return sorted(path.name.split("-")[0] for path in folder.rglob("*.nbi"))


def test_kernels__go_to_a_private_temporary_directory(run: Run, tmp_path: Path) -> None:
    done = run()
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "tmp").glob("hifive-dask-*")
    assert f"they are kept in {folder}" in done.stderr
    assert done.stderr.count("Set NUMBA_CACHE_DIR") == 1
    assert kept(folder) == ["script.thrice", "script.twice"]
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("fault", ["writable", "link", "no room"])
def test_kernels__are_not_kept_where_others_can_write(run: Run, tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "tmp" / f"hifive-dask-{os.getuid()}"
    if fault == "writable":
        folder.mkdir()
        folder.chmod(0o777)
    elif fault == "link":
        (tmp_path / "else").mkdir()
        folder.symlink_to(tmp_path / "else")
    else:
        folder.touch()
    done = run()
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("every process compiles them anew") == 1
    assert kept(tmp_path) == []


def test_variable__that_can_be_written_is_used_and_nothing_said(run: Run, tmp_path: Path) -> None:
    done = run(NUMBA_CACHE_DIR=tmp_path / "mine")
    assert (done.returncode, done.stderr) == (0, "")
    assert kept(tmp_path / "mine") == ["script.thrice", "script.twice"]


def test_variable__that_cannot_be_written_is_named(run: Run) -> None:
    done = run(NUMBA_CACHE_DIR="/dev/null/kernels")
    assert done.returncode == 0, done.stderr
    assert "neither /dev/null/kernels (NUMBA_CACHE_DIR), the package's own" in done.stderr


def test_command__works_and_says_once_what_to_set(run: Run, tmp_path: Path) -> None:
    lengths = tmp_path / "chrom.sizes"
    lengths.write_text("chr1\t100000\n")
    out = tmp_path / "bins.zarr"
    command = "-m", "hifive_dask", "-q", "--scheduler", "local", "--workers", 2
    done = run(*command, "fends", "--chrom-sizes", lengths, "--binned", 10_000, "-o", out)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("warning: compiled kernels cannot be kept: neither")
    assert done.stderr.count("warning: ") == done.stderr.count("Set NUMBA_CACHE_DIR") == 1
    assert out.is_dir()
