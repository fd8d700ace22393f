"""Workers that are killed, schedulers that are lost, commands that are interrupted."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import dask
import pytest

from hifive_dask import HiCData
from hifive_dask._graph.run import run
from hifive_dask._store import zarr_store
from hifive_dask._store.pairs import create_pairs
from hifive_dask.cluster import session
from hifive_dask.errors import ClusterError
from hifive_dask.provenance import History

from .test_mpi import COMMAND, ENVIRONMENT

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
LONGEST = 100  # seconds, of what takes some: hanging is a failure


@pytest.fixture(scope="module")
def faults() -> Iterator[ModuleType]:
    """The script that kills workers at random; here with fixed seeds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("faults")


@pytest.fixture(scope="module")
def inputs(faults: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    chromosomes = {"chr1": 1_000_000, "chr2": 700_000, "chr3": 400_000}
    return Path(faults.prepare(folder, 80_000, chromosomes))


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with session("local", workers=2) as client:
        yield client


@pytest.mark.parametrize(
    "stage",
    [
        "text", "combine", "express spans", "probability", "lazy map", "store",
    ],
)  # fmt: skip
def test_stage__has_the_same_bytes_if_workers_are_killed(
    faults: ModuleType, inputs: Path, client: Any, stage: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with dask.config.set({"scheduler": "threads", "dataframe.shuffle.method": "disk"}):
        expected = faults.perform(faults.STAGES[stage], inputs, out)
    client.wait_for_workers(2, timeout=LONGEST)
    found = faults.trial(client, faults.STAGES[stage], [2, 9], 1, inputs, out)
    assert found["kills"] >= 1
    assert found["error"] == ""
    assert found["digest"] == expected


def test_loading__loses_no_worker_of_several_threads(
    inputs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each of which would import the modules that tables need, at the same time."""
    with session("local", workers=2, threads=2) as client:
        before = set(client.scheduler_info()["workers"])
        data = HiCData(tmp_path / "pairs.zarr", "w", silent=True)
        data.load_data_from_raw(inputs / "fends.zarr", inputs / "reads.raw", 500)
        assert set(client.scheduler_info()["workers"]) == before
    assert capfd.readouterr().err == ""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_task__that_kills_its_workers_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        importlib.import_module("hifive_dask.cluster")._SETTINGS,
        "distributed.scheduler.allowed-failures",
        1,
    )
    with (
        session("local", workers=1),
        pytest.raises(ClusterError, match=r"workers died 2 times while .* 'die', most often"),
    ):
        run([dask.delayed(die)()], silent=True)


def test_work__without_any_worker_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        importlib.import_module("hifive_dask.cluster")._SETTINGS,
        "distributed.scheduler.no-workers-timeout",
        "1s",
    )
    with session("local", workers=1) as client:
        client.cluster.scale(0)
        with pytest.raises(ClusterError, match="no worker could take a task for 1 s"):
            run([dask.delayed(sum)([1, 2])], silent=True)


def test_store__keeps_nothing_of_what_was_half_written(tmp_path: Path) -> None:
    create_pairs(tmp_path / "pairs.zarr", 10)
    left = tmp_path / "pairs.zarr" / "fend1" / "c" / "0.partial"
    left.parent.mkdir()
    left.write_bytes(b"half")
    group = zarr_store.zarr.open_group(tmp_path / "pairs.zarr", mode="r+")
    zarr_store.complete(group, token="token", history=History())
    assert not left.exists()


# Commands


def environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, **ENVIRONMENT, "PYTHONPATH": path}


@contextmanager
def started(*words: object) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own, as a terminal starts it; the whole group ends at last."""
    process = subprocess.Popen(
        [*map(str, words)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with ExitStack() as stack:
            stack.callback(process.communicate)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def hifive(*words: object) -> tuple[object, ...]:
    return (sys.executable, *COMMAND, *words)


def wait_until(there: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    end = time.monotonic() + LONGEST
    while not there():
        assert time.monotonic() < end, "nothing happened"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.002)


def status_of_processes() -> Iterator[tuple[int, str, int, int]]:
    """Number, state, parent and group of all processes."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it may have ended
            state, parent, group = status.read_text().rpartition(")")[2].split()[:3]
            yield int(status.parent.name), state, int(parent), int(group)


def processes_of(group: int) -> list[int]:
    """Processes of a group that still run."""
    return [pid for pid, state, _, own in status_of_processes() if own == group and state != "Z"]


def children_of(process: int) -> list[int]:
    return [pid for pid, _, parent, _ in status_of_processes() if parent == process]


def files_of(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def reads_command(inputs: Path, out: Path) -> tuple[object, ...]:
    return ("pairs", inputs / "fends.zarr", inputs / "reads.raw", "-o", out / "pairs.zarr")


def heatmap_command(inputs: Path, out: Path) -> tuple[object, ...]:
    return ("heatmap", inputs / "project.zarr", "--binsize", "0.2kb,0.4kb", "-o", out / "maps.zarr")


Command = Callable[[Path, Path], tuple[object, ...]]
COMMANDS: dict[str, tuple[Command, str]] = {
    "pairs": (reads_command, ".reads-*"),
    "heatmap": (heatmap_command, ".maps.zarr.*.unfinished/done/*"),
}
"""Commands, and what is there once they work."""


def run_quietly(command: tuple[object, ...]) -> None:
    subprocess.run(
        [*map(str, command)], env=environment(), check=True, capture_output=True, timeout=LONGEST
    )


def test_stop__does_not_tell_of_what_had_not_begun() -> None:
    script = """
import os, signal, sys, warnings
from hifive_dask.cli._signals import stoppable
async def read(): pass
with stoppable(), warnings.catch_warnings():
    sys.modules["kept until the end"] = read()
    os.kill(os.getpid(), signal.SIGTERM)
"""
    words = [sys.executable, "-c", script]
    result = subprocess.run(words, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert result.returncode == 128 + signal.SIGTERM
    assert result.stderr.count("\n") == 1, result.stderr


@pytest.mark.parametrize(
    ("name", "scheduler", "signum", "times"),
    [
        ("pairs", "local", signal.SIGINT, 3),
        ("pairs", "local", signal.SIGTERM, 1),
        ("heatmap", "threads", signal.SIGINT, 3),
        ("heatmap", "threads", signal.SIGTERM, 3),
    ],
    ids=["local-3-SIGINT", "local-1-SIGTERM", "threads-3-SIGINT", "threads-3-SIGTERM"],
)
def test_signal__to_all_processes_ends_a_command_cleanly(
    inputs: Path, tmp_path: Path, name: str, scheduler: str, signum: signal.Signals, times: int
) -> None:
    command, sign = COMMANDS[name]
    words = hifive("--scheduler", scheduler, "--workers", 2, *command(inputs, tmp_path))
    with started(*words) as process:
        wait_until(lambda: list(tmp_path.glob(sign)), process)
        for _ in range(times):
            os.killpg(process.pid, signum)
            time.sleep(0.05)
        _, errors = process.communicate(timeout=LONGEST)
        assert process.returncode == 128 + signum
        said = [line for line in errors.splitlines() if line and "Dashboard: " not in line]
        assert len(said) == 1, errors
        assert said[0].startswith("interrupted" if signum == signal.SIGINT else "terminated")
        wait_until(lambda: not processes_of(process.pid))
    left = [path.name for path in tmp_path.iterdir() if not path.name.endswith(".unfinished")]
    if scheduler == "local":  # its workers may write a temporary file while these are removed
        left = [name for name in left if not name.startswith(".reads-")]
    assert left == []


@contextmanager
def external_cluster(folder: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A scheduler and two workers as users start them; its file and the scheduler."""
    file = folder / "scheduler.json"
    dask_command = (sys.executable, "-m", "dask")
    with ExitStack() as stack:
        scheduler = stack.enter_context(
            started(*dask_command, "scheduler", "--port", 0, "--dashboard-address", ":0",
                    "--scheduler-file", file)
        )  # fmt: skip
        wait_until(file.exists, scheduler)
        for _ in range(2):
            stack.enter_context(
                started(*dask_command, "worker", "--scheduler-file", file, "--nthreads", 1,
                        "--local-directory", folder, "--dashboard-address", ":0")
            )  # fmt: skip
        yield file, scheduler


@pytest.mark.parametrize("name", list(COMMANDS))
def test_scheduler__that_is_lost_is_an_error_and_the_command_goes_on_later(
    inputs: Path, tmp_path: Path, name: str
) -> None:
    command, sign = COMMANDS[name]
    out, whole, cluster = (tmp_path / each for each in ("out", "whole", "cluster"))
    for folder in (out, whole, cluster):
        folder.mkdir()
    with external_cluster(cluster) as (file, scheduler):
        with started(*hifive("--scheduler", file, *command(inputs, out))) as process:
            wait_until(lambda: list(out.glob(sign)), process)
            scheduler.kill()
            _, errors = process.communicate(timeout=LONGEST)
        assert process.returncode == 1
        assert "error: the connection to the Dask scheduler was lost" in errors
        assert "Traceback" not in errors
    left = [path.name for path in out.iterdir()]
    assert [each for each in left if not each.endswith(".unfinished")] == []
    done = {path.name: path.stat().st_mtime_ns for path in out.glob(COMMANDS["heatmap"][1])}
    assert bool(done) == (name == "heatmap")
    run_quietly(hifive(*command(inputs, out)))
    run_quietly(hifive(*command(inputs, whole)))
    assert files_of(out) == files_of(whole)


@pytest.mark.mpi
def test_mpi__ends_if_a_rank_is_killed_and_the_command_goes_on_later(
    inputs: Path, tmp_path: Path
) -> None:
    mpirun = Path(sys.executable).with_name("mpirun")
    program = mpirun if mpirun.exists() else shutil.which("mpirun")
    out, whole = tmp_path / "out", tmp_path / "whole"
    out.mkdir()
    whole.mkdir()
    command = reads_command(inputs, out)
    with started(program, "-n", 3, *hifive("--scheduler", "mpi", *command)) as process:
        wait_until(lambda: list(out.glob(".reads-*")), process)
        os.kill(max(children_of(process.pid)), signal.SIGKILL)
        process.communicate(timeout=LONGEST)
        assert process.returncode not in (0, None)
    assert not (out / "pairs.zarr").exists()
    run_quietly(hifive(*command))
    run_quietly(hifive(*reads_command(inputs, whole)))
    assert files_of(out / "pairs.zarr") == files_of(whole / "pairs.zarr")
