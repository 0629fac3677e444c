"""Tokenizers of transformers on penstock, as libraries and programs use them."""

from __future__ import annotations

import copy
import gc
import json
import operator
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import penstock.transformers as pt
import pytest
import tokenizers
import torch
import transformers
from penstock import _native
from penstock.transformers import _slot, engine_of, wrap
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from tests import checkpoints
from tests.conftest import REQUIRE_PARITY

torch.set_num_threads(1)
TEXTS = ["Water runs downhill.", "a", "", "Öffne das Tor, 水! <|eot_id|> and more of it"]
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return checkpoints.make(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(params=["gpt2", "llama3", "bert", "t5", "llama"])
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


def stock_of(folder: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(folder)


def same_calls(ours: Any, stock: Any) -> None:
    for options in (
        {},
        {"padding": True, "return_tensors": "np"},
        {"return_offsets_mapping": True},
    ):
        mine, theirs = ours(TEXTS, **options), stock(TEXTS, **options)
        assert list(mine) == list(theirs)
        for key in theirs:
            assert str(mine[key]) == str(theirs[key]), key
    ids = theirs["input_ids"]
    for skip in (False, True):
        assert ours.batch_decode(ids, skip_special_tokens=skip) == stock.batch_decode(
            ids, skip_special_tokens=skip
        )


# --- lists that are made when somebody looks


def is_lazy(batch: Any) -> bool:
    return "data" not in vars(batch)


def test_lists_are_made_when_looked_at(folders: dict[str, Path]) -> None:
    folder = folders["gpt2"]
    ours, stock = pt.AutoTokenizer.from_pretrained(folder), stock_of(folder)
    texts = TEXTS * 50  # those of a small batch are made at once
    right = stock(texts)
    looks: dict[str, Any] = {
        "keys": lambda batch: list(batch),
        "items": lambda batch: list(batch.items()),
        "dict": dict,
        "unpacked": lambda batch: {**batch},
        "data": lambda batch: batch.data,
        "json": lambda batch: json.dumps(batch.data),
        "length": len,
        "contains": lambda batch: "labels" in batch,
        "get": lambda batch: batch.get("labels", 3),
        "equal": lambda batch: batch == right.data,
        "pickle": lambda batch: dict(pickle.loads(pickle.dumps(batch))),
        "copy": lambda batch: dict(copy.copy(batch)),
        "deepcopy": lambda batch: dict(copy.deepcopy(batch)),
        "text": str,
        "pop": lambda batch: (batch.pop("attention_mask"), dict(batch)),
        "assign": lambda batch: (batch.__setitem__("labels", [1]), dict(batch)),
        "tensors": lambda batch: ours.pad(batch)["input_ids"],
    }
    for name, look in looks.items():
        batch = ours(texts)
        assert type(batch) is transformers.BatchEncoding
        assert is_lazy(batch), name
        assert look(batch) == look(stock(texts)), name
        assert not is_lazy(batch), name
        assert type(batch.data) is dict, name
        assert type(batch["input_ids"]) is list, name
        assert type(batch["input_ids"][0]) is list, name
    for name in right:
        for look in (operator.getitem, getattr):
            batch = ours(texts)
            column = look(batch, name)
            assert type(column) is list
            assert column == right[name], name
            assert is_lazy(batch), "the others are not made"
            assert batch[name] is getattr(batch, name) is column
            assert batch.data[name] is column
            assert list(batch.data.items()) == list(right.data.items())
    for name in ("nothing", "data_", "length"):
        batch = ours(texts)
        assert not hasattr(batch, name)
        with pytest.raises(KeyError):
            batch[name]
    # Changes to a column that somebody has are everybody's.
    batch, theirs = ours(texts), stock(texts)
    for changed in (batch, theirs):
        changed["input_ids"][0][0] = 7
        changed.attention_mask[1][0] = 0
    assert is_lazy(batch)
    padded, expected = (t.pad(b, return_tensors="np") for t, b in ((ours, batch), (stock, theirs)))
    assert all((padded[name] == expected[name]).all() for name in expected)
    assert batch.data == theirs.data
    # What the encodings know does not need the lists.
    batch = ours(texts)
    assert batch.word_ids(0) == right.word_ids(0)
    assert (batch.tokens(0), batch.is_fast) == (right.tokens(0), True)
    assert is_lazy(batch)
    for options in ({}, {"padding_side": "left"}, {"pad_to_multiple_of": 8},
                    {"padding": "max_length", "max_length": 30}):  # fmt: skip
        for kind in ("pt", "np"):
            padded = ours.pad(batch, return_tensors=kind, **options)
            theirs = stock.pad(stock(texts), return_tensors=kind, **options)
            assert list(padded) == list(theirs)
            assert str(padded) == str(theirs)
    assert is_lazy(batch), "padding does not make lists"
    assert batch["input_ids"] == right["input_ids"]


def test_batches_wait_for_their_lists_while_they_live(folders: dict[str, Path]) -> None:
    tokenizer = pt.AutoTokenizer.from_pretrained(folders["gpt2"])
    before = len(_native.LazyLists.waiting())
    batches = [tokenizer(TEXTS * 50) for _ in range(3)]
    _ = batches[0].data
    _ = batches[1]["input_ids"]
    waiting = _native.LazyLists.waiting()
    assert [any(batch is other for other in waiting) for batch in batches] == [False, True, True]
    del batches, waiting
    gc.collect()
    assert len(_native.LazyLists.waiting()) == before


LAZY_AND_UNINSTALL = """
import sys
import transformers
import penstock.transformers as pt
with pt.installed():
    tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
    batch, other = (tokenizer(["a b", "c"] * 1000) for _ in range(2))
    ids = other["input_ids"]
    assert not any("data" in vars(one) for one in (batch, other))
assert "data" not in vars(transformers.BatchEncoding)
assert batch["input_ids"] == tokenizer(["a b", "c"] * 1000)["input_ids"] == ids
assert other["input_ids"] is ids and list(other) == list(batch)
print("as before")
"""


def test_lists_outlive_uninstall(folders: dict[str, Path]) -> None:
    assert "as before" in run(LAZY_AND_UNINSTALL, str(folders["gpt2"]))


# --- putting it in place and taking it back


IN_A_FRESH_PROCESS = """
import sys
from transformers.tokenization_utils_tokenizers import TokenizersBackend
from transformers import BatchEncoding, PreTrainedTokenizerBase, GenerationMixin
classes = (TokenizersBackend, PreTrainedTokenizerBase, GenerationMixin, BatchEncoding)
before = [dict(vars(cls)) for cls in classes]
import penstock.transformers as pt
assert [dict(vars(cls)) for cls in classes] == before, "importing changed a class"
pt.install()
assert [dict(vars(cls)) for cls in classes] != before
pt.install()
pt.uninstall()
for cls, kept in zip(classes, before):
    now = dict(vars(cls))
    assert now.keys() == kept.keys(), now.keys() ^ kept.keys()
    assert all(now[name] is kept[name] for name in kept), cls
pt.uninstall()
with pt.installed():
    with pt.installed():
        pass
    assert vars(TokenizersBackend)["_encode_plus"] is not before[0]["_encode_plus"]
assert vars(TokenizersBackend)["_encode_plus"] is before[0]["_encode_plus"]
print("as before")
"""


def run(code: str, *arguments: str, timeout: int = 240, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_uninstall_puts_the_same_objects_back() -> None:
    assert "as before" in run(IN_A_FRESH_PROCESS)


def test_uninstall_reaches_copies(folders: dict[str, Path]) -> None:
    """Copies of what `install` gave an engine are stock afterwards, those of `wrap` keep theirs."""
    kept = wrap(stock_of(folders["bert"]))
    given = stock_of(folders["bert"])
    want = given("Water runs.")["input_ids"]
    with pt.installed():
        loaded = stock_of(folders["bert"])
        copies = [copy.copy(loaded), copy.deepcopy(loaded), copy.deepcopy(given)]
        assert given("Water runs.")["input_ids"] == want
        copies.append(copy.deepcopy(given))
        copies.append(copy.deepcopy(copies[-1]))
        assert all(engine_of(made).native for made in copies)
        keeping = copy.deepcopy(kept)
    for made in copies:
        assert not engine_of(made).native
        assert type(made.__dict__["_tokenizer"]) is tokenizers.Tokenizer
        assert made("Water runs.")["input_ids"] == want
    assert engine_of(keeping).native
    assert keeping("Water runs.")["input_ids"] == want


def test_install_reaches_tokenizers_of_others(folder: Path) -> None:
    stock = stock_of(folder)
    with pt.installed():
        ours = stock_of(folder)
        assert type(ours) is type(stock)
        same_calls(ours, stock)
        earlier = stock_of(folder)
    # after the block every tokenizer is stock again, whenever it was made
    assert type(ours.__dict__["_tokenizer"]) is tokenizers.Tokenizer
    same_calls(earlier, stock)
    assert not engine_of(earlier).native


def test_wrap_returns_the_same_object(folder: Path) -> None:
    stock = stock_of(folder)
    ours = stock_of(folder)
    assert wrap(ours) is ours
    assert wrap(ours) is ours
    assert type(ours) is type(stock)
    same_calls(ours, stock)


def test_auto_tokenizer_returns_the_class_of_stock(folder: Path) -> None:
    ours = pt.AutoTokenizer.from_pretrained(folder)
    stock = stock_of(folder)
    assert type(ours) is type(stock)
    assert ours.init_kwargs.keys() == stock.init_kwargs.keys()
    assert repr(ours) == repr(stock)
    same_calls(ours, stock)


def test_engine_of_names_the_reason(folders: dict[str, Path]) -> None:
    ours = pt.AutoTokenizer.from_pretrained(folders["gpt2"])
    assert engine_of(ours).native
    ours._tokenizer.model.dropout = 0.5
    report = engine_of(ours)
    assert not report.native
    assert "dropout" in (report.reason or "")
    ours("still works")
    assert any("dropout" in reason for reason in engine_of(ours).fallbacks)
    ours._tokenizer.model.dropout = None
    assert engine_of(ours).native
    plain = stock_of(folders["gpt2"])
    assert "not wrapped" in (engine_of(plain).reason or "")
    with pytest.raises(TypeError, match="not a tokenizer"):
        wrap("gpt2")


def test_classes_with_their_own_encoding_stay_in_stock() -> None:
    for name in ("LayoutLMv2Tokenizer", "LayoutXLMTokenizer", "MarkupLMTokenizer", "LukeTokenizer",
                 "MLukeTokenizer", "LayoutLMv3Tokenizer", "RoFormerTokenizer"):  # fmt: skip
        cls = getattr(transformers, name)
        if issubclass(cls, TokenizersBackend):
            assert _slot.runs_in_stock(cls), name
    assert _slot.runs_in_stock(transformers.BertTokenizer) is None
    assert _slot.runs_in_stock(transformers.PreTrainedTokenizerFast) is None


def outcome(call: Any, tokenizer: Any) -> Any:
    """What a call gives in plain values, or the class of its error."""
    try:
        result = call(tokenizer)
    except Exception as error:
        return type(error)
    if hasattr(result, "keys"):
        return {
            name: value.tolist() if hasattr(value, "tolist") else value
            for name, value in result.items()
        }
    return result


WORDS = ["Water", "runs", "downhill"]
BOXES = [[1, 2, 3, 4], [5, 6, 7, 8], [1, 1, 2, 2]]
WITH_BOXES: list[Any] = [
    lambda t: t(WORDS, boxes=BOXES),
    lambda t: t([WORDS, WORDS[:2]], boxes=[BOXES, BOXES[:2]], padding=True),
    lambda t: t(
        [WORDS, WORDS[:2]],
        boxes=[BOXES, BOXES[:2]],
        padding="max_length",
        max_length=9,
        truncation=True,
        return_tensors="np",
    ),
    lambda t: t("a question", WORDS, boxes=BOXES),
    lambda t: t("Water runs downhill"),
    lambda t: t(text_target="Water runs"),
    lambda t: t.tokenize("Water runs"),
    lambda t: t.decode([5, 6, 7]),
    lambda t: t.batch_decode([[5, 6, 7], [3]]),
    lambda t: t.encode("Water runs downhill", max_length=4, truncation=True),
    lambda t: t.encode_boxes(WORDS, boxes=BOXES),
    lambda t: t.encode_plus_boxes(WORDS, boxes=BOXES, return_offsets_mapping=True),
    lambda t: t.pad(
        [
            {"input_ids": [1, 2], "bbox": [[1, 1, 1, 1]] * 2, "attention_mask": [1, 1]},
            {"input_ids": [1], "bbox": [[1, 1, 1, 1]], "attention_mask": [1]},
        ]
    ),
    lambda t: t(text_target=["Water runs", "down"], padding=True),
    lambda t: t.build_inputs_with_special_tokens([1, 2], [3]),
]


def test_udop_has_boxes_of_its_own(folders: dict[str, Path], tmp_path: Path) -> None:
    """Its boxes go through the stock tokenizer, its plain text through the engine, in any order."""
    vocab = json.loads((folders["t5"] / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    made = transformers.UdopTokenizer(vocab=[tuple(item) for item in vocab])
    made.save_pretrained(tmp_path)
    stock = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ours = pt.AutoTokenizer.from_pretrained(tmp_path)
    assert type(ours) is transformers.UdopTokenizer
    assert "UdopTokenizer._batch_encode_plus_boxes" in engine_of(ours).overridden
    order = random.Random(5)
    for _ in range(60):
        call = order.choice(WITH_BOXES)
        assert outcome(call, ours) == outcome(call, stock)
    assert engine_of(ours).calls
    assert not engine_of(ours).fallbacks


def test_roformer_stays_in_stock(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jieba = types.ModuleType("rjieba")
    vars(jieba)["tokenize"] = lambda text, hmm: [
        (found.group(), found.start(), found.end()) for found in re.finditer(r"\w+|\S", text)
    ]
    monkeypatch.setitem(sys.modules, "rjieba", jieba)
    vocab = json.loads((folders["bert"] / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    transformers.RoFormerTokenizer(vocab=vocab).save_pretrained(tmp_path)
    stock = transformers.RoFormerTokenizer.from_pretrained(tmp_path)
    with pt.installed():
        ours = pt.wrap(transformers.RoFormerTokenizer.from_pretrained(tmp_path))
        report = engine_of(ours)
        assert not report.native
        assert report.reason is not None
        assert "Python" in report.reason
        texts = ["Water runs downhill.", "Öffne das Tor, 水!"]
        calls: list[Any] = [
            lambda t: t(texts, padding=True, return_tensors="np"),
            lambda t: t(texts[0], texts[1], truncation=True, max_length=8),
            lambda t: t.decode([5, 6, 7]),
            lambda t: t.tokenize(texts[1]),
            lambda t: t.pad([{"input_ids": [1, 2]}, {"input_ids": [1]}]),
            lambda t: pickle.loads(pickle.dumps(t))(texts[0]),
        ]
        for call in calls:
            assert outcome(call, ours) == outcome(call, stock)


# --- copies, files


def test_copies(folder: Path) -> None:
    stock = stock_of(folder)
    ours = pt.AutoTokenizer.from_pretrained(folder)
    for copied in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert type(copied) is type(stock)
        same_calls(copied, stock)
        copied.add_tokens(["<brand-new>"])
        assert len(copied) == len(ours) + 1
    assert "<brand-new>" not in ours.get_vocab()
    same_calls(copy.copy(ours), stock)


def test_saved_files_are_those_of_stock(folder: Path, tmp_path: Path) -> None:
    stock = stock_of(folder)
    for number, prepare in enumerate(
        (
            lambda tokenizer: None,
            lambda tokenizer: tokenizer(TEXTS, max_length=7, truncation=True, padding=True),
            lambda tokenizer: tokenizer.add_tokens(["<one>", "two"]),
            lambda tokenizer: tokenizer.add_special_tokens({"cls_token": "<my cls>"}),
        )
    ):
        ours = pt.AutoTokenizer.from_pretrained(folder)
        theirs = stock_of(folder)
        written = {}
        for name, tokenizer in (("ours", ours), ("stock", theirs)):
            try:
                prepare(tokenizer)
            except ValueError:
                assert tokenizer.pad_token is None
            target = tmp_path / f"{number}-{name}"
            tokenizer.save_pretrained(target)
            written[name] = {path.name: path.read_bytes() for path in target.iterdir()}
        assert written["ours"].keys() == written["stock"].keys()
        for file, content in written["stock"].items():
            assert written["ours"][file] == content, file
    again = stock_of(tmp_path / "0-ours")
    assert type(again) is type(stock)
    same_calls(again, stock)
    same_calls(pt.AutoTokenizer.from_pretrained(tmp_path / "0-stock"), stock)


def test_train_new_from_iterator_keeps_the_engine(folders: dict[str, Path]) -> None:
    lines = [*checkpoints.lines()][:200]
    ours = pt.AutoTokenizer.from_pretrained(folders["gpt2"])
    mine = ours.train_new_from_iterator(lines, 400)
    theirs = stock_of(folders["gpt2"]).train_new_from_iterator(lines, 400)
    assert type(mine) is type(theirs)
    assert engine_of(mine).native
    same_calls(mine, theirs)


def test_edits_of_the_backend_take_effect_at_once(folders: dict[str, Path]) -> None:
    ours = pt.AutoTokenizer.from_pretrained(folders["gpt2"])
    stock = stock_of(folders["gpt2"])
    held = ours.backend_tokenizer
    assert type(held) is tokenizers.Tokenizer
    edits = (
        lambda backend: setattr(backend, "normalizer", tokenizers.normalizers.Lowercase()),
        lambda backend: setattr(backend.pre_tokenizer, "add_prefix_space", True),
        lambda backend: setattr(
            backend,
            "post_processor",
            tokenizers.processors.TemplateProcessing(
                single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
            ),
        ),
        lambda backend: backend.add_tokens(["downhill"]),
        lambda backend: setattr(backend, "normalizer", None),
    )
    for edit in edits:
        edit(held)
        edit(stock.backend_tokenizer)
        same_calls(ours, stock)
        assert engine_of(ours).native
    ours.add_tokens(["two more"])
    stock.add_tokens(["two more"])
    same_calls(ours, stock)
    assert ours._tokenizer.get_vocab_size() == len(stock)


def test_replacing_the_backend(folders: dict[str, Path]) -> None:
    ours = pt.AutoTokenizer.from_pretrained(folders["gpt2"])
    stock = stock_of(folders["gpt2"])
    other = stock_of(folders["gpt2"])
    other.add_tokens(["downhill"])
    for tokenizer in (ours, stock):
        tokenizer._tokenizer = copy.deepcopy(other._tokenizer)
    same_calls(ours, stock)
    assert engine_of(ours).native


def test_decode_stream_takes_the_backend(folders: dict[str, Path]) -> None:
    ours = pt.AutoTokenizer.from_pretrained(folders["gpt2"])
    stream = tokenizers.decoders.DecodeStream(skip_special_tokens=True)
    ids = ours("Öffne das Tor.")["input_ids"]
    assert "".join(stream.step(ours._tokenizer, token) or "" for token in ids) == "Öffne das Tor."


def test_add_tokens_and_resize(folders: dict[str, Path]) -> None:
    ours = pt.AutoTokenizer.from_pretrained(folders["llama3"])
    stock = stock_of(folders["llama3"])
    for tokenizer in (ours, stock):
        assert tokenizer.add_tokens(["<new>", "", "a", "<new>"]) > 0
        tokenizer.add_special_tokens({"additional_special_tokens": ["<s1>", "<s2>"]})
        with pytest.raises(ValueError, match="nonsense"):
            tokenizer.add_special_tokens({"nonsense_key": "x"})
    same_calls(ours, stock)
    text = "a<new> <s1>b"
    assert ours(text)["input_ids"] == stock(text)["input_ids"]
    assert ours.extra_special_tokens == stock.extra_special_tokens
    config = transformers.LlamaConfig(
        vocab_size=10, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    model.resize_token_embeddings(len(ours), mean_resizing=False)
    assert model.get_input_embeddings().num_embeddings == len(stock)


CHAT = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}{% generation %}"
    "{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}"
)


def test_chat_templates(folders: dict[str, Path]) -> None:
    ours = pt.AutoTokenizer.from_pretrained(folders["llama3"])
    stock = stock_of(folders["llama3"])
    chat = [
        {"role": "user", "content": "How high? 水"},
        {"role": "assistant", "content": "Ninety metres, é."},
    ]
    for options in (
        {"tokenize": False}, {"add_generation_prompt": True}, {"return_tensors": "pt"},
        {"chat_template": CHAT, "return_assistant_tokens_mask": True, "return_dict": True},
        {"continue_final_message": True},
    ):  # fmt: skip
        mine, theirs = (t.apply_chat_template(chat, **options) for t in (ours, stock))
        assert str(mine) == str(theirs), options
    batch = [chat, chat[:1]]
    mine, theirs = (t.apply_chat_template(batch, padding=True) for t in (ours, stock))
    assert str(mine) == str(theirs)


# --- threads and processes


def test_threads_with_different_lengths(folders: dict[str, Path]) -> None:
    """Stock returns wrong lengths here, silently."""
    text = "Water runs downhill, and a pipe carries it to the turbine. " * 10
    for name in ("llama3", "t5"):
        shared = pt.AutoTokenizer.from_pretrained(folders[name])
        wrong: list[Any] = []

        def work(offset: int, shared: Any = shared, wrong: list[Any] = wrong) -> None:
            for step in range(80):
                length = 4 + (offset * 7 + step) % 40
                batch = shared(
                    [text, text], max_length=length, truncation=True, padding="max_length"
                )
                sizes = [len(row) for row in batch["input_ids"]]
                if sizes != [length, length]:
                    wrong.append((length, sizes))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert not wrong, (name, wrong[:3])


@pytest.mark.parametrize("engine", ["ours", "stock"])
def test_lengths_of_two_threads_are_their_own(
    engine: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens in the test above to stock sooner or later, brought about: stock keeps a call's
    truncation on the tokenizer that threads share, until it encodes. Here no thread encodes before
    both have got so far."""
    text = "Water runs downhill, and a pipe carries it to the turbine. " * 10
    load = (pt.AutoTokenizer if engine == "ours" else transformers.AutoTokenizer).from_pretrained
    shared = load(folders["llama3"])
    both = threading.Barrier(2)
    set_state = TokenizersBackend.set_truncation_and_padding

    def set_and_wait(self: Any, *args: Any, **kwargs: Any) -> None:
        set_state(self, *args, **kwargs)
        both.wait(60)

    monkeypatch.setattr(TokenizersBackend, "set_truncation_and_padding", set_and_wait)
    found: dict[int, int] = {}

    def work(length: int) -> None:
        found[length] = len(shared(text, max_length=length, truncation=True)["input_ids"])

    threads = [threading.Thread(target=work, args=(length,)) for length in (8, 16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    if engine == "ours":
        assert found == {8: 8, 16: 16}
    else:
        assert found in ({8: 8, 16: 8}, {8: 16, 16: 16}), "stock is right"


def test_adding_tokens_while_others_encode(folders: dict[str, Path]) -> None:
    shared = pt.AutoTokenizer.from_pretrained(folders["gpt2"])
    stop = threading.Event()
    failures: list[BaseException] = []

    def encode() -> None:
        try:
            while not stop.is_set():
                shared("some text <t1> and <t50>")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=encode) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(100):
        shared.add_tokens([f"<t{number}>"])
    stop.set()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert shared.tokenize("<t1><t99>") == ["<t1>", "<t99>"]


FORK = """
import os, signal, sys
os.environ["TOKENIZERS_PARALLELISM"] = "true"
kind, folder, seconds = sys.argv[1:]
if kind == "ours":
    from penstock.transformers import AutoTokenizer
else:
    from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(folder)
texts = ["Water runs downhill, number %d." % n for n in range(2000)]
before = tokenizer(texts, padding=True, return_tensors="np")["input_ids"].sum()
child = os.fork()
if child == 0:
    signal.alarm(int(seconds))
    after = tokenizer(texts, padding=True, return_tensors="np")["input_ids"].sum()
    os._exit(0 if after == before else 1)
_, status = os.waitpid(child, 0)
print("same" if status == 0 else "child status %d" % status)
"""


def test_a_forked_child_does_not_hang(folders: dict[str, Path]) -> None:
    """Stock hangs with TOKENIZERS_PARALLELISM=true after a parallel encode: the threads that it
    waits for are its parent's."""
    assert run(FORK, "ours", str(folders["gpt2"]), "60").strip() == "same"
    killed = f"child status {signal.SIGALRM:d}"
    assert run(FORK, "stock", str(folders["gpt2"]), "8").strip() == killed


def test_a_fork_while_another_thread_holds_the_lock(folders: dict[str, Path]) -> None:
    ours = pt.AutoTokenizer.from_pretrained(folders["gpt2"])
    ours("warm")
    backend = ours.__dict__["_tokenizer"]
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with backend._lock:
            held.set()
            release.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        signal.alarm(20)
        ours.add_tokens(["<in the child>"])
        ours._tokenizer.get_vocab_size()
        os._exit(0)
    release.set()
    thread.join(10)
    assert os.waitpid(child, 0)[1] == 0


WORKERS = """
import sys, warnings
warnings.simplefilter("ignore")
import torch
from penstock.transformers import AutoTokenizer
torch.set_num_threads(1)
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])

class Rows(torch.utils.data.Dataset):
    def __len__(self): return 24
    def __getitem__(self, index): return dict(tokenizer("row %d" % index))

def main(context):
    from transformers import DataCollatorWithPadding
    loader = torch.utils.data.DataLoader(
        Rows(), batch_size=4, num_workers=2, collate_fn=DataCollatorWithPadding(tokenizer),
        multiprocessing_context=context)
    return sum(batch["input_ids"].shape[0] for batch in loader)

if __name__ == "__main__":
    tokenizer(["a", "b"] * 100)
    print(main("fork"))
"""


def test_data_loader_workers(folders: dict[str, Path]) -> None:
    assert run(WORKERS, str(folders["gpt2"])).split() == ["24"]


def test_a_spawned_process_gets_the_engine(folders: dict[str, Path], tmp_path: Path) -> None:
    ours = pt.AutoTokenizer.from_pretrained(folders["gpt2"])
    path = tmp_path / "tokenizer.pickle"
    path.write_bytes(pickle.dumps(ours))
    code = (
        "import pickle, sys\n"
        "tokenizer = pickle.load(open(sys.argv[1], 'rb'))\n"
        "from penstock.transformers import engine_of\n"
        "ids = tokenizer('abc')['input_ids']\n"
        "print(type(tokenizer).__name__, engine_of(tokenizer).native, ids)"
    )
    name, native, ids = run(code, str(path)).split(maxsplit=2)
    assert (name, native) == (type(ours).__name__, "True")
    assert json.loads(ids) == ours("abc")["input_ids"]


MEMORY = """
import resource, sys
from penstock.transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
def work(start, count):
    for block in range(start, start + count, 500):
        texts = ["word%d %d-%d" % (n, n * 7919, n * 104729) for n in range(block, block + 500)]
        tokenizer(texts, padding=True, truncation=True, max_length=32, return_tensors="np")
        tokenizer.batch_decode([[1, 2, 3]] * 500)
work(0, 250_000)  # the cache of words is full then
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
work(250_000, int(sys.argv[2]))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_stays_flat(folders: dict[str, Path]) -> None:
    texts = 2_000_000 if REQUIRE_PARITY else 200_000
    grown = int(run(MEMORY, str(folders["gpt2"]), str(texts)))
    assert grown < 40, f"{grown} MB more after {texts:,} texts"


# --- datasets


def test_map_fn(folders: dict[str, Path]) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    rows = datasets.Dataset.from_dict(
        {"text": TEXTS * 5, "other": list(reversed(TEXTS)) * 5, "label": list(range(20))}
    )
    for name in ("gpt2", "bert", "llama3"):
        ours = pt.AutoTokenizer.from_pretrained(folders[name])
        stock = stock_of(folders[name])
        for pair, options in (
            (None, {}),
            (None, {"truncation": True, "max_length": 6}),
            ("other", {"padding": "max_length", "max_length": 12, "truncation": True}),
            (None, {"return_special_tokens_mask": True}),
        ):
            function = pt.map_fn(ours, pair_column=pair, remove_columns=["text"], **options)
            with_arrow = rows.with_format("arrow").map(
                function, batched=True, batch_size=7, load_from_cache_file=False
            )
            want = rows.map(
                lambda batch, pair=pair, options=options, stock=stock: stock(
                    batch["text"], batch[pair] if pair else None, **options
                ),
                batched=True, batch_size=7, remove_columns=["text"], load_from_cache_file=False,
            )  # fmt: skip
            got = with_arrow.with_format(None)
            assert set(got.column_names) == set(want.column_names)
            for column in want.column_names:
                assert got[column][:] == want[column][:], (name, column)
                assert got.features[column] == want.features[column], (name, column)
            plain = rows.map(function, batched=True, load_from_cache_file=False)
            assert plain["input_ids"][:] == want["input_ids"][:]


def test_map_in_two_processes(folders: dict[str, Path]) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    ours = pt.AutoTokenizer.from_pretrained(folders["gpt2"])
    rows = datasets.Dataset.from_dict({"text": [f"row number {n}" for n in range(40)]})
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = rows.with_format("arrow").map(pt.map_fn(ours), batched=True, num_proc=2)
        also = rows.map(lambda batch: ours(batch["text"]), batched=True, num_proc=2)
    want = ours([f"row number {n}" for n in range(40)])["input_ids"]
    assert got.with_format(None)["input_ids"][:] == want
    assert also["input_ids"][:] == want


# --- names of version 4


def test_v4_names(folders: dict[str, Path]) -> None:
    from penstock.transformers import v4

    try:
        v4.install()
        for name in ("bert", "roberta", "llama3", "t5"):
            tokenizer = pt.AutoTokenizer.from_pretrained(folders[name])
            text, other = "Water runs", "downhill."
            a = tokenizer.encode(text, add_special_tokens=False)
            b = tokenizer.encode(other, add_special_tokens=False)
            pair = tokenizer(text, other, return_token_type_ids=True)
            assert tokenizer.encode_plus(text, other) == tokenizer(text, other)
            assert tokenizer.batch_encode_plus([text, other]) == tokenizer([text, other])
            assert tokenizer.build_inputs_with_special_tokens(a) == tokenizer(text)["input_ids"]
            assert tokenizer.build_inputs_with_special_tokens(a, b) == pair["input_ids"]
            types = tokenizer.create_token_type_ids_from_sequences(a, b)
            assert types == pair["token_type_ids"]
            mask = tokenizer(text, other, return_special_tokens_mask=True)["special_tokens_mask"]
            assert tokenizer.get_special_tokens_mask(a, b) == mask
            prepared = tokenizer.prepare_for_model(a, b, max_length=5, truncation="only_second")
            room = len(a) + tokenizer.num_special_tokens_to_add(pair=True)
            assert len(prepared["input_ids"]) <= max(5, room)
            assert tokenizer.prepare_for_model(a)["input_ids"] == tokenizer(text)["input_ids"]
            assert tokenizer.truncate_sequences(a, num_tokens_to_remove=1)[0] == a[:-1]
            tokenizer.add_special_tokens({"additional_special_tokens": ["<x1>", "<x2>"]})
            assert tokenizer.additional_special_tokens[-2:] == ["<x1>", "<x2>"]
            assert tokenizer.additional_special_tokens_ids[-1] == len(tokenizer) - 1
            tokenizer.additional_special_tokens = ["<x2>"]
            assert tokenizer.extra_special_tokens == ["<x2>"]
            assert (
                str(tokenizer.special_tokens_map_extended["additional_special_tokens"][0]) == "<x2>"
            )
            assert "<x2>" in map(str, tokenizer.all_special_tokens_extended)
            assert tokenizer.sanitize_special_tokens() == 0
            assert "<x1>" in tokenizer.unique_no_split_tokens
            with tokenizer.as_target_tokenizer():
                tokenizer(text)
            batch = tokenizer.prepare_seq2seq_batch([text], [other], max_length=20)
            assert batch["labels"] == tokenizer([other])["input_ids"]
    finally:
        v4.uninstall()
    with pytest.raises(AttributeError):
        _ = pt.AutoTokenizer.from_pretrained(folders["bert"]).encode_plus


# --- loading


def test_subfolder_single_file_and_cached_snapshot(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(folders["llama3"], tmp_path / "repo" / "inner")
    ours = pt.AutoTokenizer.from_pretrained(tmp_path / "repo", subfolder="inner")
    stock = transformers.AutoTokenizer.from_pretrained(tmp_path / "repo", subfolder="inner")
    same_calls(ours, stock)
    with pytest.raises(OSError, match="nowhere"):
        pt.AutoTokenizer.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(OSError, match=r"tokenizer\.json"):
        pt.AutoTokenizer.from_pretrained(folders["llama3"] / "tokenizer.json")

    # a snapshot as huggingface_hub lays it out, of a branch and of a commit
    commit = "0123456789012345678901234567890123456789"
    home = tmp_path / "home"
    repository = home / "hub" / "models--someone--something"
    shutil.copytree(folders["llama3"], repository / "snapshots" / commit)
    (repository / "snapshots" / commit / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    (repository / "refs" / "v2").write_text(commit)
    code = (
        "import sys\n"
        "from penstock.transformers import AutoTokenizer, engine_of\n"
        "for revision in (None, 'v2', sys.argv[1]):\n"
        "    options = {} if revision is None else {'revision': revision}\n"
        "    t = AutoTokenizer.from_pretrained('someone/something', **options)\n"
        "    assert engine_of(t).native\n"
        "    print(t('abc')['input_ids'])\n"
        "try:\n"
        "    AutoTokenizer.from_pretrained('someone/something', revision='v3')\n"
        "except OSError: print('OSError')"
    )
    lines = run(code, commit, HF_HOME=str(home), HF_HUB_OFFLINE="1").splitlines()
    assert lines == [str(stock("abc")["input_ids"])] * 3 + ["OSError"]


# --- programs


SAID = {
    "classification_batch": "native: True",
    "chat_template": "assistant: It is ninety metres high.",
    "collator_and_trainer": "steps: 3 native: True",
    "pipeline": "native: True",
    "datasets_map": "rows: 300",
    "server_threads": "400 of 400",
}
RUN_ALL = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
paths, sys.argv = sys.argv[2:], sys.argv[:1]
for path in paths:
    print("example:", path)
    runpy.run_path(path, run_name="__main__")
"""


def test_examples() -> None:
    """Every example runs; one process for all, because most of the time goes into imports."""
    paths = sorted(EXAMPLES.glob("[a-z]*.py"))
    assert {path.stem for path in paths} == set(SAID)
    output = run(RUN_ALL, str(EXAMPLES), *map(str, paths), OMP_NUM_THREADS="1")
    parts = dict(part.split("\n", 1) for part in output.split("example: ")[1:])
    for path in paths:
        assert SAID[path.stem] in parts[str(path)], parts[str(path)]


def test_push_to_hub_writes_what_save_pretrained_does(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upload is the Hub's; which files go there is ours."""
    ours = pt.AutoTokenizer.from_pretrained(folders["gpt2"])
    seen: list[str] = []

    def upload(self: Any, working_dir: Any, *_: Any, **__: Any) -> None:
        seen.extend(path.name for path in Path(working_dir).iterdir())

    monkeypatch.setattr(type(ours), "_upload_modified_files", upload, raising=False)
    from transformers.utils import hub

    class Api:
        def create_repo(self, repo_id: str, **_: Any) -> Any:
            return type("Repo", (), {"repo_id": repo_id})()

    if hasattr(hub, "hf_api"):
        monkeypatch.setattr(hub, "hf_api", Api)
    ours.push_to_hub("someone/something")
    assert "tokenizer.json" in seen
    assert "tokenizer_config.json" in seen
