"""A progress bar for each task, on one process."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import Self

_EVERY = 0.3
"""Seconds between two looks at what all processes have done."""


class Bars:
    """Bars of tasks: samples done by all processes, samples per second, time left.

    Args:
        tasks: Names and numbers of samples.
        shown: Show them, if standard error is a terminal and tqdm is installed.
    """

    def __init__(self, tasks: Sequence[tuple[str, int]], *, shown: bool) -> None:
        self._tasks = tasks
        self._shown = shown and sys.stderr.isatty()
        self._bars: list[Any] = []
        self._counts: Callable[[], list[float]] | None = None
        self._next = 0.0

    def __enter__(self) -> Self:
        """Nothing is shown before something is counted: a complete run has no bars."""
        return self

    def __exit__(self, *error: object) -> None:
        """Shows the last state and ends the bars."""
        self.refresh(now=True)
        for bar in self._bars:
            bar.close()

    def watch(self, counts: Callable[[], list[float]]) -> None:
        """Shows the bars over what that function counts; what is done already is no speed.

        Args:
            counts: Samples done, task by task.
        """
        if not self._shown:
            return
        try:
            from tqdm import tqdm
        except ImportError:
            return
        self._counts = counts
        width = max(len(name) for name, _ in self._tasks)
        self._bars = [
            tqdm(
                total=total,
                initial=min(round(done), total),
                desc=name.ljust(width),
                unit="sample",
                position=position,
            )
            for position, ((name, total), done) in enumerate(
                zip(self._tasks, counts(), strict=True)
            )
        ]

    def refresh(self, *, now: bool = False) -> None:
        """Shows what is done, at most every third of a second."""
        if not self._bars or self._counts is None:
            return
        if now or time.monotonic() >= self._next:
            self._show(self._counts())
            self._next = time.monotonic() + _EVERY

    def complete(self) -> None:
        """Shows that all is done; what other processes last told may be half a second old."""
        self._counts = None
        self._show([bar.total for bar in self._bars])

    def _show(self, counts: Sequence[float]) -> None:
        for bar, done in zip(self._bars, counts, strict=True):
            more = min(round(done), bar.total) - bar.n
            if not more and bar.n == bar.initial:
                bar.unpause()  # the time before a task begins is not its own
            bar.update(more)
