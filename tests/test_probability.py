"""Probability: fast sums, the toy of the specification, reference results, division of work."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask._kernels.fast_products import CLIP, fast_terms, power_law
from hifive_dask._kernels.pair_trees import build_trees
from hifive_dask._kernels.probability import STIFF
from hifive_dask._store.pairs import PairStore, write_pairs
from hifive_dask.errors import ConvergenceError, HifiveDaskWarning, ParameterError, StateError
from hifive_dask.genome.partition import Units
from hifive_dask.model import descent, probability
from hifive_dask.model import rows as rows_module
from hifive_dask.model.chromosomes import likelihoods, plan, used_rows
from hifive_dask.model.descent import Limits
from hifive_dask.model.distance import fit_distance
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.likelihood import Here
from hifive_dask.model.probability import ProbabilityResult, Settings, maximize
from hifive_dask.model.rows import cis_pieces
from hifive_dask.testing import toy_project
from tests.reference_model import (
    Array,
    expected_reads,
    pairs_of,
    random_world,
    store_of,
    toy_rows,
    toy_units,
    units_of,
)
from tests.test_model_golden import World
from tests.test_pair_sums import genomes
from tests.test_pair_sums import segments as thresholds_of

TABLE = np.array([[7.5, -0.5, 1.0], [8.5, -0.9, 4.0], [np.inf, -1.2, 6.55]], dtype=np.float32)
MODELS = ["binomial", "poisson"]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def run(units: Units, rows: Array | PairStore, **options: Any) -> ProbabilityResult:
    arguments: dict[str, Any] = {
        "parameters": TABLE, "chroms": range(len(units.chromosomes)), "silent": True, **options,
    }  # fmt: skip
    valid = arguments.pop("valid", np.ones(len(units), dtype=np.int32))
    start = arguments.pop("start", np.ones(len(units), dtype=np.float32))
    means = arguments.pop("means", np.zeros(len(units.chromosomes), dtype=np.float32))
    store = rows if isinstance(rows, PairStore) else store_of(rows, units)
    own = {"model": arguments.pop("model", "poisson"), "binning": arguments.pop("binning", None)}
    return maximize(units, valid, store, start, means, Settings(**arguments), **own)


def whole(
    units: Units,
    store: PairStore,
    chrom: int,
    valid: Array,
    model: str,
    table: Array = TABLE,
    window: tuple[int, int] = (0, 0),
    binning: BinningModel | None = None,
) -> tuple[Here, Here, Array]:
    """Likelihood of a chromosome, one that sums what is expected, and the units they are of."""
    problem = plan(
        units, valid, range(len(units.chromosomes)), parameters=table, window=window,
        binomial=model == "binomial", start=None, limits=Limits(1e-4, 1000, 0.5), binning=binning,
    )  # fmt: skip
    first, second, count = used_rows(cis_pieces(store, [chrom]), problem)
    own = units.chromosome[first] == chrom
    pair = likelihoods(problem, chrom, (first[own], second[own], count[own]))
    span = units.span(chrom)
    return *pair, np.flatnonzero(problem.used[span]) + span.start


def cost_of(likelihood: Here, c: Array, edge: float) -> tuple[float, Array]:
    """Cost, and its derivative by c."""
    terms = likelihood.terms(c, edge)
    cost = terms.cost - likelihood.observed @ np.log(c) - likelihood.constant
    return cost, (terms.gradient - likelihood.observed) / c


# Fast sums


def plain_loss(q: Array, edge: float) -> tuple[Array, Array]:
    """Loss and its derivative by ln(q)."""
    if edge == 0:
        return q, q
    near = np.minimum(q, edge)
    step = np.log(np.maximum(q, edge) / edge)
    slope, bend = near / (1 - near), np.where(q < edge, 0.0, edge / (1 - edge) ** 2)
    if edge == CLIP:
        return -np.log(1 - near), np.where(q < edge, slope, 0.0)
    return -np.log1p(-near) + slope * step + bend * step**2 / 2, slope + bend * step


@given(genomes(), thresholds_of(), st.sampled_from([0.0, 0.9, 0.999, CLIP]), st.data())
@settings(max_examples=200, deadline=None)
def test_fast_terms__equal_the_loop_over_pairs(
    genome: tuple[Array, Array, Array], thresholds: Array, edge: float, data: Any
) -> None:
    mid, _, edges = genome
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    thresholds = np.unique(thresholds)
    slope = rng.uniform(-3, 1, len(thresholds) + 1)
    ends = np.log(np.r_[thresholds, 2**31])
    level = data.draw(st.sampled_from([-12.0, -4.0, 0.0]))
    intercept = level + rng.uniform(-2, 1, len(slope)) - slope * ends
    intercept[rng.random(len(slope)) < 0.2] = -np.inf
    c = np.exp(rng.normal(0, 1, len(mid)))
    longest = int(mid[-1] - mid[0]) if len(mid) else 0
    law = power_law(thresholds, slope, intercept, longest, binomial=edge > 0)
    terms = fast_terms(build_trees(mid, c, edges), law, 0, len(edges) - 1, c, edge)
    distance = np.abs(mid[:, None].astype(np.int64) - mid)
    k = np.searchsorted(thresholds, distance)
    with np.errstate(over="ignore"):
        m = np.exp(np.where(intercept == -np.inf, 0, slope)[k] * np.log(np.maximum(1, distance)))
        q = np.exp(np.log(m) + intercept[k]) * np.outer(c, c)
    value, derivative = plain_loss(q, edge)
    for part in (value, derivative):
        np.fill_diagonal(part, 0)
    beyond = (q >= edge) if edge else np.zeros_like(q, dtype=bool)
    np.fill_diagonal(beyond, False)
    np.testing.assert_allclose(terms.cost, value.sum() / 2, rtol=3e-8)
    # Losses close to the clip magnify the last bit of q.
    np.testing.assert_allclose(terms.gradient, derivative.sum(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(terms.clipped, beyond.sum(axis=1))


def test_fast_terms__are_accurate_in_a_large_chromosome() -> None:
    rng = np.random.default_rng(3)
    mid = np.sort(rng.choice(20_000_000, 3_000, replace=False)).astype(np.int64)
    thresholds = np.unique(np.geomspace(2_000, 2e7, 40).astype(np.int64))
    slope = -1 + 0.3 * np.sin(np.arange(len(thresholds) + 1))
    intercept = 8 - (slope + 1) * np.log(np.r_[thresholds, 2e7])
    c = np.exp(rng.normal(0, 0.4, len(mid)))
    distance = np.abs(mid[:, None] - mid)
    k = np.searchsorted(thresholds, distance)
    q = np.exp(slope[k] * np.log(np.maximum(1, distance)) + intercept[k]) * np.outer(c, c)
    for edge in (0.0, 0.9):
        law = power_law(thresholds, slope, intercept, 20_000_000, binomial=edge > 0)
        pieces = np.linspace(0, len(mid), 9).astype(np.int64)
        trees = build_trees(mid, c, pieces)
        parts = [fast_terms(trees, law, lo, lo + 2, c, edge) for lo in (0, 2, 4, 6)]
        value, derivative = plain_loss(q, edge)
        np.fill_diagonal(value, 0)
        np.fill_diagonal(derivative, 0)
        cost, gradient = sum(p.cost for p in parts), np.sum([p.gradient for p in parts], axis=0)
        np.testing.assert_allclose(cost, value.sum() / 2, rtol=2e-8)
        np.testing.assert_allclose(gradient, derivative.sum(axis=1), rtol=2e-8)


# Cost and gradient


def binning_of(units: Units, seed: int) -> BinningModel:
    rng = np.random.default_rng(seed)
    bins, n = 3, len(units)
    b = rng.integers(0, bins, n).astype(np.int32)
    row = b * (bins - 1) - b * (b - 1) // 2
    return BinningModel(
        ("gc",), np.array([bins], dtype=np.int32), np.array([0, 6], dtype=np.int32),
        rng.uniform(0.5, 1.5, 6).astype(np.float32), np.stack([b, row], axis=-1)[:, None, :],
    )  # fmt: skip


def plain_cost(
    units: Units, rows: Array, chrom: int, valid: Array, c: Array, model: str, **options: Any
) -> float:
    """The likelihood as the specification writes it, pair by pair."""
    low, high = options["window"]
    binning, reads = options["binning"], {(int(i), int(j)): int(n) for i, j, n in rows}
    cost = 0.0
    for i, j, cis in pairs_of(units):
        d = units.mid[j] - units.mid[i]
        wanted = cis and units.chromosome[i] == chrom and valid[i] and valid[j]
        if not wanted or d < low or (high and d > high):
            continue
        m = expected_reads(units, i, j, TABLE, np.zeros(9))
        if binning is not None:
            m *= float(binning.factors(np.array([i]), np.array([j]))[0])
        q, n = m * c[i] * c[j], reads.get((i, j), 0)
        if model == "poisson":
            cost += q - n * np.log(q)
        else:
            cost -= np.log(q) if n else np.log(max(1e-7, 1 - q))
    return cost


@pytest.mark.parametrize("fends", [True, False])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("window", [(0, 0), (1, 0), (2_000, 9_000)])
@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_cost__is_the_one_of_the_specification(
    fends: bool, model: str, window: tuple[int, int], chained: bool, seed: int
) -> None:
    units, rows = random_world(seed, fends=fends, density=0.4)
    rows = np.array([r for r in rows.tolist() if units.chromosome[r[0]] == units.chromosome[r[1]]])
    rng = np.random.default_rng(seed)
    valid = (rng.random(len(units)) < 0.8).astype(np.int32)
    binning = binning_of(units, seed) if chained else None
    options = {"window": window, "binning": binning}
    for chrom in range(3):
        likelihood, _, own = whole(units, store_of(rows, units), chrom, valid, model, **options)
        c = np.zeros(len(units))
        c[own] = rng.uniform(0.2, 1.2, len(own))
        found, gradient = cost_of(likelihood, c[own], CLIP if model == "binomial" else 0.0)
        exact = plain_cost(units, rows, chrom, valid, c, model, **options)
        assert found == pytest.approx(exact, rel=1e-8, abs=1e-8)
        for k in range(0, len(own), 3):
            ends = []
            for sign in (-1, 1):
                moved = c.copy()
                moved[own[k]] *= 1 + sign * 1e-6
                ends.append(plain_cost(units, rows, chrom, valid, moved, model, **options))
            slope = (ends[1] - ends[0]) / (2e-6 * c[own[k]])
            assert gradient[k] == pytest.approx(slope, rel=1e-4, abs=1e-4)


def test_continued_loss__is_smooth_at_its_edge() -> None:
    units, rows = random_world(4, fends=True, density=0.3)
    ones = np.ones(len(units), dtype=np.int32)
    likelihood, _, own = whole(units, store_of(rows, units), 0, ones, "binomial")
    c = np.full(len(own), 4.5)
    assert likelihood.terms(c, 0.9).clipped.any()
    cost, gradient = cost_of(likelihood, c, 0.9)
    for k in range(len(own)):
        ends = [cost_of(likelihood, c + s * 1e-6 * (np.arange(len(c)) == k), 0.9) for s in (-1, 1)]
        assert (ends[1][0] - ends[0][0]) / 2e-6 == pytest.approx(gradient[k], rel=1e-4, abs=1e-4)
    assert cost < cost_of(likelihood, c, 0.99)[0]


@pytest.mark.parametrize("fends", [True, False])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("chained", [False, True])
def test_couplings__are_the_large_second_derivatives(
    fends: bool, model: str, chained: bool
) -> None:
    units, rows = random_world(6, fends=fends, density=0.4, sizes=(30, 9, 2))
    valid = (np.random.default_rng(6).random(len(units)) < 0.9).astype(np.int32)
    binning = binning_of(units, 6) if chained else None
    likelihood, _, own = whole(units, store_of(rows, units), 0, valid, model, binning=binning)
    edge, n = likelihood.edges[0], len(own)
    u = np.random.default_rng(7).uniform(-0.5, 1.5, n)
    exact = np.empty((n, n))
    for j in range(n):
        ends = [u + sign * 1e-5 * (np.arange(n) == j) for sign in (-1, 1)]
        low, high = (likelihood.terms(np.exp(end), edge).gradient for end in ends)
        exact[:, j] = (high - low) / 2e-5
    scale = np.maximum(np.diag(exact), 1e-12)
    first, second, value = likelihood.couplings(np.exp(u), scale, edge)
    found = np.zeros((n, n))
    np.add.at(found, (first, second), value)
    assert (first < second).all()
    expected = np.triu(exact, 1)
    large = expected > STIFF * np.sqrt(np.outer(scale, scale)) * 1.001
    assert 0 < large.sum() < n * (n - 1) / 2
    np.testing.assert_allclose(found[large], expected[large], rtol=1e-4)
    there = found > 1e-9
    np.testing.assert_allclose(found[there], expected[there], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_inverse__is_the_one_of_the_matrix_of_free_units(model: str) -> None:
    units, rows = random_world(8, fends=True, density=0.4)
    ones = np.ones(len(units), dtype=np.int32)
    likelihood, _, own = whole(units, store_of(rows, units), 0, ones, model)
    n, edge = len(own), likelihood.edges[0]
    state = descent.begin(likelihood, np.full(n, 2.0), Limits(1e-4, 1000, 0.5))
    free = np.arange(n) % 5 != 2
    first, second, value = likelihood.couplings(np.full(n, 2.0), state.scale, edge)
    pairs = np.zeros((n, n))
    np.add.at(pairs, (first, second), value)
    pairs = ((pairs + pairs.T) * free)[free]
    scale = state.scale[free]
    rest = scale - pairs.sum(axis=1)
    assert pairs.any()
    assert (rest >= 0).all()
    whole_sum = np.diag(scale) + pairs[:, free] + np.outer(rest, rest) / rest.sum()
    # Exact for a change of all units alike: each row's sum is twice its diagonal.
    np.testing.assert_allclose(whole_sum.sum(axis=1), 2 * scale)
    vector = np.random.default_rng(9).normal(size=n)
    found = descent._inverse(likelihood, state, free)(vector)
    assert not found[~free].any()
    matrix = whole_sum + descent._SHIFT * np.diag(scale)
    np.testing.assert_allclose(matrix @ found[free], vector[free], rtol=1e-9, atol=1e-9)


# The toy, and the documented descent


def documented_descent(likelihood: Here, c: Array, steps: int) -> tuple[Array, list[float]]:
    """Gradient descent with backtracking, gradient and cost clipped alike."""
    edge = CLIP if likelihood.edges[0] else 0.0
    cost, gradient = cost_of(likelihood, c, edge)
    costs = [cost]
    for _ in range(steps):
        g = gradient / likelihood.possible
        length = 1.0
        for _ in range(10):
            trial = np.clip(c - length * g, 0.01, 100)
            found, after = cost_of(likelihood, trial, edge)
            if found - cost + length * (g @ g) <= 0:
                break
            length *= 0.5
        c, cost, gradient = trial, found, after
        costs.append(cost)
    return c, costs


def start_of(likelihood: Here, linear: Here) -> Array:
    expected = linear.terms(np.ones(len(linear.observed)), 0.0).gradient
    return np.clip(likelihood.observed / expected, 0.01, 100)


def toy(model: str) -> tuple[Units, PairStore, Array]:
    units, rows = toy_units(), toy_rows()
    store = store_of(rows, units)
    ones = np.ones(20, dtype=np.int32)
    fit = fit_distance(units, ones, store, numbins=5, minsize=2000, maxsize=0)
    return units, store, fit.binary_parameters if model == "binomial" else fit.parameters


def mean_of(c: Array) -> float:
    return float(np.log((c.sum() ** 2 - (c**2).sum()) / (len(c) * (len(c) - 1))))


def test_items_19_and_20_start_and_documented_steps() -> None:
    units, store, table = toy("binomial")
    ones = np.ones(20, dtype=np.int32)
    a, linear, _ = whole(units, store, 0, ones, "binomial", table)
    start = start_of(a, linear)
    np.testing.assert_allclose(start[:2], [7 / 6.78223681, 6 / 6.59816176], rtol=1e-6)
    c, costs = documented_descent(a, start, 3)
    np.testing.assert_allclose(costs[:2], [28.60918637, 27.98115468], rtol=1e-6)
    np.testing.assert_allclose([costs[3], mean_of(c)], [27.39830355, 0.10681280], rtol=2e-6)
    b, linear, _ = whole(units, store, 1, ones, "binomial", table)
    means = [
        mean_of(documented_descent(*pair, 1)[0]) for pair in ((a, start), (b, start_of(b, linear)))
    ]
    np.testing.assert_allclose(means, [0.06651710, 0.05020598], rtol=1e-5)


def test_items_21_and_22_poisson() -> None:
    units, store, table = toy("poisson")
    ones = np.ones(20, dtype=np.int32)
    a, linear, own = whole(units, store, 0, ones, "poisson", table)
    c, costs = documented_descent(a, start_of(a, linear), 1)
    np.testing.assert_allclose(costs, [24.24927945, 24.12464405], rtol=1e-6)
    assert mean_of(c) == pytest.approx(-0.02999379, rel=1e-5)
    result = run(units, store, parameters=table)
    np.testing.assert_allclose(result.traces[0][-1, 0], 24.09756347, rtol=1e-7)
    np.testing.assert_allclose(result.corrections[:2], [1.15247, 0.85836], rtol=2e-3)
    exact = run(units, store, parameters=table, minchange=1e-9)
    c = exact.corrections[own].astype(float) * np.exp(exact.chromosome_means[0] / 2)
    np.testing.assert_allclose(a.terms(c, 0.0).gradient, a.observed, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::hifive_dask.errors.HifiveDaskWarning")
@pytest.mark.parametrize("model", MODELS)
def test_cost__falls_while_the_edge_stays(model: str) -> None:
    units, rows = random_world(5, fends=True, density=0.6, sizes=(40, 30, 2))
    result = run(units, rows, model=model, parameters=TABLE - [0, 0, 1], minchange=1e-7)
    assert result.converged
    for trace in result.traces.values():
        rises = np.flatnonzero(np.diff(trace[:, 0]) > 1e-10 * trace[0, 0])  # beyond rounding
        assert len(rises) < (1 if model == "poisson" else len(descent.EDGES))
        assert trace[-1, 0] < trace[0, 0]
        assert trace[-1, 1] <= 1e-7


@pytest.mark.filterwarnings("ignore::hifive_dask.errors.HifiveDaskWarning")
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("seed", [0, 3, 7])
def test_descent__goes_on_where_rounding_hides_that_the_cost_falls(seed: int, model: str) -> None:
    units, rows = random_world(seed, fends=True, density=0.6, sizes=(40, 30, 2))
    result = run(units, rows, model=model, parameters=TABLE - [0, 0, 1], minchange=1e-9)
    assert result.converged


@given(st.integers(0, 2**32 - 1), st.sampled_from(MODELS), st.booleans())
@settings(max_examples=30, deadline=None)
def test_minimum__does_not_depend_on_the_start(seed: int, model: str, fends: bool) -> None:
    units, rows = random_world(seed, fends=fends, density=0.5)
    rng = np.random.default_rng(seed)
    # Nearer to the minimum, rounding decides whether a step lowers the cost.
    options = {"model": model, "minchange": 1e-7, "on_nonconvergence": "ignore"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)
        one = run(units, rows, **options)
        start = np.exp(rng.normal(0, 2, len(units))).astype(np.float32)
        two = run(units, rows, start=start, precalculate=False, **options)
    assert np.isfinite(one.corrections).all()
    assert np.isfinite(one.chromosome_means).all()
    for chrom, trace in one.traces.items():
        np.testing.assert_allclose(trace[-1, 0], two.traces[chrom][-1, 0], rtol=1e-6, atol=1e-5)


# Reference results


@pytest.fixture(scope="module")
def sim(shared: Path) -> World:
    return World(shared / "golden/sim-small", "hifive/sim.fends", "hifive/sim.hcd")


@pytest.fixture(scope="module")
def rebinned(shared: Path) -> World:
    return World(
        shared / "golden/sim-small", "hifive/sim_rebinned.fends", "hifive/sim_rebinned.hcd"
    )


@pytest.fixture(scope="module")
def calls(shared: Path) -> dict[str, Any]:
    text = (shared / "golden/sim-small/calls.json").read_text()
    result: dict[str, Any] = json.loads(text)
    return result


@pytest.fixture(scope="module")
def case(shared: Path, compare: ModuleType) -> Any:
    return compare.load_case(str(shared / "golden/sim-small"))


def golden(case: Any, prefix: str) -> dict[str, Array]:
    return {k[len(prefix) :]: v[0] for k, v in case.items() if k.startswith(prefix)}


def binning_in(case: Any, name: str) -> BinningModel:
    part = golden(case, f"binning/{name}.")
    return BinningModel(
        ("gc", "len"), part["binning_num_bins"], part["binning_correction_indices"],
        part["binning_corrections"], part["binning_fend_indices"],
    )  # fmt: skip


PROBABILITY = [
    "binomial", "binomial_steps5", "binomial_window", "binomial_flat_start", "poisson",
    "poisson_steps5", "poisson_window", "chroms",
]  # fmt: skip


def reference(
    world: World, case: Any, name: str, options: dict[str, Any], valid: Array, tables: str
) -> tuple[ProbabilityResult, dict[str, Array]]:
    """Our result; after cost, gradient and documented steps were compared with the reference."""
    units, expected = world.units, golden(case, name)
    options = dict(options)
    model = options.get("model", "binomial")
    window = (options.get("mindistance", 0), options.get("maxdistance", 0))
    binning = binning_in(case, "gc_len_distance") if options.pop("precorrect", False) else None
    table = golden(case, tables)[f"{'bin_' if model == 'binomial' else ''}distance_parameters"]
    chroms = units.select(options.pop("chroms", None))
    steps = options.pop("max_iterations", None)
    at_ones, at_start, c_after = [], [], np.ones(len(units))
    for k, chrom in enumerate(chroms):
        likelihood, linear, own = whole(
            units, world.store, chrom, valid, model, table, window, binning
        )
        edge = CLIP if model == "binomial" else 0.0
        ones = np.ones(len(own))
        start = start_of(likelihood, linear) if options.get("precalculate", True) else ones
        for c, gradients, which in (
            (ones, at_ones, "cost_at_ones"),
            (start, at_start, "start_cost"),
        ):
            cost, gradient = cost_of(likelihood, c, edge)
            gradients.append(gradient)
            np.testing.assert_allclose(cost, expected[which][k], rtol=1e-6)
        if steps:
            c, costs = documented_descent(likelihood, start, steps)
            np.testing.assert_allclose(costs[-1], expected["final_cost"][k], rtol=1e-6)
            c_after[own] = c / np.exp(mean_of(c) / 2)
            np.testing.assert_allclose(c_after[own], expected["corrections"][own], rtol=1e-4)
    for found, which in ((at_ones, "gradient_at_ones"), (at_start, "gradient_at_start")):
        np.testing.assert_allclose(np.concatenate(found), expected[which], rtol=1e-5, atol=1e-6)
    return run(
        units, world.store, valid=valid, parameters=table, chroms=chroms, binning=binning,
        **{**options, "model": model},
    ), expected  # fmt: skip


@pytest.mark.golden
@pytest.mark.parametrize("name", PROBABILITY)
def test_sim_small__probability(sim: World, calls: Any, case: Any, name: str) -> None:
    options = calls["probability"][name]
    result, expected = reference(
        sim, case, f"probability/{name}.", options, case["filter/base"][0], "distance/base."
    )
    assert result.converged
    # The one minimum: of the plain start, where the reference is not caught on the plateau.
    best = expected
    if options.get("model") != "poisson" and not options.get("mindistance"):
        best = golden(case, "probability/binomial_flat_start.")
    learned = result.corrections[sim.units.chromosome >= (2 if name == "chroms" else 0)]
    if name == "binomial_window":
        costs = [trace[-1, 0] for trace in result.traces.values()]
        assert (np.array(costs) < expected["optimum_cost"]).all()
        return
    costs = [trace[-1, 0] for trace in result.traces.values()]
    np.testing.assert_allclose(costs, best["optimum_cost"][-len(costs) :], rtol=1e-6)
    wanted = best["optimum_corrections"][-len(learned) :]
    np.testing.assert_allclose(learned, np.where(learned > 0, wanted, 0), rtol=2e-3)
    means = best["optimum_chromosome_means"][-len(costs) :]
    np.testing.assert_allclose(result.chromosome_means[-len(costs) :], means, atol=1e-4)
    assert not result.corrections[case["filter/base"][0] == 0].any()


@pytest.mark.golden
def test_sim_small__chained(sim: World, case: Any) -> None:
    options = {"model": "poisson", "precorrect": True}
    name, valid = "chained/binning-probability.", case["filter/base"][0]
    result, expected = reference(sim, case, name, options, valid, "distance/base.")
    used = valid > 0
    np.testing.assert_allclose(
        result.corrections[used], expected["optimum_corrections"][used], rtol=2e-3
    )
    np.testing.assert_allclose(
        result.chromosome_means, expected["optimum_chromosome_means"], atol=1e-4
    )


@pytest.mark.golden
@pytest.mark.parametrize("name", ["poisson_nodiagonal", "binomial_nodiagonal"])
@pytest.mark.filterwarnings("ignore::hifive_dask.errors.HifiveDaskWarning")
def test_sim_small__binned(rebinned: World, calls: Any, case: Any, name: str) -> None:
    valid = golden(case, "binned/")["filter"]
    options, prefix = calls["binned_probability"][name], f"binned/probability_{name}."
    result, expected = reference(rebinned, case, prefix, options, valid, "binned/distance.")
    costs = np.array([trace[-1, 0] for trace in result.traces.values()])
    used = valid > 0
    if name.startswith("poisson"):
        np.testing.assert_allclose(costs, expected["optimum_cost"], rtol=1e-6)
        wanted = expected["optimum_corrections"]
        np.testing.assert_allclose(result.corrections[used], wanted[used], rtol=2e-3)
        return
    # The reference ends with some pairs on the plateau. On the first chromosome that costs more; on
    # the others, where nearly all pairs were seen, the minimum below the plateau is not the lowest.
    assert costs[0] < expected["final_cost"][0] - 10
    for chrom in (0, 1):
        own = whole(
            rebinned.units, rebinned.store, chrom, valid, "binomial",
            case["binned/distance.bin_distance_parameters"][0], (1, 0),
        )  # fmt: skip
        c = result.corrections[own[2]] * np.exp(result.chromosome_means[chrom] / 2)
        assert result.traces[chrom][-1, 1] <= 1e-4
        assert not own[0].terms(c.astype(float), CLIP).clipped.any()


@pytest.mark.golden
@pytest.mark.parametrize(("model", "file"), [("binomial", "bin"), ("poisson", "pois")])
def test_hifive__likelihood_is_larger_than_there(shared: Path, model: str, file: str) -> None:
    import h5py

    folder = shared / "golden/hifive-tests"
    world = World(folder, "test.fends", "test.hcd")
    with h5py.File(folder / f"test_prob{file}.hcp") as hcp:
        valid = hcp["filter"][...]
        table = hcp[f"{'bin_' if model == 'binomial' else ''}distance_parameters"][...]
    result = run(
        world.units, world.store, valid=valid, parameters=table, model=model, mindistance=20000
    )
    costs = [trace[-1, 0] for trace in result.traces.values()]
    theirs = {"binomial": [6206.864, 6895.027], "poisson": [6933.305, 7854.804]}[model]
    assert (np.array(costs) <= np.array(theirs) + 1e-3).all()
    assert list(result.traces) == [0, 1]


# Division of work


@pytest.mark.filterwarnings("ignore::hifive_dask.errors.HifiveDaskWarning")
@pytest.mark.parametrize("spread", [4, 20_000])
def test_schedulers__same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_every_scheduler: Any, spread: int
) -> None:
    units, rows = random_world(11, fends=True, density=0.5, sizes=(40, 30, 4))
    write_pairs(tmp_path / "pairs.zarr", store_of(rows, units), {})
    store = PairStore.open(tmp_path / "pairs.zarr")
    monkeypatch.setattr(rows_module, "SPAN", 100)
    monkeypatch.setattr(probability, "SPREAD", spread)

    def results(_: str) -> list[bytes]:
        limits = {"minchange": 1e-3, "max_iterations": 5, "on_nonconvergence": "ignore"}
        found = [run(units, store, model=model, **limits) for model in MODELS]
        parts = [(r.corrections, r.chromosome_means, r.trace) for r in found]
        return [part.tobytes() for own in parts for part in own]

    one, threads, processes = on_every_scheduler(results)
    assert one == threads == processes


@pytest.mark.filterwarnings("ignore::hifive_dask.errors.HifiveDaskWarning")
@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_large_chromosomes__are_learned_like_small_ones(
    monkeypatch: pytest.MonkeyPatch, model: str, chained: bool
) -> None:
    units, rows = random_world(12, fends=True, density=0.5, sizes=(60, 30, 2))
    options = {"model": model, "binning": binning_of(units, 1) if chained else None}
    small = run(units, rows, **options)
    for name in ("SPREAD", "SPREAD_PLAIN"):
        monkeypatch.setattr(probability, name, 10)
    large = run(units, rows, **options)
    np.testing.assert_allclose(large.corrections, small.corrections, rtol=1e-5)
    np.testing.assert_allclose(large.trace[-1, 0], small.trace[-1, 0], rtol=1e-9)


@pytest.mark.filterwarnings("ignore::hifive_dask.errors.HifiveDaskWarning")
@pytest.mark.parametrize("model", MODELS)
def test_interrupted_work__goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    units, rows = random_world(13, fends=True, density=0.5, sizes=(40, 30))
    monkeypatch.setattr(probability, "SPREAD", 10)
    monkeypatch.setattr("hifive_dask._store.checkpoint.INTERVAL", 0.0)
    path = tmp_path / "state.npz"
    options = {"model": model, "minchange": 1e-6}
    advance, calls = descent.advance, [0]

    def counted(*arguments: Any) -> Any:
        calls.append(calls[-1] + 1)
        if calls[-1] in stops:
            raise KeyboardInterrupt
        return advance(*arguments)

    stops: list[int] = []
    monkeypatch.setattr(descent, "advance", counted)
    expected = run(units, rows, **options)
    steps = calls[-1]
    stops += [steps + 3, 2 * steps]
    for _ in stops:
        with pytest.raises(KeyboardInterrupt):
            run(units, rows, checkpoint=path, **options)
        assert path.exists()
    result = run(units, rows, checkpoint=path, **options)
    assert calls[-1] == 2 * steps + 2  # none is taken twice, but for the interrupted ones
    for name in ("corrections", "chromosome_means", "trace"):
        assert getattr(result, name).tobytes() == getattr(expected, name).tobytes()
    assert not path.exists()


def test_chosen_chromosomes__are_learned_as_if_alone() -> None:
    units, rows = toy_units(), toy_rows()
    start, means = np.full(20, 0.5, dtype=np.float32), np.array([3, 4], dtype=np.float32)
    both = run(units, rows)
    second = run(units, rows, chroms=[1], start=start, means=means)
    np.testing.assert_array_equal(second.corrections[:12], start[:12])
    np.testing.assert_array_equal(second.corrections[12:], both.corrections[12:])
    np.testing.assert_array_equal(second.chromosome_means, [3, both.chromosome_means[1]])


def test_window__holds_both_ends() -> None:
    units = toy_units()
    ones = np.ones(20, dtype=np.int32)
    counts = [
        plan(
            units, ones, [0, 1], parameters=TABLE, window=window, binomial=False, start=None,
            limits=Limits(1e-4, 1, 0.5),
        ).possible.sum() // 2
        for window in ((0, 4274), (0, 4273), (4274, 0), (4275, 0))
    ]  # fmt: skip
    assert counts == [32, 29, 68 - 29, 68 - 32]


# Little data


def test_fend_without_partners__keeps_1_and_is_reported() -> None:
    units, rows = toy_units(), toy_rows()
    mid = units.mid.copy()
    mid[11] += 500_000
    far = units_of([12, 8], mid, True)
    rows = np.array([r for r in rows.tolist() if 11 not in r[:2]])
    with pytest.warns(HifiveDaskWarning, match="1 have no pair that can be used"):
        result = run(far, rows, maxdistance=11_000)
    assert result.corrections[11] == 1
    assert result.unused.tolist() == [11]
    assert np.isfinite(result.corrections).all()
    c = result.corrections[:11].astype(float)
    assert mean_of(c) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_fend_without_reads__goes_to_the_lower_limit(model: str) -> None:
    units = toy_units()
    rows = np.array([r for r in toy_rows().tolist() if 5 not in r[:2]])
    with pytest.warns(HifiveDaskWarning, match=r"1 have possible partners, but no observed pair"):
        result = run(units, rows, model=model)
    assert result.unobserved.tolist() == [5]
    lowest = 0.01 / np.exp(result.chromosome_means[0] / 2)
    assert result.corrections[5] == pytest.approx(lowest, rel=1e-5)
    assert result.converged


def test_chromosome_without_reads_or_with_one_fend__keeps_1_with_mean_0() -> None:
    units, rows = toy_units(), toy_rows()
    valid = np.array([1] * 12 + [0] * 7 + [1], dtype=np.int32)
    means = np.array([2, 3], dtype=np.float32)
    with pytest.warns(HifiveDaskWarning, match="1 have no pair"):
        result = run(units, rows, valid=valid, means=means)
    assert result.corrections[19] == 1
    assert result.chromosome_means[1] == 0
    assert not result.corrections[12:19].any()
    only_a = np.array([r for r in rows.tolist() if r[0] < 12])
    with pytest.warns(HifiveDaskWarning, match="8 have no pair"):
        result = run(units, only_a)
    assert (result.corrections[12:] == 1).all()
    assert list(result.traces) == [0]


def test_everything_seen__is_reported_at_the_upper_limit() -> None:
    units, _ = toy_units(), None
    rows = np.array([(i, j, 1) for i, j, cis in pairs_of(units) if cis])
    with pytest.warns(HifiveDaskWarning, match="20 are at the upper limit.*use model='poisson'"):
        result = run(units, rows, model="binomial")
    np.testing.assert_allclose(result.corrections, 1, rtol=1e-6)
    assert result.converged


def test_no_possible_pair__is_an_error() -> None:
    with pytest.raises(
        StateError, match=r"no two (fends|bins) in use have a distance in the window"
    ):
        run(toy_units(), toy_rows(), mindistance=1_000_000)


# Arguments and convergence


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"model": "normal"}, "model is 'normal', expected 'binomial' or 'poisson'"),
        ({"max_iterations": 0}, "max_iterations is 0, expected 1 or more"),
        ({"max_iterations": 1.5}, "max_iterations is 1.5, expected a whole number"),
        ({"learningstep": 1.0}, "learningstep is 1.0, expected a number between 0 and 1"),
        ({"learningstep": "x"}, "learningstep is 'x', expected a number between 0 and 1"),
        ({"minchange": 0}, "minchange is 0, expected a number above 0"),
        ({"mindistance": 10, "maxdistance": 5}, "maxdistance 5 must be above mindistance 10"),
        ({"on_nonconvergence": "stop"}, "on_nonconvergence is 'stop'"),
        ({"start": np.ones(3, dtype=np.float32)}, r"corrections has the shape \(3,\)"),
        ({"valid": np.ones(3, dtype=np.int32)}, r"the filter has the shape \(3,\)"),
    ],
)
def test_bad_arguments__are_errors(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        run(toy_units(), toy_rows(), **options)


def test_error_policy__raises() -> None:
    with pytest.raises(ConvergenceError, match="not converged after 1 iterations on c0, c1: the"):
        run(toy_units(), toy_rows(), max_iterations=1, on_nonconvergence="error")


@pytest.mark.filterwarnings("ignore::hifive_dask.errors.HifiveDaskWarning")
def test_no_step_that_helps__keeps_the_corrections(monkeypatch: pytest.MonkeyPatch) -> None:
    units, rows = toy_units(), toy_rows()
    evaluate = descent._evaluate
    begun: list[Array] = []

    def rising(likelihood: Any, point: Array, stage: int) -> Any:
        value = evaluate(likelihood, point, stage)
        begun.append(point)
        return value._replace(cost=float(len(begun)))

    monkeypatch.setattr(descent, "_evaluate", rising)
    result = run(units, rows, chroms=[0], on_nonconvergence="ignore")
    assert result.stalled == (0,)
    assert not result.converged
    assert result.trace.tolist() == [result.trace[0].tolist()] * 2
    c = np.exp(begun[0])
    np.testing.assert_allclose(result.corrections[:12], c / np.exp(mean_of(c) / 2), rtol=1e-6)


# The project


def project() -> hd.HiC:
    hic = hd.HiC(toy_project(), silent=True)
    hic.filter_fends(mininteractions=5)
    hic.find_distance_parameters(numbins=20, minsize=2000)
    return hic


def test_project__second_run_changes_nothing() -> None:
    hic = project()
    hic.find_probability_fend_corrections(model="poisson")
    assert hic.normalization == "probability"
    assert "find_probability_fend_corrections(" in hic.history
    first = hic.corrections, hic.chromosome_means
    assert not hic.corrections[hic.filter == 0].any()
    hic.find_probability_fend_corrections(model="poisson")
    np.testing.assert_array_equal(hic.corrections, first[0])
    np.testing.assert_array_equal(hic.chromosome_means, first[1])


def test_project__needs_what_it_uses_and_stays_as_it_was() -> None:
    hic = hd.HiC(toy_project(), silent=True)
    with pytest.raises(StateError, match="Probability needs the distance dependence"):
        hic.find_probability_fend_corrections()
    hic = project()
    with pytest.raises(StateError, match="precorrect=True needs a binning model"):
        hic.find_probability_fend_corrections(precorrect=True)
    with pytest.raises(ConvergenceError, match="not converged"):
        hic.find_probability_fend_corrections(max_iterations=1, on_nonconvergence="error")
    with pytest.raises(ParameterError, match="chrQ"):
        hic.find_probability_fend_corrections(chroms="chrQ")
    assert hic.normalization == "none"
    assert hic.corrections is None
    assert not hic.chromosome_means.any()


def test_project__chains_after_binning() -> None:
    hic = project()
    model = binning_of(hic.units, 3)
    hic.model_parameters = np.array(model.features)
    hic.binning_num_bins, hic.binning_correction_indices = model.num_bins, model.offset
    hic.binning_corrections, hic.binning_fend_indices = model.corrections, model.fend_indices
    hic.find_probability_fend_corrections(precorrect=True, model="poisson", maxdistance=100_000)
    assert hic.normalization == "binning-probability"
    chained = hic.corrections
    hic.find_probability_fend_corrections(model="poisson", maxdistance=100_000)
    assert np.abs(chained - hic.corrections).max() > 0.01
