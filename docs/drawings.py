"""Draws the pictures of the concepts: ``python docs/drawings.py`` writes ``docs/drawings/*.svg``.

The SVGs are committed. The directive ``drawing`` puts them into pages, where ink follows the colour
of the text, so that they are legible on light and dark backgrounds.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

INK = "#010203"  # becomes the colour of the text
LEFT, RIGHT = "#4a8fd4", "#e0893a"  # left and right fends
GOOD, BAD, SOFT = "#3fa66b", "#d1524f", "#8d8d8d"
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hifive_dask",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def canvas(width: float, height: float, high: float) -> tuple[Figure, Axes]:
    """A figure without axes; x goes to 100, y to `high`, with equal scales."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 100), ylim=(0, high))
    axes.axis("off")
    return figure, axes


def write(axes: Axes, x: float, y: float, text: str, **options: object) -> None:
    axes.text(x, y, text, **{"ha": "center", "va": "center", **options})  # type: ignore[arg-type]


def arrow(
    axes: Axes, start: tuple[float, float], stop: tuple[float, float], **options: object
) -> None:
    style = {"arrowstyle": "-|>", "mutation_scale": 11, "color": INK, "lw": 1.2, **options}
    axes.add_patch(FancyArrowPatch(start, stop, shrinkA=0, shrinkB=0, **style))  # type: ignore[arg-type]


def span(axes: Axes, start: float, stop: float, y: float, text: str, below: bool = True) -> None:
    """A measure from `start` to `stop` with its name."""
    arrow(axes, (start, y), (stop, y), arrowstyle="<|-|>", mutation_scale=8)
    write(axes, (start + stop) / 2, y + (-2 if below else 2), text)


def fend_box(axes: Axes, x: float, width: float, y: float, number: int, high: float = 6) -> None:
    colour = RIGHT if number % 2 else LEFT
    axes.add_patch(Rectangle((x, y), width, high, fc=colour, ec="none"))
    write(axes, x + width / 2, y + high / 2, str(number), color="white", weight="bold")


def fends() -> Figure:
    """Cut sites, fragments, fends, midpoints, distance."""
    figure, axes = canvas(7.6, 2.9, 38)
    cuts = [8, 36, 55, 92]
    axes.plot([2, 98], [17, 17], color=INK, lw=1.5, zorder=0)
    for cut in cuts:
        axes.plot([cut, cut], [12, 24.5], color=INK, lw=1.5, ls=(0, (3, 2)))
        write(axes, cut, 26.5, "cut site", fontsize=9)
    middles = []
    for k, (a, b) in enumerate(pairwise(cuts)):
        half = (b - a) / 2
        for side in (0, 1):
            x = a + side * half
            fend_box(axes, x + 0.3, half - 0.6, 14, 2 * k + side)
            middles.append(x + half / 2)
        span(axes, a + 0.4, b - 0.4, 9.5, f"fragment {k}")
    for middle in (middles[1], middles[4]):
        axes.plot(middle, 20.9, marker="v", color=INK, ms=5)
        axes.plot([middle, middle], [22, 32], color=INK, lw=0.8)
    span(
        axes,
        middles[1],
        middles[4],
        32,
        "distance of fends 1 and 4: between their midpoints",
        False,
    )
    for x, colour, text in ((24, LEFT, "left fends, even"), (60, RIGHT, "right fends, odd")):
        axes.add_patch(Rectangle((x, 1), 2.2, 2.6, fc=colour, ec="none"))
        write(axes, x + 3.2, 2.3, text, ha="left")
    return figure


def _kind(i: int, j: int) -> str:
    low, high = min(i, j), max(i, j)
    if low == high:
        return "itself"
    if high - low == 1:
        return "fragment" if low % 2 == 0 else "facing"
    return "outer" if high - low == 3 and low % 2 == 0 else "possible"


