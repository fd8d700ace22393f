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

__all__ = ["Blocks", "Growing", "Order", "PairBlocks", "block_pairs", "find_windows", "table_sum"]

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]


class Growing(NamedTuple):
    """Bins of one axis, the units that they grow by, and blocks of units.

    Parameters
    ----------
    units
        int64 (units, 3): midpoints in bp, not decreasing; and of units at the same place, how many
        come before this one when a window grows down, and up.
    bins
        int64 (bins, 5): middle, start and stop in bp, first unit and one past the last.
    border
        int64 (blocks + 1): the first unit of every block.
    origin, shift
        Block k starts at ``origin + (k << shift)`` bp.
    """

    units: Int64
    bins: Int64
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
    """Pairs by the block of one of their units, in each such line by the block of the other one.

    Parameters
    ----------
    first
        int32 (lines, blocks + 1): the first pair of every block of a line.
    pairs
        int32 (pairs, 3): unit that lies in the block of the line, the other one, and reads, 1 or
        more.
    """

    first: Int32
    pairs: Int32


class PairBlocks(NamedTuple):
    """Pairs by blocks of rows, by blocks of columns, and sums over both.

    `table` is int64 (row blocks + 1, column blocks + 1): reads of all blocks before.
    """

    rows: Blocks
    columns: Blocks
    table: Int64


def block_pairs(pairs: Int32, one: Growing, two: Growing) -> PairBlocks:
    """Sort pairs into blocks.

    Parameters
    ----------
    pairs
        int32 (3, pairs): unit of the row, unit of the column, and reads; fewer than 2^31 pairs.
    one, two
        Rows and columns.
    """
    sizes = len(one.border) - 1, len(two.border) - 1
    block = [
        np.searchsorted(axis.border, np.arange(len(axis.units)), "right").astype(np.int32) - 1
        for axis in (one, two)
    ]
    table = np.zeros((sizes[0] + 1, sizes[1] + 1), dtype=np.int64)
    first, second, reads = pairs
    _count(block[0][first], block[1][second], reads, table)
    np.cumsum(table, axis=0, out=table)
    np.cumsum(table, axis=1, out=table)
    return PairBlocks(
        _sorted(block[0], block[1], sizes, first, second, reads),
        _sorted(block[1], block[0], sizes[::-1], second, first, reads),
        table,
    )


@jit
def _count(row, column, reads, table):
    for k in range(len(row)):
        table[row[k] + 1, column[k] + 1] += reads[k]


@jit
def _sort(line, place, size, across, along, reads, first, next_, sorted_):
    """Counting sort by line and place; `first` is filled, `next_` is overwritten."""
    for k in range(len(line)):
        next_[line[k], place[k]] += 1
    total = 0
    for i in range(next_.shape[0]):
        for j in range(size):
            number = next_[i, j]
            first[i, j] = next_[i, j] = total
            total += number
        first[i, size] = total
    for k in range(len(line)):
        at = next_[line[k], place[k]]
        next_[line[k], place[k]] += 1
        sorted_[at, 0], sorted_[at, 1], sorted_[at, 2] = across[k], along[k], reads[k]


def _sorted(
    lines: Int32, places: Int32, sizes: tuple[int, ...], across: Int32, along: Int32, reads: Int32
) -> Blocks:
    line, place = lines[across], places[along]
    first = np.empty((sizes[0], sizes[1] + 1), dtype=np.int32)
    next_ = np.zeros(sizes, dtype=np.int32)
    sorted_ = np.empty((len(across), 3), dtype=np.int32)
    _sort(line, place, sizes[1], across, along, reads, first, next_, sorted_)
    return Blocks(first, sorted_)


@jit
def table_sum(table, lo1, hi1, lo2, hi2):
    """Sum over a rectangle of blocks; `table` has the sums over all blocks before."""
    return table[hi1, hi2] - table[lo1, hi2] - table[hi1, lo2] + table[lo1, lo2]


# Arrays are passed one by one: records of many arrays make calls slow.


