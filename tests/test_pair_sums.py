"""Sums over all pairs by trees, against plain loops over the pairs."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hifive_dask._kernels import pair_sums
from hifive_dask._kernels.grid_sums import GridUnits, grid_sums
from hifive_dask._kernels.pair_sums import log_sums, power_sums_of_cells
from hifive_dask._kernels.pair_trees import LEAF, TOLERANCE, PairTrees, build_trees

Array = NDArray[Any]

# What the docstrings promise.
ERROR = 1e-9


def power_sums(trees: PairTrees, rows: Array, cols: Array, *law: Array) -> Array:
    """The matrix of some rows and columns."""
    pairs = np.repeat(rows, len(cols)), np.tile(cols, len(rows))
    return power_sums_of_cells(trees, *pairs, *law).reshape(len(rows), len(cols))


def plain_logs(
    mid: Array, edges: Array, rows: tuple[int, int], thresholds: Array
) -> tuple[Array, Array]:
    count = np.zeros(len(thresholds) + 1, dtype=np.int64)
    logs = np.zeros(len(thresholds) + 1)
    for i in range(edges[rows[0]], edges[rows[1]]):
        for j in range(i + 1, len(mid)):
            distance = int(mid[j]) - int(mid[i])
            k = sum(1 for threshold in thresholds if threshold < distance)
            count[k] += 1
            logs[k] += math.log(max(1, distance))
    return count, logs


def plain_powers(
    mid: Array, weight: Array, edges: Array, thresholds: Array, slope: Array, intercept: Array
) -> Array:
    group = np.searchsorted(edges, np.arange(len(mid)), "right") - 1
    cells = np.zeros((len(edges) - 1, len(edges) - 1))
    for i in range(len(mid)):
        for j in range(i + 1, len(mid)):
            distance = int(mid[j]) - int(mid[i])
            k = sum(1 for threshold in thresholds if threshold < distance)
            if intercept[k] == -np.inf:
                continue
            value = math.exp(intercept[k] + slope[k] * math.log(max(1, distance)))
            cells[group[i], group[j]] += weight[i] * weight[j] * value
            if group[i] != group[j]:
                cells[group[j], group[i]] += weight[i] * weight[j] * value
    return cells


@st.composite
def genomes(draw: st.DrawFn) -> tuple[Array, Array, Array]:
    """Positions in any mixture of even, clustered and equal ones; weights; groups."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    n = draw(st.integers(0, 90))
    length = draw(st.sampled_from([1, 40, 10_000, 250_000_000, 2**31 - 1]))
    clusters = draw(st.integers(0, 4))
    mid = rng.integers(0, length, n)
    if clusters:
        width = draw(st.sampled_from([1, 30, 2_000]))
        centres = rng.integers(0, length, clusters)
        mid = centres[rng.integers(0, clusters, n)] + rng.integers(0, width, n)
    mid = np.minimum(np.sort(mid), 2**31 - 1).astype(np.int32)
    # A filter with holes is a genome with fewer positions, some of them far apart.
    keep = rng.random(n) < draw(st.sampled_from([1.0, 0.5]))
    mid = mid[keep]
    cuts = rng.integers(0, len(mid) + 1, draw(st.integers(0, 6)))
    edges = np.sort(np.r_[0, cuts, len(mid)]).astype(np.int64)
    return mid, rng.random(len(mid)), edges


@st.composite
def segments(draw: st.DrawFn) -> Array:
    """1 to 100 thresholds, evenly spaced in the logarithm; short ones coincide."""
    first = draw(st.sampled_from([1, 200, 30_000]))
    edges = np.geomspace(first, draw(st.sampled_from([10**4, 10**8, 10**12])), 100)
    chosen: Array = np.sort(edges.astype(np.int64))[:: draw(st.integers(1, 100))]
    return chosen


@given(genomes(), segments(), st.data())
@settings(max_examples=150, deadline=None)
@example((np.full(50, 700, np.int32), np.ones(50), np.array([0, 20, 50])), np.array([0, 5]), None)
def test_log_sums__equal_the_loop_over_pairs(
    genome: tuple[Array, Array, Array], thresholds: Array, data: Any
) -> None:
    mid, _, edges = genome
    groups = len(edges) - 1
    lo = 0 if data is None else data.draw(st.integers(0, groups))
    hi = groups if data is None else data.draw(st.integers(lo, groups))
    count, logs = log_sums(build_trees(mid, np.ones(len(mid)), edges), lo, hi, thresholds)
    expected_count, expected_logs = plain_logs(mid, edges, (lo, hi), thresholds)
    np.testing.assert_array_equal(count, expected_count)
    np.testing.assert_allclose(logs, expected_logs, rtol=ERROR, atol=1e-12)


