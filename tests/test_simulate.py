"""Simulated genomes and reads."""

from __future__ import annotations

import gzip
from pathlib import Path

import dask
import numpy as np
import pytest

from hifive_dask import Fend, HiCData, testing
from hifive_dask._kernels.read_text import pairs_text, raw_text
from hifive_dask._kernels.simulate import KINDS, ReadColumns, guide_table, random_numbers
from hifive_dask.errors import ParameterError, StoreError
from hifive_dask.schema import MARKED, STATISTICS
from hifive_dask.simulate import (
    PRESETS,
    Experiment,
    SimulatedGenome,
    simulate_genome,
    simulate_pair_columns,
    simulate_reads,
    write_lengths,
    write_reads,
    write_sites,
    write_truth,
)
from hifive_dask.simulate.experiment import BATCH

CHROMOSOMES = {"chr2": 250_000, "chr10": 400_000, "chr1": 300_000}


@pytest.fixture(scope="module")
def genome() -> SimulatedGenome:
    return simulate_genome(CHROMOSOMES, seed=3, domain=60_000)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[testing.ToyFiles, HiCData]:
    files = testing.toy_files(tmp_path_factory.mktemp("toy"))
    fend = Fend(files.directory / "fends.zarr", "w", silent=True)
    fend.load_fends(files.sites)
    fend.save()
    data = HiCData(files.directory / "pairs.zarr", "w", silent=True)
    data.load_data_from_raw(fend.file, files.raw, 500)
    return files, data


def raw_lines(reads: ReadColumns, names: list[str]) -> list[str]:
    """Plain oracle of the text kernels."""
    return [
        f"{names[c1]}\t{p1}\t{'+-'[m1]}\t{names[c2]}\t{p2}\t{'+-'[m2]}"
        for c1, p1, m1, c2, p2, m2, _ in zip(*(c.tolist() for c in reads), strict=True)
    ]


def test_random_numbers__are_those_of_splitmix64() -> None:
    mask, state, expected = (1 << 64) - 1, 7, []
    for _ in range(5):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        expected.append(((z ^ (z >> 31)) >> 11) / 2**53)
    assert random_numbers(7, 5).tolist() == expected


def test_guide_table__never_skips_an_entry() -> None:
    share = np.cumsum([0.5, 0.01, 0.0, 0.3, 0.19])
    expected = [int(np.searchsorted(share, k / 5, "right")) for k in range(5)]
    assert guide_table(share).tolist() == expected


def test_genome__is_the_one_that_fend_reads_back(genome: SimulatedGenome, tmp_path: Path) -> None:
    write_sites(tmp_path / "sites.bed", genome)
    fend = Fend(tmp_path / "fends.zarr", "w", silent=True)
    fend.load_fends(tmp_path / "sites.bed")
    units = fend.units
    assert units.chromosomes == genome.chromosomes == ("chr1", "chr10", "chr2")
    for name in ("start", "stop", "offset", "chromosome"):
        np.testing.assert_array_equal(getattr(units, name), getattr(genome, name))
    for name in ("gc", "mappability"):
        np.testing.assert_allclose(units.features[name], getattr(genome, name), atol=6e-5)
    write_lengths(tmp_path / "chrom.sizes", genome)
    bins = Fend(tmp_path / "bins.zarr", "w", binned=50_000, silent=True)
    bins.load_bins(tmp_path / "chrom.sizes")
    assert np.diff(bins.units.offset).tolist() == [6, 8, 5]


def test_genome__follows_from_the_seed(genome: SimulatedGenome) -> None:
    again = simulate_genome(CHROMOSOMES, seed=3, domain=60_000)
    np.testing.assert_array_equal(again.bias, genome.bias)
    np.testing.assert_array_equal(again.start, genome.start)
    other = simulate_genome(CHROMOSOMES, seed=4, domain=60_000)
    assert not np.array_equal(other.cuts[0], genome.cuts[0])


def test_truth__holds_the_arrays_of_the_genome(genome: SimulatedGenome, tmp_path: Path) -> None:
    write_truth(tmp_path / "truth.npz", genome)
    with np.load(tmp_path / "truth.npz") as truth:
        assert tuple(truth["chromosomes"]) == genome.chromosomes
        for name in ("bias", "domain", "compartment", "start", "stop", "offset", "lengths"):
            np.testing.assert_array_equal(truth[name], getattr(genome, name))


