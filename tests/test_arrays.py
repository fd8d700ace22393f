"""Heatmaps as arrays: numbers of the specification, plain oracles, dynamic bins, references."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import dask
import h5py
import numpy as np
import pytest
from matplotlib.image import imread

import hifive_dask as hd
from hifive_dask.errors import (
    HifiveDaskWarning,
    ParameterError,
    RegionError,
    StateError,
    StoreError,
)
from hifive_dask.heatmap import chunks
from hifive_dask.heatmap.arrays import cis_array, trans_array, unfold
from hifive_dask.heatmap.bins import Request, find_bins
from hifive_dask.heatmap.dynamic import Growth
from hifive_dask.heatmap.proportional import shares
from hifive_dask.heatmap.recipe import Recipe
from hifive_dask.plot.scores import score_colours, write_scores
from hifive_dask.testing import toy_project

from .reference_model import store_of
from .test_heatmap import T1, T1_ROWS, T1_STATE, contigs, state_of
from .worlds import units as make_units

Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


# The tiny set T1 of the specification


def t1(datatype: str = "raw", valid: Array | None = None, maxdistance: int = 0) -> Recipe:
    usable = np.ones(12, dtype=np.int32) if valid is None else valid
    return Recipe(
        T1,
        store_of(T1_ROWS, T1),
        usable,
        datatype,  # type: ignore[arg-type]
        **T1_STATE,
        maxdistance=maxdistance,
    )


def cis(recipe: Recipe, arraytype: Any = "upper", *, options: Any = None, **request: Any) -> Any:
    """Array and mapping of chromosome A, by default in bins of 100 bp."""
    asked = Request("A", **{"binsize": 100, **request})
    array, bins, _ = cis_array(recipe, asked, arraytype, silent=True, **(options or {}))
    return array, bins.mapping


def trans(recipe: Recipe, one: Request, two: Request, **options: Any) -> Array:
    return trans_array(recipe, one, two, silent=True, **options)[0]


def cells(*pairs: tuple[float, float]) -> Array:
    return np.array(pairs)


def without(unit: int) -> Array:
    valid = np.ones(12, dtype=np.int32)
    valid[unit] = 0
    return valid


def test_t1_item_1_raw_and_mapping() -> None:
    array, mapping = cis(t1())
    np.testing.assert_array_equal(array, cells((4, 2), (2, 4), (5, 4), (0, 2), (0, 4), (0, 2)))
    assert array.dtype == np.float32
    assert mapping.tolist() == [
        [0, 100, 0, 2],
        [100, 200, 2, 4],
        [200, 300, 4, 6],
        [300, 400, 6, 8],
    ]
    assert mapping.dtype == np.int32


@pytest.mark.parametrize(
    ("datatype", "observed", "expected"),
    [
        ("fend", [4, 2, 5, 0, 0, 0], [5, 9, 9, 5, 9, 5]),
        ("distance", [4, 2, 5, 0, 0, 0], [20, 20.666667, 13.523810, 20, 20.666667, 20]),
        ("enrichment", [4, 2, 5, 0, 0, 0], [50, 46.333333, 30.380952, 50, 46.333333, 50]),
        ("expected", [2, 4, 4, 2, 4, 2], [50, 46.333333, 30.380952, 50, 46.333333, 50]),
    ],
)
def test_t1_items_2_to_5_datatypes(
    datatype: str, observed: list[float], expected: list[float]
) -> None:
    array, _ = cis(t1(datatype))
    np.testing.assert_allclose(array.T, [observed, expected], rtol=1e-6)


def test_t1_item_6_diagonal_is_once_in_every_array_type() -> None:
    want = cells((4, 5), (7, 32), (0, 5))
    for arraytype in ("upper", "compact", "full"):
        array, _ = cis(t1("fend"), arraytype, binsize=200, options={"diagonal": True})
        full = unfold(array, 2, arraytype, True)
        np.testing.assert_array_equal(full[np.triu_indices(2)], want)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("maxdistance", [0, 120, 250])
def test_t1_item_7_array_types_agree(diagonal: bool, maxdistance: int) -> None:
    recipe = t1("enrichment", maxdistance=maxdistance)
    options = {"diagonal": diagonal}
    arrays = {kind: cis(recipe, kind, options=options)[0] for kind in ("upper", "compact", "full")}
    shapes = {kind: array.shape for kind, array in arrays.items()}
    assert shapes["upper"] == ((10 if diagonal else 6), 2)
    assert shapes["full"] == (4, 4, 2)
    maps = {kind: unfold(array, 4, kind, diagonal) for kind, array in arrays.items()}  # type: ignore[arg-type]
    np.testing.assert_array_equal(maps["upper"], arrays["full"])
    near = np.abs(np.subtract.outer(range(4), range(4))) < shapes["compact"][1] + (not diagonal)
    np.testing.assert_array_equal(maps["compact"], np.where(near[..., None], arrays["full"], 0))
    if not maxdistance:
        assert near.all()


def test_t1_item_8_maxdistance_cuts_columns_of_compact_arrays() -> None:
    array, _ = cis(t1(maxdistance=150), "compact")
    want = [[(4, 2), (0, 1)], [(0, 2), (0, 1)], [(0, 2), (0, 0)], [(0, 0), (0, 0)]]
    assert array.tolist() == np.array(want, dtype=float).tolist()
    array, _ = cis(t1(maxdistance=150))
    np.testing.assert_array_equal(array, cells((4, 2), (0, 1), (0, 0), (0, 2), (0, 1), (0, 2)))


def test_t1_item_9_start_is_not_rounded_and_stop_is() -> None:
    _, mapping = cis(t1(), start=30)
    assert mapping[:, 0].tolist() == [30, 130, 230, 330]
    assert mapping[0].tolist() == [30, 130, 1, 3]
    assert mapping[-1].tolist() == [330, 430, 7, 8]
    assert cis(t1(), start=30, stop=300)[1][-1, 1] == 330


def test_t1_item_10_units_outside_stay_out() -> None:
    array, mapping = cis(t1(), startfend=3, stopfend=7)
    assert mapping.tolist() == [[100, 200, 3, 4], [200, 300, 4, 6], [300, 400, 6, 7]]
    np.testing.assert_array_equal(array, cells((0, 1), (0, 1), (0, 1)))
    assert cis(t1(), start=0, startfend=3, stop=400, stopfend=5)[1][:, 2:].tolist() == [
        [0, 2], [2, 4], [4, 6], [6, 8],
    ]  # fmt: skip


def test_t1_item_11_filter() -> None:
    array, _ = cis(t1(valid=without(2)))
    assert array.T.tolist() == [[1, 2, 5, 0, 0, 0], [1, 4, 4, 1, 2, 2]]
    assert cis(t1("fend", without(2)))[0][:, 1].tolist() == [4, 9, 9, 4, 6, 5]
    binned, _ = cis(t1(valid=without(2)), skipfiltered=True)
    np.testing.assert_array_equal(binned, array)
    full, mapping = cis(t1(valid=without(2)), "full", binsize=0, skipfiltered=True)
    assert full.shape == (7, 7, 2)
    assert mapping[:, 2].tolist() == [0, 1, 3, 4, 5, 6, 7]
    every, _ = cis(t1(valid=without(2)), "full", binsize=0)
    used = np.delete(np.arange(8), 2)
    np.testing.assert_array_equal(full, every[np.ix_(used, used)])


def test_t1_item_12_proportional() -> None:
    array, _ = cis(t1(), binsize=80, options={"proportional": True})
    assert array[0, 0] == pytest.approx(
        3 * 0.625 * 0.625 + 0.375 * 0.125 + 2 * 0 + 0, abs=1e-6
    )  # pairs (0, 2) and (1, 3)
    assert array[1, 0] == pytest.approx(0.375 * 0.5 + 2 * 0.625 * 0.5, abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_proportional__equals_a_loop_over_pairs(seed: int) -> None:
    units, store = contigs(2, seed)
    rng = np.random.default_rng(seed)
    valid = (rng.random(len(units)) < 0.8).astype(np.int32)
    maxdistance, diagonal = (0, 900)[seed % 2], seed % 3 == 0
    span = units.span(1)
    request = Request(units.chromosomes[1], binsize=300)
    if seed > 3:
        low = int(units.mid[span][0])
        request = Request(
            units.chromosomes[1], binbounds=[[low - 9, low + 240], [low + 300, low + 900]]
        )
    state = state_of(units)
    recipe = Recipe(units, store, valid, "fend", state["corrections"], maxdistance=maxdistance)
    array, bins, _ = cis_array(
        recipe, request, "full", diagonal=diagonal, proportional=True, silent=True
    )
    want = np.zeros(array.shape)
    counts = {(i, j): n for i, j, n in np.stack(store.rows_of(0, len(store))(), axis=1).tolist()}

    def bin_of(unit: int) -> int:
        inside = (bins.start <= units.mid[unit]) & (units.mid[unit] < bins.stop)
        return int(np.flatnonzero(inside)[0]) if inside.any() else -1

    def share(unit: int) -> Array:
        overlap = np.minimum(units.stop[unit], bins.stop) - np.maximum(
            units.start[unit], bins.start
        )
        return np.maximum(0, overlap) / (bins.stop - bins.start)

    for i in range(bins.lo, bins.hi):
        for j in range(i + 2, bins.hi):
            far = maxdistance and units.mid[j] - units.mid[i] > maxdistance
            if not (valid[i] and valid[j]) or (i % 2 == 0 and j == i + 3) or far:
                continue
            a, b = bin_of(i), bin_of(j)
            if min(a, b) < 0 or (a == b and not diagonal):
                continue
            weight = np.outer(share(i), share(j))
            value = float(state["corrections"][i]) * float(state["corrections"][j])
            want += weight[..., None] * np.array([counts.get((i, j), 0), value])
    upper = np.triu_indices(len(bins), 1 - diagonal)
    np.testing.assert_allclose(array[upper], want[upper], rtol=2e-6, atol=1e-9)
    assert shares(units, bins).shape == (bins.hi - bins.lo, len(bins))


# Dynamic bins


def dynamic(minobservations: int, searchdistance: int = 0, drop: bool = False) -> Any:
    return {"growth": Growth(minobservations, searchdistance, 0, drop)}


@pytest.mark.parametrize(
    ("growth", "want"),
    [
        (dynamic(6), [(6, 5), (11, 16), (7, 14), (11, 18), (7, 16), (6, 13)]),
        (dynamic(12), [(11, 18)] * 6),
        (dynamic(6, 75), [(4, 2), (2, 4), (5, 4), (0, 2), (0, 4), (0, 2)]),
        (dynamic(6, 76), [(6, 5), (3, 9), (5, 8), (1, 9), (5, 9), (0, 5)]),
        (dynamic(6, 75, True), [(0, 0)] * 6),
        (dynamic(12, 0, True), [(0, 0)] * 6),
        (dynamic(0), [(4, 2), (2, 4), (5, 4), (0, 2), (0, 4), (0, 2)]),
    ],
)
def test_t1_items_13_to_15_dynamic(growth: Any, want: list[tuple[float, float]]) -> None:
    for arraytype in ("upper", "compact", "full"):
        array, _ = cis(t1(), arraytype, options=growth)
        upper = unfold(array, 4, arraytype, False)[np.triu_indices(4, 1)]
        np.testing.assert_array_equal(upper, want)


def test_t1_item_14_first_cell() -> None:
    assert cis(t1(), options=dynamic(7))[0][0].tolist() == [11, 18]


def test_t1_item_17_dynamic_trans() -> None:
    sides = Request("A", binsize=100), Request("B", binsize=100)
    array = trans(t1(), *sides, **dynamic(1))
    assert array[..., 0].tolist() == [[1, 2], [2, 2], [2, 2], [2, 2]]
    assert array[..., 1].tolist() == [[4, 12], [12, 4], [12, 6], [20, 20]]


class Grid(NamedTuple):
    place: Array
    first: Array
    last: Array
    middle: Array


def literal(
    start: Any, units: Array, one: Grid, two: Grid, x: int, y: int,
    *, least: int, limit: int, together: bool, drop: bool,
) -> tuple[float, float]:  # fmt: skip
    """Growth of one cell step by step."""
    seen, expected = start
    window = [int(one.first[x]), int(one.last[x]), int(two.first[y]), int(two.last[y])]

    def distances() -> list[int]:
        found = []
        for grid, b, side in ((one, x, 0), (two, y, 2)):
            lo, hi = window[side], window[side + 1]
            n, place, middle = len(grid.place), grid.place, grid.middle[b]
            found.append(int(middle - place[lo - 1]) if lo > 0 else 10**9)
            found.append(int(place[hi] - middle) if hi < n else 10**9)
        return found

    while seen < least:
        found = distances()
        nearest = min(found)
        if nearest == 10**9 or (limit and nearest >= limit):
            break
        for side in range(4):
            if found[side] != nearest:
                continue
            edge = window[side] - 1 if side % 2 == 0 else window[side]
            window[side] += -1 if side % 2 == 0 else 1
            part = (
                units[edge, window[2] : window[3]]
                if side < 2
                else units[window[0] : window[1], edge]
            )
            seen, expected = seen + part[..., 0].sum(), expected + part[..., 1].sum()
            if not together:
                break
    return (0.0, 0.0) if seen < least and drop else (seen, expected)


# Trans, and rectangles on one chromosome


def test_t1_item_18_trans() -> None:
    sides = Request("A", binsize=100), Request("B", binsize=100)
    for datatype, value in (("raw", 4), ("fend", 9), ("distance", 0.25), ("enrichment", 0.5625)):
        array = trans(t1(datatype), *sides)
        np.testing.assert_allclose(array[..., 1], np.full((4, 2), value), rtol=1e-6)
        assert array[..., 0].tolist() == [[1, 0], [0, 2], [0, 0], [0, 0]]
        turned = trans(t1(datatype), *sides[::-1])
        np.testing.assert_array_equal(turned, array.transpose(1, 0, 2))


def test_t1_item_20_rectangle() -> None:
    side = Request("A", binsize=100)
    array = trans(t1(), side, side)
    np.testing.assert_array_equal(array, array.transpose(1, 0, 2))
    assert array[0, 1].tolist() == [4, 2]
    assert array[0, 0].tolist() == [0, 0]
    wide = replace(side, binsize=200)
    assert trans(t1(), wide, wide)[0, 0].tolist() == [8, 4]


@pytest.mark.parametrize("datatype", ["raw", "fend", "distance", "enrichment", "expected"])
@pytest.mark.parametrize("fends", [True, False])
def test_rectangle__of_any_bins_equals_a_loop_over_pairs(datatype: Any, fends: bool) -> None:
    units, store = contigs(2, 4, fends)
    state = state_of(units)
    valid = (np.random.default_rng(1).random(len(units)) < 0.8).astype(np.int32)
    name, low = units.chromosomes[1], int(units.mid[units.span(1)][0])
    one = Request(name, binbounds=[[low, low + 250], [low + 400, low + 900]])
    two = Request(name, start=low + 130, stop=low + 1500, binsize=310)
    recipe = Recipe(units, store, valid, datatype, **state)
    array, rows, columns = trans_array(recipe, one, two, silent=True)
    every, _, _ = cis_array(recipe, Request(name, binsize=0), "full", diagonal=True, silent=True)
    first = units.span(1).start
    every[np.arange(len(every)), np.arange(len(every))] *= 2
    want = np.zeros(array.shape)
    for r, c in np.ndindex(*array.shape[:2]):
        i = slice(rows.mapping[r, 2] - first, rows.mapping[r, 3] - first)
        j = slice(columns.mapping[c, 2] - first, columns.mapping[c, 3] - first)
        want[r, c] = every[i, j].sum((0, 1), dtype=float)
    assert want.any()
    np.testing.assert_allclose(array, want, rtol=2e-6, atol=1e-6)


def test_t1_item_21_genome_of_bins() -> None:
    units = make_units({"A": [(100 * k, 100 * k + 100) for k in range(3)]}, fends=False)
    recipe = Recipe(
        units,
        store_of(np.array([(0, 0, 4), (0, 2, 3)]), units),
        np.ones(3, dtype=np.int32),
        "fend",
        np.array([1, 2, 3], dtype=np.float32),
    )
    array, _ = cis(recipe)
    np.testing.assert_array_equal(array.T, [[4, 0, 3, 0, 0, 0], [1, 2, 3, 4, 6, 9]])
    assert cis(recipe, binsize=300)[0].tolist() == [[7, 25]]
    near = replace(recipe, maxdistance=100)
    assert cis(near)[0][:, 1].tolist() == [1, 2, 0, 4, 6, 9]


def test_rectangle__of_dynamic_bins_grows_as_in_trans() -> None:
    units, store = contigs(2, 4)
    name, low = units.chromosomes[1], int(units.mid[units.span(1)][0])
    recipe = Recipe(units, store, np.ones(len(units), dtype=np.int32), "raw")
    one = Request(name, start=low, stop=low + 900, binsize=300)
    two = Request(name, start=low + 450, stop=low + 1500, binsize=350)
    array, *bins = trans_array(recipe, one, two, growth=Growth(9, 0, 0, False), silent=True)
    start, _, _ = trans_array(recipe, one, two, silent=True)
    parts, *small = trans_array(recipe, one.grown(0), two.grown(0), silent=True)
    grids = []
    for wide, single in zip(bins, small, strict=True):
        place = (single.start + single.stop) // 2
        first, last = (np.searchsorted(place, border) for border in (wide.start, wide.stop))
        grids.append(Grid(place, first, last, (wide.start + wide.stop) // 2))
    for x, y in np.ndindex(*array.shape[:2]):
        options: dict[str, Any] = {"least": 9, "limit": 0, "together": False, "drop": False}
        want = literal(start[x, y], parts, grids[0], grids[1], x, y, **options)
        assert tuple(array[x, y]) == want
    assert (array[..., 0] > start[..., 0]).any()


# Bins and regions


def test_stop__beyond_the_chromosome_gives_empty_bins() -> None:
    array, mapping = cis(t1(), "full", stop=950)
    assert array.shape == (10, 10, 2)
    assert mapping[-1].tolist() == [900, 1000, 8, 8]
    np.testing.assert_array_equal(array[:4, :4], cis(t1(), "full")[0])
    assert not array[4:].any()


def test_bins__far_smaller_than_units() -> None:
    array, mapping = cis(t1("enrichment"), "full", binsize=1)
    used = mapping[:, 2] < mapping[:, 3]
    assert used.sum() == 8
    every, _ = cis(t1("enrichment"), "full", binsize=0)
    np.testing.assert_array_equal(array[np.ix_(used, used)], every)
    assert not array[~used].any()


def test_bounds__units_between_bins_are_left_out() -> None:
    bounds = np.array([[0, 100], [150, 300], [350, 400]])
    array, mapping = cis(t1("fend"), "full", binbounds=bounds, options={"diagonal": True})
    assert mapping.tolist() == [[0, 100, 0, 2], [150, 300, 3, 6], [350, 400, 7, 8]]
    every, _ = cis(t1("fend"), "full", binsize=0)
    groups = [[0, 1], [3, 4, 5], [7]]
    want = [[every[np.ix_(a, b)].sum((0, 1)) for b in groups] for a in groups]
    for k in range(3):
        want[k][k] = want[k][k] / 2
    np.testing.assert_array_equal(array, want)
    sides = Request("A", binbounds=bounds), Request("B", binbounds=[[50, 200]])
    assert trans(t1(), *sides)[:, 0].tolist() == [[0, 6], [2, 9], [0, 3]]


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        ({"binsize": -5}, ParameterError, "binsize is -5"),
        ({"startfend": 8}, ParameterError, "startfend is 8, .* fends 0 to 7"),
        ({"stopfend": 9}, ParameterError, "stopfend is 9, .* fends 0 to 7"),
        ({"start": 5000, "stop": 6000}, RegionError, "holds no fend; .* from 25 to 375"),
        ({"startfend": 5, "stopfend": 5}, RegionError, "holds no fend"),
        ({"binbounds": [0, 100, 200]}, ParameterError, r"shape \(3,\), expected \(bins, 2\)"),
        ({"binbounds": [[0, 100], [50, 200]]}, ParameterError, "not overlap"),
        ({"binbounds": [[100, 100]]}, ParameterError, "start below their stop"),
        ({"chrom": "Z"}, ParameterError, "unknown chromosome 'Z'; known are: A, B"),
    ],
)
def test_bins__refuse_what_is_no_region(
    request_: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        find_bins(T1, np.ones(12, dtype=np.int32), Request(**{"chrom": "A", **request_}))


def test_bins__without_any_unit_in_use() -> None:
    none = np.zeros(12, dtype=np.int32)
    with pytest.raises(RegionError, match=r"no (fend|bin) in use, and skipfiltered"):
        find_bins(T1, none, Request(b"A", skipfiltered=True))
    assert not cis(t1("fend", none))[0].any()


def test_memory__is_asked_for_before_anything_is_computed() -> None:
    with pytest.raises(ParameterError, match=r"memory_limit is 45 bytes; choose a larger binsize"):
        cis(t1(), options={"memory_limit": 45})
    cis(t1(maxdistance=60), "compact", options={"memory_limit": 45})
    with pytest.raises(ParameterError, match="start1, stop1"):
        trans(t1(), Request("A"), Request("B"), memory_limit=50)
    with pytest.raises(ParameterError, match="choose a larger binsize"):
        cis(t1(), options={**dynamic(3), "memory_limit": 45})


# Methods of a project


@pytest.fixture(scope="module")
def project() -> hd.HiC:
    with dask.config.set(scheduler="sync"):
        hic = hd.HiC(toy_project(), silent=True)
        hic.filter_fends(mininteractions=5)
        hic.find_distance_parameters(numbins=20, minsize=2000)
        hic.find_express_fend_corrections(remove_distance=False)
    return hic


def test_strips__compute_no_chunk_and_no_mean_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    units, store = contigs(7)
    valid = np.ones(len(units), dtype=np.int32)
    recipe = Recipe(units, store, valid, "enrichment", **state_of(units))
    sizes = np.diff(units.offset)
    names = [units.chromosomes[k] for k in np.argsort(-sizes)[:2]]
    one, two = (Request(name, binsize=100) for name in names)

    def arrays() -> list[Array]:
        found = [
            cis_array(recipe, one, each, diagonal=diagonal, silent=True)[0]
            for each in ("full", "upper", "compact")
            for diagonal in (False, True)
        ]
        return [*found, trans_array(recipe, one, two, silent=True)[0]]

    whole = arrays()
    made: list[str] = []

    def count(name: str, value: Any) -> Any:
        made.append(name)
        return value

    cells, means = chunks.expected_cells, chunks.lazy_trans_means
    monkeypatch.setattr(chunks, "expected_cells", lambda *k: count("cells", cells(*k)))
    monkeypatch.setattr(
        chunks, "lazy_trans_means", lambda *k: dask.delayed(count, pure=False)("means", means(*k))
    )
    monkeypatch.setattr(chunks, "_BINS", 4)
    monkeypatch.setattr("hifive_dask.heatmap.arrays._TOGETHER", 1)
    for found, wanted in zip(arrays(), whole, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert made.count("means") == 1
    del made[:]
    full = cis_array(recipe, one, "full", silent=True)[0]
    pieces = -(-len(full) // 4)
    assert pieces > 2
    assert len(made) == pieces * (pieces + 1) // 2


def test_methods__agree_with_the_lazy_heatmap(project: hd.HiC) -> None:
    one, two = project.units.chromosomes[:2]
    lazy = project.heatmap(one, binsize=20_000)
    array = project.cis_heatmap(one, binsize=20_000, arraytype="full", includediagonal=True)
    want = np.stack([lazy["observed"], lazy["expected"]], axis=-1).astype(np.float32)
    np.testing.assert_array_equal(array, want)
    lazy = project.heatmap(two, one, binsize=20_000)
    array, *mappings = project.trans_heatmap(two, one, binsize=20_000, returnmapping=True)
    want = np.stack([lazy["observed"], lazy["expected"]], axis=-1).astype(np.float32)
    np.testing.assert_allclose(array, want, rtol=1e-6)
    assert [len(each) for each in mappings] == list(array.shape[:2])


def test_arrays__are_the_same_on_every_scheduler(on_every_scheduler: Any, tmp_path: Path) -> None:
    hic = hd.HiC(toy_project(tmp_path), silent=True)
    hic.find_distance_parameters(numbins=20, minsize=2000)

    def work(_: str) -> bytes:
        options: dict[str, Any] = {"binsize": 20_000, "datatype": "distance"}
        near = hic.cis_heatmap("chr1", maxdistance=90_000, **options)
        shared = hic.cis_heatmap("chr1", proportional=True, **options)
        return bytes(np.asarray(near).tobytes() + np.asarray(shared).tobytes())

    assert len(set(on_every_scheduler(work))) == 1


def test_item_19_methods__leave_the_project_alone(project: hd.HiC) -> None:
    one, two = project.units.chromosomes[:2]
    assert project.corrections is not None
    before = project.corrections.copy(), project.filter.copy(), project.history
    for datatype in ("expected", "enrichment"):
        project.cis_heatmap(one, binsize=50_000, datatype=datatype)  # type: ignore[arg-type]
        project.trans_heatmap(one, two, 0, 100_000, datatype=datatype)  # type: ignore[arg-type]
        project.trans_heatmap(one, one, binsize=50_000, datatype=datatype)  # type: ignore[arg-type]
    np.testing.assert_array_equal(project.corrections, before[0])
    np.testing.assert_array_equal(project.filter, before[1])
    assert project.history == before[2]


def test_item_16_dynamic__does_not_depend_on_the_array_type(project: hd.HiC) -> None:
    name = project.units.chromosomes[0]
    options: dict[str, Any] = {
        "binsize": 30_000,
        "dynamically_binned": True,
        "minobservations": 40,
        "expansion_binsize": 7_000,
    }
    full = np.asarray(project.cis_heatmap(name, arraytype="full", **options))
    for kind in ("upper", "compact"):
        array = np.asarray(project.cis_heatmap(name, arraytype=kind, **options))  # type: ignore[arg-type]
        np.testing.assert_array_equal(unfold(array, len(full), kind, False), full)  # type: ignore[arg-type]
    assert (full[np.triu_indices(len(full), 1)][:, 0] >= 40).mean() > 0.9


def test_methods__warn_of_what_dynamic_bins_ignore(project: hd.HiC) -> None:
    name = project.units.chromosomes[0]
    options: dict[str, Any] = {"binsize": 50_000, "dynamically_binned": True}
    with pytest.warns(HifiveDaskWarning, match="skipfiltered and proportional: no effect"):
        project.cis_heatmap(name, skipfiltered=True, proportional=True, **options)
    with pytest.warns(HifiveDaskWarning, match="proportional: no effect but on bins of fends"):
        project.cis_heatmap(name, stop=20_000, proportional=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arraytype": "square"}, "unknown arraytype 'square'; known are: compact"),
        ({"datatype": "fends"}, "unknown datatype 'fends'"),
        ({"bin_size": 5}, "has no argument 'bin_size'. Did you mean 'binsize'"),
        ({"logged": False}, "logged: colours of an image; pass image_file"),
        ({"dynamically_binned": True, "searchdistance": -1}, "searchdistance is -1"),
        ({"maxdistance": -1}, "maxdistance is -1"),
        ({"start": 50_000, "stop": 10}, "start is 50,000 and stop 10; stop must be above start"),
    ],
)
def test_methods__name_what_is_wrong(
    project: hd.HiC, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        project.cis_heatmap(project.units.chromosomes[0], **{"binsize": 50_000, **options})


def test_item_32_missing_state() -> None:
    with pytest.raises(StateError, match="find_express_fend_corrections first"):
        Recipe(T1, store_of(T1_ROWS, T1), np.ones(12, dtype=np.int32), "fend")


def test_item_31_colours_of_scores() -> None:
    ratios = np.array([[[4, 1], [1, 1], [1, 4], [3, 0], [0, 3]]], dtype=float)
    colours = score_colours(ratios)[0].tolist()
    grey = [153, 153, 153]
    assert colours == [[255, 0, 0], [255, 255, 255], [0, 0, 255], grey, grey]
    plain = score_colours(
        ratios, logged=False, symmetricscaling=False, min_color="000000", mid_color=None,
        max_color="ff00fe", maxscore=2, minscore=0,
    )[0].tolist()  # fmt: skip
    assert plain[0] == [255, 0, 254]
    assert plain[1] == [128, 0, 127]
    assert plain[4] == [0, 0, 0]
    with pytest.raises(ParameterError, match="'reddish' is not a colour"):
        score_colours(ratios, max_color="reddish")
    with pytest.raises(ParameterError, match="from a score of 3 to 1"):
        score_colours(ratios, minscore=3, maxscore=1, symmetricscaling=False)


def test_image__has_a_pixel_per_cell(project: hd.HiC, tmp_path: Path) -> None:
    one, two = project.units.chromosomes[:2]
    full = project.cis_heatmap(one, binsize=50_000, arraytype="full")
    file = tmp_path / "map.png"
    project.cis_heatmap(one, binsize=50_000, image_file=file, max_color="00ff00")
    want = score_colours(np.asarray(full), max_color="00ff00").transpose(1, 0, 2)
    np.testing.assert_array_equal(np.round(imread(file)[..., :3] * 255), want)
    array = np.asarray(
        project.trans_heatmap(one, two, binsize=50_000, image_file=tmp_path / "trans")
    )
    assert (tmp_path / "trans").read_bytes()[1:4] == b"PNG"
    assert imread(tmp_path / "trans", format="png").shape[:2] == array.shape[1::-1]


@pytest.mark.parametrize(
    ("file", "options", "error", "message"),
    [
        ("map.xyz", {}, ParameterError, r"'\.xyz' is no format of pictures; use one of \.png"),
        ("no/map.png", {}, StoreError, "the directory .* does not exist; make it first"),
        ("", {}, StoreError, "is a directory, expected a file"),
        ("map.png", {"min_color": "bleu"}, ParameterError, "'bleu' is not a colour.*'blue'"),
        ("map.png", {"mid_color": "12345"}, ParameterError, "'12345' is not a colour"),
        (
            "map.png",
            {"minscore": 3, "maxscore": 1, "symmetricscaling": False},
            ParameterError,
            "minscore must be below maxscore",
        ),
    ],
)
def test_image__that_cannot_be_written_is_refused_before_anything_is_computed(
    project: hd.HiC,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    options: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("computed")

    for name in ("cis_array", "trans_array"):
        monkeypatch.setattr(f"hifive_dask.arrays.{name}", never)
    one, two = project.units.chromosomes[:2]
    with pytest.raises(error, match=message):
        project.cis_heatmap(one, binsize=50_000, image_file=tmp_path / file, **options)
    with pytest.raises(error, match=message):
        project.trans_heatmap(one, two, image_file=tmp_path / file, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["jpg", "tif", "webp", "pdf", "svg"])
def test_image__of_every_suffix_is_written(tmp_path: Path, suffix: str) -> None:
    cells = np.ones((3, 4, 2))
    write_scores(tmp_path / f"map.{suffix}", cells, max_color="red")
    assert [path.name for path in tmp_path.iterdir()] == [f"map.{suffix}"]


# Reference results


@pytest.fixture(scope="module")
def states(shared: Path) -> dict[str, hd.HiC]:
    folder = shared / "golden/sim-small/hifive"
    names = ("none", "express", "probability", "binning", "binning-express", "binned")
    return {name: hd.HiC(folder / f"state_{name}.hcp", silent=True) for name in names}


@pytest.mark.golden
@pytest.mark.parametrize("section", ["cis", "trans", "binned_cis", "binned_trans"])
def test_sim_small__arrays(
    shared: Path, states: dict[str, hd.HiC], compare: ModuleType, section: str
) -> None:
    folder = shared / "golden/sim-small"
    case = compare.load_case(str(folder))
    kind = section.split("_")[-1]
    results, wanted = {}, set()
    for name, call in json.loads((folder / "calls.json").read_text())[section].items():
        state, arguments = call if isinstance(call, list) else ("binned", call)
        key = f"binned/{kind}_{name}" if state == "binned" else f"heatmaps_{kind}/{name}"
        found = getattr(states[state], f"{kind}_heatmap")(**arguments, returnmapping=True)
        names = ("array", "mapping") if kind == "cis" else ("array", "mapping1", "mapping2")
        results |= {f"{key}.{part}": value for part, value in zip(names, found, strict=True)}
        wanted |= {quantity for quantity in case if quantity.startswith(f"{key}.")}
    assert wanted
    assert wanted <= set(results)
    assert compare.compare(case, {name: results[name] for name in wanted})


@pytest.mark.golden
def test_item_23_hifive__dynamic_arrays(tmp_path: Path, shared: Path) -> None:
    folder = shared / "golden/hifive-tests"
    for file in ("test.fends", "test.hcd", "test_probbin.hcp"):
        shutil.copy(folder / file, tmp_path / file)
    hic = hd.HiC(tmp_path / "test_probbin.hcp", silent=True)
    cis, mapping = hic.cis_heatmap(
        "chr1", 50_000, 200_000, binsize=25_000, dynamically_binned=True, minobservations=10,
        returnmapping=True,
    )  # fmt: skip
    trans, mapping1, mapping2 = hic.trans_heatmap(
        "chr1", "chr2", binsize=50_000, dynamically_binned=True, minobservations=100,
        expansion_binsize=50_000, returnmapping=True,
    )  # fmt: skip
    with h5py.File(folder / "test_binned.hdf5") as file:
        for name, array in (("hic_cis", cis), ("hic_trans", trans)):
            np.testing.assert_array_equal(array[..., 0], file[name][..., 0])
            np.testing.assert_allclose(array[..., 1], file[name][..., 1], rtol=5e-6)
        for name, found in (("", mapping), ("1", mapping1), ("2", mapping2)):
            np.testing.assert_array_equal(found, file[f"hic_mapping{name}"])
