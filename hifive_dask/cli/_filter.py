"""The filter of a command: how many partners it asks for, and what is said of what it left."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import click

from hifive_dask.cli._settings import Settings
from hifive_dask.cli._types import Number
from hifive_dask.errors import HifiveDaskWarning, StateError, warn

if TYPE_CHECKING:
    from hifive_dask import HiC
    from hifive_dask.model.filter_result import Words

__all__ = ["Partners", "apply_filter", "tell_filter"]


class Partners(Number):
    """A number of partners, or ``auto``."""

    name = "number or auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == "auto" else super().convert(value, param, ctx)


def apply_filter(
    settings: Settings, hic: HiC, options: dict[str, Any], *, strict: bool = False
) -> None:
    """Filter by the options of a command, and say what became of it.

    Raises
    ------
    StateError
        If nothing is left, or, if `strict`, less than a fifth of the units with reads by a number
        that nobody gave.
    """
    from hifive_dask.model.filter_result import FEW, FilterResult

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HifiveDaskWarning)  # speaks of arguments
        hic.filter_fends(options["mininteractions"], options["mindistance"], options["maxdistance"])
    found = FilterResult.last_of(hic.records)
    if found is not None:
        shortage = found.shortage(_words(hic), FEW if strict and found.auto else 0.0)
        if shortage is not None:
            raise StateError(shortage)
    tell_filter(settings, hic)


def tell_filter(settings: Settings, hic: HiC) -> None:
    """Say what the filter of a project chose and kept, and warn if little is left."""
    from hifive_dask.model.filter_result import FilterResult

    found = FilterResult.last_of(hic.records)
    if found is None:
        return
    if found.keeps:
        head = ("partners", f"{found.units} in use", f"of those with {found.usereads} reads", "")
        settings.table("Filter", [head, *found.table()])
    if found.with_reads:
        settings.say(f"{found.summary(_words(hic))}.")
    for text in found.warnings(_words(hic)):
        warn(text, HifiveDaskWarning)


def _words(hic: HiC) -> Words:
    from hifive_dask.model.filter_result import COMMAND

    # Bins of arbitrary sizes come from a file, which another option takes.
    return COMMAND._replace(binned="of {}") if hic.binned == 0 else COMMAND
