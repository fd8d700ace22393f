"""Sessions: where the work is done."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from hifive_dask.errors import CacheWarning, ParameterError, StateError, StoreError, did_you_mean
from hifive_dask.public import answering

__all__ = ["check_session", "mpi_rank", "session"]

_log = logging.getLogger(__name__)

_NAMES = ("threads", "sync", "local", "mpi")
_KNOWN = (
    ", ".join(map(repr, _NAMES)) + ", an address such as 'tcp://10.0.0.5:8786', or a scheduler file"
)
_ADDRESS = re.compile(r"(?:tcp|tls|ucx|wss?|inproc)://.+|[\w.-]+:\d+|\[[\da-fA-F:]+\]:\d+")
_DASHBOARD = "127.0.0.1:8787"  # port where users of Dask look for it
_TIMEOUT = 10.0  # seconds to reach a scheduler
_CLIENT_RANK = 1  # where dask-mpi lets the program run; rank 0 is the scheduler
_LEAST_MEMORY = 300_000_000  # bytes; a process that has imported everything has about 280 MB
_FEWEST_RANKS = 3  # scheduler, program, one worker
# What mpirun tells its ranks: of Open MPI, and of MPICH and Intel MPI.
_RANK_VARIABLES = (("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE"))
_SETTINGS = {
    # A task is done again if its worker dies: so many times, not Dask's 3, since it counts all
    # that waited on a node that fails. A task that kills its workers by itself still ends soon.
    "distributed.scheduler.allowed-failures": 10,
    # Not Dask's 15 s: so long after a process has died, Dask gives up the one that replaces it, if
    # that is not at work just then. On a busy machine it may be starting, or have died as well.
    "distributed.deploy.lost-worker-timeout": "30 days",
    # A worker whose memory is not Dask's to spill would pause for ever; without a pause its nanny
    # replaces it when it reaches its limit, and its tasks begin again with empty memory.
    "distributed.worker.memory.pause": False,
    # If no worker is left: an error, not silence for ever.
    "distributed.scheduler.no-workers-timeout": "5 minutes",
}
# A worker is one thread of Dask, or few; libraries would start as many as there are cores in each.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


@answering
@contextmanager
def session(
    scheduler: str = "threads",
    *,
    workers: int | None = None,
    threads: int | None = None,
    memory: str | int | None = None,
    spill: str | os.PathLike[str] | None = None,
    timeout: float = _TIMEOUT,
    verbose: bool = False,
) -> Iterator[Any]:
    """Do all work inside the ``with`` block on the given scheduler.

    Parameters
    ----------
    scheduler
        ``"threads"`` of this process; ``"sync"``: one thread, for debugging; ``"local"``: processes
        on this machine, with Dask's dashboard on port 8787, or on another if that is taken;
        ``"mpi"``: the ranks that ``mpirun`` started, see the notes; the address of a running Dask
        scheduler; or the path of the file that it wrote with ``dask scheduler --scheduler-file``.
    workers
        Threads, or processes for ``"local"``; by default one per core. A running cluster has the
        workers it has.
    threads
        Of each process for ``"local"``, 1 by default. Threads of a process share its memory and
        what was read, but also Python's lock.
    memory
        Of each process for ``"local"``, such as ``"4GB"``; by default an equal part of what there
        is. Other schedulers have no limit to set here.
    spill
        Directory for what does not fit into the memory of processes for ``"local"``; by default
        that for temporary files. A running cluster has its own.
    timeout
        Seconds to wait for a running scheduler.
    verbose
        Whether Dask may log errors of its workers; they are raised here in any case.

    Yields
    ------
    The ``distributed.Client``, or None for ``"threads"`` and ``"sync"``. The address of Dask's
    dashboard is its ``dashboard_link``, which is also logged.

    Raises
    ------
    ParameterError
        If the scheduler is unknown, or an option does not go with it; for ``"mpi"`` with fewer than
        three ranks.
    StateError
        For ``"mpi"``, if dask-mpi is not installed, or in a second session of one program.
    StoreError
        If a scheduler file is missing or damaged, or the scheduler cannot be reached.

    Notes
    -----
    With ``"mpi"`` every rank runs the program up to the ``with`` statement, so nothing may be
    written before it. Rank 1 alone goes on with the body; rank 0 is the scheduler and all others
    are workers of one thread until the body ends, and then exit at the statement with `SystemExit`
    and code 0.

    Examples
    --------
    >>> from hifive_dask.cluster import session
    >>> with session("threads", workers=2) as client:
    ...     print(client)
    None
    """
    import dask

    check_session(scheduler, workers=workers, threads=threads, memory=memory, spill=spill)
    level = logging.ERROR if verbose else logging.CRITICAL
    with ExitStack() as stack:
        if scheduler in ("threads", "sync"):
            # The shuffle would go to the workers of a client that is active outside.
            options: dict[str, Any] = {"scheduler": scheduler, "dataframe.shuffle.method": "disk"}
            if workers is not None and scheduler == "threads":
                options["num_workers"] = workers
            stack.enter_context(dask.config.set(options))
            yield None
        else:
            if scheduler == "local":
                client = _local(stack, workers, threads or 1, memory, spill, level)
            elif scheduler == "mpi":
                client = _mpi(stack, level)
            else:
                client = _connect(stack, _address(scheduler), timeout, level)
            _log.info("Dashboard: %s", client.dashboard_link)
            yield client


def check_session(
    scheduler: str,
    *,
    workers: int | None = None,
    threads: int | None = None,
    memory: str | int | None = None,
    spill: str | os.PathLike[str] | None = None,
) -> None:
    """Check the arguments of `session` without starting or reaching anything.

    Raises
    ------
    ParameterError
        If the scheduler is unknown, or an option does not go with it.
    StoreError
        If a scheduler file, or the directory to spill to, is missing.

    Examples
    --------
    >>> from hifive_dask.cluster import check_session
    >>> check_session("local", workers=2)
    """
    if scheduler not in _NAMES and not _ADDRESS.fullmatch(scheduler):
        _check_file(scheduler)
    for name, value in (("workers", workers), ("threads", threads)):
        if value is not None and value < 1:
            raise ParameterError(f"{name} is {value}, expected at least 1")
    if workers is not None and scheduler not in ("threads", "local", "sync"):
        raise ParameterError(f"workers is {workers}, but {scheduler} has the workers it has")
    if scheduler == "sync" and workers not in (None, 1):
        raise ParameterError(f"workers is {workers}, but 'sync' is one thread")
    for name, option in (("threads", threads), ("memory", memory), ("spill", spill)):
        if option is not None and scheduler != "local":
            raise ParameterError(f"{name} goes with the scheduler 'local', not {scheduler!r}")
    if memory is not None:
        _bytes(memory)
    if spill is not None and not (os.path.isdir(spill) and os.access(spill, os.W_OK)):
        raise StoreError(f"{os.fspath(spill)}: not a directory that can be written; make it first")


def mpi_rank() -> tuple[int, int]:
    """Rank of this process and number of ranks, as far as mpirun says; (0, 1) without it.

    MPI itself is not started by this.

    Examples
    --------
    >>> from hifive_dask.cluster import mpi_rank
    >>> rank, size = mpi_rank()
    >>> rank < size
    True
    """
    for names in _RANK_VARIABLES:
        rank, size = (os.environ.get(name, "") for name in names)
        if rank.isdecimal() and size.isdecimal():
            return int(rank), int(size)
    return 0, 1


def _bytes(memory: str | int) -> int:
    import dask.utils

    try:
        size = int(dask.utils.parse_bytes(memory))
    except ValueError as error:
        raise ParameterError(f"memory is {memory!r}, expected a size such as '4GB'") from error
    if size < _LEAST_MEMORY:
        raise ParameterError(
            f"memory is {memory!r}, expected at least {_LEAST_MEMORY // 10**6} MB, such as '4GB': "
            "a process with less would be ended before it does anything"
        )
    return size


def _check_file(scheduler: str) -> None:
    path = Path(scheduler)
    if path.exists() and not path.is_dir():
        return
    if "://" in scheduler or (not path.suffix and os.sep not in scheduler):
        raise ParameterError(
            f"unknown scheduler {scheduler!r}; known are {_KNOWN}.{did_you_mean(scheduler, _NAMES)}"
        )
    raise StoreError(
        f"{path}: no such scheduler file; start the scheduler with `dask scheduler "
        f"--scheduler-file {path}` first, and wait until the file is there"
    )


def _address(scheduler: str) -> str:
    """Address of a running scheduler, from itself or from a scheduler file."""
    if _ADDRESS.fullmatch(scheduler):
        return scheduler
    path = Path(scheduler)
    try:
        address = json.loads(path.read_text())["address"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path}: not a scheduler file ({type(error).__name__}: {error}); it is JSON with an "
            "address, as `dask scheduler --scheduler-file` writes it"
        ) from error
    return str(address)


def _prepare(stack: ExitStack, level: int) -> None:
    """Set what the scheduler and workers that we start, and loggers, are to do."""
    import dask
    import distributed  # noqa: F401, its defaults, and levels of loggers, have to be there first

    stack.enter_context(dask.config.set(_SETTINGS))
    stack.enter_context(_quiet(level))


def _local(
    stack: ExitStack,
    workers: int | None,
    threads: int,
    memory: str | int | None,
    spill: str | os.PathLike[str] | None,
    level: int,
) -> Any:
    import dask
    from distributed import Client, LocalCluster

    count = workers or max(1, (os.cpu_count() or 1) // threads)
    _prepare(stack, level)
    variables = {f"distributed.nanny.pre-spawn-environ.{name}": 1 for name in _THREAD_VARIABLES}
    stack.enter_context(dask.config.set(variables))
    try:
        with _any_port(), _later_interrupts():
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=count,
                    threads_per_worker=threads,
                    processes=True,
                    memory_limit="auto" if memory is None else _bytes(memory),
                    local_directory=None if spill is None else os.fspath(spill),
                    dashboard_address=_DASHBOARD,
                    silence_logs=level,
                )
            )
    except RuntimeError as error:
        raise StoreError(
            f"{count} worker processes could not be started ({error}); in a script, call session "
            "under `if __name__ == '__main__':`, because every process runs the script again"
        ) from error
    return stack.enter_context(Client(cluster))


@contextmanager
def _any_port() -> Iterator[None]:
    """Say nothing if the dashboard takes another port than the usual one, which is taken."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*Port \d+ is already in use")
        yield


