"""How the number of reads falls with distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.reduce import tree_reduce
from hifive_dask._graph.run import run
from hifive_dask._kernels.distance import observed_sums
from hifive_dask._kernels.pair_sums import PairTrees, build_trees, log_sums
from hifive_dask._store.pairs import PairRows, PairStore
from hifive_dask.errors import ParameterError, StateError
from hifive_dask.genome.partition import Units
from hifive_dask.model.rows import cis_groups, spans_of

__all__ = ["DistanceModel", "fit_distance", "log_thresholds"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

_PIECES = 32  # groups of fends of a chromosome whose trees are compared
_SPLIT = 20_000  # chromosomes with more valid units are summed by several tasks
_TASKS = 8


@dataclass(frozen=True)
class DistanceModel:
    """Piecewise linear ln(reads per possible pair) against ln(distance).

    Parameters
    ----------
    parameters, binary_parameters
        float32 (segments, 3): upper cutoff in ln(bp), the last infinite; slope; intercept. Of
        reads, and of the fraction of possible pairs that were observed.
    edges
        float32 (numbins): upper edges of the distance bins, ln(bp).
    possible, observed
        int64 (numbins): possible and observed pairs of every bin.
    signal
        float64 (numbins): reads, divided by corrections if there are any.
    mean_log_distance
        float64 (numbins): mean ln(distance) of the possible pairs; NaN without any.
    """

    parameters: Float32
    binary_parameters: Float32
    edges: Float32
    possible: Int64
    observed: Int64
    signal: Float64
    mean_log_distance: Float64


def fit_distance(
    units: Units,
    valid: Int32,
    store: PairStore,
    *,
    numbins: int,
    minsize: int,
    maxsize: int,
    corrections: Float32 | None = None,
    silent: bool = False,
) -> DistanceModel:
    """Fit the distance dependence of the cis pairs of units in use.

    Parameters
    ----------
    units, valid, store
        The genome, the filter (int32), the pairs.
    numbins
        Number of distance bins.
    minsize, maxsize
        bp: upper edge of the first bin; lower bound of the edge of the last.
    corrections
        float32 (N): reads are divided by them.
    silent
        No progress.

    Raises
    ------
    ParameterError
        For fewer than 3 bins or negative sizes.
    StateError
        If no chromosome has two valid units, or fewer than 3 bins have reads.
    """
    if numbins < 3:
        raise ParameterError(f"numbins is {numbins}, expected at least 3")
    if minsize < 0 or maxsize < 0:
        raise ParameterError(f"minsize {minsize} and maxsize {maxsize} must not be negative")
    valid = (np.asarray(valid) > 0).astype(np.int32)
    chroms = [c for c in range(len(units.chromosomes)) if valid[units.span(c)].sum() >= 2]
    if not chroms:
        raise StateError("no chromosome has two units in use; see filter_fends and reset_filter")
    edges = _edges(units, valid, chroms, numbins, minsize, maxsize)
    thresholds = log_thresholds(edges)
    dense = [
        _possible_graph(units.mid[span], valid[span], units.fends, thresholds)
        for span in map(units.span, chroms)
    ]
    sparse = _observed_graph(units, valid, store, chroms, thresholds, corrections)
    sums, seen = run(
        [tree_reduce(dense, _add), tree_reduce(sparse, _add)], title="distances", silent=silent
    )
    possible, logs = sums[0, :numbins], sums[1, :numbins]
    observed, signal = seen[0, :numbins], seen[1, :numbins]
    kept = signal > 0
    if kept.sum() < 3:
        raise StateError(
            f"only {kept.sum()} of {numbins} distance bins have reads, 3 are needed; use a smaller "
            "numbins or minsize, or keep more fends"
        )
    mean = np.divide(logs, possible, out=np.full(numbins, np.nan), where=possible > 0)
    return DistanceModel(
        _lines(np.log(signal[kept] / possible[kept]), mean[kept]),
        _lines(np.log(observed[kept] / possible[kept]), mean[kept]),
        edges,
        possible.astype(np.int64),
        observed.astype(np.int64),
        signal,
        mean,
    )


def _edges(
    units: Units, valid: Int32, chroms: Sequence[int], numbins: int, minsize: int, maxsize: int
) -> Float32:
    """Upper edges in ln(bp), evenly spaced; the last one is out of reach."""
    longest = 0
    for span in map(units.span, chroms):
        mid = units.mid[span][valid[span] > 0]
        longest = max(longest, int(mid[-1]) - int(mid[0]))
    low, high = np.log(max(minsize, 1)), np.log(max(maxsize, longest, 1))
    edges = (low + np.arange(numbins) * (high - low) / (numbins - 1)).astype(np.float32)
    edges[-1] += np.float32(1.0)
    result: Float32 = edges
    return result


def log_thresholds(edges: Float32) -> Int64:
    """Largest integer distance d with ln(d) <= edge, for every edge in ln(bp).

    Examples
    --------
    >>> import numpy as np
    >>> from hifive_dask.model.distance import log_thresholds
    >>> log_thresholds(np.log(np.array([200, 30000])).astype(np.float32))
    array([  200, 29999])
    """
    wide = np.minimum(edges.astype(np.float64), 40.0)
    thresholds = np.floor(np.exp(wide)).astype(np.int64)
    thresholds += np.log(thresholds + 1.0) <= wide
    return thresholds - (np.log(np.maximum(thresholds, 1.0)) > wide)


def _lines(values: Float64, mean: Float64) -> Float32:
    """Straight lines between points, as (cutoff, slope, intercept)."""
    table = np.empty((len(values) - 1, 3), dtype=np.float32)
    table[:, 0] = [*mean[1:-1], np.inf]
    table[:, 1] = np.diff(values) / np.diff(mean)
    table[:, 2] = values[1:] - table[:, 1] * mean[1:]
    return table


def _add(parts: list[Float64]) -> Float64:
    total: Float64 = np.sum(parts, axis=0)
    return total


def _trees(mid: Int32, pieces: int) -> PairTrees:
    edges = np.linspace(0, len(mid), pieces + 1).astype(np.int64)
    return build_trees(mid, np.ones(len(mid)), edges)


def _possible(trees: PairTrees, lo: int, hi: int, thresholds: Int64) -> Float64:
    count, logs = log_sums(trees, lo, hi, thresholds)
    return np.stack([count.astype(np.float64), logs])


def _possible_graph(mid: Int32, valid: Int32, fends: bool, thresholds: Int64) -> Any:
    """Lazy (2, K + 1): possible pairs of a chromosome and their sum of ln(distance)."""
    own = mid[valid > 0]
    large = len(own) > _SPLIT
    pieces, tasks = (_PIECES, _TASKS) if large else (1, 1)
    trees = dask.delayed(_trees, pure=True)(own, pieces)
    # A row of pieces meets all later ones; equal shares of that triangle.
    share = 1 - np.sqrt(1 - np.linspace(0, 1, tasks + 1))
    rows = np.round(share * pieces).astype(int)
    task = dask.delayed(_possible, pure=True)
    parts = [task(trees, int(lo), int(hi), thresholds) for lo, hi in pairwise(rows) if lo < hi]
    local = _impossible(mid, valid, thresholds) if fends else _diagonal(len(own), thresholds)
    return dask.delayed(_add, pure=True)([tree_reduce(parts, _add), local])


def _impossible(mid: Int32, valid: Int32, thresholds: Int64) -> Float64:
    """Minus the impossible pairs: (j, j + 1), and (j, j + 3) for even j."""
    total = np.zeros((2, len(thresholds) + 1))
    for gap, step in ((1, 1), (3, 2)):
        both = (valid[:-gap:step] > 0) & (valid[gap::step] > 0)
        distance = (mid[gap::step] - mid[:-gap:step])[both]
        segment = np.searchsorted(thresholds, distance, "left")
        total[0] -= np.bincount(segment, minlength=total.shape[1])
        logs = np.log(np.maximum(distance, 1))
        total[1] -= np.bincount(segment, logs, minlength=total.shape[1])
    return total


def _diagonal(units: int, thresholds: Int64) -> Float64:
    """The pairs of bins with themselves, at distance 1."""
    total = np.zeros((2, len(thresholds) + 1))
    total[0, 0] = units
    return total


def _observed(
    readers: Sequence[PairRows],
    mid: Int32,
    valid: Int32,
    thresholds: Int64,
    corrections: Float32 | None,
) -> Float64:
    parts = [observed_sums(*reader(), valid, mid, thresholds, corrections) for reader in readers]
    return _add([np.zeros((2, len(thresholds) + 1)), *parts])


def _observed_graph(
    units: Units,
    valid: Int32,
    store: PairStore,
    chroms: Sequence[int],
    thresholds: Int64,
    corrections: Float32 | None,
) -> list[Any]:
    """Lazy (2, K + 1) parts: rows and reads."""
    task = dask.delayed(_observed, pure=True)
    shared = [dask.delayed(values) for values in (units.mid, valid, thresholds)]
    given = None if corrections is None else dask.delayed(corrections)
    parts = []
    for group in cis_groups(store, chroms):
        readers = [reader for chrom in group for reader in spans_of(store, chrom, chrom)]
        batches = [[reader] for reader in readers] if len(group) == 1 else [readers]
        parts += [task(batch, *shared, given) for batch in batches if batch]
    return parts or [dask.delayed(np.zeros((2, len(thresholds) + 1)))]
