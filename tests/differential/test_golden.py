"""The golden cases of llama.cpp: texts with the ids that other implementations agreed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import penstock
import pytest

from tests import ledger

if TYPE_CHECKING:
    from pathlib import Path

SEPARATOR = "\n__ggml_vocab_test__\n"

CASES = {
    "gpt-2": "gpt2",
    "llama-bpe": "llama-3",
    "roberta-bpe": "roberta-base",
    "deepseek-r1-qwen": "qwen2.5",
    "llama-spm": "llama-2",
}
"""Golden file -> tokenizer whose ids it holds."""


@pytest.mark.parametrize("name", CASES)
def test_golden(fixtures: Path, name: str) -> None:
    folder = fixtures / "golden" / "llama.cpp"
    texts = (folder / f"{name}.inp").read_bytes().decode().split(SEPARATOR)[:-1]
    rows = (folder / f"{name}.out").read_text().splitlines()
    want = [[int(token_id) for token_id in row.split()] for row in rows]
    assert len(texts) == len(want)
    path = fixtures / "tokenizers" / CASES[name] / "tokenizer.json"
    tokenizer = penstock.Tokenizer.from_file(path)
    for text, ids in zip(texts, want, strict=True):
        assert tokenizer.encode(text, add_special_tokens=False).ids == ids, text
        assert tokenizer.decode(ids, skip_special_tokens=False) == text
    ledger.record(CASES[name], "golden cases", texts)


def test_no_golden_file_is_forgotten(fixtures: Path) -> None:
    names = {path.stem for path in (fixtures / "golden" / "llama.cpp").glob("*.inp")}
    assert names == set(CASES)