KINDS = {
    "possible": (GOOD, "possible"),
    "itself": (SOFT, "a fend with itself"),
    "fragment": (BAD, "both ends of a fragment"),
    "facing": ("#b06fc4", "both sides of a cut site"),
    "outer": ("#d9a91f", "outer ends of neighbours"),
}


def pairs() -> Figure:
    """Which pairs of eight fends are possible, and why the others are not."""
    figure, axes = canvas(7.6, 3.9, 51.3)
    n, size, x0, y0 = 8, 4.6, 58, 43
    for i in range(n):
        for at in ((x0 + (i + 0.5) * size, y0 + 2.2), (x0 - 2.2, y0 - (i + 0.5) * size)):
            write(axes, *at, str(i), color=RIGHT if i % 2 else LEFT, weight="bold")
        for j in range(n):
            corner = (x0 + j * size, y0 - (i + 1) * size)
            kind = _kind(i, j)
            axes.add_patch(
                Rectangle(corner, size - 0.4, size - 0.4, fc=KINDS[kind][0], ec="none",
                          alpha=0.45 if kind == "possible" else 1)
            )  # fmt: skip
    for k, (colour, text) in enumerate(KINDS.values()):
        x, y = 4, 16.5 - 3.6 * k
        axes.add_patch(
            Rectangle((x, y - 1.2), 2.4, 2.4, fc=colour, ec="none", alpha=0.45 if k == 0 else 1)
        )
        write(axes, x + 3.6, y, text, ha="left")
    for i in range(n):
        fend_box(axes, 3 + 6 * i + 0.15, 5.7, 32, i, 4.6)
    for cut in range(5):
        x = 3 + 12 * cut
        axes.plot([x, x], [30.5, 38], color=INK, lw=1.3, ls=(0, (3, 2)))
    for first, second, kind, high in (
        (0, 1, "fragment", 4),
        (3, 4, "facing", 4),
        (4, 7, "outer", 9),
    ):
        _arc(axes, 6 + 6 * first, 6 + 6 * second, 37, high, KINDS[kind][0])
    for first, second in ((0, 2), (1, 3), (3, 6)):
        _arc(axes, 6 + 6 * first, 6 + 6 * second, 31.6, -3 - 0.9 * (second - first), GOOD)
    return figure


def _arc(axes: Axes, start: float, stop: float, y: float, high: float, colour: str) -> None:
    x = np.linspace(start, stop, 30)
    t = (x - start) / (stop - start)
    axes.plot(x, y + 4 * high * t * (1 - t), color=colour, lw=2)


def insert() -> Figure:
    """Two fragments, ligated; the reads, and the insert size."""
    figure, axes = canvas(7.6, 2.6, 34.2)
    y, junction = 15, 50
    for x, width, number in ((8, 21, 6), (29, 21, 7), (50, 19, 40), (69, 19, 41)):
        fend_box(axes, x, width - 0.3, y, number, 5)
    axes.plot([junction, junction], [11, 29.5], color=INK, lw=1.5, ls=(0, (3, 2)))
    write(axes, junction, 31.5, "two cut sites, ligated")
    for start, stop, text in (
        (33, 43, "read 1, strand +"),
        (63, 53, "read 2, strand \N{MINUS SIGN}"),
    ):
        arrow(axes, (start, 23), (stop, 23), lw=3, mutation_scale=16)
        write(axes, stop, 26.8, text, ha="right" if start < 50 else "left")
        axes.plot([start, start], [9.5, 23], color=INK, lw=0.8)
    span(axes, 33, junction - 0.2, 11.5, "$d_1$")
    span(axes, junction + 0.2, 63, 11.5, "$d_2$")
    write(
        axes,
        junction,
        5,
        "insert size = $d_1$ + $d_2$, from 5' ends to cut sites, at most maxinsert",
    )
    write(
        axes, junction, 1.6, "read 1 belongs to right fend 7, read 2 to left fend 40", fontsize=10
    )
    return figure


