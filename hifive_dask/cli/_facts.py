"""What a store holds, as plain values for JSON; the keys are those of docs/statistics.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hifive_dask import Fend, HiC, HiCData
    from hifive_dask._store.heatmaps import StoredMaps

__all__ = ["facts_of"]


def facts_of(store: Fend | HiCData | HiC | StoredMaps, short: int) -> dict[str, Any]:
    """Describe a store; `short` is the limit between short and long cis reads, in bp."""
    from hifive_dask import Fend, HiCData, __version__
    from hifive_dask._store.heatmaps import StoredMaps

    if isinstance(store, Fend):
        kind, facts = "fends", _of_fends(store)
    elif isinstance(store, HiCData):
        kind, facts = "pairs", {"token": store.token, **_of_pairs(store, short)}
    elif isinstance(store, StoredMaps):
        kind, facts = "heatmaps", _of_heatmaps(store)
    else:
        kind, facts = "project", _of_project(store, short)
    head = {"type": kind, "file": store.file, "version": __version__}
    return {**head, **facts, "history": store.records.records}


def _of_fends(fend: Fend) -> dict[str, Any]:
    partition = fend.partition
    chromosomes = []
    for c, name in enumerate(partition.chromosomes):
        counts = {
            part: None if units is None else int(units.offset[c + 1] - units.offset[c])
            for part, units in (("fends", partition.fends), ("bins", partition.bins))
        }
        stop = partition.units.stop[partition.units.span(c)]
        chromosomes.append({"name": name, **counts, "last_position": int(stop.max(initial=0))})
    return {
        "token": fend.token,
        "kind": partition.kind,
        "genome": partition.genome_name,
        "enzyme": partition.re_name,
        "binned": partition.binned,
        "fends": None if partition.fends is None else len(partition.fends),
        "bins": None if partition.bins is None else len(partition.bins),
        "features": list(partition.units.features),
        "chromosomes": chromosomes,
    }


def _of_pairs(data: HiCData, short: int) -> dict[str, Any]:
    return {
        "partition": {"file": data.fends.file, "token": data.fends.token},
        "kind": data.fends.partition.kind,
        "pairs": len(data.store),
        "blocks": len(data.store.blocks),
        "maxinsert": data.store.attributes.get("maxinsert"),
        "sources": list(data.store.attributes.get("sources") or ()),
        "statistics": dict(data.stats),
        "distance_classes": {"short": short, **data.distance_classes(short)},
    }


def _of_project(hic: HiC, short: int) -> dict[str, Any]:
    segments = hic.distance_parameters
    return {
        "units": len(hic.filter),
        "units_in_use": int((hic.filter > 0).sum()),
        "normalization": hic.normalization,
        "distance_segments": None if segments is None else len(segments),
        "iterations": None if hic.trace is None else len(hic.trace),
        "last_change": None if hic.trace is None else float(hic.trace[-1, 1]),
        "pairs": {"file": hic.data.file, "token": hic.data.token, **_of_pairs(hic.data, short)},
    }


def _of_heatmaps(maps: StoredMaps) -> dict[str, Any]:
    return {
        "token": maps.token,
        **{name: maps.attributes[name] for name in ("datatype", "maxdistance", "source")},
        "chromosomes": list(maps.chromosomes),
        "levels": [
            {"binsize": level.binsize, "bins": len(level), "trans": level.trans}
            for level in maps.levels
        ],
    }
