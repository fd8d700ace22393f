"""What became of the reads: classes of read pairs, as a table, and valid ones by distance."""

from __future__ import annotations

from collections.abc import Mapping

import dask
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hifive_dask._graph.reduce import tree_reduce
from hifive_dask._graph.run import run
from hifive_dask._graph.spans import split_rows
from hifive_dask._kernels.pair_rows import distance_classes
from hifive_dask._store.pairs import PairRows, PairStore
from hifive_dask.errors import ParameterError
from hifive_dask.genome.partition import Units

__all__ = [
    "DISTANCE_CLASSES",
    "READ_CLASSES",
    "SHORT",
    "class_table",
    "reads_by_distance",
    "share_up_to",
]

SHORT = 20_000  # bp: below, cis pairs are mostly polymer contacts and by-products of the library
DISTANCE_CLASSES = ("cis_short_reads", "cis_long_reads", "trans_reads")
READ_CLASSES = {
    "total_reads": "all read pairs of the files",
    "unmapped_reads": "an end that the mapper could not place",
    "multimapped_reads": "an end that fits in several places",
    "walk_reads": "more than two ends that were ligated, not told apart",
    "chr_not_in_fends": "an end on a chromosome that the partition lacks",
    "pcr_duplicates": "both ends as those of an earlier read pair",
    "marked_duplicates": "of the duplicates, those that the files mark",
    "out_of_bounds": "an end outside all fragments or bins",
    "insert_size": "an insert size that the filter rejects",
    "same_fragment": "both ends on one fragment: self-circle or dangling end",
    "failed_cut": "neighbouring fragments, opposite strands: perhaps never cut",
    "valid_reads": "counted",
    "valid_cis_reads": "counted, both ends on one chromosome",
    "cis_short_reads": "counted, on one chromosome, closer than the limit",
    "cis_long_reads": "counted, on one chromosome, at the limit or farther apart",
    "valid_trans_reads": "counted, on two chromosomes",
}
_SPAN = 1 << 22  # rows per reading step


def _count(rows: PairRows, units: Units, short: int) -> NDArray[np.int64]:
    return distance_classes(units.chromosome, units.mid, *rows(), short)


def _add(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    total: NDArray[np.int64] = np.sum(parts, axis=0)
    return total


def reads_by_distance(
    store: PairStore, units: Units, short: int = SHORT, *, silent: bool = False
) -> dict[str, int]:
    """Sum the reads of all pairs by `DISTANCE_CLASSES`, in one pass over the store.

    Raises
    ------
    ParameterError
        If `short`, in bp, is below 0.
    """
    if short < 0:
        raise ParameterError(f"short is {short}, expected bp >= 0")
    shared, task = dask.delayed(units), dask.delayed(_count, pure=True)
    parts = [
        task(store.rows_of(span.lo, span.hi), shared, short)
        for span in split_rows([0, len(store)], _SPAN)
    ]
    if not parts:
        return dict.fromkeys(DISTANCE_CLASSES, 0)
    (reads,) = run([tree_reduce(parts, _add)], title="measuring distances", silent=silent)
    return dict(zip(DISTANCE_CLASSES, map(int, reads), strict=True))


def class_table(stats: Mapping[str, int], distances: Mapping[str, int]) -> pd.DataFrame:
    """Table of read classes, in the order in which they are told apart.

    Parameters
    ----------
    stats
        Read statistics by name.
    distances
        Reads by `DISTANCE_CLASSES`.

    Returns
    -------
    Indexed by ``class``; columns as `HiCData.stats_table` says.
    """
    short, far, trans = (distances[name] for name in DISTANCE_CLASSES)
    valid_reads = short + far + trans
    known = {
        "valid_cis_reads": short + far,  # of files without statistics
        "valid_trans_reads": trans,
        "total_reads": valid_reads,
        **stats,
        **distances,
        "valid_reads": valid_reads,
    }
    names = list(READ_CLASSES)
    reads = np.array([known.get(name, 0) for name in names], dtype=np.int64)
    valid = np.arange(len(names)) >= names.index("valid_reads")
    return pd.DataFrame(
        {
            "reads": reads,
            "of_all": _share(reads, known["total_reads"]),
            "of_valid": np.where(valid, _share(reads, valid_reads), np.nan),
            "meaning": list(READ_CLASSES.values()),
        },
        index=pd.Index(names, name="class"),
    )


def share_up_to(size: int, count: NDArray[np.int64], lower: NDArray[np.int64]) -> float:
    """Part of the read pairs up to an insert size; a row that it divides counts in proportion.

    `count` and the lower edges are the columns of `HiCData.insert_distribution`.
    """
    width = np.r_[np.diff(lower), 1]
    return float((count * np.clip((size + 1 - lower) / width, 0, 1)).sum() / count.sum())


def _share(reads: NDArray[np.int64], total: int) -> NDArray[np.float64]:
    share: NDArray[np.float64] = reads / total if total else np.full(len(reads), np.nan)
    return share
