"""What files themselves say of a read pair: ``pair_type``, as pairtools writes it.

Two letters, one of each end: U (unique), R (rescued: unique, of a read with two parts), M (multiple
places), N (null: none), X (missing in the file), W (of a walk, more than two ends that were
ligated); DD is a duplicate. The poorer end comes first, unless ends were not flipped. Ends of M, N,
X and W lie on the chromosome ``!``.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from hifive_dask.schema import MARKED

__all__ = ["DUPLICATE", "NOWHERE", "PAIR_TYPES", "UNMAPPED", "count_left_out"]

NOWHERE = "!"  # chromosome of ends that have no place
UNMAPPED, _MULTIMAPPED, _WALKS, DUPLICATE = range(len(MARKED))
_POOREST = (("W", _WALKS), ("N", UNMAPPED), ("X", UNMAPPED), ("M", _MULTIMAPPED))


def _mark(pair_type: str) -> int:
    return next((mark for letter, mark in _POOREST if letter in pair_type), -1)


# Places in `MARKED` by pair type; positions decide what is not here. Lower case, which older
# versions wrote for parts of walks, is the same.
PAIR_TYPES = {NOWHERE: UNMAPPED, "DD": DUPLICATE, "dd": DUPLICATE} | {
    one + two: mark
    for one, two in product("WNXMURwnxmur", repeat=2)
    if (mark := _mark((one + two).upper())) >= 0
}


def count_left_out(
    first: NDArray[np.int32], second: NDArray[np.int32], mark: NDArray[np.int32]
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Tell which pairs count, and how many do not, by statistic.

    Parameters
    ----------
    first, second
        Chromosomes of the ends; -1 for unknown ones, -2 for `NOWHERE`.
    mark
        Place in `MARKED`, or -1.
    """
    kept = (first >= 0) & (second >= 0) & (mark < 0)
    if kept.all():
        return kept, {}
    first, second, mark = first[~kept], second[~kept], mark[~kept]
    placed = (mark < 0) | (mark == DUPLICATE)
    mark = np.where(placed & (np.minimum(first, second) == -2), UNMAPPED, mark)
    unknown = placed & (mark != UNMAPPED) & (np.minimum(first, second) < 0)
    counts = np.bincount(mark[~unknown], minlength=len(MARKED))
    found = {"chr_not_in_fends": int(np.count_nonzero(unknown))}
    return kept, found | dict(zip(MARKED, counts.tolist(), strict=True))
