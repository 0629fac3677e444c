"""Descriptions of post-processors, which put special tokens around encoded texts.

Example:
    >>> from penstock import processors
    >>> template = processors.TemplateProcessing(
    ...     single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    ... )
    >>> template.num_special_tokens_to_add(is_pair=False)
    2
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from penstock._components import READERS, ByteLevelFields, Component, flattened, parts_to_json

if TYPE_CHECKING:
    from penstock._native import Encoding


@dataclass(frozen=True, repr=False)
class PostProcessor(Component):
    """Base of all post-processors."""

    stage: ClassVar[str] = "post_processor"

    def num_special_tokens_to_add(self, is_pair: bool) -> int:
        """Returns how many tokens are added to a text or to a pair."""
        return self._native.num_special_tokens_to_add(is_pair)

    def process(
        self, encoding: Encoding, pair: Encoding | None = None, add_special_tokens: bool = True
    ) -> Encoding:
        """Finishes the encoding of a text or of a pair."""
        return self._native.process(encoding, pair, add_special_tokens)


@dataclass(frozen=True, repr=False)
class Sequence(PostProcessor):
    """Several post-processors, one after the other."""

    type_name: ClassVar[str] = "Sequence"
    processors: tuple[PostProcessor, ...]

    def __init__(self, processors: Iterable[PostProcessor]) -> None:
        object.__setattr__(self, "processors", flattened(processors, Sequence, "processors"))

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"processors": parts_to_json(self.processors)}

    def __len__(self) -> int:
        """Number of parts."""
        return len(self.processors)

    def __getitem__(self, index: int) -> PostProcessor:
        """One of the parts."""
        return self.processors[index]


@dataclass(frozen=True, repr=False, init=False)
class ByteLevel(ByteLevelFields, PostProcessor):
    """Takes the blanks that tokens begin and end with out of their offsets.

    Args:
        add_prefix_space: The pre-tokenizer may have put a space before the text.
        trim_offsets: Do anything at all.
        use_regex: Of no effect here; the object in the file has it.
        ignored: Other fields of the object in the file, such as its type.

    None stands for the default, True.
    """

    def __init__(
        self,
        add_prefix_space: bool | None = None,
        trim_offsets: bool | None = None,
        use_regex: bool | None = None,
        **ignored: Any,  # noqa: ARG002
    ) -> None:
        super().__init__(
            add_prefix_space is not False, trim_offsets is not False, use_regex is not False
        )


def _token(name: str, value: Any) -> tuple[str, int]:
    """A token and its id, as a tuple.

    Raises:
        TypeError: It is something else.
    """
    match value:
        case (str(token), int(number)) if not isinstance(number, bool):
            return token, number
    raise TypeError(f"{name} must be a token and its id, not {value!r}")


@dataclass(frozen=True, repr=False)
class BertProcessing(PostProcessor):
    """`[CLS] A [SEP]`, or `[CLS] A [SEP] B [SEP]`.

    Args:
        sep: The separator and its id.
        cls_token: The token that opens the first text, and its id.
    """

    type_name: ClassVar[str] = "BertProcessing"
    sep: tuple[str, int]
    cls: tuple[str, int]

    def __init__(self, sep: tuple[str, int], cls_token: tuple[str, int]) -> None:
        object.__setattr__(self, "sep", _token("sep", sep))
        object.__setattr__(self, "cls", _token("cls_token", cls_token))

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {"sep": list(self.sep), "cls": list(self.cls)}


@dataclass(frozen=True, repr=False)
class RobertaProcessing(PostProcessor):
    """`<s> A </s>`, or `<s> A </s> </s> B </s>`.

    Args:
        sep: The separator and its id.
        cls_token: The token that opens the first text, and its id.
        trim_offsets: Take blanks out of the offsets first.
        add_prefix_space: The pre-tokenizer may have put a space before the text.
    """

    type_name: ClassVar[str] = "RobertaProcessing"
    sep: tuple[str, int]
    cls: tuple[str, int]
    trim_offsets: bool = True
    add_prefix_space: bool = True

    def __init__(
        self,
        sep: tuple[str, int],
        cls_token: tuple[str, int],
        trim_offsets: bool = True,
        add_prefix_space: bool = True,
    ) -> None:
        object.__setattr__(self, "sep", _token("sep", sep))
        object.__setattr__(self, "cls", _token("cls_token", cls_token))
        object.__setattr__(self, "trim_offsets", trim_offsets)
        object.__setattr__(self, "add_prefix_space", add_prefix_space)

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {
            "sep": list(self.sep),
            "cls": list(self.cls),
            "trim_offsets": self.trim_offsets,
            "add_prefix_space": self.add_prefix_space,
        }


@dataclass(frozen=True)
class Piece:
    """A part of a template: a text (`$A`, `$B`) or a special token, with its type id."""

    id: str
    type_id: int = 0

    @classmethod
    def parse(cls, text: str) -> Piece:
        """Reads `$A`, `$B`, `$1`, `[CLS]`, each with `:type_id` or without.

        Raises:
            ValueError: It is none of these.
        """
        name, *rest = text.split(":")
        try:
            (type_id,) = map(int, rest) if rest else (0,)
            if type_id < 0 or not name.startswith("$"):
                piece = cls(name, type_id)
            elif name in ("$", "$A", "$a"):
                piece = cls("$A", type_id)
            elif name in ("$B", "$b"):
                piece = cls("$B", type_id)
            else:
                piece = cls("$A", type_id if rest else int(name[1:]))
        except ValueError:
            piece = cls(name, -1)
        if piece.type_id < 0:
            raise ValueError(f"Cannot build Piece from string {text!r}")
        return piece

    def to_json(self) -> dict[str, Any]:
        """Returns the object of tokenizer.json."""
        if self.id in ("$A", "$B"):
            return {"Sequence": {"id": self.id[1:], "type_id": self.type_id}}
        return {"SpecialToken": {"id": self.id, "type_id": self.type_id}}

    def __str__(self) -> str:
        """As `parse` reads it."""
        return f"{self.id}:{self.type_id}"


@dataclass(frozen=True)
class SpecialToken:
    """What a special token of a template stands for: one token or several."""

    id: str
    ids: tuple[int, ...]
    tokens: tuple[str, ...]

    @classmethod
    def of(cls, value: SpecialToken | tuple[Any, Any] | Mapping[str, Any]) -> SpecialToken:
        """Reads a token and its id in either order, or the object of tokenizer.json."""
        if isinstance(value, SpecialToken):
            return value
        if isinstance(value, Mapping):
            return cls(value["id"], tuple(value["ids"]), tuple(value["tokens"]))
        token, number = value if isinstance(value[0], str) else value[::-1]
        return cls(token, (number,), (token,))

    def to_json(self) -> dict[str, Any]:
        """Returns the object of tokenizer.json."""
        return {"id": self.id, "ids": list(self.ids), "tokens": list(self.tokens)}


@dataclass(frozen=True, repr=False)
class TemplateProcessing(PostProcessor):
    """Special tokens by a template for a text and one for a pair.

    Args:
        single: The template of a text: pieces in one str, parted by spaces, or a list of them.
        pair: The template of a pair.
        special_tokens: What stands for each special token: `(token, id)`, or an object with `id`,
            `ids` and `tokens`.

    Raises:
        ValueError: A piece cannot be read, or a special token is not declared.
    """

    type_name: ClassVar[str] = "TemplateProcessing"
    single: tuple[Piece, ...]
    pair: tuple[Piece, ...]
    special_tokens: tuple[SpecialToken, ...]

    def __init__(
        self,
        single: str | Iterable[str | Piece] | None = None,
        pair: str | Iterable[str | Piece] | None = None,
        special_tokens: Iterable[Any] | None = None,
    ) -> None:
        def pieces(template: str | Iterable[str | Piece]) -> tuple[Piece, ...]:
            parts = template.split(" ") if isinstance(template, str) else template
            return tuple(Piece.parse(part) if isinstance(part, str) else part for part in parts)

        object.__setattr__(self, "single", pieces("$A:0" if single is None else single))
        object.__setattr__(self, "pair", pieces("$A:0 $B:1" if pair is None else pair))
        tokens = {token.id: token for token in map(SpecialToken.of, special_tokens or ())}
        object.__setattr__(
            self, "special_tokens", tuple(token for _, token in sorted(tokens.items()))
        )
        used = [piece.id for piece in (*self.single, *self.pair)]
        missing = sorted({name for name in used if name not in ("$A", "$B", *tokens)})
        if missing:
            raise ValueError(f"Missing SpecialToken(s) with id(s) `{', '.join(missing)}`")
        if not {"$A", "$B"} <= {piece.id for piece in self.pair}:
            raise ValueError("Template for `pair` must use both sequences")

    def fields(self) -> dict[str, Any]:  # noqa: D102
        return {
            "single": [piece.to_json() for piece in self.single],
            "pair": [piece.to_json() for piece in self.pair],
            "special_tokens": {token.id: token.to_json() for token in self.special_tokens},
        }


def _template(fields: Mapping[str, Any]) -> TemplateProcessing:
    def piece(value: Mapping[str, Any]) -> Piece:
        ((kind, piece),) = value.items()
        name = f"${piece['id']}" if kind == "Sequence" else piece["id"]
        return Piece(name, piece["type_id"])

    # What a file says may be what the constructor refuses (a pair without its second text).
    template = object.__new__(TemplateProcessing)
    object.__setattr__(template, "single", tuple(map(piece, fields["single"])))
    object.__setattr__(template, "pair", tuple(map(piece, fields["pair"])))
    tokens = map(SpecialToken.of, fields["special_tokens"].values())
    object.__setattr__(template, "special_tokens", tuple(tokens))
    return template


def from_json(value: Mapping[str, Any]) -> PostProcessor:
    """Returns the description of an object of tokenizer.json, as a tokenizer writes it."""
    name = value["type"]
    fields = {key: field for key, field in value.items() if key != "type"}
    if name == "ByteLevel":
        return ByteLevel(**fields)
    if name == "Sequence":
        return Sequence(from_json(part) for part in fields["processors"])
    if name == "TemplateProcessing":
        return _template(fields)
    if name in ("BertProcessing", "RobertaProcessing"):
        named = {"cls_token" if key == "cls" else key: field for key, field in fields.items()}
        return (BertProcessing if name == "BertProcessing" else RobertaProcessing)(**named)
    raise ValueError(f"no post-processor has the type {name!r}")


READERS["post_processor"] = from_json
