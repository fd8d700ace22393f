"""Text files of read pairs as a source: raw text, and the .pairs format."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dask

from hifive_dask._graph.run import run
from hifive_dask.errors import InputError, ParameterError
from hifive_dask.genome.partition import Partition
from hifive_dask.reads.diagnose import explain_nothing_loaded
from hifive_dask.reads.layout import Format, Layout, find_layout
from hifive_dask.reads.parse import parse_block
from hifive_dask.reads.source import ReadEnds
from hifive_dask.reads.text import BLOCK_BYTES, TextBlock, codec_of, unpack

__all__ = ["TextReads"]

_LINE = 48  # bytes of text per read pair, about


@dataclass(frozen=True)
class _Job:
    block: TextBlock
    layout: Layout
    number: int
    base: int

    def __call__(self, chromosomes: Mapping[str, int]) -> ReadEnds:
        return parse_block(self.block, self.layout, chromosomes, self.base)


class TextReads:
    """Read pairs of text files.

    Parameters
    ----------
    files
        Raw text or .pairs, plain, gzip or bgzip.
    format
        Of all files.
    base
        Number of the first base of a chromosome in the files, 0 or 1.
    block_bytes
        Text per parsing task. The result does not depend on it.

    Raises
    ------
    InputError
        For a missing file, or one that is plainly of another format.
    """

    def __init__(
        self,
        files: Sequence[str | os.PathLike[str]],
        format: Format,
        *,
        base: int = 1,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        if not files:
            raise ParameterError("no files of reads were given")
        if base not in (0, 1):
            raise ParameterError(f"base is {base!r}, expected 0 or 1: the number of a first base")
        for path in files:
            codec_of(path)
        self._files = list(files)
        self._layouts = [find_layout(path, format) for path in files]
        self._base, self._block_bytes = base, block_bytes
        self.reads = 0
        self.found: dict[str, int] = {}

    def prepare(self, spill: str, silent: bool) -> Sequence[_Job]:
        """Unpack gzip files; cut all into blocks of whole lines."""
        task = dask.delayed(unpack, pure=False)
        texts = run(
            [task(os.fspath(path), spill, k) for k, path in enumerate(self._files)],
            title="unpacking",
            silent=silent,
        )
        self.reads = sum(text.text_bytes() for text in texts) // _LINE
        return [
            _Job(block, layout, number, self._base)
            for number, (text, layout) in enumerate(zip(texts, self._layouts, strict=True))
            for block in text.blocks(self._block_bytes)
        ]

    def explain(self, partition: Partition, stats: Mapping[str, int]) -> InputError:
        """Return the error for a load that kept no read pair."""
        return explain_nothing_loaded(self._files, self._layouts, partition, stats)
