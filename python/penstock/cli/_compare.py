"""Throughput beside the reference `tokenizers`, with the ids checked first."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock._tokenizer import Tokenizer

# The text is cut into documents of about this many characters, at line ends.
_DOCUMENT_CHARACTERS = 4096
_LONGEST_DOCUMENT = 16 * _DOCUMENT_CHARACTERS


class DifferentIdsError(PenstockError):
    """The reference gave other ids: a bug, which a benchmark must not hide."""


@dataclass(frozen=True)
class Timing:
    """Seconds of one tokenizer.

    Attributes:
        cold: The first call.
        steady: A second text of the same kind.
        warm: That second text again.
    """

    name: str
    cold: float
    steady: float
    warm: float


def documents(text: str) -> list[str]:
    """Cuts a text into documents, at line ends where it has any."""
    cut = []
    start = 0
    while start < len(text):
        # A text without line ends is cut where it stands: both tokenizers get the same documents.
        longest = start + _LONGEST_DOCUMENT
        line_end = text.find("\n", start + _DOCUMENT_CHARACTERS, longest)
        end = longest if line_end < 0 else line_end + 1
        cut.append(text[start:end])
        start = end
    return cut


def compare(tokenizer: Tokenizer, reference: Any, texts: Sequence[str]) -> list[Timing]:
    """Times both tokenizers on the same texts, then checks that they agree.

    Raises:
        DifferentIdsError: They do not.
    """
    half = max(1, len(texts) // 2)
    first, second = list(texts[:half]), list(texts[half:]) or list(texts[:half])
    timings = [
        _time("penstock", tokenizer.encode_ragged, first, second),
        _time("tokenizers", reference.encode_batch_fast, first, second),
    ]
    # Checked last, so that the cold call is cold; nothing is shown before the check has passed.
    for start in range(0, len(texts), 256):
        rows = list(texts[start : start + 256])
        ours = tokenizer.encode_ragged(rows).to_list()
        for row, (ids, encoding) in enumerate(
            zip(ours, reference.encode_batch_fast(rows), strict=True)
        ):
            if ids != encoding.ids:
                raise DifferentIdsError(
                    f"document {start + row}: the ids differ from those of tokenizers"
                )
    return timings


def _time(
    name: str, encode: Callable[[list[str]], object], first: list[str], second: list[str]
) -> Timing:
    seconds = []
    for texts in (first, second, second):
        start = time.perf_counter()
        encode(texts)
        seconds.append(time.perf_counter() - start)
    return Timing(name, *seconds)


def rows(timings: Sequence[Timing], texts: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """Formats timings as MB of UTF-8 per second, and how many times faster the first one is."""
    half = max(1, len(texts) // 2)
    first = sum(len(text.encode()) for text in texts[:half])
    second = sum(len(text.encode()) for text in texts[half:]) or first
    speeds = [
        (t.name, first / t.cold / 1e6, second / t.steady / 1e6, second / t.warm / 1e6)
        for t in timings
    ]
    shown = [(name, *(f"{speed:.1f}" for speed in speed_row)) for name, *speed_row in speeds]
    ratio = [
        f"{ours / theirs:.1f}x" for ours, theirs in zip(speeds[0][1:], speeds[-1][1:], strict=True)
    ]
    return [*shown, ("ratio", *ratio)]  # type: ignore[list-item]
