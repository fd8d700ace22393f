"""Corrections and distance function that fit together: the iteration of the joint Poisson model.

Reads of a cis pair are Poisson with mean c_i c_j f(d_ij). Two conditions hold at the end:

(a) c maximises the likelihood, given f: for every unit the reads expected of all its possible pairs
    add up to those observed,

(b) the reads expected in every distance bin have the same share of all as those observed.

A round moves every ln(c) by a part of ln(observed / expected) of the unit, and every knot of ln f
by ln of the ratio of the shares of its bin. From what the last rounds did, Anderson acceleration
finds a better move (Walker and Ni, SIAM J. Numer. Anal. 49, 1715, 2011).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask.model.descent import HIGHEST, LOWEST
from hifive_dask.model.expected_sums import PowerLaw, Sums

__all__ = ["Fit", "JointState", "advance", "begin"]

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_STRICT = 0.1  # limit of the residual of a unit, in units of that of a distance bin
# Of ln(observed / expected). The linear problem has eigenvalues between 1, for a unit alone, and 2,
# for all units of a chromosome alike.
_ALIKE, _ALONE = 0.5, 0.7
_CLOSE = 0.01  # ln(c): a unit this near to its limit is held there
_MEMORY = 5  # rounds


class JointState(NamedTuple):
    """Where the fit is; all that it needs to go on.

    Parameters
    ----------
    point
        float64 (n + k): ln(c) of the units, then how far the knots have moved.
    last, step
        float64 (n + k): the point before, and the plain step from there; empty at the start.
    moves, turns
        float64 (m, n + k): differences of consecutive points, and of their plain steps.
    trace
        float64 (rounds, 2): negative log-likelihood, and the largest residual: ten times that of a
        unit, or that of a distance bin.
    converged
        Whether the limits are met at `point`.
    """

    point: Float64
    last: Float64
    step: Float64
    moves: Float64
    turns: Float64
    trace: Float64
    converged: bool


@dataclass(frozen=True)
class Fit:
    """What is fitted, and to what.

    Parameters
    ----------
    ends
        int64 (chromosomes + 1): ranges of units.
    observed
        float64 (n): reads of every unit.
    reads
        float64 (k): reads of the distance bins whose knots move; none if f is kept.
    law
        The power law after a move of the knots.
    log_likelihood
        For a law, the sum of ln f over all reads.
    expected
        For corrections and a law, the sums over all possible pairs.
    """

    ends: Int64
    observed: Float64
    reads: Float64
    law: Callable[[Float64], PowerLaw]
    log_likelihood: Callable[[PowerLaw], float]
    expected: Callable[[Float64, PowerLaw], Sums]

    def limits(self, logs: Float64) -> tuple[Float64, Float64]:
        """float64 (n): least and largest ln(c), about the mean of their chromosome."""
        mean = self.spread(0.5 * np.log(mean_product(np.exp(logs), self.ends)))
        return np.log(LOWEST) + mean, np.log(HIGHEST) + mean

    def spread(self, values: Float64) -> Float64:
        """Values of chromosomes, for their units."""
        return np.repeat(values, np.diff(self.ends))

    def means(self, values: Float64) -> Float64:
        """float64 (n): means over the reads of the unit's chromosome."""
        total, reads = _by_chromosome(self.ends, values * self.observed, self.observed)
        return self.spread(np.divide(total, reads, out=np.zeros(len(reads)), where=reads > 0))


def _by_chromosome(ends: Int64, *values: Float64) -> list[Float64]:
    own = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    return [np.bincount(own, each, len(ends) - 1).astype(np.float64) for each in values]


def mean_product(c: Float64, ends: Int64) -> Float64:
    """float64 (chromosomes): mean of c_i c_j over i != j; c_i^2 of a single unit, else 1."""
    total, squares = _by_chromosome(ends, c, c * c)
    size = np.diff(ends).astype(np.float64)
    alone = np.where(size == 1, squares, 1.0)
    return np.where(size > 1, (total**2 - squares) / np.maximum(1, size * (size - 1)), alone)


def begin(fit: Fit, corrections: Float64) -> JointState:
    """Start at some corrections above 0."""
    point = np.log(corrections)
    low, high = fit.limits(point)
    point = np.where(fit.observed > 0, np.clip(point, low, high), low)
    empty, none = np.zeros(0), np.zeros((0, len(point) + len(fit.reads)))
    return JointState(
        np.r_[point, np.zeros(len(fit.reads))], empty, empty, none, none,
        np.zeros((0, 2)), False,
    )  # fmt: skip


def advance(fit: Fit, state: JointState, minchange: float) -> JointState:
    """Judge the point, and go on from it unless it is the end.

    It is if observed and expected reads of every unit that is not held at a limit agree within a
    tenth of `minchange`, and the shares of every distance bin within `minchange`.
    """
    logs, moved = np.split(state.point, [len(fit.observed)])
    law, weight = fit.law(moved), np.exp(logs)
    sums = fit.expected(weight, law)
    expected = weight * sums.partners
    low, high = fit.limits(logs)
    down = fit.observed < expected
    held = np.where(down, logs <= low + _CLOSE, logs >= high - _CLOSE)
    free = ~held & (fit.observed > 0)
    ratio = np.divide(fit.observed, expected, out=np.ones(len(logs)), where=free)
    shares = _share(fit.reads) / _share(sums.by_distance) if len(fit.reads) else np.zeros(0)
    change = max(
        float(np.max(np.abs(ratio - 1), initial=0.0)) / _STRICT,
        float(np.max(np.abs(shares - 1), initial=0.0)),
    )
    cost = float(sums.by_distance.sum()) - fit.log_likelihood(law)
    cost -= float((fit.observed * logs).sum())
    trace = np.concatenate([state.trace, [[cost, change]]])
    if change <= minchange:
        return state._replace(trace=trace, converged=True)
    units = np.log(ratio)
    alike = fit.means(units)
    units = np.where(free, _ALIKE * alike + _ALONE * (units - alike), 0.0)
    state = _remember(state._replace(trace=trace), np.r_[units, np.log(shares)])
    metric = np.r_[np.where(free, fit.observed, 0.0), fit.reads]
    point = _accelerated(state, metric)
    logs = np.where(free, np.clip(point[: len(logs)], low, high), np.where(down, low, high))
    return state._replace(point=np.r_[logs, point[len(logs) :]])


def _share(reads: Float64) -> Float64:
    share: Float64 = reads / reads.sum()
    return share


def _remember(state: JointState, step: Float64) -> JointState:
    moves, turns = state.moves, state.turns
    if len(state.last):
        moves = np.concatenate([moves, [state.point - state.last]])[-_MEMORY:]
        turns = np.concatenate([turns, [step - state.step]])[-_MEMORY:]
    return state._replace(last=state.point, step=step, moves=moves, turns=turns)


def _accelerated(state: JointState, metric: Float64) -> Float64:
    """The plain step from where the last rounds, joined by straight lines, have the shortest one.

    Lengths are those of the likelihood: squares weigh as much as there are reads.
    """
    point = state.last + state.step
    if not len(state.turns):
        return point
    weighed = state.turns * metric
    # Not by BLAS, whose rounding depends on its number of threads.
    matrix = np.einsum("ik,jk->ij", weighed, state.turns, optimize=False)
    right = np.einsum("ik,k->i", weighed, state.step, optimize=False)
    shares = np.linalg.lstsq(matrix, right, rcond=1e-10)[0]
    for share, move, turn in zip(shares, state.moves, state.turns, strict=True):
        point = point - share * (move + turn)
    return point
