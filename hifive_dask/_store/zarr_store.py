"""Zarr stores in general: creation from the schema, completion, verified opening."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec
from zarr.storage import LocalStore

from hifive_dask.errors import StoreError
from hifive_dask.provenance import History
from hifive_dask.schema import StoreSchema

__all__ = [
    "CODEC",
    "HDF5_SUFFIXES",
    "array_of",
    "complete",
    "create",
    "history_of",
    "is_hdf5",
    "open_verified",
    "stored_arrays",
    "write_array",
]

HDF5_SUFFIXES = (".hdf5", ".h5", ".fends", ".hcd", ".hcp", ".hch")
CODEC = BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")

_COOLER = "; `hifive-dask import` makes a heatmap store of a cooler"
_OTHERS = {
    ".cool": _COOLER,
    ".mcool": _COOLER,
    ".mrh": "; `hifive-dask mrh read` reads multi-resolution heatmaps",
}


def is_hdf5(path: str | os.PathLike[str]) -> bool:
    """Whether the suffix says HDF5; ``.zarr`` says Zarr; anything else raises `StoreError`."""
    suffix = Path(path).suffix
    if suffix in HDF5_SUFFIXES:
        return True
    if suffix == ".zarr":
        return False
    raise StoreError(
        f"{os.fspath(path)}: the suffix decides the format; it must be .zarr or one of "
        + ", ".join(HDF5_SUFFIXES)
        + _OTHERS.get(suffix, "")
    )


def create(path: Path, schema: StoreSchema) -> zarr.Group:
    """Make an empty, incomplete store."""
    group = zarr.open_group(path, mode="w-", zarr_format=3)
    group.attrs.update({"type": schema.type, "version": schema.version, "complete": False})
    return group


def write_array(group: zarr.Group, schema: StoreSchema, name: str, values: Any) -> None:
    """Write one small variable whole: O(units) arrays, never pairs."""
    variable = schema[name]
    array = np.asarray(values)
    text = variable.dtype == "str" or array.dtype.kind in "UT"
    if text:
        array = np.asarray(values, dtype=np.dtypes.StringDType())
    elif variable.dtype:
        array = array.astype(variable.dtype_for(array.dtype.name), copy=False)
    chunks = tuple(max(1, min(n, 1 << 20)) for n in array.shape)
    stored = group.create_array(
        name,
        shape=array.shape,
        dtype=array.dtype,
        chunks=chunks,
        compressors="auto" if text else CODEC,
        dimension_names=None if "..." in variable.dims else variable.dims,
        attributes={"units": variable.units, "description": variable.description},
    )
    if array.size:
        stored[...] = array


def array_of(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """Return an array of a group."""
    array = group[name]
    assert isinstance(array, zarr.Array)
    return array


def stored_arrays(path: str, token: str, names: tuple[str, ...]) -> tuple[zarr.Array[Any], ...]:
    """Arrays of a store that was opened before, maybe in another process; kept open.

    Raises
    ------
    StoreError
        If another store is there now.
    """
    # What changes when a store is replaced.
    status = os.stat(os.path.join(path, "zarr.json"))
    return _open_arrays(path, token, names, (status.st_ino, status.st_mtime_ns))


@lru_cache(maxsize=64)
def _open_arrays(
    path: str, token: str, names: tuple[str, ...], state: tuple[int, int]
) -> tuple[zarr.Array[Any], ...]:
    group = zarr.open_group(path, mode="r", use_consolidated=False)
    seen = str(group.attrs.get("uuid"))
    if seen != token:
        raise StoreError(
            f"{path}: was replaced while it was open (token {seen}, expected {token}); open it "
            "anew, and what was made from it"
        )
    return tuple(array_of(group, name) for name in names)


def complete(group: zarr.Group, *, token: str, history: History, **attributes: Any) -> None:
    """Add the last attributes and declare the store complete."""
    store = group.store
    if isinstance(store, LocalStore):
        for left in store.root.rglob("*.partial"):  # by a worker that was killed
            left.unlink(missing_ok=True)
    group.attrs.update(
        {
            **attributes,
            "uuid": token,
            "history": history.text,
            "history_records": history.records,
            "complete": True,
        }
    )


def open_verified(path: str | os.PathLike[str], schema: StoreSchema) -> zarr.Group:
    """Open a store for reading, if it is a complete one of the right kind.

    Raises
    ------
    StoreError
        If it is missing, not a Zarr store, of another kind or a newer version, incomplete, or
        lacks a variable.
    """
    where = Path(path)
    if not where.exists():
        raise StoreError(f"{where}: no such store")
    try:
        group = zarr.open_group(where, mode="r", use_consolidated=False)
        attributes: Mapping[str, Any] = dict(group.attrs)
    except Exception as error:
        raise StoreError(f"{where}: not a Zarr store: {error}") from error
    found = attributes.get("type")
    if found != schema.type:
        raise StoreError(f"{where}: holds {found!r}, expected {schema.type!r}")
    if int(attributes.get("version", 0)) > schema.version:
        raise StoreError(
            f"{where}: layout version {attributes['version']} is newer than {schema.version}, the "
            "newest known here; update hifive-dask"
        )
    if not attributes.get("complete", False):
        raise StoreError(f"{where}: was not written to the end; make it again")
    for variable in schema:
        if not variable.optional and variable.name not in group:
            raise StoreError(f"{where}: lacks the variable {variable.name!r}")
    return group


def history_of(group: zarr.Group) -> History:
    """Return the history kept in a store."""
    records: Any = group.attrs.get("history_records", [])
    return History(list(records))
