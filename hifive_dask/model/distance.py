"""How the number of reads falls with distance."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.reduce import tree_reduce
from hifive_dask._graph.run import run
from hifive_dask._kernels.coverage import select_pairs
from hifive_dask._kernels.distance import impossible_sums, observed_sums
from hifive_dask._kernels.pair_sums import log_sums
from hifive_dask._kernels.pair_trees import PairTrees, build_trees
from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import ParameterError, StateError
from hifive_dask.genome.partition import Units
from hifive_dask.model.rows import Piece, cis_groups, cis_pieces, rows_by_kind

__all__ = ["DistanceModel", "fit_distance", "log_thresholds"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

_SPLIT = 20_000  # chromosomes with more valid units are summed by several tasks
_PIECES = 32  # trees of such a chromosome
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
        For fewer than 3 bins, negative sizes, or a `minsize` beyond all distances.
    StateError
        If no chromosome has two valid units, fewer than 3 bins have reads, or a valid unit has no
        correction.
    """
    valid = (np.asarray(valid) > 0).astype(np.int32)
    chroms = [c for c in range(len(units.chromosomes)) if valid[units.span(c)].sum() >= 2]
    if not chroms:
        raise StateError(
            f"no chromosome has two {units.unit}s in use; see filter_fends and reset_filter"
        )
    if corrections is not None:
        _check_corrections(units, corrections, valid)
    edges = _edges(units, valid, chroms, numbins, minsize, maxsize)
    thresholds = log_thresholds(edges)
    dense = _possible_graph(units, valid, chroms, thresholds)
    sparse = _observed_graph(units, valid, store, chroms, thresholds, corrections)
    sums = run(
        [tree_reduce(dense, _add), tree_reduce(sparse, _add)], title="distances", silent=silent
    )
    (possible, logs), (observed, signal) = ((x.pairs[:numbins], x.total[:numbins]) for x in sums)
    kept = signal > 0
    if kept.sum() < 3:
        raise StateError(
            f"only {kept.sum()} of {numbins} distance bins have reads, 3 are needed; use a smaller "
            "numbins or minsize, or keep more fends"
        )
    if (possible[kept] <= 0).any():
        raise StateError(
            "pairs were observed at distances at which no pair is possible: the pair store holds "
            "pairs of one fragment, or of another genome; load the reads again"
        )
    mean = np.divide(logs, possible, out=np.full(numbins, np.nan), where=possible > 0)
    return DistanceModel(
        _lines(np.log(signal[kept] / possible[kept]), mean[kept]),
        _lines(np.log(observed[kept] / possible[kept]), mean[kept]),
        edges,
        possible,
        observed,
        signal,
        mean,
    )


def _check_corrections(units: Units, corrections: Float32, valid: Int32) -> None:
    lacking = int(np.count_nonzero(~(corrections > 0) & (valid > 0)))
    if lacking:
        raise StateError(
            f"{lacking} of {valid.sum()} {units.unit}s in use have no correction above 0; learn "
            "corrections with the present filter, or use corrected=False"
        )


def _edges(
    units: Units, valid: Int32, chroms: Sequence[int], numbins: int, minsize: int, maxsize: int
) -> Float32:
    """Upper edges in ln(bp), evenly spaced; the last one is out of reach."""
    try:
        bins = operator.index(numbins)
    except TypeError as error:
        raise ParameterError(f"numbins is {numbins!r}, expected a whole number") from error
    if bins < 3:
        raise ParameterError(f"numbins is {numbins}, expected at least 3")
    if minsize < 0 or maxsize < 0:
        raise ParameterError(f"minsize {minsize} and maxsize {maxsize} must not be negative")
    longest = maxsize
    for span in map(units.span, chroms):
        mid = units.mid[span][valid[span] > 0]
        longest = max(longest, int(mid[-1]) - int(mid[0]))
    if max(minsize, 1) >= longest:
        raise ParameterError(
            f"minsize is {minsize} bp, expected less than the longest distance, {longest} bp"
        )
    low, high = np.log(max(minsize, 1)), np.log(longest)
    edges: Float32 = (low + np.arange(bins) * (high - low) / (bins - 1)).astype(np.float32)
    edges[-1] += np.float32(1.0)
    return edges


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


class _Sums(NamedTuple):
    """Of every distance bin, and what lies beyond."""

    pairs: Int64
    total: Float64


def _add(parts: Sequence[_Sums]) -> _Sums:
    pairs: Int64 = np.sum([part.pairs for part in parts], axis=0)
    return _Sums(pairs, np.sum([part.total for part in parts], axis=0))


class _Chromosome(NamedTuple):
    mid: Int32
    valid: Int32
    fends: bool


