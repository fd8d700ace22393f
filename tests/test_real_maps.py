"""What the default normalization promises, held by the maps of real experiments."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from numpy.typing import NDArray

import hifive_dask as hd
from hifive_dask.errors import HifiveDaskWarning

pytestmark = pytest.mark.golden

Array = NDArray[Any]

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
COOLERS = {
    "fly": (DATA / "fly_dm6_4DNFIZ1ZVXC8" / "4DNFIZ1ZVXC8_bin100kb.cool", 100_000),
    "yeast": (DATA / "yeast_w303_g1_2kb" / "scer_w303_g1_2kb_SRR8769554.cool", 2000),
}


@pytest.fixture(scope="module", params=COOLERS)
def maps(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The project of a cooler after the joint fit, and its maps in bins, as they are counted."""
    cooler, size = COOLERS[request.param]
    if not cooler.exists():
        pytest.skip(f"{cooler.name} is not there")
    folder = tmp_path_factory.mktemp(request.param)
    with dask.config.set(scheduler="sync"):
        fend = hd.Fend(folder / "fends.zarr", "w", silent=True)
        fend.load_bins(cooler, format="cool")
        fend.save()
        data = hd.HiCData(folder / "pairs.zarr", "w", silent=True)
        data.load_data_from_cool(fend.file, cooler)
        hic = hd.HiC(folder / "project.zarr", "w", silent=True)
        hic.load_data(data.file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HifiveDaskWarning)  # of fly's Y little is left
            hic.filter_fends(mininteractions="auto")
        hic.find_distance_parameters()
        hic.find_probability_fend_corrections(model="poisson", refit_distance=True)
        found = {}
        for name in hic.units.chromosomes:
            if hic.filter[hic.units.span(hic.units.index[name])].any():
                one = hic.heatmap(name, binsize=size, datatype="enrichment")
                found[name] = one.observed.values.astype(float), one.expected.values.astype(float)
    return hic, found


def test_chromosomes__are_centred_on_one(maps: tuple[hd.HiC, dict[str, Any]]) -> None:
    for name, (observed, expected) in maps[1].items():
        upper = np.triu_indices(len(observed))
        reads = observed[upper].sum()
        if reads >= 300:
            assert reads / expected[upper].sum() == pytest.approx(1, abs=0.01), name


def test_distances__are_centred_on_one(maps: tuple[hd.HiC, dict[str, Any]]) -> None:
    hic, found = maps
    size = int(np.diff(hic.units.mid[:2])[0])
    edges = np.exp(hic.distance_sums["edges"].astype(float))
    seen, wanted = np.zeros((2, len(edges) + 1))
    for observed, expected in found.values():
        steps = np.arange(len(observed))
        # Bins with themselves are at a distance of their own.
        k = np.where(steps == 0, 0, 1 + np.searchsorted(edges * (1 + 1e-7), steps * size))
        for step in steps:
            seen[k[step]] += np.trace(observed, step)
            wanted[k[step]] += np.trace(expected, step)
    many = seen >= 300
    assert many.sum() > 20
    np.testing.assert_allclose(seen[many] / wanted[many], 1, atol=0.005)


def test_bins__are_centred_on_one(maps: tuple[hd.HiC, dict[str, Any]]) -> None:
    hic, found = maps
    for name, (observed, expected) in found.items():
        span = hic.units.span(hic.units.index[name])
        corrections = hic.corrections[span].astype(float)  # type: ignore[index]
        free = corrections > 0.02
        # A bin with itself belongs to it twice.
        rows = [each.sum(axis=1) + np.diag(each) for each in (observed, expected)]
        used = free & (rows[0][: len(free)] > 0)
        np.testing.assert_allclose(
            rows[0][: len(free)][used] / rows[1][: len(free)][used], 1, atol=0.001, err_msg=name
        )
