"""Pictures of what corrections did: by feature, by chromosome, and as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError
from hifive_dask.model.diagnostics import profile, varying
from hifive_dask.plot.style import ACCENT, INK, MUTED, REJECTED, Picture, adorn, as_name, new_axes
from hifive_dask.public import answering

__all__ = ["biases", "chromosomes", "marginals"]

_FLOOR = 2.0**-6  # of coverages: units without reads stand here
_LABELS = {"length": "length, bp", "gc": "GC content", "coverage": "coverage before"}


@answering
def biases(
    table: pd.DataFrame, features: Sequence[str] | None = None, *, title: str = ""
) -> Figure:
    """Draw reads per possible partner against features, before and after correction.

    Units are cut into 20 groups of equal number by the feature. A line shows the mean of each
    group, a band the middle half of its units. A flat line at 0 after the correction means that
    nothing of the feature is left.

    Parameters
    ----------
    table
        As `HiC.unit_table` returns it.
    features
        Columns; by default all features that differ between units, and the coverage before.
    title
        Text above.

    Returns
    -------
    matplotlib.figure.Figure
        With an axes per feature, below each other.

    Raises
    ------
    ParameterError
        If a feature is no column, or has no finite value.

    Examples
    --------
    >>> import hifive_dask as hd
    >>> from hifive_dask import plot
    >>> from hifive_dask.testing import toy_project
    >>> hic = hd.HiC(toy_project(), silent=True)
    >>> hic.filter_fends(mininteractions=5)
    >>> hic.find_express_fend_corrections(remove_distance=False)
    >>> figure = plot.biases(hic.unit_table(), ["length"])
    >>> figure.axes[0].get_xlabel()
    'length, bp'
    """
    known = [*varying(table), "coverage"]
    names = list(features) if features else known
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise ParameterError(
            f"the table has no feature {', '.join(missing)}; it has {', '.join(known)}"
        )
    height = 2.3 * len(names) + 0.4
    figure = Picture(5.0, height)
    for k, name in enumerate(names):
        ax = figure.add_subplot(len(names), 1, k + 1)
        _draw_feature(ax, table, name)
        adorn(
            ax,
            title=title if k == 0 else "",
            xlabel=_LABELS.get(name, name),
            ylabel="log2 relative coverage",
            frame=False,
        )
    _legend(figure.axes[0], "lower right")
    return figure


def _draw_feature(ax: Any, table: pd.DataFrame, name: str) -> None:
    groups = profile(table, name)
    middle = groups["middle"].to_numpy()
    for column, colour in (("coverage", MUTED), ("corrected", ACCENT)):
        low, high, mean = (
            _log2(groups[f"{column}_{part}"].to_numpy()) for part in ("low", "high", "mean")
        )
        ax.fill_between(middle, low, high, color=colour, alpha=0.18, linewidth=0)
        ax.plot(middle, mean, color=colour, linewidth=1.4, marker="o", markersize=2.5)
    ax.axhline(0, color=INK, linewidth=0.6, linestyle=":")
    if name in ("length", "coverage") and (table[name] > 0).all():
        ax.set_xscale("log")
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


@answering
def marginals(
    table: pd.DataFrame, *, unit: str = "fend", title: str = "", ax: Any = None
) -> Figure:
    """Draw the distribution of reads per possible partner over units, before and after correction.

    Balanced corrections make all units equal: the second distribution is then a single bar at 0.

    Parameters
    ----------
    table
        As `HiC.unit_table` returns it.
    unit
        What its rows are: ``"fend"`` or ``"bin"``.
    title
        Text above.
    ax
        Axes to draw into; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_axes(4.8, 3.2, given=ax)
    before, after = (_log2(table[name].to_numpy()) for name in ("coverage", "corrected"))
    limit = float(max(1.0, np.quantile(np.abs(np.r_[before, after]), 0.999)))
    edges = np.linspace(-limit, limit, 62)
    for values, colour, fill in ((before, MUTED, REJECTED), (after, ACCENT, None)):
        count, _ = np.histogram(np.clip(values, -limit, limit), edges)
        share = 100 * count / max(1, len(values))
        if fill:
            axes.stairs(share, edges, fill=True, color=fill)
        axes.stairs(share, edges, color=colour, linewidth=1.2)
    adorn(axes, title=title, xlabel="log2 relative coverage", ylabel=f"{unit}s, %", frame=False)
    _legend(axes, "upper right")
    return figure


@answering
def chromosomes(table: pd.DataFrame, *, title: str = "", ax: Any = None) -> Figure:
    """Draw corrections by chromosome as boxes: middle half, median, 5th to 95th percentile.

    A chromosome that lies apart has another copy number, or another mappability.

    Parameters
    ----------
    table
        As `HiC.unit_table` returns it.
    title
        Text above.
    ax
        Axes to draw into; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    groups = table.groupby("chromosome", observed=True)["correction"]
    boxes = [
        {
            "label": as_name(str(name)),
            **dict(
                zip(
                    ("whislo", "q1", "med", "q3", "whishi"),
                    np.quantile(
                        np.log2(values.to_numpy(np.float64)), (0.05, 0.25, 0.5, 0.75, 0.95)
                    ),
                    strict=True,
                )
            ),
        }
        for name, values in groups
    ]
    width = min(14.0, 1.6 + 0.32 * max(6, len(boxes)))
    figure, axes = new_axes(width, 3.2, given=ax)
    line = {"color": ACCENT, "linewidth": 1.0}
    axes.bxp(
        boxes, showfliers=False, widths=0.6, boxprops=line, whiskerprops=line, capprops=line,
        medianprops={"color": INK, "linewidth": 1.2},
    )  # fmt: skip
    axes.axhline(0, color=INK, linewidth=0.6, linestyle=":")
    adorn(axes, title=title, ylabel="log2 correction", frame=False)
    if max(len(box["label"]) for box in boxes) > 2:
        axes.tick_params(axis="x", labelrotation=60)
    return figure


def _log2(values: NDArray[np.float64]) -> NDArray[np.float64]:
    logs: NDArray[np.float64] = np.log2(np.maximum(values, _FLOOR))
    return logs


def _legend(ax: Any, place: str) -> None:
    handles = [Line2D([], [], color=c, linewidth=1.6) for c in (MUTED, ACCENT)]
    ax.legend(handles, ["before", "after"], frameon=False, fontsize=8, loc=place)
