"""Which methods of transformers' tokenizers are replaced, and by what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers.tokenization_utils_base import BatchEncoding
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from penstock.transformers import (
    _auto,
    _batch,
    _decode,
    _engine,
    _one_text,
    _pad,
    _slot,
    _vocabulary,
)
from penstock.transformers._patch import Replacement

if TYPE_CHECKING:
    from collections.abc import Callable

_MAKERS: dict[str, Callable[[Any], Any]] = {
    "_tokenizer": lambda _: _slot.TokenizerSlot(),
    "__getattr__": lambda original: _vocabulary.make_getattr(_slot.make_getattr(original)),
    "__setstate__": _slot.make_setstate,
    "_from_pretrained": _auto.make_from_pretrained,
    "convert_to_native_format": _auto.make_convert,
    "_encode_plus": _engine.make_encode_plus,
    "_decode": _decode.make_decode_one,
    # These ask for the two before them.
    "__call__": _one_text.make_call,
    "encode": _one_text.make_encode,
    "decode": lambda original: _one_text.make_decode(_decode.make_decode(original)),
    "tokenize": lambda original: _vocabulary.make_tokenize(_engine.make_tokenize(original)),
    "batch_decode": _decode.make_batch_decode,
    "convert_tokens_to_string": lambda original: _vocabulary.make_tokens_to_string(
        _decode.make_convert_tokens_to_string(original)
    ),
    "pad": _pad.make_pad,
    **_vocabulary.MAKERS,
}


def replacements() -> list[Replacement]:
    """All of them, for classes that transformers owns."""
    return [
        *(
            Replacement(TokenizersBackend, name, _vocabulary.noted(name, make))
            for name, make in _MAKERS.items()
        ),
        Replacement(BatchEncoding, "_rows", lambda _: None),
        Replacement(BatchEncoding, "data", lambda _: _batch.Data()),
        Replacement(BatchEncoding, "__getitem__", _batch.make_getitem),
        Replacement(BatchEncoding, "__getattr__", _batch.make_getattr),
        Replacement(BatchEncoding, "__copy__", _batch.make_copy),
    ]
