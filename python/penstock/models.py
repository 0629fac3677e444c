"""Descriptions of models, which turn pieces of text into tokens.

Example:
    >>> from penstock import Tokenizer, models
    >>> model = models.BPE(vocab={"a": 0, "b": 1, "ab": 2}, merges=[("a", "b")])
    >>> Tokenizer(model).encode("abba").tokens
    ['ab', 'b', 'a']
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from penstock import _native
from penstock._components import READERS, Component
from penstock.errors import MissingFileError, UnsupportedComponentError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    Files = str | os.PathLike[str]


@dataclass(frozen=True)
class Token:
    """A token as a model makes it: id, text, and the bytes of the piece that it stands for."""

    id: int
    value: str
    offsets: tuple[int, int]

    def as_tuple(self) -> tuple[int, str, tuple[int, int]]:
        """Id, text and offsets."""
        return self.id, self.value, self.offsets


@dataclass(frozen=True, repr=False)
class Model(Component):
    """Base of all models."""

    stage: ClassVar[str] = "model"

    def tokenize(self, sequence: str) -> list[Token]:
        """Returns the tokens of one piece of text.

        Raises:
            MissingUnkTokenError: The text is unknown, and the model has no token for that.
        """
        tokens = self._tokenizer.tokenize(sequence)
        return [Token(*token) for token in tokens]

    def token_to_id(self, token: str) -> int | None:
        """Returns the id of a token, or None."""
        return self._tokenizer.token_to_id(token)

    def id_to_token(self, id: int) -> str | None:
        """Returns the token of an id, or None."""
        return self._tokenizer.id_to_token(id)

    def save(self, folder: Files, prefix: str | None = None) -> list[str]:
        """Writes the files that models had before there was tokenizer.json.

        Args:
            folder: Where to write them.
            prefix: What their names begin with, and a dash.

        Returns:
            Their paths.

        Raises:
            MissingFileError: There is no such folder.
        """
        if not Path(folder).is_dir():
            raise MissingFileError(2, "No such folder", str(folder))
        paths = []
        for name, text in self._files().items():
            path = Path(folder) / (name if prefix is None else f"{prefix}-{name}")
            path.write_text(text, encoding="utf-8", newline="\n")
            paths.append(str(path))
        return paths

    def get_trainer(self) -> Any:
        """Returns a trainer for models of this kind."""
        from penstock._training import TRAINERS

        return TRAINERS[self.type_name]()

    def _files(self) -> dict[str, str]:
        raise NotImplementedError

    @functools.cached_property
    def _tokenizer(self) -> _native.Tokenizer:
        file = {"version": "1.0", "added_tokens": [], "model": self.to_json()}
        stages = ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor")
        return _native.Tokenizer.from_own_str(
            json.dumps({**file, **dict.fromkeys((*stages, "decoder"))})
        )


def _in_order(vocab: Mapping[str, int]) -> dict[str, int]:
    """A vocabulary in order of its ids."""
    return dict(sorted(vocab.items(), key=lambda entry: entry[1]))


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, repr=False)
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
        cache_capacity: Of no effect: caches are bounded by themselves.

    Raises:
        ValueError: There is a vocabulary without merges, or merges without a vocabulary.
    """

    type_name: ClassVar[str] = "BPE"
    vocab: Mapping[str, int] = field(default_factory=dict)
    merges: tuple[tuple[str, str], ...] = ()
    dropout: float | None = None
    unk_token: str | None = None
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None
    fuse_unk: bool = False
    byte_fallback: bool = False
    ignore_merges: bool = False

    def __init__(
        self,
        vocab: Mapping[str, int] | None = None,
        merges: Iterable[tuple[str, str]] | None = None,
        dropout: float | None = None,
        unk_token: str | None = None,
        continuing_subword_prefix: str | None = None,
        end_of_word_suffix: str | None = None,
        fuse_unk: bool | None = None,
        byte_fallback: bool = False,
        ignore_merges: bool = False,
        *,
        cache_capacity: int | None = None,  # noqa: ARG002
    ) -> None:
        if (vocab is None) != (merges is None):
            raise ValueError("`vocab` and `merges` must be both specified")
        fields = {
            "vocab": vocab or {},
            "merges": tuple(tuple(merge) for merge in merges or ()),
            "dropout": dropout,
            "unk_token": unk_token,
            "continuing_subword_prefix": continuing_subword_prefix,
            "end_of_word_suffix": end_of_word_suffix,
            "fuse_unk": bool(fuse_unk),
            "byte_fallback": byte_fallback,
            "ignore_merges": ignore_merges,
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @staticmethod
    def read_file(vocab: Files, merges: Files) -> tuple[dict[str, int], list[tuple[str, str]]]:
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
    def from_file(cls, vocab: Files, merges: Files, **options: Any) -> BPE:
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
            "vocab": _in_order(self.vocab),
            "merges": self.merges,
        }

    def _files(self) -> dict[str, str]:
        merges = "".join(f"{left} {right}\n" for left, right in self.merges)
        vocab = _compact(_in_order(self.vocab))
        return {"vocab.json": vocab, "merges.txt": f"#version: 0.2\n{merges}"}


