"""Text that Python keeps with two or four bytes a character, which is converted without Python."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import penstock
import pytest
from penstock.errors import TextError

if TYPE_CHECKING:
    from tests.families import Json

ALPHABETS = ["ab c’é", "ab 中文", "a😀b ́", "a b c", "éè a", "\0\x7f\x80߿ࠀ￿\U00010000\U0010ffff"]
LENGTHS = [1, 15, 16, 17, 255, 256, 257, 300, 1000, 20_000, 2_000_000]


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_wide_text_comes_back(small_json: dict[str, Json], alphabet: str) -> None:
    tokenizer = penstock.Tokenizer.from_str(json.dumps(small_json["gpt2"]))
    rng = random.Random(7)
    texts = ["".join(rng.choices(alphabet, k=length)) for length in LENGTHS]
    expected = [tokenizer.encode_ids("".join(list(text))).tolist() for text in texts]
    # The second time Python's own UTF-8 is read, the third time it is there already.
    for _ in range(3):
        for text, ids in zip(texts, expected, strict=True):
            found = tokenizer.encode_ids(text)
            assert found.tolist() == ids
            assert tokenizer.decode(found) == text
        assert tokenizer.encode_ragged(texts).to_list() == expected


@pytest.mark.parametrize("surrogate", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
@pytest.mark.parametrize("fill", ["é", "中", "😀"])
def test_a_lone_surrogate_in_wide_text_is_named(
    small_json: dict[str, Json], surrogate: int, fill: str
) -> None:
    tokenizer = penstock.Tokenizer.from_str(json.dumps(small_json["gpt2"]))
    for before in (0, 299, 70_000):
        text = fill * before + chr(surrogate) + "x" * 300
        for _ in range(2):
            with pytest.raises(TextError, match=f"at character {before}$"):
                tokenizer.encode_ids(text)
            with pytest.raises(TextError, match=f"at character {before} of row 1\\b"):
                tokenizer.encode_ragged(["fine", text])
