"""Class HiC: the documented interface, files, state, reference results from reads to heatmaps."""

from __future__ import annotations

import inspect
import json
import shutil
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import dask
import h5py
import numpy as np
import pytest

import hifive_dask as hd
from hifive_dask.errors import (
    ConvergenceError,
    ConvergenceWarning,
    HifiveDaskWarning,
    LevelWarning,
    LinkError,
    ParameterError,
    StateError,
    StoreError,
)

from .worlds import files_of

CLASSES = ("Fend", "HiC", "HiCData")


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    """A directory with partition and pairs of the simulated reference experiment."""
    directory = tmp_path_factory.mktemp("sim")
    inputs = shared / "golden/sim-small/inputs"
    fend = hd.Fend(directory / "fends.zarr", "w", silent=True)
    fend.load_fends(inputs / "sites.bed")
    fend.save()
    data = hd.HiCData(directory / "pairs.zarr", "w", silent=True)
    with dask.config.set(scheduler="sync"):
        data.load_data_from_raw(fend.file, [inputs / "reads_a.raw", inputs / "reads_b.raw"], 500)
    return directory


@pytest.fixture
def project(sim: Path) -> hd.HiC:
    hic = hd.HiC(sim / "project.zarr", "w", silent=True)
    hic.load_data(sim / "pairs.zarr")
    return hic


def learned(hic: hd.HiC) -> hd.HiC:
    hic.filter_fends(mininteractions=10)
    hic.find_distance_parameters(numbins=30, minsize=2000)
    hic.find_express_fend_corrections()
    return hic


@pytest.mark.parametrize("name", CLASSES)
def test_documented_signatures__are_kept(shared: Path, name: str) -> None:
    documented = json.loads((shared / "spec/documented-api.json").read_text())[name]
    for method, arguments in documented.items():
        signature = inspect.signature(getattr(getattr(hd, name), method))
        positional = [
            parameter
            for parameter in list(signature.parameters.values())[1:]
            if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        ]
        optional = [p for p in positional[len(arguments) :] if p.default is inspect.Parameter.empty]
        assert not optional
        for parameter, (expected, *default) in zip(positional, arguments, strict=False):
            assert parameter.name == expected
            given = parameter.default
            given = list(given) if isinstance(given, tuple) else given
            if default:
                assert given == default[0] or (default[0] == [] and not given), (method, expected)
            else:
                assert given is inspect.Parameter.empty


def test_documented_attributes__exist(project: hd.HiC) -> None:
    for name in (
        "file", "silent", "history", "normalization", "comm", "rank", "num_procs",
        "datafilename", "fendfilename", "fends", "data", "chr2int", "filter",
        "distance_parameters", "bin_distance_parameters", "chromosome_means", "corrections",
    ):  # fmt: skip
        assert hasattr(project, name)
    assert (project.comm, project.rank, project.num_procs) == (None, 0, 1)
    assert project.chr2int == {"chr1": 0, "chr2": 1, "chrX": 2}
    assert project["filter"].sum() == len(project.filter)
    project["note"] = 5
    assert project["note"] == 5
    assert project.datafilename == "./pairs.zarr"
    assert project.fendfilename == "./fends.zarr"


@pytest.mark.parametrize("suffix", [".zarr", ".hcp", ".h5"])
def test_project__survives_saving(project: hd.HiC, suffix: str) -> None:
    learned(project)
    path = Path(project.file).with_name("saved" + suffix)
    project.save(path)
    again = hd.HiC(path, silent=True)
    for name in (
        "filter", "distance_parameters", "bin_distance_parameters", "chromosome_means",
        "corrections",
    ):  # fmt: skip
        np.testing.assert_array_equal(again[name], project[name])
        assert again[name].dtype == project[name].dtype
    assert again.normalization == "express"
    assert again.history == project.history
    assert again.options == project.options
    if suffix == ".zarr":
        np.testing.assert_array_equal(again.trace, project.trace)
        np.testing.assert_array_equal(
            again.distance_sums["possible"], project.distance_sums["possible"]
        )
    image = again.heatmap("chr2:100k-400k", binsize=50_000)
    np.testing.assert_array_equal(
        image["expected"], project.heatmap("chr2:100k-400k", binsize=50_000)["expected"]
    )


