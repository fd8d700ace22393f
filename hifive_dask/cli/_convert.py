"""What ``import`` and ``export`` share."""

from __future__ import annotations

from pathlib import Path

import click

from hifive_dask.cli._settings import Settings
from hifive_dask.cli._stores import FilePath

__all__ = ["convert", "directory_option"]

directory_option = click.option(
    "-o",
    "--out",
    required=True,
    type=FilePath(file_okay=False),
    help="Directory of the results; made if need be.",
)


def convert(settings: Settings, name: str, store: Path, out: Path) -> None:
    """Call `import_project` or `export_project`, and say what was made and verified."""
    import hifive_dask

    with settings.session():
        made = getattr(hifive_dask, name)(store, out, silent=settings.quiet)
    for result in made:
        settings.say(f"{result.target} is complete.")
        settings.say(f"  verified against {result.source.name}: {result.verified}")
