"""Comparing with the reference: every field of an encoding, or ids and offsets in bulk."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import penstock
    import tokenizers

FIELDS = (
    "ids",
    "type_ids",
    "tokens",
    "offsets",
    "attention_mask",
    "special_tokens_mask",
    "word_ids",
    "sequence_ids",
    "n_sequences",
)

BATCH = 2000
"""Texts per reference call: its encodings take about 100 bytes a token."""


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns, or the fact that it raises: both sides must do the same."""
    try:
        return call()
    except Exception:
        return "raises"
    except BaseException as error:
        # What PyO3 makes of a panic of the reference; nothing else may pass.
        if type(error).__name__ != "PanicException":
            raise
        return "raises"


def assert_same_fields(
    ours: penstock.Encoding, reference: tokenizers.Encoding, text: object
) -> None:
    """Every attribute, and the length."""
    for name in FIELDS:
        got, want = getattr(ours, name), getattr(reference, name)
        if got != want:
            raise AssertionError(
                f"{name} differ on {text!r}\n  ours      {got}\n  reference {want}"
            )
    assert len(ours) == len(reference)
    mine, theirs = ours.overflowing, reference.overflowing
    if len(mine) != len(theirs):
        raise AssertionError(f"{len(mine)} overflowing parts, not {len(theirs)}, on {text!r}")
    for part, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        assert_same_fields(a, b, ("overflowing", part, text))


def assert_same_maps(
    ours: penstock.Encoding,
    reference: tokenizers.Encoding,
    text: object,
    positions: Sequence[int] | None = None,
) -> None:
    """The maps between characters, words and tokens, at the given positions and a little beyond the
    end."""
    positions = range(len(reference) + 3) if positions is None else positions
    for position in positions:
        for name in ("token_to_chars", "token_to_word", "token_to_sequence"):
            _assert_same_call(ours, reference, name, (position,), text)
        for sequence in range(max(reference.n_sequences, 1) + 1):
            for name in ("char_to_token", "char_to_word", "word_to_tokens", "word_to_chars"):
                _assert_same_call(ours, reference, name, (position, sequence), text)


def _assert_same_call(
    ours: penstock.Encoding,
    reference: tokenizers.Encoding,
    name: str,
    arguments: tuple[int, ...],
    text: object,
) -> None:
    got = outcome(lambda: getattr(ours, name)(*arguments))
    want = outcome(lambda: getattr(reference, name)(*arguments))
    assert got == want, f"{name}{arguments} on {text!r}: ours {got}, reference {want}"


def assert_same_batch(
    ours: penstock.Tokenizer,
    reference: tokenizers.Tokenizer,
    inputs: Sequence[Any],
    *,
    maps: bool = False,
    is_pretokenized: bool = False,
    add_special_tokens: bool = True,
) -> None:
    """Every field of every encoding of a batch (texts, pairs, words or pairs of words)."""
    options = {"is_pretokenized": is_pretokenized, "add_special_tokens": add_special_tokens}
    for start in range(0, len(inputs), BATCH):
        part = list(inputs[start : start + BATCH])
        want = reference.encode_batch(part, **options)
        got = ours.encode_batch(part, **options)
        assert len(got) == len(want)
        for mine, theirs, text in zip(got, want, part, strict=True):
            assert_same_fields(mine, theirs, text)
            if maps:
                assert_same_maps(mine, theirs, text)


def columns(
    encodings: Sequence[tokenizers.Encoding],
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Ids, row ends and offsets of the reference as arrays in the form of `Ragged`."""
    lengths = [len(encoding) for encoding in encodings]
    count = sum(lengths)
    rows = np.zeros(len(encodings) + 1, dtype=np.int64)
    np.cumsum(lengths, out=rows[1:])
    ids = np.fromiter(chain.from_iterable(e.ids for e in encodings), np.uint32, count)
    flat = chain.from_iterable(chain.from_iterable(e.offsets for e in encodings))
    offsets = np.fromiter(flat, np.uint32, 2 * count).reshape(count, 2)
    return ids, rows, offsets


def assert_same_bulk(
    ours: penstock.Tokenizer,
    reference: tokenizers.Tokenizer,
    texts: Sequence[str],
    *,
    add_special_tokens: bool = True,
    decode: bool = False,
) -> None:
    """Ids and offsets of many texts at once, and what they decode to; on failure, the smallest text
    found."""
    for start in range(0, len(texts), BATCH):
        part = list(texts[start : start + BATCH])
        want = reference.encode_batch(part, add_special_tokens=add_special_tokens)
        ids, rows, offsets = columns(want)
        got = ours.encode_ragged(part, add_special_tokens=add_special_tokens, offsets=True)
        if not (
            np.array_equal(got.values, ids)
            and np.array_equal(got.row_offsets, rows)
            and np.array_equal(got.offsets, offsets)
        ):
            raise AssertionError(_first_difference(ours, reference, part, add_special_tokens))
        if decode:
            lists = [encoding.ids for encoding in want]
            for skip in (True, False):
                mine = ours.decode_batch(lists, skip_special_tokens=skip)
                theirs = reference.decode_batch(lists, skip_special_tokens=skip)
                for row, (a, b) in enumerate(zip(mine, theirs, strict=True)):
                    assert a == b, f"decode of {lists[row]} (skip_special_tokens={skip})"


def _first_difference(
    ours: penstock.Tokenizer, reference: tokenizers.Tokenizer, texts: Sequence[str], special: bool
) -> str:
    def results(text: str) -> tuple[Any, Any]:
        ragged = ours.encode_ragged([text], add_special_tokens=special, offsets=True)
        mine = (ragged.values.tolist(), [tuple(pair) for pair in ragged.offsets.tolist()])
        theirs = reference.encode(text, add_special_tokens=special)
        return mine, (theirs.ids, theirs.offsets)

    def differs(text: str) -> bool:
        mine, theirs = results(text)
        return bool(mine != theirs)

    bad = [text for text in texts if differs(text)]
    if not bad:
        return f"the batch of {len(texts)} texts differs, its texts one by one do not"
    small = shrink(min(bad, key=len), differs)
    mine, theirs = results(small)
    return (
        f"{len(bad)} of {len(texts)} texts differ; the shortest shrinks to {small!r}"
        f"\n  ours      {mine}\n  reference {theirs}"
    )


def shrink(text: str, differs: Callable[[str], bool]) -> str:
    """Cuts pieces out of a text while it still differs.

    >>> shrink("hello world", lambda text: "w" in text)
    'w'
    """
    size = max(len(text) // 2, 1)
    while size:
        start = 0
        while start < len(text):
            shorter = text[:start] + text[start + size :]
            if len(shorter) < len(text) and differs(shorter):
                text = shorter
            else:
                start += size
        size //= 2
    return text
