"""Decoding against `tokenizers`: any ids, broken characters, special tokens, streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from tokenizers.decoders import DecodeStream

from tests import strategies

if TYPE_CHECKING:
    from tests.conftest import Pair

ids = st.lists(st.integers(0, 2800), max_size=40)
"""Ids of the small vocabularies and a few beyond them, which the reference passes over."""


@given(ids=ids, skip=st.booleans())
def test_any_ids(small: Pair, ids: list[int], skip: bool) -> None:
    got = small.ours.decode(ids, skip_special_tokens=skip)
    assert got == small.reference.decode(ids, skip_special_tokens=skip)


@given(rows=st.lists(ids, max_size=8), skip=st.booleans())
def test_batches(small: Pair, rows: list[list[int]], skip: bool) -> None:
    got = small.ours.decode_batch(rows, skip_special_tokens=skip)
    assert got == small.reference.decode_batch(rows, skip_special_tokens=skip)


@given(ids=ids, skip=st.booleans())
def test_streams_of_any_ids(small: Pair, ids: list[int], skip: bool) -> None:
    """Step by step the same answer, None included, and an error at the same step."""
    ours = small.ours.decode_stream(skip_special_tokens=skip)
    reference = DecodeStream(skip_special_tokens=skip)
    for position, token_id in enumerate(ids):
        try:
            want = reference.step(small.reference, token_id)
        except Exception:
            try:
                got = ours.step(token_id)
            except Exception:
                return
            raise AssertionError(
                f"{ids[: position + 1]}: the reference raises, ours {got!r}"
            ) from None
        assert ours.step(token_id) == want, ids[: position + 1]


@given(text=strategies.text, skip=st.booleans())
def test_streams_of_text(small: Pair, text: str, skip: bool) -> None:
    ours = small.ours.decode_stream(skip_special_tokens=skip)
    reference = DecodeStream(skip_special_tokens=skip)
    for token_id in small.reference.encode(text).ids:
        assert ours.step(token_id) == reference.step(small.reference, token_id)
