"""A small language model, counted on the spot: logits of the next token from the last two."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Weight of a longer context's counts over a shorter one's.
_BACKOFF = 20.0


class NgramModel:
    """Counts of single tokens, pairs and triples, mixed."""

    def __init__(self, ids: Sequence[int], vocabulary: int) -> None:
        """Counts the tokens of a text."""
        singles = np.bincount(np.asarray(ids), minlength=vocabulary) + 0.01
        self._base = (singles / singles.sum()).astype(np.float32)
        self._followers: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for before, last, following in zip(ids, ids[1:], ids[2:], strict=False):
            self._followers[last,][following] += 1
            self._followers[before, last][following] += 1

    def logits(self, context: Sequence[int]) -> NDArray[np.float32]:
        """Log-weights of every token behind `context`."""
        weights = self._base.copy()
        for length in (1, 2):
            followers = self._followers.get(tuple(context[-length:]))
            if followers:
                total = sum(followers.values())
                for token, count in followers.items():
                    weights[token] += _BACKOFF**length * count / total
        logits: NDArray[np.float32] = np.log(weights)
        return logits
