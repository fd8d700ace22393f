"""Class HiCData: reference results, files, views, errors."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import dask
import h5py
import numpy as np
import pytest

import hifive_dask as hd
from hifive_dask.errors import (
    InputError,
    LinkError,
    ParameterError,
    StateError,
    StoreError,
)

from .worlds import G1, parse, write_reads

Results = dict[str, np.ndarray[Any, Any]]
T21 = parse("chr1 1100 - / chr1 3100 -, chr1 1900 + / chr1 2900 +, chr1 1900 + / chr2 1400 +")


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A directory with the partition G1 and the reads T21."""
    sites = [f"{c}\t{cut - 3}\t{cut + 3}" for c, cuts in G1.items() for cut in cuts]
    (tmp_path / "sites.bed").write_text("\n".join(sites) + "\n")
    fend = hd.Fend(tmp_path / "g.zarr", "w", silent=True)
    fend.load_fends(tmp_path / "sites.bed")
    fend.save()
    write_reads(tmp_path / "r.raw", T21)
    return tmp_path


def loaded(directory: Path, name: str = "d.zarr") -> hd.HiCData:
    data = hd.HiCData(directory / name, "w", silent=True)
    data.load_data_from_raw(directory / "g.zarr", directory / "r.raw", 5000)
    data.save()
    return data


