"""What a project writes for other programs: heatmap files, multi-resolution heatmaps."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

from hifive_dask.errors import HifiveDaskWarning
from hifive_dask.export.cool import check_cool, write_cool, write_mcool
from hifive_dask.export.formats import choose_binsizes, choose_format
from hifive_dask.export.heatmap_hdf5 import write_hdf5
from hifive_dask.export.heatmap_text import write_npz, write_text
from hifive_dask.heatmap.arrays import MEMORY_LIMIT
from hifive_dask.heatmap.cells import Datatype
from hifive_dask.heatmap.dynamic import Growth
from hifive_dask.heatmap.maps import make_maps
from hifive_dask.heatmap.mrh import check_mrh_datatype, multiresolution_heatmap
from hifive_dask.measuring import Measuring
from hifive_dask.provenance import History

__all__ = ["Exporting"]

PathLike = str | os.PathLike[str]

_WRITERS = {"hdf5": write_hdf5, "npz": write_npz, "txt": write_text}


class Exporting(Measuring):
    """Methods of `hifive_dask.HiC` that write files; none changes the project."""

    rank: int

    def write_heatmap(
        self,
        filename: PathLike,
        binsize: int | Sequence[int],
        includetrans: bool = True,
        datatype: Datatype = "enrichment",
        chroms: str | bytes | Sequence[str | bytes] | None = (),
        dynamically_binned: bool = False,
        minobservations: int = 0,
        searchdistance: int = 0,
        expansion_binsize: int = 0,
        removefailed: bool = False,
        *,
        format: str | None = None,
        includediagonal: bool = False,
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        """Write the maps of all chromosomes, and of every two of them, to a file.

        Parameters
        ----------
        filename
            The file to make or replace; its suffix says the format. For ``"txt"`` it is the first
            part of the names of many files.
        binsize
            bp; 0 for one bin per unit. Formats that hold several sizes take a list of them.
        includetrans
            Also maps of every two chromosomes.
        datatype
            As in `heatmap`.
        chroms
            Names, in the order of the file; by default all that have units in use, in the order
            of their letters.
        dynamically_binned, minobservations, searchdistance, expansion_binsize, removefailed
            As in `cis_heatmap`.
        format
            ``"hdf5"`` (.hch, .h5, .hdf5) is the heatmap file of HiFive, which
            `hifive_dask.open_heatmaps` opens. ``"npz"`` has the same arrays for `numpy.load`.
            ``"txt"`` is a table per map and kind of value. ``"cool"`` and ``"mcool"`` (.cool,
            .mcool) are for cooler and HiGlass: reads of cells that have any, with weights of bins
            for datatype "fend", and without for "raw"; from a single size a ``"mcool"`` makes
            larger ones too. By default that of the suffix.
        includediagonal
            Also the pairs inside a bin; they are always there in coolers, and if the genome was cut
            into bins.
        memory_limit
            Bytes; a map that needs more is refused. One map at a time is in memory.

        Raises
        ------
        ParameterError
            For values out of range, unknown names, an unknown format, or a map above the
            `memory_limit`; for coolers, for a datatype or bins that they cannot hold.
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
        if self.rank != 0:
            return
        chosen = choose_format(filename, format)
        sizes = choose_binsizes(chosen, binsize)
        growth = None
        if dynamically_binned:
            growth = Growth(minobservations, searchdistance, expansion_binsize, removefailed)
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
        common: dict[str, Any] = {
            "chroms": chroms,
            "includetrans": includetrans,
            "history": history,
            "silent": self.silent,
        }
        # Sparse formats take the recipe, those of all cells a stream of maps.
        if chosen in ("cool", "mcool"):
            check_cool(datatype, growth)
            common["assembly"] = self.data.fends.genome_name
            if chosen == "cool":
                write_cool(filename, self._recipe(datatype), sizes[0], **common)
            else:
                write_mcool(filename, self._recipe(datatype), sizes, **common)
            return
        if growth is not None and includediagonal:
            message = "includediagonal: no effect with dynamically_binned=True"
            warnings.warn(message, HifiveDaskWarning, stacklevel=2)
        maps = make_maps(
            self._recipe(datatype),
            sizes[0],
            growth=growth,
            diagonal=includediagonal,
            memory_limit=memory_limit,
            **common,
        )
        _WRITERS[chosen](filename, maps)

    def _history_of_call(self, **parameters: Any) -> str:
        """What led to a heatmap file: the history of the project, and the call."""
        call = History()
        call.add("HiC.write_heatmap", parameters)
        return (self.records + call).text

    def write_multiresolution_heatmap(
        self,
        filename: PathLike,
        datatype: Datatype = "fend",
        maxbinsize: int = 1280000,
        minbinsize: int = 5000,
        trans_maxbinsize: int | None = None,
        trans_minbinsize: int | None = None,
        minobservations: int = 5,
        chroms: Sequence[str] | None = None,
        includetrans: bool = True,
        midbinsize: int = 40000,
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
        if self.rank != 0:
            return
        check_mrh_datatype(datatype)
        trans = (
            maxbinsize if trans_maxbinsize is None else trans_maxbinsize,
            minbinsize if trans_minbinsize is None else trans_minbinsize,
        )
        multiresolution_heatmap(
            filename,
            self._recipe(datatype),
            cis_sizes=(maxbinsize, minbinsize),
            trans_sizes=trans if includetrans else None,
            minobservations=minobservations,
            chroms=chroms,
            reference_names=reference_names,
            silent=self.silent,
        )
