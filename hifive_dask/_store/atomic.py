"""Write beside, then rename: a store is there whole, or the one before it still is."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import StoreError

__all__ = [
    "put_in_place",
    "remove",
    "replacing",
    "replacing_files",
    "save_array",
    "writable_parent",
]


def remove(path: Path) -> None:
    """Delete a file or a directory tree, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def writable_parent(path: str | os.PathLike[str]) -> Path:
    """Directory of a file to be made; raise `StoreError` if it is missing or cannot be written."""
    target = Path(path).resolve()
    parent = target.parent
    if not parent.is_dir():
        raise StoreError(f"{target}: the directory {parent} does not exist; make it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise StoreError(f"{target}: the directory {parent} cannot be written")
    return parent


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
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
        body raises.
    """
    target = Path(path).resolve()  # of a link, what it points to is replaced
    parent = writable_parent(target)
    token = uuid.uuid4().hex[:8]
    beside = parent / f".{target.name}.{token}.partial"
    try:
        yield beside
        put_in_place(beside, target)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{target}: cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            remove(beside)


@contextlib.contextmanager
def replacing_files(prefix: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a new directory to write files to; put them all in place when all went well.

    A file ``X`` of that directory becomes ``prefix + X``.

    Raises
    ------
    StoreError
        If the directory of `prefix` is missing or cannot be written, or one of the files would
        replace a directory. Nothing is changed then, nor when the body raises.
    """
    target = Path(os.path.abspath(prefix))
    parent = writable_parent(target)
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


def save_array(path: str | os.PathLike[str], array: NDArray[Any]) -> None:
    """Write a ``.npy`` file, whole or not at all.

    Tasks write so: one whose worker is thought to be lost can still run when it is done again.
    """
    with replacing(path) as beside, open(beside, "wb") as handle:
        np.save(handle, array)


def put_in_place(beside: Path, target: Path) -> None:
    """Rename a file or directory of the same file system to `target`, replacing what is there.

    Directories cannot be replaced in one step: the one before waits under a third name until that
    is done. Whatever interrupts this, one of the two is there.
    """
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
