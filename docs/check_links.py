"""Checks the links of the built documentation: ``python docs/check_links.py docs/_build/html``.

Every internal page, file and anchor has to exist. External links are not fetched here, but by
``make linkcheck``.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """The anchors of a page, and what it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = {"", "top"}
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value or "")
            elif name in ("href", "src", "xlink:href") and value:
                self.links.add(value)


def broken_links(root: Path) -> list[str]:
    """One line for each internal link below `root` that leads nowhere."""
    pages = {path: _Page(path.read_text()) for path in sorted(root.rglob("*.html"))}
    lines = []
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            where = f"{path.relative_to(root)}: {link}"
            if not target.exists():
                lines.append(f"{where}: no such file")
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                lines.append(f"{where}: no such anchor")
    return lines


def main(root: Path) -> int:
    """Print what is broken; 1 if anything is."""
    if not (root / "index.html").exists():
        print(f"{root} has no index.html; build the documentation first", file=sys.stderr)
        return 1
    lines = broken_links(root.resolve())
    print("\n".join(lines) if lines else "All internal links lead somewhere.", file=sys.stderr)
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
