"""What callers set on a tokenizer, and what they ask of its results: the same as in stock."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
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
from tests.conftest import REQUIRE_PARITY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = ("bert", "gpt2", "t5", *(("llama3", "llama", "unigram") if REQUIRE_PARITY else ()))
TEXTS = ["Water runs downhill.", "", "Öffne das <new> Tor , 水! <s>[SEP]</s> it 's"]
Two = tuple[Any, Any]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return checkpoints.make(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(params=NAMES)
def both(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Two:
    folder = folders[request.param]
    return pt.AutoTokenizer.from_pretrained(folder), transformers.AutoTokenizer.from_pretrained(
        folder
    )


def outcome(function: Callable[[], Any]) -> Any:
    """A result that can be compared, or the class of an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return str(function())
        except Exception as error:
            return type(error)


def same(both: Two, looks: dict[str, Callable[[Any], Any]], where: str) -> None:
    ours, stock = both
    for name, look in looks.items():
        want = outcome(lambda look=look: look(stock))
        assert outcome(lambda look=look: look(ours)) == want, f"{where}: {name}"


STATE: dict[str, Callable[[Any], Any]] = {
    name: lambda tokenizer, name=name: getattr(tokenizer, name)
    for name in (
        "special_tokens_map", "all_special_tokens", "all_special_ids", "extra_special_tokens",
        "extra_special_tokens_ids", "pad_token", "pad_token_id", "unk_token_id", "image_token",
        "image_token_id", "added_tokens_decoder", "added_tokens_encoder",
        "additional_special_tokens", "padding_side", "truncation_side", "split_special_tokens",
        "clean_up_tokenization_spaces", "model_max_length", "add_bos_token", "add_eos_token",
        "add_prefix_space", "no_such_token",
    )
}  # fmt: skip
CALLS: dict[str, Callable[[Any], Any]] = {
    "one": lambda t: t(TEXTS[2]),
    "batch": lambda t: t(TEXTS, padding=True, truncation=True, max_length=9),
    "pairs": lambda t: t(TEXTS, TEXTS[::-1], return_special_tokens_mask=True),
    "tokenize": lambda t: t.tokenize(TEXTS[2]),
    "decode": lambda t: t.batch_decode(t(TEXTS)["input_ids"], skip_special_tokens=True),
    "size": len,
    "saved": lambda t: t.backend_tokenizer.to_str(),
}

SETTINGS: dict[str, Callable[[Any], Any]] = {
    "a named token": lambda t: setattr(t, "pad_token", "<new>"),
    "by its id": lambda t: setattr(t, "pad_token_id", 5),
    "an id that is none": lambda t: setattr(t, "pad_token_id", 10**7),
    "none": lambda t: setattr(t, "unk_token", None),
    "an added token": lambda t: setattr(
        t, "sep_token", tokenizers.AddedToken("[NEW]", lstrip=True, special=True)
    ),
    "not a token": lambda t: setattr(t, "bos_token", 3),
    "extra ones": lambda t: setattr(t, "extra_special_tokens", ["<new>", "it"]),
    "the old name": lambda t: setattr(t, "additional_special_tokens", ["it"]),
    "added by a dictionary": lambda t: t.add_special_tokens(
        {"extra_special_tokens": ["downhill"], "mask_token": "<new>"}
    ),
    "added, others kept": lambda t: t.add_special_tokens(
        {"extra_special_tokens": ["Tor"]}, replace_extra_special_tokens=False
    ),
    "an unknown key": lambda t: t.add_special_tokens({"nonsense": "x"}),
    "added, special": lambda t: t.add_tokens(["runs", "<new>"], special_tokens=True),
    "added, with options": lambda t: t.add_tokens(
        [tokenizers.AddedToken("down", single_word=True), tokenizers.AddedToken("ÖFF", rstrip=True)]
    ),
    "added, not text": lambda t: t.add_tokens([3]),
    "padding side": lambda t: setattr(t, "padding_side", "left"),
    "truncation side": lambda t: setattr(t, "truncation_side", "left"),
    "special tokens as text": lambda t: setattr(t, "split_special_tokens", True),
    "clean up": lambda t: setattr(t, "clean_up_tokenization_spaces", True),
    "length": lambda t: setattr(t, "model_max_length", 6),
    "first token": lambda t: setattr(t, "add_bos_token", True),
    "last token": lambda t: setattr(t, "add_eos_token", True),
    "prefix space": lambda t: setattr(t, "add_prefix_space", True),
    "names of columns": lambda t: setattr(t, "model_input_names", ["input_ids"]),
}


