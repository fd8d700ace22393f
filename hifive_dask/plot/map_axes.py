"""What the axes of a map say: positions or chromosomes, colours, and a title."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib.colors import LogNorm
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from hifive_dask.heatmap.labels import drawn
from hifive_dask.plot.scales import Scale
from hifive_dask.plot.style import (
    INK,
    as_name,
    length_text,
    length_unit,
    log_ticks,
    number_text,
)

__all__ = ["colour_bar", "label_axis", "map_title"]

_NAME_SIZE = 7.0  # points, of chromosomes
_TICK_WIDTH = 44.0  # points that a position needs


def map_title(dataset: xr.Dataset, variable: str, factor: int) -> str:
    """Region, what is drawn of it, and the size of the bins that are drawn."""
    regions = [as_name(str(dataset.attrs.get(name, ""))) for name in ("region", "region2")]
    place = "whole genome" if regions[0] == "genome" else " / ".join(filter(None, regions))
    what = drawn(variable, str(dataset.attrs.get("datatype", "enrichment")))
    size = int(dataset.attrs.get("binsize", 0)) * factor
    words = [place, what, f"{length_text(size)} bins" if size else "unbinned"]
    narrow = dataset.sizes["bin2"] < 0.6 * dataset.sizes["bin1"]
    return ("\n" if narrow else ", ").join(filter(None, words))


def label_axis(
    axes: Any, dataset: xr.Dataset, number: int, side: Literal["x", "y"], points: float
) -> None:
    """Ticks and names of an axis, a bin of which is `points` wide.

    They are positions in one chromosome, or the names of several.
    """
    names = dataset[f"chromosome{number}"].values.astype(str)
    borders = np.r_[0, np.flatnonzero(names[1:] != names[:-1]) + 1, len(names)]
    axis = getattr(axes, f"{side}axis")
    if len(borders) == 2:
        start, stop = (dataset[f"{name}{number}"].values for name in ("start", "stop"))
        most = points * len(names) / (_TICK_WIDTH if side == "x" else _TICK_WIDTH / 2)
        unit, place, texts = ticks_of(start, stop, int(np.clip(most, 1, 6)))
        axis.set_ticks(place, texts)
        axis.set_label_text(f"{as_name(names[0])} ({unit})")
        return
    middle, shown = (borders[:-1] + borders[1:]) / 2, names[borders[:-1]]
    tall = np.full(len(shown), 1.25 * _NAME_SIZE)
    wide = 0.62 * _NAME_SIZE * np.char.str_len(shown) + _NAME_SIZE
    kept = _apart(middle * points, tall, np.diff(borders))
    upright = side == "x" and len(_apart(middle * points, wide, np.diff(borders))) < len(kept)
    if side == "x" and not upright:
        kept = _apart(middle * points, wide, np.diff(borders))
    texts = [as_name(name) for name in shown[kept]]
    axis.set_ticks(middle[kept], texts, rotation=90 if upright else 0)
    axis.set_tick_params(length=0, labelsize=_NAME_SIZE)
    for border in borders[1:-1]:
        line = axes.axvline if side == "x" else axes.axhline
        line(border, color=INK, linewidth=0.4, alpha=0.5)


def ticks_of(
    start: NDArray[Any], stop: NDArray[Any], most: int
) -> tuple[str, NDArray[np.float64], list[str]]:
    """Unit, places in bins and texts of round positions."""
    unit, bp = length_unit(int(stop[-1]))
    locator = MaxNLocator(most, steps=[1, 2, 5, 10])
    ticks = np.asarray(locator.tick_values(start[0] / bp, stop[-1] / bp))
    ticks = ticks[(ticks * bp >= start[0]) & (ticks * bp <= stop[-1])]
    # Bins of single fends differ in width.
    place = np.interp(ticks * bp, np.r_[start, stop[-1]], np.arange(len(start) + 1))
    decimals = max((len(f"{tick:.10g}".partition(".")[2]) for tick in ticks), default=0)
    return unit, place, [f"{tick:,.{decimals}f}" for tick in ticks]


def _apart(
    middle: NDArray[Any], extent: NDArray[Any], weight: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Labels that do not run into each other, the heaviest first; in order."""
    kept: list[int] = []
    for k in np.argsort(-weight, kind="stable"):
        if all(2 * abs(middle[k] - middle[j]) >= extent[k] + extent[j] for j in kept):
            kept.append(int(k))
    return np.array(sorted(kept), dtype=np.int64)


def colour_bar(axes: Any, image: Any, scale: Scale, height: float) -> None:
    """Draw the colour bar of a map that is `height` times as high as wide.

    Below it stands what the colours mean that are not on it.
    """
    # Inset axes are as high as the map, whatever its shape.
    part = max(1.0, height)
    place = axes.inset_axes((1 + 0.025 * part, 0.0, 0.028 * part, 1.0))
    bar = axes.figure.colorbar(image, cax=place)
    flat = height < 0.5
    if isinstance(image.norm, LogNorm):
        log_ticks(bar.ax.yaxis, number_text, 4 if flat else 8)
    else:
        bar.ax.yaxis.set_major_locator(MaxNLocator(4 if flat else 8, steps=[1, 2, 5, 10]))
    bar.set_label(
        scale.label.replace(" / ", "\n/ ") if flat else scale.label,
        fontsize=7 if flat else 9,
        color=INK,
    )
    bar.outline.set_linewidth(0.6)
    bar.ax.tick_params(which="major", labelsize=8, width=0.6, length=3, color=INK, labelcolor=INK)
    bar.ax.tick_params(which="minor", width=0.4, length=1.5, color=INK)
    notes = [
        (colour, text)
        for colour, text in (
            (image.cmap.get_bad(), scale.missing),
            (image.cmap.get_under(), scale.zero),
        )
        if text
    ]
    if notes:
        bar.ax.legend(
            [Patch(facecolor=colour, edgecolor=INK, linewidth=0.4) for colour, _ in notes],
            [text for _, text in notes],
            loc="upper left", bbox_to_anchor=(0, 0), frameon=False, fontsize=7, borderpad=0,
            borderaxespad=0.8, handlelength=0.9, handleheight=0.9, handletextpad=0.5,
            labelspacing=0.3, labelcolor=INK,
        )  # fmt: skip
