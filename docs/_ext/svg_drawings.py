"""Directive ``drawing``: an SVG of `docs/drawings` in the page, in the colours of the page."""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from sphinx.application import Sphinx

_DRAWINGS = Path(__file__).resolve().parents[1] / "drawings"


class Drawing(Directive):
    """A drawing by its name, and the caption below it; `alt` says what there is to see."""

    required_arguments = 1
    has_content = True
    option_spec = {"alt": directives.unchanged_required}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        path = _DRAWINGS / f"{self.arguments[0]}.svg"
        if not path.exists():
            raise self.error(f"There is no drawing {path}; see docs/drawings.py.")
        if "alt" not in self.options:
            raise self.error("A drawing needs :alt:, for those who cannot see it.")
        self.state.document.settings.env.note_dependency(str(path))
        label = nodes.Text(self.options["alt"]).astext().replace('"', "&quot;")
        svg = path.read_text().replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
        figure = nodes.container(classes=["drawing"])
        figure += nodes.raw("", svg, format="html")
        self.state.nested_parse(self.content, self.content_offset, figure)
        return [figure]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("drawing", Drawing)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
