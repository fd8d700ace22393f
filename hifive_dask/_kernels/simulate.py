"""Random contacts and read pairs of a simulated genome."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit
from hifive_dask._kernels.pair_rule import is_possible

__all__ = [
    "KINDS",
    "ContactTables",
    "RateTables",
    "ReadColumns",
    "draw_contacts",
    "draw_reads",
    "guide_table",
    "next_bits",
    "random_numbers",
]

KINDS = (
    "contact",
    "long_insert",
    "self_circle",
    "dangling_end",
    "failed_cut",
    "out_of_bounds",
    "unknown_chromosome",
    "duplicate",
)
_TRIES = 1 << 10  # contacts tried at a time
_CONTACT, _LONG, _CIRCLE, _DANGLING, _FAILED, _OUT, _UNKNOWN, _DUPLICATE = range(len(KINDS))


class ContactTables(NamedTuple):
    """What the rate of every pair of fends follows from; see `hifive_dask.simulate.Experiment`.

    Parameters
    ----------
    place
        int32 (N, 4): start and stop (bp) of every fend, its chromosome, and twice the number of
        its domain plus its compartment (0 for A, 1 for B). In one row, for speed.
    accept
        float32 (N): visibility per bp, relative to the largest.
    first, last
        int64 (C): first and last cut site of each chromosome, bp.
    cell_bits, cell_offset, cell_fend
        Fend that holds the first position of each cell of ``2**cell_bits`` bp, per chromosome.
    share, share_guide
        float64 (N), int32 (N): cumulative share of the visibility, and its guide table.
    cluster, cluster_guide
        The same, weighted by nearness to the centromere.
    lengths
        int64 (C): bp.
    """

    place: NDArray[np.int32]
    accept: NDArray[np.float32]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    cell_bits: int
    cell_offset: NDArray[np.int64]
    cell_fend: NDArray[np.int32]
    share: NDArray[np.float64]
    share_guide: NDArray[np.int32]
    cluster: NDArray[np.float64]
    cluster_guide: NDArray[np.int32]
    lengths: NDArray[np.int64]


class RateTables(NamedTuple):
    """Numbers of an `Experiment` as kernels take them."""

    trans: float
    clustering: float
    near: float  # bp; the rate is flat below
    near_share: float  # probability of a distance below `near`
    power: float  # 1 - decay
    low: float  # near ** power
    span: float  # far ** power - near ** power
    insulation: NDArray[np.float64]  # factor by number of borders crossed
    borders: int  # most borders that count
    compartments: float  # factor between unlike compartments
    maxinsert: int
    kinds: NDArray[np.float64]  # cumulative probabilities of KINDS


class ReadColumns(NamedTuple):
    """Read pairs, end by end: chromosome, 1-based position, 1 for the minus strand; kind."""

    chrom1: NDArray[np.int32]
    pos1: NDArray[np.int32]
    minus1: NDArray[np.uint8]
    chrom2: NDArray[np.int32]
    pos2: NDArray[np.int32]
    minus2: NDArray[np.uint8]
    kind: NDArray[np.uint8]


@jit
def next_bits(state):
    """Next 64 random bits: splitmix64, the same on every machine."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@jit
