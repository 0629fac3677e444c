"""Random calls of a tokenizer of transformers, on stock and on penstock, result by result.

Options are drawn together as users combine them, nonsense included; what stock raises has to be
raised in the same class.
"""

from __future__ import annotations

import copy
import json
import os
import random
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import penstock.transformers as pt
import pytest
import torch
import transformers
from penstock.transformers import engine_of, wrap
from transformers import BatchEncoding

from tests import checkpoints
from tests.conftest import REQUIRE_PARITY, SEED, fixtures_root
from tests.random_text import random_strings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

torch.set_num_threads(1)
CALLS = int(os.environ.get("PENSTOCK_TRANSFORMERS_CALLS", "120" if REQUIRE_PARITY else "60"))

REAL = (
    "bert-base-uncased", "bert-base-cased", "gpt2", "roberta-base", "llama-3", "qwen2.5",
    "t5-small",
    "xlm-roberta-base", "albert-base-v2", "llama-2", "mistral-7b-v0.3", "phi-3-mini", "deepseek-v3",
    "gpt-oss-o200k", "gpt-neox-20b", "whisper-tiny", "clip", "bert-base-chinese",
)  # fmt: skip


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = checkpoints.make(tmp_path_factory.mktemp("checkpoints"))
    root = fixtures_root()
    if root is not None:
        made |= {name: root / "tokenizers" / name for name in REAL}
    return made


WRAPPED = ("roberta", "t5", "wordlevel", "bert-base-cased", "llama-3", "whisper-tiny")
"""Tokenizers of stock with an engine put under them."""

Two = tuple[Any, Any]


