"""Batches, windows, shared rows: what runs together."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest
from penstock.errors import TaskError
from penstock.evaluation._plan import cut_batches, plan_pairs, plan_rolling, windows

from tests.evaluation_models import Letters, letters_origin

LETTERS = Letters()
origin = letters_origin


def text(ids: Any) -> str:
    return "".join(map(chr, ids))


def test_longest_first_then_by_index() -> None:
    assert cut_batches([3, 5, 5, 1, 3], 2) == [[1, 2], [0, 4], [3]]


def test_a_batch_has_no_more_tokens_than_asked_for() -> None:
    assert cut_batches([9, 4, 4, 4, 1], 8, 8) == [[0], [1, 2], [3, 4]]


def test_requests_with_one_input_share_a_row() -> None:
    pairs = [("context", "a"), ("context", "b"), ("context", "ab"), ("conte", "xta")]
    group = plan_pairs(LETTERS, pairs, origin(4), max_length=99, joint=True)
    assert [text(unit.ids) for unit in group.units] == ["context", "contexta"]
    assert list(group.slots) == [(0, 0), (0, 1), (1, 0), (0, 2)]
    assert [text(cont) for cont in group.units[0].conts] == ["a", "b", "xta"]


def test_long_contexts_are_cut_from_the_left() -> None:
    group = plan_pairs(LETTERS, [("abcdef", "xyz")], origin(1), max_length=5, joint=True)
    assert text(group.units[0].ids) == "defxy"
    assert group.truncated == 1
    with pytest.raises(TaskError, match=r"task, row 0: .* 8 tokens, .* reads 5"):
        plan_pairs(
            LETTERS, [("abcdef", "xyz")], origin(1), max_length=5, joint=True, truncate=False
        )


def test_what_just_fits_is_not_cut() -> None:
    group = plan_pairs(LETTERS, [("abc", "xyz")], origin(1), max_length=5, joint=True)
    assert (text(group.units[0].ids), group.truncated) == ("abcxy", 0)


def test_a_continuation_must_be_there_and_fit() -> None:
    with pytest.raises(TaskError, match=r"row 1: continuation 0 .* disappears"):
        plan_pairs(LETTERS, [("a", "b"), ("a", "")], origin(2), max_length=5, joint=True)
    with pytest.raises(TaskError, match=r"row 0: continuation 0 .* 6 tokens, and .* reads 5"):
        plan_pairs(LETTERS, [("a", "abcdef")], origin(1), max_length=5, joint=True)


def test_windows_of_a_document() -> None:
    document = LETTERS.ids("abcdefghij")
    found = [(text(ids), text(cont)) for ids, cont in windows(document, 0, 4, 4)]
    assert found == [("\0abc", "abcd"), ("defg", "efgh"), ("fghi", "ij")]
    found = [(text(ids), text(cont)) for ids, cont in windows(document, 0, 4, 2)]
    assert found == [("\0abc", "abcd"), ("bcde", "ef"), ("defg", "gh"), ("fghi", "ij")]


def test_a_document_that_may_not_be_cut() -> None:
    options = {"max_length": 4, "stride": 4, "joint": True}
    plan_rolling(LETTERS, ["abcd"], origin(1), cut=False, **options)
    with pytest.raises(TaskError, match="row 0: the text has 5 tokens, 4 fit"):
        plan_rolling(LETTERS, ["abcde"], origin(1), cut=False, **options)
    with pytest.raises(TaskError, match="row 1: the text has no tokens"):
        plan_rolling(LETTERS, ["abcd", ""], origin(2), **options)


def test_a_plan_takes_little_more_than_its_tokens() -> None:
    """A run keeps all requests of a task."""
    pairs = [(f"a context of number {number}", " and an end") for number in range(5000)]
    tokens = sum(len(context) + 2 * len(cont) for context, cont in pairs)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    group = plan_pairs(LETTERS, pairs, origin(len(pairs)), max_length=99, joint=True)
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(group.units) == len(pairs)
    # Arrays that grow have room for an eighth more.
    assert kept < (4 * tokens + 100 * len(pairs)) * 9 / 8
