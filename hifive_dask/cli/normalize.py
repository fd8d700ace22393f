"""``hifive-dask normalize``."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import click

from hifive_dask.cli._command import Group, stack
from hifive_dask.cli._inputs import express_options, given, usereads_option
from hifive_dask.cli._settings import Settings, dry_run_option, json_option, pass_settings
from hifive_dask.cli._stores import StoreOut, StorePath, check_output
from hifive_dask.cli._types import CHROMOSOME, Choice, Number, Numbers, Size, Words

if TYPE_CHECKING:
    from hifive_dask import HiC
    from hifive_dask._store.places import Place

_EXPRESS = ("iterations", "max_iterations", "minchange", "usereads", "accelerate")
_WINDOW = ("mindistance", "maxdistance")


_project = stack(
    click.argument("project", type=StorePath("project")),
    click.option(
        "-o",
        "--out",
        type=StoreOut(),
        show_default="PROJECT itself",
        help="Write the result here and leave PROJECT as it is.",
    ),
)

_where = stack(
    click.option(
        "--chrom",
        "chroms",
        multiple=True,
        type=CHROMOSOME,
        help="Learn this chromosome only; repeatable.",
        show_default="all",
    ),
    click.option(
        "--mindistance",
        type=Size(),
        default="0",
        show_default=True,
        help="Leave out cis pairs that are closer.",
    ),
    click.option(
        "--maxdistance",
        type=Size(),
        default="0",
        show_default=True,
        help="Leave out cis pairs that are farther apart; 0 for no limit.",
    ),
)


def _policy(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "--on-nonconvergence",
        type=Choice(["warn", "error", "ignore"]),
        default=default,
        show_default=True,
        help="What to do if it stops before it has converged.",
    )


_balance = stack(
    click.option(
        "--keep-distance",
        is_flag=True,
        help="Do not divide by the distance dependence.",
    ),
    click.option(
        "--mininteractions",
        type=Number(0),
        default=0,
        help="Partners that a unit needs among the pairs used, with --mindistance or trans reads.",
        show_default="as filtered",
    ),
    click.option("--binary", is_flag=True, help="Use whether a pair was seen, not its reads."),
)

_accelerate = click.option(
    "--accelerate",
    is_flag=True,
    help="Go to the same corrections by conjugate gradients, in fewer passes over the pairs.",
)

_kr = stack(
    click.option(
        "--max-iterations",
        type=Number(1),
        default=1000,
        show_default=True,
        help="Most products with the matrix.",
    ),
    click.option(
        "--minchange",
        type=float,
        default=0.0001,
        show_default=True,
        help="Converged when all row sums are this near to 1, by the 2-norm.",
    ),
    usereads_option,
)

_probability = stack(
    click.option(
        "--model",
        "likelihood",
        type=Choice(["binomial", "poisson"]),
        default="binomial",
        show_default=True,
        help="binomial: whether a pair was seen; poisson: its reads.",
    ),
    click.option(
        "--max-iterations",
        type=Number(1),
        default=1000,
        show_default=True,
        help="Most iterations per chromosome.",
    ),
    click.option(
        "--minchange",
        type=float,
        default=0.0001,
        show_default=True,
        help="Converged when no gradient, relative to its correction, is larger.",
    ),
    click.option(
        "--learningstep",
        type=float,
        default=0.5,
        show_default=True,
        help="Factor by which a step is shortened that does not lower the cost enough.",
    ),
    click.option(
        "--no-precalculate",
        is_flag=True,
        help="Start from the corrections of the project, not from observed over expected.",
    ),
)

_binning = stack(
    click.option(
        "--features",
        type=Words(),
        default="gc,len,distance",
        show_default=True,
        help="Features of fends, len, and distance.",
    ),
    click.option(
        "--num-bins",
        type=Numbers(),
        default="20,20,20",
        show_default=True,
        help="Bins of each feature.",
    ),
    click.option(
        "--types",
        type=Words(),
        default="even,even,even-const",
        show_default=True,
        help="Of each: even (equal numbers of fends) or fixed (equal widths); with -const its "
        "values are not learned.",
    ),
    click.option(
        "--learning-threshold",
        type=float,
        default=1.0,
        show_default=True,
        help="Converged when a sweep over the features lowers -log2(likelihood) by less.",
    ),
    click.option("--sweeps", type=Number(1), default=10, show_default=True, help="Most sweeps."),
    click.option(
        "--pseudocounts",
        type=Number(0),
        default=0,
        show_default=True,
        help="Added to observed and possible pairs of every class.",
    ),
)


@click.group("normalize", cls=Group)
def command() -> None:
    """Learn the corrections of a project.

    express balances observed against expected reads, kr does so by the method of Knight and Ruiz,
    probability fits a likelihood over all possible pairs, binning models features of fends such as
    GC content; the chains start from binning.
    """


@command.command(
    "express",
    examples=[
        "hifive-dask normalize express project.zarr",
        "hifive-dask normalize express project.zarr --accelerate --chrom chr1 -o chr1.zarr",
    ],
)
@_project
@express_options
@_accelerate
@_where
@_balance
@_policy("warn")
@dry_run_option
@json_option
@pass_settings
def express(settings: Settings, /, project: Place, out: Place | None, **options: Any) -> None:
    """Express: balance observed against expected reads of every fend."""
    _run(settings, project, out, options, lambda hic, file: _balanced(hic, file, options))


@command.command(
    "kr",
    examples=[
        "hifive-dask normalize kr project.zarr --usereads all -o kr.zarr",
    ],
)
@_project
@_kr
@_where
@_balance
@_policy("error")
@dry_run_option
@json_option
@pass_settings
def kr(settings: Settings, /, project: Place, out: Place | None, **options: Any) -> None:
    """Knight-Ruiz: balance the matrix of observed pairs so that all row sums are equal."""
    _run(settings, project, out, options, lambda hic, file: _balanced(hic, file, options, kr=True))


@command.command(
    "probability",
    examples=[
        "hifive-dask normalize probability project.zarr --model poisson --maxdistance 2Mb",
    ],
)
@_project
@_probability
@_where
@_policy("warn")
@dry_run_option
@json_option
@pass_settings
def probability(settings: Settings, /, project: Place, out: Place | None, **options: Any) -> None:
    """Probability: the corrections under which the observed pairs are most likely."""
    _run(settings, project, out, options, lambda hic, file: _likely(hic, file, options))


@command.command(
    "binning",
    examples=[
        "hifive-dask normalize binning project.zarr --features len,distance "
        "--num-bins 20,20 --types even,fixed-const",
    ],
)
@_project
@_binning
@usereads_option
@_where
@_policy("warn")
@dry_run_option
@json_option
@pass_settings
def binning(settings: Settings, /, project: Place, out: Place | None, **options: Any) -> None:
    """Binning: corrections for combinations of features of fends."""
    _run(settings, project, out, options, lambda hic, _: _binned(hic, options))


@command.command(
    "binning-express",
    examples=[
        "hifive-dask normalize binning-express project.zarr",
    ],
)
@_project
@_binning
@express_options
@_accelerate
@_where
@_balance
@_policy("warn")
@dry_run_option
@json_option
@pass_settings
def binning_express(
    settings: Settings, /, project: Place, out: Place | None, **options: Any
) -> None:
    """Binning, then Express for what it leaves."""

    def learn(hic: HiC, file: Place) -> None:
        _binned(hic, options)
        _balanced(hic, file, options, precorrect=True)

    _run(settings, project, out, options, learn)


@command.command(
    "binning-probability",
    examples=[
        "hifive-dask normalize binning-probability project.zarr --maxdistance 2Mb",
    ],
)
@_project
@_binning
@_probability
@_where
@_policy("warn")
@dry_run_option
@json_option
@pass_settings
def binning_probability(
    settings: Settings, /, project: Place, out: Place | None, **options: Any
) -> None:
    """Binning, then Probability for what it leaves."""

    def learn(hic: HiC, file: Place) -> None:
        _binned(hic, {**options, "usereads": "cis"})
        _likely(hic, file, options, precorrect=True)

    _run(settings, project, out, options, learn)


def _run(
    settings: Settings,
    project: Place,
    out: Place | None,
    options: dict[str, Any],
    learn: Callable[[HiC, Place], None],
) -> None:
    """Open a project, learn, save, and say how it went."""
    from hifive_dask import HiC
    from hifive_dask.cli._facts import facts_of

    if out is not None:
        check_output(out, kind="project")  # PROJECT itself may be meant
    target = out or project
    hic = HiC(project, silent=settings.quiet)
    if options["dry_run"]:
        _plan(settings, target, hic, options)
        return
    with settings.session():
        learn(hic, target.with_name(f"{target.name}.checkpoint.npz"))
        hic.save(out)
    settings.say(f"{hic.normalization}: {_verdict(hic)}; {int(hic.filter.sum()):,} units in use.")
    settings.say(f"{target} is complete.")
    settings.document(lambda: facts_of(hic))


def _plan(settings: Settings, target: Place, hic: HiC, options: dict[str, Any]) -> None:
    from hifive_dask.cli._plan import plan_balancing, plan_fit, show_plan

    chroms, steps = options["chroms"], []
    if "sweeps" in options:
        classes = prod(number * (number + 1) // 2 for number in options["num_bins"])
        sweeps = options["sweeps"]
        steps.append(plan_fit(target, hic, chroms, max_iterations=sweeps, classes=classes))
    if "likelihood" in options:
        steps.append(plan_fit(target, hic, chroms, **given(options, "max_iterations")))
    elif "binary" in options:
        which = given(options, "usereads", "max_iterations")
        steps.append(plan_balancing(target, hic, chroms, **which))
    show_plan(settings, steps)


def _balanced(
    hic: HiC,
    checkpoint: Place,
    options: dict[str, Any],
    *,
    kr: bool = False,
    precorrect: bool = False,
) -> None:
    names = ("max_iterations", "minchange", "usereads") if kr else _EXPRESS
    hic.find_express_fend_corrections(
        **given(options, *names, *_WINDOW, "chroms", "mininteractions", "binary"),
        remove_distance=not options["keep_distance"] and options["usereads"] != "trans",
        on_nonconvergence=options["on_nonconvergence"],
        checkpoint=checkpoint,
        precorrect=precorrect,
        kr=kr,
    )


def _likely(
    hic: HiC, checkpoint: Place, options: dict[str, Any], *, precorrect: bool = False
) -> None:
    hic.find_probability_fend_corrections(
        **given(options, *_WINDOW, "chroms", "max_iterations", "minchange", "learningstep"),
        model=options["likelihood"],
        precalculate=not options["no_precalculate"],
        precorrect=precorrect,
        on_nonconvergence=options["on_nonconvergence"],
        checkpoint=checkpoint,
    )


def _binned(hic: HiC, options: dict[str, Any]) -> None:
    names = ("features", "num_bins", "types")
    if len({len(options[name]) for name in names}) > 1:
        seen = ", ".join(f"--{name.replace('_', '-')} has {len(options[name])}" for name in names)
        raise click.UsageError(f"{seen}; give one of each for every feature")
    hic.find_binning_fend_corrections(
        **given(options, *_WINDOW, "chroms", "num_bins", "usereads", "pseudocounts"),
        model=options["features"],
        parameters=options["types"],
        learning_threshold=options["learning_threshold"],
        max_iterations=options["sweeps"],
        on_nonconvergence=options["on_nonconvergence"],
    )


def _verdict(hic: HiC) -> str:
    """How the last call went: a part of a sentence."""
    trace = hic.trace
    verdict = "converged" if hic.converged else "not converged"
    if trace is None or not len(trace):
        return verdict
    return f"{verdict} after {hic.iterations:,} iterations, last change {trace[-1, 1]:.2g}"
