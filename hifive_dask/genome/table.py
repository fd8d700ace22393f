"""Tab-separated text with a chromosome and coordinates per line: fast, and exact about faults.

A columnar parser reads the regular case. Only when it meets something else are the lines looked at
one by one: to drop comments between the data, or to name the line that is wrong.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from hifive_dask._kernels.cells import HEXADECIMAL, find_oddities
from hifive_dask.errors import InputError
from hifive_dask.genome.cells import finite, whole
from hifive_dask.genome.files import tidy, unpacked

__all__ = [
    "FEATURE_NAMES",
    "INT32_MAX",
    "Columns",
    "Rows",
    "TextTable",
    "is_feature_name",
    "name_list",
]

INT32_MAX = np.iinfo(np.int32).max
_RESERVED = ("", "chr", "start", "stop", "mid", "num_fends")
FEATURE_NAMES = (
    f"feature names must be unique, without '/', and none of {', '.join(map(repr, _RESERVED))}"
)
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are wanted (numbered from 0), and what is in them.

    Parameters
    ----------
    chromosome
        Column of chromosome names.
    numbers
        Columns of whole numbers by the name they are reported under.
    features
        Columns of features by name.
    per_cell
        Numbers per feature cell, separated by commas.
    """

    chromosome: int
    numbers: dict[str, int]
    features: dict[str, int]
    per_cell: int = 1

    @property
    def order(self) -> list[int]:
        """All wanted columns: chromosome, numbers, features."""
        return [self.chromosome, *self.numbers.values(), *self.features.values()]


@dataclass(frozen=True)
class Rows:
    """The data lines of a table, in file order.

    Parameters
    ----------
    names
        Chromosome names in order of first appearance.
    chromosome
        int64 (N): index into `names`.
    numbers
        int64 (N) per column of whole numbers.
    features
        float64 (N, numbers per cell) per feature.
    """

    names: tuple[str, ...]
    chromosome: NDArray[np.int64]
    numbers: dict[str, NDArray[np.int64]]
    features: dict[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.chromosome)


class TextTable:
    """A text file, plain or gzip (bgzip), with at most one header line at its top.

    Blank lines and lines that start with ``#``, ``track`` or ``browser`` are skipped. A line at
    the top is the header if its coordinate columns hold no digit; a ``#`` line may be one too.

    Parameters
    ----------
    path
        The file.
    coordinates
        Columns, numbered from 0, that hold numbers in data lines.

    Raises
    ------
    InputError
        If the file is missing, a directory, empty, or damaged.
    """

    def __init__(self, path: str | os.PathLike[str], coordinates: Sequence[int]) -> None:
        self.path = os.fspath(path)
        text = _read_text(self.path)
        self.header: list[str] | None = None
        offset, self._first_line = 0, 1
        while offset < len(text):
            line, _, _ = text[offset : offset + (1 << 16)].partition(b"\n")
            cells = line.decode(errors="replace").lstrip("#").split("\t")
            names = len(cells) > max(coordinates) and not any(
                _DIGIT.search(cells[k]) for k in coordinates
            )
            if names:
                self.header = [cell.strip() for cell in cells]
            elif not _skipped(line):
                break
            offset += len(line) + 1
            self._first_line += 1
            if names and not _skipped(line):
                break
        self._body = text[offset:]

    def feature_columns(self, first: int) -> dict[str, int]:
        """Features named by the header, from column `first` on.

        Raises
        ------
        InputError
            If a name is empty, repeated, reserved, or holds ``/``.
        """
        found: dict[str, int] = {}
        for column, name in enumerate((self.header or [])[first:], first):
            if not is_feature_name(name, found):
                raise InputError(
                    f"header: column {column + 1} is named {name!r}; {FEATURE_NAMES}",
                    path=self.path,
                    cure="Rename or remove the column.",
                )
            found[name] = column
        return found

    def read(self, columns: Columns) -> Rows:
        """Parse the data lines.

        Raises
        ------
        InputError
            With the first line that is not as wanted, or if there is no data line.
        """
        if not find_oddities(self._body) & HEXADECIMAL:
            with contextlib.suppress(pa.ArrowInvalid, pa.ArrowKeyError):
                return _parse(self._body, columns, columns.order)
        body = self._checked(columns)
        try:
            return _parse(body, columns, range(len(columns.order)))
        except pa.ArrowInvalid as error:
            raise InputError(f"cannot be read as a table: {error}", path=self.path) from error

    def error(self, row: int, message: str, cure: str | None = None) -> InputError:
        """Return an error about one data line, counted from 0."""
        for line, cells in self._data_lines():
            if row == 0:
                seen = " ".join(cells[:6])
                return InputError(f"{message}: {seen!r}", path=self.path, line=line, cure=cure)
            row -= 1
        raise IndexError(row)

    def _data_lines(self) -> Iterator[tuple[int, list[str]]]:
        for line, content in enumerate(self._body.split(b"\n"), self._first_line):
            if not _skipped(content):
                try:
                    yield line, [cell.strip() for cell in content.decode().split("\t")]
                except UnicodeDecodeError as error:
                    raise InputError(
                        "is not UTF-8 text", path=self.path, line=line, cure="Is it a text file?"
                    ) from error

    def _checked(self, columns: Columns) -> bytes:
        """The wanted columns of all data lines as text, each line checked."""
        kept = []
        for line, cells in self._data_lines():
            problem = _problem(cells, columns)
            if problem:
                cure = None
                if len(cells) == 1 and len(cells[0].split()) > 1:
                    cure = "Columns must be separated by tabs, not blanks."
                raise InputError(problem, path=self.path, line=line, cure=cure)
            kept.append("\t".join([cells[k] for k in columns.order]))
        if not kept:
            raise InputError(
                "holds no data lines", path=self.path, cure="Is it the right file, and complete?"
            )
        return "".join(line + "\n" for line in kept).encode()  # one line needs its end


