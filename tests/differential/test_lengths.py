"""Truncation, overflow and padding against `tokenizers`, in encodings and in matrices."""

from __future__ import annotations

import itertools
import json
import random
import re
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import penstock
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from penstock import normalizers, pre_tokenizers, processors

from tests import strategies
from tests.charsmap import RULES, charsmap
from tests.compare import assert_same_fields, assert_same_maps, outcome
from tests.conftest import REQUIRE_PARITY, SEED, Pair, SmallJson
from tests.families import DATA, FAMILIES, Json, template
from tests.random_text import random_strings


@pytest.fixture(scope="module", params=FAMILIES)
def small(request: pytest.FixtureRequest, small_json: SmallJson) -> Pair:
    """Each small tokenizer in turn: copies, since limits are state of the reference."""
    return Pair.load(request.param, json.dumps(small_json[request.param]))


@pytest.fixture(scope="module")
def gpt2(small_json: SmallJson) -> Pair:
    """A copy, for the same reason."""
    return Pair.load("gpt2", json.dumps(small_json["gpt2"]))


SIDES = st.sampled_from(["left", "right"])


@dataclass(frozen=True)
class Limits:
    """What is asked of both sides."""

    truncation: dict[str, Any] | None
    padding: dict[str, Any] | None

    def set(self, tokenizer: Any) -> None:
        """Makes them the defaults of a tokenizer."""
        if self.truncation is None:
            tokenizer.no_truncation()
        else:
            tokenizer.enable_truncation(**self.truncation)
        if self.padding is None:
            tokenizer.no_padding()
        else:
            tokenizer.enable_padding(**self.padding)


truncations = st.fixed_dictionaries(
    {
        "max_length": st.integers(0, 12),
        "stride": st.integers(0, 5),
        "strategy": st.sampled_from(["longest_first", "only_first", "only_second"]),
        "direction": SIDES,
    }
)
paddings = st.fixed_dictionaries(
    {
        "direction": SIDES,
        "pad_id": st.integers(0, 300),
        "pad_type_id": st.integers(0, 2),
        "pad_token": st.sampled_from(["[PAD]", "a", "Ġ", "!"]),
        "length": st.none() | st.integers(0, 20),
        "pad_to_multiple_of": st.none() | st.integers(0, 9),
    }
)
limits = st.builds(Limits, st.none() | truncations, st.none() | paddings)
texts = strategies.text.map(lambda text: text[:50])
"""Not longer: cut to a token, a pair has as many overflowing parts as the product of both."""
inputs = st.lists(texts | st.tuples(texts, texts), max_size=4)


def fresh(pair: Pair, limits: Limits) -> tuple[penstock.Tokenizer, Any, bool]:
    """Both tokenizers with the limits set, and whether both took them."""
    ours, reference = penstock.Tokenizer(pair.ours._native), pair.reference
    pair.reference.no_truncation()
    accepted = outcome(lambda: limits.set(reference))
    assert outcome(lambda: limits.set(ours)) == accepted
    return ours, reference, accepted != "raises"


@given(inputs=inputs, limits=limits, special=st.booleans())
def test_encode_batch(
    small: Pair, inputs: list[str | tuple[str, str]], limits: Limits, special: bool
) -> None:
    compare_encodings(small, inputs, limits, special, maps=True)


def compare_encodings(
    pair: Pair,
    inputs: list[str | tuple[str, str]],
    limits: Limits,
    special: bool,
    *,
    maps: bool,
) -> None:
    """`encode_batch`, and `encode` of each input."""
    ours, reference, accepted = fresh(pair, limits)
    if not accepted:
        return
    assert ours.truncation == reference.truncation
    assert ours.padding == reference.padding
    want = outcome(lambda: reference.encode_batch(inputs, add_special_tokens=special))
    got = outcome(lambda: ours.encode_batch(inputs, add_special_tokens=special))
    if want == "raises" or got == "raises":
        assert got == want
        return
    for mine, theirs, text in zip(got, want, inputs, strict=True):
        assert_same_fields(mine, theirs, text)
        if maps:
            assert_same_maps(mine, theirs, text, range(0, len(theirs) + 2, 3))
        single = text if isinstance(text, tuple) else (text,)
        assert_same_fields(
            ours.encode(*single, add_special_tokens=special),
            reference.encode(*single, add_special_tokens=special),
            text,
        )


