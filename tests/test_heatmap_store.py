"""Stores of heatmaps: the cells, sums of cells, what is not stored, resuming, damage, laziness."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cooler
import dask
import hictkpy
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask import plot
from hifive_dask._store import heatmaps as layout
from hifive_dask._store.heatmaps import StoredLevel
from hifive_dask.cli import _maps
from hifive_dask.errors import InputError, ParameterError, RegionError, StoreError
from hifive_dask.heatmap import coolers, opened, query, store, sums
from hifive_dask.heatmap.recipe import Recipe
from hifive_dask.heatmap.store import write_store
from hifive_dask.testing import toy_project
from tests.commands import run_in_one_thread as run

from .reference_model import store_of
from .test_heatmap import DATATYPES, contigs, state_of
from .worlds import files_of
from .worlds import units as make_units

Array = np.ndarray[Any, Any]
LAYERS = ("observed", "expected", "enrichment")


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 8 bins in shards of 32, so that tiny genomes have several."""
    for module in (layout, sums, opened):
        monkeypatch.setattr(module, "CHUNK", 8)
    monkeypatch.setattr(layout, "SHARD", 32)
    monkeypatch.setattr(sums, "_BLOCK", 4000)


def recipe(
    datatype: Any = "enrichment", *, number: int = 7, fends: bool = True, **options: Any
) -> Recipe:
    units, pairs = contigs(number, fends=fends)
    valid = (np.random.default_rng(3).random(len(units)) < 0.8).astype(np.int32)
    state = state_of(units, binning=options.pop("binning", False))
    return Recipe(units, pairs, valid, datatype, **state, **options)


def long_recipe(seed: int = 1) -> Recipe:
    """A chromosome of several shards between two small ones."""
    rng = np.random.default_rng(seed)
    intervals = {}
    for name, size in (("small", 10), ("long", 80), ("other", 8)):
        edges = 5_000 + np.cumsum(rng.integers(20, 400, size + 1))
        intervals[name] = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    units = make_units(intervals, fends=True)
    first, second = np.sort(rng.integers(0, len(units), (2, 900)), axis=0)
    first, second = np.unique(np.stack([first, second])[:, second - first > 3], axis=1)
    rows = np.stack([first, second, rng.integers(1, 9, len(first))], axis=1)
    return Recipe(units, store_of(rows, units), np.ones(len(units), np.int32), **state_of(units))


def written(path: Path, what: Recipe, binsizes: list[int], **options: Any) -> xr.DataTree:
    write_store(path, what, binsizes, silent=True, **options)
    return hd.open_heatmaps(path)


def assert_same(found: xr.Dataset, wanted: xr.Dataset, *, rtol: float = 0) -> None:
    for name in LAYERS:
        np.testing.assert_allclose(found[name].values, wanted[name].values, rtol=rtol)
        assert found[name].attrs == wanted[name].attrs
    assert set(found.coords) == set(wanted.coords)
    for name in wanted.coords:
        np.testing.assert_array_equal(found[name].values, wanted[name].values)


# Cells


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("datatype", "options"),
    [
        *((datatype, {}) for datatype in DATATYPES),
        *((datatype, {"fends": False}) for datatype in ("distance", "expected")),
        ("enrichment", {"maxdistance": 700}),
        ("fend", {"binning": True}),
        ("enrichment", {"binning": True}),
    ],
)
def test_levels__equal_lazy_maps_of_the_genome(
    tmp_path: Path, datatype: str, options: dict[str, Any]
) -> None:
    what = recipe(datatype, **options)
    tree = written(tmp_path / "maps.zarr", what, [600, 250, 100, 300])
    assert list(tree.children) == ["r100", "r250", "r300", "r600"]
    for binsize in (100, 250, 300, 600):
        found = tree[f"r{binsize}"].to_dataset()
        wanted = query.heatmap(what, region=None, binsize=binsize).compute()
        summed = binsize in (300, 600)
        assert_same(found, wanted, rtol=1e-6 if summed else 0)
        if datatype != "expected":
            np.testing.assert_array_equal(found["observed"], wanted["observed"])
        of_store = {"trans": True, "genome_name": "", "source": ""}
        assert found.attrs == {**wanted.attrs, **of_store}


@pytest.mark.usefixtures("small")
def test_sums__are_of_the_next_finer_level_and_mind_where_bins_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    sum_up = sums.SummedCells.__call__

    def spy(self: Any, rows: slice, columns: slice) -> Any:
        made.append((self.finer.name, len(self.parent)))
        return sum_up(self, rows, columns)

    monkeypatch.setattr(sums.SummedCells, "__call__", spy)
    what = long_recipe()
    tree = written(tmp_path / "maps.zarr", what, [100, 300, 700, 2100])
    assert {name for name, _ in made} == {"r100", "r700"}
    assert tree["r700"]["start1"].values[0] < tree["r100"]["start1"].values[0]
    for binsize in (300, 700, 2100):
        wanted = query.heatmap(what, region=None, binsize=binsize).compute()
        np.testing.assert_array_equal(tree[f"r{binsize}"]["observed"], wanted["observed"])
        np.testing.assert_allclose(tree[f"r{binsize}"]["expected"], wanted["expected"], rtol=1e-6)


