"""``hifive-dask project``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hifive_dask._store.places import Place

from hifive_dask.cli._command import Command
from hifive_dask.cli._inputs import filter_options, learn
from hifive_dask.cli._settings import Settings, dry_run_option, json_option, pass_settings
from hifive_dask.cli._stores import StoreOut, StorePath, check_output


@click.command(
    "project",
    cls=Command,
    examples=[
        "hifive-dask project pairs.zarr -o project.zarr",
        "hifive-dask project pairs.zarr --minsize 2kb -o project.zarr --dry-run",
    ],
)
@click.argument("pairs", type=StorePath("pairs"))
@filter_options
@click.option("-o", "--out", required=True, type=StoreOut(), help="Store: .zarr or .hcp.")
@dry_run_option
@json_option
@pass_settings
def command(settings: Settings, /, pairs: Place, out: Place, dry_run: bool, **options: Any) -> None:
    """Start a project on the pair store PAIRS: filter fends, learn the distance dependence."""
    from hifive_dask import HiC
    from hifive_dask.cli._facts import facts_of

    check_output(out, pairs, kind="project")
    if dry_run:
        from hifive_dask import HiCData
        from hifive_dask.cli._plan import plan_project, show_plan

        data = HiCData(pairs, silent=True)
        show_plan(settings, [plan_project(out, data.fends.units, data.store)])
        return

    with settings.session():
        hic = HiC(out, "w", silent=settings.quiet)
        hic.load_data(pairs)
        learn(settings, hic, options)
        hic.save()
    assert hic.distance_parameters is not None
    settings.table(
        "Project",
        {
            f"{hic.units.unit}s in use": int(hic.filter.sum()),
            "of": len(hic.filter),
            "distance bins kept": len(hic.distance_parameters),
        },
    )
    settings.say(f"{out} is complete.")
    settings.document(lambda: facts_of(hic))
