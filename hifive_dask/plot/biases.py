"""Pictures of what corrections did: by feature, by chromosome, and as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError
from hifive_dask.model.diagnostics import profile, varying
from hifive_dask.plot.style import (
    ACCENT,
    INK,
    MUTED,
    REJECTED,
    Picture,
    adorn,
    as_name,
    legend,
    log_ticks,
    new_axes,
    number_text,
)
from hifive_dask.public import answering

__all__ = ["biases", "chromosomes", "marginals"]

_MOST_BOXES = 40  # chromosomes, beside each other
_FLOOR = 2.0**-6  # of coverages: those without reads stand here
_LABELS = {
    "length": "length, bp",
    "gc": "GC content",
    "coverage": "relative coverage before correction",
}
_TALL = 1.6  # most times of the tallest bar before correction that the axis of `marginals` reaches


@answering
def biases(
    table: pd.DataFrame, features: Sequence[str] | None = None, *, title: str = ""
) -> Figure:
    """Draw reads per possible partner against features, before and after correction.

    Fends, or bins, are cut into 20 groups of equal number by the feature. A line shows the mean of
    each group, a band the middle half of it. A flat line at 0 after the correction means that
    nothing of the feature is left.

    Parameters
    ----------
    table
        As `HiC.unit_table` returns it.
    features
        Columns; by default all features that differ between them, and the coverage before.
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
            rows=k == 0,
        )
    handles = [*_lines(), Patch(facecolor=MUTED, alpha=0.3)]
    legend(figure.axes[0], handles, ["before", "after correction", "middle half of each group"])
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
        log_ticks(ax.xaxis, number_text, 8)
    else:
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number_text(value)))


@answering
def marginals(
    table: pd.DataFrame, *, unit: str = "fend", title: str = "", ax: Any = None
) -> Figure:
    """Draw the distribution of reads per possible partner, before and after correction.

    Corrections that balance make all fends, or bins, equal: the second distribution is then a
    single bar at 0. Where it would dwarf the first, its upper part is cut off and its height
    written out.

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
    tallest = []
    for values, colour, fill in ((before, MUTED, REJECTED), (after, ACCENT, None)):
        count, _ = np.histogram(np.clip(values, -limit, limit), edges)
        share = 100 * count / max(1, len(values))
        if fill:
            axes.stairs(share, edges, fill=True, color=fill)
        axes.stairs(share, edges, color=colour, linewidth=1.2)
        tallest.append(float(share.max()))
    top = min(max(tallest), _TALL * tallest[0])
    axes.set_ylim(0, 1.05 * top)
    cut = f" (tallest bar {tallest[1]:.0f} %)" if tallest[1] > 1.05 * top else ""
    adorn(
        axes, title=title, xlabel="log2 relative coverage", ylabel=f"{unit}s, %", frame=False,
        rows=1,
    )  # fmt: skip
    legend(axes, _lines(), ["before", f"after correction{cut}"])
    return figure


@answering
def chromosomes(table: pd.DataFrame, *, title: str = "", ax: Any = None) -> Figure:
    """Draw corrections by chromosome as boxes: middle half, median, 5th to 95th percentile.

    A chromosome that lies apart has another copy number, or another mappability. Of more than 40
    chromosomes the smaller ones share a box.

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
    boxes = [
        {
            "label": as_name(name),
            **dict(
                zip(
                    ("whislo", "q1", "med", "q3", "whishi"),
                    np.quantile(np.log2(values), (0.05, 0.25, 0.5, 0.75, 0.95)),
                    strict=True,
                )
            ),
        }
        for name, values in _corrections_of(table).items()
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


def _corrections_of(table: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Corrections by the chromosomes with most units; of all others together at the end."""
    found = {
        str(name): values.to_numpy(np.float64)
        for name, values in table.groupby("chromosome", observed=True)["correction"]
    }
    if len(found) <= _MOST_BOXES:
        return found
    largest = {*sorted(found, key=lambda name: -len(found[name]))[: _MOST_BOXES - 1]}
    shown = {name: found.pop(name) for name in [*found] if name in largest}
    return {**shown, f"{len(found):,} others": np.concatenate([*found.values()])}


def _log2(values: NDArray[np.float64]) -> NDArray[np.float64]:
    logs: NDArray[np.float64] = np.log2(np.maximum(values, _FLOOR))
    return logs


def _lines() -> list[Line2D]:
    return [Line2D([], [], color=colour, linewidth=1.6) for colour in (MUTED, ACCENT)]