def _trees(chromosome: _Chromosome, pieces: int) -> PairTrees:
    mid = chromosome.mid[chromosome.valid > 0]
    edges = np.linspace(0, len(mid), pieces + 1).astype(np.int64)
    return build_trees(mid, np.ones(len(mid)), edges)


def _possible(trees: PairTrees, lo: int, hi: int, thresholds: Int64) -> _Sums:
    """Number of pairs, and their sum of ln(distance), that begin in pieces `lo` to `hi`."""
    return _Sums(*log_sums(trees, lo, hi, thresholds))


def _local(chromosome: _Chromosome, thresholds: Int64) -> _Sums:
    """What the sums over pairs i < j lack: minus impossible pairs, plus bins with themselves."""
    if chromosome.fends:
        pairs, logs = impossible_sums(chromosome.mid, chromosome.valid, thresholds)
        return _Sums(-pairs, -logs)
    itself = np.zeros(len(thresholds) + 1, dtype=np.int64)
    itself[0] = chromosome.valid.sum()
    return _Sums(itself, np.zeros(len(thresholds) + 1))


def _possible_whole(chromosomes: Sequence[_Chromosome], thresholds: Int64) -> _Sums:
    return _add(
        [
            part
            for chromosome in chromosomes
            for part in (
                _possible(_trees(chromosome, 1), 0, 1, thresholds),
                _local(chromosome, thresholds),
            )
        ]
    )


def _possible_graph(
    units: Units, valid: Int32, chroms: Sequence[int], thresholds: Int64
) -> list[Any]:
    """Lazy parts: possible pairs and their sum of ln(distance)."""
    whole = dask.delayed(_possible_whole, pure=True)
    parts = []
    together: list[_Chromosome] = []
    filled = 0
    for span in map(units.span, chroms):
        chromosome = _Chromosome(units.mid[span], valid[span], units.fends)
        size = int(chromosome.valid.sum())
        if size > _SPLIT:
            parts.append(_possible_in_pieces(chromosome, thresholds))
            continue
        if together and filled + size > _SPLIT:
            parts.append(whole(together, thresholds))
            together, filled = [], 0
        together.append(chromosome)
        filled += size
    return [*parts, whole(together, thresholds)] if together else parts


def _possible_in_pieces(chromosome: _Chromosome, thresholds: Int64) -> Any:
    own = dask.delayed(chromosome, pure=True)
    trees = dask.delayed(_trees, pure=True)(own, _PIECES)
    # A row of pieces meets all later ones; equal shares of that triangle.
    share = 1 - np.sqrt(1 - np.linspace(0, 1, _TASKS + 1))
    rows = np.round(share * _PIECES).astype(int)
    task = dask.delayed(_possible, pure=True)
    parts = [task(trees, int(lo), int(hi), thresholds) for lo, hi in pairwise(rows) if lo < hi]
    return tree_reduce([*parts, dask.delayed(_local, pure=True)(own, thresholds)], _add)


def _observed(
    pieces: Sequence[Piece],
    units: Units,
    valid: Int32,
    thresholds: Int64,
    corrections: Float32 | None,
) -> _Sums:
    """Number of rows, and their reads, over the product of the corrections if there are any."""
    parts = []
    for piece in pieces:
        for cis, columns in rows_by_kind(piece, units, "cis"):
            first, second, count = select_pairs(
                *columns, valid, units.mid, mindistance=0, maxdistance=0, cis=cis
            )
            reads = count.astype(np.float64)
            if corrections is not None:
                reads /= corrections[first] * corrections[second]
            rows, signal, _ = observed_sums(first, second, reads, units.mid, thresholds)
            parts.append(_Sums(rows, signal))
    return _add(parts)


def _observed_graph(
    units: Units,
    valid: Int32,
    store: PairStore,
    chroms: Sequence[int],
    thresholds: Int64,
    corrections: Float32 | None,
) -> list[Any]:
    """Lazy parts: rows and reads."""
    task = dask.delayed(_observed, pure=True)
    chosen = np.zeros_like(valid)  # pieces can hold rows of other chromosomes
    for span in map(units.span, chroms):
        chosen[span] = valid[span]
    shared = [dask.delayed(values) for values in (units, chosen, thresholds)]
    given = None if corrections is None else dask.delayed(corrections)
    parts = []
    for group in cis_groups(store, chroms):
        pieces = cis_pieces(store, group)
        batches = [[piece] for piece in pieces] if len(group) == 1 else [pieces]
        parts += [task(batch, *shared, given) for batch in batches if batch]
    none = len(thresholds) + 1
    return parts or [dask.delayed(_Sums(np.zeros(none, dtype=np.int64), np.zeros(none)))]
