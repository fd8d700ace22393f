"""Dynamic bins against growth step by step, their kernels against plain sums, lazy maps."""

from __future__ import annotations

from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.arrays import _from_used, cis_array, trans_array
from hifive_dask.heatmap.bins import Bins, Request
from hifive_dask.heatmap.dynamic import Growth
from hifive_dask.heatmap.recipe import Recipe

from .reference_model import store_of
from .test_heatmap import state_of
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
@settings(max_examples=100, deadline=None)
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
