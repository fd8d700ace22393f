"""Which pairs of units of one chromosome can be observed at all. Used by everyone."""

from __future__ import annotations

from hifive_dask._kernels.jit import jit


@jit
def is_possible(i: int, j: int, fends: bool) -> bool:
    """Whether units `i` <= `j` of one chromosome form a possible pair.

    Fends: not the same fend or fragment, and not opposite strands of neighbouring fragments, that
    is j - i = 1, or i even (a left fend) and j - i = 3. Bins: every pair, the diagonal included.
    """
    if not fends:
        return True
    gap = j - i
    return gap > 1 and not (gap == 3 and i % 2 == 0)
