"""Commands, run in this process as a shell runs them."""

from __future__ import annotations

from functools import partial

from click.testing import CliRunner, Result

from hifive_dask.cli import main

__all__ = ["run", "run_in_one_thread"]


def run(
    *arguments: object, code: int = 0, stdin: bytes | None = None, scheduler: str | None = None
) -> Result:
    """Run a command and check how it ends."""
    words = [] if scheduler is None else ["--scheduler", scheduler]
    result = CliRunner().invoke(main, [*words, *map(str, arguments)], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


run_in_one_thread = partial(run, scheduler="sync")
