"""Notebooks are stored without outputs; building the documentation runs them all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_notebook__is_without_outputs_and_run_by_the_documentation(path: Path) -> None:
    for cell in json.loads(path.read_text())["cells"]:
        assert not cell.get("outputs"), "store notebooks without outputs"
    assert f"\nnotebooks/{path.stem}\n" in (ROOT / "docs/index.md").read_text()
    settings = (ROOT / "docs/conf.py").read_text()
    assert 'nb_execution_mode = "auto"' in settings
    assert "nb_execution_raise_on_error = True" in settings
