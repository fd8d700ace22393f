"""Types of options and arguments: sizes, regions, choices. The same thing is read in one way."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from hifive_dask.errors import ParameterError, did_you_mean
from hifive_dask.regions import parse_bp

__all__ = ["CHROMOSOME", "REGION", "Choice", "Number", "Numbers", "Size", "Sizes", "Words"]


class Size(click.ParamType):  # type: ignore[type-arg]
    """Bases, with or without a unit: ``5000``, ``10kb``, ``1.5Mb``.

    Parameters
    ----------
    least
        The smallest that is allowed, in bp.
    none
        Whether ``none`` is allowed, which is None.
    """

    name = "size"

    def __init__(self, least: int = 0, *, none: bool = False) -> None:
        self._least, self._none = least, none

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, int) or (self._none and value in (None, "none")):
            return value if isinstance(value, int) else None
        try:
            size = parse_bp(value)
        except ParameterError as error:
            self.fail(f"{error}{', or none' * self._none}.", param, ctx)
        if size < self._least:
            self.fail(f"{value} is below {self._least} bp; give a size such as 10kb.", param, ctx)
        return size


class Sizes(Size):
    """Several sizes between commas."""

    name = "size[,size...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        parts = value.split(",")
        if any(len(part) == 3 and part.isdigit() for part in parts[1:]):
            self.fail(
                f"{value!r}: commas are between sizes, not between digits; write 10kb or 10000, "
                "and two sizes as 10kb,20kb.",
                param,
                ctx,
            )
        convert = super().convert
        return [convert(part, param, ctx) for part in parts]


class Words(click.ParamType):  # type: ignore[type-arg]
    """Names between commas."""

    name = "name[,name...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(","))


class Numbers(click.ParamType):  # type: ignore[type-arg]
    """Whole numbers between commas."""

    name = "number[,number...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of whole numbers, such as 20,20.", param, ctx)


class Number(click.IntRange):
    """A whole number in a range."""

    name = "number"


class Choice(click.Choice):  # type: ignore[type-arg]
    """One of some words; of others it says which could be meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            meant = did_you_mean(str(value), self.choices)
            raise click.BadParameter(error.message + meant, ctx, param) from None


class _OfGenome(click.ParamType):  # type: ignore[type-arg]
    """A part of the genome; a shell completes names of chromosomes of the store before it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from hifive_dask.cli._facts import chromosomes_of

        store = next((ctx.params[k] for k in ("project", "store", "file") if k in ctx.params), None)
        names = chromosomes_of(store) if store else []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


REGION = _OfGenome("region")
CHROMOSOME = _OfGenome("chromosome")