def load(folder: Path) -> Two:
    """The same tokenizer, stock and ours: loaded without the stock backend, or around it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stock = transformers.AutoTokenizer.from_pretrained(folder)
        ours = (transformers if folder.name in WRAPPED else pt).AutoTokenizer.from_pretrained(
            folder
        )
        for tokenizer in (stock, ours):
            if tokenizer.pad_token is None:
                names = [tokenizer.eos_token, *tokenizer.all_special_tokens, "<pad>"]
                tokenizer.pad_token = next(name for name in names if name)
        if folder.name in WRAPPED:
            wrap(ours)
    return ours, stock


@pytest.fixture(scope="module", params=(*checkpoints.MAKERS, *(REAL if REQUIRE_PARITY else ())))
def both(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Two:
    return load(folders[request.param])


# --- comparison


def outcome(function: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # every kind is compared; stock may even panic
            return type(error)


def same(ours: Any, stock: Any, where: str) -> None:
    """Equal in type, shape and value."""
    if isinstance(stock, BatchEncoding):
        assert type(ours) is BatchEncoding, where
        assert list(ours.keys()) == list(stock.keys()), where
        for key in stock:
            same(ours[key], stock[key], f"{where}[{key}]")
        if stock.encodings is None:
            assert ours.encodings is None, where
        else:
            assert ours.n_sequences == stock.n_sequences, where
            assert len(ours.encodings) == len(stock.encodings), where
            for row, (mine, theirs) in enumerate(zip(ours.encodings, stock.encodings, strict=True)):
                same_encoding(mine, theirs, f"{where} encoding {row}")
    elif isinstance(stock, dict):
        assert list(ours) == list(stock), where
        for key in stock:
            same(ours[key], stock[key], f"{where}[{key}]")
    elif isinstance(stock, torch.Tensor):
        assert isinstance(ours, torch.Tensor), where
        assert ours.dtype == stock.dtype, f"{where}: {ours.dtype}, stock {stock.dtype}"
        assert ours.shape == stock.shape, f"{where}: {ours.shape}, stock {stock.shape}"
        assert torch.equal(ours, stock), where
    elif isinstance(stock, np.ndarray):
        assert isinstance(ours, np.ndarray), where
        assert ours.dtype == stock.dtype, where
        assert ours.shape == stock.shape, where
        if stock.dtype == object:
            assert all(map(np.array_equal, ours.ravel(), stock.ravel())), where
        else:
            assert np.array_equal(ours, stock), where
    else:
        assert type(ours) is type(stock), f"{where}: {ours!r}, stock {stock!r}"
        assert ours == stock, f"{where}: {ours!r}, stock {stock!r}"


FIELDS = (
    "ids", "type_ids", "tokens", "offsets", "attention_mask", "special_tokens_mask", "word_ids",
    "sequence_ids", "n_sequences",
)  # fmt: skip


def same_encoding(ours: Any, stock: Any, where: str) -> None:
    for field in FIELDS:
        mine, theirs = getattr(ours, field), getattr(stock, field)
        assert mine == theirs, f"{where} {field}: {mine}, stock {theirs}"
    assert len(ours.overflowing) == len(stock.overflowing), where


# --- random calls


def texts_of(tokenizer: Any, rng: random.Random, count: int) -> list[str]:
    specials = tokenizer.all_special_tokens
    texts = random_strings(rng.randrange(1 << 30), count, specials)
    return [text if rng.random() < 0.9 else rng.choice(["", " ", "a", "x" * 300]) for text in texts]


def random_input(tokenizer: Any, rng: random.Random) -> dict[str, Any]:
    shape = rng.choice(
        ["text"] * 3 + ["batch"] * 5 + ["pair", "pairs", "tuples", "lists", "words", "words batch",
         "words pairs", "mixed", "tuple", "bad", "target", "keyword pair"]
    )  # fmt: skip
    rows = rng.choice([1, 1, 2, 3, 5, 9])
    some = texts_of(tokenizer, rng, rows)
    more = texts_of(tokenizer, rng, rows)
    if shape == "text":
        return {"text": some[0]}
    if shape == "batch":
        return {"text": some}
    if shape == "tuple":
        return {"text": tuple(some)}
    if shape in ("pair", "keyword pair"):
        return {"text": some[0], "text_pair": more[0]}
    if shape == "pairs":
        return {"text": some, "text_pair": more}
    if shape == "tuples":
        return {"text": list(zip(some, more, strict=True))}
    if shape == "lists":
        return {"text": [[a, b] for a, b in zip(some, more, strict=True)]}
    if shape == "mixed":
        return {"text": [*some, *zip(some, more, strict=True)]}
    if shape == "target":
        return {"text": some, "text_target": more}
    split = [text.split() or ["a"] for text in some]
    if shape == "words":
        return {"text": split[0], "is_split_into_words": True}
    if shape == "words batch":
        return {"text": split, "is_split_into_words": True}
    if shape == "words pairs":
        return {
            "text": split,
            "text_pair": [text.split() or ["b"] for text in more],
            "is_split_into_words": True,
        }
    return rng.choice(
        [
            {"text": 5}, {"text": None}, {"text": []}, {"text": ()}, {"text": [1, 2]},
            {"text": ["a", None]}, {"text": ["a", 3]}, {"text": "\ud800"}, {"text": ["a",
            "\ud800"]},
            {"text": ["a", "b"], "text_pair": "c"}, {"text": ["a", "b"], "text_pair": ["c"]},
            {"text": "a", "text_pair": ""}, {"text": ["a"], "text_pair": [""]}, {"text": b"a"},
            {"text": np.array(["a", "b"])}, {"text": [[]]}, {"text": ["a"],
            "is_split_into_words": True},
            {"text": [], "is_split_into_words": True}, {"text": [("a", "b", "c")]},
            {"text": [("a",)]},
            {"text": "a", "unknown_option": 1}, {"text": [("a", "b"), "c"]}, {"text": ["c", ("a",
            "b")]},
        ]
    )  # fmt: skip


def random_options(rng: random.Random) -> dict[str, Any]:
    options: dict[str, Any] = {}

    def maybe(name: str, chance: float, *values: Any) -> None:
        if rng.random() < chance:
            options[name] = rng.choice(values)

    maybe("padding", 0.6, True, True, "longest", "max_length", False, "do_not_pad", "nonsense")
    maybe("truncation", 0.6, True, True, "longest_first", "only_first", "only_second", False,
          "do_not_truncate", "nonsense")  # fmt: skip
    maybe("max_length", 0.5, 1, 2, 3, 4, 5, 8, 12, 16, 24, 64, 0, 600, -1)
    maybe("stride", 0.15, 1, 2, 3, 0, 20)
    maybe("pad_to_multiple_of", 0.15, 2, 8, 7)
    maybe("padding_side", 0.15, "left", "right", "up")
    maybe("return_tensors", 0.5, "pt", "np", "pt", "np", None, "tf", "nonsense")
    maybe("add_special_tokens", 0.25, False, True)
    for name in (
        "return_token_type_ids", "return_attention_mask", "return_overflowing_tokens",
        "return_special_tokens_mask", "return_offsets_mapping", "return_length",
    ):  # fmt: skip
        maybe(name, 0.25, True, True, False)
    maybe("split_special_tokens", 0.1, True, False)
    maybe("verbose", 0.1, False)
    return options


def test_call(both: Two, request: pytest.FixtureRequest) -> None:
    """`tokenizer(...)` over random options."""
    ours, stock = both
    name = request.node.callspec.params["both"]
    rng = random.Random(f"{SEED}:call:{name}")
    for number in range(CALLS):
        arguments = random_input(stock, rng) | random_options(rng)
        for tokenizer in both:
            tokenizer.truncation_side = "left" if number % 7 == 0 else "right"
        want = outcome(lambda: stock(**arguments))
        got = outcome(lambda: ours(**arguments))
        same(got, want, f"{name} {arguments}")
    report = engine_of(ours)
    if name in checkpoints.NATIVE:
        assert report.native, report.reason
        assert report.calls["encode"] > CALLS // 3


ONE = {
    "add_special_tokens": (True, False),
    "padding": (False, True, "longest", "max_length"),
    "truncation": (None, False, True, "longest_first", "only_second"),
    "max_length": (None, 0, 1, 2, 7, 40, True),
    "return_tensors": (None, "pt", "np", "tf"),
    "return_attention_mask": (None, True, False),
    "return_token_type_ids": (None, True, False),
    "verbose": (False,),
}
"""Options that one text can have without a way through Python, and neighbours of theirs."""


def left_set(tokenizer: Any) -> Any:
    """What a call leaves set on the backend, which `save_pretrained` writes down."""
    saved = json.loads(copy.deepcopy(tokenizer)._tokenizer.to_str())
    return saved["truncation"], saved["padding"]


@pytest.mark.parametrize("name", ["gpt2", "bert", "t5"])
def test_one_text(name: str, folders: dict[str, Path]) -> None:
    """`tokenizer(text)` and `encode`, attributes of the tokenizer changed between calls."""
    rng = random.Random(SEED)
    ours, stock = load(folders[name])
    texts = texts_of(stock, rng, CALLS)
    for number, text in enumerate(texts):
        options = {key: rng.choice(values) for key, values in ONE.items() if rng.random() < 0.4}
        if number % 5 == 0:
            options = {}
        if number % 7 == 0:
            attribute, value = rng.choice(
                [
                    ("model_max_length", rng.choice([3, 30, int(1e30)])),
                    ("truncation_side", rng.choice(["left", "right"])),
                    ("padding_side", rng.choice(["left", "right"])),
                    ("model_input_names", rng.choice([["input_ids"], ["token_type_ids"]])),
                    ("split_special_tokens", rng.random() < 0.5),
                    ("pad_token", rng.choice([None, stock.all_special_tokens[0]])),
                ]
            )
            setattr(ours, attribute, value)
            setattr(stock, attribute, value)
        where = f"{options} {text!r}"
        same(outcome(lambda: ours(text, **options)), outcome(lambda: stock(text, **options)), where)
        same(
            outcome(lambda: ours.encode(text, **options)),
            outcome(lambda: stock.encode(text, **options)),
            where,
        )
        if number % 11 == 0:
            assert left_set(ours) == left_set(stock), where


MANY = ONE | {"pad_to_multiple_of": (None, 0, 4, 7), "padding_side": (None, "left", "right", "up")}
"""The same for lists of texts."""


class Text(str):
    """A text of a class of its own."""

    __slots__ = ()


def with_warnings(function: Callable[[], Any]) -> tuple[Any, list[str]]:
    """What a call returns or raises, and what it says."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            found = function()
        except Exception as error:
            found = type(error)
    return found, [str(warning.message) for warning in said]


