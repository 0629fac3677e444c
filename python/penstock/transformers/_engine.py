"""The methods of a tokenizer on the engine: `__call__`, encode, decode and what they stand on.

Each replacement runs natively what the core covers and otherwise calls the method it replaces; the
backend counts both. Whatever the native path refuses, bad input too, goes to the original, so
errors are the original's own.
"""

from __future__ import annotations

import functools
import threading
import weakref
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerBase
from transformers.tokenization_utils_base import BatchEncoding, TruncationStrategy
from transformers.tokenization_utils_tokenizers import TokenizersBackend
from transformers.tokenization_utils_tokenizers import logger as stock_logger
from transformers.utils.generic import PaddingStrategy, TensorType

from penstock import _native
from penstock.errors import PenstockError, TruncationError
from penstock.transformers import _patch
from penstock.transformers._backend import Backend, Padding, Truncation, copy_of_token
from penstock.transformers._batch import (
    Data,
    Encodings,
    Matrices,
    Rows,
    as_tensors,
    make_batch,
    make_copy,
    make_lazy_batch,
    settle,
    whole,
)
from penstock.transformers._frames import ATTRIBUTES
from penstock.transformers._pad import pad_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from penstock import Encoding
    from penstock.transformers._frames import Frame

REFUSED = (PenstockError, TypeError, ValueError, OverflowError)
"""What the native path raises for input that it does not take."""

_DO_NOT_PAD = PaddingStrategy.DO_NOT_PAD
_DO_NOT_TRUNCATE = TruncationStrategy.DO_NOT_TRUNCATE
_MAX_LENGTH = PaddingStrategy.MAX_LENGTH
_TENSORS = {"pt": "pt", "np": "np", TensorType.PYTORCH: "pt", TensorType.NUMPY: "np"}

WASTE = 4
"""A batch whose rows would fill less than a fourth of their matrix is encoded row by row."""


class UnsupportedError(ValueError):
    """The native path does not take this call."""


# --- which engine a tokenizer has


class _State:
    installed = False
    encode_plus: Any = None
    """What stands in the class while the replacements are in place."""
    encode_one: Any = None
    """`tokenizer(text)` for the classes in `_plain`; None from it means the way through Python."""


thread_state = threading.local()


def _set_installed(value: bool) -> None:
    _State.installed = value
    if not value:
        settle()
        _detach_the_unwrapped()


def engine_for(tokenizer: Any) -> Backend | None:
    """The tokenizer's backend; while installed, every tokenizer gets one."""
    slot = tokenizer.__dict__.get("_tokenizer")
    if type(slot) is Backend:
        return slot
    if _State.installed and slot is not None and runs_in_stock(type(tokenizer)) is None:
        return attach(tokenizer, exposed=True, wrapped=False)
    return None


def attach(tokenizer: Any, *, exposed: bool, wrapped: bool) -> Backend:
    """Puts a backend around the tokenizer's stock one, unless it has one."""
    slot = tokenizer.__dict__["_tokenizer"]
    if type(slot) is not Backend:
        slot = Backend(None, slot, exposed=exposed)
        tokenizer.__dict__["_tokenizer"] = slot
    note(tokenizer, wrapped=wrapped)
    return slot


_wrapped: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_unwrapped: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


def note(tokenizer: Any, *, wrapped: bool) -> None:
    """Remembers who has a backend: a wrapped one keeps it after `uninstall`."""
    if wrapped:
        _unwrapped.pop(id(tokenizer), None)
        _wrapped[id(tokenizer)] = tokenizer
    elif id(tokenizer) not in _wrapped:
        _unwrapped[id(tokenizer)] = tokenizer


def is_wrapped(tokenizer: Any) -> bool:
    """True for a tokenizer of `wrap` or `AutoTokenizer`, and for a copy of one."""
    return (
        type(tokenizer.__dict__.get("_tokenizer")) is Backend
        and _unwrapped.get(id(tokenizer)) is not tokenizer
    )


def is_installed() -> bool:
    """True between `install` and `uninstall`."""
    return _State.installed


def _detach_the_unwrapped() -> None:
    for tokenizer in list(_unwrapped.values()):
        slot = tokenizer.__dict__.get("_tokenizer")
        if type(slot) is Backend:
            slot.give(tokenizer.__dict__)
            tokenizer.__dict__["_tokenizer"] = slot.real()
    _unwrapped.clear()


_OWN_ENCODING = ("_encode_plus", "_batch_encode_plus", "_encode_plus_boxes", "_pad")


