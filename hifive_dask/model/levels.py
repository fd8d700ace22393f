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
from itertools import pairwise
from typing import Any, NamedTuple

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask._graph.spans import group_rows
from hifive_dask._kernels.coverage import select_pairs
from hifive_dask._kernels.heatmap import impossible_pairs
from hifive_dask._kernels.pair_sums import power_sums_of_cells
from hifive_dask._kernels.pair_trees import build_trees
from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import LevelWarning, warn
from hifive_dask.genome.partition import Units
from hifive_dask.model.distance import log_thresholds
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.rows import Piece, cis_groups, cis_pieces, rows_by_kind
from hifive_dask.model.trans_means import fit_trans_means

__all__ = ["Expected", "Levels", "Totals", "count_totals", "find_levels", "off_text", "warn_of"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

READS, OFF = 1000, 0.1  # a chromosome with so many reads is off from this relative difference on
_SPLIT = 20_000  # chromosomes with more units in use are summed by several tasks
_PIECES = 32  # trees of such a chromosome
_TASKS = 8
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
        float64 (C (C - 1) / 2), if calibrated.
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
    if calibrated:
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

    None without a distance function. Relative error of what is expected below 1e-8; with a
    binning model below 0.1 %.
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


class _Law(NamedTuple):
    """Power law of distance per segment, without the level of a chromosome."""

    thresholds: Int64
    slope: Float64
    scale: Float64

    def at(self, distance: Int64) -> Float64:
        """Value at distances in bp."""
        k = np.searchsorted(self.thresholds, distance, "left")
        value: Float64 = self.scale[k] * np.maximum(1, distance) ** self.slope[k]
        return value


class _Chromosome(NamedTuple):
    """All units of a chromosome; see `Expected`."""

    mid: Int32
    weight: Float64
    fends: bool
    binning: BinningModel | None


def _expected_graph(expected: Expected) -> list[tuple[list[int], Any]]:
    """Lazy parts, float64 (chromosomes of the part): what is expected of possible pairs."""
    units = expected.units
    used = [int(np.count_nonzero(expected.weight[span])) for span in _spans(units)]
    assert expected.distance is not None
    slope, intercept = expected.distance[:, 1:].astype(np.float64).T
    law = _Law(log_thresholds(expected.distance[:-1, 0]), slope, np.exp(intercept))
    chroms = [chrom for chrom, number in enumerate(used) if number]
    task, parts = dask.delayed(_add_up, pure=True), []
    for group in group_rows(chroms, [used[chrom] for chrom in chroms], _SPLIT):
        own = dask.delayed([_chromosome(expected, chrom) for chrom in group], traverse=False)
        pieces = _PIECES if len(group) == 1 and used[group[0]] > _SPLIT else 1
        # A row of pieces meets all later ones; equal shares of that triangle.
        share = 1 - np.sqrt(1 - np.linspace(0, 1, min(_TASKS, pieces) + 1))
        rows = np.round(share * pieces).astype(int).tolist()
        parts += [(group, task(own, law, pieces, lo, hi)) for lo, hi in pairwise(rows) if lo < hi]
    return parts


def _spans(units: Units) -> list[slice]:
    return [units.span(chrom) for chrom in range(len(units.chromosomes))]


def _chromosome(expected: Expected, chrom: int) -> _Chromosome:
    units, span = expected.units, expected.units.span(chrom)
    binning = None if expected.binning is None else expected.binning.part(span)
    return _Chromosome(units.mid[span], expected.weight[span], units.fends, binning)


def _add_up(
    chromosomes: Sequence[_Chromosome], law: _Law, pieces: int, lo: int, hi: int
) -> Float64:
    """Sums of the pairs whose first unit is in pieces ``lo`` to ``hi`` of every chromosome."""
    sums = [_pairs(each, law, pieces, lo, hi) for each in chromosomes]
    if lo == 0:
        sums = [one + _local(each, law) for one, each in zip(sums, chromosomes, strict=True)]
    return np.array(sums)


def _pairs(chromosome: _Chromosome, law: _Law, pieces: int, lo: int, hi: int) -> float:
    """Sum over pairs of two different units, impossible ones as well."""
    used = np.flatnonzero(chromosome.weight)
    mid, weight = chromosome.mid[used].astype(np.int64), chromosome.weight[used]
    edges = np.linspace(0, len(used), pieces + 1).astype(np.int64)
    rows, columns = (lo + part for part in np.triu_indices(hi - lo, 0, pieces - lo))
    trees = build_trees(mid, weight, edges)
    total = float(power_sums_of_cells(trees, rows, columns, *law).sum())
    if chromosome.binning is None:
        return total
    first = np.arange(edges[lo], edges[hi])
    factored = _Factored(mid, weight, used, chromosome.binning, law)
    near, plain = factored.near(first)
    return near + (total - plain) * factored.far_mean(first)


@dataclass(frozen=True)
class _Factored:
    """Units in use of a chromosome, whose pairs have factors.

    The mean factor of the pairs at a distance hardly changes with it, and is found in bins. It does
    among neighbours, which are few: they are visited.
    """

    mid: Int64
    weight: Float64
    used: NDArray[np.intp]
    binning: BinningModel
    law: _Law

    def near(self, first: Int64) -> tuple[float, float]:
        """Sum over the pairs of `first` with their next units, and the same without factors."""
        near = plain = 0.0
        for step in range(1, _NEAR + 1):
            i = first[first < len(self.mid) - step]
            j = i + step
            value = self.weight[i] * self.weight[j] * self.law.at(self.mid[j] - self.mid[i])
            near += float(value @ self.binning.factors(self.used[i], self.used[j]))
            plain += float(value.sum())
        return near, plain

    def far_mean(self, first: Int64) -> float:
        """Mean factor of the other pairs of `first`, weighted by what is expected of them."""
        start = np.minimum(first + _NEAR + 1, len(self.mid))
        edges = np.geomspace(1, max(2, self.mid[-1] - self.mid[0]), _FAR_BINS + 1)
        edges[-1] += 1
        stops = [np.searchsorted(self.mid, self.mid[first] + edge) for edge in edges[1:]]
        places = np.maximum(start, [start, *stops])
        value = self.law.at(np.sqrt(edges[1:] * edges[:-1]).astype(np.int64))

        def summed(weight: Float64) -> float:
            before = np.r_[0.0, np.cumsum(weight)][places]
            return float(value @ ((before[1:] - before[:-1]) @ weight[first]))

        plain = summed(self.weight)
        if plain <= 0:
            return 1.0
        terms = self.binning.separated(self.used, self.weight)
        return sum(share * summed(each) for share, each in terms) / plain


def _local(chromosome: _Chromosome, law: _Law) -> float:
    """What pairs of two different units lack: bins with themselves, less impossible pairs."""
    mid, weight = chromosome.mid, chromosome.weight
    if chromosome.fends:
        same = np.zeros(len(mid), dtype=np.int32)
        first, second = impossible_pairs(0, same, weight > 0)
    else:
        first = second = np.flatnonzero(weight)
    value = weight[first] * weight[second] * law.at(mid[second].astype(np.int64) - mid[first])
    if chromosome.binning is not None:
        value *= chromosome.binning.factors(first, second)
    return (-1 if chromosome.fends else 1) * float(value.sum())


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


def warn_of(units: Units, totals: Totals) -> None:
    """Warn of chromosomes whose level is off."""
    text = off_text(units, totals)
    if text:
        warn(text, LevelWarning)
