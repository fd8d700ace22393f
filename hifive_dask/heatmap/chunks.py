"""The graph of a heatmap: one task per chunk, and one for each thing that chunks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dask
import dask.array as da
import numpy as np
from numpy.typing import NDArray

from hifive_dask.heatmap.axes import Axis, Segment
from hifive_dask.heatmap.cells import (
    Datatype,
    Expectation,
    cis_expected,
    make_trees,
    observed,
    read_rows,
    trans_expected,
    trans_mean,
)
from hifive_dask.heatmap.subset import Subset
from hifive_dask.model.distance import log_thresholds

__all__ = ["ChunkBuilder"]

Float32 = NDArray[np.float32]


@dataclass
class ChunkBuilder:
    """Builds the tasks of a heatmap; each thing that chunks share is one task."""

    subset: Subset
    datatype: Datatype
    distance: Float32 | None
    maxdistance: int
    grids: dict[int, Segment]
    shared: dict[Any, Any] = field(default_factory=dict)

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return a thing that was made before, or make it."""
        if key not in self.shared:
            self.shared[key] = make()
        return self.shared[key]

    def fill(self, axis: Axis, axis2: Axis, *, symmetric: bool) -> tuple[da.Array, da.Array]:
        """Observed and expected of all chunks."""
        turn = dask.delayed(np.transpose, pure=True)
        tasks: dict[tuple[int, int], tuple[Any, Any]] = {}
        grids: tuple[list[list[da.Array]], list[list[da.Array]]] = ([], [])
        for r, one in enumerate(axis.pieces):
            for grid in grids:
                grid.append([])
            for c, two in enumerate(axis2.pieces):
                if symmetric and c < r:
                    seen, expected = (turn(task) for task in tasks[c, r])
                else:
                    seen, expected = tasks[r, c] = self._chunk(one, two)
                shape = (len(one), len(two))
                grids[0][-1].append(da.from_delayed(seen, shape, dtype=self.observed_dtype))
                grids[1][-1].append(da.from_delayed(expected, shape, dtype=np.float32))
        return da.block(grids[0]), da.block(grids[1])

    @property
    def observed_dtype(self) -> type[np.int64] | type[np.float32]:
        """Reads are whole numbers; possible pairs are not: a bin with itself counts half."""
        return np.float32 if self.datatype == "expected" else np.int64

    def _chunk(self, one: Segment, two: Segment) -> tuple[Any, Any]:
        if self.datatype == "expected":
            known: Datatype = "distance" if self.subset.corrections is None else "enrichment"
            return self._expected(one, two, "raw"), self._expected(one, two, known)
        if one.chrom == two.chrom:
            rows = self._cis_rows(one, two)
        else:
            low, high = sorted([one, two], key=lambda segment: segment.chrom)
            rows = [self._read(low.chrom, high.chrom, [low.units])]
        count = dask.delayed(observed, pure=True)
        return count(rows, one, two), self._expected(one, two, self.datatype)

    def _expected(self, one: Segment, two: Segment, datatype: Datatype) -> Any:
        chunk = self._cis_chunk if one.chrom == two.chrom else self._trans_chunk
        return chunk(one, two, datatype)

    def _cis_rows(self, one: Segment, two: Segment) -> list[Any]:
        """Rows that can lie in a cell of two segments; the first unit of a row is the lower one."""
        low, high = sorted([one, two], key=lambda segment: segment.units)
        (start, stop), (start2, stop2) = low.units, high.units
        rows = [self._read(one.chrom, one.chrom, [(start, stop)])]
        if start < start2 < stop < stop2:  # overlapping in part
            rows.append(self._read(one.chrom, one.chrom, [(stop, stop2)]))
        return rows

    def _read(self, chrom1: int, chrom2: int, pieces: Sequence[tuple[int, int]]) -> Any:
        """Rows between two chromosomes whose first unit lies in one of some ranges."""

        def make() -> Any:
            jobs = [
                (self.subset.find(chrom1, chrom2, first, last), first, last)
                for first, last in pieces
            ]
            read = dask.delayed(read_rows, pure=True)
            return read(jobs, self._valid, self._mid, self.maxdistance, chrom1 == chrom2)

        return self.once(("rows", chrom1, chrom2, *pieces), make)

    @property
    def _valid(self) -> Any:
        return self.once("valid", lambda: dask.delayed(self.subset.valid))

    @property
    def _mid(self) -> Any:
        return self.once("mid", lambda: dask.delayed(self.subset.units.mid))

    def _weight(self, corrected: bool) -> Any:
        """float64 per unit: 1 or its correction, 0 where it is not in use."""

        def make() -> Any:
            weight = self.subset.valid.astype(np.float64)
            if corrected and self.subset.corrections is not None:
                weight *= self.subset.corrections
            return dask.delayed(weight)

        return self.once(("weight", corrected), make)

    def _expectation(self, chrom: int | None, datatype: Datatype) -> Any:
        """Expectation of the cis pairs of a chromosome, or of trans pairs."""
        return self.once(("expectation", chrom, datatype), lambda: self._expect(chrom, datatype))

    def _expect(self, chrom: int | None, datatype: Datatype) -> Any:
        thresholds = np.zeros(0, dtype=np.int64)
        slope, scale = np.zeros(1), np.ones(1)
        if chrom is not None and datatype in ("distance", "enrichment"):
            assert self.distance is not None
            mean = 0.0 if self.subset.means is None else float(self.subset.means[chrom])
            cutoff, slope, intercept = self.distance.astype(np.float64).T
            thresholds = log_thresholds(cutoff[:-1])
            scale = np.exp(intercept + mean)
        if chrom is not None and self.maxdistance:
            keep = thresholds < self.maxdistance
            n = int(keep.sum())
            thresholds = np.r_[thresholds[:n], self.maxdistance]
            slope, scale = np.r_[slope[: n + 1], 0.0], np.r_[scale[: n + 1], 0.0]
        return dask.delayed(Expectation, pure=True)(
            self._mid,
            self._valid,
            self._weight(datatype in ("fend", "enrichment")),
            self.subset.units.fends,
            thresholds,
            slope,
            scale,
        )

    def _cis_chunk(self, one: Segment, two: Segment, datatype: Datatype) -> Any:
        by_distance = datatype in ("distance", "enrichment") or self.maxdistance > 0
        expectation = self._expectation(one.chrom, datatype)
        grid, offsets = self._grid(one, two)
        trees = None
        if by_distance:
            build = dask.delayed(make_trees, pure=True)
            trees = self.once(("trees", grid.chrom, datatype), lambda: build(expectation, grid))
        return dask.delayed(cis_expected, pure=True)(expectation, trees, one, two, offsets)

    def _grid(self, one: Segment, two: Segment) -> tuple[Segment, tuple[int, int]]:
        """The whole grid of bins that both segments are parts of, and where they begin in it."""
        grid = self.grids[one.chrom]
        first = [int(np.searchsorted(grid.start, segment.start[0])) for segment in (one, two)]
        return grid, (first[0], first[1])

    def _trans_chunk(self, one: Segment, two: Segment, datatype: Datatype) -> Any:
        mean: Any = 1.0
        if datatype in ("distance", "enrichment"):
            low, high = sorted((one.chrom, two.chrom))
            mean = self.once(("mean", low, high), lambda: self._trans_mean(low, high))
        expectation = self._expectation(None, datatype)
        return dask.delayed(trans_expected, pure=True)(expectation, mean, one, two)

    def _trans_mean(self, chrom1: int, chrom2: int) -> Any:
        valid, units = self.subset.valid, self.subset.units
        possible = float(valid[units.span(chrom1)].sum()) * float(valid[units.span(chrom2)].sum())
        read = dask.delayed(read_rows, pure=True)
        rows = [
            read([(reader, 0, len(units))], self._valid, self._mid, 0, False)
            for reader in self.subset.block(chrom1, chrom2)
        ]
        return dask.delayed(trans_mean, pure=True)(rows, self._weight(True), possible)
