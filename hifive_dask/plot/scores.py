"""Pictures of heatmap arrays: one pixel per cell, coloured by its score."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
from matplotlib.colors import CSS4_COLORS, is_color_like, to_rgb
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError, did_you_mean
from hifive_dask.plot.style import check_writable, replacing
from hifive_dask.ranks import by_first_rank

__all__ = ["check_scores", "score_colours", "write_scores"]

_MISSING = 153  # grey
_FORMATS = {
    **{name: name for name in ("png", "jpg", "jpeg", "tiff", "bmp", "gif", "webp")},
    "tif": "tiff",
    **{name: name for name in ("pdf", "svg", "eps", "ps")},
}


def check_scores(
    file: str | os.PathLike[str],
    *,
    maxscore: float | None = None,
    minscore: float | None = None,
    symmetricscaling: bool = True,
    **options: Any,
) -> None:
    """Check, before anything is computed, that `write_scores` can write a picture.

    Raises
    ------
    ParameterError
        If the suffix or a colour is unknown, or limits are in the wrong order.
    StoreError
        If the file cannot be written.
    """
    where = Path(file)
    _format(where)
    check_writable(where)
    for name in ("min_color", "mid_color", "max_color"):
        if options.get(name) is not None:
            _colour(options[name])
    if not symmetricscaling and None not in (minscore, maxscore) and minscore > maxscore:  # type: ignore[operator]
        raise ParameterError(_order(minscore, maxscore))


def _format(where: Path) -> str:
    suffix = where.suffix[1:].lower() or "png"
    if suffix not in _FORMATS:
        raise ParameterError(
            f"{where}: {where.suffix!r} is no format of pictures; use one of "
            + ", ".join(f".{name}" for name in _FORMATS)
        )
    return _FORMATS[suffix]


def _order(low: float | None, high: float | None) -> str:
    return f"colours would go from a score of {low:g} to {high:g}; minscore must be below maxscore"


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
        Hexadecimal ``rrggbb``, or a name that Matplotlib knows; without a middle colour it is the
        mean of the others.

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
        raise ParameterError(_order(low, high))
    half = (high - low) / 2
    place = np.clip((scores - low) / half - 1, -1, 1)[:, None] if half > 0 else np.zeros((1, 1))
    ends = [np.array(_colour(c)) for c in (min_color, max_color)]
    middle = np.mean(ends, axis=0) if mid_color is None else np.array(_colour(mid_color))
    colours = np.full((*known.shape, 3), _MISSING, dtype=np.uint8)
    mixed = np.abs(place) * np.where(place < 0, *ends) + (1 - np.abs(place)) * middle
    colours[known] = np.round(255 * mixed)
    return colours


def _colour(text: str) -> tuple[float, float, float]:
    code = f"#{text.removeprefix('#')}"
    if is_color_like(code):
        return to_rgb(code)
    if is_color_like(text):
        return to_rgb(text)
    raise ParameterError(
        f"{text!r} is not a colour; write rrggbb, as in ff0000, or a name, as in red."
        + did_you_mean(text, CSS4_COLORS)
    )


@by_first_rank
def write_scores(file: str | os.PathLike[str], cells: NDArray[Any], **options: Any) -> None:
    """Write a picture of cells, the first axis to the right and the second downwards.

    The suffix decides the format; without one it is PNG. Options are those of `score_colours`.
    """
    where = Path(file)
    colours = score_colours(cells, **options).transpose(1, 0, 2)
    with replacing(where) as beside:
        matplotlib.image.imsave(beside, colours, format=_format(where))
