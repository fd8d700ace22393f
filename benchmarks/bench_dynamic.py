"""Dynamic bins of one chromosome: seconds by its number of fends, with 40 pairs per fend.

Bins of 50 kb grow over fends until they have 10 reads, all of them; the chromosome has 1.9 kb per
fend. Distances of pairs fall as 1 / d, up to its length. Baseline, up to 10,000 fends: windows that
grow one unit at a time over a table of all fends, in every hundredth cell.

    python bench_dynamic.py --fends 8_000 32_000 130_000
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import dask
import numpy as np
from harness import command, fresh, growth, memory_store, peak_gb, random_cis_pairs, table
from numpy.typing import NDArray

from hifive_dask._store.pairs import PairStore, write_pairs
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.dynamic import Growth
from hifive_dask.heatmap.query import Datatype, heatmap
from hifive_dask.heatmap.recipe import Recipe

Figures = dict[str, Any]
DATATYPES: tuple[Datatype, ...] = ("raw", "fend", "enrichment")
PER_FEND = 1_900  # bp
BINSIZE = 50_000
READS = 10
DENSE = 10_000  # fends whose square the baseline has memory for
STEP = 10  # rows, and columns, of which the baseline grows one


def chromosome(fends: int) -> Units:
    """Fends at random sites."""
    rng = np.random.default_rng(1)
    cuts = np.unique(rng.integers(1, fends * PER_FEND, fends + 1))
    cuts = cuts[: (len(cuts) - 1) // 2 * 2 + 1].astype(np.int32)
    start, stop = cuts[:-1], cuts[1:]
    offset = np.array([0, len(start)], dtype=np.int64)
    return Units(("chr1",), offset, start, stop, (start + stop) // 2, True)


def recipe_of(fends: int, pairs: str, datatype: Datatype) -> Recipe:
    """Corrections at random, and a distance dependence of 90 segments."""
    units, store = chromosome(fends), PairStore.open(pairs)
    rng = np.random.default_rng(5)
    edge = np.linspace(np.log(1000), np.log(units.mid[-1]), 90)
    value = 9 - edge - 0.02 * (edge - 11) ** 2
    slope = np.diff(value) / np.diff(edge)
    parameters = np.stack([edge[1:], slope, value[:-1] - slope * edge[:-1]], axis=1)
    parameters[-1, 0] = np.inf
    return Recipe(
        units,
        store,
        np.ones(len(units), dtype=np.int32),
        datatype,
        corrections=np.exp(rng.normal(0, 0.4, len(units))).astype(np.float32),
        distance=parameters.astype(np.float32),
        chromosome_means=np.zeros(1, dtype=np.float32),
    )


def growing(fends: int, pairs: str, datatype: Datatype, workers: int) -> Figures:
    """Time the map of a chromosome, from the call to the values, in a fresh process."""
    recipe = recipe_of(fends, pairs, datatype)

    def make(**options: Any) -> Any:
        return heatmap(recipe, binsize=BINSIZE, growth=Growth(READS), **options)

    with dask.config.set(scheduler="threads", num_workers=workers):
        make(region=("chr1", 0, 1_000_000)).compute()  # compiles
        start, cpu = time.perf_counter(), time.process_time()
        result = make(region="chr1").compute()
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    seen = result["observed"].values
    return {
        "bins": len(seen),
        "seconds": seconds,
        "cpu": cpu,
        "grown": float((result["radius"].values > 0).mean()),
        "sample": seen[::STEP, ::STEP],
        "GB": peak_gb(),
    }


def baseline(fends: int, pairs: str) -> Figures:
    """Time the plain way: windows that take one unit after the other."""
    recipe = recipe_of(fends, pairs, "raw")
    first, second, reads = recipe.store.rows_of(0, len(recipe.store))()
    mid = recipe.units.mid.astype(np.int64)
    n = len(mid)
    table_of = np.zeros((n + 1, n + 1), dtype=np.int32)
    np.add.at(table_of, (first + 1, second + 1), reads)
    np.cumsum(table_of, axis=0, out=table_of)
    np.cumsum(table_of, axis=1, out=table_of)

    def inside(w: list[int]) -> int:
        corner = table_of[w[1], w[3]] - table_of[w[0], w[3]]
        return int(corner - table_of[w[1], w[2]] + table_of[w[0], w[2]])

    low = mid[0] // BINSIZE * BINSIZE
    borders = np.arange(low, mid[-1] + BINSIZE, BINSIZE)
    edge = np.searchsorted(mid, borders)
    middle = borders[:-1] + BINSIZE // 2
    sample = range(0, len(middle), STEP)
    grown = np.zeros((len(sample), len(sample)), dtype=np.int64)
    start = time.perf_counter()
    for r, x in enumerate(sample):
        for c, y in enumerate(sample[r:], r):
            w = [edge[x], edge[x + 1], edge[y], edge[y + 1]]
            while (found := inside(w)) < READS and w != [0, n, 0, n]:
                far = _distances(mid, w, middle[x], middle[y])
                for side in np.flatnonzero(far == far.min()):
                    w[side] += 1 if side % 2 else -1
            grown[r, c] = grown[c, r] = found
    return {"seconds": time.perf_counter() - start, "sample": grown}


def _distances(mid: NDArray[np.int64], w: list[int], x: int, y: int) -> NDArray[np.int64]:
    """Bp from the middles of both bins to the next unit on every side."""
    far = np.full(4, 1 << 40)
    for side, middle in ((0, x), (1, x), (2, y), (3, y)):
        unit = w[side] if side % 2 else w[side] - 1
        if 0 <= unit < len(mid):
            far[side] = abs(mid[unit] - middle)
    return far


def main(sizes: list[int], threads: list[int], per_fend: int = 40) -> list[Figures]:
    """Print one row per chromosome and number of threads."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-dynamic-", dir=".") as directory:
        for fends in sizes:
            units = chromosome(fends)
            path = Path(directory) / f"{fends}.zarr"
            columns = random_cis_pairs(units, per_fend * fends, fends * PER_FEND)
            write_pairs(path, memory_store(units, columns), {})
            plain = fresh(baseline, fends, str(path)) if fends <= DENSE else None
            for count in threads:
                row: Figures = {"fends": fends, "pairs": per_fend * fends, "threads": count}
                for datatype in DATATYPES:
                    figures = fresh(growing, fends, str(path), datatype, count)
                    if plain is not None and not np.array_equal(figures["sample"], plain["sample"]):
                        raise ArithmeticError(f"{datatype}: observed differs from the baseline")
                    row |= {"bins": figures["bins"], "grown": figures["grown"]}
                    row[f"{datatype} s"] = figures["seconds"]
                    row[f"{datatype} CPU s"] = figures["cpu"]
                    row["peak GB"] = max(row.get("peak GB", 0), figures["GB"])
                row["baseline s, 1 % of cells"] = None if plain is None else plain["seconds"]
                rows.append(row)
    print(table("Dynamic bins of a chromosome", rows))
    for count in threads:
        own = [row for row in rows if row["threads"] == count]
        for datatype in DATATYPES:
            cpu = [row[f"{datatype} CPU s"] for row in own]
            sizes_of = [row["fends"] for row in own]
            print(growth(f"{datatype}, {count} threads, CPU", sizes_of, cpu))
    return rows


if __name__ == "__main__":
    command(main, __doc__, "fends", [8_000, 32_000, 130_000], (2,))
