"""Sums over all pairs of positions, for every position, in nearly linear time.

For q_ij = m(d_ij) w_i w_j, with a power law m per segment of distance, and a loss f(q), either q or
-ln(1 - q), these are the total of f(q_ij) and, for every i, the sum of q_ij f'(q_ij) over its
partners. Pairs of distant nodes of a tree exchange moments of their weights for local expansions
(the fast multipole method), with the series of `pair_trees`. The logarithm is expanded, too:
-ln(1 - q) = q + q^2 / 2 + ..., where power t is a product of its own, with weights w^t and the law
m^t. Like the series of m, the sum takes the fewest powers whose remainder, ``q^t / (1 - q)``
relative to the pair, is below `ACCURACY` for the largest q of two nodes; where `POWERS` do not
suffice, nodes are split, and pairs visited one by one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit
from hifive_dask._kernels.pair_trees import (
    LEAF,
    STACK,
    TERMS,
    PairTrees,
    enough_terms,
    power_series,
    push,
    segments_between,
    split,
)

__all__ = ["CLIP", "Law", "Terms", "fast_terms", "loss", "mean_at", "power_law"]

POWERS = 6
ACCURACY = 1e-8
LEAST = 1e-7  # of 1 - q
CLIP = 1.0 - LEAST
_NEAR = 2**17  # bp
_LARGE = 0.5  # q where errors of the mean count twice
_TINY = 1e-280  # of a product: times LEAST it does not underflow


class Terms(NamedTuple):
    """What pairs add to a likelihood.

    Parameters
    ----------
    cost
        Sum of the losses.
    gradient
        float64 (n): derivative of the cost by the natural log of each weight.
    curvature
        float64 (n): for every weight the sum of its pairs' second derivatives by its natural log.
    clipped
        int64 (n): for every weight the number of its pairs with q at or above the edge, binomial
        only: up to `CLIP` the loss goes on from there as a parabola in ln(q), at `CLIP` it is flat.
    """

    cost: float
    gradient: NDArray[np.float64]
    curvature: NDArray[np.float64]
    clipped: NDArray[np.int64]


class Law(NamedTuple):
    """exp(intercept) max(1, d)^slope per segment of distance.

    Parameters
    ----------
    thresholds
        int64 (K), not decreasing, bp: segment k holds distances above threshold k - 1, up to k.
    slope, intercept
        float64 (K + 1); an intercept of minus infinity leaves a segment out.
    top
        float64 (K + 1): largest value in each segment.
    coefficient, derivative
        float64 (powers, K + 1, terms): series of (1 + v)^(t slope), for the powers t.
    reach
        float64 (powers, K + 1, terms + 1): largest v for every number of terms.
    limit
        float64 (powers + 1): largest q for every number of powers.
    near
        float64: values of the law at the distances 0, 1, 2, ... bp, for as many as fit a cache.
    """

    thresholds: NDArray[np.int64]
    slope: NDArray[np.float64]
    intercept: NDArray[np.float64]
    top: NDArray[np.float64]
    coefficient: NDArray[np.float64]
    derivative: NDArray[np.float64]
    reach: NDArray[np.float64]
    limit: NDArray[np.float64]
    near: NDArray[np.float64]


def power_law(
    thresholds: NDArray[np.int64],
    slope: NDArray[np.float64],
    intercept: NDArray[np.float64],
    longest: int,
    *,
    binomial: bool,
) -> Law:
    """Prepare a law for distances up to `longest` bp, and for the loss q or, binomial, -ln(1 - q).

    Parameters
    ----------
    thresholds
        int64 (K).
    slope, intercept
        float64 (K + 1).
    """
    slope = np.where(np.isneginf(intercept), 0.0, slope)
    ends = np.log(np.clip([np.r_[0, thresholds], np.r_[thresholds, longest]], 1, max(1, longest)))
    top = np.exp(np.maximum(*(slope * ends)) + intercept)
    powers = np.arange(1, POWERS + 1) if binomial else np.ones(1)
    series = [power_series((slope * t).tobytes(), ACCURACY) for t in powers]
    coefficient, derivative, reach = (np.array(part) for part in zip(*series, strict=True))
    limit = np.full(2, np.inf)
    if binomial:
        q = ACCURACY ** (1 / powers)
        limit = np.r_[0.0, q * (1 - q) ** (1 / powers)]
    distance = np.arange(min(longest + 1, _NEAR))
    k = np.searchsorted(thresholds, distance)
    near = np.exp(slope[k] * np.log(np.maximum(1, distance)) + intercept[k])
    return Law(thresholds, slope, intercept, top, coefficient, derivative, reach, limit, near)


@jit
def mean_at(near, slope, intercept, k, distance):
    """Value of the law at a distance in segment k: the same bits wherever it is used."""
    if distance < len(near):
        return near[distance]
    return np.exp(slope[k] * np.log(float(max(1, distance))) + intercept[k])


@jit
def loss(q, edge):
    """f(q), its first and second derivative by ln(q), and whether q is beyond the edge.

    Edge 0 stands for f(q) = q.
    """
    if edge == 0.0:
        return q, q, q, 0
    if q < edge:
        slope = q / (1.0 - q)
        return -np.log1p(-q), slope, slope / (1.0 - q), 0
    rest = 1.0 - edge
    if rest <= LEAST:
        return -np.log(LEAST), 0.0, 0.0, 1
    slope = edge / rest
    bend = slope / rest
    step = np.log(q / edge)
    return -np.log(rest) + (slope + 0.5 * bend * step) * step, slope + bend * step, bend, 1


@jit
def _enough_powers(limit, q):
    """Number of powers that suffice up to q, more than there are if none does."""
    powers = 1
    while powers < len(limit) and q > limit[powers]:
        powers += 1
    return powers


@jit
def _shift(centre, half, parent, child, powers, shift):
    """Matrix from offsets in a child to offsets in its parent: powers of scale, and of the step."""
    scale = 1.0 / half[parent] if half[parent] > 0 else 0.0
    step, factor = (centre[child] - centre[parent]) * scale, half[child] * scale
    shift[0], powers[0] = 1.0, 1.0
    for m in range(1, TERMS):
        shift[m] = shift[m - 1] * step / m
        powers[m] = powers[m - 1] * factor


@jit
def _upward(trees, weight, moment, largest):
    """Moments of the powers of the weights, and the largest weight, of every node."""
    mid, left, right, centre, half = trees.mid, trees.left, trees.right, trees.centre, trees.half
    powers, shift = np.empty(TERMS), np.empty(TERMS)
    for node in range(len(left) - 1, -1, -1):  # children come after their parents
        if left[node] < 0:
            scale = 1.0 / half[node] if half[node] > 0 else 0.0
            for i in range(trees.first[node], trees.stop[node]):
                offset = (mid[i] - centre[node]) * scale
                largest[node] = max(largest[node], weight[i])
                power = 1.0
                for t in range(moment.shape[1]):
                    power *= weight[i]
                    term = power
                    for m in range(TERMS):
                        moment[node, t, m] += term
                        term *= offset / (m + 1)
            continue
        for child in (left[node], right[node]):
            largest[node] = max(largest[node], largest[child])
            _shift(centre, half, node, child, powers, shift)
            for t in range(moment.shape[1]):
                for m in range(TERMS):
                    total = 0.0
                    for k in range(m + 1):
                        total += shift[m - k] * powers[k] * moment[child, t, k]
                    moment[node, t, m] += total


@jit
def _downward(trees, weight, local, gradient, curvature):
    """Hand the expansions of every node down to its positions; returns half their product."""
    mid, left, right, centre, half = trees.mid, trees.left, trees.right, trees.centre, trees.half
    powers, shift = np.empty(TERMS), np.empty(TERMS)
    cost = 0.0
    for node in range(len(left)):
        if left[node] < 0:
            scale = 1.0 / half[node] if half[node] > 0 else 0.0
            for i in range(trees.first[node], trees.stop[node]):
                offset = (mid[i] - centre[node]) * scale
                power = 1.0
                for t in range(local.shape[1]):
                    power *= weight[i]
                    value = local[node, t, TERMS - 1]
                    for m in range(TERMS - 1, 0, -1):
                        value = local[node, t, m - 1] + value * offset / m
                    gradient[i] += power * value
                    curvature[i] += (t + 1) * power * value
                    cost += 0.5 * power * value / (t + 1)
            continue
        for child in (left[node], right[node]):
            _shift(centre, half, node, child, powers, shift)
            for t in range(local.shape[1]):
                for k in range(TERMS):
                    total = 0.0
                    for m in range(k, TERMS):
                        total += local[node, t, m] * shift[m - k]
                    local[child, t, k] += powers[k] * total
    return cost


@jit
def _translate(moment, local, derivative, a, b, t, k, lead, step_a, step_b, terms, one, two):
    """Add what two nodes mean to each other, by power t of the law of segment k."""
    power_a, power_b = 1.0, 1.0
    for m in range(terms):
        one[m] = moment[a, t, m] * power_a
        two[m] = moment[b, t, m] * power_b
        power_a *= step_a
        power_b *= step_b
    power_a, power_b = lead, lead
    for m in range(terms):
        to_a, to_b = 0.0, 0.0
        for n in range(terms - m):
            to_a += derivative[t, k, m + n] * two[n]
            to_b += derivative[t, k, m + n] * one[n]
        local[a, t, m] += power_a * to_a
        local[b, t, m] += power_b * to_b
        power_a *= step_a
        power_b *= step_b


# From here on arrays are arguments of their own: those of a tuple are counted at every use, and
# threads would wait for each other's counts.


@jit
def _far(
    half, slope, intercept, reach, limit, derivative, moment, largest, local,
    a, b, k, distance, one, two,
):  # fmt: skip
    """Sum two nodes in one segment by series; returns whether these converge."""
    wide = half[a] + half[b]
    if enough_terms(reach, 0, k, wide, distance) > TERMS:
        return False
    lead = np.exp(slope[k] * np.log(distance) + intercept[k])
    powers = 1
    if len(reach) > 1:
        highest = lead * np.exp(abs(slope[k]) * wide / (distance - wide))
        powers = _enough_powers(limit, highest * largest[a] * largest[b])
        if powers > len(reach):
            return False
        for t in range(1, powers):
            if enough_terms(reach, t, k, wide, distance) > TERMS:
                return False
    step_a, step_b = -half[a] / distance, half[b] / distance
    power = 1.0
    for t in range(powers):
        power *= lead
        terms = enough_terms(reach, t, k, wide, distance)
        _translate(moment, local, derivative, a, b, t, k, power, step_a, step_b, terms, one, two)
    return True


@jit
def _series_leaves(
    place, slope, intercept, coefficient, weight, a_lo, a_hi, b_lo, b_hi, low, high, limit, centre,
    short, binomial, means, row, bend, costs, gradient, curvature,
):  # fmt: skip
    """Sum two leaves, in one segment or two, by the series of both: loops the compiler unrolls."""
    lead_one = np.exp(slope[low] * np.log(centre) + intercept[low])
    lead_two = np.exp(slope[high] * np.log(centre) + intercept[high])
    p0, p1, p2, p3, p4, p5, p6, p7 = _eight(coefficient, low)
    r0, r1, r2, r3, r4, r5, r6, r7 = _eight(coefficient, high)
    inverse, n = 1.0 / centre, b_hi - b_lo
    for j in range(n):
        costs[j] = 1.0 if binomial else 0.0
    for i in range(a_lo, a_hi):
        here, own = place[i], weight[i]
        for j in range(n):
            d = place[b_lo + j] - here
            v = (d - centre) * inverse
            if short:
                x = ((p3 * v + p2) * v + p1) * v + p0
                y = ((r3 * v + r2) * v + r1) * v + r0
            else:
                x = ((p7 * v + p6) * v + p5) * v + p4
                y = ((r7 * v + r6) * v + r5) * v + r4
                x = (((x * v + p3) * v + p2) * v + p1) * v + p0
                y = (((y * v + r3) * v + r2) * v + r1) * v + r0
            means[j] = (lead_one * x if d <= limit else lead_two * y) * own * weight[b_lo + j]
        if binomial:
            for j in range(n):
                rest = 1.0 - means[j]
                costs[j] *= rest
                row[j] = means[j] / rest
                bend[j] = row[j] / rest
        else:
            for j in range(n):
                costs[j] += means[j]
                row[j] = means[j]
                bend[j] = means[j]
        total, total_bend = 0.0, 0.0
        for j in range(n):
            gradient[b_lo + j] += row[j]
            total += row[j]
        for j in range(n):
            curvature[b_lo + j] += bend[j]
            total_bend += bend[j]
        gradient[i] += total
        curvature[i] += total_bend
    cost = 0.0
    for j in range(n):
        cost += -np.log(costs[j]) if binomial else costs[j]
    return cost


@jit
def _eight(coefficient, k):
    c = coefficient
    return (
        c[0, k, 0], c[0, k, 1], c[0, k, 2], c[0, k, 3],
        c[0, k, 4], c[0, k, 5], c[0, k, 6], c[0, k, 7],
    )  # fmt: skip


@jit
def _plain_leaves(
    mid, thresholds, slope, intercept, near, weight, edge, a_lo, a_hi, b_lo, b_hi, low, high,
    gradient, curvature, clipped,
):  # fmt: skip
    """Sum the pairs of two leaves one by one; returns their cost."""
    cost, product = 0.0, 1.0
    for i in range(a_lo, a_hi):
        k = low
        row, row_bend = 0.0, 0.0
        for j in range(max(i + 1, b_lo), b_hi):
            distance = mid[j] - mid[i]
            while k < high and distance > thresholds[k]:
                k += 1
            q = (mean_at(near, slope, intercept, k, distance) * weight[i]) * weight[j]
            if edge > 0.0 and q < edge:
                rest = 1.0 - q
                part = q / rest
                part_bend = part / rest
                product *= rest  # one logarithm of many factors
                if product < _TINY:
                    cost -= np.log(product)
                    product = 1.0
            else:
                value, part, part_bend, beyond = loss(q, edge)
                cost += value
                clipped[i] += beyond
                clipped[j] += beyond
            row += part
            row_bend += part_bend
            gradient[j] += part
            curvature[j] += part_bend
        gradient[i] += row
        curvature[i] += row_bend
    return cost - np.log(product)


@jit
def _fast_terms(
    mid, place, root, first, stop, left, right, centre, half,
    thresholds, slope, intercept, top, coefficient, derivative, reach, limit, near,
    row_lo, row_hi, weight, edge, moment, largest, local, gradient, curvature, clipped,
):  # fmt: skip
    stack = np.empty((STACK, 4), dtype=np.int64)
    means, row_sum, bend, costs = np.empty(LEAF), np.empty(LEAF), np.empty(LEAF), np.empty(LEAF)
    one, two = np.empty(TERMS), np.empty(TERMS)
    binomial = len(reach) > 1
    cost = 0.0
    for row in range(row_lo, row_hi):
        for other in range(row, len(root)):
            if root[row] < 0 or root[other] < 0:
                continue
            depth = push(stack, 0, root[row], root[other], 0, len(thresholds))
            while depth > 0:
                depth -= 1
                a, b = stack[depth, 0], stack[depth, 1]
                low, high = stack[depth, 2], stack[depth, 3]
                a_lo, a_hi, b_lo, b_hi = first[a], stop[a], first[b], stop[b]
                low, high = segments_between(thresholds, mid, a_lo, a_hi, b_lo, b_hi, low, high)
                distance, wide = centre[b] - centre[a], half[a] + half[b]
                if low == high and (
                    intercept[low] == -np.inf
                    or _far(
                        half, slope, intercept, reach, limit, derivative, moment, largest, local,
                        a, b, low, distance, one, two,
                    )
                ):  # fmt: skip
                    continue
                if left[a] >= 0 or left[b] >= 0:
                    depth = split(left, right, half, a, b, low, high, stack, depth)
                    continue
                terms = TERMS + 1
                if high - low < 2:
                    highest = max(top[low], top[high]) * largest[a] * largest[b]
                    if highest <= _LARGE or not binomial:
                        terms = max(
                            enough_terms(reach, 0, low, wide, distance),
                            enough_terms(reach, 0, high, wide, distance),
                        )
                if terms <= TERMS:
                    border = float(thresholds[low]) if low < high else np.inf
                    cost += _series_leaves(
                        place, slope, intercept, coefficient, weight, a_lo, a_hi, b_lo, b_hi,
                        low, high, border, distance, terms <= 4, binomial,
                        means, row_sum, bend, costs, gradient, curvature,
                    )  # fmt: skip
                else:
                    cost += _plain_leaves(
                        mid, thresholds, slope, intercept, near, weight, edge,
                        a_lo, a_hi, b_lo, b_hi, low, high, gradient, curvature, clipped,
                    )  # fmt: skip
    return cost


def fast_terms(
    trees: PairTrees, law: Law, row_lo: int, row_hi: int, weight: NDArray[np.float64], edge: float
) -> Terms:
    """Sum the losses of all pairs i < j, each once.

    Parameters
    ----------
    trees
        Groups of positions; their weights do not matter.
    law
        See `power_law`.
    row_lo, row_hi
        Groups of the first position of a pair; the second lies in the same or any later group.
    weight
        float64 (n), not negative.
    edge
        See `Terms`; 0 if the law was not prepared for -ln(1 - q).

    Returns
    -------
    Terms. The error of every pair's part is below 2e-8 of that part.
    """
    nodes, powers = len(trees.first), len(law.reach)
    moment, local = np.zeros((2, nodes, powers, TERMS))
    largest, (gradient, curvature) = np.zeros(nodes), np.zeros((2, len(weight)))
    clipped = np.zeros(len(weight), dtype=np.int64)
    _upward(trees, weight, moment, largest)
    cost = _fast_terms(
        trees.mid, trees.mid.astype(np.float64), trees.root, trees.first, trees.stop,
        trees.left, trees.right, trees.centre, trees.half, *law,
        row_lo, row_hi, weight, edge, moment, largest, local, gradient, curvature, clipped,
    )  # fmt: skip
    cost += _downward(trees, weight, local, gradient, curvature)
    return Terms(cost, gradient, curvature, clipped)
