"""Files of HiFive: what opens is kept, what is written is what HiFive reads; whole projects."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import dask
import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import hifive_dask as hd
from hifive_dask.cli import main
from hifive_dask.errors import LinkError, ParameterError, StoreError
from hifive_dask.export.heatmap_hdf5 import write_heatmaps
from hifive_dask.testing import toy_genome, toy_project, toy_reads

from .hdf5_files import differences, structure

SUFFIXES = (".fends", ".hcd", ".hcp")
KINDS = ["fends", "pairs", "project"]
# What differs by intention between a file of HiFive and its copy, besides links that moved.
LINKS = ("@fendfilename: value", "@datafilename: value")
INDICES = {  # of fends in bins: one entry per bin, not per fend
    *("cis_indices", "trans_indices"),
    *("cis_interaction_distribution: value", "trans_interaction_distribution: value"),
}
OLD_STATS = {"stats: type", "stats: value"}  # S20 and unsorted
EXCEPTIONS = {
    "test.hcd": OLD_STATS,
    "test_bin.hcd": OLD_STATS | INDICES,
    "test_import_bin_raw.hcd": INDICES,
    "test_import_bin_bam.hcd": INDICES,
    "test_import_bin_mat.hcd": INDICES,
    "test_import_matrix.hcd": {"@binned: only in one", "@re: only in one"},  # left out by HiFive
    "test_binning.hcp": {"model_parameters: type"},  # bytes in old files, text in newer ones
    "sim_rebinned.hcd": INDICES | {"trans_data: value"},  # block by block in HiFive
}
FOLDERS = ("golden/hifive-tests", "golden/sim-small/hifive")
FILES = [
    f"golden/hifive-tests/{name}"
    for name in (
        *("test.fends", "test_bin.fends", "test_binned.fends", "test_len.fends"),
        *("test.hcd", "test_bin.hcd", "test_import_raw.hcd", "test_import_bam.hcd"),
        *("test_import_mat.hcd", "test_import_bin_raw.hcd", "test_import_bin_bam.hcd"),
        *("test_import_bin_mat.hcd", "test_import_matrix.hcd", "test.hcp", "test_bin.hcp"),
        *("test_express.hcp", "test_bin_express.hcp", "test_probbin.hcp", "test_probpois.hcp"),
        "test_binning.hcp",
    )
] + [
    f"golden/sim-small/hifive/{name}"
    for name in (
        *("sim.fends", "sim_rebinned.fends", "sim_uniform.fends"),
        *("sim.hcd", "sim_rebinned.hcd", "sim_uniform.hcd"),
        *("sim.hcp", "sim_binned.hcp", "sim_express.hcp", "sim_probability.hcp"),
        *("sim_binning.hcp", "state_binned.hcp", "state_binning-express.hcp", "state_none.hcp"),
        *("state_binning-probability.hcp", "state_binning.hcp", "state_express.hcp"),
        "state_probability.hcp",
    )
]
CLASSES = {".fends": hd.Fend, ".hcd": hd.HiCData, ".hcp": hd.HiC}


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def opened(path: Path) -> Any:
    """A store by the suffix of HiFive in its name."""
    kind = next(cls for suffix, cls in CLASSES.items() if suffix in path.suffixes)
    return kind(path, silent=True)


@pytest.mark.golden
def test_all_files_of_the_reference_are_in_the_list(shared: Path) -> None:
    there = [p for f in FOLDERS for p in (shared / f).iterdir() if p.suffix in SUFFIXES]
    assert {str(path.relative_to(shared)) for path in there} == set(FILES)


@pytest.mark.golden
@pytest.mark.parametrize("name", FILES)
def test_file__saved_elsewhere_is_the_same(tmp_path: Path, shared: Path, name: str) -> None:
    source = shared / name
    ignore = {*LINKS, *EXCEPTIONS.get(source.name, ())}
    first = opened(source)
    first.save(tmp_path / source.name)
    assert differences(source, tmp_path / source.name, ignore=ignore) == []
    zarr = tmp_path / f"{source.name}.zarr"
    first.save(zarr)
    again = opened(zarr)
    again.save(tmp_path / source.name)
    assert differences(source, tmp_path / source.name, ignore=ignore) == []


# An independent reader: the loading rules of the specification, nothing of ours.


def follow(link: str, holder: Path) -> Path:
    """Resolve a link as HiFive does."""
    link = link.removeprefix("./")
    parents = link.count("../")
    head = str(holder.absolute()).split("/")[: -(1 + parents)]
    return Path("/".join(head + link.lstrip("/").split("/")[parents:]))


def hifive_load(path: Path) -> dict[str, Any]:
    """What HiFive's objects hold after loading a file."""
    with h5py.File(path, "r") as file:
        found: dict[str, Any] = {key: np.copy(file[key]) for key in file}
        found |= dict(file.attrs)
    if "fendfilename" in found:
        with h5py.File(follow(found["fendfilename"], path), "r") as fends:
            found["chr2int"] = {name: k for k, name in enumerate(fends["chromosomes"])}
            found["fend_binned"] = fends.attrs.get("binned")
            table = "fends" if found["fend_binned"] is None else "bins"
            found["units"] = fends[table][...]
    if "datafilename" in found:
        found["data"] = hifive_load(follow(found["datafilename"], path))
    return found


