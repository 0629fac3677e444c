"""What stands in a tokenizer's `_tokenizer`: the native tokenizer, and the stock one on demand.

A `Backend` is the truth about one tokenizer. Its native tokenizer is immutable and replaced when
something changes, so threads share it without a lock. The stock `tokenizers.Tokenizer` is built
when somebody asks for it. From then on that one is in other hands, so every call first looks
whether it was edited, and compiles it again if so.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokenizers

from penstock import _locks, _native
from penstock.errors import PenstockError, TokenIdError
from penstock.transformers._compile import (
    compile_backend,
    fingerprint,
    has_dropout,
    model_name,
    suffix_of,
)
from penstock.transformers._frames import STAGES, Frame, NotHandedOnError, tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Truncation = tuple[int, int, str, str]
"""Maximum length, stride, strategy, direction."""
Padding = tuple[int | None, str, int | None, int, int, str]
"""Length, direction, multiple, id, type id, token."""

_UNSET: Any = object()

_OWN = frozenset(
    {
        "_building",
        "_built",
        "_calls",
        "_fallbacks",
        "_fingerprint",
        "_frame",
        "_full_check",
        "_given",
        "_lock",
        "_reason",
        "_tokens",
        "_variants",
        "_wrapped",
    }
)

_STATE = frozenset(
    {"_decode", "_exposed", "_native", "_padding", "_real", "_split_special", "_truncation"}
)
"""What the native base of a backend holds."""


class Backend(_native.EngineState):
    """The engine of one tokenizer; looks like `tokenizers.Tokenizer` while transformers builds it.

    Every attribute that is not answered here is the stock tokenizer's.
    """

    def __init__(
        self,
        native: _native.Tokenizer | None = None,
        real: tokenizers.Tokenizer | None = None,
        *,
        exposed: bool = False,
        building: bool = False,
        frame: Frame | None = None,
    ) -> None:
        """Takes the native tokenizer, the stock one, both if they agree, or what becomes one."""
        own = self.__dict__
        own["_frame"] = frame
        own["_given"] = ((), None)
        self._native = native
        self._real = real
        own["_reason"] = None
        self._exposed = exposed
        own["_building"] = building
        own["_built"] = None
        own["_fingerprint"] = None
        own["_full_check"] = True
        self._truncation = _UNSET if frame is None else None
        self._padding = _UNSET if frame is None else None
        self._split_special = _UNSET
        own["_tokens"] = (None, {})
        own["_variants"] = {}
        own["_wrapped"] = True
        own["_lock"] = _locks.rlock()
        own["_calls"] = Counter[str]()
        self._decode = None
        own["_fallbacks"] = Counter[str]()

    def count(self, operation: str) -> None:
        """Counts a native call."""
        self._calls[operation] += 1

    def calls(self) -> dict[str, int]:
        """How often the engine ran, by operation. Single texts are counted apart, in less time."""
        calls = Counter[str](self._calls)
        single = {"encode": self._texts, "decode": self._rows, "tokenize": self._tokenized}
        for operation, count in single.items():
            if count:
                calls[operation] += count
        return dict(calls)

    def count_fallback(self, operation: str, why: str) -> None:
        """Counts a call that stock runs."""
        self._fallbacks[f"{operation}: {why}"] += 1

    # --- the native tokenizer

    def native(self) -> _native.Tokenizer | None:
        """The native tokenizer of the present state; None if it runs in stock (see `reason`)."""
        if not self._exposed:
            native: _native.Tokenizer | None = self._native
            if native is not None or self._reason is not None:
                return native
        return self._refresh()

    @property
    def reason(self) -> str | None:
        """Why the stock engine is kept, as of the last look."""
        reason: str | None = self._reason
        return reason

    def variant(self, *, split_special_tokens: bool) -> _native.Tokenizer | None:
        """The native tokenizer that encodes special tokens in a text as text, or does not."""
        native = self.native()
        if native is None or native.encode_special_tokens == split_special_tokens:
            return native
        found: tuple[_native.Tokenizer, _native.Tokenizer] | None
        found = self._variants.get(split_special_tokens)
        if found is None or found[0] is not native:
            found = (native, native.with_encode_special_tokens(split_special_tokens))
            self._variants[split_special_tokens] = found
        return found[1]

    # --- while a class builds its own backend

    def _framed(self) -> _native.Tokenizer:
        """What a frame makes so far."""
        own = self.__dict__
        native: _native.Tokenizer = own["_frame"].native(self._native)
        self._native = native
        return native

    def finish(self, names: Iterable[str] = ()) -> None:
        """Ends the building; `names` are the attributes that the class keeps its file in."""
        own = self.__dict__
        if own["_frame"] is not None:
            own["_given"] = (tuple(names), self._framed())
            own["_frame"] = None
        own["_building"] = False
        own["_tokens"] = (None, {})

    def give(self, attributes: dict[str, Any], names: Iterable[str] | None = None) -> None:
        """Puts into `attributes` what the class keeps of its file, all of it or some."""
        given, native = self._given
        for name in given if names is None else names:
            if name in given and name not in attributes:
                attributes[name] = tables(native, name)

    # --- the stock tokenizer's edits

    def _refresh(self) -> _native.Tokenizer | None:
        if self._frame is not None:
            return self._framed()
        with self._lock:
            own = self.__dict__
            real = self._real
            if real is not None:
                now = fingerprint(real, full=False)
                if own["_full_check"]:
                    now = (now, fingerprint(real, full=True))
                    known = own["_fingerprint"]
                    changed = known is None or known != now
                    own["_full_check"] = False
                    own["_fingerprint"] = now
                else:
                    changed = own["_fingerprint"][0] != now
                    if changed:
                        own["_fingerprint"] = (now, fingerprint(real, full=True))
                if changed or (self._native is None and own["_reason"] is None):
                    self._compile(real)
            native: _native.Tokenizer | None = self._native
            return native

    def _compile(self, real: tokenizers.Tokenizer) -> None:
        own = self.__dict__
        result = compile_backend(real)
        own["_variants"] = {}
        if isinstance(result, str):
            self._native, own["_reason"] = None, result
        else:
            self._native, own["_reason"] = result, None
            if not self._exposed and not vars(real):
                # Nobody holds the stock tokenizer: it can be built again from the native one.
                if self._split_special is _UNSET:
                    self._split_special = real.encode_special_tokens
                self._real = None

    def finished(self, text: str) -> str:
        """Decoded text as the function has it that a class puts in place of `decode`."""
        real = self._real
        function = self._decode if real is None else vars(real).get("decode")
        if function is None:
            return text
        suffix = suffix_of(function)
        return text.replace(suffix, " ").strip() if suffix is not None else text

    def model_name(self) -> str:
        """The model's type: `BPE`, `WordPiece`, `Unigram` or `WordLevel`."""
        if self._real is not None:
            return type(self._real.model).__name__
        return model_name(self._vocabulary())

    # --- the stock tokenizer

    def real(self) -> tokenizers.Tokenizer:
        """The stock tokenizer in the state that stock would have it in; built on the first call.

        For use inside penstock; what leaves it goes through `expose`.
        """
        with self._lock:
            own = self.__dict__
            if own["_frame"] is not None:
                raise NotHandedOnError
            if self._real is None:
                native = self._native
                built = as_stock(native.to_str())
                built.encode_special_tokens = native.encode_special_tokens
                if self._decode is not None:
                    vars(built)["decode"] = self._decode
                self._real = built
            real: tokenizers.Tokenizer = self._real
            self._synchronise(real)
            return real

    def expose(self) -> tokenizers.Tokenizer:
        """The stock tokenizer for somebody who may edit it."""
        own = self.__dict__
        with self._lock:
            real = self.real()
            if not self._exposed:
                if self._native is not None:
                    own["_fingerprint"] = (
                        fingerprint(real, full=False),
                        fingerprint(real, full=True),
                    )
                self._exposed = True
            own["_full_check"] = True
            return real

    def remember(
        self, truncation: Truncation | None, padding: Padding | None, *, split_special_tokens: bool
    ) -> None:
        """Notes what a call asked for, which stock leaves set on its tokenizer."""
        self._truncation = truncation
        self._padding = padding
        self._split_special = split_special_tokens

    def _synchronise(self, real: tokenizers.Tokenizer) -> None:
        truncation, padding = self._truncation, self._padding
        if truncation is not _UNSET:
            self._truncation = _UNSET
            if truncation is None:
                real.no_truncation()
            else:
                length, stride, strategy, side = truncation
                real.enable_truncation(
                    max_length=length, stride=stride, strategy=strategy, direction=side
                )
        if padding is not _UNSET:
            self._padding = _UNSET
            if padding is None:
                real.no_padding()
            else:
                length, side, multiple, pad_id, type_id, token = padding
                real.enable_padding(
                    direction=side,
                    pad_id=pad_id,
                    pad_type_id=type_id,
                    pad_token=token,
                    length=length,
                    pad_to_multiple_of=multiple,
                )
        if self._split_special is not _UNSET:
            real.encode_special_tokens = self._split_special
            self._split_special = _UNSET

    def to_str(self, pretty: bool = False) -> str:
        """The contents of `tokenizer.json`, last truncation and padding included."""
        with self._lock:
            if self._real is not None:
                text: str = self.real().to_str(pretty)
                return text
            native = self._native
            if self._truncation is not _UNSET:
                native = native.with_truncation(self._truncation)
            if self._padding is not _UNSET:
                native = native.with_padding(self._padding)
            return str(native.to_str(pretty))

    # --- copies

    def __deepcopy__(self, memo: dict[int, Any]) -> Backend:
        """A copy with a life of its own; what is immutable is shared."""
        own = self.__dict__
        if own["_building"]:
            return self
        with self._lock:
            native = self.native()
            other = Backend(native, None if native is not None else copy.deepcopy(self._real, memo))
            state = other.__dict__
            for name in ("_truncation", "_padding", "_split_special"):
                setattr(other, name, getattr(self, name))
            for name in ("_reason", "_given", "_wrapped"):
                state[name] = own[name]
            if native is not None and self._real is not None:
                real = self._real
                self._synchronise(real)
                other._truncation = _truncation_of(real)
                other._padding = _padding_of(real)
                other._split_special = real.encode_special_tokens
            return other

    def __copy__(self) -> Backend:
        """A shallow copy shares its backend, as in stock."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """The contents of `tokenizer.json`; the copy compiles it where it arrives."""
        return _rebuild, (self.to_str(), self.encode_special_tokens, self._given[0])

    # --- what transformers asks while it builds a tokenizer, answered without the stock one

    def _vocabulary(self) -> Any:
        own = self.__dict__
        if own["_frame"] is not None:
            return self._native or self._framed()
        return self._native if self._real is None else self._real

    def token_to_id(self, token: str) -> int | None:
        """As in `tokenizers`."""
        found: int | None = self._vocabulary().token_to_id(token)
        return found

    def id_to_token(self, id: int) -> str | None:
        """As in `tokenizers`."""
        try:
            found: str | None = self._vocabulary().id_to_token(id)
        except TokenIdError as error:
            raise OverflowError(str(error)) from error
        return found

    def get_vocab(self, with_added_tokens: bool = True) -> dict[str, int]:
        """As in `tokenizers`."""
        vocabulary: dict[str, int] = self._vocabulary().get_vocab(
            with_added_tokens=with_added_tokens
        )
        return vocabulary

    def get_vocab_size(self, with_added_tokens: bool = True) -> int:
        """As in `tokenizers`."""
        size: int = self._vocabulary().get_vocab_size(with_added_tokens=with_added_tokens)
        return size

    def num_special_tokens_to_add(self, is_pair: bool) -> int:
        """As in `tokenizers`."""
        asked = self._vocabulary() if self._frame is None else self._framed()
        count: int = asked.num_special_tokens_to_add(is_pair)
        return count

    def get_added_tokens_decoder(self) -> dict[int, tokenizers.AddedToken]:
        """As in `tokenizers`."""
        own = self.__dict__
        vocabulary = self._vocabulary()
        if not own["_building"]:
            return _added_tokens(vocabulary)
        known, tokens = own["_tokens"]
        if known is not vocabulary or type(known) is tokenizers.Tokenizer:
            tokens = _added_tokens(vocabulary)
            own["_tokens"] = vocabulary, tokens
        return dict(tokens)

    def add_tokens(self, tokens: Sequence[str | tokenizers.AddedToken]) -> int:
        """As in `tokenizers`."""
        return self._add(tokens, special=False)

    def add_special_tokens(self, tokens: Sequence[str | tokenizers.AddedToken]) -> int:
        """As in `tokenizers`."""
        return self._add(tokens, special=True)

    def save(self, path: str, pretty: bool = True) -> None:
        """As in `tokenizers`."""
        Path(path).write_text(self.to_str(pretty), encoding="utf-8")

    def _add(self, tokens: Sequence[str | tokenizers.AddedToken], *, special: bool) -> int:
        if not isinstance(tokens, list):
            raise TypeError(f"{type(tokens).__name__!r} object is not an instance of 'list'")
        with self._lock:
            own = self.__dict__
            native = self.native()
            if own["_building"] and self._real is None and own["_tokens"][0] is native:
                held = set(own["_tokens"][1].values())
                if all(
                    type(token) is tokenizers.AddedToken
                    and token in held
                    and (token.special or not special)
                    for token in tokens
                ):
                    return 0  # transformers hands all tokens of a file in again
            if special:
                for token in tokens:
                    if isinstance(token, tokenizers.AddedToken):
                        # As the reference does; `normalized` follows where it was not given.
                        token.special = True
            added = 0
            if native is not None:
                try:
                    ours = [as_native_token(token) for token in tokens]
                    native, added = native.with_added_tokens(ours, special)
                except (PenstockError, TypeError, ValueError):
                    self.real()
                    self._exposed, own["_full_check"] = True, True
            real = self._real
            if real is not None:
                add = real.add_special_tokens if special else real.add_tokens
                added = add(tokens)
                if self._exposed and own["_fingerprint"] is not None:
                    own["_fingerprint"] = (
                        fingerprint(real, full=False),
                        fingerprint(real, full=True),
                    )
            if native is not None:
                self._native = native
            return added

    @property
    def truncation(self) -> dict[str, Any] | None:
        """As in `tokenizers`."""
        if self._real is None and self._truncation is None:
            return None
        if self._real is None and self._truncation is _UNSET:
            found: dict[str, Any] | None = self._native.truncation
            return found
        return self.real().truncation

    @property
    def padding(self) -> dict[str, Any] | None:
        """As in `tokenizers`."""
        if self._real is None and self._padding is None:
            return None
        if self._real is None and self._padding is _UNSET:
            found: dict[str, Any] | None = self._native.padding
            return found
        return self.real().padding

    def no_truncation(self) -> None:
        """As in `tokenizers`."""
        self._truncation = None

    def no_padding(self) -> None:
        """As in `tokenizers`."""
        self._padding = None

    def enable_truncation(
        self,
        max_length: int,
        stride: int = 0,
        strategy: str = "longest_first",
        direction: str = "right",
    ) -> None:
        """As in `tokenizers`."""
        self._truncation = (max_length, stride, strategy, direction)

    def enable_padding(
        self,
        direction: str = "right",
        pad_id: int = 0,
        pad_type_id: int = 0,
        pad_token: str = "[PAD]",  # noqa: S107
        length: int | None = None,
        pad_to_multiple_of: int | None = None,
    ) -> None:
        """As in `tokenizers`."""
        self._padding = (
            length,
            direction,
            pad_to_multiple_of,
            pad_id,
            pad_type_id,
            pad_token,
        )

    @property
    def encode_special_tokens(self) -> bool:
        """As in `tokenizers`."""
        if self._split_special is not _UNSET:
            return bool(self._split_special)
        return bool(self._vocabulary().encode_special_tokens)

    @encode_special_tokens.setter
    def encode_special_tokens(self, value: bool) -> None:
        self._split_special = value

    @property
    def post_processor(self) -> Any:
        """As in `tokenizers`, but while transformers builds: only whether there is one."""
        return self._presence("post_processor")

    @post_processor.setter
    def post_processor(self, value: Any) -> None:
        self._set_component("post_processor", value)

    @property
    def pre_tokenizer(self) -> Any:
        """As in `tokenizers`, but while transformers builds: only whether there is one."""
        return self._presence("pre_tokenizer")

    @pre_tokenizer.setter
    def pre_tokenizer(self, value: Any) -> None:
        self._set_component("pre_tokenizer", value)

    def _set_component(self, stage: str, value: Any) -> None:
        own = self.__dict__
        # A normalizer changes the added tokens as well.
        if own["_building"] and own["_frame"] is self._real is None and stage != "normalizer":
            try:
                state = "null" if value is None else value.__getstate__().decode("utf-8")
                self._native = self._native.with_component(stage, state)
                return
            except (PenstockError, AttributeError, TypeError, ValueError):
                pass  # the reference takes the value, or has the error
        setattr(self._component_owner(), stage, value)

    def _component_owner(self) -> Any:
        frame: Frame | None = self._frame
        return self.expose() if frame is None else frame.real

    def _presence(self, stage: str) -> Any:
        own = self.__dict__
        if own["_frame"] is not None:
            return getattr(own["_frame"].real, stage)
        if own["_building"] and self._real is None:
            parts = self._native.description()
            has_it = any(name == stage and what != "none" for name, what, _ in parts)
            return Lazy(self, stage) if has_it else None
        return getattr(self.expose(), stage)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stock tokenizer's."""
        if name.startswith("__") or "_fallbacks" not in self.__dict__:
            raise AttributeError(name)
        frame: Frame | None = self._frame
        if frame is not None and name == "model":
            return frame.model()
        if frame is not None and name == "decode":
            return Decode(self)
        return getattr(self._component_owner() if name in STAGES else self.expose(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        """An assignment is meant for the stock tokenizer."""
        if name in ("encode_special_tokens", "post_processor", "pre_tokenizer") or name in _STATE:
            object.__setattr__(self, name, value)
        elif name in _OWN:
            self.__dict__[name] = value
        elif name == "decode" and self._frame is not None and suffix_of(value) is not None:
            self._decode = value
        elif name in STAGES:
            self._set_component(name, value)
        else:
            setattr(self.expose(), name, value)


class Decode:
    """The stock tokenizer's own `decode`, for a function that takes its place."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As in `tokenizers`."""
        return tokenizers.Tokenizer.decode(self._backend.real(), *args, **kwargs)


class Lazy:
    """A component that is there, and is fetched when somebody looks inside."""

    def __init__(self, backend: Backend, stage: str) -> None:
        self.__dict__["_of"] = (backend, stage)

    def __getattr__(self, name: str) -> Any:
        """The component's attribute."""
        if name.startswith("__"):
            raise AttributeError(name)
        backend, stage = self.__dict__["_of"]
        return getattr(getattr(backend.expose(), stage), name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The component's class, for isinstance."""
        backend, stage = self.__dict__["_of"]
        return type(getattr(backend.expose(), stage))

    def __setitem__(self, index: int, value: Any) -> None:
        """Replaces an item of a sequence."""
        backend, stage = self.__dict__["_of"]
        getattr(backend.expose(), stage)[index] = value


def as_stock(text: str) -> tokenizers.Tokenizer:
    """The reference's tokenizer of a tokenizer.json that the core has written.

    The reference reads scores only to the last bit but one, so these are handed over as numbers.
    """
    built: tokenizers.Tokenizer = tokenizers.Tokenizer.from_str(text)
    if type(built.model).__name__ == "Unigram":
        model = json.loads(text)["model"]
        built.model = tokenizers.models.Unigram(
            [tuple(item) for item in model["vocab"]], model["unk_id"], model["byte_fallback"]
        )
    return built


def _added_tokens(vocabulary: Any) -> dict[int, tokenizers.AddedToken]:
    """The added tokens of a stock tokenizer or a native one, in the reference's class."""
    if isinstance(vocabulary, _native.Tokenizer):
        return vocabulary.added_tokens_as(tokenizers.AddedToken)
    found: dict[int, tokenizers.AddedToken] = vocabulary.get_added_tokens_decoder()
    return found


def as_stock_token(token: Any) -> tokenizers.AddedToken:
    """An added token in the reference's class."""
    if isinstance(token, tokenizers.AddedToken):
        return token
    return copy_of_token(token)


def copy_of_token(token: Any) -> tokenizers.AddedToken:
    """A new added token of the reference's class."""
    return tokenizers.AddedToken(
        token.content,
        single_word=token.single_word,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
        normalized=token.normalized,
        special=token.special,
    )


def as_native_token(token: str | tokenizers.AddedToken) -> str | _native.AddedToken:
    """An added token in our class."""
    if isinstance(token, tokenizers.AddedToken):
        return _native.AddedToken(
            token.content,
            single_word=token.single_word,
            lstrip=token.lstrip,
            rstrip=token.rstrip,
            normalized=token.normalized,
            special=token.special,
        )
    return token


def _truncation_of(real: tokenizers.Tokenizer) -> Truncation | None:
    found = real.truncation
    if found is None:
        return None
    return (found["max_length"], found["stride"], found["strategy"], found["direction"])


def _padding_of(real: tokenizers.Tokenizer) -> Padding | None:
    found = real.padding
    if found is None:
        return None
    return (
        found["length"],
        found["direction"],
        found["pad_to_multiple_of"],
        found["pad_id"],
        found["pad_type_id"],
        found["pad_token"],
    )


def _rebuild(text: str, split_special: bool, given: tuple[str, ...] = ()) -> Backend:
    from penstock.transformers import _slot

    _slot.keep_in_place()
    try:
        native = _native.Tokenizer.from_own_str(text)
    except PenstockError:
        native = None
    if native is None or has_dropout(native):
        backend = Backend(None, as_stock(text))
    else:
        backend = Backend(native)
        backend._given = (given, native)
    backend.encode_special_tokens = split_special
    return backend
