"""Bad input gives a typed error that says what and where; nothing panics, nothing hangs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import penstock
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from penstock.errors import (
    LoadError,
    PenstockError,
    RegexError,
    TextError,
    TokenIdError,
    TruncationError,
    UnsupportedComponentError,
)

from tests.conftest import Pair
from tests.families import Json, byte_level, sequence, split

if TYPE_CHECKING:
    from pathlib import Path

Change = Callable[[Json], Any]


def changed(small_json: dict[str, Json], change: Change) -> str:
    """The small GPT-2 with one change."""
    value = json.loads(json.dumps(small_json["gpt2"]))
    change(value)
    return json.dumps(value)


def put(path: str, new: Any) -> Change:
    """Sets the value at a dotted path; numbers index lists."""

    def change(value: Json) -> None:
        *parents, last = [int(key) if key.lstrip("-").isdigit() else key for key in path.split(".")]
        target: Any = value
        for key in parents:
            target = target[key]
        target[last] = new

    return change


NOT_JSON = {
    "empty": b"",
    "blank": b"  \n ",
    "brace": b"{",
    "array": b"[]",
    "number": b"12",
    "null": b"null",
    "string": b'"x"',
    "trailing": b"{} x",
    "comma": b'{"a": 1,}',
    "nan": b'{"model": NaN}',
    "not-utf-8": b'{"model": "\xff\xfe"}',
    "bom-only": b"\xef\xbb\xbf",
    "zeros": b"\0" * 1000,
    "empty-object": b"{}",
    "lone-surrogate": b'{"version": "\\ud800"}',
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("name", NOT_JSON)
def test_what_is_not_a_tokenizer(name: str, tmp_path: Path) -> None:
    with pytest.raises(LoadError):
        penstock.Tokenizer.from_buffer(NOT_JSON[name])
    path = tmp_path / f"{name}.json"
    path.write_bytes(NOT_JSON[name])
    with pytest.raises(LoadError, match=name):
        penstock.Tokenizer.from_file(path)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.999, 0.99999])
def test_truncated(small_json: dict[str, Json], share: float) -> None:
    data = json.dumps(small_json["gpt2"]).encode()
    with pytest.raises(LoadError, match="line 1, column"):
        penstock.Tokenizer.from_buffer(data[: int(len(data) * share)])


WRONG = {
    "model-missing": lambda value: value.pop("model"),
    "model-null": put("model", None),
    "model-list": put("model", []),
    "vocab-list": put("model.vocab", []),
    "vocab-missing": lambda value: value["model"].pop("vocab"),
    "vocab-string-id": put("model.vocab.zzz", "1"),
    "vocab-negative-id": put("model.vocab.zzz", -1),
    "vocab-fraction-id": put("model.vocab.zzz", 1.5),
    "vocab-huge-id": put("model.vocab.zzz", 2**32),
    "vocab-null-id": put("model.vocab.zzz", None),
    "merges-object": put("model.merges", {}),
    "merges-missing": lambda value: value["model"].pop("merges"),
    "merge-number": put("model.merges.3", 7),
    "merge-one-part": put("model.merges.3", "abc"),
    "merge-three-parts": put("model.merges.3", ["a", "b", "c"]),
    "merge-empty": put("model.merges.3", []),
    "merge-null-part": put("model.merges.3", ["a", None]),
    "merge-dangling-left": put("model.merges.3", ["no-such-token", "a"]),
    "merge-dangling-right": put("model.merges.3", ["a", "no-such-token"]),
    "merge-dangling-result": put("model.merges.3", ["<|endoftext|>", "a"]),
    "dropout-string": put("model.dropout", "x"),
    "dropout-large": put("model.dropout", 1.5),
    "dropout-negative": put("model.dropout", -0.5),
    "unk-number": put("model.unk_token", 3),
    "flag-string": put("model.ignore_merges", "yes"),
    "added-object": put("added_tokens", {}),
    "added-string": put("added_tokens.0", "<s>"),
    "added-no-content": lambda value: value["added_tokens"][0].pop("content"),
    "added-no-id": lambda value: value["added_tokens"][0].pop("id"),
    "added-negative-id": put("added_tokens.0.id", -5),
    "added-flag": put("added_tokens.0.lstrip", 1),
    "normalizer-string": put("normalizer", "NFC"),
    "normalizer-no-type": put("normalizer", {}),
    "normalizer-list": put("normalizer", []),
    "sequence-no-list": put("pre_tokenizer", {"type": "Sequence"}),
    "sequence-of-strings": put("pre_tokenizer", {"type": "Sequence", "pretokenizers": ["x"]}),
    "split-no-pattern": put("pre_tokenizer", {"type": "Split", "behavior": "Isolated"}),
    "split-behavior": put("pre_tokenizer", split(r"\s+", "Sideways")),
    "byte-level-flag": put("pre_tokenizer", byte_level() | {"add_prefix_space": "no"}),
    "template-unknown-token": put(
        "post_processor",
        {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "X", "type_id": 0}}],
            "pair": [
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {},
        },
    ),
    "template-piece": put(
        "post_processor",
        {"type": "TemplateProcessing", "single": [7], "pair": [], "special_tokens": {}},
    ),
    "roberta-no-sep": put("post_processor", {"type": "RobertaProcessing", "cls": ["<s>", 0]}),
    "decoder-string": put("decoder", "ByteLevel"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_name_their_place(small_json: dict[str, Json], name: str) -> None:
    with pytest.raises(LoadError) as caught:
        penstock.Tokenizer.from_str(changed(small_json, WRONG[name]))
    place = name.split("-", maxsplit=1)[0]
    keys = {
        "vocab": "model",
        "merges": "merges",
        "merge": "merges",
        "dropout": "dropout",
        "unk": "unk_token",
        "flag": "ignore_merges",
        "added": "added_tokens",
        "sequence": "pre_tokenizer",
        "split": "pre_tokenizer",
        "byte": "pre_tokenizer",
        "template": "post_processor",
        "roberta": "post_processor",
    }
    assert name == "vocab-huge-id" or keys.get(place, place) in str(caught.value)


UNSUPPORTED = {
    "normalizer": {"type": "Wobble"},
    "pre_tokenizer": {"type": "Wobble"},
    "post_processor": {"type": "Wobble"},
    "decoder": {"type": "Wobble"},
    "model": {"type": "Wobble", "vocab": {}, "merges": []},
}


@pytest.mark.parametrize("stage", UNSUPPORTED)
def test_an_unknown_component_is_named(small_json: dict[str, Json], stage: str) -> None:
    with pytest.raises(UnsupportedComponentError, match="Wobble") as caught:
        penstock.Tokenizer.from_str(changed(small_json, put(stage, UNSUPPORTED[stage])))
    assert stage in str(caught.value)


LIMITS: dict[str, list[Json]] = {
    "truncation": [
        {"strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        {"max_length": -1, "strategy": "LongestFirst", "stride": 0},
        {"max_length": 3, "strategy": "Longest", "stride": 0},
        {"max_length": 3, "strategy": "OnlyFirst", "stride": 0, "direction": "Up"},
    ],
    "padding": [
        {"strategy": "BatchLongest"},
        {
            "strategy": {"Fixed": -3},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "x",
        },
    ],
}


@pytest.mark.parametrize(
    ("stage", "value"), [(stage, value) for stage, values in LIMITS.items() for value in values]
)
def test_bad_limits_are_named(small_json: dict[str, Json], stage: str, value: Json) -> None:
    """Silently ignoring these would give other ids."""
    with pytest.raises(LoadError) as caught:
        penstock.Tokenizer.from_str(changed(small_json, put(stage, value)))
    assert caught.value.key == stage


def test_limits_of_a_call_are_checked(tokenizer: penstock.Tokenizer) -> None:
    texts = ["a b c d", "a"]
    for options, error in (
        ({"truncation": True}, ValueError),
        ({"padding": "max_length"}, ValueError),
        ({"padding": "widest"}, ValueError),
        ({"padding": "max_length", "max_length": 2}, TruncationError),
        ({"padding": False}, TruncationError),
        ({"truncation": "middle", "max_length": 2}, ValueError),
        ({"truncation": True, "max_length": 2, "truncation_side": "up"}, ValueError),
        ({"truncation": True, "max_length": 2, "stride": 2}, TruncationError),
        ({"truncation": "only_second", "max_length": 2}, TruncationError),
        ({"dtype": "float32"}, ValueError),
        ({"max_length": -1, "truncation": True}, OverflowError),
        ({"pad_id": 2**31, "dtype": "int32"}, penstock.errors.LoadError),
    ):
        with pytest.raises(error):
            tokenizer.encode_padded(texts, **options)
    with pytest.raises(ValueError, match="2 texts and 1 pairs"):
        tokenizer.encode_padded(texts, ["x"])
    with pytest.raises(TypeError):
        tokenizer.encode_padded("a")
    with pytest.raises(penstock.errors.TextError) as caught:
        tokenizer.encode_padded(["a", "\ud800"])
    assert caught.value.row == 1
    for arguments in ({"stride": 9}, {"strategy": "x"}, {"direction": "x"}):
        with pytest.raises(ValueError, match=r"stride|strategy|direction"):
            tokenizer.enable_truncation(5, **arguments)
    assert tokenizer.truncation is None
    with pytest.raises(ValueError, match="direction"):
        tokenizer.enable_padding(direction="up")
    assert tokenizer.padding is None


@pytest.mark.parametrize(
    "pattern", ["(", "[a-", "*a", "(?<=a+b*)c)", r"\p{NoSuchClass}", "a{2,1}(", "(?P<x>"]
)
def test_a_regex_that_does_not_compile(small_json: dict[str, Json], pattern: str) -> None:
    own = byte_level(use_regex=False)
    text = changed(small_json, put("pre_tokenizer", sequence(split(pattern), own)))
    with pytest.raises(RegexError):
        penstock.Tokenizer.from_str(text)
    assert issubclass(RegexError, PenstockError)


def test_duplicate_ids_do_not_panic(small_json: dict[str, Json]) -> None:
    """Two tokens with one id: an error, or what the reference does."""
    text = changed(small_json, put("model.vocab.zzz", 5))
    try:
        pair = Pair.load("duplicate", text)
    except LoadError:
        return
    assert pair.ours.encode("hello zzz").ids == pair.reference.encode("hello zzz").ids


@pytest.mark.parametrize("depth", [200, 100_000])
def test_deep_nesting(depth: int) -> None:
    for left, right in ((b"[", b"]"), (b'{"normalizer":', b"}")):
        with pytest.raises(LoadError):
            penstock.Tokenizer.from_buffer(left * depth + b"1" + right * depth)


def test_deep_sequences(small_json: dict[str, Json]) -> None:
    """Sequences within sequences: either loaded or refused, never a stack overflow."""
    for depth in (50, 100_000):
        opening = '{"type":"Sequence","normalizers":[' * depth
        text = json.dumps(small_json["gpt2"]).replace(
            '"normalizer": null', f'"normalizer": {opening}{"]}" * depth}'
        )
        try:
            tokenizer = penstock.Tokenizer.from_str(text)
        except LoadError:
            continue
        assert tokenizer.encode("a").ids


def test_a_large_vocabulary_without_merges() -> None:
    """Half a million entries load in reasonable time and memory."""
    vocab = {f"t{index}": index for index in range(500_000)}
    value = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": byte_level(),
        "decoder": byte_level(),
        "model": {"type": "BPE", "vocab": vocab, "merges": []},
    }
    tokenizer = penstock.Tokenizer.from_str(json.dumps(value))
    assert tokenizer.get_vocab_size() == 500_000
    assert tokenizer.token_to_id("t499999") == 499_999


def test_sparse_ids(small_json: dict[str, Json]) -> None:
    """An id near the top of the range must not allocate the range."""
    text = changed(small_json, put("model.vocab.zzz", 2**32 - 2))
    try:
        tokenizer = penstock.Tokenizer.from_str(text)
    except LoadError:
        return
    assert tokenizer.token_to_id("zzz") == 2**32 - 2


def test_missing_files(tmp_path: Path) -> None:
    for call in (
        lambda: penstock.Tokenizer.from_file(tmp_path / "none.json"),
        lambda: penstock.Tokenizer.from_file(str(tmp_path)),
        lambda: penstock.Tokenizer.from_tiktoken(
            tmp_path / "none.tiktoken", pattern="x", special_tokens={}
        ),
        lambda: penstock.Tokenizer.from_pretrained(str(tmp_path)),
    ):
        with pytest.raises((LoadError, OSError), match=str(tmp_path.name)):
            call()


SURROGATES = ["\ud800", "a\udfff", "\ud83d\ude00", "x" * 100 + "\udc80" + "y"]


@pytest.mark.parametrize("text", SURROGATES)
def test_lone_surrogates_name_their_position(tokenizer: penstock.Tokenizer, text: str) -> None:
    position = next(index for index, c in enumerate(text) if 0xD800 <= ord(c) < 0xE000)
    for call in (
        lambda: tokenizer.encode(text),
        lambda: tokenizer.encode("a", text),
        lambda: tokenizer.encode(["a", text], is_pretokenized=True),
        lambda: tokenizer.encode_ids(text),
        lambda: tokenizer.encode_batch(["a", text]),
        lambda: tokenizer.encode_batch_fast(["a", text]),
        lambda: tokenizer.encode_ragged(["a", text]),
        lambda: tokenizer.count_tokens(["a", text]),
    ):
        with pytest.raises(TextError, match=rf"\b{position}\b"):
            call()
    for call in (
        lambda: tokenizer.add_tokens([text]),
        lambda: tokenizer.token_to_id(text),
        lambda: penstock.Tokenizer.from_str(text),
    ):
        with pytest.raises((PenstockError, UnicodeError)):
            call()


@pytest.mark.parametrize("text", [None, 1, b"bytes", ["a"], object(), ("a", "b", "c")])
def test_what_is_not_text(tokenizer: penstock.Tokenizer, text: Any) -> None:
    with pytest.raises(TypeError):
        tokenizer.encode(text)
    with pytest.raises((TypeError, ValueError)):
        tokenizer.encode_batch([text] if text != ["a"] else text[0])
    with pytest.raises(TypeError):
        tokenizer.encode_ragged([text])


@pytest.mark.parametrize("ids", [[-1], [2**32], [2**70], np.array([-1]), np.array([2**40])])
def test_ids_out_of_range(tokenizer: penstock.Tokenizer, ids: Any) -> None:
    with pytest.raises((TokenIdError, OverflowError)):
        tokenizer.decode(ids)
    with pytest.raises((TokenIdError, OverflowError)):
        tokenizer.decode_batch([[1], ids])


@pytest.mark.parametrize(
    "ids", [["a"], [1.5], "abc", None, np.array([1.5]), np.zeros((2, 2), int), [None]]
)
def test_what_is_not_ids(tokenizer: penstock.Tokenizer, ids: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        tokenizer.decode(ids)


def test_negative_ids_elsewhere(tokenizer: penstock.Tokenizer) -> None:
    for call in (lambda: tokenizer.id_to_token(-1), lambda: tokenizer.decode_stream().step(-1)):
        with pytest.raises((TokenIdError, OverflowError)):
            call()


def test_unknown_ids_decode_as_in_the_reference(gpt2: Pair) -> None:
    for ids in ([10**6], [10**6, 70], [70, 2**32 - 1, 71]):
        assert gpt2.ours.decode(ids) == gpt2.reference.decode(ids)


@settings(max_examples=200)
@given(data=st.data())
def test_random_damage_never_panics(small_json: dict[str, Json], data: st.DataObject) -> None:
    """Bytes overwritten, cut or doubled: a typed error or a tokenizer that works."""
    text = bytearray(json.dumps(small_json["gpt2"] | {"model": TINY_MODEL}).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text) - 1))
        end = min(start + data.draw(st.integers(0, 12)), len(text))
        text[start:end] = data.draw(
            st.binary(max_size=6) | st.sampled_from([b"[", b"{", b'"', b"9" * 9])
        )
    try:
        tokenizer = penstock.Tokenizer.from_buffer(bytes(text))
    except PenstockError:
        return
    try:
        tokenizer.encode("ab ab <|endoftext|> \u00e9 zzz")
        tokenizer.decode([0, 1, 2, 3, 4, 5])
    except PenstockError:
        return


TINY_MODEL: Json = {
    "type": "BPE",
    "vocab": {"<|endoftext|>": 0, "a": 1, "b": 2, "ab": 3, "\u0120": 4, "\u0120ab": 5},
    "merges": [["a", "b"], ["\u0120", "ab"]],
}
