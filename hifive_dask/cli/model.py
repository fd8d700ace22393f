"""``hifive-dask model``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hifive_dask._store.places import Place

from hifive_dask.cli import _pictures
from hifive_dask.cli._command import Command
from hifive_dask.cli._settings import Settings, pass_settings
from hifive_dask.cli._stores import STDOUT, FilePath, StorePath, check_output, write_text
from hifive_dask.cli._types import CHROMOSOME, Number, Size

_SUFFIXES = (".tsv", ".png", ".svg", ".pdf")


@click.command(
    "model",
    cls=Command,
    examples=[
        "hifive-dask model project.zarr chr1 --binsize 50kb -o chr1.tsv",
        "hifive-dask model project.zarr chr1 --binsize 50kb -o chr1.png",
    ],
)
@click.argument("project", type=StorePath("project"))
@click.argument("chrom", type=CHROMOSOME)
@click.option(
    "-o",
    "--out",
    required=True,
    type=FilePath(allow_dash=True),
    help="Table .tsv, - for the table on standard output, or picture .png, .svg or .pdf.",
)
@click.option(
    "--minobservations",
    type=Number(1),
    default=10,
    show_default=True,
    help="Reads that the cell of every two bins grows to.",
)
@click.option(
    "--binsize",
    type=Size(),
    default="0",
    show_default=True,
    help="Size of bins; 0 for one bin per fend in use.",
)
@pass_settings
def command(
    settings: Settings, /, project: Place, chrom: str, out: Path, minobservations: int, binsize: int
) -> None:
    """Place the fends or bins of CHROM in space.

    Those with like contacts are near each other: coordinates are principal components of observed
    over expected reads.
    """
    from hifive_dask import HiC

    check_output(out, project)
    if out != STDOUT and out.suffix not in _SUFFIXES:
        raise click.UsageError(f"{out.name}: the suffix must be one of {', '.join(_SUFFIXES)}")
    hic = HiC(project, silent=settings.quiet)
    name = hic.units.chromosomes[hic.units.select(chrom)[0]]
    with settings.session():
        points = hic.learn_fend_3D_model(name, minobservations, binsize=binsize)
    if out == STDOUT or out.suffix == ".tsv":
        lines = ["chromosome\tmid\tx\ty\tz\n"]
        lines += [f"{name}\t{mid:.0f}\t{x:.6g}\t{y:.6g}\t{z:.6g}\n" for x, y, z, mid in points]
        write_text(out, lines)
    else:
        from hifive_dask import plot
        from hifive_dask.plot.style import as_name

        plot.save(plot.model(points, title=as_name(name)), out, dpi=_pictures.DPI)
    if out != STDOUT:
        settings.say(f"{out}: {len(points):,} bins.")
