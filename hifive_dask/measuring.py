"""What is measured from the pairs: which units to trust, decay with distance.

Each is one pass or one clear condition; corrections, which are fitted, are learned in
`hifive_dask.learning`. What the present normalization applies is settled here, for all who use it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hifive_dask.errors import HifiveDaskWarning, StateError, warn
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.cells import Datatype
from hifive_dask.heatmap.recipe import Recipe
from hifive_dask.hic_data import HiCData
from hifive_dask.model.diagnostics import unit_table
from hifive_dask.model.distance import fit_distance
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.filter_result import FEW, HALF, PYTHON
from hifive_dask.model.filtering import UseReads, find_filter
from hifive_dask.model.rows import longest_distance
from hifive_dask.model.weights import Problem
from hifive_dask.provenance import History
from hifive_dask.regions import distance_window, whole_bp

__all__ = ["DISTANCE_SUMS", "LIMITS", "Measuring", "name_of_method"]

Float32 = NDArray[np.float32]

DISTANCE_SUMS = ("possible", "observed", "signal", "mean_log_distance", "edges")
LIMITS = {
    "HiC.find_express_fend_corrections": "minchange",
    "HiC.find_ice_fend_corrections": "tol",
    "HiC.find_probability_fend_corrections": "minchange",
    "HiC.find_binning_fend_corrections": "learning_threshold",
}
"""Calls that learn corrections, and the parameter that decides when these have converged."""


def name_of_method(normalization: str, parameters: Mapping[str, Any]) -> str:
    """Name of a method, of the kind of corrections and of what the call recorded.

    Examples
    --------
    >>> from hifive_dask.measuring import name_of_method
    >>> name_of_method("binning-express", {"kr": False, "accelerate": True})
    'Binning, then Express, accelerated'
    """
    if normalization == "binning":
        return "Binning"
    if normalization.endswith("express"):
        if "ignore_diags" in parameters:
            return "ICE"
        name = "Knight-Ruiz" if parameters.get("kr") else "Express"
        if parameters.get("accelerate"):
            name += ", accelerated"
    else:
        name = {"poisson": "Poisson", "binomial": "Binomial"}.get(
            parameters.get("model", ""),
            "Probability",  # files of HiFive do not tell
        )
        if parameters.get("refit_distance"):
            name = f"joint {name}"
    return f"Binning, then {name}" if normalization.startswith("binning-") else name


class Measuring(ABC):
    """Methods of `hifive_dask.HiC` that filter and measure; each changes the project or raises."""

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
    calibrated: bool
    observed_reads: NDArray[np.int64] | None
    expected_reads: NDArray[np.float64] | None
    chromosome_scales: NDArray[np.float64] | None
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

    @abstractmethod
    def _count_reads(self) -> None:
        """Set `observed_reads` and `expected_reads`, if there is a normalization, and warn."""

    # Filter

    def reset_filter(self) -> None:
        """Put all units into use again; what was learned stays."""
        self.filter = np.ones(len(self.units), dtype=np.int32)
        self._forget_sums()
        self.records.add("HiC.reset_filter", {})

    def filter_fends(
        self,
        mininteractions: int | Literal["auto"] = 10,
        mindistance: int | str = 0,
        maxdistance: int | str | None = 0,
        *,
        usereads: UseReads = "cis",
    ) -> None:
        """Keep the units that have enough partners which are themselves kept.

        The result is the k-core of the current filter: the largest set in which every unit has at
        least `mininteractions` observed partners (distinct pairs, not reads) inside the set.

        Parameters
        ----------
        mininteractions
            Partners that a unit needs; 0 keeps the current filter. ``"auto"`` is the largest number
            from 3 to 10 that keeps at least half of the units with reads, else 3; a chromosome with
            cis reads on hardly twice as many units needs half of the others instead. The record of
            the call in `records` tells what was chosen, and what others would keep.
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

        Warns
        -----
        HifiveDaskWarning
            If less than a fifth (with ``"auto"`` half) of the units with reads is left, or less
            than a fifth of those of a chromosome, which is named with its reads.

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_project
        >>> hic = hd.HiC(toy_project(), silent=True)
        >>> hic.filter_fends("auto")
        >>> hic.options["mininteractions"]
        10
        """
        window = distance_window(mindistance, maxdistance)
        self.filter, found = find_filter(
            self.units,
            self.filter,
            self.data.store,
            mininteractions=mininteractions,
            **window,
            usereads=usereads,
            silent=self.silent,
        )
        self._forget_sums()
        self.options = {"mininteractions": found.mininteractions, **window}
        asked = {"mininteractions": "auto"} if found.auto else {}
        self.records.add(
            "HiC.filter_fends",
            {**self.options, **asked, "usereads": usereads},
            results=found.as_record(),
        )
        for text in found.warnings(PYTHON, enough=HALF if found.auto else FEW):
            warn(text, HifiveDaskWarning)

    def _forget_sums(self) -> None:
        """Forget what was summed over units that were in use."""
        self.trans_means = self.observed_reads = self.expected_reads = None

    # Expected reads

    def find_distance_parameters(
        self,
        numbins: int = 90,
        minsize: int | str = 200,
        maxsize: int | str | None = 0,
        corrected: bool = False,
    ) -> None:
        """Learn how reads per possible pair fall with distance: piecewise linear, log against log.

        Mean ln(reads per pair) against mean ln(distance) in bins of equal width in ln(distance),
        over the cis pairs of units in use, joined by straight lines. `chromosome_means` start at 0
        again; after a normalization, `expected_reads` are added up anew.

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
        minsize, maxsize = whole_bp(minsize, "minsize"), whole_bp(maxsize or 0, "maxsize")
        model = fit_distance(
            self.units,
            self.filter,
            self.data.store,
            numbins=numbins,
            minsize=minsize,
            maxsize=maxsize,
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
        self._count_reads()

    # Diagnostics

    def unit_table(self) -> pd.DataFrame:
        """Return reads of every unit in use before and after correction, beside its features.

        Cis pairs count, divided by what is expected at their distance if that is known. It shows
        what of a feature is left in the corrected reads, and whether they are balanced; draw it
        with `hifive_dask.plot.biases`, `marginals` and `chromosomes`.

        Returns
        -------
        Indexed by ``unit``: ``chromosome``, ``start``, ``stop`` and ``length`` (bp), the features
        of the partition, ``correction``, ``possible`` (partners), ``coverage`` and ``corrected``
        (reads per possible partner, relative to their means, before and after the correction).

        Raises
        ------
        StateError
            Before `load_data`, or if no unit in use has a possible partner.

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_project
        >>> hic = hd.HiC(toy_project(), silent=True)
        >>> hic.filter_fends(mininteractions=5)
        >>> hic.find_express_fend_corrections(remove_distance=False, minchange=1e-6)
        >>> spread = hic.unit_table().groupby("chromosome")[["coverage", "corrected"]].std()
        >>> bool(spread["corrected"].max() < 0.001 < spread["coverage"].min())
        True
        """
        units, store = self.units, self.data.store
        parameters, means = self.distance_parameters, self.chromosome_means
        distance = None if parameters is None or means is None else (parameters, means)
        window = (0, longest_distance(units, store, silent=self.silent) + 1)
        problem = Problem(
            units,
            self.filter,
            store,
            tuple(range(len(units.chromosomes))),
            window,
            "cis",
            distance,
            binary=False,
            binning=self._applied_binning(),
        )
        return unit_table(problem, self.applied_corrections, silent=self.silent)

    def mean_corrections(self) -> NDArray[np.float64]:
        """Return one correction for every unit, whatever was learned.

        A binning model has none of single units, but a factor of every two; here it is the mean
        of those of a unit with all units in use. Otherwise these are `corrections`. After both,
        their product.

        Returns
        -------
        float64 (N); NaN for units that are not in use or have no correction, 1 for all others
        before a normalization.

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_project
        >>> hic = hd.HiC(toy_project(), silent=True)
        >>> hic.filter_fends(mininteractions=5)
        >>> float(np.nanmax(hic.mean_corrections()))
        1.0
        """
        corrections, model = self.applied_corrections, self._applied_binning()
        used = self._usable()
        values = np.ones(len(used)) if corrections is None else corrections.astype(np.float64)
        if model is not None:
            values = values * model.unit_means(used)
        return np.where(used, values, np.nan)

    # What the present normalization applies

    @property
    def binning_model(self) -> BinningModel | None:
        """The binning model, applied or not; None if there is none.

        Raises
        ------
        StateError
            If its arrays do not go together.
        """
        names, num_bins = self.model_parameters, self.binning_num_bins
        offset, values = self.binning_correction_indices, self.binning_corrections
        indices = self.binning_fend_indices
        if names is None or num_bins is None or offset is None or values is None or indices is None:
            return None
        return BinningModel(tuple(map(str, names)), num_bins, offset, values, indices)

    @property
    def last_normalization(self) -> dict[str, Any] | None:
        """The record of the newest normalization; None if there is none, or HiFive made it."""
        return None if self.normalization == "none" else self.records.last(*LIMITS)

    @property
    def method(self) -> str | None:
        """What learned the newest corrections, as people call it; None if there are none.

        That is Express, Knight-Ruiz, ICE, Poisson, joint Poisson (with the distance function),
        Binomial or Binning, or the last and another one.
        """
        if self.normalization == "none":
            return None
        record = self.last_normalization
        return name_of_method(self.normalization, {} if record is None else record["parameters"])

    @property
    def fitted_jointly(self) -> bool:
        """Whether the newest normalization fitted corrections and distance function together."""
        record = self.last_normalization
        return record is not None and bool(record["parameters"].get("refit_distance"))

    @property
    def converged(self) -> bool | None:
        """Whether the newest normalization converged; None if nothing tells."""
        known: bool | None = self._result_of_last("converged")
        return known

    @property
    def iterations(self) -> int | None:
        """Iterations of the newest normalization; None if there was none.

        They are the rows of `trace`, but for Probability, whose first row is the start.
        """
        known: int | None = self._result_of_last("iterations")
        return known if known is not None or self.trace is None else len(self.trace)

    def _result_of_last(self, name: str) -> Any:
        record = self.last_normalization
        return None if record is None else record["results"].get(name)

    @property
    def applied_corrections(self) -> Float32 | None:
        """float32 (N): `corrections`, if maps are divided by them: not by those before Binning."""
        return None if self.normalization in ("none", "binning") else self.corrections

    def _applied_binning(self) -> BinningModel | None:
        if not self.normalization.startswith("binning"):
            return None
        model = self.binning_model
        if model is None:
            raise StateError(
                f"the normalization is {self.normalization!r}, but there is no binning model; call "
                "find_binning_fend_corrections again"
            )
        return model

    def _recipe(self, datatype: Datatype, maxdistance: int | str | None = 0) -> Recipe:
        """What the cells of a heatmap hold."""
        return Recipe(
            self.units,
            self.data.store,
            self.filter,
            datatype,
            self.applied_corrections,
            self._applied_binning(),
            self.distance_parameters,
            self.chromosome_means,
            whole_bp(maxdistance or 0, "maxdistance"),
            self.calibrated,
            self.chromosome_scales,
            self.data.fends.partition.lengths,
        )

    def _usable(self) -> NDArray[np.bool_]:
        """bool (N): units in use, which have a correction if these are applied."""
        corrections = self.applied_corrections
        usable = self.filter > 0
        return usable if corrections is None else usable & (corrections > 0)
