"""`processes=N`: workers on this machine, as torchrun would start them.

Imports neither torch nor the model: the workers do. The first worker that fails ends the others,
and its own error is the one that is raised.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import PenstockError, RunError, TaskError
from penstock.evaluation._result import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.evaluation._options import Options
    from penstock.evaluation._task import Task

PARENT = "PENSTOCK_EVALUATION_PARENT"
"""Process id of this launcher: its workers end when it is gone."""
_POLL = 0.05
_GRACE = 5.0
"""Seconds that workers have to end by themselves after one has failed."""


def launch(
    model: Any, tokenizer: Any, tasks: Sequence[Task], options: Options, processes: int
) -> Result:
    """Runs `evaluate` in several processes.

    Raises:
        RunError: A worker was killed, or failed by an error of no kind of ours.
        PenstockError: The error of the worker that failed first.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-") as name:
        place = Path(name)
        output = options.output or place / "run"
        given = options.output is not None
        specification = {
            "model": _stored(model, place / "model.pt"),
            "tokenizer": tokenizer,
            "tasks": list(tasks),
            "options": replace(options, output=output),
        }
        try:
            (place / "specification.pkl").write_bytes(pickle.dumps(specification))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            message = f"this does not go to other processes, use torchrun instead: {error}"
            raise TaskError(message) from error
        run_workers(
            [sys.executable, "-m", "penstock.evaluation._worker", str(place)],
            processes,
            place,
            options.threads,
        )
        result = Result.load(output)
    return result if given else replace(result, folder=None)


def _stored(model: Any, path: Path) -> Any:
    """A model's path; one that is an object is stored first."""
    if isinstance(model, (str, os.PathLike)):
        return os.fspath(model)
    import torch

    try:
        torch.save(model, path)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        message = f"this model does not go to other processes, use torchrun instead: {error}"
        raise TaskError(message) from error
    return path


def run_workers(
    command: Sequence[str], processes: int, place: Path, threads: int | None = None
) -> None:
    """Starts workers and waits for them.

    Args:
        command: What each runs.
        processes: How many.
        place: A folder where a worker that fails leaves its error.
        threads: Threads of each; by default the processors are shared out.

    Raises:
        RunError: A worker was killed, or failed by an error of no kind of ours.
        PenstockError: The error of the worker that failed first.
    """
    workers: list[subprocess.Popen[bytes]] = []
    logs = [place / f"stderr-{rank}" for rank in range(processes)]
    port = _free_port()
    try:
        for rank in range(processes):
            environment = _environment(rank, processes, port, threads)
            with logs[rank].open("wb") as log:
                # The first one shows progress; what others say matters only if they fail.
                shown = rank == 0
                worker = subprocess.Popen(  # noqa: S603
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=None if shown else subprocess.DEVNULL,
                    stderr=None if shown else log,
                )
            workers.append(worker)
        while any(worker.poll() is None for worker in workers):
            if any(worker.poll() for worker in workers):
                break
            time.sleep(_POLL)
        if any(worker.poll() for worker in workers):
            first = [rank for rank, worker in enumerate(workers) if worker.poll()]
            _end(workers, _GRACE)
            _raise(workers, first, place, logs)
    finally:
        _end(workers, 0.0)


def _environment(rank: int, processes: int, port: int, threads: int | None) -> dict[str, str]:
    share = max(1, (os.cpu_count() or 1) // processes)
    threads_name = "OMP_NUM_THREADS"
    return {
        **os.environ,
        threads_name: str(threads or os.environ.get(threads_name) or share),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        PARENT: str(os.getpid()),
    }


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _end(workers: Sequence[subprocess.Popen[bytes]], grace: float) -> None:
    """Ends workers: they have `grace` seconds, then a signal, then none."""
    for step in (None, signal.SIGTERM, signal.SIGKILL):
        running = [worker for worker in workers if worker.poll() is None]
        for worker in running:
            if step is not None:
                worker.send_signal(step)
        deadline = time.monotonic() + (grace if step is None else _GRACE)
        while any(worker.poll() is None for worker in running) and time.monotonic() < deadline:
            time.sleep(_POLL)


def _raise(
    workers: Sequence[subprocess.Popen[bytes]], first: list[int], place: Path, logs: Sequence[Path]
) -> None:
    """Raises the error of the worker that failed first."""
    errors = {}
    for rank in range(len(workers)):
        path = place / f"error-{rank}.pkl"
        if path.exists():
            # Our own worker's file, in our own folder.
            errors[rank] = pickle.loads(path.read_bytes())  # noqa: S301
    own = [rank for rank, error in errors.items() if getattr(error, "rank", None) in (None, rank)]
    for rank in [*(rank for rank in first if rank in own), *own]:
        error = errors[rank]
        if isinstance(error, PenstockError):
            raise error
        raise RunError(f"rank {rank} failed: {error}", rank=rank)
    killed = [rank for rank in first if (workers[rank].returncode or 0) < 0 and rank not in errors]
    for rank in killed:
        name = signal.Signals(-(workers[rank].returncode or 0)).name
        raise RunError(f"rank {rank} was killed ({name})", rank=rank)
    for error in errors.values():
        raise error
    rank = first[0]
    said = logs[rank].read_text(encoding="utf-8", errors="replace").strip()
    code = workers[rank].returncode
    raise RunError(f"rank {rank} ended with status {code}\n{said}".rstrip(), rank=rank)
