"""``hifive-dask heatmap``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hifive_dask.cli._command import Command
from hifive_dask.cli._inputs import given
from hifive_dask.cli._maps import best_datatype
from hifive_dask.cli._settings import Settings, dry_run_option, json_option, pass_settings
from hifive_dask.cli._stores import HEATMAPS, StoreOut, StorePath, check_output
from hifive_dask.cli._types import CHROMOSOME, Choice, Number, Size, Sizes

if TYPE_CHECKING:
    from hifive_dask import HiC
    from hifive_dask._store.places import Place
    from hifive_dask.heatmap.query import Datatype

_GROWTH = {"minobservations": 20, "searchdistance": 0, "expansion_binsize": 10_000}


@click.command(
    "heatmap",
    cls=Command,
    examples=[
        "hifive-dask heatmap project.zarr --binsize 10kb,100kb,1Mb -o maps.zarr",
        "hifive-dask heatmap project.zarr --binsize 5kb -o maps.mcool",
        "hifive-dask heatmap project.zarr --binsize 1kb -o maps.zarr --dry-run",
        "hifive-dask heatmap project.zarr --binsize 100kb --dynamic --no-trans -o maps.hch",
    ],
)
@click.argument("project", type=StorePath("project"))
@click.option(
    "-o",
    "--out",
    required=True,
    type=StoreOut(),
    help="File: .zarr, .hch, .h5, .hdf5, .npz, .cool or .mcool; with --format txt the first part "
    "of the names of files.",
)
@click.option(
    "--binsize",
    required=True,
    type=Sizes(),
    help="Size of bins; 0 for one bin per fend. Several for .zarr and .mcool; from a single one "
    ".mcool has larger ones too.",
)
@click.option(
    "--format",
    "form",
    type=Choice(["zarr", "hdf5", "npz", "txt", "cool", "mcool"]),
    show_default="by the suffix",
    help="Of the file.",
)
@click.option(
    "--datatype",
    type=Choice(["raw", "fend", "distance", "enrichment", "expected"]),
    help="What is expected: the number of possible pairs (raw), corrections (fend), the distance "
    "dependence (distance), or both (enrichment). By default both if they are known; in coolers "
    "corrections. With expected, possible pairs stand in place of observed reads.",
)
@click.option(
    "--chrom",
    "chroms",
    multiple=True,
    type=CHROMOSOME,
    show_default="all",
    help="Chromosome to write; repeatable, in this order, but .zarr, .cool and .mcool in that of "
    "the genome.",
)
@click.option(
    "--trans/--no-trans",
    "includetrans",
    default=True,
    show_default=True,
    help="Also maps of every two chromosomes.",
)
@click.option(
    "--trans-minbinsize",
    type=Size(1),
    help="In .zarr, no maps of two chromosomes at smaller bin sizes.",
)
@click.option("--diagonal", "includediagonal", is_flag=True, help="Also pairs within a bin.")
@click.option(
    "--dynamic",
    "dynamically_binned",
    is_flag=True,
    help="Let cells with few reads grow until they have enough.",
)
@click.option(
    "--minobservations",
    type=Number(0),
    help="With --dynamic: reads that a cell needs.",
    show_default="20",
)
@click.option(
    "--searchdistance",
    type=Size(),
    help="With --dynamic: how far cells grow; 0 for no limit.",
    show_default="0",
)
@click.option(
    "--expansion-binsize",
    type=Size(),
    help="With --dynamic: size of what cells grow by; 0 for fends.",
    show_default="10kb",
)
@click.option(
    "--removefailed",
    is_flag=True,
    help="With --dynamic: set cells to 0 that do not get enough reads.",
)
@dry_run_option
@json_option
@pass_settings
def command(
    settings: Settings,
    /,
    project: Place,
    out: Place,
    binsize: list[int],
    form: str | None,
    datatype: Datatype | None,
    dry_run: bool,
    **options: Any,
) -> None:
    """Write the maps of PROJECT into a store, or for other programs.

    \b
    .zarr           xarray and hifive-dask: the genome at one or several sizes
    .hch .h5 .hdf5  HiFive: observed and expected of every cell
    .npz            numpy: the same arrays
    .cool .mcool    cooler and HiGlass: reads, and weights of bins
    --format txt    tables
    """
    from hifive_dask import HiC
    from hifive_dask._store.places import absolute
    from hifive_dask.export.formats import choose_format

    chosen = choose_format(out, form)
    check_output(out, project, kind=HEATMAPS if chosen == "zarr" else None)
    if 0 in binsize and chosen in ("zarr", "cool", "mcool"):
        raise click.UsageError(
            f"the format {chosen} has bins of equal size; give --binsize such as 10kb. 0, one bin "
            "per fend, is for .hch, .npz and txt"
        )
    _settle_growth(options)
    options["chroms"] = list(options["chroms"])
    hic = HiC(project, silent=settings.quiet)
    kind = datatype or _datatype(hic, chosen)
    if dry_run:
        from hifive_dask.cli._plan import plan_maps, show_plan

        which = given(options, "chroms", "includetrans", "trans_minbinsize")
        show_plan(settings, [plan_maps(out, hic, chosen, binsize, **which)])
        return
    with settings.session():
        hic.write_heatmap(
            out,
            binsize if len(binsize) > 1 else binsize[0],
            datatype=kind,
            format=chosen,
            **options,
        )
    size = f", {out.stat().st_size:,} bytes" if out.is_file() and chosen != "txt" else ""
    settings.say(f"{out}: format {chosen}, datatype {kind}{size}.")
    settings.document(
        lambda: {"type": "maps", "file": absolute(out), "format": chosen, "datatype": kind}
    )


def _settle_growth(options: dict[str, Any]) -> None:
    """Fill in defaults, or check that nothing was given that has no effect."""
    for name, default in _GROWTH.items():
        if not options["dynamically_binned"] and options[name] is not None:
            raise click.UsageError(f"--{name.replace('_', '-')} goes with --dynamic only")
        options[name] = default if options[name] is None else options[name]
    if options["removefailed"] and not options["dynamically_binned"]:
        raise click.UsageError("--removefailed goes with --dynamic only")


def _datatype(hic: HiC, form: str) -> Datatype:
    if form not in ("cool", "mcool"):
        return best_datatype(hic)
    separable = hic.normalization != "none" and not hic.normalization.startswith("binning")
    return "fend" if separable else "raw"
