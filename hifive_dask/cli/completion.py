"""``hifive-dask completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from hifive_dask.cli._command import Command
from hifive_dask.cli._types import Choice

_PROGRAM = "hifive-dask"
_VARIABLE = "_HIFIVE_DASK_COMPLETE"  # where click looks for it


@click.command(
    "completion",
    cls=Command,
    examples=[
        "hifive-dask completion bash >> ~/.bashrc",
        "hifive-dask completion zsh >> ~/.zshrc",
        "hifive-dask completion fish > ~/.config/fish/completions/hifive-dask.fish",
    ],
)
@click.argument("shell", type=Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete commands, options, choices and files.

    Of a project, or of a file of maps, it completes names of chromosomes.
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(ctx.find_root().command, {}, _PROGRAM, _VARIABLE).source())
