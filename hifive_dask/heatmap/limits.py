"""Results that would be too large are refused before any work, in one way and with one wording."""

from __future__ import annotations

from hifive_dask.errors import ParameterError

__all__ = ["MEMORY_LIMIT", "bytes_text", "check_size"]

MEMORY_LIMIT = 4 << 30  # bytes


def bytes_text(size: float) -> str:
    """A number of bytes with a unit.

    Examples
    --------
    >>> from hifive_dask.heatmap.limits import bytes_text
    >>> bytes_text(45), bytes_text(1_530_000), bytes_text(4e9)
    ('45 bytes', '1.5 MB', '4.0 GB')
    """
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size:.0f} bytes"


def check_size(what: str, size: int, limit: int, name: str, cure: str) -> None:
    """Check that a result is not too large.

    Parameters
    ----------
    what
        The result.
    size, limit
        bytes it takes, and may take.
    name
        Of the argument that sets the limit.
    cure
        What to do about it, besides raising the limit.

    Raises
    ------
    ParameterError
        If it is too large.

    Examples
    --------
    >>> from hifive_dask.heatmap.limits import check_size
    >>> check_size("the array", 100, 1000, "memory_limit", "choose a larger binsize")
    """
    if size > limit:
        raise ParameterError(
            f"{what} takes about {bytes_text(size)}, and {name} is {bytes_text(limit)}; {cure}, or "
            f"raise {name}"
        )
