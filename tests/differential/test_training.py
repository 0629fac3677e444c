"""Training against `tokenizers`, token by token."""

from __future__ import annotations

import collections
import gzip
import json
import random
from typing import TYPE_CHECKING, Any

import penstock
import pyarrow
import pytest
import tokenizers
from penstock import _training
from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers

from tests import training
from tests.conftest import REQUIRE_PARITY, SEED, fixtures_root
from tests.families import CL100K, DATA
from tests.reference import bpe_trainer, unigram_trainer
from tests.reference.bpe_trainer import Options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CASES = 6000 if REQUIRE_PARITY else 500
ORACLE_CASES = 300 if REQUIRE_PARITY else 60

TEXT = (DATA / "training.txt").read_text(encoding="utf-8")
LINES = TEXT.splitlines(keepends=True)


def cases(
    count: int, salt: str, longest: int = 400
) -> list[tuple[random.Random, dict[str, int], Options]]:
    """Corpora and options."""
    found = []
    for i in range(count):
        rng = random.Random(f"{SEED} {salt} {i}")
        counts = {word[:longest]: count for word, count in training.random_counts(rng).items()}
        found.append((rng, counts, training.random_options(rng, counts)))
    return found


def test_random_corpora_and_options() -> None:
    for rng, counts, options in cases(CASES, "reference"):
        options = training.pinned(rng, counts, options)
        got, want = training.train_bpe(counts, options), training.reference_bpe(counts, options)
        if got != want:
            # Marks that are letters of the corpus too can leave the reference two ways, which it
            # takes at random.
            others = [training.reference_bpe(counts, options) for _ in range(60)]
            assert got in others, (counts, options)


def test_the_oracle_agrees_with_both() -> None:
    """Where the reference is random, the oracle gives its result from its own order."""
    for _, counts, options in cases(ORACLE_CASES, "oracle", longest=60):
        assert training.train_bpe(counts, options) == bpe_trainer.train(counts, options)
        want = training.reference_bpe(counts, options)
        options.marked = want[0]
        assert bpe_trainer.train(counts, options) == want, (counts, options)


def test_the_reference_is_random_where_we_are_not() -> None:
    """Symbols with a prefix: five runs of the reference, five vocabularies; of ours, one."""
    counts = {word: 1 for line in LINES[:200] for word in line.split()}
    options = Options(vocab_size=300, continuing_subword_prefix="##")
    assert len({json.dumps(training.reference_bpe(counts, options)) for _ in range(5)}) > 1
    assert len({json.dumps(training.train_bpe(counts, options)) for _ in range(5)}) == 1


def test_limit_alphabet_keeps_the_lowest_of_equals() -> None:
    counts = {"zyxab": 1, "z": 1}
    for limit in range(7):
        options = Options(limit_alphabet=limit, vocab_size=0)
        assert "".join(training.train_bpe(counts, options)[0]) == "".join(sorted("zabxy"[:limit]))


def byte_level(**options: bool) -> Any:
    return pre_tokenizers.ByteLevel(**{"add_prefix_space": False, **options})


def sequence(*parts: Any) -> Any:
    return pre_tokenizers.Sequence(list(parts))


PIPELINES: dict[str, tuple[Any, Any]] = {
    "byte_level": (None, byte_level()),
    "byte_level_prefix": (None, byte_level(add_prefix_space=True)),
    "byte_level_plain": (None, byte_level(use_regex=False)),
    "cl100k": (
        normalizers.NFC(),
        sequence(pre_tokenizers.Split(Regex(CL100K), "isolated"), byte_level(use_regex=False)),
    ),
    "digits": (
        normalizers.Lowercase(),
        sequence(pre_tokenizers.Digits(individual_digits=True), byte_level()),
    ),
    "byte_level_first": (None, sequence(byte_level(), pre_tokenizers.Digits())),
    "bert": (normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()),
    "metaspace": (normalizers.NFKC(), pre_tokenizers.Metaspace()),
    "metaspace_whole": (None, pre_tokenizers.Metaspace(split=False)),
    "whitespace": (None, pre_tokenizers.Whitespace()),
    "scripts": (
        normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]),
        sequence(pre_tokenizers.WhitespaceSplit(), pre_tokenizers.UnicodeScripts()),
    ),
    "none": (normalizers.Replace(Regex(" +"), "_"), None),
}

MODELS: dict[str, tuple[Any, Any, Any]] = {
    "bpe": (penstock.train_bpe, models.BPE, trainers.BpeTrainer),
    "wordpiece": (penstock.train_wordpiece, models.WordPiece, trainers.WordPieceTrainer),
    "wordlevel": (penstock.train_wordlevel, models.WordLevel, trainers.WordLevelTrainer),
    "unigram": (penstock.train_unigram, models.Unigram, trainers.UnigramTrainer),
}