@pytest.mark.parametrize("suffix", [".raw", ".raw.gz", ".pairs", ".pairs.gz"])
def test_reads__have_the_same_bytes_on_every_scheduler(
    genome: SimulatedGenome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr("hifive_dask.simulate.experiment.BATCH", 700)
    monkeypatch.setattr("hifive_dask.simulate.files._WINDOW", 2)
    texts = []
    for scheduler in ("sync", "threads"):
        with dask.config.set(scheduler=scheduler):
            path = tmp_path / f"{scheduler}{suffix}"
            write_reads(path, genome, 3_000, seed=5, silent=True)
            texts.append(path.read_bytes())
    assert texts[0] == texts[1]
    text = gzip.decompress(texts[0]) if suffix.endswith(".gz") else texts[0]
    lines = [line for line in text.decode().splitlines() if not line.startswith("#")]
    assert len(lines) == 3_000
    if "raw" in suffix:
        reads = simulate_reads(genome, 3_000, seed=5)
        assert lines == raw_lines(reads, [*genome.chromosomes, "chrUn"])


def test_text__equals_plain_formatting(genome: SimulatedGenome) -> None:
    reads = simulate_reads(genome, 500, seed=1)
    names = [*genome.chromosomes, "chrUn"]
    assert raw_text(reads, names).tobytes().decode().splitlines() == raw_lines(reads, names)
    lines = []
    for c1, p1, m1, c2, p2, m2, _ in zip(*(c.tolist() for c in reads), strict=True):
        (c1, p1, m1), (c2, p2, m2) = sorted([(c1, p1, m1), (c2, p2, m2)], key=lambda e: e[:2])
        lines.append(f".\t{names[c1]}\t{p1}\t{names[c2]}\t{p2}\t{'+-'[m1]}\t{'+-'[m2]}")
    found = pairs_text(reads, names).tobytes().decode().splitlines()
    ties = {k for k, (p1, p2) in enumerate(zip(reads.pos1, reads.pos2, strict=True)) if p1 == p2}
    assert [a for k, a in enumerate(found) if k not in ties] == [
        a for k, a in enumerate(lines) if k not in ties
    ]


def test_reads__become_the_statistics_that_they_were_made_for(
    toy: tuple[testing.ToyFiles, HiCData],
) -> None:
    files, data = toy
    preset = PRESETS["toy"]
    reads = simulate_reads(files.genome, preset.reads, seed=1, experiment=preset.experiment)
    kinds = dict(zip(KINDS, np.bincount(reads.kind, minlength=len(KINDS)).tolist(), strict=True))
    stats = data.stats
    assert stats["total_reads"] == preset.reads
    # Two reads can happen to be equal, and a duplicate can repeat a read of no known chromosome.
    slack = 20
    assert abs(stats["valid_cis_reads"] + stats["valid_trans_reads"] - kinds["contact"]) <= slack
    assert abs(stats["pcr_duplicates"] - kinds["duplicate"]) <= slack
    assert abs(stats["chr_not_in_fends"] - kinds["unknown_chromosome"]) <= slack
    assert abs(stats["out_of_bounds"] - kinds["out_of_bounds"]) <= slack
    assert abs(stats["failed_cut"] - kinds["failed_cut"]) <= slack
    # Pieces that were not ligated mostly span far from one of their cut sites.
    left = kinds["long_insert"] + kinds["self_circle"] + kinds["dangling_end"]
    assert abs(stats["insert_size"] + stats["same_fragment"] - left) <= slack
    assert stats["same_fragment"] >= kinds["self_circle"] - slack
    share = stats["valid_trans_reads"] / kinds["contact"]
    assert abs(share - preset.experiment.trans) < 0.02


def test_reads__are_equal_in_both_formats(
    toy: tuple[testing.ToyFiles, HiCData], tmp_path: Path
) -> None:
    files, data = toy
    other = HiCData(tmp_path / "pairs.zarr", "w", silent=True)
    other.load_data_from_pairs(files.directory / "fends.zarr", files.pairs, 500)
    assert other.token == data.token


def test_coverage__is_proportional_to_the_bias() -> None:
    genome = simulate_genome({"chr1": 300_000, "chr2": 300_000}, seed=2)
    flat = Experiment(trans=1.0, compartments=1.0)
    first, second, count = simulate_pair_columns(genome, 100_000, seed=1, experiment=flat)
    size = len(genome)
    coverage = np.bincount(first, count, size) + np.bincount(second, count, size)
    for c in range(2):
        here = genome.chromosome == c
        share = coverage[here] / coverage[here].sum()
        expected = genome.bias[here] / genome.bias[here].sum()
        # Poisson errors: the largest of a few hundred standardised differences.
        assert np.max(np.abs(share - expected) / np.sqrt(expected / 100_000 + 1e-12)) < 5


def test_cis_rates__are_those_of_the_formula() -> None:
    genome = simulate_genome({"chr1": 120_000}, seed=5, mean_fragment=6_000, domain=40_000)
    experiment = Experiment(decay=0.8, near=3_000, insulation=0.5, compartments=0.6)
    reads = 200_000
    first, second, count = simulate_pair_columns(genome, reads, seed=9, experiment=experiment)
    size = len(genome)
    found = np.zeros((size, size))
    found[first, second] = count
    expected = cis_rates(genome, experiment)
    expected *= reads / expected.sum()
    assert found[expected == 0].sum() == 0
    some = expected > 20
    z = (found - expected)[some] / np.sqrt(expected[some])
    assert abs(np.mean(z**2) - 1) < 0.25
    assert np.max(np.abs(z)) < 5


def cis_rates(genome: SimulatedGenome, experiment: Experiment) -> np.ndarray:
    """Plain oracle: the formula in the docstring of `Experiment`, one chromosome."""
    size = len(genome)
    rates = np.zeros((size, size))
    for i in range(size):
        for j in range(i + 2, size):
            if j == i + 3 and i % 2 == 0:
                continue
            x, y = (np.linspace(genome.start[k], genome.stop[k], 41)[:-1] for k in (i, j))
            half = [(genome.stop[k] - genome.start[k]) / 80 for k in (i, j)]
            distance = (y + half[1])[None, :] - (x + half[0])[:, None]
            law = np.maximum(distance, experiment.near) ** -experiment.decay
            borders = min(abs(int(genome.domain[i] - genome.domain[j])), 4)
            rate = genome.bias[i] * genome.bias[j] * law.mean() * experiment.insulation**borders
            if genome.compartment[i] != genome.compartment[j]:
                rate *= experiment.compartments
            rates[i, j] = rate
    return rates


def test_clustering__draws_trans_contacts_to_the_centromeres(genome: SimulatedGenome) -> None:
    def near(clustering: float) -> float:
        experiment = Experiment(trans=1.0, clustering=clustering)
        first, second, count = simulate_pair_columns(genome, 20_000, seed=1, experiment=experiment)
        fends = np.r_[first, second]
        away = np.abs(genome.start[fends] - genome.centromere[genome.chromosome[fends]])
        close = away < 0.05 * genome.lengths[genome.chromosome[fends]]
        return float(np.average(close, weights=np.r_[count, count]))

    assert near(0.8) > 2 * near(0.0)


def test_pair_columns__are_sorted_distinct_possible_and_complete(
    genome: SimulatedGenome,
) -> None:
    first, second, count = simulate_pair_columns(genome, 30_000, seed=1)
    assert count.sum() == 30_000
    assert first.dtype == second.dtype == count.dtype == np.int32
    c1, c2 = genome.chromosome[first], genome.chromosome[second]
    rows = list(zip(c1.tolist(), c2.tolist(), first.tolist(), second.tolist(), strict=True))
    assert rows == sorted(set(rows))
    assert np.all(first < second)
    assert not np.any((c1 == c2) & (first // 2 == second // 2))
    assert set(zip(c1.tolist(), c2.tolist(), strict=True)) == {
        (a, b) for a in range(3) for b in range(a, 3)
    }


def test_reads__of_more_than_one_batch_have_a_seed_each(genome: SimulatedGenome) -> None:
    reads = simulate_reads(genome, BATCH + 1_000, seed=1)
    assert not np.array_equal(reads.pos1[:1_000], reads.pos1[BATCH:])
    np.testing.assert_array_equal(reads.pos1[:BATCH], simulate_reads(genome, BATCH, seed=1).pos1)


@pytest.mark.parametrize(
    ("chromosomes", "options", "message"),
    [
        ({}, {}, "no chromosomes"),
        ({"chr1": 1_000}, {}, "shorter than four mean fragments"),
        ({"chr1": 1 << 32}, {}, "longer than"),
        ({"chr1": 100_000}, {"seed": -1}, "seed is -1"),
        ({"chr1": 100_000}, {"bias": -1}, "bias is -1"),
    ],
)
def test_genome__refuses_what_makes_no_sense(
    chromosomes: dict[str, int], options: dict[str, int], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        simulate_genome(chromosomes, **{"seed": 1, **options})


def test_experiment__refuses_what_makes_no_sense(genome: SimulatedGenome) -> None:
    with pytest.raises(ParameterError, match="trans is 2"):
        Experiment(trans=2)
    with pytest.raises(ParameterError, match="more than 1"):
        Experiment(duplicate=0.6, failed_cut=0.6)
    with pytest.raises(ParameterError, match="expected at least 1"):
        simulate_reads(genome, 0, seed=1)


def test_write_reads__leaves_nothing_behind_when_it_fails(
    genome: SimulatedGenome, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        write_reads(tmp_path / "missing" / "reads.raw", genome, 10, seed=1)
    with pytest.raises(ParameterError):
        write_reads(tmp_path / "reads.raw", genome, 10, seed=-1)
    assert list(tmp_path.iterdir()) == []


def test_toy__has_one_read_for_every_statistic(tmp_path: Path) -> None:
    sites, reads = testing.toy_genome(tmp_path / "sites.bed"), testing.toy_reads(tmp_path / "raw")
    fend = Fend(tmp_path / "fends.zarr", "w", silent=True)
    fend.load_fends(sites)
    fend.save()
    data = HiCData(tmp_path / "pairs.zarr", "w", silent=True)
    data.load_data_from_raw(fend.file, reads, 500)
    assert {data.stats[name] for name in STATISTICS} == {9, 1, 2}
    assert not any(data.stats[name] for name in MARKED)
    assert data.cis_data.tolist() == [[1, 3, 1], [1, 4, 1]]
    assert data.trans_data.tolist() == [[5, 6, 1]]
