"""Contact matrices of the package ``cooler`` as a store of heatmaps."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hifive_dask._store.heatmaps import CHUNK, SHARD, Level
from hifive_dask._store.links import relative_link
from hifive_dask._store.places import Location, Place
from hifive_dask.errors import InputError, ParameterError
from hifive_dask.genome.cool import bin_columns, list_coolers, open_cooler
from hifive_dask.heatmap.store import (
    MOST_BYTES,
    Cells,
    Maps,
    check_maps,
    check_sizes,
    has_trans,
    write_maps,
)
from hifive_dask.provenance import History, content_token
from hifive_dask.public import answering
from hifive_dask.regions import bp_or_none, whole_bp
from hifive_dask.schema import HEATMAPS

__all__ = ["import_heatmaps"]

PathLike = str | os.PathLike[str]
Pixels = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

_DIVISIVE = ("KR", "VC", "VC_SQRT")  # as cooler itself takes them


@answering
def import_heatmaps(
    address: PathLike,
    path: Location,
    *,
    binsizes: Sequence[int | str] | None = None,
    weight: str | None = "weight",
    divisive: bool | None = None,
    includetrans: bool = True,
    trans_minbinsize: int | str | None = None,
    most_bytes: int = MOST_BYTES,
    silent: bool = False,
) -> None:
    """Make a store of heatmaps of a cooler, or of all resolutions of a ``.mcool`` file.

    Observed are its pixels. Expected is ``1 / (w1 w2)`` by the weights of both bins, so that
    enrichment is what `cooler` calls balanced; 0 where a bin has no weight, and 1 in all cells if
    the file has no weights. It needs the package `cooler`. A call that was interrupted goes on
    where it was when it is made again.

    Parameters
    ----------
    address
        ``FILE`` or ``FILE::GROUP``.
    path
        The store to make or replace; ``.zarr``. Open it with `open_heatmaps`.
    binsizes
        bp: which resolutions; by default all.
    weight
        Column of the weights; None to use none.
    divisive
        Whether balanced is ``count / (w1 w2)``; by default what the file says, or the name: KR, VC
        and VC_SQRT are.
    includetrans, trans_minbinsize
        Whether cells of two chromosomes are stored, and from which bin size on, in bp.
    most_bytes
        Largest size of all cells before compression, 8 bytes each.
    silent
        No progress bar.

    Raises
    ------
    InputError
        If it is no cooler, has no such resolutions or weights, bins of different sizes, or pixels
        that are not whole numbers.
    ParameterError
        For too many cells.
    StateError
        If `cooler` is not installed.
    StoreError
        If the store cannot be written, or something else is there.
    """
    sizes = None if binsizes is None else [whole_bp(size, "binsizes") for size in binsizes]
    found = _resolutions(os.fspath(address), sizes)
    least = bp_or_none(trans_minbinsize, "trans_minbinsize")
    weights = {size: _weights(uri, weight, divisive) for size, uri in found.items()}
    names, _ = _genome(next(iter(found.values())))
    levels = []
    for size, uri in found.items():
        own, (chrom, start, stop) = _genome(uri)
        if own != names:
            raise InputError("has other chromosomes than the first resolution", path=uri)
        trans = has_trans(size, includetrans, least)
        levels.append(Level(size, trans, chrom.astype(np.int32), start, stop))
    plain = {each is None for each in weights.values()}
    if len(plain) > 1:
        lacking = next(found[size] for size, each in weights.items() if each is None)
        raise InputError(
            f"has no weights {weight!r}, which other resolutions have",
            path=lacking,
            cure="choose resolutions that have them by binsizes, or give weight=None",
        )
    # Before the file is read to its end.
    check_maps(path, {level.binsize: level.cells for level in levels}, most_bytes)
    file, mark, group = os.fspath(address).partition("::")
    with open(file, "rb") as handle:
        digest = hashlib.file_digest(handle, "blake2b").hexdigest()
    kept = [
        (level.name, level.trans, uri.partition("::")[2])
        for level, uri in zip(levels, found.values(), strict=True)
    ]
    token = content_token(
        repr([HEATMAPS.version, CHUNK, SHARD, kept]),
        digest,
        *("" if each is None else each for each in weights.values()),
    )

    def cells(level: Level, store: Place) -> Cells:
        return _PixelCells(found[level.binsize], digest, weights[level.binsize])

    history = History()
    parameters = {
        "address": Path(file).name + mark + group,
        "binsizes": list(found),
        "weight": weight,
        "includetrans": includetrans,
    }
    history.add("import_heatmaps", parameters)
    write_maps(
        path,
        Maps(token, names, levels, cells),
        history=history,
        attributes={
            "datatype": "counts" if plain == {True} else "balanced",
            "maxdistance": 0,
            "genome_name": _assembly(next(iter(found.values()))),
            "source": relative_link(file, path),
            "pairs_token": "",
        },
        silent=silent,
    )


def _assembly(uri: str) -> str:
    name = str(open_cooler(uri).info.get("genome-assembly") or "")
    return "" if name == "unknown" else name


def _resolutions(address: str, binsizes: Sequence[int] | None) -> dict[int, str]:
    """Addresses of coolers by ascending bin size."""
    found: dict[int, str] = {}
    for uri in list_coolers(address):
        cooler = open_cooler(uri)
        if cooler.storage_mode != "symmetric-upper":
            raise InputError(
                f"stores its pixels as {cooler.storage_mode!r}, expected 'symmetric-upper'",
                path=uri,
            )
        size = int(cooler.binsize or 0)
        if not size or size in found:
            problem = f"a second cooler of {size:,} bp" if size else "has bins of different sizes"
            raise InputError(problem, path=uri, cure="name one cooler of one bin size: FILE::GROUP")
        found[size] = uri
    wanted = sorted(found) if binsizes is None else check_sizes(binsizes)
    missing = [size for size in wanted if size not in found]
    if missing:
        raise ParameterError(
            f"{address}: has no bins of {missing[0]} bp; it has "
            + ", ".join(map(str, sorted(found)))
        )
    return {size: found[size] for size in wanted}


def _genome(uri: str) -> tuple[list[str], tuple[Any, Any, Any]]:
    """Chromosomes that have bins, and chromosome, start and stop of all bins."""
    cooler = open_cooler(uri)
    names = [str(name) for name in cooler.chromnames]
    chrom, start, stop = bin_columns(cooler, names)
    held, place = np.unique(chrom, return_inverse=True)
    return [names[k] for k in held], (place, start, stop)


def _weights(uri: str, name: str | None, divisive: bool | None) -> NDArray[np.float64] | None:
    """float64 (bins): what expected is a product of, NaN for bins without; None without weights."""
    if name is None:
        return None
    cooler = open_cooler(uri)
    columns = list(cooler.bins().columns)
    if name not in columns:
        if name == "weight":
            return None
        raise InputError(f"has no weights {name!r}; its bins have {', '.join(columns)}", path=uri)
    if divisive is None:
        with cooler.open("r") as group:
            said = group["bins"][name].attrs.get("divisive_weights")
        divisive = name in _DIVISIVE if said is None else bool(said)
    values = np.asarray(cooler.bins()[name][:], dtype=np.float64)
    with np.errstate(divide="ignore"):
        return values if divisive else 1 / values


@dataclass(frozen=True)
class _PixelCells:
    """Cells of a cooler.

    Parameters
    ----------
    uri
        Its address.
    digest
        Of the file.
    weights
        float64 (bins), or None for 1.
    """

    uri: str
    digest: str
    weights: NDArray[np.float64] | None

    def __call__(self, rows: slice, columns: slice) -> dict[str, NDArray[Any]]:
        shape = rows.stop - rows.start, columns.stop - columns.start
        observed = np.zeros(shape, dtype=np.int64)
        row, column, count = _pixels(self.uri, self.digest, rows.start, rows.stop)
        here = (column >= columns.start) & (column < columns.stop)
        row, column = row[here] - rows.start, column[here] - columns.start
        observed[row, column] = count[here]
        if rows == columns:
            observed[column, row] = count[here]
        if self.weights is None:
            return {"observed": observed, "expected": np.ones(shape, dtype=np.float32)}
        expected = np.outer(self.weights[rows], self.weights[columns])
        expected[~np.isfinite(expected)] = 0
        return {"observed": observed, "expected": expected.astype(np.float32)}


@lru_cache(maxsize=2)  # shards of one row are made one after the other
def _pixels(uri: str, digest: str, lo: int, hi: int) -> Pixels:
    """Bins and counts of the pixels of some rows."""
    with open_cooler(uri).open("r") as group:
        first, last = (int(group["indexes/bin1_offset"][k]) for k in (lo, hi))
        row, column, count = (
            group["pixels"][name][first:last] for name in ("bin1_id", "bin2_id", "count")
        )
    if (count != np.floor(count)).any() or count.min(initial=0) < 0:
        raise InputError(
            "has pixels that are not whole numbers, expected reads",
            path=uri,
            cure="import observed counts; balanced values come from the weights",
        )
    return row.astype(np.int64), column.astype(np.int64), count.astype(np.int64)
