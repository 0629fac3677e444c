"""The public names of `tokenizers`, one by one: their arguments, what they show and keep."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import penstock
import penstock.implementations
import pytest
import tokenizers
import tokenizers.implementations

PARTS = ("models", "normalizers", "pre_tokenizers", "processors", "decoders", "trainers")

ABSENT = {
    "": {"NormalizedString", "PreTokenizedString", "OffsetReferential", "SplitDelimiterBehavior"},
    "trainers": {"ParityBpeTrainer"},
}
"""What penstock lacks: the objects that components written in Python work on, and a trainer that
the reference's wheels have for experiments."""

ALIASES = {"OffsetType", "Enum", "List", "Tuple", "Union"}
"""What the module of the reference imports, and a type of the objects above."""

ABSENT_MEMBERS = {"custom", "normalize", "pre_tokenize", "get_word_count"}
"""Members that take or give such objects, and the words that a trainer here does not keep."""

INSTANCES = [
    *("normalizers.BertNormalizer()", "normalizers.BertNormalizer(False, False, True, False)"),
    *("normalizers.NFC()", "normalizers.NFD()", "normalizers.NFKC()", "normalizers.NFKD()"),
    *("normalizers.Lowercase()", "normalizers.Nmt()", "normalizers.ByteLevel()"),
    *("normalizers.StripAccents()", "normalizers.Strip()", "normalizers.Strip(left=False)"),
    *("normalizers.Prepend('_')", "normalizers.Prepend()", "normalizers.Replace('a', 'b')"),
    *("normalizers.Replace(Regex('a+'), 'b')", "normalizers.Sequence([])"),
    "normalizers.Sequence([normalizers.NFC(), normalizers.Sequence([normalizers.NFD()])])",
    "normalizers.unicode_normalizer_from_str('nfkc')",
    *("pre_tokenizers.ByteLevel()", "pre_tokenizers.ByteLevel(False, False, True)"),
    "pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)",
    *("pre_tokenizers.Whitespace()", "pre_tokenizers.WhitespaceSplit()"),
    *("pre_tokenizers.BertPreTokenizer()", "pre_tokenizers.UnicodeScripts()"),
    *("pre_tokenizers.CharDelimiterSplit('x')", "pre_tokenizers.Split(' ', 'removed')"),
    "pre_tokenizers.Split(Regex('a'), 'merged_with_next', invert=True)",
    *("pre_tokenizers.Split('a', 'contiguous')", "pre_tokenizers.Punctuation()"),
    "pre_tokenizers.Punctuation('merged_with_previous')",
    *("pre_tokenizers.Digits()", "pre_tokenizers.Digits(True)", "pre_tokenizers.Metaspace()"),
    "pre_tokenizers.Metaspace('x', 'first', False)",
    *("pre_tokenizers.FixedLength()", "pre_tokenizers.FixedLength(length=7)"),
    "pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits()])",
    "pre_tokenizers.Sequence([pre_tokenizers.Sequence([pre_tokenizers.Digits()])])",
    *("decoders.ByteLevel()", "decoders.WordPiece()", "decoders.WordPiece('x', False)"),
    *("decoders.Metaspace()", "decoders.Metaspace('x', 'never', False)", "decoders.BPEDecoder()"),
    *("decoders.CTC()", "decoders.CTC('a', 'b', False)", "decoders.Fuse()"),
    *("decoders.ByteFallback()", "decoders.Strip('a', 1, 2)", "decoders.Replace('a', 'b')"),
    "decoders.Sequence([decoders.Fuse(), decoders.Sequence([decoders.ByteFallback()])])",
    *("processors.ByteLevel()", "processors.ByteLevel(trim_offsets=False)"),
    "processors.ByteLevel(None, None, False)",
    "processors.BertProcessing(('[SEP]', 1), ('[CLS]', 2))",
    "processors.BertProcessing(sep=('[SEP]', 1), cls_token=('[CLS]', 2))",
    "processors.RobertaProcessing(('</s>', 1), ('<s>', 2))",
    "processors.RobertaProcessing(('</s>', 1), cls_token=('<s>', 2), trim_offsets=False)",
    "processors.TemplateProcessing()",
    "processors.TemplateProcessing('[X] $A', None, [('[X]', 1)])",
    "processors.TemplateProcessing('[X] $A', '$B:1 $A [Y]:2', [('[Y]', 3), (1, '[X]')])",
    "processors.Sequence([processors.ByteLevel()])",
    *("models.BPE()", "models.BPE({}, [])", "models.WordPiece()", "models.WordLevel()"),
    "models.BPE({'b': 1, 'a': 0, 'ab': 2}, [('a', 'b')], unk_token='a', dropout=0.1)",
    "models.BPE({'a': 0}, [], cache_capacity=10, fuse_unk=True, ignore_merges=True)",
    "models.WordPiece({'a': 1, '[UNK]': 0}, max_input_chars_per_word=7)",
    "models.WordPiece(None, unk_token='x', continuing_subword_prefix='')",
    "models.WordLevel({'b': 1, 'a': 0}, unk_token='a')",
    *("models.WordLevel(None, None)", "models.Unigram()", "models.Unigram([('a', 0.0)], 0, True)"),
    "models.Unigram([('a', -1.5e-9), ('b', -12345678.25), ('c', 1e21)], 0)",
    "models.Unigram([(str(i), -float(i)) for i in range(103)], None, alpha=0.0)",
    "models.WordLevel({str(i): i for i in range(103)}, unk_token='7')",
    "models.WordLevel({'x' * 120: 0, '\\N{LATIN SMALL LETTER E WITH ACUTE}': 1})",
]

