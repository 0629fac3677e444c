"""Every model with every option against the reference and against the naive oracles, over
vocabularies trained on the spot, made up, and real."""

from __future__ import annotations

import functools
import itertools
import json
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import penstock
import pytest
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

from tests import ledger
from tests.compare import assert_same_batch, assert_same_bulk, outcome
from tests.conftest import REQUIRE_PARITY, SEED, Pair
from tests.corpora import files, read, slices
from tests.families import DATA
from tests.random_text import random_strings
from tests.reference.models import CharacterBpe, unigram, word_level, word_piece

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

COUNT = 3000 if REQUIRE_PARITY else 800
SPECIALS = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
MARK = "\u2581"

BERT_NORMALIZER = {
    "type": "BertNormalizer",
    "clean_text": True,
    "handle_chinese_chars": True,
    "strip_accents": None,
    "lowercase": True,
}
PREPEND = {
    "type": "Sequence",
    "normalizers": [
        {"type": "Prepend", "prepend": MARK},
        {"type": "Replace", "pattern": {"String": " "}, "content": MARK},
    ],
}
REPLACE = PREPEND["normalizers"][1]  # type: ignore[index]
WHITE_SPACE = {"type": "WhitespaceSplit"}


def metaspace(scheme: str = "always", *, split: bool = True) -> Json:
    """A Metaspace."""
    return {"type": "Metaspace", "replacement": MARK, "prepend_scheme": scheme, "split": split}


def sequence(*parts: Json) -> Json:
    """A Sequence of pre-tokenizers."""
    return {"type": "Sequence", "pretokenizers": list(parts)}


