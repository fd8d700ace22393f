"""``hifive-dask model``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hifive_dask._store.places import Place

from hifive_dask.cli import _pictures
from hifive_dask.cli._settings import Settings, pass_settings
from hifive_dask.cli._stores import FilePath, StorePath, check_output

_SUFFIXES = (".tsv", ".png", ".svg", ".pdf")


@click.command("model")
@click.argument("project", type=StorePath("project"))
@click.argument("chrom")
@click.option(
    "-o",
    "--out",
    required=True,
    type=FilePath(),
    help="Table .tsv, or picture .png, .svg or .pdf.",
)
@click.option(
    "--minobservations",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Reads that the cell of every two bins grows to.",
)
@click.option(
    "--binsize",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="BP",
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
    if out.suffix not in _SUFFIXES:
        raise click.UsageError(f"{out.name}: the suffix must be one of {', '.join(_SUFFIXES)}")
    hic = HiC(project, silent=settings.quiet)
    with settings.session():
        points = hic.learn_fend_3D_model(chrom, minobservations, binsize=binsize)
    if out.suffix == ".tsv":
        from hifive_dask._store.atomic import replacing_file

        lines = ["chromosome\tmid\tx\ty\tz\n"]
        lines += [f"{chrom}\t{mid:.0f}\t{x:.6g}\t{y:.6g}\t{z:.6g}\n" for x, y, z, mid in points]
        with replacing_file(out) as beside:
            beside.write_text("".join(lines))
    else:
        from hifive_dask import plot

        plot.save(plot.model(points, title=chrom), out, dpi=_pictures.DPI)
    settings.say(f"{out}: {len(points):,} bins.")
