"""Checks of arguments that several stages share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError
from hifive_dask.genome.partition import Units

__all__ = ["check_length", "whole_number"]


def whole_number(name: str, value: Any) -> int:
    """Return `value` as int; raise `ParameterError` if it is not a whole number."""
    number = isinstance(value, int | float | np.integer | np.floating)
    if not number or not abs(value) < 2**63 or value != int(value):  # the first is for nan, too
        raise ParameterError(f"{name} is {value!r}, expected a whole number")
    return int(value)


def check_length(name: str, values: NDArray[Any], units: Units) -> None:
    """Raise `ParameterError` unless there is one value per unit: kernels do not check indices."""
    if np.shape(values) != (len(units),):
        raise ParameterError(
            f"{name} has the shape {np.shape(values)}, expected one value for each of the "
            f"{len(units)} {'fends' if units.fends else 'bins'}"
        )
