"""Which map suits a project and a picture, if nothing was said."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.cells import Datatype
from hifive_dask.regions import parse_region, round_binsize

__all__ = ["MOST_DRAWN", "best_datatype", "check_binsize", "choose_binsize"]

MOST_DRAWN = 300  # chromosomes: of more each would hardly be seen in a picture of the genome

_UNITS = 4  # least fends per bin: with fewer a map is mostly noise
_DEEP = 4  # reads per cell: with fewer a map of one chromosome is mostly empty
_FEWEST = 20  # bins along the shorter region, even if reads are few


def choose_binsize(
    units: Units,
    region: str | None,
    most: int,
    *,
    region2: str | None = None,
    cis_reads: int = 0,
    trans_reads: int = 0,
) -> int:
    """A round size, in bp, of at most so many bins along a region; None is the genome.

    Bins of a genome that was cut into bins of one size are whole numbers of them. Cells of one
    region have `_DEEP` of the `cis_reads` of the genome or more on average. With a second
    region neither has more bins, and between chromosomes, where reads are few, cells have one of
    the `trans_reads` or more on average.
    """
    regions = [region] if region2 is None else [region, region2]
    lengths = [_length(units, each) for each in regions]
    least = max(lengths) / most
    if cis_reads and region2 is None and region is not None:
        reads = max(1.0, cis_reads * lengths[0] / max(1, int(units.lengths.sum())))
        # Half of the cells of a square lie on one side of its diagonal.
        least = max(least, lengths[0] * min(math.sqrt(_DEEP / (2 * reads)), 1 / _FEWEST))
    if (
        trans_reads
        and len({parse_region(each, units.chromosomes).chromosome for each in regions if each}) == 2
    ):
        whole = units.lengths.astype(np.float64)
        pairs = (whole.sum() ** 2 - (whole**2).sum()) / 2  # bp squared
        least = max(least, min(math.sqrt(pairs / trans_reads), min(lengths) / _FEWEST))
    own = _own_size(units)
    if own:
        return own * round_binsize(least / own)
    return round_binsize(max(least, _UNITS * float(np.mean(units.stop - units.start))))


def check_binsize(units: Units, binsize: int, name: str = "binsize") -> None:
    """Raise a `ParameterError` if bins would be smaller than those that the genome was cut into.

    Some of them would hold nothing. Fends may be smaller or larger than any bin, and 0 is one bin
    per unit.

    Examples
    --------
    >>> import hifive_dask as hd
    >>> from hifive_dask.heatmap.sizes import check_binsize
    >>> from hifive_dask.testing import toy_project
    >>> check_binsize(hd.HiC(toy_project(), silent=True).units, 10)
    """
    if units.fends or binsize <= 0 or not len(units):
        return
    width = _widths(units)
    least, most = int(width.min()), int(width.max())
    if binsize >= least:
        return
    cure = f"{round_binsize(most):,} or more, which none of them exceeds"
    if least == most:
        cure = "a multiple of that, such as " + ", ".join(f"{k * most:,}" for k in (1, 2, 5, 10))
    size = f"{most:,} bp" if least == most else f"{least:,} to {most:,} bp"
    raise ParameterError(
        f"{name} is {binsize:,}, but the genome was cut into bins of {size}, which cannot be cut "
        f"again; expected {cure}"
    )


def _own_size(units: Units) -> int:
    """Bp of the bins that the genome was cut into; 0 for fends, and bins of several sizes."""
    if units.fends or not len(units):
        return 0
    width = _widths(units)
    return int(width[0]) if (width == width[0]).all() else 0


def _widths(units: Units) -> NDArray[np.int32]:
    """Bp of all bins but those that may end with their chromosome, if there are others."""
    width = units.stop - units.start
    last = units.offset[1:][np.diff(units.offset) > 0] - 1
    others: NDArray[np.int32] = np.delete(width, last)
    return others if len(others) and others.max() >= width.max() else width


def _length(units: Units, region: str | None) -> int:
    if region is None:
        return int(units.lengths.sum())
    place = parse_region(region, units.chromosomes)
    end = int(units.lengths[units.index[place.chromosome]])
    return (end if place.stop is None else place.stop) - (place.start or 0)


def best_datatype(*, distance: bool, corrections: bool) -> Datatype:
    """What is expected, by all that was learned."""
    if not distance:
        return "fend" if corrections else "raw"
    return "enrichment" if corrections else "distance"