@dataclass(frozen=True, repr=False)
class WordPiece(Model):
    """The longest token that a word begins with, then the longest that its rest begins with.

    Args:
        vocab: Ids of tokens.
        unk_token: Token for words that tokens do not cover.
        max_input_chars_per_word: A longer word is unknown.
        continuing_subword_prefix: What tokens have before them that do not begin a word.
    """

    type_name: ClassVar[str] = "WordPiece"
    vocab: Mapping[str, int] | None = field(default_factory=dict)
    unk_token: str = "[UNK]"  # noqa: S105
    max_input_chars_per_word: int = 100
    continuing_subword_prefix: str = "##"

    def __post_init__(self) -> None:
        """None stands for an empty vocabulary."""
        object.__setattr__(self, "vocab", self.vocab or {})

    @staticmethod
    def read_file(vocab: Files) -> dict[str, int]:
        """Reads a `vocab.txt`, one token a line."""
        with Path(vocab).open(encoding="utf-8", newline="\n") as lines:
            return {line.rstrip(): number for number, line in enumerate(lines)}

    @classmethod
    def from_file(cls, vocab: Files, **options: Any) -> WordPiece:
        """Describes the model of a `vocab.txt`."""
        return cls(cls.read_file(vocab), **options)

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {
            "unk_token": self.unk_token,
            "continuing_subword_prefix": self.continuing_subword_prefix,
            "max_input_chars_per_word": self.max_input_chars_per_word,
            "vocab": _in_order(self.vocab or {}),
        }

    def _files(self) -> dict[str, str]:
        return {"vocab.txt": "".join(f"{token}\n" for token in _in_order(self.vocab or {}))}


@dataclass(frozen=True, repr=False)
class WordLevel(Model):
    """A piece is a token as a whole, or unknown.

    Args:
        vocab: Ids of tokens.
        unk_token: Token for pieces that are none.
    """

    type_name: ClassVar[str] = "WordLevel"
    vocab: Mapping[str, int] | None = field(default_factory=dict)
    unk_token: str | None = "<unk>"  # noqa: S105

    def __post_init__(self) -> None:
        """None stands for an empty vocabulary, and for `<unk>`."""
        object.__setattr__(self, "vocab", self.vocab or {})
        object.__setattr__(self, "unk_token", "<unk>" if self.unk_token is None else self.unk_token)

    @staticmethod
    def read_file(vocab: Files) -> dict[str, int]:
        """Reads a `vocab.json`."""
        tokens: dict[str, int] = json.loads(Path(vocab).read_text(encoding="utf-8"))
        return tokens

    @classmethod
    def from_file(cls, vocab: Files, unk_token: str | None = None) -> WordLevel:
        """Describes the model of a `vocab.json`."""
        return cls(cls.read_file(vocab), unk_token)

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"vocab": _in_order(self.vocab or {}), "unk_token": self.unk_token}

    def _files(self) -> dict[str, str]:
        return {"vocab.json": _compact(_in_order(self.vocab or {}))}


@dataclass(frozen=True, repr=False)
class Unigram(Model):
    """The segmentation with the best sum of scores.

    Args:
        vocab: Tokens and their scores; the position of a token is its id.
        unk_id: The token for unknown characters.
        byte_fallback: Spell unknown characters by tokens like `<0x0A>`.
        alpha: None or 0: the best segmentation, as a tokenizer.json always means. To draw one at
            random, as the reference does for other values, is not supported.
        nbest_size: Of no effect without `alpha`.

    Raises:
        UnsupportedComponentError: `alpha` asks for random segmentations.
    """

    type_name: ClassVar[str] = "Unigram"
    vocab: tuple[tuple[str, float], ...] = ()
    unk_id: int | None = None
    byte_fallback: bool = False
    alpha: float | None = field(default=None, compare=False)
    nbest_size: int | None = field(default=None, compare=False)

    def __init__(
        self,
        vocab: Iterable[tuple[str, float]] | None = None,
        unk_id: int | None = None,
        byte_fallback: bool | None = None,
        alpha: float | None = None,
        nbest_size: int | None = None,
    ) -> None:
        if alpha:
            raise UnsupportedComponentError(
                f"Unigram with alpha={alpha}: segmentations are not drawn at random", "Unigram"
            )
        tokens = (("<unk>", 0.0),) if vocab is None else vocab
        object.__setattr__(self, "vocab", tuple((token, score) for token, score in tokens))
        object.__setattr__(self, "unk_id", 0 if vocab is None and unk_id is None else unk_id)
        object.__setattr__(self, "byte_fallback", bool(byte_fallback))
        object.__setattr__(self, "alpha", alpha)
        object.__setattr__(self, "nbest_size", nbest_size)

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"unk_id": self.unk_id, "vocab": self.vocab, "byte_fallback": self.byte_fallback}

    def _files(self) -> dict[str, str]:
        return {"unigram.json": json.dumps(self.to_json(), ensure_ascii=False, indent=2)}


_KINDS: dict[str, type[Model]] = {
    cls.type_name: cls for cls in (BPE, WordPiece, WordLevel, Unigram)
}


def from_json(value: Mapping[str, Any]) -> Model:
    """Returns the description of an object of tokenizer.json, as a tokenizer writes it."""
    fields = {key: part for key, part in value.items() if key != "type"}
    return _KINDS[value["type"]](**fields)


READERS["model"] = from_json
