"""Reads against distance."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from hifive_dask.errors import ParameterError
from hifive_dask.plot.style import (
    ACCENT,
    MUTED,
    adorn,
    legend,
    length_text,
    log_ticks,
    minus,
    new_axes,
    number_text,
)
from hifive_dask.public import answering

__all__ = ["decay", "shown"]

_POINTS = 512  # of the drawn line
_SELF = 1.0  # bp, what is taken for the distance of a bin to itself, of which there is no logarithm


@answering
def decay(
    distance: ArrayLike,
    signal: ArrayLike,
    parameters: ArrayLike | None = None,
    *,
    title: str = "",
    ax: Any = None,
) -> Figure:
    """Draw reads per possible pair against distance, both logarithmic, and the fitted line.

    Parameters
    ----------
    distance
        (bins): bp, the geometric mean of the distances of the possible pairs of each distance bin,
        that is ``exp`` of their mean logarithm. Up to 1 bp they are those of bins with themselves,
        which have no place on the axis and are left out.
    signal
        (bins): reads per possible pair; zeros are left out.
    parameters
        (segments, 3): upper cutoff in ln(bp), slope and intercept of the natural log of reads per
        possible pair, as in `HiC.distance_parameters`.
    title
        Text above.
    ax
        Axes to draw into; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If the two have different lengths, no bin above 1 bp has reads, or `parameters` has another
        shape.

    Examples
    --------
    >>> from hifive_dask import plot
    >>> figure = plot.decay([1e4, 1e5, 1e6], [1.0, 0.1, 0.01])
    >>> figure.axes[0].get_xscale()
    'log'
    """
    length, reads = (np.asarray(a, dtype=np.float64) for a in (distance, signal))
    if length.shape != reads.shape:
        raise ParameterError(
            f"distance and signal have shapes {length.shape} and {reads.shape}, expected the same"
        )
    kept = shown(length, reads)
    if not kept.any():
        raise ParameterError("no distance bin above 1 bp has reads; there is nothing to draw")
    length, reads = length[kept], reads[kept]
    x = np.geomspace(length.min(), length.max(), _POINTS)
    line = None if parameters is None else _fitted(x, np.asarray(parameters))
    figure, axes = new_axes(4.8, 3.6, given=ax)
    _guide(axes, length, reads)
    if line is not None:
        axes.plot(x, line, color=ACCENT, linewidth=1.2, label="fit")
    axes.plot(
        length, reads, "o", markersize=3.6, color="white", markeredgecolor=ACCENT,
        markeredgewidth=1.0, label="observed",
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    log_ticks(axes.xaxis, length_text, 7)
    log_ticks(axes.yaxis, number_text, 8)
    axes.grid(True, which="major", color=MUTED, alpha=0.25, linewidth=0.5)
    axes.set_axisbelow(True)
    adorn(
        axes, title=title, xlabel="distance", ylabel="reads per possible pair", frame=False, rows=1
    )
    handles, labels = axes.get_legend_handles_labels()
    legend(axes, handles[::-1], labels[::-1])
    return figure


def shown(distance: NDArray[np.float64], signal: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Distance bins that `decay` draws."""
    kept: NDArray[np.bool_] = (signal > 0) & np.isfinite(signal) & (distance > _SELF)
    return kept


def _fitted(distance: NDArray[np.float64], parameters: NDArray[Any]) -> NDArray[np.float64]:
    if parameters.ndim != 2 or parameters.shape[1] != 3 or not len(parameters):
        raise ParameterError(f"parameters has shape {parameters.shape}, expected (segments, 3)")
    cutoff, slope, intercept = parameters.astype(np.float64).T
    length = np.log(distance)
    k = np.searchsorted(cutoff[:-1], length, "left")  # the last segment has no end
    line: NDArray[np.float64] = np.exp(length * slope[k] + intercept[k])
    return line


def _guide(axes: Any, distance: NDArray[np.float64], reads: NDArray[np.float64]) -> None:
    """A line of slope -1, through the middle of the points."""
    middle = np.exp(np.mean(np.log(reads * distance)))
    ends = np.array([distance.min(), distance.max()])
    axes.plot(
        ends,
        middle / ends,
        "--",
        color=MUTED,
        linewidth=0.9,
        label=minus("slope -1: half per doubling"),
    )
