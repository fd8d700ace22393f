"""Class `HiCData`: counted pairs of fends (or bins) of one experiment."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hifive_dask._graph.run import progress
from hifive_dask._store.atomic import replacing_file, writable_parent
from hifive_dask._store.kinds import check_replaceable, replacing_store
from hifive_dask._store.links import check_token, relative_link, resolve_link
from hifive_dask._store.pairs import PairStore, rewrite_attributes, write_pairs
from hifive_dask._store.pairs_hdf5 import (
    fends_link,
    hcd_attributes,
    open_hcd,
    write_hcd,
)
from hifive_dask._store.places import Location, Place, absolute, local, same
from hifive_dask._store.zarr_store import is_hdf5
from hifive_dask.about import Described, Fact
from hifive_dask.errors import InputWarning, LinkError, ParameterError, StateError, warn
from hifive_dask.fend import Fend
from hifive_dask.genome.partition import Units
from hifive_dask.loading import LOADERS, Loading
from hifive_dask.provenance import History
from hifive_dask.public import Named, known_later, public
from hifive_dask.ranks import by_first_rank, is_first
from hifive_dask.reads.combine import (
    combine_stores,
    explain_difference,
    join_histories,
    join_maxinsert,
)
from hifive_dask.reads.export import write_mat
from hifive_dask.reads.verify import verify_pairs
from hifive_dask.schema import PAIRS
from hifive_dask.viewing import Viewing

__all__ = ["HiCData"]

_HELD = (
    "cis_data",
    "cis_indices",
    "cis_interaction_distribution",
    "trans_data",
    "trans_indices",
    "trans_interaction_distribution",
    "insert_distribution",
    "stats",
)


@public(filled_by=("load", "combine", *LOADERS))
class HiCData(Described, Viewing, Loading, Named):
    """Counted pairs of units: fends, or bins if the partition has bins.

    Parameters
    ----------
    filename
        The store; ``.zarr``, a path or URL, or HiFive's HDF5 layout with ``.hcd``, ``.h5`` or
        ``.hdf5``. HDF5 is for exchange: opening reads the file once, loading reads holds them in
        memory until `save`.
    mode
        ``"r"`` opens what is there, ``"w"`` starts empty.
    silent
        No progress bars.

    Attributes
    ----------
    file : str
        Absolute path, or URL.
    stats : dict
        Read statistics, int by name. ``total_reads`` is the sum of ``unmapped_reads``,
        ``multimapped_reads``, ``walk_reads``, ``chr_not_in_fends``, ``pcr_duplicates`` (unless
        duplicates were kept; then of ``marked_duplicates``, which are part of them),
        ``out_of_bounds``, ``insert_size``, ``same_fragment``, ``failed_cut``, ``valid_cis_reads``
        and ``valid_trans_reads``.
    insert_distribution : numpy.ndarray
        int64 (182, 2): distinct read pairs, and lower edge in bp, per row.
    end_distribution : numpy.ndarray
        int64 (601, 3): 5' ends on the plus strand, on the minus strand, and their place relative to
        the nearest cut in bp, per row; no rows where that is not known.
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

    def __init__(self, filename: Location, mode: str = "r", silent: bool = False) -> None:
        if mode not in ("r", "w"):
            raise ParameterError(f"mode is {mode!r}, expected 'r' (open) or 'w' (new)")
        self.file = absolute(filename)
        self.silent = silent
        self._hdf5 = is_hdf5(self.file)
        self._store: PairStore | None = None
        self._fends: Fend | None = None
        self._files: list[str] = []  # that were read; stores keep their names alone
        if mode == "r":
            self.load()

    def _facts(self) -> Iterator[Fact]:
        if self._store is None or self._fends is None:
            yield "pairs", "empty; load_data_from_raw and others fill it"
            return
        partition = self._fends.partition
        names = filter(None, [partition.genome_name, partition.text])
        yield "genome", ", ".join(names)
        yield "pairs", f"{len(self._store):,} pairs of {'fends' if self.units.fends else 'bins'}"
        yield "reads", self._reads
        limit = self._store.attributes.get("maxinsert")
        if isinstance(limit, int):
            yield "maxinsert", f"{limit:,} bp"
        yield "partition", self._fends.file

    @known_later
    def _reads(self) -> str:
        """Valid reads, in words."""
        cis, trans, total = (
            int(self.stats.get(name, 0))
            for name in ("valid_cis_reads", "valid_trans_reads", "total_reads")
        )
        share = f", {100 * cis / (cis + trans):.1f} % cis" if cis + trans else ""
        of_all = f", of {total:,} in all" if total else ""
        return f"{cis:,} cis and {trans:,} trans reads{share}{of_all}"

    def _names(self) -> Iterator[str]:
        if self._store is not None:
            yield from _HELD

    # Replicates

    def combine(self, filelist: Sequence[Location]) -> None:
        """Add up the pairs of replicates, replacing what the store held.

        Reads of all stores count: duplicates are looked for when reads are loaded, never between
        stores. Statistics and histograms are added too; ``valid_cis_pairs`` and
        ``valid_trans_pairs`` are counted anew, but for fends in bins, where pairs of fends are no
        longer known and those of the stores are added. If the stores have the same `maxinsert`, the
        result has it. The order of the stores does not change the pairs, to the byte. The partition
        is the first one of theirs that knows lengths of chromosomes, else the first one.

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
        inputs = _open_replicates(list(filelist), self.file)
        stores = [data.store for data in inputs]
        known = (data.fends for data in inputs if data.fends.partition.lengths is not None)
        fends = next(known, inputs[0].fends)
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

    def _take(
        self, make: Callable[[Place], object], fends: Fend, files: Sequence[str] = ()
    ) -> None:
        """Make a Zarr store of these files on a path, and take it in place of what was there.

        For HDF5, which `save` writes, it stays in memory; so it does on all ranks of MPI but one.
        """
        if self._hdf5 or not is_first():
            check_replaceable(self.file, PAIRS.type)
            folder = local(writable_parent(self.file)) if self._hdf5 else None
            with tempfile.TemporaryDirectory(dir=folder) as directory:
                made = Path(directory) / "pairs.zarr"
                make(made)
                self._store = _into_memory(PairStore.open(made), fends.units)
        else:
            with replacing_store(self.file, PAIRS.type) as beside:
                make(beside)
            self._store = PairStore.open(self.file)
        self._fends, self._files = fends, list(files)
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
            fends = Fend(resolve_link(fends_link(self.file), self.file))
            store = open_hcd(self.file, fends.units.offset, fends_token=fends.token)
        else:
            store = PairStore.open(self.file)
            fends = Fend(resolve_link(str(store.attributes["fends"]), self.file))
            check_token(fends.token, store.attributes["fends_token"], fends.file, self.file)
        self._store, self._fends, self._files = store, fends, []
        self._forget()

    @by_first_rank
    def save(
        self, out_fname: Location | None = None, *, fendfilename: Location | None = None
    ) -> None:
        """Write the pairs to `file`, or to another file in the format that its suffix says.

        A ``.zarr`` store is complete after loading; saving it in place has nothing left to do.

        Parameters
        ----------
        out_fname
            The file; by default `file`.
        fendfilename
            A copy of the partition to link to in place of the one that was opened.

        Raises
        ------
        StoreError
            If it cannot be written; what was there before is then untouched.
        LinkError
            If `fendfilename` is another partition.
        """
        store, fends = self._loaded()
        target = self.file if out_fname is None else absolute(out_fname)
        if fendfilename is not None:
            copy = Fend(fendfilename, silent=True)
            check_token(copy.token, fends.token, copy.file, self.file)
            fends = copy
        elif target == self.file and not self._hdf5:
            return
        link = relative_link(fends.file, target)
        title, rows = f"writing {Path(target).name}", len(store)
        with replacing_store(target, PAIRS.type) as beside:
            if is_hdf5(target):
                binned, re = fends.binned is not None, fends.partition.fends is not None
                files = [
                    relative_link(path, target) if os.path.isabs(path) else path
                    for path in self._files
                ]
                attributes = hcd_attributes(store, link, files, binned=binned, re=re)
                with progress(title, 2 * rows, silent=self.silent) as advance:
                    write_hcd(local(beside), store, fends.units.offset, attributes, advance)
            else:
                attributes = rewrite_attributes(store, link, fends.token)
                with progress(title, rows, silent=self.silent) as advance:
                    write_pairs(beside, store, attributes, advance)
        if target == self.file:
            self.load()

    def verify(self) -> str:
        """Read all pairs, check that they are sorted and complete, and return their token.

        Equal pairs and statistics give equal tokens, in Zarr and in HDF5.

        Raises
        ------
        StoreError
            If the store is damaged.
        """
        return verify_pairs(self.store, self.units.offset, silent=self.silent)

    @by_first_rank
    def export_to_mat(self, outfilename: Location) -> None:
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
        with replacing_file(outfilename) as beside:
            write_mat(beside, store, self.units, silent=self.silent)

    # What is in it

    def _loaded(self) -> tuple[PairStore, Fend]:
        if self._store is None or self._fends is None:
            raise StateError(f"{self.file}: no reads are loaded yet; call load_data_from_raw first")
        return self._store, self._fends

    def _forget(self) -> None:
        for name in ("_cis_rows", "_trans_rows"):
            self.__dict__.pop(name, None)

    @known_later
    def store(self) -> PairStore:
        """The open pair store."""
        return self._loaded()[0]

    @known_later
    def fends(self) -> Fend:
        """The partition."""
        return self._loaded()[1]

    @known_later
    def units(self) -> Units:
        """What the pairs are counted in: bins if the partition has bins, else fends."""
        return self._loaded()[1].units

    @known_later
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


def _open_replicates(filelist: Sequence[Location], target: str) -> list[HiCData]:
    """Open stores that are to be added up, and check that they can be."""
    if len(filelist) < 2:
        raise ParameterError(f"{len(filelist)} stores were given, expected at least two")
    for path in filelist:
        if same(path, target):
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
            warn(
                f"{one.file} and {other.file} hold the same pairs, which now count twice",
                InputWarning,
            )
    for name in ("dedup", "dedup_mismatch"):
        _warn_if_not_alike(inputs, name)
    return inputs


def _warn_if_not_alike(inputs: Sequence[HiCData], name: str) -> None:
    """Warn if an argument that decides which reads are duplicates was not the same for all."""
    known: dict[Any, str] = {}
    for data in inputs:
        for record in data.records.records:
            if name in record.get("parameters", {}):
                known.setdefault(record["parameters"][name], data.file)
    if len(known) > 1:
        seen = ", ".join(f"{name}={value!r} ({file})" for value, file in known.items())
        warn(f"duplicates were counted in different ways: {seen}; count all alike", InputWarning)


def _into_memory(store: PairStore, units: Units) -> PairStore:
    return PairStore.from_memory(
        store.rows_of(0, len(store))(),
        units.offset,
        stats=store.stats,
        insert_distribution=store.insert_distribution,
        end_distribution=store.end_distribution,
        token=store.token,
        attributes=store.attributes,
        history=store.history,
    )
