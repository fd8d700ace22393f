"""Methods of normalization: what they are called, their options, the calls that they make.

`run` and `normalize` take options and calls from here, so that a method is the same in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
from click.core import ParameterSource

from hifive_dask.cli._command import stack
from hifive_dask.cli._types import Choice, Number, Numbers, Words

if TYPE_CHECKING:
    from hifive_dask import HiC
    from hifive_dask._store.places import Place
    from hifive_dask.genome.partition import Units
    from hifive_dask.model.probability import Model

__all__ = [
    "METHODS",
    "Method",
    "Values",
    "chosen_method",
    "explain_option",
    "run_options",
]

F = TypeVar("F", bound=Callable[..., Any])
Values = Mapping[str, Any]

# What is not given is left to the call in Python, whose defaults are the same.
_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "iterations": click.option(
        "--iterations",
        type=Number(1),
        show_default="100",
        help="Least number of iterations of Express.",
    ),
    "max_iterations": click.option(
        "--max-iterations",
        type=Number(1),
        show_default="1000; for ice, 200",
        help="Most iterations; for kr, products with the matrix.",
    ),
    "minchange": click.option(
        "--minchange",
        type=float,
        show_default="0.0001",
        help="Converged below this. express: largest relative change of a correction; kr: 2-norm "
        "of sums of rows, less 1; poisson, binomial: largest gradient, relative to its correction.",
    ),
    "usereads": click.option(
        "--usereads",
        type=Choice(["cis", "trans", "all"]),
        show_default="cis; for ice, all",
        help="Reads to learn from; poisson and binomial learn from cis reads.",
    ),
    "accelerate": click.option(
        "--accelerate",
        is_flag=True,
        help="Express: go to the same corrections by conjugate gradients, in fewer passes.",
    ),
    "keep_distance": click.option(
        "--keep-distance",
        is_flag=True,
        help="express, kr: do not divide by the distance dependence.",
    ),
    "binary": click.option(
        "--binary",
        is_flag=True,
        help="express, kr: use whether a pair was seen, not its reads.",
    ),
    "ignore_diags": click.option(
        "--ignore-diags",
        type=Number(0),
        show_default="2",
        help="ice: diagonals of the map that are left out, the main one among them.",
    ),
    "min_nnz": click.option(
        "--min-nnz",
        type=Number(0),
        show_default="10",
        help="ice: leave out bins with fewer cells that have reads.",
    ),
    "min_count": click.option(
        "--min-count",
        type=Number(0),
        show_default="0",
        help="ice: leave out bins with fewer reads.",
    ),
    "mad_max": click.option(
        "--mad-max",
        type=float,
        show_default="5",
        help="ice: leave out bins whose ln(reads) is more than so many median absolute deviations "
        "below the median; 0: none.",
    ),
    "tol": click.option(
        "--tol",
        type=float,
        show_default="0.00001",
        help="ice: converged when the variance of the sums of rows is below.",
    ),
    "no_refit_distance": click.option(
        "--no-refit-distance",
        is_flag=True,
        help="poisson: keep the distance dependence as it was measured, and fit corrections alone.",
    ),
    "no_calibrate": click.option(
        "--no-calibrate",
        is_flag=True,
        help="Keep the levels of chromosomes that the method leaves, not those by which maps "
        "expect as many reads as they show.",
    ),
    "learningstep": click.option(
        "--learningstep",
        type=float,
        show_default="0.5",
        help="poisson, binomial: factor by which a step is shortened that does not lower the cost "
        "enough.",
    ),
    "no_precalculate": click.option(
        "--no-precalculate",
        is_flag=True,
        help="poisson, binomial: start from the corrections of the project, not from observed over "
        "expected.",
    ),
    "features": click.option(
        "--features",
        type=Words(),
        default="gc,len,distance",
        show_default=True,
        help="binning: features of fends, len, and distance.",
    ),
    "num_bins": click.option(
        "--num-bins",
        type=Numbers(),
        default="20,20,20",
        show_default=True,
        help="binning: bins of each feature.",
    ),
    "types": click.option(
        "--types",
        type=Words(),
        default="even,even,even-const",
        show_default=True,
        help="binning: of each, even (equal numbers of fends) or fixed (equal widths); with -const "
        "its values are not learned.",
    ),
    "learning_threshold": click.option(
        "--learning-threshold",
        type=float,
        show_default="1.0",
        help="binning: converged when a sweep over the features lowers -log2(likelihood) by less.",
    ),
    "sweeps": click.option(
        "--sweeps", type=Number(1), show_default="10", help="binning: most sweeps."
    ),
    "pseudocounts": click.option(
        "--pseudocounts",
        type=Number(0),
        show_default="0",
        help="binning: added to observed and possible pairs of every class.",
    ),
    "on_nonconvergence": click.option(
        "--on-nonconvergence",
        type=Choice(["warn", "error", "ignore"]),
        show_default="warn; for kr, error",
        help="What to do if it stops before it has converged.",
    ),
}

_BINNING = ("features", "num_bins", "types", "learning_threshold", "sweeps", "pseudocounts")
_FIT = (
    "max_iterations", "minchange", "usereads", "learningstep", "no_precalculate", "no_calibrate",
)  # fmt: skip
_ICE = ("ignore_diags", "min_nnz", "min_count", "mad_max", "tol", "max_iterations", "usereads")
_OF_FIT: dict[str, tuple[str, ...]] = {
    "": ("usereads", "no_calibrate"),
    "poisson": (*_FIT, "no_refit_distance"),
    "binomial": _FIT,
    "express": (
        "iterations", "max_iterations", "minchange", "usereads", "accelerate", "keep_distance",
        "binary", "no_calibrate",
    ),
    "kr": ("max_iterations", "minchange", "usereads", "keep_distance", "binary", "no_calibrate"),
    "ice": (*_ICE, "no_calibrate"),
}  # fmt: skip
_MOST = 1000  # iterations, where nothing else was given
_MOST_OF_ICE = 200
_SWEEPS = 10


@dataclass(frozen=True)
class Method:
    """A way to learn the corrections of a project.

    Parameters
    ----------
    name
        As it is typed.
    text
        What it does, in a line.
    fit
        What learns the corrections of single fends; none for binning alone.
    binning
        Whether features of fends are modelled first.
    """

    name: str
    text: str
    fit: Literal["", "poisson", "binomial", "express", "kr", "ice"]
    binning: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options that it knows."""
        own = {*_OF_FIT[self.fit], "on_nonconvergence"}
        if self.binning:  # the distance dependence is kept behind it
            own = {*own, *_BINNING} - {"no_refit_distance"}
        return tuple(name for name in _OPTIONS if name in own)

    @property
    def balances(self) -> bool:
        """Whether it makes reads of all fends alike, by products with the matrix of pairs."""
        return self.fit in ("express", "kr", "ice")

    @property
    def chooses_pairs(self) -> bool:
        """Whether it can learn from some chromosomes or distances alone."""
        return self.fit != "ice"

    def reads(self, values: Values) -> str:
        """The reads that it learns from."""
        return values["usereads"] or ("all" if self.fit == "ice" else "cis")

    @property
    def stack(self) -> Callable[[F], F]:
        """The declarations of its options."""
        return stack(*(_OPTIONS[name] for name in self.options))

    def check(self, values: Values) -> None:
        """Refuse options that do not go with it, or with each other, before any work."""
        reads = self.reads(values)
        if reads != "cis" and self.fit in ("poisson", "binomial"):
            raise click.UsageError(
                f"--usereads {reads}: {self.name} learns from cis reads, and expects of trans "
                "pairs the mean of their two chromosomes; leave --usereads out, or learn from "
                f"{reads} reads by express, kr, ice or binning"
            )
        alone = values.get("learningstep") is not None or values.get("no_calibrate")
        if alone and self._joint(values):
            option = "--no-calibrate" if values.get("no_calibrate") else "--learningstep"
            raise click.UsageError(
                f"{option} goes with --no-refit-distance: a fit of corrections and distance "
                "dependence has no such steps, and sets the levels"
            )
        if self.binning:
            names = ("features", "num_bins", "types")
            if len({len(values[name]) for name in names}) > 1:
                seen = ", ".join(f"{_typed(name)} has {len(values[name])}" for name in names)
                raise click.UsageError(f"{seen}; give one of each for every feature")

    def _joint(self, values: Values) -> bool:
        """Whether the distance dependence is fitted with the corrections."""
        return self.fit == "poisson" and not self.binning and not values["no_refit_distance"]

    def check_units(self, units: Units, values: Values) -> None:
        """Refuse units whose features it cannot model, before reads are counted.

        Raises
        ------
        ParameterError
            For units that it does not know, and for features that the partition does not have.
        """
        from hifive_dask.errors import ParameterError, unknown

        if self.fit == "ice" and units.fends:
            raise ParameterError(
                "ice balances maps of bins, and this genome is in fends; count in bins, --binned "
                "SIZE, or choose another --method, such as poisson"
            )
        if not self.binning:
            return
        if not units.fends:
            raise ParameterError(
                f"{self.name} models features of fends, and this genome is in bins; choose another "
                "--method, such as poisson"
            )
        known = ["len", "distance", *units.features]
        for name in values["features"]:
            if name not in known:
                raise ParameterError(f"--features has an {unknown('feature', name, known)}")

    def learn(self, hic: HiC, values: Values, checkpoint: Place) -> None:
        """Learn the corrections of a project.

        Parameters
        ----------
        hic
            The project.
        values
            Those of its options; with `chroms`, `mindistance`, `maxdistance` and `mininteractions`
            if these are options of the command.
        checkpoint
            Where unfinished work is kept.
        """
        if self.binning:
            _bin(hic, values)
        if self.fit == "ice":
            _balance_sums(hic, values, checkpoint)
        elif self.balances:
            _balance(hic, values, checkpoint, kr=self.fit == "kr", precorrect=self.binning)
        elif self.fit:
            model: Model = "poisson" if self.fit == "poisson" else "binomial"
            joint = self._joint(values)
            _fit(hic, values, checkpoint, model=model, precorrect=self.binning, joint=joint)

    def sweeps(self, values: Values) -> int:
        """Most sweeps over the features, 0 without binning."""
        return (values["sweeps"] or _SWEEPS) if self.binning else 0

    def iterations(self, values: Values) -> int:
        """Most iterations for the corrections of single fends, 0 if there are none."""
        most = _MOST_OF_ICE if self.fit == "ice" else _MOST
        return (values["max_iterations"] or most) if self.fit else 0

    def classes(self, values: Values) -> int:
        """Classes of pairs that Binning counts."""
        if not self.binning:
            return 0
        return prod(number * (number + 1) // 2 for number in values["num_bins"])


METHODS = {
    method.name: method
    for method in (
        Method("poisson", "The corrections and the distance dependence under which the reads of "
               "all possible pairs are most likely.", "poisson"),
        Method("binomial", "The corrections under which it is most likely which pairs were seen, "
               "and which were not.", "binomial"),
        Method("express", "Express: balance observed against expected reads of every fend.",
               "express"),
        Method("kr", "Knight-Ruiz: balance the matrix of observed pairs so that all row sums are "
               "equal.", "kr"),
        Method("ice", "ICE, as cooler balance: make all sums of the rows of a map of bins equal.",
               "ice"),
        Method("binning", "Binning: corrections for combinations of features of fends.", "",
               binning=True),
        Method("binning-express", "Binning, then Express for what it leaves.", "express",
               binning=True),
        Method("binning-poisson", "Binning, then the Poisson fit of corrections for what it "
               "leaves.", "poisson", binning=True),
        Method("binning-binomial", "Binning, then the binomial fit for what it leaves.", "binomial",
               binning=True),
    )
}  # fmt: skip

_method_option = click.option(
    "--method",
    type=Choice(list(METHODS)),
    default="poisson",
    show_default=True,
    help="How corrections are learned. poisson: those, and the distance dependence, under which "
    "the reads of all pairs are most likely; express, kr, ice: balance observed reads; binning: "
    "model features of fends; docs/normalization.md compares them.",
)

# A run starts from nothing.
run_options = stack(
    _method_option,
    *(each for name, each in _OPTIONS.items() if name != "no_precalculate"),
    group="Model",
)


def chosen_method(options: Values) -> Method:
    """The method that `run` was asked for, which knows all options that were given.

    Raises
    ------
    click.UsageError
        If an option of another method was given.
    """
    method, context = METHODS[options["method"]], click.get_current_context()
    for name in _OPTIONS:
        typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if typed and name not in method.options:
            raise click.UsageError(explain_option(name, method))
    method.check(options)
    return method


def explain_option(name: str, method: Method) -> str:
    """Say of an option that a method does not know which ones do; empty if none does."""
    name = name.lstrip("-").replace("-", "_")
    known = [each.name for each in METHODS.values() if name in each.options]
    if not known:
        return ""
    cure = _CURES.get((name, method.fit), "leave it out, or choose such a method")
    return f"{method.name} has no {_typed(name)}, an option of {_listed(known)}; {cure}"


_CURES = {
    ("iterations", fit): "it goes on until it has converged, at most --max-iterations times"
    for fit in ("poisson", "binomial", "kr", "ice")
}
_CURES["max_iterations", ""] = "give --sweeps"
_CURES["minchange", "ice"] = "give --tol"
_CURES["minchange", ""] = "give --learning-threshold"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _typed(name: str) -> str:
    return f"--{name.replace('_', '-')}"


_WINDOW = ("chroms", "mindistance", "maxdistance")


def _present(values: Values, *names: str) -> dict[str, Any]:
    """Those of the values that there are, and that were given."""
    return {name: values[name] for name in names if values.get(name) is not None}


def _calibrates(hic: HiC, values: Values) -> bool:
    """Whether to set the levels of maps; without the distance dependence there are none."""
    return not values.get("no_calibrate") and hic.distance_parameters is not None


def _balance(hic: HiC, values: Values, checkpoint: Place, *, kr: bool, precorrect: bool) -> None:
    names = ("iterations", "max_iterations", "minchange", "usereads", "accelerate", "binary")
    hic.find_express_fend_corrections(
        **_present(values, *_WINDOW, *names, "mininteractions", "on_nonconvergence"),
        remove_distance=not values["keep_distance"] and values["usereads"] != "trans",
        calibrate=_calibrates(hic, values),
        checkpoint=checkpoint,
        precorrect=precorrect,
        kr=kr,
    )


def _balance_sums(hic: HiC, values: Values, checkpoint: Place) -> None:
    hic.find_ice_fend_corrections(
        **_present(values, *_ICE, "on_nonconvergence"),
        calibrate=_calibrates(hic, values),
        checkpoint=checkpoint,
    )


def _fit(
    hic: HiC,
    values: Values,
    checkpoint: Place,
    *,
    model: Model,
    precorrect: bool,
    joint: bool,
) -> None:
    names = ("max_iterations", "minchange", "learningstep", "on_nonconvergence")
    hic.find_probability_fend_corrections(
        **_present(values, *_WINDOW, *names),
        model=model,
        precalculate=not values.get("no_precalculate"),
        precorrect=precorrect,
        refit_distance=joint,
        calibrate=not joint and _calibrates(hic, values),
        checkpoint=checkpoint,
    )


def _bin(hic: HiC, values: Values) -> None:
    names = ("num_bins", "usereads", "learning_threshold", "pseudocounts", "on_nonconvergence")
    hic.find_binning_fend_corrections(
        **_present(values, *_WINDOW, *names),
        **{"max_iterations": values["sweeps"]} if values["sweeps"] else {},
        model=values["features"],
        parameters=values["types"],
        calibrate=_calibrates(hic, values),
    )
