"""Where 5' ends of reads lie relative to the cut sites."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike, NDArray

from hifive_dask.errors import ParameterError
from hifive_dask.plot.style import ACCENT, INK, MUTED, WARM, Picture, adorn
from hifive_dask.reads.sites import look_at_sites

__all__ = ["cut_sites"]

_NEAR = 20  # bp around a cut that the upper axes show
_WIDTH = 5  # bp that are added up in the lower axes
_STRANDS = (("plus strand", ACCENT), ("minus strand", WARM[2]))


def cut_sites(end_distribution: ArrayLike, *, title: str = "") -> Figure:
    """Draw how many 5' ends lie at each place around the cut sites, by strand.

    Ends of molecules that were cut and not ligated make narrow peaks: with the right sites at 0 on
    the plus strand, and at the overhang of the enzyme on the minus strand. Ends of ligated
    molecules face the cut: those of the plus strand lie before it, those of the minus strand behind
    it. With the sites of another enzyme both lines are alike.

    Parameters
    ----------
    end_distribution
        int64 (rows, 3): ends on the plus strand, ends on the minus strand, and place relative to
        the nearest cut in bp, as in `HiCData.end_distribution`.
    title
        Text above.

    Returns
    -------
    matplotlib.figure.Figure
        With an axes for the places next to the cuts, and below one for all places.

    Raises
    ------
    ParameterError
        If there are no ends.

    Examples
    --------
    >>> import numpy as np
    >>> from hifive_dask import plot
    >>> ends = np.stack([np.full(601, 9), np.full(601, 9), np.arange(-300, 301)], axis=1)
    >>> figure = plot.cut_sites(ends)
    >>> [axes.get_xlabel() for axes in figure.axes]
    ["5' end, bp from the nearest cut", "5' end, bp from the nearest cut"]
    """
    table = np.asarray(end_distribution, dtype=np.int64).reshape(-1, 3)
    sites = look_at_sites(table)
    if sites is None:
        raise ParameterError("the histogram of 5' ends is empty; there is nothing to draw")
    figure = Picture(4.8, 4.8)
    near, wide = figure.subplots(2)
    counts, place = table[:, :2].T, table[:, 2]
    _draw(near, counts, place, _NEAR, 1)
    _draw(wide, counts, place, int(place[-1]), _WIDTH)
    outside = np.abs(place) > _NEAR  # a peak may be a hundred times as high as all else
    wide.set_ylim(0, 1.25 * max(1.0, _added(counts[:, outside], place[outside])[0].max() / _WIDTH))
    near.set_ylim(0, 1.35 * max(1, counts[:, np.abs(place) <= _NEAR].max()))
    peaks = "no dangling ends"
    if sites.shift is not None:
        peaks = f"dangling ends at {_place(sites.plus)} (plus)\nand {_place(sites.minus)} (minus)"
    _note(near, peaks)
    if sites.facing is not None:
        _note(wide, f"{sites.facing:.3g} times as many ends\nface the cut as look away")
    near.legend(loc="upper left", fontsize=8, frameon=False, labelcolor=INK)
    near.set_title(title, loc="left", fontsize=10, color=INK, pad=8)
    return figure


def _place(place: int | None) -> str:
    return "no place" if place is None else f"{place:+d} bp" if place else "0 bp"


def _added(
    counts: NDArray[np.int64], place: NDArray[np.int64], width: int = _WIDTH
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Counts of `width` places each, symmetric to 0, and their edges."""
    half = width / 2
    last = np.ceil((np.abs(place).max() - half) / width)
    edges = half + width * np.arange(-last - 1, last + 1)
    sums = np.stack([np.histogram(place, edges, weights=count)[0] for count in counts])
    return sums.astype(np.int64), edges


def _draw(
    axes: Any, counts: NDArray[np.int64], place: NDArray[np.int64], reach: int, width: int
) -> None:
    """Draw a line of steps per strand: ends per bp."""
    here = np.abs(place) <= reach
    sums, edges = _added(counts[:, here], place[here], width)
    for (label, colour), row in zip(_STRANDS, sums, strict=True):
        axes.stairs(row / width, edges, baseline=None, color=colour, linewidth=1.2, label=label)
    axes.axvline(0, color=MUTED, linewidth=0.8, linestyle="--")
    axes.set_xlim(edges[0], edges[-1])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    adorn(axes, xlabel="5' end, bp from the nearest cut", ylabel="ends per bp", frame=False)


def _note(axes: Any, note: str) -> None:
    axes.text(
        0.985, 0.97, note, transform=axes.transAxes, ha="right", va="top", fontsize=8, color=INK,
        linespacing=1.4,
        bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 2},
    )  # fmt: skip
