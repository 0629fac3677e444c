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
        """Shows the bars."""
        if self._shown:
            try:
                from tqdm import tqdm
            except ImportError:
                return self
            width = max(len(name) for name, _ in self._tasks)
            self._bars = [
                tqdm(total=total, desc=name.ljust(width), unit="sample", position=position)
                for position, (name, total) in enumerate(self._tasks)
            ]
        return self

    def __exit__(self, *error: object) -> None:
        """Shows the last state and ends the bars."""
        self.refresh(now=True)
        for bar in self._bars:
            bar.close()

    def watch(self, counts: Callable[[], list[float]]) -> None:
        """Names the function that counts the samples done; what is done already is no speed."""
        self._counts = counts
        for bar, done in zip(self._bars, counts(), strict=False):
            bar.initial = bar.n = min(round(done), bar.total)
            bar.refresh()

    def refresh(self, *, now: bool = False) -> None:
        """Shows what is done, at most every third of a second."""
        if not self._bars or self._counts is None:
            return
        if now or time.monotonic() >= self._next:
            for bar, done in zip(self._bars, self._counts(), strict=False):
                bar.update(min(round(done), bar.total) - bar.n)
            self._next = time.monotonic() + _EVERY
