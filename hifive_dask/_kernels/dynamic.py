"""Windows that grow until they hold enough reads: dynamic binning."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit
from hifive_dask._kernels.pair_trees import segment_of

__all__ = ["Grid", "grow"]

_NOISE = 1e-13  # of the sum of a table: what differences of its entries can be by rounding
_SIDES = 4


class Grid(NamedTuple):
    """Bins of one axis, and the smaller units that they grow by.

    Parameters
    ----------
    place
        int64 (units): midpoints in bp, increasing.
    first, last
        int64 (bins): units of bin b are ``first[b]`` to ``last[b]``.
    middle
        int64 (bins): midpoints in bp.
    """

    place: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    middle: NDArray[np.int64]


@jit
def _window(grid, b, event, side):
    """Units of bin b once all steps up to an event are done; `side` is that of its lower end."""
    place, middle = grid.place, grid.middle[b]
    lo = segment_of(place, middle - (event - side) // 4, 0, len(place))
    hi = segment_of(place, middle + (event - side - 1) // 4 + 1, 0, len(place))
    return min(lo, grid.first[b]), max(hi, grid.last[b])


@jit
def _sum(table, lo1, hi1, lo2, hi2):
    return table[hi1, hi2] - table[lo1, hi2] - table[hi1, lo2] + table[lo1, lo2]


@jit
def _gain(table, one, two, x, y, event):
    """What the window of an event holds that the bins themselves do not."""
    lo1, hi1 = _window(one, x, event, 0)
    lo2, hi2 = _window(two, y, event, 2)
    return _sum(table, lo1, hi1, lo2, hi2) - _sum(
        table, one.first[x], one.last[x], two.first[y], two.last[y]
    )


@jit
def _find_event(table, one, two, x, y, missing, guess, most, step):
    """The first event at which enough is gained, as a multiple of `step`; it is at most `most`.

    Neighbouring bins end alike, so that the search goes out from a guess.
    """
    lo, hi, width = -1, most, 1  # enough at hi, not at lo
    at = min(max(guess, 0), most)
    while lo + 1 < hi:
        if _gain(table, one, two, x, y, at * step + step - 1) >= missing:
            hi = at
            at = hi - width
        else:
            lo = at
            at = lo + width
        width *= 2
        if at <= lo or at >= hi:
            at = (lo + hi) // 2
    return hi


@jit
def _grow(seen, expected, seen_table, table, one, two, reach, least, limit, together, drop):
    step = _SIDES if together else 1
    noise = _NOISE * abs(table[-1, -1])
    for x in range(seen.shape[0]):
        guess = 0
        start, stop = reach[x]
        for y in range(start, stop):
            missing = least - seen[x, y]
            if missing <= 0:
                continue
            most = limit * _SIDES // step - 1
            failed = _gain(seen_table, one, two, x, y, most * step + step - 1) < missing
            if failed and drop:
                seen[x, y] = 0.0
                expected[x, y] = 0.0
                continue
            if not failed:
                most = _find_event(seen_table, one, two, x, y, missing, guess, most, step)
                guess = most
            event = most * step + step - 1
            seen[x, y] += _gain(seen_table, one, two, x, y, event)
            gained = _gain(table, one, two, x, y, event)
            if gained > noise:
                expected[x, y] += gained


def grow(
    seen: NDArray[np.float64],
    expected: NDArray[np.float64],
    units: tuple[NDArray[np.float64], NDArray[np.float64]],
    one: Grid,
    two: Grid,
    reach: NDArray[np.int64],
    *,
    least: int,
    limit: int,
    together: bool,
    drop: bool,
) -> None:
    """Let bins grow until each holds enough reads.

    A window takes the next unit on that side which is the nearest to the middle of its bin, and so
    on. Thus it has at any time all units within a radius, and the one that is wanted is the
    smallest with enough reads: it is searched, and sums are differences of a table.

    Parameters
    ----------
    seen, expected
        float64 (rows, columns): the bins, changed in place.
    units
        float64 (units of rows, units of columns): observed and expected of the units; each pair
        once, so that in cis there is nothing below the diagonal.
    one, two
        Rows and columns.
    reach
        int64 (rows, 2): columns from and to which bins are looked at.
    least
        Reads that a bin needs.
    limit
        bp: units at this distance from the middle of a bin, or farther, are not taken; 0 for none.
    together
        Sides at the same distance grow at once. Otherwise one after the other, lower before upper
        and rows before columns, until there is enough.
    drop
        Set bins to 0 that cannot have enough; otherwise they grow as far as they can.

    Notes
    -----
    Of n units and b bins per axis it takes O(n^2 + b^2 log(n) log(length)) operations.
    """
    farthest = 1 + max(
        int(np.abs(grid.place[[0, -1]][:, None] - grid.middle).max()) for grid in (one, two)
    )
    limit = min(limit, farthest + 1) if limit else farthest + 1
    tables = _table(units[0]), _table(units[1])
    _grow(seen, expected, tables[0], tables[1], one, two, reach, least, limit, together, drop)


def _table(layer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over all rows and columns before: the sum of any window takes four look-ups."""
    table = np.zeros((layer.shape[0] + 1, layer.shape[1] + 1))
    np.cumsum(layer, axis=0, out=table[1:, 1:])
    np.cumsum(table[1:, 1:], axis=1, out=table[1:, 1:])
    return table
