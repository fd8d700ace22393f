"""The project store: what was learned, in Zarr or as a HiFive project file (.hcp)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hifive_dask._store import zarr_store
from hifive_dask._store.kinds import replacing_store
from hifive_dask.errors import StoreError
from hifive_dask.provenance import History, content_token
from hifive_dask.schema import PROJECT

__all__ = ["ProjectContent", "read_project", "write_project"]

Arrays = dict[str, NDArray[Any]]

_HDF5_NAMES = {
    "filter/valid": "filter",
    "distance/parameters": "distance_parameters",
    "distance/binary_parameters": "bin_distance_parameters",
    "distance/chromosome_means": "chromosome_means",
}
_FILTER_OPTIONS = ("mininteractions", "mindistance", "maxdistance")


@dataclass
class ProjectContent:
    """A project as it is stored.

    Parameters
    ----------
    arrays
        By their names in the schema; ``corrections/<normalization>/values`` for the corrections.
    normalization
        What the corrections are: ``none``, ``express``, ...
    pairs, fends
        Links: relative path.
    pairs_token, fends_token
        Tokens of the linked stores; empty for HiFive files, which have none.
    options
        The last ``mininteractions``, ``mindistance`` and ``maxdistance`` of the filter.
    binned
        Bin size, or None; only written to HDF5.
    """

    arrays: Arrays
    normalization: str
    pairs: str
    fends: str
    pairs_token: str = ""
    fends_token: str = ""
    options: dict[str, int] = field(default_factory=dict)
    history: History = field(default_factory=History)
    binned: int | None = None


def write_project(path: str | os.PathLike[str], content: ProjectContent) -> None:
    """Write a project in the format that the suffix says, in place of what was there."""
    write = _write_hdf5 if zarr_store.is_hdf5(path) else _write_zarr
    with replacing_store(path, PROJECT.type) as beside:
        write(beside, content)


def read_project(path: str | os.PathLike[str]) -> ProjectContent:
    """Read a project.

    Raises
    ------
    StoreError
        If it is missing, incomplete, or of another kind.
    """
    if not os.path.exists(path):
        raise StoreError(f"{os.fspath(path)}: no such project; HiC(filename, 'w') makes a new one")
    return _read_hdf5(path) if zarr_store.is_hdf5(path) else _read_zarr(path)


def _write_zarr(path: Path, content: ProjectContent) -> None:
    group = zarr_store.create(path, PROJECT)
    for name in sorted(content.arrays):
        zarr_store.write_array(group, PROJECT, name, content.arrays[name])
    parts = [part for name in sorted(content.arrays) for part in (name, content.arrays[name])]
    zarr_store.complete(
        group,
        token=content_token(content.normalization, *parts),
        history=content.history,
        normalization=content.normalization,
        pairs=content.pairs,
        pairs_token=content.pairs_token,
        fends=content.fends,
        fends_token=content.fends_token,
        **content.options,
    )


def _read_zarr(path: str | os.PathLike[str]) -> ProjectContent:
    group = zarr_store.open_verified(path, PROJECT)
    attributes: Mapping[str, Any] = dict(group.attrs)
    names = [name for name, member in group.members(max_depth=None) if hasattr(member, "shape")]
    return ProjectContent(
        arrays={name: np.asarray(zarr_store.array_of(group, name)[...]) for name in names},
        normalization=attributes["normalization"],
        pairs=attributes["pairs"],
        fends=attributes["fends"],
        pairs_token=attributes["pairs_token"],
        fends_token=attributes["fends_token"],
        options={k: int(attributes[k]) for k in _FILTER_OPTIONS if k in attributes},
        history=zarr_store.history_of(group),
    )


def _write_hdf5(path: Path, content: ProjectContent) -> None:
    with h5py.File(path, "w") as file:
        for name, theirs in _HDF5_NAMES.items():
            if name in content.arrays:
                file[theirs] = np.asarray(content.arrays[name], dtype=PROJECT[name].dtype)
        values = content.arrays.get(f"corrections/{content.normalization}/values")
        if values is not None:
            file["corrections"] = np.asarray(values, dtype=np.float32)
        file.attrs["filetype"] = "hic_project"
        file.attrs["history"] = content.history.text
        file.attrs["normalization"] = content.normalization
        file.attrs["datafilename"] = content.pairs
        file.attrs["fendfilename"] = content.fends
        for name, value in content.options.items():
            file.attrs[name] = np.int64(value)
        if content.binned is not None:
            file.attrs["binned"] = np.int64(content.binned)


def _read_hdf5(path: str | os.PathLike[str]) -> ProjectContent:
    try:
        with h5py.File(path, "r") as file:
            attributes = {name: file.attrs[name] for name in file.attrs}
            if attributes.get("filetype") != "hic_project":
                raise StoreError(
                    f"{os.fspath(path)}: holds {attributes.get('filetype')!r}, expected "
                    "'hic_project'"
                )
            stored = {name: file[name][...] for name in file}
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{os.fspath(path)}: cannot be read as HDF5: {error}") from error
    arrays = {name: stored[theirs] for name, theirs in _HDF5_NAMES.items() if theirs in stored}
    normalization = str(attributes.get("normalization", "none"))
    if "corrections" in stored:
        arrays[f"corrections/{normalization}/values"] = stored["corrections"]
    return ProjectContent(
        arrays=arrays,
        normalization=normalization,
        pairs=str(attributes["datafilename"]),
        fends=str(attributes["fendfilename"]),
        options={k: int(attributes[k]) for k in _FILTER_OPTIONS if k in attributes},
        history=History.from_text(str(attributes.get("history", ""))),
        binned=int(attributes["binned"]) if "binned" in attributes else None,
    )
