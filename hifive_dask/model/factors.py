"""What a binning model says of pairs: a factor for every two feature bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.binning import pair_factors
from hifive_dask.errors import StateError

__all__ = ["BinningModel", "triangle_sizes"]

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

    Raises
    ------
    StateError
        If the arrays do not go together.
    """

    features: tuple[str, ...]
    num_bins: Int32
    offset: Int32
    corrections: NDArray[np.float32]
    fend_indices: Int32

    def __post_init__(self) -> None:
        # Kernels do not check indices.
        shapes = self.num_bins.shape, self.offset.shape, self.fend_indices.shape[1:]
        count = len(self.features)
        if shapes != ((count,), (count + 1,), (count, 2)) or not _consistent(self):
            raise StateError(
                "the arrays of the binning model do not go together; call "
                "find_binning_fend_corrections again"
            )

    def __repr__(self) -> str:
        sizes = zip(self.features, self.num_bins.tolist(), strict=True)
        return f"<BinningModel: {', '.join(f'{name} ({size} bins)' for name, size in sizes)}>"

    @classmethod
    def of_bins(
        cls,
        features: Sequence[str],
        num_bins: Int32,
        bins: Int32,
        corrections: Sequence[NDArray[np.float64]],
    ) -> BinningModel:
        """Arrange bins of units, int32 (N, M), and the corrections of every feature."""
        offset = np.r_[0, np.cumsum(triangle_sizes(num_bins))].astype(np.int32)
        indices = np.stack([bins, _places(bins, num_bins, offset)], axis=2).astype(np.int32)
        values = np.concatenate(corrections).astype(np.float32)
        return cls(tuple(features), num_bins, offset, values, indices)

    def factors(
        self, first: NDArray[np.integer], second: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """float64: the product over the features, for pairs of units."""
        return pair_factors(first, second, self.fend_indices, self.corrections)

    def unit_means(self, used: NDArray[np.bool_]) -> NDArray[np.float64]:
        """float64 (N): the mean factor of every unit with all those that are used."""
        bins = self.fend_indices[:, :, 0]
        classes, one, of = np.unique(bins, axis=0, return_index=True, return_inverse=True)
        weight = np.bincount(of.ravel()[used], minlength=len(classes)) / max(1, used.sum())
        # Units of one class have the same factors.
        means = [float(self.factors(np.full(len(one), unit), one) @ weight) for unit in one]
        found: NDArray[np.float64] = np.array(means)[of.ravel()]
        return found


def triangle_sizes(num_bins: Int32) -> NDArray[np.int64]:
    """int64: pairs of bins, a bin with itself included, of every feature."""
    size = num_bins.astype(np.int64)
    return size * (size + 1) // 2


def _places(bins: Int32, num_bins: Int32, offset: Int32) -> NDArray[np.int64]:
    wide = bins.astype(np.int64)
    places: NDArray[np.int64] = offset[:-1] + wide * (num_bins - 1) - wide * (wide - 1) // 2
    return places


def _consistent(model: BinningModel) -> bool:
    bins, places = model.fend_indices[:, :, 0], model.fend_indices[:, :, 1]
    sizes = triangle_sizes(model.num_bins)
    return bool(
        (model.num_bins > 0).all()
        and (np.diff(model.offset) == sizes).all()
        and model.offset[0] == 0
        and model.corrections.shape == (model.offset[-1],)
        and ((bins >= 0) & (bins < model.num_bins)).all()
        and (places == _places(bins, model.num_bins, model.offset)).all()
    )
