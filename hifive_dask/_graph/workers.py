"""What the workers of a client do before they take tasks. Import this only if there is a client."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

from distributed import Client, Worker, WorkerPlugin

__all__ = ["import_first"]


class _Import(WorkerPlugin):  # type: ignore[misc]
    """Imports a module in the thread of a worker that receives tasks."""

    idempotent = True

    def __init__(self, module: str) -> None:
        self.module = module
        self.name = f"hifive-dask-import-{module}"

    def setup(self, worker: Worker) -> None:
        import_module(self.module)


def import_first(module: str) -> None:
    """Have the workers of the active client import a module, also those that come later.

    A worker unpacks tasks in several threads at once. Modules that import each other in a circle,
    such as those of ``dask.dataframe``, can fail then, and the worker is lost.
    """
    try:
        client = Client.current()
    except ValueError:  # there is none
        return
    with suppress(OSError):  # of a worker or scheduler that is being lost: the work will tell
        client.register_plugin(_Import(module))
