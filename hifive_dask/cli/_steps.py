"""Steps of a run that are skipped when they were done before from the same inputs and options."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from glob import glob
from pathlib import Path
from typing import Any, TypeVar

from hifive_dask import __version__
from hifive_dask.errors import StoreError

__all__ = ["Steps", "file_state"]

T = TypeVar("T")


def file_state(path: Path) -> list[Any]:
    """What tells whether an input is still the same, without reading it.

    An input is a file, files that a template matches, a group of a file (``FILE::GROUP``), or
    standard input, which is never known to be the same.
    """
    name = str(path)
    if name == "-":
        return [uuid.uuid4().hex]
    if "*" in name:
        return [name, *(file_state(Path(each)) for each in sorted(glob(name)))]
    status = os.stat(name.partition("::")[0])
    return [str(path.absolute()), status.st_size, status.st_mtime_ns]


def _digest(sources: Mapping[str, Any]) -> str:
    text = json.dumps([__version__, sources], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Steps:
    """The steps of a run in one directory, remembered in ``run.json``.

    Parameters
    ----------
    directory
        Where the results are.
    restart
        Forget what was done before.
    say
        Called with a line about every step.

    Attributes
    ----------
    states
        Of the steps so far: ``"done"`` or ``"already done"``.
    pictures
        Names of the pictures that runs drew and that are still there; none of the user's own.
    """

    def __init__(self, directory: Path, *, restart: bool, say: Callable[[str], None]) -> None:
        self._file = directory / "run.json"
        self._say = say
        self._done: dict[str, str] = {}
        self.states: dict[str, str] = {}
        self.pictures: list[str] = []
        self._read()
        if restart:
            self._done.clear()

    def _read(self) -> None:
        try:
            kept = json.loads(self._file.read_text())
            done, pictures = dict(kept["steps"]), list(kept["pictures"])
        except (OSError, ValueError, KeyError, TypeError):
            return  # nothing to go by: all steps are done anew
        self._done = {str(name): str(digest) for name, digest in done.items()}
        self.pictures = [str(name) for name in pictures]

    def do(
        self,
        name: str,
        sources: Mapping[str, Any],
        make: Callable[[], T],
        reopen: Callable[[], T],
    ) -> T:
        """Make a result, or open it if it is there and was made from the same sources.

        Parameters
        ----------
        name
            Of the step.
        sources
            Everything the result depends on, as JSON.
        make
            Makes the result, whole or not at all.
        reopen
            Opens it, which is not None; raises `StoreError` if it is missing, incomplete, or not to
            be trusted.
        """
        result = self.reopened(name, sources, reopen)
        if result is not None:
            self._tell(name, "already done")
            return result
        # Until it is done, the step counts as not done.
        self._done.pop(name, None)
        self._write()
        result = make()
        self._done[name] = _digest(sources)
        self._write()
        self._tell(name, "done")
        return result

    def reopened(self, name: str, sources: Mapping[str, Any], reopen: Callable[[], T]) -> T | None:
        """Open a result, or return None if it has to be made; the arguments are those of `do`."""
        if self._done.get(name) != _digest(sources):
            return None
        try:
            return reopen()
        except StoreError as error:
            self._say(f"{name}: made anew ({error})")
            return None

    def _tell(self, name: str, state: str) -> None:
        self.states[name] = state
        self._say(f"{name}: {state}")

    def remember_pictures(self, names: Iterable[str]) -> None:
        """Set `pictures`, also for later runs."""
        self.pictures = list(names)
        self._write()

    def _write(self) -> None:
        beside = self._file.with_suffix(".partial")
        beside.write_text(
            json.dumps({"steps": self._done, "pictures": self.pictures}, indent=1) + "\n"
        )
        os.replace(beside, self._file)
