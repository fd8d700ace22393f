"""A reader of multi-resolution heatmaps of its own: field by field, cell by cell."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


class PlainCell(NamedTuple):
    """A stored cell: level, row, column and score, and how many quarters of it are stored."""

    level: int
    row: int
    column: int
    score: float
    quarters: int


class PlainMrh:
    """All of a file, as tuples."""

    def __init__(self, path: Path) -> None:
        self.content = path.read_bytes()
        assert self.content[:4] == b"\x42\x05\x42\x05"
        self.place = 4
        self.trans, self.n = self._take("ii")
        kinds = 1 + self.trans
        sizes = self._take("i" * self.n)
        self.names = [self._take(f"{size}s")[0].decode() for size in sizes]
        self.pairs = [
            (i, j) for i in range(self.n) for j in range(i, self.n) if self.trans or i == j
        ]
        count = len(self.pairs)
        self.offset = self._take("i" * (count + 1))
        self.bins = [self._take("i" * self.n) for _ in range(kinds)]
        self.data_size = self._take("i" * count)
        self.index_size = self._take("i" * count)
        self.start = [self._take("i" * self.n) for _ in range(kinds)]
        self.stop = [self._take("i" * self.n) for _ in range(kinds)]
        self.low, self.high = self._take("f" * count), self._take("f" * count)
        self.maxbinsize, self.minbinsize = self._take("i" * kinds), self._take("i" * kinds)
        (self.minobservations,) = self._take("i")
        assert self.place == self.offset[0]
        assert self.offset[-1] == len(self.content)

    def _take(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(">" + form, self.content, self.place)
        self.place += struct.calcsize(">" + form)
        return values

    def arrays(self, number: int) -> tuple[tuple[Any, ...], ...]:
        """Data, index and shape of a pair."""
        self.place = self.offset[number]
        size, entries = self.data_size[number], self.index_size[number]
        found = self._take("f" * size), self._take("i" * entries), self._take("h" * entries)
        assert self.place == self.offset[number + 1]
        return found

    def cells(self, number: int) -> Iterator[PlainCell]:
        """Every stored cell of a pair, from the coarsest down; each stored score is met once."""
        one, two = self.pairs[number]
        bins = self.bins[one != two]
        data, index, shape = self.arrays(number)
        top = [(i, j) for i in range(bins[one]) for j in range(i if one == two else 0, bins[two])]
        met = []

        def walk(place: int, level: int, row: int, column: int) -> Iterator[PlainCell]:
            met.append(place)
            bits = shape[place] if place < len(shape) else 0
            if math.isnan(data[place]):
                assert level == bits == 0
                return
            yield PlainCell(level, row, column, data[place], bin(bits).count("1"))
            assert not bits or index[place] > place
            assert bits or place >= len(index) or index[place] == -1
            child = index[place] if bits else 0
            for r in range(2):
                for c in range(2):
                    if bits >> (2 * r + c) & 1:
                        yield from walk(child, level + 1, 2 * row + r, 2 * column + c)
                        child += 1

        for place, (i, j) in enumerate(top if data else []):
            yield from walk(place, 0, i, j)
        assert sorted(met) == list(range(len(data)))
