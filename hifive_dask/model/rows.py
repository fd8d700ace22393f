"""Which rows a task owns: whole chromosomes, small ones together, large ones in spans."""

from __future__ import annotations

from collections.abc import Sequence

import dask
import numpy as np

from hifive_dask._graph.run import run
from hifive_dask._graph.spans import split_rows
from hifive_dask._store.pairs import PairRows, PairStore
from hifive_dask.genome.partition import Units

__all__ = ["SPAN", "cis_groups", "longest_distance", "spans_of"]

SPAN = 1 << 22  # rows per reading step
GROUP = 1 << 19  # chromosomes with fewer rows share a task until they have this many


def cis_groups(store: PairStore, chroms: Sequence[int], rows: int = GROUP) -> list[list[int]]:
    """Group chromosomes, in order, into tasks of about `rows` cis rows or one chromosome."""
    groups: list[list[int]] = []
    filled = 0
    for chrom in chroms:
        lo, hi = store.block_rows(chrom, chrom)
        if not groups or filled + hi - lo > rows:
            groups.append([])
            filled = 0
        groups[-1].append(chrom)
        filled += hi - lo
    return groups


def spans_of(store: PairStore, chrom1: int, chrom2: int, rows: int = SPAN) -> list[PairRows]:
    """Readers of the rows of one pair of chromosomes, at most `rows` each."""
    return [
        store.rows_of(span.lo, span.hi)
        for span in split_rows(store.block_rows(chrom1, chrom2), rows)
    ]


def _longest(readers: Sequence[PairRows], units: Units) -> int:
    longest = -1
    for reader in readers:
        first, second, _ = reader()
        longest = max(longest, int(np.max(units.mid[second] - units.mid[first], initial=-1)))
    return longest


def longest_distance(units: Units, store: PairStore, *, silent: bool = False) -> int:
    """Longest distance of any stored cis pair, in bp; -1 without cis pairs."""
    shared, task = dask.delayed(units), dask.delayed(_longest, pure=True)
    tasks = [
        task([reader for chrom in group for reader in spans_of(store, chrom, chrom)], shared)
        for group in cis_groups(store, range(len(units.chromosomes)))
    ]
    return max(run(tasks, title="measuring distances", silent=silent), default=-1)
