"""The joint Poisson model of a genome: corrections, distance function, means of chromosomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import hold, run
from hifive_dask._graph.spans import group_rows
from hifive_dask._kernels.distance import observed_sums
from hifive_dask._store.checkpoint import Checkpoint
from hifive_dask._store.pairs import PairStore
from hifive_dask.about import counted
from hifive_dask.errors import HifiveDaskWarning, StateError, warn
from hifive_dask.genome.partition import Units
from hifive_dask.model.checks import check_length
from hifive_dask.model.chromosomes import Problem, plan, used_rows
from hifive_dask.model.convergence import OnNonconvergence, report
from hifive_dask.model.descent import HIGHEST, LOWEST, Limits
from hifive_dask.model.distance import log_thresholds
from hifive_dask.model.expected_sums import (
    UNLIMITED,
    DistanceBins,
    ExpectedSums,
    PowerLaw,
    Sums,
    sums_of_chromosomes,
)
from hifive_dask.model.filtering import check_window
from hifive_dask.model.joint import Fit, JointState, advance, begin, mean_product
from hifive_dask.model.knots import Knots, find_knots, fine_bins
from hifive_dask.model.probability import ProbabilityResult, Settings
from hifive_dask.model.rows import Piece, cis_groups, cis_pieces, group_span

__all__ = ["fit_jointly"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

_TOGETHER = 20_000  # units of chromosomes that share a task


def fit_jointly(
    units: Units,
    valid: Int32,
    store: PairStore,
    corrections: Float32,
    chromosome_means: Float32,
    settings: Settings,
    *,
    distance_sums: Mapping[str, NDArray[Any]],
) -> ProbabilityResult:
    """Fit corrections and distance function together; see `hifive_dask.model.joint`.

    Parameters
    ----------
    units, valid, store
        The genome, the filter (int32), the pairs.
    corrections, chromosome_means
        float32 (N) and (C): of what is not chosen, and where to start without `precalculate`, which
        begins with corrections of 1.
    settings
        The distance function, which is kept unless all chromosomes are chosen, and when to stop; no
        step is shortened by `learningstep`.
    distance_sums
        Of the distance bins, as `fit_distance` found them: possible, signal, mean_log_distance,
        edges.

    Raises
    ------
    ParameterError, StateError, ConvergenceError
    """
    limits = settings.limits()
    check_length("corrections", corrections, units)
    chroms, parameters = sorted(set(settings.chroms)), settings.parameters
    problem = plan(
        units, valid, chroms, parameters=parameters, binomial=False, start=None, limits=limits,
        window=check_window(settings.mindistance, settings.maxdistance, "cis"),
    )  # fmt: skip
    problem = _with_themselves(problem, valid, chroms)
    silent = settings.silent
    seen = _observe(problem, store, chroms, _classes(problem, distance_sums), silent)
    everything = len(chroms) == len(units.chromosomes)
    knots = _knots(problem, valid, parameters, distance_sums, seen) if everything else None
    chosen = _Chosen.of(problem, chroms, seen, knots)
    fit = _plan_fit(chosen, seen, silent)
    start = np.ones(len(chosen.used))
    if not settings.precalculate:
        level = np.exp(0.5 * chromosome_means.astype(np.float64))
        given = corrections[chosen.used].astype(np.float64)
        start = np.where(given > 0, given, 1.0) * level[units.chromosome[chosen.used]]
    kept = Checkpoint(
        settings.checkpoint, "joint", store.token, repr((problem.window, limits, chroms)),
        units.mid, units.offset, problem.used, parameters, start,
    )  # fmt: skip
    state = _iterate(fit, start, limits, kept)
    bins = len(distance_sums.get("possible", ()))
    result = _finish(chosen, valid, corrections, chromosome_means, bins, fit, state)
    _tell(chosen, result, fit, state, settings.on_nonconvergence)
    return result


def _with_themselves(problem: Problem, valid: Int32, chroms: Sequence[int]) -> Problem:
    """Fit bins that have no other partner than themselves, too, as maps show them."""
    units = problem.units
    if units.fends or problem.window[0] > 0:
        return problem
    used = (valid > 0) & np.isin(units.chromosome, chroms)
    return problem._replace(used=used.astype(np.int32))


class _Chosen(NamedTuple):
    """What is fitted.

    Parameters
    ----------
    problem
        The genome, and which pairs are used.
    chroms
        Chromosomes.
    reads
        float64 (C): cis reads.
    used
        int64 (n): units in use on chromosomes with reads.
    ends
        int64 (C + 1): ranges of `used` of each chromosome.
    knots
        Of the distance function; None if it is kept.
    """

    problem: Problem
    chroms: Sequence[int]
    reads: Float64
    used: Int64
    ends: Int64
    knots: Knots | None

    @classmethod
    def of(
        cls, problem: Problem, chroms: Sequence[int], seen: _Seen, knots: Knots | None
    ) -> _Chosen:
        units = problem.units
        reads = np.bincount(units.chromosome, seen.units, len(units.chromosomes)) / 2
        used = np.flatnonzero((problem.used > 0) & (reads > 0)[units.chromosome])
        return cls(problem, chroms, reads, used, np.searchsorted(used, units.offset), knots)

    @property
    def unread(self) -> list[str]:
        """Names of chromosomes with pairs of units in use, but without reads."""
        units, used = self.problem.units, self.problem.used
        without = (c for c in self.chroms if not self.reads[c] and used[units.span(c)].any())
        return [units.chromosomes[c] for c in without]


def _iterate(fit: Fit, start: Float64, limits: Limits, checkpoint: Checkpoint) -> JointState:
    saved = checkpoint.restore()
    state = begin(fit, start) if saved is None else _restored(saved)
    while len(fit.observed) and not state.converged and len(state.trace) <= limits.max_iterations:
        state = advance(fit, state, limits.minchange)
        checkpoint.save(state._asdict())
    checkpoint.remove()
    return state


def _restored(saved: dict[str, NDArray[Any]]) -> JointState:
    values: dict[str, Any] = {**saved, "converged": bool(saved["converged"])}
    return JointState(**values)


# What was observed


class _Seen(NamedTuple):
    """Reads of the pairs in use.

    Parameters
    ----------
    units
        float64 (N): of every unit; those of a bin with itself count twice.
    thresholds
        int64 (classes - 1), bp.
    reads, logs
        float64 (classes): reads, and reads times ln(distance), in classes of distance.
    """

    units: Float64
    thresholds: Int64
    reads: Float64
    logs: Float64

    def within(self, thresholds: Int64) -> tuple[Float64, Float64]:
        """Reads and logs in wider classes."""
        own = np.searchsorted(thresholds, np.r_[self.thresholds, UNLIMITED])
        size = len(thresholds) + 1
        reads, logs = (np.bincount(own, each, size) for each in (self.reads, self.logs))
        return reads.astype(np.float64), logs.astype(np.float64)


def _classes(problem: Problem, sums: Mapping[str, NDArray[Any]]) -> Int64:
    """int64: thresholds, in bp, of all bins and segments there can be."""
    given = [problem.segments.thresholds]
    if "edges" in sums:
        means = np.asarray(sums["mean_log_distance"], dtype=np.float32)
        given += [fine_bins(sums["edges"], fends=problem.units.fends)]
        given.append(log_thresholds(means[means >= 0]))
    return np.unique(np.concatenate(given))


def _observe(
    problem: Problem, store: PairStore, chroms: Sequence[int], thresholds: Int64, silent: bool
) -> _Seen:
    shared, task = dask.delayed(problem), dask.delayed(_observe_pieces, pure=True)
    lazy, spans = [], []
    for group in cis_groups(store, chroms):
        span = group_span(problem.units, group)
        pieces = cis_pieces(store, group)
        for batch in [[piece] for piece in pieces] if len(group) == 1 else [pieces]:
            lazy.append(task(batch, (span.start, span.stop), group, shared, thresholds))
            spans.append(span)
    seen = _Seen(np.zeros(len(problem.units)), thresholds, *np.zeros((2, len(thresholds) + 1)))
    found: list[_Seen] = run(lazy, title="reading pairs", silent=silent)
    for span, part in zip(spans, found, strict=True):
        seen.units[span] += part.units
        seen.reads[:] += part.reads
        seen.logs[:] += part.logs
    return seen


def _observe_pieces(
    pieces: Sequence[Piece],
    span: tuple[int, int],
    group: Sequence[int],
    problem: Problem,
    thresholds: Int64,
) -> _Seen:
    units = problem.units
    first, second, count = used_rows(pieces, problem)
    own = np.isin(units.chromosome[first], group)  # pieces can hold rows of others
    first, second, count = first[own], second[own], count[own]
    size = span[1] - span[0]
    total = np.bincount(first - span[0], count, size) + np.bincount(second - span[0], count, size)
    _, reads, logs = observed_sums(first, second, count.astype(np.float64), units.mid, thresholds)
    return _Seen(total.astype(np.float64), thresholds, reads, logs)


def _knots(
    problem: Problem,
    valid: Int32,
    parameters: Float32,
    sums: Mapping[str, NDArray[Any]],
    seen: _Seen,
) -> Knots:
    if "edges" not in sums:
        raise StateError(
            "refit_distance=True needs the distance bins, which this project does not hold; call "
            "find_distance_parameters again"
        )
    fends = problem.units.fends
    reads, _ = seen.within(fine_bins(sums["edges"], fends=fends))
    itself = 0 if fends else int(np.count_nonzero(valid))
    knots = find_knots(sums, parameters, reads, _window(problem), itself=itself)
    if knots.moving.sum() < 2 + knots.apart:
        raise StateError(
            f"only {knots.moving.sum()} distance bins have reads, {2 + knots.apart} are needed; "
            "widen the window, keep more fends, or use refit_distance=False"
        )
    return knots


def _window(problem: Problem) -> tuple[int, int]:
    low, high = problem.window
    return low, high or UNLIMITED


# What is expected


def _plan_fit(chosen: _Chosen, seen: _Seen, silent: bool) -> Fit:
    """Prepare the sums over all possible pairs, in tasks of whole chromosomes."""
    problem, knots = chosen.problem, chosen.knots
    window = _window(problem)
    if knots is None:
        _, slope, intercept = problem.segments
        given = PowerLaw(slope, np.where(np.isneginf(intercept), 0.0, intercept))
        none = np.zeros(0, dtype=np.int64)
        bins = DistanceBins(none, problem.segments.thresholds, window)
    else:
        bins = DistanceBins(knots.bins, knots.segments, window)
    reads, logs = seen.within(bins.segments)

    def law(moved: Float64) -> PowerLaw:
        return given if knots is None else knots.moved(moved).law()

    def log_likelihood(law: PowerLaw) -> float:
        return float((law.slope * logs + law.intercept * reads).sum())

    moving = np.zeros(0) if knots is None else seen.within(knots.bins)[0]
    expected = _prepare(chosen, bins, silent)
    return Fit(chosen.ends, seen.units[chosen.used], moving, law, log_likelihood, expected)


@dataclass(frozen=True)
class _Expected:
    """Sums over all possible pairs, by tasks that hold what they need."""

    ranges: Sequence[tuple[int, int]]  # of the units of each task
    held: Sequence[Any]
    silent: bool

    def __call__(self, weight: Float64, law: PowerLaw) -> Sums:
        task = dask.delayed(_sum_all, pure=False)
        lazy = [
            task(held, weight[lo:hi], law)
            for (lo, hi), held in zip(self.ranges, self.held, strict=True)
        ]
        return Sums.joined(run(lazy, title="fitting reads", silent=self.silent))


def _prepare(chosen: _Chosen, bins: DistanceBins, silent: bool) -> _Expected:
    units, used = chosen.problem.units, chosen.used
    ranges = [(int(lo), int(hi)) for lo, hi in pairwise(chosen.ends) if lo < hi]
    groups = group_rows(ranges, [hi - lo for lo, hi in ranges], _TOGETHER)
    task = dask.delayed(sums_of_chromosomes, pure=True)
    lazy = []
    for group in groups:
        parts = []
        for lo, hi in group:
            own = used[lo:hi]
            start = units.offset[units.chromosome[own[0]]]
            parts.append((units.mid[own].astype(np.int64), own - start))
        lazy.append(task(parts, bins, fends=units.fends))
    whole = [(group[0][0], group[-1][1]) for group in groups]
    return _Expected(whole, hold(lazy, title="positions", silent=silent), silent)


def _sum_all(pairs: ExpectedSums, weight: Float64, law: PowerLaw) -> Sums:
    return pairs(weight, law)


# The end


def _finish(
    chosen: _Chosen,
    valid: Int32,
    given: Float32,
    given_means: Float32,
    bins: int,
    fit: Fit,
    state: JointState,
) -> ProbabilityResult:
    """Fix what is free: c_i c_j is 1 on average, and the mean of the means over all reads 0."""
    problem, reads = chosen.problem, chosen.reads
    corrections, means = given.astype(np.float64), given_means.astype(np.float64)
    own = np.isin(problem.units.chromosome, chosen.chroms)
    corrections[own], means[list(chosen.chroms)] = 1.0, 0.0
    logs, moved = np.split(state.point, [len(fit.observed)])
    scale = np.log(mean_product(np.exp(logs), fit.ends))
    corrections[chosen.used] = np.exp(logs - 0.5 * fit.spread(scale))
    corrections[valid == 0] = 0
    read = np.diff(fit.ends) > 0
    means[read] = scale[read]
    table = signal = None
    if chosen.knots is not None:
        level = float((reads * means)[read].sum()) / max(1.0, float(reads[read].sum()))
        means[read] -= level
        knots = chosen.knots.moved(moved)
        knots = knots._replace(value=knots.value + level)
        table, signal = knots.table(), knots.signal(bins)
    return ProbabilityResult(
        corrections.astype(np.float32),
        means.astype(np.float32),
        state.trace,
        {},
        state.converged or not len(fit.observed),
        (),
        problem.possible,
        np.flatnonzero(own & (valid > 0) & (problem.used == 0)),
        chosen.used[fit.observed == 0],
        table,
        signal,
    )


def _tell(
    chosen: _Chosen,
    result: ProbabilityResult,
    fit: Fit,
    state: JointState,
    policy: OnNonconvergence,
) -> None:
    kind = chosen.problem.units.unit
    notes = []
    if chosen.unread:
        more = f" and {len(chosen.unread) - 5} more" if len(chosen.unread) > 5 else ""
        names = ", ".join(chosen.unread[:5])
        notes.append(f"without cis reads: {names}{more}; their corrections are 1, their mean 0")
    if len(result.unused):
        notes.append(
            f"{counted(len(result.unused), kind)} without a possible partner: correction 1"
        )
    if len(result.unobserved):
        notes.append(
            f"{counted(len(result.unobserved), kind)} in use without reads: correction at the "
            f"lower limit, {LOWEST:g} of the mean"
        )
    logs = state.point[: len(fit.observed)]
    lowest, highest = fit.limits(logs)
    few = int(np.count_nonzero((logs <= lowest + 1e-6) & (fit.observed > 0)))
    if few:
        notes.append(
            f"{counted(few, kind)} with fewer reads than expected at the lower limit, {LOWEST:g} "
            "of the mean"
        )
    many = int(np.count_nonzero(logs >= highest - 1e-6))
    if many:
        notes.append(
            f"{counted(many, kind)} with more reads than expected at the upper limit, "
            f"{HIGHEST:g} times the mean"
        )
    if notes:
        warn("; ".join(notes), HifiveDaskWarning)
    if not result.converged:
        limit = chosen.problem.limits.minchange
        report(
            f"not converged after {len(state.trace) - 1} iterations: the largest residual is "
            f"{state.trace[-1, 1]:.3g}, the limit {limit:.3g}; raise max_iterations or minchange, "
            "or filter more strictly",
            policy,
        )
