"""Ctrl-C and SIGTERM: a command stops once, cleans up, and says so."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

__all__ = ["stoppable"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AGAIN = 0.05  # seconds after which an exit that was lost is tried again


class _Stop:
    """Exits the way of an error, so that what is half made is removed.

    Only the first signal counts: the next one, of an impatient user or of a batch system, would
    interrupt what cleans up.
    """

    signum = 0

    def __call__(self, signum: int, _: object) -> None:
        if not self.signum:
            self.signum = signum
            _be_silent()
            atexit.register(_be_silent)  # former filters may be set again by what unwinds
            raise SystemExit(128 + signum)

    def retry(self, lost: Any) -> None:
        """Exit again if Python dropped the exit: it does that with all exceptions of finalizers."""
        if not isinstance(lost.exc_value, SystemExit):
            if not self.signum:  # else it is what was given up
                sys.__unraisablehook__(lost)
            return
        signum, self.signum = self.signum, 0
        threading.Timer(_AGAIN, os.kill, (os.getpid(), signum)).start()


def _be_silent() -> None:
    """Report no reads and writes of Zarr that were given up: those lost, and those not begun."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)


@contextmanager
def stoppable() -> Iterator[None]:
    """Exit with 130 after Ctrl-C and with 143 after SIGTERM, and say what that means."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    stop = _Stop()
    former = {signum: signal.signal(signum, stop) for signum in _SIGNALS}
    hook, sys.unraisablehook = sys.unraisablehook, stop.retry
    try:
        yield
    except SystemExit:
        if stop.signum:
            click.echo(
                f"{'interrupted' if stop.signum == signal.SIGINT else 'terminated'}; nothing was "
                "written by the step that was running, and stores that were complete still are. "
                "The same command goes on, or begins again",
                err=True,
            )
        raise
    finally:
        if not stop.signum:
            sys.unraisablehook = hook
        for signum, handler in former.items():
            # After one, Python still has to wait for threads and to end, undisturbed.
            after = signal.SIG_IGN if stop.signum else handler
            signal.signal(signum, signal.SIG_DFL if after is None else after)
