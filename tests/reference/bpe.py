"""Byte-level BPE as its definition reads: the oracle of the fast paths. Read this first.

    text -> added tokens cut out -> pieces by a pattern -> bytes as printable characters -> merges,
    lowest rank first

Nothing here is fast, nothing is shared with the implementation. The pattern runs on the `regex`
module, whose Unicode tables may be newer than Oniguruma's, so compare on characters whose classes
have not changed.
"""

from __future__ import annotations

import itertools
import unicodedata
from dataclasses import dataclass
from typing import Any

import regex


def byte_alphabet() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    stand_ins = {byte: chr(byte) for byte in printable}
    return stand_ins | {byte: chr(256 + index) for index, byte in enumerate(others)}


def merge_lowest_rank_first(symbols: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """Joins the pair of lowest rank, leftmost first, until no pair has a rank.

    >>> merge_lowest_rank_first(["a", "a", "b"], {("a", "b"): 0})
    ['a', 'ab']
    """
    symbols = list(symbols)
    while True:
        pairs = [
            (ranks[pair], i) for i, pair in enumerate(itertools.pairwise(symbols)) if pair in ranks
        ]
        if not pairs:
            return symbols
        _, i = min(pairs)
        symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]


@dataclass
class NaiveBpe:
    """A byte-level BPE tokenizer of one of the supported shapes: optional NFC, a chain of patterns,
    ByteLevel."""

    vocab: dict[str, int]
    ranks: dict[tuple[str, str], int]
    patterns: list[str]
    nfc: bool
    ignore_merges: bool

    @classmethod
    def from_json(cls, value: dict[str, Any], patterns: list[str]) -> NaiveBpe:
        """Reads the model and the normalizer; `patterns` are applied one after the other, matches
        isolated."""
        model = value["model"]
        merges = [
            tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair)
            for pair in model["merges"]
        ]
        return cls(
            vocab=model["vocab"],
            ranks={pair: rank for rank, pair in reversed(list(enumerate(merges)))},
            patterns=patterns,
            nfc=(value["normalizer"] or {}).get("type") == "NFC",
            ignore_merges=model.get("ignore_merges", False),
        )

    def pieces(self, text: str) -> list[str]:
        """Splits with each pattern in turn; what lies between two matches is a piece too."""
        pieces = [text]
        for pattern in self.patterns:
            pieces = [part for piece in pieces for part in split_isolated(pattern, piece)]
        return pieces

    def encode(self, text: str) -> list[int]:
        """Ids of a text without added tokens."""
        alphabet = byte_alphabet()
        ids: list[int] = []
        for piece in self.pieces(unicodedata.normalize("NFC", text) if self.nfc else text):
            symbols = [alphabet[byte] for byte in piece.encode()]
            whole = "".join(symbols)
            if self.ignore_merges and whole in self.vocab:
                ids.append(self.vocab[whole])
            else:
                merged = merge_lowest_rank_first(symbols, self.ranks)
                ids += [self.vocab[symbol] for symbol in merged]
        return ids

    def decode(self, ids: list[int]) -> str:
        """The text of the ids; bytes that are not UTF-8 become U+FFFD."""
        token = {token_id: token for token, token_id in self.vocab.items()}
        byte = {character: byte for byte, character in byte_alphabet().items()}
        data = bytes(byte[character] for token_id in ids for character in token[token_id])
        return data.decode(errors="replace")


def split_isolated(pattern: str, text: str) -> list[str]:
    """Matches and what lies between them, in order, none empty."""
    parts, end = [], 0
    for match in regex.finditer(pattern, text):
        parts += [text[end : match.start()], match.group()]
        end = match.end()
    return [part for part in [*parts, text[end:]] if part]
