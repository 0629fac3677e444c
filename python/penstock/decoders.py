"""Descriptions of decoders, which turn tokens back into text.

Example:
    >>> from penstock import decoders
    >>> decoders.WordPiece().decode(["un", "##believ", "##able", "!"])
    'unbelievable!'
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from penstock import _native
from penstock._components import (
    READERS,
    ByteLevelFields,
    Component,
    Pattern,
    of_stage,
    one_of,
    parts_to_json,
    pattern_from_json,
    pattern_to_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock._tokenizer import Tokenizer


class DecodeStream:
    """Decodes ids as they come, with the tokenizer given at every step, as in the reference.

    Args:
        ids: Ids that came before and are not to be given out.
        skip_special_tokens: Leave special tokens out.
    """

    __slots__ = ("_state",)

    def __init__(self, ids: Any = None, skip_special_tokens: bool = False) -> None:
        self._state = _native.DecodeStream(ids, skip_special_tokens)

    def step(self, tokenizer: Tokenizer, id: int | list[int]) -> str | None:
        """Takes the next id or ids; returns the text they complete, or None."""
        ids = [id] if isinstance(id, int) else id
        return self._state.step_with(tokenizer._native, ids)

    def __copy__(self) -> DecodeStream:
        """A stream that goes on by itself."""
        stream = DecodeStream()
        stream._state = copy.copy(self._state)
        return stream

    def __deepcopy__(self, memo: dict[int, Any]) -> DecodeStream:
        """The same as a copy."""
        return self.__copy__()


@dataclass(frozen=True, repr=False)
class Decoder(Component):
    """Base of all decoders."""

    stage: ClassVar[str] = "decoder"

    def decode(self, tokens: list[str]) -> str:
        """Returns the text of tokens."""
        return self._native.decode(tokens)


@dataclass(frozen=True, repr=False)
class Sequence(Decoder):
    """Several decoders, one after the other."""

    type_name: ClassVar[str] = "Sequence"
    decoders: tuple[Decoder, ...]

    def __init__(self, decoders: Iterable[Decoder]) -> None:
        object.__setattr__(self, "decoders", of_stage("decoder", decoders))

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"decoders": parts_to_json(self.decoders)}

    def __len__(self) -> int:
        """Number of parts."""
        return len(self.decoders)

    def __getitem__(self, index: int) -> Decoder:
        """One of the parts."""
        return self.decoders[index]


@dataclass(frozen=True, repr=False, init=False)
class ByteLevel(ByteLevelFields, Decoder):
    """Printable characters back to bytes. The fields are those of the object in the file."""


@dataclass(frozen=True, repr=False)
class WordPiece(Decoder):
    """A space before every token that does not continue a word.

    Args:
        prefix: What marks a token that does.
        cleanup: Take spaces before punctuation and English contractions out again.
    """

    type_name: ClassVar[str] = "WordPiece"
    prefix: str = "##"
    cleanup: bool = True

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"prefix": self.prefix, "cleanup": self.cleanup}


@dataclass(frozen=True, repr=False)
class Metaspace(Decoder):
    """A visible character back to spaces.

    Args:
        replacement: The character.
        prepend_scheme: Unless `never`, the first token loses its own.
        split: Of no effect here; the object in the file has it.
    """

    type_name: ClassVar[str] = "Metaspace"
    replacement: str = "▁"
    prepend_scheme: Literal["always", "never", "first"] = "always"
    split: bool = True

    def __post_init__(self) -> None:
        """Checks that the replacement is one character, and the scheme."""
        if len(self.replacement) != 1:
            raise ValueError(
                f"replacement: expected a string of length 1, not {self.replacement!r}"
            )
        one_of("prepend_scheme", self.prepend_scheme, ("always", "never", "first"))

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {
            "replacement": self.replacement,
            "prepend_scheme": self.prepend_scheme,
            "split": self.split,
        }


@dataclass(frozen=True, repr=False)
class BPEDecoder(Decoder):
    """The suffix that ends a word back to a space."""

    type_name: ClassVar[str] = "BPEDecoder"
    suffix: str = "</w>"

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"suffix": self.suffix}


@dataclass(frozen=True, repr=False)
class CTC(Decoder):
    """The output of a speech model, one token a frame.

    Args:
        pad_token: The blank, which vanishes.
        word_delimiter_token: What stands for a space.
        cleanup: Turn the delimiter into a space, and clean up as `WordPiece` does.
    """

    type_name: ClassVar[str] = "CTC"
    pad_token: str = "<pad>"  # noqa: S105
    word_delimiter_token: str = "|"  # noqa: S105
    cleanup: bool = True

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {
            "pad_token": self.pad_token,
            "word_delimiter_token": self.word_delimiter_token,
            "cleanup": self.cleanup,
        }


@dataclass(frozen=True, repr=False)
class Fuse(Decoder):
    """All tokens become one."""

    type_name: ClassVar[str] = "Fuse"


@dataclass(frozen=True, repr=False)
class ByteFallback(Decoder):
    """Tokens like `<0x0A>` back to bytes."""

    type_name: ClassVar[str] = "ByteFallback"


@dataclass(frozen=True, repr=False)
class Strip(Decoder):
    """Takes a character off both ends of every token.

    Args:
        content: The character.
        left: At most so many times at the start.
        right: At most so many times at the end.
    """

    type_name: ClassVar[str] = "Strip"
    content: str = " "
    left: int = 0
    right: int = 0

    def __post_init__(self) -> None:
        """Checks that the content is one character."""
        if len(self.content) != 1:
            raise ValueError(f"content: expected a string of length 1, not {self.content!r}")

    @property
    def start(self) -> int:
        """The reference's name of `left` once the decoder is made."""
        return self.left

    @property
    def stop(self) -> int:
        """The reference's name of `right` once the decoder is made."""
        return self.right

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"content": self.content, "start": self.left, "stop": self.right}


@dataclass(frozen=True, repr=False)
class Replace(Decoder):
    """Replaces a pattern in every token.

    Args:
        pattern: A str, taken literally, or a `Regex`.
        content: What takes its place.
    """

    type_name: ClassVar[str] = "Replace"
    pattern: Pattern
    content: str

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"pattern": pattern_to_json(self.pattern), "content": self.content}


_BY_FIELDS: dict[str, type[Decoder]] = {
    cls.type_name: cls
    for cls in (ByteLevel, WordPiece, Metaspace, BPEDecoder, CTC, Fuse, ByteFallback)
}


def from_json(value: Mapping[str, Any]) -> Decoder:
    """Returns the description of an object of tokenizer.json, as a tokenizer writes it."""
    name = value["type"]
    fields = {key: field for key, field in value.items() if key != "type"}
    if name in _BY_FIELDS:
        return _BY_FIELDS[name](**fields)
    if name == "Sequence":
        return Sequence(from_json(part) for part in fields["decoders"])
    if name == "Strip":
        return Strip(fields["content"], fields["start"], fields["stop"])
    if name == "Replace":
        return Replace(pattern_from_json(fields["pattern"]), fields["content"])
    raise ValueError(f"no decoder has the type {name!r}")


READERS["decoder"] = from_json
