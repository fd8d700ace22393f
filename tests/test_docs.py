"""The documentation names what exists, and all that was promised."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import tomllib
from inspect import signature
from pathlib import Path
from types import ModuleType

import click
import pytest

import hifive_dask as hd
from hifive_dask import plot
from hifive_dask.cli import _COMMANDS, main

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


def migration_rows(section: str) -> list[list[str]]:
    """Cells of a table of the migration page: the call of HiFive, the new one, what is new."""
    text = (DOCS / "migration.md").read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return rows[1:]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


@pytest.mark.parametrize("kind", ["Fend", "HiCData", "HiC"])
def test_migration__names_all_that_is_documented(kind: str) -> None:
    if not API.exists():
        pytest.skip("no documented-api.json beside the checkout")
    api = json.loads(API.read_text())
    told = {name.split("(")[0] for row in migration_rows(kind) for name in quoted(row[0])}
    methods = {kind if name == "__init__" else name for name in api[kind]}
    assert methods - told == set()
    text = (DOCS / "migration.md").read_text()
    assert [name for name in api.get(f"{kind}.attributes", []) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("kind", ["Fend", "HiCData", "HiC"])
def test_migration__new_methods_and_arguments_exist(kind: str) -> None:
    owner = getattr(hd, kind)
    for old, new, what in migration_rows(kind):
        same = [name.split("(")[0] for name in quoted(old)] if "the same" in new else []
        names = [name for name in same + quoted(new) if name.isidentifier()]
        assert names
        found = [getattr(owner, name, None) or getattr(hd, name) for name in names]
        known = set(dir(owner)) | {"chromosome_means"}
        known |= {p for each in found if callable(each) for p in signature(each).parameters}
        arguments = {name.split("=")[0] for name in quoted(what)}
        assert {name for name in arguments if name.isidentifier()} - known == set()


@pytest.mark.parametrize("section", ["Modules", "Commands"])
def test_migration__new_names_exist(section: str) -> None:
    spaces = {"plot": plot} | {kind: getattr(hd, kind) for kind in ("Fend", "HiCData", "HiC")}
    for row in migration_rows(section):
        for name in quoted(row[1]):
            if "hifive-dask" in name:
                words = name.split("hifive-dask ")[1].split()
                assert words[0] in _COMMANDS or words[:2] == ["--scheduler", "mpi"]
            elif "." in name and not name.startswith("-"):
                owner, attribute = name.split(".")
                assert hasattr(spaces[owner], attribute), name


def test_drawings__are_there_named_and_follow_the_colours_of_the_page() -> None:
    pages = "\n".join(page.read_text() for page in PAGES)
    used = set(re.findall(r"```\{drawing\} (\w+)\n:alt: \S", pages))
    files = {path.stem: path.read_text() for path in (DOCS / "drawings").glob("*.svg")}
    assert used == set(files) == set(script("drawings").DRAWINGS)
    for name, text in files.items():
        assert len(text) < 60_000, name
        assert "currentColor" in text, name
        assert 'width="' not in text.split(">")[0], name


def test_drawings__are_those_that_the_script_makes(tmp_path: Path) -> None:
    script("drawings").main(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        path.name for path in (DOCS / "drawings").iterdir()
    }
    for path in tmp_path.iterdir():  # texts, since lines differ between versions of Matplotlib
        made, stored = (
            sorted(re.findall(r">([^<>]*\w[^<>]*)</t", each.read_text()))
            for each in (path, DOCS / "drawings" / path.name)
        )
        assert made == stored, path.name


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


def blocks(language: str) -> list[tuple[str, str]]:
    """Names of pages, and their blocks of code."""
    pattern = rf"^```{language}\n(.*?)^```"
    return [
        (page.stem, code)
        for page in PAGES
        for code in re.findall(pattern, page.read_text(), flags=re.DOTALL | re.MULTILINE)
    ]


def calls(text: str) -> list[list[str]]:
    """Words behind `hifive-dask` of every command in a shell script."""
    text = text.replace("\\\n", " ")
    found = re.findall(r"(?:^|[|;] |mpirun .*?)hifive-dask ([^|>#\n]*)", text, flags=re.MULTILINE)
    return [words.split() for words in found]


def options_of(words: list[str]) -> tuple[set[str], set[str]]:
    """Options of a command line that are given, and those that its commands have."""
    command: click.Command = main
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    given = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    for word in words:
        if isinstance(command, click.Group) and (
            found := command.get_command(click.Context(command), word)
        ):
            command = found
            known |= {
                name for each in command.params for name in (*each.opts, *each.secondary_opts)
            }
    assert command is not main or given & {"--version", "--help"}, words
    return given, known | {"--version", "--help"}


def test_commands__have_the_options_that_pages_give_them() -> None:
    seen = [(page, words) for page, text in blocks("(?:bash|sh)") for words in calls(text)]
    assert len(seen) > 50
    wrong = []
    for page, words in seen:
        given, known = options_of(words)
        wrong += [(page, " ".join(words), name) for name in given - known]
    assert wrong == []


def test_python__parses_and_calls_what_exists() -> None:
    kinds = {"hd": hd, "plot": plot, "hic": hd.HiC, "data": hd.HiCData, "fend": hd.Fend}
    # Attributes of an object, not of its class.
    known = {"corrections", "distance_parameters", "distance_sums", "file", "filter", "trace"}
    missing = []
    for page, code in blocks("python"):
        for node in ast.walk(ast.parse(code, filename=page)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                kind, name = node.value.id, node.attr
                if kind in kinds and not hasattr(kinds[kind], name) and name not in known:
                    missing.append((page, f"{kind}.{name}"))
    assert missing == []


def test_install__names_all_extras() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (DOCS / "install.md").read_text()
    assert [name for name in project["optional-dependencies"] if f"`{name}`" not in text] == []
