"""Tracks of numbers along the genome: bedGraph, bigWig, HDF5."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hifive_dask._store.places import local
from hifive_dask._store.tracks import Hdf5Track
from hifive_dask.errors import InputError, ParameterError
from hifive_dask.genome.files import unpacked
from hifive_dask.genome.table import INT32_MAX, Columns, TextTable
from hifive_dask.genome.windows import Track

__all__ = ["BedGraph", "BigWig", "TrackFormat", "open_track", "track_format"]

TrackFormat = Literal["bedgraph", "bigwig", "hdf5"]
PathLike = str | os.PathLike[str]

_SUFFIXES: dict[str, TrackFormat] = {
    ".bedgraph": "bedgraph", ".bdg": "bedgraph", ".bg": "bedgraph",
    ".bigwig": "bigwig", ".bw": "bigwig",
    ".hdf5": "hdf5", ".h5": "hdf5",
}  # fmt: skip
_BIGWIG = {bytes.fromhex("888ffc26"), bytes.fromhex("26fc8f88")}


def track_format(path: PathLike, given: str | None = None) -> TrackFormat:
    """The format of a track, as given or by the suffix.

    Raises
    ------
    ParameterError
        If it is not one of the three.
    """
    name = local(path).name.lower().removesuffix(".gz").removesuffix(".bgz")
    known = dict.fromkeys(_SUFFIXES.values())
    found = _SUFFIXES.get(Path(name).suffix) if given is None else given
    for kind in known:
        if kind == found:
            return kind
    seen = f"the suffix of {Path(path).name!r}" if given is None else f"format {given!r}"
    raise ParameterError(
        f"cannot tell the format of a track by {seen}; expected a file name that ends in "
        f"{', '.join(_SUFFIXES)}, or for add_feature format as one of {', '.join(map(repr, known))}"
    )


@contextmanager
def open_track(path: PathLike, name: str, format: TrackFormat) -> Iterator[Track]:
    """Open a track.

    Parameters
    ----------
    path
        The file; bedGraph also as gzip or bgzip.
    name
        Of the feature; HDF5 files have a dataset ``<chromosome>.<name>`` per chromosome.
    format
        Of the file.

    Raises
    ------
    InputError
        If the file is missing or not of this format.
    """
    if format == "bedgraph":
        yield BedGraph(path)
    elif format == "hdf5":
        with Hdf5Track(path, name) as track:
            yield track
    else:
        big = BigWig(path)
        try:
            yield big
        finally:
            big.close()


class BedGraph:
    """Intervals with a value each: chromosome, start, stop (0-based half-open), value.

    Raises
    ------
    InputError
        If a line is malformed, or an interval is empty or overlaps another.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = os.fspath(path)
        table = TextTable(path, coordinates=(1, 2))
        rows = table.read(Columns(0, {"start": 1, "stop": 2}, {"value": 3}))
        start, stop = rows.numbers["start"], rows.numbers["stop"]
        for wrong, message in (
            (start < 0, "the start is negative"),
            (start >= stop, "the start is not below the stop"),
            (stop > INT32_MAX, f"the stop is above {INT32_MAX}, the largest coordinate"),
        ):
            if wrong.any():
                raise table.error(int(wrong.argmax()), message)
        order = np.lexsort((start, rows.chromosome))
        code = rows.chromosome[order]
        self._start, self._stop = start[order], stop[order]
        self._value = rows.features["value"][order].ravel()
        overlap = (code[1:] == code[:-1]) & (self._start[1:] < self._stop[:-1])
        if overlap.any():
            raise table.error(
                int(order[int(overlap.argmax()) + 1]), "the interval overlaps another one"
            )
        edges = np.searchsorted(code, np.arange(len(rows.names) + 1))
        self._spans = {name: slice(*edges[k : k + 2]) for k, name in enumerate(rows.names)}

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Chromosomes with intervals."""
        return tuple(self._spans)

    def read(self, chromosome: str, start: int, stop: int) -> NDArray[np.float64]:
        """Values of the bases ``start ... stop - 1``; 0 between intervals."""
        span = self._spans[chromosome]
        first = span.start + int(np.searchsorted(self._stop[span], start, "right"))
        last = span.start + int(np.searchsorted(self._start[span], stop, "left"))
        lo = np.maximum(self._start[first:last], start)
        hi = np.minimum(self._stop[first:last], stop)
        # Gaps and intervals by turns, a gap at either end.
        edges = np.concatenate(([start], np.column_stack((lo, hi)).ravel(), [stop]))
        values = np.zeros(2 * len(lo) + 1)
        values[1::2] = self._value[first:last]
        return np.repeat(values, np.diff(edges))


class BigWig:
    """A bigWig file.

    Raises
    ------
    InputError
        If pybigtools is missing, or the file is missing, damaged, or not bigWig.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = os.fspath(path)
        with unpacked(path) as (_, file):
            mark = file.read(4)
            if mark not in _BIGWIG:
                raise InputError(
                    f"is not a bigWig file: it begins with {mark!r}, expected the mark of bigWig",
                    path=path,
                    cure="A bedGraph, or another format, is told by the suffix or by format.",
                )
            file.seek(-4, os.SEEK_END)
            if file.tell() == 0 or file.read(4) != mark:
                raise InputError(
                    "is not a whole bigWig file: the mark at its end is missing",
                    path=path,
                    cure="Copy or make it again.",
                )
        try:
            import pybigtools
        except ImportError as error:
            raise InputError(
                "bigWig files are read by pybigtools, which is not installed",
                path=path,
                cure="pip install 'hifive-dask[digest]', or give the track as bedGraph.",
            ) from error
        with self._checked("its header"):
            self._file: Any = pybigtools.open(self.path)
            self._length: dict[str, int] = self._file.chroms()

    @contextmanager
    def _checked(self, what: str) -> Iterator[None]:
        """Turn whatever the reader does about damage into an `InputError`."""
        try:
            yield
        except BaseException as error:
            # Among it are panics of Rust, which are no `Exception`.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise InputError(
                f"{what} cannot be read; the file is damaged",
                path=self.path,
                cure="Copy or make it again.",
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Chromosomes of the file."""
        return tuple(self._length)

    def read(self, chromosome: str, start: int, stop: int) -> NDArray[np.float64]:
        """Values of the bases ``start ... stop - 1``; 0 where there is none."""
        values = np.zeros(stop - start)
        stop = min(stop, self._length[chromosome])
        if start < stop:
            with self._checked(f"{chromosome}:{start}-{stop}"):
                found = self._file.values(chromosome, start, stop, fillna=None)
            values[: stop - start] = np.nan_to_num(found, nan=0.0)
        return values
