"""Whether reads fit the genome, and why nothing was loaded: errors and warnings with the cause."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from hifive_dask.errors import InputError, InputWarning, warn
from hifive_dask.genome.partition import Partition
from hifive_dask.reads.layout import Layout
from hifive_dask.reads.sites import look_at_sites
from hifive_dask.reads.text import TextFile, read_head
from hifive_dask.schema import MARKED

__all__ = [
    "check_fit",
    "check_lengths",
    "explain_nothing_counted",
    "explain_nothing_loaded",
    "misfits",
    "no_common_chromosome",
]

_LINES = 1000
_LEAST_VALID = 0.01  # of all read pairs: fewer are an error
_MANY_UNKNOWN = 0.2  # of all read pairs, on unknown chromosomes: a warning
_FEW = 100  # read pairs, of which shares tell nothing
_NEARLY_ALL = 0.8  # of all read pairs, in one class of rejected ones: a warning
_UNMAPPED = {"!", "*", "."}  # in place of the name of a chromosome
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
_HINTS = {
    **_CURES,
    "pcr_duplicates": "the library is exhausted: sequencing more of it gives little",
    "same_fragment": "DNA was not ligated: is this a Hi-C library, and are the cut sites right?",
    "failed_cut": "neighbouring fragments hang together: is the enzyme of the cut sites right?",
}


def check_fit(
    name: str,
    partition: Partition,
    stats: Mapping[str, int],
    ends: NDArray[Any],
    names: Collection[str] = (),
) -> None:
    """Warn if reads do not fit the genome; stop if hardly any does.

    Parameters
    ----------
    name
        Of the file, or files.
    partition
        The genome.
    stats
        Read statistics.
    ends
        Histogram of 5' ends, as `HiCData.end_distribution`.
    names
        Names of chromosomes in the files, all or some of them.

    Raises
    ------
    InputError
        If under 1 % of the read pairs, less duplicates, are valid.

    Warns
    -----
    InputWarning
        For what `misfits` finds; names that the partition lacks are listed.
    """
    total, valid = stats["total_reads"], _valid(stats)
    chromosomes = _compared(names, partition)
    # Duplicates of valid reads fit, too.
    if valid < _LEAST_VALID * (total - stats["pcr_duplicates"]):
        counts = ", ".join(f"{key} {stats[key]:,}" for key in _rejected(stats) if stats[key])
        # Where reads were mapped, that others were not is no reason.
        known = [key for key in _CURES if chromosomes or key != "chr_not_in_fends"]
        reason = max(known, key=lambda key: (key not in MARKED and stats[key], stats[key]))
        seen = f"; {chromosomes}" if reason == "chr_not_in_fends" else ""
        sites = misfits({}, ends).get("cut_sites")
        raise InputError(
            f"{valid:,} of {total:,} read pairs are valid ({100 * valid / total:.2g} %), expected "
            f"most of them, and at least 1 % ({counts}){seen}",
            path=name,
            cure=f"{_HINTS.get(reason, 'do reads and partition belong together?')}; nothing was "
            "loaded. Of a small part of a genome, give only the reads within it"
            + (f"\n  {sites}" if sites else ""),
        )
    for key, text in misfits(stats, ends).items():
        if key == "chr_not_in_fends" and names:
            if not chromosomes:  # those without a name were not mapped
                continue
            head, _, cure = text.partition("\n")
            text = f"{head}; {chromosomes}\n{cure}"
        warn(f"{name}: {text}", InputWarning)


def check_lengths(name: str, lengths: Mapping[str, int], partition: Partition) -> None:
    """Warn if a header has other lengths of chromosomes than the partition.

    Parameters
    ----------
    name
        Of the file.
    lengths
        bp, by chromosome; names that the partition lacks do not matter.
    partition
        The genome. Where it knows no length, its last fend or bin must begin before the end.
    """
    units, wrong = partition.units, []
    for c, chromosome in enumerate(units.chromosomes):
        seen = lengths.get(chromosome)
        known = 0 if partition.lengths is None else int(partition.lengths[c])
        if seen is None or seen == known:
            continue
        begins = int(units.start[units.span(c)].max(initial=-1))
        if known:
            wrong.append(f"{chromosome} has {seen:,} bp there and {known:,} bp in the partition")
        elif begins >= seen:
            wrong.append(
                f"{chromosome} has {seen:,} bp there, and the partition has a {units.unit} that "
                f"begins at {begins:,}"
            )
    if wrong:
        more = f", and so {len(wrong) - 1} more" if wrong[1:] else ""
        warn(
            f"{name}: the header has other lengths of chromosomes: {wrong[0]}{more}\n"
            "  are reads and partition of the same genome assembly?",
            InputWarning,
        )


def misfits(stats: Mapping[str, int], ends: NDArray[Any]) -> dict[str, str]:
    """Say why reads may not fit the genome, with what helps in a second line.

    Parameters
    ----------
    stats
        Read statistics.
    ends
        Histogram of 5' ends, as `HiCData.end_distribution`.

    Returns
    -------
    By the class of reads, or ``cut_sites``; nothing if all is well.

    Examples
    --------
    >>> import numpy as np
    >>> from hifive_dask.reads.diagnose import misfits
    >>> stats = {"total_reads": 1000, "chr_not_in_fends": 900, "valid_cis_reads": 100}
    >>> print(misfits(stats, np.zeros((0, 3)))["chr_not_in_fends"])
    90.0 % of the read pairs (900 of 1,000) lie on chromosomes that the partition lacks
      use a partition of the same genome, with the same names
    """
    total = stats.get("total_reads", 0)
    found = {}
    for name in _rejected(stats) if total >= _FEW else ():
        count = stats[name]
        share = f"{100 * count / max(1, total):.1f} % of the read pairs ({count:,} of {total:,})"
        if name == "chr_not_in_fends":
            if count > _MANY_UNKNOWN * total:
                found[name] = (
                    f"{share} lie on chromosomes that the partition lacks\n"
                    "  use a partition of the same genome, with the same names"
                )
        elif count > _NEARLY_ALL * total:
            cure = _HINTS.get(name, "do reads and partition belong together?")
            found[name] = f"{share} are in one class, {name}\n  {cure}"
    sites = look_at_sites(ends)
    if sites is not None and sites.misfit:
        found["cut_sites"] = sites.misfit
    return found


def _valid(stats: Mapping[str, int]) -> int:
    return stats.get("valid_cis_reads", 0) + stats.get("valid_trans_reads", 0)


def _rejected(stats: Mapping[str, int]) -> list[str]:
    """Names of the classes of rejected reads."""
    apart = {"total_reads", "marked_duplicates"}  # the latter are part of the PCR duplicates
    names = [name for name in stats if name not in apart and not name.startswith("valid_")]
    kept = _valid(stats) + sum(stats[name] for name in names) > stats.get("total_reads", 0)
    return [name for name in names if not (kept and name == "pcr_duplicates")]


def _compared(names: Collection[str], partition: Partition) -> str:
    """Which names are unknown, which known, which the partition holds; empty if none is unknown."""
    known = set(partition.chromosomes)
    unknown = sorted(set(names) - known - _UNMAPPED)
    if not unknown:
        return ""
    common = sorted(known.intersection(names))
    return (
        f"unknown are {_listed(unknown)}; known {'is' if len(common) == 1 else 'are'} "
        f"{_listed(common) if common else 'none'}; the partition holds "
        f"{_listed(partition.chromosomes)}"
    )


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
