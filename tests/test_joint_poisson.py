"""The joint Poisson model: both conditions hold at its end, whatever the genome and the window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from numpy.typing import NDArray

import hifive_dask as hd
from hifive_dask.errors import (
    ConvergenceError,
    ConvergenceWarning,
    HifiveDaskWarning,
    ParameterError,
    StateError,
)
from hifive_dask.genome.partition import Units
from hifive_dask.model import joint_poisson
from hifive_dask.model.distance import fit_distance
from hifive_dask.model.joint_poisson import fit_jointly
from hifive_dask.model.knots import find_knots, fine_bins
from hifive_dask.model.probability import ProbabilityResult, Settings
from hifive_dask.testing import toy_project
from tests.reference_model import expected_reads, pairs_of, store_of, units_of

Array = NDArray[Any]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def world(
    seed: int = 0, sizes: tuple[int, ...] = (120, 80), *, fends: bool = True, depth: float = 40.0
) -> tuple[Units, Array, Array]:
    """Units, rows of reads that are Poisson, and the true corrections."""
    rng = np.random.default_rng(seed)
    if fends:
        mids = [np.cumsum(rng.integers(200, 1800, size)) for size in sizes]
    else:
        mids = [5000 + 10_000 * np.arange(size) for size in sizes]
    units = units_of(sizes, np.concatenate(mids), fends)
    c = rng.lognormal(0, 0.5, len(units))
    rows = []
    for i, j, cis in pairs_of(units):
        if not cis:
            continue
        distance = max(2000, abs(int(units.mid[j]) - int(units.mid[i])))
        reads = rng.poisson(depth * c[i] * c[j] * (distance / 2000) ** -0.9)
        if reads:
            rows.append((i, j, reads))
    return units, np.array(rows, dtype=np.int32).reshape(-1, 3), c


def fit(
    units: Units, rows: Array, *, valid: Array | None = None, numbins: int = 12,
    minsize: int = 2000, **options: Any,
) -> tuple[ProbabilityResult, Any]:  # fmt: skip
    """The result, and the distance function that it began with."""
    store = store_of(rows, units)
    valid = np.ones(len(units), dtype=np.int32) if valid is None else valid
    model = fit_distance(
        units, valid, store, numbins=numbins, minsize=minsize, maxsize=0, silent=True
    )
    sums = {
        name: getattr(model, name) for name in ("possible", "signal", "mean_log_distance", "edges")
    }
    arguments: dict[str, Any] = {
        "parameters": model.parameters, "max_iterations": 200,
        "chroms": range(len(units.chromosomes)), "silent": True, **options,
    }  # fmt: skip
    start = arguments.pop("start", np.ones(len(units), dtype=np.float32))
    means = arguments.pop("means", np.zeros(len(units.chromosomes), dtype=np.float32))
    settings = Settings(**arguments)
    return fit_jointly(units, valid, store, start, means, settings, distance_sums=sums), model


def residuals(
    units: Units, rows: Array, result: ProbabilityResult, model: Any, window: tuple[int, float]
) -> tuple[Array, Array, Array]:
    """Observed over expected of units and of distance bins, and reads of the bins, plainly."""
    table = model.parameters if result.distance_parameters is None else result.distance_parameters
    edges = fine_bins(model.edges, fends=units.fends)
    observed, expected = np.zeros((2, len(units)))
    seen, wanted = np.zeros((2, len(edges) + 1))
    reads = {(int(i), int(j)): int(n) for i, j, n in rows}
    for i, j, cis in pairs_of(units):
        distance = int(units.mid[j]) - int(units.mid[i])
        if not cis or not window[0] <= distance <= window[1]:
            continue
        k = np.searchsorted(edges, distance)
        c = float(result.corrections[i]) * float(result.corrections[j])
        e = c * expected_reads(units, i, j, table, result.chromosome_means)
        n = reads.get((i, j), 0)
        for unit in (i, j):
            observed[unit] += n
            expected[unit] += e
        seen[k] += n
        wanted[k] += e
    used = expected > 0
    ratio = np.divide(observed, expected, out=np.ones(len(units)), where=used)
    bins = np.divide(seen, wanted, out=np.ones(len(seen)), where=seen > 0)
    return ratio, bins, seen


@pytest.mark.parametrize("fends", [True, False], ids=["fends", "bins"])
@pytest.mark.parametrize("window", [(0, 0), (0, 60_000), (15_000, 0)], ids=str)
def test_fit__meets_both_conditions(fends: bool, window: tuple[int, int]) -> None:
    units, rows, _ = world(fends=fends)
    options = {"mindistance": window[0], "maxdistance": window[1]}
    result, model = fit(units, rows, minchange=1e-5, **options)
    assert result.converged
    high = window[1] or np.inf
    units_ratio, bins_ratio, seen = residuals(units, rows, result, model, (window[0], high))
    np.testing.assert_allclose(units_ratio, 1, atol=1e-5)
    np.testing.assert_allclose(bins_ratio[seen > 0], 1, atol=5e-5)


@pytest.mark.parametrize("fends", [True, False], ids=["fends", "bins"])
def test_fit__fixes_what_is_free(fends: bool) -> None:
    units, rows, _ = world(3, fends=fends)
    result, _ = fit(units, rows)
    reads = []
    for span in map(units.span, range(2)):
        c = result.corrections[span].astype(np.float64)
        mean = (c.sum() ** 2 - (c**2).sum()) / (len(c) * (len(c) - 1))
        assert mean == pytest.approx(1, abs=1e-6)
        own = (rows[:, 0] >= span.start) & (rows[:, 0] < span.stop)
        reads.append(rows[own, 2].sum())
    assert np.dot(reads, result.chromosome_means) / sum(reads) == pytest.approx(0, abs=1e-6)


def test_fit__finds_the_truth_and_is_not_misled_by_the_start() -> None:
    units, rows, truth = world(1, (200, 150), depth=200.0)
    result, _ = fit(units, rows, numbins=20)
    for span in map(units.span, range(2)):
        both = np.log(result.corrections[span]), np.log(truth[span])
        assert np.corrcoef(*both)[0, 1] > 0.99
    rng = np.random.default_rng(5)
    start = rng.lognormal(0, 1, len(units)).astype(np.float32)
    other, _ = fit(units, rows, numbins=20, start=start, precalculate=False)
    np.testing.assert_allclose(other.corrections, result.corrections, rtol=1e-4)
    np.testing.assert_allclose(
        other.distance_parameters, result.distance_parameters, rtol=1e-3, atol=1e-3
    )


def test_bins__with_themselves_are_at_a_distance_of_their_own() -> None:
    units, rows, _ = world(2, (60, 40), fends=False)
    rows = rows.copy()
    rows[rows[:, 0] == rows[:, 1], 2] *= 50
    result, _ = fit(
        units, rows, minsize=35_000, numbins=5
    )  # the first bin has distances 0 to 30 kb
    assert result.distance_parameters is not None
    assert result.distance_parameters[0, 0] == 0
    assert result.distance_parameters[0, 1] == 0
    own = sum(
        float(result.corrections[i]) ** 2
        * expected_reads(units, i, i, result.distance_parameters, result.chromosome_means)
        for i in range(len(units))
    )
    assert own == pytest.approx(rows[rows[:, 0] == rows[:, 1], 2].sum(), rel=1e-4)


def test_chroms__keep_the_distance_function_and_what_was_not_chosen() -> None:
    units, rows, _ = world(4)
    start = np.full(len(units), 2.0, dtype=np.float32)
    means = np.array([0.25, -0.5], dtype=np.float32)
    result, model = fit(units, rows, chroms=[1], start=start, means=means)
    assert result.distance_parameters is None
    assert (result.corrections[units.span(0)] == 2).all()
    assert result.chromosome_means[0] == means[0]
    ratio, _, _ = residuals(units, rows, result, model, (0, np.inf))
    np.testing.assert_allclose(ratio[units.span(1)], 1, atol=2e-5)


def test_units__without_reads_are_held_at_the_limit_and_named() -> None:
    units, rows, _ = world(6)
    rows = rows[(rows[:, 0] != 7) & (rows[:, 1] != 7)]
    with pytest.warns(
        HifiveDaskWarning, match=r"1 fend in use without reads: .* lower limit, 0\.01"
    ):
        result, model = fit(units, rows)
    assert result.converged
    c = result.corrections[units.span(0)]
    assert c[7] == pytest.approx(0.01, rel=0.02)
    assert result.unobserved.tolist() == [7]
    ratio, _, _ = residuals(units, rows, result, model, (0, np.inf))
    np.testing.assert_allclose(np.delete(ratio, 7), 1, atol=2e-5)


def test_units__held_at_a_limit_with_reads_are_counted() -> None:
    units, rows, _ = world(sizes=(60,), fends=False, depth=4000)
    of_one = (rows[:, :2] == 7).any(axis=1)
    rows = rows[~of_one | (np.cumsum(of_one) == 1)]  # of bin 7 one pair is left
    rows[(rows[:, :2] == 7).any(axis=1), 2] = 1
    with pytest.warns(
        HifiveDaskWarning, match="1 bin with fewer reads than expected at the lower limit, 0.01 of"
    ):
        fit(units, rows)


def test_chromosomes__without_reads_keep_their_corrections_and_are_named() -> None:
    units, rows, _ = world(7, (60, 40))
    rows = rows[rows[:, 1] < 60]
    with pytest.warns(
        HifiveDaskWarning, match="without cis reads: c1; their corrections are 1, their mean 0"
    ):
        result, _ = fit(units, rows)
    assert (result.corrections[60:] == 1).all()
    assert result.chromosome_means[1] == 0


@pytest.mark.parametrize("given", [False, True], ids=["all", "some"])
def test_bins__without_other_partners_have_the_reads_that_were_seen(given: bool) -> None:
    units, rows, _ = world(7, (60, 1, 30), fends=False)
    rows[(rows[:, 0] == 60), 2] = 5000
    options = {"chroms": [1, 2]} if given else {}
    result, model = fit(units, rows, **options)
    assert not len(result.unused)
    assert result.corrections[60] == 1
    ratio, bins, seen = residuals(units, rows, result, model, (0, np.inf))
    assert ratio[60] == pytest.approx(1, abs=1e-5)
    if not given:
        np.testing.assert_allclose(ratio, 1, atol=1e-5)
        np.testing.assert_allclose(bins[seen > 0], 1, atol=1e-4)


def test_bins__near_the_window_are_fitted_to_their_pair_with_themselves() -> None:
    units, rows, _ = world(7, (60, 40), fends=False)
    valid = np.ones(len(units), dtype=np.int32)
    valid[10:30] = 0
    valid[20] = 1  # has no other partner within 90 kb
    rows = rows[(valid[rows[:, :2]] > 0).all(axis=1)]
    options = {"mindistance": 0, "maxdistance": 90_000}
    result, model = fit(units, rows, valid=valid, minchange=1e-5, **options)
    ratio, _, _ = residuals(units, rows, result, model, (0, 90_000))
    np.testing.assert_allclose(ratio, 1, atol=1e-5)


def test_filter__leaves_units_out() -> None:
    units, rows, _ = world(8)
    valid = np.ones(len(units), dtype=np.int32)
    valid[[3, 50, 130]] = 0
    result, _ = fit(units, rows, valid=valid)
    assert (result.corrections[valid == 0] == 0).all()
    assert (result.corrections[valid > 0] > 0).all()


def test_convergence__is_told() -> None:
    units, rows, _ = world(9)
    with pytest.warns(ConvergenceWarning, match="not converged after 3 iterations: the largest"):
        result, _ = fit(units, rows, max_iterations=3)
    assert not result.converged
    assert len(result.trace) == 4
    with pytest.raises(ConvergenceError, match="raise max_iterations or minchange"):
        fit(units, rows, max_iterations=3, on_nonconvergence="error")


def test_trace__falls_to_the_limit() -> None:
    units, rows, _ = world(10)
    result, _ = fit(units, rows)
    cost, change = result.trace.T
    assert change[-1] <= 1e-4 < change[-2]
    assert cost[-1] < cost[0]


def test_checkpoint__goes_on_to_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units, rows, _ = world(11)
    whole, _ = fit(units, rows)
    path = tmp_path / "state.npz"
    monkeypatch.setattr("hifive_dask._store.checkpoint.INTERVAL", 0.0)
    advance, rounds = joint_poisson.advance, []

    def interrupted(*arguments: Any) -> Any:
        if len(rounds) == 5:
            raise KeyboardInterrupt
        rounds.append(1)
        return advance(*arguments)

    monkeypatch.setattr(joint_poisson, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(units, rows, checkpoint=path)
    assert path.exists()
    rounds.append(1)
    monkeypatch.setattr(joint_poisson, "advance", lambda *a: (rounds.append(1), advance(*a))[1])
    again, _ = fit(units, rows, checkpoint=path)
    assert not path.exists()
    assert len(rounds) == 6 + len(whole.trace) - 5
    np.testing.assert_array_equal(again.corrections, whole.corrections)
    np.testing.assert_array_equal(again.trace, whole.trace)


@pytest.mark.parametrize("scheduler", ["threads", "sync"])
def test_bytes__do_not_depend_on_tasks(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    units, rows, _ = world(12, (60, 50, 40))
    whole, _ = fit(units, rows)
    monkeypatch.setattr(joint_poisson, "_TOGETHER", 1)
    with dask.config.set(scheduler=scheduler):
        apart, _ = fit(units, rows)
    # Sums over chromosomes are joined in another order.
    np.testing.assert_allclose(apart.corrections, whole.corrections, rtol=1e-6)
    with dask.config.set(scheduler="threads"):
        threads, _ = fit(units, rows)
    np.testing.assert_array_equal(threads.corrections, apart.corrections)


# Knots


def test_knots__join_bins_without_reads_to_the_one_before() -> None:
    edges = np.log([100, 200, 400, 800, 1e9]).astype(np.float32)
    sums = {
        "possible": np.array([10, 10, 10, 10, 10]),
        "signal": np.array([5.0, 0.0, 5.0, 5.0, 5.0]),
        "mean_log_distance": np.log([50, 150, 300, 600, 1000]),
        "edges": edges,
    }
    table = np.array([[np.inf, -1, 3]], dtype=np.float32)
    reads = np.array([4.0, 0.0, 3.0, 0.0, 2.0])
    knots = find_knots(sums, table, reads, (0, 2**62), itself=0)
    np.testing.assert_allclose(np.exp(knots.length), [50, 300, 1000])
    assert knots.moving.all()
    assert knots.bins.tolist() == fine_bins(edges, fends=True)[[1, 3]].tolist()
    np.testing.assert_allclose(knots.value, 3 - knots.length)
    law = knots.moved(np.array([0.0, 1.0, 0.0])).law()
    at = law.slope[0] * np.log(300) + law.intercept[0]
    assert at == pytest.approx(3 - np.log(300) + 1)


def test_knots__outside_the_window_stay() -> None:
    sums = {
        "possible": np.array([10, 10, 10, 10]),
        "signal": np.array([5.0, 5.0, 5.0, 5.0]),
        "mean_log_distance": np.log([50, 150, 300, 600]),
        "edges": np.log([100, 200, 400, 1e9]).astype(np.float32),
    }
    table = np.array([[np.inf, -1, 3]], dtype=np.float32)
    reads = np.array([0.0, 3.0, 3.0, 0.0])
    knots = find_knots(sums, table, reads, (120, 400), itself=0)
    assert knots.moving.tolist() == [False, True, True, False]
    moved = knots.moved(np.array([1.0, 2.0]))
    np.testing.assert_allclose(moved.value - knots.value, [0, 1, 2, 0])


# The documented call


@pytest.fixture
def hic(tmp_path: Path) -> hd.HiC:
    project = hd.HiC(toy_project(tmp_path), silent=True)
    project.filter_fends(mininteractions=5)
    project.find_distance_parameters(numbins=20, minsize=2000)
    return project


def test_call__centres_maps_on_one(hic: hd.HiC, tmp_path: Path) -> None:
    before = hic.distance_parameters
    hic.find_probability_fend_corrections(model="poisson", refit_distance=True)
    assert hic.converged
    assert hic.calibrated
    assert hic.distance_parameters is not None
    assert before is not None
    assert hic.distance_parameters.shape == before.shape
    assert hic.observed_reads is not None
    assert hic.expected_reads is not None
    np.testing.assert_allclose(hic.expected_reads, hic.observed_reads, rtol=1e-4)
    assert hic.trans_means is not None
    hic.save(tmp_path / "saved.zarr")
    again = hd.HiC(tmp_path / "saved.zarr", silent=True)
    np.testing.assert_array_equal(again.distance_parameters, hic.distance_parameters)
    record = again.last_normalization
    assert record is not None
    assert record["parameters"]["refit_distance"] is True


def test_call__refuses_what_is_not_defined(hic: hd.HiC) -> None:
    with pytest.raises(ParameterError, match="refit_distance=True with model='binomial'"):
        hic.find_probability_fend_corrections(refit_distance=True)
    with pytest.raises(ParameterError, match="refit_distance=True and precorrect=True exclude"):
        hic.find_probability_fend_corrections(model="poisson", precorrect=True, refit_distance=True)
    hic.distance_sums = {}
    with pytest.raises(StateError, match=r"needs the distance bins, .* find_distance_parameters"):
        hic.find_probability_fend_corrections(model="poisson", refit_distance=True)


def test_call__of_some_chromosomes_keeps_the_distance_function(hic: hd.HiC) -> None:
    before = hic.distance_parameters
    hic.find_probability_fend_corrections(model="poisson", refit_distance=True, chroms=["chr1"])
    assert hic.distance_parameters is before


@pytest.mark.parametrize("fends", [True, False], ids=["fends", "bins"])
def test_signal__is_what_the_knots_say(fends: bool) -> None:
    units, rows, _ = world(13, (60, 40), fends=fends)
    result, model = fit(units, rows, minsize=2000 if fends else 35_000)
    assert result.signal is not None
    assert result.distance_parameters is not None
    kept = model.signal > 0
    assert (result.signal[kept] > 0).all()
    later = np.flatnonzero(kept)[1:]  # of bins, the first one has two knots
    middle = np.exp(model.mean_log_distance[later])
    table = result.distance_parameters.astype(np.float64)
    k = np.searchsorted(table[:, 0], np.log(middle) - 1e-6)
    line = np.exp(table[k, 1] * np.log(middle) + table[k, 2])
    np.testing.assert_allclose(result.signal[later] / model.possible[later], line, rtol=1e-4)
