"""Puts the notebooks below the documentation, where Sphinx finds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]


def _copy(app: Any) -> None:
    """Copy what has changed, so that nothing else is run again, with links as seen from there."""
    target = _ROOT / "docs" / "notebooks"
    target.mkdir(exist_ok=True)
    texts = {
        path.name: path.read_text().replace("](../docs/", "](../")
        for path in (_ROOT / "notebooks").glob("*.ipynb")
    }
    for path in target.glob("*.ipynb"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        path = target / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", _copy)
    return {"parallel_read_safe": True}
