"""Dynamic binning: bins with few reads grow over smaller units until they have enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.dynamic import Grid, grow
from hifive_dask.errors import ParameterError
from hifive_dask.heatmap.bins import Bins

__all__ = ["Growth", "grow_cis", "grow_trans"]

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Growth:
    """How bins grow.

    Parameters
    ----------
    minobservations
        Reads that a bin needs.
    searchdistance
        bp: units at this distance from the middle of a bin, or farther, are not taken; 0 for none.
    expansion_binsize
        bp: size of the units that bins grow by; 0 for fends.
    removefailed
        Whether bins that cannot have enough become 0.
    in_turn
        Whether sides at the same distance grow one after the other, rows first, lower positions
        first, within chromosomes too; between chromosomes they always do.
    """

    minobservations: int
    searchdistance: int
    expansion_binsize: int
    removefailed: bool
    in_turn: bool = False

    def __post_init__(self) -> None:
        for name in ("minobservations", "searchdistance", "expansion_binsize"):
            if getattr(self, name) < 0:
                raise ParameterError(f"{name} is {getattr(self, name)}, expected 0 or more")


def grow_cis(
    cells: Float32, bins: Bins, units: Float32, small: Bins, growth: Growth, width: int, first: int
) -> Float32:
    """Grow the cells of a symmetric map that are on or above the diagonal.

    Parameters
    ----------
    cells, bins
        float32 (bins, bins, 2): the map.
    units, small
        float32 (units, units, 2): the map of what bins grow by.
    growth
        How.
    width, first
        Bin i is looked at with the bins ``i + first`` to ``i + width``; 0 is the bin itself.

    Returns
    -------
    float32 (bins, bins, 2); what was not looked at is as it was.
    """
    number = np.arange(len(bins))
    reach = np.stack([number + first, np.minimum(number + width + 1, len(bins))], axis=1)
    upper = [np.triu(units[..., k].astype(np.float64), first) for k in (0, 1)]
    grid = _grid(bins, small)
    return _grow(
        cells, (upper[0], upper[1]), (grid, grid), reach, growth, together=not growth.in_turn
    )


def grow_trans(
    cells: Float32,
    bins: tuple[Bins, Bins],
    units: Float32,
    small: tuple[Bins, Bins],
    growth: Growth,
) -> Float32:
    """Grow all cells of a map; parameters as those of `grow_cis`, of both axes."""
    reach = np.tile(np.array([[0, len(bins[1])]]), (len(bins[0]), 1))
    layers = units[..., 0].astype(np.float64), units[..., 1].astype(np.float64)
    grids = _grid(bins[0], small[0]), _grid(bins[1], small[1])
    return _grow(cells, layers, grids, reach, growth, together=False)


def _grow(
    cells: Float32,
    units: tuple[NDArray[np.float64], NDArray[np.float64]],
    grids: tuple[Grid, Grid],
    reach: NDArray[np.int64],
    growth: Growth,
    *,
    together: bool,
) -> Float32:
    seen, expected = (cells[..., k].astype(np.float64) for k in (0, 1))
    grow(
        seen,
        expected,
        units,
        *grids,
        reach,
        least=growth.minobservations,
        limit=growth.searchdistance,
        together=together,
        drop=growth.removefailed,
    )
    return np.stack([seen, expected], axis=-1).astype(np.float32)


def _grid(bins: Bins, small: Bins) -> Grid:
    place = (small.start + small.stop) // 2
    first, last = (np.searchsorted(place, border, "left") for border in (bins.start, bins.stop))
    return Grid(place, first, last, (bins.start + bins.stop) // 2)
