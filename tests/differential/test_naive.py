"""Against the naive oracle of tests/reference, which shares nothing with `tokenizers` either."""

from __future__ import annotations

import json
import unicodedata

import penstock
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import random_text
from tests.families import (
    CL100K,
    DATA,
    DEEPSEEK_CJK,
    DEEPSEEK_WORDS,
    FAMILIES,
    O200K,
    QWEN2,
    R50K,
    Json,
)
from tests.reference.bpe import NaiveBpe

PATTERNS = {
    "gpt2": [R50K],
    "llama3": [CL100K],
    "qwen2": [QWEN2],
    "o200k": [O200K],
    "deepseek": [r"\p{N}{1,3}", DEEPSEEK_CJK, DEEPSEEK_WORDS],
}

_OLD = unicodedata.ucd_3_2_0


def settled(text: str) -> bool:
    """True when every character has had its category since Unicode 3.2, so that no two tables
    disagree on it."""
    return all(
        _OLD.category(c) == unicodedata.category(c) not in ("Cn", "Cs", "Cf", "Zs") or c == " "
        for c in text
    )


pieces = [
    piece
    for piece in [
        *random_text.CONTRACTIONS,
        *random_text.NUMBERS,
        *random_text.WORDS,
        *random_text.PUNCTUATION,
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
    ]
    if settled(piece)
]

texts = st.lists(
    st.sampled_from(pieces) | st.text(st.characters().filter(settled), max_size=3), max_size=12
).map("".join)


@pytest.fixture(scope="module", params=PATTERNS)
def engines(
    request: pytest.FixtureRequest, small_json: dict[str, Json]
) -> tuple[penstock.Tokenizer, NaiveBpe]:
    value = json.loads(json.dumps(small_json[request.param]))
    value["added_tokens"] = []
    value["post_processor"] = None
    oracle = NaiveBpe.from_json(value, PATTERNS[request.param])
    return penstock.Tokenizer.from_str(json.dumps(value)), oracle


@given(text=texts)
def test_ids(engines: tuple[penstock.Tokenizer, NaiveBpe], text: str) -> None:
    tokenizer, oracle = engines
    want = oracle.encode(text)
    assert tokenizer.encode(text).ids == want
    assert tokenizer.encode_ids(text).tolist() == want
    assert tokenizer.decode(want) == oracle.decode(want)


def test_training_text(engines: tuple[penstock.Tokenizer, NaiveBpe]) -> None:
    tokenizer, oracle = engines
    for line in (DATA / "training.txt").read_text(encoding="utf-8").splitlines(keepends=True):
        if all(unicodedata.category(c) != "Cn" for c in line):
            assert tokenizer.encode(line).ids == oracle.encode(line), line


def test_the_oracle_covers_every_scanner() -> None:
    assert set(PATTERNS) <= set(FAMILIES)
