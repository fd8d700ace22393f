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
    "command_examples",
    "myst_nb",
    "notebook_pages",
    "numpydoc",
    "schema_tables",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx_click",
    "svg_drawings",
]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]  # cells that write files of other languages
nb_execution_mode = "auto"  # stored without outputs, so all are run
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_merge_streams = True
nb_output_stderr = "remove"
nb_ipywidgets_js: dict[str, str] = {}  # of what Dask shows, which is of no use here
numpydoc_show_class_members = False
autodoc_typehints = "none"
linkcheck_ignore = [r"http://localhost"]
linkcheck_timeout = 20
html_theme = "furo"
html_title = "hifive_dask"
html_static_path = ["_static"]
html_css_files = ["site.css"]
