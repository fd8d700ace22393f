"""Observed over expected: one rule for maps of projects, stores and files."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError
from hifive_dask.heatmap.labels import describe

__all__ = ["enrichment", "is_lazy", "layers", "log2_ratio", "ratio"]

Float32 = NDArray[np.float32]


def ratio(observed: NDArray[Any], expected: NDArray[Any]) -> Float32:
    """float32: observed over expected, NaN where nothing is expected, or not stored."""
    result = np.full(np.shape(observed), np.nan)
    np.divide(observed, expected, out=result, where=expected > 0)
    rounded: Float32 = result.astype(np.float32)
    return rounded


def _log2(observed: NDArray[Any], expected: NDArray[Any], pseudocount: float) -> Float32:
    use = (expected > 0) & (observed + pseudocount > 0)
    result = np.full(np.shape(observed), np.nan)
    np.divide(observed + pseudocount, expected + pseudocount, out=result, where=use)
    rounded: Float32 = np.log2(result).astype(np.float32)
    return rounded


def enrichment(dataset: xr.Dataset) -> xr.DataArray:
    """Observed over expected reads of a Dataset, lazy if they are."""
    return _apply(ratio, dataset, "enrichment", describe("enrichment", _datatype(dataset)))


def log2_ratio(dataset: xr.Dataset, pseudocount: float = 0.0) -> xr.DataArray:
    """log2 of observed over expected reads, with reads added to both; NaN where it is not known.

    Raises
    ------
    ParameterError
        If `pseudocount` is negative.
    """
    if pseudocount < 0:
        raise ParameterError(f"pseudocount is {pseudocount}, expected reads, 0 or more")
    name = describe("enrichment", _datatype(dataset))["long_name"]
    attributes = {"long_name": f"log2 {name}", "units": "1"}
    return _apply(_log2, dataset, "log2_enrichment", attributes, pseudocount=float(pseudocount))


def _apply(
    function: Any, dataset: xr.Dataset, name: str, attributes: dict[str, str], **options: Any
) -> xr.DataArray:
    found: xr.DataArray = xr.apply_ufunc(
        function,
        *layers(dataset),
        kwargs=options,
        dask="parallelized",
        output_dtypes=[np.float32],
    )
    return found.rename(name).assign_attrs(attributes)


def layers(dataset: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Observed and expected of a Dataset; those that would be read as a whole in chunks.

    Raises
    ------
    ParameterError
        If the Dataset has none.
    """
    missing = [name for name in ("observed", "expected") if name not in dataset.variables]
    if missing:
        raise ParameterError(
            f"the dataset has no {' and no '.join(missing)}; take what HiC.heatmap returned, or a "
            "region of open_heatmaps"
        )
    found = dataset["observed"], dataset["expected"]
    if not is_lazy(dataset):
        return found
    one, two = (each.copy(deep=False, data=each.variable.chunk("auto").data) for each in found)
    return one, two


def is_lazy(dataset: xr.Dataset) -> bool:
    """Whether cells are still in a file, and not in Dask chunks either."""
    cells: Any = dataset["observed"].variable
    return cells.chunks is None and not isinstance(cells._data, np.ndarray)


def _datatype(dataset: xr.Dataset) -> str:
    return str(dataset.attrs.get("datatype", "enrichment"))