def batches_of(tokenizer: Any, rng: random.Random) -> Any:
    """Lists of texts, and what is almost one."""
    some = texts_of(tokenizer, rng, rng.choice([1, 2, 3, 8]))
    return rng.choice(
        [
            some, some, some, some, some, some * 40, [""], ["", ""], ["a", ""], [Text("a b"), "c"],
            tuple(some), [], [*some, "\ud800"], [*some, None], [*some, ("a", "b")],
            [(text, "b") for text in some], [[text, "b"] for text in some], [*some, 5],
            [*some, ["a"]],
        ]
    )  # fmt: skip


@pytest.mark.parametrize("name", ["gpt2", "bert", "t5"])
def test_many_texts(name: str, folders: dict[str, Path]) -> None:
    """`tokenizer(texts)`, and one text filled up, attributes changed between calls."""
    rng = random.Random(f"{SEED}:many")
    ours, stock = load(folders[name])
    calls = 0
    for number in range(3 * CALLS):
        options = {key: rng.choice(values) for key, values in MANY.items() if rng.random() < 0.3}
        if number % 5 == 0:
            options = {}
        if number % 7 == 0:
            attribute, value = rng.choice(
                [
                    ("model_max_length", rng.choice([1, 3, 30, 2.5, int(1e30)])),
                    ("truncation_side", rng.choice(["left", "right"])),
                    ("padding_side", rng.choice(["left", "right"])),
                    ("model_input_names", rng.choice([["input_ids"], ["token_type_ids"]])),
                    ("split_special_tokens", rng.random() < 0.5),
                    ("pad_token", rng.choice([None, stock.all_special_tokens[0]])),
                    ("deprecation_warnings", {}),
                ]
            )
            setattr(ours, attribute, copy.copy(value))
            setattr(stock, attribute, copy.copy(value))
        batch = batches_of(stock, rng)
        if number % 4 == 0 and batch and isinstance(batch[0], str):
            batch = batch[0]
        where = f"{options} {batch!r}"
        got, said = with_warnings(lambda: ours(batch, **options))
        want, right = with_warnings(lambda: stock(batch, **options))
        same(got, want, where)
        assert said == right, where
        assert ours.deprecation_warnings == stock.deprecation_warnings, where
        calls += isinstance(want, BatchEncoding)
        if number % 11 == 0:
            assert left_set(ours) == left_set(stock), where
    assert engine_of(ours).calls["encode"] > calls // 2


