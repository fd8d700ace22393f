"""ICE: the weights of `cooler balance`, by the same steps."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import cooler
import dask
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import hifive_dask as hd
from hifive_dask._store import checkpoint as checkpoints
from hifive_dask.errors import ConvergenceError, ConvergenceWarning, ParameterError, StateError
from hifive_dask.model import rows, systems
from hifive_dask.testing import toy_project

from .commands import run_in_one_thread as run

Float64 = NDArray[np.float64]

# Before 0.11 cooler counted a bin with itself twice in the sum of its row.
assert tuple(map(int, cooler.__version__.split(".")[:2])) >= (0, 11)

OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "nothing left out": {"ignore_diags": 0, "min_nnz": 0, "mad_max": 0},
    "main diagonal": {"ignore_diags": 1, "min_nnz": 3, "min_count": 40, "mad_max": 2},
    "strict": {"ignore_diags": 3, "min_nnz": 15, "mad_max": 1},
}


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `map.cool`, and `project.zarr` of it."""
    folder = tmp_path_factory.mktemp("ice")
    lengths = {"a": 1430, "b": 900, "c": 610, "d": 40}
    bins = cooler.util.binnify(pd.Series(lengths), 50)
    rng = np.random.default_rng(3)
    n, bias = len(bins), np.exp(rng.normal(0, 0.6, len(bins)))
    row, column = np.triu_indices(n)
    same = bins["chrom"].to_numpy()[row] == bins["chrom"].to_numpy()[column]
    mean = bias[row] * bias[column] * np.where(same, 30 / (1 + column - row), 0.8)
    empty = [4, 33]
    mean[np.isin(row, empty) | np.isin(column, empty)] = 0
    count = rng.poisson(mean)
    # The last bin of a chromosome and the first of the next are neighbours for cooler.
    count[(row == 28) & (column == 29)] = 500
    table = pd.DataFrame({"bin1_id": row, "bin2_id": column, "count": count})
    cooler.create_cooler(str(folder / "map.cool"), bins, table[count > 0])
    with dask.config.set(scheduler="sync"):
        make_project(folder, folder / "map.cool")
    return folder


def make_project(folder: Path, uri: object) -> Path:
    fend = hd.Fend(folder / "fends.zarr", "w", silent=True)
    fend.load_bins(uri, format="cool")  # type: ignore[arg-type]
    fend.save()
    data = hd.HiCData(folder / "pairs.zarr", "w", silent=True)
    data.load_data_from_cool(fend.file, uri)  # type: ignore[arg-type]
    hic = hd.HiC(folder / "project.zarr", "w", silent=True)
    hic.load_data(data.file)
    hic.save()
    return folder / "project.zarr"


def opened(folder: Path) -> hd.HiC:
    return hd.HiC(folder / "project.zarr", silent=True)


def weights_of(hic: hd.HiC) -> Float64:
    """Weights of all bins, NaN for bins that are not in use."""
    assert hic.corrections is not None
    assert hic.chromosome_scales is not None
    np.testing.assert_array_equal(hic.filter > 0, hic.corrections > 0)
    scaled = hic.corrections * hic.chromosome_scales[hic.units.chromosome]
    return np.divide(1, scaled, out=np.full(len(scaled), np.nan), where=scaled > 0)


