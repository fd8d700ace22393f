"""The accessor of maps, their attributes, and what objects show of themselves."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr

import hifive_dask as hd
from hifive_dask import plot
from hifive_dask._graph import run
from hifive_dask.errors import ParameterError, RegionError
from hifive_dask.heatmap.store import write_store
from hifive_dask.simulate import PRESETS

from .worlds import learned_toy

REGION = "chr1:103k-257k"


@pytest.fixture(autouse=True)
def _sync() -> Iterator[None]:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture(scope="module")
def hic(tmp_path_factory: pytest.TempPathFactory) -> hd.HiC:
    """The toy project with corrections, and beside it maps in every format."""
    with dask.config.set(scheduler="sync"):
        hic = learned_toy(tmp_path_factory.mktemp("toy"), mininteractions=5)
        hic.save()
        folder = Path(hic.file).parent
        hic.write_heatmap(folder / "maps.zarr", [10_000, 50_000], trans_minbinsize=50_000)
        hic.write_heatmap(folder / "maps.hch", 50_000)
        hic.write_multiresolution_heatmap(
            folder / "maps.mrh", "raw", maxbinsize=40_000, minbinsize=10_000
        )
        write_store(folder / "raw.zarr", hic._recipe("raw"), [10_000])
    return hic


def kinds(hic: hd.HiC) -> dict[str, xr.Dataset]:
    """Every kind of map."""
    folder = Path(hic.file).parent
    stored, hch = hd.open_heatmaps(folder / "maps.zarr"), hd.open_heatmaps(folder / "maps.hch")
    mrh = hd.open_mrh(folder / "maps.mrh")
    genome = hic.heatmap(binsize=10_000)
    grown = hic.heatmap("chr1", binsize=50_000, dynamically_binned=True, minobservations=5)
    return {
        "genome": genome,
        "chromosome": hic.heatmap("chr1", binsize=10_000, datatype="fend"),
        "trans": hic.heatmap("chr1", "chr2", binsize=50_000, datatype="raw"),
        "fends": hic.heatmap(REGION, binsize=0, datatype="expected"),
        "dynamic": grown,
        "region": genome.hic.region(REGION),
        "computed": genome.compute().hic.region(REGION, "chr2"),
        "coarse": genome.hic.coarsen(50_000),
        "level": stored["r10000"].to_dataset(),
        "stored": stored.hic.region(REGION, binsize=10_000),
        "hch": hch["chr1_by_chr2"].to_dataset(),
        "part of hch": hch["chr1"].hic.region(REGION),
        "mrh": mrh.heatmap("1", "2", binsize=20_000),
        "part of mrh": mrh.heatmap("1", binsize=10_000).hic.region(REGION),
    }


def test_attributes__are_those_of_every_map(hic: hd.HiC) -> None:
    for kind, maps in kinds(hic).items():
        for name in maps.variables:
            attributes = maps[name].attrs
            assert attributes["long_name"], (kind, name)
            assert attributes["units"] in ("bp", "reads", "1"), (kind, name)
        assert maps["start1"].attrs["units"] == "bp"
        alone = len(set(maps["chromosome1"].values)) == 1 and kind != "level"
        assert maps["bin1"].attrs == (
            {"long_name": f"position on {maps['chromosome1'].values[0]}", "units": "bp"}
            if alone
            else {"long_name": "bin", "units": "1"}
        ), kind
        known = {"region", "region2", "binsize", "source"}
        files = kind.endswith(("hch", "mrh"))  # which do not know more
        known |= set() if files else {"datatype", "genome_name", "maxdistance"}
        assert known <= set(maps.attrs), kind
        assert maps.attrs["source"] == (f"maps.{kind[-3:]}" if files else Path(hic.file).name), kind
    assert kinds(hic)["fends"]["observed"].attrs == {"long_name": "possible pairs", "units": "1"}


def test_enrichment__has_one_rule(hic: hd.HiC) -> None:
    for maps in (hic.heatmap(binsize=10_000), kinds(hic)["level"], kinds(hic)["fends"]):
        own = maps.hic.enrichment
        assert dask.is_dask_collection(own.data)
        np.testing.assert_array_equal(own, maps["enrichment"])
        assert own.attrs == maps["enrichment"].attrs
        assert own.dtype == np.float32
    cells = xr.Dataset({"observed": ("x", [0, 4, 4, 0]), "expected": ("x", [2.0, 2.0, 0.0, 0.0])})
    np.testing.assert_array_equal(cells.hic.enrichment, [0, 2, np.nan, np.nan])
    np.testing.assert_array_equal(cells.hic.log2(), [np.nan, 1, np.nan, np.nan])
    np.testing.assert_allclose(cells.hic.log2(2), [-1, np.log2(1.5), np.nan, np.nan], rtol=1e-6)
    # Of reads that were added up it is the ratio of sums, whatever the variable says.
    cells["enrichment"] = cells["observed"] * 100
    assert float(cells.sum().hic.enrichment) == 2
    with pytest.raises(ParameterError, match="pseudocount is -1"):
        cells.hic.log2(-1)
    with pytest.raises(ParameterError, match="the dataset has no observed and no expected; take"):
        xr.Dataset().hic.enrichment  # noqa: B018


def test_region__is_a_part_of_any_map(hic: hd.HiC) -> None:
    genome = hic.heatmap(binsize=10_000)
    part = genome.hic.region(REGION, "chr2:50k-120k")
    assert dask.is_dask_collection(part["observed"].data)
    assert part["bin1"].values.tolist() == list(range(100_000, 260_000, 10_000))
    assert part.attrs["region"] == "chr1:103,000-257,000"
    assert part.attrs["region2"] == "chr2:50,000-120,000"
    wanted = hic.heatmap("chr1:100k-260k", "chr2:50k-120k", binsize=10_000)
    for name in ("observed", "expected", "enrichment", "mid1", "mid2"):
        np.testing.assert_array_equal(part[name], wanted[name])
    again = part.compute().hic.region("chr1:150k-160k", "2")
    assert again.sizes == {"bin1": 1, "bin2": 7}
    assert genome.hic.region().equals(genome)
    with pytest.raises(RegionError, match="unknown chromosome 'chr3'; known are: chr1"):
        part.hic.region("chr3")
    with pytest.raises(RegionError, match="region chr1:0-50,000 has no bins"):
        part.hic.region("chr1:0-50k", "chr2")
    with pytest.raises(RegionError, match="the map has no bins on bin2; take a part of it"):
        part.isel(bin2=slice(0, 0)).hic.region("chr1")
    with pytest.raises(ParameterError, match="no coordinate chromosome1, so it is no map"):
        xr.Dataset().hic.region("chr1")


def test_region__of_a_tree_names_its_level(hic: hd.HiC) -> None:
    folder = Path(hic.file).parent
    maps = hd.open_heatmaps(folder / "maps.zarr")
    assert maps.hic.resolutions == (10_000, 50_000)
    assert maps["r50000"].hic.resolutions == (50_000,)
    one = maps.hic.region("chr1", "chr2", binsize=50_000)
    assert one.equals(maps["r50000"].hic.region("chr1", "chr2"))
    with pytest.raises(ParameterError, match="this node holds no map; take a node below it"):
        hd.open_heatmaps(folder / "maps.hch").hic.region("chr1")


@pytest.mark.filterwarnings("ignore:.*StringDType.*")
def test_store__opened_by_xarray_alone_is_a_map(hic: hd.HiC) -> None:
    path = Path(hic.file).parent / "maps.zarr"
    wanted = hd.open_heatmaps(path).hic.region(REGION, binsize=10_000)
    with xr.open_datatree(path, engine="zarr", consolidated=False) as tree:
        assert tree.hic.region(REGION, binsize=10_000).equals(wanted)
    with xr.open_zarr(path, group="r10000", consolidated=False) as level:
        assert level.hic.region(REGION).equals(wanted)
        assert level.hic.enrichment.shape == level["observed"].shape
        with pytest.raises(ParameterError, match="is a part of a map of which Zarr holds one half"):
            level.isel(bin1=slice(0, 10)).hic.enrichment  # noqa: B018
        with pytest.raises(ParameterError, match=r"open it with hifive_dask\.open_heatmaps"):
            level.drop_encoding().hic.region(REGION)


@pytest.mark.parametrize("region", [None, "chr1", "chr1:50k-350k", ("chr1", "chr2")])
@pytest.mark.parametrize("datatype", ["enrichment", "expected"])
def test_coarsen__is_the_map_of_wider_bins(hic: hd.HiC, region: Any, datatype: Any) -> None:
    asked = region if isinstance(region, tuple) else (region,)
    fine = hic.heatmap(*asked, binsize=10_000, datatype=datatype)
    wanted = hic.heatmap(*asked, binsize=50_000, datatype=datatype)
    found = fine.hic.coarsen(50_000)
    assert dask.is_dask_collection(found["observed"].data)
    assert found["observed"].dtype == wanted["observed"].dtype
    for name in ("observed", "expected", "enrichment"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-6)
        assert found[name].attrs == wanted[name].attrs
    assert found.attrs == wanted.attrs
    assert found.coords.equals(wanted.coords)
    xr.testing.assert_identical(fine.compute().hic.coarsen(50_000), found)
    assert fine.hic.coarsen(10_000).equals(fine)


def test_coarsen__of_regions_that_overlap_counts_pairs_once(hic: hd.HiC) -> None:
    asked = ("chr1:110k-210k", "chr1:150k-280k")
    found = hic.heatmap(*asked, binsize=10_000).hic.coarsen(20_000)
    assert found["start2"].values.tolist() == list(range(150_000, 280_000, 20_000))
    assert found["stop2"].values[-1] == 280_000
    wanted = hic.heatmap("chr1:110k-210k", "chr1:150k-270k", binsize=20_000)
    for name in ("observed", "expected"):
        np.testing.assert_allclose(found[name].values[:, :6], wanted[name], rtol=1e-6)


def test_coarsen__keeps_what_is_not_stored(hic: hd.HiC) -> None:
    stored = hd.open_heatmaps(Path(hic.file).parent / "maps.zarr")
    coarse, wanted = stored["r10000"].ds.hic.coarsen(50_000), stored["r50000"]
    cis = coarse["chromosome1"].values[:, None] == coarse["chromosome2"].values
    np.testing.assert_array_equal(coarse["observed"], np.where(cis, wanted["observed"].values, -1))
    assert np.isnan(coarse["expected"].values[~cis]).all()


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        ("chromosome", 15_000, "binsize is 15,000, expected a multiple of that of the map, 10,000"),
        ("chromosome", 5_000, "expected a multiple"),
        ("fends", 5_000, "bins of single fends"),
        ("dynamic", 100_000, "dynamic bins share reads"),
        ("mrh", 40_000, "it holds no reads"),
    ],
)
def test_coarsen__bad_requests_name_the_cure(
    hic: hd.HiC, kind: str, size: int, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        kinds(hic)[kind].hic.coarsen(size)


def test_coarsen__of_a_map_that_was_turned_is_the_same(hic: hd.HiC) -> None:
    maps = hic.heatmap("chr1:50k-350k", "chr1:100k-200k", binsize=10_000)
    turned = maps.transpose("bin2", "bin1")
    for call in (lambda each: each.hic.coarsen(20_000), lambda each: each.hic.decay()):
        xr.testing.assert_equal(call(turned).compute(), call(maps).compute())


def test_coarsen__needs_bins_in_order(hic: hd.HiC) -> None:
    turned = hic.heatmap("chr1", binsize=10_000).isel(bin2=slice(None, None, -1))
    for call in (lambda: turned.hic.coarsen(20_000), turned.hic.decay):
        with pytest.raises(ParameterError, match="bins of bin2 are out of order; sort the map"):
            call()


@pytest.mark.parametrize("rows", [slice(0, 0), 3])
def test_coarsen__needs_two_axes_with_bins(hic: hd.HiC, rows: Any) -> None:
    part = hic.heatmap("chr1", binsize=10_000).isel(bin1=rows)
    for call in (lambda: part.hic.coarsen(20_000), part.hic.decay):
        with pytest.raises(ParameterError, match="expected bins on both of bin1 and bin2"):
            call()


def test_decay__sums_pairs_of_bins_by_distance(hic: hd.HiC) -> None:
    genome = hic.heatmap(binsize=50_000)
    found = genome.hic.decay()
    assert dask.is_dask_collection(found["observed"].data)
    cells = genome.compute()
    upper = np.triu(cells["chromosome1"].values[:, None] == cells["chromosome2"].values)
    apart = (cells["start2"].values - cells["start1"].values[:, None])[upper]
    for name in ("observed", "expected"):
        wanted = [cells[name].values[upper][apart == d].sum() for d in found["distance"].values]
        np.testing.assert_allclose(found[name], wanted, rtol=1e-6)
    assert int(found["observed"].sum()) == sum(
        int(np.triu(hic.heatmap(name, binsize=50_000)["observed"].values).sum())
        for name in hic.units.chromosomes
    )
    assert found["distance"].attrs == {"long_name": "distance of bins", "units": "bp"}
    with pytest.raises(ParameterError, match="of two chromosomes, which have no distance"):
        hic.heatmap("chr1", "chr2", binsize=50_000).hic.decay()


def test_heatmap__a_region_gives_its_bins_to_a_chromosome(hic: hd.HiC) -> None:
    start = int(hic.units.mid[0]) + 100_001  # so that the first bin would begin below 0
    bait = ("chr1", start, start + 20_000)
    view = hic.heatmap(bait, "chr1", binsize=20_000)
    assert view["start1"].values.tolist() == [start]
    assert view["start2"].values[0] == 0
    assert view["stop2"].values[0] == hic.units.mid[0] + 1
    assert set(np.diff(view["start2"].values[1:])) == {20_000}
    assert set((view["start2"].values[1:] - start) % 20_000) == {0}
    own = hic.heatmap(bait, binsize=20_000)
    own_bin = view["start2"].values == start
    assert view["observed"].values[0, own_bin] == own["observed"].values[0]
    turned = hic.heatmap("chr1", bait, binsize=20_000)
    np.testing.assert_array_equal(turned["observed"].values.T, view["observed"])
    whole = hic.heatmap("chr1", binsize=1_000_000, datatype="raw")["observed"].sum()
    assert 0 < view["observed"].sum() < whole


@pytest.mark.parametrize("code", ["from hifive_dask import HiC", "import hifive_dask.accessor"])
def test_accessor__is_there_with_the_classes_or_by_itself(code: str) -> None:
    script = f"import xarray\n{code}\nassert xarray.Dataset.hic and xarray.DataTree.hic"
    subprocess.run([sys.executable, "-c", script], check=True)


# What objects show


def test_repr__says_what_is_held(hic: hd.HiC) -> None:
    text = repr(hic)
    for pattern in (
        r"<HiC project\.zarr>",
        r"genome +3 chromosomes, [\d,]+ fends, median",
        r"reads +[\d,]+ cis and [\d,]+ trans reads, \d+\.\d % cis, of 20,000 in all",
        r"filter +[\d,]+ of [\d,]+ fends in use",
        r"distance +\d+ segments",
        r"corrections +express, \d+ iterations",
        rf"file +{re.escape(hic.file)}",
    ):
        assert re.search(pattern, text), pattern
    assert repr(hic.data.store).startswith("<PairStore: ")
    assert repr(hic.fends.partition).startswith("<Partition: 3 chromosomes, ")
    assert re.fullmatch(r"<Units: [\d,]+ fends on 3 chromosomes>", repr(hic.units))
    genome = PRESETS["toy"].genome(1)
    assert re.fullmatch(r"<SimulatedGenome: 3 chromosomes of [\d,]+ bp, \d+ fends>", repr(genome))
    for each in (hic, hic.data, hic.fends):
        page = each._repr_html_()
        assert page.count("<tr") == page.count("</tr>") == len(repr(each).splitlines()) - 1
        assert "script" not in page
        assert "color:" not in page  # those of the page


def test_repr__never_raises_and_escapes(tmp_path: Path) -> None:
    for kind in (hd.Fend, hd.HiCData, hd.HiC):
        half = object.__new__(kind)
        assert repr(half).startswith(f"<{kind.__name__}>\n  unknown  AttributeError")
        assert "unknown" in half._repr_html_()
        empty = kind(tmp_path / "<b>&.zarr", "w")
        assert "empty" in repr(empty)
        assert "<b>" not in empty._repr_html_()
        assert "&lt;b&gt;&amp;" in empty._repr_html_()


def test_picture__shows_itself(hic: hd.HiC) -> None:
    maps = hic.heatmap("chr1", binsize=50_000)
    figure = maps.hic.plot(pseudocount=1)
    picture, size = figure._repr_png_()
    assert picture.startswith(b"\x89PNG")
    assert size == dict(
        zip(("width", "height"), np.round(100 * figure.get_size_inches()).tolist(), strict=True)
    )
    assert maps.hic.plot(triangle=True).axes[0].get_ylabel() == "distance (kb)"
    with pytest.raises(ParameterError, match="unknown variable 'reads'"):
        maps.hic.plot(variable="reads")
    for other in (plot.biases(hic.unit_table(), ["length"]), plot.trace(hic.trace, minchange=1)):
        assert other._repr_png_()[0].startswith(b"\x89PNG")


def test_progress__of_notebooks_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "_notebook", lambda: True)
    monkeypatch.setattr(run, "_SHOW_AFTER", -1.0)
    with run.progress("counting", 4) as advance:
        for _ in range(4):
            advance(1)
    lines = capsys.readouterr().err.split("\r")
    assert lines[1:] == ["counting   25%  0:00", "counting  100%  0:00\n"]
    with run.progress("counting", 4, silent=True) as advance:
        advance(4)
    assert capsys.readouterr().err == ""


def test_mean_corrections__are_of_every_normalization(hic: hd.HiC) -> None:
    used = (hic.filter > 0) & (hic.corrections > 0)
    np.testing.assert_array_equal(hic.mean_corrections(), np.where(used, hic.corrections, np.nan))
    other = hd.HiC(hic.file, silent=True)
    other.normalization = "none"
    np.testing.assert_array_equal(other.mean_corrections(), np.where(hic.filter > 0, 1, np.nan))
    other.find_binning_fend_corrections(
        model=("len", "gc"), num_bins=(4, 3), parameters=("even", "even"), usereads="trans"
    )
    model = other.binning_model
    units = np.flatnonzero(other.filter)
    wanted = np.full(len(other.filter), np.nan)
    for unit in units:
        wanted[unit] = model.factors(np.full(len(units), unit), units).mean()
    np.testing.assert_allclose(other.mean_corrections(), wanted)
    assert repr(model) == "<BinningModel: len (4 bins), gc (3 bins)>"
    assert re.search(r"corrections +binning, model of len, gc, \d+ iteration", repr(other))
