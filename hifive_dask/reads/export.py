"""All pairs of a store as HiCPipe's ``mat`` text."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import dask
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from hifive_dask._graph.run import run
from hifive_dask._store.atomic import replacing
from hifive_dask._store.pairs import PairRows, PairStore
from hifive_dask.genome.partition import Units

__all__ = ["write_mat"]

_ROWS = 1 << 21  # pairs per task, about

Window = tuple[int, int, list[PairRows]]  # first units lo to hi, and rows that hold all of theirs


def write_mat(
    target: Path, store: PairStore, units: Units, *, silent: bool, rows: int = _ROWS
) -> None:
    """Write a header that says what is counted, then the pairs, sorted by first and second unit.

    Parameters
    ----------
    target
        The file; it must not exist.
    store
        The pairs.
    units
        What they are counted in.
    silent
        No progress bar.
    rows
        Pairs per task, about. The result does not depend on it.
    """
    task = dask.delayed(_write_window, pure=False)
    with tempfile.TemporaryDirectory(prefix=".mat-", dir=target.parent) as directory:
        paths = run(
            [
                task(f"{directory}/{k}", *window)
                for k, window in enumerate(_windows(store, units, rows))
            ],
            title="writing text",
            silent=silent,
        )
        with open(target, "wb") as out:
            unit = "fend" if units.fends else "bin"
            out.write(f"{unit}1\t{unit}2\tcount\n".encode())
            for path in paths:
                with open(path, "rb") as part:
                    shutil.copyfileobj(part, out)


def _windows(store: PairStore, units: Units, rows: int) -> Iterator[Window]:
    """Ranges of first units; the store is sorted by pairs of chromosomes, the text by units."""
    for blocks, start, stop in store.groups(rows):
        chrom1, seconds = store.block_chrom1[blocks], store.block_chrom2[blocks].tolist()
        first, last = int(chrom1[0]), int(chrom1[-1])
        ends = units.span(first).start, units.span(last).stop
        if first < last:
            yield *ends, [store.rows_of(start, stop)]
            continue
        edges = np.linspace(*ends, max(2, 1 + -(-(stop - start) // rows))).astype(int)
        for lo, hi in itertools.pairwise(edges.tolist()):
            found = (store.find_rows(first, second, lo, hi) for second in seconds)
            yield lo, hi, [store.rows_of(*held) for held in found if held[0] < held[1]]


def _write_window(path: str, lo: int, hi: int, parts: Sequence[PairRows]) -> str:
    columns = [np.concatenate(column) for column in zip(*(part() for part in parts), strict=True)]
    with replacing(path) as beside:
        if columns:
            first, second, count = columns
            inside = np.flatnonzero((first >= lo) & (first < hi))
            order = inside[np.lexsort((second[inside], first[inside]))]
            table = pa.table({"1": first[order], "2": second[order], "3": count[order]})
            options = pacsv.WriteOptions(include_header=False, delimiter="\t")
            pacsv.write_csv(table, beside, options)
        else:
            beside.touch()
    return path
