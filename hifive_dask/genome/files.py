"""Input files as bytes, packed or not; what is wrong with them becomes an error with a cure."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Literal, NamedTuple

from hifive_dask._store.places import local
from hifive_dask.errors import InputError

__all__ = [
    "BYTE_ORDER_MARK",
    "HDF5",
    "Codec",
    "Snapshot",
    "ends_well",
    "find_codec",
    "kind_of",
    "tidy",
    "unpacked",
]

Codec = Literal["plain", "gzip", "bgzf"]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # of UTF-8, which some editors begin a file with

_HEAD = 1 << 12  # bytes that tell what a file is
_GZIP = b"\x1f\x8b"
# The empty block that ends every bgzip file; the blocks before it are whole gzip streams each.
_BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_SAVE = "save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`"
HDF5 = ("an HDF5 file, as coolers are", "coolers have names that end in .cool, .mcool or .scool")
# What is no text, by its first bytes: what it is, and what to do.
_KINDS = {
    b"HIC\0": ("a .hic file of Juicer", "`hictk convert` makes .mcool of it"),
    b"\x89HDF": HDF5,
    b"\xff\xfe": ("text in UTF-16", _SAVE),
    b"\xfe\xff": ("text in UTF-16", _SAVE),
    b"BZh": ("packed with bzip2", "unpack it with `bunzip2`, or pack it with bgzip"),
    b"\xfd7zXZ": ("packed with xz", "unpack it with `unxz`, or pack it with bgzip"),
    b"\x28\xb5\x2f\xfd": ("packed with zstd", "unpack it with `unzstd`, or pack it with bgzip"),
    b"PK\x03\x04": ("a zip archive", "unpack it with `unzip`, or pack it with bgzip"),
}


class Snapshot(NamedTuple):
    """Size of a file in bytes, and when it was last written to, in µs.

    Other machines may round the time of the same file: to 0.1 µs, as SMB does, or to 1 µs.
    """

    size: int
    time: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Snapshot:
        """The state of a file now."""
        found = os.stat(path)
        return cls(found.st_size, found.st_mtime_ns // 1000)

    @contextmanager
    def kept(self, path: str | os.PathLike[str], name: str) -> Iterator[None]:
        """Read a file inside; it is an `InputError` if it is in another state at the end."""
        try:
            yield
        except Exception:
            self._check(path, name)  # which explains whatever went wrong
            raise
        self._check(path, name)

    def _check(self, path: str | os.PathLike[str], name: str) -> None:
        try:
            now = Snapshot.of(path)
        except OSError as error:
            raise InputError(
                f"cannot be found any more: {error.strerror}",
                path=name,
                cure="leave the file in its place until all of it was read",
            ) from error
        if now != self:
            seen = f"it had {self.size:,} bytes first, {now.size:,} later"
            cure = "read it again once nothing writes to it; nothing was loaded"
            if now.size == self.size:
                seen = f"it has {self.size:,} bytes as before, but another time of writing"
                cure += ". If workers read copies of it, these need one time: `cp -p`, `rsync -t`"
            raise InputError(f"was changed while it was read: {seen}", path=name, cure=cure)


def kind_of(path: str | os.PathLike[str]) -> tuple[str, str] | None:
    """What a file is by its first bytes, if it is no text, and what to do; packed or not."""
    with open(path, "rb") as file:
        return _kind(file.read(_HEAD))


def _kind(head: bytes) -> tuple[str, str] | None:
    packed = head[:2] == _GZIP
    if packed:
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, 16)
        except zlib.error:  # which becomes an error where the file is read
            return None
    for magic, (what, cure) in _KINDS.items():
        if head.startswith(magic):
            if packed:
                return f"{what}, packed with gzip", f"unpack it with `gunzip`; {cure}"
            return what, cure
    return None


def find_codec(path: str | os.PathLike[str], name: str, expected: str = "text") -> Codec:
    """Tell how a file of text is packed.

    Parameters
    ----------
    path
        The file.
    name, expected
        How messages call it, and what it should hold.

    Raises
    ------
    InputError
        If it is empty, or plainly no text.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise InputError(
            f"is empty, expected {expected}",
            path=name,
            cure="did what should write it come to its end?",
        )
    if (kind := _kind(head)) is not None:
        raise InputError(f"is {kind[0]}, expected {expected}", path=name, cure=kind[1])
    if head[:2] != _GZIP:
        return "plain"
    return "bgzf" if head[3:4] == b"\x04" and head[10:14] == b"\x06\0BC" else "gzip"


def ends_well(path: str | os.PathLike[str]) -> bool:
    """Whether a bgzip file has the block that marks its end.

    Its fields for a time and the operating system are those of the writer.
    """
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - len(_BGZIP_END)))
        end = file.read()
    return end[:4] == _BGZIP_END[:4] and end[10:] == _BGZIP_END[10:]


def tidy(text: bytes) -> bytes:
    """Let whole lines end with line feeds only, and begin without byte order mark.

    Lines may end with carriage returns, alone or with line feeds. There are byte order marks inside
    of a text that was joined from files.
    """
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if BYTE_ORDER_MARK[:1] in text:
        text = text.removeprefix(BYTE_ORDER_MARK)
        text = text.replace(b"\n" + BYTE_ORDER_MARK, b"\n")
    return text


@contextmanager
def unpacked(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a file of text that is plain, gzip or bgzip.

    Yields
    ------
    The unpacked bytes, and the file itself, whose position tells how much was read.

    Raises
    ------
    InputError
        If the file is missing, a directory, empty, unreadable or no text, or turns out to be
        damaged, or to be written to, on reading.
    """
    if local(path).is_dir():
        raise InputError("is a directory, expected a file", path=path, cure="Name the file.")
    name = os.fspath(path)
    try:
        codec, state = find_codec(path, name), Snapshot.of(path)
        if codec == "bgzf" and not ends_well(path):
            raise EOFError("the block that ends every bgzip file is missing")
        with state.kept(path, name), open(path, "rb") as file:
            if codec == "plain":
                yield file, file
            else:
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
