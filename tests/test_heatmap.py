"""Heatmaps: numbers of the specification, a plain oracle, laziness, chunks, references."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import ParameterError, RegionError, StateError
from hifive_dask.genome.partition import Units
from hifive_dask.model.factors import BinningModel

from .reference_model import store_of
from .test_model_golden import World
from .worlds import heatmap
from .worlds import units as make_units

Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


# The tiny set T1 of the specification

T1 = make_units(
    {
        "A": [(50 * k, 50 * k + 50) for k in range(8)],
        "B": [(50 * k, 50 * k + 50) for k in range(4)],
    },
    fends=True,
)
T1_ROWS = np.array([(0, 2, 3), (0, 4, 2), (1, 3, 1), (1, 7, 5), (0, 8, 1), (3, 10, 2)])
T1_STATE: dict[str, Any] = {
    "corrections": np.array([1, 2] * 6, dtype=np.float32),
    "distance": np.array([[np.inf, -1, np.log(1000)]], dtype=np.float32),
    "chromosome_means": np.zeros(2, dtype=np.float32),
}


def t1(datatype: str, valid: Array | None = None, **options: Any) -> Any:
    arguments: dict[str, Any] = {"region": "A", "binsize": 100, **options}
    return heatmap(
        T1,
        store_of(T1_ROWS, T1),
        np.ones(12, dtype=np.int32) if valid is None else valid,
        datatype=datatype,  # type: ignore[arg-type]
        **T1_STATE,
        **arguments,
    )


def upper(dataset: Any, variable: str, diagonal: bool = False) -> list[float]:
    values = dataset[variable].values
    return values[np.triu_indices(len(values), 0 if diagonal else 1)].tolist()


@pytest.mark.parametrize(
    ("datatype", "expected"),
    [
        ("raw", [2, 4, 4, 2, 4, 2]),
        ("fend", [5, 9, 9, 5, 9, 5]),
        ("distance", [20, 20.666667, 13.523810, 20, 20.666667, 20]),
        ("enrichment", [50, 46.333333, 30.380952, 50, 46.333333, 50]),
    ],
)
def test_t1_items_1_to_4_cells(datatype: str, expected: list[float]) -> None:
    dataset = t1(datatype)
    assert upper(dataset, "observed") == [4, 2, 5, 0, 0, 0]
    np.testing.assert_allclose(upper(dataset, "expected"), expected, rtol=1e-6)
    np.testing.assert_array_equal(dataset["observed"], dataset["observed"].T)
    expect = dataset["expected"].values
    ratio = dataset["observed"].values / np.where(expect > 0, expect, np.nan)
    np.testing.assert_allclose(dataset["enrichment"], ratio, rtol=1e-6)
    assert dataset["start1"].values.tolist() == [0, 100, 200, 300]
    assert dataset["stop2"].values.tolist() == [100, 200, 300, 400]


def test_t1_item_5_expected_holds_possible_pairs() -> None:
    dataset = t1("expected")
    assert upper(dataset, "observed") == [2, 4, 4, 2, 4, 2]
    np.testing.assert_array_equal(dataset["expected"], t1("enrichment")["expected"])
    np.testing.assert_array_equal(dataset["observed"], t1("raw")["expected"])
    trans = t1("expected", region="B", region2="A")
    assert set(trans["observed"].values.ravel()) == {4}
    np.testing.assert_allclose(trans["expected"], 0.5625, rtol=1e-6)


def test_t1_item_6_diagonal() -> None:
    dataset = t1("fend", binsize=200)
    assert upper(dataset, "observed", diagonal=True) == [4, 7, 0]
    assert upper(dataset, "expected", diagonal=True) == [5, 32, 5]


def test_t1_item_8_maxdistance_is_inclusive() -> None:
    dataset = t1("raw", maxdistance=150)
    assert upper(dataset, "observed") == [4, 0, 0, 0, 0, 0]
    assert upper(dataset, "expected") == [2, 1, 0, 2, 1, 2]


def test_t1_item_9_regions() -> None:
    assert t1("raw", region="A:30-")["start1"].values.tolist() == [30, 130, 230, 330]
    assert t1("raw", region="A:30-300")["stop1"].values[-1] == 330


def test_t1_item_11_filter() -> None:
    valid = np.ones(12, dtype=np.int32)
    valid[2] = 0
    assert upper(t1("raw", valid), "expected") == [1, 4, 4, 1, 2, 2]
    assert upper(t1("raw", valid), "observed") == [1, 2, 5, 0, 0, 0]
    assert upper(t1("fend", valid), "expected") == [4, 9, 9, 4, 6, 5]


def test_t1_trans() -> None:
    dataset = t1("enrichment", region="B", region2="A", binsize=200)
    assert dataset["observed"].values.tolist() == [[3, 0]]
    mean = (1 / 1 + 2 / 2) / 32
    np.testing.assert_allclose(dataset["expected"], [[mean * 6 * 6, mean * 6 * 6]], rtol=1e-6)
    assert t1("raw", region="B", region2="A", binsize=200)["expected"].values.tolist() == [[16, 16]]


def test_cells_without_possible_pairs__expect_exactly_nothing() -> None:
    rng = np.random.default_rng(5)
    edges = np.cumsum(rng.integers(50, 3000, 401))
    units = make_units(
        {"A": list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))}, fends=True
    )
    valid = (rng.random(400) < 0.8).astype(np.int32)
    state = {
        "corrections": np.exp(rng.normal(0, 1, 400)).astype(np.float32),
        "distance": np.array([[9, -0.6, 2], [np.inf, -1.2, 3]], dtype=np.float32),
    }
    row, column = np.indices((400, 400))
    row, column = np.minimum(row, column), np.maximum(row, column)
    gap = column - row
    possible = (gap > 1) & ~((gap == 3) & (row % 2 == 0)) & (valid[row] > 0) & (valid[column] > 0)
    for datatype in ("fend", "distance", "enrichment"):
        dataset = heatmap(
            units,
            store_of(np.array([(0, 9, 1)]), units),
            valid,
            region="A",
            binsize=0,
            datatype=datatype,  # type: ignore[arg-type]
            **state,
        )
        np.testing.assert_array_equal(dataset["expected"] > 0, possible)
        np.testing.assert_array_equal(np.isnan(dataset["enrichment"]), ~possible)


def test_region_without_valid_units__is_empty() -> None:
    valid = np.ones(12, dtype=np.int32)
    valid[4:8] = 0
    dataset = t1("enrichment", valid, region="A:200-400")
    assert not dataset["observed"].values.any()
    assert not dataset["expected"].values.any()
    assert np.isnan(dataset["enrichment"].values).all()
    unbinned = t1("enrichment", valid, binsize=0)
    assert unbinned["start1"].values.tolist() == list(range(0, 400, 50))


# A plain oracle


def plain(
    units: Units, rows: Array, valid: Array, dataset: Any, value: Callable[[int, int], float],
    maxdistance: int,
) -> tuple[Array, Array]:  # fmt: skip
    """Observed and expected of every cell by a loop over all pairs."""
    shape = dataset["observed"].shape
    observed, expected = np.zeros(shape), np.zeros(shape)

    def place(unit: int, axis: int) -> int:
        name = units.chromosomes[units.chromosome[unit]]
        start, stop = dataset[f"start{axis}"].values, dataset[f"stop{axis}"].values
        own = dataset[f"chromosome{axis}"].values == name
        inside = own & (start <= units.mid[unit]) & (units.mid[unit] < stop)
        return int(np.flatnonzero(inside)[0]) if inside.any() else -1

    where = [[place(unit, axis) for unit in range(len(units))] for axis in (1, 2)]

    def add(target: Array, i: int, j: int, amount: float) -> None:
        cells = {(where[0][i], where[1][j]), (where[0][j], where[1][i])}
        for row, column in cells:
            if row >= 0 and column >= 0:
                target[row, column] += amount

    def wanted(i: int, j: int) -> bool:
        cis = units.chromosome[i] == units.chromosome[j]
        near = units.mid[j] - units.mid[i] <= maxdistance
        return bool(valid[i] and valid[j] and (not cis or not maxdistance or near))

    for i, j, n in rows:
        if wanted(i, j):
            add(observed, i, j, n)
    for i in range(len(units)):
        for j in range(i, len(units)):
            cis = units.chromosome[i] == units.chromosome[j]
            if not wanted(i, j):
                continue
            if cis and units.fends and (j - i < 2 or (i % 2 == 0 and j - i == 3)):
                continue
            add(expected, i, j, value(i, j))
    return observed, expected


def random_model(units: int, rng: np.random.Generator) -> BinningModel:
    """A binning model of two features, its corrections far from 1."""
    num_bins = np.array([2, 3], dtype=np.int32)
    bins = rng.integers(0, num_bins, (units, 2)).astype(np.int32)
    corrections = [np.exp(rng.normal(0, 0.7, size)) for size in (3, 6)]
    return BinningModel.of_bins(["gc", "len"], num_bins, bins, corrections)


@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_heatmaps__equal_plain_oracle_for_any_chunks(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    fends = data.draw(st.booleans())
    intervals = {}
    for name in ("A", "B"):
        edges = np.cumsum(rng.integers(1, 60, 2 * rng.integers(2, 9) + 1)) + rng.integers(0, 200)
        intervals[name] = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    units = make_units(intervals, fends=fends)
    n = len(units)
    pairs = [
        (i, j, int(rng.integers(1, 9)))
        for i in range(n)
        for j in range(i, n)
        if rng.random() < 0.3
        and not (
            fends
            and units.chromosome[i] == units.chromosome[j]
            and (j - i < 2 or (i % 2 == 0 and j - i == 3))
        )
    ]
    rows = np.array(pairs or np.zeros((0, 3)), dtype=np.int64)
    valid = (rng.random(n) < 0.8).astype(np.int32)
    corrections = (rng.random(n) + 0.5).astype(np.float32)
    means = rng.normal(0, 0.3, 2).astype(np.float32)
    binning = random_model(n, rng) if data.draw(st.booleans()) else None
    distance = np.array(
        [[np.log(40.5), -0.6, 2.0], [np.log(150.5), -1.2, 3.0], [np.inf, -0.9, 2.2]],
        dtype=np.float32,
    )
    datatype = data.draw(st.sampled_from(["raw", "fend", "distance", "enrichment", "expected"]))
    maxdistance = data.draw(st.sampled_from([0, 60, 200]))
    binsize = data.draw(st.sampled_from([0, 50, 130]))
    start = int(units.mid[0])
    regions = {
        "whole": ("A", None),
        "genome": (None, None),
        "trans": ("B", "A"),
        "window": (("A", start, start + 300), None),
        "rectangle": (("A", start, start + 200), ("A", start + 100, start + 350)),
    }
    kind = data.draw(st.sampled_from(sorted(regions)))
    region, region2 = regions[kind]
    if kind == "rectangle" and binsize:
        region2 = ("A", start + binsize, start + 3 * binsize)
    options: dict[str, Any] = {
        "region": region, "region2": region2, "binsize": binsize, "datatype": datatype,
        "corrections": corrections, "distance": distance, "chromosome_means": means,
        "maxdistance": maxdistance, "binning": binning,
    }  # fmt: skip
    if binning is not None and data.draw(st.booleans()):
        corrections = np.ones(n, dtype=np.float32)
        options["corrections"] = None
    store = store_of(rows, units)
    try:
        dataset = heatmap(units, store, valid, **options, chunk_bins=data.draw(st.integers(1, 7)))
    except RegionError:
        return
    cross = units.chromosome[rows[:, 0]] != units.chromosome[rows[:, 1]]
    weight = corrections.astype(np.float64) if datatype not in ("raw", "distance") else np.ones(n)
    seen = [(i, j, c) for (i, j, c), far in zip(rows, cross, strict=True) if far]
    total = sum(
        c / (float(corrections[i]) * float(corrections[j]))
        for i, j, c in seen
        if valid[i] and valid[j]
    )
    trans = total / max(1, int(valid[units.span(0)].sum()) * int(valid[units.span(1)].sum()))

    def value(i: int, j: int) -> float:
        result = float(weight[i] * weight[j])
        if binning is not None and datatype not in ("raw", "distance"):
            result *= float(binning.factors(np.array([i]), np.array([j]))[0])
        if datatype in ("raw", "fend"):
            return result
        if units.chromosome[i] != units.chromosome[j]:
            return result * trans
        length = np.log(max(1, int(units.mid[j]) - int(units.mid[i])))
        _, slope, intercept = distance[np.searchsorted(distance[:, 0], length)].astype(float)
        return result * float(np.exp(slope * length + intercept + means[units.chromosome[i]]))

    observed, expected = plain(units, rows, valid, dataset, value, maxdistance)
    if datatype == "expected":
        observed = plain(units, rows, valid, dataset, lambda i, j: 1.0, maxdistance)[1]
    np.testing.assert_array_equal(dataset["observed"], observed)
    np.testing.assert_allclose(dataset["expected"], expected, rtol=2e-6, atol=1e-6)


def test_builders__compute_nothing() -> None:
    def refuse(dsk: Any, keys: Any, **_: Any) -> Any:
        raise AssertionError("something was computed")

    with dask.config.set(scheduler=refuse):
        dataset = t1("enrichment", region=None)
        window = dataset.isel(bin1=slice(0, 2))
    assert window["enrichment"].shape == (2, 6)
    assert dataset["enrichment"].chunks is not None


def test_schedulers__same_bytes() -> None:
    results = []
    for scheduler in ("sync", "threads"):
        with dask.config.set(scheduler=scheduler):
            results.append(t1("enrichment", region=None, chunk_bins=1)["enrichment"].values)
    assert results[0].tobytes() == results[1].tobytes()


def test_genome__has_all_chromosomes() -> None:
    dataset = t1("raw", region=None)
    assert dataset["chromosome1"].values.tolist() == ["A"] * 4 + ["B"] * 2
    assert dataset["observed"].sum().compute() > 0
    assert dataset.attrs["region"] == "genome"


def test_window__can_be_selected_by_position() -> None:
    dataset = t1("raw")
    assert dataset["observed"].sel(bin1=0, bin2=100).compute() == 4


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"datatype": "corrected"},
            ParameterError,
            "unknown datatype 'corrected'; known are: raw",
        ),
        ({"region": "C"}, RegionError, "unknown chromosome 'C'; known are: A, B"),
        (
            {"region": "A:400-6000"},
            RegionError,
            "holds no fend; 'A' has fends .* 25 to 375",
        ),
        (
            {"region": "A:5000-6000"},
            RegionError,
            "holds no fend; 'A' has fends .* 25 to 375",
        ),
        ({"binsize": -1}, ParameterError, "binsize is -1"),
        ({"maxdistance": -1}, ParameterError, "maxdistance is -1"),
        ({"region": "A:0-200", "region2": "A:30-300"}, ParameterError, "move the start of region2"),
        ({"region": None, "region2": "A"}, ParameterError, "region2 needs a region"),
    ],
)
def test_errors__name_the_cure(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        t1(**{"datatype": "raw", **options})


def test_missing_state__names_the_call() -> None:
    store, valid = store_of(T1_ROWS, T1), np.ones(12, dtype=np.int32)
    with pytest.raises(StateError, match="find_express_fend_corrections first"):
        heatmap(T1, store, valid, region="A", binsize=100, datatype="fend")
    with pytest.raises(StateError, match="find_distance_parameters first"):
        heatmap(T1, store, valid, region="A", binsize=100, datatype="distance")


# Many chromosomes


def contigs(number: int, seed: int = 1, fends: bool = True) -> tuple[Units, PairStore]:
    """A genome of contigs of all sizes, with cis and trans pairs."""
    rng = np.random.default_rng(seed)
    intervals = {}
    for k in range(number):
        edges = np.cumsum(rng.integers(20, 400, 2 * rng.integers(1, 12) + 1))
        intervals[f"contig{k}"] = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    units = make_units(intervals, fends=fends)
    first, second = np.sort(rng.integers(0, len(units), (2, 40 * number)), axis=0)
    near = np.minimum(first + rng.integers(4, 9, len(first)), len(units) - 1)
    second = np.where(rng.random(len(first)) < 0.5, near, second)
    possible = (second - first > 3) | (units.chromosome[first] != units.chromosome[second])
    first, second = np.unique(np.stack([first, second])[:, possible], axis=1)
    rows = np.stack([first, second, rng.integers(1, 9, len(first))], axis=1)
    return units, store_of(rows, units)


def state_of(units: Units, seed: int = 2, *, binning: bool = False) -> dict[str, Any]:
    """Corrections, distance dependence and means, all of them far from 1."""
    rng = np.random.default_rng(seed)
    return {
        "corrections": np.exp(rng.normal(0, 0.5, len(units))).astype(np.float32),
        "distance": np.array([[6.1, -0.7, 2], [np.inf, -1.2, 5]], dtype=np.float32),
        "chromosome_means": rng.normal(0, 0.3, len(units.chromosomes)).astype(np.float32),
        "binning": random_model(len(units), rng) if binning else None,
    }


DATATYPES = ["raw", "fend", "distance", "enrichment", "expected"]


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("maxdistance", [0, 700])
@pytest.mark.parametrize("binning", [False, True])
def test_genome__blocks_equal_maps_of_two_chromosomes(
    datatype: Any, maxdistance: int, binning: bool
) -> None:
    units, store = contigs(7)
    valid = (np.random.default_rng(3).random(len(units)) < 0.8).astype(np.int32)
    state = state_of(units, binning=binning)
    options = {"binsize": 300, "datatype": datatype, "maxdistance": maxdistance, **state}
    genome = heatmap(units, store, valid, region=None, chunk_bins=9, **options).compute()
    own = {name: genome["chromosome1"].values == name for name in units.chromosomes}
    for one in units.chromosomes:
        for two in units.chromosomes:
            part = heatmap(
                units, store, valid, region=one, region2=None if one == two else two, **options
            )
            for name in ("observed", "expected", "enrichment"):
                block = genome[name].values[np.ix_(own[one], own[two])]
                np.testing.assert_array_equal(block, part[name].values)


def test_unit_with_itself__is_expected_exactly_never_with_a_binning_model() -> None:
    units, store = contigs(7)
    valid = np.ones(len(units), dtype=np.int32)
    options = {"binsize": 0, "datatype": "fend", **state_of(units, binning=True)}
    dataset = heatmap(units, store, valid, region=None, **options)
    np.testing.assert_array_equal(np.diag(dataset["expected"].values), 0)


@given(
    chunk_bins=st.integers(4, 40),
    number=st.integers(1, 9),
    datatype=st.sampled_from(DATATYPES),
    fends=st.booleans(),
    binning=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_genome__symmetric_and_independent_of_chunk_bins(
    chunk_bins: int, number: int, datatype: Any, fends: bool, binning: bool
) -> None:
    units, store = contigs(number, seed=number, fends=fends)
    valid = np.ones(len(units), dtype=np.int32)
    options = {
        "region": None,
        "binsize": 500,
        "datatype": datatype,
        **state_of(units, binning=binning),
    }
    whole = heatmap(units, store, valid, chunk_bins=10**6, **options).compute()
    parts = heatmap(units, store, valid, chunk_bins=chunk_bins, **options).compute()
    for name in ("observed", "expected", "enrichment"):
        values = parts[name].values
        np.testing.assert_array_equal(values, values.T)
        assert values.tobytes() == whole[name].values.tobytes()


def test_genome__independent_of_how_rows_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    units, store = contigs(12)
    valid = np.ones(len(units), dtype=np.int32)
    options = {"region": None, "binsize": 500, "datatype": "enrichment", **state_of(units)}
    whole = heatmap(units, store, valid, **options).compute()
    monkeypatch.setattr("hifive_dask._store.pairs.CHUNK", 8)
    monkeypatch.setattr("hifive_dask.heatmap.rows.CHUNK", 8)
    monkeypatch.setattr("hifive_dask.model.rows.CHUNK", 8)
    monkeypatch.setattr("hifive_dask.model.rows.SPAN", 16)
    monkeypatch.setattr("hifive_dask.heatmap.chunks.SPAN", 16)
    first = store.rows_of(0, len(store))()[0]
    small = replace(store, tile_first_fend1=first[::8].copy())
    divided = heatmap(units, small, valid, chunk_bins=7, **options).compute()
    np.testing.assert_array_equal(divided["observed"], whole["observed"])
    # Sums of trans means are rounded where rows are divided.
    np.testing.assert_allclose(divided["expected"], whole["expected"], rtol=3e-7)


@pytest.mark.parametrize("datatype", DATATYPES)
def test_task_count__depends_on_bins_not_on_chromosomes(datatype: Any) -> None:
    def tasks(number: int) -> tuple[int, int]:
        units, store = contigs(number)
        size = int(units.stop[units.offset[1:] - 1].sum()) // (400 - number // 2)
        dataset = heatmap(
            units, store, np.ones(len(units), dtype=np.int32), region=None, binsize=size,
            datatype=datatype, **state_of(units),
        )  # fmt: skip
        (lazy,) = dask.optimize(dataset)
        return dataset.sizes["bin1"], len(dict(lazy.__dask_graph__()))

    bins, count = tasks(300)
    assert 300 < bins < 512
    assert count < 600
    few, fewer = tasks(10)
    assert 300 < few < 512
    assert count < fewer + 150


def test_window__is_few_tasks_and_reads_its_rows_once() -> None:
    units, store = contigs(300)
    chrom = int(np.argmax(np.diff(units.offset)))
    reads = []

    def rows_of(lo: int, hi: int) -> Any:
        reads.append((lo, hi))
        return store.rows_of(lo, hi)

    dataset = heatmap(
        units,
        replace(store, rows_of=rows_of),
        np.ones(len(units), dtype=np.int32),
        region=f"contig{chrom}",
        binsize=500,
        **state_of(units),
    )
    (lazy,) = dask.optimize(dataset)
    assert len(dict(lazy.__dask_graph__())) < 20
    assert reads == [store.block_rows(chrom, chrom)]
    assert len(pickle.dumps(dict(lazy.__dask_graph__()))) < 60_000 + len(pickle.dumps(store))


# Corrections and regions that do not fit


@pytest.mark.parametrize("datatype", DATATYPES)
def test_units_without_correction__have_no_part_where_corrections_matter(datatype: Any) -> None:
    units, store = contigs(5)
    rng = np.random.default_rng(4)
    state, everything = state_of(units), np.ones(len(units), dtype=np.int32)
    filtered = (rng.random(len(units)) < 0.7).astype(np.int32)
    state["corrections"] *= filtered
    options = {"region": None, "binsize": 400, "datatype": datatype, **state}
    reset = heatmap(units, store, everything, **options)
    before = heatmap(units, store, filtered, **options)
    same = reset["observed"].equals(before["observed"])
    if datatype in ("raw", "distance"):
        assert not same
        assert np.isfinite(reset["expected"]).all()
        plain_state = {**options, "corrections": state_of(units)["corrections"]}
        cis = reset["chromosome1"].values[:, None] == reset["chromosome2"].values
        all_used = heatmap(units, store, everything, **plain_state)
        np.testing.assert_array_equal(
            reset["expected"].values[cis], all_used["expected"].values[cis]
        )
    else:
        assert same
        assert reset["expected"].equals(before["expected"])


@pytest.mark.parametrize("second", [False, True])
def test_stop_beyond_the_chromosome__is_its_end(second: bool) -> None:
    regions = {"region": "A", "region2": "A:100-9000000"} if second else {"region": "A:100-9000000"}
    dataset = t1("raw", **regions)
    assert dataset["start2"].values.tolist() == [100, 200, 300]
    assert dataset["stop2"].values.tolist() == [200, 300, 400]
    wide = t1("raw", region="A:100-9000000", binsize=250)
    assert wide["stop1"].values.tolist() == [350, 600]


# Reference results


BINNING = ["binning", "binning-express"]
CIS = [
    *[f"none_{datatype}_upper" for datatype in ("raw", "distance", "expected")],
    *[f"express_{d}_upper" for d in ("raw", "fend", "distance", "enrichment", "expected")],
    *[f"express_{datatype}_upper_diagonal" for datatype in ("raw", "distance", "enrichment")],
    "express_enrichment_upper_maxdistance",
    "express_enrichment_full",
    "express_enrichment_startstop",
    "express_enrichment_unbinned",
    *[f"{s}_{d}_upper" for s in BINNING for d in DATATYPES],
    "binning-express_enrichment_unbinned_upper",
]
TRANS = [
    *[f"none_{datatype}" for datatype in ("raw", "distance", "expected")],
    *[f"express_{d}" for d in ("raw", "fend", "distance", "enrichment", "expected")],
    *[f"{s}_{d}" for s in BINNING for d in DATATYPES],
    "rectangle_binning",
]


def layout(cells: Array, arraytype: str, diagonal: bool) -> Array:
    """A symmetric matrix (N, N, 2) in the layout of the reference."""
    n = len(cells)
    if arraytype == "upper":
        return cells[np.triu_indices(n, 0 if diagonal else 1)]
    result = np.zeros((n, n, 2) if arraytype == "full" else (n, n - 1, 2))
    for i in range(n):
        if arraytype == "full":
            result[i, :i], result[i, i + 1 :] = cells[i, :i], cells[i, i + 1 :]
        else:
            result[i, : n - 1 - i] = cells[i, i + 1 :]
    return result


@pytest.mark.golden
@pytest.mark.parametrize(
    ("section", "name"), [*(("cis", n) for n in CIS), *(("trans", n) for n in TRANS)]
)
def test_sim_small__heatmaps(shared: Path, compare: ModuleType, section: str, name: str) -> None:
    import json

    import h5py

    folder = shared / "golden/sim-small"
    state, call = json.loads((folder / "calls.json").read_text())[section][name]
    case = compare.load_case(str(folder))
    world = World(folder, "hifive/sim.fends", "hifive/sim.hcd")
    with h5py.File(folder / f"hifive/state_{state}.hcp") as file:
        learned = {name: file[name][...] for name in file}
    binning = None
    if state.startswith("binning"):
        names = ("num_bins", "correction_indices", "corrections", "fend_indices")
        arrays = [learned[f"binning_{name}"] for name in names]
        binning = BinningModel(tuple(map(str, learned["model_parameters"])), *arrays)
    first = "chrom" if section == "cis" else "chrom1"
    dataset = heatmap(
        world.units,
        world.store,
        learned["filter"],
        region=(call[first], *(call.get(k, call.get(f"{k}1")) for k in ("start", "stop"))),
        region2=(call["chrom2"], call.get("start2"), call.get("stop2"))
        if section == "trans"
        else None,
        binsize=call["binsize"],
        datatype=call["datatype"],
        corrections=learned.get("corrections"),
        binning=binning,
        distance=learned.get("distance_parameters"),
        chromosome_means=learned.get("chromosome_means"),
        maxdistance=call.get("maxdistance", 0),
    )
    array = np.stack([dataset[v].values for v in ("observed", "expected")], axis=-1)
    if section == "cis":
        array = layout(array, call["arraytype"], "includediagonal" in call)
    key = f"heatmaps_{section}/{name}.array"
    assert key in case
    assert compare.compare(case, {key: array})


@pytest.mark.golden
@pytest.mark.parametrize("datatype", ["raw", "fend", "distance", "enrichment", "expected"])
def test_sim_small__heatmaps_of_bins(shared: Path, compare: ModuleType, datatype: str) -> None:
    import h5py

    folder = shared / "golden/sim-small"
    case = compare.load_case(str(folder))
    world = World(folder, "hifive/sim_rebinned.fends", "hifive/sim_rebinned.hcd")
    with h5py.File(folder / "hifive/state_binned.hcp") as file:
        learned = {name: file[name][...] for name in file}

    def array(region: str, binsize: int, region2: str | None = None, maxdistance: int = 0) -> Array:
        dataset = heatmap(
            world.units,
            world.store,
            learned["filter"],
            region=region,
            region2=region2,
            binsize=binsize,
            datatype=datatype,  # type: ignore[arg-type]
            corrections=learned["corrections"],
            distance=learned["distance_parameters"],
            chromosome_means=learned["chromosome_means"],
            maxdistance=maxdistance,
        )
        cells = np.stack([dataset[v].values for v in ("observed", "expected")], axis=-1)
        return cells if region2 else cells[np.triu_indices(len(cells))]

    results = {
        f"binned/cis_{datatype}_upper.array": array("chr2", 20000),
        f"binned/trans_{datatype}.array": array("chr2", 80000, "chrX"),
    }
    if datatype == "fend":
        results["binned/cis_fend_maxdistance.array"] = array("chr2", 20000, maxdistance=120000)
    assert all(name in case for name in results)
    assert compare.compare(case, results)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"binsize": 1.5}, r"binsize is 1\.5, expected a whole number of bp"),
        ({"binsize": "ten"}, "'ten' is not a number of bp, such as 5000"),
        ({"binsize": None}, "binsize is None, expected a whole number"),
        ({"region": 2}, r"region 2 is neither text, such as 'chr2:10M-20M', nor \(chromosome"),
        ({"region": ("A", 0, 1.5)}, "the stop of region .* is 1.5, expected a whole number"),
        ({"region": ("A", "x", 5)}, "the start of region .*'x' is not a number of bp"),
    ],
)
def test_values_of_other_types__are_named(changes: dict[str, Any], message: str) -> None:
    store, valid = store_of(T1_ROWS, T1), np.ones(12, dtype=np.int32)
    arguments = {"region": "A", "binsize": 100, "datatype": "raw", **changes}
    with pytest.raises(ParameterError, match=message):
        heatmap(T1, store, valid, **arguments)


def test_whole_numbers_and_bytes__are_taken_as_they_are_meant() -> None:
    store, valid = store_of(T1_ROWS, T1), np.ones(12, dtype=np.int32)
    one = heatmap(T1, store, valid, region="A:0-300", binsize=100, datatype="raw")
    two = heatmap(T1, store, valid, region=(b"A", 0.0, 3e2), binsize=1e2, datatype="raw")
    xr.testing.assert_identical(one.compute(), two.compute())
    by_bytes = heatmap(T1, store, valid, region=b"A:0-300", binsize=100, datatype="raw")
    xr.testing.assert_identical(one.compute(), by_bytes.compute())


def test_maps_of_too_many_bins__are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    store, valid = store_of(T1_ROWS, T1), np.ones(12, dtype=np.int32)
    monkeypatch.setattr("hifive_dask.heatmap.query._MOST_CELLS", 8)
    with pytest.raises(ParameterError, match=r"bins has too many chunks, expected up to 8 cells"):
        heatmap(T1, store, valid, region="A", binsize=1, datatype="raw")


def test_coarsening__as_the_guide_shows() -> None:
    store, valid = store_of(T1_ROWS, T1), np.ones(12, dtype=np.int32)
    maps = heatmap(T1, store, valid, region="A", binsize=100, datatype="raw")
    cells = maps[["observed", "expected"]].drop_vars(["chromosome1", "chromosome2"])
    coarse = cells.coarsen(bin1=2, bin2=2, boundary="trim").sum().compute()
    larger = heatmap(T1, store, valid, region="A", binsize=200, datatype="raw").compute()
    rows, columns = np.triu_indices(coarse.sizes["bin1"], 1)
    for layer in ("observed", "expected"):
        np.testing.assert_allclose(
            coarse[layer].values[rows, columns], larger[layer].values[rows, columns]
        )
