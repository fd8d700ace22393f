"""Pictures of a report, as SVG, and what is on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from hifive_dask import plot
from hifive_dask._graph.run import run
from hifive_dask.errors import ParameterError, RegionError
from hifive_dask.heatmap.query import Datatype
from hifive_dask.heatmap.sizes import MOST_DRAWN, best_datatype, choose_binsize
from hifive_dask.hic import HiC
from hifive_dask.model.diagnostics import varying
from hifive_dask.plot.decay import shown
from hifive_dask.plot.heatmap import Variable
from hifive_dask.plot.style import length_text, new_axes
from hifive_dask.plot.vector import to_svg
from hifive_dask.regions import parse_region
from hifive_dask.report.coverage import partners_of
from hifive_dask.report.measure import Findings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Map", "Picture", "compute_maps", "draw", "maps_numbers", "plan_maps"]

_BINS = 400  # most bins along a map whose bin size was not given
_MOST = 1000  # most bins along any map
_LABELS, _NARROW = 80, 30  # most boxes side by side, in a picture at all and in a small one
_FEATURES = {"length": "length", "gc": "GC content"}


class Picture(NamedTuple):
    """Where a picture belongs, its name, the ``svg`` element, and the text below it.

    A wide one takes the place of two.
    """

    section: str
    name: str
    svg: str
    caption: str
    wide: bool


class Map(NamedTuple):
    """A map, lazy or computed, and how it was asked for; no region is the genome."""

    dataset: xr.Dataset
    region: str | None
    binsize: int
    datatype: Datatype


# Maps


def plan_maps(hic: HiC, regions: Sequence[str] | None, binsize: int | None) -> list[Map]:
    """Lazy maps of the genome, and of regions: by default of the longest chromosome.

    Raises
    ------
    RegionError
        If there is no map of a region.
    ParameterError
        If a map would have more than 1000 bins along a side.
    """
    corrected = hic.normalization != "none"
    chosen = list(regions or [hic.units.longest])
    maps = []
    if len(hic.units.chromosomes) <= MOST_DRAWN:
        maps.append(_map(hic, None, None, "fend" if corrected else "raw"))
    best = best_datatype(distance=hic.distance_parameters is not None, corrections=corrected)
    for region in chosen:
        try:
            maps.append(_map(hic, region, binsize, best))
        except RegionError as error:
            raise RegionError(f"region {region}: {error}") from error
    return maps


def _map(hic: HiC, region: str | None, binsize: int | None, datatype: Datatype) -> Map:
    reads = int(hic.data.stats["valid_cis_reads"])
    size = binsize or choose_binsize(hic.units, region, _BINS, cis_reads=reads)
    dataset = hic.heatmap(region, binsize=size, datatype=datatype)
    bins = dataset.sizes["bin1"]
    if bins > _MOST:
        raise ParameterError(
            f"a map of {region or 'the genome'} has {bins:,} bins of {size:,} bp, expected up to "
            f"{_MOST:,}; choose a larger binsize, or a part of it"
        )
    name = None if region is None else str(parse_region(region, hic.units.chromosomes))
    return Map(dataset, name, size, datatype)


def compute_maps(maps: Sequence[Map], *, silent: bool) -> list[Map]:
    """Compute reads, and those that are expected."""
    lazy = [each.dataset[["observed", "expected"]] for each in maps]
    computed = run(lazy, title="computing maps", silent=silent)
    return [each._replace(dataset=found) for each, found in zip(maps, computed, strict=True)]


def maps_numbers(maps: Sequence[Map]) -> list[dict[str, Any]]:
    """How maps were asked for, and the sums of their cells."""
    return [
        {
            "region": each.region,
            "binsize": each.binsize,
            "datatype": each.datatype,
            "bins": each.dataset.sizes["bin1"],
            **{
                name: float(each.dataset[name].sum(dtype=np.float64))
                for name in ("observed", "expected")
            },
        }
        for each in maps
    ]


def _maps(maps: Sequence[Map]) -> Iterator[Picture]:
    for k, each in enumerate(maps):
        where = "the whole genome" if each.region is None else each.region
        bins = f"bins of {length_text(each.binsize)}"
        variables: dict[Variable, str] = {
            "observed": "Observed reads",
            "enrichment": _RATIOS[each.datatype],
        }
        for variable, words in variables.items():
            figure, axes = new_axes(5.2, 4.4)
            # One read more on both sides keeps cells pale where little is expected.
            plot.heatmap(each.dataset, variable=variable, pseudocount=1, title="", ax=axes)
            yield _picture("maps", f"map-{k}-{variable}", figure, f"{words}, {where}, {bins}.")


_RATIOS = {
    "raw": "Reads per possible pair",
    "fend": "Reads over those expected by the corrections, not by distance",
    "distance": "Observed over expected reads, expected by distance alone",
    "enrichment": "Observed over expected reads, expected by distance and corrections",
}


# Everything


def draw(hic: HiC, findings: Findings, maps: Sequence[Map]) -> list[Picture]:
    """Draw all pictures that there are numbers for; the maps are computed."""
    return [*_measured(hic, findings), *_learned(hic, findings), *_maps(maps)]


def _picture(
    section: str, name: str, figure: Figure, caption: str, *, wide: bool = False
) -> Picture:
    return Picture(section, name, to_svg(figure, name, label=caption), caption, wide)


def _measured(hic: HiC, findings: Findings) -> Iterator[Picture]:
    numbers, unit = findings.numbers, hic.units.unit
    inserts, decay, found = numbers["inserts"], numbers["decay"], numbers["filter"]
    if inserts is not None:
        figure = plot.insert_sizes(hic.data.insert_distribution, hic.data.maxinsert)
        yield _picture(
            "inserts", "inserts", figure,
            "Distinct read pairs by the sum of the distances of both ends to their cut sites"
            + (", grey: rejected." if inserts["share_up_to"] is not None else "."),
        )  # fmt: skip
    if numbers["cut_sites"] is not None:
        yield _picture(
            "sites", "sites", plot.cut_sites(hic.data.end_distribution),
            "5' ends of distinct read pairs by their place relative to the nearest cut: next to "
            "it, and up to 300 bp from it.",
        )  # fmt: skip
    if decay is not None and shown(*map(np.asarray, (decay["distance"], decay["signal"]))).any():
        figure = plot.decay(
            decay["distance"],
            decay["signal"],
            hic.distance_parameters if decay["learned"] else None,
        )
        yield _picture(
            "decay", "decay", figure,
            f"Reads per possible pair of {unit}s in use, by distance within chromosomes.",
        )  # fmt: skip
    kind = found["usereads"]
    what = "partners" if kind == "all" else f"{kind} partners"
    figure = plot.coverage(
        partners_of(findings.counted, kind),
        hic.filter,
        found["mininteractions"],
        what=what,
        unit=unit,
    )
    line = "; the line is what the filter asks for" if found["mininteractions"] else ""
    yield _picture("filter", "partners", figure, f"Distinct {what} of all {unit}s{line}.")
    reads = findings.counted.cis_reads + findings.counted.trans_reads
    figure = plot.coverage(reads, hic.filter, what="reads", unit=unit)
    yield _picture("filter", "coverage", figure, f"Reads of all {unit}s, cis and trans.")


def _learned(hic: HiC, findings: Findings) -> Iterator[Picture]:
    numbers, table, unit = findings.numbers, findings.table, hic.units.unit
    convergence = numbers["convergence"]
    if convergence is None:
        return
    if table is not None:
        yield _picture(
            "corrections", "marginals", plot.marginals(table, unit=unit),
            f"Cis reads of {unit}s over those expected of them, before and after the corrections; "
            "where these explain all differences they leave a single bar at 0.",
        )  # fmt: skip
        for k, name in enumerate([*varying(table), "coverage"]):
            words = "reads before" if name == "coverage" else _FEATURES.get(name, name)
            yield _picture(
                "biases", f"bias-{k}", plot.biases(table, [name]),
                f"The same against {words}: mean of groups of equal size, and middle half.",
            )  # fmt: skip
    applied = hic.applied_corrections
    if applied is not None and (applied[hic.filter > 0] > 0).any():
        values = plot.corrections(applied, hic.filter, unit=unit)
        yield _picture("corrections", "corrections", values, f"Corrections of {unit}s in use.")
    if hic.trace is not None and len(hic.trace):
        figure = plot.trace(hic.trace, convergence["limit"], last=hic.iterations)
        yield _picture(
            "corrections",
            "trace",
            figure,
            f"{convergence['method']}: cost and change by iteration.",
        )
    if applied is not None and table is not None:
        yield from _by_chromosome(table)


def _by_chromosome(table: pd.DataFrame) -> Iterator[Picture]:
    """Corrections by chromosome, unless there are too many for a picture."""
    boxes = table["chromosome"].nunique()
    if boxes > _LABELS:
        return
    wide = boxes > _NARROW
    figure, axes = new_axes(9.8 if wide else 4.8, 3.2)
    plot.chromosomes(table, ax=axes)
    caption = "Corrections by chromosome: median, middle half, 5th to 95th percentile."
    yield _picture("corrections", "chromosomes", figure, caption, wide=wide)
