"""Class `HiCData`: counted pairs of fends (or bins) of one experiment."""

from __future__ import annotations

import itertools
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, SupportsIndex

import dask.dataframe as dd
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from hifive_dask._store import pairs_hdf5
from hifive_dask._store.atomic import replacing, writable_parent
from hifive_dask._store.kinds import check_replaceable, replacing_store
from hifive_dask._store.links import check_token, relative_link, resolve_link
from hifive_dask._store.pairs import PairStore, rewrite_attributes, write_pairs
from hifive_dask._store.zarr_store import is_hdf5
from hifive_dask.errors import InputWarning, LinkError, ParameterError, StateError
from hifive_dask.fend import Fend
from hifive_dask.genome.partition import Partition, Units
from hifive_dask.provenance import History
from hifive_dask.reads.bam import BamReads, group_files
from hifive_dask.reads.classes import SHORT, class_table, reads_by_distance
from hifive_dask.reads.combine import (
    combine_stores,
    explain_difference,
    join_histories,
    join_maxinsert,
)
from hifive_dask.reads.cool import CoolCounts
from hifive_dask.reads.count import Dedup
from hifive_dask.reads.export import write_mat
from hifive_dask.reads.fragments import FragmentEdges
from hifive_dask.reads.lines import TextReads
from hifive_dask.reads.mat import MatCounts
from hifive_dask.reads.matrices import MatrixCounts, MatrixFormat
from hifive_dask.reads.pipeline import load_counts, load_reads
from hifive_dask.reads.source import CountSource, ReadSource
from hifive_dask.reads.text import name_of
from hifive_dask.reads.views import Block, block_arrays, pair_dataset, pair_frame
from hifive_dask.schema import PAIRS

__all__ = ["HiCData"]

PathLike = str | os.PathLike[str]


