"""What a project learns: which units to trust, how contact falls with distance, and biases."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError, StateError
from hifive_dask.genome.partition import Units
from hifive_dask.hic_data import HiCData
from hifive_dask.model.convergence import OnNonconvergence
from hifive_dask.model.distance import fit_distance
from hifive_dask.model.express import balance
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.filtering import UseReads, filter_units
from hifive_dask.model.probability import Model, maximize
from hifive_dask.provenance import History

__all__ = ["DISTANCE_SUMS", "Learning"]

Float32 = NDArray[np.float32]

DISTANCE_SUMS = ("possible", "observed", "signal", "mean_log_distance")


class Learning(ABC):
    """Methods of `hifive_dask.HiC` that filter and learn; each changes the project or raises."""

    silent: bool
    records: History
    normalization: str
    options: dict[str, int]
    filter: NDArray[np.int32]
    distance_parameters: Float32 | None
    bin_distance_parameters: Float32 | None
    chromosome_means: Float32 | None
    distance_sums: dict[str, NDArray[np.float64]]
    corrections: Float32 | None
    trace: NDArray[np.float64] | None
    trans_means: NDArray[np.float64] | None
    model_parameters: NDArray[np.str_] | None
    binning_num_bins: NDArray[np.int32] | None
    binning_fend_indices: NDArray[np.int32] | None
    binning_corrections: Float32 | None
    binning_correction_indices: NDArray[np.int32] | None

    @property
    @abstractmethod
    def data(self) -> HiCData:
        """The pairs; `StateError` before there are any."""

    @property
    @abstractmethod
    def units(self) -> Units:
        """What pairs are counted in."""

    # Filter

    def reset_filter(self) -> None:
        """Put all units into use again; what was learned stays."""
        self.filter = np.ones(len(self.units), dtype=np.int32)
        self.trans_means = None
        self.records.add("HiC.reset_filter", {})

    def filter_fends(
        self,
        mininteractions: int = 10,
        mindistance: int = 0,
        maxdistance: int | None = 0,
        *,
        usereads: UseReads = "cis",
    ) -> None:
        """Keep the units that have enough partners which are themselves kept.

        The result is the k-core of the current filter: the largest set in which every unit has at
        least `mininteractions` observed partners (distinct pairs, not reads) inside the set.

        Parameters
        ----------
        mininteractions
            Partners that a unit needs; 0 keeps the current filter.
        mindistance, maxdistance
            bp between midpoints: cis pairs with ``mindistance <= d < maxdistance`` count; a
            `maxdistance` of 0 or None is no limit.
        usereads
            ``"cis"``, ``"trans"`` or ``"all"``.

        Raises
        ------
        StateError
            Before `load_data`.
        ParameterError
            For values out of range.
        """
        limit = maxdistance or 0
        self.filter = filter_units(
            self.units,
            self.filter,
            self.data.store,
            mininteractions=mininteractions,
            mindistance=mindistance,
            maxdistance=limit,
            usereads=usereads,
            silent=self.silent,
        )
        self.trans_means = None
        self.options = {
            "mininteractions": int(mininteractions),
            "mindistance": int(mindistance),
            "maxdistance": int(limit),
        }
        self.records.add(
            "HiC.filter_fends",
            {**self.options, "usereads": usereads},
            results={"kept": int(np.count_nonzero(self.filter)), "of": len(self.filter)},
        )

    # Learning

    def find_distance_parameters(
        self, numbins: int = 90, minsize: int = 200, maxsize: int = 0, corrected: bool = False
    ) -> None:
        """Learn how reads per possible pair fall with distance: piecewise linear, log against log.

        Mean ln(reads per pair) against mean ln(distance) in bins of equal width in ln(distance),
        over the cis pairs of units in use, joined by straight lines. `chromosome_means` start at 0
        again.

        Parameters
        ----------
        numbins
            Number of distance bins, at least 3.
        minsize
            bp: upper edge of the first bin.
        maxsize
            bp: lower bound of the last bin's edge; 0 for the longest distance there is.
        corrected
            Divide reads by the corrections of both units.

        Raises
        ------
        StateError
            Before `load_data`, if no distance can be learned, or with `corrected` before there are
            corrections.
        """
        if corrected and self.corrections is None:
            raise StateError(
                "corrected=True needs corrections; call find_express_fend_corrections first"
            )
        model = fit_distance(
            self.units,
            self.filter,
            self.data.store,
            numbins=numbins,
            minsize=minsize,
            maxsize=maxsize or 0,
            corrections=self.corrections if corrected else None,
            silent=self.silent,
        )
        self.distance_parameters = model.parameters
        self.bin_distance_parameters = model.binary_parameters
        self.chromosome_means = np.zeros(len(self.units.chromosomes), dtype=np.float32)
        self.distance_sums = {name: getattr(model, name) for name in DISTANCE_SUMS}
        self.records.add(
            "HiC.find_distance_parameters",
            {"numbins": numbins, "minsize": minsize, "maxsize": maxsize, "corrected": corrected},
            results={"segments": len(model.parameters)},
        )

    def find_express_fend_corrections(
        self,
        iterations: int = 100,
        mindistance: int = 0,
        maxdistance: int | None = 0,
        remove_distance: bool = True,
        usereads: UseReads = "cis",
        mininteractions: int | None = 0,
        minchange: float = 0.0001,
        chroms: str | Sequence[str] | None = (),
        precorrect: bool = False,
        binary: bool = False,
        kr: bool = False,
        *,
        max_iterations: int = 1000,
        on_nonconvergence: OnNonconvergence = "warn",
    ) -> None:
        """Learn corrections by weighted matrix balancing over the observed pairs.

        Corrections c are changed, all at once, until the mean of n / (m c_i c_j) over the possible
        partners of every unit is 1: c_i is multiplied by the root of that mean. n are reads and m
        the reads expected at the distance (1 without `remove_distance`). Afterwards they are scaled
        per chromosome so that c_i c_j is 1 on average.

        Parameters
        ----------
        iterations
            Least number of iterations; it goes on until the change is below `minchange`. It may
            stop before at the fixed point itself (largest change below 1e-12).
        mindistance, maxdistance
            bp: cis pairs with ``mindistance <= d < maxdistance`` are used; 0 or None: no limit.
        remove_distance
            Divide by what `find_distance_parameters` learned, and update `chromosome_means`.
        usereads
            ``"cis"``, ``"trans"`` or ``"all"``.
        mininteractions
            With a `mindistance`, or trans reads only: units need this many partners among the
            pairs used, others leave the filter. 0 or None: as the last `filter_fends`, else 1.
        minchange
            Convergence: largest relative change of a correction in one iteration.
        chroms
            Chromosomes to learn; empty or None for all. The corrections of others stay.
        precorrect
            Needs binning corrections.
        binary
            Use whether a pair was seen in place of its reads.
        kr
            Knight-Ruiz balancing.
        max_iterations
            It stops here if it has not converged.
        on_nonconvergence
            Then ``"warn"``, raise an ``"error"``, or ``"ignore"``.

        Raises
        ------
        StateError
            If something it needs was not learned yet.
        ParameterError
            For values out of range, unknown chromosomes, and for `precorrect` and `kr`, which this
            version does not have.
        ConvergenceError
            With ``on_nonconvergence="error"``. Whatever is raised, the project stays as it was.

        References
        ----------
        Sauria et al., HiFive: a tool suite for easy and efficient HiC and 5C data analysis. Genome
        Biology 16, 237 (2015).
        """
        if kr or precorrect:
            option = "kr" if kr else "precorrect"
            raise ParameterError(f"{option}=True is not available in this version; leave it False")
        chosen = self.units.select(chroms)
        removes = remove_distance and usereads != "trans"
        least = mininteractions or self.options.get("mininteractions") or 1
        result = balance(
            self.units,
            self.filter,
            self.data.store,
            self.corrections if self.corrections is not None else self._ones(),
            iterations=iterations,
            max_iterations=max_iterations,
            minchange=minchange,
            mindistance=mindistance,
            maxdistance=maxdistance or 0,
            usereads=usereads,
            distance=self._distance(binary, "remove_distance=True") if removes else None,
            binary=binary,
            chroms=chosen,
            mininteractions=least,
            on_nonconvergence=on_nonconvergence,
            silent=self.silent,
        )
        dropped = int(np.count_nonzero(self.filter) - np.count_nonzero(result.valid))
        self.corrections, self.filter, self.trace = result.corrections, result.valid, result.trace
        if removes:
            self.chromosome_means = result.chromosome_means
        self.normalization, self.trans_means = "express", None
        self.records.add(
            "HiC.find_express_fend_corrections",
            {
                "iterations": iterations,
                "mindistance": mindistance,
                "maxdistance": maxdistance or 0,
                "remove_distance": remove_distance,
                "usereads": usereads,
                "mininteractions": least,
                "minchange": minchange,
                "chroms": [self.units.chromosomes[c] for c in chosen] if chroms else [],
                "binary": binary,
                "max_iterations": max_iterations,
            },
            results={
                "iterations": len(result.trace),
                "converged": result.converged,
                "left_the_filter": dropped,
                "without_pairs": len(result.unused),
            },
        )

    def find_probability_fend_corrections(
        self,
        mindistance: int = 0,
        maxdistance: int | None = 0,
        minchange: float = 0.0001,
        max_iterations: int = 1000,
        learningstep: float = 0.5,
        chroms: str | Sequence[str] | None = (),
        precalculate: bool = True,
        precorrect: bool = False,
        model: Model = "binomial",
        *,
        on_nonconvergence: OnNonconvergence = "warn",
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> None:
        """Learn corrections under which the reads of all possible cis pairs are most likely.

        A pair is expected to have m c_i c_j reads (Poisson), or to be seen with that probability
        (binomial), where m is what `find_distance_parameters` learned. The negative log-likelihood
        is lowered by a quasi-Newton descent in ln(c). Its minimum with 0.01 <= c <= 100 does not
        depend on the start. Afterwards corrections are scaled per chromosome so that c_i c_j is 1
        on average, and `chromosome_means` are ln of the factor.

        `trace` holds the cost and the change (see `minchange`) at the start and after every
        iteration: cost summed over the chromosomes, the largest change. Each iteration lowers the
        cost; but the binomial cost of pairs without reads is first continued smoothly from
        m c_i c_j = 0.9 on, and rises a little when that edge is raised towards 1.

        Distant pairs are summed by series: time and memory grow about as the number of fends, and
        no `maxdistance` is needed. The error of each pair's part is below 2e-8 of it. With
        `precorrect` all pairs in the window are visited in every iteration.

        Parameters
        ----------
        mindistance, maxdistance
            bp: cis pairs with ``mindistance <= d <= maxdistance``; 0 or None: no upper limit.
        minchange
            Convergence: largest abs(g_i / c_i), where g is the derivative of the cost by c, divided
            by the number of possible partners. For large chromosomes this is small anywhere;
            observed and expected reads of a unit must not differ by more than 100 `minchange`,
            relative to the larger, either. Units that are held at 0.01 or 100 do not count.
        max_iterations
            It stops here if it has not converged.
        learningstep
            Factor of a step that does not lower the cost enough (Armijo).
        chroms
            Chromosomes to learn; empty or None for all. The corrections of others stay.
        precalculate
            Begin with observed over expected reads of each unit (binomial: its root, at most 1),
            else with the present corrections.
        precorrect
            Multiply m by the factors of the binning model.
        model
            ``"binomial"``: seen or not; ``"poisson"``: reads.
        on_nonconvergence
            If it has not converged ``"warn"``, raise an ``"error"``, or ``"ignore"``.
        checkpoint
            File that keeps unfinished work: a call that was interrupted goes on from there, with
            the same result. It is removed at the end.

        Raises
        ------
        StateError
            If something it needs was not learned yet, or no pair is possible.
        ParameterError
            For values out of range, and unknown chromosomes.
        ConvergenceError
            With ``on_nonconvergence="error"``. Whatever is raised, the project stays as it was.

        References
        ----------
        Sauria et al., HiFive: a tool suite for easy and efficient HiC and 5C data analysis. Genome
        Biology 16, 237 (2015).

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_project
        >>> hic = hd.HiC(toy_project(), silent=True)
        >>> hic.filter_fends(mininteractions=5)
        >>> hic.find_distance_parameters(numbins=20, minsize=2000)
        >>> hic.find_probability_fend_corrections(model="poisson")
        >>> hic.normalization
        'probability'
        """
        binning = self._binning_model() if precorrect else None
        chosen = self.units.select(chroms)
        parameters, means = self._distance(model == "binomial", "Probability")
        result = maximize(
            self.units,
            self.filter,
            self.data.store,
            self.corrections if self.corrections is not None else self._ones(),
            means,
            parameters=parameters,
            model=model,
            mindistance=mindistance,
            maxdistance=maxdistance or 0,
            minchange=minchange,
            max_iterations=max_iterations,
            learningstep=learningstep,
            chroms=chosen,
            precalculate=precalculate,
            binning=binning,
            on_nonconvergence=on_nonconvergence,
            checkpoint=checkpoint,
            silent=self.silent,
        )
        self.corrections, self.trace = result.corrections, result.trace
        self.chromosome_means, self.trans_means = result.chromosome_means, None
        self.normalization = "binning-probability" if precorrect else "probability"
        self.records.add(
            "HiC.find_probability_fend_corrections",
            {
                "mindistance": mindistance,
                "maxdistance": maxdistance or 0,
                "minchange": minchange,
                "max_iterations": max_iterations,
                "learningstep": learningstep,
                "chroms": [self.units.chromosomes[c] for c in chosen] if chroms else [],
                "precalculate": precalculate,
                "precorrect": precorrect,
                "model": model,
            },
            results={
                "iterations": len(result.trace) - 1,
                "converged": result.converged,
                "stalled": [self.units.chromosomes[c] for c in result.stalled],
                "without_partners": len(result.unused),
                "without_pairs": len(result.unobserved),
            },
        )

    def _binning_model(self) -> BinningModel:
        arrays = (
            self.binning_num_bins,
            self.binning_correction_indices,
            self.binning_corrections,
            self.binning_fend_indices,
        )
        num_bins, offset, corrections, indices = arrays
        if num_bins is None or offset is None or corrections is None or indices is None:
            raise StateError(
                "precorrect=True needs binning corrections; call find_binning_fend_corrections "
                "first, or leave it False"
            )
        names = tuple(map(str, [] if self.model_parameters is None else self.model_parameters))
        return BinningModel(names, num_bins, offset, corrections, indices)

    def _distance(self, binary: bool, what: str) -> tuple[Float32, Float32]:
        parameters = self.bin_distance_parameters if binary else self.distance_parameters
        if parameters is None or self.chromosome_means is None:
            raise StateError(
                f"{what} needs the distance dependence; call find_distance_parameters first"
            )
        return parameters, self.chromosome_means

    def _ones(self) -> Float32:
        return np.ones(len(self.units), dtype=np.float32)
