"""Pictures of heatmaps."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib.colors import Colormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hifive_dask.errors import ParameterError
from hifive_dask.plot.pixels import reduce_map
from hifive_dask.plot.scales import one_colour, two_colours
from hifive_dask.plot.style import INK, adorn, length_text, length_unit, new_axes

__all__ = ["Variable", "heatmap"]

Variable = Literal["observed", "expected", "enrichment"]

_MOST = 1000  # cells along an axis; a wider map is reduced, it would have more cells than pixels
_SIZE = 5.4  # inches of the longer axis
_LEAST_LABEL = 0.016  # of the axis: a chromosome that is shorter goes without a name
_LABELS = {
    ("observed", "expected"): "possible pairs",
    ("expected", "raw"): "possible pairs",
    ("enrichment", "raw"): "reads per possible pair",
    ("enrichment", "fend"): "reads per possible pair, corrected",
    ("enrichment", "expected"): "possible pairs per expected read",
}


def heatmap(
    dataset: xr.Dataset,
    *,
    variable: Variable = "enrichment",
    cmap: str | Colormap | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    log: bool = True,
    pseudocount: float = 1.0,
    title: str | None = None,
    ax: Any = None,
) -> Figure:
    """Draw a heatmap; the first bin is at the top left, cells where nothing can be are grey.

    Enrichment over an expectation that knows the distance is drawn in two colours about 1, all else
    in one. A map with more than 1000 bins along an axis is drawn with wider bins: reads and
    expected reads are summed before they are divided.

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
        read is expected, neither its presence nor its absence says much, and the cell stays pale: 1
        gives the mean of the ratio given the reads, if it is exponentially distributed about 1
        before. 0 draws the plain ratio.
    title
        By default the region and the bin size.
    ax
        Axes to draw into; by default those of a new figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If `dataset` is no heatmap, `variable` is unknown, `pseudocount` is negative, or the limits
        make no scale.

    Examples
    --------
    >>> import hifive_dask as hd
    >>> from hifive_dask import plot
    >>> from hifive_dask.testing import toy_project
    >>> hic = hd.HiC(toy_project(), silent=True)
    >>> genome = hic.heatmap(binsize=50_000, datatype="raw")
    >>> plot.heatmap(genome, variable="observed").axes[0].get_title("left")
    'genome, 50 kb bins'
    """
    missing = {"observed", "expected"} - set(dataset.data_vars)
    if missing:
        raise ParameterError(
            f"the dataset has no {' and no '.join(sorted(missing))}; pass what HiC.heatmap returned"
        )
    if variable not in ("observed", "expected", "enrichment"):
        raise ParameterError(
            f"unknown variable {variable!r}; known are 'observed', 'expected', 'enrichment'"
        )
    if pseudocount < 0:
        raise ParameterError(f"pseudocount is {pseudocount}, expected reads, 0 or more")
    datatype = str(dataset.attrs.get("datatype", "enrichment"))
    observed, expected, factor = reduce_map(dataset, _MOST)
    expected[~(expected > 0)] = np.nan
    if variable == "enrichment" and datatype in ("distance", "enrichment"):
        scale = two_colours(observed, expected, pseudocount, vmin, vmax, log)
    else:
        values = {
            "observed": np.where(np.isnan(expected), np.nan, observed),
            "expected": expected,
            "enrichment": observed / expected,
        }[variable]
        label = _LABELS.get((variable, datatype), f"{variable} reads")
        scale = one_colour(values, label, vmin, vmax, log)
    shape = dataset.sizes["bin1"], dataset.sizes["bin2"]
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


def _new_figure(shape: tuple[int, int]) -> Figure:
    side = [max(1.2, _SIZE * n / max(shape)) for n in shape]
    return new_axes(side[1] + 1.5, side[0] + 0.75)[0]


def _title(dataset: xr.Dataset, factor: int) -> str:
    regions = [str(dataset.attrs.get(name, "")) for name in ("region", "region2")]
    size = int(dataset.attrs.get("binsize", 0)) * factor
    bins = f"{length_text(size)} bins" if size else "unbinned"
    narrow = dataset.sizes["bin2"] < 0.6 * dataset.sizes["bin1"]
    return ("\n" if narrow else ", ").join(filter(None, [" / ".join(filter(None, regions)), bins]))


def _label(axes: Any, dataset: xr.Dataset, number: int, side: Literal["x", "y"]) -> None:
    """Ticks and names of an axis: positions in one chromosome, or names of several."""
    names = dataset[f"chromosome{number}"].values
    borders = np.r_[0, np.flatnonzero(names[1:] != names[:-1]) + 1, len(names)]
    axis = getattr(axes, f"{side}axis")
    if len(borders) == 2:
        start, stop = (dataset[f"{name}{number}"].values for name in ("start", "stop"))
        unit, bp = length_unit(int(stop[-1]))
        locator = MaxNLocator(6, steps=[1, 2, 5, 10])
        ticks = np.asarray(locator.tick_values(start[0] / bp, stop[-1] / bp))
        ticks = ticks[(ticks * bp >= start[0]) & (ticks * bp <= stop[-1])]
        # Bins of single fends differ in width.
        place = np.interp(ticks * bp, np.r_[start, stop[-1]], np.arange(len(start) + 1))
        axis.set_ticks(place, [f"{tick:,.10g}" for tick in ticks])
        axis.set_label_text(f"{names[0]} ({unit})")
        return
    wide = np.diff(borders) > _LEAST_LABEL * len(names)
    middle = (borders[:-1] + borders[1:])[wide] / 2
    crowded = side == "x" and len(middle) * max(map(len, names[borders[:-1]])) > 60
    axis.set_ticks(middle, names[borders[:-1]][wide], rotation=90 if crowded else 0)
    axis.set_tick_params(length=0, labelsize=7)
    for border in borders[1:-1]:
        line = axes.axvline if side == "x" else axes.axhline
        line(border, color=INK, linewidth=0.4, alpha=0.5)


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
