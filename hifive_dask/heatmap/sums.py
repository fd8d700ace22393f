"""Maps of large bins as sums of stored maps of smaller ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hifive_dask._store.heatmaps import CHUNK, Layer, Level, StoredLevel

__all__ = ["SummedCells", "bins_of_bins"]

_BLOCK = 1 << 23  # cells read at a time


def bins_of_bins(fine: Level, coarse: Level) -> NDArray[np.int64]:
    """int64 (fine bins): the bin of `coarse` around each bin of `fine`, whose size divides it.

    Bins of a chromosome begin at the multiple of their size below its first unit, so the first
    large bin can begin before the first small one.
    """
    first = np.searchsorted(coarse.chrom, fine.chrom, "left")
    return first + (fine.start - coarse.start[first]) // coarse.binsize


@dataclass(frozen=True)
class SummedCells:
    """Cells as sums of the cells of a finer level: of each pair of units once, as it is there.

    Parameters
    ----------
    finer
        Reads the finer level.
    parent
        int64 (fine bins): `bins_of_bins`.
    """

    finer: StoredLevel
    parent: NDArray[np.int64]

    def __call__(self, rows: slice, columns: slice) -> dict[str, NDArray[np.generic]]:
        """Observed (int64, or float64 if they are no integers) and expected (float64)."""
        layers: tuple[Layer, Layer] = ("observed", "expected")
        return {layer: self._sum(layer, rows, columns) for layer in layers}

    def _sum(self, layer: Layer, rows: slice, columns: slice) -> NDArray[np.generic]:
        dtype = np.int64 if self.finer.dtypes[layer].kind == "i" else np.float64
        total = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype)
        first, last = self._fine(rows)
        across = slice(*self._fine(columns))
        starts = _starts(self.parent[across])
        step = max(1, _BLOCK // CHUNK // (across.stop - across.start)) * CHUNK
        for lo in range(first // CHUNK * CHUNK, last, step):
            band = slice(max(lo, first), min(lo + step, last))
            cells = self.finer.read(layer, band, across).astype(dtype)
            self._drop_lower(cells, band, across)
            down = self.parent[band]
            sums = np.add.reduceat(np.add.reduceat(cells, starts, axis=1), _starts(down), axis=0)
            total[down[0] - rows.start : down[-1] + 1 - rows.start] += sums
        return total

    def _fine(self, span: slice) -> tuple[int, int]:
        lo, hi = np.searchsorted(self.parent, [span.start, span.stop])
        return int(lo), int(hi)

    def _drop_lower(self, cells: NDArray[np.generic], band: slice, across: slice) -> None:
        """In a square of a large bin with itself, count cells above its diagonal once."""
        for row in range(max(band.start, across.start), min(band.stop, across.stop)):
            lo = int(np.searchsorted(self.parent, self.parent[row]))
            lo = max(lo, across.start) - across.start
            cells[row - band.start, lo : row - across.start] = 0


def _starts(parent: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each run of equal numbers begins."""
    return np.flatnonzero(np.diff(parent, prepend=-1)).astype(np.int64)
