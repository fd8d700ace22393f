"""What the corrections did: reads of every unit before and after, beside its features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import dask
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask.errors import ParameterError, StateError
from hifive_dask.model.express import possible_partners
from hifive_dask.model.rows import Piece, cis_groups, cis_pieces, group_span, rows_by_kind
from hifive_dask.model.weights import Problem, Settings, settings_of, weigh

__all__ = ["profile", "unit_table", "varying"]

Float64 = NDArray[np.float64]

_NO_FEATURES = {"chromosome", "start", "stop", "correction", "possible", "coverage", "corrected"}


def unit_table(
    problem: Problem, corrections: NDArray[np.float32] | None, *, silent: bool = False
) -> pd.DataFrame:
    """Reads of every unit before and after correction, in one chunked pass over the cis pairs.

    Parameters
    ----------
    problem
        Units in use, cis pairs, window, and what the pairs are divided by besides the corrections.
    corrections
        float32 (N), or None for none.
    silent
        No progress.

    Returns
    -------
    One row per unit in use that has possible partners: ``chromosome``, ``start`` and ``stop`` (bp),
    ``length`` (bp), the features of the partition, ``correction``, ``possible`` (partners), and
    ``coverage`` and ``corrected``: reads over those expected at their distances, per possible
    partner, before and after the correction, relative to the mean of all rows. `corrected` is 1
    throughout where the corrections balance the pairs.

    Raises
    ------
    StateError
        If no unit has partners.
    """
    units, store = problem.units, problem.store
    values = np.ones(len(units), dtype=np.float32) if corrections is None else corrections
    groups = cis_groups(store, problem.chroms)
    before, after = settings_of(replace(problem, binning=None)), settings_of(problem)
    task = dask.delayed(_sums, pure=True)
    spans = [group_span(units, group) for group in groups]
    tasks = [
        task(cis_pieces(store, group), span, values[span], before, after)
        for group, span in zip(groups, spans, strict=True)
    ]
    sums = np.zeros((2, len(units)))
    results = run(tasks, title=f"summing reads of {units.unit}s", silent=silent)
    for span, own in zip(spans, results, strict=True):
        sums[:, span] = own
    possible = possible_partners(problem)
    use = (problem.valid > 0) & (possible > 0) & (values > 0)
    if not use.any():
        raise StateError(f"no {units.unit} in use has a possible partner; see filter_fends")
    names = np.array(units.chromosomes, dtype=object)[units.chromosome[use]]
    table = pd.DataFrame(
        {
            "chromosome": pd.Categorical(names, list(units.chromosomes)),
            "start": units.start[use],
            "stop": units.stop[use],
            "length": units.stop[use] - units.start[use],
            **{name: feature[use] for name, feature in units.features.items()},
            "correction": values[use],
            "possible": possible[use],
        },
        index=pd.Index(np.flatnonzero(use), name="unit"),
    )
    for name, own in zip(("coverage", "corrected"), sums[:, use] / possible[use], strict=True):
        table[name] = own / (own.mean() or 1.0)
    return table


def varying(table: pd.DataFrame) -> list[str]:
    """Length, and features of the partition, that differ between the units of a `unit_table`.

    Examples
    --------
    >>> import pandas as pd
    >>> from hifive_dask.model.diagnostics import varying
    >>> varying(pd.DataFrame({"start": [0, 9], "gc": [0.4, 0.5], "map": [1.0, 1.0]}))
    ['gc']
    """
    names = [name for name in table.columns if name not in _NO_FEATURES]
    return [
        name for name in names if table[name][np.isfinite(table[name].astype(float))].nunique() > 1
    ]


def profile(table: pd.DataFrame, feature: str, groups: int = 20) -> pd.DataFrame:
    """Reads against a feature: units in groups of equal number by its value.

    Parameters
    ----------
    table
        As `unit_table` returns it.
    feature
        A column; units without a finite value are left out.
    groups
        Their number; there are fewer if many units have the same value.

    Returns
    -------
    One row per group: ``middle``, the median of the feature, ``units``, and for ``coverage`` and
    ``corrected`` the mean and the quartiles, as ``coverage_mean``, ``coverage_low``,
    ``coverage_high``, ...

    Raises
    ------
    ParameterError
        If no unit has a finite value.

    Examples
    --------
    >>> import pandas as pd
    >>> from hifive_dask.model.diagnostics import profile
    >>> reads = [1.0, 3.0, 2.0, 4.0]
    >>> table = pd.DataFrame({"gc": [0.1, 0.2, 0.5, 0.6], "coverage": reads, "corrected": reads})
    >>> profile(table, "gc", 2)["coverage_mean"].tolist()
    [2.0, 3.0]
    """
    values = table[feature].to_numpy(dtype=np.float64)
    use = np.isfinite(values)
    if not use.any():
        raise ParameterError(f"no unit has a finite {feature}; there is nothing to compare with")
    values = values[use]
    edges = np.unique(np.quantile(values, np.linspace(0, 1, groups + 1)))
    group = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    by_value = pd.Series(values).groupby(group)
    result = pd.DataFrame({"middle": by_value.median(), "units": by_value.size()})
    for column in ("coverage", "corrected"):
        reads = pd.Series(table[column].to_numpy()[use]).groupby(group)
        result[f"{column}_mean"] = reads.mean()
        result[f"{column}_low"], result[f"{column}_high"] = (
            reads.quantile(quartile) for quartile in (0.25, 0.75)
        )
    return result.reset_index(drop=True)


def _sums(
    pieces: Sequence[Piece],
    span: slice,
    values: NDArray[np.float32],
    before: Settings,
    after: Settings,
) -> Float64:
    """float64 (2, n): sums of weights of the units of a span, without and with corrections."""
    sums = np.zeros((2, len(values)))
    for piece in pieces:
        for cis, columns in rows_by_kind(piece, before.units, "cis"):
            plain = weigh(columns, cis, before)
            weight = plain.weight if after.binning is None else weigh(columns, cis, after).weight
            first, second = plain.first - span.start, plain.second - span.start
            both = values[first].astype(np.float64) * values[second]
            balanced = np.divide(weight, both, out=np.zeros(len(both)), where=both > 0)
            for ends in (first, second):
                sums[0] += np.bincount(ends, plain.weight, len(values))
                sums[1] += np.bincount(ends, balanced, len(values))
    return sums
