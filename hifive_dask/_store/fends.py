"""The partition store: Zarr, or HDF5 in HiFive's layout (.fends)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hifive_dask._store.hdf5 import read_hdf5, text_array
from hifive_dask._store.kinds import replacing_store
from hifive_dask._store.places import Location, Place, local
from hifive_dask._store.zarr_store import (
    complete,
    creating,
    history_of,
    is_hdf5,
    open_verified,
    write_array,
)
from hifive_dask.errors import StoreError
from hifive_dask.provenance import History, content_token
from hifive_dask.schema import FENDS

__all__ = ["compound", "partition_token", "read_partition", "write_partition"]

_OFFSETS = {"fend": "chromosome_offset", "bin": "chromosome_bin_offset"}
_TABLES = {"fend": ("fends", "chr_indices"), "bin": ("bins", "bin_indices")}
_COORDINATES = ("start", "stop", "mid")
_ATTRIBUTES = ("genome_name", "re_name", "binned")
_LENGTH = "chromosome_length"
_WINDOW = "_window"  # end of the attribute that belongs to a feature


def partition_token(dataset: xr.Dataset) -> str:
    """Digest of the chromosome names and of the offsets and borders of fends and bins."""
    parts: list[Any] = ["\0".join(dataset["chromosome"].values.tolist())]
    for part, offset in _OFFSETS.items():
        if offset in dataset:
            parts += [part, dataset[offset].values.astype(np.int64)]
            parts += [dataset[f"{part}_{name}"].values for name in ("start", "stop")]
    return content_token(*parts)


def write_partition(path: Location, dataset: xr.Dataset, history: History) -> None:
    """Write a partition; the suffix decides between Zarr and HDF5.

    Parameters
    ----------
    path
        The store to make or replace.
    dataset
        Variables of `schema.FENDS`, attributes ``genome_name``, ``re_name``, ``binned``, and
        ``<feature>_window``.
    history
        What made it.

    Raises
    ------
    StoreError
        If it cannot be written; a store that was there before is then untouched.
    """
    hdf5 = is_hdf5(path)
    with replacing_store(path, FENDS.type) as beside:
        if hdf5:
            _write_hdf5(local(beside), dataset, history)
        else:
            _write_zarr(beside, dataset, history)


def read_partition(path: Location) -> tuple[xr.Dataset, History, str]:
    """Read a partition into memory.

    Returns
    -------
    The dataset as `write_partition` takes it, the history, and the token of the content.

    Raises
    ------
    StoreError
        If it is missing, not a partition, incomplete, or inconsistent.
    """
    dataset, history, expected = _read_hdf5(local(path)) if is_hdf5(path) else _read_zarr(path)
    token = partition_token(dataset)
    if expected is not None and token != expected:
        raise StoreError(
            f"{path}: is damaged: its arrays have token {token}, expected {expected}; make it again"
        )
    return dataset, history, token


def compound(dataset: xr.Dataset, part: str) -> NDArray[Any] | None:
    """Fends (`part` ``"fend"``) or bins (``"bin"``) as the packed records of HiFive's files.

    Fields are chr, start, stop, mid (int32), features made with the partition (float32),
    num_fends (int32) in bins made from fends, and features added later (float64).
    """
    if _OFFSETS[part] not in dataset:
        return None
    offset = dataset[_OFFSETS[part]].values
    features = _features(dataset, part)
    made = [name for name in features if dataset[f"{part}_{name}"].dtype == np.float32]
    order = [*_COORDINATES, *made]
    order += ["num_fends"] if f"{part}_num_fends" in dataset else []
    order += [name for name in features if name not in made]
    types = [
        np.dtype(_dtype(f"{part}_{name}", dataset[f"{part}_{name}"])).newbyteorder("<")
        for name in order
    ]
    fields: list[tuple[str, Any]] = [("chr", "<i4"), *zip(order, types, strict=True)]
    records = np.empty(dataset.sizes[part], dtype=fields)
    records["chr"] = np.repeat(np.arange(len(offset) - 1), np.diff(offset))
    for name in order:
        records[name] = dataset[f"{part}_{name}"].values
    return records


def _dtype(name: str, values: Any) -> str:
    return FENDS[name].dtype_for(values.dtype.name)


def _windows(attributes: Mapping[str, Any], features: Iterable[str]) -> dict[str, int]:
    """The attributes that say over how many bases a feature is a mean."""
    names = (f"{name}{_WINDOW}" for name in features)
    return {name: int(attributes[name]) for name in names if name in attributes}


def _features(dataset: xr.Dataset, part: str) -> list[str]:
    """Names of the features, in order."""
    names = [str(v).removeprefix(f"{part}_") for v, a in dataset.items() if a.dims == (part,)]
    return [name for name in names if name not in (*_COORDINATES, "num_fends")]


def _write_zarr(path: Place, dataset: xr.Dataset, history: History) -> None:
    attributes = {name: dataset.attrs[name] for name in _ATTRIBUTES if name in dataset.attrs}
    for part, offset in _OFFSETS.items():
        if offset in dataset:
            features = _features(dataset, part)
            attributes |= {f"{part}_features": features, **_windows(dataset.attrs, features)}
    with creating(path, FENDS) as group:
        for name in dataset.variables:
            if "/" in str(name):
                raise StoreError(f"feature {str(name)!r} cannot be stored: its name holds '/'")
            write_array(group, FENDS, str(name), dataset[name].values)
        complete(group, token=partition_token(dataset), history=history, **attributes)


def _read_zarr(path: Location) -> tuple[xr.Dataset, History, str]:
    group: Any = open_verified(path, FENDS)
    names = [str(name) for name in group["chromosome"][...]]
    data: dict[str, Any] = {"chromosome": ("chromosome", np.array(names, dtype=str))}
    if _LENGTH in group:
        data |= _lengths(group[_LENGTH][...], len(names), str(path))
    attributes = {name: group.attrs[name] for name in _ATTRIBUTES if name in group.attrs}
    for part, offset in _OFFSETS.items():
        if offset not in group:
            continue
        features = group.attrs.get(f"{part}_features")
        if features is None:
            raise StoreError(f"{path}: lacks the attribute '{part}_features'; make it again")
        attributes |= _windows(group.attrs, features)
        wanted = [*_COORDINATES, *features]
        wanted += ["num_fends"] if f"{part}_num_fends" in group else []
        for name in (offset, *(f"{part}_{name}" for name in wanted)):
            if name not in group:
                raise StoreError(f"{path}: lacks the variable {name!r}; make it again")
            data[name] = (FENDS[name].dims, group[name][...])
    if not set(_OFFSETS.values()) & set(data):
        raise StoreError(f"{path}: holds neither fends nor bins; make it again")
    dataset = xr.Dataset(data, attrs=attributes)
    return dataset, history_of(group), str(group.attrs["uuid"])


def _write_hdf5(path: Path, dataset: xr.Dataset, history: History) -> None:
    with h5py.File(path, "w") as file:
        names = [name.encode() for name in dataset["chromosome"].values.tolist()]
        file["chromosomes"] = np.array(names, dtype=np.bytes_)
        if _LENGTH in dataset:
            file[_LENGTH] = dataset[_LENGTH].values.astype(np.int64)
        for part, (table, index) in _TABLES.items():
            records = compound(dataset, part)
            if records is not None:
                windows = _windows(dataset.attrs, records.dtype.names or ())
                file.attrs.update({name: np.int64(size) for name, size in windows.items()})
                file[table] = records
                file[index] = dataset[_OFFSETS[part]].values.astype(np.int32)
        file.attrs["filetype"] = "fend"
        file.attrs["history"] = history.text
        file.attrs["genome_name"] = str(dataset.attrs.get("genome_name", ""))
        if "fends" in file:
            file.attrs["re_name"] = str(dataset.attrs.get("re_name", ""))
        if "binned" in dataset.attrs:
            file.attrs["binned"] = np.int64(dataset.attrs["binned"])


def _read_hdf5(path: Path) -> tuple[xr.Dataset, History, None]:
    where = str(path)
    attributes, arrays = read_hdf5(path)
    kind = attributes.get("filetype", "fend")
    if kind != "fend":
        raise StoreError(f"{where}: holds {kind!r}, expected 'fend' (a partition)")
    if "chromosomes" not in arrays or not {"fends", "bins"} & set(arrays):
        raise StoreError(f"{where}: holds neither fends nor bins; make it again")
    if ("bins" in arrays) != ("binned" in attributes):
        raise StoreError(f"{where}: has only one of bins and bin size ('binned'); make it again")
    names = text_array(arrays["chromosomes"]).tolist()
    if len(set(names)) < len(names):
        raise StoreError(f"{where}: chromosome names are repeated; make it again")
    found: dict[str, Any] = {
        name: str(attributes.get(name, "")) for name in ("genome_name", "re_name")
    }
    if "binned" in attributes:
        found["binned"] = int(attributes["binned"])
    data: dict[str, Any] = {"chromosome": ("chromosome", np.array(names, dtype=str))}
    if _LENGTH in arrays:
        data |= _lengths(arrays[_LENGTH], len(names), where)
    for part, (table, index) in _TABLES.items():
        if table in arrays:
            found |= _windows(attributes, arrays[table].dtype.names or ())
            data |= _columns(arrays[table], part, len(names), f"{where}: {table}")
            offset = data[_OFFSETS[part]][1]
            given = arrays.get(index, offset)
            if not np.array_equal(given, offset) or (part == "fend" and (offset % 2).any()):
                raise StoreError(
                    f"{where}: {table}: chromosomes begin at the records {_few(offset)}, expected "
                    f"even numbers for fends, and those of {index}, {_few(given)}; records are "
                    "missing, make the partition again"
                )
    history = History.from_text(str(attributes.get("history", "")))
    return xr.Dataset(data, attrs=found), history, None


def _lengths(values: NDArray[Any], chromosomes: int, where: str) -> dict[str, Any]:
    """The variable of lengths, checked."""
    if values.shape != (chromosomes,) or (values < 0).any():
        raise StoreError(
            f"{where}: {_LENGTH} is {_few(values)}, expected a length in bp, or 0, for each of "
            f"{chromosomes} chromosomes; make the partition again"
        )
    return {_LENGTH: (FENDS[_LENGTH].dims, values.astype(np.int64))}


def _few(numbers: NDArray[Any]) -> str:
    return ", ".join(map(str, numbers[-5:].tolist())) + (" at the end" if len(numbers) > 5 else "")


def _columns(records: NDArray[Any], part: str, chromosomes: int, where: str) -> dict[str, Any]:
    """Variables of a compound table, checked; offsets are counted anew from its ``chr`` field."""
    missing = {"chr", *_COORDINATES} - set(records.dtype.names or ())
    if missing:
        raise StoreError(f"{where}: lacks the field(s) {', '.join(sorted(missing))}")
    chromosome, start, stop = (records[name].astype(np.int64) for name in ("chr", "start", "stop"))
    same = chromosome[1:] == chromosome[:-1]
    for wrong, what in (
        ((chromosome < 0) | (chromosome >= chromosomes), "belongs to no chromosome"),
        (np.append(False, chromosome[1:] < chromosome[:-1]), "is not in genome order"),
        ((start < 0) | (stop < start), "has a negative start, or a stop before its start"),
        (np.append(False, same & (start[1:] < stop[:-1])), "overlaps the one before it"),
        (records["mid"] != (start + stop) // 2, "has a mid that is not (start + stop) // 2"),
    ):
        if wrong.any():
            raise StoreError(
                f"{where}: record {int(wrong.argmax())} {what}; make the partition again from "
                "its cut sites, table or bins"
            )
    offset = np.searchsorted(chromosome, np.arange(chromosomes + 1)).astype(np.int64)
    data: dict[str, Any] = {_OFFSETS[part]: ("chromosome_edge", offset)}
    for name in records.dtype.names or ():
        if name != "chr":
            dtype = _dtype(f"{part}_{name}", records[name])
            data[f"{part}_{name}"] = (part, np.ascontiguousarray(records[name], dtype=dtype))
    return data
