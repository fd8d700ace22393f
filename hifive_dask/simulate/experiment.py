"""Read pairs drawn from a simulated genome."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.simulate import (
    KINDS,
    RateTables,
    ReadColumns,
    draw_contacts,
    draw_reads,
)
from hifive_dask.errors import ParameterError
from hifive_dask.simulate.genome import SimulatedGenome

__all__ = ["BATCH", "Experiment", "batches", "simulate_pair_columns", "simulate_reads"]

BATCH = 1 << 18  # reads drawn from one seed; part of what "the same seed" means
_MOST_BORDERS = 4  # crossed domain borders beyond which the rate falls no further


@dataclass(frozen=True)
class Experiment:
    """How contacts become reads.

    The rate of a cis contact of fends i and j is ``bias[i] * bias[j]`` times the mean of
    ``distance ** -decay`` over both (flat below `near`), times ``insulation`` for every domain
    border between them (four at most), times `compartments` if they are of unlike compartments.
    Trans contacts have no distance and no domains.

    Parameters
    ----------
    trans
        Fraction of contacts between chromosomes.
    decay, near
        Exponent of the distance law; distance in bp below which the rate is flat.
    insulation, compartments
        Factors, 0 to 1; 1 is no effect.
    clustering
        Fraction of trans contacts that are drawn to the centromeres.
    maxinsert
        Largest insert size of proper reads, bp.
    duplicate, self_circle, dangling_end, failed_cut, long_insert, out_of_bounds
        Fractions of all reads that are of this kind.
    unknown_chromosome
        The same; these name a chromosome that is not in the genome, ``chrUn``.
    """

    trans: float = 0.2
    decay: float = 0.9
    near: float = 2_000
    insulation: float = 0.7
    compartments: float = 0.5
    clustering: float = 0.0
    maxinsert: int = 500
    duplicate: float = 0.05
    self_circle: float = 0.01
    dangling_end: float = 0.02
    failed_cut: float = 0.02
    long_insert: float = 0.03
    out_of_bounds: float = 0.003
    unknown_chromosome: float = 0.002

    def __post_init__(self) -> None:
        for name in ("trans", "insulation", "compartments", "clustering", *KINDS[1:]):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ParameterError(f"{name} is {value}, expected a fraction from 0 to 1")
        if sum(getattr(self, name) for name in KINDS[1:]) > 1:
            raise ParameterError("the fractions of defects add up to more than 1")
        if self.insulation == 0 or self.compartments == 0:
            raise ParameterError("insulation and compartments must be above 0")
        if not self.decay > 0 or not self.near >= 1 or self.maxinsert < 50:
            raise ParameterError(
                f"decay is {self.decay}, near {self.near}, maxinsert {self.maxinsert}; expected "
                "decay above 0, near at least 1 bp, maxinsert at least 50 bp"
            )

    def rates(self, genome: SimulatedGenome) -> RateTables:
        """Return the numbers that the kernels need."""
        # An exponent of exactly 1 would need a formula of its own; this is as good.
        power = 1 - self.decay if abs(1 - self.decay) > 1e-6 else 1e-6
        far = max(float(genome.lengths.max()), 2 * self.near)
        span = far**power - self.near**power
        below = self.near**power
        defects = [getattr(self, name) for name in KINDS[1:]]
        return RateTables(
            trans=self.trans if len(genome.chromosomes) > 1 else 0.0,
            clustering=self.clustering,
            near=float(self.near),
            near_share=below / (below + span / power),
            power=power,
            low=self.near**power,
            span=span,
            insulation=self.insulation ** np.arange(_MOST_BORDERS + 1, dtype=np.float64),
            borders=_MOST_BORDERS,
            compartments=self.compartments,
            maxinsert=self.maxinsert,
            kinds=np.cumsum([1 - sum(defects), *defects[:-1]]),
        )


def batches(seed: int, reads: int) -> Iterator[tuple[int, int]]:
    """Yield seed and size of every batch of `BATCH` reads, the last one smaller."""
    if reads < 1 or seed < 0:
        raise ParameterError(f"reads is {reads}, seed {seed}; expected at least 1, and 0")
    for number, first in enumerate(range(0, reads, BATCH)):
        state = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)
        yield int(state[0]), min(BATCH, reads - first)


def simulate_reads(
    genome: SimulatedGenome,
    reads: int,
    *,
    seed: int,
    experiment: Experiment | None = None,
) -> ReadColumns:
    """Draw read pairs into memory.

    Parameters
    ----------
    genome
        Of `simulate_genome`.
    reads
        Number of read pairs, defects included.
    seed
        Any non-negative integer; the same seed gives the same reads.
    experiment
        Rates and defects.

    Returns
    -------
    ReadColumns
        chrom1, pos1, minus1, chrom2, pos2, minus2 and kind of every pair. Positions are 5' ends
        counted from 1. Chromosome C is ``chrUn``, which the genome does not have. kind is an index
        into ``("contact", "long_insert", "self_circle", "dangling_end", "failed_cut",
        "out_of_bounds", "unknown_chromosome", "duplicate")``.

    Examples
    --------
    >>> from hifive_dask.simulate import simulate_genome, simulate_reads
    >>> genome = simulate_genome({"chr1": 400_000, "chr2": 250_000}, seed=1)
    >>> reads = simulate_reads(genome, 1000, seed=1)
    >>> len(reads.pos1)
    1000
    """
    rates = (experiment or Experiment()).rates(genome)
    parts = [draw_reads(genome.tables, rates, state, n) for state, n in batches(seed, reads)]
    return ReadColumns(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def simulate_pair_columns(
    genome: SimulatedGenome,
    reads: int,
    *,
    seed: int,
    experiment: Experiment | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Draw contacts, and count them as a pair store holds them, without any text.

    Parameters
    ----------
    genome, reads, seed, experiment
        As in `simulate_reads`; all reads are proper contacts.

    Returns
    -------
    fend1, fend2, count
        int32: sorted by (chromosome1, chromosome2, fend1, fend2); the counts add up to `reads`.
    """
    rates = (experiment or Experiment()).rates(genome)
    chromosome = genome.chromosome.astype(np.uint64)
    bits = np.uint64(len(genome).bit_length())
    blocks = len(genome.chromosomes) ** 2
    if blocks.bit_length() + 2 * int(bits) > 64:
        raise ParameterError(
            f"{len(genome.chromosomes)} chromosomes with {len(genome):,} fends are too many"
        )
    codes = np.empty(reads, dtype=np.uint64)
    done = 0
    for state, n in batches(seed, reads):
        first, second = draw_contacts(genome.tables, rates, state, n)
        block = chromosome[first] * np.uint64(len(genome.chromosomes)) + chromosome[second]
        codes[done : done + n] = (block << bits | first.astype(np.uint64)) << bits | second.astype(
            np.uint64
        )
        done += n
    codes.sort()
    edges = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1], True])
    codes = codes[edges[:-1]]
    mask = (np.uint64(1) << bits) - np.uint64(1)
    fend1, fend2 = (codes >> bits) & mask, codes & mask
    return fend1.astype(np.int32), fend2.astype(np.int32), np.diff(edges).astype(np.int32)