@pytest.mark.parametrize("method", ["express", "binning", "probability"])
def test_project__has_the_same_bytes_on_every_scheduler(
    sim: Path, monkeypatch: pytest.MonkeyPatch, on_every_scheduler: Any, method: str
) -> None:
    # Where the work is divided is settled in this process, so workers need not know of it.
    monkeypatch.setattr("hifive_dask.model.rows.SPAN", 2000)
    monkeypatch.setattr("hifive_dask.model.probability.SPREAD", 10)
    learn = {
        "express": lambda hic: hic.find_express_fend_corrections(),
        "binning": lambda hic: hic.find_binning_fend_corrections(
            num_bins=(5, 10), parameters=("even", "even-const"), model=("len", "distance")
        ),
        "probability": lambda hic: hic.find_probability_fend_corrections(
            model="poisson", max_iterations=3, on_nonconvergence="ignore"
        ),
    }[method]

    def store(scheduler: str) -> dict[str, bytes]:
        hic = hd.HiC(sim / f"{method}-{scheduler}.zarr", "w", silent=True)
        hic.load_data(sim / "pairs.zarr")
        hic.filter_fends(mininteractions=10)
        hic.find_distance_parameters(numbins=30, minsize=2000)
        learn(hic)
        hic.save()
        return files_of(Path(hic.file))

    one, threads, processes = on_every_scheduler(store)
    assert one == threads == processes


def test_history__has_one_line_per_call(project: hd.HiC) -> None:
    learned(project).reset_filter()
    lines = project.history.splitlines()
    assert [line.split("(")[0] for line in lines] == [
        "Fend.load_fends", "HiCData.load_data_from_raw", "HiC.load_data", "HiC.filter_fends",
        "HiC.find_distance_parameters", "HiC.find_express_fend_corrections", "HiC.reset_filter",
    ]  # fmt: skip
    assert all(line.endswith(" - Success") for line in lines)
    assert project.filter.all()
    record = project.records.last("HiC.find_express_fend_corrections")
    assert record is not None
    assert record["results"]["converged"] is True


@pytest.mark.golden
def test_golden_sim_small__binning_then_express(
    tmp_path: Path, shared: Path, compare: ModuleType
) -> None:
    folder = shared / "golden/sim-small/hifive"
    for file in ("sim.fends", "sim.hcd", "state_binning.hcp"):
        shutil.copy(folder / file, tmp_path / file)
    hic = hd.HiC(tmp_path / "state_binning.hcp", silent=True)
    hic.find_express_fend_corrections(precorrect=True)
    assert hic.normalization == "binning-express"
    results = {
        "chained/binning-express.corrections": hic.corrections,
        "chained/binning-express.chromosome_means": hic.chromosome_means,
        "chained/binning-express.trace": hic.trace,
    }
    case = compare.load_case(str(shared / "golden/sim-small"))
    assert compare.compare(case, results, only="chained/binning-express.")
    hic.save(tmp_path / "again.zarr")
    again = hd.HiC(tmp_path / "again.zarr", silent=True)
    assert again.normalization == "binning-express"
    np.testing.assert_array_equal(again.corrections, hic.corrections)
    np.testing.assert_array_equal(again.binning_corrections, hic.binning_corrections)
    hic.find_express_fend_corrections()
    assert hic.normalization == "express"


def test_failed_calls__change_nothing(project: hd.HiC) -> None:
    learned(project)
    before = {name: np.copy(project[name]) for name in ("filter", "corrections", "trace")}
    history = project.history
    failing: list[tuple[type[Exception], str, Any]] = [
        (ParameterError, "usereads is 'both'", lambda: project.filter_fends(usereads="both")),
        (ParameterError, "must not be negative", lambda: project.filter_fends(mindistance=-1)),
        (ParameterError, "numbins is 2", lambda: project.find_distance_parameters(numbins=2)),
        (ParameterError, "unknown chromosome 'chr7'", lambda: _express(project, chroms="chr7")),
        (ParameterError, "exclude each", lambda: _express(project, kr=True, accelerate=True)),
        (StateError, "needs a binning model", lambda: _express(project, precorrect=True)),
        (ParameterError, "minchange is 0", lambda: _express(project, minchange=0)),
        (
            ConvergenceError,
            "not converged after 1 iterations",
            lambda: _express(
                project, iterations=1, max_iterations=1, minchange=1e-9,
                remove_distance=False, on_nonconvergence="error",
            ),
        ),
        (StoreError, "no such store", lambda: project.load_data("nothing.zarr")),
        (StoreError, "does not exist; make it first", lambda: project.save("no/where/x.zarr")),
    ]  # fmt: skip
    for error, message, call in failing:
        with pytest.raises(error, match=message):
            call()
    for name, values in before.items():
        np.testing.assert_array_equal(project[name], values)
    assert project.history == history


