"""``hifive-dask pairs``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hifive_dask.cli._inputs import count_reads, reads_options, reads_path
from hifive_dask.cli._settings import Settings, pass_settings, stats_rows
from hifive_dask.cli._stores import StorePath, check_output


@click.command("pairs")
@click.argument("fends", type=StorePath("fends"))
@click.argument("reads", nargs=-1, required=True, type=reads_path)
@reads_options
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), help="Store: .zarr or .hcd."
)
@pass_settings
def command(
    settings: Settings, /, fends: Path, reads: tuple[Path, ...], out: Path, **options: Any
) -> None:
    """Count the read pairs of the files READS on the partition FENDS, or take counted pairs.

    For example: hifive-dask pairs fends.zarr reads.pairs.gz -o pairs.zarr

    READS is - for standard input, which needs --format; in quotes a template such as
    'replicate1/*.matrix', where * stands for chr1 or chr1_by_chr2; or a cooler such as
    map.mcool::/resolutions/10000.
    """
    check_output(out, fends, *reads, kind="pairs")
    with settings.session():
        data = count_reads(out, fends, reads, options, silent=settings.quiet)
    settings.table("Read pairs", stats_rows(data.stats))
    settings.say(f"{out} is complete.")
