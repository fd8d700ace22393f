"""Tracks in HDF5: a dataset per chromosome, a value per base."""

from __future__ import annotations

import os
from types import TracebackType

import h5py
import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import InputError

__all__ = ["Hdf5Track"]


class Hdf5Track:
    """The datasets ``<chromosome>.<name>`` of a file; their first value is that of base 0.

    Parameters
    ----------
    path
        The file.
    name
        Of the track.

    Raises
    ------
    InputError
        If the file is missing or not HDF5, or has no such dataset of one dimension of numbers.
    """

    def __init__(self, path: str | os.PathLike[str], name: str) -> None:
        self.path = os.fspath(path)
        if not os.path.exists(path):
            raise InputError(
                "no such file", path=path, cure="Check the path and the working directory."
            )
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise InputError(f"cannot be read as HDF5: {error}", path=path) from error
        suffix = f".{name}"
        found = {key: self._file[key] for key in self._file if key.endswith(suffix)}
        if not found:
            held = ", ".join(list(self._file)[:30]) or "none"
            self._file.close()
            raise InputError(
                f"has no dataset <chromosome>.{name}; its datasets are: {held}",
                path=path,
                cure="The name of the feature is that of the datasets.",
            )
        for key, values in found.items():
            if getattr(values, "ndim", 0) != 1 or values.dtype.kind not in "fiub":
                self._file.close()
                raise InputError(f"{key}: expected a number per base, in one dimension", path=path)
        self._datasets = {key.removesuffix(suffix): values for key, values in found.items()}

    def __enter__(self) -> Hdf5Track:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Chromosomes with a dataset."""
        return tuple(self._datasets)

    def read(self, chromosome: str, start: int, stop: int) -> NDArray[np.float64]:
        """Values of the bases ``start ... stop - 1``; 0 where they are missing or not finite."""
        values = np.zeros(stop - start)
        try:
            found = self._datasets[chromosome][start:stop]
        except OSError as error:
            raise InputError(f"is damaged: {error}", path=self.path) from error
        values[: len(found)] = np.where(np.isfinite(found), found, 0.0)
        return values
