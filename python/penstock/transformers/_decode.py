"""Ids to text on the engine: `decode`, `batch_decode` and what they stand on."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers.tokenization_utils_tokenizers import logger as stock_logger

from penstock.transformers._backend import Backend
from penstock.transformers._one_text import unclean
from penstock.transformers._slot import REFUSED, UnsupportedError, engine_for, in_stock, is_ours

if TYPE_CHECKING:
    from collections.abc import Callable


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
        unclean.add(type(tokenizer))
        return False
    return True


def make_decode(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def decode(
        self: Any, token_ids: Any, skip_special_tokens: bool = False, **kwargs: Any
    ) -> str | list[str]:
        if is_ours(self, "_decode"):
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
            texts = native.decode_batch(ids, skip, False)
        else:
            texts = [native.decode(ids, skip, False)]
    except REFUSED:
        return None
    texts = [backend.finished(text) for text in texts]
    backend.count("decode")
    if _clean(tokenizer, backend, clean_up):
        texts = [tokenizer.clean_up_tokenization(text) for text in texts]
    return texts if several else texts[0]


def make_decode_one(original: Callable[..., str]) -> Callable[..., str]:
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
                    text = backend.finished(native.decode(ids, skip_special_tokens, False))
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


def make_batch_decode(original: Callable[..., list[str]]) -> Callable[..., list[str]]:
    @functools.wraps(original)
    def batch_decode(
        self: Any,
        sequences: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        **kwargs: Any,
    ) -> list[str]:
        if is_ours(self, "_decode") and is_ours(self, "decode"):
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


def make_convert_tokens_to_string(original: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(original)
    def convert_tokens_to_string(self: Any, tokens: list[str]) -> str:
        slot = self.__dict__.get("_tokenizer")
        if type(slot) is not Backend:
            return original(self, tokens)
        decoder = slot.real().decoder
        return decoder.decode(tokens) if decoder is not None else " ".join(tokens)

    return convert_tokens_to_string
