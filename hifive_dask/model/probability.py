"""Probability: corrections under which the reads of all possible cis pairs are most likely.

Chromosomes do not touch each other. Small ones are learned whole in one task, together with their
neighbours; for a large one many tasks sum the likelihood, and the caller takes the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import hold, run
from hifive_dask._store.checkpoint import Checkpoint
from hifive_dask._store.pairs import PairStore
from hifive_dask._store.places import Location
from hifive_dask.errors import HifiveDaskWarning, ParameterError, warn
from hifive_dask.genome.partition import Units
from hifive_dask.model.checks import check_length, whole_number
from hifive_dask.model.chromosomes import (
    Problem,
    chromosome_of,
    likelihoods,
    observe_rows,
    plan,
    used_rows,
)
from hifive_dask.model.convergence import OnNonconvergence, check_limits, report
from hifive_dask.model.descent import HIGHEST, LOWEST, Limits, State, begin, descend
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.filtering import check_window
from hifive_dask.model.likelihood import (
    Chromosome,
    Likelihood,
    Observed,
    Part,
    Spread,
    dense_part,
    list_part,
)
from hifive_dask.model.rows import Piece, cis_groups, cis_pieces

__all__ = ["Model", "ProbabilityResult", "Settings", "maximize"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Model = Literal["binomial", "poisson"]

SPREAD = 20_000  # units of a chromosome that one task learns
SPREAD_PLAIN = 4_000  # the same where pairs are visited one by one
TASKS = 8  # of a larger chromosome


@dataclass(frozen=True)
class ProbabilityResult:
    """What the descent found.

    Parameters
    ----------
    corrections
        float32 (N): 0 for units not in use; units outside the chosen chromosomes as given.
    chromosome_means
        float32 (C): natural log; others than the chosen ones as given.
    trace
        float64 (iterations + 1, 2): cost, summed over the chromosomes, and largest change, at the
        start and after every iteration; see `hifive_dask.model.descent`.
    traces
        The same of each chromosome that was learned by itself, by its index.
    converged
        Whether all chromosomes did.
    stalled
        Indices of chromosomes where no step lowered the cost any more.
    possible
        int64 (N): possible partners of every chosen unit in use.
    unused
        Indices of units in use without any possible partner, or on a chromosome without pairs;
        they have 1.
    unobserved
        Indices of other units in use without any pair.
    distance_parameters, signal
        float32 (segments, 3) and float64 (distance bins), if the distance function was fitted, too:
        its lines, and reads over what corrections make of them, as in `DistanceModel`.
    """

    corrections: Float32
    chromosome_means: Float32
    trace: Float64
    traces: dict[int, Float64]
    converged: bool
    stalled: tuple[int, ...]
    possible: Int64
    unused: NDArray[np.intp]
    unobserved: NDArray[np.intp]
    distance_parameters: Float32 | None = None
    signal: Float64 | None = None


class _Fit(NamedTuple):
    """A chromosome that was learned; nothing without observed pairs."""

    corrections: Float64
    observed: Float64
    trace: Float64
    outcome: int  # as in `State`


@dataclass(frozen=True)
class Settings:
    """What a fit of corrections needs besides the reads, as a user gave it.

    Parameters
    ----------
    parameters
        float32 (segments, 3): what is expected at a distance, of reads or of their presence.
    chroms
        Indices of the chromosomes to learn.
    mindistance, maxdistance
        bp: cis pairs with ``mindistance <= d <= maxdistance``; 0 is no upper limit.
    minchange, max_iterations, learningstep
        When to stop, and how far to step; see `hifive_dask.model.descent` and `.joint`.
    precalculate
        Begin afresh, not with the present corrections.
    on_nonconvergence
        What to do at `max_iterations`, or if no step lowers the cost.
    checkpoint
        File that keeps unfinished work.
    silent
        No progress.
    """

    parameters: Float32
    chroms: Sequence[int]
    mindistance: int = 0
    maxdistance: int = 0
    minchange: float = 1e-4
    max_iterations: int = 1000
    learningstep: float = 0.5
    precalculate: bool = True
    on_nonconvergence: OnNonconvergence = "warn"
    checkpoint: Location | None = None
    silent: bool = False

    def limits(self) -> Limits:
        """When to stop; `ParameterError` for values out of range."""
        max_iterations = whole_number("max_iterations", self.max_iterations)
        if max_iterations < 1:
            raise ParameterError(f"max_iterations is {max_iterations}, expected 1 or more")
        step = self.learningstep
        if not isinstance(step, int | float | np.number) or not 0 < step < 1:
            raise ParameterError(f"learningstep is {step!r}, expected a number between 0 and 1")
        check_limits(self.minchange, self.on_nonconvergence)
        return Limits(float(self.minchange), max_iterations, float(step))


def maximize(
    units: Units,
    valid: Int32,
    store: PairStore,
    corrections: Float32,
    chromosome_means: Float32,
    settings: Settings,
    *,
    model: Model,
    binning: BinningModel | None = None,
) -> ProbabilityResult:
    """Find the corrections c for which the reads are most likely, m c_i c_j being expected.

    Parameters
    ----------
    units, valid, store
        The genome, the filter (int32), the pairs.
    corrections
        float32 (N): of units on other chromosomes, and where to start without `precalculate`, which
        begins with observed over expected reads of every unit.
    chromosome_means
        float32 (C).
    settings
        What is expected, and when to stop.
    model
        ``"poisson"`` for reads, ``"binomial"`` for their presence.
    binning
        Factors of pairs that are expected, too.

    Raises
    ------
    ParameterError, StateError, ConvergenceError
    """
    if model not in get_args(Model):
        raise ParameterError(f"model is {model!r}, expected 'binomial' or 'poisson'")
    limits = settings.limits()
    check_length("corrections", corrections, units)
    chroms = sorted(set(settings.chroms))
    problem = plan(
        units,
        valid,
        chroms,
        parameters=settings.parameters,
        window=check_window(settings.mindistance, settings.maxdistance, "cis"),
        binomial=model == "binomial",
        start=None if settings.precalculate else corrections,
        limits=limits,
        binning=binning,
    )
    fits = _learn(problem, store, chroms, settings.checkpoint, settings.silent)
    result = _finish(problem, valid, corrections, chromosome_means, chroms, fits)
    _tell(problem, fits, result, settings.on_nonconvergence)
    return result


# Learning


def _learn(
    problem: Problem,
    store: PairStore,
    chroms: Sequence[int],
    path: Location | None,
    silent: bool,
) -> dict[int, _Fit]:
    """Learn all chromosomes; what is complete, and the current large one, is kept in the file."""
    checkpoint = Checkpoint(path, *_identity(problem, store, chroms))
    fits, state = _unpack(checkpoint.restore())
    sizes = {c: int(problem.used[problem.units.span(c)].sum()) for c in chroms}
    most = SPREAD if problem.binning is None else SPREAD_PLAIN
    small = [c for c in chroms if 0 < sizes[c] <= most and c not in fits]
    if small:
        shared = dask.delayed(problem)
        groups = cis_groups(store, small)
        task = dask.delayed(_fit_group, pure=True)
        lazy = [task(cis_pieces(store, group), group, shared) for group in groups]
        found = run(lazy, title="maximizing the likelihood", silent=silent)
        for group, parts in zip(groups, found, strict=True):
            fits.update(zip(group, parts, strict=True))
        checkpoint.save(_pack(fits))
    for chrom in chroms:
        if sizes[chrom] > most and chrom not in fits:
            fits[chrom] = _fit_large(problem, store, chrom, state, fits, checkpoint, silent)
            state = None
    checkpoint.remove()
    return fits


def _fit_group(pieces: Sequence[Piece], group: Sequence[int], problem: Problem) -> list[_Fit]:
    first, second, count = used_rows(pieces, problem)
    edges = np.searchsorted(first, problem.units.offset)
    fits = []
    for chrom in group:
        own = slice(edges[chrom], edges[chrom + 1])
        whole, linear = likelihoods(problem, chrom, (first[own], second[own], count[own]))
        fits.append(_fit(problem, chrom, whole, linear))
    return fits


def _observe_pieces(
    pieces: Sequence[Piece], chromosome: Chromosome, chrom: int, problem: Problem
) -> Observed:
    first, second, count = used_rows(pieces, problem)
    own = problem.units.chromosome[first] == chrom  # pieces can hold rows of others
    return observe_rows(problem, chromosome, chrom, (first[own], second[own], count[own]))


def _fit_large(
    problem: Problem,
    store: PairStore,
    chrom: int,
    state: State | None,
    fits: dict[int, _Fit],
    checkpoint: Checkpoint,
    silent: bool,
) -> _Fit:
    name = problem.units.chromosomes[chrom]
    chromosome = chromosome_of(problem, chrom)
    shared, settings = dask.delayed(chromosome), dask.delayed(problem)
    see, dense, listed = (
        dask.delayed(f, pure=True) for f in (_observe_pieces, dense_part, list_part)
    )
    seen = [see([piece], shared, chrom, settings) for piece in cis_pieces(store, [chrom])]
    binomial = problem.binomial
    lazy = [*(dense(shared, k, TASKS, binomial) for k in range(TASKS)), listed(shared)]
    held = hold([*lazy, *seen], title=f"reading {name}", silent=silent)
    parts, seen = held[: len(lazy)], held[len(lazy) :]
    totals = run([dask.delayed(_total)(one) for one in seen], silent=True)
    total = np.sum([one[0] for one in totals], axis=0) + np.zeros(len(chromosome.mid))
    linear = parts
    if binomial:
        linear = [*(dense(shared, k, TASKS, False) for k in range(TASKS)), listed(shared)]
        parts = [*parts, *(dask.delayed(_part)(one) for one in seen)]
    title = f"maximizing the likelihood of {name}"
    constant = float(sum(one[1] for one in totals))
    likelihood = Spread(total, chromosome.possible, constant, problem.edges, parts, title, silent)
    means = Spread(total, chromosome.possible, 0.0, (0.0,), linear, title, silent)

    def save(state: State) -> None:
        checkpoint.save(_pack(fits, state))

    return _fit(problem, chrom, likelihood, means, state, save)


def _total(seen: Observed) -> tuple[Float64, float]:
    return seen.total, seen.constant


def _part(seen: Observed) -> Part:
    assert seen.part is not None
    return seen.part


def _fit(
    problem: Problem,
    chrom: int,
    likelihood: Likelihood,
    linear: Likelihood,
    state: State | None = None,
    save: Any = None,
) -> _Fit:
    """Find the minimum; `linear` sums what is expected, for the start."""
    if not likelihood.observed.any():
        return _Fit(np.ones(len(likelihood.observed)), likelihood.observed, np.zeros((0, 2)), 1)
    if state is None:
        start = _start(problem, chrom, likelihood.observed, linear)
        state = begin(likelihood, start, problem.limits)
    state = descend(likelihood, state, problem.limits, save)
    return _Fit(np.exp(state.point), likelihood.observed, state.trace, int(state.outcome))


def _start(problem: Problem, chrom: int, observed: Float64, linear: Likelihood) -> Float64:
    """Means of the units, as documented, or what was learned before.

    The binomial start is the root of the means, at most 1: most pairs without reads are then below
    the edges of the cost.
    """
    if problem.start is not None:
        span = problem.units.span(chrom)
        given = problem.start[span][problem.used[span] > 0].astype(np.float64)
        return np.where(given > 0, given, 1.0)
    expected = linear.terms(np.ones(len(observed)), 0.0).gradient
    means: Float64 = np.divide(observed, expected, out=np.ones_like(expected), where=expected > 0)
    return np.minimum(1.0, np.sqrt(means)) if problem.binomial else means


# Unfinished work


def _identity(problem: Problem, store: PairStore, chroms: Sequence[int]) -> list[Any]:
    units, binning = problem.units, problem.binning
    factors = [] if binning is None else [binning.fend_indices, binning.corrections]
    given = [] if problem.start is None else [problem.start]
    settings = (problem.window, problem.binomial, tuple(problem.limits), tuple(chroms))
    parts = [units.mid, units.offset, problem.used, *problem.segments, *factors, *given]
    return ["probability", store.token, repr(settings), *parts]


def _pack(fits: dict[int, _Fit], state: State | None = None) -> dict[str, Any]:
    packed = {
        f"fit/{chrom}/{name}": value
        for chrom, fit in fits.items()
        for name, value in fit._asdict().items()
    }
    if state is not None:
        packed |= {f"state/{name}": value for name, value in state._asdict().items()}
    return packed


def _unpack(packed: dict[str, NDArray[Any]] | None) -> tuple[dict[int, _Fit], State | None]:
    if packed is None:
        return {}, None
    chroms = sorted({int(name.split("/")[1]) for name in packed if name.startswith("fit/")})
    fits = {c: _Fit(**_under(packed, f"fit/{c}/")) for c in chroms}
    if "state/point" not in packed:
        return fits, None
    return fits, State(**_under(packed, "state/"))


def _under(packed: dict[str, NDArray[Any]], prefix: str) -> dict[str, Any]:
    return {k.removeprefix(prefix): v for k, v in packed.items() if k.startswith(prefix)}


# The end


def _finish(
    problem: Problem,
    valid: Int32,
    given: Float32,
    given_means: Float32,
    chroms: Sequence[int],
    fits: dict[int, _Fit],
) -> ProbabilityResult:
    """Scale every chromosome so that c_i c_j is 1 on average over i != j (spec: chi)."""
    units = problem.units
    corrections, means = given.astype(np.float64), given_means.astype(np.float64)
    unused, unobserved = [np.zeros(0, dtype=np.intp)], [np.zeros(0, dtype=np.intp)]
    for chrom in chroms:
        span = units.span(chrom)
        corrections[span] = valid[span] > 0
        means[chrom] = 0.0
        own = np.flatnonzero(problem.used[span]) + span.start
        fit = fits.get(chrom)
        if fit is None or not len(fit.trace):
            unused.append(np.flatnonzero(valid[span]) + span.start)
            continue
        c = fit.corrections
        chi = (c.sum() ** 2 - (c**2).sum()) / (len(c) * (len(c) - 1))
        means[chrom] = np.log(chi)
        corrections[own] = c / np.sqrt(chi)
        unused.append(np.flatnonzero((valid[span] > 0) & (problem.used[span] == 0)) + span.start)
        unobserved.append(own[fit.observed == 0])
    corrections[valid == 0] = 0
    traces = {chrom: fit.trace for chrom, fit in sorted(fits.items()) if len(fit.trace)}
    return ProbabilityResult(
        corrections.astype(np.float32),
        means.astype(np.float32),
        _joint_trace(list(traces.values())),
        traces,
        all(int(fit.outcome) == 1 for fit in fits.values()),
        tuple(chrom for chrom, fit in sorted(fits.items()) if int(fit.outcome) == 2),
        problem.possible,
        np.concatenate(unused),
        np.concatenate(unobserved),
    )


def _joint_trace(traces: Sequence[Float64]) -> Float64:
    """Sum of costs and largest change; chromosomes that are done keep theirs."""
    length = max(map(len, traces), default=0)
    padded = [np.pad(trace, ((0, length - len(trace)), (0, 0)), mode="edge") for trace in traces]
    if not padded:
        return np.zeros((0, 2))
    return np.stack([np.sum(padded, axis=0)[:, 0], np.max(padded, axis=0)[:, 1]], axis=1)


def _tell(
    problem: Problem, fits: dict[int, _Fit], result: ProbabilityResult, policy: OnNonconvergence
) -> None:
    notes = []
    if len(result.unused):
        notes.append(f"{len(result.unused)} have no pair that can be used; their correction is 1")
    if len(result.unobserved):
        notes.append(
            f"{len(result.unobserved)} have possible partners, but no observed pair; their "
            f"correction is at the lower limit, {LOWEST:g} before scaling"
        )
    full = sum(int((fit.corrections >= HIGHEST * (1 - 1e-12)).sum()) for fit in fits.values())
    if full:
        cure = "; all their possible pairs may be observed: use model='poisson'"
        notes.append(
            f"{full} are at the upper limit, {HIGHEST:g} before scaling"
            + (cure if problem.binomial else "")
        )
    if notes:
        warn(f"of the {problem.units.unit}s in use, {'; '.join(notes)}", HifiveDaskWarning)
    if result.converged:
        return
    names = [problem.units.chromosomes[c] for c, fit in sorted(fits.items()) if fit.outcome != 1]
    stalled = [problem.units.chromosomes[c] for c in result.stalled]
    steps = f"; no step lowers the cost any more on {', '.join(stalled)}" if stalled else ""
    report(
        f"not converged after {len(result.trace) - 1} iterations on {', '.join(names)}{steps}: the "
        f"change is {result.trace[-1, 1]:.3g}, the limit {problem.limits.minchange:.3g}; raise "
        "max_iterations or minchange, or filter more strictly",
        policy,
    )
