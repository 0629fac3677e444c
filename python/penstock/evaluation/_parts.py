"""The run folder: finished batches in append-only parts, whole results, one run at a time.

    run.json                 fingerprint of the run, thread count
    .lock                    held by the first process while a run is going on
    parts/SESSION-RANK.jsonl finished batches, one a line, of one process of one start
    parts/SESSION...         what the processes of one start tell each other
    samples_TASK.jsonl, results.json

A line is written by one call and counts only if it is whole, so a process may be killed at any
moment. Processes find each other through files: a collective would time out beside a slow one.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from penstock.errors import FileError, RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

FORMAT = 1
MANIFEST, RESULTS, PARTS, LOCK = "run.json", "results.json", "parts", ".lock"

Finished = dict[tuple[int, int], list[Any]]
"""Outputs of a batch's units by group and batch."""


class RunFolder:
    """The folder of one run.

    Args:
        path: Where it is; made if it does not exist.

    Raises:
        RunError: It holds something else.
        FileError: It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: Any = None

    @property
    def parts(self) -> Path:
        """Where the parts are."""
        return self.path / PARTS

    def open(self) -> None:
        """Makes the folder and takes its lock; one process of a run does this.

        Raises:
            RunError: It holds something else, or another run is writing into it.
            FileError: It cannot be written.
        """
        path = self.path
        try:
            if path.exists() and not path.is_dir():
                raise FileError(20, "Not a folder", str(path))
            if path.is_dir() and not (path / MANIFEST).exists():
                foreign = sorted(p.name for p in path.iterdir() if p.name not in (LOCK, PARTS))
                if foreign:
                    message = (
                        f"{path} holds something else ({', '.join(foreign[:3])}), no evaluation"
                        " run; name another output folder"
                    )
                    raise RunError(message)
            path.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self.parts.mkdir(exist_ok=True)
            for file in path.glob(".*.tmp"):  # of a process that was killed while it wrote
                file.unlink(missing_ok=True)
        except FileError:
            raise
        except OSError as error:
            raise FileError(error.errno, error.strerror, str(path)) from error

    def close(self) -> None:
        """Gives the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def manifest(self) -> dict[str, Any] | None:
        """What the run in this folder is, if there is one.

        Raises:
            RunError: It was written by another version.
        """
        found = read_json(self.path / MANIFEST)
        if found is None:
            return None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise RunError(f"{self.path / MANIFEST} is of another version of penstock")
        return found

    def results(self) -> dict[str, Any] | None:
        """The results, if the run is complete."""
        found = read_json(self.path / RESULTS)
        return found if isinstance(found, dict) else None

    def clear(self) -> None:
        """Removes the run."""
        for pattern in (MANIFEST, RESULTS, "samples_*.jsonl", "report.html"):
            for file in self.path.glob(pattern):
                file.unlink()
        self.clear_parts()

    def clear_parts(self) -> None:
        """Removes the parts and what the processes told each other."""
        shutil.rmtree(self.parts, ignore_errors=True)

    def clear_sessions(self) -> None:
        """Removes what processes of earlier starts told each other."""
        for file in self.parts.iterdir():
            if file.suffix != ".jsonl":
                file.unlink(missing_ok=True)

    def _take_lock(self) -> None:
        # The system gives a dead process's lock back, so a killed run leaves nothing to clean up.
        file = (self.path / LOCK).open("a+", encoding="utf-8")
        try:
            _lock(file)
        except OSError as error:
            file.seek(0)
            owner = file.read().strip() or "another process"
            file.close()
            raise RunError(f"another run is writing into {self.path} ({owner})") from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        self._lock = file


def _lock(file: Any) -> None:
    """Takes an exclusive lock or raises OSError."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class PartWriter:
    """Appends finished batches to one process's part.

    Args:
        path: The part; it must not exist.
        fingerprint: Digest of the run's fingerprint; rows of another are not read.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path = path
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except OSError as error:
            raise FileError(error.errno, error.strerror, str(path)) from error
        self._write({"fingerprint": fingerprint})

    def append(self, group: int, batch: int, rows: Sequence[Any]) -> None:
        """Writes the outputs of a batch's units.

        Raises:
            FileError: The disk is full or gone.
        """
        self._write({"g": group, "b": batch, "rows": rows})

    def close(self) -> None:
        """Closes the part."""
        os.close(self._file)

    def _write(self, value: dict[str, Any]) -> None:
        line = memoryview((json.dumps(value, separators=(",", ":")) + "\n").encode())
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            raise FileError(error.errno, error.strerror, str(self._path)) from error


def read_parts(
    folder: Path, fingerprint: str, size_of: Callable[[int, int], int | None]
) -> Finished:
    """All finished batches of a run.

    Args:
        folder: Where the parts are.
        fingerprint: Digest of the run's fingerprint.
        size_of: Units of a batch of a group; None where there is no such batch.
    """
    finished: Finished = {}
    for path in sorted(folder.glob("*.jsonl")):
        lines = _whole_lines(path)
        if next(lines, None) != {"fingerprint": fingerprint}:
            continue
        for line in lines:
            key = (line["g"], line["b"])
            if len(line["rows"]) == size_of(*key):
                finished.setdefault(key, line["rows"])
    return finished


def _whole_lines(path: Path) -> Iterator[Any]:
    """Values of a part's lines, up to one that was not written to its end."""
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                yield json.loads(line)
            except ValueError:
                return


def read_json(path: Path) -> Any:
    """The contents of a JSON file, or None if it is not there."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}") from error


def write_json(path: Path, value: Any, *, indent: int | None = None) -> None:
    """Writes a JSON file whole or not at all."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    write_lines(path, [text])


def write_lines(path: Path, lines: Iterator[str] | Sequence[str]) -> None:
    """Writes a file whole or not at all.

    Raises:
        FileError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", errors="surrogatepass") as file:
            for line in lines:
                file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise FileError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
