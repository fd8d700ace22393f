"""Coolers: the contact matrices of the package ``cooler``, and the bins they are made of."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hifive_dask._store.places import local
from hifive_dask.errors import HifiveDaskError, InputError, StateError
from hifive_dask.genome.build import bins_from_intervals, bins_from_lengths
from hifive_dask.genome.partition import Units

__all__ = [
    "bin_columns",
    "choose_cooler",
    "cooler_package",
    "list_coolers",
    "open_cooler",
    "read_cooler_bins",
]


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
        If there is none.
    """
    try:
        return cooler_package().Cooler(uri)
    except (OSError, KeyError, ValueError) as error:
        path, _, group = uri.partition("::")
        raise InputError(
            f"holds no cooler at {group or '/'} ({error})",
            path=path,
            cure="check the address, FILE::/resolutions/10000 or FILE::/cells/NAME",
        ) from error


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


def read_cooler_bins(address: str | os.PathLike[str], binsize: int | None) -> tuple[Units, int]:
    """The bins of a cooler, and their size in bp, 0 if they are of arbitrary size.

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
    size = _size(cooler)
    if size:
        return bins_from_lengths(names, np.asarray(cooler.chromsizes, dtype=np.int64), size), size
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
    return bins_from_intervals(names, chromosome, start, stop, {}), 0


def _size(cooler: Any) -> int:
    """Size of the bins in bp, 0 if they differ; what the file says does not mind last bins."""
    size = int(cooler.binsize or 0)
    lengths = np.asarray(cooler.chromsizes, dtype=np.int64)
    whole = size and int(((lengths - 1) // size + 1).sum()) == cooler.info["nbins"]
    return size if whole else 0


def bin_columns(cooler: Any, names: Sequence[str]) -> tuple[Any, Any, Any]:
    """Chromosome (index into `names`), start and end of every bin of a cooler, as int64."""
    table = cooler.bins()[["chrom", "start", "end"]][:]
    index = {name: k for k, name in enumerate(names)}
    codes = table["chrom"].astype(str).map(index).fillna(-1)
    return tuple(
        np.asarray(column, dtype=np.int64) for column in (codes, table["start"], table["end"])
    )  # type: ignore[return-value]
