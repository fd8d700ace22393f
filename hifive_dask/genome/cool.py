"""Coolers: the contact matrices of the package ``cooler``, and the bins they are made of."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._store.hdf5 import stated_format
from hifive_dask._store.places import local
from hifive_dask.errors import HifiveDaskError, InputError, StateError
from hifive_dask.genome.build import bins_from_intervals, bins_from_lengths
from hifive_dask.genome.files import HDF5, kind_of
from hifive_dask.genome.partition import Units
from hifive_dask.genome.table import INT32_MAX

__all__ = [
    "COOL_SUFFIXES",
    "MOST_IN_PIXEL",
    "assembly_of",
    "bin_columns",
    "bin_size",
    "choose_cooler",
    "cooler_lengths",
    "cooler_package",
    "holds_coolers",
    "list_coolers",
    "number_of_bins",
    "number_of_pixels",
    "open_cooler",
    "read_cooler_bins",
    "read_pixels",
    "weight_columns",
]

COOL_SUFFIXES = (".cool", ".mcool", ".scool")
MOST_IN_PIXEL = 2**31 - 1

Int64 = NDArray[np.int64]

_FORMATS = ("HDF5::Cooler", "HDF5::MCOOL", "HDF5::SCOOL")


def holds_coolers(address: str | os.PathLike[str]) -> bool:
    """Whether an address is one of coolers: by its group or suffix, else by what the file says."""
    name = os.fspath(address)
    if "::" in name or name.lower().endswith(COOL_SUFFIXES):
        return True
    return os.path.isfile(name) and stated_format(name) in _FORMATS


def cooler_package() -> Any:
    """The package ``cooler``.

    Raises
    ------
    StateError
        If it is not installed.
    """
    try:
        import cooler
    except ImportError as error:
        raise StateError(
            "coolers need the package cooler, which is not installed; install it: "
            "pip install 'hifive-dask[cool]'"
        ) from error
    return cooler


def open_cooler(uri: str) -> Any:
    """Open a cooler by its exact address, ``FILE`` or ``FILE::GROUP``.

    Raises
    ------
    InputError
        If there is none, or a chromosome is longer than positions can be.
    """
    path, _, group = uri.partition("::")
    try:
        cooler = cooler_package().Cooler(uri)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"holds no cooler at {group or '/'} ({error})",
            path=path,
            cure="check the address, FILE::/resolutions/10000 or FILE::/cells/NAME",
        ) from error
    lengths = cooler_lengths(cooler)
    wrong = np.flatnonzero((lengths < 0) | (lengths > INT32_MAX))
    if len(wrong):
        raise InputError(
            f"says that {cooler.chromnames[wrong[0]]} has {lengths[wrong[0]]:,} bp; positions here "
            f"and in coolers reach to {INT32_MAX:,}, and cooler writes larger ones as others",
            path=uri,
            cure="cut such a chromosome in two before reads are aligned, or counted",
        )
    return cooler


def list_coolers(address: str | os.PathLike[str]) -> list[str]:
    """Exact addresses of all coolers of a file; with ``::`` the address is one already.

    Raises
    ------
    InputError
        If the file is missing or no file of coolers.
    """
    uri = os.fspath(address)
    path, mark, _ = uri.partition("::")
    local(path)
    if not os.path.isfile(path):
        raise InputError("no such file", path=path, cure="check the spelling and the directory")
    kind = kind_of(path)
    if kind is not None and kind != HDF5:
        raise InputError(f"is {kind[0]}, expected a cooler", path=path, cure=kind[1])
    if mark:
        return [uri]
    try:
        groups = list(cooler_package().fileops.list_coolers(path))
    except OSError as error:
        raise InputError(
            f"cannot be read as a cooler: {error}",
            path=path,
            cure="check the format, and that the file was copied to its end",
        ) from error
    # Files of old versions are coolers but not listed.
    return [f"{path}::{group}" for group in groups] or [path]


def choose_cooler(
    address: str | os.PathLike[str], check: Callable[[Any], None], wanted: str
) -> tuple[str, Any]:
    """Find the cooler of a file that passes a check; with ``::`` the address names it.

    Parameters
    ----------
    address
        ``FILE`` or ``FILE::GROUP``.
    check
        Raises `HifiveDaskError` for a cooler that does not do.
    wanted
        What does, for the message.

    Returns
    -------
    The exact address, and the cooler.

    Raises
    ------
    InputError
        If the file is missing or no file of coolers, or if none or several of its coolers pass.
    """
    uris = list_coolers(address)
    path = uris[0].partition("::")[0]
    passed, errors = [], []
    for each in uris:
        cooler = open_cooler(each)
        try:
            check(cooler)
        except HifiveDaskError as error:
            errors.append(error)
        else:
            passed.append((each, cooler))
    if len(passed) == 1:
        return passed[0]
    if len(uris) == 1:
        raise errors[0]
    held = ", ".join(each.partition("::")[2] for each in uris[:20])
    held += f", ... ({len(uris)} coolers)" if len(uris) > 20 else ""
    number = "none" if not passed else f"{len(passed)}"
    raise InputError(
        f"{number} of its coolers fit {wanted}; it holds {held}",
        path=path,
        cure=f"name one: {path}::{uris[0].partition('::')[2]}",
    )


class CoolerBins(NamedTuple):
    """The bins of a cooler.

    Parameters
    ----------
    units
        The bins.
    binsize
        bp; 0 for bins of arbitrary size.
    lengths
        int64 (C): bp of every chromosome.
    assembly
        Name of the genome; empty if not known.
    """

    units: Units
    binsize: int
    lengths: Int64
    assembly: str


def read_cooler_bins(address: str | os.PathLike[str], binsize: int | None) -> CoolerBins:
    """The bins of a cooler, and what it knows of the genome.

    Bins of one size are those that `bins_from_lengths` makes: the last one of a chromosome may
    reach beyond its end, where the cooler clips it.

    Parameters
    ----------
    address
        ``FILE`` or ``FILE::GROUP``.
    binsize
        The size that is wanted; 0 for arbitrary; None for any.

    Raises
    ------
    InputError
        If there is no cooler, none or several have the size, or its bins are not in the order of
        chromosomes and positions.
    """

    def check(cooler: Any) -> None:
        size = _size(cooler)
        if binsize is not None and binsize != size:
            raise InputError(
                f"has bins of {size or 'different'} bp, but binned is {binsize}",
                path=cooler.uri,
                cure="leave binned out, or give that of the cooler",
            )

    wanted = "this call" if binsize is None else f"binned={binsize}"
    cooler = choose_cooler(address, check, wanted)[1]
    names = [str(name) for name in cooler.chromnames]
    size, known = _size(cooler), (cooler_lengths(cooler), assembly_of(cooler))
    if size:
        return CoolerBins(bins_from_lengths(names, known[0], size), size, *known)
    chromosome, start, stop = bin_columns(cooler, names)
    follows = (chromosome[1:] > chromosome[:-1]) | (start[1:] >= stop[:-1])
    good = np.r_[True, follows & (chromosome[1:] >= chromosome[:-1])] & (stop > start)
    if not good.all():
        k = int(np.flatnonzero(~good)[0])
        raise InputError(
            f"bin {k} ({names[chromosome[k]]}:{start[k]}-{stop[k]}) is empty, overlaps the one "
            "before, or is out of order",
            path=cooler.filename,
        )
    return CoolerBins(bins_from_intervals(names, chromosome, start, stop, {}), 0, *known)


def cooler_lengths(cooler: Any) -> Int64:
    """int64 (C): bp of every chromosome of a cooler."""
    return np.asarray(cooler.chromsizes, dtype=np.int64)


def assembly_of(cooler: Any) -> str:
    """Name of the genome of a cooler; empty if not known."""
    name = str(cooler.info.get("genome-assembly") or "")
    return "" if name == "unknown" else name


def _size(cooler: Any) -> int:
    """Size of the bins in bp if they cover all chromosomes, else 0."""
    size = bin_size(cooler)
    lengths = cooler_lengths(cooler)
    whole = size and int(((lengths - 1) // size + 1).sum()) == number_of_bins(cooler)
    return size if whole else 0


# What a cooler holds is read from its arrays: not all programs write the attributes `nbins`, `nnz`
# and `bin-size`, which methods of the package rely on, and some write "None" or "null".


def number_of_bins(cooler: Any) -> int:
    """Number of bins of a cooler."""
    with cooler.open("r") as group:
        return len(group["bins/start"])


def number_of_pixels(cooler: Any) -> int:
    """Number of pixels of a cooler."""
    with cooler.open("r") as group:
        return len(group["pixels/bin1_id"])


def weight_columns(cooler: Any) -> list[str]:
    """Names of the columns of weights of a cooler's bins."""
    with cooler.open("r") as group:
        return [name for name in group["bins"] if name not in ("chrom", "start", "end")]