def tokenizer_json(model: Json, **parts: Json | None) -> str:
    """A tokenizer.json around a model; `<unk>`, `<s>` and `</s>` are added where the model has
    them."""
    vocab = model["vocab"]
    names = vocab if isinstance(vocab, dict) else {token: 0 for token, _ in vocab}
    added = [
        {
            "id": index,
            "content": content,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for index, content in enumerate(SPECIALS)
        if content in names
    ]
    empty = dict.fromkeys(
        ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder")
    )
    return json.dumps({"version": "1.0", "added_tokens": added, **empty, "model": model, **parts})


@functools.cache
def trained(kind: str) -> str:
    """The `model` object of a model trained on tests/data/training.txt, as JSON."""
    lines = (DATA / "training.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    options: Json = {"show_progress": False, "special_tokens": SPECIALS}
    tokenizer: Any
    if kind == "WordPiece":
        tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="<unk>"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer: Any = trainers.WordPieceTrainer(vocab_size=1500, **options)
    elif kind == "Unigram":
        tokenizer = tokenizers.Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=900, unk_token="<unk>", **options)
    elif kind == "WordLevel":
        tokenizer = tokenizers.Tokenizer(models.WordLevel(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(vocab_size=500, **options)
    else:
        tokenizer = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.BpeTrainer(
            vocab_size=2500 + len(BYTES),
            **{**options, "special_tokens": [*SPECIALS, *BYTES]},
        )
    tokenizer.train_from_iterator(lines, trainer)
    return json.dumps(json.loads(tokenizer.to_str())["model"])


def compare(text: str, texts: list[str]) -> None:
    """Every field, ids and offsets in bulk, words cut by the caller."""
    pair = Pair.load("model", text)
    assert_same_batch(pair.ours, pair.reference, texts)
    assert_same_bulk(pair.ours, pair.reference, texts)
    words = [text.split(" ") for text in texts[:200]]
    assert_same_batch(pair.ours, pair.reference, words, is_pretokenized=True)
    pairs = list(zip(texts[:200], texts[200:400], strict=True))
    assert_same_batch(pair.ours, pair.reference, pairs)
    joined = "".join(texts)
    assert pair.ours.encode_ids(joined).tolist() == pair.reference.encode(joined).ids


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Hostile strings, and lines of ordinary text."""
    lines = (DATA / "training.txt").read_text(encoding="utf-8").splitlines()
    blanks = ["", " ", "  ", "\n", " \n ", MARK, f" {MARK} ", f"a{MARK} b", "\u0600 a", "\r\n \r"]
    ends = [",", ", a", "a,", "a, b", "a,\n", "a.b. c", 'a." b', "a ,", "\u00e9, a", "a,\u0301 b"]
    marks = [f"> a >{MARK}b", "a> b>  c", f"x>{MARK}{MARK}> y", "e) e]\n e"]
    return lines + blanks + ends + marks + random_strings(SEED + 7, COUNT)


PIPELINES: dict[str, tuple[Json | None, Json | None]] = {
    "none": (None, None),
    "bert": (BERT_NORMALIZER, {"type": "BertPreTokenizer"}),
    "bert-cased": (
        {**BERT_NORMALIZER, "lowercase": False, "clean_text": False},
        {"type": "BertPreTokenizer"},
    ),
    "white-space": (None, WHITE_SPACE),
    "white-space-metaspace": (
        {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]},
        sequence(WHITE_SPACE, metaspace()),
    ),
    "white-space-first": (None, sequence(WHITE_SPACE, metaspace("first"))),
    "metaspace": ({"type": "NFKC"}, metaspace()),
    "metaspace-first": (None, metaspace("first")),
    "metaspace-never": ({"type": "NFD"}, metaspace("never")),
    "metaspace-whole": (None, metaspace("first", split=False)),
    "metaspace-whole-always": (None, metaspace(split=False)),
    "marks": (PREPEND, None),
    "marks-bare": (REPLACE, None),
    "gemma": (
        REPLACE,
        {
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        },
    ),
    "byte-level": (None, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False}),
    "whitespace": (None, {"type": "Whitespace"}),
}
"""Where text is cut before it is normalized, and where it is not."""


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("kind", ["WordPiece", "Unigram", "WordLevel", "BPE"])
def test_models_behind_every_pipeline(kind: str, pipeline: str, texts: list[str]) -> None:
    normalizer, pre_tokenizer = PIPELINES[pipeline]
    model = json.loads(trained(kind))
    if kind == "BPE":
        model |= {"byte_fallback": True, "fuse_unk": True}
    compare(tokenizer_json(model, normalizer=normalizer, pre_tokenizer=pre_tokenizer), texts)


BPE_OPTIONS = {
    "plain": {},
    "dropped": {"unk_token": None},
    "fused": {"fuse_unk": True},
    "bytes": {"byte_fallback": True},
    "bytes-fused": {"byte_fallback": True, "fuse_unk": True, "unk_token": None},
    "some-bytes": {"byte_fallback": True, "fuse_unk": True, "drop": "<0xE4>"},
    "ignore-merges": {"ignore_merges": True, "byte_fallback": True},
    "no-mark": {"drop": MARK, "fuse_unk": True},
    "joins-marks": {"merge": ("e", MARK)},
    "joins-guarded-marks": {"merge": (">", MARK), "byte_fallback": True, "fuse_unk": True},
    "joins-lines": {"merge": ("\n", "a")},
    "joins-punctuation": {"merge": ("e", ".")},
    "merges-bytes": {"byte_fallback": True, "merge": ("<0xE4>", "<0xB8>")},
    "merges-unknown": {"merge": ("<unk>", "e"), "fuse_unk": True},
}


def bpe_model(options: Json) -> Json:
    """The trained BPE with options; `drop` takes a token out, `merge` puts one in front."""
    model = json.loads(trained("BPE")) | {
        key: value for key, value in options.items() if key not in ("drop", "merge")
    }
    merges = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
    if drop := options.get("drop"):
        merges = [m for m in merges if drop not in "".join(m)]
        kept = [t for t in model["vocab"] if t == "<unk>" or drop not in t]
        model["vocab"] = {token: index for index, token in enumerate(kept)}
    if merge := options.get("merge"):
        for token in (*merge, "".join(merge)):
            model["vocab"].setdefault(token, len(model["vocab"]))
        merges.insert(0, list(merge))
    return model | {"merges": merges}


@pytest.mark.parametrize("name", BPE_OPTIONS)
@pytest.mark.parametrize("pipeline", ["marks", "gemma", "metaspace-whole", "metaspace", "none"])
def test_bpe_options(name: str, pipeline: str, texts: list[str]) -> None:
    """Some of these merges reach over places where text is cut otherwise."""
    normalizer, pre_tokenizer = PIPELINES[pipeline]
    model = bpe_model(BPE_OPTIONS[name])
    some = [*texts[::2], "e . e.", "the\na\n\na", f"e e{MARK}e", "\u4e2d\u6587 \u4e2d", "ae\ufffee"]
    compare(tokenizer_json(model, normalizer=normalizer, pre_tokenizer=pre_tokenizer), some)


@pytest.mark.parametrize("prefix", [None, "##"])
@pytest.mark.parametrize("suffix", [None, "</w>"])
@pytest.mark.parametrize("flags", [{}, {"byte_fallback": True, "fuse_unk": True}])
def test_bpe_affixes(prefix: str | None, suffix: str | None, flags: Json, texts: list[str]) -> None:
    """A vocabulary trained with the affixes, as GPT-1 and old subword files have them."""
    tokenizer: Any = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    affixes = {"continuing_subword_prefix": prefix, "end_of_word_suffix": suffix}
    trainer = trainers.BpeTrainer(
        vocab_size=1500,
        show_progress=False,
        special_tokens=[*SPECIALS, *BYTES[:200]],
        **{key: value for key, value in affixes.items() if value},
    )
    lines = (DATA / "training.txt").read_text(encoding="utf-8").splitlines()
    tokenizer.train_from_iterator(lines, trainer)
    model = json.loads(tokenizer.to_str())["model"] | flags
    compare(tokenizer_json(model, pre_tokenizer={"type": "BertPreTokenizer"}), texts[::2])
    oracle = CharacterBpe.from_json(model)
    ours = penstock.Tokenizer.from_str(tokenizer_json(model, added_tokens=[]))
    for text in texts[:: 20 if REQUIRE_PARITY else 40]:
        if text:
            assert ours.encode_ids(text).tolist() == oracle.encode(text), text


def made_up(rng: random.Random, scores: list[float]) -> Json:
    """A small Unigram model: duplicates, ties, an empty token, tokens of bytes."""
    letters = ["a", "b", "c", "\u00e9", "\u4e2d"]
    tokens = ["<unk>", *letters[: rng.randrange(6)]]
    for _ in range(rng.randrange(25)):
        tokens.append("".join(rng.choice(letters) for _ in range(rng.randrange(6))))
    if rng.random() < 0.5:
        tokens += rng.choice([BYTES, BYTES[:100], ["<0xC3>", "<0xA9>"]])
    rng.shuffle(tokens)
    return {
        "type": "Unigram",
        "unk_id": rng.choice([None, tokens.index("<unk>"), rng.randrange(len(tokens))]),
        "vocab": [[token, rng.choice(scores)] for token in tokens],
        "byte_fallback": rng.random() < 0.5,
    }


def fields(tokenizer: Any, piece: str) -> Any:
    """Ids, tokens and offsets, or the fact that there are none."""

    def call() -> Any:
        encoding = tokenizer.encode(piece)
        return encoding.ids, encoding.tokens, encoding.offsets

    return outcome(call)


SCORES = {
    "ties": [-1.0, -2.0, -3.0],
    "thirds": [-0.1, -0.2, -0.3, -1 / 3, -2 / 3, 0.7],
    "huge": [1e308, -1e308, 1.7e308, -1.7e308, 0.0],
    "tiny": [5e-324, -5e-324, 0.0, -0.0, 1e-300],
    "steep": [-1e6, 1e6, -20.0, 3.5],
}


@pytest.mark.parametrize("name", SCORES)
def test_unigram_of_hostile_scores(name: str) -> None:
    rng = random.Random(SEED)
    for _ in range(150 if REQUIRE_PARITY else 40):
        model = made_up(rng, SCORES[name])
        text = tokenizer_json(model, added_tokens=[])
        ours, reference = penstock.Tokenizer.from_str(text), tokenizers.Tokenizer.from_str(text)
        pieces = [(token, score) for token, score in model["vocab"]]
        assert ours.get_vocab_size() == reference.get_vocab_size()
        assert ours.get_vocab() == reference.get_vocab()
        for index in range(len(pieces) + 1):
            assert ours.id_to_token(index) == reference.id_to_token(index)
        for _ in range(30):
            piece = "".join(rng.choice("aabbc\u00e9\u4e2d<x") for _ in range(rng.randrange(12)))
            got = fields(ours, piece)
            assert got == fields(reference, piece), (model, piece)
            want = unigram(pieces, model["unk_id"], piece, byte_fallback=model["byte_fallback"])
            assert (None if got == "raises" else got[0]) == want, (model, piece)


def test_word_piece_and_word_level_of_any_vocabulary() -> None:
    rng = random.Random(SEED)
    letters = ["a", "b", "\u00e9", "\u4e2d", "#"]
    for prefix, longest in itertools.product(["##", "", "#", "a"], [0, 3, 100]):
        tokens = {
            rng.choice(["", prefix]) + "".join(rng.choice(letters) for _ in range(rng.randrange(5)))
            for _ in range(40)
        } | {"[UNK]"} - rng.choice([set(), {"[UNK]"}])
        vocab = {token: index for index, token in enumerate(sorted(tokens))}
        piece_model = {
            "type": "WordPiece",
            "vocab": vocab,
            "unk_token": "[UNK]",
            "continuing_subword_prefix": prefix,
            "max_input_chars_per_word": longest,
        }
        level_model = {"type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]"}
        for model in (piece_model, level_model):
            text = tokenizer_json(model, added_tokens=[])
            ours, reference = penstock.Tokenizer.from_str(text), tokenizers.Tokenizer.from_str(text)
            for _ in range(80):
                piece = "".join(rng.choice(letters) for _ in range(rng.randrange(8)))
                got = fields(ours, piece)
                assert got == fields(reference, piece), (model, piece)
                if piece:
                    want = (
                        word_level(vocab, "[UNK]", piece)
                        if model is level_model
                        else word_piece(vocab, "[UNK]", piece, prefix=prefix, longest=longest)
                    )
                    assert (None if got == "raises" else got[0]) == want, piece


def test_a_missing_unknown_token_is_an_error_of_the_text() -> None:
    for model in (
        {"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "?"},
        {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "?"},
        {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": None},
    ):
        tokenizer = penstock.Tokenizer.from_str(tokenizer_json(model))
        assert tokenizer.encode("a").ids == [0]
        for call in (tokenizer.encode, tokenizer.encode_ids):
            with pytest.raises(penstock.errors.TextError, match="unknown"):
                call("b")
        with pytest.raises(penstock.errors.TextError):
            tokenizer.encode_ragged(["a", "b"], offsets=True)


@pytest.mark.parametrize("pipeline", ["marks", "byte-level", "white-space"])
def test_dropout(pipeline: str, texts: list[str]) -> None:
    """0 merges all, 1 merges nothing, both exactly; between them as many as in the reference."""
    normalizer, pre_tokenizer = PIPELINES[pipeline]
    model = json.loads(trained("BPE"))
    parts = {"normalizer": normalizer, "pre_tokenizer": pre_tokenizer}
    for chance in (0.0, 1.0):
        compare(tokenizer_json(model | {"dropout": chance}, **parts), texts[:400])
    text = (DATA / "training.txt").read_text(encoding="utf-8")[:4000]
    pair = Pair.load("dropout", tokenizer_json(model | {"dropout": 0.3}, **parts))
    rounds = 60
    ours = np.array([len(pair.ours.encode_ids(text)) for _ in range(rounds)])
    reference = np.array([len(pair.reference.encode(text).ids) for _ in range(rounds)])
    assert len(set(ours.tolist())) > 1
    error = np.sqrt((ours.var() + reference.var()) / rounds)
    assert abs(ours.mean() - reference.mean()) < 5 * error
    assert 0.4 < ours.std() / reference.std() < 2.5


def test_dropout_repeats_for_a_seed() -> None:
    """The stream of a seed is part of the contract: it changes only with an entry in the
    changelog."""
    model = {
        "type": "BPE",
        "dropout": 0.5,
        "vocab": {"a": 0, "b": 1, "ab": 2, "abab": 3},
        "merges": [["a", "b"], ["ab", "ab"]],
    }
    tokenizer = penstock.Tokenizer.from_str(tokenizer_json(model))
    tokenizer.seed_dropout(1)
    first = [tokenizer.encode_ids("ababab").tolist() for _ in range(5)]
    tokenizer.seed_dropout(1)
    assert [tokenizer.encode_ids("ababab").tolist() for _ in range(5)] == first
    tokenizer.seed_dropout(2)
    assert [tokenizer.encode_ids("ababab").tolist() for _ in range(5)] != first
    assert len({tuple(ids) for ids in first}) > 1


REAL = (
    "bert-base-uncased",
    "bert-base-cased",
    "bert-base-chinese",
    "t5-small",
    "albert-base-v2",
    "xlm-roberta-base",
    "llama-2",
    "mistral-7b-v0.3",
    "phi-3-mini",
    "clip",
)


@pytest.mark.parity
@pytest.mark.parametrize("name", REAL)
def test_real_models(fixtures: Path, name: str, texts: list[str]) -> None:
    value = json.loads((fixtures / "tokenizers" / name / "tokenizer.json").read_text())
    # Decoders have tests of their own.
    pair = Pair.load(name, json.dumps(value | {"decoder": None}))
    some = random_strings(SEED + 8, 4000)
    assert_same_batch(pair.ours, pair.reference, some)
    ledger.record(name, "models: random strings", some)
    for path in files(fixtures):
        parts = list(slices(read(path), SEED, 12, 3000))
        assert_same_batch(pair.ours, pair.reference, parts)
        assert_same_bulk(pair.ours, pair.reference, parts)
        ledger.record(name, "models: corpora", parts)
