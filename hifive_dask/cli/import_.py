"""``hifive-dask import``."""

from __future__ import annotations

from pathlib import Path

import click

from hifive_dask.cli._convert import convert, directory_option
from hifive_dask.cli._settings import Settings, pass_settings


@click.command("import")
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@directory_option
@pass_settings
def command(settings: Settings, /, store: Path, out: Path) -> None:
    """Convert the HiFive file STORE (.hcp, .hcd or .fends), and all it links to, to Zarr.

    For example: hifive-dask import project.hcp -o converted
    """
    convert(settings, "import_project", store, out)
