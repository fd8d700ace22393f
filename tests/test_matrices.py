"""Matrices of binned reads: text, HDF5, npz."""

from __future__ import annotations

import gzip
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dask
import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import hifive_dask as hd
from hifive_dask._kernels.read_matrix import parse_row
from hifive_dask._store.pairs import PairStore
from hifive_dask.errors import InputError, InputWarning, ParameterError
from hifive_dask.genome.partition import Partition
from hifive_dask.provenance import History
from hifive_dask.reads.matrices import MatrixCounts, MatrixFormat
from hifive_dask.reads.matrix_arrays import _unfold
from hifive_dask.reads.matrix_axis import match_names
from hifive_dask.reads.pipeline import load_counts

from .worlds import bin_partition, fend_partition

WORLD = bin_partition({"chr1": 150, "chr2": 100}, 50)
CIS = [[1, 2, 3], [9, 4, 5], [9, 9, 6]]
CIS_ROWS = [(0, 0, 1), (0, 1, 2), (0, 2, 3), (1, 1, 4), (1, 2, 5), (2, 2, 6)]
TRANS = [[1, 2], [0, 4], [5, 0]]
TRANS_ROWS = [(0, 3, 1), (0, 4, 2), (1, 4, 4), (2, 3, 5)]

Matrix = Sequence[Sequence[object]]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def text_of(rows: Matrix, labels: Sequence[str] = (), columns: Sequence[str] | None = None) -> str:
    lines = ["\t".join(map(str, row)) for row in rows]
    if labels:
        lines = [f"{label}\t{line}" for label, line in zip(labels, lines, strict=True)]
        lines.insert(0, "\t".join(["bins", *(labels if columns is None else columns)]))
    return "\n".join(lines) + "\n"


def load(
    directory: Path,
    files: Mapping[str, str | bytes],
    partition: Partition = WORLD,
    template: str = "*.txt",
    format: MatrixFormat | None = None,
    block_bytes: int = 1 << 20,
) -> PairStore:
    folder = directory / f"m{len(list(directory.iterdir()))}"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    source = MatrixCounts(folder / template, partition, format, block_bytes=block_bytes)
    target = folder / "pairs.zarr"
    load_counts(
        target, partition, source, history=History(), call=("test", {}), attributes={}, silent=True
    )
    return PairStore.open(target)


