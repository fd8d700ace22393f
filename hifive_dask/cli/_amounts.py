"""How much there is in files that were not read yet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import Any

from hifive_dask.cli._inputs import GenomeInput
from hifive_dask.cli._plan import Amount
from hifive_dask.errors import HifiveDaskWarning, warn
from hifive_dask.reads.text import BLOCK_BYTES, TextFile, is_stream, open_text, read_head

__all__ = ["amount_of_reads", "number_of_units"]

_LINES = 100  # whose mean length is taken for that of all
_ALIGNMENT = 168  # bytes of an inflated BAM file, about


def amount_of_reads(reads: Sequence[Path], kind: str, options: dict[str, Any]) -> Amount:
    """Reads, or counted pairs, of files of one format; 0 of standard input and pipes."""
    from hifive_dask.cli._reads import files_of

    given = files_of(reads, options)
    files = [path for path in given if not is_stream(path)]
    if len(files) < len(given):
        warn(
            "reads of standard input and of pipes cannot be known before: the plan leaves them out",
            HifiveDaskWarning,
        )
    if kind == "cool":
        from hifive_dask.genome.cool import list_coolers, number_of_pixels, open_cooler

        cells = max(number_of_pixels(open_cooler(uri)) for uri in list_coolers(files[0]))
        return Amount(cells, 0, -(-cells // (1 << 20)))
    if kind == "matrix":
        found = [path for each in files for path in sorted(glob(str(each)))]
        size = sum(os.path.getsize(path) for path in found)
        return Amount(size // 4, size, max(len(found), -(-size // (1 << 23))))
    total = text = jobs = packed = 0
    for path in files:
        file = open_text(path, spill="")
        size = file.text_bytes()
        text += size
        jobs += -(-size // BLOCK_BYTES)
        if kind == "bam":
            total += size // _ALIGNMENT // 2
            continue
        packed += size if file.codec == "gzip" else 0
        total += _lines(file)
    return Amount(total, text, jobs, packed)


def _lines(file: TextFile) -> int:
    """Lines of a file, if they are all as long as the first ones."""
    lines = [line for line in read_head(file, _LINES)[1] if line.strip()]
    return file.text_bytes() * len(lines) // max(1, sum(len(line) + 1 for line in lines))


def number_of_units(source: GenomeInput) -> int:
    """About how many fends or bins a genome would have."""
    if source.kind == "cool":
        from hifive_dask.genome.cool import list_coolers, number_of_bins, open_cooler

        return max(number_of_bins(open_cooler(uri)) for uri in list_coolers(source.path))
    if source.kind == "fasta":
        from hifive_dask.genome.enzymes import parse_enzymes

        assert source.enzyme is not None
        sites = {p.site for each in parse_enzymes(source.enzyme) for p in each.patterns}
        bases = open_text(source.path, spill="").text_bytes()
        units = 2 * bases * sum(4.0 ** -len(site.replace("N", "")) for site in sites)
    elif source.kind == "chrom_sizes":
        from hifive_dask.genome.lengths import read_lengths

        assert source.binned is not None
        units = sum(1 + int(length) // source.binned for length in read_lengths(source.path)[1])
    else:
        lines = _lines(open_text(source.path, spill=""))
        units = 2 * lines if source.kind in ("sites", "fragments") else lines
    return max(1, int(units))