BAD = [
    *("pre_tokenizers.Split(' ', 'foo')", "pre_tokenizers.Punctuation('foo')"),
    *("pre_tokenizers.Metaspace('ab')", "pre_tokenizers.Metaspace('a', 'foo')"),
    *("pre_tokenizers.CharDelimiterSplit('')", "decoders.Metaspace('')", "decoders.Strip('ab')"),
    *("models.BPE({'a': 0})", "models.BPE(merges=[])", "Regex('(')", "Token()", "Tokenizer()"),
    *("processors.TemplateProcessing('[CLS] $A')", "processors.TemplateProcessing('$A', '$A')"),
    *("processors.BertProcessing('a', 'b')", "processors.RobertaProcessing(('a', 1))"),
    *("normalizers.unicode_normalizer_from_str('x')", "Tokenizer.from_str('x')", "AddedToken(5)"),
    *("trainers.BpeTrainer(special_tokens=[1])", "trainers.BpeTrainer(special_tokens='ab')"),
    *("Tokenizer(5)", "Tokenizer(normalizers.NFC())", "normalizers.Sequence([5])"),
    *("pre_tokenizers.Sequence([normalizers.NFC()])", "decoders.Sequence(['x'])"),
    *("processors.Sequence([None])", "normalizers.Sequence(normalizers.NFC())"),
    *("models.WordLevel.from_file('/no/such')", "models.WordLevel().save('/no/such/folder')"),
]


def made(package: Any, expression: str) -> Any:
    """The value of an expression over the names of a package."""
    names = {name: getattr(package, name) for name in dir(package)}
    names |= {part: importlib.import_module(f"{package.__name__}.{part}") for part in PARTS}
    return eval(expression, names)


def public(module: Any) -> list[str]:
    return [
        name
        for name in dir(module)
        if not name.startswith("_") and not inspect.ismodule(getattr(module, name))
    ]


@pytest.mark.parametrize("part", ["", "implementations", *PARTS])
def test_names(part: str) -> None:
    """Every class and function is here, with every member, and takes the same arguments by name."""
    path = f".{part}" if part else ""
    theirs = importlib.import_module(f"tokenizers{path}")
    ours = importlib.import_module(f"penstock{path}")
    absent = {name for name in public(theirs) if not hasattr(ours, name)} - ALIASES
    assert absent == ABSENT.get(part, set()) & set(public(theirs))
    for name in set(public(theirs)) & set(public(ours)):
        kind = getattr(theirs, name)
        if not inspect.isclass(kind) or name in ALIASES or kind is str:
            continue
        fields = getattr(getattr(ours, name), "__dataclass_fields__", {})
        members = {member for member in dir(kind) if not member.startswith("_")}
        missing = {
            member
            for member in members
            if not hasattr(getattr(ours, name), member) and member not in fields
        }
        assert missing <= ABSENT_MEMBERS, (name, missing)


