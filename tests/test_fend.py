"""Class Fend: loading, saving, opening, exchange with HiFive's files, errors."""

from __future__ import annotations

import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask._store import fends as store
from hifive_dask._store.fends import read_partition, write_partition
from hifive_dask.errors import InputError, InputWarning, ParameterError, StateError, StoreError
from hifive_dask.genome.dataset import from_dataset, to_dataset
from hifive_dask.provenance import History

HEAD = "chr\tstart\tstop\tname\tscore\tstrand\tmap\tgc\n"
SITES = HEAD + "".join(
    f"{chrom}\t{cut - 3}\t{cut + 3}\tRE\t0\t+\t0.{k},1\t{k},0.5\n"
    for chrom, cuts in (("chr1", (1000, 2000, 3000, 4000)), ("chr2", (500, 1500, 2500)))
    for k, cut in enumerate(cuts)
)
FILES = ("test.fends", "test_binned.fends", "test_bin.fends", "test_len.fends")
SIM = ("sim.fends", "sim_rebinned.fends", "sim_uniform.fends")


@pytest.fixture
def sites(tmp_path: Path) -> Path:
    """G1 as cut sites with two features."""
    path = tmp_path / "g1_sites.bed"
    path.write_text(SITES)
    return path


@pytest.fixture
def lengths(tmp_path: Path) -> Path:
    """Three chromosomes."""
    path = tmp_path / "g.chrom.sizes"
    path.write_text("chr10\t100\nchr2\t99\nchr1\t101\n")
    return path


def content(path: Path) -> dict[str, Any]:
    """All datasets and attributes of an HDF5 file but the history."""
    with h5py.File(path) as file:
        arrays = {name: file[name][...] for name in file}
        attributes = {
            name: (file.attrs.get_id(name).dtype, file.attrs.get_id(name).shape, value)
            for name, value in file.attrs.items()
            if name != "history"
        }
    return {"arrays": arrays, "attributes": attributes}


def assert_equal_files(a: Path, b: Path) -> None:
    """Two HDF5 files hold the same, with the same types; HiFive's know no lengths."""
    one, two = content(a), content(b)
    two["arrays"].pop("chromosome_length", None)
    assert one["attributes"] == two["attributes"]
    assert one["arrays"].keys() == two["arrays"].keys()
    for name, array in one["arrays"].items():
        assert array.dtype == two["arrays"][name].dtype
        assert np.array_equal(array, two["arrays"][name])


# Use


@pytest.mark.parametrize("name", ["g.zarr", "g.fends", "g.h5", "g.hdf5"])
def test_fend__fends_saved_and_opened(tmp_path: Path, sites: Path, name: str) -> None:
    fend = hd.Fend(tmp_path / name, "w")
    fend.load_fends(sites, genome_name="g1", re_name="RE")
    assert not (tmp_path / name).exists()
    fend.save()
    again = hd.Fend(tmp_path / name)
    for one in (fend, again):
        assert one.file == str(tmp_path / name)
        assert one.chromosomes.tolist() == ["chr1", "chr2"]
        assert one.chr2int == {"chr1": 0, "chr2": 1}
        assert one.chr_indices is not None
        assert (one.chr_indices.tolist(), one.chr_indices.dtype) == ([0, 6, 10], np.int32)
        assert (one.bins, one.bin_indices, one.binned) == (None, None, None)
        assert (one.genome_name, one.re_name) == ("g1", "RE")
        assert one.fends is not None
        assert one.fends.dtype == np.dtype(
            [(c, "<i4") for c in ("chr", "start", "stop", "mid")] + [("map", "<f4"), ("gc", "<f4")]
        )
        assert one.fends[1].tolist() == (0, 1500, 2000, 1750, np.float32(0.1), 1.0)
        assert one.units is one.partition.fends
        assert one["fends"].dtype == one.fends.dtype
        assert one["nothing"] is None
        assert one.history == (
            "Fend.load_fends(filename='g1_sites.bed', genome_name='g1', re_name='RE', "
            "format='bed', content='sites') - Success\n"
        )
        assert repr(one).splitlines() == [
            f"<Fend {name}>",
            "  genome     g1, cut by RE",
            "  partition  2 chromosomes, 10 fends, median fragment 1,000 bp",
            "  features   map, gc",
            f"  file       {tmp_path / name}",
        ]
    assert again.token == fend.token