@given(words=st.lists(strategies.words, max_size=3), limits=limits)
def test_encode_batch_of_words(small: Pair, words: list[list[str]], limits: Limits) -> None:
    ours, reference, accepted = fresh(small, limits)
    if not accepted:
        return
    want = outcome(lambda: reference.encode_batch(words, is_pretokenized=True))
    got = outcome(lambda: ours.encode_batch(words, is_pretokenized=True))
    if want == "raises" or got == "raises":
        assert got == want
        return
    for mine, theirs, text in zip(got, want, words, strict=True):
        assert_same_fields(mine, theirs, text)


def matrices(encodings: list[Any], overflow: bool) -> dict[str, Any] | str:
    """What transformers makes of encodings."""
    rows, samples = [], []
    for sample, encoding in enumerate(encodings):
        for row in [encoding, *(encoding.overflowing if overflow else [])]:
            rows.append(row)
            samples.append(sample)
    if len({len(row) for row in rows}) > 1:
        return "raises"
    result = {
        "input_ids": [row.ids for row in rows],
        "token_type_ids": [row.type_ids for row in rows],
        "attention_mask": [row.attention_mask for row in rows],
        "special_tokens_mask": [row.special_tokens_mask for row in rows],
        "offset_mapping": [[list(pair) for pair in row.offsets] for row in rows],
    }
    if overflow:
        result["overflow_to_sample_mapping"] = samples
    return result


def padded(
    ours: penstock.Tokenizer, limits: Limits, firsts: Any, seconds: Any, **options: Any
) -> dict[str, Any]:
    """`encode_padded` with the limits as arguments."""
    if limits.truncation is not None:
        cut = limits.truncation
        options |= {
            "truncation": cut["strategy"],
            "stride": cut["stride"],
            "truncation_side": cut["direction"],
            "max_length": cut["max_length"],
        }
    options["padding"] = False
    if limits.padding is not None:
        fill = limits.padding
        options |= {
            "padding": True,
            "padding_side": fill["direction"],
            "pad_to_multiple_of": fill["pad_to_multiple_of"],
            "pad_id": fill["pad_id"],
            "pad_type_id": fill["pad_type_id"],
        }
        if fill["length"] is not None:
            # One argument says both in this API.
            assert limits.truncation is None or fill["length"] == limits.truncation["max_length"]
            options |= {"padding": "max_length", "max_length": fill["length"]}
    return ours.encode_padded(firsts, seconds, special_tokens_mask=True, offsets=True, **options)


@given(
    rows=st.lists(st.tuples(texts, texts), max_size=4),
    limits=limits,
    is_pair=st.booleans(),
    special=st.booleans(),
    overflow=st.booleans(),
    dtype=st.sampled_from(["int64", "int32", "uint32"]),
)
def test_encode_padded(
    small: Pair,
    rows: list[tuple[str, str]],
    limits: Limits,
    is_pair: bool,
    special: bool,
    overflow: bool,
    dtype: str,
) -> None:
    compare_matrices(small, rows, limits, is_pair, special, overflow, dtype)


def compare_matrices(
    pair: Pair,
    rows: list[tuple[str, str]],
    limits: Limits,
    is_pair: bool,
    special: bool,
    overflow: bool,
    dtype: str,
) -> None:
    """`encode_padded` beside the encodings of the reference, put into matrices."""
    if limits.padding and limits.truncation and limits.padding["length"] is not None:
        limits.padding["length"] = limits.truncation["max_length"]
    _, reference, accepted = fresh(pair, limits)
    if not accepted:
        return
    inputs: list[Any] = list(rows) if is_pair else [first for first, _ in rows]
    want = outcome(
        lambda: matrices(reference.encode_batch(inputs, add_special_tokens=special), overflow)
    )
    got = outcome(
        lambda: padded(
            pair.ours,
            limits,
            [first for first, _ in rows],
            [second for _, second in rows] if is_pair else None,
            add_special_tokens=special,
            return_overflowing_tokens=overflow,
            dtype=dtype,
        )
    )
    assert_same_matrices(got, want, dtype, (inputs, limits))


def assert_same_matrices(got: Any, want: Any, dtype: str, context: object) -> None:
    """The same keys, values, types and layout."""
    if want == "raises" or isinstance(got, str):
        assert got == want, context
        return
    assert got.keys() == want.keys()
    for name, values in want.items():
        array = got[name]
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        if values:
            assert array.tolist() == values, (name, context)
        else:
            assert array.shape[0] == 0