@pytest.mark.parametrize("part", PARTS)
def test_arguments(part: str) -> None:
    """Whatever may be passed by name there, may be passed here, and in the same order."""
    theirs = importlib.import_module(f"tokenizers.{part}")
    ours = importlib.import_module(f"penstock.{part}")
    for name in set(public(theirs)) & set(public(ours)):
        kind = getattr(theirs, name)
        if not inspect.isclass(kind) or kind.__module__.startswith("typing"):
            continue
        try:
            expected = [p for p in inspect.signature(kind).parameters if p != "self"]
        except (TypeError, ValueError):
            continue
        found = inspect.signature(getattr(ours, name)).parameters
        assert set(expected) <= set(found), (name, expected, list(found))
        by_place = [p for p in found if found[p].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
        order = [p for p in expected if p in by_place]
        assert by_place[: len(order)] == order, (name, expected, by_place)


@pytest.mark.parametrize("expression", INSTANCES)
def test_shown_and_kept(expression: str) -> None:
    """`repr`, `str` and the state that pickles hold."""
    theirs, ours = made(tokenizers, expression), made(penstock, expression)
    assert repr(ours) == repr(theirs)
    assert str(ours) == str(theirs)
    assert json.loads(ours.__getstate__()) == json.loads(theirs.__getstate__())
    assert pickle.loads(pickle.dumps(ours)) == ours
    assert copy.deepcopy(ours) == ours


@pytest.mark.parametrize("expression", BAD)
def test_refused(expression: str) -> None:
    with pytest.raises(BaseException) as theirs:  # noqa: PT011
        made(tokenizers, expression)
    with pytest.raises((penstock.errors.PenstockError, ValueError, TypeError, OSError)) as ours:
        made(penstock, expression)
    if theirs.type is not Exception:
        assert issubclass(ours.type, theirs.type) or theirs.type.__name__ == "PanicException"


def both(build: Any) -> tuple[Any, Any]:
    """The same with either package."""
    found = []
    for package in (tokenizers, penstock):
        parts = {part: importlib.import_module(f"{package.__name__}.{part}") for part in PARTS}
        parts["implementations"] = importlib.import_module(f"{package.__name__}.implementations")
        names = {name: getattr(package, name) for name in ("Tokenizer", "AddedToken", "Regex")}
        found.append(build(SimpleNamespace(**parts, **names)))
    return found[0], found[1]


def test_tokenizer_shown() -> None:
    def build(package: Any) -> list[str]:
        model = package.models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")])
        tokenizer = package.Tokenizer(model)
        shown = [repr(tokenizer), str(tokenizer)]
        tokenizer.enable_truncation(5)
        tokenizer.enable_padding()
        tokenizer.add_tokens(["x", package.AddedToken("y", lstrip=True)])
        tokenizer.add_special_tokens(["[Z]"])
        shown += [repr(tokenizer), str(tokenizer)]
        tokenizer.enable_truncation(5, stride=1, strategy="only_first", direction="left")
        tokenizer.enable_padding(length=6, pad_to_multiple_of=2, direction="left")
        tokenizer.normalizer = package.normalizers.NFC()
        return [*shown, repr(tokenizer), str(tokenizer)]

    theirs, ours = both(build)
    assert ours == theirs


MODELS = {
    "BPE": "BPE({'a': 0, 'b': 1, 'ab': 2, '?': 3}, [('a', 'b')], unk_token='?')",
    "fused": "BPE({'a': 0, 'b': 1, 'ab': 2, '?': 3}, [('a', 'b')], unk_token='?', fuse_unk=True)",
    "dropped": "BPE({'a': 0, 'b': 1, 'ab': 2}, [('a', 'b')])",
    "bytes": "BPE({'a': 0, '<0xC3>': 1, '<0xA9>': 2}, [], byte_fallback=True)",
    "marked": "BPE({'a': 0, '##b': 1, '##bw': 2, 'ab': 3}, [('a', '##b')], "
    "continuing_subword_prefix='##', end_of_word_suffix='w')",
    "WordPiece": "WordPiece({'a': 0, '##b': 1, '##\\u00e9': 2, '[UNK]': 3})",
    "WordLevel": "WordLevel({'ab': 0, 'a': 1}, unk_token='a')",
    "Unigram": "Unigram([('?', 0.0), ('a', -1.0), ('b', -2.0), ('ab', -2.5)], 0)",
    "Unigram, bytes": "Unigram([('?', 0.0), ('a', -1.0), ('<0xC3>', -2.0), ('<0xA9>', -2.0)], 0, "
    "True)",
}


@pytest.mark.parametrize("name", MODELS)
def test_model_alone(name: str, tmp_path: Path) -> None:
    theirs, ours = both(
        lambda package: eval(f"package.models.{MODELS[name]}", {"package": package})
    )
    for text in ("a", "ab", "abab", "b", "é", "aébx", "xx", "ab é", "aaaaaaaaab"):
        expected = [token.as_tuple() for token in theirs.tokenize(text)]
        assert [token.as_tuple() for token in ours.tokenize(text)] == expected, text
    for token in ("a", "ab", "nothing", ""):
        assert ours.token_to_id(token) == theirs.token_to_id(token)
    for number in (0, 1, 2, 99):
        assert ours.id_to_token(number) == theirs.id_to_token(number)
    for prefix in (None, "x"):
        saved = []
        for kind, model in (("theirs", theirs), ("ours", ours)):
            folder = tmp_path / kind
            folder.mkdir(exist_ok=True)
            saved.append([Path(path) for path in model.save(str(folder), prefix)])
        assert [path.name for path in saved[1]] == [path.name for path in saved[0]]
        for their, our in zip(*saved, strict=True):
            assert our.read_text().rstrip("\n") == their.read_text().rstrip("\n")
    assert type(ours.get_trainer()).model == type(ours).type_name


def test_unknown_text_without_a_token() -> None:
    with pytest.raises(penstock.errors.TextError, match="UNK"):
        penstock.models.WordPiece({"a": 0}).tokenize("b")
    with pytest.raises(penstock.errors.UnsupportedComponentError, match="alpha"):
        penstock.models.Unigram([("a", 0.0)], 0, alpha=0.1)


TRAINERS = [
    "BpeTrainer()",
    "BpeTrainer(vocab_size=7, min_frequency=2, special_tokens=['a', 'b'], limit_alphabet=3)",
    "BpeTrainer(initial_alphabet=['ab'], continuing_subword_prefix='p', end_of_word_suffix='s')",
    *(f"BpeTrainer(progress_format={form!r})" for form in ("indicatif", "json", "silent")),
    "BpeTrainer(max_token_length=4, show_progress=False)",
    *("WordLevelTrainer(min_frequency=3)", "UnigramTrainer(unk_token='u', shrinking_factor=0.5)"),
    "UnigramTrainer(special_tokens=['u'], initial_alphabet=['x'], n_sub_iterations=3)",
]


@pytest.mark.parametrize("expression", TRAINERS)
def test_trainer_kept(expression: str) -> None:
    theirs, ours = both(
        lambda package: eval(f"package.trainers.{expression}", {"package": package})
    )
    kept = json.loads(ours.__getstate__())
    assert kept == json.loads(theirs.__getstate__())
    assert pickle.loads(pickle.dumps(ours)) == ours
    ours.vocab_size = 17
    ours.special_tokens = ["z", penstock.AddedToken("y", lstrip=True)]
    assert [token.special for token in ours.special_tokens] == [True, True]
    assert [token.normalized for token in ours.special_tokens] == [False, False]
    assert copy.deepcopy(ours).vocab_size == 17
    with pytest.raises(AttributeError, match="vocabsize"):
        ours.vocabsize = 3


def test_progress_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    tokenizer = penstock.Tokenizer(penstock.models.BPE())
    trainer = penstock.trainers.BpeTrainer(vocab_size=20, progress_format="json")
    tokenizer.train_from_iterator(["ab ab"], trainer)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert lines
    assert all(line.keys() == {"stage", "current", "total"} for line in lines)


def test_added_token_changes() -> None:
    def build(package: Any) -> list[Any]:
        token = package.AddedToken("x")
        found = [token.special, token.normalized, hash(token) == hash(package.AddedToken("x"))]
        token.special = True
        token.content = "y"
        found += [repr(token), str(token), token.normalized, hash(token) == hash("y")]
        fixed = package.AddedToken("z", normalized=True)
        tokenizer = package.Tokenizer(package.models.BPE())
        found.append(tokenizer.add_special_tokens([token, fixed, package.AddedToken()]))
        return [*found, fixed.special, fixed.normalized, repr(tokenizer)]

    theirs, ours = both(build)
    assert ours == theirs


KINDS = {
    "ByteLevelBPETokenizer": [{}, {"lowercase": True, "unicode_normalizer": "nfkc"}],
    "CharBPETokenizer": [{}, {"split_on_whitespace_only": True, "lowercase": True}],
    "SentencePieceBPETokenizer": [{}, {"add_prefix_space": False, "replacement": "_"}],
}


@pytest.mark.parametrize(
    ("kind", "options"), [(kind, options) for kind in KINDS for options in KINDS[kind]]
)
def test_bundles(kind: str, options: dict[str, Any], tmp_path: Path) -> None:
    """Trained, shown, saved as files and read again: as in the reference at every step."""
    source = Path(__file__).parents[1] / "data" / "training.txt"
    texts = source.read_text(encoding="utf-8").splitlines()

    def build(package: Any) -> Any:
        tokenizer = getattr(package.implementations, kind)(**options)
        tokenizer.train_from_iterator(texts, vocab_size=400, show_progress=False)
        return tokenizer

    def same(theirs: Any, ours: Any) -> None:
        assert repr(ours) == repr(theirs)
        assert json.loads(ours.to_str()) == json.loads(theirs.to_str())
        for text in (*texts[:20], "Ünïcode  héllo, 你好! ½"):
            expected, found = theirs.encode(text), ours.encode(text)
            assert (found.ids, found.offsets) == (expected.ids, expected.offsets)
            assert ours.decode(found.ids) == theirs.decode(expected.ids)
            assert theirs.normalizer is None or ours.normalize(text) == theirs.normalize(text)

    theirs, ours = both(build)
    # The reference numbers the symbols with a suffix in the order of a randomly seeded map.
    if kind != "CharBPETokenizer":
        same(theirs, ours)
    paths = theirs.save_model(str(tmp_path))
    same(*both(lambda package: getattr(package.implementations, kind).from_file(*paths, **options)))
    for tokenizer in (theirs, ours):
        tokenizer.train(str(source), vocab_size=300, show_progress=False)
    if kind != "CharBPETokenizer":
        # Not their encodings: the reference's model still has the words of before in its cache.
        assert json.loads(ours.to_str()) == json.loads(theirs.to_str())
    for twin in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):
        assert (type(twin), repr(twin), twin.to_str()) == (type(ours), repr(ours), ours.to_str())


