"""Trans means: the toy, a plain oracle, references, what makes them forgotten."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask.errors import ParameterError
from hifive_dask.model import rows as rows_module
from hifive_dask.model.trans_means import fit_trans_means, possible_trans
from tests.reference_model import Array, random_world, store_of, toy_rows, toy_units, units_of
from tests.test_model_golden import World
from tests.worlds import heatmap, learned_toy

HIFIVE = "golden/sim-small/hifive"


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def plain_means(units: Any, rows: Array, weight: Array) -> list[float]:
    """Sum of n / (w_i w_j) over possible pairs, for every two chromosomes."""
    size, means = len(units.chromosomes), []
    for a in range(size):
        for b in range(a + 1, size):
            total = sum(
                n / (weight[i] * weight[j])
                for i, j, n in rows.tolist()
                if (units.chromosome[i], units.chromosome[j]) == (a, b) and weight[i] * weight[j]
            )
            used = [np.count_nonzero(weight[units.span(c)]) for c in (a, b)]
            means.append(total / max(1, used[0] * used[1]))
    return means


def test_16_toy() -> None:
    units = toy_units()
    means = fit_trans_means(units, np.ones(20), store_of(toy_rows(), units), silent=True)
    np.testing.assert_allclose(means, [59 / 96], rtol=1e-12)


@given(
    seed=st.integers(0, 10**6), chromosomes=st.integers(1, 5), span=st.sampled_from([3, 1 << 22])
)
@settings(max_examples=40, deadline=None)
def test_means__equal_plain_sums(seed: int, chromosomes: int, span: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = [2 * int(n) for n in rng.integers(1, 6, chromosomes)]
    units, rows = random_world(seed, fends=True, density=0.3, sizes=sizes)
    weight = rng.uniform(0.5, 2, len(units)) * (rng.random(len(units)) < 0.7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "SPAN", span)
        means = fit_trans_means(units, weight, store_of(rows, units), silent=True)
    np.testing.assert_allclose(means, plain_means(units, rows, weight), rtol=1e-12)
    used = [np.count_nonzero(weight[units.span(c)]) for c in range(chromosomes)]
    possible = [a * b for k, a in enumerate(used) for b in used[k + 1 :]]
    assert possible_trans(units, weight > 0).tolist() == possible


def test_possible_pairs__beyond_32_bits_are_counted() -> None:
    sizes = [70_000, 70_000]
    mid = np.concatenate([np.arange(n) for n in sizes]).astype(np.int32)
    units = units_of(sizes, mid, True)
    store = store_of(np.array([(0, 80_000, 49)]), units)
    means = fit_trans_means(units, np.ones(140_000), store, silent=True)
    np.testing.assert_allclose(means, [49 / 70_000**2], rtol=1e-12)


def test_heatmaps__find_the_same_means() -> None:
    units, rows = random_world(5, fends=True, density=0.3)
    rng = np.random.default_rng(1)
    corrections = rng.uniform(0.5, 2, len(units)).astype(np.float32)
    store = store_of(rows, units)
    means = fit_trans_means(units, corrections.astype(float), store, silent=True)
    distance = np.array([[np.inf, -1, 3]], dtype=np.float32)
    found = []
    for a, b in (("c0", "c1"), ("c0", "c2"), ("c1", "c2")):
        expected = [
            heatmap(
                units,
                store,
                np.ones(len(units), dtype=np.int32),
                region=a,
                region2=b,
                binsize=10**6,
                datatype=datatype,
                corrections=corrections,
                distance=distance,
            ).expected.values
            for datatype in ("enrichment", "fend")
        ]
        found.append(float(expected[0][0, 0] / expected[1][0, 0]))
    np.testing.assert_allclose(found, means, rtol=1e-6)


@pytest.mark.golden
@pytest.mark.parametrize("state", ["none", "express", "binning", "binning-express"])
def test_sim_small__trans_means(shared: Path, compare: ModuleType, state: str) -> None:
    hic = hd.HiC(shared / HIFIVE / f"state_{state}.hcp", silent=True)
    hic.find_trans_means()
    results = {
        f"trans_means/{state}.trans_means": hic.trans_means,
        f"trans_means/{state}.trans_mean": np.array(hic.trans_mean),
    }
    assert compare.compare(compare.load_case(str(shared / "golden/sim-small")), results)


@pytest.mark.golden
@pytest.mark.parametrize(("name", "mean"), [("test", 0.06122288), ("test_express", 0.06952690)])
def test_32_hifive__trans_means(shared: Path, name: str, mean: float) -> None:
    import h5py

    folder = shared / "golden/hifive-tests"
    world = World(folder, "test.fends", "test.hcd")
    with h5py.File(folder / f"{name}.hcp") as file:
        weight = file["filter"][...].astype(np.float64)
        if "corrections" in file:
            weight *= file["corrections"][...]
    means = fit_trans_means(world.units, weight, world.store, silent=True)
    np.testing.assert_allclose(means, [mean, 0, 0], rtol=1e-6)


@pytest.mark.golden
def test_project__keeps_means_until_filter_or_normalization_change(
    tmp_path: Path, shared: Path
) -> None:
    hic = hd.HiC(shared / HIFIVE / "state_none.hcp", silent=True)
    hic.filter_fends(10)
    assert hic.trans_means is None
    assert hic.trans_mean is None
    hic.find_trans_means()
    assert hic.trans_means is not None
    assert "HiC.find_trans_mean() - Success" in hic.history
    hic.save(tmp_path / "p.zarr")
    again = hd.HiC(tmp_path / "p.zarr", silent=True)
    np.testing.assert_array_equal(again.trans_means, hic.trans_means)
    assert again.trans_mean == hic.trans_mean
    raw = hic.trans_means
    for learn in (
        lambda: hic.find_binning_fend_corrections(
            model=["gc"], num_bins=[4], parameters=["even"], chroms="chr1"
        ),
        hic.find_express_fend_corrections,
        hic.reset_filter,
    ):
        learn()
        assert hic.trans_means is None
        hic.find_trans_means()
        same = np.array_equal(hic.trans_means, raw)
        assert same == (hic.normalization == "binning")


def test_many_chromosomes__have_no_array_of_all_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hic = learned_toy(tmp_path, mininteractions=5)
    hic.find_express_fend_corrections(calibrate=True)
    cells = heatmap_of(hic)
    assert hic.trans_means.shape == (3,)
    monkeypatch.setattr("hifive_dask.model.trans_means._MOST_PAIRS", 2)
    hic.find_express_fend_corrections(calibrate=True)
    assert hic.calibrated
    assert hic.trans_means is hic.trans_mean is None
    np.testing.assert_allclose(heatmap_of(hic), cells, rtol=1e-5)
    with pytest.raises(ParameterError, match=r"3 pairs, .* at most 2; make the partition"):
        hic.find_trans_means()
    with pytest.raises(ParameterError, match=r"3 pairs, .* a map of each; use includetrans=False"):
        hic.write_multiresolution_heatmap(tmp_path / "m.mrh", "fend", 64_000, 4000)
    hic.write_multiresolution_heatmap(tmp_path / "m.mrh", "fend", 64_000, 4000, includetrans=False)


def heatmap_of(hic: hd.HiC) -> Array:
    """Expected reads between two chromosomes."""
    values: Array = hic.heatmap("chr1", "chr2", binsize=50_000)["expected"].values
    return values
