"""Worker processes killed at random, stage by stage: does the result have the same bytes?

A trial runs one stage on two worker processes and kills one to three of them: each when a random
number of tasks is finished, and up to 50 ms later, so that tasks are hit in their midst. Results
are compared, byte by byte, with those of threads that nobody disturbs. Every trial is a line in the
log, and those that are in it are not run again.

    python faults.py --runs 12 --log faults.jsonl --stages text express store
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np
from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerPlugin
from harness import table

from hifive_dask import Fend, HiC, HiCData
from hifive_dask._store import heatmaps, pairs
from hifive_dask.cluster import session
from hifive_dask.model import express, iterations, rows
from hifive_dask.reads import combine, lines, mat, mates, pipeline
from hifive_dask.reads.bam import BamReads
from hifive_dask.simulate import simulate_genome, write_genome, write_reads

Stage = Callable[[Path, Path], object]
"""Makes results in a folder from inputs in another one; what it returns is compared too."""

CHROMOSOMES = {"chr1": 4_000_000, "chr2": 3_000_000, "chr3": 2_000_000, "chr4": 1_500_000}
LONGEST = 120  # seconds: a trial of a few seconds that takes longer hangs
LATER = 0.05  # seconds from a task to a kill, at most


def prepare(folder: Path, reads: int, chromosomes: Mapping[str, int] = CHROMOSOMES) -> Path:
    """Write the inputs of all stages: reads in three formats, two replicates, a project."""
    genome = simulate_genome(chromosomes, seed=1, mean_fragment=4_000, domain=200_000)
    write_genome(folder, genome)
    for name, seed in (("reads.raw", 1), ("reads.bam", 1), ("more.raw", 2)):
        write_reads(folder / name, genome, reads, seed=seed, silent=True)
    fends = Fend(folder / "fends.zarr", "w", silent=True)
    fends.load_fends(folder / "sites.bed", genome_name="simulated")
    fends.save()
    for name, source in (("pairs", "reads.raw"), ("more", "more.raw")):
        data = HiCData(folder / f"{name}.zarr", "w", silent=True)
        data.load_data_from_raw(fends.file, folder / source, 500)
    data = HiCData(folder / "pairs.zarr", silent=True)
    data.export_to_mat(folder / "pairs.mat")
    hic = HiC(folder / "project.zarr", "w", silent=True)
    hic.load_data(data.file)
    hic.filter_fends(mininteractions=10)
    hic.find_distance_parameters(numbins=30, minsize=2000)
    hic.find_express_fend_corrections()
    hic.save()
    return folder


@contextmanager
def small_tasks() -> Iterator[None]:
    """Cut the work of small inputs into as many tasks as large ones have."""

    def smaller(function: Any, name: str, value: int) -> Any:
        return mock.patch.dict(function.__kwdefaults__, {name: value})

    with (
        mock.patch.object(pipeline, "_TILE_READS", 1 << 14),
        mock.patch.object(mates, "_JOIN", 1 << 16),
        mock.patch.object(combine, "_CHUNKS", 1),
        mock.patch.object(rows, "SPAN", 1 << 15),
        mock.patch.object(rows, "GROUP", 1 << 12),
        mock.patch.object(iterations, "_ROUND", 1 << 21),
        mock.patch.object(heatmaps, "SHARD", heatmaps.CHUNK),
        mock.patch.object(pairs, "SHARD", pairs.CHUNK),
        smaller(lines.TextReads.__init__, "block_bytes", 1 << 20),
        smaller(mat.MatCounts.__init__, "block_bytes", 1 << 18),
        smaller(BamReads.__init__, "span_bytes", 1 << 21),
    ):
        yield


def _load(method: str, *arguments: Any) -> Stage:
    def stage(inputs: Path, out: Path) -> None:
        data = HiCData(out / "pairs.zarr", "w", silent=True)
        files = [inputs / each if isinstance(each, str) else each for each in arguments]
        getattr(data, method)(inputs / "fends.zarr", *files)

    return stage


def _combine(inputs: Path, out: Path) -> None:
    data = HiCData(out / "pairs.zarr", "w", silent=True)
    data.combine([inputs / "pairs.zarr", inputs / "more.zarr"])


def _learn(method: str, **options: Any) -> Stage:
    def stage(inputs: Path, out: Path) -> None:
        hic = HiC(inputs / "project.zarr", silent=True)
        getattr(hic, method)(**options)
        hic.save(out / "project.zarr")

    return stage


def _filter(inputs: Path, out: Path) -> None:
    hic = HiC(inputs / "project.zarr", silent=True)
    hic.reset_filter()
    hic.filter_fends(mininteractions=30, usereads="all")
    hic.filter_fends(mininteractions=20)
    hic.save(out / "project.zarr")


def _spans(inputs: Path, out: Path) -> None:
    with mock.patch.object(express, "ONE_TASK", 0):
        _learn("find_express_fend_corrections", iterations=20)(inputs, out)


def _lazy(**options: Any) -> Stage:
    def stage(inputs: Path, out: Path) -> list[bytes]:
        maps = HiC(inputs / "project.zarr", silent=True).heatmap(binsize=20_000, **options)
        return [maps[name].values.tobytes() for name in sorted(maps.data_vars)]

    return stage


def _write(name: str, **options: Any) -> Stage:
    def stage(inputs: Path, out: Path) -> None:
        HiC(inputs / "project.zarr", silent=True).write_heatmap(out / name, **options)

    return stage


def _cool(inputs: Path, out: Path) -> list[bytes]:
    """Without the file itself, which holds the time."""
    file = out / "maps.cool"
    _write(file.name, binsize=10_000, datatype="fend")(inputs, out)
    with h5py.File(file) as opened:
        arrays = [
            opened[name][...] for name in ("pixels/bin1_id", "pixels/bin2_id", "pixels/count")
        ]
    file.unlink()
    return [array.tobytes() for array in arrays]


def _mrh(inputs: Path, out: Path) -> None:
    hic = HiC(inputs / "project.zarr", silent=True)
    hic.write_multiresolution_heatmap(out / "maps.mrh", maxbinsize=320_000, minbinsize=10_000)


EXPRESS = "find_express_fend_corrections"
STAGES: dict[str, Stage] = {
    "text": _load("load_data_from_raw", "reads.raw", 500),
    "bam": _load("load_data_from_bam", "reads.bam", 500),
    "counts": _load("load_data_from_mat", "pairs.mat"),
    "combine": _combine,
    "filter": _filter,
    "distance": _learn("find_distance_parameters", numbins=40, minsize=2000),
    "express": _learn(EXPRESS, iterations=200),
    "express spans": _spans,
    "express all reads": _learn(EXPRESS, iterations=20, usereads="all"),
    "knight-ruiz": _learn(EXPRESS, kr=True),
    "probability": _learn(
        "find_probability_fend_corrections", max_iterations=4, on_nonconvergence="ignore"
    ),
    "binning": _learn(
        "find_binning_fend_corrections", num_bins=(10, 10), parameters=("even", "even"),
        model=("len", "distance"), max_iterations=5, on_nonconvergence="ignore",
    ),
    "lazy map": _lazy(),
    "dynamic map": _lazy(
        region="chr4", dynamically_binned=True, minobservations=10, expansion_binsize=20_000,
    ),
    "store": _write("maps.zarr", binsize=[10_000, 20_000]),
    "cool": _cool,
    "mrh": _mrh,
}  # fmt: skip


def digest(folder: Path, value: object) -> str:
    """Of all files of a folder, their names, and a value."""
    found = hashlib.blake2b(repr(value).encode(), digest_size=16)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def perform(stage: Stage, inputs: Path, out: Path) -> str:
    """Run a stage in a new folder; the `digest` of what it made."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    with small_tasks():
        return digest(out, stage(inputs, out))


