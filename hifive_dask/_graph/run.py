"""Running graphs: one place that computes, shows progress, and cleans up when interrupted."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import dask
from dask.callbacks import Callback

from hifive_dask.errors import ClusterError

__all__ = ["hold", "progress", "run"]

_SHOW_AFTER = 1.0  # seconds: quicker work shows no bar
_WRITE_EVERY = 0.5  # seconds: notebooks keep every text that was written
# Graphs of ours hold arrays as long as the genome, once; Dask's default warns above 10 MB.
_LARGE_GRAPH = "distributed.admin.large-graph-warning-threshold"


def _notebook() -> bool:
    return "ipykernel" in sys.modules


def _interactive() -> bool:
    return _notebook() or sys.stderr.isatty()


class _Line:
    """Progress in a notebook: one line that is written again, as notebooks keep it."""

    def __init__(self, title: str, total: int, start: float) -> None:
        self._title, self._total, self._start = title, total, start
        self._next, self._text = 0.0, ""

    def update(self, done: int) -> None:
        now = time.monotonic()
        elapsed = int(now - self._start)
        minutes = f"{elapsed // 60}:{elapsed % 60:02}"
        self._text = f"{self._title or 'working'}  {100 * done // self._total:3}%  {minutes}"
        if now >= self._next:
            self._next = now + _WRITE_EVERY
            self._write("")

    def stop(self) -> None:
        self._write("\n")

    def _write(self, end: str) -> None:
        sys.stderr.write(f"\r{self._text}{end}")
        sys.stderr.flush()


class _Terminal:
    """Progress in a terminal."""

    def __init__(self, title: str, total: int, start: float) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._progress.start()
        self._task = self._progress.add_task(title, total=total)

    def update(self, done: int) -> None:
        self._progress.update(self._task, completed=done)

    def stop(self) -> None:
        self._progress.stop()


class _Bar:
    """A progress bar on stderr that appears only once the work has taken a second."""

    def __init__(self, title: str, total: int, silent: bool) -> None:
        self._title, self._total, self._done = title, max(total, 1), 0
        self._shown: _Line | _Terminal | None = None
        self._start = time.monotonic()
        self._silent = silent or not _interactive()

    def advance(self, steps: int = 1) -> None:
        self._done += steps
        if self._silent:
            return
        if self._shown is None and time.monotonic() - self._start > _SHOW_AFTER:
            kind = _Line if _notebook() else _Terminal
            self._shown = kind(self._title, self._total, self._start)
        if self._shown is not None:
            self._shown.update(min(self._done, self._total))

    def close(self) -> None:
        if self._shown is not None:
            self._shown.stop()


@contextmanager
def progress(title: str, total: int, *, silent: bool = False) -> Iterator[Callable[[int], None]]:
    """Show the progress of work that is no graph; yields what is called with the steps done."""
    bar = _Bar(title, total, silent)
    try:
        yield bar.advance
    finally:
        bar.close()


class _LocalProgress(Callback):  # type: ignore[misc]
    """Counts finished tasks of the local schedulers."""

    def __init__(self, title: str, silent: bool) -> None:
        self._title, self._silent = title, silent
        self._bar: _Bar | None = None

    def _start_state(self, dsk: Any, state: Any) -> None:
        total = sum(len(state[key]) for key in ("ready", "waiting"))
        self._bar = _Bar(self._title, total, self._silent)

    def _posttask(self, key: Any, result: Any, dsk: Any, state: Any, worker_id: Any) -> None:
        if self._bar is not None:
            self._bar.advance()

    def _finish(self, dsk: Any, state: Any, errored: bool) -> None:
        if self._bar is not None:
            self._bar.close()


@contextmanager
def _cancel_on_error(futures: Sequence[Any]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the scheduler may be lost
            futures[0].client.cancel(futures)
        raise


@contextmanager
def _explain_losses() -> Iterator[None]:
    """Raise what tells that workers, or the scheduler, are gone as `ClusterError`."""
    if "distributed" not in sys.modules:
        yield
        return
    from distributed import CancelledError, KilledWorker
    from distributed.scheduler import NoValidWorkerError, NoWorkerError

    try:
        yield
    except KilledWorker as error:
        raise ClusterError(
            f"workers died {error.allowed_failures + 1} times while they worked at "
            f"{dask.utils.key_split(error.task)!r}, most often for lack of memory: give each of "
            "them more, or start fewer; the last one was "
            f"{error.last_worker.address}. The same call goes on, or begins again"
        ) from error
    except (NoWorkerError, NoValidWorkerError) as error:
        raise ClusterError(
            f"no worker could take a task for {error.timeout:g} s: all have died, or have paused "
            "for lack of memory. Start more, or give each of them more memory; the same call goes "
            "on then, or begins again"
        ) from error
    except (CancelledError, OSError) as error:
        # Connections raise OSError, as files do.
        if isinstance(error, OSError) and type(error).__module__.split(".")[0] != "distributed":
            raise
        raise ClusterError(
            "the connection to the Dask scheduler was lost: it was stopped, or cannot be reached. "
            "Its log may tell why. Start it again; the same call goes on then, or begins again"
        ) from error


def hold(values: Sequence[Any], *, title: str = "", silent: bool = False) -> list[Any]:
    """Compute lazy values and keep them where they are: in this process, or on the workers.

    Returns
    -------
    Lazy values again, whose graphs are the results.

    Raises
    ------
    ClusterError
        If workers died too often, or the scheduler was lost.
    """
    if "distributed" not in sys.modules:
        with _LocalProgress(title, silent):
            return list(dask.persist(*values))
    with _explain_losses():
        return _hold_on_workers(values, title, silent)


def _hold_on_workers(values: Sequence[Any], title: str, silent: bool) -> list[Any]:
    """`hold`, if there may be a client."""
    from distributed import as_completed, futures_of

    with _LocalProgress(title, silent), dask.config.set({_LARGE_GRAPH: "256MiB"}):
        kept = list(dask.persist(*values))
    futures = futures_of(kept)
    if futures:
        bar = _Bar(title, len(futures), silent)
        try:
            with _cancel_on_error(futures):
                for future in as_completed(futures):
                    if future.status in ("error", "cancelled"):
                        future.result()
                    bar.advance()
        finally:
            bar.close()
    return kept


def run(values: Sequence[Any], *, title: str = "", silent: bool = False) -> list[Any]:
    """Compute lazy values and return the results to the caller, in order.

    The active Dask client is used if there is one, else threads; progress is shown on a terminal or
    in a notebook after a second, unless `silent`. Errors are those of `hold`.
    """
    held = hold(values, title=title, silent=silent)
    with _explain_losses():  # a worker can be lost before its result is fetched
        return list(dask.compute(*held))
