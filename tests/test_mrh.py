"""Multi-resolution heatmaps: the bytes of the file, and the scores in it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask._kernels.heatmap import BinnedUnits, pair_cells, pair_sums_of_cells
from hifive_dask._kernels.mrh import (
    Pyramid,
    add_cells,
    cell_numbers,
    cells_of_numbers,
    coarsen,
)
from hifive_dask.errors import ParameterError, StateError, StoreError
from hifive_dask.genome.partition import Units
from hifive_dask.heatmap import mrh_file
from hifive_dask.heatmap.mrh import multiresolution_heatmap
from hifive_dask.heatmap.mrh_file import PairArrays, Scale, read_header, write_mrh
from hifive_dask.heatmap.recipe import Recipe
from hifive_dask.testing import toy_project

from .mrh_reader import PlainMrh
from .reference_model import expected_reads, pairs_of, random_binning, random_world, store_of

Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


# The example of the specification

EXAMPLE = bytes.fromhex(
    """
    42 05 42 05 00 00 00 01 00 00 00 02 00 00 00 01 00 00 00 01 31 58 00 00 00 9a 00 00 00 c8 00 00
    00 ec 00 00 00 fa 00 00 00 02 00 00 00 01 00 00 00 02 00 00 00 01 00 00 00 07 00 00 00 06 00 00
    00 02 00 00 00 03 00 00 00 02 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    00 28 00 00 00 14 00 00 00 28 00 00 00 14 bf 80 00 00 40 00 00 00 bf 80 00 00 40 00 00 00 40 40
    00 00 00 00 00 00 00 00 00 14 00 00 00 14 00 00 00 0a 00 00 00 0a 00 00 00 02 3f 80 00 00 bf 80
    00 00 7f c0 00 00 3f 80 00 00 40 00 00 00 00 00 00 00 00 00 00 00 00 00 00 03 00 00 00 05 ff ff
    ff ff 00 03 00 09 00 00 40 14 9a 78 7f c0 00 00 40 00 00 00 40 00 00 00 40 00 00 00 40 40 00 00
    00 00 00 02 ff ff ff ff 00 0f 00 00 bf 80 00 00 00 00 00 00 00 00 00 01 00 02
    """
)


def arrays(data: list[float], index: list[int], shape: list[int]) -> PairArrays:
    return PairArrays(
        np.array(data, dtype=np.float32),
        np.array(index, dtype=np.int32),
        np.array(shape, dtype=np.int16),
    )


def scale(largest: int, smallest: int, bins: list[int], start: list[int]) -> Scale:
    return Scale(largest, smallest, np.array(bins), np.array(start))


def write_example(path: Path, trans: bool = True) -> Path:
    bins = scale(20, 10, [2, 1], [0, 0])
    nan = float("nan")
    pairs = [
        arrays([1, -1, nan, 1, 2, 0, 0], [3, 5, -1], [3, 9, 0]),
        arrays([np.log2(5), nan, 2, 2, 2, 3], [2, -1], [15, 0]),
        arrays([-1, 0], [1], [2]),
    ]
    if not trans:
        del pairs[1]
    write_mrh(path, ["1", "X"], bins, bins if trans else None, 2, pairs)
    return path


def test_write__gives_the_bytes_of_the_example(tmp_path: Path) -> None:
    assert write_example(tmp_path / "example.mrh").read_bytes() == EXAMPLE


def test_header__is_read_as_it_was_written(tmp_path: Path) -> None:
    header = read_header(write_example(tmp_path / "example.mrh"))
    assert header.names == ("1", "X")
    assert header.offset.tolist() == [154, 200, 236, 250]
    assert header.trans is not None
    assert header.trans.stop.tolist() == header.cis.stop.tolist() == [40, 20]
    assert header.minscore.tolist() == [-1, 2, -1]
    assert header.maxscore.tolist() == [2, 3, 0]
    assert (header.cis.maxbinsize, header.cis.minbinsize, header.cis.depth) == (20, 10, 1)
    assert header.minobservations == 2


def test_header__without_trans_has_one_pair_per_chromosome(tmp_path: Path) -> None:
    header = read_header(write_example(tmp_path / "example.mrh", trans=False))
    assert header.trans is None
    assert header.data_size.tolist() == [7, 2]


@pytest.mark.parametrize("length", [2, 3, 12, 30, 120, 153, 200, 249])
def test_header__of_a_file_cut_short_is_an_error(tmp_path: Path, length: int) -> None:
    path = tmp_path / "cut.mrh"
    path.write_bytes(EXAMPLE[:length])
    with pytest.raises(
        StoreError, match=r"ends within the header|cut short|is no multi-resolution"
    ):
        read_header(path)
    with pytest.raises(StoreError, match="does not exist"):
        read_header(tmp_path / "none.mrh")


def test_write__replaces_only_files_of_its_kind(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    with pytest.raises(StoreError, match="is no multi-resolution heatmap and would be replaced"):
        write_example(other)
    assert other.read_text() == "mine"
    path = write_example(write_example(tmp_path / "example.mrh"))
    assert sorted(tmp_path.iterdir()) == [path, other]


def test_write__refuses_what_offsets_cannot_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_example(tmp_path / "example.mrh")
    monkeypatch.setattr(mrh_file, "LARGEST", 200)
    with pytest.raises(ParameterError, match="would have more than 200 bytes"):
        write_example(path, trans=True)
    assert path.read_bytes() == EXAMPLE
    assert list(tmp_path.iterdir()) == [path]


# Numbers of cells


@pytest.mark.parametrize("triangle", [True, False])
def test_numbers__sort_cells_as_a_file_does(triangle: bool) -> None:
    pyramid = Pyramid(3, 3 if triangle else 2, 2, triangle)
    size = 4 * pyramid.rows, 4 * pyramid.columns
    row, column = (
        np.array(axis, dtype=np.int64)
        for axis in zip(
            *((i, j) for i in range(size[0]) for j in range(i if triangle else 0, size[1])),
            strict=True,
        )
    )
    number = cell_numbers(row, column, pyramid)
    assert len(set(number.tolist())) == len(number)
    assert number.max() < pyramid.size * 16

    def order(cell: tuple[int, int]) -> tuple[Any, ...]:
        i, j = cell
        return (i // 4, j // 4), (i // 2 % 2, j // 2 % 2), (i % 2, j % 2)

    cells = list(zip(row.tolist(), column.tolist(), strict=True))
    assert [cells[k] for k in np.argsort(number)] == sorted(cells, key=order)
    for level in range(3):
        found = cells_of_numbers(number >> (2 * (2 - level)), level, pyramid)
        np.testing.assert_array_equal(found[0], row >> (2 - level))
        np.testing.assert_array_equal(found[1], column >> (2 - level))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 2**31)), max_size=60))
def test_sums__are_those_of_a_counter(reads: list[tuple[int, int]]) -> None:
    number, count = np.array(reads, dtype=np.int64).reshape(-1, 2).T
    cells = add_cells(number, count)
    for shift in (0, 2):
        wanted: Counter[int] = Counter()
        for place, amount in reads:
            wanted[place >> shift] += amount
        found = cells if shift == 0 else coarsen(cells)
        pairs = zip(found.number.tolist(), found.count.tolist(), strict=True)
        assert list(pairs) == sorted(wanted.items())


def test_pair_sums__of_chosen_cells_are_those_of_the_matrix() -> None:
    rng = np.random.default_rng(3)
    units, _ = random_world(3, fends=True, density=0.1, sizes=[20, 2, 2])
    model, _ = random_binning(units, 3, [2, 3])
    edge = np.array([0, 5, 5, 12, 20])
    binned = BinnedUnits(0, edge, units.mid[:20], rng.random(20), model.fend_indices[:20])
    law = np.array([3000]), np.array([-0.7, -1.2]), np.array([0.7, 1.1])
    cells = np.zeros((4, 4))
    pair_cells(binned, binned, model.corrections, *law, cells)
    rows, columns = np.triu_indices(4)
    found = pair_sums_of_cells(binned, binned, rows, columns, model.corrections, *law)
    np.testing.assert_array_equal(found, cells[rows, columns])


# Scores

SIZES = (2000, 250)
DISTANCE = np.array([[np.log(1500), -0.7, 1.0], [np.inf, -1.1, 4.0]], dtype=np.float32)


class Case:
    """A random world with everything learned, and a file of it."""

    def __init__(self, seed: int, *, fends: bool, corrected: bool, binning: bool) -> None:
        rng = np.random.default_rng(seed + 1000)
        self.units, self.rows = random_world(seed, fends=fends, density=0.4)
        start, stop = self.units.mid - 100, self.units.mid + 100
        self.units = replace(self.units, start=start, stop=stop)
        n = len(self.units)
        self.valid = (rng.random(n) < 0.8).astype(np.int32)
        self.corrections = rng.uniform(0.5, 2, n).astype(np.float32) if corrected else None
        self.binning, self.factors = None, np.ones((n, n))
        if binning:
            self.binning, self.factors = random_binning(self.units, seed, [2, 3])
        self.means = rng.normal(0, 0.3, 3).astype(np.float32)

    def write(self, path: Path, datatype: str, **options: Any) -> PlainMrh:
        multiresolution_heatmap(
            path,
            Recipe(
                self.units,
                store_of(self.rows, self.units),
                self.valid,
                datatype,  # type: ignore[arg-type]
                self.corrections,
                self.binning,
                DISTANCE,
                self.means,
            ),
            silent=True,
            **{"cis_sizes": SIZES, "trans_sizes": SIZES, "minobservations": 3, **options},
        )
        return PlainMrh(path)

    def weight(self, i: int, j: int, datatype: str) -> float:
        """What is expected of a pair, but for trans means."""
        value = 1.0
        if datatype in ("fend", "enrichment"):
            value *= self.factors[i, j]
            if self.corrections is not None:
                value *= float(self.corrections[i]) * float(self.corrections[j])
        if datatype in ("distance", "enrichment") and self.cis(i, j):
            value *= expected_reads(self.units, i, j, DISTANCE, self.means)
        return value

    def cis(self, i: int, j: int) -> bool:
        return bool(self.units.chromosome[i] == self.units.chromosome[j])

    def trans_mean(self, a: int, b: int) -> float:
        total = 0.0
        for i, j, n in self.rows.tolist():
            if {a, b} == {*self.units.chromosome[[i, j]].tolist()} and self.valid[[i, j]].all():
                c = [1.0, 1.0] if self.corrections is None else self.corrections[[i, j]].tolist()
                total += n / (c[0] * c[1])
        used = [int(self.valid[self.units.span(k)].sum()) for k in (a, b)]
        return total / max(1, used[0] * used[1])


def cells_of(
    case: Case, file: PlainMrh, number: int, chroms: list[int], datatype: str
) -> list[tuple[Counter[Any], Counter[Any]]]:
    """Reads and expected reads of all cells of every level, by loops over pairs."""
    one, two = file.pairs[number]
    trans = one != two
    levels = []
    size = file.maxbinsize[trans]
    while size >= file.minbinsize[trans]:
        seen: Counter[Any] = Counter()
        expected: Counter[Any] = Counter()
        for target, pairs in (
            (seen, case.rows.tolist()),
            (expected, [(i, j, case.weight(i, j, datatype)) for i, j, _ in pairs_of(case.units)]),
        ):
            for i, j, amount in pairs:
                own = case.units.chromosome[[i, j]].tolist()
                if sorted(own) != sorted((chroms[one], chroms[two])) or not (
                    case.valid[i] and case.valid[j]
                ):
                    continue
                ends = [i, j] if own == [chroms[one], chroms[two]] else [j, i]
                cell = tuple(
                    (int(case.units.mid[unit]) - file.start[trans][k]) // size
                    for unit, k in zip(ends, (one, two), strict=True)
                )
                target[cell] += amount
        if trans and datatype in ("distance", "enrichment"):
            mean = case.trans_mean(chroms[one], chroms[two])
            expected = Counter({cell: value * mean for cell, value in expected.items()})
        levels.append((seen, expected))
        size //= 2
    return levels


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_scores__are_those_of_a_loop_over_pairs_at_all_levels(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    datatype = data.draw(st.sampled_from(["raw", "fend", "distance", "enrichment"]))
    model = data.draw(st.sampled_from([(True, False), (False, True), (True, True)]))
    fends = data.draw(st.booleans())
    case = Case(data.draw(st.integers(0, 10**6)), fends=fends, corrected=model[0], binning=model[1])
    chroms = data.draw(st.sampled_from([[0, 1, 2], [2, 0], [1]]))
    options = {
        "chroms": [case.units.chromosomes[c] for c in chroms],
        "minobservations": data.draw(st.integers(1, 12)),
        "trans_sizes": data.draw(st.sampled_from([SIZES, None, (3000, 3000)])),
    }
    folder = tmp_path_factory.mktemp("mrh")
    file = case.write(folder / "file.mrh", datatype, **options)
    for number, pair in enumerate(file.pairs):
        levels = cells_of(case, file, number, chroms, datatype)
        stored = {(c.level, c.row, c.column): c.score for c in file.cells(number)}
        wanted = {
            (level, *cell): np.log2(count / expected[cell])
            for level, (seen, expected) in enumerate(levels)
            for cell, count in seen.items()
            if count >= options["minobservations"]
        }
        assert stored.keys() == wanted.keys(), pair
        for key, score in wanted.items():
            assert stored[key] == pytest.approx(score, rel=1e-5, abs=1e-5), (pair, key)
        known = list(stored.values()) or [0.0]
        assert (file.low[number], file.high[number]) == (min(known), max(known))


@pytest.mark.parametrize("seed", range(4))
def test_counts__of_a_cell_are_the_sum_of_its_quarters(seed: int, tmp_path: Path) -> None:
    """With raw expectation scores tell counts, and a low threshold stores every cell with reads."""
    case = Case(seed, fends=False, corrected=True, binning=False)
    file = case.write(tmp_path / "file.mrh", "raw", minobservations=1)
    assert file.stop == [
        tuple(a + n * size for a, n in zip(start, bins, strict=True))
        for start, bins, size in zip(file.start, file.bins, file.maxbinsize, strict=True)
    ]
    for number in range(len(file.pairs)):
        levels = cells_of(case, file, number, [0, 1, 2], "raw")
        counts: dict[tuple[int, int, int], float] = {}
        for cell in file.cells(number):
            expected = levels[cell.level][1][cell.row, cell.column]
            counts[cell[:3]] = float(np.exp2(cell.score)) * expected
        for (level, row, column), count in counts.items():
            if level < 3:
                quarters = [
                    counts.get((level + 1, 2 * row + r, 2 * column + c), 0.0)
                    for r in range(2)
                    for c in range(2)
                ]
                assert sum(quarters) == pytest.approx(count, rel=1e-4)


def test_one_level__has_entries_without_quarters(tmp_path: Path) -> None:
    case = Case(1, fends=True, corrected=True, binning=False)
    file = case.write(tmp_path / "file.mrh", "raw", cis_sizes=(500, 500), trans_sizes=None)
    for number in range(3):
        data, index, shape = file.arrays(number)
        assert len(data) == len(index) == len(shape) > 0
        assert set(index) == {-1}
        assert set(shape) == {0}


def test_chromosome_without_units_in_use__has_no_arrays(tmp_path: Path) -> None:
    case = Case(2, fends=True, corrected=True, binning=False)
    case.valid[case.units.span(1)] = 0
    names, offset = case.units.chromosomes, case.units.offset
    case.units = replace(  # and one without any units
        case.units, chromosomes=(*names, "c3"), offset=np.r_[offset, offset[-1]]
    )
    case.means = np.zeros(4, dtype=np.float32)
    file = case.write(tmp_path / "file.mrh", "enrichment", minobservations=1000)
    assert file.bins[0][1] == file.start[0][1] == file.stop[1][1] == 0
    empty = [1 in pair or 3 in pair for pair in file.pairs]
    assert [size == 0 for size in file.data_size] == empty
    assert set(file.low) == set(file.high) == {0}
    assert not any(list(file.cells(number)) for number in range(10))


def test_geometry__centres_bins_on_the_units_in_use(tmp_path: Path) -> None:
    """The example of the specification, and rounding of a half to the even number."""
    units = Units(
        ("a", "b"),
        np.array([0, 2, 4]),
        np.array([16010, 401000, 0, 30], dtype=np.int32),
        np.array([16500, 401276, 10, 40], dtype=np.int32),
        np.array([16255, 401138, 5, 35], dtype=np.int32),
        True,
    )
    store, file_of = store_of(np.array([(0, 1, 9)]), units), {}
    for size in (160000, 5):
        path = tmp_path / f"{size}.mrh"
        multiresolution_heatmap(
            path,
            Recipe(units, store, np.ones(4, dtype=np.int32), "raw"),
            cis_sizes=(size, size), trans_sizes=None, minobservations=1,
            chroms=["a"] if size > 5 else ["b"], silent=True,
        )  # fmt: skip
        file_of[size] = PlainMrh(path)
    assert (file_of[160000].bins[0][0], file_of[160000].start[0][0]) == (3, -31357)
    assert (file_of[5].bins[0][0], file_of[5].start[0][0]) == (8, 0)


def test_trans__with_chromosomes_turned_is_the_transpose(tmp_path: Path) -> None:
    case = Case(5, fends=True, corrected=True, binning=True)
    found = []
    for chroms in ((0, 2), (2, 0)):
        names = [case.units.chromosomes[c] for c in chroms]
        file = case.write(tmp_path / "file.mrh", "enrichment", chroms=names)
        found.append({c[:3]: c.score for c in file.cells(1)})
    turned = {(level, column, row): score for (level, row, column), score in found[1].items()}
    assert found[0].keys() == turned.keys() != set()
    for key, score in found[0].items():
        assert turned[key] == pytest.approx(score, abs=1e-5)


# The method

GOLDEN = {
    "fend", "enrichment", "raw_notrans", "distance_chroms", "one_level", "binning",
    "high_threshold",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_sim_small__file_equals_the_reference(name: str, shared: Path, tmp_path: Path) -> None:
    folder = shared / "golden/sim-small"
    calls = json.loads((folder / "calls.json").read_text())["mrh"]
    assert calls.keys() == GOLDEN
    state, options = calls[name]
    hic = hd.HiC(folder / f"hifive/state_{state}.hcp", silent=True)
    path = tmp_path / "file.mrh"
    hic.write_multiresolution_heatmap(path, **options)
    ours, reference = PlainMrh(path), PlainMrh(folder / f"mrh/{name}.mrh")
    for key in ("names", "offset", "bins", "start", "stop", "maxbinsize", "minbinsize"):
        assert getattr(ours, key) == getattr(reference, key), key
    for number in range(len(ours.pairs)):
        data, *rest = ours.arrays(number)
        data2, *rest2 = reference.arrays(number)
        assert rest == rest2
        np.testing.assert_allclose(data, data2, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> hd.HiC:
    hic = hd.HiC(toy_project(tmp_path_factory.mktemp("toy")), silent=True)
    hic.filter_fends(mininteractions=5)
    return hic


SMALL: dict[str, Any] = {"datatype": "raw", "maxbinsize": 40_000, "minbinsize": 10_000}


def test_file__has_the_same_bytes_on_every_scheduler(
    toy: hd.HiC, tmp_path: Path, on_every_scheduler: Any
) -> None:
    path = tmp_path / "file.mrh"

    def content(scheduler: str) -> bytes:
        toy.write_multiresolution_heatmap(path, **SMALL)
        return path.read_bytes()

    assert len(set(on_every_scheduler(content))) == 1


def test_midbinsize__changes_nothing(toy: hd.HiC, tmp_path: Path) -> None:
    contents = set()
    for midbinsize in (10_000, 20_000, 1_000_000):
        path = tmp_path / "file.mrh"
        toy.write_multiresolution_heatmap(path, **SMALL, midbinsize=midbinsize)
        contents.add(path.read_bytes())
    assert len(contents) == 1


def test_names__lose_chr_unless_told_otherwise(toy: hd.HiC, tmp_path: Path) -> None:
    path = tmp_path / "file.mrh"
    toy.write_multiresolution_heatmap(path, **SMALL, chroms=["chr3", "chr1"])
    assert PlainMrh(path).names == ["3", "1"]
    toy.write_multiresolution_heatmap(path, **SMALL, reference_names=False)
    assert PlainMrh(path).names == ["chr1", "chr2", "chr3"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"maxbinsize": 30_000}, ParameterError, "use 20,000 or 40,000"),
        ({"maxbinsize": 5_000}, ParameterError, "maxbinsize 5,000 is not minbinsize 10,000 times"),
        ({"minbinsize": 0}, ParameterError, "expected bp above 0"),
        ({"trans_maxbinsize": 50_000}, ParameterError, "trans_maxbinsize 50,000 is not trans_min"),
        ({"trans_minbinsize": 0}, ParameterError, "trans_minbinsize 0, expected bp above 0"),
        ({"minobservations": 0}, ParameterError, "minobservations is 0, expected 1 or more"),
        ({"chroms": ["chr9"]}, ParameterError, "unknown chromosome 'chr9'; known are: chr1"),
        ({"chroms": ["chr1", "chr1"]}, ParameterError, "names a chromosome twice"),
        ({"datatype": "expected"}, ParameterError, "unknown datatype 'expected'; known are"),
        ({"datatype": "fend"}, StateError, "needs corrections"),
        ({"datatype": "distance"}, StateError, "needs the distance dependence"),
        ({"maxbinsize": 8, "minbinsize": 8}, ParameterError, "more than 2,147,483,647 bytes"),
    ],
)
def test_method__refuses(
    toy: hd.HiC, tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        toy.write_multiresolution_heatmap(tmp_path / "file.mrh", **{**SMALL, **options})
    assert list(tmp_path.iterdir()) == []


def test_names__that_are_equal_without_chr_are_refused(tmp_path: Path) -> None:
    case = Case(1, fends=True, corrected=True, binning=False)
    case.units = replace(case.units, chromosomes=("chr1", "1", "chr"))
    with pytest.raises(ParameterError, match="reference_names=False"):
        case.write(tmp_path / "file.mrh", "raw")
    file = case.write(tmp_path / "file.mrh", "raw", reference_names=False)
    assert file.names == ["chr1", "1", "chr"]
