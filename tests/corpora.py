"""The corpora of the shared data, cut into texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENT = 8000
"""Characters per document: long enough to cross every block boundary of a scanner."""


def files(root: Path) -> list[Path]:
    """Every text file of the corpora."""
    found = sorted(
        p for p in (root / "corpora").rglob("*") if p.suffix in (".txt", ".jsonl", ".json")
    )
    assert found, f"no corpora below {root}"
    return found


def read(path: Path) -> str:
    """The text as it stands, line ends untouched."""
    return path.read_bytes().decode("utf-8")


def documents(text: str, size: int = DOCUMENT) -> list[str]:
    """The whole text in pieces of `size` characters."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def slices(text: str, seed: int, count: int, size: int) -> Iterator[str]:
    """`count` pieces of about `size` characters spread over the text, at places that depend on the
    seed."""
    step = max(len(text) // count, 1)
    for index in range(count):
        start = index * step + (seed * 7919) % max(step - size, 1)
        yield text[start : start + size]
