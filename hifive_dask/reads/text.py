"""Text files of reads cut into blocks of whole lines: plain, gzip and bgzip; standard input."""

from __future__ import annotations

import itertools
import os
import shutil
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import dask

from hifive_dask._graph.run import run
from hifive_dask._store.atomic import replacing_file
from hifive_dask.errors import InputError, ParameterError
from hifive_dask.genome.files import (
    BYTE_ORDER_MARK,
    Codec,
    Snapshot,
    ends_well,
    find_codec,
    tidy,
)
from hifive_dask.reads.bgzf import RATIO, Span, bgzf_blocks, cut_bgzf, truncated

__all__ = [
    "BLOCK_BYTES",
    "STDIN",
    "TextBlock",
    "TextFile",
    "check_files",
    "inflate",
    "is_stream",
    "name_of",
    "open_text",
    "plain_copy",
    "read_head",
    "unpack_all",
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
        How they are packed.
    state
        Of `path` when it was looked at first; whatever is read later must be of the same state.
    """

    name: str
    path: str
    codec: Codec
    state: Snapshot

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open the bytes; it is an `InputError` if they were written to before they are closed."""
        with self.state.kept(self.path, self.name), open(self.path, "rb") as handle:
            yield handle

    def text_bytes(self) -> int:
        """Size of the text; for bgzip an estimate from the compressed size."""
        size = self.state.size
        return size if self.codec == "plain" else size * RATIO

    def blocks(self, block_bytes: int) -> list[TextBlock]:
        """Cut the file into blocks of about `block_bytes` of text."""
        if self.codec == "plain":
            size = self.state.size
            edges = [*range(0, size, block_bytes), size]
            spans = [Span(lo, hi, max(0, lo - 1)) for lo, hi in itertools.pairwise(edges)]
        else:
            with self.opened():
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
        """Return the whole lines, tidy."""
        return tidy(self._read())

    def _read(self) -> bytes:
        with self.file.opened() as handle:
            handle.seek(self.before)
            if self.file.codec == "plain":
                head = handle.read(self.lo - self.before)
                body = handle.read(self.hi - self.lo)
                rest = iter(lambda: handle.read(_READ), b"")
            else:
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
        with self.file.opened() as handle:
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


def check_files(paths: Sequence[str | os.PathLike[str]]) -> None:
    """Refuse no file at all, and one that is given twice: its reads would count twice.

    Raises
    ------
    ParameterError
        If there is none.
    InputError
        If one is given twice.
    """
    if not paths:
        raise ParameterError("no files of reads were given")
    seen = set()
    for path in paths:
        stdin = os.fspath(path) == STDIN
        where = STDIN if stdin else os.path.realpath(path)
        if where in seen:
            cure = "it can be read only once" if stdin else "give it once, or reads count twice"
            raise InputError("is given twice", path=name_of(path) if stdin else path, cure=cure)
        seen.add(where)


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether a file can be read only once: standard input, or a pipe of the shell, ``<(...)``."""
    name = os.fspath(path)
    return name == STDIN or (os.path.exists(name) and stat.S_ISFIFO(os.stat(name).st_mode))


def open_text(path: str | os.PathLike[str], spill: str | os.PathLike[str]) -> TextFile:
    """Find out how a file is compressed; what can be read only once is first copied into `spill`.

    Raises
    ------
    InputError
        If the file is missing, a directory, unreadable, empty or no text, or bgzip and truncated.
    """
    name = where = os.fspath(path)
    if name == STDIN:
        name = name_of(path)
    elif not os.path.exists(where):
        raise InputError("no such file", path=name, cure="check the spelling and the directory")
    elif os.path.isdir(where):
        raise InputError("is a directory, expected a file of reads", path=name)
    if is_stream(path):
        where = _copy(path, spill)
    try:
        state, codec = Snapshot.of(where), find_codec(where, name, "reads")
        if codec == "bgzf" and not ends_well(where):
            cut_bgzf(where, name, BLOCK_BYTES)  # which tells if there is more than bgzip
            raise truncated(name)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=name) from error
    return TextFile(name, os.path.abspath(where), codec, state)


def _copy(path: str | os.PathLike[str], spill: str | os.PathLike[str]) -> str:
    """Copy standard input or a pipe to a file in `spill`."""
    stdin = os.fspath(path) == STDIN
    if stdin and sys.stdin is None:
        raise InputError("is closed, expected reads", path=name_of(path))
    with (
        nullcontext(sys.stdin.buffer) if stdin else open(path, "rb") as stream,
        tempfile.NamedTemporaryFile(dir=spill, prefix="stream-", delete=False) as copy,
    ):
        shutil.copyfileobj(stream, copy, _READ)
    return copy.name


def inflate(file: TextFile) -> Iterator[bytes]:
    """Yield the text of a gzip file (of one or many members) in pieces of about a megabyte."""
    name, lines = file.name, 0
    engine, fresh = zlib.decompressobj(wbits=31), True
    with file.opened() as handle:
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


def plain_copy(file: TextFile, target: str) -> TextFile:
    """Inflate a gzip or bgzip file to the path `target`; a plain one stays as it is."""
    if file.codec == "plain":
        return file
    with replacing_file(target) as beside, open(beside, "wb") as handle:
        for text in inflate(file):
            handle.write(text)
    return TextFile(file.name, target, "plain", Snapshot.of(target))


def unpack_all(files: Sequence[TextFile], spill: str, silent: bool) -> list[TextFile]:
    """Make files readable in pieces: gzip is inflated into `spill`, each in a task of its own."""
    task = dask.delayed(plain_copy, pure=False)
    jobs = [task(file, f"{spill}/text-{k}") for k, file in enumerate(files) if file.codec == "gzip"]
    copies = iter(run(jobs, title="unpacking", silent=silent))
    return [next(copies) if file.codec == "gzip" else file for file in files]


def read_head(file: TextFile, lines: int = 1) -> tuple[list[str], list[str]]:
    """Return the leading ``#`` lines, and what follows up to the `lines`-th line not blank."""
    header: list[str] = []
    data: list[str] = []
    found = 0
    for text in _lines(file):
        (header if text.startswith("#") and not found else data).append(text)
        found += bool(text.strip()) and (found > 0 or not text.startswith("#"))
        if found >= lines:
            break
    return header, data


def _lines(file: TextFile) -> Iterator[str]:
    """Lines from the first one on, as `TextBlock.read` has them."""
    with file.opened() as handle:
        if file.codec == "plain":
            pieces: Iterator[bytes] = iter(lambda: handle.read(_READ), b"")
        elif file.codec == "bgzf":
            pieces = bgzf_blocks(handle, None, file.name)
        else:
            pieces = inflate(file)
        rest = b""
        for piece in pieces:
            # All line ends are known to bytes, and the last line may go on in the next piece.
            *whole, rest = (rest + piece).splitlines(keepends=True)
            yield from map(_decode, whole)
        if rest:
            yield _decode(rest)


def _decode(line: bytes) -> str:
    return line.removeprefix(BYTE_ORDER_MARK).rstrip(b"\r\n").decode("utf-8", "replace")
