"""Arrays by name in files of others: HDF5 and npz."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import InputError

__all__ = ["ArrayFile"]


@dataclass(frozen=True)
class ArrayFile:
    """A file of named arrays.

    Parameters
    ----------
    path
        The file.
    format
        ``"hdf5"``, of which arrays are read in pieces, or ``"npz"``, of which they are not.
    """

    path: str
    format: Literal["hdf5", "npz"]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every array in the root of the file.

        Raises
        ------
        InputError
            If the file cannot be opened.
        """
        try:
            if self.format == "hdf5":
                with h5py.File(self.path, "r") as file:
                    return {
                        name: item.shape
                        for name, item in file.items()
                        if isinstance(item, h5py.Dataset)
                    }
            with zipfile.ZipFile(self.path) as archive:
                return {
                    name.removesuffix(".npy"): _npy_shape(archive, name)
                    for name in archive.namelist()
                }
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(
                f"cannot be read as {self.format}: {error}",
                path=self.path,
                cure="check the format, and that the file was copied to its end",
            ) from error

    def attribute(self, name: str) -> Any:
        """Attribute of the root of an HDF5 file; None without."""
        if self.format != "hdf5":
            return None
        with h5py.File(self.path, "r") as file:
            return file.attrs.get(name)

    def read(self, name: str, lo: int, hi: int) -> NDArray[Any]:
        """Return entries `lo` to `hi` of an array along its first dimension."""
        if self.format == "hdf5":
            with h5py.File(self.path, "r") as file:
                return np.asarray(file[name][lo:hi])
        with np.load(self.path, allow_pickle=False) as arrays:
            return np.asarray(arrays[name][lo:hi])


def _npy_shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    with archive.open(name) as handle:
        version = np.lib.format.read_magic(handle)
        header = (
            np.lib.format.read_array_header_1_0(handle)
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0(handle)
        )
    return tuple(int(n) for n in header[0])
