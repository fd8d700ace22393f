"""The project store: what was learned, in Zarr or as a HiFive project file (.hcp)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hifive_dask._store import zarr_store
from hifive_dask._store.hdf5 import plain, read_hdf5, text_array
from hifive_dask._store.kinds import replacing_store
from hifive_dask._store.places import Location, Place, is_remote, local, place
from hifive_dask.errors import LinkError, StoreError
from hifive_dask.provenance import History, content_token
from hifive_dask.schema import PROJECT

__all__ = ["ProjectContent", "check_sizes", "read_project", "write_project"]

Arrays = dict[str, NDArray[Any]]

_HDF5_NAMES = {
    "filter/valid": "filter",
    "distance/parameters": "distance_parameters",
    "distance/binary_parameters": "bin_distance_parameters",
    "distance/chromosome_means": "chromosome_means",
    "distance/trans_means": "trans_means",
    "binning/model_parameters": "model_parameters",
    "binning/num_bins": "binning_num_bins",
    "binning/fend_indices": "binning_fend_indices",
    "binning/corrections": "binning_corrections",
    "binning/correction_indices": "binning_correction_indices",
}
# Of `corrections/<normalization>`.
_HDF5_CORRECTIONS = {
    "values": "corrections",
    "observed_reads": "observed_reads",
    "expected_reads": "expected_reads",
    "scales": "chromosome_scales",
}
_FILTER_OPTIONS = ("mininteractions", "mindistance", "maxdistance")
_ATTRIBUTES = {
    *("filetype", "history", "normalization", "datafilename", "fendfilename", "binned"),
    "calibrated",
    *_FILTER_OPTIONS,
}


@dataclass
class ProjectContent:
    """A project as it is stored.

    Parameters
    ----------
    arrays
        By their names in the schema; ``corrections/<normalization>/values`` for the corrections.
    normalization
        What the corrections are: ``none``, ``express``, ...
    pairs, fends
        Links: relative path.
    pairs_token, fends_token
        Tokens of the linked stores; empty for HiFive files, which have none.
    options
        The last ``mininteractions``, ``mindistance`` and ``maxdistance`` of the filter.
    calibrated
        Whether means of pairs of chromosomes are reads over what is expected of all their pairs.
    binned
        Bin size, or None; only written to HDF5.
    hifive
        Attributes of a HiFive file that have no use here; they are kept and written back.
    """

    arrays: Arrays
    normalization: str
    pairs: str
    fends: str
    pairs_token: str = ""
    fends_token: str = ""
    options: dict[str, int] = field(default_factory=dict)
    calibrated: bool = False
    history: History = field(default_factory=History)
    binned: int | None = None
    hifive: dict[str, Any] = field(default_factory=dict)


def write_project(path: Location, content: ProjectContent) -> None:
    """Write a project in the format that the suffix says, in place of what was there."""
    hdf5 = zarr_store.is_hdf5(path)
    with replacing_store(path, PROJECT.type) as beside:
        if hdf5:
            _write_hdf5(local(beside), content)
        else:
            _write_zarr(beside, content)


def read_project(path: Location) -> ProjectContent:
    """Read a project.

    Raises
    ------
    StoreError
        If it is missing, incomplete, or of another kind.
    """
    if not is_remote(path) and not place(path).exists():
        raise StoreError(f"{path}: no such project; HiC(filename, 'w') makes a new one")
    return _read_hdf5(local(path)) if zarr_store.is_hdf5(path) else _read_zarr(path)


def check_sizes(path: Location, content: ProjectContent, *, units: int, chromosomes: int) -> None:
    """Raise `LinkError` if arrays are not of the units, or chromosomes, of the linked partition."""
    expected = {
        "filter/valid": (units,),
        f"corrections/{content.normalization}/values": (units,),
        "distance/chromosome_means": (chromosomes,),
        "distance/trans_means": (chromosomes * (chromosomes - 1) // 2,),
        **{
            f"corrections/{content.normalization}/{name}": (chromosomes,)
            for name in ("observed_reads", "expected_reads", "scales")
        },
        "binning/fend_indices": (units, len(content.arrays.get("binning/num_bins", ())), 2),
    }
    for name, shape in expected.items():
        values = content.arrays.get(name)
        if values is not None and values.shape != shape:
            raise LinkError(
                f"{path}: the array {name!r} has the shape {values.shape}, expected "
                f"{shape} as {content.pairs} and its partition have {units:,} fends or bins on "
                f"{chromosomes:,} chromosomes; restore the files that belong together, or make the "
                "project anew"
            )


def _write_zarr(path: Place, content: ProjectContent) -> None:
    parts: list[Any] = []
    for name in sorted(content.arrays):
        values = content.arrays[name]
        parts += [name, "\0".join(values.tolist()) if values.dtype.kind in "UT" else values]
    if content.calibrated:
        parts.append("calibrated")
    with zarr_store.creating(path, PROJECT) as group:
        for name in sorted(content.arrays):
            zarr_store.write_array(group, PROJECT, name, content.arrays[name])
        zarr_store.complete(
            group,
            token=content_token(content.normalization, *parts),
            history=content.history,
            normalization=content.normalization,
            pairs=content.pairs,
            pairs_token=content.pairs_token,
            fends=content.fends,
            fends_token=content.fends_token,
            hifive=content.hifive,
            **({"calibrated": True} if content.calibrated else {}),
            **content.options,
        )


def _read_zarr(path: Location) -> ProjectContent:
    group = zarr_store.open_verified(path, PROJECT)
    attributes: Mapping[str, Any] = dict(group.attrs)
    names = [name for name, member in group.members(max_depth=None) if hasattr(member, "shape")]
    arrays = {name: np.asarray(zarr_store.array_of(group, name)[...]) for name in names}
    texts = {
        name: text_array(values) for name, values in arrays.items() if values.dtype.kind == "T"
    }
    return ProjectContent(
        arrays=arrays | texts,
        normalization=attributes["normalization"],
        pairs=attributes["pairs"],
        fends=attributes["fends"],
        pairs_token=attributes["pairs_token"],
        fends_token=attributes["fends_token"],
        options={k: int(attributes[k]) for k in _FILTER_OPTIONS if k in attributes},
        calibrated=bool(attributes.get("calibrated", False)),
        history=zarr_store.history_of(group),
        hifive=dict(attributes.get("hifive", {})),
    )


def _hdf5_names(normalization: str) -> dict[str, str]:
    """Names of arrays in HDF5, by those of the schema."""
    own = {f"corrections/{normalization}/{name}": it for name, it in _HDF5_CORRECTIONS.items()}
    return _HDF5_NAMES | own


def _write_hdf5(path: Path, content: ProjectContent) -> None:
    with h5py.File(path, "w") as file:
        theirs = _hdf5_names(content.normalization)
        for name, values in content.arrays.items():
            if name in theirs or name.startswith("hifive/"):
                text, dtype = values.dtype.kind in "UT", PROJECT[name].dtype or values.dtype
                values = values.astype(object if text else dtype)
                file.create_dataset(
                    theirs.get(name, name.removeprefix("hifive/")),
                    data=values,
                    dtype=h5py.string_dtype() if text else None,
                )
        file.attrs["filetype"] = "hic_project"
        file.attrs["history"] = content.history.text
        file.attrs["normalization"] = content.normalization
        file.attrs["datafilename"] = content.pairs
        file.attrs["fendfilename"] = content.fends
        for name, value in content.options.items():
            file.attrs[name] = np.int64(value)
        if content.calibrated:
            file.attrs["calibrated"] = np.int64(1)
        if content.binned is not None:
            file.attrs["binned"] = np.int64(content.binned)
        for name, value in content.hifive.items():
            file.attrs[name] = value


def _read_hdf5(path: Path) -> ProjectContent:
    attributes, stored = read_hdf5(path)
    kind = attributes.get("filetype", "hic_project")  # the oldest files do not say
    if kind != "hic_project" or "datafilename" not in attributes or "filter" not in stored:
        held = f"holds {kind!r}" if kind != "hic_project" else "has no data, or no filter"
        raise StoreError(f"{path}: {held}, expected a project with data ('hic_project')")
    normalization = str(attributes.get("normalization", "none"))
    names = {theirs: name for name, theirs in _hdf5_names(normalization).items()}
    arrays: Arrays = {}
    for theirs, values in stored.items():
        name = names.get(theirs, f"hifive/{theirs}")
        dtype = PROJECT[name].dtype
        text = values.dtype.kind in "SO"
        arrays[name] = (
            text_array(values) if text else values.astype(np.dtype(dtype or values.dtype))
        )
    return ProjectContent(
        arrays=arrays,
        normalization=normalization,
        pairs=str(attributes["datafilename"]),
        fends=str(attributes.get("fendfilename", "")),
        options={k: int(attributes[k]) for k in _FILTER_OPTIONS if k in attributes},
        calibrated=bool(attributes.get("calibrated", False)),
        history=History.from_text(str(attributes.get("history", ""))),
        binned=int(attributes["binned"]) if "binned" in attributes else None,
        hifive={name: plain(v) for name, v in attributes.items() if name not in _ATTRIBUTES},
    )
