"""What the variables of maps are called, and their units: attributes, and texts in pictures."""

from __future__ import annotations

__all__ = ["describe"]

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
