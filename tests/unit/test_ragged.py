"""penstock.Ragged: arrays without copies, lists and Arrow on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    import penstock

TEXTS = ["Hello world", "", "it's 2026", "\u4e2d\u6587 \U0001f600 na\u00efve", "x" * 1000]


def test_arrays_have_the_documented_types(tokenizer: penstock.Tokenizer) -> None:
    ragged = tokenizer.encode_ragged(TEXTS)
    assert ragged.values.dtype == np.uint32
    assert ragged.row_offsets.dtype == np.int64
    assert ragged.row_offsets.shape == (len(TEXTS) + 1,)
    assert ragged.row_offsets[0] == 0
    assert ragged.row_offsets[-1] == len(ragged.values)
    assert ragged.offsets is None


def test_lists_are_the_encodings(tokenizer: penstock.Tokenizer) -> None:
    ragged = tokenizer.encode_ragged(TEXTS, offsets=True)
    encodings = tokenizer.encode_batch(TEXTS)
    assert ragged.to_list() == [encoding.ids for encoding in encodings]
    want = [list(pair) for encoding in encodings for pair in encoding.offsets]
    assert ragged.offsets is not None
    assert ragged.offsets.tolist() == want
    assert ragged.offsets.shape == (len(ragged.values), 2)


def test_rows(tokenizer: penstock.Tokenizer) -> None:
    ragged = tokenizer.encode_ragged(TEXTS)
    assert len(ragged) == len(TEXTS)
    assert [row.tolist() for row in ragged] == ragged.to_list()
    assert ragged[-1].tolist() == ragged.to_list()[-1]
    with pytest.raises(IndexError):
        ragged[len(TEXTS)]


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view"])
def test_arrow_in_and_out(tokenizer: penstock.Tokenizer, kind: str) -> None:
    pa = pytest.importorskip("pyarrow")
    column = pa.array(TEXTS, type=getattr(pa, kind)())
    want = tokenizer.encode_ragged(TEXTS)
    for texts in (column, column.slice(1, 3)):
        got = tokenizer.encode_ragged(texts)
        assert got.to_list() == tokenizer.encode_ragged(texts.to_pylist()).to_list()
    arrow = want.to_arrow()
    assert arrow.to_pylist() == want.to_list()


def test_arrow_chunked(tokenizer: penstock.Tokenizer) -> None:
    pa = pytest.importorskip("pyarrow")
    column = pa.chunked_array([pa.array(TEXTS[:2]), pa.array(TEXTS[2:])])
    assert tokenizer.encode_ragged(column).to_list() == tokenizer.encode_ragged(TEXTS).to_list()


def test_arrow_nulls_and_numbers_are_refused(tokenizer: penstock.Tokenizer) -> None:
    pa = pytest.importorskip("pyarrow")
    with pytest.raises((ValueError, TypeError), match=r"null|row 1"):
        tokenizer.encode_ragged(pa.array(["a", None]))
    with pytest.raises((ValueError, TypeError)):
        tokenizer.encode_ragged(pa.array([1, 2]))
