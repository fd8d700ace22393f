"""Toy files and projects for documentation and tests."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from hifive_dask.simulate import PRESETS, SimulatedGenome, write_genome, write_reads

__all__ = [
    "TOY_CUTS",
    "TOY_READS",
    "ToyFiles",
    "toy_files",
    "toy_genome",
    "toy_project",
    "toy_reads",
]

PathLike = str | os.PathLike[str]

TOY_CUTS = {"chr1": (1000, 2000, 3000, 4000), "chr2": (500, 1500, 2500)}
"""Cut sites of a genome that can be checked by hand: five fragments, ten fends."""

TOY_READS = (
    ("chr1", 1900, "+", "chr1", 3100, "-"),  # fends 1 and 4: a cis pair
    ("chr1", 3100, "-", "chr1", 1900, "+"),  # the same read pair again: a duplicate
    ("chr1", 1950, "+", "chr1", 2950, "+"),  # fends 1 and 3: neighbours, same strand
    ("chr1", 3950, "+", "chr2", 600, "-"),  # fends 5 and 6: a trans pair
    ("chr1", 1100, "-", "chr1", 1900, "+"),  # fends 0 and 1: one fragment
    ("chr1", 1950, "+", "chr1", 2050, "-"),  # fends 1 and 2: the site was not cut
    ("chr1", 1100, "+", "chr1", 3900, "-"),  # 900 bp from both cut sites: insert size
    ("chr1", 1000, "+", "chr1", 3900, "+"),  # before the first fragment
    ("chrM", 10, "+", "chr1", 3900, "+"),  # a chromosome without cut sites
)
"""Read pairs of that genome, one for every read statistic; positions count from 1."""


class ToyFiles(NamedTuple):
    """A simulated genome of three small chromosomes and 20,000 read pairs, as files.

    ``sites`` and ``lengths`` describe the genome, ``raw`` and ``pairs`` hold the same reads in two
    formats, ``genome`` the truth.
    """

    directory: Path
    sites: Path
    lengths: Path
    raw: Path
    pairs: Path
    genome: SimulatedGenome


def toy_genome(path: PathLike) -> Path:
    """Write `TOY_CUTS` as a BED file of cut sites.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from hifive_dask.testing import toy_genome
    >>> len(toy_genome(Path(tempfile.mkdtemp()) / "sites.bed").read_text().splitlines())
    7
    """
    return _write(
        path,
        [f"{name}\t{cut - 3}\t{cut + 3}" for name, cuts in TOY_CUTS.items() for cut in cuts],
    )


def toy_reads(path: PathLike) -> Path:
    """Write `TOY_READS` as raw text."""
    return _write(path, ["\t".join(map(str, read)) for read in TOY_READS])


def toy_files(directory: PathLike | None = None, *, seed: int = 1) -> ToyFiles:
    """Write the simulated preset ``toy``, by default into a new temporary directory.

    Examples
    --------
    >>> from hifive_dask.testing import toy_files
    >>> files = toy_files()
    >>> files.genome.chromosomes
    ('chr1', 'chr2', 'chr3')
    """
    folder = Path(tempfile.mkdtemp(prefix="toy-") if directory is None else directory)
    preset = PRESETS["toy"]
    genome = preset.genome(seed)
    write_genome(folder, genome)
    for name in ("reads.raw", "reads.pairs"):
        write_reads(
            folder / name,
            genome,
            preset.reads,
            seed=seed,
            experiment=preset.experiment,
            silent=True,
        )
    return ToyFiles(
        folder,
        folder / "sites.bed",
        folder / "chrom.sizes",
        folder / "reads.raw",
        folder / "reads.pairs",
        genome,
    )


def toy_project(
    directory: PathLike | None = None, *, seed: int = 1, binned: int | None = None
) -> Path:
    """Make a project of `toy_files`: reads counted, nothing filtered or learned yet.

    Parameters
    ----------
    directory, seed
        As of `toy_files`.
    binned
        bp: count in bins of this size; None: in fends.

    Returns
    -------
    Path of ``project.zarr``; ``fends.zarr`` and ``pairs.zarr`` lie beside it.

    Examples
    --------
    >>> import hifive_dask as hd
    >>> from hifive_dask.testing import toy_project
    >>> hd.HiC(toy_project(), silent=True).normalization
    'none'
    """
    from hifive_dask import Fend, HiC, HiCData

    files = toy_files(directory, seed=seed)
    fend = Fend(files.directory / "fends.zarr", "w", binned=binned, silent=True)
    fend.load_fends(files.sites)
    fend.save()
    data = HiCData(files.directory / "pairs.zarr", "w", silent=True)
    data.load_data_from_raw(fend.file, files.raw, 500)
    project = files.directory / "project.zarr"
    hic = HiC(project, "w", silent=True)
    hic.load_data(data.file)
    hic.save()
    return project


def _write(path: PathLike, lines: list[str]) -> Path:
    where = Path(path)
    where.write_text("".join(f"{line}\n" for line in lines))
    return where
