"""Pictures of heatmap arrays: one pixel per cell, coloured by its score."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError
from hifive_dask.plot.style import replacing

__all__ = ["score_colours", "write_scores"]

_MISSING = 153  # grey


def score_colours(
    cells: NDArray[Any],
    *,
    maxscore: float | None = None,
    minscore: float | None = None,
    symmetricscaling: bool = True,
    logged: bool = True,
    min_color: str = "0000ff",
    mid_color: str | None = "ffffff",
    max_color: str = "ff0000",
) -> NDArray[np.uint8]:
    """Colours of the scores of cells: observed over expected.

    Parameters
    ----------
    cells
        (rows, columns, 2): observed and expected. Cells without a score are grey.
    maxscore, minscore
        Limits of the colours; by default those of the scores.
    symmetricscaling
        Whether the middle colour is at a score of 0, both limits at the same distance.
    logged
        Whether scores are log2 of the ratio.
    min_color, mid_color, max_color
        Hexadecimal ``rrggbb``; without a middle colour it is the mean of the others.

    Returns
    -------
    uint8 (rows, columns, 3)
    """
    observed, expected = (cells[..., k].astype(np.float64) for k in (0, 1))
    known = (expected > 0) & ((observed > 0) | (not logged))
    scores = observed[known] / expected[known]
    if logged:
        scores = np.log2(scores)
    low = float(scores.min(initial=np.inf)) if minscore is None else minscore
    high = float(scores.max(initial=-np.inf)) if maxscore is None else maxscore
    if symmetricscaling:
        high = max(abs(low), abs(high))
        low = -high
    if len(scores) and low > high:
        raise ParameterError(f"colours would go from a score of {low:g} to {high:g}")
    half = (high - low) / 2
    place = np.clip((scores - low) / half - 1, -1, 1)[:, None] if half > 0 else np.zeros((1, 1))
    ends = [np.array(_colour(c)) for c in (min_color, max_color)]
    middle = np.mean(ends, axis=0) if mid_color is None else np.array(_colour(mid_color))
    colours = np.full((*known.shape, 3), _MISSING, dtype=np.uint8)
    mixed = np.abs(place) * np.where(place < 0, *ends) + (1 - np.abs(place)) * middle
    colours[known] = np.round(255 * mixed)
    return colours


def _colour(text: str) -> tuple[float, float, float]:
    try:
        return to_rgb(f"#{text.removeprefix('#')}")
    except ValueError:
        raise ParameterError(f"{text!r} is not a colour; write rrggbb, as in ff0000") from None


def write_scores(file: str | os.PathLike[str], cells: NDArray[Any], **options: Any) -> None:
    """Write a picture of cells, the first axis to the right and the second downwards.

    The suffix decides the format; without one it is PNG. Options are those of `score_colours`.
    """
    where = Path(file)
    colours = score_colours(cells, **options).transpose(1, 0, 2)
    try:
        with replacing(where) as beside:
            matplotlib.image.imsave(beside, colours, format=where.suffix[1:].lower() or "png")
    except (KeyError, ValueError) as error:  # what Matplotlib and Pillow say of a suffix
        raise ParameterError(f"{where}: the picture cannot be written ({error})") from None
