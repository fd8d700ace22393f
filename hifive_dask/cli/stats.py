"""``hifive-dask stats``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hifive_dask.cli._command import Command
from hifive_dask.cli._pictures import check_picture, draw_statistics
from hifive_dask.cli._reads import short_option, warn_of_misfits
from hifive_dask.cli._settings import Settings, json_option, pass_settings
from hifive_dask.cli._stores import FilePath, StorePath

if TYPE_CHECKING:
    import pandas as pd

    from hifive_dask._store.places import Place


@click.command(
    "stats",
    cls=Command,
    examples=[
        "hifive-dask stats rep1.zarr rep2.zarr -o statistics.png",
        "hifive-dask stats pairs.zarr --short 10kb --json",
    ],
)
@click.argument("pairs", nargs=-1, required=True, type=StorePath("pairs"))
@short_option
@click.option("-o", "--out", type=FilePath(), help="Picture: .png, .svg or .pdf.")
@json_option
@pass_settings
def command(settings: Settings, /, pairs: tuple[Place, ...], short: int, out: Path | None) -> None:
    """Tell what became of the reads of the pair stores PAIRS, also as a picture."""
    from hifive_dask import HiCData
    from hifive_dask.reads.sites import look_at_sites

    if out is not None:
        check_picture(out, *pairs)
    named = _named(pairs)
    with settings.session():
        stores = {name: HiCData(path, "r", silent=settings.quiet) for name, path in named.items()}
        tables = {name: data.stats_table(short) for name, data in stores.items()}
        for name, table in tables.items():
            settings.table(name, _rows(table, short))
            sites = look_at_sites(stores[name].end_distribution)
            if sites is not None:
                settings.say(f"Cut sites: {sites.text}.\n")
            warn_of_misfits(stores[name])
        if out is not None:
            draw_statistics(tables, short, out)
            settings.say(f"{out}: what became of the reads.")
    settings.document(
        lambda: {"type": "statistics", "short": short, "libraries": _libraries(named, tables)}
    )


def _libraries(named: dict[str, Place], tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    from hifive_dask._store.places import absolute

    return [
        {
            "name": name,
            "file": absolute(path),
            "classes": {
                kind: {
                    "reads": int(row["reads"]),
                    **{part: _or_null(row[part]) for part in ("of_all", "of_valid")},
                }
                for kind, row in tables[name].iterrows()
            },
        }
        for name, path in named.items()
    ]


def _or_null(share: float) -> float | None:
    return float(share) if share == share else None


def _named(paths: Sequence[Place]) -> dict[str, Place]:
    """Paths by their names; by the parts in which they differ, if names are the same."""
    from hifive_dask._store.places import absolute

    full = [absolute(path) for path in paths]
    for path, each in zip(paths, full, strict=True):
        if full.count(each) > 1:
            raise click.UsageError(f"{path} was given more than once")
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        parts = [each.split("/") for each in full]
        differ = (k for k, each in enumerate(zip(*parts, strict=False)) if len(set(each)) > 1)
        first = next(differ, 0)
        names = ["/".join(each[first:]) for each in parts]
    return dict(zip(names, paths, strict=True))


def _rows(table: pd.DataFrame, short: int) -> list[tuple[str, ...]]:
    """Lines of text: class, reads, part of all, part of valid ones."""
    from hifive_dask.plot.style import length_text

    words = {
        "cis_short_reads": f"cis below {length_text(short)}",
        "cis_long_reads": f"cis from {length_text(short)}",
    }
    lines: list[tuple[str, ...]] = [("", "reads", "of all", "of valid")]
    for name, row in table.iterrows():
        parts = (row["of_all"], row["of_valid"])
        shares = ("" if part != part else f"{100 * part:.1f} %" for part in parts)
        lines.append(
            (words.get(str(name), str(name).replace("_", " ")), f"{row['reads']:,}", *shares)
        )
    return lines
