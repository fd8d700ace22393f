"""What kind of store a path holds, so that nothing of another kind is ever replaced."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import zarr

from hifive_dask._store.atomic import replacing
from hifive_dask._store.zarr_store import is_hdf5
from hifive_dask.errors import StoreError

__all__ = ["check_replaceable", "describe_held", "kind_of", "replacing_store"]

_HDF5_KINDS = {
    "fend": "fends",
    "hic_data": "pairs",
    "hic_project": "project",
    "hic_heatmap": "heatmap",
}


def kind_of(path: str | os.PathLike[str]) -> str | None:
    """What a store says it is: ``fends``, ``pairs``, ``project``, ...; None if it cannot be told.

    Raises
    ------
    StoreError
        If the suffix is neither of Zarr nor of HDF5.
    """
    return _kind_of_hdf5(path) if is_hdf5(path) else _kind_of_zarr(path)


def _kind_of_zarr(path: str | os.PathLike[str]) -> str | None:
    try:
        found = zarr.open_group(path, mode="r", use_consolidated=False).attrs.get("type")
    except (OSError, ValueError, KeyError):
        return None
    return None if found is None else str(found)


def _kind_of_hdf5(path: str | os.PathLike[str]) -> str | None:
    try:
        with h5py.File(path, "r") as file:
            attributes = dict(file.attrs)
            tables = [isinstance(file.get(name), h5py.Dataset) for name in ("fends", "bins")]
    except OSError:
        return None
    if "filetype" in attributes:
        found = str(attributes["filetype"])
        return _HDF5_KINDS.get(found, found)
    # Old files do not say what they are; what they point to, or their tables, do.
    if "datafilename" in attributes:
        return "project"
    if "fendfilename" in attributes:
        return "pairs"
    return "fends" if any(tables) else None


def describe_held(path: str | os.PathLike[str]) -> str:
    """What is at a path, as the predicate of a message, such as ``holds 'pairs'``."""
    where = Path(path)
    if not where.exists():
        return "does not exist"
    kind = kind_of(where)
    if kind is not None:
        return f"holds {kind!r}"
    if is_hdf5(where) and where.is_file():
        try:
            h5py.File(where, "r").close()
        except OSError as error:
            return f"cannot be read as HDF5 ({error})"
    return "holds nothing that is known here"


def check_replaceable(path: str | os.PathLike[str], kind: str) -> None:
    """Check that a new store may take the place of what is there: nothing, or one of its kind.

    Raises
    ------
    StoreError
        If anything else is there.
    """
    where = Path(path)
    if not where.exists() or (where.is_dir() and not any(where.iterdir())):
        return
    if kind_of(where) != kind:
        raise StoreError(
            f"{where}: {describe_held(where)} and would be replaced by {kind!r}; remove it, or "
            "write to another file"
        )


@contextlib.contextmanager
def replacing_store(path: str | os.PathLike[str], kind: str) -> Iterator[Path]:
    """As `replacing`, but what is there must be of the same kind."""
    check_replaceable(path, kind)
    with replacing(path) as beside:
        yield beside
