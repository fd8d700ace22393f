"""What a project writes for other programs: heatmap files, multi-resolution heatmaps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from hifive_dask._store.places import Location, local
from hifive_dask.errors import HifiveDaskWarning, ParameterError, warn
from hifive_dask.export.cool import check_cool, write_cool, write_mcool
from hifive_dask.export.formats import choose_binsizes, choose_format
from hifive_dask.export.heatmap_hdf5 import write_hdf5
from hifive_dask.export.heatmap_text import write_npz, write_text
from hifive_dask.heatmap.cells import Datatype
from hifive_dask.heatmap.dynamic import Growth
from hifive_dask.heatmap.limits import MEMORY_LIMIT
from hifive_dask.heatmap.maps import make_maps
from hifive_dask.heatmap.mrh import check_mrh_datatype, multiresolution_heatmap
from hifive_dask.heatmap.sizes import check_binsize
from hifive_dask.heatmap.store import MOST_BYTES, write_store
from hifive_dask.measuring import Measuring
from hifive_dask.provenance import History
from hifive_dask.ranks import by_first_rank
from hifive_dask.regions import bp_or_none, whole_bp

__all__ = ["Exporting"]

PathLike = str | os.PathLike[str]

_WRITERS = {"hdf5": write_hdf5, "npz": write_npz, "txt": write_text}


class Exporting(Measuring):
    """Methods of `hifive_dask.HiC` that write files; none changes the project."""

    file: str

    @by_first_rank
    def write_heatmap(
        self,
        filename: Location,
        binsize: int | str | Sequence[int | str],
        includetrans: bool = True,
        datatype: Datatype = "enrichment",
        chroms: str | bytes | Sequence[str | bytes] | None = (),
        dynamically_binned: bool = False,
        minobservations: int = 0,
        searchdistance: int | str = 0,
        expansion_binsize: int | str = 0,
        removefailed: bool = False,
        *,
        format: str | None = None,
        includediagonal: bool = False,
        trans_minbinsize: int | str | None = None,
        memory_limit: int = MEMORY_LIMIT,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """Write the maps of all chromosomes, and of every two of them, to a file.

        Parameters
        ----------
        filename
            The file to make or replace; its suffix says the format. For ``"txt"`` it is the first
            part of the names of many files. A ``.zarr`` store can be at a URL.
        binsize
            bp; 0 for one bin per unit. Formats that hold several sizes take a list of them.
        includetrans
            Also maps of every two chromosomes.
        datatype
            As in `heatmap`.
        chroms
            Names, in the order of the file; by default all that have units in use, in the order
            of their letters. Stores and coolers have the order of the genome, by default of all
            chromosomes that have units.
        dynamically_binned, minobservations, searchdistance, expansion_binsize, removefailed
            As in `cis_heatmap`.
        format
            ``"zarr"`` (.zarr) is a store of the map of the genome at one or several sizes, read
            lazily by `hifive_dask.open_heatmaps`; a call that was interrupted goes on where it was.
            ``"hdf5"`` (.hch, .h5, .hdf5) is the heatmap file of HiFive, which
            `hifive_dask.open_heatmaps` opens, too. ``"npz"`` has the same arrays for `numpy.load`.
            ``"txt"`` is a table per map and kind of value. ``"cool"`` and ``"mcool"`` (.cool,
            .mcool) are for cooler and HiGlass: reads of cells that have any, with weights of bins
            for datatype "fend", and without for "raw"; from a single size a ``"mcool"`` makes
            larger ones too. By default that of the suffix.
        includediagonal
            Also the pairs inside a bin; they are always there in stores and coolers, and if the
            genome was cut into bins.
        trans_minbinsize
            bp: in a store, no maps of two chromosomes at smaller bin sizes.
        memory_limit
            Bytes; a map that needs more is refused. One map at a time is in memory; of stores and
            coolers, a few squares or strips.
        most_bytes
            Bytes: a store whose cells take more before compression is refused.

        Raises
        ------
        ParameterError
            For values out of range, names that are unknown or that a format cannot hold, an unknown
            format, a map above the `memory_limit` or a store above `most_bytes`; for a datatype or
            dynamic bins that a format cannot hold, and for `trans_minbinsize` with another format
            than ``"zarr"``.
        StateError
            Before `load_data`, if what `datatype` needs was not learned yet, if no unit is in use,
            or for coolers if the package ``cooler`` is not installed.
        StoreError
            If the file cannot be written, or is there and is something else. Nothing is changed
            then.

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_project
        >>> hic = hd.HiC(toy_project(), silent=True)
        >>> hic.write_heatmap(f"{hic.file}.hch", 50_000, datatype="raw", includetrans=False)
        >>> list(hd.open_heatmaps(f"{hic.file}.hch").children)
        ['chr1', 'chr2', 'chr3']
        """
        chosen = choose_format(filename, format)
        sizes = choose_binsizes(chosen, binsize)
        trans_minbinsize = bp_or_none(trans_minbinsize, "trans_minbinsize")
        searchdistance = whole_bp(searchdistance, "searchdistance")
        expansion_binsize = whole_bp(expansion_binsize, "expansion_binsize")
        growth = None
        if dynamically_binned:
            growth = Growth.of(minobservations, searchdistance, expansion_binsize, removefailed)
        _check_options(chosen, datatype, growth, trans_minbinsize)
        history = self._history_of_call(
            binsize=sizes if len(sizes) > 1 else sizes[0],
            includetrans=includetrans,
            datatype=datatype,
            chroms=chroms,
            dynamically_binned=dynamically_binned,
            minobservations=minobservations,
            searchdistance=searchdistance,
            expansion_binsize=expansion_binsize,
            removefailed=removefailed,
        )
        recipe = self._recipe(datatype)
        for size in sizes:
            check_binsize(recipe.units, size)
        common: dict[str, Any] = {
            "chroms": chroms,
            "includetrans": includetrans,
            "history": history.text,
            "silent": self.silent,
        }
        if chosen == "zarr":
            common |= {"trans_minbinsize": trans_minbinsize, "most_bytes": most_bytes}
            common |= {"history": history, "source": self.file}
            write_store(filename, recipe, sizes, **common, genome_name=self.data.fends.genome_name)
        elif chosen in ("cool", "mcool"):
            common["assembly"] = self.data.fends.genome_name
            if chosen == "cool":
                write_cool(local(filename), recipe, sizes[0], **common)
            else:
                write_mcool(local(filename), recipe, sizes, **common)
        else:
            if growth is not None and includediagonal:
                message = "includediagonal: no effect with dynamically_binned=True"
                warn(message, HifiveDaskWarning)
            common |= {"diagonal": includediagonal, "memory_limit": memory_limit}
            maps = make_maps(recipe, sizes[0], growth=growth, **common)
            _WRITERS[chosen](local(filename), maps)

    def _history_of_call(self, **parameters: Any) -> History:
        """What led to a heatmap file: the history of the project, and the call."""
        call = History()
        call.add("HiC.write_heatmap", parameters)
        return self.records + call

    @by_first_rank
    def write_multiresolution_heatmap(
        self,
        filename: PathLike,
        datatype: Datatype = "fend",
        maxbinsize: int | str = 1280000,
        minbinsize: int | str = 5000,
        trans_maxbinsize: int | str | None = None,
        trans_minbinsize: int | str | None = None,
        minobservations: int = 5,
        chroms: Sequence[str] | None = None,
        includetrans: bool = True,
        midbinsize: int | str = 40000,
        *,
        reference_names: bool = True,
    ) -> None:
        """Write maps at all resolutions, as fine as there are reads, into one file for browsers.

        Bins of `maxbinsize` are cut in half again and again down to `minbinsize`; a cell is stored
        if it has `minobservations` reads, with log2 of observed over expected reads. Read the file
        with `hifive_dask.open_mrh`.

        Parameters
        ----------
        filename
            The file to make, or the multi-resolution heatmap to replace; ``.mrh`` by custom.
        datatype
            What is expected: ``"raw"`` 1 per possible pair, ``"fend"`` the corrections of fends
            and of their feature bins, ``"distance"`` the distance dependence, in trans the mean of
            the two chromosomes, ``"enrichment"`` both.
        maxbinsize, minbinsize
            bp, a power of two apart: largest and smallest bins within chromosomes.
        trans_maxbinsize, trans_minbinsize
            The same between chromosomes, by default as within.
        minobservations
            Reads that a cell must have, at least 1.
        chroms
            Names, in the order of the file; None for all.
        includetrans
            Also maps of every two chromosomes.
        midbinsize
            Not used: memory grows with reads and stored cells, and the result depends on neither.
        reference_names
            Leave out ``chr`` at the beginning of names, without which HiFive's own reader does not
            find them. `hifive_dask.open_mrh` finds them with and without.

        Raises
        ------
        ParameterError
            For sizes that are no power of two apart, unknown names, an unknown datatype, or if the
            file would have more than 2 GiB.
        StateError
            Before `load_data`, or if what `datatype` needs was not learned yet.
        StoreError
            If the file cannot be written, or is there and is something else.
        """
        check_mrh_datatype(datatype)
        cis = whole_bp(maxbinsize, "maxbinsize"), whole_bp(minbinsize, "minbinsize")
        most = bp_or_none(trans_maxbinsize, "trans_maxbinsize")
        least = bp_or_none(trans_minbinsize, "trans_minbinsize")
        trans = cis[0] if most is None else most, cis[1] if least is None else least
        multiresolution_heatmap(
            filename,
            self._recipe(datatype),
            cis_sizes=cis,
            trans_sizes=trans if includetrans else None,
            minobservations=minobservations,
            chroms=chroms,
            reference_names=reference_names,
            silent=self.silent,
        )


def _check_options(
    format: str, datatype: Datatype, growth: Growth | None, trans_minbinsize: int | None
) -> None:
    """Raise a `ParameterError` for what a format cannot hold."""
    if format in ("cool", "mcool"):
        check_cool(datatype, growth)
    if format == "zarr" and growth is not None:
        raise ParameterError(
            "stores cannot hold dynamic bins, since larger bins are sums of smaller ones; leave "
            "dynamically_binned out, or write a file of another format"
        )
    if format != "zarr" and trans_minbinsize is not None:
        raise ParameterError("trans_minbinsize is for stores (.zarr), which hold several bin sizes")
