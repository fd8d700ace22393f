"""The one compiler setting of all kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])


def jit(function: F) -> F:
    """Compile a kernel: releases the GIL, cached on disk.

    No ``parallel`` (it aborts in worker threads, and sums would depend on the thread count), no
    ``fastmath`` (it removes ``isnan``), no signatures (they refuse read-only arrays).
    """
    compiled: F = numba.njit(nogil=True, cache=True)(function)
    return compiled
