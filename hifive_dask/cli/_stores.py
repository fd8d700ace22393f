"""Stores and files as arguments of commands; results must not overwrite what they are made from."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hifive_dask.errors import did_you_mean

if TYPE_CHECKING:
    from hifive_dask._store.places import Place

__all__ = [
    "HEATMAP",
    "HEATMAPS",
    "STDOUT",
    "FilePath",
    "StoreOut",
    "StorePath",
    "check_output",
    "write_text",
]

# Root attribute `type` of the one map that `query` writes, and of a store of heatmaps.
HEATMAP, HEATMAPS = "heatmap", "heatmaps"
STDOUT = Path("-")


class FilePath(click.Path):
    """Path of a file, or directory, of this machine."""

    def __init__(self, **rules: Any) -> None:
        super().__init__(path_type=Path, **rules)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "://" in str(value):
            self.fail(
                f"{value} is a URL, and only stores called .zarr can be at one; give a path.",
                param,
                ctx,
            )
        if self.exists and not self.dir_okay and Path(value, "zarr.json").exists():
            self.fail(f"{value} is a store, expected a file; is the order right?", param, ctx)
        return super().convert(value, param, ctx)


class StoreOut(click.Path):
    """Path, or URL, of a store that is to be made."""

    def __init__(self, **rules: Any) -> None:
        super().__init__(path_type=Path, **rules)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "://" not in str(value):
            return super().convert(value, param, ctx)
        from hifive_dask._store.places import place

        return place(value)


class StorePath(StoreOut):
    """Path, or URL, of a store that must be there.

    Parameters
    ----------
    maker
        The command that makes such a store, to be named when it is missing; None for any store.
    """

    def __init__(self, maker: str | None = None) -> None:
        super().__init__()
        self._maker = maker

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
        # At a URL it is asked for but once, when it is opened.
        if isinstance(found, Path) and not Path(str(found).partition("::")[0]).exists():
            there = [path.name for path in found.parent.iterdir()] if found.parent.is_dir() else []
            cure = f"; `hifive-dask {self._maker}` makes it." if self._maker else "."
            near = did_you_mean(found.name, there)
            self.fail(f"{value} does not exist{cure}{near}", param, ctx)
        return found


def check_output(out: Place, *inputs: Place, kind: str | None = None) -> None:
    """Check, before anything is computed, that a result can be written and overwrites nothing else.

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
        If `out` is one of the inputs, or inside of one.
    StoreError
        If `out` is there and is not of this kind, or could not be written.
    """
    from hifive_dask._store.atomic import writable_parent

    if out == STDOUT:
        return
    if isinstance(out, Path):
        parents = out.absolute().parents
        if any(isinstance(path, Path) and path.absolute() in parents for path in inputs):
            raise click.UsageError(f"{out} is inside of an input; write to a file elsewhere")
    if not isinstance(out, Path) or out.exists():
        from hifive_dask._store.kinds import check_replaceable
        from hifive_dask._store.places import same

        if any(same(out, path) for path in inputs):
            raise click.UsageError(f"{out} is an input of this command; write to another file")
        if kind is not None:
            check_replaceable(out, kind)
    writable_parent(out)


def write_text(out: Place, parts: Iterable[str]) -> None:
    """Write text to a file, whole or not at all, or to standard output."""
    if out == STDOUT:
        sys.stdout.writelines(parts)
        return
    from hifive_dask._store.atomic import replacing_file

    with replacing_file(out) as beside, open(beside, "w") as handle:
        handle.writelines(parts)