@given(genomes(), segments(), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_power_sums__equal_the_loop_over_pairs(
    genome: tuple[Array, Array, Array], thresholds: Array, seed: int
) -> None:
    mid, weight, edges = genome
    rng = np.random.default_rng(seed)
    slope = rng.uniform(-3, 1, len(thresholds) + 1)
    slope[rng.random(len(slope)) < 0.2] = 0.0
    intercept = np.where(rng.random(len(slope)) < 0.8, rng.uniform(-5, 5, len(slope)), -np.inf)
    rows = np.arange(len(edges) - 1, dtype=np.int64)
    cells = power_sums(build_trees(mid, weight, edges), rows, rows, thresholds, slope, intercept)
    expected = plain_powers(mid, weight, edges, thresholds, slope, intercept)
    np.testing.assert_allclose(cells, expected, rtol=ERROR, atol=0)


def distances(mid: Array) -> Array:
    difference: Array = (mid[None, :] - mid[:, None])[np.triu_indices(len(mid), 1)]
    return difference


@pytest.fixture(scope="module")
def chromosome() -> Array:
    """Large enough for trees of many levels."""
    rng = np.random.default_rng(5)
    mid: Array = np.sort(rng.choice(4_000_000, 2_500, replace=False)).astype(np.int32)
    return mid


@pytest.mark.parametrize("groups", [1, 7])
def test_log_sums__of_a_chromosome_are_within_the_promised_error(
    chromosome: Array, groups: int
) -> None:
    thresholds = np.geomspace(200, 3_900_000, 60).astype(np.int64)
    edges = np.linspace(0, len(chromosome), groups + 1).astype(np.int64)
    trees = build_trees(chromosome, np.ones(len(chromosome)), edges)
    count, logs = log_sums(trees, 0, groups, thresholds)
    d = distances(chromosome)
    segment = np.searchsorted(thresholds, d)
    np.testing.assert_array_equal(count, np.bincount(segment, minlength=61))
    np.testing.assert_allclose(logs, np.bincount(segment, np.log(d), minlength=61), rtol=ERROR)


@pytest.mark.parametrize("slope", [-60.0, -3.0, -1.0, -0.8, 0.0, 1.0, 2.0, 7.5, 60.0])
def test_power_sums__of_one_segment_are_within_the_promised_error(
    chromosome: Array, slope: float
) -> None:
    # Without thresholds every pair that is far enough is evaluated by the series.
    weight = np.random.default_rng(6).random(len(chromosome))
    trees = build_trees(chromosome, weight, np.array([0, len(chromosome)]))
    one = np.zeros(1, dtype=np.int64)
    intercept = -slope * math.log(1e5)
    (cell,) = power_sums(
        trees, one, one, np.zeros(0, np.int64), np.array([slope]), np.array([intercept])
    )[0]
    w = np.outer(weight, weight)[np.triu_indices(len(weight), 1)]
    exact = math.fsum(w * np.exp(intercept + slope * np.log(distances(chromosome))))
    assert cell == pytest.approx(exact, rel=ERROR)


def test_series__hardest_pair_of_nodes_is_within_the_tolerance() -> None:
    """All positions at the ends of two nodes, as near to each other as the series is used."""
    half = LEAF + 1
    width = 100_000
    for slope in (-3.0, -1.0, -0.5, 0.7):
        law = pair_sums.power_law(np.array([slope]), np.zeros(1))
        gap = math.ceil(width / law.reach[0, 0, -1])
        for ends in ((0, width), (width, width), (0, 0)):
            # Position 0 or width of each node fixes its width; all others are at one end.
            a = np.sort(np.r_[0, width, np.full(half - 2, ends[0])])
            b = gap + np.sort(np.r_[0, width, np.full(half - 2, ends[1])])
            mid = np.r_[a, b].astype(np.int32)
            edges = np.array([0, half, 2 * half])
            trees = build_trees(mid, np.ones(len(mid)), edges)
            cell = power_sums(
                trees, np.array([0]), np.array([1]), np.zeros(0, np.int64), law.slope, np.zeros(1)
            )[0, 0]
            exact = math.fsum(((b[None, :] - a[:, None]).astype(float) ** slope).ravel())
            assert abs(cell / exact - 1) < TOLERANCE


def test_power_sums__are_symmetric_and_in_the_order_asked_for(chromosome: Array) -> None:
    edges = np.array([0, 300, 300, 1000, 2500])
    trees = build_trees(chromosome, np.ones(len(chromosome)), edges)
    law = np.array([5_000, 300_000]), np.array([-0.5, -1.0, -2.0]), np.array([0.7, 1.1, -np.inf])
    every = np.arange(4)
    cells = power_sums(trees, every, every, *law)
    np.testing.assert_array_equal(cells, cells.T)
    some = power_sums(trees, np.array([3, 0]), np.array([2, 3, 1]), *law)
    np.testing.assert_array_equal(some, cells[np.ix_([3, 0], [2, 3, 1])])
    assert not cells[1].any()


def test_power_sums__of_chosen_cells_are_those_of_the_matrix(chromosome: Array) -> None:
    edges = np.array([0, 10, 10, 200, len(chromosome)], dtype=np.int64)
    trees = build_trees(chromosome, np.ones(len(chromosome)), edges)
    law = np.array([5_000]), np.array([-0.7, -1.2]), np.array([0.7, 1.1])
    every = np.arange(4)
    cells = power_sums(trees, every, every, *law)
    rows, cols = np.array([3, 0, 1, 2]), np.array([2, 0, 3, 2])
    np.testing.assert_array_equal(power_sums_of_cells(trees, rows, cols, *law), cells[rows, cols])


def test_power_sums__leave_out_segments_of_intercept_minus_infinity(chromosome: Array) -> None:
    trees = build_trees(chromosome, np.ones(len(chromosome)), np.array([0, len(chromosome)]))
    one = np.zeros(1, dtype=np.int64)
    slope, intercept = np.array([9.0, 0, np.nan]), np.array([-np.inf, 0.0, -np.inf])
    cell = power_sums(trees, one, one, np.array([999, 50_000]), slope, intercept)
    d = distances(chromosome)
    assert cell[0, 0] == np.count_nonzero((d > 999) & (d <= 50_000))


def test_power_sums__steep_slopes_do_not_overflow() -> None:
    trees = build_trees(np.array([0, 10**8]), np.ones(2), np.array([0, 2]))
    one = np.zeros(1, dtype=np.int64)
    none = np.zeros(0, dtype=np.int64)
    for slope in (-90.0, 90.0):  # between two bins of distance, of which one has hardly a read
        intercept = np.array([math.log(7) - slope * math.log(10**8)])
        cell = power_sums(trees, one, one, none, np.array([slope]), intercept)
        assert cell[0, 0] == pytest.approx(7)


def test_trees__can_be_pickled(chromosome: Array) -> None:
    trees = build_trees(chromosome, np.ones(len(chromosome)), np.array([0, len(chromosome)]))
    again = pickle.loads(pickle.dumps(trees))
    thresholds = np.array([1000])
    for one, two in zip(
        log_sums(trees, 0, 1, thresholds), log_sums(again, 0, 1, thresholds), strict=True
    ):
        np.testing.assert_array_equal(one, two)


# Bins of one size


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 2000), segments())
@settings(max_examples=100, deadline=None)
def test_grid_sums__equal_the_loop_over_pairs(
    seed: int, bins: int, width: int, thresholds: Array
) -> None:
    rng = np.random.default_rng(seed)
    number = np.flatnonzero(rng.random(2 * bins) < 0.7) + 5  # with gaps
    if not len(number):
        return
    size = rng.integers(0, 4, len(number))
    start = 100 + width * number
    mid = np.concatenate(
        [np.sort(rng.integers(s, s + width, n)) for s, n in zip(start, size, strict=True)]
    )
    units = GridUnits(
        mid.astype(np.int64),
        rng.random(len(mid)) + 0.1,
        np.r_[0, np.cumsum(size)],
        start,
        number,
        width,
    )
    slope, intercept = (
        rng.normal(-1, 0.5, len(thresholds) + 1),
        rng.normal(-1, 1, len(thresholds) + 1),
    )
    intercept[rng.random(len(intercept)) < 0.2] = -np.inf
    rows, cols = (rng.permutation(len(number))[: rng.integers(1, 9)] for _ in range(2))
    cells, known = grid_sums(units, rows, cols, thresholds, slope, intercept)
    for (i, j), there in np.ndenumerate(known):
        if not there:
            assert cells[i, j] == 0
            continue
        one, two = (slice(*units.edge[b : b + 2]) for b in (rows[i], cols[j]))
        distance = np.abs(np.subtract.outer(mid[one], mid[two])).astype(np.int64)
        k = np.searchsorted(thresholds, distance, "left")
        value = np.exp(intercept[k]) * np.maximum(1, distance) ** slope[k]
        plain = units.weight[one] @ value @ units.weight[two]
        np.testing.assert_allclose(cells[i, j], plain, rtol=1e-9)


def test_grid_sums__know_all_cells_far_from_the_diagonal() -> None:
    number = np.arange(200)
    mid = (1000 * number + 500).astype(np.int64)
    units = GridUnits(mid, np.ones(200), np.arange(201), 1000 * number, number, 1000)
    law = np.array([50_000]), np.array([-1.0, -1.5]), np.zeros(2)
    cells, known = grid_sums(units, number, number, *law)
    apart = np.abs(np.subtract.outer(number, number))
    assert known[(apart > 15) & (np.abs(apart - 50) > 1)].all()
    assert not known[(apart < 2) | (apart == 50)].any()
    np.testing.assert_array_equal(cells, cells.T)
    beyond = mid.copy()
    beyond[-1] += 600  # the last bin of an array can reach further
    less = grid_sums(units._replace(mid=beyond), number, number, *law)[1]
    np.testing.assert_array_equal(less[:-1, :-1], known[:-1, :-1])
    assert not less[-1].any()
    assert not less[:, -1].any()