def test_fend__fends_in_bins(tmp_path: Path, sites: Path) -> None:
    fend = hd.Fend(tmp_path / "g.zarr", "w", np.int64(1000))
    fend.load_fends(sites)
    fend.save()
    fend = hd.Fend(tmp_path / "g.zarr", binned=1000)
    assert fend.binned == 1000
    assert fend.partition.kind == "fends in bins"
    assert fend.bins is not None
    assert fend.bins.dtype.names == ("chr", "start", "stop", "mid", "map", "gc", "num_fends")
    assert fend.bins["num_fends"].tolist() == [2, 2, 2, 1, 2, 1]
    assert fend.bin_indices is not None
    assert fend.bin_indices.tolist() == [0, 3, 6]
    assert fend["genome_name"] == ""
    assert "10 fends, median fragment 1,000 bp, 6 bins of 1,000 bp\n" in repr(fend)
    assert "binned=1000" in fend.history
    with pytest.raises(ParameterError, match=r"binned is 5, but .* was made with 1000"):
        hd.Fend(tmp_path / "g.zarr", binned=5)


def test_fend__bins_alone(tmp_path: Path, sites: Path, lengths: Path) -> None:
    fend = hd.Fend(tmp_path / "g.fends", "w", binned=50)
    fend.load_bins(lengths, "g")
    fend.save()
    fend = hd.Fend(tmp_path / "g.fends")
    assert (fend.fends, fend.chr_indices, fend.binned) == (None, None, 50)
    assert fend.bins is not None
    assert fend.bins.dtype.names == ("chr", "start", "stop", "mid")
    assert fend.bins["mid"].tolist() == [25, 75, 25, 75, 25, 75, 125]
    assert "partition  3 chromosomes, 7 bins of 50 bp\n" in repr(fend)
    bed = tmp_path / "bins.bed"
    bed.write_text("chr2\t0\t50\nchr1\t100\t175\nchr1\t0\t100\n")
    for binned in (None, 0):
        fend = hd.Fend(tmp_path / "a.zarr", "w", binned=binned)
        fend.load_bins(bed)
        fend.save()
        fend = hd.Fend(tmp_path / "a.zarr")
        assert (fend.binned, fend.partition.kind) == (0, "arbitrary bins")
        assert "2 chromosomes, 3 bins of 75 (median) bp\n" in repr(fend)


@pytest.mark.parametrize("suffix", [".zarr", ".fends"])
def test_save__equal_input_gives_equal_bytes(tmp_path: Path, sites: Path, suffix: str) -> None:
    trees = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(sites, tmp_path / folder / sites.name)
        fend = hd.Fend(tmp_path / folder / f"g{suffix}", "w", 1000)
        fend.load_fends(tmp_path / folder / sites.name)
        fend.save()
        files = sorted(p for p in (tmp_path / folder).rglob("*") if p.is_file())
        trees.append({str(p.relative_to(tmp_path / folder)): p.read_bytes() for p in files})
    assert trees[0] == trees[1]


def test_fend__formats_by_suffix(tmp_path: Path, sites: Path, lengths: Path) -> None:
    for name in ("x.BED", "x.bed.gz"):
        path = tmp_path / name
        path.write_text(SITES)
        hd.Fend(tmp_path / "g.zarr", "w").load_fends(path)
    other = tmp_path / "sites.txt"
    other.write_text(SITES)
    fend = hd.Fend(tmp_path / "g.zarr", "w")
    with pytest.raises(
        ParameterError, match=r"load_fends cannot tell .*'sites.txt'.*\.bed, \.fend"
    ):
        fend.load_fends(other)
    with pytest.raises(
        ParameterError, match=r"by format 'len'; give format as one of 'bed', 'fend"
    ):
        fend.load_fends(lengths, format="len")
    with pytest.raises(ParameterError, match=r"load_bins cannot .*\.bed, \.len, \.sizes"):
        fend.load_bins(tmp_path / "x.fend")
    fend.load_fends(other, format="bed")
    assert len(fend.units) == 10


