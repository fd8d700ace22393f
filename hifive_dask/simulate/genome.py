"""Simulated genomes: cut sites, features, visibility of fends, domains, compartments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.simulate import ContactTables, guide_table
from hifive_dask.about import counted
from hifive_dask.errors import ParameterError

__all__ = ["SimulatedGenome", "simulate_genome"]

_SHORTEST = 40  # bp per fragment
_CLUSTER_WIDTH = 0.05  # of a chromosome, around its centromere


@dataclass(frozen=True)
class SimulatedGenome:
    """A genome and everything that decides how often its fends meet.

    Parameters
    ----------
    chromosomes
        Names, C of them, sorted by bytes as readers of BED files sort them.
    lengths
        int64 (C): bp.
    cuts
        int64 (C arrays): cut sites, boundaries between fragments, 0-based.
    gc, mappability
        float32 (N): features of the fends, in the numbering of `hifive_dask.Fend`.
    bias
        float64 (N): visibility of every fend, mean 1. It is what corrections recover, up to a
        factor and to the square root of what is expected at random.
    domain
        int32 (N): number of the domain that the fend lies in.
    compartment
        int32 (N): 0 for A, 1 for B.
    centromere
        int64 (C): bp.
    """

    chromosomes: tuple[str, ...]
    lengths: NDArray[np.int64]
    cuts: tuple[NDArray[np.int64], ...]
    gc: NDArray[np.float32]
    mappability: NDArray[np.float32]
    bias: NDArray[np.float64]
    domain: NDArray[np.int32]
    compartment: NDArray[np.int32]
    centromere: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.offset[-1])

    def __repr__(self) -> str:
        names, size = counted(len(self.chromosomes), "chromosome"), int(self.lengths.sum())
        return f"<SimulatedGenome: {names} of {size:,} bp, {counted(len(self), 'fend')}>"

    @cached_property
    def offset(self) -> NDArray[np.int64]:
        """int64 (C + 1): first fend of each chromosome, then the number of fends."""
        return np.cumsum([0, *(2 * (len(cuts) - 1) for cuts in self.cuts)]).astype(np.int64)

    @cached_property
    def chromosome(self) -> NDArray[np.int32]:
        """int32 (N): index of the chromosome of every fend."""
        return np.repeat(np.arange(len(self.lengths), dtype=np.int32), np.diff(self.offset))

    @cached_property
    def start(self) -> NDArray[np.int32]:
        """int32 (N): start of every fend, bp."""
        return np.concatenate([_fends(cuts)[0] for cuts in self.cuts]).astype(np.int32)

    @cached_property
    def stop(self) -> NDArray[np.int32]:
        """int32 (N): end of every fend, exclusive, bp."""
        return np.concatenate([_fends(cuts)[1] for cuts in self.cuts]).astype(np.int32)

    @cached_property
    def tables(self) -> ContactTables:
        """What the kernels that draw contacts look up."""
        density = self.bias / (self.stop - self.start)
        chromosome = self.chromosome
        share = np.cumsum(self.bias)
        width = _CLUSTER_WIDTH * self.lengths[chromosome]
        near = np.exp(-np.abs(self.start - self.centromere[chromosome]) / width)
        cluster = np.cumsum(self.bias * near)
        bits = max(6, int(np.log2(self.lengths.sum() / len(self))))
        cells = [_cells(cuts, int(bits)) for cuts in self.cuts]
        return ContactTables(
            place=np.stack(
                [self.start, self.stop, chromosome, 2 * self.domain + self.compartment], axis=1
            ).astype(np.int32),
            accept=(density / density.max()).astype(np.float32),
            first=np.array([cuts[0] for cuts in self.cuts], dtype=np.int64),
            last=np.array([cuts[-1] for cuts in self.cuts], dtype=np.int64),
            cell_bits=bits,
            cell_offset=np.cumsum([0, *map(len, cells)]).astype(np.int64),
            cell_fend=np.concatenate(
                [cell + first for cell, first in zip(cells, self.offset, strict=False)]
            ).astype(np.int32),
            share=share / share[-1],
            share_guide=guide_table(share / share[-1]),
            cluster=cluster / cluster[-1],
            cluster_guide=guide_table(cluster / cluster[-1]),
            lengths=self.lengths,
        )


def simulate_genome(
    chromosomes: Mapping[str, int],
    *,
    seed: int,
    mean_fragment: float = 4_000,
    domain: float = 200_000,
    bias: float = 0.3,
) -> SimulatedGenome:
    """Make a genome of fragments of random lengths.

    The visibility of a fend grows with its length (saturating), falls with distance of its gc
    content from 0.45, is proportional to its mappability, and has a log-normal rest.

    Parameters
    ----------
    chromosomes
        Length in bp by name.
    seed
        Any non-negative integer; the same seed gives the same genome.
    mean_fragment
        bp, of exponentially distributed lengths.
    domain
        Mean length of domains, bp. One to several make up a stretch of one compartment.
    bias
        Standard deviation of the log-normal part of the visibility (natural log).

    Raises
    ------
    ParameterError
        If a number is out of range, or a chromosome is too short for two fragments.

    Examples
    --------
    >>> from hifive_dask.simulate import simulate_genome
    >>> genome = simulate_genome({"chr1": 400_000, "chr2": 250_000}, seed=1)
    >>> len(genome) == len(genome.bias) == 2 * sum(len(cuts) - 1 for cuts in genome.cuts)
    True
    """
    _validate(chromosomes, seed, mean_fragment, domain, bias)
    names = sorted(chromosomes, key=str.encode)
    lengths = np.array([chromosomes[name] for name in names], dtype=np.int64)
    random = np.random.default_rng([seed, 0])
    cuts = tuple(_cut_sites(random, int(length), mean_fragment) for length in lengths)
    middle = [np.add(*_fends(c)) // 2 for c in cuts]
    size = np.concatenate([np.subtract(*_fends(c)[::-1]) for c in cuts]).astype(np.float64)
    layers = [_domains(random, int(n), domain, x) for n, x in zip(lengths, middle, strict=True)]
    compartment = np.concatenate([side for _, side in layers])
    gc = np.clip(random.normal(0.45 - 0.05 * compartment, 0.06), 0.2, 0.8)
    mappability = 1 - random.random(len(size)) ** 9
    visible = size / (size + mean_fragment / 2)
    visible *= np.exp(-(((gc - 0.45) / 0.12) ** 2) + random.normal(0, bias, len(size)))
    # A few fends stand out per bp; cutting them off keeps the drawing of contacts quick.
    density = visible * mappability / size
    density = np.minimum(density, np.quantile(density, 0.9))
    visible = density * size
    return SimulatedGenome(
        chromosomes=tuple(names),
        lengths=lengths,
        cuts=cuts,
        gc=gc.astype(np.float32),
        mappability=mappability.astype(np.float32),
        bias=visible / visible.mean(),
        domain=np.concatenate([number for number, _ in layers]),
        compartment=compartment,
        centromere=(lengths * random.uniform(0.3, 0.7, len(lengths))).astype(np.int64),
    )


def _validate(
    chromosomes: Mapping[str, int], seed: int, mean_fragment: float, domain: float, bias: float
) -> None:
    if not chromosomes:
        raise ParameterError("no chromosomes were given; write for example {'chr1': 1_000_000}")
    if seed < 0:
        raise ParameterError(f"seed is {seed}, expected a non-negative integer")
    for name, value, least in (
        ("mean_fragment", mean_fragment, 2 * _SHORTEST),
        ("domain", domain, 1),
        ("bias", bias, 0),
    ):
        if not value >= least:
            raise ParameterError(f"{name} is {value}, expected at least {least}")
    short = [name for name, length in chromosomes.items() if length < 4 * mean_fragment]
    if short:
        raise ParameterError(
            f"chromosome(s) {', '.join(short)} are shorter than four mean fragments "
            f"({4 * mean_fragment:,.0f} bp); make them longer, or mean_fragment smaller"
        )
    long = [name for name, length in chromosomes.items() if length > np.iinfo(np.int32).max]
    if long:
        raise ParameterError(f"chromosome(s) {', '.join(long)} are longer than 2^31 - 1 bp")


def _cut_sites(random: np.random.Generator, length: int, mean: float) -> NDArray[np.int64]:
    count = int(length / mean * 1.3) + 50
    gaps = _SHORTEST + random.exponential(mean - _SHORTEST, count)
    while gaps.sum() < length:
        gaps = np.r_[gaps, _SHORTEST + random.exponential(mean - _SHORTEST, count)]
    cuts = np.cumsum(gaps).astype(np.int64)
    cuts = cuts[cuts < length - _SHORTEST]
    # Short chromosomes can happen to have too few sites; every one gets at least two fragments.
    return cuts if len(cuts) > 2 else np.array([1, 2, 3], dtype=np.int64) * (length // 4)


def _fends(cuts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    middle = (cuts[:-1] + cuts[1:]) // 2
    start = np.stack([cuts[:-1], middle], axis=1).ravel()
    stop = np.stack([middle, cuts[1:]], axis=1).ravel()
    return start, stop


def _cells(cuts: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Fend, within the chromosome, that holds the first position of each cell."""
    start, stop = _fends(cuts)
    first = np.arange((int(stop[-1]) >> bits) + 1, dtype=np.int64) << bits
    return np.maximum(np.searchsorted(start, first, "right") - 1, 0)


def _domains(
    random: np.random.Generator, length: int, mean: float, position: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Domain and compartment of the given positions of one chromosome."""
    count = int(length / mean * 2) + 8
    borders = np.cumsum(mean * random.gamma(4.0, 0.25, count))
    # A new domain changes the compartment with probability 0.4.
    side = (random.random() < 0.5) ^ np.cumsum(random.random(count + 1) < 0.4) % 2
    number = np.searchsorted(borders, position, "right")
    return number.astype(np.int32), side[number].astype(np.int32)
