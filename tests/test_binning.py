"""The binning model."""

from __future__ import annotations

import numpy as np

from hifive_dask.model.factors import BinningModel


def triangle(low: int, high: int, bins: int) -> int:
    """Place of a bin pair in the upper triangle (spec 16.1, 24)."""
    return low * (bins - 1) - low * (low - 1) // 2 + high


def test_24_places_of_bin_pairs() -> None:
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    assert [triangle(p, q, 3) for p, q in pairs] == [0, 1, 2, 3, 4, 5]


def test_factors__are_products_whatever_the_order_of_units() -> None:
    rng = np.random.default_rng(5)
    num_bins, units = np.array([3, 4], dtype=np.int32), 30
    offset = np.array([0, 6, 16], dtype=np.int32)
    corrections = rng.uniform(0.5, 2, 16).astype(np.float32)
    bins = np.stack([rng.integers(0, n, units) for n in num_bins], axis=1)
    rows = offset[:-1] + bins * (num_bins - 1) - bins * (bins - 1) // 2
    indices = np.stack([bins, rows], axis=2).astype(np.int32)
    model = BinningModel(("gc", "len"), num_bins, offset, corrections, indices)
    first, second = (rng.integers(0, units, 200).astype(np.int32) for _ in range(2))
    expected = [
        np.prod(
            [
                float(corrections[offset[h] + triangle(*sorted(bins[[i, j], h]), int(num_bins[h]))])
                for h in range(2)
            ]
        )
        for i, j in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(model.factors(first, second), expected, rtol=1e-12)
    assert (model.factors(first, second) == model.factors(second, first)).all()
