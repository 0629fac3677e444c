"""Descriptions of normalizers, which rewrite a text before it is split.

Example:
    >>> from penstock import normalizers
    >>> normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]).normalize_str("é")
    'e'
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from penstock._components import (
    READERS,
    Component,
    Pattern,
    flattened,
    parts_to_json,
    pattern_from_json,
    pattern_to_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, repr=False)
class Normalizer(Component):
    """Base of all normalizers."""

    stage: ClassVar[str] = "normalizer"

    def normalize_str(self, sequence: str) -> str:
        """Returns the text as this normalizer makes it."""
        return self._native.normalize(sequence)


@dataclass(frozen=True, repr=False)
class Sequence(Normalizer):
    """Several normalizers, one after the other."""

    type_name: ClassVar[str] = "Sequence"
    normalizers: tuple[Normalizer, ...]

    def __init__(self, normalizers: Iterable[Normalizer]) -> None:
        object.__setattr__(self, "normalizers", flattened(normalizers, Sequence, "normalizers"))

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"normalizers": parts_to_json(self.normalizers)}

    def __len__(self) -> int:
        """Number of parts."""
        return len(self.normalizers)

    def __getitem__(self, index: int) -> Normalizer:
        """One of the parts."""
        return self.normalizers[index]


@dataclass(frozen=True, repr=False)
class BertNormalizer(Normalizer):
    """What BERT does to a text.

    Args:
        clean_text: Drop control characters, and make every blank a space.
        handle_chinese_chars: Put spaces around Chinese characters.
        strip_accents: Drop accents; by default, if `lowercase`.
        lowercase: Make everything lowercase.
    """

    type_name: ClassVar[str] = "BertNormalizer"
    clean_text: bool = True
    handle_chinese_chars: bool = True
    strip_accents: bool | None = None
    lowercase: bool = True

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {
            "clean_text": self.clean_text,
            "handle_chinese_chars": self.handle_chinese_chars,
            "strip_accents": self.strip_accents,
            "lowercase": self.lowercase,
        }


@dataclass(frozen=True, repr=False)
class NFC(Normalizer):
    """Canonical composition."""

    type_name: ClassVar[str] = "NFC"


@dataclass(frozen=True, repr=False)
class NFD(Normalizer):
    """Canonical decomposition."""

    type_name: ClassVar[str] = "NFD"


@dataclass(frozen=True, repr=False)
class NFKC(Normalizer):
    """Compatibility composition."""

    type_name: ClassVar[str] = "NFKC"


@dataclass(frozen=True, repr=False)
class NFKD(Normalizer):
    """Compatibility decomposition."""

    type_name: ClassVar[str] = "NFKD"


@dataclass(frozen=True, repr=False)
class Lowercase(Normalizer):
    """Lowercase, character by character."""

    type_name: ClassVar[str] = "Lowercase"


@dataclass(frozen=True, repr=False)
class Nmt(Normalizer):
    """SentencePiece's cleaning for machine translation."""

    type_name: ClassVar[str] = "Nmt"


@dataclass(frozen=True, repr=False)
class ByteLevel(Normalizer):
    """Bytes as printable characters."""

    type_name: ClassVar[str] = "ByteLevel"


@dataclass(frozen=True, repr=False)
class StripAccents(Normalizer):
    """Drops combining marks."""

    type_name: ClassVar[str] = "StripAccents"


@dataclass(frozen=True, repr=False)
class Strip(Normalizer):
    """Drops blanks at the ends.

    Args:
        left: At the start.
        right: At the end.
    """

    type_name: ClassVar[str] = "Strip"
    left: bool = True
    right: bool = True

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"strip_left": self.left, "strip_right": self.right}


@dataclass(frozen=True, repr=False)
class Prepend(Normalizer):
    """Puts a string before every text that is not empty."""

    type_name: ClassVar[str] = "Prepend"
    prepend: str = "▁"

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"prepend": self.prepend}


@dataclass(frozen=True, repr=False)
class Replace(Normalizer):
    """Replaces a pattern.

    Args:
        pattern: A str, taken literally, or a `Regex`.
        content: What takes its place.
    """

    type_name: ClassVar[str] = "Replace"
    pattern: Pattern
    content: str

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"pattern": pattern_to_json(self.pattern), "content": self.content}


@dataclass(frozen=True, repr=False)
class Precompiled(Normalizer):
    """The charsmap of a SentencePiece model, as bytes."""

    type_name: ClassVar[str] = "Precompiled"
    precompiled_charsmap: bytes

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"precompiled_charsmap": base64.b64encode(self.precompiled_charsmap).decode()}


_PLAIN: dict[str, type[Normalizer]] = {
    cls.type_name: cls for cls in (NFC, NFD, NFKC, NFKD, Lowercase, Nmt, ByteLevel, StripAccents)
}


def from_json(value: Mapping[str, Any]) -> Normalizer:
    """Returns the description of an object of tokenizer.json, as a tokenizer writes it."""
    name = value["type"]
    if name in _PLAIN:
        return _PLAIN[name]()
    fields = {key: field for key, field in value.items() if key != "type"}
    if name == "Sequence":
        return Sequence(from_json(part) for part in fields["normalizers"])
    if name == "BertNormalizer":
        return BertNormalizer(**fields)
    if name == "Strip":
        return Strip(fields["strip_left"], fields["strip_right"])
    if name == "Prepend":
        return Prepend(fields["prepend"])
    if name == "Replace":
        return Replace(pattern_from_json(fields["pattern"]), fields["content"])
    if name == "Precompiled":
        return Precompiled(base64.b64decode(fields["precompiled_charsmap"]))
    raise ValueError(f"no normalizer has the type {name!r}")


READERS["normalizer"] = from_json

NORMALIZERS: dict[str, type[Normalizer]] = {"nfc": NFC, "nfd": NFD, "nfkc": NFKC, "nfkd": NFKD}
"""The Unicode normal forms by name."""


def unicode_normalizer_from_str(normalizer: str) -> Normalizer:
    """Returns the Unicode normal form of a name, such as `nfkc`.

    Raises:
        ValueError: There is no such form.
    """
    if normalizer not in NORMALIZERS:
        raise ValueError(f"{normalizer!r} is none of {', '.join(NORMALIZERS)}")
    return NORMALIZERS[normalizer]()