@jit
def _step(bin_, unit, number, side, order):
    """When a bin takes in a unit; -1 for its own. `side` is that of the lower end."""
    if number < bin_[3]:
        distance, rank = bin_[0] - unit[0], unit[1]
    elif number >= bin_[4]:
        distance, rank = unit[0] - bin_[0], unit[2]
        side += 1
    else:
        return -1
    if order.sides == 1:
        side = 0
    return (distance * order.sides + side) * order.ties + rank


@jit
def _ends(bin_, radius, origin):
    """First and last bp of a window."""
    lo, hi = min(bin_[0] - radius, bin_[1]), max(bin_[0] + radius, bin_[2] - 1)
    return lo - origin, hi - origin


@jit
def _touched(bin_, radius, origin, shift, blocks):
    """Blocks that a window touches."""
    lo, hi = _ends(bin_, radius, origin)
    return min(max(0, lo >> shift), blocks), min(max(0, (hi >> shift) + 1), blocks)


@jit
def _filled(bin_, radius, origin, shift, blocks, last):
    """Blocks all of whose units lie in a window; maybe none, ``lo >= hi``."""
    lo, hi = _ends(bin_, radius, origin)
    first = max(0, (lo + (1 << shift) - 1) >> shift)
    return first, blocks if hi >= last - origin else min(blocks, (hi + 1) >> shift)


@jit
def _last_without(table, x, y, origins, shift, target, guess, most):
    """The largest number of blocks, up to `most`, that a window can reach without enough reads.

    -1 if there is none. Neighbouring bins end alike, so the search goes out from a guess.
    """
    rows, columns = table.shape[0] - 1, table.shape[1] - 1
    lo, hi, width = -1, most + 1, 1  # not enough at lo, maybe enough at hi
    at = min(max(guess, 0), most)
    while lo + 1 < hi:
        lo1, hi1 = _touched(x, at << shift, origins[0], shift, rows)
        lo2, hi2 = _touched(y, at << shift, origins[1], shift, columns)
        if table_sum(table, lo1, hi1, lo2, hi2) < target:
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
    first, pairs, area, across, x, side_x, along, y, side_y, order, most, steps, found
):  # fmt: skip
    """Add the pairs of a rectangle of blocks; also the reads of no step."""
    lo, hi, begin, end = area
    base = 0
    for line in range(lo, hi):
        for k in range(first[line, begin], first[line, end]):
            a, b = pairs[k, 0], pairs[k, 1]
            step = _step(x, across[a], a, side_x, order)
            if step > most:
                continue
            step = max(step, _step(y, along[b], b, side_y, order))
            if step < 0:
                base += pairs[k, 2]
            elif step <= most:
                steps[found, 0], steps[found, 1] = step, pairs[k, 2]
                found += 1
    return base, found


@jit
def _select(steps, found, base, target, most):
    """The first step by which there are enough reads, with all reads up to it.

    If there never are, the last step with all reads. Halving the range of steps and keeping what
    lies in it visits each pair about twice.
    """
    total = base
    lo, hi = most, 0
    for k in range(found):
        total += steps[k, 1]
        lo, hi = min(lo, steps[k, 0]), max(hi, steps[k, 0])
    if total < target:
        return most, total
    while lo < hi:
        middle = (lo + hi) // 2
        below = 0
        for k in range(found):
            if steps[k, 0] <= middle:
                below += steps[k, 1]
        enough = base + below >= target
        if enough:
            hi = middle
        else:
            base += below
            lo = middle + 1
        kept = 0
        for k in range(found):
            if (steps[k, 0] <= middle) == enough:
                steps[kept, 0], steps[kept, 1] = steps[k, 0], steps[k, 1]
                kept += 1
        found = kept
    for k in range(found):
        base += steps[k, 1]
    return lo, base


@jit
def _first_from(units, border, bp, block):
    """The first unit at or above a position that lies in a block."""
    if block < 0:
        return 0
    if block >= len(border) - 1:
        return len(units)
    lo, hi = border[block], border[block + 1]
    while lo < hi:
        middle = (lo + hi) // 2
        if units[middle, 0] < bp:
            lo = middle + 1
        else:
            hi = middle
    return lo


