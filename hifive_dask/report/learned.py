"""What was learned: decay with distance, convergence, what the corrections did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hifive_dask.errors import HifiveDaskError, StateError
from hifive_dask.hic import HiC
from hifive_dask.measuring import DISTANCE_SUMS, LIMITS
from hifive_dask.model.diagnostics import profile, varying
from hifive_dask.model.distance import fit_distance
from hifive_dask.model.marginals import Marginals
from hifive_dask.model.unit_reads import expected_of_units
from hifive_dask.report.coverage import quantiles

__all__ = [
    "convergence_numbers",
    "correction_numbers",
    "decay_numbers",
    "expected_reads",
    "first_bin",
    "measured_table",
    "slope",
]

Float64 = NDArray[np.float64]

_NUMBINS = 60
# bp: what pairsqc looks at, and Lieberman-Aiden et al. 2009.
RANGES = ((10_000, 10**5.5), (500_000, 7_000_000))


def decay_numbers(hic: HiC) -> dict[str, Any] | None:
    """Reads per possible pair by distance; measured here if the project has not learned it.

    None if no distance has reads enough.
    """
    sums, learned = hic.distance_sums, bool(hic.distance_sums)
    if not learned:
        try:
            model = fit_distance(
                hic.units,
                hic.filter,
                hic.data.store,
                numbins=_NUMBINS,
                minsize=first_bin(hic),
                maxsize=0,
                silent=hic.silent,
            )
        except HifiveDaskError:
            return None
        sums = {name: getattr(model, name) for name in DISTANCE_SUMS}
    kept = (sums["signal"] > 0) & (sums["possible"] > 0)
    if not kept.any():
        return None
    distance = np.exp(sums["mean_log_distance"][kept])
    signal = sums["signal"][kept] / sums["possible"][kept]
    return {
        "learned": learned,
        "parameters": hic.distance_parameters is not None,
        "distance": distance.tolist(),
        "signal": signal.tolist(),
        "slopes": [
            {"from": lo, "to": round(hi), "slope": value}
            for lo, hi in RANGES
            if (value := slope(distance, signal, lo, hi)) is not None
        ],
    }


def first_bin(hic: HiC) -> int:
    """Upper end of the first distance bin, in bp, where nobody chose one."""
    units = hic.units
    return max(1000, int(4 * np.median(units.stop - units.start))) if len(units) else 1000


def slope(distance: Float64, signal: Float64, lo: float, hi: float) -> float | None:
    """Slope of ln(signal) by ln(distance) between two distances, by least squares.

    None if the points do not reach over at least 80 % of the range, on the logarithmic axis, or are
    fewer than three.

    Examples
    --------
    >>> import numpy as np
    >>> from hifive_dask.report.learned import slope
    >>> distance = np.array([1e4, 3e4, 1e5, 3e5])
    >>> round(slope(distance, distance**-0.75, 1e4, 3e5), 6)
    -0.75
    """
    inside = (distance >= lo) & (distance <= hi)
    x, y = np.log(distance[inside]), np.log(signal[inside])
    if len(x) < 3 or np.ptp(x) < 0.8 * np.log(hi / lo):
        return None
    return float(np.polyfit(x, y, 1)[0])


def convergence_numbers(hic: HiC) -> dict[str, Any] | None:
    """How the last normalization ended; None if there was none."""
    if hic.normalization == "none":
        return None
    record = hic.last_normalization
    parameters = {} if record is None else record["parameters"]
    results = {} if record is None else record["results"]
    trace = hic.trace
    return {
        "method": hic.method,
        "joint": hic.fitted_jointly,
        "usereads": parameters.get("usereads"),
        "balances": record is not None and _balances(hic, parameters),
        "converged": hic.converged,
        "iterations": hic.iterations,
        "limit": None if record is None else parameters.get(LIMITS[record["call"]]),
        "last_change": None if trace is None or not len(trace) else _known(trace[-1:, 1])[0],
        "cost": None if trace is None else _known(trace[:, 0]),
        "change": None if trace is None else _known(trace[:, 1]),
        "stalled": list(results.get("stalled", ())),
    }


def _balances(hic: HiC, parameters: dict[str, Any]) -> bool:
    """Whether the corrections were to make the cis reads of all units alike.

    Those of features, of trans reads, of some distances or chromosomes, and of whether pairs were
    seen at all are not.
    """
    chosen = parameters.get("chroms")
    return (
        hic.normalization != "binning"
        and parameters.get("usereads", "cis") != "trans"
        and not (parameters.get("mindistance") or parameters.get("maxdistance"))
        and not parameters.get("binary")
        and parameters.get("model") != "binomial"
        and len(chosen or hic.units.chromosomes) == len(hic.units.chromosomes)
    )


def _known(values: Float64) -> list[float | None]:
    """JSON has no numbers that are not finite."""
    return [float(value) if np.isfinite(value) else None for value in values]


def expected_reads(hic: HiC) -> Float64 | None:
    """float64 (2, N): cis reads expected of every unit by distance alone, and with corrections.

    None if that is not known: without the distance dependence, or with a model of features.
    """
    parameters, means = hic.distance_parameters, hic.chromosome_means
    if parameters is None or means is None or hic.normalization.startswith("binning"):
        return None
    ones, applied = np.ones(len(hic.units), dtype=np.float32), hic.applied_corrections
    use = hic.filter if applied is None else hic.filter * (applied > 0)
    weights = [ones] if applied is None else [ones, applied]
    try:
        sums = expected_of_units(hic.units, use, parameters, means, weights, silent=hic.silent)
    except StateError:  # no unit has a partner
        return None
    return np.stack([sums[0], sums[-1]])


def measured_table(hic: HiC, kept: Marginals, expected: Float64 | None) -> pd.DataFrame | None:
    """`HiC.unit_table`; None if no unit has a partner.

    Where it is known how many reads maps expect of every unit, `coverage` and `corrected` are the
    reads over these, which is right for every method; else, as for corrections that were learned
    without the distance dependence, they are the means of ratios that Express makes equal.
    """
    try:
        table = hic.unit_table()
    except StateError:
        return None
    record = hic.last_normalization
    together = record is None or record["parameters"].get("remove_distance", True)
    if expected is None or not together:
        return table
    units = table.index.to_numpy()
    own = expected[:, units]
    known = np.flatnonzero((own > 0).all(axis=0))
    table, own, reads = table.iloc[known].copy(), own[:, known], kept.cis_reads[units[known]]
    for name, each in zip(("coverage", "corrected"), own, strict=True):
        table[name] = reads / each * (each.sum() / max(1, reads.sum()))
    return table if len(table) else None


def correction_numbers(table: pd.DataFrame) -> dict[str, Any]:
    """How reads of units in use spread before and after, as a whole and against features."""
    profiles = {name: profile(table, name) for name in varying(table)}
    return {
        "units": len(table),
        "correction": quantiles(table["correction"].to_numpy(dtype=np.float64)),
        "before": quantiles(table["coverage"].to_numpy(dtype=np.float64)),
        "after": quantiles(table["corrected"].to_numpy(dtype=np.float64)),
        "features": {
            name: {
                "strongest_before": _strongest(groups, "coverage_mean"),
                "strongest_after": _strongest(groups, "corrected_mean"),
                "groups": {column: groups[column].tolist() for column in groups},
            }
            for name, groups in profiles.items()
        },
    }


def _strongest(groups: pd.DataFrame, column: str) -> float | None:
    """Largest deviation of the mean of a group from the mean of all, as abs(log2)."""
    means = groups[column].to_numpy(dtype=np.float64)
    means = means[means > 0]
    return float(np.abs(np.log2(means)).max()) if len(means) else None
