"""A progress bar, on a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
    with tqdm(total=total, unit="B", unit_scale=True, leave=False) as bar:
        yield bar.update
