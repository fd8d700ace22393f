"""A store that is made in many steps, beside its place: what was interrupted goes on later."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from hifive_dask._store.atomic import put_in_place, remove, replacing, writable_parent
from hifive_dask._store.kinds import check_replaceable
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

    def __init__(self, path: str | os.PathLike[str], kind: str, token: str) -> None:
        check_replaceable(path, kind)
        self.target = Path(path).resolve()
        writable_parent(self.target)
        self._folder = self.target.parent / f".{self.target.name}.{token[:12]}.unfinished"
        self._token = token
        self.store = self._folder / "store"

    def begin(self, create: Callable[[Path], None]) -> None:
        """Call `create` with the path of the store to be, unless that was done before."""
        label = self._folder / "token"
        try:
            begun = label.exists() and label.read_text() == self._token
            self._remove(but=self._folder if begun else None)
            if not begun:
                (self._folder / "done").mkdir(parents=True)
                create(self.store)
                with replacing(label) as beside:  # last: without it nothing is used again
                    beside.write_text(self._token)
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{self._folder}: cannot be written: {error}") from error

    def done(self) -> set[str]:
        """Names of the steps that were marked."""
        return set(os.listdir(self._folder / "done"))

    def mark(self, step: str) -> None:
        """Say that a step is complete."""
        (self._folder / "done" / step).touch()

    def finish(self) -> None:
        """Put the store in its place."""
        try:
            put_in_place(self.store, self.target)
        except OSError as error:
            raise StoreError(f"{self.target}: cannot be written: {error}") from error
        self._remove()

    def _remove(self, but: Path | None = None) -> None:
        """Delete directories of this name."""
        ours = re.compile(rf"\.{re.escape(self.target.name)}\.[^.]*\.unfinished")
        for each in self.target.parent.iterdir():
            if ours.fullmatch(each.name) and each != but:
                remove(each)
