"""Scaling: every stage on threads and on processes; tasks, and bytes that workers pass each other.

One experiment of each size, 75 % cis. Strong scaling: the same reads on one and on two threads or
worker processes. Weak scaling: half the reads on one. Tasks have at most `SPAN` rows, a sixteenth
of the default, so that there are as many as a large experiment has. Baseline: one thread, which
has no other process to talk to.

    python bench_scaling.py --pairs 1_000_000 4_000_000
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dask.callbacks import Callback
from distributed.diagnostics.plugin import SchedulerPlugin
from harness import command, human_fends, powers, table, write_random_reads

import hifive_dask as hd
from hifive_dask.cluster import session
from hifive_dask.model import rows

Figures = dict[str, Any]
FENDS = 1_600_000
SPAN = 1 << 18  # rows per task
ENGINES = (("threads", 1), ("threads", 2), ("local", 1), ("local", 2))
STEPS = 10  # iterations; with all reads each is a round of tasks
SHORT = ", all, one iteration"  # what is taken off to know what one of the others takes


class _Counter(SchedulerPlugin):
    """Counts tasks that were done."""

    name = "counter"

    def __init__(self) -> None:
        self.tasks = 0

    def transition(self, key: Any, start: str, finish: str, *_: Any, **__: Any) -> None:
        self.tasks += start == "processing" and finish == "memory"


class Meter:
    """Tasks done, and bytes that workers sent each other, since the last look."""

    def __init__(self, client: Any, stack: ExitStack) -> None:
        self._client, self._tasks, self._seen = client, 0, (0, 0)
        if client is None:
            stack.enter_context(Callback(posttask=self._count))
        else:
            client.register_plugin(_Counter())

    def _count(self, *_: Any) -> None:
        self._tasks += 1

    def look(self) -> tuple[int, int]:
        """Tasks and bytes."""
        if self._client is None:
            tasks, moved = self._tasks, 0
        else:
            tasks = self._client.run_on_scheduler(
                lambda dask_scheduler: dask_scheduler.plugins["counter"].tasks
            )
            sent = self._client.run(lambda dask_worker: dask_worker.transfer_outgoing_bytes_total)
            moved = sum(sent.values())
        before, self._seen = self._seen, (tasks, moved)
        return tasks - before[0], moved - before[1]


def stages(reads: Path, fends: Path, out: Path) -> dict[str, Callable[[], Any]]:
    """What is timed, in order; each needs those before it."""
    data = hd.HiCData(out / "pairs.zarr", "w", silent=True)
    hic = hd.HiC(out / "project.zarr", "w", silent=True)

    def start() -> None:
        hic.load_data(data.file)
        hic.filter_fends(mininteractions=2)

    def express(kind: Any, **options: Any) -> None:
        hic.find_express_fend_corrections(
            usereads=kind, remove_distance=False, on_nonconvergence="ignore", **options
        )

    return {
        "load": lambda: data.load_data_from_raw(fends, reads, None),
        "filter": start,
        "distance": lambda: hic.find_distance_parameters(numbins=60, minsize=2000),
        "express, cis": lambda: express("cis", iterations=STEPS, max_iterations=STEPS),
        f"express{SHORT}": lambda: express("all", iterations=1, max_iterations=1),
        "express, all": lambda: express("all", iterations=STEPS + 1, max_iterations=STEPS + 1),
        f"knight-ruiz{SHORT}": lambda: express("all", kr=True, max_iterations=1),
        "knight-ruiz, all": lambda: express("all", kr=True, max_iterations=STEPS + 1),
        "heatmap store": lambda: hic.write_heatmap(out / "maps.zarr", 500_000, datatype="fend"),
    }


def measure(reads: Path, fends: Path, toy: tuple[Path, Path], engine: tuple[str, int]) -> Any:
    """Seconds, tasks and bytes of every stage, after all of them at toy size."""
    scheduler, workers = engine
    figures = {}
    with (
        session(scheduler, workers=workers) as client,
        tempfile.TemporaryDirectory(dir=".") as folder,
        ExitStack() as stack,
    ):
        meter = Meter(client, stack)
        for number, (source, partition) in enumerate((toy, toy, (reads, fends))):
            out = Path(folder) / str(number)
            out.mkdir()
            for name, work in stages(source, partition, out).items():
                meter.look()
                begun = time.perf_counter()
                work()
                seconds = time.perf_counter() - begun
                figures[name] = (seconds, *meter.look())
    return figures


def main(pairs: list[int], threads: list[int], fends: int = FENDS) -> list[Figures]:
    """Run all sizes on all engines; print tables and how tasks grow."""
    del threads  # engines say how many
    rows.SPAN = SPAN
    warnings.simplefilter("ignore")
    found: list[Figures] = []
    with tempfile.TemporaryDirectory(dir=".") as directory:
        folder = Path(directory)
        small = folder / "toy.zarr", folder / "toy.raw"
        units = human_fends(small[0], 4_000)
        toy = write_random_reads(small[1], units, 20_000), small[0]
        partition = folder / "fends.zarr"
        units = human_fends(partition, fends)
        for n in pairs:
            reads = write_random_reads(folder / f"{n}.raw", units, n)
            for engine in ENGINES:
                figures = measure(reads, partition, toy, engine)
                found += [
                    {
                        "stage": stage,
                        "pairs": n,
                        "engine": engine[0],
                        "workers": engine[1],
                        "s": seconds,
                        "tasks": tasks,
                        "MB moved": moved / 1e6,
                    }
                    for stage, (seconds, tasks, moved) in figures.items()
                ]
            reads.unlink()
    _report(found, pairs)
    return found


def _report(found: list[Figures], pairs: list[int]) -> None:
    def pick(stage: str, n: int, engine: str, workers: int) -> Figures:
        wanted = (stage, n, engine, workers)
        (row,) = [
            row
            for row in found
            if (row["stage"], row["pairs"], row["engine"], row["workers"]) == wanted
        ]
        return row

    names = list(dict.fromkeys(row["stage"] for row in found if SHORT not in row["stage"]))
    kinds = list(dict.fromkeys(engine for engine, _ in ENGINES))
    strong, weak, graphs, rounds = [], [], [], []
    for stage in names:
        for n in pairs:
            own = {f"{e} {w}": pick(stage, n, e, w)["s"] for e, w in ENGINES}
            strong.append(
                {
                    "stage": stage,
                    "pairs": n,
                    **{f"{name}, s": s for name, s in own.items()},
                    **{f"speed-up, {e}": own[f"{e} 1"] / own[f"{e} 2"] for e in kinds},
                }
            )
            last = pick(stage, n, *ENGINES[-1])
            graphs.append({key: last[key] for key in ("stage", "pairs", "tasks", "MB moved")})
        for half, whole in ((a, b) for a in pairs for b in pairs if b == 2 * a):
            efficiency = {
                f"{e}, efficiency": pick(stage, half, e, 1)["s"] / pick(stage, whole, e, 2)["s"]
                for e in kinds
            }
            weak.append({"stage": stage, "pairs of one": half, "pairs of two": whole, **efficiency})
    for method in ("express", "knight-ruiz"):
        for n in pairs:
            for engine in ENGINES:
                long, short = (pick(method + each, n, *engine) for each in (", all", SHORT))
                one = {key: (long[key] - short[key]) / STEPS for key in ("s", "tasks", "MB moved")}
                rounds.append(
                    {
                        "method": method,
                        "pairs": n,
                        "engine": f"{engine[0]} {engine[1]}",
                        "ms": 1000 * one["s"],
                        "tasks": one["tasks"],
                        "MB moved": one["MB moved"],
                    }
                )
    print(table("Strong scaling", strong))
    if weak:
        print(table("Weak scaling", weak))
    print(table("Graphs, on two processes", graphs))
    print(table("One iteration with all reads", rounds))
    for stage in names:
        sizes = [row for row in graphs if row["stage"] == stage]
        print(powers(f"tasks, {stage}", sizes, "tasks", ("pairs",)).replace("time", "number"))


if __name__ == "__main__":
    command(main, __doc__, "pairs", [1_000_000, 2_000_000, 4_000_000])
