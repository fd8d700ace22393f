"""BAM records to packed alignments, and alignments of one name to read pairs.

A packed alignment is a 64-bit hash of the read name and a word: mate (2 bits), whether it is marked
as a duplicate (1), nothing (1), chromosome (28), strand (1 for minus), and 1-based position of the
5' end (31).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = [
    "BUCKETS",
    "DAMAGED",
    "MORE",
    "SEEN",
    "Alignments",
    "Ends",
    "find_record",
    "is_duplicate",
    "match_mates",
    "mate_of",
    "read_records",
    "sort_by_bucket",
    "unpack_ends",
]

SEEN = (
    "alignments",
    "secondary_or_supplementary",
    "qc_failed",
    "unmapped",
    "below_min_mapq",
    "first_mates",
    "second_mates",
)
_ALL, _SECONDARY, _FAILED, _UNMAPPED, _LOW, _FIRST, _SECOND = range(7)

BUCKETS = 1024  # of hashes, by their highest bits
_BUCKET_SHIFT = np.uint64(64 - 10)

DONE, MORE, DAMAGED = 0, 1, 2  # how reading ended

_HEAD = 36  # bytes before the read name, with the size of the record
_SMALLEST = 38  # with a name of one letter
_CHAIN = 64  # records that must follow each other for a start to be believed
_MAX_POSITION = 2**31 - 2
_MATE_SHIFT, _CHROMOSOME_SHIFT, _STRAND_SHIFT = np.uint64(62), np.uint64(32), np.uint64(31)
_DUPLICATE_SHIFT = np.uint64(61)
_CHROMOSOME_MASK, _POSITION_MASK = np.uint64(2**28 - 1), np.uint64(2**31 - 1)


class Alignments(NamedTuple):
    """Packed alignments, uint64: `name` hashes and `word`s."""

    name: NDArray[np.uint64]
    word: NDArray[np.uint64]


class Ends(NamedTuple):
    """Chromosome (int32), 1-based position (int64), strand (uint8, 1 for minus)."""

    chromosome: NDArray[np.int32]
    position: NDArray[np.int64]
    strand: NDArray[np.uint8]


@jit
def _uint16(text, at):
    return np.int64(text[at]) | np.int64(text[at + 1]) << 8


@jit
def _int32(text, at):
    value = _uint16(text, at) | _uint16(text, at + 2) << 16
    return value - (1 << 32) if value >> 31 else value


@jit
def _is_record(text, at, lengths):
    """Whether the 36 bytes at `at` can be the head of a record."""
    size, reference, position = _int32(text, at), _int32(text, at + 4), _int32(text, at + 8)
    name, operations, bases = np.int64(text[at + 12]), _uint16(text, at + 16), _int32(text, at + 20)
    if name < 1 or bases < 0 or size < 32 + name + 4 * operations + (bases + 1) // 2 + bases:
        return False
    for number, place in (
        (reference, position),
        (_int32(text, at + 24), _int32(text, at + 28)),
    ):
        if number < -1 or number >= len(lengths) or place < -1:
            return False
        if number >= 0 and place > lengths[number]:
            return False
    end = at + _HEAD + name - 1
    return end >= len(text) or text[end] == 0


@jit
def _find_record(text, lengths):
    for first in range(len(text) - _HEAD + 1):
        at, chain = np.int64(first), 0
        while chain < _CHAIN and at + _HEAD <= len(text) and _is_record(text, at, lengths):
            at += 4 + _int32(text, at)
            chain += 1
        if chain == _CHAIN or (chain and at + _HEAD > len(text)):
            return first
    return -1


def find_record(text: NDArray[np.uint8], lengths: NDArray[np.int64]) -> int:
    """Guess where the first record begins: where records follow each other. -1 for nowhere."""
    return int(_find_record(text, lengths))


@jit
def _hash_name(text, lo, hi):
    """FNV-1a, and a finalizer that spreads it to the high bits."""
    value = np.uint64(0xCBF29CE484222325)
    for k in range(lo, hi):
        value = (value ^ np.uint64(text[k])) * np.uint64(0x100000001B3)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


@jit
def _aligned_length(text, at, operations):
    """Bases of the reference under the CIGAR string: operations M, D, N, = and X."""
    total = np.int64(0)
    for k in range(at, at + 4 * operations, 4):
        code = text[k] & 15
        if code == 0 or code == 2 or code == 3 or code == 7 or code == 8:
            total += (_int32(text, k) & 0xFFFFFFFF) >> 4
    return total


@jit
def _suffix(text, lo, hi):
    """The mate of a name that ends in /1 or /2; 0 for others."""
    mate = np.int64(text[hi - 1]) - 48
    return mate if hi - lo > 2 and text[hi - 2] == 47 and (mate == 1 or mate == 2) else np.int64(0)


@jit
def _ends_in(text, lo, hi, ending):
    """Whether a name ends in two letters, given as a number, and is longer."""
    return hi - lo > 2 and np.int64(text[hi - 2]) << 8 | np.int64(text[hi - 1]) == ending


@jit
def _read_records(text, at, stop, chromosome, mate, ending, min_mapq, seen, name, word):
    count = 0
    while at < stop:
        if at + 4 > len(text):
            return at, count, MORE
        size = _int32(text, at)
        if size < _SMALLEST - 4 - 1:
            return at, count, DAMAGED
        if at + 4 + size > len(text):
            return at, count, MORE
        letters, operations = np.int64(text[at + 12]), _uint16(text, at + 16)
        reference, position = _int32(text, at + 4), _int32(text, at + 8)
        body = at + _HEAD
        if (
            letters < 1
            or 32 + letters + 4 * operations > size
            or reference < -1
            or reference >= len(chromosome)
        ):
            return at, count, DAMAGED
        flag, mapq = _uint16(text, at + 18), text[at + 13]
        record, at = at, at + 4 + size
        seen[_ALL] += 1
        if flag & 0x900 != 0:
            seen[_SECONDARY] += 1
            continue
        is_first, is_second = (flag & 0xC0) == 0x40, (flag & 0xC0) == 0x80
        seen[_FIRST] += is_first
        seen[_SECOND] += is_second
        if flag & 0x200 != 0:
            seen[_FAILED] += 1
            continue
        aligned = _aligned_length(text, body + letters, operations)
        if flag & 4 != 0 or reference < 0 or position < 0 or aligned == 0:
            seen[_UNMAPPED] += 1
            continue
        if mapq < min_mapq:
            seen[_LOW] += 1
            continue
        minus = (flag >> 4) & 1
        place = position + (aligned if minus else 1)
        if place > _MAX_POSITION:
            return record, count, DAMAGED
        end, own = body + letters - 1, np.int64(mate)
        suffix = _suffix(text, body, end)
        if suffix > 0 or _ends_in(text, body, end, ending):
            end -= 2
        if own == 0:
            own = np.int64(1 if is_first else 2 if is_second else suffix)
        name[count] = _hash_name(text, body, end)
        word[count] = (
            np.uint64(own) << _MATE_SHIFT
            | np.uint64((flag >> 10) & 1) << _DUPLICATE_SHIFT
            | np.uint64(chromosome[reference]) << _CHROMOSOME_SHIFT
            | np.uint64(minus) << _STRAND_SHIFT
            | np.uint64(place)
        )
        count += 1
    return at, count, DONE


def read_records(
    text: NDArray[np.uint8],
    at: int,
    stop: int,
    chromosome: NDArray[np.int32],
    *,
    mate: int,
    ending: bytes,
    min_mapq: int,
    seen: NDArray[np.int64],
) -> tuple[int, int, Alignments]:
    """Read the records that begin from `at` to before `stop`.

    Parameters
    ----------
    text
        Inflated BAM.
    at, stop
        Bytes; a record begins at `at`.
    chromosome
        int32: index of each reference of the header.
    mate
        1 or 2 for all, or 0: by the flags, else by the suffix of the name, else unknown.
    ending
        Two letters that are no part of a name, beside ``/1`` and ``/2``; or none.
    min_mapq
        Least mapping quality.
    seen
        int64 (7): counts of `SEEN` are added to.

    Returns
    -------
    at
        Where the next record begins.
    status
        DONE, MORE if that record begins before `stop` but is not whole, DAMAGED if it is no record.
    alignments
        The usable ones: mapped, primary, not failed, of enough quality.
    """
    most = max(0, stop - at) // (_SMALLEST - 1) + 1
    name, word = np.empty(most, dtype=np.uint64), np.empty(most, dtype=np.uint64)
    after, count, status = _read_records(
        text, at, stop, chromosome, mate, int.from_bytes(ending), min_mapq, seen, name, word
    )
    return int(after), int(status), Alignments(name[:count], word[:count])


@jit
def _sort_by_bucket(name, word, offset, name_out, word_out):
    for k in range(len(name)):
        offset[np.int64(name[k] >> _BUCKET_SHIFT) + 1] += 1
    for k in range(BUCKETS):
        offset[k + 1] += offset[k]
    place = offset[:-1].copy()
    for k in range(len(name)):
        bucket = np.int64(name[k] >> _BUCKET_SHIFT)
        name_out[place[bucket]] = name[k]
        word_out[place[bucket]] = word[k]
        place[bucket] += 1


def sort_by_bucket(alignments: Alignments) -> tuple[NDArray[np.int64], Alignments]:
    """Sort by the bucket of the name; return the offsets of the buckets too."""
    offset = np.zeros(BUCKETS + 1, dtype=np.int64)
    out = Alignments(*map(np.empty_like, alignments))
    _sort_by_bucket(*alignments, offset, *out)
    return offset, out


@jit
def _match_mates(name, word, first, second, single):
    pairs, singles, repeated = 0, 0, 0
    k = 0
    while k < len(name):
        end = k + 1
        while end < len(name) and name[end] == name[k]:
            end += 1
        if end == k + 1:
            single[singles] = word[k]
            singles += 1
        else:
            low, high = min(word[k], word[k + 1]), max(word[k], word[k + 1])
            mate = low >> _MATE_SHIFT
            if end > k + 2 or (mate != 0 and mate == high >> _MATE_SHIFT):
                repeated += end - k
            else:
                first[pairs], second[pairs] = low, high
                pairs += 1
        k = end
    return pairs, singles, repeated


def match_mates(
    alignments: Alignments,
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64], int]:
    """Join alignments by name.

    Returns
    -------
    first, second
        Words of pairs: two alignments of a name that no other has, not both of the same mate.
    single
        Words of alignments whose name no other has.
    repeated
        Number of all others.
    """
    order = np.argsort(alignments.name)
    name, word = alignments.name[order], alignments.word[order]
    half = len(name) // 2
    first, second = np.empty(half, dtype=np.uint64), np.empty(half, dtype=np.uint64)
    single = np.empty_like(name)
    pairs, singles, repeated = _match_mates(name, word, first, second, single)
    return first[:pairs], second[:pairs], single[:singles], repeated


def unpack_ends(word: NDArray[np.uint64]) -> Ends:
    """Unpack the 5' ends of words."""
    return Ends(
        (word >> _CHROMOSOME_SHIFT & _CHROMOSOME_MASK).astype(np.int32),
        (word & _POSITION_MASK).astype(np.int64),
        (word >> _STRAND_SHIFT & np.uint64(1)).astype(np.uint8),
    )


def is_duplicate(word: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether alignments are marked as duplicates."""
    return (word >> _DUPLICATE_SHIFT & np.uint64(1)).astype(np.bool_)


def mate_of(word: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Mates of words: 1, 2, or 0 for unknown."""
    return (word >> _MATE_SHIFT).astype(np.uint8)
