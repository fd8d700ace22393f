"""The whole way from reads to maps, for any scheduler: imported by tests, or run by mpirun.

Planning constants are lowered first, so that a small genome makes many tasks in every stage. They
are all read where graphs are built; workers see nothing of it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from hifive_dask import Fend, HiC, HiCData
from hifive_dask.cluster import session
from hifive_dask.heatmap import chunks, pixels
from hifive_dask.model import distance, express, levels, probability, rows, systems
from hifive_dask.reads import pipeline

__all__ = ["small_tasks", "walk"]

SMALL = (
    (pipeline, "_TILE_READS", 1 << 11),
    (rows, "SPAN", 1500),
    (rows, "GROUP", 800),
    (express, "ONE_TASK", 2500),
    (systems, "PIECE", 100),
    (distance, "_SPLIT", 100),
    (levels, "_TOGETHER", 100),
    (probability, "SPREAD", 150),
    (pixels, "_STRIP", 1000),
    (chunks, "_LONG", 8),
)


def small_tasks() -> None:
    """Make tasks of a few rows or units."""
    for module, name, value in SMALL:
        assert hasattr(module, name)
        setattr(module, name, value)


def walk(reads: Path, out: Path) -> None:
    """Make all stores and files in the directory `out`, of reads and the sites beside them."""
    out.mkdir()
    fends = Fend(out / "fends.zarr", "w", silent=True)
    fends.load_fends(reads.with_name("sites.bed"), genome_name="toy")
    fends.save()
    data = HiCData(out / "pairs.zarr", "w", silent=True)
    data.load_data_from_raw(fends.file, reads, 500)
    base = HiC(out / "base.zarr", "w", silent=True)
    base.load_data(data.file)
    base.filter_fends(mininteractions=5)
    base.find_distance_parameters(numbins=20, minsize=2000)
    base.find_trans_means()
    base.save()
    for name in ("express", "all", "kr", "probability", "binning"):
        learn(base.file, name, out / f"{name}.zarr")
    hic = HiC(out / "express.zarr", "r", silent=True)
    hic.write_heatmap(out / "maps.zarr", [50_000, 25_000])
    hic.write_heatmap(out / "maps.npz", 50_000, dynamically_binned=True, minobservations=5)
    hic.write_heatmap(out / "maps.cool", 25_000, datatype="fend")
    hic.write_multiresolution_heatmap(out / "maps.mrh", maxbinsize=80_000, minbinsize=5_000)


def learn(base: str, name: str, file: Path) -> None:
    """Learn corrections of one kind from the project `base`."""
    hic = HiC(base, "r", silent=True)
    policy: Literal["ignore"] = "ignore"
    if name in ("express", "all"):
        kind: Literal["all", "cis"] = "all" if name == "all" else "cis"
        hic.find_express_fend_corrections(
            iterations=6,
            max_iterations=6,
            usereads=kind,
            on_nonconvergence=policy,
            calibrate=name == "all",
        )
    elif name == "kr":
        hic.find_express_fend_corrections(kr=True, remove_distance=False)
    elif name == "probability":
        hic.find_probability_fend_corrections(max_iterations=4, on_nonconvergence=policy)
    else:
        hic.find_binning_fend_corrections(model=["len"], num_bins=[5], parameters=["even"])
    hic.save(file)


if __name__ == "__main__":
    small_tasks()
    with session(sys.argv[1]):
        walk(Path(sys.argv[2]), Path(sys.argv[3]))
