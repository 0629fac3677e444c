"""Promises about any text."""

from __future__ import annotations

import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests import strategies

if TYPE_CHECKING:
    from tests.conftest import Pair

NFC = ("neox", "qwen2")


def normalized(pair: Pair, text: str) -> str:
    """The text that decode gives back."""
    return unicodedata.normalize("NFC", text) if pair.name in NFC else text


@given(text=strategies.text)
def test_decode_gives_the_text_back(small: Pair, text: str) -> None:
    """Byte-level BPE loses nothing but what a normalizer or a stripping added token changes."""
    if small.name == "gpt2-prefix" or "<mask>" in text:
        return
    ids = small.ours.encode(text, add_special_tokens=False).ids
    got = small.ours.decode(ids, skip_special_tokens=False)
    if small.name in NFC:  # segments between added tokens are normalized one by one
        got, text = unicodedata.normalize("NFC", got), normalized(small, text)
    assert got == text


@given(texts=strategies.texts)
def test_batch_is_map(small: Pair, texts: list[str]) -> None:
    one_by_one = [small.ours.encode(text) for text in texts]
    for batch in (small.ours.encode_batch(texts), small.ours.encode_batch_fast(texts)):
        assert [e.ids for e in batch] == [e.ids for e in one_by_one]
    batch = small.ours.encode_batch(texts)
    assert [e.offsets for e in batch] == [e.offsets for e in one_by_one]
    assert [e.tokens for e in batch] == [e.tokens for e in one_by_one]


@given(texts=strategies.texts, special=st.booleans())
def test_ragged_is_lists(small: Pair, texts: list[str], special: bool) -> None:
    encodings = [small.ours.encode(text, add_special_tokens=special) for text in texts]
    with_offsets = small.ours.encode_ragged(texts, add_special_tokens=special, offsets=True)
    without = small.ours.encode_ragged(texts, add_special_tokens=special)
    want = [encoding.ids for encoding in encodings]
    assert with_offsets.to_list() == want
    assert without.to_list() == want
    assert with_offsets.offsets is not None
    assert [tuple(pair) for pair in with_offsets.offsets.tolist()] == [
        pair for encoding in encodings for pair in encoding.offsets
    ]


@given(text=strategies.text, special=st.booleans())
def test_encode_ids_is_encode(small: Pair, text: str, special: bool) -> None:
    ids = small.ours.encode_ids(text, add_special_tokens=special)
    assert ids.tolist() == small.ours.encode(text, add_special_tokens=special).ids


@given(texts=strategies.texts)
def test_count_is_length(small: Pair, texts: list[str]) -> None:
    want = [len(small.ours.encode(text, add_special_tokens=False)) for text in texts]
    assert list(small.ours.count_tokens(texts)) == want


@given(text=strategies.text)
def test_offsets_cover_the_text(gpt2: Pair, text: str) -> None:
    """Without normalizer and trimming, the tokens lie end to end; those of one character share its
    offsets."""
    encoding = gpt2.ours.encode(text, add_special_tokens=False)
    covered = 0
    for start, end in encoding.offsets:
        assert start <= covered <= end
        covered = max(covered, end)
    assert covered == len(text)


@given(text=strategies.text)
def test_fields_have_one_entry_a_token(small: Pair, text: str) -> None:
    encoding = small.ours.encode(text)
    for name in ("tokens", "offsets", "type_ids", "attention_mask", "special_tokens_mask"):
        assert len(getattr(encoding, name)) == len(encoding)
    for name in ("word_ids", "sequence_ids"):
        assert len(getattr(encoding, name)) == len(encoding)


@given(text=strategies.text)
def test_the_maps_are_inverse(small: Pair, text: str) -> None:
    encoding = small.ours.encode(text, add_special_tokens=False)
    for token in range(len(encoding)):
        start, end = encoding.token_to_chars(token)
        if start < end:
            found = encoding.char_to_token(start)
            assert found is not None
            assert encoding.offsets[found][0] <= start < encoding.offsets[found][1]


@given(texts=st.lists(strategies.text, min_size=8, max_size=16))
def test_threads_agree(gpt2: Pair, texts: list[str]) -> None:
    want = [gpt2.ours.encode(text).ids for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda text: gpt2.ours.encode(text).ids, texts)) == want


@given(text=strategies.text, parts=st.integers(1, 5))
def test_stream_is_decode(small: Pair, text: str, parts: int) -> None:
    """The pieces of a stream, joined, are the whole text when it ends on a whole character."""
    if "\ufffd" in text:
        return
    ids = small.ours.encode(text * parts, add_special_tokens=False).ids
    stream = small.ours.decode_stream(skip_special_tokens=False)
    pieces = [piece for token_id in ids if (piece := stream.step(token_id)) is not None]
    assert all("\ufffd" not in piece for piece in pieces)
    assert "".join(pieces) == small.ours.decode(ids, skip_special_tokens=False)
