"""Text files of read pairs as a source: raw text, and the .pairs format."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hifive_dask.errors import InputError, ParameterError
from hifive_dask.genome.lengths import header_lengths
from hifive_dask.genome.partition import Partition
from hifive_dask.reads.diagnose import check_lengths, explain_nothing_loaded
from hifive_dask.reads.fragments import FragmentEdges
from hifive_dask.reads.layout import Format, Layout, find_layout
from hifive_dask.reads.parse import parse_block
from hifive_dask.reads.source import ReadEnds
from hifive_dask.reads.text import (
    BLOCK_BYTES,
    TextBlock,
    TextFile,
    check_files,
    open_text,
    read_head,
    unpack_all,
)

__all__ = ["TextReads"]

_LINE = 48  # bytes of text per read pair, about
_PIECES, _PIECE = 16, 1 << 16  # pieces of a file that are looked at for names, and bytes of each


@dataclass(frozen=True)
class _Job:
    block: TextBlock
    layout: Layout
    number: int
    base: int
    edges: FragmentEdges | None

    def __call__(self, chromosomes: Mapping[str, int]) -> ReadEnds:
        return parse_block(self.block, self.layout, chromosomes, self.base, self.edges)


class TextReads:
    """Read pairs of text files.

    Parameters
    ----------
    files
        Raw text or .pairs, plain, gzip or bgzip; ``-`` is standard input.
    format
        Of all files.
    base
        Number of the first base of a chromosome in the files, 0 or 1.
    edges
        Borders of the fragments that the columns of fragment numbers mean, if they shall decide.
    marks
        Whether what .pairs files say of a pair counts, ``pair_type`` above all.
    genome
        The lengths in the headers of .pairs files are compared with those of this partition.
    block_bytes
        Text per parsing task. The result does not depend on it.

    Raises
    ------
    ParameterError
        For no file, or a `base` that is neither 0 nor 1.
    InputError
        For a file that is given twice.
    """

    def __init__(
        self,
        files: Sequence[str | os.PathLike[str]],
        format: Format,
        *,
        base: int = 1,
        edges: FragmentEdges | None = None,
        marks: bool = True,
        genome: Partition | None = None,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        check_files(files)
        if base not in (0, 1):
            raise ParameterError(f"base is {base!r}, expected 0 or 1: the number of a first base")
        self._paths, self._format = list(files), format
        self._base, self._edges, self._marks, self._block_bytes = base, edges, marks, block_bytes
        self._genome = genome
        self._files: list[TextFile] = []
        self._texts: list[TextFile] = []
        self._layouts: list[Layout] = []
        self.reads = 0
        self.found: dict[str, int] = {}

    def prepare(self, spill: str, silent: bool) -> Sequence[_Job]:
        """Find the columns; unpack gzip files; cut all into blocks of whole lines.

        Raises
        ------
        InputError
            For a missing file, or one that is plainly of another format.
        """
        self._files = [open_text(path, spill) for path in self._paths]
        self._layouts = [
            find_layout(file, self._format, fragments=self._edges is not None, marks=self._marks)
            for file in self._files
        ]
        if self._genome is not None:
            for file in self._files:
                check_lengths(file.name, header_lengths(read_head(file)[0]), self._genome)
        self._texts = texts = unpack_all(self._files, spill, silent)
        self.reads = sum(text.text_bytes() for text in texts) // _LINE
        return [
            _Job(block, layout, number, self._base, self._edges)
            for number, (text, layout) in enumerate(zip(texts, self._layouts, strict=True))
            for block in text.blocks(self._block_bytes)
        ]

    def name(self) -> str:
        """Of the first file, for messages."""
        return self._files[0].name

    def names(self) -> set[str]:
        """Names of chromosomes in pieces of text spread over the files, once prepared."""
        found: set[str] = set()
        for text, layout in zip(self._texts, self._layouts, strict=True):
            columns = (layout.chrom1, layout.chrom2)
            for block in text.blocks(max(_PIECE, text.text_bytes() // _PIECES)):
                head = replace(block, hi=min(block.hi, block.lo + _PIECE)).read()
                for line in head.decode("utf-8", "replace").split("\n"):
                    cells = line.split("\t")
                    if not line.startswith("#") and len(cells) > max(columns):
                        found.update(cells[k] for k in columns)
        return found

    def explain(self, partition: Partition, stats: Mapping[str, int]) -> InputError:
        """Return the error for a load that kept no read pair."""
        return explain_nothing_loaded(self._files, self._layouts, partition, stats)
