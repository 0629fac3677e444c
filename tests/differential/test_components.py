"""Component configurations that no well-known model has, against `tokenizers`."""

from __future__ import annotations

import json

import pytest
import tokenizers
from hypothesis import given, settings

from tests import strategies
from tests.charsmap import charsmap
from tests.compare import assert_same_bulk, assert_same_fields
from tests.conftest import SEED, Pair
from tests.families import CL100K, R50K, Json, byte_level, sequence, split
from tests.random_text import random_strings

OWN = byte_level(use_regex=False)
DIGITS = {"type": "Digits", "individual_digits": False}
EACH_DIGIT = {"type": "Digits", "individual_digits": True}

BEHAVIORS = ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")


def metaspace(scheme: str, *, split: bool = True, replacement: str = "\u2581") -> Json:
    """A Metaspace component."""
    return {
        "type": "Metaspace",
        "replacement": replacement,
        "prepend_scheme": scheme,
        "split": split,
    }


def bert(*, strip_accents: bool | None = None, **flags: bool) -> Json:
    """A BertNormalizer; the flags that are not named are true."""
    names = ("clean_text", "handle_chinese_chars", "lowercase")
    values: Json = {name: flags.get(name, True) for name in names}
    return {"type": "BertNormalizer", "strip_accents": strip_accents, **values}


PRE_TOKENIZERS: dict[str, Json | None] = {
    "byte-level-prefix": byte_level(prefix=True),
    "byte-level-prefix-untrimmed": byte_level(prefix=True, trim=False),
    "byte-level-no-regex": OWN,
    "byte-level-no-regex-prefix": byte_level(prefix=True, use_regex=False),
    "cl100k-then-prefix": sequence(split(CL100K), byte_level(prefix=True, use_regex=False)),
    "digits-then-prefix": sequence(DIGITS, byte_level(prefix=True)),
    "digits": sequence(DIGITS, byte_level()),
    "each-digit": sequence(EACH_DIGIT, OWN),
    "split-then-own-regex": sequence(split(r"\d"), byte_level()),
    "nested": sequence(sequence(split(r"\s+"), EACH_DIGIT), sequence(OWN)),
    "split-string": sequence(
        {"type": "Split", "pattern": {"String": " "}, "behavior": "Isolated", "invert": False}, OWN
    ),
    "lookbehind": sequence(split(r"(?<=[a-z])(?=[A-Z])|\s+"), OWN),
    "back-reference": sequence(split(r"(\p{L})\1+"), OWN),
    "possessive": sequence(split(r"\p{L}++|\s*+(?=x)"), OWN),
    "empty-matches": sequence(split(r"x*"), OWN),
    "almost-cl100k": sequence(split(CL100K.replace("{1,3}", "{1,4}")), OWN),
    "almost-gpt2": sequence(split(R50K), OWN),
    "cl100k-removed": sequence(split(CL100K, "Removed"), OWN),
    "cl100k-inverted": sequence(split(CL100K, invert=True), OWN),
    "cl100k-then-regex": sequence(split(CL100K), byte_level(use_regex=True)),
    "whitespace": sequence({"type": "Whitespace"}, OWN),
    "whitespace-split": sequence({"type": "WhitespaceSplit"}, OWN),
    "bert": sequence({"type": "BertPreTokenizer"}, OWN),
    "scripts": sequence({"type": "UnicodeScripts"}, OWN),
    "fixed-length": sequence({"type": "FixedLength"}, OWN),
    "fixed-length-1": sequence({"type": "FixedLength", "length": 1}, OWN),
    "delimiter": sequence({"type": "CharDelimiterSplit", "delimiter": "\u0301"}, OWN),
    "byte-level-first": sequence(
        byte_level(prefix=True), {"type": "Digits", "individual_digits": True}
    ),
    "byte-level-cut": sequence(OWN, {"type": "FixedLength", "length": 1}),
    "byte-level-twice": sequence(byte_level(), byte_level(prefix=True)),
    "byte-level-metaspace": sequence(byte_level(), metaspace("always"), OWN),
    **{
        f"metaspace-{scheme}-{'split' if split_ else 'whole'}": sequence(
            metaspace(scheme, split=split_), OWN
        )
        for scheme in ("always", "first", "never")
        for split_ in (True, False)
    },
    "split-metaspace-first": sequence(split(r"\w+"), metaspace("first"), OWN),
    "metaspace-odd": sequence(metaspace("always", replacement="a"), OWN),
    "t5": sequence({"type": "WhitespaceSplit"}, metaspace("always"), OWN),
    **{
        f"punctuation-{behavior}": sequence({"type": "Punctuation", "behavior": behavior}, OWN)
        for behavior in BEHAVIORS
    },
    **{
        f"{behavior}{'-inverted' if invert else ''}": sequence(
            split(r"\s+|[.,]", behavior, invert=invert), OWN
        )
        for behavior in BEHAVIORS
        for invert in (False, True)
    },
}

