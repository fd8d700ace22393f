"""``hifive-dask diagnose``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hifive_dask._store.places import Place

from hifive_dask.cli._command import Command
from hifive_dask.cli._settings import Settings, json_option, pass_settings
from hifive_dask.cli._stores import FilePath, StorePath


@click.command(
    "diagnose",
    cls=Command,
    examples=[
        "hifive-dask diagnose project.zarr -o pictures",
    ],
)
@click.argument("project", type=StorePath("project"))
@click.option(
    "-o",
    "--out",
    required=True,
    type=FilePath(file_okay=False),
    help="Directory of the pictures; made if it is not there.",
)
@json_option
@pass_settings
def command(settings: Settings, /, project: Place, out: Path) -> None:
    """Draw what tells whether a project can be trusted.

    Reads, distance dependence and insert sizes; for normalized projects also convergence, the
    corrections as a whole and by chromosome, and reads before and after the correction against the
    features of the fends.
    """
    from hifive_dask import HiC
    from hifive_dask.cli._pictures import draw_diagnostics

    with settings.session():
        hic = HiC(project, silent=settings.quiet)
        out.mkdir(parents=True, exist_ok=True)
        drawn = draw_diagnostics(hic, out)
    settings.table("Pictures", [(name, caption) for name, caption in drawn.items()])
    settings.say(f"{len(drawn)} pictures are in {out}.")
    settings.document(
        lambda: {"type": "pictures", "directory": os.path.abspath(out), "pictures": drawn}
    )
