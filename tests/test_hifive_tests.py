"""What HiFive's own 21 Hi-C tests compare, on its files: what is equal, and what differs and why.

A set of names is what differs on purpose, see docs/differences.md; all else must be equal.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import h5py
import numpy as np
import pytest

import hifive_dask as hd

pytestmark = [
    pytest.mark.golden,
    pytest.mark.filterwarnings("ignore::hifive_dask.errors.HifiveDaskWarning"),
]

SCALARS = {"different_fragment_invalid_insert", "non_cis_invalid_insert"}  # not written
# Of fends in bins, theirs are as long as there are fends.
INDICES = {
    f"{each}_{of}" for each in ("cis", "trans") for of in ("indices", "interaction_distribution")
}
BIT = 6e-7  # their sums of 32-bit numbers, ours rounded once


@pytest.fixture(autouse=True)
def _sync() -> Iterator[None]:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture
def folder(tmp_path: Path, shared: Path) -> Path:
    """A copy of HiFive's files, which link to each other."""
    copy = tmp_path / "data"
    shutil.copytree(shared / "golden/hifive-tests", copy, copy_function=shutil.copyfile)
    return copy


def differences(wanted: Path, found: Path) -> set[str]:
    """Attributes and arrays of a file that are missing in another one, or have other values."""
    with h5py.File(wanted) as theirs, h5py.File(found) as ours:
        attributes = {
            name
            for name, value in theirs.attrs.items()
            if name != "history" and not (name in ours.attrs and _same(value, ours.attrs[name]))
        }
        return attributes | {
            name
            for name in theirs
            if not (name in ours and _same(theirs[name][...], ours[name][...]))
        }


def _same(theirs: Any, ours: Any) -> bool:
    one, two = np.asarray(theirs), np.asarray(ours)
    if one.dtype.kind in "OU":
        return bool(theirs == ours)
    if (one.shape, one.dtype) != (two.shape, two.dtype):
        return False
    near = one.dtype.kind == "f" and np.allclose(one, two, rtol=BIT, atol=0)
    return bool(near or np.array_equal(one, two))


@pytest.mark.parametrize(
    ("name", "bed", "binned", "expected"),
    [
        ("test.fends", "test_fend.bed", None, set()),
        ("test_binned.fends", "test_fend.bed", 40_000, {"re_name"}),  # there of the file's name
        ("test_len.fends", "test.len", 40_000, set()),
    ],
)
def test_fends__are_those_of_hifive(
    folder: Path, name: str, bed: str, binned: int | None, expected: set[str]
) -> None:
    fend = hd.Fend(folder / "new.fends", "w", binned=binned, silent=True)
    if bed.endswith(".len"):
        fend.load_bins(folder / bed, genome_name="mm9", format="len")
    else:
        enzyme = None if binned else "HindIII"
        fend.load_fends(folder / bed, genome_name="mm9", re_name=enzyme, format="bed")
    fend.save()
    assert differences(folder / name, folder / "new.fends") == expected


@pytest.mark.parametrize(
    ("kind", "binned", "expected"),
    [
        ("raw", False, SCALARS),
        ("raw", True, SCALARS | INDICES),
        ("mat", False, set()),
        ("mat", True, INDICES),
        ("bam", False, SCALARS | {"insert_distribution"}),  # 92 rows there, 182 of text and here
        ("bam", True, SCALARS | INDICES | {"insert_distribution"}),
        ("matrix", True, {"stats"}),  # no total there
    ],
)
def test_reads__are_those_of_hifive(
    folder: Path, kind: str, binned: bool, expected: set[str]
) -> None:
    fends = folder / ("test_binned.fends" if binned else "test.fends")
    data = hd.HiCData(folder / "new.hcd", "w", silent=True)
    if kind == "raw":
        data.load_data_from_raw(fends, folder / "test.raw", 500, False)
    elif kind == "mat":
        data.load_data_from_mat(fends, folder / "test.mat")
    elif kind == "bam":
        mates = [str(folder / "test_hic_1.bam"), str(folder / "test_hic_2.bam")]
        data.load_data_from_bam(fends, mates, 500, False)
    else:
        data.load_binned_data_from_matrices(fends, str(folder / "*.test.matrix"))
    data.save()
    middle = "bin_" if binned and kind != "matrix" else ""
    wanted = folder / f"test_import_{middle}{kind}.hcd"
    assert differences(wanted, folder / "new.hcd") == expected
    with h5py.File(wanted) as theirs, h5py.File(folder / "new.hcd") as ours:
        seen = [{k.decode(): int(n) for k, n in file["stats"][...]} for file in (theirs, ours)]
        seen[0].pop("total_reads"), seen[1].pop("total_reads")
        assert seen[0] == seen[1]
        if binned and kind != "matrix":
            for each in ("cis", "trans"):  # those of units with partners
                name = f"{each}_interaction_distribution"
                np.testing.assert_array_equal(theirs[name][1:], ours[name][1:])