NORMALIZERS: dict[str, Json] = {
    "nfc": {"type": "NFC"},
    "nfd": {"type": "NFD"},
    "nfkc": {"type": "NFKC"},
    "nfkd": {"type": "NFKD"},
    "lowercase": {"type": "Lowercase"},
    "nmt": {"type": "Nmt"},
    "byte-level": {"type": "ByteLevel"},
    "strip-accents": {"type": "StripAccents"},
    "bert": bert(),
    "bert-cased": bert(lowercase=False),
    "bert-accents": bert(strip_accents=False),
    "bert-accents-only": bert(clean_text=False, handle_chinese_chars=False, strip_accents=True),
    "bert-chinese": bert(clean_text=False, lowercase=False),
    "bert-clean": bert(handle_chinese_chars=False, lowercase=False),
    "precompiled": {"type": "Precompiled", "precompiled_charsmap": charsmap()},
    "prepend-replace": {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
        ],
    },
    "strip": {"type": "Strip", "strip_left": True, "strip_right": True},
    "strip-left": {"type": "Strip", "strip_left": True, "strip_right": False},
    "strip-right": {"type": "Strip", "strip_left": False, "strip_right": True},
    "prepend": {"type": "Prepend", "prepend": "\u2581"},
    "replace-string": {"type": "Replace", "pattern": {"String": "  "}, "content": " "},
    "replace-regex": {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
    "replace-nothing": {"type": "Replace", "pattern": {"String": "e"}, "content": ""},
    "replace-longer": {"type": "Replace", "pattern": {"Regex": "[aeiou]"}, "content": "<\u4e2d>"},
    "sequence": {
        "type": "Sequence",
        "normalizers": [
            {"type": "NFKC"},
            {"type": "Lowercase"},
            {"type": "Strip", "strip_left": True, "strip_right": True},
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Prepend", "prepend": " "},
        ],
    },
    "empty-sequence": {"type": "Sequence", "normalizers": []},
}

POST_PROCESSORS: dict[str, Json | None] = {
    "none": None,
    "byte-level-trim": byte_level(),
    "byte-level-trim-prefix": byte_level(prefix=True),
    "byte-level-untrimmed": byte_level(trim=False),
    "roberta": {
        "type": "RobertaProcessing",
        "sep": ["</s>", 2],
        "cls": ["<s>", 0],
        "trim_offsets": True,
        "add_prefix_space": True,
    },
    "roberta-untrimmed": {
        "type": "RobertaProcessing",
        "sep": ["</s>", 2],
        "cls": ["<s>", 0],
        "trim_offsets": False,
        "add_prefix_space": False,
    },
    "template-swapped": {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "X", "type_id": 3}},
            {"Sequence": {"id": "A", "type_id": 2}},
            {"SpecialToken": {"id": "X", "type_id": 1}},
        ],
        "pair": [
            {"Sequence": {"id": "B", "type_id": 5}},
            {"SpecialToken": {"id": "X", "type_id": 4}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "special_tokens": {"X": {"id": "X", "ids": [7, 8, 9], "tokens": ["x", "y", "z"]}},
    },
}


def variant(small_json: dict[str, Json], **parts: Json | None) -> Pair:
    """The small GPT-2 with some of its parts replaced."""
    value = json.loads(json.dumps(small_json["gpt2"])) | parts
    return Pair.load("+".join(parts), json.dumps(value))


def check(pair: Pair, texts: list[str]) -> None:
    """All fields of single texts, pairs and words."""
    assert_same_bulk(pair.ours, pair.reference, texts)
    for text, other in zip(texts[:150], texts[150:300], strict=True):
        assert_same_fields(pair.ours.encode(text), pair.reference.encode(text), text)
        assert_same_fields(
            pair.ours.encode(text, other), pair.reference.encode(text, other), (text, other)
        )
        words = [text, other]
        assert_same_fields(
            pair.ours.encode(words, is_pretokenized=True),
            pair.reference.encode(words, is_pretokenized=True),
            words,
        )


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """The same hostile strings for every configuration."""
    return random_strings(SEED + 1, 1200)


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_pre_tokenizers(small_json: dict[str, Json], texts: list[str], name: str) -> None:
    check(variant(small_json, pre_tokenizer=PRE_TOKENIZERS[name]), texts)


@pytest.mark.parametrize("name", NORMALIZERS)
def test_normalizers(small_json: dict[str, Json], texts: list[str], name: str) -> None:
    check(variant(small_json, normalizer=NORMALIZERS[name]), texts)


