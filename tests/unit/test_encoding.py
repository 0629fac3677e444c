"""penstock.Encoding: every field and map on texts that a reader can check by hand."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import penstock
import pytest

from tests.compare import assert_same_fields, assert_same_maps

if TYPE_CHECKING:
    from tests.conftest import Pair

TEXTS = [
    "",
    " ",
    "a",
    "Hello world",
    "  Hello   world  ",
    "na\u00efve \u4e2d\u6587 \U0001f600 e\u0301",
    "it's 12345 <|endoftext|> and <s>",
    "a<|endoftext|>",
    "\u00e9\u00e9\u00e9",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("special", [True, False])
def test_fields_and_maps(small: Pair, text: str, special: bool) -> None:
    got = small.ours.encode(text, add_special_tokens=special)
    want = small.reference.encode(text, add_special_tokens=special)
    assert_same_fields(got, want, text)
    assert_same_maps(got, want, text, range(len(text) + len(want) + 3))


def test_offsets_are_characters(gpt2: Pair) -> None:
    text = "\u4e2d\u6587 world"
    encoding = gpt2.ours.encode(text)
    assert encoding.offsets[-1][1] == len(text)
    start, end = encoding.offsets[encoding.char_to_token(text.index("w"))]
    assert text[start:end].strip()[0] == "w"


def test_an_encoding_has_a_length_and_a_repr(gpt2: Pair) -> None:
    encoding = gpt2.ours.encode("Hello world")
    assert len(encoding) == len(encoding.ids)
    assert f"num_tokens={len(encoding)}" in repr(encoding)


def test_an_encoding_outlives_its_tokenizer(gpt2: Pair) -> None:
    import gc

    import penstock

    tokenizer = penstock.Tokenizer.from_str(gpt2.reference.to_str())
    encoding = tokenizer.encode("Hello world")
    want = gpt2.reference.encode("Hello world").tokens
    del tokenizer
    gc.collect()
    assert encoding.tokens == want


def test_tokens_are_those_at_the_time_of_encoding(gpt2: Pair) -> None:
    """Adding tokens later does not change an encoding that exists."""
    import penstock

    tokenizer = penstock.Tokenizer.from_str(gpt2.reference.to_str())
    encoding = tokenizer.encode("Hello penstock")
    before = list(encoding.ids)
    tokenizer.add_tokens(["penstock"])
    assert encoding.ids == before
    assert encoding.tokens == gpt2.reference.encode("Hello penstock").tokens


def test_equality_and_pickle(tokenizer: penstock.Tokenizer) -> None:
    tokenizer.enable_truncation(4, stride=1)
    tokenizer.enable_padding(length=6)
    encoding = tokenizer.encode("water runs downhill", "and on")
    assert encoding == tokenizer.encode("water runs downhill", "and on")
    assert encoding != tokenizer.encode("water runs downhill")
    assert encoding != "water"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        copied = pickle.loads(pickle.dumps(encoding, protocol))
        assert copied == encoding
        assert copied.n_sequences == 2
        assert copied.tokens == encoding.tokens
        assert copied.overflowing == encoding.overflowing
    assert copy.deepcopy(encoding) == encoding
    assert penstock.Encoding() == penstock.Encoding.merge([])
    merged = penstock.Encoding.merge([encoding, copied])
    assert merged == penstock.Encoding.merge([copied, encoding])
    with pytest.raises(TypeError):
        hash(encoding)


@pytest.mark.parametrize(
    "state",
    [b"", b"{}", b"[1]", b'{"ids":[1],"type_ids":[],"tokens":[],"words":[],"offsets":[]}', b"\xff"],
)
def test_bad_pickles_are_refused(state: bytes) -> None:
    with pytest.raises(penstock.errors.LoadError):
        penstock.Encoding._from_state(state)
