"""WordPiece, Unigram, WordLevel and BPE over characters as their definitions read: the oracles of
the compiled models. Read this first.

Each takes one piece of text, as a pre-tokenizer left it, and gives ids; `None` where the piece is
unknown and the model has no token for that. Nothing here is fast.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from tests.reference.bpe import merge_lowest_rank_first

Ids = list[int] | None


def word_level(vocab: dict[str, int], unk_token: str, piece: str) -> Ids:
    """The whole piece, or the unknown token.

    >>> word_level({"a": 0, "?": 1}, "?", "b")
    [1]
    """
    token_id = vocab.get(piece, vocab.get(unk_token))
    return None if token_id is None else [token_id]


def word_piece(
    vocab: dict[str, int], unk_token: str, piece: str, *, prefix: str = "##", longest: int = 100
) -> Ids:
    """The longest token that the rest begins with, again and again; all or nothing.

    >>> word_piece({"un": 0, "##aff": 1, "##able": 2, "?": 3}, "?", "unaffable")
    [0, 1, 2]
    """
    unknown = None if unk_token not in vocab else [vocab[unk_token]]
    if len(piece) > longest:
        return unknown
    ids: list[int] = []
    start = 0
    while start < len(piece):
        for end in range(len(piece), start, -1):
            token = piece[start:end] if start == 0 else prefix + piece[start:end]
            if token in vocab:
                ids.append(vocab[token])
                start = end
                break
        else:
            return unknown
    return ids


def unigram(
    pieces: list[tuple[str, float]], unk_id: int | None, text: str, *, byte_fallback: bool = False
) -> Ids:
    """The segmentation with the best sum of scores, characters from the left, the first of equals.

    >>> unigram([("?", 0.0), ("a", -1.0), ("b", -1.0), ("ab", -1.5)], 0, "abx")
    [3, 0]
    """
    ids = {token: index for index, (token, _) in enumerate(pieces)}
    unknown = min((score for _, score in pieces), default=float("inf")) - 10.0
    best: list[tuple[float, int, int | None] | None] = [(0.0, 0, None)] + [None] * len(text)
    for start in range(len(text)):
        node = best[start]
        assert node is not None
        ways = [
            (text[start:end], end)
            for end in range(start + 1, len(text) + 1)
            if text[start:end] in ids
        ]
        candidates = [(pieces[ids[token]][1], end, ids[token]) for token, end in ways]
        if all(end != start + 1 for _, end in ways):
            candidates.append((unknown, start + 1, unk_id))
        for score, end, token_id in candidates:
            total, known = score + node[0], best[end]
            if known is None or total > known[0]:
                if token_id is None:
                    return None
                best[end] = (total, start, token_id)
    parts: list[tuple[str, bool]] = []
    end = len(text)
    while end > 0:
        node = best[end]
        assert node is not None
        _, start, token_id = node
        is_unknown = token_id == unk_id and unk_id is not None
        if is_unknown and parts and parts[-1][1]:
            parts[-1] = (text[start:end] + parts[-1][0], True)
        else:
            parts.append((text[start:end], is_unknown))
        end = start
    out: list[int] = []
    for part, _ in reversed(parts):
        if part in ids:
            out.append(ids[part])
            continue
        names = [f"<0x{byte:02X}>" for byte in part.encode()]
        if byte_fallback and all(name in ids for name in names):
            out += [ids[name] for name in names]
        else:
            assert unk_id is not None
            out.append(unk_id)
    return out


@dataclass
class CharacterBpe:
    """BPE over characters, from the `model` object of a tokenizer.json."""

    vocab: dict[str, int]
    merges: list[tuple[str, str]]
    unk_token: str | None = None
    fuse_unk: bool = False
    byte_fallback: bool = False
    ignore_merges: bool = False
    prefix: str = ""
    suffix: str = ""
    ranks: dict[tuple[str, str], int] = field(init=False)

    def __post_init__(self) -> None:
        self.ranks = {pair: rank for rank, pair in enumerate(self.merges)}

    @classmethod
    def from_json(cls, model: dict[str, Any]) -> CharacterBpe:
        """Reads the model; merges as pairs or as strings."""
        merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
        names = ("unk_token", "fuse_unk", "byte_fallback", "ignore_merges")
        flags = {name: model[name] for name in names if model.get(name) is not None}
        return cls(
            model["vocab"],
            merges,  # type: ignore[arg-type]
            prefix=model.get("continuing_subword_prefix") or "",
            suffix=model.get("end_of_word_suffix") or "",
            **flags,
        )

    def encode(self, piece: str) -> Ids:
        """The ids of one piece.

        >>> CharacterBpe({"a": 0, "b": 1, "ab": 2, "?": 3}, [("a", "b")], "?").encode("abb\u00e9")
        [2, 1, 3]
        """
        if self.ignore_merges and piece in self.vocab:
            return [self.vocab[piece]]
        symbols: list[str] = []
        waiting = 0
        for i, character in enumerate(piece):
            name = (self.prefix if i else "") + character
            name += self.suffix if i == len(piece) - 1 else ""
            names = [f"<0x{byte:02X}>" for byte in name.encode()]
            if name in self.vocab:
                symbols += [self.unk_token or ""] * waiting + [name]
                waiting = 0
            elif self.byte_fallback and all(byte in self.vocab for byte in names):
                symbols += names
            elif self.unk_token is not None:
                if self.unk_token not in self.vocab:
                    return None
                if waiting and not self.fuse_unk:
                    symbols.append(self.unk_token)
                waiting = 1
        symbols += [self.unk_token or ""] * waiting
        merged = merge_symbols(symbols, self.ranks, len(self.prefix))
        return [self.vocab[symbol] for symbol in merged]


def merge_symbols(
    symbols: list[str], ranks: dict[tuple[str, str], int], prefix_length: int
) -> list[str]:
    """Merges, where what follows loses its prefix.

    >>> merge_symbols(["a", "##b"], {("a", "##b"): 0}, 2)
    ['ab']
    """
    if prefix_length == 0:
        return merge_lowest_rank_first(symbols, ranks)
    while True:
        pairs = [
            (ranks[pair], i) for i, pair in enumerate(itertools.pairwise(symbols)) if pair in ranks
        ]
        if not pairs:
            return symbols
        _, i = min(pairs)
        symbols = [*symbols[:i], symbols[i] + symbols[i + 1][prefix_length:], *symbols[i + 2 :]]
