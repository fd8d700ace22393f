"""Bin sizes: which suit a map, and which a genome that was cut into bins cannot have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import pytest

import hifive_dask as hd
from hifive_dask.errors import ParameterError
from hifive_dask.heatmap.sizes import check_binsize, choose_binsize

from .commands import run_in_one_thread as run
from .worlds import bin_partition, fend_partition, units


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def test_check_binsize__knows_what_the_genome_was_cut_into() -> None:
    bins = bin_partition({"a": 95_000, "b": 3_000}, 10_000).units
    for size in (0, 10_000, 15_000, 20_000):
        check_binsize(bins, size)
    message = r"binsize is 9,999, but .* bins of 10,000 bp.* multiple .* 10,000, 20,000, 50,000"
    with pytest.raises(ParameterError, match=message):
        check_binsize(bins, 9999)
    clipped = units({"a": [(0, 40), (40, 80), (80, 85)], "b": [(0, 9)]}, fends=False)
    check_binsize(clipped, 40)
    with pytest.raises(ParameterError, match="minbinsize is 20, but"):
        check_binsize(clipped, 20, "minbinsize")
    uneven = units({"a": [(0, 40), (40, 100), (100, 130), (130, 190)]}, fends=False)
    check_binsize(uneven, 30)
    message = r"bins of 30 to 60 bp, which .* expected 100 or more, which none of them exceeds"
    with pytest.raises(ParameterError, match=message):
        check_binsize(uneven, 29)
    check_binsize(fend_partition({"a": [0, 5000, 90_000]}).units, 1)


def test_choose_binsize__of_bins_are_whole_numbers_of_them() -> None:
    bins = bin_partition({"a": 3_000_000, "b": 900_000}, 3000).units
    assert choose_binsize(bins, "b", 400) == 3000
    assert choose_binsize(bins, "a", 400) == 15_000
    assert choose_binsize(bins, None, 400) == 15_000


def test_choose_binsize__of_one_region_suits_the_depth() -> None:
    bins = units({"a": [(k, k + 1000) for k in range(0, 1_000_000, 1000)]}, fends=False)
    assert choose_binsize(bins, "a", 400) == 5000
    assert choose_binsize(bins, "a", 400, cis_reads=10_000_000) == 5000
    # 20,000 reads on a triangle of 100 bins: 4 for each cell.
    assert choose_binsize(bins, "a", 400, cis_reads=20_000) == 10_000
    assert choose_binsize(bins, "a", 400, cis_reads=10) == 50_000


def test_choose_binsize__of_two_regions_suits_the_longer_and_the_depth() -> None:
    bins = bin_partition({"a": 3_000_000, "b": 900_000}, 1000).units
    assert choose_binsize(bins, "b", 400) == 5000
    assert choose_binsize(bins, "b", 400, region2="a") == 10_000
    # 2.7e12 bp squared between both: a read in 27,000 bp squared.
    assert choose_binsize(bins, "b", 400, region2="a", trans_reads=100_000_000) == 10_000
    assert choose_binsize(bins, "b", 400, region2="a", trans_reads=3000) == 50_000
    assert choose_binsize(bins, "a:1-900k", 400, region2="a:1M-2M", trans_reads=3000) == 5000


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of bins of 20 kb."""
    folder = tmp_path_factory.mktemp("bins")
    files = hd.testing.toy_files(folder)
    with dask.config.set(scheduler="sync"):
        run(
            "fends", "--chrom-sizes", files.lengths, "--binned", "20kb", "-o", folder / "f.zarr"
        )  # fmt: skip
        run("pairs", folder / "f.zarr", files.raw, "-o", folder / "pairs.zarr")
        run(
            "project", folder / "pairs.zarr", "--mininteractions", 3, "--minsize", "20kb",
            "-o", folder / "project.zarr",
        )  # fmt: skip
    return folder / "project.zarr"


def test_methods__refuse_bins_below_those_of_the_genome(project: Path, tmp_path: Path) -> None:
    hic = hd.HiC(project, "r", silent=True)
    calls = (
        lambda: hic.heatmap("chr1", binsize=10_000, datatype="raw"),
        lambda: hic.heatmap(binsize=10_000, datatype="raw"),
        lambda: hic.cis_heatmap("chr1", binsize=10_000, datatype="raw"),
        lambda: hic.trans_heatmap("chr1", "chr2", binsize=10_000, datatype="raw"),
        lambda: hic.write_heatmap(tmp_path / "m.zarr", [20_000, 10_000], datatype="raw"),
        lambda: hic.write_heatmap(tmp_path / "m.hch", 10_000, datatype="raw"),
        lambda: hic.write_heatmap(tmp_path / "m.cool", 10_000, datatype="raw"),
        lambda: hic.write_multiresolution_heatmap(
            tmp_path / "m.mrh", datatype="distance", maxbinsize=80_000, minbinsize=10_000
        ),
        lambda: hd.write_report(hic, tmp_path / "r.html", binsize=10_000),
    )
    for call in calls:
        with pytest.raises(ParameterError, match="binsize is 10,000, but the genome was cut into"):
            call()
    assert not list(tmp_path.iterdir())
    assert hic.cis_heatmap("chr1", binsize=20_000, datatype="raw").any()
    bounds = [[0, 5000], [5000, 45_000]]
    assert len(hic.cis_heatmap("chr1", binsize=7, binbounds=bounds, datatype="raw")) == 2


def test_commands__refuse_bins_below_those_of_the_genome(project: Path, tmp_path: Path) -> None:
    size = ("--binsize", "10kb")
    for arguments in (
        ("query", project, "chr1", *size),
        ("plot", project, "chr1", *size, "-o", tmp_path / "m.png"),
        ("plot", project, "chr1", "chr2", *size, "-o", tmp_path / "m.png"),
        ("heatmap", project, *size, "-o", tmp_path / "m.zarr"),
        ("heatmap", project, *size, "-o", tmp_path / "m.zarr", "--dry-run"),
    ):
        error = run(*arguments, code=1).stderr
        assert "is 10,000, but the genome was cut into bins of 20,000 bp" in error
        assert "20,000, 40,000, 100,000, 200,000" in error
    assert not list(tmp_path.iterdir())


def test_run__refuses_them_before_it_reads(project: Path, tmp_path: Path) -> None:
    files = project.parent
    out = tmp_path / "out"
    options = ("--chrom-sizes", files / "chrom.sizes", "--binned", "20kb", "--binsize", "10kb")
    error = run("run", *options, "--reads", files / "reads.raw", "-o", out, code=1).stderr
    assert "--binsize is 10,000, but the genome was cut into bins of 20,000 bp" in error
    assert not (out / "pairs.zarr").exists()