def test_load_fends__choice_of_content_is_logged_and_recorded(
    tmp_path: Path, sites: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hifive_dask")
    fend = hd.Fend(tmp_path / "g.zarr", "w")
    fend.load_fends(sites)
    assert "intervals of 6.0 bp on average, read as sites (content='auto')" in caplog.text
    fend.save()
    _, history, _ = read_partition(tmp_path / "g.zarr")
    assert history.records[0]["results"] == {"content_given": "auto", "mean_length": 6.0}
    caplog.clear()
    hd.Fend(tmp_path / "g.zarr", "w", silent=True).load_fends(sites)
    assert caplog.text == ""


def test_silent__hides_no_warnings(tmp_path: Path) -> None:
    path = tmp_path / "s.bed"
    path.write_text("chr1\t5\t9\nchr1\t5\t9\nchr1\t15\t19\n")
    with pytest.warns(InputWarning, match=r"1 line\(s\) repeat a cut site"):
        hd.Fend(tmp_path / "g.zarr", "w", silent=True).load_fends(path)


def test_token__follows_borders_only(tmp_path: Path, sites: Path) -> None:
    tokens = []
    for text in (SITES, SITES.replace("0.5", "0.6"), SITES.replace("997", "995")):
        sites.write_text(text)
        fend = hd.Fend(tmp_path / "g.zarr", "w")
        fend.load_fends(sites)
        tokens.append(fend.token)
    assert tokens[0] == tokens[1] != tokens[2]


# Faults


def test_fend__refuses_calls_before_anything_is_loaded(tmp_path: Path) -> None:
    fend = hd.Fend(tmp_path / "g.zarr", "a", binned=7)
    assert "<Fend g.zarr>\n  partition  empty; load_fends" in repr(fend)
    assert (fend.binned, fend.history, fend["fends"]) == (7, "", None)
    for name in ("fends", "chromosomes", "units", "token", "chr2int", "re_name"):
        assert getattr(fend, name) is None
    with pytest.raises(StateError, match="nothing is loaded; call load_fends, load_bins or digest"):
        fend.save()
    assert not (tmp_path / "g.zarr").exists()


def test_fend__refuses_bad_arguments(tmp_path: Path, sites: Path, lengths: Path) -> None:
    with pytest.raises(ParameterError, match="mode is 'x', expected 'r'"):
        hd.Fend(tmp_path / "g.zarr", "x")
    (tmp_path / "map.mcool").touch()
    with pytest.raises(StoreError, match="`hifive-dask import` makes a heatmap store of a cooler"):
        hd.HiC(tmp_path / "map.mcool")
    (tmp_path / "map.hic").touch()
    with pytest.raises(StoreError, match="`hictk convert` makes a"):
        hd.HiC(tmp_path / "map.hic")
    with pytest.raises(StoreError, match="the suffix decides the format"):
        hd.Fend(tmp_path / "g.txt", "w")
    for binned in (-1, 2.5, True, "3Gb", 1 << 31):
        with pytest.raises(ParameterError, match=r"binned is .* expected a bin size in bp"):
            hd.Fend(tmp_path / "g.zarr", "w", binned)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="binned is 0, bins of arbitrary size"):
        hd.Fend(tmp_path / "g.zarr", "w", 0).load_fends(sites)
    for size in (None, 0):
        with pytest.raises(ParameterError, match=f"binned is {size}; bins from chromosome lengths"):
            hd.Fend(tmp_path / "g.zarr", "w", size).load_bins(lengths)
    with pytest.raises(ParameterError, match="binned is 9, but bins from a BED file"):
        hd.Fend(tmp_path / "g.zarr", "w", 9).load_bins(sites)
    with pytest.raises(ParameterError, match="only BED files have a content"):
        hd.Fend(tmp_path / "g.zarr", "w").load_fends("x.fend", content="sites")
    with pytest.raises(ParameterError, match="content is 'x', expected"):
        hd.Fend(tmp_path / "g.zarr", "w").load_fends(sites, content="x")  # type: ignore[arg-type]


