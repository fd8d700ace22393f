"""Fend filter: stored cis pairs per second, by number of pairs.

A fend needs three fifths of the partners of the average fend, so that several rounds remove fends.

Baseline: one thread; the columns are read whole, then a plain compiled loop over all rows counts
the partners of every fend again in every round.

    python bench_filter.py --pairs 1_000_000 5_000_000 20_000_000
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import dask
import numba
import numpy as np
from harness import best, command, fresh, growth, human_fends, peak_gb, table, write_random_pairs

import hifive_dask as hd
from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import HifiveDaskWarning
from hifive_dask.model.filtering import filter_units

Figures = dict[str, Any]


def filtering(fends: str, pairs: str, least: int, workers: int) -> Figures:
    """Time the filter; call it in a fresh process for its peak memory."""
    units, store = hd.Fend(fends).units, PairStore.open(pairs)
    valid = np.ones(len(units), dtype=np.int32)

    def run() -> int:
        result = filter_units(
            units,
            valid,
            store,
            mininteractions=least,
            mindistance=0,
            maxdistance=0,
            usereads="cis",
            silent=True,
        )
        return int(result.sum())

    with warnings.catch_warnings(), dask.config.set(scheduler="threads", num_workers=workers):
        warnings.simplefilter("ignore", HifiveDaskWarning)
        run()
        seconds, kept = best(run, 3)
    return {"seconds": seconds, "kept": kept, "GB": peak_gb()}


@numba.njit
def _plain(first, second, valid, least):  # type: ignore[no-untyped-def]
    count = np.empty(len(valid), dtype=np.int64)
    rounds = 0
    while True:
        rounds += 1
        count[:] = 0
        for k in range(len(first)):
            i, j = first[k], second[k]
            if valid[i] and valid[j]:
                count[i] += 1
                count[j] += 1
        removed = 0
        for i in range(len(valid)):
            if valid[i] and count[i] < least:
                valid[i] = 0
                removed += 1
        if removed == 0:
            return rounds


def baseline(fends: str, pairs: str, least: int) -> Figures:
    """Time the plain way."""
    units, store = hd.Fend(fends).units, PairStore.open(pairs)

    def run() -> tuple[int, int]:
        first, second, _ = store.rows_of(0, len(store))()
        valid = np.ones(len(units), dtype=np.int32)
        rounds = _plain(first, second, valid, least)
        return rounds, int(valid.sum())

    run()
    seconds, (rounds, kept) = best(run, 3)
    return {"seconds": seconds, "rounds": rounds, "kept": kept, "GB": peak_gb()}


def main(pairs: list[int], threads: list[int], fends: int = 1_600_000) -> list[Figures]:
    """Run all sizes; print a table."""
    rows = []
    with tempfile.TemporaryDirectory(dir=".") as directory:
        where = Path(directory)
        genome = human_fends(where / "fends.zarr", fends)
        for n in pairs:
            least = max(2, round(1.2 * n / len(genome)))
            stored = str(write_random_pairs(where / f"{n}.zarr", genome, n))
            plain = fresh(baseline, str(where / "fends.zarr"), stored, least)
            for count in threads:
                figures = fresh(filtering, str(where / "fends.zarr"), stored, least, count)
                if figures["kept"] != plain["kept"]:
                    raise ArithmeticError(f"{figures['kept']} kept, baseline {plain['kept']}")
                rows.append(
                    {
                        "pairs": n,
                        "partners needed": least,
                        "rounds": plain["rounds"],
                        "fends kept": figures["kept"],
                        "threads": count,
                        "s": figures["seconds"],
                        "M pairs/s": n / figures["seconds"] / 1e6,
                        "peak GB": figures["GB"],
                        "baseline s": plain["seconds"],
                        "baseline GB": plain["GB"],
                        "ratio": plain["seconds"] / figures["seconds"],
                    }
                )
    print(table("Fend filter", rows))
    for count in threads:
        own = [row for row in rows if row["threads"] == count]
        print(growth(f"{count} threads", [r["pairs"] for r in own], [r["s"] for r in own]))
    own = [row for row in rows if row["threads"] == threads[0]]
    print(growth("baseline", [r["pairs"] for r in own], [r["baseline s"] for r in own]))
    return rows


if __name__ == "__main__":
    command(main, __doc__, "pairs", [1_000_000, 5_000_000, 20_000_000])
