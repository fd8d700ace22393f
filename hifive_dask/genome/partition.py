"""The partition of a genome into fends and bins, and the units that pairs are counted in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hifive_dask.about import counted
from hifive_dask.errors import ParameterError, unknown
from hifive_dask.regions import find_chromosome

__all__ = ["Partition", "Units"]

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Feature = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True)
class Units:
    """Intervals in genome order, chromosome after chromosome: all fends, or all bins.

    Parameters
    ----------
    chromosomes
        Names, C of them.
    offset
        int64 (C + 1): first unit of each chromosome, then the number of units N.
    start, stop, mid
        int32 (N), bp, 0-based half-open. ``mid`` does not decrease inside a chromosome.
    fends
        True for restriction fends, where the rule of impossible pairs holds; False for bins.
    features
        float32 (N) per name if made with the partition, float64 if added later.
    num_fends
        int32 (N): fends per bin, for bins made from fends.
    """

    chromosomes: tuple[str, ...]
    offset: Int64
    start: Int32
    stop: Int32
    mid: Int32
    fends: bool
    features: Mapping[str, Feature] = field(default_factory=dict)
    num_fends: Int32 | None = None

    def __len__(self) -> int:
        return len(self.mid)

    def __repr__(self) -> str:
        number = counted(len(self), self.unit)
        return f"<Units: {number} on {counted(len(self.chromosomes), 'chromosome')}>"

    @property
    def unit(self) -> str:
        """What one of them is called: ``"fend"`` or ``"bin"``."""
        return "fend" if self.fends else "bin"

    @cached_property
    def chromosome(self) -> Int32:
        """int32 (N): index of the chromosome of every unit."""
        counts = np.diff(self.offset)
        return np.repeat(np.arange(len(counts), dtype=np.int32), counts)

    @cached_property
    def index(self) -> dict[str, int]:
        """Index of every chromosome name."""
        return {name: k for k, name in enumerate(self.chromosomes)}

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """int64 (C): bp, where the last unit of every chromosome ends; 0 without units."""
        spans = (self.span(c) for c in range(len(self.chromosomes)))
        return np.array([self.stop[span].max(initial=0) for span in spans], dtype=np.int64)

    def ends(self, lengths: Int64 | None) -> Int64:
        """int64 (C): known lengths of chromosomes, else `lengths`, those up to their last unit."""
        return self.lengths if lengths is None else np.where(lengths > 0, lengths, self.lengths)

    def placed_on(self, chromosomes: Sequence[str]) -> Units:
        """The same units among other chromosomes, in the order of these; none may be missing."""
        if tuple(chromosomes) == self.chromosomes:
            return self
        place = (self.index.get(name) for name in chromosomes)
        spans = [slice(0, 0) if c is None else self.span(c) for c in place]
        offset = np.r_[0, np.cumsum([span.stop - span.start for span in spans])].astype(np.int64)
        taken = np.concatenate([np.arange(span.start, span.stop) for span in spans])
        return replace(
            self,
            chromosomes=tuple(chromosomes),
            offset=offset,
            start=self.start[taken],
            stop=self.stop[taken],
            mid=self.mid[taken],
            features={name: values[taken] for name, values in self.features.items()},
            num_fends=None if self.num_fends is None else self.num_fends[taken],
        )

    @property
    def longest(self) -> str:
        """Name of the longest chromosome, the first one of several."""
        return self.chromosomes[int(np.argmax(self.lengths))]

    def span(self, chromosome: int) -> slice:
        """The units of one chromosome."""
        return slice(int(self.offset[chromosome]), int(self.offset[chromosome + 1]))

    def select(self, chroms: str | bytes | Sequence[str | bytes] | None) -> list[int]:
        """Indices of the named chromosomes in genome order; None or empty means all.

        Names are found with and without ``chr``.

        Raises
        ------
        ParameterError
            If a name is unknown; the message lists the known ones.
        """
        given = [chroms] if isinstance(chroms, str | bytes) else () if chroms is None else chroms
        names = [c.decode() if isinstance(c, bytes) else str(c) for c in given]
        names = [name for name in names if name]
        found = {name: find_chromosome(name, self.index) for name in names}
        for name in names:
            if found[name] is None:
                raise ParameterError(unknown("chromosome", name, self.chromosomes))
        chosen = {self.index[name] for name in found.values() if name is not None}
        return sorted(chosen) or list(range(len(self.chromosomes)))

    def choose(self, chroms: str | bytes | Sequence[str | bytes] | None) -> list[int]:
        """As `select`, but in the order asked for.

        Raises
        ------
        ParameterError
            If a name is unknown, or is there twice.
        """
        if chroms is None or isinstance(chroms, str | bytes):
            return self.select(chroms)
        chosen = [chrom for name in chroms if name for chrom in self.select(name)]
        if len(set(chosen)) < len(chosen):
            twice = ", ".join(self.chromosomes[chrom] for chrom in chosen)
            raise ParameterError(f"chroms names a chromosome twice: {twice}")
        return chosen or self.select(None)


@dataclass(frozen=True)
class Partition:
    """Fends, bins, or both, of one genome.

    Parameters
    ----------
    fends
        Restriction fends, or None for a genome that was cut into bins only.
    bins
        Bins, or None for unbinned data. With both, fends are assigned to bins by midpoint.
    binned
        Bin size in bp, 0 for bins of arbitrary size, None without bins.
    genome_name, re_name
        Free text; empty when not given.
    windows
        Bases at the ends of a unit that a feature is a mean over, in bp, where that is known.
    lengths
        int64 (C): length of every chromosome in bp, 0 where it is not known; None if none is.
    """

    fends: Units | None
    bins: Units | None
    binned: int | None
    genome_name: str = ""
    re_name: str = ""
    windows: Mapping[str, int] = field(default_factory=dict)
    lengths: Int64 | None = None

    @property
    def units(self) -> Units:
        """What pairs are counted in: bins if there are any, else fends."""
        units = self.bins if self.bins is not None else self.fends
        assert units is not None
        return units

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Chromosome names in genome order."""
        return self.units.chromosomes

    @cached_property
    def ends(self) -> Int64:
        """int64 (C): bp of every chromosome, up to the end of its last unit if not known."""
        return self.units.ends(self.lengths)

    @cached_property
    def fend_bin(self) -> Int32:
        """int32: global bin of every fend, by its midpoint; for fends in bins."""
        fends, bins = self.fends, self.bins
        assert fends is not None
        assert bins is not None
        assert self.binned
        first = bins.offset[fends.chromosome]
        bin_of = first + (fends.mid.astype(np.int64) - bins.start[first]) // self.binned
        return bin_of.astype(np.int32)

    @cached_property
    def median_fragment(self) -> float:
        """Median length of the fragments in bp; for fends."""
        assert self.fends is not None
        return float(np.median(self.fends.stop[1::2].astype(np.int64) - self.fends.start[::2]))

    def with_feature(self, name: str, values: Feature, window: int) -> Partition:
        """The same partition with one more feature of its units."""
        units = replace(self.units, features={**self.units.features, name: values})
        windows = {**self.windows, name: window}
        if self.bins is None:
            return replace(self, fends=units, windows=windows)
        return replace(self, bins=units, windows=windows)

    @property
    def text(self) -> str:
        """What it is made of, in words."""
        texts = [counted(len(self.chromosomes), "chromosome")]
        if self.fends is not None:
            fends = counted(len(self.fends), "fend")
            texts.append(f"{fends}, median fragment {self.median_fragment:,.0f} bp")
        if self.bins is not None:
            bins, size = self.bins, f"{self.binned:,}"
            if not self.binned:
                size = f"{np.median(bins.stop.astype(np.int64) - bins.start):,.0f} (median)"
            texts.append(f"{counted(len(bins), 'bin')} of {size} bp")
        return ", ".join(texts)

    def __repr__(self) -> str:
        return f"<Partition: {self.text}>"

    @property
    def kind(self) -> str:
        """``"fends"``, ``"fends in bins"``, ``"uniform bins"`` or ``"arbitrary bins"``."""
        if self.bins is None:
            return "fends"
        if self.fends is not None:
            return "fends in bins"
        return "uniform bins" if self.binned else "arbitrary bins"
