"""What the cells of a heatmap hold, whatever its bins: reads of pairs, and what is expected."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, get_args

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import ParameterError, StateError, unknown
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.axes import Segment, Stretch
from hifive_dask.heatmap.cells import Datatype, Expectation
from hifive_dask.heatmap.chunks import Axis, expected_array, observed_array, trans_means_of
from hifive_dask.heatmap.rows import RowFinder
from hifive_dask.model.distance import log_thresholds
from hifive_dask.model.factors import BinningModel

__all__ = ["Recipe"]

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """Pairs, filter and learned parameters of a project, and what is asked of them.

    Parameters
    ----------
    units, store, valid
        The genome, its pairs, and the filter (int32).
    datatype
        What is expected of a possible pair: ``"raw"`` 1, ``"fend"`` the product of all corrections,
        ``"distance"`` the distance dependence, in trans the mean of the two chromosomes,
        ``"enrichment"`` the product of both. ``"expected"`` expects as the last, or as "distance"
        without corrections, and holds the number of possible pairs in place of observed reads.
    corrections
        float32 (N), for "fend" and "enrichment". For these and "expected" units whose correction
        is 0 are left out, of observed reads too.
    binning
        Corrections of pairs of feature bins, alone or besides `corrections`. With a distance
        dependence every pair of a cis chunk is then visited.
    distance, chromosome_means
        float32 (segments, 3) and (C), for "distance", "enrichment" and "expected".
    maxdistance
        bp: largest distance of a cis pair, inclusive; 0 for all.
    calibrated
        Whether means of pairs of chromosomes are reads over the sum of what is expected of their
        pairs, in place of the mean of the ratios.
    scales
        float64 (C): factors of the corrections of every chromosome with which these balance the
        whole genome; only weights of coolers have them.
    lengths
        int64 (C): bp of every chromosome, 0 where it is not known; None if none is.

    Raises
    ------
    ParameterError
        For an unknown datatype or a negative distance.
    StateError
        If `datatype` needs corrections or the distance dependence, and they are missing.
    """

    units: Units
    store: PairStore
    valid: NDArray[np.int32]
    datatype: Datatype = "enrichment"
    corrections: Float32 | None = None
    binning: BinningModel | None = None
    distance: Float32 | None = None
    chromosome_means: Float32 | None = None
    maxdistance: int = 0
    calibrated: bool = False
    scales: NDArray[np.float64] | None = None
    lengths: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        datatype = self.datatype
        if datatype not in get_args(Datatype):
            raise ParameterError(unknown("datatype", datatype, get_args(Datatype)))
        if self.maxdistance < 0:
            raise ParameterError(
                f"maxdistance is {self.maxdistance}, expected bp, or 0 for no limit"
            )
        if datatype in ("fend", "enrichment") and self.uncorrected:
            raise StateError(
                f"datatype {datatype!r} needs corrections; call find_express_fend_corrections "
                "first, or ask for datatype 'raw' or 'distance'"
            )
        if datatype in ("distance", "enrichment", "expected") and self.distance is None:
            raise StateError(
                f"datatype {datatype!r} needs the distance dependence; call "
                "find_distance_parameters first, or ask for datatype 'raw' "
                "or 'fend'"
            )

    @property
    def uncorrected(self) -> bool:
        """Whether there are no corrections of any kind."""
        return self.corrections is None and self.binning is None

    @cached_property
    def corrected(self) -> NDArray[np.bool_]:
        """bool (N): units in use that have a correction, if there are any."""
        usable = self.valid > 0
        return usable if self.corrections is None else usable & (self.corrections > 0)

    @cached_property
    def genome(self) -> Stretch:
        """All units; in use are those that count for the datatype."""
        plain = self.datatype in ("raw", "distance")
        usable = self.valid > 0 if plain else self.corrected
        bins = None if self.binning is None else self.binning.fend_indices
        return Stretch(0, self.units.chromosome, self.units.mid, usable, self.corrections, bins)

    def layers(self, one: Axis, two: Axis, means: Any = None) -> tuple[da.Array, da.Array]:
        """Lazy observed and expected reads; symmetric if both axes are the same.

        `means` are those of `means`, if they were computed already.
        """
        possible, expected = self.expects
        if means is None:
            means = self.means(one.bins, two.bins)
        wanted = expected_array(self.expectation(expected), means, one, two)
        if possible is not None:
            return expected_array(self.expectation(possible), None, one, two), wanted
        return observed_array(RowFinder(self.store), one, two, self.maxdistance), wanted

    @property
    def expects(self) -> tuple[Datatype | None, Datatype]:
        """What stands in place of observed reads, if anything, and what is expected."""
        if self.datatype == "expected":
            return "raw", "distance" if self.uncorrected else "enrichment"
        return None, self.datatype

    def means(self, rows: Segment, columns: Segment) -> Any:
        """Lazy means of the pairs of chromosomes of two axes, or None if they do not matter."""
        expected = self.expects[1]
        if expected in ("distance", "enrichment") and rows.chrom[0] != columns.chrom[-1]:
            return self.trans_means(self._whole(rows), self._whole(columns))
        return None

    def trans_means(self, one: slice, two: slice) -> Any:
        """Lazy means of the pairs of chromosomes of two stretches of units."""
        known = replace(self.genome, valid=self.corrected)
        first, second = (known.part(each.start, each.stop) for each in (one, two))
        factors = None if self.binning is None else self.binning.corrections
        finder = RowFinder(self.store)
        return trans_means_of(finder, first, second, self.calibrated, factors)

    def _whole(self, bins: Segment) -> slice:
        """All units of the chromosomes of an axis."""
        first, last = (self.units.span(int(bins.chrom[k])) for k in (0, -1))
        return slice(first.start, last.stop)

    def expectation(self, datatype: Datatype) -> Expectation:
        """What is expected of a pair; distances beyond `maxdistance` count for nothing."""
        thresholds = np.zeros(0, dtype=np.int64)
        slope, intercept = np.zeros(1), np.zeros(1)
        means = np.zeros(len(self.units.chromosomes))
        by_distance = datatype in ("distance", "enrichment")
        if by_distance:
            assert self.distance is not None
            cutoff, slope, intercept = self.distance.astype(np.float64).T
            thresholds = log_thresholds(cutoff[:-1])
            if self.chromosome_means is not None:
                means = self.chromosome_means.astype(np.float64)
        if self.maxdistance:
            n = int((thresholds < self.maxdistance).sum())
            thresholds = np.r_[thresholds[:n], self.maxdistance]
            slope, intercept = np.r_[slope[: n + 1], 0.0], np.r_[intercept[: n + 1], -np.inf]
        corrected = datatype in ("fend", "enrichment")
        return Expectation(
            corrected,
            self.binning.corrections if self.binning is not None and corrected else None,
            self.units.fends,
            by_distance or self.maxdistance > 0,
            thresholds,
            slope,
            intercept,
            means,
        )
