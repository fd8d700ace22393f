"""Possible and observed pairs of every class of feature bins and distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import dask
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from hifive_dask._graph.reduce import tree_reduce
from hifive_dask._graph.run import run
from hifive_dask._kernels.heatmap import impossible_pairs
from hifive_dask._kernels.pair_classes import (
    PairWindow,
    add_pairs,
    fold_classes,
    window_classes,
)
from hifive_dask._store.pairs import PairStore
from hifive_dask.genome.partition import Units
from hifive_dask.model.factors import triangle_sizes
from hifive_dask.model.filtering import UseReads
from hifive_dask.model.rows import Piece, piece_groups, rows_by_kind

__all__ = ["ClassCounts", "Counting", "count_classes"]

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

_TASKS = 8
_BLOCK = 1 << 22  # pairs of kinds that are counted at a time, 8 bytes each


@dataclass(frozen=True)
class Counting:
    """Which pairs are counted, and into which classes.

    Parameters
    ----------
    units
        The genome.
    valid
        int32 (N): units in use on the chosen chromosomes.
    chroms
        Chosen chromosomes.
    usereads
        Kind of pairs.
    window
        Distances of cis pairs.
    bins, num_bins
        int32 (N, features) and (features): feature bins.
    distance_bins
        Their number, at least 1.
    """

    units: Units
    valid: Int32
    chroms: tuple[int, ...]
    usereads: UseReads
    window: PairWindow
    bins: Int32
    num_bins: Int32
    distance_bins: int

    def empty(self) -> Int64:
        """int64 (classes of bins, distance bins): zeros."""
        return np.zeros((int(triangle_sizes(self.num_bins).prod()), self.distance_bins), np.int64)


class ClassCounts(NamedTuple):
    """int64 (pairs of bins of every feature..., distance bins): pairs that can be, and were."""

    possible: Int64
    observed: Int64


def count_classes(counting: Counting, store: PairStore, *, silent: bool = False) -> ClassCounts:
    """Count all possible pairs, without visiting them, and the rows of a store.

    Parameters
    ----------
    counting
        What to count.
    store
        The pairs; a row counts once, whatever its reads.
    silent
        No progress.
    """
    shared = dask.delayed(counting, traverse=False)
    kinds = dask.delayed(_kinds_of, pure=True)(shared)
    possible = dask.delayed(_possible, pure=True)
    parts = [possible(shared, kinds, part) for part in range(_TASKS)]
    lost, seen = dask.delayed(_impossible, pure=True), dask.delayed(_observed, pure=True)
    if counting.usereads != "trans":
        parts.append(lost(shared))
    chosen = set(counting.chroms)
    blocks = [
        (a, b)
        for a, b in store.blocks
        if {a, b} <= chosen and counting.usereads in ("all", "cis" if a == b else "trans")
    ]
    rows = [seen(group, shared) for group in piece_groups(store, blocks) or [[]]]
    sums = [tree_reduce(parts, _add), tree_reduce(rows, _add)]
    shape = (*triangle_sizes(counting.num_bins).tolist(), counting.distance_bins)
    counts = run(sums, title="counting classes of pairs", silent=silent)
    return ClassCounts(*(count.reshape(shape) for count in counts))


def _add(parts: list[Int64]) -> Int64:
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


class _Kinds(NamedTuple):
    """Units in use, by the combination of their feature bins.

    Parameters
    ----------
    mid, kind
        int32 (n): midpoint; which of the combinations that occur.
    offset
        int64 (chromosomes + 1): first unit of each.
    bins
        int32 (kinds, features): the combinations.
    """

    mid: Int32
    kind: Int32
    offset: Int64
    bins: Int32


def _kinds_of(counting: Counting) -> _Kinds:
    used = [counting.units.span(c) for c in counting.chroms]
    own = [np.flatnonzero(counting.valid[span]) + span.start for span in used]
    chosen = np.concatenate(own)
    bins, kind = np.unique(counting.bins[chosen], axis=0, return_inverse=True)
    offset = np.r_[0, np.cumsum([len(each) for each in own])].astype(np.int64)
    return _Kinds(counting.units.mid[chosen], kind.ravel().astype(np.int32), offset, bins)


def _possible(counting: Counting, kinds: _Kinds, part: int) -> Int64:
    """Pairs whose first unit is of one part of the kinds, of `_TASKS`."""
    tensor = counting.empty()
    size = len(kinds.bins)
    lo, hi = (size * k // _TASKS for k in (part, part + 1))
    step = max(1, _BLOCK // size)
    for start in range(lo, hi, step):
        stop = min(start + step, hi)
        if counting.usereads != "trans":
            _add_cis(counting, kinds, start, stop, tensor)
        if counting.usereads != "cis":
            count = _trans_kinds(kinds, start, stop)
            fold_classes(count, start, kinds.bins, counting.num_bins, tensor, counting.window.trans)
    return tensor


def _add_cis(counting: Counting, kinds: _Kinds, start: int, stop: int, tensor: Int64) -> None:
    window = counting.window
    edges = [window.low - 1, *window.thresholds.tolist(), window.high]
    for k, (before, last) in enumerate(pairwise(edges)):
        low, high = max(window.low, before + 1), min(window.high, last)
        if low > high:
            continue
        count = np.zeros((stop - start, len(kinds.bins)), dtype=np.int64)
        for lo, hi in pairwise(kinds.offset.tolist()):
            window_classes(kinds.mid[lo:hi], kinds.kind[lo:hi], low, high, start, count)
        fold_classes(count, start, kinds.bins, counting.num_bins, tensor, k)


def _trans_kinds(kinds: _Kinds, start: int, stop: int) -> Int64:
    """Pairs of kinds on different chromosomes, each pair of units once."""
    chromosome = np.repeat(np.arange(len(kinds.offset) - 1), np.diff(kinds.offset))
    shape = len(kinds.bins), len(kinds.offset) - 1
    ones = np.ones(len(kinds.kind), dtype=np.int64)
    units = csr_array((ones, (kinds.kind, chromosome)), shape=shape)
    total = np.bincount(kinds.kind, minlength=shape[0])
    both = np.outer(total[start:stop], total) - (units[start:stop] @ units.T).toarray()
    count: Int64 = np.triu(both, start)
    own = np.arange(stop - start)
    count[own, start + own] //= 2  # pairs of one kind were seen from both sides
    return count


def _impossible(counting: Counting) -> Int64:
    """Minus the pairs of neighbours that cannot be observed."""
    units, tensor = counting.units, counting.empty()
    if units.fends:
        pairs = impossible_pairs(0, units.chromosome, counting.valid > 0)
        _count(*pairs, True, counting, tensor)
    return -tensor


def _observed(pieces: Sequence[Piece], counting: Counting) -> Int64:
    tensor = counting.empty()
    for piece in pieces:
        for cis, (first, second, _) in rows_by_kind(piece, counting.units, counting.usereads):
            _count(first, second, cis, counting, tensor)
    return tensor


def _count(first: Any, second: Any, cis: bool, counting: Counting, tensor: Int64) -> None:
    add_pairs(
        first,
        second,
        counting.valid,
        counting.units.mid,
        cis,
        counting.window,
        counting.bins,
        counting.num_bins,
        tensor,
    )
