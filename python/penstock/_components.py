"""What the descriptions of components have in common.

A description is a small frozen dataclass with the constructor arguments of the reference's class of
the same name. It holds data only: `to_json` gives the object of tokenizer.json, and a tokenizer
runs what it was compiled to.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from penstock import _native
from penstock._repr import REPR, STR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


@dataclass(frozen=True)
class Regex:
    """A regular expression in Oniguruma's syntax, where a plain str would be taken literally.

    Raises:
        RegexError: The pattern does not compile.
    """

    pattern: str

    def __post_init__(self) -> None:
        """Compiles the pattern, to fail early."""
        config = {"type": "Replace", "pattern": {"Regex": self.pattern}, "content": ""}
        _native.Component("normalizer", json.dumps(config))


Pattern = str | Regex


@dataclass(frozen=True, repr=False)
class Component:
    """A component of a tokenizer, as data."""

    stage: ClassVar[str]
    type_name: ClassVar[str]

    def fields(self) -> dict[str, Any]:
        """Returns the fields of the object in tokenizer.json, without its type."""
        return {}

    def to_json(self) -> dict[str, Any]:
        """Returns the object of tokenizer.json."""
        return {"type": self.type_name, **self.fields()}

    @property
    def _native(self) -> _native.Component:
        return compiled(self.stage, json.dumps(self.to_json()))

    def __repr__(self) -> str:
        """A constructor call, in the reference's form."""
        return REPR.value(self.to_json())

    def __str__(self) -> str:
        """The same, with long parts left out."""
        return STR.value(self.to_json())

    def __getstate__(self) -> bytes:
        """The object of tokenizer.json, which is what the reference's pickles hold too."""
        return json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":")).encode()

    def __setstate__(self, state: bytes) -> None:
        """Takes over what `__getstate__` gave."""
        self.__dict__.update(READERS[self.stage](json.loads(state)).__dict__)

    def __copy__(self) -> Any:
        """The same object, which never changes."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """The same object, which never changes."""
        return self


@dataclass(frozen=True, repr=False)
class ByteLevelFields(Component):
    """What every stage's `ByteLevel` holds, whether the stage looks at it or not.

    Args:
        add_prefix_space: Put a space before a text that does not begin with one.
        trim_offsets: Take blanks out of the offsets.
        use_regex: Split by GPT-2's pattern.
        ignored: Other fields of the object in the file, such as its type.
    """

    type_name: ClassVar[str] = "ByteLevel"
    add_prefix_space: bool = True
    trim_offsets: bool = True
    use_regex: bool = True

    def __init__(
        self,
        add_prefix_space: bool = True,
        trim_offsets: bool = True,
        use_regex: bool = True,
        **ignored: Any,  # noqa: ARG002
    ) -> None:
        object.__setattr__(self, "add_prefix_space", add_prefix_space)
        object.__setattr__(self, "trim_offsets", trim_offsets)
        object.__setattr__(self, "use_regex", use_regex)

    def fields(self) -> dict[str, Any]:
        return {
            "add_prefix_space": self.add_prefix_space,
            "trim_offsets": self.trim_offsets,
            "use_regex": self.use_regex,
        }


Kind = TypeVar("Kind", bound=Component)

READERS: dict[str, Callable[[Mapping[str, Any]], Component]] = {}
"""For each stage, the function that makes a description of the object of tokenizer.json."""


def flattened(parts: Iterable[Kind], kind: type[Kind], field: str) -> tuple[Kind, ...]:
    """The parts of a sequence; a sequence among them gives its own, as in the reference."""
    flat: list[Kind] = []
    for part in of_stage(kind.stage, parts):
        flat += getattr(part, field) if isinstance(part, kind) else (part,)
    return tuple(flat)


def of_stage(stage: str, parts: Iterable[Kind]) -> tuple[Kind, ...]:
    """The parts as a tuple.

    Raises:
        TypeError: One of them is no component of the stage.
    """
    found = tuple(parts)
    for part in found:
        if not isinstance(part, Component) or part.stage != stage:
            raise TypeError(f"{stage} must be one of penstock's, not {type(part).__name__}")
    return found


def one_of(name: str, value: str, values: tuple[str, ...]) -> None:
    """Raises `ValueError` for a value that an option cannot have."""
    if value not in values:
        raise ValueError(f"{name} must be one of {', '.join(values)}, not {value!r}")


@functools.lru_cache(maxsize=64)
def compiled(stage: str, text: str) -> _native.Component:
    """Returns the native component of a description."""
    return _native.Component(stage, text)


def parts_to_json(parts: Sequence[Component]) -> list[dict[str, Any]]:
    """The parts of a sequence as objects."""
    return [part.to_json() for part in parts]


def pattern_to_json(pattern: Pattern) -> dict[str, str]:
    """A pattern as an object."""
    return {"Regex": pattern.pattern} if isinstance(pattern, Regex) else {"String": pattern}


def pattern_from_json(value: Mapping[str, str]) -> Pattern:
    """A pattern from its object."""
    return Regex(value["Regex"]) if "Regex" in value else value["String"]


def snake(name: str) -> str:
    """`MergedWithNext` as `merged_with_next`.

    >>> snake("MergedWithNext")
    'merged_with_next'
    """
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)[1:]


def camel(name: str) -> str:
    """`merged_with_next` as `MergedWithNext`.

    >>> camel("merged_with_next")
    'MergedWithNext'
    """
    return "".join(word.capitalize() for word in name.split("_"))
