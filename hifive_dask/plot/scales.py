"""From reads to colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Colormap, LogNorm, Normalize
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError
from hifive_dask.plot.style import DIVERGING, SEQUENTIAL

__all__ = ["Scale", "check_limits", "of_scores", "one_colour", "two_colours"]

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """Values to draw, NaN for missing ones, their colours, and what they are.

    `missing` and `zero` tell what cells are that have the colours of a map for what is bad, and
    below the scale; empty without such cells.
    """

    values: Float64
    norm: Normalize
    cmap: Colormap
    label: str
    missing: str = ""
    zero: str = ""


def one_colour(
    values: Float64, label: str, vmin: float | None, vmax: float | None, log: bool
) -> Scale:
    """Colours that darken with the value; zeros are white."""
    positive = values[values > 0]
    low, high = (
        (float(q) for q in np.quantile(positive, [0.02, 0.995])) if len(positive) else (1, 1)
    )
    top = high if vmax is None else vmax
    if not log:
        bottom = 0.0 if vmin is None else vmin
        check_limits(bottom, top)
        return Scale(values, Normalize(bottom, top, clip=True), SEQUENTIAL, label)
    bottom = min(low, top / 10) if vmin is None else vmin
    check_limits(bottom, top)
    if bottom <= 0:
        raise ParameterError(f"vmin is {bottom}, expected above 0; or pass log=False")
    # A logarithm would hide zeros, they get the colour below the scale; small values must not.
    values = np.where(values == 0, bottom / 2, np.maximum(values, bottom))
    return Scale(values, LogNorm(bottom, top), SEQUENTIAL, label)


def two_colours(
    observed: Float64,
    expected: Float64,
    pseudocount: float,
    vmin: float | None,
    vmax: float | None,
    log: bool,
) -> Scale:
    """Colours about a ratio of 1."""
    centre = 0.0 if log else 1.0
    values = (observed + pseudocount) / (expected + pseudocount)
    if log:
        # No reads at all have no logarithm; such cells are drawn as missing.
        values = np.log2(np.where(values > 0, values, np.nan))
    spread = np.abs(values[np.isfinite(values)] - centre)
    # Noise of an even map should not look like structure, nor a few hot cells drown the rest.
    reach = max(float(np.quantile(spread, 0.98)) if len(spread) else 1.0, 0.5)
    if not log:
        reach = min(reach, 1.0)  # ratios do not go below 0
    if vmax is None:
        vmax = centre + reach if vmin is None else 2 * centre - vmin
    if vmin is None:
        vmin = 2 * centre - vmax
    check_limits(vmin, vmax)
    ratio = "observed / expected"
    if pseudocount:
        ratio = f"(observed + {pseudocount:g}) / (expected + {pseudocount:g})"
    return Scale(
        values, Normalize(vmin, vmax, clip=True), DIVERGING, f"log2 {ratio}" if log else ratio
    )


def of_scores(values: Float64, vmin: float | None, vmax: float | None) -> Scale:
    """Colours of log2 ratios: two about 0 if they lie on both sides of it, else one."""
    label = "log2 observed / expected"
    known = values[np.isfinite(values)]
    low, high = (float(q) for q in np.quantile(known, [0.02, 0.98])) if len(known) else (-1.0, 1.0)
    if low < 0 < high and min(-low, high) > 0.2 * max(-low, high):
        reach = max(-low, high)
        vmax = (reach if vmin is None else -vmin) if vmax is None else vmax
        vmin = -vmax if vmin is None else vmin
        check_limits(vmin, vmax)
        return Scale(values, Normalize(vmin, vmax, clip=True), DIVERGING, label)
    vmin, vmax = low if vmin is None else vmin, max(high, low + 1) if vmax is None else vmax
    check_limits(vmin, vmax)
    return Scale(values, Normalize(vmin, vmax, clip=True), SEQUENTIAL, label)


def check_limits(vmin: float | None, vmax: float | None) -> None:
    """Raise a `ParameterError` if limits of colours make no scale, as far as they are known."""
    if vmin is not None and vmax is not None and not vmin < vmax:
        raise ParameterError(
            f"colours would go from {vmin:g} to {vmax:g}; vmin must be below vmax, leave out one"
        )
