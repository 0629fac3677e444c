"""A tokenizer's vocabulary, asked of the engine; what is saved of it, and new ones trained."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from penstock.transformers._backend import Backend
from penstock.transformers._slot import attach, is_wrapped, runs_in_stock, seen_as

if TYPE_CHECKING:
    from collections.abc import Callable


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


def _make_save(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _save_pretrained(self: Any, *args: Any, **kwargs: Any) -> Any:
        slot = self.__dict__.get("_tokenizer")
        if type(slot) is not Backend or slot._building:
            return original(self, *args, **kwargs)
        with seen_as(slot, slot):  # the original calls `save` of what `_tokenizer` gives it
            return original(self, *args, **kwargs)

    return _save_pretrained


def _make_train(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def train_new_from_iterator(self: Any, *args: Any, **kwargs: Any) -> Any:
        slot = self.__dict__.get("_tokenizer")
        if type(slot) is not Backend:
            return original(self, *args, **kwargs)
        with seen_as(slot, slot):  # the original wants the contents of tokenizer.json
            trained = original(self, *args, **kwargs)
        if is_wrapped(self) and runs_in_stock(type(trained)) is None:
            attach(trained, exposed=True, wrapped=True)
        return trained

    return train_new_from_iterator


MAKERS: dict[str, Callable[[Any], Any]] = {
    "vocab_size": _make_vocab_size,
    "added_tokens_decoder": _make_added_tokens_decoder,
    "train_new_from_iterator": _make_train,
    "_save_pretrained": _make_save,
    **{name: _on_backend(name) for name in _VOCABULARY},
}
"""What takes the place of which method, in the form of `Replacement.make`."""
