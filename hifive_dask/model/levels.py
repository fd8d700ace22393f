"""Levels: how many reads maps expect of whole chromosomes, and of pairs of them.

Corrections and the distance function say how reads are shared out among pairs; levels say how many
there are. What maps expect of the cis pairs of a chromosome is summed over all possible pairs,
without visiting them, and compared with the reads that were seen of them. Calibrated levels make
both equal: ln of their ratio is added to the mean of the chromosome, and the level of two
chromosomes is the sum of reads over that of c_i c_j.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask._graph.spans import group_rows
from hifive_dask._kernels.coverage import select_pairs
from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import LevelWarning, warn
from hifive_dask.genome.partition import Units
from hifive_dask.model.distance import log_thresholds
from hifive_dask.model.expected_sums import (
    DistanceBins,
    PowerLaw,
    special_pairs,
    sums_of_chromosomes,
)
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.rows import Piece, cis_groups, cis_pieces, rows_by_kind
from hifive_dask.model.trans_means import fit_trans_means, pairs_are_few

__all__ = ["Expected", "Levels", "Totals", "count_totals", "find_levels", "off_text", "warn_of"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

READS, OFF = 1000, 0.1  # a chromosome with so many reads is off from this relative difference on
_TOGETHER = 20_000  # units of chromosomes that share a task
_NEAR = 64  # neighbours whose factors are looked up
_FAR_BINS = 30  # bins of distance for others


@dataclass(frozen=True)
class Expected:
    """What maps expect of pairs of units, and the reads that they show.

    Parameters
    ----------
    units, store
        The genome and its pairs.
    weight
        float64 (N): 1 or its correction, 0 for units not in use.
    distance
        float32 (segments, 3); None if it was not measured: nothing is expected of cis pairs then.
    chromosome_means
        float32 (C), natural log; None as `distance`.
    binning
        Factors of pairs, or None.
    """

    units: Units
    store: PairStore
    weight: Float64
    distance: Float32 | None
    chromosome_means: Float32 | None
    binning: BinningModel | None = None


class Totals(NamedTuple):
    """Of the cis pairs of every chromosome: reads int64 (C), and expected ones float64 (C)."""

    observed: Int64
    expected: Float64


class Levels(NamedTuple):
    """What was found.

    Parameters
    ----------
    chromosome_means
        float32 (C), as given or calibrated; None without a distance function.
    totals
        With these means; None without a distance function.
    trans_means
        float64 (C (C - 1) / 2), if calibrated, and if there are not too many chromosomes.
    """

    chromosome_means: Float32 | None
    totals: Totals | None
    trans_means: Float64 | None


def find_levels(
    expected: Expected, *, calibrated: bool, chroms: Sequence[int] = (), silent: bool = False
) -> Levels:
    """Count reads and expected reads of all chromosomes, and calibrate levels if asked to.

    Parameters
    ----------
    expected
        What maps expect.
    calibrated
        Whether the levels of pairs of chromosomes are calibrated.
    chroms
        Chromosomes whose mean is to be calibrated. Those without reads, or of which none are
        expected, keep it.
    silent
        No progress.
    """
    means = expected.chromosome_means
    totals = count_totals(expected, silent=silent)
    if calibrated and totals is not None and means is not None:
        chosen = np.zeros(len(means), dtype=bool)
        chosen[list(chroms)] = True
        chosen &= (totals.observed > 0) & (totals.expected > 0)
        shift = np.zeros(len(means))
        np.log(
            np.divide(totals.observed, totals.expected, out=np.ones(len(means)), where=chosen),
            out=shift,
        )
        moved = (means.astype(np.float64) + shift).astype(np.float32)
        # What the rounded means expect.
        factor = np.exp(moved.astype(np.float64) - means.astype(np.float64))
        means, totals = moved, Totals(totals.observed, totals.expected * factor)
    trans = None
    if calibrated and pairs_are_few(len(expected.units.chromosomes)):
        trans = fit_trans_means(
            expected.units,
            expected.weight,
            expected.store,
            calibrated=True,
            binning=expected.binning,
            silent=silent,
        )
    return Levels(means, totals, trans)


# Totals


def count_totals(expected: Expected, *, silent: bool = False) -> Totals | None:
    """Reads of the cis pairs of every chromosome, and how many are expected of all possible ones.

    None without a distance function. What is expected is exact on evenly spaced bins, and has
    a relative error of about 5e-8 on large chromosomes cut into fends; with a binning model it is
    below 0.1 %.
    """
    if expected.distance is None or expected.chromosome_means is None:
        return None
    size = len(expected.units.chromosomes)
    wanted, seen = _expected_graph(expected), _observed_graph(expected)
    results = run([part for _, part in (*wanted, *seen)], title="adding up reads", silent=silent)
    reads, sums = np.zeros(size, dtype=np.int64), np.zeros(size)
    for (group, _), result in zip((*wanted, *seen), results, strict=True):
        (reads if result.dtype.kind == "i" else sums)[group] += result
    sums = np.maximum(sums, 0)  # rounding, where all pairs are impossible
    return Totals(reads, sums * np.exp(expected.chromosome_means.astype(np.float64)))


class _Chromosome(NamedTuple):
    """Units in use of a chromosome: midpoints in bp, numbers in the chromosome, see `Expected`."""

    mid: Int64
    unit: Int64
    weight: Float64
    fends: bool
    binning: BinningModel | None


def _expected_graph(expected: Expected) -> list[tuple[list[int], Any]]:
    """Lazy parts, float64 (chromosomes of the part): what is expected of possible pairs."""
    units = expected.units
    assert expected.distance is not None
    slope, intercept = expected.distance[:, 1:].astype(np.float64).T
    law = PowerLaw(slope, intercept)
    bins = DistanceBins.one(log_thresholds(expected.distance[:-1, 0]))
    used = [np.flatnonzero(expected.weight[units.span(c)]) for c in range(len(units.chromosomes))]
    chroms = [chrom for chrom, own in enumerate(used) if len(own)]
    task, parts = dask.delayed(_add_up, pure=True), []
    for group in group_rows(chroms, [len(used[chrom]) for chrom in chroms], _TOGETHER):
        chosen = [_chromosome(expected, chrom, used[chrom]) for chrom in group]
        parts.append((group, task(dask.delayed(chosen, traverse=False), bins, law)))
    return parts


def _chromosome(expected: Expected, chrom: int, unit: Int64) -> _Chromosome:
    units, span = expected.units, expected.units.span(chrom)
    binning = None if expected.binning is None else expected.binning.part(span)
    mid, weight = units.mid[span][unit].astype(np.int64), expected.weight[span][unit]
    return _Chromosome(mid, unit, weight, units.fends, binning)


def _add_up(chromosomes: Sequence[_Chromosome], bins: DistanceBins, law: PowerLaw) -> Float64:
    """Sums over all possible pairs of every chromosome."""
    pairs = sums_of_chromosomes(
        [(each.mid, each.unit) for each in chromosomes], bins, fends=chromosomes[0].fends
    )
    weight = np.concatenate([each.weight for each in chromosomes])
    first = np.cumsum([0, *(len(each.mid) for each in chromosomes[:-1])])
    total: Float64 = 0.5 * np.add.reduceat(weight * pairs(weight, law).partners, first)
    if chromosomes[0].binning is None:
        return total
    return np.array(
        [_factored(each, sums, bins, law) for each, sums in zip(chromosomes, total, strict=True)]
    )


def _factored(chromosome: _Chromosome, total: float, bins: DistanceBins, law: PowerLaw) -> float:
    """The sum with the factors of a binning model, given that without."""
    mid, unit, weight, fends, binning = chromosome
    assert binning is not None
    factored = _Factored(mid, unit, weight, fends, binning, bins, law)
    near, plain = factored.near()
    return near + (total - plain) * factored.far_mean()


@dataclass(frozen=True)
class _Factored:
    """Units in use of a chromosome, whose pairs have factors.

    The mean factor of the pairs at a distance hardly changes with it, and is found in bins. It does
    among neighbours, which are few: they are visited.
    """

    mid: Int64
    unit: Int64
    weight: Float64
    fends: bool
    binning: BinningModel
    bins: DistanceBins
    law: PowerLaw

    def near(self) -> tuple[float, float]:
        """Sum over the possible pairs of neighbours, and the same without factors."""
        total = np.array(self._pairs(*special_pairs(self.unit, self.fends)))
        for step in range(1, _NEAR + 1):
            first = np.arange(max(0, len(self.mid) - step))
            total += self._pairs(first, first + step, np.ones(len(first)))
        near, plain = total.tolist()
        return near, plain

    def _pairs(self, first: Int64, second: Int64, sign: Float64) -> tuple[float, float]:
        law = self.law.at(self.mid[second] - self.mid[first], self.bins.segments)
        value = sign * self.weight[first] * self.weight[second] * law
        factors = self.binning.factors(self.unit[first], self.unit[second])
        return float(value @ factors), float(value.sum())

    def far_mean(self) -> float:
        """Mean factor of the other pairs, weighted by what is expected of them."""
        start = np.minimum(np.arange(len(self.mid)) + _NEAR + 1, len(self.mid))
        edges = np.geomspace(1, max(2, self.mid[-1] - self.mid[0]), _FAR_BINS + 1)
        edges[-1] += 1
        stops = [np.searchsorted(self.mid, self.mid + edge) for edge in edges[1:]]
        places = np.maximum(start, [start, *stops])
        middle = np.sqrt(edges[1:] * edges[:-1]).astype(np.int64)
        value = self.law.at(middle, self.bins.segments)

        def summed(weight: Float64) -> float:
            before = np.r_[0.0, np.cumsum(weight)][places]
            return float(value @ ((before[1:] - before[:-1]) @ weight))

        plain = summed(self.weight)
        if plain <= 0:
            return 1.0
        terms = self.binning.separated(self.unit, self.weight)
        return sum(share * summed(each) for share, each in terms) / plain


def _observed_graph(expected: Expected) -> list[tuple[list[int], Any]]:
    """Lazy parts, int64 (chromosomes of the part): reads of pairs of units in use."""
    units, store = expected.units, expected.store
    valid = dask.delayed((expected.weight > 0).astype(np.int32))
    shared, task, parts = dask.delayed(units), dask.delayed(_reads, pure=True), []
    for group in cis_groups(store, range(len(units.chromosomes))):
        pieces = cis_pieces(store, group)
        batches = [[piece] for piece in pieces] if len(group) == 1 else [pieces]
        parts += [(group, task(batch, shared, valid, group)) for batch in batches if batch]
    return parts


def _reads(pieces: Sequence[Piece], units: Units, valid: Int32, group: Sequence[int]) -> Int64:
    reads = np.zeros(len(units.chromosomes), dtype=np.int64)
    for piece in pieces:
        for cis, columns in rows_by_kind(piece, units, "cis"):
            first, _, count = select_pairs(
                *columns, valid, units.mid, mindistance=0, maxdistance=0, cis=cis
            )
            if len(first):
                sums = np.bincount(units.chromosome[first], count, minlength=len(reads))
                reads += sums.astype(np.int64)
    return reads[list(group)]


# What is said of them


def off_text(units: Units, totals: Totals) -> str:
    """Name the chromosomes whose level is off, in a line without a cure; empty if none is.

    That are those with 1,000 reads or more of which 10 % more, or fewer, are expected.

    Examples
    --------
    >>> import hifive_dask as hd
    >>> from hifive_dask.model.levels import Totals, off_text
    >>> from hifive_dask.testing import toy_project
    >>> units = hd.HiC(toy_project(), silent=True).units
    >>> off_text(units, Totals(np.array([5000, 4000, 500]), np.array([25_000, 4100.0, 9000.0])))
    'observed over expected reads are 0.2 on chr1 (1 of 2 chromosomes with 1,000 reads or more is \
off by more than 10 %)'
    """
    observed, expected = totals
    ratio = np.divide(observed, expected, out=np.full(len(observed), np.inf), where=expected > 0)
    many = observed >= READS
    off = np.flatnonzero(many & (np.abs(ratio - 1) > OFF))
    if not len(off):
        return ""
    worst = off[np.argmax(np.abs(np.log(ratio[off])))]
    return (
        f"observed over expected reads are {ratio[worst]:.2g} on {units.chromosomes[worst]} "
        f"({len(off)} of {np.count_nonzero(many)} chromosomes with {READS:,} reads or more "
        f"{'is' if len(off) == 1 else 'are'} off by more than {100 * OFF:.0f} %)"
    )


def warn_of(units: Units, totals: Totals, *, joint: bool) -> None:
    """Warn of chromosomes whose level is off; `joint` as in `LevelWarning`."""
    text = off_text(units, totals)
    if text:
        warn(LevelWarning(text, joint), LevelWarning)
