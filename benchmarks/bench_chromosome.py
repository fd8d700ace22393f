"""The map of one chromosome: seconds of all cells, of an array, of a query, by number of fends.

Bins are of 10 kb. Of all cells, the chunks on and above the diagonal are computed, added up and
dropped, as a picture does; planning the graph is a part of it.
The array is that of `cis_heatmap`, `upper`, in memory. The query is 10 Mb by 10 Mb: first with all
that is done once in a process, such as compiling or loading kernels, then again for another place.

Baseline: one thread, plain compiled loops: over the rows of the store for the reads, and for the
expected reads over the cells (fend) or over all pairs of fends (enrichment). It is left out where
it would take more than 60 s.

    python bench_chromosome.py --fends 20_000 65_000 130_000
"""

from __future__ import annotations

import time
from typing import Any

import dask
import numpy as np
from bench_distance import one_chromosome
from harness import best, command, fresh, growth, memory_store, peak_gb, random_cis_pairs, table
from numba import njit

from hifive_dask.heatmap.arrays import cis_array
from hifive_dask.heatmap.bins import Request
from hifive_dask.heatmap.query import Datatype, heatmap
from hifive_dask.heatmap.recipe import Recipe

Figures = dict[str, Any]

DATATYPES: tuple[Datatype, ...] = ("fend", "enrichment")
BINSIZE = 10_000
PAIRS_PER_FEND = 38
PATIENCE = 60.0  # seconds
LAW = np.array([[11, -0.8, 5], [14, -1.1, 8.3], [np.inf, -1.4, 12.5]], dtype=np.float32)


def _recipe(fends: int, pairs: int, datatype: Datatype) -> Recipe:
    units = one_chromosome(fends)
    rng = np.random.default_rng(5)
    return Recipe(
        units,
        memory_store(units, random_cis_pairs(units, pairs)),
        np.ones(len(units), dtype=np.int32),
        datatype,
        corrections=np.exp(rng.normal(0, 0.4, len(units))).astype(np.float32),
        distance=LAW,
        chromosome_means=np.zeros(1, dtype=np.float32),
    )


def measure(fends: int, pairs: int, datatype: Datatype, workers: int) -> Figures:
    """Time the whole map, cell by cell and dropped, and queries of 10 Mb."""
    recipe = _recipe(fends, pairs, datatype)

    middle = int(recipe.units.stop[-1]) // 2 // BINSIZE * BINSIZE

    def query(start: int) -> Any:
        return heatmap(recipe, region=("chr1", start, start + 10_000_000), binsize=BINSIZE)

    def sums() -> Any:
        whole = heatmap(recipe, region="chr1", binsize=BINSIZE)
        add = dask.delayed(np.sum)
        grids = [whole[layer].data.to_delayed() for layer in ("observed", "expected")]
        number = len(grids[0])
        upper = [(i, j) for i in range(number) for j in range(i, number)]
        done = dask.compute([[add(grid[i, j]) for i, j in upper] for grid in grids])[0]
        twice = np.array([1 if i == j else 2 for i, j in upper])  # cells below the diagonal
        return {"observed": twice @ done[0], "expected": twice @ done[1]}

    with dask.config.set(scheduler="threads", num_workers=workers):
        start = time.perf_counter()
        query(0).compute()
        first = time.perf_counter() - start
        again, part = best(lambda: query(middle).compute(), 3)
        (lazy,) = dask.optimize(query(middle))
        seconds, result = best(sums, 1)
    return {
        "seconds": seconds,
        "observed": int(result["observed"]),
        "expected": float(result["expected"]),
        "GB": peak_gb(),
        "first query s": first,
        "query ms": 1000 * again,
        "query tasks": len(dict(lazy.__dask_graph__())),
        "query bins": part.sizes["bin1"],
    }


def array(fends: int, pairs: int, datatype: Datatype, workers: int) -> Figures:
    """Time the array of the whole map."""
    recipe = _recipe(fends, pairs, datatype)
    with dask.config.set(scheduler="threads", num_workers=workers):
        part = Request("chr1", 0, 1_000_000, binsize=BINSIZE)
        cis_array(recipe, part, "upper", silent=True)  # compiles
        whole = Request("chr1", binsize=BINSIZE)
        seconds, _ = best(lambda: cis_array(recipe, whole, "upper", silent=True), 1)
    return {"seconds": seconds, "GB": peak_gb()}


