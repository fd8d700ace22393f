"""Pictures of heatmaps."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from hifive_dask.errors import ParameterError, unknown
from hifive_dask.heatmap.labels import describe
from hifive_dask.plot.map_axes import colour_bar, label_axis, map_title
from hifive_dask.plot.pixels import reduce_map
from hifive_dask.plot.scales import Scale, of_scores, one_colour, two_colours
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
    in one. Cells without reads are white among observed reads; those without a ratio are grey. A
    large map is drawn with wider bins: reads and expected reads are summed before they are divided.
    Only the variables that the picture needs are computed.

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
        `pixels` is below 1, the colour map is unknown, or the limits make no scale.

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
    variable = check_map(dataset, variable, pseudocount, pixels)
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
    adorn(axes, title=map_title(dataset, factor) if title is None else title, frame=True)
    axes.set_xlim(0, shape[1])
    axes.set_ylim(shape[0], 0)
    # The map keeps its shape, so that the tighter side of the axes decides.
    points = float(min(axes.bbox.width / shape[1], axes.bbox.height / shape[0])) * 72 / figure.dpi
    label_axis(axes, dataset, 2, "x", points)
    label_axis(axes, dataset, 1, "y", points)
    colour_bar(axes, image, scale.label, shape[0] / shape[1])
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
        return of_scores(dataset["score"].values.astype(np.float64), vmin, vmax), 1
    datatype = str(dataset.attrs.get("datatype", "enrichment"))
    sums, factor = reduce_map(dataset, pixels, _NEEDED[variable], reach)
    if "expected" in sums:  # nothing can be there
        sums["expected"][~(sums["expected"] > 0)] = np.nan
    label = describe(variable, datatype)["long_name"]
    if variable != "enrichment":
        label = _LABELS[variable] if label == variable else label
        return one_colour(sums[variable], label, vmin, vmax, log), factor
    observed, expected = sums["observed"], sums["expected"]
    if datatype in ("distance", "enrichment"):
        return two_colours(observed, expected, pseudocount, vmin, vmax, log), factor
    return one_colour(observed / expected, label, vmin, vmax, log), factor


def _new_figure(shape: tuple[int, int]) -> Figure:
    side = [max(1.2, _SIZE * n / max(shape)) for n in shape]
    return new_axes(side[1] + 1.7, side[0] + 0.75)[0]
