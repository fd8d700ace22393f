"""Options that several commands share, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hifive_dask.cli._command import stack
from hifive_dask.cli._filter import Partners, apply_filter
from hifive_dask.cli._settings import Settings
from hifive_dask.cli._stores import FilePath
from hifive_dask.cli._types import Choice, Number, Size, Words

if TYPE_CHECKING:
    from hifive_dask import Fend, HiC
    from hifive_dask._store.places import Place

__all__ = [
    "GenomeInput",
    "address",
    "existing",
    "filter_options",
    "genome_options",
    "given",
    "kept_features_option",
    "learn",
    "make_fends",
    "map_options",
]

existing = FilePath(exists=True, dir_okay=False)


class _Address(FilePath):
    """A file that must be there, standard input, a template, or a cooler in a file."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        file, group, _ = str(value).partition("::")
        if group:
            super().convert(file, param, ctx)
        elif "*" in file:
            if not glob(file):
                self.fail(f"no file matches the template {file}.", param, ctx)
        else:
            return super().convert(value, param, ctx)
        return Path(value)


address = _Address(exists=True, dir_okay=False, allow_dash=True)


def given(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """The named entries of the options of a command."""
    return {name: values[name] for name in names}


genome_options = stack(
    click.option("--sites", type=existing, help="BED of cut sites."),
    click.option("--fragments", type=existing, help="BED of restriction fragments."),
    click.option("--fend-table", type=existing, help="HiCPipe fend table."),
    click.option(
        "--chrom-sizes",
        type=existing,
        help="Chromosome lengths: alone bins of --binned are made of them; beside --sites, "
        "--fragments, --fend-table or --bins they say where chromosomes end.",
    ),
    click.option("--bins", type=existing, help="BED of bins."),
    click.option("--cool", type=address, help="Bins of a cooler, FILE or FILE::GROUP."),
    click.option("--fasta", type=existing, help="Sequence of the genome; needs --enzyme."),
    click.option(
        "--binned",
        type=Size(1),
        help="Count pairs in bins of this size; with fends, filter by fends.",
    ),
    click.option(
        "--order",
        type=Choice(["input", "natural", "bytes"]),
        show_default="input if each chromosome is in one piece there, else natural",
        help="Of the chromosomes: that of the input, natural (chr1, chr2, chr10, chrX, chrM), or "
        "by the bytes of their names (chr1, chr10, chr2), as HiFive has it.",
    ),
    click.option("--genome", metavar="NAME", help="Name of the genome, for the record."),
    click.option(
        "--enzyme",
        metavar="NAME",
        help="Restriction enzyme, for the record. With --fasta, what to cut with: names or sites, "
        "such as DpnII, DpnII,HinfI, ^GATC or arima.",
    ),
    click.option(
        "--chrom",
        "chroms",
        multiple=True,
        metavar="NAME",
        help="With --fasta: a sequence to take, or a pattern such as 'chr?'; repeatable.",
        show_default="all",
    ),
    click.option(
        "--minlength",
        type=Size(),
        help="With --fasta: leave out shorter sequences.",
    ),
    click.option(
        "--window",
        type=Size(1),
        help="With --fasta: bases next to the cut site for gc.",
        show_default="200",
    ),
    click.option(
        "--mappability",
        type=existing,
        help="With --fasta: bigWig or bedGraph of mappability, kept as a feature.",
    ),
    click.option(
        "--mappability-window",
        type=Size(1),
        help="With --mappability: bases next to the cut site for it.",
        show_default="500",
    ),
    group="Genome",
)

kept_features_option = click.option(
    "--features",
    "kept_features",
    type=Words(),
    help="With --fasta: features to keep, of length and gc, or none.",
    show_default="length,gc",
)

# Take lengths of chromosomes beside them; the other inputs know their own.
_LENGTHS = ("sites", "fragments", "fend_table", "bins")

# Go with --fasta: arguments of `Fend.digest`, and options.
_DIGEST = {
    "chroms": "chroms",
    "minlength": "minlength",
    "features": "kept_features",  # of `fends` alone; those of `run` are for --method
    "window": "window",
    "mappability": "mappability",
    "mappability_window": "mappability_window",
}

_filter = stack(
    click.option(
        "--mininteractions",
        type=Partners(0),
        metavar="NUMBER|auto",
        default="auto",
        show_default=True,
        help="Partners that a fend needs to stay in use; auto is the largest number from 3 to 10 "
        "that keeps half of those with reads.",
    ),
    click.option(
        "--mindistance", type=Size(), default="0", show_default=True, help="Of those partners."
    ),
    click.option(
        "--maxdistance",
        type=Size(),
        default="0",
        show_default=True,
        help="Of those partners; 0 for no limit.",
    ),
    group="Filter",
)

_distance = stack(
    click.option(
        "--numbins",
        type=Number(3),
        default=90,
        show_default=True,
        help="Bins of the distance dependence.",
    ),
    click.option(
        "--minsize",
        type=Size(1),
        default="200",
        show_default=True,
        help="Upper end of the first of them.",
    ),
    click.option(
        "--maxsize",
        type=Size(),
        default="0",
        show_default=True,
        help="Upper end of the last; 0: the longest distance there is.",
    ),
    group="Model",
)

filter_options = stack(_filter, _distance)

map_options = stack(
    click.option(
        "--binsize",
        type=Size(),
        show_default="up to 400 bins",
        help="0 for one bin per fend.",
    ),
    click.option(
        "--datatype",
        type=Choice(["raw", "fend", "distance", "enrichment", "expected"]),
        help="What is expected: the number of possible pairs (raw), corrections (fend), the "
        "distance dependence (distance), or both (enrichment). By default both if they are known. "
        "With expected, possible pairs stand in place of observed reads.",
    ),
    click.option(
        "--maxdistance",
        type=Size(),
        default="0",
        show_default=True,
        help="Leave out pairs that are farther apart; 0 for no limit.",
    ),
)


colour_options = stack(
    click.option("--vmin", type=float, help="Lower limit of the colours, as on their bar."),
    click.option("--vmax", type=float, help="Upper limit of the colours."),
    click.option("--cmap", metavar="NAME", help="A colour map of Matplotlib."),
    click.option("--title", help="Text above the picture."),
)

style_options = stack(
    colour_options,
    click.option("--linear", is_flag=True, help="Colours that do not follow the logarithm."),
)


def style_of(options: dict[str, Any]) -> dict[str, Any]:
    """What `hifive_dask.plot` takes, of the values of `style_options`."""
    style = {name: options[name] for name in ("vmin", "vmax", "cmap", "title")}
    return {**style, "log": not options["linear"]}


@dataclass(frozen=True)
class GenomeInput:
    """The one file that a partition is made from; for a sequence also how, in `digest`.

    `lengths` is a file of lengths of chromosomes beside it.
    """

    kind: str
    path: Path
    binned: int | None
    genome: str | None
    enzyme: str | None
    digest: dict[str, Any]
    order: str | None
    lengths: Path | None = None

    @classmethod
    def choose(cls, options: dict[str, Any]) -> GenomeInput:
        """Find the one that was given among the values of `genome_options`."""
        kinds = ("sites", "fragments", "fend_table", "chrom_sizes", "bins", "cool", "fasta")
        found = [kind for kind in kinds if options[kind] is not None]
        lengths = options["chrom_sizes"] if len(found) == 2 else None
        if lengths is not None:
            found.remove("chrom_sizes")
        if len(found) != 1:
            names = ", ".join("--" + kind.replace("_", "-") for kind in kinds)
            raise click.UsageError(f"give exactly one of {names}")
        kind, binned = found[0], options["binned"]
        if lengths is not None and kind not in _LENGTHS:
            raise click.UsageError(f"--{kind} has lengths of its own; leave --chrom-sizes out")
        if kind == "chrom_sizes" and binned is None:
            raise click.UsageError("--chrom-sizes needs a bin size: --binned SIZE")
        if kind == "bins" and binned is not None:
            raise click.UsageError("--bins has the sizes in the file; leave --binned out")
        digest = {
            name: options[option]
            for name, option in _DIGEST.items()
            if options.get(option) not in (None, ())
        }
        if kind == "fasta":
            if options["enzyme"] is None:
                raise click.UsageError("--fasta needs what cuts: --enzyme NAME")
            if "mappability_window" in digest and "mappability" not in digest:
                raise click.UsageError("--mappability-window goes with --mappability only")
            if "features" in digest:
                features = list(digest["features"])
                digest["features"] = [] if features == ["none"] else features
        elif digest:
            wrong = next(iter(digest)).replace("chroms", "chrom").replace("_", "-")
            raise click.UsageError(f"--{wrong} goes with --fasta only")
        if kind in ("fend_table", "cool") and options["order"] is not None:
            raise click.UsageError(
                f"--order: --{kind.replace('_', '-')} has the order in the file; leave --order out"
            )
        named = given(options, "genome", "enzyme", "order")
        return cls(kind, options[kind], binned, **named, digest=digest, lengths=lengths)

    def with_reads(self, kind: str, reads: Sequence[Path]) -> GenomeInput:
        """The same with lengths of the first file of ``.pairs`` that has some, if there are none.

        `kind` is the format of the reads.
        """
        from hifive_dask.genome.lengths import pairs_lengths
        from hifive_dask.reads.text import is_stream

        if kind != "pairs" or self.lengths is not None or self.kind not in _LENGTHS:
            return self
        known = (path for path in reads if not is_stream(path) and pairs_lengths(path))
        return replace(self, lengths=next(known, None))

    @property
    def files(self) -> list[Path]:
        """All files that are read."""
        files = [self.path, *(value for value in self.digest.values() if isinstance(value, Path))]
        return files if self.lengths is None else [*files, self.lengths]


def make_fends(out: Place, source: GenomeInput, *, silent: bool) -> Fend:
    """Make and save a partition."""
    from hifive_dask import Fend

    order: Any = {"order": source.order or "auto"}
    lengths: Any = {"lengths": source.lengths}
    fend = Fend(out, "w", binned=0 if source.kind == "bins" else source.binned, silent=silent)
    if source.kind == "chrom_sizes":
        fend.load_bins(source.path, source.genome, format="len", **order)
    elif source.kind == "bins":
        fend.load_bins(source.path, source.genome, format="bed", **order, **lengths)
    elif source.kind == "cool":
        fend.load_bins(source.path, source.genome, format="cool")
    elif source.kind == "fasta":
        assert source.enzyme is not None
        fend.digest(source.path, source.enzyme, source.genome, **source.digest, **order)
    elif source.kind == "fend_table":
        fend.load_fends(source.path, source.genome, source.enzyme, format="fend", **lengths)
    else:
        content: Any = source.kind
        names = (source.genome, source.enzyme)
        bed = {"format": "bed", "content": content, **order, **lengths}
        fend.load_fends(source.path, *names, **bed)
    fend.save()
    return fend


def learn(settings: Settings, hic: HiC, options: dict[str, Any], *, strict: bool = False) -> None:
    """Filter and find the distance dependence; `options` are those of `filter_options`.

    Raises
    ------
    StateError
        If `strict`, and the filter leaves little; see `apply_filter`.
    """
    apply_filter(settings, hic, options, strict=strict)
    hic.find_distance_parameters(**given(options, "numbins", "minsize", "maxsize"))
