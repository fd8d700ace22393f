"""Links between stores: a relative path and a content token, checked when followed."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from hifive_dask._store.places import ROOT, Location, Place, absolute, explained, is_remote, place
from hifive_dask.errors import LinkError

__all__ = ["check_token", "relative_link", "resolve_link"]


def relative_link(target: Location, holder: Location) -> str:
    """Path of `target` as seen from the directory of `holder`: ``./g.fends``, ``../../g.fends``.

    Absolute, or a URL, if they are not on one file system, or in two buckets.
    """
    end, start = place(absolute(target)), place(absolute(holder)).parent
    if _bucket(end) != _bucket(start):
        return str(end)
    where, directory = (_path(each) for each in (end.parent, start))
    return f"{os.path.relpath(where, directory)}/{end.name}"


def resolve_link(link: str, holder: Location) -> Place:
    """Return the path that a link stored in `holder` points to.

    Raises
    ------
    LinkError
        If nothing is there.
    """
    start = place(absolute(holder)).parent
    if is_remote(link) or os.path.isabs(link):
        path = place(link)
    elif isinstance(start, Path):
        path = Path(os.path.normpath(start / link))
    else:
        path = start
        for part in PurePosixPath(link).parts:
            path = path.parent if part == ".." else path / part
    if not _is_there(path):
        raise LinkError(
            f"{holder}: points to {link}, but {path} does not exist; move the two together, or "
            "load it anew"
        )
    return path


def _bucket(path: Place) -> tuple[str, ...]:
    """What two places must have in common for a link between them to be relative."""
    if isinstance(path, Path):
        return ()
    server = repr(sorted(path.storage_options.items()))
    return path.protocol, server, path.path.lstrip("/").partition("/")[0]


def _path(path: Place) -> str:
    return str(path) if isinstance(path, Path) else "/" + path.path.strip("/")


def _is_there(path: Place) -> bool:
    if isinstance(path, Path):
        return path.exists()
    with explained(path):  # of stores one object is enough to know
        return bool(path.fs.exists(f"{path.path}/{ROOT}"))


def check_token(seen: str, expected: str, path: Location, holder: object) -> None:
    """Raise `LinkError` unless the linked store is the one that was linked."""
    if expected and seen != expected:
        raise LinkError(
            f"{holder}: was made with another version of {path} (token {seen}, expected "
            f"{expected}); restore that file, or make this store anew"
        )
