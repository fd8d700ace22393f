"""The part of a project that a heatmap needs, so that its tasks carry no more than that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hifive_dask._store.pairs import Columns, PairRows, PairStore
from hifive_dask.genome.partition import Units
from hifive_dask.model.rows import spans_of

__all__ = ["Subset", "take_chromosomes"]


@dataclass(frozen=True)
class _Renumbered:
    """Rows whose units are numbered as in the subset."""

    rows: PairRows
    shift1: int
    shift2: int

    def __len__(self) -> int:
        return len(self.rows)

    def __call__(self) -> Columns:
        first, second, count = self.rows()
        return first - np.int32(self.shift1), second - np.int32(self.shift2), count


@dataclass(frozen=True)
class Subset:
    """Some chromosomes, numbered from 0, with their units, numbered from 0.

    Parameters
    ----------
    units
        The units of these chromosomes.
    valid, corrections
        int32 and float32, per unit of the subset; no corrections is None.
    means
        float32 per chromosome of the subset, or None.
    """

    units: Units
    valid: NDArray[np.int32]
    corrections: NDArray[np.float32] | None
    means: NDArray[np.float32] | None
    _store: PairStore
    _chroms: tuple[int, ...]
    _shift: tuple[int, ...]

    def _renumber(self, rows: PairRows, chrom1: int, chrom2: int) -> PairRows:
        return _Renumbered(rows, self._shift[chrom1], self._shift[chrom2])

    def find(self, chrom1: int, chrom2: int, lo: int, hi: int) -> PairRows:
        """Rows of two chromosomes, among them all whose first unit is in ``lo`` to ``hi``."""
        shift = self._shift[chrom1]
        pair = self._chroms[chrom1], self._chroms[chrom2]
        start, stop = self._store.find_rows(*pair, lo + shift, hi + shift)
        return self._renumber(self._store.rows_of(start, stop), chrom1, chrom2)

    def block(self, chrom1: int, chrom2: int) -> list[PairRows]:
        """All rows of two chromosomes, in spans."""
        spans = spans_of(self._store, self._chroms[chrom1], self._chroms[chrom2])
        return [self._renumber(rows, chrom1, chrom2) for rows in spans]


def take_chromosomes(
    units: Units,
    store: PairStore,
    valid: NDArray[np.int32],
    corrections: NDArray[np.float32] | None,
    means: NDArray[np.float32] | None,
    chroms: Sequence[int],
) -> Subset:
    """Restrict everything to some chromosomes, given by index in genome order."""
    spans = [units.span(chrom) for chrom in chroms]
    taken = np.concatenate([np.arange(span.start, span.stop) for span in spans])
    offset = np.r_[0, np.cumsum([span.stop - span.start for span in spans])].astype(np.int64)
    part = Units(
        tuple(units.chromosomes[chrom] for chrom in chroms),
        offset,
        units.start[taken],
        units.stop[taken],
        units.mid[taken],
        units.fends,
    )
    return Subset(
        part,
        (valid[taken] > 0).astype(np.int32),
        None if corrections is None else corrections[taken],
        None if means is None else means[list(chroms)],
        store,
        tuple(chroms),
        tuple(span.start - int(start) for span, start in zip(spans, offset[:-1], strict=True)),
    )
