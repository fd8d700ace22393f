"""Heatmaps of a project as arrays, bins of any kind and dynamic ones among them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hifive_dask.errors import HifiveDaskWarning, ParameterError, warn
from hifive_dask.heatmap.arrays import ArrayType, cis_array, trans_array, unfold
from hifive_dask.heatmap.bins import Request
from hifive_dask.heatmap.cells import Datatype
from hifive_dask.heatmap.dynamic import Growth
from hifive_dask.heatmap.limits import MEMORY_LIMIT
from hifive_dask.heatmap.structure import learn_structure
from hifive_dask.measuring import Measuring
from hifive_dask.public import check_keywords, keywords
from hifive_dask.regions import bp_or_none, whole_bp

__all__ = ["Arrays"]

Float32 = NDArray[np.float32]
Mapped = Float32 | list[NDArray[Any]]
PathLike = str | os.PathLike[str]

_COLOURS = (
    "maxscore",
    "minscore",
    "symmetricscaling",
    "logged",
    "min_color",
    "mid_color",
    "max_color",
)


class Arrays(Measuring):
    """Methods of `hifive_dask.HiC` that return arrays of heatmaps, and models; none changes it."""

    def cis_heatmap(
        self,
        chrom: str | bytes,
        start: int | str | None = None,
        stop: int | str | None = None,
        startfend: int | None = None,
        stopfend: int | None = None,
        binsize: int | str = 0,
        binbounds: ArrayLike | None = None,
        datatype: Datatype = "enrichment",
        arraytype: ArrayType = "compact",
        maxdistance: int | str | None = 0,
        skipfiltered: bool = False,
        returnmapping: bool = False,
        dynamically_binned: bool = False,
        minobservations: int = 0,
        searchdistance: int | str = 0,
        expansion_binsize: int | str = 0,
        removefailed: bool = False,
        image_file: PathLike | None = None,
        proportional: bool = False,
        *,
        includediagonal: bool = False,
        memory_limit: int = MEMORY_LIMIT,
        **kwargs: Any,
    ) -> Mapped:
        """Return the heatmap of a chromosome, or of a part of it, as an array.

        Parameters
        ----------
        chrom
            The chromosome.
        start, stop
            bp: the part, by midpoints. Bins begin exactly at `start`; the last one may reach
            beyond `stop`. By default from the multiple of `binsize` below the first midpoint,
            up to the last.
        startfend, stopfend
            The first unit and one past the last, counted through the whole genome; used where no
            position is given.
        binsize
            bp; 0 for one bin per unit.
        binbounds
            (bins, 2): start and stop of every bin, sorted, in place of all the above. Units
            between bins are left out.
        datatype
            As in `heatmap`.
        arraytype
            ``"compact"`` (N, M, 2): column k holds the pairs of bin i and bin i + k + 1.
            ``"upper"`` (N (N - 1) / 2, 2): these cells row by row. ``"full"`` (N, N, 2):
            symmetric.
        maxdistance
            bp: only pairs up to this distance, and only so many columns of a compact array; 0 or
            None: all.
        skipfiltered
            Units that are not in use get no bin, if there is one bin per unit.
        returnmapping
            Return a list of the array and an int32 array (N, 4): start and stop of every bin, its
            first unit, and one past the last.
        dynamically_binned
            Let every cell grow, over the part that was asked for, until it has enough reads.
        minobservations
            Reads that a dynamic cell needs.
        searchdistance
            bp: units at this distance from the middle of a bin, or farther, are not taken; 0 for no
            limit.
        expansion_binsize
            bp: size of the bins that dynamic cells grow by; 0 for units.
        removefailed
            Set dynamic cells to 0 that do not get enough reads.
        image_file
            Write a picture, one pixel per cell; the suffix decides the format. Colours can be
            set by `maxscore`, `minscore`, `symmetricscaling`, `logged`, `min_color`, `mid_color`
            and `max_color`. What cannot be written is refused before anything is computed.
        proportional
            Pairs add to all cells that both fends touch, times the overlaps of fends and bins,
            divided by the lengths of the bins. Sums are not those of whole reads. It has no effect
            on dynamic bins, with one bin per unit, or in a genome of bins.
        includediagonal
            Add the cells of a bin with itself, as the first column of a compact array; always
            there if the genome was cut into bins.
        memory_limit
            Bytes; what needs more is refused.

        Returns
        -------
        float32, observed and expected on the last axis; or a list, with `returnmapping`.

        Raises
        ------
        ParameterError
            For values out of range, unknown names, bins smaller than those that the genome was cut
            into, a picture that cannot be drawn, or an array above the `memory_limit`.
        StateError
            If what `datatype` needs was not learned yet.
        StoreError
            If `image_file` cannot be written.

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_project
        >>> hic = hd.HiC(toy_project(), silent=True)
        >>> array, mapping = hic.cis_heatmap(
        ...     "chr1", binsize=50_000, datatype="raw", arraytype="full", returnmapping=True
        ... )
        >>> array.shape == (len(mapping), len(mapping), 2)
        True
        """
        edges = bp_or_none(start, "start"), bp_or_none(stop, "stop")
        size = whole_bp(binsize, "binsize")
        request = Request(chrom, *edges, startfend, stopfend, size, binbounds, skipfiltered)
        growth = None
        if dynamically_binned:
            growth = Growth.of(minobservations, searchdistance, expansion_binsize, removefailed)
            _warn_unused(
                "with dynamically_binned=True",
                skipfiltered=skipfiltered,
                proportional=proportional,
                includediagonal=includediagonal,
            )
        elif not self.units.fends or not (size or binbounds is not None):
            _warn_unused("but on bins of fends", proportional=proportional)
            proportional = False
        _check_image(self.cis_heatmap, image_file, datatype, kwargs)
        array, bins, diagonal = cis_array(
            self._recipe(datatype, maxdistance),
            request,
            arraytype,
            diagonal=includediagonal,
            proportional=proportional,
            growth=growth,
            memory_limit=memory_limit,
            silent=self.silent,
        )
        if image_file is not None:
            _draw(image_file, unfold(array, len(bins), arraytype, diagonal), datatype, kwargs)
        return [array, bins.mapping] if returnmapping else array

    def trans_heatmap(
        self,
        chrom1: str | bytes,
        chrom2: str | bytes,
        start1: int | str | None = None,
        stop1: int | str | None = None,
        startfend1: int | None = None,
        stopfend1: int | None = None,
        binbounds1: ArrayLike | None = None,
        start2: int | str | None = None,
        stop2: int | str | None = None,
        startfend2: int | None = None,
        stopfend2: int | None = None,
        binbounds2: ArrayLike | None = None,
        binsize: int | str = 1000000,
        skipfiltered: bool = False,
        datatype: Datatype = "enrichment",
        returnmapping: bool = False,
        dynamically_binned: bool = False,
        minobservations: int = 0,
        searchdistance: int | str = 0,
        expansion_binsize: int | str = 0,
        removefailed: bool = False,
        image_file: PathLike | None = None,
        *,
        memory_limit: int = MEMORY_LIMIT,
        **kwargs: Any,
    ) -> Mapped:
        """Return the heatmap of two chromosomes, or of parts of them, as an array.

        The first axis is of `chrom1`. Both can be the same chromosome: a cell then has the pairs
        of a unit of its row and another of its column, so that pairs whose units both lie in both
        parts are there twice.

        Parameters
        ----------
        chrom1, chrom2
            The chromosomes.
        start1, stop1, startfend1, stopfend1, binbounds1
            Bins of the first axis, as in `cis_heatmap`. With the same chromosome on both axes the
            defaults are the first and the last unit in use.
        start2, stop2, startfend2, stopfend2, binbounds2
            Bins of the second axis.
        binsize, skipfiltered, datatype
            As in `cis_heatmap`.
        returnmapping
            Return a list of the array and the mappings of both axes.
        dynamically_binned, minobservations, searchdistance, expansion_binsize, removefailed
            As in `cis_heatmap`. Of sides at the same distance one grows at a time, rows first,
            lower positions first.
        image_file, memory_limit
            As in `cis_heatmap`; the same colours can be set.

        Returns
        -------
        float32 (rows, columns, 2), observed and expected; or a list, with `returnmapping`.

        Raises
        ------
        ParameterError
            For values out of range, unknown names, bins smaller than those that the genome was cut
            into, a picture that cannot be drawn, or an array above the `memory_limit`.
        StateError
            If what `datatype` needs was not learned yet.
        StoreError
            If `image_file` cannot be written.

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_project
        >>> hic = hd.HiC(toy_project(), silent=True)
        >>> one, two = hic.units.chromosomes[:2]
        >>> hic.trans_heatmap(one, two, binsize=50_000, datatype="raw").ndim
        3
        """
        growth = None
        if dynamically_binned:
            growth = Growth.of(minobservations, searchdistance, expansion_binsize, removefailed)
            _warn_unused("with dynamically_binned=True", skipfiltered=skipfiltered)
        _check_image(self.trans_heatmap, image_file, datatype, kwargs)
        size = whole_bp(binsize, "binsize")
        edges1 = bp_or_none(start1, "start1"), bp_or_none(stop1, "stop1")
        edges2 = bp_or_none(start2, "start2"), bp_or_none(stop2, "stop2")
        sides = [
            Request(chrom1, *edges1, startfend1, stopfend1, size, binbounds1),
            Request(chrom2, *edges2, startfend2, stopfend2, size, binbounds2),
        ]
        array, *bins = trans_array(
            self._recipe(datatype),
            *(replace(side, skipfiltered=skipfiltered) for side in sides),
            growth=growth,
            memory_limit=memory_limit,
            silent=self.silent,
        )
        if image_file is not None:
            _draw(image_file, array, datatype, kwargs)
        return [array, *(each.mapping for each in bins)] if returnmapping else array

    def learn_fend_3D_model(
        self,
        chrom: str | bytes,
        minobservations: int = 10,
        *,
        binsize: int | str = 0,
        memory_limit: int = MEMORY_LIMIT,
    ) -> NDArray[np.float64]:
        """Place every unit of a chromosome in space, such that those with like contacts are near.

        The cells of every two units grow until they have `minobservations` reads; observed over
        expected of datatype "fend", as a logarithm, is a full symmetric matrix, with its largest
        value on the diagonal. Its rows are projected on their first three principal components.

        Parameters
        ----------
        chrom
            The chromosome.
        minobservations
            Reads that a cell needs.
        binsize
            bp: size of bins to place; 0 for one bin per unit in use.
        memory_limit
            Bytes; a matrix that needs more is refused.

        Returns
        -------
        float64 (N, 4): x, y, z, and the midpoint in bp, of every bin with a unit in use. Lengths
        are natural logarithms of enrichment. Variance falls from x to z; of every component the
        loading of largest size is positive.

        Raises
        ------
        ParameterError
            For values out of range, an unknown chromosome, fewer than four bins, fewer reads than
            `minobservations`, or a matrix above the `memory_limit`.
        StateError
            Before there are corrections.

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_project
        >>> hic = hd.HiC(toy_project(), silent=True)
        >>> hic.filter_fends(mininteractions=5)
        >>> hic.find_express_fend_corrections(remove_distance=False, minchange=1e-6)
        >>> hic.learn_fend_3D_model("chr1", binsize=20_000).shape
        (20, 4)
        """
        return learn_structure(
            self._recipe("fend"),
            chrom,
            minobservations=minobservations,
            binsize=whole_bp(binsize, "binsize"),
            memory_limit=memory_limit,
            silent=self.silent,
        )


def _warn_unused(where: str, **options: bool) -> None:
    """Warn of what was asked for and has no effect."""
    unused = [name for name, given in options.items() if given]
    if unused:
        message = f"{' and '.join(unused)}: no effect {where}"
        warn(message, HifiveDaskWarning)


def _check_image(
    method: Callable[..., Mapped],
    image_file: PathLike | None,
    datatype: Datatype,
    options: dict[str, Any],
) -> None:
    """Check, before anything is computed, that `_draw` can write the picture that is asked for."""
    if not set(options) <= set(_COLOURS):
        check_keywords(method.__name__, options, [*keywords(method), *_COLOURS])
    if image_file is not None:
        from hifive_dask.plot.scores import check_scores

        check_scores(image_file, **{"symmetricscaling": datatype == "enrichment", **options})
    elif options:
        raise ParameterError(f"{', '.join(options)}: colours of an image; pass image_file too")


def _draw(
    image_file: PathLike, cells: NDArray[Any], datatype: Datatype, options: dict[str, Any]
) -> None:
    from hifive_dask.plot.scores import write_scores

    write_scores(image_file, cells, **{"symmetricscaling": datatype == "enrichment", **options})
