"""Input files as bytes, packed or not; what is wrong with them becomes an error with a cure."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from hifive_dask._store.places import local
from hifive_dask.errors import InputError

__all__ = ["unpacked"]

_GZIP = b"\x1f\x8b"
# The empty block that ends every bgzip file; the blocks before it are whole gzip streams each.
_BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


@contextmanager
def unpacked(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a file that is plain, gzip or bgzip.

    Yields
    ------
    The unpacked bytes, and the file itself, whose position tells how much was read.

    Raises
    ------
    InputError
        If the file is missing, a directory or unreadable, or turns out to be damaged on reading.
    """
    if local(path).is_dir():
        raise InputError("is a directory, expected a file", path=path, cure="Name the file.")
    try:
        with open(path, "rb") as file:
            head = file.read(len(_BGZIP_END))
            file.seek(0)
            if head[:2] != _GZIP:
                yield file, file
                return
            if head[3:4] == b"\x04" and head[12:14] == b"BC":
                _check_end(file)
            with gzip.GzipFile(fileobj=file) as text:
                yield text, file  # type: ignore[misc]  # has all of BinaryIO that is used
    except FileNotFoundError as error:
        raise InputError(
            "no such file", path=path, cure="Check the path and the working directory."
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"damaged gzip data ({error})", path=path, cure="Copy or compress it again."
        ) from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path) from error


def _check_end(file: BinaryIO) -> None:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - len(_BGZIP_END)))
    if file.read() != _BGZIP_END:
        raise EOFError("the block that ends every bgzip file is missing")
    file.seek(0)
