"""Fast balancing: Knight-Ruiz and the accelerated Express, against plain oracles."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import cooler
import dask
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask._kernels.express import lowest
from hifive_dask._store.checkpoint import Checkpoint
from hifive_dask._store.pairs import PairStore, write_pairs
from hifive_dask.errors import (
    ConvergenceError,
    ConvergenceWarning,
    HifiveDaskWarning,
    LevelWarning,
)
from hifive_dask.genome.partition import Units
from hifive_dask.model import express, iterations, knight_ruiz
from hifive_dask.model import rows as rows_module
from hifive_dask.model.knight_ruiz import (
    Goal,
    advance,
    begin,
    finished,
    pack,
    unfinished,
    unpack,
)
from tests.reference_model import (
    Array,
    dense_weights,
    plain_core,
    random_world,
    store_of,
    toy_rows,
    toy_units,
    units_of,
)
from tests.test_express import KINDS, TABLE, cut_finely, mean_product, run

METHODS = ["plain", "accelerated", "knight-ruiz"]
FAST = ["accelerated", "knight-ruiz"]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def classical(dense: Array, tol: float) -> tuple[Array, int, int]:
    """Inexact Newton iteration of Knight and Ruiz, as published: x, outer steps, and products."""
    g, largest, low, high = 0.9, 0.1, 0.1, 3.0
    x = np.ones(len(dense))
    eta, past, v = largest, 1.0, x * (dense @ x)
    products, outer = 0, 0  # the first one is not counted
    r = 1 - v
    rho = reached = before = r @ r
    while reached > tol**2:
        outer += 1
        y, inner, k = np.ones(len(x)), max(eta**2 * reached, tol**2), 0
        while rho > inner:
            k += 1
            if k == 1:
                z = r / v
                p, rho = z.copy(), r @ z
            else:
                p = z + rho / past * p
            w = x * (dense @ (x * p)) + v * p
            products += 1
            step = rho / (p @ w) * p
            ahead = y + step
            if ahead.min() <= low:
                down = step < 0
                y += ((low - y[down]) / step[down]).min() * step
                break
            if ahead.max() >= high:
                up = ahead > high
                y += ((high - y[up]) / step[up]).min() * step
                break
            y, r, past = ahead, r - rho / (p @ w) * w, rho
            z = r / v
            rho = r @ z
        x *= y
        v = x * (dense @ x)
        products += 1
        r = 1 - v
        rho = reached = r @ r
        old, eta = eta, g * reached / before
        before = reached
        if g * old**2 > 0.1:
            eta = max(eta, g * old**2)
        eta = max(min(eta, largest), tol / 2 / max(np.sqrt(reached), 1e-300))
    return x, outer, products


def toy_dense() -> Array:
    """Chromosome A of the toy, raw counts."""
    dense, _ = dense_weights(toy_units(), toy_rows(), np.ones(20), usereads="cis")
    chromosome: Array = dense[:12, :12]
    return chromosome


def row_sums(dense: Array, corrections: Array) -> Array:
    """Sum_j w_ij / (c_i c_j) of the units that have a correction."""
    used = dense.any(axis=1)
    c = corrections[used].astype(float)
    sums: Array = (dense[np.ix_(used, used)] / np.outer(c, c)).sum(axis=1)
    return sums


# Known numbers


def test_item_17_knight_ruiz_of_the_toy() -> None:
    x, outer, products = classical(toy_dense(), 1e-4)
    assert (outer, products) == (5, 18)
    expected = [
        0.16962148, 0.24962424, 0.25591137, 0.27847227, 0.29135836, 0.24145899,
        0.23157736, 0.22493096, 0.27234206, 0.21617236, 0.25792293, 0.21808346,
    ]  # fmt: skip
    np.testing.assert_allclose(x, expected, rtol=1e-7)
    result = run(toy_units(), toy_rows(), method="knight-ruiz", chroms=[0])
    c = 1 / x
    chi = mean_product(c)
    assert chi == pytest.approx(17.672803, rel=1e-6)
    assert result.corrections[0] == pytest.approx(1.40238235, rel=1e-4)
    np.testing.assert_allclose(result.corrections[:12], c / np.sqrt(chi), rtol=1e-4)
    assert len(result.trace) <= 20
    assert result.trace[-1, 0] <= 1e-4


def test_item_17_mean_of_the_chromosome_is_relative_to_the_number_of_partners() -> None:
    units, rows = toy_units(), toy_rows()
    flat = np.array([[np.inf, 0, 0]], dtype=np.float32)  # one read at every distance
    result = run(
        units, rows, method="knight-ruiz", chroms=[0], minchange=1e-9,
        distance=(flat, np.zeros(2, dtype=np.float32)),
    )  # fmt: skip
    assert result.chromosome_means is not None
    partners = np.mean([9, 9, 8, 8, 8, 8, 8, 8, 8, 8, 9, 9])
    expected = [np.log(17.672803 / partners), 0]
    np.testing.assert_allclose(result.chromosome_means, expected, atol=1e-5)


def test_item_18_two_units_with_one_row() -> None:
    dense = np.array([[0.0, 7], [7, 0]])
    assert classical(dense, 1e-4)[0][0] == pytest.approx(0.37796672, abs=5e-9)
    goal = Goal(1e-4, True, 100)
    state = advance(lambda f: dense @ f, begin(np.ones(2), np.ones(2)), goal, 100)
    np.testing.assert_allclose(state.x, 1 / np.sqrt(7), rtol=1e-4)
    units = units_of([4], np.arange(4, dtype=np.int32) * 1000 + 500, False)
    with pytest.warns(HifiveDaskWarning, match=r"2 (fends|bins) in use have no pair"):
        result = run(units, np.array([[0, 3, 7]]), method="knight-ruiz")
    np.testing.assert_allclose(result.corrections, 1, rtol=1e-4)


# Oracles


@given(
    seed=st.integers(0, 10**6),
    usereads=st.sampled_from(["cis", "all"]),
    removes=st.booleans(),
    binary=st.booleans(),
    cut=st.sampled_from([None, (7, 1), (1 << 22, 25)]),
)
@settings(max_examples=15, deadline=None)
def test_knight_ruiz__rows_sum_to_1(
    seed: int, usereads: str, removes: bool, binary: bool, cut: tuple[int, int] | None
) -> None:
    units, rows = random_world(seed, fends=False, density=1.0)
    distance = (TABLE, np.array([0.1, -0.2, 0.3], dtype=np.float32)) if removes else None
    options: dict[str, Any] = {"usereads": usereads, "distance": distance, "binary": binary}
    with pytest.MonkeyPatch.context() as patch:
        if cut is not None:
            cut_finely(patch, *cut)
        result = run(units, rows, method="knight-ruiz", minchange=1e-10, **options)
    assert result.converged
    dense, _ = dense_weights(units, rows, np.ones(len(units)), diagonal=1, **options)
    x = classical(dense, 1e-10)[0]
    for span in map(units.span, range(3)):
        ratio = result.corrections[span] * x[span]
        np.testing.assert_allclose(ratio, ratio[0], rtol=2e-6)
        assert mean_product(result.corrections[span]) == pytest.approx(1, abs=1e-6)
        if usereads == "cis":
            sums = row_sums(dense[span, span], result.corrections[span])
            np.testing.assert_allclose(sums, sums[0], rtol=2e-6)


@given(
    seed=st.integers(0, 10**6),
    usereads=st.sampled_from(KINDS),
    removes=st.booleans(),
    binary=st.booleans(),
    cut=st.sampled_from([None, (7, 1), (1 << 22, 25)]),
)
@settings(max_examples=15, deadline=None)
def test_accelerated__goes_where_plain_goes(
    seed: int, usereads: str, removes: bool, binary: bool, cut: tuple[int, int] | None
) -> None:
    units, rows = random_world(seed, fends=False, density=0.95, sizes=[8, 6, 8])
    core = plain_core(units, rows, np.ones(len(units)), 4, (0, 0), usereads)
    valid = np.array(core, dtype=np.int32)
    assume(valid.any())
    distance = (TABLE, np.array([0.1, -0.2, 0.3], dtype=np.float32)) if removes else None
    options: dict[str, Any] = {
        "usereads": usereads, "distance": distance, "binary": binary, "valid": valid,
        "minchange": 1e-9, "on_nonconvergence": "ignore", "max_iterations": 200,
    }  # fmt: skip
    plain = run(units, rows, **options)
    assume(plain.converged)
    with pytest.MonkeyPatch.context() as patch:
        if cut is not None:
            cut_finely(patch, *cut)
        fast = run(units, rows, method="accelerated", **options)
    assert fast.converged
    np.testing.assert_allclose(fast.corrections, plain.corrections, rtol=1e-5)
    if removes and usereads != "trans":
        np.testing.assert_allclose(fast.chromosome_means, plain.chromosome_means, atol=1e-5)


def random_dense(seed: int, n: int = 30) -> tuple[Array, Array]:
    """A sparse symmetric matrix with an entry on every diagonal, and targets."""
    rng = np.random.default_rng(seed)
    half = np.triu(rng.exponential(1, (n, n)) * (rng.random((n, n)) < 0.2))
    return half + half.T + np.diag(rng.uniform(0.01, 1, n)), rng.integers(1, 40, n).astype(float)


class Counted:
    """A matrix that counts its products."""

    def __init__(self, dense: Array) -> None:
        self.dense, self.products = dense, 0

    def __call__(self, factor: Array) -> Array:
        self.products += 1
        result: Array = self.dense @ factor
        return result


@given(seed=st.integers(0, 10**6), by_norm=st.booleans(), limit=st.sampled_from([1, 2, 5, 9, 500]))
@settings(max_examples=60, deadline=None)
def test_trace__has_a_row_per_product_and_ends_with_the_truth(
    seed: int, by_norm: bool, limit: int
) -> None:
    dense, target = random_dense(seed)
    product, goal = Counted(dense), Goal(1e-8, by_norm, limit)
    state = advance(product, begin(target, np.ones(len(target))), goal, 1000)
    assert len(state.trace) == product.products <= limit
    q = state.x * (dense @ state.x) / target
    expected = [((q - 1) ** 2).sum(), np.abs(np.sqrt(q) - 1).max()]
    np.testing.assert_allclose(state.trace[-1], expected, rtol=1e-6, atol=1e-13)
    assert finished(state, goal) or limit < 500


@given(
    seed=st.integers(0, 10**6),
    budgets=st.lists(st.integers(1, 30), min_size=1),
    bent=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_budgets__do_not_change_a_bit(seed: int, budgets: list[int], bent: bool) -> None:
    dense, target = random_dense(seed)
    start, goal = begin(target, np.ones(len(target)))._replace(bent=bent), Goal(1e-9, False, 500)

    def product(factor: Array) -> Array:
        result: Array = dense @ factor
        return result

    whole = advance(product, start, goal, 500)
    parts = start
    for budget in [*budgets, 500]:
        (kept,) = unpack(pack([parts]), [start])
        parts = advance(product, kept, goal, budget)
    assert whole.trace.tobytes() == parts.trace.tobytes()
    assert whole.x.tobytes() == parts.x.tobytes()


@given(seed=st.integers(0, 10**6), first=st.booleans())
@settings(max_examples=30, deadline=None)
def test_lowest__has_no_slope_in_the_plane(seed: int, first: bool) -> None:
    dense, target = random_dense(seed)
    rng = np.random.default_rng(seed)
    x = np.exp(rng.normal(0, 0.3, len(target)))
    x *= np.sqrt(target.sum() / (x @ dense @ x))
    v = x * (dense @ x)
    z = np.sqrt(target / v) - 1
    p = np.zeros_like(x) if first else rng.normal(0, 0.1, len(x))
    found = lowest(target, v, z, x * (dense @ (x * z)), p, x * (dense @ (x * p)))

    def cost(y: Array) -> float:
        return float(y @ dense @ y / 2 - target @ np.log(y))

    def slope(y: Array, d: Array) -> float:
        return float(x * d @ (dense @ y - target / y))

    factor = 1 + found[0] * z + found[1] * p
    assert 0.1 * (1 - 1e-9) <= factor.min() <= factor.max() <= 10 * (1 + 1e-9)
    assert cost(x * factor) < cost(x)
    if factor.min() > 0.11 and factor.max() < 9.9:
        for d in (z, p):
            assert abs(slope(x * factor, d)) <= 0.1 * abs(slope(x, z))


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_straight_steps__carry_what_products_would_give(seed: int) -> None:
    dense, target = random_dense(seed)
    product, goal = Counted(dense), Goal(1e-8, False, 40)
    state = begin(target, np.ones(len(target)))
    while unfinished(state, goal) and not state.bent:
        state = advance(product, state, goal, 1)
        for carried, factor in ((state.v, state.x), (state.q, state.x * state.p)):
            np.testing.assert_allclose(carried, state.x * (dense @ factor), rtol=1e-9, atol=1e-12)
    assert product.products == len(state.trace)


@given(seed=st.integers(0, 10**6), by_norm=st.booleans())
@settings(max_examples=30, deadline=None)
def test_newton__goes_where_straight_steps_go(seed: int, by_norm: bool) -> None:
    dense, target = random_dense(seed)
    start, goal = begin(target, np.ones(len(target))), Goal(1e-10, by_norm, 500)
    straight, newton = (
        advance(Counted(dense), start._replace(bent=bent), goal, 500) for bent in (False, True)
    )
    assert finished(straight, goal)
    assert finished(newton, goal)
    np.testing.assert_allclose(straight.x, newton.x, rtol=1e-6)


def test_bent_ways__are_left_to_newton(monkeypatch: pytest.MonkeyPatch) -> None:
    dense, _ = random_dense(7)
    dense[0] = dense[:, 0] = 0
    dense[0, 1] = dense[1, 0] = 1  # a unit with one partner: balanced where that has no other
    start, goal = begin(np.ones(len(dense)), np.ones(len(dense))), Goal(1e-4, True, 2000)
    state = advance(Counted(dense), start, goal, 2000)
    assert state.bent
    assert finished(state, goal)
    monkeypatch.setattr(knight_ruiz, "_PATIENCE", 2000)
    straight = advance(Counted(dense), start, goal, 2000)
    assert len(state.trace) < len(straight.trace) / 3


def test_refused_steps__become_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    dense, target = random_dense(3)
    monkeypatch.setattr(knight_ruiz, "_HALVINGS", 0)
    start = begin(target, np.ones(len(target)))._replace(bent=True)
    state = advance(Counted(dense), start, Goal(1e-6, False, 5000), 5000)
    x = np.ones(len(target))
    for _ in range(state.steps - 1):
        x /= np.sqrt(x * (dense @ x) / target)
    np.testing.assert_allclose(state.x, x, rtol=1e-12)
    assert state.trace[-1, 1] < 1e-6


# Problems without a solution


def path_rows(leaves: int) -> tuple[Units, Array]:
    """A bin that is the only partner of some others: they need more than it can give."""
    n = leaves + 1 + 6
    units = units_of([n], np.arange(n, dtype=np.int32) * 1000 + 500, False)
    rows = [(0, k, 3) for k in range(1, leaves + 1)]
    rows += [(i, j, 2) for i in range(leaves + 1, n) for j in range(i + 1, n)]
    return units, np.array(rows)


@pytest.mark.parametrize("method", METHODS)
def test_leaves__are_named_early(method: str) -> None:
    units, rows = path_rows(leaves=3)
    either = r"(c0:500 \(3 partners\)|c0:[123],500 \(1 partners\))"
    message = rf"grow beyond all bounds.* 4 of the bins: {either}, {either}, {either}, \.\.\."
    with pytest.raises(ConvergenceError, match=message) as caught:
        run(units, rows, method=method)
    text = str(caught.value)
    assert "filter_fends(mininteractions=2) would remove most of them" in text
    assert int(text.partition("after ")[2].split()[0]) < 200


@pytest.mark.parametrize("method", METHODS)
def test_leaves__beyond_the_limit_of_iterations(method: str) -> None:
    units, rows = path_rows(leaves=3)
    match = (
        r"not converged after 7 iterations.*"
        r"Farthest from balance are [0-9]+ of the bins: c0:([123],)?500"
    )
    with pytest.warns(ConvergenceWarning, match=match):
        result = run(units, rows, method=method, max_iterations=7)
    assert not result.converged
    assert len(result.trace) == 7
    assert np.isfinite(result.corrections).all()


@pytest.mark.parametrize("products", [1, 2, 3, 8])
def test_knight_ruiz_stopped_early__has_sums_of_1_on_average(products: int) -> None:
    units, rows = random_world(5, fends=False, density=1.0, sizes=[12])
    tables = (np.array([[np.inf, 0, 0]], dtype=np.float32), np.zeros(1, dtype=np.float32))
    result = run(
        units, rows, method="knight-ruiz", distance=tables, max_iterations=products,
        minchange=1e-12, on_nonconvergence="ignore",
    )  # fmt: skip
    assert not result.converged
    assert len(result.trace) == products
    assert result.chromosome_means is not None
    dense, _ = dense_weights(units, rows, np.ones(12), usereads="cis", diagonal=1)
    mean = row_sums(dense, result.corrections).sum() / result.possible.sum()
    np.testing.assert_allclose(np.exp(result.chromosome_means[0]), mean, rtol=1e-5)


def test_trans_reads__of_a_chromosome_with_more_than_half() -> None:
    units, rows = toy_units(), toy_rows()
    with pytest.raises(
        ConvergenceError, match=r"12 of 20 (fends|bins) with pairs are on c0, more than half"
    ):
        run(units, rows, method="knight-ruiz", usereads="trans")
    assert run(units, rows, method="accelerated", usereads="trans").converged


def test_trans_reads__of_chromosomes_with_half_are_balanced() -> None:
    units, rows = random_world(3, fends=False, density=1.0, sizes=[6, 6])
    result = run(units, rows, method="knight-ruiz", usereads="trans", minchange=1e-8)
    dense, _ = dense_weights(units, rows, np.ones(12), usereads="trans")
    sums = row_sums(dense, result.corrections)
    np.testing.assert_allclose(sums, sums[0], rtol=1e-5)


# Blocks, little data


@pytest.mark.parametrize("method", METHODS)
def test_blocks_of_one_chromosome__are_balanced_together(method: str) -> None:
    units = units_of([10], np.arange(10, dtype=np.int32) * 1000 + 500, False)
    rng = np.random.default_rng(5)
    rows = np.array(
        [
            (i, j, rng.integers(1, 9))
            for block in (range(5), range(5, 10))
            for i in block
            for j in block
            if i <= j
        ]
    )
    result = run(units, rows, method=method, minchange=1e-8)
    balanced = method == "knight-ruiz"
    dense, possible = dense_weights(
        units, rows, np.ones(10), usereads="cis", diagonal=1 if balanced else 2
    )
    target = np.ones(10) if balanced else possible
    ratio = row_sums(dense, result.corrections) / target
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)


DEGENERATE: dict[str, dict[str, Any]] = {
    "no rows": {"rows": np.zeros((0, 3), dtype=np.int64)},
    "one unit in use": {"valid": np.eye(20, dtype=np.int32)[4]},
    "no partner in the window": {"maxdistance": 1},
    "no rows on the chosen chromosome": {"rows": toy_rows(trans=False)[:30], "chroms": [1]},
    "one pair of units": {"rows": np.array([[0, 2, 5]])},
    "one unit with itself": {"rows": np.array([[3, 3, 5]]), "fends": False},
    "one chromosome without units in use": {"valid": np.repeat([1, 0], [12, 8]).astype(np.int32)},
    "equal positions": {"mid": np.repeat(np.arange(5), 4).astype(np.int32)},
}

UNSOLVABLE: set[tuple[str, ...]] = {
    # One weight cannot be 9 possible partners for one unit and 8 for the other.
    ("one pair of units", "plain"),
    ("one pair of units", "accelerated"),
    # Only trans rows are left, and 12 of 20 units are on one chromosome.
    ("no partner in the window", "knight-ruiz", "all"),
}


@pytest.mark.parametrize("usereads", ["cis", "all"])
@pytest.mark.parametrize("removes", [True, False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", sorted(DEGENERATE))
@pytest.mark.filterwarnings("ignore:.*s in use have no pair")
@pytest.mark.filterwarnings("ignore:.* have only one (fend|bin) with pairs")
def test_little_data__never_gives_nan(case: str, method: str, removes: bool, usereads: str) -> None:
    options = dict(DEGENERATE[case])
    fends, mid = options.pop("fends", True), options.pop("mid", None)
    rows = options.pop("rows", toy_rows(fends))
    units = toy_units(fends) if mid is None else units_of([12, 8], mid, fends)
    distance = (TABLE, np.zeros(2, dtype=np.float32)) if removes else None
    options |= {"method": method, "distance": distance, "usereads": usereads}
    if (case, method) in UNSOLVABLE or (case, method, usereads) in UNSOLVABLE:
        with pytest.raises(ConvergenceError, match="grow beyond all bounds"):
            run(units, rows, **options)
        return
    result = run(units, rows, **options)
    assert result.converged
    assert np.isfinite(result.corrections).all()
    assert np.isfinite(result.trace).all()
    valid = options.get("valid", np.ones(20)) > 0
    chosen = np.isin(units.chromosome, options.get("chroms", [0, 1]))
    assert (result.corrections[valid & chosen] > 0).all()
    assert not result.corrections[~valid & chosen].any()
    if removes:
        assert result.chromosome_means is not None
        assert np.isfinite(result.chromosome_means).all()


@pytest.mark.parametrize("method", METHODS)
def test_single_unit__of_a_chromosome_has_1_and_is_reported(method: str) -> None:
    units = units_of([4, 2], np.arange(6, dtype=np.int32) * 1000 + 500, False)
    rows = np.array([[0, 1, 3], [0, 2, 2], [1, 2, 4], [3, 3, 1], [0, 3, 3], [1, 3, 3], [4, 4, 9]])
    with pytest.warns(HifiveDaskWarning) as caught:
        result = run(units, rows, method=method)
    messages = [str(w.message) for w in caught]
    assert any("1 chromosomes have only one " in m and "c1" in m for m in messages)
    assert result.corrections[4] == 1


# Division of work, interruption


def test_rounds_and_schedulers__same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_every_scheduler: Any
) -> None:
    units, rows = random_world(11, fends=False, density=0.9)
    write_pairs(tmp_path / "pairs.zarr", store_of(rows, units), {})
    store = PairStore.open(tmp_path / "pairs.zarr")
    monkeypatch.setattr(rows_module, "GROUP", 1)
    monkeypatch.setattr(rows_module, "SPAN", 30)

    def results(_: str) -> list[bytes]:
        found = [
            run(units, store, usereads=usereads, method=method)
            for usereads in ("cis", "all")
            for method in FAST
        ]
        return [part.tobytes() for r in found for part in (r.corrections, r.trace)]

    one, threads, processes = on_every_scheduler(results)
    assert one == threads == processes
    monkeypatch.setattr(iterations, "_ROUND", 1)
    assert results("sync") == one


@pytest.mark.parametrize("method", FAST)
def test_chromosomes_in_one_task__do_not_matter(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    units, rows = random_world(5, fends=False, density=1.0)
    options: dict[str, Any] = {"method": method, "distance": (TABLE, np.zeros(3, np.float32))}
    whole = run(units, rows, **options)
    monkeypatch.setattr(rows_module, "GROUP", 1)
    monkeypatch.setattr(rows_module, "SPAN", 7)
    apart = run(units, rows, **options)
    assert apart.corrections.tobytes() == whole.corrections.tobytes()
    assert apart.trace.tobytes() == whole.trace.tobytes()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("usereads", ["cis", "all"])
@pytest.mark.parametrize("saves", [1, 2, 5])
def test_interrupted_work__goes_on_to_the_same_bytes(
    method: str, usereads: str, saves: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units, rows = random_world(11, fends=False, density=0.9)
    store, path = store_of(rows, units), tmp_path / "state.npz"
    options: dict[str, Any] = {"method": method, "usereads": usereads, "minchange": 1e-7}
    monkeypatch.setattr(iterations, "_ROUND", 1)
    whole = run(units, store, **options)
    save, resumed, done = Checkpoint.save, [], []

    def interrupted(self: Checkpoint, state: Any) -> None:
        self._due = 0.0
        save(self, state)
        done.append(state)
        if len(done) == saves:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", interrupted)
        patch.setattr("hifive_dask._store.checkpoint.INTERVAL", 0.0)
        with pytest.raises(KeyboardInterrupt):
            run(units, store, checkpoint=path, **options)
    assert path.exists()
    restore = Checkpoint.restore

    def noted(self: Checkpoint) -> Any:
        resumed.append(restore(self))
        return resumed[-1]

    monkeypatch.setattr(Checkpoint, "restore", noted)
    again = run(units, store, checkpoint=path, **options)
    assert resumed[0] is not None
    assert len(resumed[0]["trace"]) > 0
    assert again.corrections.tobytes() == whole.corrections.tobytes()
    assert again.trace.tobytes() == whole.trace.tobytes()
    assert not path.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"minchange": 1e-6}, {"method": "plain"}, {"usereads": "all"}, {"binary": True},
        {"mindistance": 1}, {"valid": np.repeat([1, 0], [19, 1]).astype(np.int32)},
        {"start": np.full(20, 2, dtype=np.float32)}, {"max_iterations": 900}, {"chroms": [0]},
        {"distance": (TABLE, np.zeros(2, dtype=np.float32))},
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*s in use have no pair")
def test_checkpoint__of_another_call_is_not_used(
    change: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units, rows, path = toy_units(), toy_rows(), tmp_path / "state.npz"
    options: dict[str, Any] = {"method": "accelerated", "checkpoint": path}
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "remove", lambda self: None)
        run(units, rows, **options)
    restored = []
    restore = Checkpoint.restore

    def noted(self: Checkpoint) -> Any:
        restored.append(restore(self))
        return restored[-1]

    monkeypatch.setattr(Checkpoint, "restore", noted)
    run(units, rows, **{**options, **change})
    assert restored == [None]


# Guarantees


def known(project: hd.HiC) -> dict[str, Any]:
    names = ("filter", "corrections", "chromosome_means", "trace", "normalization", "history")
    return {name: None if project[name] is None else np.copy(project[name]) for name in names}


@pytest.fixture
def toy_hic() -> hd.HiC:
    from hifive_dask.testing import toy_project

    hic = hd.HiC(toy_project(), silent=True)
    hic.filter_fends(mininteractions=5)
    hic.find_distance_parameters(numbins=20, minsize=2000)
    return hic


@pytest.mark.parametrize("options", [{"kr": True}, {"accelerate": True}, {}])
def test_items_34_and_37_chosen_chromosomes_are_learned_as_if_alone(
    toy_hic: hd.HiC, options: dict[str, bool]
) -> None:
    call: dict[str, Any] = {"minchange": 1e-8, "maxdistance": 10**6, **options}
    toy_hic.find_express_fend_corrections(**call)
    assert toy_hic.corrections is not None
    whole = toy_hic.corrections.copy()
    assert not whole[toy_hic.filter == 0].any()
    toy_hic.chromosome_means = np.zeros_like(toy_hic.chromosome_means)
    last = toy_hic.units.chromosomes[-1]
    span = toy_hic.units.span(len(toy_hic.units.chromosomes) - 1)
    toy_hic.corrections = np.full_like(whole, 0.5)
    toy_hic.find_express_fend_corrections(**call, chroms=last)
    np.testing.assert_allclose(toy_hic.corrections[span], whole[span], rtol=1e-5)
    others = np.flatnonzero(toy_hic.filter & (np.arange(len(whole)) < span.start))
    assert (toy_hic.corrections[others] == 0.5).all()


def test_item_35_failed_calls_change_nothing(toy_hic: hd.HiC) -> None:
    toy_hic.find_express_fend_corrections()
    before = known(toy_hic)
    for call in ({"kr": True}, {"accelerate": True, "on_nonconvergence": "error"}):
        with pytest.raises(ConvergenceError, match="not converged after 2 iterations"):
            toy_hic.find_express_fend_corrections(
                max_iterations=2, minchange=1e-12, remove_distance=False, **call
            )
    for name, value in known(toy_hic).items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize(
    ("call", "policy"),
    [
        ({"kr": True}, "error"),
        ({"kr": True, "on_nonconvergence": "error"}, "error"),
        ({"kr": True, "on_nonconvergence": "warn"}, "warn"),
        ({"kr": True, "on_nonconvergence": "ignore"}, "ignore"),
        ({"accelerate": True}, "warn"),
    ],
)
def test_not_converged__is_treated_as_the_call_says(
    toy_hic: hd.HiC, call: dict[str, Any], policy: str
) -> None:
    before = known(toy_hic)
    match = "not converged after 9 iterations: the (residual|change) is"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", LevelWarning)  # after nine iterations, levels are off
        if policy == "error":
            with pytest.raises(ConvergenceError, match=match):
                toy_hic.find_express_fend_corrections(max_iterations=9, **call)
        else:
            toy_hic.find_express_fend_corrections(max_iterations=9, **call)
    assert [w.category for w in caught] == [ConvergenceWarning] * (policy == "warn")
    assert all(re.match(match, str(w.message)) and w.filename == __file__ for w in caught)
    if policy == "error":
        for name, value in known(toy_hic).items():
            np.testing.assert_array_equal(value, before[name])
        return
    assert toy_hic.corrections is not None
    assert np.isfinite(toy_hic.corrections).all()
    np.testing.assert_array_equal(toy_hic.corrections > 0, toy_hic.filter > 0)
    assert toy_hic.records.records[-1]["results"]["converged"] is False


@pytest.mark.parametrize("method", METHODS)
def test_item_38_second_run_changes_nothing(method: str) -> None:
    units, rows = toy_units(), toy_rows()
    tables = (TABLE, np.zeros(2, dtype=np.float32))
    first = run(units, rows, method=method, distance=tables, minchange=1e-7)
    assert first.chromosome_means is not None
    again = run(
        units, rows, method=method, start=first.corrections,
        minchange=1e-6 if method == "knight-ruiz" else 1e-4,  # it does not go on from there
        distance=(TABLE, first.chromosome_means),
    )  # fmt: skip
    assert again.chromosome_means is not None
    np.testing.assert_allclose(again.corrections, first.corrections, rtol=1e-4)
    np.testing.assert_allclose(again.chromosome_means, first.chromosome_means, atol=1e-4)
    if method != "knight-ruiz":
        assert len(again.trace) <= 2


@pytest.mark.parametrize("method", METHODS)
def test_item_40_upper_limit_is_exclusive_and_lower_inclusive(method: str) -> None:
    units, rows = random_world(8, fends=False, density=1.0, sizes=[12])
    distance = units.mid[rows[:, 1]] - units.mid[rows[:, 0]]
    limit, least = np.sort(np.unique(distance))[[-5, 1]].tolist()
    inside = rows[(distance >= least) & (distance < limit)]
    window = {"mindistance": least, "maxdistance": limit, "minchange": 1e-8}
    limited = run(units, rows, method=method, **window)
    same = run(units, inside, method=method, **window)
    assert limited.corrections.tobytes() == same.corrections.tobytes()
    other = run(units, rows, method=method, **{**window, "maxdistance": limit + 1})
    assert limited.corrections.tobytes() != other.corrections.tobytes()


def test_spans__are_used_where_a_chromosome_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    units, rows = random_world(2, fends=False, density=1.0)
    whole = [run(units, rows, method=method, minchange=1e-9) for method in FAST]
    monkeypatch.setattr(express, "ONE_TASK", 1)
    for method, expected in zip(FAST, whole, strict=True):
        found = run(units, rows, method=method, minchange=1e-9)
        np.testing.assert_allclose(found.corrections, expected.corrections, rtol=1e-6)


# Published vectors


def check_published(rows: Array, vector: Array, binsize: int) -> None:
    """Balance one chromosome; vectors are free up to a factor."""
    units = units_of([len(vector)], binsize * np.arange(len(vector)) + binsize // 2, False)
    used = np.isfinite(vector)
    assert used.sum() >= 15
    result = run(units, rows, valid=used.astype(np.int32), method="knight-ruiz", minchange=1e-8)
    assert result.converged
    ratio = result.corrections[used] / vector[used]
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-5)


@pytest.mark.golden
@pytest.mark.parametrize("binsize", [25_000, 50_000, 100_000, 500_000])
def test_published__vectors_of_juicer_tools(shared: Path, binsize: int) -> None:
    import hictkpy

    file = hictkpy.File(shared / "data/human_chr22_hic/test_chr22.hic", binsize)
    bins = np.flatnonzero(file.bins().to_df()["chrom"] == "22")
    pixels = file.fetch("22", count_type="int").to_df()
    rows = pixels[["bin1_id", "bin2_id", "count"]].to_numpy() - [bins[0], bins[0], 0]
    check_published(rows, np.asarray(file.weights("KR"))[bins], binsize)


@pytest.mark.golden
@pytest.mark.parametrize("chrom", ["1", "10", "22", "X"])
def test_published__vectors_in_a_cooler(shared: Path, chrom: str) -> None:
    folder = shared / "data/human_gm12878_2500kb"
    file = cooler.Cooler(str(folder / "GSE63525_GM12878_insitu_primary_2_5mb.cool"))
    bins = file.bins().fetch(chrom)
    pixels = file.matrix(balance=False, as_pixels=True).fetch(chrom)
    rows = pixels[["bin1_id", "bin2_id", "count"]].to_numpy() - [bins.index[0], bins.index[0], 0]
    check_published(rows, bins["KR"].to_numpy(), 2_500_000)
