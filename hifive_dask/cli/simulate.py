"""``hifive-dask simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hifive_dask.cli._command import Command
from hifive_dask.cli._settings import Settings, pass_settings
from hifive_dask.cli._stores import FilePath
from hifive_dask.cli._types import Choice, Number

if TYPE_CHECKING:
    from hifive_dask.simulate import SimulatedGenome


@click.command(
    "simulate",
    cls=Command,
    examples=[
        "hifive-dask simulate --preset toy --seed 3 -o toy",
    ],
)
@click.option(
    "--preset",
    type=Choice(["toy", "demo", "human"]),
    default="demo",
    show_default=True,
    help="Size: 0.8 Mb and 20 thousand reads, 33 Mb and 2 million, 3.1 Gb and 100 million.",
)
@click.option("--seed", type=Number(0), default=1, show_default=True, help="Of random numbers.")
@click.option("--pairs", type=Number(1), show_default="of the preset", help="Read pairs.")
@click.option(
    "--format",
    "format_",
    type=Choice(["raw", "raw.gz", "pairs", "pairs.gz", "bam"]),
    default="raw",
    show_default=True,
    help="Of the reads; .gz is bgzip.",
)
@click.option(
    "-o",
    "--out",
    required=True,
    type=FilePath(file_okay=False),
    help="Directory; made if it is not there.",
)
@pass_settings
def command(
    settings: Settings, /, preset: str, seed: int, pairs: int | None, format_: str, out: Path
) -> None:
    """Simulate a genome and reads with known truth.

    Writes sites.bed, chrom.sizes, truth.npz and the reads. The same seed gives the same bytes.
    """
    out.mkdir(parents=True, exist_ok=True)
    with settings.session():
        genome, count = write_simulation(
            out, preset, pairs, seed, format_=format_, silent=settings.quiet
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
    settings.say(f"{out / f'reads.{format_}'}")


def write_simulation(
    out: Path, preset: str, pairs: int | None, seed: int, *, format_: str = "raw", silent: bool
) -> tuple[SimulatedGenome, int]:
    """Write a simulated genome and reads into a directory; return the genome and their number."""
    from hifive_dask.simulate import PRESETS, write_genome, write_reads

    chosen = PRESETS[preset]
    genome, count = chosen.genome(seed), pairs or chosen.reads
    write_genome(out, genome)
    write_reads(
        out / f"reads.{format_}",
        genome,
        count,
        seed=seed,
        experiment=chosen.experiment,
        silent=silent,
    )
    return genome, count