@given(words=st.lists(strategies.words, min_size=1, max_size=3), limits=limits)
def test_encode_padded_words(small: Pair, words: list[list[str]], limits: Limits) -> None:
    if limits.padding and limits.truncation and limits.padding["length"] is not None:
        limits.padding["length"] = limits.truncation["max_length"]
    _, reference, accepted = fresh(small, limits)
    if not accepted:
        return
    want = outcome(lambda: matrices(reference.encode_batch(words, is_pretokenized=True), False))
    got = outcome(lambda: padded(small.ours, limits, words, None, is_pretokenized=True))
    assert_same_matrices(got, want, "int64", (words, limits))


SPECIAL = {"<|endoftext|>": 0}
TEMPLATES: dict[str, Json] = {
    "pair-swapped": template(
        ["A", "<|endoftext|>"], [("B", 1), ("<|endoftext|>", 2), ("A", 0)], SPECIAL
    ),
    "text-twice": template(["A", "<|endoftext|>", "A"], [("A", 0), ("B", 1), ("A", 3)], SPECIAL),
    "pair-without-first": template(["A"], [("<|endoftext|>", 0), ("B", 4)], SPECIAL),
    "no-text": template(["<|endoftext|>"], [("A", 0), ("B", 1)], SPECIAL),
    "bert": {"type": "BertProcessing", "sep": ["a", 65], "cls": ["!", 0]},
}
TEMPLATES["template-then-byte-level"] = {
    "type": "Sequence",
    "processors": [
        TEMPLATES["pair-swapped"],
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True},
    ],
}
TEMPLATES["byte-level-then-bert"] = {
    "type": "Sequence",
    "processors": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True},
        TEMPLATES["bert"],
    ],
}


@pytest.fixture(scope="module", params=TEMPLATES)
def processed(request: pytest.FixtureRequest, small_json: SmallJson) -> Pair:
    """A small tokenizer with each processor in turn."""
    config = {**small_json["gpt2-prefix"], "post_processor": TEMPLATES[request.param]}
    return Pair.load(request.param, json.dumps(config))


@given(
    rows=st.lists(st.tuples(texts, texts), max_size=3),
    limits=limits,
    is_pair=st.booleans(),
    special=st.booleans(),
    overflow=st.booleans(),
)
def test_processors(
    processed: Pair,
    rows: list[tuple[str, str]],
    limits: Limits,
    is_pair: bool,
    special: bool,
    overflow: bool,
) -> None:
    """Templates that put texts elsewhere, twice or nowhere, in encodings and in matrices."""
    if processed.name == "text-twice":
        # The parts that overflow are the product of all three: 200 tokens each take 22 GB.
        rows = [(first[:6], second[:6]) for first, second in rows]
    compare_matrices(processed, rows, limits, is_pair, special, overflow, "int64")
    inputs: list[Any] = list(rows) if is_pair else [first for first, _ in rows]
    # Sequences that overlap are looked up in the order of a hash table of the reference.
    overlap = processed.name == "template-then-byte-level"
    compare_encodings(processed, inputs, limits, special, maps=not overlap)


def test_arrow_rows(gpt2: Pair) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    rows = ["a b c", "d", "é漢字"]
    got = gpt2.ours.encode_padded(pyarrow.array(rows), pyarrow.chunked_array([rows[:1], rows[1:]]))
    want = gpt2.ours.encode_padded(rows, rows)
    assert got.keys() == want.keys()
    for name, values in want.items():
        assert np.array_equal(got[name], values)


def test_limits_of_a_file(small_json: SmallJson) -> None:
    """`truncation` and `padding` of a tokenizer.json are the defaults."""
    for truncation in (
        None,
        {"direction": "Left", "max_length": 4, "strategy": "OnlyFirst", "stride": 1},
        {"max_length": 5, "strategy": "LongestFirst", "stride": 0},
    ):
        for padding in (
            None,
            {
                "strategy": {"Fixed": 6},
                "direction": "Left",
                "pad_to_multiple_of": None,
                "pad_id": 3,
                "pad_type_id": 1,
                "pad_token": "<pad>",
            },
            {
                "strategy": "BatchLongest",
                "direction": "Right",
                "pad_to_multiple_of": 8,
                "pad_id": 0,
                "pad_type_id": 0,
                "pad_token": "!",
            },
        ):
            config = {**small_json["roberta"], "truncation": truncation, "padding": padding}
            pair = Pair.load("roberta", json.dumps(config))
            assert pair.ours.truncation == pair.reference.truncation
            assert pair.ours.padding == pair.reference.padding
            inputs = ["a b c d e f g", "x", ("water runs downhill", "y z")]
            for mine, theirs in zip(
                pair.ours.encode_batch(inputs), pair.reference.encode_batch(inputs), strict=True
            ):
                assert_same_fields(mine, theirs, inputs)


