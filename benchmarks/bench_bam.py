"""BAM to pair store: read pairs per second and peak memory, by number of pairs.

The file holds mates next to each other, in records of about 125 bytes. Baseline: a loop over the
records of pysam in one thread, which finds the 5' ends of mates that follow each other, and does
nothing with them.

    python bench_bam.py --pairs 1_000_000 5_000_000
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import dask
from harness import command, fresh, growth, peak_gb, table

import hifive_dask as hd
from hifive_dask.simulate import PRESETS, write_genome, write_reads

Figures = dict[str, Any]


def load(fends: str, reads: str, target: str, workers: int) -> Figures:
    """Time one load; call it in a fresh process for its peak memory."""
    with dask.config.set(scheduler="threads", num_workers=workers):
        data = hd.HiCData(target, "w", silent=True)
        start = time.perf_counter()
        data.load_data_from_bam(fends, reads, 500)
        seconds = time.perf_counter() - start
    known = data.stats["total_reads"] - data.stats["chr_not_in_fends"]
    return {"known": known, "seconds": seconds, "GB": peak_gb()}


def baseline(fends: str, reads: str) -> Figures:
    """Time a plain loop."""
    import pysam

    names = set(hd.Fend(fends).partition.chromosomes)
    start = time.perf_counter()
    known, former, ends = 0, "", (False, 0, False)
    with pysam.AlignmentFile(reads) as file:
        for record in file:
            minus = record.is_reverse
            place = record.reference_end if minus else record.reference_start + 1
            own = (record.reference_name in names, place, minus)
            if record.query_name == former:
                known += own[0] and ends[0]
            former, ends = record.query_name, own
    seconds = time.perf_counter() - start
    return {"known": known, "seconds": seconds, "GB": peak_gb()}


def main(pairs: list[int], workers: list[int], preset: str = "human") -> list[Figures]:
    """Run all sizes; print a table."""
    rows = []
    with tempfile.TemporaryDirectory(dir=".") as directory:
        where = Path(directory)
        genome = PRESETS[preset].genome(1)
        write_genome(where, genome)
        fend = hd.Fend(where / "fends.zarr", "w", silent=True)
        fend.load_fends(where / "sites.bed")
        fend.save()
        fends = str(where / "fends.zarr")
        warm = where / "warm.bam"
        write_reads(warm, genome, 20_000, seed=1, silent=True)
        fresh(load, fends, str(warm), str(where / "warm.zarr"), 2)
        for n in pairs:
            reads = where / f"{n}.bam"
            write_reads(reads, genome, n, seed=2, silent=True)
            plain = fresh(baseline, fends, str(reads))
            for count in workers:
                target = where / f"{n}-{count}.zarr"
                figures = fresh(load, fends, str(reads), str(target), count)
                if figures["known"] != plain["known"]:
                    raise RuntimeError(f"{figures['known']} pairs, {plain['known']} by pysam")
                rows.append(
                    {
                        "pairs": n,
                        "threads": count,
                        "s": figures["seconds"],
                        "M pairs/s": n / figures["seconds"] / 1e6,
                        "peak GB": figures["GB"],
                        "baseline s": plain["seconds"],
                        "ratio": plain["seconds"] / figures["seconds"],
                    }
                )
            reads.unlink()
    print(table("BAM to pair store", rows))
    for count in workers:
        own = [row for row in rows if row["threads"] == count]
        print(growth(f"{count} threads", [r["pairs"] for r in own], [r["s"] for r in own]))
    return rows


if __name__ == "__main__":
    command(main, __doc__, "pairs", [1_000_000, 5_000_000])
