"""Sums over the genome of which a task knows some stretches: what tasks pass on, and add up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["Stretches", "add_stretches", "extent"]


class Stretches(NamedTuple):
    """Values of the units of some stretches of the genome; those of all others are 0.

    Rows of a pair of chromosomes touch two stretches only. A task that passed on a value of every
    unit would move the genome, in every round.

    Parameters
    ----------
    start
        First unit of each stretch, in order.
    values
        (n,) each: values of its units. Stretches do not touch each other.

    Examples
    --------
    >>> from hifive_dask.model.stretches import Stretches, add_stretches
    >>> one = Stretches.zeros([slice(6, 8), slice(1, 3), slice(2, 4)], int)
    >>> one.start, [len(each) for each in one.values]
    ((1, 6), [3, 2])
    >>> one.at(slice(2, 4))[:] = 5
    >>> add_stretches([one, one]).whole(9)
    array([ 0,  0, 10, 10,  0,  0,  0,  0,  0])
    """

    start: tuple[int, ...]
    values: tuple[NDArray[Any], ...]

    @classmethod
    def zeros(cls, spans: Sequence[slice], dtype: DTypeLike) -> Stretches:
        """Zeros wherever one of the spans is."""
        joined: list[list[int]] = []
        for lo, hi in sorted((span.start, span.stop) for span in spans):
            if joined and lo <= joined[-1][1]:
                joined[-1][1] = max(joined[-1][1], hi)
            else:
                joined.append([lo, hi])
        return cls(
            tuple(lo for lo, _ in joined), tuple(np.zeros(hi - lo, dtype) for lo, hi in joined)
        )

    @classmethod
    def joined(cls, spans: Sequence[slice], values: Sequence[NDArray[Any]]) -> Stretches:
        """Join the values of some spans, which are in order and do not overlap."""
        starts: list[int] = []
        parts: list[list[NDArray[Any]]] = []
        for k, span in enumerate(spans):
            if k == 0 or spans[k - 1].stop < span.start:
                starts.append(span.start)
                parts.append([])
            parts[-1].append(values[k])
        return cls(tuple(starts), tuple(p[0] if len(p) == 1 else np.concatenate(p) for p in parts))

    def at(self, span: slice) -> NDArray[Any]:
        """View of the values of a span, which lies in one stretch."""
        k = int(np.searchsorted(self.start, span.start, "right")) - 1
        first = self.start[k]
        return self.values[k][span.start - first : span.stop - first]

    def spans(self) -> list[slice]:
        """Where the stretches are."""
        return [slice(lo, lo + len(own)) for lo, own in zip(self.start, self.values, strict=True)]

    def whole(self, size: int) -> NDArray[Any]:
        """(size,): the values of all units."""
        total = np.zeros(size, self.values[0].dtype if self.values else np.float64)
        for span, own in zip(self.spans(), self.values, strict=True):
            total[span] = own
        return total


def add_stretches(parts: Sequence[Stretches]) -> Stretches:
    """Sum of some, in their order."""
    spans = [span for part in parts for span in part.spans()]
    dtype = (
        np.result_type(*(own.dtype for part in parts for own in part.values)) if spans else float
    )
    total = Stretches.zeros(spans, dtype)
    for part in parts:
        for span, own in zip(part.spans(), part.values, strict=True):
            total.at(span)[:] += own
    return total


def extent(indices: NDArray[np.int32]) -> slice:
    """From the smallest to the largest index, of which there is one at least."""
    return slice(int(indices.min()), int(indices.max()) + 1)
