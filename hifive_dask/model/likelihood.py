"""The likelihood of the reads of one chromosome, as parts that tasks sum up.

With q = m c_i c_j, the binomial cost is minus the sum of ln(q) over observed pairs and of ln(1 - q)
over the other possible ones; the Poisson cost is the sum of q over all possible pairs minus that of
n ln(q) over observed ones. Both are a sum over all possible pairs, less the observed ones if
binomial, and a part that is linear in ln(c).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.reduce import tree_reduce
from hifive_dask._graph.run import run
from hifive_dask._kernels.fast_products import Law, Terms, fast_terms, power_law
from hifive_dask._kernels.pair_trees import PairTrees, build_trees
from hifive_dask._kernels.probability import (
    Couplings,
    Factors,
    impossible_pairs,
    listed_couplings,
    listed_terms,
    near_couplings,
    pair_means,
    plain_terms,
)
from hifive_dask.model.distance import log_thresholds

__all__ = [
    "Chromosome",
    "Here",
    "Likelihood",
    "Observed",
    "Part",
    "Segments",
    "Spread",
    "dense_part",
    "list_part",
    "observe",
    "segments",
]

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


class Segments(NamedTuple):
    """A power law per segment of distance: thresholds int64 (K), slopes and intercepts (K + 1)."""

    thresholds: Int64
    slope: Float64
    intercept: Float64


def segments(parameters: NDArray[np.float32], mindistance: int, maxdistance: int) -> Segments:
    """The distance function inside a window, ``mindistance <= d <= maxdistance``; 0: no limit.

    Examples
    --------
    >>> import numpy as np
    >>> from hifive_dask.model.likelihood import segments
    >>> table = np.array([[np.log(500), -1, 2], [np.inf, -2, 8]], dtype=np.float32)
    >>> segments(table, 0, 900)
    Segments(thresholds=array([500, 900]), slope=array([-1., -2.,  0.]), \
intercept=array([  2.,   8., -inf]))
    """
    slope, intercept = parameters[:, 1:].astype(np.float64).T
    inner = log_thresholds(parameters[:-1, 0])
    ends = [mindistance - 1] if mindistance > 0 else []
    ends += [maxdistance] if maxdistance > 0 else []
    thresholds = np.unique(np.r_[inner, np.array(ends, dtype=np.int64)])
    last = max(int(thresholds[-1]), 0) + 1 if len(thresholds) else 1
    inside = np.r_[thresholds, last]  # a distance of every segment
    k = np.searchsorted(inner, inside)
    used = (inside >= mindistance) & ((inside <= maxdistance) | (maxdistance <= 0))
    return Segments(
        thresholds, np.where(used, slope[k], 0.0), np.where(used, intercept[k], -np.inf)
    )


@dataclass(frozen=True)
class Chromosome:
    """Units of one chromosome that have possible partners, and what is expected of their pairs.

    Parameters
    ----------
    mid
        int64 (n): midpoints, bp.
    unit
        int64 (n): numbers in the chromosome.
    possible
        int64 (n): possible partners.
    fends
        Whether the rule of impossible pairs holds; else units pair with themselves, too.
    diagonal
        Whether the distance 0 is in the window.
    segments
        Distance function.
    factors
        Of a binning model, for these units; `no_factors` without one.
    binomial
        Loss -ln(1 - q) of pairs without reads, in place of q.
    """

    mid: Int64
    unit: Int64
    possible: Int64
    fends: bool
    diagonal: bool
    segments: Segments
    factors: Factors
    binomial: bool

    def law(self, binomial: bool) -> Law:
        """The distance function, prepared for one loss."""
        return power_law(*self.segments, int(self.mid[-1] - self.mid[0]), binomial=binomial)

    @property
    def plain(self) -> bool:
        """Whether pairs must be visited one by one."""
        return bool(self.factors[0].shape[1] > 0)

    def means(self, first: Int32, second: Int32) -> Float64:
        """float64: what is expected of pairs before corrections."""
        return pair_means(first, second, self.mid, self.law(False), self.factors)


# Parts


class Part(Protocol):
    """Pairs that add to the likelihood."""

    def terms(self, weight: Float64, edge: float) -> Terms:
        """What they add at corrections `weight`."""

    def couplings(self, weight: Float64, scale: Float64, edge: float) -> Couplings:
        """Large second derivatives by two corrections; see `near_couplings`."""


def _join(parts: Sequence[Terms]) -> Terms:
    """Sum, in order."""
    cost, gradient, curvature, clipped = zip(*parts, strict=True)
    sums = (np.sum(part, axis=0) for part in (gradient, curvature, clipped))
    return Terms(float(np.sum(cost)), *sums)


@dataclass(frozen=True)
class _Dense:
    chromosome: Chromosome
    law: Law
    rows: tuple[int, int]  # of the first unit of a pair

    def couplings(self, weight: Float64, scale: Float64, edge: float) -> Couplings:
        own = self.chromosome
        fends = own.fends and own.plain  # else impossible pairs are in `list_part`
        return near_couplings(
            own.mid, own.unit, self.law, own.factors, self.rows, weight, scale,
            fends=fends, edge=edge,
        )  # fmt: skip


@dataclass(frozen=True)
class _Fast(_Dense):
    trees: PairTrees
    lo: int
    hi: int

    def terms(self, weight: Float64, edge: float) -> Terms:
        return fast_terms(self.trees, self.law, self.lo, self.hi, weight, edge)


class _Plain(_Dense):
    def terms(self, weight: Float64, edge: float) -> Terms:
        own = self.chromosome
        return plain_terms(
            own.mid, own.unit, self.law, own.factors, self.rows, weight,
            fends=own.fends, edge=edge,
        )  # fmt: skip


@dataclass(frozen=True)
class _List:
    first: Int32
    second: Int32
    mean: Float64
    sign: int

    def terms(self, weight: Float64, edge: float) -> Terms:
        terms = listed_terms(self.first, self.second, self.mean, weight, edge)
        cost, gradient, curvature, clipped = terms
        sign = self.sign
        return Terms(sign * cost, sign * gradient, sign * curvature, sign * clipped)

    def couplings(self, weight: Float64, scale: Float64, edge: float) -> Couplings:
        first, second, mean = self.first, self.second, self.mean
        found = listed_couplings(first, second, mean, weight, scale, edge)
        return found._replace(value=self.sign * found.value)


_PIECES = 32  # trees of a chromosome that is summed by several tasks


def dense_part(chromosome: Chromosome, task: int, tasks: int, binomial: bool) -> Part:
    """Possible pairs i < j of one of several tasks; impossible ones are in `list_part`."""
    law, n = chromosome.law(binomial), len(chromosome.mid)
    if chromosome.plain:
        # The first unit of a pair has all later ones as partners: equal shares of that triangle.
        share = 1 - np.sqrt(1 - np.array([task, task + 1]) / tasks)
        lo, hi = np.round(share * n).astype(int).tolist()
        return _Plain(chromosome, law, (lo, hi))
    pieces = _PIECES if tasks > 1 else 1
    edges = np.linspace(0, n, pieces + 1).astype(np.int64)
    trees = build_trees(chromosome.mid, np.ones(n), edges)
    lo, hi = pieces * task // tasks, pieces * (task + 1) // tasks
    return _Fast(chromosome, law, (int(edges[lo]), int(edges[hi])), trees, lo, hi)


def list_part(chromosome: Chromosome) -> Part:
    """What the pairs i < j hold too much, impossible pairs, or lack, bins with themselves."""
    n = len(chromosome.mid)
    if not chromosome.fends:
        itself = np.arange(n if chromosome.diagonal else 0, dtype=np.int32)
        return _List(itself, itself, chromosome.means(itself, itself), 1)
    first, second = impossible_pairs(chromosome.unit)
    if chromosome.plain:  # not visited at all
        first, second = first[:0], second[:0]
    return _List(first, second, chromosome.means(first, second), -1)


# Observed pairs


class Observed(NamedTuple):
    """Rows of one chromosome, or some of them.

    Parameters
    ----------
    total
        float64 (n): reads, or rows if binomial, of every unit; a row on the diagonal counts twice.
    constant
        Sum of ln(mean), times reads if not binomial.
    part
        Binomial only: takes the rows out of the pairs without reads.
    """

    total: Float64
    constant: float
    part: _List | None


def observe(chromosome: Chromosome, first: Int32, second: Int32, count: Int32) -> Observed:
    """Take in rows, whose units are places among those of the chromosome."""
    n = len(chromosome.mid)
    mean = chromosome.means(first, second)
    reads = np.ones(len(first)) if chromosome.binomial else count.astype(np.float64)
    total: Float64 = np.zeros(n)
    total += np.bincount(first, reads, n) + np.bincount(second, reads, n)
    constant = float((reads * np.log(mean)).sum())
    part = _List(first, second, mean, -1) if chromosome.binomial else None
    return Observed(total, constant, part)


# Whole


@dataclass(frozen=True)
class Likelihood(ABC):
    """The negative log-likelihood of the reads of one chromosome: the cost of corrections.

    Parameters
    ----------
    observed
        float64 (n): reads, or pairs that were seen, of every unit.
    possible
        int64 (n): possible partners of every unit.
    constant
        What to take off the cost, whatever the corrections.
    edges
        Where to continue the binomial loss, one after the other, see `Terms`; Poisson: (0,).
    """

    observed: Float64
    possible: Int64
    constant: float
    edges: tuple[float, ...]

    @abstractmethod
    def terms(self, weight: Float64, edge: float) -> Terms:
        """What pairs add at corrections `weight`, besides ln(c) of the observed ones."""

    @abstractmethod
    def couplings(self, weight: Float64, scale: Float64, edge: float) -> Couplings:
        """Large second derivatives by the logarithms of two corrections; some pairs cancel."""


@dataclass(frozen=True)
class Here(Likelihood):
    """Summed in this task."""

    parts: Sequence[Part]

    def terms(self, weight: Float64, edge: float) -> Terms:
        """Sum of the parts."""
        return _join([part.terms(weight, edge) for part in self.parts])

    def couplings(self, weight: Float64, scale: Float64, edge: float) -> Couplings:
        """Those of the parts."""
        return _gather([part.couplings(weight, scale, edge) for part in self.parts])


def _terms(part: Part, weight: Float64, edge: float) -> Terms:
    return part.terms(weight, edge)


def _couplings(part: Part, weight: Float64, scale: Float64, edge: float) -> Couplings:
    return part.couplings(weight, scale, edge)


def _gather(parts: Sequence[Couplings]) -> Couplings:
    return Couplings(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


@dataclass(frozen=True)
class Spread(Likelihood):
    """Summed by tasks, where the parts, lazy values, are held."""

    parts: Sequence[Any]
    title: str
    silent: bool

    def terms(self, weight: Float64, edge: float) -> Terms:
        """Sum of the parts, in an order of their own."""
        shared, task = dask.delayed(weight), dask.delayed(_terms)
        whole = tree_reduce([task(part, shared, edge) for part in self.parts], _join)
        terms: Terms
        (terms,) = run([whole], title=self.title, silent=self.silent)
        return terms

    def couplings(self, weight: Float64, scale: Float64, edge: float) -> Couplings:
        """Those of the parts."""
        at = dask.delayed(weight), dask.delayed(scale)
        lazy = [dask.delayed(_couplings)(part, *at, edge) for part in self.parts]
        return _gather(run(lazy, silent=True))
