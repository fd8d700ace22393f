"""BGZF, the blocked gzip of BAM and bgzip: a file cut at block borders, and inflated in pieces."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from isal import isal_zlib  # twice as fast as zlib

from hifive_dask.errors import InputError

__all__ = ["RATIO", "Span", "bgzf_blocks", "cut_bgzf", "truncated"]

RATIO = 4  # bytes per compressed byte, about; only to size pieces
_LARGEST = 1 << 16  # inflated bytes of a block


class Span(NamedTuple):
    """Blocks that begin between two compressed offsets; `before` is the block before the first."""

    lo: int
    hi: int
    before: int


def bgzf_blocks(handle: BinaryIO, stop: int | None, name: str) -> Iterator[bytes]:
    """Yield the content of consecutive blocks that begin before offset `stop`.

    Raises
    ------
    InputError
        For a block that is cut off, or whose content has another checksum than it should.
    """
    while stop is None or handle.tell() < stop:
        size = _read_header(handle, name)
        if size == 0:
            return
        packed = handle.read(size - 18)
        if len(packed) < size - 18:
            raise truncated(name)
        try:
            text = isal_zlib.decompress(packed[:-8], wbits=-15, bufsize=_LARGEST)
        except isal_zlib.error as error:  # type: ignore[misc]  # it is a class
            raise InputError(f"damaged bgzip data: {error}", path=name) from error
        if isal_zlib.crc32(text) != int.from_bytes(packed[-8:-4], "little"):
            raise InputError("damaged bgzip data: wrong checksum", path=name)
        yield text


def cut_bgzf(path: str, name: str, size: int, first: int = 0) -> list[Span]:
    """Cut the blocks from offset `first` on into spans of about `size` inflated bytes."""
    spans, lo, before, previous = [], first, first, first
    end = os.path.getsize(path)
    for start in _block_starts(path, name, first):
        if start > lo and (start - lo >= max(1, size // RATIO) or start == end):
            spans.append(Span(lo, start, before))
            lo, before = start, previous
        previous = start
    return spans


def _block_starts(path: str, name: str, first: int) -> Iterator[int]:
    """Yield the offset of every block, then the size of the file."""
    size, offset = os.path.getsize(path), first
    with open(path, "rb") as handle:
        while offset < size:
            yield offset
            handle.seek(offset)
            offset += _read_header(handle, name)
            if offset > size:
                raise truncated(name)
    yield size


def _read_header(handle: BinaryIO, name: str) -> int:
    """Read a block header; return the size of the whole block, 0 at the end of the file."""
    head = handle.read(18)
    if not head:
        return 0
    if len(head) < 18 or head[:2] != b"\x1f\x8b":
        raise truncated(name)
    if head[:4] != b"\x1f\x8b\x08\x04" or head[12:14] != b"BC":
        raise InputError(
            "has gzip data behind data of bgzip, expected one of them",
            path=name,
            cure="pack it once more: `zcat FILE | bgzip > NEW`",
        )
    return int(struct.unpack("<H", head[16:18])[0]) + 1


def truncated(name: str, line: int | None = None) -> InputError:
    """Return the error for a file that breaks off."""
    return InputError(
        "the file ends in the middle of its data",
        path=name,
        line=line,
        cure="it was not copied or written to the end; fetch or make it again",
    )
