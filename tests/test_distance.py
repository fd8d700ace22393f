"""How reads fall with distance: kernels, fit, and reference results."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask._kernels.distance import expected, impossible_sums, observed_sums
from hifive_dask._store.fends import read_partition
from hifive_dask._store.pairs import PairStore
from hifive_dask._store.pairs_hdf5 import open_hcd
from hifive_dask.errors import ParameterError, StateError
from hifive_dask.genome.dataset import from_dataset
from hifive_dask.genome.partition import Units
from hifive_dask.model import distance
from hifive_dask.model import rows as rows_module
from hifive_dask.model.distance import DistanceModel, fit_distance, log_thresholds

Array = NDArray[Any]
Row = tuple[int, int, int]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def units_of(mids: Sequence[Sequence[int]], *, fends: bool) -> Units:
    """Units of which only the midpoints matter."""
    mid = np.array([x for chromosome in mids for x in chromosome], dtype=np.int32)
    offset = np.r_[0, np.cumsum([len(chromosome) for chromosome in mids])].astype(np.int64)
    names = tuple(f"chr{k}" for k in range(len(mids)))
    return Units(names, offset, mid, mid, mid, fends)


def store_of(units: Units, rows: Sequence[Row] | Array) -> PairStore:
    columns = np.array(rows, dtype=np.int32).reshape(-1, 3)
    return PairStore.from_memory(
        (columns[:, 0], columns[:, 1], columns[:, 2]),
        units.offset,
        stats={},
        insert_distribution=np.zeros((182, 2), dtype=np.int64),
        token="",
    )


def is_possible(i: int, j: int) -> bool:
    """Fends i < j of one chromosome, counted from its first."""
    return j - i > 1 and not (i % 2 == 0 and j - i == 3)


def every_pair(units: Units) -> list[tuple[int, int]]:
    """All possible cis pairs."""
    pairs = []
    for span in map(units.span, range(len(units.chromosomes))):
        for i, j in itertools.combinations_with_replacement(range(span.start, span.stop), 2):
            if not units.fends or is_possible(i - span.start, j - span.start):
                pairs.append((i, j))
    return pairs


def toy(fends: bool, bend: int) -> tuple[Units, PairStore]:
    """Two chromosomes of 12 and 8 units, and reads by formula; all units valid."""
    mids = [[500 + 1000 * k + bend * (k * k % 7) for k in range(n)] for n in (12, 8)]
    units = units_of(mids, fends=fends)
    rows = [(i, j, (5 * i + 3 * j) % 7 - 1) for i, j in every_pair(units)]
    return units, store_of(units, [row for row in rows if row[2] > 0])


def fit(units: Units, store: PairStore, valid: Any = None, **options: Any) -> DistanceModel:
    valid = np.ones(len(units), dtype=np.int32) if valid is None else valid
    given_options = {"numbins": 5, "minsize": 2000, "maxsize": 0, **options}
    return fit_distance(units, valid, store, silent=True, **given_options)


# Worlds that can be checked by hand


def test_fit__of_toy_fends_has_the_numbers_of_the_specification() -> None:
    units, store = toy(True, 137)
    model = fit(units, store)
    edges = [7.60090256, 8.03324032, 8.46557808, 8.89791679, 10.33025455]
    np.testing.assert_allclose(model.edges, edges, rtol=1e-8)
    assert model.possible.tolist() == [8, 11, 18, 21, 10]
    assert model.observed.tolist() == [5, 7, 14, 14, 8]
    assert model.signal.tolist() == [15, 24, 43, 39, 26]
    means = [7.44785865, 7.79704870, 8.27899488, 8.69166536, 9.11308261]
    np.testing.assert_allclose(model.mean_log_distance, means, rtol=1e-9)
    table = [
        [7.7970486, 0.43400404, -2.603792],
        [8.278995, 0.18813263, -0.6867207],
        [8.691666, -0.61014575, 5.9222217],
        [math.inf, 0.79843014, -6.320648],
    ]
    np.testing.assert_allclose(model.parameters, table, rtol=3e-7)
    binary = [
        [0.05160085, -0.8543195],
        [0.41637576, -3.6984873],
        [-0.37354425, 2.8412564],
        [0.43263903, -4.1658187],
    ]
    np.testing.assert_allclose(model.binary_parameters[:, 1:], binary, rtol=3e-7)
    np.testing.assert_array_equal(model.binary_parameters[:, 0], model.parameters[:, 0])
    assert model.parameters.dtype == model.binary_parameters.dtype == np.float32


def test_expected__of_toy_fends_has_the_numbers_of_the_specification() -> None:
    units, store = toy(True, 137)
    model = fit(units, store)
    d = units.mid[[2, 4, 7, 11]] - units.mid[0]
    np.testing.assert_allclose(
        expected(d, model.parameters), [2.200788, 2.2732644, 2.1135843, 3.0922787], rtol=3e-7
    )
    np.testing.assert_allclose(
        expected(d, model.binary_parameters),
        [0.64867365, 0.7545093, 0.71506816, 0.8788101],
        rtol=3e-7,
    )


def test_fit__of_toy_bins_counts_the_diagonal_at_distance_1() -> None:
    units, store = toy(False, 0)
    model = fit(units, store, minsize=900)
    assert model.possible.tolist() == [20, 18, 30, 22, 24]
    assert model.mean_log_distance[0] == 0
    first = model.parameters[0]
    np.testing.assert_allclose(first, [6.9077554, 0.02905006, 0.6931472], rtol=3e-7)


@pytest.mark.parametrize(
    ("minsize", "segment"),
    [(d, 0) for d in (200, 1000, 10000, 40000, 50000, 250000, 1000000)]
    + [(d, 1) for d in (5000, 20000, 25000, 30000, 39000, 100000, 500000)],
)
def test_log_thresholds__follow_the_rounding_of_32_bit_edges(minsize: int, segment: int) -> None:
    (threshold,) = log_thresholds(np.log([minsize]).astype(np.float32))
    assert threshold == minsize - segment


@given(st.lists(st.floats(0, 21, width=32), min_size=1, max_size=9))
def test_log_thresholds__are_the_largest_distances_below_their_edges(edges: list[float]) -> None:
    for edge, threshold in zip(edges, log_thresholds(np.float32(edges)), strict=True):
        assert np.log(threshold) <= np.float64(edge) < np.log(threshold + 1)


# Kernels against plain loops


@given(st.integers(0, 2**32 - 1), st.integers(0, 30))
@settings(max_examples=50, deadline=None)
def test_impossible_sums__equal_the_loop_over_pairs(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    mid = np.sort(rng.integers(0, 50 * n + 1, n)).astype(np.int32)
    valid = (rng.random(n) < 0.8).astype(np.int32)
    thresholds = np.array([20, 60, 61, 500])
    count, logs = np.zeros(5, dtype=np.int64), np.zeros(5)
    for i, j in itertools.combinations(range(n), 2):
        if valid[i] and valid[j] and not is_possible(i, j):
            d = int(mid[j] - mid[i])
            k = int((thresholds < d).sum())
            count[k] += 1
            logs[k] += math.log(max(1, d))
    result = impossible_sums(mid, valid, thresholds)
    np.testing.assert_array_equal(result[0], count)
    np.testing.assert_allclose(result[1], logs, rtol=1e-14)


@given(st.integers(0, 2**32 - 1), st.integers(0, 60))
@settings(max_examples=50, deadline=None)
def test_observed_sums__equal_the_loop_over_rows(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    mid = np.sort(rng.integers(0, 3000, 20)).astype(np.int32)
    first, second = np.sort(rng.integers(0, 20, (2, rows)), axis=0).astype(np.int32)
    reads = 9 * rng.random(rows)
    thresholds = np.array([1, 300, 301, 2000])
    number, (signal, logs) = np.zeros(5, dtype=np.int64), np.zeros((2, 5))
    for i, j, n in zip(first, second, reads.tolist(), strict=True):
        distance = max(1, int(mid[j]) - int(mid[i]))
        k = int((thresholds < distance).sum())
        number[k] += 1
        signal[k] += n
        logs[k] += n * math.log(distance)
    result = observed_sums(first, second, reads, mid, thresholds)
    np.testing.assert_array_equal(result[0], number)
    np.testing.assert_allclose(result[1], signal, rtol=1e-14)
    np.testing.assert_allclose(result[2], logs, rtol=1e-13)


def test_expected__takes_the_first_segment_whose_cutoff_is_not_exceeded() -> None:
    cutoff = np.log(np.float32(100))
    table = np.array([[cutoff, 0.5, 1], [5.5, -1, 2], [np.inf, -2, 3]], dtype=np.float32)
    d = np.array([0, 1, 2, 99, 100, 101, 244, 245, 10**9])
    for value, x in zip(expected(d, table, 0.25), d, strict=True):
        length = math.log(max(1, x))
        k = min(k for k in range(3) if length <= float(table[k, 0]))
        assert value == pytest.approx(math.exp(table[k, 1] * length + table[k, 2] + 0.25))


# The fit against plain loops


def plain_fit(
    units: Units, rows: Sequence[Row], valid: Array, edges: Array, corrections: Array | None
) -> dict[str, Array]:
    wide = edges.astype(np.float64)
    possible, observed = np.zeros((2, len(edges)), dtype=np.int64)
    logs, signal = np.zeros((2, len(edges)))
    chromosome = units.chromosome
    used = [valid[units.span(c)].sum() >= 2 for c in range(len(units.chromosomes))]

    def segment(i: int, j: int) -> tuple[int, float]:
        length = math.log(max(1, int(units.mid[j]) - int(units.mid[i])))
        return int((wide < length).sum()), length

    for i, j in every_pair(units):
        if valid[i] and valid[j] and used[chromosome[i]]:
            k, length = segment(i, j)
            possible[k] += 1
            logs[k] += length
    for i, j, n in rows:
        if valid[i] and valid[j] and used[chromosome[i]]:
            k, _ = segment(i, j)
            observed[k] += 1
            signal[k] += n if corrections is None else n / float(corrections[i] * corrections[j])
    with np.errstate(invalid="ignore"):
        mean = logs / possible
    sums = {"possible": possible, "observed": observed, "signal": signal, "mean": mean}
    kept = signal > 0
    for name, values in (("parameters", signal), ("binary_parameters", observed)):
        points = list(zip(mean[kept], np.log(values[kept] / possible[kept]), strict=True))
        table = np.zeros((len(points) - 1, 3), dtype=np.float32)
        for v, ((x0, y0), (x1, y1)) in enumerate(itertools.pairwise(points)):
            slope = np.float32((y1 - y0) / (x1 - x0))
            table[v] = x1, slope, y1 - float(slope) * x1
        table[-1, 0] = np.inf
        sums[name] = table
    return sums


@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_fit__equals_the_loop_over_pairs(seed: int, fends: bool, corrected: bool) -> None:
    rng = np.random.default_rng(seed)
    # Some chromosomes are too small to have pairs, or a single unit in use.
    sizes = 2 * np.r_[20, rng.integers(1, 12, 3)]
    units = units_of([np.sort(rng.integers(0, 600 * n, n)).tolist() for n in sizes], fends=fends)
    valid = (rng.random(len(units)) < 0.85).astype(np.int32)
    rows = [(i, j, int(rng.integers(1, 9))) for i, j in every_pair(units) if rng.random() < 0.6]
    corrections = (rng.random(len(units)) + 0.5).astype(np.float32) if corrected else None
    if corrections is not None:
        corrections[valid == 0] = 0
    options = {"numbins": int(rng.integers(5, 12)), "minsize": 700, "maxsize": 30_000}
    model = fit(units, store_of(units, rows), valid, corrections=corrections, **options)
    plain = plain_fit(units, rows, valid, model.edges, corrections)
    np.testing.assert_array_equal(model.possible, plain["possible"])
    np.testing.assert_array_equal(model.observed, plain["observed"])
    np.testing.assert_allclose(model.signal, plain["signal"], rtol=1e-12)
    np.testing.assert_allclose(model.mean_log_distance, plain["mean"], rtol=1e-9)
    np.testing.assert_allclose(model.parameters, plain["parameters"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        model.binary_parameters, plain["binary_parameters"], rtol=1e-5, atol=1e-5
    )


# Division of work


@pytest.fixture(scope="module")
def large() -> tuple[Units, PairStore, Array]:
    """Three chromosomes, 800 fends, 5,000 pairs, corrections."""
    rng = np.random.default_rng(9)
    mids = [np.sort(rng.choice(2_000_000, n, replace=False)) for n in (500, 40, 260)]
    units = units_of([mid.tolist() for mid in mids], fends=True)
    pairs = np.array(every_pair(units))
    chosen = np.sort(rng.choice(len(pairs), 5_000, replace=False))
    rows = np.c_[pairs[chosen], rng.integers(1, 5, 5_000)]
    return units, store_of(units, rows), (rng.random(len(units)) + 0.5).astype(np.float32)


def cut_finely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every chromosome in pieces, every task with few rows."""
    monkeypatch.setattr(distance, "_SPLIT", 30)
    monkeypatch.setattr(rows_module, "SPAN", 170)
    monkeypatch.setattr(rows_module, "GROUP", 1)