def _express(project: hd.HiC, **options: Any) -> None:
    project.find_express_fend_corrections(**options)


def test_missing_steps__are_named(sim: Path, project: hd.HiC) -> None:
    empty = hd.HiC(sim / "empty.zarr", "w")
    assert "empty" in repr(empty)
    with pytest.raises(StateError, match="call load_data first"):
        empty.filter_fends()
    with pytest.raises(StateError, match="call load_data first"):
        empty.save()
    with pytest.raises(StateError, match="call find_distance_parameters first"):
        project.find_express_fend_corrections()
    with pytest.raises(StateError, match="call find_express_fend_corrections first"):
        project.find_distance_parameters(corrected=True)
    with pytest.raises(StateError, match="call find_express_fend_corrections first"):
        project.heatmap("chr1", binsize=10_000)
    with pytest.raises(ParameterError, match="mode is 'x'"):
        hd.HiC(sim / "p.zarr", "x")
    with pytest.raises(StoreError, match="no such project"):
        hd.HiC(sim / "nothing.zarr")


def test_warnings__tell_of_non_convergence_and_empty_filters(project: hd.HiC) -> None:
    project.filter_fends(mininteractions=10)
    with pytest.warns(ConvergenceWarning, match="not converged after 3 iterations"):
        project.find_express_fend_corrections(
            iterations=1, max_iterations=3, remove_distance=False, minchange=1e-9
        )
    assert project.trace is not None
    assert len(project.trace) == 3
    with pytest.warns(HifiveDaskWarning, match=r"no fend is left: .* give a lower number"):
        project.filter_fends(mininteractions=100_000)


def test_changed_pairs__are_noticed(sim: Path, project: hd.HiC, tmp_path: Path) -> None:
    for name in ("fends.zarr", "pairs.zarr"):
        shutil.copytree(sim / name, tmp_path / name)
    hic = hd.HiC(tmp_path / "p.zarr", "w", silent=True)
    hic.load_data(tmp_path / "pairs.zarr")
    hic.save()
    (tmp_path / "few.raw").write_text("chr1\t100001\t+\tchr2\t300001\t+\n" * 2)
    data = hd.HiCData(tmp_path / "pairs.zarr", "w", silent=True)
    data.load_data_from_raw(tmp_path / "fends.zarr", tmp_path / "few.raw", None)
    with pytest.raises(LinkError, match=r"another version of .*pairs\.zarr"):
        hd.HiC(tmp_path / "p.zarr")


def test_second_express__stops_early_and_changes_little(project: hd.HiC) -> None:
    learned(project)
    means = np.copy(project.chromosome_means)
    project.find_express_fend_corrections(iterations=1)
    assert project.trace is not None
    assert len(project.trace) < 5
    np.testing.assert_allclose(project.chromosome_means, means, atol=1e-3)


@pytest.mark.golden
@pytest.mark.parametrize("name", ["test", "test_bin", "test_express", "test_bin_express"])
def test_golden_hifive__projects_open_and_are_written_back(
    tmp_path: Path, shared: Path, name: str
) -> None:
    folder = shared / "golden/hifive-tests"
    base = "test_bin" if "bin" in name else "test"
    for file in (f"{base}.fends", f"{base}.hcd", f"{name}.hcp"):
        shutil.copy(folder / file, tmp_path / file)
    hic = hd.HiC(tmp_path / f"{name}.hcp")
    hic.save(tmp_path / "again.hcp")
    with h5py.File(folder / f"{name}.hcp") as theirs, h5py.File(tmp_path / "again.hcp") as ours:
        assert set(theirs) == set(ours)
        for key in theirs:
            np.testing.assert_array_equal(ours[key][...], theirs[key][...])
            assert ours[key].dtype == theirs[key].dtype
        assert set(theirs.attrs) - {"binned"} <= set(ours.attrs)
        assert ours.attrs["datafilename"] == theirs.attrs["datafilename"]


