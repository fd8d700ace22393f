"""The binning model: factors of pairs from the feature bins of their units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["pair_factors"]


@jit
def _pair_factors(first, second, indices, corrections, factor):
    for k in range(len(first)):
        i, j = first[k], second[k]
        product = 1.0
        for h in range(indices.shape[1]):
            low, high = (i, j) if indices[i, h, 0] <= indices[j, h, 0] else (j, i)
            product *= corrections[indices[low, h, 1] + indices[high, h, 0]]
        factor[k] = product


def pair_factors(
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    indices: NDArray[np.int32],
    corrections: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Product of the corrections of all features for pairs of units.

    Parameters
    ----------
    first, second
        Integer (pairs): units.
    indices
        int32 (units, features, 2): feature bin b, and the place of bin pair (b, 0), counted as if
        rows of the upper triangle began there.
    corrections
        float32: the upper triangles of all features, one after the other.
    """
    factor = np.empty(len(first))
    _pair_factors(first, second, indices, corrections, factor)
    return factor
