"""Heatmaps as text tables, one file per map and kind of value, and as an archive of numpy."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hifive_dask._store.atomic import replacing_file, replacing_files
from hifive_dask.errors import ParameterError, StoreError
from hifive_dask.export.heatmap_hdf5 import datasets, enrichment
from hifive_dask.heatmap.labels import number_text
from hifive_dask.heatmap.maps import MapSet

__all__ = ["symmetric_rows", "write_npz", "write_text"]

PathLike = str | os.PathLike[str]

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the clock leaves no trace


def write_npz(path: PathLike, maps: MapSet) -> None:
    """Write maps as an archive that `numpy.load` opens: the arrays of a HiFive heatmap file.

    What is an attribute there is an array here: ``resolution`` and ``diagonal``.

    Raises
    ------
    ParameterError
        If observed reads do not fit in 32 bits.
    StoreError
        If it cannot be written, or something else is there.
    """
    where = Path(path)
    if where.exists() and not zipfile.is_zipfile(where):
        raise StoreError(f"{where} is there and no archive of arrays; write to another file")
    with replacing_file(path) as beside, zipfile.ZipFile(beside, "w", allowZip64=True) as archive:
        for name, values in _arrays(maps):
            entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, values, allow_pickle=False)


def _arrays(maps: MapSet) -> Iterator[tuple[str, NDArray[Any]]]:
    yield "resolution", np.asarray(maps.resolution, dtype=np.int64)
    yield "diagonal", np.asarray(maps.diagonal, dtype=np.bool_)
    yield from datasets(maps)


def write_text(prefix: PathLike, maps: MapSet) -> None:
    """Write maps as tables with labels, values between tabs.

    Files are ``PREFIX.chr1.observed``, ``.expected`` and ``.enrichment``, and the same of
    ``PREFIX.chr1_by_chr2``, whose rows are those of the first chromosome. Maps within a chromosome
    are symmetric.

    Raises
    ------
    ParameterError
        If the name of a chromosome cannot be that of a file.
    StoreError
        If they cannot be written; none of them is changed then.
    """
    for name in maps.chromosomes:
        if os.sep in name:
            raise ParameterError(
                f"the chromosome {name!r} cannot be a part of the name of a file; write another "
                "format, such as npz"
            )
    labels = {
        name: [f"{name}:{start}-{stop}" for start, stop in bins.tolist()]
        for name, bins in maps.bins.items()
    }
    with replacing_files(prefix) as folder:
        for each in maps.maps:
            rows, columns = (labels[name] for name in each.chroms)
            kinds: dict[str, tuple[NDArray[Any], Callable[[Any], str]]] = {
                "observed": (each.observed, lambda value: number_text(value, 15)),
                "expected": (each.expected, str),
                "enrichment": (enrichment(each.observed, each.expected), str),
            }
            for kind, (values, text) in kinds.items():
                lines = symmetric_rows(values, len(rows), maps.diagonal) if each.cis else values
                with open(folder / f".{each.name}.{kind}", "w", encoding="utf-8") as file:
                    file.write("\t".join(["", *columns]) + "\n")
                    for label, line in zip(rows, lines, strict=True):
                        file.write("\t".join([label, *map(text, line)]) + "\n")


def symmetric_rows(values: NDArray[Any], size: int, diagonal: bool) -> Iterator[NDArray[Any]]:
    """Yield the rows of a symmetric map from its upper triangle; what that does not hold is 0."""
    number = np.arange(size)
    # Cell (i, j) of the triangle is at `first[i] + j`.
    first = number * (size - 2 + diagonal) - number * (number - 1) // 2 - 1 + diagonal
    for i in range(size):
        place = first[np.minimum(i, number)] + np.maximum(i, number)
        if not diagonal:
            place[i] = 0
        row = values[place]
        if not diagonal:
            row[i] = 0
        yield row
