"""The fend filter: units with enough observed partners among themselves."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal, get_args

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.reduce import tree_reduce
from hifive_dask._graph.run import hold, run
from hifive_dask._kernels.coverage import coverage, k_core, select_pairs
from hifive_dask._store.pairs import PairRows, PairStore
from hifive_dask.errors import HifiveDaskWarning, ParameterError
from hifive_dask.genome.partition import Units
from hifive_dask.model.rows import SPAN, cis_groups, spans_of

__all__ = ["UseReads", "check_window", "filter_units"]

UseReads = Literal["cis", "trans", "all"]
Int32 = NDArray[np.int32]


def check_window(mindistance: int, maxdistance: int, usereads: str) -> None:
    """Raise `ParameterError` for distances or kinds of reads that make no sense."""
    if mindistance < 0 or maxdistance < 0:
        raise ParameterError(
            f"mindistance {mindistance} and maxdistance {maxdistance} must not be negative"
        )
    if 0 < maxdistance <= mindistance:
        raise ParameterError(
            f"maxdistance {maxdistance} must be above mindistance {mindistance}, or 0 for no limit"
        )
    if usereads not in get_args(UseReads):
        raise ParameterError(f"usereads is {usereads!r}, expected 'cis', 'trans' or 'all'")


def filter_units(
    units: Units,
    valid: Int32,
    store: PairStore,
    *,
    mininteractions: int,
    mindistance: int,
    maxdistance: int,
    usereads: UseReads,
    silent: bool = False,
) -> Int32:
    """Return the k-core of `valid`: the largest set whose units keep enough partners inside it.

    Parameters
    ----------
    units, store
        The genome and its pairs.
    valid
        int32 (N): current filter.
    mininteractions
        Rows that a unit needs; 0 or less keeps the filter.
    mindistance, maxdistance
        bp: cis rows with ``mindistance <= d < maxdistance`` count; 0 is no upper limit.
    usereads
        Which rows count.
    silent
        No progress.

    Returns
    -------
    int32 (N), 1 for units that stay.

    Warns
    -----
    HifiveDaskWarning
        If no unit stays; the message tells the largest number of partners.
    """
    check_window(mindistance, maxdistance, usereads)
    valid = (np.asarray(valid) > 0).astype(np.int32)
    if mininteractions <= 0:
        return valid
    window = (mindistance, maxdistance)
    peel = _peel_cis if usereads == "cis" else _peel_genome
    result, largest = peel(units, valid, store, mininteractions, window, usereads, silent)
    if not result.any():
        warnings.warn(
            f"no {'fend' if units.fends else 'bin'} is left: none keeps {mininteractions} partners "
            f"({usereads} reads); the most that any has is {largest}. Use a lower mininteractions",
            HifiveDaskWarning,
            stacklevel=3,
        )
    return result


def _selected(
    readers: Sequence[PairRows], units: Units, valid: Int32, window: tuple[int, int], cis: bool
) -> list[tuple[Int32, Int32]]:
    low, high = window
    parts = []
    for reader in readers:
        first, second, _ = select_pairs(
            *reader(), valid, units.mid, mindistance=low, maxdistance=high, cis=cis
        )
        parts.append((first, second))
    return parts


def _peel_chromosomes(
    jobs: Sequence[tuple[slice, list[PairRows]]],
    units: Units,
    valid: Int32,
    least: int,
    window: tuple[int, int],
) -> list[tuple[Int32, int]]:
    """k-core of some chromosomes, one after the other."""
    results = []
    for span, readers in jobs:
        parts = _selected(readers, units, valid, window, cis=True)
        first, second = (
            np.concatenate([np.zeros(0, dtype=np.int32), *(part[k] for part in parts)])
            - np.int32(span.start)
            for k in (0, 1)
        )
        results.append(k_core(first, second, valid[span], least))
    return results


def _peel_cis(
    units: Units,
    valid: Int32,
    store: PairStore,
    least: int,
    window: tuple[int, int],
    usereads: str,
    silent: bool,
) -> tuple[Int32, int]:
    """Chromosomes do not touch each other: one task each, small ones together."""
    shared, current = dask.delayed(units), dask.delayed(valid)
    task = dask.delayed(_peel_chromosomes, pure=True)
    groups = cis_groups(store, range(len(units.chromosomes)))
    tasks = [
        task(
            [(units.span(c), spans_of(store, c, c)) for c in group], shared, current, least, window
        )
        for group in groups
    ]
    result, largest = valid.copy(), 0
    for group, peeled in zip(groups, run(tasks, title="filtering", silent=silent), strict=True):
        for chrom, (kept, most) in zip(group, peeled, strict=True):
            result[units.span(chrom)] = kept
            largest = max(largest, most)
    return result, largest


Rows = list[tuple[Int32, Int32]]


def _select_blocks(
    jobs: Sequence[tuple[bool, list[PairRows]]],
    units: Units,
    valid: Int32,
    window: tuple[int, int],
) -> Rows:
    return [rows for cis, readers in jobs for rows in _selected(readers, units, valid, window, cis)]


def _count(rows: Rows, valid: Int32) -> NDArray[np.int64]:
    total = np.zeros(len(valid), dtype=np.int64)
    for first, second in rows:
        total += coverage(first, second, valid)
    return total


def _add(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    total: NDArray[np.int64] = np.sum(parts, axis=0)
    return total


def _peel_genome(
    units: Units,
    valid: Int32,
    store: PairStore,
    least: int,
    window: tuple[int, int],
    usereads: str,
    silent: bool,
) -> tuple[Int32, int]:
    """Trans rows join all chromosomes: rounds of counting, until nothing is removed."""
    shared, current = dask.delayed(units), dask.delayed(valid)
    select = dask.delayed(_select_blocks, pure=True)
    held = hold(
        [select(jobs, shared, current, window) for jobs in _block_groups(store, usereads)],
        title="reading pairs",
        silent=silent,
    )
    count = dask.delayed(_count, pure=True)
    largest = -1
    while held:
        current = dask.delayed(valid)
        (covered,) = run(
            [tree_reduce([count(rows, current) for rows in held], _add)], silent=silent
        )
        largest = int(covered.max(initial=0)) if largest < 0 else largest
        kept = ((valid > 0) & (covered >= least)).astype(np.int32)
        if kept.sum() == valid.sum():
            break
        valid = kept
    else:
        valid = np.zeros_like(valid)
    return valid, max(largest, 0)


def _block_groups(store: PairStore, usereads: str) -> list[list[tuple[bool, list[Any]]]]:
    """Consecutive blocks of rows, in order, in groups of about `SPAN` rows."""
    groups: list[list[tuple[bool, list[Any]]]] = []
    filled = SPAN
    for a, b in store.blocks:
        if usereads == "trans" and a == b:
            continue
        for reader in spans_of(store, a, b):
            if filled + len(reader) > SPAN:
                groups.append([])
                filled = 0
            groups[-1].append((a == b, [reader]))
            filled += len(reader)
    return groups
