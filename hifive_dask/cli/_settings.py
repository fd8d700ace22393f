"""The options that all commands share, and how commands speak."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import click

from hifive_dask.schema import MARKED

__all__ = [
    "Settings",
    "dry_run_option",
    "json_option",
    "logging_to_stderr",
    "pass_settings",
    "stats_rows",
]


@dataclass(frozen=True)
class Settings:
    """The options of the group."""

    scheduler: str = "threads"
    workers: int | None = None
    threads: int | None = None
    memory: str | None = None
    spill: str | None = None
    quiet: bool = False
    verbose: bool = False
    in_session: bool = False  # one is open already
    as_json: bool = False  # one document on stdout, and nothing else

    def session(self) -> AbstractContextManager[Any]:
        """Work inside on the scheduler that was asked for."""
        if self.in_session or self.scheduler == "mpi":  # MPI's has the whole command line
            return nullcontext()
        from hifive_dask.cluster import session

        return session(
            self.scheduler,
            workers=self.workers,
            threads=self.threads,
            memory=self.memory,
            spill=self.spill,
            verbose=self.verbose,
        )

    def say(self, text: str) -> None:
        """Write a line of the summary, unless quiet."""
        if not self.quiet and not self.as_json:
            click.echo(text)

    def document(self, facts: Callable[[], Mapping[str, Any]]) -> None:
        """Write facts as JSON, if that was asked for, also if quiet."""
        if self.as_json:
            click.echo(json.dumps(facts(), indent=2, ensure_ascii=False, allow_nan=False))

    def table(self, title: str, rows: Mapping[str, Any] | list[tuple[str, ...]]) -> None:
        """Write a table: the first column to the left, numbers to the right; unless quiet."""
        if self.quiet or self.as_json:
            return
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        lines = list(rows.items()) if isinstance(rows, Mapping) else rows
        table = Table(box=box.SIMPLE, show_header=False, show_edge=False)
        table.add_column()
        for _ in range(max((len(line) for line in lines), default=2) - 1):
            table.add_column(justify="right")
        for line in lines:
            table.add_row(*(f"{v:,}" if isinstance(v, int) else str(v) for v in line))
        console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        console.print(Text(title, style="bold"))
        console.print(table)


pass_settings = click.make_pass_decorator(Settings)


def _answer_as_json(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.obj = replace(ctx.find_object(Settings) or Settings(), as_json=True)


json_option = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    callback=_answer_as_json,
    help="For programs: one JSON document on standard output in place of text.",
)

dry_run_option = click.option(
    "--dry-run",
    is_flag=True,
    help="Say how many tasks, how much memory and how large files it would take; write nothing.",
)


def stats_rows(stats: Mapping[str, int]) -> list[tuple[str, ...]]:
    """Read statistics as rows: name, number, part of all reads; marks if there were some."""
    total = max(1, stats.get("total_reads", 0))
    return [
        (
            name.replace("_", " "),
            f"{count:,}",
            f"{100 * count / total:.1f} %" if not name.endswith("_pairs") else "",
        )
        for name, count in stats.items()
        if count or name not in MARKED
    ]


class _EchoHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


@contextmanager
def logging_to_stderr(*, quiet: bool, verbose: bool) -> Iterator[None]:
    """Show what the package logs while a command runs."""
    logger = logging.getLogger("hifive_dask")
    handler, level = _EchoHandler(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
