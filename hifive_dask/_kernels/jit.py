"""The one compiler setting of all kernels, and where they are kept once they are compiled."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from functools import cache
from multiprocessing import parent_process
from typing import TypeVar

import numba

from hifive_dask.errors import CacheWarning, warn

F = TypeVar("F", bound=Callable[..., object])


def jit(function: F) -> F:
    """Compile a kernel: releases the GIL, cached on disk.

    No ``parallel`` (it aborts in worker threads, and sums would depend on the thread count), no
    ``fastmath`` (it removes ``isnan``), no signatures (they refuse read-only arrays).
    """
    try:
        compiled: F = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba 0.68: none of the directories that it knows can be written
        compiled = numba.njit(nogil=True, cache=_kept_elsewhere())(function)
    return compiled


@cache
def _kept_elsewhere() -> bool:
    """Have all kernels kept in a directory for temporary files; False if there is none.

    It warns once, and in worker processes not at all: the one that started them does.
    """
    folder = _private_directory()
    if folder is not None:
        numba.config.CACHE_DIR = folder
        kept = f"they are kept in {folder}, as long as that lasts"
    else:
        kept = "every process compiles them anew, which takes up to half a minute"
    if parent_process() is None:
        given = os.environ.get("NUMBA_CACHE_DIR")
        places = "the package's own directory, nor your home directory"
        warn(
            "compiled kernels cannot be kept: neither "
            + (f"{given} (NUMBA_CACHE_DIR), {places}" if given else places)
            + f" can be written; {kept}. Set NUMBA_CACHE_DIR to a directory that can be written",
            CacheWarning,
        )
    return folder is not None


def _private_directory() -> str | None:
    """A directory for temporary files that nobody else can write to: it holds what will be run."""
    try:
        folder = os.path.join(tempfile.gettempdir(), f"hifive-dask-{os.getuid()}")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        found = os.lstat(folder)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return None
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    return folder if own and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else None
