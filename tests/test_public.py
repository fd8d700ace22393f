"""What public classes and functions have in common: unknown arguments, empty objects, sizes."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import hifive_dask as hd
from hifive_dask.errors import KeywordError, ParameterError, StateError
from hifive_dask.public import public
from hifive_dask.testing import toy_files, toy_project

KINDS = [hd.Fend, hd.HiCData, hd.HiC]
_NOT_YET = {
    "Fend": "partition units fends bins chr_indices bin_indices chr2int re_name token binned",
    "HiCData": "store fends units stats cis_data trans_data cis_indices insert_distribution token",
    "HiC": "data fends units chr2int binned datafilename fendfilename filter corrections trace "
    "distance_parameters chromosome_means trans_means trans_mean model_parameters binning_model",
}
NOT_YET = {kind: names.split() for kind, names in _NOT_YET.items()}


@pytest.fixture(scope="module")
def hic(tmp_path_factory: pytest.TempPathFactory) -> hd.HiC:
    return hd.HiC(toy_project(tmp_path_factory.mktemp("toy")), silent=True)


# Empty objects


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".zarr", ".hdf5"])
def test_empty_objects__have_all_attributes(tmp_path: Path, kind: Any, suffix: str) -> None:
    empty = kind(tmp_path / f"new{suffix}", "w", silent=True)
    names = [name for name in dir(empty) if not name.startswith("_")]
    assert [name for name in names if not hasattr(empty, name)] == []
    found = dict(inspect.getmembers(empty))
    assert [name for name in NOT_YET[kind.__name__] if found[name] is not None] == []
    assert empty.keys() == list(empty) == []
    assert "fends" not in empty
    assert empty["fends"] is None


def test_empty_objects__say_how_they_are_filled(tmp_path: Path) -> None:
    hic, data, fend = (kind(tmp_path / "new.zarr", "w", silent=True) for kind in KINDS[::-1])
    for call in (hic.filter_fends, hic.save, hic.reset_filter, hic.unit_table, hic.mean_corrections,
                 lambda: hic.heatmap(binsize=10), lambda: hic.cis_heatmap("chr1"),
                 hic.find_express_fend_corrections):  # fmt: skip
        with pytest.raises(StateError, match="no data are loaded yet; call load_data first"):
            call()
    for call in (data.save, data.stats_table, data.to_xarray, data.verify,
                 lambda: data.block("chr1")):  # fmt: skip
        with pytest.raises(StateError, match="no reads are loaded yet; call load_data_from_raw"):
            call()
    for call in (fend.save, lambda: fend.add_feature("x", "x.bg", 5)):
        with pytest.raises(StateError, match="nothing is loaded; call load_fends, load_bins or"):
            call()


def test_attributes__are_found_by_name(hic: hd.HiC) -> None:
    assert hic.fends.keys() == ["chromosomes", "fends", "chr_indices"]
    assert list(hic.fends) == hic.fends.keys()
    assert "fends" in hic.fends
    assert "bins" not in hic.fends
    assert dict(hic.fends)["fends"]["mid"].tolist() == hic.units.mid.tolist()  # type: ignore[call-overload]
    assert [name for name in hic.data if hic.data[name] is None] == []
    assert set(hic.data.keys()) > {"cis_data", "trans_indices", "stats"}
    other = hd.HiC(hic.file, silent=True)
    assert other.keys() == ["filter"]
    other.find_distance_parameters(numbins=20, minsize=2000)
    assert other.keys() == [
        "filter", "distance_parameters", "bin_distance_parameters", "chromosome_means"
    ]  # fmt: skip
    assert 0 not in hic.fends


def test_modules__are_found_without_being_imported() -> None:
    code = (
        "import hifive_dask as hd; assert hd.HiC is hd.hic.HiC; assert hd.plot.heatmap;"
        "assert hd.fend.Fend and hd.hic_data.HiCData and hd.cluster.session;"
        "assert {'plot', 'hic', 'HiC'} <= set(dir(hd))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Unknown arguments


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda h: h.heatmap("chr1", bin_size=5), "heatmap has no argument 'bin_size'. Did you m"),
        (lambda h: h.cis_heatmap("chr1", bin_size=5), "Did you mean 'binsize'"),
        (lambda h: h.cis_heatmap("chr1", image_file="x.png", maxscor=5), "Did you mean 'maxscore'"),
        (lambda h: h.filter_fends(min_interactions=5), "Did you mean 'mininteractions'"),
        (lambda h: h.data.stats_table(shrt=5), "stats_table has no argument 'shrt'. Did you mean"),
        (lambda h: h.fends.load_fends("x", order_=5), "Did you mean 'order'"),
        (lambda _: hd.HiC("x.zarr", mod="r"), "HiC has no argument 'mod'. Did you mean 'mode'"),
        (lambda _: hd.open_heatmaps(pth="x"), "Did you mean 'path'"),
        (lambda _: hd.plot.heatmap(None, tile="x"), "Did you mean 'title'"),
        (lambda h: h.heatmap(binsize=50_000, datatype="raw").hic.region(regon="x"), "'region'"),
        (lambda h: h.reset_filter(x=5), "reset_filter has no argument 'x'. It has: none."),
        (lambda h: h.filter_fends(qqqq=5), "It has: mininteractions, mindistance, maxdistance, us"),
    ],
)
def test_unknown_arguments__are_answered(
    hic: hd.HiC, call: Callable[[hd.HiC], Any], message: str
) -> None:
    with pytest.raises(KeywordError, match=message.replace(".", r"\.")) as error:
        call(hic)
    assert isinstance(error.value, TypeError)
    assert isinstance(error.value, ParameterError)


def test_signatures__are_those_that_were_written() -> None:
    assert list(inspect.signature(hd.HiC).parameters) == ["filename", "mode", "silent"]
    assert "binsize: 'int | str'" in str(inspect.signature(hd.HiC.heatmap))
    assert hd.HiC.filter_fends.__doc__.startswith("Keep the ")  # type: ignore[union-attr]
    assert list(inspect.signature(hd.open_mrh).parameters) == ["path"]
    lines = inspect.getsource(hd.HiC.find_distance_parameters)
    assert lines.lstrip().startswith("def find_distance_parameters(")


def test_public__leaves_what_is_not_ours() -> None:
    class Base:
        def own(self, size: int) -> int:
            return size

    assert public()(type("Kind", (Base,), {})).__dict__.keys() & {"own"} == set()


# Sizes


def test_sizes__have_units_in_python(hic: hd.HiC, tmp_path: Path) -> None:
    one = hic.heatmap(("chr1", "50kb", "0.1Mb"), binsize="10kb", datatype="raw", maxdistance="30kb")
    two = hic.heatmap("chr1:50k-100k", binsize=10_000, datatype="raw", maxdistance=30_000)
    assert one.identical(two)
    arrays = [
        hic.cis_heatmap("chr1", start=a, stop=b, binsize=c, maxdistance=d, datatype="raw")
        for a, b, c, d in (("50kb", "0.1Mb", "5kb", "20 kbp"), (50_000, 100_000, 5000, 20_000))
    ]
    np.testing.assert_array_equal(*arrays)
    sizes = [
        hic.trans_heatmap("chr1", "chr2", start1=a, stop2=b, binsize=c, datatype="raw").shape
        for a, b, c in (("50kb", "0.1Mb", "5kb"), (50_000, 100_000, 5000))
    ]
    assert sizes[0] == sizes[1]
    projects = []
    for near, far, least, most in (("1kb", "100kb", "2kb", "1Mb"), (1000, 100_000, 2000, 10**6)):
        project = hd.HiC(hic.file, silent=True)
        project.filter_fends(3, near, far)  # type: ignore[arg-type]
        project.find_distance_parameters(20, least, most)  # type: ignore[arg-type]
        project.find_express_fend_corrections(
            5, near, far, minchange=0.5, max_iterations=5  # type: ignore[arg-type]
        )  # fmt: skip
        projects.append(project)
    assert projects[0].history == projects[1].history
    np.testing.assert_array_equal(projects[0].corrections, projects[1].corrections)  # type: ignore[arg-type]
    assert hic.data.distance_classes("5kb") == hic.data.distance_classes(5000)
    assert hd.Fend(tmp_path / "b.zarr", "w", binned="10kb", silent=True).binned == 10_000
    hic.write_heatmap(tmp_path / "maps.zarr", ["50kb", 100_000], datatype="raw")
    assert hd.open_heatmaps(tmp_path / "maps.zarr").attrs["resolutions"] == [50_000, 100_000]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda h: h.heatmap(binsize="1kk", datatype="raw"),
            "binsize: '1kk' is not a number of bp",
        ),
        (lambda h: h.cis_heatmap("chr1", start="x"), "start: 'x' is not a number of bp"),
        (lambda h: h.filter_fends(maxdistance=1.5), "maxdistance is 1.5, expected a whole number "),
        (lambda h: h.find_distance_parameters(minsize="0.5"), "minsize: '0.5' is not a whole"),
        (lambda _: hd.Fend("x.zarr", "w", binned="ten"), "binned: 'ten' is not a number of bp"),
    ],
)
def test_sizes__that_are_none(hic: hd.HiC, call: Callable[[hd.HiC], Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        call(hic)


# What HiFive's calls take and its files hold


def test_duplicates__are_kept_by_the_fourth_argument(tmp_path: Path) -> None:
    files = toy_files(tmp_path)
    fend = hd.Fend(tmp_path / "f.zarr", "w", silent=True)
    fend.load_fends(files.sites)
    fend.save()
    stores = []
    for name, arguments, options in (("a", (True,), {}), ("b", (), {"dedup": "none"})):
        data = hd.HiCData(tmp_path / f"{name}.zarr", "w", silent=True)
        data.load_data_from_raw(fend.file, files.raw, "500", *arguments, **options)  # type: ignore[arg-type]
        stores.append(data)
    assert stores[0].token == stores[1].token
    assert stores[0].maxinsert == 500
    with pytest.raises(ParameterError, match="dedup_mismatch: '1x' is not a number of bp"):
        data.load_data_from_raw(fend.file, files.raw, 500, dedup_mismatch="1x")
    assert stores[0].history == stores[1].history
    with pytest.raises(ParameterError, match="skip_duplicate_filtering=True and dedup='file' excl"):
        data.load_data_from_raw(fend.file, files.raw, 500, True, dedup="file")
    with pytest.raises(ParameterError, match="skip_duplicate_filtering=True and dedup='file' excl"):
        data.load_data_from_bam(fend.file, "x.bam", 500, True, dedup="file")


def test_file_lists__are_named_by_the_call(tmp_path: Path, hic: hd.HiC) -> None:
    hic.data.export_to_mat(tmp_path / "x.mat")
    raw = hd.HiCData(tmp_path / "raw.hcd", "w", silent=True)
    raw.load_data_from_raw(hic.fends.file, Path(hic.file).parent / "reads.raw", 500)
    raw.save()
    mat = hd.HiCData(tmp_path / "mat.hcd", "w", silent=True)
    mat.load_data_from_mat(hic.fends.file, tmp_path / "x.mat")
    mat.save()
    both = hd.HiCData(tmp_path / "both.zarr", "w", silent=True)
    both.combine([raw.file, mat.file])
    both.save(tmp_path / "both.hcd")
    names = ("raw_filelist", "bam_filelist", "matfile", "filelist")
    found = {}
    for name in ("raw", "mat", "both"):
        with h5py.File(tmp_path / f"{name}.hcd") as file:
            found[name] = {key: str(file.attrs[key]) for key in names if key in file.attrs}
        again = hd.HiCData(tmp_path / f"{name}.hcd", silent=True)
        (paths,) = found[name].values()
        assert again.store.attributes["sources"] == [Path(path).name for path in paths.split(",")]
    assert found == {
        "raw": {"raw_filelist": f"{os.path.relpath(Path(hic.file).parent, tmp_path)}/reads.raw"},
        "mat": {"matfile": "./x.mat"},
        "both": {"filelist": "reads.raw,x.mat"},
    }