def test_what_is_set_takes_effect(both: Two) -> None:
    """One setting after another, on one pair of tokenizers."""
    same(both, STATE | CALLS, "as loaded")
    for name, setting in SETTINGS.items():
        same(both, {name: setting}, name)
        same(both, STATE | CALLS, name)
    assert engine_of(both[0]).native, engine_of(both[0]).reason


def test_a_models_own_tokens(folders: dict[str, Path]) -> None:
    """Tokens of other names, given to the constructor, become attributes."""
    for options in (
        {"extra_special_tokens": {"image_token": "<image>", "eoi_token": "it"}},
        {"extra_special_tokens": ["<image>", "Tor"]},
        {"image_token": "<image>"},
    ):
        folder = folders["llama3"]
        ours = pt.AutoTokenizer.from_pretrained(folder, **copy.deepcopy(options))
        stock = transformers.AutoTokenizer.from_pretrained(folder, **copy.deepcopy(options))
        same((ours, stock), STATE | CALLS, str(options))


def test_dropout_is_left_to_stock(folders: dict[str, Path]) -> None:
    """An edit of the model in place, as of any component, takes effect with the next call."""
    ours = pt.AutoTokenizer.from_pretrained(folders["gpt2"])
    stock = transformers.AutoTokenizer.from_pretrained(folders["gpt2"])
    before = ours(TEXTS[0])["input_ids"]
    for tokenizer in (ours, stock):
        tokenizer.backend_tokenizer.model.dropout = 1.0
    assert ours(TEXTS[0])["input_ids"] == stock(TEXTS[0])["input_ids"] != before
    assert "dropout" in str(engine_of(ours).reason)
    for tokenizer in (ours, stock):
        tokenizer.backend_tokenizer.model.dropout = None
    assert ours(TEXTS[0])["input_ids"] == stock(TEXTS[0])["input_ids"] == before
    assert engine_of(ours).native


def test_what_a_result_knows(both: Two) -> None:
    """Every map of a `BatchEncoding`, at every place, of one text, a batch and pairs."""
    for arguments in ((TEXTS[2],), (TEXTS,), (TEXTS, TEXTS[::-1])):
        mine, theirs = (tokenizer(*arguments) for tokenizer in both)
        rows = range(1 if isinstance(arguments[0], str) else len(TEXTS))
        for row in rows:
            looks: dict[str, Callable[[Any], Any]] = {
                name: lambda batch, name=name, row=row: getattr(batch, name)(row)
                for name in ("tokens", "word_ids", "sequence_ids", "words")
            }
            for name in ("token_to_chars", "token_to_word", "token_to_sequence", "char_to_token",
                         "char_to_word", "word_to_tokens", "word_to_chars"):  # fmt: skip
                for place in (*range(30), -1, 1000):
                    looks[f"{name} {place}"] = lambda batch, name=name, row=row, place=place: (
                        getattr(batch, name)(row, place)
                    )
            same((mine, theirs), looks, f"{arguments} row {row}")
        looks = {
            "row": lambda batch: vars(type(batch[0]))["ids"].__get__(batch[0]),
            "rows": lambda batch: [encoding.tokens for encoding in batch[0:2]],
            "no such row": lambda batch: batch[99],
            "no such key": lambda batch: batch["labels"],
            "no such name": lambda batch: batch.labels,
            "sequences": lambda batch: batch.n_sequences,
            "fast": lambda batch: batch.is_fast,
            "sequences, pickled": lambda batch: pickle.loads(pickle.dumps(batch)).n_sequences,
            "tokens, pickled": lambda batch: pickle.loads(pickle.dumps(batch)).tokens(0),
            "words, copied": lambda batch: copy.deepcopy(batch).word_ids(0),
            "ragged": lambda batch: copy.copy(batch).convert_to_tensors("pt"),
            "dictionary": lambda batch: {**batch},
            "text": str,
        }
        same((mine, theirs), looks, str(arguments))


def test_tensors_move(both: Two) -> None:
    mine, theirs = (tokenizer(TEXTS[0], return_tensors="pt") for tokenizer in both)
    for looks in (
        {"device": lambda batch: batch.to("cpu")},
        {"keyword": lambda batch: batch.to(device="cpu", non_blocking=True)},
        {"nowhere": lambda batch: batch.to("nowhere")},
        {"type": lambda batch: batch.to(torch.float32)},
    ):
        same((mine, theirs), looks, "to")


