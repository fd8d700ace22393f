"""Maps reduced to the size of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

__all__ = ["reduce_map"]

Float64 = NDArray[np.float64]
Edges = NDArray[np.int64]


def reduce_map(
    dataset: xr.Dataset, most: int, names: Sequence[str], reach: int | None = None
) -> tuple[dict[str, Float64], int]:
    """Sums of variables over squares of cells: the map of wider bins.

    Each chunk is reduced by the task that asked for it, so that the whole map is never in memory,
    and neither variables that are not named nor chunks out of reach are computed.

    Parameters
    ----------
    dataset
        A heatmap.
    most
        Largest number of squares along an axis.
    names
        The variables.
    reach
        Of a symmetric map, look only at cells above the diagonal and up to so many bins from it;
        None for all.

    Returns
    -------
    sums
        float64 (rows, columns) by name; the last row and column may hold fewer cells than the
        others. Squares without a cell in reach are NaN.
    factor
        Cells along the side of a square.
    """
    factor = max(1, -(-max(dataset.sizes["bin1"], dataset.sizes["bin2"]) // most))
    arrays = {name: da.asarray(dataset[name].data) for name in names}
    edges = {name: [np.r_[0, np.cumsum(c)] for c in array.chunks] for name, array in arrays.items()}
    parts = {k: _reduced(array, edges[k], factor, reach) for k, array in arrays.items()}
    done = xr.Dataset({k: ((f"{k}1", f"{k}2"), part) for k, part in parts.items()}).compute()
    sums = {name: _join(done[name].values, edges[name], factor) for name in names}
    if reach is not None:
        for values in sums.values():
            row, column = (np.arange(n) for n in values.shape)
            apart = factor * (column - row[:, None])  # of the first bins of both
            values[(apart < 0) | (apart - factor >= reach)] = np.nan
    return sums, factor


def _reduced(array: da.Array, edges: list[Edges], factor: int, reach: int | None) -> da.Array:
    """Sums over the part of every square that lies in a chunk; 0 where chunks are out of reach."""
    squares = [_squares(edge, factor) for edge in edges]
    widths = [len(numbers) for numbers in squares[1]]
    strips = []
    for k, (lo, hi) in enumerate(pairwise(edges[0].tolist())):
        first, last = 0, len(widths)
        if reach is not None:  # whole squares, of which a part may lie in another chunk
            first = int(np.searchsorted(edges[1], lo - factor + 1, "right")) - 1
            last = int(np.searchsorted(edges[1], hi + reach + 2 * factor - 2, "left"))
            first, last = max(0, first), min(len(widths), last)
        reduced = da.map_blocks(
            _sum_squares,
            array.blocks[k, first:last],
            factor=factor,
            corner=(lo, int(edges[1][first])),
            chunks=((len(squares[0][k]),), tuple(widths[first:last])),
            dtype=np.float64,
            meta=np.zeros((0, 0)),
        )
        beside = [
            da.zeros((len(squares[0][k]), sum(part))) for part in (widths[:first], widths[last:])
        ]
        strips.append(da.concatenate([beside[0], reduced, beside[1]], axis=1))
    return da.concatenate(strips)


def _squares(edge: Edges, factor: int) -> list[NDArray[np.int64]]:
    """Numbers of the squares that lie in each chunk of an axis."""
    return [np.arange(lo // factor, -(-hi // factor)) for lo, hi in pairwise(edge)]


def _sum_squares(
    block: NDArray[Any], factor: int, corner: tuple[int, int], block_info: Any = None
) -> Float64:
    sums = block.astype(np.float64)
    places = block_info[0]["array-location"]
    for axis, (first, (start, stop)) in enumerate(zip(corner, places, strict=True)):
        lo, hi = first + start, first + stop
        starts = np.maximum(0, np.arange(lo // factor, -(-hi // factor)) * factor - lo)
        sums = np.add.reduceat(sums, starts, axis=axis)
    return sums


def _join(sums: Float64, edges: list[Edges], factor: int) -> Float64:
    """Add the parts of squares that lie in several chunks."""
    for axis, edge in enumerate(edges):
        number = np.concatenate(_squares(edge, factor))
        starts = np.flatnonzero(np.r_[True, np.diff(number) != 0])
        sums = np.add.reduceat(sums, starts, axis=axis)
    return sums
