"""What public classes and functions have in common: how they answer when asked for the unknown.

A keyword that there is not is answered with the one that may be meant. Attributes of an object that
is still empty are None; methods that need what it shall hold say how it is filled.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from hifive_dask.errors import KeywordError, StateError, did_you_mean

__all__ = ["Named", "answering", "check_keywords", "keywords", "known_later", "public"]

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def keywords(function: Callable[..., Any]) -> list[str]:
    """Names of the arguments of a function, or method."""
    parameters = inspect.signature(function).parameters.values()
    return [each.name for each in parameters if each.kind in _NAMED and each.name != "self"]


def check_keywords(name: str, given: Collection[str], known: Collection[str]) -> None:
    """Raise a `KeywordError` for an argument that the function of this name does not have."""
    for keyword in given:
        if keyword not in known:
            meant = did_you_mean(keyword, known) or f" It has: {', '.join(known) or 'none'}."
            raise KeywordError(f"{name} has no argument {keyword!r}.{meant}")


def _called(function: Callable[..., Any]) -> str:
    """What a user calls to get there."""
    *owner, name = function.__qualname__.split(".")
    return owner[-1] if name == "__init__" else name


def answering(function: F) -> F:
    """Make a function say which argument may be meant; its signature stays.

    Examples
    --------
    >>> from hifive_dask.public import answering
    >>> @answering
    ... def bins(binsize): ...
    >>> bins(bin_size=5)
    Traceback (most recent call last):
    hifive_dask.errors.KeywordError: bins has no argument 'bin_size'. Did you mean 'binsize'?
    """
    return _wrapped(function, needs_content=False)


def public(*, filled_by: Collection[str] = ()) -> Callable[[C], C]:
    """Make all public methods of a class answer as `answering` does.

    Parameters
    ----------
    filled_by
        Methods that work on an empty object. All others first call its ``_loaded``, which raises
        the `StateError` of an empty one. None, if there are no empty objects.
    """

    def decorate(kind: C) -> C:
        for name in dir(kind):
            method = inspect.getattr_static(kind, name)
            own = inspect.isfunction(method) and method.__module__.startswith("hifive_dask.")
            if own and (not name.startswith("_") or name == "__init__"):
                needs = bool(filled_by) and name not in ("__init__", "keys", *filled_by)
                setattr(kind, name, _wrapped(method, needs_content=needs))
        return kind

    return decorate


def _wrapped(function: F, *, needs_content: bool) -> F:
    parameters = inspect.signature(function).parameters.values()
    known = keywords(function)
    takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)

    @wraps(function)
    def call(*args: Any, **given: Any) -> Any:
        if not takes_any:
            check_keywords(_called(function), given, known)
        if needs_content:
            args[0]._loaded()
        return function(*args, **given)

    return call  # type: ignore[return-value]


if TYPE_CHECKING:
    # Types are those of objects that are filled.
    known_later = property
else:

    class known_later(property):
        """A property of a class with ``_loaded`` that is None while an object is empty."""

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is not None:
                try:
                    instance._loaded()
                except StateError:
                    return None
            return super().__get__(instance, owner)


class Named(ABC):
    """A class whose attributes can be had by name as well, as those of HiFive's files."""

    @abstractmethod
    def _names(self) -> Iterator[str]:
        """Yield names of the arrays and tables that an object holds, or can read."""

    def keys(self) -> list[str]:
        """Names of the arrays and tables that are there; other attributes can be asked for, too."""
        return list(self._names())

    def __iter__(self) -> Iterator[str]:
        return self._names()

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def __getitem__(self, name: str) -> Any:
        """Return an attribute by name, or None."""
        return getattr(self, name, None)
