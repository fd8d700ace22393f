"""Normalizations compared on simulated data with known biases.

One simulated genome is cut by two enzymes. For every method: the correlation of ln(corrections)
with ln(true biases); that of ln(distance function) with the truth, and their root mean square
difference, up to a constant; the correlation of the two enzymes' corrected maps with each other;
time, and the peak memory of the process.

    python compare_methods.py --preset demo --pairs 2_000_000
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from harness import fresh, peak_gb, table

import hifive_dask as hd
from hifive_dask.simulate import PRESETS, SimulatedGenome, write_genome, write_reads

BINSIZE = 50_000  # of the maps of two enzymes
SAMPLE = 2_000_000  # pairs that the distance function is judged by
CLASSES, NEAREST = 40, 10_000  # of their distances, from so many bp on
Array = np.ndarray
Learn = Callable[[hd.HiC], None]

_BINS: dict[str, Any] = {
    "model": ("gc", "len", "mappability", "distance"),
    "num_bins": (10, 10, 5, 20),
    "parameters": ("even", "even", "even", "even-const"),
    "max_iterations": 100,
}


def _chain(second: Learn) -> Learn:
    def learn(hic: hd.HiC) -> None:
        hic.find_binning_fend_corrections(**_BINS)
        second(hic)

    return learn


RATES = ("decay", "near", "insulation", "compartments")
BORDERS = 4  # most that count

METHODS: dict[str, Learn] = {
    "none": lambda hic: None,
    "Express": lambda hic: hic.find_express_fend_corrections(),
    "Express, accelerated": lambda hic: hic.find_express_fend_corrections(accelerate=True),
    "Knight-Ruiz": lambda hic: hic.find_express_fend_corrections(kr=True),
    "Probability, Poisson": lambda hic: hic.find_probability_fend_corrections(model="poisson"),
    "joint Poisson": lambda hic: hic.find_probability_fend_corrections(
        model="poisson", refit_distance=True
    ),
    "Probability, binomial": lambda hic: hic.find_probability_fend_corrections(),
    "Binning": lambda hic: hic.find_binning_fend_corrections(**_BINS),
    "Binning-Express": _chain(lambda hic: hic.find_express_fend_corrections(precorrect=True)),
}


def simulate(preset: str, pairs: int, folder: str) -> None:
    """Write two experiments of one genome, cut by two enzymes."""
    size = PRESETS[preset]
    first, second = size.genome(1), size.genome(2)
    for name, genome in (("a", first), ("b", _with_structure(second, first))):
        directory = Path(folder) / name
        directory.mkdir(parents=True)
        write_genome(directory, genome)
        write_reads(directory / "reads.raw", genome, pairs, seed=1, experiment=size.experiment)
        fend = hd.Fend(directory / "fends.zarr", "w", silent=True)
        fend.load_fends(directory / "sites.bed")
        fend.save()
        data = hd.HiCData(directory / "pairs.zarr", "w", silent=True)
        data.load_data_from_raw(fend.file, directory / "reads.raw", 500)
        np.savez(
            directory / "truth.npz",
            bias=genome.bias,
            layer=np.stack([genome.domain, genome.compartment]),
            rates=[getattr(size.experiment, name) for name in RATES],
        )


def _with_structure(genome: SimulatedGenome, other: SimulatedGenome) -> SimulatedGenome:
    """A genome with the domains and compartments that another has at the same places."""
    domain, compartment = genome.domain.copy(), genome.compartment.copy()
    for c in range(len(genome.chromosomes)):
        own, there = (slice(g.offset[c], g.offset[c + 1]) for g in (genome, other))
        nearest = np.searchsorted(other.start[there], genome.start[own], side="right") - 1
        nearest = there.start + np.maximum(nearest, 0)
        domain[own], compartment[own] = other.domain[nearest], other.compartment[nearest]
    return replace(genome, domain=domain, compartment=compartment, centromere=other.centromere)


def measure(folder: str, method: str) -> dict[str, Any]:
    """Learn from both experiments, in a process of its own; figures of the first."""
    maps = []
    for name in ("a", "b"):
        hic = hd.HiC(Path(folder) / name / "project.zarr", "w", silent=True)
        hic.load_data(Path(folder) / name / "pairs.zarr")
        hic.filter_fends(mininteractions=10)
        hic.find_distance_parameters()
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            METHODS[method](hic)
        if name == "b":  # compiled by now
            seconds = time.perf_counter() - start
        else:
            with np.load(Path(folder) / name / "truth.npz") as truth:
                found = {"truth": _truth(hic, truth["bias"]), **_decay(hic, **truth)}
        maps.append(_enrichment(hic))
    both = np.isfinite(maps[0]) & np.isfinite(maps[1])
    agreement = np.corrcoef(maps[0][both], maps[1][both])[0, 1]
    return {
        **found,
        "agreement": float(agreement),
        "s": seconds,
        "iterations": 0 if hic.trace is None else len(hic.trace),
        "peak GB": peak_gb(),
    }


def _truth(hic: hd.HiC, bias: np.ndarray) -> float:
    """Correlation of ln(correction) with ln(bias); for Binning of what it gives to single fends."""
    use = hic.filter > 0
    values = np.ones(len(bias))
    if hic.normalization != "none" and hic.normalization != "binning":
        assert hic.corrections is not None
        values = np.where(hic.corrections > 0, hic.corrections, 1.0).astype(float)
    if hic.normalization.startswith("binning"):
        model = hic.binning_model
        assert model is not None
        units = np.flatnonzero(use)
        partners = np.random.default_rng(1).choice(units, 200)
        for unit in units:
            factors = model.factors(np.full(200, unit, dtype=np.int32), partners.astype(np.int32))
            values[unit] *= np.exp(np.log(factors).mean())
    if np.ptp(values[use]) == 0:
        return float("nan")
    return float(np.corrcoef(np.log(values[use]), np.log(bias[use]))[0, 1])


def _decay(hic: hd.HiC, bias: Array, layer: Array, rates: Array) -> dict[str, float]:
    """Compare the distance function with the mean rate of pairs, structure included, by distance.

    Classes of distance have equal widths in ln; pairs weigh as much as their biases.
    """
    rng = np.random.default_rng(1)
    use = np.flatnonzero(hic.filter > 0)
    chromosome, mid = hic.units.chromosome[use].astype(np.int64), hic.units.mid[use].astype(int)
    longest = np.ptp(mid) / 2
    place = chromosome * 10**10 + mid
    first = rng.integers(0, len(use), SAMPLE)
    steps = np.exp(rng.uniform(np.log(NEAREST), np.log(longest), SAMPLE)).astype(np.int64)
    second = np.minimum(np.searchsorted(place, place[first] + steps), len(use) - 1)
    cis = chromosome[first] == chromosome[second]
    first, second = first[cis], second[cis]
    distance = mid[second] - mid[first]
    decay, near, insulation, compartments = rates
    domain, compartment = layer[:, use]
    rate = np.maximum(near, distance) ** -decay
    rate *= insulation ** np.minimum(BORDERS, np.abs(domain[first] - domain[second]))
    rate *= np.where(compartment[first] == compartment[second], 1.0, compartments)
    assert hic.distance_parameters is not None
    cutoff, slope, intercept = hic.distance_parameters.astype(float).T
    k = np.searchsorted(cutoff, np.log(distance))
    found = np.exp(slope[k] * np.log(distance) + intercept[k])
    weight = bias[use][first] * bias[use][second]
    inner = np.linspace(np.log(NEAREST), np.log(longest), CLASSES + 1)[1:-1]
    own = np.searchsorted(inner, np.log(distance))
    logs = [np.log(np.bincount(own, weight * each, CLASSES)) for each in (rate, found)]
    return {
        "decay": float(np.corrcoef(*logs)[0, 1]),
        "decay RMS": float(np.std(logs[1] - logs[0])),
    }


def _enrichment(hic: hd.HiC) -> np.ndarray:
    """log of observed over expected, corrected, beyond the diagonal, of all chromosomes."""
    cells = []
    datatype: Any = "distance" if hic.normalization == "none" else "enrichment"
    for chrom in hic.units.chromosomes:
        found = hic.heatmap(chrom, binsize=BINSIZE, datatype=datatype)
        observed, expected = found["observed"].to_numpy(), found["expected"].to_numpy()
        upper = np.triu_indices(len(observed), 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            cells.append(np.log((observed[upper] + 1) / (expected[upper] + 1)))
    return np.concatenate(cells)


def main(preset: str = "demo", pairs: int = 2_000_000) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        fresh(simulate, preset, pairs, folder)
        for method in METHODS:
            rows.append({"method": method, **fresh(measure, folder, method)})
            print(json.dumps(rows[-1]), flush=True)
    print(table(f"{pairs:,} read pairs of {preset}, two enzymes", rows))
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="demo", choices=sorted(PRESETS))
    parser.add_argument("--pairs", type=int, default=2_000_000)
    arguments = parser.parse_args()
    main(arguments.preset, arguments.pairs)
