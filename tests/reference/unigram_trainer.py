"""How likely a corpus is under a Unigram model: what training is there to raise."""

from __future__ import annotations

import math


def log_likelihood(counts: dict[str, int], scores: list[list[object]]) -> float:
    """The logarithm of a corpus's probability, over all segmentations of every word.

    Scores are made to sum to one; a piece with the score 0 is a special token and left out.

    >>> log_likelihood({"ab": 1}, [["<unk>", 0], ["a", math.log(0.25)], ["b", math.log(0.75)]])
    -1.6739764335716716
    """
    pieces = {str(piece): float(str(score)) for piece, score in scores if score != 0}
    total = math.log(sum(math.exp(score) for score in pieces.values()))
    longest = max(map(len, pieces))
    likelihood = 0.0
    for word, count in counts.items():
        sums = [0.0] + [-math.inf] * len(word)
        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + longest) + 1):
                score = pieces.get(word[start:end])
                if score is not None:
                    sums[end] = log_add(sums[end], sums[start] + score - total)
        likelihood += count * sums[-1]
    return likelihood


def log_add(left: float, right: float) -> float:
    """The logarithm of a sum of two numbers that are given by theirs."""
    high, low = max(left, right), min(left, right)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
