"""Comparing HDF5 files by structure: names, shapes, types, values, attributes and their types."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import h5py
import numpy as np

__all__ = ["differences", "structure"]


def _type(kind: h5py.h5t.TypeID) -> Any:
    """An HDF5 type as text or tuple: what distinguishes it for any reader."""
    if isinstance(kind, h5py.h5t.TypeStringID):
        size = "variable" if kind.is_variable_str() else kind.get_size()
        return ("string", size, kind.get_cset(), kind.get_strpad())
    if isinstance(kind, h5py.h5t.TypeCompoundID):
        members = range(kind.get_nmembers())
        fields = [
            (kind.get_member_name(k), kind.get_member_offset(k), _type(kind.get_member_type(k)))
            for k in members
        ]
        return ("compound", kind.get_size(), fields)
    if isinstance(kind, h5py.h5t.TypeEnumID):
        members = range(kind.get_nmembers())
        values = [(kind.get_member_name(k), kind.get_member_value(k)) for k in members]
        return ("enum", _type(kind.get_super()), values)
    return (type(kind).__name__, kind.dtype.str)


def _value(value: Any) -> Any:
    array = np.asarray(value)
    return array.tolist() if array.dtype.kind in "OSU" or array.dtype.names else array


def structure(path: Path) -> dict[str, dict[str, Any]]:
    """Everything a file holds, by ``@attribute`` and ``dataset``."""
    found: dict[str, dict[str, Any]] = {}
    with h5py.File(path, "r") as file:
        for name in file.attrs:
            attribute = file.attrs.get_id(name)
            found["@" + name] = {
                "type": _type(attribute.get_type()),
                "shape": attribute.shape,
                "value": _value(file.attrs[name]),
            }
        for name, dataset in file.items():
            assert isinstance(dataset, h5py.Dataset), f"{name} is no dataset"
            assert not dataset.attrs
            found[name] = {
                "type": _type(dataset.id.get_type()),
                "shape": dataset.shape,
                "storage": (dataset.chunks, dataset.compression, dataset.maxshape),
                "value": _value(dataset[...]),
            }
    return found


def differences(one: Path, two: Path, *, ignore: Collection[str] = ()) -> list[str]:
    """What differs, as ``name: aspect``; `ignore` lists such texts, or names as a whole."""
    a, b = structure(one), structure(two)
    found = [f"{name}: only in one" for name in sorted(set(a) ^ set(b))]
    for name in sorted(set(a) & set(b)):
        for aspect in a[name]:
            x, y = a[name][aspect], b[name][aspect]
            same = np.array_equal(x, y) if isinstance(x, np.ndarray) else x == y
            if not same:
                found.append(f"{name}: {aspect}")
    return [text for text in found if text not in ignore and text.split(":")[0] not in ignore]