class Killer(SchedulerPlugin):  # type: ignore[misc]
    """Counts finished tasks of a local cluster, and kills worker processes.

    Parameters
    ----------
    cluster
        With nannies, which start new processes.
    when
        Numbers of finished tasks at which one is killed.
    seed
        Of which one, and how much later.
    """

    name = "killer"

    def __init__(self, cluster: Any, when: Sequence[int] = (), seed: int = 0) -> None:
        self._cluster, self._when = cluster, sorted(when)
        self._rng = np.random.default_rng(seed)
        self.finished = self.killed = 0

    def transition(self, key: Any, start: str, finish: str, *_: Any, **__: Any) -> None:
        """See `SchedulerPlugin`."""
        if (start, finish) != ("processing", "memory"):
            return
        self.finished += 1
        while self._when and self.finished >= self._when[0]:
            self._when.pop(0)
            self._cluster.loop.call_later(self._rng.random() * LATER, self._kill)

    def _kill(self) -> None:
        # Dask does not replace a process that dies before it has started.
        nannies = [nanny for nanny in self._cluster.workers.values() if _is_up(nanny)]
        if nannies:
            os.kill(nannies[self._rng.integers(len(nannies))].pid, signal.SIGKILL)
            self.killed += 1


def _is_up(nanny: Any) -> bool:
    return bool(nanny.process and nanny.process.status == Status.running)


