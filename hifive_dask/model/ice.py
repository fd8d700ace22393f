"""ICE: weights of bins with which all sums of rows of a map are equal, as `cooler balance` does it.

The iteration is that of the package cooler since version 0.11, which counts a bin with itself once
in the sum of its row. Masks are made of sums over all pairs, and an iteration is one product with
the matrix, both where the rows are (`systems.SpanSystem`); vectors are in the client.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._store.checkpoint import Checkpoint
from hifive_dask._store.pairs import PairStore
from hifive_dask._store.places import Location
from hifive_dask.errors import ParameterError, StateError
from hifive_dask.genome.partition import Units
from hifive_dask.model.checks import check_length, whole_number
from hifive_dask.model.convergence import OnNonconvergence, check_policy, report
from hifive_dask.model.express import mean_product
from hifive_dask.model.filtering import UseReads, check_window
from hifive_dask.model.systems import SpanSystem
from hifive_dask.model.weights import Problem

__all__ = ["IceResult", "Mask", "balance_sums"]

Bool = NDArray[np.bool_]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]


class Mask(NamedTuple):
    """Which cells and bins are left out; 0 leaves out none.

    Parameters
    ----------
    ignore_diags
        Diagonals of the map, the main one among them.
    min_nnz
        Cells with reads that a bin needs.
    min_count
        Reads that a bin needs.
    mad_max
        Median absolute deviations that ln(reads), over the median of the chromosome, may be below
        the median of all.
    """

    ignore_diags: int
    min_nnz: int
    min_count: float
    mad_max: float


@dataclass(frozen=True)
class IceResult:
    """What was found.

    Parameters
    ----------
    corrections
        float32 (N): the mean of c_i c_j is 1 in every chromosome; 0 for bins not in use.
    scales
        float64 (C): weights of bins are ``1 / (scale of the chromosome * correction)``.
    valid
        int32 (N): the filter afterwards.
    trace
        float64 (iterations, 2): 2-norm of sums over their mean, less 1, of maps that had not
        converged before, and largest variance of the sums of a map.
    converged
        Whether the variance is below the limit.
    masked
        How many bins in use were left out, by what.
    """

    corrections: NDArray[np.float32]
    scales: Float64
    valid: Int32
    trace: Float64
    converged: bool
    masked: dict[str, int]


class _State(NamedTuple):
    """Weights (N), variance and mean of the sums of every independent map, and the trace."""

    weights: Float64
    variance: Float64
    mean: Float64
    trace: Float64


def balance_sums(
    units: Units,
    valid: Int32,
    store: PairStore,
    *,
    mask: Mask,
    usereads: UseReads,
    tol: float,
    max_iterations: int,
    on_nonconvergence: OnNonconvergence = "warn",
    checkpoint: Location | None = None,
    silent: bool = False,
) -> IceResult:
    """Find w with sum_j n_ij w_i w_j = 1 for every bin i in use.

    Parameters
    ----------
    units, valid, store
        The genome, of bins; the filter (int32), whose other bins are masked, too; the pairs.
    mask
        What is left out.
    usereads
        ``"cis"``: one map per chromosome; ``"all"`` or ``"trans"``: one of the genome.
    tol
        Variance of the sums, as they are in the iteration, at which it stops.
    max_iterations
        It stops here if it has not converged.
    on_nonconvergence
        What to do then.
    checkpoint
        File in which the state is kept between iterations, and from which they go on.
    silent
        No progress.

    Raises
    ------
    ParameterError, StateError, ConvergenceError
    """
    check_length("the filter", valid, units)
    _validate(units, mask, usereads, tol, max_iterations, on_nonconvergence)
    everything = Problem(
        units, np.ones(len(units), dtype=np.int32), store, tuple(range(len(units.chromosomes))),
        (0, 0), usereads, None, False, None, diagonal=1, ignore_diags=mask.ignore_diags,
        scaled=False,
    )  # fmt: skip
    kept, masked = _masked(everything, valid > 0, mask, silent)
    problem = replace(everything, valid=kept.astype(np.int32))
    parts = (store.token, units.mid, units.offset, kept, usereads, mask, tol, max_iterations)
    keep = Checkpoint(checkpoint, *(() if checkpoint is None else ("ice", *parts)))
    state = _iterate(problem, tol, max_iterations, keep, silent)
    keep.remove()
    converged = bool((state.variance < tol).all())
    if not converged and on_nonconvergence != "ignore":
        report(
            f"not converged after {len(state.trace)} iterations: the variance of the sums is "
            f"{state.trace[-1, 1]:.3g}, the limit {tol:.3g}; raise max_iterations or tol, or leave "
            "out more bins by min_nnz or mad_max",
            on_nonconvergence,
        )
    return _finish(problem, state, converged, masked)


def _validate(
    units: Units, mask: Mask, usereads: str, tol: float, max_iterations: int, policy: str
) -> None:
    if units.fends:
        raise ParameterError(
            "ICE balances maps of bins, and this genome is in fends; count in bins, "
            "Fend(..., binned=SIZE), or use another method"
        )
    check_window(0, 0, usereads)
    check_policy(policy)
    whole_number("ignore_diags", mask.ignore_diags)
    whole_number("min_nnz", mask.min_nnz)
    for name, least in mask._asdict().items():
        if not least >= 0:
            raise ParameterError(f"{name} is {least!r}, expected 0 or more")
    if not tol > 0:
        raise ParameterError(f"tol is {tol!r}, expected a variance above 0")
    if whole_number("max_iterations", max_iterations) < 1:
        raise ParameterError(f"max_iterations is {max_iterations}, expected 1 or more")


def _masked(problem: Problem, given: Bool, mask: Mask, silent: bool) -> tuple[Bool, dict[str, int]]:
    """Bins in use that no filter leaves out, and how many each one does.

    Sums are over the cells of all bins, in use or not, and, unless cis reads alone are balanced,
    those of all kinds.
    """
    problem = replace(problem, usereads="cis" if problem.usereads == "cis" else "all")
    reads = _sums(problem, silent)
    dropped: dict[str, Bool] = {}
    if mask.min_nnz:
        dropped["min_nnz"] = _sums(replace(problem, binary=True), silent) < mask.min_nnz
    if mask.min_count:
        dropped["min_count"] = reads < mask.min_count
    if mask.mad_max and reads.any():
        dropped["mad_max"] = _far_below(problem.units, reads, mask.mad_max)
    kept, masked = given.copy(), {}
    for name, own in dropped.items():
        masked[name] = int((kept & own).sum())
        kept &= ~own
    if not kept.any():
        told = ", ".join(f"{name} {number:,}" for name, number in masked.items() if number)
        raise StateError(
            f"no bin is left to balance, of {int(given.sum()):,} in use"
            + (f"; bins left out by {told}" if told else "; see reset_filter")
        )
    return kept, masked


def _sums(problem: Problem, silent: bool) -> Float64:
    """float64 (N): sums of the rows of a map."""
    size = len(problem.units)
    system = SpanSystem(problem, np.zeros(size, dtype=np.int64), silent)
    return system.multiply(np.ones(size), silent)


def _far_below(units: Units, reads: Float64, mad_max: float) -> Bool:
    """Bins whose reads, relative to their chromosome, are far below those of most."""
    reads = reads.copy()
    for chrom in range(len(units.chromosomes)):
        own = reads[units.span(chrom)]
        if own.any():
            own /= np.median(own[own > 0])
    logs = np.log(reads[reads > 0])
    middle = np.median(logs)
    least = np.exp(middle - mad_max * np.median(np.abs(logs - middle)))
    silent = np.array([not reads[units.span(c)].any() for c in range(len(units.chromosomes))])
    far: Bool = (reads < least) & ~silent[units.chromosome]
    return far


def _iterate(problem: Problem, tol: float, most: int, keep: Checkpoint, silent: bool) -> _State:
    """Divide weights by their sums over the mean, until the sums of every map hardly differ."""
    units = problem.units
    system = SpanSystem(problem, np.zeros(len(units), dtype=np.int64), silent)
    alone = problem.usereads == "cis"
    maps = [units.span(c) for c in problem.chroms] if alone else [slice(0, len(units))]
    share = _share(units) if problem.usereads == "trans" else np.ones(len(units))
    start = problem.valid.astype(np.float64)
    state = _State(start, np.full(len(maps), np.inf), np.ones(len(maps)), np.zeros((0, 2)))
    kept = keep.restore()
    if kept is not None:
        state = _State(**kept)
    while (state.variance >= tol).any() and len(state.trace) < most:
        factor = state.weights * share
        state = _step(state, factor * system.multiply(factor, silent), maps, tol)
        keep.save(state._asdict())
    return state


def _share(units: Units) -> Float64:
    """float64 (N): one over the share of the genome's bins that are on other chromosomes."""
    own = np.diff(units.offset)[units.chromosome] / len(units)
    return 1 / np.where(own < 1, 1 - own, 1)


