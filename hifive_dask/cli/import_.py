"""``hifive-dask import``."""

from __future__ import annotations

from pathlib import Path

import click

from hifive_dask.cli._command import Command
from hifive_dask.cli._convert import convert, directory_option
from hifive_dask.cli._inputs import address
from hifive_dask.cli._settings import Settings, pass_settings


@click.command(
    "import",
    cls=Command,
    examples=[
        "hifive-dask import project.hcp -o converted",
        "hifive-dask import map.mcool -o maps.zarr",
    ],
)
@click.argument("store", type=address)
@directory_option
@pass_settings
def command(settings: Settings, /, store: Path, out: Path) -> None:
    """Convert the HiFive file STORE (.hcp, .hcd or .fends), and all it links to, to Zarr.

    Of a cooler (.cool or .mcool, or FILE::GROUP) it makes a heatmap store, which is called as the
    option --out says.
    """
    from hifive_dask.genome.cool import holds_coolers

    if holds_coolers(store):
        _import_cooler(settings, store, out)
    else:
        convert(settings, "import_project", store, out)


def _import_cooler(settings: Settings, store: Path, out: Path) -> None:
    from hifive_dask import import_heatmaps, open_heatmaps

    with settings.session():
        import_heatmaps(store, out, silent=settings.quiet)
    sizes = ", ".join(f"{size:,}" for size in open_heatmaps(out).attrs["resolutions"])
    settings.say(f"{out}: heatmaps with bins of {sizes} bp.")
