"""State of unfinished work in a file, so that an interrupted computation can go on."""

from __future__ import annotations

import io
import time
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hifive_dask._store.atomic import remove, write_bytes
from hifive_dask._store.places import Location, explained, place
from hifive_dask.provenance import content_token

__all__ = ["Checkpoint"]

INTERVAL = 15.0  # seconds between two writes, at least


class Checkpoint:
    """A file that holds the newest complete state of one computation.

    A computation goes from state to state, the same way whether it is interrupted or not: so one
    that goes on from a checkpoint ends with the same bytes as an undisturbed one.

    Parameters
    ----------
    path
        The ``.npz`` file; None keeps nothing.
    parts
        All that the result depends on: a file of other parts is not used.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from hifive_dask._store.checkpoint import Checkpoint
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = Checkpoint(f"{folder}/state.npz", "express", np.arange(3))
    ...     checkpoint.save({"corrections": np.ones(3)})
    ...     checkpoint.restore()["corrections"].tolist()
    [1.0, 1.0, 1.0]
    """

    def __init__(self, path: Location | None, *parts: Any) -> None:
        self._path = None if path is None else place(path)
        self._token = content_token(*parts) if parts else ""
        self._due = 0.0

    def restore(self) -> dict[str, NDArray[Any]] | None:
        """Return the state of the file, or None if there is none of this computation."""
        if self._path is None:
            return None
        with explained(self._path):
            if not self._path.exists():
                return None
        try:
            with self._path.open("rb") as file, np.load(file) as stored:
                state = dict(stored)
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error):
            return None
        return state if str(state.pop("token", "")) == self._token else None

    @property
    def due(self) -> bool:
        """Whether `save` would write now."""
        return self._path is not None and time.monotonic() >= self._due

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a state, unless the last one was written a moment ago."""
        if self._path is None or not self.due:
            return
        data = io.BytesIO()
        np.savez(data, token=self._token, **state)
        write_bytes(self._path, data.getvalue())
        self._due = time.monotonic() + INTERVAL

    def remove(self) -> None:
        """Delete the file: the computation is complete."""
        if self._path is not None:
            remove(self._path)
