"""Express: random genomes against a dense oracle, flat marginals, degenerate input."""

from __future__ import annotations

from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hifive_dask.errors import HifiveDaskWarning, ParameterError
from hifive_dask.genome.partition import Units
from hifive_dask.model import express, filtering
from hifive_dask.model.distance import fit_distance
from hifive_dask.model.express import ExpressResult, balance
from tests.reference_model import plain_express, random_world, store_of, toy_rows, toy_units

TABLE = np.array([[7.5, -0.5, 1.0], [8.5, -0.9, 4.0], [np.inf, -1.2, 6.55]], dtype=np.float32)


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def run(units: Units, rows: Any, **options: Any) -> ExpressResult:
    arguments: dict[str, Any] = {
        "iterations": 1, "max_iterations": 1000, "minchange": 1e-4, "mindistance": 0,
        "maxdistance": 0, "usereads": "cis", "distance": None, "binary": False,
        "chroms": range(len(units.chromosomes)), "mininteractions": 1, "silent": True, **options,
    }  # fmt: skip
    valid = arguments.pop("valid", np.ones(len(units), dtype=np.int32))
    start = arguments.pop("start", np.ones(len(units), dtype=np.float32))
    return balance(units, valid, store_of(rows, units), start, **arguments)


@given(
    seed=st.integers(0, 10**6),
    usereads=st.sampled_from(["cis", "all"]),
    removes=st.booleans(),
    binary=st.booleans(),
    fends=st.booleans(),
)
@settings(max_examples=60, deadline=None)
@pytest.mark.filterwarnings("ignore:.* units in use have no pair")
def test_iterations__equal_dense_oracle(
    seed: int, usereads: str, removes: bool, binary: bool, fends: bool
) -> None:
    units, rows = random_world(seed, fends=fends, density=0.6)
    valid = (np.random.default_rng(seed).random(len(units)) < 0.9).astype(np.int32)
    distance = (TABLE, np.array([0.1, -0.2, 0.3], dtype=np.float32)) if removes else None
    result = run(
        units, rows, valid=valid, usereads=usereads, binary=binary, distance=distance,
        max_iterations=6, minchange=1e-13, on_nonconvergence="ignore",
    )  # fmt: skip
    c, trace, used = plain_express(
        units, rows, valid, usereads=usereads, distance=distance, binary=binary, steps=6
    )
    # Weights are kept as float32.
    np.testing.assert_allclose(result.trace, trace[: len(result.trace)], rtol=2e-6, atol=1e-6)
    for chrom in range(3):
        own = np.flatnonzero(used[units.span(chrom)]) + units.offset[chrom]
        if len(own) > 1:
            ratio = result.corrections[own] / c[own]
            np.testing.assert_allclose(ratio, ratio[0], rtol=2e-6)
    assert result.unused.tolist() == np.flatnonzero((valid > 0) & ~used).tolist()
    assert (result.corrections[result.unused] == 1).all()
    assert not result.corrections[valid == 0].any()


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_balanced_units__have_equal_means_and_mean_product_1(seed: int) -> None:
    units, rows = random_world(seed, fends=False, density=1.0)
    result = run(units, rows, minchange=1e-9)
    c, total = result.corrections.astype(float), np.zeros(len(units))
    for i, j, n in rows.tolist():
        if units.chromosome[i] == units.chromosome[j]:
            total[i] += n / (c[i] * c[j])
            total[j] += n / (c[i] * c[j])
    assert result.converged
    for span in map(units.span, range(3)):
        mean, own = total[span] / result.possible[span], c[span]
        np.testing.assert_allclose(mean, mean[0], rtol=1e-5)
        chi = (own.sum() ** 2 - (own**2).sum()) / (len(own) * (len(own) - 1))
        assert chi == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("usereads", ["cis", "all", "trans"])
@pytest.mark.parametrize(("span", "chunk"), [(7, 1), (1 << 22, 1), (30, 20)])
def test_spans_of_rows__do_not_matter(
    usereads: str, span: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    units, rows = random_world(11, fends=False, density=0.9)
    distance = None if usereads == "trans" else (TABLE, np.array([0.1, -0.2, 0.3], np.float32))
    options: dict[str, Any] = {"usereads": usereads, "distance": distance, "minchange": 1e-6}
    whole = run(units, rows, **options)
    monkeypatch.setattr(express, "ONE_TASK", 1)
    monkeypatch.setattr(filtering, "SPAN", span)
    monkeypatch.setattr(filtering, "CHUNK", chunk)
    apart = run(units, rows, **options)
    np.testing.assert_allclose(apart.corrections, whole.corrections, rtol=1e-6)
    assert len(apart.trace) == len(whole.trace)
    with dask.config.set(scheduler="threads"):
        assert run(units, rows, **options).corrections.tobytes() == apart.corrections.tobytes()


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


@pytest.mark.parametrize("removes", [True, False])
def test_all_reads__without_trans_rows_are_as_cis(removes: bool) -> None:
    units, rows = toy_units(), toy_rows()
    distance = (TABLE, np.zeros(2, dtype=np.float32)) if removes else None
    options: dict[str, Any] = {"minchange": 1e-9, "distance": distance, "chroms": [0]}
    every = run(units, rows, usereads="all", **options)
    cis = run(units, rows, **options)
    np.testing.assert_allclose(every.corrections, cis.corrections, rtol=1e-6)


@pytest.mark.parametrize("removes", [True, False])
@pytest.mark.parametrize("usereads", ["cis", "all"])
@pytest.mark.parametrize("options", [{"maxdistance": 1}, {"chroms": [1]}])
def test_no_usable_row__leaves_1_and_is_reported(
    removes: bool, usereads: str, options: dict[str, Any]
) -> None:
    units, rows = toy_units(), toy_rows()
    rows = rows[rows[:, 1] < 12]
    distance = (TABLE, np.zeros(2, dtype=np.float32)) if removes else None
    with pytest.warns(HifiveDaskWarning, match="units in use have no pair"):
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


def test_whole_floats__are_accepted() -> None:
    result = run(toy_units(), toy_rows(), iterations=3.0, max_iterations=50.0, minchange=0.5)
    assert len(result.trace) == 3
