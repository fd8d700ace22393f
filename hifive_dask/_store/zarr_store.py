"""Zarr stores in general: creation from the schema, completion, verified opening."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import fsspec
import numpy as np
import zarr
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from upath import UPath
from zarr.buffer.cpu import Buffer
from zarr.codecs import BloscCodec
from zarr.storage import FsspecStore, LocalStore, MemoryStore

from hifive_dask._store.places import (
    ROOT,
    Location,
    Place,
    children,
    explained,
    local,
    place,
    state,
)
from hifive_dask.errors import StoreError
from hifive_dask.provenance import History
from hifive_dask.schema import StoreSchema

__all__ = [
    "CODEC",
    "HDF5_SUFFIXES",
    "array_of",
    "changing",
    "complete",
    "creating",
    "history_of",
    "is_hdf5",
    "open_group",
    "open_verified",
    "stored_arrays",
    "write_array",
    "zarr_place",
]

HDF5_SUFFIXES = (".hdf5", ".h5", ".fends", ".hcd", ".hcp", ".hch")
CODEC = BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")

_COOLER = "; `hifive-dask import` makes a heatmap store of a cooler"
_OTHERS = {
    ".cool": _COOLER,
    ".mcool": _COOLER,
    ".scool": _COOLER,
    ".hic": "; `hictk convert` makes a .mcool file of it, which `hifive-dask import` reads",
    ".mrh": "; `hifive-dask mrh read` reads multi-resolution heatmaps",
}


def is_hdf5(path: Location) -> bool:
    """Whether the suffix says HDF5; ``.zarr`` says Zarr; anything else raises `StoreError`.

    So does HDF5 at a URL.
    """
    suffix = PurePosixPath(str(path)).suffix
    if suffix in HDF5_SUFFIXES:
        local(path)
        return True
    if suffix == ".zarr":
        return False
    raise StoreError(
        f"{path}: the suffix decides the format; it must be .zarr or one of "
        + ", ".join(HDF5_SUFFIXES)
        + _OTHERS.get(suffix, "")
    )


def zarr_place(path: Location) -> Path | FsspecStore:
    """What Zarr opens."""
    where = place(path)
    if isinstance(where, Path):
        return where
    given = tuple(sorted(where.storage_options.items()))
    return FsspecStore(
        _file_system(where.protocol, given, os.getpid()), path=where.path.rstrip("/")
    )


@lru_cache(maxsize=8)
def _file_system(protocol: str, given: tuple[tuple[str, Any], ...], process: int) -> Any:
    """The file system of a URL for Zarr, which reads and writes in a loop of its own."""
    kind = fsspec.get_filesystem_class(protocol)
    if kind.async_impl:
        return kind(asynchronous=True, **dict(given))
    return AsyncFileSystemWrapper(kind(**dict(given)), asynchronous=True)


def open_group(path: Location, mode: Literal["r", "r+", "w-"] = "r") -> zarr.Group:
    """Open the root of a store, as it is there now."""
    return _open_zarr(zarr_place(path), mode)


def _open_zarr(where: Any, mode: Literal["r", "r+", "w-"]) -> zarr.Group:
    return zarr.open_group(where, mode=mode, zarr_format=3, use_consolidated=False)


@contextlib.contextmanager
def creating(path: Location, schema: StoreSchema) -> Iterator[zarr.Group]:
    """Make an empty, incomplete store, and give its root; for small variables, as `changing`."""
    with _writing(place(path), "w-") as group:
        group.update_attributes({"type": schema.type, "version": schema.version, "complete": False})
        yield group


@contextlib.contextmanager
def changing(path: Location) -> Iterator[zarr.Group]:
    """Give the root of an incomplete store, to add small variables and attributes.

    At a URL they are held in memory and written at the end: all at once, then the root metadata.
    """
    with _writing(place(path), "r+") as group:
        yield group


@contextlib.contextmanager
def _writing(where: Place, mode: Literal["r+", "w-"]) -> Iterator[zarr.Group]:
    if isinstance(where, Path):
        yield open_group(where, mode)
        return
    fs, prefix = where.fs, where.path.rstrip("/")
    held: dict[str, Any] = {}
    with explained(where, "written"):
        if mode == "r+":
            held[ROOT] = Buffer.from_bytes(fs.cat_file(f"{prefix}/{ROOT}"))
    before = dict(held)
    yield _open_zarr(MemoryStore(held), mode)
    changed = {k: value.to_bytes() for k, value in held.items() if value is not before.get(k)}
    root = changed.pop(ROOT, None)
    with explained(where, "written"):
        if changed:
            fs.pipe({f"{prefix}/{key}": value for key, value in changed.items()})
        if root is not None:
            fs.pipe_file(f"{prefix}/{ROOT}", root)


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
    return _open_arrays(path, token, names, state(f"{path}/{ROOT}"))


@lru_cache(maxsize=64)
def _open_arrays(
    path: str, token: str, names: tuple[str, ...], state: Any
) -> tuple[zarr.Array[Any], ...]:
    group = _open_root(path, token, state)
    return tuple(array_of(group, name) for name in names)


@lru_cache(maxsize=16)
def _open_root(path: str, token: str, state: Any) -> zarr.Group:
    group = open_group(path)
    seen = str(group.attrs.get("uuid"))
    if seen != token:
        raise StoreError(
            f"{path}: was replaced while it was open (token {seen}, expected {token}); open it "
            "anew, and what was made from it"
        )
    return group


def complete(group: zarr.Group, *, token: str, history: History, **attributes: Any) -> None:
    """Add the last attributes and declare the store complete."""
    store = group.store
    if isinstance(store, LocalStore):
        for left in store.root.rglob("*.partial"):  # by a worker that was killed
            left.unlink(missing_ok=True)
    group.update_attributes(
        {
            **attributes,
            "uuid": token,
            "history": history.text,
            "history_records": history.records,
            "complete": True,
        }
    )


def open_verified(path: Location, schema: StoreSchema, *, apart: Sequence[str] = ()) -> zarr.Group:
    """Open a store for reading, if it is a complete one of the right kind.

    At a URL all of it is fetched at once, but for what is stored of the arrays `apart`.

    Raises
    ------
    StoreError
        If it is missing, not a Zarr store, of another kind or a newer version, incomplete, or
        lacks a variable.
    """
    where = place(path)
    try:
        group = _open(where, apart)
        attributes: Mapping[str, Any] = dict(group.attrs)
    except StoreError:
        raise
    except Exception as error:
        with explained(where):
            missing = not where.exists()
        if missing:
            raise StoreError(f"{where}: no such store{_left(where)}") from error
        raise StoreError(f"{where}: not a Zarr store: {error}") from error
    found = attributes.get("type")
    if found != schema.type:
        maker = {"heatmaps": "heatmap"}.get(schema.type, schema.type)  # a command
        raise StoreError(
            f"{where}: holds {found!r}, expected {schema.type!r}; `hifive-dask {maker}` makes one"
        )
    if int(attributes.get("version", 0)) > schema.version:
        raise StoreError(
            f"{where}: layout version {attributes['version']} is newer than {schema.version}, the "
            "newest known here; update hifive-dask"
        )
    if not attributes.get("complete", False):
        raise StoreError(f"{where}: was not written to the end{_left(where) or '; make it again'}")
    for variable in schema:
        if not variable.optional and variable.name not in group:
            raise StoreError(f"{where}: lacks the variable {variable.name!r}")
    return group


def _open(where: Place, apart: Sequence[str]) -> zarr.Group:
    if isinstance(where, Path):
        return open_group(where)
    with explained(where):
        return _open_zarr(MemoryStore(_fetch(where, apart), read_only=True), "r")


def _fetch(where: UPath, apart: Sequence[str]) -> dict[str, Any]:
    """Objects of a store by their keys: one list of them, then all at the same time."""
    fs, root = where.fs, where.path.rstrip("/") + "/"
    of_large = re.compile(rf"(.*/)?({'|'.join(map(re.escape, apart))})/c/.*")
    names = [name.removeprefix(root) for name in fs.find(root)]
    wanted = [name for name in names if not (apart and of_large.fullmatch(name))]
    if not wanted:
        return {}
    found = fs.cat([root + name for name in wanted])
    return {name: Buffer.from_bytes(found[root + name]) for name in wanted}


def _left(where: Place) -> str:
    """Where an interrupted replacement left a whole store, as the end of a message."""
    if isinstance(where, Path):
        return ""
    for path in children(where.parent):
        if not path.name.startswith(f".{where.name}."):
            continue
        store = path / "store" if path.name.endswith(".unfinished") else path
        try:
            complete = open_group(store).attrs.get("complete", False)
        except (OSError, ValueError, KeyError):
            continue
        if complete:
            return f"; an interrupted call left it whole at {store}; move it, or repeat the call"
    return ""


def history_of(group: zarr.Group) -> History:
    """Return the history kept in a store."""
    records: Any = group.attrs.get("history_records", [])
    return History(list(records))
