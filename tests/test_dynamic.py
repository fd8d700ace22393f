"""Dynamic bins against growth step by step, their kernels against plain sums, lazy maps."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask._kernels.dynamic import Growing, Order, block_pairs, find_windows
from hifive_dask._kernels.window_sums import block_sums, window_sums
from hifive_dask.errors import ParameterError
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap import query
from hifive_dask.heatmap.arrays import _from_used, cis_array, trans_array
from hifive_dask.heatmap.axes import Stretch
from hifive_dask.heatmap.bins import Bins, Request
from hifive_dask.heatmap.cells import Expectation
from hifive_dask.heatmap.dynamic import Growth
from hifive_dask.heatmap.recipe import Recipe
from hifive_dask.heatmap.windows import prepare_sums, with_table
from hifive_dask.testing import toy_project

from .reference_model import store_of
from .test_heatmap import state_of
from .worlds import heatmap
from .worlds import units as make_units

Array = np.ndarray[Any, Any]
DATATYPES = ["raw", "fend", "distance", "enrichment", "expected"]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


# Growth step by step


def literal(
    start: Any, units: Array, place: tuple[Array, Array], middle: tuple[int, int],
    window: list[int], growth: Growth, *, together: bool,
) -> tuple[float, float, int]:  # fmt: skip
    """Growth of one cell: reads, expected, and how far the window reaches."""
    seen, expected = start
    reach = 0

    def distances() -> list[int]:
        found = []
        for side in (0, 1):
            lo, hi = window[2 * side : 2 * side + 2]
            found.append(int(middle[side] - place[side][lo - 1]) if lo > 0 else 10**9)
            inside = hi < len(place[side])
            found.append(int(place[side][hi] - middle[side]) if inside else 10**9)
        return found

    while seen < growth.minobservations:
        found = distances()
        nearest = min(found)
        if nearest == 10**9 or (growth.searchdistance and nearest >= growth.searchdistance):
            break
        reach = nearest
        for side in range(4):
            if found[side] != nearest:
                continue
            edge = window[side] - 1 if side % 2 == 0 else window[side]
            window[side] += -1 if side % 2 == 0 else 1
            rows, columns = slice(*window[:2]), slice(*window[2:])
            part = units[edge, columns] if side < 2 else units[rows, edge]
            seen, expected = seen + part[..., 0].sum(), expected + part[..., 1].sum()
            if not together:
                break
    if seen < growth.minobservations and growth.removefailed:
        return 0.0, 0.0, 0
    return seen, expected, reach


def grow_literally(
    start: Array, units: Array, bins: tuple[Bins, Bins], small: tuple[Bins, Bins], growth: Growth,
    *, together: bool,
) -> Array:  # fmt: skip
    """(rows, columns, 3): every cell; in cis those below the diagonal stay 0."""
    place = tuple((each.start + each.stop) // 2 for each in small)
    edges = [
        [np.searchsorted(place[k], border) for border in (bins[k].start, bins[k].stop)]
        for k in (0, 1)
    ]
    middle = [(each.start + each.stop) // 2 for each in bins]
    want = np.zeros((*start.shape[:2], 3))
    for x, y in np.ndindex(*start.shape[:2]):
        if together and y < x:
            continue
        window = [int(edge[b]) for k, b in ((0, x), (1, y)) for edge in edges[k]]
        want[x, y] = literal(
            start[x, y].astype(float), units, place, (int(middle[0][x]), int(middle[1][y])),
            window, growth, together=together,
        )  # fmt: skip
    return want


def world(rng: np.random.Generator, kind: str, *, fends: bool) -> tuple[Units, Any]:
    """Two chromosomes: units of any length, of one (ties), or of almost none (equal midpoints)."""
    intervals = {}
    for name in ("A", "B"):
        number = 2 * int(rng.integers(1, 12))
        size = {
            "any": rng.integers(20, 300, number),
            "ties": np.full(number, 50),
            "same": rng.integers(0, 3, number),
        }[kind]
        size[0] = min(size[0], 50)  # no bin size may be smaller than all bins
        gap = rng.integers(0, 2, number) * (0 if kind == "same" else rng.integers(0, 5) * 100)
        start = np.cumsum(size + gap) - size
        intervals[name] = list(zip(start.tolist(), (start + size).tolist(), strict=True))
    units = make_units(intervals, fends=fends)
    first, second = np.sort(rng.integers(0, len(units), (2, 60)), axis=0)
    gap = second - first
    cis = units.chromosome[first] == units.chromosome[second]
    possible = ~cis | (gap > 3) | (gap == 2) if fends else gap >= 0
    pairs = np.unique(np.stack([first, second])[:, possible], axis=1)
    return units, store_of(np.r_[pairs, rng.integers(1, 5, (1, pairs.shape[1]))].T, units)


def draw_case(data: st.DataObject, *, cis: bool) -> tuple[Recipe, Growth, int, np.random.Generator]:
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    kind = data.draw(st.sampled_from(["any", "ties", "same"]))
    fends = data.draw(st.booleans())
    units, store = world(rng, kind, fends=fends)
    scale = 1 if kind == "same" else 50
    state = state_of(units, binning=fends and data.draw(st.integers(0, 3)) == 0)
    state["distance"] = np.array(
        [[np.log(4 * scale), -0.7, 2], [np.log(13 * scale), -1.2, 4], [np.inf, -1.0, 3]], np.float32
    )
    recipe = Recipe(
        units,
        store,
        (rng.random(len(units)) < 0.8).astype(np.int32),
        data.draw(st.sampled_from(DATATYPES)),  # type: ignore[arg-type]
        **state,
        maxdistance=data.draw(st.sampled_from([0, 0, 9 * scale])) if cis else 0,
    )
    growth = Growth(
        data.draw(st.integers(0, 25)),
        data.draw(st.sampled_from([0, 0, scale, 3 * scale, 8 * scale])),
        data.draw(st.sampled_from([0, 0, scale, 3 * scale])),
        data.draw(st.booleans()),
    )
    return recipe, growth, scale * data.draw(st.integers(1, 7)), rng


def draw_request(rng: np.random.Generator, recipe: Recipe, name: str, binsize: int) -> Request:
    """A whole chromosome, a part of it, or bins with gaps."""
    mid = recipe.units.mid[recipe.units.span(recipe.units.index[name])]
    low, high = int(mid[0]), int(mid[-1])
    how = rng.integers(4)
    if how == 0:
        return Request(name, start=low - 3, stop=max(low + 1, (low + high) // 2), binsize=binsize)
    if how == 1:
        start = np.arange(low - 1, high + 1, 2 * binsize)
        return Request(name, binbounds=np.stack([start, start + 1 + binsize], axis=1))
    return Request(name, binsize=binsize)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_cis__equals_growth_step_by_step(data: st.DataObject) -> None:
    recipe, growth, binsize, rng = draw_case(data, cis=True)
    request = draw_request(rng, recipe, "A", binsize)
    options: dict[str, Any] = {"silent": True}
    array, bins, diagonal = cis_array(recipe, request, "full", growth=growth, **options)
    start, _, _ = cis_array(recipe, request, "full", diagonal=True, **options)
    small_request = request.grown(growth.expansion_binsize)
    units, small, _ = cis_array(recipe, small_request, "full", diagonal=True, **options)
    assert diagonal is not recipe.units.fends
    units = units.astype(float)
    units[np.tril_indices(len(units), -diagonal)] = 0
    want = grow_literally(start, units, (bins, bins), (small, small), growth, together=True)
    upper = np.triu_indices(len(bins), 1 - diagonal)
    np.testing.assert_allclose(array[upper][:, 0], want[upper][:, 0], atol=1e-5)
    np.testing.assert_allclose(array[upper][:, 1], want[upper][:, 1], rtol=2e-6, atol=1e-6)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_trans_and_rectangles__equal_growth_step_by_step(data: st.DataObject) -> None:
    recipe, growth, binsize, rng = draw_case(data, cis=False)
    names = data.draw(st.sampled_from(["AB", "BA", "AA"]))
    one, two = (draw_request(rng, recipe, name, binsize) for name in names)
    array, *bins = trans_array(recipe, one, two, growth=growth, silent=True)
    start, *_ = trans_array(recipe, one, two, silent=True)
    if names == "AA":
        one, two = (_from_used(recipe, each) for each in (one, two))
    sides = [each.grown(growth.expansion_binsize) for each in (one, two)]
    units, *small = trans_array(recipe, *sides, silent=True)
    want = grow_literally(
        start, units.astype(float), tuple(bins), tuple(small), growth, together=False
    )
    np.testing.assert_allclose(array[..., 0], want[..., 0], atol=1e-5)
    np.testing.assert_allclose(array[..., 1], want[..., 1], rtol=2e-6, atol=1e-6)


def test_growth__stops_at_exactly_the_smallest_radius() -> None:
    """All sides at one distance grow at once: three reads enter where two were asked for."""
    units = make_units({"A": [(100 * k, 100 * k + 100) for k in range(9)]}, fends=False)
    store = store_of(np.array([(2, 6, 1), (2, 7, 1), (3, 5, 1), (0, 8, 4)]), units)
    recipe = Recipe(units, store, np.ones(9, dtype=np.int32), "raw")
    grown = heatmap(
        units, store, recipe.valid, datatype="raw", region="A", binsize=100, growth=Growth(2)
    )
    cell = grown.isel(bin1=3, bin2=6).compute()
    assert (cell["observed"], cell["radius"], cell["expected"]) == (3, 100, 9)
    cell = grown.isel(bin1=4, bin2=4).compute()  # the window 200-700 on both axes
    assert (cell["observed"], cell["radius"]) == (2, 200)


# Lazy maps


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    """A chromosome of 400 fends, and a second one."""
    rng = np.random.default_rng(7)
    cuts = np.cumsum(rng.integers(100, 900, 401))
    fends = {"A": [(int(a), int(b)) for a, b in pairwise(cuts)]}
    units = make_units({**fends, "B": fends["A"][:100]}, fends=True)
    first = rng.integers(0, 395, 3000)
    second = np.minimum(first + 4 + (rng.pareto(0.7, 3000) * 3).astype(int), 499)
    pairs = np.unique(np.stack([first, second]), axis=1)
    reads = np.ones((1, pairs.shape[1]), dtype=int)
    return Recipe(
        units,
        store_of(np.r_[pairs, reads].T, units),
        (rng.random(500) < 0.9).astype(np.int32),
        corrections=np.exp(rng.normal(0, 0.3, 500)).astype(np.float32),
        distance=np.array([[8, -0.7, 2], [10, -1, 4.4], [np.inf, -1.1, 5.4]], dtype=np.float32),
        chromosome_means=np.zeros(2, dtype=np.float32),
    )


def lazy(recipe: Recipe, **options: Any) -> Any:
    asked: dict[str, Any] = {"region": "A", "binsize": 2_000, "growth": Growth(10), **options}
    return query.heatmap(recipe, **asked)


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("options", [{}, {"region2": "B"}, {"region": "B", "region2": "A"}])
def test_lazy__a_tile_equals_the_same_cells_of_the_whole(
    recipe: Recipe, datatype: Any, options: dict[str, Any]
) -> None:
    wanted = replace(recipe, datatype=datatype)
    whole = lazy(wanted, chunk_bins=1000, **options).compute()
    dataset = lazy(wanted, chunk_bins=17, **options)
    part = {"bin1": slice(20, 50), "bin2": slice(3, 25)}
    xr.testing.assert_equal(dataset.isel(part).compute(), whole.isel(part))
    xr.testing.assert_equal(dataset.compute(), whole)
    if not options:
        for name in ("observed", "expected", "radius"):
            np.testing.assert_array_equal(whole[name], whole[name].T)
        assert (whole["radius"].values > 0).mean() > 0.2


@pytest.mark.parametrize("growth", [Growth(10), Growth(8, 4_000, 700, True)])
def test_lazy__holds_what_the_arrays_hold(recipe: Recipe, growth: Growth) -> None:
    one, two = Request("A", binsize=2_000), Request("B", binsize=2_000)
    array, _, _ = cis_array(recipe, one, "full", growth=growth, silent=True)
    dataset = lazy(recipe, growth=growth).compute()
    upper = np.triu_indices(len(array), 1)
    for k, name in enumerate(("observed", "expected")):
        np.testing.assert_array_equal(dataset[name].values[upper], array[upper][:, k])
    array, *_ = trans_array(recipe, one, two, growth=growth, silent=True)
    dataset = lazy(recipe, growth=growth, region2="B").compute()
    np.testing.assert_array_equal(dataset["observed"], array[..., 0])
    np.testing.assert_array_equal(dataset["expected"], array[..., 1])


def test_lazy__radius_is_the_distance_of_the_farthest_unit(recipe: Recipe) -> None:
    plain = lazy(recipe, growth=None).compute()
    near = lazy(recipe, growth=Growth(10, searchdistance=3_000)).compute()
    far = lazy(recipe).compute()
    assert near["radius"].dtype == np.int32
    assert 0 < near["radius"].max() < 3_000
    grown = (far["radius"] > 0).values
    np.testing.assert_array_equal(grown, (plain["observed"] < 10).values)
    assert (far["observed"].values[grown] >= 10).all()
    assert (near["observed"] <= far["observed"]).all()
    dropped = lazy(recipe, growth=Growth(10, searchdistance=3_000, removefailed=True)).compute()
    failed = (near["observed"] < 10).values
    assert failed.any()
    for name in ("observed", "expected", "radius"):
        assert not dropped[name].values[failed].any()
        np.testing.assert_array_equal(dropped[name].values[~failed], near[name].values[~failed])
    assert dropped["enrichment"].isnull().values[failed].all()


def test_lazy__growth_stays_in_the_regions(recipe: Recipe) -> None:
    """Reads outside of the regions are never seen, however far a window grows."""
    options: dict[str, Any] = {"region": "A:20k-50k", "region2": "A:80k-120k"}
    grown = lazy(recipe, growth=Growth(10**6), **options).compute()
    plain = lazy(recipe, growth=None, **options).compute()
    assert (grown["observed"] == plain["observed"].sum()).all()
    np.testing.assert_allclose(grown["expected"], plain["expected"].sum(), rtol=1e-5)


def test_lazy__computes_nothing_and_has_few_tasks(recipe: Recipe) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("computed")

    with dask.config.set(scheduler=refuse):
        dataset = lazy(recipe, chunk_bins=20)
        with pytest.raises(AssertionError, match="computed"):
            dataset["radius"].compute()
    (optimized,) = dask.optimize(dataset)
    chunks = int(np.prod(dataset["observed"].data.numblocks))
    assert len(dict(optimized.__dask_graph__())) < 20 * chunks + 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"region": None}, "dynamic bins grow within a region: name a chromosome"),
        ({"region2": "A:0-50k"}, "the regions overlap, .* ask for one region that holds both"),
    ],
)
def test_lazy__refuses_what_has_no_one_region(
    recipe: Recipe, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        lazy(recipe, **options)


def test_growth__refuses_negative_values() -> None:
    with pytest.raises(ParameterError, match="minobservations is -1, expected 0 or more"):
        Growth(-1)


def test_maps__have_the_same_bytes_on_every_scheduler(
    on_every_scheduler: Any, tmp_path: Path
) -> None:
    hic = hd.HiC(toy_project(tmp_path), silent=True)
    hic.find_distance_parameters(numbins=20, minsize=2000)
    options: dict[str, Any] = {"datatype": "distance", "binsize": 20_000, "minobservations": 9}

    def work(_: str) -> bytes:
        dataset = hic.heatmap("chr1", dynamically_binned=True, **options).compute()
        array = hic.cis_heatmap("chr1", dynamically_binned=True, arraytype="upper", **options)
        assert (dataset["observed"] >= 9).all()
        parts = [dataset[name].values.tobytes() for name in dataset]
        return b"".join([*parts, np.asarray(array).tobytes()])

    assert len(set(on_every_scheduler(work))) == 1


# Kernels


def law_of(distance: Array) -> Array:
    """A power law of three segments."""
    segment = np.searchsorted(THRESHOLDS, distance, "left")
    return SCALE[segment] * np.maximum(1, distance) ** SLOPE[segment]


THRESHOLDS = np.array([1_500, 9_000])
SLOPE, SCALE = np.array([-0.5, -1.1, -1.0]), np.array([3.0, 40.0, 0.0])


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("blocks", [1, 7, 40])
@pytest.mark.parametrize("step", [1, 60])
def test_window_sums__equal_sums_over_pairs(both: bool, blocks: int, step: int) -> None:
    """Any two windows: overlapping, touching, far apart, across thresholds; crowded or not."""
    rng = np.random.default_rng(blocks + step)
    n = 300
    place = np.sort(np.where(rng.random(n) < 0.5, 1, step) * rng.integers(0, 400, n))
    weight = rng.random(n) * (rng.random(n) < 0.9)
    intercept = np.array([np.log(3.0), np.log(40.0), -np.inf])
    expectation = Expectation(True, None, True, True, THRESHOLDS, SLOPE, intercept, np.zeros(1))
    stretch = Stretch(
        0, np.zeros(n, np.int32), place.astype(np.int32), weight > 0, weight.astype(np.float32)
    )
    edge = np.arange(n + 1)
    border = np.unique(np.linspace(0, n, blocks + 1).astype(np.int64))
    axis = Growing(np.zeros((n, 3), int), np.zeros((1, 5), int), border, 0, 0)
    args = (stretch, stretch), (edge, edge), (axis, axis), not both
    sums = prepare_sums(expectation, *args)
    sums = with_table(sums, [block_sums(sums, k, k + 1) for k in range(len(border) - 1)])
    a0, b0 = rng.integers(0, n, (2, 400))
    a1, b1 = np.minimum(n, np.stack([a0, b0]) + rng.integers(1, 120, (2, 400)))
    if not both:  # windows of bins in order
        a0, b0, a1, b1 = *np.sort([a0, b0], axis=0), *np.sort([a1, b1], axis=0)
    i, j = np.indices((n, n))
    value = np.outer(stretch.weight(True), stretch.weight(True)) * law_of(abs(place[j] - place[i]))
    low, gap = np.minimum(i, j), abs(i - j)
    value[(gap < 2) | ((gap == 3) & (low % 2 == 0))] = 0
    if not both:
        value = np.triu(value)
    want = [value[w[0] : w[1], w[2] : w[3]].sum() for w in zip(a0, a1, b0, b1, strict=True)]
    found = window_sums(sums, np.stack([a0, a1, b0, b1], axis=1))
    np.testing.assert_allclose(found, want, rtol=3e-9, atol=1e-9 * value.max())


@pytest.mark.parametrize("sides", [1, 4])
@pytest.mark.parametrize("shift", [5, 8, 11, 16])
@pytest.mark.parametrize("limit", [40, 700, 10_000])
def test_find_windows__equals_sorting_all_pairs(sides: int, shift: int, limit: int) -> None:
    """Blocks of a few units, of many, and one block with all of them."""
    rng = np.random.default_rng(shift + sides)
    axes = []
    for _ in range(2):
        place = np.unique(rng.integers(100, 6_000, 500))
        start = np.arange(50, 6_100, 150)
        axes.append(growing_of(place, start, start + 150, shift))
    number = [len(axis.units) for axis in axes]
    pairs = np.unique(np.stack([rng.integers(0, n, 4_000) for n in number]), axis=1)
    reads = rng.integers(1, 4, pairs.shape[1])
    cells = rng.integers(0, len(axes[0].bins), (2, 150))
    steps = []  # of every pair on each axis, for every cell
    for k, axis in enumerate(axes):
        away = axis.units[pairs[k], 0] - axis.bins[cells[k], 0][:, None]
        step = np.abs(away) * sides + (2 * k + (away > 0) if sides == 4 else 0)
        inside = (pairs[k] >= axis.bins[cells[k], 3:4]) & (pairs[k] < axis.bins[cells[k], 4:5])
        steps.append(np.where(inside, -1, step))
    step = np.maximum(*steps)
    start = np.where(step < 0, reads, 0).sum(axis=1)
    target = start + rng.integers(1, 200, len(start))
    rows = np.concatenate([pairs, reads[None]]).astype(np.int32)
    windows, total = find_windows(
        block_pairs(rows, *axes), *axes, *cells, target, limit, Order(sides, 1)
    )
    for k in range(len(start)):
        order = np.argsort(step[k], kind="stable")
        order = order[step[k][order] < limit * sides]
        sums = np.cumsum(reads[order])
        enough = np.searchsorted(sums, target[k])
        last = limit * sides - 1 if enough == len(sums) else step[k][order[enough]]
        taken = step[k] <= last
        assert total[k] == reads[taken].sum()
        w = windows[k]
        held = (pairs[0] >= w[0]) & (pairs[0] < w[1]) & (pairs[1] >= w[2]) & (pairs[1] < w[3])
        np.testing.assert_array_equal(held, taken)
        if enough < len(sums):
            assert w[4] == last // sides


def growing_of(place: Array, start: Array, stop: Array, shift: int) -> Growing:
    """An axis of units at different places."""
    middle = (start + stop) // 2
    first, last = (np.searchsorted(place, border) for border in (start, stop))
    blocks = (int(place[-1] - place[0]) >> shift) + 1
    border = np.searchsorted(place, place[0] + (np.arange(blocks + 1) << shift))
    units = np.stack([place, 0 * place, 0 * place], axis=1)
    bins = np.stack([middle, start, stop, first, last], axis=1)
    return Growing(units, bins, border, int(place[0]), shift)
