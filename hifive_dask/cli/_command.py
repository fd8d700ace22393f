"""Commands with examples, and groups that say which command could be meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from hifive_dask.errors import did_you_mean

__all__ = ["Command", "Group"]


class Command(click.Command):
    """A command whose help ends with examples.

    Parameters
    ----------
    examples
        Lines of a shell. Tests parse them, and the documentation shows them as code.
    """

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:  # whole, to be copied
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class Group(Command, click.Group):
    """A group whose commands have examples, too."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"there is no command {name!r}.{did_you_mean(name, known)}")
        return super().resolve_command(ctx, args)
