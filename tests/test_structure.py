"""Models of chromosomes in space: reference, oracle, invariants, errors, picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask import plot
from hifive_dask.errors import ParameterError, StateError
from hifive_dask.heatmap.recipe import Recipe
from hifive_dask.heatmap.structure import learn_structure, principal_coordinates
from hifive_dask.testing import toy_project

from .reference_model import store_of
from .worlds import units

Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> hd.HiC:
    hic = hd.HiC(toy_project(tmp_path_factory.mktemp("toy")), silent=True)
    hic.filter_fends(mininteractions=15)
    hic.find_express_fend_corrections(remove_distance=False)
    return hic


def distances(points: Array) -> Array:
    return np.linalg.norm(points[:, None, :3] - points[None, :, :3], axis=-1)


@pytest.mark.golden
def test_model__is_that_of_the_reference(shared: Path) -> None:
    wanted = dict(np.load(shared / "golden/sim-small/model_3d.npz"))
    hic = hd.HiC(shared / "golden/sim-small/hifive/state_express.hcp", silent=True)
    found = hic.learn_fend_3D_model("chrX", 10)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found[:, 3], wanted["mid"])
    size = np.linalg.norm(found[:, :3], axis=0)
    np.testing.assert_allclose(size, wanted["singular_values"][:3], rtol=2e-4)
    one, two = wanted["probe_pairs"].T
    np.testing.assert_allclose(
        distances(found)[one, two], wanted["probe_distances"], rtol=2e-4, atol=1e-5
    )
    of = wanted["coordinates_up_to_sign"]
    np.testing.assert_allclose(np.abs(found[:, :3]), np.abs(of), rtol=2e-4, atol=1e-4)


def literal_matrix(hic: hd.HiC, chrom: int, least: int) -> Array:
    """Cells that grow step by step over single units in use, one side after the other."""
    span = hic.units.span(chrom)
    used = np.flatnonzero(hic.filter[span] > 0)
    size = len(used)
    seen, expected = np.zeros((2, size, size))
    rank = {int(unit) + span.start: k for k, unit in enumerate(used)}
    for first, second, count in hic.data.cis_data:
        if first in rank and second in rank:
            seen[rank[first], rank[second]] += count
    correction = hic.corrections[span][used].astype(np.float64)
    for i in range(size):
        for j in range(i + 1, size):
            a, b = (int(used[k]) + span.start for k in (i, j))
            possible = b - a != 1 and not (a % 2 == 0 and b - a == 3)
            expected[i, j] = correction[i] * correction[j] * possible
    mid = hic.units.mid[span][used].astype(np.int64)
    matrix = np.zeros((size, size))
    for x in range(size):
        for y in range(x + 1, size):
            window = [x, x + 1, y, y + 1]  # half open: rows, columns
            while True:
                part = np.s_[window[0] : window[1], window[2] : window[3]]
                if seen[part].sum() >= least:
                    break
                away = [
                    mid[x] - mid[window[0] - 1] if window[0] else np.inf,
                    mid[window[1]] - mid[x] if window[1] < size else np.inf,
                    mid[y] - mid[window[2] - 1] if window[2] else np.inf,
                    mid[window[3]] - mid[y] if window[3] < size else np.inf,
                ]
                side = int(np.argmin(away))
                window[side] += 1 if side % 2 else -1
            matrix[x, y] = matrix[y, x] = np.log(seen[part].sum() / expected[part].sum())
    np.fill_diagonal(matrix, -np.inf)
    np.fill_diagonal(matrix, matrix.max())
    return matrix


def test_model__agrees_with_a_literal_one(toy: hd.HiC) -> None:
    """Growth step by step, all components of the centred matrix."""
    found = toy.learn_fend_3D_model("chr3", 40)
    matrix = literal_matrix(toy, 2, 40)
    centred = matrix - matrix.mean(axis=0)
    left, size, right = np.linalg.svd(centred)
    for k in range(3):
        sign = np.sign(right[k, np.abs(right[k]).argmax()])
        np.testing.assert_allclose(found[:, k], left[:, k] * size[k] * sign, atol=1e-4)


def test_model__has_a_row_per_unit_in_use(toy: hd.HiC) -> None:
    found = toy.learn_fend_3D_model("chr1")
    span = toy.units.span(0)
    used = toy.filter[span] > 0
    assert found.shape == (used.sum(), 4)
    assert not used.all()
    np.testing.assert_array_equal(found[:, 3], toy.units.mid[span][used])
    np.testing.assert_allclose(found[:, :3].mean(axis=0), 0, atol=1e-9)
    assert (np.diff(found[:, :3].var(axis=0)) <= 0).all()
    np.testing.assert_array_equal(toy.learn_fend_3D_model(b"chr1"), found)


def test_model__of_bins_leaves_out_those_without_units(toy: hd.HiC) -> None:
    hic = hd.HiC(toy.file, silent=True)
    hic.filter_fends(mininteractions=15)
    span = hic.units.span(0)
    hidden = (hic.units.mid[span] // 20_000 == 3) | (hic.units.mid[span] // 20_000 == 9)
    hic.filter[span][hidden] = 0
    hic.find_express_fend_corrections(remove_distance=False)
    found = hic.learn_fend_3D_model("chr1", binsize=20_000)
    used = np.unique(hic.units.mid[span][hic.filter[span] > 0] // 20_000)
    assert {3, 9} & set(used.tolist()) == set()
    np.testing.assert_array_equal(found[:, 3], used * 20_000 + 10_000)


@settings(max_examples=30, deadline=None)
@given(st.integers(4, 40), st.integers(0, 2**32 - 1))
def test_coordinates__are_the_same_by_both_ways(size: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).normal(size=(size, size))
    matrix += matrix.T
    whole, first = (principal_coordinates(matrix, dense=dense) for dense in (size, 0))
    np.testing.assert_allclose(np.abs(first), np.abs(whole), atol=1e-7)
    covariance = np.cov(matrix, rowvar=False) * (size - 1)
    largest = np.linalg.eigvalsh(covariance)[::-1][:3]
    np.testing.assert_allclose((whole**2).sum(axis=0), largest, rtol=1e-9)


def test_coordinates__have_one_sign(toy: hd.HiC) -> None:
    rng = np.random.default_rng(3)
    left, _ = np.linalg.qr(rng.normal(size=(9, 3)))
    left -= left.mean(axis=0)
    right, _ = np.linalg.qr(rng.normal(size=(7, 3)))
    for dense in (100, 0):
        found = principal_coordinates(left @ np.diag([9, 4, 1]) @ right.T, dense=dense)
        loading = np.linalg.lstsq(found, left @ np.diag([9, 4, 1]) @ right.T, rcond=None)[0]
        assert (loading[np.arange(3), np.abs(loading).argmax(axis=1)] > 0).all()


def test_model__is_the_same_on_every_scheduler(
    toy: hd.HiC, on_every_scheduler: Callable[[Callable[[str], Any]], list[Any]]
) -> None:
    first, *others = on_every_scheduler(lambda _: toy.learn_fend_3D_model("chr2").tobytes())
    assert all(other == first for other in others)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minobservations": 0}, "minobservations is 0, expected 1 or more"),
        ({"minobservations": 10**6}, r"chr3 has [\d,]+ reads between fends in use, and minobs"),
        ({"chrom": "chr9"}, "unknown chromosome 'chr9'"),
        ({"binsize": -1}, "binsize is -1"),
        ({"binsize": 60_000}, "chr3 has 3 bins with a fend in use, expected 4 or more"),
        ({"memory_limit": 1000}, "chr3 has .* bins, and a matrix.*choose a larger binsize"),
    ],
)
def test_bad_calls__are_refused(toy: hd.HiC, options: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        toy.learn_fend_3D_model(**{"chrom": "chr3", **options})


def test_projects__that_have_no_model(toy: hd.HiC) -> None:
    hic = hd.HiC(toy.file, silent=True)
    with pytest.raises(StateError, match="needs corrections"):
        hic.learn_fend_3D_model("chr1")
    hic = hd.HiC(toy.file, silent=True)
    hic.corrections, hic.normalization = toy.corrections, "express"
    hic.filter[hic.units.span(1)] = 0
    with pytest.raises(ParameterError, match="no fend of chr2 is in use"):
        hic.learn_fend_3D_model("chr2")


def test_reads_where_none_are_expected__are_refused() -> None:
    genome = units({"A": [(50 * i, 50 * i + 50) for i in range(8)]}, fends=True)
    rows = [(0, 1, 9), (2, 3, 9), (4, 5, 9), (6, 7, 9)]  # both fends of a fragment
    ones = np.ones(8, dtype=np.int32)
    recipe = Recipe(
        genome, store_of(rows, genome), ones, "fend", corrections=ones.astype(np.float32)
    )
    with pytest.raises(StateError, match="reads lie where none are expected"):
        learn_structure(recipe, "A", minobservations=1, silent=True)


def test_picture__shows_three_sides(tmp_path: Path) -> None:
    turn = np.linspace(0, 12, 60)
    helix = np.stack([np.cos(turn), np.sin(turn), turn, 1e5 * turn], axis=1)
    figure = plot.model(helix, title="helix")
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in figure.axes[:3]] == [
        ("x", "y"), ("x", "z"), ("y", "z"),
    ]  # fmt: skip
    assert figure.axes[3].get_ylabel() == "position (kb)"
    for ax, (a, b) in zip(figure.axes[:3], ((0, 1), (0, 2), (1, 2)), strict=True):
        thread = ax.collections[0].get_segments()
        np.testing.assert_allclose([piece[0] for piece in thread], helix[:-1][:, (a, b)])
        assert ax.get_xlim()[0] < helix[:, a].min() < helix[:, a].max() < ax.get_xlim()[1]
        assert ax.get_ylim()[0] < helix[:, b].min() < helix[:, b].max() < ax.get_ylim()[1]
    for suffix in (".png", ".svg", ".pdf"):
        plot.save(figure, tmp_path / f"x{suffix}", dpi=30)
    with pytest.raises(ParameterError, match=r"have the shape \(60, 3\), expected"):
        plot.model(helix[:, :3])
    helix[0, 0] = np.nan
    with pytest.raises(ParameterError, match="not finite"):
        plot.model(helix)
