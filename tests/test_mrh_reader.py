"""Reading multi-resolution heatmaps: regions, resolutions, names."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask.errors import ParameterError, RegionError, StoreError
from hifive_dask.heatmap.mrh_file import write_mrh

from .mrh_reader import PlainMrh
from .test_mrh import EXAMPLE, Case, arrays, scale, write_example


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture
def example(tmp_path: Path) -> Any:
    return hd.open_mrh(write_example(tmp_path / "example.mrh"))


def squares(file: Any, *regions: Any, **options: Any) -> list[tuple[float, ...]]:
    """Bounds and scores."""
    table = file.squares(*regions, **options)
    rows = table[["start1", "end1", "start2", "end2", "score"]].to_numpy()
    return [tuple(row) for row in rows.tolist()]


WHOLE = [
    (0, 20, 0, 20, 1),
    (0, 20, 20, 40, -1),
    (20, 40, 0, 20, -1),
    (0, 10, 0, 10, 1),
    (0, 10, 10, 20, 2),
    (0, 10, 20, 30, 0),
    (10, 20, 0, 10, 2),
    (10, 20, 30, 40, 0),
    (20, 30, 0, 10, 0),
    (30, 40, 10, 20, 0),
]


def test_squares__of_the_example(example: Any) -> None:
    assert squares(example, "1") == squares(example, "chr1", "1") == WHOLE
    assert squares(example, "1", maxbinsize=10) == WHOLE[3:]
    assert squares(example, "1", minbinsize=20) == WHOLE[:3]
    fine = squares(example, "1", "X")
    assert fine == [(0, 10, 0, 10, 2), (0, 10, 10, 20, 2), (10, 20, 0, 10, 2), (10, 20, 10, 20, 3)]
    assert squares(example, "X", "1") == sorted((*row[2:4], *row[:2], row[4]) for row in fine)
    assert squares(example, "X") == [
        (0, 20, 0, 20, -1), (0, 10, 10, 20, 0), (10, 20, 0, 10, 0),
    ]  # fmt: skip


def test_squares__reach_into_the_region(example: Any) -> None:
    """What only touches it is outside."""
    assert squares(example, ("1", 0, 10), ("1", 20, 30)) == [
        (0, 20, 20, 40, -1), (0, 10, 20, 30, 0),
    ]  # fmt: skip
    assert squares(example, ("1", 35, 90), ("1", 19, 20)) == [
        (20, 40, 0, 20, -1), (30, 40, 10, 20, 0),
    ]  # fmt: skip
    assert squares(example, ("1", 100, 200)) == []
    table = example.squares("chrX", "1")
    assert table.columns.tolist() == ["chr1", "start1", "end1", "chr2", "start2", "end2", "score"]
    assert {*table["chr1"], *table["chr2"]} == {"X", "1"}


def test_file__tells_what_it_holds(example: Any) -> None:
    assert example.chromosomes == ("1", "X")
    assert example.minobservations == 2
    assert example.resolutions() == example.resolutions(trans=True) == (20, 10)
    assert "2 chromosomes, and pairs of them" in repr(example)
    table = example.summary()
    assert table["scores"].tolist() == [7, 6, 2]
    assert table["chrom2"].tolist() == ["1", "X", "X"]
    assert table["stop1"].tolist() == [40, 40, 20]


def test_heatmap__of_the_example(example: Any) -> None:
    nan = np.nan
    cis = example.heatmap("chr1", binsize=10)
    np.testing.assert_array_equal(
        cis["score"], [[1, 2, 0, nan], [2, nan, nan, 0], [0, nan, nan, nan], [nan, 0, nan, nan]]
    )
    assert cis["start1"].values.tolist() == [0, 10, 20, 30]
    assert cis["stop2"].values.tolist() == [10, 20, 30, 40]
    part = example.heatmap(("1", 15, 40), ("1", 0, 11), binsize=10)
    np.testing.assert_array_equal(part["score"], cis["score"].values[1:, :2])
    trans = example.heatmap("X", "1", binsize=20)
    np.testing.assert_array_equal(trans["score"], np.array([[np.log2(5), nan]], dtype=np.float32))
    assert set(trans["chromosome1"].values) == {"X"}


def test_heatmap__filled_has_the_squares_in_the_order_of_painting(example: Any) -> None:
    """Where the finest level has no score, that of the square around it shows."""
    for regions in (("1",), ("1", "X"), ("X", "1"), (("1", 15, 40), ("1", 0, 11))):
        filled = example.heatmap(*regions, binsize=10, fill=True)
        painted = np.full(filled["score"].shape, np.nan)
        for start1, end1, start2, end2, score in squares(example, *regions):
            rows = (filled["start1"].values >= start1) & (filled["stop1"].values <= end1)
            columns = (filled["start2"].values >= start2) & (filled["stop2"].values <= end2)
            painted[np.ix_(rows, columns)] = score
        np.testing.assert_array_equal(filled["score"], painted.astype(np.float32))
    assert filled.attrs["region"] == "1:15-40"
    assert example.heatmap("chrX", binsize=20).attrs["region"] == "X"


def test_builders__compute_nothing(example: Any) -> None:
    def refuse(dsk: Any, keys: Any, **_: Any) -> Any:
        raise AssertionError("something was computed")

    with dask.config.set(scheduler=refuse):
        dataset = example.heatmap("1", binsize=10)
    assert dataset["score"].shape == (4, 4)
    assert pickle.loads(pickle.dumps(example)).chromosomes == example.chromosomes


def test_names__are_found_with_and_without_chr(tmp_path: Path) -> None:
    bins = scale(10, 10, [1, 1, 1], [0, 0, 0])
    pairs = [arrays([k], [-1], [0]) for k in range(3)]
    write_mrh(tmp_path / "file.mrh", ["chr1", "2", "1"], bins, None, 1, pairs)
    file = hd.open_mrh(tmp_path / "file.mrh")
    found = {name: file.squares(name)["score"].tolist() for name in ("chr1", "1", "2", "chr2")}
    assert found == {"chr1": [0], "1": [2], "2": [1], "chr2": [1]}
    with pytest.raises(RegionError, match="unknown chromosome 'X'"):
        file.squares("X")


def test_reader__refuses(example: Any, tmp_path: Path) -> None:
    with pytest.raises(
        ParameterError, match="bins of 15 bp are not in the file; stored are 20, 10"
    ):
        example.heatmap("1", binsize=15)
    with pytest.raises(RegionError, match="has no bins of '1' from 50 to 60"):
        example.heatmap(("1", 50, 60), binsize=10)
    with pytest.raises(ParameterError, match="minbinsize 20 is above maxbinsize 10"):
        example.squares("1", minbinsize=20, maxbinsize=10)
    cis = hd.open_mrh(write_example(tmp_path / "cis.mrh", trans=False))
    assert squares(cis, "1") == WHOLE
    with pytest.raises(ParameterError, match="holds no maps of two chromosomes"):
        cis.squares("1", "X")


def test_damaged_index__is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file.mrh"
    path.write_bytes(EXAMPLE[:185] + b"\x63" + EXAMPLE[186:])
    with pytest.raises(StoreError, match="its index points to nowhere"):
        hd.open_mrh(path).squares("1")


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_regions__are_parts_of_the_whole(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """At every resolution, against the cells that a plain reader of the whole file finds."""
    case = Case(data.draw(st.integers(0, 10**6)), fends=True, corrected=True, binning=False)
    path = tmp_path_factory.mktemp("mrh") / "file.mrh"
    plain = case.write(path, "fend", minobservations=2, trans_sizes=(3000, 750))
    file = hd.open_mrh(path)
    number = data.draw(st.integers(0, len(plain.pairs) - 1))
    pair = plain.pairs[number]
    trans = pair[0] != pair[1]
    turned = data.draw(st.booleans())
    axes = (pair[1], pair[0]) if turned else pair
    stored = {}
    for cell in plain.cells(number):
        places = [(cell.row, cell.column)]
        places = [place[::-1] for place in places] if turned and trans else places
        for place in {*places, *([] if trans else [place[::-1] for place in places])}:
            stored[(cell.level, *place)] = np.float32(cell.score)
    regions = []
    for chrom in axes:
        low, high = plain.start[trans][chrom], plain.stop[trans][chrom]
        if high <= 1:
            return
        start = data.draw(st.integers(max(0, low), high - 1))
        regions.append((file.chromosomes[chrom], start, data.draw(st.integers(start + 1, high))))
    level = data.draw(st.integers(0, len(file.resolutions(trans=trans)) - 1))
    size = file.resolutions(trans=trans)[level]
    score = file.heatmap(*regions, binsize=size)
    starts = [plain.start[trans][chrom] for chrom in axes]
    for i, x in enumerate(score["start1"].values.tolist()):
        for j, y in enumerate(score["start2"].values.tolist()):
            key = level, (x - starts[0]) // size, (y - starts[1]) // size
            assert x < regions[0][2]
            assert x + size > regions[0][1]
            np.testing.assert_array_equal(score["score"].values[i, j], stored.get(key, np.nan))
    shown = set(squares(file, *regions, minbinsize=size, maxbinsize=size))
    dense = score["score"].values
    assert shown == {
        (x, x + size, y, y + size, float(dense[i, j]))
        for i, x in enumerate(score["start1"].values.tolist())
        for j, y in enumerate(score["start2"].values.tolist())
        if not np.isnan(dense[i, j])
    }


def test_sim_small__squares_are_those_of_the_reference_reader(shared: Path) -> None:
    """But for its squares that lie outside or touch the region, or that smaller ones cover."""
    folder = shared / "golden/sim-small"
    queries = json.loads((folder / "manifest.json").read_text())["mrh_queries"]
    flags = {"-c": "one", "-C": "two", "-s": "s", "-e": "e", "-S": "S", "-E": "E"}
    for query in queries:
        words = query["arguments"]
        given = {k: v for k, v in zip(words[::2], words[1::2], strict=True)}
        values = {flags[k]: v for k, v in given.items() if k in flags}
        file = hd.open_mrh(folder / query["mrh"])
        names = values["one"], values.get("two", values["one"])
        bounds = [
            tuple(None if key not in values else int(values[key]) for key in keys)
            for keys in (("s", "e"), ("S", "E"))
        ]
        table = file.squares(
            *((name, *bound) for name, bound in zip(names, bounds, strict=True)),
            minbinsize=int(given["-R"]) if "-R" in given else None,
            maxbinsize=int(given["-r"]) if "-r" in given else None,
        )
        ours = {
            tuple(line.split("\t"))
            for line in table.to_csv(sep="\t", index=False, float_format="%f").splitlines()
        }
        theirs = {
            tuple(line.split("\t")) for line in (folder / query["file"]).read_text().splitlines()
        }
        assert ours <= theirs, query
        plain = PlainMrh(folder / query["mrh"])
        number = [
            k
            for k, pair in enumerate(plain.pairs)
            if sorted(plain.names[c] for c in pair) == sorted(n[3:] for n in names)
        ]
        full = {
            (plain.maxbinsize[names[0] != names[1]] >> c.level, f"{c.score:f}")
            for c in plain.cells(number[0])
            if c.quarters == 4
        }
        for row in theirs - ours:
            x, x2, y, y2 = (int(row[k]) for k in (1, 2, 4, 5))
            edges = (x, x2, *bounds[0]), (y, y2, *bounds[1])
            outside = any(s is not None and (b <= s or a >= e) for a, b, s, e in edges)
            assert outside or (x2 - x, row[6]) in full, (query, row)
