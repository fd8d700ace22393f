"""Exceptions and warnings of hifive_dask.

Every message says what was seen, what was expected and how to cure it. Bad files are
reported with their line, as ``path:line: message``.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable

__all__ = [
    "CacheWarning",
    "ClusterError",
    "ConvergenceError",
    "ConvergenceWarning",
    "HifiveDaskError",
    "HifiveDaskWarning",
    "InputError",
    "InputWarning",
    "KeywordError",
    "LevelWarning",
    "LinkError",
    "ParameterError",
    "RegionError",
    "StateError",
    "StoreError",
    "did_you_mean",
    "level_cure",
    "near_names",
    "unknown",
    "warn",
]


class HifiveDaskError(Exception):
    """Base class of all exceptions raised on purpose by this package."""


class ParameterError(HifiveDaskError, ValueError):
    """An argument has a value that the call cannot accept."""


class KeywordError(ParameterError, TypeError):
    """A call was given an argument that it does not have."""


class RegionError(ParameterError):
    """A region does not parse, or does not lie in the genome."""


class StateError(HifiveDaskError, RuntimeError):
    """A call needs something that an earlier step has not produced yet."""


class StoreError(HifiveDaskError, OSError):
    """A store cannot be opened, is incomplete, of another kind, or cannot be written."""


class LinkError(StoreError):
    """A store points to another store that is missing or is not the one it was made with."""


class ClusterError(HifiveDaskError, RuntimeError):
    """Workers died again and again, or the scheduler was lost."""


class ConvergenceError(HifiveDaskError, ArithmeticError):
    """An iteration did not converge and the caller asked for an error in that case."""


class InputError(HifiveDaskError, ValueError):
    """A file given by the user cannot be read as what it was said to be.

    Parameters
    ----------
    message
        What was seen and what was expected.
    path
        The file.
    line
        1-based line number, where the fault lies in a line.
    cure
        What to do about it.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | os.PathLike[str] | None = None,
        line: int | None = None,
        cure: str | None = None,
    ) -> None:
        where = "" if path is None else os.fspath(path) + (f":{line}" if line else "") + ": "
        super().__init__(where + message + (f"\n  {cure}" if cure else ""))
        self._arguments = (message, path, line, cure)

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions travel from workers by pickle, which would call __init__ with `args` only.
        return _rebuild_input_error, self._arguments


def _rebuild_input_error(
    message: str, path: str | None, line: int | None, cure: str | None
) -> InputError:
    return InputError(message, path=path, line=line, cure=cure)


class HifiveDaskWarning(UserWarning):
    """Base class of all warnings of this package."""


class InputWarning(HifiveDaskWarning):
    """Something in an input file was dropped, guessed or corrected; the message counts it."""


class CacheWarning(HifiveDaskWarning):
    """Compiled kernels cannot be kept where they are looked for; the message names the cure."""


class ConvergenceWarning(HifiveDaskWarning):
    """An iteration stopped before it converged."""


class LevelWarning(HifiveDaskWarning):
    """Maps expect many more, or fewer, reads of a chromosome than it has.

    Parameters
    ----------
    finding
        What was seen, without a cure.
    joint
        Whether corrections and distance function were fitted together: that sets the levels of all
        that is fitted.
    """

    def __init__(self, finding: str, joint: bool = False) -> None:
        self.finding, self.joint = finding, joint
        super().__init__(f"{finding}; {level_cure(joint=joint)}")

    def __reduce__(self) -> tuple[object, ...]:
        return LevelWarning, (self.finding, self.joint)


def level_cure(*, joint: bool, command: bool = False) -> str:
    """What to do where levels are off: in Python, or what to type.

    Parameters
    ----------
    joint
        As in `LevelWarning`.
    command
        Whether it is read by users of commands.
    """
    if joint:
        window = "--mindistance, --maxdistance or --chrom" if command else "a window or chroms"
        least = "--mininteractions" if command else "mininteractions"
        return (
            f"what is at a limit of the corrections, or left out by {window}, was not fitted: "
            f"learn from all pairs, or filter by a larger {least} first"
        )
    if command:
        return (
            "normalize again by hifive-dask normalize poisson, or by the same method without "
            "--no-calibrate"
        )
    return (
        "learn again with calibrate=True, which sets the levels, or with "
        "find_probability_fend_corrections(model='poisson', refit_distance=True)"
    )


def warn(message: str | HifiveDaskWarning, category: type[HifiveDaskWarning]) -> None:
    """Warn, and name the line outside of this package that the call came from."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("hifive_dask."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


_NEAR = 0.7  # of `difflib`: 1 is the same, 0 has nothing in common
_MOST_NAMES = 30


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Names that could be meant, one or two; none if many are as near as the nearest.

    Examples
    --------
    >>> from hifive_dask.errors import near_names
    >>> near_names("normalise", ["query", "normalize"])
    ['normalize']
    """
    from difflib import SequenceMatcher

    matcher = SequenceMatcher(b=str(name).casefold())
    scores = {}
    for each in known:
        matcher.set_seq1(each.casefold())
        if matcher.real_quick_ratio() >= _NEAR and matcher.ratio() >= _NEAR:
            scores[each] = matcher.ratio()
    nearest = [each for each, score in scores.items() if score == max(scores.values())]
    return nearest if len(nearest) <= 2 else []


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question to end a message with, or nothing."""
    near = " or ".join(map(repr, near_names(name, known)))
    return f" Did you mean {near}?" if near else ""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Say that a name is unknown, which there are, and which could be meant.

    Examples
    --------
    >>> from hifive_dask.errors import unknown
    >>> print(unknown("format", "mcol", ["cool", "mcool"]))
    unknown format 'mcol'; known are: cool, mcool. Did you mean 'mcool'?
    """
    names = list(known)
    there = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
    meant = did_you_mean(name, names)
    return f"unknown {what} {name!r}; known are: {there}{meant and '.' + meant}"
