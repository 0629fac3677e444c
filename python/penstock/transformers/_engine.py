"""Text to ids on the engine: `_encode_plus` and `tokenize`.

Each replacement runs natively what the core covers and otherwise calls the method it replaces; the
backend counts both. Whatever the native path refuses, bad input too, goes to the original, so
errors are the original's own.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from transformers.tokenization_utils_base import BatchEncoding, TruncationStrategy
from transformers.utils.generic import PaddingStrategy

from penstock.errors import TruncationError
from penstock.transformers._batch import (
    TENSORS,
    Encodings,
    as_tensors,
    make_batch,
    make_lazy_batch,
    whole,
)
from penstock.transformers._slot import REFUSED, UnsupportedError, engine_for, in_stock, is_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock import Encoding, _native
    from penstock.transformers._backend import Padding, Truncation

_DO_NOT_PAD = PaddingStrategy.DO_NOT_PAD
_DO_NOT_TRUNCATE = TruncationStrategy.DO_NOT_TRUNCATE
_MAX_LENGTH = PaddingStrategy.MAX_LENGTH


class Wanted(NamedTuple):
    """Which columns a result has besides its ids; the order is that of `encode_padded`."""

    mask: bool
    types: bool
    special_mask: bool
    offsets: bool


@dataclass(slots=True)
class Request:
    """One call of `_encode_plus`, its options translated."""

    tokenizer: Any
    native: _native.Tokenizer
    inputs: list[Any]
    firsts: Any
    seconds: Any
    batched: bool
    words: bool
    special: bool
    truncation: Truncation | None
    padding: Padding | None
    overflow: bool
    wanted: Wanted
    length: bool
    max_length: int | None
    verbose: bool

    @property
    def n_sequences(self) -> int:
        """Texts in a row."""
        return 1 if self.seconds is None else 2

    def matrices(self, padding: Padding | None, wanted: Wanted) -> dict[str, Any]:
        """The columns as the core writes them, one row for each text."""
        return self.native.encode_padded(
            self.firsts,
            self.seconds,
            self.words,
            self.special,
            self.truncation,
            padding,
            "int64",
            wanted,
            self.overflow,
        )

    def encodings(self) -> list[Encoding]:
        """The encodings, one for each text, followed by its overflowing parts if asked for."""
        native = self.native
        if self.truncation is not None or native.truncation is not None:
            native = native.with_truncation(self.truncation)
        if self.padding is not None or native.padding is not None:
            native = native.with_padding(self.padding)
        encodings = native.encode_batch(self.inputs, self.words, self.special)
        if self.overflow:
            return [part for first in encodings for part in (first, *first.overflowing)]
        return encodings

    def warn(self, lengths: Sequence[int]) -> None:
        """Says, once, that rows are longer than the model takes, unless the caller set a length."""
        if self.max_length is None:
            _warn(self.tokenizer, lengths, self.verbose)


def _is_text(value: Any) -> bool:
    """True for what transformers accepts as text: str, or lists that start with one, three deep."""
    for _ in range(3):
        if isinstance(value, str):
            return True
        if not isinstance(value, (list, tuple)):
            return False
        if not value:
            return True
        value = value[0]
    return isinstance(value, str)


def _inputs(text: Any, text_pair: Any, words: bool) -> tuple[list[Any], Any, Any, bool]:
    """The batch for `encode_batch`, the same as first and second texts, and whether it is one.

    The second texts are None without pairs, and the first ones None where rows differ in form.
    """
    if not _is_text(text) or (text_pair is not None and not _is_text(text_pair)):
        raise UnsupportedError("not text")
    if not isinstance(words, (bool, np.bool_)):
        raise UnsupportedError("is_split_into_words is no boolean")
    if words:
        batched = isinstance(text, (list, tuple)) and text and isinstance(text[0], (list, tuple))
    else:
        batched = isinstance(text, (list, tuple))
    if not batched:
        if text_pair:
            return [(text, text_pair)], [text], [text_pair], False
        return [text], [text], None, False
    if isinstance(text_pair, str) or (text_pair is not None and len(text) != len(text_pair)):
        raise UnsupportedError("pairs do not match texts")
    if not text:
        raise UnsupportedError("empty batch")
    if text_pair is not None:
        return list(zip(text, text_pair, strict=True)), list(text), list(text_pair), True
    if words:
        nested = [
            isinstance(row, (list, tuple)) and bool(row) and not isinstance(row[0], str)
            for row in text
        ]
        if not any(nested) and all(isinstance(row, (list, tuple)) for row in text):
            split = [list(row) for row in text]
            return split, split, None, True
        return list(text), None, None, True
    rows: list[Any] = list(text)
    if isinstance(rows[0], str):
        return rows, rows, None, True
    if all(isinstance(row, (list, tuple)) and len(row) == 2 for row in rows):
        return rows, [row[0] for row in rows], [row[1] for row in rows], True
    return rows, None, None, True


def truncation_of(
    tokenizer: Any, strategy: TruncationStrategy, max_length: int | None, stride: int
) -> Truncation | None:
    """The truncation of a call; None to leave texts whole."""
    if strategy == _DO_NOT_TRUNCATE:
        return None
    if max_length is None:
        raise UnsupportedError("truncation without a length")
    return (max_length, stride, strategy.value, tokenizer.truncation_side)


def padding_of(
    tokenizer: Any,
    strategy: PaddingStrategy,
    max_length: int | None,
    side: str | None,
    multiple: int | None,
) -> Padding | None:
    """The padding of a call; None to leave rows at their own length."""
    if strategy == _DO_NOT_PAD:
        return None
    return (
        max_length if strategy == _MAX_LENGTH else None,
        side if side is not None else tokenizer.padding_side,
        multiple,
        tokenizer.pad_token_id,
        tokenizer.pad_token_type_id,
        tokenizer.pad_token,
    )


def make_encode_plus(original: Callable[..., BatchEncoding]) -> Callable[..., BatchEncoding]:
    @functools.wraps(original)
    def _encode_plus(
        self: Any,
        text: Any,
        text_pair: Any = None,
        add_special_tokens: bool = True,
        padding_strategy: PaddingStrategy = _DO_NOT_PAD,
        truncation_strategy: TruncationStrategy = _DO_NOT_TRUNCATE,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: Any = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        split_special_tokens: bool | None = None,
        **kwargs: Any,
    ) -> BatchEncoding:
        backend = engine_for(self)
        why = ""
        if backend is not None:
            split = (
                self.split_special_tokens if split_special_tokens is None else split_special_tokens
            )
            native = backend.variant(split_special_tokens=split)
            if native is None:
                why = backend.reason or "not compiled"
            elif kwargs.get("sanitize_control_tokens"):
                why = "sanitize_control_tokens"
            else:
                try:
                    inputs, firsts, seconds, batched = _inputs(text, text_pair, is_split_into_words)
                    truncation = truncation_of(self, truncation_strategy, max_length, stride)
                    if truncation is not None and stride:
                        native.with_truncation(truncation)  # refuses a stride as stock does
                    padding = padding_of(
                        self, padding_strategy, max_length, padding_side, pad_to_multiple_of
                    )
                    names = self.model_input_names
                    wanted = Wanted(
                        "attention_mask" in names
                        if return_attention_mask is None
                        else return_attention_mask,
                        "token_type_ids" in names
                        if return_token_type_ids is None
                        else return_token_type_ids,
                        return_special_tokens_mask,
                        return_offsets_mapping,
                    )
                    request = Request(
                        self,
                        native,
                        inputs,
                        firsts,
                        seconds,
                        batched,
                        is_split_into_words,
                        add_special_tokens,
                        truncation,
                        padding,
                        bool(return_overflowing_tokens),
                        wanted,
                        return_length,
                        max_length,
                        verbose,
                    )
                    result = _run(request, return_tensors)
                    backend.remember(truncation, padding, split_special_tokens=split)
                    backend.count("encode")
                    return result
                except REFUSED as error:
                    why = f"{type(error).__name__}: {error}"
        arguments = {
            "text": text,
            "text_pair": text_pair,
            "add_special_tokens": add_special_tokens,
            "padding_strategy": padding_strategy,
            "truncation_strategy": truncation_strategy,
            "max_length": max_length,
            "stride": stride,
            "is_split_into_words": is_split_into_words,
            "pad_to_multiple_of": pad_to_multiple_of,
            "padding_side": padding_side,
            "return_tensors": return_tensors,
            "return_token_type_ids": return_token_type_ids,
            "return_attention_mask": return_attention_mask,
            "return_overflowing_tokens": return_overflowing_tokens,
            "return_special_tokens_mask": return_special_tokens_mask,
            "return_offsets_mapping": return_offsets_mapping,
            "return_length": return_length,
            "verbose": verbose,
            "split_special_tokens": split_special_tokens,
            **kwargs,
        }
        if backend is None:
            return original(self, **arguments)
        with in_stock(backend, "encode", why):
            return original(self, **arguments)

    return _encode_plus


def _run(request: Request, return_tensors: Any) -> BatchEncoding:
    kind = TENSORS.get(return_tensors) if return_tensors is not None else None
    if kind is not None and request.firsts is not None:
        try:
            return _tensors(request, kind)
        except TruncationError:
            pass  # rows differ in length: the general path says so as stock does
    if (
        return_tensors is None
        and request.firsts is not None
        and not (request.words or request.overflow or request.wanted.offsets)
    ):
        return _lists(request)
    return _general(request, return_tensors)


def _tensors(request: Request, kind: str) -> BatchEncoding:
    """Arrays as the core wrote them."""
    arrays = request.matrices(request.padding, request.wanted)
    rows, width = arrays["input_ids"].shape
    request.warn([width])
    if request.length or request.wanted.offsets:
        samples = arrays.pop("overflow_to_sample_mapping", None)
        if request.wanted.offsets and not width:
            arrays["offset_mapping"] = arrays["offset_mapping"].reshape(rows, 0)
        if request.length:
            arrays["length"] = np.full(rows, width, np.int64)
        if samples is not None:
            arrays["overflow_to_sample_mapping"] = samples
    data = as_tensors(arrays) if kind == "pt" else arrays
    return make_batch(data, Encodings(request.encodings), request.n_sequences)


def _lists(request: Request) -> BatchEncoding:
    """Lists, made of the core's rows."""
    wanted = request.wanted
    rows = request.native.encode_lists(
        request.firsts,
        request.seconds,
        request.words,
        request.special,
        request.truncation,
        request.padding,
        (wanted.mask, wanted.types, wanted.special_mask, request.length),
    )
    request.warn(rows.lengths())
    encodings = Encodings(request.encodings)
    if request.batched:
        return make_lazy_batch(rows, encodings, request.n_sequences)
    data = {
        name: column[0] if name != "length" else column for name, column in rows.lists().items()
    }
    return make_batch(data, encodings, request.n_sequences)


