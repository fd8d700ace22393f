"""Coverage and k-core of random pairs against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from hifive_dask._kernels.coverage import coverage, k_core, lower_cores


def _plain_coverage(rows: list[tuple[int, int]], valid: list[int]) -> list[int]:
    count = [0] * len(valid)
    for i, j in rows:
        if valid[i] and valid[j]:
            for unit in {i, j}:
                count[unit] += 1
    return count


def _plain_core(rows: list[tuple[int, int]], valid: list[int], least: int) -> list[int]:
    while True:
        count = _plain_coverage(rows, valid)
        kept = [int(bool(v) and c >= least) for v, c in zip(valid, count, strict=True)]
        if kept == valid:
            return kept
        valid = kept


@pytest.mark.parametrize("seed", range(40))
def test_k_core__is_the_fixed_point_of_repeated_removal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    units = int(rng.integers(1, 40))
    pairs = np.sort(rng.integers(0, units, (int(rng.integers(0, 120)), 2)), axis=1)
    first, second = pairs.astype(np.int32).T.copy()
    valid = (rng.random(units) < 0.8).astype(np.int32)
    rows = [(i, j) for i, j in pairs.tolist()]
    covered = coverage(first, second, valid)
    assert covered.tolist() == _plain_coverage(rows, valid.tolist())
    among = (valid[first] > 0) & (valid[second] > 0)
    first, second = first[among], second[among]
    cores = np.sum([_plain_core(rows, valid.tolist(), least) for least in range(1, 6)], axis=0)
    for least in (1, 3, 5):
        ends = first.copy(), second.copy()
        kept, number = k_core(*ends, valid, least, covered.copy())
        assert kept.tolist() == _plain_core(rows, valid.tolist(), least)
        # Rows of the core come first, and none is lost.
        assert (kept[ends[0]] & kept[ends[1]]).tolist() == [1] * number + [0] * (
            len(first) - number
        )
        before, after = (sorted(zip(*pair, strict=True)) for pair in ((first, second), ends))
        assert before == after
        core = least * kept
        lower_cores(ends[0][number:], ends[1][number:], core, least)
        assert core.tolist() == np.minimum(cores, least).tolist()


def test_k_core__leaves_the_given_filter_alone() -> None:
    valid = np.ones(3, dtype=np.int32)
    first, second = np.array([0], dtype=np.int32), np.array([1], dtype=np.int32)
    kept, _ = k_core(first, second, valid, 1, coverage(first, second, valid))
    assert kept.tolist() == [1, 1, 0]
    assert valid.tolist() == [1, 1, 1]