def runs_in_stock(cls: type) -> str | None:
    """Why the whole class keeps the stock engine, if it does."""
    known: Any = cls
    return _runs_in_stock(known)


@functools.cache
def _runs_in_stock(cls: Any) -> str | None:
    for base in cls.__mro__:
        if base is TokenizersBackend:
            return None
        own = [name for name in _OWN_ENCODING if name in base.__dict__]
        if own and "_batch_encode_plus" in own:
            return f"{base.__name__} has its own {', '.join(own)}"
        if base.__name__.startswith("RoFormerTokenizer"):
            return f"{base.__name__} pre-tokenizes in Python"
    return f"{cls.__name__} is not built on the tokenizers library"


# --- the stock path


@contextmanager
def in_stock(backend: Backend, what: str, why: str) -> Iterator[None]:
    """Lets the original method run on the stock tokenizer, one thread at a time.

    Stock keeps truncation and padding on the tokenizer between two calls, so two threads with
    different lengths would get each other's.
    """
    backend.count_fallback(what, why)
    with backend._lock, _seen_as(backend, backend.real()):
        yield


def _seen_as(backend: Backend, stand_in: Any) -> AbstractContextManager[None]:
    """Lets this thread find `stand_in` in `_tokenizer`, without the backend noting an escape."""
    return held("inside", (backend, stand_in))


def framed(frame: Frame) -> AbstractContextManager[None]:
    """Lets a class build its backend around the frame's stand-in, in this thread."""
    return held("frame", frame)


@contextmanager
def held(name: str, value: Any) -> Iterator[None]:
    """Gives `thread_state` a value for this thread, and then the one before."""
    before = getattr(thread_state, name, None)
    setattr(thread_state, name, value)
    try:
        yield
    finally:
        setattr(thread_state, name, before)


class TokensById(dict[int, AddedToken]):
    """Added tokens on their way into a constructor, which copies them deeply: here in no time."""

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[int, AddedToken]:
        """A plain dictionary with tokens of its own."""
        return {index: copy_of_token(token) for index, token in self.items()}


def _make_convert(original: Any) -> Any:
    convert: Callable[..., dict[str, Any]] = original.__func__

    @functools.wraps(convert)
    def convert_to_native_format(cls: Any, /, **kwargs: Any) -> Any:
        frame: Frame | None = getattr(thread_state, "frame", None)
        found = convert(cls, **kwargs) if frame is None else frame.arguments(kwargs)
        tokens = found.get("added_tokens_decoder")
        if type(tokens) is dict and all(type(token) is AddedToken for token in tokens.values()):
            found["added_tokens_decoder"] = TokensById(tokens)
        return found

    return classmethod(convert_to_native_format)


