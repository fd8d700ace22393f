"""Configuration of the documentation."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from hifive_dask import __version__

project = "hifive_dask"
author = "The hifive_dask developers"
copyright = "2026, the hifive_dask developers"
release = version = __version__
extensions = [
    "myst_parser",
    "numpydoc",
    "schema_tables",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx_click",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
numpydoc_show_class_members = False
autodoc_typehints = "none"
html_theme = "furo"
html_title = "hifive_dask"
html_static_path: list[str] = []
