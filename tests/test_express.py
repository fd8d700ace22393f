"""Express: the toy of the specification, dense oracles, division of work, little data, truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask._kernels.possible import possible_cis
from hifive_dask._store.pairs import PairStore, write_pairs
from hifive_dask.errors import HifiveDaskWarning, ParameterError, StateError
from hifive_dask.genome.partition import Units
from hifive_dask.model import express, iterations, systems
from hifive_dask.model import rows as rows_module
from hifive_dask.model.distance import fit_distance
from hifive_dask.model.express import ExpressResult, balance
from hifive_dask.model.rows import cis_groups, cis_pieces, piece_groups, pieces_of
from tests.reference_model import (
    Array,
    plain_core,
    plain_express,
    plain_possible,
    random_binning,
    random_world,
    store_of,
    toy_rows,
    toy_units,
    units_of,
)

TABLE = np.array([[7.5, -0.5, 1.0], [8.5, -0.9, 4.0], [np.inf, -1.2, 6.55]], dtype=np.float32)
KINDS = ["cis", "all", "trans"]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def run(units: Units, rows: Array | PairStore, **options: Any) -> ExpressResult:
    arguments: dict[str, Any] = {
        "iterations": 1, "max_iterations": 1000, "minchange": 1e-4, "mindistance": 0,
        "maxdistance": 0, "usereads": "cis", "distance": None, "binary": False,
        "chroms": range(len(units.chromosomes)), "mininteractions": 1, "silent": True, **options,
    }  # fmt: skip
    valid = arguments.pop("valid", np.ones(len(units), dtype=np.int32))
    start = arguments.pop("start", np.ones(len(units), dtype=np.float32))
    store = rows if isinstance(rows, PairStore) else store_of(rows, units)
    return balance(units, valid, store, start, **arguments)


def mean_product(c: Array) -> float:
    """Mean of c_i c_j over i != j."""
    c = c.astype(float)
    return float((c.sum() ** 2 - (c**2).sum()) / (len(c) * (len(c) - 1)))


# The toy


@pytest.mark.parametrize(
    ("fends", "low", "high", "expected"),
    [
        (True, 0, 20000, [9, 9, 8, 8, 8, 8, 8, 8, 8, 8, 9, 9, 5, 5, 4, 4, 4, 4, 5, 5]),
        (True, 5000, 9000, [4, 4, 4, 3, 3, 2, 3, 2, 3, 4, 3, 5, 3, 2, 0, 0, 0, 1, 2, 2]),
        (False, 0, 0, [12] * 12 + [8] * 8),
        (False, 1, 0, [11] * 12 + [7] * 8),
    ],
)
def test_items_9_and_10_possible_partners(
    fends: bool, low: int, high: int, expected: list[int]
) -> None:
    units = toy_units(fends)
    valid = np.ones(20, dtype=np.int32)
    found = [
        n
        for span in map(units.span, (0, 1))
        for n in possible_cis(
            units.mid[span], valid[span], fends=fends, mindistance=low, maxdistance=high
        ).tolist()
    ]
    assert found == expected


def test_item_12_one_iteration() -> None:
    units, rows = toy_units(), toy_rows(trans=False)
    result = run(units, rows, max_iterations=1, on_nonconvergence="ignore")
    assert result.possible[0] == 9
    np.testing.assert_allclose(result.trace[0], [5.641246086, np.sqrt(3) - 1], rtol=1e-8)
    expected = [1.12368059, 0.94571817, 1.15417600]
    np.testing.assert_allclose(result.corrections[[0, 1, 12]], expected, rtol=1e-6)


def test_item_13_converged_corrections() -> None:
    units, rows = toy_units(), toy_rows(trans=False)
    valid = np.array([1] * 12 + [0] * 8, dtype=np.int32)
    result = run(units, rows, valid=valid, minchange=1e-6)
    expected = [
        1.260842, 0.827502, 1.036347, 0.923567, 0.890317, 1.113754, 1.099116, 1.128035,
        0.844998, 1.129478, 0.777254, 0.980009,
    ]  # fmt: skip
    np.testing.assert_allclose(result.corrections[:12], expected, atol=1e-6)
    assert not result.corrections[12:].any()
    assert len(result.trace) == 51
    assert result.converged
    ratio = marginals(units, rows, result)[:12]
    np.testing.assert_allclose(ratio, 2.133388, rtol=1e-5)


def marginals(units: Units, rows: Array, result: ExpressResult) -> Array:
    """Mean over possible partners of n / (c_i c_j), by a loop over rows."""
    total = np.zeros(len(units))
    c = result.corrections.astype(float)
    for i, j, n in rows:
        if c[i] and c[j] and units.chromosome[i] == units.chromosome[j]:
            total[i] += n / (c[i] * c[j])
            total[j] += n / (c[i] * c[j])
    return np.divide(total, result.possible, out=total, where=result.possible > 0)


@pytest.mark.parametrize(
    ("binary", "mean", "first"), [(False, -0.0188982, 1.127693), (True, -0.0141645, 1.083417)]
)
def test_item_13_with_distance_removed(binary: bool, mean: float, first: float) -> None:
    units, rows = toy_units(), toy_rows()
    ones = np.ones(20, dtype=np.int32)
    model = fit_distance(units, ones, store_of(rows, units), numbins=5, minsize=2000, maxsize=0)
    table = model.binary_parameters if binary else model.parameters
    result = run(
        units, rows, valid=np.array([1] * 12 + [0] * 8, dtype=np.int32), minchange=1e-6,
        distance=(table, np.zeros(2, dtype=np.float32)), binary=binary,
    )  # fmt: skip
    assert result.chromosome_means is not None
    np.testing.assert_allclose(result.chromosome_means, [mean, 0], atol=2e-6)
    assert result.corrections[0] == pytest.approx(first, abs=2e-6)


@pytest.mark.parametrize("usereads", KINDS)
def test_item_14_mean_product_is_1(usereads: str) -> None:
    result = run(toy_units(), toy_rows(), usereads=usereads)
    for span in (slice(0, 12), slice(12, 20)):
        assert mean_product(result.corrections[span]) == pytest.approx(1, abs=1e-6)


def test_item_15_a_common_factor_does_not_matter() -> None:
    units, rows = toy_units(), toy_rows(trans=False)
    many = rows * [1, 1, 17]
    one, two = run(units, rows, minchange=1e-9), run(units, many, minchange=1e-9)
    np.testing.assert_allclose(one.corrections, two.corrections, rtol=1e-6)


# Oracles


@given(seed=st.integers(0, 10**6), fends=st.booleans())
@settings(max_examples=60, deadline=None)
def test_possible_partners__equal_double_loop(seed: int, fends: bool) -> None:
    rng = np.random.default_rng(seed)
    n = 2 * int(rng.integers(1, 12))
    units = units_of([n], np.cumsum(rng.integers(1, 60, n)).astype(np.int32), fends)
    valid = (rng.random(n) < 0.8).astype(np.int32)
    low, high = int(rng.integers(0, 100)), int(rng.choice([0, 150, 400]))
    found = possible_cis(units.mid, valid, fends=fends, mindistance=low, maxdistance=high)
    assert found.tolist() == plain_possible(units, valid, (low, high), "cis").tolist()


def cut_finely(patch: pytest.MonkeyPatch, span: int = 7, chunk: int = 1) -> None:
    """Few blocks read together, a span of few rows per task, no chromosome in one task."""
    patch.setattr(express, "ONE_TASK", 1)
    patch.setattr(rows_module, "SPAN", span)
    patch.setattr(rows_module, "CHUNK", chunk)


@given(
    seed=st.integers(0, 10**6),
    usereads=st.sampled_from(KINDS),
    removes=st.booleans(),
    binary=st.booleans(),
    fends=st.booleans(),
    features=st.sampled_from([(), (), (1,), (3,), (2, 4)]),
    cut=st.sampled_from([None, (7, 1), (1 << 22, 1), (1 << 22, 25)]),
)
@settings(max_examples=100, deadline=None)
@pytest.mark.filterwarnings("ignore:.*s in use have no pair")
def test_iterations__equal_dense_oracle(
    seed: int,
    usereads: str,
    removes: bool,
    binary: bool,
    fends: bool,
    features: tuple[int, ...],
    cut: tuple[int, int] | None,
) -> None:
    units, rows = random_world(seed, fends=fends, density=0.6)
    model, factors = random_binning(units, seed, features) if features else (None, None)
    valid = (np.random.default_rng(seed).random(len(units)) < 0.9).astype(np.int32)
    if usereads == "trans":  # units without any partner leave the filter first
        valid = np.array(plain_core(units, rows, valid, 1, (0, 0), usereads), dtype=np.int32)
    assume(valid.any())
    distance = (TABLE, np.array([0.1, -0.2, 0.3], dtype=np.float32)) if removes else None
    with pytest.MonkeyPatch.context() as patch:
        if cut is not None:
            cut_finely(patch, *cut)
        result = run(
            units, rows, valid=valid, usereads=usereads, binary=binary, distance=distance,
            binning=model, max_iterations=6, minchange=1e-13, on_nonconvergence="ignore",
        )  # fmt: skip
    c, trace, used = plain_express(
        units, rows, valid, usereads=usereads, distance=distance, binary=binary, steps=6,
        factors=factors,
    )  # fmt: skip
    # Weights are kept as float32: whole numbers are exact.
    exact = not removes and model is None
    tolerance = {"rtol": 1e-9, "atol": 1e-12} if exact else {"rtol": 2e-6, "atol": 1e-6}
    np.testing.assert_allclose(result.trace, trace[: len(result.trace)], **tolerance)
    for chrom in range(3):
        own = np.flatnonzero(used[units.span(chrom)]) + units.offset[chrom]
        if len(own) > 1:
            ratio = result.corrections[own] / c[own]
            np.testing.assert_allclose(ratio, ratio[0], rtol=2e-6)
            assert mean_product(result.corrections[own]) == pytest.approx(1, abs=1e-6)
    assert result.unused.tolist() == np.flatnonzero((valid > 0) & ~used).tolist()
    assert (result.corrections[result.unused] == 1).all()
    assert not result.corrections[valid == 0].any()


@pytest.mark.parametrize("usereads", KINDS)
def test_binning_corrections_of_0__where_reads_are_raise(usereads: str) -> None:
    units, rows = toy_units(), toy_rows()
    model, _ = random_binning(units, 1, (2,))
    model.corrections[1] = 0
    with pytest.raises(StateError, match="the binning corrections are not above 0 for all pairs"):
        run(units, rows, usereads=usereads, binning=model)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_balanced_units__have_equal_means_and_mean_product_1(seed: int) -> None:
    units, rows = random_world(seed, fends=False, density=1.0)
    result = run(units, rows, minchange=1e-9)
    assert result.converged
    mean = marginals(units, rows, result)
    for span in map(units.span, range(3)):
        np.testing.assert_allclose(mean[span], mean[span][0], rtol=1e-5)
        assert mean_product(result.corrections[span]) == pytest.approx(1, abs=1e-6)


# Division of work


@pytest.mark.parametrize("usereads", KINDS)
def test_rounds_of_iterations__do_not_matter(
    usereads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    units, rows = toy_units(), toy_rows()
    whole = run(units, rows, usereads=usereads)
    assert len(whole.trace) > 2
    monkeypatch.setattr(iterations, "_ROUND", 100)
    rounds = run(units, rows, usereads=usereads)
    np.testing.assert_array_equal(rounds.corrections, whole.corrections)
    np.testing.assert_array_equal(rounds.trace, whole.trace)


@pytest.mark.parametrize("usereads", KINDS)
@pytest.mark.parametrize(("span", "chunk"), [(7, 1), (30, 20)])
def test_spans_of_rows__do_not_matter(
    usereads: str, span: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    units, rows = random_world(11, fends=False, density=0.9)
    store = store_of(rows, units)
    distance = None if usereads == "trans" else (TABLE, np.array([0.1, -0.2, 0.3], np.float32))
    options: dict[str, Any] = {"usereads": usereads, "distance": distance, "minchange": 1e-3}
    whole = run(units, store, **options)
    blocks = list(store.blocks)
    assert len(pieces_of(store, blocks)) == 1
    cut_finely(monkeypatch, span, chunk)
    assert len(pieces_of(store, blocks)) == len(piece_groups(store, blocks)) > len(rows) // span
    apart = run(units, store, **options)
    np.testing.assert_allclose(apart.corrections, whole.corrections, rtol=1e-6)
    assert len(apart.trace) == len(whole.trace)
    with dask.config.set(scheduler="threads"):
        assert run(units, store, **options).corrections.tobytes() == apart.corrections.tobytes()


@pytest.mark.parametrize("method", ["plain", "accelerated", "knight-ruiz"])
def test_pieces_of_vectors__do_not_matter(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    units, rows = random_world(11, fends=False, density=0.9)
    options = {"usereads": "all", "method": method, "minchange": 1e-3}
    cut_finely(monkeypatch, 30, 20)
    whole = run(units, rows, **options)
    monkeypatch.setattr(systems, "PIECE", 5)
    pieces = run(units, rows, **options)
    assert pieces.corrections.tobytes() == whole.corrections.tobytes()
    assert pieces.trace.tobytes() == whole.trace.tobytes()


def test_tasks__are_never_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    units, rows = random_world(11, fends=False, density=0.9)
    store = store_of(rows, units)
    cut_finely(monkeypatch)
    assert len(piece_groups(store, list(store.blocks))) > 20
    monkeypatch.setattr(rows_module, "MOST_TASKS", 10)
    groups = piece_groups(store, list(store.blocks))
    assert len(groups) <= 10
    assert sum(len(piece.rows) for group in groups for piece in group) == len(store)


@pytest.mark.parametrize("group", [1, 1 << 19])
def test_chromosomes_in_one_task__do_not_matter(
    group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    units, rows = random_world(5, fends=True, density=0.9)
    options: dict[str, Any] = {"minchange": 1e-6, "distance": (TABLE, np.zeros(3, np.float32))}
    whole = run(units, rows, **options)
    monkeypatch.setattr(rows_module, "GROUP", group)
    monkeypatch.setattr(rows_module, "SPAN", 7)
    store = store_of(rows, units)
    assert len(cis_groups(store, range(3))) == (3 if group == 1 else 1)
    assert len(cis_pieces(store, [0, 1, 2])) > 3
    apart = run(units, store, **options)
    np.testing.assert_array_equal(apart.corrections, whole.corrections)
    np.testing.assert_allclose(apart.trace, whole.trace, rtol=1e-12)


@pytest.mark.parametrize("usereads", ["all", "trans"])
def test_trans_blocks_read_together__keep_their_rows(usereads: str, monkeypatch: Any) -> None:
    # The rows of chromosomes (0, 1) and (0, 2) follow each other; together they are not sorted.
    units, rows = random_world(4, fends=False, density=1.0, sizes=[6, 4, 4])
    same = units.chromosome[rows[:, 0]] == units.chromosome[rows[:, 1]]
    rows = rows[~same | (rows[:, 0] < 4) & (rows[:, 1] < 6)]
    store = store_of(rows, units)
    pieces = pieces_of(store, [(0, 1), (0, 2)])
    assert [piece.cis for piece in pieces] == [False]
    assert (np.diff(pieces[0].rows()[0]) < 0).any()
    options = {"usereads": usereads, "max_iterations": 4, "on_nonconvergence": "ignore"}
    together = run(units, store, **options)
    monkeypatch.setattr(rows_module, "SPAN", 1)
    apart = run(units, store, **options)
    np.testing.assert_allclose(together.corrections, apart.corrections, rtol=1e-9)


@pytest.mark.parametrize("usereads", KINDS)
@pytest.mark.filterwarnings("ignore:.*s in use have no pair")
@pytest.mark.filterwarnings("ignore:.* have only one (fend|bin) with pairs")
def test_many_contigs__some_of_them_without_fends_or_rows(usereads: str) -> None:
    sizes = [2 * (k % 3) for k in range(60)]
    units, rows = random_world(7, fends=False, density=0.1, sizes=sizes)
    rows = rows[(rows[:, :2] % 11 != 0).all(axis=1)]
    core = plain_core(units, rows, np.ones(len(units)), 1, (0, 0), usereads)
    valid = np.array(core, dtype=np.int32)
    result = run(
        units, rows, valid=valid, usereads=usereads, max_iterations=6, minchange=1e-13,
        on_nonconvergence="ignore",
    )  # fmt: skip
    _, trace, used = plain_express(
        units, rows, valid, usereads=usereads, distance=None, binary=False, steps=6
    )
    np.testing.assert_allclose(result.trace, trace, rtol=1e-9, atol=1e-12)
    assert not result.corrections[valid == 0].any()
    assert (result.corrections[used] > 0).all()


def test_schedulers__same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_every_scheduler: Any
) -> None:
    units, rows = random_world(11, fends=False, density=0.9)
    write_pairs(tmp_path / "pairs.zarr", store_of(rows, units), {})
    store = PairStore.open(tmp_path / "pairs.zarr")
    monkeypatch.setattr(rows_module, "GROUP", 1)
    monkeypatch.setattr(rows_module, "SPAN", 30)

    def results(_: str) -> list[bytes]:
        found = [run(units, store, usereads=kind, minchange=1e-2) for kind in KINDS]
        return [part.tobytes() for r in found for part in (r.corrections, r.trace)]

    assert len(piece_groups(store, list(store.blocks))) > 3
    one, threads, processes = on_every_scheduler(results)
    assert one == threads == processes


# Selection, start, number of iterations


def test_chosen_chromosomes__are_learned_as_if_alone() -> None:
    units, rows = toy_units(), toy_rows()
    start = np.full(20, 0.5, dtype=np.float32)
    both = run(units, rows, maxdistance=9000)
    second = run(units, rows, maxdistance=9000, chroms=[1], start=start)
    np.testing.assert_array_equal(second.corrections[:12], start[:12])
    alone = run(units, rows, maxdistance=9000, chroms=[1], minchange=1e-9)
    exact = run(units, rows, maxdistance=9000, minchange=1e-9)
    np.testing.assert_allclose(alone.corrections[12:], exact.corrections[12:], rtol=1e-6)
    assert both.converged


def test_start__zeros_of_units_now_in_use_stand_for_1() -> None:
    units, rows = toy_units(), toy_rows()
    start = np.ones(20, dtype=np.float32)
    start[[2, 15]] = 0
    found = run(units, rows, start=start).corrections
    np.testing.assert_array_equal(found, run(units, rows).corrections)


def test_warm_start__stops_at_once_where_it_was() -> None:
    units, rows = toy_units(), toy_rows()
    first = run(units, rows, distance=(TABLE, np.zeros(2, dtype=np.float32)), minchange=1e-7)
    assert first.chromosome_means is not None
    again = run(units, rows, distance=(TABLE, first.chromosome_means), start=first.corrections)
    assert again.chromosome_means is not None
    # One iteration restores the common factor that the final scaling took out.
    assert len(again.trace) <= 2
    np.testing.assert_allclose(again.corrections, first.corrections, rtol=1e-5)


def test_minimum_of_iterations__is_kept_but_not_beyond_the_fixed_point() -> None:
    units, rows = toy_units(), toy_rows(trans=False)
    valid = np.array([1] * 12 + [0] * 8, dtype=np.int32)
    assert len(run(units, rows, valid=valid, iterations=60).trace) == 60
    result = run(units, rows, valid=valid, iterations=1000)
    assert len(result.trace) < 1000
    assert result.trace[-1, 1] < 1e-12


@pytest.mark.parametrize("removes", [True, False])
def test_all_reads__without_trans_rows_are_as_cis(removes: bool) -> None:
    units, rows = toy_units(), toy_rows()
    distance = (TABLE, np.zeros(2, dtype=np.float32)) if removes else None
    options: dict[str, Any] = {"minchange": 1e-9, "distance": distance, "chroms": [0]}
    every = run(units, rows, usereads="all", **options)
    cis = run(units, rows, **options)
    np.testing.assert_allclose(every.corrections, cis.corrections, rtol=1e-6)


# Little data, wrong arguments


def test_unit_without_pairs__keeps_1_and_is_reported() -> None:
    units, rows = toy_units(), toy_rows(trans=False)
    rows = rows[(rows[:, 0] != 5) & (rows[:, 1] != 5)]
    with pytest.warns(HifiveDaskWarning, match=r"1 (fends|bins) in use have no pair"):
        result = run(units, rows)
    assert result.unused.tolist() == [5]
    assert result.corrections[5] == 1
    assert mean_product(np.delete(result.corrections[:12], 5)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("removes", [True, False])
@pytest.mark.parametrize("usereads", ["cis", "all"])
def test_no_pairs_at_all__leave_every_correction_at_1(usereads: str, removes: bool) -> None:
    units, none = toy_units(), np.zeros((0, 3), dtype=np.int64)
    distance = (TABLE, np.zeros(2, dtype=np.float32)) if removes else None
    with pytest.warns(HifiveDaskWarning, match=r"20 (fends|bins) in use have no pair"):
        result = run(units, none, usereads=usereads, distance=distance)
    assert (result.corrections == 1).all()
    assert result.converged


@pytest.mark.parametrize("usereads", ["cis", "all"])
def test_one_unit_in_use__has_no_partner_and_keeps_1(usereads: str) -> None:
    valid = np.zeros(20, dtype=np.int32)
    valid[4] = 1
    with pytest.warns(HifiveDaskWarning, match=r"1 (fends|bins) in use have no pair"):
        result = run(toy_units(), toy_rows(), usereads=usereads, valid=valid)
    assert result.corrections.tolist() == valid.tolist()


@pytest.mark.filterwarnings("ignore:no fend is left")
def test_trans_reads__of_one_chromosome_are_none() -> None:
    with pytest.raises(StateError, match=r"no (fend|bin) of the chosen chromosomes is in use"):
        run(toy_units(), toy_rows(), usereads="trans", chroms=[0])


@pytest.mark.parametrize("removes", [True, False])
@pytest.mark.parametrize("usereads", ["cis", "all"])
@pytest.mark.parametrize("options", [{"maxdistance": 1}, {"chroms": [1]}])
def test_no_usable_row__leaves_1_and_is_reported(
    removes: bool, usereads: str, options: dict[str, Any]
) -> None:
    units, rows = toy_units(), toy_rows()
    rows = rows[rows[:, 1] < 12]
    distance = (TABLE, np.zeros(2, dtype=np.float32)) if removes else None
    with pytest.warns(HifiveDaskWarning, match=r"(fends|bins) in use have no pair"):
        result = run(units, rows, usereads=usereads, distance=distance, **options)
    assert (result.corrections == 1).all()
    if removes:
        assert result.chromosome_means is not None
        assert not result.chromosome_means.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 1.5}, "iterations is 1.5, expected a whole number"),
        ({"max_iterations": None}, "max_iterations is None"),
        ({"minchange": None}, "minchange is None"),
        ({"minchange": float("nan")}, "minchange is nan"),
        ({"maxdistance": float("nan")}, "maxdistance is nan"),
        ({"mindistance": 5, "mininteractions": None}, "mininteractions is None"),
        ({"valid": np.ones(5, dtype=np.int32)}, r"the filter has the shape \(5,\)"),
        ({"start": np.ones(21, dtype=np.float32)}, r"corrections has the shape \(21,\)"),
    ],
)
def test_wrong_arguments__raise(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        run(toy_units(), toy_rows(), **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"iterations": 0}, ParameterError, "iterations is 0, expected 1 to max_iterations"),
        ({"iterations": 9, "max_iterations": 8}, ParameterError, r"max_iterations \(8\)"),
        ({"minchange": 0.0}, ParameterError, "minchange is 0.0"),
        ({"usereads": "some"}, ParameterError, "usereads is 'some'"),
        ({"mindistance": 9, "maxdistance": 5}, ParameterError, "must be above mindistance"),
        ({"on_nonconvergence": "stop"}, ParameterError, "on_nonconvergence is 'stop'"),
        ({"valid": np.zeros(20, dtype=np.int32)}, StateError, "of the chosen"),
    ],
)
def test_errors__name_the_cure(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(toy_units(), toy_rows(), **options)


def test_whole_floats__are_accepted() -> None:
    result = run(toy_units(), toy_rows(), iterations=3.0, max_iterations=50.0, minchange=0.5)
    assert len(result.trace) == 3


# Truth


def test_simulated_truth__is_recovered(tmp_path: Path) -> None:
    from hifive_dask.simulate import Experiment, simulate_genome, write_reads, write_sites

    # Neither compartments nor domains: what is left besides distance is the bias.
    plain = Experiment(compartments=1.0, insulation=1.0)
    genome = simulate_genome({"chr1": 2_000_000, "chr2": 1_500_000}, seed=4, mean_fragment=6000)
    write_sites(tmp_path / "sites.bed", genome)
    write_reads(tmp_path / "reads.raw", genome, 600_000, seed=5, experiment=plain)
    fend = hd.Fend(tmp_path / "f.zarr", "w", silent=True)
    fend.load_fends(tmp_path / "sites.bed")
    fend.save()
    data = hd.HiCData(tmp_path / "d.zarr", "w", silent=True)
    data.load_data_from_raw(fend.file, tmp_path / "reads.raw", 500)
    hic = hd.HiC(tmp_path / "p.zarr", "w", silent=True)
    hic.load_data(data.file)
    hic.filter_fends(mininteractions=20)
    hic.find_distance_parameters(numbins=40, minsize=5000)
    hic.find_express_fend_corrections()
    used = hic.filter > 0
    assert used.mean() > 0.8
    assert hic.corrections is not None
    found, true = np.log(hic.corrections[used]), np.log(genome.bias[used])
    assert np.corrcoef(found, true)[0, 1] > 0.95
