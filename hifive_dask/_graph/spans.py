"""How rows are divided among tasks: by the store and by options, never by the workers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

__all__ = ["Span", "group_rows", "split_rows"]

T = TypeVar("T")


class Span(NamedTuple):
    """Rows ``lo`` to ``hi`` of one block (one pair of chromosomes)."""

    block: int
    lo: int
    hi: int


def split_rows(block_offset: Sequence[int], rows: int) -> list[Span]:
    """Cut every block into spans of at most `rows` rows, equal but for one row.

    Examples
    --------
    >>> from hifive_dask._graph.spans import split_rows
    >>> split_rows([0, 5, 5, 7], 3)
    [Span(block=0, lo=0, hi=2), Span(block=0, lo=2, hi=5), Span(block=2, lo=5, hi=7)]
    """
    spans: list[Span] = []
    for block, (start, stop) in enumerate(itertools.pairwise(block_offset)):
        size = int(stop) - int(start)
        pieces = -(-size // rows)
        edges = [int(start) + size * k // pieces for k in range(pieces + 1)] if pieces else []
        spans.extend(Span(block, lo, hi) for lo, hi in itertools.pairwise(edges))
    return spans


def group_rows(items: Sequence[T], sizes: Sequence[int], rows: int) -> list[list[T]]:
    """Put neighbours together until a group has `rows` rows; an item that has more is alone.

    Examples
    --------
    >>> from hifive_dask._graph.spans import group_rows
    >>> group_rows("abcd", [1, 2, 5, 1], 3)
    [['a', 'b'], ['c'], ['d']]
    """
    groups: list[list[T]] = []
    filled = 0
    for item, size in zip(items, sizes, strict=True):
        if not groups or filled + size > rows:
            groups.append([])
            filled = 0
        groups[-1].append(item)
        filled += size
    return groups
