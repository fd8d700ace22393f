"""What the corrections did: reads of every unit before and after, beside its features."""

from __future__ import annotations

from collections.abc import Sequence

import dask
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask.errors import StateError
from hifive_dask.model.express import possible_partners
from hifive_dask.model.rows import Piece, cis_groups, cis_pieces, group_span, rows_by_kind
from hifive_dask.model.weights import Problem, Settings, settings_of, weigh

__all__ = ["unit_table"]

Float64 = NDArray[np.float64]


def unit_table(
    problem: Problem, corrections: NDArray[np.float32] | None, *, silent: bool = False
) -> pd.DataFrame:
    """Reads of every unit before and after correction, in one chunked pass over the cis pairs.

    Parameters
    ----------
    problem
        Units in use, pairs, window, and what the pairs are divided by besides the corrections.
    corrections
        float32 (N), or None for none.
    silent
        No progress.

    Returns
    -------
    One row per unit in use that has possible partners: ``chromosome``, ``start`` and ``stop`` (bp),
    ``length`` (bp), the features of the partition, ``correction``, ``possible`` (partners),
    ``observed`` (reads), ``coverage`` and ``corrected``: reads per possible partner before and
    after the correction, relative to the mean of all rows. `corrected` is 1 throughout if the
    corrections balance the pairs.

    Raises
    ------
    StateError
        If no unit has partners.
    """
    units, store = problem.units, problem.store
    values = np.ones(len(units), dtype=np.float32) if corrections is None else corrections
    groups = cis_groups(store, problem.chroms)
    settings, task = settings_of(problem), dask.delayed(_sums, pure=True)
    spans = [group_span(units, group) for group in groups]
    tasks = [
        task(cis_pieces(store, group), span, values[span], settings)
        for group, span in zip(groups, spans, strict=True)
    ]
    observed, corrected = np.zeros(len(units)), np.zeros(len(units))
    results = run(tasks, title="summing reads of units", silent=silent)
    for span, (reads, balanced) in zip(spans, results, strict=True):
        observed[span], corrected[span] = reads, balanced
    possible = possible_partners(problem)
    use = (problem.valid > 0) & (possible > 0) & (values > 0)
    if not use.any():
        raise StateError("no unit in use has a possible partner; see filter_fends")
    names = np.array(units.chromosomes, dtype=object)
    table = pd.DataFrame(
        {
            "chromosome": pd.Categorical(names[units.chromosome[use]], list(units.chromosomes)),
            "start": units.start[use],
            "stop": units.stop[use],
            "length": units.stop[use] - units.start[use],
            **{name: feature[use] for name, feature in units.features.items()},
            "correction": values[use],
            "possible": possible[use],
            "observed": observed[use].astype(np.int64),
        },
        index=pd.Index(np.flatnonzero(use), name="unit"),
    )
    for name, sums in (("coverage", observed), ("corrected", corrected)):
        mean = sums[use] / possible[use]
        table[name] = mean / (mean.mean() or 1.0)
    return table


def _sums(
    pieces: Sequence[Piece], span: slice, values: NDArray[np.float32], settings: Settings
) -> tuple[Float64, Float64]:
    """Reads, and reads divided by all that is expected, of the units of a span."""
    reads, balanced = np.zeros(len(values)), np.zeros(len(values))
    for piece in pieces:
        for cis, columns in rows_by_kind(piece, settings.units, "cis"):
            first, second, count, weight = weigh(columns, cis, settings)
            first, second = first - span.start, second - span.start
            both = values[first].astype(np.float64) * values[second]
            share = np.divide(weight, both, out=np.zeros(len(both)), where=both > 0)
            for ends in (first, second):
                reads += np.bincount(ends, count, len(reads))
                balanced += np.bincount(ends, share, len(reads))
    return reads, balanced
