"""The store of heatmaps: squares of the map of a genome, its upper triangle, at some bin sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
import zarr
from numpy.typing import NDArray

from hifive_dask._store import zarr_store
from hifive_dask._store.places import Location, absolute, explained
from hifive_dask.errors import ParameterError, StoreError
from hifive_dask.provenance import History
from hifive_dask.schema import HEATMAPS

__all__ = [
    "CHUNK",
    "LAYERS",
    "SHARD",
    "Layer",
    "Level",
    "StoredLevel",
    "StoredMaps",
    "count_cells",
    "create_heatmaps",
    "finish_heatmaps",
    "write_cells",
]

CHUNK = 256  # bins per inner chunk and axis, the unit of reading
SHARD = 2048  # bins per shard and axis, the unit of writing: one file per layer
LAYERS = ("observed", "expected")
Layer = Literal["observed", "expected"]

_NOT_STORED = -1  # of observed integers; else NaN
_MOST_READS = np.iinfo(np.int32).max
_LENGTH = "chromosome_length"
_BINS = {"chrom": "bin_chromosome", "start": "bin_start", "stop": "bin_stop"}


def count_cells(bins: Sequence[int], trans: bool) -> int:
    """Number of stored cells of chromosomes with so many bins, on and above the diagonal."""
    sizes = [sum(bins)] if trans else bins
    return sum(size * (size + 1) // 2 for size in sizes)


@dataclass(frozen=True)
class Level:
    """The bins of one resolution.

    Parameters
    ----------
    binsize
        bp.
    trans
        Whether cells of two chromosomes are stored.
    chrom
        int32 (bins): chromosome by its place in the store, not decreasing.
    start, stop
        int64 (bins): bp.
    """

    binsize: int
    trans: bool
    chrom: NDArray[np.int32]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.chrom)

    @property
    def name(self) -> str:
        """Name of its group."""
        return f"r{self.binsize}"

    @property
    def cells(self) -> int:
        """Number of stored cells, on and above the diagonal."""
        return count_cells(np.bincount(self.chrom).tolist(), self.trans)

    def shards(self) -> Iterator[tuple[slice, slice]]:
        """Rows and columns of the shards that hold any cell, row by row."""
        spans = [slice(lo, min(len(self), lo + SHARD)) for lo in range(0, len(self), SHARD)]
        for k, rows in enumerate(spans):
            for columns in spans[k:]:
                if self.trans or self.chrom[rows.stop - 1] >= self.chrom[columns.start]:
                    yield rows, columns


def create_heatmaps(
    path: Location,
    *,
    token: str,
    chromosomes: Sequence[str],
    levels: Sequence[Level],
    lengths: NDArray[np.int64] | None = None,
    observed: Literal["int32", "float32"] = "int32",
) -> None:
    """Make an incomplete store with room for all cells; `lengths` are those of chromosomes, bp."""
    with zarr_store.creating(path, HEATMAPS) as group:
        group.attrs["uuid"] = token
        zarr_store.write_array(group, HEATMAPS, "chromosome", chromosomes)
        if lengths is not None:
            zarr_store.write_array(group, HEATMAPS, _LENGTH, lengths)
        for level in levels:
            _create_level(group, level, observed)


def _create_level(group: zarr.Group, level: Level, observed: Literal["int32", "float32"]) -> None:
    own = {"binsize": level.binsize, "trans": level.trans, "storage_mode": "symmetric-upper"}
    group.create_group(level.name, attributes=own)
    for attribute, name in _BINS.items():
        values = getattr(level, attribute)
        zarr_store.write_array(group, HEATMAPS, f"{level.name}/{name}", values)
    for layer in LAYERS:
        variable = HEATMAPS[f"{level.name}/{layer}"]
        dtype = observed if layer == "observed" else variable.dtype
        group.create_array(
            f"{level.name}/{layer}",
            shape=(len(level), len(level)),
            dtype=dtype,
            chunks=(CHUNK, CHUNK),
            shards=(SHARD, SHARD),
            compressors=zarr_store.CODEC,
            fill_value=_NOT_STORED if dtype == "int32" else np.nan,
            dimension_names=variable.dims,
            attributes={"units": variable.units, "description": variable.description},
        )


def write_cells(
    path: Location, level: Level, rows: slice, columns: slice, **layers: NDArray[Any]
) -> None:
    """Write the cells of whole shards; those that are not stored may hold anything.

    Raises
    ------
    ParameterError
        If observed reads do not fit in 32 bits.
    """
    group = zarr_store.open_group(path, "r+")
    for layer in LAYERS:
        array = zarr_store.array_of(group, f"{level.name}/{layer}")
        row, column = (np.arange(s.start, s.stop) // array.chunks[0] for s in (rows, columns))
        stored = row[:, None] <= column
        if not level.trans:
            stored &= level.chrom[rows, None] == level.chrom[columns]
        cells = np.where(stored, layers[layer], array.fill_value)
        if array.dtype.kind == "i" and cells.max(initial=0) > _MOST_READS:
            raise ParameterError(
                f"{cells.max():,} reads in one cell of {level.binsize:,} bp do not fit in 32 bits; "
                "use smaller bins"
            )
        with explained(path, "written"):
            array[rows, columns] = cells.astype(array.dtype)


def finish_heatmaps(
    path: Location, *, token: str, history: History, attributes: Mapping[str, Any]
) -> None:
    """Declare a store complete."""
    with zarr_store.changing(path) as group:
        zarr_store.complete(group, token=token, history=history, **attributes)


@dataclass(frozen=True)
class StoredMaps:
    """An open store.

    Parameters
    ----------
    file
        Absolute path.
    token
        Digest of what it was made from.
    chromosomes
        Names.
    lengths
        int64 (chromosomes): bp; None if not known.
    levels
        By ascending bin size.
    attributes
        Of the root.
    records
        What led here.
    """

    file: str
    token: str
    chromosomes: tuple[str, ...]
    lengths: NDArray[np.int64] | None
    levels: tuple[Level, ...]
    attributes: Mapping[str, Any]
    records: History

    @property
    def history(self) -> str:
        """What led here, one call a line."""
        return self.records.text

    @classmethod
    def open(cls, path: Location) -> StoredMaps:
        """Open a store; its size does not matter but for its number of bins.

        Raises
        ------
        StoreError
            If it is missing, incomplete, damaged, or something else.
        """
        where = absolute(path)
        group = zarr_store.open_verified(where, HEATMAPS, apart=LAYERS)
        levels = []
        sizes: Any = group.attrs["resolutions"]
        for binsize in sizes:
            name = f"r{binsize}"
            lacks = [each for each in (*_BINS.values(), *LAYERS) if f"{name}/{each}" not in group]
            if lacks:
                raise StoreError(f"{where}: lacks the variable {name}/{lacks[0]}; make it again")
            bins = {
                attribute: np.asarray(zarr_store.array_of(group, f"{name}/{each}")[...])
                for attribute, each in _BINS.items()
            }
            trans = bool(group[name].attrs["trans"])
            levels.append(Level(int(binsize), trans, **bins))
        names = np.asarray(zarr_store.array_of(group, "chromosome")[...])
        return cls(
            where,
            str(group.attrs["uuid"]),
            tuple(map(str, names)),
            np.asarray(zarr_store.array_of(group, _LENGTH)[...]) if _LENGTH in group else None,
            tuple(levels),
            dict(group.attrs),
            zarr_store.history_of(group),
        )

    def reader(self, level: Level) -> StoredLevel:
        """What reads cells of a level."""
        return StoredLevel(self.file, self.token, level.name, level.trans, len(level))


@dataclass(frozen=True)
class StoredLevel:
    """Reads cells of one resolution of a store, which may be unfinished. Small and picklable."""

    path: str
    token: str
    name: str
    trans: bool
    bins: int

    @cached_property
    def dtypes(self) -> dict[Layer, np.dtype[Any]]:
        """Dtypes of the layers."""
        return {layer: self._array(layer).dtype for layer in ("observed", "expected")}

    def read(self, layer: Layer, rows: slice, columns: slice) -> NDArray[Any]:
        """Cells of some rows and columns, above and below the diagonal.

        Cells of two chromosomes of a level without them are -1 if they are integers, else NaN.

        Raises
        ------
        StoreError
            If cells that ought to be stored are missing or cannot be read.
        """
        try:
            with explained(self.path, passing=(RuntimeError, ValueError, KeyError)):
                cells, missing = self._read(layer, rows, columns)
        except (OSError, RuntimeError, ValueError, KeyError) as error:  # of storage and codecs
            if isinstance(error, StoreError):
                raise
            raise self._damaged(layer, rows, columns, f"cannot be read ({error})") from error
        if missing.any() and not self.trans:
            chrom = _chromosomes(self.path, self.token, self.name)
            missing &= chrom[rows, None] == chrom[columns]
        if missing.any():
            raise self._damaged(layer, rows, columns, "are missing")
        return cells

    def _array(self, layer: Layer) -> zarr.Array[Any]:
        return zarr_store.stored_arrays(self.path, self.token, (f"{self.name}/{layer}",))[0]

    def _read(
        self, layer: Layer, rows: slice, columns: slice
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        array = self._array(layer)
        chunk = array.chunks[0]
        cells = np.empty((rows.stop - rows.start, columns.stop - columns.start), array.dtype)
        for lo, hi in _bands(rows, chunk, columns.start):  # on and above the diagonal
            first = max(columns.start, lo // chunk * chunk)
            if first < columns.stop:
                own = np.s_[lo - rows.start : hi - rows.start, first - columns.start :]
                cells[own] = array[lo:hi, first : columns.stop]
        for lo, hi in _bands(columns, chunk, rows.start - chunk):
            first = max(rows.start, (lo // chunk + 1) * chunk)
            if first < rows.stop:
                here = np.s_[lo - columns.start : hi - columns.start]
                below = np.s_[first - rows.start :]
                if rows == columns:  # they are here already
                    above = cells[here, below]
                else:
                    above = np.asarray(array[lo:hi, first : rows.stop])
                cells[below, here] = above.T
        whole = array.dtype.kind == "i"
        return cells, cells == _NOT_STORED if whole else np.isnan(cells)

    def _damaged(self, layer: str, rows: slice, columns: slice, what: str) -> StoreError:
        return StoreError(
            f"{self.path}: cells of {self.name}/{layer}, bins {rows.start:,} to {rows.stop:,} by "
            f"{columns.start:,} to {columns.stop:,}, {what}; the store is damaged, make it again"
        )


def _bands(span: slice, size: int, across: int) -> Iterator[tuple[int, int]]:
    """Cut a span at multiples of a size; what lies up to that of `across` stays together."""
    lo = span.start
    while lo < span.stop:
        hi = min(span.stop, (max(lo, across) // size + 1) * size)
        yield lo, hi
        lo = hi


@lru_cache(maxsize=16)
def _chromosomes(path: str, token: str, name: str) -> NDArray[np.int32]:
    """Chromosome of every bin of a level."""
    (array,) = zarr_store.stored_arrays(path, token, (f"{name}/bin_chromosome",))
    return np.asarray(array[...])
