"""Ready-made sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hifive_dask.simulate.experiment import Experiment
from hifive_dask.simulate.genome import SimulatedGenome, simulate_genome

__all__ = ["PRESETS", "Preset"]

_HUMAN_MB = {
    "chr1": 248.96, "chr2": 242.19, "chr3": 198.30, "chr4": 190.21, "chr5": 181.54,
    "chr6": 170.81, "chr7": 159.35, "chr8": 145.14, "chr9": 138.39, "chr10": 133.80,
    "chr11": 135.09, "chr12": 133.28, "chr13": 114.36, "chr14": 107.04, "chr15": 101.99,
    "chr16": 90.34, "chr17": 83.26, "chr18": 80.37, "chr19": 58.62, "chr20": 64.44,
    "chr21": 46.71, "chr22": 50.82, "chrX": 156.04, "chrY": 57.23,
}  # fmt: skip


@dataclass(frozen=True)
class Preset:
    """A size of simulation.

    Parameters
    ----------
    chromosomes
        Length in bp by name.
    mean_fragment, domain
        bp.
    reads
        Read pairs that go well with it.
    experiment
        Rates and defects.
    about
        One line.
    """

    chromosomes: Mapping[str, int]
    mean_fragment: float
    domain: float
    reads: int
    about: str
    experiment: Experiment = field(default_factory=Experiment)

    def genome(self, seed: int) -> SimulatedGenome:
        """Simulate the genome."""
        return simulate_genome(
            self.chromosomes, seed=seed, mean_fragment=self.mean_fragment, domain=self.domain
        )


PRESETS: Mapping[str, Preset] = {
    "toy": Preset(
        {"chr1": 400_000, "chr2": 250_000, "chr3": 150_000},
        mean_fragment=4_000,
        domain=60_000,
        reads=20_000,
        about="3 small chromosomes: for examples and tests",
    ),
    "demo": Preset(
        {"chr1": 12_000_000, "chr2": 9_000_000, "chr3": 7_000_000, "chr4": 5_000_000},
        mean_fragment=4_000,
        domain=400_000,
        reads=2_000_000,
        about="4 chromosomes of 5 to 12 Mb: maps with domains and compartments in seconds",
        experiment=Experiment(decay=0.75, compartments=0.4, clustering=0.15),
    ),
    "human": Preset(
        {name: round(mb * 1_000_000) for name, mb in _HUMAN_MB.items()},
        mean_fragment=3_700,
        domain=600_000,
        reads=100_000_000,
        about="24 chromosomes of human sizes, about 830,000 cut sites: for benchmarks",
    ),
}
