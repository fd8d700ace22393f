"""What fills a partition: one method per kind of input, and features of its units."""

from __future__ import annotations

import operator
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import progress
from hifive_dask.errors import ParameterError
from hifive_dask.genome.bed import Content, read_bed_bins, read_bed_fends
from hifive_dask.genome.build import bins_from_fends, bins_from_lengths
from hifive_dask.genome.cool import COOL_SUFFIXES, holds_coolers, read_cooler_bins
from hifive_dask.genome.digest import digest_fasta
from hifive_dask.genome.enzymes import parse_enzymes
from hifive_dask.genome.fend_table import read_fend_table
from hifive_dask.genome.lengths import read_lengths, with_lengths
from hifive_dask.genome.order import Order, check_order, order_names
from hifive_dask.genome.partition import Partition, Units
from hifive_dask.genome.table import FEATURE_NAMES, is_feature_name
from hifive_dask.genome.tracks import TrackFormat, open_track, track_format
from hifive_dask.genome.windows import track_means
from hifive_dask.regions import whole_bp

__all__ = ["Partitioning"]

PathLike = str | os.PathLike[str]

_FORMATS = {".bed": "bed", ".fend": "fend", ".len": "len", ".sizes": "len"} | dict.fromkeys(
    COOL_SUFFIXES, "cool"
)
_PACKED = (".gz", ".bgz")


