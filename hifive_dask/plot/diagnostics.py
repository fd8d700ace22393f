"""Pictures that tell whether the steps before a heatmap went well."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike

from hifive_dask.about import counted
from hifive_dask.errors import ParameterError
from hifive_dask.plot.style import (
    ACCENT,
    INK,
    MUTED,
    OUTSIDE,
    PALE,
    adorn,
    length_text,
    log_ticks,
    minus,
    new_axes,
    note,
    share_text,
)
from hifive_dask.public import answering
from hifive_dask.reads.classes import share_up_to

__all__ = ["corrections", "insert_sizes", "trace"]

_BINS = 60
_PERCENTILES = (5, 50, 95)


@answering
def corrections(
    values: ArrayLike, valid: ArrayLike, *, unit: str = "fend", title: str = "", ax: Any = None
) -> Figure:
    """Draw a histogram of log2 of the corrections of the fends, or bins, in use.

    A narrow peak about 0 means that they are alike; a long tail to the left, that some with few
    reads stayed in the filter. Lines mark the median and the 5th and 95th percentile.

    Parameters
    ----------
    values
        (N): corrections, as in `HiC.corrections`.
    valid
        (N): the filter, above 0 for those in use.
    unit
        What they are: ``"fend"`` or ``"bin"``.
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
        If the two have different lengths, or none in use has a positive correction.

    Examples
    --------
    >>> from hifive_dask import plot
    >>> figure = plot.corrections([0.5, 1.0, 2.0, 0.0], [1, 1, 1, 0])
    >>> figure.axes[0].get_xlabel()
    'log2 correction'
    """
    all_values, use = np.asarray(values, dtype=np.float64), np.asarray(valid) > 0
    if all_values.shape != use.shape:
        raise ParameterError(
            f"values and valid have shapes {all_values.shape} and {use.shape}, expected the same"
        )
    kept = all_values[use & (all_values > 0) & np.isfinite(all_values)]
    if not len(kept):
        raise ParameterError(f"no {unit} in use has a correction; there is nothing to draw")
    kept = np.log2(kept)
    figure, axes = new_axes(4.8, 3.2, given=ax)
    edges = np.linspace(min(kept.min(), -1) - 0.02, max(kept.max(), 1) + 0.02, _BINS + 1)
    count, _ = np.histogram(kept, edges)
    axes.stairs(count, edges, fill=True, color=PALE)
    axes.stairs(count, edges, color=ACCENT, linewidth=1.0)
    percentiles = np.percentile(kept, _PERCENTILES)
    for value, colour in zip(percentiles, (MUTED, INK, MUTED), strict=True):
        axes.axvline(value, color=colour, linewidth=0.8, linestyle="--")
    low, median, high = (minus(f"{value:.2f}") for value in percentiles)
    note(
        axes,
        f"{len(kept):,} {unit}s in use\nmedian {median}, 5th to 95th percentile {low} to {high}",
    )
    axes.set_ylim(0, 1.05 * count.max())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    adorn(axes, title=title, xlabel="log2 correction", ylabel=f"{unit}s", frame=False, rows=2)
    return figure


@answering
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
    figure, axes = new_axes(4.8, 3.2, given=ax)
    shown = slice(max(0, np.flatnonzero(count)[0] - 1), np.flatnonzero(count)[-1] + 1)
    # The first row begins at 0, where a logarithm cannot; the last one has no end.
    edge = np.r_[lower[1] / 2, lower[1:], lower[-1] * 1.05][shown.start : shown.stop + 1]
    # Rows widen with size: read pairs per doubling of the size make them comparable.
    height = count[shown] / np.diff(np.log2(edge))
    limit = edge[-1] if maxinsert is None else max(maxinsert, edge[0])
    axes.stairs(height, np.minimum(edge, limit), fill=True, color=PALE)
    axes.stairs(height, np.maximum(edge, limit), fill=True, color=OUTSIDE)
    axes.stairs(height, edge, color=ACCENT, linewidth=1.0)
    axes.set_xscale("log")
    axes.set_xlim(edge[0], edge[-1])
    if maxinsert is not None:
        axes.axvline(maxinsert, color=INK, linewidth=0.8, linestyle="--")
        share = share_text(100 * share_up_to(maxinsert, count, lower))
        note(axes, f"{share} of read pairs up to maxinsert, {maxinsert:,} bp")
    axes.set_ylim(0, 1.05 * height.max())
    log_ticks(axes.xaxis, length_text, 7)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    adorn(
        axes, title=title, xlabel="insert size", ylabel="read pairs per doubling", frame=False,
        rows=maxinsert is not None,
    )  # fmt: skip
    return figure


@answering
def trace(
    trace: ArrayLike, minchange: float | None = None, *, last: int | None = None, title: str = ""
) -> Figure:
    """Draw cost and change of every iteration of a normalization.

    Parameters
    ----------
    trace
        (iterations, 2): cost and largest relative change, as in `HiC.trace`.
    minchange
        The change below which the iteration had converged, drawn as a line.
    last
        Iteration of the last row, `HiC.iterations`; by default the number of rows, of which that of
        Probability has one more, for the start.
    title
        Text above.

    Returns
    -------
    matplotlib.figure.Figure
        With an axes for the cost, and below one for the change, the last of which is written out.

    Raises
    ------
    ParameterError
        If the trace is empty.

    Examples
    --------
    >>> from hifive_dask import plot
    >>> figure = plot.trace([[10.0, 0.5], [4.0, 0.1], [3.9, 0.01]])
    >>> figure.axes[1].texts[0].get_text()
    'change 0.01 after 3 iterations'
    """
    values = np.asarray(trace, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != 2 or not len(values):
        raise ParameterError(f"the trace has shape {values.shape}, expected (iterations, 2)")
    figure, axes = new_axes(4.8, 4.4, rows=2)
    iteration = np.arange(1 - len(values), 1) + (len(values) if last is None else last)
    marker = "o" if len(values) <= _BINS else ""
    for ax, column, label in zip(axes, values.T, ("cost", "largest relative change"), strict=True):
        drawn = np.where(column > 0, column, np.nan)
        ax.plot(iteration, drawn, color=ACCENT, linewidth=1.2, marker=marker, markersize=2.5)
        ax.plot(iteration[-1:], drawn[-1:], "o", color=ACCENT, markersize=4.5)
        ax.set_yscale("log")
        ax.grid(True, which="major", color=MUTED, alpha=0.25, linewidth=0.5)
        adorn(ax, ylabel=label, frame=False)
    if minchange is not None:
        axes[1].axhline(minchange, color=INK, linewidth=0.8, linestyle="--")
    count = counted(int(iteration[-1]), "iteration")
    note(axes[1], f"change {minus(f'{values[-1, 1]:.3g}')} after {count}")
    axes[0].set_title(title, loc="left", fontsize=10, color=INK, pad=8)
    axes[1].set_xlabel("iteration", fontsize=9, color=INK)
    axes[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