def triples(store: PairStore) -> list[tuple[int, int, int]]:
    return sorted(tuple(map(int, row)) for row in zip(*store.rows_of(0, len(store))(), strict=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("prefix", ["", "a|b|"])
def test_t30_labelled_or_not(tmp_path: Path, prefix: str) -> None:
    plain = load(tmp_path, {"chr1.txt": text_of(CIS), "chr1_by_chr2.txt": text_of(TRANS)})
    assert triples(plain) == sorted(CIS_ROWS + TRANS_ROWS)
    assert {name: n for name, n in plain.stats.items() if n} == {
        "total_reads": 33, "valid_cis_reads": 21, "valid_trans_reads": 12, "valid_cis_pairs": 6,
        "valid_trans_pairs": 4,
    }  # fmt: skip
    labels = [f"{prefix}chr1:{s}-{s + 50}" for s in (0, 50, 100)]
    assert triples(load(tmp_path, {"chr1.txt": text_of(CIS, labels)})) == CIS_ROWS
    others = [f"{prefix}chr2:{s}-{s + 50}" for s in (0, 50)]
    trans = text_of(TRANS, labels, others)
    assert triples(load(tmp_path, {"chr1_by_chr2.txt": trans})) == TRANS_ROWS


@pytest.mark.parametrize(
    ("labels", "rows", "expected", "outside"),
    [
        (["chr1:100-150", "chr1:0-50"], [[1, 2], [9, 4]], [(0, 0, 4), (0, 2, 2), (2, 2, 1)], 0),
        (["chr1:0-25", "chr1:25-50"], [[1, 2], [9, 4]], [(0, 0, 7)], 0),
        (["chr1:0-50", "chr1:150-200"], [[1, 2], [9, 4]], [(0, 0, 1)], 6),
    ],
)
def test_t31_t32_labels_decide_the_bins(
    tmp_path: Path,
    labels: list[str],
    rows: Matrix,
    expected: list[tuple[int, int, int]],
    outside: int,
) -> None:
    store = load(tmp_path, {"chr1.txt": text_of(rows, labels)})
    assert triples(store) == expected
    assert store.stats["out_of_bounds"] == outside
    assert store.stats["total_reads"] == outside + sum(n for _, _, n in expected)


def test_t33_either_chromosome_may_be_the_rows(tmp_path: Path) -> None:
    turned = text_of(list(zip(*TRANS, strict=True)))
    one = load(tmp_path, {"chr1_by_chr2.txt": text_of(TRANS)})
    assert load(tmp_path, {"chr2_by_chr1.txt": turned}).token == one.token


@pytest.mark.parametrize(
    "text",
    [
        text_of(CIS) + "\n",
        "\n\n# from an experiment\n" + text_of(CIS).replace("\n", "\t\t\n"),
        text_of(CIS).replace("\n", "\r\n"),
        text_of(CIS)[:-1],
        text_of([[float(n) for n in row] for row in CIS]),
        text_of(CIS).replace("9", "9.0"),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_t31_blank_lines_and_spellings_of_numbers_do_not_matter(
    tmp_path: Path, text: str, block_bytes: int
) -> None:
    files = {"chr1.txt": text}
    assert triples(load(tmp_path, files, block_bytes=block_bytes)) == CIS_ROWS
    packed = {"chr1.txt.gz": gzip.compress(text.encode())}
    store = load(tmp_path, packed, template="*.txt.gz", block_bytes=block_bytes)
    assert triples(store) == CIS_ROWS


def test_names__with_and_without_chr(tmp_path: Path) -> None:
    bare = bin_partition({"1": 150, "2": 100}, 50)
    files = {"chr1.txt": text_of(CIS), "chr2_by_chr1.txt": text_of([*zip(*TRANS, strict=True)])}
    assert triples(load(tmp_path, files, bare)) == sorted(CIS_ROWS + TRANS_ROWS)


def test_names__preferred_ones_win() -> None:
    names = [
        "chr1_by_chr2", "1_by_2", "2_by_1", "chr1", "1.counts", "1", "a_by_b", "a_by_b_by_1",
        "1_by_1", "odd",
    ]  # fmt: skip
    found, others = match_names(names, ["1", "2", "a_by_b"], ("", ".counts"))
    assert found == {(0, 0): "1", (0, 1): "1_by_2", (2, 0): "a_by_b_by_1", (2, 2): "a_by_b"}
    assert sorted(others) == ["1.counts", "1_by_1", "2_by_1", "chr1", "chr1_by_chr2", "odd"]


def test_template__may_name_the_chromosome_twice_and_hold_special_letters(tmp_path: Path) -> None:
    folder = tmp_path / "a[1]"
    for name in ("chr1", "chr2"):
        (folder / name).mkdir(parents=True)
        size = len(WORLD.units.start[WORLD.units.span(WORLD.chromosomes.index(name))])
        (folder / name / f"{name}+.txt").write_text(text_of([[1] * size] * size))
    (folder / "chr2" / "chr1+.txt").write_text(text_of(TRANS))
    source = MatrixCounts(folder / "*" / "*+.txt", WORLD)
    jobs = source.prepare(str(tmp_path), True)
    assert sorted(int(job().unit1.max()) for job in jobs) == [2, 4]


def test_template__unused_files_are_named(tmp_path: Path) -> None:
    files = {"chr1.txt": text_of(CIS), "chrM.txt": "1\n", "1.txt": text_of(CIS)}
    with pytest.warns(InputWarning, match=r"2 file\(s\) are not used, .*: 1, chrM"):
        assert triples(load(tmp_path, files)) == CIS_ROWS


def test_surplus__is_out_of_bounds_and_warned_of(tmp_path: Path) -> None:
    rows = [[*row, 7] for row in CIS] + [[0, 0, 0, 1]]
    with pytest.warns(InputWarning, match=r"chr1\.txt: has 4 rows or columns, but chr1 only 3 bi"):
        store = load(tmp_path, {"chr1.txt": text_of(rows)})
    assert triples(store) == CIS_ROWS
    assert store.stats["out_of_bounds"] == 22


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("chr1.txt", text_of([[1, 2], [2, 1]]), r"chr1\.txt: has 2 rows, but chr1 has 3 bins"),
        ("chr1.txt", text_of([[1, 2]] * 3), r"chr1\.txt: has 2 columns, but chr1 has 3 bins"),
        ("chr1.txt", "1\t2\t3\n\n4\t5\n6\t7\t8\n", r"chr1\.txt:3: the row has 2 numbers, exp.* 3"),
        ("chr1.txt", text_of([[1, 2, 3], [1, 0.5, 2], [1, 2, 3]]),
         r"chr1\.txt:2: 0\.5 is not a whole number .*\s+counts are whole numbers; load observed"),
        ("chr1.txt", text_of([[1, 2, 3], [1, "nan", 2], [1, 2, 3]]), r"chr1\.txt:2: 'nan' is not"),
        ("chr1.txt", text_of([[1, 2, 3], [1, -1, 2], [1, 2, 3]]), r"chr1\.txt:2: -1 is not a who"),
        ("chr1.txt", text_of([[1, 2, 3], [1, 2**31, 2], [1, 2, 3]]), r"txt:2: 2147483648 is not"),
        ("chr1.txt", text_of([[1, 2, 3], [1, "x", 2], [1, 2, 3]]), r"chr1\.txt:2: 'x' is not a nu"),
        ("chr1.txt", text_of([[1, 2, 3], ["y", 1, 2], [1, 2, 3]]),
         r"chr1\.txt:2: the row begins with 'y', expected a number"),
        ("chr1.txt", "\tchr1:0-50\n7\t1\n", r"chr1\.txt:2: .* '7', expected a label as in other"),
        ("chr1.txt", "1 2 3\n", r"chr1\.txt:1: the first line has no tab; it begins with .1 2 3"),
        ("chr1.txt", text_of([[1]], ["bin1"]), r"the label 'bin1' does not end in chromosome:sta"),
        ("chr1.txt", text_of([[1]], ["chr2:0-50"]), r"the label 'chr2:0-50' is of chr2, exp"),
        ("chr1.txt", text_of([[1, 2]], ["chr1:0-50"], ["chr1:0-50", "chr1:50-100"]),
         r"labels of rows .* differ: label 2 is 'missing' for the rows and 'chr1:50-100' for the"),
        ("chr1.txt", "\n", r"chr1\.txt: holds no rows"),
        ("chr1.txt", "", r"chr1\.txt: is empty"),
        ("chr1.txt", text_of([[0] * 3] * 3), r"\*\.txt: holds no reads"),
        ("chr9.txt", text_of(CIS), r"holds no matrix of .*; names are chr9, chromosomes chr1"),
    ],
)  # fmt: skip
def test_faulty_matrix__is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(tmp_path, {name: text})
    (folder,) = tmp_path.iterdir()
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "format", "partition", "message"),
    [
        ("x.txt", None, WORLD, r"cannot tell the format of matrices by the name .*x\.txt'"),
        ("x.txt", "csv", WORLD, "by format 'csv'; give format as 'txt', 'hdf5' or 'npz'"),
        ("x.txt", "txt", WORLD, r"has no \*, which stands for"),
        ("*.txt", None, fend_partition({"chr1": [1, 20, 50]}), "the partition has no bins"),
    ],
)
def test_arguments__are_checked(
    tmp_path: Path, name: str, format: Any, partition: Partition, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        MatrixCounts(tmp_path / name, partition, format)


@given(
    st.lists(st.sampled_from(["0", "7", "12", "2147483647", "007", "2147483648", "x", "", "1.5"]))
)
def test_parse_row__equals_oracle(cells: list[str]) -> None:
    column, value, width = parse_row(np.frombuffer("\t".join(cells).encode(), dtype=np.uint8))
    if not cells or not all(cell.isdigit() and int(cell) < 2**31 for cell in cells):
        assert width == -1
        return
    numbers = [int(cell) for cell in cells]
    assert width == len(cells)
    assert dict(zip(column.tolist(), value.tolist(), strict=True)) == {
        k: n for k, n in enumerate(numbers) if n
    }


# Arrays


def write_hdf5(path: Path, arrays: Mapping[str, NDArray[Any]], **attributes: object) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
        file.attrs.update(attributes)
    return path


def load_arrays(
    directory: Path, arrays: Mapping[str, NDArray[Any]], kind: str, **attributes: object
) -> PairStore:
    path = directory / f"{len(list(directory.iterdir()))}.{kind}"
    if kind == "npz":
        np.savez_compressed(path, **arrays)
    else:
        write_hdf5(path, arrays, **attributes)
    target = path.with_suffix(".zarr")
    load_counts(
        target, WORLD, MatrixCounts(path, WORLD), history=History(), call=("test", {}),
        attributes={}, silent=True,
    )  # fmt: skip
    return PairStore.open(target)


UPPER = np.array(CIS)[np.triu_indices(3)]
ABOVE = np.array(CIS)[np.triu_indices(3, 1)]
POSITIONS = {"chr1.positions": np.array([[0, 50], [50, 100], [100, 150]])}


@pytest.mark.parametrize("kind", ["npz", "hdf5"])
@pytest.mark.parametrize("name", ["chr1", "chr1.counts", "chr1.observed"])
@pytest.mark.parametrize(
    ("values", "positions", "attributes"),
    [
        (np.array(CIS), {}, {}),
        (np.array(CIS, dtype=np.float32), POSITIONS, {}),
        (UPPER, {}, {"diagonal": True}),
        (UPPER, POSITIONS, {}),
    ],
)
def test_arrays__whole_or_flat_hold_the_upper_triangle(
    tmp_path: Path,
    kind: str,
    name: str,
    values: NDArray[Any],
    positions: Mapping[str, NDArray[Any]],
    attributes: Mapping[str, object],
) -> None:
    arrays = {name: values, "chr1_by_chr2": np.array(TRANS), **positions}
    store = load_arrays(tmp_path, arrays, kind, **attributes)
    assert triples(store) == sorted(CIS_ROWS + TRANS_ROWS)


@pytest.mark.parametrize("positions", [POSITIONS, {}])
def test_arrays__flat_without_diagonal(
    tmp_path: Path, positions: Mapping[str, NDArray[Any]]
) -> None:
    expected = [row for row in CIS_ROWS if row[0] != row[1]]
    store = load_arrays(tmp_path, {"chr1": ABOVE, **positions}, "hdf5", diagonal=False)
    assert triples(store) == expected


def test_arrays__positions_decide_the_bins(tmp_path: Path) -> None:
    arrays = {
        "chr2_by_chr1": np.array([[1, 2, 4], [8, 16, 32]]),
        "chr1.positions": np.array([[100, 150], [0, 20], [20, 50]]),
        "chr2.positions": np.array([[0, 50], [100, 150]]),
    }
    store = load_arrays(tmp_path, arrays, "npz")
    assert triples(store) == [(0, 3, 6), (2, 3, 1)]
    assert store.stats["out_of_bounds"] == 56


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"chr1": np.ones((3, 4))}, r"'chr1' has shape \(3, 4\), expected square or flat"),
        (
            {"chr1": np.ones(7)},
            r"'chr1' has shape \(7,\), expected square or flat upper triangle\n",
        ),
        ({"chr1": np.ones(6), "chr1.positions": np.ones((5, 2))}, r"\(6,\), .* for 5 positions on"),
        ({"chr1": np.ones((3, 3)), "chr1.positions": np.ones(6)}, r"expected \(N, 2\): start and"),
        ({"chr1": np.ones((2, 2))}, r"'chr1' has 2 rows or columns, but chr1 has 3 bins"),
        ({"chr1_by_chr2": np.ones(6)}, r"\(6,\), expected two-dimensional"),
        ({"chr1": np.full((3, 3), 0.5)}, r"'chr1' holds 0\.5, expected whole numbers"),
        ({"chr1": np.full((3, 3), np.nan)}, r"'chr1' holds nan, expected whole numbers"),
        ({"chr1": np.full((3, 3), -1)}, r"'chr1' holds -1, expected whole numbers from 0 to 2147"),
        ({"chr1": np.full((3, 3), b"x")}, r"'chr1' holds .S1, expected numbers"),
        ({"chr9": np.ones((3, 3))}, r"holds no matrix of a chromosome .* names are chr9"),
    ],
)
@pytest.mark.parametrize("kind", ["npz", "hdf5"])
def test_faulty_array__is_named(
    tmp_path: Path, arrays: Mapping[str, NDArray[Any]], message: str, kind: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_arrays(tmp_path, arrays, kind)
    assert [path.suffix for path in tmp_path.iterdir()] == [f".{kind}"]


@pytest.mark.parametrize("kind", ["npz", "hdf5"])
def test_file_of_arrays__must_be_one(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    with pytest.raises(InputError, match="no such file"):
        MatrixCounts(path, WORLD).prepare("", True)
    path.write_text("text")
    with pytest.raises(InputError, match=f"cannot be read as {kind}"):
        MatrixCounts(path, WORLD).prepare("", True)


@given(size=st.integers(1, 30), diagonal=st.integers(0, 1))
def test_unfold__equals_triu_indices(size: int, diagonal: int) -> None:
    row, column = np.triu_indices(size, diagonal)
    found = _unfold(np.arange(len(row)), size, diagonal)
    np.testing.assert_array_equal(found, (row, column))


@given(
    seed=st.integers(0, 10_000),
    labelled=st.booleans(),
    block_bytes=st.integers(1, 300),
    turned=st.booleans(),
)
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_text__equals_oracle_for_any_cut(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    labelled: bool,
    block_bytes: int,
    turned: bool,
) -> None:
    rng = np.random.default_rng(seed)
    sizes = {"chr1": rng.integers(1, 12), "chr2": rng.integers(1, 12)}
    partition = bin_partition({name: 50 * int(n) for name, n in sizes.items()}, 50)
    expected: Counter[tuple[int, int]] = Counter()
    files = {}
    for a, b in (
        ("chr1", "chr1"),
        ("chr2", "chr2"),
        ("chr2", "chr1") if turned else ("chr1", "chr2"),
    ):
        values = rng.integers(0, 3, (sizes[a], sizes[b]))
        values[0, -1] = 1
        order = {
            name: rng.permutation(n) if labelled else np.arange(n) for name, n in sizes.items()
        }
        offset = {"chr1": 0, "chr2": int(sizes["chr1"])}
        for (i, j), n in np.ndenumerate(values):
            if n and (a != b or i <= j):
                pair = sorted((offset[a] + order[a][i], offset[b] + order[b][j]))
                expected[int(pair[0]), int(pair[1])] += int(n)
        labels = {c: [f"{c}:{50 * k}-{50 * k + 50}" for k in order[c]] for c in sizes}
        name = a if a == b else f"{a}_by_{b}"
        files[f"{name}.txt"] = (
            text_of(values.tolist(), labels[a], labels[b]) if labelled else text_of(values.tolist())
        )
    store = load(tmp_path_factory.mktemp("m"), files, partition, block_bytes=block_bytes)
    assert {(a, b): n for a, b, n in triples(store)} == expected


# Reference results


@pytest.mark.golden
def test_t38_golden_hifive__matrix(tmp_path: Path, shared: Path) -> None:
    folder = shared / "golden/hifive-tests"
    data = hd.HiCData(tmp_path / "d.zarr", "w", silent=True)
    data.load_binned_data_from_matrices(folder / "test_binned.fends", folder / "*.test.matrix")
    with h5py.File(folder / "test_import_matrix.hcd") as theirs:
        np.testing.assert_array_equal(data.cis_data, theirs["cis_data"][...])
        np.testing.assert_array_equal(data.cis_indices, theirs["cis_indices"][...])
    assert (len(data.cis_data), data.stats["valid_cis_reads"]) == (16, 35)
    assert data.history.endswith(
        "HiCData.load_binned_data_from_matrices(fendfilename='test_binned.fends', "
        "filelist=['*.test.matrix'], format=None) - Success\n"
    )


@pytest.mark.golden
def test_golden_hifive__heatmap_file_as_matrices(tmp_path: Path, shared: Path) -> None:
    inputs = shared / "golden/sim-small"
    fend = hd.Fend(tmp_path / "bins.zarr", "w", binned=100_000, silent=True)
    fend.load_bins(inputs / "inputs/chrom.len")
    fend.save()
    data = hd.HiCData(tmp_path / "d.zarr", "w", silent=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        heatmap = inputs / "hifive/heatmap_plain.hdf5"
        data.load_binned_data_from_matrices(fend.file, heatmap)
    with h5py.File(heatmap) as file:
        chr2 = file["chr2.counts"][...]
        trans = file["chr1_by_chr2.counts"][...]
        total = sum(file[name][...].sum() for name in file if name.endswith(".counts"))
    assert data.stats["total_reads"] == total > 10_000
    first, second, count = dask.compute(*data.block("chr2"))
    dense = np.zeros((10, 10), dtype=int)
    dense[first - 15, second - 15] = count
    np.testing.assert_array_equal(dense[np.triu_indices(10, 1)], chr2)
    first, second, count = dask.compute(*data.block("chr1", "chr2"))
    dense = np.zeros((15, 10), dtype=int)
    dense[first, second - 15] = count
    np.testing.assert_array_equal(dense, trans)