def _step(state: _State, sums: Float64, maps: Sequence[slice], tol: float) -> _State:
    """One iteration of the maps that have not converged."""
    weights, variance, mean = (each.copy() for each in state[:3])
    cost = 0.0
    for k in np.flatnonzero(variance >= tol).tolist():
        own = sums[maps[k]]
        some = own != 0
        if not some.any():  # nothing to balance
            weights[maps[k]], variance[k] = 0, 0
            continue
        mean[k], variance[k] = own[some].mean(), own[some].var()
        ratio = np.where(some, own / mean[k], 1)
        weights[maps[k]] /= ratio
        cost += float(np.square(ratio - 1).sum())
    trace = np.vstack([state.trace, [np.sqrt(cost), variance.max()]])
    return _State(weights, variance, mean, trace)


def _finish(problem: Problem, state: _State, converged: bool, masked: dict[str, int]) -> IceResult:
    """Scale weights so that sums are 1, and make corrections of them, chromosome by chromosome."""
    units, corrections = problem.units, np.zeros(len(problem.units))
    scales = np.ones(len(units.chromosomes))
    used = state.weights > 0
    if not used.any():
        raise StateError(
            f"no pair of {problem.usereads} reads is left to balance; leave out less by "
            "ignore_diags, min_nnz and mad_max, or use other reads"
        )
    mean = state.mean if len(state.mean) > 1 else np.repeat(state.mean, len(scales))
    for chrom in problem.chroms:
        own = np.flatnonzero(used[units.span(chrom)]) + units.span(chrom).start
        if len(own):
            inverse = np.sqrt(mean[chrom]) / state.weights[own]
            scales[chrom] = np.sqrt(mean_product(inverse))
            corrections[own] = inverse / scales[chrom]
    without = int((problem.valid > 0).sum() - used.sum())
    return IceResult(
        corrections.astype(np.float32),
        scales,
        used.astype(np.int32),
        state.trace,
        converged,
        {**masked, "without_reads": without},
    )
