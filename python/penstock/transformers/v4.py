"""Names of transformers 4, for code that was written for it: importing this module adds them.

transformers 5 took these away from its tokenizers: `encode_plus`, `batch_encode_plus`,
`prepare_for_model`, `truncate_sequences`, `build_inputs_with_special_tokens`,
`create_token_type_ids_from_sequences`, `additional_special_tokens` and its ids,
`special_tokens_map_extended`, `all_special_tokens_extended`, `sanitize_special_tokens`,
`unique_no_split_tokens`, `as_target_tokenizer` and `prepare_seq2seq_batch`. A class that still
defines one of them keeps its own.

    import penstock.transformers.v4  # once, anywhere

`uninstall` takes them away again, `install` puts them back.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedTokenizerBase, PythonBackend
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from penstock.transformers._patch import Group, Replacement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from transformers import BatchEncoding


def _encode_plus(self: Any, text: Any, text_pair: Any = None, **options: Any) -> BatchEncoding:
    """Encodes one text or pair; the tokenizer's call does the same."""
    found: BatchEncoding = self(text, text_pair, **options)
    return found


def _batch_encode_plus(self: Any, batch_text_or_text_pairs: Any, **options: Any) -> BatchEncoding:
    """Encodes a batch of texts or pairs; the tokenizer's call does the same."""
    found: BatchEncoding = self(batch_text_or_text_pairs, **options)
    return found


def _layout(self: Any, *, pair: bool) -> list[tuple[int | None, int, int]]:
    """The template of a text or a pair: sequence or None, id, type id."""
    probe = self("a", "a", return_tensors=None) if pair else self("a")
    encoding = probe.encodings[0]
    return list(zip(encoding.sequence_ids, encoding.ids, encoding.type_ids, strict=True))


def _parts(self: Any, first: list[int], second: list[int] | None) -> list[tuple[list[int], int]]:
    """Ids and type id of every part of the template, special tokens and sequences."""
    parts: list[tuple[list[int], int]] = []
    before: int | None = None
    for sequence, id_, type_id in _layout(self, pair=second is not None):
        if sequence is None:
            parts.append(([id_], type_id))
        elif sequence != before:
            parts.append((first if sequence == 0 else second or [], type_id))
        before = sequence
    return parts


def _build_inputs_with_special_tokens(
    self: Any, token_ids_0: list[int], token_ids_1: list[int] | None = None
) -> list[int]:
    """Puts the special tokens of the tokenizer's template around one or two lists of ids."""
    return [id_ for ids, _ in _parts(self, token_ids_0, token_ids_1) for id_ in ids]


def _create_token_type_ids_from_sequences(
    self: Any, token_ids_0: list[int], token_ids_1: list[int] | None = None
) -> list[int]:
    """The type ids of what `build_inputs_with_special_tokens` returns."""
    return [type_id for ids, type_id in _parts(self, token_ids_0, token_ids_1) for _ in ids]


def _special_tokens_mask(self: Any, first: list[int], second: list[int] | None) -> list[int]:
    """1 for the special tokens of `build_inputs_with_special_tokens`."""
    marks: list[int] = []
    before: int | None = None
    for sequence, _, _ in _layout(self, pair=second is not None):
        if sequence is None:
            marks.append(1)
        elif sequence != before:
            marks += [0] * len(first if sequence == 0 else second or [])
        before = sequence
    return marks


