"""Errors and warnings of Python in the words of the command line.

They name methods and arguments; a command has options in their place. What an argument is called
there follows from the declarations of the command that is running.
"""

from __future__ import annotations

import re

import click

__all__ = ["in_words_of", "remember", "remembered"]

_COMMAND = "hifive_dask.command"

# Calls, and the commands that make them; the first that fits is taken.
_CALLS = {
    r"find_distance_parameters": "project",
    r"find_probability_fend_corrections(\(model='poisson'\))?": "normalize poisson",
    r"find_binning_fend_corrections": "normalize binning",
    r"find_express_fend_corrections": "normalize",
    r"find_ice_fend_corrections": "normalize ice",
    r"load_bins\(cooler, format='cool'\)": "fends --cool",
    r"load_data_from_raw": "pairs",
    r"load_data": "project",
    r"reset_filter": "project",
    r"filter_fends": "project --mininteractions",
}
# Values of arguments that are options of other names, or commands.
_VALUES = {
    r"kr=False": "another method",
    r"precorrect=True": "this method",
    r"remove_distance=True": "balancing without --keep-distance",
    r"includetrans=False": "--no-trans",
    r"fragments='index'": "--fragment-columns",
    r"content='sites'": "--sites",
    r"Fend\(\.\.\., binned=SIZE\)": "--binned SIZE",
    r"model='poisson'": "`hifive-dask normalize poisson`",
}
# An argument that is no English word, so that it cannot mean anything else.
_PLAIN = re.compile(
    r"(min|max|num|search|expansion_|trans_|learning_|basefend|bins(?=ize)|use(?=reads)|ignore_|mad_).+|basefend|tol"
)


def remember(context: click.Context) -> None:
    """Note which command is running: the innermost one that says so."""
    context.meta[_COMMAND] = context.command


def remembered(context: click.Context) -> click.Command | None:
    """The command that `remember` was last told."""
    found: click.Command | None = context.meta.get(_COMMAND)
    return found


def in_words_of(command: click.Command | None, text: str) -> str:
    """The text of an error or a warning, with commands and options for calls and arguments.

    Parameters
    ----------
    command
        The one that is running; None leaves arguments as they are.
    text
        What the Python call says.
    """
    options = _options(command)
    filters = "mininteractions" in options
    text = re.sub(
        r"filter_fends with mininteractions=(\d+)",
        r"`hifive-dask project --mininteractions \1`",
        text,
    )
    text = re.sub(r"filter_fends and reset_filter", "filter_fends", text)
    for call, line in _CALLS.items():
        where = (
            "--mininteractions" if filters and call == "filter_fends" else f"`hifive-dask {line}`"
        )
        text = re.sub(rf"\bcall {call}\b", f"run {where}", text)
        text = re.sub(rf"(?<![\w`]){call}(?!\w)", where, text)
    for value, words in _VALUES.items():
        text = re.sub(rf"(?<![\w-]){value}", words, text)
    for name, option in options.items():
        text = _in_option(text, name, option)
    return text


def _options(command: click.Command | None) -> dict[str, click.Option]:
    params = [] if command is None else command.params
    return {
        each.name: each
        for each in params
        if isinstance(each, click.Option) and each.name is not None and each.expose_value
    }


def _in_option(text: str, name: str, option: click.Option) -> str:
    """Put an option in place of an argument where this is sure to be meant."""
    shown = max(option.opts, key=len)
    off = max(option.secondary_opts, key=len, default=shown)
    start = r"(?<![\w`'/-])"
    if option.is_flag:
        text = re.sub(rf"{start}{name}=True\b", shown, text)
        return re.sub(rf"{start}{name}=False\b", off, text)
    text = re.sub(rf"{start}{name}=(?=[\w'])'?([\w.,-]+)'?", rf"{shown} \1", text)
    text = re.sub(rf"(^|: ){name} is ", rf"\1{shown} is ", text)
    return re.sub(rf"{start}{name}(?![\w=-])", shown, text) if _PLAIN.fullmatch(name) else text
