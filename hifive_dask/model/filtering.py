"""The fend filter: units with enough observed partners among themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import HifiveDaskWarning, ParameterError, warn
from hifive_dask.genome.partition import Units
from hifive_dask.model.checks import check_length, whole_number
from hifive_dask.model.cores import Asked, find_cores
from hifive_dask.model.filter_result import (
    FEW,
    HALF,
    MOST,
    PYTHON,
    FilterResult,
    choose,
    half_of_chromosome,
    half_stays,
    hardly_left,
    name_left,
    suggest_binsize,
)
from hifive_dask.model.marginals import chromosome_reads

__all__ = ["UseReads", "check_window", "filter_units", "find_filter"]

UseReads = Literal["cis", "trans", "all"]
Bool = NDArray[np.bool_]
Int32 = NDArray[np.int32]


def check_window(mindistance: int, maxdistance: int | None, usereads: str) -> tuple[int, int]:
    """Return both distances as int, 0 for no upper limit.

    Raises
    ------
    ParameterError
        For distances or kinds of reads that make no sense.
    """
    mindistance = whole_number("mindistance", mindistance)
    maxdistance = whole_number("maxdistance", 0 if maxdistance is None else maxdistance)
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
    return mindistance, maxdistance


def filter_units(
    units: Units,
    valid: Int32,
    store: PairStore,
    *,
    mininteractions: int | Literal["auto"],
    mindistance: int,
    maxdistance: int | None,
    usereads: UseReads,
    silent: bool = False,
) -> Int32:
    """Return the k-core of `valid`, the filter that `find_filter` finds.

    Warns
    -----
    HifiveDaskWarning
        If less than a fifth of the units with reads stay, of the genome or of a chromosome.
    """
    result, found = find_filter(
        units,
        valid,
        store,
        mininteractions=mininteractions,
        mindistance=mindistance,
        maxdistance=maxdistance,
        usereads=usereads,
        silent=silent,
    )
    for text in found.warnings(PYTHON, enough=FEW):
        warn(text, HifiveDaskWarning)
    return result


def find_filter(
    units: Units,
    valid: Int32,
    store: PairStore,
    *,
    mininteractions: int | Literal["auto"],
    mindistance: int,
    maxdistance: int | None,
    usereads: UseReads,
    silent: bool = False,
) -> tuple[Int32, FilterResult]:
    """Find the k-core of `valid`: the largest set whose units keep enough partners inside it.

    Parameters
    ----------
    units, store
        The genome and its pairs.
    valid
        int32 (N): current filter.
    mininteractions
        Rows that a unit needs; 0 or less keeps the filter. ``"auto"`` is the largest number from 3
        to 10 that keeps half of the units with rows, else 3; among cis rows, a chromosome with
        hardly twice as many units with rows needs half of the others instead.
    mindistance, maxdistance
        bp: cis rows with ``mindistance <= d < maxdistance`` count; 0 or None is no upper limit.
    usereads
        Which rows count.
    silent
        No progress.

    Returns
    -------
    int32 (N), 1 for units that stay, and what there is to say of them.

    Raises
    ------
    ParameterError
        For numbers that are not whole or out of range, or a filter of the wrong length.
    """
    window = check_window(mindistance, maxdistance, usereads)
    auto = isinstance(mininteractions, str) and mininteractions == "auto"
    most = MOST if auto else max(0, whole_number("mininteractions", mininteractions))
    check_length("the filter", valid, units)
    valid = (np.asarray(valid) > 0).astype(np.int32)
    before = int(valid.sum())
    if not most or not before:
        return valid, FilterResult(_kind(units), usereads, auto, most, len(valid), before)
    asked = Asked(most, *window, usereads, lower=auto)
    core, largest = find_cores(units, valid, store, asked, silent=silent)
    with_reads, keeps = core > 0, {}
    own = core.copy()
    if auto:
        if usereads == "cis":
            core[core >= half_of_chromosome(units, with_reads)] = MOST
        keeps = {least: int((core >= least).sum()) for least in range(1, MOST + 1)}
        most = choose(keeps)
    kept = core >= most
    found = FilterResult(
        _kind(units), usereads, auto, most, len(valid), before, int(with_reads.sum()),
        int(kept.sum()), largest, tuple(keeps.items()),
    )  # fmt: skip
    found = _describe_losses(found, units, store, kept, with_reads, silent)
    if auto and found.left:
        first = units.span(units.chromosomes.index(found.left[0].name))
        found = replace(found, half_of_left=half_stays(own[first]))
    return kept.astype(np.int32), found


def _kind(units: Units) -> str:
    return "fends" if units.fends else "bins"


def _describe_losses(
    found: FilterResult, units: Units, store: PairStore, kept: Bool, with_reads: Bool, silent: bool
) -> FilterResult:
    """Add the reads of chromosomes of which little is left; they are counted only then."""
    number = len(units.chromosomes)
    left, seen = (
        np.bincount(units.chromosome[each], minlength=number) for each in (kept, with_reads)
    )
    little, few = found.share < HALF, hardly_left(left, seen)
    if not little and not few.any():
        return found
    chroms = range(number) if little else np.flatnonzero(few).tolist()
    reads = chromosome_reads(units, store, chroms, found.usereads, silent=silent)
    size = suggest_binsize(units, int(reads.sum())) if little else None
    return replace(found, left=name_left(units.chromosomes, left, seen, reads), binsize=size)
