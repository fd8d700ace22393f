"""Genomes and read pairs with known truth, from a seed: for tests, docs, the demo, benchmarks.

The rate of contacts of two fends is the product of both visibilities, a power law of distance,
and of what domains and compartments do to it. `simulate_genome` makes all of these,
`simulate_reads` and `write_reads` draw read pairs from them, with the defects of real libraries.
"""

from __future__ import annotations

from hifive_dask.simulate.experiment import (
    Experiment,
    simulate_pair_columns,
    simulate_reads,
)
from hifive_dask.simulate.files import (
    write_genome,
    write_lengths,
    write_reads,
    write_sites,
    write_truth,
)
from hifive_dask.simulate.genome import SimulatedGenome, simulate_genome
from hifive_dask.simulate.presets import PRESETS, Preset

__all__ = [
    "PRESETS",
    "Experiment",
    "Preset",
    "SimulatedGenome",
    "simulate_genome",
    "simulate_pair_columns",
    "simulate_reads",
    "write_genome",
    "write_lengths",
    "write_reads",
    "write_sites",
    "write_truth",
]