def test_lists_after_tensors(both: Two) -> None:
    """Whatever is asked for first, encodings say the same."""
    ours, stock = both
    texts = texts_of(stock, random.Random(SEED), 20)
    for options in ({}, {"padding": True, "return_tensors": "np"}):
        mine, theirs = ours(texts, **options), stock(texts, **options)
        for row in range(len(texts)):
            assert mine.tokens(row) == theirs.tokens(row)
            assert mine.word_ids(row) == theirs.word_ids(row)
            for position in range(0, len(texts[row]) + 2, 3):
                assert mine.char_to_token(row, position) == theirs.char_to_token(row, position)


def random_ids(tokenizer: Any, rng: random.Random) -> Any:
    size = len(tokenizer)
    special = tokenizer.all_special_ids
    rows = [
        [rng.choice(special) if special and rng.random() < 0.1 else rng.randrange(size + 3)
         for _ in range(rng.choice([0, 1, 2, 5, 17, 40]))]
        for _ in range(rng.choice([1, 1, 2, 4]))
    ]  # fmt: skip
    even = [[rng.randrange(size) for _ in range(6)] for _ in rows]
    one = rows[0] or [1]
    return rng.choice(
        [
            rows, rows, one, one, even, tuple(one), tuple(map(tuple, rows)), one[0],
            np.array(one), np.array(even), np.array(even, np.int32), torch.tensor(one),
            torch.tensor(even), torch.tensor(one[0]), [np.array(row) for row in even],
            [torch.tensor(row) for row in even], [torch.tensor(x) for x in one],
            [np.int64(x) for x in one], [], [[]], [[], []], np.zeros((0, 4), np.int64),
            torch.zeros((2, 0), dtype=torch.int64), [-1], [1 << 33], [1.5], [[1.0]], ["a"], None,
            "ab",
            [[[1, 2]]], np.array([1.0]), torch.tensor([[1.5]]), [None], {"input_ids": one},
            BatchEncoding({"input_ids": one}), BatchEncoding({"input_ids": even}), [1, [2]], [[1],
            2],
            np.array([True, False]), [True], np.uint16(7), np.array(3), range(3),
        ]
    )  # fmt: skip


