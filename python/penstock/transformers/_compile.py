"""From the final state of a `tokenizers.Tokenizer` to a native tokenizer, or the reason why not.

The state is what counts, never the file alone: a class of transformers may rebuild parts of it, and
so may its user.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import tokenizers
from tokenizers import normalizers

from penstock import _native
from penstock.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Hashable

COMPONENTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")

_MODEL_OPTIONS = (
    "dropout",
    "unk_token",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "fuse_unk",
    "byte_fallback",
    "ignore_merges",
    "max_input_chars_per_word",
    "unk_id",
)

_PROBE = "\ufb01\u2460\u212b\u00a0\u3000\uff21 e\u0301\u0130\u1e9b\u0323\u0958\uac00\u200d\ufeff"
"""Characters that a character map of sentencepiece usually changes."""


def compile_backend(real: tokenizers.Tokenizer) -> _native.Tokenizer | str:
    """Returns the native tokenizer of the same results, or the reason why there is none."""
    replaced = sorted(set(vars(real)) - {"fix_mistral_regex"})
    if replaced and (replaced != ["decode"] or suffix_of(vars(real)["decode"]) is None):
        return f"the backend's {', '.join(replaced)} was replaced on the object"
    try:
        text = real.to_str()
    except Exception as error:  # the reference raises plain Exception for components in Python
        return f"a component is written in Python: {error}"
    if getattr(real.model, "dropout", None):
        return _DROPOUT
    try:
        return _native.Tokenizer.from_own_str(text)
    except PenstockError as error:
        return str(error)


def suffix_of(function: Any) -> str | None:
    """The suffix that CLIP's own `decode` replaces by a space; None for another function."""
    if (
        getattr(function, "__module__", None) != "transformers.models.clip.tokenization_clip"
        or getattr(function, "__name__", None) != "new_decode_method"
    ):
        return None
    variables = inspect.getclosurevars(function).nonlocals
    suffix = variables.get("end_of_word_suffix")
    return suffix if isinstance(suffix, str) and "orig_decode_method" in variables else None


_DROPOUT = "model.dropout draws at random: the stock engine has the generator"


def has_dropout(native: _native.Tokenizer) -> bool:
    """True if the model passes merges over by chance."""
    return any(stage == "model" and "dropout" in text for stage, text, _ in native.description())


def model_name(native: _native.Tokenizer) -> str:
    """The model's type: `BPE`, `WordPiece`, `Unigram` or `WordLevel`."""
    return next(text for stage, text, _ in native.description() if stage == "model").split(" ")[0]


def fingerprint(real: tokenizers.Tokenizer, *, full: bool) -> Hashable:
    """Returns what changes when somebody edits the backend in place; a few microseconds.

    A character map (`Precompiled`) takes a quarter of a millisecond to print. It is compared in
    full if `full`, otherwise by what it makes of a probe.
    """
    model = real.model
    return (
        *(_component(getattr(real, name), full=full) for name in COMPONENTS),
        type(model),
        tuple(_plain(getattr(model, name, None)) for name in _MODEL_OPTIONS),
        real.get_vocab_size(with_added_tokens=True),
        real.get_vocab_size(with_added_tokens=False),
        len(real.get_added_tokens_decoder()),
        frozenset(vars(real)),
        vars(real).get("decode"),
    )


def _plain(value: Any) -> Hashable:
    return value if isinstance(value, (int, float, str, bool, type(None))) else repr(value)


def _component(component: Any, *, full: bool) -> Hashable:
    if component is None:
        return None
    if not full and isinstance(component, normalizers.Precompiled):
        return component.normalize_str(_PROBE)
    if not full and isinstance(component, normalizers.Sequence):
        parts = (component[index] for index in range(len(component)))
        return tuple(_component(part, full=full) for part in parts)
    try:
        state: Hashable = component.__getstate__()
    except Exception as error:  # the reference raises plain Exception for components in Python
        return str(error)
    return state