def _general(request: Request, return_tensors: Any) -> BatchEncoding:
    """Every option, by way of encodings."""
    wanted = request.wanted
    overflow, request.overflow = request.overflow, False
    firsts = request.encodings()
    parts = [[first, *first.overflowing] if overflow else [first] for first in firsts]
    encodings = [part for row in parts for part in row]
    data: dict[str, Any] = {"input_ids": [encoding.ids for encoding in encodings]}
    if wanted.types:
        data["token_type_ids"] = [encoding.type_ids for encoding in encodings]
    if wanted.mask:
        data["attention_mask"] = [encoding.attention_mask for encoding in encodings]
    if wanted.special_mask:
        data["special_tokens_mask"] = [encoding.special_tokens_mask for encoding in encodings]
    if wanted.offsets:
        data["offset_mapping"] = [encoding.offsets for encoding in encodings]
    if request.length:
        data["length"] = [len(encoding) for encoding in encodings]
    if overflow:
        data["overflow_to_sample_mapping"] = [index for index, row in enumerate(parts) for _ in row]
    request.warn([len(ids) for ids in data["input_ids"]])
    if return_tensors is not None:
        stand_in: Any = encodings
        return BatchEncoding(data, stand_in, tensor_type=return_tensors)
    if not request.batched and not overflow:
        data = {
            name: value[0] if value and isinstance(value[0], list) else value
            for name, value in data.items()
        }
    return make_batch(data, encodings, encodings[0].n_sequences)


