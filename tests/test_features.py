"""Features from tracks: windows, formats, stores, errors."""

from __future__ import annotations

import gzip
import itertools
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pybigtools
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hifive_dask as hd
from hifive_dask.errors import InputError, InputWarning, ParameterError, StateError
from hifive_dask.genome import windows
from hifive_dask.genome.tracks import BedGraph, BigWig, open_track, track_format
from tests.test_fend import assert_equal_files

Values = dict[str, np.ndarray[Any, Any]]
FORMATS = ("bedgraph", "bigwig", "hdf5")
fixed = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write_track(folder: Path, values: Values, format: str, name: str = "track") -> Path:
    """Write values per base in one of the formats."""
    if format == "bedgraph":
        path = folder / "track.bedgraph.gz"
        lines = [f"{c}\t{k}\t{k + 1}\t{v}\n" for c, vs in values.items() for k, v in enumerate(vs)]
        path.write_bytes(gzip.compress("".join(lines).encode()))
    elif format == "hdf5":
        path = folder / "track.hdf5"
        with h5py.File(path, "w") as file:
            for chromosome, vs in values.items():
                file[f"{chromosome}.{name}"] = vs
    else:
        path = folder / "track.bw"
        write_bigwig(
            path,
            {c: len(vs) for c, vs in values.items()},
            [(c, k, k + 1, float(v)) for c, vs in values.items() for k, v in enumerate(vs)],
        )
    return path


def write_bigwig(
    path: Path, lengths: dict[str, int], entries: list[tuple[str, int, int, float]]
) -> None:
    pybigtools.open(str(path), "w").write(lengths, iter(entries))


def bins(folder: Path, *intervals: tuple[str, int, int]) -> hd.Fend:
    """Arbitrary bins."""
    path = folder / "bins.bed"
    path.write_text("".join(f"{c}\t{a}\t{b}\n" for c, a, b in intervals))
    fend = hd.Fend(folder / "bins.zarr", "w", silent=True)
    fend.load_bins(path)
    return fend


def fends(folder: Path, binned: int | None = None, **cuts: list[int]) -> hd.Fend:
    """Fends between cuts, with a feature."""
    path = folder / "sites.bed"
    lines = [f"{c}\t{x}\t{x + 1}\t.\t0\t+\t0.5,0.25\n" for c, xs in cuts.items() for x in xs]
    path.write_text("chr\tstart\tstop\tname\tscore\tstrand\tmap\n" + "".join(lines))
    fend = hd.Fend(folder / "fends.zarr", "w", binned, silent=True)
    fend.load_fends(path)
    return fend


def scores(fend: hd.Fend, name: str) -> list[float]:
    values = fend.units.features[name]
    assert values.dtype == np.float64
    return values.tolist()


# Numbers


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (3, [199 / 6, 1339 / 6]),
        (4, [30.5, 220.5]),
        (5, [28.5, 218.5]),
        (6, [28.5, 218.5]),
        (1000, [28.5, 218.5]),
    ],
)
def test_bins__mean_of_both_ends(
    tmp_path: Path, format: str, window: int, expected: list[float]
) -> None:
    """T44."""
    fend = bins(tmp_path, ("chr1", 0, 10), ("chr1", 10, 20))
    path = write_track(tmp_path, {"chr1": np.arange(20.0) ** 2}, format)
    fend.add_feature("track", path, window)
    assert scores(fend, "track") == expected


@pytest.mark.parametrize("format", FORMATS)
def test_bins__divided_by_their_width_beyond_the_end_of_the_track(
    tmp_path: Path, format: str
) -> None:
    fend = bins(tmp_path, ("chr1", 0, 10), ("chr1", 10, 20))
    fend.add_feature("track", write_track(tmp_path, {"chr1": np.ones(12)}, format), 3)
    assert scores(fend, "track") == [1.0, 2 / 6]


@pytest.mark.parametrize("format", FORMATS)
def test_fends__mean_inward_from_the_cut(tmp_path: Path, format: str) -> None:
    fend = fends(tmp_path, chr1=[10, 20, 24])
    path = write_track(tmp_path, {"chr1": np.arange(30.0)}, format)
    fend.add_feature("track", path, 6)
    # 10-15, 14-19, then the whole fragment of 4 bp twice.
    assert scores(fend, "track") == [12.5, 16.5, 21.5, 21.5]


