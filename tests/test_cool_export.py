"""Coolers of a project: what cooler reads from them, at every level, and how they are replaced."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cooler
import dask
import h5py
import numpy as np
import pytest

import hifive_dask as hd
from hifive_dask.errors import ParameterError, StateError, StoreError
from hifive_dask.export.cool import levels_above

from .worlds import learned_toy

LEVELS = [1000, 2000, 5000]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> hd.HiC:
    return learned_toy(tmp_path_factory.mktemp("toy"), 15)


@pytest.fixture(scope="module")
def mcool(toy: hd.HiC, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cool") / "x.mcool"
    with dask.config.set(scheduler="sync"):
        toy.write_heatmap(path, 1000, datatype="fend")
    return path


def pairs_in_use(hic: hd.HiC) -> tuple[Any, Any, Any]:
    rows = np.concatenate([hic.data.cis_data, hic.data.trans_data]).T
    used = (hic.filter[rows[0]] > 0) & (hic.filter[rows[1]] > 0)
    first, second, count = rows[:, used]
    return first, second, count


def plain_pixels(hic: hd.HiC, clr: cooler.Cooler) -> dict[tuple[int, int], int]:
    """Reads of every cell, pair by pair."""
    units = hic.units
    offset = {name: clr.offset(name) for name in clr.chromnames}
    place = [
        offset[units.chromosomes[c]] + int(mid) // clr.binsize
        for c, mid in zip(units.chromosome, units.mid, strict=True)
    ]
    cells: dict[tuple[int, int], int] = {}
    for first, second, count in zip(*pairs_in_use(hic), strict=True):
        cell = place[first], place[second]
        cells[cell] = cells.get(cell, 0) + int(count)
    return cells


@pytest.mark.parametrize("binsize", LEVELS)
def test_pixels__are_the_reads_in_use(toy: hd.HiC, mcool: Path, binsize: int) -> None:
    clr = cooler.Cooler(f"{mcool}::/resolutions/{binsize}")
    table = clr.pixels()[:]
    cells = plain_pixels(toy, clr)
    assert list(zip(table["bin1_id"], table["bin2_id"], strict=True)) == sorted(cells)
    assert table["count"].tolist() == [cells[cell] for cell in sorted(cells)]
    assert table["count"].dtype == np.int32
    assert int(table["count"].sum()) == int(clr.info["sum"]) == pairs_in_use(toy)[2].sum()
    assert clr.storage_mode == "symmetric-upper"
    assert (clr.binsize, clr.info["bin-type"]) == (binsize, "fixed")


def test_bins__begin_at_0_and_end_with_the_chromosome(toy: hd.HiC, mcool: Path) -> None:
    clr = cooler.Cooler(f"{mcool}::/resolutions/5000")
    units = toy.units
    assert clr.chromnames == list(units.chromosomes)
    for c, name in enumerate(units.chromosomes):
        length = int(units.stop[units.span(c)].max())
        assert clr.chromsizes[name] == length
        bins = clr.bins().fetch(name)
        assert bins["start"].tolist() == list(range(0, length, 5000))
        assert bins["end"].tolist()[-1] == length


@pytest.mark.parametrize("binsize", LEVELS)
def test_weights__give_observed_over_expected(toy: hd.HiC, mcool: Path, binsize: int) -> None:
    clr = cooler.Cooler(f"{mcool}::/resolutions/{binsize}")
    weight = clr.bins()[:]["weight"].to_numpy()
    units = toy.units
    for one, two in (("chr1", "chr1"), ("chr1", "chr3"), ("chr2", "chr3")):
        balanced = clr.matrix(balance=True).fetch(one, two)
        lazy = toy.heatmap(one, two, binsize=binsize, datatype="fend")
        ratio, expected = lazy.enrichment.values, lazy.expected.values
        part = tuple(
            slice(int(start) // binsize, int(start) // binsize + size)
            for start, size in zip((lazy.start1[0], lazy.start2[0]), ratio.shape, strict=True)
        )
        found = balanced[part]
        with np.errstate(invalid="ignore"):
            sums = np.outer(*(1 / weight[slice(*clr.extent(name))][p]
                              for name, p in zip((one, two), part, strict=True)))  # fmt: skip
        if one == two:  # fragments that reach over bins make neighbours impossible, also farther
            near = np.abs(np.subtract.outer(*(np.arange(n) for n in ratio.shape))) < 2
            assert np.isclose(sums, expected, rtol=1e-5)[~near & (expected > 0)].mean() > 0.95
            same = ~near & np.isclose(sums, expected, rtol=1e-5)
        else:
            same = np.ones(ratio.shape, dtype=bool)
            np.testing.assert_array_equal(np.isnan(found), np.isnan(ratio))
        np.testing.assert_allclose(found[same], ratio[same], rtol=1e-5)
        assert (found[same] > 0).any()
    used = toy.filter > 0
    sums = np.bincount(
        np.concatenate([clr.offset(n) + units.mid[units.span(c)] // binsize
                        for c, n in enumerate(units.chromosomes)])[used],
        toy.corrections[used], len(weight),
    )  # fmt: skip
    np.testing.assert_array_equal(np.isnan(weight), sums == 0)
    np.testing.assert_allclose(1 / weight[sums > 0], sums[sums > 0])


def test_files__are_known_to_cooler(toy: hd.HiC, mcool: Path, tmp_path: Path) -> None:
    assert cooler.fileops.is_multires_file(str(mcool))
    assert not cooler.fileops.is_cooler(str(mcool))
    assert cooler.fileops.list_coolers(str(mcool)) == [f"/resolutions/{size}" for size in LEVELS]
    toy.write_heatmap(tmp_path / "x.cool", 10_000, datatype="fend")
    assert cooler.fileops.is_cooler(str(tmp_path / "x.cool"))
    uri = f"{mcool}::/resolutions/2000"
    run = [sys.executable, "-m", "cooler"]
    info = subprocess.run([*run, "info", uri], capture_output=True, text=True, check=True).stdout
    assert '"bin-size": 2000' in info
    dump = [*run, "dump", "--join", "-b", "-r", "chr1", "-r2", "chr2", uri]
    lines = subprocess.run(dump, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {tuple(line.split("\t")[k] for k in (0, 3)) for line in lines} == {("chr1", "chr2")}
    metadata = cooler.Cooler(uri).info["metadata"]
    assert metadata["datatype"] == "fend"
    assert "HiC.find_express_fend_corrections(" in metadata["history"]
    assert "HiC.write_heatmap(binsize=1000" in metadata["history"]
    with h5py.File(mcool) as file:
        assert file.attrs["format"] == "HDF5::MCOOL"
        assert file["resolutions/2000/bins/weight"].attrs["ignore_diags"] == 2


def test_cooler__loads_again_as_the_pairs_it_was_made_of(toy: hd.HiC, tmp_path: Path) -> None:
    toy.write_heatmap(tmp_path / "x.cool", 5000, datatype="raw")
    assert "weight" not in cooler.Cooler(str(tmp_path / "x.cool")).bins().columns
    fend = hd.Fend(tmp_path / "f.zarr", "w", silent=True)
    fend.load_bins(tmp_path / "x.cool", "toy1", format="cool")
    fend.save()
    data = hd.HiCData(tmp_path / "p.zarr", "w", silent=True)
    data.load_data_from_cool(fend.file, tmp_path / "x.cool")
    again = hd.HiC(tmp_path / "h.zarr", "w", silent=True)
    again.load_data(data.file)
    again.write_heatmap(tmp_path / "y.cool", 5000, datatype="raw")
    one, two = (cooler.Cooler(str(tmp_path / name)) for name in ("x.cool", "y.cool"))
    np.testing.assert_array_equal(one.pixels()[:], two.pixels()[:])
    assert two.info["genome-assembly"] == "toy1"
    assert one.info["genome-assembly"] == "unknown"


def test_cis_alone__and_chosen_chromosomes(toy: hd.HiC, tmp_path: Path) -> None:
    path = tmp_path / "x.cool"
    toy.write_heatmap(path, 5000, includetrans=False, datatype="raw", chroms=["chr3", "chr1"])
    clr = cooler.Cooler(str(path))
    assert clr.chromnames == ["chr1", "chr3"]  # in the order of the genome
    table = clr.pixels(join=True)[:]
    assert (table["chrom1"].astype(str) == table["chrom2"].astype(str)).all()
    units, (first, second, count) = toy.units, pairs_in_use(toy)
    one, two = units.chromosome[first], units.chromosome[second]
    assert table["count"].sum() == count[(one == two) & (one != 1)].sum()


def test_strips__do_not_change_the_pixels(
    toy: hd.HiC, mcool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hifive_dask.heatmap.pixels._STRIP", 300)
    monkeypatch.setattr("hifive_dask.heatmap.pixels._TOGETHER", 3)
    toy.write_heatmap(tmp_path / "x.mcool", LEVELS, datatype="fend")
    assert contents(tmp_path / "x.mcool") == contents(mcool)


def contents(path: Path) -> dict[str, Any]:
    """All a file holds but its date and the call."""
    found: dict[str, Any] = {}

    def add(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[...].tobytes()
        for key, value in item.attrs.items():
            if key not in ("creation-date", "metadata"):
                found[f"{name}@{key}"] = np.asarray(value).tolist()

    with h5py.File(path) as file:
        file.visititems(add)
    return found


def test_coolers__are_equal_on_every_scheduler(
    toy: hd.HiC, tmp_path: Path, on_every_scheduler: Callable[[Callable[[str], Any]], list[Any]]
) -> None:
    def work(name: str) -> dict[str, Any]:
        toy.write_heatmap(tmp_path / f"{name}.mcool", 5000, datatype="fend")
        return contents(tmp_path / f"{name}.mcool")

    first, *others = on_every_scheduler(work)
    assert all(other == first for other in others)


@pytest.mark.parametrize(
    ("binsize", "length", "sizes"),
    [
        (1000, 256_000, [1000]),
        (1000, 256_001, [1000, 2000]),
        (4000, 20_000_000, [4000, 8000, 20_000, 40_000, 80_000]),
    ],
)
def test_levels__go_up_until_the_genome_is_one_tile(
    binsize: int, length: int, sizes: list[int]
) -> None:
    assert levels_above(binsize, length) == sizes


def test_levels__can_be_named(toy: hd.HiC, tmp_path: Path) -> None:
    path = tmp_path / "x.mcool"
    toy.write_heatmap(path, [500_000, 7000], datatype="raw")
    assert cooler.fileops.list_coolers(str(path)) == ["/resolutions/7000", "/resolutions/500000"]
    large = cooler.Cooler(f"{path}::/resolutions/500000")  # a bin per chromosome
    assert (large.binsize, large.info["bin-type"], large.info["nbins"]) == (500_000, "fixed", 3)


def test_bins_of_a_genome__keep_pairs_within_a_bin(toy: hd.HiC, tmp_path: Path) -> None:
    fend = hd.Fend(tmp_path / "f.zarr", "w", binned=10_000, silent=True)
    lengths = Path(toy.file).parent / "chrom.sizes"
    fend.load_bins(lengths, format="len")
    fend.save()
    data = hd.HiCData(tmp_path / "p.zarr", "w", silent=True)
    data.load_data_from_raw(fend.file, Path(toy.file).parent / "reads.raw", 500)
    hic = hd.HiC(tmp_path / "h.zarr", "w", silent=True)
    hic.load_data(data.file)
    hic.filter_fends(mininteractions=1)
    hic.find_express_fend_corrections(remove_distance=False, iterations=5, minchange=1)
    for binsize in (10_000, 20_000):
        hic.write_heatmap(tmp_path / "x.cool", binsize, datatype="fend")
        clr = cooler.Cooler(str(tmp_path / "x.cool"))
        lazy = hic.heatmap("chr1", binsize=binsize, datatype="fend")
        found, ratio = clr.matrix(balance=True).fetch("chr1"), lazy.enrichment.values
        np.testing.assert_array_equal(clr.matrix(balance=False).fetch("chr1"), lazy.observed.values)
        # A cell of two bins with themselves has three pairs, where weights expect four.
        off = ~np.eye(len(ratio), dtype=bool) if binsize > 10_000 else np.ones_like(ratio, bool)
        # Weights balance all chromosomes as one map.
        assert hic.chromosome_scales is not None
        found = found * hic.chromosome_scales[0] ** 2
        np.testing.assert_allclose(found[off], ratio[off], rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ParameterError, "cannot hold datatype 'enrichment'.*Use 'fend'"),
        ({"datatype": "distance"}, ParameterError, "cannot hold datatype 'distance'"),
        ({"dynamically_binned": True}, ParameterError, "cannot hold dynamic bins"),
        ({"binsize": 0}, ParameterError, "binsize is 0, expected 1 bp or more"),
        ({"binsize": [0, 10]}, ParameterError, "binsize is 0, expected 1 bp or more"),
        ({"chroms": "chr7"}, ParameterError, "unknown chromosome 'chr7'"),
    ],
)
def test_bad_calls__are_refused_and_write_nothing(
    toy: hd.HiC, tmp_path: Path, options: Any, error: type[Exception], message: str
) -> None:
    if "datatype" not in options and options:
        options = {"datatype": "fend", **options}
    with pytest.raises(error, match=message):
        toy.write_heatmap(tmp_path / "x.mcool", **{"binsize": 50_000, **options})
    assert not list(tmp_path.iterdir())


def test_corrections_of_pairs__are_refused(tmp_path: Path, shared: Path) -> None:
    binning = hd.HiC(shared / "golden/sim-small/hifive/state_binning-express.hcp", silent=True)
    with pytest.raises(StateError, match="corrections of pairs of feature bins"):
        binning.write_heatmap(tmp_path / "x.cool", 50_000, datatype="fend")


def test_projects__without_what_is_needed_are_refused(toy: hd.HiC, tmp_path: Path) -> None:
    hic = hd.HiC(toy.file, silent=True)
    with pytest.raises(StateError, match="needs corrections"):
        hic.write_heatmap(tmp_path / "x.cool", 50_000, datatype="fend")
    hic.filter[:] = 0
    with pytest.raises(StateError, match="no fend of these chromosomes is in use"):
        hic.write_heatmap(tmp_path / "x.cool", 50_000, datatype="raw")
    assert not list(tmp_path.iterdir())


def test_other_files__and_failures_leave_what_was_there(
    toy: hd.HiC, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.cool"
    path.write_text("mine")
    with pytest.raises(StoreError, match="is there and no file of coolers"):
        toy.write_heatmap(path, 50_000, datatype="raw")
    assert path.read_text() == "mine"
    path.unlink()
    toy.write_heatmap(path, 50_000, datatype="raw")
    toy.write_heatmap(path, 100_000, datatype="raw")  # coolers are replaced
    before = path.read_bytes()
    monkeypatch.setattr("hifive_dask.export.cool._MOST", 2)
    with pytest.raises(ParameterError, match="reads in one cell do not fit"):
        toy.write_heatmap(path, 50_000, datatype="raw")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_missing_package__names_the_extra(
    toy: hd.HiC, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cooler", None)
    with pytest.raises(StateError, match=r"pip install 'hifive-dask\[cool\]'"):
        toy.write_heatmap(tmp_path / "x.cool", 50_000, datatype="raw")


@pytest.mark.golden
def test_yeast__balanced_values_are_observed_over_expected(tmp_path: Path, shared: Path) -> None:
    fend = hd.Fend(tmp_path / "f.zarr", "w", silent=True)
    fend.load_fends(shared / "data/genome_sacCer3/sacCer3.DpnII_HinfI.cuts.bed", "sacCer3")
    fend.save()
    data = hd.HiCData(tmp_path / "d.zarr", "w", silent=True)
    name = "yeast_SRR22130071"
    pairs = shared / f"data/{name}_pairs/{name}.sacCer3.pairs.gz"
    data.load_data_from_pairs(fend.file, pairs, 500)
    hic = hd.HiC(tmp_path / "p.zarr", "w", silent=True)
    hic.load_data(data.file)
    hic.filter_fends(mininteractions=6)
    hic.find_distance_parameters(numbins=40, minsize=1000)
    hic.find_express_fend_corrections(minchange=1e-2)
    hic.write_heatmap(tmp_path / "x.mcool", 5000, datatype="fend")
    uris = [f"{tmp_path}/x.mcool::/resolutions/{size}" for size in (5000, 10_000, 25_000, 50_000)]
    assert len(cooler.fileops.list_coolers(str(tmp_path / "x.mcool"))) == len(uris)
    for clr in map(cooler.Cooler, uris):
        assert clr.info["genome-assembly"] == "sacCer3"
        assert clr.info["sum"] == pairs_in_use(hic)[2].sum()
        for one, two in (("chrIV", "chrIV"), ("chrIV", "chrXII")):
            lazy = hic.heatmap(one, two, binsize=clr.binsize, datatype="fend")
            ratio = lazy.enrichment.values
            row, column = (int(start[0]) // clr.binsize for start in (lazy.start1, lazy.start2))
            found = clr.matrix(balance=True).fetch(one, two)
            found = found[row : row + ratio.shape[0], column : column + ratio.shape[1]]
            far = np.abs(np.subtract.outer(*map(np.arange, ratio.shape))) > 1
            same = far if one == two else np.ones_like(far)
            np.testing.assert_allclose(found[same], ratio[same], rtol=1e-6)
