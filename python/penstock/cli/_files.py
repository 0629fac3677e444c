"""Files of the commands: text in, plain or compressed, and results out under a temporary name."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from penstock.errors import FileError, MissingDependencyError, TextError

if TYPE_CHECKING:
    from collections.abc import Iterator

STDIN = "-"


def read_bytes(name: str) -> bytes:
    """Reads a file, decompressed if its name ends in .gz or .zst, or standard input for `-`.

    Raises:
        FileError: The file is damaged or ends early.
        OSError: It cannot be read.
    """
    if name == STDIN:
        return sys.stdin.buffer.read()
    data = Path(name).read_bytes()
    if name.endswith(".gz"):
        try:
            return gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise FileError(None, f"not a whole gzip file: {error}", name) from error
    if name.endswith(".zst"):
        return _unzstd(data, name)
    return data


def read_text(name: str) -> str:
    """Reads a file as `read_bytes` does, and decodes it.

    Raises:
        TextError: The file is not UTF-8.
    """
    data = read_bytes(name)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        shown = "standard input" if name == STDIN else name
        raise TextError(
            f"{shown}: not UTF-8: {error.reason} at byte {error.start}", error.start
        ) from error


def _unzstd(data: bytes, name: str) -> bytes:
    try:
        import zstandard
    except ImportError as error:
        message = f"{name}: reading zstd needs zstandard: pip install 'penstock[cli]'"
        raise MissingDependencyError(message) from error
    text = bytearray()
    # A file may hold several frames, one after the other, and each must be whole.
    while data:
        frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            text += frame.decompress(data)
        except zstandard.ZstdError as error:
            raise FileError(None, f"not a zstd file: {error}", name) from error
        if not frame.eof:
            raise FileError(None, "not a whole zstd file: it ends within a frame", name)
        data = frame.unused_data
    return bytes(text)


@contextmanager
def replacing(name: str) -> Iterator[BinaryIO]:
    """Opens a file to write that takes its name only when all of it is there.

    The temporary file lies beside the final one and is opened before the caller's work begins, so a
    path that cannot be written fails at once.

    Raises:
        FileError: The path cannot be written.
    """
    path = Path(name)
    if path.is_dir():
        raise FileError(21, "Is a directory", name)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        file = temporary.open("xb")
    except OSError as error:
        raise FileError(error.errno, error.strerror, name) from error
    try:
        with file:
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