@pytest.mark.usefixtures("small")
def test_layout__has_shards_of_the_upper_triangle_only(tmp_path: Path) -> None:
    path = tmp_path / "maps.zarr"
    tree = written(path, long_recipe(), [300])
    shards = -(-tree["r300"].sizes["bin1"] // 32)
    assert shards == 3
    kept = {name for name in files_of(path) if "/observed/c/" in name}
    upper = {f"r300/observed/c/{i}/{j}" for i in range(shards) for j in range(i, shards)}
    assert kept == upper
    assert {name.split("/")[0] for name in files_of(path)} == {"r300", "chromosome", "zarr.json"}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["maps.zarr"]
    # Other programs find dimensions, too.
    with xr.open_datatree(path, engine="zarr", consolidated=False, decode_cf=False) as plain:
        assert plain["r300"]["observed"].dims == ("bin1", "bin2")
        assert plain.attrs["resolutions"] == [300]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("binning", [False, True])
def test_chroms__are_stored_in_genome_order(tmp_path: Path, binning: bool) -> None:
    what = recipe(binning=binning)
    chroms = ["contig5", "contig0", "contig3", "contig4"]
    tree = written(tmp_path / "maps.zarr", what, [100, 300], chroms=chroms)
    assert tree.attrs["chromosomes"] == sorted(chroms)
    for binsize in (100, 300):
        whole = query.heatmap(what, region=None, binsize=binsize).compute()
        own = np.isin(whole["chromosome1"].values, chroms)
        for name in LAYERS:
            np.testing.assert_allclose(
                tree[f"r{binsize}"][name], whole[name].values[np.ix_(own, own)], rtol=1e-6
            )


@pytest.mark.usefixtures("small")
def test_trans_left_out__is_not_stored_and_never_zero(tmp_path: Path) -> None:
    what = recipe()
    path = tmp_path / "maps.zarr"
    tree = written(path, what, [100, 300, 600], trans_minbinsize=300)
    fine, coarse = tree["r100"], tree["r600"]
    assert [tree[f"r{size}"].attrs["trans"] for size in (100, 300, 600)] == [False, True, True]
    cis = fine["chromosome1"].values[:, None] == fine["chromosome2"].values
    whole = query.heatmap(what, region=None, binsize=100).compute()
    for name in LAYERS:
        np.testing.assert_array_equal(fine[name].values[cis], whole[name].values[cis])
    assert set(fine["observed"].values[~cis]) == {-1}
    assert np.isnan(fine["expected"].values[~cis]).all()
    assert np.isnan(fine["enrichment"].values[~cis]).all()
    assert_same(
        coarse.to_dataset(), query.heatmap(what, region=None, binsize=600).compute(), rtol=1e-6
    )
    with pytest.raises(StoreError, match="level of 100 bp has no cells of two chromosomes"):
        tree.hic.region("contig1", "contig2", binsize=100)
    assert tree.hic.region("contig1", "contig2", binsize=300)["observed"].values.min() >= 0
    lone = written(tmp_path / "cis.zarr", what, [100, 300], includetrans=False)
    np.testing.assert_array_equal(lone["r100"]["observed"], fine["observed"])
    kept = coarse_cis = lone["r300"]["observed"].values >= 0
    np.testing.assert_array_equal(
        lone["r300"]["observed"].values[kept], tree["r300"]["observed"].values[coarse_cis]
    )


# Writing


class Stop:
    """Raises instead of making a shard, after some; counts those that were made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made, self.after, self.error = 0, 10**9, KeyboardInterrupt
        write = store.write_cells

        def counted(*arguments: Any, **layers: Any) -> None:
            if self.made == self.after:
                write(*arguments, **{**layers, "expected": layers["expected"] * 0})  # half of it
                raise self.error
            write(*arguments, **layers)
            self.made += 1

        monkeypatch.setattr(store, "write_cells", counted)


@pytest.mark.usefixtures("small")
def test_interrupted__goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what, path = long_recipe(), tmp_path / "maps.zarr"
    stop = Stop(monkeypatch)
    written(tmp_path / "whole.zarr", what, [100, 300])
    whole, total = files_of(tmp_path / "whole.zarr"), stop.made
    assert total > 20
    for after, error in ((4, KeyboardInterrupt), (9, SystemExit), (total - 2, MemoryError)):
        stop.after = after
        stop.error = error
        stop.made = stop.made if after > 4 else 0
        with pytest.raises(error):
            written(path, what, [100, 300])
        assert not path.exists()
        assert len(list(tmp_path.glob(".maps.zarr.*.unfinished"))) == 1
    stop.after = 10**9
    written(path, what, [100, 300])
    assert stop.made == total
    assert files_of(path) == whole
    assert sorted(each.name for each in tmp_path.iterdir()) == ["maps.zarr", "whole.zarr"]


def test_cells__are_counted_before_there_are_bins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: Any) -> None:
        raise AssertionError("bins were cut")

    what = long_recipe()
    tree = written(tmp_path / "maps.zarr", what, [70])
    number = tree["r70"].sizes["bin1"]
    monkeypatch.setattr(store, "genome_segment", cut)
    with pytest.raises(ParameterError, match="and before compression, takes about"):
        write_store(tmp_path / "x.zarr", what, [70], most_bytes=4 * number * (number + 1) - 1)


def test_interrupted__work_on_a_store_of_a_longer_name_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / ".maps.zarr.old.zarr.0123456789ab.unfinished"
    other.mkdir()
    written(tmp_path / "maps.zarr", recipe("raw"), [600])
    assert other.exists()


@pytest.mark.usefixtures("small")
def test_interrupted__other_work_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "maps.zarr"
    stop = Stop(monkeypatch)
    changed = {
        "pairs": (long_recipe(2), [300]),
        "sizes": (long_recipe(), [200]),
        "none": (long_recipe(), [300]),
    }
    made = {}
    for name, (what, sizes) in changed.items():
        stop.made, stop.after = 0, 3
        with pytest.raises(KeyboardInterrupt):
            written(path, long_recipe(), [300])
        stop.made, stop.after = 0, 10**9
        written(path, what, sizes)
        fresh = tmp_path / f"{name}.zarr"
        made[name] = stop.made
        written(fresh, what, sizes)
        assert files_of(fresh) == files_of(path)
        assert not list(tmp_path.glob(".*"))
    assert made["none"] == made["pairs"] - 3


def test_writing__replaces_only_stores_of_heatmaps(tmp_path: Path) -> None:
    what, path = recipe("raw"), tmp_path / "maps.zarr"
    before = written(path, what, [500]).attrs["uuid"]
    assert written(path, what, [1000]).attrs["uuid"] != before
    other = tmp_path / "other.zarr"
    xr.Dataset(attrs={"type": "heatmap"}).to_zarr(other, zarr_format=3, consolidated=False)
    with pytest.raises(StoreError, match="holds 'heatmap' and would be replaced by 'heatmaps'"):
        write_store(other, what, [500])
    with pytest.raises(StoreError, match="holds 'heatmap', expected 'heatmaps'"):
        hd.open_heatmaps(other)
    with pytest.raises(StoreError, match=r"must be called \.zarr"):
        write_store(tmp_path / "maps.hch", what, [500])
    with pytest.raises(StoreError, match="does not exist; make it first"):
        write_store(tmp_path / "none" / "maps.zarr", what, [500])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"binsizes": []}, r"binsizes is \[\], expected different sizes in bp"),
        ({"binsizes": [0]}, r"binsizes is \[0\], expected"),
        ({"binsizes": [500, 500]}, "expected different sizes"),
        ({"chroms": ["chrM"]}, "unknown chromosome 'chrM'"),
        (
            {"most_bytes": 1000},
            r"of it at 500 bp and before compression, takes about .* most_bytes is 1\.0 kB; use "
            r"larger bins, leave out pairs of chromosomes \(includetrans=False, or trans_min",
        ),
    ],
)
def test_writing__bad_requests_name_the_cure(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        write_store(tmp_path / "maps.zarr", recipe("raw"), **{"binsizes": [500], **options})
    assert list(tmp_path.iterdir()) == []


def test_writing__counts_cells_before_any_work(tmp_path: Path) -> None:
    what = recipe("raw")
    bins = written(tmp_path / "maps.zarr", what, [500])["r500"].sizes["bin1"]
    cells = bins * (bins + 1) // 2
    write_store(tmp_path / "maps.zarr", what, [500], most_bytes=8 * cells)
    with pytest.raises(ParameterError, match="use larger bins"):
        write_store(tmp_path / "maps.zarr", what, [500], most_bytes=8 * cells - 1)
    write_store(tmp_path / "maps.zarr", what, [500], most_bytes=8 * cells - 1, includetrans=False)


def test_reads_beyond_32_bits__are_an_error(tmp_path: Path) -> None:
    units = make_units({"a": [(100 * k, 100 * k + 100) for k in range(12)]}, fends=False)
    rows = np.array([(0, 5, 2**31 - 1), (1, 5, 1)])
    what = Recipe(units, store_of(rows, units), np.ones(12, np.int32), "raw")
    tree = written(tmp_path / "maps.zarr", what, [100])
    assert tree["r100"]["observed"].values[5, 0] == 2**31 - 1
    with pytest.raises(ParameterError, match=r"2,147,483,648 reads in one cell of 200 bp do not"):
        written(tmp_path / "maps.zarr", what, [100, 200])


def test_schedulers__same_bytes(tmp_path: Path, on_every_scheduler: Callable[..., Any]) -> None:
    units = make_units(
        {"a": [(10 * k, 10 * k + 10) for k in range(2100)], "b": [(0, 10), (10, 20)]}, fends=False
    )
    rng = np.random.default_rng(1)
    first, second = np.unique(np.sort(rng.integers(0, 2102, (2, 5000)), axis=0), axis=1)
    rows = np.stack([first, second, rng.integers(1, 9, len(first))], axis=1)
    what = Recipe(units, store_of(rows, units), np.ones(2102, np.int32), **state_of(units))

    def write(name: str) -> dict[str, bytes]:
        tree = written(tmp_path / f"{name}.zarr", what, [10, 40])
        window = tree.hic.region("a:15k-", binsize=10).compute()
        assert window["observed"].shape == (600, 600)
        return files_of(tmp_path / f"{name}.zarr")

    one, threads, processes = on_every_scheduler(write)
    assert one == threads == processes
    assert len([name for name in one if "r10/observed/c" in name]) == 3


# Reading


@pytest.fixture(scope="module")
def opened_world(tmp_path_factory: pytest.TempPathFactory) -> tuple[xr.DataTree, Recipe]:
    patch = pytest.MonkeyPatch()
    patch.setattr(layout, "CHUNK", 8)
    patch.setattr(layout, "SHARD", 32)
    what = long_recipe()
    with dask.config.set(scheduler="sync"):
        tree = written(tmp_path_factory.mktemp("maps") / "maps.zarr", what, [100, 300])
    patch.undo()
    return tree, what


INDEX = st.one_of(
    st.slices(70),
    st.integers(-70, 69),
    st.lists(st.integers(-70, 69), max_size=9).map(lambda k: np.array(k, dtype=np.int64)),
)


@given(rows=INDEX, columns=INDEX, name=st.sampled_from(LAYERS))
@settings(max_examples=60, deadline=None)
def test_indexing__any_way_gives_what_the_whole_map_has(
    opened_world: tuple[xr.DataTree, Recipe], rows: Any, columns: Any, name: str
) -> None:
    level = opened_world[0]["r300"].to_dataset()
    assert level.sizes["bin1"] == 70
    whole = level[name].load().copy(deep=True)
    level = opened_world[0]["r300"].to_dataset()
    chosen = level[name].isel(bin1=rows, bin2=columns)
    np.testing.assert_array_equal(chosen.values, whole.isel(bin1=rows, bin2=columns).values)


def test_indexing__scattered_bins_do_not_read_all_between_at_once(
    opened_world: tuple[xr.DataTree, Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _path_of(opened_world[0])
    whole = hd.open_heatmaps(path)["r300"]["observed"].load()
    sides: list[int] = []
    plain = StoredLevel.read

    def spy(self: Any, layer: Any, rows: slice, columns: slice) -> Any:
        sides.extend((rows.stop - rows.start, columns.stop - columns.start))
        return plain(self, layer, rows, columns)

    monkeypatch.setattr(StoredLevel, "read", spy)
    monkeypatch.setattr(opened, "_PIECE", 16)
    thin = hd.open_heatmaps(path)["r300"]["observed"][::3, 1::2]
    np.testing.assert_array_equal(thin.values, whole[::3, 1::2].values)
    assert max(sides) <= 16


def test_opening_and_selecting__read_no_cells(
    opened_world: tuple[xr.DataTree, Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []
    plain = StoredLevel.read

    def spy(self: Any, layer: str, rows: slice, columns: slice) -> Any:
        read.append((layer, rows, columns))
        return plain(self, layer, rows, columns)  # type: ignore[arg-type]

    monkeypatch.setattr(StoredLevel, "read", spy)
    tree = hd.open_heatmaps(next(iter(opened_world)).attrs["source"] or _path_of(opened_world[0]))
    repr(tree), tree._repr_html_()
    window = tree["r100"]["observed"].isel(bin1=slice(40, 44)).isel(bin2=slice(7, 9))
    region = tree.hic.region("long:10k-20k", binsize=100)
    assert read == []
    window.values  # noqa: B018
    assert read == [("observed", slice(40, 44), slice(7, 9))]
    assert region["enrichment"].data.npartitions == 1
    (lazy,) = dask.optimize(region)
    assert len(dict(lazy.__dask_graph__())) < 12
    del read[:]
    region.compute()
    assert sorted({layer for layer, _, _ in read}) == ["expected", "observed"]
    assert len(read) == 2
    assert len(pickle.dumps(tree["r100"]["observed"].variable._data)) < 3000


def _path_of(tree: xr.DataTree) -> str:
    cells: Any = tree["r100"]["observed"].variable._data
    return str(cells.array.stored.path)


def test_opened__can_be_pickled_chunked_and_used_by_threads(
    opened_world: tuple[xr.DataTree, Recipe],
) -> None:
    tree, what = opened_world
    wanted = query.heatmap(what, region=None, binsize=100).compute()
    again = pickle.loads(pickle.dumps(tree))
    with dask.config.set(scheduler="threads"):
        assert_same(again["r100"].to_dataset().chunk(bin1=50, bin2=70).compute(), wanted)


@pytest.mark.parametrize(
    ("region", "region2"),
    [
        (None, None),
        ("long", None),
        ("long:12k-18k", None),
        ("long:12k-18k", "long:15,000-21,000"),
        ("other", "long"),
        (("long", 9000, 9500), "small"),
    ],
)
@pytest.mark.parametrize("binsize", [100, 300])
def test_regions__equal_those_of_a_project(
    opened_world: tuple[xr.DataTree, Recipe], region: Any, region2: Any, binsize: int
) -> None:
    what = opened_world[1]
    tree = hd.open_heatmaps(_path_of(opened_world[0]))  # others may have loaded cells
    options: dict[str, Any] = {"region": region, "region2": region2, "binsize": binsize}
    if binsize == 300 and region == ("long", 9000, 9500):
        options["region"] = ("long", 9000, 9600)
    wanted = query.heatmap(what, **options).compute()
    for maps, size in ((tree, binsize), (tree[f"r{binsize}"], None)):
        found = maps.hic.region(region, region2, binsize=size)
        assert dask.is_dask_collection(found["observed"].data)
        assert isinstance(found["start1"].variable._data, np.ndarray)
        assert_same(found, wanted, rtol=1e-6)
        own = {"region", "region2", "binsize", "datatype", "maxdistance"}
        assert {name: found.attrs[name] for name in own - {"region"}} == {
            name: wanted.attrs[name] for name in own - {"region"}
        }


@given(number=st.integers(1, 400_000))
def test_regions__have_few_chunks_as_large_as_some_stored_ones(number: int) -> None:
    sizes = opened._pieces(number)
    assert sum(sizes) == number
    assert len({*sizes[:-1]}) < 2
    assert 0 < sizes[-1] <= sizes[0]
    assert sizes[0] % layout.CHUNK == 0 or len(sizes) == 1
    assert len(sizes) <= 100
    assert max(sizes) < 1.6 * 4096
    assert number > 1500 or len(sizes) == 1


@pytest.mark.usefixtures("small")
@pytest.mark.filterwarnings("ignore:.*FixedLengthUTF32.*")
@pytest.mark.parametrize("whole", [True, False])
def test_regions__can_be_written_wherever_they_begin(
    opened_world: tuple[xr.DataTree, Recipe],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: bool,
) -> None:
    monkeypatch.setattr(opened, "_PIECE", 16)
    maps = opened_world[0]["r100"].to_dataset()
    maps = maps.chunk(bin1=16, bin2=24) if whole else maps
    part = maps.hic.region("long:5,700-9M")
    assert len(part.chunks["bin1"]) > 2
    part.to_zarr(tmp_path / "part.zarr", zarr_format=3, consolidated=False)
    with xr.open_zarr(tmp_path / "part.zarr", consolidated=False) as found:
        assert found.equals(part)
    wider = part.hic.coarsen(300)
    assert len(wider.chunks["bin1"]) > 2
    wider.to_zarr(tmp_path / "wider.zarr", zarr_format=3, consolidated=False)


def test_regions__have_whole_bins(opened_world: tuple[xr.DataTree, Recipe]) -> None:
    found = opened_world[0].hic.region("long:12,010-12,190", binsize=100)
    assert found["bin1"].values.tolist() == [12000, 12100]
    assert found.attrs["region"] == "long:12,010-12,190"
    end = opened_world[0].hic.region("long:12k-900M", binsize=1e2)  # type: ignore[arg-type]
    level = opened_world[0]["r100"]
    own = level["chromosome1"].values == "long"
    assert end["stop1"].values[-1] == level["stop1"].values[own].max()


def test_regions__errors_name_the_cure(opened_world: tuple[xr.DataTree, Recipe]) -> None:
    tree = opened_world[0]
    with pytest.raises(ParameterError, match="binsize=500 is not stored; stored are 100, 300"):
        tree.hic.region("long", binsize=500)
    with pytest.raises(ParameterError, match="no binsize was given; stored are 100, 300"):
        tree.hic.region("long")
    with pytest.raises(ParameterError, match="binsize=300 is not that of this level, 100"):
        tree["r100"].hic.region("long", binsize=300)
    with pytest.raises(RegionError, match="unknown chromosome 'x'; known are: small, long, other"):
        tree.hic.region("x", binsize=100)
    with pytest.raises(RegionError, match="region long:0-5,000 has no bins; 'long' has bins from"):
        tree.hic.region("long:0-5k", binsize=100)
    with pytest.raises(ParameterError, match="region2 needs a region"):
        tree.hic.region(None, "long", binsize=100)
    with pytest.raises(ParameterError, match="this node holds no map; take a node below it"):
        xr.DataTree().hic.region("long")


@pytest.mark.usefixtures("small")
def test_damage__is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "maps.zarr"
    tree = written(path, long_recipe(), [300], includetrans=False)
    level = tree["r300"]
    lost = path / "r300" / "expected" / "c" / "0" / "1"
    held = lost.read_bytes()
    lost.unlink()
    assert level["observed"].values.shape
    for name in ("expected", "enrichment"):
        with pytest.raises(StoreError, match=r"cells of r300/expected, bins 0 .* are missing; the"):
            level[name].values  # noqa: B018
    level["expected"].isel(bin1=slice(64, None), bin2=slice(64, None)).load()
    lost.write_bytes(held[:-40])
    with pytest.raises(StoreError, match=r"cannot be read \(.*the store is damaged, make it again"):
        level["expected"].isel(bin1=[40]).values  # noqa: B018
    lost.write_bytes(held)
    level["expected"].load()


@pytest.mark.usefixtures("small")
def test_stores__replaced_or_unfinished_or_lacking_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "maps.zarr"
    tree = written(path, recipe("raw"), [300])
    written(path, recipe("fend"), [300])
    with pytest.raises(StoreError, match="was replaced while it was open"):
        tree["r300"]["observed"].values  # noqa: B018
    text = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text.replace('"complete": true', '"complete": false'))
    with pytest.raises(StoreError, match="was not written to the end"):
        hd.open_heatmaps(path)
    (path / "zarr.json").write_text(text)
    (path / "r300" / "bin_start" / "zarr.json").unlink()
    with pytest.raises(StoreError, match="lacks the variable r300/bin_start; make it again"):
        hd.open_heatmaps(path)
    with pytest.raises(StoreError, match="no such store"):
        hd.open_heatmaps(tmp_path / "none.zarr")


# Coolers


def cooler_file(path: Path, weights: dict[str, list[float]], **options: Any) -> Path:
    bins = cooler.util.binnify(pd.Series({"a": 230, "b": 90}), options.pop("binsize", 50))
    for name, values in weights.items():
        bins[name] = values
    pixels = pd.DataFrame({"bin1_id": [0, 0, 2, 5], "bin2_id": [0, 6, 3, 6], "count": [4, 2, 3, 1]})
    cooler.create_cooler(str(path), bins, pixels, **options)
    return path


WEIGHTS = [1, 0.5, np.nan, 2, 1, 4, 0.25]


@pytest.mark.parametrize(
    ("name", "divisive", "wanted"),
    [
        ("weight", None, {(0, 6): 2 * 0.25, (5, 6): 1.0, (2, 3): np.nan}),
        ("weight", True, {(0, 6): 2 / 0.25, (5, 6): 1.0}),
        ("KR", None, {(0, 6): 2 / 0.25, (2, 3): np.nan}),
        ("KR", False, {(0, 6): 2 * 0.25}),
        (None, None, {(0, 6): 2.0, (2, 3): 3.0, (1, 1): 0.0}),
    ],
)
def test_cooler__enrichment_is_balanced(
    tmp_path: Path, name: str | None, divisive: bool | None, wanted: dict[tuple[int, int], float]
) -> None:
    file = cooler_file(tmp_path / "x.cool", {"weight": WEIGHTS, "KR": WEIGHTS})
    path = tmp_path / "maps.zarr"
    hd.import_heatmaps(file, path, weight=name, divisive=divisive, silent=True)
    tree = hd.open_heatmaps(path)
    level = tree["r50"].load()
    for (row, column), value in wanted.items():
        for cell in ((row, column), (column, row)):
            np.testing.assert_allclose(level["enrichment"].values[cell], value)
    assert level["observed"].values.sum() == 4 + 2 * (2 + 3 + 1)
    assert level["stop1"].values.tolist() == [50, 100, 150, 200, 230, 50, 90]
    assert tree.attrs["datatype"] == ("counts" if name is None else "balanced")
    assert tree.attrs["source"] == "./x.cool"
    assert tree.attrs["chromosomes"] == ["a", "b"]


JUICER = [a + b for a in ("", "GW_", "INTER_") for b in ("KR", "SCALE", "VC", "VC_SQRT")]


@pytest.mark.parametrize("said", [None, True, False])
@pytest.mark.parametrize("name", [*JUICER, "weight", "ICE", "GW_ICE", "SCALED", "weight_KR"])
def test_cooler__attributes_of_weights_decide_else_names(
    tmp_path: Path, name: str, said: bool | None
) -> None:
    """hictk 1.4 agrees where it knows the name; cooler 0.11 knows three names, no attribute."""
    file = cooler_file(tmp_path / "x.cool", {name: [2.0] * 7})
    if said is not None:
        with cooler.Cooler(str(file)).open("r+") as group:
            group["bins"][name].attrs["divisive_weights"] = said
    hd.import_heatmaps(file, tmp_path / "maps.zarr", weight=name, silent=True)
    found = hd.open_heatmaps(tmp_path / "maps.zarr")["r50"]["enrichment"].values[0, 0]
    divides = name in JUICER if said is None else said
    assert found == (4 / 2**2 if divides else 4 * 2**2)
    theirs = cooler.Cooler(str(file)).matrix(balance=name)[0, 0]
    assert (found == theirs) == (divides == (name in ("KR", "VC", "VC_SQRT")))
    if said is not None or name not in ("SCALED", "weight_KR", "GW_VC_SQRT", "INTER_VC_SQRT"):
        hictk = hictkpy.File(str(file), 50).fetch("a", normalization=name, count_type="float")
        assert found == hictk.to_numpy()[0, 0]


def test_cooler__choices_and_errors(tmp_path: Path) -> None:
    plain = cooler_file(tmp_path / "x.cool", {})
    path = tmp_path / "maps.zarr"
    hd.import_heatmaps(plain, path, includetrans=False, silent=True)
    tree = hd.open_heatmaps(path)
    assert tree.attrs["datatype"] == "counts"
    assert tree["r50"]["observed"].values[0, 6] == -1
    many = tmp_path / "x.mcool"
    cooler.zoomify_cooler(str(plain), str(many), [50, 100], 100)
    hd.import_heatmaps(many, path, binsizes=[100], silent=True)
    assert list(hd.open_heatmaps(path).children) == ["r100"]
    with pytest.raises(ParameterError, match="has no bins of 70 bp; it has 50, 100"):
        hd.import_heatmaps(many, path, binsizes=[70])
    with pytest.raises(InputError, match="has no weights 'KR', it has none"):
        hd.import_heatmaps(plain, path, weight="KR")
    with pytest.raises(InputError, match="no such file"):
        hd.import_heatmaps(tmp_path / "none.cool", path)
    square = cooler_file(tmp_path / "s.cool", {}, symmetric_upper=False, triucheck=False)
    with pytest.raises(InputError, match="stores its pixels as 'square', expected"):
        hd.import_heatmaps(square, path)
    with cooler.Cooler(f"{many}::/resolutions/50").open("r+") as group:
        group["bins"]["weight"] = np.array(WEIGHTS)
    with pytest.raises(InputError, match="has no weights 'weight', which other resolutions have"):
        hd.import_heatmaps(many, path)
    address = f"{many}::/resolutions/50"
    hd.import_heatmaps(address, path, silent=True)
    assert "address='x.mcool::/resolutions/50'" in hd.open_heatmaps(path).attrs["history"]
    hd.import_heatmaps(many, path, binsizes=[100], silent=True)
    half = cooler_file(tmp_path / "h.cool", {}, dtypes={"count": float})
    with cooler.Cooler(str(half)).open("r+") as group:
        group["pixels"]["count"][:] = 0.5
    with pytest.raises(InputError, match=r"holds 0\.5, expected a whole number"):
        hd.import_heatmaps(half, path, silent=True)
    assert list(hd.open_heatmaps(path).children) == ["r100"]


def test_cooler__is_not_read_for_a_store_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = cooler_file(tmp_path / "x.cool", {})

    def read(*_: Any) -> None:
        raise AssertionError("the file was read")

    monkeypatch.setattr(coolers.hashlib, "file_digest", read)
    with pytest.raises(StoreError, match=r"must be called \.zarr"):
        hd.import_heatmaps(file, tmp_path / "maps")
    with pytest.raises(ParameterError, match="most_bytes is 100 bytes"):
        hd.import_heatmaps(file, tmp_path / "maps.zarr", most_bytes=100)


def test_cooler__whose_last_bin_is_short_has_a_triangle(tmp_path: Path) -> None:
    file = cooler_file(tmp_path / "x.cool", {})
    hd.import_heatmaps(file, tmp_path / "maps.zarr", silent=True)
    chosen = hd.open_heatmaps(tmp_path / "maps.zarr").hic.region("a")
    assert (chosen["stop1"] - chosen["start1"]).values.tolist() == [50, 50, 50, 50, 30]
    assert plot.triangle(chosen, variable="observed").axes[0].get_ylim() == (0, 5)


@pytest.mark.parametrize(
    "name",
    [
        "haloferax_mcool/Haloferax.mcool",
        "fly_dm6_4DNFIZ1ZVXC8/4DNFIZ1ZVXC8_bin100kb.cool",
        "mouse_mm9_CN/CN.mm9.1000kb.cool",
        "yeast_w303_g1_2kb/scer_w303_g1_2kb_SRR8769554.cool",
    ],
)
def test_cooler__published_maps_are_as_cooler_balances_them(
    tmp_path: Path, shared: Path, name: str
) -> None:
    file = shared / "data" / name
    if not file.exists():
        pytest.skip(f"{name} is not among the shared data")
    hd.import_heatmaps(file, tmp_path / "maps.zarr", silent=True)
    tree = hd.open_heatmaps(tmp_path / "maps.zarr")
    for uri in coolers.list_coolers(file):
        theirs = cooler.Cooler(uri)
        ours = tree[f"r{theirs.binsize}"]
        chosen = slice(0, 1500)
        for row, column in ((chosen, chosen), (slice(-300, None), slice(0, 300))):
            own = ours.isel(bin1=row, bin2=column)
            balanced = theirs.matrix(balance=True)[:][row, column]
            np.testing.assert_allclose(own["enrichment"], balanced, rtol=1e-5)
            np.testing.assert_array_equal(
                own["observed"], theirs.matrix(balance=False)[:][row, column]
            )


# The command line


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project, and beside it a store of its maps."""
    path = toy_project(tmp_path_factory.mktemp("toy"))
    what = hd.HiC(path, silent=True)._recipe("raw")
    with dask.config.set(scheduler="sync"):
        write_store(path.with_name("maps.zarr"), what, [10_000, 50_000], trans_minbinsize=50_000)
    return path


def test_query_and_plot__take_a_store_in_place_of_a_project(project: Path, tmp_path: Path) -> None:
    maps = project.with_name("maps.zarr")
    for place, size in (
        (("chr1:50k-250k",), 10_000),
        (("chr1", "chr2"), 50_000),
        (("all",), 50_000),
    ):
        words = (*place, "--binsize", size)
        wanted = run("query", project, *words, "--datatype", "raw").stdout
        assert wanted.count("\n") > 3
        assert run("query", maps, *words).stdout == wanted
    # By default the finest one that is not too fine, and has what is asked for.
    lines = run("query", maps, "chr1:50k-250k").stdout.splitlines()
    assert int(lines[1].split("\t")[2]) - int(lines[1].split("\t")[1]) == 10_000
    assert run("query", maps, "all").stdout == wanted
    fine = run("query", maps, "all", "--binsize", 10_000).stdout.splitlines()[1:]
    assert fine
    assert all(line.split("\t")[0] == line.split("\t")[3] for line in fine)
    assert all(float(line.split("\t")[6]) > 0 for line in fine)
    for words, drawn in (
        (("all",), "reads per possible pair of whole genome, bins of 50,000 bp"),
        (("all", "--binsize", 10_000), "reads per possible pair of whole genome, bins of 10,000"),
        (("chr1", "--variable", "observed"), "observed reads of chr1, bins of"),
    ):
        text = run("plot", maps, *words, "-o", tmp_path / "map.png").stdout
        assert drawn in text
        assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    near = ("chr1", "--binsize", 10_000, "--triangle", "--maxdistance", 100_000)
    run("plot", maps, *near, "-o", tmp_path / "near.png")
    assert (tmp_path / "near.png").exists()


def test_query__the_longer_region_decides_on_the_bin_size(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_maps, "_BINS", 20)
    write_store(tmp_path / "maps.zarr", hd.HiC(project, silent=True)._recipe("raw"), [10**4, 10**5])
    for regions in (("chr1:0-200k", "chr2"), ("chr2", "chr1:0-200k")):
        fields = run("query", tmp_path / "maps.zarr", *regions).stdout.splitlines()[1].split("\t")
        assert int(fields[2]) - int(fields[1]) == 10**5


def test_query__of_a_store_has_what_was_written_only(project: Path) -> None:
    maps = project.with_name("maps.zarr")
    message = run("query", maps, "chr1", "--binsize", 20_000, code=1).stderr
    assert "--binsize 20000 is not stored; stored are 10000, 50000" in message
    message = run("query", maps, "chr1", "--datatype", "fend", code=2).stderr
    assert "maps.zarr was written with datatype raw; leave --datatype out" in message
    run("query", maps, "chr1", "--datatype", "raw")
    assert (
        "written with maxdistance 0"
        in run("query", maps, "chr1", "--maxdistance", 5, code=2).stderr
    )
    message = run("query", maps, "chr1", "chr2", "--binsize", 10_000, code=1).stderr
    assert "has no cells of two chromosomes" in message
    assert "stands alone" in run("query", maps, "all", "chr1", code=2).stderr


def test_info__describes_a_store(project: Path) -> None:
    maps = project.with_name("maps.zarr")
    text = run("info", maps).stdout
    assert "Heatmaps" in text
    assert "50,000" in text
    assert "write_store(binsizes=[10000, 50000]" in text
    facts = json.loads(run("info", maps, "--json").stdout)
    assert facts["type"] == "heatmaps"
    assert [level["binsize"] for level in facts["levels"]] == [10_000, 50_000]
    assert [level["trans"] for level in facts["levels"]] == [False, True]
    assert facts["history"][-1]["call"] == "write_store"


def test_import__makes_a_store_of_a_cooler(tmp_path: Path) -> None:
    file = cooler_file(tmp_path / "x.cool", {"weight": WEIGHTS})
    path = tmp_path / "maps.zarr"
    for address in (file, f"{file}::/"):
        assert "heatmaps with bins of 50 bp" in run("import", address, "-o", path).stdout
    assert hd.open_heatmaps(path).attrs["datatype"] == "balanced"
    assert "must be called .zarr" in run("import", file, "-o", tmp_path / "maps", code=1).stderr
