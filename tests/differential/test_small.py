"""Small tokenizers of every family against `tokenizers`, field by field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import ledger, strategies
from tests.compare import assert_same_batch, assert_same_bulk, assert_same_fields, assert_same_maps
from tests.conftest import REQUIRE_PARITY, SEED, Pair
from tests.families import DATA
from tests.random_text import random_strings

STRINGS = 1000


@given(text=strategies.text, special=st.booleans())
def test_hypothesis_text(small: Pair, text: str, special: bool) -> None:
    got = small.ours.encode(text, add_special_tokens=special)
    want = small.reference.encode(text, add_special_tokens=special)
    assert_same_fields(got, want, text)


@given(text=strategies.text)
def test_maps(small: Pair, text: str) -> None:
    got, want = small.ours.encode(text), small.reference.encode(text)
    step = max(len(text) // 40, 1)
    assert_same_maps(got, want, text, [*range(0, len(text) + 3, step), len(text) - 1, len(text)])


@given(text=strategies.text, pair=strategies.text, special=st.booleans())
def test_pairs(small: Pair, text: str, pair: str, special: bool) -> None:
    got = small.ours.encode(text, pair, add_special_tokens=special)
    want = small.reference.encode(text, pair, add_special_tokens=special)
    assert_same_fields(got, want, (text, pair))
    step = max(max(len(text), len(pair)) // 20, 1)
    assert_same_maps(got, want, (text, pair), range(0, max(len(text), len(pair)) + 2, step))


@given(words=strategies.words, pair=st.none() | strategies.words, special=st.booleans())
def test_words(small: Pair, words: list[str], pair: list[str] | None, special: bool) -> None:
    """Text that is already split: offsets count within each word, word ids number the words."""
    options = {"is_pretokenized": True, "add_special_tokens": special}
    got = small.ours.encode(words, pair, **options)
    want = small.reference.encode(words, pair, **options)
    assert_same_fields(got, want, (words, pair))
    assert_same_maps(got, want, (words, pair), range(12))


@given(inputs=st.lists(strategies.text | st.tuples(strategies.text, strategies.text), max_size=6))
def test_mixed_batches(small: Pair, inputs: list[str | tuple[str, str]]) -> None:
    assert_same_batch(small.ours, small.reference, inputs)


@given(
    inputs=st.lists(strategies.words | st.tuples(strategies.words, strategies.words), max_size=4)
)
def test_mixed_batches_of_words(small: Pair, inputs: list[list[str]]) -> None:
    assert_same_batch(small.ours, small.reference, inputs, is_pretokenized=True)


def test_random_strings(small: Pair) -> None:
    texts = random_strings(SEED, STRINGS, small.specials)
    for special in (True, False):
        assert_same_bulk(
            small.ours, small.reference, texts, add_special_tokens=special, decode=True
        )
    assert_same_batch(small.ours, small.reference, texts[:200], maps=True)
    ledger.record(small.name, "random strings (small tokenizers)", texts)


def test_every_code_point(small: Pair) -> None:
    """Each code point between a letter, a blank and a digit: scanners and patterns agree.

    By default beyond U+3000 every seventh only; the Rust tests compare the scanners on all of them.
    """
    codes = range(0x110000) if REQUIRE_PARITY else [*range(0x3000), *range(0x3000, 0x20000, 7)]
    characters = [chr(code) for code in codes if not 0xD800 <= code < 0xE000]
    for form in (" {0}a{0} 1{0}", "{0}'s A{0}b{0}\n"):
        texts = [
            "".join(form.format(character) for character in characters[start : start + 64])
            for start in range(0, len(characters), 64)
        ]
        assert_same_bulk(small.ours, small.reference, texts, add_special_tokens=False)


@pytest.mark.parametrize("copies", [1, 40])
def test_training_text_as_one_document(small: Pair, copies: int) -> None:
    """A document long enough to be split over threads."""
    text = (DATA / "training.txt").read_text(encoding="utf-8") * copies
    got, want = small.ours.encode(text), small.reference.encode(text)
    assert_same_fields(got, want, text[:50])
    assert small.ours.decode(got.ids) == small.reference.decode(want.ids)


@pytest.mark.parametrize(
    "unit", ["a", " ", "\n", "0", "!", "ab", "\u0301", "\u4e2d", "'s", " a", "\r\n", "<|"]
)
@pytest.mark.parametrize("size", [1000, 40_000])
def test_long_runs(small: Pair, unit: str, size: int) -> None:
    text = unit * (size // len(unit))
    for prefix in ("", "x "):
        assert_same_bulk(
            small.ours, small.reference, [prefix + text, text + " y"], add_special_tokens=False
        )
