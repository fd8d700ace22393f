"""Links between stores: a relative path and a content token, checked when followed."""

from __future__ import annotations

import os
from pathlib import Path

from hifive_dask.errors import LinkError

__all__ = ["check_token", "relative_link", "resolve_link"]


def relative_link(target: str | os.PathLike[str], holder: str | os.PathLike[str]) -> str:
    """Path of `target` as seen from the directory of `holder`: ``./g.fends``, ``../../g.fends``."""
    directory = Path(holder).absolute().parent
    path = Path(target).absolute()
    return f"{os.path.relpath(path.parent, directory)}/{path.name}"


def resolve_link(link: str, holder: str | os.PathLike[str]) -> Path:
    """Return the path that a link stored in `holder` points to.

    Raises
    ------
    LinkError
        If nothing is there.
    """
    path = Path(os.path.normpath(Path(holder).absolute().parent / link))
    if not path.exists():
        raise LinkError(
            f"{os.fspath(holder)}: points to {link}, but {path} does not exist; move the two "
            "together, or load it anew"
        )
    return path


def check_token(seen: str, expected: str, path: str | os.PathLike[str], holder: object) -> None:
    """Raise `LinkError` unless the linked store is the one that was linked."""
    if expected and seen != expected:
        raise LinkError(
            f"{holder}: was made with another version of {os.fspath(path)} (token {seen}, expected "
            f"{expected}); restore that file, or make this store anew"
        )