def test_bert_bundle(tmp_path: Path) -> None:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "##s", "river", "a", "#"]
    file = tmp_path / "vocab.txt"
    file.write_text("\n".join(tokens))
    theirs, ours = both(
        lambda package: package.implementations.BertWordPieceTokenizer.from_file(str(file))
    )
    assert repr(ours) == repr(theirs)
    assert json.loads(ours.to_str()) == json.loads(theirs.to_str())
    expected, found = theirs.encode("The rivers", "a [MASK]"), ours.encode("The rivers", "a [MASK]")
    assert (found.ids, found.tokens, found.offsets, found.type_ids) == (
        *(expected.ids, expected.tokens, expected.offsets, expected.type_ids),
    )
    with pytest.raises(TypeError, match="sep_token not found"):
        penstock.BertWordPieceTokenizer({"[CLS]": 0})
    trained = penstock.BertWordPieceTokenizer()
    trained.train_from_iterator(["a river runs"] * 2, vocab_size=99, show_progress=False)
    assert trained.encode("river").tokens == ["river"]


def test_unigram_bundle() -> None:
    vocab = [("<unk>", 0.0), ("▁a", -1.0), ("▁river", -2.0), ("s", -3.0)]
    theirs, ours = both(
        lambda package: package.implementations.SentencePieceUnigramTokenizer(vocab)
    )
    assert repr(ours) == repr(theirs)
    assert json.loads(ours.to_str()) == json.loads(theirs.to_str())
    trained = penstock.SentencePieceUnigramTokenizer()
    trained.train_from_iterator(
        ["a river runs"] * 3, vocab_size=30, special_tokens=["<unk>"], unk_token="<unk>"
    )
    assert trained.decode(trained.encode("a river").ids) == "a river"


def test_parts_of_another_stage(tokenizer: penstock.Tokenizer) -> None:
    before = tokenizer.to_str()
    for stage in ("model", "normalizer", "pre_tokenizer", "post_processor", "decoder"):
        for wrong in (5, "NFC", penstock.Regex("x"), tokenizers.normalizers.NFC()):
            with pytest.raises(TypeError, match=f"{stage} must be"):
                setattr(tokenizer, stage, wrong)
    with pytest.raises(TypeError, match="model must be"):
        tokenizer.model = None  # type: ignore[assignment]
    with pytest.raises(TypeError, match="decoder must be"):
        penstock.Tokenizer(penstock.models.BPE(), decoder=penstock.normalizers.NFC())  # type: ignore[arg-type]
    assert tokenizer.to_str() == before
