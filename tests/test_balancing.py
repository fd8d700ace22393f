"""Filter and Express on the toy data of the specification, against dense oracles, and on truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask._kernels.possible import possible_cis
from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import HifiveDaskWarning, ParameterError, StateError
from hifive_dask.genome.partition import Units
from hifive_dask.model import express as express_module
from hifive_dask.model import rows as rows_module
from hifive_dask.model.express import ExpressResult, balance
from hifive_dask.model.filtering import filter_units

Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def possible(i: int, j: int, fends: bool = True) -> bool:
    return (j - i > 1 and not (i % 2 == 0 and j - i == 3)) if fends else True


def toy_units(fends: bool = True) -> Units:
    """Toy T of the specification: 12 and 8 units; without `fends` its binned twin Tb."""
    mid = [500 + 1000 * k + (137 * (k * k % 7) if fends else 0) for n in (12, 8) for k in range(n)]
    middle = np.array(mid, dtype=np.int32)
    offset = np.array([0, 12, 20])
    return Units(("A", "B"), offset, middle - 100, middle + 100, middle, fends)


def toy_rows(fends: bool = True, *, trans: bool = True) -> Array:
    chrom = [0] * 12 + [1] * 8
    rows = []
    for i in range(20):
        for j in range(i, 20):
            cis = chrom[i] == chrom[j]
            n = (5 * i + 3 * j) % 7 - 1 if cis else (2 * i + 3 * j) % 5 - 2
            allowed = possible(i, j, fends) if cis else trans
            if n > 0 and allowed:
                rows.append((i, j, n))
    return np.array(rows)


def store_of(rows: Array, units: Units) -> PairStore:
    return PairStore.from_memory(
        (rows[:, 0], rows[:, 1], rows[:, 2]),
        units.offset,
        stats={},
        insert_distribution=np.zeros((0, 2), dtype=np.int64),
        token="",
    )


def keep(units: Units, rows: Array, valid: Array | None = None, **options: Any) -> list[int]:
    arguments = {
        "mininteractions": 1, "mindistance": 0, "maxdistance": 0, "usereads": "cis", **options,
    }  # fmt: skip
    valid = np.ones(len(units), dtype=np.int32) if valid is None else valid
    result: list[int] = filter_units(units, valid, store_of(rows, units), **arguments).tolist()
    return result


def run(units: Units, rows: Array, **options: Any) -> ExpressResult:
    arguments: dict[str, Any] = {
        "iterations": 1, "max_iterations": 1000, "minchange": 1e-4, "mindistance": 0,
        "maxdistance": 0, "usereads": "cis", "distance": None, "binary": False,
        "chroms": range(len(units.chromosomes)), "mininteractions": 1, "silent": True, **options,
    }  # fmt: skip
    valid = arguments.pop("valid", np.ones(len(units), dtype=np.int32))
    start = arguments.pop("start", np.ones(len(units), dtype=np.float32))
    return balance(units, valid, store_of(rows, units), start, **arguments)


def test_toy__has_the_rows_of_the_specification() -> None:
    cis, trans = toy_rows(trans=False), toy_rows()
    assert (len(cis), cis[:, 2].sum()) == (48, 147)
    assert cis[:5].tolist() == [[0, 2, 5], [0, 4, 4], [0, 6, 3], [0, 8, 2], [0, 9, 5]]
    assert (len(trans) - len(cis), trans[:, 2].sum() - cis[:, 2].sum()) == (39, 59)
    assert len(toy_rows(fends=False, trans=False)) == 82


def test_item_3_the_filter_is_a_core_not_one_pass() -> None:
    units, rows = toy_units(), toy_rows()
    assert keep(units, rows, mininteractions=3) == [1] * 12 + [0] * 8
    one_pass = np.bincount(rows[rows[:, 1] < 12][:, :2].ravel(), minlength=20)
    assert one_pass[:12].min() >= 3


def test_item_4_the_upper_limit_is_exclusive() -> None:
    units, rows = toy_units(), toy_rows()
    assert units.mid[4] - units.mid[0] == 4274
    only = np.array([[0, 4, 1]])
    assert sum(keep(units, only, maxdistance=4275)) == 2
    with pytest.warns(HifiveDaskWarning, match="no fend is left"):
        assert sum(keep(units, only, maxdistance=4274)) == 0
    kept = keep(units, rows, mininteractions=2, maxdistance=5000)
    assert kept == [1] * 11 + [0] + [1] * 8


def test_filter__respects_the_current_one_and_zero_keeps_it() -> None:
    units, rows = toy_units(), toy_rows()
    valid = np.ones(20, dtype=np.int32)
    valid[3] = 0
    assert keep(units, rows, valid, mininteractions=0) == valid.tolist()
    for usereads in ("cis", "trans", "all"):
        assert keep(units, rows, valid, mininteractions=1, usereads=usereads)[3] == 0


def plain_core(units: Units, rows: Array, valid: Array, least: int, low: int, high: int,
               usereads: str) -> list[int]:  # fmt: skip
    while True:
        count = np.zeros(len(units), dtype=int)
        for i, j, _ in rows:
            cis = units.chromosome[i] == units.chromosome[j]
            distance = units.mid[j] - units.mid[i]
            inside = usereads != "trans" and distance >= low and (high == 0 or distance < high)
            if valid[i] and valid[j] and (inside if cis else usereads != "cis"):
                count[list({i, j})] += 1
        kept = ((valid > 0) & (count >= least)).astype(int)
        if kept.tolist() == valid.tolist():
            return kept.tolist()
        valid = kept


@given(
    seed=st.integers(0, 10**6),
    least=st.integers(1, 5),
    window=st.sampled_from([(0, 0), (2000, 0), (0, 5000), (1500, 6000)]),
    usereads=st.sampled_from(["cis", "trans", "all"]),
    fends=st.booleans(),
)
@settings(max_examples=40, deadline=None)
@pytest.mark.filterwarnings("ignore:no .* is left")
def test_filter__equals_plain_oracle(
    seed: int, least: int, window: tuple[int, int], usereads: str, fends: bool
) -> None:
    rng = np.random.default_rng(seed)
    units, rows = toy_units(fends), toy_rows(fends)
    rows = rows[rng.random(len(rows)) < 0.7]
    valid = (rng.random(20) < 0.9).astype(np.int32)
    low, high = window
    found = keep(
        units, rows, valid, mininteractions=least, mindistance=low, maxdistance=high,
        usereads=usereads,
    )  # fmt: skip
    assert found == plain_core(units, rows, valid, least, low, high, usereads)


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


@given(seed=st.integers(0, 10**6), fends=st.booleans())
@settings(max_examples=60, deadline=None)
def test_possible_partners__equal_double_loop(seed: int, fends: bool) -> None:
    rng = np.random.default_rng(seed)
    n = 2 * int(rng.integers(1, 12))
    mid = np.cumsum(rng.integers(1, 60, n)).astype(np.int32)
    valid = (rng.random(n) < 0.8).astype(np.int32)
    low, high = int(rng.integers(0, 100)), int(rng.choice([0, 150, 400]))
    plain = [0] * n
    for i in range(n):
        for j in range(i, n):
            distance = mid[j] - mid[i]
            if valid[i] and valid[j] and distance >= low and (not high or distance < high):
                if i == j:
                    plain[i] += not fends
                elif possible(i, j, fends):
                    plain[i] += 1
                    plain[j] += 1
    found = possible_cis(mid, valid, fends=fends, mindistance=low, maxdistance=high)
    assert found.tolist() == plain


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


def test_item_14_mean_product_is_1() -> None:
    result = run(toy_units(), toy_rows())
    for span in (slice(0, 12), slice(12, 20)):
        c = result.corrections[span].astype(float)
        chi = (c.sum() ** 2 - (c**2).sum()) / (len(c) * (len(c) - 1))
        assert chi == pytest.approx(1, abs=1e-6)


def test_item_15_a_common_factor_does_not_matter() -> None:
    units, rows = toy_units(), toy_rows(trans=False)
    many = rows * [1, 1, 17]
    one, two = run(units, rows, minchange=1e-9), run(units, many, minchange=1e-9)
    np.testing.assert_allclose(one.corrections, two.corrections, rtol=1e-6)


@pytest.mark.parametrize("fends", [True, False])
def test_iterations__equal_dense_oracle(fends: bool) -> None:
    units, rows = toy_units(fends), toy_rows(fends, trans=False)
    steps = 5
    result = run(units, rows, max_iterations=steps, minchange=1e-12, on_nonconvergence="ignore")
    dense = np.zeros((20, 20))
    for i, j, n in rows:
        dense[i, j] += n
        dense[j, i] += n
    c, trace = np.ones(20), []
    for _ in range(steps):
        q = (dense / np.outer(c, c)).sum(axis=1) / result.possible
        trace.append((np.sqrt(((q - 1) ** 2).sum()), np.abs(np.sqrt(q) - 1).max()))
        c *= np.sqrt(q)
    np.testing.assert_allclose(result.trace, trace, rtol=1e-9)
    for span in (slice(0, 12), slice(12, 20)):
        np.testing.assert_allclose(
            result.corrections[span] / result.corrections[span][0], c[span] / c[span][0], rtol=1e-6
        )


@pytest.mark.parametrize("usereads", ["cis", "all", "trans"])
def test_division_of_work__does_not_matter(usereads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    units, rows = toy_units(), toy_rows()
    whole = run(units, rows, usereads=usereads)
    monkeypatch.setattr(express_module, "_ROUND", 100)
    rounds = run(units, rows, usereads=usereads)
    np.testing.assert_array_equal(rounds.corrections, whole.corrections)
    np.testing.assert_array_equal(rounds.trace, whole.trace)
    monkeypatch.setattr(express_module, "ONE_TASK", 1)
    monkeypatch.setattr(rows_module, "SPAN", 7)
    spans = run(units, rows, usereads=usereads)
    np.testing.assert_allclose(spans.corrections, whole.corrections, rtol=1e-6)
    assert len(spans.trace) == len(whole.trace)


def test_schedulers__same_bytes() -> None:
    from distributed import Client, LocalCluster

    units, rows = toy_units(), toy_rows()
    kinds = ("cis", "all")
    results = [run(units, rows, usereads=u).corrections.tobytes() for u in kinds]
    with dask.config.set(scheduler="threads"):
        assert [run(units, rows, usereads=u).corrections.tobytes() for u in kinds] == results
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster),
        dask.config.set(scheduler=None),
    ):
        assert [run(units, rows, usereads=u).corrections.tobytes() for u in kinds] == results


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


def test_minimum_of_iterations__is_kept_but_not_beyond_the_fixed_point() -> None:
    units, rows = toy_units(), toy_rows(trans=False)
    valid = np.array([1] * 12 + [0] * 8, dtype=np.int32)
    assert len(run(units, rows, valid=valid, iterations=60).trace) == 60
    result = run(units, rows, valid=valid, iterations=1000)
    assert len(result.trace) < 1000
    assert result.trace[-1, 1] < 1e-12


def test_unit_without_pairs__keeps_1_and_is_reported() -> None:
    units, rows = toy_units(), toy_rows(trans=False)
    rows = rows[(rows[:, 0] != 5) & (rows[:, 1] != 5)]
    with pytest.warns(HifiveDaskWarning, match="1 units in use have no pair"):
        result = run(units, rows)
    assert result.unused.tolist() == [5]
    assert result.corrections[5] == 1
    c = np.delete(result.corrections[:12].astype(float), 5)
    assert (c.sum() ** 2 - (c**2).sum()) / (len(c) * (len(c) - 1)) == pytest.approx(1, abs=1e-6)


def test_no_pairs_at_all__leave_every_correction_at_1() -> None:
    units, none = toy_units(), np.zeros((0, 3), dtype=np.int64)
    with pytest.warns(HifiveDaskWarning, match="20 units in use have no pair"):
        result = run(units, none, usereads="all")
    assert (result.corrections == 1).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"iterations": 0}, ParameterError, "iterations is 0, expected 1 to max_iterations"),
        ({"iterations": 9, "max_iterations": 8}, ParameterError, r"max_iterations \(8\)"),
        ({"minchange": 0.0}, ParameterError, "minchange is 0.0"),
        ({"usereads": "some"}, ParameterError, "usereads is 'some'"),
        ({"mindistance": 9, "maxdistance": 5}, ParameterError, "must be above mindistance"),
        ({"on_nonconvergence": "stop"}, ParameterError, "on_nonconvergence is 'stop'"),
        ({"valid": np.zeros(20, dtype=np.int32)}, StateError, "no unit of the chosen"),
    ],
)
def test_errors__name_the_cure(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(toy_units(), toy_rows(), **options)


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
