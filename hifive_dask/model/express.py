"""Express: corrections by balancing the weighted matrix of observed pairs.

Weights stay where they were read; an iteration is a sparse product there, and only its cost and
change come back. Chromosomes do not touch each other in cis reads, so a task runs many iterations
of its chromosomes; with trans reads, or a chromosome too large for one task, the partial products
of all spans of rows are joined in every iteration. Where a round of iterations holds the one at
which all have converged, it is run again up to there: the result is that of the plain simultaneous
iteration.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import hold, run
from hifive_dask._kernels.possible import possible_cis
from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import (
    ConvergenceError,
    HifiveDaskWarning,
    ParameterError,
    StateError,
)
from hifive_dask.genome.partition import Units
from hifive_dask.model.checks import check_length, whole_number
from hifive_dask.model.convergence import OnNonconvergence, check_limits, report
from hifive_dask.model.filtering import UseReads, check_window, filter_units
from hifive_dask.model.rows import longest_distance
from hifive_dask.model.weights import CisSystem, Problem, SpanSystem, System

__all__ = ["ExpressResult", "balance", "possible_partners"]

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]

FIXED_POINT = 1e-12  # a change below this is rounding: nothing moves any more
ONE_TASK = 1 << 25  # cis rows of a chromosome that one task may own
_ROUND = 1 << 29  # entries visited per task and round: a second or two


@dataclass(frozen=True)
class ExpressResult:
    """What the balancing found.

    Parameters
    ----------
    corrections
        float32 (N): 0 for units not in use; units outside the chosen chromosomes as given.
    chromosome_means
        float32 (C), natural log; None if no distance dependence was given.
    valid
        int32 (N): the filter afterwards.
    trace
        float64 (iterations, 2): cost sqrt(sum (q_i - 1)^2) and change max abs(sqrt(q_i) - 1) before
        each update.
    converged
        Whether the last change was below the limit.
    possible
        int64 (N): possible partners of every unit in use.
    unused
        Indices of units in use without any pair; they keep 1.
    """

    corrections: NDArray[np.float32]
    chromosome_means: NDArray[np.float32] | None
    valid: Int32
    trace: Float64
    converged: bool
    possible: NDArray[np.int64]
    unused: NDArray[np.intp]


def balance(
    units: Units,
    valid: Int32,
    store: PairStore,
    corrections: NDArray[np.float32],
    *,
    iterations: int,
    max_iterations: int,
    minchange: float,
    mindistance: int,
    maxdistance: int,
    usereads: UseReads,
    distance: tuple[NDArray[np.float32], NDArray[np.float32]] | None,
    binary: bool,
    chroms: Sequence[int],
    mininteractions: int,
    on_nonconvergence: OnNonconvergence = "warn",
    silent: bool = False,
) -> ExpressResult:
    """Find c with mean_j n_ij / (m_ij c_i c_j) = 1 over the possible partners j of each unit i.

    Parameters
    ----------
    units, valid, store
        The genome, the filter (int32), the pairs.
    corrections
        float32 (N): where to start.
    iterations, max_iterations
        Least and largest number of iterations.
    minchange
        Convergence: largest relative change of a correction.
    mindistance, maxdistance
        bp: cis rows with ``mindistance <= d < maxdistance`` are used; 0 stands for the longest
        distance of any stored pair, plus 1.
    usereads
        Kind of rows.
    distance
        Parameters (float32, segments x 3) and chromosome means (float32, C) to divide out, or None.
    binary
        Use 1 for every row in place of its reads.
    chroms
        Indices of the chromosomes to learn.
    mininteractions
        Rows that a unit needs if it is filtered again: with a `mindistance`, or trans rows only.
    on_nonconvergence
        What to do at `max_iterations`.
    silent
        No progress.

    Raises
    ------
    ParameterError, StateError, ConvergenceError
    """
    iterations = whole_number("iterations", iterations)
    max_iterations = whole_number("max_iterations", max_iterations)
    _validate(iterations, max_iterations, minchange, on_nonconvergence)
    mindistance, maxdistance = check_window(mindistance, maxdistance, usereads)
    check_length("the filter", valid, units)
    check_length("corrections", corrections, units)
    chroms = sorted(set(chroms))
    chosen = np.zeros(len(units), dtype=np.int32)
    for chrom in chroms:
        chosen[units.span(chrom)] = valid[units.span(chrom)] > 0
    kept = valid.copy()
    if mindistance > 0 or usereads == "trans":
        core = filter_units(
            units,
            chosen,
            store,
            mininteractions=max(1, whole_number("mininteractions", mininteractions)),
            mindistance=mindistance,
            maxdistance=maxdistance,
            usereads=usereads,
            silent=silent,
        )
        kept[(chosen > 0) & (core == 0)] = 0
        chosen = core
    if not chosen.any():
        raise StateError(
            "no unit of the chosen chromosomes is in use; see filter_fends and reset_filter"
        )
    if not maxdistance and usereads != "trans":
        # Partners farther apart than any pair that was seen do not count as possible.
        maxdistance = longest_distance(units, store, silent=silent) + 1
    problem = Problem(
        units, chosen, store, tuple(chroms), (mindistance, maxdistance), usereads, distance, binary
    )
    possible = possible_partners(problem)
    start = np.where((chosen > 0) & (corrections > 0), corrections, 1.0).astype(np.float64)
    rows = max((hi - lo for lo, hi in (store.block_rows(c, c) for c in chroms)), default=0)
    spread = usereads != "cis" or rows > ONE_TASK
    system: System = (SpanSystem if spread else CisSystem)(problem, possible, silent)
    steps = int(max(1, min(64, _ROUND // max(1, system.entries_per_task))))
    values, trace, converged = _iterate(
        system, start, iterations, max_iterations, minchange, steps, silent
    )
    if not converged:
        report(
            f"not converged after {len(trace)} iterations: the change is {trace[-1, 1]:.3g}, the "
            f"limit {minchange:.3g}; raise max_iterations or minchange, or filter more strictly",
            on_nonconvergence,
        )
    return _finish(problem, corrections, kept, values, system.used, trace, converged, possible)


def _validate(iterations: int, max_iterations: int, minchange: float, policy: str) -> None:
    if not 0 < iterations <= max_iterations:
        raise ParameterError(
            f"iterations is {iterations}, expected 1 to max_iterations ({max_iterations})"
        )
    check_limits(minchange, policy)


def possible_partners(problem: Problem) -> NDArray[np.int64]:
    """int64 (N): possible partners of every chosen unit, by kind of reads and window."""
    units, valid = problem.units, problem.valid
    count = np.zeros(len(units), dtype=np.int64)
    low, high = problem.window
    total = int(valid.sum())
    for chrom in problem.chroms:
        span = units.span(chrom)
        if problem.usereads != "trans":
            count[span] = possible_cis(
                units.mid[span], valid[span], fends=units.fends, mindistance=low, maxdistance=high
            )
        if problem.usereads != "cis":
            count[span] += (total - int(valid[span].sum())) * valid[span]
    return count


def _iterate(
    system: System,
    start: Float64,
    iterations: int,
    max_iterations: int,
    minchange: float,
    steps: int,
    silent: bool,
) -> tuple[Float64, Float64, bool]:
    """Run rounds of iterations until the first one that may be the last."""
    state = system.begin(start)
    trace = np.zeros((0, 2))
    while True:
        steps = min(steps, max_iterations - len(trace))
        ahead, partial = system.advance(state, steps)
        n = len(ahead)
        done = hold([*ahead, *partial], title=f"balancing, {len(trace)} iterations", silent=silent)
        added = system.join(run(done[n:], silent=True))
        last, converged = _stop(trace, added, iterations, minchange)
        trace = np.concatenate([trace, added[: len(added) if last is None else last]])
        if last is None and len(trace) < max_iterations:
            state = done[:n]
            continue
        if last is not None and last < steps:
            done, _ = system.advance(state, last)
        return system.gather(run(done[:n], silent=silent)), trace, converged


def _stop(
    trace: Float64, added: Float64, iterations: int, minchange: float
) -> tuple[int | None, bool]:
    """Number of the added iterations to keep, None for all and more; and whether they converged."""
    for k, change in enumerate(added[:, 1], 1):
        if not np.isfinite(change):
            raise ConvergenceError("the corrections have grown beyond all bounds")
        if change < FIXED_POINT or (len(trace) + k >= iterations and change < minchange):
            return k, True
    return None, False


def _finish(
    problem: Problem,
    given: NDArray[np.float32],
    kept: Int32,
    values: Float64,
    used: NDArray[np.bool_],
    trace: Float64,
    converged: bool,
    possible: NDArray[np.int64],
) -> ExpressResult:
    """Scale every chromosome so that c_i c_j is 1 on average over i != j (spec: chi)."""
    units = problem.units
    corrections = given.astype(np.float64)
    means = None if problem.distance is None else problem.distance[1].astype(np.float64)
    for chrom in problem.chroms:
        span = units.span(chrom)
        corrections[span] = problem.valid[span]
        own = np.flatnonzero(used[span]) + span.start
        if len(own) > 1:
            c = values[own]
            chi = (c.sum() ** 2 - (c**2).sum()) / (len(c) * (len(c) - 1))
            if means is not None:
                means[chrom] += np.log(chi)
            values[own] = c / np.sqrt(chi)
        corrections[own] = values[own]
    corrections[kept == 0] = 0
    unused = np.flatnonzero((problem.valid > 0) & ~used)
    if len(unused):
        warnings.warn(
            f"{len(unused)} units in use have no pair that can be used; their correction is 1. "
            "filter_fends with mininteractions=1 or more removes them",
            HifiveDaskWarning,
            stacklevel=4,
        )
    return ExpressResult(
        corrections.astype(np.float32),
        None if means is None else means.astype(np.float32),
        kept,
        trace,
        converged,
        possible,
        unused,
    )
