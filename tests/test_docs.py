"""The documentation names what exists, and all that was promised."""

from __future__ import annotations

import importlib.util
import json
import re
from functools import reduce
from pathlib import Path
from types import ModuleType

import pytest

import hifive_dask as hd
from hifive_dask import plot
from hifive_dask.cli import _COMMANDS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
API = ROOT.parent / "shared" / "spec" / "documented-api.json"
PAGES = sorted(DOCS.glob("*.md"))


def script(name: str) -> ModuleType:
    """A script of the documentation."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def migration_rows() -> list[tuple[str, str]]:
    """Old and new cells of the tables of the migration page."""
    text = (DOCS / "migration.md").read_text()
    rows = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| `")]
    return [(old.strip(), new.strip()) for old, new in rows]


def test_migration__names_all_that_is_documented() -> None:
    if not API.exists():
        pytest.skip("no documented-api.json beside the checkout")
    api = json.loads(API.read_text())
    old = " ".join(cell for cell, _ in migration_rows())
    methods = [
        f"`{kind}" + ("(" if method == "__init__" else f".{method}`")
        for kind in ("Fend", "HiCData", "HiC")
        for method in api[kind]
    ]
    text = (DOCS / "migration.md").read_text()
    missing = [name for name in methods if name not in old]
    assert missing + [name for name in api["HiC.attributes"] if f"`{name}`" not in text] == []


def test_migration__new_names_exist() -> None:
    names = [name for _, new in migration_rows() for name in re.findall(r"`([^`]+)`", new)]
    assert len(names) > 40
    spaces = {"plot": plot} | {kind: getattr(hd, kind) for kind in ("Fend", "HiCData", "HiC")}
    missing = []
    for name in names:
        words = name.split()
        if "hifive-dask" in words:
            rest = [word for word in words[words.index("hifive-dask") + 1 :] if word in _COMMANDS]
            missing += [] if rest or "--scheduler" in words else [name]
        elif name not in ("dynamically_binned", "image_file", "-o map.mcool"):
            first, *others = name.split(".")
            try:
                reduce(getattr, others, spaces.get(first) or getattr(hd, first))
            except AttributeError:
                missing.append(name)
    assert missing == []


def test_drawings__are_there_named_and_follow_the_colours_of_the_page() -> None:
    pages = "\n".join(page.read_text() for page in PAGES)
    used = set(re.findall(r"```\{drawing\} (\w+)\n:alt: \S", pages))
    files = {path.stem: path.read_text() for path in (DOCS / "drawings").glob("*.svg")}
    assert used == set(files) == set(script("drawings").DRAWINGS)
    for name, text in files.items():
        assert len(text) < 60_000, name
        assert "currentColor" in text, name
        assert 'width="' not in text.split(">")[0], name


def test_check_links__finds_what_is_broken(tmp_path: Path) -> None:
    check = script("check_links")
    (tmp_path / "index.html").write_text(
        '<a href="page.html#here">1</a> <a href="page.html#gone">2</a> <img src="no.png">'
        '<a href="https://example.org/x">3</a> <a href="#top">4</a> <a href="none.html">5</a>'
    )
    (tmp_path / "page.html").write_text('<p id="here"><a href="index.html">back</a></p>')
    assert check.broken_links(tmp_path) == [
        "index.html: no.png: no such file",
        "index.html: none.html: no such file",
        "index.html: page.html#gone: no such anchor",
    ]
    assert check.main(tmp_path) == 1
    (tmp_path / "index.html").write_text('<a href="page.html#here">1</a>')
    assert check.main(tmp_path) == 0
