"""Toy data of the specification, and plain oracles of filter and Express."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hifive_dask._store.pairs import PairStore
from hifive_dask.genome.partition import Units
from hifive_dask.model.factors import BinningModel

Array = np.ndarray[Any, Any]


def toy_units(fends: bool = True) -> Units:
    """Toy T: chromosomes of 12 and 8 fends; without `fends` its twin Tb of 12 and 8 bins."""
    mid = [500 + 1000 * k + (137 * (k * k % 7) if fends else 0) for n in (12, 8) for k in range(n)]
    return units_of([12, 8], np.array(mid, dtype=np.int32), fends)


def units_of(sizes: Sequence[int], mid: Array, fends: bool) -> Units:
    """Units of chromosomes with some sizes."""
    names = tuple(f"c{k}" for k in range(len(sizes)))
    offset = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Units(names, offset, mid - 100, mid + 100, mid, fends)


def toy_rows(fends: bool = True, *, trans: bool = True) -> Array:
    """Rows (i, j, reads) of the toy, cis and, unless told otherwise, trans."""
    units, rows = toy_units(fends), []
    for i, j, cis in pairs_of(units):
        if not (cis or trans):
            continue
        n = (5 * i + 3 * j) % 7 - 1 if cis else (2 * i + 3 * j) % 5 - 2
        if n > 0:
            rows.append((i, j, n))
    return np.array(rows)


def pairs_of(units: Units) -> Iterator[tuple[int, int, bool]]:
    """All possible pairs of a genome, and whether they are cis."""
    for i in range(len(units)):
        for j in range(i, len(units)):
            cis = bool(units.chromosome[i] == units.chromosome[j])
            near = j - i < 2 or (i % 2 == 0 and j - i == 3)
            if not (cis and units.fends and near):
                yield i, j, cis


def random_world(
    seed: int, *, fends: bool, density: float, sizes: Sequence[int] = ()
) -> tuple[Units, Array]:
    """Three chromosomes of random positions, and random rows among the possible pairs.

    `sizes` are numbers of units per chromosome, if not three random ones.
    """
    rng = np.random.default_rng(seed)
    sizes = sizes or [2 * int(n) for n in rng.integers(2, 8, 3)]
    mid = np.concatenate([np.cumsum(rng.integers(1, 3000, n)) for n in sizes]).astype(np.int32)
    units = units_of(sizes, mid, fends)
    rows = [
        (i, j, int(rng.integers(1, 9))) for i, j, _ in pairs_of(units) if rng.random() < density
    ]
    return units, np.array(rows or [(0, len(units) - 1, 1)])


def store_of(rows: Array, units: Units) -> PairStore:
    """Pairs in memory."""
    rows = np.asarray(rows).reshape(-1, 3)
    return PairStore.from_memory(
        (rows[:, 0], rows[:, 1], rows[:, 2]),
        units.offset,
        stats={},
        insert_distribution=np.zeros((0, 2), dtype=np.int64),
        token="",
    )


def in_use(units: Units, i: int, j: int, window: tuple[int, int], usereads: str) -> bool:
    """Whether a pair is of the wanted kind and in the window."""
    low, high = window
    if units.chromosome[i] != units.chromosome[j]:
        return usereads != "cis"
    distance = units.mid[j] - units.mid[i]
    return bool(usereads != "trans" and distance >= low and (not high or distance < high))


def plain_core(
    units: Units, rows: Array, valid: Array, least: int, window: tuple[int, int], usereads: str
) -> list[int]:
    """Count partners, drop units with too few, until none is dropped."""
    kept = [int(v > 0) for v in valid]
    while True:
        count = [0] * len(units)
        for i, j, _ in rows.tolist():
            if kept[i] and kept[j] and in_use(units, i, j, window, usereads):
                for unit in {i, j}:
                    count[unit] += 1
        after = [int(v and c >= least) for v, c in zip(kept, count, strict=True)]
        if after == kept:
            return kept
        kept = after


def plain_possible(units: Units, valid: Array, window: tuple[int, int], usereads: str) -> Array:
    """Possible partners of every unit; a bin is its own partner once."""
    count = np.zeros(len(units), dtype=np.int64)
    for i, j, _ in pairs_of(units):
        if valid[i] and valid[j] and in_use(units, i, j, window, usereads):
            count[list({i, j})] += 1
    return count


def expected_reads(units: Units, i: int, j: int, parameters: Array, means: Array) -> float:
    """exp(a ln d + b + mean of the chromosome) of the first segment that reaches to ln d."""
    length = np.log(max(1, int(units.mid[j] - units.mid[i])))
    segment = next(k for k, cutoff in enumerate(parameters[:, 0]) if length <= cutoff)
    slope, intercept = parameters[segment, 1:].astype(float)
    return float(np.exp(slope * length + intercept + means[units.chromosome[i]]))


def plain_express(
    units: Units,
    rows: Array,
    valid: Array,
    *,
    usereads: str,
    distance: tuple[Array, Array] | None,
    binary: bool,
    steps: int,
    factors: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Dense iteration without limits of distance but the longest one; no final scaling.

    Returns corrections, trace, and whether units have a pair that is used.
    """
    dense, possible = dense_weights(
        units, rows, valid, usereads=usereads, distance=distance, binary=binary, factors=factors
    )
    used = dense.any(axis=1)
    c, trace = np.ones(len(units)), []
    for _ in range(steps):
        q = (dense / np.outer(c, c)).sum(axis=1)[used] / possible[used]
        trace.append((np.sqrt(((q - 1) ** 2).sum()), np.abs(np.sqrt(q) - 1).max(initial=0.0)))
        c[used] *= np.sqrt(q)
    return c, np.array(trace), used


