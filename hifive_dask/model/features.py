"""Bins of fend features and of distance, as a binning model wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import ParameterError, unknown
from hifive_dask.genome.partition import Units
from hifive_dask.model.checks import whole_number

__all__ = ["FeatureBins", "ModelPlan", "bin_feature", "distance_cutoffs", "plan_model"]

Float32 = NDArray[np.float32]

_KINDS = {
    **{kind: kind for kind in ("even", "fixed", "even-const", "fixed-const")},
    **{"evenconst": "even-const", "fixedconst": "fixed-const"},
}


@dataclass(frozen=True)
class FeatureBins:
    """A feature of all units, cut into bins.

    Parameters
    ----------
    name
        Of the feature.
    learned
        Whether its corrections are learned, or stay at their start.
    edges
        float32 (B): upper edges, inclusive; the last is infinite.
    bins
        int32 (N): bin of every unit.
    """

    name: str
    learned: bool
    edges: Float32
    bins: NDArray[np.int32]


@dataclass(frozen=True)
class ModelPlan:
    """The features of a model, and the number of its distance bins, None without distance."""

    features: tuple[FeatureBins, ...]
    distance_bins: int | None

    @property
    def num_bins(self) -> NDArray[np.int32]:
        """int32 (features): bins of each."""
        return np.array([len(feature.edges) for feature in self.features], dtype=np.int32)

    @property
    def bins(self) -> NDArray[np.int32]:
        """int32 (N, features): bin of every unit."""
        return np.stack([feature.bins for feature in self.features], axis=1)


def plan_model(
    units: Units,
    model: Sequence[str],
    num_bins: Sequence[int],
    parameters: Sequence[str],
    usereads: str,
) -> ModelPlan:
    """Cut the features of a model into bins.

    Parameters
    ----------
    units
        The genome; all of its fends count, also those not in use.
    model
        Names of features, ``"len"`` for the length of fends, ``"distance"``.
    num_bins, parameters
        Of every name: number of bins; ``"even"`` (equal numbers of fends), ``"fixed"`` (equal
        ranges), and ``-const`` for corrections that are not learned. Distance bins are evenly
        spaced in ln(bp) and their factors are never learned.
    usereads
        Kind of reads; with ``"all"`` the last distance bin holds trans pairs.

    Raises
    ------
    ParameterError
        For unknown or repeated names, wrong numbers, lists of different lengths, or values of a
        feature that are not finite.
    """
    names, counts, kinds = _listed(model), list(num_bins), _listed(parameters)
    if not len(names) == len(counts) == len(kinds):
        raise ParameterError(
            f"model names {len(names)} features, num_bins has {len(counts)} numbers and parameters "
            f"{len(kinds)} kinds of bins; expected one of each for every feature"
        )
    known = ["len", "distance", *(name for name in units.features if name != "len")]
    for name in names:
        if name not in known:
            raise ParameterError(f"model has an {unknown('feature', name, known)}")
        if names.count(name) > 1:
            raise ParameterError(f"model names {name!r} more than once")
    counts = [_bin_count(name, count) for name, count in zip(names, counts, strict=True)]
    for kind in kinds:
        if kind not in _KINDS:
            raise ParameterError(
                f"parameters hold {kind!r}, expected 'even', 'fixed', 'even-const' or 'fixed-const'"
            )
    distance = counts[names.index("distance")] if "distance" in names else None
    if distance is not None and usereads == "trans":
        raise ParameterError("trans pairs have no distance; leave 'distance' out of model")
    if distance == 1 and usereads == "all":
        raise ParameterError(
            "one of the distance bins holds the trans pairs; give 'distance' 2 bins or more"
        )
    features = tuple(
        bin_feature(units, name, count, _KINDS[kind])
        for name, count, kind in zip(names, counts, kinds, strict=True)
        if name != "distance"
    )
    if not features:
        raise ParameterError("model has no feature of fends; expected one besides 'distance'")
    return ModelPlan(features, distance)


def _listed(values: str | Sequence[str]) -> list[str]:
    values = [values] if isinstance(values, str) else values
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values]


def _bin_count(name: str, count: Any) -> int:
    bins = whole_number("num_bins", count)
    if not 0 < bins < 1 << 15:
        raise ParameterError(f"num_bins is {count} for {name!r}, expected 1 to {(1 << 15) - 1}")
    return bins


def bin_feature(units: Units, name: str, count: int, kind: str) -> FeatureBins:
    """Cut one feature into `count` bins.

    Edges are compared as float32, in which features are stored.

    Raises
    ------
    ParameterError
        If a value is not finite.
    """
    raw = units.stop - units.start if name == "len" else units.features[name]
    values = raw.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ParameterError(
            f"feature {name!r} is {values[bad[0]]} for fend {bad[0]} and {len(bad) - 1:,} others; "
            "expected finite numbers: mend the feature, or leave it out of model"
        )
    if kind.startswith("even"):
        last = np.round(np.linspace(0, len(values), count + 1)[1:]).astype(np.int64) - 1
        edges = np.sort(values)[np.maximum(0, last)]
    else:
        low, high = float(values.min()), float(values.max())
        edges = np.linspace(low, high, count + 1)[1:].astype(np.float32)
    edges[-1] = np.inf
    bins = np.searchsorted(edges, values, "left").astype(np.int32)
    return FeatureBins(name, not kind.endswith("-const"), edges, bins)


def distance_cutoffs(low: int, high: int, bins: int) -> NDArray[np.int64]:
    """Upper cutoffs in bp, inclusive, of distance bins evenly spaced in ln(bp).

    Examples
    --------
    >>> from hifive_dask.model.features import distance_cutoffs
    >>> distance_cutoffs(0, 11275, 2)
    array([  107, 11276])
    """
    steps = np.linspace(np.log(max(1, low)), np.log(high), bins + 1)[1:]
    cutoffs = np.ceil(np.exp(steps)).astype(np.int64)
    cutoffs[-1] += 1
    return cutoffs
