"""``hifive-dask run``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hifive_dask.cli._command import Command, stack
from hifive_dask.cli._inputs import (
    GenomeInput,
    address,
    filter_options,
    genome_options,
)
from hifive_dask.cli._methods import chosen_method, run_options
from hifive_dask.cli._pipeline import Pipeline
from hifive_dask.cli._reads import reads_format, reads_options
from hifive_dask.cli._settings import Settings, dry_run_option, json_option, pass_settings
from hifive_dask.cli._steps import Steps
from hifive_dask.cli._stores import FilePath
from hifive_dask.cli._types import REGION, Size

_reads = stack(
    click.option(
        "--reads",
        type=address,
        multiple=True,
        help="File of reads; repeatable. With --cool by default its counts.",
    ),
    group="Reads",
)
_pictures = stack(
    click.option(
        "--region",
        type=REGION,
        multiple=True,
        show_default="the longest chromosome",
        help="Region to draw; repeatable.",
    ),
    click.option(
        "--binsize", type=Size(1), show_default="up to 400 bins", help="Of the pictures of regions."
    ),
    group="Pictures",
)


@click.command(
    "run",
    cls=Command,
    examples=[
        "hifive-dask run --sites sites.bed --reads reads.pairs.gz -o results",
        "hifive-dask run --sites sites.bed --reads reads.pairs.gz --method express -o results",
        "hifive-dask run --fasta genome.fa.gz --enzyme DpnII --reads reads.bam -o results",
        "hifive-dask run --cool map.mcool --binned 10kb -o results",
        "hifive-dask run --sites sites.bed --reads reads.pairs.gz -o results --dry-run",
    ],
)
@genome_options
@_reads
@reads_options
@filter_options
@run_options
@_pictures
@click.option("-o", "--out", required=True, type=FilePath(file_okay=False), help="Directory.")
@click.option("--restart", is_flag=True, help="Do all steps anew.")
@dry_run_option
@json_option
@pass_settings
def command(
    settings: Settings,
    /,
    reads: tuple[Path, ...],
    out: Path,
    restart: bool,
    dry_run: bool,
    **options: Any,
) -> None:
    """From cut sites and reads to a normalized project with pictures, in one directory.

    Steps that were done before, from the same inputs with the same options, are skipped.
    """
    source, method = GenomeInput.choose(options), chosen_method(options)
    if source.kind == "cool" and not reads and not options["mates"]:
        reads = (source.path,)  # bins and counts of one file
    if not reads and not options["mates"]:
        raise click.UsageError("give files of reads: --reads FILE, or --mates FILE1 FILE2")
    kind = reads_format(reads, options)  # before any work is done
    source = source.with_reads(kind, reads)
    steps = Steps(out, restart=restart, say=settings.say)
    pipeline = Pipeline(settings, steps, out, source, reads, method, options)
    if dry_run:
        from hifive_dask.cli._plan import show_plan

        show_plan(settings, pipeline.plan(kind))
        return
    out.mkdir(parents=True, exist_ok=True)
    with settings.session():
        pipeline.run()
