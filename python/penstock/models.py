"""Descriptions of models, which turn pieces of text into tokens.

Example:
    >>> from penstock import Tokenizer, models
    >>> model = models.BPE(vocab={"a": 0, "b": 1, "ab": 2}, merges=[("a", "b")])
    >>> Tokenizer(model).encode("abba").tokens
    ['ab', 'b', 'a']
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from penstock._components import Component

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Model(Component):
    """Base of all models."""

    stage: ClassVar[str] = "model"


@dataclass(frozen=True)
class BPE(Model):
    """Byte-pair encoding.

    Args:
        vocab: Ids of tokens.
        merges: Pairs of tokens that become one, the first to merge first.
        dropout: Chance to leave a merge out, 0 to 1.
        unk_token: Token for unknown characters.
        continuing_subword_prefix: What tokens have before them that do not begin a word.
        end_of_word_suffix: What tokens have behind them that end a word.
        fuse_unk: Make unknown characters in a row one token.
        byte_fallback: Spell unknown characters by tokens like `<0x0A>`.
        ignore_merges: A piece that is a token as a whole needs no merging.
    """

    type_name: ClassVar[str] = "BPE"
    vocab: Mapping[str, int] = field(default_factory=dict, repr=False)
    merges: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    dropout: float | None = None
    unk_token: str | None = None
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None
    fuse_unk: bool = False
    byte_fallback: bool = False
    ignore_merges: bool = False

    def __post_init__(self) -> None:
        """Makes tuples of the merges."""
        object.__setattr__(self, "merges", tuple(tuple(merge) for merge in self.merges))

    @staticmethod
    def read_file(
        vocab: str | os.PathLike[str], merges: str | os.PathLike[str]
    ) -> tuple[dict[str, int], list[tuple[str, str]]]:
        """Reads a `vocab.json` and a `merges.txt`.

        Raises:
            ValueError: A line of the merges is no pair.
        """
        tokens: dict[str, int] = json.loads(Path(vocab).read_text(encoding="utf-8"))
        pairs = []
        with Path(merges).open(encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                pair = line.rstrip("\r\n").split(" ")
                if line.startswith("#version") or pair == [""]:
                    continue
                if len(pair) != 2:
                    raise ValueError(f"{merges}: line {number} is no pair: {line!r}")
                pairs.append((pair[0], pair[1]))
        return tokens, pairs

    @classmethod
    def from_file(
        cls, vocab: str | os.PathLike[str], merges: str | os.PathLike[str], **options: Any
    ) -> BPE:
        """Describes the model of a `vocab.json` and a `merges.txt`."""
        tokens, pairs = cls.read_file(vocab, merges)
        return cls(tokens, tuple(pairs), **options)

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {
            "dropout": self.dropout,
            "unk_token": self.unk_token,
            "continuing_subword_prefix": self.continuing_subword_prefix,
            "end_of_word_suffix": self.end_of_word_suffix,
            "fuse_unk": self.fuse_unk,
            "byte_fallback": self.byte_fallback,
            "ignore_merges": self.ignore_merges,
            "vocab": dict(self.vocab),
            "merges": self.merges,
        }


@dataclass(frozen=True)
class WordPiece(Model):
    """The longest token that a word begins with, then the longest that its rest begins with.

    Args:
        vocab: Ids of tokens.
        unk_token: Token for words that tokens do not cover.
        max_input_chars_per_word: A longer word is unknown.
        continuing_subword_prefix: What tokens have before them that do not begin a word.
    """

    type_name: ClassVar[str] = "WordPiece"
    vocab: Mapping[str, int] = field(default_factory=dict, repr=False)
    unk_token: str = "[UNK]"  # noqa: S105
    max_input_chars_per_word: int = 100
    continuing_subword_prefix: str = "##"

    @staticmethod
    def read_file(vocab: str | os.PathLike[str]) -> dict[str, int]:
        """Reads a `vocab.txt`, one token a line."""
        with Path(vocab).open(encoding="utf-8", newline="\n") as lines:
            return {line.rstrip(): number for number, line in enumerate(lines)}

    @classmethod
    def from_file(cls, vocab: str | os.PathLike[str], **options: Any) -> WordPiece:
        """Describes the model of a `vocab.txt`."""
        return cls(cls.read_file(vocab), **options)

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {
            "unk_token": self.unk_token,
            "continuing_subword_prefix": self.continuing_subword_prefix,
            "max_input_chars_per_word": self.max_input_chars_per_word,
            "vocab": dict(self.vocab),
        }


@dataclass(frozen=True)
class WordLevel(Model):
    """A piece is a token as a whole, or unknown.

    Args:
        vocab: Ids of tokens.
        unk_token: Token for pieces that are none.
    """

    type_name: ClassVar[str] = "WordLevel"
    vocab: Mapping[str, int] = field(default_factory=dict, repr=False)
    unk_token: str = "<unk>"  # noqa: S105

    @staticmethod
    def read_file(vocab: str | os.PathLike[str]) -> dict[str, int]:
        """Reads a `vocab.json`."""
        tokens: dict[str, int] = json.loads(Path(vocab).read_text(encoding="utf-8"))
        return tokens

    @classmethod
    def from_file(cls, vocab: str | os.PathLike[str], **options: Any) -> WordLevel:
        """Describes the model of a `vocab.json`."""
        return cls(cls.read_file(vocab), **options)

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"vocab": dict(self.vocab), "unk_token": self.unk_token}


@dataclass(frozen=True)
class Unigram(Model):
    """The segmentation with the best sum of scores.

    Args:
        vocab: Tokens and their scores; the position of a token is its id.
        unk_id: The token for unknown characters.
        byte_fallback: Spell unknown characters by tokens like `<0x0A>`.
    """

    type_name: ClassVar[str] = "Unigram"
    vocab: tuple[tuple[str, float], ...] = field(default=(), repr=False)
    unk_id: int | None = None
    byte_fallback: bool = False

    def __init__(
        self,
        vocab: Iterable[tuple[str, float]] | None = None,
        unk_id: int | None = None,
        byte_fallback: bool | None = None,
    ) -> None:
        tokens = (("<unk>", 0.0),) if vocab is None else vocab
        object.__setattr__(self, "vocab", tuple((token, score) for token, score in tokens))
        object.__setattr__(self, "unk_id", 0 if vocab is None and unk_id is None else unk_id)
        object.__setattr__(self, "byte_fallback", bool(byte_fallback))

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"unk_id": self.unk_id, "vocab": self.vocab, "byte_fallback": self.byte_fallback}


_KINDS: dict[str, type[Model]] = {
    cls.type_name: cls for cls in (BPE, WordPiece, WordLevel, Unigram)
}


def from_json(value: Mapping[str, Any]) -> Model:
    """Returns the description of an object of tokenizer.json, as a tokenizer writes it."""
    fields = {key: part for key, part in value.items() if key != "type"}
    return _KINDS[value["type"]](**fields)
