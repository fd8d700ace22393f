"""Which map suits a project and a picture, if nothing was said."""

from __future__ import annotations

import numpy as np

from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.cells import Datatype
from hifive_dask.regions import parse_region, round_binsize

__all__ = ["best_datatype", "choose_binsize"]

_UNITS = 4  # least units per bin: with fewer a map is mostly noise


def choose_binsize(units: Units, region: str | None, most: int) -> int:
    """A round size, in bp, of at most so many bins along a region; None is the genome."""
    unit = float(np.mean(units.stop - units.start))
    return round_binsize(max(_length(units, region) / most, _UNITS * unit))


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