def both(
    model: str, pipeline: str, texts: Any, unk_token: str | None = None, **options: Any
) -> tuple[penstock.Tokenizer, tokenizers.Tokenizer]:
    """A model trained by us and by the reference."""
    normalizer, pre_tokenizer = PIPELINES[pipeline]
    train, model_of_reference, trainer = MODELS[model]
    of_model = {} if unk_token is None else {"unk_token": unk_token}
    parts = {"normalizer": normalizer, "pre_tokenizer": pre_tokenizer}
    ours = train(texts, show_progress=False, **parts, **of_model, **options)
    if model == "unigram":
        options |= of_model
        of_model = {}
    reference = tokenizers.Tokenizer(model_of_reference(**of_model))
    # The reference's setters take no None.
    for name, part in parts.items():
        if part is not None:
            setattr(reference, name, part)
    reference.train_from_iterator(texts, trainer(show_progress=False, **options))
    return ours, reference


def both_bpe(
    pipeline: str, texts: Any, **options: Any
) -> tuple[penstock.Tokenizer, tokenizers.Tokenizer]:
    return both("bpe", pipeline, texts, **options)


def assert_same(ours: penstock.Tokenizer, reference: tokenizers.Tokenizer) -> None:
    """The same vocabulary, and the same ids of the text, which the merges decide."""
    assert ours.get_vocab() == reference.get_vocab()
    assert_same_ids(ours, reference)
    added = {at: token.content for at, token in ours.get_added_tokens_decoder().items()}
    assert added == {
        at: token.content for at, token in reference.get_added_tokens_decoder().items()
    }


def assert_same_ids(ours: penstock.Tokenizer, reference: tokenizers.Tokenizer) -> None:
    lines = [*LINES, "unseen: ẞ𝔘ñ</s> 漢字 <s>"]
    want = [encoding.ids for encoding in reference.encode_batch_fast(lines)]
    assert [encoding.ids for encoding in ours.encode_batch(lines)] == want


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_pipelines(pipeline: str) -> None:
    options = {
        "vocab_size": 900,
        "special_tokens": ["<s>", tokenizers.AddedToken("</s>", lstrip=True)],
        "initial_alphabet": pre_tokenizers.ByteLevel.alphabet(),
    }
    assert_same(*both_bpe(pipeline, LINES, unk_token="<s>", **options))
    # The alphabet of the reference is a list in no order, and order does not matter.
    options["initial_alphabet"] = penstock.byte_level_alphabet()
    assert_same(*both_bpe(pipeline, LINES, min_frequency=3, max_token_length=6, **options))


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("vocab_size", [3, 100, 5000])
def test_wordlevel(pipeline: str, vocab_size: int) -> None:
    # A special token that is a word as well takes two places.
    options: dict[str, Any] = {"special_tokens": ["<unk>", "the", "<unk>", "[X]"]}
    assert_same(*both("wordlevel", pipeline, LINES, vocab_size=vocab_size, **options))
    frequent = both("wordlevel", pipeline, LINES, min_frequency=4, special_tokens=["<unk>"])
    assert_same(*frequent)


def letters_of(pipeline: str) -> list[str]:
    """The characters of all words."""
    normalizer, pre_tokenizer = PIPELINES[pipeline]
    lines = [normalizer.normalize_str(line) for line in LINES] if normalizer else LINES
    words = (word for line in lines for word, _ in pre_tokenizer.pre_tokenize_str(line))
    return sorted({letter for word in words for letter in word})


@pytest.mark.parametrize("pipeline", ["bert", "whitespace", "metaspace", "scripts"])
def test_wordpiece(pipeline: str) -> None:
    # Special tokens number the marked symbols; otherwise the reference does so at random.
    letters = letters_of(pipeline)
    options = {"special_tokens": ["[UNK]", *("##" + letter for letter in letters)]}
    assert_same(*both("wordpiece", pipeline, LINES, vocab_size=2500, **options))
    assert_same(*both("wordpiece", pipeline, LINES, min_frequency=2, **options))
    ends = ["[UNK]", *(letter + "$" for letter in letters)]
    ends += ["_" + letter + mark for letter in letters for mark in ("", "$")]
    marks = {"continuing_subword_prefix": "_", "end_of_word_suffix": "$", "special_tokens": ends}
    assert_same(*both("wordpiece", pipeline, LINES, vocab_size=3500, **marks))


