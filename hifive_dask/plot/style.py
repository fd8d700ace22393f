"""What all pictures share: colours, axes, units of length, files."""

from __future__ import annotations

import contextlib
import io
import math
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullFormatter

from hifive_dask.errors import ParameterError, StoreError, near_names
from hifive_dask.public import answering
from hifive_dask.ranks import by_first_rank

__all__ = [
    "ACCENT",
    "DEEP",
    "DIVERGING",
    "INK",
    "LIGHT",
    "MARKS",
    "MISSING",
    "MUTED",
    "OUTSIDE",
    "PALE",
    "REJECTED",
    "SEQUENTIAL",
    "WARM",
    "Picture",
    "adorn",
    "as_name",
    "check_writable",
    "colour_map",
    "legend",
    "length_text",
    "length_unit",
    "log_ticks",
    "minus",
    "new_axes",
    "note",
    "number_text",
    "save",
    "share_text",
]

INK = "#22262b"  # text and axes
MUTED = "#8a9099"  # what is there for comparison
ACCENT = "#2f6db3"  # data
MISSING = "#d9dbde"  # cells without a value
REJECTED = "#c3c8ce"  # data that were left out
PALE = "#b9cfe6"  # areas below lines of data
OUTSIDE = "#e3e5e8"  # the same, of data that were left out
SUFFIXES = (".png", ".svg", ".pdf")
_SHOWN = 100  # pixels of a notebook per inch
_ROW = 12.5  # points of a line above axes

_FALL = ["#fff3d6", "#fdd38a", "#f89a4b", "#e2512f", "#b01a2b", "#6a0f2a", "#250a1b"]
_BALANCE = ["#14305c", "#2f6db3", "#8fbadd", "#f8f8f8", "#f2a48a", "#d0402f", "#6e0d1d"]

DEEP, LIGHT = _BALANCE[0], _BALANCE[2]  # further kinds of data
WARM = tuple(_FALL[1:5])  # kinds of data that were left out, light to dark
MARKS = ("#4d7f6b", "#86b39a", "#c5dccb")  # kinds that were no use from the beginning

SEQUENTIAL = LinearSegmentedColormap.from_list("fall", _FALL, N=512).with_extremes(
    bad=MISSING, under="#ffffff"
)
DIVERGING = LinearSegmentedColormap.from_list("balance", _BALANCE, N=512).with_extremes(bad=MISSING)


