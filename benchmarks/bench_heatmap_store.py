"""Heatmap stores: seconds, memory and bytes of writing, seconds of asking, by Mb of the genome.

The map of the whole genome at 1 Mb and 100 kb, and within chromosomes at 10 kb; then windows of
10 Mb at 10 kb. Baseline of a window: the same one computed from the pairs.

    python bench_heatmap_store.py --mb 300 1000
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import dask
import numpy as np
from bench_heatmap import random_pairs
from harness import HUMAN, best, command, fresh, growth, peak_gb, table

import hifive_dask as hd
from hifive_dask._store.pairs import PairStore, write_pairs
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.query import heatmap
from hifive_dask.heatmap.recipe import Recipe
from hifive_dask.heatmap.store import write_store

Figures = dict[str, Any]
SIZES = [10_000, 100_000, 1_000_000]
WINDOW = 10_000_000  # bp
PER_MB = 270  # fends


def genome(mb: int) -> Units:
    """Chromosomes with the shares of the human ones, cut at random sites."""
    rng = np.random.default_rng(1)
    total = sum(HUMAN.values())
    cuts = []
    for share in HUMAN.values():
        bp = int(share / total * mb * 1e6)
        sites = np.unique(rng.integers(1, bp, max(8, PER_MB * bp // 1_000_000)))
        cuts.append(sites[: (len(sites) - 1) // 2 * 2 + 1])  # an even number of fends
    start = np.concatenate([each[:-1] for each in cuts]).astype(np.int32)
    stop = np.concatenate([each[1:] for each in cuts]).astype(np.int32)
    offset = np.r_[0, np.cumsum([len(each) - 1 for each in cuts])].astype(np.int64)
    return Units(tuple(HUMAN), offset, start, stop, (start + stop) // 2, True)


def recipe(mb: int, pairs: str) -> Recipe:
    """Corrections, a distance dependence and means, all random."""
    units = genome(mb)
    rng = np.random.default_rng(5)
    return Recipe(
        units,
        PairStore.open(pairs),
        np.ones(len(units), dtype=np.int32),
        "enrichment",
        np.exp(rng.normal(0, 0.4, len(units))).astype(np.float32),
        None,
        np.array([[11, -0.8, 5], [14, -1.1, 8.3], [np.inf, -1.4, 12.5]], np.float32),
        rng.normal(0, 0.1, len(units.chromosomes)).astype(np.float32),
    )


def writing(mb: int, pairs: str, path: str, workers: int) -> Figures:
    """Write a store, in a fresh process."""
    what = recipe(mb, pairs)
    with dask.config.set(scheduler="threads", num_workers=workers):
        heatmap(what, region="chr21", binsize=1_000_000).compute()  # compiles
        start, cpu = time.perf_counter(), time.process_time()
        write_store(path, what, SIZES, trans_minbinsize=100_000, silent=True)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    files = [each for each in Path(path).rglob("*") if each.is_file()]
    return {
        "write s": seconds,
        "CPU s": cpu,
        "peak GB": peak_gb(),
        "files": len(files),
        "GB": sum(each.stat().st_size for each in files) / 1e9,
    }


def asking(mb: int, pairs: str, path: str, workers: int) -> Figures:
    """Ask for windows, in a fresh process: the first one with opening, another one again."""
    first, second = (("chr1", start, start + WINDOW) for start in (0, 500_000))

    def ask(maps: Any, region: Any) -> Any:
        return maps.hic.region(region, binsize=SIZES[0]).compute()

    with dask.config.set(scheduler="threads", num_workers=workers):
        start = time.perf_counter()
        maps = hd.open_heatmaps(path)
        opened = time.perf_counter() - start
        ask(maps, first)
        cold = time.perf_counter() - start
        warm, found = best(lambda: ask(maps, second), 5)
        cpu = time.process_time()
        ask(maps, second)
        cpu = time.process_time() - cpu
        (lazy,) = dask.optimize(maps.hic.region(second, binsize=SIZES[0]))
        what = recipe(mb, pairs)
        computed, wanted = best(lambda: heatmap(what, region=second, binsize=SIZES[0]).compute(), 2)
    wanted = wanted.sel(bin1=found["bin1"], bin2=found["bin2"])
    if not np.array_equal(found["observed"], wanted["observed"]):
        raise ArithmeticError("a window differs from its baseline")
    return {
        "open ms": 1e3 * opened,
        "first window ms": 1e3 * cold,
        "next ms": 1e3 * warm,
        "CPU ms": 1e3 * cpu,
        "tasks": len(dict(lazy.__dask_graph__())),
        "computed ms": 1e3 * computed,
    }


def main(sizes: list[int], threads: list[int], pairs_per_mb: int = 4_000) -> list[Figures]:
    """Run all sizes; print a table."""
    rows = []
    with tempfile.TemporaryDirectory(dir=".") as directory:
        for mb in sizes:
            pairs = Path(directory) / f"{mb}.zarr"
            write_pairs(pairs, random_pairs(genome(mb), pairs_per_mb * mb), {})
            for count in threads:
                path = Path(directory) / f"maps{count}.zarr"
                row: Figures = {"Mb": mb, "threads": count}
                row |= fresh(writing, mb, str(pairs), str(path), count)
                rows.append(row | fresh(asking, mb, str(pairs), str(path), count))
    print(table("Heatmap stores", rows))
    for count in threads:
        own = [row for row in rows if row["threads"] == count]
        print(
            growth(f"writing, {count} threads", [r["Mb"] for r in own], [r["write s"] for r in own])
        )
    return rows


if __name__ == "__main__":
    command(main, __doc__, "mb", [300, 1000])
