"""Random pipelines of all components, on random text, against `tokenizers`, field by field.

PENSTOCK_PIPELINES sets how many (20,000 when parity is required); a failure prints the seed of its
pipeline and the file itself, shrunk to the text that differs.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import penstock
import pytest
import tokenizers

from tests import ledger
from tests.compare import assert_same_fields, outcome
from tests.conftest import REQUIRE_PARITY, SEED
from tests.pipelines import known, pipeline, text_of

if TYPE_CHECKING:
    import random

    from tests.families import Json

PIPELINES = int(os.environ.get("PENSTOCK_PIPELINES", "20000" if REQUIRE_PARITY else "600"))
SHARES = 20
"""Tests that the pipelines are shared between, so that one failure does not hide the others."""
TEXTS = 5


def ambiguous(value: Json, reference: tokenizers.Tokenizer) -> bool:
    """Whether two added tokens are the same once normalized, or one is empty.

    The reference then takes one of them by chance, or does not come to an end.
    """
    contents = [token["content"] for token in value["added_tokens"] if token["normalized"]]
    if (normalizer := reference.normalizer) is not None:
        contents = [normalizer.normalize_str(content) for content in contents]
    return "" in contents or len(set(contents)) < len(contents)


def check(value: Json, rng: random.Random) -> int:
    """Compares everything a pipeline does on a few texts; the number of encodings compared."""
    text = json.dumps(value)
    reference = outcome(lambda: tokenizers.Tokenizer.from_str(text))
    if isinstance(reference, str):
        # What the reference refuses we may refuse or not, but never crash on.
        outcome(lambda: penstock.Tokenizer.from_str(text))
        return 0
    if ambiguous(value, reference):
        return 0
    ours = penstock.Tokenizer.from_str(text)
    compared = 0
    inputs: list[tuple[Any, ...]] = [(text_of(rng, 30),) for _ in range(TEXTS)]
    inputs += [(text_of(rng), text_of(rng)) for _ in range(2)]
    words = ([text_of(rng, 4) for _ in range(rng.randint(0, 4))], text_of(rng).split())
    calls: list[tuple[tuple[Any, ...], dict[str, bool]]] = [
        (parts, {"add_special_tokens": rng.random() < 0.8}) for parts in inputs
    ]
    calls.append((words[:1], {"is_pretokenized": True}))
    calls.append((words, {"is_pretokenized": True}))
    for parts, options in calls:
        want = outcome(lambda p=parts, o=options: reference.encode(*p, **o))
        if isinstance(want, str):
            # A panic of the reference: an error or an answer, as long as we stay alive.
            outcome(lambda p=parts, o=options: ours.encode(*p, **o))
            continue
        # Twice: the second time, word caches answer.
        for _ in range(2):
            assert_same_fields(ours.encode(*parts, **options), want, parts)
        compared += 1
        if len(parts) == 1 and isinstance(parts[0], str):
            special = options["add_special_tokens"]
            plain = value["truncation"] is None and value["padding"] is None
            if plain:
                for _ in range(2):
                    ids = ours.encode_ids(parts[0], add_special_tokens=special).tolist()
                    assert ids == want.ids, f"encode_ids on {parts}"
                ragged = ours.encode_ragged(list(parts), add_special_tokens=special, offsets=True)
                assert ragged.values.tolist() == want.ids, f"encode_ragged on {parts}"
                spans = [tuple(span) for span in ragged.offsets.tolist()]
                assert spans == want.offsets, f"encode_ragged offsets on {parts}"
            for skip in (True, False):
                text = outcome(lambda i=want.ids, s=skip: reference.decode(i, s))
                mine = outcome(lambda i=want.ids, s=skip: ours.decode(i, s))
                # The reference panics on what its Strip decoder takes too much of.
                assert mine == text or text == "raises", (
                    f"decode of {want.ids} (skip_special_tokens={skip}) on {parts}"
                    f"\n  ours      {mine!r}\n  reference {text!r}"
                )
    return compared


def run(seed: str, *, published: bool) -> int:
    """One pipeline; its failure names it."""
    value, rng = pipeline(seed)
    if published:
        value = known(rng, seed)
    try:
        return check(value, rng)
    except Exception as error:
        shown = json.dumps(value, ensure_ascii=True)
        raise AssertionError(
            f"pipeline {seed} (published={published}): {error}\n{shown}"
        ) from error


@pytest.mark.parametrize("share", range(SHARES))
def test_random_pipelines(share: int) -> None:
    compared = 0
    for number in range(share, PIPELINES, SHARES):
        compared += run(f"{SEED}:{number}", published=number % 4 == 0)
    ledger.record("random pipelines", f"share {share}", ["x"] * compared)
    assert compared > PIPELINES // SHARES
