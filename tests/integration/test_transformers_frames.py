"""Classes that build their own backend, loaded without it: all of them, beside stock."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import pickle
import pkgutil
import shutil
import warnings
from typing import TYPE_CHECKING, Any

import penstock.transformers as pt
import pytest
import transformers
import transformers.models
from penstock.transformers import _frames, _report, _slot
from penstock.transformers._backend import Backend
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE
from transformers.models.mbart50.tokenization_mbart50 import FAIRSEQ_LANGUAGE_CODES
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from tests import checkpoints
from tests.charsmap import charsmap

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ["Water runs downhill.", "a", "", "Öffne das Tor, 水! <s> <|endoftext|> [CLS] more"]


def _classes() -> list[Any]:
    found = []
    for package in pkgutil.iter_modules(transformers.models.__path__):
        folder = importlib.import_module(f"transformers.models.{package.name}").__path__
        for file in pkgutil.iter_modules(folder):
            if not file.name.startswith("tokenization"):
                continue
            name = f"transformers.models.{package.name}.{file.name}"
            try:
                module = importlib.import_module(name)
            except (ImportError, NameError):  # what a model needs may not be installed
                continue
            found += [
                value
                for value in vars(module).values()
                if inspect.isclass(value)
                and value.__module__ == name
                and issubclass(value, TokenizersBackend)
                and _slot.runs_in_stock(value) is None
            ]
    return list(dict.fromkeys(found))


ALL = _classes()
INHERITING = [cls for cls in ALL if "__init__" not in vars(cls)]
CLASSES = [cls for cls in ALL if _frames.hands_on(cls)] + INHERITING
SEARCHING = [transformers.CamembertTokenizer]
"""Classes that search their tokens for the unknown one, which has to be among the first."""
REORDERING = [transformers.MBart50Tokenizer]
"""Classes that give their tokens an order of their own, unless they have it."""
FOLDERS = {
    "WordPiece": ("bert",),
    "BPE": ("gpt2", "llama"),
    "Unigram": ("t5", "xlm_roberta", "unigram", "charsmap", "mbart50"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = checkpoints.make(tmp_path_factory.mktemp("checkpoints"))
    made["charsmap"] = made["t5"].with_name("charsmap")
    shutil.copytree(made["t5"], made["charsmap"])
    path = made["charsmap"] / "tokenizer.json"
    content = json.loads(path.read_text("utf-8"))
    content["normalizer"] = {
        "type": "Sequence",
        "normalizers": [{"type": "Precompiled", "precompiled_charsmap": charsmap()}],
    }
    path.write_text(json.dumps(content), "utf-8")
    made["mbart50"] = made["xlm_roberta"].with_name("mbart50")
    shutil.copytree(made["xlm_roberta"], made["mbart50"])
    path = made["mbart50"] / "tokenizer.json"
    content = json.loads(path.read_text("utf-8"))
    content["model"]["vocab"][-1:] = [[code, 0.0] for code in (*FAIRSEQ_LANGUAGE_CODES, "<mask>")]
    content["added_tokens"][-1]["id"] = len(content["model"]["vocab"]) - 1
    path.write_text(json.dumps(content), "utf-8")
    return made


def loaded(load: Any) -> Any:
    """What loading gives, or the class of its error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return load()
        except Exception as error:
            return type(error)


def backend_of(tokenizer: Any) -> Any:
    slot = tokenizer.__dict__["_tokenizer"]
    return json.loads(slot.to_str())


def attributes(tokenizer: Any) -> dict[str, Any]:
    slot = tokenizer.__dict__["_tokenizer"]
    if type(slot) is Backend:
        slot.give(tokenizer.__dict__)
    found = {name: value for name, value in vars(tokenizer).items() if name != "_tokenizer"}
    if "_merges" in found:
        found["_merges"] = [tuple(merge) for merge in found["_merges"]]
    return found


def test_most_classes_hand_their_vocabulary_on() -> None:
    names = {cls.__name__ for cls in CLASSES}
    assert {cls.__name__ for cls in ALL} - names == {"EsmcTokenizer", "UdopTokenizer"}
    assert {
        "BertTokenizer", "GPT2Tokenizer", "Qwen2Tokenizer", "LlamaTokenizer", "GemmaTokenizer",
        "RobertaTokenizer", "WhisperTokenizer", "CohereTokenizer", "GPTNeoXTokenizer",
        "T5Tokenizer", "XLMRobertaTokenizer", "AlbertTokenizer", "PegasusTokenizer",
        "BigBirdTokenizer", "CLIPTokenizer", "Siglip2Tokenizer", "CamembertTokenizer",
        "BarthezTokenizer", "MBart50Tokenizer", "FNetTokenizer", "DistilBertTokenizer",
    } <= names  # fmt: skip


