"""What a person sees while a run goes on."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from penstock.evaluation import MultipleChoice, Perplexity, evaluate

from tests.evaluation_models import sentences
from tests.evaluation_workers import run_ranks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.evaluation_models import Models

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="opens a terminal"),
    pytest.mark.usefixtures("one_thread"),
]

STATE = re.compile(r"(\w+) *: *(\d+)%\|.*?\| (\d+)/(\d+) \[(\S+)<(\S+), +(\S+)\]")
"""A bar: name, share, done, all, time so far, time left, speed."""


class Terminal:
    """Standard error on a terminal while entered; `read` gives what it was told so far.

    Not a fixture: pytest sets its own standard error once more after those.
    """

    def __enter__(self) -> Terminal:
        import fcntl
        import pty
        import struct
        import termios

        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self._told = bytearray()
        self._before, sys.stderr = sys.stderr, os.fdopen(slave, "w", encoding="utf-8")
        return self

    def __exit__(self, *error: object) -> None:
        sys.stderr.close()
        sys.stderr = self._before
        os.close(self._master)

    def read(self) -> str:
        # What was written takes a moment to come out.
        sys.stderr.write("<here>")
        sys.stderr.flush()
        while not self._told.endswith(b"<here>"):
            self._told.extend(os.read(self._master, 1 << 16))
        del self._told[-len(b"<here>") :]
        return self._told.decode()


def tasks(count: int = 9) -> list[Any]:
    text = iter(sentences(6 * count, 71))
    rows = [
        {"prompt": next(text), "choices": [next(text) for _ in range(3)], "label": 0}
        for _ in range(count)
    ]
    documents = [{"text": text} for text in sentences(count, 72, 40, 200)]
    return [MultipleChoice(name="choice", data=rows), Perplexity(name="text", data=documents)]


def states(shown: str) -> dict[str, list[tuple[int, int]]]:
    """What each bar said was done, and of how many, in order."""
    found: dict[str, list[tuple[int, int]]] = {}
    for name, share, done, total, *times, speed in STATE.findall(shown):
        assert abs(int(share) - 100 * int(done) / int(total)) <= 0.5
        assert speed.endswith(("sample/s", "s/sample"))
        assert all(re.fullmatch(r"\d\d:\d\d|\?", part) for part in times)
        found.setdefault(name, []).append((int(done), int(total)))
    return found


def test_a_bar_for_each_task(models: Models, tmp_path: Path) -> None:
    with Terminal() as terminal:
        evaluate(models.gpt2, tasks=tasks(), output=tmp_path / "run", batch_size=2)
        shown = terminal.read()
        evaluate(models.gpt2, tasks=tasks(), output=tmp_path / "run", batch_size=2)
        assert terminal.read() == shown  # nothing was left to do
    found = states(shown)
    assert list(found) == ["choice", "text"]
    for bar in found.values():
        assert bar == sorted(bar)
        assert (bar[0], bar[-1]) == ((0, 9), (9, 9))


def test_what_is_done_already_is_shown_at_once(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.evaluation._score import Scorer

    calls, run = [0], Scorer.run

    def counted(self: Any, group: Any, units: Any) -> Any:
        calls[0] += 1
        if calls[0] == 13:  # a third of the second task
            raise KeyboardInterrupt
        return run(self, group, units)

    monkeypatch.setattr(Scorer, "run", counted)
    task = tasks()[0]
    with Terminal() as terminal:
        with pytest.raises(KeyboardInterrupt):
            evaluate(models.gpt2, tasks=task, output=tmp_path / "run", batch_size=2)
        start = len(terminal.read())
        evaluate(models.gpt2, tasks=task, output=tmp_path / "run", batch_size=2)
        shown = states(terminal.read()[start:])["choice"]
    assert shown[0] == (8, 9)  # 12 of 14 batches of 27 choices
    assert shown[-1] == (9, 9)


def test_no_bar_where_nobody_looks(models: Models, capfd: pytest.CaptureFixture[str]) -> None:
    with Terminal() as terminal:
        evaluate(models.gpt2, tasks=tasks(3), progress=False)
        assert terminal.read() == ""
    evaluate(models.gpt2, tasks=tasks(3))  # into a file, here
    assert capfd.readouterr() == ("", "")


def test_one_process_shows_what_all_have_done(models: Models, tmp_path: Path) -> None:
    patch = f"""
import sys
sys.stderr = open("{tmp_path}/stderr-" + str(rank), "w")
sys.stderr.isatty = lambda: True
"""
    arguments = {
        "model": str(models.gpt2),
        "tasks": tasks(13),
        "output": tmp_path / "run",
        "batch_size": 5,
    }
    outcome = run_ranks(3, arguments, tmp_path / "ranks", patch=patch)
    assert outcome.codes == [0] * 3, outcome.errors
    shown = [(tmp_path / f"stderr-{rank}").read_text() for rank in range(3)]
    assert shown[1:] == ["", ""]
    found = states(shown[0])
    assert [found[name][-1] for name in ("choice", "text")] == [(13, 13), (13, 13)]
