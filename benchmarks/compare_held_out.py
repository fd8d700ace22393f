"""Normalizations judged on reads that they have not seen.

The reads of a real experiment are divided at random into two halves. Every method learns from one,
with the same filter, and says how many reads it expects in the cells of the other: the lower the
Poisson deviance, the better. Cells are pairs of bins of 5 and 10 kb on one chromosome, beyond the
diagonal.

    python compare_held_out.py --reads yeast.pairs.gz --fasta genome.fa.gz --enzyme DpnII,HinfI
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from harness import table

import hifive_dask as hd

Array = np.ndarray
Learn = Callable[[hd.HiC], None]

CELLS = (5_000, 10_000)  # bp
METHODS: dict[str, Learn] = {
    "none": lambda hic: None,
    "Express": lambda hic: hic.find_express_fend_corrections(accelerate=True),
    "Express, calibrated": lambda hic: hic.find_express_fend_corrections(
        accelerate=True, calibrate=True
    ),
    "Knight-Ruiz, calibrated": lambda hic: hic.find_express_fend_corrections(
        kr=True, calibrate=True
    ),
    "Poisson": lambda hic: hic.find_probability_fend_corrections(model="poisson"),
    "joint Poisson": lambda hic: hic.find_probability_fend_corrections(
        model="poisson", refit_distance=True
    ),
    "binomial, calibrated": lambda hic: hic.find_probability_fend_corrections(calibrate=True),
}


def divide(reads: Path, folder: Path, share: float, seed: int = 1) -> tuple[Path, Path]:
    """Write a share of the reads as two files of equal depth."""
    rng = np.random.default_rng(seed)
    targets = folder / "learn.pairs", folder / "judge.pairs"
    opener: Any = gzip.open if reads.suffix == ".gz" else open
    with opener(reads, "rt") as lines, targets[0].open("w") as learn, targets[1].open("w") as judge:
        for line in lines:
            if line.startswith("#"):
                learn.write(line)
                judge.write(line)
                continue
            draw = rng.random()
            if draw < share:
                (learn if draw < share / 2 else judge).write(line)
    return targets


def project(fends: Path, reads: Path, filtered: Array | None, mininteractions: int) -> hd.HiC:
    """Count reads, filter, and measure the decay; with a given filter only the first."""
    data = hd.HiCData(reads.with_suffix(".zarr"), "w", silent=True)
    data.load_data_from_pairs(str(fends), str(reads), 500)
    hic = hd.HiC(reads.with_suffix(".project.zarr"), "w", silent=True)
    hic.load_data(data.file)
    if filtered is not None:
        hic.filter = filtered
        return hic
    hic.filter_fends(mininteractions=mininteractions)
    hic.find_distance_parameters(minsize=1000)
    return hic


def expected_of(hic: hd.HiC, size: int) -> list[Array]:
    """Reads expected in the cells of every chromosome."""
    datatype: Any = "distance" if hic.normalization == "none" else "enrichment"
    return [
        np.asarray(hic.heatmap(chrom, binsize=size, datatype=datatype).expected)
        for chrom in hic.units.chromosomes
    ]


def observed_of(hic: hd.HiC, size: int) -> list[Array]:
    """Reads seen there."""
    return [
        np.asarray(hic.heatmap(chrom, binsize=size, datatype="raw").observed)
        for chrom in hic.units.chromosomes
    ]


def deviance(observed: list[Array], expected: list[Array]) -> float:
    """Mean Poisson deviance of a cell."""
    total, cells = 0.0, 0
    for n, e in zip(observed, expected, strict=True):
        upper = np.triu_indices(len(n), 1)
        n, e = n[upper].astype(float), e[upper].astype(float)
        used = e > 0
        n, e = n[used], e[used]
        ratio = np.divide(n, e, out=np.ones(len(n)), where=n > 0)
        total += float(2 * (n * np.log(ratio) - (n - e)).sum())
        cells += len(n)
    return total / cells


def iterative_correction(hic: hd.HiC, folder: Path) -> list[Array]:
    """What ICE of cooler expects of single bins: means of distances over the product of weights."""
    import cooler

    path = folder / "learn.cool"
    size = hic.units.stop[0] - hic.units.start[0]
    hic.write_heatmap(path, binsize=int(size), datatype="raw")
    clr = cooler.Cooler(str(path))
    weights, _ = cooler.balance_cooler(
        clr, cis_only=True, ignore_diags=False, mad_max=0, min_nnz=0, tol=1e-8, max_iters=2000
    )
    observed, inverse = [], []
    for name in hic.units.chromosomes:
        lo, hi = clr.extent(name)
        matrix = clr.matrix(balance=False)[lo:hi, lo:hi].astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            w = 1 / weights[lo:hi]
        w[~np.isfinite(w)] = 0
        observed.append(np.where(np.outer(w, w) > 0, matrix, 0))
        inverse.append(np.outer(w, w))
    longest = max(map(len, observed))
    reads, products = np.zeros((2, longest))
    for n, product in zip(observed, inverse, strict=True):
        for d in range(len(n)):
            reads[d] += np.trace(n, d)
            products[d] += np.trace(product, d)
    decay = np.divide(reads, products, out=np.zeros(longest), where=products > 0)
    found = []
    for product in inverse:
        steps = np.abs(np.subtract.outer(np.arange(len(product)), np.arange(len(product))))
        found.append(product * decay[steps])
    return found


def coarser(cells: list[Array], factor: int) -> list[Array]:
    """Sum squares of cells."""
    found = []
    for square in cells:
        size = -(-len(square) // factor) * factor
        padded = np.zeros((size, size))
        padded[: len(square), : len(square)] = square
        found.append(padded.reshape(size // factor, factor, -1, factor).sum(axis=(1, 3)))
    return found


def compare(
    reads: Path, fends: Path, folder: Path, share: float, unit: str, mininteractions: int
) -> list[dict[str, Any]]:
    """All methods at one depth, on one kind of units."""
    learn, judge = divide(reads, folder, share)
    first = project(fends, learn, None, mininteractions)
    second = project(fends, judge, first.filter, 0)
    own = 0 if unit == "fends" else int(first.units.stop[0] - first.units.start[0])
    sizes = [size for size in CELLS if size >= own]
    observed = {size: observed_of(second, size) for size in sizes}
    fresh = folder / "fresh.zarr"
    first.save(fresh)
    rows = []
    names = [*METHODS, *([] if unit == "fends" else ["ICE of cooler"])]
    for name in names:
        hic = hd.HiC(fresh, "r", silent=True)
        start = time.perf_counter()
        row: dict[str, Any] = {"units": unit, "depth": share, "in use": int(hic.filter.sum())}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if name == "ICE of cooler":
                    cells = iterative_correction(hic, folder)
                    expected = {size: coarser(cells, size // own) for size in sizes}
                else:
                    METHODS[name](hic)
                    expected = {size: expected_of(hic, size) for size in sizes}
        except hd.errors.HifiveDaskError as error:
            rows.append({**row, "method": name, "error": str(error)[:60]})
            continue
        row |= {"method": name, "s": time.perf_counter() - start}
        for size in sizes:
            row[f"{size // 1000} kb"] = deviance(observed[size], expected[size])
        rows.append(row)
    return rows


def main(
    reads: Path, fasta: Path, enzyme: str, units: list[str], depths: list[float], core: int = 3
) -> list[dict[str, Any]]:
    rows = []
    for unit in units:
        for depth in depths:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                binned = None if unit == "fends" else unit
                fend = hd.Fend(folder / "fends.zarr", "w", binned, silent=True)
                fend.digest(fasta, enzyme)
                fend.save()
                rows += compare(reads, Path(fend.file), folder, depth, unit, core)
    columns = ["units", "depth", "in use", "method", *(f"{size // 1000} kb" for size in CELLS), "s"]
    shown = [{c: row.get(c, row.get("error", "")) for c in columns} for row in rows]
    print(table("Poisson deviance per cell of reads that were held out", shown))
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reads", type=Path, required=True, help=".pairs or .pairs.gz")
    parser.add_argument("--fasta", type=Path, required=True)
    parser.add_argument("--enzyme", required=True)
    parser.add_argument("--units", nargs="+", default=["fends", "2kb", "5kb", "10kb"])
    parser.add_argument("--depths", nargs="+", type=float, default=[1.0, 0.25])
    parser.add_argument("--core", type=int, default=3, help="partners that the filter asks for")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = main(
        arguments.reads, arguments.fasta, arguments.enzyme, arguments.units, arguments.depths,
        arguments.core,
    )  # fmt: skip
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
