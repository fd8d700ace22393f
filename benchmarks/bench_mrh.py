"""Multi-resolution heatmaps of a whole genome: seconds to write, by number of pairs.

The genome is as the human one, a quarter of the pairs lie between chromosomes, and squares go from
1,280 kb down to 5 kb with at least 5 reads.

Baseline: one thread; numpy and scipy count the reads of all cells of all levels of every chromosome
and every two of them, level by level, as sparse matrices. It has no expected reads, and no file.

    python bench_mrh.py --pairs 1_000_000 5_000_000 20_000_000
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import dask
import numpy as np
from harness import best, command, fresh, growth, human_fends, memory_store, peak_gb, table
from harness import random_cis_pairs as cis_pairs
from scipy.sparse import coo_array

import hifive_dask as hd
from hifive_dask._store.pairs import PairStore, write_pairs
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.cells import Datatype
from hifive_dask.heatmap.mrh import multiresolution_heatmap
from hifive_dask.heatmap.recipe import Recipe

Figures = dict[str, Any]

DATATYPES: tuple[Datatype, ...] = ("fend", "enrichment")
LARGEST, SMALLEST, LEAST = 1_280_000, 5_000, 5
LAW = np.array([[11, -0.8, 5], [14, -1.1, 8.3], [np.inf, -1.4, 12.5]], dtype=np.float32)


def random_pairs(units: Units, pairs: int) -> PairStore:
    """Distinct pairs in memory, three quarters of them cis; those of trans in clusters."""
    rng = np.random.default_rng(6)
    first, second, count = cis_pairs(units, pairs * 3 // 4)
    # Every cluster is a place of two chromosomes where reads are dense, as real maps have them.
    centre = rng.integers(0, len(units), (2, 2_000))
    chosen = rng.integers(0, centre.shape[1], pairs)
    unit = centre[:, chosen] + np.rint(rng.normal(0, 100, (2, pairs))).astype(np.int64)
    unit = np.sort(np.clip(unit, 0, len(units) - 1), axis=0)
    unit = unit[:, units.chromosome[unit[0]] != units.chromosome[unit[1]]]
    trans = np.unique(unit, axis=1)[:, : pairs - len(first)]
    ones = np.ones(trans.shape[1])
    columns = (np.r_[first, trans[0]], np.r_[second, trans[1]], np.r_[count, ones])
    return memory_store(units, tuple(column.astype(np.int32) for column in columns))


def writing(fends: str, pairs: str, datatype: Datatype, workers: int) -> Figures:
    """Write the file in a fresh process."""
    units, store = hd.Fend(fends, "r", silent=True).units, PairStore.open(pairs)
    rng = np.random.default_rng(5)
    recipe = Recipe(
        units,
        store,
        np.ones(len(units), dtype=np.int32),
        datatype,
        corrections=np.exp(rng.normal(0, 0.4, len(units))).astype(np.float32),
        distance=LAW,
        chromosome_means=np.zeros(len(units.chromosomes), dtype=np.float32),
    )
    path = Path("map.mrh")

    def write(chroms: list[str] | None) -> None:
        sizes = LARGEST, SMALLEST
        multiresolution_heatmap(
            path,
            recipe,
            cis_sizes=sizes,
            trans_sizes=sizes,
            minobservations=LEAST,
            chroms=chroms,
            silent=True,
        )

    with dask.config.set(scheduler="threads", num_workers=workers):
        write(list(units.chromosomes[-2:]))  # compiles
        seconds, _ = best(lambda: write(None), 1)
    held, peak = hd.open_mrh(path), peak_gb()
    pairs_held = range(len(held.summary()))
    return {
        "seconds": seconds,
        "GB": peak,
        "MB": path.stat().st_size / 1e6,
        "scores": sum(int(np.isfinite(held._maps(k)[0]).sum()) for k in pairs_held),
        "starts": held.header.cis.start,
    }


def baseline(fends: str, pairs: str, starts: Any) -> Figures:
    """Count the reads of all cells of all levels; bins begin at `starts`."""
    units, store = hd.Fend(fends, "r", silent=True).units, PairStore.open(pairs)

    def count() -> int:
        first, second, reads = store.rows_of(0, len(store))()
        mid = units.mid.astype(np.int64) - starts[units.chromosome]
        scores = 0
        for block in range(len(store.block_chrom1)):
            rows = slice(*store.block_offset[block : block + 2].tolist())
            size = SMALLEST
            row, column = (mid[unit[rows]] // size for unit in (first, second))
            cells = coo_array((reads[rows], (row, column))).tocsr()
            while True:
                cells = coo_array(cells)
                scores += int((cells.data >= LEAST).sum())
                if size == LARGEST:
                    break
                size *= 2
                half = cells.row // 2, cells.col // 2
                cells = coo_array((cells.data, half)).tocsr()
        return scores

    seconds, scores = best(count, 1)
    return {"seconds": seconds, "scores": scores, "GB": peak_gb()}


def main(pairs: list[int], threads: list[int], fends: int = 400_000) -> list[Figures]:
    """Run all sizes; print a table."""
    rows = []
    with tempfile.TemporaryDirectory(dir=".") as directory:
        folder = Path(directory)
        units = human_fends(folder / "fends.zarr", fends)
        for number in pairs:
            path = folder / f"{number}.zarr"
            write_pairs(path, random_pairs(units, number), {})
            own = str(folder / "fends.zarr"), str(path)
            for workers in threads:
                row: Figures = {"fends": len(units), "pairs": number, "threads": workers}
                for datatype in DATATYPES:
                    figures = fresh(writing, *own, datatype, workers)
                    row |= {"scores": figures["scores"], "MB": figures["MB"]}
                    row |= {f"{datatype} s": figures["seconds"], "peak GB": figures["GB"]}
                plain = fresh(baseline, *own, figures["starts"])
                if plain["scores"] != row["scores"]:
                    raise ArithmeticError("the file has other cells than the baseline")
                rows.append(row | {"baseline s": plain["seconds"], "baseline GB": plain["GB"]})
    print(table("Multi-resolution heatmaps of a genome", rows))
    for workers in threads:
        own_rows = [row for row in rows if row["threads"] == workers]
        sizes = [row["pairs"] for row in own_rows]
        for datatype in DATATYPES:
            seconds = [row[f"{datatype} s"] for row in own_rows]
            print(growth(f"{datatype}, {workers} threads", sizes, seconds))
    return rows


if __name__ == "__main__":
    command(main, __doc__, "pairs", [1_000_000, 5_000_000, 20_000_000])