def test_the_list_of_classes_is_what_their_sources_show() -> None:
    own = [cls for cls in ALL if "__init__" in vars(cls) and cls.__mro__[1] is TokenizersBackend]
    shown = {cls for cls in own if _frames.shows_handing_on(cls)}
    assert {f"{cls.__module__}.{cls.__qualname__}" for cls in shown} == _frames.KNOWN


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize(
    "options", [{}, {"add_prefix_space": True, "unk_token": "a", "bos_token": "new"}], ids=str
)
def test_loads_what_stock_loads(
    cls: Any, options: dict[str, Any], folders: dict[str, Path]
) -> None:
    for name in FOLDERS[_frames.model_of(cls)]:
        folder = folders[name]

        def load(folder: Path = folder) -> Any:
            return cls.from_pretrained(folder, **options)

        stock = loaded(load)
        with pt.installed():
            ours = loaded(load)
            if isinstance(stock, type):
                assert ours is stock
                continue
            slot = ours.__dict__["_tokenizer"]
            assert type(slot) is Backend
            may_be_built = (cls in SEARCHING and options) or (
                cls in REORDERING and name != "mbart50"
            )
            if may_be_built and slot._built is not None:
                assert "more with this file" in (_report.engine_of(ours).built or "")
                continue
            assert slot._real is None, "the stock backend was built"
            assert slot._built is None
            if cls not in INHERITING:
                assert not set(_frames.ATTRIBUTES) & vars(ours).keys()
            ids = [list(range(40)), [3, 3, 7]]
            mine = [ours.decode(ids[0]), ours.batch_decode(ids), ours.decode(ids[1], True)]
            assert mine == [
                stock.decode(ids[0]),
                stock.batch_decode(ids),
                stock.decode(ids[1], True),
            ]
            assert _report.engine_of(ours).native, _report.engine_of(ours).reason
            assert not _report.engine_of(ours).fallbacks
            assert backend_of(ours) == backend_of(stock)
            assert attributes(ours) == attributes(stock)
            mine = [loaded(lambda text=text, ours=ours: dict(ours(text))) for text in TEXTS]
        assert mine == [loaded(lambda text=text, stock=stock: dict(stock(text))) for text in TEXTS]
        # Without us it is a tokenizer of transformers like any other.
        assert type(ours._tokenizer) is Tokenizer
        assert ours._tokenizer.to_str() == stock._tokenizer.to_str()
        assert ours._tokenizer.decode(ids[0]) == stock._tokenizer.decode(ids[0])


def test_says_why_the_stock_backend_was_built(folders: dict[str, Path]) -> None:
    """ESMC brings a vocabulary of its own, UDOP keeps the file's as an argument."""
    for cls, name in ((transformers.EsmcTokenizer, "gpt2"), (transformers.UdopTokenizer, "t5")):
        stock = loaded(lambda cls=cls, name=name: cls.from_pretrained(folders[name]))
        with pt.installed():
            ours = loaded(lambda cls=cls, name=name: cls.from_pretrained(folders[name]))
            if isinstance(stock, type):
                assert ours is stock
                continue
            report = _report.engine_of(ours)
            assert report.native, report.reason
            assert report.built == f"{cls.__name__} does more with a vocabulary than to hand it on"
            assert ours.tokenize("water") == stock.tokenize("water")
            assert ours.decode([3, 4, 5]) == stock.decode([3, 4, 5])


def test_scores_are_those_of_stock_to_the_last_bit(folders: dict[str, Path]) -> None:
    """The reference reads numbers of a file to the last bit but one, Python to the last."""
    for name, load in (
        ("unigram", transformers.PreTrainedTokenizerFast.from_pretrained),
        ("t5", transformers.T5Tokenizer.from_pretrained),
    ):
        stock = load(folders[name])
        with pt.installed():
            ours = load(folders[name])
            again = pickle.loads(pickle.dumps(ours))
            for tokenizer in (ours, again):
                assert tokenizer.__dict__["_tokenizer"]._real is None
                mine = json.loads(tokenizer._tokenizer.to_str())["model"]["vocab"]
                assert mine == json.loads(stock._tokenizer.to_str())["model"]["vocab"]