def test_load__failure_leaves_the_object_as_it_was(tmp_path: Path, sites: Path) -> None:
    fend = hd.Fend(tmp_path / "g.zarr", "w")
    fend.load_fends(sites)
    before = (fend.token, fend.history, fend.partition)
    bad = tmp_path / "bad.bed"
    bad.write_text("chr1\t5\t9\nchr1\t5\tx\n")
    with pytest.raises(InputError, match=r"bad\.bed:2: stop is 'x'"):
        fend.load_fends(bad)
    bad.write_text("chr1\t5\t9\nchr1\t5\t9\nchr1\t15\t19\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputWarning, match="repeat a cut site"):
            fend.load_fends(bad)
    with pytest.raises(StoreError, match=r"g\.zarr: no such store"):
        fend.load()
    assert (fend.token, fend.history) == before[:2]
    assert fend.partition is before[2]


@pytest.mark.parametrize("name", ["g.zarr", "g.fends"])
def test_save__failure_leaves_the_store_as_it_was(
    tmp_path: Path, sites: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fend = hd.Fend(tmp_path / name, "w")
    fend.load_fends(sites)
    fend.save()
    token = fend.token
    sites.write_text(SITES.replace("chr2", "chr3"))
    fend.load_fends(sites)

    def fail(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store, "complete", fail)
        patch.setattr(h5py.AttributeManager, "__setitem__", fail)
        with pytest.raises(StoreError, match="cannot be written: No space left on device"):
            fend.save()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, sites.name])
    assert hd.Fend(tmp_path / name).token == token
    fend.save()
    assert hd.Fend(tmp_path / name).token == fend.token != token


def test_open__refuses_a_damaged_zarr_store(tmp_path: Path, sites: Path) -> None:
    fend = hd.Fend(tmp_path / "g.zarr", "w")
    fend.load_fends(sites)
    fend.save()
    group: Any = zarr.open_group(tmp_path / "g.zarr", mode="r+")
    group["fend_start"][3] = 7
    with pytest.raises(StoreError, match="is damaged: its arrays have token"):
        hd.Fend(tmp_path / "g.zarr")
    shutil.rmtree(tmp_path / "g.zarr/fend_gc")
    with pytest.raises(StoreError, match="lacks the variable 'fend_gc'"):
        hd.Fend(tmp_path / "g.zarr")
    shutil.rmtree(tmp_path / "g.zarr/chromosome_offset")
    with pytest.raises(StoreError, match="holds neither fends nor bins"):
        hd.Fend(tmp_path / "g.zarr")


def test_open__refuses_faulty_hdf5(tmp_path: Path, sites: Path) -> None:
    path = tmp_path / "g.fends"
    with pytest.raises(StoreError, match="no such file"):
        hd.Fend(path)
    path.write_text("not HDF5")
    with pytest.raises(StoreError, match="cannot be read as HDF5"):
        hd.Fend(path)
    fend = hd.Fend(path, "w")
    fend.load_fends(sites)
    with pytest.raises(StoreError, match=r"cannot be read as HDF5 .* and would be replaced"):
        fend.save()

    def refused(message: str, **changes: Any) -> None:
        path.unlink()
        fend.save()
        with h5py.File(path, "r+") as file:
            records = file["fends"][...]
            for name, value in changes.items():
                if name in records.dtype.names:
                    records[name][2] = value
                elif value is None:
                    del file[name]
                elif name in file:
                    file[name][...] = value
                else:
                    file.attrs[name] = value
            if "fends" in file:
                file["fends"][...] = records
        with pytest.raises(StoreError, match=message):
            hd.Fend(path)

    refused("holds 'het_data', expected 'fend'", filetype="het_data")
    refused("holds neither fends nor bins", fends=None)
    refused("holds neither fends nor bins", chromosomes=None)
    refused("has only one of bins and bin size", binned=np.int64(40))
    refused("chromosome names are repeated", chromosomes=b"chr1")
    refused("fends: record 2 belongs to no chromosome", chr=-1)
    refused("fends: record 3 is not in genome order", chr=1)
    refused("fends: record 2 has a negative start", start=-5)
    refused("fends: record 2 overlaps the one before it", start=1999, mid=2249)
    refused(r"record 2 has a mid that is not \(start", mid=-7)
    fend.save()
    with h5py.File(path, "r+") as file:
        records = file["fends"][...][["chr", "start", "stop"]]
        del file["fends"]
        file["fends"] = records
    with pytest.raises(StoreError, match=r"fends: lacks the field\(s\) mid"):
        hd.Fend(path)


# Exchange


