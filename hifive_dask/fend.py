"""Class `Fend`: the partition of a genome into fends, bins, or both."""

from __future__ import annotations

import logging
import operator
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from hifive_dask._store.fends import compound, partition_token, read_partition, write_partition
from hifive_dask._store.places import Location, absolute, place
from hifive_dask._store.zarr_store import is_hdf5
from hifive_dask.about import Described, Fact
from hifive_dask.errors import ParameterError, StateError
from hifive_dask.genome.dataset import from_dataset, to_dataset
from hifive_dask.genome.partition import Partition, Units
from hifive_dask.partitioning import Partitioning
from hifive_dask.provenance import History
from hifive_dask.public import Named, known_later, public
from hifive_dask.ranks import by_first_rank
from hifive_dask.regions import whole_bp

__all__ = ["Fend"]

PathLike = str | os.PathLike[str]

_LOG = logging.getLogger("hifive_dask")


@public(filled_by=("load", "load_fends", "load_bins", "digest"))
class Fend(Partitioning, Described, Named):
    """The partition of a genome: restriction-fragment ends (fends), bins, or fends in bins.

    Parameters
    ----------
    filename
        The store; ``.zarr``, a path or URL, or HiFive's HDF5 layout with ``.fends``, ``.h5`` or
        ``.hdf5``.
    mode
        ``"r"`` opens what is there, ``"w"`` starts empty, ``"a"`` opens what is there or else
        starts empty. Nothing is written before `save`.
    binned
        Bin size in bp, for bins of equal size; 0 for bins of arbitrary size; None for fends alone.
        Stores that are opened know theirs.
    silent
        No log lines.

    Attributes
    ----------
    file : str
        Absolute path, or URL.
    partition : Partition
        All arrays.
    units : Units
        What pairs are counted in: the bins if there are any, else the fends.
    token : str
        Digest of names and borders, the same in Zarr and HDF5.
    fends, bins : numpy.ndarray or None
        Records of chr, start, stop, mid (int32; bp, 0-based half-open), features (float32; float64
        for added ones), and for bins made from fends num_fends (int32).
    chromosomes : numpy.ndarray
        Names in genome order.
    chr_indices, bin_indices : numpy.ndarray or None
        int32 (C + 1): first fend, or bin, of every chromosome, then their number.
    chr2int : dict
        Index of every chromosome name.
    genome_name, re_name : str
        Empty when not given.
    history : str
        One line per call.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import hifive_dask as hd
    >>> folder = Path(tempfile.mkdtemp())
    >>> sites = "".join(f"chr1\\t{cut - 3}\\t{cut + 3}\\n" for cut in (1000, 2000, 3000))
    >>> _ = (folder / "sites.bed").write_text(sites)
    >>> fend = hd.Fend(folder / "toy.zarr", "w", silent=True)
    >>> fend.load_fends(folder / "sites.bed")
    >>> fend  # doctest: +ELLIPSIS
    <Fend toy.zarr>
      partition  1 chromosome, 4 fends, median fragment 1,000 bp
      file       ...toy.zarr
    >>> fend.fends["mid"]
    array([1250, 1750, 2250, 2750], dtype=int32)
    >>> fend.save()
    """

    def __init__(
        self,
        filename: Location,
        mode: str = "r",
        binned: SupportsIndex | str | None = None,
        silent: bool = False,
    ) -> None:
        if mode not in ("r", "w", "a"):
            raise ParameterError(
                f"mode is {mode!r}, expected 'r' (open), 'w' (new) or 'a' (open or new)"
            )
        self.file = absolute(filename)
        self.silent = silent
        is_hdf5(self.file)
        self._binned = _bin_size(binned)
        self._partition: Partition | None = None
        self._history = History()
        self._token = ""
        if mode == "r" or (mode == "a" and place(self.file).exists()):
            self.load()

    def _facts(self) -> Iterator[Fact]:
        partition = self._partition
        if partition is None:
            yield "partition", "empty; load_fends, load_bins or digest fill it"
            return
        names = [partition.genome_name, partition.re_name and f"cut by {partition.re_name}"]
        if any(names):
            yield "genome", ", ".join(filter(None, names))
        yield "partition", partition.text
        if partition.units.features:
            yield "features", ", ".join(partition.units.features)

    def _names(self) -> Iterator[str]:
        for name in ("chromosomes", "fends", "chr_indices", "bins", "bin_indices"):
            if self[name] is not None:
                yield name

    # Saved and opened

    @by_first_rank
    def save(self, out_fname: Location | None = None) -> None:
        """Write the store `file`, or another one, whose suffix decides the format.

        Raises
        ------
        StateError
            If nothing was loaded.
        StoreError
            If it cannot be written; what was there before is then untouched.
        """
        write_partition(out_fname or self.file, to_dataset(self.partition), self._history)

    def load(self) -> None:
        """Read the store, replacing what the object holds.

        Raises
        ------
        StoreError
            If it is missing, not a partition, incomplete, or inconsistent.
        ParameterError
            If the object was made with another ``binned``.
        """
        dataset, history, token = read_partition(self.file)
        partition = from_dataset(dataset)
        if self._binned is not None and self._binned != partition.binned:
            raise ParameterError(
                f"binned is {self._binned}, but {self.file} was made with {partition.binned}; "
                "leave it out when opening a store"
            )
        self._partition, self._history, self._token = partition, history, token

    def _accept(
        self,
        call: str,
        filename: PathLike,
        partition: Partition,
        parameters: dict[str, Any],
        results: dict[str, Any],
    ) -> None:
        history = History(list(self._history.records))
        # The base name only, so that equal input gives equal stores wherever it lies.
        history.add(
            f"Fend.{call}", {"filename": Path(filename).name, **parameters}, results=results
        )
        self._token = partition_token(to_dataset(partition))
        self._partition, self._history = partition, history
        self._log(f"{Path(filename).name}: {partition.text}")

    def _log(self, message: str) -> None:
        if not self.silent:
            _LOG.info(message)

    # What is loaded

    def _loaded(self) -> Partition:
        if self._partition is None:
            raise StateError(
                f"{self.file}: nothing is loaded; call load_fends, load_bins or digest first, "
                "or open an existing store with mode 'r'"
            )
        return self._partition

    @known_later
    def partition(self) -> Partition:
        """All arrays."""
        return self._loaded()

    @known_later
    def units(self) -> Units:
        """What pairs are counted in: the bins if there are any, else the fends."""
        return self.partition.units

    @known_later
    def token(self) -> str:
        """Digest of names and borders, by which other stores know this one."""
        return self._token

    @property
    def binned(self) -> int | None:
        """Bin size in bp; 0 for bins of arbitrary size; None without bins."""
        return self._binned if self._partition is None else self._partition.binned

    @known_later
    def fends(self) -> NDArray[Any] | None:
        """Fends as records, or None."""
        return compound(to_dataset(self.partition), "fend")

    @known_later
    def bins(self) -> NDArray[Any] | None:
        """Bins as records, or None."""
        return compound(to_dataset(self.partition), "bin")

    @known_later
    def chromosomes(self) -> NDArray[np.str_]:
        """Chromosome names in genome order."""
        return np.array(self.partition.chromosomes, dtype=str)

    @known_later
    def chr_indices(self) -> NDArray[np.int32] | None:
        """int32 (C + 1): first fend of every chromosome, then their number; None without fends."""
        fends = self.partition.fends
        return None if fends is None else fends.offset.astype(np.int32)

    @known_later
    def bin_indices(self) -> NDArray[np.int32] | None:
        """int32 (C + 1): first bin of every chromosome, then their number; None without bins."""
        bins = self.partition.bins
        return None if bins is None else bins.offset.astype(np.int32)

    @known_later
    def chr2int(self) -> dict[str, int]:
        """Index of every chromosome name."""
        return dict(self.units.index)

    @known_later
    def genome_name(self) -> str:
        """Name of the genome; empty when not given."""
        return self.partition.genome_name

    @known_later
    def re_name(self) -> str:
        """Name of the restriction enzyme; empty when not given."""
        return self.partition.re_name

    @property
    def records(self) -> History:
        """The structured history."""
        return self._history

    @property
    def history(self) -> str:
        """One line per call that made the partition."""
        return self._history.text


def _bin_size(binned: SupportsIndex | str | None) -> int | None:
    if binned is None:
        return None
    try:
        size = whole_bp(binned, "binned") if isinstance(binned, str) else operator.index(binned)
    except TypeError:
        size = -1
    if size < 0 or size > np.iinfo(np.int32).max or isinstance(binned, bool):
        raise ParameterError(
            f"binned is {binned!r}, expected a bin size in bp (a whole number), 0 for bins of "
            "arbitrary size, or None"
        )
    return size
