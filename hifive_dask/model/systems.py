"""Balancing where the rows are: weights spread over tasks, and steps of the iterations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import dask
import numpy as np
from numpy.typing import DTypeLike, NDArray

from hifive_dask._graph.reduce import tree_reduce
from hifive_dask._graph.run import hold, run
from hifive_dask._kernels.express import SparseRows, iterate, multiply, sparse_rows
from hifive_dask.model.filtering import UseReads
from hifive_dask.model.knight_ruiz import Goal, State, advance, unfinished
from hifive_dask.model.rows import (
    SPAN,
    Piece,
    cis_groups,
    cis_pieces,
    group_span,
    piece_groups,
    rows_by_kind,
)
from hifive_dask.model.stretches import Stretches, add_stretches, extent
from hifive_dask.model.weights import Problem, Settings, entries_of, settings_of, weigh

__all__ = ["CisSystem", "SpanSystem", "System"]

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]


class System(Protocol):
    """The weights, spread over tasks, and what is done with them.

    Parameters
    ----------
    partners
        int64 (N): entries of every unit.
    used
        bool (N): units that have any.
    problems
        Units (intp) of every system of equations that is independent of the others.
    entries_per_task
        Largest number of entries that a task goes through in one iteration.
    waiting_tasks
        Number of tasks of an iteration that wait for those of the iteration before.
    """

    partners: NDArray[np.int64]
    used: NDArray[np.bool_]
    problems: list[NDArray[np.intp]]
    entries_per_task: int
    waiting_tasks: int

    def begin(self, start: Float64) -> list[Any]:
        """Lazy state of corrections ``start`` (N)."""

    def advance(self, state: list[Any], steps: int) -> tuple[list[Any], list[Any]]:
        """Lazy state after some iterations, and lazy parts of their trace."""

    def join(self, parts: list[Float64]) -> Float64:
        """Trace (steps, 3) of its parts: cost, change, spread."""

    def gather(self, state: list[Any]) -> Float64:
        """Corrections (N) of a computed state."""

    def solve(self, states: list[State], goal: Goal, budget: int, silent: bool) -> list[State]:
        """Advance every problem by some steps; `knight_ruiz.advance`."""

    def sums(self, corrections: Float64) -> Float64:
        """Sum_j w_ij / c_j of every unit (N)."""


# Cis: a task owns whole chromosomes


class _Part(NamedTuple):
    """Consecutive chromosomes: weights, possible partners, entries of every unit, and problems."""

    matrix: SparseRows
    possible: NDArray[np.int64]
    partners: NDArray[np.int64]
    problems: list[NDArray[np.intp]]


def _build_part(
    pieces: Sequence[Piece],
    span: slice,
    chromosomes: Sequence[slice],
    possible: NDArray[np.int64],
    settings: Settings,
) -> _Part:
    room, end = sum(len(piece.rows) for piece in pieces), 0
    column, weight = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.float32)
    entries = np.zeros(len(possible), dtype=np.int64)
    for piece in pieces:
        for cis, columns in rows_by_kind(piece, settings.units, "cis"):
            first, second, values, _ = weigh(columns, cis, settings)
            stop = end + len(first)
            np.subtract(second, span.start, out=column[end:stop])
            weight[end:stop] = values
            entries += np.bincount(first - span.start, minlength=len(entries))
            end = stop
    matrix = SparseRows(np.r_[0, np.cumsum(entries)], column[:end], weight[:end])
    partners = np.add(*entries_of(matrix, len(possible)))
    own = [np.flatnonzero(partners[c]) + c.start for c in chromosomes]
    return _Part(matrix, possible, partners, [units for units in own if len(units) > 1])


def _facts(part: _Part) -> tuple[NDArray[np.int64], list[NDArray[np.intp]], int]:
    """Entries of every unit, problems, and the number of entries."""
    return part.partners, part.problems, len(part.matrix.column)


def _advance(part: _Part, state: tuple[Float64, Float64], steps: int) -> tuple[Float64, Float64]:
    return iterate(part.matrix, part.possible, part.partners > 0, state[0], steps)


def _trace_of(state: tuple[Float64, Float64]) -> Float64:
    return state[1]


def _solve_part(part: _Part, states: list[State], goal: Goal, budget: int) -> list[State]:
    """Advance the problem of every chromosome."""
    start, column, weight = part.matrix
    factor, total = np.zeros((2, len(part.possible)))

    def product(own: NDArray[np.intp], values: Float64) -> Float64:
        rows = slice(int(own[0]), int(own[-1]) + 1)
        factor[own] = values
        total[rows] = 0
        matrix = SparseRows(start[rows.start : rows.stop + 1], column, weight)
        multiply(matrix, factor[rows], factor, total[rows], total)
        result: Float64 = total[own]
        return result

    return [
        advance(partial(product, own), state, goal, budget)
        for own, state in zip(part.problems, states, strict=True)
    ]


def _sums_of(part: _Part, corrections: Float64) -> Float64:
    factor, total = 1 / corrections, np.zeros(len(corrections))
    multiply(part.matrix, factor, factor, total, total)
    return total


class CisSystem:
    """Cis rows: chromosomes are independent, a task owns some for many iterations."""

    def __init__(self, problem: Problem, possible: NDArray[np.int64], silent: bool) -> None:
        units, store = problem.units, problem.store
        chroms = [c for c in problem.chroms if problem.valid[units.span(c)].any()]
        groups = cis_groups(store, [c for c in chroms if (c, c) in store.blocks])
        self._size = len(units)
        self._spans = [group_span(units, group) for group in groups]
        settings = settings_of(problem)
        build = dask.delayed(_build_part, pure=True)
        tasks = [
            build(
                cis_pieces(store, group),
                span,
                [_relative(units.span(chrom), span) for chrom in group],
                possible[span],
                settings,
            )
            for group, span in zip(groups, self._spans, strict=True)
        ]
        self._built = hold(tasks, title="weighing pairs", silent=silent)
        self.partners = np.zeros(len(units), dtype=np.int64)
        self.problems: list[NDArray[np.intp]] = []
        self._shares: list[slice] = []
        self.entries_per_task = self.waiting_tasks = 1
        facts = dask.delayed(_facts, pure=True)
        parts = run([facts(built) for built in self._built], silent=True)
        for span, (partners, problems, entries) in zip(self._spans, parts, strict=True):
            self.partners[span] = partners
            first = len(self.problems)
            self.problems += [own + span.start for own in problems]
            self._shares.append(slice(first, len(self.problems)))
            self.entries_per_task = max(self.entries_per_task, entries)
        self.used = self.partners > 0

    def begin(self, start: Float64) -> list[Any]:
        return [dask.delayed((start[span], np.zeros((0, 3)))) for span in self._spans]

    def advance(self, state: list[Any], steps: int) -> tuple[list[Any], list[Any]]:
        task, trace = dask.delayed(_advance, pure=True), dask.delayed(_trace_of)
        ahead = [task(built, own, steps) for built, own in zip(self._built, state, strict=True)]
        return ahead, [trace(own) for own in ahead]

    def join(self, parts: list[Float64]) -> Float64:
        joined = np.stack(parts) if parts else np.zeros((1, 1, 3))
        cost = np.sqrt(np.add.reduce(joined[:, :, 0], axis=0))
        return np.column_stack([cost, joined[:, :, 1:].max(axis=0)])

    def gather(self, state: list[Any]) -> Float64:
        values = np.ones(self._size)
        for span, (correction, _) in zip(self._spans, state, strict=True):
            values[span] = correction
        return values

    def solve(self, states: list[State], goal: Goal, budget: int, silent: bool) -> list[State]:
        task = dask.delayed(_solve_part, pure=True)
        # What is finished, or has gone too far, stays as it is.
        busy = [
            k
            for k, own in enumerate(self._shares)
            if any(unfinished(state, goal) for state in states[own])
        ]
        tasks = [
            task(
                self._built[k], dask.delayed(states[self._shares[k]], traverse=False), goal, budget
            )
            for k in busy
        ]
        ahead = list(states)
        for k, found in zip(busy, run(tasks, title="balancing", silent=silent), strict=True):
            ahead[self._shares[k]] = found
        return ahead

    def sums(self, corrections: Float64) -> Float64:
        total, task = np.zeros(self._size), dask.delayed(_sums_of, pure=True)
        tasks = [
            task(own, corrections[span]) for own, span in zip(self._built, self._spans, strict=True)
        ]
        for span, part in zip(self._spans, run(tasks, silent=True), strict=True):
            total[span] = part
        return total


def _relative(inner: slice, outer: slice) -> slice:
    return slice(inner.start - outer.start, inner.stop - outer.start)


# Everything else: spans of rows, joined in every iteration

PIECE = 1 << 18  # units: vectors travel in pieces of so many, to the tasks that need them


class _Span(NamedTuple):
    trans: int
    rows: slice
    columns: slice
    matrix: SparseRows
    reads: float


def _build_spans(pieces: Sequence[Piece], settings: Settings, usereads: UseReads) -> list[_Span]:
    """Cis rows and trans rows of some pieces, each over the units that it touches."""
    spans = []
    for piece in pieces:
        for cis, columns in rows_by_kind(piece, settings.units, usereads):
            first, second, weight, reads = weigh(columns, cis, settings)
            if not len(first):
                continue
            if (first[1:] < first[:-1]).any():  # rows of several blocks, each sorted
                order = np.argsort(first, kind="stable")
                first, second, weight = first[order], second[order], weight[order]
            rows, across = extent(first), extent(second)
            matrix = sparse_rows(
                first - np.int32(rows.start),
                second - np.int32(across.start),
                weight,
                rows.stop - rows.start,
            )
            spans.append(_Span(int(not cis), rows, across, matrix, reads))
    return spans


def _summary(spans: Sequence[_Span]) -> tuple[Stretches, Float64]:
    """Entries of every unit, and the sums of reads, cis and trans."""
    partners = _room(spans, np.int64)
    reads = np.zeros(2)
    for span in spans:
        first, second = entries_of(span.matrix, span.columns.stop - span.columns.start)
        partners.at(span.rows)[:] += first
        partners.at(span.columns)[:] += second
        reads[span.trans] += span.reads
    return partners, reads


def _add_summaries(parts: list[tuple[Stretches, Float64]]) -> tuple[Stretches, Float64]:
    partners, reads = zip(*parts, strict=True)
    return add_stretches(partners), np.sum(reads, axis=0)


def _room(spans: Sequence[_Span], dtype: DTypeLike) -> Stretches:
    """Zeros for all units that the spans touch."""
    return Stretches.zeros([each for span in spans for each in (span.rows, span.columns)], dtype)


def _reach(spans: Sequence[_Span]) -> list[slice]:
    """Units that the spans touch."""
    return _room(spans, np.int8).spans()


def _product(
    spans: Sequence[_Span],
    pieces: Sequence[slice],
    parts: Sequence[Float64],
    scale: tuple[float, float],
) -> Stretches:
    """Sum_j w_ij f_j over the rows of some spans; f is given in pieces of the genome."""
    total, values = _room(spans, np.float64), Stretches.joined(pieces, parts)
    for trans, rows, columns, matrix, _ in spans:
        factor = scale[trans]
        multiply(
            matrix,
            factor * values.at(rows),
            factor * values.at(columns),
            total.at(rows),
            total.at(columns),
        )
    return total


def _inverse(state: tuple[Float64, Float64], piece: slice) -> Float64:
    return 1 / state[0][piece]


def _update(
    total: Stretches,
    state: tuple[Float64, Float64],
    possible: NDArray[np.int64],
    used: NDArray[np.bool_],
) -> tuple[Float64, Float64]:
    correction = state[0].copy()
    ratio = total.whole(len(used))[used] / correction[used] / possible[used]
    root = np.sqrt(ratio)
    correction[used] *= root
    cost, change = np.square(ratio - 1).sum(), np.abs(root - 1).max(initial=0.0)
    own = correction[used]
    wide = own.max() / own.min() if len(own) else 0.0
    return correction, np.array([[cost, change, wide]])


class SpanSystem:
    """Rows that join chromosomes, or too many for one task: a round of tasks per iteration."""

    def __init__(self, problem: Problem, possible: NDArray[np.int64], silent: bool) -> None:
        size = len(problem.units)
        settings = settings_of(problem)
        build = dask.delayed(_build_spans, pure=True)
        # One task at least, also without rows.
        groups = piece_groups(problem.store, _wanted_blocks(problem)) or [[]]
        tasks = [build(group, settings, problem.usereads) for group in groups]
        self._built = hold(tasks, title="weighing pairs", silent=silent)
        summary = dask.delayed(_summary, pure=True)
        parts = [summary(built) for built in self._built]
        reach = dask.delayed(_reach, pure=True)
        reached = [reach(built) for built in self._built]
        (partners, reads), *reached = run(
            [tree_reduce(parts, _add_summaries), *reached], silent=True
        )
        self.partners = partners.whole(size).astype(np.int64)
        self.used = self.partners > 0
        units = np.flatnonzero(self.used)
        self.problems = [units] if len(units) else []
        self._scale = _scales(problem, possible, reads)
        self._constant = hold([dask.delayed(possible), dask.delayed(self.used)])
        self._pieces = [slice(lo, min(size, lo + PIECE)) for lo in range(0, size, PIECE)]
        self._needed = [
            [k for k, piece in enumerate(self._pieces) if any(map(partial(_meet, piece), spans))]
            for spans in reached
        ]
        self.entries_per_task = 8 * SPAN
        self.waiting_tasks = len(self._built)

    def begin(self, start: Float64) -> list[Any]:
        return [dask.delayed((start, np.zeros((1, 3))))]

    def advance(self, state: list[Any], steps: int) -> tuple[list[Any], list[Any]]:
        update = dask.delayed(_update, pure=True)
        trace, inverse = dask.delayed(_trace_of), dask.delayed(_inverse, pure=True)
        (current,) = state
        traces = []
        for _ in range(steps):
            total = self._product([inverse(current, piece) for piece in self._pieces])
            current = update(total, current, *self._constant)
            traces.append(trace(current))
        return [current], traces

    def join(self, parts: list[Float64]) -> Float64:
        trace = np.concatenate(parts)
        trace[:, 0] = np.sqrt(trace[:, 0])
        return trace

    def gather(self, state: list[Any]) -> Float64:
        values: Float64 = state[0][0].copy()
        return values

    def solve(self, states: list[State], goal: Goal, budget: int, silent: bool) -> list[State]:
        (own,) = self.problems
        values = np.zeros(len(self.used))

        def product(factor: Float64) -> Float64:
            values[own] = factor
            result: Float64 = self.multiply(values, silent)[own]
            return result

        return [advance(product, states[0], goal, budget)]

    def sums(self, corrections: Float64) -> Float64:
        return self.multiply(1 / corrections, True)

    def multiply(self, values: Float64, silent: bool) -> Float64:
        """float64 (N): product of the symmetric matrix and a vector (N)."""
        parts = [dask.delayed(values[piece].copy()) for piece in self._pieces]
        (total,) = run([self._product(parts)], silent=silent)
        result: Float64 = total.whole(len(values))
        return result

    def _product(self, parts: Sequence[Any]) -> Any:
        """Lazy product with a vector; a task gets the pieces of it that it needs."""
        task = dask.delayed(_product, pure=True)
        own = [
            task(built, [self._pieces[k] for k in needed], [parts[k] for k in needed], self._scale)
            for built, needed in zip(self._built, self._needed, strict=True)
        ]
        return tree_reduce(own, add_stretches)


def _meet(one: slice, two: slice) -> bool:
    return bool(one.start < two.stop and two.start < one.stop)


def _wanted_blocks(problem: Problem) -> list[tuple[int, int]]:
    """Blocks of the wanted kind between chosen chromosomes, in order."""
    chosen, kind = set(problem.chroms), problem.usereads
    return [
        (a, b)
        for a, b in problem.store.blocks
        if {a, b} <= chosen and (kind == "all" or (a == b) == (kind == "cis"))
    ]


def _scales(problem: Problem, possible: NDArray[np.int64], reads: Float64) -> tuple[float, float]:
    """Factors of cis and trans weights: one over the mean that is not in the weights yet.

    `reads` are those of cis and of trans rows. Trans rows are divided by the mean of trans pairs if
    the distance is removed from cis rows, else all rows by the mean of all pairs.
    """
    if problem.usereads == "cis" or not problem.scaled or not reads.any():
        return 1.0, 1.0
    if problem.usereads == "all" and problem.distance is None:
        mean = 2 * reads.sum() / possible.sum()
        return 1 / mean, 1 / mean
    if not reads[1]:
        return 1.0, 1.0
    units, valid = problem.units, problem.valid
    per = np.array([int(valid[units.span(c)].sum()) for c in problem.chroms], dtype=np.float64)
    mean = 2 * reads[1] / (per.sum() ** 2 - np.square(per).sum())
    return 1.0, 1 / mean
