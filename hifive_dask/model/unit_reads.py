"""How many reads maps expect of every unit: sums over all of its possible cis pairs."""

from __future__ import annotations

from collections.abc import Sequence

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask._graph.spans import group_rows
from hifive_dask.genome.partition import Units
from hifive_dask.model.chromosomes import Problem, chromosome_of, plan
from hifive_dask.model.descent import Limits
from hifive_dask.model.likelihood import Here, dense_part, list_part

__all__ = ["expected_of_units"]

Float64 = NDArray[np.float64]

_TOGETHER = 20_000  # units of chromosomes that share a task


def expected_of_units(
    units: Units,
    valid: NDArray[np.int32],
    parameters: NDArray[np.float32],
    chromosome_means: NDArray[np.float32],
    weights: Sequence[NDArray[np.float32]],
    *,
    silent: bool = False,
) -> Float64:
    """float64 (weights, N): reads expected of every unit, by distance and weights of both ends.

    A bin with itself counts twice, as its reads do. Time grows about as the number of units.

    Parameters
    ----------
    units, valid
        The genome, and the units in use.
    parameters, chromosome_means
        float32 (segments, 3) and (C): the distance dependence.
    weights
        float32 (N) each, such as corrections.
    silent
        No progress.

    Raises
    ------
    StateError
        If no unit has a possible partner.

    Examples
    --------
    >>> import numpy as np, hifive_dask as hd
    >>> from hifive_dask.model.unit_reads import expected_of_units
    >>> from hifive_dask.testing import toy_project
    >>> hic = hd.HiC(toy_project(), silent=True)
    >>> hic.filter_fends(mininteractions=5)
    >>> hic.find_distance_parameters(numbins=20, minsize=2000)
    >>> hic.find_probability_fend_corrections(model="poisson")
    >>> learned = hic.distance_parameters, hic.chromosome_means
    >>> sums = expected_of_units(hic.units, hic.filter, *learned, [hic.corrections], silent=True)
    >>> reads = hic.data.stats["valid_cis_reads"]
    >>> bool(0.9 * reads < sums.sum() / 2 < reads)  # those in use
    True
    """
    chroms = range(len(units.chromosomes))
    problem = plan(
        units, valid, chroms, parameters=parameters, window=(0, 0), binomial=False, start=None,
        limits=Limits(1.0, 1, 0.5),  # nothing is fitted
    )  # fmt: skip
    number = {chrom: int(problem.used[units.span(chrom)].sum()) for chrom in chroms}
    chosen = [chrom for chrom in chroms if number[chrom]]
    groups = group_rows(chosen, [number[chrom] for chrom in chosen], _TOGETHER)
    shared, task, tasks = dask.delayed(problem, traverse=False), dask.delayed(_sums, pure=True), []
    for group in groups:
        own = [[each[units.span(chrom)] for each in weights] for chrom in group]
        tasks.append(task(shared, group, own))
    sums = np.zeros((len(weights), len(units)))
    found = run(tasks, title=f"expected reads of {units.unit}s", silent=silent)
    for group, parts in zip(groups, found, strict=True):
        for chrom, part in zip(group, parts, strict=True):
            level = np.exp(np.float64(chromosome_means[chrom]))
            sums[:, units.span(chrom)] = level * part
    return sums


def _sums(
    problem: Problem, chroms: Sequence[int], weights: Sequence[Sequence[NDArray[np.float32]]]
) -> list[Float64]:
    """float64 (weights, n) of every chromosome, without its level."""
    return [_of_chromosome(problem, *each) for each in zip(chroms, weights, strict=True)]


def _of_chromosome(problem: Problem, chrom: int, weights: Sequence[NDArray[np.float32]]) -> Float64:
    chromosome = chromosome_of(problem, chrom)
    parts = [dense_part(chromosome, 0, 1, False), list_part(chromosome)]
    whole = Here(np.zeros(0), chromosome.possible, 0.0, (0.0,), parts)
    sums = np.zeros((len(weights), len(weights[0])))
    for row, weight in zip(sums, weights, strict=True):
        own = weight[chromosome.unit].astype(np.float64)
        row[chromosome.unit] = whole.terms(own, 0.0).gradient
    return sums