def test_fends_in_bins__the_bins_get_the_feature(tmp_path: Path) -> None:
    fend = fends(tmp_path, 10, chr1=[10, 20, 24])
    fend.add_hdf5_feature("t", write_track(tmp_path, {"chr1": np.arange(99.0)}, "hdf5", "t"), 2)
    assert scores(fend, "t") == [(10 + 11 + 18 + 19) / 4, (20 + 21 + 28 + 29) / 4]
    assert fend.partition.fends is not None
    assert list(fend.partition.fends.features) == ["map"]
    assert fend.bins is not None
    # As in HiFive: features made with the partition, num_fends, added features.
    assert fend.bins.dtype == np.dtype(
        [(c, "<i4") for c in ("chr", "start", "stop", "mid")]
        + [("map", "<f4"), ("num_fends", "<i4"), ("t", "<f8")]
    )


@fixed
@given(st.data())
def test_means__equal_plain_sums(tmp_path: Path, data: st.DataObject) -> None:
    lengths = {"a": 60, "b": 25, "c": 40}
    number = st.floats(-8, 8, width=32)
    values = {
        c: np.array(data.draw(st.lists(number, min_size=1, max_size=n))) for c, n in lengths.items()
    }
    values["a"][0] = 1e3  # never all 0, as the first bin begins there
    window = data.draw(st.integers(1, 30))
    cuts = st.lists(st.integers(0, 60), min_size=2, max_size=12, unique=True).map(sorted)
    made: dict[str, list[int]] = {c: data.draw(cuts) for c in lengths}
    made["a"] = sorted({0, *made["a"]})
    as_fends = data.draw(st.booleans())
    fend = (
        fends(tmp_path, **made)
        if as_fends
        else bins(
            tmp_path,
            *((c, a, b) for c, xs in made.items() for a, b in itertools.pairwise(xs)),
        )
    )
    expected = []
    for c, xs in made.items():
        track = np.concatenate((values[c], np.zeros(100)))
        for a, b in itertools.pairwise(xs):
            if as_fends:
                expected += [
                    track[a : min(b, a + window)].mean(), track[max(a, b - window) : b].mean(),
                ]  # fmt: skip
            elif a + window >= b - window:
                expected.append(track[a:b].sum() / (b - a))
            else:
                ends = track[a : a + window].sum() + track[b - window : b].sum()
                expected.append(ends / (2 * window))
    format = data.draw(st.sampled_from(FORMATS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "_BLOCK", data.draw(st.integers(1, 70)))
        fend.add_feature("track", write_track(tmp_path, values, format), window)
    np.testing.assert_allclose(scores(fend, "track"), expected, rtol=1e-12, atol=1e-12)


def test_bedgraph__gaps_order_and_other_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.bdg"
    path.write_text("track type=bedGraph\n#c\nb\t5\t7\t2\na\t8\t9\t1e1\na\t0\t3\t.5\nb\t7\t8\t-1\n")
    track = BedGraph(path)
    assert sorted(track.chromosomes) == ["a", "b"]
    assert track.read("a", 0, 12).tolist() == [0.5] * 3 + [0] * 5 + [10] + [0] * 3
    assert track.read("a", 2, 9).tolist() == [0.5] + [0] * 5 + [10]
    assert track.read("a", 3, 8).tolist() == [0] * 5
    assert track.read("b", 6, 8).tolist() == [2, -1]
    assert track.read("b", 40, 42).tolist() == [0, 0]


@pytest.mark.parametrize("format", ["bigwig", "hdf5"])
def test_missing_values__count_as_0(tmp_path: Path, format: str) -> None:
    fend = bins(tmp_path, ("chr1", 0, 4))
    values = np.array([4, np.nan, np.inf, 2.0])
    path = write_track(tmp_path, {"chr1": values if format == "hdf5" else values[:1]}, format)
    if format == "bigwig":
        write_bigwig(path, {"chr1": 4}, [("chr1", 0, 1, 4.0), ("chr1", 3, 4, 2.0)])
    fend.add_feature("track", path, 9)
    assert scores(fend, "track") == [1.5]


# Stores


@pytest.mark.parametrize("suffix", [".zarr", ".fends"])
@pytest.mark.parametrize("binned", [None, 10])
def test_features__saved_and_opened(tmp_path: Path, suffix: str, binned: int | None) -> None:
    fend = fends(tmp_path, binned, chr1=[10, 20, 24])
    path = write_track(tmp_path, {"chr1": np.arange(30.0) / 7}, "hdf5")
    token = fend.token
    fend.add_feature("track", path, 4)
    assert fend.token == token
    fend.file = str(tmp_path / f"x{suffix}")
    fend.save()
    again = hd.Fend(fend.file)
    for part in ("fends", "bins"):
        one, other = fend[part], again[part]
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype
            assert one.tolist() == other.tolist()
    assert again.partition.windows == {"track": 4}
    assert again.history.splitlines()[1] == (
        "Fend.add_feature(filename='track.hdf5', name='track', window=4, format='hdf5') - Success"
    )
    again.add_feature("more", write_track(tmp_path, {"chr1": np.ones(30)}, "hdf5", "more"), 5)
    assert again.partition.windows == {"track": 4, "more": 5}


def test_hifive_file__with_added_features_is_written_again_bit_for_bit(tmp_path: Path) -> None:
    fend = fends(tmp_path, 10, chr1=[10, 20, 24])
    fend.add_feature("t", write_track(tmp_path, {"chr1": np.arange(30.0)}, "hdf5", "t"), 4)
    records = fend.bins
    assert records is not None
    records["t"] = np.array([0.1, np.pi])  # more than float32 can hold
    path = tmp_path / "hifive.fends"
    fend.file = str(path)
    fend.save()
    with h5py.File(path, "r+") as file:
        assert (file.attrs["t_window"], file.attrs["t_window"].dtype) == (4, np.int64)
        file["bins"][...] = records
        file.attrs["failed_window"] = np.int64(9)  # HiFive sets it before it fails
    through = hd.Fend(path)
    assert scores(through, "t") == [0.1, np.pi]
    through.file = str(tmp_path / "x.zarr")
    through.save()
    back = hd.Fend(tmp_path / "x.zarr")
    back.file = str(tmp_path / "again.fends")
    back.save()
    with h5py.File(path, "r+") as file:
        del file.attrs["failed_window"]
    assert_equal_files(path, tmp_path / "again.fends")


# Faults


def test_chromosomes__missing_in_the_track_are_counted(tmp_path: Path) -> None:
    fend = bins(tmp_path, ("a", 0, 4), ("b", 0, 4), ("c", 0, 4))
    path = write_track(tmp_path, {"b": np.ones(9), "x": np.ones(9)}, "hdf5")
    with pytest.warns(
        InputWarning, match=r"track\.hdf5: has no values for 2 chromosome\(s\), .* get 0: a, c"
    ):
        fend.add_feature("track", path, 2)
    assert scores(fend, "track") == [0, 1, 0]


@pytest.mark.parametrize("format", FORMATS)
def test_chromosomes__none_in_common_is_an_error(tmp_path: Path, format: str) -> None:
    fend = bins(tmp_path, ("chr1", 0, 4), ("chr2", 0, 4))
    path = write_track(tmp_path, {"1": np.ones(9), "2": np.ones(9)}, format)
    with pytest.raises(
        InputError, match=r"none of the chromosomes of the partition, chr1, chr2; its own are 1, 2"
    ):
        fend.add_feature("track", path, 2)
    assert "track" not in fend.units.features
    assert "add_feature" not in fend.history


def test_add_feature__refuses_names_windows_and_formats(tmp_path: Path) -> None:
    path = write_track(tmp_path, {"chr1": np.ones(30)}, "hdf5")
    with pytest.raises(StateError, match="nothing is loaded"):
        hd.Fend(tmp_path / "x.zarr", "w").add_feature("track", path, 3)
    fend = fends(tmp_path, chr1=[10, 20])
    fend.add_feature("track", path, 3)
    for name in ("track", "map", "", "mid", "num_fends", "a/b"):
        with pytest.raises(
            ParameterError, match=f"cannot be named '{name}': .*; features that are there: 'map'"
        ):
            fend.add_feature(name, path, 3)
    for window in (0, -2, 1.5, True):
        with pytest.raises(ParameterError, match=r"window is .*, expected a whole number"):
            fend.add_feature("t", path, window)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"suffix of 'sites\.bed'; expected .* \.bedgraph"):
        fend.add_feature("t", tmp_path / "sites.bed", 3)
    with pytest.raises(
        ParameterError, match=r"by format 'wig'; expected .* format as one of 'bedgraph'"
    ):
        fend.add_feature("t", path, 3, format="wig")  # type: ignore[arg-type]
    assert list(fend.units.features) == ["map", "track"]