@pytest.mark.golden
@pytest.mark.parametrize(
    "name", [*(f"hifive-tests/{n}" for n in FILES), *(f"sim-small/hifive/{n}" for n in SIM)]
)
def test_hifive_file__written_again_is_equal(shared: Path, tmp_path: Path, name: str) -> None:
    source = shared / "golden" / name
    fend = hd.Fend(source)
    write_partition(
        tmp_path / "g.zarr", to_dataset(fend.partition), History.from_text(fend.history)
    )
    back = hd.Fend(tmp_path / "g.zarr")
    assert (back.token, back.history) == (fend.token, fend.history)
    back.file = str(tmp_path / "again.fends")
    back.save()
    assert_equal_files(source, tmp_path / "again.fends")
    with h5py.File(source) as file:
        assert fend.history == file.attrs["history"]


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "source", "binned"),
    [
        ("hifive-tests/test.fends", "hifive-tests/test_fend.bed", None),
        ("hifive-tests/test_binned.fends", "hifive-tests/test_fend.bed", 40_000),
        ("hifive-tests/test_bin.fends", "hifive-tests/test_fend.bed", 10_000),
        ("hifive-tests/test_len.fends", "hifive-tests/test.len", 40_000),
        ("sim-small/hifive/sim.fends", "sim-small/inputs/sites.bed", None),
        ("sim-small/hifive/sim_rebinned.fends", "sim-small/inputs/sites.bed", 20_000),
        ("sim-small/hifive/sim_uniform.fends", "sim-small/inputs/chrom.len", 50_000),
    ],
)
def test_load__gives_the_hifive_file(
    shared: Path, tmp_path: Path, name: str, source: str, binned: int | None
) -> None:
    want = hd.Fend(shared / "golden" / name)
    fend = hd.Fend(tmp_path / "g.fends", "w", binned)
    if source.endswith(".bed"):
        fend.load_fends(shared / "golden" / source, want.genome_name, want.re_name)
    else:
        fend.load_bins(shared / "golden" / source, want.genome_name)
    fend.save()
    assert fend.token == want.token
    assert_equal_files(shared / "golden" / name, tmp_path / "g.fends")


@st.composite
def bed_texts(draw: st.DrawFn) -> str:
    """Cut sites on a few chromosomes, some with a single one, with or without features."""
    features = draw(st.lists(st.sampled_from(["gc", "map", "z y", "é"]), unique=True))
    lines = ["\t".join(["c", "s", "e", "n", "x", "d", *features])]
    names = st.text(st.characters(categories=("L", "Nd")), min_size=1, max_size=6)
    for k, name in enumerate(draw(st.lists(names, unique=True, min_size=1, max_size=4))):
        for cut in draw(st.sets(st.integers(9, 10**9), min_size=1 if k else 2, max_size=6)):
            cells = [f"{draw(st.floats(-1, 1, width=32))},{cut % 7}" for _ in features]
            lines.append("\t".join([name, str(cut - 2), str(cut + 2), ".", ".", ".", *cells]))
    return "\n".join(lines)


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=bed_texts(), binned=st.sampled_from([None, 3_000_000, 100_000_000]))
@pytest.mark.filterwarnings("ignore::hifive_dask.errors.InputWarning")
def test_stores__round_trips_change_nothing(tmp_path: Path, text: str, binned: int | None) -> None:
    path = tmp_path / "in.bed"
    path.write_text(text, encoding="utf-8")
    fend = hd.Fend(tmp_path / "a.zarr", "w", binned)
    fend.load_fends(path, genome_name="gé", re_name="RE")
    fend.save()
    for name in ("b.fends", "c.zarr", "d.fends", "e.fends"):
        fend = hd.Fend(fend.file)
        fend.file = str(tmp_path / name)
        fend.save()
    first = hd.Fend(tmp_path / "a.zarr")
    last = hd.Fend(tmp_path / "c.zarr")
    assert to_dataset(first.partition).identical(to_dataset(last.partition))
    assert (first.token, first.history) == (last.token, last.history)
    assert list(first.partition.fends.features) == list(last.partition.fends.features)  # type: ignore[union-attr]
    assert (tmp_path / "d.fends").read_bytes() == (tmp_path / "e.fends").read_bytes()
    dataset = to_dataset(first.partition)
    assert to_dataset(from_dataset(dataset)).identical(dataset)
