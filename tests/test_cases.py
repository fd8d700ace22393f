"""Small inputs on which users once met an error: each case has a check of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import SHARED

ROOT = Path(__file__).parents[1]
MISSING = pytest.mark.skip(reason="the folder `shared/cases` is not beside this checkout")


def cases() -> list[Any]:
    found = sorted((SHARED / "cases").glob("*/run.sh"))
    return [pytest.param(script, id=script.parent.name) for script in found] or [
        pytest.param(None, marks=MISSING)
    ]


@pytest.mark.parametrize("script", cases())
def test_case__passes(script: Path) -> None:
    """The script runs the programs of this environment, which import this checkout."""
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"BIN": str(Path(sys.executable).parent), "PYTHONPATH": paths}
    done = subprocess.run(
        ["bash", str(script)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