def _make_getattr(original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def missing(self: Any, key: str) -> Any:
        if key in ATTRIBUTES:
            slot = self.__dict__.get("_tokenizer")
            if type(slot) is Backend:
                slot.give(self.__dict__, [key])
                if key in self.__dict__:
                    return self.__dict__[key]
        return original(self, key)

    return missing


class TokenizerSlot:
    """`_tokenizer`: hands out the stock tokenizer, and lets the backend know that it did."""

    def __get__(self, tokenizer: Any, owner: type | None = None) -> Any:
        """The stock tokenizer; while the tokenizer is built, the backend that stands for it."""
        if tokenizer is None:
            return None
        slot = tokenizer.__dict__.get("_tokenizer")
        if type(slot) is not Backend:
            return slot
        if slot._building:
            return slot
        inside = getattr(thread_state, "inside", None)
        if inside is not None and inside[0] is slot:
            return inside[1]
        try:
            return slot.expose()
        except AttributeError as error:
            # transformers would take it for a missing attribute and return this descriptor
            raise RuntimeError(f"the stock tokenizer cannot be built: {error}") from error

    def __set__(self, tokenizer: Any, value: Any) -> None:
        """A new backend; the tokenizer keeps its engine, which compiles it on the next call."""
        old = tokenizer.__dict__.get("_tokenizer")
        if value is old:
            return
        if type(old) is Backend:
            old.give(tokenizer.__dict__)
        frame = getattr(thread_state, "frame", None)
        if frame is not None and frame.takes(value):
            value = Backend(building=True, frame=frame)
        elif type(old) is Backend and value is not None and type(value) is not Backend:
            value = Backend(None, value, exposed=True)
        tokenizer.__dict__["_tokenizer"] = value

    def __delete__(self, tokenizer: Any) -> None:
        """Takes the backend away."""
        del tokenizer.__dict__["_tokenizer"]


# --- text to ids


@dataclass(slots=True)
class Request:
    """One call of `_encode_plus`, its options translated."""

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


def _make_encode_plus(original: Callable[..., BatchEncoding]) -> Callable[..., BatchEncoding]:
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
                    request = Request(
                        native,
                        inputs,
                        firsts,
                        seconds,
                        batched,
                        bool(is_split_into_words),
                        bool(add_special_tokens),
                        truncation,
                        padding,
                        bool(return_overflowing_tokens),
                    )
                    result = _run(
                        self,
                        request,
                        return_tensors,
                        "attention_mask" in names
                        if return_attention_mask is None
                        else return_attention_mask,
                        "token_type_ids" in names
                        if return_token_type_ids is None
                        else return_token_type_ids,
                        return_special_tokens_mask,
                        return_offsets_mapping,
                        return_length,
                        max_length,
                        verbose,
                    )
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

    _State.encode_plus = _encode_plus
    _State.encode_one = _native.OneText(BatchEncoding, Backend, _encode_plus, _plain).encode
    return _encode_plus


def _run(
    tokenizer: Any,
    request: Request,
    return_tensors: Any,
    mask: bool,
    types: bool,
    special_mask: bool,
    offsets: bool,
    length: bool,
    max_length: int | None,
    verbose: bool,
) -> BatchEncoding:
    kind = _TENSORS.get(return_tensors) if return_tensors is not None else None
    if kind is not None and request.firsts is not None:
        try:
            return _tensors(
                tokenizer, request, kind, mask, types, special_mask, offsets, length, max_length,
                verbose,
            )  # fmt: skip
        except TruncationError:
            pass  # rows differ in length: the general path says so as stock does
    if (
        return_tensors is None
        and request.firsts is not None
        and not (request.words or request.overflow or offsets)
        and _fills_its_matrix(request)
    ):
        return _lists(tokenizer, request, mask, types, special_mask, length, max_length, verbose)
    return _general(
        tokenizer, request, return_tensors, mask, types, special_mask, offsets, length, max_length,
        verbose,
    )  # fmt: skip


def _matrices(
    request: Request, mask: bool, types: bool, special_mask: bool, offsets: bool
) -> dict[str, Any]:
    return request.native.encode_padded(
        request.firsts,
        request.seconds,
        request.words,
        request.special,
        request.truncation,
        request.padding,
        "int64",
        (mask, types, special_mask, offsets),
        request.overflow,
    )


def _tensors(
    tokenizer: Any,
    request: Request,
    kind: str,
    mask: bool,
    types: bool,
    special_mask: bool,
    offsets: bool,
    length: bool,
    max_length: int | None,
    verbose: bool,
) -> BatchEncoding:
    """Arrays as the core wrote them."""
    arrays = _matrices(request, mask, types, special_mask, offsets)
    rows, width = arrays["input_ids"].shape
    if max_length is None and width > tokenizer.model_max_length:
        tokenizer._eventual_warn_about_too_long_sequence(range(width), max_length, verbose)
    if length or offsets:
        samples = arrays.pop("overflow_to_sample_mapping", None)
        if offsets and not width:
            arrays["offset_mapping"] = arrays["offset_mapping"].reshape(rows, 0)
        if length:
            arrays["length"] = np.full(rows, width, np.int64)
        if samples is not None:
            arrays["overflow_to_sample_mapping"] = samples
    data = as_tensors(arrays) if kind == "pt" else arrays
    n_sequences = 1 if request.seconds is None else 2
    return make_batch(data, Encodings(request.encodings), n_sequences)


def _fills_its_matrix(request: Request) -> bool:
    """False for few long rows among many short ones, whose matrix would be mostly empty."""
    if request.padding is not None or not request.batched:
        return True
    if request.seconds is not None:
        return False
    lengths = [len(text) for text in request.firsts]
    return max(lengths) * len(lengths) <= WASTE * sum(lengths) + 65536


def _lists(
    tokenizer: Any,
    request: Request,
    mask: bool,
    types: bool,
    special_mask: bool,
    length: bool,
    max_length: int | None,
    verbose: bool,
) -> BatchEncoding:
    """Lists cut out of the core's arrays."""
    plain = not (types or special_mask or request.truncation)
    if plain and request.padding is None and request.seconds is None and request.batched:
        return _ragged_lists(tokenizer, request, mask, length, max_length, verbose)
    ragged = request.padding is None
    if ragged:
        request = _with_padding(request)
    arrays = _matrices(request, ragged or mask, types, special_mask, False)
    width = arrays["input_ids"].shape[1]
    if ragged:
        lengths = arrays["attention_mask"].sum(axis=1).tolist()
    else:
        lengths = [width] * len(request.firsts)
    _warn(tokenizer, lengths, max_length, verbose)
    names = ["input_ids"]
    if types:
        names.append("token_type_ids")
    if mask:
        names.append("attention_mask")
    if special_mask:
        names.append("special_tokens_mask")
    if ragged:
        request.padding = None
    n_sequences = 1 if request.seconds is None else 2
    rows = Matrices(
        {name: arrays[name] for name in names}, lengths if ragged else None, length=length
    )
    encodings = Encodings(request.encodings)
    if request.batched:
        return make_lazy_batch(rows, encodings, n_sequences)
    data = {
        name: column[0] if name != "length" else column for name, column in rows.lists().items()
    }
    return make_batch(data, encodings, n_sequences)


def _with_padding(request: Request) -> Request:
    request.padding = (None, "right", None, 0, 0, "")
    return request


def _ragged_lists(
    tokenizer: Any,
    request: Request,
    mask: bool,
    length: bool,
    max_length: int | None,
    verbose: bool,
) -> BatchEncoding:
    values, ends, _ = request.native.encode_ragged(request.firsts, request.special, False)
    rows = Rows(values, ends, mask=mask, length=length)
    if max_length is None and np.diff(ends).max() > tokenizer.model_max_length:
        _warn(tokenizer, rows.lengths(), max_length, verbose)
    return make_lazy_batch(rows, Encodings(request.encodings), 1)


def _general(
    tokenizer: Any,
    request: Request,
    return_tensors: Any,
    mask: bool,
    types: bool,
    special_mask: bool,
    offsets: bool,
    length: bool,
    max_length: int | None,
    verbose: bool,
) -> BatchEncoding:
    """Every option, by way of encodings."""
    overflow, request.overflow = request.overflow, False
    firsts = request.encodings()
    parts = [[first, *first.overflowing] if overflow else [first] for first in firsts]
    encodings = [part for row in parts for part in row]
    data: dict[str, Any] = {"input_ids": [encoding.ids for encoding in encodings]}
    if types:
        data["token_type_ids"] = [encoding.type_ids for encoding in encodings]
    if mask:
        data["attention_mask"] = [encoding.attention_mask for encoding in encodings]
    if special_mask:
        data["special_tokens_mask"] = [encoding.special_tokens_mask for encoding in encodings]
    if offsets:
        data["offset_mapping"] = [encoding.offsets for encoding in encodings]
    if length:
        data["length"] = [len(encoding) for encoding in encodings]
    if overflow:
        data["overflow_to_sample_mapping"] = [index for index, row in enumerate(parts) for _ in row]
    _warn(tokenizer, [len(ids) for ids in data["input_ids"]], max_length, verbose)
    if return_tensors is not None:
        stand_in: Any = encodings
        return BatchEncoding(data, stand_in, tensor_type=return_tensors)
    if not request.batched and not overflow:
        data = {
            name: value[0] if value and isinstance(value[0], list) else value
            for name, value in data.items()
        }
    return make_batch(data, encodings, encodings[0].n_sequences)


def _warn(tokenizer: Any, lengths: Sequence[int], max_length: int | None, verbose: bool) -> None:
    limit = tokenizer.model_max_length
    if max_length is None and max(lengths) > limit:
        for length in lengths:
            if length > limit:
                tokenizer._eventual_warn_about_too_long_sequence(range(length), max_length, verbose)


def _make_call(original: Callable[..., BatchEncoding]) -> Callable[..., BatchEncoding]:
    @functools.wraps(original)
    def call(self: Any, text: Any = None, *args: Any, **kwargs: Any) -> BatchEncoding:
        if type(text) is str and not args and not kwargs:
            try:
                found: BatchEncoding | None = _State.encode_one(self, text)
                if found is None:
                    found = _one_text(self, text)
            except REFUSED:
                found = None  # the original path counts it and says why
            if found is not None:
                return found
        return original(self, text, *args, **kwargs)

    return call


def is_plain(tokenizer: Any) -> bool:
    """True if nothing but our own methods stands between a call and the engine."""
    cls: Any = type(tokenizer)
    return cls._encode_plus is _State.encode_plus and not _switches_modes(cls)


@functools.cache
def _switches_modes(cls: Any) -> bool:
    return hasattr(cls, "_switch_to_input_mode")


_plain: set[type] = set()
"""Classes whose tokenizers keep the options of a call as plain attributes."""

_OPTIONS = ("split_special_tokens", "model_max_length", "model_input_names")


def _note_plain(cls: Any) -> None:
    kept = (getattr(cls, name, None) for name in _OPTIONS)
    if not any(hasattr(type(value), "__get__") for value in kept):
        _plain.add(cls)


def _one_text(tokenizer: Any, text: str) -> BatchEncoding | None:
    """`tokenizer(text)` and nothing else: the call a server makes most."""
    own = tokenizer.__dict__
    backend = own.get("_tokenizer")
    if type(backend) is not Backend:
        backend = engine_for(tokenizer)
        if backend is None:
            return None
    if not is_plain(tokenizer):
        return None
    _note_plain(type(tokenizer))
    state = backend.__dict__
    native = state["_native"]
    split = tokenizer.split_special_tokens
    if native is None or state["_exposed"] or native.encode_special_tokens is not split:
        native = backend.variant(split_special_tokens=split)
        if native is None:
            return None
    names = tokenizer.model_input_names
    data = native.encode_lists(text, "token_type_ids" in names, "attention_mask" in names)
    ids = data["input_ids"]
    if len(ids) > tokenizer.model_max_length:
        tokenizer._eventual_warn_about_too_long_sequence(ids, None, True)
    state["_truncation"] = state["_padding"] = None
    state["_split_special"] = split
    state["_texts"] += 1
    return make_batch(data, Encodings(lambda: whole(native).encode_batch([text], False, True)), 1)


def _make_tokenize(original: Callable[..., list[str]]) -> Callable[..., list[str]]:
    @functools.wraps(original)
    def tokenize(
        self: Any,
        text: Any,
        pair: Any = None,
        add_special_tokens: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        if type(text) is str and not kwargs and _is_ours(type(self), "_encode_plus"):
            backend = engine_for(self)
            native = None
            if backend is not None:
                split = self.split_special_tokens
                native = backend.variant(split_special_tokens=split)
            if backend is not None and native is not None and (not pair or type(pair) is str):
                try:
                    request = Request(
                        native, [(text, pair)] if pair else [text], None, None, False, False,
                        bool(add_special_tokens), None, None, False,
                    )  # fmt: skip
                    encoding = request.encodings()[0]
                    _warn(self, [len(encoding)], None, True)
                except REFUSED:
                    pass  # the original path counts it and says why
                else:
                    backend.remember(None, None, split_special_tokens=split)
                    backend.count("tokenize")
                    return encoding.tokens
        return original(self, text, pair, add_special_tokens, **kwargs)

    return tokenize


# --- ids to text


def _rows_of(token_ids: Any) -> tuple[Any, bool]:
    """The ids in a form that the core reads in place, and whether they are several sequences."""
    if isinstance(token_ids, torch.Tensor):
        if token_ids.is_floating_point() or token_ids.is_complex():
            raise UnsupportedError("ids are not integers")
        token_ids = token_ids.detach().cpu().numpy()
    if isinstance(token_ids, np.ndarray):
        if token_ids.dtype.kind not in "iu" or token_ids.ndim > 2:
            raise UnsupportedError("ids are not integers")
        if token_ids.ndim == 0:
            return [int(token_ids)], False
        if token_ids.ndim == 2 and not len(token_ids):
            return [], False
        return np.ascontiguousarray(token_ids), token_ids.ndim == 2
    if type(token_ids) is int:
        return [token_ids], False
    if not isinstance(token_ids, (list, tuple)):
        raise UnsupportedError("not a sequence of ids")
    if not token_ids:
        return token_ids, False
    first = token_ids[0]
    if type(first) is int:
        return token_ids, False
    if isinstance(first, torch.Tensor):
        if first.ndim == 0:
            return [int(value) for value in token_ids if _is_integer(value)], False
        rows = [_rows_of(row)[0] for row in token_ids]
        return rows, True
    if isinstance(first, np.ndarray) and first.ndim == 1:
        return [_rows_of(row)[0] for row in token_ids], True
    if isinstance(first, (list, tuple)):
        return token_ids, True
    raise UnsupportedError("not a sequence of ids")


def _is_integer(value: Any) -> bool:
    if not isinstance(value, torch.Tensor) or value.is_floating_point() or value.ndim:
        raise UnsupportedError("ids are not integers")
    return True


def _is_one_sequence(ids: Any) -> bool:
    """True for what the inner `_decode` takes: an id, or a list of them."""
    return type(ids) is int or (isinstance(ids, (list, tuple)) and (not ids or type(ids[0]) is int))


def _clean(tokenizer: Any, backend: Backend, clean_up: bool | None) -> bool:
    """True if decoded text has to be cleaned up."""
    if not (tokenizer.clean_up_tokenization_spaces if clean_up is None else clean_up):
        return False
    if (
        backend.model_name() == "BPE"
        and not tokenizer.clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output
    ):
        stock_logger.warning_once(
            f"{type(tokenizer).__name__}: clean_up_tokenization_spaces=True has no effect with a "
            "BPE model, whose text it would damage; "
            "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output=True forces it"
        )
        return False
    return True


def _make_decode(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def decode(
        self: Any, token_ids: Any, skip_special_tokens: bool = False, **kwargs: Any
    ) -> str | list[str]:
        if _is_ours(type(self), "_decode"):
            found = _decode_natively(
                self, token_ids, skip_special_tokens, kwargs.get("clean_up_tokenization_spaces")
            )
            if found is not None:
                return found
        result: str | list[str] = original(
            self, token_ids, skip_special_tokens=skip_special_tokens, **kwargs
        )
        return result

    return decode


def _decode_natively(
    tokenizer: Any, token_ids: Any, skip: bool, clean_up: bool | None
) -> str | list[str] | None:
    backend = engine_for(tokenizer)
    native = backend.native() if backend is not None else None
    if backend is None or native is None:
        return None
    try:
        ids, several = _rows_of(token_ids)
        if several:
            texts = native.decode_batch(ids, bool(skip), False)
        else:
            texts = [native.decode(ids, bool(skip), False)]
    except REFUSED:
        return None
    texts = [backend.finished(text) for text in texts]
    backend.count("decode")
    if _clean(tokenizer, backend, clean_up):
        texts = [tokenizer.clean_up_tokenization(text) for text in texts]
    return texts if several else texts[0]


def _make_decode_one(original: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(original)
    def _decode(
        self: Any,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        **kwargs: Any,
    ) -> str:
        backend = engine_for(self)
        why = ""
        if backend is not None:
            native = backend.native()
            if native is None:
                why = backend.reason or "not compiled"
            else:
                ids = token_ids
                try:
                    if isinstance(ids, dict):
                        ids = ids["input_ids"]
                    if not _is_one_sequence(ids):
                        raise UnsupportedError("not one sequence of integers")
                    if type(ids) is int:
                        ids = [ids]
                    text = backend.finished(native.decode(ids, bool(skip_special_tokens), False))
                except REFUSED as error:
                    why = f"{type(error).__name__}: {error}"
                else:
                    backend.count("decode")
                    if _clean(self, backend, clean_up_tokenization_spaces):
                        cleaned: str = self.clean_up_tokenization(text)
                        return cleaned
                    return text
        arguments = {
            "skip_special_tokens": skip_special_tokens,
            "clean_up_tokenization_spaces": clean_up_tokenization_spaces,
            **kwargs,
        }
        if backend is None:
            return original(self, token_ids, **arguments)
        with in_stock(backend, "decode", why):
            return original(self, token_ids, **arguments)

    return _decode


def _make_batch_decode(original: Callable[..., list[str]]) -> Callable[..., list[str]]:
    @functools.wraps(original)
    def batch_decode(
        self: Any,
        sequences: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        **kwargs: Any,
    ) -> list[str]:
        if _is_ours(type(self), "_decode") and _is_ours(type(self), "decode"):
            found = _decode_natively(
                self, sequences, skip_special_tokens, clean_up_tokenization_spaces
            )
            if found is not None:
                return [found] if isinstance(found, str) else found
        return original(
            self,
            sequences,
            skip_special_tokens=skip_special_tokens,
            clean_up_tokenization_spaces=clean_up_tokenization_spaces,
            **kwargs,
        )

    return batch_decode


def _make_convert_tokens_to_string(original: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(original)
    def convert_tokens_to_string(self: Any, tokens: list[str]) -> str:
        slot = self.__dict__.get("_tokenizer")
        if type(slot) is not Backend:
            return original(self, tokens)
        decoder = slot.real().decoder
        return decoder.decode(tokens) if decoder is not None else " ".join(tokens)

    return convert_tokens_to_string


# --- padding


def _make_pad(original: Callable[..., BatchEncoding]) -> Callable[..., BatchEncoding]:
    @functools.wraps(original)
    def pad(
        self: Any,
        encoded_inputs: Any,
        padding: Any = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: Any = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        if engine_for(self) is not None and type(self)._pad is PreTrainedTokenizerBase._pad:
            kind = _TENSORS.get(return_tensors) if return_tensors is not None else None
            arrays = None
            if kind is not None or return_tensors is None:
                arrays = pad_rows(
                    self,
                    encoded_inputs,
                    padding,
                    max_length,
                    pad_to_multiple_of,
                    padding_side,
                    return_attention_mask,
                    kind,
                )
            if arrays is not None:
                found, kind = arrays
                return make_batch(as_tensors(found) if kind == "pt" else found, None, None)
        return original(
            self,
            encoded_inputs,
            padding=padding,
            max_length=max_length,
            pad_to_multiple_of=pad_to_multiple_of,
            padding_side=padding_side,
            return_attention_mask=return_attention_mask,
            return_tensors=return_tensors,
            verbose=verbose,
        )

    return pad


# --- vocabulary


def _on_backend(name: str) -> Callable[[Any], Any]:
    """Asks the backend what the original asks `_tokenizer`, without building that."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        asked = _VOCABULARY[name]

        @functools.wraps(original)
        def replacement(self: Any, *args: Any, **kwargs: Any) -> Any:
            slot = self.__dict__.get("_tokenizer")
            if type(slot) is not Backend:
                return original(self, *args, **kwargs)
            return asked(self, slot, *args, **kwargs)

        return replacement

    return make


def _token_to_id(self: Any, backend: Backend, token: str) -> int | None:
    found = backend.token_to_id(token)
    if found is None:
        unknown: int | None = self.unk_token_id
        return unknown
    return found


def _ids_to_tokens(self: Any, backend: Backend, ids: Any, skip_special_tokens: bool = False) -> Any:
    if isinstance(ids, int):
        return backend.id_to_token(ids)
    skipped = set(self.all_special_ids) if skip_special_tokens else ()
    return [backend.id_to_token(index) for index in map(int, ids) if index not in skipped]


_VOCABULARY: dict[str, Callable[..., Any]] = {
    "_convert_token_to_id_with_added_voc": _token_to_id,
    "_convert_id_to_token": lambda _, backend, index: backend.id_to_token(int(index)),
    "convert_ids_to_tokens": _ids_to_tokens,
    "_add_tokens": lambda _, backend, new_tokens, special_tokens=False: (
        backend.add_special_tokens(new_tokens) if special_tokens else backend.add_tokens(new_tokens)
    ),
    "num_special_tokens_to_add": lambda _, backend, pair=False: backend.num_special_tokens_to_add(
        pair
    ),
    "get_vocab": lambda _, backend: backend.get_vocab(with_added_tokens=True),
    "__len__": lambda _, backend: backend.get_vocab_size(with_added_tokens=True),
}


def _make_vocab_size(original: property) -> property:
    def vocab_size(self: Any) -> int:
        slot = self.__dict__.get("_tokenizer")
        if type(slot) is Backend:
            return slot.get_vocab_size(with_added_tokens=False)
        return original.__get__(self)  # type: ignore[no-any-return]

    return property(vocab_size, doc=original.__doc__)


def _make_added_tokens_decoder(original: property) -> property:
    def added_tokens_decoder(self: Any) -> dict[int, Any]:
        slot = self.__dict__.get("_tokenizer")
        if type(slot) is Backend:
            return slot.get_added_tokens_decoder()
        return original.__get__(self)  # type: ignore[no-any-return]

    return property(added_tokens_decoder, doc=original.__doc__)


# --- new tokenizers from old ones


def _make_save(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _save_pretrained(self: Any, *args: Any, **kwargs: Any) -> Any:
        slot = self.__dict__.get("_tokenizer")
        if type(slot) is not Backend or slot._building:
            return original(self, *args, **kwargs)
        with _seen_as(slot, slot):  # the original calls `save` of what `_tokenizer` gives it
            return original(self, *args, **kwargs)

    return _save_pretrained


def _make_train(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def train_new_from_iterator(self: Any, *args: Any, **kwargs: Any) -> Any:
        slot = self.__dict__.get("_tokenizer")
        if type(slot) is not Backend:
            return original(self, *args, **kwargs)
        with _seen_as(slot, slot):  # the original wants the contents of tokenizer.json
            trained = original(self, *args, **kwargs)
        if is_wrapped(self) and runs_in_stock(type(trained)) is None:
            attach(trained, exposed=True, wrapped=True)
        return trained

    return train_new_from_iterator


# --- the group of replacements


def _is_ours(cls: type, name: str) -> bool:
    """True unless a model class has a method of its own instead of the replaced one."""
    return getattr(cls, name) is TokenizersBackend.__dict__.get(name)


def _replacements() -> list[_patch.Replacement]:
    from penstock.transformers._auto import make_from_pretrained

    makers: dict[str, Callable[[Any], Any]] = {
        "_tokenizer": lambda _: TokenizerSlot(),
        "_from_pretrained": make_from_pretrained,
        "convert_to_native_format": _make_convert,
        "__getattr__": _make_getattr,
        "__call__": _make_call,
        "_encode_plus": _make_encode_plus,
        "tokenize": _make_tokenize,
        "decode": _make_decode,
        "_decode": _make_decode_one,
        "batch_decode": _make_batch_decode,
        "convert_tokens_to_string": _make_convert_tokens_to_string,
        "pad": _make_pad,
        "vocab_size": _make_vocab_size,
        "added_tokens_decoder": _make_added_tokens_decoder,
        "train_new_from_iterator": _make_train,
        "_save_pretrained": _make_save,
    }
    makers |= {name: _on_backend(name) for name in _VOCABULARY}
    return [
        *(_patch.Replacement(TokenizersBackend, name, make) for name, make in makers.items()),
        _patch.Replacement(BatchEncoding, "data", lambda _: Data()),
        _patch.Replacement(BatchEncoding, "__copy__", make_copy),
    ]


group = _patch.register(_patch.Group(_replacements), on_change=_set_installed)

_WRAPPED = "wrapped tokenizers"


def keep_in_place() -> None:
    """Puts the replacements in place for tokenizers that have an engine of their own."""
    group.apply(_WRAPPED)


# --- what a caller can ask


@dataclass(frozen=True)
class EngineReport:
    """What runs natively in a tokenizer.

    Attributes:
        native: True if text is encoded and decoded by penstock.
        reason: Why not, otherwise.
        stages: Stage, component and what runs it, for a native tokenizer.
        overridden: Methods that the tokenizer's class defines itself; they run as they are, on top
            of the engine.
        calls: How often the engine ran, by operation.
        fallbacks: How often stock ran instead, by operation and reason.
        built: Why the stock tokenizer was built while this one was loaded; None if it was not. The
            engine runs all the same.
    """

    native: bool
    reason: str | None
    stages: tuple[tuple[str, str, str], ...] = ()
    overridden: tuple[str, ...] = ()
    calls: dict[str, int] = field(default_factory=dict)
    fallbacks: dict[str, int] = field(default_factory=dict)
    built: str | None = None


_HOT = ("__call__", "_encode_plus", "encode", "tokenize", "decode", "_decode", "batch_decode",
        "pad", "_pad", "_batch_encode_plus_boxes")  # fmt: skip


def engine_of(tokenizer: Any) -> EngineReport:
    """Says what runs natively in a tokenizer, and why the rest does not.

    Args:
        tokenizer: Any tokenizer of transformers.

    Example:
        >>> engine_of(tokenizer).native  # doctest: +SKIP
        True
    """
    cls = type(tokenizer)
    why = runs_in_stock(cls) if isinstance(tokenizer, TokenizersBackend) else None
    if not isinstance(tokenizer, TokenizersBackend):
        why = f"{cls.__name__} is not built on the tokenizers library"
    backend = None if why is not None else engine_for(tokenizer)
    if backend is None:
        return EngineReport(
            False, why or "the tokenizer is not wrapped, and penstock not installed"
        )
    native = backend.native()
    overridden = tuple(
        f"{base.__name__}.{name}"
        for base in cls.__mro__[: cls.__mro__.index(TokenizersBackend)]
        for name in _HOT
        if name in base.__dict__
    )
    return EngineReport(
        native is not None,
        backend.reason,
        tuple(native.description()) if native is not None else (),
        overridden,
        backend.calls(),
        dict(backend._fallbacks),
        backend._built,
    )


def wrap(tokenizer: Any) -> Any:
    """Gives an engine to a tokenizer that exists, and returns the same object.

    Its class stays what it is. A tokenizer that penstock does not cover keeps the stock engine;
    `engine_of` says why.

    Raises:
        TypeError: The argument is no tokenizer of transformers.

    Example:
        >>> tokenizer = wrap(tokenizer)  # doctest: +SKIP
    """
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise TypeError(f"not a tokenizer of transformers: {type(tokenizer).__name__}")
    if isinstance(tokenizer, TokenizersBackend) and runs_in_stock(type(tokenizer)) is None:
        keep_in_place()
        attach(tokenizer, exposed=True, wrapped=True)
    return tokenizer
