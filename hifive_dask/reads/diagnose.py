"""Why nothing was loaded: an error that names the cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hifive_dask.errors import InputError
from hifive_dask.genome.partition import Partition
from hifive_dask.reads.layout import Layout
from hifive_dask.reads.text import TextFile, read_head
from hifive_dask.schema import MARKED

__all__ = ["explain_nothing_counted", "explain_nothing_loaded", "no_common_chromosome"]

_LINES = 1000
_CURES = {
    "unmapped_reads": "are these the unmapped reads, which some programs write apart?",
    "multimapped_reads": "were all reads mapped to a genome that holds everything twice?",
    "walk_reads": "parse the alignments with another policy for walks",
    "marked_duplicates": "are these the duplicates, which some programs write apart?",
    "out_of_bounds": "are the positions of another genome, or of another cut-site file?",
    "chr_not_in_fends": "use a partition and counts of the same genome, with the same names",
    "insert_size": "is maxinsert too small for this library, or the enzyme another?",
    "same_fragment": "is this a Hi-C library? All reads lie within single fragments",
    "failed_cut": "all reads join neighbouring fragments: is the enzyme of the cut sites right?",
}


def explain_nothing_loaded(
    files: Sequence[TextFile],
    layouts: Sequence[Layout],
    partition: Partition,
    stats: Mapping[str, int],
) -> InputError:
    """Return the error for a load that kept no read pair."""
    total = stats["total_reads"]
    if total == 0:
        return InputError("holds no reads", path=files[0].name)
    if 0 < stats["chr_not_in_fends"] == total - sum(stats[name] for name in MARKED[:3]):
        return _unknown_chromosomes(files[0], layouts[0], partition)
    return explain_nothing_counted(files[0].name, stats)


def explain_nothing_counted(name: str, stats: Mapping[str, int]) -> InputError:
    """Return the error for a file whose reads, all on known chromosomes, were dropped."""
    if stats["total_reads"] == 0:
        return InputError("holds no reads", path=name)
    reason = max(_CURES, key=lambda statistic: stats[statistic])
    counts = ", ".join(f"{statistic} {n}" for statistic, n in stats.items() if n)
    return InputError(f"no read pair was accepted ({counts})", path=name, cure=_CURES[reason])


def _unknown_chromosomes(file: TextFile, layout: Layout, partition: Partition) -> InputError:
    header, lines = read_head(file, _LINES)
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
    return no_common_chromosome(file.name, seen, partition, line=len(header) + 1, cure=cure)


def no_common_chromosome(
    name: str,
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
        path=name,
        line=line,
        cure=cure,
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f", ... ({len(names)} names)" if len(names) > 20 else "")