def bin_size(cooler: Any) -> int:
    """Size of the bins of a cooler in bp; 0 if they differ or are out of order.

    All begin at multiples of it, and only the last one of a chromosome may be shorter. Where every
    chromosome is one bin (cooler 0.11 calls these "variable"), it is what the attribute or the name
    of the group says, if that holds the longest one, else the length of that.
    """
    chrom, start, stop = bin_columns(cooler, [str(name) for name in cooler.chromnames])
    width, inner = stop - start, chrom[1:] == chrom[:-1]
    if not len(width) or width.min() <= 0:
        return 0
    size = int(width[:-1][inner][0]) if inner.any() else _said_size(cooler, int(width.max()))
    last = np.r_[~inner, True]
    ordered = (chrom[1:] > chrom[:-1]) | (inner & (start[1:] > start[:-1]))
    fits = np.where(last, width <= size, width == size) & (start % size == 0)
    return size if fits.all() and ordered.all() else 0


def _said_size(cooler: Any, longest: int) -> int:
    """Size that a cooler of one bin per chromosome says it has, if it can be."""
    group = cooler.root.rpartition("/")[2]
    for said in (cooler.info.get("bin-size"), int(group) if group.isdecimal() else None):
        if isinstance(said, int | np.integer) and said >= longest:
            return int(said)
    return longest


