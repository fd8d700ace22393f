"""What the rows and columns of a matrix are: chromosomes by name, bins by position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hifive_dask.genome.partition import Units
from hifive_dask.reads.source import UnitCounts

__all__ = ["Axis", "match_names", "place"]

_PREFIX, _BY = "chr", "_by_"


@dataclass(frozen=True)
class Axis:
    """The bins of one chromosome.

    Parameters
    ----------
    name
        Of the chromosome.
    first
        Global index of its first bin.
    start, stop
        int32: 0-based half-open, bp.
    """

    name: str
    first: int
    start: NDArray[np.int32]
    stop: NDArray[np.int32]

    @classmethod
    def of(cls, bins: Units, chromosome: int) -> Axis:
        """The bins of the chromosome with this index."""
        span = bins.span(chromosome)
        name = bins.chromosomes[chromosome]
        return cls(name, span.start, bins.start[span], bins.stop[span])

    def __len__(self) -> int:
        return len(self.start)

    def at(self, position: NDArray[np.int64]) -> NDArray[np.int32]:
        """Global bin of every 0-based position; -1 where there is none."""
        k = np.searchsorted(self.start, position, "right") - 1
        inside = (k >= 0) & (position < np.r_[self.stop, 0][k])
        return np.where(inside, self.first + k, -1).astype(np.int32)

    def numbered(self, length: int) -> NDArray[np.int32]:
        """Global bins in order; -1 from where there are no more."""
        k = np.arange(length, dtype=np.int32)
        return np.where(k < len(self), self.first + k, -1).astype(np.int32)


def place(
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    reads: NDArray[np.int64],
) -> UnitCounts:
    """Give cells of a matrix their bins; those outside all bins are summed up.

    Parameters
    ----------
    rows, columns
        int32: global bin of every row and every column, or -1.
    row, column, reads
        int64: the cells.
    """
    first, second = rows[row].astype(np.int64), columns[column].astype(np.int64)
    inside = (first >= 0) & (second >= 0)
    outside = int(reads[~inside].sum())
    return UnitCounts(first[inside], second[inside], reads[inside], outside=outside)


def match_names(
    names: Iterable[str], chromosomes: Sequence[str], suffixes: Sequence[str] = ("",)
) -> tuple[dict[tuple[int, int], str], list[str]]:
    """Find the matrix of every pair of chromosomes by its name.

    ``X`` holds pairs within the chromosome X, ``A_by_B`` pairs between A (rows) and B (columns).
    Names may have the prefix ``chr`` in addition, and one of the suffixes. If several names mean
    the same pair, the earlier suffix wins, then the name without additional prefix, then the one
    with the chromosome first that is first in the genome.

    Returns
    -------
    The names by chromosome of the rows and chromosome of the columns (indices), in genome order;
    and the names that are left over.
    """
    index = {name: k for k, name in enumerate(chromosomes)}
    best: dict[tuple[int, int], tuple[tuple[int, int, int], str, tuple[int, int]]] = {}
    others = []
    for name in sorted(names):
        meanings = [
            ((rank, prefixed, int(a > b)), name, (a, b))
            for rank, suffix in enumerate(suffixes)
            if name.endswith(suffix)
            for prefixed, (a, b) in _meanings(name[: len(name) - len(suffix)], index)
        ]
        if not meanings:
            others.append(name)
            continue
        found = min(meanings)
        pair = (min(found[2]), max(found[2]))
        if pair in best:
            others.append(max(best[pair], found)[1])
        best[pair] = min(best.get(pair, found), found)
    return {best[pair][2]: best[pair][1] for pair in sorted(best)}, others


def _meanings(stem: str, index: Mapping[str, int]) -> Iterator[tuple[int, tuple[int, int]]]:
    """All that a name can mean: whether the prefix is additional, and the chromosomes."""

    def known(*names: str) -> Iterator[tuple[int, tuple[int, int]]]:
        for prefixed, prefix in enumerate(("", _PREFIX)):
            if all(name.startswith(prefix) for name in names):
                found = [index.get(name[len(prefix) :]) for name in names]
                if found[0] is not None and found[-1] is not None:
                    yield prefixed, (found[0], found[-1])

    yield from known(stem)
    at = stem.find(_BY)
    while at >= 0:
        yield from (
            meaning
            for meaning in known(stem[:at], stem[at + len(_BY) :])
            if meaning[1][0] != meaning[1][1]
        )
        at = stem.find(_BY, at + 1)
