"""The binning model: factors of pairs from the feature bins of their units, and their fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["minus_log2_likelihood", "pair_factors", "solve_entries"]

Float64 = NDArray[np.float64]

_CLOSE = 1e-14  # relative step at which a root is found
_STEPS = 200
_LOWEST, _HIGHEST = 1e-6, 1e6  # factors


@jit
def factor_of(one, two, corrections):
    """Product of the corrections of all features, of rows of `indices` of two units."""
    product = 1.0
    for h in range(len(one)):
        if one[h, 0] <= two[h, 0]:
            product *= corrections[one[h, 1] + two[h, 0]]
        else:
            product *= corrections[two[h, 1] + one[h, 0]]
    return product


@jit
def _pair_factors(first, second, indices, corrections, factor):
    for k in range(len(first)):
        factor[k] = factor_of(indices[first[k]], indices[second[k]], corrections)


def pair_factors(
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    indices: NDArray[np.int32],
    corrections: NDArray[np.float32],
) -> Float64:
    """Product of the corrections of all features for pairs of units.

    Parameters
    ----------
    first, second
        Integer (pairs): units.
    indices
        int32 (units, features, 2): feature bin b, and the place of bin pair (b, 0), counted as if
        rows of the upper triangle began there.
    corrections
        float32: the upper triangles of all features, one after the other.
    """
    factor = np.empty(len(first))
    _pair_factors(first, second, indices, corrections, factor)
    return factor


@jit
def _minus_log_likelihood(observed, unseen, chance, least):
    cost = 0.0
    for k in range(len(chance)):
        if observed[k] > 0.0 or unseen[k] > 0.0:
            p = min(max(chance[k], least), 1.0 - least)
            cost -= observed[k] * np.log(p) + unseen[k] * np.log1p(-p)
    return cost


def minus_log2_likelihood(
    observed: Float64, unseen: Float64, chance: Float64, least: float
) -> float:
    """Minus log2-likelihood of what was observed.

    Parameters
    ----------
    observed, unseen
        float64 (classes): pairs of every class that were seen, and that were not.
    chance
        float64 (classes): probability of a pair of the class to be seen.
    least
        Probabilities are held between this and 1 minus this.
    """
    return float(_minus_log_likelihood(observed, unseen, chance, least) / np.log(2))


@jit
def _solve_entries(seen, unseen, rest, start, value, solved):
    for a in range(len(seen)):
        value[a] = start[a]
        largest = 0.0
        for o in range(unseen.shape[0]):
            for r in range(unseen.shape[2]):
                if unseen[o, a, r] > 0.0 and rest[o, r] > largest:
                    largest = rest[o, r]
        if seen[a] <= 0.0 or largest <= 0.0:
            continue
        low, high = 0.0, 1.0 / largest
        x = start[a] if 0.0 < start[a] < high else 0.5 * high
        for _ in range(_STEPS):
            total, slope = 0.0, 0.0
            for o in range(unseen.shape[0]):
                for r in range(unseen.shape[2]):
                    if unseen[o, a, r] > 0.0:
                        term = rest[o, r] / (1.0 - rest[o, r] * x)
                        total += unseen[o, a, r] * term
                        slope += unseen[o, a, r] * term / (1.0 - rest[o, r] * x)
            excess = x * total - seen[a]
            if excess > 0.0:
                high = x
            else:
                low = x
            ahead = x - excess / slope
            if not low < ahead < high:
                ahead = 0.5 * (low + high)
            done = abs(ahead - x) <= _CLOSE * x
            x = ahead
            if done:
                break
        value[a] = min(max(x, _LOWEST), _HIGHEST)
        solved[a] = value[a] == x


def solve_entries(
    seen: Float64, unseen: Float64, rest: Float64, start: Float64
) -> tuple[Float64, NDArray[np.bool_]]:
    """Most likely factor x of every entry of a feature, all else being fixed.

    It is the root of ``seen = x sum unseen s / (1 - s x)`` between 0 and ``1 / max s``, s being
    `rest`, by Newton steps with bisection where they leave the bracket.

    Parameters
    ----------
    seen
        float64 (entries): pairs that were seen.
    unseen
        float64 (outer, entries, inner): pairs of every class that were not seen.
    rest
        float64 (outer, inner): probability of a pair but for the feature.
    start
        float64 (entries).

    Returns
    -------
    value
        float64 (entries), held between 1e-6 and 1e6: where all pairs of a class were observed the
        likelihood has no maximum. The start where there is no root.
    solved
        bool (entries): whether it is the root.
    """
    value, solved = np.empty(len(start)), np.zeros(len(start), dtype=bool)
    _solve_entries(seen, unseen, rest, start, value, solved)
    return value, solved
