"""Alignments of one read name become a read pair: a join on disk, bucket by bucket of the names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import dask
import numpy as np

from hifive_dask._graph.run import run
from hifive_dask._kernels.alignments import (
    BUCKETS,
    Alignments,
    is_duplicate,
    match_mates,
    mate_of,
    unpack_ends,
)
from hifive_dask._store.atomic import save_array
from hifive_dask.reads.alignments import Spilled, read_buckets
from hifive_dask.reads.source import ReadEnds

__all__ = ["Matched", "PairJob", "match_files"]

_JOIN = 1 << 21  # alignments joined at once, about


class Matched(NamedTuple):
    """What became of the usable alignments of a group of files.

    Parameters
    ----------
    jobs
        For the pipeline.
    pairs
        Read pairs.
    single
        Alignments without a usable mate.
    repeated
        Alignments whose name more than two have, or two of the same mate.
    """

    jobs: list[PairJob]
    pairs: int
    single: int
    repeated: int


@dataclass(frozen=True)
class PairJob:
    """Read pairs waiting in a file; with `marks`, those flagged as duplicates do not count."""

    path: str
    number: int
    marks: bool

    def __call__(self, chromosomes: Mapping[str, int]) -> ReadEnds:
        """Return the pairs; their chromosomes were looked up when the alignments were read."""
        lone, *words = np.split(np.load(self.path), [1])
        first, second = words[0].reshape(2, -1)
        ends = (*unpack_ends(first), *unpack_ends(second))
        kept = (ends[0] < len(chromosomes)) & (ends[3] < len(chromosomes))
        unknown = len(kept) - int(np.count_nonzero(kept)) + int(lone[0])
        duplicates = 0
        if self.marks:
            marked = kept & (is_duplicate(first) | is_duplicate(second))
            duplicates = int(np.count_nonzero(marked))
            kept &= ~marked
        if not kept.all():
            ends = tuple(column[kept] for column in ends)  # type: ignore[assignment]
        return ReadEnds(*ends, {"chr_not_in_fends": unknown, "marked_duplicates": duplicates})


def match_files(
    files: Sequence[Spilled],
    chromosomes: int,
    number: int,
    *,
    marks: bool,
    spill: str,
    silent: bool,
) -> Matched:
    """Join the alignments of the files of one group.

    Parameters
    ----------
    files
        Of `read_files`.
    chromosomes
        Number of chromosomes; higher indices are unknown ones.
    number
        Of the group.
    marks
        Whether the flag of duplicates counts.
    spill, silent
        Directory; no progress bar.
    """
    parts = min(BUCKETS, sum(file.usable for file in files) // _JOIN + 1)
    edges = np.linspace(0, BUCKETS, parts + 1).astype(int).tolist()
    paths = dask.delayed([path for file in files for path in file.paths], traverse=False)
    task = dask.delayed(_match, pure=False)
    targets = [f"{spill}/pairs-{number}-{k}.npy" for k in range(parts)]
    counts = run(
        [
            task(paths, lo, hi, chromosomes, target)
            for (lo, hi), target in zip(pairwise(edges), targets, strict=True)
        ],
        title="pairing mates",
        silent=silent,
    )
    jobs = [PairJob(target, number, marks) for target in targets]
    return Matched(jobs, *(sum(column) for column in zip(*counts, strict=True)))


def _match(
    paths: Sequence[str], lo: int, hi: int, chromosomes: int, target: str
) -> tuple[int, int, int]:
    """Join some buckets; write the pairs, after the number of lone first mates on unknown
    chromosomes."""
    read = [read_buckets(path, lo, hi) for path in paths]
    alignments = Alignments(*map(np.concatenate, zip(*read, strict=True)))
    first, second, single, repeated = match_mates(alignments)
    lone = (mate_of(single) == 1) & (unpack_ends(single).chromosome >= chromosomes)
    save_array(target, np.concatenate([[np.uint64(np.count_nonzero(lone))], first, second]))
    return len(first), len(single), repeated
