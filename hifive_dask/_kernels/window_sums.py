"""What is expected of all pairs in a window: any interval of units on either axis.

Without a distance dependence that is a difference of running sums. A power law of distance is
summed over windows far apart by one series about the distance of their middles, from moments that
a tree over the units holds. Other windows are cut: their whole blocks are looked up in a table of
sums over blocks, and what is left at their edges is halved until the series suffices, or summed
pair by pair.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.binning import factor_of
from hifive_dask._kernels.dynamic import Growing, Order, bin_of, set_window, table_sum
from hifive_dask._kernels.jit import jit
from hifive_dask._kernels.moments import interval_moments
from hifive_dask._kernels.pair_sums import PowerLaw, leaf_powers, series_sum
from hifive_dask._kernels.pair_trees import (
    LEAF,
    STACK,
    TERMS,
    enough_terms,
    push,
    segment_of,
)

__all__ = [
    "FACTORS",
    "POWERS",
    "PRODUCTS",
    "WindowSums",
    "block_sums",
    "grow_by_sums",
    "inner_sums",
    "window_sums",
]

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

PRODUCTS, POWERS, FACTORS = 0, 1, 2  # what is expected of a pair
_FEW = 64  # pairs: fewer are summed one by one before any series
_ROUNDING = 1e-9  # of a sum, relative to what was subtracted to get it


class WindowSums(NamedTuple):
    """What the sums over windows need.

    Parameters
    ----------
    kind
        `PRODUCTS` of weights; `POWERS`: these times a power law; `FACTORS`: times corrections of
        feature bins too, pair by pair.
    both
        Whether a pair counts once for either order of its units; else only with the lower one in
        the row.
    mid, weight
        int64, float64 (n): units. Those of two chromosomes follow each other.
    total, square
        float64 (n + 1): sums of weights and of their squares over all units before.
    own
        float64 (n + 1): sums over all units before of what is added where a unit lies in both
        intervals.
    near1, near3
        float64 (n + 1): sums of what is expected of impossible pairs, by their lower unit, with the
        next unit and with the third.
    rows, columns
        int64 (groups + 1): first unit of what windows are made of, on either axis.
    row_blocks, column_blocks
        int64 (blocks + 1): first unit of the blocks of the table.
    table
        float64 (row blocks + 1, column blocks + 1): sums over all blocks before.
    tree
        float64 (nodes, 2 + TERMS), of `build_moments`.
    thresholds, law
        Power law by segment of distance.
    feature_bins, factors
        Of a binning model.
    """

    kind: int
    both: bool
    mid: Int64
    weight: Float64
    total: Float64
    square: Float64
    own: Float64
    near1: Float64
    near3: Float64
    rows: Int64
    columns: Int64
    row_blocks: Int64
    column_blocks: Int64
    table: Float64
    tree: Float64
    thresholds: Int64
    law: PowerLaw
    feature_bins: NDArray[np.int32]
    factors: NDArray[np.float32]


class _Room(NamedTuple):
    """Memory for one sum: pairs of intervals that wait, partners of a leaf, rows of `TERMS`."""

    stack: Int64
    partner: Int64
    terms: Float64


@jit
def _room():
    stack, partner = np.empty((STACK, 4), dtype=np.int64), np.empty(LEAF, dtype=np.int64)
    return _Room(stack, partner, np.empty((5, TERMS)))


# Arrays are passed one by one where much is called: records of many arrays make calls slow.

# Sums over two intervals that are the same, or of which the first comes before the second


@jit
def _far_apart(mid, thresholds, intercept, reach, a0, a1, b0, b1):
    """Number of terms of the series for two intervals, and segment; no terms if nothing counts."""
    first, last = mid[b0] - mid[a1 - 1], mid[b1 - 1] - mid[a0]
    low = segment_of(thresholds, max(0, first), 0, len(thresholds))
    if low < len(thresholds) and last > thresholds[low]:
        return TERMS + 1, low
    if intercept[low] == -np.inf:
        return 0, low
    # Half of both lengths, and the distance of both middles.
    return enough_terms(reach, 0, low, 0.5 * (last - first), 0.5 * (last + first)), low


@jit
def _series_of(mid, law, a0, a1, b0, b1, terms, k, moment, a, b, room):
    """Sum over two distant intervals in one segment of distance, from their moments."""
    if terms == 0:
        return 0.0
    distance = 0.5 * (mid[b1 - 1] + mid[b0] - mid[a1 - 1] - mid[a0])
    step_a = -0.5 * (mid[a1 - 1] - mid[a0]) / distance
    step_b = 0.5 * (mid[b1 - 1] - mid[b0]) / distance
    lead = np.exp(law.slope[k] * np.log(distance) + law.intercept[k])
    one, two, derivative = room[2], room[3], law.derivative[k]
    return lead * series_sum(moment, a, b, step_a, step_b, derivative, terms, one, two)


@jit
def _series(tree, mid, weight, law, a0, a1, b0, b1, terms, k, room):
    if terms > 0:
        interval_moments(tree, mid, weight, a0, a1, terms, room[4], room[0])
        interval_moments(tree, mid, weight, b0, b1, terms, room[4], room[1])
    return _series_of(mid, law, a0, a1, b0, b1, terms, k, room, 0, 1, room)


@jit
def _leaf(mid, weight, thresholds, law, a0, a1, b0, b1, partner):
    first, last = mid[b0] - mid[a1 - 1], mid[b1 - 1] - mid[a0]
    low = segment_of(thresholds, max(0, first), 0, len(thresholds))
    high = segment_of(thresholds, last, low, len(thresholds))
    return leaf_powers(
        mid, weight, a0, a1, b0, b1, low, high, thresholds, law.slope, law.intercept,
        law.coefficient, law.reach, 0.5 * (last - first), 0.5 * (last + first), partner,
    )  # fmt: skip


@jit
def _powers(tree, mid, weight, thresholds, law, a0, a1, b0, b1, stack, partner, room):
    total = 0.0
    depth = push(stack, 0, a0, a1, b0, b1)
    while depth > 0:
        depth -= 1
        a0, a1, b0, b1 = stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3]
        small = a1 - a0 <= LEAF and b1 - b0 <= LEAF
        if not small and a0 == b0:
            middle = (a0 + a1) // 2
            depth = push(stack, depth, a0, middle, a0, middle)
            depth = push(stack, depth, a0, middle, middle, a1)
            depth = push(stack, depth, middle, a1, middle, a1)
            continue
        terms, k = TERMS + 1, 0
        if a0 != b0 and (a1 - a0) * (b1 - b0) > _FEW:
            terms, k = _far_apart(mid, thresholds, law.intercept, law.reach, a0, a1, b0, b1)
        if terms <= TERMS:
            total += _series(tree, mid, weight, law, a0, a1, b0, b1, terms, k, room)
        elif small:
            total += _leaf(mid, weight, thresholds, law, a0, a1, b0, b1, partner)
        elif b1 - b0 <= LEAF or (a1 - a0 > LEAF and mid[a1 - 1] - mid[a0] >= mid[b1 - 1] - mid[b0]):
            middle = (a0 + a1) // 2
            depth = push(stack, depth, a0, middle, b0, b1)
            depth = push(stack, depth, middle, a1, b0, b1)
        else:
            middle = (b0 + b1) // 2
            depth = push(stack, depth, a0, a1, b0, middle)
            depth = push(stack, depth, a0, a1, middle, b1)
    return total


@jit
def _factored(s, a0, a1, b0, b1):
    law, last = s.law, len(s.thresholds)
    total = 0.0
    for i in range(a0, a1):
        if s.weight[i] == 0.0:
            continue
        k = 0
        for j in range(max(i + 1, b0) if a0 == b0 else b0, b1):
            distance = max(0, s.mid[j] - s.mid[i])
            while k < last and distance > s.thresholds[k]:
                k += 1
            if s.weight[j] == 0.0 or law.intercept[k] == -np.inf:
                continue
            value = s.weight[i] * s.weight[j] * np.exp(law.intercept[k])
            if law.slope[k] != 0.0:
                value *= np.exp(law.slope[k] * np.log(float(max(1, distance))))
            total += value * factor_of(s.feature_bins[i], s.feature_bins[j], s.factors)
    return total


@jit
def _sum(s, a0, a1, b0, b1, room):
    """Sum over each pair once of two intervals, the same ones or one before the other."""
    if a0 >= a1 or b0 >= b1:
        return 0.0
    if s.kind == POWERS:
        return _powers(
            s.tree, s.mid, s.weight, s.thresholds, s.law, a0, a1, b0, b1,
            room.stack, room.partner, room.terms,
        )  # fmt: skip
    if s.kind == FACTORS:
        return _factored(s, a0, a1, b0, b1)
    weight = s.total[a1] - s.total[a0]
    if a0 == b0:
        return 0.5 * (weight * weight - (s.square[a1] - s.square[a0])) if a1 - a0 > 1 else 0.0
    return weight * (s.total[b1] - s.total[b0])


# Sums over windows


@jit
def _any(s, a0, a1, b0, b1, room):
    """Sum over two intervals that may overlap: units of the first as rows."""
    lo, hi = max(a0, b0), min(a1, b1)
    if lo >= hi:
        if a0 < b0:
            return _sum(s, a0, a1, b0, b1, room)
        return _sum(s, b0, b1, a0, a1, room) if s.both else 0.0
    same = _sum(s, lo, hi, lo, hi, room)
    if s.both:
        same *= 2.0
        same += _sum(s, b0, lo, lo, a1, room) + _sum(s, lo, hi, hi, a1, room)
    return same + _sum(s, a0, lo, lo, b1, room) + _sum(s, lo, hi, hi, b1, room)


@jit
def _cut(s, a0, a1, b0, b1, room):
    """As `_any`, with whole blocks from the table."""
    rows, columns = s.row_blocks, s.column_blocks
    lo1, hi1 = segment_of(rows, a0, 0, len(rows)), segment_of(rows, a1 + 1, 0, len(rows)) - 1
    lo2 = segment_of(columns, b0, 0, len(columns))
    hi2 = segment_of(columns, b1 + 1, 0, len(columns)) - 1
    if lo1 >= hi1 or lo2 >= hi2:
        return _any(s, a0, a1, b0, b1, room)
    a2, a3, b2, b3 = rows[lo1], rows[hi1], columns[lo2], columns[hi2]
    return (
        table_sum(s.table, lo1, hi1, lo2, hi2)
        + _any(s, a0, a2, b0, b1, room)
        + _any(s, a3, a1, b0, b1, room)
        + _any(s, a2, a3, b0, b2, room)
        + _any(s, a2, a3, b3, b1, room)
    )


@jit
def _near(sums, step, a0, a1, b0, b1):
    """Of the impossible pairs with the lower unit in one interval and the other one in another."""
    lo, hi = max(a0, b0 - step), min(a1, b1 - step)
    return sums[hi] - sums[lo] if lo < hi else 0.0


@jit
def _window_sum(s, lo1, hi1, lo2, hi2, room):
    a0, a1, b0, b1 = s.rows[lo1], s.rows[hi1], s.columns[lo2], s.columns[hi2]
    if a0 >= a1 or b0 >= b1:
        return 0.0
    if s.kind == PRODUCTS:
        total = _any(s, a0, a1, b0, b1, room)
    else:
        terms, k = TERMS + 1, 0
        if s.kind == POWERS and a1 <= b0:
            terms, k = _far_apart(s.mid, s.thresholds, s.law.intercept, s.law.reach, a0, a1, b0, b1)
        if terms <= TERMS:
            total = _series(s.tree, s.mid, s.weight, s.law, a0, a1, b0, b1, terms, k, room.terms)
        else:
            total = _cut(s, a0, a1, b0, b1, room)
    removed = _near(s.near1, 1, a0, a1, b0, b1) + _near(s.near3, 3, a0, a1, b0, b1)
    if s.both:
        removed += _near(s.near1, 1, b0, b1, a0, a1) + _near(s.near3, 3, b0, b1, a0, a1)
    lo, hi = max(a0, b0), min(a1, b1)
    rest = removed
    if lo < hi:
        total += s.own[hi] - s.own[lo]
        rest += s.square[hi] - s.square[lo] if s.kind == PRODUCTS else abs(s.own[hi] - s.own[lo])
    total -= removed
    return total if total > _ROUNDING * rest else 0.0


@jit
def _window_sums(s, windows, sums):
    room = _room()
    for k in range(len(windows)):
        sums[k] = _window_sum(s, windows[k, 0], windows[k, 1], windows[k, 2], windows[k, 3], room)


def window_sums(sums: WindowSums, windows: Int64) -> Float64:
    """float64 (windows): what is expected of all possible pairs of each.

    Parameters
    ----------
    sums
        What is expected.
    windows
        int64 (windows, 4 or more): first and one past the last of rows and of columns.

    Notes
    -----
    A window takes O(1) operations for products; O(log n) for powers of windows that lie in one
    segment of distance, else O(units of a block) or so; for factors, the number of pairs at its
    edges, up to its first whole blocks. Relative error below 1e-9 for powers.
    """
    found = np.empty(len(windows))
    _window_sums(sums, windows, found)
    return found


@jit
def _block_sums(s, first, last, found):
    room = _room()
    rows, columns = s.row_blocks, s.column_blocks
    mid, thresholds, law = s.mid, s.thresholds, s.law
    border = np.concatenate((rows[first:last], rows[last : last + 1], columns))
    moment = np.zeros((len(border), TERMS))
    for k in range(len(border) - 1):
        if s.kind == POWERS and border[k] < border[k + 1]:
            lo, hi = border[k], border[k + 1]
            interval_moments(s.tree, mid, s.weight, lo, hi, TERMS, room.terms[4], moment[k])
    for r in range(first, last):
        for c in range(len(columns) - 1):
            a0, a1, b0, b1 = rows[r], rows[r + 1], columns[c], columns[c + 1]
            a, b = r - first, c + last - first + 1
            if s.both and b1 <= a0:
                a0, a1, b0, b1, a, b = b0, b1, a0, a1, b, a
            terms, k = TERMS + 1, 0
            if s.kind == POWERS and a0 < a1 <= b0 < b1:
                terms, k = _far_apart(mid, thresholds, law.intercept, law.reach, a0, a1, b0, b1)
            if terms <= TERMS:
                total = _series_of(mid, law, a0, a1, b0, b1, terms, k, moment, a, b, room.terms)
            elif s.both or a0 < b1:
                total = _any(s, a0, a1, b0, b1, room)
            else:
                total = 0.0
            found[r - first, c] = total


def block_sums(sums: WindowSums, first: int, last: int) -> Float64:
    """float64 (last - first, column blocks): sums over blocks, for rows of the table."""
    found = np.empty((last - first, len(sums.column_blocks) - 1))
    _block_sums(sums, first, last, found)
    return found


@jit
def _inner_sums(s, edge, found):
    room = _room()
    for k in range(len(found)):
        found[k] = _sum(s, edge[k], edge[k + 1], edge[k], edge[k + 1], room)


def inner_sums(sums: WindowSums, edge: Int64) -> Float64:
    """float64 (groups): sums over the pairs of two units of one group, each once."""
    found = np.empty(len(edge) - 1)
    _inner_sums(sums, edge, found)
    return found


@jit
def _grow_by_sums(s, one, two, rows, columns, target, limit, order, windows, total):
    room = _room()
    places = one.units, one.border, two.units, two.border, (one.origin, two.origin), one.shift
    end = limit * order.sides * order.ties - 1
    guess = 0
    for k in range(len(rows)):
        x, y, w = bin_of(one.bins, rows[k]), bin_of(two.bins, columns[k]), windows[k]
        lo, hi, width = -1, end, 1
        at = min(max(guess, 0), end)
        while lo + 1 < hi:
            set_window(w, *places, x, y, at, order)
            if _window_sum(s, w[0], w[1], w[2], w[3], room) >= target[k]:
                hi = at
                at = hi - width
            else:
                lo = at
                at = lo + width
            width *= 2
            if at <= lo or at >= hi:
                at = (lo + hi) // 2
        guess = hi
        set_window(w, *places, x, y, hi, order)
        total[k] = _window_sum(s, w[0], w[1], w[2], w[3], room)


def grow_by_sums(
    sums: WindowSums,
    one: Growing,
    two: Growing,
    rows: Int64,
    columns: Int64,
    target: Float64,
    limit: int,
    order: Order,
) -> tuple[Int64, Float64]:
    """As `find_windows`, until a sum over possible pairs is large enough: by bisection."""
    windows = np.empty((len(rows), 5), dtype=np.int64)
    total = np.empty(len(rows))
    _grow_by_sums(sums, one, two, rows, columns, target, limit, order, windows, total)
    return windows, total
