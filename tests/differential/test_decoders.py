"""Random chains of decoders over a vocabulary of awkward tokens, against `tokenizers`."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import penstock
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compare import outcome
from tests.conftest import Pair

if TYPE_CHECKING:
    from tests.families import Json

WORDS = [
    *("▁", "▁a", "a", "b▁", "▁▁", "##", "##s", "a##", "</w>", "lo</w>", "w</w>er", "|", "|b"),
    *("<pad>", "x<pad>", " ", "  ", " a", "a ", " .", ".", "?", "!", ",", "'", "'s", "'m", "n't"),
    *("do not", "'ve", "'re", " ' ", "é", "漢", "😀", "Ġ", "Ġhi", "Ã", "©", "H", "HH", "HeH"),
    *("<0x+A>", "<0xZZ>", "<0x0a>"),
]
TOKENS = ["<s>", "<unk>", *WORDS, *(f"<0x{byte:02X}>" for byte in range(256))]
ADDED = [("<s>", True), ("▁new ", False), ("##new", False), ("<0x41>", False)]

text = st.sampled_from(["▁", " ", "a", "", "H", "é", ".", "▁a", "##"])
byte_level = st.fixed_dictionaries(
    {"type": st.just("ByteLevel"), "add_prefix_space": st.booleans(), "trim_offsets": st.booleans()}
)
simple: st.SearchStrategy[Json] = st.one_of(
    st.sampled_from([{"type": "Fuse"}, {"type": "ByteFallback"}]),
    byte_level,
    st.builds(
        lambda prefix, cleanup: {"type": "WordPiece", "prefix": prefix, "cleanup": cleanup},
        st.sampled_from(["##", "", "▁"]),
        st.booleans(),
    ),
    st.builds(lambda suffix: {"type": "BPEDecoder", "suffix": suffix}, text),
    st.builds(
        lambda replacement, scheme, split: {
            "type": "Metaspace",
            "replacement": replacement,
            "prepend_scheme": scheme,
            "split": split,
        },
        st.sampled_from("▁ a"),
        st.sampled_from(["first", "never", "always"]),
        st.booleans(),
    ),
    st.builds(
        lambda pad, delimiter, cleanup: {
            "type": "CTC",
            "pad_token": pad,
            "word_delimiter_token": delimiter,
            "cleanup": cleanup,
        },
        st.sampled_from(["<pad>", "", "a"]),
        st.sampled_from(["|", "▁", ""]),
        st.booleans(),
    ),
    st.builds(
        lambda pattern, content: {"type": "Replace", "pattern": pattern, "content": content},
        st.builds(lambda value: {"String": value}, text)
        | st.builds(
            lambda value: {"Regex": value}, st.sampled_from(["▁", "a*", r"\s+", "^ ", "$"])
        ),
        text,
    ),
    st.builds(
        lambda content, start, stop: {
            "type": "Strip",
            "content": content,
            "start": start,
            "stop": stop,
        },
        st.sampled_from(" H▁"),
        st.integers(0, 3),
        # The reference panics on tokens that are shorter than what may be stripped at the end.
        st.just(0),
    ),
)
decoders = simple | st.lists(simple, max_size=4).map(
    lambda parts: {"type": "Sequence", "decoders": parts}
)
ids = st.lists(st.integers(0, len(TOKENS) + 8), max_size=12)


def tokenizer_json(decoder: Json | None) -> Json:
    """A tokenizer with a decoder; the rest is as plain as can be."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": 0,
                "content": content,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": special,
            }
            for content, special in ADDED
        ],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": decoder,
        "model": {
            "type": "WordLevel",
            "vocab": {token: index for index, token in enumerate(TOKENS)},
            "unk_token": "<unk>",
        },
    }


@settings(max_examples=settings().max_examples * 10)
@given(decoder=decoders, rows=st.lists(ids, min_size=1, max_size=4), skip=st.booleans())
def test_random_chains(decoder: Json, rows: list[list[int]], skip: bool) -> None:
    pair = Pair.load("decoder", json.dumps(tokenizer_json(decoder)))
    for row in rows:
        want = outcome(partial(pair.reference.decode, row, skip_special_tokens=skip))
        assert pair.ours.decode(row, skip_special_tokens=skip) == want
        assert pair.ours.decode_batch([row], skip_special_tokens=skip) == [want]
        compare_streams(pair, row, skip)


def compare_streams(pair: Pair, row: list[int], skip: bool) -> None:
    """Both give out the same pieces, or fail at the same step."""
    mine = pair.ours.decode_stream(skip_special_tokens=skip)
    theirs = tokenizers.decoders.DecodeStream(skip_special_tokens=skip)
    for token in row:
        want = outcome(partial(theirs.step, pair.reference, token))
        assert outcome(partial(mine.step, token)) == want
        if want == "raises":
            return


KNOWN: dict[str, Json] = {
    "llama": {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
    },
    "gemma": {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
        ],
    },
    "t5": {"type": "Metaspace", "replacement": "▁", "str_rep": "▁", "add_prefix_space": True},
    "bert": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "gpt": {"type": "BPEDecoder", "suffix": "</w>"},
    "wav2vec2": {
        "type": "CTC",
        "pad_token": "<pad>",
        "word_delimiter_token": "|",
        "cleanup": True,
    },
    "untyped": {"suffix": "</w>"},
    "untyped-wordpiece": {"prefix": "##", "cleanup": False},
    "untyped-replace": {"pattern": {"Regex": "a+"}, "content": "b"},
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_decoders(name: str) -> None:
    pair = Pair.load(name, json.dumps(tokenizer_json(KNOWN[name])))

    @given(row=ids, skip=st.booleans())
    def check(row: list[int], skip: bool) -> None:
        assert pair.ours.decode(row, skip) == pair.reference.decode(row, skip)
        compare_streams(pair, row, skip)

    check()


def test_a_strip_takes_what_the_other_side_left() -> None:
    """Where the reference panics."""
    strip = {"type": "Strip", "content": "H", "start": 1, "stop": 1}
    ours = penstock.Tokenizer.from_str(json.dumps(tokenizer_json(strip)))
    row: list[Any] = [TOKENS.index(token) for token in ("H", "HH", "HeH")]
    assert ours.decode(row) == "e"
