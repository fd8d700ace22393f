"""What the benchmarks share: their command line, genome, random reads and pairs, tables, growth."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import hifive_dask as hd
from hifive_dask._store.pairs import Columns, PairStore, write_pairs
from hifive_dask.genome.partition import Units
from hifive_dask.reads.count import INSERT_EDGES

# Lengths of the human chromosomes (GRCh38), in Mb.
HUMAN = {
    f"chr{name}": mb
    for name, mb in zip(
        [*map(str, range(1, 23)), "X", "Y"],
        [248, 242, 198, 190, 181, 170, 159, 145, 138, 133, 135, 133, 114, 107, 101, 90, 83, 80, 58,
         64, 46, 50, 156, 57],
        strict=True,
    )
}  # fmt: skip


def human_fends(path: Path, fends: int) -> Units:
    """Save a partition of the human genome into about `fends` fends at random cut sites."""
    rng = np.random.default_rng(1)
    total = sum(HUMAN.values())
    bed = path.with_suffix(".bed")
    with bed.open("w") as handle:
        for name, mb in HUMAN.items():
            n = max(2, round(fends / 2 * mb / total))
            cuts = np.unique(rng.integers(1, mb * 1_000_000, n))
            pd.DataFrame({"c": name, "a": cuts, "b": cuts + 1}).to_csv(
                handle, sep="\t", header=False, index=False
            )
    fend = hd.Fend(path, "w", silent=True)
    fend.load_fends(bed, genome_name="human-like")
    fend.save()
    bed.unlink()
    return fend.units


def write_random_reads(path: Path, units: Units, pairs: int, batch: int = 1_000_000) -> Path:
    """Write raw text: 75 % cis, distances spread evenly in ln, strands at random."""
    rng = np.random.default_rng(2)
    names = np.array(units.chromosomes)
    length = units.stop[units.offset[1:] - 1].astype(np.int64)
    share = length / length.sum()
    with path.open("w") as handle:
        for first in range(0, pairs, batch):
            n = min(batch, pairs - first)
            c1 = rng.choice(len(names), n, p=share)
            c2 = np.where(rng.random(n) < 0.25, rng.choice(len(names), n, p=share), c1)
            p1 = (rng.random(n) * length[c1]).astype(np.int64) + 1
            distance = np.exp(rng.random(n) * np.log(1e5) + np.log(1000)).astype(np.int64)
            near = (p1 + distance) % length[c2] + 1
            far = (rng.random(n) * length[c2]).astype(np.int64) + 1
            strand = np.array(["+", "-"])
            pd.DataFrame(
                {
                    "a": names[c1],
                    "b": p1,
                    "c": strand[rng.integers(0, 2, n)],
                    "d": names[c2],
                    "e": np.where(c1 == c2, near, far),
                    "f": strand[rng.integers(0, 2, n)],
                }
            ).to_csv(handle, sep="\t", header=False, index=False)
    return path


def random_cis_pairs(units: Units, pairs: int, longest: int = 100_000_000) -> Columns:
    """Distinct possible cis pairs of fends, sorted, with counts of 1 or more.

    Distances fall as 1 / d from 1 kb to the `longest`; how often a fend is seen varies by a
    log-normal factor.
    """
    rng = np.random.default_rng(3)
    seen = np.cumsum(rng.lognormal(0, 0.5, len(units)))
    # Chromosomes far apart on one axis, so that one search finds partners of all.
    place = units.chromosome.astype(np.int64) * 10**9 + units.mid
    codes = np.zeros(0, dtype=np.int64)
    while len(codes) < pairs:
        # Many at once: the nearest pairs are all there before long.
        n = max(int((pairs - len(codes)) * 1.3) + 1000, pairs // 2)
        # Sorted, which makes both searches several times as fast.
        first = np.searchsorted(seen, np.sort(rng.random(n)) * seen[-1])
        distance = np.exp(rng.random(n) * np.log(longest / 1000) + np.log(1000)).astype(np.int64)
        second = np.searchsorted(place, place[first] + distance)
        inside = second < units.offset[1:][units.chromosome[first]]
        inside &= second - first > 3  # nearer ones may be impossible pairs
        codes = np.sort(np.concatenate([codes, (first << 32 | second)[inside]]))
        codes = codes[np.diff(codes, prepend=-1) > 0]  # np.unique is slower by far
    kept = np.ones(len(codes), dtype=bool)
    kept[rng.choice(len(codes), len(codes) - pairs, replace=False)] = False
    codes = codes[kept]
    count = rng.geometric(0.8, pairs).astype(np.int32)
    return (codes >> 32).astype(np.int32), (codes & 0xFFFFFFFF).astype(np.int32), count


def memory_store(units: Units, columns: Columns) -> PairStore:
    """Pairs in memory."""
    edges = np.zeros((182, 2), dtype=np.int64)
    edges[1:, 1] = INSERT_EDGES
    return PairStore.from_memory(
        columns, units.offset, stats={}, insert_distribution=edges, token="random"
    )


def write_random_pairs(path: Path, units: Units, pairs: int) -> Path:
    """Save `random_cis_pairs`."""
    write_pairs(path, memory_store(units, random_cis_pairs(units, pairs)), {})
    return path


def used_units(units: Units, first: NDArray[np.int32], second: NDArray[np.int32]) -> Any:
    """int32 (N): filter that keeps the units that have pairs."""
    valid = np.zeros(len(units), dtype=np.int32)
    valid[first] = valid[second] = 1
    return valid


def best(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Least wall-clock seconds of some calls, and the result."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def peak_gb() -> float:
    """Largest resident memory of this process so far, in 10^9 bytes.

    On Linux not from `getrusage`, whose figure starts with the memory of the parent process.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e9


