"""``hifive-dask normalize``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hifive_dask.cli._inputs import express_options, find_corrections
from hifive_dask.cli._settings import Settings, pass_settings
from hifive_dask.cli._stores import StorePath, check_output


@click.group("normalize")
def command() -> None:
    """Learn the corrections of a project."""


@command.command("express")
@click.argument("project", type=StorePath("project"))
@express_options
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Write the result here and leave PROJECT as it is.",
)
@pass_settings
def express(settings: Settings, /, project: Path, out: Path | None, **options: Any) -> None:
    """Express: balance observed against expected reads of every fend.

    For example: hifive-dask normalize express project.zarr
    """
    from hifive_dask import HiC

    if out is not None:
        check_output(out, kind="project")  # PROJECT itself may be meant
    with settings.session():
        hic = HiC(project, silent=settings.quiet)
        verdict = find_corrections(hic, options)
        hic.save(out)
    settings.say(f"Express: {verdict}; {int(hic.filter.sum()):,} units corrected.")
    settings.say(f"{out or project} is complete.")
