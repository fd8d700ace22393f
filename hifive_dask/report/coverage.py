"""Which units are in use and why others are not, and how fine a map the reads are enough for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hifive_dask.genome.partition import Units
from hifive_dask.hic import HiC
from hifive_dask.model.filter_result import Left, name_left
from hifive_dask.model.marginals import Marginals
from hifive_dask.regions import round_binsize

__all__ = ["filter_numbers", "map_resolution", "partners_of", "quantiles"]

Bool = NDArray[np.bool_]
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
ENOUGH, MOST = 1000, 0.8  # reads of a bin, and bins that have them: Rao et al. 2014


def partners_of(counted: Marginals, usereads: str) -> NDArray[np.int64]:
    """Partners of the kind that the filter looked at."""
    parts = {"cis": counted.cis_partners, "trans": counted.trans_partners}
    return parts[usereads] if usereads in parts else counted.cis_partners + counted.trans_partners


def filter_numbers(
    hic: HiC, counted: Marginals, kept: Marginals, expected: NDArray[np.float64] | None
) -> dict[str, Any]:
    """Units kept and dropped, by reason and by chromosome, and how the reads spread over them.

    Parameters
    ----------
    hic
        The project.
    counted, kept
        Partners and reads of every unit: by all pairs, and by those of two units in use.
    expected
        float64 (C): reads that maps expect of the cis pairs of every chromosome; None if that is
        not known.
    """
    units, use = hic.units, hic.filter > 0
    record = hic.records.last("HiC.filter_fends")
    usereads = "cis" if record is None else str(record["parameters"].get("usereads", "cis"))
    limits = _limits(hic)
    limit = limits.get("mininteractions")
    reads = counted.cis_reads + counted.trans_reads
    partners = partners_of(counted, usereads)
    reasons = _reasons(use, reads, partners, limit)
    left = _hardly_left(units, use, partners > 0, counted, usereads)
    return {
        "units": len(use),
        "in_use": int(use.sum()),
        "with_reads": int((partners > 0).sum()),
        "mininteractions": limit,
        "mindistance": limits.get("mindistance"),
        "maxdistance": limits.get("maxdistance"),
        "usereads": usereads,
        "reasons": {name: int(which.sum()) for name, which in reasons.items()},
        "partners": quantiles(partners[use]),
        "reads": quantiles(reads[use]),
        "resolution": map_resolution(units, reads),
        "hardly_left": [each._asdict() for each in left],
        "chromosomes": _chromosomes(units, use, reasons, counted, kept, expected),
    }


def _hardly_left(
    units: Units, use: Bool, with_reads: Bool, counted: Marginals, usereads: str
) -> tuple[Left, ...]:
    """Chromosomes of which little is left, as the filter names them."""
    cis, trans = counted.cis_reads / 2, counted.trans_reads  # a read has both its ends there
    reads = {"cis": cis, "trans": trans}.get(usereads, cis + trans)
    number = len(units.chromosomes)
    kept, seen, sums = (
        np.bincount(units.chromosome, each, number).astype(np.int64)
        for each in (use & with_reads, with_reads, reads)
    )
    return name_left(units.chromosomes, kept, seen, sums)


def _limits(hic: HiC) -> dict[str, int]:
    """What the filter asked for; nothing once it was reset."""
    calls = [record.get("call") for record in hic.records.records]
    changes = [call for call in calls if call in ("HiC.filter_fends", "HiC.reset_filter")]
    return {} if changes[-1:] == ["HiC.reset_filter"] else hic.options


def _reasons(
    use: Bool, reads: NDArray[np.int64], partners: NDArray[np.int64], limit: int | None
) -> dict[str, Bool]:
    """Units that are not in use, by the first reason that applies."""
    none = ~use & (reads == 0)
    few = ~use & ~none & (partners < (limit or 0))
    return {"without_reads": none, "few_partners": few, "other": ~use & ~none & ~few}


def _chromosomes(
    units: Units,
    use: Bool,
    reasons: dict[str, Bool],
    counted: Marginals,
    kept: Marginals,
    expected: NDArray[np.float64] | None,
) -> list[dict[str, Any]]:
    rows = []
    for c, name in enumerate(units.chromosomes):
        span = units.span(c)
        own = use[span]
        rows.append(
            {
                "name": name,
                "length": int(units.lengths[c]),
                "units": len(own),
                "in_use": int(own.sum()),
                **{reason: int(which[span].sum()) for reason, which in reasons.items()},
                "cis_reads": int(counted.cis_reads[span].sum()) // 2,
                "trans_reads": int(counted.trans_reads[span].sum()),
                "observed": int(kept.cis_reads[span].sum()) // 2,
                "expected": None if expected is None else float(expected[c]),
            }
        )
    return rows


def map_resolution(units: Units, reads: NDArray[np.int64]) -> int | None:
    """Least bin size, in bp, at which 80 % of the bins have 1000 reads; None if there is none.

    A read counts in the bins of both of its ends. Bins without any unit do not count.

    Parameters
    ----------
    units
        The genome.
    reads
        int64 (N): read ends of every unit.
    """
    finest = float(np.median(units.stop - units.start)) if len(units) else 0.0
    longest = int(units.stop.max(initial=0))
    binsize = round_binsize(max(1.0, finest))
    mid, chromosome = units.mid.astype(np.int64), units.chromosome
    while binsize <= longest:
        place = mid // binsize
        first = np.flatnonzero(np.r_[True, (np.diff(place) != 0) | (np.diff(chromosome) != 0)])
        if np.mean(np.add.reduceat(reads, first) >= ENOUGH) >= MOST:
            return binsize
        binsize = round_binsize(binsize + 1)
    return None


def quantiles(values: NDArray[Any]) -> dict[str, float] | None:
    """Some quantiles of values by their names, such as "5%"; None if there are none."""
    if not len(values):
        return None
    found = np.quantile(values, _QUANTILES).tolist()
    return {f"{100 * q:g}%": value for q, value in zip(_QUANTILES, found, strict=True)}
