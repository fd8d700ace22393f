"""Genomic regions: parsing and checking. 0-based, half-open, in bp."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from decimal import Decimal
from typing import NamedTuple

from hifive_dask.errors import ParameterError, RegionError, unknown

__all__ = [
    "Region",
    "bp_or_none",
    "distance_window",
    "find_chromosome",
    "parse_bp",
    "parse_region",
    "round_binsize",
    "short_bp",
    "whole_bp",
]

_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_NUMBER = re.compile(r"([0-9][0-9,_]*(?:\.[0-9]+)?)\s*([kmg]?)(?:b|bp)?", re.IGNORECASE)


class Region(NamedTuple):
    """A stretch of one chromosome; ``start`` or ``stop`` None means up to that end."""

    chromosome: str
    start: int | None = None
    stop: int | None = None

    def __str__(self) -> str:
        if self.start is None and self.stop is None:
            return self.chromosome
        stop = "" if self.stop is None else f"{self.stop:,}"
        return f"{self.chromosome}:{self.start or 0:,}-{stop}"


def find_chromosome(name: str, chromosomes: Container[str]) -> str | None:
    """Return the known name that is meant: the same, or the same with or without ``chr``.

    Examples
    --------
    >>> from hifive_dask.regions import find_chromosome
    >>> find_chromosome("chr1", ["1", "2"]), find_chromosome("2", ["chr1", "chr2"])
    ('1', 'chr2')
    """
    spellings = (name, name.removeprefix("chr"), f"chr{name}")
    return next((each for each in spellings if each and each in chromosomes), None)


def whole_bp(value: object, name: str) -> int:
    """Return a number of bp as an int: what all public calls do with a size, distance or position.

    Parameters
    ----------
    value
        A whole number, or text with or without a unit, as of `parse_bp`.
    name
        Of the argument, for the message.

    Raises
    ------
    ParameterError
        If it is no whole number.

    Examples
    --------
    >>> from hifive_dask.regions import whole_bp
    >>> whole_bp(1e6, "binsize"), whole_bp("10kb", "binsize")
    (1000000, 10000)
    """
    if isinstance(value, str):
        try:
            return parse_bp(value)
        except ParameterError as error:
            raise ParameterError(f"{name}: {error}") from None
    try:
        whole = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        whole = None
    if whole is None or whole != value:
        raise ParameterError(
            f"{name} is {value!r}, expected a whole number of bp, or text such as '10kb'"
        )
    return int(whole)


def bp_or_none(value: object, name: str) -> int | None:
    """Return a number of bp as `whole_bp` does, or None."""
    return None if value is None else whole_bp(value, name)


def distance_window(mindistance: object, maxdistance: object) -> dict[str, int]:
    """Both limits of distances in bp, by name; 0 in place of None, which is no upper limit."""
    return {
        "mindistance": whole_bp(mindistance, "mindistance"),
        "maxdistance": whole_bp(maxdistance or 0, "maxdistance"),
    }


def parse_bp(text: str) -> int:
    """Return a size or position in bp, written with or without a unit.

    Raises
    ------
    ParameterError
        If it is not a number, has another unit, or is no whole number of bp.

    Examples
    --------
    >>> from hifive_dask.regions import parse_bp
    >>> [parse_bp(text) for text in ("5000", "10,000", "10k", "1.5Mb", "20 kbp")]
    [5000, 10000, 10000, 1500000, 20000]
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise ParameterError(f"{text!r} is not a number of bp, such as 5000, 10,000, 10kb or 1.5Mb")
    number, unit = match.groups()
    value = Decimal(number.replace(",", "").replace("_", "")) * _UNITS[unit.lower()]
    if value != int(value):
        raise ParameterError(f"{text!r} is not a whole number of bp, such as 5000 or 1.5kb")
    return int(value)


def short_bp(size: int) -> str:
    """A number of bp as commands take it, in the largest unit that it fills.

    Examples
    --------
    >>> from hifive_dask.regions import short_bp
    >>> short_bp(500), short_bp(20_000), short_bp(1_500_000)
    ('500', '20kb', '1.5Mb')
    """
    for unit, bp in (("Mb", 1_000_000), ("kb", 1000)):
        if size >= bp:
            return f"{size / bp:.12g}{unit}"
    return str(size)


def round_binsize(least: float) -> int:
    """Smallest of 1, 2, 5, 10, ... bp that is not below a size."""
    power = 1
    while True:
        for step in (1, 2, 5):
            if step * power >= least:
                return step * power
        power *= 10


def _position(text: str, region: str) -> int | None:
    if not text.strip():
        return None
    try:
        return parse_bp(text)
    except ParameterError as error:
        raise RegionError(
            f"region {region!r}: {error}; write chr2:10,000,000-20,000,000, chr2:10Mb-20Mb, or "
            "only chr2"
        ) from None


def parse_region(
    region: str | bytes | Region | Sequence[object], chromosomes: Sequence[str]
) -> Region:
    """Return a `Region` whose chromosome is known.

    Parameters
    ----------
    region
        ``"chr2"``, ``"chr2:10,000,000-20,000,000"``, ``"chr2:10M-20M"``, ``"chr2:10M-"``, or a
        tuple ``(chromosome, start, stop)`` in bp.
    chromosomes
        The names that exist; they are found with and without ``chr``. A name that holds ``:`` is
        found as a whole first.

    Raises
    ------
    RegionError
        If it does not parse, the chromosome is unknown, or start is not below stop.

    Examples
    --------
    >>> from hifive_dask.regions import parse_region
    >>> parse_region("chr2:1.5M-2,000,000", ["chr1", "chr2"])
    Region(chromosome='chr2', start=1500000, stop=2000000)
    """
    start: int | None
    stop: int | None
    if isinstance(region, bytes):
        region = region.decode()
    if isinstance(region, str):
        name, mark, interval = region.rpartition(":")
        if not mark or find_chromosome(region, chromosomes) is not None:
            name, start, stop = region, None, None
        else:
            left, dash, right = interval.partition("-")
            if not dash:
                raise RegionError(f"region {region!r} has no stop; write {region}-STOP")
            start, stop = _position(left, region), _position(right, region)
    else:
        parts = list(region) if isinstance(region, Sequence) else []
        if not 1 <= len(parts) <= 3:
            raise RegionError(
                f"region {region!r} is neither text, such as 'chr2:10M-20M', nor (chromosome, "
                "start, stop)"
            )
        name = parts[0].decode() if isinstance(parts[0], bytes) else str(parts[0])
        names = (f"the {edge} of region {region!r}" for edge in ("start", "stop"))
        start, stop = (
            None if p is None else whole_bp(p, edge)
            for p, edge in zip([*parts[1:], None, None], names, strict=False)
        )
    found = find_chromosome(name, chromosomes)
    if found is None:
        raise RegionError(unknown("chromosome", name, map(str, chromosomes)))
    if start is not None and start < 0:
        raise RegionError(f"region {region!r} starts below 0")
    if stop is not None and stop <= (start or 0):
        raise RegionError(
            f"region {region!r} is empty: stop {stop} is not above start {start or 0}"
        )
    return Region(found, start, stop)
