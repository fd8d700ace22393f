"""``hifive-dask fends``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hifive_dask._store.places import Place

from hifive_dask.cli._command import Command
from hifive_dask.cli._inputs import (
    GenomeInput,
    genome_options,
    kept_features_option,
    make_fends,
)
from hifive_dask.cli._settings import Settings, json_option, pass_settings
from hifive_dask.cli._stores import StoreOut, check_output


@click.command(
    "fends",
    cls=Command,
    examples=[
        "hifive-dask fends --sites sites.bed -o fends.zarr",
        "hifive-dask fends --fasta genome.fa.gz --enzyme DpnII -o fends.zarr",
        "hifive-dask fends --chrom-sizes chrom.sizes --binned 10kb -o bins.zarr",
    ],
)
@genome_options
@kept_features_option
@click.option("-o", "--out", required=True, type=StoreOut(), help="Store: .zarr or .fends.")
@json_option
@pass_settings
def command(settings: Settings, /, out: Place, **options: Any) -> None:
    """Make a genome partition: fends, bins, or fends in bins.

    Give one input: --sites, --fragments, --fend-table, --chrom-sizes, --bins, --cool or --fasta.
    Beside files of sites, fragments, fends or bins, --chrom-sizes says where chromosomes end.
    """
    from hifive_dask.cli._facts import facts_of

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
    settings.document(lambda: facts_of(fend))
