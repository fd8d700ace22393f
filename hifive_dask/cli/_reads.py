"""Options for reads, and how they become a pair store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from hifive_dask.cli._command import stack
from hifive_dask.cli._stores import FilePath
from hifive_dask.cli._types import Choice, Number, Size

if TYPE_CHECKING:
    from hifive_dask import HiCData
    from hifive_dask._store.places import Place

__all__ = [
    "count_reads",
    "files_of",
    "reads_format",
    "reads_options",
    "short_option",
    "warn_of_misfits",
]

_readable = FilePath(exists=True, dir_okay=False, allow_dash=True)

reads_options = stack(
    click.option(
        "--format",
        "format_",
        type=Choice(["auto", "raw", "pairs", "bam", "mat", "matrix", "cool"]),
        default="auto",
        show_default=True,
        help="raw: chrom1 pos1 strand1 chrom2 pos2 strand2; pairs: the 4DN format; bam: alignments "
        "in BAM, SAM or CRAM; mat: fend1 fend2 count; matrix: a template of text matrices such as "
        "'rep1_*.matrix', or .hdf5 or .npz; cool: FILE or FILE::GROUP; auto: by name and first "
        "lines.",
    ),
    click.option(
        "--mates",
        type=(_readable, _readable),
        multiple=True,
        metavar="FILE1 FILE2",
        help="Two files of alignments, of first and of second mates; repeatable. A file that holds "
        "both mates is given like any other file of reads.",
    ),
    click.option(
        "--min-mapq",
        type=Number(0, 255),
        default=0,
        show_default=True,
        help="For bam: least mapping quality of both ends.",
    ),
    click.option(
        "--maxinsert",
        type=Size(none=True),
        default="500",
        show_default=True,
        help="For raw, pairs and bam: largest insert size, or none for no filter.",
    ),
    click.option(
        "--base",
        type=Number(0, 1),
        default=1,
        show_default=True,
        help="For raw and pairs: number of the first base of a chromosome.",
    ),
    click.option(
        "--dedup",
        type=Choice(["library", "file", "none"]),
        default="library",
        show_default=True,
        help="For raw, pairs and bam: where equal reads count once: in all files, each or nowhere.",
    ),
    click.option(
        "--dedup-mismatch",
        type=Size(),
        default="0",
        show_default=True,
        help="For raw, pairs and bam: bp by which both ends of duplicates may differ.",
    ),
    click.option(
        "--ignore-marks",
        is_flag=True,
        help="For pairs and bam: count pairs whatever pair_type or the flag of duplicates says.",
    ),
    click.option(
        "--fragment-columns",
        is_flag=True,
        help="For pairs: columns rfrag1 and rfrag2, not positions, decide the fragment.",
    ),
    click.option(
        "--basefend",
        type=Number(0, 1),
        show_default="0",
        help="For mat: number of the first fend; 1 for files of HiCPipe.",
    ),
    group="Reads",
)

short_option = click.option(
    "--short",
    type=Size(),
    default="20kb",
    show_default=True,
    help="Cis reads closer than this are short.",
)

_FOR = {  # formats that an option says something for
    "mates": ("bam",),
    "min_mapq": ("bam",),
    "base": ("raw", "pairs"),
    "fragment_columns": ("pairs",),
    "ignore_marks": ("pairs", "bam"),
    "basefend": ("mat",),
    "maxinsert": ("raw", "pairs", "bam"),
    "dedup": ("raw", "pairs", "bam"),
    "dedup_mismatch": ("raw", "pairs", "bam"),
}


def files_of(reads: Sequence[Path], options: dict[str, Any]) -> list[Path]:
    """All files of reads that were given."""
    return [*(path for pair in options["mates"] for path in pair), *reads]


def reads_format(reads: Sequence[Path], options: dict[str, Any]) -> str:
    """The format of the files, asked for or detected.

    Raises
    ------
    click.UsageError
        For options or files that do not go with it, or with each other.
    """
    files, kind = files_of(reads, options), options["format_"]
    if not files:
        raise click.UsageError("no files of reads were given")
    if kind == "auto":
        kind = _find_format(files)
    _check(kind, reads, options)
    return str(kind)


def count_reads(
    out: Place, fends: Place, reads: Sequence[Path], options: dict[str, Any], *, silent: bool
) -> HiCData:
    """Make and save a pair store; `options` are those of `reads_options`."""
    from hifive_dask import HiCData

    kind = reads_format(reads, options)
    filters = {
        "maxinsert": options["maxinsert"],
        "dedup": options["dedup"],
        "dedup_mismatch": options["dedup_mismatch"],
    }
    marks = {"ignore_marks": options["ignore_marks"]}
    data = HiCData(out, "w", silent=silent)
    if kind == "raw":
        data.load_data_from_raw(fends, reads, base=options["base"], **filters)
    elif kind == "pairs":
        fragments: Any = "index" if options["fragment_columns"] else None
        data.load_data_from_pairs(
            fends, reads, base=options["base"], fragments=fragments, **filters, **marks
        )
    elif kind == "bam":
        groups = [*map(list, options["mates"]), *([path] for path in reads)]
        data.load_data_from_bam(fends, groups, min_mapq=options["min_mapq"], **filters, **marks)
    elif kind == "mat":
        data.load_data_from_mat(fends, reads[0], options["basefend"] or 0)
    elif kind == "matrix":
        data.load_binned_data_from_matrices(fends, reads[0])
    else:
        data.load_data_from_cool(fends, reads[0])
    data.save()
    return data


def warn_of_misfits(data: HiCData) -> None:
    """Say again, at the end of long work, in what the reads do not fit the genome."""
    from hifive_dask.errors import InputWarning, warn
    from hifive_dask.reads.diagnose import misfits

    for text in misfits(data.stats, data.end_distribution).values():
        warn(text, InputWarning)


def _find_format(files: Sequence[Path]) -> str:
    from hifive_dask.reads.detect import detect_format
    from hifive_dask.reads.text import is_stream

    if any(map(is_stream, files)):
        raise click.UsageError(
            "standard input and pipes need a format: --format raw, pairs, bam or mat"
        )
    kinds = {str(path): detect_format(path) for path in files}
    if len(set(kinds.values())) > 1:
        seen = ", ".join(f"{path} is {kind}" for path, kind in kinds.items())
        raise click.UsageError(f"load files of one format at a time ({seen}), or give --format")
    return kinds.popitem()[1]


def _check(kind: str, reads: Sequence[Path], options: dict[str, Any]) -> None:
    """Refuse options that would say nothing, and inputs that the format does not take."""
    from hifive_dask.reads.text import is_stream

    context = click.get_current_context()
    for name, kinds in _FOR.items():
        was_given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if kind not in kinds and was_given:
            option = name.replace("_", "-")
            raise click.UsageError(
                f"--{option} is for {', '.join(kinds)}, but the format is {kind}; leave it out"
            )
    if options["dedup_mismatch"] and options["dedup"] == "none":
        raise click.UsageError(
            "--dedup-mismatch says which reads are duplicates, but --dedup none keeps all of them; "
            "leave one of them out"
        )
    if kind in ("matrix", "cool") and any(map(is_stream, reads)):
        raise click.UsageError(f"the format {kind} is not read from standard input or pipes")
    if kind in ("mat", "matrix", "cool") and len(reads) > 1:
        raise click.UsageError(
            f"give one input in the format {kind}; to add up several, load each and combine them "
            "(a template in quotes, as 'rep1_*.matrix', is one input)"
        )
