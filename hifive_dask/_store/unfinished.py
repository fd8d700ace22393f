"""A store that is made in many steps, beside its place: what was interrupted goes on later."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from hifive_dask._store.atomic import (
    put_in_place,
    remove,
    resolved,
    writable_parent,
    write_bytes,
)
from hifive_dask._store.kinds import check_replaceable
from hifive_dask._store.places import ROOT, Location, Place, children, explained
from hifive_dask.errors import StoreError

__all__ = ["Unfinished"]


class Unfinished:
    """A directory ``.NAME.*.unfinished`` beside a store: the store so far, and a mark per step.

    Steps can be made in any order, on any worker that sees the directory. A step that was not
    marked is made again, so it must not depend on what is there of it. Directories of other work
    have other names: steps of it that still run when it was interrupted do no harm.

    Parameters
    ----------
    path
        Where the store shall be.
    kind
        Its kind; it replaces nothing else.
    token
        Of all that steps depend on. What was begun with another one is deleted.

    Raises
    ------
    StoreError
        If something of another kind is there, or the directory cannot be written.
    """

    def __init__(self, path: Location, kind: str, token: str) -> None:
        check_replaceable(path, kind)
        self.target = resolved(path)
        writable_parent(self.target)
        self._folder = self.target.parent / f".{self.target.name}.{token[:12]}.unfinished"
        self._token = token
        self.store = self._folder / "store"

    def begin(self, create: Callable[[Place], None]) -> None:
        """Call `create` with the path of the store to be, unless that was done before."""
        try:
            with explained(self.target, "written"):
                begun = self._is_begun()
                self._remove(but=self._folder if begun else None)
                if not begun:
                    if isinstance(self._folder, Path):
                        (self._folder / "done").mkdir(parents=True)
                    create(self.store)
                    # Last: without it nothing is used again.
                    write_bytes(self._folder / "token", self._token.encode())
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{self._folder}: cannot be written: {error}") from error

    def _is_begun(self) -> bool:
        try:
            seen = (self._folder / "token").read_text()
        except FileNotFoundError:
            return False
        return seen == self._token and (self.store / ROOT).exists()

    def done(self) -> set[str]:
        """Names of the steps that were marked."""
        return {path.name for path in children(self._folder / "done")}

    def mark(self, step: str) -> None:
        """Say that a step is complete."""
        mark = self._folder / "done" / step
        if isinstance(mark, Path):
            mark.touch()
        else:
            write_bytes(mark, b"")

    def finish(self) -> None:
        """Put the store in its place."""
        try:
            put_in_place(self.store, self.target)
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{self.target}: cannot be written: {error}") from error
        self._remove()

    def _remove(self, but: Place | None = None) -> None:
        """Delete directories of this name."""
        ours = re.compile(rf"\.{re.escape(self.target.name)}\.[^.]*\.unfinished")
        for each in children(self.target.parent):
            if ours.fullmatch(each.name) and each != but:
                remove(each / "token")  # first: without it nothing is used again
                remove(each)