def balanced(uri: object, usereads: str, **options: Any) -> tuple[Float64, bool]:
    """Weights of cooler, and whether they converged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights, stats = cooler.balance_cooler(
            cooler.Cooler(str(uri)),
            cis_only=usereads == "cis",
            trans_only=usereads == "trans",
            **options,
        )
    return weights, bool(np.all(stats["converged"]))


@pytest.mark.parametrize("usereads", ["all", "cis", "trans"])
@pytest.mark.parametrize("case", sorted(OPTIONS))
def test_weights__are_those_of_cooler(folder: Path, case: str, usereads: Any) -> None:
    options = OPTIONS[case]
    wanted, converged = balanced(folder / "map.cool", usereads, **options)
    assert np.isfinite(wanted).sum() > 10
    hic = opened(folder)
    hic.find_ice_fend_corrections(usereads=usereads, on_nonconvergence="ignore", **options)
    np.testing.assert_allclose(weights_of(hic), wanted, rtol=1e-6)
    assert hic.converged == converged
    assert hic.trace is not None
    assert hic.iterations == len(hic.trace)
    if converged:  # it stops at the first iteration below
        assert (hic.trace[:-1, 1] >= 1e-5).all()
        assert hic.trace[-1, 1] < 1e-5


@pytest.mark.parametrize("usereads", ["all", "cis"])
def test_weights__are_the_same_before_they_converge(folder: Path, usereads: Any) -> None:
    wanted, _ = balanced(folder / "map.cool", usereads, max_iters=7)
    hic = opened(folder)
    with pytest.warns(ConvergenceWarning, match="not converged after 7 iterations: the variance"):
        hic.find_ice_fend_corrections(usereads=usereads, max_iterations=7)
    np.testing.assert_allclose(weights_of(hic), wanted, rtol=1e-6)
    assert hic.converged is False


def test_bins_not_in_use__are_those_of_a_blacklist(folder: Path) -> None:
    wanted, _ = balanced(folder / "map.cool", "all", blacklist=[0, 7, 30])
    hic = opened(folder)
    hic.filter[[0, 7, 30]] = 0
    hic.find_ice_fend_corrections()
    np.testing.assert_allclose(weights_of(hic), wanted, rtol=1e-6)


def test_sums_of_rows__are_one(folder: Path) -> None:
    hic = opened(folder)
    hic.find_ice_fend_corrections(ignore_diags=0, tol=1e-12, max_iterations=1000)
    weights = np.nan_to_num(weights_of(hic))
    matrix = cooler.Cooler(str(folder / "map.cool")).matrix(balance=False)[:]
    used = weights > 0
    np.testing.assert_allclose((weights * (matrix @ weights))[used], 1, rtol=1e-6)


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "usereads"),
    [
        ("mouse_mm9_CN/CN.mm9.10000kb.cool", "all"),
        ("mouse_mm9_CN/CN.mm9.10000kb.cool", "cis"),
        ("mouse_mm9_CN/CN.mm9.10000kb.cool", "trans"),
        ("human_gm12878_4dn/hg19.GM12878-MboI.matrix.2000kb.cool", "all"),
        ("human_gm12878_2500kb/GSE63525_GM12878_insitu_primary_2_5mb.cool", "all"),
        ("fly_dm6_4DNFIZ1ZVXC8/4DNFIZ1ZVXC8_bin100kb.cool", "all"),
        ("haloferax_mcool/Haloferax.mcool::/resolutions/10000", "all"),
    ],
)
def test_published_maps__have_the_weights_of_cooler(
    tmp_path: Path, shared: Path, name: str, usereads: Any
) -> None:
    """To a variance of 1e-14: stored weights stop at 1e-5."""
    uri = shared / "data" / name
    wanted, converged = balanced(uri, usereads, tol=1e-14, max_iters=300)
    hic = hd.HiC(make_project(tmp_path, uri), silent=True)
    hic.find_ice_fend_corrections(
        usereads=usereads, tol=1e-14, max_iterations=300, on_nonconvergence="ignore"
    )
    np.testing.assert_allclose(weights_of(hic), wanted, rtol=1e-6)
    assert hic.converged == converged


# How it is done, and what is said


def test_result__is_the_same_however_it_is_divided_or_interrupted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hic = opened(folder)
    hic.find_ice_fend_corrections()
    whole = weights_of(hic)
    monkeypatch.setattr(rows, "SPAN", 200)
    monkeypatch.setattr(systems, "PIECE", 10)
    monkeypatch.setattr(checkpoints, "INTERVAL", 0.0)
    file, multiply, left = tmp_path / "state.npz", systems.SpanSystem.multiply, [9]

    def interrupted(*arguments: Any) -> Float64:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return multiply(*arguments)

    found = []
    for scheduler in ("sync", "threads"):
        hic, left[0] = opened(folder), 9
        with dask.config.set(scheduler=scheduler):
            monkeypatch.setattr(systems.SpanSystem, "multiply", interrupted)
            with pytest.raises(KeyboardInterrupt):
                hic.find_ice_fend_corrections(checkpoint=file)
            assert hic.normalization == "none"
            assert file.exists()
            left[0] = 10**9
            hic.find_ice_fend_corrections(checkpoint=file)
            assert not file.exists()
        found.append(weights_of(hic).tobytes())
        np.testing.assert_allclose(weights_of(hic), whole, rtol=1e-6)
    monkeypatch.setattr(systems.SpanSystem, "multiply", multiply)
    hic = opened(folder)
    hic.find_ice_fend_corrections()
    assert {*found, weights_of(hic).tobytes()} == {found[0]}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ignore_diags": -1}, ParameterError, "ignore_diags is -1, expected 0 or more"),
        ({"ignore_diags": 1.5}, ParameterError, r"ignore_diags is 1\.5, expected a whole number"),
        ({"min_nnz": -2}, ParameterError, "min_nnz is -2, expected 0 or more"),
        ({"mad_max": float("nan")}, ParameterError, "mad_max is nan, expected 0 or more"),
        ({"tol": 0}, ParameterError, "tol is 0, expected a variance above 0"),
        ({"max_iterations": 0}, ParameterError, "max_iterations is 0, expected 1 or more"),
        ({"usereads": "both"}, ParameterError, "usereads is 'both', expected 'cis', 'trans' or"),
        ({"on_nonconvergence": "x"}, ParameterError, "on_nonconvergence is 'x'"),
        ({"calibrate": True}, StateError, "calibrate=True needs the distance dependence"),
        (
            {"min_nnz": 60, "min_count": 10**6},
            StateError,
            "no bin is left to balance, of 61 in use; bins left out by min_nnz 61$",
        ),
        (
            {"ignore_diags": 99, "min_nnz": 0, "mad_max": 0},
            StateError,
            "no pair of all reads is left to balance; leave out less by ignore_diags",
        ),
        (
            {"max_iterations": 2, "on_nonconvergence": "error"},
            ConvergenceError,
            "not converged after 2 iterations: the variance of the sums is .*, the limit 1e-05",
        ),
    ],
)
def test_errors__leave_the_project_as_it_was(
    folder: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    hic = opened(folder)
    with pytest.raises(error, match=message):
        hic.find_ice_fend_corrections(**options)
    assert hic.normalization == "none"
    assert hic.filter.all()


def test_genomes_of_fends__are_refused_by_name(tmp_path: Path) -> None:
    project = toy_project(tmp_path)
    with pytest.raises(ParameterError, match=r"in fends; count in bins, Fend\(\.\.\., binned=SIZE"):
        hd.HiC(project, silent=True).find_ice_fend_corrections()
    message = run("normalize", "ice", project, code=1).stderr
    assert "this genome is in fends; count in bins, --binned SIZE" in " ".join(message.split())
    options = ("--reads", tmp_path / "reads.raw", "--method", "ice", "-o", tmp_path / "out")
    message = run("run", "--sites", tmp_path / "sites.bed", *options, code=1).stderr
    assert "count in bins, --binned SIZE, or choose another" in " ".join(message.split())
    assert not (tmp_path / "out" / "pairs.zarr").exists()


# Files and commands


def test_command__exports_the_weights_of_cooler(folder: Path, tmp_path: Path) -> None:
    wanted, _ = balanced(folder / "map.cool", "cis", ignore_diags=1, mad_max=3)
    options = ("--usereads", "cis", "--ignore-diags", 1, "--mad-max", 3, "--max-iterations", 200)
    plan = run(
        "normalize", "ice", folder / "project.zarr", *options, "--dry-run", "--json"
    ).stdout  # fmt: skip
    assert json.loads(plan)["steps"][0]["rounds"] == 200
    out = tmp_path / "ice.zarr"
    told = run("normalize", "ice", folder / "project.zarr", *options, "-o", out).stdout
    assert "ICE: converged after " in told
    facts = json.loads(run("info", out, "--json").stdout)
    assert (facts["method"], facts["normalization"]) == ("ICE", "express")
    hic = hd.HiC(out, silent=True)
    record = hic.last_normalization
    assert record is not None
    assert record["parameters"]["ignore_diags"] == 1
    assert set(record["results"]["left_out"]) == {"min_nnz", "mad_max", "without_reads"}
    run("heatmap", out, "--binsize", 50, "--datatype", "fend", "-o", tmp_path / "ice.cool")
    theirs = cooler.Cooler(str(tmp_path / "ice.cool")).bins()["weight"][:]
    np.testing.assert_allclose(theirs, wanted, rtol=1e-6)
    hic.save(tmp_path / "ice.hcp")
    again = hd.HiC(tmp_path / "ice.hcp", silent=True)
    np.testing.assert_array_equal(weights_of(again), weights_of(hic))


def test_options__of_other_methods_are_explained(folder: Path) -> None:
    project = folder / "project.zarr"
    for options, words in (
        (("--minchange", 1), "give --tol"),
        (("--iterations", 5), "at most --max-iterations times"),
        (("--chrom", "a"), "--chrom"),
    ):
        message = run("normalize", "ice", project, *options, code=2).stderr
        assert words in " ".join(message.split())
    message = run("normalize", "kr", project, "--tol", 1, code=2).stderr
    assert "kr has no --tol, an option of ice" in " ".join(message.split())


def test_levels__can_be_calibrated(folder: Path) -> None:
    hic = opened(folder)
    hic.find_distance_parameters(numbins=5, minsize=50)
    hic.find_ice_fend_corrections(calibrate=True)
    assert hic.calibrated
    assert hic.expected_reads is not None
    assert hic.observed_reads is not None
    np.testing.assert_allclose(hic.expected_reads, hic.observed_reads, rtol=1e-5)
