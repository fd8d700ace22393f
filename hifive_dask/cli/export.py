"""``hifive-dask export``."""

from __future__ import annotations

from pathlib import Path

import click

from hifive_dask.cli._command import Command
from hifive_dask.cli._convert import convert, directory_option
from hifive_dask.cli._settings import Settings, pass_settings
from hifive_dask.cli._stores import FilePath


@click.command(
    "export",
    cls=Command,
    examples=[
        "hifive-dask export project.zarr -o for-hifive",
    ],
)
@click.argument("store", type=FilePath(exists=True))
@directory_option
@pass_settings
def command(settings: Settings, /, store: Path, out: Path) -> None:
    """Convert STORE (a project, pairs or a partition), and all it links to, to files of HiFive."""
    convert(settings, "export_project", store, out)