@contextmanager
def _later_interrupts() -> Iterator[None]:
    """Keep Ctrl-C waiting, and away from all processes that are started here.

    A terminal sends it to all of them. They, and what the threads started here start later, inherit
    what is blocked; this process alone answers, and then closes them.
    """
    resource_tracker.ensure_running()  # else the first process that starts would unblock it
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _mpi(stack: ExitStack, level: int) -> Any:
    """Client on the rank that runs the program; the others work, and never return."""
    mpi = _load_mpi()
    world = mpi.COMM_WORLD
    size, rank = world.Get_size(), world.Get_rank()
    if size < _FEWEST_RANKS:
        # One rank complains. The others must not fail before it has, or mpirun ends it early.
        if rank != size - 1:
            raise SystemExit(0)
        raise ParameterError(
            f"MPI has {size} rank{'s' * (size > 1)}, expected at least {_FEWEST_RANKS}: scheduler, "
            f"program and workers. Start it with `mpirun -n {_FEWEST_RANKS} ...` or more, with the "
            "mpirun of the MPI library that mpi4py uses"
        )
    if rank != _CLIENT_RANK:
        # No nanny does it here. It has no effect once NumPy is imported.
        for name in _THREAD_VARIABLES:
            os.environ.setdefault(name, "1")
        warnings.simplefilter("ignore", CacheWarning)  # the client says it for all
    import distributed
    from dask_mpi import initialize, send_close_signal

    _prepare(stack, level)
    # Ranks may be bound to cores, so that each would take the memory of the node for its own.
    on_node = world.Split_type(mpi.COMM_TYPE_SHARED).Get_size()
    stack.enter_context(_any_port())
    if not initialize(
        exit=False,
        nthreads=1,
        memory_limit=distributed.system.MEMORY_LIMIT // on_node,
        dashboard_address=_DASHBOARD,
    ):
        raise SystemExit(0)
    stack.callback(send_close_signal)
    # Closed before the workers are: an open client would try for 30 s to reach them again.
    client = stack.enter_context(distributed.Client())
    client.wait_for_workers(size - 2)  # if one fails to start, mpirun ends the job
    return client