@jit
def window_of(units, border, origin, shift, bin_, step, side, order):
    """Units of a bin once all steps up to one are done, and how far the farthest is."""
    middle, first, last = bin_[0], bin_[3], bin_[4]
    distance = step // (order.sides * order.ties)
    bp = middle - distance
    lo = min(first, _first_from(units, border, bp, (bp - origin) >> shift))
    while lo < first and _step(bin_, units[lo], lo, side, order) > step:
        lo += 1
    bp = middle + distance + 1
    hi = max(last, _first_from(units, border, bp, (bp - origin) >> shift))
    while hi > last and _step(bin_, units[hi - 1], hi - 1, side, order) > step:
        hi -= 1
    radius = 0
    if lo < first:
        radius = middle - units[lo, 0]
    if hi > last:
        radius = max(radius, units[hi - 1, 0] - middle)
    return lo, hi, radius


@jit
def set_window(window, units1, border1, units2, border2, origins, shift, x, y, step, order):
    """Set a row of the windows of `find_windows`."""
    lo1, hi1, radius1 = window_of(units1, border1, origins[0], shift, x, step, 0, order)
    lo2, hi2, radius2 = window_of(units2, border2, origins[1], shift, y, step, 2, order)
    window[0], window[1], window[2], window[3] = lo1, hi1, lo2, hi2
    window[4] = max(radius1, radius2)


@jit
def bin_of(bins, b):
    """A bin as a tuple."""
    return bins[b, 0], bins[b, 1], bins[b, 2], bins[b, 3], bins[b, 4]


@jit
def _find_windows(pairs, one, two, rows, columns, target, limit, order, windows, total):
    table, by_row, by_column = pairs.table, pairs.rows.pairs, pairs.columns.pairs
    first_row, first_column = pairs.rows.first, pairs.columns.first
    units1, units2, border1, border2 = one.units, two.units, one.border, two.border
    bins1, bins2, origins, shift = one.bins, two.bins, (one.origin, two.origin), one.shift
    sizes, ends = (len(border1) - 1, len(border2) - 1), (units1[-1, 0], units2[-1, 0])
    last = (limit - 1) >> shift
    steps = np.empty((256, 2), dtype=np.int64)
    near = 0
    for k in range(len(rows)):
        x, y = bin_of(bins1, rows[k]), bin_of(bins2, columns[k])
        near = _last_without(table, x, y, origins, shift, target[k], near, last)
        # From `far` on, every block that the next radius touches is filled.
        far = max(x[0] - x[1], x[2] - x[0], y[0] - y[1], y[2] - y[0])
        far = min(limit - 1, max((near + 1) << shift, far) + (1 << shift))
        lo1, hi1 = _touched(x, far, origins[0], shift, sizes[0])
        lo2, hi2 = _touched(y, far, origins[1], shift, sizes[1])
        in1 = out1 = hi1
        in2 = out2 = hi2
        base = 0
        if near >= 0:
            a1, b1 = _filled(x, near << shift, origins[0], shift, sizes[0], ends[0])
            a2, b2 = _filled(y, near << shift, origins[1], shift, sizes[1], ends[1])
            if a1 < b1 and a2 < b2:
                in1, out1, in2, out2 = a1, b1, a2, b2
                base = table_sum(table, in1, out1, in2, out2)
        most = table_sum(table, lo1, hi1, lo2, hi2) - base
        if most > len(steps):
            steps = np.empty((2 * most, 2), dtype=np.int64)
        end = (far + 1) * order.sides * order.ties - 1
        found = 0
        for area in ((lo1, in1, lo2, hi2), (out1, hi1, lo2, hi2)):
            more, found = _gather(
                first_row, by_row, area, units1, x, 0, units2, y, 2, order, end, steps, found
            )
            base += more
        for area in ((lo2, in2, in1, out1), (out2, hi2, in1, out1)):
            more, found = _gather(
                first_column, by_column, area, units2, y, 2, units1, x, 0, order, end, steps, found
            )
            base += more
        step, total[k] = _select(steps, found, base, target[k], end)
        set_window(windows[k], units1, border1, units2, border2, origins, shift, x, y, step, order)


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
