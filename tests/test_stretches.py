"""Sums over stretches of the genome."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hifive_dask.model.stretches import Stretches, add_stretches, extent

SIZE = 30
SPANS = st.lists(
    st.tuples(st.integers(0, SIZE - 1), st.integers(1, 8)).map(
        lambda pair: slice(pair[0], min(SIZE, pair[0] + pair[1]))
    ),
    max_size=6,
)


def filled(spans: list[slice], seed: int) -> tuple[Stretches, np.ndarray]:
    """Random whole numbers wherever a span is, and the same as an array of all units."""
    rng, part, whole = np.random.default_rng(seed), Stretches.zeros(spans, int), np.zeros(SIZE, int)
    for span in spans:
        values = rng.integers(1, 9, span.stop - span.start)
        part.at(span)[:] += values
        whole[span] += values
    return part, whole


@given(SPANS)
def test_zeros__are_where_spans_are_and_apart(spans: list[slice]) -> None:
    part, whole = filled(spans, 1)
    np.testing.assert_array_equal(part.whole(SIZE), whole)
    places = part.spans()
    assert all(one.stop < two.start for one, two in itertools.pairwise(places))
    assert sum(len(values) for values in part.values) == np.count_nonzero(whole)


@given(st.lists(SPANS, min_size=1, max_size=4))
def test_sum__is_that_of_whole_arrays(each: list[list[slice]]) -> None:
    parts = [filled(spans, seed) for seed, spans in enumerate(each)]
    total = add_stretches([part for part, _ in parts])
    np.testing.assert_array_equal(total.whole(SIZE), sum(whole for _, whole in parts))
    for (part, whole), spans in zip(parts, each, strict=True):  # arguments are not changed
        np.testing.assert_array_equal(part.whole(SIZE), whole)
        assert part.spans() == Stretches.zeros(spans, int).spans()


@given(st.sets(st.integers(0, 5)), st.integers(1, 7))
def test_joined__has_neighbours_in_one_stretch(chosen: set[int], length: int) -> None:
    values = np.arange(6 * length)
    spans = [slice(k * length, (k + 1) * length) for k in sorted(chosen)]
    part = Stretches.joined(spans, [values[span] for span in spans])
    for span in spans:
        np.testing.assert_array_equal(part.at(span), values[span])
    if {2, 3} <= chosen:
        assert len(part.at(slice(2 * length, 4 * length))) == 2 * length


def test_extent__is_from_the_first_to_the_last() -> None:
    assert extent(np.array([5, 3, 9], np.int32)) == slice(3, 10)
