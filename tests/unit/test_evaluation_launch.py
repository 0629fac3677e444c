"""The launcher of `processes=N`, with workers that only live and die."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest
from penstock.errors import RunError, TaskError
from penstock.evaluation._launch import run_workers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes")

LEAVE = """
import os, pickle, sys, time
def leave(error):
    name = sys.argv[1] + "/error-" + os.environ["RANK"]
    open(name + ".tmp", "wb").write(pickle.dumps(error))
    os.replace(name + ".tmp", name + ".pkl")
    sys.exit(1)
rank = int(os.environ["RANK"])
"""


def workers(code: str, place: Path, count: int = 3) -> None:
    run_workers([sys.executable, "-c", LEAVE + code, str(place)], count, place)


def test_all_ends_well(tmp_path: Path) -> None:
    code = "open(f'{sys.argv[1]}/ran-{rank}-{os.environ[\"WORLD_SIZE\"]}', 'w')"
    workers(code, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("ran-*")) == ["ran-0-3", "ran-1-3", "ran-2-3"]


def test_the_first_error_is_the_one_that_is_raised(tmp_path: Path) -> None:
    """Not that of a rank that failed because another one did."""
    code = """
from penstock.errors import RunError, TaskError
if rank == 1:
    leave(TaskError("the label 7 is outside", "mine", 4))
time.sleep(0.5)
leave(RunError("rank 1 failed: ...", rank=1))
"""
    with pytest.raises(TaskError, match="mine, row 4: the label 7"):
        workers(code, tmp_path)


def test_an_error_of_another_kind_names_its_rank(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"rank 2 failed: Traceback\n.*MemoryError") as caught:
        workers("rank == 2 and leave('Traceback\\n MemoryError')", tmp_path)
    assert caught.value.rank == 2


def test_a_killed_worker_ends_those_that_wait(tmp_path: Path) -> None:
    code = "os.kill(os.getpid(), 9) if rank == 1 else time.sleep(600)"
    start = time.monotonic()
    with pytest.raises(RunError, match=r"rank 1 was killed \(SIGKILL\)"):
        workers(code, tmp_path)
    assert time.monotonic() - start < 300


def test_what_a_worker_said_is_shown(tmp_path: Path) -> None:
    code = "rank == 1 and (print('no such device', file=sys.stderr), sys.exit(3))"
    with pytest.raises(RunError, match="rank 1 ended with status 3\nno such device"):
        workers(code, tmp_path)
