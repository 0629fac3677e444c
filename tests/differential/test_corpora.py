"""The real tokenizers on all corpora, against `tokenizers`: every file, every byte, ids and
offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import corpora, ledger
from tests.compare import assert_same_batch, assert_same_bulk, assert_same_fields
from tests.conftest import SEED, Pair
from tests.families import PARITY_FAMILIES

if TYPE_CHECKING:
    from pathlib import Path

FIELD_SLICES, FIELD_SIZE = 6, 3000
PAIR_SIZE = 1500
DOCUMENT_CHARACTERS = 1_000_000


def test_ids_and_offsets_of_every_byte(real: Pair, fixtures: Path) -> None:
    for path in corpora.files(fixtures):
        texts = corpora.documents(corpora.read(path))
        assert_same_bulk(real.ours, real.reference, texts)
        ledger.record(real.name, "corpora: ids and offsets", texts)


def test_every_field_on_slices_of_every_file(real: Pair, fixtures: Path) -> None:
    seed = SEED + PARITY_FAMILIES.index(real.name)
    for path in corpora.files(fixtures):
        texts = list(corpora.slices(corpora.read(path), seed, FIELD_SLICES, FIELD_SIZE))
        assert_same_batch(real.ours, real.reference, texts)
        assert_same_batch(real.ours, real.reference, [texts[0][:200], texts[1][:200]], maps=True)
        halves = [(text[:PAIR_SIZE], text[PAIR_SIZE:]) for text in texts]
        assert_same_batch(real.ours, real.reference, halves[:3])
        words = [text.split() for text in texts[:2]]
        assert_same_batch(real.ours, real.reference, words, is_pretokenized=True)
        ledger.record(real.name, "corpora: every field", texts)


def test_decode_of_every_file(real: Pair, fixtures: Path) -> None:
    """Whole slices, and cuts in the middle of characters."""
    for path in corpora.files(fixtures):
        for text in corpora.slices(corpora.read(path), SEED, 3, 20_000):
            ids = real.reference.encode(text).ids
            rows = [ids, ids[1:], ids[:-1], ids[::-1], ids[::2]]
            for skip in (True, False):
                got = real.ours.decode_batch(rows, skip_special_tokens=skip)
                assert got == real.reference.decode_batch(rows, skip_special_tokens=skip)
            ledger.record(real.name, "corpora: decode", [text])


@pytest.mark.parametrize("name", ["english.txt", "code_mixed.txt", "multilingual.txt"])
def test_one_long_document(real: Pair, fixtures: Path, name: str) -> None:
    """A document that is split over threads gives the ids and offsets of one that is not."""
    text = corpora.read(fixtures / "corpora" / name)[:DOCUMENT_CHARACTERS]
    want = real.reference.encode(text)
    assert_same_fields(real.ours.encode(text), want, name)
    assert real.ours.encode_ids(text).tolist() == want.ids
    ledger.record(real.name, "corpora: long documents", [text])
