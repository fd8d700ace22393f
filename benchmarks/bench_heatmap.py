"""Heatmaps of whole genomes: seconds by number of contigs, about 600 bins in all.

Baseline: one thread; the columns are read whole, then numpy counts observed reads by the number of
their cell. It has no expected reads.

    python bench_heatmap.py --contigs 50 150 500
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import dask
import numpy as np
from harness import best, command, fresh, growth, memory_store, peak_gb, random_cis_pairs, table
from numpy.typing import NDArray

from hifive_dask._store.pairs import PairStore, write_pairs
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.query import Datatype, heatmap
from hifive_dask.heatmap.recipe import Recipe

Figures = dict[str, Any]
DATATYPES: tuple[Datatype, ...] = ("raw", "fend", "enrichment")
LENGTH = 500_000_000  # bp of the genome
BINS = 500  # of the genome, besides one or so per contig


def contigs(number: int, fends: int) -> Units:
    """Cut a genome of contigs of many sizes into about `fends` fends at random sites."""
    rng = np.random.default_rng(1)
    share = rng.lognormal(0, 1, number)
    length = (LENGTH * share / share.sum()).astype(np.int64)
    cuts = []
    for bp in length:
        sites = np.unique(rng.integers(1, bp, max(8, fends * bp // LENGTH)))
        cuts.append(sites[: (len(sites) - 1) // 2 * 2 + 1])  # an even number of fends
    start = np.concatenate([c[:-1] for c in cuts]).astype(np.int32)
    stop = np.concatenate([c[1:] for c in cuts]).astype(np.int32)
    offset = np.r_[0, np.cumsum([len(c) - 1 for c in cuts])].astype(np.int64)
    names = tuple(f"contig{k}" for k in range(number))
    return Units(names, offset, start, stop, (start + stop) // 2, True)


def random_pairs(units: Units, pairs: int) -> PairStore:
    """Distinct pairs in memory, three quarters of them cis."""
    rng = np.random.default_rng(4)
    first, second, count = random_cis_pairs(units, pairs * 3 // 4)
    unit = np.sort(rng.integers(0, len(units), (2, pairs)), axis=0)
    unit = unit[:, units.chromosome[unit[0]] != units.chromosome[unit[1]]]
    trans = np.unique(unit.astype(np.int64), axis=1)
    trans = trans[:, rng.permutation(trans.shape[1])[: pairs - len(first)]]
    ones = np.ones(trans.shape[1])
    columns = (np.r_[first, trans[0]], np.r_[second, trans[1]], np.r_[count, ones])
    return memory_store(units, tuple(column.astype(np.int32) for column in columns))


def mapping(number: int, fends: int, pairs: str, datatype: Datatype, workers: int) -> Figures:
    """Time a map of the whole genome, from the call to the values, in a fresh process."""
    units, store = contigs(number, fends), PairStore.open(pairs)
    rng = np.random.default_rng(5)
    state: dict[str, Any] = {
        "corrections": np.exp(rng.normal(0, 0.4, len(units))).astype(np.float32),
        "distance": np.array([[11, -0.8, 5], [14, -1.1, 8.3], [np.inf, -1.4, 12.5]], np.float32),
        "chromosome_means": rng.normal(0, 0.1, number).astype(np.float32),
    }
    valid = np.ones(len(units), dtype=np.int32)

    def make() -> Any:
        recipe = Recipe(units, store, valid, datatype, **state)
        return heatmap(recipe, region=None, binsize=LENGTH // BINS)

    with dask.config.set(scheduler="threads", num_workers=workers):
        make().isel(bin1=slice(0, 1), bin2=slice(0, 1)).compute()  # compiles
        seconds, result = best(lambda: make().compute(), 3)
    (lazy,) = dask.optimize(make())
    return {
        "seconds": seconds,
        "tasks": len(dict(lazy.__dask_graph__())),
        "observed": result["observed"].values,
        "GB": peak_gb(),
    }


def baseline(number: int, fends: int, pairs: str) -> Figures:
    """Time the plain way of counting."""
    units, store = contigs(number, fends), PairStore.open(pairs)
    binsize = LENGTH // BINS

    def run() -> NDArray[np.int64]:
        place = units.mid.astype(np.int64) // binsize
        low = place[units.offset[:-1]]
        size = place[units.offset[1:] - 1] - low + 1
        shift = np.r_[0, np.cumsum(size)]
        bins = place + np.repeat(shift[:-1] - low, np.diff(units.offset))
        first, second, count = store.rows_of(0, len(store))()
        cell = bins[first] * shift[-1] + bins[second]
        cells = np.bincount(cell, count, int(shift[-1] ** 2)).reshape(shift[-1], shift[-1])
        return (cells + cells.T - np.diag(np.diag(cells))).astype(np.int64)

    seconds, cells = best(run, 3)
    return {"seconds": seconds, "observed": cells}


def main(
    numbers: list[int], threads: list[int], fends: int = 400_000, pairs: int = 2_000_000
) -> list[Figures]:
    """Run all sizes; print a table."""
    rows = []
    with tempfile.TemporaryDirectory(dir=".") as directory:
        for number in numbers:
            units = contigs(number, fends)
            path = Path(directory) / f"{number}.zarr"
            write_pairs(path, random_pairs(units, pairs), {})
            plain = fresh(baseline, number, fends, str(path))
            for count in threads:
                row: Figures = {"contigs": number, "bins": len(plain["observed"])}
                row["threads"] = count
                for datatype in DATATYPES:
                    figures = fresh(mapping, number, fends, str(path), datatype, count)
                    if not np.array_equal(figures["observed"], plain["observed"]):
                        raise ArithmeticError(f"{datatype}: observed differs from the baseline")
                    row["tasks"] = figures["tasks"]
                    row[f"{datatype} s"] = figures["seconds"]
                row |= {"peak GB": figures["GB"], "baseline s": plain["seconds"]}
                rows.append(row)
    print(table("Heatmaps of whole genomes", rows))
    for count in threads:
        own = [row for row in rows if row["threads"] == count]
        sizes = [row["contigs"] for row in own]
        print(growth(f"enrichment, {count} threads", sizes, [r["enrichment s"] for r in own]))
    return rows


if __name__ == "__main__":
    command(main, __doc__, "contigs", [50, 150, 500, 1500])
