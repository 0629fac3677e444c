"""Added tokens with every flag against `tokenizers`: ids, splitting, offsets, decoding."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import penstock
import pytest
import tokenizers
from hypothesis import assume, given
from hypothesis import strategies as st

from tests import strategies
from tests.compare import assert_same_fields
from tests.conftest import Pair

if TYPE_CHECKING:
    from tests.families import Json

CONTENTS = [
    "<x>",
    "word",
    "ing",
    " lead",
    "trail ",
    "a b",
    "\u00e9",
    "e\u0301",
    "\u4e2d",
    "<|",
    "<x><x>",
    "'s",
    "\n",
    "1",
    "A",
]

tokens = st.lists(
    st.tuples(st.sampled_from(CONTENTS), strategies.added_token_flags, st.booleans()),
    min_size=1,
    max_size=5,
)

sentences = st.lists(
    st.sampled_from(
        [*CONTENTS, " ", "  ", "\n", "words", "a", "_", "x", ".", "wording", "WORD", "\u0301", "-"]
    )
    | strategies.hard_piece,
    max_size=12,
).map("".join)

NORMALIZERS: dict[str, Json | None] = {
    "none": None,
    "nfc": {"type": "NFC"},
    "lowercase": {"type": "Lowercase"},
    "nfkc-lower": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]},
    "prepend": {"type": "Prepend", "prepend": "_"},
}


def pair_with(small_json: dict[str, Json], normalizer: Json | None) -> Pair:
    value = json.loads(json.dumps(small_json["gpt2"]))
    value["normalizer"] = normalizer
    return Pair.load("gpt2", json.dumps(value))


def add(pair: Pair, chosen: list[tuple[str, dict[str, bool], bool]]) -> None:
    """Adds the same tokens to both, one call each, as special or not.

    Of two that the normalizer makes one the reference finds the first in a randomly seeded map.
    """
    normalizer = pair.reference.normalizer
    contents = {content for content, flags, _ in chosen if flags["normalized"]}
    found = {normalizer.normalize_str(content) if normalizer else content for content in contents}
    assume(len(found) == len(contents))
    for content, flags, special in chosen:
        ours = penstock.AddedToken(content, special=special, **flags)
        theirs = tokenizers.AddedToken(content, special=special, **flags)
        method = "add_special_tokens" if special else "add_tokens"
        assert getattr(pair.ours, method)([ours]) == getattr(pair.reference, method)([theirs])


@pytest.mark.parametrize("normalizer", NORMALIZERS)
@given(chosen=tokens, text=sentences, words=st.lists(sentences, max_size=4))
def test_flags(
    small_json: dict[str, Json],
    normalizer: str,
    chosen: list[tuple[str, dict[str, bool], bool]],
    text: str,
    words: list[str],
) -> None:
    pair = pair_with(small_json, NORMALIZERS[normalizer])
    add(pair, chosen)
    assert pair.ours.get_vocab() == pair.reference.get_vocab()
    got, want = pair.ours.encode(text), pair.reference.encode(text)
    assert_same_fields(got, want, text)
    for skip in (True, False):
        assert pair.ours.decode(want.ids, skip_special_tokens=skip) == pair.reference.decode(
            want.ids, skip_special_tokens=skip
        )
    assert_same_fields(
        pair.ours.encode(words, is_pretokenized=True),
        pair.reference.encode(words, is_pretokenized=True),
        words,
    )
    ragged = pair.ours.encode_ragged([text], offsets=True)
    assert ragged.values.tolist() == want.ids
    assert ragged.offsets is not None
    assert [tuple(offset) for offset in ragged.offsets.tolist()] == want.offsets


def test_ids_of_new_tokens(small_json: dict[str, Json]) -> None:
    """Known content keeps its id, new content gets the next free one, twice the same counts
    once."""
    pair = pair_with(small_json, None)
    for method, contents in [
        ("add_tokens", ["the", "new1", "new2", "new1"]),
        ("add_special_tokens", ["new2", "new3", "<|endoftext|>"]),
        ("add_tokens", ["", "new3"]),
        ("add_tokens", []),
    ]:
        got = getattr(pair.ours, method)(contents)
        assert got == getattr(pair.reference, method)(contents), (method, contents)
        assert pair.ours.get_vocab() == pair.reference.get_vocab()
        assert pair.ours.get_vocab_size() == pair.reference.get_vocab_size()
    for text in ("new1new2new3", " new2 the", "new", "new3<|endoftext|>"):
        assert_same_fields(pair.ours.encode(text), pair.reference.encode(text), text)


def test_plain_strings_and_objects_mix(tokenizer: penstock.Tokenizer, gpt2: Pair) -> None:
    reference = tokenizers.Tokenizer.from_str(gpt2.reference.to_str())
    assert tokenizer.add_tokens(["p", penstock.AddedToken("q", lstrip=True)]) == (
        reference.add_tokens(["p", tokenizers.AddedToken("q", lstrip=True)])
    )
    assert tokenizer.encode("a q p").ids == reference.encode("a q p").ids


def test_many_tokens_in_one_pass(tokenizer: penstock.Tokenizer, gpt2: Pair) -> None:
    """Thousands of added tokens, overlapping ones among them."""
    reference = tokenizers.Tokenizer.from_str(gpt2.reference.to_str())
    contents = [f"<t{i}>" for i in range(3000)] + [f"<t{i}><t{i}>" for i in range(0, 3000, 100)]
    assert tokenizer.add_tokens(contents) == reference.add_tokens(contents)
    text = " ".join(f"<t{i * 7 % 3100}><t{i * 50 % 3000}><t{i * 50 % 3000}>x" for i in range(2000))
    assert_same_fields(tokenizer.encode(text), reference.encode(text), "<t...>")


@given(text=strategies.text)
def test_encode_special_tokens(small_json: dict[str, Json], text: str) -> None:
    """With `encode_special_tokens`, special tokens in the text are ordinary text."""
    pair = pair_with(small_json, None)
    pair.reference.encode_special_tokens = True
    pair.ours.encode_special_tokens = True
    assert pair.ours.encode_special_tokens is True
    assert_same_fields(pair.ours.encode(text), pair.reference.encode(text), text)


def test_added_token_is_a_value() -> None:
    token = penstock.AddedToken("<x>", lstrip=True)
    reference = tokenizers.AddedToken("<x>", lstrip=True)
    for name in ("content", "single_word", "lstrip", "rstrip", "normalized", "special"):
        assert getattr(token, name) == getattr(reference, name)
    assert token == penstock.AddedToken("<x>", lstrip=True)
    assert token != penstock.AddedToken("<x>")
    assert str(token) == "<x>"


@pytest.mark.parametrize("call", ["add_tokens", "add_special_tokens"])
def test_normalized_follows_special(small_json: dict[str, Json], call: str) -> None:
    """A token that leaves `normalized` open is searched for in the raw text once it is special."""
    config = json.dumps({**small_json["gpt2"], "normalizer": {"type": "Lowercase"}})
    pair = Pair.load("lowercase", config)
    for package, tokenizer in ((penstock, pair.ours), (tokenizers, pair.reference)):
        tokens: list[Any] = [
            package.AddedToken("<Open>"),
            package.AddedToken("<Yes>", normalized=True),
            package.AddedToken("<No>", normalized=False),
            "<Str>",
        ]
        assert getattr(tokenizer, call)(tokens) == 4
    for text in ("a <Open> <open> <Yes> <yes> <No> <no> <Str> <str>",):
        assert_same_fields(pair.ours.encode(text), pair.reference.encode(text), text)
    assert pair.ours.to_str() == pair.reference.to_str()
