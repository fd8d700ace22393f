"""``hifive-dask mrh``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hifive_dask import HiC
    from hifive_dask._store.places import Place

from hifive_dask.cli._command import Group
from hifive_dask.cli._inputs import colour_options, existing
from hifive_dask.cli._pictures import DPI, check_picture
from hifive_dask.cli._settings import Settings, dry_run_option, json_option, pass_settings
from hifive_dask.cli._stores import STDOUT, FilePath, StorePath, check_output, write_text
from hifive_dask.cli._types import CHROMOSOME, REGION, Choice, Number, Size
from hifive_dask.errors import HifiveDaskWarning, warn

_MOST = 1000  # squares along a picture


@click.group("mrh", cls=Group)
def command() -> None:
    """Write and read maps at all resolutions in one file, for browsers."""


@command.command(
    "write",
    examples=[
        "hifive-dask mrh write project.zarr -o map.mrh",
        "hifive-dask mrh write project.zarr --minbinsize 10kb --maxbinsize 640kb -o map.mrh",
    ],
)
@click.argument("project", type=StorePath("project"))
@click.option("-o", "--out", required=True, type=FilePath(), help="File: .mrh.")
@click.option(
    "--datatype",
    type=Choice(["raw", "fend", "distance", "enrichment"]),
    default="fend",
    show_default=True,
    help="What is expected: the number of possible pairs (raw), corrections (fend), the distance "
    "dependence (distance), or both (enrichment).",
)
@click.option(
    "--maxbinsize",
    type=Size(1),
    default="1280kb",
    show_default=True,
    help="Largest bins.",
)
@click.option(
    "--minbinsize",
    type=Size(1),
    default="5kb",
    show_default=True,
    help="Smallest bins; the largest are a power of two times as large.",
)
@click.option(
    "--trans-maxbinsize",
    type=Size(1),
    help="Largest bins between chromosomes.",
    show_default="as within",
)
@click.option(
    "--trans-minbinsize",
    type=Size(1),
    help="Smallest bins between chromosomes.",
    show_default="as within",
)
@click.option(
    "--minobservations",
    type=Number(1),
    default=5,
    show_default=True,
    help="Reads that a cell needs to be stored.",
)
@click.option(
    "--chrom",
    "chroms",
    multiple=True,
    type=CHROMOSOME,
    show_default="all",
    help="Chromosome to write; repeatable, in this order.",
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
@dry_run_option
@json_option
@pass_settings
def write(
    settings: Settings,
    /,
    project: Place,
    out: Path,
    keep_names: bool,
    dry_run: bool,
    **options: Any,
) -> None:
    """Write the maps of PROJECT, as fine as there are reads."""
    from hifive_dask import HiC
    from hifive_dask.cli._facts import facts_of, open_any

    check_output(out, project)
    options["chroms"] = list(options["chroms"]) or None
    hic = HiC(project, silent=settings.quiet)
    if dry_run:
        _plan(settings, out, hic, options)
        return
    with settings.session():
        hic.write_multiresolution_heatmap(out, **options, reference_names=not keep_names)
    facts = facts_of(open_any(out))
    settings.say(f"{out}: {facts['scores']:,} scores, {out.stat().st_size:,} bytes.")
    settings.document(lambda: facts)


def _plan(settings: Settings, out: Path, hic: HiC, options: dict[str, Any]) -> None:
    from hifive_dask.cli._plan import plan_mrh, show_plan

    sizes = options["maxbinsize"], options["minbinsize"]
    trans = [options[f"trans_{name}"] or options[name] for name in ("maxbinsize", "minbinsize")]
    step = plan_mrh(
        out,
        hic,
        sizes=sizes,
        trans_sizes=(trans[0], trans[1]) if options["includetrans"] else None,
        minobservations=options["minobservations"],
        chroms=options["chroms"] or (),
    )
    show_plan(settings, [step])


@command.command(
    "read",
    examples=[
        "hifive-dask mrh read map.mrh",
        "hifive-dask mrh read map.mrh chr1:10Mb-20Mb > chr1.tsv",
    ],
)
@click.argument("file", type=existing)
@click.argument("region", type=REGION, required=False)
@click.argument("region2", type=REGION, required=False)
@click.option("--minbinsize", type=Size(1), help="Smallest squares.", show_default="all")
@click.option("--maxbinsize", type=Size(1), help="Largest squares.", show_default="all")
@click.option(
    "-o",
    "--out",
    type=FilePath(allow_dash=True),
    default="-",
    show_default="-, standard output",
    help="Text file.",
)
@pass_settings
def read(
    settings: Settings,
    /,
    file: Path,
    region: str | None,
    region2: str | None,
    out: Path,
    minbinsize: int | None,
    maxbinsize: int | None,
) -> None:
    """Write the squares of REGION, or of REGION against REGION2, as text.

    A line has the bounds of a square and its score, log2 of observed over expected reads. Large
    squares come first, and those that smaller ones cover are left out. Without a region: say what
    FILE holds.
    """
    from hifive_dask import open_mrh

    check_output(out, file)
    mrh = open_mrh(file)
    if region is None:
        table = mrh.summary()
    else:
        table = mrh.squares(region, region2, minbinsize=minbinsize, maxbinsize=maxbinsize)
    if region is not None and table.empty:
        where = f"{region} / {region2}" if region2 else region
        warn(f"{file} has no squares in {where}", HifiveDaskWarning)
    write_text(out, [table.to_csv(sep="\t", index=False, float_format="%f")])
    if out != STDOUT:
        settings.say(f"{out}: {len(table):,} lines.")


@command.command("plot", examples=["hifive-dask mrh plot map.mrh chr1:10Mb-20Mb -o chr1.png"])
@click.argument("file", type=existing)
@click.argument("region", type=REGION)
@click.argument("region2", type=REGION, required=False)
@click.option(
    "--minbinsize",
    type=Size(1),
    show_default="up to 1000 along the picture",
    help="Smallest squares.",
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
    minbinsize: int | None,
    out: Path,
    **style: Any,
) -> None:
    """Draw REGION, or REGION against REGION2, every place as fine as there are reads."""
    from hifive_dask import open_mrh
    from hifive_dask.plot import heatmap, save

    check_picture(out, file)
    mrh = open_mrh(file)
    binsize = minbinsize or mrh.suitable_binsize(region, region2, _MOST)
    with settings.session():
        scores = mrh.heatmap(region, region2, binsize=binsize, fill=True)
        save(heatmap(scores, **style), out, dpi=DPI)
    shown = f"{region} / {region2}" if region2 else region
    settings.say(f"{out}: scores of {shown}, squares of {binsize:,} bp and larger ones.")
