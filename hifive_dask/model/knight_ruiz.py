"""Balancing by conjugate gradients: Knight-Ruiz, and the fast way to the fixed point of Express.

Both ask for x > 0 with ``x_i sum_j w_ij x_j = t_i``: Knight-Ruiz with a target t of 1, Express with
the number of possible partners and x = 1 / c. Such an x is where the convex function

    f(ln x) = 1/2 sum_ij w_ij x_i x_j - sum_i t_i ln x_i

is lowest. A straight step goes to the lowest point of a plane through x, spanned by the plain step
of Express, to x sqrt(t / v) with v = x W x, and by the step before. W is linear: from its product
with the new direction f and v are known in all of the plane. Near the solution f is a parabola, and
straight steps are those of conjugate gradients with the preconditioner diag(t).

Where a solution hardly exists, some units grow while their partners shrink and the products of both
stay: a curve, which lines follow in short steps only. There steps of Newton in ln x take over: d =
ln(x' / x) solves ``(diag(v) + X W X) d = t - v``, the system of Knight and Ruiz, roughly, by
conjugate gradients. Such a step that lowers neither f nor the residual is halved, and after some
halvings replaced by the plain one: so it cannot run away where a solution exists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.express import lowest

__all__ = [
    "BOUND",
    "FIXED_POINT",
    "Goal",
    "State",
    "advance",
    "begin",
    "finished",
    "pack",
    "spread",
    "unfinished",
    "unpack",
]

Float64 = NDArray[np.float64]
Product = Callable[[Float64], Float64]

BOUND = 1e12  # largest ratio of two corrections that is believed
FIXED_POINT = 1e-12  # a change below this is rounding: nothing moves any more
_PLAIN = 2  # plain steps at first; they find the common factor
# Straight steps are given up if so many products do not lower the residual to this share, and what
# a line leaves out, d X W X d, is at least this share of the residual.
_PATIENCE, _SLOW, _BENT = 20, 0.3, 0.1
_FARTHEST = 2.0  # largest abs(d) of one step
_ROUGHLY = 0.3  # the linear system is solved to this share of its right side, then better
_HALVINGS = 8
_FLAT = 1e-14  # curvature, relative to that of diag(v), that is none


class Goal(NamedTuple):
    """Where to stop.

    Parameters
    ----------
    minchange
        Largest ``abs(sqrt(v_i / t_i) - 1)``, the change that the plain step would make; for
        Knight-Ruiz the 2-norm of ``v / t - 1``.
    by_norm
        Whether the limit is for the norm.
    max_products
        Largest number of products with the matrix.
    """

    minchange: float
    by_norm: bool
    max_products: int


class State(NamedTuple):
    """A problem on its way; complete, so that it can go on from here.

    Parameters
    ----------
    target, x, v
        float64 (n).
    p, q
        float64 (n): the last straight step, relative to x, and x W (x p); 0 if there was none.
    steps
        Steps made, the first of which only evaluates v.
    bent
        Whether straight steps were given up.
    before
        Residual before the last step of Newton, 0 if there was none.
    trace
        float64 (products, 2): ``sum (v_i / t_i - 1)^2`` and the change of the plain step, at the x
        that was held after each product.
    """

    target: Float64
    x: Float64
    v: Float64
    p: Float64
    q: Float64
    steps: int
    bent: bool
    before: float
    trace: Float64


def begin(target: Float64, x: Float64) -> State:
    """A problem before its first product."""
    v, p, q = np.zeros((3, len(x)))
    return State(target, x, v, p, q, 0, False, 0.0, np.zeros((0, 2)))


def spread(state: State) -> float:
    """Ratio of the largest and the smallest x; infinite if it is not a number."""
    ratio = float(state.x.max() / state.x.min())
    return ratio if np.isfinite(ratio) else np.inf


def finished(state: State, goal: Goal) -> bool:
    """Whether the goal is reached."""
    return len(state.trace) > 0 and _reached(state.trace[-1], goal)


def _reached(row: Float64, goal: Goal) -> bool:
    squares, change = row
    there = np.sqrt(squares) <= goal.minchange if goal.by_norm else change < goal.minchange
    return bool(there or change < FIXED_POINT)


def unfinished(state: State, goal: Goal) -> bool:
    """Whether there is something to do: not there, not at the limit, not out of bounds."""
    more = len(state.trace) < goal.max_products and spread(state) <= BOUND
    return more and not finished(state, goal)


def advance(product: Product, state: State, goal: Goal, budget: int) -> State:
    """Make steps until the goal is reached, or about `budget` products are spent.

    A step that was begun is completed, so the result does not depend on budgets.

    Parameters
    ----------
    product
        ``W f`` for f float64 (n).
    """
    end = len(state.trace) + budget
    while len(state.trace) < end and unfinished(state, goal):
        step = _Step(product, state, goal)
        if state.steps == 0:
            step.move(state.x)
        elif state.steps <= _PLAIN:
            step.plain()
        elif state.bent:
            step.newton()
        else:
            step.straight()
        state = step.result()
    return state


def pack(states: Sequence[State]) -> dict[str, NDArray[Any]]:
    """All states as a few arrays; targets are left out."""
    return {
        "x": np.concatenate([state.x for state in states]),
        "v": np.concatenate([state.v for state in states]),
        "p": np.concatenate([state.p for state in states]),
        "q": np.concatenate([state.q for state in states]),
        "steps": np.array([state.steps for state in states]),
        "bent": np.array([state.bent for state in states]),
        "before": np.array([state.before for state in states]),
        "products": np.array([len(state.trace) for state in states]),
        "trace": np.concatenate([state.trace for state in states]),
    }


def unpack(packed: Mapping[str, NDArray[Any]] | None, states: list[State]) -> list[State]:
    """The states that were packed, of the problems of these; these if nothing was."""
    if packed is None or not states:
        return states
    ends = np.cumsum([len(state.x) for state in states])[:-1]
    parts = zip(
        [state.target for state in states],
        *(np.split(packed[name], ends) for name in ("x", "v", "p", "q")),
        packed["steps"].tolist(),
        packed["bent"].tolist(),
        packed["before"].tolist(),
        np.split(packed["trace"], np.cumsum(packed["products"])[:-1]),
        strict=True,
    )
    return [State(*part) for part in parts]


def _dot(a: Float64, b: Float64) -> float:
    # Not BLAS: its sums depend on the number of its threads.
    return float((a * b).sum())


class _Step:
    """One step from a state, and the products that it takes."""

    def __init__(self, product: Product, state: State, goal: Goal) -> None:
        self._product, self._goal, self._from = product, goal, state
        self._x, self._v, self._p, self._q = state.x, state.v, state.p, state.q
        self._bent, self._before = state.bent, state.before
        self._row = state.trace[-1] if len(state.trace) else np.zeros(2)
        self._rows: list[Float64] = []

    def result(self) -> State:
        state = self._from
        trace = np.concatenate([state.trace, self._rows])
        arrays = (state.target, self._x, self._v, self._p, self._q)
        return State(*arrays, state.steps + 1, self._bent, self._before, trace)

    def _left(self) -> int:
        return self._goal.max_products - len(self._from.trace) - len(self._rows)

    def _try(self, x: Float64) -> tuple[Float64, Float64]:
        """v of x, and its row of the trace."""
        v = x * self._product(x)
        return v, self._judged(v)

    def _judged(self, v: Float64) -> Float64:
        ratio = v / self._from.target
        return np.array([np.square(ratio - 1).sum(), np.abs(np.sqrt(ratio) - 1).max()])

    def _keep(self, x: Float64, v: Float64, row: Float64) -> None:
        self._x, self._v, self._row = x, v, row
        self._rows.append(row)

    def move(self, x: Float64) -> None:
        self._keep(x, *self._try(x))

    def plain(self) -> None:
        self.move(self._x / np.sqrt(self._v / self._from.target))

    def straight(self) -> None:
        """Go to the lowest point of the plane of the plain step and the step before."""
        x, v, target = self._x, self._v, self._from.target
        z = np.sqrt(target / v) - 1
        w = x * self._product(x * z)
        a, b = lowest(target, v, z, w, self._p, self._q)
        d, u = a * z + b * self._p, a * w + b * self._q
        y = 1 + d
        self._p, self._q = d / y, y * u
        v = y * (v + u)
        self._keep(x * y, v, self._judged(v))
        trace = self._from.trace
        if _reached(self._row, self._goal):
            if self._left() > 0:
                self.move(self._x)  # v was carried along; that it is right, a product shows
        elif len(trace) > _PATIENCE and self._row[0] > _SLOW**2 * trace[-_PATIENCE, 0]:
            self._bent = bool(np.square(d * u / target).sum() > _BENT**2 * self._row[0])

    def newton(self) -> None:
        cost = float(np.sqrt(self._row[0]))
        share = min(_ROUGHLY, 0.5 * cost / self._before) if self._before else _ROUGHLY
        direction = self._direction(share)
        self._before = cost
        if self._left() > 0 and not self._search(direction) and self._left() > 0:
            self.plain()

    def _direction(self, share: float) -> Float64:
        """Solve the system by conjugate gradients with the preconditioner diag(v)."""
        x, v = self._x, self._v
        r = self._from.target - v
        d, z = np.zeros_like(r), r / v
        p, rho = z, _dot(r, z)
        enough = share**2 * rho
        while self._left() > 1:  # one for the evaluation of the step
            w = x * self._product(x * p) + v * p
            self._rows.append(self._row)
            curvature = _dot(p, w)
            if curvature <= _FLAT * _dot(p, v * p):
                break
            step = rho / curvature
            d, r = d + step * p, r - step * w
            z = r / v
            before, rho = rho, _dot(r, z)
            if rho <= enough or np.abs(d).max() >= _FARTHEST or self._negligible(r):
                break
            p = z + rho / before * p
        return d if d.any() else z

    def _negligible(self, r: Float64) -> bool:
        """Whether a linear residual is below what the goal asks for."""
        left = np.abs(r / self._from.target)
        if self._goal.by_norm:
            return bool(np.sqrt(_dot(left, left)) <= 0.5 * self._goal.minchange)
        return bool(left.max() <= 1.5 * self._goal.minchange)

    def _search(self, d: Float64) -> bool:
        """Move along d as far as f or the residual falls; False if it does nowhere."""
        target, x, v = self._from.target, self._x, self._v
        size = min(1.0, _FARTHEST / np.abs(d).max())
        slope = _dot(v - target, d)
        for _ in range(_HALVINGS):
            if self._left() <= 0:
                break
            there = x * np.exp(size * d)
            found, row = self._try(there)
            gain = 0.5 * (found - v).sum() - size * _dot(target, d)
            if gain <= 1e-4 * size * slope or row[0] < self._row[0]:
                self._keep(there, found, row)
                return True
            self._rows.append(self._row)
            size /= 2
        return False
