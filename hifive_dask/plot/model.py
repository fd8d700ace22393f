"""A chromosome in space, from three sides."""

from __future__ import annotations

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hifive_dask.errors import ParameterError
from hifive_dask.plot.style import INK, MUTED, SEQUENTIAL, Picture, adorn, length_unit
from hifive_dask.public import answering

__all__ = ["model"]

_SIDES = ((0, 1), (0, 2), (1, 2))
_NAMES = "xyz"
# Neither so light that it vanishes on white, nor black.
_THREAD = LinearSegmentedColormap.from_list("thread", SEQUENTIAL(np.linspace(0.18, 0.95, 256)))


@answering
def model(coordinates: ArrayLike, *, title: str = "") -> Figure:
    """Draw a model as a thread that changes its colour along the chromosome.

    Parameters
    ----------
    coordinates
        (N, 4): x, y, z and position in bp, as `HiC.learn_fend_3D_model` returns it.
    title
        Text above.

    Returns
    -------
    matplotlib.figure.Figure
        Three projections, all of one scale.

    Raises
    ------
    ParameterError
        If the shape is another one, there are less than two points, or values are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from hifive_dask import plot
    >>> turn = np.linspace(0, 6, 50)
    >>> helix = np.stack([np.cos(turn), np.sin(turn), turn / 6, 1e5 * turn], axis=1)
    >>> len(plot.model(helix).axes)
    4
    """
    points = np.asarray(coordinates, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 4 or len(points) < 2:
        raise ParameterError(
            f"coordinates have the shape {points.shape}, expected (2 or more, 4): x, y, z, bp"
        )
    if not np.isfinite(points).all():
        raise ParameterError("some coordinates are not finite; there is no picture of such points")
    unit, bp = length_unit(points[-1, 3] - points[0, 3])
    place = points[:, 3] / bp
    middle = (points[:, :3].max(axis=0) + points[:, :3].min(axis=0)) / 2
    reach = 0.54 * max(np.ptp(points[:, :3], axis=0).max(), 1e-12)
    figure = Picture(8.4, 3.1)
    panels = figure.subplots(1, 3)
    shown = ScalarMappable(Normalize(place[0], place[-1]), _THREAD)
    colours = shown.to_rgba(place)
    for ax, (a, b) in zip(panels, _SIDES, strict=True):
        line = points[:, (a, b)]
        thread = LineCollection(
            list(np.stack([line[:-1], line[1:]], axis=1)),
            colors=colours[:-1],
            linewidths=1.0,
            capstyle="round",
        )
        ax.add_collection(thread)
        ax.scatter(*line.T, c=colours, s=4, linewidths=0, zorder=3)
        ax.set_xlim(middle[a] - reach, middle[a] + reach)
        ax.set_ylim(middle[b] - reach, middle[b] + reach)
        ax.set_aspect("equal")
        ax.grid(True, color=MUTED, alpha=0.25, linewidth=0.5)
        ax.set_axisbelow(True)
        adorn(ax, xlabel=_NAMES[a], ylabel=_NAMES[b], frame=True)
    panels[0].set_title(title, loc="left", fontsize=10, color=INK, pad=8)
    bar = figure.colorbar(shown, ax=panels, fraction=0.03, pad=0.02, aspect=24, shrink=0.8)
    bar.set_label(f"position ({unit})", fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8, color=INK, labelcolor=INK, width=0.6, length=3)
    bar.outline.set_linewidth(0.6)
    return figure
