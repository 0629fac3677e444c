"""Texts for a trainer: strings from any iterable, Arrow columns, lines of files."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Iterable, Mapping, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import (
    FileError,
    MissingDependencyError,
    MissingFileError,
    TextError,
    TrainingError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO, TypeAlias

    from penstock._native import WordCounter

    Report: TypeAlias = Callable[[str, int, int | None], None]

STDIN = "-"

# Text that goes into one native call: enough to keep every core busy, little enough to report on.
_BATCH_BYTES = 1 << 23
_BATCH_TEXTS = 1 << 16

_STAGE = "Count words"


def count(
    counter: WordCounter, source: Any, files: Any, report: Report, length: int | None = None
) -> None:
    """Counts the words of a source, of files, or of both.

    Args:
        counter: Where they are counted.
        source: An iterable of str or of iterables of str, an Arrow string column, a path or an
            iterable of paths, or a mapping from words to counts.
        files: A path, or an iterable of paths, given as str or as paths.
        report: Called with the stage, the steps done and the steps there are.
        length: Number of items of `source`, for `report`.

    Raises:
        TypeError: An item is no text.
        TextError: A text holds a lone surrogate, or a file is not UTF-8.
        FileError: A file cannot be read.
    """
    if source is None and files is None:
        raise TypeError("there is nothing to train on: give texts or files")
    if files is not None:
        paths = [files] if isinstance(files, (str, os.PathLike)) else list(files)
        _count_files(counter, [os.fspath(path) for path in paths], report)
    if source is not None:
        _count_source(counter, source, report, length)


def _count_source(counter: WordCounter, source: Any, report: Report, length: int | None) -> None:
    if isinstance(source, (str, bytes)):
        kind = type(source).__name__
        raise TypeError(
            f"texts must be an iterable of str, not a single {kind}; for a file: files="
        )
    if isinstance(source, os.PathLike):
        _count_files(counter, [os.fspath(source)], report)
    elif isinstance(source, Mapping):
        for word, occurrences in source.items():
            if not isinstance(occurrences, int) or not 0 <= occurrences < 1 << 63:
                raise TrainingError(f"the count of {word!r} is {occurrences!r}", "texts")
            counter.add(word, occurrences)
    elif hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        counter.count(source, lambda done, total: report(_STAGE, done, total))
    elif isinstance(source, Iterable):
        if length is None and isinstance(source, Sized):
            length = len(source)
        _count_items(counter, source, report, length)
    else:
        raise TypeError(f"texts must be an iterable of str, not {type(source).__name__}")


def _count_items(
    counter: WordCounter, source: Iterable[Any], report: Report, total: int | None
) -> None:
    batch: list[str] = []
    size = first = 0
    report(_STAGE, 0, total)
    for done, item in enumerate(source, 1):
        if isinstance(item, str):
            batch.append(item)
            size += len(item)
        elif isinstance(item, os.PathLike):
            _count_files(counter, [os.fspath(item)], report)
        elif isinstance(item, Iterable) and not isinstance(item, (bytes, bytearray, Mapping)):
            for text in item:
                if not isinstance(text, str):
                    raise _not_text(text, done - 1)
                batch.append(text)
                size += len(text)
        else:
            raise _not_text(item, done - 1)
        if size >= _BATCH_BYTES or len(batch) >= _BATCH_TEXTS:
            _count_batch(counter, batch, first)
            first += len(batch)
            batch, size = [], 0
            report(_STAGE, done, total)
    _count_batch(counter, batch, first)


def _not_text(item: object, row: int) -> TypeError:
    return TypeError(f"texts must be str or lists of str, not {type(item).__name__} (item {row})")


def _count_batch(counter: WordCounter, batch: list[str], first: int) -> None:
    try:
        counter.count(batch)
    except TextError as error:
        if error.row is None or first == 0:
            raise
        row = first + error.row
        message = str(error).replace(f"row {error.row}", f"row {row}")
        raise TextError(message, error.position, row) from error


def _count_files(counter: WordCounter, names: list[str], report: Report) -> None:
    # A file that is not there must not cost the work on those before it.
    sizes = [_size(name) for name in names]
    total = None if STDIN in names else sum(sizes)
    before = 0
    for name, size in zip(names, sizes, strict=True):
        position = 0
        with open_binary(name) as (file, raw):
            for block in _blocks(file, name):
                report(_STAGE, before + raw(), total)
                try:
                    counter.count_lines(block)
                except TextError as error:
                    if error.position is None:
                        raise
                    at = position + error.position
                    shown = "standard input" if name == STDIN else name
                    raise TextError(f"{shown}: not UTF-8: invalid byte at {at}", at) from error
                position += len(block)
        before += size
        report(_STAGE, before, total)


def _size(name: str) -> int:
    if name == STDIN:
        return 0
    try:
        return Path(name).stat().st_size
    except FileNotFoundError as error:
        raise MissingFileError(error.errno, error.strerror, name) from error
    except OSError as error:
        raise FileError(error.errno, error.strerror, name) from error


def _blocks(file: BinaryIO, name: str) -> Iterator[bytes]:
    """Cuts a file behind line ends, into blocks of several megabytes or one line."""
    parts: list[bytes] = []
    while block := _read(file, name):
        cut = block.rfind(b"\n") + 1
        if cut:
            yield b"".join([*parts, block[:cut]])
            parts = [block[cut:]]
        else:
            parts.append(block)
    if rest := b"".join(parts):
        yield rest


def _read(file: BinaryIO, name: str) -> bytes:
    try:
        return file.read(_BATCH_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(None, f"not a whole gzip file: {error}", name) from error
    except OSError as error:
        raise FileError(error.errno, error.strerror, name) from error


@contextmanager
def open_binary(name: str) -> Iterator[tuple[BinaryIO, Callable[[], int]]]:
    """Opens a file to read, decompressed if its name ends in .gz or .zst; `-` is standard input.

    Yields the file, and a function that says how many bytes of the file itself have been read.

    Raises:
        FileError: The file cannot be opened.
        MissingDependencyError: The file needs zstandard, which is not installed.
    """
    if name == STDIN:
        yield sys.stdin.buffer, lambda: 0
        return
    with _open(name) as raw:
        if name.endswith(".gz"):
            with gzip.GzipFile(fileobj=raw) as file:
                yield file, raw.tell  # type: ignore[misc]
        elif name.endswith(".zst"):
            yield _Zstd(raw, name), raw.tell  # type: ignore[misc]
        else:
            yield raw, raw.tell


def _open(name: str) -> BinaryIO:
    try:
        return Path(name).open("rb")
    except FileNotFoundError as error:
        raise MissingFileError(error.errno, error.strerror, name) from error
    except OSError as error:
        raise FileError(error.errno, error.strerror, name) from error


class _Zstd:
    """Reads zstd frames, one after the other, and insists that each is whole."""

    def __init__(self, raw: BinaryIO, name: str) -> None:
        try:
            import zstandard
        except ImportError as error:
            message = f"{name}: reading zstd needs zstandard: pip install 'penstock[cli]'"
            raise MissingDependencyError(message) from error
        self._zstandard = zstandard
        self._raw = raw
        self._name = name
        self._frame: Any = None

    def read(self, size: int) -> bytes:
        """Returns about `size` bytes of text, and none at the end."""
        text = bytearray()
        while len(text) < size:
            data = self._raw.read(1 << 20)
            if not data:
                if self._frame is not None:
                    reason = "not a whole zstd file: it ends within a frame"
                    raise FileError(None, reason, self._name)
                break
            while data:
                if self._frame is None:
                    self._frame = self._zstandard.ZstdDecompressor().decompressobj()
                try:
                    text += self._frame.decompress(data)
                except self._zstandard.ZstdError as error:
                    raise FileError(None, f"not a zstd file: {error}", self._name) from error
                data = b""
                if self._frame.eof:
                    data = self._frame.unused_data
                    self._frame = None
        return bytes(text)
