"""`AutoTokenizer`: the object that transformers would return, with an engine from the start.

The engine reads `tokenizer.json` once, and the stock `tokenizers.Tokenizer` is not built at all
until somebody asks for it: for the classes that take the file as it stands (`_lazy_backend`), and
for those that build a backend of their own around its vocabulary (`_frames.py`).
"""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import transformers
from tokenizers import AddedToken
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from penstock import _native
from penstock.errors import PenstockError
from penstock.transformers import _slot
from penstock.transformers._backend import Backend, as_stock_token, copy_of_token
from penstock.transformers._compile import has_dropout
from penstock.transformers._frames import (
    MODELS,
    Frame,
    Merges,
    NotHandedOnError,
    Scores,
    hands_on,
    model_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class AutoTokenizer(transformers.AutoTokenizer):
    """`transformers.AutoTokenizer`, whose tokenizers run on penstock.

    Example:
        >>> from penstock.transformers import AutoTokenizer
        >>> tokenizer = AutoTokenizer.from_pretrained("some/folder")  # doctest: +SKIP
    """

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: Any, *inputs: Any, **kwargs: Any
    ) -> Any:
        """Loads a tokenizer of a local folder, a repository on the Hub or a cached snapshot.

        Arguments, result and errors are those of `transformers.AutoTokenizer.from_pretrained`,
        which finds the files. A tokenizer that penstock does not cover comes with the stock engine;
        `engine_of` says why.
        """
        _slot.keep_in_place()
        with _slot.held("attaching", True):
            tokenizer = super().from_pretrained(pretrained_model_name_or_path, *inputs, **kwargs)
        return _slot.wrap(tokenizer)


def make_from_pretrained(original: Any) -> Any:
    """Replaces `_from_pretrained`, which gets the files that `from_pretrained` has found."""
    load: Callable[..., Any] = original.__func__

    @functools.wraps(load)
    def _from_pretrained(
        cls: type,
        resolved_vocab_files: dict[str, Any],
        pretrained_model_name_or_path: Any,
        init_configuration: Any,
        *init_inputs: Any,
        **kwargs: Any,
    ) -> Any:
        wrapped = getattr(_slot.thread_state, "attaching", None) is True
        wanted = wrapped or _slot.is_installed()
        if not wanted or _slot.runs_in_stock(cls) is not None:
            return load(
                cls, resolved_vocab_files, pretrained_model_name_or_path, init_configuration,
                *init_inputs, **kwargs,
            )  # fmt: skip
        framed, why = _in_frame(
            cls, load, resolved_vocab_files, pretrained_model_name_or_path, init_configuration,
            init_inputs, kwargs,
        )  # fmt: skip
        if framed is not None:
            _slot.attach(framed, exposed=False, wrapped=wrapped)
            return framed
        lazy = _lazy_backend(cls, resolved_vocab_files, kwargs)
        if lazy is not None:
            stand_in, tokens = lazy
            kwargs = {**kwargs, "tokenizer_object": stand_in}
            if _tokens_are_in_file(resolved_vocab_files, kwargs):
                kwargs["added_tokens_decoder"] = _as_stock_tokens(tokens)
        tokenizer = load(
            cls, resolved_vocab_files, pretrained_model_name_or_path, init_configuration,
            *init_inputs, **kwargs,
        )  # fmt: skip
        slot = tokenizer.__dict__.get("_tokenizer")
        if slot is None:
            return tokenizer
        if type(slot) is Backend:
            slot.finish()
        elif _takes_file_as_it_stands(cls) and resolved_vocab_files.get("tokenizer_file"):
            why = "the core does not take the file as it stands"
        backend = _slot.attach(tokenizer, exposed=False, wrapped=wrapped)
        if type(slot) is not Backend:
            backend._built = why
        return tokenizer

    return classmethod(_from_pretrained)


class TokensById(dict[int, AddedToken]):
    """Added tokens on their way into a constructor, which copies them deeply: here in no time."""

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[int, AddedToken]:
        """A plain dictionary with tokens of its own."""
        return {index: copy_of_token(token) for index, token in self.items()}


def make_convert(original: Any) -> Any:
    convert: Callable[..., dict[str, Any]] = original.__func__

    @functools.wraps(convert)
    def convert_to_native_format(cls: Any, /, **kwargs: Any) -> Any:
        frame: Frame | None = getattr(_slot.thread_state, "frame", None)
        found = convert(cls, **kwargs) if frame is None else frame.arguments(kwargs)
        tokens = found.get("added_tokens_decoder")
        if type(tokens) is dict and all(type(token) is AddedToken for token in tokens.values()):
            found["added_tokens_decoder"] = TokensById(tokens)
        return found

    return classmethod(convert_to_native_format)


