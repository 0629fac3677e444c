"""Tokens, their ids and what a vocabulary holds, on stock and on penstock, call by call.

What is kept between calls has to follow every edit of a tokenizer, so all is asked twice and again
after edits.
"""

from __future__ import annotations

import copy
import random
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import penstock.transformers as pt
import pytest
import tokenizers
import torch
import transformers
from penstock.transformers import engine_of

from tests import checkpoints
from tests.conftest import REQUIRE_PARITY, SEED, fixtures_root
from tests.differential.test_transformers import REAL, outcome, same, texts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

torch.set_num_threads(1)
TEXTS = 60
EVERY = (*checkpoints.MAKERS, *(REAL if REQUIRE_PARITY else ()))
SOME = (*checkpoints.MAKERS, *(("bert-base-cased", "whisper-tiny") if REQUIRE_PARITY else ()))
Two = tuple[Any, Any]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = checkpoints.make(tmp_path_factory.mktemp("checkpoints"))
    root = fixtures_root()
    if root is not None:
        made |= {name: root / "tokenizers" / name for name in REAL}
    return made


def load(folder: Path, **options: Any) -> Two:
    """The same tokenizer twice, ours without a stock backend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, stock = (
            package.AutoTokenizer.from_pretrained(folder, **copy.deepcopy(options))
            for package in (pt, transformers)
        )
        for tokenizer in (ours, stock):
            tokenizer.clean_up_tokenization_spaces = False
    return ours, stock


@pytest.fixture(params=EVERY)
def both(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Two:
    return load(folders[request.param])


def agree(both: Two, ask: Callable[[Any], Any], where: str) -> None:
    """The same answer or error, in type and value."""
    ours, stock = both
    same(outcome(lambda: ask(ours)), outcome(lambda: ask(stock)), where)


class Whole(int):
    """An integer of another class."""


class Text(str):
    """A string of another class."""

    __slots__ = ()


def rows_of_ids(size: int, rng: random.Random) -> Iterator[Any]:
    """Ids in all forms that callers have, and what looks like them."""
    for length in (0, 1, 7, 40, 100):
        row = [rng.randrange(size) for _ in range(length)]
        yield from (row, tuple(row), [*row, size + 5], [*row, 2**31 - 1], set(row[:1]), iter(row))
        for dtype in (np.int64, np.int32, np.uint32, np.uint8, np.int16):
            yield np.array([index % 100 for index in row], dtype)
        yield from (np.array(row, np.int64), np.array(row * 2, np.int64)[::2])
        yield np.array(row, np.int64).reshape(1, -1)
        yield np.ma.masked_array(np.array(row, np.int64))
        for kind in (torch.int64, torch.int32, torch.uint8):
            yield torch.tensor([index % 100 for index in row], dtype=kind)
        yield from (torch.tensor(row * 2, dtype=torch.int64)[::2], torch.tensor([row]))
        yield torch.nn.Parameter(torch.tensor(row, dtype=torch.int64), requires_grad=False)
    yield from (
        0,
        size - 1,
        size,
        size + 7,
        2**21,
        2**31,
        2**32 - 1,
        2**32,
        2**64,
        -1,
        True,
        False,
        Whole(3),
        3.0,
        "3",
        "a",
        "",
        None,
        b"3",
        [None],
        [True],
        [Whole(3)],
        [3.7],
        ["3"],
        ["a"],
        [[1]],
        [1, -1],
        [1, 2**32],
        [np.int64(3)],
        [torch.tensor(3)],
        np.int64(3),
        np.int32(3),
        np.array(3),
        torch.tensor(3),
        np.array([-1]),
        torch.tensor([-1]),
        np.array([1.5]),
        torch.tensor([1.5]),
        np.array([True]),
        torch.tensor([True, False]),
        torch.tensor([1.5], requires_grad=True),
        np.array([2**40]),
        torch.tensor([2**40]),
        range(3),
        {1: 2},
        object(),
        [1, object()],
    )


def test_ids_to_tokens(both: Two) -> None:
    rng = random.Random(f"{SEED}:ids")
    size = len(both[1])
    for ids in rows_of_ids(size, rng):
        for skip in ((), (False,), (True,), (1,), (None,)):
            given = list(ids) if hasattr(ids, "__next__") else ids
            agree(
                both,
                lambda t, given=given, skip=skip: t.convert_ids_to_tokens(given, *skip),
                f"convert_ids_to_tokens({given!r}, {skip})",
            )
        if not hasattr(ids, "__next__"):
            agree(both, lambda t, ids=ids: t.decode(ids), f"decode({ids!r})")
            agree(both, lambda t, ids=ids: t.decode(ids, True), f"decode({ids!r}, True)")
    for index in (*range(200), *range(size - 200, size + 3)):
        for _ in range(2):
            agree(both, lambda t, i=index: t.convert_ids_to_tokens(i), f"id {index}")
            agree(both, lambda t, i=index: t._convert_id_to_token(i), f"inner id {index}")
    every = list(range(size))
    for _ in range(2):
        agree(both, lambda t: t.convert_ids_to_tokens(every), "all ids")


def test_tokens_to_ids(both: Two) -> None:
    vocabulary = list(both[1].get_vocab())
    some = vocabulary[:: max(1, len(vocabulary) // 300)]
    for tokens in (
        *some,
        some,
        tuple(some),
        [],
        (),
        "no such token",
        "",
        "\ud800",
        "é",
        Text(some[0]),
        None,
        5,
        True,
        b"a",
        ["no such token", some[0]],
        ["no such token", None],
        [some[0], 3],
        [Text(some[0])],
        [some[0], "\ud800"],
        [[some[0]]],
        {some[0]: 1},
        iter(some[:3]),
        np.array(some[:3]),
        object(),
    ):
        given = list(tokens) if hasattr(tokens, "__next__") else tokens
        for _ in range(2):
            agree(both, lambda t, given=given: t.convert_tokens_to_ids(given), f"ids of {given!r}")
        if isinstance(given, (list, tuple)):
            agree(
                both, lambda t, given=given: t.convert_tokens_to_string(given), f"text of {given!r}"
            )


def test_tokens_of_texts(both: Two) -> None:
    """By ids where these have one text each, and otherwise as they stood."""
    ours, stock = both
    rng = random.Random(f"{SEED}:tokens")
    added = [
        tokenizers.AddedToken("<left>", lstrip=True),
        tokenizers.AddedToken("<right>", rstrip=True, special=True),
        tokenizers.AddedToken("ÄÖ wörter", normalized=True),
        tokenizers.AddedToken("<Whole>", single_word=True, normalized=False),
    ]
    pieces = ["<left>", " <left>", "<right>  ", "ÄÖ wörter", "äö wörter", "ÄÖ WÖRTER", "<Whole>"]
    for step in range(3):
        texts = texts_of(stock, rng, TEXTS)
        texts += [" ".join(rng.sample([*pieces, text], 4)) for text in texts[: TEXTS // 3]]
        texts += [
            "x" * 5000,
            "water 水 " * 600,
            "\ud800",
            "🤗 \x00\x7f",
            "[UNK] <unk> [MASK] <mask> ",
        ]
        for text in texts:
            agree(both, lambda t, text=text: t.tokenize(text), f"tokenize({text!r}), step {step}")
        for text in texts[:10]:
            for options in (
                {"add_special_tokens": True},
                {"pair": "b"},
                {"pair": ""},
                {"max_length": 3, "truncation": True},
                {"add_special_tokens": 0},
            ):
                agree(both, lambda t, x=text, o=options: t.tokenize(x, **o), f"{text!r} {options}")
        if step == 0:
            for tokenizer in both:
                tokenizer.add_tokens(copy.deepcopy(added))
        else:
            for tokenizer in both:
                tokenizer.split_special_tokens = True
    for bad in (None, 5, b"a", ["a"], [], ("a",)):
        agree(both, lambda t, bad=bad: t.tokenize(bad), f"tokenize({bad!r})")
    for tokenizer in both:
        tokenizer.model_max_length = 2
    agree(both, lambda t: t.tokenize("a text of more than two tokens"), "too long")
    assert engine_of(ours).calls["tokenize"] > TEXTS


LOOKS: dict[str, Callable[[Any], Any]] = {
    "get_vocab": lambda t: t.get_vocab().items(),
    "vocab": lambda t: t.vocab.items(),
    "get_added_vocab": lambda t: t.get_added_vocab(),
    "added_tokens_encoder": lambda t: t.added_tokens_encoder,
    "added_tokens_decoder": lambda t: {
        index: (token, repr(token), token.special, token.normalized)
        for index, token in t.added_tokens_decoder.items()
    },
    "len": len,
    "num_special_tokens_to_add": lambda t: [
        t.num_special_tokens_to_add(),
        *map(t.num_special_tokens_to_add, (False, True)),
        t.num_special_tokens_to_add(pair=True),
    ],
    "num_special_tokens_to_add(1)": lambda t: t.num_special_tokens_to_add(1),
    "tokens": lambda t: t.convert_ids_to_tokens([1, 2, len(t) - 1], skip_special_tokens=True),
    "special ids": lambda t: t.convert_ids_to_tokens(t.all_special_ids),
    "tokenize": lambda t: t.tokenize("some <new> text"),
    **{
        name: lambda t, name=name: getattr(t, name)
        for name in (
            "vocab_size",
            "all_special_tokens",
            "all_special_ids",
            "special_tokens_map",
            "bos_token",
            "eos_token",
            "eos_token_id",
            "unk_token",
            "unk_token_id",
            "pad_token_id",
            "mask_token_id",
            "bos_token_ids",
            "extra_special_tokens",
            "extra_special_tokens_ids",
            "_id",
            "token_id",
            "no_such_id",
            "image_token_id",
        )
    },
}
EDITS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda _: None,
    "tokens": lambda t: t.add_tokens(["<new>", "another one"]),
    "special tokens": lambda t: t.add_special_tokens({"pad_token": "<p>", "mask_token": "<new>"}),
    "a token that is in no vocabulary": lambda t: t._special_tokens_map.__setitem__(
        "sep_token", "?!"
    ),
    "no unknown token": lambda t: setattr(t, "unk_token", None),
    "more special tokens": lambda t: setattr(t, "extra_special_tokens", ["<new>", "<p>", "<p>"]),
    "an added token as it is": lambda t: setattr(
        t, "cls_token", tokenizers.AddedToken("<p>", special=True)
    ),
    "by hand": lambda t: t.backend_tokenizer.add_tokens(["by hand"]),
    "through the backend": lambda t: t._tokenizer.add_special_tokens(["<backend>"]),
}


@pytest.mark.parametrize("both", SOME, indirect=True)
def test_looks_follow_edits(both: Two) -> None:
    """What the callers got is theirs, and the next answer is that of the tokenizer as it is."""
    for edit, change in EDITS.items():
        agree(both, change, edit)
        for name, look in LOOKS.items():
            for _ in range(3):
                agree(both, look, f"{name} after {edit}")
        for tokenizer in both:
            for name in ("get_vocab", "get_added_vocab"):
                getattr(tokenizer, name)()["stray"] = 1
            tokenizer.added_tokens_encoder.clear()
            tokenizer.all_special_tokens.append("stray")
            tokenizer.special_tokens_map.clear()


def test_methods_of_a_class_or_an_object(folders: dict[str, Path]) -> None:
    """What a caller puts in the way is asked as stock asks it."""

    def edit(tokenizer: Any, name: str) -> None:
        own = getattr(tokenizer, name)
        cls = type(tokenizer)
        if name == "_convert_token_to_id_with_added_voc":
            tokenizer.__dict__[name] = lambda token: 7 if token == "a" else own(token)
        elif name == "convert_tokens_to_ids":
            tokenizer.__dict__[name] = lambda tokens: [9] if isinstance(tokens, list) else 9
        elif name == "_encode_plus":
            tokenizer.__dict__[name] = lambda text, **options: own(
                text=text + "!", **{key: value for key, value in options.items() if key != "text"}
            )
        else:
            special = property(lambda self: [0, 1] if name.endswith("ids") else ["a"])
            if name == "added_tokens_decoder":
                special = property(lambda self: {3: tokenizers.AddedToken("z")})
            tokenizer.__class__ = type(cls.__name__, (cls,), {name: special})

    for name in (
        "_convert_token_to_id_with_added_voc", "convert_tokens_to_ids", "_encode_plus",
        "all_special_tokens", "all_special_ids", "added_tokens_decoder",
    ):  # fmt: skip
        both = load(folders["gpt2"])
        for tokenizer in both:
            edit(tokenizer, name)
        for look in (
            lambda t: t.convert_tokens_to_ids(["a", "b"]),
            lambda t: t.convert_tokens_to_ids("a"),
            lambda t: t.all_special_tokens,
            lambda t: t.all_special_ids,
            lambda t: t.eos_token_id,
            lambda t: t.convert_ids_to_tokens([0, 1, 2, 3], skip_special_tokens=True),
            lambda t: t.get_added_vocab(),
            lambda t: t.added_tokens_encoder,
            lambda t: t.tokenize("some text"),
        ):
            agree(both, look, f"with its own {name}")


def test_a_token_is_one_string(folders: dict[str, Path]) -> None:
    """The same object each time, and only for tokens that were asked for."""
    ours, _ = load(folders["llama3"])
    first, second = (ours.convert_ids_to_tokens([300, 301]) for _ in range(2))
    assert all(map(lambda a, b: a is b, first, second))
    assert ours.tokenize("water")[0] is ours.tokenize("water")[0]
