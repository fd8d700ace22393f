"""Write beside, then rename: a store is there whole, or the one before it still is.

File systems at URLs have no rename. Their objects are copied there by the server, see
`_copy_in_place`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from hifive_dask._store.places import ROOT, Location, Place, explained, local, place
from hifive_dask.errors import StoreError

__all__ = [
    "put_in_place",
    "remove",
    "replacing",
    "replacing_file",
    "replacing_files",
    "resolved",
    "save_array",
    "temporary_beside",
    "writable_parent",
    "write_bytes",
]


def remove(path: Place) -> None:
    """Delete a file or a directory tree, if it is there; at a URL, its root metadata first."""
    if not isinstance(path, Path):
        with contextlib.suppress(FileNotFoundError):
            path.fs.rm_file(f"{path.path}/{ROOT}")
        with contextlib.suppress(FileNotFoundError):
            path.fs.rm(path.path, recursive=True)
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def resolved(path: Location) -> Place:
    """Place of a store; of a link, what it points to."""
    found = place(path)
    return found.resolve() if isinstance(found, Path) else found


def writable_parent(path: Location) -> Place:
    """Directory of a file to be made; raise `StoreError` if it is missing or cannot be written."""
    target = resolved(path)
    if isinstance(target, Path):
        parent = target.parent
        if not parent.is_dir():
            raise StoreError(f"{target}: the directory {parent} does not exist; make it first")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise StoreError(f"{target}: the directory {parent} cannot be written")
        return parent
    probe = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}.probe"  # only trying tells
    try:
        with explained(target, "written"):
            target.fs.pipe_file(probe.path, b"")
            target.fs.rm_file(probe.path)
    except FileNotFoundError as error:
        raise StoreError(
            f"{target}: cannot be written: {error}; the bucket must exist, make it first"
        ) from error
    return target.parent


def write_bytes(path: Location, data: bytes | memoryview) -> None:
    """Write a file, whole or not at all."""
    where = place(path)
    if isinstance(where, Path):
        with replacing_file(where) as beside:
            beside.write_bytes(data)
        return
    with explained(where, "written"):
        where.fs.pipe_file(where.path, bytes(data))  # one object is put in one step


@contextlib.contextmanager
def replacing(path: Location) -> Iterator[Place]:
    """Give a name beside `path` to write to; put it in place of `path` when all went well.

    Parameters
    ----------
    path
        The file or directory to be made or replaced.

    Yields
    ------
    A path in the same directory that does not exist yet.

    Raises
    ------
    StoreError
        If the directory is missing or cannot be written. Nothing is changed then, nor when the
        body raises. If a store at a URL could not be put in place to the end, the message says
        where the new one is, whole.
    """
    target = resolved(path)
    parent = writable_parent(target)
    token = uuid.uuid4().hex[:8]
    beside = parent / f".{target.name}.{token}.partial"
    whole = False
    try:
        yield beside
        whole = not isinstance(target, Path)  # at a URL it may from here on be all there is
        put_in_place(beside, target)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{target}: cannot be written: {error}") from error
    finally:
        if not whole:
            with contextlib.suppress(Exception):  # it must not hide what went wrong
                remove(beside)


@contextlib.contextmanager
def replacing_file(path: Location) -> Iterator[Path]:
    """As `replacing`, for a file of this machine.

    Raises
    ------
    StoreError
        If a directory is there, too, which may be a store.
    """
    target = local(path)
    if target.is_dir():
        raise StoreError(f"{target} is a directory; remove it, or write to another file")
    with replacing(target) as beside:
        assert isinstance(beside, Path)
        yield beside


@contextlib.contextmanager
def replacing_files(prefix: Location) -> Iterator[Path]:
    """Give a new directory to write files to; put them all in place when all went well.

    A file ``X`` of that directory becomes ``prefix + X``.

    Raises
    ------
    StoreError
        If the directory of `prefix` is missing or cannot be written, or one of the files would
        replace a directory. Nothing is changed then, nor when the body raises.
    """
    target = Path(os.path.abspath(local(prefix)))
    writable_parent(target)
    parent = target.parent
    beside = parent / f".{target.name}.{uuid.uuid4().hex[:8]}.partial"
    try:
        beside.mkdir()
        yield beside
        moves = [(file, parent / (target.name + file.name)) for file in sorted(beside.iterdir())]
        for _, place in moves:
            if place.is_dir():
                raise StoreError(f"{place} is a directory; remove it, or write to another prefix")
        for file, place in moves:
            os.replace(file, place)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{target}: cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            remove(beside)


@contextlib.contextmanager
def temporary_beside(path: Location, prefix: str) -> Iterator[Place]:
    """Give a new directory beside a store at a URL; delete it with all that is in it."""
    folder = resolved(path).parent / f"{prefix}{uuid.uuid4().hex[:8]}"
    try:
        yield folder
    finally:
        with contextlib.suppress(Exception):
            remove(folder)


def save_array(path: Location, array: NDArray[Any]) -> None:
    """Write a ``.npy`` file, whole or not at all.

    Tasks write so: one whose worker is thought to be lost can still run when it is done again.
    """
    data = io.BytesIO()
    np.save(data, array)
    write_bytes(path, data.getbuffer())


def put_in_place(beside: Place, target: Place) -> None:
    """Move a file or directory of the same file system to `target`, replacing what is there.

    Directories cannot be replaced in one step: the one before waits under a third name until that
    is done. Whatever interrupts this, one of the two is there. At URLs, see `_copy_in_place`.
    """
    if isinstance(beside, UPath) and isinstance(target, UPath) and not isinstance(target, Path):
        _copy_in_place(beside, target)
        return
    assert isinstance(beside, Path)
    assert isinstance(target, Path)
    if not target.is_dir():
        os.replace(beside, target)
        return
    before = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}.before"
    try:
        os.rename(target, before)
        os.rename(beside, target)
    finally:
        if before.exists():
            if target.exists():
                with contextlib.suppress(OSError):
                    remove(before)
            else:
                os.rename(before, target)


def _copy_in_place(beside: UPath, target: UPath) -> None:
    """Move objects to another name, the root metadata last.

    First the target is declared incomplete, so that nobody reads a mixture. Before this the former
    store is whole, from then on the new one, `beside` until its root metadata were copied. So there
    is always a whole one, and never more than two.
    """
    fs, source, goal = target.fs, beside.path, target.path
    root = f"{source}/{ROOT}"
    try:
        with explained(target, "put in place"):
            found = fs.find(source)
            if root in found:
                fs.pipe_file(f"{goal}/{ROOT}", _incomplete(fs.cat_file(root)))
            former = [name for name in fs.find(goal) if name != f"{goal}/{ROOT}"]
            if former:
                fs.rm(former)
            parts = [name for name in found if name != root]
            if parts:
                fs.copy(parts, [goal + name.removeprefix(source) for name in parts])
            if root in found:
                fs.cp_file(root, f"{goal}/{ROOT}")
    except OSError as error:
        raise StoreError(
            f"{error}. The new one is whole at {beside}; move it to {target}, or repeat the call"
        ) from error
    with contextlib.suppress(Exception):
        remove(beside)


def _incomplete(document: bytes) -> bytes:
    """Root metadata of a store that says that it is not complete."""
    metadata = json.loads(document)
    metadata["attributes"] = {**metadata.get("attributes", {}), "complete": False}
    return json.dumps(metadata).encode()
