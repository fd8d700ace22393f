"""The binning model: numbers of the specification, plain oracles, references, division of work."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask._store.pairs import PairStore, write_pairs
from hifive_dask.errors import (
    ConvergenceError,
    ConvergenceWarning,
    HifiveDaskWarning,
    LinkError,
    ParameterError,
    StateError,
)
from hifive_dask.genome.partition import Units
from hifive_dask.model import binning, pair_classes
from hifive_dask.model import rows as rows_module
from hifive_dask.model.binning import BinningResult, fit_binning
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.features import bin_feature
from tests.reference_model import (
    Array,
    pairs_of,
    random_world,
    store_of,
    toy_rows,
    toy_units,
)
from tests.test_model_golden import World

SIM = "golden/sim-small"


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def run(units: Units, rows: Array | PairStore, **options: Any) -> BinningResult:
    arguments: dict[str, Any] = {
        "model": ("gc", "len", "distance"), "num_bins": (3, 2, 4),
        "parameters": ("even", "even", "even-const"), "mindistance": 0, "maxdistance": 0,
        "usereads": "cis", "chroms": range(len(units.chromosomes)), "learning_threshold": 1.0,
        "max_iterations": 10, "pseudocounts": 0, "silent": True, **options,
    }  # fmt: skip
    valid = arguments.pop("valid", np.ones(len(units), dtype=np.int32))
    store = rows if isinstance(rows, PairStore) else store_of(rows, units)
    return fit_binning(units, valid, store, **arguments)


def quiet(*arguments: Any, **options: Any) -> BinningResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HifiveDaskWarning)
        return run(*arguments, **options)


def with_lengths(units: Units, length: Array) -> Units:
    start = units.mid - length // 2
    return replace(units, start=start.astype(np.int32), stop=(start + length).astype(np.int32))


def toy() -> Units:
    units = toy_units()
    i = np.arange(len(units))
    gc = ((i * 7) % 5 / 4).astype(np.float32)
    return replace(with_lengths(units, 100 + 37 * (i**2 % 11)), features={"gc": gc})


def world(seed: int, *, density: float = 0.3, equal: bool = False) -> tuple[Units, Array]:
    """Random fends with features that have few values; some fends at equal places."""
    units, rows = random_world(seed, fends=True, density=density)
    rng = np.random.default_rng(seed)
    features = {
        "gc": rng.integers(0, 6, len(units)).astype(np.float32),
        "map": rng.random(len(units)),
    }
    if equal:
        units = replace(units, mid=(units.mid // 2000 * 2000).astype(np.int32))
    return replace(with_lengths(units, rng.integers(50, 900, len(units))), features=features), rows


# The toy of the specification


def test_23_toy() -> None:
    result = run(
        toy(), toy_rows(), model=("len", "distance"), num_bins=(2, 2), parameters=("even", "fixed")
    )
    (feature,) = result.plan.features
    assert feature.edges.tolist() == [248, np.inf]
    bins = [0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1]
    assert feature.bins.tolist() == bins
    assert result.cutoffs.tolist() == [107, 11276]
    assert result.counts.observed[:, 1].tolist() == [18, 25, 5]
    assert result.counts.possible[:, 1].tolist() == [25, 36, 7]
    np.testing.assert_allclose(result.model.corrections, [1.02, 0.98379630, 1.01190476], rtol=1e-7)
    np.testing.assert_allclose(result.cost, [59.39526175] * 2, rtol=1e-9)
    assert result.converged


def test_24_places_of_bin_pairs() -> None:
    bins = np.array([[0], [1], [2]], dtype=np.int32)
    model = BinningModel.of_bins(["gc"], np.array([3], dtype=np.int32), bins, [np.arange(6.0)])
    first, second = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 2, 1, 2, 2])
    assert model.fend_indices[:, 0, 1].tolist() == [0, 2, 3]
    assert model.factors(first, second).tolist() == [0, 1, 2, 3, 4, 5]
    assert model.factors(second, first).tolist() == [0, 1, 2, 3, 4, 5]


def test_25_one_feature_without_distance__starts_at_the_optimum() -> None:
    result = run(toy(), toy_rows(), model=("len",), num_bins=(2,), parameters=("even",))
    assert len(result.change) == 1
    np.testing.assert_allclose(result.cost[1], result.cost[0], rtol=1e-12)
    np.testing.assert_allclose(result.model.corrections, result.seeds[0], rtol=1e-6)


def test_40_both_ends_of_the_window_are_inside() -> None:
    assert quiet(toy(), toy_rows(), maxdistance=4274).counts.possible.sum() == 32
    assert quiet(toy(), toy_rows(), maxdistance=4273).counts.possible.sum() == 29


def _triangle(low: int, high: int, bins: int) -> int:
    return sum(bins - k for k in range(low)) + high - low


def test_factors__are_products_whatever_the_order_of_units() -> None:
    rng = np.random.default_rng(5)
    num_bins, units = np.array([3, 4], dtype=np.int32), 30
    offset = np.array([0, 6, 16], dtype=np.int32)
    corrections = rng.uniform(0.5, 2, 16).astype(np.float32)
    bins = np.stack([rng.integers(0, n, units) for n in num_bins], axis=1)
    rows = offset[:-1] + bins * (num_bins - 1) - bins * (bins - 1) // 2
    indices = np.stack([bins, rows], axis=2).astype(np.int32)
    model = BinningModel(("gc", "len"), num_bins, offset, corrections, indices)
    first, second = (rng.integers(0, units, 200).astype(np.int32) for _ in range(2))
    expected = [
        np.prod(
            [
                float(
                    corrections[offset[h] + _triangle(*sorted(bins[[i, j], h]), int(num_bins[h]))]
                )
                for h in range(2)
            ]
        )
        for i, j in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(model.factors(first, second), expected, rtol=1e-12)
    assert (model.factors(first, second) == model.factors(second, first)).all()


# Feature bins


def test_even_bins__hold_equal_numbers_and_ties_stay_together() -> None:
    units = replace(toy(), features={"gc": np.arange(20, dtype=np.float64)})
    assert bin_feature(units, "gc", 4, "even").bins.tolist() == [k // 5 for k in range(20)]
    tied = replace(units, features={"gc": np.r_[np.zeros(15), np.ones(5)]})
    assert set(bin_feature(tied, "gc", 4, "even").bins[:15].tolist()) == {0}
    many = bin_feature(units, "gc", 50, "even")
    assert (np.diff(many.edges) >= 0).all()
    assert many.bins.max() < 50


def test_fixed_bins__have_equal_widths_and_upper_edges_inside() -> None:
    units = replace(toy(), features={"gc": np.linspace(0, 1, 20)})
    bins = bin_feature(units, "gc", 4, "fixed-const")
    assert not bins.learned
    assert bins.edges.tolist() == [0.25, 0.5, 0.75, np.inf]
    value = units.features["gc"]
    assert bins.bins.tolist() == [int(np.ceil(v * 4) - 1) if v else 0 for v in value]


def test_added_feature__at_an_edge_stays_below_it() -> None:
    units = replace(toy(), features={"gc": np.repeat([0.1, 0.7], 10)})  # neither is a float32
    assert bin_feature(units, "gc", 2, "even").bins.tolist() == [0] * 10 + [1] * 10


# Counts against plain loops


def plain_counts(
    units: Units, pairs: Any, result: BinningResult, valid: Array, chroms: Sequence[int],
    window: tuple[int, int], usereads: str,
) -> Array:  # fmt: skip
    """Count pairs one by one."""
    counts = np.zeros(result.counts.possible.shape, dtype=np.int64)
    cutoffs = result.cutoffs
    for i, j in pairs:
        a, b = units.chromosome[i], units.chromosome[j]
        if not (valid[i] and valid[j] and a in chroms and b in chroms):
            continue
        place = []
        for feature in result.plan.features:
            low, high = sorted(feature.bins[[i, j]].tolist())
            size = len(feature.edges)
            place.append(sum(size - k for k in range(low)) + high - low)
        if a == b:
            distance = int(units.mid[j]) - int(units.mid[i])
            if usereads == "trans" or distance < window[0] or (window[1] and distance > window[1]):
                continue
            k = next(k for k, cut in enumerate(cutoffs) if distance <= cut) if len(cutoffs) else 0
        else:
            if usereads == "cis":
                continue
            k = counts.shape[-1] - 1
        counts[(*place, k)] += 1
    return counts


@given(
    seed=st.integers(0, 10**6),
    usereads=st.sampled_from(["cis", "trans", "all"]),
    equal=st.booleans(),
    distance=st.booleans(),
    window=st.sampled_from([(0, 0), (2000, 0), (0, 6000), (1000, 9000)]),
    chroms=st.sampled_from([[0, 1, 2], [0, 2], [1]]),
    block=st.sampled_from([1, 1 << 22]),
)
@settings(max_examples=80, deadline=None)
def test_counts__equal_plain_loops(
    seed: int, usereads: str, equal: bool, distance: bool, window: tuple[int, int],
    chroms: list[int], block: int,
) -> None:  # fmt: skip
    units, rows = world(seed, equal=equal)
    valid = (np.random.default_rng(seed).random(len(units)) < 0.8).astype(np.int32)
    names = ["gc", "map", *(["distance"] if distance and usereads != "trans" else [])]
    options = {
        "model": names, "num_bins": (3, 4, 3)[: len(names)],
        "parameters": ("even", "fixed", "even")[: len(names)], "usereads": usereads,
        "mindistance": window[0], "maxdistance": window[1], "chroms": chroms, "valid": valid,
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_classes, "_BLOCK", block)
        try:
            result = quiet(units, rows, **options)
        except (StateError, ParameterError):
            assume(False)
    possible = [(i, j) for i, j, _ in pairs_of(units)]
    told = (units, possible, result, valid, chroms, window, usereads)
    np.testing.assert_array_equal(result.counts.possible, plain_counts(*told))
    seen = [(i, j) for i, j, _ in rows.tolist()]
    told = (units, seen, result, valid, chroms, window, usereads)
    np.testing.assert_array_equal(result.counts.observed, plain_counts(*told))


# The fit


def plain_cost(observed: Array, unseen: Array, chance: Array, least: float) -> float:
    """Minus log2-likelihood without limits of probabilities: infinite where it is not possible."""
    if (chance[unseen > 0] >= 1).any():
        return np.inf
    seen, not_seen = observed > 0, unseen > 0
    cost = observed[seen] @ np.log2(chance[seen]) + unseen[not_seen] @ np.log2(1 - chance[not_seen])
    return -float(cost)


@given(
    seed=st.integers(0, 10**6),
    usereads=st.sampled_from(["cis", "all"]),
    pseudocounts=st.integers(0, 3),
)
@settings(max_examples=25, deadline=None)
def test_fit__likelihood_rises_to_a_stationary_point(
    seed: int, usereads: str, pseudocounts: int
) -> None:
    units, rows = world(seed, density=0.15)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binning, "minus_log2_likelihood", plain_cost)
        try:
            result = quiet(
                units, rows, model=("gc", "map", "distance"), usereads=usereads,
                pseudocounts=pseudocounts, learning_threshold=1e-9, max_iterations=300,
                on_nonconvergence="ignore",
            )  # fmt: skip
        except StateError:
            assume(False)
    assert (np.diff(result.cost[1:]) <= 1e-11 * np.abs(result.cost[1:-1])).all()
    assume(result.converged)
    extra = pseudocounts * np.multiply.outer([1, 2, 2, 1, 2, 1], [1, 2, 1])[..., None]
    possible, observed = (counts + extra for counts in result.counts)
    share = observed.sum() / possible.sum()
    seen = observed.sum(axis=(0, 1))
    distance = seen / np.maximum(1, possible.sum(axis=(0, 1))) / share
    factors = np.split(result.model.corrections.astype(float), result.model.offset[1:-1])
    p = share * factors[0][:, None, None] * factors[1][:, None] * distance
    # Observed is p / (1 - p) times unseen, summed over the classes of every entry.
    unseen = possible - observed
    assume((p[unseen > 0] < 0.99).all())
    excess = observed - unseen * p / np.where(unseen > 0, 1 - p, 1)
    for axis, feature in enumerate(result.plan.features):
        others = (1 - axis, 2)
        pairs = zip(*np.triu_indices(len(feature.edges)), strict=True)
        solved = [pair not in result.kept[feature.name] for pair in pairs]
        scale = observed.sum(axis=others)
        assert (np.abs(excess.sum(axis=others))[solved] <= 1e-3 * scale[solved]).all()


def test_constant_features__stay_at_their_start() -> None:
    units, rows = world(3)
    result = quiet(units, rows, model=("gc", "map"), num_bins=(3, 2),
                   parameters=("evenconst", "fixed-const"))  # fmt: skip
    np.testing.assert_array_equal(
        result.model.corrections, np.concatenate(result.seeds).astype(np.float32)
    )
    assert result.change.tolist() == [0]


def test_truth__is_found() -> None:
    """Pairs drawn with known factors of two features give the factors back, up to a scale."""
    rng = np.random.default_rng(8)
    units, _ = random_world(1, fends=True, density=0.1, sizes=[1200])
    bins = rng.integers(0, 2, (2, len(units)))
    features = {name: own.astype(np.float32) for name, own in zip(("a", "b"), bins, strict=True)}
    units = replace(units, features=features)
    truth = np.array([[0.6, 1.0, 1.5], [1.3, 1.0, 0.7]])
    i, j = np.triu_indices(len(units), 4)
    factor = np.prod([truth[h][bins[h, i] + bins[h, j]] for h in range(2)], axis=0)
    seen = rng.random(len(i)) < 0.2 * factor
    rows = np.stack([i[seen], j[seen], np.ones(seen.sum(), dtype=np.int64)], axis=1)
    result = run(units, rows, model=("a", "b"), num_bins=(2, 2), parameters=("fixed", "fixed"),
                 learning_threshold=1e-6, max_iterations=500)  # fmt: skip
    for own, expected in zip(result.model.corrections.reshape(2, 3), truth, strict=True):
        np.testing.assert_allclose(own / own[1], expected, rtol=0.03)


def test_pairs_of_bins_without_pairs__stay_at_their_start_and_are_named() -> None:
    units, rows = world(4)
    units = replace(units, features={"gc": np.r_[np.zeros(len(units) - 1), 9.0]})
    options = {"model": ("gc",), "num_bins": (3,), "parameters": ("fixed",)}
    message = r"5 of 6 of 'gc': \(0, 1\), \(0, 2\), \(1, 1\), \(1, 2\), \(2, 2\)\)"
    with pytest.warns(HifiveDaskWarning, match=message):
        result = run(units, rows[rows[:, 1] < len(units) - 1], **options)
    assert result.kept["gc"] == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    np.testing.assert_array_equal(
        result.model.corrections[1:], result.seeds[0][1:].astype(np.float32)
    )


def test_every_pair_observed__changes_nothing() -> None:
    units, _ = world(5)
    rows = np.array([(i, j, 1) for i, j, cis in pairs_of(units) if cis])
    result = quiet(units, rows, model=("gc",), num_bins=(2,), parameters=("even",))
    np.testing.assert_array_equal(result.model.corrections, result.seeds[0].astype(np.float32))


def test_max_iterations__are_reported() -> None:
    units, rows = world(6)
    options = {"max_iterations": 1, "learning_threshold": 1e-12, "model": ("gc", "map"),
               "num_bins": (2, 2), "parameters": ("even", "even")}  # fmt: skip
    with pytest.warns(ConvergenceWarning, match="not converged after 1 iterations: the log2"):
        run(units, rows, **options)
    with pytest.raises(ConvergenceError, match="raise max_iterations or learning_threshold"):
        run(units, rows, **options, on_nonconvergence="error")
    run(units, rows, **options, on_nonconvergence="ignore")


# Division of work


def test_division_of_work__does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    units, rows = world(11, density=0.5)
    options = {"usereads": "all", "model": ("gc", "map", "distance")}
    whole = quiet(units, rows, **options)
    monkeypatch.setattr(rows_module, "SPAN", 7)
    monkeypatch.setattr(rows_module, "CHUNK", 3)
    monkeypatch.setattr(pair_classes, "_TASKS", 3)
    monkeypatch.setattr(pair_classes, "_BLOCK", 5)
    for scheduler in ("sync", "threads"):
        with dask.config.set(scheduler=scheduler):
            divided = quiet(units, rows, **options)
        assert divided.model.corrections.tobytes() == whole.model.corrections.tobytes()
        assert divided.cost.tobytes() == whole.cost.tobytes()


def test_schedulers__same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_every_scheduler: Any
) -> None:
    units, rows = world(11, density=0.5)
    write_pairs(tmp_path / "pairs.zarr", store_of(rows, units), {})
    store = PairStore.open(tmp_path / "pairs.zarr")
    monkeypatch.setattr(rows_module, "SPAN", 30)
    assert len(rows_module.piece_groups(store, list(store.blocks))) > 3

    def results(_: str) -> list[bytes]:
        found = [quiet(units, store, usereads="all"), quiet(units, store, model=("gc", "map"),
                 num_bins=(3, 2), parameters=("even", "fixed"))]  # fmt: skip
        parts = [(*r.counts, r.model.corrections, r.model.fend_indices, r.cost) for r in found]
        return [part.tobytes() for own in parts for part in own]

    one, threads, processes = on_every_scheduler(results)
    assert one == threads == processes


@given(seed=st.integers(0, 10**6), chroms=st.sampled_from([[0], [0, 2], [1, 2]]))
@settings(max_examples=20, deadline=None)
def test_chosen_chromosomes__are_as_if_the_others_were_filtered(
    seed: int, chroms: list[int]
) -> None:
    units, rows = world(seed)
    only = np.isin(units.chromosome, chroms).astype(np.int32)
    options = {"usereads": "all", "model": ("gc", "map"), "num_bins": (2, 3),
               "parameters": ("even", "even"), "maxdistance": 20000}  # fmt: skip
    try:
        chosen = quiet(units, rows, chroms=chroms, **options)
    except StateError:
        assume(False)
    filtered = quiet(units, rows, valid=only, **options)
    assert chosen.model.corrections.tobytes() == filtered.model.corrections.tobytes()


# Errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": ("gc", "at", "distance")}, "unknown feature 'at'; known are: len, distance, gc"),
        ({"model": ("gc", "gc", "distance")}, "names 'gc' more than once"),
        ({"model": ("gc", "len")}, "model names 2 features, num_bins has 3 numbers"),
        ({"num_bins": (3, 0, 4)}, "num_bins is 0 for 'len', expected 1 to 32767"),
        ({"num_bins": (3, 2.5, 4)}, "num_bins is 2.5, expected a whole number"),
        ({"parameters": ("even", "odd", "even")}, "parameters hold 'odd', expected 'even'"),
        ({"usereads": "trans"}, "trans pairs have no distance"),
        ({"usereads": "all", "num_bins": (3, 2, 1)}, "give 'distance' 2 bins or more"),
        ({"usereads": "some"}, "usereads is 'some'"),
        ({"model": "distance", "num_bins": [3], "parameters": "even"}, "expected one besides"),
        ({"num_bins": (900, 900, 4)}, "has 6.58e.11 classes of pairs, expected at most 16,777,216"),
        ({"learning_threshold": 0}, "learning_threshold is 0, expected a number above 0"),
        ({"max_iterations": 0}, "max_iterations is 0, expected at least 1"),
        ({"pseudocounts": -1}, "pseudocounts is -1, expected 0 or more"),
        ({"on_nonconvergence": "stop"}, "on_nonconvergence is 'stop'"),
        ({"mindistance": 99999}, "mindistance is 99999 bp, but no two fends are so far apart"),
        ({"mindistance": 10, "maxdistance": 5}, "maxdistance 5 must be above mindistance 10"),
        ({"valid": np.ones(3, dtype=np.int32)}, r"the filter has the shape \(3,\)"),
    ],
)
def test_errors__name_the_cure(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        run(toy(), toy_rows(), **options)


def test_errors__of_data() -> None:
    units = toy()
    bad = np.array(units.features["gc"])
    bad[[3, 5]] = np.nan, np.inf
    with pytest.raises(
        ParameterError, match="'gc' is nan for fend 3 and 1 others; expected finite"
    ):
        run(replace(units, features={"gc": bad}), toy_rows())
    with pytest.raises(ParameterError, match="this project has bins; use find_express"):
        run(toy_units(fends=False), toy_rows(fends=False))
    with pytest.raises(StateError, match="no fend of the chosen chromosomes is in use; see filter"):
        run(units, toy_rows(), valid=np.zeros(20, dtype=np.int32))
    with pytest.raises(StateError, match="no pair is possible: no two fends in use"):
        run(units, toy_rows(), valid=np.eye(1, 20, dtype=np.int32)[0])
    with pytest.raises(StateError, match="no pair of the wanted kind and distance was observed"):
        run(units, toy_rows()[:0])
    impossible = np.array([(0, 1, 1)] + [(i, j, 1) for i, j, cis in pairs_of(units) if cis])
    with pytest.raises(StateError, match="more pairs were observed than are possible"):
        run(units, impossible, model=("len",), num_bins=(1,), parameters=("even",))


# Reference results


@pytest.fixture(scope="module")
def calls(shared: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((shared / SIM / "calls.json").read_text())
    return result


@pytest.fixture(scope="module")
def case(shared: Path, compare: ModuleType) -> Any:
    return compare.load_case(str(shared / SIM))


@pytest.mark.golden
@pytest.mark.parametrize(
    "name", ["gc_len_distance", "three", "window", "all", "trans", "chroms", "pseudocounts"]
)
def test_sim_small__binning(
    shared: Path, calls: dict[str, Any], case: Any, compare: ModuleType, name: str
) -> None:
    world = World(shared / SIM, "hifive/sim.fends", "hifive/sim.hcd")
    options = dict(calls["binning"][name])
    options["chroms"] = world.units.select(options.get("chroms"))
    result = quiet(world.units, world.store, valid=case["filter/base"][0], **options)
    model, counts = result.model, result.counts
    shape = counts.observed.shape[: None if "distance" in options["model"] else -1]
    values = {
        "binning_num_bins": model.num_bins,
        "binning_correction_indices": model.offset,
        "binning_fend_indices": model.fend_indices,
        "binning_corrections": model.corrections,
        "seeds": np.concatenate(result.seeds),
        "loglik_log2": result.cost,
        "distance_cutoffs": result.cutoffs,
        "observed": counts.observed.reshape(shape),
        "possible": counts.possible.reshape(shape),
        "model_parameters": np.array(model.features),
        **{f"edges_{feature.name}": feature.edges for feature in result.plan.features},
    }
    results = {f"binning/{name}.{key}": value for key, value in values.items()}
    assert compare.compare(case, results)
    known = {k.split(".", 1)[1] for k in case if k.startswith(f"binning/{name}.")}
    assert known - set(values) <= {"iterations", "loglik_log2_simultaneous_updates"}


@pytest.mark.golden
def test_31_hifive__binning_is_reproduced(shared: Path) -> None:
    import h5py

    folder = shared / "golden/hifive-tests"
    world = World(folder, "test.fends", "test.hcd")
    with h5py.File(folder / "test_binning.hcp") as file:
        learned = {name: file[name][...] for name in file}
    result = run(
        world.units, world.store, valid=learned["filter"], model=("len", "distance"),
        num_bins=(3, 3), parameters=("even", "fixed-const"), mindistance=20000, max_iterations=5,
    )  # fmt: skip
    assert result.plan.features[0].edges[:2].tolist() == [620, 1649]
    assert result.cutoffs.tolist() == [67128, 225305, 756206]
    assert (result.counts.observed.sum(), result.counts.possible.sum()) == (5437, 33063)
    np.testing.assert_allclose(result.cost, [20413.32607246528, 20412.25190812417, result.cost[2]])
    assert len(result.cost) == 3
    np.testing.assert_allclose(result.model.corrections, learned["binning_corrections"], rtol=1e-6)
    np.testing.assert_array_equal(result.model.fend_indices, learned["binning_fend_indices"])


# Projects

CALL: dict[str, Any] = {
    "model": ["gc", "len", "distance"], "num_bins": [5, 5, 8],
    "parameters": ["even", "even", "even-const"],
}  # fmt: skip


@pytest.fixture
def hic(shared: Path) -> hd.HiC:
    return hd.HiC(shared / SIM / "hifive/state_none.hcp", silent=True)


@pytest.mark.golden
@pytest.mark.parametrize("suffix", ["hcp", "zarr"])
def test_project__is_saved_with_its_model(
    tmp_path: Path, hic: hd.HiC, case: Any, compare: ModuleType, suffix: str
) -> None:
    hic.find_binning_fend_corrections(**CALL, on_nonconvergence="ignore")
    assert hic.normalization == "binning"
    assert hic.trans_means is None
    assert hic.trace is not None
    assert hic.trace.shape == (10, 2)
    assert "HiC.find_binning_fend_corrections(max_iterations=10" in hic.history
    hic.save(tmp_path / f"p.{suffix}")
    again = hd.HiC(tmp_path / f"p.{suffix}", silent=True)
    assert again.normalization == "binning"
    names = [
        "model_parameters", "binning_num_bins", "binning_corrections", "binning_fend_indices",
        "binning_correction_indices",
    ]  # fmt: skip
    for name in names:
        np.testing.assert_array_equal(again[name], hic[name])
        assert again[name].dtype == hic[name].dtype or name == "model_parameters"
    results = {f"binning/gc_len_distance.{name}": again[name] for name in names}
    assert compare.compare(case, results)
    options: dict[str, Any] = {"binsize": 100_000, "datatype": "enrichment"}
    np.testing.assert_array_equal(
        again.heatmap("chr2", **options).enrichment, hic.heatmap("chr2", **options).enrichment
    )
    assert again.binning_model is not None
    assert again.binning_model.features == ("gc", "len")


@pytest.mark.golden
def test_project__stays_as_it_was_if_learning_fails(hic: hd.HiC) -> None:
    before = {name: hic[name] for name in ("normalization", "trans_means", "history", "trace")}
    with pytest.raises(ConvergenceError):
        hic.find_binning_fend_corrections(**CALL, max_iterations=1, on_nonconvergence="error")
    with pytest.raises(ParameterError, match="unknown chromosome 'chr9'"):
        hic.find_binning_fend_corrections(**CALL, chroms="chr9")
    assert all(hic[name] is value or hic[name] == value for name, value in before.items())
    assert hic.binning_model is None


@pytest.mark.golden
def test_chromosomes__can_be_one_name_or_none(hic: hd.HiC) -> None:
    results = []
    for chroms in ("chr1", ["chr1"], None):
        hic.find_binning_fend_corrections(
            chroms=chroms, model=["gc"], num_bins=[4], parameters=["even"]
        )
        results.append(hic.binning_corrections)
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).any()


@pytest.mark.golden
def test_remove_distance__is_ignored_with_a_warning(hic: hd.HiC) -> None:
    with pytest.warns(HifiveDaskWarning, match="remove_distance has no effect here"):
        hic.find_binning_fend_corrections(
            model=["gc"], num_bins=[4], parameters=["even"], remove_distance=True
        )


@pytest.mark.golden
def test_damaged_model__is_refused(tmp_path: Path, shared: Path) -> None:
    import h5py

    hic = hd.HiC(shared / SIM / "hifive/state_binning.hcp", silent=True)
    assert hic.binning_fend_indices is not None
    hic.binning_fend_indices = hic.binning_fend_indices.copy()
    hic.binning_fend_indices[7, 0, 0] = 5
    with pytest.raises(StateError, match="arrays of the binning model do not go together"):
        hic.heatmap("chr1", binsize=50_000, datatype="fend")
    hic.model_parameters = None
    with pytest.raises(StateError, match="'binning', but there is no binning model"):
        hic.heatmap("chr1", binsize=50_000, datatype="fend")
    hic.save(tmp_path / "p.hcp")
    with h5py.File(tmp_path / "p.hcp", "a") as file:
        values = file["binning_fend_indices"][:-2]
        del file["binning_fend_indices"]
        file["binning_fend_indices"] = values
    with pytest.raises(LinkError, match=r"'binning/fend_indices' has the shape \(1474, 2, 2\)"):
        hd.HiC(tmp_path / "p.hcp", silent=True)
