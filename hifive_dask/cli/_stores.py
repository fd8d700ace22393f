"""Stores as arguments of commands: they must be there, and results must not overwrite them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

__all__ = ["HEATMAP", "HEATMAPS", "StorePath", "check_output"]

# Root attribute `type` of the one map that `query` writes, and of a store of heatmaps.
HEATMAP, HEATMAPS = "heatmap", "heatmaps"


class StorePath(click.Path):
    """Path of a store that must be there.

    Parameters
    ----------
    maker
        The command that makes such a store, to be named when it is missing.
    """

    def __init__(self, maker: str) -> None:
        super().__init__(exists=True, path_type=Path)
        self._maker = maker

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not os.path.exists(value):
            self.fail(f"{value} does not exist; `hifive-dask {self._maker}` makes it.", param, ctx)
        return super().convert(value, param, ctx)


def check_output(out: Path, *inputs: Path, kind: str | None = None) -> None:
    """Check, before anything is computed, that a result would not overwrite something else.

    Parameters
    ----------
    out
        Where the result shall be.
    inputs
        What it is made from.
    kind
        For a store: its kind. It may replace an earlier store of the same kind only.

    Raises
    ------
    click.UsageError
        If `out` is one of the inputs.
    StoreError
        If `out` is there and is not of this kind.
    """
    if not out.exists():
        return
    for path in inputs:
        if path.exists() and out.samefile(path):
            raise click.UsageError(f"{out} is an input of this command; write to another file")
    if kind is not None:
        from hifive_dask._store.kinds import check_replaceable

        check_replaceable(out, kind)
