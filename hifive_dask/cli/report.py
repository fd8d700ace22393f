"""``hifive-dask report``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hifive_dask.cli._reads import short_option
from hifive_dask.cli._settings import Settings, pass_settings
from hifive_dask.cli._stores import FilePath, StorePath, check_output

if TYPE_CHECKING:
    from hifive_dask._store.places import Place

__all__ = ["command", "verdict_line", "verdict_rows"]


@click.command("report")
@click.argument("project", type=StorePath("project"))
@click.option(
    "-o",
    "--out",
    type=FilePath(dir_okay=False),
    help="The page, .html; report.html if neither it nor --json is given.",
)
@click.option(
    "--json",
    "numbers",
    type=FilePath(dir_okay=False, allow_dash=True),
    help="File, .json, for numbers and verdicts; - for standard output.",
)
@click.option(
    "--region",
    "regions",
    multiple=True,
    help="Map to draw besides that of the genome; repeatable. By default the longest chromosome.",
)
@click.option("--binsize", type=click.IntRange(1), metavar="BP", help="Of the maps of regions.")
@short_option
@click.option("--title", default="", help="Above the page; by default the name of the project.")
@pass_settings
def command(
    settings: Settings,
    /,
    project: Place,
    out: Path | None,
    numbers: Path | None,
    regions: tuple[str, ...],
    binsize: int | None,
    short: int,
    title: str,
) -> None:
    """Write a quality report of PROJECT: one page with numbers, verdicts and pictures.

    The page needs no other file and no network. For example: hifive-dask report project.zarr -o
    report.html --region chr2:10M-20M
    """
    from hifive_dask import HiC, write_report
    from hifive_dask.report.write import to_json

    printed = str(numbers) == "-"
    if out is None and numbers is None:
        out = Path("report.html")
    files = [each for each in (out, None if printed else numbers) if each is not None]
    for each in files:
        check_output(each, project)
    with settings.session():
        found = write_report(
            HiC(project, silent=settings.quiet),
            out,
            json=None if printed else numbers,
            regions=list(regions),
            binsize=binsize,
            short=short,
            title=title,
        )
    if printed:
        click.echo(to_json(found), nl=False)
        return
    settings.table("Verdicts", verdict_rows(found))
    settings.say(f"{', '.join(map(str, files))}: {verdict_line(found)}.")


def verdict_rows(numbers: dict[str, Any]) -> list[tuple[str, ...]]:
    """What was looked at, its value, and the verdict."""
    words = {"check": "look at it", "none": "-"}
    return [
        (check["title"], check["text"], words.get(check["verdict"], check["verdict"]))
        for check in numbers["checks"]
    ]


def verdict_line(numbers: dict[str, Any]) -> str:
    """How many verdicts of a kind there are."""
    counts = Counter(check["verdict"] for check in numbers["checks"])
    words = {"good": "good", "check": "to look at", "poor": "poor", "none": "without a verdict"}
    return ", ".join(f"{counts[key]} {word}" for key, word in words.items() if counts[key])
