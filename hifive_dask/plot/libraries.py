"""What became of the reads of one library or of several, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError
from hifive_dask.plot.style import (
    ACCENT,
    DEEP,
    INK,
    LIGHT,
    MARKS,
    MUTED,
    REJECTED,
    WARM,
    adorn,
    as_name,
    length_text,
    new_axes,
    share_text,
)
from hifive_dask.public import answering

__all__ = ["statistics"]

Library = Mapping[str, int]
_DARK = {ACCENT, DEEP, MARKS[0], *WARM[2:]}
_WIDE = 7.0  # %: the least share that has room for its number
_MOST = 24  # characters of a name


class _Class(NamedTuple):
    key: str
    label: str
    colour: str


_VALID = (
    _Class("valid_cis_reads", "valid cis", ACCENT),
    _Class("valid_trans_reads", "valid trans", LIGHT),
)
_FATES = (
    *_VALID,
    _Class("failed_cut", "failed cut", WARM[0]),
    _Class("same_fragment", "same fragment", WARM[1]),
    _Class("insert_size", "insert size", WARM[2]),
    _Class("pcr_duplicates", "PCR duplicates", WARM[3]),
    _Class("out_of_bounds", "out of bounds", MUTED),
    _Class("chr_not_in_fends", "unknown chromosome", REJECTED),
    _Class("walk_reads", "walks", MARKS[0]),
    _Class("multimapped_reads", "multimapped", MARKS[1]),
    _Class("unmapped_reads", "unmapped", MARKS[2]),
)


@answering
def statistics(libraries: Mapping[str, Library], *, short: int = 20_000, title: str = "") -> Figure:
    """Draw what became of the reads of libraries: a bar each for all reads and for the valid ones.

    Parameters
    ----------
    libraries
        By name: reads by class, as in the column ``reads`` of `HiCData.stats_table`.
    short
        bp: the limit between short and long cis reads of that table, for the legend.
    title
        Text above.

    Returns
    -------
    matplotlib.figure.Figure
        With an axes for all reads, and below one for the valid ones. The legends of a single
        library have its shares.

    Raises
    ------
    ParameterError
        If there is no library, or one has no reads or none that are valid.

    Examples
    --------
    >>> from hifive_dask import plot
    >>> reads = {"failed_cut": 1, "valid_cis_reads": 7, "valid_trans_reads": 2}
    >>> distances = {"cis_short_reads": 3, "cis_long_reads": 4}
    >>> figure = plot.statistics({"rep1": {**reads, **distances}})
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['70.0 %', '20.0 %', '10.0 %']
    """
    limit = length_text(short)
    distances = (
        _Class("cis_short_reads", f"cis below {limit}", DEEP),
        _Class("cis_long_reads", f"cis from {limit}", ACCENT),
        _Class("valid_trans_reads", "trans", LIGHT),
    )
    if not libraries:
        raise ParameterError("no library was given; there is nothing to draw")
    figure, axes = new_axes(6.8, 2.2 + 0.8 * len(libraries), rows=2)
    for ax, classes, part in zip(axes, (_FATES, distances), ("reads", "valid reads"), strict=True):
        counts = np.array([_reads(lib, classes) for lib in libraries.values()], dtype=np.int64)
        for name, total in zip(libraries, counts.sum(axis=1), strict=True):
            if total <= 0:
                raise ParameterError(
                    f"library {name!r} has no {part}; pass the column 'reads' of "
                    "HiCData.stats_table"
                )
        _draw(ax, list(libraries), counts, classes, part)
    axes[1].set_xlabel("% of reads", fontsize=9, color=INK)
    figure.set_layout_engine("constrained", h_pad=0.08)  # between the axes, in inches
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
    return figure


def _reads(library: Library, classes: Sequence[_Class]) -> list[int]:
    """Reads by class; duplicates that were kept are among the others."""
    reads = {c.key: library.get(c.key, 0) for c in classes}
    if "total_reads" in library and sum(reads.values()) > library["total_reads"]:
        reads |= {"pcr_duplicates": library.get("marked_duplicates", 0)}
    return list(reads.values())


def _draw(
    ax: Any, names: Sequence[str], counts: NDArray[np.int64], classes: Sequence[_Class], part: str
) -> None:
    """Draw the stacked bars of one axes, their numbers and their legend."""
    totals = counts.sum(axis=1)
    shares = 100 * counts / totals[:, None]
    place = np.arange(len(names))
    shown = np.flatnonzero(counts.any(axis=0)).tolist()
    left = np.zeros(len(names))
    for k in shown:
        ax.barh(
            place, shares[:, k], left=left, height=0.62, color=classes[k].colour,
            edgecolor="white", linewidth=0.6,
        )  # fmt: skip
        ink = "white" if classes[k].colour in _DARK else INK
        for y in np.flatnonzero(shares[:, k] >= _WIDE).tolist():
            ax.text(
                left[y] + shares[y, k] / 2, y, f"{shares[y, k]:.1f} %", ha="center", va="center",
                fontsize=8, color=ink,
            )  # fmt: skip
        left += shares[:, k]
    adorn(ax, frame=False)
    ax.set_xlim(0, 100)
    ax.set_ylim(len(names) - 0.5, -0.5)
    shortened = [as_name(_shortened(name)) for name in names]
    labels = [f"{name}\n{total:,}" for name, total in zip(shortened, totals, strict=True)]
    ax.set_yticks(place, labels)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    alone = len(names) == 1
    ax.legend(
        [Patch(facecolor=classes[k].colour) for k in shown],
        [classes[k].label + (f" {share_text(shares[0, k])}" if alone else "") for k in shown],
        title=part, title_fontsize=9, alignment="left", loc="lower left", bbox_to_anchor=(0, 1),
        ncols=3 if alone else 4, fontsize=8, frameon=False, borderaxespad=0.2, borderpad=0,
        handlelength=0.9, handleheight=0.9, handletextpad=0.5, columnspacing=1.4, labelcolor=INK,
    )  # fmt: skip


def _shortened(name: str) -> str:
    """A name without its middle, if it is long: names of files differ at either end."""
    half = _MOST // 2
    return name if len(name) <= _MOST else f"{name[: half - 1]}…{name[-half:]}"
