"""Sessions over MPI, started by mpirun as users do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hifive_dask import HiC, testing
from hifive_dask.cluster import check_session, session
from hifive_dask.errors import ParameterError, StateError
from tests.worlds import learned_toy

pytestmark = pytest.mark.mpi

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 150  # seconds, of a job that takes ten on a free machine: hanging is a failure
COMMAND = ("-c", "from hifive_dask.cli import main; main(prog_name='hifive-dask')")
# Containers run tests as root and have fewer cores than ranks; Open MPI refuses both.
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


def launch(ranks: int) -> list[str]:
    """The command that starts Python on so many ranks."""
    beside = Path(sys.executable).with_name("mpirun")
    program = str(beside) if beside.exists() else shutil.which("mpirun")
    assert program is not None, "no mpirun; install the extra `test`"
    return [program, "-n", str(ranks), sys.executable]


def mpirun(ranks: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python on so many ranks."""
    return subprocess.run(
        [*launch(ranks), *map(str, arguments)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


def tree(folder: Path) -> dict[str, bytes]:
    """All files of the stores in a folder."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".png"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def analyse(script: Path, out: Path) -> Path:
    """Write a script that makes a project and a heatmap of it with the scheduler it is given."""
    files = testing.toy_files(out)
    script.write_text(f"""
import sys
import time
from pathlib import Path
from hifive_dask import Fend, HiC, HiCData
from hifive_dask.cluster import session

out = Path(sys.argv[2])
with session(sys.argv[1]):
    out.mkdir()
    fends = Fend(out / "fends.zarr", "w", silent=True)
    fends.load_fends({str(files.sites)!r}, genome_name="toy")
    fends.save()
    data = HiCData(out / "pairs.zarr", "w", silent=True)
    data.load_data_from_raw(out / "fends.zarr", {str(files.raw)!r}, 500)
    hic = HiC(out / "project.zarr", "w", silent=True)
    hic.load_data(out / "pairs.zarr")
    hic.filter_fends(mininteractions=5)
    hic.find_distance_parameters(numbins=20, minsize=2000)
    hic.find_express_fend_corrections(calibrate=True)
    hic.save()
    hic.write_heatmap(out / "maps.npz", 50_000)
    print("done")
""")
    return script


def test_script__gives_the_same_bytes_as_threads(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    script = analyse(tmp_path / "script.py", tmp_path / "files")
    done = mpirun(4, script, "mpi", tmp_path / "mpi")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert done.stderr == ""
    subprocess.run(
        [sys.executable, script, "threads", tmp_path / "threads"], check=True, timeout=TIMEOUT
    )
    found, expected = tree(tmp_path / "mpi"), tree(tmp_path / "threads")
    assert {"maps.npz", "project.zarr/zarr.json"} <= set(found)
    assert found == expected


def test_script__that_all_ranks_run_is_written_by_the_first(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    files = testing.toy_files(tmp_path / "files")
    script = tmp_path / "script.py"
    script.write_text(f"""
from pathlib import Path
from mpi4py import MPI
from hifive_dask import Fend, HiC, HiCData

world = MPI.COMM_WORLD
first = Path({str(tmp_path)!r}) / "0"
own = first.with_name(str(world.Get_rank()))
own.mkdir()
fends = Fend(own / "fends.zarr", "w", silent=True)
fends.load_fends({str(files.sites)!r})
fends.save()
world.Barrier()
data = HiCData(own / "pairs.zarr", "w", silent=True)
data.load_data_from_raw(first / "fends.zarr", {str(files.raw)!r}, 500)
data.save(own / "pairs.hcd")
world.Barrier()
hic = HiC(own / "project.zarr", "w", silent=True)
hic.load_data(first / "pairs.zarr")
hic.save()
hic.cis_heatmap("chr1", binsize=50_000, datatype="raw", image_file=own / "map.png")
world.Barrier()
held = HiCData(first / "pairs.zarr", silent=True)
assert data.verify() == held.verify()
""")
    done = mpirun(3, script)
    assert done.returncode == 0, done.stderr
    written = {rank: sorted(path.name for path in (tmp_path / rank).iterdir()) for rank in "012"}
    names = ["fends.zarr", "map.png", "pairs.hcd", "pairs.zarr", "project.zarr"]
    assert written == {"0": names, "1": [], "2": []}


def test_command__gives_the_same_bytes_as_threads(tmp_path: Path) -> None:
    project = testing.toy_project()
    hic = HiC(project, silent=True)
    hic.filter_fends(mininteractions=5)
    hic.find_distance_parameters(numbins=20, minsize=2000)
    hic.save()
    for name in ("mpi", "threads"):
        shutil.copytree(project.parent, tmp_path / name)
    learn = ("normalize", "kr")
    done = mpirun(3, *COMMAND, "--scheduler", "mpi", *learn, tmp_path / "mpi" / project.name)
    assert done.returncode == 0, done.stderr
    alone = subprocess.run(
        [sys.executable, *COMMAND, *learn, str(tmp_path / "threads" / project.name)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    assert done.stdout.replace("/mpi/", "/threads/") == alone.stdout
    assert done.stderr.count("Dashboard: http") == 1
    assert tree(tmp_path / "mpi") == tree(tmp_path / "threads")
    assert HiC(tmp_path / "mpi" / project.name, silent=True).corrections is not None


def test_command__prints_usage_errors_once() -> None:
    done = mpirun(3, *COMMAND, "--scheduler=mpi", "normalize", "express", "--colour")
    assert done.returncode == 2
    assert done.stderr.count("Usage: ") == 1
    assert done.stderr.count("No such option") == 1


def test_command__prints_errors_once_and_exits_1(tmp_path: Path) -> None:
    (tmp_path / "empty.zarr").mkdir()
    arguments = ("pairs", tmp_path / "empty.zarr", __file__, "-o", tmp_path / "pairs.zarr")
    done = mpirun(3, *COMMAND, "--scheduler", "mpi", *arguments)
    assert done.returncode == 1
    assert done.stderr.count("error: ") == 1
    assert done.stderr.count("not a Zarr store") == 1
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["empty.zarr"]


@pytest.mark.parametrize("ranks", [1, 2])
def test_command__wants_three_ranks(ranks: int) -> None:
    done = mpirun(ranks, *COMMAND, "--scheduler", "mpi", "info", __file__)
    assert done.returncode == 2
    assert done.stderr.count(f"error: MPI has {ranks} rank") == 1
    assert "expected at least 3" in done.stderr


def test_command__that_does_not_ask_for_mpi_refuses_to_be_many() -> None:
    done = mpirun(2, *COMMAND, "info", __file__)
    assert done.returncode == 2
    assert done.stderr.count("error: ") == 1
    assert "mpirun started this command 2 times" in done.stderr
    assert "mpirun -n 2 hifive-dask --scheduler mpi" in done.stderr


def test_command__says_once_that_mpi_is_missing(tmp_path: Path) -> None:
    (tmp_path / "mpi4py.py").write_text("raise ImportError('not here')")
    path = os.pathsep.join([str(tmp_path), ENVIRONMENT["PYTHONPATH"]])
    command = [*launch(3), *COMMAND, "--scheduler", "mpi", "info", __file__]
    done = subprocess.run(
        command,
        env={**ENVIRONMENT, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 2
    assert done.stderr.count("error: MPI cannot be used (not here)") == 1


def test_script__that_raises_shows_its_traceback(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os\n"
        "from distributed.system import MEMORY_LIMIT\n"
        "from hifive_dask.cluster import session\n"
        "with session('mpi') as client:\n"
        "    workers = client.scheduler_info()['workers'].values()\n"
        "    print([MEMORY_LIMIT // worker['memory_limit'] for worker in workers])\n"
        "    print(client.submit(lambda: os.environ['NUMBA_NUM_THREADS']).result())\n"
        "    raise LookupError('mine')\n"
    )
    done = mpirun(4, script)
    assert done.returncode == 1
    assert done.stdout == "[4, 4]\n1\n"  # the ranks share the memory of the machine
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.count("LookupError: mine") == 1


def test_script__has_one_session(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from hifive_dask.cluster import session\n"
        "with session('mpi'):\n    pass\n"
        "print('after')\n"
        "with session('mpi'):\n    pass\n"
    )
    done = mpirun(3, script)
    assert done.returncode == 1
    assert done.stdout == "after\n"
    assert done.stderr.count("StateError: MPI was started before") == 1


@pytest.mark.parametrize(
    ("module", "message"), [("dask_mpi", "dask-mpi is not installed"), ("mpi4py", "cannot be used")]
)
def test_session__names_the_extra_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, module: str, message: str
) -> None:
    if module == "dask_mpi":
        monkeypatch.setattr("hifive_dask.cluster.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(StateError, match=rf"{message}.*hifive-dask\[mpi\]"), session("mpi"):
        pass


def test_cluster__that_mpirun_started_serves_clients(tmp_path: Path) -> None:
    learned = learned_toy(tmp_path, mininteractions=5)
    learned.save()
    file, results = tmp_path / "scheduler.json", []
    command = [*launch(3), "-m", "dask_mpi.cli", "--scheduler-file", str(file), "--nthreads", "1"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=quiet, stderr=quiet) as running:
        try:
            while not file.exists():
                assert running.poll() is None
                time.sleep(0.1)
            for scheduler in (str(file), "threads"):
                with session(scheduler) as client:
                    if client is not None:
                        client.wait_for_workers(2, timeout=TIMEOUT)
                    hic = HiC(learned.file, silent=True)
                    hic.find_express_fend_corrections()
                    results.append(hic.corrections.tobytes())
        finally:
            running.terminate()
    assert results[0] == results[1]


def test_check__takes_no_options_of_other_schedulers() -> None:
    check_session("mpi")
    with pytest.raises(ParameterError, match="mpi has the workers it has"):
        check_session("mpi", workers=2)
    with (
        pytest.raises(ParameterError, match="goes with the scheduler 'local'"),
        session("mpi", memory="1GB"),
    ):
        pass
