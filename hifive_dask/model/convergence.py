"""When an iteration may stop, and what is said if it has not converged, and of which units."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import ConvergenceError, ConvergenceWarning, ParameterError, warn
from hifive_dask.genome.partition import Units

__all__ = ["OnNonconvergence", "check_limits", "check_policy", "name_units", "report"]

OnNonconvergence = Literal["warn", "error", "ignore"]


def check_limits(minchange: Any, policy: str) -> None:
    """Raise `ParameterError` unless `minchange` is above 0 and the policy is known."""
    if not isinstance(minchange, int | float | np.number) or not minchange > 0:
        raise ParameterError(f"minchange is {minchange!r}, expected a number above 0")
    check_policy(policy)


def check_policy(policy: str) -> None:
    """Raise `ParameterError` unless the policy is known."""
    if policy not in ("warn", "error", "ignore"):
        raise ParameterError(
            f"on_nonconvergence is {policy!r}, expected 'warn', 'error' or 'ignore'"
        )


def report(message: str, policy: OnNonconvergence) -> None:
    """Warn or raise, as the user wishes, that something did not converge."""
    if policy == "error":
        raise ConvergenceError(message)
    if policy == "warn":
        warn(message, ConvergenceWarning)


def name_units(units: Units, which: NDArray[np.intp], partners: NDArray[np.int64]) -> str:
    """Say how many units there are, the first of them, and the filter that removes most of them.

    Parameters
    ----------
    which
        Indices of units, the worst first; at least one.
    partners
        int64 (N): partners of every unit.
    """
    kind = "fends" if units.fends else "bins"
    names = [
        f"{units.chromosomes[units.chromosome[k]]}:{units.mid[k]:,} ({partners[k]} partners)"
        for k in which[:3].tolist()
    ]
    more = ", ..." if len(which) > 3 else ""
    least = int(np.median(partners[which])) + 1
    return (
        f"{len(which)} of the {kind}: {', '.join(names)}{more}; "
        f"filter_fends(mininteractions={least}) would remove most of them"
    )
