"""Descent to the corrections at which a likelihood is largest.

In u = ln c the Poisson cost is convex, and so is the binomial one where it is not clipped, that is
where no pair without reads has q = m c_i c_j near 1. Beyond q = 1 the latter has a plateau, which
would trap a descent. So the loss of such pairs, -ln(1 - q), is continued beyond an edge below 1 by
the parabola in ln(q) with the same value and two derivatives: this cost is convex everywhere and
has one minimum, wherever the descent begins. If no pair without reads is beyond the edge there, it
is the minimum of the likelihood itself; else the descent goes on from there with the next edge.

A quasi-Newton method (L-BFGS) needs few iterations where it begins with a matrix close to that of
the second derivatives. The latter is dense, but for most pairs smooth: what remains of it beside
its diagonal is nearly of rank one. Of a pair without reads whose q is near 1 it is large, so that
one of its units can hardly move without the other; there are few of these. So the matrix is the
diagonal and these pairs, sparse, plus one of rank one that makes it exact for a change of all units
alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import splu

from hifive_dask.model.likelihood import Likelihood

__all__ = ["EDGES", "HIGHEST", "LOWEST", "Limits", "State", "advance", "begin", "descend"]

Float64 = NDArray[np.float64]

LOWEST, HIGHEST = 0.01, 100.0  # corrections, as documented
BALANCE = 100.0  # relative imbalance of a unit that is allowed, in units of minchange
# Of q = m c_i c_j. Beyond the edge the binomial loss of pairs without reads goes on as a parabola.
EDGES = (0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)
_FLOOR, _CEILING = np.log(LOWEST), np.log(HIGHEST)
_NEAR = 30.0  # times the limits: close enough to go on with the next edge
_SHIFT = 1e-3  # of the diagonal: two units that have only each other are not independent
_MEMORY = 8
_TRIES = 20
_ARMIJO = 1e-4
_ROUNDING = 1e-10  # of a cost, relative to what is added up
_FARTHEST = 2.0  # step of a logarithm
_RUNNING, _CONVERGED, _STALLED = range(3)


class Limits(NamedTuple):
    """When to stop, and how to shorten a step."""

    minchange: float
    max_iterations: int
    learningstep: float


class State(NamedTuple):
    """Where a descent is; all that it needs to go on.

    Parameters
    ----------
    point
        float64 (n): ln(c).
    slope, scale
        float64 (n): derivative of the cost by ln(c); second derivative, or more.
    stage
        Number of the edge, of `EDGES` if binomial.
    steps, bends
        float64 (k, n): the last steps, and how the slope changed.
    trace
        float64 (iterations + 1, 2): cost, and largest mean gradient, at the start and afterwards.
        The cost falls, to rounding, but for iterations at which a higher edge begins.
    outcome
        0 while it goes on, 1 converged, 2 no step is a descent.
    """

    point: Float64
    slope: Float64
    scale: Float64
    stage: int
    steps: Float64
    bends: Float64
    trace: Float64
    outcome: int

    @property
    def converged(self) -> bool:
        """Whether the limits are met."""
        return int(self.outcome) == _CONVERGED

    @property
    def stalled(self) -> bool:
        """Whether no shorter step was a descent."""
        return int(self.outcome) == _STALLED


def _dot(first: Float64, second: Float64) -> float:
    """Not by BLAS, whose rounding depends on its number of threads."""
    return float((first * second).sum())


class _Value(NamedTuple):
    cost: float
    rounding: float  # what the cost cannot tell
    slope: Float64
    scale: Float64
    beyond: bool  # whether pairs without reads are beyond the edge


def _evaluate(likelihood: Likelihood, point: Float64, stage: int) -> _Value:
    terms = likelihood.terms(np.exp(point), likelihood.edges[int(stage)])
    parts = np.array([terms.cost, -_dot(likelihood.observed, point), -likelihood.constant])
    cost, rounding = float(parts.sum()), _ROUNDING * float(np.abs(parts).sum())
    slope = terms.gradient - likelihood.observed
    scale = np.maximum(np.maximum(terms.curvature, terms.gradient), likelihood.observed)
    return _Value(cost, rounding, slope, np.maximum(scale, 1e-300), bool(terms.clipped.any()))


def begin(likelihood: Likelihood, corrections: Float64, limits: Limits) -> State:
    """Start at some corrections."""
    point = np.log(np.clip(corrections, LOWEST, HIGHEST))
    return _restart(likelihood, point, 0, limits, np.zeros((0, 2)))


def _restart(
    likelihood: Likelihood, point: Float64, stage: int, limits: Limits, trace: Float64
) -> State:
    none = np.zeros((0, len(point)))
    value = _evaluate(likelihood, point, stage)
    return _judge(likelihood, limits, point, stage, value, none, none, trace)


def _judge(
    likelihood: Likelihood,
    limits: Limits,
    point: Float64,
    stage: int,
    value: _Value,
    steps: Float64,
    bends: Float64,
    trace: Float64,
) -> State:
    """Add a point to the trace, and say whether it is the last, or goes on with the next edge."""
    force = np.where(_free(point, value.slope), np.abs(value.slope), 0.0)
    change = float(np.max(force * np.exp(-2 * point) / likelihood.possible, initial=0.0))
    larger = np.maximum(value.slope, 0.0) + likelihood.observed  # of expected and observed
    imbalance = float(np.max(np.divide(force, larger, out=force, where=larger > 0), initial=0.0))
    excess = max(change, imbalance / BALANCE) / limits.minchange
    if excess <= _NEAR and value.beyond and stage + 1 < len(likelihood.edges):
        return _restart(likelihood, point, stage + 1, limits, trace)
    return State(
        point,
        value.slope,
        value.scale,
        stage,
        steps[-_MEMORY:],
        bends[-_MEMORY:],
        np.concatenate([trace, [[value.cost, change]]]),
        _CONVERGED if excess <= 1 else _RUNNING,
    )


def _free(point: Float64, slope: Float64) -> NDArray[np.bool_]:
    """Units that are not held at a limit by their slope."""
    held: NDArray[np.bool_] = ((point <= _FLOOR) & (slope > 0)) | (
        (point >= _CEILING) & (slope < 0)
    )
    return ~held


def _inverse(
    likelihood: Likelihood, state: State, free: NDArray[np.bool_]
) -> Callable[[Float64], Float64]:
    """Solve with the matrix of second derivatives, as far as it is known, over the free units."""
    n, scale = len(free), np.where(free, state.scale, 1.0)
    edge = likelihood.edges[int(state.stage)]
    first, second, value = likelihood.couplings(np.exp(state.point), state.scale, edge)
    value = np.where(free[first] & free[second], value, 0.0)
    half = coo_array((value, (first, second)), shape=(n, n))
    pairs = half + half.T
    matrix = (pairs + diags_array((1 + _SHIFT) * scale)).tocsc()
    sparse = splu(
        matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
    # What is missing of each row's sum, which is twice the diagonal.
    rest = np.where(free, np.maximum(scale - pairs.sum(axis=1), 0.0), 0.0)
    answer = sparse.solve(rest)
    total = max(rest.sum(), 1e-300) + _dot(rest, answer)

    def solve(vector: Float64) -> Float64:
        part: Float64 = sparse.solve(np.where(free, vector, 0.0))
        return np.where(free, part - answer * (_dot(rest, part) / total), 0.0)

    return solve


def _direction(
    state: State, solve: Callable[[Float64], Float64], free: NDArray[np.bool_]
) -> Float64:
    """Two-loop recursion of L-BFGS over the free units, from the matrix of `_inverse`."""
    way = np.where(free, state.slope, 0.0)
    pairs = []
    for step, bend in zip(state.steps[::-1], state.bends[::-1], strict=True):
        bend = np.where(free, bend, 0.0)
        curvature = _dot(step, bend)
        if curvature > 0:
            part = _dot(step, way) / curvature
            way = way - part * bend
            pairs.append((step, bend, curvature, part))
    way = solve(way)
    for step, bend, curvature, part in reversed(pairs):
        way = way + (part - _dot(bend, way) / curvature) * step
    return np.where(free, -way, 0.0)


def _descends(state: State, step: Float64, value: _Value) -> bool:
    """Whether the cost falls enough; where rounding hides that, the slopes at both ends tell.

    Of a parabola both rules are the same one.
    """
    before, ahead = min(0.0, _dot(state.slope, step)), _dot(value.slope, step)
    change = value.cost - state.trace[-1, 0]
    hidden = abs(change) <= value.rounding and ahead <= (2 * _ARMIJO - 1) * before
    return bool(change <= _ARMIJO * before or hidden)


def advance(likelihood: Likelihood, state: State, limits: Limits) -> State:
    """Take one step down."""
    stage = int(state.stage)
    free = _free(state.point, state.slope)
    solve = _inverse(likelihood, state, free)
    memories = [state, state._replace(steps=state.steps[:0], bends=state.bends[:0])]
    for memory in memories if len(state.steps) else memories[1:]:
        way = _direction(memory, solve, free)
        if not _dot(way, state.slope) < 0:
            continue
        way *= min(1.0, _FARTHEST / np.abs(way).max())
        for _ in range(_TRIES):
            point = np.clip(state.point + way, _FLOOR, _CEILING)
            value = _evaluate(likelihood, point, stage)
            step = point - state.point
            if _descends(state, step, value):
                steps = np.concatenate([memory.steps, [step]])
                bends = np.concatenate([memory.bends, [value.slope - state.slope]])
                return _judge(likelihood, limits, point, stage, value, steps, bends, state.trace)
            way *= limits.learningstep
    trace = np.concatenate([state.trace, state.trace[-1:]])
    return state._replace(trace=trace, outcome=_STALLED)


def descend(
    likelihood: Likelihood,
    state: State,
    limits: Limits,
    save: Callable[[State], None] | None = None,
) -> State:
    """Go on until the limits are met, or no step lowers the cost, or after `max_iterations`.

    Parameters
    ----------
    likelihood
        Whose cost is lowered.
    state
        Of `begin`, or one that was saved.
    limits
        Converged: for no unit that is free to move is the mean gradient per possible pair, divided
        by the correction, above ``minchange``, nor the difference of expected and observed reads,
        divided by the larger, above `BALANCE` times ``minchange``.
    save
        Called with every state.
    """
    while int(state.outcome) == _RUNNING and len(state.trace) <= limits.max_iterations:
        state = advance(likelihood, state, limits)
        if save is not None:
            save(state)
    return state