@pytest.mark.parametrize("name", POST_PROCESSORS)
def test_post_processors(small_json: dict[str, Json], texts: list[str], name: str) -> None:
    check(variant(small_json, post_processor=POST_PROCESSORS[name]), texts)


@pytest.mark.parametrize(
    "processors", [["byte-level-trim", "roberta"], ["byte-level-untrimmed", "template-swapped"]]
)
def test_post_processor_sequences(
    small_json: dict[str, Json], texts: list[str], processors: list[str]
) -> None:
    value = {"type": "Sequence", "processors": [POST_PROCESSORS[name] for name in processors]}
    check(variant(small_json, post_processor=value), texts)


@pytest.mark.parametrize(
    "decoder",
    [
        None,
        byte_level(),
        {"type": "Sequence", "decoders": [byte_level()]},
        {"type": "Sequence", "decoders": [byte_level(), {"type": "Fuse"}]},
        {"type": "Fuse"},
    ],
    ids=["none", "byte-level", "sequence", "sequence-fuse", "fuse"],
)
def test_decoders(small_json: dict[str, Json], texts: list[str], decoder: Json | None) -> None:
    pair = variant(small_json, decoder=decoder)
    rows = [pair.reference.encode(text).ids for text in texts]
    for skip in (True, False):
        assert pair.ours.decode_batch(rows, skip_special_tokens=skip) == (
            pair.reference.decode_batch(rows, skip_special_tokens=skip)
        )


MODEL_FLAGS: dict[str, Json] = {
    "ignore-merges": {"ignore_merges": True},
    "byte-fallback": {"byte_fallback": True},
    "unk": {"unk_token": "<|endoftext|>"},
    "fuse-unk": {"unk_token": "<|endoftext|>", "fuse_unk": True},
    "empty-affixes": {"continuing_subword_prefix": "", "end_of_word_suffix": ""},
}


@pytest.mark.parametrize("name", MODEL_FLAGS)
@pytest.mark.parametrize("alphabet", ["whole", "part"])
def test_model_flags(
    small_json: dict[str, Json], texts: list[str], name: str, alphabet: str
) -> None:
    """With a part of the alphabet, bytes without a token are unknown, or dropped where there is no
    unknown token."""
    value = json.loads(json.dumps(small_json["gpt2"]))
    value["model"] |= MODEL_FLAGS[name]
    if alphabet == "part":
        drop_bytes(value, "\u0120zZ\u010a")
    check(Pair.load(name, json.dumps(value)), texts)


def drop_bytes(value: Json, characters: str) -> None:
    """Removes tokens and merges that hold one of these characters."""
    model = value["model"]
    model["merges"] = [
        merge for merge in model["merges"] if not any(c in "".join(merge) for c in characters)
    ]
    model["vocab"] = {
        token: token_id
        for token, token_id in model["vocab"].items()
        if not any(c in token for c in characters)
    }


def test_merges_that_compete(small_json: dict[str, Json]) -> None:
    """Merges in an order that no training gives: results that are no prefix closed set, ranks
    against length."""
    value = json.loads(json.dumps(small_json["gpt2"]))
    alphabet = "abcd"
    tokens = [
        *list(alphabet),
        "ab",
        "bc",
        "cd",
        "abc",
        "bcd",
        "abcd",
        "aa",
        "aaa",
        "aaaa",
        "ba",
        "da",
    ]
    value["added_tokens"] = []
    value["pre_tokenizer"] = OWN
    value["post_processor"] = None
    value["model"]["vocab"] = {token: index for index, token in enumerate(tokens)}
    import itertools
    import random

    splits = [
        (token[:cut], token[cut:])
        for token in tokens
        for cut in range(1, len(token))
        if token[:cut] in tokens and token[cut:] in tokens
    ]
    for seed in range(30):
        rng = random.Random(f"{SEED}:{seed}")
        merges = rng.sample(splits, rng.randint(1, len(splits)))
        value["model"]["merges"] = [list(pair) for pair in merges]
        value["model"]["ignore_merges"] = bool(seed % 2)
        pair = Pair.load("competing", json.dumps(value))
        texts = [
            "".join(word) for n in range(1, 6) for word in itertools.product(alphabet, repeat=n)
        ]
        texts += ["".join(rng.choices(alphabet, k=rng.randint(6, 300))) for _ in range(200)]
        assert_same_bulk(pair.ours, pair.reference, texts)


@settings(max_examples=30)
@given(text=strategies.text)
def test_dropout_zero_is_exact(small_json: dict[str, Json], text: str) -> None:
    value = json.loads(json.dumps(small_json["gpt2"]))
    value["model"]["dropout"] = 0.0
    dumped = json.dumps(value)
    pair = Pair.load("dropout", dumped)
    assert pair.ours.encode(text).ids == tokenizers.Tokenizer.from_str(dumped).encode(text).ids
