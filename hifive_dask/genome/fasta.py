"""Sequences of a FASTA file, one at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from hifive_dask.errors import InputError
from hifive_dask.genome.files import unpacked
from hifive_dask.genome.table import INT32_MAX

__all__ = ["read_fasta"]

_BLOCK = 1 << 24  # bytes of text
_BASES = b"ACGTRYSWKMBDHVN"
_LETTERS = _BASES + _BASES.lower()
_BLANK = b" \t\r\n"


def read_fasta(
    path: str | os.PathLike[str], advance: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield name and sequence of every record, in file order.

    The name is the first word of the header, as aligners have it. The sequence is ASCII, upper
    and lower case as in the file; it holds the IUPAC codes of DNA only. One sequence is in memory
    at a time.

    Parameters
    ----------
    path
        The file; plain, gzip or bgzip.
    advance
        Called with the number of bytes of the file that were read since the last call.

    Raises
    ------
    InputError
        If the file is missing, damaged, empty, or not FASTA, a name is missing or repeated, a
        letter is no base, or a sequence is longer than int32 can count. The message names the line.
    """
    lines: dict[str, int] = {}
    name, bases, longest = "", bytearray(), 0
    for line, header, part in _parts(path, advance):
        if header:
            if name:
                longest = max(longest, len(bases))
                yield name, np.frombuffer(bases, dtype=np.uint8)
            name, bases = _name(part, path, line), bytearray()
            if name in lines:
                raise InputError(
                    f"the name {name!r} was given to the sequence of line {lines[name]} already",
                    path=path,
                    line=line,
                    cure="Names are the first words of the headers; each may occur once.",
                )
            lines[name] = line
            continue
        wrong = part.translate(None, _LETTERS + _BLANK)
        if not name and part.strip(_BLANK):
            skipped = part[: len(part) - len(part.lstrip(_BLANK))]
            raise InputError(
                f"expected a header that starts with '>', not {_shown(part.lstrip(_BLANK))}",
                path=path,
                line=line + skipped.count(b"\n"),
                cure="Is it a FASTA file?",
            )
        if wrong:
            raise InputError(
                f"{_shown(wrong[:1])} is no base, expected A, C, G, T or another IUPAC code of DNA",
                path=path,
                line=line + part.count(b"\n", 0, part.index(wrong[:1])),
                cure="Is it the sequence of a genome, not of proteins?",
            )
        bases += part.translate(None, _BLANK)
        if len(bases) > INT32_MAX:
            raise InputError(
                f"{name!r} is longer than {INT32_MAX} bp, the largest coordinate",
                path=path,
                line=lines[name],
            )
    if not name or not max(longest, len(bases)):
        what = "holds no bases" if name else "is empty"
        raise InputError(what, path=path, cure="Was it written to the end?")
    yield name, np.frombuffer(bases, dtype=np.uint8)


def _parts(
    path: str | os.PathLike[str], advance: Callable[[int], None]
) -> Iterator[tuple[int, bool, bytes]]:
    """Yield line number, whether it is a header, and text: whole headers, pieces of the rest."""
    line, position, fresh = 1, 0, True
    with unpacked(path) as (text, file):
        while block := text.read(_BLOCK):
            if position == 0:
                block = block.removeprefix(b"\xef\xbb\xbf")
            last = block.rfind(b"\n") + 1
            if (last > 0 or fresh) and block.startswith(b">", last):
                block += text.readline()
            start = 0
            while start < len(block):
                header = (start > 0 or fresh) and block.startswith(b">", start)
                stop = block.find(b"\n" if header else b"\n>", start) + 1 or len(block)
                part = block[start:stop]
                yield line, header, part
                line += part.count(b"\n")
                start = stop
            fresh = block.endswith(b"\n")
            advance(file.tell() - position)
            position = file.tell()


def _name(header: bytes, path: str | os.PathLike[str], line: int) -> str:
    words = header[1:].split(None, 1)
    if not words or header[1:2].isspace():
        raise InputError(
            "the header has no name",
            path=path,
            line=line,
            cure="The name follows '>' without a blank.",
        )
    try:
        return words[0].decode()
    except UnicodeDecodeError as error:
        raise InputError("the name is not UTF-8 text", path=path, line=line) from error


def _shown(text: bytes) -> str:
    return repr(text[:20].split(b"\n")[0].decode(errors="replace"))
