"""What a project learns: which units to trust, how contact falls with distance, and biases."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError, StateError
from hifive_dask.genome.partition import Units
from hifive_dask.hic_data import HiCData
from hifive_dask.model.convergence import OnNonconvergence
from hifive_dask.model.distance import fit_distance
from hifive_dask.model.express import Method, balance
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.filtering import UseReads, filter_units
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
        accelerate: bool = False,
        max_iterations: int = 1000,
        on_nonconvergence: OnNonconvergence = "warn",
        checkpoint: str | os.PathLike[str] | None = None,
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
            of equal means. Corrections known before are not used. It raises if it does not
            converge.
        accelerate
            Go to the same corrections by Newton's method: for sparse maps in a tenth of the passes
            over the pairs. Where the plain iteration stops, steps are short, but single units can
            be some percent from the end; a `minchange` of 1e-6 is cheap here. The plain iteration
            is the default because it is the documented one, with `iterations` as a minimum.
        max_iterations
            It stops here if it has not converged; with `accelerate` or `kr`, the largest number of
            products with the matrix, which cost as much as an iteration.
        on_nonconvergence
            Then ``"warn"``, raise an ``"error"``, or ``"ignore"``; `kr` always raises.
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
            With ``on_nonconvergence="error"`` or `kr`, if it has not converged; if corrections grow
            beyond all bounds; and for Knight-Ruiz on trans reads if one chromosome has more than
            half of the units, when there is no solution. Whatever is raised, the project stays as
            it was.

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
        method: Method = "knight-ruiz" if kr else "accelerated" if accelerate else "plain"
        chosen = self.units.select(chroms)
        removes = remove_distance and usereads != "trans"
        arguments: dict[str, Any] = {
            "iterations": iterations,
            "mindistance": mindistance,
            "maxdistance": maxdistance or 0,
            "usereads": usereads,
            "mininteractions": mininteractions or self.options.get("mininteractions") or 1,
            "minchange": minchange,
            "binary": binary,
            "max_iterations": max_iterations,
        }
        result = balance(
            self.units,
            self.filter,
            self.data.store,
            self.corrections if self.corrections is not None else self._ones(),
            **arguments,
            distance=self._distance(binary) if removes else None,
            binning=self._binning_model() if precorrect else None,
            chroms=chosen,
            method=method,
            on_nonconvergence=on_nonconvergence,
            checkpoint=checkpoint,
            silent=self.silent,
        )
        dropped = int(np.count_nonzero(self.filter) - np.count_nonzero(result.valid))
        self.corrections, self.filter, self.trace = result.corrections, result.valid, result.trace
        if removes:
            self.chromosome_means = result.chromosome_means
        self.normalization = "binning-express" if precorrect else "express"
        self.trans_means = None
        arguments |= {
            "remove_distance": remove_distance,
            "chroms": [self.units.chromosomes[c] for c in chosen] if chroms else [],
            "precorrect": precorrect,
            "kr": kr,
            "accelerate": accelerate,
        }
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

    def _distance(self, binary: bool) -> tuple[Float32, Float32]:
        parameters = self.bin_distance_parameters if binary else self.distance_parameters
        if parameters is None or self.chromosome_means is None:
            raise StateError(
                "remove_distance=True needs the distance dependence; call find_distance_parameters "
                "first, or pass remove_distance=False"
            )
        return parameters, self.chromosome_means

    def _binning_model(self) -> BinningModel:
        """The binning model; `StateError` before there is one."""
        features, corrections = self.model_parameters, self.binning_corrections
        num_bins, offset = self.binning_num_bins, self.binning_correction_indices
        indices = self.binning_fend_indices
        if (
            features is None
            or corrections is None
            or num_bins is None
            or offset is None
            or indices is None
        ):
            raise StateError(
                "precorrect=True needs a binning model; call find_binning_fend_corrections first"
            )
        return BinningModel(tuple(features.tolist()), num_bins, offset, corrections, indices)

    def _ones(self) -> Float32:
        return np.ones(len(self.units), dtype=np.float32)
