"""``hifive-dask plot``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hifive_dask.cli._command import Command
from hifive_dask.cli._inputs import map_options, style_of, style_options
from hifive_dask.cli._maps import open_map
from hifive_dask.cli._pictures import DPI, check_picture, draw_map
from hifive_dask.cli._settings import Settings, pass_settings
from hifive_dask.cli._stores import FilePath, StorePath
from hifive_dask.cli._types import REGION, Choice

if TYPE_CHECKING:
    from hifive_dask._store.places import Place
    from hifive_dask.plot.heatmap import Variable


@click.command(
    "plot",
    cls=Command,
    examples=[
        "hifive-dask plot project.zarr chr2:10Mb-20Mb --binsize 50kb -o chr2.png",
        "hifive-dask plot project.zarr chr2 --triangle --maxdistance 2Mb -o chr2.pdf",
        "hifive-dask plot maps.zarr chr1 chr2 -o trans.png",
    ],
)
@click.argument("store", type=StorePath("project"))
@click.argument("region", type=REGION, default="all")
@click.argument("region2", type=REGION, required=False)
@map_options
@click.option(
    "--variable",
    type=Choice(["enrichment", "observed", "expected"]),
    default="enrichment",
    show_default=True,
    help="What to draw; enrichment is observed over expected, by --datatype.",
)
@click.option(
    "--triangle",
    is_flag=True,
    help="Turn the map by 45 degrees: distances go upwards, as far as --maxdistance.",
)
@style_options
@click.option("-o", "--out", required=True, type=FilePath(), help="File: .png, .svg or .pdf.")
@pass_settings
def command(
    settings: Settings,
    /,
    store: Place,
    region: str,
    region2: str | None,
    variable: Variable,
    triangle: bool,
    out: Path,
    **options: Any,
) -> None:
    """Draw the map of REGION, or of REGION against REGION2; by default of the whole genome.

    STORE is a project, or a heatmap store with the bin sizes that were written.
    """
    from hifive_dask.heatmap.labels import drawn
    from hifive_dask.plot import save
    from hifive_dask.plot.scales import check_limits
    from hifive_dask.plot.style import colour_map

    check_picture(out, store)
    style = style_of(options)
    colour_map(style["cmap"])
    check_limits(style["vmin"], style["vmax"])
    if triangle:  # how high the picture is; the map, which may be stored, has all distances
        style["maxdistance"], options["maxdistance"] = options["maxdistance"] or None, 0
    with settings.session():
        chosen = open_map(store, region, region2, options)
        figure = draw_map(chosen, variable, triangle=triangle, **style)
        save(figure, out, dpi=DPI)
    settings.say(
        f"{out}: {drawn(variable, chosen.datatype)} of {chosen.title}, bins of "
        f"{chosen.binsize:,} bp."
    )