def _make_get_special_tokens_mask(original: Any) -> Any:
    def get_special_tokens_mask(
        self: Any,
        token_ids_0: list[int],
        token_ids_1: list[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """Marks special tokens; in version 5 only where they are in place already."""
        if already_has_special_tokens:
            found: list[int] = original(self, token_ids_0, token_ids_1, True)
            return found
        return _special_tokens_mask(self, token_ids_0, token_ids_1)

    return get_special_tokens_mask


def _additional_special_tokens(self: Any) -> list[str]:
    """The special tokens beyond the named ones; `extra_special_tokens` in version 5."""
    tokens: list[str] = self.extra_special_tokens
    return tokens


def _set_additional_special_tokens(self: Any, value: Any) -> None:
    self.extra_special_tokens = value


def _additional_special_tokens_ids(self: Any) -> list[int]:
    """Their ids."""
    ids: list[int] = self.extra_special_tokens_ids
    return ids


def _set_additional_special_tokens_ids(self: Any, value: Any) -> None:
    self.extra_special_tokens_ids = value


def _special_tokens_map_extended(self: Any) -> dict[str, Any]:
    """Named special tokens as they were given, with their flags."""
    named = {
        name: self._special_tokens_map[name]
        for name in self.SPECIAL_TOKENS_ATTRIBUTES
        if self._special_tokens_map.get(name)
    }
    if self._extra_special_tokens:
        named["additional_special_tokens"] = list(self._extra_special_tokens)
    return named


def _all_special_tokens_extended(self: Any) -> list[Any]:
    """All special tokens as they were given, each once."""
    found: dict[str, Any] = {}
    for value in _special_tokens_map_extended(self).values():
        for token in value if isinstance(value, list) else [value]:
            found.setdefault(str(token), token)
    return list(found.values())


def _sanitize_special_tokens(self: Any) -> int:
    """Adds special tokens that the vocabulary lacks; returns how many there were."""
    added: int = self.add_tokens(_all_special_tokens_extended(self), special_tokens=True)
    return added


def _unique_no_split_tokens(self: Any) -> list[str]:
    """The tokens that are found in a text before the model runs."""
    return sorted(self.get_added_vocab())


@contextmanager
def _as_target_tokenizer(self: Any) -> Iterator[None]:
    """Encodes labels within the block; `text_target=` does so in one call."""
    if hasattr(self, "_switch_to_target_mode"):
        self._switch_to_target_mode()
    self._in_target_context_manager = True
    try:
        yield
    finally:
        self._in_target_context_manager = False
        if hasattr(self, "_switch_to_input_mode"):
            self._switch_to_input_mode()


def _prepare_seq2seq_batch(
    self: Any,
    src_texts: list[str],
    tgt_texts: list[str] | None = None,
    max_length: int | None = None,
    max_target_length: int | None = None,
    padding: Any = "longest",
    return_tensors: Any = None,
    truncation: Any = True,
    **options: Any,
) -> BatchEncoding:
    """Encodes sources, and targets as `labels`."""
    options.pop("src_lang", None)
    options.pop("tgt_lang", None)
    if max_length is None:
        max_length = self.model_max_length
    common = {"padding": padding, "truncation": truncation, "return_tensors": return_tensors}
    inputs: BatchEncoding = self(src_texts, max_length=max_length, **common, **options)
    if tgt_texts is None:
        return inputs
    length = max_length if max_target_length is None else max_target_length
    with _as_target_tokenizer(self):
        labels = self(tgt_texts, max_length=length, **common, **options)
    inputs["labels"] = labels["input_ids"]
    return inputs


_METHODS: dict[str, Any] = {
    "encode_plus": _encode_plus,
    "batch_encode_plus": _batch_encode_plus,
    "prepare_for_model": PythonBackend.prepare_for_model,
    "truncate_sequences": PythonBackend.truncate_sequences,
    "build_inputs_with_special_tokens": _build_inputs_with_special_tokens,
    "create_token_type_ids_from_sequences": _create_token_type_ids_from_sequences,
    "sanitize_special_tokens": _sanitize_special_tokens,
    "as_target_tokenizer": _as_target_tokenizer,
    "prepare_seq2seq_batch": _prepare_seq2seq_batch,
    "additional_special_tokens": property(
        _additional_special_tokens, _set_additional_special_tokens
    ),
    "additional_special_tokens_ids": property(
        _additional_special_tokens_ids, _set_additional_special_tokens_ids
    ),
    "special_tokens_map_extended": property(_special_tokens_map_extended),
    "all_special_tokens_extended": property(_all_special_tokens_extended),
    "unique_no_split_tokens": property(_unique_no_split_tokens),
}

_ON_EVERY_TOKENIZER = ("encode_plus", "batch_encode_plus", "additional_special_tokens",
                       "additional_special_tokens_ids", "special_tokens_map_extended",
                       "all_special_tokens_extended", "sanitize_special_tokens",
                       "as_target_tokenizer", "prepare_seq2seq_batch")  # fmt: skip


def _constant(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def _declare() -> list[Replacement]:
    found = []
    for name, value in _METHODS.items():
        owner = PreTrainedTokenizerBase if name in _ON_EVERY_TOKENIZER else TokenizersBackend
        if not hasattr(owner, name):
            found.append(Replacement(owner, name, _constant(value)))
    found.append(
        Replacement(TokenizersBackend, "get_special_tokens_mask", _make_get_special_tokens_mask)
    )
    return found


_group = Group(_declare)


def install() -> None:
    """Puts the names of version 4 in place; importing this module has done so."""
    _group.apply("v4")


def uninstall() -> None:
    """Takes the names of version 4 away."""
    _group.revert("v4")


install()
