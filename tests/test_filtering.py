"""Filter: the toy of the specification, random genomes against a plain oracle, division of work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hifive_dask._store.pairs import PairStore, write_pairs
from hifive_dask.errors import HifiveDaskWarning, ParameterError
from hifive_dask.genome.partition import Units
from hifive_dask.model import cores
from hifive_dask.model import rows as rows_module
from hifive_dask.model.filtering import filter_units
from hifive_dask.model.rows import (
    cis_pieces,
    longest_distance,
    piece_groups,
    pieces_of,
    rows_by_kind,
)
from tests.reference_model import (
    Array,
    plain_core,
    random_world,
    store_of,
    toy_rows,
    toy_units,
    units_of,
)

pytestmark = pytest.mark.filterwarnings("ignore:little or nothing is left of some")

KINDS = ["cis", "trans", "all"]
WINDOWS = [(0, 0), (2000, 0), (0, 5000), (1500, 9000)]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def keep(units: Units, store: PairStore, valid: Array | None = None, **options: Any) -> list[int]:
    arguments = {
        "mininteractions": 2, "mindistance": 0, "maxdistance": 0, "usereads": "cis", **options,
    }  # fmt: skip
    valid = np.ones(len(units), dtype=np.int32) if valid is None else valid
    result = filter_units(units, valid, store, **arguments)
    assert result.dtype == np.int32
    kept: list[int] = result.tolist()
    return kept


# The toy


def test_toy__has_the_rows_of_the_specification() -> None:
    cis, both = toy_rows(trans=False), toy_rows()
    trans = both[(both[:, 0] < 12) & (both[:, 1] >= 12)]
    assert (len(cis), cis[:, 2].sum()) == (48, 147)
    assert cis[:5].tolist() == [[0, 2, 5], [0, 4, 4], [0, 6, 3], [0, 8, 2], [0, 9, 5]]
    assert (len(trans), trans[:, 2].sum()) == (39, 59)
    assert len(both) == len(cis) + len(trans)
    assert len(toy_rows(fends=False, trans=False)) == 82


def test_item_3_the_filter_is_a_core_not_one_pass() -> None:
    units, rows = toy_units(), toy_rows()
    assert keep(units, store_of(rows, units), mininteractions=3) == [1] * 12 + [0] * 8
    cis = toy_rows(trans=False)
    one_pass = np.bincount(cis[:, :2].ravel(), minlength=20) >= 3
    assert np.flatnonzero(~one_pass).tolist() == [16]


def test_item_4_the_upper_limit_is_exclusive() -> None:
    units = toy_units()
    store = store_of(toy_rows(), units)
    assert units.mid[4] - units.mid[0] == 4274
    only = store_of(np.array([[0, 4, 1]]), units)
    assert sum(keep(units, only, mininteractions=1, maxdistance=4275)) == 2
    with pytest.warns(HifiveDaskWarning, match="no fend is left"):
        assert sum(keep(units, only, mininteractions=1, maxdistance=4274)) == 0
    assert keep(units, store, maxdistance=5000) == [1] * 11 + [0] + [1] * 8


@pytest.mark.parametrize("usereads", KINDS)
def test_filter__respects_the_current_one_and_zero_keeps_it(usereads: str) -> None:
    units = toy_units()
    store = store_of(toy_rows(), units)
    valid = np.ones(20, dtype=np.int32)
    valid[3] = 0
    assert keep(units, store, valid, mininteractions=0, usereads=usereads) == valid.tolist()
    kept = keep(units, store, valid, mininteractions=1, usereads=usereads)
    assert sum(kept) > 10
    assert kept[3] == 0
    assert valid.sum() == 19


# Random genomes


@given(
    seed=st.integers(0, 10**6),
    least=st.integers(1, 5),
    window=st.sampled_from(WINDOWS),
    usereads=st.sampled_from(KINDS),
    fends=st.booleans(),
    chunk=st.sampled_from([1, 20, 1 << 18]),
    span=st.sampled_from([7, 1 << 22]),
)
@settings(max_examples=100, deadline=None)
@pytest.mark.filterwarnings("ignore:no .* is left", "ignore:.* leaves only")
def test_filter__equals_plain_oracle_however_rows_are_read(
    seed: int,
    least: int,
    window: tuple[int, int],
    usereads: str,
    fends: bool,
    chunk: int,
    span: int,
) -> None:
    units, rows = random_world(seed, fends=fends, density=0.4)
    valid = (np.random.default_rng(seed).random(len(units)) < 0.9).astype(np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "CHUNK", chunk)
        patch.setattr(rows_module, "SPAN", span)
        patch.setattr(rows_module, "GROUP", chunk)
        found = keep(
            units, store_of(rows, units), valid, mininteractions=least, mindistance=window[0],
            maxdistance=window[1], usereads=usereads,
        )  # fmt: skip
    assert found == plain_core(units, rows, valid, least, window, usereads)


@given(
    seed=st.integers(0, 10**6),
    least=st.integers(1, 5),
    window=st.sampled_from(WINDOWS),
    limit=st.integers(0, 60),
    fends=st.booleans(),
)
@settings(max_examples=60, deadline=None)
@pytest.mark.filterwarnings("ignore:no .* is left", "ignore:.* leaves only")
def test_chromosomes_too_large_for_memory__are_read_again_with_the_same_result(
    seed: int, least: int, window: tuple[int, int], limit: int, fends: bool
) -> None:
    units, rows = random_world(seed, fends=fends, density=0.6)
    valid = (np.random.default_rng(seed).random(len(units)) < 0.9).astype(np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "SPAN", 7)
        patch.setattr(cores, "IN_MEMORY", limit)
        found = keep(
            units, store_of(rows, units), valid, mininteractions=least, mindistance=window[0],
            maxdistance=window[1],
        )  # fmt: skip
    assert found == plain_core(units, rows, valid, least, window, "cis")


@pytest.mark.parametrize("usereads", KINDS)
def test_many_contigs__some_of_them_without_fends_or_rows(usereads: str) -> None:
    sizes = [2 * (k % 3) for k in range(60)]
    units, rows = random_world(7, fends=False, density=0.1, sizes=sizes)
    rows = rows[(rows[:, :2] % 11 != 0).all(axis=1)]
    store = store_of(rows, units)
    assert len(store.blocks) > 400
    assert len(pieces_of(store, list(store.blocks))) == 1
    least = 1 if usereads == "cis" else 6
    ones = np.ones(len(units), dtype=np.int32)
    found = keep(units, store, mininteractions=least, usereads=usereads)
    assert found == plain_core(units, rows, ones, least, (0, 0), usereads)
    assert 0 < sum(found) < len(units)


# What is read at once


def test_small_blocks__are_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    units, rows = toy_units(), toy_rows()
    store = store_of(rows, units)
    blocks = list(store.blocks)
    assert blocks == [(0, 0), (0, 1), (1, 1)]
    (piece,) = pieces_of(store, blocks)
    assert piece.cis is None
    assert len(piece.rows) == len(rows)
    (between,) = pieces_of(store, [(0, 0), (1, 1)])
    assert between.cis is None
    monkeypatch.setattr(rows_module, "CHUNK", 1)
    apart = pieces_of(store, [(0, 0), (1, 1)])
    assert [piece.cis for piece in apart] == [True, True]
    assert sum(len(piece.rows) for piece in apart) == sum(
        hi - lo for lo, hi in (store.block_rows(0, 0), store.block_rows(1, 1))
    )


def test_large_blocks__are_read_in_spans_that_tasks_share(monkeypatch: pytest.MonkeyPatch) -> None:
    units, rows = toy_units(), toy_rows()
    store = store_of(rows, units)
    monkeypatch.setattr(rows_module, "SPAN", 7)
    lo, hi = store.block_rows(0, 0)
    assert len(cis_pieces(store, [0])) == -(-(hi - lo) // 7)
    groups = piece_groups(store, list(store.blocks))
    assert len(groups) > 5
    read = [piece.rows() for group in groups for piece in group]
    joined = np.stack([np.concatenate(column) for column in zip(*read, strict=True)], axis=1)
    np.testing.assert_array_equal(joined, np.stack(store.rows_of(0, len(store))(), axis=1))
    assert max(sum(len(piece.rows) for piece in group) for group in groups) <= 7


@pytest.mark.parametrize(("chunk", "span"), [(1, 5), (30, 20), (1 << 18, 1 << 22)])
@pytest.mark.parametrize("usereads", KINDS)
def test_rows_by_kind__are_those_wanted_once_each(
    usereads: str, chunk: int, span: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "CHUNK", chunk)
    monkeypatch.setattr(rows_module, "SPAN", span)
    units, rows = random_world(2, fends=True, density=0.5)
    store = store_of(rows, units)
    blocks = [b for b in store.blocks if usereads == "all" or (b[0] == b[1]) == (usereads == "cis")]
    found = []
    for piece in pieces_of(store, blocks):
        kinds = set(np.equal(*(units.chromosome[end] for end in piece.rows()[:2])).tolist())
        assert kinds == ({True, False} if piece.cis is None else {piece.cis})
        for cis, columns in rows_by_kind(piece, units, usereads):
            same = units.chromosome[columns[0]] == units.chromosome[columns[1]]
            assert (same == cis).all()
            found += np.stack(columns, axis=1).tolist()
    same = units.chromosome[rows[:, 0]] == units.chromosome[rows[:, 1]]
    wanted = {"cis": same, "trans": ~same, "all": same | True}[usereads]
    assert sorted(found) == sorted(rows[wanted].tolist())


@pytest.mark.parametrize("span", [7, 1 << 22])
def test_longest_distance__is_that_of_any_cis_row(
    span: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "SPAN", span)
    units = toy_units()
    # Item 11: the upper limit of Express is one more.
    assert longest_distance(units, store_of(toy_rows(), units)) == 11274
    assert longest_distance(units, store_of(np.array([[0, 12, 1]]), units)) == -1


@pytest.mark.parametrize("usereads", KINDS)
def test_filter__is_the_same_on_threads_and_on_disk(usereads: str, tmp_path: Path) -> None:
    units, rows = random_world(3, fends=True, density=0.4)
    store = store_of(rows, units)
    write_pairs(tmp_path / "pairs.zarr", store, {})
    saved = PairStore.open(tmp_path / "pairs.zarr")
    one = keep(units, store, usereads=usereads)
    assert any(one)
    with dask.config.set(scheduler="threads"):
        assert keep(units, store, usereads=usereads) == one
        assert keep(units, saved, usereads=usereads) == one


# Nothing left, wrong arguments


@pytest.mark.parametrize("usereads", KINDS)
@pytest.mark.parametrize("limit", [1 << 26, 0])
def test_largest_coverage__is_told_however_rows_are_read(
    usereads: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    units, rows = toy_units(), toy_rows()
    same = units.chromosome[rows[:, 0]] == units.chromosome[rows[:, 1]]
    wanted = {"cis": same, "trans": ~same, "all": same | True}[usereads]
    most = int(np.bincount(rows[wanted][:, :2].ravel()).max())
    monkeypatch.setattr(cores, "IN_MEMORY", limit)
    message = f"mininteractions=99 keeps a fend only if 99 partners .* kept or not, is {most}\\."
    with pytest.warns(HifiveDaskWarning, match=message):
        assert not any(keep(units, store_of(rows, units), mininteractions=99, usereads=usereads))


@pytest.mark.parametrize("usereads", KINDS)
def test_no_pairs__leave_nothing(usereads: str) -> None:
    units = toy_units(fends=False)
    message = f"no bin is left: none has {usereads} reads that count"
    with pytest.warns(HifiveDaskWarning, match=message):
        found = keep(units, store_of(np.zeros((0, 3), dtype=int), units), usereads=usereads)
    assert found == [0] * 20


@pytest.mark.parametrize("usereads", ["trans", "all"])
def test_one_chromosome__has_no_trans_rows(usereads: str) -> None:
    units = units_of([12], toy_units().mid[:12], True)
    store = store_of(toy_rows()[toy_rows()[:, 1] < 12], units)
    if usereads == "all":
        assert keep(units, store, usereads="all") == keep(units, store)
        return
    with pytest.warns(HifiveDaskWarning, match="none has trans reads that count"):
        assert not any(keep(units, store, usereads="trans"))


@pytest.mark.parametrize("usereads", KINDS)
def test_empty_filter__stays_empty_and_is_told(usereads: str) -> None:
    units = toy_units()
    none = np.zeros(20, dtype=np.int32)
    with pytest.warns(HifiveDaskWarning, match="no fend was in use before; see reset_filter"):
        assert keep(units, store_of(toy_rows(), units), none, usereads=usereads) == [0] * 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mininteractions": None}, "mininteractions is None, expected a whole number"),
        ({"mininteractions": 2.5}, "mininteractions is 2.5"),
        ({"mininteractions": "3"}, "mininteractions is '3'"),
        ({"mininteractions": 10**400}, "mininteractions is 1000"),
        ({"mindistance": float("nan")}, "mindistance is nan"),
        ({"maxdistance": float("inf")}, "maxdistance is inf"),
        ({"maxdistance": "1"}, "maxdistance is '1'"),
        ({"mindistance": -1}, "must not be negative"),
        ({"mindistance": 9, "maxdistance": 9}, "must be above mindistance"),
        ({"usereads": "some"}, "usereads is 'some'"),
        ({"valid": np.ones(5, dtype=np.int32)}, r"shape \(5,\), expected one .* of the 20 fends"),
    ],
)
def test_wrong_arguments__raise(options: dict[str, Any], message: str) -> None:
    units = toy_units()
    with pytest.raises(ParameterError, match=message):
        keep(units, store_of(toy_rows(), units), **options)


def test_whole_floats_and_none__are_accepted() -> None:
    units = toy_units()
    store = store_of(toy_rows(), units)
    whole = keep(units, store, maxdistance=5000)
    assert keep(units, store, maxdistance=5e3, mininteractions=2.0) == whole
    assert keep(units, store, maxdistance=None) == keep(units, store, maxdistance=0)
