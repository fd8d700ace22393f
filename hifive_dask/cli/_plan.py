"""What a command would do, before it does it: tasks, memory, and sizes of what it writes.

Tasks are those that read rows or make cells, as the functions that divide the work divide it. Sizes
are upper estimates from what is known without computing anything; docs/commands.md says how good
they are, and tests hold them against real runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from hifive_dask._store.heatmaps import SHARD as MAP_SHARD
from hifive_dask._store.heatmaps import count_cells
from hifive_dask._store.pairs import CHUNK, PairStore
from hifive_dask._store.pairs import SHARD as PAIR_SHARD
from hifive_dask.cli._settings import Settings
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap.limits import bytes_text
from hifive_dask.heatmap.sizes import check_binsize
from hifive_dask.heatmap.store import has_trans
from hifive_dask.model.cores import IN_MEMORY
from hifive_dask.model.express import ONE_TASK
from hifive_dask.model.rows import GROUP, SPAN, STEP, cis_groups, piece_groups

if TYPE_CHECKING:
    from hifive_dask import HiC
    from hifive_dask._store.places import Place
    from hifive_dask.cli._methods import Method, Values

__all__ = [
    "Step",
    "plan_combined",
    "plan_fends",
    "plan_maps",
    "plan_mrh",
    "plan_normalize",
    "plan_pairs",
    "plan_pictures",
    "plan_project",
    "plan_report",
    "plan_uncounted",
    "show_plan",
]

# Bytes. Stores have their metadata and short arrays, and then:
_STORE = 20_000
_PROJECT = 30_000  # with its history
_LEVEL = 12_000  # of further bin sizes of a store of maps
_COOLER = 45_000
_PICTURES = 2_000_000
_PAGE = 3_000_000
_FEND = 12  # borders and two features
_UNIT = 5  # of a project: filter and corrections
_TEXT_CELL = 30  # a line of observed, expected and enrichment each
_PIXEL = 2  # of a cooler
_SCORE = 10  # of a multi-resolution heatmap, with the index
_HDF5_CELL = 12  # three arrays of 32 bits
_ZARR_CELL = 6  # observed are few, expected hardly compress; 8 before compression
# Bytes of memory, of what a task holds:
_PARSED = 9  # per byte of text: the text and its columns
_READ = 110  # of a tile that is sorted and counted
_ROW = 56  # that is read, with what is made of it
_MERGED = 48  # row of a range of several stores
_CELL = 40  # of a shard
_MAP_CELL = 72  # of a map that is held as a whole
_TILE = 1 << 20  # reads
_BLOCK = 1 << 25  # text, or inflated BAM
_SHUFFLE = 10**9  # what the shuffle keeps before it goes to disk
_AMOUNTS = {
    "memory": "memory of a task",
    "kept": "kept by workers",
    "temporary": "temporary files",
    "size": "size of the result",
}


@dataclass(frozen=True)
class Step:
    """A step that would be taken.

    Parameters
    ----------
    name, out
        What it is, and the file it makes.
    tasks
        Of one round.
    rounds
        At most.
    memory
        bytes that a task holds.
    kept
        bytes that all workers together keep between rounds.
    temporary
        bytes of temporary files.
    size
        bytes of the file.
    done
        Whether it was done before, and would not be done again.
    """

    name: str
    out: str
    tasks: int
    memory: int
    size: int
    rounds: int = 1
    kept: int = 0
    temporary: int = 0
    done: bool = False


def show_plan(settings: Settings, steps: Sequence[Step]) -> None:
    """Write a plan as a table, or as JSON."""
    rows: dict[str, list[str]] = {
        "": [step.name for step in steps],
        "state": ["done" if step.done else "to do" for step in steps],
        "tasks": [f"{step.tasks:,}" for step in steps],
        "rounds of tasks": [f"{step.rounds:,}" for step in steps],
    }
    for attribute, name in _AMOUNTS.items():
        rows[name] = [bytes_text(getattr(step, attribute)) for step in steps]
    table = [(name, *values) for name, values in rows.items()]
    settings.table("Nothing was done. It would take, at most:", table)
    for step in steps:
        settings.say(f"{step.name}: {step.out}")
    settings.document(lambda: {"type": "plan", "steps": [asdict(step) for step in steps]})


# Genome and reads


def plan_fends(out: Place, units: int, *, done: bool = False) -> Step:
    """A partition of about so many fends or bins."""
    return Step("fends", str(out), 1, 100 * units, _STORE + _FEND * units, done=done)


@dataclass(frozen=True)
class Amount:
    """About how many reads there are, or pairs that were counted; bytes of text; tasks."""

    reads: int
    text: int
    jobs: int
    packed: int = 0  # bytes of text in gzip files, which are unpacked


def plan_pairs(
    out: Place, amount: Amount, units: int, *, mismatch: int = 0, done: bool = False
) -> Step:
    """Counting reads: tasks for blocks, for partitions of the shuffle, and for shards.

    Where ends of duplicates differ, tiles wait until all borders between them were looked at.
    """
    tiles = max(1, amount.reads // _TILE)
    waiting = bool(mismatch)
    block = _PARSED * min(amount.text, _BLOCK)
    shuffle = min(16 * amount.reads, _SHUFFLE)
    return Step(
        "pairs",
        str(out),
        amount.jobs + 4 * tiles + waiting * (tiles + 1) + _shards(amount.reads),
        max(block, _READ * min(amount.reads, _TILE)) + shuffle,
        _pairs_size(amount.reads, units),
        temporary=(28 + 8 * waiting) * amount.reads + amount.packed,
        done=done,
    )


def plan_combined(out: Place, stores: Sequence[PairStore], units: int) -> Step:
    """Adding up stores: a task for every 16 chunks of them all, and one for a shard."""
    rows = sum(map(len, stores))
    chunks = sum(-(-len(store) // CHUNK) for store in stores)
    return Step(
        "combine",
        str(out),
        -(-chunks // 16) + _shards(rows),
        _MERGED * min(rows, 16 * CHUNK),
        _pairs_size(rows, units),
        temporary=12 * rows,
    )


def _shards(rows: int) -> int:
    return -(-rows // PAIR_SHARD)


def _pairs_size(rows: int, units: int) -> int:
    """Sorted pairs of N units take log2(N) bits each, and some."""
    return _STORE + int(rows * math.log2(max(units, 4)) / 8)


# Projects


def plan_project(out: Place, units: Units, store: PairStore) -> Step:
    """Filter, and distances of pairs that were seen."""
    groups = cis_groups(store, range(len(units.chromosomes)))
    largest = _largest(store, groups)
    alone = [group[0] for group in groups if len(group) == 1]
    spans = sum(max(1, -(-_largest(store, [[c]]) // STEP)) for c in alone)
    tasks = 2 * len(groups) - len(alone) + spans
    memory = 8 * min(largest, IN_MEMORY) + _read(largest)
    return Step("project", str(out), tasks, memory, _PROJECT + _UNIT * len(units))


def plan_uncounted(
    out: Place, rows: int, units: int, method: Method, values: Values, *, done: bool = False
) -> Step:
    """Filter, distances and corrections of pairs that are not counted yet."""
    tasks = 3 * max(1, -(-rows // GROUP))
    memory = 8 * min(rows, IN_MEMORY) + _read(rows)
    size = _PROJECT + _UNIT * units
    rounds, kept = method.iterations(values), 0
    if method.balances:
        rounds, kept = -(-rounds // 64) if method.chooses_pairs else rounds, 8 * rows
    elif method.fit:
        memory += 24 * min(rows, IN_MEMORY)
    rounds = max(rounds, method.sweeps(values))
    memory += 48 * method.classes(values)
    return Step("project", str(out), tasks, memory, size, rounds, kept, done=done)


def plan_pictures(out: Place, rows: int, *, done: bool = False) -> Step:
    """Maps of up to 400 bins, and diagnostics."""
    return Step("pictures", str(out), 1, _read(rows), _PICTURES, done=done)


def plan_report(out: Place, rows: int, *, done: bool = False) -> Step:
    """One page, with maps of up to 400 bins."""
    return Step("report", str(out), 1, _read(rows), _PAGE, done=done)


def plan_normalize(out: Place, hic: HiC, method: Method, values: Values) -> list[Step]:
    """What a method would do; of a chain two steps."""
    chroms, most, steps = values.get("chroms", ()), method.iterations(values), []
    if method.binning:
        classes, sweeps = method.classes(values), method.sweeps(values)
        steps.append(_plan_fit(out, hic, chroms, max_iterations=sweeps, classes=classes))
    if method.balances:
        reads, alone = method.reads(values), method.chooses_pairs
        steps.append(_plan_balancing(out, hic, chroms, reads, most, alone=alone))
    elif method.fit:
        steps.append(_plan_fit(out, hic, chroms, max_iterations=most))
    return steps


def _plan_balancing(
    out: Place,
    hic: HiC,
    chroms: Sequence[str],
    usereads: str,
    max_iterations: int,
    *,
    alone: bool,
) -> Step:
    """Balancing: 8 bytes of every pair are kept, and gone through in rounds.

    `alone`: cis rows are balanced by chromosomes, many iterations a round.
    """
    store, units = hic.data.store, hic.units
    chosen = units.select(chroms)
    most = max((hi - lo for lo, hi in (store.block_rows(c, c) for c in chosen)), default=0)
    kinds = {"cis": (True,), "trans": (False,), "all": (True, False)}[usereads]
    blocks = [(a, b) for a, b in store.blocks if (a == b) in kinds and a in chosen and b in chosen]
    rows = sum(hi - lo for lo, hi in (store.block_rows(*block) for block in blocks))
    if alone and usereads == "cis" and most <= ONE_TASK:
        groups = cis_groups(store, [c for c in chosen if (c, c) in store.blocks])
        tasks, own, rounds = len(groups), _largest(store, groups), -(-max_iterations // 64)
    else:
        tasks, own, rounds = max(1, len(piece_groups(store, blocks))), SPAN, max_iterations
    memory = 8 * min(own, rows) + _read(min(own, rows))
    size = _PROJECT + _UNIT * len(units)
    return Step("normalize", str(out), tasks, memory, size, rounds, 8 * rows)


def _plan_fit(
    out: Place, hic: HiC, chroms: Sequence[str], *, max_iterations: int, classes: int = 0
) -> Step:
    """Poisson and binomial, a task for some chromosomes, or the classes of pairs of Binning."""
    store, units = hic.data.store, hic.units
    groups = cis_groups(store, [c for c in units.select(chroms) if (c, c) in store.blocks])
    own = _largest(store, groups)
    memory = 32 * own + _read(own) + 48 * classes
    size = _PROJECT + _UNIT * len(units)
    return Step("normalize", str(out), max(1, len(groups)), memory, size, max_iterations)


def _largest(store: PairStore, groups: Sequence[Sequence[int]]) -> int:
    sizes = {a: hi - lo for (a, b), (lo, hi) in store.blocks.items() if a == b}
    return max((sum(sizes.get(c, 0) for c in group) for group in groups), default=0)


def _read(rows: int) -> int:
    return _ROW * min(rows, STEP)


# Maps


def plan_maps(
    out: Place,
    hic: HiC,
    form: str,
    binsizes: Sequence[int],
    *,
    chroms: Sequence[str],
    includetrans: bool,
    trans_minbinsize: int | None = None,
) -> Step:
    """Maps of some chromosomes: shards of a store, maps of other formats."""
    units, store = hic.units, hic.data.store
    ends = hic.fends.partition.ends
    chosen = units.select(chroms)
    tasks, memory, size = 0, 0, _COOLER if form in ("cool", "mcool") else _STORE
    if form == "mcool" and len(binsizes) == 1:
        from hifive_dask.export.cool import levels_above

        binsizes = levels_above(binsizes[0], int(ends[chosen].sum()))
    for number, binsize in enumerate(binsizes):
        check_binsize(units, binsize)
        bins = _bins(units, chosen, binsize)
        trans = has_trans(binsize, includetrans, trans_minbinsize)
        cells = count_cells(bins, trans)
        if form == "zarr":
            edge = -(-sum(bins) // MAP_SHARD)
            tasks += edge * (edge + 1) // 2 if trans else max(edge, 2 * edge - 1)
            memory = max(memory, _CELL * min(sum(bins), MAP_SHARD) ** 2)
            size += _ZARR_CELL * cells + (_LEVEL if number else 0)
        elif form in ("cool", "mcool"):
            rows = _rows(store, chosen, trans)
            # So many cells have reads if all are alike; fewer if not.
            filled = int(-cells * math.expm1(-rows / max(cells, 1)))
            tasks += -(-rows // (1 << 20)) if number == 0 else 0
            memory = max(memory, 4 * _ROW * min(rows, STEP))
            size += _PIXEL * filled
        else:
            tasks += len(bins) * (len(bins) + 1) // 2 if trans else len(bins)
            top = sorted(bins, reverse=True)
            most = max(top[0] ** 2 // 2, top[0] * top[1] if trans and top[1:] else 0)
            memory = max(memory, _MAP_CELL * most)
            size += cells * (_TEXT_CELL if form == "txt" else _HDF5_CELL)
    return Step("heatmap", str(out), tasks, memory, size)


def plan_mrh(
    out: Place,
    hic: HiC,
    *,
    sizes: tuple[int, int],
    trans_sizes: tuple[int, int] | None,
    minobservations: int,
    chroms: Sequence[str],
) -> Step:
    """A task for a pair of chromosomes; at every size, a score per cell with enough reads."""
    units, store, stats = hic.units, hic.data.store, hic.data.stats
    chosen = units.select(chroms)
    scores = 0
    for trans, (largest, smallest) in ((False, sizes), (True, trans_sizes or (0, 1))):
        reads = stats["valid_trans_reads" if trans else "valid_cis_reads"]
        size = smallest
        while size <= largest:
            bins = _bins(units, chosen, size)
            within = count_cells(bins, False)
            cells = count_cells(bins, True) - within if trans else within
            scores += min(cells, reads // minobservations)
            size *= 2
    pairs = len(chosen) * (len(chosen) + 1) // 2 if trans_sizes else len(chosen)
    most = max((hi - lo for lo, hi in store.blocks.values()), default=0)
    return Step("mrh write", str(out), pairs, 3 * _ROW * most, 10_000 + _SCORE * scores)


def _bins(units: Units, chosen: Sequence[int], binsize: int) -> list[int]:
    if binsize == 0:
        return [int(units.offset[c + 1] - units.offset[c]) for c in chosen]
    return [-(-int(units.lengths[c]) // binsize) for c in chosen]


def _rows(store: PairStore, chosen: Sequence[int], trans: bool) -> int:
    own = set(chosen)
    return sum(
        hi - lo
        for (a, b), (lo, hi) in store.blocks.items()
        if a in own and b in own and (trans or a == b)
    )
