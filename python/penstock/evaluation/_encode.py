"""Texts of requests become token ids, in batches, each distinct text once.

Contexts and continuations are cut apart as lm-eval does it: a context's trailing blanks belong to
the continuation, both are tokenized as one text, and the context's own token count says where the
continuation begins.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock._tokenizer import Tokenizer
from penstock.errors import MissingDependencyError, PenstockError, TaskError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    Ids = NDArray[np.int32]

_TEXTS_AT_ONCE = 2048
"""Texts in one call: enough to keep every core busy, little enough to keep memory flat."""


class TextEncoder:
    """A tokenizer as evaluation needs it: texts to arrays, ids to text, and a few special ids.

    Args:
        tokenizer: A tokenizer of transformers, a `penstock.Tokenizer`, or a folder or name that
            transformers loads one from.
        config: The model's configuration, which names the special ids of a `penstock.Tokenizer`.
        adds: Whether texts get the tokenizer's special tokens.
        prefix_id: The token before a document; BOS, else EOS, when None.
    """

    def __init__(
        self,
        tokenizer: Any,
        config: Any = None,
        *,
        adds: bool = True,
        prefix_id: int | None = None,
    ) -> None:
        if isinstance(tokenizer, Tokenizer):
            self.stock: Any = None
            self._alone = tokenizer
            self._native: Tokenizer | None = tokenizer
            special = config
        else:
            self.stock = tokenizer
            self._native = _native(tokenizer)
            special = tokenizer
        self.bos_id: int | None = _first(getattr(special, "bos_token_id", None))
        self.eos_id: int | None = _first(getattr(special, "eos_token_id", None))
        pad = _first(getattr(special, "pad_token_id", None))
        unk = getattr(special, "unk_token_id", None)
        self.pad_id: int = next(i for i in (pad, unk, self.eos_id, 0) if i is not None)
        self._adds = adds
        self.prefix_id: int | None = prefix_id
        if prefix_id is None:
            self.prefix_id = self.bos_id if self.bos_id is not None else self.eos_id
        self._prefix = (
            None if self.prefix_id is None else self.decode([self.prefix_id], special=True)
        )

    def encode(self, texts: Sequence[str], *, special: bool | None = None) -> list[Ids]:
        """Token ids of texts.

        Args:
            texts: The texts.
            special: Let the tokenizer add its tokens; None does so unless a text begins with the
                prefix token already.
        """
        if special is not None:
            return self._encode(texts, special)
        if not self._prefix or not any(text.startswith(self._prefix) for text in texts):
            return self._encode(texts, self._adds)
        plain = [text.startswith(self._prefix) for text in texts]
        rows: list[Any] = [None] * len(texts)
        for begins in (False, True):
            chosen = [i for i, flag in enumerate(plain) if flag == begins]
            found = self._encode([texts[i] for i in chosen], self._adds and not begins)
            for i, ids in zip(chosen, found, strict=True):
                rows[i] = ids
        return rows

    def encode_unique(self, texts: Iterable[str], *, special: bool | None = None) -> dict[str, Ids]:
        """Token ids by text, each distinct text tokenized once."""
        unique = list(dict.fromkeys(texts))
        found: dict[str, Ids] = {}
        for start in range(0, len(unique), _TEXTS_AT_ONCE):
            part = unique[start : start + _TEXTS_AT_ONCE]
            found.update(zip(part, self.encode(part, special=special), strict=True))
        return found

    def encode_each(self, texts: Sequence[str]) -> Iterator[Ids]:
        """Token ids of each text in turn; texts are tokenized some thousands at a time."""
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = texts[start : start + _TEXTS_AT_ONCE]
            found = self.encode_unique(part)
            yield from (found[text] for text in part)

    def encode_pairs(
        self, pairs: Sequence[tuple[str, ...]], *, joint: bool
    ) -> Iterator[tuple[Ids, Ids]]:
        """Token ids of contexts and continuations, in turn.

        Args:
            pairs: Contexts and continuations. An empty context stands for the prefix token.
            joint: Tokenize both as one text (decoder-only models), or each alone.

        Raises:
            TaskError: A context is empty and the tokenizer has no prefix token.
        """
        for start in range(0, len(pairs), _TEXTS_AT_ONCE):
            yield from self._encode_pairs(pairs[start : start + _TEXTS_AT_ONCE], joint)

    def _encode_pairs(
        self, pairs: Sequence[tuple[str, ...]], joint: bool
    ) -> Iterator[tuple[Ids, Ids]]:
        shifted = [_shift(context, continuation) for context, continuation in pairs]
        contexts = self.encode_unique(context for context, _ in shifted if context)
        if joint:
            wholes = self.encode_unique(a + b for a, b in shifted if a)
            alone = self.encode_unique((b for a, b in shifted if not a), special=False)
        else:
            alone = self.encode_unique((b for _, b in shifted), special=False)
        for context, continuation in shifted:
            if not context:
                yield self._after_prefix(alone[continuation])
            elif joint:
                ids = contexts[context]
                yield ids, wholes[context + continuation][len(ids) :]
            else:
                yield contexts[context], alone[continuation]

    def encode_for_head(
        self, texts: Sequence[tuple[str, ...]], max_length: int, *, truncate: bool
    ) -> Iterator[tuple[Ids, Ids | None]]:
        """Token ids and type ids of texts or pairs in turn, for a classification head."""
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = texts[start : start + _TEXTS_AT_ONCE]
            yield from self._encode_for_head(part, max_length, truncate)

    def _encode_for_head(
        self, texts: Sequence[tuple[str, ...]], max_length: int, truncate: bool
    ) -> list[tuple[Ids, Ids | None]]:
        firsts = [text[0] for text in texts]
        seconds = [text[1] for text in texts] if len(texts[0]) > 1 else None
        if self.stock is None:
            encodings = self._alone.encode_batch(
                list(zip(firsts, seconds, strict=True)) if seconds else firsts
            )
            return [(_array(e.ids[:max_length] if truncate else e.ids), None) for e in encodings]
        batch = self.stock(
            firsts,
            seconds,
            truncation=truncate,
            max_length=max_length if truncate else None,
            verbose=False,
        )
        types = batch.get("token_type_ids")
        return [
            (_array(ids), None if types is None else _array(types[row]))
            for row, ids in enumerate(batch["input_ids"])
        ]

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str:
        """Text of token ids; special tokens are left out unless asked for."""
        if self.stock is None:
            return self._alone.decode(ids, skip_special_tokens=not special)
        return str(self.stock.decode(ids, skip_special_tokens=not special))

    def decode_rows(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Texts of several sequences, special tokens included."""
        if self._native is not None:
            return self._native.decode_batch(rows, skip_special_tokens=False)
        return list(self.stock.batch_decode(rows))

    def digest(self) -> str:
        """Names the tokenizer: what it does with text, and its special tokens."""
        hasher = hashlib.sha256()
        if self.stock is None:
            native: Any = self._native
            described = native.to_str() if hasattr(native, "to_str") else native.description()
            hasher.update(json.dumps([described, native.get_vocab()], sort_keys=True).encode())
        else:
            backend = getattr(self.stock, "backend_tokenizer", None)
            described = (
                backend.to_str() if backend is not None else sorted(self.stock.get_vocab().items())
            )
            special = {key: str(value) for key, value in self.stock.special_tokens_map.items()}
            hasher.update(json.dumps([described, special], sort_keys=True).encode())
        return hasher.hexdigest()

    def _encode(self, texts: Sequence[str], special: bool) -> list[Ids]:
        if not texts:
            return []
        if self._native is not None:
            ragged = self._native.encode_ragged(list(texts), add_special_tokens=special)
            return [row.astype(np.int32) for row in ragged]
        batch = self.stock(
            list(texts),
            add_special_tokens=special,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        return [_array(ids) for ids in batch["input_ids"]]

    def _after_prefix(self, ids: Ids) -> tuple[Ids, Ids]:
        if self.prefix_id is None:
            raise TaskError("a context is empty, and the tokenizer has no BOS or EOS token")
        if len(ids) and ids[0] == self.prefix_id:
            return ids[:1], ids[1:]
        return _array([self.prefix_id]), ids


def load_tokenizer(tokenizer: Any) -> Any:
    """A tokenizer from a folder or a name; an object is returned as it is.

    Raises:
        TaskError: transformers does not load it.
    """
    if not isinstance(tokenizer, (str, bytes)) and not hasattr(tokenizer, "__fspath__"):
        return tokenizer
    path: str | os.PathLike[str] = tokenizer
    try:
        from penstock.transformers import AutoTokenizer
    except ImportError as error:
        message = "evaluation needs transformers: pip install 'penstock[evaluate]'"
        raise MissingDependencyError(message) from error
    try:
        return AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError) as error:
        raise TaskError(f"no tokenizer loads from {path}: {error}") from error


def _native(tokenizer: Any) -> Tokenizer | None:
    """The tokenizer's pipeline in our core, or None where it does not run there."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or getattr(tokenizer, "split_special_tokens", False):
        return None
    description = json.loads(backend.to_str())
    # A call of transformers sets both anew.
    description["truncation"] = description["padding"] = None
    try:
        return Tokenizer.from_str(json.dumps(description))
    except PenstockError:
        return None


def _shift(context: str, continuation: str) -> tuple[str, str]:
    """Moves the blanks at a context's end to the continuation."""
    blanks = len(context) - len(context.rstrip())
    if not context or not blanks:
        return context, continuation
    return context[:-blanks], context[-blanks:] + continuation


def _first(value: Any) -> int | None:
    """The first of several ids, or the only one."""
    if isinstance(value, (list, tuple)):
        return int(value[0]) if value else None
    return None if value is None else int(value)


def _array(ids: Any) -> Ids:
    return np.asarray(ids, dtype=np.int32)
