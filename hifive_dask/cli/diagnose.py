"""``hifive-dask diagnose``."""

from __future__ import annotations

from pathlib import Path

import click

from hifive_dask.cli._settings import Settings, pass_settings
from hifive_dask.cli._stores import StorePath


@click.command("diagnose")
@click.argument("project", type=StorePath("project"))
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the pictures; made if it is not there.",
)
@pass_settings
def command(settings: Settings, /, project: Path, out: Path) -> None:
    """Draw what tells whether a project can be trusted.

    Reads, distance dependence and insert sizes; for normalized projects also convergence, the
    corrections as a whole and by chromosome, and reads before and after the correction against the
    features of the fends. For example: hifive-dask diagnose project.zarr -o pictures
    """
    from hifive_dask import HiC
    from hifive_dask.cli._pictures import draw_diagnostics

    with settings.session():
        hic = HiC(project, silent=settings.quiet)
        out.mkdir(parents=True, exist_ok=True)
        drawn = draw_diagnostics(hic, out)
    settings.table("Pictures", [(name, caption) for name, caption in drawn.items()])
    settings.say(f"{len(drawn)} pictures are in {out}.")
