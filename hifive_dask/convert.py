"""Whole projects between HiFive's files and Zarr: partition, pairs and what was learned."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hifive_dask._store.kinds import check_replaceable, describe_held, kind_of, replacing_store
from hifive_dask._store.links import check_token, relative_link, resolve_link
from hifive_dask._store.places import local
from hifive_dask._store.project import ProjectContent, read_project, write_project
from hifive_dask.errors import StoreError
from hifive_dask.fend import Fend
from hifive_dask.genome.dataset import to_dataset
from hifive_dask.hic_data import HiCData
from hifive_dask.public import answering

__all__ = ["Converted", "export_project", "import_project"]

PathLike = str | os.PathLike[str]

_ZARR = {"fends": ".fends.zarr", "pairs": ".pairs.zarr", "project": ".project.zarr"}
_HDF5 = {"fends": ".fends", "pairs": ".hcd", "project": ".hcp"}
# Arrays that HiFive's layout has no place for.
_NOT_IN_HDF5 = ("distance/possible", "distance/observed", "distance/signal",
                "distance/mean_log_distance", "distance/edges")  # fmt: skip


class Converted(NamedTuple):
    """One store that was converted.

    Parameters
    ----------
    kind
        ``"fends"``, ``"pairs"`` or ``"project"``.
    source, target
        Absolute paths.
    verified
        What was compared after writing.
    """

    kind: str
    source: Path
    target: Path
    verified: str


@answering
def import_project(path: PathLike, directory: PathLike, *, silent: bool = False) -> list[Converted]:
    """Convert a HiFive project, or a data file, or a partition, to Zarr, with all it links to.

    Parameters
    ----------
    path
        A ``.hcp``, ``.hcd`` or ``.fends`` file.
    directory
        Where ``NAME.fends.zarr``, ``NAME.pairs.zarr`` and ``NAME.project.zarr`` are made. It is
        made if need be; stores of these names are replaced.
    silent
        No progress bars.

    Returns
    -------
    list of Converted
        The partition, then pairs and project if there are any.

    Raises
    ------
    StoreError
        If a file is damaged or cannot be written, or what was written differs from what was read.
        Nothing is changed then.
    LinkError
        If a linked file is missing.
    """
    return _convert(local(path), local(directory), _ZARR, silent)


@answering
def export_project(path: PathLike, directory: PathLike, *, silent: bool = False) -> list[Converted]:
    """Convert a Zarr project, or pairs, or a partition, to HiFive's files, with all it links to.

    As `import_project`, but ``NAME.fends``, ``NAME.hcd`` and ``NAME.hcp`` are made.

    Examples
    --------
    >>> from hifive_dask import export_project
    >>> from hifive_dask.testing import toy_project
    >>> project = toy_project()
    >>> made = export_project(project, project.parent, silent=True)
    >>> [store.target.name for store in made]
    ['fends.fends', 'pairs.hcd', 'project.hcp']
    """
    return _convert(local(path), local(directory), _HDF5, silent)


@dataclass(frozen=True)
class _Step:
    kind: str
    source: Path
    target: Path
    write: Callable[[Path], str]  # writes a store at a path and says what was verified


def _convert(path: Path, directory: Path, names: dict[str, str], silent: bool) -> list[Converted]:
    """Write all stores into a directory beside the targets; verify them; put them in place."""
    if directory.exists() and not directory.is_dir():
        raise StoreError(f"{directory}: is a file, expected a directory; give another one")
    steps = _plan(path.absolute(), directory.absolute(), names, silent)
    for step in steps:
        if step.target.exists() and step.target.samefile(step.source):
            raise StoreError(
                f"{step.source}: would be replaced by its own conversion; choose another directory"
            )
        check_replaceable(step.target, step.kind)
    with _made(directory), tempfile.TemporaryDirectory(prefix=".convert-", dir=directory) as beside:
        verified = [step.write(Path(beside) / step.target.name) for step in steps]
        for step in steps:
            with replacing_store(step.target, step.kind) as place:
                os.rename(Path(beside) / step.target.name, local(place))
    return [
        Converted(step.kind, step.source, step.target, text)
        for step, text in zip(steps, verified, strict=True)
    ]


@contextlib.contextmanager
def _made(directory: Path) -> Iterator[None]:
    """Make a directory; if what follows fails, remove again what is still empty."""
    missing = [place for place in (directory, *directory.parents) if not place.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{directory}: cannot be made: {error.strerror}") from error
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for place in missing:
                place.rmdir()
        raise


def _plan(path: Path, directory: Path, names: dict[str, str], silent: bool) -> list[_Step]:
    """Open everything, following the links."""
    kind = kind_of(path)
    if kind not in names:
        raise StoreError(f"{path}: {describe_held(path)}; expected a partition, pairs or a project")
    targets = {}
    project = data = None
    if kind == "project":
        project = read_project(path)
        targets["project"] = directory / _name(path, names["project"])
    if kind != "fends":
        source = path if project is None else local(resolve_link(project.pairs, path))
        data = HiCData(source, silent=silent)
        targets["pairs"] = directory / _name(source, names["pairs"])
    if project is not None and data is not None:
        check_token(data.token, project.pairs_token, data.file, path)
    fends = data.fends if data is not None else Fend(path, silent=silent)
    targets["fends"] = directory / _name(local(fends.file), names["fends"])
    partition = targets["fends"].name
    steps = [
        _Step("fends", Path(fends.file), targets["fends"], lambda out: _write_fends(fends, out))
    ]
    if data is not None:
        pairs = data
        steps.append(
            _Step(
                "pairs",
                Path(pairs.file),
                targets["pairs"],
                lambda out: _write_pairs(pairs, out, out.with_name(partition)),
            )
        )
    if project is not None:
        content = project
        steps.append(
            _Step(
                "project",
                path,
                targets["project"],
                lambda out: _write_project(content, out, out.with_name(targets["pairs"].name)),
            )
        )
    return steps


def _name(source: Path, suffix: str) -> str:
    """Name of a converted store: the suffixes of its kind give way to the new one."""
    name = source.name.removesuffix(source.suffix)
    for known in (*_ZARR.values(), *_HDF5.values()):
        name = name.removesuffix(known.removesuffix(".zarr"))
    return name + suffix


def _write_fends(fends: Fend, out: Path) -> str:
    fends.save(out)
    copy = Fend(out, silent=True)
    if not to_dataset(copy.partition).identical(to_dataset(fends.partition)):
        raise StoreError(f"{fends.file}: its copy differs in some array; nothing was converted")
    return f"all arrays, token {copy.token}"


def _write_pairs(data: HiCData, out: Path, fends: Path) -> str:
    data.save(out, fendfilename=fends)
    found = [data.verify(), HiCData(out, silent=data.silent).verify()]
    if found[0] != found[1]:
        raise StoreError(
            f"{data.file}: its copy has the token {found[1]}, expected {found[0]}; nothing was "
            "converted"
        )
    return f"{len(data.store):,} pairs and all statistics, token {found[0]}"


def _write_project(content: ProjectContent, out: Path, pairs: Path) -> str:
    data = HiCData(pairs, silent=True)
    content.pairs, content.pairs_token = relative_link(pairs, out), data.token
    content.fends = relative_link(data.fends.file, out)
    content.fends_token, content.binned = data.fends.token, data.fends.binned
    write_project(out, content)
    copy = read_project(out)
    for name, values in content.arrays.items():
        kept = copy.arrays.get(name)
        nan = values.dtype.kind == "f"
        lost = out.suffix != ".zarr" and (name in _NOT_IN_HDF5 or "/trace_" in name)
        if not lost and (kept is None or not np.array_equal(kept, values, equal_nan=nan)):
            raise StoreError(f"{out.name}: the array {name!r} differs; nothing was converted")
    return f"{len(copy.arrays)} arrays, normalization {copy.normalization}"
