"""How rows are divided among tasks: by the store and by options, never by the workers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Span", "split_rows"]


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