@pytest.mark.parametrize("format", FORMATS)
def test_add_feature__all_zero_is_an_error(tmp_path: Path, format: str) -> None:
    fend = bins(tmp_path, ("chr1", 0, 4))
    path = write_track(tmp_path, {"chr1": np.array([0, 0, 0, 0, 1.0])}, format)
    with pytest.raises(InputError, match=r"is 0 at all (fends|bins)"):
        fend.add_feature("track", path, 2)
    assert not fend.units.features


def test_format__by_suffix() -> None:
    for name, expected in (
        ("a.bedGraph", "bedgraph"), ("a.bg.gz", "bedgraph"), ("a.bdg.bgz", "bedgraph"),
        ("a.bw", "bigwig"), ("a.bigWig", "bigwig"), ("a.h5", "hdf5"), ("a.hdf5", "hdf5"),
    ):  # fmt: skip
        assert track_format(name) == expected
    assert track_format("a.txt", "bigwig") == "bigwig"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\t1\t5\n", r"t\.bg:1: 3 tab-separated column.*value \(column 4\)"),
        ("a\t1\t5\tx\n", r"t\.bg:1: feature 'value' is 'x'"),
        ("a\t1\t5\tnan\n", r"t\.bg:1: feature 'value' is 'nan'"),
        ("a\t5\t5\t1\n", r"t\.bg:1: the start is not below the stop"),
        ("a\t-5\t5\t1\n", r"t\.bg:1: the start is negative"),
        ("a\t5\t9\t1\na\t0\t6\t1\n", r"t\.bg:1: the interval overlaps another one"),
        ("a\t5\t9\t1\na\t5\t9\t1\n", r"t\.bg:2: the interval overlaps another one"),
        ("", r"t\.bg: is empty"),
    ],
)
def test_bedgraph__faults_are_named_with_their_line(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "t.bg").write_text(text)
    with pytest.raises(InputError, match=message):
        BedGraph(tmp_path / "t.bg")