def test_decode(both: Two, request: pytest.FixtureRequest) -> None:
    """`decode` and `batch_decode` of everything that holds ids, and of some things that do not."""
    ours, stock = both
    name = request.node.callspec.params["both"]
    rng = random.Random(f"{SEED}:decode:{name}")
    for _ in range(CALLS):
        ids = random_ids(stock, rng)
        options = {}
        if rng.random() < 0.6:
            options["skip_special_tokens"] = rng.random() < 0.7
        if rng.random() < 0.4:
            options["clean_up_tokenization_spaces"] = rng.random() < 0.7
        method = rng.choice(["decode", "decode", "batch_decode", "_decode"])
        want = outcome(lambda: getattr(stock, method)(copy.deepcopy(ids), **options))
        got = outcome(lambda: getattr(ours, method)(copy.deepcopy(ids), **options))
        same(got, want, f"{name} {method}({ids!r}, {options})")


def random_features(tokenizer: Any, rng: random.Random) -> Any:
    rows = rng.choice([1, 2, 3, 6])
    lengths = [rng.choice([0, 1, 3, 3, 7, 12]) for _ in range(rows)]
    if rng.random() < 0.3:
        lengths = [5] * rows
    size = len(tokenizer)
    columns: dict[str, Any] = {
        "input_ids": [[rng.randrange(size) for _ in range(length)] for length in lengths]
    }
    if rng.random() < 0.7:
        columns["attention_mask"] = [[rng.choice([1, 1, 0])] * length for length in lengths]
    if rng.random() < 0.3:
        columns["token_type_ids"] = [[rng.choice([0, 1])] * length for length in lengths]
    if rng.random() < 0.2:
        columns["special_tokens_mask"] = [[rng.choice([0, 1])] * length for length in lengths]
    if rng.random() < 0.3:
        columns["labels"] = [rng.choice([0, 1, 2]) for _ in lengths]
    if rng.random() < 0.1:
        columns["score"] = [rng.random() for _ in lengths]
    if rng.random() < 0.1:
        columns["words"] = [["a"] * length for length in lengths]
    if rng.random() < 0.1:
        columns = dict(reversed(columns.items()))
    form = rng.choice(["lists", "rows", "rows", "rows", "np", "pt", "BatchEncoding", "one"])
    if form == "one":
        return {name: values[0] for name, values in columns.items()}
    if form == "lists":
        return columns
    if form == "BatchEncoding":
        return BatchEncoding(columns)
    convert = {"rows": lambda value: value, "np": np.array, "pt": torch.tensor}[form]
    convert_ids = {
        "rows": lambda value: value,
        "np": lambda value: np.array(value, np.int64),
        "pt": lambda value: torch.tensor(value, dtype=torch.int64),
    }[form]
    return [
        {
            name: (
                values[row]
                if name == "words"
                else (convert_ids if isinstance(values[row], list) else convert)(values[row])
            )
            for name, values in columns.items()
        }
        for row in range(rows)
    ]