@pytest.mark.parametrize("pipeline", ["metaspace", "bert", "whitespace"])
def test_unigram_encodes_as_the_reference_would(pipeline: str) -> None:
    """The vocabularies differ; given ours, the reference gives the same ids."""
    options = {"special_tokens": ["<s>", "<unk>"], "vocab_size": 900}
    ours, reference = both("unigram", pipeline, LINES, unk_token="<unk>", **options)
    learned = sorted(ours.get_vocab().items(), key=lambda item: item[1])
    assert [token for token, _ in learned[:2]] == ["<s>", "<unk>"]
    counter = penstock._native.WordCounter(ours._native)
    counter.count(LINES)
    trainer = _training.UnigramTrainer(unk_token="<unk>", **options)
    fields = json.loads(trainer.learn(counter, lambda *_: None)[1])
    # Counted by a tokenizer that has the special tokens already; the text has none of them.
    assert [token for token, _ in fields["vocab"]] == [token for token, _ in learned]
    reference.model = models.Unigram([tuple(pair) for pair in fields["vocab"]], fields["unk_id"])
    assert_same_ids(ours, reference)


def reference_from_files(paths: list[Path]) -> tokenizers.Tokenizer:
    reference = tokenizers.Tokenizer(models.BPE())
    reference.pre_tokenizer = byte_level()
    trainer = trainers.BpeTrainer(vocab_size=600, show_progress=False)
    reference.train([str(path) for path in paths], trainer)
    return reference


def test_every_source_gives_the_same(tmp_path: Path) -> None:
    """An iterator, lists of lists, Arrow columns, files plain and compressed: as the reference."""
    text = TEXT.replace("\n", "\r\n", 40) + "no line end"
    plain, packed = tmp_path / "a.txt", tmp_path / "a.txt.gz"
    plain.write_bytes(text.encode())
    packed.write_bytes(gzip.compress(text.encode()))
    reference = reference_from_files([plain])
    lines = (
        text.replace("\r\n", "\r\n\0").replace("\n", "\n\0").replace("\n\0\0", "\n\0").split("\0")
    )

    def ours(texts: Any = None, **more: Any) -> penstock.Tokenizer:
        return penstock.train_bpe(
            texts, vocab_size=600, pre_tokenizer=byte_level(), show_progress=False, **more
        )

    sources: list[Callable[[], penstock.Tokenizer]] = [
        lambda: ours(lines),
        lambda: ours(iter(lines)),
        lambda: ours([lines[:7], (line for line in lines[7:9]), *lines[9:]]),
        lambda: ours(pyarrow.array(lines)),
        lambda: ours(pyarrow.chunked_array([lines[:11], lines[11:]], pyarrow.large_string())),
        lambda: ours(plain),
        lambda: ours([plain]),
        lambda: ours(files=str(plain)),
        lambda: ours(files=[packed]),
    ]
    for source in sources:
        assert_same(source(), reference)
    assert_same(ours(files=[plain, packed]), reference_from_files([plain, plain]))


def corpora() -> list[Path]:
    root = fixtures_root()
    return sorted((root / "corpora").glob("*.txt")) if root else []


@pytest.mark.parity
@pytest.mark.parametrize("path", corpora(), ids=lambda path: path.stem)
def test_corpora(path: Path) -> None:
    """Real text, a large vocabulary."""
    text = path.read_bytes()[: 1 << 20].decode(errors="ignore")
    for vocab_size, pipeline in ((20_000, "cl100k"), (3000, "byte_level")):
        lines = text.splitlines(keepends=True)
        ours, reference = both_bpe(pipeline, lines, vocab_size=vocab_size)
        assert ours.get_vocab() == reference.get_vocab()
        # The merges, too: what they are shows in the ids.
        sample = text[: 1 << 16]
        assert ours.encode_ids(sample).tolist() == reference.encode(sample).ids


def test_the_default_corpus_may_be_empty() -> None:
    options: dict[str, Any] = {"special_tokens": ["<s>"], "initial_alphabet": ["a", "b"]}
    ours, reference = both_bpe("byte_level", [], **options)
    assert ours.get_vocab() == reference.get_vocab() == {"<s>": 0, "a": 1, "b": 2}


@pytest.mark.parity
@pytest.mark.parametrize("vocab_size", [1000, 6000])
@pytest.mark.parametrize("path", corpora()[::2], ids=lambda path: path.stem)
def test_unigram_is_at_least_as_likely(path: Path, vocab_size: int) -> None:
    """The corpus under our model and under the reference's, both scaled to probabilities."""
    compare_unigram(path.read_bytes()[: 1 << 17].decode(errors="ignore"), vocab_size)


@pytest.mark.parametrize("vocab_size", [150, 400])
def test_unigram_is_at_least_as_likely_on_a_small_corpus(vocab_size: int) -> None:
    compare_unigram(TEXT, vocab_size)


