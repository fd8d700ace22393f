"""Files of a simulation: cut sites, chromosome lengths, reads, truth."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask._kernels.read_bam import bam_records
from hifive_dask._kernels.read_text import pairs_text, raw_text
from hifive_dask._kernels.simulate import ContactTables, RateTables, ReadColumns, draw_reads
from hifive_dask._store.atomic import replacing_file
from hifive_dask.errors import ParameterError
from hifive_dask.simulate.experiment import BATCH, Experiment, batches
from hifive_dask.simulate.genome import SimulatedGenome

__all__ = ["write_genome", "write_lengths", "write_reads", "write_sites", "write_truth"]

PathLike = str | os.PathLike[str]

_SITE = 6  # bp of a recognition site; the cut lies in its middle
_BGZF_TEXT = 65_280  # bytes of text per block of bgzip
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_WINDOW = 16  # batches in memory at a time
_UNKNOWN = "chrUn"
_UNKNOWN_LENGTH = 10_000


def write_sites(path: PathLike, genome: SimulatedGenome) -> None:
    """Write the cut sites as BED with the features ``gc`` and ``mappability``.

    A cell holds the value upstream and the value downstream of the site, as
    `hifive_dask.Fend.load_fends` reads it.
    """
    lines = ["#chrom\tstart\tstop\tname\tscore\tstrand\tgc\tmappability\n"]
    for c, name in enumerate(genome.chromosomes):
        here = slice(int(genome.offset[c]), int(genome.offset[c + 1]))
        cells = []
        for values in (genome.gc[here], genome.mappability[here]):
            upstream = np.r_[values[0], values[1::2]]
            downstream = np.r_[values[::2], values[-1]]
            cells.append([f"{u:.4f},{d:.4f}" for u, d in zip(upstream, downstream, strict=True)])
        for cut, gc, mappability in zip(genome.cuts[c].tolist(), *cells, strict=True):
            start, stop = cut - _SITE // 2, cut + _SITE // 2
            lines.append(f"{name}\t{start}\t{stop}\t.\t0\t+\t{gc}\t{mappability}\n")
    _write_text(path, "".join(lines))


def write_lengths(path: PathLike, genome: SimulatedGenome) -> None:
    """Write a line ``name length`` per chromosome."""
    lengths = zip(genome.chromosomes, genome.lengths.tolist(), strict=True)
    _write_text(path, "".join(f"{name}\t{length}\n" for name, length in lengths))


def write_truth(path: PathLike, genome: SimulatedGenome) -> None:
    """Write what decides the contacts as ``.npz``: a name per attribute of `SimulatedGenome`."""
    with replacing_file(path) as beside, open(beside, "wb") as handle:
        np.savez_compressed(
            handle,
            chromosomes=np.array(genome.chromosomes),
            lengths=genome.lengths,
            offset=genome.offset,
            start=genome.start,
            stop=genome.stop,
            gc=genome.gc,
            mappability=genome.mappability,
            bias=genome.bias,
            domain=genome.domain,
            compartment=genome.compartment,
            centromere=genome.centromere,
        )


def write_genome(directory: PathLike, genome: SimulatedGenome) -> None:
    """Write ``sites.bed``, ``chrom.sizes`` and ``truth.npz`` into a directory."""
    folder = Path(directory)
    write_sites(folder / "sites.bed", genome)
    write_lengths(folder / "chrom.sizes", genome)
    write_truth(folder / "truth.npz", genome)


def write_reads(
    path: PathLike,
    genome: SimulatedGenome,
    reads: int,
    *,
    seed: int,
    experiment: Experiment | None = None,
    silent: bool = False,
) -> None:
    """Draw read pairs into a file; memory does not grow with their number.

    The batches are drawn in parallel by Dask. The bytes depend on the arguments alone.

    Parameters
    ----------
    path
        ``.pairs`` writes the format of the 4DN consortium, ``.bam`` alignments of 50 bases, mate
        after mate; any other suffix raw text, lines ``chrom1 pos1 strand1 chrom2 pos2 strand2``.
        A further ``.gz`` compresses text as bgzip does.
    genome, reads, seed, experiment
        As in `simulate_reads`.
    silent
        No progress bar.

    Raises
    ------
    StoreError
        If the file cannot be written; there is none then.
    """
    where = Path(path)
    encode = _Encoder.of(where, genome)
    rates = (experiment or Experiment()).rates(genome)
    draw = dask.delayed(_batch, pure=False)
    tables, encoder = dask.delayed(genome.tables), dask.delayed(encode)
    jobs = list(enumerate(batches(seed, reads)))
    with replacing_file(where) as beside, open(beside, "wb") as handle:
        handle.write(encode.head())
        for window in (jobs[k : k + _WINDOW] for k in range(0, len(jobs), _WINDOW)):
            texts = run(
                [draw(tables, rates, encoder, state, n, k * BATCH) for k, (state, n) in window],
                title="drawing reads",
                silent=silent,
            )
            handle.writelines(texts)
        handle.write(_BGZF_END if encode.packed else b"")


@dataclass(frozen=True)
class _Encoder:
    """Turns read pairs into bytes of a file: ``"raw"``, ``"pairs"`` or ``"bam"``."""

    format: str
    packed: bool
    names: tuple[str, ...]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, path: Path, genome: SimulatedGenome) -> _Encoder:
        """Choose by the suffix of the file."""
        names = (*genome.chromosomes, _UNKNOWN)
        if "\t" in "".join(names):
            raise ParameterError("a chromosome name holds a tab")
        packed = path.suffix == ".gz"
        suffix = (path.with_suffix("") if packed else path).suffix
        kind = suffix[1:] if suffix in (".pairs", ".bam") else "raw"
        lengths = np.append(genome.lengths, _UNKNOWN_LENGTH)
        return cls(kind, packed or kind == "bam", names, lengths)

    def head(self) -> bytes:
        sizes = list(zip(self.names, self.lengths.tolist(), strict=True))
        if self.format == "pairs":
            text = _pairs_header(sizes).encode()
        else:
            text = _bam_header(sizes) if self.format == "bam" else b""
        return _bgzip(text) if self.packed else text

    def __call__(self, columns: ReadColumns, number: int, seed: int) -> bytes:
        """Return the bytes of a batch whose first read pair has this number."""
        if self.format == "bam":
            text = bam_records(columns, self.lengths, number, seed)
        else:
            text = (pairs_text if self.format == "pairs" else raw_text)(columns, list(self.names))
        return _bgzip(text.tobytes()) if self.packed else text.tobytes()


def _batch(
    tables: ContactTables,
    rates: RateTables,
    encode: _Encoder,
    state: int,
    reads: int,
    number: int,
) -> bytes:
    return encode(draw_reads(tables, rates, state, reads), number, state)


def _bgzip(text: bytes) -> bytes:
    """Compress to blocks of bgzip, without the mark of the end."""
    blocks = []
    for at in range(0, len(text), _BGZF_TEXT):
        piece = text[at : at + _BGZF_TEXT]
        packer = zlib.compressobj(1, zlib.DEFLATED, -15)
        body = packer.compress(piece) + packer.flush()
        head = struct.pack("<4BI2BHBBHH", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, len(body) + 25)
        blocks.append(head + body + struct.pack("<II", zlib.crc32(piece), len(piece)))
    return b"".join(blocks)


def _pairs_header(sizes: Sequence[tuple[str, int]]) -> str:
    return "".join(
        [
            "## pairs format v1.0.0\n#sorted: none\n#shape: upper triangle\n",
            "#genome_assembly: simulated\n",
            *(f"#chromsize: {name} {length}\n" for name, length in sizes),
            "#columns: readID chrom1 pos1 chrom2 pos2 strand1 strand2\n",
        ]
    )


def _bam_header(sizes: Sequence[tuple[str, int]]) -> bytes:
    lines = [f"@SQ\tSN:{name}\tLN:{length}\n" for name, length in sizes]
    text = "".join(["@HD\tVN:1.6\tSO:unsorted\tGO:query\n", *lines]).encode()
    table = [
        struct.pack("<i", len(name.encode()) + 1) + name.encode() + struct.pack("<xi", length)
        for name, length in sizes
    ]
    head = b"BAM\x01" + struct.pack("<i", len(text)) + text
    return head + struct.pack("<i", len(sizes)) + b"".join(table)


def _write_text(path: PathLike, text: str) -> None:
    with replacing_file(path) as beside:
        beside.write_text(text)
