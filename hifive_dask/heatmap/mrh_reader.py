"""Reading multi-resolution heatmaps: only the cells of a region and of the wanted bin sizes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import dask
import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from hifive_dask._kernels.mrh import Pyramid
from hifive_dask._store.places import local
from hifive_dask.errors import ParameterError, RegionError, StoreError
from hifive_dask.heatmap.axes import coordinates
from hifive_dask.heatmap.labels import describe
from hifive_dask.heatmap.mrh_file import Header, PathLike, Scale, pair_chromosomes, read_header
from hifive_dask.public import answering, public
from hifive_dask.regions import Region, parse_region, whole_bp

__all__ = ["MrhFile", "open_mrh"]

Int64 = NDArray[np.int64]
RegionLike = str | Region | tuple[Any, ...]

COLUMNS = ("chr1", "start1", "end1", "chr2", "start2", "end2", "score")
_CHUNK = 512  # bins of a chunk and axis


class _Span(NamedTuple):
    """A stretch of one axis: chromosome of the file, and bp."""

    chrom: int
    start: int
    stop: int


class _Cells(NamedTuple):
    """Stored cells of one level; `full` are those whose quarters are all stored."""

    row: Int64
    column: Int64
    score: NDArray[np.float32]
    full: NDArray[np.bool_]


@answering
def open_mrh(path: PathLike) -> MrhFile:
    """Open a multi-resolution heatmap, which `HiC.write_multiresolution_heatmap` or HiFive wrote.

    Only the header is read; scores are when a region is asked for.

    Raises
    ------
    StoreError
        If it is missing, no multi-resolution heatmap, or cut short.

    Examples
    --------
    >>> import hifive_dask as hd
    >>> from hifive_dask.testing import toy_project
    >>> project = toy_project()
    >>> hic = hd.HiC(project, silent=True)
    >>> hic.write_multiresolution_heatmap(
    ...     project.parent / "toy.mrh", "raw", maxbinsize=40_000, minbinsize=10_000
    ... )
    >>> mrh = hd.open_mrh(project.parent / "toy.mrh")
    >>> mrh.chromosomes, mrh.resolutions()
    (('1', '2', '3'), (40000, 20000, 10000))
    >>> mrh.heatmap("chr1", "chr2", binsize=20_000)["score"].dims
    ('bin1', 'bin2')
    """
    where = os.path.abspath(local(path))
    return MrhFile(where, read_header(where))


@dataclass(frozen=True)
@public()
class MrhFile:
    """A multi-resolution heatmap; see `open_mrh`.

    Chromosomes are found by the name in the file, and by that name with or without ``chr``.

    Parameters
    ----------
    path
        Absolute path.
    header
        What the file says before the scores.
    """

    path: str
    header: Header

    def __repr__(self) -> str:
        trans = "" if self.header.trans is None else ", and pairs of them"
        sizes = f"{self.header.cis.maxbinsize:,} to {self.header.cis.minbinsize:,} bp"
        name, number = Path(self.path).name, len(self.chromosomes)
        return f"<MrhFile {name}: {number} chromosomes{trans}, {sizes}>"

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Names as they are in the file."""
        return self.header.names

    @property
    def minobservations(self) -> int:
        """Reads that every stored cell has at least."""
        return self.header.minobservations

    def resolutions(self, *, trans: bool = False) -> tuple[int, ...]:
        """Bin sizes in bp, from large to small, within chromosomes or between them."""
        scale = self._scale(trans)
        return tuple(scale.maxbinsize >> level for level in range(scale.depth + 1))

    def summary(self) -> pd.DataFrame:
        """One row per stored map: both chromosomes, number of scores, smallest and largest score.

        ``start1``, ``stop1``, ``start2`` and ``stop2`` are where the bins begin and end, in bp.
        """
        header, rows = self.header, []
        pairs = pair_chromosomes(len(header.names), header.trans is not None)
        for number, pair in enumerate(pairs):
            scale = self._scale(pair[0] != pair[1])
            row: dict[str, Any] = {}
            for axis, chrom in enumerate(pair, 1):
                row[f"chrom{axis}"] = header.names[chrom]
                row[f"start{axis}"] = int(scale.start[chrom])
                row[f"stop{axis}"] = int(scale.stop[chrom])
            row["scores"] = int(header.data_size[number])
            row["minscore"] = float(header.minscore[number])
            row["maxscore"] = float(header.maxscore[number])
            rows.append(row)
        return pd.DataFrame(rows)

    def suitable_binsize(
        self, region: RegionLike, region2: RegionLike | None = None, most: int = 1000
    ) -> int:
        """Return the smallest stored bin size with which a region has up to `most` bins.

        The largest one if all are too small.
        """
        one, two = self._spans(region, region2)
        sizes = self.resolutions(trans=one.chrom != two.chrom)
        length = max(one.stop - one.start, two.stop - two.start)
        return min((size for size in sizes if size * most >= length), default=sizes[0])

    def heatmap(
        self,
        region: RegionLike,
        region2: RegionLike | None = None,
        *,
        binsize: int | str,
        fill: bool = False,
    ) -> xr.Dataset:
        """Return the scores at one resolution as a lazy Dataset.

        Parameters
        ----------
        region, region2
            As for `HiC.heatmap`; `region2` by default the same. All bins that reach into them.
        binsize
            bp, one of `resolutions`.
        fill
            Give cells with too few reads the score of the finest stored square that they lie in, as
            browsers paint it.

        Returns
        -------
        xarray.Dataset
            ``score`` (float32, log2 of observed over expected; NaN where there are too few reads)
            on dims bin1 and bin2, with coordinates chromosome, start, stop and mid of both. Draw it
            with `hifive_dask.plot.heatmap`.

        Raises
        ------
        RegionError
            If a region is not in the file.
        ParameterError
            If the bin size is not stored, or pairs of chromosomes are not.
        """
        binsize = whole_bp(binsize, "binsize")
        one, two = self._spans(region, region2)
        trans = one.chrom != two.chrom
        sizes = self.resolutions(trans=trans)
        if binsize not in sizes:
            known = ", ".join(f"{size:,}" for size in sizes)
            raise ParameterError(f"bins of {binsize:,} bp are not in the file; stored are {known}")
        level = sizes.index(binsize)
        rows, columns = (_bins(self._scale(trans), span, level) for span in (one, two))
        for span, bins in ((one, rows), (two, columns)):
            if not len(bins):
                raise RegionError(
                    f"{self.path}: has no bins of {self.chromosomes[span.chrom]!r} from "
                    f"{span.start:,} to {span.stop:,}"
                )
        shared = dask.delayed(self, traverse=False)
        task = dask.delayed(_scores, pure=True)
        score = da.block(
            [
                [
                    da.from_delayed(
                        task(shared, one.chrom, two.chrom, level, r, c, fill),
                        (len(r), len(c)),
                        dtype=np.float32,
                    )
                    for c in _pieces(columns)
                ]
                for r in _pieces(rows)
            ]
        )
        start = self._scale(trans).start
        return xr.Dataset(
            {"score": (("bin1", "bin2"), score, describe("score"))},
            coords={
                key: value
                for axis, (span, bins) in enumerate(((one, rows), (two, columns)), 1)
                for key, value in _coords(
                    axis, self.chromosomes[span.chrom], int(start[span.chrom]), bins, binsize
                ).items()
            },
            attrs={
                "region": self._text(one),
                "region2": "" if region2 is None else self._text(two),
                "binsize": binsize,
                "minobservations": self.minobservations,
                "source": Path(self.path).name,
            },
        )

    def squares(
        self,
        region: RegionLike,
        region2: RegionLike | None = None,
        *,
        minbinsize: int | str | None = None,
        maxbinsize: int | str | None = None,
    ) -> pd.DataFrame:
        """Return the finest stored cells that cover a region, as squares to be painted in order.

        Parameters
        ----------
        region, region2
            As for `HiC.heatmap`; `region2` by default the same.
        minbinsize, maxbinsize
            bp: the smallest and largest squares that are wanted; by default all.

        Returns
        -------
        Columns ``chr1``, ``start1``, ``end1``, ``chr2``, ``start2``, ``end2`` (bp) and ``score``,
        large squares first. A square that smaller ones cover wholly is left out. Within a
        chromosome there are both halves of the map.

        Raises
        ------
        RegionError
            If a region is not in the file.
        ParameterError
            If `minbinsize` is above `maxbinsize`, or pairs of chromosomes are not stored.
        """
        one, two = self._spans(region, region2)
        sizes = self.resolutions(trans=one.chrom != two.chrom)
        least = sizes[-1] if minbinsize is None else whole_bp(minbinsize, "minbinsize")
        most = sizes[0] if maxbinsize is None else whole_bp(maxbinsize, "maxbinsize")
        if least > most:
            raise ParameterError(f"minbinsize {least:,} is above maxbinsize {most:,}")
        found = []
        wanted = [size for size in sizes if size >= least]
        start = [int(self._scale(one.chrom != two.chrom).start[span.chrom]) for span in (one, two)]
        for size, cells in zip(wanted, self._levels(one, two, len(wanted)), strict=False):
            if size > most:
                continue
            shown = np.ones(len(cells.row), dtype=bool) if size == wanted[-1] else ~cells.full
            order = np.lexsort((cells.column[shown], cells.row[shown]))
            row, column = cells.row[shown][order], cells.column[shown][order]
            found.append((start[0] + row * size, start[1] + column * size,
                          np.full(len(row), size), cells.score[shown][order]))  # fmt: skip
        x, y, width, score = (
            np.concatenate([part[k] for part in found]) if found else np.zeros(0) for k in range(4)
        )
        names = (self.chromosomes[span.chrom] for span in (one, two))
        values = (next(names), x, x + width, next(names), y, y + width, score)
        return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))

    # Where things are

    def _text(self, span: _Span) -> str:
        """A stretch as a region; only its name if it is the whole chromosome."""
        name = self.chromosomes[span.chrom]
        whole = [
            (scale.start[span.chrom], scale.stop[span.chrom])
            for scale in (self.header.cis, self.header.trans)
            if scale is not None
        ]
        inside = (span.start, span.stop) not in whole
        return str(Region(name, span.start, span.stop) if inside else Region(name))

    def _scale(self, trans: bool) -> Scale:
        if not trans:
            return self.header.cis
        if self.header.trans is None:
            raise ParameterError(f"{self.path}: holds no maps of two chromosomes")
        return self.header.trans

    def _spans(self, region: RegionLike, region2: RegionLike | None) -> tuple[_Span, _Span]:
        regions = [parse_region(each, self.chromosomes) for each in (region, region2 or region)]
        chroms = [self.chromosomes.index(each.chromosome) for each in regions]
        scale = self._scale(chroms[0] != chroms[1])
        one, two = (
            _Span(
                chrom,
                int(scale.start[chrom]) if each.start is None else each.start,
                int(scale.stop[chrom]) if each.stop is None else each.stop,
            )
            for each, chrom in zip(regions, chroms, strict=True)
        )
        return one, two

    def _levels(self, one: _Span, two: _Span, levels: int) -> Iterator[_Cells]:
        """Cells of a rectangle, from the coarsest level on, as rows of `one` and columns of `two`.

        Within a chromosome those below the diagonal are the mirrored stored ones.
        """
        if one.chrom > two.chrom:
            for cells in self._stored(two, one, levels):
                yield cells._replace(row=cells.column, column=cells.row)
        elif one.chrom < two.chrom:
            yield from self._stored(one, two, levels)
        else:
            both = self._stored(one, two, levels), self._stored(two, one, levels)
            for upper, lower in zip(*both, strict=True):
                below = lower.row < lower.column
                turned = lower._replace(row=lower.column, column=lower.row)
                columns: Any = zip(upper, turned, strict=True)
                yield _Cells(*(np.concatenate([more, other[below]]) for more, other in columns))

    def _stored(self, one: _Span, two: _Span, levels: int) -> Iterator[_Cells]:
        """Cells that are in the file and reach into a rectangle, level by level."""
        header, cis = self.header, one.chrom == two.chrom
        scale = self._scale(not cis)
        number = header.pair_number(one.chrom, two.chrom)
        bins = [int(scale.bins[span.chrom]) for span in (one, two)]
        pyramid = Pyramid(bins[0], bins[1], scale.depth, cis)
        data, index, shape = self._maps(number)
        if pyramid.size > len(index) or len(index) > len(data):
            raise self._damaged()
        row, column = (
            grid.ravel()
            for grid in np.meshgrid(
                *(np.array(_bins(scale, span, 0), dtype=np.int64) for span in (one, two)),
                indexing="ij",
            )
        )
        if cis:
            upper = row <= column
            row, column = row[upper], column[upper]
        place = pyramid.first[row] + column - (row if cis else 0)
        for level in range(levels):
            if level:
                row, column, place = _quarters(row, column, place, index, shape)
                rows, columns = (_bins(scale, span, level) for span in (one, two))
                near = (rows.start <= row) & (row < rows.stop)
                near &= (columns.start <= column) & (column < columns.stop)
                row, column, place = row[near], column[near], place[near]
            if len(place) and not (place.min() >= 0 and place.max() < len(data)):
                raise self._damaged()
            score = data[place].astype(np.float32)
            there = ~np.isnan(score)
            row, column, place, score = (v[there] for v in (row, column, place, score))
            held = np.zeros(len(place), dtype=np.int64)
            above = place < len(index)
            held[above] = shape[place[above]]
            yield _Cells(row, column, score, held == np.where(cis & (row == column), 11, 15))

    def _maps(self, number: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Data, index and shape of a pair, mapped to memory."""
        header = self.header
        place = int(header.offset[number])
        size, entries = int(header.data_size[number]), int(header.index_size[number])
        found = []
        for count, kind in ((size, ">f4"), (entries, ">i4"), (entries, ">i2")):
            values = np.zeros(0, dtype=kind)
            if count:
                values = np.memmap(self.path, dtype=kind, mode="r", offset=place, shape=(count,))
            found.append(values)
            place += values.nbytes
        return found[0], found[1], found[2]

    def _damaged(self) -> StoreError:
        return StoreError(f"{self.path}: its index points to nowhere; get or make it again")


def _bins(scale: Scale, span: _Span, level: int) -> range:
    """Bins of a level that reach into a stretch."""
    size, start = scale.maxbinsize >> level, int(scale.start[span.chrom])
    number = int(scale.bins[span.chrom]) << level
    return range(max(0, (span.start - start) // size), min(number, -((start - span.stop) // size)))


def _quarters(
    row: Int64, column: Int64, place: Int64, index: NDArray[Any], shape: NDArray[Any]
) -> tuple[Int64, Int64, Int64]:
    """Stored quarters of some cells."""
    above = place < len(index)
    row, column, place = row[above], column[above], place[above]
    held, first = shape[place].astype(np.int64), index[place].astype(np.int64)
    found = []
    for quarter in range(4):
        there = held >> quarter & 1 == 1
        found.append(
            np.stack([2 * row[there] + quarter // 2, 2 * column[there] + quarter % 2, first[there]])
        )
        first = first + there
    rows, columns, places = np.concatenate(found, axis=1)
    return rows, columns, places


def _scores(
    file: MrhFile, one: int, two: int, level: int, rows: range, columns: range, fill: bool
) -> NDArray[np.float32]:
    """Scores of a rectangle of bins, with `fill` also those of coarser levels."""
    scale = file._scale(one != two)
    size = scale.maxbinsize >> level
    spans = [
        _Span(chrom, *(int(scale.start[chrom]) + size * edge for edge in (bins.start, bins.stop)))
        for chrom, bins in ((one, rows), (two, columns))
    ]
    score = np.full((len(rows), len(columns)), np.nan, dtype=np.float32)
    for k, cells in enumerate(file._levels(spans[0], spans[1], level + 1)):
        if k < level and not fill:
            continue
        row, column = (np.array(bins) >> (level - k) for bins in (rows, columns))
        stored = np.full((row[-1] - row[0] + 1, column[-1] - column[0] + 1), np.nan, np.float32)
        stored[cells.row - row[0], cells.column - column[0]] = cells.score
        found = stored[np.ix_(row - row[0], column - column[0])]
        score = np.where(np.isnan(found), score, found)
    return score


def _pieces(bins: range) -> list[range]:
    return [bins[lo : lo + _CHUNK] for lo in range(0, len(bins), _CHUNK)]


def _coords(axis: int, name: str, start: int, bins: range, size: int) -> dict[str, Any]:
    lower = start + size * np.array(bins, dtype=np.int64)
    return coordinates(axis, np.full(len(bins), name), lower, lower + size, positions=True)
