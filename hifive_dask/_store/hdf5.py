"""Reading HDF5 files of HiFive in general."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import StoreError

__all__ = ["open_hdf5", "plain", "read_hdf5", "stated_format", "text_array"]


@contextlib.contextmanager
def open_hdf5(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open a file for reading; whatever HDF5 has to complain about is a `StoreError`."""
    where = os.fspath(path)
    if not os.path.exists(where):
        raise StoreError(f"{where}: no such file")
    try:
        with h5py.File(where, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{where}: cannot be read as HDF5: {error}") from error


def read_hdf5(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Root attributes and all datasets of a small file."""
    with open_hdf5(path) as file:
        attributes = {name: plain(value) for name, value in file.attrs.items()}
        return attributes, {
            name: file[name][...] for name in file if isinstance(file[name], h5py.Dataset)
        }


def stated_format(path: str | os.PathLike[str]) -> str | None:
    """The root attribute `format` of a file, which coolers have; None without, or if no HDF5."""
    if not h5py.is_hdf5(path):
        return None
    with open_hdf5(path) as file:
        found = file.attrs.get("format")
        return None if found is None else str(plain(found))


def plain(value: Any) -> Any:
    """An attribute as text, number, bool or list."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    return value.item() if isinstance(value, np.generic) else value


def text_array(values: NDArray[Any]) -> NDArray[np.str_]:
    """Text of any HDF5 string type: bytes of fixed length, or objects."""
    return np.array([plain(value) for value in values.tolist()], dtype=str)
