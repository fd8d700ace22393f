"""Binning: seconds to count the classes of pairs and to fit the defaults, by number of fends.

Random features, ten pairs per fend, all fends in use, no limit of distance. Baseline: one thread;
a plain compiled loop over all pairs of fends of a chromosome that counts possible pairs, alone; it
is left out above a million fends.

    python bench_binning.py --fends 20_000 100_000 130_000
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import numba
import numpy as np
from harness import (
    best,
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
from hifive_dask.genome.partition import Units
from hifive_dask.model.binning import BinningResult, fit_binning

Figures = dict[str, Any]


def genome(fends: str) -> Units:
    """Fends with a random gc content."""
    units = hd.Fend(fends).units
    gc = np.random.default_rng(4).random(len(units), dtype=np.float32)
    return replace(units, features={"gc": gc})


def binning(fends: str, pairs: int, bins: int, workers: int) -> Figures:
    """Time the whole fit; call it in a fresh process for its peak memory."""
    units = genome(fends)
    store = memory_store(units, random_cis_pairs(units, pairs))
    before = peak_gb()

    def run() -> BinningResult:
        return fit_binning(
            units,
            np.ones(len(units), dtype=np.int32),
            store,
            model=("gc", "len", "distance"),
            num_bins=(bins,) * 3,
            parameters=("even", "even", "even-const"),
            mindistance=0,
            maxdistance=0,
            usereads="cis",
            chroms=range(len(units.chromosomes)),
            learning_threshold=1.0,
            max_iterations=10,
            pseudocounts=0,
            on_nonconvergence="ignore",
            silent=True,
        )

    with dask.config.set(scheduler="threads", num_workers=workers):
        run()
        seconds, result = best(run, 2)
    return {
        "seconds": seconds,
        "sweeps": len(result.change),
        "possible": result.counts.possible.sum(axis=(0, 1)).tolist(),
        "GB": peak_gb(),
        "data GB": before,
    }


@numba.njit
def _plain(mid, offset, thresholds, bins, tensor):  # type: ignore[no-untyped-def]
    for c in range(len(offset) - 1):
        for i in range(offset[c], offset[c + 1]):
            k = 0
            for j in range(i + 2, offset[c + 1]):
                if j == i + 3 and (i - offset[c]) % 2 == 0:
                    continue
                while mid[j] - mid[i] > thresholds[k]:
                    k += 1
                a, b = min(bins[i, 0], bins[j, 0]), max(bins[i, 0], bins[j, 0])
                p, q = min(bins[i, 1], bins[j, 1]), max(bins[i, 1], bins[j, 1])
                tensor[a, b, p, q, k] += 1


def baseline(fends: str, bins: int) -> Figures:
    """Time the plain loop."""
    from hifive_dask.model.features import distance_cutoffs, plan_model

    units = genome(fends)
    plan = plan_model(units, ("gc", "len"), (bins, bins), ("even", "even"), "cis")
    longest = max(int(np.ptp(units.mid[units.span(c)])) for c in range(len(units.chromosomes)))
    cutoffs = distance_cutoffs(0, longest + 1, bins)
    tensor = np.zeros((bins,) * 5, dtype=np.int64)
    _plain(units.mid[:0], units.offset[:1], cutoffs, plan.bins[:0], tensor)
    seconds, _ = best(lambda: _plain(units.mid, units.offset, cutoffs, plan.bins, tensor), 1)
    return {"seconds": seconds, "possible": tensor.sum(axis=(0, 1, 2, 3)).tolist()}


def main(
    fends: list[int], threads: list[int], bins: int = 20, most: int = 10**6, per_fend: int = 10
) -> list[Figures]:
    """Run all sizes; print a table."""
    rows = []
    with tempfile.TemporaryDirectory(dir=".") as directory:
        for n in fends:
            path = Path(directory) / f"{n}.zarr"
            units = human_fends(path, n)
            plain = fresh(baseline, str(path), bins) if n <= most else None
            for count in threads:
                figures = fresh(binning, str(path), per_fend * n, bins, count)
                if plain and figures["possible"] != plain["possible"]:
                    raise ArithmeticError("possible pairs are not those of the baseline")
                rows.append(
                    {
                        "fends": len(units),
                        "threads": count,
                        "s": figures["seconds"],
                        "sweeps": figures["sweeps"],
                        "peak GB": figures["GB"],
                        "data GB": figures["data GB"],
                        "baseline s": plain and plain["seconds"],
                    }
                )
    print(table("Binning", rows))
    for count in threads:
        own = [row for row in rows if row["threads"] == count]
        print(growth(f"{count} threads", [r["fends"] for r in own], [r["s"] for r in own]))
    own = [row for row in rows if row["threads"] == threads[0] and row["baseline s"]]
    print(growth("baseline", [r["fends"] for r in own], [r["baseline s"] for r in own]))
    return rows


if __name__ == "__main__":
    command(main, __doc__, "fends", [20_000, 100_000])
