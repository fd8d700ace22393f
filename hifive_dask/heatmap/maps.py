"""Maps of whole chromosomes and of all pairs of them, one after the other: what files hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import dask
import numpy as np
from numpy.typing import NDArray

from hifive_dask._graph.run import run
from hifive_dask.errors import ParameterError, StateError
from hifive_dask.heatmap.arrays import cis_array, trans_array
from hifive_dask.heatmap.bins import Bins, Request, find_bins
from hifive_dask.heatmap.chunks import Axis
from hifive_dask.heatmap.dynamic import Growth
from hifive_dask.heatmap.limits import MEMORY_LIMIT, check_size
from hifive_dask.heatmap.recipe import Recipe

__all__ = ["Map", "MapSet", "make_maps", "upper_cells"]

_CELL_BYTES = 24  # reads of 64 bits and expected ones of 32, in parts and joined


class Map(NamedTuple):
    """The cells of two chromosomes, or of one.

    Parameters
    ----------
    chroms
        Names, the same twice for a map within a chromosome.
    observed, expected
        (rows, columns); within a chromosome only `upper_cells`, row by row.
    """

    chroms: tuple[str, str]
    observed: NDArray[Any]
    expected: NDArray[np.float32]

    @property
    def cis(self) -> bool:
        """Whether it is a map within a chromosome."""
        return self.chroms[0] == self.chroms[1]

    @property
    def name(self) -> str:
        """``"chr1"``, or ``"chr1_by_chr2"``."""
        return _map_name(*self.chroms)


def _map_name(one: str, two: str) -> str:
    return one if one == two else f"{one}_by_{two}"


@dataclass(frozen=True)
class MapSet:
    """Maps to write.

    Parameters
    ----------
    chromosomes
        Names.
    bins
        int64 (bins, 2) by name: start and stop.
    resolution
        bp; 0 for one bin per unit.
    diagonal
        Whether maps within a chromosome have the cells of a bin with itself.
    history
        The calls that led here.
    maps
        One after the other, each computed when it is asked for.
    """

    chromosomes: tuple[str, ...]
    bins: Mapping[str, NDArray[np.int64]]
    resolution: int
    diagonal: bool
    history: str
    maps: Iterator[Map]


def upper_cells(size: int, diagonal: bool) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the cells of an upper triangle, row by row."""
    return np.triu_indices(size, 0 if diagonal else 1)


def make_maps(
    recipe: Recipe,
    binsize: int,
    *,
    chroms: str | bytes | Sequence[str | bytes] | None = None,
    includetrans: bool = True,
    growth: Growth | None = None,
    diagonal: bool = False,
    history: str = "",
    memory_limit: int = MEMORY_LIMIT,
    silent: bool = False,
) -> MapSet:
    """Prepare the maps of a project.

    Parameters
    ----------
    recipe
        What cells hold.
    binsize
        bp; 0 for one bin per unit.
    chroms
        Names, in the order of the file; all of them are in the order of their letters.
    includetrans
        Also maps of every two chromosomes.
    growth
        How dynamic bins grow; None for those that do not.
    diagonal
        Whether maps hold the pairs within a bin; always, if the genome was cut into bins, and not
        for dynamic bins of fends.
    history
        The calls that led here.
    memory_limit
        Bytes; a larger map is refused.

    Raises
    ------
    ParameterError
        For values out of range, unknown names, names that make two maps alike, or a map above the
        `memory_limit`.
    StateError
        If no unit of these chromosomes is in use.
    """
    units = recipe.units
    chosen = [c for c in units.choose(chroms) if (recipe.valid[units.span(c)] > 0).any()]
    names = [units.chromosomes[c] for c in chosen]
    if not names:
        raise StateError("no fend of these chromosomes is in use; filter with less")
    if chroms is None or not "".join(map(str, chroms)):
        names.sort()
    bins = {name: find_bins(units, recipe.valid, Request(name, binsize=binsize)) for name in names}
    diagonal = not units.fends or (diagonal and growth is None)
    if growth is None:
        _check_memory(bins, includetrans, memory_limit)
    pairs = [(name, name) for name in names]
    pairs += list(combinations(names, 2)) if includetrans else []
    _check_names(pairs)
    source = _Source(recipe, binsize, bins, growth, diagonal, memory_limit, silent)
    return MapSet(
        tuple(names),
        {name: np.stack([each.start, each.stop], axis=1) for name, each in bins.items()},
        binsize,
        diagonal,
        history,
        (source.map(*pair) for pair in pairs if pair[0] != pair[1] or source.has_cells(pair[0])),
    )


def _check_names(pairs: Sequence[tuple[str, str]]) -> None:
    known: dict[str, tuple[str, str]] = {}
    for pair in pairs:
        name = _map_name(*pair)
        if name in known:
            raise ParameterError(
                f"two maps would be called {name!r}, that of {known[name]} and that of {pair}; "
                "write them with includetrans=False, or a file of a format without names of maps "
                "(zarr, cool, mcool)"
            )
        known[name] = pair


def _check_memory(bins: Mapping[str, Bins], includetrans: bool, limit: int) -> None:
    sizes = sorted((len(each) for each in bins.values()), reverse=True)
    most = max([sizes[0] ** 2 // 2, *([sizes[0] * sizes[1]] if includetrans and sizes[1:] else [])])
    check_size(
        "the largest map",
        most * _CELL_BYTES,
        limit,
        "memory_limit",
        "choose a larger binsize, write a .cool or .mcool file, which holds only cells with reads",
    )


@dataclass(frozen=True)
class _Source:
    recipe: Recipe
    binsize: int
    bins: Mapping[str, Bins]
    growth: Growth | None
    diagonal: bool
    memory_limit: int
    silent: bool

    def has_cells(self, name: str) -> bool:
        return len(self.bins[name]) > 1 - self.diagonal

    def map(self, one: str, two: str) -> Map:
        if self.growth is None:
            return Map((one, two), *self._plain(one, two))
        options: dict[str, Any] = {
            "growth": self.growth,
            "memory_limit": self.memory_limit,
            "silent": self.silent,
        }
        first, second = (Request(name, binsize=self.binsize) for name in (one, two))
        if one == two:
            cells = cis_array(self.recipe, first, "upper", **options)[0]
        else:
            cells = trans_array(self.recipe, first, second, **options)[0]
        return Map((one, two), *np.moveaxis(cells, -1, 0))

    def _plain(self, one: str, two: str) -> list[NDArray[Any]]:
        """Observed and expected by strips of rows; reads stay whole numbers of 64 bits."""
        rows = self.bins[one].segment(self.recipe.genome)
        axis = Axis(rows)
        if one == two:
            layers = self.recipe.layers(axis, axis)
        else:
            columns = self.bins[two].segment(self.recipe.genome, len(rows))
            layers = self.recipe.layers(axis, Axis(columns))
        task = dask.delayed(_above_diagonal, pure=True)
        strips = []
        for lo, hi in pairwise(np.r_[0, np.cumsum(layers[0].chunks[0])].tolist()):
            if one == two:
                strips += [task(layer[lo:hi, lo:], self.diagonal) for layer in layers]
            else:
                strips += [layer[lo:hi] for layer in layers]
        done = run(strips, title=f"{one} {two}", silent=self.silent)
        return [np.concatenate(done[k::2]) for k in (0, 1)]


def _above_diagonal(strip: NDArray[Any], diagonal: bool) -> NDArray[Any]:
    return strip[np.triu(np.ones(strip.shape, dtype=bool), 0 if diagonal else 1)]
