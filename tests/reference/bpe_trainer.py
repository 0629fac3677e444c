"""BPE training as its definition reads: the oracle of the fast trainer.

    symbols of every word; while there is room: the pair with the highest count becomes a token

The definition is that of `tokenizers`, whose queue has three habits that show in the result. A pair
waits in the queue with the words in which it came up, and a pair that comes up a second time (a
token can be made in two ways) waits there twice. An entry's count is refreshed only when the entry
comes up. A pair that has been merged keeps its count, so that one that comes up again starts from
there.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field

Pair = tuple[int, int]


@dataclass
class Entry:
    """A pair in the queue, with its count at that time and the words in which it came up."""

    count: int
    pair: Pair
    words: list[int]


@dataclass
class Options:
    """The trainer's options, and where symbols with a prefix or a suffix stand among each other."""

    vocab_size: int = 30_000
    min_frequency: int = 0
    special_tokens: list[str] = field(default_factory=list)
    limit_alphabet: int | None = None
    initial_alphabet: list[str] = field(default_factory=list)
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None
    max_token_length: int | None = None
    marked: dict[str, int] | None = None


def train(counts: dict[str, int], options: Options) -> tuple[dict[str, int], list[list[str]]]:
    """Learns a vocabulary and merges.

    >>> train({"ab": 2, "b": 1}, Options())
    ({'a': 0, 'b': 1, 'ab': 2}, [['a', 'b']])
    """
    vocab: dict[str, int] = {}
    for token in [*options.special_tokens, *alphabet(counts, options)]:
        vocab.setdefault(token, len(vocab))
    split = {word: symbols(word, set(vocab), options) for word in counts}
    marked = {symbol for word in split.values() for symbol in word}
    for symbol in sorted(marked, key=options.marked and options.marked.__getitem__):
        vocab.setdefault(symbol, len(vocab))

    words = [[vocab[symbol] for symbol in word] for word in split.values()]
    lengths = [[1] * len(word) for word in words]
    occurrences = list(counts.values())
    pairs: Counter[Pair] = Counter()
    queue: list[Entry] = []
    changes = [(pair, 1, i) for i, word in enumerate(words) for pair in itertools.pairwise(word)]
    merges: dict[Pair, None] = {}
    while True:
        grown: dict[Pair, list[int]] = {}
        for pair, change, i in changes:
            pairs[pair] += change * occurrences[i]
            if change > 0:
                grown.setdefault(pair, []).append(i)
        queue += [Entry(pairs[pair], pair, at) for pair, at in grown.items() if pairs[pair] > 0]

        top = None
        while len(vocab) < options.vocab_size and queue:
            # Of two entries of one pair with the same count, the younger one.
            top = max(reversed(queue), key=lambda entry: (unsigned(entry.count), *negated(entry)))
            if top.count == pairs[top.pair]:
                break
            top.count = pairs[top.pair]
            top = None
        if top is None or top.count == 0 or options.min_frequency > unsigned(top.count):
            break
        queue.remove(top)

        left, right = (list(vocab)[token] for token in top.pair)
        joined = left + right.removeprefix(options.continuing_subword_prefix or "")
        vocab.setdefault(joined, len(vocab))
        # Of a pair that is merged twice the later rank counts.
        merges.pop(top.pair, None)
        merges[top.pair] = None
        changes = [
            (pair, change, i)
            for i in sorted(set(top.words))
            for pair, change in merge(
                words[i], lengths[i], top.pair, vocab[joined], options.max_token_length
            )
        ]
    tokens = list(vocab)
    return vocab, [[tokens[left], tokens[right]] for left, right in merges]


def negated(entry: Entry) -> Pair:
    """Puts the pair with the lowest ids first among equals."""
    return -entry.pair[0], -entry.pair[1]


def unsigned(count: int) -> int:
    """A count as 64 bits without a sign, which makes one below zero the highest of all."""
    return count % 2**64


def alphabet(counts: dict[str, int], options: Options) -> list[str]:
    """The characters that are tokens, sorted; of equally frequent ones the lowest stay."""
    characters: Counter[str] = Counter()
    for word, count in counts.items():
        for character in word:
            characters[character] += count
    for text in options.initial_alphabet:
        characters[text[0]] = 2**64 - 1
    kept = sorted(characters, key=lambda character: (-characters[character], character))
    return sorted(kept[: options.limit_alphabet])


def symbols(word: str, known: set[str], options: Options) -> list[str]:
    """The symbols that a word starts with: its known characters, marked by where they stand."""
    prefix, suffix = options.continuing_subword_prefix or "", options.end_of_word_suffix or ""
    return [
        (prefix if i else "") + character + (suffix if i + 1 == len(word) else "")
        for i, character in enumerate(word)
        if character in known
    ]


def merge(
    word: list[int], lengths: list[int], pair: Pair, token: int, limit: int | None
) -> list[tuple[Pair, int]]:
    """Merges a pair in place, from left to right; returns the pairs that went and that came.

    >>> word = [7, 1, 2, 1, 2]
    >>> merge(word, [1] * 5, (1, 2), 9, None)
    [((7, 1), -1), ((7, 9), 1), ((2, 1), -1), ((9, 1), 1), ((9, 1), -1), ((9, 9), 1)]
    >>> word
    [7, 9, 9]
    """
    changes: list[tuple[Pair, int]] = []
    i = 0
    while i + 1 < len(word):
        if (word[i], word[i + 1]) == pair:
            word[i : i + 2] = [token]
            lengths[i : i + 2] = [lengths[i] + lengths[i + 1]]
            for neighbour in (i - 1, i + 1):
                if not 0 <= neighbour < len(word):
                    continue
                fits = limit is None or lengths[neighbour] + lengths[i] < limit
                other = word[neighbour]
                gone = (other, pair[0]) if neighbour < i else (pair[1], other)
                came = (other, token) if neighbour < i else (token, other)
                changes += [(gone, -1)] + [(came, 1)] * fits
        i += 1
    return changes
