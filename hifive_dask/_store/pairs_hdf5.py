"""The pair store as a HiFive data file (.hcd): exchange, all in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import StoreError
from hifive_dask.provenance import History, content_token

__all__ = ["HcdContent", "read_hcd", "unit_index", "write_hcd"]


@dataclass(frozen=True)
class HcdContent:
    """What a ``.hcd`` file holds.

    Parameters
    ----------
    cis, trans
        int32 (rows, 3): unit, unit, reads; sorted by the two units.
    stats
        Read statistics by name.
    insert_distribution
        int64 (rows, 2): count, lower edge in bp; no rows if the file has none.
    attributes
        Root attributes of the file.
    """

    cis: NDArray[np.int32]
    trans: NDArray[np.int32]
    stats: Mapping[str, int]
    insert_distribution: NDArray[np.int64]
    attributes: Mapping[str, Any]

    @property
    def history(self) -> History:
        """The history text."""
        return History.from_text(str(self.attributes.get("history", "")))

    @property
    def token(self) -> str:
        """Digest of pairs and statistics."""
        return content_token(
            self.cis, self.trans, np.array([self.stats[k] for k in sorted(self.stats)])
        )


def read_hcd(path: str | os.PathLike[str]) -> HcdContent:
    """Read a ``.hcd`` file, of HiFive or of this package.

    Raises
    ------
    StoreError
        If it is missing, not HDF5, or not a data file.
    """
    where = Path(path)
    if not where.exists():
        raise StoreError(f"{where}: no such file")
    try:
        with h5py.File(where, "r") as file:
            attributes = {name: _plain(value) for name, value in file.attrs.items()}
            if "fendfilename" not in attributes:
                raise StoreError(
                    f"{where}: has no attribute 'fendfilename': not a HiFive data file (.hcd)"
                )
            arrays = {name: file[name][...] for name in file}
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{where}: cannot be read as HDF5: {error}") from error
    none = np.zeros((0, 3), dtype=np.int32)
    stats = arrays.get("stats")
    return HcdContent(
        cis=arrays.get("cis_data", none).astype(np.int32, copy=False),
        trans=arrays.get("trans_data", none).astype(np.int32, copy=False),
        stats={} if stats is None else {n.decode(): int(c) for n, c in stats.tolist()},
        insert_distribution=arrays.get("insert_distribution", np.zeros((0, 2))).astype(np.int64),
        attributes=attributes,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value


def unit_index(first: NDArray[np.int32], units: int) -> NDArray[np.int64]:
    """int64 (units + 1): rows of unit u are ``index[u]`` to ``index[u + 1]``; rows are sorted."""
    index = np.zeros(units + 1, dtype=np.int64)
    np.cumsum(np.bincount(first, minlength=units), out=index[1:])
    return index


def partner_distribution(rows: NDArray[np.int32], units: int) -> NDArray[np.int64]:
    """Number of units by their number of rows; a diagonal row counts twice for its unit."""
    degree: NDArray[np.int64] = np.bincount(rows[:, 0], minlength=units) + np.bincount(
        rows[:, 1], minlength=units
    )
    counts: NDArray[np.int64] = np.bincount(degree).astype(np.int64)
    return counts


def write_hcd(path: Path, content: HcdContent, units: int) -> None:
    """Write a ``.hcd`` file in HiFive's layout."""
    with h5py.File(path, "w") as file:
        for name, rows in (("cis", content.cis), ("trans", content.trans)):
            if len(rows):
                file[f"{name}_data"] = rows
                file[f"{name}_indices"] = unit_index(rows[:, 0], units)
                file[f"{name}_interaction_distribution"] = partner_distribution(rows, units)
        if len(content.insert_distribution):
            file["insert_distribution"] = _narrow(content.insert_distribution)
        names = sorted(content.stats)
        counts = _narrow(np.array([content.stats[name] for name in names], dtype=np.int64))
        table = np.empty(len(names), dtype=[("name", "S17"), ("count", counts.dtype)])
        table["name"], table["count"] = names, counts
        file["stats"] = table
        for name, value in content.attributes.items():
            file.attrs[name] = value


def _narrow(values: NDArray[np.int64]) -> NDArray[Any]:
    """int32 as HiFive has it, unless a count does not fit."""
    fits = values.size == 0 or values.max() <= np.iinfo(np.int32).max
    return values.astype(np.int32) if fits else values
