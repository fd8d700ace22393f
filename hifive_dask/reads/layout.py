"""Which column of a text file holds what: raw text, and the .pairs format of the 4DN consortium."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from hifive_dask.errors import InputError, ParameterError
from hifive_dask.reads.text import read_head

__all__ = ["Format", "Layout", "find_layout", "format_of"]

Format = Literal["raw", "pairs"]

_RAW = ("chrom1", "pos1", "strand1", "chrom2", "pos2", "strand2")
_PAIRS = ("readID", "chrom1", "pos1", "chrom2", "pos2", "strand1", "strand2")
_SPELLINGS = {"chr1": "chrom1", "chr2": "chrom2"}


@dataclass(frozen=True)
class Layout:
    """0-based columns of the six values of a read pair, and the number of columns of a line."""

    chrom1: int
    pos1: int
    strand1: int
    chrom2: int
    pos2: int
    strand2: int
    width: int

    @property
    def columns(self) -> tuple[int, int, int, int, int, int]:
        """In the order chrom1, pos1, strand1, chrom2, pos2, strand2."""
        return (self.chrom1, self.pos1, self.strand1, self.chrom2, self.pos2, self.strand2)


def format_of(path: str | os.PathLike[str]) -> Literal["raw", "pairs", "bam"]:
    """Tell the format of a file from its first line: ``"bam"`` stands for all alignments."""
    header, data = read_head(path)
    first = (header or data or [""])[0]
    if header and first.startswith("## pairs format"):
        return "pairs"
    is_alignments = first.startswith(("BAM\x01", "CRAM", "@HD\t", "@SQ\t", "@RG\t", "@PG\t"))
    return "bam" if is_alignments else "raw"


def find_layout(path: str | os.PathLike[str], format: Format) -> Layout:
    """Find the columns of one file from its head.

    Raises
    ------
    InputError
        If the file is empty, has too few columns, lacks a needed column in its ``#columns:`` line,
        or is plainly of the other format.
    """
    if format not in ("raw", "pairs"):
        raise ParameterError(f"unknown format {format!r}; known are 'raw' and 'pairs'")
    header, data = read_head(path)
    kind = format_of(path)
    if kind == "bam":
        raise InputError("holds alignments, expected text", path=path, cure="load it as BAM")
    if format == "raw" and kind == "pairs":
        raise InputError(
            "is in .pairs format, expected raw text (chrom1 pos1 strand1 chrom2 pos2 strand2)",
            path=path,
            cure="load it as pairs",
        )
    names = list(_RAW)
    if format == "pairs":
        lines = [line for line in header if line.lower().startswith("#columns:")]
        names = lines[-1].split(":", 1)[1].split() if lines else list(_PAIRS)
        names = [_SPELLINGS.get(name, name) for name in names]
    missing = [name for name in _RAW if name not in names]
    if missing:
        raise InputError(
            f"the #columns: line names {', '.join(names)}; it lacks {', '.join(missing)}",
            path=path,
            line=next(k for k, text in enumerate(header, 1) if text.startswith("#columns:")),
            cure="make the file with strands, as `pairtools parse` does",
        )
    if not data:
        raise InputError("holds no reads, only a header", path=path)
    width = data[0].count("\t") + 1
    needed = max(names.index(name) for name in _RAW) + 1
    if width < needed:
        raise InputError(
            f"a line has {width} tab-separated columns, expected at least {needed}: "
            f"{', '.join(names[:needed])}; the line is {data[0][:80]!r}",
            path=path,
            line=len(header) + 1,
            cure="columns are separated by single tabs; check the format of the file",
        )
    return Layout(**{name: names.index(name) for name in _RAW}, width=width)
