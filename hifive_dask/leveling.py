"""Levels of a project: how many reads are expected of chromosomes, and of pairs of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import StateError
from hifive_dask.measuring import Measuring
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.levels import Expected, Levels, Totals, find_levels, warn_of
from hifive_dask.model.trans_means import fit_trans_means, possible_trans

__all__ = ["Leveling"]

Float32 = NDArray[np.float32]


class Leveling(Measuring):
    """Methods of `hifive_dask.HiC` that find levels; each changes the project or raises."""

    def find_trans_means(self) -> None:
        """Learn the mean number of reads per possible pair of every two chromosomes.

        Reads of pairs of units in use are divided by the corrections of both, if the present
        normalization has any; corrections of feature bins do not enter. After a normalization
        that calibrated levels (`calibrated`) it is the sum of reads over the sum of the
        corrections of all possible pairs, of units and of feature bins, instead. Sets
        `trans_means`, and so `trans_mean`. Heatmaps find the same means by themselves.

        Raises
        ------
        StateError
            Before `load_data`.
        ParameterError
            For more than 5,793 chromosomes, which have too many pairs.
        """
        self.trans_means = fit_trans_means(
            self.units,
            self._weight(self.filter, self.applied_corrections),
            self.data.store,
            calibrated=self.calibrated,
            binning=self._applied_binning() if self.calibrated else None,
            silent=self.silent,
        )
        self.records.add("HiC.find_trans_mean", {}, results={"trans_mean": self.trans_mean})

    @property
    def trans_mean(self) -> float | None:
        """Mean reads per possible trans pair, of all `trans_means`; None without them."""
        if self.trans_means is None:
            return None
        possible = possible_trans(self.units, self._usable())
        return float((possible * self.trans_means).sum() / max(1.0, possible.sum()))

    # What the methods that learn corrections ask for

    @staticmethod
    def _weight(valid: NDArray[np.int32], corrections: Float32 | None) -> NDArray[np.float64]:
        """float64 (N): 1 or its correction for units in use, else 0."""
        weight = (valid > 0).astype(np.float64)
        return weight if corrections is None else weight * corrections

    def _check_calibrate(self, calibrate: bool) -> None:
        if calibrate and (self.distance_parameters is None or self.chromosome_means is None):
            raise StateError(
                "calibrate=True needs the distance dependence, since levels are those of maps that "
                "divide by it; call find_distance_parameters first"
            )

    def _levels(
        self,
        corrections: Float32 | None,
        *,
        valid: NDArray[np.int32] | None = None,
        distance: Float32 | None = None,
        chromosome_means: Float32 | None = None,
        binning: BinningModel | None = None,
        calibrate: bool = False,
        chroms: Sequence[int] = (),
    ) -> Levels:
        """Find the levels of a normalization that is not set yet; nothing is changed.

        Parameters
        ----------
        corrections
            float32 (N), or None if those of units are not applied.
        valid, distance, chromosome_means
            The new ones, by default those of the project.
        binning
            Model that is applied, if any.
        calibrate
            Whether to calibrate those of pairs of chromosomes, and of these `chroms`.
        """
        expected = Expected(
            self.units,
            self.data.store,
            self._weight(self.filter if valid is None else valid, corrections),
            self.distance_parameters if distance is None else distance,
            self.chromosome_means if chromosome_means is None else chromosome_means,
            binning,
        )
        return find_levels(expected, calibrated=calibrate, chroms=chroms, silent=self.silent)

    def _set_levels(
        self, levels: Levels, *, calibrated: bool, scales: NDArray[np.float64] | None = None
    ) -> None:
        """Take what was found; `scales` are NaN for chromosomes whose corrections stay."""
        if scales is not None:
            known = (
                np.ones(len(scales)) if self.chromosome_scales is None else self.chromosome_scales
            )
            scales = np.where(np.isnan(scales), known, scales)
        self.chromosome_scales = scales
        self.chromosome_means = levels.chromosome_means
        self.trans_means, self.calibrated = levels.trans_means, calibrated
        self.observed_reads, self.expected_reads = levels.totals or (None, None)

    def _warn_of_levels(self) -> None:
        """Warn of chromosomes of which too many, or too few, reads are expected."""
        if self.observed_reads is not None and self.expected_reads is not None:
            totals = Totals(self.observed_reads, self.expected_reads)
            warn_of(self.units, totals, joint=self.fitted_jointly)

    def _count_reads(self) -> None:
        self.observed_reads = self.expected_reads = None
        if self.normalization == "none":
            return
        levels = self._levels(self.applied_corrections, binning=self._applied_binning())
        self.observed_reads, self.expected_reads = levels.totals or (None, None)
        self._warn_of_levels()
