"""What is expected of windows of any size, for dynamic binning: built lazily, shared by chunks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.dynamic import Growing
from hifive_dask._kernels.heatmap import impossible_pairs
from hifive_dask._kernels.moments import build_moments
from hifive_dask._kernels.pair_sums import power_law
from hifive_dask._kernels.window_sums import (
    FACTORS,
    POWERS,
    PRODUCTS,
    WindowSums,
    block_sums,
    inner_sums,
)
from hifive_dask.heatmap.axes import Segment, Stretch
from hifive_dask.heatmap.cells import Datatype, Expectation
from hifive_dask.heatmap.recipe import Recipe

__all__ = ["lazy_window_sums", "prepare_sums", "with_table"]

Float64 = NDArray[np.float64]
_STRIP = 128  # rows of blocks that a task sums


def lazy_window_sums(
    recipe: Recipe,
    datatype: Datatype,
    units: tuple[Segment, Segment],
    axes: tuple[Growing, Growing],
    cis: bool,
) -> Any:
    """Lazy `WindowSums`; with a table of blocks where pairs are not products of weights.

    Parameters
    ----------
    recipe, datatype
        What is expected of a pair.
    units
        What windows are made of on both axes, consecutive.
    axes
        Their blocks.
    cis
        Whether a pair counts only with the lower unit in the row, and not inside one of `units`
        unless these are those of a genome of bins.

    Notes
    -----
    Of n units in b blocks, the table takes O(n log n + b^2) operations with a power law, and O(n^2)
    with a binning model, which has factors of pairs.
    """
    expectation = recipe.expectation(datatype)
    one, two = units
    stretches = one.units, two.units
    if one.chrom[0] == two.chrom[0]:
        lo = min(each.first for each in stretches)
        stretches = (recipe.genome.part(lo, max(each.stop for each in stretches)),) * 2
    shared = [
        dask.delayed(each, traverse=False)
        for each in (expectation, stretches, (one.edge, two.edge), axes)
    ]
    sums = dask.delayed(prepare_sums, pure=True)(*shared, cis)
    if _kind(expectation, stretches) == PRODUCTS:
        return sums
    task = dask.delayed(block_sums, pure=True)
    edges = [*range(0, len(axes[0].border) - 1, _STRIP), len(axes[0].border) - 1]
    strips = [task(sums, lo, hi) for lo, hi in pairwise(edges)]
    return dask.delayed(with_table, pure=True)(sums, strips)


def _kind(expectation: Expectation, stretches: tuple[Stretch, Stretch]) -> int:
    if expectation.factors is not None:
        return FACTORS
    return POWERS if expectation.by_distance and _together(stretches) else PRODUCTS


def _together(stretches: tuple[Stretch, Stretch]) -> bool:
    """Whether both are one stretch. They need not be one object in another process."""
    return bool(stretches[0].chrom[0] == stretches[1].chrom[0])


def prepare_sums(
    expectation: Expectation,
    stretches: tuple[Stretch, Stretch],
    edges: tuple[NDArray[np.int64], NDArray[np.int64]],
    axes: tuple[Growing, Growing],
    cis: bool,
) -> WindowSums:
    """`WindowSums` without a table.

    Parameters
    ----------
    expectation
        Of a pair.
    stretches
        All units of each axis; the same ones for one chromosome.
    edges
        int64: first unit of what windows are made of, and one past the last.
    axes, cis
        As in `lazy_window_sums`.
    """
    one, two = stretches
    together = _together(stretches)
    parts = [one] if together else [one, two]
    mid = np.concatenate([each.mid for each in parts]).astype(np.int64)
    weight = np.concatenate([each.weight(expectation.corrected) for each in parts])
    rows = edges[0] - one.first
    columns = edges[1] - two.first + (0 if together else len(one))
    kind = _kind(expectation, stretches)
    plain = np.zeros((0, 0, 2), dtype=np.int32)
    bins = [each.feature_bins for each in parts if each.feature_bins is not None]
    thresholds, slope, intercept = np.zeros(0, dtype=np.int64), np.zeros(1), np.zeros(1)
    if expectation.by_distance and together:
        thresholds, slope = expectation.thresholds, expectation.slope
        intercept = expectation.intercept_of(int(one.chrom[0]))
    none = np.zeros(len(mid) + 1)
    sums = WindowSums(
        kind=kind,
        both=not cis,
        mid=mid,
        weight=weight,
        total=_running(weight),
        square=_running(weight * weight),
        own=none,
        near1=none,
        near3=none,
        rows=rows,
        columns=columns,
        row_blocks=rows[axes[0].border],
        column_blocks=columns[axes[1].border],
        table=np.zeros((1, 1)),
        tree=build_moments(*((mid, weight) if kind == POWERS else (mid[:0], weight[:0]))),
        thresholds=thresholds,
        law=power_law(slope, intercept),
        feature_bins=np.concatenate(bins) if kind == FACTORS else plain,
        factors=np.zeros(0, np.float32) if expectation.factors is None else expectation.factors,
    )
    return _corrected(sums, expectation, one) if together else sums


def _corrected(sums: WindowSums, expectation: Expectation, units: Stretch) -> WindowSums:
    """Add what is expected of impossible pairs, and of pairs inside one unit of growth."""
    count = len(units)
    group = np.searchsorted(sums.rows, np.arange(count), "right")
    own = np.zeros(count)
    near = np.zeros((4, count))
    if expectation.fends:
        first, second = impossible_pairs(units.first, units.chrom, units.valid)
        value = expectation.of_pairs(units, first, second)
        if not sums.both:
            value[group[first] == group[second]] = 0.0
            inside = np.flatnonzero(np.diff(sums.rows))
            own[sums.rows[inside]] = -inner_sums(sums, sums.rows)[inside]
        near[second - first, first] = value
    else:  # a bin with itself is a pair, at distance 0
        unit = np.arange(count)
        distance = np.zeros(count, dtype=np.int64)
        own = expectation.products(units, unit, unit) * expectation.at(distance, units.chrom)
        own *= 2.0 if sums.both else 1.0  # like any pair that is seen from both sides
    return sums._replace(own=_running(own), near1=_running(near[1]), near3=_running(near[3]))


def with_table(sums: WindowSums, strips: Sequence[Float64]) -> WindowSums:
    """Put sums over blocks, strip by strip, into the table."""
    table = np.zeros((len(sums.row_blocks), len(sums.column_blocks)))
    np.concatenate(strips, out=table[1:, 1:])
    np.cumsum(table, axis=0, out=table)
    np.cumsum(table, axis=1, out=table)
    return sums._replace(table=table)


def _running(values: Float64) -> Float64:
    sums: Float64 = np.r_[0.0, np.cumsum(values)]
    return sums
