"""Bins that get a share of the units which lie across their borders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dask
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from hifive_dask._graph.run import run
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.bins import Bins, Request, find_bins
from hifive_dask.heatmap.chunks import Axis
from hifive_dask.heatmap.recipe import Recipe

__all__ = ["proportional_cells", "shares"]

Float64 = NDArray[np.float64]


def shares(units: Units, bins: Bins) -> csr_array:
    """(units of the region, bins): overlap of a unit and a bin, by the length of the bin."""
    start, stop = (a[bins.lo : bins.hi].astype(np.int64) for a in (units.start, units.stop))
    first = np.searchsorted(bins.stop, start, "right")
    size = np.maximum(0, np.searchsorted(bins.start, stop, "left") - first)
    edge = np.r_[0, np.cumsum(size)]
    column = np.arange(edge[-1]) - np.repeat(edge[:-1] - first, size)
    low = np.maximum(np.repeat(start, size), bins.start[column])
    high = np.minimum(np.repeat(stop, size), bins.stop[column])
    share = (high - low) / (bins.stop - bins.start)[column]
    return csr_array((share, column, edge), shape=(len(start), len(bins)))


def proportional_cells(
    recipe: Recipe, bins: Bins, diagonal: bool, *, silent: bool = False
) -> tuple[Float64, Float64]:
    """float64 (bins, bins): observed and expected, on and above the diagonal.

    A pair of units adds to all cells that both touch, its value times both shares. Pairs within a
    bin by midpoint, and cells of a bin with itself, count only with the `diagonal`.

    Notes
    -----
    Every pair of units is looked at: O(n^2) operations for n units, by squares of 512.
    """
    units = recipe.units
    span = slice(bins.lo, bins.hi)
    whole = Request(units.chromosomes[bins.chrom], startfend=bins.lo, stopfend=bins.hi)
    axis = Axis(find_bins(units, recipe.valid, whole).segment(recipe.genome), 512)
    # Units between bins, if bins have gaps, are in none.
    own = np.searchsorted(bins.start, units.mid[span], "right") - 1
    own[(own < 0) | (units.mid[span] >= bins.stop[own])] = -1
    share = shares(units, bins)
    task = dask.delayed(_spread, pure=False)
    seen, expected = recipe.layers(axis, axis)
    border = np.r_[0, np.cumsum(seen.chunks[0])].tolist()
    parts = []
    for r, lo in enumerate(border[:-1]):
        rows = slice(lo, border[r + 1])
        for first, last in zip(border[r:-1], border[r + 1 :], strict=True):
            gap = int(units.mid[bins.lo + first]) - int(units.mid[bins.lo + rows.stop - 1])
            if 0 < recipe.maxdistance < gap:
                break
            columns = slice(first, last)
            sides = [(share[part], own[part]) for part in (rows, columns)]
            layers = seen[rows, columns], expected[rows, columns]
            parts.append(task(layers, sides, lo == first, diagonal))
    total = np.zeros((2, len(bins), len(bins)))
    for row, column, block in run(parts, title="heatmap", silent=silent):
        total[:, row : row + block.shape[1], column : column + block.shape[2]] += block
    if not diagonal:
        total[:, np.arange(len(bins)), np.arange(len(bins))] = 0
    return total[0], total[1]


def _spread(
    layers: Sequence[NDArray[Any]],
    sides: Sequence[tuple[csr_array, NDArray[np.int64]]],
    on_diagonal: bool,
    diagonal: bool,
) -> tuple[int, int, Float64]:
    """A square of pairs of units in the cells of bins: first row, first column, and their cells."""
    (left, own1), (right, own2) = sides
    counted = (own1[:, None] >= 0) & (own2 >= 0)
    if not diagonal:
        counted &= own1[:, None] != own2
    if on_diagonal:
        counted = np.triu(counted, 1)
    (row, left), (column, right) = _touched(left), _touched(right)
    block = [left.T @ (np.where(counted, layer, 0.0) @ right) for layer in layers]
    return row, column, np.stack(block)


def _touched(share: csr_array) -> tuple[int, csr_array]:
    """The first bin that is touched, and the shares from there to the last one."""
    first, last = int(share.indices.min(initial=share.shape[1])), int(share.indices.max(initial=0))
    return min(first, last), csr_array(share[:, min(first, last) : last + 1])
