"""Bins with themselves: one pair of weight 1 wherever reads are expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cooler
import dask
import numpy as np
import pytest
from matplotlib.image import imread

import hifive_dask as hd
from hifive_dask.plot.scores import score_colours

SIZE, BINS = 10_000, 30
Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> hd.HiC:
    """One chromosome of 30 bins, with reads ~ Poisson(1000 / (1 + |i - j|))."""
    folder = tmp_path_factory.mktemp("bins")
    (folder / "chrom.sizes").write_text(f"chr1\t{BINS * SIZE}\n")
    fend = hd.Fend(folder / "bins.zarr", "w", binned=SIZE, silent=True)
    fend.load_bins(folder / "chrom.sizes", format="len")
    fend.save()
    i, j = np.triu_indices(BINS)
    counts = np.zeros((BINS, BINS), dtype=np.int64)
    counts[i, j] = np.random.default_rng(7).poisson(1000 / (1 + j - i))
    np.savetxt(folder / "reads.chr1.txt", counts, fmt="%i", delimiter="\t")
    data = hd.HiCData(folder / "pairs.zarr", "w", silent=True)
    data.load_binned_data_from_matrices(fend.file, folder / "reads.*.txt")
    hic = hd.HiC(folder / "project.zarr", "w", silent=True)
    hic.load_data(data.file)
    hic.filter_fends(mininteractions=1)
    hic.find_distance_parameters(numbins=12, minsize=SIZE // 2)
    hic.find_probability_fend_corrections(model="poisson")
    hic.save()
    return hic


def expected_by_definition(hic: hd.HiC, datatype: str, bins: int) -> Array:
    """(30 / bins, 30 / bins): sums over the pairs of wider bins, each pair once."""
    value = np.ones((BINS, BINS))
    if datatype in ("fend", "enrichment"):
        value *= np.outer(hic.corrections, hic.corrections)
    if datatype in ("distance", "enrichment"):
        cutoff, slope, intercept = np.float64(hic.distance_parameters).T
        apart = np.abs(np.subtract.outer(np.arange(BINS), np.arange(BINS))) * SIZE
        length = np.log(np.maximum(1, apart))
        k = np.searchsorted(cutoff[:-1], length)
        value *= np.exp(slope[k] * length + intercept[k] + float(hic.chromosome_means[0]))
    blocks = np.triu(value).reshape(BINS // bins, bins, BINS // bins, bins).sum((1, 3))
    return mirrored(blocks)


def mirrored(upper: Array) -> Array:
    return upper + np.triu(upper, 1).T


def expected_of(array: Any) -> Array:
    return np.asarray(array)[..., 1]


def test_observed_over_expected__is_1_on_the_diagonal_after_poisson(project: hd.HiC) -> None:
    dataset = project.heatmap("chr1", binsize=SIZE).compute()
    seen, expected = (dataset[name].values.astype(float) for name in ("observed", "expected"))
    assert np.trace(seen) / np.trace(expected) == pytest.approx(1, abs=0.005)
    assert np.triu(seen).sum() / np.triu(expected).sum() == pytest.approx(1, abs=1e-4)


def test_observed_over_expected__is_as_beside_the_diagonal_after_express(project: hd.HiC) -> None:
    hic = hd.HiC(project.file, silent=True)
    hic.find_express_fend_corrections(minchange=1e-6)
    dataset = hic.heatmap("chr1", binsize=SIZE).compute()
    seen, expected = (dataset[name].values.astype(float) for name in ("observed", "expected"))
    own, near = (np.trace(seen, k) / np.trace(expected, k) for k in (0, 1))
    assert own == pytest.approx(1, abs=0.05)  # 0.97: Express weighs pairs by what is expected
    assert own == pytest.approx(near, rel=0.01)


@pytest.mark.parametrize("bins", [1, 3])
@pytest.mark.parametrize("datatype", ["raw", "fend", "distance", "enrichment"])
def test_maps__expect_a_bin_with_itself_as_one_pair(
    project: hd.HiC, datatype: Any, bins: int
) -> None:
    want = expected_by_definition(project, datatype, bins)
    n = len(want)
    call: dict[str, Any] = {"binsize": bins * SIZE, "datatype": datatype}
    close: dict[str, Any] = {"rtol": 2e-6}
    lazy = project.heatmap("chr1", **call)
    np.testing.assert_allclose(lazy["expected"], want, **close)
    fine = project.heatmap("chr1", binsize=SIZE, datatype=datatype)
    np.testing.assert_allclose(fine.hic.coarsen(bins * SIZE)["expected"], want, **close)
    sums = [np.trace(want, k) for k in range(n)]
    np.testing.assert_allclose(lazy.hic.decay()["expected"], sums, **close)
    full, upper, compact = (
        expected_of(project.cis_heatmap("chr1", arraytype=kind, **call))
        for kind in ("full", "upper", "compact")
    )
    np.testing.assert_allclose(full, want, **close)
    np.testing.assert_allclose(upper, want[np.triu_indices(n)], **close)
    for k in range(n):
        np.testing.assert_allclose(compact[: n - k, k], np.diagonal(want, k), **close)
    # A region with itself has every pair from either side.
    both = expected_of(project.trans_heatmap("chr1", "chr1", start1=0, start2=0, **call))
    np.testing.assert_allclose(both, want + np.diag(np.diag(want)), **close)


def test_expected__holds_a_bin_with_itself_as_a_possible_pair(project: hd.HiC) -> None:
    counts = project.heatmap("chr1", binsize=3 * SIZE, datatype="expected")["observed"].values
    np.testing.assert_array_equal(counts, np.where(np.eye(10) > 0, 6, 9))


@pytest.mark.parametrize("datatype", ["raw", "fend", "enrichment"])
def test_dynamic_bins__grow_over_bins_with_themselves(project: hd.HiC, datatype: Any) -> None:
    call: dict[str, Any] = {"binsize": SIZE, "datatype": datatype, "dynamically_binned": True}
    want = expected_by_definition(project, datatype, 1)
    whole = np.triu(want).sum()
    never = project.cis_heatmap("chr1", minobservations=10**9, arraytype="full", **call)
    np.testing.assert_allclose(expected_of(never), whole, rtol=1e-5)
    sides = project.trans_heatmap("chr1", "chr1", start1=0, start2=0, minobservations=10**9, **call)
    np.testing.assert_allclose(np.asarray(sides)[..., 1], 2 * whole, rtol=1e-5)
    enough = project.cis_heatmap("chr1", minobservations=1, arraytype="full", **call)
    np.testing.assert_allclose(expected_of(enough), want, rtol=1e-5)
    lazy = project.heatmap("chr1", minobservations=10**9, **call)
    np.testing.assert_allclose(lazy["expected"], whole, rtol=1e-5)


@pytest.mark.parametrize("suffix", ["zarr", "hch"])
def test_files__hold_what_maps_hold(project: hd.HiC, tmp_path: Path, suffix: str) -> None:
    sizes = [SIZE, 3 * SIZE] if suffix == "zarr" else [3 * SIZE]
    project.write_heatmap(tmp_path / f"maps.{suffix}", sizes)
    maps = hd.open_heatmaps(tmp_path / f"maps.{suffix}")
    for size in sizes:  # the second level of a store is summed from the first
        dataset = maps.hic.region("chr1", binsize=size) if suffix == "zarr" else maps["chr1"]
        want = expected_by_definition(project, "enrichment", size // SIZE)
        np.testing.assert_allclose(dataset["expected"], want, rtol=2e-6)


@pytest.mark.parametrize("datatype", ["raw", "enrichment"])
def test_mrh__scores_are_those_of_maps(project: hd.HiC, tmp_path: Path, datatype: Any) -> None:
    project.write_multiresolution_heatmap(
        tmp_path / "maps.mrh", datatype, maxbinsize=2 * SIZE, minbinsize=SIZE, minobservations=1
    )
    file = hd.open_mrh(tmp_path / "maps.mrh")
    for bins in (1, 2):
        score = file.heatmap("chr1", binsize=bins * SIZE)["score"].values
        seen = project.heatmap("chr1", binsize=bins * SIZE, datatype="raw")["observed"].values
        want = np.log2(seen / expected_by_definition(project, datatype, bins))
        np.testing.assert_allclose(score, want, atol=1e-5)


def test_cooler__balances_the_diagonal_as_the_map(project: hd.HiC, tmp_path: Path) -> None:
    project.write_heatmap(tmp_path / "map.cool", SIZE, datatype="fend")
    found = cooler.Cooler(str(tmp_path / "map.cool")).matrix(balance=True)[:]
    want = project.heatmap("chr1", binsize=SIZE, datatype="fend")["enrichment"].values
    np.testing.assert_allclose(found, want, rtol=1e-5)


def test_image__has_the_colours_of_the_map(project: hd.HiC, tmp_path: Path) -> None:
    file = tmp_path / "map.png"
    project.cis_heatmap("chr1", binsize=SIZE, image_file=file)
    seen = project.heatmap("chr1", binsize=SIZE)["observed"].values
    cells = np.stack([seen, expected_by_definition(project, "enrichment", 1)], axis=-1)
    want = score_colours(cells).transpose(1, 0, 2)
    found = np.round(imread(file)[..., :3] * 255)
    assert np.abs(found - want).max() <= 1
