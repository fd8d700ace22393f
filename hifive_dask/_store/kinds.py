"""What kind of store a path holds, so that nothing of another kind is ever replaced."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import h5py

from hifive_dask._store.atomic import replacing
from hifive_dask._store.places import Location, Place, explained, local, place
from hifive_dask._store.zarr_store import is_hdf5, open_group
from hifive_dask.errors import StoreError

__all__ = ["check_replaceable", "describe_held", "kind_of", "replacing_store"]

_HDF5_KINDS = {
    "fend": "fends",
    "hic_data": "pairs",
    "hic_project": "project",
    "hic_heatmap": "heatmap",
}


def kind_of(path: Location) -> str | None:
    """What a store says it is: ``fends``, ``pairs``, ``project``, ...; None if it cannot be told.

    Raises
    ------
    StoreError
        If the suffix is neither of Zarr nor of HDF5.
    """
    return _kind_of_hdf5(local(path)) if is_hdf5(path) else _kind_of_zarr(path)


def _kind_of_zarr(path: Location) -> str | None:
    try:
        with explained(path):
            found = open_group(path).attrs.get("type")
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, StoreError):
            raise
        return None
    return None if found is None else str(found)


def _kind_of_hdf5(path: Path) -> str | None:
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


def describe_held(path: Location) -> str:
    """What is at a path, as the predicate of a message, such as ``holds 'pairs'``."""
    where = place(path)
    if not where.exists():
        return "does not exist"
    kind = kind_of(where)
    if kind is not None:
        return f"holds {kind!r}"
    if is_hdf5(where) and isinstance(where, Path) and where.is_file():
        try:
            h5py.File(where, "r").close()
        except OSError as error:
            return f"cannot be read as HDF5 ({error})"
    return "holds nothing that is known here"


def check_replaceable(path: Location, kind: str) -> None:
    """Check that a new store may take the place of what is there: nothing, or one of its kind.

    Raises
    ------
    StoreError
        If anything else is there.
    """
    where = place(path)
    if isinstance(where, Path):
        if not where.exists() or (where.is_dir() and not any(where.iterdir())):
            return
        held = kind_of(where)
    else:  # in as few requests as can be
        held = kind_of(where)
        if held is None and not where.exists():
            return
    if held != kind:
        raise StoreError(
            f"{where}: {describe_held(where)} and would be replaced by {kind!r}; remove it, or "
            "write to another file"
        )


@contextlib.contextmanager
def replacing_store(path: Location, kind: str) -> Iterator[Place]:
    """As `replacing`, but what is there must be of the same kind."""
    check_replaceable(path, kind)
    with replacing(path) as beside:
        yield beside