def distance() -> Figure:
    """Means of bins of distance, joined by straight lines."""
    rng = np.random.default_rng(5)
    edges = np.linspace(np.log(1e4), np.log(5e6), 9)
    centres = np.r_[edges[0] - 0.45, (edges[:-1] + edges[1:]) / 2 + rng.uniform(-0.1, 0.1, 8)]
    values = 1.5 - 0.95 * (centres - centres[0]) + rng.normal(0, 0.2, 9)
    figure = Figure(figsize=(7.6, 3.6))
    axes = figure.add_axes((0.1, 0.15, 0.86, 0.8))
    for edge in edges:
        axes.axvline(edge, color=SOFT, lw=0.8, ls=(0, (2, 3)))
    axes.plot(centres, values, color=BAD, lw=2, label="E(d)")
    for a, b, outside in ((0, 1, edges[0] - 1.0), (-1, -2, edges[-1] + 0.4)):
        slope = (values[b] - values[a]) / (centres[b] - centres[a])
        axes.plot([outside, centres[a]], [values[a] + slope * (outside - centres[a]), values[a]],
                  color=BAD, lw=2, ls=(0, (4, 2)))  # fmt: skip
    axes.plot(centres, values, "o", color=INK, ms=7, label="mean of all possible pairs of a bin")
    axes.set_xticks(np.log([1e4, 1e5, 1e6]), ["10 kb", "100 kb", "1 Mb"])
    axes.set(xlabel="distance, logarithmic", ylabel="ln(reads per possible pair)", yticks=[])
    axes.annotate("bins of equal width in ln(d)", ((edges[4] + edges[5]) / 2, 2.5), ha="center")
    axes.annotate("first bin", (edges[0] - 0.12, 2.5), ha="right")
    axes.annotate("minsize", (edges[0] + 0.06, 2.5), ha="left")
    axes.annotate("outer lines go on", (edges[-1] - 0.1, values[-1] + 0.8), ha="center")
    axes.set_ylim(None, 3)
    axes.legend(frameon=False, loc="lower left", labelcolor=INK)
    return figure


