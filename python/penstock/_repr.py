"""How components and tokenizers show themselves: their tokenizer.json, as constructor calls.

The form is the reference's: `repr` shows 99 entries of a list or map, `str` five and no string of
more than 100 bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

LONG_LIST, SHORT_LIST = 99, 5
LONG_STRING = 100

_BARE = frozenset({"behavior", "prepend_scheme", "direction", "strategy"})
"""Keys whose values are names of variants, not strings."""
_TUPLES = frozenset({"sep", "cls"})
_LISTS_OF_TUPLES = frozenset({"merges", "vocab"})


@dataclass(frozen=True)
class Form:
    """How much is shown: everything but the end of long lists (`repr`), or little (`str`)."""

    entries: int
    string: int | None

    def call(self, name: str, fields: dict[str, Any]) -> str:
        """`name(key=value, ...)`."""
        shown = (f"{key}={self.field(key, value)}" for key, value in fields.items())
        return f"{name}({', '.join(shown)})"

    def field(self, key: str, value: Any) -> str:
        """The value of a field; some keys say how theirs are written."""
        if key == "dropout" and isinstance(value, float):
            # The model keeps it in 32 bits.
            return plain_float(struct.unpack("f", struct.pack("f", value))[0])
        if key in _BARE and isinstance(value, str):
            return value
        if key in _TUPLES and isinstance(value, (list, tuple)):
            return self.tuple(value)
        if key in _LISTS_OF_TUPLES and isinstance(value, (list, tuple)):
            return self.bracketed("[]", value, self.tuple)
        return self.value(value)

    def value(self, value: Any) -> str:
        """Any value of a tokenizer.json."""
        match value:
            case None | bool():
                return str(value)
            case int():
                return str(value)
            case float():
                return plain_float(value)
            case str():
                return self.string_of(value)
            case {"type": str(name), **fields}:
                return self.call(name, {str(key): field for key, field in fields.items()})
            case {"Regex": str(pattern), **rest} if not rest:
                return f"Regex({self.string_of(pattern)})"
            case {"String": str(pattern), **rest} if not rest:
                return f"String({self.string_of(pattern)})"
            case {"Fixed": int(length), **rest} if not rest:
                return f"Fixed({length})"
            case {"SpecialToken": {"id": str(name), "type_id": int(number)}}:
                return f"SpecialToken(id={self.string_of(name)}, type_id={number})"
            case {"Sequence": {"id": str(name), "type_id": int(number)}}:
                return f"Sequence(id={name}, type_id={number})"
            case {"id": str(), "ids": list(), "tokens": list(), **rest} if not rest:
                return self.call("SpecialToken", dict(value))
            case dict():
                return self.bracketed("{}", value.items(), self.entry)
            case _:
                return self.bracketed("[]", value, self.value)

    def entry(self, entry: tuple[str, Any]) -> str:
        """One entry of a map."""
        return f"{self.string_of(entry[0])}:{self.value(entry[1])}"

    def tuple(self, values: Any) -> str:
        """A pair."""
        return f"({', '.join(map(self.value, values))})"

    def bracketed(self, brackets: str, values: Any, one: Any) -> str:
        """A list or map, without its end if that is long."""
        shown: list[str] = []
        for value in values:
            if len(shown) == self.entries:
                shown.append("...")
                break
            shown.append(one(value))
        return f"{brackets[0]}{', '.join(shown)}{brackets[1]}"

    def string_of(self, text: str) -> str:
        """A string in quotes, cut if it is long."""
        data = text.encode(errors="replace")
        if self.string is None or len(data) <= self.string:
            return f'"{text}"'
        return f'"{data[: self.string].decode(errors="ignore")}..."'


REPR = Form(LONG_LIST, None)
STR = Form(SHORT_LIST, LONG_STRING)


def plain_float(value: float) -> str:
    """A float in full, never with an exponent.

    >>> plain_float(-1.5e-9)
    '-0.0000000015'
    >>> plain_float(1e21)
    '1000000000000000000000'
    """
    text = format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")