class Partitioning(ABC):
    """Methods of `hifive_dask.Fend` that make a partition, or add to it."""

    silent: bool
    _binned: int | None

    @property
    @abstractmethod
    def partition(self) -> Partition:
        """All arrays."""

    @abstractmethod
    def _accept(
        self,
        call: str,
        filename: PathLike,
        partition: Partition,
        parameters: dict[str, Any],
        results: dict[str, Any],
    ) -> None:
        """Take a partition in place of what was there, and record the call that made it."""

    @abstractmethod
    def _log(self, message: str) -> None:
        """Say something, unless silent."""

    def load_fends(
        self,
        filename: PathLike,
        genome_name: str | None = None,
        re_name: str | None = None,
        format: str | None = None,
        *,
        content: Content = "auto",
        order: Order | None = None,
        lengths: PathLike | None = None,
    ) -> None:
        """Make fends from cut sites, fragments, or a fend table; and bins of them, if binned.

        Parameters
        ----------
        filename
            The input; plain, gzip or bgzip. ``bed``: cut sites or fragments, 0-based half-open,
            features in columns that a header names, two numbers ``v1,v2`` per cell. ``fend``: a
            HiCPipe fend table.
        genome_name, re_name
            Free text.
        format
            ``"bed"`` or ``"fend"``; None goes by the suffix.
        content
            Whether a BED file holds ``"sites"`` or ``"fragments"``; ``"auto"`` takes intervals
            shorter than 10 bp on average as sites. The choice is logged and kept in the history.
        order
            Of the chromosomes of a BED file: ``"bytes"`` of their names (chr1, chr10, chr2), as in
            HiFive, and so by default; that of the ``"input"``; ``"natural"`` (chr1, chr2, chr10,
            chrX, chrM); or ``"auto"``, that of the input if the lines of each chromosome are
            together, else natural. Those of a fend table are in the order of its fends.
        lengths
            Lengths of the chromosomes, with which files for other programs end where these do:
            name and length in bp, or a .pairs file with ``#chromsize:`` lines. The partition then
            has all of their chromosomes, and that of the ``"input"`` is their order. Without
            them, a chromosome ends with its last fend.

        Raises
        ------
        InputError
            If a file is not as expected; the message names the line. Also if `lengths` have none
            of the chromosomes, or a fend ends beyond.
        ParameterError
            If the format is unknown, `content` is not one of the three, or the object was made for
            bins of arbitrary size; and for an `order` that is unknown or given with a fend table.
        """
        kind = _format(filename, format, ("bed", "fend"), "load_fends")
        check_order(order)
        self._check_not_arbitrary()
        parameters: dict[str, Any] = {"format": kind}
        results: dict[str, Any] = {}
        if kind == "bed":
            bed = read_bed_fends(filename, content, order or "bytes")
            fends = bed.units
            parameters["content"] = bed.content
            parameters |= _given_order(order)
            results = {"content_given": content, "mean_length": bed.mean_length}
            self._log(
                f"{Path(filename).name}: intervals of {bed.mean_length:.1f} bp on average, "
                f"read as {bed.content} (content={content!r})"
            )
        elif content != "auto":
            raise ParameterError(f"content is {content!r}, but only BED files have a content")
        elif order is not None:
            raise ParameterError(
                f"order is {order!r}, but chromosomes of a fend table are in the order of its fends"
            )
        else:
            fends = read_fend_table(filename)
        given: Order = order or ("bytes" if kind == "bed" else "input")
        fends, ends, named = _with_lengths(fends, lengths, given)
        partition = self._of_fends(fends, ends, genome_name, re_name)
        names = {"genome_name": partition.genome_name, "re_name": partition.re_name}
        parameters = names | parameters | named | self._binned_parameter()
        self._accept("load_fends", filename, partition, parameters, results)

    def load_bins(
        self,
        filename: PathLike,
        genome_name: str | None = None,
        format: str | None = None,
        *,
        order: Order | None = None,
        lengths: PathLike | None = None,
    ) -> None:
        """Make bins of equal size from chromosome lengths, or take bins from a BED file or cooler.

        Parameters
        ----------
        filename
            The input. ``len``: chromosome and length in bp. ``bed``: bins, 0-based half-open,
            features in columns that a header names, one number per cell. Both plain, gzip or
            bgzip. ``cool``: the bins of a cooler, ``FILE`` or ``FILE::GROUP``; of a file with
            several resolutions the one of ``binned`` is taken.
        genome_name
            Free text.
        format
            ``"len"``, ``"bed"`` or ``"cool"``; None goes by the suffix.
        order
            Of the chromosomes, as in `load_fends`; by default that of the file for lengths. Those
            of a cooler are in its order.
        lengths
            Lengths of the chromosomes of a BED file, as in `load_fends`.

        Raises
        ------
        InputError
            If a file is not as expected; the message names the line. Also if `lengths` have none
            of the chromosomes, or a bin begins beyond.
        ParameterError
            If the format is unknown, or does not go with ``binned``: lengths need a bin size of at
            least 1 bp, a BED file 0 or None. Also for an `order` that is unknown, or given with a
            cooler, and for `lengths` with anything but a BED file.
        """
        kind = _format(filename, format, ("len", "bed", "cool"), "load_bins")
        check_order(order)
        if lengths is not None and kind != "bed":
            raise ParameterError(
                f"lengths go with a BED file of bins; the format {kind!r} knows its own, leave "
                "them out"
            )
        ends: NDArray[np.int64] | None
        named: dict[str, Any] = {}
        if kind == "len":
            if not self._binned:
                raise ParameterError(
                    f"binned is {self._binned}; bins from chromosome lengths need a bin size of at "
                    "least 1 bp: Fend(filename, 'w', binned=...)"
                )
            size = self._binned
            names, length = read_lengths(filename)
            ordered = order_names(names, order or "input")
            length_of = dict(zip(names, length, strict=True))
            ends = np.array([length_of[name] for name in ordered])
            bins = bins_from_lengths(ordered, ends, size)
        elif kind == "cool":
            if order is not None:
                raise ParameterError(
                    f"order is {order!r}, but chromosomes of a cooler are in its order"
                )
            bins, size, ends, assembly = read_cooler_bins(filename, self._binned)
            genome_name = genome_name or assembly
        else:
            if self._binned:
                raise ParameterError(
                    f"binned is {self._binned}, but bins from a BED file have the sizes in the "
                    "file; leave binned out, or give 0"
                )
            size = 0
            given: Order = order or "bytes"
            bins, ends, named = _with_lengths(read_bed_bins(filename, given), lengths, given)
        partition = Partition(None, bins, size, genome_name or "", lengths=ends)
        parameters = {"genome_name": partition.genome_name, "format": kind, "binned": size}
        parameters |= _given_order(order) | named
        self._accept("load_bins", filename, partition, parameters, {})

    def digest(
        self,
        filename: PathLike,
        enzyme: str | Sequence[str],
        genome_name: str | None = None,
        *,
        chroms: str | Sequence[str] | None = None,
        minlength: int | str = 0,
        features: Iterable[Literal["length", "gc"]] = ("length", "gc"),
        window: SupportsIndex | str = 200,
        mappability: PathLike | None = None,
        mappability_window: SupportsIndex | str = 500,
        order: Order | None = None,
    ) -> None:
        """Make fends by cutting the sequence of a genome; and bins of them, if binned.

        A cut lies before the first base that follows it on the plus strand, so that ``^GATC`` cuts
        at the G. Sites may overlap and be in lower case; N and other ambiguous bases belong to no
        site. What lies before the first and after the last cut of a chromosome is not part of the
        partition, as with cut sites from a BED file. Chromosomes with fewer than two cuts have
        no fends.

        Parameters
        ----------
        filename
            FASTA; plain, gzip or bgzip. The first word of a header is the name.
        enzyme
            One or several, also separated by commas: names of REBASE (``"DpnII"``; but for 20
            common ones they need the extra ``digest``), palindromic sites with a caret at the cut
            (``"G^ANTC"``, IUPAC codes), ``"arima"`` (^GATC, G^ANTC) or
            ``"arima-high-coverage"`` (also C^TNAG, T^TAA).
        genome_name
            Free text.
        chroms
            Names to take, or patterns as in a shell (``"chr?"``); None or empty takes all.
        minlength
            Leave out shorter sequences (bp).
        features
            What to keep of every fend: ``"length"``, of its fragment in bp; ``"gc"``, the fraction
            of G and C among the known bases of its window, 0 if none is known.
        window
            Bases inward from the cut site of a fend that ``gc`` is taken from, in bp, at most its
            fragment. The defaults of both windows are those of HiTC.
        mappability
            A track, as of `add_feature`, whose mean becomes the feature ``mappability``; bases
            without a value count as 0.
        mappability_window
            As `window`, for this mean.
        order
            Of the chromosomes, as in `load_fends`; by default that of the file.

        Raises
        ------
        InputError
            If a file is not as expected (the message names the line), an enzyme has no site, or
            there is no fragment.
        ParameterError
            If an enzyme, a feature or a chromosome is unknown, or the object was made for bins of
            arbitrary size.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import hifive_dask as hd
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "toy.fa").write_text(">chr1\\nAAGATCCCCCGATCTTTTTTTTgatcAA\\n")
        >>> fend = hd.Fend(folder / "toy.zarr", "w", silent=True)
        >>> fend.digest(folder / "toy.fa", "^GATC", window=6)
        >>> fend.fends[["start", "stop", "length"]].tolist()
        [(2, 6, 8.0), (6, 10, 8.0), (10, 16, 12.0), (16, 22, 12.0)]
        >>> [round(float(gc), 2) for gc in fend.fends["gc"]]
        [0.67, 0.83, 0.33, 0.0]
        """
        self._check_not_arbitrary()
        check_order(order)
        enzymes = parse_enzymes(enzyme)
        kept = [features] if isinstance(features, str) else list(features)
        unknown = [name for name in kept if name not in ("length", "gc")]
        if unknown:
            raise ParameterError(f"features hold {unknown[0]!r}, expected 'length' and 'gc'")
        shortest = whole_bp(minlength, "minlength")
        size, map_size = _window(window), _window(mappability_window, "mappability_window")
        track = None if mappability is None else (mappability, track_format(mappability))
        patterns = [chroms] if isinstance(chroms, str) else list(chroms or [])
        digest = digest_fasta(
            filename,
            enzymes,
            chroms=patterns or ["*"],
            minlength=shortest,
            length="length" in kept,
            gc_window=size if "gc" in kept else None,
            order=order or "input",
            silent=self.silent,
        )
        self._log("; ".join(f"{name}: {n:,} sites" for name, n in digest.sites.items()))
        fends, windows = digest.units, {"gc": size} if "gc" in kept else {}
        parameters: dict[str, Any] = {
            "enzyme": enzyme,
            "genome_name": genome_name or "",
            "chroms": patterns,
            "minlength": shortest,
            "features": kept,
            "window": size,
            **_given_order(order),
        }
        if track is not None:
            # float32, like all features made with the partition.
            means = self._means("mappability", *track, map_size, fends).astype(np.float32)
            fends = replace(fends, features={**fends.features, "mappability": means})
            windows["mappability"] = map_size
            parameters["mappability"] = Path(track[0]).name
            parameters["mappability_window"] = map_size
        names = ",".join(e.name for e in enzymes)
        partition = self._of_fends(fends, digest.lengths, genome_name, names, windows)
        results = {"sites": digest.sites, "sequences_left_out": digest.left_out}
        self._accept("digest", filename, partition, parameters | self._binned_parameter(), results)

    def add_feature(
        self,
        name: str,
        filename: PathLike,
        window: SupportsIndex | str,
        *,
        format: TrackFormat | None = None,
    ) -> None:
        """Add the mean of a track at every unit as a feature, a float64 field.

        The mean of a fend is that over `window` bases inward from its cut site, at most its
        fragment; the mean of a bin is that over `window` bases at either end of it, or over the
        bin where that is not longer than two windows. Bases without a value count as 0.

        Parameters
        ----------
        name
            Of the feature.
        filename
            bedGraph (plain, gzip or bgzip), bigWig (needs the extra ``digest``), or HDF5 with a
            dataset ``<chromosome>.<name>`` per chromosome, a value per base from base 0 on.
        window
            In bp, at least 1. Kept as the attribute ``<name>_window`` of the store.
        format
            ``"bedgraph"``, ``"bigwig"`` or ``"hdf5"``; None goes by the suffix.

        Raises
        ------
        InputError
            If the file is not as expected, has none of the chromosomes, or is 0 at all units.
        ParameterError
            If there is a feature of this name, or it cannot be one, or the window is below 1.

        Warns
        -----
        InputWarning
            If the track lacks chromosomes; their units get 0.
        """
        partition = self.partition
        if not is_feature_name(name, partition.units.features):
            taken = ", ".join(map(repr, partition.units.features)) or "none"
            raise ParameterError(
                f"a feature cannot be named {name!r}: {FEATURE_NAMES}; features that are there: "
                f"{taken}"
            )
        size, kind = _window(window), track_format(filename, format)
        means = self._means(name, filename, kind, size, partition.units)
        self._accept(
            "add_feature",
            filename,
            partition.with_feature(name, means, size),
            {"name": name, "window": size, "format": kind},
            {"mean": float(means.mean())},
        )

    def add_hdf5_feature(self, name: str, filename: PathLike, window: SupportsIndex | str) -> None:
        """Add a feature from an HDF5 track: `add_feature` under HiFive's name."""
        self.add_feature(name, filename, window, format="hdf5")

    def _means(
        self, name: str, filename: PathLike, kind: TrackFormat, window: int, units: Units
    ) -> NDArray[np.float64]:
        title = f"Reading {name}"
        with (
            open_track(filename, name, kind) as track,
            progress(title, len(units.chromosomes), silent=self.silent) as advance,
        ):
            return track_means(track, units, window, advance)

    def _check_not_arbitrary(self) -> None:
        if self._binned == 0:
            raise ParameterError(
                "binned is 0, bins of arbitrary size, which load_bins reads; for fends leave "
                "binned out, for fends in bins give the bin size in bp"
            )

    def _of_fends(
        self,
        fends: Units,
        lengths: NDArray[np.int64] | None,
        genome_name: str | None,
        re_name: str | None,
        windows: dict[str, int] | None = None,
    ) -> Partition:
        bins = bins_from_fends(fends, self._binned) if self._binned else None
        names = genome_name or "", re_name or ""
        return Partition(fends, bins, self._binned, *names, windows or {}, lengths)

    def _binned_parameter(self) -> dict[str, Any]:
        return {} if self._binned is None else {"binned": self._binned}


