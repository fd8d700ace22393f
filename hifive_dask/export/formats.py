"""The formats of heatmap files, by name and by suffix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from hifive_dask._store.places import Location, local
from hifive_dask.errors import ParameterError, unknown
from hifive_dask.regions import whole_bp

__all__ = ["FORMATS", "FileFormat", "choose_binsizes", "choose_format"]


class FileFormat(NamedTuple):
    """A format of heatmap files.

    Parameters
    ----------
    suffixes
        Those of its files.
    several
        Whether a file holds maps of several bin sizes.
    """

    suffixes: tuple[str, ...]
    several: bool = False


FORMATS = {
    "zarr": FileFormat((".zarr",), several=True),
    "hdf5": FileFormat((".hch", ".h5", ".hdf5")),
    "npz": FileFormat((".npz",)),
    "txt": FileFormat(()),
    "cool": FileFormat((".cool",)),
    "mcool": FileFormat((".mcool",), several=True),
}


def choose_format(filename: Location, format: str | None) -> str:
    """Name of the format: the one asked for, or that of the suffix.

    Raises
    ------
    ParameterError
        If it is unknown; the message says which there are.
    StoreError
        If it is not ``"zarr"`` and the file is at a URL.

    Examples
    --------
    >>> from hifive_dask.export.formats import choose_format
    >>> choose_format("maps.hch", None), choose_format("maps", "txt")
    ('hdf5', 'txt')
    """
    known = ", ".join(
        f"{name!r} ({', '.join(each.suffixes) or 'many files, the name is a prefix'})"
        for name, each in FORMATS.items()
    )
    if format is None:
        suffix = PurePosixPath(str(filename)).suffix.lower()
        found = [name for name, each in FORMATS.items() if suffix in each.suffixes]
        if not found:
            raise ParameterError(
                f"{filename}: no format of heatmaps has the suffix {suffix!r}; choose one with "
                f"format: {known}"
            )
        format = found[0]
    elif format not in FORMATS:
        raise ParameterError(unknown("format", format, FORMATS))
    if format != "zarr":
        local(filename)
    return format


def _listed(binsize: int | str | Sequence[int | str]) -> list[int | str]:
    several = np.ndim(binsize) > 0 and not isinstance(binsize, str)
    return list(binsize) if several else [binsize]  # type: ignore[arg-type,list-item]


def choose_binsizes(format: str, binsize: int | str | Sequence[int | str]) -> list[int]:
    """Bin sizes as a list, of one size unless the format holds several.

    Raises
    ------
    ParameterError
        If there are none, or more than the format holds.
    """
    sizes = [whole_bp(size, "binsize") for size in _listed(binsize)]
    if not sizes:
        raise ParameterError("binsize is an empty list, expected a size in bp")
    if len(sizes) > 1 and not FORMATS[format].several:
        several = ", ".join(name for name, each in FORMATS.items() if each.several)
        raise ParameterError(
            f"binsize has {len(sizes)} sizes, and a file of the format {format!r} holds one; "
            f"several are held by: {several}"
        )
    return sizes
