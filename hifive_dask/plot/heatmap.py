"""Pictures of heatmaps."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib.colors import Colormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError
from hifive_dask.plot.pixels import reduce_map
from hifive_dask.plot.scales import Scale, one_colour, two_colours
from hifive_dask.plot.style import INK, adorn, length_text, length_unit, new_axes

__all__ = ["Variable", "heatmap"]

Variable = Literal["observed", "expected", "enrichment"]

_SIZE = 5.4  # inches of the longer axis
_NAME_SIZE = 7.0  # points, of chromosomes
_TICK_WIDTH = 44.0  # points that a position needs
_LABELS = {
    ("observed", "expected"): "possible pairs",
    ("expected", "raw"): "possible pairs",
    ("enrichment", "raw"): "reads per possible pair",
    ("enrichment", "fend"): "reads per possible pair, corrected",
    ("enrichment", "expected"): "possible pairs per expected read",
    ("enrichment", "balanced"): "balanced reads",
    ("enrichment", "counts"): "reads",
}
_NEEDED: dict[str, tuple[str, ...]] = {
    "observed": ("observed",),
    "expected": ("expected",),
    "enrichment": ("observed", "expected"),
}
_COORDINATES = ("chromosome", "start", "stop")
_PLAIN_LABELS = {"observed": "reads", "expected": "expected reads"}


def heatmap(
    dataset: xr.Dataset,
    *,
    variable: Variable = "enrichment",
    cmap: str | Colormap | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    log: bool = True,
    pseudocount: float = 0.0,
    title: str | None = None,
    ax: Any = None,
    pixels: int = 1200,
) -> Figure:
    """Draw a heatmap; the first bin is at the top left.

    Enrichment over an expectation that knows the distance is drawn in two colours about 1, all else
    in one. Cells without reads are white among observed reads; those without a ratio are grey. A
    large map is drawn with wider bins: reads and expected reads are summed before they are divided.
    Only the variables that the picture needs are computed.

    Parameters
    ----------
    dataset
        What `HiC.heatmap` returned, lazy or computed.
    variable
        ``"observed"``, ``"expected"`` or ``"enrichment"``.
    cmap
        A Matplotlib colour map, to replace the default one.
    vmin, vmax
        Limits of the colours, in the unit of the colour bar; by default from quantiles. Scales of
        two colours are symmetric if only one of them is given.
    log
        Whether colours follow the logarithm: log2 of an enrichment in two colours, else a
        logarithmic axis.
    pseudocount
        Reads added to observed and expected of an enrichment in two colours. Where less than one
        read is expected, neither its presence nor its absence says much; 1 keeps such cells pale, 0
        draws the plain ratio, and cells without reads in grey.
    title
        By default the region, the datatype and the bin size.
    ax
        Axes to draw into; by default those of a new figure.
    pixels
        Largest number of cells along an axis of the picture; a larger map is reduced to it.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If `dataset` is no heatmap or empty, `variable` is unknown, `pseudocount` is negative,
        `pixels` is below 1, or the limits make no scale.

    Examples
    --------
    >>> import hifive_dask as hd
    >>> from hifive_dask import plot
    >>> from hifive_dask.testing import toy_project
    >>> hic = hd.HiC(toy_project(), silent=True)
    >>> genome = hic.heatmap(binsize=50_000, datatype="raw")
    >>> plot.heatmap(genome, variable="observed").axes[0].get_title("left")
    'genome, raw, 50 kb bins'
    """
    _check(dataset, variable, pseudocount, pixels)
    shape = dataset.sizes["bin1"], dataset.sizes["bin2"]
    scale, factor = _scale(dataset, variable, vmin, vmax, log, pseudocount, pixels)
    figure = _new_figure(shape) if ax is None else ax.figure
    axes = figure.axes[0] if ax is None else ax
    image = axes.imshow(
        scale.values,
        norm=scale.norm,
        cmap=scale.cmap if cmap is None else cmap,
        extent=(0, scale.values.shape[1] * factor, scale.values.shape[0] * factor, 0),
        interpolation="nearest" if max(scale.values.shape) < 600 else "auto",
        aspect="equal",
    )
    adorn(axes, title=_title(dataset, factor) if title is None else title, frame=True)
    axes.set_xlim(0, shape[1])
    axes.set_ylim(shape[0], 0)
    _label(axes, dataset, 2, "x")
    _label(axes, dataset, 1, "y")
    _colour_bar(figure, axes, image, scale.label)
    return figure


def _check(dataset: xr.Dataset, variable: str, pseudocount: float, pixels: int) -> None:
    if variable not in _NEEDED:
        known = ", ".join(map(repr, _NEEDED))
        raise ParameterError(f"unknown variable {variable!r}; known are {known}")
    needed = [*_NEEDED[variable], *(f"{c}{n}" for n in (1, 2) for c in _COORDINATES)]
    missing = [name for name in needed if name not in dataset.variables]
    if missing:
        raise ParameterError(
            f"the dataset has no {' and no '.join(missing)}; pass what HiC.heatmap returned"
        )
    if not all(dataset.sizes[axis] for axis in ("bin1", "bin2")):
        raise ParameterError("the heatmap has no bins; there is nothing to draw")
    if pseudocount < 0:
        raise ParameterError(f"pseudocount is {pseudocount}, expected reads, 0 or more")
    if pixels < 1:
        raise ParameterError(f"pixels is {pixels}, expected 1 or more")


def _scale(
    dataset: xr.Dataset,
    variable: Variable,
    vmin: float | None,
    vmax: float | None,
    log: bool,
    pseudocount: float,
    pixels: int,
) -> tuple[Scale, int]:
    """What to draw, and the number of bins along the side of a cell of the picture."""
    datatype = str(dataset.attrs.get("datatype", "enrichment"))
    sums, factor = reduce_map(dataset, pixels, _NEEDED[variable])
    if "expected" in sums:  # nothing can be there
        sums["expected"][~(sums["expected"] > 0)] = np.nan
    if variable != "enrichment":
        label = _LABELS.get((variable, datatype), _PLAIN_LABELS[variable])
        return one_colour(sums[variable], label, vmin, vmax, log), factor
    observed, expected = sums["observed"], sums["expected"]
    if datatype in ("distance", "enrichment"):
        return two_colours(observed, expected, pseudocount, vmin, vmax, log), factor
    label = _LABELS[variable, datatype]
    return one_colour(observed / expected, label, vmin, vmax, log), factor


def _new_figure(shape: tuple[int, int]) -> Figure:
    side = [max(1.2, _SIZE * n / max(shape)) for n in shape]
    return new_axes(side[1] + 1.5, side[0] + 0.75)[0]


def _title(dataset: xr.Dataset, factor: int) -> str:
    regions = [str(dataset.attrs.get(name, "")) for name in ("region", "region2")]
    size = int(dataset.attrs.get("binsize", 0)) * factor
    bins = f"{length_text(size)} bins" if size else "unbinned"
    words = [" / ".join(filter(None, regions)), str(dataset.attrs.get("datatype", "")), bins]
    narrow = dataset.sizes["bin2"] < 0.6 * dataset.sizes["bin1"]
    return ("\n" if narrow else ", ").join(filter(None, words))


def _label(axes: Any, dataset: xr.Dataset, number: int, side: Literal["x", "y"]) -> None:
    """Ticks and names of an axis: positions in one chromosome, or names of several."""
    names = dataset[f"chromosome{number}"].values.astype(str)
    borders = np.r_[0, np.flatnonzero(names[1:] != names[:-1]) + 1, len(names)]
    # The map keeps its shape, so that the tighter side of the axes decides.
    room = float(np.min(axes.bbox.size / (dataset.sizes["bin2"], dataset.sizes["bin1"])))
    points = room * 72 / axes.figure.dpi
    axis = getattr(axes, f"{side}axis")
    if len(borders) == 2:
        start, stop = (dataset[f"{name}{number}"].values for name in ("start", "stop"))
        most = points * len(names) / (_TICK_WIDTH if side == "x" else _TICK_WIDTH / 2)
        unit, place, texts = _positions(start, stop, int(np.clip(most, 1, 6)))
        axis.set_ticks(place, texts)
        axis.set_label_text(f"{names[0]} ({unit})")
        return
    middle, shown = (borders[:-1] + borders[1:]) / 2, names[borders[:-1]]
    tall = np.full(len(shown), 1.25 * _NAME_SIZE)
    wide = 0.62 * _NAME_SIZE * np.char.str_len(shown) + _NAME_SIZE
    kept = _apart(middle * points, tall, np.diff(borders))
    upright = side == "x" and len(_apart(middle * points, wide, np.diff(borders))) < len(kept)
    if side == "x" and not upright:
        kept = _apart(middle * points, wide, np.diff(borders))
    axis.set_ticks(middle[kept], shown[kept], rotation=90 if upright else 0)
    axis.set_tick_params(length=0, labelsize=_NAME_SIZE)
    for border in borders[1:-1]:
        line = axes.axvline if side == "x" else axes.axhline
        line(border, color=INK, linewidth=0.4, alpha=0.5)


def _positions(
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


def _colour_bar(figure: Figure, axes: Any, image: Any, label: str) -> None:
    # Inset axes are as high as the map, whatever its shape.
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    height = (bottom - top) / (right - left)
    part = max(1.0, height)
    place = axes.inset_axes((1 + 0.025 * part, 0.0, 0.028 * part, 1.0))
    bar = figure.colorbar(image, cax=place)
    if isinstance(image.norm, LogNorm) and 1e-3 < image.get_clim()[1] < 1e6:
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    flat = height < 0.5
    bar.set_label(
        label.replace(" / ", "\n/ ") if flat else label, fontsize=7 if flat else 9, color=INK
    )
    bar.outline.set_linewidth(0.6)
    bar.ax.tick_params(which="major", labelsize=8, width=0.6, length=3, color=INK, labelcolor=INK)
    bar.ax.tick_params(which="minor", width=0.4, length=1.5, color=INK)
