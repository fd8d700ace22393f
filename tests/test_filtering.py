"""Filter: random genomes against a plain oracle, division of work, wrong arguments."""

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
from hifive_dask.model import filtering
from hifive_dask.model.filtering import filter_units
from tests.reference_model import plain_core, random_world, store_of, toy_rows, toy_units

KINDS = ["cis", "trans", "all"]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def keep(units: Any, store: PairStore, valid: Any = None, **options: Any) -> list[int]:
    arguments = {
        "mininteractions": 2, "mindistance": 0, "maxdistance": 0, "usereads": "cis", **options,
    }  # fmt: skip
    valid = np.ones(len(units), dtype=np.int32) if valid is None else valid
    result: list[int] = filter_units(units, valid, store, **arguments).tolist()
    return result


@given(
    seed=st.integers(0, 10**6),
    least=st.integers(1, 5),
    window=st.sampled_from([(0, 0), (2000, 0), (0, 5000), (1500, 9000)]),
    usereads=st.sampled_from(KINDS),
    fends=st.booleans(),
    chunk=st.sampled_from([1, 20, 1 << 18]),
)
@settings(max_examples=60, deadline=None)
@pytest.mark.filterwarnings("ignore:no .* is left")
def test_filter__equals_plain_oracle_however_blocks_are_read(
    seed: int, least: int, window: tuple[int, int], usereads: str, fends: bool, chunk: int
) -> None:
    units, rows = random_world(seed, fends=fends, density=0.4)
    valid = (np.random.default_rng(seed).random(len(units)) < 0.9).astype(np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filtering, "CHUNK", chunk)
        found = keep(
            units, store_of(rows, units), valid, mininteractions=least, mindistance=window[0],
            maxdistance=window[1], usereads=usereads,
        )  # fmt: skip
    assert found == plain_core(units, rows, valid, least, window, usereads)


@pytest.mark.parametrize("limit", [0, 20, 30])
def test_chromosomes_too_large_for_memory__are_read_again_with_the_same_result(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    units, rows = toy_units(), toy_rows()
    monkeypatch.setattr(filtering, "SPAN", 7)
    monkeypatch.setattr(filtering, "IN_MEMORY", limit)
    kept = keep(units, store_of(rows, units), mininteractions=3)
    assert kept == [1] * 12 + [0] * 8


def test_largest_coverage__is_told_however_rows_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    units, rows = toy_units(), toy_rows()
    cis = rows[units.chromosome[rows[:, 0]] == units.chromosome[rows[:, 1]]]
    most = int(np.bincount(cis[:, :2].ravel()).max())
    for limit in (1 << 26, 0):
        monkeypatch.setattr(filtering, "IN_MEMORY", limit)
        with pytest.warns(HifiveDaskWarning, match=f"keeps 99 partners .* any has is {most}\\."):
            keep(units, store_of(rows, units), mininteractions=99)


def test_small_blocks__are_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    units, rows = toy_units(), toy_rows()
    store = store_of(rows, units)
    blocks = list(store.blocks)
    assert blocks == [(0, 0), (0, 1), (1, 1)]
    (piece,) = filtering._pieces(store, blocks)
    assert piece.cis is None
    assert len(piece.rows) == len(rows)
    monkeypatch.setattr(filtering, "CHUNK", 1)
    assert [p.cis for p in filtering._pieces(store, blocks)] == [True, False, True]


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mininteractions": None}, "mininteractions is None, expected a whole number"),
        ({"mininteractions": 2.5}, "mininteractions is 2.5"),
        ({"mininteractions": "3"}, "mininteractions is '3'"),
        ({"mindistance": float("nan")}, "mindistance is nan"),
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
