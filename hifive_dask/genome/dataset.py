"""A `Partition` as an `xarray.Dataset` with the names of the stored variables, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from hifive_dask.genome.partition import Partition, Units

__all__ = ["from_dataset", "to_dataset"]

_PARTS = (("fend", "chromosome_offset"), ("bin", "chromosome_bin_offset"))
_COORDINATES = ("start", "stop", "mid")
_WINDOW = "_window"
_LENGTH = "chromosome_length"


def to_dataset(partition: Partition) -> xr.Dataset:
    """Return the arrays of a partition, named and dimensioned as in `schema.FENDS`."""
    data: dict[str, Any] = {"chromosome": ("chromosome", np.array(partition.chromosomes, str))}
    if partition.lengths is not None:
        data[_LENGTH] = ("chromosome", partition.lengths)
    for (part, offset), units in zip(_PARTS, (partition.fends, partition.bins), strict=True):
        if units is None:
            continue
        data[offset] = ("chromosome_edge", units.offset)
        for name in _COORDINATES:
            data[f"{part}_{name}"] = (part, getattr(units, name))
        for name, values in units.features.items():
            data[f"{part}_{name}"] = (part, values)
        if units.num_fends is not None:
            data[f"{part}_num_fends"] = (part, units.num_fends)
    attributes: dict[str, Any] = {
        "genome_name": partition.genome_name,
        "re_name": partition.re_name,
    }
    attributes |= {name + _WINDOW: size for name, size in partition.windows.items()}
    if partition.binned is not None:
        attributes["binned"] = partition.binned
    return xr.Dataset(data, attrs=attributes)


def from_dataset(dataset: xr.Dataset) -> Partition:
    """Return the partition whose arrays a dataset holds."""
    names = tuple(str(name) for name in dataset["chromosome"].values)
    parts: dict[str, Units | None] = {}
    for part, offset in _PARTS:
        if offset not in dataset:
            parts[part] = None
            continue
        values = {
            str(name).removeprefix(f"{part}_"): variable.values
            for name, variable in dataset.data_vars.items()
            if variable.dims == (part,)
        }
        start, stop, mid = (values.pop(name) for name in _COORDINATES)
        parts[part] = Units(
            names,
            dataset[offset].values,
            start,
            stop,
            mid,
            fends=part == "fend",
            num_fends=values.pop("num_fends", None),
            features=values,
        )
    binned = dataset.attrs.get("binned")
    return Partition(
        parts["fend"],
        parts["bin"],
        None if binned is None else int(binned),
        str(dataset.attrs.get("genome_name", "")),
        str(dataset.attrs.get("re_name", "")),
        {
            str(name).removesuffix(_WINDOW): int(size)
            for name, size in dataset.attrs.items()
            if str(name).endswith(_WINDOW)
        },
        dataset[_LENGTH].values if _LENGTH in dataset else None,
    )
