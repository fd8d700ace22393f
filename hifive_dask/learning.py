"""Corrections of single units, learned from pairs: validate, plan, run, record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hifive_dask._store.places import Location
from hifive_dask.errors import ParameterError, StateError
from hifive_dask.model.convergence import OnNonconvergence
from hifive_dask.model.express import ExpressResult, Method, balance
from hifive_dask.model.filtering import UseReads
from hifive_dask.model.joint_poisson import fit_jointly
from hifive_dask.model.levels import Levels
from hifive_dask.model.probability import Model, ProbabilityResult, Settings, maximize
from hifive_dask.modelling import Modelling
from hifive_dask.regions import distance_window

__all__ = ["Learning"]

Float32 = NDArray[np.float32]


class Learning(Modelling):
    """Methods of `hifive_dask.HiC` that learn corrections of units; each changes it or raises."""

    def find_express_fend_corrections(
        self,
        iterations: int = 100,
        mindistance: int | str = 0,
        maxdistance: int | str | None = 0,
        remove_distance: bool = True,
        usereads: UseReads = "cis",
        mininteractions: int | None = 0,
        minchange: float = 0.0001,
        chroms: str | Sequence[str] | None = (),
        precorrect: bool = False,
        binary: bool = False,
        kr: bool = False,
        *,
        calibrate: bool = False,
        accelerate: bool = False,
        max_iterations: int = 1000,
        on_nonconvergence: OnNonconvergence | None = None,
        checkpoint: Location | None = None,
    ) -> None:
        """Learn corrections by weighted matrix balancing over the observed pairs.

        Corrections c are changed, all at once, until the mean of n / (m c_i c_j) over the possible
        partners of every unit is 1: c_i is multiplied by the root of that mean. n are reads and m
        the reads expected (1 without `remove_distance` and `precorrect`). Afterwards they are
        scaled per chromosome so that c_i c_j is 1 on average.

        Parameters
        ----------
        iterations
            Least number of iterations; it goes on until the change is below `minchange`. It may
            stop before at the fixed point itself (largest change below 1e-12). Not used with
            `accelerate` or `kr`.
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
            Convergence: largest relative change of a correction in one iteration. With `kr`, the
            2-norm of (sums of rows - 1), of each chromosome (cis) or of the genome.
        chroms
            Chromosomes to learn; empty or None for all. The corrections of others stay.
        precorrect
            Divide by the factors that `find_binning_fend_corrections` learned, too. The
            normalization is then ``"binning-express"``.
        binary
            Use whether a pair was seen in place of its reads.
        kr
            Knight-Ruiz: x_i sum_j n_ij / m_ij x_j = 1 for c = 1 / x, that is, equal sums in place
            of equal means. Corrections known before are not used.
        calibrate
            Set the levels afterwards, of each chromosome in `chroms` and of every two, so that maps
            expect as many reads as they show, from whatever reads and distances was learned
            (`chromosome_means` and `calibrated`). It needs `find_distance_parameters`.
        accelerate
            Go to the same corrections by conjugate gradients: for sparse maps in a tenth of the
            passes over the pairs. Where the plain iteration stops, steps are short, but single
            units can be some percent from the end; a `minchange` of 1e-6 is cheap here. The plain
            iteration is the default because it is the documented one, with `iterations` as a
            minimum.
        max_iterations
            It stops here if it has not converged; with `accelerate` or `kr`, the largest number of
            products with the matrix, which cost as much as an iteration.
        on_nonconvergence
            Then ``"warn"``, raise an ``"error"``, or ``"ignore"``. By default it warns, but with
            `kr` it raises.
        checkpoint
            A file (.npz) where the state is kept while it runs. If the file is there and was left
            by the same call on the same data, it goes on from there, to the same result. It is
            deleted at the end.

        Raises
        ------
        StateError
            If something it needs was not learned yet.
        ParameterError
            For values out of range, unknown chromosomes, and for `kr` with `accelerate`.
        ConvergenceError
            If it has not converged and is to raise; if corrections grow beyond all bounds; and for
            Knight-Ruiz on trans reads if one chromosome has more than half of the units, when there
            is no solution. Whatever is raised, the project stays as it was.

        Notes
        -----
        `trace` has a row for every iteration: cost, the root of the sum of squares of (mean - 1),
        and change, both before the update. With `accelerate` and `kr` there is a row for every
        product with the matrix, and both are those of the corrections held after it; for `kr` the
        cost is the residual, (sums of rows - 1).

        References
        ----------
        Sauria et al., HiFive: a tool suite for easy and efficient HiC and 5C data analysis. Genome
        Biology 16, 237 (2015).

        Knight and Ruiz, A fast algorithm for matrix balancing. IMA Journal of Numerical Analysis
        33, 1029 (2013).

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_project
        >>> hic = hd.HiC(toy_project(), silent=True)
        >>> hic.filter_fends(mininteractions=5)
        >>> hic.find_distance_parameters(numbins=20, minsize=2000)
        >>> hic.find_express_fend_corrections(accelerate=True)
        >>> bool(hic.trace[-1, 1] < 1e-4)
        True
        """
        if kr and accelerate:
            raise ParameterError(
                "kr=True and accelerate=True exclude each other: Knight-Ruiz is fast as it is"
            )
        self._check_calibrate(calibrate)
        method: Method = "knight-ruiz" if kr else "accelerated" if accelerate else "plain"
        if on_nonconvergence is None:
            on_nonconvergence = "error" if kr else "warn"
        removes = remove_distance and usereads != "trans"
        arguments: dict[str, Any] = {
            "iterations": iterations,
            **distance_window(mindistance, maxdistance),
            "usereads": usereads,
            "mininteractions": mininteractions or self.options.get("mininteractions") or 1,
            "minchange": minchange,
            "binary": binary,
            "max_iterations": max_iterations,
        }
        chosen = self.units.select(chroms)
        binning = self._needed_binning() if precorrect else None
        result = balance(
            self.units,
            self.filter,
            self.data.store,
            self._start(),
            **arguments,
            distance=self._distance(binary, "remove_distance=True") if removes else None,
            binning=binning,
            chroms=chosen,
            method=method,
            on_nonconvergence=on_nonconvergence,
            checkpoint=checkpoint,
            silent=self.silent,
        )
        arguments |= {
            "remove_distance": remove_distance,
            "chroms": self._named(chroms),
            "precorrect": precorrect,
            "kr": kr,
            "accelerate": accelerate,
            "calibrate": calibrate,
        }
        levels = self._levels(
            result.corrections,
            valid=result.valid,
            chromosome_means=result.chromosome_means,
            binning=binning,
            calibrate=calibrate,
            chroms=chosen,
        )
        self._set_balanced(result, levels, arguments)
        self._warn_of_levels()

    def _set_balanced(
        self, result: ExpressResult, levels: Levels, arguments: dict[str, Any]
    ) -> None:
        """Take what balancing found, and record it."""
        dropped = int(np.count_nonzero(self.filter) - np.count_nonzero(result.valid))
        self.corrections, self.filter, self.trace = result.corrections, result.valid, result.trace
        self._set_levels(levels, calibrated=arguments["calibrate"], scales=result.scales)
        self.normalization = "binning-express" if arguments["precorrect"] else "express"
        self.records.add(
            "HiC.find_express_fend_corrections",
            arguments,
            results={
                "iterations": len(result.trace),
                "converged": result.converged,
                "left_the_filter": dropped,
                "without_pairs": len(result.unused),
            },
        )

    def find_probability_fend_corrections(
        self,
        mindistance: int | str = 0,
        maxdistance: int | str | None = 0,
        minchange: float = 0.0001,
        max_iterations: int = 1000,
        learningstep: float = 0.5,
        chroms: str | Sequence[str] | None = (),
        precalculate: bool = True,
        precorrect: bool = False,
        model: Model = "binomial",
        *,
        refit_distance: bool = False,
        calibrate: bool = False,
        on_nonconvergence: OnNonconvergence = "warn",
        checkpoint: Location | None = None,
    ) -> None:
        """Learn corrections under which the reads of all possible cis pairs are most likely.

        With ``model="poisson"`` and `refit_distance`, corrections and distance function are fitted
        together: the joint Poisson model. Maps of observed over expected reads are then centred
        on 1 at every distance, on sparse data too.

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
        refit_distance
            Fit `distance_parameters`, too, with ``model="poisson"``. (a) The corrections are most
            likely, given the distance function: expected reads of every unit add up to those
            observed. (b) Expected reads of every distance bin of `find_distance_parameters` have
            the same share of all as those observed; bins without reads join a neighbour, and a bin
            with itself is at a distance of its own. With a window, only its pairs and distance bins
            are fitted; with `chroms`, the distance function is kept. Converged when (a) holds
            within 0.1 `minchange`, relative, for every unit not held at a limit, and (b) within
            `minchange`; the second column of `trace` is the larger of 10 times the residual of (a)
            and that of (b). Limits are 0.01 and 100 times the mean of the chromosome. Afterwards
            c_i c_j is 1 on average in every chromosome, the mean of `chromosome_means` over reads
            is 0, and levels of trans pairs are `calibrated`. Chromosomes without cis reads keep
            corrections of 1 and a mean of 0. `learningstep` is not used.
        calibrate
            Set the levels afterwards, of each chromosome in `chroms` and of every two, so that maps
            expect as many reads as they show, from whatever reads and distances was learned
            (`chromosome_means` and `calibrated`). It needs `find_distance_parameters`.
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
            For values out of range, unknown chromosomes, and for `refit_distance` with
            `precorrect` or the binomial model.
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
        >>> hic.find_probability_fend_corrections(model="poisson", refit_distance=True)
        >>> hic.normalization
        'probability'
        >>> ratio = hic.observed_reads / hic.expected_reads
        >>> [round(float(each), 3) for each in ratio]
        [1.0, 1.0, 1.0]
        """
        self._check_calibrate(calibrate)
        if refit_distance:
            _check_refit(model, precorrect)
        binning = self._needed_binning() if precorrect else None
        chosen = self.units.select(chroms)
        parameters, means = self._distance(model == "binomial", "Probability")
        arguments: dict[str, Any] = {
            **distance_window(mindistance, maxdistance),
            "minchange": minchange,
            "max_iterations": max_iterations,
            "learningstep": learningstep,
            "precalculate": precalculate,
        }
        settings = Settings(
            parameters,
            chosen,
            **arguments,
            on_nonconvergence=on_nonconvergence,
            checkpoint=checkpoint,
            silent=self.silent,
        )
        given = self.units, self.filter, self.data.store, self._start(), means, settings
        if refit_distance:
            result = fit_jointly(*given, distance_sums=self.distance_sums)
        else:
            result = maximize(*given, model=model, binning=binning)
        arguments |= {
            "chroms": self._named(chroms),
            "precorrect": precorrect,
            "model": model,
            "refit_distance": refit_distance,
            "calibrate": calibrate,
        }
        levels = self._levels(
            result.corrections,
            distance=result.distance_parameters,
            chromosome_means=result.chromosome_means,
            binning=binning,
            calibrate=calibrate or refit_distance,
            chroms=chosen if calibrate else (),
        )
        self._set_likely(result, levels, arguments)
        self._warn_of_levels()

    def _set_likely(
        self, result: ProbabilityResult, levels: Levels, arguments: dict[str, Any]
    ) -> None:
        """Take what the likelihood gave, and record it."""
        self.corrections, self.trace = result.corrections, result.trace
        if result.distance_parameters is not None:
            self.distance_parameters = result.distance_parameters
        if result.signal is not None:
            self.distance_sums = {**self.distance_sums, "signal": result.signal}
        calibrated = arguments["calibrate"] or arguments["refit_distance"]
        self._set_levels(levels, calibrated=calibrated)
        precorrected = arguments["precorrect"]
        self.normalization = "binning-probability" if precorrected else "probability"
        self.records.add(
            "HiC.find_probability_fend_corrections",
            arguments,
            results={
                "iterations": len(result.trace) - 1,
                "converged": result.converged,
                "stalled": [self.units.chromosomes[c] for c in result.stalled],
                "without_partners": len(result.unused),
                "without_pairs": len(result.unobserved),
            },
        )

    # What they start from

    def _distance(self, binary: bool, what: str) -> tuple[Float32, Float32]:
        parameters = self.bin_distance_parameters if binary else self.distance_parameters
        if parameters is None or self.chromosome_means is None:
            raise StateError(
                f"{what} needs the distance dependence; call find_distance_parameters first"
            )
        return parameters, self.chromosome_means

    def _start(self) -> Float32:
        """Corrections to start from: the present ones, else 1."""
        given = self.corrections
        return np.ones(len(self.units), dtype=np.float32) if given is None else given


def _check_refit(model: str, precorrect: bool) -> None:
    if model != "poisson":
        raise ParameterError(
            f"refit_distance=True with model={model!r}: only model='poisson' is fitted together "
            "with the distance function"
        )
    if precorrect:
        raise ParameterError(
            "refit_distance=True and precorrect=True exclude each other: after a binning model the "
            "distance function is kept"
        )
