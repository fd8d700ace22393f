"""Files of multi-resolution heatmaps (.mrh): bytes from arrays, and arrays from bytes.

All numbers are big-endian, nothing is padded. See ``docs/mrh.md`` for the layout.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hifive_dask._store.atomic import replacing_file
from hifive_dask._store.places import local
from hifive_dask.errors import ParameterError, StoreError
from hifive_dask.genome.table import INT32_MAX

__all__ = [
    "Header",
    "PairArrays",
    "Scale",
    "check_size",
    "is_mrh",
    "pair_chromosomes",
    "read_header",
    "write_mrh",
]

PathLike = str | os.PathLike[str]
Int64 = NDArray[np.int64]

MAGIC = bytes.fromhex("42054205")
LARGEST = 2**31 - 1  # bytes of a file, since offsets are signed 32-bit numbers
_INT, _SHORT, _FLOAT = np.dtype(">i4"), np.dtype(">i2"), np.dtype(">f4")


@dataclass(frozen=True)
class PairArrays:
    """Scores of a chromosome, or of a pair of chromosomes, level after level.

    Parameters
    ----------
    data
        float32: log2(observed / expected). First all cells of the coarsest level, NaN where there
        are too few reads, then of every further level the stored quarters of the level before.
    index
        int32: for every cell but those of the last level the position of its first stored quarter,
        -1 without one.
    shape
        int16: which quarters are stored, bit ``2 r + c`` for that in half r of the rows and half c
        of the columns.
    """

    data: NDArray[np.float32]
    index: NDArray[np.int32]
    shape: NDArray[np.int16]

    @property
    def nbytes(self) -> int:
        """Bytes in a file."""
        return 4 * len(self.data) + 6 * len(self.index)


@dataclass(frozen=True)
class Scale:
    """Bins of all chromosomes, of maps of one chromosome or of maps of two.

    Parameters
    ----------
    maxbinsize, minbinsize
        bp, a power of two apart.
    bins
        int64 (n): bins of the coarsest level.
    start
        int64 (n), bp: where the first bin begins; can be negative.
    """

    maxbinsize: int
    minbinsize: int
    bins: Int64
    start: Int64

    @property
    def stop(self) -> Int64:
        """int64 (n), bp: where the last bin ends."""
        return self.start + self.bins * self.maxbinsize

    @property
    def depth(self) -> int:
        """The last level; the coarsest is 0."""
        return (self.maxbinsize // self.minbinsize).bit_length() - 1


@dataclass(frozen=True)
class Header:
    """What a file says before the scores.

    Parameters
    ----------
    names
        Chromosomes, n of them.
    cis, trans
        Bins within and between chromosomes; `trans` is None if there are no maps of two.
    minobservations
        Reads that every stored cell has at least.
    offset
        int64 (P + 1): first byte of every pair, then the size of the file. Pairs are (0, 0),
        (0, 1), ... (1, 1), ...; without trans (0, 0), (1, 1), ...
    data_size, index_size
        int64 (P): numbers of scores and of cells that can have quarters.
    minscore, maxscore
        float32 (P): the smallest and largest score, 0 without any.
    """

    names: tuple[str, ...]
    cis: Scale
    trans: Scale | None
    minobservations: int
    offset: Int64
    data_size: Int64
    index_size: Int64
    minscore: NDArray[np.float32]
    maxscore: NDArray[np.float32]

    def pair_number(self, one: int, two: int) -> int:
        """Number of a pair of chromosomes, the first not after the second."""
        if self.trans is None:
            return one
        return one * (len(self.names) - 1) - one * (one - 1) // 2 + two


def pair_chromosomes(n: int, trans: bool) -> list[tuple[int, int]]:
    """Pairs of n chromosomes in the order of a file."""
    return list(combinations_with_replacement(range(n), 2)) if trans else [(k, k) for k in range(n)]


def is_mrh(path: PathLike) -> bool:
    """Whether a file begins as a multi-resolution heatmap does."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


# Writing


def write_mrh(
    path: PathLike,
    names: Sequence[str],
    cis: Scale,
    trans: Scale | None,
    minobservations: int,
    pairs: Iterable[PairArrays],
) -> None:
    """Write a file, one pair at a time.

    Parameters
    ----------
    path
        The file to make, or the multi-resolution heatmap to replace.
    names, cis, trans, minobservations
        As in `Header`.
    pairs
        In the order of the file; pairs without bins have empty arrays.

    Raises
    ------
    ParameterError
        If it would have more bytes than its offsets can count.
    StoreError
        If something else is there, or it cannot be written; what was there is then untouched.
    """
    where = local(path).resolve()
    if where.exists() and not is_mrh(where):
        raise StoreError(
            f"{where}: is no multi-resolution heatmap and would be replaced by one; remove it, or "
            "write to another file"
        )
    number = len(names) * (len(names) + 1) // 2 if trans else len(names)
    place = _header_size([name.encode() for name in names], number, 2 if trans else 1)
    check_size(where, place)
    offset, sizes, scores = [place], [], []
    with replacing_file(where) as beside, open(beside, "wb") as file:
        file.seek(place)
        for arrays in pairs:
            place += arrays.nbytes
            check_size(where, place)
            file.write(arrays.data.astype(_FLOAT).tobytes())
            file.write(arrays.index.astype(_INT).tobytes())
            file.write(arrays.shape.astype(_SHORT).tobytes())
            offset.append(place)
            sizes.append((len(arrays.data), len(arrays.index)))
            known = arrays.data[~np.isnan(arrays.data)]
            scores.append((known.min(), known.max()) if len(known) else (0, 0))
        size = np.array(sizes, dtype=np.int64).reshape(-1, 2).T
        score = np.array(scores, dtype=np.float32).reshape(-1, 2).T
        position = np.array(offset, dtype=np.int64)
        file.seek(0)
        file.write(
            _pack(Header(tuple(names), cis, trans, minobservations, position, *size, *score))
        )


