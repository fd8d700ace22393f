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
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

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
    from hifive_dask.plot.style import SUFFIXES, check_writable

    if out.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"{out.name}: the suffix must be one of {', '.join(SUFFIXES)}")
    check_output(out, *inputs)
    check_writable(out)


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

    draw = plot.triangle if triangle else plot.heatmap
    # One read more on both sides keeps cells pale where little is expected.
    return draw(chosen.dataset, variable=variable, title=title or None, pseudocount=1, **style)


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
    """Yield name, figure and caption of the map of the genome and those of the regions.

    What pairs of chromosomes have in common shows in corrected reads, what a chromosome is
    folded to in observed over expected reads, which need the distance.
    """
    from hifive_dask.heatmap.sizes import MOST_DRAWN

    if len(hic.units.chromosomes) <= MOST_DRAWN:
        whole = query_map(hic, "all", None, {"binsize": None, "datatype": "fend"})
        caption = f"Reads corrected for biases, whole genome, bins of {whole.binsize:,} bp"
        yield "genome_corrected.png", draw_map(whole, "enrichment"), caption
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
    from hifive_dask import plot
    from hifive_dask.plot.decay import shown

    data, unit = hic.data, hic.units.unit
    caption = "What became of the read pairs, and the distances of the valid ones"
    yield "reads.png", plot.statistics({"read pairs": _reads(data.stats_table())}), caption
    distance, signal = _decay(hic)
    if shown(distance, signal).any():
        title = f"Reads per possible pair of {unit}s, by distance"
        figure = plot.decay(distance, signal, hic.distance_parameters, title=title)
        yield "distance.png", figure, title
    if data.insert_distribution[:, 0].any():
        title = "Distances of both read ends to their cut sites, summed"
        figure = plot.insert_sizes(data.insert_distribution, data.maxinsert, title=title)
        yield "insert_sizes.png", figure, title
    if data.end_distribution[:, :2].any():
        title = "Where reads begin, relative to the nearest cut site"
        yield "cut_sites.png", plot.cut_sites(data.end_distribution, title=title), title
    applied = hic.applied_corrections
    if applied is not None:
        title = f"Corrections of {unit}s"
        figure = plot.corrections(applied, hic.filter, unit=unit, title=title)
        yield "corrections.png", figure, title
    if hic.trace is not None:
        title = "Convergence of the corrections"
        yield "convergence.png", plot.trace(hic.trace, last=hic.iterations, title=title), title
    if hic.normalization != "none":
        table = hic.unit_table()
        title = "Reads per possible partner, before and after correction"
        yield "marginals.png", plot.marginals(table, unit=unit, title=title), title
        title = f"Reads per possible partner, by features of {unit}s"
        yield "biases.png", plot.biases(table, title=title), title
        if applied is not None:
            title = "Corrections by chromosome"
            figure = plot.chromosomes(table, title=title)
            yield "chromosomes.png", figure, title


def _decay(hic: HiC) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances in bp, and reads per possible pair; empty before they were measured."""
    import numpy as np

    sums = hic.distance_sums
    if not sums:
        return np.empty(0), np.empty(0)
    possible = np.maximum(sums["possible"], 1e-300)  # of a bin without pairs there are no reads
    return np.exp(sums["mean_log_distance"]), sums["signal"] / possible