@pytest.mark.parametrize("name", ["llama3", "bert", "unigram"])
def test_added_tokens_whose_ids_are_others_in_the_file(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    """A token of the vocabulary keeps its id there, whatever its entry among the added ones says;
    what the constructor was given is the file's, as in stock."""
    folder = tmp_path / name
    shutil.copytree(folders[name], folder)
    content = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    for number, token in enumerate(content["added_tokens"]):
        token["id"] = 7000 + 3 * number
    (folder / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    config = folder / "tokenizer_config.json"
    kept = json.loads(config.read_text("utf-8"))
    kept.pop("added_tokens_decoder", None)
    config.write_text(json.dumps(kept), "utf-8")
    ours = pt.AutoTokenizer.from_pretrained(folder)
    stock = transformers.AutoTokenizer.from_pretrained(folder)
    given: dict[str, Callable[[Any], Any]] = {
        "given": lambda t: sorted(
            (index, repr(token)) for index, token in t.init_kwargs["added_tokens_decoder"].items()
        )
    }
    same((ours, stock), given | STATE | CALLS, name)
    assert 7000 in stock.init_kwargs["added_tokens_decoder"]
    assert engine_of(ours).native, engine_of(ours).reason


@pytest.mark.parametrize("stage", ["post_processor", "pre_tokenizer", "normalizer", "decoder"])
def test_a_file_without_a_component(stage: str, folders: dict[str, Path], tmp_path: Path) -> None:
    """transformers puts a post-processor where there is none, even one that adds nothing."""
    for name in ("llama3", "unigram", "bert"):
        folder = tmp_path / name
        shutil.copytree(folders[name], folder)
        content = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        content[stage] = None
        (folder / "tokenizer.json").write_text(json.dumps(content), "utf-8")
        for cls in (transformers.AutoTokenizer, transformers.PreTrainedTokenizerFast):
            stock = cls.from_pretrained(folder)
            with pt.installed():
                ours = cls.from_pretrained(folder)
                assert engine_of(ours).native, engine_of(ours).reason
                same((ours, stock), STATE | CALLS, f"{name} without {stage}")


def test_files_that_the_caller_names(folders: dict[str, Path], tmp_path: Path) -> None:
    """They take the place of those in the folder."""
    other = tmp_path / "other.json"
    content = json.loads((folders["gpt2"] / "tokenizer.json").read_text("utf-8"))
    content["added_tokens"][0]["content"] = "<other>"
    other.write_text(json.dumps(content), "utf-8")
    for given in ({"tokenizer_file": str(other)}, {"tokenizer_file": "nowhere"}):
        for name in ("gpt2", "llama3"):
            folder = folders[name]
            stock = outcome(
                lambda: transformers.AutoTokenizer.from_pretrained(folder, **given)(TEXTS)
            )
            ours = outcome(lambda: pt.AutoTokenizer.from_pretrained(folder, **given)(TEXTS))
            assert ours == stock


def test_a_single_text_beside_every_setting(folders: dict[str, Path]) -> None:
    """`tokenizer(text)` alone takes a way of its own, which leaves nothing out."""
    for name in ("gpt2", "bert"):
        ours = pt.AutoTokenizer.from_pretrained(folders[name])
        stock = transformers.AutoTokenizer.from_pretrained(folders[name])
        looks: dict[str, Callable[[Any], Any]] = {
            "type": lambda t: type(t(TEXTS[2])),
            "columns": lambda t: dict(t(TEXTS[2])),
            "of nothing": lambda t: dict(t("")),
            "long": lambda t: dict(t(TEXTS[2] * 500)),
            "fast": lambda t: (t(TEXTS[2]).is_fast, t(TEXTS[2]).n_sequences, len(t(TEXTS[2]))),
            "encodings": lambda t: [
                (e.ids, e.tokens, e.offsets, e.word_ids) for e in t(TEXTS[2]).encodings
            ],
            "encoding": lambda t: t(TEXTS[2])[0].tokens,
            "slice": lambda t: [e.ids for e in t(TEXTS[2])[:1]],
            "too many": lambda t: t(TEXTS[2])[1],
            "words": lambda t: (t(TEXTS[2]).word_ids(), t(TEXTS[2]).char_to_token(3)),
            "pickled": lambda t: pickle.loads(pickle.dumps(t(TEXTS[2]))).tokens(),
            "copied": lambda t: (copy.deepcopy(t(TEXTS[2])).tokens(), dict(copy.copy(t("a")))),
            "surrogate": lambda t: t("a\ud800"),
            "as tensors": lambda t: t(TEXTS[2]).convert_to_tensors("np", prepend_batch_axis=True),
            "saved": lambda t: t.backend_tokenizer.to_str(),
        }
        for setting in ("as loaded", "special tokens as text", "names of columns", "length"):
            if setting in SETTINGS:
                for tokenizer in (ours, stock):
                    SETTINGS[setting](tokenizer)
            same((ours, stock), looks, f"{name}, {setting}")

        # A class's own, or an option that is no plain attribute, goes the longer way.
        class Counting(type(ours)):  # type: ignore[misc]
            def _encode_plus(self, *args: Any, **kwargs: Any) -> Any:
                self.seen = True
                return super()._encode_plus(*args, **kwargs)

        ours.__class__ = Counting
        ours("text")
        assert ours.seen


FLAGS: dict[str, Callable[[Any], Any]] = {
    f"{name} {flag!r}": lambda t, call=call, flag=flag: call(t, flag)
    for flag in (None, 0, 1, "no", np.bool_(False), np.bool_(True))
    for name, call in {
        "special": lambda t, flag: t(["Water runs", "up"], add_special_tokens=flag),
        "special, tensors": lambda t, flag: t(
            "Water", add_special_tokens=flag, return_tensors="pt"
        ),
        "special, tokenize": lambda t, flag: t.tokenize("Water", add_special_tokens=flag),
        "words": lambda t, flag: t(["Water", "runs"], is_split_into_words=flag),
        "skip": lambda t, flag: t.decode([5, 6, 7], skip_special_tokens=flag),
        "skip, batch": lambda t, flag: t.batch_decode([[5, 6], [7]], skip_special_tokens=flag),
        "split": lambda t, flag: t("Water", split_special_tokens=flag),
    }.items()
}


def test_flags_are_booleans(both: Two) -> None:
    """What is none is refused as the reference refuses it, and not taken for true or false."""
    same(both, FLAGS, "flags")


@pytest.mark.parametrize("exposed", [False, True])
def test_special_tokens_of_the_caller(folders: dict[str, Path], exposed: bool) -> None:
    """The reference makes a token special in place, which settles whether it is normalized."""
    folder = folders["gpt2"]
    both = (
        pt.AutoTokenizer.from_pretrained(folder),
        transformers.AutoTokenizer.from_pretrained(folder),
    )
    tokens = []
    for tokenizer in both:
        if exposed:
            tokenizer.backend_tokenizer.normalizer = tokenizers.normalizers.Lowercase()
        token = tokenizers.AddedToken("<New>", lstrip=True)
        tokens.append(token)
        assert tokenizer.add_special_tokens({"cls_token": token}) == 1
        tokenizer.add_tokens([tokenizers.AddedToken("Tor", special=True)], special_tokens=True)
        with pytest.raises(TypeError, match="'tuple' object is not an instance of 'list'"):
            tokenizer.add_tokens(("a", "b"))
    assert tokens[0].special is tokens[1].special is True
    same(both, STATE, "state")
    texts = ["a  <New> b <new> Tor tor"]
    same(both, {"call": lambda t: t(texts), "file": lambda t: t._tokenizer.to_str()}, "tokens")


class Shifting(transformers.BertTokenizer):
    def _convert_encoding(self, *args: Any, **options: Any) -> Any:
        data, encodings = super()._convert_encoding(*args, **options)
        return {**data, "input_ids": [[0, *ids] for ids in data["input_ids"]]}, encodings


class Shortening(transformers.BertTokenizer):
    def set_truncation_and_padding(self, **options: Any) -> None:
        super().set_truncation_and_padding(**{**options, "max_length": 4})


def test_subclasses_with_a_way_to_ids_of_their_own(folders: dict[str, Path]) -> None:
    for cls, method in (
        (Shifting, "_convert_encoding"),
        (Shortening, "set_truncation_and_padding"),
    ):
        stock = cls.from_pretrained(folders["bert"])
        ours = pt.wrap(cls.from_pretrained(folders["bert"]))
        assert engine_of(ours).reason == f"{cls.__name__} has its own {method}"
        looks: dict[str, Callable[[Any], Any]] = {
            "call": lambda t: t("Water runs downhill."),
            "batch": lambda t: t(TEXTS, truncation=True, padding=True, max_length=9),
        }
        same((ours, stock), looks, cls.__name__)


def test_methods_that_are_set_on_an_object(both: Two) -> None:
    for name in ("decode", "_decode", "clean_up_tokenization", "convert_tokens_to_string"):
        changed = tuple(copy.deepcopy(tokenizer) for tokenizer in both)
        for tokenizer in changed:
            setattr(tokenizer, name, lambda *_, **__: "mine")
        looks: dict[str, Callable[[Any], Any]] = {
            "decode": lambda t: t.decode([5, 6], clean_up_tokenization_spaces=True),
            "several": lambda t: t.decode([[5, 6], [7]]),
            "batch": lambda t: t.batch_decode([[5, 6], [7]], clean_up_tokenization_spaces=True),
        }
        same(changed, looks, name)