@given(
    parts=st.lists(texts, max_size=4),
    growing=st.booleans(),
    cut=truncations,
    fill=paddings,
    sequence=st.integers(0, 3),
)
def test_encodings_change_in_place(
    gpt2: Pair,
    parts: list[str],
    growing: bool,
    cut: dict[str, Any],
    fill: dict[str, Any],
    sequence: int,
) -> None:
    """`merge`, `truncate`, `pad` and `set_sequence_id` one after the other."""
    gpt2.reference.no_truncation()
    gpt2.reference.no_padding()
    mine = [gpt2.ours.encode(text) for text in parts]
    theirs = [gpt2.reference.encode(text) for text in parts]
    got = penstock.Encoding.merge(mine, growing_offsets=growing)
    want = tokenizers.Encoding.merge(theirs, growing_offsets=growing)
    assert_same_fields(got, want, parts)
    got.set_sequence_id(sequence)
    want.set_sequence_id(sequence)
    assert_same_fields(got, want, parts)
    cut = {name: cut[name] for name in ("max_length", "stride", "direction")}
    length = fill.pop("length") or 15
    fill.pop("pad_to_multiple_of")
    for name, arguments in (
        ("pad", {"length": length, **fill}),
        ("truncate", cut),
        ("pad", {"length": length, **fill}),
    ):
        expected = outcome(partial(getattr(want, name), **arguments))
        assert outcome(partial(getattr(got, name), **arguments)) == expected
        if expected == "raises":
            return
        assert_same_fields(got, want, (parts, cut, fill))
    again = penstock.Encoding.merge([got, gpt2.ours.encode("again")])
    assert_same_fields(
        again, tokenizers.Encoding.merge([want, gpt2.reference.encode("again")]), parts
    )


def test_real_tokenizers(real: Pair) -> None:
    """Each real tokenizer, on texts of many scripts, single and paired, cut and filled up."""
    texts = random_strings(SEED, 120, real.specials)
    rows = list(zip(texts[::2], texts[1::2], strict=True))
    try:
        for truncation, padding in itertools.product(
            (
                {"max_length": 9, "stride": 2, "strategy": "longest_first", "direction": "right"},
                {"max_length": 12, "stride": 0, "strategy": "longest_first", "direction": "left"},
            ),
            (
                {
                    "direction": "left",
                    "pad_id": 1,
                    "pad_type_id": 0,
                    "pad_token": "x",
                    "length": None,
                    "pad_to_multiple_of": 8,
                },
            ),
        ):
            limits = Limits(truncation, padding)
            for is_pair in (False, True):
                compare_matrices(real, rows, limits, is_pair, True, True, "int64")
                inputs: list[Any] = list(rows) if is_pair else [first for first, _ in rows]
                compare_encodings(real, inputs, limits, True, maps=False)
    finally:
        real.reference.no_truncation()
        real.reference.no_padding()


LONG_CASES = 10 if REQUIRE_PARITY else 4


def trained(kind: str) -> Pair:
    """A tokenizer whose texts are cut before they are normalized, or not at all."""
    options: dict[str, Any] = {"vocab_size": 900, "show_progress": False}
    lines = (DATA / "training.txt").read_text(encoding="utf-8").splitlines()
    metaspace = pre_tokenizers.Metaspace()
    unk = {"special_tokens": ["<unk>"], "unk_token": "<unk>"}
    if kind == "bert":
        made = penstock.train_wordpiece(
            lines,
            special_tokens=["[UNK]", "[CLS]", "[SEP]"],
            normalizer=normalizers.BertNormalizer(),
            pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
            **options,
        )
        made.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    elif kind == "unigram":
        made = penstock.train_unigram(
            lines, normalizer=normalizers.NFKC(), pre_tokenizer=metaspace, **unk, **options
        )
    elif kind == "charsmap":
        words = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
        made = penstock.train_unigram(lines, pre_tokenizer=words, **unk, **options)
        parts = json.loads(made.to_str())
        # No entry goes on behind a blank, so that texts may be cut there.
        rules = charsmap({key: text for key, text in RULES.items() if key != "\r\n"})
        parts["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": rules}
        made = penstock.Tokenizer.from_str(json.dumps(parts))
    elif kind == "unigram without unk":
        made = penstock.train_unigram(lines, pre_tokenizer=metaspace, **options)
    else:
        made = penstock.train_bpe(lines, pre_tokenizer=metaspace, **unk, **options)
        if kind == "prepended bpe":
            replace = normalizers.Replace(" ", "▁")
            made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace])
            made.pre_tokenizer = None
    # What is looked for in normalized text hinders cutting the text before.
    normalized = kind != "charsmap"
    river = penstock.AddedToken("river", normalized=normalized)
    made.add_tokens([river, penstock.AddedToken("etao", lstrip=True, normalized=normalized)])
    return Pair.load(kind, made.to_str())


