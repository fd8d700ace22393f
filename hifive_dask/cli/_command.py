"""Commands with options in groups and examples; groups that say which command could be meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from hifive_dask.cli._words import remember
from hifive_dask.errors import did_you_mean

__all__ = ["Command", "Group", "stack"]

F = TypeVar("F", bound=Callable[..., Any])


def stack(*options: Callable[[F], F], group: str | None = None) -> Callable[[F], F]:
    """Options that belong together, as one decorator.

    Parameters
    ----------
    options
        Decorators of `click.option`, or of this function.
    group
        The heading that all of them have in the help of a command, but for those that have one
        already.
    """

    def decorate(function: F) -> F:
        declared = len(getattr(function, "__click_params__", ()))
        for option in reversed(options):
            function = option(function)
        for param in getattr(function, "__click_params__", ())[declared:]:
            if group is not None and not hasattr(param, "group"):
                param.group = group
        return function

    return decorate


class Command(click.Command):
    """A command whose help shows options under the headings of `stack`, and ends with examples.

    Parameters
    ----------
    examples
        Lines of a shell. Tests parse them, and the documentation shows them as code.
    """

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(param, "group", ""), []).append(record)
        common = sections.pop("", [])
        for title, records in [*sections.items(), ("Options", common)]:
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def invoke(self, ctx: click.Context) -> Any:
        remember(ctx)
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:  # whole, to be copied
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class Group(Command, click.Group):
    """A group whose commands have examples, too."""

    command_class = Command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"there is no command {name!r}.{did_you_mean(name, known)}")
        return super().resolve_command(ctx, args)
