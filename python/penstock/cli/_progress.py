"""A progress bar, on a terminal."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_COLUMNS, _LINES = 80, 24


@contextmanager
def progress(total: int | None) -> Iterator[Callable[[int], object]]:
    """Shows the bytes done of `total`; yields the function to call with each step.

    Shows nothing when standard error is no terminal, or tqdm is not installed.
    """
    if not sys.stderr.isatty():
        yield lambda _step: None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda _step: None
        return
    # A terminal that does not know its size says 0, and tqdm would show nothing there.
    size = os.get_terminal_size(sys.stderr.fileno())
    columns, lines = size.columns or _COLUMNS, size.lines or _LINES
    with tqdm(
        total=total, unit="B", unit_scale=True, leave=False, ncols=columns, nrows=lines
    ) as bar:
        yield bar.update
