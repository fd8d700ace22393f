"""Heatmap files: HiFive's HDF5, numpy archives, text; what they hold, how they are replaced."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import dask
import h5py
import numpy as np
import pytest

import hifive_dask as hd
from hifive_dask.errors import HifiveDaskWarning, ParameterError, StateError, StoreError
from hifive_dask.export.cool import write_cool
from hifive_dask.export.heatmap_hdf5 import write_hdf5
from hifive_dask.export.heatmap_text import symmetric_rows, write_npz, write_text
from hifive_dask.heatmap.maps import make_maps
from hifive_dask.heatmap.recipe import Recipe

from .reference_model import store_of
from .worlds import learned_toy
from .worlds import units as make_units

SIM = "golden/sim-small"


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> hd.HiC:
    return learned_toy(tmp_path_factory.mktemp("toy"), 5)


def hdf5_arrays(path: Path) -> dict[str, Any]:
    with h5py.File(path) as file:
        return {name: dataset[...] for name, dataset in file.items()}


def text_table(path: Path) -> tuple[list[str], list[str], Any]:
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    values = np.array([[float(value) for value in row[1:]] for row in rows[1:]])
    return [row[0] for row in rows[1:]], rows[0][1:], values


@pytest.mark.golden
@pytest.mark.parametrize("entry", ["plain", "fend_notrans", "dynamic", "chroms"])
@pytest.mark.parametrize("suffix", [".hch", ".npz"])
def test_files__are_those_of_the_reference(
    tmp_path: Path, shared: Path, compare: ModuleType, entry: str, suffix: str
) -> None:
    state, options = json.loads((shared / SIM / "calls.json").read_text())["files"][entry]
    hic = hd.HiC(shared / SIM / f"hifive/state_{state}.hcp", silent=True)
    path = tmp_path / f"x{suffix}"
    hic.write_heatmap(path, **options)
    found = hdf5_arrays(path) if suffix == ".hch" else dict(np.load(path))
    if suffix == ".npz":
        assert found.pop("resolution") == options["binsize"]
        assert not found.pop("diagonal")
    case = compare.load_case(str(shared / SIM))
    wanted = {k: v for k, v in case.items() if k.startswith(f"heatmap_files/{entry}.")}
    if entry == "chroms":  # a user's order is kept: the map is the transpose of the reference's
        assert found["chromosomes"].tolist() == [b"chrX", b"chr1"]
        for name in [k for k in found if k.startswith("chrX_by_chr1.")]:
            found[name.replace("chrX_by_chr1", "chr1_by_chrX")] = found.pop(name).T
        found["chromosomes"] = found["chromosomes"][::-1]
    for name, values in found.items():
        assert values.dtype.kind == "S" or values.dtype == {
            "counts": np.int32, "positions": np.int32, "expected": np.float32,
            "enrichment": np.float32,
        }[name.rpartition(".")[2]]  # fmt: skip
    results = {f"heatmap_files/{entry}.{name}": values for name, values in found.items()}
    assert set(results) == set(wanted)
    assert compare.compare(wanted, results)


@pytest.mark.golden
def test_file__of_the_reference_is_made_again(tmp_path: Path, shared: Path) -> None:
    """Statement 23 of the specification."""
    hic = hd.HiC(shared / "golden/hifive-tests/test_probbin.hcp", silent=True)
    hic.write_heatmap(tmp_path / "x.hch", 50_000, datatype="fend")
    found, wanted = (
        hdf5_arrays(path) for path in (tmp_path / "x.hch", shared / "golden/hifive-tests/test.hch")
    )
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        assert found[name].dtype == values.dtype
        if values.dtype.kind == "f":
            np.testing.assert_allclose(found[name], values, rtol=1e-5)
        else:
            np.testing.assert_array_equal(found[name], values)


def test_hdf5__has_the_attributes_of_hifive_and_opens(toy: hd.HiC, tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    before = toy.history
    toy.write_heatmap(path, 50_000)
    with h5py.File(path) as file:
        assert dict(file.attrs) | {"history": ""} == {
            "resolution": 50_000, "filetype": "hic_heatmap", "diagonal": False, "history": "",
        }  # fmt: skip
        history = file.attrs["history"]
    assert history.startswith(before)
    assert "HiC.write_heatmap(binsize=50000, includetrans=True" in history
    assert toy.history == before
    tree = hd.open_heatmaps(path)
    assert list(tree.children) == [
        "chr1", "chr1_by_chr2", "chr1_by_chr3", "chr2", "chr2_by_chr3", "chr3",
    ]  # fmt: skip
    for name, regions in (("chr1", ("chr1",)), ("chr2_by_chr3", ("chr2", "chr3"))):
        lazy = toy.heatmap(*regions, binsize=50_000)
        stored = tree[name].to_dataset()
        off = ~np.eye(*lazy["observed"].shape, dtype=bool) | (name == "chr2_by_chr3")
        for variable in ("observed", "expected"):
            np.testing.assert_array_equal(stored[variable].values[off], lazy[variable].values[off])
        np.testing.assert_array_equal(stored["start1"], lazy["start1"])


@pytest.mark.parametrize("diagonal", [False, True])
def test_formats__hold_the_same(toy: hd.HiC, tmp_path: Path, diagonal: bool) -> None:
    options: dict[str, Any] = {"includediagonal": diagonal, "chroms": ["chr2", "chr1"]}
    toy.write_heatmap(tmp_path / "x.hdf5", 50_000, **options)
    toy.write_heatmap(tmp_path / "x.npz", 50_000, **options)
    toy.write_heatmap(tmp_path / "x", 50_000, format="txt", **options)
    hdf5, npz = hdf5_arrays(tmp_path / "x.hdf5"), dict(np.load(tmp_path / "x.npz"))
    assert (int(npz.pop("resolution")), bool(npz.pop("diagonal"))) == (50_000, diagonal)
    assert set(hdf5) == set(npz)
    for name, values in hdf5.items():
        np.testing.assert_array_equal(npz[name], values)
    tree = hd.open_heatmaps(tmp_path / "x.hdf5")
    files = sorted(path.name for path in tmp_path.glob("x.chr*"))
    maps = ("chr1", "chr2", "chr2_by_chr1")
    assert files == sorted(
        f"x.{name}.{kind}" for name in maps for kind in ("observed", "expected", "enrichment")
    )
    for name in maps:
        for kind in ("observed", "expected", "enrichment"):
            rows, columns, values = text_table(tmp_path / f"x.{name}.{kind}")
            wanted = np.nan_to_num(tree[name][kind].values)
            np.testing.assert_array_equal(values.astype(wanted.dtype), wanted)
        first, second = (hdf5[f"{c}.positions"] for c in (name.split("_by_") * 2)[:2])
        assert rows[0] == f"{name.split('_by_')[0]}:{first[0, 0]}-{first[0, 1]}"
        assert (len(rows), len(columns)) == (len(first), len(second))
    assert "." not in (tmp_path / "x.chr1.observed").read_text()


def test_dynamic_bins__are_those_of_the_arrays(toy: hd.HiC, tmp_path: Path) -> None:
    growth: dict[str, Any] = {
        "dynamically_binned": True, "minobservations": 30, "expansion_binsize": 50_000,
        "searchdistance": 400_000, "removefailed": True,
    }  # fmt: skip
    with pytest.warns(HifiveDaskWarning, match="includediagonal: no effect"):
        toy.write_heatmap(tmp_path / "x.hch", 100_000, **growth, includediagonal=True)
    found = hdf5_arrays(tmp_path / "x.hch")
    cis = toy.cis_heatmap("chr1", binsize=100_000, arraytype="upper", **growth)
    trans = toy.trans_heatmap("chr1", "chr2", binsize=100_000, **growth)
    for name, cells in (("chr1", cis), ("chr1_by_chr2", trans)):
        np.testing.assert_array_equal(found[f"{name}.counts"], cells[..., 0])
        np.testing.assert_array_equal(found[f"{name}.expected"], cells[..., 1])


def test_chromosomes__are_sorted_unless_named_and_must_have_units_in_use(
    toy: hd.HiC, tmp_path: Path
) -> None:
    hic = hd.HiC(toy.file, silent=True)
    hic.filter[hic.units.span(1)] = 0
    names = ["chr3", "chr1"]
    for chroms, wanted in ((names, [b"chr3", b"chr1"]), ([], [b"chr1", b"chr3"])):
        hic.write_heatmap(tmp_path / "x.npz", 50_000, datatype="raw", chroms=chroms)
        assert np.load(tmp_path / "x.npz")["chromosomes"].tolist() == wanted
    assert names == ["chr3", "chr1"]
    hic.write_heatmap(tmp_path / "x.npz", 50_000, datatype="raw", chroms=b"chr3")
    assert np.load(tmp_path / "x.npz")["chromosomes"].tolist() == [b"chr3"]
    with pytest.raises(StateError, match="no fend of these chromosomes is in use"):
        hic.write_heatmap(tmp_path / "x.npz", 50_000, datatype="raw", chroms=["chr2"])


def test_maps__of_one_bin_have_no_cells_without_the_diagonal(toy: hd.HiC, tmp_path: Path) -> None:
    toy.write_heatmap(tmp_path / "x.hch", 10**9)
    found = hdf5_arrays(tmp_path / "x.hch")
    assert "chr1.counts" not in found
    assert found["chr1_by_chr2.counts"].shape == (1, 1)
    assert next(iter(hd.open_heatmaps(tmp_path / "x.hch").children)) == "chr1_by_chr2"
    toy.write_heatmap(tmp_path / "x.hch", 10**9, includediagonal=True)
    lazy = toy.heatmap("chr1", binsize=10**9)
    counts = hdf5_arrays(tmp_path / "x.hch")["chr1.counts"]
    assert counts.tolist() == [lazy["observed"].values.item()]


def test_units__are_bins_of_size_0(toy: hd.HiC, tmp_path: Path) -> None:
    toy.write_heatmap(tmp_path / "x.hch", 0, chroms="chr3", datatype="fend")
    tree, lazy = (
        hd.open_heatmaps(tmp_path / "x.hch"),
        toy.heatmap("chr3", binsize=0, datatype="fend"),
    )
    assert tree.attrs["resolution"] == 0
    np.testing.assert_array_equal(tree["chr3"]["observed"], lazy["observed"])
    np.testing.assert_array_equal(tree["chr3"]["expected"], lazy["expected"])
    np.testing.assert_array_equal(tree["chr3"]["stop1"], lazy["stop1"])


def test_expected__holds_possible_pairs(toy: hd.HiC, tmp_path: Path) -> None:
    toy.write_heatmap(tmp_path / "x.hch", 50_000, datatype="expected", chroms="chr1")
    toy.write_heatmap(tmp_path / "y.hch", 50_000, datatype="raw", chroms="chr1")
    found, raw = (hdf5_arrays(tmp_path / name) for name in ("x.hch", "y.hch"))
    np.testing.assert_array_equal(found["chr1.counts"], raw["chr1.expected"])


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("diagonal", [False, True])
def test_symmetric_rows__unfold_a_triangle(size: int, diagonal: bool) -> None:
    full = np.arange(1, size * size + 1).reshape(size, size)
    full = np.triu(full, 1 - diagonal) + np.triu(full, 1).T
    values = full[np.triu_indices(size, 1 - diagonal)]
    if len(values):
        np.testing.assert_array_equal(list(symmetric_rows(values, size, diagonal)), full)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("x.pdf", {}, ParameterError, r"no format of heatmaps has the suffix '\.pdf'.*'npz'"),
        ("x.hch", {"format": "tiff"}, ParameterError, "unknown format 'tiff'; known are: zarr"),
        ("x.hch", {"binsize": [1000, 2000]}, ParameterError, "2 sizes, and a file of the format"),
        ("x.hch", {"binsize": []}, ParameterError, "binsize is an empty list"),
        ("x.hch", {"binsize": -5}, ParameterError, "binsize is -5"),
        ("x.hch", {"chroms": ["chr1", "chr9"]}, ParameterError, "unknown chromosome 'chr9'"),
        ("x.hch", {"chroms": ["chr1", "chr1"]}, ParameterError, "names a chromosome twice"),
        ("x.hch", {"datatype": "best"}, ParameterError, "unknown datatype 'best'"),
        ("x.hch", {"memory_limit": 100}, ParameterError, "largest map takes about"),
        ("no/x.hch", {}, StoreError, "no does not exist; make it first"),
        ("no/x", {"format": "txt"}, StoreError, "no does not exist; make it first"),
    ],
)
def test_bad_calls__are_refused_and_write_nothing(
    toy: hd.HiC, tmp_path: Path, name: str, options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        toy.write_heatmap(tmp_path / name, **{"binsize": 50_000, **options})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "format"), [("x.hch", None), ("x.npz", None), ("x", "txt")])
def test_failure__leaves_what_was_there(
    toy: hd.HiC, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, format: str | None
) -> None:
    toy.write_heatmap(tmp_path / name, 100_000, format=format)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    real = hd.heatmap.maps._Source.map  # type: ignore[attr-defined]

    def fail(source: Any, one: str, two: str) -> Any:
        if two == "chr3":
            raise OSError("no space left")
        return real(source, one, two)

    monkeypatch.setattr("hifive_dask.heatmap.maps._Source.map", fail)
    with pytest.raises(StoreError, match="no space left"):
        toy.write_heatmap(tmp_path / name, 50_000, format=format)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_files_of_another_kind__are_not_replaced(toy: hd.HiC, tmp_path: Path) -> None:
    for name in ("x.hch", "x.npz"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(StoreError, match="write to another file"):
            toy.write_heatmap(tmp_path / name, 50_000)
        assert (tmp_path / name).read_text() == "mine"
    (tmp_path / "x.chr1.observed").mkdir()
    with pytest.raises(StoreError, match="is a directory"):
        toy.write_heatmap(tmp_path / "x", 50_000, format="txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "x.chr1.observed", "x.hch", "x.npz",
    ]  # fmt: skip


def test_names_that_are_paths__are_refused_as_text(tmp_path: Path) -> None:
    from hifive_dask.export.heatmap_text import write_text
    from hifive_dask.heatmap.maps import MapSet

    maps = MapSet(("a/b",), {}, 10, False, "", iter(()))
    with pytest.raises(ParameterError, match="'a/b' cannot be a part of the name of a file"):
        write_text(tmp_path / "x", maps)


def test_files__are_equal_on_every_scheduler(
    toy: hd.HiC, tmp_path: Path, on_every_scheduler: Callable[[Callable[[str], Any]], list[Any]]
) -> None:
    def work(name: str) -> list[bytes]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for suffix in (".hch", ".npz"):
                toy.write_heatmap(tmp_path / f"{name}{suffix}", 50_000)
        return [(tmp_path / f"{name}{suffix}").read_bytes() for suffix in (".hch", ".npz")]

    first, *others = on_every_scheduler(work)
    assert all(other == first for other in others)


def renamed(names: list[str]) -> Recipe:
    """Maps of a small genome whose chromosomes have these names."""
    intervals = {name: [(s, s + 50) for s in range(0, 600, 50)] for name in names}
    genome = make_units(intervals, fends=True)
    rows = np.array([[k, k + 5, 2] for k in range(0, len(genome) - 5, 3)])
    valid = np.ones(len(genome), dtype=np.int32)
    return Recipe(genome, store_of(rows, genome), valid, "raw")


@pytest.mark.parametrize("write", [write_hdf5, write_npz, write_text])
def test_names_that_make_two_maps_alike__are_refused_at_once(tmp_path: Path, write: Any) -> None:
    names = ["a", "b", "a_by_b"]
    with pytest.raises(ParameterError, match="two maps would be called 'a_by_b'"):
        write(tmp_path / "x", make_maps(renamed(names), 200, silent=True))
    write(tmp_path / "x", make_maps(renamed(names), 200, includetrans=False, silent=True))


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a/b", write_hdf5, "'a/b' cannot be the name of a dataset of HDF5"),
        (".", write_hdf5, r"'\.' cannot be the name of a dataset of HDF5"),
    ],
)
def test_names_that_a_format_cannot_hold__are_refused(
    tmp_path: Path, name: str, write: Any, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        write(tmp_path / "x.hch", make_maps(renamed([name, "c"]), 200, silent=True))
    assert not list(tmp_path.iterdir())


def test_cooler__refuses_names_that_are_not_ascii(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="'é' cannot be in a cooler, whose names are ASCII"):
        write_cool(tmp_path / "x.cool", renamed(["é", "c"]), 200, silent=True)
