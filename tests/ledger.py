"""Counts what was compared with the reference, so that a run that compared nothing cannot pass
unseen."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_strings: Counter[tuple[str, str]] = Counter()
_bytes: Counter[tuple[str, str]] = Counter()


def record(tokenizer: str, kind: str, texts: Iterable[str]) -> None:
    """Notes that these texts gave equal results for this tokenizer."""
    for text in texts:
        _strings[tokenizer, kind] += 1
        _bytes[tokenizer, kind] += len(text.encode(errors="surrogatepass"))


def compared(tokenizer: str, kind: str) -> int:
    """Number of texts of this kind that were equal for this tokenizer."""
    return _strings[tokenizer, kind]


def total(kind: str) -> int:
    """Number of texts of this kind over all tokenizers."""
    return sum(count for (_, k), count in _strings.items() if k == kind)


def summary() -> list[str]:
    """One line per kind of comparison."""
    lines = []
    for kind in sorted({kind for _, kind in _strings}):
        names = sorted(name for name, k in _strings if k == kind)
        size = sum(_bytes[name, kind] for name in names) / 1e6
        lines.append(
            f"compared {kind}: {total(kind):,} texts, {size:,.1f} MB, {len(names)} tokenizers: "
            + ", ".join(names)
        )
    return lines
