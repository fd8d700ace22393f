"""Where stores are: paths of this machine, or URLs of any file system that fsspec knows."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import dask
import numpy as np
from numpy.typing import NDArray
from upath import UPath

from hifive_dask.errors import HifiveDaskError, StoreError

__all__ = [
    "ROOT",
    "Location",
    "Place",
    "absolute",
    "children",
    "explained",
    "is_remote",
    "load_array",
    "local",
    "place",
    "same",
    "state",
]

Location: TypeAlias = str | os.PathLike[str] | UPath
"""What callers may give: a path, or a URL."""
Place: TypeAlias = Path | UPath
"""What we work with: a `Path` of this machine, or else a `UPath`."""

ROOT = "zarr.json"
"""Root metadata of a store; without it, or if it says so, the store is not complete."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_HERE = ("file", "local")
# Objects of several parts would be asked for their size before each read; ours are small.
_OWN_OPTIONS: dict[str, dict[str, Any]] = {key: {"max_concurrency": 1} for key in ("s3", "s3a")}
_EXTRAS = {"s3": "hifive-dask[s3]", "s3a": "hifive-dask[s3]"}


def _protocol(path: Location) -> str | None:
    found = _URL.match(str(path))
    return found[1].lower() if found and found[1].lower() not in _HERE else None


def is_remote(path: Location) -> bool:
    """Whether a path is a URL, but for ``file://``, which is a path of this machine."""
    return _protocol(path) is not None


def place(path: Location) -> Place:
    """Make a path of what a caller gave.

    Raises
    ------
    StoreError
        If the file system of a URL is unknown, its package is not installed, or it is the memory of
        this process while others work.

    Examples
    --------
    >>> from hifive_dask._store.places import place
    >>> place("file:///data/pairs.zarr")
    PosixPath('/data/pairs.zarr')
    >>> place("memory://data/pairs.zarr").parent.name
    'data'
    """
    protocol = _protocol(path)
    if protocol is None:
        return Path(_URL.sub("", str(path), count=1))
    if protocol == "memory":
        _check_memory(path)
    try:
        found: UPath = UPath(str(path).rstrip("/"), **_options(protocol))
        _ = found.fs
    except ImportError as error:
        package = _EXTRAS.get(protocol)
        cure = f"use `pip install '{package}'`" if package else "install its package"
        raise StoreError(
            f"{path}: the file system {protocol}:// is not installed ({error}); {cure}, on workers "
            "too"
        ) from error
    except ValueError as error:
        raise StoreError(
            f"{path}: fsspec knows no file system {protocol}:// ({error}); expected a path, or a "
            "URL such as s3://bucket/name.zarr"
        ) from error
    own = path.storage_options if isinstance(path, UPath) else {}
    if any(found.storage_options.get(name) != value for name, value in own.items()):
        raise StoreError(
            f"{path}: has options of its own ({', '.join(own)}), which workers would not have; set "
            "them in the configuration of fsspec, and give the URL alone"
        )
    return found


def _options(protocol: str) -> dict[str, Any]:
    """How we open a file system; everything else is up to the configuration of fsspec."""
    # Other processes write too, so a listing that was kept is worth nothing.
    return {"use_listings_cache": False, **_OWN_OPTIONS.get(protocol, {})}


def absolute(path: Location) -> str:
    """Absolute path, or URL, as text."""
    found = place(path)
    return os.path.abspath(found) if isinstance(found, Path) else str(found)


def local(path: Location) -> Path:
    """Return the path of a file that is no Zarr store, and so has to be on this machine.

    Raises
    ------
    StoreError
        If it is a URL.
    """
    found = None if is_remote(path) else place(path)
    if not isinstance(found, Path):
        raise StoreError(
            f"{path}: only stores called .zarr can be at a URL; give the path of a file, and copy "
            "it from there or to there"
        )
    return found


def same(one: Location, two: Location) -> bool:
    """Whether two names are of one file or store, of those that are there."""
    first, second = place(one), place(two)
    if isinstance(first, Path) and isinstance(second, Path):
        return first.exists() and second.exists() and first.samefile(second)
    return absolute(first) == absolute(second)


def _check_memory(path: Location) -> None:
    """Raise `StoreError` if a Dask client with other processes is active."""
    distributed = sys.modules.get("distributed")
    # A session of threads can be inside one of a client.
    if distributed is None or dask.config.get("scheduler", None) in ("threads", "sync"):
        return
    try:
        client = distributed.Client.current()
    except ValueError:
        return
    if client.scheduler is not None and not client.scheduler.address.startswith("inproc://"):
        raise StoreError(
            f"{path}: memory:// is the memory of one process, which the workers of "
            f"{client.scheduler.address} do not see; use a URL that all of them reach, or the "
            "scheduler 'threads'"
        )


@contextlib.contextmanager
def explained(
    path: Location, what: str = "read", *, passing: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Turn whatever a remote file system raises into a `StoreError` that names a cure.

    Missing objects, as `FileNotFoundError`, other exceptions in `passing`, and those of local paths
    pass.
    """
    try:
        yield
    except (HifiveDaskError, FileNotFoundError):
        raise
    except Exception as error:  # file systems raise the exceptions of their own libraries
        if not is_remote(path) or isinstance(error, passing):
            raise
        raise StoreError(f"{path}: cannot be {what}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """What went wrong, and what to do about it."""
    seen = f"{type(error).__name__}: {error}"
    if isinstance(error, PermissionError):
        return f"access was denied ({seen}); check the credentials, and what they allow"
    if "credential" in seen.lower():
        return f"{seen}; the file system takes them from its own configuration, also on workers"
    return f"{seen}; check the address and the network"


def children(path: Place) -> list[Place]:
    """What is in a directory; nothing if there is none: at URLs there are no empty ones."""
    if isinstance(path, Path):
        return list(path.iterdir())
    with explained(path):
        try:
            return list(path.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []


def state(path: Location) -> Any:
    """What is another one once a file was replaced; cheap."""
    found = place(path)
    if isinstance(found, Path):
        status = os.stat(found)
        return status.st_ino, status.st_mtime_ns
    with explained(path):
        return found.fs.ukey(found.path)


def load_array(path: Location) -> NDArray[Any]:
    """Return the array of a ``.npy`` file; of a local one, pages are read when they are used."""
    found = place(path)
    if isinstance(found, Path):
        array: NDArray[Any] = np.load(found, mmap_mode="r")
        return array
    with explained(path):
        array = np.load(io.BytesIO(found.fs.cat_file(found.path)))
    return array
