"""Pictures of what was computed: maps, distance dependence, diagnostics.

Every function returns a Matplotlib figure and leaves pyplot alone; `save` writes it. With `ax` a
function draws into axes of the caller.

Examples
--------
>>> import hifive_dask as hd
>>> from hifive_dask import plot
>>> from hifive_dask.testing import toy_project
>>> hic = hd.HiC(toy_project(), silent=True)
>>> figure = plot.heatmap(hic.heatmap("chr1", binsize=20_000, datatype="raw"), variable="observed")
>>> figure.axes[0].get_xlabel()
'chr1 (kb)'
"""

from hifive_dask.plot.biases import biases, chromosomes, marginals
from hifive_dask.plot.coverage import coverage
from hifive_dask.plot.decay import decay
from hifive_dask.plot.diagnostics import corrections, insert_sizes, trace
from hifive_dask.plot.heatmap import heatmap
from hifive_dask.plot.libraries import statistics
from hifive_dask.plot.model import model
from hifive_dask.plot.sites import cut_sites
from hifive_dask.plot.style import save
from hifive_dask.plot.triangle import triangle

__all__ = [
    "biases",
    "chromosomes",
    "corrections",
    "coverage",
    "cut_sites",
    "decay",
    "heatmap",
    "insert_sizes",
    "marginals",
    "model",
    "save",
    "statistics",
    "trace",
    "triangle",
]
