"""Pictures that tell whether the steps before a heatmap went well."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike

from hifive_dask.errors import ParameterError
from hifive_dask.plot.style import ACCENT, INK, MUTED, adorn, length_text, new_axes

__all__ = ["balance_trace", "corrections", "insert_sizes"]

_BINS = 60
_PALE = "#b9cfe6"


def corrections(values: ArrayLike, valid: ArrayLike, *, title: str = "", ax: Any = None) -> Figure:
    """Draw a histogram of the corrections of the units in use, on a logarithmic axis.

    A narrow peak about 1 means that the units are alike; a long tail to the left, that units with
    few reads stayed in the filter.

    Parameters
    ----------
    values
        (N): corrections, as in `HiC.corrections`.
    valid
        (N): the filter, above 0 for units in use.
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
        If the two have different lengths, or no unit in use has a positive correction.

    Examples
    --------
    >>> from hifive_dask import plot
    >>> figure = plot.corrections([0.5, 1.0, 2.0, 0.0], [1, 1, 1, 0])
    >>> figure.axes[0].get_ylabel()
    'units'
    """
    all_values, use = np.asarray(values, dtype=np.float64), np.asarray(valid) > 0
    if all_values.shape != use.shape:
        raise ParameterError(
            f"values and valid have shapes {all_values.shape} and {use.shape}, expected the same"
        )
    kept = all_values[use & (all_values > 0)]
    if not len(kept):
        raise ParameterError("no unit in use has a correction; there is nothing to draw")
    figure, axes = new_axes(4.8, 3.2) if ax is None else (ax.figure, ax)
    low, high = min(kept.min(), 0.5), max(kept.max(), 2.0)
    edges = np.geomspace(low * 0.98, high * 1.02, _BINS + 1)
    count, _ = np.histogram(kept, edges)
    axes.stairs(count, edges, fill=True, color=_PALE)
    axes.stairs(count, edges, color=ACCENT, linewidth=1.0)
    axes.axvline(1, color=INK, linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    axes.set_ylim(0, 1.2 * count.max())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    note = f"{len(kept):,} units in use\nmedian {np.median(kept):.3g}"
    axes.text(0.98, 0.96, note, transform=axes.transAxes, ha="right", va="top", fontsize=8)
    adorn(axes, title=title, xlabel="correction", ylabel="units", frame=False)
    return figure


def insert_sizes(
    insert_distribution: ArrayLike,
    maxinsert: int | None = None,
    *,
    title: str = "",
    ax: Any = None,
) -> Figure:
    """Draw the histogram of insert sizes: the summed distances of both ends to their cut sites.

    Parameters
    ----------
    insert_distribution
        int64 (rows, 2): distinct read pairs, and the lower edge of the row in bp, as in
        `HiCData.insert_distribution`.
    maxinsert
        bp: read pairs above were rejected.
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
        If there are no read pairs.

    Examples
    --------
    >>> from hifive_dask import plot
    >>> figure = plot.insert_sizes([[0, 0], [5, 100], [3, 200], [0, 300]], maxinsert=200)
    >>> figure.axes[0].get_xlabel()
    'insert size'
    """
    count, lower = np.asarray(insert_distribution).T
    if not count.any():
        raise ParameterError("the histogram of insert sizes is empty; there is nothing to draw")
    figure, axes = new_axes(4.8, 3.2) if ax is None else (ax.figure, ax)
    shown = slice(max(0, np.flatnonzero(count)[0] - 1), np.flatnonzero(count)[-1] + 1)
    # The first row begins at 0, where a logarithm cannot; the last one has no end.
    edge = np.r_[lower[1] / 2, lower[1:], lower[-1] * 1.05][shown.start : shown.stop + 1]
    # Rows widen with size: read pairs per doubling of the size make them comparable.
    height = count[shown] / np.diff(np.log2(edge))
    passed = edge[:-1] < (np.inf if maxinsert is None else maxinsert)
    axes.stairs(np.where(passed, height, 0), edge, fill=True, color=_PALE)
    axes.stairs(np.where(passed, 0, height), edge, fill=True, color="#e3e5e8")
    axes.stairs(height, edge, color=ACCENT, linewidth=1.0)
    axes.set_xscale("log")
    if maxinsert is not None:
        share = count[lower < maxinsert].sum() / count.sum()
        axes.axvline(maxinsert, color=INK, linewidth=0.8, linestyle="--")
        note = f"maxinsert {maxinsert:,} bp\n{share:.1%} of read pairs below"
        axes.text(0.98, 0.96, note, transform=axes.transAxes, ha="right", va="top", fontsize=8)
    axes.set_ylim(0, 1.2 * height.max())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: length_text(value)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    adorn(axes, title=title, xlabel="insert size", ylabel="read pairs per doubling", frame=False)
    return figure


def balance_trace(trace: ArrayLike, minchange: float | None = None, *, title: str = "") -> Figure:
    """Draw cost and change of every iteration of a normalization.

    Parameters
    ----------
    trace
        (iterations, 2): cost and largest relative change, as in `HiC.trace`.
    minchange
        The change below which the iteration had converged, drawn as a line.
    title
        Text above.

    Returns
    -------
    matplotlib.figure.Figure
        With an axes for the cost, and below one for the change.

    Raises
    ------
    ParameterError
        If the trace is empty.

    Examples
    --------
    >>> from hifive_dask import plot
    >>> len(plot.balance_trace([[10.0, 0.5], [4.0, 0.1], [3.9, 0.01]]).axes)
    2
    """
    values = np.asarray(trace, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != 2 or not len(values):
        raise ParameterError(f"the trace has shape {values.shape}, expected (iterations, 2)")
    figure, axes = new_axes(4.8, 4.4, rows=2)
    iteration = np.arange(1, len(values) + 1)
    marker = "o" if len(values) <= _BINS else ""
    for ax, column, label in zip(axes, values.T, ("cost", "largest relative change"), strict=True):
        drawn = np.where(column > 0, column, np.nan)
        ax.plot(iteration, drawn, color=ACCENT, linewidth=1.2, marker=marker, markersize=2.5)
        ax.set_yscale("log")
        ax.grid(True, which="major", color=MUTED, alpha=0.25, linewidth=0.5)
        adorn(ax, ylabel=label, frame=False)
    if minchange is not None:
        axes[1].axhline(minchange, color=INK, linewidth=0.8, linestyle="--")
    axes[0].set_title(title, loc="left", fontsize=10, color=INK, pad=8)
    axes[1].set_xlabel("iteration", fontsize=9, color=INK)
    axes[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
