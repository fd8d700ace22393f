"""BED files of cut sites, of restriction fragments, and of bins."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import InputError, InputWarning, ParameterError, warn
from hifive_dask.genome.build import bins_from_intervals, fends_from_cuts, fends_from_fragments
from hifive_dask.genome.order import Order, place_lines
from hifive_dask.genome.partition import Units
from hifive_dask.genome.table import INT32_MAX, Columns, TextTable, name_list

__all__ = ["BedFends", "Content", "read_bed_bins", "read_bed_fends"]

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
    """

    units: Units
    content: Content
    mean_length: float


def read_bed_fends(path: PathLike, content: Content = "auto", order: Order = "bytes") -> BedFends:
    """Read cut sites or fragments as fends.

    Columns are chromosome, start, stop (0-based half-open), then name, score and strand, which
    are ignored, then features if a header line names them; each feature cell is ``v1,v2``. A cut
    site lies at ``(start + stop) // 2`` and has values upstream and downstream of it; a fragment
    has values of its left and right fend. Lines may come in any order. What lies before the first
    and after the last cut of a chromosome is not part of the partition.

    Parameters
    ----------
    path
        The file; plain, gzip or bgzip.
    content
        ``"auto"`` takes intervals shorter than 10 bp on average as cut sites.
    order
        Of the chromosomes, as in `order_names`.

    Raises
    ------
    ParameterError
        If `content` is none of the three.
    InputError
        If a line is malformed, an interval is empty, a fragment overlaps another, a coordinate is
        negative or above int32, or there is no fragment at all.
    """
    if content not in ("sites", "fragments", "auto"):
        raise ParameterError(
            f"content is {content!r}, expected 'sites', 'fragments' or 'auto' (by mean length)"
        )
    intervals = _read_intervals(path, order, per_cell=2)
    mean = float((intervals.stop - intervals.start).mean())
    if content == "auto":
        content = "sites" if mean < _SITE_LENGTH else "fragments"
    names, features = intervals.chromosomes, intervals.features
    if content == "sites":
        cut = (intervals.start + intervals.stop) // 2
        lines = intervals.first_of_each("cut site", cut)
        features = {name: values[lines] for name, values in features.items()}
        units = fends_from_cuts(names, intervals.chromosome[lines], cut[lines], features)
    else:
        units = fends_from_fragments(names, *intervals.without_overlaps("fragment"))
    if not len(units):
        raise InputError(
            "no chromosome has two cut sites, so there is no fragment",
            path=path,
            cure="Give the cut sites of whole chromosomes.",
        )
    empty = [name for name, n in zip(names, np.diff(units.offset), strict=True) if n == 0]
    if empty:
        warn(
            f"{os.fspath(path)}: {len(empty)} chromosome(s) with a single cut site have no fends: "
            + name_list(empty),
            InputWarning,
        )
    return BedFends(units, content, mean)


def read_bed_bins(path: PathLike, order: Order = "bytes") -> Units:
    """Read intervals as bins.

    Columns and `order` are as for fends, but a feature cell is one number. Gaps between bins are
    allowed.

    Raises
    ------
    InputError
        If a line is malformed, a bin is empty or overlaps another, or a coordinate is negative or
        above int32.
    """
    intervals = _read_intervals(path, order, per_cell=1)
    return bins_from_intervals(intervals.chromosomes, *intervals.without_overlaps("bin"))


@dataclass(frozen=True)
class _Intervals:
    """Checked intervals in file order; chromosomes in that of the genome."""

    table: TextTable
    chromosomes: tuple[str, ...]
    chromosome: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    features: dict[str, NDArray[np.float64]]

    def first_of_each(self, what: str, *position: NDArray[np.int64]) -> NDArray[np.int64]:
        """Lines in genome order without those that repeat a position, of which it warns."""
        # Features decide between repeated lines, so that the order of lines never matters.
        values = [column for name in self.features for column in self.features[name].T]
        order = np.lexsort((*values[::-1], *position[::-1], self.chromosome))
        repeated = np.zeros(len(order), dtype=bool)
        repeated[1:] = np.all(
            [key[order[1:]] == key[order[:-1]] for key in (self.chromosome, *position)], axis=0
        )
        if repeated.any():
            warn(
                f"{self.table.path}: {repeated.sum()} line(s) repeat a {what} and were left out",
                InputWarning,
            )
        return order[~repeated].astype(np.int64)

    def without_overlaps(
        self, what: str
    ) -> tuple[
        NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], dict[str, NDArray[np.float64]]
    ]:
        """Chromosome, start, stop, features in genome order, if no interval overlaps the next."""
        order = self.first_of_each(what, self.start, self.stop)
        chromosome, start, stop = (a[order] for a in (self.chromosome, self.start, self.stop))
        bad = np.flatnonzero((chromosome[1:] == chromosome[:-1]) & (start[1:] < stop[:-1]))
        if len(bad):
            k = int(bad[0])
            name = self.chromosomes[chromosome[k]]
            raise self.table.error(
                int(order[k + 1]),
                f"the {what} overlaps {name}:{start[k]}-{stop[k]}",
                f"Each position may lie in one {what} at most; are they cut sites "
                "(content='sites')?"
                if what == "fragment"
                else f"Each position may lie in one {what} at most.",
            )
        return chromosome, start, stop, {n: v[order] for n, v in self.features.items()}


def _read_intervals(path: PathLike, order: Order, per_cell: int) -> _Intervals:
    table = TextTable(path, coordinates=(1, 2))
    rows = table.read(
        Columns(0, {"start": 1, "stop": 2}, table.feature_columns(_FIRST_FEATURE), per_cell)
    )
    start, stop = rows.numbers["start"], rows.numbers["stop"]
    for wrong, message in (
        (start < 0, "the start is negative"),
        (start >= stop, "the start is not below the stop"),
        (stop > INT32_MAX, f"the stop is above {INT32_MAX}, the largest coordinate"),
    ):
        if wrong.any():
            raise table.error(int(wrong.argmax()), message)
    names, chromosome = place_lines(rows.names, rows.chromosome, order)
    return _Intervals(table, tuple(names), chromosome, start, stop, rows.features)
