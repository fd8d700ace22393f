"""``hifive-dask combine``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hifive_dask._store.places import Place

from hifive_dask.cli._command import Command
from hifive_dask.cli._settings import (
    Settings,
    dry_run_option,
    json_option,
    pass_settings,
    stats_rows,
)
from hifive_dask.cli._stores import StoreOut, StorePath, check_output


@click.command(
    "combine",
    cls=Command,
    examples=[
        "hifive-dask combine rep1.zarr rep2.zarr -o both.zarr",
    ],
)
@click.argument("pairs", nargs=-1, required=True, type=StorePath("pairs"))
@click.option("-o", "--out", required=True, type=StoreOut(), help="Store: .zarr or .hcd.")
@dry_run_option
@json_option
@pass_settings
def command(settings: Settings, /, pairs: tuple[Place, ...], out: Place, dry_run: bool) -> None:
    """Add up the pair stores PAIRS of replicates, at least two, of the same partition.

    Reads of all stores count; duplicates between them are not looked for.
    """
    from hifive_dask import HiCData
    from hifive_dask.cli._facts import facts_of

    if len(pairs) < 2:
        raise click.UsageError("give at least two pair stores")
    check_output(out, *pairs, kind="pairs")
    if dry_run:
        from hifive_dask.cli._plan import plan_combined, show_plan

        found = [HiCData(path, silent=True) for path in pairs]
        units = len(found[0].fends.units)
        show_plan(settings, [plan_combined(out, [each.store for each in found], units)])
        return
    with settings.session():
        data = HiCData(out, "w", silent=settings.quiet)
        data.combine(pairs)
        data.save()
    settings.table(f"Read pairs of {len(pairs)} stores", stats_rows(data.stats))
    settings.say(f"{out} is complete.")
    settings.document(lambda: facts_of(data))
