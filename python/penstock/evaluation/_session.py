"""One start of a run: its processes, how they hear of each other, and of each other's end.

accelerate says who we are and where the model goes, and carries one message at the start. From
then on processes talk through files in the run folder: every process beats once a second, and one
whose beat stops is lost.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from penstock.errors import PenstockError, RunError
from penstock.evaluation._launch import PARENT
from penstock.evaluation._parts import RunFolder, read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

BEAT = 0.5
"""Seconds between two beats, and between two looks at the others."""
LOST_AFTER = 120.0
"""Seconds without a beat after which a process is lost. A beat needs the interpreter for an instant
only; this is longer than anything that we know holds it."""


@dataclass(frozen=True)
class Process:
    """Who this process is among those of a run."""

    rank: int
    world: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this is the one that prints and merges."""
        return self.rank == 0

    @staticmethod
    def current() -> Process:
        """This process, from the environment of torchrun or accelerate."""
        # Without `cpu=True` accelerate takes processes without GPUs for single ones.
        state = PartialState(cpu=not torch.accelerator.is_available())
        local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        if state.device.type == "cuda" and local > torch.cuda.device_count():
            message = f"{local} processes, but there are {torch.cuda.device_count()} GPUs"
            raise RunError(message)
        return Process(state.process_index, state.num_processes, state.device)


def trapped() -> bool:
    """Whether this is the single process of `accelerate launch --cpu --num_processes N`.

    That command sets a port for processes to meet at, and starts only one, without ranks.
    """
    return (
        "MASTER_PORT" in os.environ
        and "WORLD_SIZE" not in os.environ
        and os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    )


TRAP_MESSAGE = (
    "`accelerate launch --cpu --num_processes N` starts a single process without MPI. Use "
    "`penstock evaluate --processes N`, `torchrun --nproc_per_node N` or "
    "`accelerate launch --multi_gpu --num_processes N` (which takes gloo where there is no GPU)."
)


