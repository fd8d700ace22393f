"""Distance dependence of one chromosome: seconds, by number of fends.

Baseline: one thread; a plain compiled loop over all possible pairs of fends, with one logarithm and
one search among the bin edges each. It is left out where it would take more than 20 s.

    python bench_distance.py --fends 8_000 16_000 32_000 65_000 130_000
"""

from __future__ import annotations

from typing import Any

import dask
import numba
import numpy as np
from harness import best, command, growth, memory_store, random_cis_pairs, table

from hifive_dask.genome.partition import Units
from hifive_dask.model.distance import DistanceModel, fit_distance

Figures = dict[str, Any]

PATIENCE = 20.0  # seconds


def one_chromosome(fends: int) -> Units:
    """Fends of one chromosome, dense as in the human genome cut into 1.6 million."""
    rng = np.random.default_rng(4)
    cuts = np.sort(rng.choice(fends * 1900, fends // 2 + 1, replace=False)).astype(np.int32)
    middle = (cuts[:-1] + cuts[1:]) // 2
    start = np.stack([cuts[:-1], middle], axis=1).ravel()
    stop = np.stack([middle, cuts[1:]], axis=1).ravel()
    mid = start + (stop - start) // 2
    return Units(("chr1",), np.array([0, len(mid)]), start, stop, mid, True)


@numba.njit
def _plain(mid, edges, count, logs):  # type: ignore[no-untyped-def]
    for i in range(len(mid)):
        for j in range(i + 2, len(mid)):
            if j - i == 3 and i % 2 == 0:
                continue
            length = np.log(max(1.0, float(mid[j] - mid[i])))
            k = np.searchsorted(edges, length)
            count[k] += 1
            logs[k] += length


def plain(mid: Any, edges: Any) -> tuple[Any, Any]:
    """Number and sum of ln(distance) of possible pairs, per bin."""
    sums = np.zeros(len(edges) + 1, dtype=np.int64), np.zeros(len(edges) + 1)
    _plain(mid, edges, *sums)
    return sums


def main(
    fends: list[int], threads: list[int], pairs: int = 200_000, numbins: int = 90
) -> list[Figures]:
    """Run all sizes; print a table."""
    rows: list[Figures] = []
    slow: dict[int, float] = {}
    plain(np.arange(9, dtype=np.int32), np.ones(3))
    for n in fends:
        units = one_chromosome(n)
        valid = np.ones(len(units), dtype=np.int32)
        store = memory_store(units, random_cis_pairs(units, pairs))

        def fit(units: Units = units, valid: Any = valid, store: Any = store) -> DistanceModel:
            return fit_distance(
                units, valid, store, numbins=numbins, minsize=200, maxsize=0, silent=True
            )

        row: Figures = {"fends": n, "possible pairs": n * (n - 1) // 2}
        for count in threads:
            with dask.config.set(scheduler="threads", num_workers=count):
                fit()
                row[f"s, {count} threads"], model = best(fit, 3)
        expected = max(slow.values(), default=0.0) * (n / max(slow, default=n)) ** 2
        row["baseline s"] = None
        if expected < PATIENCE:
            edges = model.edges.astype(np.float64)
            repeats = 3 if expected < 2 else 1
            row["baseline s"], sums = best(lambda e=edges, u=units: plain(u.mid, e), repeats)
            slow[n] = row["baseline s"]
            if not np.array_equal(sums[0][:numbins], model.possible):
                raise ArithmeticError(f"{n} fends: possible pairs differ from the baseline")
            if not np.allclose(
                sums[1][:numbins], np.nan_to_num(model.mean_log_distance) * sums[0][:numbins]
            ):
                raise ArithmeticError(f"{n} fends: ln(distance) differs from the baseline")
        rows.append(row)
    print(table(f"Distance dependence, {numbins} bins", rows))
    for count in threads:
        name = f"s, {count} threads"
        print(growth(f"{count} threads", fends, [row[name] for row in rows]))
    print(growth("baseline", list(slow), list(slow.values())))
    return rows


if __name__ == "__main__":
    command(main, __doc__, "fends", [8_000, 16_000, 32_000, 65_000, 130_000])
