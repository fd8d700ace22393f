"""Probability on one chromosome without a limit of distance: seconds, by number of fends.

Baseline: one thread; a plain compiled loop over all possible pairs for one evaluation of the
likelihood and its derivative. It is left out where it would take more than 60 s.

    python bench_probability.py --fends 20_000 65_000 130_000
"""

from __future__ import annotations

from typing import Any

import dask
import numpy as np
from bench_distance import one_chromosome
from harness import (
    best,
    command,
    fresh,
    growth,
    memory_store,
    peak_gb,
    random_cis_pairs,
    table,
    used_units,
)

from hifive_dask._kernels.fast_products import power_law
from hifive_dask._kernels.probability import no_factors, plain_terms
from hifive_dask.genome.partition import Units
from hifive_dask.model.distance import fit_distance
from hifive_dask.model.likelihood import segments
from hifive_dask.model.probability import Model, Settings, maximize

Figures = dict[str, Any]

PATIENCE = 60.0  # seconds
PAIRS_PER_FEND = 38


def _world(fends: int, pairs: int) -> tuple[Units, Any, Any, Any]:
    units = one_chromosome(fends)
    columns = random_cis_pairs(units, pairs)
    valid, store = used_units(units, *columns[:2]), memory_store(units, columns)
    return (
        units,
        valid,
        store,
        fit_distance(units, valid, store, numbins=90, minsize=200, maxsize=0),
    )


def measure(fends: int, pairs: int, model: Model, workers: int) -> Figures:
    """Learn the corrections of one chromosome."""
    units, valid, store, distance = _world(fends, pairs)
    binomial = model == "binomial"

    def run(iterations: int) -> Any:
        return maximize(
            units,
            valid,
            store,
            np.ones(len(units), dtype=np.float32),
            np.zeros(1, dtype=np.float32),
            Settings(
                distance.binary_parameters if binomial else distance.parameters,
                [0],
                max_iterations=iterations,
                on_nonconvergence="ignore",
                silent=True,
            ),
            model=model,
        )

    with dask.config.set(scheduler="threads", num_workers=workers):
        run(1)
        seconds, result = best(lambda: run(1000), 1)
    return {
        "seconds": seconds,
        "iterations": len(result.trace) - 1,
        "converged": result.converged,
        "GB": peak_gb(),
    }


def baseline(fends: int, pairs: int, model: Model) -> float:
    """Time one evaluation by a plain loop."""
    units, valid, _, distance = _world(fends, pairs)
    binomial = model == "binomial"
    unit = np.flatnonzero(valid)
    mid = units.mid[unit].astype(np.int64)
    parameters = distance.binary_parameters if binomial else distance.parameters
    law = power_law(*segments(parameters, 0, 0), int(mid[-1] - mid[0]), binomial=binomial)

    def evaluate(rows: int) -> Any:
        weight = np.ones(len(unit))
        fixed = {"fends": True, "edge": 0.9 if binomial else 0.0}
        return plain_terms(mid, unit, law, no_factors(len(unit)), (0, rows), weight, **fixed)

    evaluate(1)
    return best(lambda: evaluate(len(unit)), 1)[0]


def main(
    fends: list[int], threads: list[int], pairs_per_fend: int = PAIRS_PER_FEND
) -> list[Figures]:
    """Run all sizes; print a table."""
    rows: list[Figures] = []
    models: tuple[Model, ...] = ("poisson", "binomial")
    for model in models:
        slow: dict[int, float] = {}
        for n in fends:
            pairs = n * pairs_per_fend
            expected = max(slow.values(), default=0.0) * (n / max(slow, default=n)) ** 2
            if expected < PATIENCE:
                slow[n] = fresh(baseline, n, pairs, model)
            for count in threads:
                figures = fresh(measure, n, pairs, model, count)
                if not figures.pop("converged"):
                    raise ArithmeticError(f"{n} fends, {model}: not converged")
                plain = slow.get(n)
                row = {"model": model, "fends": n, "pairs": pairs, "threads": count, **figures}
                rows.append({**row, "baseline s, one evaluation": plain})
    print(table("Probability, no limit of distance", rows))
    for model in models:
        for count in threads:
            own = [row for row in rows if (row["model"], row["threads"]) == (model, count)]
            print(growth(f"{model}, {count} threads", fends, [row["seconds"] for row in own]))
    return rows


if __name__ == "__main__":
    command(main, __doc__, "fends", [20_000, 65_000, 130_000], threads=[2])