class Picture(Figure):
    """A figure that notebooks show by themselves, with or without ``%matplotlib inline``.

    Parameters
    ----------
    width, height
        Inches.
    """

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), dpi=150, layout="constrained", facecolor="white")
        FigureCanvasAgg(self)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Pixels for sharp screens, and the size to show them at."""
        file = io.BytesIO()
        self.savefig(file, format="png")
        width, height = (round(_SHOWN * inches) for inches in self.get_size_inches())
        return file.getvalue(), {"width": width, "height": height}


def new_axes(
    width: float, height: float, rows: int = 1, *, given: Any = None
) -> tuple[Figure, Any]:
    """Figure with axes below each other, sizes in inches; the axes in an array if several.

    Axes that are `given` are taken in place of new ones, with their figure.
    """
    if given is not None:
        return given.figure, given
    figure = Picture(width, height)
    axes = figure.subplots(rows, sharex=True)
    return figure, axes


def adorn(
    ax: Any, *, title: str = "", xlabel: str = "", ylabel: str = "", frame: bool, rows: int = 0
) -> None:
    """Set texts, ticks and spines of axes; the title stands above so many rows of a `legend`."""
    ax.set_title(title, loc="left", fontsize=10, color=INK, pad=8 + _ROW * rows)
    ax.set_xlabel(xlabel, fontsize=9, color=INK)
    ax.set_ylabel(ylabel, fontsize=9, color=INK)
    ax.tick_params(which="major", labelsize=8, color=INK, labelcolor=INK, width=0.6, length=3)
    ax.tick_params(which="minor", color=INK, width=0.4, length=1.5)
    for side, spine in ax.spines.items():
        spine.set_linewidth(0.6)
        spine.set_color(INK)
        spine.set_visible(frame or side in ("left", "bottom"))


def note(ax: Any, text: str) -> None:
    """Write lines above axes, where nothing is drawn."""
    ax.annotate(
        text, (0, 1), (0, 4), xycoords="axes fraction", textcoords="offset points", ha="left",
        va="bottom", fontsize=8, color=INK, linespacing=1.3, annotation_clip=False,
    )  # fmt: skip


def legend(
    ax: Any,
    handles: Sequence[Any],
    labels: Sequence[str],
    columns: int | None = None,
    **options: Any,
) -> None:
    """Say above axes, where nothing is drawn, what is in them; by default in one row."""
    ax.legend(
        handles, labels, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns or len(labels),
        fontsize=8, frameon=False, borderaxespad=0.2, borderpad=0.1, handletextpad=0.5,
        handleheight=0.9, columnspacing=1.4, labelcolor=INK, **options,
    )  # fmt: skip


def log_ticks(axis: Any, text: Callable[[float], str], most: int) -> None:
    """Set ticks of a logarithmic axis: round numbers, between 2 and `most` where that is possible.

    To be called when the limits of the axis are known.
    """
    low, high = sorted(float(limit) for limit in axis.get_view_interval())
    ticks = _round_numbers(low, high, most)
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FixedFormatter([text(tick) for tick in ticks]))
    axis.set_minor_formatter(NullFormatter())


def _round_numbers(low: float, high: float, most: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits, step in (((1, 2, 5), 1), ((1, 3), 1), *(((1,), step) for step in range(1, 99))):
        powers = range(step * (first // step), last + 1, step)
        ticks = [float(f"{digit}e{power}") for power in powers for digit in digits]
        # Limits are often round numbers that were rounded.
        ticks = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(ticks) < 2:
            break
        if len(ticks) <= most:
            return ticks
    found = MaxNLocator(most, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in found if low <= tick <= high]


def number_text(value: float) -> str:
    """A number as axes show it: in full, or as a power of ten if that is long.

    Examples
    --------
    >>> from hifive_dask.plot.style import number_text
    >>> number_text(0.04), number_text(20_000), number_text(1e-7)
    ('0.04', '20,000', '$10^{-7}$')
    """
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        return minus(f"{value:,.10g}")
    digits, power = f"{value:.10e}".split("e")
    front = f"{float(digits):g}"
    times = "" if front == "1" else rf"{front}\cdot"
    return rf"${times}10^{{{int(power)}}}$"


def minus(text: str) -> str:
    """A number with the sign that axes have."""
    return text.replace("-", "\N{MINUS SIGN}")


def colour_map(cmap: str | Colormap | None) -> Colormap | None:
    """The colour map of a name, with those of this package for cells that it has none for.

    None for the default one.

    Raises
    ------
    ParameterError
        If Matplotlib has none of that name.
    """
    if not isinstance(cmap, str):
        return cmap
    try:
        return matplotlib.colormaps[cmap].with_extremes(bad=MISSING, under="#ffffff")
    except KeyError:
        near = near_names(cmap, matplotlib.colormaps) or ("viridis", "Reds")
        raise ParameterError(
            f"Matplotlib has no colour map {cmap!r}; it has, for example, "
            + ", ".join(map(repr, near))
        ) from None


def length_unit(size: float) -> tuple[str, int]:
    """Unit that suits a length in bp, and its size in bp.

    Examples
    --------
    >>> from hifive_dask.plot.style import length_unit
    >>> length_unit(30_000)
    ('kb', 1000)
    """
    return ("Mb", 1_000_000) if size >= 2e6 else ("kb", 1000) if size >= 2000 else ("bp", 1)


def length_text(size: float) -> str:
    """A length in bp in the largest unit that it fills.

    Examples
    --------
    >>> from hifive_dask.plot.style import length_text
    >>> length_text(1_500_000), length_text(200)
    ('1.5 Mb', '200 bp')
    """
    for unit, bp in (("Mb", 1_000_000), ("kb", 1000)):
        if size >= bp:
            return f"{size / bp:g} {unit}"
    return f"{size:g} bp"


def as_name(text: str) -> str:
    """A name of data as Matplotlib shows it whole: between two ``$`` it would read a formula.

    Examples
    --------
    >>> from hifive_dask.plot.style import as_name
    >>> print(as_name("chr$1"))
    chr\\$1
    """
    return text.replace("$", r"\$")


def share_text(share: float) -> str:
    """A share in %, such that what is there does not read as nothing.

    Examples
    --------
    >>> from hifive_dask.plot.style import share_text
    >>> share_text(12.34), share_text(0.01)
    ('12.3 %', '< 0.1 %')
    """
    return "< 0.1 %" if 0 < share < 0.05 else f"{share:.1f} %"


@answering
@by_first_rank
def save(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 150) -> None:
    """Write a figure, whole or not at all; the suffix decides the format.

    Parameters
    ----------
    figure
        What a function of this package returned.
    path
        The file: ``.png``, ``.svg`` or ``.pdf``. One that is there is replaced.
    dpi
        Pixels per inch of images.

    Raises
    ------
    ParameterError
        For another suffix.
    StoreError
        If the directory is missing or cannot be written. Nothing is changed then.
    """
    where = Path(path)
    suffix = where.suffix.lower()
    if suffix not in SUFFIXES:
        raise ParameterError(f"{where}: the suffix must be one of {', '.join(SUFFIXES)}")
    with replacing(where) as beside:
        figure.savefig(beside, dpi=dpi, format=suffix[1:])


def check_writable(where: Path) -> None:
    """Raise a `StoreError` if a picture cannot be written there."""
    if where.is_dir():
        raise StoreError(f"{where}: is a directory, expected a file; name a picture in it")
    if not where.parent.is_dir():
        raise StoreError(f"{where}: the directory {where.parent} does not exist; make it first")
    if not os.access(where.parent, os.W_OK | os.X_OK):
        raise StoreError(f"{where}: the directory {where.parent} cannot be written")


@contextlib.contextmanager
def replacing(where: Path) -> Iterator[Path]:
    """Give a name beside a picture to write to, and put it in place when all went well.

    Raises
    ------
    StoreError
        If the directory is missing or cannot be written. Nothing is changed then.
    """
    check_writable(where)
    beside = where.with_name(f".{where.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        yield beside
        beside.replace(where)
    except OSError as error:
        raise StoreError(f"{where}: cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
