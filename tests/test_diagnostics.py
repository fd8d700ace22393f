"""Diagnostics: reads of units before and after correction, and pictures of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import hifive_dask as hd
from hifive_dask import plot
from hifive_dask.cli import main
from hifive_dask.errors import ParameterError, StateError
from hifive_dask.testing import toy_project


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture
def hic(tmp_path: Path) -> hd.HiC:
    project = hd.HiC(toy_project(tmp_path), silent=True)
    project.filter_fends(mininteractions=5)
    project.find_distance_parameters(numbins=20, minsize=2000)
    return project


def expected_reads(hic: hd.HiC) -> np.ndarray:
    """Plain oracle: for every unit the sum of n / (m c_i c_j) over its cis pairs."""
    units, sums = hic.units, np.zeros((2, len(hic.units)))
    assert hic.distance_parameters is not None
    assert hic.chromosome_means is not None
    cutoff, slope, intercept = hic.distance_parameters.astype(float).T
    for i, j, n in hic.data.cis_data.tolist():
        if not (hic.filter[i] and hic.filter[j]):
            continue
        length = np.log(max(1, int(units.mid[j] - units.mid[i])))
        k = int(np.searchsorted(cutoff, length))
        mean = np.exp(slope[k] * length + intercept[k])
        mean *= np.exp(float(hic.chromosome_means[units.chromosome[i]]))
        c = 1.0 if hic.corrections is None else float(hic.corrections[i] * hic.corrections[j])
        for unit in (i, j):
            sums[0, unit] += n / mean
            sums[1, unit] += n / (mean * c)
    return sums


@pytest.mark.parametrize("normalized", [False, True])
def test_unit_table__equals_the_plain_sums(hic: hd.HiC, normalized: bool) -> None:
    if normalized:
        hic.find_express_fend_corrections()
    table = hic.unit_table()
    assert (table.index == np.flatnonzero(hic.filter)).all()
    for name, sums in zip(("coverage", "corrected"), expected_reads(hic), strict=True):
        mean = sums[table.index] / table["possible"].to_numpy()
        np.testing.assert_allclose(table[name], mean / mean.mean(), rtol=1e-6)
    assert (table["length"] == table["stop"] - table["start"]).all()
    assert set(hic.units.features) <= set(table.columns)


def test_balanced_corrections__leave_all_units_equal(hic: hd.HiC) -> None:
    hic.find_express_fend_corrections(minchange=1e-8)
    table = hic.unit_table()
    assert table["corrected"].std() < 1e-5
    assert table["coverage"].std() > 0.2


def test_filter_without_pairs__is_an_error(hic: hd.HiC) -> None:
    hic.filter[:] = 0
    with pytest.raises(StateError, match=r"no (fend|bin) in use has a possible partner"):
        hic.unit_table()


def test_pictures__show_before_and_after(hic: hd.HiC) -> None:
    hic.find_express_fend_corrections(minchange=1e-8)
    table = hic.unit_table()
    figure = plot.biases(table)
    features = [ax.get_xlabel() for ax in figure.axes]
    assert features == [
        "length, bp",
        "GC content",
        "mappability",
        "relative coverage before correction",
    ]
    for ax in figure.axes:
        before, after, _ = ax.lines
        assert np.abs(after.get_ydata()).max() < 1e-3
        assert np.abs(before.get_ydata()).max() > 0.1
    shares = [patch.get_data().values for patch in plot.marginals(table).axes[0].patches]
    assert shares[-1].max() == pytest.approx(100)
    assert shares[0].max() < 60
    boxes = plot.chromosomes(table).axes[0]
    labels = [label.get_text() for label in boxes.get_xticklabels()]
    assert labels == list(hic.units.chromosomes)
    with pytest.raises(ParameterError, match="no feature gcc; it has length, gc"):
        plot.biases(table, ["gcc"])


def test_chromosomes__beyond_40_share_a_box() -> None:
    sizes = [1 + (7 * c) % 50 for c in range(50)]
    every = [f"s{c}" for c in range(50)]
    names = pd.Categorical(np.repeat(every, sizes), every)
    table = pd.DataFrame({"chromosome": names, "correction": 2.0 ** (np.arange(len(names)) % 3)})
    axes = plot.chromosomes(table).axes[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[-1] == "11 others"
    assert labels[:-1] == [f"s{c}" for c in range(50) if sizes[c] > 11]


def test_picture__of_a_feature_without_spread(hic: hd.HiC) -> None:
    table = pd.DataFrame(
        {"length": [5, 5, 5], "coverage": [1.0, 0.0, 2.0], "corrected": [1.0, 1.0, 1.0]}
    )
    assert len(plot.biases(table, ["length"]).axes) == 1


def test_picture__leaves_out_features_without_values(hic: hd.HiC) -> None:
    table = pd.DataFrame(
        {"gc": [0.4, 0.5, 0.6], "map": 3 * [np.nan], "coverage": [1.0, 0.0, 2.0], "corrected": 1.0}
    )
    labels = [ax.get_xlabel() for ax in plot.biases(table).axes]
    assert labels == ["GC content", "relative coverage before correction"]
    with pytest.raises(ParameterError, match="no unit has a finite map"):
        plot.biases(table, ["map"])


def test_command__draws_only_corrections_that_are_applied(
    hic: hd.HiC, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("hifive_dask.cli._pictures.DPI", 20)
    hic.find_express_fend_corrections()
    hic.find_binning_fend_corrections(
        model=("len", "distance"), num_bins=(3, 10), parameters=("even", "even-const")
    )
    assert hic.corrections is not None
    assert hic.applied_corrections is None
    hic.save()
    out = tmp_path / "pictures"
    result = CliRunner().invoke(main, ["diagnose", hic.file, "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.iterdir()} == {
        "reads.png", "distance.png", "insert_sizes.png", "cut_sites.png", "convergence.png",
        "marginals.png", "biases.png",
    }  # fmt: skip


def test_command__draws_all_of_a_project(hic: hd.HiC, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("hifive_dask.cli._pictures.DPI", 20)
    hic.save()
    runner = CliRunner()
    out = tmp_path / "pictures"
    result = runner.invoke(main, ["diagnose", hic.file, "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.iterdir()} == {
        "reads.png",
        "distance.png",
        "insert_sizes.png",
        "cut_sites.png",
    }
    hic.find_express_fend_corrections()
    hic.save()
    result = runner.invoke(main, ["diagnose", hic.file, "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert "9 pictures are in" in result.output
    assert len(list(out.iterdir())) == 9
