"""The command line: every command parses, calls the public classes, and says what it did.

Nothing heavy is imported here or by a command module; that happens inside the commands.
"""

from __future__ import annotations

import keyword
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any, NoReturn

import click

from hifive_dask import __version__
from hifive_dask.cli._command import Group
from hifive_dask.cli._settings import Settings, logging_to_stderr
from hifive_dask.cli._signals import stoppable
from hifive_dask.cli._types import Number
from hifive_dask.cli._words import in_words_of, remembered
from hifive_dask.cluster import check_session, mpi_rank, session
from hifive_dask.errors import (
    HifiveDaskError,
    HifiveDaskWarning,
    LevelWarning,
    ParameterError,
    StateError,
    StoreError,
    level_cure,
)

__all__ = ["in_options", "main"]

# In the order in which they are used.
_COMMANDS = {
    "demo": "Simulate a small genome, run everything on it, draw pictures.",
    "run": "From cut sites and reads to a normalized project with pictures.",
    "fends": "Make a genome partition from cut sites, fragments or bins.",
    "pairs": "Count read pairs into a pair store.",
    "combine": "Add up the pair stores of replicates.",
    "project": "Filter fends and learn the distance dependence.",
    "normalize": "Learn the corrections of a project.",
    "diagnose": "Draw what tells whether a project can be trusted.",
    "report": "Write a quality report: one page with numbers, verdicts and pictures.",
    "query": "Write a region of a map as text or arrays.",
    "plot": "Draw a region of a map.",
    "heatmap": "Write maps of all chromosomes for other programs.",
    "mrh": "Write and read maps at all resolutions in one file, for browsers.",
    "model": "Place a chromosome in space.",
    "stats": "Tell what became of the reads, also as a picture.",
    "info": "Say what a store holds.",
    "import": "Convert a HiFive project to Zarr.",
    "export": "Convert a project to files of HiFive.",
    "simulate": "Simulate a genome and reads with known truth.",
    "completion": "Print what lets a shell complete commands and names.",
}


class LazyGroup(Group):
    """A group that imports a command when it is asked for, and reports errors."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Run the command line; of MPI's ranks, one alone reads it and speaks."""
        with ExitStack() as stack:
            stack.enter_context(stoppable())
            own = self._own_options(sys.argv[1:] if args is None else args)
            if own.get("scheduler") == "mpi":
                stack.enter_context(_mpi_session(own))
            else:
                _refuse_copies()
            return super().main(args, *rest, **options)

    def _own_options(self, arguments: Sequence[str]) -> Mapping[str, Any]:
        """Options before the command, not checked; MPI has to start before that is done."""
        return self.make_context("hifive-dask", list(arguments), resilient_parsing=True).params

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module = f"{name}_" if keyword.iskeyword(name) else name
        command: click.Command = import_module(f"hifive_dask.cli.{module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        verbose = bool(ctx.params.get("verbose"))
        with _warnings_to_stderr(ctx, verbose):
            try:
                return super().invoke(ctx)
            except (HifiveDaskError, OSError) as error:
                if isinstance(error, BrokenPipeError):
                    raise
                if verbose:
                    traceback.print_exc()
                _say_error(error, remembered(ctx))
                ctx.exit(1)


def _say_error(error: Exception, command: click.Command | None = None) -> None:
    click.secho("error: ", fg="red", bold=True, err=True, nl=False)
    click.echo(in_words_of(command, str(error)), err=True)


@contextmanager
def _mpi_session(options: Mapping[str, Any]) -> Iterator[None]:
    with ExitStack() as stack:
        speaks = {name: bool(options.get(name)) for name in ("quiet", "verbose")}
        try:
            with logging_to_stderr(**speaks):
                stack.enter_context(session("mpi"))
        except ParameterError as error:  # of one rank
            _say_error(error)
            raise SystemExit(2) from None
        except StateError as error:  # of all
            _exit_as_one(error)
        yield


def _refuse_copies() -> None:
    """Stop if mpirun started this command more than once: all would write the same files."""
    _, size = mpi_rank()
    if size > 1:
        _exit_as_one(
            ParameterError(
                f"mpirun started this command {size} times, and each would write the same files; "
                f"use `mpirun -n {size} hifive-dask --scheduler mpi ...` to share the work"
            )
        )


def _exit_as_one(error: Exception) -> NoReturn:
    """Report an error that all ranks have, once; mpirun ends all when the first one fails."""
    rank, _ = mpi_rank()
    if rank:
        raise SystemExit(0)
    _say_error(error)
    raise SystemExit(2)


def in_options(message: Warning | str, command: click.Command | None = None) -> str:
    """The text of a warning, whose cure names options of commands."""
    if isinstance(message, LevelWarning):
        return f"{message.finding}; {level_cure(joint=message.joint, command=True)}"
    return in_words_of(command, str(message))


@contextmanager
def _warnings_to_stderr(ctx: click.Context, verbose: bool) -> Iterator[None]:
    def show(message: Warning | str, category: type[Warning], *_: Any) -> None:
        click.secho("warning: ", fg="yellow", bold=True, err=True, nl=False)
        click.echo(in_options(message, remembered(ctx)), err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("default" if verbose else "ignore")
        warnings.simplefilter("always", HifiveDaskWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        yield


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    examples=[
        "hifive-dask demo",
        "hifive-dask --scheduler local --workers 8 --memory 4GB run --sites sites.bed "
        "--reads reads.pairs.gz -o results",
    ],
)
@click.option(
    "--scheduler",
    default="threads",
    show_default=True,
    metavar="threads|sync|local|mpi|ADDRESS|FILE",
    help="Where to work: threads of this process, processes of this machine (local), the ranks "
    "that mpirun started this command with (mpi, at least 3), a running Dask scheduler by its "
    "address or its scheduler file, or one thread (sync).",
)
@click.option(
    "--workers",
    type=Number(1),
    show_default="one per core",
    help="Threads, or processes for local.",
)
@click.option(
    "--threads",
    type=Number(1),
    show_default="1",
    help="Threads per process for local.",
)
@click.option(
    "--memory",
    metavar="BYTES",
    show_default="an equal part of what there is",
    help="Memory per process for local, such as 4GB or 512MiB.",
)
@click.option(
    "--spill",
    metavar="DIRECTORY",
    show_default="that for temporary files",
    help="Where processes of local put what does not fit.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors and warnings.")
@click.option("-v", "--verbose", is_flag=True, help="Say more, and show where errors arose.")
@click.version_option(__version__, prog_name="hifive-dask")
@click.pass_context
def main(
    ctx: click.Context,
    scheduler: str,
    workers: int | None,
    threads: int | None,
    memory: str | None,
    spill: str | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Hi-C at restriction-fragment resolution: counting, normalization, heatmaps.

    Start with `hifive-dask demo`. The --help of every command ends with examples.

    A SIZE is a number of bp, with or without a unit: 5000, 10kb, 1.5Mb. A REGION is chr2,
    chr2:10Mb-20Mb, or all for the whole genome. The file - is standard input or output.
    """
    try:
        check_session(scheduler, workers=workers, threads=threads, memory=memory, spill=spill)
    except (ParameterError, StoreError) as error:
        raise click.UsageError(str(error)) from error
    ctx.obj = Settings(scheduler, workers, threads, memory, spill, quiet, verbose)
    ctx.with_resource(logging_to_stderr(quiet=quiet, verbose=verbose))
