"""The real tokenizers on a million random strings, against `tokenizers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from tokenizers.decoders import DecodeStream

from tests import ledger, strategies
from tests.compare import assert_same_batch, assert_same_bulk, assert_same_fields, assert_same_maps
from tests.conftest import RANDOM_STRINGS, SEED, Pair
from tests.families import PARITY_FAMILIES
from tests.random_text import SPECIALS, random_strings

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 10_000


def test_random_strings(real: Pair, fixtures: Path) -> None:
    """Ids, offsets and both ways of decoding; every tokenizer has strings of its own."""
    base = SEED + 1_000_000 * PARITY_FAMILIES.index(real.name)
    specials = [*SPECIALS, *real.specials[:40]]
    for start in range(0, RANDOM_STRINGS, CHUNK):
        count = min(CHUNK, RANDOM_STRINGS - start)
        texts = random_strings(base + start, count, specials)
        special = start // CHUNK % 2 == 0
        assert_same_bulk(
            real.ours, real.reference, texts, add_special_tokens=special, decode=start == 0
        )
        if start == 0:
            assert_same_batch(real.ours, real.reference, texts[:3000])
            assert_same_batch(real.ours, real.reference, texts[:100], maps=True)
        ledger.record(real.name, "random strings", texts)


@given(text=strategies.text, pair=st.none() | strategies.text, special=st.booleans())
def test_hypothesis_text(
    real: Pair, fixtures: Path, text: str, pair: str | None, special: bool
) -> None:
    got = real.ours.encode(text, pair, add_special_tokens=special)
    want = real.reference.encode(text, pair, add_special_tokens=special)
    assert_same_fields(got, want, (text, pair))
    assert_same_maps(got, want, (text, pair), range(20))


@given(data=st.data(), skip=st.booleans())
def test_decode_and_stream_any_ids(
    real: Pair, fixtures: Path, data: st.DataObject, skip: bool
) -> None:
    bound = real.reference.get_vocab_size()
    ids = data.draw(st.lists(st.integers(0, bound + 5), max_size=30))
    assert real.ours.decode(ids, skip_special_tokens=skip) == (
        real.reference.decode(ids, skip_special_tokens=skip)
    )
    ours, reference = (
        real.ours.decode_stream(skip_special_tokens=skip),
        DecodeStream(skip_special_tokens=skip),
    )
    for token_id in (token_id for token_id in ids if token_id < bound):
        try:
            want = reference.step(real.reference, token_id)
        except Exception:
            return
        assert ours.step(token_id) == want


def test_vocabulary(real: Pair, fixtures: Path) -> None:
    for added in (True, False):
        assert real.ours.get_vocab(with_added_tokens=added) == real.reference.get_vocab(added)
    got, want = real.ours.get_added_tokens_decoder(), real.reference.get_added_tokens_decoder()
    assert list(got) == list(want)
    for token_id, token in want.items():
        for name in ("content", "single_word", "lstrip", "rstrip", "normalized", "special"):
            assert getattr(got[token_id], name) == getattr(token, name)
    ledger.record(real.name, "vocabularies", [real.name])
