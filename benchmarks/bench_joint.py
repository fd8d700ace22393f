"""The joint Poisson fit of one chromosome: seconds, by number of fends, or of bins of 10 kb.

Baseline: the Poisson descent alone, whose distance function is kept, in the same run.

    python bench_joint.py --units 20_000 130_000 400_000
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

from hifive_dask.genome.partition import Units
from hifive_dask.model.distance import fit_distance
from hifive_dask.model.joint_poisson import fit_jointly
from hifive_dask.model.probability import Settings, maximize

Figures = dict[str, Any]

PAIRS_PER_UNIT = 38
BIN = 10_000  # bp


def _bins(number: int) -> Units:
    start = BIN * np.arange(number, dtype=np.int32)
    return Units(("chr1",), np.array([0, number]), start, start + BIN, start + BIN // 2, False)


def measure(kind: str, number: int, pairs: int, joint: bool, workers: int) -> Figures:
    """Learn the corrections of one chromosome."""
    units = one_chromosome(number) if kind == "fends" else _bins(number)
    columns = random_cis_pairs(units, pairs)
    valid, store = used_units(units, *columns[:2]), memory_store(units, columns)
    distance = fit_distance(
        units, valid, store, numbins=90, minsize=200 if units.fends else BIN, maxsize=0
    )
    names = ("possible", "signal", "mean_log_distance", "edges")
    own: Figures = {"model": "poisson"}
    if joint:
        own = {"distance_sums": {name: getattr(distance, name) for name in names}}

    def run(iterations: int) -> Any:
        return (fit_jointly if joint else maximize)(
            units,
            valid,
            store,
            np.ones(len(units), dtype=np.float32),
            np.zeros(1, dtype=np.float32),
            Settings(
                distance.parameters,
                [0],
                max_iterations=iterations,
                on_nonconvergence="ignore",
                silent=True,
            ),
            **own,
        )

    with dask.config.set(scheduler="threads", num_workers=workers):
        run(1)
        seconds, result = best(lambda: run(1000), 1)
    if not result.converged:
        raise ArithmeticError(f"{number} {kind}, joint={joint}: not converged")
    return {"s": seconds, "rounds": len(result.trace) - 1, "peak GB": peak_gb()}


def main(
    sizes: list[int], threads: list[int], pairs_per_unit: int = PAIRS_PER_UNIT
) -> list[Figures]:
    """Run all sizes; print a table."""
    rows: list[Figures] = []
    for kind in ("fends", "bins"):
        for number in sizes:
            pairs = number * pairs_per_unit
            for count in threads:
                plain, own = (
                    fresh(measure, kind, number, pairs, joint, count) for joint in (False, True)
                )
                row = {"units": kind, "number": number, "pairs": pairs, "threads": count, **own}
                row |= {f"Poisson {name}": value for name, value in plain.items()}
                rows.append({**row, "ratio": plain["s"] / own["s"]})
    print(table("Joint Poisson fit, no limit of distance", rows))
    for kind in ("fends", "bins"):
        for count in threads:
            own_rows = [row for row in rows if (row["units"], row["threads"]) == (kind, count)]
            print(growth(f"{kind}, {count} threads", sizes, [row["s"] for row in own_rows]))
    return rows


if __name__ == "__main__":
    command(main, __doc__, "units", [20_000, 65_000, 130_000], threads=[2])