def test_mat__is_that_of_hifive_below_a_header(folder: Path) -> None:
    data = hd.HiCData(folder / "test_import_raw.hcd", "r", silent=True)
    data.export_to_mat(folder / "new.mat")
    header, *lines = (folder / "new.mat").read_text().splitlines()
    assert header == "fend1\tfend2\tcount"
    assert lines == (folder / "test.mat").read_text().splitlines()


@pytest.mark.parametrize("name", ["test", "test_bin"])
def test_projects__are_those_of_hifive(folder: Path, name: str) -> None:
    hic = hd.HiC(folder / "new.hcp", "w", silent=True)
    hic.load_data(folder / f"{name}.hcd")
    hic.filter_fends(mininteractions=10, mindistance=20_000)
    hic.find_distance_parameters(minsize=30_000, numbins=5)
    hic.save()
    assert differences(folder / f"{name}.hcp", folder / "new.hcp") == set()


@pytest.mark.parametrize(
    ("name", "start", "iterations", "apart"),
    [
        # One possible partner is counted rightly here.
        ("express", "test", 1, 7e-3),
        ("bin_express", "test_bin", 1, BIT),
        # At most 100 iterations there, where 24 were enough, and at least so many here.
        ("express", "test", 100, 7e-3),
        ("bin_express", "test_bin", 100, 2e-4),
    ],
)
def test_express__follows_hifive(
    folder: Path, name: str, start: str, iterations: int, apart: float
) -> None:
    theirs = hd.HiC(folder / f"test_{name}.hcp", silent=True)
    hic = hd.HiC(folder / f"{start}.hcp", silent=True)
    hic.find_express_fend_corrections(
        iterations=iterations, mindistance=20_000, usereads="cis", mininteractions=10,
        remove_distance=False,
    )  # fmt: skip
    used = theirs.filter > 0
    np.testing.assert_allclose(hic.corrections[used], theirs.corrections[used], rtol=apart)
    assert (theirs.corrections[~used] == 1).all()
    assert not hic.corrections[~used].any()
    np.testing.assert_array_equal(hic.chromosome_means, theirs.chromosome_means)


def test_binning__is_that_of_hifive(folder: Path) -> None:
    theirs = hd.HiC(folder / "test_binning.hcp", silent=True)
    hic = hd.HiC(folder / "test.hcp", silent=True)
    hic.find_binning_fend_corrections(
        mindistance=20_000, num_bins=[3, 3], model=["len", "distance"],
        parameters=["even", "fixed-const"], usereads="cis", learning_threshold=1.0,
        max_iterations=5,
    )  # fmt: skip
    np.testing.assert_allclose(hic.binning_corrections, theirs.binning_corrections, rtol=BIT)


@pytest.mark.parametrize(
    ("name", "model", "cost", "apart"),
    [("probbin", "binomial", 13_102.802, 5e-3), ("probpois", "poisson", 14_795.753, 2e-2)],
)
def test_probability__fits_better_than_hifive(
    folder: Path, name: str, model: str, cost: float, apart: float
) -> None:
    theirs = hd.HiC(folder / f"test_{name}.hcp", silent=True)
    hic = hd.HiC(folder / "test.hcp", silent=True)
    hic.find_probability_fend_corrections(
        mindistance=20_000, minchange=0.0015, max_iterations=15, learningstep=0.4,
        precalculate=True, model=model,
    )  # fmt: skip
    assert hic.trace is not None
    assert hic.trace[-1, 0] < cost  # of the corrections there
    used = theirs.filter > 0
    assert np.median(np.abs(hic.corrections[used] / theirs.corrections[used] - 1)) < apart


def test_heatmap_file__is_that_of_hifive(folder: Path) -> None:
    hic = hd.HiC(folder / "test_probbin.hcp", silent=True)
    hic.write_heatmap(
        folder / "new.hch", binsize=50_000, includetrans=True, datatype="fend", format="hdf5"
    )
    assert differences(folder / "test.hch", folder / "new.hch") == set()


def test_dynamic_arrays__are_those_of_hifive(folder: Path) -> None:
    hic = hd.HiC(folder / "test_probbin.hcp", silent=True)
    growth: dict[str, Any] = {
        "datatype": "enrichment", "returnmapping": True, "dynamically_binned": True,
        "searchdistance": 0, "removefailed": False,
    }  # fmt: skip
    cis = hic.cis_heatmap(
        "chr1", start=50_000, stop=200_000, binsize=25_000, arraytype="compact", maxdistance=0,
        skipfiltered=False, minobservations=10, expansion_binsize=0, **growth,
    )  # fmt: skip
    trans = hic.trans_heatmap(
        "chr1", "chr2", binsize=50_000, minobservations=100, expansion_binsize=50_000, **growth
    )
    names = ("cis", "mapping", "trans", "mapping1", "mapping2")
    with h5py.File(folder / "test_binned.hdf5") as file:
        for name, found in zip(names, (*cis, *trans), strict=True):
            assert _same(file[f"hic_{name}"][...], found), name
