"""Assemblies of many scaffolds: CPU seconds of what is done once per scaffold, by their number.

Every scaffold has four cut sites, and ten of its pairs were seen, of which three lie between
scaffolds. Baseline: one thread; pandas reads the cut sites, numpy makes fends of them. It checks
nothing and writes nothing.

    python bench_scaffolds.py --scaffolds 20_000 40_000 80_000
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
from harness import command, fresh, growth, memory_store, peak_gb, table

import hifive_dask as hd
from hifive_dask._store.pairs import write_pairs
from hifive_dask.genome.partition import Units

Figures = dict[str, Any]
CUTS = 100, 1_900, 4_700, 9_100  # bp
PAIRS, TRANS = 10, 0.3  # per scaffold, and the part of them that lies between scaffolds
NEAR = np.array(
    [(0, 3), (0, 4), (0, 5), (1, 4), (1, 5), (2, 5)]
)  # fends of a scaffold that can meet


def write_sites(path: Path, scaffolds: int) -> None:
    """Write cut sites; names are as long as those of assemblers."""
    number = np.repeat(np.arange(scaffolds), len(CUTS))
    name = [f"Scaffold_{k:06d}_HRSCAF_{7 * k:08d}" for k in number.tolist()]
    start = np.tile(CUTS, scaffolds)
    sites = pd.DataFrame({"name": name, "start": start, "stop": start + 4})
    sites.to_csv(path, sep="\t", header=False, index=False)


def write_random_pairs(path: Path, fends: hd.Fend) -> None:
    """Distinct pairs, sorted as in a store; none is impossible."""
    units: Units = fends.units
    rng = np.random.default_rng(7)
    scaffolds, each = len(units.chromosomes), len(units) // len(units.chromosomes)
    first = rng.integers(0, scaffolds, PAIRS * scaffolds)
    second = np.where(rng.random(len(first)) < TRANS, rng.integers(0, scaffolds, len(first)), first)
    first, second = np.sort([first, second], axis=0)
    cis = NEAR[rng.integers(0, len(NEAR), len(first))].T
    one, two = np.where(first < second, rng.integers(0, each, (2, len(first))), cis)
    one, two = first * each + one, second * each + two
    order = np.lexsort((two, one, second, first))
    pairs, count = np.unique(
        np.stack([first, second, one, two])[:, order], axis=1, return_counts=True
    )
    columns = tuple(values.astype(np.int32) for values in (pairs[2], pairs[3], count))
    attributes = {"fends": "fends.zarr", "fends_token": fends.token}
    write_pairs(path, memory_store(units, columns), attributes)


def _seconds(function: Callable[[], Any]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def measure(scaffolds: int, folder: str) -> Figures:
    """Time every step, in a fresh process, after all of them were done once with few scaffolds."""
    with dask.config.set(scheduler="sync"):
        with tempfile.TemporaryDirectory(dir=folder) as compiling:
            _measure(50, Path(compiling))
        own = Path(folder) / str(scaffolds)
        own.mkdir()
        found = _measure(scaffolds, own)
    return found | {"peak GB": peak_gb()}


def _measure(scaffolds: int, own: Path) -> Figures:
    write_sites(own / "sites.bed", scaffolds)
    fends = hd.Fend(own / "fends.zarr", "w", silent=True)

    def make_fends() -> None:
        fends.load_fends(own / "sites.bed", order="input")
        fends.save()

    found: Figures = {"fends s": _seconds(make_fends)}
    write_random_pairs(own / "pairs.zarr", fends)
    data = hd.HiCData(own / "pairs.zarr", silent=True)
    found["to .hcd s"] = _seconds(lambda: data.save(own / "pairs.hcd"))
    found["from .hcd s"] = _seconds(lambda: hd.HiCData(own / "pairs.hcd", silent=True))
    found["to text s"] = _seconds(lambda: data.export_to_mat(own / "pairs.mat"))
    hic = hd.HiC(own / "project.zarr", "w", silent=True)
    hic.load_data(data.file)
    found["distances s"] = _seconds(lambda: hic.find_distance_parameters(numbins=6, minsize=2_500))
    start = hic.units.start.tobytes()
    return found | {"fends": len(hic.units), "start": start}


def baseline(scaffolds: int, folder: str) -> Figures:
    """Read the sites and halve fragments."""
    path = Path(folder) / str(scaffolds) / "sites.bed"

    def read() -> bytes:
        sites = pd.read_csv(path, sep="\t", header=None)
        names, _ = pd.factorize(sites[0])
        cut = (sites[1].to_numpy() + sites[2].to_numpy()) // 2
        same = names[1:] == names[:-1]
        left, right = cut[:-1][same], cut[1:][same]
        start = np.column_stack((left, (left + right) // 2)).ravel()
        return start.astype(np.int32).tobytes()

    return {"start": read(), "seconds": _seconds(read)}


def main(sizes: list[int], threads: list[int]) -> list[Figures]:
    """Run all sizes; print a table. All runs have one thread."""
    rows = []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for scaffolds in sizes:
            found = fresh(measure, scaffolds, folder)
            plain = fresh(baseline, scaffolds, folder)
            if plain["start"] != found.pop("start"):
                raise ArithmeticError("the fends are others than those of the baseline")
            row = {"scaffolds": scaffolds, "fends": found.pop("fends")}
            rows.append(row | found | {"baseline s": plain["seconds"]})
    print(table("Assemblies of many scaffolds", rows))
    for name in [name for name in rows[0] if name.endswith(" s")]:
        print(growth(name[:-2], sizes, [row[name] for row in rows]))
    return rows


if __name__ == "__main__":
    command(main, __doc__, "scaffolds", [20_000, 40_000, 80_000], [1])
