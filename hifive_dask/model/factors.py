"""What a binning model says of pairs: a factor for every two feature bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.binning import pair_factors

__all__ = ["BinningModel"]

Int32 = NDArray[np.int32]


@dataclass(frozen=True)
class BinningModel:
    """Corrections of pairs of feature bins, in the layout of HiFive.

    Parameters
    ----------
    features
        Names, M of them.
    num_bins
        int32 (M): bins of each.
    offset
        int32 (M + 1): first correction of each feature, then their number.
    corrections
        float32: for each feature the upper triangle of its bin pairs, row after row.
    fend_indices
        int32 (N, M, 2): bin b of every unit, and ``offset + b (B - 1) - b (b - 1) / 2``; the
        correction of bins ``p <= q`` is at the second of p plus q.
    """

    features: tuple[str, ...]
    num_bins: Int32
    offset: Int32
    corrections: NDArray[np.float32]
    fend_indices: Int32

    def factors(self, first: Int32, second: Int32) -> NDArray[np.float64]:
        """float64: the product over the features, for pairs of units."""
        return pair_factors(first, second, self.fend_indices, self.corrections)
