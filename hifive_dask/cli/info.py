"""``hifive-dask info``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hifive_dask.cli._command import Command
from hifive_dask.cli._facts import MapFile, facts_of, levels_text, open_any, ratio_text
from hifive_dask.cli._filter import tell_filter
from hifive_dask.cli._reads import short_option, warn_of_misfits
from hifive_dask.cli._settings import Settings, json_option, pass_settings, stats_rows
from hifive_dask.cli._stores import StorePath

if TYPE_CHECKING:
    from hifive_dask import Fend, HiC, HiCData
    from hifive_dask._store.heatmaps import StoredMaps
    from hifive_dask._store.places import Place


@click.command(
    "info",
    cls=Command,
    examples=[
        "hifive-dask info project.zarr",
        "hifive-dask info pairs.zarr --json",
        "hifive-dask info map.mcool::/resolutions/10000",
    ],
)
@click.argument("store", type=StorePath())
@short_option
@json_option
@pass_settings
def command(settings: Settings, /, store: Place, short: int) -> None:
    """Say what STORE holds.

    A partition, pairs, a project or heatmaps, in Zarr, also at a URL, or in HiFive's HDF5 layout; a
    multi-resolution heatmap (.mrh); a cooler (.cool, .mcool, FILE::GROUP).
    """
    from hifive_dask import Fend, HiCData
    from hifive_dask._store.heatmaps import StoredMaps

    found = open_any(store)
    if settings.as_json:
        with settings.session():
            settings.document(lambda: facts_of(found, short))
        return
    if isinstance(found, MapFile):
        _map_file(settings, found)
        return
    if isinstance(found, Fend):
        _fends(settings, found)
    elif isinstance(found, HiCData):
        _pairs(settings, found)
    elif isinstance(found, StoredMaps):
        _heatmaps(settings, found)
    else:
        _project(settings, found)
    settings.say("History\n" + "".join(f"  {line}\n" for line in found.history.splitlines()))


def _map_file(settings: Settings, found: MapFile) -> None:
    """What a file says of itself: single facts as a table, lists of facts as one line each."""
    lists = {name: found.facts[name] for name in ("maps", "coolers") if name in found.facts}
    rows = {
        name.replace("_", " "): ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in found.facts.items()
        if name not in lists
    }
    settings.table(f"{found.kind.capitalize()} {found.file}", rows)
    for name, entries in lists.items():
        head = tuple(entries[0])
        lines = [tuple(str(entry[key]) for key in head) for entry in entries]
        settings.table(name.capitalize(), [head, *lines])


def _fends(settings: Settings, fend: Fend) -> None:
    partition = fend.partition
    rows: dict[str, Any] = {"kind": partition.kind, "genome": fend.genome_name or "-"}
    if fend.re_name:
        rows["enzyme"] = fend.re_name
    if partition.bins is not None:
        rows["bin size, bp"] = partition.binned or "various"
    rows["features"] = ", ".join(partition.units.features) or "-"
    settings.table(f"Partition {fend.file}", rows)
    head = ("chromosome", "fends", "bins", "last position, bp", "length, bp")
    lines: list[tuple[str, ...]] = [head]
    for c, name in enumerate(partition.chromosomes):
        numbers = ["-", "-"]
        for k, units in enumerate((partition.fends, partition.bins)):
            if units is not None:
                numbers[k] = f"{units.offset[c + 1] - units.offset[c]:,}"
        length = 0 if partition.lengths is None else partition.lengths[c]
        ends = f"{partition.units.lengths[c]:,}", f"{length:,}" if length else "-"
        lines.append((name, *numbers, *ends))
    settings.table("Chromosomes", lines)


def _pairs(settings: Settings, data: HiCData) -> None:
    from hifive_dask.reads.sites import look_at_sites

    settings.table(
        f"Pairs {data.file}",
        {
            "pairs": len(data.store),
            "blocks of chromosomes": len(data.store.blocks),
            "largest insert, bp": _limit(data),
            "partition": data.fends.file,
        },
    )
    settings.table("Read pairs", stats_rows(data.stats))
    sites = look_at_sites(data.end_distribution)
    if sites is not None:
        settings.say(f"Cut sites: {sites.text}.\n")
    warn_of_misfits(data)


def _limit(data: HiCData) -> str:
    limits = data.store.attributes.get("maxinsert")
    limits = limits if isinstance(limits, list) else [limits]
    return "; ".join("no filter" if limit is None else f"{limit:,}" for limit in limits)


def _project(settings: Settings, hic: HiC) -> None:
    distance = hic.distance_parameters
    settings.table(
        f"Project {hic.file}",
        {
            f"{hic.units.unit}s in use": int(hic.filter.sum()),
            "of": len(hic.filter),
            "distance bins": "-" if distance is None else len(distance),
            "normalization": hic.normalization,
            "converged": "-" if hic.converged is None else "yes" if hic.converged else "no",
            "iterations": "-" if hic.iterations is None else hic.iterations,
            "last change": "-" if hic.trace is None else f"{hic.trace[-1, 1]:.2g}",
            "observed over expected": ratio_text(hic),
            "pairs": hic.data.file,
            "partition": hic.fends.file,
        },
    )
    off = levels_text(hic)
    if off:
        settings.say(f"Warning: {off}.\n")
    tell_filter(settings, hic)
    settings.table("Read pairs", stats_rows(hic.data.stats))


def _heatmaps(settings: Settings, maps: StoredMaps) -> None:
    settings.table(
        f"Heatmaps {maps.file}",
        {
            "datatype": maps.attributes["datatype"],
            "largest distance, bp": maps.attributes["maxdistance"] or "no limit",
            "chromosomes": len(maps.chromosomes),
            "made of": maps.attributes["source"] or "-",
        },
    )
    lines: list[tuple[str, ...]] = [("bin size, bp", "bins", "pairs of chromosomes")]
    for level in maps.levels:
        lines.append((f"{level.binsize:,}", f"{len(level):,}", "yes" if level.trans else "no"))
    settings.table("Maps", lines)
