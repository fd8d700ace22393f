"""Pictures that commands draw."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hifive_dask.cli._maps import Map, query_map
from hifive_dask.cli._stores import check_output

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from hifive_dask import HiC
    from hifive_dask._store.places import Place
    from hifive_dask.plot.heatmap import Variable

__all__ = [
    "DPI",
    "check_picture",
    "draw_diagnostics",
    "draw_map",
    "draw_project",
    "draw_statistics",
]

DPI = 200


def check_picture(out: Path, *inputs: Place) -> None:
    """Check, before anything is computed, that a picture can be written and overwrites no input."""
    from hifive_dask.plot.style import SUFFIXES

    if out.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"{out.name}: the suffix must be one of {', '.join(SUFFIXES)}")
    check_output(out, *inputs)


def draw_statistics(tables: Mapping[str, pd.DataFrame], short: int, out: Path) -> None:
    """Draw what became of the reads of several libraries; tables are `HiCData.stats_table`."""
    from hifive_dask import plot

    libraries = {name: _reads(table) for name, table in tables.items()}
    plot.save(plot.statistics(libraries, short=short), out, dpi=DPI)


def _reads(table: pd.DataFrame) -> dict[str, int]:
    return {str(name): int(reads) for name, reads in table["reads"].items()}


def draw_map(
    chosen: Map,
    variable: Variable,
    *,
    triangle: bool = False,
    title: str | None = None,
    **style: Any,
) -> Figure:
    """Draw one variable of a map; `style` is what both kinds of pictures take."""
    from hifive_dask import plot
    from hifive_dask.plot.style import as_name

    draw = plot.triangle if triangle else plot.heatmap
    # One read more on both sides keeps cells pale where little is expected.
    style |= {"pseudocount": 1, "title": title or f"{as_name(chosen.title)}: {variable}"}
    return draw(chosen.dataset, variable=variable, **style)


def draw_diagnostics(hic: HiC, folder: Path) -> dict[str, str]:
    """Draw what tells whether a project can be trusted; return caption by file name."""
    return _save(_diagnostics(hic), folder)


def draw_project(
    hic: HiC, folder: Path, regions: Iterable[str], binsize: int | None
) -> dict[str, str]:
    """Draw maps and diagnostics of a normalized project; return caption by file name."""
    maps = _maps(hic, tuple(regions), binsize)
    return {**_save(maps, folder), **_save(_diagnostics(hic), folder)}


def _save(pictures: Iterable[tuple[str, Figure, str]], folder: Path) -> dict[str, str]:
    from hifive_dask.plot import save

    drawn: dict[str, str] = {}
    for name, figure, caption in pictures:
        save(figure, folder / name, dpi=DPI)
        drawn[name] = caption
    return drawn


def _maps(
    hic: HiC, regions: tuple[str, ...], binsize: int | None
) -> Iterator[tuple[str, Figure, str]]:
    """Yield name, figure and caption of the map of the genome and those of the regions."""
    whole = query_map(hic, "all", None, {"binsize": None, "datatype": "fend"})
    caption = f"Reads corrected for biases, whole genome, bins of {whole.binsize:,} bp"
    yield "genome_enrichment.png", draw_map(whole, "enrichment"), caption
    words: dict[Variable, str] = {
        "observed": "Observed reads",
        "enrichment": "Observed over expected reads",
    }
    for region in regions or (hic.units.longest,):
        chosen = query_map(hic, region, None, {"binsize": binsize, "datatype": "enrichment"})
        label = re.sub(r"[^\w.-]+", "_", region)
        for variable, word in words.items():
            caption = f"{word}, {chosen.title}, bins of {chosen.binsize:,} bp"
            yield f"{label}_{variable}.png", draw_map(chosen, variable), caption


def _diagnostics(hic: HiC) -> Iterator[tuple[str, Figure, str]]:
    """Yield name, figure and caption of what was learned on the way."""
    import numpy as np

    from hifive_dask import plot

    sums, data = hic.distance_sums, hic.data
    yield (
        "reads.png",
        plot.statistics({Path(data.file).name: _reads(data.stats_table())}),
        "What became of the reads, and the distances of the valid ones",
    )
    if sums:
        yield (
            "distance.png",
            plot.decay(
                np.exp(sums["mean_log_distance"]),
                sums["signal"] / sums["possible"],
                hic.distance_parameters,
            ),
            "Reads per possible pair, by distance",
        )
    if data.insert_distribution[:, 0].any():
        inserts = plot.insert_sizes(data.insert_distribution, data.maxinsert)
        yield "insert_sizes.png", inserts, "Distances of both read ends to their cut sites, summed"
    if data.end_distribution[:, :2].any():
        ends = plot.cut_sites(data.end_distribution)
        yield "cut_sites.png", ends, "Where reads begin, relative to the nearest cut site"
    applied = hic.applied_corrections
    if applied is not None:
        yield (
            "corrections.png",
            plot.corrections(applied, hic.filter, unit=hic.units.unit),
            "Corrections",
        )
    if hic.trace is not None:
        figure = plot.trace(hic.trace, last=hic.iterations)
        yield "convergence.png", figure, "Convergence of the corrections"
    if hic.normalization != "none":
        table = hic.unit_table()
        caption = (
            f"Reads per possible partner of every {hic.units.unit}, before and after the correction"
        )
        yield "marginals.png", plot.marginals(table, unit=hic.units.unit), caption
        yield (
            "biases.png",
            plot.biases(table),
            f"The same, against features of the {hic.units.unit}s",
        )
        if applied is not None:
            yield "chromosomes.png", plot.chromosomes(table), "Corrections by chromosome"