@contextmanager
def watching(client: Any, when: Sequence[int] = (), seed: int = 0) -> Iterator[Killer]:
    """Register a `Killer` with the scheduler of a client."""
    killer = Killer(client.cluster, when, seed)
    client.sync(_register, client.cluster.scheduler, killer)
    try:
        yield killer
    finally:
        client.cluster.scheduler.plugins.pop(killer.name, None)


async def _register(scheduler: Any, killer: Killer) -> None:
    scheduler.add_plugin(killer, name=killer.name)


def trial(
    client: Any, stage: Stage, when: Sequence[int], seed: int, inputs: Path, out: Path
) -> dict[str, Any]:
    """Run a stage and kill a worker `when` so many tasks are finished; what became of it."""
    start, error, made = time.perf_counter(), "", ""
    signal.signal(signal.SIGALRM, _hangs)
    with watching(client, when, seed) as killer:
        try:
            signal.alarm(LONGEST)
            made = perform(stage, inputs, out)
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"
        finally:
            signal.alarm(0)
    seconds = time.perf_counter() - start
    return {"digest": made, "error": error, "kills": killer.killed, "s": round(seconds, 2)}


def _hangs(*_: object) -> None:
    raise TimeoutError("hangs")


def read_log(log: Path) -> list[dict[str, Any]]:
    """Trials so far."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def run_stage(name: str, runs: int, inputs: Path, out: Path, log: Path) -> None:
    """Run the trials of a stage that are not in the log."""
    stage = STAGES[name]
    done = {row["trial"] for row in read_log(log) if row["stage"] == name}
    left = [k for k in range(runs) if k not in done]
    expected = perform(stage, inputs, out) if left else ""
    while left:
        with session("local", workers=2) as client, log.open("a") as handle:
            with watching(client) as counter:
                perform(stage, inputs, out)
            while left:
                seed = left.pop(0)
                rng = np.random.default_rng(seed)
                when = rng.integers(0, max(1, counter.finished), rng.integers(1, 4)).tolist()
                row = trial(client, stage, when, seed, inputs, out)
                row |= {"stage": name, "trial": seed, "same": row["digest"] == expected}
                handle.write(json.dumps(row) + "\n")
                handle.flush()
                if row["error"]:
                    break  # what it left behind shall not count in the next one
                try:
                    client.wait_for_workers(2, timeout=LONGEST)
                except TimeoutError:
                    break


def summarize(found: Sequence[Mapping[str, Any]], stages: Sequence[str]) -> list[dict[str, Any]]:
    """A row per stage."""
    result = []
    for name in stages:
        own = [row for row in found if row["stage"] == name]
        if own:
            result.append(
                {
                    "stage": name,
                    "runs": len(own),
                    "workers killed": sum(row["kills"] for row in own),
                    "same bytes": sum(row["same"] for row in own),
                    "other bytes": sum(not row["same"] and not row["error"] for row in own),
                    "errors": sum(bool(row["error"]) for row in own),
                    "longest s": max(row["s"] for row in own),
                }
            )
    return result


def main(stages: Sequence[str], runs: int, reads: int, log: Path) -> list[dict[str, Any]]:
    """Run trials of some stages; print a table of all."""
    with tempfile.TemporaryDirectory(dir=".") as directory:
        inputs = Path(directory).absolute() / "inputs"
        inputs.mkdir()
        prepare(inputs, reads)
        for name in stages:
            run_stage(name, runs, inputs, inputs.with_name("out"), log)
    result = summarize(read_log(log), list(STAGES))
    print(table("Killed workers", result))
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=list(STAGES))
    parser.add_argument("--runs", type=int, default=12, metavar="N", help="Per stage.")
    parser.add_argument("--reads", type=int, default=500_000, metavar="N")
    parser.add_argument("--log", type=Path, default=Path("faults.jsonl"))
    options = parser.parse_args()
    main(options.stages, options.runs, options.reads, options.log)
