"""Binning: corrections of pairs of feature bins, by maximum likelihood.

A possible pair is observed with the probability ``p = pi kd prod_h kh``: the overall share, a
constant factor of its distance, and for every feature a factor of both bins. Features are updated
in turn, each with the newest values of the others; all factors of one feature are independent of
each other, and each is the root of one equation. So the likelihood cannot fall, but where
probabilities above 1 count as 1: at the start, as factors are ratios of marginal sums, and in
classes all of whose possible pairs were observed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.binning import minus_log2_likelihood, solve_entries
from hifive_dask._kernels.pair_classes import PairWindow
from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import HifiveDaskWarning, ParameterError, StateError, warn
from hifive_dask.genome.partition import Units
from hifive_dask.model.checks import check_length, whole_number
from hifive_dask.model.convergence import OnNonconvergence, check_policy, report
from hifive_dask.model.factors import BinningModel, triangle_sizes
from hifive_dask.model.features import ModelPlan, distance_cutoffs, plan_model
from hifive_dask.model.filtering import UseReads, check_window
from hifive_dask.model.pair_classes import ClassCounts, Counting, count_classes

__all__ = ["BinningResult", "fit_binning"]

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

MOST_CLASSES = 1 << 24  # 0.8 GB while they are fitted
_SHOWN = 5


@dataclass(frozen=True)
class BinningResult:
    """What the fit found.

    Parameters
    ----------
    model
        The corrections.
    plan
        Feature bins and their edges.
    cutoffs
        int64: upper cutoffs of the distance bins in bp; those of cis pairs.
    counts
        Possible and observed pairs of every class, without pseudo-counts.
    seeds
        float64 per feature: where the corrections started.
    cost
        float64 (sweeps + 1): minus log2-likelihood at the start and after every sweep.
    change
        float64 (sweeps): largest relative change of a correction.
    converged
        Whether the last gain was below the threshold.
    kept
        Pairs of bins per learned feature whose correction stayed at its start: none of their
        possible pairs, or all of them, were observed.
    """

    model: BinningModel
    plan: ModelPlan
    cutoffs: Int64
    counts: ClassCounts
    seeds: tuple[Float64, ...]
    cost: Float64
    change: Float64
    converged: bool
    kept: dict[str, list[tuple[int, int]]]


def fit_binning(
    units: Units,
    valid: NDArray[np.int32],
    store: PairStore,
    *,
    model: Sequence[str],
    num_bins: Sequence[int],
    parameters: Sequence[str],
    mindistance: int,
    maxdistance: int,
    usereads: UseReads,
    chroms: Sequence[int],
    learning_threshold: float,
    max_iterations: int,
    pseudocounts: int,
    on_nonconvergence: OnNonconvergence = "warn",
    silent: bool = False,
) -> BinningResult:
    """Fit the corrections of pairs of feature bins to which possible pairs were observed.

    Parameters
    ----------
    units, valid, store
        The genome, the filter (int32), the pairs.
    model, num_bins, parameters
        As of `plan_model`.
    mindistance, maxdistance
        bp: cis pairs with ``mindistance <= d <= maxdistance`` count; 0 is no upper limit.
    usereads
        Kind of pairs.
    chroms
        Indices of the chromosomes to learn from.
    learning_threshold
        Convergence: smallest gain in log2-likelihood of a sweep over all features.
    max_iterations
        Most sweeps.
    pseudocounts
        Added to observed and possible pairs of every ordered combination of feature bins.
    on_nonconvergence
        What to do at `max_iterations`.
    silent
        No progress.

    Raises
    ------
    ParameterError, StateError, ConvergenceError
    """
    if not units.fends:
        raise ParameterError(
            "binning corrections are of fends, and this project has bins; use "
            "find_express_fend_corrections"
        )
    window = check_window(mindistance, maxdistance, usereads)
    check_length("the filter", valid, units)
    sweeps, pseudo = _limits(learning_threshold, max_iterations, pseudocounts, on_nonconvergence)
    plan = plan_model(units, model, num_bins, parameters, usereads)
    _check_size(plan)
    counting, cutoffs = _plan_counts(units, valid, sorted(set(chroms)), usereads, window, plan)
    counts = count_classes(counting, store, silent=silent)
    _check_counts(counts)
    fit = _Fit(plan, counts, pseudo)
    cost, change, converged = fit.learn(learning_threshold, sweeps)
    if not converged:
        report(_not_converged(cost, learning_threshold), on_nonconvergence)
    kept = fit.kept()
    _report_kept(kept, plan)
    names = [feature.name for feature in plan.features]
    return BinningResult(
        BinningModel.of_bins(names, plan.num_bins, plan.bins, fit.factors),
        plan,
        cutoffs,
        counts,
        fit.seeds,
        np.array(cost),
        np.array(change),
        converged,
        kept,
    )


def _limits(threshold: Any, max_iterations: Any, pseudocounts: Any, policy: str) -> tuple[int, int]:
    """Most sweeps, and pseudo-counts, as int."""
    if not isinstance(threshold, int | float | np.number) or not threshold > 0:
        raise ParameterError(f"learning_threshold is {threshold!r}, expected a number above 0")
    check_policy(policy)
    sweeps = whole_number("max_iterations", max_iterations)
    if sweeps < 1:
        raise ParameterError(f"max_iterations is {max_iterations}, expected at least 1")
    pseudo = whole_number("pseudocounts", 0 if pseudocounts is None else pseudocounts)
    if pseudo < 0:
        raise ParameterError(f"pseudocounts is {pseudocounts}, expected 0 or more")
    return sweeps, pseudo


def _check_size(plan: ModelPlan) -> None:
    classes = float(triangle_sizes(plan.num_bins).astype(float).prod()) * (plan.distance_bins or 1)
    if classes > MOST_CLASSES:
        raise ParameterError(
            f"the model has {classes:.3g} classes of pairs, expected at most {MOST_CLASSES:,}; "
            "use fewer features or bins"
        )


def _plan_counts(
    units: Units,
    valid: NDArray[np.int32],
    chroms: Sequence[int],
    usereads: UseReads,
    window: tuple[int, int],
    plan: ModelPlan,
) -> tuple[Counting, Int64]:
    """Which pairs are counted, and the cutoffs of the distance bins of the model."""
    spans = [units.span(chrom) for chrom in chroms]
    chosen = np.zeros(len(units), dtype=np.int32)
    for span in spans:
        chosen[span] = valid[span] > 0
    if not chosen.any():
        raise StateError(
            "no fend of the chosen chromosomes is in use; see filter_fends and reset_filter"
        )
    low, high = window
    longest = max((int(np.ptp(units.mid[s])) for s in spans if s.stop > s.start), default=0)
    high = high or longest + 1
    if low > high and usereads != "trans":
        raise ParameterError(f"mindistance is {low} bp, but no two fends are so far apart")
    count = plan.distance_bins or 1
    apart = plan.distance_bins is not None and usereads == "all"  # trans pairs have the last bin
    cutoffs = distance_cutoffs(low, high, count - apart)
    bounds = PairWindow(low, high, cutoffs[: count - 1], count - 1)
    counting = Counting(
        units, chosen, tuple(chroms), usereads, bounds, plan.bins, plan.num_bins, count
    )
    return counting, cutoffs if plan.distance_bins else cutoffs[:0]


def _check_counts(counts: ClassCounts) -> None:
    if not counts.possible.any():
        raise StateError(
            "no pair is possible: no two fends in use on the chosen chromosomes are within the "
            "distances; see mindistance and maxdistance"
        )
    if not counts.observed.any():
        raise StateError(
            "no pair of the wanted kind and distance was observed between fends in use"
        )
    if (counts.observed > counts.possible).any():
        raise StateError(
            "more pairs were observed than are possible: the pair store holds pairs of one "
            "fragment, or of another genome; load the reads again"
        )


def _not_converged(cost: Sequence[float], threshold: float) -> str:
    return (
        f"not converged after {len(cost) - 1} iterations: the log2-likelihood gained "
        f"{cost[-2] - cost[-1]:.3g}, the limit is {threshold:.3g}; raise max_iterations or "
        "learning_threshold"
    )


def _report_kept(kept: dict[str, list[tuple[int, int]]], plan: ModelPlan) -> None:
    parts = []
    for name, pairs in kept.items():
        if pairs:
            size = next(len(f.edges) for f in plan.features if f.name == name)
            shown = ", ".join(map(str, pairs[:_SHOWN])) + (", ..." if len(pairs) > _SHOWN else "")
            parts.append(f"{len(pairs)} of {size * (size + 1) // 2} of {name!r}: {shown}")
    if parts:
        warn(
            "corrections of these pairs of feature bins cannot be learned, as none or all of their "
            "possible pairs were observed, and stay at their start or a limit "
            f"({'; '.join(parts)}); fewer bins, or 'even' ones, avoid that",
            HifiveDaskWarning,
        )


class _Fit:
    """Counts as numbers, and the factors of every feature."""

    def __init__(self, plan: ModelPlan, counts: ClassCounts, pseudocounts: int) -> None:
        self.plan = plan
        extra = pseudocounts * _orders(plan.num_bins)[..., np.newaxis]
        self.observed = (counts.observed + extra).astype(np.float64)
        self.unseen = (counts.possible - counts.observed).astype(np.float64)
        possible = self.observed + self.unseen
        self.share = self.observed.sum() / possible.sum()
        self.least = 1 / possible.sum()
        axes = range(possible.ndim - 1)
        self.distance = self._seed(possible, possible.ndim - 1, 0.0)
        if plan.distance_bins is None:
            self.distance = np.ones(1)
        self.factors = [self._seed(possible, axis, 1.0) for axis in axes]
        self.seeds = tuple(factor.copy() for factor in self.factors)
        self._seen = [_sum_but(self.observed, axis) for axis in axes]
        self._solved = [np.zeros(len(factor), dtype=bool) for factor in self.factors]

    def _seed(self, possible: Float64, axis: int, least: float) -> Float64:
        seen = np.maximum(least, _sum_but(self.observed, axis))
        seed: Float64 = seen / np.maximum(1.0, _sum_but(possible, axis)) / self.share
        return seed

    def learn(self, threshold: float, sweeps: int) -> tuple[list[float], list[float], bool]:
        """Sweep over the features; costs, largest changes, and whether the gain became small."""
        cost, change = [self._cost()], list[float]()
        gain = np.inf
        while len(change) < sweeps and abs(gain) >= threshold:
            largest = 0.0
            for axis, feature in enumerate(self.plan.features):
                if feature.learned:
                    largest = max(largest, self._update(axis))
            cost.append(self._cost())
            change.append(largest)
            gain = cost[-2] - cost[-1]
        return cost, change, abs(gain) < threshold

    def _update(self, axis: int) -> float:
        """Set the factors of one feature to their best values; return the largest change."""
        before, unseen = self.factors[axis], _around(self.unseen, axis)
        self.factors[axis], self._solved[axis] = solve_entries(
            self._seen[axis], unseen, self._rest(axis), before
        )
        return float(np.abs(self.factors[axis] / before - 1).max())

    def _cost(self) -> float:
        """Minus log2-likelihood."""
        seen, unseen = (tensor.reshape(-1) for tensor in (self.observed, self.unseen))
        chance = reduce(np.multiply.outer, [*self.factors, self.distance]).ravel() * self.share
        return minus_log2_likelihood(seen, unseen, chance, self.least)

    def _rest(self, axis: int) -> Float64:
        """float64 (outer, inner): probability of every class but for one feature."""
        outer, inner = (
            reduce(np.multiply.outer, factors, np.ones(1)).ravel()
            for factors in (self.factors[:axis], [*self.factors[axis + 1 :], self.distance])
        )
        rest: Float64 = self.share * np.multiply.outer(outer, inner)
        return rest

    def kept(self) -> dict[str, list[tuple[int, int]]]:
        """Pairs of bins of learned features whose factors are still their seeds."""
        kept = {}
        for axis, feature in enumerate(self.plan.features):
            if feature.learned:
                rows, columns = np.triu_indices(len(feature.edges))
                left = ~self._solved[axis]
                pairs = zip(rows[left].tolist(), columns[left].tolist(), strict=True)
                kept[feature.name] = list(pairs)
        return kept


def _sum_but(tensor: Float64, axis: int) -> Float64:
    """Sum over all axes but one."""
    total: Float64 = _around(tensor, axis).sum(axis=(0, 2))
    return total


def _around(tensor: Float64, axis: int) -> Float64:
    """The same array with three axes: those before, one, those behind."""
    shape = tensor.shape
    before, behind = int(np.prod(shape[:axis])), int(np.prod(shape[axis + 1 :]))
    return tensor.reshape(before, shape[axis], behind)


def _orders(num_bins: NDArray[np.int32]) -> Int64:
    """int64 (pairs of bins of every feature...): in how many orders bins make up the class."""
    per = [np.where(np.equal(*np.triu_indices(int(size))), 1, 2) for size in num_bins]
    orders: Int64 = reduce(np.multiply.outer, per)
    return orders
