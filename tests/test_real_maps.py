"""What the default normalization promises, held by the maps of real experiments."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from numpy.typing import NDArray

import hifive_dask as hd
from hifive_dask._store.pairs import Columns, PairStore, rewrite_attributes, write_pairs
from hifive_dask.errors import HifiveDaskWarning
from hifive_dask.simulate import PRESETS, simulate_pair_columns, write_sites

pytestmark = pytest.mark.golden

Array = NDArray[Any]

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
COOLERS = {
    "fly": (DATA / "fly_dm6_4DNFIZ1ZVXC8" / "4DNFIZ1ZVXC8_bin100kb.cool", 100_000),
    "yeast": (DATA / "yeast_w303_g1_2kb" / "scer_w303_g1_2kb_SRR8769554.cool", 2000),
}


def load_cooler(folder: Path, cooler: Path) -> hd.HiCData:
    """Count the bins of a cooler."""
    if not cooler.exists():
        pytest.skip(f"{cooler.name} is not there")
    fend = hd.Fend(folder / "fends.zarr", "w", silent=True)
    fend.load_bins(cooler, format="cool")
    fend.save()
    data = hd.HiCData(folder / "pairs.zarr", "w", silent=True)
    data.load_data_from_cool(fend.file, cooler)
    return data


def learn(data: str, target: Path) -> hd.HiC:
    """The project of some pairs after the joint fit, as `run` makes it."""
    hic = hd.HiC(target, "w", silent=True)
    hic.load_data(data)
    with warnings.catch_warnings():
        # Of fly's Y little is left, and some bins and fends are held at a limit.
        warnings.simplefilter("ignore", HifiveDaskWarning)
        hic.filter_fends(mininteractions="auto")
        hic.find_distance_parameters()
        hic.find_probability_fend_corrections(model="poisson", refit_distance=True)
    return hic


def maps_of(hic: hd.HiC, size: int) -> dict[str, tuple[Array, Array]]:
    """Observed and expected reads of the chromosomes that have units in use."""
    found = {}
    for name in hic.units.chromosomes:
        if hic.filter[hic.units.span(hic.units.index[name])].any():
            one = hic.heatmap(name, binsize=size, datatype="enrichment")
            found[name] = one.observed.values.astype(float), one.expected.values.astype(float)
    return found


@pytest.fixture(scope="module", params=COOLERS)
def maps(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The project of a cooler after the joint fit, and its maps in bins, as they are counted."""
    cooler, size = COOLERS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    with dask.config.set(scheduler="sync"):
        data = load_cooler(folder, cooler)
        hic = learn(data.file, folder / "project.zarr")
        return hic, maps_of(hic, size)


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


# A sample and its own half


def load_demo(folder: Path) -> hd.HiCData:
    genome = PRESETS["demo"].genome(1)
    fend = hd.Fend(folder / "fends.zarr", "w", silent=True)
    write_sites(folder / "sites.bed", genome)
    fend.load_fends(folder / "sites.bed")
    fend.save()
    columns = simulate_pair_columns(genome, 2_000_000, seed=1)
    return _counted(folder / "pairs.zarr", columns, fend)


def load_yeast_reads(folder: Path) -> hd.HiCData:
    sites = DATA / "genome_sacCer3" / "sacCer3.DpnII_HinfI.cuts.bed"
    reads = DATA / "yeast_SRR22130071_pairs" / "yeast_SRR22130071.sacCer3.pairs.gz"
    if not reads.exists():
        pytest.skip(f"{reads.name} is not there")
    fend = hd.Fend(folder / "fends.zarr", "w", silent=True)
    fend.load_fends(sites)
    fend.save()
    data = hd.HiCData(folder / "pairs.zarr", "w", silent=True)
    data.load_data_from_pairs(fend.file, reads, 500)
    return data


def _counted(path: Path, columns: Columns, fend: hd.Fend) -> hd.HiCData:
    """Save counts beside their partition."""
    store = PairStore.from_memory(
        columns, fend.units.offset, stats={}, insert_distribution=np.zeros((182, 2), dtype=int),
        token=path.name,
    )  # fmt: skip
    write_pairs(path, store, rewrite_attributes(store, Path(fend.file).name, fend.token))
    return hd.HiCData(path, silent=True)


def halved(data: hd.HiCData, path: Path) -> hd.HiCData:
    """Every read is kept with a chance of one half."""
    first, second, count = data.store.rows_of(0, len(data.store))()
    kept = np.random.default_rng(1).binomial(count, 0.5).astype(np.int32)
    some = kept > 0
    return _counted(path, (first[some], second[some], kept[some]), data.fends)


SAMPLES: dict[str, tuple[Callable[[Path], hd.HiCData], int]] = {
    "demo": (load_demo, 50_000),
    "yeast reads": (load_yeast_reads, 50_000),
    "fly": (lambda folder: load_cooler(folder, COOLERS["fly"][0]), 100_000),
    "yeast": (lambda folder: load_cooler(folder, COOLERS["yeast"][0]), 50_000),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_sample__and_its_half_differ_by_nothing(name: str, tmp_path: Path) -> None:
    load, size = SAMPLES[name]
    with dask.config.set(scheduler="sync"):
        data = load(tmp_path)
        half = halved(data, tmp_path / "half.zarr")
        whole, part = (
            maps_of(learn(each.file, tmp_path / f"{k}.project.zarr"), size)
            for k, each in enumerate((data, half))
        )
    change = []
    for chromosome in whole.keys() & part.keys():
        (seen, wanted), (seen_half, wanted_half) = whole[chromosome], part[chromosome]
        upper = np.triu(np.ones(seen.shape, dtype=bool))
        known = upper & (wanted > 20) & (wanted_half > 20)
        ratio = (seen[known] + 1) / (wanted[known] + 1)
        change.append(np.log2((seen_half[known] + 1) / (wanted_half[known] + 1) / ratio))
    cells = np.concatenate(change)
    assert len(cells) > 500
    assert abs(np.median(cells)) < 0.03
