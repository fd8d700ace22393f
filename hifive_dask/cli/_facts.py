"""What a file holds, as plain values for JSON; the keys are those of docs/statistics.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hifive_dask.cli._stores import HEATMAP, HEATMAPS
from hifive_dask.errors import HifiveDaskError, StoreError, level_cure

if TYPE_CHECKING:
    from hifive_dask import Fend, HiC, HiCData
    from hifive_dask._store.heatmaps import StoredMaps
    from hifive_dask._store.places import Place

__all__ = [
    "SHORT",
    "MapFile",
    "chromosomes_of",
    "facts_of",
    "learned_text",
    "levels_text",
    "open_any",
    "ratio_text",
]

SHORT = 20_000  # bp: limit between short and long cis reads


@dataclass(frozen=True)
class MapFile:
    """A file of maps that is no store of heatmaps: what it says of itself."""

    kind: str
    file: str
    facts: Mapping[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)


def open_any(path: Place) -> Fend | HiCData | HiC | StoredMaps | MapFile:
    """Open whatever this package reads or writes, but for reads.

    Raises
    ------
    StoreError
        If it is nothing of that, or damaged.
    """
    from hifive_dask import Fend, HiC, HiCData
    from hifive_dask._store.heatmaps import StoredMaps
    from hifive_dask._store.kinds import describe_held, kind_of
    from hifive_dask._store.zarr_store import HDF5_SUFFIXES
    from hifive_dask.genome.cool import COOL_SUFFIXES, holds_coolers

    suffix = path.suffix
    if suffix == ".mrh":
        return _mrh(path)
    if holds_coolers(str(path)):
        return _coolers(path)
    if suffix != ".zarr" and suffix not in HDF5_SUFFIXES:
        known = ", ".join([".zarr", *HDF5_SUFFIXES, ".mrh", *COOL_SUFFIXES])
        raise StoreError(
            f"{path}: nothing that is known here has the suffix {suffix!r}; expected one of "
            f"{known} (`hifive-dask pairs` counts files of reads)"
        )
    kind = kind_of(path)
    if kind == "fends":
        return Fend(path, "r", silent=True)
    if kind == "pairs":
        return HiCData(path, "r", silent=True)
    if kind == "project":
        return HiC(path, "r", silent=True)
    if kind == HEATMAPS:
        return StoredMaps.open(path)
    if kind == HEATMAP:
        return _map(path) if path.suffix == ".zarr" else _hifive_maps(path)
    raise StoreError(
        f"{path}: {describe_held(path)}; expected a partition, pairs, a project or heatmaps"
    )


def chromosomes_of(path: Place) -> list[str]:
    """Names of the chromosomes of a file, for a shell; none if it cannot be read."""
    from hifive_dask import Fend
    from hifive_dask._store.heatmaps import StoredMaps

    try:
        found = open_any(path)
        if isinstance(found, StoredMaps):
            return list(found.chromosomes)
        if isinstance(found, MapFile):
            return list(found.facts.get("chromosomes", ()))
        return list((found if isinstance(found, Fend) else found.fends).units.chromosomes)
    except (HifiveDaskError, OSError):
        return []


def facts_of(
    store: Fend | HiCData | HiC | StoredMaps | MapFile, short: int = SHORT
) -> dict[str, Any]:
    """Describe a file; `short` is the limit between short and long cis reads, in bp."""
    from hifive_dask import Fend, HiCData, __version__
    from hifive_dask._store.heatmaps import StoredMaps

    if isinstance(store, MapFile):
        head = {"type": store.kind, "file": store.file, "version": __version__}
        return {**head, **store.facts, "history": store.history}
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


def learned_text(hic: HiC) -> str:
    """How the corrections were learned, and how that ended: a part of a sentence."""
    ends = {True: "converged", False: "not converged", None: "nothing tells whether it converged"}
    text = f"{hic.method}: {ends[hic.converged]}"
    if hic.iterations is not None:
        text += f" after {hic.iterations:,} iterations"
    if hic.trace is not None and len(hic.trace):
        text += f", last change {hic.trace[-1, 1]:.2g}"
    return text


def _of_fends(fend: Fend) -> dict[str, Any]:
    partition = fend.partition
    chromosomes = []
    for c, name in enumerate(partition.chromosomes):
        counts = {
            part: None if units is None else int(units.offset[c + 1] - units.offset[c])
            for part, units in (("fends", partition.fends), ("bins", partition.bins))
        }
        last = int(partition.units.lengths[c])
        length = 0 if partition.lengths is None else int(partition.lengths[c])
        own = {"name": name, **counts, "last_position": last, "length": length or None}
        chromosomes.append(own)
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
    from hifive_dask.reads.sites import site_numbers

    return {
        "partition": {"file": data.fends.file, "token": data.fends.token},
        "kind": data.fends.partition.kind,
        "pairs": len(data.store),
        "blocks": len(data.store.blocks),
        "maxinsert": data.store.attributes.get("maxinsert"),
        "sources": list(data.store.attributes.get("sources") or ()),
        "statistics": dict(data.stats),
        "distance_classes": {"short": short, **data.distance_classes(short)},
        "cut_sites": site_numbers(data.end_distribution),
    }


def _of_project(hic: HiC, short: int) -> dict[str, Any]:
    from hifive_dask.model.filter_result import FilterResult

    segments, found = hic.distance_parameters, FilterResult.last_of(hic.records)
    return {
        "units": len(hic.filter),
        "units_in_use": int((hic.filter > 0).sum()),
        "filter": None if found is None else found.as_record(),
        "normalization": hic.normalization,
        "method": hic.method,
        "distance_segments": None if segments is None else len(segments),
        "calibrated": hic.calibrated,
        "chromosome_reads": _chromosome_reads(hic),
        "converged": hic.converged,
        "iterations": hic.iterations,
        "last_change": None if hic.trace is None else float(hic.trace[-1, 1]),
        "pairs": {"file": hic.data.file, "token": hic.data.token, **_of_pairs(hic.data, short)},
    }


def _chromosome_reads(hic: HiC) -> list[dict[str, Any]] | None:
    """Cis reads of every chromosome, and those that maps expect; None if that is not known."""
    if hic.observed_reads is None or hic.expected_reads is None:
        return None
    columns = hic.units.chromosomes, hic.observed_reads.tolist(), hic.expected_reads.tolist()
    return [
        {"name": name, "observed": observed, "expected": expected}
        for name, observed, expected in zip(*columns, strict=True)
    ]


def levels_text(hic: HiC) -> str:
    """Say which levels are off, and the cure; empty if none is, or nothing is known."""
    from hifive_dask.model.levels import Totals, off_text

    if hic.observed_reads is None or hic.expected_reads is None:
        return ""
    text = off_text(hic.units, Totals(hic.observed_reads, hic.expected_reads))
    return text and f"{text}; {level_cure(joint=hic.fitted_jointly, command=True)}"


def ratio_text(hic: HiC) -> str:
    """Cis reads over those that maps expect: of all chromosomes, and the range of them."""
    if hic.observed_reads is None or hic.expected_reads is None:
        return "-"
    used = (hic.observed_reads > 0) & (hic.expected_reads > 0)
    observed, expected = hic.observed_reads[used], hic.expected_reads[used]
    if not len(observed):
        return "-"
    ratio = observed / expected
    whole = observed.sum() / expected.sum()
    return f"{whole:.3f} ({ratio.min():.3f} to {ratio.max():.3f} by chromosome)"


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


# Files of maps


def _map(path: Place) -> MapFile:
    from hifive_dask._store.places import absolute
    from hifive_dask._store.zarr_store import open_group

    group = open_group(path)
    facts = {
        name: group.attrs.get(name)
        for name in ("region", "region2", "binsize", "datatype", "maxdistance")
    }
    return MapFile("heatmap", absolute(path), facts)


def _hifive_maps(path: Place) -> MapFile:
    from hifive_dask import open_heatmaps
    from hifive_dask._store.places import absolute

    tree = open_heatmaps(path)
    facts = {
        "binsize": tree.attrs["resolution"],
        "diagonal": tree.attrs["diagonal"],
        "chromosomes": list(tree.attrs["chromosomes"]),
        "maps": [
            {"name": name, "bins": [node.sizes["bin1"], node.sizes["bin2"]]}
            for name, node in tree.children.items()
        ],
    }
    return MapFile("heatmap", absolute(path), facts, [{"text": tree.attrs["history"]}])


def _mrh(path: Place) -> MapFile:
    from hifive_dask import open_mrh
    from hifive_dask._store.places import local

    mrh = open_mrh(local(path))
    facts = {
        "chromosomes": list(mrh.chromosomes),
        "minobservations": mrh.minobservations,
        "resolutions": list(mrh.resolutions()),
        "trans_resolutions": (
            [] if mrh.header.trans is None else list(mrh.resolutions(trans=True))
        ),
        "scores": int(mrh.summary()["scores"].sum()),
    }
    return MapFile("mrh", mrh.path, facts)


def _coolers(path: Place) -> MapFile:
    from hifive_dask._store.places import absolute
    from hifive_dask.genome.cool import (
        bin_size,
        list_coolers,
        number_of_bins,
        number_of_pixels,
        open_cooler,
        weight_columns,
    )

    coolers = [open_cooler(uri) for uri in list_coolers(str(path))]
    facts = {
        "genome": coolers[0].info.get("genome-assembly", ""),
        "chromosomes": [str(name) for name in coolers[0].chromnames],
        "coolers": [
            {
                "address": cooler.uri,
                "binsize": bin_size(cooler) or None,
                "bins": number_of_bins(cooler),
                "cells": number_of_pixels(cooler),
                "weights": "weight" in weight_columns(cooler),
            }
            for cooler in coolers
        ],
    }
    return MapFile("cooler", absolute(path), facts)
