"""Contact matrices of the package ``cooler`` as a store of heatmaps."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from hifive_dask._store.heatmaps import CHUNK, SHARD, Level
from hifive_dask._store.links import relative_link
from hifive_dask._store.places import Location, Place
from hifive_dask.errors import InputError, ParameterError
from hifive_dask.genome.cool import (
    assembly_of,
    bin_columns,
    bin_size,
    cooler_lengths,
    list_coolers,
    open_cooler,
    read_pixels,
    weight_columns,
)
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

_DIVISIVE = ("KR", "SCALE", "VC", "VC_SQRT")


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

    Observed are its pixels; one that is stored twice is added up. Expected is ``1 / (w1 w2)`` by
    the weights of both bins, so that enrichment is what `cooler` calls balanced; 0 where a bin has
    no weight, and 1 in all cells if the file has no weights. It needs the package `cooler`. A call
    that was interrupted goes on where it was when it is made again.

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
        Whether balanced is ``count / (w1 w2)``; by default what the attribute ``divisive_weights``
        of the column says, else its name: weights of Juicer (KR, SCALE, VC and VC_SQRT, also after
        ``GW_`` and ``INTER_``) divide, others multiply.
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
    least = bp_or_none(trans_minbinsize, "trans_minbinsize")
    found = _resolutions(os.fspath(address), sizes)
    genome, levels = _levels(found, includetrans, least)
    weights = _weights(found, weight, divisive)
    # Before the file is read to its end.
    check_maps(path, {level.binsize: level.cells for level in levels}, most_bytes)
    file, mark, group = os.fspath(address).partition("::")
    maps = _plan(file, found, genome, levels, weights)
    history = History()
    parameters = {
        "address": Path(file).name + mark + group,
        "binsizes": list(found),
        "weight": weight,
        "includetrans": includetrans,
    }
    history.add("import_heatmaps", parameters)
    attributes = {
        "datatype": "balanced" if weights else "counts",
        "maxdistance": 0,
        "genome_name": assembly_of(open_cooler(next(iter(found.values())))),
        "source": relative_link(file, path),
        "pairs_token": "",
    }
    write_maps(path, maps, history=history, attributes=attributes, silent=silent)


def _resolutions(address: str, binsizes: Sequence[int] | None) -> dict[int, str]:
    """Addresses of coolers by ascending bin size."""
    found: dict[int, list[str]] = {}
    for uri in list_coolers(address):
        found.setdefault(bin_size(open_cooler(uri)), []).append(uri)
    wanted = sorted(found) if binsizes is None else check_sizes(binsizes)
    missing = [size for size in wanted if size not in found]
    if missing:
        raise ParameterError(
            f"{address}: has no bins of {missing[0]} bp; it has "
            + ", ".join(str(size) for size in sorted(found) if size)
        )
    return {size: _only_one(size, found[size]) for size in wanted}


def _only_one(size: int, uris: Sequence[str]) -> str:
    """The one cooler of a size, if it can be taken."""
    mode = open_cooler(uris[0]).storage_mode
    if mode != "symmetric-upper":
        problem = f"stores its pixels as {mode!r}, expected 'symmetric-upper'"
        raise InputError(problem, path=uris[0])
    if not size:
        raise InputError(
            "has bins of different sizes, or out of order",
            path=uris[0],
            cure="choose others by binsizes, or name one cooler of one bin size: FILE::GROUP",
        )
    if len(uris) > 1:
        raise InputError(
            f"a second cooler of {size:,} bp", path=uris[1], cure="name the one: FILE::GROUP"
        )
    return uris[0]


def _levels(
    found: Mapping[int, str], includetrans: bool, least: int | None
) -> tuple[dict[str, int], list[Level]]:
    """Lengths of chromosomes, which all resolutions must share, and the bins of each."""
    genome: dict[str, int] = {}
    levels = []
    for size, uri in found.items():
        cooler = open_cooler(uri)
        own = dict(zip(cooler.chromnames, cooler_lengths(cooler).tolist(), strict=True))
        if list(own.items()) != list((genome := genome or own).items()):
            raise InputError("has other chromosomes than the first resolution", path=uri)
        chrom, start, stop = bin_columns(cooler, list(own))
        trans = has_trans(size, includetrans, least)
        levels.append(Level(size, trans, chrom.astype(np.int32), start, stop))
    return genome, levels


def _weights(
    found: Mapping[int, str], name: str | None, divisive: bool | None
) -> dict[int, NDArray[np.float64]]:
    """What expected is a product of, by bin size: float64 (bins), NaN for bins without weight.

    Empty if there are no weights, or none are wanted.
    """
    if name is None:
        return {}
    columns = {size: weight_columns(open_cooler(uri)) for size, uri in found.items()}
    lacking = [size for size, held in columns.items() if name not in held]
    if name == "weight" and len(lacking) == len(found):
        return {}
    if lacking:
        others = len(lacking) < len(found)
        raise InputError(
            f"has no weights {name!r}, "
            + (
                "which other resolutions have"
                if others
                else f"it has {', '.join(columns[lacking[0]]) or 'none'}"
            ),
            path=found[lacking[0]],
            cure="choose resolutions that have them by binsizes, or give weight=None",
        )
    return {size: _factors(uri, name, divisive) for size, uri in found.items()}


def _factors(uri: str, name: str, divisive: bool | None) -> NDArray[np.float64]:
    """float64 (bins): weights as they multiply what is expected, that is, as they divide reads."""
    with open_cooler(uri).open("r") as group:
        said = group["bins"][name].attrs.get("divisive_weights")
        values = np.asarray(group["bins"][name], dtype=np.float64)
    if divisive is None:
        divisive = _divides(name) if said is None else bool(said)
    with np.errstate(divide="ignore"):
        return values if divisive else 1 / values


def _divides(name: str) -> bool:
    """Whether weights divide by their name: those of Juicer do."""
    return name.removeprefix("GW_").removeprefix("INTER_") in _DIVISIVE


def _plan(
    file: str,
    found: Mapping[int, str],
    genome: Mapping[str, int],
    levels: Sequence[Level],
    weights: Mapping[int, NDArray[np.float64]],
) -> Maps:
    """What the store shall hold, and who makes it."""
    with open(file, "rb") as handle:
        digest = hashlib.file_digest(handle, "blake2b").hexdigest()
    kept = [(level.name, level.trans, found[level.binsize].partition("::")[2]) for level in levels]
    token = content_token(
        repr([HEATMAPS.version, CHUNK, SHARD, kept]),
        digest,
        *(weights.get(level.binsize, "") for level in levels),
    )

    def cells(level: Level, store: Place) -> Cells:
        return _PixelCells(found[level.binsize], digest, weights.get(level.binsize))

    lengths = np.array([*genome.values()], dtype=np.int64)
    return Maps(token, [*genome], levels, cells, lengths=lengths)


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
        row, column, count = _pixels(self.uri, self.digest, rows.start, rows.stop)
        here = (column >= columns.start) & (column < columns.stop)
        place = row[here] - rows.start, column[here] - columns.start
        # A pixel that is stored twice is added up.
        observed = coo_array((count[here], place), shape=shape).toarray()
        if rows == columns:
            observed += np.triu(observed, 1).T
        if self.weights is None:
            return {"observed": observed, "expected": np.ones(shape, dtype=np.float32)}
        expected = np.outer(self.weights[rows], self.weights[columns])
        expected[~np.isfinite(expected)] = 0
        return {"observed": observed, "expected": expected.astype(np.float32)}


@lru_cache(maxsize=2)  # shards of one row are made one after the other
def _pixels(uri: str, digest: str, lo: int, hi: int) -> Pixels:
    """Bins and counts of the pixels of some rows."""
    cooler = open_cooler(uri)
    with cooler.open("r") as group:
        first, last = (int(group["indexes/bin1_offset"][k]) for k in (lo, hi))
    row, column, count = read_pixels(cooler, first, last)
    if (row > column).any():
        k = int(np.flatnonzero(row > column)[0])
        raise InputError(
            f"has a pixel below the diagonal, of the bins {row[k]} and {column[k]}, in storage "
            "mode 'symmetric-upper'",
            path=uri,
            cure="make the cooler again with pixels on and above the diagonal",
        )
    return row, column, count
