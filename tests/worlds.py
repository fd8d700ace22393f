"""Small worlds that can be checked by hand, and plain oracles of reading and counting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hifive_dask import HiC
from hifive_dask._store.pairs import PairStore
from hifive_dask.genome.partition import Partition, Units
from hifive_dask.heatmap import query
from hifive_dask.heatmap.recipe import Recipe
from hifive_dask.testing import toy_project

G1 = {"chr1": [1000, 2000, 3000, 4000], "chr2": [500, 1500, 2500]}
G2 = {**G1, "chr3": [100, 1100, 2100]}

RECIPE = {each.name for each in fields(Recipe)}

Read = tuple[str, int, str, str, int, str]


def units(intervals: Mapping[str, Sequence[tuple[int, int]]], *, fends: bool) -> Units:
    """Units of given intervals per chromosome."""
    flat = [pair for name in intervals for pair in intervals[name]]
    start, stop = (np.array([pair[k] for pair in flat], dtype=np.int64) for k in (0, 1))
    offset = np.r_[0, np.cumsum([len(intervals[name]) for name in intervals])].astype(np.int64)
    return Units(
        tuple(intervals),
        offset,
        start.astype(np.int32),
        stop.astype(np.int32),
        ((start + stop) // 2).astype(np.int32),
        fends,
    )


def halves(cuts: Sequence[int]) -> list[tuple[int, int]]:
    """Fends of consecutive cut sites."""
    return [half for a, b in pairwise(cuts) for half in ((a, (a + b) // 2), ((a + b) // 2, b))]


def fend_partition(cuts: Mapping[str, Sequence[int]], binned: int | None = None) -> Partition:
    """Partition of cut sites, with bins if asked for."""
    fends = units({name: halves(cuts[name]) for name in cuts}, fends=True)
    if binned is None:
        return Partition(fends, None, None)
    bins = {}
    for c, name in enumerate(cuts):
        mid = fends.mid[fends.span(c)]
        edges = range(mid[0] // binned * binned, (mid[-1] // binned + 1) * binned, binned)
        bins[name] = [(int(s), int(s) + binned) for s in edges]
    return Partition(fends, units(bins, fends=False), binned)


def bin_partition(lengths: Mapping[str, int], binned: int) -> Partition:
    """Partition into bins of one size."""
    bins = {
        name: [(s, s + binned) for s in range(0, length, binned)]
        for name, length in lengths.items()
    }
    return Partition(None, units(bins, fends=False), binned)


def lines(reads: Iterable[Read]) -> str:
    """Raw text of reads."""
    return "".join("\t".join(map(str, read)) + "\n" for read in reads)


def parse(text: str) -> list[Read]:
    """Reads from the notation of the specification: ``chr1 1100 - / chr2 600 -, ...``."""
    reads: list[Read] = []
    for pair in text.replace("\n", " ").split(","):
        (c1, p1, s1), (c2, p2, s2) = (end.split() for end in pair.split("/"))
        reads.append((c1, int(p1), s1, c2, int(p2), s2))
    return reads


def files_of(store: Path) -> dict[str, bytes]:
    """All that a store on disk is made of."""
    return {str(p.relative_to(store)): p.read_bytes() for p in store.rglob("*") if p.is_file()}


def write_reads(path: Path, reads: Iterable[Read]) -> Path:
    """Write raw text."""
    path.write_text(lines(reads))
    return path


def count_reads(
    partition: Partition,
    files: Sequence[Sequence[Read]],
    maxinsert: int | None,
    *,
    dedup: str = "library",
    base: int = 1,
) -> tuple[dict[tuple[int, int], int], Counter[str], Counter[int]]:
    """Plain oracle: pairs of units with reads, statistics, insert sizes."""
    stats: Counter[str] = Counter()
    inserts: Counter[int] = Counter()
    names = partition.chromosomes
    kept: list[tuple[tuple[int, int, int], tuple[int, int, int], int]] = []
    seen: Counter[object] = Counter()
    for number, reads in enumerate(files):
        for c1, p1, s1, c2, p2, s2 in reads:
            stats["total_reads"] += 1
            if c1 not in names or c2 not in names:
                stats["chr_not_in_fends"] += 1
                continue
            one = (names.index(c1), p1 + 1 - base, int(s1 == "-"))
            two = (names.index(c2), p2 + 1 - base, int(s2 == "-"))
            one, two = sorted([one, two])
            key = (one, two) if dedup == "library" else (number, one, two)
            if seen[key]:
                stats["pcr_duplicates"] += 1
            seen[key] += 1
    for key, times in seen.items():
        one, two = key[-2:]  # type: ignore[index]
        kept.append((one, two, times if dedup == "none" else 1))
    pairs: Counter[tuple[int, int]] = Counter()
    for one, two, weight in kept:
        found = [_find(partition, end) for end in (one, two)]
        if None in found:
            stats["out_of_bounds"] += weight
            continue
        (a, d1), (b, d2) = found  # type: ignore[misc]
        cis = one[0] == two[0]
        if partition.fends is not None:
            inserts[d1 + d2] += 1
            if maxinsert is not None and d1 + d2 > maxinsert:
                stats["insert_size"] += weight
                continue
            if cis and a // 2 == b // 2:
                stats["same_fragment"] += weight
                continue
            if cis and abs(a // 2 - b // 2) == 1 and a % 2 != b % 2:
                stats["failed_cut"] += weight
                continue
        elif cis and maxinsert is not None and one[2] != two[2] and two[1] - one[1] <= maxinsert:
            stats["insert_size"] += weight
            continue
        stats["valid_cis_reads" if cis else "valid_trans_reads"] += weight
        pairs[a, b] += weight
    chromosome = (partition.fends or partition.units).chromosome
    for a, b in pairs:
        stats[f"valid_{'cis' if chromosome[a] == chromosome[b] else 'trans'}_pairs"] += 1
    if partition.fends is not None and partition.bins is not None:
        binned: Counter[tuple[int, int]] = Counter()
        for (a, b), n in pairs.items():
            binned[int(partition.fend_bin[a]), int(partition.fend_bin[b])] += n
        pairs = binned
    return dict(sorted(pairs.items())), stats, inserts


def _find(partition: Partition, end: tuple[int, int, int]) -> tuple[int, int] | None:
    chromosome, position, minus = end
    if partition.fends is not None:
        fends = partition.fends
        span = fends.span(chromosome)
        for left in range(span.start, span.stop, 2):
            start, stop = int(fends.start[left]), int(fends.stop[left + 1])
            if start < position <= stop:
                return (left, position - start) if minus else (left + 1, stop - position)
        return None
    bins = partition.units
    for k in range(*bins.span(chromosome).indices(len(bins))):
        if bins.start[k] < position <= bins.stop[k]:
            return k, 0
    return None


def heatmap(units: Units, store: PairStore, valid: NDArray[np.int32], **options: Any) -> xr.Dataset:
    """A lazy heatmap; the options are those of the recipe and of the query."""
    recipe = {name: options.pop(name) for name in RECIPE & set(options)}
    return query.heatmap(Recipe(units, store, valid, **recipe), **options)


def learned_toy(folder: Path, mininteractions: int) -> HiC:
    """The toy project, filtered, with its distance dependence and Express corrections."""
    hic = HiC(toy_project(folder), silent=True)
    hic.filter_fends(mininteractions=mininteractions)
    hic.find_distance_parameters(numbins=20, minsize=2000)
    hic.find_express_fend_corrections()
    return hic
