"""Sessions."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import dask
import distributed
import pytest
from dask.callbacks import Callback

from hifive_dask import Fend, HiCData, cluster
from hifive_dask.cluster import check_session, session
from hifive_dask.errors import ParameterError, StoreError
from hifive_dask.testing import toy_files


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_session__threads_and_sync_set_the_scheduler_and_put_it_back() -> None:
    before = dask.config.get("scheduler", None)
    with session("threads", workers=2) as client:
        assert client is None
        assert dask.config.get("scheduler") == "threads"
        assert dask.config.get("num_workers") == 2
    with session("sync") as client:
        assert client is None
        assert dask.config.get("scheduler") == "sync"
    assert dask.config.get("scheduler", None) == before


def test_session__of_threads_is_one_also_while_a_client_is_active(
    cluster: Any, tmp_path: Path
) -> None:
    files = toy_files(tmp_path)
    fends = Fend(tmp_path / "fends.zarr", "w", silent=True)
    fends.load_fends(files.sites)
    fends.save()
    keys: list[Any] = []
    with (
        distributed.Client(cluster),
        session("threads"),
        Callback(posttask=lambda key, *_: keys.append(key)),
    ):
        data = HiCData(tmp_path / "pairs.zarr", "w", silent=True)
        data.load_data_from_raw(fends.file, files.raw, 500)
    assert len(keys) > 10


def test_session__local_makes_processes_which_scheduler_files_and_addresses_reach(
    tmp_path: Path,
) -> None:
    level = logging.getLogger("distributed").level
    with session("local", workers=1, memory="500MB") as client:
        address = client.scheduler.address
        (worker,) = client.scheduler_info()["workers"].values()
        assert worker["memory_limit"] == 500_000_000
        assert client.submit(sum, [1, 2]).result() == 3
        (tmp_path / "scheduler.json").write_text(json.dumps({"address": address}))
        for name in (str(tmp_path / "scheduler.json"), address, address.removeprefix("tcp://")):
            with session(name) as other:
                assert other.scheduler.address == address
                assert dask.delayed(sum)([3, 4]).compute() == 7
    with pytest.raises(ValueError, match="No global client found"):
        distributed.get_client()
    assert logging.getLogger("distributed").level == level


def test_session__local_sets_threads_their_variables_and_where_to_spill(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def variables() -> set[str]:
        return {os.environ[name] for name in cluster._THREAD_VARIABLES}

    with (
        caplog.at_level(logging.INFO, "hifive_dask"),
        session("local", workers=1, threads=3, spill=tmp_path) as client,
    ):
        (worker,) = client.scheduler_info()["workers"].values()
        assert worker["nthreads"] == 3
        assert Path(worker["local_directory"]).is_relative_to(tmp_path)
        assert client.submit(variables).result() == {"1"}
        assert caplog.messages == [f"Dashboard: {client.dashboard_link}"]


def test_session__leaves_nothing_behind_for_the_next_one() -> None:
    """Of a program that has not used Dask's clusters before."""
    program = (
        "from hifive_dask.cluster import session\n"
        "if __name__ == '__main__':\n"
        "    for _ in range(2):\n"
        "        with session('local', workers=1) as client:\n"
        "            print(client.submit(sum, [1, 2]).result())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n3\n", "")


def test_session__local_takes_another_port_if_that_of_the_dashboard_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr("hifive_dask.cluster._DASHBOARD", f"127.0.0.1:{port}")
        with session("local", workers=1) as client:
            assert client.scheduler_info()["services"]["dashboard"] != port
    port = free_port()
    monkeypatch.setattr("hifive_dask.cluster._DASHBOARD", f"127.0.0.1:{port}")
    with session("local", workers=1) as client:
        assert client.scheduler_info()["services"]["dashboard"] == port


def test_session__local_prints_nothing_of_errors_that_it_raises(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with session("local", workers=1) as client:
        future = client.submit(divmod, 1, 0)
        with pytest.raises(ZeroDivisionError):
            future.result()
    assert capfd.readouterr().err == ""


def test_session__is_closed_when_the_body_raises() -> None:
    with pytest.raises(RuntimeError, match="mine"), session("sync"):
        raise RuntimeError("mine")
    assert dask.config.get("scheduler", None) != "sync"


@pytest.mark.parametrize(
    ("scheduler", "options", "message"),
    [
        ("cloud", {}, "unknown scheduler 'cloud'; known are"),
        ("node7", {}, "unknown scheduler 'node7'"),
        ("foo://node7:8786", {}, "unknown scheduler 'foo://node7:8786'; known are"),
        ("threads", {"workers": 0}, "at least 1"),
        ("sync", {"workers": 2}, "one thread"),
        ("tcp://10.0.0.1:1", {"workers": 2}, "has the workers it has"),
        ("threads", {"memory": "4GB"}, "goes with the scheduler 'local'"),
        ("local", {"threads": 0}, "threads is 0, expected at least 1"),
        ("threads", {"threads": 2}, "threads goes with the scheduler 'local'"),
        ("mpi", {"spill": "/tmp"}, "spill goes with the scheduler 'local'"),
        ("local", {"memory": "much"}, "expected a size such as '4GB'"),
        ("local", {"memory": 0}, "memory is 0, expected at least 300 MB"),
        ("local", {"memory": "4"}, "memory is '4', expected at least 300 MB"),
    ],
)
def test_session__refuses_what_it_cannot_do(
    scheduler: str, options: dict[str, int | str], message: str
) -> None:
    with pytest.raises(ParameterError, match=message), session(scheduler, **options):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize(
    "scheduler",
    [
        "threads",
        "sync",
        "local",
        "mpi",
        "tcp://10.0.0.5:8786",
        "node-7.cluster:8786",
        "[::1]:8786",
        __file__,
    ],
)
def test_check__accepts_what_session_does(scheduler: str) -> None:
    check_session(scheduler)


def test_check__wants_a_directory_to_spill_to(tmp_path: Path) -> None:
    check_session("local", spill=tmp_path)
    with pytest.raises(StoreError, match="none: not a directory that can be written"):
        check_session("local", spill=tmp_path / "none")


def test_check__takes_no_directory_for_a_scheduler_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match="unknown scheduler 'demo'"):
        check_session("demo")


def test_session__says_what_is_wrong_with_a_scheduler_file(tmp_path: Path) -> None:
    path = tmp_path / "scheduler.json"
    with pytest.raises(StoreError, match="no such scheduler file"), session(str(path)):
        pass
    for text in ("not json", "{}", "[1]"):
        path.write_text(text)
        with pytest.raises(StoreError, match="not a scheduler file"), session(str(path)):
            pass


def test_session__says_that_nobody_answers() -> None:
    before = dask.config.get("scheduler", None)
    address = f"tcp://127.0.0.1:{free_port()}"
    with (
        pytest.raises(StoreError, match="no Dask scheduler answered within"),
        session(address, timeout=0.5),
    ):
        pass
    assert dask.config.get("scheduler", None) == before
    assert dask.delayed(sum)([1, 2]).compute() == 3
