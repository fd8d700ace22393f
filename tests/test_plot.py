"""Pictures: what is on them, not how they look."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.image import imread

from hifive_dask import plot
from hifive_dask.errors import ParameterError, StoreError
from hifive_dask.plot.pixels import reduce_map
from hifive_dask.plot.style import MISSING, length_text, length_unit
from hifive_dask.plot.vector import to_svg

from .test_heatmap import t1

Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def make_map(
    observed: Array, expected: Array, datatype: str = "enrichment", size: int = 10_000
) -> xr.Dataset:
    """A dataset as a query returns it."""
    coords: dict[str, Any] = {}
    for axis, bins in enumerate(observed.shape, 1):
        start = size * np.arange(bins)
        coords[f"chromosome{axis}"] = (f"bin{axis}", np.repeat("chr1", bins))
        coords[f"start{axis}"] = (f"bin{axis}", start)
        coords[f"stop{axis}"] = (f"bin{axis}", start + size)
    dims = ("bin1", "bin2")
    return xr.Dataset(
        {"observed": (dims, observed), "expected": (dims, expected)},
        coords=coords,
        attrs={"region": "chr1", "region2": "", "binsize": size, "datatype": datatype},
    )


def image_of(figure: Figure) -> Any:
    return figure.axes[0].images[0]


def label_of(figure: Figure) -> str:
    bar = figure.axes[0].child_axes[0]
    return str(bar.get_ylabel())


def colour_at(figure: Figure, row: int, column: int) -> tuple[float, ...]:
    image = image_of(figure)
    return tuple(image.to_rgba(image.get_array())[row, column])


# Maps


@pytest.mark.parametrize(
    ("datatype", "variable", "title", "label"),
    [
        ("enrichment", "enrichment", "observed over expected", "log2 observed / expected"),
        (
            "distance",
            "enrichment",
            "observed over expected by distance",
            "log2 observed / expected",
        ),
        ("fend", "enrichment", "corrected reads", "reads per possible pair, corrected"),
        ("raw", "enrichment", "reads per possible pair", "reads per possible pair"),
        ("raw", "expected", "possible pairs", "possible pairs"),
        ("expected", "observed", "possible pairs", "possible pairs"),
        ("fend", "observed", "observed reads", "reads"),
        ("fend", "expected", "expected by corrections", "expected reads"),
        ("enrichment", "expected", "expected reads", "expected reads"),
    ],
)
def test_heatmap__says_what_it_shows(datatype: str, variable: Any, title: str, label: str) -> None:
    figure = plot.heatmap(t1(datatype), variable=variable)
    assert label_of(figure) == label
    assert figure.axes[0].get_title("left") == f"A, {title}, 100 bp bins"
    assert figure.axes[0].get_xlabel() == figure.axes[0].get_ylabel() == "A (bp)"
    assert image_of(figure).get_array().shape == (4, 4)


def test_heatmap__first_bin_is_at_the_top_left() -> None:
    observed = np.zeros((3, 5))
    observed[0, 0] = 7
    figure = plot.heatmap(make_map(observed, np.ones((3, 5))), variable="observed", log=False)
    axes = figure.axes[0]
    assert axes.get_xlim() == (0, 5)
    assert axes.get_ylim() == (3, 0)
    assert axes.get_aspect() == 1
    assert image_of(figure).get_array()[0, 0] == 7


@pytest.mark.parametrize("variable", ["expected", "enrichment"])
@pytest.mark.parametrize("log", [True, False])
def test_heatmap__cells_without_expectation_are_grey(variable: Any, log: bool) -> None:
    expected = np.array([[0.0, 2.0], [np.nan, 2.0]])
    figure = plot.heatmap(make_map(np.full((2, 2), 3.0), expected), variable=variable, log=log)
    assert image_of(figure).get_array().mask.tolist() == [[True, False], [True, False]]
    assert colour_at(figure, 0, 0) == pytest.approx(to_rgba(MISSING))


def test_heatmap__cells_without_reads_are_white_or_without_ratio() -> None:
    data = make_map(np.array([[0.0, 50.0], [1.0, 10.0]]), np.full((2, 2), 9.0))
    assert colour_at(plot.heatmap(data, variable="observed"), 0, 0) == (1, 1, 1, 1)
    figure = plot.heatmap(data)
    assert image_of(figure).get_array().mask.tolist() == [[True, False], [False, False]]
    assert colour_at(figure, 0, 0) == pytest.approx(to_rgba(MISSING))
    np.testing.assert_allclose(image_of(figure).get_array()[0, 1], np.log2(50 / 9))


def test_heatmap__few_reads_are_not_drawn_as_none() -> None:
    expected = np.geomspace(1e-6, 1e3, 400).reshape(20, 20)
    figure = plot.heatmap(make_map(expected, expected), variable="expected")
    lowest = image_of(figure).get_clim()[0]
    assert lowest > 1e-6
    assert image_of(figure).get_array().min() == lowest
    assert colour_at(figure, 0, 0) != (1, 1, 1, 1)


def test_heatmap__limits_are_symmetric_and_not_below_a_half() -> None:
    rng = np.random.default_rng(5)
    expected = np.full((40, 40), 100.0)
    even = make_map(rng.poisson(100, (40, 40)), expected)
    assert image_of(plot.heatmap(even)).get_clim() == (-0.5, 0.5)
    uneven = rng.poisson(100, (40, 40)) * rng.choice([1, 8], (40, 40))
    low, high = image_of(plot.heatmap(make_map(uneven, expected))).get_clim()
    assert low == -high
    assert high == pytest.approx(np.quantile(np.abs(np.log2(uneven / 100)), 0.98))


def test_heatmap__pseudocount_keeps_poor_cells_pale() -> None:
    data = make_map(np.array([[0.0, 0.0]]), np.array([[0.1, 100.0]]))
    figure = plot.heatmap(data, pseudocount=1)
    assert label_of(figure) == "log2 (observed + 1) / (expected + 1)"
    np.testing.assert_allclose(image_of(figure).get_array()[0], np.log2([1 / 1.1, 1 / 101]))


@pytest.mark.parametrize(
    ("variable", "needed"),
    [
        ("observed", {"observed"}),
        ("expected", {"expected"}),
        ("enrichment", {"observed", "expected"}),
    ],
)
def test_heatmap__computes_each_needed_chunk_once(variable: Any, needed: set[str]) -> None:
    seen: list[str] = []

    def source(name: str) -> Any:
        def block(shape: tuple[int, int]) -> Array:
            seen.append(name)
            return np.ones(shape)

        chunk = dask.delayed(block)
        rows = [[da.from_delayed(chunk((4, 4)), (4, 4), float) for _ in "ab"] for _ in "abc"]
        return da.block(rows)

    data = make_map(source("observed"), source("expected"))
    data["enrichment"] = (("bin1", "bin2"), source("enrichment"))
    assert not seen
    plot.heatmap(data, variable=variable, pixels=5)
    assert sorted(seen) == sorted(6 * list(needed))


def test_heatmap__without_any_value_is_drawn(tmp_path: Path) -> None:
    nothing = make_map(np.zeros((2, 2)), np.zeros((2, 2)))
    for variable in ("observed", "expected", "enrichment"):
        for log in (True, False):
            figure = plot.heatmap(nothing, variable=variable, log=log)  # type: ignore[arg-type]
            plot.save(figure, tmp_path / "map.png")


def test_heatmap__limits_are_those_given() -> None:
    data = t1("enrichment")
    assert image_of(plot.heatmap(data, vmax=3)).get_clim() == (-3, 3)
    assert image_of(plot.heatmap(data, vmin=-1, vmax=2)).get_clim() == (-1, 2)
    assert image_of(plot.heatmap(data, log=False, vmax=1.5)).get_clim() == (0.5, 1.5)
    assert image_of(plot.heatmap(data, variable="observed", vmin=1, vmax=9)).get_clim() == (1, 9)
    assert image_of(plot.heatmap(data, cmap="viridis")).get_cmap().name == "viridis"


def test_heatmap__genome_has_names_and_borders() -> None:
    figure = plot.heatmap(t1("raw", region=None), variable="observed", title="both")
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["A", "B"]
    assert axes.get_xticks().tolist() == [2, 5]
    assert [line.get_xdata()[0] for line in axes.lines[:1]] == [4]
    assert axes.get_title("left") == "both"


def genome(sizes: list[int], names: list[str]) -> xr.Dataset:
    n = sum(sizes)
    data = make_map(np.ones((n, n)), np.ones((n, n)))
    chromosome = np.repeat(names, sizes)
    return data.assign_coords(
        chromosome1=("bin1", chromosome), chromosome2=("bin2", chromosome)
    ).assign_attrs(region="genome")


def test_heatmap__names_that_would_collide_are_left_out() -> None:
    sizes = [200, 150, 1, 1, 1, 1, 1, 100]
    figure = plot.heatmap(genome(sizes, [f"chr{k}" for k in range(8)]))
    axes = figure.axes[0]
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        names = [text.get_text() for text in ticks]
        assert {"chr0", "chr1", "chr7"} <= set(names)
        assert len(names) < len(sizes)
    figure.canvas.draw()
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        boxes = [text.get_window_extent() for text in ticks]
        assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    assert len(axes.lines) == 2 * (len(sizes) - 1)


def test_heatmap__long_names_are_upright() -> None:
    names = [f"a_long_name_{k}" for k in range(8)]
    axes = plot.heatmap(genome([10] * 8, names)).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == names
    assert {text.get_rotation() for text in axes.get_xticklabels()} == {90}
    short = plot.heatmap(genome([10] * 3, ["I", "II", "III"])).axes[0]
    assert {text.get_rotation() for text in short.get_xticklabels()} == {0}


def test_names__with_signs_of_formulas_are_drawn_as_they_are() -> None:
    names = ["x$_{$", "$\\no$"]
    maps = genome([2, 2], names)
    table = pd.DataFrame({"chromosome": np.repeat(names, 2), "correction": [1.0, 2, 1, 2]})
    one = maps.isel(bin1=slice(2), bin2=slice(2)).assign_attrs(region=names[0])
    for figure in (
        plot.heatmap(maps),
        plot.heatmap(one),
        plot.triangle(one),
        plot.chromosomes(table),
        plot.statistics({names[0]: dict.fromkeys(("valid_cis_reads", "cis_long_reads"), 9)}),
    ):
        drawn = to_svg(figure, "names", label="")  # raises for formulas that do not parse
        assert f">{names[0]}" in drawn


def test_heatmap__positions_do_not_collide_on_narrow_maps() -> None:
    figure = plot.heatmap(make_map(np.ones((400, 90)), np.ones((400, 90)), size=12_345))
    figure.canvas.draw()
    axes = figure.axes[0]
    assert axes.get_xlabel() == "chr1 (kb)"
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        boxes = [text.get_window_extent() for text in ticks]
        assert boxes
        assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


def test_heatmap__positions_have_the_same_decimals() -> None:
    data = make_map(np.ones((10, 10)), np.ones((10, 10)), size=5000)
    window = data.assign_coords(
        {
            f"{name}{n}": data[f"{name}{n}"] + 10_000_000
            for name in ("start", "stop")
            for n in (1, 2)
        }
    )
    texts = [text.get_text() for text in plot.heatmap(window).axes[0].get_xticklabels()]
    assert texts == ["10.00", "10.01", "10.02", "10.03", "10.04", "10.05"]


def test_heatmap__trans_names_both_chromosomes() -> None:
    axes = plot.heatmap(t1("enrichment", region="B", region2="A")).axes[0]
    assert axes.get_xlabel() == "A (bp)"
    assert axes.get_ylabel() == "B (bp)"
    assert axes.get_title("left") == "B / A, observed over expected, 100 bp bins"


def test_heatmap__unbinned_ticks_stand_at_their_positions() -> None:
    axes = plot.heatmap(t1("raw", binsize=0), variable="observed").axes[0]
    places = dict(
        zip([text.get_text() for text in axes.get_xticklabels()], axes.get_xticks(), strict=True)
    )
    assert places["100"] == 2
    assert axes.get_title("left") == "A, observed reads, unbinned"


def assert_all_inside(figure: Figure) -> None:
    """No text, or anything else, is cut at an edge of the picture."""
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert min(box.x0, box.y0, width - box.x1, height - box.y1) > 0


def notes_of(figure: Figure) -> list[tuple[str, tuple[float, ...]]]:
    """What stands below the colour bar."""
    legend = figure.axes[0].child_axes[0].get_legend()
    if legend is None:
        return []
    texts = [text.get_text() for text in legend.get_texts()]
    return list(zip(texts, [patch.get_facecolor() for patch in legend.get_patches()], strict=True))


@pytest.mark.parametrize("powers", [0.3, 2.5])
@pytest.mark.parametrize("largest", [0.3, 3e-4, 3e4])
@pytest.mark.parametrize("shape", [(23, 23), (10, 70), (90, 40)])
def test_heatmap__has_room_for_all_texts(
    shape: tuple[int, int], largest: float, powers: float
) -> None:
    observed = largest * 10 ** np.linspace(-powers, 0, shape[0] * shape[1]).reshape(shape)
    observed[0, 0] = 0
    expected = np.ones(shape)
    expected[1] = 0
    data = make_map(observed, expected, "fend").assign_attrs(region2="chr2:10,000-20,000")
    figure = plot.heatmap(data)
    assert [text for text, _ in notes_of(figure)] == ["masked", "no reads"]
    assert_all_inside(figure)


def test_heatmap__ticks_of_the_bar_are_round_numbers() -> None:
    for low, high, texts in (
        (0.5, 30, ["0.5", "1", "2", "5", "10", "20"]),
        (0.29, 0.61, ["0.3", "0.35", "0.4", "0.45", "0.5", "0.55", "0.6"]),
        (1, 2e7, ["1", "10", "100", "1,000", "10,000", "100,000", "$10^{6}$", "$10^{7}$"]),
        (1, 1e10, ["1", "100", "10,000", "$10^{6}$", "$10^{8}$", "$10^{10}$"]),
    ):
        data = make_map(np.array([[low, high], [low, high]]), np.ones((2, 2)))
        bar = plot.heatmap(data, variable="observed", vmin=low, vmax=high).axes[0].child_axes[0]
        assert [text.get_text() for text in bar.get_yticklabels()] == texts
        assert not any(text.get_text() for text in bar.get_yticklabels(minor=True))


def test_heatmap__explains_grey_and_white() -> None:
    grey, white = to_rgba(MISSING), (1, 1, 1, 1)
    observed = np.array([[5.0, 0, 3], [0, 0, 0], [3, 0, 8]])
    expected = np.array([[2.0, 0, 2], [0, 0, 0], [2, 0, 2]])
    data = make_map(observed, expected)
    figure = plot.heatmap(data, variable="observed")
    assert notes_of(figure) == [("empty bins", grey)]
    assert colour_at(figure, 1, 0) == colour_at(figure, 2, 1) == grey
    data["observed"][0, 2] = 0
    figure = plot.heatmap(data, variable="observed", cmap="viridis")
    assert notes_of(figure) == [("empty bins", grey), ("no reads", white)]
    assert colour_at(figure, 0, 2) == white
    assert notes_of(plot.heatmap(data)) == [("masked, or no reads", grey)]
    assert notes_of(plot.heatmap(data, pseudocount=1)) == [("masked", grey)]
    near = data.assign_attrs(maxdistance=10_000)
    assert notes_of(plot.heatmap(near, pseudocount=1)) == [("masked, or too far", grey)]
    assert notes_of(plot.heatmap(make_map(np.ones((2, 2)), np.ones((2, 2))))) == []
    low = plot.heatmap(make_map(np.array([[1e-9, 4]]), np.ones((1, 2))), cmap="viridis", vmax=1)
    assert colour_at(low, 0, 0) != white


def test_triangle__of_observed_reads_has_grey_bins() -> None:
    observed = np.ones((6, 6))
    observed[2] = observed[:, 2] = 0
    figure = plot.triangle(make_map(observed, np.ones((6, 6))), variable="observed")
    assert notes_of(figure) == [("empty bins", to_rgba(MISSING))]
    mask = image_of(figure).get_array().mask
    assert mask[2, 2:].all()
    assert mask[:3, 2].all()
    assert not mask[np.triu(np.ones((6, 6)), 0) > 0].all()
    full = plot.triangle(make_map(np.ones((6, 6)), np.ones((6, 6))), variable="observed")
    assert notes_of(full) == []
    assert_all_inside(figure)


def test_trace__counts_iterations_not_rows() -> None:
    rows = [[9.0, 1.0], [4.0, 0.1], [3.9, 0.01]]
    figure = plot.trace(rows, last=2)
    assert figure.axes[1].texts[0].get_text() == "change 0.01 after 2 iterations"
    assert figure.axes[0].lines[0].get_xdata().tolist() == [0, 1, 2]


def test_heatmap__draws_into_given_axes() -> None:
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plot.heatmap(t1("raw"), ax=right) is figure
    assert not left.images
    assert len(right.images) == 1


def test_heatmap__wide_maps_are_reduced() -> None:
    rng = np.random.default_rng(3)
    observed = da.from_array(rng.integers(0, 3, (2200, 2200)), chunks=500)
    expected = da.ones((2200, 2200), chunks=500)
    data = make_map(observed, expected, size=1000)  # type: ignore[arg-type]
    assert image_of(plot.heatmap(data, variable="observed")).get_array().shape == (1100, 1100)
    figure = plot.heatmap(data, variable="observed", log=False, pixels=1000)
    assert image_of(figure).get_array().shape == (734, 734)
    assert image_of(figure).get_array()[0, 0] == observed[:3, :3].sum().compute()
    assert figure.axes[0].get_title("left") == "chr1, observed reads, 3 kb bins"
    assert figure.axes[0].get_xlabel() == "chr1 (Mb)"
    assert figure.axes[0].get_xlim() == (0, 2200)


@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    chunk=st.integers(1, 9),
    most=st.integers(1, 40),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_reduce_map__sums_squares_for_any_chunks(
    shape: tuple[int, int], chunk: int, most: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    observed, expected = rng.integers(0, 9, shape), rng.random(shape)
    data = make_map(da.from_array(observed, chunk), da.from_array(expected, (chunk + 2, chunk)))
    sums, factor = reduce_map(data, most, ("observed", "expected"))
    assert max(sums["observed"].shape) <= most
    assert sums["observed"].sum() == observed.sum()
    for got, source in ((sums["observed"], observed), (sums["expected"], expected)):
        plain = np.array(
            [
                [source[r : r + factor, c : c + factor].sum() for c in range(0, shape[1], factor)]
                for r in range(0, shape[0], factor)
            ]
        )
        np.testing.assert_allclose(got, plain)


@given(
    bins=st.integers(1, 30),
    chunks=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    most=st.integers(1, 40),
    reach=st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_reduce_map__within_reach_is_as_without_it(
    bins: int, chunks: tuple[int, int], most: int, reach: int
) -> None:
    values = np.random.default_rng(bins).random((bins, bins))
    data = make_map(da.from_array(values, chunks), np.zeros((bins, bins)))
    near, factor = reduce_map(data, most, ("observed",), reach)
    whole, _ = reduce_map(data, most, ("observed",))
    row, column = np.indices(near["observed"].shape)
    # The first cell of a square, or the one at its lower left corner, is in reach.
    seen = (column >= row) & (factor * (column - row - 1) < reach)
    np.testing.assert_allclose(near["observed"][seen], whole["observed"][seen])
    assert np.isnan(near["observed"][~seen]).all()


# Triangles


def band(bins: int = 40, chunk: int = 10, size: int = 10_000) -> xr.Dataset:
    """A map that notes which of its chunks were computed, in its attribute `seen`."""
    seen: list[tuple[int, int]] = []

    def block(i: int, j: int) -> Array:
        seen.append((i, j))
        return 1.0 + np.subtract.outer(np.arange(chunk), np.arange(chunk)) ** 2

    chunks = [
        [da.from_delayed(dask.delayed(block)(i, j), (chunk, chunk), float) for j in range(4)]
        for i in range(4)
    ]
    data = make_map(da.block(chunks), da.ones((bins, bins), chunks=chunk), size=size)  # type: ignore[arg-type]
    data.attrs["seen"] = seen
    return data


def test_triangle__computes_only_the_chunks_in_reach() -> None:
    data = band()
    figure = plot.triangle(data, variable="observed", maxdistance=100_000)
    assert sorted(data.attrs["seen"]) == [
        (0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3), (3, 3),
    ]  # fmt: skip
    axes = figure.axes[0]
    assert axes.get_ylim() == (0, 10)
    assert axes.get_ylabel() == "distance (kb)"
    assert axes.get_yticklabels()[-1].get_text() == "100"
    assert axes.get_xlabel() == "chr1 (kb)"


def test_triangle__diagonal_is_at_the_bottom() -> None:
    """A loop between 100 and 200 kb stands above 150 kb, at a distance of 100 kb."""
    observed = np.ones((30, 30))
    observed[10, 20] = observed[20, 10] = 50
    data = make_map(observed, np.ones((30, 30)))
    figure = plot.triangle(data, variable="observed", vmin=0.5, vmax=50)
    figure.canvas.draw()
    axes = figure.axes[0]
    rgba = np.asarray(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]
    x, y = axes.transData.transform((15.5, 10))
    loop = rgba[rgba.shape[0] - int(y) - 1, int(x)]
    beside = [
        rgba[rgba.shape[0] - int(place[1]) - 1, int(place[0])]
        for place in axes.transData.transform([(13, 10), (18, 10), (15.5, 7), (15.5, 13)])
    ]
    assert all((other == beside[0]).all() for other in beside)
    assert loop[:3].sum() < beside[0][:3].sum()
    outside = axes.transData.transform((2, 10))
    assert (rgba[rgba.shape[0] - int(outside[1]) - 1, int(outside[0])] == 255).all()


def test_triangle__reaches_as_far_as_the_map() -> None:
    data = make_map(np.ones((30, 30)), np.ones((30, 30)))
    assert plot.triangle(data).axes[0].get_ylim() == (0, 30)
    assert plot.triangle(data, maxdistance=45_000).axes[0].get_ylim() == (0, 5)
    data.attrs["maxdistance"] = 80_000
    assert plot.triangle(data).axes[0].get_ylim() == (0, 8)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_triangle__is_written_in_all_formats(tmp_path: Path, suffix: str) -> None:
    figure = plot.triangle(make_map(np.eye(4) + 1, np.ones((4, 4))), variable="observed")
    plot.save(figure, tmp_path / f"t{suffix}")
    assert (tmp_path / f"t{suffix}").stat().st_size > 1000


def test_triangle__refuses_what_has_no_diagonal() -> None:
    square = make_map(np.ones((4, 4)), np.ones((4, 4)))
    with pytest.raises(ParameterError, match="map of one region with itself"):
        plot.triangle(make_map(np.ones((4, 5)), np.ones((4, 5))))
    with pytest.raises(ParameterError, match="map of one region with itself"):
        plot.triangle(square.assign_coords(chromosome2=("bin2", ["chr2"] * 4)))
    with pytest.raises(ParameterError, match="maxdistance is 500, expected a bin, 10,000 bp"):
        plot.triangle(square, maxdistance=500)
    stop = square["stop1"].values - [0, 0, 10, 0]
    odd = square.assign_coords(stop1=("bin1", stop), stop2=("bin2", stop))
    with pytest.raises(ParameterError, match=r"bins from 9,990 to 10,000 bp wide"):
        plot.triangle(odd)


# Scores of multi-resolution heatmaps


def score_map(score: Array) -> xr.Dataset:
    data = make_map(score, score).drop_vars(("observed", "expected"))
    data["score"] = (("bin1", "bin2"), score)
    return data


def test_heatmap__of_scores_has_two_colours_only_about_0() -> None:
    both = np.linspace(-3, 2, 100).reshape(10, 10)
    figure = plot.heatmap(score_map(both))
    low, high = image_of(figure).get_clim()
    assert low == -high < -2.5
    assert label_of(figure) == "log2 observed / expected"
    low, high = image_of(plot.heatmap(score_map(both - 5))).get_clim()
    assert -8 < low < high < -2.5
    assert image_of(plot.heatmap(score_map(both), vmin=-1)).get_clim() == (-1, 1)
    assert image_of(plot.heatmap(score_map(both), vmin=-1, vmax=3)).get_clim() == (-1, 3)


def test_heatmap__of_scores_draws_missing_ones_grey() -> None:
    score = np.array([[np.nan, 1.0], [-1.0, np.nan]])
    figure = plot.heatmap(score_map(score))
    assert colour_at(figure, 0, 0) == to_rgba(MISSING)
    plot.heatmap(score_map(np.full((2, 2), np.nan)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variable": "ratio"}, "unknown variable 'ratio'; known are: observed"),
        ({"pseudocount": -1}, "pseudocount is -1"),
        ({"pixels": 0}, "pixels is 0, expected 1 or more"),
        ({"cmap": "reddish"}, "Matplotlib has no colour map 'reddish'"),
        ({"vmin": 2, "vmax": 1}, "vmin must be below vmax"),
        ({"variable": "observed", "vmin": 9, "vmax": 1}, "vmin must be below vmax"),
        ({"variable": "observed", "vmin": 0}, "vmin is 0, expected above 0; or pass log=False"),
    ],
)
def test_heatmap__refuses_what_it_cannot_draw(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        plot.heatmap(t1("enrichment"), **options)
    with pytest.raises(ParameterError, match="is a DataArray, expected the Dataset that"):
        plot.heatmap(t1("raw")["observed"])  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="has no expected; pass what"):
        plot.heatmap(t1("raw").drop_vars("expected"))
    with pytest.raises(ParameterError, match="has no chromosome2; pass what"):
        plot.heatmap(t1("raw").drop_vars("chromosome2"))
    with pytest.raises(ParameterError, match="the heatmap has no bins"):
        plot.heatmap(t1("raw").isel(bin1=slice(0)))


# Diagnostics


def test_decay__draws_points_line_and_guide() -> None:
    distance = np.geomspace(1e3, 1e7, 9)
    parameters = np.array([[np.log(1e5), -0.5, 1.0], [np.inf, -1.5, 1 + np.log(1e5)]])
    reads = 9 / distance
    reads[4] = 0
    reads[5] = np.nan
    axes = plot.decay(distance, reads, parameters, title="decay").axes[0]
    guide, fit, points = axes.lines
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "observed",
        "fit",
        "slope \N{MINUS SIGN}1: half per doubling",
    ]
    np.testing.assert_allclose(guide.get_ydata() * guide.get_xdata(), 9)
    x, y = fit.get_data()
    np.testing.assert_allclose(y[0], np.exp(1) * 1e3**-0.5)
    np.testing.assert_allclose(y[-1], np.exp(1) * 1e5 * 1e7**-1.5)
    assert x[0] == 1e3
    assert len(points.get_xdata()) == 7
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert axes.get_ylabel() == "reads per possible pair"
    assert len(plot.decay(distance, reads).axes[0].lines) == 2


def test_decay__leaves_out_bins_with_themselves() -> None:
    distance, reads = np.array([1.0, 1e5, 2e5, 4e5]), np.array([900.0, 50, 20, 9])
    parameters = np.array([[np.log(5e4), 0.0, 2.0], [np.inf, -1.0, 9.0]])
    axes = plot.decay(distance, reads, parameters).axes[0]
    assert all(line.get_xdata().min() >= 1e5 for line in axes.lines)
    assert axes.get_xlim()[0] > 5e4
    assert [text.get_text() for text in axes.get_xticklabels()] == ["100 kb", "200 kb"]


def over(figure: Figure) -> list[str]:
    """Texts and legends that lie inside of axes, where something is drawn."""
    figure.draw_without_rendering()
    found = []
    for ax in figure.axes:
        legends = [ax.get_legend()] if ax.get_legend() else []
        for artist in (*ax.texts, *legends):
            box = artist.get_window_extent()
            if any(box.overlaps(other.bbox) for other in figure.axes):
                found.append(str(artist))
    return found


def unit_rows(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "chromosome": np.repeat(["chr1", "chr2"], n // 2),
            "length": rng.integers(50, 400, n),
            "gc": rng.random(n),
            "correction": rng.lognormal(size=n),
            "coverage": rng.lognormal(size=n),
            "corrected": np.ones(n),
        }
    )


def test_diagnostics__texts_lie_beside_what_is_drawn() -> None:
    rng = np.random.default_rng(1)
    histogram = np.stack([rng.integers(1, 99, 60), np.arange(0, 6000, 100)], axis=1)
    rows = np.geomspace(1, 1e-9, 40)
    figures = [
        plot.corrections(2.0 ** rng.normal(2, 0.1, 900), np.ones(900), title="Corrections"),
        plot.insert_sizes(histogram, 500, title="Inserts"),
        plot.coverage(rng.integers(0, 5000, 999), rng.integers(0, 2, 999), 10, title="Partners"),
        plot.marginals(unit_rows(), title="Coverage"),
        plot.biases(unit_rows(), title="Biases"),
        plot.trace(np.stack([rows, rows], axis=1), 1e-4, title="Convergence"),
        plot.decay(np.geomspace(500, 1e6, 30), np.geomspace(1e-5, 1, 30), title="Decay"),
        plot.chromosomes(unit_rows(), title="Chromosomes"),
    ]
    for figure in figures:
        assert over(figure) == []
        assert_all_inside(figure)
        first = figure.axes[0]
        box = first.title.get_window_extent() if first.get_title() else None
        box = first._left_title.get_window_extent() if box is None else box
        for artist in (*first.texts, *([first.get_legend()] if first.get_legend() else [])):
            assert not box.overlaps(artist.get_window_extent())


def test_marginals__tall_bar_does_not_dwarf_the_others() -> None:
    axes = plot.marginals(unit_rows()).axes[0]
    before = axes.patches[0].get_data().values
    assert before.max() < axes.get_ylim()[1] < 2 * before.max()
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["before", "after correction (tallest bar 100 %)"]
    table = unit_rows()
    table["corrected"] = table["coverage"]
    texts = [t.get_text() for t in plot.marginals(table).axes[0].get_legend().get_texts()]
    assert texts == ["before", "after correction"]


def test_corrections__are_those_of_fends_in_use() -> None:
    values = np.array([0.125, 1, 1, 4, 0, 9, np.nan])
    axes = plot.corrections(values, [1, 1, 1, 1, 1, 0, 1]).axes[0]
    counts = axes.patches[0].get_data()
    assert counts.values.sum() == 4
    assert counts.edges[0] < -3
    assert 2 < counts.edges[-1] < 3
    low, median, high = np.percentile([-3, 0, 0, 2], [5, 50, 95])
    assert [line.get_xdata()[0] for line in axes.lines] == [low, median, high]
    assert axes.texts[0].get_text().splitlines() == [
        "4 fends in use",
        "median 0.00, 5th to 95th percentile \N{MINUS SIGN}2.55 to 1.70",
    ]
    bins = plot.corrections(values, [1, 1, 1, 1, 1, 0, 1], unit="bin").axes[0]
    assert bins.get_ylabel() == "bins"
    assert bins.texts[0].get_text().startswith("4 bins in use")


def test_cut_sites__names_the_peaks_and_where_ends_look() -> None:
    ends = np.stack([np.full(601, 9), np.full(601, 5), np.arange(-300, 301)], axis=1)
    ends[301:, :2] = ends[301:, 1::-1]  # those of the plus strand lie before the cut
    ends[298, 0] = ends[302, 1] = 500
    near, wide = plot.cut_sites(ends, title="moved").axes
    assert near.get_title(loc="left") == "moved"
    assert near.texts[0].get_text() == "dangling ends at -2 bp (plus)\nand +2 bp (minus)"
    assert wide.texts[0].get_text() == "1.8 times as many ends\nface the cut as look away"
    plus, minus = (patch.get_data().values for patch in near.patches)
    assert (plus.argmax(), plus.max(), minus.argmax(), minus.max()) == (18, 500, 22, 500)
    with pytest.raises(ParameterError, match="the histogram of 5' ends is empty"):
        plot.cut_sites(ends[:0])


def test_insert_sizes__shows_share_up_to_the_limit() -> None:
    histogram = np.array([[0, 0], [30, 100], [60, 200], [10, 400], [0, 800]])
    axes = plot.insert_sizes(histogram, 399).axes[0]
    assert axes.texts[0].get_text() == "90.0 % of read pairs up to maxinsert, 399 bp"
    assert axes.lines[0].get_xdata()[0] == 399
    passed, beyond, height = (patch.get_data() for patch in axes.patches)
    assert passed.edges.tolist() == [50, 100, 200, 399, 399]
    assert beyond.edges.tolist() == [399, 399, 399, 400, 800]
    assert height.edges.tolist() == [50, 100, 200, 400, 800]
    np.testing.assert_allclose(height.values, [0, 30, 60, 10])
    half = plot.insert_sizes(histogram, 299).axes[0].texts[0].get_text()
    assert half.startswith("60.0 % of read pairs up to maxinsert")
    for limit, share in ((10, "0.0 %"), (9000, "100.0 %")):
        assert share in plot.insert_sizes(histogram, limit).axes[0].texts[0].get_text()
    assert not plot.insert_sizes(histogram).axes[0].texts
    first = np.array([[5, 0], [3, 100], [0, 200]])
    assert plot.insert_sizes(first).axes[0].patches[-1].get_data().values.tolist() == [5, 3]


def test_trace__has_cost_and_change(tmp_path: Path) -> None:
    trace = np.array([[9.0, 0.5], [4.0, 0.125], [0.0, 0.0]])
    figure = plot.trace(trace, 0.01)
    cost, change = figure.axes
    assert [ax.get_ylabel() for ax in figure.axes] == ["cost", "largest relative change"]
    assert [ax.get_yscale() for ax in figure.axes] == ["log", "log"]
    assert cost.lines[0].get_xdata().tolist() == [1, 2, 3]
    np.testing.assert_array_equal(change.lines[0].get_ydata(), [0.5, 0.125, np.nan])
    assert change.lines[-1].get_ydata()[0] == 0.01
    assert change.texts[0].get_text() == "change 0 after 3 iterations"
    last = plot.trace(trace[1:2]).axes[1]
    assert last.texts[0].get_text() == "change 0.125 after 1 iteration"
    plot.save(plot.trace(np.zeros((2, 2))), tmp_path / "zeros.png")


STATS = {
    "total_reads": 10_000,
    "chr_not_in_fends": 0,
    "pcr_duplicates": 1,
    "out_of_bounds": 999,
    "valid_cis_reads": 7000,
    "valid_trans_reads": 2000,
    "valid_cis_pairs": 5000,
    "valid_trans_pairs": 1900,
    "cis_short_reads": 1000,
    "cis_long_reads": 6000,
}


def shown(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_statistics__are_shares_of_all_and_of_valid_reads() -> None:
    figure = plot.statistics({"rep1": STATS}, title="reads")
    reads, valid = figure.axes
    widths = [bar.get_width() for bar in reads.patches]
    assert widths == pytest.approx([70, 20, 0.01, 9.99])  # what has no reads is left out
    assert shown(reads) == ["70.0 %", "20.0 %", "10.0 %"]
    assert reads.get_yticklabels()[0].get_text() == "rep1\n10,000"
    legend = [text.get_text() for text in reads.get_legend().get_texts()]
    assert legend == [
        "valid cis 70.0 %", "valid trans 20.0 %", "PCR duplicates < 0.1 %", "out of bounds 10.0 %",
    ]  # fmt: skip
    assert [bar.get_width() for bar in valid.patches] == pytest.approx([100 / 9, 600 / 9, 200 / 9])
    legend = [text.get_text() for text in valid.get_legend().get_texts()]
    assert legend == ["cis below 20 kb 11.1 %", "cis from 20 kb 66.7 %", "trans 22.2 %"]
    assert valid.get_yticklabels()[0].get_text() == "rep1\n9,000"


def test_statistics__of_several_libraries_stand_side_by_side() -> None:
    more = {name: 3 * n for name, n in STATS.items()} | {"pcr_duplicates": 0}
    name = "a name that is longer than there is room for it"
    figure = plot.statistics({"rep1": STATS, name: more}, short=1000)
    reads, valid = figure.axes
    labels = [label.get_text() for label in reads.get_yticklabels()]
    assert labels == ["rep1\n10,000", "a name that… room for it\n29,997"]
    assert {round(bar.get_y(), 2) for bar in reads.patches} == {-0.31, 0.69}
    texts = [text.get_text() for text in valid.get_legend().get_texts()]
    assert texts == ["cis below 1 kb", "cis from 1 kb", "trans"]
    colours = [tuple(patch.get_facecolor()) for patch in valid.get_legend().get_patches()]
    assert len(set(colours)) == 3


def test_statistics__texts_lie_inside_the_picture_and_apart() -> None:
    for number in (1, 4):
        figure = plot.statistics({f"replicate_{k}.zarr": STATS for k in range(number)}, title="t")
        figure.draw_without_rendering()
        size = figure.bbox
        boxes = [ax.get_legend().get_window_extent() for ax in figure.axes]
        boxes.append(figure.axes[1].xaxis.get_tightbbox())
        for ax in figure.axes:
            boxes += [label.get_window_extent() for label in ax.get_yticklabels()]
        for k, box in enumerate(boxes):
            assert size.x0 <= box.x0
            assert box.x1 <= size.x1 + 1
            assert size.y0 <= box.y0
            assert box.y1 <= size.y1
            assert not any(box.overlaps(other) for other in boxes[:k])


def test_statistics__leave_out_duplicates_that_were_kept() -> None:
    kept = {**STATS, "pcr_duplicates": 500, "total_reads": 9999}
    reads, _ = plot.statistics({"rep1": kept}).axes
    assert len(reads.patches) == 3
    assert reads.get_yticklabels()[0].get_text() == "rep1\n9,999"


def test_statistics__refuse_a_store_without_reads() -> None:
    with pytest.raises(ParameterError, match="no library was given"):
        plot.statistics({})
    with pytest.raises(ParameterError, match="library 'a' has no reads"):
        plot.statistics({"a": {"total_reads": 0, "failed_cut": 0}})
    with pytest.raises(ParameterError, match="library 'a' has no valid reads"):
        plot.statistics({"a": {"total_reads": 3, "failed_cut": 3}})


def test_diagnostics__refuse_empty_input() -> None:
    with pytest.raises(ParameterError, match=r"shapes .* expected the same"):
        plot.decay([1, 2], [1])
    with pytest.raises(ParameterError, match="no distance bin above 1 bp has reads"):
        plot.decay([1, 2], [5, 0])
    with pytest.raises(ParameterError, match=r"shapes .* expected the same"):
        plot.corrections([1, 2], [1])
    with pytest.raises(ParameterError, match="no fend in use has a correction"):
        plot.corrections([1, 2], [0, 0])
    with pytest.raises(ParameterError, match="insert sizes is empty"):
        plot.insert_sizes([[0, 0], [0, 45]])
    with pytest.raises(ParameterError, match="expected \\(iterations, 2\\)"):
        plot.trace(np.zeros((0, 2)))
    with pytest.raises(ParameterError, match="expected \\(segments, 3\\)"):
        plot.decay([1, 2], [1, 1], [1, 2, 3])


def test_diagnostics__draw_into_given_axes() -> None:
    figure = Figure()
    axes = figure.subplots(1, 3)
    assert plot.decay([1, 10], [1, 0.1], ax=axes[0]) is figure
    assert plot.corrections([1, 2], [1, 1], ax=axes[1]) is figure
    assert plot.insert_sizes([[0, 0], [1, 45], [0, 50]], ax=axes[2]) is figure
    assert all(ax.get_xlabel() for ax in axes)


# Files


def test_save__suffix_decides_the_format(tmp_path: Path) -> None:
    figure = plot.heatmap(t1("enrichment"))
    for suffix, head in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")):
        plot.save(figure, tmp_path / f"map{suffix}")
        assert (tmp_path / f"map{suffix}").read_bytes().startswith(head)
    with pytest.raises(ParameterError, match=r"the suffix must be one of \.png"):
        plot.save(figure, tmp_path / "map.gif")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.pdf", "map.png", "map.svg"]


def test_save__dpi_sets_the_size(tmp_path: Path) -> None:
    figure = Figure(figsize=(2, 1))
    plot.save(figure, tmp_path / "a.PNG", dpi=50)
    assert imread(tmp_path / "a.PNG", format="png").shape == (50, 100, 4)
    plot.save(figure, tmp_path / "a.PNG")
    assert imread(tmp_path / "a.PNG", format="png").shape == (150, 300, 4)


def test_save__failure_changes_nothing(tmp_path: Path) -> None:
    figure = plot.decay([1, 10], [1, 0.1])
    with pytest.raises(StoreError, match="does not exist; make it first"):
        plot.save(figure, tmp_path / "missing" / "map.png")
    target = tmp_path / "map.png"
    target.write_bytes(b"before")

    class Broken(Figure):
        def savefig(self, fname: Any, **kwargs: Any) -> None:
            Path(fname).write_bytes(b"half")
            raise OSError("no space left")

    with pytest.raises(StoreError, match="cannot be written: no space left"):
        plot.save(Broken(), target)
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_pictures__leave_pyplot_alone() -> None:
    code = (
        "import sys\nfrom hifive_dask import plot\n"
        "plot.decay([1, 10], [1, 0.1])\nassert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_lengths__in_their_largest_unit() -> None:
    assert [length_text(n) for n in (999, 1000, 2_500_000)] == ["999 bp", "1 kb", "2.5 Mb"]
    assert [length_unit(n)[0] for n in (1500, 2000, 2_000_000)] == ["bp", "kb", "Mb"]
