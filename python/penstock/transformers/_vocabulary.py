"""A tokenizer's vocabulary, asked of the engine; what is saved of it, and new ones trained."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from penstock import _native
from penstock.transformers._backend import Backend
from penstock.transformers._slot import REFUSED, attach, is_wrapped, runs_in_stock, seen_as

if TYPE_CHECKING:
    from collections.abc import Callable


_ours: dict[str, Any] = {}
"""What stands in the class in place of its methods and properties, by name."""

_native_vocabulary = _native.Vocabulary(_ours)
"""Answers at once where nothing but these stands between a question and the engine, else None."""


def noted(name: str, make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same maker; what it makes is known to be ours."""

    def noting(original: Any) -> Any:
        _ours[name] = made = make(original)
        return made

    return noting


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
    "vocab_size": lambda _, backend: backend.get_vocab_size(with_added_tokens=False),
    "added_tokens_decoder": lambda _, backend: backend.get_added_tokens_decoder(),
}


def _make_ids_to_tokens(original: Callable[..., Any]) -> Callable[..., Any]:
    general = _on_backend("convert_ids_to_tokens")(original)
    convert = _native_vocabulary.convert_ids_to_tokens

    @functools.wraps(original)
    def convert_ids_to_tokens(self: Any, ids: Any, skip_special_tokens: bool = False) -> Any:
        found = convert(self, ids, skip_special_tokens)
        return general(self, ids, skip_special_tokens) if found is None else found

    return convert_ids_to_tokens


def _make_tokens_to_ids(original: Callable[..., Any]) -> Callable[..., Any]:
    convert = _native_vocabulary.convert_tokens_to_ids

    @functools.wraps(original)
    def convert_tokens_to_ids(self: Any, tokens: Any) -> Any:
        found = convert(self, tokens)
        return original(self, tokens) if found is None else found

    return convert_tokens_to_ids


def make_tokenize(original: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """Replaces `tokenize`, whose general replacement is `original`."""
    cut = _native_vocabulary.tokenize

    @functools.wraps(original)
    def tokenize(
        self: Any,
        text: Any,
        pair: Any = None,
        add_special_tokens: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        if type(text) is str and pair is None and add_special_tokens is False and not kwargs:
            try:
                found = cut(self, text)
            except REFUSED:
                found = None  # the original path counts it and says why
            if found is not None:
                return found
        return original(self, text, pair, add_special_tokens, **kwargs)

    return tokenize


def make_tokens_to_string(original: Callable[[Any, Any], str]) -> Callable[[Any, Any], str]:
    """Replaces `convert_tokens_to_string`, whose general replacement is `original`."""
    join = _native_vocabulary.convert_tokens_to_string

    @functools.wraps(original)
    def convert_tokens_to_string(self: Any, tokens: list[str]) -> str:
        found = join(self, tokens)
        return original(self, tokens) if found is None else found

    return convert_tokens_to_string


def make_getattr(original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """Replaces `__getattr__`, whose general replacement is `original`."""
    special = _native_vocabulary.special

    @functools.wraps(original)
    def __getattr__(self: Any, key: str) -> Any:  # noqa: N807
        found = special(self, key)
        return original(self, key) if found is None else found

    return __getattr__


def _asking(
    asked: Callable[[Any], Any], name: str | None = None
) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """A method without arguments that asks natively, then the backend by `name`, then as before."""

    def make(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
        general = original if name is None else _on_backend(name)(original)

        @functools.wraps(original)
        def replacement(self: Any) -> Any:
            found = asked(self)
            return general(self) if found is None else found

        return replacement

    return make


def _make_num_special(original: Callable[..., int]) -> Callable[..., int]:
    general = _on_backend("num_special_tokens_to_add")(original)
    count = _native_vocabulary.num_special_tokens_to_add

    @functools.wraps(original)
    def num_special_tokens_to_add(self: Any, pair: bool = False) -> int:
        found = count(self, pair)
        return general(self, pair) if found is None else found

    return num_special_tokens_to_add


def _as_property(
    make: Callable[[Callable[[Any], Any]], Callable[[Any], Any]],
) -> Callable[[property], property]:
    """The same of a property."""
    return lambda original: property(make(original.__get__), doc=original.__doc__)


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
    "_convert_token_to_id_with_added_voc": _on_backend("_convert_token_to_id_with_added_voc"),
    "_convert_id_to_token": _on_backend("_convert_id_to_token"),
    "_add_tokens": _on_backend("_add_tokens"),
    "convert_ids_to_tokens": _make_ids_to_tokens,
    "convert_tokens_to_ids": _make_tokens_to_ids,
    "num_special_tokens_to_add": _make_num_special,
    "get_vocab": _asking(_native_vocabulary.get_vocab, "get_vocab"),
    "get_added_vocab": _asking(_native_vocabulary.get_added_vocab),
    "__len__": _asking(_native_vocabulary.length, "__len__"),
    "vocab_size": _as_property(_asking(_native_vocabulary.vocab_size, "vocab_size")),
    "added_tokens_decoder": _as_property(_on_backend("added_tokens_decoder")),
    "added_tokens_encoder": _as_property(_asking(_native_vocabulary.get_added_vocab)),
    "all_special_tokens": _as_property(_asking(_native_vocabulary.all_special_tokens)),
    "all_special_ids": _as_property(_asking(_native_vocabulary.all_special_ids)),
    "special_tokens_map": _as_property(_asking(_native_vocabulary.special_tokens_map)),
    "train_new_from_iterator": _make_train,
    "_save_pretrained": _make_save,
}
"""What takes the place of which method, in the form of `Replacement.make`."""
