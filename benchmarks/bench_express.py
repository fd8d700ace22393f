"""Express: seconds per iteration and pairs per second, by number of stored cis pairs.

And iterations and seconds until they have converged: plain, accelerated, Knight-Ruiz. They are of
fends with at least six partners, and include the setup.

Timed is the whole balancing, scheduling included, without its setup: the difference of a long and a
short run, over the difference of their iterations.

Baseline: one thread; one plain compiled loop over triples (i, j, weight) for the sums of every
fend, then the update of every correction.

    python bench_express.py --pairs 1_000_000 5_000_000 20_000_000
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, get_args

import dask
import numba
import numpy as np
from harness import (
    best,
    command,
    fresh,
    growth,
    human_fends,
    peak_gb,
    table,
    used_units,
    write_random_pairs,
)

import hifive_dask as hd
from hifive_dask._store.pairs import PairStore
from hifive_dask.model import iterations
from hifive_dask.model.express import ExpressResult, Method, balance, possible_partners
from hifive_dask.model.filtering import filter_units
from hifive_dask.model.rows import longest_distance
from hifive_dask.model.weights import Problem

Figures = dict[str, Any]
METHODS: tuple[Method, ...] = get_args(Method)

# ln(reads) against ln(distance): one slope up to e^12 bp, a steeper one beyond.
DISTANCE = np.array([[12, -0.7, 0], [np.inf, -1.0, 3.6]], dtype=np.float32)


def express(fends: str, pairs: str, workers: int, short: int, extra: int) -> Figures:
    """Time `extra` iterations; call it in a fresh process for its peak memory."""
    # Among random pairs are fends with one partner, whose corrections grow without end.
    iterations.BOUND = np.inf
    units, store = hd.Fend(fends).units, PairStore.open(pairs)
    first, second, _ = store.rows_of(0, len(store))()
    valid = used_units(units, first, second)
    del first, second
    chromosomes = len(units.chromosomes)

    def run(steps: int) -> ExpressResult:
        return balance(
            units,
            valid,
            store,
            np.ones(len(units), dtype=np.float32),
            iterations=steps,
            max_iterations=steps,
            minchange=1e-9,
            mindistance=0,
            maxdistance=0,
            usereads="cis",
            distance=(DISTANCE, np.zeros(chromosomes, dtype=np.float32)),
            binary=False,
            chroms=range(chromosomes),
            mininteractions=1,
            on_nonconvergence="ignore",
            silent=True,
        )

    with dask.config.set(scheduler="threads", num_workers=workers):
        run(1)
        setup, result = best(lambda: run(short), 2)
        whole, _ = best(lambda: run(short + extra), 2)
    return {"seconds": (whole - setup) / extra, "cost": result.trace[-1, 0], "GB": peak_gb()}


def converge(fends: str, pairs: str, workers: int, limit: int) -> Figures:
    """Time every method until its change, or residual, is below 1e-4."""
    units, store = hd.Fend(fends).units, PairStore.open(pairs)
    chromosomes = len(units.chromosomes)
    figures: Figures = {}
    found = {}
    with dask.config.set(scheduler="threads", num_workers=workers):
        valid = filter_units(
            units,
            np.ones(len(units), dtype=np.int32),
            store,
            mininteractions=6,
            mindistance=0,
            maxdistance=0,
            usereads="cis",
            silent=True,
        )
        for method in METHODS:
            start = time.perf_counter()
            result = balance(
                units,
                valid,
                store,
                np.ones(len(units), dtype=np.float32),
                iterations=1,
                max_iterations=limit,
                minchange=1e-4,
                mindistance=0,
                maxdistance=0,
                usereads="cis",
                distance=(DISTANCE, np.zeros(chromosomes, dtype=np.float32)),
                binary=False,
                chroms=range(chromosomes),
                mininteractions=1,
                method=method,
                silent=True,
            )
            figures[f"{method} s"] = time.perf_counter() - start
            figures[method] = len(result.trace)
            found[method] = result.corrections[valid > 0]
    if not np.allclose(found["plain"], found["accelerated"], rtol=0.05):
        raise ArithmeticError("the accelerated corrections are not those of the plain iteration")
    return figures


@numba.njit
def _plain(first, second, weight, possible, used, correction, steps):  # type: ignore[no-untyped-def]
    cost = 0.0
    total = np.empty(len(correction))
    for _ in range(steps):
        total[:] = 0.0
        for k in range(len(first)):
            i, j = first[k], second[k]
            value = weight[k] / (correction[i] * correction[j])
            total[i] += value
            total[j] += value
        cost = 0.0
        for i in range(len(correction)):
            if used[i]:
                ratio = total[i] / possible[i]
                cost += (ratio - 1.0) ** 2
                correction[i] *= np.sqrt(ratio)
    return np.sqrt(cost)


def baseline(fends: str, pairs: str, steps: int) -> Figures:
    """Time the plain loop; the columns are in memory."""
    units, store = hd.Fend(fends).units, PairStore.open(pairs)
    first, second, count = store.rows_of(0, len(store))()
    valid = used_units(units, first, second)
    chroms = tuple(range(len(units.chromosomes)))
    window = (0, longest_distance(units, store, silent=True) + 1)
    possible = possible_partners(
        Problem(units, valid, store, chroms, window, "cis", None, False, None)
    )
    logs = np.log(np.maximum(1, units.mid[second] - units.mid[first]))
    segment = np.searchsorted(DISTANCE[:, 0], logs)
    weight = count / np.exp(DISTANCE[segment, 1] * logs + DISTANCE[segment, 2])
    del logs, segment
    fixed = (first, second, weight, possible, valid > 0)
    _plain(*fixed, np.ones(len(units)), 1)
    seconds, cost = best(lambda: _plain(*fixed, np.ones(len(units)), steps), 2)
    return {"seconds": seconds / steps, "cost": cost, "GB": peak_gb()}


def main(
    pairs: list[int],
    threads: list[int],
    fends: int = 1_600_000,
    short: int = 20,
    extra: int = 100,
    limit: int = 3000,
) -> list[Figures]:
    """Run all sizes; print a table."""
    rows, ends = [], []
    with tempfile.TemporaryDirectory(dir=".") as directory:
        where = Path(directory)
        genome = human_fends(where / "fends.zarr", fends)
        for n in pairs:
            stored = str(write_random_pairs(where / f"{n}.zarr", genome, n))
            plain = fresh(baseline, str(where / "fends.zarr"), stored, short)
            for count in threads:
                figures = fresh(express, str(where / "fends.zarr"), stored, count, short, extra)
                if not np.isclose(figures["cost"], plain["cost"], rtol=1e-3):
                    raise ArithmeticError(f"cost {figures['cost']}, baseline {plain['cost']}")
                rows.append(
                    {
                        "pairs": n,
                        "threads": count,
                        "ms/iteration": 1000 * figures["seconds"],
                        "M pairs/s": n / figures["seconds"] / 1e6,
                        "peak GB": figures["GB"],
                        "baseline ms": 1000 * plain["seconds"],
                        "baseline M pairs/s": n / plain["seconds"] / 1e6,
                        "baseline GB": plain["GB"],
                        "ratio": plain["seconds"] / figures["seconds"],
                    }
                )
            if n >= 10 * fends:  # with fewer, hardly a fend has six partners
                figures = fresh(converge, str(where / "fends.zarr"), stored, threads[-1], limit)
                ends.append({"pairs": n, "threads": threads[-1], **figures})
    print(table("Express", rows))
    if ends:
        print(table("Iterations, or products, until converged", ends))
    for count in threads:
        own = [row for row in rows if row["threads"] == count]
        name = f"{count} threads"
        print(growth(name, [r["pairs"] for r in own], [r["ms/iteration"] for r in own]))
    own = [row for row in rows if row["threads"] == threads[0]]
    print(growth("baseline", [r["pairs"] for r in own], [r["baseline ms"] for r in own]))
    return rows + ends


if __name__ == "__main__":
    command(main, __doc__, "pairs", [1_000_000, 5_000_000, 20_000_000])