def _given_order(order: Order | None) -> dict[str, Any]:
    return {} if order is None else {"order": order}


def _with_lengths(
    units: Units, lengths: PathLike | None, order: Order
) -> tuple[Units, NDArray[np.int64] | None, dict[str, Any]]:
    """Units on all chromosomes of a file of lengths, these, and what is recorded of it."""
    if lengths is None:
        return units, None, {}
    return *with_lengths(units, lengths, order), {"lengths": Path(lengths).name}


def _window(window: SupportsIndex | str, name: str = "window") -> int:
    try:
        size = whole_bp(window, name) if isinstance(window, str) else operator.index(window)
    except TypeError:
        size = 0
    if size < 1 or isinstance(window, bool):
        raise ParameterError(f"{name} is {window!r}, expected a whole number of bases, at least 1")
    return size


def _format(filename: PathLike, given: str | None, known: tuple[str, ...], call: str) -> str:
    if given is None:
        path = Path(os.fspath(filename).partition("::")[0])
        suffix = Path(path.stem).suffix if path.suffix.lower() in _PACKED else path.suffix
        found = "cool" if holds_coolers(filename) else _FORMATS.get(suffix.lower())
        seen = f"the suffix of {path.name!r}"
    else:
        found, seen = given, f"format {given!r}"
    if found not in known:
        suffixes = ", ".join(s for s, kind in _FORMATS.items() if kind in known)
        raise ParameterError(
            f"{call} cannot tell what to read by {seen}; give format as one of "
            f"{', '.join(map(repr, known))}, or a file name that ends in {suffixes} (or these with "
            ".gz)"
        )
    return found
