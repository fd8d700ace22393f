"""Write beside, then rename: a store is there whole, or the one before it still is."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from hifive_dask.errors import StoreError

__all__ = ["remove", "replacing"]


def remove(path: Path) -> None:
    """Delete a file or a directory tree, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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
    target = Path(path).absolute()
    parent = target.parent
    if not parent.is_dir():
        raise StoreError(f"{target}: the directory {parent} does not exist; make it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise StoreError(f"{target}: the directory {parent} cannot be written")
    token = uuid.uuid4().hex[:8]
    beside = parent / f".{target.name}.{token}.partial"
    before = parent / f".{target.name}.{token}.before"
    try:
        yield beside
        if target.is_dir() and not target.is_symlink():
            # Directories cannot be replaced in one step; the old one waits until the new is in.
            os.rename(target, before)
            try:
                os.rename(beside, target)
            except BaseException:
                os.rename(before, target)
                raise
        else:
            os.replace(beside, target)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{target}: cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            remove(beside)
        with contextlib.suppress(OSError):
            remove(before)
