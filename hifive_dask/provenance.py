"""What was done to a store: a readable history, a structured record, and content tokens.

Nothing in here depends on the clock, on the machine or on the scheduler, so that equal input and
equal options give stores that are equal byte for byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["History", "content_token"]


def content_token(*parts: ArrayLike | str | bytes) -> str:
    """Return a short digest of arrays and texts, equal exactly if they are.

    Examples
    --------
    >>> from hifive_dask.provenance import content_token
    >>> content_token([1, 2]) == content_token([1, 2])
    True
    >>> content_token([1, 2]) == content_token([2, 1])
    False
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, str):
            part = part.encode()
        if isinstance(part, bytes):
            digest.update(b"bytes%d:" % len(part))
            digest.update(part)
        else:
            array = np.ascontiguousarray(part)
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(array.data.cast("B") if array.size else b"")
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    return str(value)


@dataclass
class History:
    """The calls that made a store, oldest first.

    Parameters
    ----------
    records
        One dict per call: ``call`` (``"Class.method"``), ``parameters``, ``outcome``, ``version``
        of the package, and ``results`` (a few numbers worth keeping). A record read from a HiFive
        file has only ``text``.
    """

    records: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        call: str,
        parameters: Mapping[str, Any],
        outcome: str = "Success",
        results: Mapping[str, Any] | None = None,
    ) -> None:
        """Append one call."""
        from hifive_dask import __version__

        self.records.append(
            {
                "call": call,
                "parameters": _plain(parameters),
                "outcome": outcome,
                "version": __version__,
                "results": _plain(results or {}),
            }
        )

    def __add__(self, other: History) -> History:
        return History([*self.records, *other.records])

    def last(self, *calls: str) -> dict[str, Any] | None:
        """Return the newest record of these calls, or None."""
        return next((r for r in reversed(self.records) if r.get("call") in calls), None)

    @property
    def text(self) -> str:
        """One line per call: ``Class.method(name=value, ...) - outcome``."""
        lines: list[str] = []
        for record in self.records:
            if lines and not lines[-1].endswith("\n"):  # HiFive leaves lines of failed calls open
                lines.append("\n")
            if "text" in record:
                lines.append(record["text"])
                continue
            arguments = ", ".join(f"{k}={v!r}" for k, v in record["parameters"].items())
            lines.append(f"{record['call']}({arguments}) - {record['outcome']}\n")
        return "".join(lines)

    @classmethod
    def from_text(cls, text: str) -> History:
        """Keep the history text of a HiFive file as it stands."""
        return cls([{"text": text}] if text else [])
