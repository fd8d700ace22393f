"""Shows the examples of commands as code, below their options."""

from __future__ import annotations

from typing import Any


def _add(app: Any, ctx: Any, lines: list[str]) -> None:
    examples = getattr(ctx.command, "examples", ())
    if examples:
        lines += [".. rubric:: Examples", "", ".. code-block:: bash", ""]
        lines += [f"   {line}" for line in examples]
        lines.append("")


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.setup_extension("sphinx_click")
    app.connect("sphinx-click-process-epilog", _add)
    return {"parallel_read_safe": True}
