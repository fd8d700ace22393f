"""``hifive-dask fends``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hifive_dask.cli._inputs import GenomeInput, genome_options, make_fends
from hifive_dask.cli._settings import Settings, pass_settings
from hifive_dask.cli._stores import check_output


@click.command("fends")
@genome_options
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), help="Store: .zarr or .fends."
)
@pass_settings
def command(settings: Settings, /, out: Path, **options: Any) -> None:
    """Make a genome partition: fends, bins, or fends in bins.

    Give one input, for example: hifive-dask fends --sites sites.bed -o fends.zarr
    """
    source = GenomeInput.choose(options)
    check_output(out, source.path, kind="fends")
    fend = make_fends(out, source, silent=True)
    partition = fend.partition
    rows: dict[str, Any] = {"chromosomes": len(partition.chromosomes)}
    if partition.fends is not None:
        rows["fends"] = len(partition.fends)
    if partition.bins is not None:
        rows["bins"] = len(partition.bins)
    settings.table(f"Partition ({partition.kind}) from {source.path.name}", rows)
    settings.say(f"{out} is complete.")
