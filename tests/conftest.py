"""Fixtures shared by all tests."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import dask
import pytest
from hypothesis import settings

# The same examples in every run: what passes here passes elsewhere. To look for more, run with
# `--hypothesis-profile=default`.
settings.register_profile("repeatable", derandomize=True, max_examples=40)
settings.load_profile("repeatable")

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference results and real data beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the folder `shared` with reference results is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def compare(shared: Path) -> ModuleType:
    """The module that compares arrays with a golden case by the rules of its manifest."""
    spec = importlib.util.spec_from_file_location("golden_compare", shared / "golden/compare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made, but not turned into pictures, which takes most of the time of commands."""
    monkeypatch.setattr("hifive_dask.report.pictures.to_svg", lambda *_, **__: "<svg></svg>")
    monkeypatch.setattr("hifive_dask.cli._pictures.DPI", 20)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Two worker processes. They import modules afresh, and see nothing that a test patches."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture
def on_every_scheduler(cluster: Any) -> Callable[[Callable[[str], Any]], list[Any]]:
    """Call a function on one thread, on threads, and on processes, with the name of each."""
    from distributed import Client

    def call(work: Callable[[str], Any]) -> list[Any]:
        results = []
        for name in ("sync", "threads"):
            with dask.config.set(scheduler=name):
                results.append(work(name))
        with Client(cluster), dask.config.set(scheduler=None):
            return [*results, work("cluster")]

    return call
