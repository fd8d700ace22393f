"""Fends from the sequence of a genome: cut it with enzymes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import progress
from hifive_dask._kernels.sequence import gc_fractions
from hifive_dask.errors import InputError, InputWarning, ParameterError, warn
from hifive_dask.genome.build import fends_from_fragments
from hifive_dask.genome.enzymes import Enzyme, cut_sites, merge_cuts
from hifive_dask.genome.fasta import read_fasta
from hifive_dask.genome.order import Order, order_names
from hifive_dask.genome.partition import Units
from hifive_dask.genome.table import name_list
from hifive_dask.genome.windows import fend_windows

__all__ = ["Digest", "digest_fasta"]

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Digest:
    """Fends of a genome, and what was found on the way.

    Parameters
    ----------
    units
        The fends, with the features ``length`` and ``gc`` if they were asked for.
    sites
        Number of cut sites of every enzyme. A site that two enzymes cut counts for both.
    left_out
        Number of sequences that were not wanted.
    lengths
        int64 (C): bp of every sequence.
    """

    units: Units
    sites: dict[str, int]
    left_out: int
    lengths: Int64


def digest_fasta(
    path: str | os.PathLike[str],
    enzymes: Sequence[Enzyme],
    *,
    chroms: Sequence[str] = ("*",),
    minlength: int = 0,
    length: bool = True,
    gc_window: int | None = 200,
    order: Order = "input",
    silent: bool = False,
) -> Digest:
    """Cut all sequences of a FASTA file.

    A cut lies before the first base that follows it on the plus strand. What lies before the first
    and after the last cut of a sequence is not part of the partition.

    Parameters
    ----------
    path
        The file; plain, gzip or bgzip.
    enzymes
        What cuts.
    chroms
        Patterns of the names that are wanted, as in a shell.
    minlength
        Length that a sequence must have, in bp.
    length
        Whether the length of the fragment, in bp, is a feature.
    gc_window
        Bases inward from the cut whose GC fraction is a feature, in bp; None for no such feature.
    order
        Of the sequences, as in `order_names`.
    silent
        No progress.

    Raises
    ------
    InputError
        If the file is not as expected, an enzyme has no site, or no sequence has two.
    ParameterError
        If a pattern fits no name, or no sequence is left.
    """
    cutting = _Cutting(enzymes, gc_window)
    lengths: dict[str, int] = {}
    left_out: list[str] = []
    size = os.path.getsize(path) if os.path.isfile(path) else 0
    with progress("Digesting", size, silent=silent) as advance:
        for name, sequence in read_fasta(path, advance):
            wanted = any(fnmatchcase(name, pattern) for pattern in chroms)
            if wanted and len(sequence) >= minlength:
                lengths[name] = len(sequence)
                cutting.cut(sequence)
            else:
                left_out.append(name)
            del sequence  # or two of them are in memory while the next one is read
    names = list(lengths)
    _check_patterns(path, chroms, names + left_out)
    if not names:
        raise ParameterError(f"{path}: no sequence is left with minlength={minlength}")
    for enzyme, sites in cutting.sites.items():
        if not sites:
            raise InputError(
                f"{enzyme} cuts nowhere in {len(names)} sequence(s)",
                path=path,
                cure="Is it the enzyme of the experiment, and the sequence not masked with N?",
            )
    units = cutting.units(names, order_names(names, order), length=length)
    if not len(units):
        raise InputError(
            "no sequence has two cut sites, so there is no fragment",
            path=path,
            cure="Give whole chromosomes.",
        )
    empty = [
        name for name, n in zip(units.chromosomes, np.diff(units.offset), strict=True) if n == 0
    ]
    if empty:
        warn(
            f"{os.fspath(path)}: {len(empty)} sequence(s) with fewer than two cut sites have no "
            f"fends: {name_list(empty)}",
            InputWarning,
        )
    length_of = np.array([lengths[name] for name in units.chromosomes], dtype=np.int64)
    return Digest(units, cutting.sites, len(left_out), length_of)


class _Cutting:
    """Fragments of the sequences that were cut so far."""

    def __init__(self, enzymes: Sequence[Enzyme], gc_window: int | None) -> None:
        self.sites = {enzyme.name: 0 for enzyme in enzymes}
        self._enzymes, self._gc_window = enzymes, gc_window
        self._cuts: list[Int64] = []
        self._gc: list[NDArray[np.float64]] = []

    def cut(self, sequence: NDArray[np.uint8]) -> None:
        """Cut the next sequence."""
        cuts = []
        for enzyme in self._enzymes:
            cuts.append(cut_sites(sequence, enzyme))
            self.sites[enzyme.name] += len(cuts[-1])
        cut = merge_cuts(cuts)
        self._cuts.append(cut)
        if self._gc_window is not None:
            start, stop = fend_windows(cut[:-1], cut[1:], self._gc_window)
            gc = gc_fractions(sequence, start.ravel(), stop.ravel())
            self._gc.append(gc.reshape(-1, 2))

    def units(self, names: Sequence[str], ordered: Sequence[str], *, length: bool) -> Units:
        """The fends of all sequences, which were cut in the order of `names`."""
        cuts = dict(zip(names, self._cuts, strict=True))
        start = np.concatenate([cuts[name][:-1] for name in ordered])
        stop = np.concatenate([cuts[name][1:] for name in ordered])
        fragments = [max(0, len(cuts[name]) - 1) for name in ordered]
        features: dict[str, NDArray[np.float64]] = {}
        if length:
            features["length"] = np.repeat(stop - start, 2).reshape(-1, 2).astype(np.float64)
        if self._gc_window is not None:
            gc = dict(zip(names, self._gc, strict=True))
            features["gc"] = np.concatenate([gc[name] for name in ordered])
        chromosome = np.repeat(np.arange(len(names), dtype=np.int64), fragments)
        return fends_from_fragments(ordered, chromosome, start, stop, features)


def _check_patterns(
    path: str | os.PathLike[str], patterns: Sequence[str], names: Sequence[str]
) -> None:
    unknown = [p for p in patterns if not any(fnmatchcase(name, p) for name in names)]
    if unknown:
        raise ParameterError(
            f"{os.fspath(path)}: no sequence is named {', '.join(map(repr, unknown))}; its names "
            f"are {name_list(names)}"
        )
