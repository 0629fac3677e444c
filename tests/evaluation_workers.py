"""Ranks of an evaluation as processes of their own, which a test may kill at a chosen moment.

They are forked from a server that has imported torch and transformers once, which no rank has run
anything in; each is what torchrun would start, with gloo.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

WAIT = 180.0
"""Seconds that a run may take on a busy machine."""

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.evaluation_preload"])


@dataclass(frozen=True)
class Kill:
    """One rank's end: which, where, and after how many times it has come by there.

    `before` the first forward pass, `in` the writing of a batch, `between` two batches, and on the
    first rank while `merging` (in the samples), before the `results`, or while `clearing` up.
    Another rank is `waiting` while the first one merges.
    """

    rank: int
    where: str
    after: int = 0


@dataclass(frozen=True)
class Outcome:
    """How the ranks ended: exit codes, and the errors of those that raised."""

    codes: list[int | None]
    errors: dict[int, BaseException]
    seconds: float


def run_ranks(
    world: int,
    arguments: dict[str, Any],
    place: Path,
    *,
    kill: Kill | None = None,
    end_all: bool = True,
    patch: str = "",
    lost_after: float = 120.0,
    nodes: int = 1,
) -> Outcome:
    """Runs `evaluate(**arguments)` on `world` ranks.

    Args:
        world: Number of ranks.
        arguments: Of `evaluate`.
        place: A folder for what the ranks leave.
        kill: Which rank dies.
        end_all: Whether the others are ended once one has died, as a launcher does.
        patch: Code that each rank runs first; `rank` is its number.
        lost_after: Seconds without a sign after which ranks give one up.
        nodes: Machines that the ranks believe they are on, as many on each.
    """
    place.mkdir(parents=True, exist_ok=True)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    job = pickle.dumps((arguments, kill, patch, lost_after, nodes))
    ranks = [
        CONTEXT.Process(target=_rank, args=(rank, world, port, job, str(place)))
        for rank in range(world)
    ]
    started = time.monotonic()
    for process in ranks:
        process.start()
    try:
        _wait(ranks, stop_at_first=kill is not None and end_all)
    finally:
        alive = [process for process in ranks if process.is_alive()]
        for process in alive:
            process.kill()
        for process in ranks:
            process.join()
    errors = {}
    for rank in range(world):
        path = place / f"error-{rank}"
        if path.exists():
            errors[rank] = pickle.loads(path.read_bytes())
            path.unlink()
    return Outcome([p.exitcode for p in ranks], errors, time.monotonic() - started)


def _wait(ranks: Sequence[Any], *, stop_at_first: bool) -> None:
    deadline = time.monotonic() + WAIT
    while any(process.is_alive() for process in ranks):
        if stop_at_first and any(process.exitcode for process in ranks):
            return
        assert time.monotonic() < deadline, "the ranks hang"
        time.sleep(0.02)


def _rank(rank: int, world: int, port: int, job: bytes, place: str) -> None:
    arguments, kill, patch, lost_after, nodes = pickle.loads(job)
    environment = {
        "RANK": rank,
        "LOCAL_RANK": rank % (world // nodes),
        "WORLD_SIZE": world,
        "LOCAL_WORLD_SIZE": world // nodes,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "OMP_NUM_THREADS": 1,
    }
    if world > 1:
        os.environ.update({key: str(value) for key, value in environment.items()})
    import torch
    from penstock.evaluation import _session, evaluate

    torch.set_num_threads(1)
    _session.LOST_AFTER = lost_after
    if kill is not None and kill.rank == rank:
        _arm(kill)
    exec(patch, {"rank": rank})
    try:
        evaluate(**arguments)
    except BaseException as error:
        error.__traceback__ = None
        (Path(place) / f"error-{rank}").write_bytes(pickle.dumps(error))
        os._exit(1)
    os._exit(0)


def _arm(kill: Kill) -> None:
    """Makes this process die where it is told to."""
    from penstock.evaluation import _parts, _run, _session
    from penstock.evaluation._score import Scorer

    count = [0]

    def due() -> bool:
        count[0] += 1
        return count[0] > kill.after

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if kill.where == "before":
        run = Scorer.run

        def scored(self: Any, *arguments: Any) -> Any:
            if due():
                die()
            return run(self, *arguments)

        Scorer.run = scored  # type: ignore[method-assign]
    elif kill.where in ("in", "between"):
        append = _parts.PartWriter.append

        def appended(self: Any, *arguments: Any) -> None:
            if not due():
                append(self, *arguments)
                return
            if kill.where == "between":
                append(self, *arguments)
            else:
                os.write(self._file, b'{"g":0,"b":0,"rows":[[[-12.5')
            die()

        _parts.PartWriter.append = appended  # type: ignore[method-assign]
    elif kill.where == "merging":

        def lines(*arguments: Any) -> Any:
            for number, line in enumerate(sample_lines(*arguments)):
                if number == 3 and due():
                    die()
                yield line

        sample_lines, _run.sample_lines = _run.sample_lines, lines
    elif kill.where == "waiting":
        hear = _session.Session.hear

        def heard(self: Any, what: str, *arguments: Any) -> Any:
            if what == "done":
                die()
            return hear(self, what, *arguments)

        _session.Session.hear = heard  # type: ignore[method-assign]
    elif kill.where == "results":
        _run.results_of = lambda *_: die()  # type: ignore[assignment]
    else:
        assert kill.where == "clearing"
        write_json = _run.write_json

        def written(path: Path, value: Any, **options: Any) -> None:
            write_json(path, value, **options)
            if path.name == "results.json":
                die()

        _run.write_json = written
