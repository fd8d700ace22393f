"""Partners of fends, or bins: which of them the filter kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike

from hifive_dask.errors import ParameterError
from hifive_dask.plot.style import ACCENT, INK, MUTED, REJECTED, adorn, legend, new_axes
from hifive_dask.public import answering

__all__ = ["coverage"]

_PER_DECADE = 12


@answering
def coverage(
    partners: ArrayLike,
    valid: ArrayLike,
    limit: int | None = None,
    *,
    what: str = "partners",
    unit: str = "fend",
    title: str = "",
    ax: Any = None,
) -> Figure:
    """Draw how many partners, or reads, fends or bins have, those in use beside all others.

    Parameters
    ----------
    partners
        (N): a number of each of them.
    valid
        (N): the filter, above 0 for those in use.
    limit
        Number that the filter asked for, drawn as a line.
    what
        What was counted.
    unit
        What they are: ``"fend"`` or ``"bin"``.
    title
        Text above.
    ax
        Axes to draw into; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Those without any stand at the left of 1.

    Raises
    ------
    ParameterError
        If the two have different lengths, or there is nothing to count.

    Examples
    --------
    >>> from hifive_dask import plot
    >>> figure = plot.coverage([0, 3, 40, 50], [0, 0, 1, 1], 10)
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['in use: 2', 'not in use: 2', 'limit: 10']
    """
    number, use = np.asarray(partners), np.asarray(valid) > 0
    if number.shape != use.shape or not len(number):
        raise ParameterError(
            f"partners and valid have shapes {number.shape} and {use.shape}, expected the same, "
            f"and at least one {unit}"
        )
    figure, axes = new_axes(4.8, 3.2, given=ax)
    edges = _edges(int(number.max()))
    shown = np.where(number > 0, number, edges[0])
    # Rows widen with the number: numbers per doubling make them comparable.
    width = np.diff(np.log2(edges))
    below = np.zeros(len(edges) - 1)
    for chosen, colour, word in ((use, ACCENT, "in use"), (~use, REJECTED, "not in use")):
        if not chosen.any():
            continue
        count = np.histogram(shown[chosen], edges)[0] / width
        axes.stairs(
            below + count, edges, baseline=below, fill=True, color=colour,
            label=f"{word}: {int(chosen.sum()):,}",
        )  # fmt: skip
        below = below + count
    if limit:
        axes.axvline(limit, color=INK, linewidth=0.8, linestyle="--", label=f"limit: {limit:,}")
    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, 1.05 * max(1, below.max()))
    ticks = [edges[0] * 2**0.5, *(10.0**k for k in range(12) if 10.0**k <= edges[-1])]
    axes.set_xticks(ticks, ["0", *(f"{tick:,.0f}" for tick in ticks[1:])])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    adorn(axes, title=title, xlabel=what, ylabel=f"{unit}s per doubling", frame=False, rows=1)
    axes.tick_params(which="minor", color=MUTED)
    handles, labels = axes.get_legend_handles_labels()
    legend(axes, handles, labels)
    return figure


def _edges(most: int) -> Any:
    """Edges between whole numbers, widening; before them a row, one doubling wide, for none."""
    wide = np.geomspace(1, max(most, 9) + 1, _PER_DECADE * len(str(max(most, 9))) + 1)
    return np.r_[0.25, np.unique(np.round(wide - 0.5) + 0.5)]
