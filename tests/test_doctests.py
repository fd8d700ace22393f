"""The examples of the package's docstrings do what they show."""

from __future__ import annotations

import doctest
import importlib
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "hifive_dask"


def _modules() -> list[str]:
    """Modules with examples, by name; found in their text, so that nothing is imported for it."""
    files = sorted(path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text("utf-8"))
    names = (path.relative_to(PACKAGE.parent).with_suffix("").parts for path in files)
    return [".".join(part for part in parts if part != "__init__") for parts in names]


@pytest.mark.parametrize("name", _modules())
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where examples put their toys
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for example in doctest.DocTestFinder().find(importlib.import_module(name)):
        runner.run(example, out=report.append)
    plt.close("all")
    assert runner.tries > 0
    assert not report, "".join(report)
