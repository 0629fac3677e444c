"""Calls with one text, a list of texts or one row of ids: what servers make most, each in one step.

`_native.OneText` does them. What it leaves to others goes on to the general methods: options that
few use, and tokenizers whose backend is in other hands or whose class puts something in between.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch
from transformers.tokenization_utils_base import LARGE_INTEGER, BatchEncoding
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from penstock import _native
from penstock.transformers._batch import make_lazy_batch
from penstock.transformers._slot import REFUSED, engine_for, is_ours

if TYPE_CHECKING:
    from collections.abc import Callable

plain: set[type] = set()
"""Classes whose tokenizers keep the options of a call as plain attributes."""

unclean: set[type] = set()
"""Classes of which stock has said that their model's text is not cleaned up."""

_OPTIONS = (
    "split_special_tokens", "model_max_length", "model_input_names", "truncation_side",
    "padding_side", "clean_up_tokenization_spaces", "_special_tokens_map",
    "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output",
)  # fmt: skip

_ON_THE_WAY = (
    "_get_padding_truncation_strategies", "convert_tokens_to_ids", "__getattr__",
    "_convert_token_to_id_with_added_voc",
)  # fmt: skip
"""What a call with one text goes through in stock."""


def _one_text() -> _native.OneText:
    """The calls, for the methods that stand in the class."""
    own = TokenizersBackend.__dict__
    return _native.OneText(
        own["_encode_plus"], own["_decode"], plain, unclean, torch.from_numpy, LARGE_INTEGER
    )


def is_plain(tokenizer: Any) -> bool:
    """True if nothing but our own methods stands between a call and the engine."""
    cls: Any = type(tokenizer)
    return is_ours(tokenizer, "_encode_plus") and _goes_straight(cls)


@functools.cache
def _goes_straight(cls: Any) -> bool:
    return not hasattr(cls, "_switch_to_input_mode") and all(
        getattr(cls, name) is getattr(TokenizersBackend, name) for name in _ON_THE_WAY
    )


def _prepared(tokenizer: Any) -> _native.Tokenizer | None:
    """The native tokenizer of a call; None if more than our own methods stands before it."""
    backend = engine_for(tokenizer)
    if backend is None or not is_plain(tokenizer):
        return None
    _note_plain(type(tokenizer))
    return backend.variant(split_special_tokens=tokenizer.split_special_tokens)


def _note_plain(cls: Any) -> None:
    kept = (getattr(cls, name, None) for name in _OPTIONS)
    if _goes_straight(cls) and not any(hasattr(type(value), "__get__") for value in kept):
        plain.add(cls)


def make_call(original: Callable[..., BatchEncoding]) -> Callable[..., BatchEncoding]:
    """Replaces `__call__`."""
    encode, batch = _one_text().encode, BatchEncoding
    new: Any = batch.__new__

    @functools.wraps(original)
    def call(self: Any, text: Any = None, *args: Any, **kwargs: Any) -> BatchEncoding:
        if (type(text) is str or type(text) is list) and not args:
            try:
                found: Any = encode(self, text, kwargs)
                if found is None and (native := _prepared(self)) is not None:
                    found = encode(self, text, kwargs, native)
            except REFUSED:
                found = None  # the original path counts it and says why
            if found:
                columns, encodings = found
                if type(columns) is _native.LazyLists:
                    return make_lazy_batch(columns, encodings, 1)
                # As `make_batch`, without the call.
                made = new(batch)
                made.data = columns
                made._encodings = encodings
                made._n_sequences = 1
                result: BatchEncoding = made
                return result
        return original(self, text, *args, **kwargs)

    return call


def make_encode(original: Callable[..., Any]) -> Callable[..., Any]:
    """Replaces `encode`."""
    ids_of = _one_text().ids

    @functools.wraps(original)
    def encode(self: Any, text: Any, *args: Any, **kwargs: Any) -> Any:
        if type(text) is str and not args:
            try:
                found = ids_of(self, text, kwargs)
                if found is None and (native := _prepared(self)) is not None:
                    found = ids_of(self, text, kwargs, native)
            except REFUSED:
                found = None  # the original path counts it and says why
            if found is not None and found is not False:
                return found
        return original(self, text, *args, **kwargs)

    return encode


def make_decode(original: Callable[..., Any]) -> Callable[..., Any]:
    """Replaces `decode`, whose general replacement is `original`."""
    decode_one = _one_text().decode

    @functools.wraps(original)
    def decode(
        self: Any, token_ids: Any, skip_special_tokens: bool = False, **kwargs: Any
    ) -> str | list[str]:
        if type(skip_special_tokens) is bool and not kwargs:
            try:
                text = decode_one(self, token_ids, skip_special_tokens)
            except REFUSED:
                text = None  # the general way says why
            if text is not None:
                return text
            if type(self) not in plain:
                _note_plain(type(self))
        found: str | list[str] = original(self, token_ids, skip_special_tokens, **kwargs)
        return found

    return decode