def test_clip_decodes_as_stock_when_copied(folders: dict[str, Path]) -> None:
    """A copy of CLIP's tokenizer lacks the function that the class puts on its backend."""
    ids = list(range(60))
    stock = transformers.CLIPTokenizer.from_pretrained(folders["gpt2"])
    with pt.installed():
        ours = transformers.CLIPTokenizer.from_pretrained(folders["gpt2"])
        for copied in (copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))):
            assert copied(ours).decode(ids) == copied(stock).decode(ids)
        ours._tokenizer.decode = lambda *_, **__: "mine"
        assert ours.decode(ids) == "mine"
        assert not _report.engine_of(ours).native
    late = pt.wrap(stock)
    assert _report.engine_of(late).native
    assert late.decode(ids) == transformers.CLIPTokenizer.from_pretrained(folders["gpt2"]).decode(
        ids
    )


def test_keeps_its_vocabulary_when_copied_and_edited(folders: dict[str, Path]) -> None:
    stock = transformers.AutoTokenizer.from_pretrained(folders["gpt2"])
    ours = pt.AutoTokenizer.from_pretrained(folders["gpt2"])
    again = pickle.loads(pickle.dumps(ours))
    for tokenizer in (ours, again):
        assert tokenizer._vocab == stock._vocab
        assert [tuple(merge) for merge in tokenizer._merges] == stock._merges
        assert not hasattr(tokenizer, "_nothing")
    replaced = pt.AutoTokenizer.from_pretrained(folders["gpt2"])
    replaced._tokenizer = Tokenizer(BPE())
    assert replaced._vocab == stock._vocab
    assert len(replaced) == 0


class Reads(TokenizersBackend):  # type: ignore[misc]
    """Counts its vocabulary."""

    model = BPE

    def __init__(self, vocab: Any = None, merges: Any = None, **options: Any) -> None:
        self.size = len(vocab)
        self._tokenizer = Tokenizer(BPE(vocab=vocab, merges=merges))
        super().__init__(**options)


class Sorts(TokenizersBackend):  # type: ignore[misc]
    """Has merges of its own order."""

    model = BPE

    def __init__(self, vocab: Any = None, merges: Any = None, **options: Any) -> None:
        self._tokenizer = Tokenizer(BPE(vocab=vocab, merges=sorted(merges)))
        super().__init__(**options)


class Rebuilds(TokenizersBackend):  # type: ignore[misc]
    """Hands on, and changes its mind."""

    model = BPE

    def __init__(self, vocab: Any = None, merges: Any = None, **options: Any) -> None:
        self._vocab = vocab
        self._merges = merges or []
        self._tokenizer = Tokenizer(BPE(vocab=self._vocab, merges=self._merges))
        super().__init__(**options)
        self._tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        self.copy = self._tokenizer.model.tokenize("ab")


class Keeps(TokenizersBackend):  # type: ignore[misc]
    """Hands on, and sets a component after all else."""

    model = BPE

    def __init__(self, vocab: Any = None, merges: Any = None, **options: Any) -> None:
        self._vocab = vocab if vocab is not None else {}
        self._merges = merges or []
        self._tokenizer = Tokenizer(BPE(vocab=self._vocab, merges=self._merges))
        super().__init__(**options)
        self._tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()


@pytest.mark.parametrize(("cls", "framed"), [(Reads, 0), (Sorts, 0), (Rebuilds, 0), (Keeps, 1)])
def test_what_is_not_handed_on_is_stocks(cls: Any, framed: int, folders: dict[str, Path]) -> None:
    stock = cls.from_pretrained(folders["gpt2"])
    with pt.installed():
        ours = cls.from_pretrained(folders["gpt2"])
        assert (ours.__dict__["_tokenizer"]._real is None) == bool(framed)
        assert backend_of(ours) == backend_of(stock)
        assert dict(ours(TEXTS[0])) == dict(stock(TEXTS[0]))
    assert [hasattr(ours, name) for name in ("size", "copy")] == [
        hasattr(stock, name) for name in ("size", "copy")
    ]
