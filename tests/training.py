"""Training beside the reference: corpora, options, and both trainers as plain functions."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import tokenizers
from penstock import _native
from penstock._training import BpeTrainer, UnigramTrainer

from tests.reference.bpe_trainer import Options

if TYPE_CHECKING:
    import random

    from tests.families import Json

Learned = tuple[dict[str, int], list[list[str]]]

_WORDS_AS_THEY_ARE = _native.Tokenizer.from_str(
    json.dumps(
        {
            "version": "1.0",
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
            "model": {"type": "BPE", "vocab": {}, "merges": []},
            "added_tokens": [],
        }
    )
)


def train_bpe(counts: dict[str, int], options: Options) -> Learned:
    """Our trainer on words that are split already."""
    arguments = asdict(options)
    assert arguments.pop("marked") is None
    learned = json.loads(BpeTrainer(**arguments).learn(counter_of(counts), lambda *_: None)[1])
    return learned["vocab"], learned["merges"]


def reference_bpe(counts: dict[str, int], options: Options) -> Learned:
    """The reference's trainer on words that are split already."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    # The reference takes no None for an option that it has not been given.
    arguments = {name: value for name, value in asdict(options).items() if value is not None}
    arguments.pop("marked", None)
    trainer = tokenizers.trainers.BpeTrainer(**arguments, show_progress=False)
    texts = [word for word, count in counts.items() for _ in range(count)]
    tokenizer.train_from_iterator(texts, trainer)
    return learned_by(tokenizer)


def counter_of(counts: dict[str, int]) -> _native.WordCounter:
    """Words that are split already."""
    counter = _native.WordCounter(_WORDS_AS_THEY_ARE)
    for word, count in counts.items():
        counter.add(word, count)
    return counter


Scores = list[list[Any]]


def train_unigram(counts: dict[str, int], vocab_size: int) -> Scores:
    """Our trainer's pieces and scores."""
    trainer = UnigramTrainer(vocab_size=vocab_size, special_tokens=["<unk>"], unk_token="<unk>")
    learned = json.loads(trainer.learn(counter_of(counts), lambda *_: None)[1])
    assert learned["unk_id"] == 0
    scores: Scores = learned["vocab"]
    return scores


def reference_unigram(counts: dict[str, int], vocab_size: int) -> Scores:
    """The reference's pieces and scores."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram())
    trainer = tokenizers.trainers.UnigramTrainer(
        vocab_size=vocab_size, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    texts = [word for word, count in counts.items() for _ in range(count)]
    tokenizer.train_from_iterator(texts, trainer)
    scores: Scores = json.loads(tokenizer.to_str())["model"]["vocab"]
    return scores


def marked_words(text: str) -> dict[str, int]:
    """The words of a text, each with the mark of its space."""
    counts: dict[str, int] = {}
    for word in text.split():
        counts["▁" + word] = counts.get("▁" + word, 0) + 1
    return counts


def learned_by(tokenizer: tokenizers.Tokenizer) -> Learned:
    """Vocabulary and merges of the reference's tokenizer."""
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], model["merges"]


def random_counts(rng: random.Random) -> dict[str, int]:
    """Words over few letters, some of them periodic, some of them long."""
    letters = rng.choice(["ab", "abc", "aé日", "abcdefgh", "a#b", "ab</w>", "01"])
    longest = rng.choice([3, 8, 30, 400])
    counts = {}
    for _ in range(rng.choice([1, 3, 10, 40])):
        length = rng.randint(1, longest)
        period = rng.randint(1, 3) if rng.random() < 0.3 else length
        unit = "".join(rng.choice(letters) for _ in range(period))
        word = (unit * (length // period + 1))[:length]
        counts[word] = rng.choice([1, 1, 1, 2, 3, 7])
    return counts


def random_options(rng: random.Random, counts: dict[str, int]) -> Options:
    """Options that meet each other in every way, those of marks in a third of the cases."""
    options = Options(vocab_size=rng.choice([0, 3, 10, 30, 60, 200]))
    if rng.random() < 0.3:
        options.min_frequency = rng.choice([1, 2, 3, 5])
    if rng.random() < 0.4:
        options.max_token_length = rng.choice([0, 1, 2, 3, 4, 6, 9])
    if rng.random() < 0.3:
        options.initial_alphabet = rng.sample(["a", "bc", "x", "y", "#", "é"], 3)
    if rng.random() < 0.3:
        options.special_tokens = rng.sample(["a", "ab", "ba", "aa", "abc", "[X]", "[X]"], 3)
    if rng.random() < 0.2:
        options.limit_alphabet = limit_without_ties(rng, counts, options)
    if rng.random() < 0.4:
        options.continuing_subword_prefix = rng.choice(["##", "a", "#", "", "ab", "_"])
    if rng.random() < 0.4:
        options.end_of_word_suffix = rng.choice(["</w>", "a", "b", "", ">"])
    return options


def limit_without_ties(rng: random.Random, counts: dict[str, int], options: Options) -> int | None:
    """A limit that does not cut between characters of the same count."""
    letters: dict[str, float] = {}
    for word, count in counts.items():
        for letter in word:
            letters[letter] = letters.get(letter, 0) + count
    letters |= {text[0]: float("inf") for text in options.initial_alphabet}
    ordered = sorted(letters.values(), reverse=True)
    limits = [i for i in range(1, len(ordered)) if ordered[i - 1] > ordered[i]]
    return rng.choice(limits) if limits else None


def pinned(rng: random.Random, counts: dict[str, int], options: Options) -> Options:
    """The options with special tokens that give every marked symbol its id.

    The reference numbers marked symbols in the order of a randomly seeded map. Symbols that are
    special tokens have their numbers before that.
    """
    prefix, suffix = options.continuing_subword_prefix or "", options.end_of_word_suffix or ""
    if not prefix and not suffix:
        return options
    letters = {letter for word in counts for letter in word}
    symbols = [
        symbol
        for letter in sorted(letters)
        for symbol in (prefix + letter, letter + suffix, prefix + letter + suffix)
    ]
    rng.shuffle(symbols)
    return Options(**asdict(options) | {"special_tokens": [*options.special_tokens, *symbols]})


def component(reference: Any) -> Json:
    """The configuration of one of the reference's components."""
    value: Json = json.loads(reference.__getstate__())
    return value
