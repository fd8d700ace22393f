"""Express: seconds per plain iteration, and until the fast ways have converged.

Sizes are all numbers of fends with all numbers of cis pairs, up to 60 pairs per fend.

Timed is the whole balancing, scheduling included, without its setup: the difference of a long and a
short run, over the difference of their iterations. Baseline: one thread; one plain compiled loop
over triples (i, j, weight) for the sums of every fend, then the update of every correction.

Accelerated Express and Knight-Ruiz run until they have converged, if there are ten pairs per fend
or more, on the fends with at least six partners; with their setup. The plain iteration would need
thousands of iterations there.

    python bench_express.py --pairs 5_000_000 20_000_000
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dask
import numba
import numpy as np
from harness import (
    best,
    command,
    fresh,
    human_fends,
    peak_gb,
    powers,
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
FAST: tuple[Method, ...] = ("accelerated", "knight-ruiz")
FENDS = (20_000, 100_000, 400_000, 1_600_000)
DENSEST = 60  # pairs per fend; random distinct pairs near each other run out
SPARSEST = 10  # pairs per fend; with fewer, hardly a fend has six partners
MINCHANGE = 1e-4

# ln(reads) against ln(distance): one slope up to e^12 bp, a steeper one beyond.
DISTANCE = np.array([[12, -0.7, 0], [np.inf, -1.0, 3.6]], dtype=np.float32)


class Case:
    """The stored pairs, and how they are balanced."""

    def __init__(self, fends: str, pairs: str) -> None:
        self.units, self.store = hd.Fend(fends).units, PairStore.open(pairs)

    def balance(self, valid: Any, **options: Any) -> ExpressResult:
        units = self.units
        chromosomes = len(units.chromosomes)
        start = options.pop("start", np.ones(len(units), dtype=np.float32))
        return balance(
            units,
            valid,
            self.store,
            start,
            mindistance=0,
            maxdistance=0,
            usereads="cis",
            distance=(DISTANCE, np.zeros(chromosomes, dtype=np.float32)),
            binary=False,
            chroms=range(chromosomes),
            mininteractions=1,
            silent=True,
            **options,
        )


def express(fends: str, pairs: str, workers: int, short: int, extra: int) -> Figures:
    """Time `extra` iterations; call it in a fresh process for its peak memory."""
    # Among random pairs are fends with one partner, whose corrections grow without end.
    iterations.BOUND = np.inf
    case = Case(fends, pairs)
    first, second, _ = case.store.rows_of(0, len(case.store))()
    valid = used_units(case.units, first, second)
    del first, second

    def run(steps: int) -> ExpressResult:
        return case.balance(
            valid,
            iterations=steps,
            max_iterations=steps,
            minchange=1e-9,
            on_nonconvergence="ignore",
        )

    with dask.config.set(scheduler="threads", num_workers=workers):
        run(1)
        setup, result = best(lambda: run(short), 2)
        whole, _ = best(lambda: run(short + extra), 2)
    return {"seconds": (whole - setup) / extra, "cost": result.trace[-1, 0], "GB": peak_gb()}


def converge(fends: str, pairs: str, workers: int, method: Method) -> Figures:
    """Time a method until its change, or residual, is small; in a fresh process as well."""
    case = Case(fends, pairs)
    options: dict[str, Any] = {"iterations": 1, "minchange": MINCHANGE}
    with dask.config.set(scheduler="threads", num_workers=workers):
        valid = filter_units(
            case.units,
            np.ones(len(case.units), dtype=np.int32),
            case.store,
            mininteractions=6,
            mindistance=0,
            maxdistance=0,
            usereads="cis",
            silent=True,
        )
        begun = time.perf_counter()
        result = case.balance(valid, method=method, max_iterations=1000, **options)
        seconds = time.perf_counter() - begun
        if method == "accelerated":
            options |= {"max_iterations": 1, "on_nonconvergence": "ignore"}
            again = case.balance(valid, start=result.corrections, **options)
            scaled = again.corrections[valid > 0] / result.corrections[valid > 0]
            if not np.allclose(scaled, 1, atol=2 * MINCHANGE):
                raise ArithmeticError("a plain iteration moves what accelerated Express found")
    return {
        "fends in use": int(valid.sum()),
        "products": len(result.trace),
        "s": seconds,
        "peak GB": peak_gb(),
    }


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
    case = Case(fends, pairs)
    units, store = case.units, case.store
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
    fends: Sequence[int] = FENDS,
    short: int = 5,
    extra: int = 30,
) -> list[Figures]:
    """Run all sizes; print tables and how time grows."""
    rows: list[Figures] = []
    ends: list[Figures] = []
    with tempfile.TemporaryDirectory(dir=".") as directory:
        for size in fends:
            path = Path(directory) / f"fends{size}.zarr"
            units = human_fends(path, size)
            for n in pairs:
                if n > DENSEST * size:
                    continue
                stored = write_random_pairs(Path(directory) / "pairs.zarr", units, n)
                files, sizes = (str(path), str(stored)), {"fends": size, "pairs": n}
                rows += _iterations(files, sizes, threads, short, extra)
                if n >= SPARSEST * size:
                    for method in FAST:
                        figures = fresh(converge, *files, threads[-1], method)
                        ends.append({"method": method, **sizes, "threads": threads[-1], **figures})
                shutil.rmtree(stored)
    print(table("Express, one iteration", rows))
    if ends:
        print(table("Until converged", ends))
    for count in threads:
        own = [row for row in rows if row["threads"] == count]
        print(powers(f"iteration, {count} threads", own, "ms/iteration", ("fends", "pairs")))
    own = [row for row in rows if row["threads"] == threads[0]]
    print(powers("baseline", own, "baseline ms", ("fends", "pairs")))
    for method in FAST:
        own = [row for row in ends if row["method"] == method]
        print(powers(method, own, "s", ("fends", "pairs")))
    return rows + ends


def _iterations(
    files: tuple[str, str], sizes: Figures, threads: list[int], short: int, extra: int
) -> list[Figures]:
    """Rows of one size; an error if the cost is not that of the baseline."""
    rows = []
    plain = fresh(baseline, *files, short)
    for count in threads:
        figures = fresh(express, *files, count, short, extra)
        if not np.isclose(figures["cost"], plain["cost"], rtol=1e-3):
            raise ArithmeticError(f"cost {figures['cost']}, baseline {plain['cost']}")
        rows.append(
            {
                **sizes,
                "threads": count,
                "ms/iteration": 1000 * figures["seconds"],
                "M pairs/s": sizes["pairs"] / figures["seconds"] / 1e6,
                "peak GB": figures["GB"],
                "baseline ms": 1000 * plain["seconds"],
                "baseline M pairs/s": sizes["pairs"] / plain["seconds"] / 1e6,
                "baseline GB": plain["GB"],
                "ratio": plain["seconds"] / figures["seconds"],
            }
        )
    return rows


if __name__ == "__main__":
    command(main, __doc__, "pairs", [1_000_000, 5_000_000, 20_000_000])
