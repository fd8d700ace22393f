"""``hifive-dask mrh``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hifive_dask._store.places import Place

from hifive_dask.cli._inputs import colour_options, existing
from hifive_dask.cli._pictures import DPI, check_picture
from hifive_dask.cli._settings import Settings, pass_settings
from hifive_dask.cli._stores import FilePath, StorePath, check_output

_size = click.IntRange(1)
_MOST = 1000  # squares along a picture


@click.group("mrh")
def command() -> None:
    """Write and read maps at all resolutions in one file, for browsers.

    \b
    hifive-dask mrh write project.zarr -o map.mrh
    hifive-dask mrh read map.mrh chr1:10M-20M
    hifive-dask mrh plot map.mrh chr1:10M-20M -o chr1.png
    """


@command.command("write")
@click.argument("project", type=StorePath("project"))
@click.option("-o", "--out", required=True, type=FilePath(), help="File: .mrh.")
@click.option(
    "--datatype",
    type=click.Choice(["raw", "fend", "distance", "enrichment"]),
    default="fend",
    show_default=True,
    help="What is expected: the number of possible pairs (raw), corrections (fend), the distance "
    "dependence (distance), or both (enrichment).",
)
@click.option(
    "--maxbinsize",
    type=_size,
    default=1280000,
    show_default=True,
    metavar="BP",
    help="Largest bins.",
)
@click.option(
    "--minbinsize",
    type=_size,
    default=5000,
    show_default=True,
    metavar="BP",
    help="Smallest bins; the largest are a power of two times as large.",
)
@click.option(
    "--trans-maxbinsize",
    type=_size,
    metavar="BP",
    help="Largest bins between chromosomes.  [default: as within]",
)
@click.option(
    "--trans-minbinsize",
    type=_size,
    metavar="BP",
    help="Smallest bins between chromosomes.  [default: as within]",
)
@click.option(
    "--minobservations",
    type=_size,
    default=5,
    show_default=True,
    help="Reads that a cell needs to be stored.",
)
@click.option(
    "--chrom",
    "chroms",
    multiple=True,
    metavar="NAME",
    help="Chromosome to write; repeatable, in this order.  [default: all]",
)
@click.option(
    "--trans/--no-trans",
    "includetrans",
    default=True,
    show_default=True,
    help="Also maps of every two chromosomes.",
)
@click.option(
    "--keep-names",
    is_flag=True,
    help="Keep chr at the beginning of names. The reader of HiFive does not find such names.",
)
@pass_settings
def write(
    settings: Settings, /, project: Place, out: Path, keep_names: bool, **options: Any
) -> None:
    """Write the maps of PROJECT, as fine as there are reads."""
    from hifive_dask import HiC, open_mrh

    check_output(out, project)
    options["chroms"] = list(options["chroms"]) or None
    hic = HiC(project, silent=settings.quiet)
    with settings.session():
        hic.write_multiresolution_heatmap(out, **options, reference_names=not keep_names)
    cells = int(open_mrh(out).summary()["scores"].sum())
    settings.say(f"{out}: {cells:,} scores, {out.stat().st_size:,} bytes.")


@command.command("read")
@click.argument("file", type=existing)
@click.argument("region", required=False)
@click.argument("region2", required=False)
@click.option("--minbinsize", type=_size, metavar="BP", help="Smallest squares.  [default: all]")
@click.option("--maxbinsize", type=_size, metavar="BP", help="Largest squares.  [default: all]")
@click.option("-o", "--out", type=FilePath(), help="Text file; by default text to stdout.")
@pass_settings
def read(
    settings: Settings,
    /,
    file: Path,
    region: str | None,
    region2: str | None,
    out: Path | None,
    minbinsize: int | None,
    maxbinsize: int | None,
) -> None:
    """Write the squares of REGION, or of REGION against REGION2, as text.

    A line has the bounds of a square and its score, log2 of observed over expected reads. Large
    squares come first, and those that smaller ones cover are left out. Without a region: say what
    FILE holds.
    """
    from hifive_dask import open_mrh

    mrh = open_mrh(file)
    if region is None:
        table = mrh.summary()
    else:
        table = mrh.squares(region, region2, minbinsize=minbinsize, maxbinsize=maxbinsize)
    text = table.to_csv(sep="\t", index=False, float_format="%f")
    if out is None:
        sys.stdout.write(text)
        return
    check_output(out, file)
    from hifive_dask._store.atomic import replacing_file

    with replacing_file(out) as beside:
        beside.write_text(text)
    settings.say(f"{out}: {len(table):,} lines.")


@command.command("plot")
@click.argument("file", type=existing)
@click.argument("region")
@click.argument("region2", required=False)
@click.option(
    "--binsize",
    type=_size,
    metavar="BP",
    help="Smallest squares.  [default: so that there are up to 1000 along the picture]",
)
@colour_options
@click.option("-o", "--out", required=True, type=FilePath(), help="File: .png, .svg or .pdf.")
@pass_settings
def plot(
    settings: Settings,
    /,
    file: Path,
    region: str,
    region2: str | None,
    binsize: int | None,
    out: Path,
    **style: Any,
) -> None:
    """Draw REGION, or REGION against REGION2, every place as fine as there are reads."""
    from hifive_dask import open_mrh
    from hifive_dask.plot import heatmap, save

    check_picture(out, file)
    mrh = open_mrh(file)
    binsize = binsize or mrh.suitable_binsize(region, region2, _MOST)
    with settings.session():
        scores = mrh.heatmap(region, region2, binsize=binsize, fill=True)
        save(heatmap(scores, **style), out, dpi=DPI)
    shown = f"{region} / {region2}" if region2 else region
    settings.say(f"{out}: scores of {shown}, squares of {binsize:,} bp and larger ones.")
