"""Descriptions of pre-tokenizers, which cut a text into the pieces that the model sees.

Example:
    >>> from penstock import pre_tokenizers
    >>> pre_tokenizers.Whitespace().pre_tokenize_str("so it is")
    [('so', (0, 2)), ('it', (3, 5)), ('is', (6, 8))]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from penstock._components import (
    READERS,
    ByteLevelFields,
    Component,
    Pattern,
    camel,
    flattened,
    one_of,
    parts_to_json,
    pattern_from_json,
    pattern_to_json,
    snake,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Behavior = Literal["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
PrependScheme = Literal["always", "never", "first"]


@dataclass(frozen=True, repr=False)
class PreTokenizer(Component):
    """Base of all pre-tokenizers."""

    stage: ClassVar[str] = "pre_tokenizer"

    def pre_tokenize_str(self, sequence: str) -> list[tuple[str, tuple[int, int]]]:
        """Returns the pieces of a text, each with the characters that it stands for."""
        return self._native.pre_tokenize(sequence)


@dataclass(frozen=True, repr=False)
class Sequence(PreTokenizer):
    """Several pre-tokenizers, each on the pieces of the one before."""

    type_name: ClassVar[str] = "Sequence"
    pretokenizers: tuple[PreTokenizer, ...]

    def __init__(self, pretokenizers: Iterable[PreTokenizer]) -> None:
        parts = flattened(pretokenizers, Sequence, "pretokenizers")
        object.__setattr__(self, "pretokenizers", parts)

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"pretokenizers": parts_to_json(self.pretokenizers)}

    def __len__(self) -> int:
        """Number of parts."""
        return len(self.pretokenizers)

    def __getitem__(self, index: int) -> PreTokenizer:
        """One of the parts."""
        return self.pretokenizers[index]


@dataclass(frozen=True, repr=False, init=False)
class ByteLevel(ByteLevelFields, PreTokenizer):
    """Bytes as printable characters, split as GPT-2 does.

    Args:
        add_prefix_space: Put a space before a text that does not begin with one.
        trim_offsets: Of no effect here; the object in the file has it.
        use_regex: Split by GPT-2's pattern.
        ignored: Other fields of the object in the file, such as its type.
    """

    @staticmethod
    def alphabet() -> list[str]:
        """Returns the 256 characters that stand for bytes."""
        printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        return sorted(map(chr, [*printable, *range(0x100, 0x200 - len(printable))]))


@dataclass(frozen=True, repr=False)
class Whitespace(PreTokenizer):
    r"""Splits by `\w+|[^\w\s]+`; blanks are dropped."""

    type_name: ClassVar[str] = "Whitespace"


@dataclass(frozen=True, repr=False)
class WhitespaceSplit(PreTokenizer):
    """Splits at blanks, which are dropped."""

    type_name: ClassVar[str] = "WhitespaceSplit"


@dataclass(frozen=True, repr=False)
class BertPreTokenizer(PreTokenizer):
    """Splits at blanks, which are dropped, and at punctuation."""

    type_name: ClassVar[str] = "BertPreTokenizer"


@dataclass(frozen=True, repr=False)
class UnicodeScripts(PreTokenizer):
    """Splits where the script changes."""

    type_name: ClassVar[str] = "UnicodeScripts"


@dataclass(frozen=True, repr=False)
class CharDelimiterSplit(PreTokenizer):
    """Splits at a character, which is dropped."""

    type_name: ClassVar[str] = "CharDelimiterSplit"
    delimiter: str

    def __post_init__(self) -> None:
        """Checks that the delimiter is one character."""
        if len(self.delimiter) != 1:
            raise ValueError(f"delimiter: expected a string of length 1, not {self.delimiter!r}")

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"delimiter": self.delimiter}


@dataclass(frozen=True, repr=False)
class Split(PreTokenizer):
    """Splits at a pattern.

    Args:
        pattern: A str, taken literally, or a `Regex`.
        behavior: What becomes of the matches.
        invert: Take what lies between the matches for the matches.
    """

    type_name: ClassVar[str] = "Split"
    pattern: Pattern
    behavior: Behavior
    invert: bool = False

    def __post_init__(self) -> None:
        """Checks the behavior."""
        one_of("behavior", self.behavior, get_args(Behavior))

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {
            "pattern": pattern_to_json(self.pattern),
            "behavior": camel(self.behavior),
            "invert": self.invert,
        }


@dataclass(frozen=True, repr=False)
class Punctuation(PreTokenizer):
    """Splits at punctuation."""

    type_name: ClassVar[str] = "Punctuation"
    behavior: Behavior = "isolated"

    def __post_init__(self) -> None:
        """Checks the behavior."""
        one_of("behavior", self.behavior, get_args(Behavior))

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"behavior": camel(self.behavior)}


@dataclass(frozen=True, repr=False)
class Digits(PreTokenizer):
    """Splits numbers off, or each digit."""

    type_name: ClassVar[str] = "Digits"
    individual_digits: bool = False

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"individual_digits": self.individual_digits}


@dataclass(frozen=True, repr=False)
class Metaspace(PreTokenizer):
    """Spaces as a visible character.

    Args:
        replacement: The character.
        prepend_scheme: Which texts get one in front.
        split: Cut before each.
    """

    type_name: ClassVar[str] = "Metaspace"
    replacement: str = "▁"
    prepend_scheme: PrependScheme = "always"
    split: bool = True

    def __post_init__(self) -> None:
        """Checks that the replacement is one character, and the scheme."""
        if len(self.replacement) != 1:
            raise ValueError(
                f"replacement: expected a string of length 1, not {self.replacement!r}"
            )
        one_of("prepend_scheme", self.prepend_scheme, get_args(PrependScheme))

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {
            "replacement": self.replacement,
            "prepend_scheme": self.prepend_scheme,
            "split": self.split,
        }


@dataclass(frozen=True, repr=False)
class FixedLength(PreTokenizer):
    """Pieces of so many characters."""

    type_name: ClassVar[str] = "FixedLength"
    length: int = 5

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"length": self.length}


_BY_FIELDS: dict[str, type[PreTokenizer]] = {
    cls.type_name: cls
    for cls in (
        ByteLevel,
        Whitespace,
        WhitespaceSplit,
        BertPreTokenizer,
        UnicodeScripts,
        CharDelimiterSplit,
        Digits,
        Metaspace,
        FixedLength,
    )
}


def from_json(value: Mapping[str, Any]) -> PreTokenizer:
    """Returns the description of an object of tokenizer.json, as a tokenizer writes it."""
    name = value["type"]
    fields = {key: field for key, field in value.items() if key != "type"}
    if name in _BY_FIELDS:
        return _BY_FIELDS[name](**fields)
    if name == "Sequence":
        return Sequence(from_json(part) for part in fields["pretokenizers"])
    if name == "Split":
        pattern, behavior = pattern_from_json(fields["pattern"]), snake(fields["behavior"])
        return Split(pattern, behavior, fields["invert"])  # type: ignore[arg-type]
    if name == "Punctuation":
        return Punctuation(snake(fields["behavior"]))  # type: ignore[arg-type]
    raise ValueError(f"no pre-tokenizer has the type {name!r}")


READERS["pre_tokenizer"] = from_json
