"""Windows that grow until they hold enough reads: dynamic binning.

A window takes in the next unit on that side where it is the nearest to the middle of its bin, and
so on. So every unit has a *step* at which a bin takes it in, a pair of units enters the window of
two bins at the later one of both steps, and the window that is wanted is that of the smallest step
by which enough reads have entered: an order statistic. Sums over blocks of pairs tell within which
ring of blocks it lies; only the pairs of this ring are looked at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit
from hifive_dask._kernels.pair_trees import segment_of

__all__ = ["Blocks", "Growing", "Order", "PairBlocks", "block_pairs", "find_windows", "table_sum"]

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]


class Growing(NamedTuple):
    """Bins of one axis, the units that they grow by, and blocks of units.

    Parameters
    ----------
    place
        int64 (units): midpoints in bp, not decreasing.
    below, above
        int64 (units): of units at the same place, how many come before this one when a window
        grows down, and up.
    start, stop, middle
        int64 (bins), bp.
    first, last
        int64 (bins): units of bin b are ``first[b]`` to ``last[b]``.
    border
        int64 (blocks + 1): the first unit of every block.
    origin, shift
        Block k starts at ``origin + (k << shift)`` bp.
    """

    place: Int64
    below: Int64
    above: Int64
    start: Int64
    stop: Int64
    middle: Int64
    first: Int64
    last: Int64
    border: Int64
    origin: int
    shift: int


class Order(NamedTuple):
    """How steps are counted: first by distance, then by side, then among units at one place.

    Parameters
    ----------
    sides
        4 if sides at the same distance grow one after the other, lower before upper and rows
        before columns; 1 if they grow at once.
    ties
        Largest number of units at one place.
    """

    sides: int
    ties: int


class Blocks(NamedTuple):
    """Pairs by the block of one of their units, and in each block by the other unit.

    Parameters
    ----------
    first
        int64 (blocks + 1): the first pair of every block.
    across, along
        int32 (pairs): unit that lies in the block, and the other one.
    reads
        int32 (pairs), 1 or more.
    """

    first: Int64
    across: Int32
    along: Int32
    reads: Int32


class PairBlocks(NamedTuple):
    """Pairs by blocks of rows, by blocks of columns, and sums over both.

    `table` is int64 (row blocks + 1, column blocks + 1): reads of all blocks before.
    """

    rows: Blocks
    columns: Blocks
    table: Int64


def block_pairs(pairs: Int32, one: Growing, two: Growing) -> PairBlocks:
    """Sort pairs into blocks; `pairs` is int32 (3, pairs): unit of the row, of the column, reads."""
    sizes = tuple(len(axis.border) - 1 for axis in (one, two))
    block = [
        np.searchsorted(axis.border, np.arange(len(axis.place)), "right") - 1 for axis in (one, two)
    ]
    first, second, reads = pairs
    cell = block[0][first] * sizes[1] + block[1][second]
    table = np.zeros((sizes[0] + 1, sizes[1] + 1), dtype=np.int64)
    _count(cell, reads, sizes[1], table)
    del cell
    np.cumsum(table, axis=0, out=table)
    np.cumsum(table, axis=1, out=table)
    return PairBlocks(
        _sorted(first, second, reads, block[0], sizes[0]),
        _sorted(second, first, reads, block[1], sizes[1]),
        table,
    )


@jit
def _count(cell, reads, width, table):
    for k in range(len(cell)):
        table[cell[k] // width + 1, cell[k] % width + 1] += reads[k]


def _sorted(across: Int32, along: Int32, reads: Int32, block: Int64, blocks: int) -> Blocks:
    lines = block[across]
    order = np.argsort(lines << 32 | along, kind="stable")
    first = np.r_[0, np.cumsum(np.bincount(lines, minlength=blocks))].astype(np.int64)
    return Blocks(first, across[order], along[order], reads[order])


@jit
def table_sum(table, lo1, hi1, lo2, hi2):
    """Sum over a rectangle of blocks; `table` has the sums over all blocks before."""
    return table[hi1, hi2] - table[lo1, hi2] - table[hi1, lo2] + table[lo1, lo2]


@jit
def _step(axis, b, unit, side, order):
    """When bin b takes in a unit; -1 for its own. `side` is that of the lower end."""
    if unit < axis.first[b]:
        distance, rank = axis.middle[b] - axis.place[unit], axis.below[unit]
    elif unit >= axis.last[b]:
        distance, rank = axis.place[unit] - axis.middle[b], axis.above[unit]
        side += 1
    else:
        return -1
    if order.sides == 1:
        side = 0
    return (distance * order.sides + side) * order.ties + rank


@jit
def _touched(axis, b, radius):
    """Blocks that a window touches."""
    lo = min(axis.middle[b] - radius, axis.start[b]) - axis.origin
    hi = max(axis.middle[b] + radius, axis.stop[b] - 1) - axis.origin
    blocks = len(axis.border) - 1
    return min(max(0, lo >> axis.shift), blocks), min(max(0, (hi >> axis.shift) + 1), blocks)


@jit
def _filled(axis, b, radius):
    """Blocks all of whose units lie in a window; maybe none, ``lo >= hi``."""
    lo = min(axis.middle[b] - radius, axis.start[b]) - axis.origin
    hi = max(axis.middle[b] + radius, axis.stop[b] - 1) - axis.origin
    blocks = len(axis.border) - 1
    first = max(0, (lo + (1 << axis.shift) - 1) >> axis.shift)
    last = min(blocks, (hi + 1) >> axis.shift)
    if hi >= axis.place[-1] - axis.origin:
        last = blocks
    return first, last


@jit
def _reads_touched(table, one, two, x, y, radius):
    lo1, hi1 = _touched(one, x, radius)
    lo2, hi2 = _touched(two, y, radius)
    return table_sum(table, lo1, hi1, lo2, hi2)


@jit
def _last_without(table, one, two, x, y, target, guess, most):
    """The largest number of blocks, up to `most`, that a window can reach without enough reads.

    -1 if there is none. Neighbouring bins end alike, so the search goes out from a guess.
    """
    shift = one.shift
    lo, hi, width = -1, most + 1, 1  # not enough at lo, maybe enough at hi
    at = min(max(guess, 0), most)
    while lo + 1 < hi:
        if _reads_touched(table, one, two, x, y, at << shift) < target:
            lo = at
            at = lo + width
        else:
            hi = at
            at = hi - width
        width *= 2
        if at <= lo or at >= hi:
            at = (lo + hi) // 2
    return lo


@jit
def _gather(
    lines, lo, hi, begin, end, across, x, side_x, along, y, side_y, order, most, steps, reads, found
):  # fmt: skip
    """Add the pairs of some blocks, from one unit to another; also the reads of no step."""
    base = 0
    for line in range(lo, hi):
        stop = lines.first[line + 1]
        k = segment_of(lines.along, begin, lines.first[line], stop)
        while k < stop and lines.along[k] < end:
            step = max(
                _step(across, x, lines.across[k], side_x, order),
                _step(along, y, lines.along[k], side_y, order),
            )
            if step < 0:
                base += lines.reads[k]
            elif step <= most:
                steps[found] = step
                reads[found] = lines.reads[k]
                found += 1
            k += 1
    return base, found


@jit
def _gather_ring(pairs, one, two, x, y, inner, outer, order, most, steps, reads):
    """The pairs between two rectangles of blocks: reads of no step, and number of the others."""
    lo1, hi1, lo2, hi2 = outer
    in1, out1, in2, out2 = inner
    first, last = two.border[lo2], two.border[hi2]
    base, found = _gather(
        pairs.rows, lo1, in1, first, last, one, x, 0, two, y, 2, order, most, steps, reads, 0
    )
    more, found = _gather(
        pairs.rows, out1, hi1, first, last, one, x, 0, two, y, 2, order, most, steps, reads, found
    )
    base += more
    first, last = one.border[in1], one.border[out1]
    more, found = _gather(
        pairs.columns, lo2, in2, first, last, two, y, 2, one, x, 0, order, most, steps, reads, found
    )
    base += more
    more, found = _gather(
        pairs.columns, out2, hi2, first, last, two, y, 2, one, x, 0, order, most, steps, reads,
        found,
    )  # fmt: skip
    return base + more, found


@jit
def _select(steps, reads, found, base, target, most):
    """The first step by which there are enough reads, with all reads up to it.

    If there never are, the last step with all reads. Halving the range of steps and keeping what
    lies in it visits each pair about twice.
    """
    total = base
    lo, hi = most, 0
    for k in range(found):
        total += reads[k]
        lo, hi = min(lo, steps[k]), max(hi, steps[k])
    if total < target:
        return most, total
    while lo < hi:
        middle = (lo + hi) // 2
        below = 0
        for k in range(found):
            if steps[k] <= middle:
                below += reads[k]
        enough = base + below >= target
        if enough:
            hi = middle
        else:
            base += below
            lo = middle + 1
        kept = 0
        for k in range(found):
            if (steps[k] <= middle) == enough:
                steps[kept], reads[kept] = steps[k], reads[k]
                kept += 1
        found = kept
    for k in range(found):
        base += reads[k]
    return lo, base


@jit
def _first_from(axis, bp):
    """The first unit at or above a position."""
    block = (bp - axis.origin) >> axis.shift
    if block < 0:
        return 0
    if block >= len(axis.border) - 1:
        return len(axis.place)
    return segment_of(axis.place, bp, axis.border[block], axis.border[block + 1])


@jit
def window_of(axis, b, step, side, order):
    """Units of bin b once all steps up to one are done, and how far the farthest is."""
    first, last, middle = axis.first[b], axis.last[b], axis.middle[b]
    distance = step // (order.sides * order.ties)
    lo = min(first, _first_from(axis, middle - distance))
    while lo < first and _step(axis, b, lo, side, order) > step:
        lo += 1
    hi = max(last, _first_from(axis, middle + distance + 1))
    while hi > last and _step(axis, b, hi - 1, side, order) > step:
        hi -= 1
    radius = 0
    if lo < first:
        radius = middle - axis.place[lo]
    if hi > last:
        radius = max(radius, axis.place[hi - 1] - middle)
    return lo, hi, radius


@jit
def set_window(windows, k, one, two, x, y, step, order):
    """Set a row of the windows of `find_windows`."""
    lo1, hi1, radius1 = window_of(one, x, step, 0, order)
    lo2, hi2, radius2 = window_of(two, y, step, 2, order)
    windows[k, 0], windows[k, 1], windows[k, 2], windows[k, 3] = lo1, hi1, lo2, hi2
    windows[k, 4] = max(radius1, radius2)


@jit
def _find_windows(pairs, one, two, rows, columns, target, limit, order, windows, total):
    shift = one.shift
    last = (limit - 1) >> shift
    steps, reads = np.empty(256, dtype=np.int64), np.empty(256, dtype=np.int64)
    guess = 0
    for k in range(len(rows)):
        x, y = rows[k], columns[k]
        near = _last_without(pairs.table, one, two, x, y, target[k], guess, last)
        guess = near
        inner = (0, 0, 0, 0)
        base = 0
        if near >= 0:
            in1, out1 = _filled(one, x, near << shift)
            in2, out2 = _filled(two, y, near << shift)
            if in1 < out1 and in2 < out2:
                inner = (in1, out1, in2, out2)
                base = table_sum(pairs.table, in1, out1, in2, out2)
        # From here on every block that the next radius touches is filled.
        far = max(one.middle[x] - one.start[x], one.stop[x] - one.middle[x])
        far = max(far, two.middle[y] - two.start[y], two.stop[y] - two.middle[y])
        far = min(limit - 1, max((near + 1) << shift, far) + (1 << shift))
        outer = _touched(one, x, far) + _touched(two, y, far)
        if inner[0] == inner[1]:
            inner = (outer[1], outer[1], outer[3], outer[3])
        most = table_sum(pairs.table, outer[0], outer[1], outer[2], outer[3]) - base
        if most > len(steps):
            steps, reads = np.empty(2 * most, dtype=np.int64), np.empty(2 * most, dtype=np.int64)
        end = (far + 1) * order.sides * order.ties - 1
        more, found = _gather_ring(pairs, one, two, x, y, inner, outer, order, end, steps, reads)
        step, total[k] = _select(steps, reads, found, base + more, target[k], end)
        set_window(windows, k, one, two, x, y, step, order)


def find_windows(
    pairs: PairBlocks,
    one: Growing,
    two: Growing,
    rows: Int64,
    columns: Int64,
    target: Int64,
    limit: int,
    order: Order,
) -> tuple[Int64, Int64]:
    """Let windows grow until each holds enough reads.

    Parameters
    ----------
    pairs
        Each pair once, or once for every cell of units it lies in; in cis with the lower unit as
        row.
    one, two
        Rows and columns; blocks of both are of one size.
    rows, columns
        int64 (cells): bins. Neighbours next to each other are quick.
    target
        int64 (cells): reads that a window needs, more than it has without growth.
    limit
        bp, 1 or more: units at this distance from the middle of a bin, or farther, are not taken.
    order
        Of units at the same distance.

    Returns
    -------
    windows
        int64 (cells, 5): first unit and one past the last of rows and of columns, and bp from the
        middle of the bin to the farthest unit that was taken, 0 for none.
    reads
        int64 (cells): of the window; less than the target if it grew as far as it can.
    """
    windows = np.empty((len(rows), 5), dtype=np.int64)
    total = np.empty(len(rows), dtype=np.int64)
    _find_windows(pairs, one, two, rows, columns, target, limit, order, windows, total)
    return windows, total