def _load_mpi() -> Any:
    """Module of MPI; dask-mpi is there too, and was not used before: it can start only once."""
    if "dask_mpi" in sys.modules:
        raise StateError("MPI was started before; a program can have one session 'mpi'")
    if find_spec("dask_mpi") is None:
        raise StateError("dask-mpi is not installed; use `pip install 'hifive-dask[mpi]'`")
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise StateError(
            f"MPI cannot be used ({error}); mpi4py and an MPI library come with `pip install "
            "'hifive-dask[mpi]'`"
        ) from error
    return MPI


def _connect(stack: ExitStack, address: str, timeout: float, level: int) -> Any:
    import dask
    from distributed import Client

    stack.enter_context(_quiet(level))
    # A client that cannot connect leaves Dask with a scheduler that is not there.
    stack.enter_context(dask.config.set(scheduler=dask.config.get("scheduler", None)))
    try:
        client = Client(address, timeout=timeout)
    except ValueError as error:
        raise StoreError(f"{address}: not the address of a scheduler: {error}") from error
    except OSError as error:  # a timeout is one
        raise StoreError(
            f"{address}: no Dask scheduler answered within {timeout:g} s; check that it runs and "
            "that this machine can reach it"
        ) from error
    return stack.enter_context(client)


@contextmanager
def _quiet(level: int) -> Iterator[None]:
    """Keep the chatter of closing connections, and what we raise anyway, off the terminal."""
    loggers = [
        logging.getLogger(name)
        for name in (
            "distributed",
            "distributed.client",
            "distributed.comm",
            "distributed.nanny",
            "distributed.worker",
        )
    ]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, former in zip(loggers, before, strict=True):
            logger.setLevel(former)
