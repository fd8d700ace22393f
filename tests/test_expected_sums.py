"""Expected reads of units and of distance bins: against the loop over all pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hifive_dask.model import expected_sums as module
from hifive_dask.model.expected_sums import DistanceBins, PowerLaw, expected_sums

Array = NDArray[Any]

FAR = 2**62


def law_of(
    rng: np.random.Generator, longest: int, roughness: float, knots: int = 60
) -> tuple[PowerLaw, Array, Array]:
    """A power law that falls by 1/d, its segments, and distance bins between the knots."""
    x = np.linspace(np.log(100), np.log(longest), knots)
    y = 5 - x + roughness * rng.standard_normal(knots)
    slope = np.diff(y) / np.diff(x)
    segments = np.exp(x[1:-1]).astype(np.int64)
    bins = np.exp((x[1:] + x[:-1]) / 2).astype(np.int64)
    return PowerLaw(slope, y[1:] - slope * x[1:]), segments, bins


def loop(
    mid: Array, unit: Array, bins: DistanceBins, fends: bool, weight: Array, law: PowerLaw
) -> tuple[Array, Array]:
    """Visit all pairs."""
    partners, by_distance = np.zeros(len(mid)), np.zeros(len(bins))
    for i in range(len(mid)):
        j = np.arange(i + fends, len(mid))
        gap, distance = unit[j] - unit[i], mid[j] - mid[i]
        used = (distance >= bins.window[0]) & (distance < bins.window[1])
        if fends:
            used &= (gap > 1) & ~((gap == 3) & (unit[i] % 2 == 0))
        j, distance = j[used], distance[used]
        k = np.searchsorted(bins.segments, distance)
        value = np.exp(law.slope[k] * np.log(np.maximum(1, distance)) + law.intercept[k])
        partners[i] += (value * weight[j]).sum()
        np.add.at(partners, j, value * weight[i])
        np.add.at(
            by_distance, np.searchsorted(bins.thresholds, distance), value * weight[i] * weight[j]
        )
    return partners, by_distance


@given(st.data(), st.booleans(), st.booleans())
@settings(deadline=None)
def test_sums__equal_the_loop_over_pairs(data: Any, fends: bool, even: bool) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n = data.draw(st.integers(1, 60))
    longest = data.draw(st.sampled_from([2000, 10**6, 2 * 10**8]))
    mid = np.sort(rng.integers(0, longest, n))
    if even:
        mid = 5000 + 10_000 * np.flatnonzero(rng.random(3 * n) < 0.4)[:n]
        n = len(mid)
    if not n:
        return
    if even and data.draw(st.booleans()):
        mid[-1] -= 1234 * (n > 1)  # the last bin is often shorter
    unit = np.sort(rng.choice(4 * n, n, replace=False))
    window = data.draw(st.sampled_from([(0, FAR), (300, FAR), (0, 40_001), (10_000, 50_000)]))
    law, segments, thresholds = law_of(rng, longest, 0.3, knots=20)
    bins = DistanceBins(np.r_[0, thresholds], segments, window)
    weight = rng.lognormal(0, 1, n)
    few, module._FEW = module._FEW, data.draw(st.sampled_from([2, 1024])) if even else 1024
    try:
        prepared = expected_sums(mid, unit, bins, fends=fends)
    finally:
        module._FEW = few
    assert isinstance(prepared, module._Whole)
    if isinstance(prepared.dense, module._Mesh):  # its tolerance is another
        return
    sums = prepared(weight, law)
    partners, by_distance = loop(mid, unit, bins, fends, weight, law)
    largest = partners.max()
    np.testing.assert_allclose(sums.partners, partners, rtol=1e-9, atol=1e-12 * largest)
    np.testing.assert_allclose(sums.by_distance, by_distance, rtol=1e-9, atol=1e-12 * largest)


@pytest.mark.parametrize("fends", [True, False], ids=["fends", "bins"])
def test_chromosomes__are_summed_apart(fends: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FEW", 20)
    rng = np.random.default_rng(4)
    law, segments, thresholds = law_of(rng, 10**6, 0.3, knots=20)
    bins = DistanceBins(thresholds, segments, (300, 200_000))
    genome, weight, partners, by_distance = [], [], [], np.zeros(len(bins))
    for size in (1, 2, 12, 1, 60, 7, 20, 40, 40, 3):
        unit = np.sort(rng.choice(size + 3, size, replace=False))
        genome.append((10_000 * unit + 5000, unit))
        weight.append(rng.lognormal(0, 1, size))
        own, counted = loop(*genome[-1], bins, fends, weight[-1], law)
        partners.append(own)
        by_distance += counted
    prepared = module.sums_of_chromosomes(genome, bins, fends=fends)
    sums = prepared(np.concatenate(weight), law)
    expected = np.concatenate(partners)
    np.testing.assert_allclose(sums.partners, expected, rtol=1e-9, atol=1e-12 * expected.max())
    np.testing.assert_allclose(sums.by_distance, by_distance, rtol=1e-9, atol=1e-12)


WINDOWS = [(0, FAR), (700, FAR), (0, 150_000), (1000, 30_000), (200_000, FAR), (100_000, 400_000)]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("gap", [20, 300, 5000])
def test_mesh__is_as_exact_as_it_says(window: tuple[int, int], gap: int) -> None:
    rng = np.random.default_rng(gap)
    n = 2000
    ends = np.cumsum(rng.exponential(2 * gap, n // 2 + 1).astype(np.int64) + 8)
    quarter = np.diff(ends) // 4
    mid = np.sort(np.r_[ends[:-1] + quarter, ends[1:] - quarter])
    kept = np.sort(rng.choice(n, 1700, replace=False))
    law, segments, thresholds = law_of(rng, int(mid[-1]), 0.01)
    bins = DistanceBins(thresholds, segments, window)
    weight = rng.lognormal(0, 0.7, len(kept))
    prepared = expected_sums(mid[kept], kept, bins, fends=True)
    assert isinstance(prepared, module._Whole)
    assert isinstance(prepared.dense, module._Mesh)
    sums = prepared(weight, law)
    partners, by_distance = loop(mid[kept], kept, bins, True, weight, law)
    seen = partners > 1e-6 * partners.max(initial=0)
    np.testing.assert_allclose(sums.partners[seen], partners[seen], rtol=2e-5)
    np.testing.assert_allclose(sums.by_distance.sum(), by_distance.sum(), rtol=1e-4)
    large = by_distance > 1e-3 * by_distance.sum()
    np.testing.assert_allclose(sums.by_distance[large], by_distance[large], rtol=5e-3)


def test_grid__is_exact_also_for_a_shorter_last_bin() -> None:
    rng = np.random.default_rng(3)
    unit = np.flatnonzero(rng.random(2000) < 0.9)
    mid = 5000 + 10_000 * unit
    mid[-1] -= 2345
    law, segments, thresholds = law_of(rng, int(mid[-1]), 0.1)
    bins = DistanceBins(np.r_[0, thresholds], segments, (0, FAR))
    weight = rng.lognormal(0, 1, len(unit))
    prepared = expected_sums(mid, unit, bins, fends=False)
    assert isinstance(prepared, module._Whole)
    assert isinstance(prepared.dense, module._Grid)
    sums = prepared(weight, law)
    partners, by_distance = loop(mid, unit, bins, False, weight, law)
    np.testing.assert_allclose(sums.partners, partners, rtol=1e-12)
    np.testing.assert_allclose(sums.by_distance, by_distance, rtol=1e-10)


def test_sums__of_two_bins_by_hand() -> None:
    law = PowerLaw(np.array([0.0, -1.0]), np.array([np.log(5.0), np.log(1000.0)]))
    bins = DistanceBins(np.array([0]), np.array([0]), (0, FAR))
    prepared = expected_sums(np.array([50, 150]), np.array([0, 1]), bins, fends=False)
    sums = prepared(np.array([2.0, 3.0]), law)
    # f(0) = 5, f(100) = 10; a bin is its own partner twice.
    np.testing.assert_allclose(sums.partners, [2 * 5 * 2 + 10 * 3, 2 * 5 * 3 + 10 * 2])
    np.testing.assert_allclose(sums.by_distance, [5 * 4 + 5 * 9, 10 * 2 * 3])
