"""The calls of a tokenizer of transformers that `bench_transformers.py` times.

A call has what it is made with, new for every round, and what is done with that: the tokenizer that
runs it may be anybody's.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SHORT = 90
"""Characters of about 20 tokens of English."""

LONG = 2300
"""Of about 512."""


class Text:
    """Pieces of a text, each given out once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def take(self, count: int, size: int) -> list[str]:
        """`count` new pieces of `size` characters."""
        end = self.place + count * size
        if end > len(self.text):
            raise SystemExit("the corpora are too small for this many rounds")
        pieces = [self.text[start : start + size] for start in range(self.place, end, size)]
        self.place = end
        return pieces


@dataclass(frozen=True)
class Call:
    """A call, or many alike."""

    name: str
    make: Callable[[Text, Any], Any]
    """What it is made with, of new text and a stock tokenizer."""
    run: Callable[[Any, Any], Any]
    """A tokenizer and that to a result, every part of which is made."""
    many: bool = True
    """One call for each item of what they are made with."""

    def count(self, made: Any) -> int:
        """Number of calls."""
        return len(made) if self.many else 1


def _texts(count: int, size: int) -> Callable[[Text, Any], list[str]]:
    return lambda text, _: text.take(count, size)


def _batches(count: int, rows: int, size: int) -> Callable[[Text, Any], list[list[str]]]:
    return lambda text, _: [text.take(rows, size) for _ in range(count)]


def _rows(count: int, size: int) -> Callable[[Text, Any], list[list[int]]]:
    """Rows of ids."""
    return lambda text, stock: stock(text.take(count, size))["input_ids"]


def _row_batches(count: int, rows: int) -> Callable[[Text, Any], list[list[list[int]]]]:
    return lambda text, stock: [stock(text.take(rows, SHORT))["input_ids"] for _ in range(count)]


def _tensors(text: Text, stock: Any) -> list[Any]:
    import torch

    return [torch.tensor(row) for row in _rows(500, SHORT)(text, stock)]


def _tokens(text: Text, stock: Any) -> list[list[str]]:
    return [stock.convert_ids_to_tokens(row) for row in _rows(500, SHORT)(text, stock)]


def _features(text: Text, stock: Any) -> list[dict[str, list[int]]]:
    return [{"input_ids": row} for row in _rows(100, LONG)(text, stock)]


def _ids(**options: Any) -> Callable[[Any, Any], list[Any]]:
    """The ids of one text or batch after the other."""
    return lambda tokenizer, texts: [tokenizer(one, **options)["input_ids"] for one in texts]


def _each(method: str, **options: Any) -> Callable[[Any, Any], list[Any]]:
    """A method with one row after the other."""
    return lambda tokenizer, rows: [getattr(tokenizer, method)(row, **options) for row in rows]


def _whole(**options: Any) -> Callable[[Any, Any], dict[str, Any]]:
    """All columns of one batch."""
    return lambda tokenizer, batch: dict(tokenizer(batch, **options))


_CUT = {"truncation": True, "max_length": 512}
_PADDED = {"padding": True, "truncation": True, "max_length": 1024, "return_tensors": "pt"}
_FILLED = {"padding": "max_length", "truncation": True, "max_length": 64, "return_tensors": "pt"}

CALLS = [
    Call("batch 1000x512, tensors", _texts(1000, LONG), _whole(**_PADDED), many=False),
    Call("batch 1000x512, lists", _texts(1000, LONG), _whole(), many=False),
    Call("batch 1000x20, tensors", _texts(1000, SHORT), _whole(**_PADDED), many=False),
    Call("batch 1000x20, lists", _texts(1000, SHORT), _whole(), many=False),
    Call("batch 8x512, tensors", _batches(8, 8, LONG), _ids(**_PADDED)),
    Call("batch 8x512, lists", _batches(8, 8, LONG), _ids()),
    Call("batch 8x20, tensors", _batches(60, 8, SHORT), _ids(**_PADDED)),
    Call("batch 8x20, tensors, filled up", _batches(60, 8, SHORT), _ids(**_FILLED)),
    Call("batch 8x20, lists", _batches(60, 8, SHORT), _ids()),
    Call("batch 8x20, lists, cut", _batches(60, 8, SHORT), _ids(**_CUT)),
    Call("batch 8x20, lists, padded", _batches(60, 8, SHORT), _ids(padding=True)),
    Call("single 512 tokens", _texts(40, LONG), _ids()),
    Call("single 20 tokens", _texts(1000, SHORT), _ids()),
    Call("single 20 tokens, cut", _texts(500, SHORT), _ids(**_CUT)),
    Call("single 20 tokens, tensors", _texts(500, SHORT), _ids(return_tensors="pt")),
    Call("single 20 tokens, filled up", _texts(500, SHORT), _ids(**_FILLED)),
    Call("encode 512 tokens", _texts(40, LONG), _each("encode")),
    Call("encode 20 tokens", _texts(500, SHORT), _each("encode")),
    Call("tokenize 20 tokens", _texts(500, SHORT), _each("tokenize")),
    Call("decode 20 tokens", _rows(500, SHORT), _each("decode")),
    Call(
        "decode 20 tokens, no special ones",
        _rows(500, SHORT),
        _each("decode", skip_special_tokens=True),
    ),
    Call("decode 20 tokens, a tensor", _tensors, _each("decode")),
    Call("batch_decode 8x20", _row_batches(60, 8), _each("batch_decode")),
    Call(
        "batch_decode 100x512", _rows(100, LONG), lambda t, rows: t.batch_decode(rows), many=False
    ),
    Call("convert_ids_to_tokens 20", _rows(500, SHORT), _each("convert_ids_to_tokens")),
    Call("convert_tokens_to_ids 20", _tokens, _each("convert_tokens_to_ids")),
    Call("convert_tokens_to_string 20", _tokens, _each("convert_tokens_to_string")),
    Call(
        "pad 100x512, tensors",
        _features,
        lambda t, rows: dict(t.pad(copy.copy(rows), return_tensors="pt")),
        many=False,
    ),
    Call("get_vocab", lambda text, stock: None, lambda t, _: t.get_vocab(), many=False),
]
"""From what takes most text to what takes none."""
