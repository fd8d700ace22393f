"""``hifive-dask fends``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hifive_dask._store.places import Place

from hifive_dask.cli._inputs import GenomeInput, genome_options, make_fends
from hifive_dask.cli._settings import Settings, pass_settings
from hifive_dask.cli._stores import StoreOut, check_output


@click.command("fends")
@genome_options
@click.option("-o", "--out", required=True, type=StoreOut(), help="Store: .zarr or .fends.")
@pass_settings
def command(settings: Settings, /, out: Place, **options: Any) -> None:
    """Make a genome partition: fends, bins, or fends in bins.

    Give one input, for example: hifive-dask fends --sites sites.bed -o fends.zarr, or
    hifive-dask fends --fasta genome.fa.gz --enzyme DpnII -o fends.zarr
    """
    source = GenomeInput.choose(options)
    check_output(out, *source.files, kind="fends")
    fend = make_fends(out, source, silent=settings.quiet)
    partition = fend.partition
    rows: dict[str, Any] = {"chromosomes": len(partition.chromosomes)}
    record = fend.records.last("Fend.digest")
    for name, sites in (record["results"]["sites"] if record else {}).items():
        rows[f"sites of {name}"] = sites
    if partition.fends is not None:
        rows["fends"] = len(partition.fends)
        rows["median fragment, bp"] = f"{partition.median_fragment:,.0f}"
    if partition.bins is not None:
        rows["bins"] = len(partition.bins)
    rows["features"] = ", ".join(partition.units.features) or "-"
    settings.table(f"Partition ({partition.kind}) from {source.path.name}", rows)
    settings.say(f"{out} is complete.")
