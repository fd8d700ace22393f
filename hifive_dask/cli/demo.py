"""``hifive-dask demo``."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import click

from hifive_dask.cli._command import Command
from hifive_dask.cli._settings import Settings, pass_settings
from hifive_dask.cli._steps import Steps
from hifive_dask.cli._stores import FilePath
from hifive_dask.cli._types import Choice, Number
from hifive_dask.cli.run import command as run_command
from hifive_dask.cli.simulate import write_simulation
from hifive_dask.errors import StoreError


@click.command(
    "demo",
    cls=Command,
    examples=[
        "hifive-dask demo",
        "hifive-dask demo --preset toy -o toy",
    ],
)
@click.option(
    "-o",
    "--out",
    type=FilePath(file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="Directory; made if it is not there.",
)
@click.option("--pairs", type=Number(1), show_default="2,000,000", help="Read pairs.")
@click.option(
    "--preset",
    type=Choice(["demo", "toy"]),
    default="demo",
    show_default=True,
    help="Size of the genome.",
)
@click.option("--seed", type=Number(0), default=1, show_default=True, help="Of random numbers.")
@click.option("--restart", is_flag=True, help="Do all steps anew.")
@pass_settings
@click.pass_context
def command(
    ctx: click.Context,
    settings: Settings,
    /,
    out: Path,
    pairs: int | None,
    preset: str,
    seed: int,
    restart: bool,
) -> None:
    """Simulate a small genome, run everything on it, draw pictures.

    Shows domains, compartments and biases with known truth. Takes about a quarter of a minute on
    two cores, and half a minute when it is the first command after installation.
    """
    inputs = out / "input"
    inputs.mkdir(parents=True, exist_ok=True)
    steps = Steps(inputs, restart=restart, say=settings.say)
    with settings.session():
        steps.do(
            "simulation",
            {"preset": preset, "pairs": pairs, "seed": seed},
            lambda: write_simulation(inputs, preset, pairs, seed, silent=settings.quiet),
            lambda: _check(inputs),
        )
        arguments = [
            *("--sites", str(inputs / "sites.bed"), "--reads", str(inputs / "reads.raw")),
            *("--minsize", "2000", "--out", str(out), *(["--restart"] if restart else [])),
        ]
        settings.say(f"hifive-dask run {shlex.join(arguments)}")
        inside = replace(settings, in_session=True)
        with run_command.make_context("run", arguments, parent=ctx, obj=inside) as run_ctx:
            run_command.invoke(run_ctx)


def _check(inputs: Path) -> Path:
    for name in ("sites.bed", "chrom.sizes", "truth.npz", "reads.raw"):
        if not (inputs / name).exists():
            raise StoreError(f"{inputs / name} is missing")
    return inputs