def check_hifive_can_use(found: dict[str, Any]) -> None:
    """What HiFive's loops take for granted about a data file."""
    units = len(found["units"])
    chromosome = found["units"]["chr"]
    for name in ("cis", "trans"):
        if f"{name}_data" not in found:
            assert f"{name}_indices" not in found
            continue
        rows, index = found[f"{name}_data"], found[f"{name}_indices"]
        assert (rows.dtype, index.dtype) == (np.int32, np.int64)
        assert len(index) == units + 1
        for unit in range(units):
            assert (rows[index[unit] : index[unit + 1], 0] == unit).all()
        key = rows[:, 0].astype(np.int64) * units + rows[:, 1]
        assert (np.diff(key) > 0).all()
        assert ((chromosome[rows[:, 0]] == chromosome[rows[:, 1]]) == (name == "cis")).all()
    assert isinstance(found["binned"], np.bool_)
    assert isinstance(found["re"], np.bool_)
    assert found["stats"].dtype.names == ("name", "count")


@pytest.mark.golden
@pytest.mark.parametrize("name", FILES)
def test_import_and_export__give_the_files_back(tmp_path: Path, shared: Path, name: str) -> None:
    source = shared / name
    made = hd.import_project(source, tmp_path / "zarr", silent=True)
    assert [store.kind for store in made] == KINDS[: SUFFIXES.index(source.suffix) + 1]
    back = hd.export_project(made[-1].target, tmp_path / "back", silent=True)
    for store in back:
        original = source.parent / store.target.name
        ignore = EXCEPTIONS.get(original.name, set())
        assert differences(original, store.target, ignore=ignore) == []
    for there, here in zip(made, back, strict=True):
        assert there.verified == here.verified  # names the tokens of partition and pairs
    if source.suffix == ".hcp":
        theirs, ours = hifive_load(source), hifive_load(back[-1].target)
        check_hifive_can_use(ours["data"])
        assert follow(ours["fendfilename"], back[-1].target) == back[0].target
        for key in set(theirs) - {"data", "model_parameters"}:
            np.testing.assert_array_equal(ours[key], theirs[key])
    assert sorted(p.name for p in (tmp_path / "back").iterdir()) == sorted(
        store.target.name for store in back
    )


@pytest.mark.golden
def test_rebinned_data__are_read_right(tmp_path: Path, shared: Path, compare: ModuleType) -> None:
    data = hd.HiCData(shared / "golden/sim-small/hifive/sim_rebinned.hcd", silent=True)
    case = compare.load_case(str(shared / "golden/sim-small"))
    names = ("cis_data", "trans_data", "cis_indices", "trans_indices")
    names += ("cis_interaction_distribution", "trans_interaction_distribution")
    data.save(tmp_path / "d.hcd")
    with h5py.File(tmp_path / "d.hcd") as file:
        for name in names:
            expected = case[f"reads/rebinned.{name}"][0]
            np.testing.assert_array_equal(data[name], expected)
            np.testing.assert_array_equal(file[name], expected)


