"""Text files of reads cut into blocks of whole lines: plain, gzip and bgzip; standard input."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hifive_dask.errors import InputError
from hifive_dask.reads.bgzf import RATIO, Span, bgzf_blocks, cut_bgzf, truncated

__all__ = [
    "BLOCK_BYTES",
    "STDIN",
    "TextBlock",
    "TextFile",
    "inflate",
    "name_of",
    "open_text",
    "read_head",
    "unpack",
]

STDIN = "-"  # as the name of a file

BLOCK_BYTES = 1 << 25  # text per block: about 0.7 million read pairs
_READ = 1 << 20


@dataclass(frozen=True)
class TextFile:
    """A file of text; plain and bgzip files can be read in pieces.

    Parameters
    ----------
    name
        The file the user gave, for messages.
    path
        Where the bytes are: the same file, or a copy of it.
    codec
        ``"plain"``, ``"gzip"`` or ``"bgzf"``.
    """

    name: str
    path: str
    codec: str

    def text_bytes(self) -> int:
        """Size of the text; for bgzip an estimate from the compressed size."""
        size = os.path.getsize(self.path)
        return size if self.codec == "plain" else size * RATIO

    def blocks(self, block_bytes: int) -> list[TextBlock]:
        """Cut the file into blocks of about `block_bytes` of text."""
        if self.codec == "plain":
            size = os.path.getsize(self.path)
            edges = [*range(0, size, block_bytes), size]
            spans = [Span(lo, hi, max(0, lo - 1)) for lo, hi in itertools.pairwise(edges)]
        else:
            spans = cut_bgzf(self.path, self.name, block_bytes)
        return [TextBlock(self, *span) for span in spans]


@dataclass(frozen=True)
class TextBlock:
    """The lines that begin between two bytes of a file, `lo` and `hi` (compressed, for bgzip).

    `before` is where to begin reading to see the byte before `lo`.
    """

    file: TextFile
    lo: int
    hi: int
    before: int

    def read(self) -> bytes:
        """Return the whole lines."""
        with open(self.file.path, "rb") as handle:
            if self.file.codec == "plain":
                handle.seek(self.before)
                head = handle.read(self.lo - self.before)
                body = handle.read(self.hi - self.lo)
                rest = iter(lambda: handle.read(_READ), b"")
            else:
                handle.seek(self.before)
                head = b"".join(bgzf_blocks(handle, self.lo, self.file.name))
                body = b"".join(bgzf_blocks(handle, self.hi, self.file.name))
                rest = bgzf_blocks(handle, None, self.file.name)
            start = 0
            if self.lo and not head.endswith(b"\n"):
                start = body.find(b"\n") + 1
                if start == 0:
                    return b""
            if body.endswith(b"\n") or not body:
                return body[start:] if start else body
            parts = [body[start:]]
            for more in rest:
                end = more.find(b"\n") + 1
                parts.append(more[:end] if end else more)
                if end:
                    break
        return b"".join(parts)

    def first_line(self) -> int:
        """1-based number of the first line that `read` returns; reads all before it."""
        lines, last = 0, b"\n"
        with open(self.file.path, "rb") as handle:
            if self.file.codec == "bgzf":
                pieces = bgzf_blocks(handle, self.lo, self.file.name)
            else:
                pieces = _plain_pieces(handle, self.lo)
            for piece in pieces:
                lines += piece.count(b"\n")
                last = piece[-1:] or last
        return lines + (1 if last == b"\n" else 2)


def _plain_pieces(handle: BinaryIO, stop: int) -> Iterator[bytes]:
    left = stop
    while left > 0:
        piece = handle.read(min(_READ, left))
        if not piece:
            return
        left -= len(piece)
        yield piece


def name_of(path: str | os.PathLike[str]) -> str:
    """How messages and records call a file: base name, or ``standard input``."""
    return "standard input" if os.fspath(path) == STDIN else Path(path).name


def open_text(path: str | os.PathLike[str], spill: str | os.PathLike[str]) -> TextFile:
    """Find out how a file is compressed; standard input is first copied into `spill`.

    Raises
    ------
    InputError
        If the file is missing, a directory, unreadable or empty.
    """
    name = where = os.fspath(path)
    if name == STDIN:
        name, where = name_of(path), os.path.join(spill, "standard-input")
        with open(where, "wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy, _READ)
    if not os.path.exists(where):
        raise InputError("no such file", path=name, cure="check the spelling and the directory")
    if os.path.isdir(where):
        raise InputError("is a directory, expected a file of reads", path=name)
    try:
        with open(where, "rb") as handle:
            head = handle.read(18)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=name) from error
    if not head:
        raise InputError("is empty, expected lines of reads", path=name)
    codec = "plain"
    if head[:2] == b"\x1f\x8b":
        codec = "bgzf" if head[3:4] == b"\x04" and head[12:14] == b"BC" else "gzip"
    return TextFile(name, os.path.abspath(where), codec)


def inflate(file: TextFile) -> Iterator[bytes]:
    """Yield the text of a gzip file (of one or many members) in pieces of about a megabyte."""
    name, lines = file.name, 0
    engine, fresh = zlib.decompressobj(wbits=31), True
    with open(file.path, "rb") as handle:
        while packed := handle.read(_READ):
            while packed:
                try:
                    text = engine.decompress(packed)
                except zlib.error as error:
                    raise InputError(
                        f"damaged gzip data: {error}", path=name, line=lines + 1
                    ) from error
                fresh = False
                lines += text.count(b"\n")
                if text:
                    yield text
                packed = engine.unused_data
                if engine.eof:
                    engine, fresh = zlib.decompressobj(wbits=31), True
                    packed = packed.lstrip(b"\0")  # padding between members is allowed
    if not fresh:
        raise truncated(name, lines + 1)


def unpack(file: TextFile, directory: str | os.PathLike[str], number: int) -> TextFile:
    """Make a file readable in pieces: a gzip stream, which is not, is unpacked into `directory`."""
    if file.codec != "gzip":
        return file
    target = Path(directory).absolute() / f"text-{number}"
    with open(target, "wb") as handle:
        for text in inflate(file):
            handle.write(text)
    return TextFile(file.name, str(target), "plain")


def read_head(file: TextFile, lines: int = 1) -> tuple[list[str], list[str]]:
    """Return the leading ``#`` lines of a file, and the first `lines` lines after them."""
    header: list[str] = []
    data: list[str] = []
    with open(file.path, "rb") as handle:
        if file.codec == "plain":
            pieces: Iterator[bytes] = iter(lambda: handle.read(_READ), b"")
        elif file.codec == "bgzf":
            pieces = bgzf_blocks(handle, None, file.name)
        else:
            pieces = inflate(file)
        rest = b""
        for piece in pieces:
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                text = line.rstrip(b"\r").decode("utf-8", "replace")
                (header if text.startswith("#") and not data else data).append(text)
                if len(data) >= lines:
                    return header, data
        if rest:
            text = rest.decode("utf-8", "replace")
            (header if text.startswith("#") and not data else data).append(text)
    return header, data
