"""The real WordPiece, Unigram and SentencePiece tokenizers on samples of every corpus and on random
strings, against `tokenizers`: every field, single and paired, pre-tokenized, padded, truncated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests import corpora, ledger
from tests.compare import assert_same_batch, assert_same_bulk
from tests.conftest import SEED, Pair
from tests.families import SAMPLED_FAMILIES
from tests.random_text import SPECIALS, random_strings

if TYPE_CHECKING:
    from pathlib import Path

SLICES, SIZE = 5, 3000
FIELD_SIZE = 1500
RANDOM = 3000


def test_samples_of_every_corpus(sampled: Pair, fixtures: Path) -> None:
    seed = SEED + SAMPLED_FAMILIES.index(sampled.name)
    ours, reference = sampled.ours, sampled.reference
    for path in corpora.files(fixtures):
        texts = list(corpora.slices(corpora.read(path), seed, SLICES, SIZE))
        assert_same_bulk(ours, reference, texts, decode=True)
        short = [text[:FIELD_SIZE] for text in texts[:2]]
        assert_same_batch(ours, reference, short)
        assert_same_batch(ours, reference, [short[0][:150]], maps=True)
        assert_same_batch(ours, reference, [(short[0][:400], short[1][:400])])
        words = [short[0][:600].split(), short[1][:300].split(" ")]
        assert_same_batch(ours, reference, words, is_pretokenized=True)
        ledger.record(sampled.name, "samples of the corpora", texts)


def test_random_strings(sampled: Pair) -> None:
    specials = [*SPECIALS, *sampled.specials[:40]]
    texts = random_strings(SEED + SAMPLED_FAMILIES.index(sampled.name), RANDOM, specials)
    assert_same_bulk(sampled.ours, sampled.reference, texts, decode=True)
    assert_same_batch(sampled.ours, sampled.reference, texts[:600])
    assert_same_batch(sampled.ours, sampled.reference, texts[:30], maps=True)
    ledger.record(sampled.name, "samples of random strings", texts)


def test_cut_and_padded(sampled: Pair, fixtures: Path) -> None:
    value = json.loads(
        (fixtures / "tokenizers" / sampled.name / "tokenizer.json").read_text(encoding="utf-8")
    )
    texts = random_strings(SEED, 200)
    text = corpora.read(fixtures / "corpora" / "multilingual.txt")
    texts += list(corpora.slices(text, SEED, 20, 800))
    for strategy, direction in (("LongestFirst", "Right"), ("OnlyFirst", "Left")):
        value["truncation"] = {
            "strategy": strategy,
            "direction": direction,
            "max_length": 24,
            "stride": 5,
        }
        value["padding"] = {
            "strategy": {"Fixed": 32} if direction == "Left" else "BatchLongest",
            "direction": direction,
            "pad_to_multiple_of": 8,
            "pad_id": 1,
            "pad_type_id": 0,
            "pad_token": "<pad>",
        }
        pair = Pair.load(sampled.name, json.dumps(value))
        assert_same_batch(pair.ours, pair.reference, texts)
        pairs = [(a, "a b c") for a in texts[:100]]
        assert_same_batch(pair.ours, pair.reference, pairs)
