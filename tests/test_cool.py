"""Coolers: their bins as a partition, their pixels as counted pairs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cooler
import dask
import numpy as np
import pandas as pd
import pytest

import hifive_dask as hd
from hifive_dask.errors import InputError, ParameterError
from hifive_dask.genome.cool import bin_size, open_cooler

from .commands import run_in_one_thread as run

LENGTHS = {"chr2": 230, "chr1": 150, "chr3": 40}
PIXELS = [(0, 0, 5), (0, 2, 3), (1, 6, 2), (2, 3, 4), (4, 7, 1), (5, 5, 7)]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def make(
    uri: Path | str,
    binsize: int = 50,
    pixels: Sequence[tuple[int, int, float]] = PIXELS,
    lengths: dict[str, int] | None = None,
    **options: Any,
) -> str:
    """Write a cooler of uniform bins: 5 on chr2, 3 on chr1, 1 on chr3 by default."""
    bins = cooler.util.binnify(pd.Series(lengths or LENGTHS), binsize)
    table = pd.DataFrame(pixels, columns=["bin1_id", "bin2_id", "count"])
    cooler.create_cooler(str(uri), bins, table, **options)
    return str(uri)


def partition(
    directory: Path, source: object, binned: int | None = None, format: str | None = None
) -> hd.Fend:
    fend = hd.Fend(
        directory / f"g{len(list(directory.iterdir()))}.zarr", "w", binned=binned, silent=True
    )
    fend.load_bins(source, format=format)  # type: ignore[arg-type]
    fend.save()
    return fend


def lengths_file(directory: Path, lengths: dict[str, int]) -> Path:
    path = directory / f"x{len(list(directory.iterdir()))}.len"
    path.write_text("".join(f"{name}\t{length}\n" for name, length in lengths.items()))
    return path


def load(directory: Path, fend: hd.Fend, uri: object) -> hd.HiCData:
    data = hd.HiCData(directory / "d.zarr", "w", silent=True)
    data.load_data_from_cool(fend.file, uri)  # type: ignore[arg-type]
    return data


def rows(data: hd.HiCData) -> list[list[int]]:
    return sorted([*data.cis_data.tolist(), *data.trans_data.tolist()])


def test_bins__of_one_size_are_those_of_the_lengths(tmp_path: Path) -> None:
    fend = partition(tmp_path, make(tmp_path / "x.cool"))
    assert fend.token == partition(tmp_path, lengths_file(tmp_path, LENGTHS), 50).token
    assert fend.binned == 50
    assert "Fend.load_bins(filename='x.cool'" in fend.history
    assert rows(load(tmp_path, fend, tmp_path / "x.cool")) == [list(row) for row in PIXELS]


def test_bins__of_arbitrary_size(tmp_path: Path) -> None:
    bins = pd.DataFrame(
        [("b", 0, 10), ("b", 10, 500), ("a", 0, 7)], columns=["chrom", "start", "end"]
    )
    pixels = pd.DataFrame([(0, 1, 2), (1, 2, 3)], columns=["bin1_id", "bin2_id", "count"])
    cooler.create_cooler(str(tmp_path / "x.cool"), bins, pixels)
    fend = partition(tmp_path, tmp_path / "x.cool")
    assert fend.binned == 0
    assert fend.bins[["chr", "start", "stop"]].tolist() == [(0, 0, 10), (0, 10, 500), (1, 0, 7)]
    assert rows(load(tmp_path, fend, tmp_path / "x.cool")) == [[0, 1, 2], [1, 2, 3]]
    with pytest.raises(InputError, match=r"bins of different bp, but binned is 50"):
        partition(tmp_path, tmp_path / "x.cool", 50)


def test_order_of_chromosomes__may_differ(tmp_path: Path) -> None:
    uri = make(tmp_path / "x.cool")
    fend = partition(tmp_path, lengths_file(tmp_path, dict(sorted(LENGTHS.items()))), 50)
    turned = {0: 3, 1: 4, 2: 5, 3: 6, 4: 7, 5: 0, 6: 1, 7: 2, 8: 8}
    expected = [[*sorted((turned[a], turned[b])), n] for a, b, n in PIXELS]
    assert rows(load(tmp_path, fend, uri)) == sorted(expected)


def test_other_bins_and_chromosomes__are_counted_as_lost(tmp_path: Path) -> None:
    uri = make(tmp_path / "x.cool")
    (tmp_path / "x.bed").write_text("chr2\t50\t100\nchr2\t100\t150\nchr2\t0\t50\nchr3\t0\t50\n")
    data = load(tmp_path, partition(tmp_path, tmp_path / "x.bed"), uri)
    assert rows(data) == [[0, 0, 5], [0, 2, 3]]
    stats = {name: n for name, n in data.stats.items() if n}
    assert stats == {
        "total_reads": 22, "chr_not_in_fends": 10, "out_of_bounds": 4, "valid_cis_reads": 8,
        "valid_cis_pairs": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lengths", "binned", "message"),
    [
        (LENGTHS, 25, r"has the bin chr2:0-25, the cooler there chr2:0-50; its bins are of 50 bp"),
        (LENGTHS, 100, r"has the bin chr2:0-100, the cooler there chr2:0-50"),
        ({**LENGTHS, "chr1": 160}, 50, r"has the bin chr1:150-200, the cooler there chr1:100-150"),
        ({**LENGTHS, "chr9": 50}, 50, r"has no chromosome chr9; it has chr2, chr1, chr3\s+use the"),
    ],
)
def test_wrong_bins__first_one_is_named(
    tmp_path: Path, lengths: dict[str, int], binned: int, message: str
) -> None:
    uri = make(tmp_path / "x.cool")
    fend = partition(tmp_path, lengths_file(tmp_path, lengths), binned)
    with pytest.raises(InputError, match=message):
        load(tmp_path, fend, uri)
    assert not (tmp_path / "d.zarr").exists()


def test_file_of_resolutions__the_one_that_fits_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "x.mcool"
    make(f"{path}::/resolutions/50")
    make(f"{path}::/resolutions/100", 100, [(0, 0, 9)], mode="a")
    fend = partition(tmp_path, path, 100)
    assert fend.binned == 100
    assert rows(load(tmp_path, fend, path)) == [[0, 0, 9]]
    named = f"{path}::/resolutions/50"
    assert rows(load(tmp_path, partition(tmp_path, named), named)) == [list(row) for row in PIXELS]
    with pytest.raises(InputError, match=r"chr2:0-100, the cooler there chr2:0-50"):
        load(tmp_path, fend, named)
    with pytest.raises(
        InputError, match=r"none of its coolers fit the bins .*/resolutions/50, /resolutions/100"
    ):
        load(tmp_path, partition(tmp_path, lengths_file(tmp_path, LENGTHS), 25), path)
    with pytest.raises(InputError, match=r"2 of its coolers fit this call; .*\s+name one: .*::/r"):
        partition(tmp_path, path)
    with pytest.raises(InputError, match=r"none of its coolers fit binned=7"):
        partition(tmp_path, path, 7)
    with pytest.raises(InputError, match=r"holds no cooler at /resolutions/7"):
        partition(tmp_path, f"{path}::/resolutions/7")


def test_cells__are_named_by_their_group(tmp_path: Path) -> None:
    path = tmp_path / "x.scool"
    bins = cooler.util.binnify(pd.Series(LENGTHS), 50)
    cells = {
        name: pd.DataFrame([(0, 1, n)], columns=["bin1_id", "bin2_id", "count"])
        for name, n in (("one", 1), ("two", 2))
    }
    cooler.create_scool(str(path), bins, cells)
    fend = partition(tmp_path, f"{path}::/cells/one")
    assert rows(load(tmp_path, fend, f"{path}::/cells/two")) == [[0, 1, 2]]
    with pytest.raises(InputError, match=r"2 of its coolers fit .* /cells/one, /cells/two"):
        load(tmp_path, fend, path)


@pytest.mark.parametrize(
    ("pixels", "options", "message"),
    [
        (
            [(0, 1, 0.5)],
            {"dtypes": {"count": float}},
            r"bins 0 and 1 holds 0\.5, .*\s+take observed",
        ),
        ([(0, 1, np.nan)], {"dtypes": {"count": float}}, r"bins 0 and 1 holds nan"),
        ([(0, 1, -3)], {}, r"holds -3, expected a whole number from 0 to 2147483647"),
        (
            [(1, 0, 3)],
            {"symmetric_upper": False, "triucheck": False},
            "as 'square', expected 'symmetric-upper'",
        ),
        ([], {}, "holds no pixels"),
        ([(0, 1, 0)], {}, "holds no reads"),
    ],
)
def test_unusable_pixels__are_an_error(
    tmp_path: Path, pixels: Any, options: dict[str, Any], message: str
) -> None:
    uri = make(tmp_path / "x.cool", pixels=pixels, **options)
    with pytest.raises(InputError, match=message):
        load(tmp_path, partition(tmp_path, uri), uri)


def test_unusable_files__are_errors(tmp_path: Path) -> None:
    fend = partition(tmp_path, make(tmp_path / "x.cool"))
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path, fend, tmp_path / "y.cool")
    (tmp_path / "y.cool").write_text("text")
    with pytest.raises(InputError, match=r"y\.cool"):
        load(tmp_path, fend, tmp_path / "y.cool")
    with pytest.raises(InputError, match=r"y\.cool"):
        load(tmp_path, fend, f"{tmp_path}/y.cool::/resolutions/1")
    fend = hd.Fend(tmp_path / "f.zarr", "w", silent=True)
    (tmp_path / "s.bed").write_text("a\t100\t106\na\t300\t306\n")
    fend.load_fends(tmp_path / "s.bed")
    fend.save()
    with pytest.raises(ParameterError, match="the partition has no bins, which coolers are"):
        load(tmp_path, fend, tmp_path / "x.cool")


def without(uri: str, **attributes: Any) -> str:
    """Change attributes of a cooler; None deletes one."""
    with cooler.Cooler(uri).open("r+") as group:
        for name, value in attributes.items():
            del group.attrs[name.replace("_", "-")]
            if value is not None:
                group.attrs[name.replace("_", "-")] = value
    return uri


@pytest.mark.parametrize(
    "attributes",
    [
        {"nnz": None},
        {"nbins": None},
        {"bin_size": None, "bin_type": None},
        {"bin_size": "None"},
        {"bin_size": "null", "bin_type": "variable"},
        {"bin_size": 70},
        {"nnz": None, "nbins": None, "nchroms": None, "bin_size": None},
    ],
)
def test_attributes__that_lack_or_are_wrong_do_no_harm(
    tmp_path: Path, attributes: dict[str, Any]
) -> None:
    uri = without(make(tmp_path / "x.cool"), **attributes)
    fend = partition(tmp_path, uri)
    assert fend.binned == 50
    assert rows(load(tmp_path, fend, uri)) == [list(row) for row in PIXELS]
    hd.import_heatmaps(uri, tmp_path / "maps.zarr", silent=True)
    assert list(hd.open_heatmaps(tmp_path / "maps.zarr").children) == ["r50"]
    (held,) = json.loads(run("info", uri, "--json").stdout)["coolers"]
    assert (held["binsize"], held["bins"], held["cells"]) == (50, 9, 6)


@pytest.mark.parametrize(
    ("bins", "size"),
    [
        ([("a", 0, 50), ("a", 50, 80), ("b", 0, 20)], 50),
        ([("a", 0, 50), ("a", 100, 150), ("a", 200, 230)], 50),
        ([("a", 0, 40), ("b", 0, 70)], 70),
        ([("a", 0, 50), ("a", 50, 90), ("a", 90, 120)], 0),
        ([("a", 0, 50), ("a", 50, 110)], 0),
        ([("a", 10, 60), ("a", 60, 110)], 0),
        ([("a", 0, 50), ("a", 50, 100), ("b", 0, 60)], 0),
        ([("a", 50, 100), ("a", 0, 50)], 0),
    ],
)
def test_size_of_bins__is_that_of_all_but_the_last_ones(
    tmp_path: Path, bins: list[tuple[str, int, int]], size: int
) -> None:
    table = pd.DataFrame(bins, columns=["chrom", "start", "end"])
    pixels = pd.DataFrame([(0, 0, 1)], columns=["bin1_id", "bin2_id", "count"])
    cooler.create_cooler(str(tmp_path / "x.cool"), table, pixels)
    assert bin_size(open_cooler(str(tmp_path / "x.cool"))) == size


def test_resolutions__of_one_bin_per_chromosome_have_the_size_of_their_name(
    tmp_path: Path,
) -> None:
    fine, many = make(tmp_path / "x.cool"), tmp_path / "x.mcool"
    cooler.zoomify_cooler(fine, str(many), [50, 500, 1000], 100)
    assert cooler.Cooler(f"{many}::/resolutions/500").info["bin-type"] == "variable"
    hd.import_heatmaps(many, tmp_path / "maps.zarr", silent=True)
    tree = hd.open_heatmaps(tmp_path / "maps.zarr")
    assert sorted(tree.children) == ["r1000", "r50", "r500"]
    np.testing.assert_array_equal(tree["r500"]["observed"], [[12, 3, 0], [3, 7, 0], [0, 0, 0]])
    fend = partition(tmp_path, many, 500)
    pairs = rows(load(tmp_path, fend, f"{many}::/resolutions/500"))
    assert pairs == [[0, 0, 12], [0, 1, 3], [1, 1, 7]]


def test_other_levels__are_imported_beside_one_of_different_bins(tmp_path: Path) -> None:
    many = tmp_path / "x.mcool"
    make(f"{many}::/resolutions/50")
    bins = pd.DataFrame([("a", 0, 10), ("a", 10, 500)], columns=["chrom", "start", "end"])
    pixels = pd.DataFrame([(0, 1, 2)], columns=["bin1_id", "bin2_id", "count"])
    cooler.create_cooler(f"{many}::/sites", bins, pixels, mode="a")
    with pytest.raises(InputError, match=r"sites: has bins of different sizes.*\s+choose others"):
        hd.import_heatmaps(many, tmp_path / "maps.zarr", silent=True)
    hd.import_heatmaps(many, tmp_path / "maps.zarr", binsizes=[50], silent=True)
    with pytest.raises(ParameterError, match=r"has no bins of 70 bp; it has 50$"):
        hd.import_heatmaps(many, tmp_path / "maps.zarr", binsizes=[70], silent=True)


def test_cells__are_imported_by_their_group(tmp_path: Path) -> None:
    path, out = tmp_path / "x.scool", tmp_path / "maps.zarr"
    bins = cooler.util.binnify(pd.Series(LENGTHS), 50)
    table = pd.DataFrame(PIXELS, columns=["bin1_id", "bin2_id", "count"])
    cooler.create_scool(str(path), bins, {"one": table, "two": table.assign(count=1)})
    assert "bins of 50 bp" in run("import", f"{path}::/cells/one", "-o", out).stdout
    assert int(hd.open_heatmaps(out)["r50"]["observed"][0, 0]) == 5
    message = run("import", path, "-o", out, code=1).stderr
    assert "a second cooler of 50 bp" in message
    assert "name the one: FILE::GROUP" in message
    held = json.loads(run("info", path, "--json").stdout)["coolers"]
    assert [each["address"].partition("::")[2] for each in held] == ["/cells/one", "/cells/two"]


def test_coolers__of_another_name_are_known_by_what_they_say(tmp_path: Path) -> None:
    path = Path(make(tmp_path / "x.cool")).rename(tmp_path / "x.h5")
    fend = partition(tmp_path, path)
    assert fend.binned == 50
    run("pairs", fend.file, path, "-o", tmp_path / "p.zarr")
    assert rows(hd.HiCData(tmp_path / "p.zarr")) == [list(row) for row in PIXELS]
    assert "bins of 50 bp" in run("import", path, "-o", tmp_path / "maps.zarr").stdout
    assert json.loads(run("info", path, "--json").stdout)["coolers"][0]["cells"] == 6
    many = tmp_path / "many.hdf5"
    cooler.zoomify_cooler(str(path), str(many), [50, 100], 100)
    assert "bins of 50, 100 bp" in run("import", many, "-o", tmp_path / "maps.zarr").stdout


def test_pixels__that_are_stored_twice_are_added_up(tmp_path: Path) -> None:
    pixels = [(0, 0, 4), (0, 0, 1), (0, 6, 2), (0, 6, 5), (2, 3, 3)]
    uri = make(tmp_path / "x.cool", pixels=pixels, dupcheck=False)
    assert rows(load(tmp_path, partition(tmp_path, uri), uri)) == [[0, 0, 5], [0, 6, 7], [2, 3, 3]]
    hd.import_heatmaps(uri, tmp_path / "maps.zarr", silent=True)
    observed = hd.open_heatmaps(tmp_path / "maps.zarr")["r50"]["observed"]
    np.testing.assert_array_equal(observed, cooler.Cooler(uri).matrix(balance=False)[:])
    assert observed.values[[0, 0, 6, 3], [0, 6, 0, 2]].tolist() == [5, 7, 7, 3]


def test_pixels__below_the_diagonal_are_refused_by_import(tmp_path: Path) -> None:
    uri = make(tmp_path / "x.cool", pixels=[(0, 0, 4), (3, 2, 1)], triucheck=False)
    with pytest.raises(InputError, match="a pixel below the diagonal, of the bins 3 and 2"):
        hd.import_heatmaps(uri, tmp_path / "maps.zarr", silent=True)


def test_missing_package__is_named(tmp_path: Path) -> None:
    (tmp_path / "x.cool").write_text("")
    program = (
        "import sys, hifive_dask as hd; sys.modules['cooler'] = None\n"
        "hd.Fend(sys.argv[1] + '/g.zarr', 'w').load_bins(sys.argv[1] + '/x.cool')"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True
    )
    assert "StateError: coolers need the package cooler" in result.stderr
    assert "pip install 'hifive-dask[cool]'" in result.stderr


# Real data


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "binned"),
    [
        ("fly_dm6_4DNFIZ1ZVXC8/cooler_test_file.mcool", 1_000_000),
        ("mouse_mm9_CN/CN.mm9.10000kb.cool", None),
        ("haloferax_mcool/Haloferax.mcool", 10_000),
        ("human_gm12878_2500kb/GSE63525_GM12878_insitu_primary_2_5mb.cool", None),
        ("yeast_SRR22130071_pairs/yeast_SRR22130071.sacCer3.cooler.mcool", 25_000),
    ],
)
def test_real_coolers__equal_their_matrix(
    tmp_path: Path, shared: Path, name: str, binned: int | None
) -> None:
    path = shared / "data" / name
    fend = partition(tmp_path, path, binned)
    data = load(tmp_path, fend, path)
    theirs = cooler.Cooler(f"{path}::/resolutions/{binned}" if binned else str(path))
    matrix = theirs.matrix(balance=False)
    assert data.stats["total_reads"] == int(theirs.pixels()["count"][:].sum())
    assert len(data.store) == theirs.info["nnz"]
    assert fend.chromosomes.tolist() == list(theirs.chromnames)
    rng = np.random.default_rng(0)
    for _ in range(6):
        one, two = (fend.chromosomes[k] for k in sorted(rng.integers(0, len(fend.chromosomes), 2)))
        block = data.block(one, two)
        spans = [fend.units.span(fend.chr2int[c]) for c in (one, two)]
        dense = np.zeros([span.stop - span.start for span in spans], dtype=np.int64)
        first, second, count = dask.compute(*block)
        dense[first - spans[0].start, second - spans[1].start] = count
        if one == two:
            dense = np.triu(dense) + np.triu(dense, 1).T
        np.testing.assert_array_equal(dense, matrix.fetch(one, two))


@pytest.mark.golden
def test_real_reads__counted_in_bins_equal_the_cooler(tmp_path: Path, shared: Path) -> None:
    folder = shared / "data/human_gm12878_4dn"
    uri = folder / "hg19.GM12878-MboI.matrix.2000kb.cool"
    fend = partition(tmp_path, uri)
    counted = load(tmp_path, fend, uri)
    reads = hd.HiCData(tmp_path / "reads.zarr", "w", silent=True)
    pairs = folder / "hg19.GM12878-MboI.pairs.subsample.sorted.txt.gz"
    reads.load_data_from_raw(fend.file, pairs, None, dedup="none")
    assert reads.stats["valid_cis_reads"] + reads.stats["valid_trans_reads"] == 100_000
    np.testing.assert_array_equal(reads.cis_data, counted.cis_data)
    np.testing.assert_array_equal(reads.trans_data, counted.trans_data)


@pytest.mark.golden
def test_real_pairs__with_fragment_columns_load(tmp_path: Path, shared: Path) -> None:
    folder = shared / "data/human_gm12878_4dn"
    fend = partition(tmp_path, folder / "hg19.GM12878-MboI.matrix.2000kb.cool")
    data = hd.HiCData(tmp_path / "d.zarr", "w", silent=True)
    data.load_data_from_pairs(fend.file, folder / "outlala.ff.pairs.gz", None)
    assert data.stats["total_reads"] == 60_106
    assert data.stats["valid_cis_reads"] + data.stats["valid_trans_reads"] == 59_260
