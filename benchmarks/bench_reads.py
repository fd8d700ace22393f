"""Reads to pair store: read pairs per second and peak memory, by number of pairs.

Baseline: one process that reads the file whole with pandas, sorts and counts with numpy in memory,
and writes nothing; no statistics, no filters.

    python bench_reads.py --pairs 1_000_000 5_000_000 20_000_000
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
from harness import command, fresh, growth, human_fends, peak_gb, table, write_random_reads

import hifive_dask as hd
from hifive_dask.provenance import History
from hifive_dask.reads.lines import TextReads
from hifive_dask.reads.pipeline import load_reads

Figures = dict[str, Any]


def load(fends: str, reads: str, target: str, workers: int) -> Figures:
    """Time one load; call it in a fresh process for its peak memory."""
    partition = hd.Fend(fends).partition
    with dask.config.set(scheduler="threads", num_workers=workers):
        start = time.perf_counter()
        stats = load_reads(
            target,
            partition,
            TextReads([reads], "raw"),
            maxinsert=None,
            dedup="library",
            history=History(),
            call=("benchmark", {}),
            attributes={},
            silent=True,
        )
        seconds = time.perf_counter() - start
    return {"pairs": stats["total_reads"], "seconds": seconds, "GB": peak_gb()}


def baseline(fends: str, reads: str) -> Figures:
    """Time the plain in-memory way."""
    partition = hd.Fend(fends).partition
    units = partition.fends
    assert units is not None
    start = time.perf_counter()
    frame = pd.read_csv(
        reads, sep="\t", header=None, names=list("abcdef"), dtype=dict.fromkeys("acdf", "category")
    )
    codes = []
    for chrom, pos, strand in ("abc", "def"):
        index = frame[chrom].map(units.index).to_numpy().astype(np.int64)
        code = np.empty(len(frame), dtype=np.int64)
        for c in range(len(units.chromosomes)):
            own = index == c
            stop = units.stop[units.span(c)][1::2]
            minus = (frame[strand].to_numpy()[own] == "-").astype(np.int64)
            fragment = np.searchsorted(stop, frame[pos].to_numpy()[own])
            code[own] = units.offset[c] + 2 * fragment + 1 - minus
        codes.append(code)
    low, high = np.minimum(*codes), np.maximum(*codes)
    np.unique(low << 32 | high, return_counts=True)
    seconds = time.perf_counter() - start
    return {"pairs": len(frame), "seconds": seconds, "GB": peak_gb()}


def main(pairs: list[int], workers: list[int], fends: int = 1_600_000) -> list[Figures]:
    """Run all sizes; print a table."""
    rows = []
    with tempfile.TemporaryDirectory(dir=".") as directory:
        where = Path(directory)
        genome = human_fends(where / "fends.zarr", fends)
        warm = write_random_reads(where / "warm.raw", genome, 20_000)
        fresh(load, str(where / "fends.zarr"), str(warm), str(where / "warm.zarr"), 2)
        for n in pairs:
            reads = write_random_reads(where / f"{n}.raw", genome, n)
            plain = fresh(baseline, str(where / "fends.zarr"), str(reads))
            for count in workers:
                target = where / f"{n}-{count}.zarr"
                figures = fresh(load, str(where / "fends.zarr"), str(reads), str(target), count)
                rows.append(
                    {
                        "pairs": n,
                        "threads": count,
                        "s": figures["seconds"],
                        "M pairs/s": n / figures["seconds"] / 1e6,
                        "peak GB": figures["GB"],
                        "baseline s": plain["seconds"],
                        "baseline GB": plain["GB"],
                        "ratio": plain["seconds"] / figures["seconds"],
                    }
                )
            reads.unlink()
    print(table("Reads to pair store", rows))
    for count in workers:
        own = [row for row in rows if row["threads"] == count]
        print(growth(f"{count} threads", [r["pairs"] for r in own], [r["s"] for r in own]))
    own = [row for row in rows if row["threads"] == workers[0]]
    print(growth("baseline", [r["pairs"] for r in own], [r["baseline s"] for r in own]))
    return rows


if __name__ == "__main__":
    command(main, __doc__, "pairs", [1_000_000, 5_000_000, 20_000_000])
