"""The matrix that is balanced: what it is of, and its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import hold
from hifive_dask._kernels.coverage import select_pairs
from hifive_dask._kernels.express import SparseRows, distance_weights
from hifive_dask._store.pairs import Columns, PairStore
from hifive_dask.errors import StateError
from hifive_dask.genome.partition import Units
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.filtering import UseReads

__all__ = ["Problem", "Settings", "Weights", "entries_of", "settings_of", "weigh"]

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]


@dataclass(frozen=True)
class Problem:
    """What is to be balanced.

    Parameters
    ----------
    units, store
        The genome and its pairs.
    valid
        int32 (N): units in use on the chosen chromosomes.
    chroms
        Chosen chromosomes.
    window
        bp: ``window[0] <= d < window[1]``, 0 is no upper limit.
    usereads
        Kind of rows.
    distance
        Parameters and chromosome means to be divided out of cis rows, or None.
    binary
        Rows count 1 in place of their reads.
    binning
        Model whose factors are divided out of all rows, or None.
    diagonal
        How often the sum of a bin has its reads with itself: twice, with both ends as for Express,
        or once as for Knight-Ruiz.
    ignore_diags
        Units whose numbers differ by less make no pair.
    scaled
        Whether rows are divided by the mean of pairs where no distance dependence is.
    """

    units: Units
    valid: Int32
    store: PairStore
    chroms: tuple[int, ...]
    window: tuple[int, int]
    usereads: UseReads
    distance: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    binary: bool
    binning: BinningModel | None
    diagonal: Literal[1, 2] = 2
    ignore_diags: int = 0
    scaled: bool = True


class Settings(NamedTuple):
    """The small part of a problem, that tasks need besides their rows."""

    units: Units
    valid: Int32
    window: tuple[int, int]
    distance: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    binary: bool
    binning: BinningModel | None
    diagonal: Literal[1, 2]
    ignore_diags: int


def settings_of(problem: Problem) -> Any:
    small = Settings(
        problem.units,
        problem.valid,
        problem.window,
        problem.distance,
        problem.binary,
        problem.binning,
        problem.diagonal,
        problem.ignore_diags,
    )
    (kept,) = hold([dask.delayed(small)])
    return kept


class Weights(NamedTuple):
    """Units of the rows in use, in the order of the rows, their weights, and sum of their reads."""

    first: Int32
    second: Int32
    weight: Float64
    reads: float


def weigh(columns: Columns, cis: bool, settings: Settings) -> Weights:
    units, (low, high) = settings.units, settings.window
    first, second, count = select_pairs(
        *columns, settings.valid, units.mid, mindistance=low, maxdistance=high, cis=cis
    )
    if settings.ignore_diags:
        far = second - first >= settings.ignore_diags
        first, second, count = first[far], second[far], count[far]
    weight = np.ones(len(first)) if settings.binary else count.astype(np.float64)
    reads = float(weight.sum())
    if cis and settings.distance is not None:
        parameters, means = settings.distance
        weight = distance_weights(first, second, weight, units.mid, parameters)
        weight /= np.exp(means.astype(np.float64))[units.chromosome[first]]
    if settings.binning is not None:
        factors = settings.binning.factors(first, second)
        if not (factors > 0).all():
            raise StateError(
                "the binning corrections are not above 0 for all pairs that were seen; learn them "
                "again with find_binning_fend_corrections, with pseudocounts or fewer bins"
            )
        weight /= factors
    if settings.diagonal == 1:  # products add every row to both of its ends
        weight[first == second] /= 2
    return Weights(first, second, weight, reads)


def entries_of(matrix: SparseRows, columns: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of entries of every row and of every column."""
    return np.diff(matrix.start), np.bincount(matrix.column, minlength=columns)