def _maps() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observed and expected reads of 40 bins, and biases."""
    rng = np.random.default_rng(8)
    n = 40
    bias = np.exp(rng.normal(0, 0.45, n))
    far = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) + 1.0
    expected = 60 * np.outer(bias, bias) / far**0.9
    kind = np.repeat([1, -1, 1, -1, 1], 8)
    truth = np.exp(0.45 * np.outer(kind, kind))
    for start, stop in ((4, 12), (20, 30)):
        truth[start:stop, start:stop] *= 1.8
    counts = np.triu(rng.poisson(expected * truth))
    return (counts + np.triu(counts, 1).T).astype(float), expected, bias


def observed() -> Figure:
    """Observed over expected: a map without biases and distance."""
    seen, expected, bias = _maps()
    figure = Figure(figsize=(7.6, 3.2))
    panels = (
        ("observed", np.log(seen + 1), "Greys", (0, np.log(200)), "reads"),
        (
            "expected",
            np.log(expected + 1),
            "Greys",
            (0, np.log(200)),
            "bias, bias, distance: their product",
        ),
        (
            "observed / expected",
            np.log2((seen + 1) / (expected + 1)),
            "RdBu_r",
            (-2, 2),
            "compartments, domains",
        ),
    )
    for k, (title, values, colours, limits, what) in enumerate(panels):
        left = 0.015 + 0.345 * k
        axes = figure.add_axes((left, 0.02, 0.28, 0.28 * 7.6 / 3.2))
        big = np.kron(values, np.ones((6, 6)))
        axes.imshow(big, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation="none")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(True)
        bars = figure.add_axes((left, 0.69, 0.28, 0.11))
        bars.axis("off")
        bars.set(xlim=(-0.5, 39.5), ylim=(0, 3))
        if k < 2:
            bars.bar(np.arange(40), bias, width=0.8, color=RIGHT)
        figure.text(left + 0.14, 0.95, title, ha="center", va="center", weight="bold")
        figure.text(left + 0.14, 0.865, what, ha="center", va="center", fontsize=10)
    for x, sign in ((0.328, "÷"), (0.672, "=")):
        figure.text(x, 0.36, sign, ha="center", va="center", fontsize=22)
    return figure


READS = [(1, 3), (2, 10), (3, 5), (3, 13), (4, 1), (4, 8), (6, 1), (7, 7), (8, 13), (9, 2)]
READS += [(10, 13), (13, 9), (11, 1), (12, 12), (13, 6), (1, 13), (13, 1), (5, 11)]


def dynamic() -> Figure:
    """A cell with too few reads grows to the smallest radius that has enough."""
    n, size, top = 15, 2.55, 38.5
    figure, axes = canvas(7.6, 3.2, 42)
    for x0, radius, title in ((5, 0, "a cell of two bins"), (57, 3, "grown until it has 4 reads")):
        low, high = 6 - radius, 9 + radius
        for start, stop, colour, alpha in ((0, n, SOFT, 0.2), (low, high, LEFT, 0.45)):
            side = (stop - start) * size
            corner = (x0 + start * size, top - stop * size)
            axes.add_patch(Rectangle(corner, side, side, fc=colour, ec="none", alpha=alpha))
        for k in range(n + 1):
            ends, at = (0, n * size), k * size
            for xs, ys in ((ends, (at, at)), ((at, at), ends)):
                axes.plot([x0 + x for x in xs], [top - y for y in ys], color=SOFT, lw=0.5)
        found = 0
        for i, j in READS:
            taken = low <= i < high and low <= j < high
            found += taken
            axes.plot(x0 + (j + 0.5) * size, top - (i + 0.5) * size, "o", ms=4.5,
                      color=INK if taken else SOFT)  # fmt: skip
        axes.add_patch(
            Rectangle((x0 + 6 * size, top - 9 * size), 3 * size, 3 * size, fc="none", ec=BAD, lw=2)
        )
        reads = "read" if found == 1 else "reads"
        write(axes, x0 + n * size / 2, 40.6, title + (f": {found} {reads}" if radius == 0 else ""))
    middle = 57 + 7.5 * size
    arrow(axes, (middle, top - 8.5 * size), (middle + 4.5 * size, top - 8.5 * size))
    write(axes, middle + 2.9 * size, top - 9.3 * size, "radius", fontsize=10)
    arrow(axes, (45, 20), (55, 20), lw=2, mutation_scale=16)
    return figure


SHADES = ["#e4edf6", "#b9d3ea", "#7fb2dc", "#3b83c4"]
DARK = "#22303c"  # on the shades, whatever the background


def quadtree() -> Figure:
    """Squares are divided where there are reads enough."""
    rng = np.random.default_rng(11)
    centres = rng.normal(0.3, 0.1, (110, 2)), rng.normal(0.72, 0.05, (60, 2)), rng.random((34, 2))
    points = np.clip(np.concatenate(centres), 0.001, 0.999)
    figure, axes = canvas(7.6, 3.6, 47.4)
    x0, y0, size = 4, 3, 41
    for level, x, y, side in sorted(_squares(points, 0.0, 0.0, 1.0, 0)):
        axes.add_patch(
            Rectangle((x0 + x * size, y0 + y * size), side * size, side * size, fc=SHADES[level],
                      ec=DARK, lw=0.7)
        )  # fmt: skip
    axes.plot(*(points * size + (x0, y0)).T, ".", color=DARK, ms=2.5)
    write(axes, x0 + size / 2, 46, "stored squares, fine ones on top")
    rows = (("1280 kb", [72], 1), ("640 kb", [61, 68, 75, 82], 3), ("320 kb", [55, 60, 65, 70], 2),
            ("160 kb", [51, 55, 59, 63], 2))  # fmt: skip
    parent = (0.0, 0.0)
    for level, (name, places, stored) in enumerate(rows):
        y, side = 40 - 11 * level, 6 - level
        for k, x in enumerate(places):
            lines = "-" if k < stored else (0, (2, 2))
            axes.add_patch(
                Rectangle((x - side / 2, y - side / 2), side, side, lw=1, ls=lines,
                          fc=SHADES[level] if k < stored else "none", ec=INK)
            )  # fmt: skip
            if level:
                axes.plot([parent[0], x], [parent[1], y + side / 2], color=INK, lw=0.8, ls=lines)
        parent = (places[0], y - side / 2)
        write(axes, 99, y, name, ha="right")
    write(axes, 77, 1.5, "dashed: too few reads, not stored", fontsize=10)
    return figure


def _squares(
    points: np.ndarray, x: float, y: float, side: float, level: int, least: int = 5
) -> Iterator[tuple[int, float, float, float]]:
    here = points[((points >= (x, y)) & (points < (x + side, y + side))).all(axis=1)]
    if len(here) < least:
        return
    yield level, x, y, side
    if level < 3:
        for dy in (0, side / 2):
            for dx in (0, side / 2):
                yield from _squares(here, x + dx, y + dy, side / 2, level + 1, least)


def stores() -> Figure:
    """What goes in, the three stores, what comes out."""
    figure, axes = canvas(7.6, 2.3, 30.3)
    boxes = (
        (3, "fends.zarr", "Fend", "where fends are", LEFT),
        (37, "pairs.zarr", "HiCData", "pairs and their reads", GOOD),
        (71, "project.zarr", "HiC", "filter, distance, biases", RIGHT),
    )
    for x, name, class_name, what, colour in boxes:
        axes.add_patch(
            FancyBboxPatch((x, 10), 25, 10, boxstyle="round,pad=0,rounding_size=1.2", fc=colour,
                           ec="none", alpha=0.25)
        )  # fmt: skip
        write(axes, x + 12.5, 17.4, name, weight="bold")
        write(axes, x + 12.5, 14.6, f"class {class_name}", fontsize=10)
        write(axes, x + 12.5, 11.8, what, fontsize=10)
    for x in (37, 71):
        arrow(axes, (x - 0.6, 15), (x - 8.4, 15))
        write(axes, x - 4.5, 17, "link", fontsize=9)
    for x, text in ((15.5, "cut sites, genome"), (49.5, "reads, matrices, coolers")):
        write(axes, x, 27.5, text)
        arrow(axes, (x, 25.6), (x, 20.6))
    write(axes, 83.5, 27.5, "filter, distance, normalize")
    arrow(axes, (83.5, 25.6), (83.5, 20.6))
    for x, text in (
        (15.5, "features"),
        (49.5, "statistics"),
        (83.5, "maps of any bin size, files"),
    ):
        arrow(axes, (x, 9.4), (x, 5))
        write(axes, x, 2.8, text)
    return figure


DRAWINGS: dict[str, Callable[[], Figure]] = {
    draw.__name__: draw
    for draw in (fends, pairs, insert, distance, observed, dynamic, quadtree, stores)
}


def main(target: Path) -> None:
    """Write all drawings into the directory `target`."""
    target.mkdir(exist_ok=True)
    with mpl.rc_context(STYLE):
        for name, draw in DRAWINGS.items():
            path = target / f"{name}.svg"
            draw().savefig(path, transparent=True, metadata={"Date": None, "Creator": None})
            path.write_text(_inlined(path.read_text(), name))


def _inlined(text: str, name: str) -> str:
    """What may stand in a page beside others: ink of the page, names of its own, no fixed size."""
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r" *<(metadata|style)\b.*?</\1>\n", "", text, flags=re.DOTALL)
    used = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", text))
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r"(url\(|href=\")#", rf"\1#{name}-", text)
    return re.sub(
        r'(<svg [^>]*?)(?: (?:width|height)="[^"]*pt")+',
        r'\1 stroke-linejoin="round"',
        text,
        count=1,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "drawings")
