"""Rounds of iterations on a system: plain ones, or steps of `knight_ruiz`, and their end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import hold, run
from hifive_dask._store.checkpoint import Checkpoint
from hifive_dask.errors import ConvergenceError
from hifive_dask.model.convergence import name_units
from hifive_dask.model.knight_ruiz import (
    BOUND,
    FIXED_POINT,
    Goal,
    State,
    begin,
    finished,
    pack,
    spread,
    unfinished,
    unpack,
)
from hifive_dask.model.systems import System
from hifive_dask.model.weights import Problem

__all__ = ["Balancing", "Limits", "Method", "not_converged", "solve"]

Float64 = NDArray[np.float64]
Method = Literal["plain", "accelerated", "knight-ruiz"]
Found = tuple[Float64, Float64, bool]  # corrections (N), trace, whether they converged

_ROUND = 1 << 29  # entries visited per task and round: a second or two
_CHAINED = 128  # tasks of a round that wait for others; to make a graph of n takes time like n^2


class Limits(NamedTuple):
    """Least and largest number of iterations, and the change at which they may stop."""

    iterations: int
    max_iterations: int
    minchange: float


@dataclass(frozen=True)
class Balancing:
    """What is to be balanced, from where, and how.

    Parameters
    ----------
    problem, system
        What is wanted, and the weights.
    start
        float64 (N): first corrections.
    possible
        int64 (N): possible partners.
    limits, method
        When to stop, and the way there.
    keep
        Where states are kept between rounds.
    silent
        No progress.
    """

    problem: Problem
    system: System
    start: Float64
    possible: NDArray[np.int64]
    limits: Limits
    method: Method
    keep: Checkpoint
    silent: bool

    @property
    def steps(self) -> int:
        """Iterations of a round."""
        system, most = self.system, self.limits.max_iterations
        chained = _CHAINED // system.waiting_tasks
        return int(max(1, min(64, _ROUND // max(1, system.entries_per_task), chained, most)))

    @property
    def target(self) -> Float64:
        """What the sum over a row shall be, float64 (N)."""
        if self.method == "knight-ruiz":
            return np.ones(len(self.possible))
        return self.possible.astype(np.float64)


def solve(balancing: Balancing) -> Found:
    """Corrections, trace, and whether they converged."""
    return (_iterate if balancing.method == "plain" else _descend)(balancing)


def _iterate(balancing: Balancing) -> Found:
    """Run rounds of plain iterations until the first one that may be the last."""
    system, limits, silent = balancing.system, balancing.limits, balancing.silent
    start, trace = balancing.start, np.zeros((0, 3))
    kept = balancing.keep.restore()
    if kept is not None:
        start, trace = kept["values"], kept["trace"]
    state = system.begin(start)
    while True:
        steps = min(balancing.steps, limits.max_iterations - len(trace))
        ahead, partial = system.advance(state, steps)
        n = len(ahead)
        done = hold([*ahead, *partial], title=f"balancing, {len(trace)} iterations", silent=silent)
        added = system.join(run(done[n:], silent=True))
        last, converged = _stop(len(trace), added, limits)
        trace = np.concatenate([trace, added[: len(added) if last is None else last]])
        if last is not None and not converged:
            raise _diverged(balancing, system.gather(run(done[:n], silent=True)), len(trace))
        if last is None and len(trace) < limits.max_iterations:
            state = done[:n]
            if balancing.keep.due:
                values = system.gather(run(state, silent=True))
                balancing.keep.save({"values": values, "trace": trace})
            continue
        if last is not None and last < steps:
            done, _ = system.advance(state, last)
        return system.gather(run(done[:n], silent=silent)), trace[:, :2], converged


def _stop(before: int, added: Float64, limits: Limits) -> tuple[int | None, bool]:
    """Number of the added iterations to keep, None for all and more; and whether they converged."""
    for k, (_, change, ratio) in enumerate(added, 1):
        if not ratio <= BOUND or not np.isfinite(change):
            return k, False
        enough = before + k >= limits.iterations and change < limits.minchange
        if enough or change < FIXED_POINT:
            return k, True
    return None, False


def _descend(balancing: Balancing) -> Found:
    """Run rounds of steps until every independent problem is solved."""
    system, limits, target = balancing.system, balancing.limits, balancing.target
    knight_ruiz = balancing.method == "knight-ruiz"
    if knight_ruiz and balancing.problem.usereads == "trans":
        _check_halves(balancing.problem, system.used)
    goal = Goal(limits.minchange, knight_ruiz, limits.max_iterations)
    states = [begin(target[own], 1 / balancing.start[own]) for own in system.problems]
    states = unpack(balancing.keep.restore(), states)
    values = np.ones(len(target))
    while any(unfinished(state, goal) for state in states) and not any(map(_lost, states)):
        states = system.solve(states, goal, balancing.steps, balancing.silent)
        balancing.keep.save(pack(states))
    lost = any(map(_lost, states))
    for own, state in zip(system.problems, states, strict=True):
        values[own] = 1 / state.x
        if not lost and not finished(state, goal):  # its sums are to be right on average at least
            values[own] *= np.sqrt(state.v.sum() / state.target.sum())
    if lost:
        raise _diverged(balancing, values, max(len(state.trace) for state in states))
    return values, _joined(states), all(finished(state, goal) for state in states)


def _lost(state: State) -> bool:
    return spread(state) > BOUND


def _joined(states: Sequence[State]) -> Float64:
    """Cost and change of all problems; those that are finished stay where they are."""
    trace = np.zeros((max((len(state.trace) for state in states), default=1), 2))
    for state in states:
        own = np.concatenate(
            [state.trace, np.repeat(state.trace[-1:], len(trace) - len(state.trace), 0)]
        )
        trace[:, 0] += own[:, 0]
        trace[:, 1] = np.maximum(trace[:, 1], own[:, 1])
    trace[:, 0] = np.sqrt(trace[:, 0])
    return trace


def _check_halves(problem: Problem, used: NDArray[np.bool_]) -> None:
    """Raise if trans rows cannot all sum to 1: those of one chromosome need more than there is."""
    total = int(used.sum())
    for chrom in problem.chroms:
        own = int(used[problem.units.span(chrom)].sum())
        if 2 * own > total:
            raise ConvergenceError(
                f"Knight-Ruiz with trans reads has no solution: {own} of {total} "
                f"{problem.units.unit}s with pairs "
                f"are on {problem.units.chromosomes[chrom]}, more than half, so that not all rows "
                "can sum to 1; use kr=False, usereads='all', or other chroms"
            )


def _diverged(balancing: Balancing, values: Float64, iterations: int) -> ConvergenceError:
    """The error for corrections that grow without end, with the units that do."""
    problem, system = balancing.problem, balancing.system
    used = np.flatnonzero(system.used)
    with np.errstate(all="ignore"):
        logs = np.nan_to_num(np.log(values[used]), nan=1e300, posinf=1e300, neginf=-1e300)
    edges = np.searchsorted(used, problem.units.offset)
    for chrom in problem.chroms:  # the common factor of a chromosome is free
        own = slice(edges[chrom], edges[chrom + 1])
        if own.start < own.stop:
            logs[own] = np.abs(logs[own] - np.median(logs[own]))
    order = np.argsort(-logs, kind="stable")
    which = used[order[logs[order] >= logs[order[0]] / 2]]
    return ConvergenceError(
        f"the corrections grow beyond all bounds, after {iterations} iterations; nothing balances "
        f"{name_units(problem.units, which, system.partners)}"
    )


def not_converged(balancing: Balancing, values: Float64, trace: Float64) -> str:
    """What is said at the largest number of iterations."""
    system, limits, method = balancing.system, balancing.limits, balancing.method
    used = np.flatnonzero(system.used)
    ratio = system.sums(values)[used] / values[used] / balancing.target[used]
    change = np.abs(np.sqrt(ratio) - 1)
    order = np.argsort(-change, kind="stable")
    which = used[order[: max(1, int((change >= limits.minchange).sum()))]]
    far = name_units(balancing.problem.units, which, system.partners)
    what, seen = ("residual", trace[-1, 0]) if method == "knight-ruiz" else ("change", trace[-1, 1])
    faster = ", use accelerate=True" if method == "plain" else ""
    return (
        f"not converged after {len(trace)} iterations: the {what} is {seen:.3g}, the limit "
        f"{limits.minchange:.3g}; raise max_iterations or minchange{faster}, or filter more "
        f"strictly. Farthest from balance are {far}"
    )
