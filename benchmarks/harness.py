"""What the benchmarks share: a human-like genome, random reads, tables, growth exponents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import hifive_dask as hd
from hifive_dask.genome.partition import Units

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


def table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown table of equal dicts."""

    def show(value: Any) -> str:
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
