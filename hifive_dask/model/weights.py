"""The matrix that Express balances: its weights, where they are, and one step of the iteration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.reduce import tree_reduce
from hifive_dask._graph.run import hold, run
from hifive_dask._kernels.coverage import select_pairs
from hifive_dask._kernels.express import (
    SparseRows,
    distance_weights,
    iterate,
    multiply,
    sparse_rows,
)
from hifive_dask._store.pairs import Columns, PairStore
from hifive_dask.genome.partition import Units
from hifive_dask.model.filtering import UseReads
from hifive_dask.model.rows import (
    SPAN,
    Piece,
    cis_groups,
    cis_pieces,
    group_span,
    piece_groups,
    rows_by_kind,
)

__all__ = ["CisSystem", "Problem", "SpanSystem", "System"]

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]


@dataclass(frozen=True)
class Problem:
    """What is to be balanced.

    Parameters
    ----------
    units, store
        The genome and its pairs.
    valid
        int32 (N): units in use on the chosen chromosomes.
    chroms
        Chosen chromosomes.
    window
        bp: ``window[0] <= d < window[1]``, 0 is no upper limit.
    usereads
        Kind of rows.
    distance
        Parameters and chromosome means to be divided out of cis rows, or None.
    binary
        Rows count 1 in place of their reads.
    """

    units: Units
    valid: Int32
    store: PairStore
    chroms: tuple[int, ...]
    window: tuple[int, int]
    usereads: UseReads
    distance: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    binary: bool


class System(Protocol):
    """The weights, spread over tasks, and what one iteration does with them."""

    used: NDArray[np.bool_]
    entries_per_task: int

    def begin(self, start: Float64) -> list[Any]:
        """Lazy state of corrections ``start`` (N)."""

    def advance(self, state: list[Any], steps: int) -> tuple[list[Any], list[Any]]:
        """Lazy state after some iterations, and lazy parts of their trace."""

    def join(self, parts: list[Float64]) -> Float64:
        """Trace (steps, 2), cost and change, of its parts."""

    def gather(self, state: list[Any]) -> Float64:
        """Corrections (N) of a computed state."""


class _Settings(NamedTuple):
    """The small part of a problem, that tasks need besides their rows."""

    units: Units
    valid: Int32
    window: tuple[int, int]
    distance: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    binary: bool


def _settings(problem: Problem) -> Any:
    small = _Settings(
        problem.units, problem.valid, problem.window, problem.distance, problem.binary
    )
    (kept,) = hold([dask.delayed(small)])
    return kept


def _weigh(columns: Columns, cis: bool, settings: _Settings) -> tuple[Int32, Int32, Float64]:
    """Units of the rows in use, in the order of the rows, and their weights."""
    units, (low, high) = settings.units, settings.window
    first, second, count = select_pairs(
        *columns, settings.valid, units.mid, mindistance=low, maxdistance=high, cis=cis
    )
    weight = np.ones(len(first)) if settings.binary else count.astype(np.float64)
    if cis and settings.distance is not None:
        parameters, means = settings.distance
        weight = distance_weights(first, second, weight, units.mid, parameters)
        weight /= np.exp(means.astype(np.float64))[units.chromosome[first]]
    return first, second, weight


def _touched(matrix: SparseRows, columns: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return np.diff(matrix.start) > 0, np.bincount(matrix.column, minlength=columns) > 0


# Cis: a task owns whole chromosomes


class _Part(NamedTuple):
    """Consecutive chromosomes: weights, possible partners, units that have rows."""

    matrix: SparseRows
    possible: NDArray[np.int64]
    used: NDArray[np.bool_]


def _build_part(
    pieces: Sequence[Piece], span: slice, possible: NDArray[np.int64], settings: _Settings
) -> _Part:
    room, end = sum(len(piece.rows) for piece in pieces), 0
    column, weight = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.float32)
    entries = np.zeros(len(possible), dtype=np.int64)
    for piece in pieces:
        for cis, columns in rows_by_kind(piece, settings.units, "cis"):
            first, second, values = _weigh(columns, cis, settings)
            stop = end + len(first)
            np.subtract(second, span.start, out=column[end:stop])
            weight[end:stop] = values
            entries += np.bincount(first - span.start, minlength=len(entries))
            end = stop
    matrix = SparseRows(np.r_[0, np.cumsum(entries)], column[:end], weight[:end])
    rows, columns_used = _touched(matrix, len(possible))
    return _Part(matrix, possible, rows | columns_used)


def _used_of(part: _Part) -> tuple[NDArray[np.bool_], int]:
    """Units that have rows, and the number of rows."""
    return part.used, len(part.matrix.column)


def _advance(part: _Part, state: tuple[Float64, Float64], steps: int) -> tuple[Float64, Float64]:
    return iterate(*part, state[0], steps)


def _trace_of(state: tuple[Float64, Float64]) -> Float64:
    return state[1]


class CisSystem:
    """Cis rows: chromosomes are independent, a task owns some for many iterations."""

    def __init__(self, problem: Problem, possible: NDArray[np.int64], silent: bool) -> None:
        units, store = problem.units, problem.store
        chroms = [c for c in problem.chroms if problem.valid[units.span(c)].any()]
        groups = cis_groups(store, [c for c in chroms if (c, c) in store.blocks])
        self._size = len(units)
        self._spans = [group_span(units, group) for group in groups]
        settings = _settings(problem)
        build = dask.delayed(_build_part, pure=True)
        tasks = [
            build(cis_pieces(store, group), span, possible[span], settings)
            for group, span in zip(groups, self._spans, strict=True)
        ]
        self._built = hold(tasks, title="weighing pairs", silent=silent)
        self.used = np.zeros(len(units), dtype=bool)
        self.entries_per_task = 1
        used_of = dask.delayed(_used_of, pure=True)
        parts = run([used_of(built) for built in self._built], silent=True)
        for span, (used, entries) in zip(self._spans, parts, strict=True):
            self.used[span] = used
            self.entries_per_task = max(self.entries_per_task, entries)

    def begin(self, start: Float64) -> list[Any]:
        return [dask.delayed((start[span], np.zeros((0, 2)))) for span in self._spans]

    def advance(self, state: list[Any], steps: int) -> tuple[list[Any], list[Any]]:
        task, trace = dask.delayed(_advance, pure=True), dask.delayed(_trace_of)
        ahead = [task(built, own, steps) for built, own in zip(self._built, state, strict=True)]
        return ahead, [trace(own) for own in ahead]

    def join(self, parts: list[Float64]) -> Float64:
        joined = np.stack(parts) if parts else np.zeros((1, 1, 2))
        cost = np.sqrt(np.add.reduce(joined[:, :, 0], axis=0))
        return np.stack([cost, joined[:, :, 1].max(axis=0)], axis=1)

    def gather(self, state: list[Any]) -> Float64:
        values = np.ones(self._size)
        for span, (correction, _) in zip(self._spans, state, strict=True):
            values[span] = correction
        return values


# Everything else: spans of rows, joined in every iteration


class _Span(NamedTuple):
    trans: int
    rows: slice
    columns: slice
    matrix: SparseRows


def _extent(indices: Int32) -> slice:
    return slice(int(indices.min()), int(indices.max()) + 1)


def _build_spans(pieces: Sequence[Piece], settings: _Settings, usereads: UseReads) -> list[_Span]:
    """Cis rows and trans rows of some pieces, each over the units that it touches."""
    spans = []
    for piece in pieces:
        for cis, columns in rows_by_kind(piece, settings.units, usereads):
            first, second, weight = _weigh(columns, cis, settings)
            if not len(first):
                continue
            if (first[1:] < first[:-1]).any():  # rows of several blocks, each sorted
                order = np.argsort(first, kind="stable")
                first, second, weight = first[order], second[order], weight[order]
            rows, across = _extent(first), _extent(second)
            matrix = sparse_rows(
                first - np.int32(rows.start),
                second - np.int32(across.start),
                weight,
                rows.stop - rows.start,
            )
            spans.append(_Span(int(not cis), rows, across, matrix))
    return spans


def _summary(spans: Sequence[_Span], units: Units) -> tuple[NDArray[np.bool_], Float64]:
    """Which units are used, and the sums of weights and rows, cis and trans."""
    used = np.zeros(len(units), dtype=bool)
    sums = np.zeros((2, 2))
    for trans, rows, columns, matrix in spans:
        first, second = _touched(matrix, columns.stop - columns.start)
        used[rows] |= first
        used[columns] |= second
        sums[trans] += matrix.weight.sum(dtype=np.float64), len(matrix.weight)
    return used, sums


def _product(
    spans: Sequence[_Span], state: tuple[Float64, Float64], scale: tuple[float, float]
) -> Float64:
    """Sum_j w_ij / c_j over the rows of some spans."""
    factors = [s / state[0] for s in scale]
    total = np.zeros(len(state[0]))
    for trans, rows, columns, matrix in spans:
        factor = factors[trans]
        multiply(matrix, factor[rows], factor[columns], total[rows], total[columns])
    return total


def _add(parts: list[Float64]) -> Float64:
    total: Float64 = np.sum(parts, axis=0)
    return total


def _update(
    total: Float64,
    state: tuple[Float64, Float64],
    possible: NDArray[np.int64],
    used: NDArray[np.bool_],
) -> tuple[Float64, Float64]:
    correction = state[0].copy()
    ratio = total[used] / correction[used] / possible[used]
    root = np.sqrt(ratio)
    correction[used] *= root
    cost, change = np.square(ratio - 1).sum(), np.abs(root - 1).max(initial=0.0)
    return correction, np.array([[cost, change]])


class SpanSystem:
    """Rows that join chromosomes, or too many for one task: a round of tasks per iteration."""

    def __init__(self, problem: Problem, possible: NDArray[np.int64], silent: bool) -> None:
        self._units = units = problem.units
        settings = _settings(problem)
        build = dask.delayed(_build_spans, pure=True)
        # One task at least, also without rows.
        groups = piece_groups(problem.store, _wanted_blocks(problem)) or [[]]
        tasks = [build(group, settings, problem.usereads) for group in groups]
        self._built = hold(tasks, title="weighing pairs", silent=silent)
        (shared,) = hold([dask.delayed(units)])
        summary = dask.delayed(_summary, pure=True)
        parts = run([summary(built, shared) for built in self._built], silent=True)
        self.used = np.zeros(len(units), dtype=bool)
        sums = np.zeros((2, 2))
        for used, own in parts:
            self.used |= used
            sums += own
        self._scale = _scales(problem, possible, sums)
        self._constant = hold([dask.delayed(possible), dask.delayed(self.used)])
        self.entries_per_task = 8 * SPAN

    def begin(self, start: Float64) -> list[Any]:
        return [dask.delayed((start, np.zeros((1, 2))))]

    def advance(self, state: list[Any], steps: int) -> tuple[list[Any], list[Any]]:
        product, update = dask.delayed(_product, pure=True), dask.delayed(_update, pure=True)
        trace = dask.delayed(_trace_of)
        (current,) = state
        traces = []
        for _ in range(steps):
            parts = [product(own, current, self._scale) for own in self._built]
            current = update(tree_reduce(parts, _add), current, *self._constant)
            traces.append(trace(current))
        return [current], traces

    def join(self, parts: list[Float64]) -> Float64:
        trace = np.concatenate(parts)
        trace[:, 0] = np.sqrt(trace[:, 0])
        return trace

    def gather(self, state: list[Any]) -> Float64:
        values: Float64 = state[0][0].copy()
        return values


def _wanted_blocks(problem: Problem) -> list[tuple[int, int]]:
    """Blocks of the wanted kind between chosen chromosomes, in order."""
    chosen, kind = set(problem.chroms), problem.usereads
    return [
        (a, b)
        for a, b in problem.store.blocks
        if {a, b} <= chosen and (kind == "all" or (a == b) == (kind == "cis"))
    ]


def _scales(problem: Problem, possible: NDArray[np.int64], sums: Float64) -> tuple[float, float]:
    """Factors of cis and trans weights: one over the mean that is not in the weights yet.

    `sums` holds weights and rows, of cis and of trans. Trans rows are divided by the mean of trans
    pairs if the distance is removed from cis rows, else all rows by the mean of all pairs.
    """
    if problem.usereads == "cis" or not sums[:, 0].any():
        return 1.0, 1.0
    if problem.usereads == "all" and problem.distance is None:
        mean = 2 * sums[:, 0].sum() / possible.sum()
        return 1 / mean, 1 / mean
    if not sums[1, 0]:
        return 1.0, 1.0
    units, valid = problem.units, problem.valid
    per = np.array([int(valid[units.span(c)].sum()) for c in problem.chroms], dtype=np.float64)
    mean = 2 * sums[1, 0] / (per.sum() ** 2 - np.square(per).sum())
    return 1.0, 1 / mean
