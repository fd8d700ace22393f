"""What fills a pair store: one method per format of reads."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, SupportsIndex

from hifive_dask._store.links import relative_link
from hifive_dask._store.places import Location, Place, absolute, local
from hifive_dask.errors import ParameterError
from hifive_dask.fend import Fend
from hifive_dask.genome.partition import Partition
from hifive_dask.provenance import History
from hifive_dask.reads.bam import BamReads, group_files
from hifive_dask.reads.cool import CoolCounts
from hifive_dask.reads.count import Dedup
from hifive_dask.reads.fragments import FragmentEdges
from hifive_dask.reads.lines import TextReads
from hifive_dask.reads.mat import MatCounts, check_numbering
from hifive_dask.reads.matrices import MatrixCounts, MatrixFormat
from hifive_dask.reads.pipeline import load_counts, load_reads
from hifive_dask.reads.source import CountSource, ReadSource
from hifive_dask.reads.text import name_of
from hifive_dask.regions import bp_or_none, whole_bp

__all__ = ["LOADERS", "Loading"]

LOADERS = (
    "load_data_from_raw",
    "load_data_from_pairs",
    "load_data_from_bam",
    "load_data_from_mat",
    "load_binned_data_from_matrices",
    "load_data_from_cool",
)

PathLike = str | os.PathLike[str]


class Loading(ABC):
    """Methods of `hifive_dask.HiCData` that load reads or counted pairs."""

    file: str
    silent: bool

    @property
    @abstractmethod
    def stats(self) -> Mapping[str, int]:
        """Read statistics by name."""

    @abstractmethod
    def _take(
        self, make: Callable[[Place], object], fends: Fend, files: Sequence[str] = ()
    ) -> None:
        """Make a Zarr store of these files on a path, and take it in place of what was there."""

    def load_data_from_raw(
        self,
        fendfilename: Location,
        filelist: PathLike | Sequence[PathLike],
        maxinsert: int | str | None,
        skip_duplicate_filtering: bool = False,
        *,
        base: int = 1,
        dedup: Dedup = "library",
        dedup_mismatch: int | str = 0,
    ) -> None:
        """Count read pairs of raw text files, replacing what the store held.

        Lines are ``chrom1 pos1 strand1 chrom2 pos2 strand2``, separated by tabs; further columns
        are ignored. Strands are ``+`` and ``-``, or the flags 0 and 16 of SAM. Files may be plain,
        gzip or bgzip; ``-`` is standard input, and pipes are read too. For a ``.zarr`` store the
        pairs are written at once, since they need not fit in memory; for HDF5 by `save`.

        Parameters
        ----------
        fendfilename
            The partition, as saved by `Fend`.
        filelist
            One file or several, none of them twice.
        maxinsert
            bp. Fends: largest accepted sum of the distances of the two ends to their cut sites.
            Bins: pairs on opposite strands at this distance or closer are dropped. None: no filter.
        skip_duplicate_filtering
            HiFive's name for ``dedup="none"``.
        base
            Position of the first base of a chromosome in the files, 1 or 0.
        dedup
            Reads with equal ends are PCR duplicates and count once in the ``"library"`` (all files
            of this call), in each ``"file"``, or ``"none"``: always count.
        dedup_mismatch
            bp. Reads on the same strands are duplicates if both ends differ by no more, also by way
            of further ones between them, as ``pairtools dedup --max-mismatch`` finds them.

        Raises
        ------
        InputError
            For a missing, damaged or faulty file, with its line; and when no pair was accepted,
            with the cause. The store stays as it was.
        StoreError
            If the partition cannot be opened or the target not be written.
        """
        files = _listed(filelist)
        dedup = _dedup(dedup, skip_duplicate_filtering)
        self._load(
            "load_data_from_raw",
            fendfilename,
            files,
            {
                "maxinsert": maxinsert,
                "base": base,
                "dedup": dedup,
                "dedup_mismatch": dedup_mismatch,
            },
            lambda _: TextReads(files, "raw", base=base),
        )

    def load_data_from_pairs(
        self,
        fendfilename: Location,
        filelist: PathLike | Sequence[PathLike],
        maxinsert: int | str | None,
        *,
        base: int = 1,
        dedup: Dedup = "library",
        dedup_mismatch: int | str = 0,
        fragments: Literal["index"] | None = None,
        ignore_marks: bool = False,
    ) -> None:
        """Count read pairs of ``.pairs`` files (4DN consortium), replacing what the store held.

        Columns are found by the ``#columns:`` line (``chrom1`` or ``chr1``, ``pos1``, ``strand1``,
        and so on), else they are the standard seven. Parameters and errors as `load_data_from_raw`.

        The column ``pair_type`` of pairtools, if there is one, tells which pairs do not count, and
        what they are: DD are duplicates; pairs with an end of type N or X, or on the chromosome
        ``!``, are ``unmapped_reads``, others with M ``multimapped_reads``, those with W
        ``walk_reads``.

        Parameters
        ----------
        fragments
            With ``"index"``, the columns ``rfrag1`` and ``rfrag2`` (or ``frag1``, ``frag2``) decide
            the fragment: a position outside it is moved to its nearest base. They count from 0 on
            each chromosome, 0 being the stretch before the first cut, as ``pairtools restrict`` and
            Juicer write them for the same cut sites. None: positions decide.
        ignore_marks
            Chromosomes and positions alone decide, whatever the pair types are.
        """
        if fragments not in (None, "index"):
            raise ParameterError(f"fragments is {fragments!r}, expected 'index' or None")
        files = _listed(filelist)

        def open_source(partition: Partition) -> TextReads:
            edges = FragmentEdges.of(partition) if fragments else None
            marks = not ignore_marks
            return TextReads(files, "pairs", base=base, edges=edges, marks=marks, genome=partition)

        arguments = {
            "maxinsert": maxinsert,
            "base": base,
            "dedup": dedup,
            "dedup_mismatch": dedup_mismatch,
            "fragments": fragments,
            "ignore_marks": ignore_marks,
        }
        self._load("load_data_from_pairs", fendfilename, files, arguments, open_source)

    def load_data_from_mat(
        self, fendfilename: Location, filename: PathLike, basefend: SupportsIndex = 0
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

        Warns
        -----
        InputWarning
            If the statistics are those of a filtered file with wrong numbers: no reads within a
            fragment, but some that failed the cut.

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
        check_numbering(name_of(filename), basefend, self.stats)

    def load_binned_data_from_matrices(
        self, fendfilename: Location, filename: PathLike, format: MatrixFormat | None = None
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

    def load_data_from_cool(self, fendfilename: Location, uri: PathLike) -> None:
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
        fendfilename: Location,
        filelist: PathLike | Sequence[PathLike | Sequence[PathLike]],
        maxinsert: int | str | None,
        skip_duplicate_filtering: bool = False,
        *,
        min_mapq: int = 0,
        dedup: Dedup = "library",
        dedup_mismatch: int | str = 0,
        ignore_marks: bool = False,
    ) -> None:
        """Count read pairs of BAM, SAM or CRAM files, replacing what the store held.

        Alignments with the same read name, up to a last ``/1`` or ``/2``, are a read pair; in two
        files of mates also up to other endings that tell these apart (``.1`` and ``.2``). Files may
        be sorted in any way, and need no index. Only primary, mapped alignments that passed
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
            ``[[first, second], [both], ...]``. ``-`` is standard input.
        maxinsert, skip_duplicate_filtering
            As in `load_data_from_raw`.
        min_mapq
            Least mapping quality of both ends.
        dedup
            As in `load_data_from_raw`; a pair of files is one file.
        dedup_mismatch
            As in `load_data_from_raw`.
        ignore_marks
            Count pairs with an end that is flagged as a duplicate (1024) like all others. Else they
            are duplicates.

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
        dedup = _dedup(dedup, skip_duplicate_filtering)
        self._load(
            "load_data_from_bam",
            fendfilename,
            [path for group in groups for path in group],
            {
                "maxinsert": maxinsert,
                "min_mapq": min_mapq,
                "dedup": dedup,
                "dedup_mismatch": dedup_mismatch,
                "ignore_marks": ignore_marks,
            },
            lambda partition: BamReads(
                groups, partition, min_mapq=min_mapq, marks=not ignore_marks
            ),
        )

    def _load(
        self,
        method: str,
        fendfilename: Location,
        files: Sequence[PathLike],
        arguments: Mapping[str, Any],
        open_source: Callable[[Partition], ReadSource | CountSource],
    ) -> None:
        """Count the pairs of a source, and take the result in place of what was there.

        `arguments` are those of the call for the record; a source of reads needs ``maxinsert``,
        ``dedup`` and ``dedup_mismatch`` among them.
        """
        if "maxinsert" in arguments:
            sizes = {
                "maxinsert": bp_or_none(arguments["maxinsert"], "maxinsert"),
                "dedup_mismatch": whole_bp(arguments["dedup_mismatch"], "dedup_mismatch"),
            }
            arguments = {**arguments, **sizes}
        for path in files:
            local(path)
        fends = Fend(fendfilename, "r", silent=True)
        source = open_source(fends.partition)
        names = [name_of(path) for path in files]
        record: dict[str, Any] = {
            "history": fends.records + History(),
            "call": (
                f"HiCData.{method}",
                {"fendfilename": Path(fends.file).name, "filelist": names, **arguments},
            ),
            "attributes": {
                "fends": relative_link(fends.file, self.file),
                "fends_token": fends.token,
                "maxinsert": arguments.get("maxinsert"),
                "sources": names,
            },
            "silent": self.silent,
        }

        def load(target: Place) -> None:
            if isinstance(source, CountSource):
                load_counts(target, fends.partition, source, **record)
                return
            load_reads(
                target,
                fends.partition,
                source,
                maxinsert=arguments["maxinsert"],
                dedup=arguments["dedup"],
                mismatch=arguments["dedup_mismatch"],
                **record,
            )

        given = zip(files, names, strict=True)
        found = [absolute(path) if os.path.exists(path) else name for path, name in given]
        self._take(load, fends, found)


def _dedup(dedup: Dedup, skip: bool) -> Dedup:
    if skip and dedup == "file":
        raise ParameterError("skip_duplicate_filtering=True and dedup='file' exclude each other")
    return "none" if skip else dedup


def _listed(filelist: PathLike | Sequence[PathLike]) -> list[PathLike]:
    return [filelist] if isinstance(filelist, str | os.PathLike) else list(filelist)