def check_size(where: PathLike, size: int) -> None:
    """Raise `ParameterError` if a file would be larger than the format allows."""
    if size > LARGEST:
        raise ParameterError(
            f"{where}: would have more than {LARGEST:,} bytes, which is all that this format can "
            "count; use a larger minbinsize, trans_minbinsize or minobservations, fewer chroms, or "
            "includetrans=False"
        )


def _header_size(names: Sequence[bytes], pairs: int, kinds: int) -> int:
    n = len(names)
    per_chromosome = 4 + 12 * kinds
    return 20 + n * per_chromosome + sum(map(len, names)) + 20 * pairs + 8 * kinds


def _pack(header: Header) -> bytes:
    names = [name.encode() for name in header.names]
    scales = [scale for scale in (header.cis, header.trans) if scale is not None]
    parts: list[Any] = [
        [len(scales) - 1],
        [len(names)],
        [len(name) for name in names],
        b"".join(names),
        header.offset,
        *(scale.bins for scale in scales),
        header.data_size,
        header.index_size,
        *(scale.start for scale in scales),
        *(scale.stop.clip(max=INT32_MAX) for scale in scales),
        header.minscore,
        header.maxscore,
        [scale.maxbinsize for scale in scales],
        [scale.minbinsize for scale in scales],
        [header.minobservations],
    ]
    return MAGIC + b"".join(part if isinstance(part, bytes) else _bytes(part) for part in parts)


def _bytes(values: Sequence[int] | NDArray[np.generic]) -> bytes:
    array = np.asarray(values)
    return array.astype(_FLOAT if array.dtype.kind == "f" else _INT).tobytes()


# Reading


class _Cursor:
    """Takes arrays from bytes, one after the other."""

    def __init__(self, where: Path, content: NDArray[np.uint8]) -> None:
        self._where, self._content, self.place = where, content, 0

    def take(self, count: int, kind: np.dtype[np.generic] = _INT) -> NDArray[np.int64]:
        return self.raw(count * kind.itemsize).view(kind).astype(np.int64)

    def floats(self, count: int) -> NDArray[np.float32]:
        return self.raw(4 * count).view(_FLOAT).astype(np.float32)

    def raw(self, count: int) -> NDArray[np.uint8]:
        part = self._content[self.place : self.place + count]
        if count < 0 or len(part) < count:
            raise StoreError(f"{self._where}: ends within the header; get or make it again")
        self.place += count
        return np.array(part)


def read_header(path: PathLike) -> Header:
    """Read what a file says before the scores.

    Raises
    ------
    StoreError
        If it is missing, no multi-resolution heatmap, or cut short.
    """
    where = local(path).resolve()
    if not is_mrh(where):
        what = "is no multi-resolution heatmap" if where.exists() else "does not exist"
        raise StoreError(f"{where}: {what}")
    size = where.stat().st_size
    cursor = _Cursor(where, np.memmap(where, dtype=np.uint8, mode="r"))
    cursor.raw(len(MAGIC))
    trans, n = cursor.take(2).tolist()
    kinds = 2 if trans else 1
    lengths = cursor.take(n).tolist()
    names = tuple(cursor.raw(length).tobytes().decode() for length in lengths)
    pairs = n * (n + 1) // 2 if trans else n
    offset = cursor.take(pairs + 1)
    bins = [cursor.take(n) for _ in range(kinds)]
    data_size, index_size = cursor.take(pairs), cursor.take(pairs)
    start = [cursor.take(n) for _ in range(kinds)]
    cursor.take(n * kinds)  # stops follow from starts and bins
    minscore, maxscore = cursor.floats(pairs), cursor.floats(pairs)
    largest, smallest = cursor.take(kinds).tolist(), cursor.take(kinds).tolist()
    minobservations = int(cursor.take(1)[0])
    whole = np.array_equal(np.diff(offset), 4 * data_size + 6 * index_size)
    if not whole or offset[0] != cursor.place or offset[-1] != size:
        raise StoreError(
            f"{where}: has {size:,} bytes, and its header speaks of {int(offset[-1]):,}; it was "
            "cut short or changed, get or make it again"
        )
    scales = [Scale(largest[k], smallest[k], bins[k], start[k]) for k in range(kinds)]
    between = scales[1] if trans else None
    return Header(
        names, scales[0], between, minobservations, offset, data_size, index_size, minscore,
        maxscore,
    )  # fmt: skip
