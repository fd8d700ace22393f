"""Levels of a project: how many reads are expected of chromosomes, and of pairs of them."""

from __future__ import annotations

import numpy as np

from hifive_dask.measuring import Measuring
from hifive_dask.model.trans_means import fit_trans_means, possible_trans

__all__ = ["Leveling"]


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
        """
        corrections = self.applied_corrections
        weight = self._usable().astype(np.float64)
        if corrections is not None:
            weight *= corrections
        self.trans_means = fit_trans_means(
            self.units,
            weight,
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