@pytest.mark.golden
def test_project__of_hifive_goes_on(tmp_path: Path, shared: Path) -> None:
    folder = shared / "golden/sim-small/hifive"
    hic = hd.HiC(folder / "state_binning-express.hcp", silent=True)
    assert hic.model_parameters is not None
    assert hic.model_parameters.tolist() == ["gc", "len"]
    assert hic.trans_means is not None
    means = hic.trans_means
    hic.find_trans_means()
    np.testing.assert_allclose(hic.trans_means, means, rtol=1e-5)
    map_of = {d: hic.heatmap("chr1", binsize=100_000, datatype=d) for d in ("fend", "enrichment")}
    assert all(float(each.expected.sum()) > 0 for each in map_of.values())
    binning = structure(folder / "state_binning-express.hcp")["binning_corrections"]
    hic.find_express_fend_corrections()
    assert hic.trans_means is None
    hic.save(tmp_path / "p.hcp")
    kept = structure(tmp_path / "p.hcp")
    assert kept["@normalization"]["value"] == "express"
    np.testing.assert_array_equal(kept["binning_corrections"]["value"], binning["value"])
    again = hd.HiC(tmp_path / "p.hcp", silent=True)
    values = hic.heatmap("chr1", "chr2", binsize=100_000).enrichment.values
    np.testing.assert_array_equal(
        again.heatmap("chr1", "chr2", binsize=100_000).enrichment.values, values
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project in HDF5: ``p.hcp`` two directories below its pairs and its partition."""
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    fend = hd.Fend(tmp_path / "g.fends", "w", silent=True)
    fend.load_fends(toy_genome(tmp_path / "sites.bed"))
    fend.save()
    data = hd.HiCData(tmp_path / "d.hcd", "w", silent=True)
    data.load_data_from_raw(fend.file, toy_reads(tmp_path / "r.raw"), 500)
    data.save()
    hic = hd.HiC(deep / "p.hcp", "w", silent=True)
    hic.load_data(data.file)
    hic.filter_fends(mininteractions=0)
    hic.save()
    return deep / "p.hcp"


def test_links__are_those_of_hifive(project: Path) -> None:
    found = hifive_load(project)
    assert (found["datafilename"], found["fendfilename"]) == ("../../d.hcd", "../../g.fends")
    assert found["data"]["fendfilename"] == "./g.fends"
    assert found["filter"].tolist() == [1] * 10
    check_hifive_can_use(found["data"])


def test_unknown_arrays_and_attributes__are_kept(project: Path, tmp_path: Path) -> None:
    with h5py.File(project, "r+") as file:
        file["mine"] = np.arange(6.0).reshape(2, 3)
        file.create_dataset("names", data=["a", "bc"], dtype=h5py.string_dtype())
        file.attrs["note"] = "by hand"
        file.attrs["seed"] = np.int64(3)
    hd.HiC(project, silent=True).save(tmp_path / "p.zarr")
    hd.HiC(tmp_path / "p.zarr", silent=True).save(project.with_name("q.hcp"))
    assert differences(project, project.with_name("q.hcp")) == []


def test_old_files__open_without_what_came_later(project: Path) -> None:
    with h5py.File(project, "r+") as file:
        for name in ("filetype", "normalization", "fendfilename", "history"):
            del file.attrs[name]
    with h5py.File(project.parents[2] / "d.hcd", "r+") as file:
        for name in ("filetype", "binned", "re", "history", "maxinsert", "raw_filelist"):
            del file.attrs[name]
        del file["stats"], file["insert_distribution"], file["cis_indices"]
    with h5py.File(project.parents[2] / "g.fends", "r+") as file:
        for name in ("filetype", "history", "genome_name", "re_name"):
            del file.attrs[name]
    hic = hd.HiC(project, silent=True)
    assert hic.normalization == "none"
    assert hic.data.stats == {}
    hic.data.save()
    check_hifive_can_use(hifive_load(project.parents[2] / "d.hcd"))
    hic.save()
    assert structure(project)["@filetype"]["value"] == "hic_project"


def test_history__goes_on_after_a_line_that_was_left_open(project: Path) -> None:
    with h5py.File(project, "r+") as file:
        file.attrs["history"] = "HiC.load_data(filename='d.hcd') - "
    hic = hd.HiC(project, silent=True)
    assert hic.history == "HiC.load_data(filename='d.hcd') - "
    hic.reset_filter()
    assert hic.history.splitlines() == [
        "HiC.load_data(filename='d.hcd') - ",
        "HiC.reset_filter() - Success",
    ]


# Whole projects


def test_export__of_a_zarr_project_and_back(tmp_path: Path) -> None:
    path = toy_project(tmp_path)
    hic = hd.HiC(path, silent=True)
    hic.filter_fends(mininteractions=5)
    hic.find_distance_parameters(numbins=20, minsize=2000)
    hic.find_express_fend_corrections()
    hic.save()
    made = hd.export_project(path, tmp_path / "out", silent=True)
    assert [store.target.name for store in made] == ["fends.fends", "pairs.hcd", "project.hcp"]
    check_hifive_can_use(hifive_load(made[-1].target)["data"])
    back = hd.import_project(made[-1].target, tmp_path / "out", silent=True)
    again = hd.HiC(back[-1].target, silent=True)
    assert again.data.token == hic.data.token
    assert again.fends.token == hic.fends.token
    for name in ("filter", "distance_parameters", "chromosome_means", "corrections"):
        np.testing.assert_array_equal(again[name], hic[name])
    assert again.data.file == str(tmp_path / "out" / "pairs.pairs.zarr")
    # Again in place of the first: equal bytes, and nothing beside.
    before = {p.name for p in (tmp_path / "out").iterdir()}
    copy = made[1].target.read_bytes()
    hd.export_project(back[-1].target, tmp_path / "out", silent=True)
    assert made[1].target.read_bytes() == copy
    assert {p.name for p in (tmp_path / "out").iterdir()} == before


def test_pairs_and_partitions__convert_alone(project: Path, tmp_path: Path) -> None:
    made = hd.import_project(tmp_path / "d.hcd", tmp_path / "out", silent=True)
    assert [store.target.name for store in made] == ["g.fends.zarr", "d.pairs.zarr"]
    (alone,) = hd.export_project(made[0].target, tmp_path / "out", silent=True)
    assert differences(alone.target, tmp_path / "g.fends") == []


def test_convert__refuses_and_leaves_nothing(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with pytest.raises(StoreError, match=r"none\.hcp: does not exist; expected a partition"):
        hd.import_project(tmp_path / "none.hcp", out)
    with pytest.raises(StoreError, match=r"sites\.bed: is a file, expected a directory"):
        hd.import_project(project, tmp_path / "sites.bed")
    with monkeypatch.context() as patch:
        patch.setattr(hd.HiCData, "verify", lambda data: data.file)
        with pytest.raises(StoreError, match=r"d\.hcd: its copy has the token"):
            hd.import_project(project, out / "deep", silent=True)
    assert not out.exists()
    out.mkdir()
    with pytest.raises(StoreError, match="would be replaced by its own conversion"):
        hd.export_project(tmp_path / "g.fends", tmp_path)
    (out / "d.pairs.zarr").mkdir()
    (out / "d.pairs.zarr" / "notes").touch()
    with pytest.raises(StoreError, match="would be replaced by 'pairs'"):
        hd.import_project(project, out, silent=True)
    shutil.rmtree(out / "d.pairs.zarr")
    (tmp_path / "d.hcd").rename(tmp_path / "e.hcd")
    with pytest.raises(LinkError, match=r"p\.hcp: points to \.\./\.\./d\.hcd, but .*/d\.hcd does"):
        hd.import_project(project, out)
    assert list(out.iterdir()) == []


def test_command_line__converts_and_says_what_it_verified(project: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    result = runner.invoke(main, ["import", str(project), "-o", str(tmp_path / "new" / "zarr")])
    assert result.exit_code == 0, result.output
    target = tmp_path / "new" / "zarr" / "p.project.zarr"
    assert f"{target} is complete." in result.output
    data = hd.HiCData(tmp_path / "d.hcd", silent=True)
    verified = f"verified against d.hcd: {len(data.store)} pairs and all statistics"
    assert f"{verified}, token {data.token}" in result.output
    result = runner.invoke(main, ["-q", "export", str(target), "-o", str(tmp_path / "back")])
    assert (result.exit_code, result.output) == (0, "")
    assert differences(tmp_path / "d.hcd", tmp_path / "back" / "d.hcd") == []
    (tmp_path / "g.fends").unlink()
    result = runner.invoke(main, ["import", str(project), "-o", str(tmp_path / "new")])
    assert result.exit_code == 1
    assert "g.fends does not exist" in result.output


# Heatmap files

HEATMAPS = [
    "golden/hifive-tests/test.hch",
    "golden/sim-small/hifive/heatmap_plain.hdf5",
    "golden/sim-small/hifive/heatmap_fend_notrans.hdf5",
]


@pytest.mark.golden
@pytest.mark.parametrize("name", HEATMAPS)
def test_heatmaps__written_back_are_the_same(tmp_path: Path, shared: Path, name: str) -> None:
    tree = hd.open_heatmaps(shared / name)
    write_heatmaps(tree, tmp_path / "x.hch", silent=True)
    assert differences(shared / name, tmp_path / "x.hch") == []


@pytest.mark.golden
def test_heatmaps__have_labelled_cells(shared: Path) -> None:
    path = shared / HEATMAPS[0]
    tree = hd.open_heatmaps(path)
    assert list(tree.children) == ["chr1", "chr1_by_chr2", "chr2"]
    assert (tree.attrs["resolution"], tree.attrs["diagonal"]) == (50_000, False)
    cis, trans = tree["chr1"], tree["chr1_by_chr2"]
    assert dask.is_dask_collection(cis["observed"].data)
    with h5py.File(path) as file:
        positions, counts = file["chr2.positions"][...], file["chr1.counts"][...]
        np.testing.assert_array_equal(trans["observed"], file["chr1_by_chr2.counts"])
        np.testing.assert_array_equal(trans["start2"], positions[:, 0])
        np.testing.assert_array_equal(trans["stop2"], positions[:, 1])
        enrichment = file["chr1.enrichment"][...]
    seen = cis["observed"].values
    assert (seen == seen.T).all()
    assert (np.diag(seen) == 0).all()
    assert seen[0, 1] == counts[0]
    assert seen[1, 2] == counts[15]
    ratio, expected = cis["enrichment"].values, cis["expected"].values
    cells = np.triu_indices(16, 1)
    np.testing.assert_array_equal(np.isnan(ratio), expected == 0)
    np.testing.assert_array_equal(np.nan_to_num(ratio[cells]), enrichment)
    chosen = trans["observed"].sel(bin1=slice(positions[0, 0], None))
    assert set(chosen["chromosome1"].values) == {"chr1"}


def heatmap_file(path: Path, *, diagonal: bool = True) -> Path:
    with h5py.File(path, "w") as file:
        file["chromosomes"] = np.array([b"a", b"b_by_c"])
        for name, size in (("a", 2), ("b_by_c", 1)):
            cells = size * (size + (1 if diagonal else -1)) // 2
            file[f"{name}.counts"] = np.arange(1, cells + 1, dtype=np.int32)
            file[f"{name}.expected"] = np.full(cells, 0.5, dtype=np.float32)
            file[f"{name}.enrichment"] = np.arange(1, cells + 1, dtype=np.float32) * 2
            file[f"{name}.positions"] = np.array([[0, 10], [10, 20]], dtype=np.int32)[:size]
        for kind, values in (("counts", np.int32), ("expected", np.float32)):
            file[f"a_by_b_by_c.{kind}"] = np.array([[4], [0]], dtype=values)
        file["a_by_b_by_c.enrichment"] = np.array([[1], [0]], dtype=np.float32)
        file.attrs["filetype"], file.attrs["history"] = "hic_heatmap", ""
        file.attrs["resolution"], file.attrs["diagonal"] = np.int64(10), np.bool_(diagonal)
    return path


@pytest.mark.parametrize("diagonal", [True, False])
def test_heatmaps__with_and_without_diagonal(tmp_path: Path, diagonal: bool) -> None:
    path = heatmap_file(tmp_path / "x.hch", diagonal=diagonal)
    tree = hd.open_heatmaps(path)
    expected = [[1, 2], [2, 3]] if diagonal else [[0, 1], [1, 0]]
    assert tree["a"]["observed"].values.tolist() == expected
    write_heatmaps(tree, tmp_path / "y.hch", silent=True)
    assert differences(path, tmp_path / "y.hch") == []


def test_heatmaps__bad_files_are_refused(project: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds 'hic_project', expected 'hic_heatmap'"):
        hd.open_heatmaps(project)
    with pytest.raises(StoreError, match="no such file"):
        hd.open_heatmaps(tmp_path / "none.hch")
    with pytest.raises(StoreError, match=r"is a directory, expected a heatmap file, or a store"):
        hd.open_heatmaps(tmp_path)
    with h5py.File(tmp_path / "map.mcool", "w") as file:
        file.attrs["format"] = "HDF5::MCOOL"
    with pytest.raises(StoreError, match=r"holds a cooler; make a store of it with import_heat"):
        hd.open_heatmaps(tmp_path / "map.mcool")
    path = heatmap_file(tmp_path / "x.hch")
    tree = hd.open_heatmaps(path)
    with pytest.raises(StoreError, match="holds 'project' and would be replaced by 'heatmap'"):
        write_heatmaps(tree, project)
    maps = tree["a"].to_dataset()
    maps["observed"] = maps["observed"].astype(np.int64) + 2**31
    tree["a"] = type(tree)(maps)
    with pytest.raises(ParameterError, match="2,147,483,651 reads in one bin do not fit"):
        write_heatmaps(tree, path, silent=True)
    assert hd.open_heatmaps(path)["a"]["observed"].values.max() == 3
    with h5py.File(path, "r+") as file:
        file.attrs["diagonal"] = np.bool_(False)
    with pytest.raises(StoreError, match=r"a\.counts has the shape \(3,\), expected \(1,\)"):
        hd.open_heatmaps(path)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("@resolution", "lacks the attribute 'resolution'"),
        ("a.expected", r"a\.expected is missing, expected \(3,\), that of a\.counts"),
        ("a_by_b_by_c.expected", r"a_by_b_by_c\.expected is missing, expected \(2, 1\)"),
        ("a.positions", r"a\.counts has the shape \(3,\), expected \(0,\)"),
    ],
)
def test_heatmaps__that_lack_something_are_refused(tmp_path: Path, key: str, message: str) -> None:
    path = heatmap_file(tmp_path / "x.hch")
    with h5py.File(path, "r+") as file:
        if key.startswith("@"):
            del file.attrs[key[1:]]
        else:
            del file[key]
    with pytest.raises(StoreError, match=message):
        hd.open_heatmaps(path)


def test_heatmaps__of_other_bins_are_refused(tmp_path: Path) -> None:
    path = heatmap_file(tmp_path / "x.hch")
    with h5py.File(path, "r+") as file:
        del file["b_by_c.counts"], file["b_by_c.positions"]
        file["b_by_c.positions"] = np.array([[0, 10], [10, 20]], dtype=np.int32)
    with pytest.raises(StoreError, match=r"has the shape \(2, 1\), expected \(2, 2\), the rows of"):
        hd.open_heatmaps(path)


def resized(path: Path, name: str, values: Any) -> None:
    with h5py.File(path, "r+") as file:
        if name in file:
            del file[name]
        file[name] = values


def test_projects__of_another_partition_or_cut_short_are_refused(
    project: Path, tmp_path: Path
) -> None:
    hic = hd.HiC(project, silent=True)
    hic.corrections = np.ones(9, dtype=np.float32)
    hic.save()
    with pytest.raises(
        LinkError, match=r"p\.hcp: the array 'corrections/none/values' has the shape "
    ):
        hd.HiC(project, silent=True)
    resized(project, "filter", np.ones(12, dtype=np.int32))
    message = (
        r"'filter/valid' has the shape \(12,\), expected \(10,\) as .*d\.hcd and its partition"
    )
    with pytest.raises(LinkError, match=message):
        hd.HiC(project, silent=True)
    with h5py.File(tmp_path / "g.fends") as file:
        records = file["fends"][:-1]
    resized(tmp_path / "g.fends", "fends", records)
    with pytest.raises(StoreError, match=r"g\.fends: fends: .* records are missing, make the part"):
        hd.Fend(tmp_path / "g.fends", silent=True)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("stats", np.arange(3), r"d\.hcd: stats: is int64 \(3,\), expected records of name and"),
        ("insert_distribution", np.ones((5, 3)), r"insert_distribution: is float64 \(5, 3\), exp"),
    ],
)
def test_data__with_other_tables_are_refused(
    project: Path, tmp_path: Path, name: str, values: Any, message: str
) -> None:
    resized(tmp_path / "d.hcd", name, values)
    with pytest.raises(StoreError, match=message):
        hd.HiC(project, silent=True)