def fresh(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run in a process of its own, so that peak memory is that of this run alone."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        result = pool.apply(function, arguments)
        pool.close()
        pool.join()
    return result


def table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown table of equal dicts; None is an empty cell."""

    def show(value: Any) -> str:
        if value is None:
            return ""
        return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"

    head = list(rows[0])
    lines = [f"\n### {title}\n", "| " + " | ".join(head) + " |", "|" + "---:|" * len(head)]
    for row in rows:
        cells = [row[k] if isinstance(row[k], str) else show(row[k]) for k in head]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def growth(name: str, sizes: Sequence[float], seconds: Sequence[float]) -> str:
    """Exponent of growth: slope of ln(seconds) against ln(size)."""
    if len(sizes) < 2:
        return f"{name}: one size only, no exponent"
    slope = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
    return f"{name}: time grows with size to the power {slope:.2f}"


def command(
    main: Callable[[list[int], list[int]], Sequence[Mapping[str, Any]]],
    description: str,
    size: str,
    sizes: Sequence[int],
    threads: Sequence[int] = (1, 2),
) -> None:
    """Run a benchmark as its command line says.

    Parameters
    ----------
    main
        Takes sizes and numbers of threads, and returns the rows of its tables.
    description
        The first line is shown by ``--help``.
    size
        What the sizes are numbers of; the name of their option.
    sizes, threads
        Defaults.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument(
        f"--{size}", dest="sizes", metavar="N", type=int, nargs="+", default=list(sizes)
    )
    parser.add_argument("--threads", metavar="N", type=int, nargs="+", default=list(threads))
    parser.add_argument("--json", type=Path, help="Also save the figures here.")
    options = parser.parse_args()
    rows = main(options.sizes, options.threads)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


def powers(name: str, rows: Sequence[Mapping[str, Any]], value: str, sizes: Sequence[str]) -> str:
    """Exponents of growth with several sizes at once: the plane through ln(value)."""
    logs = np.log([[np.e, *(row[size] for size in sizes)] for row in rows]).reshape(
        len(rows), 1 + len(sizes)
    )
    if not rows or np.linalg.matrix_rank(logs) < logs.shape[1]:
        return f"{name}: too few sizes, no exponents"
    found = np.linalg.lstsq(logs, np.log([row[value] for row in rows]))[0][1:]
    parts = (
        f"with {size} to the power {power:.2f}" for size, power in zip(sizes, found, strict=True)
    )
    return f"{name}: time grows {', '.join(parts)}"
