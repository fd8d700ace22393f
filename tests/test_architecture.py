"""The shape of the code: who may import whom, who may do what, how long things may be."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "hifive_dask"
MODULES = sorted(PACKAGE.rglob("*.py"))

BASE = {"about", "errors", "provenance", "public", "ranks", "regions", "schema"}
TOOLS = BASE | {"_kernels", "_graph", "_store"}
STAGES = ("genome", "reads", "model", "heatmap")
CLASSES = {"fend", "hic_data", "hic"}

# Part of the package: the parts that it may import, besides itself.
ALLOWED: dict[str, set[str]] = {
    **{name: set(BASE) for name in BASE},
    "_kernels": {"errors"},
    "_graph": BASE | {"_kernels"},
    "_store": BASE | {"_kernels"},
    **{name: TOOLS | set(STAGES[:k]) for k, name in enumerate(STAGES)},
    "export": TOOLS | set(STAGES),
    "plot": BASE | {"_kernels", *STAGES},
    "partitioning": TOOLS | {"genome"},
    "fend": TOOLS | {"genome", "partitioning"},
    "loading": TOOLS | set(STAGES) | {"fend"},
    "viewing": TOOLS | {"genome", "reads"},
    "hic_data": TOOLS | set(STAGES) | {"fend", "loading", "viewing"},
    "measuring": TOOLS | set(STAGES) | {"hic_data"},
    "leveling": TOOLS | set(STAGES) | {"measuring"},
    "modelling": TOOLS | set(STAGES) | {"leveling"},
    "learning": TOOLS | set(STAGES) | {"modelling"},
    "correcting": TOOLS | set(STAGES) | {"learning"},
    "arrays": TOOLS | set(STAGES) | {"measuring", "plot"},
    "exporting": TOOLS | set(STAGES) | {"export", "measuring"},
    "hic": TOOLS
    | set(STAGES)
    | {"arrays", "correcting", "exporting", "fend", "hic_data", "measuring"},
    "convert": TOOLS | set(STAGES) | {"fend", "hic_data"},
    "report": TOOLS | set(STAGES) | {"hic", "hic_data", "measuring", "plot"},
    "simulate": TOOLS,
    "testing": TOOLS | CLASSES | {"simulate"},
    "cluster": BASE,
    "cli": TOOLS
    | set(STAGES)
    | CLASSES
    | {"cluster", "convert", "export", "plot", "report", "simulate"},
    "accessor": TOOLS | set(STAGES) | {"plot"},
    "__main__": {"cli"},
    "__init__": CLASSES | {"accessor", "convert", "export", "report"},
}
OTHERS = {"_kernels": {"numpy", "numba"}}
MPI = {"dask_mpi", "mpi4py"}

LONGEST_MODULE = 500
LONGEST_FUNCTION = 60


def identify(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def nodes(path: Path) -> Iterator[ast.AST]:
    """All nodes, but for what stands under ``if TYPE_CHECKING``."""

    def walk(node: ast.AST) -> Iterator[ast.AST]:
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            children: list[ast.AST] = list(node.orelse)
        else:
            children = list(ast.iter_child_nodes(node))
        for child in children:
            yield from walk(child)

    return walk(tree_of(path))


def imports(path: Path) -> Iterator[str]:
    """Absolute names of all imported modules, also those inside functions."""
    package = ["hifive_dask", *path.relative_to(PACKAGE).parts[:-1]]
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{name}.{alias.name}" for alias in node.names)


def own_parts(path: Path) -> set[str]:
    """Parts of the package that a module imports; its version does not count."""
    found = {name.split(".")[1] for name in imports(path) if name.startswith("hifive_dask.")}
    classes = {"Fend": "fend", "HiCData": "hic_data", "HiC": "hic", "open_heatmaps": "export"}
    classes |= dict.fromkeys(("open_mrh", "import_heatmaps"), "heatmap")
    classes |= dict.fromkeys(("import_project", "export_project"), "convert")
    classes |= {"write_report": "report"}
    return {classes.get(name, name) for name in found} - {"__version__", part_of(path)}


def calls(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_every_part_has_a_place_in_the_architecture() -> None:
    assert {part_of(path) for path in MODULES} <= set(ALLOWED)


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_imports__go_down_only(path: Path) -> None:
    assert own_parts(path) <= ALLOWED[part_of(path)]


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_imports__of_kernels_are_numpy_and_numba(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)} - {"hifive_dask", "__future__"}
    allowed = OTHERS.get(part_of(path))
    if allowed is not None:
        assert roots <= allowed | set(sys.stdlib_module_names)
        assert "logging" not in roots


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_imports__of_storage_and_schedulers_are_where_they_belong(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    part = part_of(path)
    if part != "_store":
        assert not roots & {"fsspec", "upath"}
        assert not roots & ({"zarr"} if part == "export" else {"zarr", "h5py"})
    if part not in ("cluster", "_graph"):
        assert "distributed" not in roots
    if part != "plot":
        assert "matplotlib" not in roots
    if part != "cli":
        assert "click" not in roots
        assert part == "_graph" or "rich" not in roots
    if part != "cluster":
        assert not roots & MPI


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_calls__that_run_graphs_are_in_one_place(path: Path) -> None:
    running = {"dask.compute", "dask.persist", "get_client", "distributed.get_client", "Client"}
    if part_of(path) not in ("_graph", "cluster"):
        assert not set(calls(path)) & running
    if part_of(path) in (*BASE, "_kernels", "_store", "plot", "cli"):
        assert not set(calls(path)) & {"dask.delayed", "delayed"}


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_calls__that_print_or_exit_are_in_the_command_line(path: Path) -> None:
    if part_of(path) != "cli":
        assert not set(calls(path)) & {"print", "exit", "quit", "sys.exit", "os._exit"}
    assert not [
        node for node in nodes(path) if isinstance(node, ast.ExceptHandler) and node.type is None
    ]


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_length__of_modules_and_functions(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= LONGEST_MODULE
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef):
            body = node.body
            if ast.get_docstring(node) is not None:
                body = body[1:]
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator]
            assert length <= LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_names__are_public_on_purpose(path: Path) -> None:
    tree = tree_of(path)
    names = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    if len(tree.body) > 1 and part_of(path) not in ("cli", "_kernels", "__main__"):
        assert "__all__" in names


def test_text__names_no_place_of_one_machine() -> None:
    place = re.compile(r"(?<![\w./])/(?:home|Users|work|tmp|root|mnt|scratch|media)/\w")
    files = [
        path
        for pattern in ("hifive_dask/**/*", "tests/*.py", "docs/**/*.md", "*.md", "*.toml")
        for path in ROOT.glob(pattern)
        if path.suffix in (".py", ".md", ".toml")
    ] + [path for path in (ROOT / "Makefile", ROOT / ".ci" / "run") if path.exists()]
    assert len(files) > len(MODULES)
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if place.search(line)
    ]
    assert found == []


def modules_after(code: str) -> set[str]:
    """What is imported in a fresh interpreter once the code has run."""
    script = f"import sys\n{code}\nsys.stderr.write('|'.join(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in result.stderr.split("|")}


HEAVY = {"numba", "dask", "distributed", "numpy", "pandas", "zarr", "xarray", "matplotlib", "rich"}
HEAVY |= MPI


def test_help__imports_nothing_heavy() -> None:
    code = (
        "from hifive_dask.cli import main\n"
        "for arguments in (['--help'], ['normalize', '--help'], ['--version']):\n"
        "    try:\n        main(arguments)\n    except SystemExit as end:\n"
        "        assert end.code == 0"
    )
    assert not modules_after(code) & HEAVY


def test_import__of_the_package_is_light() -> None:
    assert not modules_after("import hifive_dask") & HEAVY