def is_feature_name(name: str, taken: Iterable[str]) -> bool:
    """Whether a feature may have this name beside those that are there."""
    return name not in _RESERVED and name not in taken and "/" not in name


def name_list(names: Sequence[str]) -> str:
    """Names for a message, 30 at most."""
    return ", ".join(names[:30]) + (", ..." if len(names) > 30 else "")


def _read_text(path: str) -> bytes:
    with unpacked(path) as (file, _):
        text = file.read()
    if not text:  # once unpacked
        raise InputError("is empty", path=path, cure="Was it written to the end?")
    return tidy(text)


def _skipped(line: bytes) -> bool:
    words = line.split(None, 1)
    return not words or words[0][:1] == b"#" or words[0] in (b"track", b"browser")


def _problem(cells: list[str], columns: Columns) -> str | None:
    """What is wrong with a line, or None."""
    needed = max(columns.order) + 1
    if len(cells) < needed:
        known = {"chromosome": columns.chromosome, **columns.numbers, **columns.features}
        wanted = ", ".join(f"{name} (column {k + 1})" for name, k in known.items())
        return f"{len(cells)} tab-separated column(s), expected at least {needed}: {wanted}"
    if not cells[columns.chromosome]:
        return "the chromosome name is empty"
    for name, column in columns.numbers.items():
        try:
            number = whole(cells[column])
        except ValueError:
            return f"{name} is {cells[column]!r}, expected a whole number"
        if abs(number) > INT32_MAX:
            return f"{name} is {cells[column]}, the largest coordinate is {INT32_MAX}"
    for name, column in columns.features.items():
        parts = cells[column].split(",")
        if len(parts) != columns.per_cell or not all(map(_finite, parts)):
            wanted = "one number" if columns.per_cell == 1 else "two numbers as in 0.1,0.2"
            return f"feature {name!r} is {cells[column]!r}, expected {wanted}"
    return None


def _finite(text: str) -> bool:
    try:
        finite(text)
    except ValueError:
        return False
    return text == text.strip()


def _parse(body: bytes, columns: Columns, order: Sequence[int]) -> Rows:
    """Columnar parse; raises `pyarrow.ArrowInvalid` or `ArrowKeyError` on anything irregular."""
    names = [f"f{k}" for k in order]
    chromosome, numbers = names[0], names[1 : 1 + len(columns.numbers)]
    features = names[1 + len(numbers) :]
    table = pa.csv.read_csv(
        pa.BufferReader(body),
        read_options=pa.csv.ReadOptions(autogenerate_column_names=True, block_size=1 << 24),
        parse_options=pa.csv.ParseOptions(delimiter="\t", quote_char=False),
        convert_options=pa.csv.ConvertOptions(
            column_types={
                **dict.fromkeys([chromosome, *features], pa.string()),
                **dict.fromkeys(numbers, pa.int64()),
            },
            include_columns=list(dict.fromkeys(names)),
            null_values=[],
        ),
    )
    coded = table[chromosome].combine_chunks().dictionary_encode()
    # A comment among the data may look regular; the scan by line knows them all.
    known = tuple(str(name) for name in coded.dictionary.to_pylist())
    if any(_skipped(name.encode()) or name != name.strip() for name in known):
        raise pa.ArrowInvalid("comment lines")
    return Rows(
        names=known,
        chromosome=coded.indices.to_numpy().astype(np.int64),
        numbers={
            name: table[column].to_numpy()
            for name, column in zip(columns.numbers, numbers, strict=True)
        },
        features={
            name: _cells(table[column].combine_chunks(), columns.per_cell)
            for name, column in zip(columns.features, features, strict=True)
        },
    )


def _cells(column: pa.Array, per_cell: int) -> NDArray[np.float64]:
    parts = pc.split_pattern(column, ",")
    if not pc.all(pc.equal(pc.list_value_length(parts), per_cell)).as_py():
        raise pa.ArrowInvalid("feature cells")
    values: NDArray[np.float64] = parts.flatten().cast(pa.float64()).to_numpy()
    if not np.isfinite(values).all():
        raise pa.ArrowInvalid("feature values")
    return values.reshape(-1, per_cell)
