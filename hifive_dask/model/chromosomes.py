"""What is to be learned of each chromosome, and from which rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.coverage import select_pairs
from hifive_dask._kernels.possible import possible_cis
from hifive_dask._kernels.probability import no_factors
from hifive_dask._store.pairs import Columns
from hifive_dask.errors import StateError
from hifive_dask.genome.partition import Units
from hifive_dask.model.checks import check_length
from hifive_dask.model.descent import EDGES, Limits
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.likelihood import (
    Chromosome,
    Here,
    Observed,
    Segments,
    dense_part,
    list_part,
    observe,
    segments,
)
from hifive_dask.model.rows import Piece, rows_by_kind

__all__ = ["Problem", "chromosome_of", "likelihoods", "observe_rows", "plan", "used_rows"]

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


class Problem(NamedTuple):
    """All that tasks need besides the rows.

    Parameters
    ----------
    units
        The genome.
    used
        int32 (N): units in use, on chosen chromosomes, that have possible partners.
    possible
        int64 (N): possible partners.
    segments
        Distance function in the window.
    window
        bp: ``window[0] <= d < window[1]``, 0 is no upper limit.
    binomial
        Learn from the presence of reads in place of their number.
    start
        float32 (N): where to begin; None for the means of the units.
    limits
        When to stop.
    binning
        Factors of pairs, or None.
    """

    units: Units
    used: Int32
    possible: Int64
    segments: Segments
    window: tuple[int, int]
    binomial: bool
    start: Float32 | None
    limits: Limits
    binning: BinningModel | None

    @property
    def edges(self) -> tuple[float, ...]:
        """See `Likelihood`."""
        return EDGES if self.binomial else (0.0,)


def plan(
    units: Units,
    valid: Int32,
    chroms: Sequence[int],
    *,
    parameters: Float32,
    window: tuple[int, int],
    binomial: bool,
    start: Float32 | None,
    limits: Limits,
    binning: BinningModel | None = None,
) -> Problem:
    """Find which units can be learned, in a window that includes both ends.

    Raises
    ------
    StateError
        If there are none.
    """
    check_length("the filter", valid, units)
    low, high = window
    above = high + 1 if high else 0
    possible = _possible(units, valid, chroms, (low, above))
    if not possible.any():
        raise StateError(
            f"no two {units.unit}s in use have a distance in the window; see filter_fends and "
            "reset_filter, or widen it"
        )
    return Problem(
        units,
        (possible > 0).astype(np.int32),
        possible,
        segments(parameters, low, high),
        (low, above),
        binomial,
        start,
        limits,
        binning,
    )


def _possible(units: Units, valid: Int32, chroms: Sequence[int], window: tuple[int, int]) -> Int64:
    """int64 (N): possible partners, 0 for units that have none but themselves."""
    count = np.zeros(len(units), dtype=np.int64)
    for span in map(units.span, chroms):
        own = (valid[span] > 0).astype(np.int32)
        if own.sum() > 1:
            count[span] = possible_cis(
                units.mid[span], own, fends=units.fends,
                mindistance=window[0], maxdistance=window[1],
            )  # fmt: skip
    return count


def chromosome_of(problem: Problem, chrom: int) -> Chromosome:
    """The units of a chromosome, and what is expected of them."""
    units, span = problem.units, problem.units.span(chrom)
    unit = np.flatnonzero(problem.used[span])
    factors = no_factors(len(unit))
    if problem.binning is not None:
        factors = problem.binning.fend_indices[span][unit], problem.binning.corrections
    return Chromosome(
        units.mid[span][unit].astype(np.int64),
        unit.astype(np.int64),
        problem.possible[span][unit],
        units.fends,
        problem.window[0] <= 0,
        problem.segments,
        factors,
        problem.binomial,
    )


def used_rows(pieces: Sequence[Piece], problem: Problem) -> Columns:
    """Rows of units in use, inside the window, sorted by their first unit."""
    low, high = problem.window
    parts = [
        select_pairs(
            *columns, problem.used, problem.units.mid, mindistance=low, maxdistance=high, cis=cis
        )
        for piece in pieces
        for cis, columns in rows_by_kind(piece, problem.units, "cis")
    ]
    if not parts:
        none = np.zeros(0, dtype=np.int32)
        return none, none, none
    first, second, count = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return first, second, count


def observe_rows(problem: Problem, chromosome: Chromosome, chrom: int, rows: Columns) -> Observed:
    """Take in rows of a chromosome that are in use."""
    span = problem.units.span(chrom)
    place = np.cumsum(problem.used[span], dtype=np.int32) - 1
    first, second, count = rows
    return observe(chromosome, place[first - span.start], place[second - span.start], count)


def likelihoods(problem: Problem, chrom: int, rows: Columns) -> tuple[Here, Here]:
    """The likelihood of a chromosome from its rows in use; and one that sums what is expected."""
    chromosome = chromosome_of(problem, chrom)
    seen = observe_rows(problem, chromosome, chrom, rows)
    listed = list_part(chromosome)
    parts = [dense_part(chromosome, 0, 1, problem.binomial), listed]
    linear = [dense_part(chromosome, 0, 1, False), listed] if problem.binomial else parts
    if seen.part is not None:
        parts = [*parts, seen.part]
    return (
        Here(seen.total, chromosome.possible, seen.constant, problem.edges, parts),
        Here(seen.total, chromosome.possible, 0.0, (0.0,), linear),
    )
