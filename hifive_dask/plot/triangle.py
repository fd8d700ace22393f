"""Pictures of the part of a map that is near the diagonal, with the diagonal at the bottom."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D

from hifive_dask.errors import ParameterError
from hifive_dask.plot.heatmap import Variable, check_map, map_scale
from hifive_dask.plot.map_axes import colour_bar, label_axis, map_title
from hifive_dask.plot.scales import check_limits
from hifive_dask.plot.style import adorn, colour_map, length_unit, new_axes
from hifive_dask.public import answering

__all__ = ["triangle"]

_WIDTH = 7.0  # inches
_LEAST = 1.3  # inches, of the height


@answering
def triangle(
    dataset: xr.Dataset,
    *,
    variable: Variable | None = None,
    maxdistance: int | None = None,
    cmap: str | Colormap | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    log: bool = True,
    pseudocount: float = 0.0,
    title: str | None = None,
    ax: Any = None,
    pixels: int = 1200,
) -> Figure:
    """Draw a map turned by 45 degrees: positions to the right, distances upwards.

    It fits above tracks of the same region, with `ax` in their figure. Only chunks within
    `maxdistance` are computed.

    Parameters
    ----------
    dataset
        What `HiC.heatmap` returned for one region, lazy or computed.
    variable, cmap, vmin, vmax, log, pseudocount, title, ax, pixels
        As for `heatmap`.
    maxdistance
        bp: the largest distance of the picture; by default that of the map, else all.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        As `heatmap` does, and if the map is not that of one region of a chromosome with itself, its
        bins differ in width, or `maxdistance` is below one bin.

    Examples
    --------
    >>> import hifive_dask as hd
    >>> from hifive_dask import plot
    >>> from hifive_dask.testing import toy_project
    >>> hic = hd.HiC(toy_project(), silent=True)
    >>> maps = hic.heatmap("chr1", binsize=20_000, datatype="raw")
    >>> plot.triangle(maps, variable="observed", maxdistance=200_000).axes[0].get_ylabel()
    'distance (kb)'
    """
    variable = check_map(dataset, variable, pseudocount, pixels)
    check_limits(vmin, vmax)
    own_colours = colour_map(cmap)
    size = _bin_size(dataset)
    bins = dataset.sizes["bin1"]
    reach = _reach(dataset, size, maxdistance)
    scale, factor = map_scale(dataset, variable, vmin, vmax, log, pseudocount, pixels, reach)
    figure, axes = (None, ax) if ax is not None else _new_axes(bins, reach)
    image = axes.imshow(
        scale.values,
        norm=scale.norm,
        cmap=own_colours or scale.cmap,
        extent=(0, scale.values.shape[1] * factor, scale.values.shape[0] * factor, 0),
        interpolation="nearest",
    )
    # Column j and row i stand at position (i + j) / 2 and distance j - i.
    turned = Affine2D.from_values(0.5, 1.0, 0.5, -1.0, 0.0, 0.0)
    image.set_transform(turned + axes.transData)
    axes.set_aspect("auto")  # a narrow band is drawn higher than it is
    title = map_title(dataset, variable, factor) if title is None else title
    adorn(axes, title=title, frame=False)
    axes.set_xlim(0, bins)
    axes.set_ylim(0, reach)
    width, height = axes.bbox.size
    label_axis(axes, dataset, 2, "x", width / bins * 72 / axes.figure.dpi)
    _label_distances(axes, size, reach)
    colour_bar(axes, image, scale, height / width)
    return axes.figure if figure is None else figure


def _bin_size(dataset: xr.Dataset) -> int:
    """Bp of the bins of one region."""
    names = [dataset[f"chromosome{n}"].values.astype(str) for n in (1, 2)]
    starts, stops = ([dataset[f"{edge}{n}"].values for n in (1, 2)] for edge in ("start", "stop"))
    if len({*names[0], *names[1]}) > 1 or not np.array_equal(starts[0], starts[1]):
        raise ParameterError(
            "a triangle is the map of one region with itself; ask for one region of a chromosome"
        )
    widths = stops[0] - starts[0]
    size = int(widths[0])
    if (widths[:-1] != size).any() or widths[-1] > size:  # the last may end with the chromosome
        raise ParameterError(
            f"bins from {widths.min():,} to {widths.max():,} bp wide; a triangle needs bins of one "
            "size, ask for a binsize"
        )
    return size


def _reach(dataset: xr.Dataset, size: int, maxdistance: int | None) -> int:
    """Bins from the diagonal to the top."""
    bins = dataset.sizes["bin1"]
    if maxdistance is None:
        maxdistance = int(dataset.attrs.get("maxdistance", 0)) or bins * size
    if maxdistance < size:
        raise ParameterError(
            f"maxdistance is {maxdistance:,}, expected a bin, {size:,} bp, or more"
        )
    return min(bins, -(-maxdistance // size))


def _new_axes(bins: int, reach: int) -> tuple[Figure, Any]:
    height = max(_LEAST, _WIDTH * reach / 2 / bins)
    return new_axes(_WIDTH + 1.5, height + 0.9)


def _label_distances(axes: Any, size: int, reach: int) -> None:
    unit, bp = length_unit(size * reach)
    points = axes.bbox.height * 72 / axes.figure.dpi
    locator = MaxNLocator(int(np.clip(points / 22, 1, 6)), steps=[1, 2, 5, 10])
    ticks = np.asarray(locator.tick_values(0, size * reach / bp))
    ticks = ticks[(ticks >= 0) & (ticks * bp <= size * reach)]
    axes.set_yticks(ticks * bp / size, [f"{tick:,.10g}" for tick in ticks])
    axes.set_ylabel(f"distance ({unit})")
