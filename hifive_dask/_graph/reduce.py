"""Reductions whose order, and so whose rounding, is fixed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dask import delayed

__all__ = ["tree_reduce"]


def tree_reduce(
    parts: Sequence[Any], combine: Callable[[list[Any]], Any], *, arity: int = 8
) -> Any:
    """Join lazy parts in index order, `arity` at a time.

    Parameters
    ----------
    parts
        Lazy values, at least one.
    combine
        Joins a list of at most `arity` values, in order, into one of the same kind. It must not
        change its arguments.
    arity
        Width of the tree.

    Returns
    -------
    The root, lazy.
    """
    if not parts:
        raise ValueError("nothing to reduce")
    join = delayed(combine, pure=True)
    level = list(parts)
    while len(level) > 1:
        level = [
            join(group) if len(group) > 1 else group[0]
            for group in (level[k : k + arity] for k in range(0, len(level), arity))
        ]
    return level[0]
