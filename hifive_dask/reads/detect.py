"""In what format a file of reads is."""

from __future__ import annotations

import os
from typing import Literal

from hifive_dask.errors import ParameterError
from hifive_dask.genome.cool import holds_coolers
from hifive_dask.reads.layout import TextFormat, format_of
from hifive_dask.reads.matrices import matrix_format
from hifive_dask.reads.text import is_stream, open_text, read_head

__all__ = ["ReadsFormat", "detect_format"]

ReadsFormat = TextFormat | Literal["matrix", "cool"]


def detect_format(path: str | os.PathLike[str]) -> ReadsFormat:
    """Tell the format by the name, by what an HDF5 file says, or by the first lines.

    Raises
    ------
    ParameterError
        For standard input and pipes, which cannot be looked at and then read.
    InputError
        If the file is missing or empty.
    """
    name = os.fspath(path)
    if is_stream(name):
        raise ParameterError("the format of standard input and of pipes must be given")
    if holds_coolers(name):
        return "cool"
    if matrix_format(name):
        return "matrix"
    return format_of(*read_head(open_text(name, spill=""), 2))
