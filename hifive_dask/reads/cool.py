"""Counted pairs of bins in coolers as a source."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import InputError, ParameterError
from hifive_dask.genome.cool import (
    bin_columns,
    bin_size,
    choose_cooler,
    number_of_pixels,
    open_cooler,
    read_pixels,
)
from hifive_dask.genome.files import Snapshot
from hifive_dask.genome.partition import Partition, Units
from hifive_dask.reads.diagnose import explain_nothing_counted
from hifive_dask.reads.source import UnitCounts

__all__ = ["CoolCounts"]

_PIXELS = 1 << 20  # per task
_UNKNOWN, _OUTSIDE = -1, -2  # bins of the cooler: of another chromosome, of no bin


@dataclass(frozen=True)
class _Job:
    uri: str
    state: Snapshot
    bins: NDArray[np.int32]
    lo: int
    hi: int

    def __call__(self) -> UnitCounts:
        with self.state.kept(_path(self.uri), self.uri):
            id1, id2, reads = read_pixels(open_cooler(self.uri), self.lo, self.hi)
        first, second = (self.bins[ids].astype(np.int64) for ids in (id1, id2))
        unknown = (first == _UNKNOWN) | (second == _UNKNOWN)
        outside = ~unknown & ((first < 0) | (second < 0))
        kept = ~unknown & ~outside & (reads > 0)
        return UnitCounts(
            first[kept],
            second[kept],
            reads[kept],
            int(reads[unknown].sum()),
            int(reads[outside].sum()),
        )


class CoolCounts:
    """Counted pairs of bins of a cooler.

    Every bin of the partition must be a bin of the cooler; the last one of a chromosome may be
    clipped at its end, and chromosomes may be in another order. Reads in other bins of the cooler
    are out of bounds, those of other chromosomes on unknown chromosomes.

    Parameters
    ----------
    address
        ``FILE`` or ``FILE::GROUP``. Without group, a file of several coolers must hold one that
        fits the partition.
    partition
        The genome, with bins.
    pixels
        Per task. The result does not depend on it.

    Raises
    ------
    ParameterError
        If the partition has no bins.
    """

    in_fends = False

    def __init__(
        self, address: str | os.PathLike[str], partition: Partition, *, pixels: int = _PIXELS
    ) -> None:
        if partition.bins is None:
            raise ParameterError(
                "the partition has no bins, which coolers are counted in; make one with bins, for "
                "example of the cooler itself: load_bins(cooler, format='cool') makes it"
            )
        self._address, self._bins, self._pixels = address, partition.bins, pixels
        self.rows = 0

    def prepare(self, spill: str, silent: bool) -> Sequence[_Job]:
        """Find the cooler, match its bins, and cut its pixels into spans.

        Raises
        ------
        InputError
            If there is none, or its bins are not those of the partition; the message names the
            first one.
        """
        bins = self._bins
        uri, cooler = choose_cooler(
            self._address, lambda each: _check(each, bins), "the bins of the partition"
        )
        state = Snapshot.of(_path(uri))
        if cooler.storage_mode != "symmetric-upper":
            raise InputError(
                f"stores its pixels as {cooler.storage_mode!r}, expected 'symmetric-upper'",
                path=uri,
                cure="pairs have no order here; make a symmetric cooler",
            )
        self.rows = number_of_pixels(cooler)
        if self.rows == 0:
            raise InputError("holds no pixels", path=uri)
        match = _match(cooler, bins)
        edges = [*range(0, self.rows, self._pixels), self.rows]
        return [_Job(uri, state, match, lo, hi) for lo, hi in itertools.pairwise(edges)]

    def name(self) -> str:
        """Of the file, for messages."""
        return os.fspath(self._address)

    def explain(self, partition: Partition, stats: Mapping[str, int]) -> InputError:
        """Return the error for a load that kept no pair."""
        return explain_nothing_counted(os.fspath(self._address), stats)


def _path(uri: str) -> str:
    return uri.partition("::")[0]


def _check(cooler: Any, bins: Units) -> None:
    _match(cooler, bins)


def _match(cooler: Any, bins: Units) -> NDArray[np.int32]:
    """Bin of the partition for every bin of the cooler, or `_UNKNOWN` or `_OUTSIDE`.

    Raises
    ------
    InputError
        If a bin of the partition is not one of the cooler.
    """
    chromosome, start, end = bin_columns(cooler, bins.chromosomes)
    match = np.full(len(start), _UNKNOWN, dtype=np.int32)
    order = np.argsort(chromosome, kind="stable")
    edges = np.searchsorted(chromosome[order], np.arange(len(bins.chromosomes) + 1))
    for c, name in enumerate(bins.chromosomes):
        span, ids = bins.span(c), order[edges[c] : edges[c + 1]]
        wanted, wanted_end = (values[span].astype(np.int64) for values in (bins.start, bins.stop))
        if not len(wanted):
            match[ids] = _OUTSIDE
            continue
        if not len(ids):
            raise _mismatch(cooler, f"has no chromosome {name}; it has", cooler.chromnames)
        k = np.searchsorted(start[ids], wanted)
        near = ids[np.minimum(k, len(ids) - 1)]
        good = (start[near] == wanted) & (end[near] == wanted_end)
        # The last bin may be clipped in one of the two at the end of the chromosome.
        good[-1] |= start[near[-1]] == wanted[-1] and near[-1] == ids[-1]
        if not good.all():
            bad = int(np.flatnonzero(~good)[0])
            raise _mismatch(
                cooler,
                f"the partition has the bin {name}:{wanted[bad]}-{wanted_end[bad]}, the cooler "
                f"there {name}:{start[near[bad]]}-{end[near[bad]]}; its bins are of",
                [f"{bin_size(cooler) or 'different'} bp"],
            )
        match[ids] = _OUTSIDE
        match[near] = np.arange(span.start, span.stop)
    return match


def _mismatch(cooler: Any, problem: str, seen: Sequence[str]) -> InputError:
    return InputError(
        f"{problem} {', '.join(seen[:20])}",
        path=cooler.uri,
        cure="use the partition of these bins: load_bins(cooler, format='cool') makes it",
    )
