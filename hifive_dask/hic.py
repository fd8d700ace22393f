"""Class `HiC`: a project. What it holds, how it is saved and opened, tables and heatmaps of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hifive_dask._store.links import check_token, relative_link, resolve_link
from hifive_dask._store.places import Location, absolute
from hifive_dask._store.project import ProjectContent, check_sizes, read_project, write_project
from hifive_dask.about import Described, Fact, counted
from hifive_dask.arrays import Arrays
from hifive_dask.correcting import Correcting
from hifive_dask.errors import ParameterError, StateError
from hifive_dask.exporting import Exporting
from hifive_dask.fend import Fend
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.dynamic import Growth
from hifive_dask.heatmap.query import Datatype, heatmap
from hifive_dask.hic_data import HiCData
from hifive_dask.measuring import DISTANCE_SUMS
from hifive_dask.provenance import History
from hifive_dask.public import Named, known_later, public
from hifive_dask.ranks import by_first_rank, world
from hifive_dask.regions import Region

__all__ = ["HiC"]

Float32 = NDArray[np.float32]

_ARRAYS = {
    "filter": "filter/valid",
    "distance_parameters": "distance/parameters",
    "bin_distance_parameters": "distance/binary_parameters",
    "chromosome_means": "distance/chromosome_means",
    "trans_means": "distance/trans_means",
    "model_parameters": "binning/model_parameters",
    "binning_num_bins": "binning/num_bins",
    "binning_fend_indices": "binning/fend_indices",
    "binning_corrections": "binning/corrections",
    "binning_correction_indices": "binning/correction_indices",
}
_OF_CORRECTIONS = {
    "corrections": "values",
    "observed_reads": "observed_reads",
    "expected_reads": "expected_reads",
    "chromosome_scales": "scales",
}


@public(filled_by=("load", "load_data"))
class HiC(Described, Correcting, Arrays, Exporting, Named):
    """A Hi-C project: which fends to trust, what biases they have, and heatmaps free of them.

    Parameters
    ----------
    filename
        The project; ``.zarr``, a path or a URL such as ``s3://bucket/project.zarr``, or HiFive's
        HDF5 layout with ``.hcp``, ``.h5`` or ``.hdf5``.
    mode
        ``"r"`` opens what is there, ``"w"`` starts a new project. Either can be changed and saved.
    silent
        No progress bars.

    Attributes
    ----------
    file : str
        Absolute path, or URL.
    history : str
        All calls that led here, one a line.
    normalization : str
        ``"none"``, ``"express"`` (also for Knight-Ruiz and ICE), ``"probability"``, ``"binning"``,
        ``"binning-express"`` or ``"binning-probability"``.
    data : HiCData
        The pairs.
    fends : Fend
        The partition.
    chr2int : dict
        Index of every chromosome name.
    filter : numpy.ndarray
        int32 (N): 1 for every unit (fend or bin) in use.
    distance_parameters, bin_distance_parameters : numpy.ndarray
        float32 (segments, 3): upper cutoff in ln(bp), slope, intercept of the natural log of reads
        (or of the fraction observed) per possible pair. None before `find_distance_parameters`.
    chromosome_means : numpy.ndarray
        float32 (C): ln of each chromosome's mean relative to the distance function.
    corrections : numpy.ndarray
        float32 (N): multiplicative bias of every unit; 0 where it is not in use. None before a
        normalization.
    trans_means : numpy.ndarray
        float64 (C (C - 1) / 2): mean reads per possible pair of every two chromosomes, (0, 1),
        (0, 2), ... None before `find_trans_means`, after the next filter or normalization, and for
        more than 5,793 chromosomes.
    calibrated : bool
        Whether the last normalization calibrated levels: means of pairs of chromosomes, in
        `trans_means` and in maps, are then reads over the sum of what is expected.
    observed_reads, expected_reads : numpy.ndarray
        int64 (C) and float64 (C): cis reads of units in use, and those that maps of enrichment
        expect. None before a normalization, without `distance_parameters`, and after the next
        filter.
    chromosome_scales : numpy.ndarray
        float64 (C): factors with which the `corrections` of all chromosomes balance as one matrix,
        as weights of coolers do. None unless Express or Knight-Ruiz learned them without the
        distance dependence.
    trans_mean : float
        The mean of all of them, weighted by possible pairs.
    model_parameters : numpy.ndarray
        Names of the features of the binning model, M of them. It is None, as are the following,
        before `find_binning_fend_corrections`.
    binning_num_bins : numpy.ndarray
        int32 (M): bins of each feature.
    binning_corrections : numpy.ndarray
        float32: corrections of every two bins of a feature, the upper triangles in order.
    binning_correction_indices : numpy.ndarray
        int32 (M + 1): first correction of every feature, then their number.
    binning_fend_indices : numpy.ndarray
        int32 (N, M, 2): bin b of every fend, and what the number of the other bin, if it is not
        lower, adds up with to the index of a correction.
    binning_model : BinningModel
        All of these together.
    trace : numpy.ndarray
        float64 (iterations, 2): cost and largest relative change of the last normalization.
    converged, iterations : bool, int
        Whether it did, and after how many; None if there was none.
    comm, rank, num_procs
        COMM_WORLD, rank and size where MPI is running, else None, 0, 1; so also in
        ``session("mpi")``, where one rank alone runs the program.

    Examples
    --------
    >>> import hifive_dask as hd
    >>> from hifive_dask.testing import toy_project
    >>> hic = hd.HiC(toy_project(), silent=True)
    >>> hic.filter_fends(mininteractions=5)
    >>> hic.find_distance_parameters(numbins=20, minsize=2000)
    >>> hic.find_express_fend_corrections()
    >>> hic.normalization
    'express'
    >>> list(hic.heatmap("chr1", binsize=50_000).dims)
    ['bin1', 'bin2']
    """

    def __init__(self, filename: Location, mode: str = "r", silent: bool = False) -> None:
        if mode not in ("r", "w"):
            raise ParameterError(f"mode is {mode!r}, expected 'r' (open) or 'w' (new)")
        self.file = absolute(filename)
        self.comm, self.rank, self.num_procs = world()
        self.silent = silent or self.rank > 0
        self._data: HiCData | None = None
        self._fends: Fend | None = None
        self._forget()
        if mode == "r":
            self.load()

    def _forget(self) -> None:
        self.records = History()
        self.normalization = "none"
        self.filter: NDArray[np.int32] = None  # type: ignore[assignment]  # until there are data
        self.distance_parameters: Float32 | None = None
        self.bin_distance_parameters: Float32 | None = None
        self.chromosome_means: Float32 | None = None
        self.trans_means: NDArray[np.float64] | None = None
        self.calibrated = False
        self.observed_reads: NDArray[np.int64] | None = None
        self.expected_reads: NDArray[np.float64] | None = None
        self.chromosome_scales: NDArray[np.float64] | None = None
        self.model_parameters: NDArray[np.str_] | None = None
        self.binning_num_bins: NDArray[np.int32] | None = None
        self.binning_fend_indices: NDArray[np.int32] | None = None
        self.binning_corrections: Float32 | None = None
        self.binning_correction_indices: NDArray[np.int32] | None = None
        self.distance_sums: dict[str, NDArray[np.float64]] = {}
        self.corrections: Float32 | None = None
        self.trace: NDArray[np.float64] | None = None
        self.options: dict[str, int] = {}
        # What a HiFive file held that has no use here: attributes, and arrays by `hifive/<name>`.
        self._hifive: dict[str, Any] = {}
        self._hifive_arrays: dict[str, NDArray[Any]] = {}

    def _facts(self) -> Iterator[Fact]:
        if self._data is None or self._fends is None:
            yield "project", "empty; call load_data first"
            return
        partition = self._fends.partition
        yield "genome", ", ".join(filter(None, [partition.genome_name, partition.text]))
        yield "reads", self._data._reads
        valid = int(np.count_nonzero(self.filter))
        yield "filter", f"{valid:,} of {counted(len(self.filter), self._kind[:-1])} in use"
        segments = self.distance_parameters
        known = "not measured" if segments is None else counted(len(segments), "segment")
        yield "distance", known
        learned = [self.normalization]
        if self.model_parameters is not None:
            learned.append(f"model of {', '.join(map(str, self.model_parameters))}")
        if self.iterations is not None:
            learned.append(counted(self.iterations, "iteration"))
        yield "corrections", ", ".join(filter(None, learned))
        yield "pairs", self._data.file

    def _names(self) -> Iterator[str]:
        yield from (name for name in ("corrections", *_ARRAYS) if self[name] is not None)

    def __setitem__(self, key: str, value: Any) -> None:
        """Set an attribute by name."""
        setattr(self, key, value)

    # Data, saving and opening

    def load_data(self, filename: Location) -> None:
        """Take the pairs of a `HiCData` store; all units are in use, nothing is learned yet.

        Parameters
        ----------
        filename
            The pair store, ``.zarr`` or ``.hcd``. It is linked by its relative path, not copied.

        Raises
        ------
        StoreError
            If it, or its partition, cannot be opened.
        """
        data = HiCData(filename, "r", silent=self.silent)
        self._forget()
        self._data, self._fends = data, data.fends
        self.filter = np.ones(len(data.units), dtype=np.int32)
        self.records = data.records + History()
        self.records.add("HiC.load_data", {"filename": Path(data.file).name})

    @by_first_rank
    def save(self, out_fname: Location | None = None) -> None:
        """Write the project to `file`, or to another file, whose suffix decides the format.

        Raises
        ------
        StoreError
            If it cannot be written; what was there before stays.
        """
        target = self.file if out_fname is None else absolute(out_fname)
        data, fends = self._loaded()
        write_project(target, self._content(target, data, fends))

    def _content(self, target: Location, data: HiCData, fends: Fend) -> ProjectContent:
        arrays: dict[str, NDArray[Any] | None] = {
            **self._hifive_arrays,
            **{variable: getattr(self, name) for name, variable in _ARRAYS.items()},
            **{f"distance/{name}": values for name, values in self.distance_sums.items()},
            **{
                f"corrections/{self.normalization}/{name}": getattr(self, attribute)
                for attribute, name in _OF_CORRECTIONS.items()
            },
        }
        if self.trace is not None:
            arrays[f"corrections/{self.normalization}/trace_cost"] = self.trace[:, 0]
            arrays[f"corrections/{self.normalization}/trace_change"] = self.trace[:, 1]
        return ProjectContent(
            arrays={name: values for name, values in arrays.items() if values is not None},
            normalization=self.normalization,
            pairs=relative_link(data.file, target),
            fends=relative_link(fends.file, target),
            pairs_token=data.token,
            fends_token=fends.token,
            options=dict(self.options),
            calibrated=self.calibrated,
            history=self.records,
            binned=fends.binned,
            hifive=self._hifive,
        )

    def load(self) -> None:
        """Open the project `file` and the stores that it links to.

        Raises
        ------
        StoreError
            If it is missing, incomplete or of another kind.
        LinkError
            If a linked store is missing, or is not the one the project was made with.
        """
        content = read_project(self.file)
        data = HiCData(resolve_link(content.pairs, self.file), "r", silent=self.silent)
        check_token(data.token, content.pairs_token, data.file, self.file)
        check_token(data.fends.token, content.fends_token, data.fends.file, self.file)
        units = data.units
        check_sizes(self.file, content, units=len(units), chromosomes=len(units.chromosomes))
        self._forget()
        self._data, self._fends = data, data.fends
        arrays, name = content.arrays, content.normalization
        self.records, self.normalization = content.history, name
        for attribute, variable in _ARRAYS.items():
            setattr(self, attribute, arrays.get(variable))
        self.distance_sums = {
            key: arrays[f"distance/{key}"] for key in DISTANCE_SUMS if f"distance/{key}" in arrays
        }
        for attribute, variable in _OF_CORRECTIONS.items():
            setattr(self, attribute, arrays.get(f"corrections/{name}/{variable}"))
        if f"corrections/{name}/trace_cost" in arrays:
            parts = [arrays[f"corrections/{name}/trace_{part}"] for part in ("cost", "change")]
            self.trace = np.stack(parts, axis=1)
        self.options, self._hifive = dict(content.options), dict(content.hifive)
        self.calibrated = content.calibrated
        self._hifive_arrays = {k: v for k, v in arrays.items() if k.startswith("hifive/")}

    def _loaded(self) -> tuple[HiCData, Fend]:
        if self._data is None or self._fends is None:
            raise StateError(f"{self.file}: no data are loaded yet; call load_data first")
        return self._data, self._fends

    @known_later
    def data(self) -> HiCData:
        """The pairs."""
        return self._loaded()[0]

    @known_later
    def fends(self) -> Fend:
        """The partition."""
        return self._loaded()[1]

    @known_later
    def units(self) -> Units:
        """What pairs are counted in: bins if the partition has bins, else fends."""
        return self._loaded()[1].units

    @known_later
    def chr2int(self) -> dict[str, int]:
        """Index of every chromosome name."""
        return dict(self.units.index)

    @known_later
    def binned(self) -> int | None:
        """Bin size in bp, 0 for bins of arbitrary size, None for fends."""
        binned: int | None = self.fends.binned
        return binned

    @known_later
    def datafilename(self) -> str:
        """Path of the pair store, relative to the project."""
        return relative_link(self.data.file, self.file)

    @known_later
    def fendfilename(self) -> str:
        """Path of the partition, relative to the project."""
        return relative_link(self.fends.file, self.file)

    @property
    def history(self) -> str:
        """All calls that led here, one a line."""
        return self.records.text

    @known_later
    def _kind(self) -> str:
        return f"{self.units.unit}s"

    # Heatmaps

    def heatmap(
        self,
        region: str | Region | tuple[Any, ...] | None = None,
        region2: str | Region | tuple[Any, ...] | None = None,
        *,
        binsize: int | str,
        datatype: Datatype = "enrichment",
        maxdistance: int | str | None = 0,
        dynamically_binned: bool = False,
        minobservations: int = 0,
        searchdistance: int | str = 0,
        expansion_binsize: int | str = 0,
        removefailed: bool = False,
    ) -> xr.Dataset:
        """Return a heatmap as a lazy Dataset: nothing is read or computed until asked for.

        Parameters
        ----------
        region
            ``"chr2:10,000,000-20,000,000"``, ``"chr2:10M-20M"``, ``"chr2"``, or (name, start,
            stop) in bp; None for the whole genome. A stop beyond the last unit of the chromosome
            means its end, rounded up to whole bins.
        region2
            Second axis; by default the same region.
        binsize
            bp; 0 for one bin per unit.
        datatype
            What is expected: ``"raw"`` 1 per possible pair, ``"fend"`` the corrections of fends
            and of their feature bins, as far as the normalization has them,
            ``"distance"`` the distance dependence, ``"enrichment"`` both. ``"expected"``: as
            "enrichment" ("distance" without corrections), with the number of possible pairs in
            place of observed reads. Where corrections matter, units without one are left out.
        maxdistance
            bp: only pairs up to this distance; 0 or None: all.
        dynamically_binned
            Let every cell grow, over the regions that were asked for, until it has enough reads.
        minobservations, searchdistance, expansion_binsize, removefailed
            As in `cis_heatmap`.

        Returns
        -------
        xarray.Dataset
            ``observed`` (reads), ``expected`` and ``enrichment`` (their ratio, NaN where nothing is
            expected) on dims bin1 and bin2, with coordinates chromosome, start, stop and mid of
            both. Of dynamic bins also ``radius``: bp from the middle of the bin to the farthest
            unit that it took in, 0 where it did not grow.

        Raises
        ------
        ParameterError
            If sizes are negative, or if bins are to grow over a whole genome or over two regions
            that overlap.
        RegionError
            If a region is not in the genome.
        StateError
            If what `datatype` needs was not learned yet.

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_project
        >>> hic = hd.HiC(toy_project(), silent=True)
        >>> grown = hic.heatmap(
        ...     "chr1", binsize=20_000, datatype="raw", dynamically_binned=True, minobservations=5
        ... )
        >>> bool((grown["observed"] >= 5).all())
        True
        """
        growth = None
        if dynamically_binned:
            growth = Growth.of(minobservations, searchdistance, expansion_binsize, removefailed)
        recipe = self._recipe(datatype, maxdistance)
        cells = heatmap(recipe, region=region, region2=region2, binsize=binsize, growth=growth)
        return cells.assign_attrs(
            genome_name=self.fends.genome_name, source=PurePosixPath(self.file).name
        )
