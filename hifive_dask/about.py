"""What objects say of themselves, to people: as text, and in notebooks as a small table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from html import escape
from pathlib import PurePosixPath

__all__ = ["Described", "Fact", "counted"]

Fact = tuple[str, str]

# Colours are those of the page, so that it is right on light and on dark ones.
_TABLE = "border-collapse:collapse;margin:0.3em 0 0.3em 1em;background:transparent"
_CELL = "text-align:left;padding:0.1em 0.8em 0.1em 0;border:none;background:transparent"


def counted(number: int, name: str) -> str:
    """A number of things.

    Examples
    --------
    >>> from hifive_dask.about import counted
    >>> counted(1, "fend"), counted(2000, "bin")
    ('1 fend', '2,000 bins')
    """
    return f"{number:,} {name}" + ("" if number == 1 else "s")


class Described(ABC):
    """A class whose objects are stored in a `file` and show what they hold.

    Showing never raises and computes nothing: it takes what is in memory.
    """

    @abstractmethod
    def _facts(self) -> Iterator[Fact]:
        """Yield what there is to say, one fact after the other, as far as it is known."""

    def _title_and_facts(self) -> tuple[str, list[Fact]]:
        file = str(getattr(self, "file", "") or "")
        found: list[Fact] = []
        try:
            found.extend(self._facts())
        except Exception as error:  # of objects half made, and of stores that have gone
            found.append(("unknown", f"{type(error).__name__}: {error}"))
        title = f"{type(self).__name__} {PurePosixPath(file).name}".rstrip()
        return title, [*found, ("file", file)] if file else found

    def __repr__(self) -> str:
        title, facts = self._title_and_facts()
        width = max((len(name) for name, _ in facts), default=0)
        return "\n".join([f"<{title}>", *(f"  {name:<{width}}  {text}" for name, text in facts)])

    def _repr_html_(self) -> str:
        title, facts = self._title_and_facts()
        rows = "".join(
            f'<tr style="background:transparent"><td style="{_CELL};opacity:0.65">{escape(name)}'
            f'</td><td style="{_CELL}">{escape(text)}</td></tr>'
            for name, text in facts
        )
        return (
            f"<div><strong>{escape(title)}</strong>"
            f'<table style="{_TABLE}"><tbody>{rows}</tbody></table></div>'
        )
