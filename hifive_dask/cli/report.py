"""``hifive-dask report``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hifive_dask.cli._command import Command
from hifive_dask.cli._reads import short_option
from hifive_dask.cli._settings import Settings, json_option, pass_settings
from hifive_dask.cli._stores import FilePath, StorePath, check_output
from hifive_dask.cli._types import REGION, Size

if TYPE_CHECKING:
    from hifive_dask._store.places import Place

__all__ = ["command", "verdict_line", "verdict_rows"]


@click.command(
    "report",
    cls=Command,
    examples=[
        "hifive-dask report project.zarr -o report.html --region chr2:10M-20M",
        "hifive-dask report project.zarr --json > report.json",
    ],
)
@click.argument("project", type=StorePath("project"))
@click.option(
    "-o",
    "--out",
    type=FilePath(dir_okay=False),
    help="The page, .html; by default report.html, and none with --json.",
)
@click.option(
    "--region",
    "regions",
    type=REGION,
    multiple=True,
    help="Map to draw besides that of the genome; repeatable. By default the longest chromosome.",
)
@click.option("--binsize", type=Size(1), help="Of the maps of regions.")
@short_option
@click.option("--title", help="Above the page; by default the name of the project.")
@json_option
@pass_settings
def command(
    settings: Settings,
    /,
    project: Place,
    out: Path | None,
    regions: tuple[str, ...],
    binsize: int | None,
    short: int,
    title: str | None,
) -> None:
    """Write a quality report of PROJECT: one page with numbers, verdicts and pictures.

    The page needs no other file and no network.
    """
    from hifive_dask import HiC, write_report

    if out is None and not settings.as_json:
        out = Path("report.html")
    if out is not None:
        check_output(out, project)
    with settings.session():
        found = write_report(
            HiC(project, silent=settings.quiet),
            out,
            regions=list(regions),
            binsize=binsize,
            short=short,
            title=title or "",
        )
    settings.table("Verdicts", verdict_rows(found))
    settings.say(f"{out}: {verdict_line(found)}.")
    settings.document(lambda: found)


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
