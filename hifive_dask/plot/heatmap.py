"""Pictures of heatmaps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib.colors import Colormap, LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError, unknown
from hifive_dask.heatmap.labels import describe
from hifive_dask.plot.map_axes import colour_bar, label_axis, map_title
from hifive_dask.plot.pixels import reduce_map
from hifive_dask.plot.scales import Scale, check_limits, of_scores, one_colour, two_colours
from hifive_dask.plot.style import adorn, colour_map, new_axes
from hifive_dask.public import answering

__all__ = ["Variable", "check_map", "heatmap", "map_scale"]

Variable = Literal["observed", "expected", "enrichment", "score"]

_SIZE = 5.4  # inches of the longer axis
_NEEDED: dict[str, tuple[str, ...]] = {
    "observed": ("observed",),
    "expected": ("expected",),
    "enrichment": ("observed", "expected"),
    "score": ("score",),
}
_COORDINATES = ("chromosome", "start", "stop")
_LABELS = {"observed": "reads", "expected": "expected reads"}


@answering
def heatmap(
    dataset: xr.Dataset,
    *,
    variable: Variable | None = None,
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
    in one. Cells without reads are white; grey are those where nothing is expected, or no ratio is
    known, and among observed reads bins that have none in this map. Squares below the colour bar
    tell. A large map is drawn with wider bins: reads and expected reads are summed before they are
    divided. Only the variables that the picture needs are computed.

    Parameters
    ----------
    dataset
        What `HiC.heatmap` or the ``heatmap`` of a multi-resolution file returned, lazy or computed.
    variable
        ``"observed"``, ``"expected"`` or ``"enrichment"``, the default; ``"score"`` of a
        multi-resolution heatmap, which is drawn as it is: choose a bin size that suits the picture.
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
        By default the region, what is drawn of it, and the bin size.
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
        `pixels` is below 1, the colour map is unknown, or the limits make no scale.

    Examples
    --------
    >>> import hifive_dask as hd
    >>> from hifive_dask import plot
    >>> from hifive_dask.testing import toy_project
    >>> hic = hd.HiC(toy_project(), silent=True)
    >>> genome = hic.heatmap(binsize=50_000, datatype="raw")
    >>> plot.heatmap(genome, variable="observed").axes[0].get_title("left")
    'whole genome, observed reads, 50 kb bins'
    """
    variable = check_map(dataset, variable, pseudocount, pixels)
    check_limits(vmin, vmax)
    own_colours = colour_map(cmap)
    shape = dataset.sizes["bin1"], dataset.sizes["bin2"]
    scale, factor = map_scale(dataset, variable, vmin, vmax, log, pseudocount, pixels)
    figure = _new_figure(shape) if ax is None else ax.figure
    axes = figure.axes[0] if ax is None else ax
    image = axes.imshow(
        scale.values,
        norm=scale.norm,
        cmap=own_colours or scale.cmap,
        extent=(0, scale.values.shape[1] * factor, scale.values.shape[0] * factor, 0),
        interpolation="nearest" if max(scale.values.shape) < 600 else "auto",
        aspect="equal",
    )
    title = map_title(dataset, variable, factor) if title is None else title
    adorn(axes, title=title, frame=True)
    axes.set_xlim(0, shape[1])
    axes.set_ylim(shape[0], 0)
    # The map keeps its shape, so that the tighter side of the axes decides.
    points = float(min(axes.bbox.width / shape[1], axes.bbox.height / shape[0])) * 72 / figure.dpi
    label_axis(axes, dataset, 2, "x", points)
    label_axis(axes, dataset, 1, "y", points)
    colour_bar(axes, image, scale, shape[0] / shape[1])
    return figure


def check_map(
    dataset: xr.Dataset, variable: Variable | None, pseudocount: float, pixels: int
) -> Variable:
    """Return what to draw; raise a `ParameterError` if no picture can be made of it."""
    if not isinstance(dataset, xr.Dataset | xr.DataTree):
        raise ParameterError(
            f"the heatmap is a {type(dataset).__name__}, expected the Dataset that HiC.heatmap "
            "returned; name one of its variables with variable"
        )
    if variable is None:
        variable = "score" if "score" in dataset.variables else "enrichment"
    if variable not in _NEEDED:
        raise ParameterError(unknown("variable", variable, _NEEDED))
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
    return variable


def map_scale(
    dataset: xr.Dataset,
    variable: Variable,
    vmin: float | None,
    vmax: float | None,
    log: bool,
    pseudocount: float,
    pixels: int,
    reach: int | None = None,
) -> tuple[Scale, int]:
    """What to draw, and the number of bins along the side of a cell of the picture.

    With a `reach` only cells above the diagonal and so many bins from it have a value.
    """
    if variable == "score":
        scores = dataset["score"].values.astype(np.float64)
        return _explained(of_scores(scores, vmin, vmax), np.isnan(scores), "too few reads"), 1
    datatype = str(dataset.attrs.get("datatype", "enrichment"))
    sums, factor = reduce_map(dataset, pixels, _NEEDED[variable], reach)
    drawn = ~np.isnan(sums[_NEEDED[variable][0]])  # in reach
    if "expected" in sums:  # nothing can be there
        sums["expected"][~(sums["expected"] > 0)] = np.nan
    label = describe(variable, datatype)["long_name"]
    missing = "masked" if not dataset.attrs.get("maxdistance") else "masked, or too far"
    if variable != "enrichment":
        label = _LABELS[variable] if label == variable else label
        values = sums[variable]
        if variable == "observed":
            values[_empty(values, symmetric=reach is not None)] = np.nan
            missing = "empty bins"
        scale = one_colour(values, label, vmin, vmax, log)
    elif datatype in ("distance", "enrichment"):
        scale = two_colours(sums["observed"], sums["expected"], pseudocount, vmin, vmax, log)
        if log and not pseudocount:
            missing = f"{missing}, or no reads"
    else:
        scale = one_colour(sums["observed"] / sums["expected"], label, vmin, vmax, log)
    return _explained(scale, drawn & np.isnan(scale.values), missing), factor


def _empty(observed: NDArray[np.float64], *, symmetric: bool) -> NDArray[np.bool_]:
    """Cells of rows or columns without any read; of a `symmetric` map one half has values."""
    rows, columns = (np.any(observed > 0, axis=axis, keepdims=True) for axis in (1, 0))
    if symmetric:
        rows = rows | columns.T
        columns = rows.T
    empty: NDArray[np.bool_] = ~(rows & columns)
    return empty


def _explained(scale: Scale, missing: NDArray[np.bool_], word: str) -> Scale:
    """With what cells are whose colours are not on the bar, if there are any."""
    lowest = scale.norm.vmin if isinstance(scale.norm, LogNorm) else None
    below = lowest is not None and bool((scale.values < lowest).any())
    return replace(scale, missing=word if missing.any() else "", zero="no reads" if below else "")


def _new_figure(shape: tuple[int, int]) -> Figure:
    side = [max(1.2, _SIZE * n / max(shape)) for n in shape]
    return new_axes(side[1] + 1.9, side[0] + 0.85)[0]
