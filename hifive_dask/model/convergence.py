"""When an iteration may stop, and what is said if it has not converged."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np

from hifive_dask.errors import ConvergenceError, ConvergenceWarning, ParameterError

__all__ = ["OnNonconvergence", "check_limits", "check_policy", "report"]

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
        warnings.warn(message, ConvergenceWarning, stacklevel=4)
