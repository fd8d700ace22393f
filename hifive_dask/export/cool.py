"""Coolers: contact matrices of one or of several bin sizes, for cooler, cooltools and HiGlass."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hifive_dask._store.atomic import replacing_file
from hifive_dask.errors import ParameterError, StateError, StoreError
from hifive_dask.genome.cool import cooler_package
from hifive_dask.heatmap.dynamic import Growth
from hifive_dask.heatmap.pixels import GenomeBins, bin_sums, genome_bins, pixel_strips
from hifive_dask.heatmap.recipe import Recipe

__all__ = ["check_cool", "levels_above", "write_cool", "write_mcool"]

PathLike = str | os.PathLike[str]

_MOST = np.iinfo(np.int32).max
_TILE = 256  # bins of the coarsest level of a browser
_NEAR = 2  # diagonals where impossible pairs matter


def check_cool(datatype: str, growth: Growth | None = None) -> None:
    """Raise a `ParameterError` for what reads of cells and weights of bins cannot express."""
    if datatype not in ("raw", "fend"):
        raise ParameterError(
            f"coolers cannot hold datatype {datatype!r}: they have reads and a weight for every "
            "bin, and no expected reads that depend on distance. Use 'fend' (weights from the "
            "corrections; programs divide by the distance dependence themselves) or 'raw' (no "
            "weights), or write a file of another format"
        )
    if growth is not None:
        raise ParameterError(
            "coolers cannot hold dynamic bins, whose reads are counted more than once; leave "
            "dynamically_binned out, or write a file of another format"
        )


def levels_above(binsize: int, length: int) -> list[int]:
    """Bin sizes from the smallest one up, times 1, 2, 5, 10, ..., until a genome has 256 bins.

    Examples
    --------
    >>> from hifive_dask.export.cool import levels_above
    >>> levels_above(1000, 3_000_000)
    [1000, 2000, 5000, 10000, 20000]
    """
    sizes, power = [binsize], 1
    while True:
        for step in (1, 2, 5):
            if step * power > 1:
                if sizes[-1] * _TILE >= length:
                    return sizes
                sizes.append(binsize * step * power)
        power *= 10


def write_cool(path: PathLike, recipe: Recipe, binsize: int, **options: Any) -> None:
    """Write one matrix as a cooler; parameters and errors as those of `write_mcool`."""
    _write(path, recipe, {"/": binsize}, **options)


def write_mcool(path: PathLike, recipe: Recipe, binsizes: Sequence[int], **options: Any) -> None:
    """Write matrices of several bin sizes into one file.

    Parameters
    ----------
    path
        The file to make, or a file of coolers to replace.
    recipe
        Of datatype ``"raw"``, or ``"fend"`` for weights of bins.
    binsizes
        bp. A single one is the smallest: larger ones follow until the genome has 256 bins.
    chroms
        Names; None for all. They are in the order of the genome.
    includetrans
        Also pairs between chromosomes.
    assembly
        Name of the genome; may be empty.
    history
        The calls that led here.
    silent
        No progress bar.

    Raises
    ------
    ParameterError
        For sizes below 1, a datatype that weights cannot express, names that are not ASCII, or
        cells whose reads do not fit in 32 bits.
    StateError
        If the package ``cooler`` is not installed, or the corrections are those of pairs of feature
        bins.
    StoreError
        If the file cannot be written, or is there and no file of coolers.
    """
    sizes = sorted(set(binsizes))
    if len(sizes) == 1 and sizes[0] > 0:
        chosen = recipe.units.select(options.get("chroms"))
        sizes = levels_above(sizes[0], int(recipe.units.ends(recipe.lengths)[chosen].sum()))
    _write(path, recipe, {f"/resolutions/{size}": size for size in sizes}, **options)


def _write(
    path: PathLike,
    recipe: Recipe,
    groups: dict[str, int],
    *,
    chroms: str | bytes | Sequence[str | bytes] | None = None,
    includetrans: bool = True,
    assembly: str = "",
    history: str = "",
    silent: bool = False,
) -> None:
    """Write a matrix into every group, by its bin size."""
    cooler = cooler_package()
    _check(recipe, groups.values())
    _check_place(path, cooler)
    chosen = recipe.units.select(chroms)
    if not any(recipe.genome.valid[recipe.units.span(c)].any() for c in chosen):
        raise StateError("no fend of these chromosomes is in use; filter with less")
    for name in (recipe.units.chromosomes[c] for c in chosen):
        if not name.isascii():
            raise ParameterError(
                f"the chromosome {name!r} cannot be in a cooler, whose names are ASCII; write a "
                "file of another format"
            )
    with replacing_file(path) as beside:
        for group, binsize in groups.items():
            units, usable = recipe.units, recipe.genome.valid
            bins = genome_bins(units, usable, binsize, chosen, recipe.lengths)
            strips = pixel_strips(recipe, bins, includetrans=includetrans, silent=silent)
            cooler.create_cooler(
                f"{beside}::{group}",
                _bin_table(recipe, bins),
                _pixels(strips),
                ordered=True,
                boundscheck=False,
                triucheck=False,
                dupcheck=False,
                mode="a",
                assembly=assembly or None,
                metadata={"datatype": recipe.datatype, "history": history},
            )
        with h5py.File(beside, "r+") as file:
            if "/" not in groups:
                file.attrs.update({"format": "HDF5::MCOOL", "format-version": 2})
            for group, binsize in groups.items():
                # Cooler tells the size by the bins before the last of each chromosome.
                file[group].attrs.update({"bin-type": "fixed", "bin-size": binsize})
                if recipe.datatype == "fend":
                    file[group]["bins/weight"].attrs["ignore_diags"] = _NEAR


def _check(recipe: Recipe, sizes: Any) -> None:
    check_cool(recipe.datatype)
    for size in sizes:
        if size < 1:
            raise ParameterError(f"binsize is {size}, expected 1 bp or more: coolers have bins")
    if recipe.datatype == "fend" and recipe.binning is not None:
        raise StateError(
            "the normalization has corrections of pairs of feature bins, which are no product of "
            "weights of bins; learn others (find_express_fend_corrections), write datatype 'raw', "
            "or a file of another format"
        )


def _check_place(path: PathLike, cooler: Any) -> None:
    where = Path(path)
    if not where.exists():
        return
    try:
        known = where.is_file() and bool(cooler.fileops.list_coolers(str(where)))
    except (OSError, KeyError):
        known = False
    if not known:
        raise StoreError(f"{where} is there and no file of coolers; write to another file")


def _bin_table(recipe: Recipe, bins: GenomeBins) -> pd.DataFrame:
    names = pd.Categorical.from_codes(bins.chromosome, categories=pd.Index(bins.names))
    table = pd.DataFrame({"chrom": names, "start": bins.start, "end": bins.stop})
    if recipe.datatype == "fend":
        weight = recipe.genome.weight(corrected=True)
        if recipe.scales is not None:
            weight *= recipe.scales[recipe.units.chromosome]
        sums = bin_sums(bins, weight)
        table["weight"] = np.divide(1, sums, out=np.full(len(bins), np.nan), where=sums > 0)
    return table


def _pixels(strips: Iterator[tuple[NDArray[np.int64], ...]]) -> Iterator[dict[str, NDArray[Any]]]:
    for row, column, count in strips:
        if count.max(initial=0) > _MOST:
            raise ParameterError(
                f"{count.max():,} reads in one cell do not fit in the 32 bits of coolers; use a "
                "smaller bin size"
            )
        yield {"bin1_id": row, "bin2_id": column, "count": count.astype(np.int32)}