class Session:
    """The processes of one start of a run.

    Entering it opens the run folder on the first process and tells the others; leaving it by an
    error tells the others why.

    Args:
        process: Who this process is.
        output: The run folder; a temporary one when None.

    Raises:
        RunError: The folder is not to be used, or is not shared.
    """

    def __init__(self, process: Process, output: Path | None) -> None:
        self.process = process
        self.done: list[float] = []
        self._output = output
        self._temporary: Path | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._seen: dict[int, tuple[Any, float]] = {}
        self.failure: dict[str, Any] | None = None
        self.folder: RunFolder
        self.name = ""

    def __enter__(self) -> Self:
        """Opens the folder, on the first process, and meets the others there."""
        name, path = self._meet()
        self.name = name
        self.folder = self.folder if self.process.is_main else RunFolder(Path(path))
        if not self.folder.parts.is_dir():
            message = (
                f"{path} is not shared: this process (rank {self.process.rank}) does not see it"
            )
            raise RunError(message)
        if self.process.world > 1:
            self._thread = threading.Thread(target=self._beat, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Tells the others of an error, and tidies up."""
        if error is not None:
            self._report(error)
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with suppress(OSError):
            self._file(f"-{self.process.rank}.beat").unlink(missing_ok=True)
        if not self.process.is_main:
            return
        if error is None and self.process.world > 1:
            self._wait_for_others_to_leave()
        if error is None:
            with suppress(OSError):
                self.folder.clear_sessions()
        self.folder.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    @property
    def is_kept(self) -> bool:
        """Whether the folder outlives the run."""
        return self._output is not None

    # ------------------------------------------------------------------ messages

    def tell(self, what: str, value: Any) -> None:
        """Leaves a message for all processes."""
        write_json(self._file(f".{what}.json"), value)

    def hear(self, what: str, meanwhile: Callable[[], object] = lambda: None) -> Any:
        """Waits for the message of that name, and calls `meanwhile` now and then.

        Raises:
            RunError: A process failed or was lost meanwhile.
        """
        pause = 0.005
        while (found := read_json(self._file(f".{what}.json"))) is None:
            self.check(lost=True)
            meanwhile()
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)
        return found

    def check(self, *, lost: bool = False) -> None:
        """Raises if another process failed.

        Args:
            lost: Also if one is lost.

        Raises:
            RunError: One did.
        """
        if self.process.world == 1:
            return
        if lost:
            self._look_for_failure()
            self._look_for_lost()
        if self.failure is not None:
            rank, message = self.failure["rank"], self.failure["message"]
            raise RunError(f"rank {rank} failed: {message}", rank=rank)

    def counts(self) -> list[float]:
        """Samples done by all processes, task by task."""
        total = list(self.done)
        for rank in range(self.process.world):
            if rank != self.process.rank:
                with suppress(RunError):
                    beat = read_json(self._file(f"-{rank}.beat"))
                    for task, done in enumerate((beat or {}).get("done", [])):
                        total[task] += done
        return total

    # ------------------------------------------------------------------ start and end

    def _meet(self) -> tuple[str, str]:
        """Name of this start and path of the folder, decided by the first process."""
        message: dict[str, Any] = {}
        failure: BaseException | None = None
        if self.process.is_main:
            try:
                if self._output is None:
                    self._temporary = Path(tempfile.mkdtemp(prefix="penstock-"))
                self.folder = RunFolder(self._output or self._temporary or Path())
                self.folder.open()
                self.folder.clear_sessions()
                message = {"name": secrets.token_hex(6), "path": str(self.folder.path.resolve())}
            except (PenstockError, OSError) as error:
                failure = error
                message = {"error": str(error)}
        if self.process.world > 1:
            carried = [message]
            broadcast_object_list(carried, from_process=0)
            message = carried[0]
        if failure is not None:
            raise failure
        if "error" in message:
            raise RunError(f"rank 0 failed: {message['error']}", rank=0)
        return message["name"], message["path"]

    def _report(self, error: BaseException) -> None:
        """Leaves the error for the others, unless they left one first."""
        if isinstance(error, RunError) and error.rank is not None:
            return
        message = (
            str(error) if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
        )
        path = self._file(".error.json")
        with suppress(OSError):
            temporary = path.with_name(f"{path.name}.{self.process.rank}")
            write_json(temporary, {"rank": self.process.rank, "message": message})
            os.link(temporary, path)  # fails if there is one

    def _wait_for_others_to_leave(self) -> None:
        deadline = time.monotonic() + 10
        others = [self._file(f"-{rank}.beat") for rank in range(1, self.process.world)]
        while any(path.exists() for path in others) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _beat(self) -> None:
        number = 0
        parent = os.environ.get(PARENT)
        while True:
            number += 1
            with suppress(PenstockError):
                write_json_fast(
                    self._file(f"-{self.process.rank}.beat"), {"beat": number, "done": self.done}
                )
            if parent is not None and os.getppid() != int(parent):
                os._exit(1)  # the launcher is gone, and nobody would see what we say
            with suppress(PenstockError):
                self._look_for_failure()
            if self._stop.wait(BEAT):
                return

    def _look_for_failure(self) -> None:
        found = read_json(self._file(".error.json"))
        if found is not None and found["rank"] != self.process.rank:
            self.failure = found

    def _look_for_lost(self) -> None:
        now = time.monotonic()
        for rank in range(self.process.world):
            if rank == self.process.rank:
                continue
            with suppress(RunError):
                beat = (read_json(self._file(f"-{rank}.beat")) or {}).get("beat")
                if rank not in self._seen or self._seen[rank][0] != beat:
                    self._seen[rank] = (beat, now)
            if rank in self._seen and now - self._seen[rank][1] > LOST_AFTER:
                message = f"rank {rank} is gone: no sign of it for {LOST_AFTER:.0f} s"
                raise RunError(message, rank=rank)

    def _file(self, name: str) -> Path:
        return self.folder.parts / f"{self.name}{name}"


def write_json_fast(path: Path, value: Any) -> None:
    """Replaces a small file that need not outlive the machine."""
    import json

    temporary = path.with_name(f"{path.name}.tmp")
    with suppress(OSError):
        temporary.write_text(json.dumps(value))
        temporary.replace(path)


def warn(message: str) -> None:
    """One line for a person; results stay on standard output."""
    print(f"penstock: {message}", file=sys.stderr)
