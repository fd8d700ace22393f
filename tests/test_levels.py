"""Levels: sums of what maps expect against loops over all pairs, calibration, what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask.model import levels as levels_module
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.levels import Expected, count_totals, find_levels
from hifive_dask.model.trans_means import fit_trans_means
from hifive_dask.testing import toy_project
from tests.reference_model import Array, expected_reads, pairs_of, random_world, store_of

DISTANCE = np.array([[np.log(4000), -0.5, 2], [np.inf, -1.5, 10.3]], dtype=np.float32)


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def binning_of(seed: int, units: Any) -> BinningModel:
    """Two features with 3 and 4 bins, whose corrections are anything."""
    rng = np.random.default_rng(seed)
    num_bins = np.array([3, 4], dtype=np.int32)
    bins = rng.integers(0, num_bins, (len(units), 2)).astype(np.int32)
    values = [rng.uniform(0.3, 3, size) for size in (6, 10)]
    return BinningModel.of_bins(("one", "two"), num_bins, bins, values)


def world_of(seed: int, *, fends: bool, binned: bool) -> tuple[Expected, Array]:
    rng = np.random.default_rng(seed)
    units, rows = random_world(seed, fends=fends, density=0.4)
    return (
        Expected(
            units,
            store_of(rows, units),
            rng.uniform(0.5, 2, len(units)) * (rng.random(len(units)) < 0.8),
            DISTANCE,
            rng.uniform(-1, 1, len(units.chromosomes)).astype(np.float32),
            binning_of(seed, units) if binned else None,
        ),
        rows,
    )


def plain_factor(expected: Expected, i: int, j: int) -> float:
    value = float(expected.weight[i] * expected.weight[j])
    if expected.binning is not None:
        value *= float(expected.binning.factors(np.array([i]), np.array([j]))[0])
    return value


def plain_totals(expected: Expected, rows: Array) -> tuple[list[int], list[float]]:
    units, weight = expected.units, expected.weight
    seen, wanted = (np.zeros(len(units.chromosomes)) for _ in range(2))
    for i, j, cis in pairs_of(units):
        if cis:
            assert expected.distance is not None
            assert expected.chromosome_means is not None
            law = expected_reads(units, i, j, expected.distance, expected.chromosome_means)
            wanted[units.chromosome[i]] += plain_factor(expected, i, j) * law
    for i, j, n in rows.tolist():
        if units.chromosome[i] == units.chromosome[j] and weight[i] * weight[j]:
            seen[units.chromosome[i]] += n
    return seen.astype(int).tolist(), wanted.tolist()


@given(seed=st.integers(0, 10**6), fends=st.booleans(), binned=st.booleans(), split=st.booleans())
@settings(max_examples=40, deadline=None)
def test_totals__equal_loops_over_all_pairs(
    seed: int, fends: bool, binned: bool, split: bool
) -> None:
    expected, rows = world_of(seed, fends=fends, binned=binned)
    with pytest.MonkeyPatch.context() as patch:
        if split:
            patch.setattr(levels_module, "_SPLIT", 2)
            patch.setattr(levels_module, "_PIECES", 5)
            patch.setattr(levels_module, "_TASKS", 3)
        totals = count_totals(expected, silent=True)
    assert totals is not None
    seen, wanted = plain_totals(expected, rows)
    assert totals.observed.tolist() == seen
    assert (totals.observed.dtype, totals.expected.dtype) == (np.int64, np.float64)
    np.testing.assert_allclose(totals.expected, wanted, rtol=1e-3 if binned else 1e-7, atol=1e-9)


@given(seed=st.integers(0, 10**6), binned=st.booleans())
@settings(max_examples=30, deadline=None)
def test_calibrated_levels__expect_the_reads_that_were_seen(seed: int, binned: bool) -> None:
    expected, rows = world_of(seed, fends=True, binned=binned)
    before = count_totals(expected, silent=True)
    found = find_levels(expected, calibrated=True, chroms=[0, 2], silent=True)
    assert found.chromosome_means is not None
    assert found.totals is not None
    assert before is not None
    assert expected.chromosome_means is not None
    for chrom in range(3):
        known = before.observed[chrom] > 0 and before.expected[chrom] > 0
        if chrom != 1 and known:
            np.testing.assert_allclose(
                found.totals.expected[chrom], found.totals.observed[chrom], rtol=1e-6
            )
        else:
            assert found.chromosome_means[chrom] == expected.chromosome_means[chrom]
            assert found.totals.expected[chrom] == before.expected[chrom]
    units, weight = expected.units, expected.weight
    sums = np.zeros((2, 3, 3))
    for i, j, cis in pairs_of(units):
        if not cis:
            sums[1, units.chromosome[i], units.chromosome[j]] += plain_factor(expected, i, j)
    for i, j, n in rows.tolist():
        if weight[i] * weight[j]:
            sums[0, units.chromosome[i], units.chromosome[j]] += n
    reads, wanted = sums[:, [0, 0, 1], [1, 2, 2]]
    assert found.trans_means is not None
    np.testing.assert_allclose(found.trans_means * wanted, reads, rtol=1e-6)


def test_levels__without_a_distance_function_are_not_known() -> None:
    expected, _ = world_of(1, fends=True, binned=False)
    unknown = Expected(expected.units, expected.store, expected.weight, None, None)
    found = find_levels(unknown, calibrated=False, chroms=[0], silent=True)
    assert found == (None, None, None)


def test_factors__in_blocks_are_those_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from hifive_dask.model import trans_means

    expected, _ = world_of(3, fends=True, binned=True)
    arguments: Any = (expected.units, expected.weight, expected.store)
    options: Any = {"calibrated": True, "binning": expected.binning, "silent": True}
    whole = fit_trans_means(*arguments, **options)
    monkeypatch.setattr(trans_means, "_BLOCK", 7)
    np.testing.assert_allclose(fit_trans_means(*arguments, **options), whole, rtol=1e-12)


# In projects


def toy(folder: Path) -> hd.HiC:
    hic = hd.HiC(toy_project(folder), silent=True)
    hic.filter_fends(mininteractions=5)
    hic.find_distance_parameters(numbins=20, minsize=2000)
    return hic


def trans_ratios(hic: hd.HiC) -> Array:
    """Observed over expected of (chr1, chr2), (chr1, chr3), (chr2, chr3)."""
    ratios = []
    for one, two in (("chr1", "chr2"), ("chr1", "chr3"), ("chr2", "chr3")):
        sums = hic.heatmap(one, two, binsize=50_000).sum()
        ratios.append(float(sums.observed / sums.expected))
    return np.array(ratios)


@pytest.mark.parametrize("suffix", ["zarr", "hcp"])
def test_calibrated__is_kept_and_holds_for_all_maps(tmp_path: Path, suffix: str) -> None:
    hic = toy(tmp_path)
    hic.find_express_fend_corrections()
    assert not hic.calibrated
    assert (np.abs(trans_ratios(hic) - 1) > 1e-3).all()
    hic.find_trans_means()
    documented = hic.trans_means
    hic.calibrated = True
    hic.find_trans_means()
    assert not np.array_equal(hic.trans_means, documented)
    hic.save(tmp_path / f"p.{suffix}")
    again = hd.HiC(tmp_path / f"p.{suffix}", silent=True)
    assert again.calibrated
    np.testing.assert_array_equal(again.trans_means, hic.trans_means)
    np.testing.assert_allclose(trans_ratios(again), 1, rtol=1e-6)
    both = again.trans_heatmap("chr1", "chr2", binsize=50_000, datatype="enrichment")
    np.testing.assert_allclose(both[..., 0].sum(), both[..., 1].sum(), rtol=1e-6)
    again.write_heatmap(tmp_path / "m.zarr", 50_000)
    stored = hd.open_heatmaps(tmp_path / "m.zarr").hic.region("chr1", "chr3", binsize=50_000)
    cells = again.heatmap("chr1", "chr3", binsize=50_000)
    np.testing.assert_allclose(stored.expected.sum(), cells.expected.sum(), rtol=1e-6)
    np.testing.assert_allclose(cells.expected.sum(), cells.observed.sum(), rtol=1e-6)
    again.reset_filter()
    assert again.trans_means is None
    np.testing.assert_allclose(trans_ratios(again), 1, rtol=1e-6)  # of the units now in use
    again.filter_fends(mininteractions=5)
    again.find_express_fend_corrections(minchange=0.1)
    assert not again.calibrated
