"""Corrections of features of fends, learned from pairs: validate, plan, run, record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hifive_dask.errors import HifiveDaskWarning, StateError, warn
from hifive_dask.leveling import Leveling
from hifive_dask.model.binning import fit_binning
from hifive_dask.model.convergence import OnNonconvergence
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.filtering import UseReads
from hifive_dask.regions import distance_window

__all__ = ["Modelling"]


class Modelling(Leveling):
    """The method of `hifive_dask.HiC` that models features; it changes the project or raises."""

    def find_binning_fend_corrections(
        self,
        mindistance: int | str = 0,
        maxdistance: int | str | None = 0,
        chroms: str | Sequence[str] | None = (),
        num_bins: Sequence[int] = (20, 20, 20),
        parameters: Sequence[str] = ("even", "even", "even-const"),
        model: Sequence[str] = ("gc", "len", "distance"),
        learning_threshold: float = 1.0,
        max_iterations: int = 10,
        usereads: UseReads = "cis",
        pseudocounts: int | None = 0,
        *,
        calibrate: bool = False,
        remove_distance: bool | None = None,
        on_nonconvergence: OnNonconvergence = "warn",
    ) -> None:
        """Learn corrections of every two bins of fend features, by maximum likelihood.

        A possible pair is observed with a probability that is a product: the share of all pairs, a
        constant factor of its distance bin, and for every feature a correction of the bins of both
        fends. Features are updated in turn, each to its most likely values. `corrections`, if there
        are any, stay but are not applied until the next normalization.

        Parameters
        ----------
        mindistance, maxdistance
            bp: cis pairs with ``mindistance <= d <= maxdistance`` are used; 0 or None: no limit.
        chroms
            Chromosomes to learn from; empty or None for all. All fends get feature bins.
        num_bins
            Number of bins of every name in `model`.
        parameters
            ``"even"`` for bins with equal numbers of fends, ``"fixed"`` for equal ranges of values;
            with ``"-const"`` corrections stay where they start. ``"distance"`` has bins evenly
            spaced in ln(bp), and constant factors, whatever is said here.
        model
            Features of the partition, ``"len"`` for the length of fends, ``"distance"``.
        learning_threshold
            Convergence: least gain in log2-likelihood of an iteration.
        max_iterations
            It stops here if it has not converged.
        usereads
            ``"cis"``, ``"trans"`` or ``"all"``; the last puts trans pairs into the last distance
            bin.
        pseudocounts
            Added to the observed and the possible pairs of every ordered combination of bins.
        calibrate
            Set the levels afterwards, of each chromosome in `chroms` and of every two, so that maps
            expect as many reads as they show, from whatever reads and distances was learned
            (`chromosome_means` and `calibrated`). It needs `find_distance_parameters`.
        remove_distance
            Ignored, with a warning: the distance is part of `model`.
        on_nonconvergence
            At `max_iterations` ``"warn"``, raise an ``"error"``, or ``"ignore"``.

        Raises
        ------
        ParameterError
            For values out of range, unknown features or chromosomes, features with values that are
            not finite, and for projects of bins.
        StateError
            Before `load_data`, or if no pair can be used.
        ConvergenceError
            With ``on_nonconvergence="error"``. Whatever is raised, the project stays as it was.

        Warns
        -----
        HifiveDaskWarning
            If no correction can be learned for some pairs of bins; they stay where they start.

        References
        ----------
        Yaffe and Tanay, Probabilistic modeling of Hi-C contact maps eliminates systematic biases to
        characterize global chromosomal architecture. Nature Genetics 43, 1059 (2011); as in HiFive.

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_project
        >>> hic = hd.HiC(toy_project(), silent=True)
        >>> hic.find_binning_fend_corrections(
        ...     num_bins=(3, 10), parameters=("even", "even-const"), model=("len", "distance")
        ... )
        >>> hic.binning_corrections.shape
        (6,)
        """
        if remove_distance is not None:
            warn(
                "remove_distance has no effect here; name 'distance' in model, or leave it out",
                HifiveDaskWarning,
            )
        self._check_calibrate(calibrate)
        chosen, window = self.units.select(chroms), distance_window(mindistance, maxdistance)
        result = fit_binning(
            self.units,
            self.filter,
            self.data.store,
            model=model,
            num_bins=num_bins,
            parameters=parameters,
            **window,
            usereads=usereads,
            chroms=chosen,
            learning_threshold=learning_threshold,
            max_iterations=max_iterations,
            pseudocounts=pseudocounts or 0,
            on_nonconvergence=on_nonconvergence,
            silent=self.silent,
        )
        levels = self._levels(None, binning=result.model, calibrate=calibrate, chroms=chosen)
        self._set_binning(result.model)
        self.trace = np.stack([result.cost[:-1], result.change], axis=1)
        self._set_levels(levels, calibrated=calibrate)
        self.normalization = "binning"
        self.records.add(
            "HiC.find_binning_fend_corrections",
            {
                "max_iterations": max_iterations,
                **window,
                "usereads": usereads,
                "chroms": self._named(chroms),
                "num_bins": [int(bins) for bins in num_bins],
                "parameters": list(parameters),
                "model": list(model),
                "learning_threshold": learning_threshold,
                "pseudocounts": pseudocounts or 0,
                "calibrate": calibrate,
            },
            results={
                "iterations": len(result.change),
                "converged": result.converged,
                "log2_likelihood": -float(result.cost[-1]),
                "not_learned": sum(map(len, result.kept.values())),
            },
        )
        self._warn_of_levels()

    def _set_binning(self, model: BinningModel) -> None:
        self.model_parameters = np.array(model.features)
        self.binning_num_bins, self.binning_correction_indices = model.num_bins, model.offset
        self.binning_corrections = model.corrections
        self.binning_fend_indices = model.fend_indices

    def _needed_binning(self) -> BinningModel:
        model = self.binning_model
        if model is None:
            raise StateError(
                "precorrect=True needs a binning model; call find_binning_fend_corrections first"
            )
        return model

    def _named(self, chroms: str | Sequence[str] | None) -> list[str]:
        """Chosen chromosomes for the record; none stands for all."""
        return [self.units.chromosomes[c] for c in self.units.select(chroms)] if chroms else []