@njit(cache=True, nogil=True)
def _reads(first: Any, second: Any, count: Any, bin_of: Any, cells: Any) -> None:
    for k in range(len(first)):
        cells[bin_of[first[k]], bin_of[second[k]]] += count[k]


@njit(cache=True, nogil=True)
def _outer(sums: Any, cells: Any) -> None:
    for i in range(len(sums)):
        for j in range(i, len(sums)):
            cells[i, j] = sums[i] * sums[j]


@njit(cache=True, nogil=True)
def _pairs(mid: Any, weight: Any, bin_of: Any, cutoff: Any, slope: Any, level: Any, cells: Any,
           fends: int) -> None:  # fmt: skip
    for i in range(fends):
        for j in range(i + 1, len(mid)):
            log = np.log(mid[j] - mid[i])
            k = 0
            while log > cutoff[k]:
                k += 1
            cells[bin_of[i], bin_of[j]] += weight[i] * weight[j] * np.exp(slope[k] * log + level[k])


def baseline(fends: int, pairs: int, datatype: Datatype) -> Figures:
    """Time plain loops; of the pairs of fends only a part, if all take too long."""
    recipe = _recipe(fends, pairs, datatype)
    units = recipe.units
    mid = units.mid.astype(np.int64)
    bin_of = (mid // BINSIZE - mid[0] // BINSIZE).astype(np.int64)
    bins = int(bin_of[-1]) + 1
    assert recipe.corrections is not None
    weight = recipe.corrections.astype(np.float64)
    first, second, count = recipe.store.rows_of(0, len(recipe.store))()
    cutoff, slope, level = LAW.astype(np.float64).T

    def run(rows: int) -> Any:
        seen, expected = np.zeros((bins, bins), np.int32), np.zeros((bins, bins), np.float32)
        _reads(first, second, count, bin_of, seen)
        if datatype == "fend":
            _outer(np.bincount(bin_of, weight, bins), expected)
        else:
            _pairs(mid, weight, bin_of, cutoff, slope, level, expected, rows)
        return seen, expected

    run(1)
    part, _ = best(lambda: run(min(len(mid), 500)), 1)
    if datatype != "fend" and part * len(mid) / 500 / 2 > PATIENCE:
        return {"seconds": None}
    seconds, (seen, _) = best(lambda: run(len(mid)), 1)
    return {"seconds": seconds, "observed": int(2 * seen.sum() - np.trace(seen)), "GB": peak_gb()}


def main(
    fends: list[int], threads: list[int], pairs_per_fend: int = PAIRS_PER_FEND
) -> list[Figures]:
    """Run all sizes; print a table."""
    rows = []
    for datatype in DATATYPES:
        for number in fends:
            pairs = number * pairs_per_fend
            plain = fresh(baseline, number, pairs, datatype)
            for workers in threads:
                figures = fresh(measure, number, pairs, datatype, workers)
                if plain["seconds"] is not None and plain["observed"] != figures["observed"]:
                    raise ArithmeticError(f"{datatype}: observed differs from the baseline")
                whole = fresh(array, number, pairs, datatype, workers)
                rows.append(
                    {
                        "datatype": datatype,
                        "fends": number,
                        "pairs": pairs,
                        "threads": workers,
                        "all cells s": figures["seconds"],
                        "peak GB": figures["GB"],
                        "array s": whole["seconds"],
                        "array peak GB": whole["GB"],
                        "first query s": figures["first query s"],
                        "query ms": figures["query ms"],
                        "query tasks": figures["query tasks"],
                        "baseline s": plain["seconds"],
                        "baseline GB": plain.get("GB"),
                    }
                )
    print(table("Map of one chromosome, bins of 10 kb", rows))
    for datatype in DATATYPES:
        for workers in threads:
            own = [r for r in rows if (r["datatype"], r["threads"]) == (datatype, workers)]
            sizes = [row["fends"] for row in own]
            seconds = [row["all cells s"] for row in own]
            print(growth(f"{datatype}, {workers} threads", sizes, seconds))
    return rows


if __name__ == "__main__":
    command(main, __doc__, "fends", [20_000, 65_000, 130_000])