def dense_weights(
    units: Units,
    rows: Array,
    valid: Array,
    *,
    usereads: str,
    distance: tuple[Array, Array] | None = None,
    binary: bool = False,
    factors: Array | None = None,
    diagonal: int = 2,
) -> tuple[Array, Array]:
    """The symmetric matrix that is balanced, and the possible partners of every unit.

    Reads of a bin with itself count `diagonal` times: twice for Express, once for Knight-Ruiz.
    `factors` (N, N) are divided out of all weights, but not out of the mean of trans pairs.
    """
    cis = [(i, j) for i, j, _ in rows.tolist() if units.chromosome[i] == units.chromosome[j]]
    window = (0, max((int(units.mid[j] - units.mid[i]) for i, j in cis), default=-1) + 1)
    possible = plain_possible(units, valid, window, usereads)
    kinds, total = np.zeros((2, len(units), len(units))), np.zeros(2)
    for i, j, n in rows.tolist():
        trans = int(units.chromosome[i] != units.chromosome[j])
        if not (valid[i] and valid[j] and in_use(units, i, j, window, usereads)):
            continue
        reads = 1 if binary else n
        total[trans] += reads
        mean = 1.0 if trans or distance is None else expected_reads(units, i, j, *distance)
        mean *= 1.0 if factors is None else factors[i, j]
        kinds[trans, i, j] += reads / mean
        if i != j or diagonal == 2:
            kinds[trans, j, i] += reads / mean
    per = np.bincount(units.chromosome, weights=valid)
    scale = np.ones(2)
    if usereads != "cis" and distance is not None and total[1]:
        scale[1] = (per.sum() ** 2 - (per**2).sum()) / 2 / total[1]
    if usereads != "cis" and distance is None and total.any():
        scale[:] = possible.sum() / (2 * total.sum())
    return kinds[0] * scale[0] + kinds[1] * scale[1], possible


def random_binning(units: Units, seed: int, bins: Sequence[int]) -> tuple[BinningModel, Array]:
    """A binning model of some features, and its factors (N, N) by a loop over pairs."""
    rng = np.random.default_rng(seed)
    factors = np.ones((len(units), len(units)))
    indices = np.zeros((len(units), len(bins), 2), dtype=np.int32)
    offset, corrections = [0], []
    for h, number in enumerate(bins):
        own = rng.integers(0, number, len(units))
        values = {}
        for p in range(number):
            for q in range(p, number):
                values[p, q] = float(np.float32(rng.uniform(0.5, 2)))
                corrections.append(values[p, q])
        for i in range(len(units)):
            for j in range(len(units)):
                factors[i, j] *= values[min(own[i], own[j]), max(own[i], own[j])]
        indices[:, h, 0] = own
        indices[:, h, 1] = offset[-1] + own * (number - 1) - own * (own - 1) // 2
        offset.append(len(corrections))
    model = BinningModel(
        tuple(f"feature{h}" for h in range(len(bins))),
        np.array(bins, dtype=np.int32),
        np.array(offset, dtype=np.int32),
        np.array(corrections, dtype=np.float32),
        indices,
    )
    return model, factors
