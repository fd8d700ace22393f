"""``hifive-dask pairs``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hifive_dask._store.places import Place

from hifive_dask.cli._command import Command
from hifive_dask.cli._inputs import address
from hifive_dask.cli._reads import count_reads, files_of, reads_format, reads_options
from hifive_dask.cli._settings import (
    Settings,
    dry_run_option,
    json_option,
    pass_settings,
    stats_rows,
)
from hifive_dask.cli._stores import StoreOut, StorePath, check_output


@click.command(
    "pairs",
    cls=Command,
    examples=[
        "hifive-dask pairs fends.zarr reads.pairs.gz -o pairs.zarr",
        "hifive-dask pairs fends.zarr lane1.bam lane2.bam -o pairs.zarr",
        "hifive-dask pairs fends.zarr --mates reads_1.bam reads_2.bam -o pairs.zarr",
        "hifive-dask pairs fends.zarr counts.mat --basefend 1 -o pairs.zarr",
        "hifive-dask pairs bins.zarr 'rep1_*.matrix' -o pairs.zarr",
        "hifive-dask pairs bins.zarr map.mcool::/resolutions/10000 -o pairs.zarr",
        "bwa mem -5SP hg.fa 1.fq 2.fq | hifive-dask pairs fends.zarr - --format bam -o pairs.zarr",
    ],
)
@click.argument("fends", type=StorePath("fends"))
@click.argument("reads", nargs=-1, type=address)
@reads_options
@click.option("-o", "--out", required=True, type=StoreOut(), help="Store: .zarr or .hcd.")
@dry_run_option
@json_option
@pass_settings
def command(
    settings: Settings,
    /,
    fends: Place,
    reads: tuple[Path, ...],
    out: Place,
    dry_run: bool,
    **options: Any,
) -> None:
    """Count the read pairs of the files READS on the partition FENDS, or take counted pairs.

    READS are files of one format: text, or alignments with both mates in a file (files of one mate
    each are given by --mates), or one input of counted pairs. Text may be gzip or bgzip; - is
    standard input, which needs --format. A template of matrices is in quotes; its star stands for
    chr1 or chr1_by_chr2.
    """
    from hifive_dask.cli._facts import facts_of

    check_output(out, fends, *files_of(reads, options), kind="pairs")
    if dry_run:
        _plan(settings, fends, reads, out, options)
        return
    with settings.session():
        data = count_reads(out, fends, reads, options, silent=settings.quiet)
    settings.table("Read pairs", stats_rows(data.stats))
    settings.say(f"{out} is complete.")
    settings.document(lambda: facts_of(data))


def _plan(
    settings: Settings, fends: Place, reads: tuple[Path, ...], out: Place, options: dict[str, Any]
) -> None:
    from hifive_dask import Fend
    from hifive_dask.cli._amounts import amount_of_reads
    from hifive_dask.cli._plan import plan_pairs, show_plan

    units = len(Fend(fends, silent=True).units)
    amount = amount_of_reads(reads, reads_format(reads, options), options)
    step = plan_pairs(out, amount, units, mismatch=options["dedup_mismatch"])
    show_plan(settings, [step])
