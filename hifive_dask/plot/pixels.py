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
    dataset: xr.Dataset, most: int, names: Sequence[str]
) -> tuple[dict[str, Float64], int]:
    """Sums of variables over squares of cells: the map of wider bins.

    Each chunk is reduced by the task that asked for it, so that the whole map is never in memory,
    and variables that are not named are not computed.

    Parameters
    ----------
    dataset
        A heatmap.
    most
        Largest number of squares along an axis.
    names
        The variables.

    Returns
    -------
    sums
        float64 (rows, columns) by name; the last row and column may hold fewer cells than the
        others.
    factor
        Cells along the side of a square.
    """
    factor = max(1, -(-max(dataset.sizes["bin1"], dataset.sizes["bin2"]) // most))
    arrays = {name: da.asarray(dataset[name].data) for name in names}
    edges = {name: [np.r_[0, np.cumsum(c)] for c in array.chunks] for name, array in arrays.items()}
    parts = {
        name: da.map_blocks(
            _sum_squares,
            array,
            factor=factor,
            chunks=tuple(tuple(map(len, _squares(edge, factor))) for edge in edges[name]),
            dtype=np.float64,
            meta=np.zeros((0, 0)),
        )
        for name, array in arrays.items()
    }
    done = xr.Dataset({k: ((f"{k}1", f"{k}2"), part) for k, part in parts.items()}).compute()
    return {name: _join(done[name].values, edges[name], factor) for name in names}, factor


def _squares(edge: Edges, factor: int) -> list[NDArray[np.int64]]:
    """Numbers of the squares that lie in each chunk of an axis."""
    return [np.arange(lo // factor, -(-hi // factor)) for lo, hi in pairwise(edge)]


def _sum_squares(block: NDArray[Any], factor: int, block_info: Any = None) -> Float64:
    sums = block.astype(np.float64)
    for axis, (lo, hi) in enumerate(block_info[0]["array-location"]):
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