def _uniform(state):
    """Next number of [0, 1)."""
    return np.float64(next_bits(state) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@jit
def _random_numbers(state, out):
    for k in range(len(out)):
        out[k] = _uniform(state)


def random_numbers(seed: int, count: int) -> NDArray[np.float64]:
    """Return the numbers of [0, 1) that a seed gives."""
    out = np.empty(count, dtype=np.float64)
    _random_numbers(_state(seed), out)
    return out


def _state(seed: int) -> NDArray[np.uint64]:
    return np.array([seed & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64)


@jit
def _guide_table(share, guide):
    k = 0
    for cell in range(len(guide)):
        while k < len(share) - 1 and share[k] <= cell / len(guide):
            k += 1
        guide[cell] = k


def guide_table(share: NDArray[np.float64]) -> NDArray[np.int32]:
    """Where to begin looking for u in a cumulative share: one entry per 1/N of u."""
    guide = np.empty(len(share), dtype=np.int32)
    _guide_table(share, guide)
    return guide


@jit
def _pick(share, guide, u):
    k = guide[int(u * len(guide))]
    while share[k] <= u and k < len(share) - 1:
        k += 1
    return k


@jit
def _try_cis(t, r, state, i, x, toss, first, second):
    """Try for cis contacts, one per entry of the scratch arrays; return how many succeeded.

    Each stage is a loop of its own, so that waiting for memory overlaps between tries.
    """
    for k in range(len(i)):
        i[k] = _pick(t.share, t.share_guide, _uniform(state))
    for k in range(len(i)):
        u, v = _uniform(state), _uniform(state)
        if u < r.near_share:
            distance = r.near * (u / r.near_share)
        else:
            u = (u - r.near_share) / (1.0 - r.near_share)
            distance = (r.low + u * r.span) ** (1.0 / r.power)
        # The first bit of the toss is the direction, the rest decides on acceptance.
        toss[k] = 2.0 * v if v < 0.5 else 2.0 * v - 1.0
        start, stop = t.place[i[k], 0], t.place[i[k], 1]
        x[k] = start + _uniform(state) * (stop - start) + (distance if v < 0.5 else -distance)
    for k in range(len(i)):
        c = t.place[i[k], 2]
        second[k] = -1
        if t.first[c] <= x[k] < t.last[c]:
            second[k] = t.cell_fend[t.cell_offset[c] + (np.int64(x[k]) >> t.cell_bits)]
    done = 0
    for k in range(len(i)):
        j = second[k]
        if j < 0:
            continue
        while t.place[j, 1] <= x[k]:
            j += 1
        layer, other = t.place[i[k], 3], t.place[j, 3]
        rate = t.accept[j] * r.insulation[min(abs((layer >> 1) - (other >> 1)), r.borders)]
        if (layer ^ other) & 1:
            rate *= r.compartments
        if toss[k] < rate and is_possible(min(i[k], j), max(i[k], j), True):
            # Entries up to k are not needed any more, and done <= k.
            first[done], second[done] = i[k], j
            done += 1
    return done


@jit
def _try_trans(t, r, state, i, x, toss, first, second):
    """Try for trans contacts, as `_try_cis`."""
    done = 0
    for k in range(len(i)):
        near = _uniform(state) < r.clustering
        share, guide = (t.cluster, t.cluster_guide) if near else (t.share, t.share_guide)
        i[k] = _pick(share, guide, _uniform(state))
        second[k] = _pick(share, guide, _uniform(state))
        toss[k] = 0.0 if near else _uniform(state)
    for k in range(len(i)):
        one, two = t.place[i[k]], t.place[second[k]]
        unlike = (one[3] ^ two[3]) & 1
        if one[2] != two[2] and not (unlike and toss[k] >= r.compartments):
            first[done], second[done] = i[k], second[k]
            done += 1
    return done


@jit
def _draw_contacts(t, r, state, first, second):
    """Fill both arrays. Tries that fail start afresh with both fends: so rates are symmetric."""
    i, toss, x = np.empty(_TRIES, np.int64), np.empty(_TRIES), np.empty(_TRIES)
    ready = np.empty((2, 2, _TRIES), np.int32)
    left = np.zeros(2, np.int64)
    for k in range(len(first)):
        kind = 1 if _uniform(state) < r.trans else 0
        while left[kind] == 0:
            one, two = ready[kind, 0], ready[kind, 1]
            if kind:
                left[kind] = _try_trans(t, r, state, i, x, toss, one, two)
            else:
                left[kind] = _try_cis(t, r, state, i, x, toss, one, two)
        left[kind] -= 1
        first[k], second[k] = ready[kind, 0, left[kind]], ready[kind, 1, left[kind]]


def draw_contacts(
    tables: ContactTables, rates: RateTables, seed: int, count: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Draw `count` contacts: the lower and the higher fend of each."""
    first, second = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32)
    _draw_contacts(tables, rates, _state(seed), first, second)
    return np.minimum(first, second), np.maximum(first, second)


@jit
def _insert(r, state):
    """Insert size in bp, bell-shaped between 12 % and 100 % of the largest."""
    bell = (_uniform(state) + _uniform(state) + _uniform(state)) / 3.0
    return 0.12 * r.maxinsert + 0.88 * r.maxinsert * bell


@jit
def _end(t, fend, distance):
    """Position of a read of a fend that begins `distance` bp from its cut site, at most the
    fragment away; a right fend is read on the plus strand."""
    left = fend - fend % 2
    length = t.place[left + 1, 1] - t.place[left, 0]
    if fend % 2:
        return t.place[fend, 1] - min(max(distance, 0), length - 1)
    return t.place[fend, 0] + min(max(distance, 1), length)


@jit
def _span(t, fend, position):
    return t.place[fend, 1] - position if fend % 2 else position - t.place[fend, 0]


@jit
def _contact_reads(t, r, state, i, j, long):
    """Positions of the reads of a contact: within the largest insert size, or, if long, beyond."""
    for _ in range(_TRIES):
        insert = r.maxinsert * (1.0 + 3.0 * _uniform(state)) + 1 if long else _insert(r, state)
        part = int(_uniform(state) * insert)
        one, two = _end(t, i, part), _end(t, j, int(insert) - part)
        if (_span(t, i, one) + _span(t, j, two) > r.maxinsert) == long:
            break
    return one, two


@jit
def _fragment_reads(t, r, state, i, kind):
    """Reads that never were a ligation of two fragments, at or beside the fragment of fend `i`."""
    left = i - i % 2
    insert = int(_insert(r, state))
    part = int(_uniform(state) * insert)
    if kind == _FAILED:
        # An uncut site between two fragments, read from both sides towards it.
        if left + 2 >= len(t.place) or t.place[left + 2, 2] != t.place[left, 2]:
            left -= 2
        return left + 1, _end(t, left + 1, part), left + 2, _end(t, left + 2, insert - part)
    if kind == _CIRCLE:
        # Both ends of one fragment joined: the reads look outwards.
        return left, _end(t, left, part), left + 1, _end(t, left + 1, insert - part)
    # A piece of one fragment that begins at a cut site and was not ligated: inwards.
    start, stop = t.place[left, 0], t.place[left + 1, 1]
    size = min(insert, stop - start)
    if i % 2:
        return left + 1, stop - size + 1, left, stop
    return left + 1, start + 1, left, start + size


@jit
def _outside(t, c, state):
    """A position of chromosome `c` outside all fragments."""
    before = t.first[c]
    k = int(_uniform(state) * (before + t.lengths[c] - t.last[c]))
    return k + 1 if k < before else t.last[c] + k - before + 1


@jit
def _draw_reads(t, r, state, first, second, chrom1, pos1, minus1, chrom2, pos2, minus2, kinds):
    unknown = len(t.lengths)
    for k in range(len(chrom1)):
        kind = np.searchsorted(r.kinds, _uniform(state), side="right")
        swap = _uniform(state) < 0.5
        if kind == _DUPLICATE and k > 0:
            s = int(_uniform(state) * k)
            chrom1[k], pos1[k], minus1[k] = chrom1[s], pos1[s], minus1[s]
            chrom2[k], pos2[k], minus2[k] = chrom2[s], pos2[s], minus2[s]
        else:
            i, j = np.int64(first[k]), np.int64(second[k])
            if kind in (_CIRCLE, _DANGLING, _FAILED):
                i, one, j, two = _fragment_reads(t, r, state, i, kind)
            else:
                one, two = _contact_reads(t, r, state, i, j, kind == _LONG)
            chrom1[k], pos1[k], minus1[k] = t.place[i, 2], one, 1 - i % 2
            chrom2[k], pos2[k], minus2[k] = t.place[j, 2], two, 1 - j % 2
            if kind == _OUT:
                pos1[k] = _outside(t, chrom1[k], state)
            elif kind == _UNKNOWN:
                chrom1[k], pos1[k] = unknown, 1 + int(_uniform(state) * 10_000)
        if swap:
            chrom1[k], chrom2[k] = chrom2[k], chrom1[k]
            pos1[k], pos2[k] = pos2[k], pos1[k]
            minus1[k], minus2[k] = minus2[k], minus1[k]
        kinds[k] = kind


def draw_reads(tables: ContactTables, rates: RateTables, seed: int, count: int) -> ReadColumns:
    """Draw `count` read pairs, ends in random order.

    Duplicates repeat an earlier pair of the same call. The chromosome of index C is one that the
    genome does not have.
    """
    state = _state(seed)
    first, second = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32)
    _draw_contacts(tables, rates, state, first, second)
    chrom1, pos1, chrom2, pos2 = (np.empty(count, dtype=np.int32) for _ in range(4))
    minus1, minus2, kind = (np.empty(count, dtype=np.uint8) for _ in range(3))
    columns = ReadColumns(chrom1, pos1, minus1, chrom2, pos2, minus2, kind)
    _draw_reads(tables, rates, state, first, second, *columns)
    return columns