def _takes_file_as_it_stands(cls: Any) -> bool:
    """True for a class without components of its own."""
    return cls is TokenizersBackend or "__init__" not in cls.__dict__


def _lazy_backend(
    cls: Any, files: dict[str, Any], kwargs: dict[str, Any]
) -> tuple[Backend, dict[int, _native.AddedToken]] | None:
    """The backend for a class that takes its file as it stands; None where stock has to build.

    With it the added tokens by the ids that stand in the file. A token that is in the vocabulary
    has that one's in the backend.
    """
    path = files.get("tokenizer_file")
    if path is None or not Path(path).is_file():
        return None
    if not _takes_file_as_it_stands(cls):
        return None
    if _brings_its_own(kwargs):
        return None
    convert: Any = TokenizersBackend.convert_to_native_format
    if cls.convert_to_native_format.__func__ is not convert.__func__:
        return None
    try:
        draft = _native.Draft(path, exact=False)
        tokens = draft.added_tokens()
        native = draft.finish()
    except PenstockError:
        return None
    if has_dropout(native):
        return None
    return Backend(native, building=True), tokens


def _brings_its_own(kwargs: dict[str, Any]) -> bool:
    """True where the caller's arguments take the place of the files that were found."""
    return any(kwargs.get(name) is not None for name in _GIVEN)


_GIVEN = (
    "tokenizer_object", "tokenizer_file", "gguf_file", "vocab_file", "merges_file", "vocab",
    "merges",
)  # fmt: skip


def _as_stock_tokens(tokens: dict[int, _native.AddedToken]) -> dict[int, AddedToken]:
    return {index: as_stock_token(token) for index, token in tokens.items()}


def _in_frame(
    cls: Any,
    load: Callable[..., Any],
    files: dict[str, Any],
    name: Any,
    configuration: Any,
    inputs: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[Any, str]:
    """The tokenizer of a class with a backend of its own; None where stock has to build that.

    With it the reason why stock has to.
    """
    path = files.get("tokenizer_file")
    model = model_of(cls)
    if path is None or not Path(path).is_file():
        return None, "the files hold no tokenizer.json"
    if model not in MODELS or not hands_on(cls):
        return None, f"{cls.__name__} does more with a vocabulary than to hand it on"
    if _brings_its_own(kwargs):
        return None, "vocabulary, file or backend were given as arguments"
    original: Any = TokenizersBackend.convert_to_native_format
    if cls.convert_to_native_format.__func__ is not original.__func__:
        return None, f"{cls.__name__} has its own convert_to_native_format"
    # Whatever goes wrong goes wrong in stock as well, or else stock does it.
    try:
        frame = Frame(path, model)
        kwargs = dict(kwargs)
        if _tokens_are_in_file(files, kwargs):
            kwargs["added_tokens_decoder"] = _as_stock_tokens(frame.draft.added_tokens())
        with _slot.held("frame", frame):
            tokenizer = load(
                cls, dict(files), name, copy.deepcopy(configuration), *copy.deepcopy(inputs),
                **kwargs,
            )  # fmt: skip
        slot = tokenizer.__dict__.get("_tokenizer")
        if type(slot) is not Backend or slot._frame is not frame:
            raise NotHandedOnError
        frame.check_unknown(tokenizer.unk_token)
        names = list(frame.names(tokenizer.__dict__))
        if any(isinstance(value, (Merges, Scores)) for value in tokenizer.init_kwargs.values()):
            raise NotHandedOnError
        slot.finish(names)
    except NotHandedOnError:
        return None, f"{cls.__name__} does more with this file's vocabulary than to hand it on"
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"
    for attribute in names:
        del tokenizer.__dict__[attribute]
    return tokenizer, ""


def _tokens_are_in_file(files: dict[str, Any], kwargs: dict[str, Any]) -> bool:
    """True if stock would parse the whole file once more to find its added tokens."""
    if files.get("special_tokens_map_file") or files.get("added_tokens_file"):
        return False
    if "added_tokens_decoder" in kwargs:
        return False
    config = files.get("tokenizer_config_file")
    # Where the name stands elsewhere, stock just parses the file.
    return config is None or "added_tokens_decoder" not in Path(config).read_text("utf-8")
