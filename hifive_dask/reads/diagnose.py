"""Why nothing was loaded: an error that names the cause."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from hifive_dask.errors import InputError
from hifive_dask.genome.partition import Partition
from hifive_dask.reads.layout import Layout
from hifive_dask.reads.text import read_head

__all__ = ["explain_filters", "explain_nothing_loaded", "no_common_chromosome"]

_LINES = 1000
_CURES = {
    "out_of_bounds": "are the positions of another genome, or of another cut-site file?",
    "insert_size": "is maxinsert too small for this library, or the enzyme another?",
    "same_fragment": "is this a Hi-C library? All reads lie within single fragments",
    "failed_cut": "all reads join neighbouring fragments: is the enzyme of the cut sites right?",
}


def explain_nothing_loaded(
    files: Sequence[str | os.PathLike[str]],
    layouts: Sequence[Layout],
    partition: Partition,
    stats: Mapping[str, int],
) -> InputError:
    """Return the error for a load that kept no read pair."""
    total = stats["total_reads"]
    if total == 0:
        return InputError("holds no reads", path=files[0])
    if stats["chr_not_in_fends"] == total:
        return _unknown_chromosomes(files[0], layouts[0], partition)
    return explain_filters(files[0], stats)


def explain_filters(path: str | os.PathLike[str], stats: Mapping[str, int]) -> InputError:
    """Return the error for a load whose read pairs were all filtered out."""
    reason = max(_CURES, key=lambda name: stats[name])
    counts = ", ".join(f"{name} {n}" for name, n in stats.items() if n)
    return InputError(f"no read pair was accepted ({counts})", path=path, cure=_CURES[reason])


def _unknown_chromosomes(
    path: str | os.PathLike[str], layout: Layout, partition: Partition
) -> InputError:
    header, lines = read_head(path, _LINES)
    rows = [line.split("\t") for line in lines if line]
    rows = [row for row in rows if len(row) > max(layout.columns)]
    seen = sorted({row[k] for row in rows for k in (layout.chrom1, layout.chrom2)})
    known = list(partition.chromosomes)
    others = sorted(
        {k + 1 for row in rows for k, cell in enumerate(row) if cell in set(known)}
        - {layout.chrom1 + 1, layout.chrom2 + 1}
    )
    cure = None
    if others:
        cure = (
            f"known names stand in column {' and '.join(map(str, others))}, but columns "
            f"{layout.chrom1 + 1} and {layout.chrom2 + 1} were read: wrong column order or format"
        )
    elif set(seen) & set(known):
        cure = (
            f"only one of columns {layout.chrom1 + 1} and {layout.chrom2 + 1} holds known names: "
            "wrong column order or format"
        )
    return no_common_chromosome(path, seen, partition, line=len(header) + 1, cure=cure)


def no_common_chromosome(
    path: str | os.PathLike[str],
    seen: Sequence[str],
    partition: Partition,
    *,
    line: int | None = None,
    cure: str | None = None,
) -> InputError:
    """Return the error for reads on other chromosomes than those of the partition."""
    known = partition.chromosomes
    if cure is None:
        if {n.removeprefix("chr") for n in seen} & {n.removeprefix("chr") for n in known}:
            cure = "the names differ only by the prefix 'chr'; rename them in one of the files"
        else:
            cure = "use cut sites and reads of the same genome, with the same names"
    return InputError(
        "no chromosome of the reads is in the partition; the reads name "
        f"{_listed(seen)}; the partition holds {_listed(known)}",
        path=path,
        line=line,
        cure=cure,
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f", ... ({len(names)} names)" if len(names) > 20 else "")
