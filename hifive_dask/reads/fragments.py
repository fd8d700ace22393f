"""Fragment numbers of .pairs files, which may decide the fragment in place of the position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError
from hifive_dask.genome.partition import Partition

__all__ = ["FragmentEdges"]

_END = 2**31 - 2  # behind all positions


@dataclass(frozen=True)
class FragmentEdges:
    """Borders of the numbered stretches of every chromosome.

    Numbers count from 0 on each chromosome, and 0 is the stretch before the first cut, as
    ``pairtools restrict`` and Juicer have it; in a partition whose first fragment begins at 0 that
    is a fragment, else the number of its first fragment is 1.

    Parameters
    ----------
    edge
        int64: borders in bp, chromosome after chromosome; stretch k reaches from border k to the
        next.
    offset
        int64 (C + 1): first border of every chromosome; those without fragments have none.
    """

    edge: NDArray[np.int64]
    offset: NDArray[np.int64]

    @classmethod
    def of(cls, partition: Partition) -> FragmentEdges:
        """The borders of a partition with fends.

        Raises
        ------
        ParameterError
            If it has none.
        """
        fends = partition.fends
        if fends is None:
            raise ParameterError(
                "fragments='index' needs a partition of fends, but this one has bins only"
            )
        edges, offset = [], [0]
        for c in range(len(fends.chromosomes)):
            span = fends.span(c)
            start = fends.start[span][0::2].astype(np.int64)
            if len(start):
                before = [] if start[0] == 0 else [0]
                edges.append(np.r_[before, start, fends.stop[span.stop - 1], _END].astype(np.int64))
            offset.append(offset[-1] + (len(edges[-1]) if len(start) else 0))
        return cls(np.concatenate([*edges, [0]]), np.array(offset, dtype=np.int64))

    def known(self, chromosome: NDArray[np.int32], number: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether there is such a stretch; True for chromosomes without fragments."""
        count = np.diff(self.offset)[chromosome] - 1
        return (count < 0) | ((number >= 0) & (number < count))

    def move(
        self,
        chromosome: NDArray[np.int32],
        position: NDArray[np.int64],
        number: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Move 1-based positions that lie outside their known stretch to its nearest base."""
        cut = np.diff(self.offset)[chromosome] > 0
        first = self.offset[chromosome] + np.where(cut, number, 0)
        moved = np.clip(position, self.edge[first] + 1, self.edge[np.where(cut, first + 1, 0)])
        return np.where(cut, moved, position)