@pytest.mark.parametrize("name", ["d.zarr", "d.hcd"])
def test_t21_arrays_and_indices(toy: Path, name: str) -> None:
    loaded(toy, name)
    data = hd.HiCData(toy / name)
    assert data.cis_data.tolist() == [[0, 4, 1], [1, 3, 1]]
    assert data.trans_data.tolist() == [[1, 7, 1]]
    assert data.cis_indices.tolist() == [0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    assert data.trans_indices.tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert data.cis_interaction_distribution.tolist() == [6, 4]
    assert data.trans_interaction_distribution.tolist() == [8, 2]
    assert data.cis_data.dtype == np.int32
    assert data.cis_indices.dtype == np.int64
    assert data.maxinsert == 5000
    assert data["stats"]["valid_cis_reads"] == 2
    assert data["nothing"] is None
    assert "2 cis and 1 trans reads" in repr(data)
    assert data.history.count("\n") == 2
    assert "HiCData.load_data_from_raw(fendfilename='g.zarr', filelist=['r.raw']" in data.history


@pytest.mark.parametrize(("first", "second"), [("d.zarr", "e.hcd"), ("d.hcd", "e.zarr")])
def test_t40_formats__keep_every_array_and_statistic(toy: Path, first: str, second: str) -> None:
    loaded(toy, first).save(toy / second)
    a, b = hd.HiCData(toy / first), hd.HiCData(toy / second)
    for name in ("cis_data", "trans_data", "insert_distribution"):
        np.testing.assert_array_equal(a[name], b[name])
    assert a.stats == b.stats
    assert a.history == b.history
    b.save()
    assert hd.HiCData(toy / second).stats == a.stats


def test_views__agree(toy: Path) -> None:
    data = loaded(toy)
    frame = data.to_dask_dataframe().compute()
    assert frame["chrom1"].tolist() == ["chr1", "chr1", "chr1"]
    assert frame["fend1"].tolist() == [0, 1, 1]
    assert frame["mid2"].tolist() == [3250, 2750, 1250]
    block = data.block("chr2", "chr1")
    assert [int(column.compute()[0]) for column in block] == [1, 7, 1]
    assert data.block("chr2").count.shape == (0,)
    dataset = data.to_xarray()
    assert int(dataset["count"].sum()) == 3
    assert dataset["block_chrom2"].values.tolist() == [0, 1]


def test_classes__of_reads_are_told_by_fate_and_distance(toy: Path) -> None:
    data = loaded(toy)  # cis pairs with midpoints 2000 and 1000 bp apart
    for short, near in ((0, 0), (1000, 0), (1001, 1), (2000, 1), (2001, 2), (20_000, 2)):
        distances = {"cis_short_reads": near, "cis_long_reads": 2 - near, "trans_reads": 1}
        assert data.distance_classes(short) == distances
    table = data.stats_table(1500)
    assert table["reads"].to_dict() == {
        **{name: n for name, n in data.stats.items() if not name.endswith("_pairs")},
        "valid_reads": 3,
        "cis_short_reads": 1,
        "cis_long_reads": 1,
    }
    assert table.loc["cis_long_reads", "of_valid"] == pytest.approx(1 / 3)
    assert table.loc["valid_trans_reads", "of_all"] == pytest.approx(1 / 3)
    assert np.isnan(table.loc["failed_cut", "of_valid"])
    assert table["meaning"].str.len().min() > 3
    with pytest.raises(ParameterError, match="short is -1"):
        data.distance_classes(-1)


def test_classes__of_a_file_without_statistics_are_those_of_its_pairs(toy: Path) -> None:
    loaded(toy, "d.hcd")
    with h5py.File(toy / "d.hcd", "r+") as file:
        del file["stats"]
    table = hd.HiCData(toy / "d.hcd", silent=True).stats_table()
    assert table.loc["total_reads", "reads"] == table.loc["valid_reads", "reads"] == 3
    assert table.loc["valid_cis_reads", "reads"] == 2


def test_t39_links_move_together_and_notice_changes(toy: Path) -> None:
    loaded(toy)
    moved = toy / "elsewhere"
    moved.mkdir()
    shutil.copytree(toy / "d.zarr", moved / "d.zarr")
    with pytest.raises(LinkError, match=r"points to \./g\.zarr"):
        hd.HiCData(moved / "d.zarr")
    shutil.copytree(toy / "g.zarr", moved / "g.zarr")
    assert len(hd.HiCData(moved / "d.zarr").store) == 3
    fend = hd.Fend(moved / "g.zarr", "w", binned=1000, silent=True)
    fend.load_fends(toy / "sites.bed")
    fend.save()
    with pytest.raises(LinkError, match="another version"):
        hd.HiCData(moved / "d.zarr")


def test_failed_load__leaves_the_store_that_was_there(toy: Path) -> None:
    data = loaded(toy)
    token = data.token
    (toy / "bad.raw").write_text("chr1\t1900\t+\tchr1\tx\t+\n")
    with pytest.raises(InputError, match=r"bad\.raw:1: the position 'x'"):
        data.load_data_from_raw(toy / "g.zarr", toy / "bad.raw", 500)
    assert data.token == hd.HiCData(toy / "d.zarr").token == token
    assert sorted(p.name for p in toy.iterdir()) == [
        "bad.raw", "d.zarr", "g.zarr", "r.raw", "sites.bed",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["fend1", "fend2", "count"])
def test_damage__is_an_error_and_never_zeros(toy: Path, name: str) -> None:
    data = loaded(toy)
    column = toy / "d.zarr" / name
    shard = column / "c" / "0"
    content = shard.read_bytes()
    shard.write_bytes(content[:-20])
    with pytest.raises(StoreError, match=r"cannot be read .*the store is damaged"):
        data.store.rows_of(0, 3)()
    shard.unlink()
    with pytest.raises(StoreError, match="some of the rows 0 to 3 are missing"):
        data.store.rows_of(0, 3)()


def test_replaced_store__is_not_read_with_old_offsets(toy: Path) -> None:
    data = loaded(toy)
    assert len(data.store.rows_of(0, 3)()[0]) == 3
    write_reads(toy / "r.raw", parse("chr1 1100 - / chr1 3100 -"))
    loaded(toy)
    with pytest.raises(StoreError, match="was replaced while it was open"):
        data.store.rows_of(0, 3)()


def test_other_stores__are_never_replaced(toy: Path) -> None:
    data = hd.HiCData(toy / "g.zarr", "w", silent=True)
    with pytest.raises(StoreError, match="holds 'fends' and would be replaced by 'pairs'"):
        data.load_data_from_raw(toy / "g.zarr", toy / "r.raw", 5000)
    assert len(hd.Fend(toy / "g.zarr").units) == 10
    data = hd.HiCData(toy / "none" / "d.hcd", "w", silent=True)
    with pytest.raises(StoreError, match="does not exist; make it first"):
        data.load_data_from_raw(toy / "g.zarr", toy / "r.raw", 5000)


def test_errors__name_the_cure(toy: Path) -> None:
    with pytest.raises(ParameterError, match="mode is 'a'"):
        hd.HiCData(toy / "x.zarr", "a")
    with pytest.raises(StoreError, match="no such store"):
        hd.HiCData(toy / "x.zarr")
    with pytest.raises(StoreError, match=r"must be \.zarr or one of"):
        hd.HiCData(toy / "x.txt", "w")
    with pytest.raises(StateError, match="call load_data_from_raw first"):
        hd.HiCData(toy / "x.zarr", "w").stats_table()
    data = hd.HiCData(toy / "no" / "x.zarr", "w")
    with pytest.raises(StoreError, match="does not exist; make it first"):
        data.load_data_from_raw(toy / "g.zarr", toy / "r.raw", 500)
    with pytest.raises(ParameterError, match="unknown chromosome 'chr9'"):
        loaded(toy).block("chr9")


# Reference results


def _partition(path: Path, source: Path, binned: int | None = None) -> Path:
    fend = hd.Fend(path, "w", binned=binned, silent=True)
    load = fend.load_bins if source.suffix == ".len" else fend.load_fends
    load(source)
    fend.save()
    return path


def _results(data: hd.HiCData, name: str) -> Results:
    return {
        f"reads/{name}.{key}": value
        for key, value in {
            "cis_data": data.cis_data,
            "trans_data": data.trans_data,
            "cis_indices": data.cis_indices,
            "trans_indices": data.trans_indices,
            "insert_distribution": data.insert_distribution,
            "cis_interaction_distribution": data.cis_interaction_distribution,
            "trans_interaction_distribution": data.trans_interaction_distribution,
        }.items()
    }


def _stats(data: hd.HiCData, names: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.array([data.stats[str(name)] for name in names])


Loader = Callable[[hd.HiCData, Path, Path], None]
SIM: dict[str, tuple[str, int | None, list[str], dict[str, Any]]] = {
    "library": ("sites.bed", None, ["reads_a.raw", "reads_b.raw"], {}),
    "file": ("sites.bed", None, ["reads_a.raw", "reads_b.raw"], {"dedup": "file"}),
    "none_reads_a": ("sites.bed", None, ["reads_a.raw"], {"dedup": "none"}),
    "reads_b": ("sites.bed", None, ["reads_b.raw"], {}),
    "no_maxinsert": ("sites.bed", None, ["reads_a.raw", "reads_b.raw"], {"maxinsert": None}),
    "rebinned": ("sites.bed", 20000, ["reads_a.raw", "reads_b.raw"], {}),
    "uniform": ("chrom.len", 50000, ["reads_a.raw", "reads_b.raw"], {}),
}


@pytest.mark.golden
@pytest.mark.parametrize("name", sorted(SIM))
def test_golden_sim_small__reads(
    tmp_path: Path, shared: Path, compare: ModuleType, name: str
) -> None:
    sites, binned, files, options = SIM[name]
    inputs = shared / "golden/sim-small/inputs"
    fends = _partition(tmp_path / "g.zarr", inputs / sites, binned)
    data = hd.HiCData(tmp_path / "d.zarr", "w", silent=True)
    options = {"maxinsert": 500, **options}
    data.load_data_from_raw(fends, [inputs / file for file in files], **options)
    case = compare.load_case(str(shared / "golden/sim-small"))
    results = _results(data, name)
    names = case[f"reads/{name}.stats_names"][0]
    results[f"reads/{name}.stats_names"] = names
    results[f"reads/{name}.stats"] = _stats(data, names)
    assert compare.compare(case, results, only=f"reads/{name}.", require_all=True)


@pytest.mark.golden
def test_golden_sim_small__pairs_file_equals_raw_files(tmp_path: Path, shared: Path) -> None:
    inputs = shared / "golden/sim-small/inputs"
    fends = _partition(tmp_path / "g.zarr", inputs / "sites.bed")
    raw = hd.HiCData(tmp_path / "raw.zarr", "w", silent=True)
    raw.load_data_from_raw(fends, [inputs / "reads_a.raw", inputs / "reads_b.raw"], 500)
    pairs = hd.HiCData(tmp_path / "pairs.zarr", "w", silent=True)
    pairs.load_data_from_pairs(fends, inputs / "reads.pairs.gz", 500)
    assert pairs.token == raw.token


@pytest.mark.golden
def test_t37_golden_hifive__raw_import(tmp_path: Path, shared: Path) -> None:
    folder = shared / "golden/hifive-tests"
    for fends, reference in (
        ("test.fends", "test_import_raw.hcd"),
        ("test_binned.fends", "test_import_bin_raw.hcd"),
    ):
        shutil.copy(folder / fends, tmp_path / fends)
        data = hd.HiCData(tmp_path / "d.hcd", "w", silent=True)
        data.load_data_from_raw(tmp_path / fends, folder / "test.raw", 500)
        data.save()
        with h5py.File(folder / reference) as theirs, h5py.File(tmp_path / "d.hcd") as ours:
            names = set(theirs)
            if fends == "test_binned.fends":  # their index arrays have the wrong length
                names = {"cis_data", "trans_data", "insert_distribution", "stats"}
            for name in names:
                np.testing.assert_array_equal(ours[name][...], theirs[name][...])
                assert ours[name].dtype == theirs[name].dtype
            missing = set(theirs.attrs) - set(ours.attrs)
            assert missing == {"different_fragment_invalid_insert", "non_cis_invalid_insert"}


@pytest.mark.golden
@pytest.mark.parametrize(
    "name",
    ["test.hcd", "test_import_raw.hcd", "test_import_bam.hcd", "test_import_mat.hcd"],
)
def test_t36_golden_hifive__files_open_and_round_trip(
    tmp_path: Path, shared: Path, name: str
) -> None:
    folder = shared / "golden/hifive-tests"
    shutil.copy(folder / "test.fends", tmp_path / "test.fends")
    shutil.copy(folder / name, tmp_path / name)
    hd.HiCData(tmp_path / name).save(tmp_path / "copy.zarr")
    hd.HiCData(tmp_path / "copy.zarr").save(tmp_path / "again.hcd")
    with h5py.File(folder / name) as theirs, h5py.File(tmp_path / "again.hcd") as ours:
        for key in theirs:
            if key == "stats":
                assert sorted(theirs[key][...].tolist()) == sorted(ours[key][...].tolist())
            else:
                np.testing.assert_array_equal(ours[key][...], theirs[key][...])


@pytest.mark.golden
def test_golden_yeast__reads(tmp_path: Path, shared: Path, compare: ModuleType) -> None:
    sites = shared / "data/genome_sacCer3/sacCer3.DpnII_HinfI.cuts.bed"
    fends = _partition(tmp_path / "g.zarr", sites)
    data = hd.HiCData(tmp_path / "d.zarr", "w", silent=True)
    name = "yeast_SRR22130071"
    pairs = shared / f"data/{name}_pairs/{name}.sacCer3.pairs.gz"
    data.load_data_from_pairs(fends, pairs, 500)
    case = compare.load_case(str(shared / "golden/yeast"))
    cis, trans = data.cis_data.astype(np.int64), data.trans_data.astype(np.int64)
    names = case["reads/stats_names"][0]
    results: Results = {
        "reads/stats_names": names,
        "reads/stats": _stats(data, names),
        "reads/insert_distribution": data.insert_distribution,
        "reads/cis_interaction_distribution": data.cis_interaction_distribution,
        "reads/trans_interaction_distribution": data.trans_interaction_distribution,
        "reads/cis_rows": np.array(len(cis)),
        "reads/trans_rows": np.array(len(trans)),
        "reads/cis_data_first_chromosome": np.stack(dask.compute(*data.block("chrIII")), axis=1),
    }
    for kind, rows in (("cis", cis), ("trans", trans)):
        product = (rows[:, 0] * rows[:, 1] % 1_000_003) * rows[:, 2]
        results[f"reads/{kind}_checksums"] = np.array(
            [rows.sum(), product.sum(), (rows[:, 2] ** 2).sum()]
        )
    assert compare.compare(case, results, only="reads/", require_all=True)
