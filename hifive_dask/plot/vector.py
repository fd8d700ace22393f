"""Figures as SVG inside a page: text as text, colours by name so that the page can change them."""

from __future__ import annotations

import io
import re
from html import escape

import matplotlib
from matplotlib.figure import Figure

from hifive_dask.plot.style import ACCENT, DEEP, INK, LIGHT, MISSING, MUTED, OUTSIDE, PALE, REJECTED

__all__ = ["COLOURS", "to_svg"]

COLOURS = {
    INK: "ink",
    "#ffffff": "paper",
    MUTED: "muted",
    ACCENT: "accent",
    DEEP: "deep",
    LIGHT: "light",
    MISSING: "missing",
    REJECTED: "rejected",
    PALE: "pale",
    OUTSIDE: "outside",
}
"""What a page may change: it defines ``--plot-NAME`` for each, or the colour itself is used."""

_FONTS = re.compile(r"'DejaVu Sans'(?:, (?:'[^']*'|[\w-]+))*")
_ROOT = re.compile(r"<svg ([^>]*)>")
_BOX = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_LINKED = re.compile(r'(?:href="#|url\(#)([\w-]+)')


def to_svg(figure: Figure, name: str, *, label: str, dpi: int = 170) -> str:
    """Return a figure as an ``svg`` element for an HTML page.

    Parameters
    ----------
    figure
        What a function of this package returned.
    name
        Of this picture on its page; all ids begin with it.
    label
        What is on the picture, for those who do not see it.
    dpi
        Pixels per inch of the images in it.

    Returns
    -------
    str
        Equal figures and names give equal text.

    Examples
    --------
    >>> from hifive_dask import plot
    >>> from hifive_dask.plot.vector import to_svg
    >>> figure = plot.decay([1e4, 1e5, 1e6], [1.0, 0.1, 0.01])
    >>> to_svg(figure, "decay", label="Decay")[:23]
    '<svg class="plot" role='
    """
    text = io.StringIO()
    _arrange(figure)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(text, format="svg", dpi=dpi, metadata=dict.fromkeys(_METADATA))
    body = text.getvalue()
    body = body[body.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = _FONTS.sub("inherit-font", body).replace("inherit-font", "sans-serif")
    body = _named_ids(body.replace("xlink:href", "href"), name)
    for colour, role in COLOURS.items():
        body = body.replace(f": {colour}", f": var(--plot-{role}, {colour})")
    width, height = (float(side) for side in _found(_BOX, body).groups())
    root = (
        f'<svg class="plot" role="img" aria-label="{escape(label)}" '
        f'viewBox="0 0 {width:g} {height:g}">'
    )
    body = _ROOT.sub(lambda _: root, body, count=1)
    return re.sub(r"\n\s*", "\n", body).strip()


def _arrange(figure: Figure) -> None:
    """Find the places of all axes: savefig would draw everything once more for that.

    Axes of images keep their shape, and it takes some looks until there is room for their labels.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        for _ in range(3 if any(ax.images for ax in figure.axes) else 1):
            engine.execute(figure)
        figure.set_layout_engine("none")


_METADATA = ("Date", "Creator", "Format", "Type")


def _named_ids(body: str, name: str) -> str:
    """Keep the ids that something refers to, made unique on the page."""
    linked = set(_LINKED.findall(body))

    def rename(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in linked else ""

    body = re.sub(r' id="([^"]*)"', rename, body)
    return _LINKED.sub(lambda match: f"{match[0][: -len(match[1])]}{name}-{match[1]}", body)


def _found(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    match = pattern.search(text)
    assert match is not None
    return match
