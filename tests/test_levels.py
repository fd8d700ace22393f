"""Levels: sums of what maps expect against loops over all pairs, calibration, what is kept."""

from __future__ import annotations

import json
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import cooler
import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask.cli import in_options
from hifive_dask.errors import LevelWarning, StateError
from hifive_dask.model import levels as levels_module
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.levels import Expected, count_totals, find_levels
from hifive_dask.model.trans_means import fit_trans_means
from hifive_dask.testing import ToyFiles, toy_files
from tests.commands import run_in_one_thread
from tests.reference_model import Array, expected_reads, pairs_of, random_world, store_of, units_of

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
            patch.setattr(levels_module, "_TOGETHER", 2)
        totals = count_totals(expected, silent=True)
    assert totals is not None
    seen, wanted = plain_totals(expected, rows)
    assert totals.observed.tolist() == seen
    assert (totals.observed.dtype, totals.expected.dtype) == (np.int64, np.float64)
    np.testing.assert_allclose(totals.expected, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("fends", [True, False], ids=["fends", "bins"])
def test_totals__of_large_chromosomes_equal_sums_over_all_pairs(fends: bool) -> None:
    size = 3000
    rng = np.random.default_rng(2)
    mid = np.cumsum(rng.integers(200, 1800, size)) if fends else 5000 + 10_000 * np.arange(size)
    units = units_of((size,), mid, fends)
    weight = rng.lognormal(0, 0.5, size) * (rng.random(size) < 0.9)
    store = store_of(np.zeros((0, 3), dtype=np.int32), units)
    totals = count_totals(
        Expected(units, store, weight, DISTANCE, np.zeros(1, dtype=np.float32)), silent=True
    )
    first, second = np.triu_indices(size, 1 if fends else 0)
    step = second - first
    possible = (step != 1) & ((step != 3) | (first % 2 == 1)) | (not fends)
    length = np.log(np.maximum(1, units.mid[second].astype(float) - units.mid[first]))
    k = (length > DISTANCE[0, 0]).astype(int)
    table = DISTANCE.astype(float)
    law = np.exp(table[k, 1] * length + table[k, 2])
    assert totals is not None
    wanted = (possible * weight[first] * weight[second] * law).sum()
    # Bins are summed exactly, fends by a mesh, which this bend of a law tries hard.
    np.testing.assert_allclose(totals.expected, [wanted], rtol=1e-5 if fends else 1e-11)


@pytest.mark.parametrize("near", [8, 64])
def test_totals__with_factors_of_far_pairs_are_right_to_a_thousandth(
    monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    rng = np.random.default_rng(1)
    units, rows = random_world(1, fends=True, density=0.01, sizes=[300, 200])
    expected = Expected(
        units,
        store_of(rows, units),
        rng.uniform(0.5, 2, len(units)),
        DISTANCE,
        np.zeros(2, dtype=np.float32),
        binning_of(1, units),
    )
    monkeypatch.setattr(levels_module, "_NEAR", near)
    totals = count_totals(expected, silent=True)
    assert totals is not None
    np.testing.assert_allclose(totals.expected, plain_totals(expected, rows)[1], rtol=1e-3)


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


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ToyFiles:
    return toy_files(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module", params=["fends", "bins"])
def learned(
    request: pytest.FixtureRequest, files: ToyFiles, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The toy with its distance dependence, and nothing else."""
    with dask.config.set(scheduler="sync"):
        folder = tmp_path_factory.mktemp(request.param)
        if request.param == "fends":
            fend = hd.Fend(folder / "fends.zarr", "w", silent=True)
            fend.load_fends(files.sites)
        else:
            fend = hd.Fend(folder / "fends.zarr", "w", binned=20_000, silent=True)
            fend.load_bins(files.lengths, format="len")
        fend.save()
        data = hd.HiCData(folder / "pairs.zarr", "w", silent=True)
        data.load_data_from_raw(fend.file, files.raw, 500)
        hic = hd.HiC(folder / "project.zarr", "w", silent=True)
        hic.load_data(data.file)
        hic.filter_fends(mininteractions=5)
        hic.find_distance_parameters(numbins=12, minsize=25_000)
        hic.save()
        return Path(hic.file)


@pytest.fixture
def hic(learned: Path) -> hd.HiC:
    return hd.HiC(learned, silent=True)


BINNING: Any = {"model": ["len"], "num_bins": [5], "parameters": ["even"]}


def learn(hic: hd.HiC, method: str, **options: Any) -> None:
    """Learn corrections by a method, chained to Binning if its name begins so."""
    if method.startswith("binning"):
        hic.find_binning_fend_corrections(**BINNING, **options)
        options["precorrect"] = True
    kind = method.removeprefix("binning-")
    if kind in ("express", "kr"):
        hic.find_express_fend_corrections(
            kr=kind == "kr", accelerate=kind == "express", minchange=1e-3, **options
        )
    elif kind != "binning":
        hic.find_probability_fend_corrections(model=kind, **options)


def ratios(hic: hd.HiC) -> tuple[Array, Array]:
    """Observed over expected in maps: of chromosomes, and of (0, 1), (0, 2), (1, 2)."""
    names = hic.units.chromosomes
    found = np.zeros((3, 3))
    for a, b in zip(*np.triu_indices(3), strict=True):
        # One bin a chromosome: a cell holds each pair once.
        sums = hic.heatmap(names[a], names[b], binsize=10**7).sum()
        found[a, b] = float(sums.observed / sums.expected)
    return np.diag(found), found[np.triu_indices(3, 1)]


METHODS = ["express", "kr", "poisson", "binomial"]


@pytest.mark.parametrize("method", [*METHODS, "binning", "binning-express", "binning-poisson"])
def test_calibrate__makes_maps_expect_what_they_show(hic: hd.HiC, method: str) -> None:
    if not hic.units.fends and method.startswith(("binning", "binomial")):
        pytest.skip("Binning is for fends, and of these bins all pairs were seen")
    learn(hic, method)
    assert not hic.calibrated
    before = hic.corrections
    cis, _ = ratios(hic)
    assert hic.observed_reads is not None
    assert hic.expected_reads is not None
    exact = 1e-3 if method.startswith("binning") else 1e-5  # factors of far pairs
    np.testing.assert_allclose(hic.observed_reads / hic.expected_reads, cis, rtol=exact)
    again = hd.HiC(hic.file, silent=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", LevelWarning)
        learn(again, method, calibrate=True)
    assert again.calibrated
    cis, trans = ratios(again)
    np.testing.assert_allclose(cis, 1, rtol=exact)
    np.testing.assert_allclose(trans, 1, rtol=1e-5)
    np.testing.assert_allclose(again.observed_reads, again.expected_reads, rtol=1e-6)
    kept = again.trans_means
    again.find_trans_means()
    np.testing.assert_array_equal(again.trans_means, kept)
    if before is not None and again.corrections is not None and "-" not in method:
        np.testing.assert_array_equal(again.corrections, before)


@pytest.mark.parametrize("usereads", ["trans", "all"])
def test_calibrate__holds_for_cis_maps_of_trans_corrections(hic: hd.HiC, usereads: str) -> None:
    hic.find_express_fend_corrections(
        usereads=usereads, accelerate=True, calibrate=True, minchange=1e-3
    )
    for found in ratios(hic):
        np.testing.assert_allclose(found, 1, rtol=1e-5)


def test_calibrate__of_chosen_chromosomes_leaves_others(hic: hd.HiC) -> None:
    name = hic.units.chromosomes[1]
    hic.find_express_fend_corrections(chroms=name, accelerate=True, calibrate=True)
    cis, trans = ratios(hic)
    np.testing.assert_allclose(cis[1], 1, rtol=1e-5)
    assert hic.chromosome_means is not None
    assert hic.chromosome_means[[0, 2]].tolist() == [0, 0]
    np.testing.assert_allclose(trans, 1, rtol=1e-5)


def test_calibrate__needs_the_distance_dependence(hic: hd.HiC) -> None:
    hic.distance_parameters = None
    for call in (hic.find_express_fend_corrections, hic.find_probability_fend_corrections):
        with pytest.raises(StateError, match="calibrate=True needs the distance dependence"):
            call(calibrate=True)
    with pytest.raises(StateError, match="call find_distance_parameters first"):
        hic.find_binning_fend_corrections(calibrate=True)
    hic.find_express_fend_corrections(remove_distance=False, accelerate=True)
    assert hic.observed_reads is None
    assert hic.expected_reads is None


def test_levels_that_are_off__are_a_warning_that_names_the_cure(hic: hd.HiC) -> None:
    hic.find_express_fend_corrections(accelerate=True, calibrate=True, minchange=1e-3)
    assert hic.corrections is not None
    hic.corrections = hic.corrections * np.float32(0.5)
    text = r"observed over expected reads are \S+ on chr. \(3 of 3 chromosomes with 1,000 reads or "
    with pytest.warns(LevelWarning, match=text + r"more are off by .*; .* with calibrate=True"):
        hic.find_distance_parameters(numbins=12, minsize=25_000)
    assert hic.observed_reads is not None
    hic.filter_fends(mininteractions=6)
    assert hic.observed_reads is None
    assert hic.expected_reads is None


@pytest.mark.parametrize("suffix", ["zarr", "hcp"])
def test_levels__are_kept_with_the_project(hic: hd.HiC, tmp_path: Path, suffix: str) -> None:
    empty = hd.HiC(hic.file, silent=True)
    assert (empty.calibrated, empty.observed_reads, empty.chromosome_scales) == (False, None, None)
    hic.find_express_fend_corrections(
        remove_distance=False, usereads="all", accelerate=True, calibrate=True
    )
    hic.save(tmp_path / f"p.{suffix}")
    again = hd.HiC(tmp_path / f"p.{suffix}", silent=True)
    assert again.calibrated
    for name in ("observed_reads", "expected_reads", "chromosome_scales", "trans_means"):
        assert hic[name] is not None
        np.testing.assert_array_equal(again[name], hic[name])
        assert again[name].dtype == hic[name].dtype
    np.testing.assert_allclose(np.concatenate(ratios(again)), 1, rtol=1e-5)
    again.find_express_fend_corrections(accelerate=True)
    assert not again.calibrated
    assert again.chromosome_scales is None
    assert again.trans_means is None


def test_calibrated_levels__are_those_of_all_kinds_of_maps(hic: hd.HiC, tmp_path: Path) -> None:
    hic.find_express_fend_corrections(accelerate=True, calibrate=True, minchange=1e-3)
    one, two = hic.units.chromosomes[:2]
    cells = hic.heatmap(one, two, binsize=50_000)
    assert float(cells.observed.sum()) == pytest.approx(float(cells.expected.sum()), rel=1e-5)
    both = hic.trans_heatmap(one, two, binsize=50_000, datatype="enrichment")
    assert both[..., 0].sum() == pytest.approx(both[..., 1].sum(), rel=1e-5)
    hic.write_heatmap(tmp_path / "m.zarr", 50_000)
    stored = hd.open_heatmaps(tmp_path / "m.zarr").hic.region(one, two, binsize=50_000)
    assert float(stored.expected.sum()) == pytest.approx(float(cells.expected.sum()), rel=1e-6)
    whole = 1 << 21
    hic.write_multiresolution_heatmap(tmp_path / "m.mrh", "enrichment", whole, whole)
    scores = hd.open_mrh(tmp_path / "m.mrh").heatmap(one, two, binsize=whole).score.values
    np.testing.assert_allclose(scores, [[0]], atol=1e-5)


# Two samples


def test_questions__how_to_compare_two_samples(
    files: ToyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    fend = hd.Fend(tmp_path / "fends.zarr", "w", silent=True)
    fend.load_fends(files.sites)
    fend.save()
    reads = files.raw.read_text().splitlines(keepends=True)
    for name, step in (("a", 1), ("b", 2)):
        (tmp_path / f"{name}.raw").write_text("".join(reads[::step]))
        data = hd.HiCData(tmp_path / f"{name}.pairs.zarr", "w", silent=True)
        data.load_data_from_raw(fend.file, tmp_path / f"{name}.raw", 500)
        hic = hd.HiC(tmp_path / f"{name}.zarr", "w", silent=True)
        hic.load_data(data.file)
        hic.filter_fends(mininteractions=5)
        hic.find_distance_parameters(numbins=12, minsize=2000)
        hic.find_probability_fend_corrections(model="poisson", calibrate=True)
        hic.save()
    page = (Path(__file__).parents[1] / "docs" / "faq.md").read_text()
    block = re.search(r"### Compare two samples.*?```python\n(.*?)```", page, re.DOTALL)
    assert block is not None
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(block[1], found)
    assert int(found["known"].sum()) > 15
    assert abs(float(capsys.readouterr().out)) < 0.03


# What commands say


def test_info__tells_levels_that_are_off_and_the_option_that_cures(
    hic: hd.HiC, tmp_path: Path
) -> None:
    hic.find_express_fend_corrections(accelerate=True, calibrate=True, minchange=1e-3)
    right, wrong = tmp_path / "right.zarr", tmp_path / "wrong.zarr"
    hic.save(right)
    assert hic.expected_reads is not None
    hic.expected_reads = hic.expected_reads * 5
    hic.save(wrong)
    said = run_in_one_thread("info", right).output
    assert re.search(r"observed over expected +1\.000 \(1\.000 to 1\.000 by chromosome\)", said)
    assert "Warning" not in said
    said = run_in_one_thread("info", wrong).output
    assert "Warning: observed over expected reads are 0.2 on chr" in said
    assert "normalize again by hifive-dask normalize poisson, or by the same method without" in said
    facts = json.loads(run_in_one_thread("info", wrong, "--json").output)
    assert facts["calibrated"] is True
    assert facts["chromosome_reads"][2] == {
        "name": "chr3",
        "observed": int(hic.observed_reads[2]),
        "expected": float(hic.expected_reads[2]),
    }


def test_warning__of_a_command_names_options() -> None:
    warning = LevelWarning("off")
    assert "calibrate=True" in str(warning)
    again = pickle.loads(pickle.dumps(LevelWarning("off", joint=True)))
    assert (again.finding, again.joint) == ("off", True)
    assert "calibrate" not in in_options(again)
    assert "left out by --mindistance, --maxdistance or --chrom" in in_options(again)
    assert in_options(warning) == (
        "off; normalize again by hifive-dask normalize poisson, or by the same method without "
        "--no-calibrate"
    )


# Weights of coolers


@pytest.mark.parametrize("usereads", ["cis", "all"])
@pytest.mark.parametrize("kr", [False, True])
def test_weights__balance_the_whole_map(
    files: ToyFiles, tmp_path: Path, kr: bool, usereads: Any
) -> None:
    fend = hd.Fend(tmp_path / "fends.zarr", "w", binned=20_000, silent=True)
    fend.load_bins(files.lengths, format="len")
    fend.save()
    data = hd.HiCData(tmp_path / "pairs.zarr", "w", silent=True)
    data.load_data_from_raw(fend.file, files.raw, 500)
    hic = hd.HiC(tmp_path / "project.zarr", "w", silent=True)
    hic.load_data(data.file)
    hic.filter_fends(mininteractions=5)
    hic.find_express_fend_corrections(
        kr=kr, accelerate=not kr, remove_distance=False, usereads=usereads, minchange=1e-9
    )
    assert hic.corrections is not None
    for chrom in range(3):  # the documented scale
        c = hic.corrections[hic.units.span(chrom)].astype(np.float64)
        c = c[c > 0]
        assert (c.sum() ** 2 - (c**2).sum()) / (len(c) * (len(c) - 1)) == pytest.approx(1, rel=1e-5)
    hic.save(tmp_path / "p.zarr")
    hic = hd.HiC(tmp_path / "p.zarr", silent=True)
    hic.write_heatmap(tmp_path / "x.cool", 20_000, datatype="fend", includetrans=usereads == "all")
    balanced = cooler.Cooler(str(tmp_path / "x.cool")).matrix(balance=True)[:]
    balanced[~np.isfinite(balanced)] = 0
    sums = balanced.sum(axis=0)
    if not kr:  # means over possible partners; a bin with itself counts for both of its ends
        sums += np.diag(balanced)
        used = hic.filter > 0
        own = [used[hic.units.span(c)].sum() for c in hic.units.chromosome]
        sums /= np.array(own) if usereads == "cis" else used.sum()
    sums = sums[sums > 0]
    np.testing.assert_allclose(sums / sums.mean(), 1, rtol=1e-5)