@pytest.mark.golden
@pytest.mark.parametrize(
    ("method", "kind"),
    [
        *(("express", k) for k in ("cis", "cis_raw", "cis_nodiagonal", "all", "all_raw", "trans")),
        *(("kr", k) for k in ("cis", "cis_nodiagonal", "all_raw")),
    ],
)
def test_golden_sim_small__binned(
    tmp_path: Path, shared: Path, compare: ModuleType, method: str, kind: str
) -> None:
    folder = shared / "golden/sim-small"
    calls = json.loads((folder / "calls.json").read_text())
    case = compare.load_case(str(folder))
    fend = hd.Fend(tmp_path / "f.zarr", "w", binned=calls["rebinned"], silent=True)
    fend.load_fends(folder / "inputs/sites.bed")
    fend.save()
    data = hd.HiCData(tmp_path / "d.zarr", "w", silent=True)
    reads = [folder / "inputs/reads_a.raw", folder / "inputs/reads_b.raw"]
    data.load_data_from_raw(fend.file, reads, calls["maxinsert"])
    hic = hd.HiC(tmp_path / "p.zarr", "w", silent=True)
    hic.load_data(data.file)
    hic.filter_fends(**calls["binned_filter"])
    hic.find_distance_parameters(**calls["binned_distance"])
    results = {
        "binned/filter": hic.filter,
        "binned/distance.distance_parameters": hic.distance_parameters,
        "binned/distance.bin_distance_parameters": hic.bin_distance_parameters,
    }
    hic.find_express_fend_corrections(**calls[f"binned_{method}"][kind], kr=method == "kr")
    results |= {
        f"binned/{method}_{kind}.corrections": hic.corrections,
        f"binned/{method}_{kind}.chromosome_means": hic.chromosome_means,
        f"binned/{method}_{kind}.trace": hic.trace,
    }
    results = {name: values for name, values in results.items() if name in case}
    assert f"binned/{method}_{kind}.corrections" in results
    assert compare.compare(case, results, only="binned/")


@pytest.mark.golden
def test_golden_yeast__from_reads_to_heatmaps(
    tmp_path: Path, shared: Path, compare: ModuleType
) -> None:
    fend = hd.Fend(tmp_path / "f.zarr", "w", silent=True)
    fend.load_fends(shared / "data/genome_sacCer3/sacCer3.DpnII_HinfI.cuts.bed")
    fend.save()
    name = "yeast_SRR22130071"
    data = hd.HiCData(tmp_path / "d.zarr", "w", silent=True)
    pairs = shared / f"data/{name}_pairs/{name}.sacCer3.pairs.gz"
    data.load_data_from_pairs(fend.file, pairs, 500)
    hic = hd.HiC(tmp_path / "p.zarr", "w", silent=True)
    hic.load_data(data.file)
    hic.filter_fends(mininteractions=6)
    hic.find_distance_parameters(numbins=40, minsize=1000)
    off = r"are 0\.18 on chrIV \(17 of 17 chromosomes with 1,000 reads or more are off"
    with pytest.warns(LevelWarning, match=off):
        hic.find_express_fend_corrections()
    assert hic.converged
    results = {
        "filter/filter": hic.filter,
        "distance/distance_parameters": hic.distance_parameters,
        "distance/bin_distance_parameters": hic.bin_distance_parameters,
        **{f"distance/{key}": values for key, values in hic.distance_sums.items()},
        "express/corrections": hic.corrections,
        "express/chromosome_means": hic.chromosome_means,
        "express/trace": hic.trace,
    }
    for chrom in ("chrIII", "chrVI"):
        for datatype in ("raw", "fend", "enrichment"):
            dataset = hic.heatmap(chrom, binsize=10_000, datatype=datatype)
            cells = np.triu_indices(dataset.sizes["bin1"], 1)
            array = np.stack([dataset[v].values[cells] for v in ("observed", "expected")], axis=-1)
            results[f"heatmaps/cis_{chrom}_{datatype}.array"] = array
    trans = hic.heatmap("chrIII", "chrVI", binsize=10_000)
    results["heatmaps/trans_chrIII_chrVI_enrichment.array"] = np.stack(
        [trans[v].values for v in ("observed", "expected")], axis=-1
    )
    assert compare.compare(compare.load_case(str(shared / "golden/yeast")), results)
    hic.find_express_fend_corrections(kr=True)
    assert hic.trace is not None
    assert len(hic.trace) <= 80  # 78 products; the plain iteration of Express needs 844
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hic.find_express_fend_corrections(accelerate=True, calibrate=True)
    for other in ("chrIV", "chrXII"):
        sums = hic.heatmap("chrIV", other, binsize=2_000_000).sum()
        assert float(sums.observed) == pytest.approx(float(sums.expected), rel=1e-5)
