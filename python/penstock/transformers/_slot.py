"""What stands in a tokenizer's `_tokenizer`, and so which engine the tokenizer has.

A tokenizer with an engine holds a `Backend` there. The methods that take the place of transformers'
own look here for it, and go to stock through here.
"""

from __future__ import annotations

import functools
import threading
import weakref
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedTokenizerBase
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from penstock.errors import PenstockError
from penstock.transformers import _patch
from penstock.transformers._backend import Backend
from penstock.transformers._batch import settle
from penstock.transformers._frames import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


REFUSED = (PenstockError, TypeError, ValueError, OverflowError)
"""What the native path raises for input that it does not take."""


class UnsupportedError(ValueError):
    """The native path does not take this call."""


# --- which engine a tokenizer has


class _State:
    installed = False


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
    tokenizer.__dict__["_tokenizer"]._wrapped = id(tokenizer) in _wrapped


def make_setstate(original: Callable[[Any, Any], None] | None) -> Callable[[Any, Any], None]:
    """Replaces what `copy` calls: `uninstall` detaches the copies of what it detaches as well."""

    def __setstate__(self: Any, state: Any) -> None:  # noqa: N807
        if original is None:
            self.__dict__.update(state)
        else:
            original(self, state)
        slot = self.__dict__.get("_tokenizer")
        if type(slot) is Backend and not slot._wrapped:
            note(self, wrapped=False)

    return __setstate__


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


_OWN_ENCODING = ("_encode_plus", "_batch_encode_plus", "_encode_plus_boxes", "_pad",
                 "_convert_encoding", "set_truncation_and_padding")  # fmt: skip
_INNER = frozenset({"_batch_encode_plus", "_convert_encoding", "set_truncation_and_padding"})
"""What nothing but stock's own way to ids calls."""


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
        if not _INNER.isdisjoint(own):
            return f"{base.__name__} has its own {', '.join(own)}"
        if base.__name__.startswith("RoFormerTokenizer"):
            return f"{base.__name__} pre-tokenizes in Python"
    return f"{cls.__name__} is not built on the tokenizers library"


def is_ours(tokenizer: Any, name: str) -> bool:
    """True unless the class, or the object, has a method of its own instead of the replaced one."""
    ours = TokenizersBackend.__dict__.get(name)
    return getattr(type(tokenizer), name) is ours and name not in tokenizer.__dict__


# --- the stock path


@contextmanager
def in_stock(backend: Backend, what: str, why: str) -> Iterator[None]:
    """Lets the original method run on the stock tokenizer, one thread at a time.

    Stock keeps truncation and padding on the tokenizer between two calls, so two threads with
    different lengths would get each other's.
    """
    backend.count_fallback(what, why)
    with backend._lock, seen_as(backend, backend.real()):
        yield


def seen_as(backend: Backend, stand_in: Any) -> AbstractContextManager[None]:
    """Lets this thread find `stand_in` in `_tokenizer`, without the backend noting an escape."""
    return held("inside", (backend, stand_in))


@contextmanager
def held(name: str, value: Any) -> Iterator[None]:
    """Gives `thread_state` a value for this thread, and then the one before."""
    before = getattr(thread_state, name, None)
    setattr(thread_state, name, value)
    try:
        yield
    finally:
        setattr(thread_state, name, before)


def make_getattr(original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
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
            value._wrapped = old._wrapped
        tokenizer.__dict__["_tokenizer"] = value

    def __delete__(self, tokenizer: Any) -> None:
        """Takes the backend away."""
        del tokenizer.__dict__["_tokenizer"]


# --- the replacements of transformers' methods


def _replacements() -> list[_patch.Replacement]:
    from penstock.transformers._replacements import replacements

    return replacements()


group = _patch.register(_patch.Group(_replacements), on_change=_set_installed)

_WRAPPED = "wrapped tokenizers"


def keep_in_place() -> None:
    """Puts the replacements in place for tokenizers that have an engine of their own."""
    group.apply(_WRAPPED)


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
