"""What is published: versions, dependencies and contents agree wherever they are written."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

import hifive_dask

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
RECIPE: dict[str, Any] = yaml.safe_load((ROOT / "packaging" / "conda" / "recipe.yaml").read_text())
CONTAINER = (ROOT / "packaging" / "Containerfile").read_text()

# What packages of PyPI are called in conda-forge.
CONDA = {
    "dask[array,dataframe]": "dask",
    "isal": "python-isal",
    "matplotlib": "matplotlib-base",
    "universal-pathlib": "universal_pathlib",
}


def bounds(requirements: list[str]) -> dict[str, str]:
    """Lower bounds by name."""
    return dict(re.split(r"\s*>=\s*", line, maxsplit=1) for line in requirements)


def test_version__is_the_same_everywhere() -> None:
    version = hifive_dask.__version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == version
    assert citation["title"] == "hifive_dask"
    assert RECIPE["context"]["version"] == version
    released = re.findall(r"^## \[(\d[^]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == version


def test_recipe__has_the_dependencies_of_the_package() -> None:
    run = bounds(RECIPE["requirements"]["run"])
    python = run.pop("python")
    assert python == "${{ python_min }}"
    assert PROJECT["project"]["requires-python"] == f">={RECIPE['context']['python_min']}"
    own = bounds(PROJECT["project"]["dependencies"])
    assert run == {CONDA.get(name, name): bound for name, bound in own.items()}
    assert PROJECT["build-system"]["requires"] == ["hatchling>=1.24"]
    assert "hatchling >=1.24" in RECIPE["requirements"]["host"]
    (entry,) = RECIPE["build"]["python"]["entry_points"]
    assert tuple(entry.split(" = ")) in PROJECT["project"]["scripts"].items()


def test_dependencies__have_one_lower_bound_each() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    known = bounds(PROJECT["project"]["dependencies"])
    for name, requirements in extras.items():
        for package, bound in bounds(requirements).items():
            assert known.setdefault(package, bound) == bound, (name, package)
    # Tests need all that commands can use.
    for name in ("bam", "cool", "digest", "mpi", "s3"):
        assert set(extras[name]) <= set(extras["test"]), name


def test_wheel__is_typed_and_has_little_data_beside_code() -> None:
    package = files("hifive_dask")
    assert package.joinpath("py.typed").is_file()
    others = {
        path.name
        for path in Path(str(package)).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".nbi", ".nbc")
    }
    assert others == {"py.typed", "page.css", "page.html"}


def test_sdist__has_what_tests_and_documentation_need() -> None:
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    for name in included:
        assert list(ROOT.glob(name)), name
    needed = {"hifive_dask", "tests", "docs", "notebooks", "packaging", "Makefile", "CITATION.cff"}
    assert needed <= set(included)


def test_container__installs_extras_that_there_are_and_runs_as_a_user() -> None:
    (extras,) = re.findall(r'"/source\[([a-z,0-9]+)\]"', CONTAINER)
    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])
    assert re.search(r"^USER (?!root)", CONTAINER, re.MULTILINE)
    assert 'ENTRYPOINT ["hifive-dask"]' in CONTAINER
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", CONTAINER, re.MULTILINE)
    ignored = (ROOT / "packaging" / "Containerfile.dockerignore").read_text().splitlines()
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored, name


@pytest.mark.parametrize("name", ["CHANGELOG.md", "CONTRIBUTING.md", "packaging/README.md"])
def test_links__lead_to_files(name: str) -> None:
    text = (ROOT / name).read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []
