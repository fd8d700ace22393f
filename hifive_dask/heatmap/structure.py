"""Coordinates in space: principal components of the enrichment of a whole chromosome."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, svds
from threadpoolctl import threadpool_limits

from hifive_dask.errors import ParameterError, StateError
from hifive_dask.heatmap.arrays import cis_array
from hifive_dask.heatmap.bins import Bins, Request, find_bins
from hifive_dask.heatmap.dynamic import Growth
from hifive_dask.heatmap.limits import MEMORY_LIMIT, check_size
from hifive_dask.heatmap.recipe import Recipe

__all__ = ["learn_structure", "principal_coordinates"]

Float64 = NDArray[np.float64]

_COMPONENTS = 3
_DENSE = 256  # units: below, all components are quicker than the first three
_CELL_BYTES = 32  # of the maps, and of their logarithm


def learn_structure(
    recipe: Recipe,
    chrom: str | bytes,
    *,
    minobservations: int = 10,
    binsize: int = 0,
    memory_limit: int = MEMORY_LIMIT,
    silent: bool = False,
) -> Float64:
    """float64 (bins, 4): x, y, z and midpoint of every bin of a chromosome with a unit in use.

    Parameters
    ----------
    recipe
        What cells hold.
    chrom
        The chromosome.
    minobservations
        Reads that the dynamic cell of every two bins has.
    binsize
        bp; 0 for one bin per unit in use.
    memory_limit
        Bytes; a larger matrix is refused.

    Raises
    ------
    ParameterError
        For values out of range, fewer than four bins, fewer reads than `minobservations`, or a
        matrix above the `memory_limit`.
    StateError
        If there are reads where none can be expected.
    """
    if minobservations < 1:
        raise ParameterError(
            f"minobservations is {minobservations}, expected 1 or more: a cell without reads has "
            "no distance"
        )
    span = recipe.units.span(recipe.units.select([chrom])[0])
    if not recipe.genome.valid[span].any():
        raise ParameterError(
            f"no {recipe.units.unit} of {_name(chrom)} is in use; there is no model of it"
        )
    request = Request(chrom, binsize=binsize, skipfiltered=True)
    bins = find_bins(recipe.units, recipe.valid, request)
    used = _with_units(recipe, bins)
    _check_size(_name(chrom), len(bins), int(used.sum()), memory_limit)
    cells = cis_array(
        recipe,
        request,
        "upper",
        # Bins grow by bins of their own size, one side after the other.
        growth=Growth(minobservations, 0, binsize, False, in_turn=True),
        memory_limit=memory_limit,
        silent=silent,
    )[0]
    if cells[:, 0].min() < minobservations:  # even those that grew over the whole chromosome
        raise ParameterError(
            f"{_name(chrom)} has {cells[:, 0].min():,.0f} reads between {recipe.units.unit}s "
            "in use, and "
            f"minobservations is {minobservations:,}; ask for fewer"
        )
    matrix = _symmetric(_log_enrichment(cells), len(bins), not recipe.units.fends)[used][:, used]
    np.fill_diagonal(matrix, -np.inf)
    np.fill_diagonal(matrix, matrix.max())
    middle = (bins.start + bins.stop)[used] // 2
    return np.column_stack([principal_coordinates(matrix), middle])


def _name(chrom: str | bytes) -> str:
    return chrom.decode() if isinstance(chrom, bytes) else chrom


def _with_units(recipe: Recipe, bins: Bins) -> NDArray[np.bool_]:
    """bool (bins): whether a unit of the bin is in use."""
    before = np.r_[0, np.cumsum(recipe.genome.valid)]
    used: NDArray[np.bool_] = before[bins.last] > before[bins.first]
    return used


def _check_size(name: str, bins: int, used: int, limit: int) -> None:
    if used <= _COMPONENTS:
        raise ParameterError(
            f"{name} has {used} bins with a fend in use, expected {_COMPONENTS + 1} or more; "
            "choose a smaller binsize"
        )
    check_size(
        f"{name} has {bins:,} bins, and a matrix of every two of them",
        bins**2 * _CELL_BYTES,
        limit,
        "memory_limit",
        "choose a larger binsize (0 is one bin per fend in use)",
    )


def _log_enrichment(cells: NDArray[np.float32]) -> Float64:
    if not (cells[:, 1] > 0).all():
        raise StateError(
            "some reads lie where none are expected; were they loaded with another partition, or "
            "corrections set by hand?"
        )
    seen, expected = cells.astype(np.float64).T
    logarithm: Float64 = np.log(seen / expected)
    return logarithm


def _symmetric(values: Float64, size: int, diagonal: bool) -> Float64:
    """float64 (size, size): both triangles from the upper one; 0 on a diagonal not in it."""
    matrix = np.zeros((size, size))
    stop = 0
    for i in range(size):
        first = i + 1 - diagonal
        start, stop = stop, stop + size - first
        matrix[i, first:] = matrix[first:, i] = values[start:stop]
    return matrix


def principal_coordinates(matrix: NDArray[Any], *, dense: int = _DENSE) -> Float64:
    """float64 (rows, 3): scores of the rows on the first three principal components.

    Columns are centred and not scaled. Of each component the loading of largest size is positive.

    Parameters
    ----------
    matrix
        (rows, columns), at least 4 of each.
    dense
        Smaller matrices are decomposed wholly, larger ones by Lanczos iteration from a fixed
        start; the result is the same to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from hifive_dask.heatmap.structure import principal_coordinates
    >>> line = np.linspace(-1, 1, 5)
    >>> found = principal_coordinates(np.outer(line, line))
    >>> bool(np.allclose(found[:, 1:], 0))
    True
    """
    matrix = matrix.astype(np.float64, copy=False)
    rows, columns = matrix.shape
    mean = matrix.mean(axis=0)
    with threadpool_limits(1, user_api="blas"):  # whose rounding depends on its number of threads
        if min(rows, columns) <= dense:
            left, size, right = np.linalg.svd(matrix - mean, full_matrices=False)
            left, size, right = left[:, :_COMPONENTS], size[:_COMPONENTS], right[:_COMPONENTS]
        else:
            centred = LinearOperator(
                matrix.shape,
                matvec=lambda x: matrix @ x - mean @ x,
                rmatvec=lambda y: matrix.T @ y - mean * y.sum(),
                dtype=np.float64,
            )
            start = np.random.default_rng(0).standard_normal(min(rows, columns))
            left, size, right = svds(centred, k=_COMPONENTS, v0=start)
            order = np.argsort(-size)
            left, size, right = left[:, order], size[order], right[order]
    largest = right[np.arange(_COMPONENTS), np.abs(right).argmax(axis=1)]
    coordinates: Float64 = left * size * np.where(largest < 0, -1.0, 1.0)
    return coordinates
