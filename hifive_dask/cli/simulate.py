"""``hifive-dask simulate``."""

from __future__ import annotations

from pathlib import Path

import click

from hifive_dask.cli._settings import Settings, pass_settings


@click.command("simulate")
@click.option(
    "--preset",
    type=click.Choice(["toy", "demo", "human"]),
    default="demo",
    show_default=True,
    help="Size: 0.8 Mb and 20 thousand reads, 33 Mb and 2 million, 3.1 Gb and 100 million.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--pairs", type=click.IntRange(1), help="Read pairs, if not those of the preset.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["raw", "raw.gz", "pairs", "pairs.gz"]),
    default="raw",
    show_default=True,
    help="Of the reads; .gz is bgzip.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory; made if it is not there.",
)
@pass_settings
def command(
    settings: Settings, /, preset: str, seed: int, pairs: int | None, format_: str, out: Path
) -> None:
    """Simulate a genome and reads with known truth.

    Writes sites.bed, chrom.sizes, truth.npz and the reads. The same seed gives the same bytes.
    """
    from hifive_dask.simulate import PRESETS, write_genome, write_reads

    chosen = PRESETS[preset]
    count = pairs or chosen.reads
    out.mkdir(parents=True, exist_ok=True)
    reads = out / f"reads.{format_}"
    with settings.session():
        genome = chosen.genome(seed)
        write_genome(out, genome)
        write_reads(
            reads, genome, count, seed=seed, experiment=chosen.experiment, silent=settings.quiet
        )
    settings.table(
        f"Simulation ({preset}, seed {seed})",
        {
            "chromosomes": len(genome.chromosomes),
            "length, bp": int(genome.lengths.sum()),
            "cut sites": sum(map(len, genome.cuts)),
            "read pairs": count,
        },
    )
    settings.say(f"{out / 'sites.bed'}, {out / 'chrom.sizes'}, {out / 'truth.npz'}")
    settings.say(f"{reads}")
