"""What maps can do: the accessor ``hic`` of xarray's Dataset and DataTree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from hifive_dask.errors import ParameterError
from hifive_dask.heatmap.coarse import by_distance, coarsen
from hifive_dask.heatmap.opened import RegionLike, open_level, open_store, select_region
from hifive_dask.heatmap.ratios import enrichment, log2_ratio
from hifive_dask.public import public
from hifive_dask.regions import bp_or_none

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MapAccessor", "MapsAccessor"]


@xr.register_dataset_accessor("hic")  # type: ignore[no-untyped-call]
@public()
class MapAccessor:
    """``Dataset.hic``: a map of `HiC.heatmap`, of a store or of a file, or a part of one.

    Examples
    --------
    >>> import hifive_dask as hd
    >>> from hifive_dask.testing import toy_project
    >>> hic = hd.HiC(toy_project(), silent=True)
    >>> maps = hic.heatmap(binsize=10_000, datatype="raw")
    >>> chr1 = maps.hic.region("chr1:100k-200k")
    >>> chr1.hic.coarsen(50_000)["start1"].values.tolist()
    [100000, 150000]
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._given = dataset

    @property
    def _dataset(self) -> xr.Dataset:
        """The map; that of a level of a store as Zarr holds it is opened anew.

        Raises
        ------
        ParameterError
            If it is a part of such a level.
        """
        dataset = self._given
        if dataset.attrs.get("storage_mode") != "symmetric-upper":
            return dataset
        whole = open_level(_reopened(dataset.encoding), int(dataset.attrs["binsize"]))
        if any(dataset.sizes.get(name) != size for name, size in whole.sizes.items()):
            raise ParameterError(
                "this is a part of a map of which Zarr holds one half; open the store with "
                "hifive_dask.open_heatmaps, and select then"
            )
        return whole

    @property
    def enrichment(self) -> xr.DataArray:
        """Observed over expected reads, float32; NaN where nothing is expected.

        Always of the reads that are there: where these were added up, it is the ratio of sums.
        """
        return enrichment(self._dataset)

    def log2(self, pseudocount: float = 0.0) -> xr.DataArray:
        """Return log2 of the enrichment, NaN where nothing is expected or no read was seen.

        Parameters
        ----------
        pseudocount
            Reads added to observed and expected, which keeps cells that expect next to nothing
            near 0.
        """
        return log2_ratio(self._dataset, pseudocount)

    def region(self, region: RegionLike = None, region2: RegionLike = None) -> xr.Dataset:
        """Return the map of a region, or of two: all bins that overlap them.

        Parameters
        ----------
        region
            ``"chr2:10,000,000-20,000,000"``, ``"chr2:10M-20M"``, ``"chr2"``, or (name, start, stop)
            in bp; None for all that is there.
        region2
            Second axis; by default the same region.

        Returns
        -------
        xarray.Dataset
            Its index on an axis are positions in bp. Lazy if the map is.

        Raises
        ------
        RegionError
            If a region is unknown or has no bins.
        StoreError
            If it needs cells of two chromosomes and the level of a store has none.
        """
        return select_region(self._dataset, region, region2)

    def coarsen(self, binsize: int | str) -> xr.Dataset:
        """Return the map with wider bins: reads and expected reads are added up, and divided then.

        It is the map that a project gives at this bin size, but that bins at the ends of a
        region may be cut. A pair of units counts once, on the diagonal, too.

        Parameters
        ----------
        binsize
            bp, a multiple of that of the map.

        Raises
        ------
        ParameterError
            If it is none, or cells cannot be added up: of dynamic bins, of single fends, or scores.
        """
        return coarsen(self._dataset, binsize)

    def decay(self) -> xr.Dataset:
        """Return sums of observed and expected reads by distance, and their ratio, lazy.

        Returns
        -------
        xarray.Dataset
            ``observed``, ``expected`` and ``enrichment`` on dim distance, that between the bins in
            bp. Cells of two chromosomes are left out, every two bins count once.

        Raises
        ------
        ParameterError
            If the map is of two chromosomes, or its cells cannot be added up.
        """
        return by_distance(self._dataset)

    def plot(self, *, triangle: bool = False, **options: Any) -> Figure:
        """Draw the map with `hifive_dask.plot.heatmap`, or with `triangle` with that function.

        Parameters
        ----------
        triangle
            Turn it by 45 degrees, distances upwards.
        **options
            Those of the function.
        """
        from hifive_dask import plot

        return (plot.triangle if triangle else plot.heatmap)(self._dataset, **options)


@xr.register_datatree_accessor("hic")  # type: ignore[no-untyped-call]
@public()
class MapsAccessor:
    """``DataTree.hic``: a store of heatmaps, or one of its levels.

    Examples
    --------
    >>> import hifive_dask as hd
    >>> from hifive_dask.testing import toy_project
    >>> project = toy_project()
    >>> hic = hd.HiC(project, silent=True)
    >>> hic.write_heatmap(project.with_name("maps.zarr"), [10_000, 50_000], datatype="raw")
    >>> maps = hd.open_heatmaps(project.with_name("maps.zarr"))
    >>> maps.hic.resolutions
    (10000, 50000)
    >>> maps.hic.region("chr1:100k-200k", binsize=10_000)["bin1"].values[:3].tolist()
    [100000, 110000, 120000]
    """

    def __init__(self, tree: xr.DataTree) -> None:
        self._tree = tree

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Bin sizes in bp, ascending."""
        sizes = self._tree.attrs.get("resolutions", [self._tree.attrs.get("binsize", 0)])
        return tuple(int(size) for size in sizes if size)

    def region(
        self,
        region: RegionLike = None,
        region2: RegionLike = None,
        *,
        binsize: int | str | None = None,
    ) -> xr.Dataset:
        """Return the map of a region, or of two, at one of the stored bin sizes.

        Parameters
        ----------
        region, region2
            As of a Dataset; None for the whole genome.
        binsize
            bp, one of `resolutions`; not needed if there is one.

        Returns
        -------
        xarray.Dataset
            As `HiC.heatmap` returns it. Lazy; a window of a few hundred bins is one chunk.

        Raises
        ------
        ParameterError
            If the bin size is not stored, or not given where there are several.
        RegionError
            If a region is unknown or has no bins.
        StoreError
            If it needs cells of two chromosomes and the level has none.
        """
        level = open_level(self._tree, bp_or_none(binsize, "binsize"))
        if level.attrs.get("storage_mode") == "symmetric-upper":  # as Zarr holds it
            level = open_level(_reopened(self._tree.root.encoding), int(level.attrs["binsize"]))
        return select_region(level, region, region2)


def _reopened(encoding: dict[Any, Any]) -> xr.DataTree:
    """The store that xarray has opened by itself, with both halves of its maps."""
    source = encoding.get("source")
    if source is None:
        raise ParameterError(
            "this is the half of a map that a store holds; open it with hifive_dask.open_heatmaps"
        )
    return open_store(source)
