"""Checkpoints: the state of unfinished work, kept for the same work only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hifive_dask._store import checkpoint as module
from hifive_dask._store.checkpoint import Checkpoint
from hifive_dask.errors import StoreError


def test_state__comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    Checkpoint(path, "express", 1e-4).save({"values": np.arange(3.0), "step": 7})
    state = Checkpoint(path, "express", 1e-4).restore()
    assert state is not None
    assert state["values"].tolist() == [0, 1, 2]
    assert sorted(state) == ["step", "values"]
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]


def test_other_work__does_not_go_on_from_it(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    Checkpoint(path, "express", 1e-4).save({"step": 7})
    assert Checkpoint(path, "express", 1e-5).restore() is None
    path.write_bytes(path.read_bytes()[:50])
    assert Checkpoint(path, "express", 1e-4).restore() is None
    path.write_bytes(b"")
    assert Checkpoint(path, "express", 1e-4).restore() is None
    assert Checkpoint(tmp_path / "none.npz", "express").restore() is None


def test_writes__keep_a_distance_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path / "state.npz", "x")
    checkpoint.save({"step": 1})
    checkpoint.save({"step": 2})
    assert int(checkpoint.restore()["step"]) == 1  # type: ignore[index]
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    other = Checkpoint(tmp_path / "other.npz", "x")
    other.save({"step": 1})
    other.save({"step": 2})
    assert int(other.restore()["step"]) == 2  # type: ignore[index]
    other.remove()
    assert not (tmp_path / "other.npz").exists()
    other.remove()


def test_no_path__keeps_nothing_and_bad_path_is_an_error(tmp_path: Path) -> None:
    nothing = Checkpoint(None, "x")
    nothing.save({"step": 1})
    assert nothing.restore() is None
    nothing.remove()
    with pytest.raises(StoreError, match="does not exist"):
        Checkpoint(tmp_path / "none" / "state.npz", "x").save({"step": 1})
