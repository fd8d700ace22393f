"""Files of chromosome lengths."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import InputError, InputWarning, warn
from hifive_dask.genome.table import INT32_MAX, Columns, TextTable, name_list

__all__ = ["read_lengths"]


def read_lengths(path: str | os.PathLike[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Read chromosome names and lengths, in file order.

    Columns are name and length in bp; further ones are ignored.

    Parameters
    ----------
    path
        The file; plain, gzip or bgzip.

    Returns
    -------
    The names, and their lengths as int64.

    Raises
    ------
    InputError
        If a line is malformed, a name is repeated, a length is negative or above int32, or
         all are 0.
    """
    table = TextTable(path, coordinates=(1,))
    rows = table.read(Columns(0, {"length": 1}, {}))
    length = rows.numbers["length"]
    for wrong, message in (
        (length < 0, "the length is negative"),
        (length > INT32_MAX, f"the length is above {INT32_MAX}, the largest coordinate"),
        (rows.chromosome != np.arange(len(rows)), "the chromosome has a line already"),
    ):
        if wrong.any():
            raise table.error(int(wrong.argmax()), message)
    if not length.any():
        raise InputError("all chromosomes have length 0", path=path, cure="Give lengths in bp.")
    empty = [name for name, n in zip(rows.names, length, strict=True) if n == 0]
    if empty:
        warn(
            f"{os.fspath(path)}: {len(empty)} chromosome(s) of length 0 have no bins: "
            + name_list(empty),
            InputWarning,
        )
    return rows.names, length
