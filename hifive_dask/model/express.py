"""Express and Knight-Ruiz: corrections by balancing the weighted matrix of observed pairs.

Weights stay where they were read; an iteration is a sparse product there, and only its cost and
change come back. Chromosomes do not touch each other in cis reads, so a task runs many iterations
of its chromosomes; with trans reads, or a chromosome too large for one task, the partial products
of all spans of rows are joined in every iteration. Where a round of plain iterations holds the one
at which all have converged, it is run again up to there: the result is that of the simultaneous
iteration. The accelerated iteration and Knight-Ruiz make steps of conjugate gradients instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.possible import possible_cis
from hifive_dask._store.checkpoint import Checkpoint
from hifive_dask._store.pairs import PairStore
from hifive_dask._store.places import Location
from hifive_dask.errors import HifiveDaskWarning, ParameterError, StateError, warn
from hifive_dask.genome.partition import Units
from hifive_dask.model.checks import check_length, whole_number
from hifive_dask.model.convergence import OnNonconvergence, check_limits, report
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.filtering import UseReads, check_window, filter_units
from hifive_dask.model.iterations import Balancing, Limits, Method, not_converged, solve
from hifive_dask.model.rows import longest_distance
from hifive_dask.model.systems import CisSystem, SpanSystem, System
from hifive_dask.model.weights import Problem

__all__ = ["ExpressResult", "Method", "balance", "mean_product", "possible_partners"]

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]

ONE_TASK = 1 << 25  # cis rows of a chromosome that one task may own


@dataclass(frozen=True)
class ExpressResult:
    """What the balancing found.

    Parameters
    ----------
    corrections
        float32 (N): 0 for units not in use; units outside the chosen chromosomes as given.
    chromosome_means
        float32 (C), natural log; None if no distance dependence was given.
    scales
        float64 (C): factors with which the corrections of all chosen chromosomes balance as one
        matrix; NaN for others. None if a distance dependence was given: levels of chromosomes are
        in `chromosome_means` then.
    valid
        int32 (N): the filter afterwards.
    trace
        float64 (iterations, 2): cost sqrt(sum (q_i - 1)^2) and change max abs(sqrt(q_i) - 1),
        before each update of the plain iteration, else after each product with the matrix. For
        Knight-Ruiz q_i is the sum of row i, and so the cost is the residual.
    converged
        Whether the goal was reached.
    possible
        int64 (N): possible partners of every unit in use.
    unused
        Indices of units in use without any pair; they keep 1.
    """

    corrections: NDArray[np.float32]
    chromosome_means: NDArray[np.float32] | None
    scales: Float64 | None
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
    binning: BinningModel | None = None,
    method: Method = "plain",
    on_nonconvergence: OnNonconvergence = "warn",
    checkpoint: Location | None = None,
    silent: bool = False,
) -> ExpressResult:
    """Find c with mean_j n_ij / (m_ij c_i c_j) = 1 over the possible partners j of each unit i.

    Knight-Ruiz: with a sum of 1 in place of the mean, which differs by a factor if all units have
    equally many possible partners.

    Parameters
    ----------
    units, valid, store
        The genome, the filter (int32), the pairs.
    corrections
        float32 (N): where to start.
    iterations, max_iterations
        Least and largest number of iterations; the least is for the plain ones.
    minchange
        Convergence: largest relative change of a correction; for Knight-Ruiz the 2-norm of row sums
        minus 1 of every independent problem.
    mindistance, maxdistance
        bp: cis rows with ``mindistance <= d < maxdistance`` are used; 0 stands for the longest
        distance of any stored pair, plus 1, and for Knight-Ruiz for no limit.
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
    binning
        Model whose factors are divided out of all rows.
    method
        The plain iteration; conjugate gradients for the same corrections; or Knight-Ruiz.
    on_nonconvergence
        What to do at `max_iterations`.
    checkpoint
        File in which the state is kept between rounds of iterations, and from which they go on.
    silent
        No progress.

    Raises
    ------
    ParameterError, StateError, ConvergenceError
    """
    limits = Limits(
        whole_number("iterations", iterations),
        whole_number("max_iterations", max_iterations),
        minchange,
    )
    _validate(limits, method, on_nonconvergence)
    mindistance, maxdistance = check_window(mindistance, maxdistance, usereads)
    check_length("the filter", valid, units)
    check_length("corrections", corrections, units)
    chroms = tuple(sorted(set(chroms)))
    least = max(1, whole_number("mininteractions", mininteractions))
    window = (mindistance, maxdistance)
    kept, chosen = _select(units, valid, store, chroms, window, usereads, least, silent)
    if not maxdistance and usereads != "trans" and method != "knight-ruiz":
        # Partners farther apart than any pair that was seen do not count as possible.
        window = (mindistance, longest_distance(units, store, silent=silent) + 1)
    problem = Problem(
        units,
        chosen,
        store,
        chroms,
        window,
        usereads,
        distance,
        binary,
        binning,
        diagonal=1 if method == "knight-ruiz" else 2,
    )
    possible = possible_partners(problem)
    start = np.where((chosen > 0) & (corrections > 0), corrections, 1.0).astype(np.float64)
    if method == "knight-ruiz":
        start = np.ones_like(start)
    keep = _checkpoint(checkpoint, problem, start, limits, method)
    rows = max((hi - lo for lo, hi in (store.block_rows(c, c) for c in chroms)), default=0)
    spans = usereads != "cis" or rows > ONE_TASK
    system: System = (SpanSystem if spans else CisSystem)(problem, possible, silent)
    balancing = Balancing(problem, system, start, possible, limits, method, keep, silent)
    values, trace, converged = solve(balancing)
    keep.remove()  # also if it has not converged: with other limits it begins again
    if not converged and on_nonconvergence != "ignore":
        report(not_converged(balancing, values, trace), on_nonconvergence)
    return _finish(balancing, corrections, kept, values, trace, converged)


def _validate(limits: Limits, method: str, policy: str) -> None:
    iterations, max_iterations, minchange = limits
    if max_iterations < 1 or (method == "plain" and not 0 < iterations <= max_iterations):
        raise ParameterError(
            f"iterations is {iterations}, expected 1 to max_iterations ({max_iterations})"
        )
    check_limits(minchange, policy)


def _select(
    units: Units,
    valid: Int32,
    store: PairStore,
    chroms: Sequence[int],
    window: tuple[int, int],
    usereads: UseReads,
    least: int,
    silent: bool,
) -> tuple[Int32, Int32]:
    """The filter afterwards, and the units to learn."""
    chosen = np.zeros(len(units), dtype=np.int32)
    for chrom in chroms:
        chosen[units.span(chrom)] = valid[units.span(chrom)] > 0
    kept = valid.copy()
    if window[0] > 0 or usereads == "trans":
        core = filter_units(
            units,
            chosen,
            store,
            mininteractions=least,
            mindistance=window[0],
            maxdistance=window[1],
            usereads=usereads,
            silent=silent,
        )
        kept[(chosen > 0) & (core == 0)] = 0
        chosen = core
    if not chosen.any():
        raise StateError(
            f"no {units.unit} of the chosen chromosomes is in use; see filter_fends and "
            "reset_filter"
        )
    return kept, chosen


def _checkpoint(
    path: Location | None,
    problem: Problem,
    start: Float64,
    limits: Limits,
    method: Method,
) -> Checkpoint:
    """The file of this very computation."""
    if path is None:
        return Checkpoint(None)
    model = problem.binning
    return Checkpoint(
        path,
        "balance",
        method,
        problem.store.token,
        problem.units.mid,
        problem.units.offset,
        problem.valid,
        start,
        problem.chroms,
        problem.window,
        problem.usereads,
        problem.binary,
        limits,
        *(problem.distance or ()),
        "binning",
        *(() if model is None else (model.fend_indices, model.corrections)),
    )


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


def _finish(
    balancing: Balancing,
    given: NDArray[np.float32],
    kept: Int32,
    values: Float64,
    trace: Float64,
    converged: bool,
) -> ExpressResult:
    """Scale every chromosome so that c_i c_j is 1 on average over i != j."""
    problem, used, possible = balancing.problem, balancing.system.used, balancing.possible
    units = problem.units
    corrections = given.astype(np.float64)
    means = None if problem.distance is None else problem.distance[1].astype(np.float64)
    scales = np.full(len(units.chromosomes), np.nan) if means is None else None
    whole = np.sqrt(mean_product(values[used & (problem.valid > 0)]))
    for chrom in problem.chroms:
        span = units.span(chrom)
        corrections[span] = problem.valid[span]
        own = np.flatnonzero(used[span]) + span.start
        if len(own) > 1:
            chi = mean_product(values[own])
            if means is not None:
                means[chrom] += np.log(chi / _terms(balancing, own))
            corrections[own] = values[own] / np.sqrt(chi)
        if scales is not None:
            scales[chrom] = values[own[0]] / corrections[own[0]] / whole if len(own) else 1.0
    corrections[kept == 0] = 0
    _report_single(problem, used)
    unused = np.flatnonzero((problem.valid > 0) & ~used)
    if len(unused):
        warn(
            f"{len(unused)} {problem.units.unit}s in use have no pair that can be used; their "
            "correction is 1. filter_fends with mininteractions=1 or more removes them",
            HifiveDaskWarning,
        )
    return ExpressResult(
        corrections.astype(np.float32),
        None if means is None else means.astype(np.float32),
        scales,
        kept,
        trace,
        converged,
        possible,
        unused,
    )


def mean_product(c: Float64) -> float:
    """Mean of c_i c_j over i != j; of a single one its square."""
    n = len(c)
    return float((c.sum() ** 2 - (c**2).sum()) / (n * (n - 1)) if n > 1 else (c**2).sum() or 1.0)


def _terms(balancing: Balancing, own: NDArray[np.intp]) -> float:
    """What the sum over a row of a balanced chromosome has in place of a mean of 1."""
    if balancing.method != "knight-ruiz":
        return 1.0
    alone = balancing.problem.usereads == "cis"
    return float(balancing.possible[own if alone else balancing.system.used].mean())


def _report_single(problem: Problem, used: NDArray[np.bool_]) -> None:
    """Warn of chromosomes with one usable unit: they have a correction of 1, and no mean."""
    units = problem.units
    single = [units.chromosomes[c] for c in problem.chroms if used[units.span(c)].sum() == 1]
    if single:
        warn(
            f"{len(single)} chromosomes have only one {units.unit} with pairs, whose "
            "correction is 1: "
            f"{', '.join(single[:5])}{', ...' if len(single) > 5 else ''}",
            HifiveDaskWarning,
        )
