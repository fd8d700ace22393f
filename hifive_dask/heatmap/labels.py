"""What maps and pictures call variables and their units, and how numbers are written as text."""

from __future__ import annotations

__all__ = ["describe", "drawn", "number_text"]

_NAMES = {
    "observed": "observed",
    "expected": "expected",
    "enrichment": "observed / expected",
    "radius": "radius of the cell",
    "score": "log2 observed / expected",
}
_UNITS = {"radius": "bp", "enrichment": "1", "score": "1"}
_READS = ("distance", "enrichment", "expected")  # datatypes that expect reads
_OF_DATATYPE = {
    ("observed", "expected"): "possible pairs",
    ("expected", "raw"): "possible pairs",
    ("enrichment", "raw"): "reads per possible pair",
    ("enrichment", "fend"): "reads per possible pair, corrected",
    ("enrichment", "expected"): "possible pairs per expected read",
    ("enrichment", "balanced"): "balanced reads",
    ("enrichment", "counts"): "reads",
}
_DRAWN = {
    ("observed", "expected"): "possible pairs",
    ("expected", "raw"): "possible pairs",
    ("expected", "fend"): "expected by corrections",
    ("expected", "distance"): "expected by distance",
    ("enrichment", "distance"): "observed over expected by distance",
    ("enrichment", "enrichment"): "observed over expected",
    ("enrichment", "fend"): "corrected reads",
}
_DRAWN_ANY = {
    "observed": "observed reads",
    "expected": "expected reads",
    "score": "observed over expected",
}


def describe(variable: str, datatype: str = "enrichment") -> dict[str, str]:
    """Return the attributes ``long_name`` and ``units`` of a variable of a map.

    Examples
    --------
    >>> from hifive_dask.heatmap.labels import describe
    >>> describe("enrichment", "fend")
    {'long_name': 'reads per possible pair, corrected', 'units': '1'}
    """
    units = _UNITS.get(variable)
    if variable == "observed":
        units = "1" if datatype == "expected" else "reads"
    elif variable == "expected":
        units = "reads" if datatype in _READS else "1"
    name = _OF_DATATYPE.get((variable, datatype), _NAMES.get(variable, variable))
    return {"long_name": name, "units": units or "1"}


def drawn(variable: str, datatype: str = "enrichment") -> str:
    """Return what a picture of a variable shows, for its title.

    Examples
    --------
    >>> from hifive_dask.heatmap.labels import drawn
    >>> drawn("enrichment", "fend"), drawn("observed", "fend")
    ('corrected reads', 'observed reads')
    """
    name = _DRAWN.get((variable, datatype)) or _DRAWN_ANY.get(variable)
    return name or describe(variable, datatype)["long_name"]


def number_text(value: float, digits: int) -> str:
    """A whole number in full, others in so many digits.

    Examples
    --------
    >>> from hifive_dask.heatmap.labels import number_text
    >>> number_text(257_000_000_000, 6), number_text(2 / 3, 6)
    ('257000000000', '0.666667')
    """
    return str(int(value)) if value % 1 == 0 else f"{value:.{digits}g}"