def _warn(tokenizer: Any, lengths: Sequence[int], verbose: bool) -> None:
    limit = tokenizer.model_max_length
    if max(lengths) > limit:
        for length in lengths:
            if length > limit:
                tokenizer._eventual_warn_about_too_long_sequence(range(length), None, verbose)


def make_tokenize(original: Callable[..., list[str]]) -> Callable[..., list[str]]:
    @functools.wraps(original)
    def tokenize(
        self: Any,
        text: Any,
        pair: Any = None,
        add_special_tokens: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        if type(text) is str and not kwargs and is_ours(self, "_encode_plus"):
            backend = engine_for(self)
            native = None
            if backend is not None:
                split = self.split_special_tokens
                native = backend.variant(split_special_tokens=split)
            if backend is not None and native is not None and (not pair or type(pair) is str):
                try:
                    texts = [(text, pair) if pair else text]
                    encoding = whole(native).encode_batch(texts, False, add_special_tokens)[0]
                    _warn(self, [len(encoding)], True)
                except REFUSED:
                    pass  # the original path counts it and says why
                else:
                    backend.remember(None, None, split_special_tokens=split)
                    backend.count("tokenize")
                    return encoding.tokens
        return original(self, text, pair, add_special_tokens, **kwargs)

    return tokenize
