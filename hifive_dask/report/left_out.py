"""Reads that are in no map, since the filter left out a unit of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import HifiveDaskError
from hifive_dask.hic import HiC
from hifive_dask.model.distance import fit_distance
from hifive_dask.model.marginals import Marginals
from hifive_dask.report.learned import RANGES, first_bin, slope

__all__ = ["left_out_numbers"]

_NUMBINS = 60
_ENOUGH = 1000  # cis reads of which a slope is measured
_MOST = 0.5  # of its cis reads: a chromosome that has lost more is named


def left_out_numbers(hic: HiC, counted: Marginals, kept: Marginals) -> dict[str, Any] | None:
    """Reads of pairs of which a unit is not in use; None if there are none.

    Parameters
    ----------
    hic
        The project.
    counted, kept
        Partners and reads of every unit: by all pairs, and by those of two units in use.
    """
    cis, trans = (
        [int(sums.sum()) // 2 for sums in pair]
        for pair in (
            (counted.cis_reads, kept.cis_reads),
            (counted.trans_reads, kept.trans_reads),
        )
    )
    valid, in_use = cis[0] + trans[0], cis[1] + trans[1]
    if in_use == valid:
        return None
    left_cis = cis[0] - cis[1]
    return {
        "reads": valid - in_use,
        "of_valid": (valid - in_use) / valid,
        "cis_reads": left_cis,
        "trans_reads": trans[0] - trans[1],
        "of_cis": left_cis / max(1, cis[0]),
        "cis_share": left_cis / (valid - in_use),
        "cis_share_in_use": cis[1] / in_use if in_use else None,
        "slopes": _slopes(hic) if left_cis >= _ENOUGH else [],
        "chromosomes": _names(hic, counted, kept),
    }


def _names(hic: HiC, counted: Marginals, kept: Marginals) -> list[str]:
    """Chromosomes that have lost more than half of their cis reads."""
    chromosome, number = hic.units.chromosome, len(hic.units.chromosomes)
    whole, rest = (
        np.bincount(chromosome, each.cis_reads, minlength=number) for each in (counted, kept)
    )
    lost = np.flatnonzero((whole > 0) & (whole - rest > _MOST * whole))
    return [hic.units.chromosomes[c] for c in lost.tolist()]


def _slopes(hic: HiC) -> list[dict[str, Any]]:
    """Decay with distance of the pairs that are left out: of all pairs, less those in use."""
    units, everything = hic.units, np.ones(len(hic.units), dtype=np.int32)
    longest = int(max(units.mid[span][-1] - units.mid[span][0] for span in _spans(hic)))
    found = _sums(hic, everything, longest)
    if found is None:
        return []
    in_use = _sums(hic, hic.filter, longest)
    if in_use is not None:
        found = found - in_use
    possible, reads, logs = found
    use = (reads > 0) & (possible > 0)
    distance, signal = np.exp(logs[use] / possible[use]), reads[use] / possible[use]
    return [
        {"from": lo, "to": round(hi), "slope": value}
        for lo, hi in RANGES
        if (value := slope(distance, signal, lo, hi)) is not None
    ]


def _spans(hic: HiC) -> list[slice]:
    spans = map(hic.units.span, range(len(hic.units.chromosomes)))
    return [span for span in spans if span.stop > span.start]


def _sums(hic: HiC, valid: NDArray[np.int32], longest: int) -> NDArray[np.float64] | None:
    """float64 (3, bins): possible pairs, reads, and ln(distance) of all pairs, in equal bins.

    None if hardly any distance has reads.
    """
    try:
        model = fit_distance(
            hic.units, valid, hic.data.store, numbins=_NUMBINS, minsize=first_bin(hic),
            maxsize=longest, silent=hic.silent,
        )  # fmt: skip
    except HifiveDaskError:
        return None
    logs = np.where(model.possible > 0, model.possible * model.mean_log_distance, 0.0)
    return np.stack([model.possible.astype(np.float64), model.signal, logs])
