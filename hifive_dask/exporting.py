"""What a project writes for other programs: multi-resolution heatmaps."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hifive_dask.heatmap.cells import Datatype
from hifive_dask.heatmap.mrh import check_mrh_datatype, multiresolution_heatmap
from hifive_dask.measuring import Measuring

__all__ = ["Exporting"]


class Exporting(Measuring):
    """Methods of `hifive_dask.HiC` that write files; none changes the project."""

    rank: int

    def write_multiresolution_heatmap(
        self,
        filename: str | os.PathLike[str],
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