def test_fit__is_independent_of_spans_and_pieces(
    large: tuple[Units, PairStore, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    units, store, corrections = large
    whole = fit(units, store, numbins=20, corrections=corrections)
    cut_finely(monkeypatch)
    pieces = fit(units, store, numbins=20, corrections=corrections)
    np.testing.assert_array_equal(pieces.possible, whole.possible)
    np.testing.assert_array_equal(pieces.observed, whole.observed)
    np.testing.assert_allclose(pieces.signal, whole.signal, rtol=1e-13)
    np.testing.assert_allclose(pieces.mean_log_distance, whole.mean_log_distance, rtol=1e-9)
    np.testing.assert_allclose(pieces.parameters, whole.parameters, rtol=1e-6, atol=1e-6)


def test_fit__gives_the_same_bytes_on_every_scheduler(
    large: tuple[Units, PairStore, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    units, store, corrections = large
    cut_finely(monkeypatch)
    models = []
    for options in ({"scheduler": "sync"}, {"scheduler": "threads", "num_workers": 4}):
        with dask.config.set(**options):
            models.append(fit(units, store, numbins=20, corrections=corrections))
    for name in DistanceModel.__dataclass_fields__:
        assert getattr(models[0], name).tobytes() == getattr(models[1], name).tobytes()


def test_fit__of_many_small_chromosomes_is_few_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    units = units_of([np.sort(rng.integers(0, 50_000, 6)).tolist() for _ in range(300)], fends=True)
    rows = [(i, j, 1) for i, j in every_pair(units)]
    tasks: list[int] = []

    def count(values: Sequence[Any], **options: Any) -> list[Any]:
        tasks.append(sum(len(value.__dask_graph__()) for value in values))
        return run(values, **options)

    monkeypatch.setattr(distance, "run", count)
    model = fit(units, store_of(units, rows), numbins=4)
    assert model.observed.sum() == model.possible.sum() == len(rows)
    assert sum(tasks) < 10


# What cannot be fitted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"numbins": 2}, "numbins is 2, expected at least 3"),
        ({"numbins": 4.5}, "numbins is 4.5, expected a whole number"),
        ({"minsize": -1}, "must not be negative"),
        ({"maxsize": -1}, "must not be negative"),
        ({"minsize": 100_000}, "minsize is 100000 bp, expected less than the longest distance"),
    ],
)
def test_fit__refuses_parameters(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        fit(*toy(True, 137), **options)


def test_fit__needs_two_valid_units_on_some_chromosome() -> None:
    units, store = toy(True, 137)
    valid = np.zeros(len(units), dtype=np.int32)
    valid[[0, 12]] = 1
    with pytest.raises(StateError, match=r"no chromosome has two (fends|bins).*reset_filter"):
        fit(units, store, valid)


def test_fit__needs_three_bins_with_reads() -> None:
    units, _ = toy(True, 137)
    with pytest.raises(StateError, match=r"only 2 of 5 .* smaller numbins or minsize"):
        fit(units, store_of(units, [(0, 2, 1), (0, 11, 1)]))
    with pytest.raises(StateError, match="only 0 of 5"):
        fit(units, store_of(units, []))


def test_fit__needs_corrections_of_all_units_in_use() -> None:
    units, store = toy(True, 137)
    corrections = np.ones(len(units), dtype=np.float32)
    corrections[3:5] = 0
    with pytest.raises(
        StateError, match=r"2 of 20 (fends|bins) in use have no correction.*present"
    ):
        fit(units, store, corrections=corrections)
    valid = (corrections > 0).astype(np.int32)
    assert fit(units, store, valid, corrections=corrections).signal.sum() > 0


def test_fit__refuses_pairs_where_none_is_possible() -> None:
    units = units_of([[0, 10, 5_000, 5_010, 9_000, 9_900, 30_000, 60_000]], fends=True)
    rows = [(0, 1, 1), (0, 2, 1), (0, 5, 1), (0, 7, 1)]  # fends 0 and 1 are one fragment
    with pytest.raises(StateError, match="pairs of one fragment"):
        fit(units, store_of(units, rows), minsize=500)


# Reference results


def load(folder: Path, fends: str, pairs: str) -> tuple[Units, PairStore]:
    dataset, _, _ = read_partition(folder / fends)
    units = from_dataset(dataset).units
    return units, open_hcd(folder / pairs, units.offset)


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "quantity", "numbers"),
    [
        ("test", "possible", [6359, 4754, 8604, 10528, 7018]),
        ("test", "observed", [3310, 1266, 1556, 1263, 560]),
        ("test", "signal", [6767, 1550, 1792, 1405, 592]),
        ("test_bin", "possible", [192, 168, 244, 350, 240]),
    ],
)
def test_golden_hifive__sums(shared: Path, name: str, quantity: str, numbers: list[int]) -> None:
    import h5py

    folder = shared / "golden/hifive-tests"
    with h5py.File(folder / f"{name}.hcp") as file:
        valid = file["filter"][...]
    model = fit(*load(folder, f"{name}.fends", f"{name}.hcd"), valid, minsize=30_000)
    assert getattr(model, quantity).tolist() == numbers


@pytest.mark.golden
def test_golden_hifive__thresholds(shared: Path) -> None:
    import h5py

    folder = shared / "golden/hifive-tests"
    with h5py.File(folder / "test.hcp") as file:
        valid = file["filter"][...]
    model = fit(*load(folder, "test.fends", "test.hcd"), valid, minsize=30_000)
    assert log_thresholds(model.edges)[:4].tolist() == [29_999, 56_665, 107_033, 202_171]


@pytest.mark.golden
def test_golden_sim_small__bins(shared: Path, compare: ModuleType) -> None:
    folder = shared / "golden/sim-small"
    case = compare.load_case(str(folder))
    units, store = load(folder, "hifive/sim_rebinned.fends", "hifive/sim_rebinned.hcd")
    model = fit(units, store, case["binned/filter"][0], numbins=12, minsize=20_000)
    names = {
        "distance_parameters": "parameters",
        "bin_distance_parameters": "binary_parameters",
        "edges": "edges",
        "possible": "possible",
        "observed": "observed",
        "signal": "signal",
        "mean_log_distance": "mean_log_distance",
    }
    get: Callable[[str], Any] = partial(getattr, model)
    results = {f"binned/distance.{key}": get(name) for key, name in names.items()}
    assert compare.compare(case, results, only="binned/distance.", require_all=True)
