"""What a store of pairs holds: statistics, lazy blocks and tables, the documented arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property

import dask.dataframe as dd
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from hifive_dask._store.pairs import PairStore
from hifive_dask._store.pairs_hdf5 import partner_distribution, unit_index
from hifive_dask.genome.partition import Units
from hifive_dask.public import known_later
from hifive_dask.reads.classes import SHORT, class_table, reads_by_distance
from hifive_dask.reads.views import Block, block_arrays, pair_dataset, pair_frame
from hifive_dask.regions import whole_bp

__all__ = ["Viewing"]


class Viewing(ABC):
    """Methods of `hifive_dask.HiCData` that show its pairs; none changes them."""

    silent: bool

    @property
    @abstractmethod
    def store(self) -> PairStore:
        """The open pair store."""

    @property
    @abstractmethod
    def units(self) -> Units:
        """What the pairs are counted in."""

    @known_later
    def stats(self) -> Mapping[str, int]:
        """Read statistics by name."""
        return self.store.stats

    def stats_table(self, short: int | str = SHORT) -> pd.DataFrame:
        """Return the read statistics as a table, with valid cis reads split by distance.

        Parameters
        ----------
        short
            bp: cis reads closer than this are short.

        Returns
        -------
        Indexed by ``class``: those of `stats` that count reads, ``valid_reads``, which are cis and
        trans together, ``cis_short_reads`` and ``cis_long_reads``. Columns: ``reads`` (int64),
        ``of_all`` and ``of_valid`` (fractions; NaN where a class is no part of it), ``meaning``.

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_project
        >>> table = hd.HiC(toy_project(), silent=True).data.stats_table()
        >>> bool(table.loc["valid_cis_reads", "of_valid"] > 0.5)
        True
        """
        return class_table(self.stats, self.distance_classes(short))

    def distance_classes(self, short: int | str = SHORT) -> dict[str, int]:
        """Return valid reads by distance, in one lazy pass over the pairs.

        Parameters
        ----------
        short
            bp: cis reads whose units have midpoints closer than this are short.

        Returns
        -------
        Reads by name: ``cis_short_reads``, ``cis_long_reads``, ``trans_reads``.

        Raises
        ------
        ParameterError
            If `short` is below 0.
        """
        return reads_by_distance(
            self.store, self.units, whole_bp(short, "short"), silent=self.silent
        )

    @known_later
    def insert_distribution(self) -> NDArray[np.int64]:
        """int64 (182, 2): distinct read pairs, and lower edge in bp, per row."""
        return self.store.insert_distribution

    @known_later
    def end_distribution(self) -> NDArray[np.int64]:
        """int64 (601, 3): 5' ends on either strand, and place relative to the nearest cut, per row.

        Columns: ends on the plus strand, ends on the minus strand, place in bp from -300 to 300.
        The place of an end is that of the border behind the read, minus the cut: 0 for reads that
        begin at it, negative before it on the chromosome. Distinct read pairs count, before the
        filters. There are no rows where the places are not known: pairs that came counted, bins
        without fragments, files of HiFive, and stores of earlier versions.
        """
        return self.store.end_distribution

    @known_later
    def maxinsert(self) -> int | None:
        """bp, as loaded; None without filter, and if replicates with different ones were combined.

        The different ones are then listed in the attribute ``maxinsert`` of `store`.
        """
        value = self.store.attributes.get("maxinsert")
        return None if value is None or isinstance(value, list) else int(value)

    def block(self, chrom1: str, chrom2: str | None = None) -> Block:
        """Return the pairs between two chromosomes, or within one, as lazy Dask arrays.

        Parameters
        ----------
        chrom1, chrom2
            Names, in any order; without `chrom2` the cis pairs of `chrom1`.

        Returns
        -------
        Block
            ``fend1``, ``fend2`` (global indices) and ``count`` (reads), int32, equal chunks.
            ``fend1`` lies on the chromosome that comes first in the genome.
        """
        units = self.units
        (first,), (second,) = units.select(chrom1), units.select(chrom2 or chrom1)
        return block_arrays(self.store, min(first, second), max(first, second))

    def to_dask_dataframe(self) -> dd.DataFrame:
        """Return all pairs as a lazy Dask dataframe.

        Columns chrom1, fend1, mid1, chrom2, fend2, mid2 (bp) and count (reads). No partition
        crosses a pair of chromosomes.
        """
        return pair_frame(self.store, self.units)

    def to_xarray(self) -> xr.Dataset:
        """Return all pairs and the table of blocks as a lazy Dataset on dims pair and block."""
        return pair_dataset(self.store, self.units)

    @known_later
    def cis_data(self) -> NDArray[np.int32]:
        """int32 (rows, 3): unit, unit, reads of all cis pairs, sorted. Read into memory."""
        return self._cis_rows

    @known_later
    def trans_data(self) -> NDArray[np.int32]:
        """int32 (rows, 3): unit, unit, reads of all trans pairs, sorted. Read into memory."""
        return self._trans_rows

    @known_later
    def cis_indices(self) -> NDArray[np.int64]:
        """int64 (units + 1): rows of `cis_data` by first unit."""
        return unit_index(self.cis_data[:, 0], len(self.units))

    @known_later
    def trans_indices(self) -> NDArray[np.int64]:
        """int64 (units + 1): rows of `trans_data` by first unit."""
        return unit_index(self.trans_data[:, 0], len(self.units))

    @known_later
    def cis_interaction_distribution(self) -> NDArray[np.int64]:
        """int64: number of units by their number of cis partners."""
        return partner_distribution(self.cis_data, len(self.units))

    @known_later
    def trans_interaction_distribution(self) -> NDArray[np.int64]:
        """int64: number of units by their number of trans partners."""
        return partner_distribution(self.trans_data, len(self.units))

    @cached_property
    def _cis_rows(self) -> NDArray[np.int32]:
        return self._rows(cis=True)

    @cached_property
    def _trans_rows(self) -> NDArray[np.int32]:
        return self._rows(cis=False)

    def _rows(self, *, cis: bool) -> NDArray[np.int32]:
        store = self.store
        parts = [
            np.stack(store.rows_of(lo, hi)(), axis=1)
            for (a, b), (lo, hi) in store.blocks.items()
            if (a == b) == cis
        ]
        rows = np.concatenate([np.zeros((0, 3), dtype=np.int32), *parts])
        return rows if cis else rows[np.lexsort((rows[:, 1], rows[:, 0]))]
