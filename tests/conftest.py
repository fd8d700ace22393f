"""Fixtures shared by all tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

# The same examples in every run: what passes here passes elsewhere. To look for more, run with
# `--hypothesis-profile=default`.
settings.register_profile("repeatable", derandomize=True)
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
