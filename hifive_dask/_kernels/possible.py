"""How many partners a unit can have, counted exactly without visiting pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit
from hifive_dask._kernels.pair_rule import is_possible

__all__ = ["possible_cis"]


@jit
def _possible_cis(mid, valid, fends, low, high, count):
    n = len(mid)
    before = np.zeros(n + 1, dtype=np.int64)
    for i in range(n):
        before[i + 1] = before[i] + (1 if valid[i] != 0 else 0)
    near, far = 0, 0
    for i in range(n):  # partners j > i with low <= d < high, and the same pairs seen from j
        near, far = max(near, i + 1), max(far, i + 1)
        while near < n and mid[near] - mid[i] < low:
            near += 1
        while far < n and (high <= 0 or mid[far] - mid[i] < high):
            far += 1
        if far > near and valid[i] != 0:
            count[i] += before[far] - before[near]
    near, far = n - 1, n - 1
    for j in range(n - 1, -1, -1):  # partners i < j
        near, far = min(near, j - 1), min(far, j - 1)
        while near >= 0 and mid[j] - mid[near] < low:
            near -= 1
        while far >= 0 and (high <= 0 or mid[j] - mid[far] < high):
            far -= 1
        if near > far and valid[j] != 0:
            count[j] += before[near + 1] - before[far + 1]
    for i in range(n):
        if valid[i] == 0:
            continue
        if not fends:
            count[i] += 1 if low <= 0 else 0
            continue
        for j in range(i + 1, min(n, i + 4)):
            if valid[j] != 0 and not is_possible(i, j, fends):
                distance = mid[j] - mid[i]
                if distance >= low and (high <= 0 or distance < high):
                    count[i] -= 1
                    count[j] -= 1


def possible_cis(
    mid: NDArray[np.int32],
    valid: NDArray[np.int32],
    *,
    fends: bool,
    mindistance: int,
    maxdistance: int,
) -> NDArray[np.int64]:
    """Possible cis partners of every valid unit of one chromosome.

    Parameters
    ----------
    mid
        int32 (n): midpoints in bp, not decreasing. The first unit must be a left fend.
    valid
        int32 (n): units in use.
    fends
        Whether the rule of impossible pairs holds; bins count themselves too if `mindistance` is 0.
    mindistance, maxdistance
        bp: ``mindistance <= d < maxdistance``; 0 is no upper limit.
    """
    count = np.zeros(len(mid), dtype=np.int64)
    _possible_cis(mid.astype(np.int64), valid, fends, mindistance, maxdistance, count)
    return count
