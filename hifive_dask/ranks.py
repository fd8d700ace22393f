"""Programs that every rank of MPI runs: the first rank alone writes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

__all__ = ["by_first_rank", "is_first", "world"]

P = ParamSpec("P")


def world() -> tuple[Any, int, int]:
    """COMM_WORLD, rank and size if MPI is running already; it is never started here.

    With dask-mpi one rank alone runs the program, whatever its number, and has to write.

    Examples
    --------
    >>> from hifive_dask.ranks import world
    >>> _, rank, size = world()
    >>> rank < size
    True
    """
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is None or not mpi.Is_initialized() or "dask_mpi" in sys.modules:
        return None, 0, 1
    comm = mpi.COMM_WORLD
    return comm, comm.Get_rank(), comm.Get_size()


def is_first() -> bool:
    """Whether this process writes what all ranks have: without MPI every process does."""
    return world()[1] == 0


def by_first_rank(write: Callable[P, None]) -> Callable[P, None]:
    """Make other ranks than the first return at once from a function that writes files.

    They do not wait: a program that goes on with the file needs a barrier of its own.
    """

    @wraps(write)
    def call(*args: P.args, **options: P.kwargs) -> None:
        if is_first():
            write(*args, **options)

    return call
