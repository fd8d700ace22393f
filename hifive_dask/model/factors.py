"""What a binning model says of pairs: a factor for every two feature bins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.binning import pair_factors
from hifive_dask.errors import StateError

__all__ = ["BinningModel", "triangle_sizes"]

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]

_LEFT_OUT = 1e-3  # of the largest product of `BinningModel.separated`


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

    def part(self, span: slice) -> BinningModel:
        """The same model of some units."""
        return replace(self, fend_indices=self.fend_indices[span])

    def separated(self, used: NDArray[np.intp], weight: Float64) -> Iterator[tuple[float, Float64]]:
        """Sum of terms that gives ``w_i w_j factor_ij``, each ``share v_i v_j``.

        Sums over pairs of units with factors so become a few sums with weights. Corrections of
        every feature are a symmetric matrix, which is a sum over its eigenvectors; terms of the
        model have one of each feature. The least ones, whose shares add up to 1e-3 of the largest,
        are left out.

        Parameters
        ----------
        used
            int (n): units.
        weight
            float64 (n), positive.

        Yields
        ------
        share
            Which term there is most of comes first.
        v
            float64 (n).
        """
        bins = self.fend_indices[used, :, 0]
        shares, vectors = [], []
        for h, size in enumerate(self.num_bins.tolist()):
            amount = np.bincount(bins[:, h], weight, size).astype(np.float64)
            share, vector = _eigen(self._matrix(h), amount)
            shares.append(share)
            vectors.append(vector)
        product = reduce(np.multiply.outer, shares, np.ones(()))
        order = np.argsort(-np.abs(product), axis=None, kind="stable")
        size = np.abs(product).ravel()[order]
        left = np.cumsum(size[::-1])[::-1]  # with all that follow
        for place in order[left > _LEFT_OUT * size[0]]:
            which = np.unravel_index(place, product.shape)
            v = weight.copy()
            for h, k in enumerate(which):
                v *= vectors[h][bins[:, h], k]
            yield float(product[which]), v

    def _matrix(self, feature: int) -> Float64:
        """float64 (bins, bins): the corrections of a feature."""
        size = int(self.num_bins[feature])
        matrix = np.zeros((size, size))
        rows, columns = np.triu_indices(size)
        values = self.corrections[self.offset[feature] : self.offset[feature + 1]]
        matrix[rows, columns] = matrix[columns, rows] = values
        return matrix

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


def _eigen(matrix: Float64, amount: Float64) -> tuple[Float64, Float64]:
    """Eigenvalues, and vectors in columns, so that ``vector diag(value) vector.T`` is a matrix.

    Bins weigh as much as there is in them; those that are empty have 0.
    """
    root = np.sqrt(amount / max(amount.sum(), 1e-300))
    value, vector = np.linalg.eigh(root[:, None] * matrix * root)
    back = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
    return value, back[:, None] * vector


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
