"""The pair store as Dask arrays, as a Dask dataframe, and as an xarray Dataset. All lazy."""

from __future__ import annotations

from typing import NamedTuple

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import xarray as xr

from hifive_dask._graph.spans import Span, split_rows
from hifive_dask._store.pairs import CHUNK, Columns, PairRows, PairStore
from hifive_dask.genome.partition import Units
from hifive_dask.schema import PAIRS

__all__ = ["SPAN", "Block", "block_arrays", "pair_dataset", "pair_frame"]

SPAN = CHUNK * 8  # rows per task: a tenth of a second of reading


class Block(NamedTuple):
    """The pairs of one pair of chromosomes: three int32 Dask arrays of equal chunks."""

    fend1: da.Array
    fend2: da.Array
    count: da.Array


def _read(rows: PairRows) -> Columns:
    return rows()


def _arrays(store: PairStore, spans: list[tuple[int, int]]) -> Block:
    read = dask.delayed(_read, pure=True, nout=3)
    empty = da.zeros((0,), dtype=np.int32, chunks=-1)
    if not spans:
        return Block(empty, empty, empty)
    parts = [(read(store.rows_of(lo, hi)), hi - lo) for lo, hi in spans]
    return Block(
        *(
            da.concatenate(
                [da.from_delayed(part[k], shape=(n,), dtype=np.int32) for part, n in parts]
            )
            for k in range(3)
        )
    )


def block_arrays(store: PairStore, chrom1: int, chrom2: int) -> Block:
    """The pairs between two chromosomes (indices, ``chrom1 <= chrom2``)."""
    lo, hi = store.block_rows(chrom1, chrom2)
    return _arrays(store, [(s.lo, s.hi) for s in split_rows([lo, hi], SPAN)])


def pair_dataset(store: PairStore, units: Units) -> xr.Dataset:
    """All pairs and block tables; variables and dimensions as in the schema."""
    columns = _arrays(store, [(s.lo, s.hi) for s in split_rows([0, len(store)], SPAN)])
    data = {
        name: xr.Variable(v.dims, values, {"units": v.units, "description": v.description})
        for name, values in {
            **columns._asdict(),
            "block_chrom1": store.block_chrom1,
            "block_chrom2": store.block_chrom2,
            "block_offset": store.block_offset,
        }.items()
        for v in [PAIRS[name]]
    }
    return xr.Dataset(data, coords={"chromosome": list(units.chromosomes)})


def _frame(rows: PairRows, chrom1: int, chrom2: int, units: Units) -> pd.DataFrame:
    first, second, count = rows()
    names = pd.CategoricalDtype(list(units.chromosomes))
    return pd.DataFrame(
        {
            "chrom1": pd.Categorical.from_codes(np.full(len(first), chrom1), dtype=names),
            "fend1": first,
            "mid1": units.mid[first],
            "chrom2": pd.Categorical.from_codes(np.full(len(first), chrom2), dtype=names),
            "fend2": second,
            "mid2": units.mid[second],
            "count": count,
        }
    )


def pair_frame(store: PairStore, units: Units) -> dd.DataFrame:
    """All pairs as a Dask dataframe; a partition never crosses a pair of chromosomes."""
    spans = split_rows(store.block_offset.tolist(), SPAN)
    meta = _frame(store.rows_of(0, 0), 0, 0, units).iloc[:0]
    shared = dask.delayed(units)

    def rows_of(span: Span) -> tuple[PairRows, int, int]:
        block = span.block
        return (
            store.rows_of(span.lo, span.hi),
            int(store.block_chrom1[block]),
            int(store.block_chrom2[block]),
        )

    task = dask.delayed(_frame, pure=True)
    parts = [task(*rows_of(span), shared) for span in spans]
    if not parts:
        return dd.from_pandas(meta, npartitions=1)
    return dd.from_delayed(parts, meta=meta, verify_meta=False)
