"""The same bytes on every engine: threads, processes of this machine, and MPI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest
from dask.callbacks import Callback

from hifive_dask import testing
from hifive_dask.cluster import session
from tests import whole_way
from tests.test_mpi import mpirun

ENGINES = [
    pytest.param("threads", 1, None, id="threads-1"),
    pytest.param("threads", 2, None, id="threads-2"),
    pytest.param("local", 1, None, id="local-1"),
    pytest.param("local", 2, None, id="local-2"),
    pytest.param("local", 4, None, id="local-4"),
    pytest.param("local", 2, 2, id="local-2x2"),
    pytest.param("mpi", 3, None, id="mpi-3", marks=pytest.mark.mpi),
    pytest.param("mpi", 4, None, id="mpi-4", marks=pytest.mark.mpi),
]


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return testing.toy_files(tmp_path_factory.mktemp("reads")).raw


@pytest.fixture(scope="module")
def small_tasks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in whole_way.SMALL:
            patch.setattr(module, name, value)
        yield


@pytest.fixture(scope="module")
def tasks() -> list[object]:
    """Keys of the tasks of one thread."""
    return []


@pytest.fixture(scope="module")
def expected(
    reads: Path,
    small_tasks: None,
    tasks: list[object],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, object]:
    """What one thread makes."""
    out = tmp_path_factory.mktemp("sync") / "out"
    with session("sync"), Callback(posttask=lambda key, *_: tasks.append(key)):
        whole_way.walk(reads, out)
    return contents(out)


def contents(folder: Path) -> dict[str, object]:
    """Bytes of all files; of coolers, which hold the date, attributes and arrays."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".cool":
            found[name] = cooler(path)
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def cooler(path: Path) -> dict[str, object]:
    found: dict[str, object] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        attributes = {key: str(value) for key, value in item.attrs.items()}
        values = item[...].tobytes() if isinstance(item, h5py.Dataset) else b""
        found[name] = attributes, values

    with h5py.File(path, "r") as file:
        file.visititems(visit)
        found[""] = {k: str(v) for k, v in file.attrs.items() if k != "creation-date"}
    return found


@pytest.mark.parametrize(("scheduler", "workers", "threads"), ENGINES)
def test_engines__give_the_same_bytes(
    scheduler: str,
    workers: int,
    threads: int | None,
    reads: Path,
    expected: dict[str, object],
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    if scheduler == "mpi":
        done = mpirun(workers, "-m", "tests.whole_way", "mpi", reads, out)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    else:
        with session(scheduler, workers=workers, threads=threads):
            whole_way.walk(reads, out)
    found = contents(out)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []


def test_engines__have_many_tasks_to_do_and_all_kinds_of_results(
    expected: dict[str, object], tasks: list[object]
) -> None:
    assert len(tasks) > 800
    assert {Path(name).parts[0] for name in expected} == {
        *("fends.zarr", "pairs.zarr", "base.zarr", "express.zarr", "all.zarr", "kr.zarr"),
        *("probability.zarr", "binning.zarr", "maps.zarr", "maps.npz", "maps.cool", "maps.mrh"),
    }