def bin_columns(cooler: Any, names: Sequence[str]) -> tuple[Int64, Int64, Int64]:
    """Chromosome, start and end of every bin of a cooler.

    Chromosomes are indices into `names`, -1 for others.
    """
    with cooler.open("r") as group:
        chrom, start, stop = (
            group["bins"][name][:].astype(np.int64) for name in ("chrom", "start", "end")
        )
    index = {name: k for k, name in enumerate(names)}
    codes = np.array([index.get(str(name), -1) for name in cooler.chromnames], dtype=np.int64)
    return codes[chrom], start, stop


def read_pixels(cooler: Any, lo: int, hi: int) -> tuple[Int64, Int64, Int64]:
    """Both bins and the count of some pixels of a cooler; one that is stored twice is there twice.

    Raises
    ------
    InputError
        If a count is no whole number from 0 to `MOST_IN_PIXEL`.
    """
    with cooler.open("r") as group:
        row, column, count = (
            group["pixels"][name][lo:hi] for name in ("bin1_id", "bin2_id", "count")
        )
    good = (count >= 0) & (count <= MOST_IN_PIXEL)
    if count.dtype.kind == "f":
        good &= count == np.floor(count)
    if not good.all():
        k = int(np.flatnonzero(~good)[0])
        raise InputError(
            f"the pixel of the bins {row[k]} and {column[k]} holds {count[k]}, expected a whole "
            f"number from 0 to {MOST_IN_PIXEL}",
            path=cooler.uri,
            cure="take observed counts; balanced or corrected values are not reads",
        )
    return row.astype(np.int64), column.astype(np.int64), count.astype(np.int64)
