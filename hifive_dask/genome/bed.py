"""BED files of cut sites, of restriction fragments, and of bins."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import InputError, InputWarning, ParameterError
from hifive_dask.genome.build import bins_from_intervals, fends_from_cuts, fends_from_fragments
from hifive_dask.genome.partition import Units
from hifive_dask.genome.table import INT32_MAX, Columns, TextTable

__all__ = ["BedFends", "Content", "read_bed_bins", "read_bed_fends", "warn_empty_chromosomes"]

Content = Literal["sites", "fragments", "auto"]
PathLike = str | os.PathLike[str]

_SITE_LENGTH = 10  # bp: intervals shorter than this on average are recognition sites
_FIRST_FEATURE = 6


@dataclass(frozen=True)
class BedFends:
    """Fends of a BED file, and how it was understood.

    Parameters
    ----------
    units
        The fends.
    content
        ``"sites"`` or ``"fragments"``.
    mean_length
        Mean length of the intervals in bp, which decides if the content was not said.
    duplicates
        Lines left out because they repeat another.
    """

    units: Units
    content: str
    mean_length: float
    duplicates: int


@dataclass(frozen=True)
class _Intervals:
    """Checked intervals, sorted by chromosome name, start, stop; `row` counts data lines."""

    table: TextTable
    chromosomes: tuple[str, ...]
    chromosome: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    features: dict[str, NDArray[np.float64]]
    row: NDArray[np.int64]

    def take(self, order: NDArray[np.int64]) -> _Intervals:
        return _Intervals(
            self.table,
            self.chromosomes,
            self.chromosome[order],
            self.start[order],
            self.stop[order],
            {name: values[order] for name, values in self.features.items()},
            self.row[order],
        )


def read_bed_fends(path: PathLike, content: Content = "auto") -> BedFends:
    """Read cut sites or fragments as fends.

    Columns are chromosome, start, stop (0-based half-open), then name, score and strand, which
    are ignored, then features if a header line names them; each feature cell is ``v1,v2``. A cut
    site lies at ``(start + stop) // 2`` and has values upstream and downstream of it; a fragment
    has values of its left and right fend. Lines may come in any order; chromosomes are sorted by
    the bytes of their names. What lies before the first and after the last cut of a chromosome is
    not part of the partition.

    Parameters
    ----------
    path
        The file; plain, gzip or bgzip.
    content
        ``"auto"`` takes intervals shorter than 10 bp on average as cut sites.

    Raises
    ------
    ParameterError
        If `content` is none of the three.
    InputError
        If a line is malformed, a fragment is empty or overlaps another, a coordinate is negative
        or above int32, or there is no fragment at all.
    """
    if content not in ("sites", "fragments", "auto"):
        raise ParameterError(
            f"content is {content!r}, expected 'sites', 'fragments' or 'auto' (by mean length)"
        )
    intervals = _read_intervals(path, per_cell=2)
    mean = float((intervals.stop - intervals.start).mean())
    if content == "auto":
        content = "sites" if mean < _SITE_LENGTH else "fragments"
    if content == "sites":
        cut = (intervals.start + intervals.stop) // 2
        order = np.lexsort((intervals.row, cut, intervals.chromosome))
        intervals, cut = intervals.take(order), cut[order]
        kept = _first_of_each(intervals.chromosome, cut)
        intervals, cut = intervals.take(kept), cut[kept]
        units = fends_from_cuts(
            intervals.chromosomes, intervals.chromosome, cut, intervals.features
        )
    else:
        intervals, kept = _without_overlaps(intervals)
        units = fends_from_fragments(
            intervals.chromosomes,
            intervals.chromosome,
            intervals.start,
            intervals.stop,
            intervals.features,
        )
    duplicates = int(kept.max()) + 1 - len(kept) if len(kept) else 0
    return _reported(path, units, content, mean, duplicates)
