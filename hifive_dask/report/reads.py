"""What became of the reads, how far apart the ends of the valid ones are, how many there can be."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import brentq

from hifive_dask.genome.partition import Units
from hifive_dask.hic_data import HiCData
from hifive_dask.reads.classes import READ_CLASSES, class_table, share_up_to
from hifive_dask.reads.sites import site_numbers

__all__ = ["cut_site_numbers", "insert_numbers", "library_size", "random_trans", "read_numbers"]

_UNPLACED = ("unmapped_reads", "multimapped_reads", "walk_reads", "chr_not_in_fends")
_LOST = (*_UNPLACED, "out_of_bounds", "insert_size", "same_fragment", "failed_cut")


def read_numbers(data: HiCData, short: int) -> dict[str, Any]:
    """Reads by class, and what follows from them.

    ``known`` tells whether the store knows what was rejected: counts of other programs do not.
    """
    stats = dict(data.stats)
    table = class_table(stats, data.distance_classes(short))
    classes: list[dict[str, Any]] = [
        {
            "class": str(name),
            "meaning": READ_CLASSES[str(name)],
            "reads": int(row["reads"]),
            "of_all": _number(row["of_all"]),
            "of_valid": _number(row["of_valid"]),
        }
        for name, row in table.iterrows()
    ]
    duplicates = stats.get("pcr_duplicates", 0)
    reads = {row["class"]: row["reads"] for row in classes}
    marked = reads["marked_duplicates"]
    kept = sum(reads[name] for name in (*_LOST, "valid_reads")) + marked
    total = reads["total_reads"]
    looked_at = total - sum(reads[name] for name in _UNPLACED)
    return {
        "short": short,
        "known": bool(duplicates or any(stats.get(name) for name in _LOST)),
        # With dedup="none" duplicates that are not marked are counted with the others.
        "duplicates_kept": duplicates > marked and kept >= total,
        "duplicates": duplicates / looked_at if looked_at else None,
        "library_size": library_size(looked_at, duplicates),
        "random_trans": random_trans(data.units),
        "classes": classes,
    }


def library_size(pairs: int, duplicates: int) -> float | None:
    """Distinct pairs X of a library of which so many were seen: N - D = X (1 - exp(-N / X)).

    None without duplicates, or if there is nothing else.

    Examples
    --------
    >>> import math
    >>> from hifive_dask.report.reads import library_size
    >>> round(library_size(1000, round(1000 * math.exp(-1))), -1)  # as many as there are
    1000.0
    """
    distinct = pairs - duplicates
    if not duplicates > 0 or distinct <= 0:
        return None

    def missing(ratio: float) -> float:  # ratio is N / X
        return float(-np.expm1(-ratio) / ratio - distinct / pairs)

    if missing(1e-9) <= 0 or missing(1e9) >= 0:
        return None
    return float(pairs / brentq(missing, 1e-9, 1e9, xtol=1e-12))


def random_trans(units: Units) -> float:
    """Share of trans pairs if ends were joined at random: 1 - sum of L^2 / (sum of L)^2."""
    spans = (units.span(c) for c in range(len(units.chromosomes)))
    first = np.array([units.start[span][:1].sum() for span in spans])
    lengths = (units.lengths - first).astype(np.float64)
    return float(1 - (lengths**2).sum() / max(1.0, lengths.sum()) ** 2)


def insert_numbers(data: HiCData) -> dict[str, Any] | None:
    """The histogram of insert sizes, without empty rows at its end; None if there is none."""
    count, edge = np.asarray(data.insert_distribution).reshape(-1, 2).T
    if not count.any():
        return None
    rows = int(np.flatnonzero(count)[-1]) + 1
    total = np.cumsum(count)
    median = int(edge[int(np.searchsorted(total, total[-1] / 2))])
    limit = data.maxinsert
    return {
        "maxinsert": data.store.attributes.get("maxinsert"),  # a list, if stores had several
        "share_up_to": None if limit is None else share_up_to(limit, count, edge),
        "median_row": median,
        "edges": edge[:rows].tolist(),
        "pairs": count[:rows].tolist(),
    }


def cut_site_numbers(data: HiCData) -> dict[str, Any] | None:
    """Where 5' ends lie relative to the cut sites, and what that tells; None if not known."""
    numbers = site_numbers(data.end_distribution)
    if numbers is None:
        return None
    columns = zip(("plus_ends", "minus_ends", "place"), data.end_distribution.T, strict=True)
    return {**numbers, **{name: column.tolist() for name, column in columns}}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
