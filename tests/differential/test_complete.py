"""The last word of a full run: nothing was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import corpora, ledger
from tests.conftest import REQUIRE_PARITY
from tests.families import PARITY_FAMILIES, RANK_FILES, SAMPLED_FAMILIES

if TYPE_CHECKING:
    from pathlib import Path

MILLION = 1_000_000


@pytest.mark.last
@pytest.mark.skipif(not REQUIRE_PARITY, reason="counted only when PENSTOCK_REQUIRE_PARITY=1")
def test_every_tokenizer_was_compared_in_every_way(fixtures: Path) -> None:
    missing = [
        (name, kind)
        for kind, names in {
            "corpora: ids and offsets": (*PARITY_FAMILIES, *RANK_FILES),
            "corpora: every field": PARITY_FAMILIES,
            "corpora: decode": PARITY_FAMILIES,
            "corpora: long documents": PARITY_FAMILIES,
            "random strings": (*PARITY_FAMILIES, *RANK_FILES),
            "vocabularies": PARITY_FAMILIES,
            "samples of the corpora": SAMPLED_FAMILIES,
            "samples of random strings": SAMPLED_FAMILIES,
            "golden cases": ("gpt2", "llama-3", "roberta-base", "qwen2.5"),
        }.items()
        for name in names
        if not ledger.compared(name, kind)
    ]
    assert not missing
    assert ledger.total("random strings") >= MILLION
    documents = sum(len(corpora.documents(corpora.read(path))) for path in corpora.files(fixtures))
    for name in PARITY_FAMILIES:
        assert ledger.compared(name, "corpora: ids and offsets") == documents
