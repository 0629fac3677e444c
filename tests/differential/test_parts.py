"""Components as descriptions, tokenizers built from parts, and what is written, against
`tokenizers`."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING, Any

import penstock
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.compare import assert_same_batch, outcome

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Pair, SmallJson

SPECIALS = [("[CLS]", 1), ("[SEP]", 0)]

# The same constructor calls, read in either module.
PARTS: dict[str, list[str]] = {
    "normalizers": [
        "BertNormalizer()",
        "BertNormalizer(clean_text=False, strip_accents=True, lowercase=False)",
        *(f"{name}()" for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents")),
        *("Nmt()", "ByteLevel()", "Strip()", "Strip(left=False, right=True)", "Prepend('x')"),
        "Replace('a', 'b')",
        "Replace(Regex('[aeiou]+'), '')",
        "Sequence([NFD(), StripAccents()])",
    ],
    "pre_tokenizers": [
        *("ByteLevel()", "ByteLevel(add_prefix_space=False, use_regex=False)", "Whitespace()"),
        *("WhitespaceSplit()", "BertPreTokenizer()", "UnicodeScripts()", "CharDelimiterSplit('-')"),
        *("Digits()", "Digits(individual_digits=True)", "Punctuation()", "FixedLength()"),
        *("Punctuation('merged_with_next')", "FixedLength(length=2)", "Metaspace()"),
        "Metaspace(replacement='_', prepend_scheme='never', split=False)",
        "Split(' ', 'removed')",
        r"Split(Regex('\\s+'), behavior='merged_with_previous', invert=True)",
        "Sequence([Whitespace(), Digits(True)])",
    ],
    "decoders": [
        *("ByteLevel()", "WordPiece()", "WordPiece('@@', False)", "Metaspace()", "BPEDecoder()"),
        *("Metaspace('_', 'never')", "BPEDecoder('_')", "CTC()", "CTC('a', ' ', False)", "Fuse()"),
        *("ByteFallback()", "Strip()", "Strip(' ', 1, 0)", "Replace('a', 'b')"),
        *("Replace(Regex('a+'), 'b')", "Sequence([ByteFallback(), Fuse()])"),
    ],
    "processors": [
        "BertProcessing(('[SEP]', 0), ('[CLS]', 1))",
        "RobertaProcessing(('</s>', 2), ('<s>', 3))",
        "RobertaProcessing(('</s>', 2), ('<s>', 3), trim_offsets=False, add_prefix_space=False)",
        "ByteLevel(trim_offsets=False)",
        "TemplateProcessing()",
        "TemplateProcessing(single='[CLS] $0 [SEP]', special_tokens=SPECIALS)",
        "TemplateProcessing(['[CLS]', '$A'], ['$B:3', '[SEP]:2', '$A:1'], SPECIALS)",
        "TemplateProcessing('x $1', 'x $A $b:1', [{'id': 'x', 'ids': [4], 'tokens': ['y']}])",
        "Sequence([ByteLevel(), BertProcessing(('[SEP]', 0), ('[CLS]', 1))])",
    ],
}
ATTRIBUTES = {
    "normalizers": "normalizer",
    "pre_tokenizers": "pre_tokenizer",
    "decoders": "decoder",
    "processors": "post_processor",
}
CASES = [(module, call) for module, calls in PARTS.items() for call in calls]


def build(package: Any, module: str, call: str) -> Any:
    """The component of one of the packages."""
    names = {**vars(getattr(package, module)), "Regex": package.Regex, "SPECIALS": SPECIALS}
    return eval(call, names)


@pytest.mark.parametrize(("module", "call"), CASES)
def test_descriptions_write_what_the_reference_writes(gpt2: Pair, module: str, call: str) -> None:
    mine, theirs = build(penstock, module, call), build(tokenizers, module, call)
    state = json.loads(theirs.__getstate__())
    assert mine.to_json() == state
    assert getattr(penstock, module).from_json(state) == mine
    assert hash(mine) == hash(copy.deepcopy(mine))
    assert pickle.loads(pickle.dumps(mine)) == mine
    assert (repr(mine), str(mine)) == (repr(theirs), str(theirs))
    # On a tokenizer: read, replaced, written and taken out.
    ours = copy.copy(gpt2.ours)
    reference = tokenizers.Tokenizer.from_str(gpt2.reference.to_str())
    stage = ATTRIBUTES[module]
    setattr(ours, stage, mine)
    setattr(reference, stage, theirs)
    assert getattr(ours, stage) == mine
    assert ours.to_str() == reference.to_str()
    assert ours.to_str(pretty=True) == reference.to_str(pretty=True)
    setattr(ours, stage, None)
    assert getattr(ours, stage) is None
    assert getattr(gpt2.ours, stage) != mine or ours is not gpt2.ours


@pytest.mark.parametrize(("module", "call"), CASES)
def test_components_work_by_themselves(gpt2: Pair, module: str, call: str) -> None:
    mine, theirs = build(penstock, module, call), build(tokenizers, module, call)

    @given(text=strategies.text, pair=strategies.text, special=st.booleans())
    def check(text: str, pair: str, special: bool) -> None:
        if module == "normalizers":
            want = outcome(lambda: theirs.normalize_str(text))
            assert outcome(lambda: mine.normalize_str(text)) == want
        elif module == "pre_tokenizers":
            assert mine.pre_tokenize_str(text) == theirs.pre_tokenize_str(text)
        elif module == "decoders":
            tokens = text.split(" ")
            assert mine.decode(tokens) == theirs.decode(tokens)
        else:
            for is_pair in (False, True):
                assert mine.num_special_tokens_to_add(is_pair) == theirs.num_special_tokens_to_add(
                    is_pair
                )
            for second in (None, pair):
                texts = [part for part in (text, second) if part is not None]
                got = mine.process(*map(gpt2.ours.encode, texts), add_special_tokens=special)
                encoded = map(gpt2.reference.encode, texts)
                want = theirs.process(*encoded, add_special_tokens=special)
                assert (got.ids, got.type_ids, got.tokens) == (want.ids, want.type_ids, want.tokens)
                assert got.offsets == want.offsets

    check()


def test_a_tokenizer_of_parts(tmp_path: Path) -> None:
    """The same constructor calls build the same tokenizers, which write the same file."""
    vocab = {"[SEP]": 0, "[CLS]": 1, "[UNK]": 2, "a": 3, "##b": 4, "b": 5, "ab": 6, "##a": 7}
    made = []
    for package in (penstock, tokenizers):
        models, processors = package.models, package.processors
        tokenizer: Any = package.Tokenizer(models.WordPiece(vocab=vocab, unk_token="[UNK]"))
        tokenizer.normalizer = package.normalizers.Lowercase()
        tokenizer.pre_tokenizer = package.pre_tokenizers.Whitespace()
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 0), ("[CLS]", 1))
        tokenizer.decoder = package.decoders.WordPiece()
        tokenizer.add_special_tokens(["[CLS]", "[SEP]", "<new>"])
        tokenizer.add_tokens([package.AddedToken("Mask", lstrip=True)])
        tokenizer.enable_padding(pad_id=3, pad_token="a")
        tokenizer.enable_truncation(20, stride=2, strategy="only_first", direction="left")
        made.append(tokenizer)
    ours, reference = made
    assert ours.to_str() == reference.to_str()
    for pretty in (True, False):
        ours.save(tmp_path / "ours.json", pretty)
        reference.save(str(tmp_path / "theirs.json"), pretty)
        assert (tmp_path / "ours.json").read_bytes() == (tmp_path / "theirs.json").read_bytes()
    assert [path.name for path in tmp_path.iterdir()].sort() == ["ours.json", "theirs.json"].sort()
    assert_same_batch(ours, reference, ["AbAb a <new> mAsk", ("ab", "b"), "x"])


def test_other_models_are_built(tmp_path: Path) -> None:
    for call in (
        "WordLevel({'a': 0, 'x': 1}, unk_token='x')",
        "Unigram([('x', -1.5), ('a', -0.25), ('aa', -0.3)], 0, False)",
        "BPE({'a': 0, 'b': 1, 'ab': 2, 'x': 3}, [('a', 'b')], unk_token='x', fuse_unk=True)",
        "BPE(vocab={'a': 0}, merges=[], dropout=0.25, byte_fallback=True, ignore_merges=True)",
        "BPE({'a': 0, 'b</w>': 1}, [], end_of_word_suffix='</w>', continuing_subword_prefix='#')",
    ):
        ours = penstock.Tokenizer(build(penstock, "models", call))
        reference = tokenizers.Tokenizer(build(tokenizers, "models", call))
        assert ours.to_str() == reference.to_str()
        assert ours.model == build(penstock, "models", call)
        changed = penstock.Tokenizer(penstock.models.WordLevel({"a": 0}))
        changed.add_tokens(["+"])
        changed.model = ours.model
        assert changed.token_to_id("+") == 1
    (tmp_path / "vocab.json").write_text('{"a": 0, "b": 1, "ab": 2}')
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
    bpe = penstock.models.BPE.from_file(tmp_path / "vocab.json", tmp_path / "merges.txt")
    assert penstock.Tokenizer(bpe).encode("ab").ids == [2]
    (tmp_path / "vocab.txt").write_text("[UNK]\na\n##b\n")
    wordpiece = penstock.models.WordPiece.from_file(tmp_path / "vocab.txt")
    assert penstock.Tokenizer(wordpiece).encode("ab").tokens == ["a", "##b"]
    wordlevel = penstock.models.WordLevel.from_file(tmp_path / "vocab.json")
    assert penstock.Tokenizer(wordlevel).encode("ab").ids == [2]
    (tmp_path / "merges.txt").write_text("a b c\n")
    with pytest.raises(ValueError, match="line 1"):
        penstock.models.BPE.from_file(tmp_path / "vocab.json", tmp_path / "merges.txt")


def test_written_files_read_back(small: Pair) -> None:
    written = small.ours.to_str()
    assert written == tokenizers.Tokenizer.from_str(json.dumps(json.loads(written))).to_str()
    again = penstock.Tokenizer.from_str(written)
    text = "water runs downhill, <|endoftext|> 1234 é漢字"
    for other in (again, copy.copy(small.ours), pickle.loads(pickle.dumps(small.ours))):
        assert other.encode(text) == other.encode(text)
        assert other.encode(text).ids == small.ours.encode(text).ids
        assert other.to_str() == written


@pytest.mark.parity
def test_real_files_are_written_byte_for_byte(real: Pair) -> None:
    for pretty in (False, True):
        assert real.ours.to_str(pretty) == real.reference.to_str(pretty)


def test_pickles_keep_what_files_cannot(tokenizer: penstock.Tokenizer) -> None:
    tokenizer.encode_special_tokens = True
    tokenizer.enable_padding(length=9)
    for copied in (pickle.loads(pickle.dumps(tokenizer)), copy.deepcopy(tokenizer)):
        assert copied.encode_special_tokens
        assert copied.padding == tokenizer.padding
        copied.add_tokens(["<only here>"])
    assert tokenizer.token_to_id("<only here>") is None


def test_ids_behind_a_gap_survive(tmp_path: Path) -> None:
    """Special tokens of a tiktoken file keep their ids in a tokenizer.json, in both readers."""
    import base64

    ranks = [bytes([byte]) for byte in range(256)] + [b"ab"]
    lines = (base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(ranks))
    (tmp_path / "x.tiktoken").write_bytes(b"".join(lines))
    special = {"<|a|>": 260, "<|b|>": 257, "<|c|>": 300}
    ours = penstock.Tokenizer.from_tiktoken(
        tmp_path / "x.tiktoken", pattern=r"\w+|\W", special_tokens=special
    )
    ours.save(tmp_path / "tokenizer.json")
    for other in (
        penstock.Tokenizer.from_file(tmp_path / "tokenizer.json"),
        tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json")),
        pickle.loads(pickle.dumps(ours)),
    ):
        assert {name: other.token_to_id(name) for name in special} == special
        text = "ab <|c|> <|a|><|b|>"
        assert other.encode(text).ids == ours.encode(text).ids
    gap = penstock.Tokenizer(penstock.models.WordLevel({"a": 0}))
    gap.add_tokens(["b"])
    gap.model = penstock.models.WordLevel({"a": 0, "c": 1, "d": 2})
    with pytest.raises(penstock.errors.PenstockError, match=r"has the id 1"):
        gap.to_str()


def test_nothing_half_written(tmp_path: Path, tokenizer: penstock.Tokenizer) -> None:
    target = tmp_path / "tokenizer.json"
    target.write_text("old")
    with pytest.raises(penstock.errors.FileError):
        tokenizer.save(tmp_path / "missing" / "tokenizer.json")
    target.unlink()
    target.mkdir()
    with pytest.raises(penstock.errors.FileError):
        tokenizer.save(target)
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]


def test_bad_descriptions(small_json: SmallJson) -> None:
    processors, errors = penstock.processors, penstock.errors
    for call in (
        lambda: processors.TemplateProcessing("[CLS] $A"),
        lambda: processors.TemplateProcessing("$A:x"),
        lambda: processors.TemplateProcessing("$A:1:2"),
        lambda: processors.TemplateProcessing("$C"),
        lambda: processors.TemplateProcessing("$A", "$A"),
        lambda: penstock.normalizers.from_json({"type": "Wobble"}),
        lambda: penstock.pre_tokenizers.FixedLength(0).pre_tokenize_str("a"),
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            call()
    with pytest.raises(errors.RegexError):
        penstock.pre_tokenizers.Split(penstock.Regex("("), "removed").pre_tokenize_str("a")
    ours = penstock.Tokenizer.from_str(json.dumps(small_json["gpt2"]))
    before = ours.to_str()
    with pytest.raises(errors.RegexError):
        ours.normalizer = penstock.normalizers.Replace(penstock.Regex("("), "")
    with pytest.raises(errors.LoadError):
        ours.model = penstock.models.BPE({"a": 0}, (("a", "b"),))
    assert ours.to_str() == before
