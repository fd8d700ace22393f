"""``hifive-dask run``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hifive_dask.cli._inputs import (
    GenomeInput,
    address,
    express_options,
    filter_options,
    genome_options,
)
from hifive_dask.cli._pipeline import Pipeline
from hifive_dask.cli._reads import reads_format, reads_options
from hifive_dask.cli._settings import Settings, pass_settings
from hifive_dask.cli._steps import Steps
from hifive_dask.cli._stores import FilePath


@click.command("run")
@genome_options
@click.option("--reads", type=address, multiple=True, help="File of reads; repeatable.")
@reads_options
@filter_options
@express_options
@click.option("--region", multiple=True, help="Region to draw; repeatable.")
@click.option("--binsize", type=click.IntRange(1), metavar="BP", help="Of the pictures.")
@click.option("--out", required=True, type=FilePath(file_okay=False), help="Directory.")
@click.option("--restart", is_flag=True, help="Do all steps anew.")
@pass_settings
def command(
    settings: Settings, /, reads: tuple[Path, ...], out: Path, restart: bool, **options: Any
) -> None:
    """From cut sites and reads to a normalized project with pictures, in one directory.

    Steps that were done before, from the same inputs with the same options, are skipped. For
    example: hifive-dask run --sites sites.bed --reads reads.pairs.gz --out results
    """
    source = GenomeInput.choose(options)
    if not reads and not options["mates"]:
        raise click.UsageError("give files of reads: --reads FILE, or --mates FILE1 FILE2")
    reads_format(reads, options)  # before any work is done
    out.mkdir(parents=True, exist_ok=True)
    steps = Steps(out, restart=restart, say=settings.say)
    with settings.session():
        Pipeline(settings, steps, out, source, reads, options).run()