TRAINED = ("bert", "unigram", "charsmap", "unigram without unk", "bpe", "prepended bpe")


@pytest.mark.parametrize("strategy", ["longest_first", "only_first", "only_second"])
@pytest.mark.parametrize("kind", TRAINED)
def test_long_texts_of_words_cut_short(kind: str, strategy: str) -> None:
    compare_long(trained(kind), strategy)


@pytest.mark.parametrize("strategy", ["longest_first", "only_first", "only_second"])
def test_long_texts_cut_short(small: Pair, strategy: str) -> None:
    compare_long(small, strategy)


def compare_long(small: Pair, strategy: str) -> None:
    """Of a long text only the beginning is encoded, which must not show anywhere."""
    rng = random.Random(f"{SEED} {small.name} {strategy}")
    odd = random_strings(SEED + 11, 200, small.specials)

    def long_text() -> str:
        parts = []
        for _ in range(rng.choice([0, 3, 3, 200, 900])):
            word = "".join(rng.choices("etaoinshrdlu", k=rng.randrange(1, 12)))
            parts.append(rng.choice([word, word, word, word, f"{word},", rng.choice(odd)]))
        # A charsmap may remove the first character; a text long by its blanks has few tokens.
        start = rng.choice(["", "", "\u0001", "\u0001" + " " * 4000])
        return start + rng.choice([" ", " ", "  ", "\n"]).join(parts)

    cut = 0
    for _ in range(LONG_CASES):
        firsts = [long_text() for _ in range(3)]
        pairs = rng.random() < (0.9 if strategy == "only_second" else 0.6)
        seconds = [long_text() for _ in range(3)] if pairs else None
        # The reference makes a row of every two parts that are cut off: millions of short ones.
        max_length = rng.choice([0, 5, 17, 40, 300] if seconds is None else [150, 151, 300, 301])
        ours, reference = penstock.Tokenizer(small.ours._native), small.reference
        reference.no_padding()
        reference.enable_truncation(max_length, strategy=strategy)
        inputs = firsts if seconds is None else list(zip(firsts, seconds, strict=True))
        want = outcome(lambda inputs=inputs: reference.encode_batch(inputs))
        options = {"max_length": max_length, "truncation": strategy, "offsets": True}
        found = outcome(lambda a=firsts, b=seconds: ours.encode_padded(a, b, **options))
        if want == "raises":
            assert found == want
            continue
        assert found != "raises"
        for row, encoding in enumerate(want):
            count = len(encoding)
            assert found["attention_mask"][row].sum() == count
            assert found["input_ids"][row, :count].tolist() == encoding.ids
            assert found["token_type_ids"][row, :count].tolist() == encoding.type_ids
            offsets = [list(span) for span in encoding.offsets]
            assert found["offset_mapping"][row, :count].tolist() == offsets
            cut += bool(encoding.overflowing)
    assert cut or strategy != "longest_first" or small.name == "unigram without unk"


def test_the_error_names_the_whole_length(gpt2: Pair) -> None:
    text = "river " * 5000
    with pytest.raises(penstock.errors.TruncationError) as caught:
        gpt2.ours.encode_padded(["a"], [text], max_length=4, truncation="only_first")
    ours = penstock.Tokenizer(gpt2.ours._native)
    ours.enable_truncation(4, strategy="only_first")
    with pytest.raises(penstock.errors.TruncationError, match=re.escape(str(caught.value))):
        ours.encode("a", text)