def test_pad(both: Two, request: pytest.FixtureRequest) -> None:
    """`pad` of rows, columns, arrays and tensors."""
    ours, stock = both
    name = request.node.callspec.params["both"]
    rng = random.Random(f"{SEED}:pad:{name}")
    for _ in range(CALLS):
        features = random_features(stock, rng)
        options: dict[str, Any] = {}
        for option, chance, values in (
            ("padding", 0.6, (True, "longest", "max_length", False)),
            ("max_length", 0.4, (0, 4, 7, 12, 16)),
            ("pad_to_multiple_of", 0.2, (4, 8)),
            ("padding_side", 0.2, ("left", "right", "up")),
            ("return_attention_mask", 0.2, (True, False)),
            ("return_tensors", 0.8, ("pt", "np", "pt", "np", "tf")),
        ):
            if rng.random() < chance:
                options[option] = rng.choice(values)
        want = outcome(lambda: stock.pad(copy.deepcopy(features), **options))
        got = outcome(lambda: ours.pad(copy.deepcopy(features), **options))
        same(got, want, f"{name} pad({features!r}, {options})")


def test_pad_leaves_its_input_as_stock_does(both: Two) -> None:
    ours, stock = both
    features = [{"input_ids": [1, 2, 3]}, {"input_ids": [4]}]
    kept = copy.deepcopy(features)
    ours.pad(features, return_tensors="pt")
    assert features == kept
    with pytest.raises(ValueError, match="input_ids"):
        ours.pad([{"label": 1}], return_tensors="pt")
    assert outcome(lambda: ours.pad([])) is outcome(lambda: stock.pad([]))


CONVERT: tuple[Any, ...] = (
    0, 5, 10**6, -1, 2**40, [0, 1], [], [np.int64(3)], np.int64(3), None, [None], "a", (1, 2),
    np.array([1, 2]), [10**6],
)  # fmt: skip


def test_vocabulary(both: Two) -> None:
    """Lookups, sizes and special tokens."""
    ours, stock = both
    for value in CONVERT:
        for options in ({}, {"skip_special_tokens": True}):
            same(
                outcome(lambda: ours.convert_ids_to_tokens(value, **options)),
                outcome(lambda: stock.convert_ids_to_tokens(value, **options)),
                f"convert_ids_to_tokens({value!r}, {options})",
            )
    tokens = [*list(stock.get_vocab())[:50], "no such token", "", "é"]
    for value in (*tokens, tokens, None, 5, [None], ("a",)):
        same(
            outcome(lambda: ours.convert_tokens_to_ids(value)),
            outcome(lambda: stock.convert_tokens_to_ids(value)),
            f"convert_tokens_to_ids({value!r})",
        )
    for name in (
        "vocab_size", "all_special_ids", "all_special_tokens", "special_tokens_map",
        "added_tokens_decoder", "added_tokens_encoder", "pad_token_id", "eos_token_id",
        "bos_token_id", "unk_token_id", "model_max_length", "max_len_single_sentence",
        "max_len_sentences_pair", "is_fast", "extra_special_tokens",
    ):  # fmt: skip
        assert getattr(ours, name) == getattr(stock, name), name
    assert len(ours) == len(stock)
    assert ours.get_vocab() == stock.get_vocab()
    assert ours.get_added_vocab() == stock.get_added_vocab()
    assert repr(ours) == repr(stock)
    for pair in (False, True):
        assert ours.num_special_tokens_to_add(pair) == stock.num_special_tokens_to_add(pair)
    ids = stock("a b c")["input_ids"]
    mask = stock.get_special_tokens_mask(ids, already_has_special_tokens=True)
    assert ours.get_special_tokens_mask(ids, already_has_special_tokens=True) == mask
    words = ours.convert_ids_to_tokens(ids)
    assert ours.convert_tokens_to_string(words) == stock.convert_tokens_to_string(words)


def test_encode_and_tokenize(both: Two) -> None:
    ours, stock = both
    rng = random.Random(SEED)
    texts = texts_of(stock, rng, CALLS)
    for text, pair in zip(texts, reversed(texts), strict=True):
        assert ours.encode(text) == stock.encode(text)
        assert ours.tokenize(text) == stock.tokenize(text)
        assert ours.tokenize(text, pair, add_special_tokens=True) == stock.tokenize(
            text, pair, add_special_tokens=True
        )
        options = {"max_length": 9, "truncation": "only_first", "padding": "max_length"}
        want = outcome(lambda: stock.encode(text, pair, **options))
        assert outcome(lambda: ours.encode(text, pair, **options)) == want