def compare_unigram(text: str, vocab_size: int) -> None:
    counts = training.marked_words(text)
    # A fourth of the vocabulary may be characters.
    letters = collections.Counter[str]()
    for word, count in counts.items():
        letters.update(dict.fromkeys(word, count))
    kept = {letter for letter, _ in letters.most_common(vocab_size // 4)}
    counts = {word: count for word, count in counts.items() if kept.issuperset(word)}
    ours = training.train_unigram(counts, vocab_size)
    reference = training.reference_unigram(counts, vocab_size)
    assert len(ours) <= vocab_size
    assert ours[0] == reference[0] == ["<unk>", 0]
    assert {token for token, _ in ours} >= set().union(*counts)
    assert unigram_trainer.log_likelihood(counts, ours) >= unigram_trainer.log_likelihood(
        counts, reference
    )


@pytest.mark.parametrize(
    "counts",
    [
        {"ab" * 3000: 1, "abc" * 2000: 2},
        {"a" * 40_000: 1},
        {"".join(chr(0x4E00 + i % 700) for i in range(20_000)): 3},
        {"word": 1 << 40, "world": 1 << 33},
        {"a\0b": 3, "\0": 1},
    ],
    ids=["periodic", "one letter", "many letters", "many times", "nul"],
)
def test_unigram_where_the_reference_panics_or_overflows(counts: dict[str, int]) -> None:
    """Long words make the reference's sums underflow, large counts its 32 bits overflow."""
    learned = training.train_unigram(counts, 800)
    assert all(score <= 0 and score == score for _, score in learned)
    assert {token for token, _ in learned} >= set().union(*counts)


def untrained(model: str) -> tokenizers.Tokenizer:
    """The reference's tokenizer with all parts but a vocabulary."""
    kinds = {
        "bpe": models.BPE(unk_token="<unk>", fuse_unk=True),
        "wordpiece": models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20),
        "wordlevel": models.WordLevel(unk_token="<unk>"),
        "unigram": models.Unigram(),
    }
    tokenizer = tokenizers.Tokenizer(kinds[model])
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def pinned_trainer(model: str) -> Any:
    letters = sorted({letter for letter in TEXT.lower() if not letter.isspace()})
    special = ["<unk>", "[UNK]", tokenizers.AddedToken("<s>", rstrip=True)]
    if model == "wordpiece":
        special += ["##" + letter for letter in letters]
    return MODELS[model][2](vocab_size=2000, show_progress=False, special_tokens=special)


@pytest.mark.parametrize("model", ["bpe", "wordpiece", "wordlevel"])
@pytest.mark.parametrize("from_files", [False, True])
def test_training_in_place(tmp_path: Path, model: str, from_files: bool) -> None:
    """The reference's trainer objects train our tokenizer, and the files are equal."""
    reference, trainer = untrained(model), pinned_trainer(model)
    ours = penstock.Tokenizer.from_str(reference.to_str())
    if from_files:
        path = tmp_path / "text.txt"
        path.write_text(TEXT, encoding="utf-8", newline="")
        reference.train([str(path)], trainer)
        ours.train([str(path)], trainer)
    else:
        reference.train_from_iterator(LINES, trainer)
        ours.train_from_iterator(LINES, trainer)
    assert json.loads(ours.to_str()) == json.loads(reference.to_str())


def test_training_in_place_takes_our_trainers_and_a_default() -> None:
    reference = untrained("bpe")
    ours = penstock.Tokenizer.from_str(reference.to_str())
    ours.train_from_iterator(LINES, penstock.trainers.BpeTrainer(vocab_size=700))
    reference.train_from_iterator(LINES, trainers.BpeTrainer(vocab_size=700, show_progress=False))
    assert json.loads(ours.to_str()) == json.loads(reference.to_str())
    ours.train_from_iterator(LINES)
    reference.train_from_iterator(LINES, trainers.BpeTrainer(show_progress=False))
    assert json.loads(ours.to_str()) == json.loads(reference.to_str())
    with pytest.raises(penstock.errors.TrainingError, match="only train a WordLevel"):
        ours.train_from_iterator(LINES, trainers.WordLevelTrainer())
    with pytest.raises(TypeError, match="not a trainer"):
        ours.train_from_iterator(LINES, 7)


@pytest.mark.parametrize("family", ["gpt2", "roberta", "llama3"])
def test_train_new_is_that_of_transformers(family: str, small_json: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers")
    text = json.dumps(small_json[family])
    stock = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer.from_str(text)
    )
    options: dict[str, Any] = {
        "new_special_tokens": ["<new>"],
        "special_tokens_map": {"</s>": "<end>"},
    }
    want = stock.train_new_from_iterator(LINES, 700, show_progress=False, **options)
    ours = penstock.Tokenizer.from_str(text)
    got = ours.train_new_from_iterator(LINES, 700, show_progress=False, **options)
    expected = json.loads(want.backend_tokenizer.to_str())
    found = json.loads(got.to_str())
    # What transformers adds for its named tokens comes behind ours.
    expected["added_tokens"] = expected["added_tokens"][: len(found["added_tokens"])]
    assert found == expected
