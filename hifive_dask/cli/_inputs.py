"""Options that several commands share, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from hifive_dask import Fend, HiC, HiCData

__all__ = [
    "GenomeInput",
    "count_reads",
    "existing",
    "express_options",
    "filter_options",
    "find_corrections",
    "genome_options",
    "given",
    "learn",
    "make_fends",
    "map_options",
    "reads_options",
    "short_option",
]

F = TypeVar("F", bound=Callable[..., Any])

existing = click.Path(exists=True, dir_okay=False, path_type=Path)


def _stack(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def given(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """The named entries of the options of a command."""
    return {name: values[name] for name in names}


genome_options = _stack(
    click.option("--sites", type=existing, help="BED of cut sites."),
    click.option("--fragments", type=existing, help="BED of restriction fragments."),
    click.option("--fend-table", type=existing, help="HiCPipe fend table."),
    click.option("--chrom-sizes", type=existing, help="Chromosome lengths; needs --binned."),
    click.option("--bins", type=existing, help="BED of bins."),
    click.option(
        "--binned",
        type=click.IntRange(1),
        metavar="BP",
        help="Count pairs in bins of this size; with cut sites or fragments, filter by fends.",
    ),
    click.option("--genome", metavar="NAME", help="Name of the genome, for the record."),
    click.option("--enzyme", metavar="NAME", help="Name of the restriction enzyme."),
)

reads_options = _stack(
    click.option(
        "--format",
        "format_",
        type=click.Choice(["auto", "raw", "pairs"]),
        default="auto",
        show_default=True,
        help="raw: chrom1 pos1 strand1 chrom2 pos2 strand2; pairs: the 4DN format; auto: by the "
        "first line.",
    ),
    click.option(
        "--maxinsert",
        type=click.IntRange(-1),
        default=500,
        show_default=True,
        metavar="BP",
        help="Largest insert size; -1 for no filter.",
    ),
    click.option(
        "--base",
        type=click.IntRange(0, 1),
        default=1,
        show_default=True,
        help="Number of the first base of a chromosome in the files.",
    ),
    click.option(
        "--dedup",
        type=click.Choice(["library", "file", "none"]),
        default="library",
        show_default=True,
        help="Where equal reads count once: in all files, in each, or nowhere.",
    ),
)

filter_options = _stack(
    click.option(
        "--mininteractions",
        type=click.IntRange(0),
        default=10,
        show_default=True,
        help="Partners that a fend needs to stay in use.",
    ),
    click.option(
        "--mindistance", type=click.IntRange(0), default=0, metavar="BP", help="Of those partners."
    ),
    click.option(
        "--maxdistance", type=click.IntRange(0), default=0, metavar="BP", help="Of those partners."
    ),
    click.option(
        "--numbins",
        type=click.IntRange(3),
        default=90,
        show_default=True,
        help="Bins of the distance dependence.",
    ),
    click.option(
        "--minsize",
        type=click.IntRange(1),
        default=200,
        show_default=True,
        metavar="BP",
        help="Upper end of the first of them.",
    ),
    click.option(
        "--maxsize",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        metavar="BP",
        help="Upper end of the last; 0: the longest distance there is.",
    ),
)

express_options = _stack(
    click.option(
        "--iterations",
        type=click.IntRange(1),
        default=100,
        show_default=True,
        help="Least number of iterations.",
    ),
    click.option(
        "--max-iterations",
        type=click.IntRange(1),
        default=1000,
        show_default=True,
        help="Most iterations.",
    ),
    click.option(
        "--minchange",
        type=float,
        default=0.0001,
        show_default=True,
        help="Converged when no correction changes by more than this part.",
    ),
    click.option(
        "--usereads",
        type=click.Choice(["cis", "trans", "all"]),
        default="cis",
        show_default=True,
        help="Reads to learn from.",
    ),
)

map_options = _stack(
    click.option(
        "--binsize",
        type=click.IntRange(0),
        metavar="BP",
        help="By default up to 400 bins; 0 for one bin per fend.",
    ),
    click.option(
        "--datatype",
        type=click.Choice(["raw", "fend", "distance", "enrichment", "expected"]),
        help="What is expected: the number of possible pairs (raw), corrections (fend), the "
        "distance dependence (distance), or both (enrichment). By default both if they are known. "
        "With expected, possible pairs stand in place of observed reads.",
    ),
    click.option(
        "--maxdistance",
        type=click.IntRange(0),
        default=0,
        metavar="BP",
        help="Leave out pairs that are farther apart.",
    ),
)


short_option = click.option(
    "--short",
    type=click.IntRange(0),
    default=20_000,
    show_default=True,
    metavar="BP",
    help="Cis reads closer than this are short.",
)


@dataclass(frozen=True)
class GenomeInput:
    """The one file that a partition is made from."""

    kind: str
    path: Path
    binned: int | None
    genome: str | None
    enzyme: str | None

    @classmethod
    def choose(cls, options: dict[str, Any]) -> GenomeInput:
        """Find the one that was given among the values of `genome_options`."""
        kinds = ("sites", "fragments", "fend_table", "chrom_sizes", "bins")
        found = [kind for kind in kinds if options[kind] is not None]
        if len(found) != 1:
            names = ", ".join("--" + kind.replace("_", "-") for kind in kinds)
            raise click.UsageError(f"give exactly one of {names}")
        kind, binned = found[0], options["binned"]
        if kind == "chrom_sizes" and binned is None:
            raise click.UsageError("--chrom-sizes needs a bin size: --binned BP")
        if kind == "bins" and binned is not None:
            raise click.UsageError("--bins has the sizes in the file; leave --binned out")
        return cls(kind, options[kind], binned, options["genome"], options["enzyme"])


def make_fends(out: Path, source: GenomeInput, *, silent: bool) -> Fend:
    """Make and save a partition."""
    from hifive_dask import Fend

    fend = Fend(out, "w", binned=0 if source.kind == "bins" else source.binned, silent=silent)
    if source.kind == "chrom_sizes":
        fend.load_bins(source.path, source.genome, format="len")
    elif source.kind == "bins":
        fend.load_bins(source.path, source.genome, format="bed")
    elif source.kind == "fend_table":
        fend.load_fends(source.path, source.genome, source.enzyme, format="fend")
    else:
        content: Any = source.kind
        fend.load_fends(source.path, source.genome, source.enzyme, format="bed", content=content)
    fend.save()
    return fend


def count_reads(
    out: Path, fends: Path, reads: tuple[Path, ...], options: dict[str, Any], *, silent: bool
) -> HiCData:
    """Make and save a pair store; `options` are those of `reads_options`."""
    from hifive_dask import HiCData

    maxinsert = None if options["maxinsert"] < 0 else options["maxinsert"]
    data = HiCData(out, "w", silent=silent)
    kind = options["format_"] if options["format_"] != "auto" else _format_of(reads)
    load = data.load_data_from_pairs if kind == "pairs" else data.load_data_from_raw
    load(fends, list(reads), maxinsert, base=options["base"], dedup=options["dedup"])
    data.save()
    return data


def _format_of(reads: tuple[Path, ...]) -> str:
    from hifive_dask.reads.text import read_head

    kinds = set()
    for path in reads:
        header, _ = read_head(path)
        first = header[0] if header else ""
        kinds.add("pairs" if first.startswith("## pairs format") else "raw")
    if len(kinds) > 1:
        raise click.UsageError("some files are in .pairs format and some are not; load one kind")
    return kinds.pop()


def learn(hic: HiC, options: dict[str, Any]) -> None:
    """Filter and find the distance dependence; `options` are those of `filter_options`."""
    distances = given(options, "mindistance", "maxdistance")
    hic.filter_fends(options["mininteractions"], **distances)
    hic.find_distance_parameters(**given(options, "numbins", "minsize", "maxsize"))


def find_corrections(hic: HiC, options: dict[str, Any]) -> str:
    """Find Express corrections; return a sentence on how it went."""
    hic.find_express_fend_corrections(
        options["iterations"],
        remove_distance=options["usereads"] != "trans",
        **given(options, "usereads", "minchange", "max_iterations"),
    )
    assert hic.trace is not None
    change = float(hic.trace[-1, 1])
    verdict = "converged" if change < options["minchange"] else "not converged"
    return f"{verdict} after {len(hic.trace)} iterations, last change {change:.2g}"
