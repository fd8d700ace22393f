"""``hifive-dask normalize``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hifive_dask.cli._command import Command, Group, stack
from hifive_dask.cli._methods import METHODS, Method, explain_option
from hifive_dask.cli._settings import Settings, dry_run_option, json_option, pass_settings
from hifive_dask.cli._stores import StoreOut, StorePath, check_output
from hifive_dask.cli._types import CHROMOSOME, Number, Size

if TYPE_CHECKING:
    from hifive_dask._store.places import Place

_EXAMPLES = {
    "poisson": [
        "hifive-dask normalize poisson project.zarr",
        "hifive-dask normalize poisson project.zarr --chrom chr1 -o chr1.zarr",
    ],
    "binomial": ["hifive-dask normalize binomial project.zarr --maxdistance 2Mb"],
    "express": ["hifive-dask normalize express project.zarr --accelerate"],
    "kr": ["hifive-dask normalize kr project.zarr --usereads all -o kr.zarr"],
    "ice": ["hifive-dask normalize ice project.zarr --mad-max 5 -o ice.zarr"],
    "binning": [
        "hifive-dask normalize binning project.zarr --features len,distance "
        "--num-bins 20,20 --types even,fixed-const",
    ],
    "binning-express": ["hifive-dask normalize binning-express project.zarr"],
    "binning-poisson": ["hifive-dask normalize binning-poisson project.zarr --maxdistance 2Mb"],
    "binning-binomial": ["hifive-dask normalize binning-binomial project.zarr --maxdistance 2Mb"],
}

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

_partners = click.option(
    "--mininteractions",
    type=Number(0),
    default=0,
    help="Partners that a fend, or bin, needs among the pairs used, with --mindistance or "
    "trans reads.",
    show_default="as filtered",
)


@click.group("normalize", cls=Group)
def command() -> None:
    """Learn the corrections of a project.

    poisson finds those under which the reads of all possible pairs are most likely, and is right
    for most data; express, kr and ice balance observed reads; binning models features of fends
    such as GC content, and the chains start from it.
    """


class _MethodCommand(Command):
    """A command that knows which methods have an option that it does not have itself."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            known = explain_option(error.option_name, METHODS[str(self.name)])
            if not known:
                raise
            raise click.UsageError(known, ctx) from None


def _command(method: Method) -> click.Command:
    """The command of a method."""
    pairs = [_where, *([_partners] if method.balances else [])] if method.chooses_pairs else []

    @click.command(method.name, cls=_MethodCommand, examples=_EXAMPLES[method.name])
    @_project
    @method.stack
    @stack(*pairs)
    @dry_run_option
    @json_option
    @pass_settings
    def learn(settings: Settings, /, project: Place, out: Place | None, **options: Any) -> None:
        _run(settings, method, project, out, options)

    learn.help = method.text
    return learn


for _method in METHODS.values():
    command.add_command(_command(_method))


def _run(
    settings: Settings,
    method: Method,
    project: Place,
    out: Place | None,
    options: dict[str, Any],
) -> None:
    """Open a project, learn, save, and say how it went."""
    from hifive_dask import HiC
    from hifive_dask.cli._facts import facts_of, learned_text

    method.check(options)
    if out is not None:
        check_output(out, kind="project")  # PROJECT itself may be meant
    target = out or project
    hic = HiC(project, silent=settings.quiet)
    if options["dry_run"]:
        from hifive_dask.cli._plan import plan_normalize, show_plan

        show_plan(settings, plan_normalize(target, hic, method, options))
        return
    with settings.session():
        method.learn(hic, options, target.with_name(f"{target.name}.checkpoint.npz"))
        hic.save(out)
    kind = "fends" if hic.units.fends else "bins"
    settings.say(f"{learned_text(hic)}; {int(hic.filter.sum()):,} {kind} in use.")
    settings.say(f"{target} is complete.")
    settings.document(lambda: facts_of(hic))
