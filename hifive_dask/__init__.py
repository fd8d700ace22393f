"""Hi-C at restriction-fragment resolution, on Dask.

``Fend`` holds the partition of a genome, ``HiCData`` the counted pairs, ``HiC`` the project: what
is learned from them, and the heatmaps.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hifive_dask.convert import export_project, import_project
    from hifive_dask.export.heatmap_hdf5 import open_heatmaps
    from hifive_dask.fend import Fend
    from hifive_dask.heatmap.coolers import import_heatmaps
    from hifive_dask.heatmap.mrh_reader import open_mrh
    from hifive_dask.hic import HiC
    from hifive_dask.hic_data import HiCData
    from hifive_dask.report.write import write_report

__all__ = [
    "Fend",
    "HiC",
    "HiCData",
    "__version__",
    "export_project",
    "import_heatmaps",
    "import_project",
    "open_heatmaps",
    "open_mrh",
    "write_report",
]

__version__ = "0.1.0"

_HOME = {
    "Fend": "hifive_dask.fend",
    "HiCData": "hifive_dask.hic_data",
    "HiC": "hifive_dask.hic",
    "export_project": "hifive_dask.convert",
    "import_heatmaps": "hifive_dask.heatmap.coolers",
    "import_project": "hifive_dask.convert",
    "open_heatmaps": "hifive_dask.export.heatmap_hdf5",
    "open_mrh": "hifive_dask.heatmap.mrh_reader",
    "write_report": "hifive_dask.report.write",
}
_WITHOUT_MAPS = ("Fend", "HiCData")
_MODULES = ("cluster", "errors", "fend", "hic", "hic_data", "plot")


def __getattr__(name: str) -> Any:
    # Imported on first use: numba and Dask cost seconds that `hifive-dask --help` need not pay.
    if name in _HOME:
        if name not in _WITHOUT_MAPS:
            import_module("hifive_dask.accessor")  # gives maps of xarray their `.hic`
        return getattr(import_module(_HOME[name]), name)
    if name in _MODULES:
        return import_module(f"hifive_dask.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