def test_hdf5__faulty_files(tmp_path: Path) -> None:
    path = tmp_path / "t.h5"

    def refused(message: str) -> None:
        with pytest.raises(InputError, match=message), open_track(path, "gc", "hdf5"):
            pass

    refused("no such file")
    path.write_text("no HDF5")
    refused("cannot be read as HDF5")
    path.unlink()
    path = write_track(tmp_path, {"chr1": np.ones(3)}, "hdf5")
    refused(r"has no dataset <chromosome>\.gc; its datasets are: chr1\.track")
    for wrong in (np.ones((2, 2)), np.array([b"a"])):
        with h5py.File(path, "w") as file:
            file["chr1.gc"] = wrong
        refused(r"chr1\.gc: expected a number per base, in one dimension")
    with h5py.File(path, "w") as file:
        file.create_group("chr1.gc")
    refused(r"chr1\.gc: expected a number per base")


def test_bigwig__faulty_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "track.bw"
    with pytest.raises(InputError, match="no such file"):
        BigWig(path)
    path.write_text("chr1\t0\t5\t1\n")
    with pytest.raises(InputError, match="is not a bigWig file"):
        BigWig(path)
    whole = write_track(tmp_path, {"chr1": np.arange(500.0)}, "bigwig").read_bytes()
    for size in (4, 7, 70, 200, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match="is not a whole bigWig file"):
            BigWig(path)
    path.write_bytes(whole)
    monkeypatch.setitem(sys.modules, "pybigtools", None)
    with pytest.raises(InputError, match=r"pip install 'hifive-dask\[digest\]', or .* bedGraph"):
        BigWig(path)


def test_bigwig__damaged_anywhere_is_an_error_or_still_numbers(tmp_path: Path) -> None:
    path = write_track(tmp_path, {"chr1": np.arange(3000.0), "chr2": np.ones(50)}, "bigwig")
    whole = path.read_bytes()
    messages = []
    for seed in range(200):
        random = np.random.default_rng(seed)
        # Half of the faults lie in the header, whose offsets lead everywhere.
        at = int(random.integers(4, 64 if seed % 2 else len(whole) - 12))
        path.write_bytes(whole[:at] + random.bytes(8) + whole[at + 8 :])
        try:
            track = BigWig(path)
            values = [track.read(name, 0, 3000) for name in track.chromosomes]
            track.close()
            assert all(len(v) == 3000 and not np.isnan(v).any() for v in values)
        except InputError as error:
            messages.append(str(error))
    assert 0 < len(messages) < 200
    assert all("cannot be read; the file is damaged" in message for message in messages)