class HiCData:
    """Counted pairs of units: fends, or bins if the partition has bins.

    Parameters
    ----------
    filename
        The store; ``.zarr``, or HiFive's HDF5 layout with ``.hcd``, ``.h5`` or ``.hdf5``. HDF5 is
        for exchange: such data are held in memory as a whole, Zarr stores never are.
    mode
        ``"r"`` opens what is there, ``"w"`` starts empty.
    silent
        No progress bars.

    Attributes
    ----------
    file : str
        Absolute path.
    stats : dict
        Read statistics, int by name. ``total_reads`` is the sum of ``chr_not_in_fends``,
        ``pcr_duplicates`` (unless duplicates were kept), ``out_of_bounds``, ``insert_size``,
        ``same_fragment``, ``failed_cut``, ``valid_cis_reads`` and ``valid_trans_reads``.
    insert_distribution : numpy.ndarray
        int64 (182, 2): distinct read pairs, and lower edge in bp, per row.
    fends : Fend
        The partition.
    maxinsert : int or None
        bp, as loaded.

    Examples
    --------
    >>> import hifive_dask as hd
    >>> from hifive_dask.testing import toy_files
    >>> files = toy_files()
    >>> fend = hd.Fend(files.directory / "toy.fends.zarr", "w", silent=True)
    >>> fend.load_fends(files.sites)
    >>> fend.save()
    >>> data = hd.HiCData(files.directory / "toy.pairs.zarr", "w", silent=True)
    >>> data.load_data_from_raw(fend.file, files.raw, 500)
    >>> data.stats["valid_cis_reads"] > 0
    True
    """

    def __init__(self, filename: PathLike, mode: str = "r", silent: bool = False) -> None:
        if mode not in ("r", "w"):
            raise ParameterError(f"mode is {mode!r}, expected 'r' (open) or 'w' (new)")
        self.file = os.path.abspath(filename)
        self.silent = silent
        self._hdf5 = is_hdf5(self.file)
        self._store: PairStore | None = None
        self._fends: Fend | None = None
        if mode == "r":
            self.load()

    def __repr__(self) -> str:
        name = Path(self.file).name
        if self._store is None:
            return f"<HiCData {name}: empty>"
        return (
            f"<HiCData {name}: {len(self._store):,} pairs, "
            f"{self.stats.get('valid_cis_reads', 0):,} cis and "
            f"{self.stats.get('valid_trans_reads', 0):,} trans reads>"
        )

    def __getitem__(self, key: str) -> Any:
        """Return an attribute by name, or None."""
        return getattr(self, key, None)

    # Loading reads

    def load_data_from_raw(
        self,
        fendfilename: PathLike,
        filelist: PathLike | Sequence[PathLike],
        maxinsert: int | None,
        *,
        base: int = 1,
        dedup: Dedup = "library",
    ) -> None:
        """Count read pairs of raw text files, replacing what the store held.

        Lines are ``chrom1 pos1 strand1 chrom2 pos2 strand2``, separated by tabs; further columns
        are ignored. Strands are ``+`` and ``-``, or the flags 0 and 16 of SAM. Files may be plain,
        gzip or bgzip; ``-`` is standard input. For a ``.zarr`` store the pairs are written
        at once, since they need not fit in memory; for HDF5 by `save`.

        Parameters
        ----------
        fendfilename
            The partition, as saved by `Fend`.
        filelist
            One file or several.
        maxinsert
            bp. Fends: largest accepted sum of the distances of the two ends to their cut sites.
            Bins: pairs on opposite strands at this distance or closer are dropped. None: no filter.
        base
            Position of the first base of a chromosome in the files, 1 or 0.
        dedup
            Reads with equal ends are PCR duplicates and count once in the ``"library"`` (all files
            of this call), in each ``"file"``, or ``"none"``: always count.

        Raises
        ------
        InputError
            For a missing, damaged or faulty file, with its line; and when no pair was accepted,
            with the cause. The store stays as it was.
        StoreError
            If the partition cannot be opened or the target not be written.
        """
        files = _listed(filelist)
        self._load(
            "load_data_from_raw",
            fendfilename,
            files,
            {"maxinsert": maxinsert, "base": base, "dedup": dedup},
            lambda _: TextReads(files, "raw", base=base),
        )

    def load_data_from_pairs(
        self,
        fendfilename: PathLike,
        filelist: PathLike | Sequence[PathLike],
        maxinsert: int | None,
        *,
        base: int = 1,
        dedup: Dedup = "library",
        fragments: Literal["index"] | None = None,
    ) -> None:
        """Count read pairs of ``.pairs`` files (4DN consortium), replacing what the store held.

        Columns are found by the ``#columns:`` line (``chrom1`` or ``chr1``, ``pos1``, ``strand1``,
        and so on), else they are the standard seven. Parameters and errors as `load_data_from_raw`.

        Parameters
        ----------
        fragments
            With ``"index"``, the columns ``rfrag1`` and ``rfrag2`` (or ``frag1``, ``frag2``) decide
            the fragment: a position outside it is moved to its nearest base. They count from 0 on
            each chromosome, 0 being the stretch before the first cut, as ``pairtools restrict`` and
            Juicer write them for the same cut sites. None: positions decide.
        """
        if fragments not in (None, "index"):
            raise ParameterError(f"fragments is {fragments!r}, expected 'index' or None")
        files = _listed(filelist)

        def open_source(partition: Partition) -> TextReads:
            edges = FragmentEdges.of(partition) if fragments else None
            return TextReads(files, "pairs", base=base, edges=edges)

        arguments = {"maxinsert": maxinsert, "base": base, "dedup": dedup, "fragments": fragments}
        self._load("load_data_from_pairs", fendfilename, files, arguments, open_source)

    def load_data_from_mat(
        self, fendfilename: PathLike, filename: PathLike, basefend: SupportsIndex = 0
    ) -> None:
        """Take counted fend pairs of a HiCPipe ``mat`` file, replacing what the store held.

        Lines are ``fend1 fend2 count``, separated by tabs, fends in any order; further columns,
        blank lines, ``#`` lines and a header are ignored. Repeated pairs add up; those of one
        fragment and of failed cuts are removed as with reads. The numbers are those
        of bins if the partition has no fends, or if the header is ``bin1 bin2 count``. The file
        may be plain, gzip or bgzip; ``-`` is standard input.

        Parameters
        ----------
        fendfilename
            The partition, as saved by `Fend`.
        filename
            The file.
        basefend
            Number of the first fend in the file: 0, as `export_to_mat` writes, or 1, as HiCPipe
            does.

        Raises
        ------
        InputError
            For a missing, damaged or faulty file, with its line. The store stays as it was.

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_files
        >>> files = toy_files()
        >>> fend = hd.Fend(files.directory / "toy.fends.zarr", "w", silent=True)
        >>> fend.load_fends(files.sites)
        >>> fend.save()
        >>> _ = (files.directory / "toy.mat").write_text("1\\t5\\t2\\n5\\t1\\t1\\n")
        >>> data = hd.HiCData(files.directory / "toy.pairs.zarr", "w", silent=True)
        >>> data.load_data_from_mat(fend.file, files.directory / "toy.mat", basefend=1)
        >>> data.cis_data.tolist()
        [[0, 4, 3]]
        """
        self._load(
            "load_data_from_mat",
            fendfilename,
            [filename],
            {"basefend": basefend},
            lambda partition: MatCounts(filename, partition, basefend),
        )

    def load_binned_data_from_matrices(
        self, fendfilename: PathLike, filename: PathLike, format: MatrixFormat | None = None
    ) -> None:
        """Take the reads of matrices of bins, replacing what the store held.

        The matrix of the pairs within a chromosome X is named ``X`` or ``chrX``, that between A
        (rows) and B (columns) ``A_by_B`` or ``chrA_by_chrB``, in any order of the two. Of a matrix
        within a chromosome only cells on and above the diagonal count. Row i is bin i, unless
        rows and columns have labels or positions; these are assigned to bins by their middle, and
        what falls together is added up. Reads outside the bins are counted as ``out_of_bounds``.

        Parameters
        ----------
        fendfilename
            The partition, as saved by `Fend`; with bins.
        filename
            For text a template with ``*`` in place of those names, such as ``"rep1/*.matrix"``;
            files may be plain, gzip or bgzip. For ``hdf5`` and ``npz`` the file with all arrays,
            which may be named ``X.counts`` or ``X.observed`` too, with ``X.positions``.
        format
            ``"txt"``, ``"hdf5"`` or ``"npz"``; None goes by the name.

        Raises
        ------
        InputError
            For a missing, damaged or faulty file, with its line. The store stays as it was.
        ParameterError
            If the partition has no bins, or the format cannot be told.

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_files
        >>> folder = toy_files().directory
        >>> _ = (folder / "two.len").write_text("1\\t150\\n2\\t100\\n")
        >>> fend = hd.Fend(folder / "bins.zarr", "w", binned=50, silent=True)
        >>> fend.load_bins(folder / "two.len")
        >>> fend.save()
        >>> _ = (folder / "two.1.matrix").write_text("1\\t2\\t0\\n2\\t4\\t5\\n0\\t5\\t6\\n")
        >>> data = hd.HiCData(folder / "bins.pairs.zarr", "w", silent=True)
        >>> data.load_binned_data_from_matrices(fend.file, folder / "two.*.matrix")
        >>> data.cis_data.tolist()
        [[0, 0, 1], [0, 1, 2], [1, 1, 4], [1, 2, 5], [2, 2, 6]]
        """
        self._load(
            "load_binned_data_from_matrices",
            fendfilename,
            [filename],
            {"format": format},
            lambda partition: MatrixCounts(filename, partition, format),
        )

    def load_data_from_cool(self, fendfilename: PathLike, uri: PathLike) -> None:
        """Take the counts of a cooler, replacing what the store held.

        Every bin of the partition must be one of the cooler; the last one of a chromosome may be
        clipped at its end, and chromosomes may be in another order. Reads in other bins are
        counted as ``out_of_bounds``, those on other chromosomes as ``chr_not_in_fends``. Weights
        are not used. Needs the extra ``cool``.

        Parameters
        ----------
        fendfilename
            The partition, as saved by `Fend`; with bins, for example of `Fend.load_bins` with
            ``format="cool"``.
        uri
            ``FILE``, ``FILE::/resolutions/10000`` or ``FILE::/cells/NAME``. Without group, the one
            cooler of the file that fits the partition is taken.

        Raises
        ------
        InputError
            If there is no cooler, or its bins are not those of the partition (the message names
            the first), or a count is not a whole number. The store stays as it was.
        ParameterError
            If the partition has no bins.
        """
        self._load(
            "load_data_from_cool",
            fendfilename,
            [uri],
            {},
            lambda partition: CoolCounts(uri, partition),
        )

    def load_data_from_bam(
        self,
        fendfilename: PathLike,
        filelist: PathLike | Sequence[PathLike | Sequence[PathLike]],
        maxinsert: int | None,
        *,
        min_mapq: int = 0,
        dedup: Dedup = "library",
    ) -> None:
        """Count read pairs of BAM, SAM or CRAM files, replacing what the store held.

        Alignments with the same read name, up to a last ``/1`` or ``/2``, are a read pair. Files
        may be sorted in any way, and need no index. Only primary, mapped alignments that passed
        quality control count; all others, and those without a usable mate, are left out, and
        counted in the history. The position of an end is that of the aligned base at its 5' end.
        Needs pysam: ``pip install 'hifive-dask[bam]'``.

        Parameters
        ----------
        fendfilename
            The partition, as saved by `Fend`.
        filelist
            Two names: a pair of files, one of first and one of second mates. One name: a file that
            holds both mates. Several: a list of such pairs and single names,
            ``[[first, second], [both], ...]``.
        maxinsert
            As in `load_data_from_raw`.
        min_mapq
            Least mapping quality of both ends.
        dedup
            As in `load_data_from_raw`; a pair of files is one file.

        Raises
        ------
        InputError
            For a missing, truncated or damaged file, or one of another genome; for files whose
            read names never meet, or that do not hold the mates they should; and when no pair was
            accepted. The store stays as it was.
        ParameterError
            If pysam is missing, or for a flat list of more than two names.
        """
        groups = group_files(filelist)
        self._load(
            "load_data_from_bam",
            fendfilename,
            [path for group in groups for path in group],
            {"maxinsert": maxinsert, "min_mapq": min_mapq, "dedup": dedup},
            lambda partition: BamReads(groups, partition, min_mapq=min_mapq),
        )

    def _load(
        self,
        method: str,
        fendfilename: PathLike,
        files: Sequence[PathLike],
        arguments: Mapping[str, Any],
        open_source: Callable[[Partition], ReadSource | CountSource],
    ) -> None:
        """Count the pairs of a source, and take the result in place of what was there.

        `arguments` are those of the call for the record; a source of reads needs ``maxinsert`` and
        ``dedup`` among them.
        """
        fends = Fend(fendfilename, "r", silent=True)
        source = open_source(fends.partition)
        names = [name_of(path) for path in files]
        record: dict[str, Any] = {
            "history": fends.records + History(),
            "call": (
                f"HiCData.{method}",
                {"fendfilename": Path(fendfilename).name, "filelist": names, **arguments},
            ),
            "attributes": {
                "fends": relative_link(fendfilename, self.file),
                "fends_token": fends.token,
                "maxinsert": arguments.get("maxinsert"),
                "sources": names,
            },
            "silent": self.silent,
        }

        def load(target: Path) -> None:
            if isinstance(source, CountSource):
                load_counts(target, fends.partition, source, **record)
                return
            filters = {name: arguments[name] for name in ("maxinsert", "dedup")}
            load_reads(target, fends.partition, source, **filters, **record)

        self._take(load, fends)

    def combine(self, filelist: Sequence[PathLike]) -> None:
        """Add up the pairs of replicates, replacing what the store held.

        Reads of all stores count: duplicates are looked for when reads are loaded, never between
        stores. Statistics and insert-size histograms are added too; ``valid_cis_pairs`` and
        ``valid_trans_pairs`` are counted anew, but for fends in bins, where pairs of fends are no
        longer known and those of the stores are added. If the stores have the same `maxinsert`, the
        result has it. The order of the stores does not change the pairs, to the byte.

        Parameters
        ----------
        filelist
            At least two pair stores, Zarr or HDF5, of the same partition.

        Raises
        ------
        ParameterError
            For fewer than two, or if the store to be made is one of them.
        LinkError
            If their partitions differ; the message says in what.
        InputError
            If a pair would have more than 2 147 483 647 reads. The store stays as it was.
        StoreError
            If one cannot be opened, or the target not be written.

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_project
        >>> data = hd.HiC(toy_project(), silent=True).data
        >>> folder = Path(data.file).parent
        >>> other = hd.HiCData(folder / "other.zarr", "w", silent=True)
        >>> other.load_data_from_raw(data.fends.file, folder / "reads.raw", 300)
        >>> both = hd.HiCData(folder / "both.zarr", "w", silent=True)
        >>> both.combine([data.file, other.file])
        >>> both.stats["total_reads"] == data.stats["total_reads"] + other.stats["total_reads"]
        True
        """
        inputs = _open_replicates(_listed(filelist), self.file)
        stores = [data.store for data in inputs]
        fends = inputs[0].fends
        record: dict[str, Any] = {
            "history": join_histories([data.records for data in inputs], fends.records),
            "call": ("HiCData.combine", {"filelist": [Path(data.file).name for data in inputs]}),
            "attributes": {
                "fends": relative_link(fends.file, self.file),
                "fends_token": fends.token,
                "maxinsert": join_maxinsert([s.attributes.get("maxinsert") for s in stores]),
                "sources": [name for s in stores for name in s.attributes.get("sources") or ()],
            },
            "silent": self.silent,
        }
        self._take(lambda target: combine_stores(target, fends.partition, stores, **record), fends)

    def _take(self, make: Callable[[Path], object], fends: Fend) -> None:
        """Make a Zarr store on a path, and take it in place of what was there."""
        if self._hdf5:
            check_replaceable(self.file, PAIRS.type)
            with tempfile.TemporaryDirectory(dir=writable_parent(self.file)) as directory:
                beside = Path(directory) / "pairs.zarr"
                make(beside)
                self._store = _into_memory(PairStore.open(beside), fends.units)
        else:
            with replacing_store(self.file, PAIRS.type) as beside:
                make(beside)
            self._store = PairStore.open(self.file)
        self._fends = fends
        self._forget()

    # Saving and opening

    def load(self) -> None:
        """Open the store `file`, and the partition that it links to.

        Raises
        ------
        StoreError
            If it is missing, incomplete or of another kind.
        LinkError
            If its partition is missing or another one.
        """
        if self._hdf5:
            content = pairs_hdf5.read_hcd(self.file)
            fends = Fend(resolve_link(str(content.attributes["fendfilename"]), self.file))
            store = _from_hcd(content, fends)
        else:
            store = PairStore.open(self.file)
            fends = Fend(resolve_link(str(store.attributes["fends"]), self.file))
            check_token(fends.token, store.attributes["fends_token"], fends.file, self.file)
        self._store, self._fends = store, fends
        self._forget()

    def save(self, out_fname: PathLike | None = None) -> None:
        """Write the pairs to `file`, or to another file in the format that its suffix says.

        A ``.zarr`` store is complete after loading; saving it in place has nothing left to do.
        """
        store, fends = self._loaded()
        target = self.file if out_fname is None else os.path.abspath(out_fname)
        link = relative_link(fends.file, target)
        if is_hdf5(target):
            with replacing_store(target, PAIRS.type) as beside:
                pairs_hdf5.write_hcd(beside, self._hcd_content(link), len(self.units))
        elif target != self.file:
            with replacing_store(target, PAIRS.type) as beside:
                write_pairs(beside, store, rewrite_attributes(store, link, fends.token))

    def _hcd_content(self, link: str) -> pairs_hdf5.HcdContent:
        store, fends = self._loaded()
        attributes = {
            "filetype": "hic_data",
            "history": store.history.text,
            "fendfilename": link,
            "binned": fends.binned is not None,
            "re": fends.partition.fends is not None,
        }
        if self.maxinsert is not None:
            attributes["maxinsert"] = np.int64(self.maxinsert)
        if store.attributes.get("sources"):
            attributes["raw_filelist"] = ",".join(store.attributes["sources"])
        return pairs_hdf5.HcdContent(
            self.cis_data, self.trans_data, self.stats, self.insert_distribution, attributes
        )

    def export_to_mat(self, outfilename: PathLike) -> None:
        """Write all pairs as text, for `load_data_from_mat` with ``basefend=0``.

        A header ``fend1 fend2 count`` (``bin1 bin2 count`` if there are bins), then a line per
        pair, separated by tabs, fends or bins numbered from 0: for each first fend its cis pairs,
        then its trans pairs. Pairs are read and written in pieces, never as a whole.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        store, _ = self._loaded()
        with replacing(outfilename) as beside:
            write_mat(beside, store, self.units, silent=self.silent)

    # What is in it

    def _loaded(self) -> tuple[PairStore, Fend]:
        if self._store is None or self._fends is None:
            raise StateError(f"{self.file}: no reads are loaded yet; call load_data_from_raw first")
        return self._store, self._fends

    def _forget(self) -> None:
        for name in ("cis_data", "trans_data"):
            self.__dict__.pop(name, None)

    @property
    def store(self) -> PairStore:
        """The open pair store."""
        return self._loaded()[0]

    @property
    def fends(self) -> Fend:
        """The partition."""
        return self._loaded()[1]

    @property
    def units(self) -> Units:
        """What the pairs are counted in: bins if the partition has bins, else fends."""
        return self._loaded()[1].units

    @property
    def token(self) -> str:
        """Digest of the content."""
        return self.store.token

    @property
    def history(self) -> str:
        """The calls that made this store and its partition, one a line."""
        return self.records.text

    @property
    def records(self) -> History:
        """The structured history."""
        return self._store.history if self._store is not None else History()

    @property
    def stats(self) -> Mapping[str, int]:
        """Read statistics by name."""
        return self.store.stats

    def stats_table(self, short: int = SHORT) -> pd.DataFrame:
        """Return the read statistics as a table, with valid cis reads split by distance.

        Parameters
        ----------
        short
            bp: cis reads closer than this are short.

        Returns
        -------
        Indexed by ``class``: those of `stats` that count reads, ``valid_reads``, which are cis and
        trans together, ``cis_short_reads`` and ``cis_long_reads``. Columns: ``reads`` (int64),
        ``of_all`` and ``of_valid`` (fractions; NaN where a class is no part of it), ``meaning``.

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_project
        >>> table = hd.HiC(toy_project(), silent=True).data.stats_table()
        >>> bool(table.loc["valid_cis_reads", "of_valid"] > 0.5)
        True
        """
        return class_table(self.stats, self.distance_classes(short))

    def distance_classes(self, short: int = SHORT) -> dict[str, int]:
        """Return valid reads by distance, in one lazy pass over the pairs.

        Parameters
        ----------
        short
            bp: cis reads whose units have midpoints closer than this are short.

        Returns
        -------
        Reads by name: ``cis_short_reads``, ``cis_long_reads``, ``trans_reads``.

        Raises
        ------
        ParameterError
            If `short` is below 0.
        """
        return reads_by_distance(self.store, self.units, short, silent=self.silent)

    @property
    def insert_distribution(self) -> NDArray[np.int64]:
        """int64 (182, 2): distinct read pairs, and lower edge in bp, per row."""
        return self.store.insert_distribution

    @property
    def maxinsert(self) -> int | None:
        """bp, as loaded; None without filter, and if replicates with different ones were combined.

        The different ones are then listed in the attribute ``maxinsert`` of `store`.
        """
        value = self.store.attributes.get("maxinsert")
        return None if value is None or isinstance(value, list) else int(value)

    def block(self, chrom1: str, chrom2: str | None = None) -> Block:
        """Return the pairs between two chromosomes, or within one, as lazy Dask arrays.

        Parameters
        ----------
        chrom1, chrom2
            Names, in any order; without `chrom2` the cis pairs of `chrom1`.

        Returns
        -------
        Block
            ``fend1``, ``fend2`` (global indices) and ``count`` (reads), int32, equal chunks.
            ``fend1`` lies on the chromosome that comes first in the genome.
        """
        units = self.units
        (first,), (second,) = units.select(chrom1), units.select(chrom2 or chrom1)
        return block_arrays(self.store, min(first, second), max(first, second))

    def to_dask_dataframe(self) -> dd.DataFrame:
        """Return all pairs as a lazy Dask dataframe.

        Columns chrom1, fend1, mid1, chrom2, fend2, mid2 (bp) and count (reads). No partition
        crosses a pair of chromosomes.
        """
        return pair_frame(self.store, self.units)

    def to_xarray(self) -> xr.Dataset:
        """Return all pairs and the table of blocks as a lazy Dataset on dims pair and block."""
        return pair_dataset(self.store, self.units)

    @cached_property
    def cis_data(self) -> NDArray[np.int32]:
        """int32 (rows, 3): unit, unit, reads of all cis pairs, sorted. Read into memory."""
        return self._rows(cis=True)

    @cached_property
    def trans_data(self) -> NDArray[np.int32]:
        """int32 (rows, 3): unit, unit, reads of all trans pairs, sorted. Read into memory."""
        return self._rows(cis=False)

    @property
    def cis_indices(self) -> NDArray[np.int64]:
        """int64 (units + 1): rows of `cis_data` by first unit."""
        return pairs_hdf5.unit_index(self.cis_data[:, 0], len(self.units))

    @property
    def trans_indices(self) -> NDArray[np.int64]:
        """int64 (units + 1): rows of `trans_data` by first unit."""
        return pairs_hdf5.unit_index(self.trans_data[:, 0], len(self.units))

    @property
    def cis_interaction_distribution(self) -> NDArray[np.int64]:
        """int64: number of units by their number of cis partners."""
        return pairs_hdf5.partner_distribution(self.cis_data, len(self.units))

    @property
    def trans_interaction_distribution(self) -> NDArray[np.int64]:
        """int64: number of units by their number of trans partners."""
        return pairs_hdf5.partner_distribution(self.trans_data, len(self.units))

    def _rows(self, *, cis: bool) -> NDArray[np.int32]:
        store = self.store
        parts = [
            np.stack(store.rows_of(lo, hi)(), axis=1)
            for (a, b), (lo, hi) in store.blocks.items()
            if (a == b) == cis
        ]
        rows = np.concatenate([np.zeros((0, 3), dtype=np.int32), *parts])
        return rows if cis else rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def _listed(filelist: PathLike | Sequence[PathLike]) -> list[PathLike]:
    return [filelist] if isinstance(filelist, str | os.PathLike) else list(filelist)


def _open_replicates(filelist: Sequence[PathLike], target: str) -> list[HiCData]:
    """Open stores that are to be added up, and check that they can be."""
    if len(filelist) < 2:
        raise ParameterError(f"{len(filelist)} stores were given, expected at least two")
    for path in filelist:
        if os.path.exists(path) and os.path.exists(target) and os.path.samefile(path, target):
            raise ParameterError(f"{target} is one of the stores to combine; write to another file")
    inputs = [HiCData(path, "r", silent=True) for path in filelist]
    first, *rest = inputs
    for data in rest:
        if data.fends.token != first.fends.token:
            seen = " and ".join(
                f"{d.file} (of {d.fends.file}, token {d.fends.token})" for d in (first, data)
            )
            raise LinkError(
                f"{seen} have different partitions: "
                f"{explain_difference(first.fends.partition, data.fends.partition)}; load the "
                "reads again on the same partition"
            )
    for one, other in itertools.combinations(inputs, 2):
        if one.token == other.token:
            warnings.warn(
                f"{one.file} and {other.file} hold the same pairs, which now count twice",
                InputWarning,
                stacklevel=3,
            )
    return inputs


def _into_memory(store: PairStore, units: Units) -> PairStore:
    return PairStore.from_memory(
        store.rows_of(0, len(store))(),
        units.offset,
        stats=store.stats,
        insert_distribution=store.insert_distribution,
        token=store.token,
        attributes=store.attributes,
        history=store.history,
    )


def _from_hcd(content: pairs_hdf5.HcdContent, fends: Fend) -> PairStore:
    rows = np.concatenate([content.cis, content.trans])
    attributes = {
        "fends": content.attributes["fendfilename"],
        "fends_token": fends.token,
        "maxinsert": content.attributes.get("maxinsert"),
        "sources": [
            Path(name).name
            for name in str(content.attributes.get("raw_filelist", "")).split(",")
            if name
        ],
    }
    return PairStore.from_memory(
        (rows[:, 0], rows[:, 1], rows[:, 2]),
        fends.units.offset,
        stats=content.stats,
        insert_distribution=content.insert_distribution,
        token=content.token,
        attributes=attributes,
        history=content.history,
    )
