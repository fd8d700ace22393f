"""What a reader gives to the pipeline: read ends, or pairs that were counted already.

A format is one module with one class that follows `ReadSource` or `CountSource`. The pipeline does
the rest: shuffle, duplicates, filters, counting, writing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import HifiveDaskError
from hifive_dask.genome.partition import Partition

__all__ = [
    "MOST_READS",
    "CountJob",
    "CountSource",
    "ReadEnds",
    "ReadJob",
    "ReadSource",
    "UnitCounts",
]

MOST_READS = 2**31 - 1  # of a pair: what a store can hold


class ReadEnds(NamedTuple):
    """Both ends of read pairs that count, on known chromosomes, in file order.

    Parameters
    ----------
    chrom1, chrom2
        int32: chromosome index.
    pos1, pos2
        int64: 1-based position.
    strand1, strand2
        uint8: 0 for plus, 1 for minus.
    left_out
        Other read pairs, by the statistic that they belong to: ``chr_not_in_fends``, or one of
        `hifive_dask.schema.MARKED`.
    """

    chrom1: NDArray[np.int32]
    pos1: NDArray[np.int64]
    strand1: NDArray[np.uint8]
    chrom2: NDArray[np.int32]
    pos2: NDArray[np.int64]
    strand2: NDArray[np.uint8]
    left_out: Mapping[str, int]


class ReadJob(Protocol):
    """A piece of a file, picklable; a task calls it with the index of every chromosome name."""

    @property
    def number(self) -> int:
        """Of the file (or group of files) inside which duplicates may be looked for."""

    def __call__(self, chromosomes: Mapping[str, int]) -> ReadEnds: ...


class ReadSource(Protocol):
    """Files of read pairs."""

    def prepare(self, spill: str, silent: bool) -> Sequence[ReadJob]:
        """Cut the files into jobs; `spill` is a directory for temporary files, removed later."""

    @property
    def reads(self) -> int:
        """About how many read pairs there are, known once prepared; decides the number of tiles."""

    @property
    def found(self) -> Mapping[str, int]:
        """What the history shall record beside the statistics, known once prepared."""

    def name(self) -> str:
        """Of the first file, for messages; known once prepared."""

    def names(self) -> Collection[str]:
        """Names of chromosomes in the files, all or some of them; known once prepared."""

    def explain(self, partition: Partition, stats: Mapping[str, int]) -> HifiveDaskError:
        """Return the error for a load that kept no read pair."""


class UnitCounts(NamedTuple):
    """Pairs of units with their reads, in any order; pairs may be repeated.

    Parameters
    ----------
    unit1, unit2
        int64: global index.
    reads
        int64: from 1 to `MOST_READS`.
    unknown
        Reads left out because a chromosome is not in the genome.
    outside
        Reads left out because they lie in no unit.
    """

    unit1: NDArray[np.int64]
    unit2: NDArray[np.int64]
    reads: NDArray[np.int64]
    unknown: int = 0
    outside: int = 0


class CountJob(Protocol):
    """A piece of a file, picklable; a task calls it."""

    def __call__(self) -> UnitCounts: ...


@runtime_checkable
class CountSource(Protocol):
    """Files of counted pairs."""

    @property
    def in_fends(self) -> bool:
        """Whether the units are fends; else they are bins. Known once prepared."""

    def prepare(self, spill: str, silent: bool) -> Sequence[CountJob]:
        """Cut the files into jobs; `spill` is a directory for temporary files, removed later."""

    @property
    def rows(self) -> int:
        """About how many pairs there are, known once prepared; decides the number of tiles."""

    def name(self) -> str:
        """Of the file, for messages; known once prepared."""

    def explain(self, partition: Partition, stats: Mapping[str, int]) -> HifiveDaskError:
        """Return the error for a load that kept no pair."""
