"""Which column of a text file holds what: raw text, and the .pairs format of the 4DN consortium."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hifive_dask.errors import InputError, ParameterError
from hifive_dask.reads.text import TextFile, read_head

__all__ = [
    "Format",
    "Layout",
    "TextFormat",
    "expect_format",
    "find_layout",
    "format_of",
    "names_columns",
    "read_names",
]

Format = Literal["raw", "pairs"]
TextFormat = Literal["raw", "pairs", "bam", "mat"]

_RAW = ("chrom1", "pos1", "strand1", "chrom2", "pos2", "strand2")
_PAIRS = ("readID", "chrom1", "pos1", "chrom2", "pos2", "strand1", "strand2")
_SPELLINGS = {"chr1": "chrom1", "chr2": "chrom2", "frag1": "rfrag1", "frag2": "rfrag2"}
_FRAGMENTS = ("rfrag1", "rfrag2")
_TYPE = ("pair_type",)
_PLAINLY = {"bam": "holds alignments", "pairs": "is in .pairs format"}


@dataclass(frozen=True)
class Layout:
    """0-based columns of the values of a read pair, and the number of columns of a line.

    ``fragments`` are the columns of fragment numbers, if they are wanted. ``marks`` says whether
    what the file says of a pair counts: the chromosome ``!``, and the column ``pair_type``, if any.
    ``names`` are those of the columns of .pairs, of line ``named`` of the file, or the standard
    ones if that is 0.
    """

    chrom1: int
    pos1: int
    strand1: int
    chrom2: int
    pos2: int
    strand2: int
    width: int
    fragments: tuple[int, ...] = ()
    marks: bool = False
    pair_type: int | None = None
    names: tuple[str, ...] = ()
    named: int = 0

    @property
    def columns(self) -> tuple[int, int, int, int, int, int]:
        """In the order chrom1, pos1, strand1, chrom2, pos2, strand2."""
        return (self.chrom1, self.pos1, self.strand1, self.chrom2, self.pos2, self.strand2)

    def has_places_of(self, names: Sequence[str]) -> bool:
        """Whether with these names all columns that are read are in the same places."""
        read = [*_RAW, *(_FRAGMENTS if self.fragments else ()), *(_TYPE if self.marks else ())]
        return all(_place(name, names) == _place(name, self.names) for name in read)


def format_of(header: Sequence[str], lines: Sequence[str]) -> TextFormat:
    """Tell the format by the first lines; ``"bam"`` stands for all files of alignments."""
    first = (*header, *lines, "")[0]
    if first.startswith("## pairs format"):
        return "pairs"
    if first.startswith(("BAM\x01", "CRAM", "@HD\t", "@SQ\t", "@RG\t", "@PG\t")):
        return "bam"
    cells = [len(line.split("\t")) for line in lines if line]
    return "mat" if cells and set(cells) == {3} else "raw"


def expect_format(name: str, seen: TextFormat, expected: TextFormat, lines: str) -> None:
    """Raise an `InputError` if a file is plainly not in the expected format, of such lines."""
    if seen in _PLAINLY and seen != expected:
        raise InputError(
            f"{_PLAINLY[seen]}, expected {lines}",
            path=name,
            cure=f"load it as {seen} (`--format {seen}` of the command line)",
        )


def find_layout(
    file: TextFile, format: Format, *, fragments: bool = False, marks: bool = False
) -> Layout:
    """Find the columns of one file from its head, also those of fragments and marks if wanted.

    Raises
    ------
    InputError
        If the file is empty, has too few columns, lacks a needed column in its ``#columns:`` line,
        or is plainly of the other format.
    """
    if format not in ("raw", "pairs"):
        raise ParameterError(f"unknown format {format!r}; known are 'raw' and 'pairs'")
    header, data = read_head(file)
    wanted = " ".join(_RAW if format == "raw" else _PAIRS)
    expect_format(file.name, format_of(header, data), format, f"text: {wanted}")
    names, found = list(_RAW), []
    if format == "pairs":
        found = [k for k, line in enumerate(header) if names_columns(line)]
        names = read_names(header[found[-1]]) if found else list(_PAIRS)
    missing = [name for name in _RAW if name not in names]
    if fragments and not {*_FRAGMENTS} <= {*names}:
        raise InputError(
            f"has no fragment numbers, columns rfrag1 and rfrag2; it has {', '.join(names)}",
            path=file.name,
            cure="`pairtools restrict` adds them; or let positions decide, without "
            "fragments='index'",
        )
    if missing:
        raise InputError(
            f"the #columns: line names {', '.join(names)}; it lacks {', '.join(missing)}",
            path=file.name,
            line=found[-1] + 1,
            cure="make the file with strands, as `pairtools parse` does",
        )
    first = next((k for k, line in enumerate(data) if line.strip()), None)
    if first is None:
        raise InputError("holds no reads" + ", only a header" * bool(header), path=file.name)
    line = data[first]
    if "\0" in line:
        raise InputError(
            f"is not text; it begins with {line[:20]!r}",
            path=file.name,
            cure="check the format of the file",
        )
    width = line.count("\t") + 1
    needed = max(names.index(name) for name in _RAW) + 1
    if width < needed:
        raise InputError(
            f"a line has {width} tab-separated columns, expected at least {needed}: "
            f"{', '.join(names[:needed])}; the line is {line[:80]!r}",
            path=file.name,
            line=len(header) + first + 1,
            cure=_cure_of_columns(line),
        )
    numbers = tuple(names.index(name) for name in _FRAGMENTS if fragments)
    # Some writers put an empty column, which they do not name, before the fragment numbers.
    while numbers and not line.split("\t")[min(numbers)] and max(numbers) + 1 < width:
        numbers = tuple(column + 1 for column in numbers)
    marks &= format == "pairs"
    return Layout(
        **{name: names.index(name) for name in _RAW},
        width=width,
        fragments=numbers,
        marks=marks,
        pair_type=_place(*_TYPE, names) if marks else None,
        names=tuple(names) if format == "pairs" else (),
        named=found[-1] + 1 if found else 0,
    )


def names_columns(line: str) -> bool:
    """Whether a comment of a .pairs file names its columns."""
    return line.lower().startswith("#columns:")


def read_names(line: str) -> list[str]:
    """The names of columns in such a line, in one spelling."""
    return [_SPELLINGS.get(name, name) for name in line.split(":", 1)[1].split()]


def _place(name: str, names: Sequence[str]) -> int | None:
    return names.index(name) if name in names else None


def _cure_of_columns(line: str) -> str:
    words = line.split()
    if len(words) >= 8 and words[2].isdigit() and words[6].isdigit() and words[4].isdigit():
        # Juicer: strand1 chrom1 pos1 fragment1 strand2 chrom2 pos2 fragment2 ...
        return (
            "Juicer's merged_nodups can be piped in as raw text: "
            "awk -v OFS='\\t' '{print $2,$3,$1,$6,$7,$5}'"
        )
    return "columns are separated by single tabs; check the format of the file"
