"""The benchmarks run, at toy size, and agree with their baselines; nothing is timed here."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.chdir(tmp_path)


def _load(name: str) -> ModuleType:
    return importlib.import_module(name)


def test_bench_reads__loads_every_pair_at_toy_size(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = _load("bench_reads").main([2_000], [1], fends=2_000)
    assert row["pairs"] == 2_000
    assert "| pairs |" in capsys.readouterr().out


def test_bench_bam__loads_the_pairs_of_its_baseline() -> None:
    (row,) = _load("bench_bam").main([2_000], [1], preset="toy")
    assert row["pairs"] == 2_000


def test_bench_combine__adds_up_what_its_baseline_does() -> None:
    (row,) = _load("bench_combine").main([2_000], [1], fends=2_000)
    assert row["pairs"] == 4_000


def test_bench_filter__keeps_what_its_baseline_keeps() -> None:
    (row,) = _load("bench_filter").main([20_000], [1], fends=2_000)
    assert row["rounds"] > 2
    assert 0 < row["fends kept"] < 2_000


def test_bench_express__has_the_cost_of_its_baseline() -> None:
    row, *ends = _load("bench_express").main([20_000], [1], [2_000], short=3, extra=3)
    assert (row["fends"], row["pairs"]) == (2_000, 20_000)
    assert [end["method"] for end in ends] == ["accelerated", "knight-ruiz"]
    assert all(5 < end["products"] < 100 for end in ends)


def test_bench_scaling__measures_every_stage_on_every_engine(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, rows = _load("bench_scaling"), importlib.import_module("hifive_dask.model.rows")
    monkeypatch.setattr(rows, "SPAN", rows.SPAN)  # put back afterwards
    monkeypatch.setattr(bench, "ENGINES", (("threads", 1), ("threads", 2)))
    found = bench.main([5_000], [1], fends=2_000)
    assert len(found) == 2 * 9
    assert all(row["tasks"] > 0 for row in found)
    assert "### One iteration with all reads" in capsys.readouterr().out


def test_powers__are_those_of_a_power_law() -> None:
    rows = [{"a": a, "b": b, "s": a**0.5 * b**2} for a, b in ((1, 1), (2, 1), (1, 3), (5, 7))]
    powers = _load("harness").powers
    assert powers("x", rows, "s", ("a", "b")).endswith(
        "a to the power 0.50, with b to the power 2.00"
    )
    assert powers("x", rows[:2], "s", ("a", "b")).endswith("too few sizes, no exponents")
    assert powers("x", [], "s", ("a", "b")).endswith("too few sizes, no exponents")


def test_bench_distance__agrees_with_its_baseline() -> None:
    rows = _load("bench_distance").main([600, 1_200], [1], pairs=5_000, numbins=12)
    assert [row["fends"] for row in rows] == [600, 1_200]
    assert all(row["baseline s"] is not None for row in rows)


def test_bench_probability__converges_at_toy_size() -> None:
    rows = _load("bench_probability").main([600, 1_200], [1], pairs_per_fend=10)
    assert [row["fends"] for row in rows] == [600, 1_200] * 2
    assert all(row["baseline s, one evaluation"] is not None for row in rows)


def test_bench_joint__converges_at_toy_size() -> None:
    rows = _load("bench_joint").main([600, 1_200], [1], pairs_per_unit=10)
    assert [(row["units"], row["number"]) for row in rows] == [
        (kind, n) for kind in ("fends", "bins") for n in (600, 1_200)
    ]
    assert all(row["ratio"] > 0 for row in rows)


def test_bench_chromosome__counts_what_its_baseline_counts() -> None:
    rows = _load("bench_chromosome").main([600, 1_200], [1], pairs_per_fend=10)
    assert [row["fends"] for row in rows] == [600, 1_200] * 2
    assert all(row["baseline s"] is not None for row in rows)
    assert all(row["query tasks"] < 10 for row in rows)


def test_bench_mrh__has_the_cells_of_its_baseline() -> None:
    (row,) = _load("bench_mrh").main([20_000], [1], fends=2_000)
    assert row["scores"] > 100


def test_bench_heatmap__counts_what_its_baseline_counts() -> None:
    rows = _load("bench_heatmap").main([3, 20], [1], fends=2_000, pairs=5_000)
    assert [row["contigs"] for row in rows] == [3, 20]
    assert all(row["tasks"] < 800 for row in rows)


def test_bench_heatmap_store__asks_for_what_its_baseline_computes() -> None:
    (row,) = _load("bench_heatmap_store").main([30], [1], pairs_per_mb=200)
    assert row["tasks"] < 20
    assert row["files"] > 30


def test_bench_scaffolds__makes_the_fends_of_its_baseline() -> None:
    rows = _load("bench_scaffolds").main([60, 90], [1])
    assert [row["fends"] for row in rows] == [360, 540]


def test_bench_dynamic__grows_what_its_baseline_grows() -> None:
    (row,) = _load("bench_dynamic").main([3_000], [1], per_fend=5)
    assert row["fends"] == 3_000
    assert row["grown"] > 0.5
    assert row["baseline s, 1 % of cells"] is not None


def test_command__gives_sizes_and_threads_and_saves_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def main(sizes: list[int], threads: list[int]) -> list[dict[str, int]]:
        return [{"fends": n, "threads": count} for n in sizes for count in threads]

    words = ["bench.py", "--fends", "2_000", "30", "--json", str(tmp_path / "rows.json")]
    monkeypatch.setattr("sys.argv", words)
    _load("harness").command(main, "What it is.", "fends", [5], [4])
    rows = [{"fends": 2000, "threads": 4}, {"fends": 30, "threads": 4}]
    assert json.loads((tmp_path / "rows.json").read_text()) == rows


def test_random_cis_pairs__are_distinct_sorted_and_possible(tmp_path: Path) -> None:
    harness = _load("harness")
    units = harness.human_fends(tmp_path / "fends.zarr", 2_000)
    first, second, count = harness.random_cis_pairs(units, 10_000)
    rows = list(zip(first.tolist(), second.tolist(), strict=True))
    assert rows == sorted(set(rows))
    assert len(rows) == 10_000
    assert (count >= 1).all()
    assert (units.chromosome[first] == units.chromosome[second]).all()
    assert (second - first > 3).all()


def test_bench_binning__counts_what_its_baseline_counts() -> None:
    rows = _load("bench_binning").main([2_000, 4_000], [1], bins=4, per_fend=1)
    assert [row["fends"] > 1_900 for row in rows] == [True, True]
    assert all(row["baseline s"] is not None for row in rows)


def test_faults__counts_outcomes_and_goes_on_from_its_log(tmp_path: Path) -> None:
    faults = _load("faults")
    log = tmp_path / "faults.jsonl"
    rows = [
        {"stage": "combine", "trial": 0, "kills": 2, "same": True, "error": "", "s": 2.0},
        {"stage": "combine", "trial": 1, "kills": 1, "same": False, "error": "hangs", "s": 3.0},
    ]
    log.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "inputs").mkdir()
    faults.run_stage("combine", 2, tmp_path / "inputs", tmp_path / "out", log)  # nothing is left
    (row,) = faults.summarize(faults.read_log(log), ["text", "combine"])
    assert (row["runs"], row["workers killed"], row["same bytes"], row["errors"]) == (2, 3, 1, 1)


def test_bench_memory__loses_no_worker_at_toy_size() -> None:
    rows = _load("bench_memory").main([20_000], "2GB", ["filter"], fends=2_000)
    assert [(row["workers lost"], row["error"]) for row in rows] == [(0, "none")]


@pytest.mark.filterwarnings("ignore::hifive_dask.errors.HifiveDaskWarning")
def test_compare_held_out__judges_every_method(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    sequence = "".join(rng.choice(list("ACGT"), 200_000))
    fasta, reads = tmp_path / "genome.fa", tmp_path / "reads.pairs"
    fasta.write_text(f">chr1\n{sequence}\n")
    first = rng.integers(1, 150_000, 6000)
    second = first + np.exp(rng.uniform(7, 10.8, 6000)).astype(int)
    lines = [
        f"r{k}\tchr1\t{a}\tchr1\t{b}\t+\t-"
        for k, (a, b) in enumerate(zip(first, second, strict=True))
    ]
    header = "## pairs format v1.0\n#columns: readID chr1 pos1 chr2 pos2 strand1 strand2\n"
    reads.write_text(header + "\n".join(lines) + "\n")
    bench = _load("compare_held_out")
    rows = bench.main(reads, fasta, "DpnII", ["10kb"], [1.0], core=1)
    assert [row["method"] for row in rows] == [*bench.METHODS, "ICE of cooler"]
    by_method = {row["method"]: row["10 kb"] for row in rows if "10 kb" in row}
    assert by_method["joint Poisson"] < by_method["none"]
