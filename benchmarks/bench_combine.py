"""Replicates added up: input pairs per second and peak memory, by number of pairs.

Baseline: numpy in memory. It reads both stores whole, joins and sorts them, and adds equal pairs
up; it writes nothing.

    python bench_combine.py --pairs 1_000_000 10_000_000
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import dask
import numpy as np
from harness import (
    command,
    fresh,
    growth,
    human_fends,
    memory_store,
    peak_gb,
    random_cis_pairs,
    table,
)

import hifive_dask as hd
from hifive_dask._store.pairs import PairStore, write_pairs
from hifive_dask.provenance import History
from hifive_dask.reads.combine import combine_stores

Figures = dict[str, Any]
REPLICATES = 2


def write_replicates(fends: str, pairs: int, folder: str) -> list[str]:
    """Save replicates that share a part of their pairs; in a process of its own."""
    units = hd.Fend(fends).units
    first, second, count = random_cis_pairs(units, pairs + pairs // 2)
    rng = np.random.default_rng(5)
    paths = []
    for number in range(REPLICATES):
        kept = np.sort(rng.permutation(len(first))[:pairs])
        path = Path(folder) / f"{pairs}-{number}.zarr"
        write_pairs(path, memory_store(units, (first[kept], second[kept], count[kept])), {})
        paths.append(str(path))
    return paths


def combine(fends: str, paths: list[str], target: str, workers: int) -> Figures:
    """Time one sum; call it in a fresh process for its peak memory."""
    partition = hd.Fend(fends).partition
    stores = [PairStore.open(path) for path in paths]
    with dask.config.set(scheduler="threads", num_workers=workers):
        start = time.perf_counter()
        stats = combine_stores(
            target,
            partition,
            stores,
            history=History(),
            call=("benchmark", {}),
            attributes={},
            silent=True,
        )
        seconds = time.perf_counter() - start
    return {
        "reads": stats["total_reads"],
        "pairs": stats["valid_cis_pairs"],
        "seconds": seconds,
        "GB": peak_gb(),
    }


def baseline(paths: list[str]) -> Figures:
    """Time the plain in-memory way."""
    start = time.perf_counter()
    stores = [PairStore.open(path) for path in paths]
    rows = [store.rows_of(0, len(store))() for store in stores]
    first, second, count = (np.concatenate(column) for column in zip(*rows, strict=True))
    code = first.astype(np.int64) << 32 | second  # of cis pairs, this is the order of the store
    order = np.argsort(code, kind="stable")
    code = code[order]
    starts = np.flatnonzero(np.diff(code, prepend=-1))
    total = np.add.reduceat(count[order], starts)
    seconds = time.perf_counter() - start
    reads = int(total.sum(dtype=np.int64))
    return {"reads": reads, "pairs": len(starts), "seconds": seconds, "GB": peak_gb()}


def main(pairs: list[int], workers: list[int], fends: int = 1_600_000) -> list[Figures]:
    """Run all sizes; print a table."""
    rows = []
    with tempfile.TemporaryDirectory(dir=".") as directory:
        where = Path(directory)
        genome = str(where / "fends.zarr")
        human_fends(where / "fends.zarr", fends)
        warm = fresh(write_replicates, genome, 1_000, directory)
        fresh(combine, genome, warm, str(where / "warm.zarr"), 2)
        for n in pairs:
            paths = fresh(write_replicates, genome, n, directory)
            plain = fresh(baseline, paths)
            for count in workers:
                figures = fresh(combine, genome, paths, str(where / f"sum-{n}-{count}.zarr"), count)
                if any(figures[name] != plain[name] for name in ("pairs", "reads")):
                    raise AssertionError(f"the sum has {figures}, that of the baseline {plain}")
                total = REPLICATES * n
                rows.append(
                    {
                        "pairs": total,
                        "threads": count,
                        "s": figures["seconds"],
                        "M pairs/s": total / figures["seconds"] / 1e6,
                        "peak GB": figures["GB"],
                        "baseline s": plain["seconds"],
                        "baseline GB": plain["GB"],
                        "ratio": plain["seconds"] / figures["seconds"],
                    }
                )
    print(table(f"{REPLICATES} replicates added up", rows))
    for count in workers:
        own = [row for row in rows if row["threads"] == count]
        print(growth(f"{count} threads", [r["pairs"] for r in own], [r["s"] for r in own]))
    return rows


if __name__ == "__main__":
    command(main, __doc__, "pairs", [1_000_000, 10_000_000])
