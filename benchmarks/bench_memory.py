"""Workers of little memory: peak memory of the client and of workers, by number of pairs.

Two worker processes share the work; a worker that grows beyond its limit is killed by its nanny and
counted as lost. Baseline of a worker: its memory once it has imported what tasks need.

    python bench_memory.py --pairs 10_000_000 40_000_000 --memory 512MB
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin
from harness import (
    human_fends,
    memory_store,
    peak_gb,
    random_cis_pairs,
    table,
    write_random_reads,
)

from hifive_dask import Fend, HiC, HiCData
from hifive_dask._store.pairs import write_pairs
from hifive_dask.cluster import session

STAGES = ("load", "filter", "distance", "express", "store")


class _Losses(SchedulerPlugin):  # type: ignore[misc]
    """Counts workers that leave."""

    name = "losses"
    lost = 0

    def remove_worker(self, *_: Any, **__: Any) -> None:
        """See `SchedulerPlugin`."""
        self.lost += 1


async def _add(scheduler: Any, plugin: _Losses) -> None:
    scheduler.add_plugin(plugin, name=plugin.name)


def _import_stages() -> float:
    """What tasks import; the peak memory of this process."""
    import hifive_dask.heatmap.store
    import hifive_dask.model.express
    import hifive_dask.reads.pipeline  # noqa: F401

    return peak_gb()


def work(stage: str, folder: Path, pairs: int) -> None:
    """Do one stage; the project of all but the first one has so many pairs."""
    if stage == "load":
        data = HiCData(folder / f"loaded-{pairs}.zarr", "w", silent=True)
        data.load_data_from_raw(folder / "fends.zarr", folder / f"{pairs}.raw", 500)
        return
    hic = HiC(folder / f"{pairs}.project.zarr", silent=True)
    if stage == "filter":
        hic.filter_fends(mininteractions=5)
    elif stage == "distance":
        hic.find_distance_parameters(numbins=40, minsize=2000)
    elif stage == "express":
        hic.find_express_fend_corrections(remove_distance=False, iterations=10, max_iterations=10,
                                          on_nonconvergence="ignore")  # fmt: skip
    else:
        hic.write_heatmap(folder / f"{pairs}-maps.zarr", 200_000, datatype="raw")


def measure(stage: str, folder: Path, pairs: int, memory: str) -> dict[str, Any]:
    """Figures of one stage, in the process that is the client."""
    with session("local", workers=2, memory=memory) as client:
        losses = _Losses()
        client.sync(_add, client.cluster.scheduler, losses)
        before = max(client.run(_import_stages).values())
        start, error = time.perf_counter(), ""
        try:
            work(stage, folder, pairs)
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"[:60]
        seconds = time.perf_counter() - start
        lost = losses.lost
        peak = max(client.run(peak_gb).values(), default=0.0)
    return {
        "stage": stage,
        "pairs": pairs,
        "memory": memory,
        "s": seconds,
        "client peak GB": peak_gb(),
        "worker at first GB": before,
        "worker peak GB": peak,
        "workers lost": lost,
        "error": error or "none",
    }


def apart(function: Any, *arguments: Any) -> Any:
    """Run in a process of its own, which may start processes."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def prepare(folder: Path, pairs: int, fends: int, reads: bool) -> None:
    """Write a genome, pairs, a project of them, and reads."""
    units = human_fends(folder / "fends.zarr", fends)
    if reads:
        write_random_reads(folder / f"{pairs}.raw", units, pairs)
    partition = {"fends": "fends.zarr", "fends_token": Fend(folder / "fends.zarr").token}
    store = memory_store(units, random_cis_pairs(units, pairs))
    write_pairs(folder / f"{pairs}.zarr", store, partition)
    hic = HiC(folder / f"{pairs}.project.zarr", "w", silent=True)
    hic.load_data(folder / f"{pairs}.zarr")
    hic.save()


def main(
    pairs: Sequence[int], memory: str, stages: Sequence[str] = STAGES, fends: int = 1_600_000
) -> list[dict[str, Any]]:
    """Run all stages and sizes; print a table."""
    rows = []
    with tempfile.TemporaryDirectory(dir=".") as directory:
        folder = Path(directory).absolute()
        for number in pairs:
            apart(prepare, folder, number, fends, "load" in stages)
            for stage in stages:
                rows.append(apart(measure, stage, folder, number, memory))
                print(rows[-1], flush=True)
    print(table("Workers of little memory", rows))
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[10_000_000, 40_000_000])
    parser.add_argument("--memory", default="512MB")
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES)
    parser.add_argument("--json", type=Path, help="Also save the figures here.")
    options = parser.parse_args()
    found = main(options.pairs, options.memory, options.stages)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
